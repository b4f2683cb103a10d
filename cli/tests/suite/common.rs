//! What the tests of the program share: how it is run, and what it is given.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use tempfile::TempDir;

pub(crate) const IO: i32 = 1;
pub(crate) const USAGE: i32 = 2;
pub(crate) const FOREIGN: i32 = 3;
pub(crate) const DAMAGED: i32 = 4;

pub(crate) fn parans() -> Command {
    Command::new(env!("CARGO_BIN_EXE_parans"))
}

/// Runs in `directory` with words as arguments.
pub(crate) fn run(directory: &Path, line: &str) -> Output {
    parans()
        .current_dir(directory)
        .args(line.split_whitespace())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

pub(crate) fn succeed(directory: &Path, line: &str) -> Output {
    let output = run(directory, line);
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Fails with `status` and exactly one line, which has `words` in it.
pub(crate) fn fail(directory: &Path, line: &str, status: i32, words: &str) {
    check_failure(&run(directory, line), line, status, words);
}

pub(crate) fn check_failure(output: &Output, line: &str, status: i32, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{line}: {said}");
    assert_eq!(said.lines().count(), 1, "{line}: {said}");
    assert!(said.starts_with("parans: ") && said.contains(words), "{line}: {said}");
}

/// Pipes `input` through the program.
pub(crate) fn pipe(line: &str, input: &[u8]) -> Output {
    let mut child = spawn(line);
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // The program may stop reading early: that is its business.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().unwrap()
    })
}

pub(crate) fn spawn(line: &str) -> Child {
    let piped = Stdio::piped;
    parans()
        .args(line.split_whitespace())
        .stdin(piped())
        .stdout(piped())
        .stderr(piped())
        .spawn()
        .unwrap()
}

pub(crate) fn noise(n: usize) -> Vec<u8> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(8);
    (0..n).map(|_| rng.random()).collect()
}

pub(crate) fn text(n: usize) -> Vec<u8> {
    b"Everything should be made as simple as possible, but not simpler. "
        .iter()
        .copied()
        .cycle()
        .take(n)
        .collect()
}

pub(crate) fn place(files: &[(&str, &[u8])]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(directory.path().join(name), bytes).unwrap();
    }
    directory
}

pub(crate) fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A terminal's controlling side, and the path of the other one.
#[cfg(target_os = "linux")]
pub(crate) fn pseudoterminal() -> (fs::File, PathBuf) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap().into_string().unwrap();
    (controller.into(), PathBuf::from(name))
}

/// The most memory a process has had, in bytes.
#[cfg(target_os = "linux")]
pub(crate) fn peak_memory(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

pub(crate) fn safetensors_file() -> Vec<u8> {
    use safetensors::{Dtype, tensor::TensorView};
    let weights: Vec<u8> =
        (0..100_000).flat_map(|i| ((i as f32).sin() * 0.02).to_le_bytes()).collect();
    let ids: Vec<u8> = (0..500i64).flat_map(|i| i.to_le_bytes()).collect();
    let tensors = [
        ("weights", TensorView::new(Dtype::F32, vec![100, 1000], &weights).unwrap()),
        ("ids", TensorView::new(Dtype::I64, vec![500], &ids).unwrap()),
    ];
    safetensors::serialize(tensors, None).unwrap()
}

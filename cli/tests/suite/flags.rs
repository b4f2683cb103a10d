//! The command line: flags as other compressors have them, threads, names, and what is said about a
//! line that cannot be meant.

use std::{fs, io::Write, path::Path, process::Stdio, time::Instant};

use crate::common::*;

fn say(output: &std::process::Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Fails with wrong usage and one line, which has none of `not` in it.
fn fail_without(directory: &Path, line: &str, not: &str) {
    let output = run(directory, line);
    check_failure(&output, line, USAGE, "");
    assert!(!say(&output).contains(not), "{line}: {}", say(&output));
}

/// One flag given twice is one flag, and the last of flags that exclude each other counts: scripts
/// put defaults in front.
#[test]
fn repeated_and_contrary_flags() {
    let directory = place(&[("a", &text(5000)), ("b", b"second")]);
    let at = directory.path();
    succeed(at, "-k -k -q -q a");
    succeed(at, "-f -f -v -v -T1 -T 2 --threads=1 a");
    for line in ["-dc -c a.parans", "-d -d -c a.parans", "-zdc a.parans", "-tzd --stdout a.parans"]
    {
        assert!(succeed(at, line).stdout == text(5000), "{line}");
    }
    // zstd and xz: the last of -z, -d, -t and -l counts.
    fs::remove_file(at.join("a")).unwrap();
    assert!(say(&succeed(at, "-dt a.parans")).contains("a.parans: OK"));
    assert!(!at.join("a").exists());
    succeed(at, "-td a.parans");
    assert!(at.join("a").exists());
    assert!(!succeed(at, "-dtl a.parans").stdout.is_empty());
    succeed(at, "-dz b");
    assert!(at.join("b.parans").exists());
    // --keep takes --rm back, and --rm --keep.
    succeed(at, "-f --rm --keep b");
    assert!(at.join("b").exists());
    succeed(at, "-f --keep --rm --rm b");
    assert!(!at.join("b").exists());
    let output = succeed(at, "-dqv --no-progress b.parans");
    assert_eq!(say(&output).lines().count(), 1, "the last of -q and -v counts");
    succeed(at, "-dfo b -o c b.parans");
    assert_eq!(fs::read(at.join("c")).unwrap(), b"second");
    for line in ["inspect --json --json b.parans", "extract --bytes 0..1 --bytes 1..2 b.parans"] {
        succeed(at, line);
    }
    assert_eq!(succeed(at, "extract --bytes 0..1 --bytes 1..2 b.parans").stdout, b"e");
}

/// Levels and names are accepted, change nothing, and the help says so.
#[test]
fn flags_without_effect() {
    let directory = place(&[("a", &text(5000))]);
    let at = directory.path();
    let plain = succeed(at, "-c a").stdout;
    for line in [
        "-1",
        "-6",
        "-9",
        "-19",
        "-0",
        "--fast",
        "--fast=3",
        "--best",
        "-n",
        "-N",
        "--no-name",
        "--name",
        "-9nv",
        "-1 -1 -9 --best",
    ] {
        assert!(succeed(at, &format!("{line} -c a")).stdout == plain, "{line}");
        assert!(succeed(at, &format!("compress {line} -c a")).stdout == plain, "{line}");
    }
    succeed(at, "-9k a");
    assert!(succeed(at, "-dc9 a.parans").stdout == text(5000));
    let help = String::from_utf8(succeed(at, "--help").stdout).unwrap();
    let ignored = help.split_once("without effect").unwrap().1;
    for flag in ["-1", "--fast", "--best", "-n,", "-N,", "change nothing"] {
        assert!(ignored.contains(flag), "{flag}: {help}");
    }
}

/// `tar -I 'parans -d'` adds a -d of its own.
#[cfg(target_os = "linux")]
#[test]
fn tar_runs_it() {
    let directory = place(&[("a", &text(50_000)), ("b", b"second")]);
    let at = directory.path();
    let tar = |words: &[&str]| {
        let status =
            std::process::Command::new("tar").current_dir(at).args(words).status().unwrap();
        assert!(status.success(), "{words:?}");
    };
    let program = env!("CARGO_BIN_EXE_parans");
    tar(&["-I", program, "-cf", "x.tar.parans", "a", "b"]);
    for file in ["a", "b"] {
        fs::remove_file(at.join(file)).unwrap();
    }
    tar(&["-I", program, "-xf", "x.tar.parans", "a"]);
    tar(&["-I", &format!("{program} -d"), "-xf", "x.tar.parans", "b"]);
    assert!(fs::read(at.join("a")).unwrap() == text(50_000));
    assert_eq!(fs::read(at.join("b")).unwrap(), b"second");
}

/// More threads than there are cores are not started; a number that cannot be meant is refused.
#[test]
fn threads() {
    let directory = place(&[("a", b"some eighteen bytes"), ("b", &text(3_000_000))]);
    let at = directory.path();
    let begin = Instant::now();
    for line in ["-kfT5000 a b", "-tT16384 a.parans b.parans", "-lT9999 a.parans b.parans"] {
        succeed(at, line);
    }
    succeed(at, "extract -T5000 a.parans --bytes 0..3");
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
    for line in ["-T20000 a", "-T-1 a", "-Tmany a", "-T99999999999999999999 a", "-T 1.5 a"] {
        fail(at, line, USAGE, "--threads");
    }
    fail(at, "bench --threads 20000", USAGE, "--threads");
}

/// Threads of the program while it waits for somebody to read its output.
#[cfg(target_os = "linux")]
fn threads_of(directory: &Path, line: &str) -> usize {
    let mut child = parans().current_dir(directory).args(line.split_whitespace()).spawn().unwrap();
    let tasks = format!("/proc/{}/task", child.id());
    let fifo = directory.join("fifo").to_str().unwrap().to_owned();
    // It waits where it opens the pipe.
    let waits = || fs::read_to_string(format!("/proc/{}/wchan", child.id())).unwrap_or_default();
    for _ in 0..100 {
        if waits().contains("fifo") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let count = fs::read_dir(tasks).unwrap().count();
    fs::read(fifo).unwrap();
    child.wait().unwrap();
    count
}

/// A small file is coded by the calling thread; starting others takes longer than the file.
#[cfg(target_os = "linux")]
#[test]
fn no_more_threads_than_help() {
    let cores = std::thread::available_parallelism().unwrap().get();
    let directory = place(&[("small", &text(18)), ("large", &text(3_000_000))]);
    let at = directory.path();
    let made = std::process::Command::new("mkfifo").arg(at.join("fifo")).status().unwrap();
    assert!(made.success());
    assert_eq!(threads_of(at, "-q small -o fifo"), 1);
    assert_eq!(threads_of(at, "-q -T8 small -o fifo"), 1);
    assert_eq!(threads_of(at, "-q -T1 large -o fifo"), 1);
    if cores > 1 {
        assert_eq!(threads_of(at, "-q -T2 large -o fifo"), 3);
    }
    assert!(threads_of(at, "-q -T5000 large -o fifo") <= cores.max(13) + 1);
}

/// Directories: gzip's -r takes the files in them, and leaves what is compressed alone.
#[test]
fn recursion() {
    let directory = place(&[("top", b"top")]);
    let at = directory.path();
    fs::create_dir_all(at.join("d/e")).unwrap();
    fs::create_dir(at.join("d/empty")).unwrap();
    for (name, content) in [("d/x", &b"x"[..]), ("d/e/y", b"yy"), ("d/e/z.parans", b"no frame")] {
        fs::write(at.join(name), content).unwrap();
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("..", at.join("d/loop")).unwrap();
        std::os::unix::fs::symlink("x", at.join("d/link")).unwrap();
    }
    fail(at, "d", IO, "directory");
    succeed(at, "-rq d top");
    assert_eq!(names(&at.join("d/e")), ["y", "y.parans", "z.parans"]);
    assert!(at.join("d/x.parans").exists() && at.join("top.parans").exists());
    assert!(!at.join("d/link.parans").exists());
    // Once more, there is nothing to do but what exists already.
    let output = run(at, "-r d");
    assert_eq!((output.status.code(), say(&output).lines().count()), (Some(IO), 2));
    fs::remove_file(at.join("d/e/z.parans")).unwrap();
    // Everything else takes only what is compressed.
    for line in ["-tr d", "test -r d", "-lr d", "list -r d", "inspect -r d"] {
        succeed(at, line);
    }
    let list = String::from_utf8(succeed(at, "list -rq d").stdout).unwrap();
    assert_eq!(list.lines().count(), 2, "{list}");
    fs::remove_file(at.join("d/x")).unwrap();
    fs::remove_file(at.join("d/e/y")).unwrap();
    succeed(at, "-drq d");
    assert_eq!(fs::read(at.join("d/x")).unwrap(), b"x");
    assert_eq!(fs::read(at.join("d/e/y")).unwrap(), b"yy");
    // No file at all is no error, as in gzip.
    succeed(at, "-r d/empty");
    fail(at, "-r d missing -o out", USAGE, "single input");
    fail(at, "-r missing", IO, "missing: No such file");
}

#[test]
fn suffixes() {
    let directory = place(&[("a", b"content"), ("b.pp", b"content")]);
    let at = directory.path();
    succeed(at, "-S .pp a");
    succeed(at, "-k a");
    assert_eq!(names(at), ["a", "a.parans", "a.pp", "b.pp"]);
    fail(at, "-S .pp b.pp", USAGE, "named .pp already");
    fail(at, "-S .pp a.parans", USAGE, "already");
    fail(at, "-d a.pp", USAGE, "a.pp: not named .parans");
    for line in ["-dS .pp a.pp", "-d --suffix=.pp a.parans", "decompress --suffix .pp a.pp"] {
        fs::remove_file(at.join("a")).unwrap();
        succeed(at, line);
        assert_eq!(fs::read(at.join("a")).unwrap(), b"content", "{line}");
    }
    fail(at, "a -S", USAGE, "--suffix");
    fail(at, "-S x/y a", USAGE, "--suffix");
    let output = parans().current_dir(at).args(["-S", "", "a"]).output().unwrap();
    check_failure(&output, "an empty suffix", USAGE, "empty suffix");
    // A name that is nothing but the suffix has no other name.
    fs::copy(at.join("a.parans"), at.join(".parans")).unwrap();
    fail(at, "-d .parans", USAGE, "not named .parans");
}

#[test]
fn outputs_in_one_directory() {
    let directory = place(&[("a", b"content"), ("file", b"")]);
    let at = directory.path();
    fs::create_dir(at.join("d")).unwrap();
    fs::write(at.join("d/b"), b"more").unwrap();
    succeed(at, "-q --output-dir-flat out/deep a d/b");
    assert_eq!(names(&at.join("out/deep")), ["a.parans", "b.parans"]);
    succeed(at, "-dq --output-dir-flat back out/deep/a.parans out/deep/b.parans");
    assert_eq!(fs::read(at.join("back/b")).unwrap(), b"more");
    succeed(at, "-r --output-dir-flat all d");
    assert_eq!(names(&at.join("all")), ["b.parans"]);
    // Two files of one name would be one file: nothing is done to any.
    fs::write(at.join("d/a"), b"other").unwrap();
    fail(at, "-f --rm --output-dir-flat new a d/a", USAGE, "a.parans would be the output of two");
    assert!(at.join("a").exists() && !at.join("new").exists());
    fail(at, "--output-dir-flat file a", IO, "cannot make file");
    fail(at, "--output-dir-flat x -c a", USAGE, "--output-dir-flat");
    fail(at, "--output-dir-flat x -o y a", USAGE, "--output-dir-flat");
}

/// Zeros become holes in files, as in zstd, and in standard output where it is asked for.
#[cfg(target_os = "linux")]
#[test]
fn holes_for_zeros() {
    use std::os::unix::fs::MetadataExt;
    let content = [&text(5000)[..], &vec![0; 4_000_000], b"end", &vec![0; 3_000_000]].concat();
    let directory = place(&[("a", &content), ("zeros", &vec![0; 1_000_000])]);
    let at = directory.path();
    succeed(at, "-q a zeros");
    let blocks = |name: &str| {
        assert!(fs::read(at.join(name)).unwrap() == content, "{name}");
        fs::metadata(at.join(name)).unwrap().blocks() * 512
    };
    succeed(at, "-do sparse a.parans");
    assert!(blocks("sparse") < 100_000);
    succeed(at, "-d --sparse --no-sparse -o full a.parans");
    assert!(blocks("full") >= 7_000_000);
    succeed(at, "extract a.parans --bytes .. -o extracted");
    assert!(blocks("extracted") < 100_000);
    succeed(at, "extract a.parans --no-sparse --bytes .. -o extracted -f");
    assert!(blocks("extracted") >= 7_000_000);
    succeed(at, "-do end zeros.parans");
    assert!(fs::read(at.join("end")).unwrap() == vec![0; 1_000_000]);

    let to = |line: &str, file: fs::File| {
        let mut command = parans();
        command.current_dir(at).args(line.split_whitespace()).stdout(file);
        assert!(command.status().unwrap().success(), "{line}");
    };
    to("-dc a.parans", fs::File::create(at.join("plain")).unwrap());
    assert!(blocks("plain") >= 7_000_000);
    to("-dc --sparse a.parans", fs::File::create(at.join("asked")).unwrap());
    assert!(blocks("asked") < 100_000);
    // Where bytes go to the end, or over others, zeros are written.
    for options in [fs::File::options().append(true), fs::File::options().write(true)] {
        fs::write(at.join("over"), vec![1; 5_000_000]).unwrap();
        to("-dc --sparse zeros.parans", options.open(at.join("over")).unwrap());
        let over = fs::read(at.join("over")).unwrap();
        assert!(over.len() >= 5_000_000);
        assert_eq!(over.iter().filter(|&&byte| byte == 0).count(), 1_000_000);
        assert!(over[..1_000_000].iter().all(|&byte| byte == over[0]));
    }
    assert!(succeed(at, "-dc --sparse a.parans").stdout == content, "to a pipe");
}

/// A first word that is nearly a command and no file is not compressed together with what follows.
#[test]
fn mistyped_commands() {
    let directory = place(&[("x", b"content")]);
    let at = directory.path();
    for (line, command) in [
        ("decompres x", "decompress"),
        ("comprss -k x", "compress"),
        ("tset x y", "test"),
        ("lits x", "list"),
        ("-q extrct x", "extract"),
    ] {
        fail(at, line, USAGE, &format!("did you mean \"{command}\"?"));
    }
    for line in ["-q decompress x", "-f list"] {
        fail(at, line, USAGE, "before all flags: parans ");
    }
    assert_eq!(names(at), ["x"]);
    // A file of such a name is a file, and so is everything behind `--`.
    fs::write(at.join("tests"), b"content").unwrap();
    succeed(at, "-q tests x");
    assert_eq!(names(at), ["tests", "tests.parans", "x", "x.parans"]);
    fail(at, "-fq -- decompres x", IO, "decompres: No such file");
    fail(at, "decompres", IO, "decompres: No such file");
    fail(at, "-q -f other x", IO, "other: No such file");
}

/// What is wrong with a line is reported in one line, and never by advising to delete files.
#[test]
fn wrong_lines() {
    let directory = place(&[("x", b"content")]);
    let at = directory.path();
    for line in ["--r x", "--rn x", "--m x", "--rmm x", "compress --rn x", "--rf x"] {
        fail_without(at, line, "'--rm'");
    }
    for line in ["--rn x", "list --rn x"] {
        fail_without(at, line, "tip: a similar argument exists: '--rm'");
    }
    assert_eq!(names(at), ["x"]);
    for (line, words) in [
        ("--decompres x", "'--decompress'"),
        ("--no-such-option", "unexpected argument '--no-such-option'"),
        ("-c -o y x", "cannot be used with"),
        ("extract", "required arguments"),
        ("extract x --bytes 5..2", "5 is after 2"),
        ("extract x --bytes 5", "START..END"),
        ("extract x --bytes a..", "invalid digit"),
        ("extract x name --bytes 0..1", "cannot be used with"),
        ("extract x --npy --bytes 0..1", "cannot be used with"),
        ("completions csh", "possible values"),
        ("man nothing", "possible values"),
        ("man list --dir d", "cannot be used with"),
        ("test -c x", "unexpected argument"),
        ("--fast 3 x", ""),
    ] {
        if !words.is_empty() {
            fail(at, line, USAGE, words);
        }
    }
    // What it repeats cannot steer a terminal.
    for argument in ["--x\x1b[31m", "--x\ny", "--bytes=\x1b"] {
        let output = parans().args([argument]).output().unwrap();
        check_failure(&output, argument, USAGE, "unexpected argument");
        assert!(!say(&output).contains('\x1b'));
    }
}

#[test]
fn instruction_sets() {
    let directory = place(&[("x", b"content")]);
    let with = |simd: &std::ffi::OsStr, line: &str| {
        let mut command = parans();
        command.env("PARANS_SIMD", simd).current_dir(directory.path());
        command.args(line.split_whitespace()).stdin(Stdio::null()).output().unwrap()
    };
    for line in ["-c x", "bench --symbols 1000", "devices"] {
        let output = with("bogus".as_ref(), line);
        check_failure(&output, line, USAGE, "PARANS_SIMD=bogus");
        for level in ["scalar", "neon", "avx2", "avx512"] {
            assert!(say(&output).contains(level), "{}", say(&output));
        }
        assert!(with("".as_ref(), line).status.success());
        assert!(with("scalar".as_ref(), line).status.success());
    }
    // A level that this processor lacks.
    let foreign = if cfg!(target_arch = "x86_64") { "neon" } else { "avx2" };
    check_failure(&with(foreign.as_ref(), "-c x"), "-c x", USAGE, "processor lacks it");
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let output = with(std::ffi::OsStr::from_bytes(b"avx\xff"), "-c x");
        check_failure(&output, "-c x", USAGE, "PARANS_SIMD");
    }
}

/// What is printed is written, or it is said that it could not be.
#[cfg(target_os = "linux")]
#[test]
fn text_to_a_full_disk() {
    let directory = place(&[("x", &text(5000))]);
    let at = directory.path();
    succeed(at, "-q x");
    for line in [
        "--help",
        "--version",
        "compress --help",
        "help list",
        "man --help",
        "man bench",
        "devices",
        "inspect --json x.parans",
        "list x.parans x.parans",
        "bench --symbols 100 --rows 1 --repeat 1",
        "bench --symbols 100 --rows 1 --repeat 1 --json",
        "bench --repeat 1 --bytes x",
    ] {
        let mut command = parans();
        command.current_dir(at).args(line.split_whitespace()).stdin(Stdio::null());
        assert!(command.output().unwrap().status.success(), "{line}");
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        let output = output.wait_with_output().unwrap();
        let said = say(&output);
        assert_eq!(output.status.code(), Some(IO), "{line}: {said}");
        // A list says it for every line.
        for told in said.lines() {
            assert_eq!(told, "parans: cannot write standard output: No space left on device");
        }
        assert!(said.lines().count() >= 1, "{line}");
    }
}

/// A directory that cannot be read is an error in its place; the files beside it are worked on.
#[cfg(unix)]
#[test]
fn directories_that_cannot_be_read() {
    use std::os::unix::{fs::PermissionsExt, process::CommandExt};
    let directory = place(&[]);
    let at = directory.path();
    fs::create_dir_all(at.join("d/closed")).unwrap();
    fs::write(at.join("d/x"), b"content").unwrap();
    let mode = |path: &str, mode| {
        fs::set_permissions(at.join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("", 0o755);
    mode("d", 0o777);
    mode("d/closed", 0);
    let mut command = parans();
    command.current_dir(at).args(["-rq", "d"]).stderr(Stdio::piped());
    // The superuser can read everything.
    if fs::read_dir(at.join("d/closed")).is_ok() {
        command.uid(65534).gid(65534);
    }
    // Another user may have no way to the program.
    if let Ok(child) = command.spawn() {
        let output = child.wait_with_output().unwrap();
        check_failure(&output, "-rq d", IO, "d/closed: Permission denied");
        assert!(at.join("d/x.parans").exists());
    }
    mode("d/closed", 0o700);
}

/// Without a file and with nothing piped in there is only help to give.
#[cfg(target_os = "linux")]
#[test]
fn help_on_a_terminal() {
    let (_controller, name) = pseudoterminal();
    let terminal = fs::File::options().read(true).write(true).open(name).unwrap();
    let output = parans().stdin(terminal).output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("Usage: parans"));
}

/// No bar is drawn with --no-progress.
#[cfg(target_os = "linux")]
#[test]
fn no_progress() {
    use std::io::Read;
    let (mut controller, name) = pseudoterminal();
    let terminal = fs::File::options().read(true).write(true).open(name).unwrap();
    let mut child = parans()
        .args(["-c", "--no-progress", "-v"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(terminal)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for _ in 0..6 {
        stdin.write_all(&text(2 << 20)).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
    let mut said = vec![0; 1000];
    let n = controller.read(&mut said).unwrap();
    let said = String::from_utf8_lossy(&said[..n]).into_owned();
    assert!(said.starts_with("standard input: ") && said.ends_with("MB/s\r\n"), "{said:?}");
}

//! Signals and limits: no half-made file is left, and the end is a line and a status.

use std::{
    fs::{self, File},
    os::unix::{
        fs::MetadataExt,
        process::{CommandExt, ExitStatusExt},
    },
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use crate::common::*;
use rustix::process::{Pid, Signal, kill_process};

/// Waits until `ready`, or panics after a minute.
fn wait_for<T>(mut ready: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "nothing happens");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn temporary_name(at: &Path) -> Option<String> {
    names(at).into_iter().find(|name| name.starts_with(".parans-"))
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// A command that takes long and has a temporary file with a name.
fn long_work(at: &Path, named: bool) -> Command {
    let file = File::create(at.join("long")).unwrap();
    file.set_len(1 << 40).unwrap();
    // Whoever runs the tests may ignore signals, as `nohup` does, and the program would then.
    let mut command = Command::new("env");
    command.args(["--default-signal", env!("CARGO_BIN_EXE_parans"), "-qT1", "long"]);
    command.current_dir(at).stdin(Stdio::null()).stderr(Stdio::piped());
    if named {
        command.env("PARANS_NAMED_TEMPORARY", "1");
    }
    command
}

#[test]
fn signals_leave_no_temporary_files() {
    for sent in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT, Signal::XCPU] {
        let directory = place(&[]);
        let at = directory.path();
        let child = long_work(at, true).spawn().unwrap();
        let name = wait_for(|| temporary_name(at));
        // Nobody else reads it meanwhile, though the input is for all to read.
        assert_eq!(fs::metadata(at.join(name)).unwrap().mode() & 0o7777, 0o600);
        signal(&child, sent);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), Some(sent.as_raw()), "ends as by the signal itself");
        assert!(output.stderr.is_empty());
        assert_eq!(names(at), ["long"], "{sent:?}");
    }
}

#[test]
fn unnamed_files_need_no_cleaning() {
    let directory = place(&[]);
    let at = directory.path();
    let child = long_work(at, false).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(names(at), ["long"]);
    signal(&child, Signal::KILL);
    child.wait_with_output().unwrap();
    assert_eq!(names(at), ["long"]);
}

/// `nohup` holds, also where signals have handlers.
#[test]
fn ignored_signals_stay_ignored() {
    let directory = place(&[]);
    let at = directory.path();
    drop(long_work(at, true));
    let child = Command::new("sh")
        .args(["-c", "trap '' HUP; exec \"$0\" -qT1 long", env!("CARGO_BIN_EXE_parans")])
        .env("PARANS_NAMED_TEMPORARY", "1")
        .current_dir(at)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let name = wait_for(|| temporary_name(at));
    signal(&child, Signal::HUP);
    std::thread::sleep(Duration::from_millis(200));
    assert!(at.join(&name).exists());
    signal(&child, Signal::TERM);
    assert_eq!(child.wait_with_output().unwrap().status.signal(), Some(15));
    assert_eq!(names(at), ["long"]);
}

/// A reader that goes away ends the program at once, also while its input waits.
#[test]
fn a_reader_that_goes_away_is_not_waited_for() {
    let mut child = spawn("-c");
    let mut stdin = child.stdin.take().unwrap();
    drop(child.stdout.take());
    let bytes = noise(40 << 20);
    // The program ends while this side is open still.
    let writer = std::thread::spawn(move || {
        let _ = std::io::Write::write_all(&mut stdin, &bytes);
        stdin
    });
    let status = wait_for(|| child.try_wait().unwrap());
    assert_eq!(status.signal(), Some(13));
    drop(writer.join());
    assert!(child.wait_with_output().unwrap().stderr.is_empty());
}

fn limited(at: &Path, limit: &str, line: &str, named: bool) -> Output {
    let line = format!("{limit}; exec \"$0\" {line}");
    let mut command = Command::new("sh");
    command.args(["-c", &line, env!("CARGO_BIN_EXE_parans")]).current_dir(at).stdin(Stdio::null());
    if named {
        command.env("PARANS_NAMED_TEMPORARY", "1");
    }
    command.output().unwrap()
}

#[test]
fn a_limit_on_the_length_of_files_is_a_line() {
    let directory = place(&[("x", &noise(3 << 20))]);
    let at = directory.path();
    succeed(at, "x");
    for named in [false, true] {
        for line in ["-f x", "-d x.parans -o y"] {
            let output = limited(at, "ulimit -f 1000", line, named);
            check_failure(&output, line, IO, "File too large");
        }
    }
    assert_eq!(names(at), ["x", "x.parans"]);
}

/// Where the system grants no more threads, one does the work.
#[test]
fn no_threads_are_needed() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let content = [text(3 << 20), noise(1 << 20)].concat();
    let directory = place(&[("x", &content)]);
    let at = directory.path();
    rustix::fs::chmod(at, rustix::fs::Mode::from_raw_mode(0o777)).unwrap();
    for (named, uid) in [("", 54_321), ("1", 54_322)] {
        // A user with no other processes.
        let run = |line: &str| {
            let mut command = Command::new("prlimit");
            command.arg("--nproc=1").arg(env!("CARGO_BIN_EXE_parans"));
            command.args(line.split_whitespace()).current_dir(at).uid(uid).gid(uid);
            if !named.is_empty() {
                command.env("PARANS_NAMED_TEMPORARY", named);
            }
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{line}: {said}");
            output.stdout
        };
        let coded = run("-cT4 x");
        assert!(pipe("-d", &coded).stdout == content);
        run(&format!("x -o coded{named}"));
        assert!(run(&format!("-dcT4 coded{named}")) == content);
        run(&format!("-d coded{named} -o back{named}"));
        run(&format!("-t coded{named}"));
        run(&format!("-l coded{named}"));
        assert!(fs::read(at.join(format!("back{named}"))).unwrap() == content);
    }
}

/// Whatever memory is allowed beyond what it takes to start at all, the program does its work or
/// says in a line that it cannot.
#[test]
fn little_memory_is_a_line() {
    let directory = place(&[("x", &[text(5 << 20), noise(2 << 20)].concat())]);
    let at = directory.path();
    succeed(at, "x -o coded");
    let limit = |megabytes: u32| format!("ulimit -v {}", megabytes * 1000);
    let starts =
        |&megabytes: &u32| limited(at, &limit(megabytes), "--version", true).status.success();
    let least = (10..500).find(starts).expect("it starts in 500 MB");
    let (mut done, mut refused) = (0, 0);
    for more in [0, 2, 5, 10, 15, 25, 35, 55, 75, 125, 275, 3000] {
        let megabytes = least + more;
        for line in ["-qf x", "-qT8 -f x", "-qdf coded -o y", "-qT8 -df coded -o y", "-qtT8 coded"]
        {
            let output = limited(at, &limit(megabytes), line, true);
            let said = String::from_utf8_lossy(&output.stderr);
            match output.status.code() {
                Some(0) => done += 1,
                Some(1) => {
                    refused += 1;
                    assert_eq!(said.lines().count(), 1, "{megabytes} MB, {line}: {said}");
                }
                _ => panic!("{megabytes} MB, {line}: {:?}, {said}", output.status),
            }
            assert_eq!(temporary_name(at), None);
        }
    }
    assert!(done > 10 && refused > 3, "{done} done, {refused} refused");
}

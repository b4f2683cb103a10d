//! What the program does to files: nothing is lost, leaked or overwritten by surprise.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown, symlink},
        process::CommandExt,
    },
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};

use crate::common::*;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mkfifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Runs a line of the shell with the program as `parans`.
fn shell(directory: &Path, line: &str) -> std::process::Output {
    let line = format!("parans() {{ \"$0\" \"$@\"; }}; {line}");
    Command::new("sh")
        .args(["-c", &line, env!("CARGO_BIN_EXE_parans")])
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Both ways to make an output: without a name until it is complete, and with a temporary one.
fn both_ways(mut test: impl FnMut(&dyn Fn(&Path, &str))) {
    test(&|at, line| {
        succeed(at, line);
    });
    test(&|at, line| {
        let output = parans()
            .current_dir(at)
            .args(line.split_whitespace())
            .stdin(Stdio::null())
            .env("PARANS_NAMED_TEMPORARY", "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    });
}

#[test]
fn modes_times_and_owners_are_the_inputs_but_never_set_id_bits() {
    both_ways(|succeed| {
        for mode in [0o4755, 0o2755, 0o1755, 0o6777, 0o640, 0o600, 0o444, 0o604] {
            let directory = place(&[("x", &text(5000))]);
            let at = directory.path();
            if is_root() {
                chown(at.join("x"), Some(54321), Some(54322)).unwrap();
            }
            chmod(&at.join("x"), mode);
            let accessed = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
            let times = fs::FileTimes::new().set_accessed(accessed).set_modified(accessed);
            File::open(at.join("x")).unwrap().set_times(times).unwrap();
            let x = fs::metadata(at.join("x")).unwrap();
            succeed(at, "x");
            let coded = fs::metadata(at.join("x.parans")).unwrap();
            assert_eq!(coded.accessed().unwrap(), accessed);
            succeed(at, "-d x.parans -o back");
            succeed(at, "-f x.parans -o over");
            succeed(at, "-f x.parans -o over");
            for name in ["x.parans", "back", "over"] {
                let output = fs::metadata(at.join(name)).unwrap();
                assert_eq!(output.mode() & 0o7777, mode & 0o777, "{name}, {mode:o}");
                assert_eq!((output.uid(), output.gid()), (x.uid(), x.gid()));
                assert_eq!(output.modified().unwrap(), x.modified().unwrap());
            }
        }
    });
}

/// Somebody who cannot give the output its input's group does not give another group its rights.
#[test]
fn group_bits_go_where_the_group_does() {
    if !is_root() {
        return;
    }
    for (mode, kept) in [(0o664, 0o604), (0o6775, 0o705), (0o604, 0o600), (0o646, 0o604)] {
        let directory = place(&[("x", &text(5000))]);
        let at = directory.path();
        chmod(at, 0o777);
        chown(at.join("x"), None, Some(54322)).unwrap();
        chmod(&at.join("x"), mode);
        let output = parans().current_dir(at).args(["-q", "x"]).uid(54321).gid(54323).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let coded = fs::metadata(at.join("x.parans")).unwrap();
        assert_eq!((coded.uid(), coded.gid()), (54321, 54323));
        assert_eq!(coded.mode() & 0o7777, kept, "{mode:o}");
    }
}

/// What has no input file is as open as the user's umask says.
#[test]
fn modes_without_an_input_file_are_the_umasks() {
    let directory = place(&[]);
    let at = directory.path();
    let line = "umask 027; echo text | parans -o a; parans -d a -o b; mkfifo p; chmod 600 p; \
                echo text > p & parans -q p; wait";
    assert!(shell(at, line).status.success());
    for (name, mode) in [("a", 0o640), ("b", 0o640), ("p.parans", 0o600)] {
        assert_eq!(fs::metadata(at.join(name)).unwrap().mode() & 0o7777, mode, "{name}");
    }
}

#[test]
fn an_output_that_is_an_input_is_refused() {
    let directory = place(&[("x", &text(5000)), ("a", b"first"), ("b", b"second")]);
    let at = directory.path();
    symlink("x", at.join("link")).unwrap();
    fs::hard_link(at.join("x"), at.join("hard")).unwrap();
    succeed(at, "x");
    succeed(at, "x.parans -fo x.parans.parans");
    succeed(at, "a");
    symlink("x.parans", at.join("archive")).unwrap();
    let content = |name: &str| fs::read(at.join(name)).unwrap();
    let before: Vec<_> = names(at).iter().map(|name| (name.clone(), content(name))).collect();
    for flags in ["", "-f", "-f --rm", "--rm", "-qf"] {
        for output in ["x", "./x", "link", "hard"] {
            fail(at, &format!("{flags} -o {output} x"), USAGE, "is an input too");
            fail(at, &format!("{flags} -o x {output}"), USAGE, "is an input too");
        }
        for output in ["x.parans", "./x.parans", "archive"] {
            fail(at, &format!("-d {flags} -o {output} x.parans"), USAGE, "is an input too");
        }
    }
    fail(at, "extract -f --bytes 0..5 -o archive x.parans", USAGE, "is an input too");
    fail(at, "extract -f --bytes 0..5 -o x.parans x.parans", USAGE, "is an input too");
    for line in [
        "parans -c x >> x",
        "parans -cf x >> hard",
        "parans < x >> x",
        "parans -fo x < x",
        "parans -dc x.parans >> x.parans",
        "parans extract --bytes 0..5 x.parans >> x.parans",
    ] {
        check_failure(&shell(at, line), line, USAGE, "is an input too");
    }
    let after: Vec<_> = names(at).iter().map(|name| (name.clone(), content(name))).collect();
    assert!(before == after);

    // In a list, the first file is done and the one whose output is another's input is not.
    for flags in ["-f", "-f --rm"] {
        let list = |line: &str, words: &str| {
            let output = run(at, line);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(USAGE), "{line}: {said}");
            assert!(said.contains(words), "{line}: {said}");
        };
        fs::write(at.join("a"), b"first").unwrap();
        fs::write(at.join("a.parans"), b"precious").unwrap();
        list(&format!("{flags} a a.parans"), "a.parans: is an input too");
        assert_eq!(
            (content("a"), succeed(at, "-dc a.parans.parans").stdout),
            (b"first".to_vec(), b"precious".to_vec())
        );
        fs::remove_file(at.join("a.parans.parans")).unwrap();
        fs::write(at.join("a.parans"), b"precious").unwrap();
        if flags == "-f" {
            // With --rm, the earlier input is in a file of another name by then.
            list(&format!("{flags} a.parans a"), "a.parans: is an input too");
        }
        assert_eq!(content("a"), b"first");
        // The file given twice: one output for two inputs.
        fs::remove_file(at.join("a.parans")).ok();
        let twice = run(at, &format!("{} b ./b", flags.replace("--rm", "")));
        assert_eq!(twice.status.code(), Some(USAGE));
        assert!(String::from_utf8_lossy(&twice.stderr).contains("output of another input already"));
        assert_eq!(succeed(at, "-dc b.parans").stdout, b"second");
        list(&format!("-d {flags} x.parans.parans x.parans"), "x.parans: is an input too");
        assert!(
            content("x.parans.parans").starts_with(b"\x8e")
                || !content("x.parans.parans").is_empty()
        );
        fs::remove_file(at.join("x.parans")).ok();
        fs::remove_file(at.join("x")).ok();
        fs::write(at.join("x"), text(5000)).unwrap();
        succeed(at, "-qf x");
    }
}

#[test]
fn inputs_are_removed_only_for_a_file_that_keeps_them() {
    let directory = place(&[("x", &text(5000))]);
    let at = directory.path();
    succeed(at, "-k x");
    let there = |name: &str| at.join(name).symlink_metadata().is_ok();
    for line in ["-c --rm x", "--rm x -o -", "-dc --rm x.parans", "-d --rm -o - x.parans"] {
        fail(at, line, USAGE, "--rm needs an output file");
    }
    for line in ["--rm x -o /dev/null", "-f --rm x -o /dev/full", "-d --rm -fo /dev/null x.parans"]
    {
        fail(at, line, USAGE, "--rm needs a regular output file");
    }
    mkfifo(&at.join("p"));
    fail(at, "--rm x -o p", USAGE, "--rm needs a regular output file");
    fail(at, "--rm x -o /dev/stdout", USAGE, "--rm needs a regular output file");
    let line = "parans --rm -c x >&-";
    check_failure(&shell(at, line), line, USAGE, "--rm needs an output file");
    assert!(there("x") && there("x.parans") && there("p"));
    // Standard input is no file to remove.
    let piped = pipe("--rm", &text(5000));
    assert!(piped.status.success() && pipe("-d --rm", &piped.stdout).stdout == text(5000));

    // Pipes stay.
    for line in ["echo text > p & parans --rm p", "cat x.parans > p & parans -d --rm p -fo y"] {
        let output = shell(at, line);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("p: kept: not a regular file"), "{said}");
        assert!(there("p"));
    }
    assert_eq!(succeed(at, "-dc p.parans").stdout, b"text\n");
    assert!(fs::read(at.join("y")).unwrap() == text(5000));

    // A symbolic link stays, or goes if forced; its target stays always.
    symlink("x", at.join("link")).unwrap();
    let output = succeed(at, "--rm link");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("link: kept: a symbolic link"), "{said}");
    assert!(there("link") && there("x") && there("link.parans"));
    succeed(at, "-f --rm link");
    assert!(!there("link") && there("x") && there("link.parans"));

    // And what may go, goes.
    both_ways(|succeed| {
        succeed(at, "-f --rm x");
        assert!(!there("x"));
        succeed(at, "-d --rm x.parans");
        assert!(there("x") && !there("x.parans"));
        assert!(fs::read(at.join("x")).unwrap() == text(5000));
        succeed(at, "--check --rm x");
        assert!(!there("x"));
        succeed(at, "-d x.parans");
    });
    // Failures keep the input.
    fs::write(at.join("bad.parans"), &fs::read(at.join("x.parans")).unwrap()[..60]).unwrap();
    fail(at, "-d --rm bad.parans", DAMAGED, "bad.parans");
    fs::create_dir(at.join("taken.parans")).unwrap();
    fs::write(at.join("taken"), b"content").unwrap();
    fail(at, "-f --rm taken", IO, "directory");
    fail(at, "--rm x -o nowhere/y", IO, "No such file");
    assert!(there("bad.parans") && there("taken") && there("x"));
}

/// The output and its directory are synced before the input goes.
#[cfg(target_os = "linux")]
#[test]
fn outputs_are_on_the_disk_before_inputs_go() {
    let directory = place(&[("x", b"content")]);
    let at = directory.path();
    for named in ["", "PARANS_NAMED_TEMPORARY=1 "] {
        let line = format!(
            "{named}strace -f -o log -e trace=fsync,linkat,renameat,renameat2,rename,unlinkat,unlink \"$0\" -q --rm x"
        );
        let traced = Command::new("sh")
            .args(["-c", &line, env!("CARGO_BIN_EXE_parans")])
            .current_dir(at)
            .output()
            .unwrap();
        let Ok(log) = fs::read_to_string(at.join("log")) else {
            return; // No strace here.
        };
        if log.contains("PTRACE_TRACEME") || !traced.status.success() {
            return;
        }
        let at_call = |words: &str, nth: usize| {
            log.match_indices(words).nth(nth).unwrap_or_else(|| panic!("{words}: {log}")).0
        };
        let named_at = log.find("x.parans\"").unwrap();
        let removed = log.rfind("\"x\"").unwrap();
        assert!(at_call("fsync(", 0) < named_at, "{log}");
        assert!(named_at < at_call("fsync(", 1) && at_call("fsync(", 1) < removed, "{log}");
        succeed(at, "-d --rm x.parans");
    }
}

/// A model file that somebody writes to all the time makes an error and no output.
#[test]
fn recognised_files_that_change_are_errors() {
    let weights: Vec<u8> =
        (0..1_000_000).flat_map(|i| ((i as f32).sin() * 0.02).to_le_bytes()).collect();
    let header =
        format!("{:<117}\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000,), }");
    let npy = [b"\x93NUMPY\x01\0\x76\0", header.as_bytes(), &weights].concat();
    let files = [("m.safetensors", safetensors_file()), ("a.npy", npy)];
    let directory = place(&files.each_ref().map(|(name, content)| (*name, &content[..])));
    let at = directory.path();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // The writers end when the test does, however it does.
        let _ends = OnDrop(|| stop.store(true, Ordering::Relaxed));
        for (name, _) in &files {
            let path = at.join(name);
            let stop = &stop;
            scope.spawn(move || {
                let mut byte = 0u8;
                while !stop.load(Ordering::Relaxed) {
                    byte = byte.wrapping_add(1);
                    // It is not there for a moment where it was compressed and removed.
                    if let Ok(mut file) = File::options().write(true).open(&path) {
                        file.seek(SeekFrom::End(-(i64::from(byte) + 1) * 1000)).unwrap();
                        file.write_all(&[byte; 16]).unwrap();
                    }
                    std::thread::sleep(Duration::from_micros(200));
                }
            });
        }
        let mut failures = 0;
        for round in 0..40 {
            let (name, content) = &files[round % 2];
            let output = run(at, &format!("-f --rm {name}"));
            let said = String::from_utf8_lossy(&output.stderr);
            if output.status.success() {
                // So short that the clock of the file system did not move, or the writer did not
                // run: at the least it reads.
                succeed(at, &format!("-t {name}.parans"));
                std::fs::rename(at.join(format!("{name}.parans")), at.join("read")).unwrap();
                let new = at.join("new");
                std::fs::write(&new, content).unwrap();
                std::fs::rename(new, at.join(name)).unwrap();
                continue;
            }
            assert_eq!(output.status.code(), Some(IO), "{said}");
            assert!(at.join(name).exists());
            let frame = at.join(format!("{name}.parans"));
            if said.contains("kept: changed while it was read") {
                // It changed after all of it was read and written.
                succeed(at, &format!("-t {name}.parans"));
                std::fs::remove_file(frame).unwrap();
                continue;
            }
            failures += 1;
            assert!(said.contains("changed while it was read: nothing is written"), "{said}");
            assert!(said.lines().count() == 1 && !frame.exists(), "{said}");
            if failures == 4 {
                break;
            }
        }
        assert!(failures == 4, "{failures} of 40 noticed");
    });
}

/// Calls a function when it is dropped, in a panic too.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Starts the program with its output in a pipe that is not read yet, changes the file, and lets
/// the program end.
fn changed_meanwhile(at: &Path, line: &str, change: impl FnOnce()) -> std::process::Output {
    let mut child = parans()
        .current_dir(at)
        .args(line.split_whitespace())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut out = vec![0; 32];
    stdout.read_exact(&mut out).unwrap();
    change();
    stdout.read_to_end(&mut out).unwrap();
    let mut output = child.wait_with_output().unwrap();
    output.stdout = out;
    output
}

#[test]
fn files_that_shrink_or_grow_are_noticed() {
    let noise = noise(64 << 20);
    let npy = |rows: usize| {
        let dictionary =
            format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows},), }}");
        [b"\x93NUMPY\x01\0\x76\0", format!("{dictionary:<117}\n").as_bytes()].concat()
    };
    let npy = [&npy(noise.len() / 4), &noise[..]].concat();
    for (name, content) in [("plain", &noise), ("a.npy", &npy)] {
        for length in [100, content.len() - 1, content.len() + 1] {
            let directory = place(&[(name, content)]);
            let at = directory.path();
            let path = at.join(name);
            let change =
                || File::options().write(true).open(&path).unwrap().set_len(length as u64).unwrap();
            let output = changed_meanwhile(at, &format!("-cT1 {name}"), change);
            check_failure(&output, name, IO, "changed while it was read");
            if name == "plain" {
                let back = pipe("-d", &output.stdout);
                assert!(back.status.success());
                let same = back.stdout.len().min(content.len());
                assert!(back.stdout[..same] == content[..same]);
            }
        }
    }
}

/// A plain file that grows while it is compressed stays, and so does its output.
#[test]
fn a_plain_file_that_grows_is_kept() {
    let directory = place(&[]);
    let at = directory.path();
    let mut file = File::create(at.join("log")).unwrap();
    file.set_len(1 << 30).unwrap();
    let mut child = parans()
        .current_dir(at)
        .args(["-qT1", "--rm", "log"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert!(child.try_wait().unwrap().is_none());
    file.seek(SeekFrom::End(0)).unwrap();
    file.write_all(b"one more line\n").unwrap();
    let output = child.wait_with_output().unwrap();
    check_failure(&output, "--rm log", IO, "log: changed while it was read; the output has what");
    assert_eq!(names(at), ["log", "log.parans"]);
}

#[test]
fn an_npz_file_is_recognised_by_its_directory() {
    let script = "import sys, zipfile; zipfile.ZipFile(sys.argv[1], 'w').writestr('w.npy', open('w.npy', 'rb').read())";
    let weights: Vec<u8> = (0..100_000).flat_map(|i| (i as f32).sin().to_le_bytes()).collect();
    let header =
        format!("{:<117}\n", "{'descr': '<f4', 'fortran_order': False, 'shape': (100000,), }");
    let npy = [b"\x93NUMPY\x01\0\x76\0", header.as_bytes(), &weights].concat();
    let directory = place(&[("w.npy", &npy)]);
    let at = directory.path();
    let made = Command::new("python3").args(["-c", script, "a.npz"]).current_dir(at).status();
    if !made.is_ok_and(|status| status.success()) {
        return;
    }
    succeed(at, "-q a.npz");
    assert_eq!(succeed(at, "extract a.npz.parans w").stdout, weights);
    assert!(succeed(at, "-dc a.npz.parans").stdout == fs::read(at.join("a.npz")).unwrap());
}

#[cfg(target_os = "linux")]
#[test]
fn devices_are_read_only_if_forced() {
    let directory = place(&[]);
    let at = directory.path();
    for line in ["/dev/zero", "-c /dev/zero", "/dev/null -o y", "-dc /dev/zero"] {
        fail(at, line, USAGE, "is a device: --force reads it");
    }
    assert!(names(at).is_empty());
    succeed(at, "-f /dev/null -o y");
    assert!(succeed(at, "-dc y").stdout.is_empty());
    // A device is never removed, and files of /proc are compressed as they are.
    succeed(at, "-f --rm /dev/null -o y");
    assert!(Path::new("/dev/null").exists());
    succeed(at, "/proc/self/status -o z");
    assert!(succeed(at, "-dc z").stdout.starts_with(b"Name:"));
    // A name for standard output is written to, not replaced.
    let piped = run(at, "-f y -o /dev/stdout");
    assert!(pipe("-d", &piped.stdout).stdout == fs::read(at.join("y")).unwrap());
    symlink("nothing", at.join("dangling")).unwrap();
    fail(at, "-f y -o dangling", IO, "a symbolic link to nothing");
}

/// Standard streams that are closed, or open the wrong way, are errors.
#[test]
fn closed_streams_are_errors() {
    let directory = place(&[("x", &text(5000))]);
    let at = directory.path();
    succeed(at, "x");
    for line in [
        "parans -c x >&-",
        "parans -dc x.parans >&-",
        "parans extract x.parans --bytes 0..9 >&-",
        "parans inspect x.parans >&-",
        "parans man >&-",
        "parans -c x 1< x.parans",
        "parans inspect x.parans 1< x",
    ] {
        check_failure(&shell(at, line), line, IO, "standard output: Bad file descriptor");
    }
    for line in ["parans -c <&-", "parans -dc <&-", "parans -t - <&-", "parans -c 0>> x"] {
        let output = shell(at, line);
        check_failure(&output, line, IO, "standard input: Bad file descriptor");
    }
    // Without standard error there is nobody to tell; files are not written to in its place.
    assert!(shell(at, "parans -f x 2>&- >&- <&-").status.success());
    assert!(succeed(at, "-dc x.parans").stdout == text(5000));
}

#[test]
fn max_output() {
    let directory = place(&[("small", &text(1024))]);
    let at = directory.path();
    File::create(at.join("bomb")).unwrap().set_len(300 << 20).unwrap();
    succeed(at, "bomb small");
    fs::remove_file(at.join("bomb")).unwrap();
    for line in [
        "-d --max-output 1M bomb.parans",
        "decompress --max-output 299M bomb.parans",
        "-dc --max-output 314572799 bomb.parans",
        "-t --max-output 1G --max-output 0 bomb.parans",
        "test --max-output 100MiB bomb.parans",
        "-t --max-output 1023 small.parans",
    ] {
        // Repeated options are not at stake here.
        let line = line.replace("--max-output 1G ", "");
        check_failure(&run(at, &line), &line, IO, "more content than the ");
    }
    assert!(!at.join("bomb").exists());
    for line in [
        "-t --max-output 300M bomb.parans",
        "-t --max-output 1K small.parans",
        "-t --max-output 1T small.parans",
    ] {
        succeed(at, line);
    }
    let memory = "ulimit -v 600000; parans -dT1 --max-output 1M bomb.parans";
    check_failure(&shell(at, memory), memory, IO, "more content than the 1048576 bytes allowed");
    fail(at, "--max-output 1M small", USAGE, "--max-output is for decompressing and testing");
    for size in ["1X", "M", "-1", "99999999999G"] {
        assert_eq!(
            run(at, &format!("-t --max-output={size} small.parans")).status.code(),
            Some(USAGE)
        );
    }
}

/// With an existing output and a person at the terminal, the program asks, as zstd does.
#[cfg(target_os = "linux")]
#[test]
fn a_person_is_asked_before_files_are_overwritten() {
    for (line, answer, asks, overwrites) in [
        ("x", "y\n", true, true),
        ("x", "Yes\n", true, true),
        ("x", "n\n", true, false),
        ("x", "\n", true, false),
        ("-q x", "y\n", false, false),
        ("-f x", "n\n", false, true),
    ] {
        let directory = place(&[("x", b"content"), ("x.parans", b"old")]);
        let at = directory.path();
        let (mut controller, name) = pseudoterminal();
        let terminal = || File::options().read(true).write(true).open(&name).unwrap();
        let keep = terminal();
        controller.write_all(answer.as_bytes()).unwrap();
        let status = parans()
            .current_dir(at)
            .args(line.split_whitespace())
            .stdin(terminal())
            .stdout(Stdio::null())
            .stderr(terminal())
            .status()
            .unwrap();
        drop(keep);
        let mut said = Vec::new();
        // A terminal that nobody has open any more ends with an error.
        let _ = controller.read_to_end(&mut said);
        let said = String::from_utf8_lossy(&said).into_owned();
        assert_eq!(
            said.contains("x.parans exists already; overwrite (y/n)?"),
            asks,
            "{line}: {said}"
        );
        let old = fs::read(at.join("x.parans")).unwrap() == b"old";
        assert_eq!(
            (status.code(), old),
            if overwrites { (Some(0), false) } else { (Some(IO), true) }
        );
    }
    // Not where standard input is the content, or no terminal.
    let directory = place(&[("x", b"content"), ("x.parans", b"old")]);
    fail(directory.path(), "x", IO, "exists already: use --force");
}

/// No message begins with the library's name for a kind of error.
#[test]
fn messages_speak_of_the_matter() {
    let directory = place(&[("x", b"content")]);
    let at = directory.path();
    succeed(at, "x");
    for line in [
        "-d x -o y",
        "-t x",
        "-l x",
        "inspect x",
        "extract x --bytes 0..1",
        "extract x.parans --bytes 0..99",
    ] {
        let said = String::from_utf8(run(at, line).stderr).unwrap();
        assert!(!said.contains("unsupported:") && !said.contains("invalid argument:"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

/// Files of PyTorch and numpy from a pipe and from the disk: the same tensors, listed, extracted
/// and given to numpy; and the file's very bytes.
#[test]
fn model_files_from_pipes_and_from_the_disk() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models");
    let expected: serde_json::Value =
        serde_json::from_slice(&fs::read(models.join("expected.json")).unwrap()).unwrap();
    for (name, container) in
        [("file.pt", "torch"), ("pipe.pt", "torch"), ("module.pt", "torch"), ("pipe.npz", "npz")]
    {
        let content = fs::read(models.join(name)).unwrap();
        let directory = place(&[(name, &content)]);
        let at = directory.path();
        succeed(at, &format!("-q {name}"));
        let piped = pipe("-c", &content);
        assert!(piped.status.success());
        fs::write(at.join("piped.parans"), &piped.stdout).unwrap();
        for frame in [format!("{name}.parans"), "piped.parans".to_owned()] {
            assert!(succeed(at, &format!("-dc {frame}")).stdout == content, "{frame}");
            let listed = succeed(at, &format!("inspect --json {frame}")).stdout;
            let listed: serde_json::Value = serde_json::from_slice(&listed).unwrap();
            assert_eq!(listed["container"], container);
            for (tensor, described) in expected[name].as_object().unwrap() {
                let bytes = succeed(at, &format!("extract {frame} {tensor}")).stdout;
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(Some(&*hex), described[2].as_str(), "{frame} {tensor}");
            }
        }
    }
    let content = fs::read(models.join("file.pt")).unwrap();
    let directory = place(&[("m.pt", &content)]);
    let at = directory.path();
    succeed(at, "-q m.pt");
    let array = succeed(at, "extract --npy m.pt.parans types.C64").stdout;
    let text = String::from_utf8_lossy(&array[10..128]);
    assert!(
        text.starts_with("{'descr': '<c8', 'fortran_order': False, 'shape': (3,), }"),
        "{text}"
    );
    // A view that is not contiguous is bytes.
    fail(at, "extract --npy m.pt.parans views.2", USAGE, "no type and shape");
}

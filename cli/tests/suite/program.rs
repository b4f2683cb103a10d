//! The program through its own binary: what it writes, says and returns.

use std::{
    fs,
    io::{Read, Write},
    process::Stdio,
    time::Duration,
};

use crate::common::*;

#[test]
fn files_there_and_back() {
    for content in [vec![], vec![9], text(300_000), noise(700_000), vec![0; 3_000_000]] {
        let directory = place(&[("x", &content)]);
        let at = directory.path();
        succeed(at, "compress x");
        assert_eq!(names(at), ["x", "x.parans"], "input is kept");
        succeed(at, "test x.parans");
        succeed(at, "decompress x.parans -o y");
        assert!(fs::read(at.join("y")).unwrap() == content);
        fs::remove_file(at.join("x")).unwrap();
        succeed(at, "decompress x.parans");
        assert!(fs::read(at.join("x")).unwrap() == content);
        let coded = fs::read(at.join("x.parans")).unwrap();
        assert!(coded.len() as f64 <= content.len() as f64 * 1.001 + 200.0);
    }
}

#[test]
fn pipes() {
    for content in [vec![], vec![9], text(3_000_000), noise(1_500_000)] {
        for (compress, decompress) in [
            ("compress", "decompress"),
            ("compress -", "decompress -"),
            ("", "-d"),
            ("-c", "-dc"),
            ("-T1", "-d -T 1 -"),
        ] {
            let coded = pipe(compress, &content);
            assert!(
                coded.status.success() && coded.stderr.is_empty(),
                "{}",
                String::from_utf8_lossy(&coded.stderr)
            );
            let back = pipe(decompress, &coded.stdout);
            assert!(
                back.status.success() && back.stderr.is_empty(),
                "{}",
                String::from_utf8_lossy(&back.stderr)
            );
            assert!(back.stdout == content, "{compress} | {decompress}");
        }
    }
}

/// The habits of gzip and zstd.
#[test]
fn habits() {
    let directory = place(&[("a", b"first"), ("b", &text(5000)), ("-c", b"odd name")]);
    let at = directory.path();
    succeed(at, "-k a b");
    succeed(at, "-f a b");
    succeed(at, "-t a.parans b.parans");
    let list = String::from_utf8(succeed(at, "-l a.parans b.parans").stdout).unwrap();
    assert_eq!(list.lines().count(), 4, "a heading, two files, their total");
    assert!(list.contains(" 5000 ") && list.contains("a.parans"), "{list}");
    assert_eq!(succeed(at, "-dc a.parans b.parans").stdout, [b"first", &text(5000)[..]].concat());
    // Two files in one stream are two frames one after another.
    let both = succeed(at, "-c a b").stdout;
    assert_eq!(pipe("-d", &both).stdout, [b"first", &text(5000)[..]].concat());
    // A name that looks like an option.
    succeed(at, "-- -c");
    fs::remove_file(at.join("-c")).unwrap();
    succeed(at, "-d --rm -- -c.parans");
    assert_eq!(fs::read(at.join("-c")).unwrap(), b"odd name");
    assert!(!at.join("-c.parans").exists());
    // What is said: sizes by default, nothing with -q, and with output to a pipe only with -v.
    assert!(String::from_utf8(succeed(at, "-f b").stderr).unwrap().starts_with("b: 5000 -> "));
    assert!(succeed(at, "-qf b").stderr.is_empty());
    assert!(succeed(at, "-c b").stderr.is_empty());
    assert_eq!(succeed(at, "-cv b").stderr.iter().filter(|&&byte| byte == b'\n').count(), 1);
    // Modes and times are the input's.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(at.join("a"), fs::Permissions::from_mode(0o640)).unwrap();
        let old = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        fs::File::options().write(true).open(at.join("a")).unwrap().set_modified(old).unwrap();
        succeed(at, "-f a");
        let metadata = fs::metadata(at.join("a.parans")).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o640);
        assert_eq!(metadata.modified().unwrap(), old);
    }
}

#[test]
fn failures_say_one_line() {
    let coded = pipe("compress", &text(100_000)).stdout;
    let mut other_version = coded.clone();
    other_version[8] = 9;
    let check = xxhash_rust::xxh3::xxh3_64(&other_version[..28]);
    other_version[28..32].copy_from_slice(&check.to_le_bytes()[..4]);
    let mut damaged = coded.clone();
    damaged[100] ^= 4;
    let cut = &coded[..coded.len() - 7];
    let directory = place(&[
        ("x", b"content"),
        ("x.parans", &coded),
        ("foreign.parans", b"PK or whatever, not one of ours at all"),
        ("short.parans", b"no"),
        ("empty.parans", b""),
        ("new.parans", &other_version),
        ("damaged.parans", &damaged),
        ("cut.parans", cut),
    ]);
    let at = directory.path();
    let before = names(at);
    fail(at, "compress missing", IO, "missing: No such file or directory");
    fail(at, "decompress missing.parans", IO, "No such file or directory");
    fail(at, "inspect missing", IO, "No such file or directory");
    fail(at, "compress .", IO, "directory");
    fail(at, "compress x", IO, "x.parans exists already");
    fail(at, "decompress x.parans", IO, "x exists already");
    fail(at, "compress x.parans", USAGE, "--force");
    fail(at, "decompress x", FOREIGN, "parans: x: not a parans frame");
    fail(at, "compress x -o nowhere/y", IO, "nowhere/y: No such file or directory");
    fail(at, "compress x x -o y", USAGE, "single input");
    for command in ["decompress", "test", "inspect", "-d", "-t", "-l"] {
        fail(at, &format!("{command} foreign.parans"), FOREIGN, "not a parans frame");
        fail(at, &format!("{command} short.parans"), FOREIGN, "not a parans frame");
        fail(at, &format!("{command} new.parans"), FOREIGN, "frame format version 9");
        fail(at, &format!("{command} cut.parans"), DAMAGED, "cut.parans: ");
        fail(at, &format!("{command} empty.parans"), DAMAGED, "empty.parans: ");
    }
    fail(
        at,
        "decompress damaged.parans",
        DAMAGED,
        "damaged.parans: corrupt data: chunk 0 (content bytes 0..100000)",
    );
    fail(at, "test damaged.parans", DAMAGED, "chunk 0");
    fail(at, "extract x.parans nothing", USAGE, "no tensor is named \"nothing\"");
    fail(at, "extract x.parans --bytes 7..100001", USAGE, "bytes 7..100001");
    #[cfg(target_os = "linux")]
    {
        fail(at, "compress /proc/self/mem -o y", IO, "/proc/self/mem: Input/output error");
        fail(at, "compress x -o /dev/full", IO, "/dev/full: No space left on device");
        fail(at, "decompress x.parans -o /dev/full", IO, "/dev/full: No space left on device");
        for line in [
            "compress -c x",
            "decompress -c x.parans",
            "inspect x.parans",
            "extract x.parans --bytes 0..50000",
            "man",
            "completions bash",
        ] {
            let full = fs::File::options().write(true).open("/dev/full").unwrap();
            let child = parans()
                .current_dir(at)
                .args(line.split_whitespace())
                .stdout(full)
                .stderr(Stdio::piped())
                .spawn();
            check_failure(
                &child.unwrap().wait_with_output().unwrap(),
                line,
                IO,
                "standard output: No space left on device",
            );
        }
    }
    assert_eq!(names(at), before, "a failure leaves nothing behind");
    // One bad file does not keep the others from their turn.
    let output = run(at, "-t x.parans foreign.parans x.parans");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), said.lines().count()), (Some(FOREIGN), 3), "{said}");
}

#[cfg(unix)]
#[test]
fn closed_pipe() {
    use std::os::unix::process::ExitStatusExt;
    let directory = place(&[("x", &noise(20_000_000))]);
    let at = directory.path();
    succeed(at, "compress x");
    for line in ["compress -c x", "decompress -c x.parans", "-dcT1 x.parans"] {
        let mut child = parans()
            .current_dir(at)
            .args(line.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        // As gzip: ended by the signal, silently.
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.signal(), &*said), (Some(13), ""), "{line}");
    }
}

#[test]
fn keep_going() {
    let content: Vec<u8> =
        (0..3_000_000u32).map(|i| (i / 1000 % 7) as u8 + (i % 3) as u8).collect();
    let mut coded = pipe("compress", &content).stdout;
    let middle = coded.len() / 2;
    coded[middle] ^= 1;
    let directory = place(&[("x.parans", &coded)]);
    let at = directory.path();
    let output = run(at, "decompress x.parans");
    check_failure(
        &output,
        "decompress",
        DAMAGED,
        "x.parans: corrupt data: chunk 1 (content bytes ",
    );
    assert_eq!(names(at), ["x.parans"]);
    let said = String::from_utf8(output.stderr).unwrap();
    let (start, end) =
        said.split_once("bytes ").unwrap().1.split_once(')').unwrap().0.split_once("..").unwrap();
    let lost = start.parse::<usize>().unwrap()..end.parse::<usize>().unwrap();
    assert!(lost.start > 0 && lost.end < content.len(), "{lost:?}");

    let output = run(at, "decompress --keep-going x.parans");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(DAMAGED), "{said}");
    assert!(said.contains(&format!("lost bytes {start}..{end} at chunk 1")), "{said}");
    assert!(said.contains("the rest is saved"), "{said}");
    let back = fs::read(at.join("x")).unwrap();
    assert_eq!(back.len(), content.len());
    assert!(back[..lost.start] == content[..lost.start] && back[lost.end..] == content[lost.end..]);
    assert!(back[lost].iter().all(|&byte| byte == 0));
}

#[test]
fn model_files() {
    let file = safetensors_file();
    let directory = place(&[("m.safetensors", &file)]);
    let at = directory.path();
    succeed(at, "compress m.safetensors");
    // A pipe is recognised as well, and makes the same chunks.
    let piped = pipe("compress", &file).stdout;
    let coded = fs::read(at.join("m.safetensors.parans")).unwrap();
    assert_eq!(piped.len(), coded.len());
    assert!(pipe("-d", &piped).stdout == file);
    let shown = String::from_utf8(succeed(at, "inspect m.safetensors.parans").stdout).unwrap();
    for words in ["safetensors", "weights", "F32", "[100, 1000]", "ids", "I64", "planes"] {
        assert!(shown.contains(words), "{shown}");
    }
    let json = succeed(at, "inspect --json m.safetensors.parans").stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["container"], "safetensors");
    assert_eq!(json["bytes"], file.len());
    let entries = json["entries"].as_array().unwrap();
    let weights = entries.iter().find(|entry| entry["name"] == "weights").unwrap();
    assert_eq!(weights["shape"], serde_json::json!([100, 1000]));
    assert!(weights["coded"].as_u64().unwrap() < 400_000);
    let ids = succeed(at, "extract m.safetensors.parans ids").stdout;
    assert_eq!(ids, (0..500i64).flat_map(i64::to_le_bytes).collect::<Vec<u8>>());
    succeed(at, "extract m.safetensors.parans weights -o w.bin");
    assert_eq!(fs::read(at.join("w.bin")).unwrap().len(), 400_000);
    assert_eq!(succeed(at, "extract m.safetensors.parans --bytes 8..9").stdout, b"{");
    succeed(at, "decompress m.safetensors.parans -o back");
    assert!(fs::read(at.join("back")).unwrap() == file);
}

#[test]
fn man_page_completions_and_help() {
    let directory = place(&[]);
    let at = directory.path();
    let man = String::from_utf8(succeed(at, "man").stdout).unwrap();
    assert!(
        man.contains(".TH parans") && man.contains("\\-\\-force") && man.contains("decompress"),
        "{man}"
    );
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script =
            String::from_utf8(succeed(at, &format!("completions {shell}")).stdout).unwrap();
        assert!(script.contains("inspect") && script.contains("keep-going"), "{shell}");
    }
    assert!(String::from_utf8(succeed(at, "--help").stdout).unwrap().contains("Exit status"));
    assert!(String::from_utf8(succeed(at, "--version").stdout).unwrap().starts_with("parans "));
    assert_eq!(run(at, "--no-such-option").status.code(), Some(USAGE));
}

#[test]
fn bench_of_bytes() {
    let directory = place(&[("x", &text(1 << 20))]);
    let json = succeed(directory.path(), "bench --bytes x --json --repeat 1").stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["file"], "x");
    for key in ["enc_mb_s", "dec_mb_s", "compressed", "entropy_bytes"] {
        assert!(json[key].as_f64().unwrap() > 0.0, "{json}");
    }
}

/// Killed at any moment, the program leaves the old file or the new one.
#[cfg(target_os = "linux")]
#[test]
fn killed_at_any_moment() {
    let content = text(12_000_000);
    let directory = place(&[("x", &content)]);
    let at = directory.path();
    let begin = std::time::Instant::now();
    succeed(at, "compress x -o whole");
    let took = begin.elapsed();
    let whole = fs::read(at.join("whole")).unwrap();
    let (mut old, mut new) = (0, 0);
    for step in 0..24 {
        fs::write(at.join("y"), b"old").unwrap();
        let mut child = parans()
            .current_dir(at)
            .args(["-fq", "x", "-o", "y"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(took * step / 16);
        child.kill().unwrap();
        child.wait().unwrap();
        let now = fs::read(at.join("y")).unwrap();
        if now == b"old" {
            old += 1;
        } else {
            assert!(now == whole, "a half-made file of {} bytes", now.len());
            new += 1;
        }
        // Should the file system have no nameless files, or the kill have hit the rename, a
        // temporary name is left.
        for name in names(at) {
            assert!(
                ["x", "y", "whole"].contains(&name.as_str()) || name.starts_with(".parans-"),
                "{name}"
            );
            if name.starts_with(".parans-") {
                fs::remove_file(at.join(name)).unwrap();
            }
        }
    }
    assert!(old > 0, "none of the kills was early enough; {new} came too late");
}

/// Work that takes a while shows how far it is, the rate and the time left, where standard error is
/// a terminal.
#[cfg(target_os = "linux")]
#[test]
fn progress_on_a_terminal() {
    let directory = place(&[]);
    let at = directory.path();
    fs::File::create(at.join("long")).unwrap().set_len(1 << 36).unwrap();
    let (mut controller, name) = pseudoterminal();
    let terminal = fs::File::options().read(true).write(true).open(name).unwrap();
    let mut child = parans()
        .current_dir(at)
        .args(["-T1", "long", "-o", "/dev/null"])
        .stdin(Stdio::null())
        .stderr(terminal)
        .spawn()
        .unwrap();
    let mut shown = String::new();
    let mut piece = [0; 256];
    while !shown.contains(" left") && shown.len() < 10_000 {
        let n = controller.read(&mut piece).unwrap();
        shown.push_str(&String::from_utf8_lossy(&piece[..n]));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(shown.contains("long") && shown.contains("/s ") && shown.contains('%'), "{shown:?}");
}

/// Binary is not written to a terminal, unless forced.
#[cfg(target_os = "linux")]
#[test]
fn terminals_get_no_binary() {
    let directory = place(&[("x", b"content")]);
    let at = directory.path();
    succeed(at, "compress x");
    let (_controller, name) = pseudoterminal();
    let terminal = || fs::File::options().read(true).write(true).open(&name).unwrap();
    let keep = terminal();
    for (line, refused) in [
        ("compress -c x", true),
        ("extract x.parans --bytes 0..1", true),
        ("compress -cf x", false),
        ("decompress -c x.parans", false),
    ] {
        let child = parans()
            .current_dir(at)
            .args(line.split_whitespace())
            .stdout(terminal())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.wait_with_output().unwrap();
        if refused {
            check_failure(&output, line, USAGE, "terminal");
        } else {
            assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
    let child = parans()
        .args(["-d", "-"])
        .stdin(terminal())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check_failure(&child.wait_with_output().unwrap(), "-d", USAGE, "terminal");
    drop(keep);
}

/// Pipes `length` generated bytes through both directions at once and returns the peaks of memory.
#[cfg(target_os = "linux")]
fn stream_through(length: u64) -> (u64, u64) {
    let block = [text(1 << 20), vec![0; 6 << 20], noise(1 << 20)].concat();
    let mut compress = spawn("-T2");
    let mut decompress = parans()
        .args(["-d", "-T2"])
        .stdin(compress.stdout.take().unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = compress.stdin.take().unwrap();
    let mut stdout = decompress.stdout.take().unwrap();
    let peaks = std::thread::scope(|scope| {
        let (compress, decompress, block) = (&compress, &decompress, &block);
        let writer = scope.spawn(move || {
            let mut left = length;
            while left > 0 {
                let n = left.min(block.len() as u64) as usize;
                stdin.write_all(&block[..n]).unwrap();
                left -= n as u64;
            }
            peak_memory(compress)
        });
        let mut got = 0;
        let mut peak = 0;
        let mut piece = vec![0; block.len()];
        while got < length {
            let n = (length - got).min(piece.len() as u64) as usize;
            stdout.read_exact(&mut piece[..n]).unwrap();
            assert!(piece[..n] == block[..n], "content differs in the block at {got}");
            got += n as u64;
            peak = peak.max(if got < length { peak_memory(decompress) } else { 0 });
        }
        assert_eq!(stdout.read(&mut piece).unwrap(), 0);
        (writer.join().unwrap(), peak)
    });
    assert!(compress.wait().unwrap().success() && decompress.wait().unwrap().success());
    peaks
}

#[cfg(target_os = "linux")]
const MEMORY: u64 = 200_000_000;

#[cfg(target_os = "linux")]
#[test]
fn memory_is_bounded() {
    let (compress, decompress) = stream_through(400_000_000);
    assert!(compress < MEMORY && decompress < MEMORY, "peaks of {compress} and {decompress} bytes");
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "minutes: run with --release -- --ignored"]
fn ten_gigabytes_through_a_pipe() {
    let (compress, decompress) = stream_through(10_000_000_000);
    println!("10 GB through a pipe: peaks of {compress} and {decompress} bytes of memory");
    assert!(compress < MEMORY && decompress < MEMORY, "peaks of {compress} and {decompress} bytes");
}

#[test]
#[ignore = "half a minute without optimisation: run with --release -- --ignored"]
fn a_hundred_megabytes() {
    for content in [text(100_000_000), noise(100_000_000)] {
        let coded = pipe("compress", &content).stdout;
        assert!(pipe("decompress", &coded).stdout == content);
    }
}

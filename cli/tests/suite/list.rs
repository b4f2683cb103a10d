//! Lists of compressed files: `-l`, `list`, `test`, `inspect`, and names that a terminal must not
//! get.

use std::{fs, path::Path};

use crate::common::*;
use parans::frame::{Container, Entry, FrameWriter, Layout, Segment, WriteOptions};
use serde_json::Value;

fn stdout(directory: &Path, line: &str) -> String {
    String::from_utf8(succeed(directory, line).stdout).unwrap()
}

/// A frame whose directory has these entries.
fn frame_of(content: &[u8], entries: Vec<Entry>) -> Vec<u8> {
    use std::io::Write;
    let segments = vec![Segment { length: content.len() as u64, dtype: None }];
    let layout = Layout { container: Container::None, entries, segments };
    let mut frame = Vec::new();
    let mut writer = FrameWriter::with_layout(&mut frame, WriteOptions::default(), layout).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap();
    frame
}

#[test]
fn lists_have_a_heading_and_a_total() {
    let directory = place(&[("a", &text(5000)), ("b", &text(300)), ("x", b"foreign bytes")]);
    let at = directory.path();
    succeed(at, "-q a b");
    let size = |name: &str| fs::metadata(at.join(name)).unwrap().len().to_string();
    for command in ["-l", "list", "--list"] {
        let list = stdout(at, &format!("{command} a.parans b.parans"));
        let lines: Vec<Vec<&str>> =
            list.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["compressed", "uncompressed", "ratio", "content", "name"]);
        assert_eq!(lines[1][..2], [&size("a.parans")[..], "5000"]);
        assert_eq!(lines[1][4..], ["bytes", "a.parans"]);
        assert_eq!(lines[2][..2], [&size("b.parans")[..], "300"]);
        let sum =
            size("a.parans").parse::<u64>().unwrap() + size("b.parans").parse::<u64>().unwrap();
        assert_eq!(lines[3][..2], [&sum.to_string()[..], "5300"]);
        assert_eq!(lines[3][4..], ["total", "2", "files"]);
        assert_eq!(lines.len(), 4);
        // One file is its own total; -q leaves the lines alone.
        assert_eq!(stdout(at, &format!("{command} b.parans")).lines().count(), 2);
        assert_eq!(stdout(at, &format!("{command} -q a.parans b.parans")).lines().count(), 2);
        // What cannot be listed is in no total.
        let output = run(at, &format!("{command} a.parans x b.parans"));
        assert_eq!(output.status.code(), Some(FOREIGN));
        assert!(String::from_utf8(output.stdout).unwrap().ends_with("2 files\n"));
        fail(at, &format!("{command} missing"), IO, "missing: No such file");
    }
    // From a pipe, too.
    let coded = fs::read(at.join("a.parans")).unwrap();
    let piped = String::from_utf8(pipe("list", &coded).stdout).unwrap();
    assert!(piped.lines().nth(1).unwrap().ends_with("standard input"), "{piped}");
    #[cfg(target_os = "linux")]
    {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = parans();
        command.current_dir(at).args(["list", "a.parans"]).stdout(full);
        let output = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
        let output = output.wait_with_output().unwrap();
        check_failure(&output, "list", IO, "standard output: No space left on device");
    }
}

#[test]
fn test_says_ok() {
    let directory = place(&[("a", &text(5000)), ("b", b"second")]);
    let at = directory.path();
    succeed(at, "-q a b");
    for line in ["test a.parans b.parans", "-t a.parans b.parans"] {
        let said = String::from_utf8(succeed(at, line).stderr).unwrap();
        let lines: Vec<&str> = said.lines().collect();
        assert!(lines[0].starts_with("a.parans: OK, 5000 bytes"), "{said}");
        assert!(lines[1].starts_with("b.parans: OK, 6 bytes") && lines.len() == 2, "{said}");
    }
    assert!(succeed(at, "test -q a.parans").stderr.is_empty());
    let mut damaged = fs::read(at.join("a.parans")).unwrap();
    damaged[80] ^= 1;
    fs::write(at.join("a.parans"), damaged).unwrap();
    let output = run(at, "test a.parans b.parans");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!said.contains("a.parans: OK") && said.contains("b.parans: OK"), "{said}");
    assert_eq!(output.status.code(), Some(DAMAGED));
}

/// Bytes that steer a terminal, end a line, or turn the direction of writing.
const WILD: &str = "a\x1b]0;title\x07\n\u{9b}2J\u{202e}\u{7f}";

fn assert_tame(text: &[u8], what: &str) {
    let text = std::str::from_utf8(text).unwrap_or_else(|_| panic!("{what}: not UTF-8"));
    let wild = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
    assert!(!text.contains(wild), "{what}: {text:?}");
}

/// One line per file whatever its name, and no name acts on a terminal.
#[cfg(unix)]
#[test]
fn file_names_are_escaped() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let directory = place(&[]);
    let at = directory.path();
    let name = |suffix: &str| {
        let bytes = [WILD.as_bytes(), b"\xff", suffix.as_bytes()].concat();
        OsStr::from_bytes(&bytes).to_owned()
    };
    fs::write(at.join(name("")), text(5000)).unwrap();
    fs::write(at.join(name(".bad")), b"foreign").unwrap();
    let go = |words: &[&str], file: &OsStr| {
        parans().current_dir(at).args(words).arg("--").arg(file).output().unwrap()
    };
    let missing = name(".missing");
    let (plain, coded, bad) = (name(""), name(".parans"), name(".bad"));
    for (words, file, lines) in [
        (&["compress"][..], &plain, (0, 1)),
        (&["compress"], &plain, (0, 1)),
        (&["compress"], &coded, (0, 1)),
        (&["compress"], &missing, (0, 1)),
        (&["-d"], &coded, (0, 1)),
        (&["-df"], &coded, (0, 1)),
        (&["-d"], &bad, (0, 1)),
        (&["-d"], &plain, (0, 1)),
        (&["-t"], &coded, (0, 1)),
        (&["-t"], &bad, (0, 1)),
        (&["-lq"], &coded, (1, 0)),
        (&["-l"], &missing, (0, 1)),
        (&["inspect"], &bad, (0, 1)),
        (&["extract", "--bytes", "0..1"], &bad, (0, 1)),
        (&["extract"], &coded, (0, 1)),
        (&["bench", "--repeat", "1", "--symbols", "8", "--bytes"], &missing, (0, 1)),
    ] {
        let output = match words[0] {
            "bench" => parans().current_dir(at).args(words).arg(file).output().unwrap(),
            _ => go(words, file),
        };
        let count = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte == b'\n').count();
        assert_eq!((count(&output.stdout), count(&output.stderr)), lines, "{words:?}: {output:?}");
        assert_tame(&output.stdout, &format!("{words:?}"));
        assert_tame(&output.stderr, &format!("{words:?}"));
    }
    assert_tame(&go(&["inspect"], &coded).stdout, "inspect");
    // JSON keeps the name: the bytes beside what of them is text.
    let json = go(&["inspect", "--json"], &coded).stdout;
    assert_tame(&json, "JSON");
    let value: Value = serde_json::from_slice(&json).unwrap();
    let hex = value["file_hex"].as_str().unwrap();
    let bytes = (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap());
    assert_eq!(bytes.collect::<Vec<u8>>(), coded.as_bytes());
    assert_eq!(value["file"], coded.to_string_lossy().as_ref());
    // Two names that look alike as text are told apart, and a name that is text has no bytes.
    fs::copy(at.join(&coded), at.join("text.parans")).unwrap();
    let json = go(&["inspect", "--json"], OsStr::new("text.parans")).stdout;
    assert!(serde_json::from_slice::<Value>(&json).unwrap().get("file_hex").is_none());
}

/// Names of tensors and types come from whoever wrote the file.
#[test]
fn tensor_names_are_escaped() {
    let entries = vec![
        Entry::tensor(WILD, "\x1b[31mF32\n", vec![2], 0, 8),
        Entry::tensor("it's \"plain\"", "größe", vec![2], 8, 8),
    ];
    let directory = place(&[("x.parans", &frame_of(&[7; 16], entries))]);
    let at = directory.path();
    let shown = stdout(at, "inspect x.parans");
    assert_tame(shown.as_bytes(), "inspect");
    assert!(shown.contains("it's \"plain\"") && shown.contains("größe"), "{shown}");
    assert!(shown.contains("a\\u{1b}]0;title") && shown.contains("\\u{1b}[31mF32\\n"), "{shown}");
    let json = stdout(at, "inspect --json x.parans");
    assert_eq!(json.lines().count(), 1);
    assert_tame(json.as_bytes(), "JSON");
    let value: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["entries"][0]["name"], WILD);
    assert_eq!(value["entries"][0]["dtype"], "\x1b[31mF32\n");
    let output = run(at, "extract x.parans nothing");
    assert_tame(&output.stderr, "extract");
    let output = parans().current_dir(at).args(["extract", "x.parans", WILD, "--npy"]).output();
    assert_tame(&output.unwrap().stderr, "extract --npy");
}

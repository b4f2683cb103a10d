//! Damaged files and files of several frames through the program: what it saves, says and returns.

use std::{
    fs,
    io::Write,
    ops::Range,
    path::Path,
    process::{Command, Output, Stdio},
};

use parans::frame::{FrameWriter, WriteOptions};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

const DAMAGED: i32 = 4;

fn noise(n: usize, seed: u64) -> Vec<u8> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    (0..n).map(|_| rng.random()).collect()
}

fn compress(content: &[u8], chunk: usize) -> Vec<u8> {
    let options = WriteOptions { chunk_size: Some(chunk), ..WriteOptions::default() };
    let mut writer = FrameWriter::new(Vec::new(), options).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap().0
}

fn program(directory: &Path, line: &str, input: Option<&[u8]>) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_parans"))
        .current_dir(directory)
        .args(line.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // The program may stop reading early.
        scope.spawn(move || drop(stdin.write_all(input.unwrap_or_default())));
        child.wait_with_output().unwrap()
    })
}

/// Saves a file, from a file and from a pipe alike; returns the content and the lines about it
/// without the last.
fn save(file: &[u8]) -> (Vec<u8>, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    fs::write(at.join("x.parans"), file).unwrap();
    let output = program(at, "decompress --keep-going -q x.parans", None);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(DAMAGED), "{said}");
    let saved = fs::read(at.join("x")).unwrap();
    let piped = program(at, "decompress --keep-going -q", Some(file));
    assert_eq!(piped.status.code(), Some(DAMAGED));
    assert!(piped.stdout == saved);
    let mut lines: Vec<String> = said.lines().map(str::to_owned).collect();
    let last = lines.pop().unwrap();
    assert!(last.contains("the rest is saved"), "{last}");
    let of_pipe = String::from_utf8(piped.stderr).unwrap().replace("standard input", "x.parans");
    assert_eq!(of_pipe, said);
    (saved, lines)
}

fn directory_of(file: &[u8]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("x.parans"), file).unwrap();
    directory
}

#[test]
fn bytes_after_the_last_frame() {
    let content = noise(46_000, 1);
    let frame = compress(&content, 4096);
    for rest in [&b"\n"[..], &[0], &[0; 5000], b"chnk", &noise(300, 2)] {
        let file = [&frame[..], rest].concat();
        let (saved, lines) = save(&file);
        assert!(saved == content);
        let place =
            format!("the bytes {}..{} of the file belong to no frame", frame.len(), file.len());
        assert!(lines.len() == 1 && lines[0].contains(&place), "{lines:?}");
        assert!(lines[0].contains("lost an unknown number of bytes at byte 46000"), "{lines:?}");
        let directory = directory_of(&file);
        for command in ["decompress -o y", "test", "-l", "inspect", "extract --bytes 0..1"] {
            let output = program(directory.path(), &format!("{command} x.parans"), None);
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(DAMAGED), "{command}: {said}");
            let place = format!("from file offset {}, begin no other frame", frame.len());
            assert!(said.lines().count() == 1 && said.contains(&place), "{command}: {said}");
        }
    }
}

fn place_in(file: &[u8], part: &[u8]) -> usize {
    file.windows(part.len()).position(|window| window == part).unwrap()
}

#[test]
fn content_hash_wrong() {
    let mut file = compress(b"a few bytes of content", 4096);
    let footer = file.len() - 52;
    file[footer + 32] ^= 1;
    let check = xxh3_64(&file[footer..footer + 44]).to_le_bytes();
    file[footer + 44..footer + 48].copy_from_slice(&check[..4]);
    let (saved, lines) = save(&file);
    assert_eq!(saved, b"a few bytes of content");
    assert!(
        lines.len() == 1
            && lines[0].contains(
                "not sure of bytes 0..22: the content differs from the checksum of the whole"
            ),
        "{lines:?}"
    );
}

/// Each of three frames, with another part of it or of its neighbour damaged.
#[test]
fn frames_after_damage() {
    let contents = [1, 2, 3].map(|seed| noise(30_000, seed));
    let frames = contents.clone().map(|content| compress(&content, 4096));
    let file = frames.concat();
    let second = frames[0].len();
    // A footer, a magic, a header.
    for at in [second - 30, second - 3, second + 1, second + 20] {
        let mut damaged = file.clone();
        damaged[at] ^= 0x10;
        let (saved, lines) = save(&damaged);
        assert!(saved == contents.concat(), "byte {at}: {lines:?}");
        assert_eq!(lines.len(), 1, "byte {at}: {lines:?}");
    }
    // A chunk header in the second frame.
    let mut damaged = file.clone();
    damaged[second + 32 + 4136 + 9] ^= 1;
    let (mut saved, lines) = save(&damaged);
    assert!(saved[34_096..38_192].iter().all(|&byte| byte == 0));
    assert!(
        lines.len() == 1 && lines[0].contains("lost bytes 34096..38192 at chunk 1 of frame 1: "),
        "{lines:?}"
    );
    saved[34_096..38_192].copy_from_slice(&contents[1][4096..8192]);
    assert!(saved == contents.concat());
    // The end of one frame and the beginning of the next are gone.
    let gone: Range<usize> = second - 10_000..second + 10_000;
    let (saved, lines) = save(&[&file[..gone.start], &file[gone.end..]].concat());
    assert!(saved.starts_with(&contents[0][..16_384]) && saved.ends_with(&contents[2]));
    assert!(lines.iter().any(|line| line.contains("an unknown number of bytes")), "{lines:?}");
    // The file is cut.
    let (saved, lines) = save(&file[..second - 20]);
    assert!(saved == contents[0]);
    assert!(lines.len() == 1 && lines[0].contains("an unknown number"), "{lines:?}");
}

/// A frame inside the content is never taken for one of the file.
#[test]
fn frames_inside_content() {
    let inner_content = noise(3000, 9);
    let inner = compress(&inner_content, 512);
    let content = [&noise(100, 1), &inner[..], &noise(1000, 2)].concat();
    let file = compress(&content, 1 << 16);
    // The header of the chunk that holds it, the frame header, both.
    for range in [40..41, 3..4, 0..72, 70..74] {
        let mut damaged = file.clone();
        damaged[range].fill(0xee);
        let (saved, lines) = save(&damaged);
        assert_eq!(saved.len(), content.len());
        assert!(saved == content || saved.iter().all(|&byte| byte == 0), "{lines:?}");
    }
    // The file ends where the inner frame does: who can tell?
    let end = place_in(&file, &inner) + inner.len();
    let (saved, lines) = save(&file[..end]);
    assert!(
        saved.is_empty() || lines.iter().any(|line| line.contains("not sure of bytes 0..3000")),
        "{lines:?}"
    );
}

/// Zeros stand only for content that the file can have held.
#[test]
fn an_index_that_claims_gigabytes() {
    let checked = |mut bytes: Vec<u8>| {
        let check = xxh3_64(&bytes).to_le_bytes();
        bytes.extend(&check[..4]);
        bytes
    };
    let id = b"same";
    let (chunks, raw) = (6000u64, 1u32 << 24);
    let header =
        checked([&b"\x8bPARANS\n\x01\0\0\0"[..], &raw.to_le_bytes(), &[0xff; 8], id].concat());
    // An index from a sound frame of so many chunks of one byte each, which it says to be of 16
    // MiB.
    let mut index = Vec::new();
    index.extend(0u64.to_le_bytes());
    index.extend(chunks.to_le_bytes());
    index.extend([0; 8]);
    for _ in 0..chunks {
        index.extend(raw.to_le_bytes());
        index.extend(1u32.to_le_bytes());
        index.extend([1, 0]);
    }
    let content = chunks * u64::from(raw);
    let n = (index.len() as u64).to_le_bytes();
    let index_header = checked([b"indx", id, &n[..], &content.to_le_bytes()].concat());
    let mut footer = (32 + chunks * 41).to_le_bytes().to_vec();
    footer.extend(n);
    for field in [xxh3_64(&index), content, 0] {
        footer.extend(field.to_le_bytes());
    }
    let footer = checked([&footer[..], id].concat());
    let file = [&header[..], &index_header, &index, &footer, b"done"].concat();
    assert!(file.len() < 61_000);
    let (saved, lines) = save(&file);
    assert!(saved.len() < 1 << 26, "{} bytes", saved.len());
    let omitted = content - saved.len() as u64;
    assert!(lines.iter().any(|line| line.contains(&format!("lost {omitted} bytes"))), "{lines:?}");
}

#[test]
fn several_frames_are_listed_and_extracted() {
    let write = |name: &str, values: &[f32]| {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let mut writer = FrameWriter::new(Vec::new(), WriteOptions::default()).unwrap();
        writer.write_tensor(name, "F32", &[values.len() as u64], &bytes).unwrap();
        (writer.finish().unwrap().0, bytes)
    };
    let (first, a) = write("first", &[1.0, 2.0, 3.0]);
    let (second, b) = write("second", &[4.0, 5.0]);
    let file = [first, second].concat();
    let directory = directory_of(&file);
    let at = directory.path();
    let sound = |line: &str, input: Option<&[u8]>| {
        let output = program(at, line, input);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
        output.stdout
    };
    for line in ["-l x.parans", "inspect x.parans", "inspect --json x.parans"] {
        let listed = String::from_utf8(sound(line, None)).unwrap();
        assert!(listed.contains("20") && listed.contains(&file.len().to_string()), "{listed}");
    }
    let json =
        |line, input| serde_json::from_slice::<serde_json::Value>(&sound(line, input)).unwrap();
    let of_file = json("inspect --json x.parans", None);
    let of_pipe = json("inspect --json", Some(&file));
    assert_eq!(of_file["frames"], 2);
    assert_eq!(of_file["entries"][1]["offset"], 12);
    for key in ["frames", "bytes", "compressed", "container", "codecs"] {
        assert_eq!(of_file[key], of_pipe[key], "{key}");
    }
    for entry in [0, 1] {
        for key in ["name", "offset", "bytes", "shape", "dtype"] {
            assert_eq!(of_file["entries"][entry][key], of_pipe["entries"][entry][key], "{key}");
        }
    }
    assert_eq!(sound("extract x.parans first", None), a);
    assert_eq!(sound("extract x.parans second", None), b);
    assert_eq!(sound("extract x.parans --bytes 8..16", None), [&a[8..], &b[..4]].concat());
}

/// A bit anywhere in a file of nested and several frames: all that is written and not reported is
/// right.
#[test]
fn a_bit_anywhere() {
    let inner = compress(&noise(300, 3), 100);
    let contents = [[&noise(50, 1)[..], &inner, &noise(50, 2)].concat(), noise(400, 4)];
    let frames = contents.clone().map(|content| compress(&content, 160));
    let (file, content) = (frames.concat(), contents.concat());
    for at in (0..file.len()).step_by(23) {
        let mut damaged = file.clone();
        damaged[at] ^= 1 << (at % 8);
        let (saved, lines) = save(&damaged);
        assert_eq!(saved.len(), content.len(), "byte {at}: {lines:?}");
        let lost: Vec<Range<usize>> = lines
            .iter()
            .filter_map(|line| line.split_once("lost bytes ")?.1.split_once(' '))
            .map(|(range, _)| range.trim_end_matches(':').split_once("..").unwrap())
            .map(|(start, end)| start.parse().unwrap()..end.parse().unwrap())
            .collect();
        for (place, (a, b)) in saved.iter().zip(&content).enumerate() {
            let reported = lost.iter().any(|range| range.contains(&place));
            assert!(a == b || reported && *a == 0, "byte {at}: content {place}: {lines:?}");
        }
    }
}

/// A file of the format as it was before this version was settled is refused in a line.
#[test]
fn other_headers_are_refused() {
    let mut file = b"\x8bPARANS\n\x01\0\0\0\0\0\x02\0\x04\0\0\0\0\0\0\0".to_vec();
    file.extend(xxh3_64(&file).to_le_bytes());
    file.extend(noise(200, 1));
    let directory = directory_of(&file);
    for command in ["decompress", "decompress --keep-going", "-l", "test"] {
        let output = program(directory.path(), &format!("{command} x.parans"), None);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(matches!(output.status.code(), Some(3 | 4)), "{command}: {said}");
        assert_eq!(said.lines().count(), 1, "{command}: {said}");
        assert!(!directory.path().join("x").exists());
    }
}

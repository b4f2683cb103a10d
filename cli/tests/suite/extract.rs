//! `parans extract`: tensors by name, ranges of bytes, and npy files that numpy loads.

use std::{fs, io::Write, path::Path};

use crate::common::*;
use parans::frame::{Container, Entry, EntryKind, FrameWriter, Layout, WriteOptions};

/// An npy file as numpy writes it.
fn npy(dictionary: &str, elements: &[u8]) -> Vec<u8> {
    let length = (10 + dictionary.len() + 1usize).next_multiple_of(64) - 10;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(format!("{dictionary:<width$}\n", width = length - 1).as_bytes());
    bytes.extend(elements);
    bytes
}

/// The dictionary and the elements of an npy file.
fn parse(npy: &[u8]) -> (&str, &[u8]) {
    assert_eq!(npy[..8], *b"\x93NUMPY\x01\x00");
    let length = usize::from(u16::from_le_bytes([npy[8], npy[9]]));
    assert_eq!((10 + length) % 64, 0);
    let (header, elements) = npy[10..].split_at(length);
    (std::str::from_utf8(header).unwrap().trim_end(), elements)
}

/// A stored zip file of these members: what `numpy.savez` makes.
fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let crc = |bytes: &[u8]| {
        !bytes.iter().fold(u32::MAX, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
        })
    };
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in members {
        let mut fields = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        fields.extend(crc(bytes).to_le_bytes());
        fields.extend([(bytes.len() as u32).to_le_bytes(); 2].concat());
        fields.extend((name.len() as u32).to_le_bytes());
        directory.extend([b"PK\x01\x02\x14\x00", &fields[..], &[0; 10]].concat());
        directory.extend((out.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        out.extend([b"PK\x03\x04", &fields[..], name.as_bytes(), bytes].concat());
    }
    let begin = out.len() as u32;
    out.extend(&directory);
    let count = (members.len() as u16).to_le_bytes();
    out.extend([b"PK\x05\x06\0\0\0\0", &count[..], &count].concat());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(begin.to_le_bytes());
    out.extend([0, 0]);
    out
}

fn frame_of(content: &[u8], entries: Vec<Entry>, container: Container) -> Vec<u8> {
    let layout = Layout { container, entries, segments: Vec::new() };
    let mut frame = Vec::new();
    let mut writer = FrameWriter::with_layout(&mut frame, WriteOptions::default(), layout).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap();
    frame
}

fn out(directory: &Path, line: &str) -> Vec<u8> {
    succeed(directory, line).stdout
}

#[test]
fn the_only_tensor_needs_no_name() {
    let elements: Vec<u8> = (0..2000u32).flat_map(|i| (i as f32).to_le_bytes()).collect();
    let file = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (40, 50), }", &elements);
    let entry = |name: &str, at| Entry::tensor(name, "U8", vec![2], at, 2);
    let bytes =
        |name: &str| Entry { kind: EntryKind::Bytes, ..Entry::tensor(name, "", vec![], 0, 1) };
    let frame = |entries| frame_of(b"abcd", entries, Container::None);
    let directory = place(&[
        ("a.npy", &file),
        ("plain", b"content"),
        ("one.parans", &frame(vec![entry("x", 1)])),
        ("named.parans", &frame(vec![bytes("config"), entry("x", 2)])),
        ("bytes.parans", &frame(vec![bytes("config")])),
        ("no.parans", &frame(vec![bytes("config"), bytes("more")])),
        ("two.parans", &frame(vec![entry("x", 0), entry("y", 2)])),
        ("npy.parans", &frame(vec![entry("x", 0), entry("x.npy", 2)])),
    ]);
    let at = directory.path();
    succeed(at, "-q a.npy plain");
    assert!(out(at, "extract a.npy.parans") == elements);
    assert_eq!(out(at, "extract one.parans"), b"bc");
    assert_eq!(out(at, "extract named.parans"), b"cd");
    assert_eq!(out(at, "extract bytes.parans"), b"a");
    fail(at, "extract two.parans", USAGE, "two.parans: say which of 2 tensors");
    fail(at, "extract no.parans", USAGE, "no tensors");
    fail(at, "extract plain.parans", USAGE, "no tensors");
    fail(at, "extract plain.parans x", USAGE, "no tensor is named \"x\"");
    // The name of a file that numpy would write, unless there is a tensor of just that name.
    assert_eq!(out(at, "extract two.parans y.npy"), b"cd");
    assert_eq!(out(at, "extract npy.parans x"), b"ab");
    assert_eq!(out(at, "extract npy.parans x.npy"), b"cd");
    fail(at, "extract two.parans z.npy", USAGE, "\"z.npy\"");
    // Content is written whole or not at all.
    succeed(at, "extract one.parans -o out");
    fail(at, "extract one.parans -o out", IO, "exists already");
    succeed(at, "extract one.parans -fo out");
    assert_eq!(fs::read(at.join("out")).unwrap(), b"bc");
}

#[test]
fn ranges_with_open_ends() {
    let directory = place(&[("x", b"0123456789"), ("empty", b"")]);
    let at = directory.path();
    succeed(at, "-q x empty");
    for (range, bytes) in [
        ("3..5", &b"34"[..]),
        ("7..", b"789"),
        ("..2", b"01"),
        ("..", b"0123456789"),
        ("10..", b""),
        ("4..4", b""),
    ] {
        assert_eq!(out(at, &format!("extract x.parans --bytes {range}")), bytes, "{range}");
    }
    assert_eq!(out(at, "extract empty.parans --bytes .."), b"");
    for range in ["..11", "11..", "11..12", "0..18446744073709551615"] {
        let line = format!("extract x.parans --bytes {range}");
        fail(at, &line, USAGE, "of a content of 10 bytes");
    }
    for range in ["5..4", "5", "", "a..", "..-1", "1..2..3", "18446744073709551616.."] {
        let line = format!("extract x.parans --bytes={range}");
        fail(at, &line, USAGE, "--bytes");
    }
    fail(at, "extract - --bytes 0..1", USAGE, "extract needs a file");
    fail(at, "extract missing --bytes 0..1", IO, "missing: No such file");
}

/// From numpy's own files the header comes back as it was: type, shape, and order in memory.
#[test]
fn npy_from_numpy_files() {
    let elements: Vec<u8> = (0..600u32).flat_map(|i| (i as f32).sqrt().to_le_bytes()).collect();
    let c = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (20, 30), }", &elements);
    let fortran = npy("{'descr': '<f4', 'fortran_order': True, 'shape': (20, 30), }", &elements);
    let big = npy("{'descr': '>f8', 'fortran_order': False, 'shape': (300,), }", &elements);
    let scalar = npy("{'descr': '<i8', 'fortran_order': False, 'shape': (), }", &[7; 8]);
    let directory = place(&[
        ("c.npy", &c),
        ("f.npy", &fortran),
        ("m.npz", &zip(&[("c.npy", &c), ("f.npy", &fortran), ("b.npy", &big), ("s.npy", &scalar)])),
    ]);
    let at = directory.path();
    succeed(at, "-q c.npy f.npy m.npz");
    assert!(out(at, "extract --npy c.npy.parans") == c);
    assert!(out(at, "extract --npy f.npy.parans") == fortran);
    for (name, file) in
        [("c", &c), ("f", &fortran), ("f.npy", &fortran), ("b", &big), ("s", &scalar)]
    {
        let line = format!("extract --npy m.npz.parans {name} -fo out.npy");
        succeed(at, &line);
        assert!(&fs::read(at.join("out.npy")).unwrap() == file, "{name}");
    }
    assert!(out(at, "extract m.npz.parans b") == elements);
    // A directory that calls something a numpy file which is none.
    let entry = Entry::tensor("x", "F32", vec![1], 4, 4);
    let forged = frame_of(b"headelem", vec![entry], Container::Npz);
    fs::write(at.join("forged.parans"), forged).unwrap();
    fail(at, "extract --npy forged.parans", IO, "no npy header");
}

/// From safetensors the header is made of type and shape.
#[test]
fn npy_from_safetensors() {
    use safetensors::{Dtype, tensor::TensorView};
    let bytes: Vec<u8> = (0..=255).cycle().take(48).collect();
    let view = |dtype, shape: &[usize]| TensorView::new(dtype, shape.to_vec(), &bytes).unwrap();
    let file = safetensors::serialize(
        [
            ("f32", view(Dtype::F32, &[3, 4])),
            ("i64", view(Dtype::I64, &[6])),
            ("bool", view(Dtype::BOOL, &[2, 4, 6])),
            ("bf16", view(Dtype::BF16, &[24])),
            ("f8", view(Dtype::F8_E4M3, &[48])),
            ("f4", view(Dtype::F4, &[96])),
            ("c64", view(Dtype::C64, &[6, 1])),
        ],
        None,
    );
    let directory = place(&[("m.safetensors", &file.unwrap())]);
    let at = directory.path();
    succeed(at, "-q m.safetensors");
    for (name, descr, shape) in [
        ("f32", "<f4", "3, 4"),
        ("i64", "<i8", "6,"),
        ("bool", "|b1", "2, 4, 6"),
        // numpy has no such types: raw elements, to be viewed as ml_dtypes'.
        ("bf16", "|V2", "24,"),
        ("f8", "|V1", "48,"),
        ("c64", "<c8", "6, 1"),
    ] {
        let file = out(at, &format!("extract --npy m.safetensors.parans {name}"));
        let expected =
            format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
        assert_eq!(parse(&file), (&expected[..], &bytes[..]));
    }
    fail(
        at,
        "extract --npy m.safetensors.parans f4 -o out",
        USAGE,
        "no type for elements of type F4",
    );
    fail(at, "extract --npy m.safetensors.parans", USAGE, "which of 7 tensors");
    assert!(!at.join("out").exists());
}

/// Entries of others' frames.
#[test]
fn npy_of_what_is_no_array() {
    let wrong = Entry::tensor("wrong", "F32", vec![3], 0, 8);
    let huge = Entry::tensor("huge", "F32", vec![u64::MAX, 4], 0, 8);
    let strange = Entry::tensor("strange", "<f4', 'x': '", vec![2], 0, 8);
    let numpy = Entry::tensor("numpy", ">i4", vec![2], 0, 8);
    let raw = Entry { kind: EntryKind::Bytes, ..Entry::tensor("raw", "", vec![], 0, 8) };
    let entries = vec![wrong, huge, strange, numpy, raw];
    let frame = frame_of(&[1; 8], entries, Container::None);
    let directory = place(&[("x.parans", &frame)]);
    let at = directory.path();
    fail(at, "extract --npy x.parans wrong", USAGE, "8 bytes are no [3] elements of type F32");
    fail(at, "extract --npy x.parans huge", USAGE, "elements of type F32");
    fail(at, "extract --npy x.parans strange", USAGE, "no type for elements");
    fail(at, "extract --npy x.parans raw", USAGE, "needs a tensor");
    let file = out(at, "extract --npy x.parans numpy");
    let expected = "{'descr': '>i4', 'fortran_order': False, 'shape': (2,), }";
    assert_eq!(parse(&file), (expected, &[1; 8][..]));
}

//! Any content in any pieces comes back from a frame, in order and at random.
#![no_main]

use std::io::{Cursor, Write};

use libfuzzer_sys::fuzz_target;
use parans::frame::{FrameArchive, FrameReader, FrameWriter, ReadOptions, WriteOptions};

fuzz_target!(|input: (u16, Vec<(u8, Vec<u8>)>)| {
    let (chunk, pieces) = input;
    let options =
        WriteOptions { chunk_size: Some(usize::from(chunk).max(8)), ..WriteOptions::default() };
    let mut writer = FrameWriter::new(Vec::new(), options).expect("the chunk size is allowed");
    let mut content = Vec::new();
    let mut tensors = Vec::new();
    for (number, (kind, bytes)) in pieces.iter().enumerate() {
        let name = number.to_string();
        let types = [("F32", 4), ("BF16", 2), ("F64", 8), ("I16", 2), ("U8", 1)];
        match kind % 8 {
            0..5 => {
                let (dtype, size) = types[usize::from(kind % 8)];
                let bytes = &bytes[..bytes.len() / size * size];
                writer
                    .write_tensor(&name, dtype, &[(bytes.len() / size) as u64], bytes)
                    .expect("whole elements");
                tensors.push((name, content.len()..content.len() + bytes.len()));
                content.extend_from_slice(bytes);
            }
            _ => {
                writer.write_all(bytes).expect("a vector takes all");
                content.extend_from_slice(bytes);
            }
        }
    }
    let (frame, summary) = writer.finish().expect("a vector takes all");
    assert_eq!((summary.content, summary.frame), (content.len() as u64, frame.len() as u64));
    let mut back = Vec::new();
    FrameReader::new(&frame[..], ReadOptions::default()).copy_to(&mut back).expect("a sound frame");
    assert!(back == content);
    let mut archive = FrameArchive::open(Cursor::new(&frame)).expect("a sound frame");
    for (name, range) in tensors {
        let mut out = Vec::new();
        archive.extract(&name, &mut out).expect("a sound frame");
        assert!(out == content[range]);
    }
});

//! Any content in any pieces comes back from a frame, in order and at random, and from one that is
//! coded against any base.
#![no_main]

use std::{
    io::{Cursor, Write},
    sync::Arc,
};

use libfuzzer_sys::fuzz_target;
use parans::frame::{
    Base, FrameArchive, FrameReader, FrameWriter, ReadOptions, Repeat, WriteOptions,
};

fuzz_target!(|input: (u16, Vec<(u8, Vec<u8>)>, Option<Vec<u8>>, Option<(u16, u16, u16)>)| {
    let (chunk, pieces, base, repeat) = input;
    // A base that is a damaged frame is none.
    let base = base.and_then(|bytes| Base::from_bytes("base", bytes).ok()).map(Arc::new);
    let options =
        WriteOptions { chunk_size: Some(usize::from(chunk).max(8)), ..WriteOptions::default() };
    let mut writer = FrameWriter::new(Vec::new(), options).expect("the chunk size is allowed");
    if let Some(base) = &base {
        writer = writer.with_base(base.clone()).expect("before content");
    }
    if let Some((source, length, gap)) = repeat {
        let (source, length) = (u64::from(source), u64::from(length));
        let start = source + length + u64::from(gap);
        let repeats = vec![Repeat { content: start..start + length, source }];
        writer = writer.with_repeats(repeats).expect("behind its source");
    }
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
    let bases: Vec<Arc<Base>> = base.into_iter().collect();
    let options = ReadOptions { bases: bases.clone(), ..ReadOptions::default() };
    FrameReader::new(&frame[..], options).copy_to(&mut back).expect("a sound frame");
    assert!(back == content);
    let mut archive = FrameArchive::open(Cursor::new(&frame)).expect("a sound frame");
    if !archive.bases().is_empty() {
        archive.set_bases(bases).expect("the base that it names");
    }
    for (name, range) in tensors {
        let mut out = Vec::new();
        archive.extract(&name, &mut out).expect("a sound frame");
        assert!(out == content[range]);
    }
});

//! Any bytes as the pickle of an archive of `torch.save` with storages of their own lengths:
//! nothing is executed, and what is named lies inside. The archive is written plainly, so that the
//! bytes need not get past checksums and offsets.
#![no_main]

use std::io::{Cursor, Write};

use libfuzzer_sys::fuzz_target;
use parans::frame::{FrameArchive, RecognisingWriter, WriteOptions, recognise};

/// A stored zip file of these members.
fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in members {
        let sizes = [(bytes.len() as u32).to_le_bytes(); 2].concat();
        let fields = [&[0; 14], &sizes[..], &(name.len() as u32).to_le_bytes()].concat();
        directory.extend([b"PK\x01\x02\0\0", &fields[..], &[0; 10]].concat());
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

fuzz_target!(|pickle: &[u8]| {
    let storage = [7; 64];
    let content = zip(&[
        ("m/data.pkl", pickle),
        ("m/data/0", &storage[..48]),
        ("m/data/1", &storage),
        ("m/data/2", &[]),
    ]);
    let layout = recognise(&content);
    for entry in layout.iter().flat_map(|layout| &layout.entries) {
        assert!(entry.end() <= content.len() as u64);
    }
    let mut writer = RecognisingWriter::new(Vec::new(), WriteOptions::default());
    writer.write_all(&content).expect("a vector takes all");
    let (frame, _) = writer.finish().expect("entries lie inside, or there are none");
    FrameArchive::open(Cursor::new(&frame)).expect("a sound frame");
});

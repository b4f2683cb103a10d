//! Any bytes as a model file, at once and as they arrive: whatever is recognised, the very bytes
//! come back and the entries lie inside.
#![no_main]

use std::io::{Cursor, Write};

use libfuzzer_sys::fuzz_target;
use parans::frame::{
    FrameArchive, FrameReader, FrameWriter, ReadOptions, RecognisingWriter, WriteOptions,
    recognise, recognise_file, recognise_head,
};

fuzz_target!(|bytes: &[u8]| {
    let by_seeking = recognise_file(Cursor::new(bytes)).expect("memory can be read");
    // Tensors without elements are named in any order.
    assert_eq!(
        by_seeking.map(|layout| layout.segments),
        recognise(bytes).map(|layout| layout.segments)
    );
    // As it arrives, in pieces of a length that the content says.
    let piece = usize::from(bytes.last().copied().unwrap_or(0)) * 16 + 1;
    let mut writer = RecognisingWriter::new(Vec::new(), WriteOptions::default());
    for piece in bytes.chunks(piece) {
        writer.write_all(piece).expect("a vector takes all");
    }
    let (frame, _) = writer.finish().expect("entries lie inside, or there are none");
    let mut back = Vec::new();
    FrameReader::new(&frame[..], ReadOptions::default()).copy_to(&mut back).expect("a sound frame");
    assert!(back == bytes);
    FrameArchive::open(Cursor::new(&frame)).expect("a sound frame");

    for layout in [recognise(bytes), recognise_head(bytes)].into_iter().flatten() {
        let mut writer = FrameWriter::with_layout(Vec::new(), WriteOptions::default(), layout)
            .expect("recognised entries fit");
        writer.write_all(bytes).expect("a vector takes all");
        let (frame, _) = writer.finish().expect("entries lie inside, or the layout is dropped");
        let mut back = Vec::new();
        FrameReader::new(&frame[..], ReadOptions::default())
            .copy_to(&mut back)
            .expect("a sound frame");
        assert!(back == bytes);
        FrameArchive::open(Cursor::new(&frame)).expect("a sound frame");
    }
});

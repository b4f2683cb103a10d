//! Any bytes as a frame: read from first to last, past damage, and at random. What one way reads,
//! the others read alike.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use parans::frame::{FrameArchive, FrameReader, FrameSalvage, ReadOptions};

/// Content is bounded so that a chunk of constants, rightly 2^24 bytes in 37, does not take all the
/// time.
const MOST: u64 = 1 << 26;

fuzz_target!(|bytes: &[u8]| {
    let mut content = Vec::new();
    let strict =
        FrameReader::new(bytes, ReadOptions { max_content: MOST, ..ReadOptions::default() })
            .copy_to(&mut content);
    let mut salvaged = Vec::new();
    let options = ReadOptions { max_content: MOST, ..ReadOptions::default() };
    let mut salvage =
        FrameSalvage::new(Cursor::new(bytes), options).expect("bytes in memory can be sought");
    let saved = salvage.copy_to(&mut salvaged);
    if strict.is_ok() {
        assert!(saved.is_ok() && salvage.damage().is_empty() && salvaged == content);
    }
    if let Ok(mut archive) = FrameArchive::open(Cursor::new(bytes)) {
        let length = archive.content_length();
        if length <= MOST {
            let (a, b) = (length / 3, length - length / 5);
            if let Ok(part) = archive.read_range(a..b)
                && strict.is_ok()
            {
                assert!(part == content[a as usize..b as usize]);
            }
        }
        let names: Vec<String> =
            archive.index().entries.iter().take(4).map(|entry| entry.name.clone()).collect();
        for name in names {
            let _ = archive.read_rows(&name);
        }
    }
});

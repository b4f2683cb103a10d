//! Frames through the public interface: round trips, random access, damage of every kind, limits.

use std::io::{Cursor, Read, Write};

use parans::{
    Error, Result,
    frame::{
        Container, Entry, FrameArchive, FrameReader, FrameSalvage, FrameWriter, Layout, Loss,
        ReadOptions, Segment, Summary, WriteOptions,
    },
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use xxhash_rust::xxh3::xxh3_64;

fn options(chunk_size: usize) -> WriteOptions {
    WriteOptions { chunk_size: Some(chunk_size), ..WriteOptions::default() }
}

fn compress(content: &[u8], options: WriteOptions) -> Vec<u8> {
    let mut writer = FrameWriter::new(Vec::new(), options).unwrap();
    writer.write_all(content).unwrap();
    let (frame, summary) = writer.finish().unwrap();
    assert_eq!((summary.content, summary.frame), (content.len() as u64, frame.len() as u64));
    frame
}

fn decompress(frame: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    FrameReader::new(frame, ReadOptions::default()).copy_to(&mut out)?;
    Ok(out)
}

/// Content that makes chunks of every codec: text, zeros, noise.
fn mixture() -> Vec<u8> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
    let mut content = b"so much depends upon a red wheel barrow glazed with rain water ".repeat(60);
    content.resize(content.len() + 2 * 2048, 0);
    content.extend((0..3000).map(|_| rng.random::<u8>()));
    content.extend((0..5000).map(|_| rng.random::<u8>() & rng.random::<u8>() & 3));
    content
}

fn small() -> (Vec<u8>, Vec<u8>) {
    let content: Vec<u8> = mixture()[3500..9000].to_vec();
    let mut writer = FrameWriter::new(Vec::new(), options(2048)).unwrap();
    writer.write_all(&content[..1000]).unwrap();
    writer.write_tensor("a/weight", "U8", &[2, 250], &content[1000..1500]).unwrap();
    writer.write_all(&content[1500..]).unwrap();
    let (frame, _) = writer.finish().unwrap();
    assert_eq!(decompress(&frame).unwrap(), content);
    (content, frame)
}

#[test]
fn empty_one_byte_and_mixture() {
    for content in [vec![], vec![7], mixture()] {
        for chunk_size in [None, Some(8), Some(2048), Some(1 << 24)] {
            let frame = compress(&content, WriteOptions { chunk_size, ..WriteOptions::default() });
            assert_eq!(decompress(&frame).unwrap(), content);
            let mut archive = FrameArchive::open(Cursor::new(&frame)).unwrap();
            assert_eq!(archive.read_range(0..content.len() as u64).unwrap(), content);
            assert_eq!(archive.content_check(), Some(xxh3_64(&content)));
            assert_eq!(archive.frame_length(), frame.len() as u64);
        }
    }
    let codecs: std::collections::BTreeSet<&str> =
        FrameArchive::open(Cursor::new(compress(&mixture(), options(2048))))
            .unwrap()
            .index()
            .chunks
            .iter()
            .map(|chunk| chunk.codec.name())
            .collect();
    assert_eq!(codecs.into_iter().collect::<Vec<_>>(), ["constant", "order-0", "stored"]);
}

/// Noise costs less than 0.1 % and the least frame is 116 bytes, as the format text adds up: its
/// index is a constant.
#[test]
fn overhead() {
    assert_eq!(compress(&[], WriteOptions::default()).len(), 32 + 28 + 4 + 52);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let noise: Vec<u8> = (0..3 << 20).map(|_| rng.random()).collect();
    let frame = compress(&noise, WriteOptions::default());
    assert!(frame.len() * 1000 <= noise.len() * 1001, "{} bytes for {}", frame.len(), noise.len());
}

/// Every truncation, every other value of every byte, every inserted byte and bytes behind the end
/// are errors.
#[test]
fn every_small_damage_is_an_error() {
    let (content, frame) = small();
    for length in 0..frame.len() {
        let error = decompress(&frame[..length]).unwrap_err();
        let expected = if length == 0 {
            matches!(error, Error::Truncated(_) | Error::Unsupported(_))
        } else {
            matches!(error, Error::Truncated(_))
        };
        assert!(expected, "cut to {length}: {error}");
        assert!(FrameArchive::open(Cursor::new(&frame[..length])).is_err(), "cut to {length}");
    }
    let mut damaged = frame.clone();
    for at in 0..frame.len() {
        for flip in [1, 0x80, 0xff] {
            damaged[at] = frame[at] ^ flip;
            assert!(decompress(&damaged).is_err(), "byte {at} changed by {flip:#x}");
            // Random access checks what it touches: all of the content, here.
            let at_random = FrameArchive::open(Cursor::new(&damaged))
                .and_then(|mut archive| archive.read_range(0..content.len() as u64));
            assert!(at_random.is_err(), "byte {at} changed by {flip:#x}");
        }
        damaged[at] = frame[at];
    }
    for at in (0..=frame.len()).step_by(7) {
        let longer = [&frame[..at], &[0x63], &frame[at..]].concat();
        assert!(decompress(&longer).is_err(), "a byte inserted at {at}");
    }
}

/// Every value of every byte, for a frame small enough.
#[test]
fn every_value_of_every_byte() {
    let frame = compress(b"abababab ababab c", options(8));
    let mut damaged = frame.clone();
    for at in 0..frame.len() {
        for value in (0..=255u8).filter(|&value| value != frame[at]) {
            damaged[at] = value;
            assert!(decompress(&damaged).is_err(), "byte {at} is {value:#x}");
        }
        damaged[at] = frame[at];
    }
}

#[test]
fn errors_name_the_chunk() {
    let (_, frame) = small();
    let archive = FrameArchive::open(Cursor::new(&frame)).unwrap();
    let before: usize = 32
        + archive.index().chunks[..2].iter().map(|chunk| 40 + chunk.coded as usize).sum::<usize>();
    let mut damaged = frame.clone();
    damaged[before + 40] ^= 1;
    let message = decompress(&damaged).unwrap_err().to_string();
    assert!(message.starts_with("corrupt data: chunk 2 (content bytes 1500.."), "{message}");
    let mut archive = FrameArchive::open(Cursor::new(&damaged)).unwrap();
    assert_eq!(archive.read_range(0..1500).unwrap().len(), 1500);
    let message = archive.read_range(0..1501).unwrap_err().to_string();
    assert!(message.starts_with("corrupt data: chunk 2 (content bytes 1500.."), "{message}");
}

/// Claims in headers with right checksums: nothing is allocated or waited for on their account.
#[test]
fn hostile_claims() {
    const ID: [u8; 4] = *b"same";
    let header = |max_chunk: u32, length: u64| {
        let mut bytes =
            [&b"\x8bPARANS\n\x01\0\0\0"[..], &max_chunk.to_le_bytes(), &length.to_le_bytes()]
                .concat();
        bytes.extend(ID);
        let check = xxh3_64(&bytes).to_le_bytes();
        bytes.extend(&check[..4]);
        bytes
    };
    let chunk = |codec: u8, raw: u32, coded: u32, offset: u64, payload: &[u8]| {
        let mut bytes =
            [b"chnk", &[codec, 0, 0, 0][..], &raw.to_le_bytes(), &coded.to_le_bytes()].concat();
        bytes.extend(offset.to_le_bytes());
        bytes.extend(xxh3_64(payload).to_le_bytes());
        bytes.extend(ID);
        let check = xxh3_64(&bytes).to_le_bytes();
        bytes.extend(&check[..4]);
        bytes.extend(payload);
        bytes
    };
    let index = |length: u64| {
        let mut bytes = [&b"indx"[..], &ID, &length.to_le_bytes(), &[0; 8]].concat();
        let check = xxh3_64(&bytes).to_le_bytes();
        bytes.extend(&check[..4]);
        bytes
    };
    let sound = header(1 << 24, u64::MAX);
    let refused = |bytes: Vec<u8>, what: &str| {
        let message = decompress(&bytes).unwrap_err().to_string();
        assert!(message.contains(what), "{message}");
        let _ = salvage_any(&bytes);
    };
    refused(header(1 << 25, 0), "1 to 16777216 allowed");
    refused(header(0, 0), "1 to 16777216 allowed");
    refused(
        [sound.clone(), chunk(0, 1 << 24, 1 << 24, 0, b"short")].concat(),
        "ends 5 bytes into the 16777216",
    );
    refused(
        [sound.clone(), chunk(0, u32::MAX, u32::MAX, 0, b"")].concat(),
        "a chunk of 4294967295 bytes",
    );
    refused(
        [sound.clone(), chunk(0, 4, 4, 1 << 60, b"four")].concat(),
        "content offset 1152921504606846976",
    );
    refused(
        [sound.clone(), chunk(0, 4, 4, u64::MAX, b"four")].concat(),
        "content offset 18446744073709551615",
    );
    refused([sound.clone(), chunk(77, 4, 4, 0, b"four")].concat(), "chunk codec 77");
    refused(
        [sound.clone(), index(1 << 60)].concat(),
        "an index of 1152921504606846976 bytes for 0 chunks",
    );
    refused([sound.clone(), index(1 << 26)].concat(), "inside the index of 67108864 bytes");
    // A forged offset far ahead must not fill a disk with zeros for salvage either.
    let forged = [sound, chunk(0, 4, 4, 0, b"four"), chunk(0, 4, 4, 1 << 50, b"four")].concat();
    let mut out = Vec::new();
    let mut salvage = FrameSalvage::new(Cursor::new(&forged), ReadOptions::default()).unwrap();
    salvage.copy_to(&mut out).unwrap();
    assert_eq!(out, b"fourfour");
    let omitted = Loss::Omitted((1 << 50) - 4);
    assert!(
        salvage.damage().iter().any(|damage| damage.loss == omitted && damage.output == (4..4))
    );
}

fn salvage_any(frame: &[u8]) -> Option<usize> {
    let mut out = Vec::new();
    let options = ReadOptions { max_content: 1 << 26, ..ReadOptions::default() };
    let mut salvage = FrameSalvage::new(Cursor::new(frame), options).unwrap();
    salvage.copy_to(&mut out).ok().map(|_| out.len())
}

#[test]
fn content_limit() {
    let frame = compress(&[5; 100_000], options(1000));
    for (most, good) in [(99_999, false), (100_000, true)] {
        let mut reader = FrameReader::new(
            &frame[..],
            ReadOptions { max_content: most, ..ReadOptions::default() },
        );
        let mut out = Vec::new();
        assert_eq!(reader.copy_to(&mut out).is_ok(), good);
        assert!(out.len() as u64 <= most);
    }
}

#[test]
fn frames_one_after_another() {
    let (a, b) = (compress(b"first", options(8)), compress(b"second content", options(8)));
    let both = [&a[..], &b].concat();
    assert_eq!(decompress(&both).unwrap(), b"firstsecond content");
    for rest in [&b"not a frame, but long enough to be a header"[..], b"\n", &[0; 500]] {
        let longer = [&both[..], rest].concat();
        let refused = FrameArchive::open(Cursor::new(&longer)).map(drop);
        for error in [decompress(&longer).unwrap_err(), refused.unwrap_err()] {
            let place = format!("from file offset {}, begin no other frame", both.len());
            assert!(matches!(&error, Error::Corrupt(m) if m.contains(&place)), "{error}");
        }
    }
}

/// The directories, tables and contents of several frames are one; a frame among them may be empty.
#[test]
fn archives_of_several_frames() {
    let parts = [(&b"first"[..], "a"), (b"", "b"), (b"second content, in chunks", "c")];
    let mut file = Vec::new();
    for (content, name) in parts {
        let mut writer = FrameWriter::new(Vec::new(), options(8)).unwrap();
        writer.write_bytes(name, content).unwrap();
        file.extend(writer.finish().unwrap().0);
    }
    let all = b"firstsecond content, in chunks";
    let mut archive = FrameArchive::open(Cursor::new(&file)).unwrap();
    assert_eq!((archive.frames(), archive.content_check()), (3, None));
    assert_eq!(archive.content_length(), all.len() as u64);
    assert_eq!(archive.frame_length(), file.len() as u64);
    assert_eq!(archive.index().chunks.len(), 1 + 4);
    let offsets: Vec<u64> = archive.index().entries.iter().map(|entry| entry.offset).collect();
    assert_eq!(offsets, [0, 5, 5]);
    for start in 0..=all.len() {
        for end in start..=all.len() {
            assert_eq!(archive.read_range(start as u64..end as u64).unwrap(), &all[start..end]);
        }
    }
    for (content, name) in parts {
        let mut out = Vec::new();
        archive.extract(name, &mut out).unwrap();
        assert_eq!(out, content);
    }
    assert!(archive.coded_bytes(0..5) > 5.0);
}

/// An index is read only as long as what is before it can make it.
#[test]
fn index_lengths_are_checked_before_they_are_read() {
    struct Sparse {
        parts: Vec<(u64, Vec<u8>)>,
        length: u64,
        at: u64,
        read: u64,
    }
    impl Read for Sparse {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let n = (self.length - self.at).min(out.len() as u64) as usize;
            out[..n].fill(0);
            for (place, bytes) in &self.parts {
                for (at, &byte) in (*place..).zip(bytes) {
                    if (self.at..self.at + n as u64).contains(&at) {
                        out[(at - self.at) as usize] = byte;
                    }
                }
            }
            self.at += n as u64;
            self.read += n as u64;
            Ok(n)
        }
    }
    impl std::io::Seek for Sparse {
        fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
            self.at = match to {
                std::io::SeekFrom::Start(at) => at,
                std::io::SeekFrom::End(by) => self.length.checked_add_signed(by).unwrap(),
                std::io::SeekFrom::Current(by) => self.at.checked_add_signed(by).unwrap(),
            };
            Ok(self.at)
        }
    }
    let checked = |mut bytes: Vec<u8>| {
        let check = xxh3_64(&bytes).to_le_bytes();
        bytes.extend(&check[..4]);
        bytes
    };
    let id = *b"same";
    let header = checked([&b"\x8bPARANS\n\x01\0\0\0"[..], &[0, 0, 1, 0], &[0xff; 8], &id].concat());
    // With nothing before the index, and with as many bytes as could be chunks.
    for (index_at, length) in [(32u64, 200 << 30), (800 << 30, 100u64 << 30)] {
        let index = checked([&b"indx"[..], &id, &length.to_le_bytes(), &[0; 8]].concat());
        let mut footer = Vec::new();
        for field in [index_at, length, 77, 0, 0] {
            footer.extend(field.to_le_bytes());
        }
        let footer = [checked([footer, id.to_vec()].concat()), b"done".to_vec()].concat();
        let footer_at = index_at + 28 + length;
        let mut file = Sparse {
            parts: vec![(0, header.clone()), (index_at, index), (footer_at, footer)],
            length: footer_at + 52,
            at: 0,
            read: 0,
        };
        let error = FrameArchive::open(&mut file).map(drop).unwrap_err();
        assert!(matches!(&error, Error::Corrupt(m) if m.contains("an index of")), "{error}");
        assert!(file.read < 1 << 20, "{} bytes read", file.read);
    }
}

#[test]
fn announced_length() {
    let announce =
        |length| WriteOptions { content_length: Some(length), ..WriteOptions::default() };
    let frame = compress(b"12345", announce(5));
    let mut reader = FrameReader::new(&frame[..], ReadOptions::default());
    assert_eq!(reader.content_length(), None);
    reader.read_exact(&mut [0; 1]).unwrap();
    assert_eq!(decompress(&frame).unwrap(), b"12345");
    let mut writer = FrameWriter::new(Vec::new(), announce(6)).unwrap();
    writer.write_all(b"12345").unwrap();
    assert!(matches!(writer.finish(), Err(Error::InvalidArgument(_))));
}

#[test]
fn tensors_by_name() {
    let (content, frame) = small();
    let mut archive = FrameArchive::open(Cursor::new(&frame)).unwrap();
    let mut out = Vec::new();
    let entry = archive.extract("a/weight", &mut out).unwrap();
    assert_eq!(entry, Entry::tensor("a/weight", "U8", vec![2, 250], 1000, 500));
    assert_eq!(out, &content[1000..1500]);
    assert!(matches!(archive.extract("b", &mut out), Err(Error::InvalidArgument(_))));
    let mut writer = FrameWriter::new(Vec::new(), WriteOptions::default()).unwrap();
    let error = writer.write_tensor("x", "F32", &[3], &[0; 13]).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument(m) if m.contains("13 bytes")));
}

/// A chunk is read only when its content is asked for.
#[test]
fn random_access_touches_only_what_it_needs() {
    let content: Vec<u8> = (0..100_000u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
    let mut frame = compress(&content, options(1 << 12));
    // Everything between the first chunk and the last is destroyed.
    let index = FrameArchive::open(Cursor::new(&frame)).unwrap().index().clone();
    let first = 32 + 40 + index.chunks[0].coded as usize;
    let last = index.file_offset() as usize - 40 - index.chunks.last().unwrap().coded as usize;
    frame[first..last].fill(0);
    let mut archive = FrameArchive::open(Cursor::new(&frame)).unwrap();
    assert_eq!(archive.read_range(100..4096).unwrap(), &content[100..4096]);
    assert_eq!(archive.read_range(399_999..400_000).unwrap(), &content[399_999..]);
    assert_eq!(archive.read_range(77..77).unwrap(), b"");
    assert!(archive.read_range(4096..4097).is_err());
    let reversed = std::ops::Range { start: 5, end: 4 };
    assert!(matches!(archive.read_range(reversed), Err(Error::InvalidArgument(_))));
    assert!(matches!(archive.read_range(0..400_001), Err(Error::InvalidArgument(_))));
}

/// A layout whose promise the content does not keep leaves plain bytes.
#[test]
fn layouts_are_promises() {
    let layout = || Layout {
        container: Container::Npy,
        entries: vec![Entry::tensor("t", "I8", vec![600], 400, 600)],
        segments: vec![Segment { length: 400, dtype: None }, Segment { length: 600, dtype: None }],
    };
    let digits: Vec<u8> = b"0123456789".iter().copied().cycle().take(1001).collect();
    for length in [0, 399, 400, 999, 1000, 1001] {
        let content = &digits[..length];
        let mut writer =
            FrameWriter::with_layout(Vec::new(), WriteOptions::default(), layout()).unwrap();
        writer.write_all(content).unwrap();
        let (frame, _) = writer.finish().unwrap();
        assert_eq!(decompress(&frame).unwrap(), content);
        let archive = FrameArchive::open(Cursor::new(&frame)).unwrap();
        assert_eq!(archive.index().entries.len(), usize::from(length == 1000));
        assert_eq!(
            archive.index().container,
            if length == 1000 { Container::Npy } else { Container::None }
        );
    }
}

/// A writer that fails now and then, or takes little at a time, loses nothing silently.
#[test]
fn failing_writers() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.0 == 0 {
                return Err(std::io::Error::other("full"));
            }
            let n = bytes.len().min(3).min(self.0);
            self.0 -= n;
            Ok(n)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let content = mixture();
    let whole = compress(&content, options(1024)).len();
    let run = |room| -> Result<Summary> {
        let mut writer = FrameWriter::new(Full(room), options(1024))?;
        for piece in content.chunks(777) {
            writer.write_all(piece)?;
        }
        Ok(writer.finish()?.1)
    };
    for room in (0..whole).step_by(11) {
        assert!(matches!(run(room), Err(Error::Io(_))), "room for {room}");
    }
    assert_eq!(run(whole).unwrap().frame, whole as u64);
}

/// The pool does not change a byte, whatever its size, and a pool of one thread does not wait for
/// itself.
#[test]
fn any_pool_writes_the_same() {
    let content = mixture().repeat(20);
    let frames: Vec<Vec<u8>> = [1, 2, 5]
        .map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let frame = compress(&content, options(4096));
                assert_eq!(decompress(&frame).unwrap(), content);
                frame
            })
        })
        .into();
    assert!(frames.iter().all(|frame| *frame == frames[0]));
}

proptest! {
    #[test]
    fn round_trips(
        content in prop::collection::vec(prop_oneof![Just(0u8), 0u8..9, any::<u8>()], 0..5000),
        chunk_size in 8usize..600,
        cuts in prop::collection::vec(0usize..5000, 0..6),
        range in (0usize..5000, 0usize..5000),
    ) {
        let mut writer = FrameWriter::new(Vec::new(), options(chunk_size)).unwrap();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(content.len())).chain([0, content.len()]).collect();
        cuts.sort_unstable();
        for (number, pair) in cuts.windows(2).enumerate() {
            let piece = &content[pair[0]..pair[1]];
            if number % 2 == 0 {
                writer.write_all(piece).unwrap();
            } else {
                writer.write_bytes(&number.to_string(), piece).unwrap();
            }
        }
        let (frame, _) = writer.finish().unwrap();
        prop_assert_eq!(&decompress(&frame).unwrap(), &content);
        let mut archive = FrameArchive::open(Cursor::new(&frame)).unwrap();
        let (a, b) = (range.0.min(content.len()), range.1.min(content.len()));
        let (a, b) = (a.min(b), a.max(b));
        prop_assert_eq!(archive.read_range(a as u64..b as u64).unwrap(), &content[a..b]);
        for (number, pair) in cuts.windows(2).enumerate().filter(|(number, _)| number % 2 == 1) {
            let mut out = Vec::new();
            archive.extract(&number.to_string(), &mut out).unwrap();
            prop_assert_eq!(out, &content[pair[0]..pair[1]]);
        }
    }

    /// Random bytes behind a sound header, and sound frames with random damage, are read or refused
    /// in bounded memory.
    #[test]
    fn random_damage(seed in any::<u64>(), hits in 1usize..30) {
        let (_, frame) = small();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut damaged = frame.clone();
        for _ in 0..hits {
            let at = rng.random_range(0..damaged.len());
            damaged[at] = rng.random();
        }
        prop_assert!(damaged == frame || decompress(&damaged).is_err());
        let _ = salvage_any(&damaged);
    }
}

/// Long runs of zeros are chunks of their own: they take next to nothing, and what lies between
/// them no more than it takes alone.
#[test]
fn runs_of_zeros_cost_nothing() {
    let weights: Vec<u8> =
        (0..300_000).flat_map(|i| ((i as f32 * 0.7).sin() * 0.02).to_le_bytes()).collect();
    let alone = compress(&weights, WriteOptions::default());
    let mut content = Vec::new();
    for piece in weights.chunks(200_000) {
        content.extend_from_slice(piece);
        content.resize(content.len() + 100_000, 0);
    }
    let with_zeros = compress(&content, WriteOptions::default());
    assert_eq!(decompress(&with_zeros).unwrap(), content);
    assert!(with_zeros.len() < alone.len() * 102 / 100, "{} {}", with_zeros.len(), alone.len());
}

//! Frames through the public interface: round trips, random access, damage of every kind, limits.

use std::io::{Cursor, Read, Write};

use parans::{
    Error, Result,
    frame::{
        Container, Entry, FrameArchive, FrameReader, FrameWriter, Layout, ReadOptions, Segment,
        Summary, WriteOptions,
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
            assert_eq!(archive.content_check(), xxh3_64(&content));
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

/// Noise costs less than 0.1 % and the least frame is 120 bytes, as FORMAT.md adds up.
#[test]
fn overhead() {
    assert_eq!(compress(&[], WriteOptions::default()).len(), 32 + 16 + 24 + 48);
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
        + archive.index().chunks[..2].iter().map(|chunk| 36 + chunk.coded as usize).sum::<usize>();
    let mut damaged = frame.clone();
    damaged[before + 36] ^= 1;
    let message = decompress(&damaged).unwrap_err().to_string();
    assert!(message.starts_with("corrupt data: chunk 2 (content bytes 1500.."), "{message}");
    let mut archive = FrameArchive::open(Cursor::new(&damaged)).unwrap();
    assert_eq!(archive.read_range(0..1500).unwrap().len(), 1500);
    let message = archive.read_range(0..1501).unwrap_err().to_string();
    assert!(message.starts_with("corrupt data: chunk 2 (content bytes 1500.."), "{message}");
}

/// What keeping going gives back, and what it says is lost.
fn salvage(frame: &[u8]) -> (Vec<u8>, Vec<std::ops::Range<u64>>) {
    let mut out = Vec::new();
    let mut reader =
        FrameReader::new(frame, ReadOptions { keep_going: true, ..ReadOptions::default() });
    reader.copy_to(&mut out).unwrap();
    (out, reader.damage().iter().map(|damage| damage.content.clone()).collect())
}

/// Whatever byte is damaged, all chunks but the one it is in come back, in their places.
#[test]
fn keep_going_saves_the_other_chunks() {
    let (content, frame) = small();
    assert!(salvage(&frame) == (content.clone(), vec![]));
    let archive = FrameArchive::open(Cursor::new(&frame)).unwrap();
    let (mut file, mut begin) = (32, 0);
    let mut places = vec![(0..32, 0..0)];
    for chunk in &archive.index().chunks {
        places.push((file..file + 36 + chunk.coded as usize, begin..begin + chunk.raw as usize));
        (file, begin) = (file + 36 + chunk.coded as usize, begin + chunk.raw as usize);
    }
    places.push((file..frame.len(), 0..0));
    let mut damaged = frame.clone();
    for (bytes, lost) in places {
        for at in bytes {
            damaged[at] ^= 0x41;
            // A version or a flag that is not known is refused even so: its checksum was made wrong
            // here, though.
            let (out, damage) = salvage(&damaged);
            assert!(!damage.is_empty(), "byte {at}");
            assert_eq!(out.len(), content.len(), "byte {at}: {damage:?}");
            for (i, (a, b)) in out.iter().zip(&content).enumerate() {
                assert!(
                    a == b || (lost.contains(&i) && *a == 0),
                    "byte {at} damaged, content byte {i} differs"
                );
            }
            damaged[at] ^= 0x41;
        }
    }
}

#[test]
fn keep_going_over_missing_and_foreign_bytes() {
    let (content, frame) = small();
    let archive = FrameArchive::open(Cursor::new(&frame)).unwrap();
    let chunks = &archive.index().chunks;
    let first = 32 + 36 + chunks[0].coded as usize;
    let second = first + 36 + chunks[1].coded as usize;
    // A whole chunk is gone.
    let (out, lost) = salvage(&[&frame[..first], &frame[second..]].concat());
    assert!(matches!(&lost[..], [lost] if *lost == (1000..1500)), "{lost:?}");
    assert!(out[..1000] == content[..1000] && out[1500..] == content[1500..]);
    // Foreign bytes in between.
    let (out, lost) = salvage(&[&frame[..first], &[0x63; 100_000], &frame[first..]].concat());
    assert!(out == content && matches!(&lost[..], [lost] if *lost == (1000..1000)), "{lost:?}");
    // The end is gone.
    let (out, lost) = salvage(&frame[..second + 20]);
    assert!(out == content[..1500], "{}", out.len());
    assert!(matches!(&lost[..], [lost] if *lost == (1500..u64::MAX)), "{lost:?}");
    // Nothing of a frame is there.
    let mut reader =
        FrameReader::new(&[9; 500][..], ReadOptions { keep_going: true, ..ReadOptions::default() });
    assert!(matches!(reader.copy_to(&mut Vec::new()), Err(Error::Unsupported(_))));
}

/// Claims in headers with right checksums: nothing is allocated or waited for on their account.
#[test]
fn hostile_claims() {
    let header = |max_chunk: u32, length: u64| {
        let mut bytes =
            [&b"\x8bPARANS\n\x01\0\0\0"[..], &max_chunk.to_le_bytes(), &length.to_le_bytes()]
                .concat();
        bytes.extend(xxh3_64(&bytes).to_le_bytes());
        bytes
    };
    let chunk = |codec: u8, raw: u32, coded: u32, offset: u64, payload: &[u8]| {
        let mut bytes =
            [b"chnk", &[codec, 0, 0, 0][..], &raw.to_le_bytes(), &coded.to_le_bytes()].concat();
        bytes.extend(offset.to_le_bytes());
        bytes.extend(xxh3_64(payload).to_le_bytes());
        let check = xxh3_64(&bytes).to_le_bytes();
        bytes.extend(&check[..4]);
        bytes.extend(payload);
        bytes
    };
    let index = |length: u64| {
        let mut bytes = [&b"indx"[..], &length.to_le_bytes()].concat();
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
        "inside the index of 1152921504606846976 bytes",
    );
    // A forged offset far ahead must not fill a disk with zeros for keep-going either.
    let forged = [sound, chunk(0, 4, 4, 0, b"four"), chunk(0, 4, 4, 1 << 50, b"four")].concat();
    assert_eq!(salvage(&forged).0.len(), 4);
}

fn salvage_any(frame: &[u8]) -> Option<usize> {
    let mut out = Vec::new();
    let mut reader =
        FrameReader::new(frame, ReadOptions { keep_going: true, max_content: 1 << 26 });
    reader.copy_to(&mut out).ok().map(|_| out.len())
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
    assert!(
        matches!(FrameArchive::open(Cursor::new(&both)), Err(Error::Unsupported(m)) if m.contains("several"))
    );
    let error =
        decompress(&[&a[..], b"not a frame, but long enough to be a header"].concat()).unwrap_err();
    assert!(matches!(&error, Error::Corrupt(m) if m.contains("begin no other frame")), "{error}");
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
    let first = 32 + 36 + index.chunks[0].coded as usize;
    let last = index.file_offset() as usize - 36 - index.chunks.last().unwrap().coded as usize;
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
        entries: vec![Entry::tensor("t", "I8", vec![6], 4, 6)],
        segments: vec![Segment { length: 4, dtype: None }, Segment { length: 6, dtype: None }],
    };
    for length in [0, 3, 4, 9, 10, 11] {
        let content = &b"0123456789a"[..length];
        let mut writer = FrameWriter::with_layout(Vec::new(), options(8), layout()).unwrap();
        writer.write_all(content).unwrap();
        let (frame, _) = writer.finish().unwrap();
        assert_eq!(decompress(&frame).unwrap(), content);
        let archive = FrameArchive::open(Cursor::new(&frame)).unwrap();
        assert_eq!(archive.index().entries.len(), usize::from(length == 10));
        assert_eq!(
            archive.index().container,
            if length == 10 { Container::Npy } else { Container::None }
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

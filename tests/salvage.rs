//! Damaged files: whatever a single change does to a file of several or nested frames, every byte
//! that salvage writes is right or lies in a range that is reported, and every chunk that the
//! change left whole is saved.

use std::{
    io::{Cursor, Write},
    ops::Range,
    sync::LazyLock,
};

use parans::{
    Error, Result,
    frame::{
        Damage, FrameArchive, FrameReader, FrameSalvage, FrameWriter, Loss, ReadOptions,
        WriteOptions,
    },
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

fn noise(n: usize, seed: u64) -> Vec<u8> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    (0..n).map(|_| rng.random()).collect()
}

/// Noise of few symbols, which is coded and not stored.
fn dull(n: usize, seed: u64) -> Vec<u8> {
    noise(n, seed).into_iter().map(|byte| b"\x01\x02\x03\x05"[usize::from(byte & 3)]).collect()
}

fn compress(content: &[u8], chunk: usize, announce: bool) -> Vec<u8> {
    let options = WriteOptions {
        chunk_size: Some(chunk),
        content_length: announce.then_some(content.len() as u64),
    };
    let mut writer = FrameWriter::new(Vec::new(), options).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap().0
}

fn salvage(file: &[u8]) -> Result<(Vec<u8>, Vec<Damage>)> {
    let mut out = Vec::new();
    let mut salvage = FrameSalvage::new(Cursor::new(file), ReadOptions::default())?;
    let summary = salvage.copy_to(&mut out)?;
    assert_eq!(summary.content, out.len() as u64);
    Ok((out, salvage.damage().to_vec()))
}

/// A file, its content, and its chunks: where each lies in the file and in the content.
struct File {
    bytes: Vec<u8>,
    content: Vec<u8>,
    chunks: Vec<(Range<usize>, Range<usize>)>,
    /// Where the frames begin.
    starts: Vec<usize>,
}

impl File {
    fn new(frames: &[(Vec<u8>, usize, bool)]) -> Self {
        let mut file =
            Self { bytes: Vec::new(), content: Vec::new(), chunks: Vec::new(), starts: Vec::new() };
        for (content, chunk, announce) in frames {
            let frame = compress(content, *chunk, *announce);
            let archive = FrameArchive::open(Cursor::new(&frame)).unwrap();
            let mut at = file.bytes.len() + 32;
            let mut offset = file.content.len();
            for chunk in &archive.index().chunks {
                let (end, raw) = (at + 40 + chunk.coded as usize, offset + chunk.raw as usize);
                file.chunks.push((at..end, offset..raw));
                (at, offset) = (end, raw);
            }
            file.starts.push(file.bytes.len());
            file.bytes.extend(&frame);
            file.content.extend(content);
        }
        file
    }
}

#[derive(Clone, Debug)]
enum Change {
    Xor(usize, u8),
    /// Other bytes of the same number.
    Overwrite(Range<usize>, u8),
    Remove(Range<usize>),
    Insert(usize, Vec<u8>),
    /// A copy of a range, put at a place.
    Duplicate(Range<usize>, usize),
}

impl Change {
    fn apply(&self, file: &[u8]) -> Vec<u8> {
        let mut out = file.to_vec();
        match self.clone() {
            Self::Xor(at, bits) => out[at] ^= bits,
            Self::Overwrite(range, 0) => out[range].fill(0),
            Self::Overwrite(range, seed) => {
                let other = noise(range.len(), seed.into());
                out[range].copy_from_slice(&other);
            }
            Self::Remove(range) => drop(out.drain(range)),
            Self::Insert(at, bytes) => drop(out.splice(at..at, bytes)),
            Self::Duplicate(range, at) => drop(out.splice(at..at, file[range].to_vec())),
        }
        out
    }

    fn leaves_whole(&self, part: &Range<usize>) -> bool {
        let apart = |range: &Range<usize>| range.end <= part.start || range.start >= part.end;
        match self {
            Self::Xor(at, _) => !part.contains(at),
            Self::Overwrite(range, _) | Self::Remove(range) => apart(range),
            Self::Insert(at, _) | Self::Duplicate(_, at) => *at <= part.start || *at >= part.end,
        }
    }
}

fn find(content: &[u8], part: &[u8]) -> Option<usize> {
    (0..=content.len().checked_sub(part.len())?).find(|&at| content[at..].starts_with(part))
}

/// Checks the promise for one change.
fn check(file: &File, change: &Change) {
    let damaged = change.apply(&file.bytes);
    let context = || format!("{change:?}");
    let mut strict = Vec::new();
    let sound = FrameReader::new(&damaged[..], ReadOptions::default()).copy_to(&mut strict).is_ok();
    let whole = file.chunks.iter().filter(|(part, _)| change.leaves_whole(part));
    let (out, damage) = match salvage(&damaged) {
        Ok(saved) => saved,
        Err(error) => {
            assert!(!matches!(error, Error::Io(_)), "{}: {error}", context());
            assert_eq!(whole.count(), 0, "{}: {error}", context());
            return;
        }
    };
    if sound {
        assert!(out == strict && damage.is_empty(), "{}: {damage:?}", context());
        return;
    }
    assert!(!damage.is_empty(), "{}", context());
    // What is not reported, as runs of bytes between which something may be missing; after each,
    // how much, if that is known.
    let mut marks: Vec<(Range<u64>, Option<u64>)> = Vec::new();
    for damage in &damage {
        let Range { start, end } = damage.output;
        assert!(start <= end && end <= out.len() as u64, "{}: {damage:?}", context());
        match damage.loss {
            Loss::Nothing => {}
            Loss::Zeros => {
                assert!(start < end, "{}: {damage:?}", context());
                let zeros = &out[start as usize..end as usize];
                assert!(zeros.iter().all(|&byte| byte == 0), "{}: {damage:?}", context());
                marks.push((start..end, Some(0)));
            }
            Loss::Omitted(n) => marks.push((start..end, Some(n))),
            Loss::Unknown | Loss::Doubtful => marks.push((start..end, None)),
            _ => unreachable!(),
        }
    }
    marks.sort_by_key(|(range, _)| (range.start, range.end));
    marks.push((out.len() as u64..out.len() as u64, None));
    let (mut at, mut place) = (0, Some(0));
    for (range, omitted) in marks {
        let run = &out[at.min(range.start as usize)..range.start as usize];
        if !run.is_empty() {
            place = place.or_else(|| find(&file.content, run));
            let right = place.is_some_and(|place| file.content[place..].starts_with(run));
            assert!(right, "{}: bytes {at}..{} are wrong: {damage:?}", context(), range.start);
        }
        let end = (range.end as usize).max(at);
        place = place.zip(omitted).map(|(place, n)| place + (end - at) + n as usize);
        at = end;
    }
    // Content that nothing reports as missing is all there.
    let unknown = damage.iter().any(|d| matches!(d.loss, Loss::Unknown | Loss::Doubtful));
    let omitted: u64 =
        damage.iter().map(|d| if let Loss::Omitted(n) = d.loss { n } else { 0 }).sum();
    if !unknown {
        assert_eq!(
            out.len() as u64 + omitted,
            file.content.len() as u64,
            "{}: {damage:?}",
            context()
        );
    }
    for (part, content) in whole {
        let here = find(&out, &file.content[content.clone()]);
        assert!(here.is_some(), "{}: the chunk at {part:?} is lost: {damage:?}", context());
    }
}

/// Whether a change makes a header of the beginning of one and the end of another. Nothing shows it
/// from a header that is damaged where it stands.
fn splices_headers(file: &File, change: &Change) -> bool {
    let (from, to) = match change {
        Change::Remove(range) => (range.start, range.end),
        Change::Duplicate(range, at) => (range.start, *at),
        _ => return false,
    };
    let inside = |at: usize| file.starts.iter().find(|&&start| (start..start + 32).contains(&at));
    inside(from).zip(inside(to)).is_some_and(|(a, b)| from - a == to - b)
}

fn several(announce: bool) -> File {
    File::new(&[
        (noise(150, 1), 64, announce),
        (dull(200, 2), 64, announce),
        (Vec::new(), 64, announce),
        (noise(90, 3), 40, announce),
    ])
}

/// Frames inside the content of others: at its beginning, in its middle, at its end, and inside one
/// another.
fn nested(chunk: usize, announce: bool) -> File {
    let inner = |seed| compress(&noise(70, seed), 40, announce);
    let twice =
        [noise(30, 10), compress(&[inner(11), noise(9, 12)].concat(), 600, announce)].concat();
    File::new(&[
        ([inner(1), noise(60, 2)].concat(), chunk, announce),
        ([noise(50, 3), inner(4), inner(5), noise(40, 6)].concat(), chunk, announce),
        ([noise(80, 7), inner(8)].concat(), chunk, announce),
        (twice, chunk, announce),
    ])
}

fn files() -> Vec<File> {
    vec![
        several(false),
        several(true),
        nested(1000, false),
        nested(100, true),
        nested(64, false),
        File::new(&[(noise(500, 5), 100, false)]),
    ]
}

/// Changes of a byte, cuts at either end, bytes removed and inserted: at every `step`-th place.
fn bytes_and_lengths(step: usize) {
    for file in files() {
        let length = file.bytes.len();
        for at in (0..length).step_by(step.div_ceil(2)) {
            check(&file, &Change::Xor(at, [1, 0x41, 0xff][at % 3]));
        }
        for at in (0..length).step_by(step) {
            check(&file, &Change::Remove(at..length));
            check(&file, &Change::Remove(0..at));
            check(&file, &Change::Remove(at..at + 1));
            check(&file, &Change::Insert(at, vec![0x63]));
        }
        for end in [vec![0], vec![0x8b], vec![0; 1000], noise(77, 9), b"chnk".to_vec()] {
            check(&file, &Change::Insert(length, end));
        }
    }
}

/// Ranges that begin and end where parts do, or near it: every `step`-th.
fn ranges_between_parts(step: usize) {
    for file in files() {
        let mut edges: Vec<usize> = file.starts.clone();
        edges.extend(
            file.chunks.iter().flat_map(|(part, _)| [part.start, part.start + 40, part.end]),
        );
        edges.extend(file.chunks.iter().map(|(part, _)| part.end + 28));
        edges.push(file.bytes.len());
        edges = edges.iter().flat_map(|&edge| [edge, edge + 3]).collect();
        edges.retain(|&edge| edge <= file.bytes.len());
        edges.sort_unstable();
        edges.dedup();
        let pairs = edges
            .iter()
            .enumerate()
            .flat_map(|(number, &from)| edges[number + 1..].iter().map(move |&to| from..to));
        for range in pairs.step_by(step) {
            for change in [
                Change::Overwrite(range.clone(), 0),
                Change::Overwrite(range.clone(), 7),
                Change::Remove(range.clone()),
                Change::Duplicate(range.clone(), range.end),
            ] {
                if !splices_headers(&file, &change) {
                    check(&file, &change);
                }
            }
        }
    }
}

/// Removed ranges after which a frame that is content, or its first chunk, stands exactly where one
/// is due.
#[test]
fn content_where_a_frame_is_due() {
    let mut cases = 0;
    for file in files() {
        let begins_with = |at: usize, part: &[u8]| file.bytes[at..].starts_with(part);
        let seems_to_begin = |at: &usize| {
            begins_with(*at, &file.bytes[..8])
                || file.bytes.len() > at + 32 && begins_with(at + 32, b"chnk")
        };
        let places = (0..file.bytes.len()).filter(seems_to_begin);
        for place in places.filter(|place| !file.starts.contains(place)) {
            for &due in file.starts.iter().filter(|&&due| due < place) {
                for shift in [0, 10, 20, 32, 42, 52, 75] {
                    let from = due.saturating_sub(shift);
                    let change = Change::Remove(from..from + place - due);
                    if !splices_headers(&file, &change) {
                        check(&file, &change);
                        cases += 1;
                    }
                }
            }
        }
    }
    assert!(cases > 100, "{cases}");
}

#[test]
fn bytes_cuts_and_ranges() {
    bytes_and_lengths(11);
    ranges_between_parts(101);
}

#[test]
#[ignore = "minutes"]
fn every_byte_and_cut() {
    bytes_and_lengths(1);
}

#[test]
#[ignore = "minutes"]
fn every_range_between_parts() {
    ranges_between_parts(1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_shrink_iters: 20, ..ProptestConfig::default() })]
    #[test]
    fn any_change(which in 0usize..6, kind in 0..5, places in [any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<prop::sample::Index>()], value in any::<u8>()) {
        static FILES: LazyLock<Vec<File>> = LazyLock::new(files);
        let file = &FILES[which];
        let [a, b, at] = places.map(|place| place.index(file.bytes.len() + 1));
        let range = a.min(b)..a.max(b);
        let change = match kind {
            0 => Change::Overwrite(range, 0),
            1 => Change::Overwrite(range, value),
            2 => Change::Remove(range),
            3 => Change::Insert(at, noise(range.len(), value.into())),
            _ => Change::Duplicate(range, at),
        };
        if !splices_headers(file, &change) {
            check(file, &change);
        }
    }
}

//! Attacks on everything that reads frames: mutations that know the format and put the checksums
//! right, since only damage behind a right checksum reaches the decoders. No reader may panic, take
//! long, hold more memory than its input earned, or disagree with another reader.
//!
//! `cargo test --test attack` runs it for a few seconds from the same seed each time.
//! PARANS_ATTACK_SECONDS=3600 runs it for an hour, PARANS_ATTACK_SEED=N from another seed.

use std::{
    env,
    io::{Cursor, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use ndarray::Array2;
use parans::{
    Bypass, Coder, Dtype, Family, Precision, Tables,
    frame::{
        Base, CodedRows, Elements, EntryKind, Field, FrameArchive, FrameReader, FrameSalvage,
        FrameWriter, Layout, ReadOptions, Record, Repeat, Segment, WriteOptions,
    },
};
use peak_alloc::PeakAlloc;
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_xoshiro::Xoshiro256PlusPlus;
use xxhash_rust::xxh3::xxh3_64;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The most content that a reader is asked to take.
const MAX_CONTENT: u64 = 8 << 20;
/// What a reader may hold at a time: two batches of chunks of the largest size, coded and decoded.
const MAX_MEMORY: usize = 160 << 20;
/// What one file of a few kilobytes may take in an unoptimised build on a busy machine.
const MAX_TIME: Duration = Duration::from_secs(20);

/// Where a run begins unless told otherwise: the gate repeats itself.
const SEED: u64 = 10_967_624_935_263_066_805;

/// The lengths of the parts, and where their own checksums stand (`docs/frame-format.md`).
const HEADER: usize = 32;
const CHUNK_HEADER: usize = 40;
const INDEX_HEADER: usize = 28;
const FOOTER: usize = 52;

/// A frame taken apart.
#[derive(Clone)]
struct Frame {
    header: Vec<u8>,
    /// Headers and coded bytes.
    chunks: Vec<(Vec<u8>, Vec<u8>)>,
    index_header: Vec<u8>,
    index: Vec<u8>,
    footer: Vec<u8>,
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte))
}

impl Frame {
    /// Takes the frames of a sound file apart.
    fn all(mut bytes: &[u8]) -> Vec<Self> {
        let mut frames = Vec::new();
        let mut take = |n: usize| {
            let (head, rest) = bytes.split_at(n);
            bytes = rest;
            (head.to_vec(), rest.is_empty())
        };
        loop {
            let header = take(HEADER).0;
            let mut chunks = Vec::new();
            let index_header = loop {
                let part = take(INDEX_HEADER).0;
                if part.starts_with(b"indx") {
                    break part;
                }
                let header = [part, take(CHUNK_HEADER - INDEX_HEADER).0].concat();
                let coded = take(number(&header[12..16])).0;
                chunks.push((header, coded));
            };
            let index = take(number(&index_header[8..16])).0;
            let (footer, last) = take(FOOTER);
            frames.push(Self { header, chunks, index_header, index, footer });
            if last {
                return frames;
            }
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.header.clone();
        for (header, coded) in &self.chunks {
            out.extend(header);
            out.extend(coded);
        }
        out.extend(&self.index_header);
        out.extend(&self.index);
        out.extend(&self.footer);
        out
    }

    /// Puts lengths, places and checksums right, each with a probability of nine in ten.
    fn mend(&mut self, rng: &mut impl Rng) {
        let mut often = || rng.random_bool(0.9);
        let put = |part: &mut [u8], at: usize, bytes: &[u8]| {
            part[at..at + bytes.len()].copy_from_slice(bytes);
        };
        let check = |part: &mut [u8], length: usize| {
            let check = (xxh3_64(&part[..length]) as u32).to_le_bytes();
            part[length..length + 4].copy_from_slice(&check);
        };
        check(&mut self.header, 28);
        let mut offset = 0;
        let mut place = HEADER;
        for (header, coded) in &mut self.chunks {
            if often() {
                put(header, 12, &(coded.len() as u32).to_le_bytes());
                put(header, 16, &(offset as u64).to_le_bytes());
            }
            put(header, 24, &xxh3_64(coded).to_le_bytes());
            check(header, 36);
            offset += number(&header[8..12]);
            place += header.len() + coded.len();
        }
        if often() {
            put(&mut self.index_header, 8, &(self.index.len() as u64).to_le_bytes());
            put(&mut self.index_header, 16, &(offset as u64).to_le_bytes());
            put(&mut self.footer, 0, &(place as u64).to_le_bytes());
            put(&mut self.footer, 8, &(self.index.len() as u64).to_le_bytes());
            put(&mut self.footer, 24, &(offset as u64).to_le_bytes());
        }
        check(&mut self.index_header, 24);
        put(&mut self.footer, 16, &xxh3_64(&self.index).to_le_bytes());
        check(&mut self.footer, 44);
    }
}

/// Numbers at which code has its edges.
fn interesting(rng: &mut impl Rng) -> u64 {
    let power = 1u64 << rng.random_range(0..64);
    *[0, 1, 2, 3, 255, power, power - 1, power.wrapping_add(1), u64::MAX, rng.random()]
        .choose(rng)
        .expect("not empty")
}

/// Changes bytes: a bit, a field, a range removed, inserted, repeated or taken from elsewhere.
fn change(bytes: &mut Vec<u8>, fixed_length: bool, rng: &mut impl Rng) {
    if bytes.is_empty() {
        return;
    }
    let at = rng.random_range(0..bytes.len());
    let end = (at + rng.random_range(1..=16usize)).min(bytes.len());
    match rng.random_range(0..if fixed_length { 4 } else { 7 }) {
        0 => bytes[at] ^= 1 << rng.random_range(0..8),
        1 => bytes[at] = interesting(rng) as u8,
        2 | 3 => {
            // A little-endian field, aligned as the fields of most parts are.
            let size = *[2usize, 4, 8].choose(rng).expect("not empty");
            let at = if rng.random() { at } else { at / size * size };
            let value = interesting(rng).to_le_bytes();
            let end = (at + size).min(bytes.len());
            bytes[at..end].copy_from_slice(&value[..end - at]);
        }
        4 => drop(bytes.drain(at..end)),
        5 => {
            let part = bytes[at..end].to_vec();
            let to = rng.random_range(0..=bytes.len());
            bytes.splice(to..to, part);
        }
        _ => {
            let part: Vec<u8> = (0..end - at).map(|_| rng.random()).collect();
            bytes.splice(at..at, part);
        }
    }
}

/// Changes a frame in one to three places.
fn mutate(frame: &mut Frame, donors: &[Frame], rng: &mut impl Rng) {
    for _ in 0..rng.random_range(1..=3) {
        let chunk = (!frame.chunks.is_empty()).then(|| rng.random_range(0..frame.chunks.len()));
        match (rng.random_range(0..12), chunk) {
            (0, _) => change(&mut frame.header, true, rng),
            (1, _) => change(&mut frame.index_header, true, rng),
            (2, _) => change(&mut frame.footer, true, rng),
            (3 | 4, _) | (_, None) => change(&mut frame.index, false, rng),
            (5, Some(at)) => drop(frame.chunks.remove(at)),
            (6, Some(at)) => frame.chunks.insert(at, frame.chunks[at].clone()),
            (7, Some(at)) => {
                let other = donors.choose(rng).and_then(|donor| donor.chunks.choose(rng));
                if let Some((_, coded)) = other {
                    frame.chunks[at].1.clone_from(coded);
                }
            }
            (8, Some(at)) => change(&mut frame.chunks[at].0, true, rng),
            (_, Some(at)) => change(&mut frame.chunks[at].1, false, rng),
        }
    }
}

fn text(n: usize) -> Vec<u8> {
    b"No more things should be presumed to exist than are absolutely necessary. "
        .iter()
        .copied()
        .cycle()
        .take(n)
        .collect()
}

fn noise(n: usize) -> Vec<u8> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(5);
    (0..n).map(|_| rng.random()).collect()
}

fn frame(chunk_size: usize, fill: impl Fn(&mut FrameWriter<Vec<u8>>)) -> Vec<u8> {
    let options = WriteOptions { chunk_size: Some(chunk_size), ..WriteOptions::default() };
    let mut writer = FrameWriter::new(Vec::new(), options).unwrap();
    fill(&mut writer);
    writer.finish().unwrap().0
}

fn rows(family: Family, lanes: usize, checkpoints: bool) -> CodedRows {
    let counts = ndarray::array![[90u64, 10, 4, 20], [1, 1, 1, 50]];
    let tables = Tables::builder(Precision::new(7).unwrap()).sentinel(true).counts(counts.view());
    let builder = Coder::builder(family).lanes(lanes).bypass(Bypass::digits(4));
    let coder = builder.build(tables.unwrap()).unwrap();
    let symbols = Array2::from_shape_fn((3, 64), |(row, column)| {
        if column == 9 { 1000 } else { ((row + column) % 3) as i32 }
    });
    let indexes = Array2::<i32>::zeros((3, 64));
    let mut streams = coder.streams(3).unwrap();
    if checkpoints {
        let noted = coder.push_checkpointed(&mut streams, &symbols, &indexes, 32).unwrap();
        let mut rows = CodedRows::new(&coder, streams).unwrap();
        rows.checkpoints = Some(noted);
        return rows;
    }
    coder.push(&mut streams, &symbols, &indexes).unwrap();
    CodedRows::new(&coder, streams).unwrap()
}

/// What some of the files are coded against: the numbers from 0 on, a little off.
static BASE: LazyLock<Arc<Base>> = LazyLock::new(|| {
    let content = (0..9000u32).flat_map(|i| (i as f32 * 0.37).sin().to_le_bytes()).collect();
    Arc::new(Base::from_bytes("base", content).unwrap())
});

/// A frame against [`BASE`].
fn against_base() -> Vec<u8> {
    let options = WriteOptions { chunk_size: Some(2048), ..WriteOptions::default() };
    let writer = FrameWriter::new(Vec::new(), options).unwrap();
    let mut writer = writer.with_base(BASE.clone()).unwrap();
    let mut content = Vec::new();
    BASE.read(0..9000, &mut content).unwrap();
    for at in (0..5000).step_by(7) {
        content[at] ^= (at % 5) as u8;
    }
    writer.write_all(&content).unwrap();
    writer.finish().unwrap().0
}

fn tensor(step: f32) -> Vec<u8> {
    let weight = |i: u32| ((i as f32 * 0.37).sin().powi(5) + step * (i as f32).cos()) * 0.1;
    (0..9000).flat_map(|i| weight(i).to_le_bytes()).collect()
}

/// A base that has a tensor.
static TENSOR: LazyLock<Arc<Base>> = LazyLock::new(|| {
    let old = frame(1 << 16, |w| w.write_tensor("a", "F32", &[9000], &tensor(0.0)).unwrap());
    Arc::new(Base::from_bytes("tensor", old).unwrap())
});

/// A tensor against the one of its name: the differences of floats have classes.
fn tensor_against_base() -> Vec<u8> {
    let writer = FrameWriter::new(Vec::new(), WriteOptions::default()).unwrap();
    let mut writer = writer.with_base(TENSOR.clone()).unwrap();
    writer.write_tensor("a", "F32", &[9000], &tensor(1e-4)).unwrap();
    writer.finish().unwrap().0
}

/// A frame whose second half repeats its first.
fn repeating() -> Vec<u8> {
    let options = WriteOptions { chunk_size: Some(1024), ..WriteOptions::default() };
    let writer = FrameWriter::new(Vec::new(), options).unwrap();
    let repeats = vec![Repeat { content: 3072..6144, source: 0 }];
    let mut writer = writer.with_repeats(repeats).unwrap();
    writer.write_all(&[noise(3072), noise(3072)].concat()).unwrap();
    writer.finish().unwrap().0
}

/// Sound files to begin with.
fn seeds() -> Vec<Vec<u8>> {
    let floats: Vec<u8> = (0..900).flat_map(|i| (i as f32 * 0.37).sin().to_le_bytes()).collect();
    let bytes = frame(1024, |writer| {
        writer.write_all(&text(3000)).unwrap();
        writer.write_all(&noise(700)).unwrap();
        writer.write_all(&[7; 2000]).unwrap();
    });
    let tensors = frame(2048, |writer| {
        writer.write_tensor("a.weight", "F32", &[30, 30], &floats).unwrap();
        writer.write_tensor("a.bias", "BF16", &[1800], &floats).unwrap();
        writer.write_tensor("ids", "I64", &[450], &floats).unwrap();
        writer.write_bytes("note", b"plain").unwrap();
    });
    let mut files = vec![bytes.clone(), tensors.clone(), elements(&floats), frame(64, |_| {})];
    for (family, lanes, checkpoints) in [
        (Family::Rans64, 1, false),
        (Family::Rans32, 4, true),
        (Family::Rans32x16, 32, true),
        (Family::Tans8, 2, false),
        (Family::Tans32, 8, true),
    ] {
        files.push(frame(1 << 16, |writer| {
            writer.write_rows("rows", &rows(family, lanes, checkpoints)).unwrap();
        }));
    }
    files.extend([against_base(), tensor_against_base(), repeating()]);
    // A frame inside the content of another, and frames one after another.
    files.push(frame(1 << 16, |writer| writer.write_all(&bytes).unwrap()));
    files.push([bytes, tensors].concat());
    files
}

/// What a reader made of a file: the content, or an error.
type Outcome = Result<Vec<u8>, String>;

/// A frame of numbers of the other byte order, truth values and records.
fn elements(floats: &[u8]) -> Vec<u8> {
    let swapped = floats.chunks(4).flat_map(|number| number.iter().rev().copied());
    let bools = (0..4096).map(|i| u8::from(i / 97 % 2 == 0));
    let records = floats.chunks(4).flat_map(|number| [&[1, 2], number, &[0, 0, 5]].concat());
    let parts: [Vec<u8>; 3] = [swapped.collect(), bools.collect(), records.collect()];
    let fields = [
        Field::new(Dtype::U8, 2),
        Field::new(Dtype::F32, 1),
        Field { swapped: true, ..Field::new(Dtype::U16, 1) },
        Field::new(Dtype::U8, 1),
    ];
    let kinds = [
        Elements::big_endian(Dtype::F32),
        Some(Elements::Bools),
        Record::new(&fields).map(Elements::Records),
    ];
    let segments = kinds
        .into_iter()
        .zip(&parts)
        .map(|(dtype, part)| Segment { length: part.len() as u64, dtype })
        .collect();
    let options = WriteOptions { chunk_size: Some(2048), ..WriteOptions::default() };
    let layout = Layout { segments, ..Layout::default() };
    let mut writer = FrameWriter::with_layout(Vec::new(), options, layout).unwrap();
    writer.write_all(&parts.concat()).unwrap();
    let frame = writer.finish().unwrap().0;
    let mut kinds: Vec<u8> =
        Frame::all(&frame)[0].chunks.iter().map(|(header, _)| header[5]).collect();
    kinds.dedup();
    assert_eq!(kinds, [13, 21, 22]);
    frame
}

fn options() -> ReadOptions {
    let bases = vec![BASE.clone(), TENSOR.clone()];
    ReadOptions { max_content: MAX_CONTENT, bases, ..ReadOptions::default() }
}

fn in_order(file: &[u8]) -> Outcome {
    let mut content = Vec::new();
    let read = FrameReader::new(file, options()).copy_to(&mut content);
    read.map(|_| content).map_err(|error| error.to_string())
}

/// What is saved of a damaged file, and how many losses are reported.
fn saved(file: &[u8]) -> Result<(Vec<u8>, usize), String> {
    let mut content = Vec::new();
    let mut salvage = FrameSalvage::new(Cursor::new(file), options()).unwrap();
    let read = salvage.copy_to(&mut content);
    read.map(|_| (content, salvage.damage().len())).map_err(|error| error.to_string())
}

/// Opens the file at random, and reads all of it, each of its entries, and its coded rows.
fn at_random(file: &[u8]) -> Outcome {
    let fail = |error: parans::Error| error.to_string();
    let mut archive = FrameArchive::open(Cursor::new(file)).map_err(fail)?;
    let known = |name: &_| [&*BASE, &*TENSOR].into_iter().find(|base| base.expect(name).is_ok());
    let bases: Option<Vec<_>> = archive.bases().iter().map(|name| known(name).cloned()).collect();
    // Without them, what is coded against them is an error.
    let _ = bases.map(|bases| archive.set_bases(bases));
    let entries = archive.index().entries.clone();
    for entry in entries.iter().filter(|entry| entry.length <= MAX_CONTENT).take(16) {
        // Errors are fine; what else they could be is caught around this function.
        let _ = archive.read_range(entry.offset..entry.end());
        let _ = archive.coded_bytes(entry.offset..entry.end());
        if entry.kind == EntryKind::Rows
            && let Ok(mut rows) = archive.read_rows(&entry.name)
            && let Ok(coder) = rows.coder()
        {
            let count = rows.streams.rows().min(64);
            let indexes = Array2::<i32>::zeros((rows.streams.rows(), 4096 / count.max(1)));
            let _ = coder.pop::<i32>(&mut rows.streams, &indexes);
        }
    }
    let length = archive.content_length();
    if length > MAX_CONTENT {
        return Err("more content than is asked for".into());
    }
    archive.read_range(0..length).map_err(fail)
}

/// Lets every reader loose on a file.
fn read_all_ways(file: &[u8]) {
    let (in_order, saved, random) = (in_order(file), saved(file), at_random(file));
    if let (Ok(in_order), Ok(random)) = (&in_order, &random) {
        assert!(in_order == random, "two readers give different content");
    }
    if let Ok(in_order) = in_order {
        // The reader checked the content against its checksum, so nothing can be lost.
        assert!(saved == Ok((in_order, 0)), "salvage finds fault with sound content");
    }
}

#[test]
fn mended_mutations_are_survived() {
    let seconds = env::var("PARANS_ATTACK_SECONDS").map_or(4, |text| text.parse().unwrap());
    let seed = env::var("PARANS_ATTACK_SEED").map_or(SEED, |text| text.parse().unwrap());
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let seeds: Vec<Vec<Frame>> = seeds().iter().map(|file| Frame::all(file)).collect();
    let donors: Vec<Frame> = seeds.iter().flatten().cloned().collect();
    for frames in &seeds {
        let file: Vec<u8> = frames.iter().flat_map(Frame::to_bytes).collect();
        assert!(in_order(&file).is_ok() && at_random(&file).is_ok());
    }
    let begin = Instant::now();
    let mut count = 0u64;
    while begin.elapsed() < Duration::from_secs(seconds) {
        let mut frames = seeds.choose(&mut rng).expect("not empty").clone();
        for frame in &mut frames {
            mutate(frame, &donors, &mut rng);
            frame.mend(&mut rng);
        }
        let file: Vec<u8> = frames.iter().flat_map(Frame::to_bytes).collect();
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let started = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| read_all_ways(&file)));
        let (took, held) = (started.elapsed(), MEMORY.peak_usage().saturating_sub(before));
        if outcome.is_err() || took > MAX_TIME || held > MAX_MEMORY {
            let path = env::temp_dir().join(format!("parans-attack-{seed}-{count}.parans"));
            std::fs::write(&path, &file).unwrap();
            panic!(
                "PARANS_ATTACK_SEED={seed}, file {count}: panicked {}, {took:?}, {held} bytes held; \
                 the file is {}",
                outcome.is_err(),
                path.display()
            );
        }
        count += 1;
    }
    println!("attack: {count} files, seed {seed}");
    assert!(count > 10, "{count} files in {seconds} s");
}

/// Pickles of a megabyte that make as much of them as they can.
#[cfg(feature = "containers")]
#[test]
fn hostile_pickles_take_what_they_earned() {
    use parans::frame::{RecognisingWriter, recognise};

    const LENGTH: usize = 1 << 20;
    let start =
        b"\x80\x02(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQq\0\
        0ctorch._utils\n_rebuild_tensor_v2\nq\x010(h\0K\0";
    let many = [b"(", &b"K\x01".repeat(64)[..], b"t"].concat();
    // The arguments of a tensor of 64 dimensions.
    let wide = [&start[..], &many, &many, b"tq\x020"].concat();
    let name = [b"X", &4000u32.to_le_bytes()[..], &[b'n'; 4000]].concat();
    for (before, repeated, after) in [
        // Dictionaries, on the stack and in a list.
        (b"".to_vec(), &b"}"[..], &b"."[..]),
        (b"](".to_vec(), b"}", b"e."),
        // Tensors of many dimensions, in a list, under a long name.
        ([&wide[..], b"}", &name, b"]("].concat(), b"h\x01h\x02R", b"es."),
        // An object that is its own attribute, and a list that holds itself, again and again.
        (b"}q\x03".to_vec(), b"h\x03b", b"."),
        (b"]q\x03(".to_vec(), b"h\x03", b"e."),
        // Lists that hold the one before twice.
        ([&wide[..], b"h\x01h\x02R"].concat(), b"q\x030](h\x03h\x03e", b"."),
        // Marks, and an endless memo.
        (b"".to_vec(), b"(", b"."),
        (b"N".to_vec(), b"\x94", b"."),
    ] {
        let times = (LENGTH - before.len()) / repeated.len();
        let pickle = [&before[..], &repeated.repeat(times), after].concat();
        let content = torch(&pickle);
        MEMORY.reset_peak_usage();
        let (memory, begin) = (MEMORY.current_usage(), Instant::now());
        let entries = recognise(&content).map_or(0, |layout| layout.entries.len());
        let mut writer = RecognisingWriter::new(Vec::new(), WriteOptions::default());
        content.chunks(1 << 16).for_each(|piece| writer.write_all(piece).unwrap());
        writer.finish().unwrap();
        let memory = MEMORY.peak_usage() - memory;
        assert!(memory < MAX_MEMORY, "{before:?} {repeated:?}: {memory} bytes, {entries} entries");
        assert!(begin.elapsed() < MAX_TIME, "{repeated:?}: {:?}", begin.elapsed());
    }
}

/// An archive of this pickle and a storage.
#[cfg(feature = "containers")]
fn torch(pickle: &[u8]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in [("m/data.pkl", pickle), ("m/data/0", &[7; 16])] {
        let sizes = [(bytes.len() as u32).to_le_bytes(); 2].concat();
        let fields = [&[0; 14], &sizes[..], &(name.len() as u32).to_le_bytes()].concat();
        directory.extend([b"PK\x01\x02\0\0", &fields[..], &[0; 10]].concat());
        directory.extend((out.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        out.extend([b"PK\x03\x04", &fields[..], name.as_bytes(), bytes].concat());
    }
    let begin = out.len() as u32;
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0\x02\0\x02\0");
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(begin.to_le_bytes());
    out.extend([0, 0]);
    out
}

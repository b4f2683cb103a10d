//! Frames coded against other content, and content that repeats: through the public API.

use std::{
    fs,
    io::{Cursor, Read, Write},
    path::Path,
    sync::Arc,
};

use parans::{
    Error,
    frame::{
        Base, ChunkCodec, FrameArchive, FrameReader, FrameSalvage, FrameWriter, Layout,
        ReadOptions, Repeat, WriteOptions, find_repeats, fingerprints, recognise,
    },
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use safetensors::{Dtype, tensor::TensorView};

/// A safetensors file of bfloat16 tensors of these names and numbers of elements.
fn model(tensors: &[(&str, &[u8])]) -> Vec<u8> {
    let views = tensors.iter().map(|&(name, bytes)| {
        (name, TensorView::new(Dtype::BF16, vec![bytes.len() / 2], bytes).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

/// Weights as bytes of bfloat16.
fn weights(n: usize, seed: u64) -> Vec<u8> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut normal = || (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0;
    (0..n).flat_map(|_| half::bf16::from_f32(0.04 * normal()).to_le_bytes()).collect()
}

/// The same weights, some of them a step away.
fn moved(weights: &[u8], seed: u64) -> Vec<u8> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let step = |pair: &[u8]| {
        let bits = u16::from_le_bytes([pair[0], pair[1]]);
        let bits = if rng.random_range(0..4) == 0 { bits ^ rng.random_range(0..4) } else { bits };
        bits.to_le_bytes()
    };
    weights.chunks(2).flat_map(step).collect()
}

fn layout(content: &[u8]) -> Layout {
    recognise(content).unwrap_or_default()
}

fn compress(content: &[u8], base: Option<Arc<Base>>) -> Vec<u8> {
    let mut writer =
        FrameWriter::with_layout(Vec::new(), WriteOptions::default(), layout(content)).unwrap();
    if let Some(base) = base {
        writer = writer.with_base(base).unwrap();
    }
    writer.write_all(content).unwrap();
    writer.finish().unwrap().0
}

fn decompress(frame: &[u8], bases: Vec<Arc<Base>>) -> parans::Result<Vec<u8>> {
    let options = ReadOptions { bases, ..ReadOptions::default() };
    let mut out = Vec::new();
    FrameReader::new(frame, options).copy_to(&mut out)?;
    Ok(out)
}

fn base(name: &str, content: &[u8]) -> Arc<Base> {
    Arc::new(Base::from_bytes(name, content.to_vec()).unwrap())
}

fn codecs(frame: &[u8]) -> Vec<ChunkCodec> {
    let archive = FrameArchive::open(Cursor::new(frame)).unwrap();
    archive.index().chunks.iter().map(|chunk| chunk.codec).collect()
}

#[test]
fn a_checkpoint_against_the_one_before() {
    let (a, b) = (weights(900_000, 1), weights(5_000, 2));
    let old = model(&[("a", &a), ("b", &b)]);
    // Another order, a name that is new, and a tensor that is the same.
    let (a2, c) = (moved(&a, 3), weights(3_000, 4));
    let new = model(&[("a", &a2), ("aa", &c), ("b", &b)]);
    let alone = compress(&new, None);
    let base = base("old.safetensors", &old);
    let frame = compress(&new, Some(base.clone()));
    assert!(frame.len() < alone.len() / 3, "{} {}", frame.len(), alone.len());
    assert!(codecs(&frame).contains(&ChunkCodec::Base));
    assert_eq!(decompress(&frame, vec![base.clone()]).unwrap(), new);

    let mut archive = FrameArchive::open(Cursor::new(&frame)).unwrap();
    let [name] = archive.bases() else { panic!("{:?}", archive.bases()) };
    assert_eq!((name.name.as_str(), name.length), ("old.safetensors", old.len() as u64));
    assert_eq!(name.check, xxhash_rust::xxh3::xxh3_64(&old));
    let error = archive.extract("a", &mut Vec::new()).unwrap_err();
    assert!(matches!(&error, Error::Base(m) if m.contains("none was given")), "{error}");
    archive.set_bases(vec![base.clone()]).unwrap();
    for (name, bytes) in [("a", &a2), ("aa", &c), ("b", &b)] {
        let mut out = Vec::new();
        archive.extract(name, &mut out).unwrap();
        assert_eq!(&out, bytes, "{name}");
    }

    // Salvage needs the base as well; a damaged chunk is lost alone.
    let options = ReadOptions { bases: vec![base.clone()], ..ReadOptions::default() };
    let mut damaged = frame.clone();
    damaged[frame.len() / 2] ^= 1;
    let mut salvage = FrameSalvage::new(Cursor::new(&damaged), options).unwrap();
    let mut out = Vec::new();
    salvage.copy_to(&mut out).unwrap();
    assert_eq!(salvage.damage().len(), 1);
    let lost = salvage.damage()[0].output.clone();
    assert_eq!(out.len(), new.len());
    let same = |range: std::ops::Range<usize>| out[range.clone()] == new[range];
    assert!(same(0..lost.start as usize) && same(lost.end as usize..out.len()));
}

#[test]
fn another_base_is_an_error() {
    let a = weights(300_000, 1);
    let (old, new) = (model(&[("a", &a)]), model(&[("a", &moved(&a, 2))]));
    let frame = compress(&new, Some(base("old", &old)));
    let error = decompress(&frame, Vec::new()).unwrap_err();
    assert!(matches!(&error, Error::Base(m) if m.contains("none was given")), "{error}");
    let other = model(&[("a", &moved(&a, 5))]);
    for wrong in [base("wrong", &other), base("short", &old[..1000])] {
        let error = decompress(&frame, vec![wrong.clone()]).unwrap_err();
        assert!(matches!(&error, Error::Base(m) if m.contains("not those")), "{error}");
        // One of several is the right one.
        assert_eq!(decompress(&frame, vec![wrong.clone(), base("old", &old)]).unwrap(), new);
        let mut archive = FrameArchive::open(Cursor::new(&frame)).unwrap();
        let known = archive.set_bases(vec![wrong]);
        let error = known.and_then(|()| archive.extract("a", &mut Vec::new())).unwrap_err();
        assert!(matches!(&error, Error::Base(_)), "{error}");
    }
}

/// Every change of a byte and every cut of a small frame with a base is an error, and no panic.
#[test]
fn damage_is_found() {
    let old = weights(600, 1);
    let base = base("old", &old);
    let frame = compress(&moved(&old, 2), Some(base.clone()));
    assert_eq!(codecs(&frame), [ChunkCodec::Base]);
    for at in 0..frame.len() {
        let mut damaged = frame.clone();
        damaged[at] ^= 0x11;
        assert!(decompress(&damaged, vec![base.clone()]).is_err(), "changed at {at}");
        assert!(decompress(&frame[..at], vec![base.clone()]).is_err(), "cut at {at}");
    }
}

#[test]
fn bytes_of_no_kind_are_coded_against_the_same_place() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(9);
    let old: Vec<u8> = (0..3_000_000).map(|_| rng.random()).collect();
    let mut new = old.clone();
    new[2_000_000] ^= 0xff;
    new.extend_from_slice(b"and more");
    let frame = compress(&new, Some(base("old", &old)));
    assert!(frame.len() < 5000, "{}", frame.len());
    assert_eq!(decompress(&frame, vec![base("old", &old)]).unwrap(), new);
    // Nothing of it helps: the frame has no base.
    let other: Vec<u8> = (0..100_000).map(|_| rng.random()).collect();
    let frame = compress(&other, Some(base("old", &old)));
    assert_eq!(decompress(&frame, Vec::new()).unwrap(), other);
    assert!(FrameArchive::open(Cursor::new(&frame)).unwrap().bases().is_empty());
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
}

fn open(path: &Path) -> parans::Result<Arc<Base>> {
    Base::open(path).map(Arc::new)
}

#[test]
fn chains_resolve_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut steps = vec![model(&[("a", &weights(300_000, 1))])];
    let mut last = weights(300_000, 1);
    write(&path("step0"), &steps[0]);
    for number in 1..4 {
        last = moved(&last, number);
        steps.push(model(&[("a", &last)]));
        let before =
            if number == 1 { "step0".into() } else { format!("step{}.parans", number - 1) };
        let base = Base::open(&path(&before)).unwrap().named(&before);
        let frame = compress(&steps[number as usize], Some(Arc::new(base)));
        write(&path(&format!("step{number}.parans")), &frame);
    }
    let archive = |name: &str| {
        let file = fs::File::open(path(name)).unwrap();
        let mut archive = FrameArchive::open(file).unwrap();
        let bases = archive.bases().iter().map(|name| Base::find(name, folder.path()));
        let bases = bases.collect::<parans::Result<Vec<_>>>()?;
        archive.set_bases(bases)?;
        archive.read_range(0..archive.content_length())
    };
    assert_eq!(archive("step3.parans").unwrap(), steps[3]);
    // A link that is there decompressed serves as well.
    fs::remove_file(path("step1.parans")).unwrap();
    write(&path("step1"), &steps[1]);
    assert_eq!(archive("step3.parans").unwrap(), steps[3]);
    fs::remove_file(path("step1")).unwrap();
    let error = archive("step3.parans").unwrap_err();
    assert!(matches!(&error, Error::Base(m) if m.contains("step1.parans")), "{error}");
    // A frame does not choose any file of the machine.
    let whole = path("step0").display().to_string();
    let base = Base::open(&path("step0")).unwrap();
    assert_eq!(base.name(), whole);
    write(&path("whole.parans"), &compress(&steps[1], Some(Arc::new(base))));
    let error = archive("whole.parans").unwrap_err();
    assert!(matches!(&error, Error::Base(m) if m.contains("step0")), "{error}");
    // Another file of the name.
    write(&path("step1"), &steps[1][1..]);
    let error = archive("step3.parans").unwrap_err();
    assert!(matches!(&error, Error::Base(m) if m.contains("is not the base")), "{error}");
}

#[test]
fn cycles_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parans");
    let content = weights(100_000, 1);
    let changed = moved(&content, 2);
    let base = Base::from_bytes("a.parans", content).unwrap();
    write(&path, &compress(&changed, Some(Arc::new(base))));
    let error = open(&path).unwrap_err();
    assert!(matches!(&error, Error::Base(m) if m.contains("cycle")), "{error}");
}

/// Tied embeddings: the same tensor under two names.
#[test]
fn repeated_tensors_are_stored_once() {
    let (embedding, other) = (weights(1_500_000, 1), weights(1_500_000, 2));
    let content = model(&[("embed", &embedding), ("layer", &other), ("lm_head", &embedding)]);
    let layout = layout(&content);
    let repeats = find_repeats(&fingerprints(&layout, Cursor::new(&content)).unwrap());
    assert_eq!(repeats.len(), 1);
    let once = compress(&content, None);
    let mut writer = FrameWriter::with_layout(Vec::new(), WriteOptions::default(), layout).unwrap();
    writer = writer.with_repeats(repeats).unwrap();
    writer.write_all(&content).unwrap();
    let frame = writer.finish().unwrap().0;
    assert!(frame.len() < once.len() * 7 / 10, "{} {}", frame.len(), once.len());
    assert_eq!(codecs(&frame).iter().filter(|&&codec| codec == ChunkCodec::Repeat).count(), 3);
    let mut back = Vec::new();
    FrameReader::new(&frame[..], ReadOptions::default()).read_to_end(&mut back).unwrap();
    assert_eq!(back, content);
    let mut archive = FrameArchive::open(Cursor::new(&frame)).unwrap();
    let mut out = Vec::new();
    archive.extract("lm_head", &mut out).unwrap();
    assert_eq!(out, embedding);
    // A lost chunk is lost twice; the others are not.
    let mut damaged = frame.clone();
    damaged[200_000] ^= 1;
    let mut salvage = FrameSalvage::new(Cursor::new(&damaged), ReadOptions::default()).unwrap();
    let mut out = Vec::new();
    salvage.copy_to(&mut out).unwrap();
    let lost: Vec<_> = salvage.damage().iter().map(|damage| damage.output.clone()).collect();
    assert_eq!(lost.len(), 2, "{:?}", salvage.damage());
    assert_eq!(out.len(), content.len());
    for (at, (a, b)) in out.iter().zip(&content).enumerate() {
        assert!(a == b || lost.iter().any(|lost| lost.contains(&(at as u64))), "{at}");
    }
}

/// What is said to repeat and does not is coded as it is.
#[test]
fn repeats_are_compared() {
    let content = weights(1 << 20, 3);
    let length = content.len() as u64 / 2;
    let repeat = |start, source| Repeat { content: start..start + length, source };
    let write = |repeats| {
        let mut writer = FrameWriter::new(Vec::new(), WriteOptions::default())?;
        writer = writer.with_repeats(repeats)?;
        writer.write_all(&content)?;
        writer.finish()
    };
    let frame = write(vec![repeat(length, 0)]).unwrap().0;
    assert_eq!(decompress(&frame, Vec::new()).unwrap(), content);
    assert!(!codecs(&frame).contains(&ChunkCodec::Repeat));
    for wrong in [repeat(length - 1, 0), repeat(0, 5), repeat(7, u64::MAX)] {
        assert!(matches!(write(vec![wrong]), Err(Error::InvalidArgument(_))));
    }
}

/// Tensors that are written one by one are matched by their names, whatever their order.
#[test]
fn tensors_written_one_by_one() {
    let (a, b) = (weights(300_000, 1), weights(200_000, 2));
    let old = base("old", &model(&[("a", &a), ("b", &b)]));
    let writer = FrameWriter::new(Vec::new(), WriteOptions::default()).unwrap();
    let mut writer = writer.with_base(old.clone()).unwrap();
    let mut content = Vec::new();
    for (name, bytes) in [("b", moved(&b, 3)), ("new", weights(1000, 5)), ("a", moved(&a, 4))] {
        let shape = [bytes.len() as u64 / 2];
        writer.write_tensor(name, parans::Dtype::Bf16, &shape, &bytes).unwrap();
        content.extend_from_slice(&bytes);
    }
    let frame = writer.finish().unwrap().0;
    assert!(frame.len() < content.len() / 5, "{} {}", frame.len(), content.len());
    assert_eq!(decompress(&frame, vec![old]).unwrap(), content);
}

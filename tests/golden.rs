//! Files of version 1, written once and never again: every later build reads them and finds what was put in.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::PathBuf,
};

use ndarray::{Array2, array};
use parans::{
    Family,
    frame::{ChunkCodec, Container, EntryKind, FrameArchive, FrameReader, ReadOptions},
};
use xxhash_rust::xxh3::xxh3_64;

/// Name, length of the content, XXH3 of the content.
const FILES: &[(&str, usize, u64)] = &[
    ("v1-rows.parans", 413, 0xaffd_a5b4_a82c_efea),
    ("v1-npy.parans", 16512, 0xfb7e_1527_b448_684f),
    ("v1-empty.parans", 0, 0x2d06_8005_38d3_94c2),
    ("v1-npz.parans", 16620, 0x46b6_47f0_9814_b3cb),
    ("v1-bytes.parans", 11900, 0xca12_1b8d_4cd3_2035),
    ("v1-safetensors.parans", 185_072, 0x6994_ded6_1ad4_30c1),
    ("v1-two-frames.parans", 11, 0xe1a0_9c90_a0e4_66a3),
];

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden", name].iter().collect()
}

fn archive(name: &str) -> FrameArchive<File> {
    FrameArchive::open(File::open(path(name)).unwrap()).unwrap()
}

#[test]
fn contents() {
    let mut codecs = BTreeSet::new();
    for &(name, length, check) in FILES {
        let frame = fs::read(path(name)).unwrap();
        let mut content = Vec::new();
        let mut reader = FrameReader::new(&frame[..], ReadOptions::default());
        let summary = reader.copy_to(&mut content).unwrap();
        codecs.extend(
            reader.indexes().iter().flat_map(|index| &index.chunks).map(|chunk| chunk.codec),
        );
        assert_eq!((content.len(), xxh3_64(&content)), (length, check), "{name}");
        assert_eq!(summary.frame, frame.len() as u64, "{name}");
    }
    let there: BTreeSet<String> = fs::read_dir(path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let known: BTreeSet<String> = FILES.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(there, known);
    let every = [ChunkCodec::Stored, ChunkCodec::Constant, ChunkCodec::Order0, ChunkCodec::Planes];
    assert_eq!(codecs, BTreeSet::from(every));
}

#[test]
fn bytes() {
    let mut archive = archive("v1-bytes.parans");
    let codecs: Vec<ChunkCodec> = archive.index().chunks.iter().map(|chunk| chunk.codec).collect();
    for codec in [ChunkCodec::Constant, ChunkCodec::Order0] {
        assert!(codecs.contains(&codec), "{codec:?} in {codecs:?}");
    }
    assert_eq!(archive.read_range(53..83).unwrap(), b"it was the best of times, it w");
}

#[test]
fn models() {
    let mut archive = archive("v1-safetensors.parans");
    let index = archive.index().clone();
    assert_eq!((index.container, index.entries.len()), (Container::Safetensors, 11));
    // A tensor of each type that has a coding of its own, and one of bytes.
    for name in ["f16", "bf16", "f32", "f64", "i16", "u16", "i32", "u32", "i64", "u64", "bytes"] {
        let mut bytes = Vec::new();
        let entry = archive.extract(name, &mut bytes).unwrap();
        let EntryKind::Tensor { dtype, shape } = entry.kind else { panic!("{name}") };
        assert_eq!(
            (dtype.to_lowercase().replace("u8", "bytes").as_str(), shape),
            (name, vec![4096])
        );
        assert_eq!(bytes.len() % 4096, 0);
    }
    let planes = index.chunks.iter().filter(|chunk| chunk.codec == ChunkCodec::Planes).count();
    assert_eq!(planes, 10);
    for (name, container, entry) in
        [("v1-npy.parans", Container::Npy, ""), ("v1-npz.parans", Container::Npz, "w")]
    {
        let mut archive = self::archive(name);
        assert_eq!(archive.index().container, container);
        let mut bytes = Vec::new();
        archive.extract(entry, &mut bytes).unwrap();
        assert_eq!(bytes.len(), 4 * 4096);
    }
}

#[test]
fn rows() {
    let mut archive = archive("v1-rows.parans");
    for family in Family::ALL {
        let mut rows = archive.read_rows(family.name()).unwrap();
        let coder = rows.coder().unwrap();
        let popped: Array2<i32> =
            coder.pop(&mut rows.streams, &Array2::<i32>::zeros((1, 9))).unwrap();
        assert_eq!(popped, array![[0, 1, 2, 1, 0, 7, -3, 2, 1]], "{family}");
    }
}

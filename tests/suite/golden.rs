//! Files of version 1, written once and never again: every later build reads them and finds what
//! was put in. `write` made them; it is for the time before version 1 is released.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::PathBuf,
    sync::Arc,
};

use half::{bf16, f16};
use ndarray::{Array2, array};
use parans::{
    Family, Indexes,
    frame::{
        Base, ChunkCodec, Container, Elements, EntryKind, Field, FrameArchive, FrameReader,
        ReadOptions, Record,
    },
};
use safetensors::Dtype;
use xxhash_rust::xxh3::xxh3_64;

/// Name, length of the content, XXH3 of the content.
const FILES: &[(&str, usize, u64)] = &[
    ("v1-base.parans", 185_072, 0x6513_508d_ee61_21a3),
    ("v1-repeats.parans", 14_144, 0xd611_9375_47a7_e324),
    ("v1-checkpoints.parans", 2410, 0x637b_01ea_bd19_c5b5),
    ("v1-floats.parans", 211_500, 0x07e0_2ebb_e5e4_5e4c),
    ("v1-rows.parans", 757, 0x2b27_1d95_6cfd_812e),
    ("v1-npy.parans", 16512, 0xcd44_5a11_eb72_3e0f),
    ("v1-empty.parans", 0, 0x2d06_8005_38d3_94c2),
    ("v1-npz.parans", 16620, 0x46df_3a99_f194_22ca),
    ("v1-bytes.parans", 11900, 0x0027_89b1_807e_0282),
    ("v1-safetensors.parans", 185_072, 0xc0f8_260a_740c_00b2),
    ("v1-two-frames.parans", 11, 0xe1a0_9c90_a0e4_66a3),
    // These three were added to version 1.
    ("v1-elements.parans", 187_500, 0x9e15_3bb4_a0cd_6da1),
    ("v1-torch.parans", 16859, 0xda7d_8a3a_757d_d9b4),
    ("v1-gguf.parans", 30080, 0x2f76_2c1a_2948_ec41),
];

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden", name].iter().collect()
}

fn archive(name: &str) -> FrameArchive<File> {
    FrameArchive::open(File::open(path(name)).unwrap()).unwrap()
}

/// What [`BASE`] holds, for the files that are coded against it.
fn options() -> ReadOptions {
    let bases = vec![Arc::new(Base::open(&path(BASE)).unwrap())];
    ReadOptions { keep_indexes: true, bases, ..ReadOptions::default() }
}

const BASE: &str = "v1-safetensors.parans";

#[test]
fn contents() {
    let mut codecs = BTreeSet::new();
    for &(name, length, check) in FILES {
        let frame = fs::read(path(name)).unwrap();
        let mut content = Vec::new();
        let mut reader = FrameReader::new(&frame[..], options());
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
    use ChunkCodec::{Base, Constant, Order0, Planes, Repeat, Stored};
    assert_eq!(codecs, BTreeSet::from([Stored, Constant, Order0, Planes, Base, Repeat]));
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
    for (name, container, entry) in [
        ("v1-npy.parans", Container::Npy, ""),
        ("v1-npz.parans", Container::Npz, "w"),
        ("v1-torch.parans", Container::Torch, "w"),
        ("v1-gguf.parans", Container::Gguf, "w"),
    ] {
        let mut archive = self::archive(name);
        assert_eq!(archive.index().container, container);
        let mut bytes = Vec::new();
        archive.extract(entry, &mut bytes).unwrap();
        assert_eq!(bytes.len(), 4 * 4096);
    }
}

/// The base is found by its name, and every tensor in it is a little different.
#[test]
fn bases() {
    let (mut old, mut new) = (archive(BASE), archive("v1-base.parans"));
    let [name] = new.bases() else { panic!("{:?}", new.bases()) };
    assert_eq!(name.name, BASE);
    let base = parans::frame::Base::find(name, &path("")).unwrap();
    new.set_bases(vec![base]).unwrap();
    let coded = new.index().chunks.iter().filter(|chunk| chunk.codec == ChunkCodec::Base).count();
    // The header is the same, and a chunk as well.
    assert_eq!(coded, 12);
    for entry in old.index().entries.clone() {
        let [mut before, mut after] = <[Vec<u8>; 2]>::default();
        old.extract(&entry.name, &mut before).unwrap();
        new.extract(&entry.name, &mut after).unwrap();
        assert!(before.len() == after.len() && before != after, "{}", entry.name);
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

/// Numbers that a machine of any kind makes alike.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 32
    }

    /// About normal, of standard deviation 0.02.
    fn weight(&mut self) -> f64 {
        let sum: u64 = (0..4).map(|_| self.next() & 0xffff).sum();
        (sum as f64 - 2.0 * 65_535.0) / 65_536.0 * 0.035
    }
}

/// Tensors of 1500 elements of every type: weights with all that floats can be among them, sparse
/// ones, ones of one sign, ones with fewer digits than their type has; integers near their
/// neighbours; bytes.
fn every_type() -> Vec<(String, Dtype, Vec<u8>)> {
    const ELEMENTS: usize = 1500;
    let mut numbers = Numbers(9);
    let mut tensors = Vec::new();
    for (dtype, bits, mantissa) in
        [(Dtype::F16, 16, 10), (Dtype::BF16, 16, 7), (Dtype::F32, 32, 23), (Dtype::F64, 64, 52)]
    {
        let encode = |value: f64| match dtype {
            Dtype::F16 => u64::from(f16::from_f64(value).to_bits()),
            Dtype::BF16 => u64::from(bf16::from_f64(value).to_bits()),
            Dtype::F32 => u64::from((value as f32).to_bits()),
            _ => value.to_bits(),
        };
        let sign = 1u64 << (bits - 1);
        let infinity = (sign - 1) >> mantissa << mantissa;
        for kind in ["weights", "sparse", "positive", "negative", "short"] {
            let mut values: Vec<u64> = (0..ELEMENTS)
                .map(|_| {
                    let value = encode(numbers.weight());
                    match kind {
                        "sparse" if numbers.next() % 10 < 7 => value & sign,
                        "positive" => value & !sign,
                        "negative" => value | sign,
                        "short" => value >> (mantissa - 3) << (mantissa - 3),
                        _ => value,
                    }
                })
                .collect();
            if kind == "weights" {
                // Both zeros, denormals, infinities, NaNs of several payloads.
                let odd = [0, 1, 5, infinity, infinity | 1, infinity | 1 << (mantissa - 1)];
                for (at, value) in odd.into_iter().enumerate() {
                    values[100 * at] = value;
                    values[100 * at + 50] = value | sign;
                }
            }
            let bytes = values.iter().flat_map(|v| v.to_le_bytes().into_iter().take(bits / 8));
            tensors.push((format!("{dtype:?}.{kind}"), dtype, bytes.collect()));
        }
    }
    let integers = [Dtype::I16, Dtype::U16, Dtype::I32, Dtype::U32, Dtype::I64, Dtype::U64];
    for (number, dtype) in integers.into_iter().enumerate() {
        let size = [2, 2, 4, 4, 8, 8][number];
        for kind in ["small", "sorted"] {
            let mut at = 0u64;
            let values = (0..ELEMENTS).map(|_| {
                let step = numbers.next() % 9;
                at = if kind == "sorted" {
                    at + step
                } else {
                    step.wrapping_sub(4 * (number as u64 % 2))
                };
                at
            });
            let bytes = values.flat_map(|v| v.to_le_bytes().into_iter().take(size)).collect();
            tensors.push((format!("{dtype:?}.{kind}"), dtype, bytes));
        }
    }
    for dtype in [Dtype::F8_E4M3, Dtype::F8_E5M2, Dtype::I8, Dtype::U8, Dtype::BOOL] {
        let most = if dtype == Dtype::BOOL { 2 } else { 40 };
        let bytes = (0..ELEMENTS).map(|_| (numbers.next() % most) as u8).collect();
        tensors.push((format!("{dtype:?}"), dtype, bytes));
    }
    tensors
}

/// Every element type, and every way there is to cut its values.
#[test]
fn floats() {
    let frame = fs::read(path("v1-floats.parans")).unwrap();
    let mut archive = archive("v1-floats.parans");
    for (name, dtype, bytes) in every_type() {
        let mut out = Vec::new();
        let entry = archive.extract(&name, &mut out).unwrap();
        assert!(out == bytes, "{name}");
        let EntryKind::Tensor { dtype: known, .. } = entry.kind else { panic!("{name}") };
        assert_eq!(known, format!("{dtype:?}"));
    }
    // The first bytes of a chunk of planes say how it was cut: docs/float-format.md.
    let (mut floats, mut integers) = (BTreeSet::new(), BTreeSet::new());
    let mut dropped = BTreeSet::new();
    let mut at = 32;
    for chunk in &archive.index().chunks {
        let planes = &frame[at + 40..];
        match (chunk.codec, planes[0]) {
            (ChunkCodec::Planes, 1) => {
                dropped.insert(planes[2] > 0);
                let signs = planes[3] & 3;
                floats.extend([
                    ("sign", signs),
                    ("packed", planes[3] >> 2 & 1),
                    ("zeros", planes[3] >> 3),
                ]);
            }
            (ChunkCodec::Planes, 2) => {
                integers.insert(planes[1]);
            }
            _ => {}
        }
        at += 40 + chunk.coded as usize;
    }
    let every = [
        ("sign", 0),
        ("sign", 1),
        ("sign", 2),
        ("packed", 0),
        ("packed", 1),
        ("zeros", 0),
        ("zeros", 1),
    ];
    assert_eq!(floats, BTreeSet::from(every));
    assert_eq!((dropped.len(), integers), (2, BTreeSet::from([0, 1, 2])));
}

/// Elements for which chunks have numbers from 11 on: of the other byte order, truth values,
/// records.
fn later_elements() -> Vec<(String, Elements, Vec<u8>)> {
    const ELEMENTS: u64 = 2500;
    let mut numbers = Numbers(19);
    let mut out = Vec::new();
    for dtype in parans::Dtype::ALL {
        let Some(elements @ Elements::Swapped(_)) = Elements::big_endian(dtype) else { continue };
        let bytes = (0..ELEMENTS).flat_map(|at| {
            let value = match dtype.name() {
                "F16" => f16::from_f64(numbers.weight()).to_bits().into(),
                "BF16" => bf16::from_f64(numbers.weight()).to_bits().into(),
                "F32" => u64::from((numbers.weight() as f32).to_bits()),
                "F64" => numbers.weight().to_bits(),
                _ => 3 * at + numbers.next() % 3,
            };
            value.to_be_bytes().into_iter().skip(8 - dtype.size())
        });
        out.push((format!(">{dtype}"), elements, bytes.collect()));
    }
    let bools =
        (0..8 * ELEMENTS).map(|at| u8::from((at / (7 + numbers.next() % 2)).is_multiple_of(9)));
    out.push(("bools".into(), Elements::Bools, bools.collect()));
    let fields = [
        Field::new(parans::Dtype::F32, 1),
        Field { swapped: true, ..Field::new(parans::Dtype::I64, 2) },
        Field::new(parans::Dtype::U8, 3),
    ];
    let records = (0..ELEMENTS).flat_map(|at| {
        let mut record = (numbers.weight() as f32).to_le_bytes().to_vec();
        record.extend([(at * 5).to_be_bytes(), (numbers.next() % 7).to_be_bytes()].concat());
        record.extend([1, (at % 4) as u8, b'x']);
        record
    });
    out.push((
        "records".into(),
        Elements::Records(Record::new(&fields).unwrap()),
        records.collect(),
    ));
    out
}

#[test]
fn later_element_types() {
    let frame = fs::read(path("v1-elements.parans")).unwrap();
    let mut archive = archive("v1-elements.parans");
    for (name, _, bytes) in later_elements() {
        let mut out = Vec::new();
        archive.extract(&name, &mut out).unwrap();
        assert!(out == bytes, "{name}");
    }
    let (mut numbers, mut at) = (BTreeSet::new(), 32);
    for chunk in &archive.index().chunks {
        numbers.insert(frame[at + 5]);
        at += 40 + chunk.coded as usize;
    }
    numbers.remove(&0);
    assert_eq!(numbers, (11..=22).collect());
}

/// Writes the files that were added to version 1 and prints their lines of [`FILES`].
#[cfg(feature = "containers")]
#[test]
#[ignore = "overwrites golden files"]
fn write_later() {
    use std::io::Write;

    use parans::frame::{Entry, FrameWriter, Layout, RecognisingWriter, Segment, WriteOptions};

    fn keep(name: &str, content: &[u8], frame: &[u8]) {
        println!("    ({name:?}, {}, {:#018x}),", content.len(), xxh3_64(content));
        fs::write(path(name), frame).unwrap();
    }
    let (mut layout, mut content) = (Layout::default(), Vec::new());
    for (name, elements, bytes) in later_elements() {
        let kind = EntryKind::Bytes;
        let (offset, length) = (content.len() as u64, bytes.len() as u64);
        layout.entries.push(Entry { name, kind, offset, length });
        layout.segments.push(Segment { length, dtype: Some(elements) });
        content.extend(bytes);
    }
    let mut writer = FrameWriter::with_layout(Vec::new(), WriteOptions::default(), layout).unwrap();
    writer.write_all(&content).unwrap();
    keep("v1-elements.parans", &content, &writer.finish().unwrap().0);

    let mut numbers = Numbers(5);
    let weights: Vec<u8> =
        (0..4096).flat_map(|_| (numbers.weight() as f32).to_le_bytes()).collect();
    let mut pickle = b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((".to_vec();
    pickle.extend(b"X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuM\0\x10tQ");
    pickle.extend(b"K\0K@K@\x86K@K\x01\x86\x89NtRs.");
    let mut zip = zip::ZipWriter::new_stream(Vec::new());
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in
        [("m/data.pkl", &pickle[..]), ("m/byteorder", b"little"), ("m/data/0", &weights)]
    {
        zip.start_file(name, stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    let torch = zip.finish().unwrap().into_inner();
    let mut gguf = [b"GGUF\x03\0\0\0".as_slice(), &2u64.to_le_bytes(), &[0; 8]].concat();
    for (name, shape, kind, offset) in [(b"w", 4096u64, 0u32, 0u64), (b"q", 12_800, 8, 16_384)] {
        gguf.extend([&1u64.to_le_bytes(), &name[..], &1u32.to_le_bytes()].concat());
        gguf.extend(
            [&shape.to_le_bytes()[..], &kind.to_le_bytes(), &offset.to_le_bytes()].concat(),
        );
    }
    gguf.resize(gguf.len().next_multiple_of(32), 0);
    gguf.extend(&weights);
    for _ in 0..400 {
        gguf.extend(f16::from_f64(0.01 + numbers.weight() / 10.0).to_le_bytes());
        gguf.extend((0..32).map(|_| (numbers.weight() * 2000.0) as i8 as u8));
    }
    for (name, content) in [("v1-torch.parans", torch), ("v1-gguf.parans", gguf)] {
        let mut writer = RecognisingWriter::new(Vec::new(), WriteOptions::default());
        writer.write_all(&content).unwrap();
        keep(name, &content, &writer.finish().unwrap().0);
    }
}

/// Two rows of 100 symbols of each family, with checkpoints every 32.
#[test]
fn checkpoints() {
    let mut archive = archive("v1-checkpoints.parans");
    let mut numbers = Numbers(77);
    for (number, &family) in Family::ALL.iter().enumerate() {
        let symbols = Array2::from_shape_simple_fn((2, 100), || (numbers.next() % 5) as i32 - 1);
        let indexes = Indexes::one(number as i32 % 2, 2, 100);
        let rows = archive.read_rows(family.name()).unwrap();
        let coder = rows.coder().unwrap();
        let checkpoints = rows.checkpoints.unwrap();
        assert_eq!((checkpoints.checkpoints_a_row(), checkpoints.every()), (3, 32));
        let peeked: Vec<i32> =
            coder.peek_columns(&rows.streams, indexes.clone(), &checkpoints, 1, 70..80).unwrap();
        assert_eq!(peeked, symbols.row(1).as_slice().unwrap()[70..80], "{family}");
        let mut streams = rows.streams.clone();
        let popped: Array2<i32> =
            coder.pop_checkpointed(&mut streams, indexes.clone(), &checkpoints).unwrap();
        assert_eq!(popped, symbols, "{family}");
        streams.expect_initial().unwrap();
        // And the rows are plain rows.
        let popped: Array2<i32> = coder.pop(&mut rows.streams.clone(), indexes).unwrap();
        assert_eq!(popped, symbols, "{family}");
    }
}

/// Writes the files anew and prints the lines of [`FILES`].
#[cfg(feature = "containers")]
#[test]
#[ignore = "overwrites the golden files"]
fn write() {
    use std::io::Write;

    use parans::{
        Bypass, Coder, Precision, Tables,
        frame::{CodedRows, FrameWriter, Repeat, WriteOptions, recognise},
    };

    fn keep(name: &str, frame: &[u8]) {
        let mut content = Vec::new();
        FrameReader::new(frame, options()).copy_to(&mut content).unwrap();
        println!("    ({name:?}, {}, {:#018x}),", content.len(), xxh3_64(&content));
        fs::write(path(name), frame).unwrap();
    }
    let begin = |chunk_size| {
        let options = WriteOptions { chunk_size, ..WriteOptions::default() };
        FrameWriter::new(Vec::new(), options).unwrap()
    };
    let model = |content: &[u8]| {
        let layout = recognise(content).unwrap();
        let options =
            WriteOptions { content_length: Some(content.len() as u64), ..WriteOptions::default() };
        let mut writer = FrameWriter::with_layout(Vec::new(), options, layout).unwrap();
        writer.write_all(content).unwrap();
        writer.finish().unwrap().0
    };
    let safetensors = |tensors: &[(String, Dtype, Vec<u8>)]| {
        let views = tensors.iter().map(|(name, dtype, bytes)| {
            let elements = bytes.len() * 8 / dtype.bitsize();
            (name, safetensors::tensor::TensorView::new(*dtype, vec![elements], bytes).unwrap())
        });
        safetensors::serialize(views, None).unwrap()
    };

    let mut numbers = Numbers(1);
    let mut content =
        b"it was the worst of times, it was the age of wisdom, it was the best of times, "
            .repeat(50);
    content.resize(8192, 0);
    content.extend((0..3708).map(|_| numbers.next() as u8));
    let mut writer = begin(Some(2048));
    writer.write_all(&content).unwrap();
    keep("v1-bytes.parans", &writer.finish().unwrap().0);
    keep("v1-empty.parans", &begin(None).finish().unwrap().0);
    let two = [&b"first"[..], b"second"].map(|content| {
        let mut writer = begin(None);
        writer.write_all(content).unwrap();
        writer.finish().unwrap().0
    });
    keep("v1-two-frames.parans", &two.concat());

    let mut floats = begin(None);
    for (name, dtype, bytes) in every_type() {
        let elements = bytes.len() * 8 / dtype.bitsize();
        floats.write_tensor(&name, &*format!("{dtype:?}"), &[elements as u64], &bytes).unwrap();
    }
    keep("v1-floats.parans", &floats.finish().unwrap().0);
    let types = [
        (Dtype::F16, "f16"),
        (Dtype::BF16, "bf16"),
        (Dtype::F32, "f32"),
        (Dtype::F64, "f64"),
        (Dtype::I16, "i16"),
        (Dtype::U16, "u16"),
        (Dtype::I32, "i32"),
        (Dtype::U32, "u32"),
        (Dtype::I64, "i64"),
        (Dtype::U64, "u64"),
        (Dtype::U8, "bytes"),
    ];
    let tensors = types.map(|(dtype, name)| {
        let bytes = (0..4096u64).flat_map(|_| {
            let weight = numbers.weight();
            let value = match dtype {
                Dtype::F16 => f16::from_f64(weight).to_bits().into(),
                Dtype::BF16 => bf16::from_f64(weight).to_bits().into(),
                Dtype::F32 => u64::from((weight as f32).to_bits()),
                Dtype::F64 => weight.to_bits(),
                _ => numbers.next() % 40,
            };
            value.to_le_bytes().into_iter().take(dtype.bitsize() / 8)
        });
        (name.to_owned(), dtype, bytes.collect::<Vec<u8>>())
    });
    keep("v1-safetensors.parans", &model(&safetensors(&tensors)));
    let near = tensors.clone().map(|(name, dtype, bytes)| {
        let size = dtype.bitsize() / 8;
        let moved = bytes.chunks(size).flat_map(|element| {
            let value = element.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte));
            // Most are near, some are the same and a few are anything.
            let value = match numbers.next() % 64 {
                0 => numbers.next() << 32 | numbers.next(),
                1..20 => value,
                n => value ^ (n & 7),
            };
            value.to_le_bytes().into_iter().take(size)
        });
        (name, dtype, moved.collect::<Vec<u8>>())
    });
    let content = safetensors(&near);
    let base = Base::from_bytes(BASE, safetensors(&tensors)).unwrap();
    let mut writer =
        FrameWriter::with_layout(Vec::new(), WriteOptions::default(), recognise(&content).unwrap())
            .unwrap()
            .with_base(Arc::new(base))
            .unwrap();
    writer.write_all(&content).unwrap();
    keep("v1-base.parans", &writer.finish().unwrap().0);
    let repeats = vec![Repeat { content: 8192..12288, source: 2048 }];
    let mut writer = begin(Some(2048)).with_repeats(repeats).unwrap();
    writer.write_all(&[&content[..8192], &content[2048..8000]].concat()).unwrap();
    keep("v1-repeats.parans", &writer.finish().unwrap().0);

    let mut header =
        b"\x93NUMPY\x01\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (4096,), }".to_vec();
    header.resize(127, b' ');
    let npy = [&header[..], b"\n", &tensors[2].2].concat();
    keep("v1-npy.parans", &model(&npy));
    let mut npz = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    npz.start_file("w.npy", stored).unwrap();
    npz.write_all(&npy).unwrap();
    keep("v1-npz.parans", &model(&npz.finish().unwrap().into_inner()));

    let coder = |family, bypass| {
        let counts = array![[9u64, 1, 4, 2, 3, 1], [1, 1, 1, 5, 1, 1]];
        let tables = Tables::builder(Precision::new(7).unwrap())
            .offsets(&[-1, -1])
            .sentinel(bypass != Bypass::Off)
            .counts(counts.view());
        let lanes = if family == Family::Rans64 { 1 } else { 4 };
        Coder::builder(family).lanes(lanes).bypass(bypass).build(tables.unwrap()).unwrap()
    };
    let (mut rows, mut checkpoints) = (begin(None), begin(None));
    let mut numbers = Numbers(77);
    for (number, &family) in Family::ALL.iter().enumerate() {
        let plain = coder(family, Bypass::digits(3));
        let mut streams = plain.streams(1).unwrap();
        let symbols = array![[0, 1, 2, 1, 0, 7, -3, 2, 1]];
        plain.push(&mut streams, &symbols, &Array2::<i32>::zeros((1, 9))).unwrap();
        rows.write_rows(family.name(), &CodedRows::new(&plain, streams).unwrap()).unwrap();

        let coder = coder(family, Bypass::Off);
        let mut streams = coder.streams(2).unwrap();
        let symbols = Array2::from_shape_simple_fn((2, 100), || (numbers.next() % 5) as i32 - 1);
        let indexes = Indexes::one(number as i32 % 2, 2, 100);
        let table = coder.push_checkpointed(&mut streams, &symbols, indexes, 32).unwrap();
        let mut coded = CodedRows::new(&coder, streams).unwrap();
        coded.checkpoints = Some(table);
        checkpoints.write_rows(family.name(), &coded).unwrap();
    }
    keep("v1-rows.parans", &rows.finish().unwrap().0);
    keep("v1-checkpoints.parans", &checkpoints.finish().unwrap().0);
}

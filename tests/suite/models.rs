//! Files as the libraries write them that users have (`scripts/make-test-models`), and larger ones
//! of the same form: recognised by their directory and as they arrive, every tensor named with its
//! type, its shape and its bytes, and the file's very bytes given back.

use std::{
    collections::BTreeMap,
    fs,
    io::{Cursor, Write},
    path::PathBuf,
};

use parans::{
    Dtype,
    frame::{
        ChunkCodec, Container, Elements, EntryKind, FrameArchive, FrameReader, FrameWriter, Layout,
        ReadOptions, RecognisingWriter, WriteOptions, recognise, recognise_file,
    },
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Type and shape, none of plain bytes, and the bytes in hexadecimal digits.
type Expected = BTreeMap<String, (Option<String>, Option<Vec<u64>>, String)>;

fn file(name: &str) -> Vec<u8> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "models", name].iter().collect();
    fs::read(path).unwrap()
}

fn expected() -> BTreeMap<String, Expected> {
    serde_json::from_slice(&file("expected.json")).unwrap()
}

fn with_layout(content: &[u8], layout: Layout) -> Vec<u8> {
    let mut writer = FrameWriter::with_layout(Vec::new(), WriteOptions::default(), layout).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap().0
}

/// The frame of content that arrives in pieces of so many bytes.
fn piped(content: &[u8], piece: usize) -> Vec<u8> {
    let mut writer = RecognisingWriter::new(Vec::new(), WriteOptions::default());
    for piece in content.chunks(piece) {
        writer.write_all(piece).unwrap();
    }
    assert_eq!(writer.position(), content.len() as u64);
    writer.finish().unwrap().0
}

fn decompress(frame: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    FrameReader::new(frame, ReadOptions::default()).copy_to(&mut out).unwrap();
    out
}

/// All that an archive names.
fn tensors(frame: &[u8]) -> (Container, Expected) {
    let mut archive = FrameArchive::open(Cursor::new(frame)).unwrap();
    let index = archive.index().clone();
    let read = index.entries.iter().map(|entry| {
        let bytes = archive.read_range(entry.offset..entry.end()).unwrap();
        let (dtype, shape) = match &entry.kind {
            EntryKind::Tensor { dtype, shape } => (Some(dtype.clone()), Some(shape.clone())),
            _ => (None, None),
        };
        let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        (entry.name.clone(), (dtype, shape, hex))
    });
    let read = read.collect();
    (index.container, read)
}

#[test]
fn every_tensor_of_real_files() {
    let all = expected();
    assert_eq!(all.len(), 6);
    for (name, expected) in all {
        let content = file(&name);
        let container = if name.ends_with("npz") { Container::Npz } else { Container::Torch };
        let layout = recognise(&content).unwrap();
        assert_eq!(recognise_file(Cursor::new(&content)).unwrap().as_ref(), Some(&layout));
        let frames = [
            with_layout(&content, layout),
            piped(&content, 1),
            piped(&content, 1000),
            piped(&content, 1 << 20),
        ];
        for frame in frames {
            assert!(decompress(&frame) == content, "{name}");
            let (found, tensors) = tensors(&frame);
            assert_eq!((found, &tensors), (container, &expected), "{name}");
        }
    }
}

/// What is cut or changed comes back as it is, and what is named lies inside.
#[test]
fn damaged_files_are_bytes() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(4);
    for name in expected().keys() {
        let content = file(name);
        for cut in (0..content.len()).step_by(61).chain(content.len() - 30..content.len()) {
            let frame = piped(&content[..cut], 4096);
            assert!(decompress(&frame) == content[..cut], "{name} to {cut}");
            // Without its directory it is none of these files.
            assert!(FrameArchive::open(Cursor::new(&frame)).unwrap().index().entries.is_empty());
            assert_eq!(recognise(&content[..cut]), None);
        }
        for _ in 0..200 {
            let mut content = content.clone();
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(0..content.len());
                content[at] = rng.random();
            }
            let mut frames = vec![piped(&content, 3000)];
            frames.extend(recognise(&content).map(|layout| with_layout(&content, layout)));
            for frame in frames {
                assert!(decompress(&frame) == content, "{name}");
                FrameArchive::open(Cursor::new(&frame)).unwrap();
            }
        }
    }
}

/// A `torch.save` archive of these tensors: name, storage class, shape and bytes, as PyTorch writes
/// it.
fn torch(tensors: &[(&str, &str, &[u32], Vec<u8>)]) -> Vec<u8> {
    let text =
        |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
    let int = |n: u32| [b"J".as_slice(), &n.to_le_bytes()].concat();
    let tuple = |numbers: Vec<u32>| {
        [b"(", &*numbers.into_iter().flat_map(int).collect::<Vec<u8>>(), b"t"].concat()
    };
    let mut pickle = b"\x80\x02}(".to_vec();
    for (key, (name, class, shape, bytes)) in tensors.iter().enumerate() {
        let elements: u32 = shape.iter().product();
        let strides = (0..shape.len()).map(|at| shape[at + 1..].iter().product()).collect();
        assert_eq!(bytes.len() % elements as usize, 0);
        pickle.extend(
            [
                &*text(name),
                b"ctorch._utils\n_rebuild_tensor_v2\n((",
                &text("storage"),
                format!("ctorch\n{class}Storage\n").as_bytes(),
                &text(&key.to_string()),
                &text("cpu"),
                &int(elements),
                b"tQ",
                &int(0),
                &tuple(shape.to_vec()),
                &tuple(strides),
                b"\x89NtR",
            ]
            .concat(),
        );
    }
    pickle.extend(b"u.");
    let mut members = vec![("m/data.pkl".to_owned(), &pickle[..])];
    members.push(("m/byteorder".into(), b"little"));
    members.extend(
        tensors.iter().enumerate().map(|(key, (.., bytes))| (format!("m/data/{key}"), &bytes[..])),
    );
    members.push(("m/version".into(), b"3\n"));
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in &members {
        let begin = out.len() as u32;
        let padding = (out.len() + 30 + name.len() + 4).next_multiple_of(64)
            - (out.len() + 30 + name.len() + 4);
        out.extend(b"PK\x03\x04\0\0\x08\x08\0\0\0\0\0\0");
        out.extend([0; 12]);
        out.extend((name.len() as u16).to_le_bytes());
        out.extend((padding as u16 + 4).to_le_bytes());
        out.extend(name.as_bytes());
        out.extend(b"FB");
        out.extend((padding as u16).to_le_bytes());
        out.extend(vec![b'Z'; padding]);
        out.extend_from_slice(bytes);
        let sizes =
            [(bytes.len() as u32).to_le_bytes(), (bytes.len() as u32).to_le_bytes()].concat();
        out.extend([b"PK\x07\x08\0\0\0\0", &sizes[..]].concat());
        directory.extend(b"PK\x01\x02\0\0\0\0\x08\x08\0\0\0\0\0\0\0\0\0\0");
        directory.extend(sizes);
        directory.extend((name.len() as u16).to_le_bytes());
        directory.extend([0; 12]);
        directory.extend(begin.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let begin = out.len() as u32;
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([(members.len() as u16).to_le_bytes(); 2].concat());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(begin.to_le_bytes());
    out.extend([0; 2]);
    out
}

/// Weights, whose share after coding says whether they were coded by their type.
fn weights(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    (0..n).map(|_| (0..6).map(|_| rng.random::<f32>() - 0.5).sum::<f32>() * 0.1).collect()
}

fn floats(n: usize, seed: u64) -> Vec<u8> {
    weights(n, seed).iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn halves(n: usize, seed: u64) -> Vec<u8> {
    weights(n, seed).iter().flat_map(|&x| half::bf16::from_f32(x).to_le_bytes()).collect()
}

/// Large tensors go through as they come, small ones together; either way the archive is within 0.2
/// points of a safetensors file of the same tensors.
#[test]
fn archives_of_torch_are_as_small_as_safetensors() {
    let mut tensors = vec![
        ("large", "BFloat16", &[1000, 1000][..], halves(1_000_000, 1)),
        ("wide", "Float", &[300_001], floats(300_001, 2)),
        ("larger", "BFloat16", &[700_000], halves(700_000, 3)),
    ];
    for number in 0..40 {
        let n = if number % 2 == 0 { 5000 } else { 120_000 };
        let shape: &[u32] = if n == 5000 { &[5000] } else { &[300, 400] };
        tensors.push(("small", "BFloat16", shape, halves(n, 10 + number)));
    }
    let content = torch(&tensors);
    let views = tensors.iter().enumerate().map(|(at, (name, class, shape, bytes))| {
        let dtype =
            if *class == "Float" { safetensors::Dtype::F32 } else { safetensors::Dtype::BF16 };
        let shape = shape.iter().map(|&n| n as usize).collect();
        let view = safetensors::tensor::TensorView::new(dtype, shape, bytes).unwrap();
        (format!("{name}{at}"), view)
    });
    let reference = safetensors::serialize(views, None).unwrap();
    let share = |frame: &[u8], content: &[u8]| 100.0 * frame.len() as f64 / content.len() as f64;
    let wanted = share(&with_layout(&reference, recognise(&reference).unwrap()), &reference);
    let frames = [
        with_layout(&content, recognise(&content).unwrap()),
        piped(&content, 1 << 20),
        piped(&content, 777),
    ];
    for frame in frames {
        assert!(decompress(&frame) == content);
        let got = share(&frame, &content);
        assert!(got < wanted + 0.2, "{got:.2} % against {wanted:.2} %");
        let archive = FrameArchive::open(Cursor::new(&frame)).unwrap();
        assert_eq!(archive.index().entries.len(), tensors.len());
        assert_eq!(archive.index().container, Container::Torch);
    }
}

/// Names that would take more than they are worth are left out of the index, and found in the
/// content.
#[test]
fn names_are_found_in_the_content() {
    let names: Vec<String> = (0..400).map(|n| format!("{:x}", 7919u64.pow(4) * (n + 1))).collect();
    let tensors: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), "Float", &[1u32][..], floats(1, name.len() as u64)))
        .collect();
    let content = torch(&tensors);
    let layout = recognise(&content).unwrap();
    let frame = with_layout(&content, layout.clone());
    let mut summary =
        FrameReader::new(&frame[..], ReadOptions { keep_indexes: true, ..ReadOptions::default() });
    summary.copy_to(&mut Vec::new()).unwrap();
    assert_eq!(summary.indexes()[0].container, Container::Torch);
    assert!(summary.indexes()[0].entries.is_empty());
    let archive = FrameArchive::open(Cursor::new(&frame)).unwrap();
    assert_eq!(archive.index().entries, layout.entries);
    assert_eq!(archive.index().entries.len(), 400);
}

/// Members of an npz that are large, small and no arrays, from a pipe.
#[test]
fn large_arrays_from_a_pipe() {
    let array = |descr: &str, n: usize, data: Vec<u8>| {
        let mut header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': ({n},), }}");
        header.extend(std::iter::repeat_n(' ', 117 - header.len()));
        [b"\x93NUMPY\x01\0v\0", header.as_bytes(), b"\n", &data].concat()
    };
    let large = array("'<f4'", 500_000, floats(500_000, 5));
    let small = array("'<f4'", 2000, floats(2000, 6));
    let mut zip = zip::ZipWriter::new_stream(Vec::new());
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in [
        ("a.npy", &large),
        ("notes", &b"PK\x07\x08 text".to_vec()),
        ("b.npy", &small),
        ("c.npy", &large),
    ] {
        zip.start_file(name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    let content = zip.finish().unwrap().into_inner();
    for piece in [999, 1 << 20, content.len()] {
        let frame = piped(&content, piece);
        assert!(decompress(&frame) == content);
        let archive = FrameArchive::open(Cursor::new(&frame)).unwrap();
        let names: Vec<&str> =
            archive.index().entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!((archive.index().container, &names[..]), (Container::Npz, &["a", "b", "c"][..]));
        let planes =
            archive.index().chunks.iter().filter(|c| c.codec == ChunkCodec::Planes).count();
        assert!(planes >= 4, "{planes}");
        assert!(frame.len() * 100 < content.len() * 90);
    }
}

/// Values of each kind, and what their coding must come to beside that of the same bytes without a
/// type.
#[test]
fn types_that_pay() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(8);
    let header = |descr: &str, n: usize| {
        let mut header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': ({n},), }}");
        header.extend(std::iter::repeat_n(' ', 245 - header.len()));
        [b"\x93NUMPY\x01\0\xf6\0", header.as_bytes(), b"\n"].concat()
    };
    let swapped = |bytes: Vec<u8>, n: usize| -> Vec<u8> {
        bytes
            .chunks(n)
            .flat_map(|number| number.iter().rev().copied().collect::<Vec<u8>>())
            .collect()
    };
    let n = 100_000usize;
    let times: Vec<u8> = (0..n as i64)
        .scan(1_700_000_000_000_000_000i64, |at, _| {
            *at += 1_000_000_000 + rng.random_range(-50_000..50_000);
            Some(*at)
        })
        .flat_map(i64::to_le_bytes)
        .collect();
    let mask: Vec<u8> = (0..n).map(|i| u8::from(i / 317 % 3 == 0)).collect();
    let complex = floats(2 * n, 4);
    let records: Vec<u8> = (0..n)
        .flat_map(|i| {
            let x = weights(1, i as u64)[0];
            let mut record = x.to_le_bytes().to_vec();
            record.extend((i as u64 * 1000).to_be_bytes());
            record.push((i % 5) as u8);
            record
        })
        .collect();
    let doubles: Vec<u8> = weights(n, 7).iter().flat_map(|&x| f64::from(x).to_le_bytes()).collect();
    for (descr, data, size, share) in [
        ("'<M8[ns]'", times.clone(), 8, 45),
        ("'>m8[s]'", swapped(times, 8), 8, 45),
        ("'<V2'", halves(n, 2), 2, 95),
        ("'>f4'", swapped(floats(n, 3), 4), 4, 97),
        ("'<c8'", complex, 8, 97),
        ("'>f8'", swapped(doubles, 8), 8, 70),
        ("'|b1'", mask, 1, 50),
        (
            "[('x', '<f4'), ('n', '>i8'), ('tag', 'u1')]".replace("'u1'", "'|u1'").leak(),
            records,
            13,
            75,
        ),
    ] {
        let content = [header(descr, data.len() / size), data].concat();
        let frame = with_layout(&content, recognise(&content).expect(descr));
        assert!(decompress(&frame) == content, "{descr}");
        assert!(FrameArchive::open(Cursor::new(&frame)).unwrap().index().entries.len() == 1);
        let plain = with_layout(&content, Layout::default());
        assert!(
            frame.len() * 100 < plain.len() * share,
            "{descr}: {} bytes, {} without the type",
            frame.len(),
            plain.len()
        );
    }
}

/// A GGUF file of a tensor of blocks, one of floats and what fills it up.
#[test]
fn gguf_by_tensor() {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    let blocks: Vec<u8> = weights(32 * 4000, 1)
        .chunks(32)
        .flat_map(|block| {
            let most = block.iter().fold(0f32, |most, x| most.max(x.abs()));
            let scale = half::f16::from_f32(most / 127.0);
            let mut out = scale.to_le_bytes().to_vec();
            out.extend(block.iter().map(|x| (x / scale.to_f32()).round() as i8 as u8));
            out
        })
        .collect();
    let numbers = floats(3001, 2);
    let begin = blocks.len().next_multiple_of(32);
    let mut content = b"GGUF\x03\0\0\0".to_vec();
    content.extend([2u64.to_le_bytes(), 1u64.to_le_bytes()].concat());
    // A vocabulary longer than what is looked at first.
    content
        .extend([&*text("tokens"), &[9, 0, 0, 0, 8, 0, 0, 0], &20_000u64.to_le_bytes()].concat());
    (0..20_000).for_each(|token| content.extend(text(&format!("token {token}"))));
    for (name, shape, kind, offset) in
        [("blk.0", &[64u64, 2000][..], 8u32, 0u64), ("norm", &[3001], 0, begin as u64)]
    {
        content.extend(text(name));
        content.extend((shape.len() as u32).to_le_bytes());
        shape.iter().for_each(|n| content.extend(n.to_le_bytes()));
        content.extend(kind.to_le_bytes());
        content.extend(offset.to_le_bytes());
    }
    content.resize(content.len().next_multiple_of(32), 0);
    let header = content.len();
    content.extend(&blocks);
    content.resize(header + begin, 0);
    content.extend(&numbers);
    let unfilled = content.len();
    content.resize(content.len().next_multiple_of(32), 0);
    assert!(content.len() > unfilled);
    for content in [&content[..], &content[..unfilled]] {
        let layout = recognise(content).unwrap();
        let frames =
            [with_layout(content, layout), piped(content, 5000), piped(content, content.len())];
        for frame in frames {
            assert!(decompress(&frame) == content);
            let mut archive = FrameArchive::open(Cursor::new(&frame)).unwrap();
            assert_eq!(archive.index().container, Container::Gguf);
            for (name, dtype, shape, bytes) in
                [("blk.0", "Q8_0", vec![2000, 64], &blocks), ("norm", "F32", vec![3001], &numbers)]
            {
                let mut out = Vec::new();
                let entry = archive.extract(name, &mut out).unwrap();
                assert!(&out == bytes, "{name}");
                assert_eq!(entry.kind, EntryKind::Tensor { dtype: dtype.into(), shape });
            }
            let plain = with_layout(content, Layout::default());
            assert!(frame.len() < plain.len(), "{} against {}", frame.len(), plain.len());
        }
    }
    assert_eq!(recognise(&content[..unfilled - 1]), None);
    assert_eq!(recognise(&[&content[..], &[0; 5000]].concat()), None);
}

/// The length that is expected is the one that counts.
#[test]
fn an_expected_length_counts() {
    let view = floats(20_000, 1);
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![20_000], &view);
    let content = safetensors::serialize([("w", view.unwrap())], None).unwrap();
    for (length, entries) in [(content.len(), 1), (content.len() + 1, 0)] {
        let mut writer = RecognisingWriter::new(Vec::new(), WriteOptions::default())
            .expect_length(length as u64);
        assert!(!writer.is_recognised());
        writer.write_all(&content).unwrap();
        assert_eq!(writer.is_recognised(), entries > 0);
        let frame = writer.finish().unwrap().0;
        assert!(decompress(&frame) == content);
        let archive = FrameArchive::open(Cursor::new(&frame)).unwrap();
        assert_eq!(archive.index().entries.len(), entries);
    }
    // Less than was expected of what was recognised is an error, as with every writer.
    let mut writer = RecognisingWriter::new(Vec::new(), WriteOptions::default())
        .expect_length(content.len() as u64);
    writer.write_all(&content[..content.len() - 1]).unwrap();
    assert!(writer.finish().is_err());
    assert_eq!(Elements::of(Dtype::Bool).map(Elements::size), Some(1));
}

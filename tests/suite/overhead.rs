//! Recognising content never costs: what frames of model files take, beside the files and beside
//! frames of the same bytes as plain content.

use std::io::{Cursor, Write};

use parans::frame::{
    Container, FrameArchive, FrameReader, FrameWriter, Layout, ReadOptions, WriteOptions, recognise,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use safetensors::{Dtype, tensor::TensorView};

fn compress(content: &[u8], layout: Layout) -> Vec<u8> {
    let mut writer = FrameWriter::with_layout(Vec::new(), WriteOptions::default(), layout).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap().0
}

/// Checks the sizes and the content, and that the frame names every tensor there is.
fn check(what: &str, file: &[u8]) -> FrameArchive<Cursor<Vec<u8>>> {
    let plain = compress(file, Layout::default()).len();
    let layout = recognise(file).unwrap_or_default();
    let (container, entries) = (layout.container, layout.entries.clone());
    let frame = compress(file, layout);
    let mut back = Vec::new();
    FrameReader::new(&frame[..], ReadOptions::default()).copy_to(&mut back).unwrap();
    assert!(back == file, "{what}");
    let archive = FrameArchive::open(Cursor::new(frame.clone())).unwrap();
    println!(
        "{what}: {} bytes, plain {plain} ({:.2} %), recognised {} ({:.2} %), {} entries, {} chunks",
        file.len(),
        100.0 * plain as f64 / file.len() as f64,
        frame.len(),
        100.0 * frame.len() as f64 / file.len() as f64,
        entries.len(),
        archive.index().chunks.len()
    );
    for (size, of) in [(plain, file.len()), (frame.len(), file.len()), (frame.len(), plain)] {
        assert!(size <= of + 200 + of / 1000, "{what}: {size} bytes of {of}");
    }
    assert_eq!(archive.index().container, container, "{what}");
    assert_eq!(archive.index().entries, entries, "{what}");
    archive
}

fn rng(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

/// Something like weights.
fn weights(n: usize, rng: &mut impl Rng) -> Vec<f32> {
    (0..n).map(|_| (0..6).map(|_| rng.random::<f32>() - 0.5).sum::<f32>() * 0.1).collect()
}

fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn bf16s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|&x| half::bf16::from_f32(x).to_le_bytes()).collect()
}

fn safetensors(tensors: &[(String, Dtype, Vec<usize>, Vec<u8>)]) -> Vec<u8> {
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        (name.as_str(), TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

fn npy(descr: &str, elements: usize, data: &[u8]) -> Vec<u8> {
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({elements},), }}");
    header.extend(std::iter::repeat_n(' ', 117 - header.len()));
    header.push('\n');
    [b"\x93NUMPY\x01\0".as_slice(), &(header.len() as u16).to_le_bytes(), header.as_bytes(), data]
        .concat()
}

fn npz(arrays: impl IntoIterator<Item = (String, Vec<u8>)>) -> Vec<u8> {
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        zip.start_file(format!("{name}.npy"), options).unwrap();
        zip.write_all(&bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn tensors_of_one_value() {
    let mut rng = rng(1);
    let one = |i: usize, rng: &mut Xoshiro256PlusPlus| {
        (format!("layer.{i}.scale"), Dtype::F32, vec![1], f32s(&weights(1, rng)))
    };
    let tensors: Vec<_> = (0..20_000).map(|i| one(i, &mut rng)).collect();
    let mut archive = check("20,000 tensors of one value", &safetensors(&tensors));
    // Whether or not the directory was worth its bytes, tensors are found.
    for (name, .., data) in [&tensors[0], &tensors[777], &tensors[19_999]] {
        let mut out = Vec::new();
        archive.extract(name, &mut out).unwrap();
        assert_eq!(&out, data);
    }
    // Names of noise code badly, in the file and in the directory.
    let noise = |rng: &mut Xoshiro256PlusPlus| -> String {
        (0..64).map(|_| char::from(rng.random_range(b'#'..b'['))).collect()
    };
    let tensors: Vec<_> = (0..3000)
        .map(|_| (noise(&mut rng), Dtype::F32, vec![1], f32s(&weights(1, &mut rng))))
        .collect();
    check("3,000 names of noise", &safetensors(&tensors));
}

/// Two small matrices a projection, as adapters have them.
#[test]
fn adapters() {
    let mut rng = rng(2);
    for dtype in [Dtype::F32, Dtype::BF16] {
        let mut tensors = Vec::new();
        for layer in 0..50 {
            for (projection, width) in [("q", 64), ("k", 128), ("v", 256), ("o", 512)] {
                for side in ["A", "B"] {
                    let name = format!("model.layers.{layer}.{projection}_proj.lora_{side}.weight");
                    let values = weights(8 * width, &mut rng);
                    let data = if dtype == Dtype::F32 { f32s(&values) } else { bf16s(&values) };
                    let shape = if side == "A" { vec![8, width] } else { vec![width, 8] };
                    tensors.push((name, dtype, shape, data));
                }
            }
        }
        let file = safetensors(&tensors);
        let mut archive = check(&format!("400 tensors of 8 x 64 to 8 x 512 {dtype}"), &file);
        // The numbers are coded as numbers.
        let share = archive.frame_length() as f64 / file.len() as f64;
        assert!(share < 0.93, "{share}");
        let mut out = Vec::new();
        archive.extract(&tensors[17].0, &mut out).unwrap();
        assert_eq!(out, tensors[17].3);
    }
}

#[test]
fn archives_of_small_arrays() {
    let mut rng = rng(3);
    let small = (0..2000).map(|i| {
        let n = 1 + i % 64;
        (format!("arr_{i}"), npy("<f4", n, &f32s(&weights(n, &mut rng))))
    });
    check("npz of 2,000 arrays of 1 to 64 numbers", &npz(small));
    let mut rng = self::rng(4);
    let larger = (0..100).map(|i| {
        let n = 2000 + 40 * i;
        (format!("block{}/w{i}", i % 7), npy("<f4", n, &f32s(&weights(n, &mut rng))))
    });
    check("npz of 100 arrays of 8 to 24 kB", &npz(larger));
    check("npz of one array", &npz([("x".to_owned(), npy("<i8", 0, &[]))]));
    check("npy without elements", &npy("<f8", 0, &[]));
    check("npy of one element", &npy("<f8", 1, &[1; 8]));
}

/// Content that is not what its type promises, and content that cannot shrink.
#[test]
fn types_that_lie_and_noise() {
    let mut rng = rng(5);
    let noise: Vec<u8> = (0..2_000_000).map(|_| rng.random()).collect();
    let text = b"it was the best of times, it was the worst of times; ".repeat(20_000);
    for (dtype, width) in [(Dtype::F32, 4), (Dtype::BF16, 2), (Dtype::I64, 8), (Dtype::U8, 1)] {
        let tensors: Vec<_> = [8, 400, 5000, 70_000, 400_000, 1_000_000]
            .iter()
            .flat_map(|&bytes| [("text", &text, bytes), ("noise", &noise, bytes)])
            .map(|(name, data, bytes)| {
                (format!("{name}.{bytes}"), dtype, vec![bytes / width], data[..bytes].to_vec())
            })
            .collect();
        check(&format!("text and noise as {dtype}"), &safetensors(&tensors));
    }
    check("noise", &noise);
    for length in [0, 1, 2, 100, 1000, 70_000] {
        check("a little noise", &noise[..length]);
    }
}

/// Tensors of any size, type and content, in any order.
#[test]
fn any_mixture() {
    let mut rng = rng(7);
    let kinds =
        [(Dtype::F32, 4), (Dtype::BF16, 2), (Dtype::F64, 8), (Dtype::I32, 4), (Dtype::U8, 1)];
    for case in 0..24 {
        let largest = [9, 13, 15, 20][case % 4];
        let arrays: Vec<_> = (0..rng.random_range(1..40))
            .map(|i| {
                let n = (1 << rng.random_range(0..=largest)) + rng.random_range(0..9);
                let data: Vec<u8> = match rng.random_range(0..5) {
                    0 => vec![0; n],
                    1 => (0..n).map(|_| rng.random()).collect(),
                    2 => b"so much depends upon a red wheel barrow "
                        .iter()
                        .copied()
                        .cycle()
                        .take(n)
                        .collect(),
                    3 => (0..n).map(|_| rng.random::<u8>() & rng.random::<u8>() & 9).collect(),
                    _ => f32s(&weights(n / 4 + 1, &mut rng)),
                };
                let (dtype, width) = kinds[rng.random_range(0..5)];
                let data = data[..data.len() / width * width].to_vec();
                (format!("{i}.{case}"), dtype, vec![data.len() / width], data)
            })
            .collect();
        check("any tensors", &safetensors(&arrays));
        let types = ["<f4", "<f2", "<f8", "<i4", "|u1"];
        let members = arrays.iter().map(|(name, dtype, shape, data)| {
            let at = kinds.iter().position(|(known, _)| known == dtype).unwrap();
            (name.clone(), npy(types[at], shape[0], data))
        });
        check("any arrays", &npz(members));
    }
}

/// Tensors of one byte, which no type helps to code: their names are left out of the index, and
/// found in the content.
#[test]
fn directories_in_the_content() {
    let tensors: Vec<_> =
        (0..3000).map(|i| (format!("t{i}"), Dtype::U8, vec![1], vec![i as u8])).collect();
    let file = safetensors(&tensors);
    let mut archive = check("3,000 tensors of one byte", &file);
    let mut out = Vec::new();
    archive.extract("t77", &mut out).unwrap();
    assert_eq!(out, [77]);

    let frame = compress(&file, recognise(&file).unwrap());
    assert!(frame.len() <= compress(&file, Layout::default()).len());
    let options = ReadOptions { keep_indexes: true, ..ReadOptions::default() };
    let mut reader = FrameReader::new(&frame[..], options);
    reader.copy_to(&mut std::io::sink()).unwrap();
    assert!(reader.indexes()[0].entries.is_empty());

    // Content that no longer names its tensors leaves none; nothing else suffers.
    let mut damaged = frame.clone();
    damaged[32 + 40 + 50] ^= 1;
    let mut archive = FrameArchive::open(Cursor::new(&damaged)).unwrap();
    assert_eq!(archive.index().container, Container::Safetensors);
    assert!(archive.index().entries.is_empty());
    assert!(archive.extract("t7", &mut Vec::new()).is_err());
    assert!(archive.read_range(0..10).is_err());
}

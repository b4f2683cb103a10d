//! Model files in frames: recognised by content, tensors named, and the file's very bytes given
//! back.

use std::{
    collections::HashMap,
    io::{Cursor, Read, Seek, SeekFrom, Write},
};

use parans::frame::{
    ChunkCodec, Container, EntryKind, FrameArchive, FrameReader, FrameWriter, Layout, ReadOptions,
    WriteOptions, recognise, recognise_file, recognise_head,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use safetensors::{Dtype, tensor::TensorView};

fn compress(content: &[u8], layout: Layout) -> Vec<u8> {
    let mut writer = FrameWriter::with_layout(Vec::new(), WriteOptions::default(), layout).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap().0
}

fn decompress(frame: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    FrameReader::new(frame, ReadOptions::default()).copy_to(&mut out).unwrap();
    out
}

/// Something like weights.
fn floats(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    (0..n).map(|_| (0..6).map(|_| rng.random::<f32>() - 0.5).sum::<f32>() * 0.1).collect()
}

fn model() -> Vec<u8> {
    let f32s: Vec<u8> = floats(60_000, 1).iter().flat_map(|x| x.to_le_bytes()).collect();
    let bf16s: Vec<u8> =
        floats(50_000, 2).iter().flat_map(|&x| half::bf16::from_f32(x).to_le_bytes()).collect();
    let f16s: Vec<u8> =
        floats(300, 3).iter().flat_map(|&x| half::f16::from_f32(x).to_le_bytes()).collect();
    let counts: Vec<u8> = (0..2_000u64).flat_map(|x| (x * 3).to_le_bytes()).collect();
    let scalar = 7u8.to_le_bytes();
    let view = |dtype, shape: &[usize], data| TensorView::new(dtype, shape.to_vec(), data).unwrap();
    let tensors = [
        ("encoder.weight", view(Dtype::F32, &[200, 300], &f32s)),
        ("encoder.half", view(Dtype::BF16, &[50_000], &bf16s)),
        ("norm", view(Dtype::F16, &[3, 100], &f16s)),
        ("position_ids", view(Dtype::I64, &[1, 2_000], &counts)),
        ("scalar", view(Dtype::U8, &[], &scalar)),
        ("nothing", view(Dtype::F32, &[0, 7], &[])),
    ];
    let metadata = HashMap::from([("format".to_owned(), "pt \"quoted\" \u{e9}".to_owned())]);
    safetensors::serialize(tensors, Some(metadata)).unwrap()
}

#[test]
fn safetensors_by_tensor() {
    let file = model();
    let layout = recognise(&file).unwrap();
    assert_eq!(recognise_head(&file[..2000]), Some(layout.clone()));
    let frame = compress(&file, layout);
    assert_eq!(decompress(&frame), file);
    let mut archive = FrameArchive::open(Cursor::new(&frame)).unwrap();
    assert_eq!(archive.index().container, Container::Safetensors);
    let loaded = safetensors::SafeTensors::deserialize(&file).unwrap();
    assert_eq!(archive.index().entries.len(), loaded.len());
    for (name, view) in loaded.tensors() {
        let mut bytes = Vec::new();
        let entry = archive.extract(&name, &mut bytes).unwrap();
        assert_eq!(bytes, view.data(), "{name}");
        let shape = view.shape().iter().map(|&n| n as u64).collect();
        assert_eq!(entry.kind, EntryKind::Tensor { dtype: view.dtype().to_string(), shape });
    }
    // The large tensors are coded as what they are: the same file as plain bytes takes more.
    let planes =
        archive.index().chunks.iter().filter(|chunk| chunk.codec == ChunkCodec::Planes).count();
    assert!(planes >= 2, "{planes}");
    let plain = compress(&file, Layout::default());
    assert!(frame.len() * 100 < plain.len() * 97, "{} against {}", frame.len(), plain.len());
}

/// A file that is nearly a safetensors file is bytes, and comes back as it was.
#[test]
fn broken_safetensors_are_bytes() {
    let file = model();
    let header = 8 + u64::from_le_bytes(*file.first_chunk().unwrap()) as usize;
    let mut broken: Vec<Vec<u8>> = vec![
        file[..file.len() - 1].to_vec(),
        [&file[..], b"x"].concat(),
        file[..header].to_vec(),
        file[..header - 1].to_vec(),
        file[..9].to_vec(),
        file[..3].to_vec(),
        vec![],
    ];
    for at in [0, 3, 7, 8, 9, 20, header - 2] {
        let mut other = file.clone();
        other[at] ^= 0x55;
        broken.push(other);
    }
    for content in broken {
        assert_eq!(recognise(&content), None, "{} bytes", content.len());
        // What a pipe's reader may take it for does not change what comes back.
        let frame = compress(&content, recognise_head(&content).unwrap_or_default());
        assert_eq!(decompress(&frame), content);
        assert!(FrameArchive::open(Cursor::new(&frame)).unwrap().index().entries.is_empty());
    }
}

fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    header.extend(std::iter::repeat_n(' ', 117usize.saturating_sub(header.len())));
    header.push('\n');
    [b"\x93NUMPY\x01\0".as_slice(), &(header.len() as u16).to_le_bytes(), header.as_bytes(), data]
        .concat()
}

#[test]
fn npy_and_npz() {
    let weights: Vec<u8> = floats(40_000, 9).iter().flat_map(|x| x.to_le_bytes()).collect();
    let single = npy("<f4", "(200, 200)", &weights);
    let layout = recognise(&single).unwrap();
    assert_eq!((layout.container, layout.entries.len()), (Container::Npy, 1));
    let frame = compress(&single, layout);
    assert_eq!(decompress(&frame), single);
    let mut out = Vec::new();
    let entry = FrameArchive::open(Cursor::new(&frame)).unwrap().extract("", &mut out).unwrap();
    assert_eq!(out, weights);
    assert_eq!(entry.kind, EntryKind::Tensor { dtype: "F32".into(), shape: vec![200, 200] });

    let counts: Vec<u8> = (0..3000i64).flat_map(|n| n.to_le_bytes()).collect();
    let file =
        npz(&[("w.npy", &single), ("n.npy", &npy("<i8", "(3000,)", &counts)), ("notes", b"text")]);
    let layout = recognise(&file).unwrap();
    assert_eq!(layout.container, Container::Npz);
    let frame = compress(&file, layout);
    assert_eq!(decompress(&frame), file);
    let mut archive = FrameArchive::open(Cursor::new(&frame)).unwrap();
    for (name, bytes) in [("w", &weights), ("n", &counts)] {
        let mut out = Vec::new();
        archive.extract(name, &mut out).unwrap();
        assert_eq!(&out, bytes, "{name}");
    }
    assert!(archive.index().chunks.iter().any(|chunk| chunk.codec == ChunkCodec::Planes));
    for cut in [1, 30, 1000] {
        let content = &file[..file.len() - cut];
        let frame = compress(content, recognise(content).unwrap_or_default());
        assert_eq!(decompress(&frame), content);
    }
}

fn npz(members: &[(&str, &[u8])]) -> Vec<u8> {
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Counts the bytes that are read from it.
struct Counted<'a> {
    inner: Cursor<&'a [u8]>,
    read: usize,
}

impl Read for Counted<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(out)?;
        self.read += n;
        Ok(n)
    }
}

impl Seek for Counted<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.inner.seek(to)
    }
}

/// A file is recognised as its bytes are, and its elements are not read for that.
#[test]
fn files_are_recognised_by_seeking() {
    let weights: Vec<u8> = floats(400_000, 8).iter().flat_map(|x| x.to_le_bytes()).collect();
    let array = npy("<f4", "(400000,)", &weights);
    // A header longer than those that numpy pads to 128 bytes.
    let wide = npy("<f4", &format!("(1,{})", " ".repeat(200)), &weights[..4]);
    let zip = npz(&[("w.npy", &array), ("wide.npy", &wide), ("text", b"PK")]);
    let view = TensorView::new(Dtype::F32, vec![400_000], &weights).unwrap();
    let names = (0..3000).map(|i| format!("a name of some length {i}"));
    let small = names.map(|name| (name, TensorView::new(Dtype::U8, vec![1], &[3]).unwrap()));
    let tensors =
        safetensors::serialize(small.chain([("weights".to_owned(), view)]), None).unwrap();
    for (file, entries) in [(&array, 1), (&zip, 2), (&tensors, 3001)] {
        let mut counted = Counted { inner: Cursor::new(file), read: 0 };
        counted.seek(SeekFrom::Start(77)).unwrap();
        let layout = recognise_file(&mut counted).unwrap().unwrap();
        assert_eq!(layout.entries.len(), entries);
        assert!(Some(layout) == recognise(file));
        assert!(counted.read < file.len() / 3, "{} of {}", counted.read, file.len());
        for cut in [1, 5, 100, file.len() / 2, file.len()] {
            let content = &file[..file.len() - cut];
            assert_eq!(recognise_file(Cursor::new(content)).unwrap(), None);
            assert_eq!(recognise(content), None);
        }
    }
}

/// Thousands of tiny tensors do not cost a chunk each.
#[test]
fn tiny_tensors_share_chunks() {
    let data: Vec<Vec<u8>> = (0..2000u32)
        .map(|i| floats(8, u64::from(i)).iter().flat_map(|x| x.to_le_bytes()).collect())
        .collect();
    let views = data.iter().enumerate().map(|(i, data)| {
        (format!("layer.{i}.bias"), TensorView::new(Dtype::F32, vec![8], data).unwrap())
    });
    let file = safetensors::serialize(views, None).unwrap();
    let frame = compress(&file, recognise(&file).unwrap());
    assert_eq!(decompress(&frame), file);
    let archive = FrameArchive::open(Cursor::new(&frame)).unwrap();
    assert!(archive.index().chunks.len() < 10, "{}", archive.index().chunks.len());
    assert_eq!(archive.index().entries.len(), 2000);
}

/// Empty tensors begin where others do, and the library that reads the header keeps them in a hash
/// map: the frame must not depend on its order.
#[test]
fn the_same_file_makes_the_same_frame() {
    let empty =
        (0..40).map(|i| (format!("empty {i}"), TensorView::new(Dtype::F32, vec![0], &[]).unwrap()));
    let file = safetensors::serialize(empty, None).unwrap();
    let first = recognise(&file).unwrap();
    assert_eq!(first.entries.len(), 40);
    for _ in 0..20 {
        assert_eq!(recognise(&file).unwrap(), first);
    }
}

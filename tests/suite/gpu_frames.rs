//! Frames decoded on a device: the content that the host decodes, and its errors.

use std::io::{Cursor, Write};

use parans::frame::{
    ChunkCodec, Elements, FrameArchive, FrameWriter, Layout, Segment, WriteOptions,
};
use parans::gpu::{FrameDecoder, StreamHandle};
use parans::order0::MAX_CHUNK;
use parans::{Dtype, Error};
use rand::{Rng, RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use xxhash_rust::xxh3::xxh3_64;

use crate::common::backends;

/// A frame of tensors, one after another, behind some bytes.
fn frame(before: &[u8], tensors: &[(Dtype, Vec<u8>)], chunk_size: usize) -> Vec<u8> {
    let options = WriteOptions { chunk_size: Some(chunk_size.max(8)), ..WriteOptions::default() };
    let mut writer = FrameWriter::new(Vec::new(), options).unwrap();
    writer.write_all(before).unwrap();
    for (number, (dtype, bytes)) in tensors.iter().enumerate() {
        let shape = [(bytes.len() / dtype.size()) as u64];
        let bytes = &bytes[..bytes.len() / dtype.size() * dtype.size()];
        writer.write_tensor(&number.to_string(), dtype.name(), &shape, bytes).unwrap();
    }
    writer.finish().unwrap().0
}

fn random(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

/// Bell-shaped values as elements of a type.
fn weights(dtype: Dtype, count: usize, seed: u64) -> Vec<u8> {
    let mut random = random(seed);
    let mut bytes = Vec::new();
    for _ in 0..count {
        let value = (0..12).map(|_| random.random::<f32>()).sum::<f32>() - 6.0;
        match dtype {
            Dtype::F16 => bytes.extend(half::f16::from_f32(value * 0.02).to_le_bytes()),
            Dtype::Bf16 => bytes.extend(half::bf16::from_f32(value * 0.02).to_le_bytes()),
            Dtype::F32 => bytes.extend((value * 0.02).to_le_bytes()),
            Dtype::F64 => bytes.extend((f64::from(value) * 0.02).to_le_bytes()),
            _ => bytes.extend(&((value * 300.0) as i64).to_le_bytes()[..dtype.size()]),
        }
    }
    bytes
}

/// The codecs of a frame's chunks.
fn codecs(frame: &[u8]) -> Vec<ChunkCodec> {
    let archive = FrameArchive::open(Cursor::new(frame)).unwrap();
    archive.index().chunks.iter().map(|chunk| chunk.codec).collect()
}

/// Checks that a device decodes what the host does, whole and in part.
fn same(frame: &[u8]) {
    let gpu = backends::gpu();
    let decoder = FrameDecoder::new(&gpu);
    let mut archive = FrameArchive::open(Cursor::new(frame)).unwrap();
    let length = archive.content_length();
    for content in [0..length, 0..0, length / 3..length - length / 5, length / 2..length / 2 + 1] {
        let content = content.start..content.end.min(length);
        let want = archive.read_range(content.clone()).unwrap();
        let have = decoder.read_range(&mut archive, content, StreamHandle::OWN).unwrap();
        assert!(have.to_vec().unwrap() == want);
    }
}

#[test]
fn bytes_of_every_length_and_kind() {
    for (seed, len) in
        [1, 2, 511, 512, 4095, 4096, 5000, 16_383, 16_384, 16_385, 16_511, 16_640, 40_003]
            .into_iter()
            .enumerate()
    {
        let mut random = random(seed as u64);
        let text: Vec<u8> =
            (0..len).map(|_| (40.0 * random.random::<f32>().powi(3)) as u8).collect();
        same(&frame(&text, &[], len));
        let mut noise = vec![0; len];
        random.fill_bytes(&mut noise);
        same(&frame(&noise, &[], len));
        same(&frame(&vec![7; len], &[], len));
        // Two values, one of which is rare, and a repeated element.
        let rare: Vec<u8> = (0..len).map(|i| u8::from(i % 1009 == 5) * 200 + 3).collect();
        same(&frame(&rare, &[], len));
        same(&frame(&[1, 2, 3, 4, 5, 6, 7, 8].repeat(len), &[], MAX_CHUNK));
    }
}

#[test]
fn numbers_of_every_type() {
    let types = [Dtype::F16, Dtype::Bf16, Dtype::F32, Dtype::F64, Dtype::I16, Dtype::U16];
    let more = [Dtype::I32, Dtype::U32, Dtype::I64, Dtype::U64, Dtype::U8, Dtype::F8E4M3];
    for (seed, dtype) in types.into_iter().chain(more).enumerate() {
        let tensors = [700, 16_384, 20_001, 513].map(|count| {
            let bytes = weights(dtype, count, (seed + count) as u64);
            (dtype, bytes)
        });
        // Content at every distance from an aligned address.
        for before in [0, 1, 4] {
            same(&frame(&b"abcd"[..before], &tensors, 1 << 20));
        }
        same(&frame(&[], &tensors[1..2], 8 << 10));
    }
}

/// Floats of which many are zero, of both signs.
fn activations(dtype: Dtype, count: usize) -> Vec<u8> {
    let size = dtype.size();
    let mut bytes = weights(dtype, count, 99);
    for (i, element) in bytes.chunks_exact_mut(size).enumerate() {
        if i % 7 > 2 {
            element.fill(0);
            element[size - 1] = if i % 14 == 10 { 0x80 } else { 0 };
        }
    }
    bytes
}

#[test]
fn numbers_whose_planes_are_not_stored() {
    let count = 30_000;
    let sorted = |dtype: Dtype| {
        let mut at = 1u64 << 60;
        let mut random = random(5);
        let mut bytes = Vec::new();
        for _ in 0..count {
            at += random.random_range(0..40);
            bytes.extend(&at.to_le_bytes()[..dtype.size()]);
        }
        (dtype, bytes)
    };
    let mut tensors = vec![sorted(Dtype::I64), sorted(Dtype::U32), sorted(Dtype::I16)];
    for dtype in [Dtype::F16, Dtype::Bf16, Dtype::F32, Dtype::F64] {
        tensors.push((dtype, activations(dtype, count)));
        // Mantissas with structure, and few different values.
        let size = dtype.size();
        let mut bytes = weights(dtype, count, 3);
        for (i, element) in bytes.chunks_exact_mut(size).enumerate() {
            element[0] &= 0x11;
            element[0] |= (i % 3 == 0) as u8;
            if size > 2 {
                element[1] = (i % 5) as u8;
            }
        }
        tensors.push((dtype, bytes));
        let few = weights(dtype, 9, 4).chunks_exact(size).map(<[u8]>::to_vec).collect::<Vec<_>>();
        tensors.push((dtype, (0..count).flat_map(|i| few[i * i % 9].clone()).collect()));
    }
    let all = frame(b"x", &tensors, 1 << 20);
    assert!(codecs(&all).iter().filter(|&&codec| codec == ChunkCodec::Planes).count() >= 8);
    same(&all);
    same(&frame(&[], &tensors, 16 << 10));
}

#[test]
fn forms_that_the_host_decodes() {
    let times: Vec<u8> = (0..9000u32).flat_map(|i| (i * i % 1000).to_be_bytes()).collect();
    let options = WriteOptions { chunk_size: Some(16 << 10), ..WriteOptions::default() };
    let dtype = Some(Elements::Swapped(Dtype::I32));
    let segments = vec![Segment { length: times.len() as u64, dtype }];
    let layout = Layout { segments, ..Layout::default() };
    let mut writer = FrameWriter::with_layout(Vec::new(), options.clone(), layout).unwrap();
    writer.write_all(&times).unwrap();
    let (mut frames, _) = writer.finish().unwrap();
    let mut writer = FrameWriter::new(Vec::new(), options).unwrap();
    let truth: Vec<u8> = (0..9000).map(|i| u8::from(i % 17 < 4)).collect();
    writer.write_tensor("truth", "BOOL", &[9000], &truth).unwrap();
    frames.extend(writer.finish().unwrap().0);
    // Several frames are one content.
    frames.extend(frame(b"another frame", &[(Dtype::F32, weights(Dtype::F32, 5000, 1))], 1 << 20));
    same(&frames);
}

#[test]
fn entries_and_their_absence() {
    let gpu = backends::gpu();
    let bytes = weights(Dtype::Bf16, 3000, 8);
    let frame = frame(b"head", &[(Dtype::Bf16, bytes.clone())], 1 << 20);
    let mut archive = FrameArchive::open(Cursor::new(&frame[..])).unwrap();
    let decoder = FrameDecoder::new(&gpu);
    let entry = decoder.read_entry(&mut archive, "0", StreamHandle::LEGACY_DEFAULT).unwrap();
    assert!(entry.to_vec().unwrap() == bytes);
    let missing = decoder.read_entry(&mut archive, "1", StreamHandle::OWN);
    assert!(matches!(missing, Err(Error::InvalidArgument(_))));
    let outside = decoder.read_range(&mut archive, 0..99_999, StreamHandle::OWN);
    assert!(matches!(outside, Err(Error::InvalidArgument(_))));
}

/// Checks that a frame of one chunk with a byte of its coded bytes changed, its checksums made
/// right again, is what the host finds.
fn same_when_changed(original: &[u8], step: usize) {
    const HEADER: usize = 32;
    const CHUNK: usize = HEADER + 40;
    let gpu = backends::gpu();
    let decoder = FrameDecoder::new(&gpu);
    let coded = FrameArchive::open(Cursor::new(original)).unwrap().index().chunks[0].coded;
    let (mut fine, mut damaged) = (0, 0);
    for at in (CHUNK..CHUNK + coded as usize).step_by(step) {
        for change in [1, 0x10, 0x80, 0xff] {
            let mut frame = original.to_vec();
            frame[at] ^= change;
            let check = xxh3_64(&frame[CHUNK..CHUNK + coded as usize]);
            frame[HEADER + 24..HEADER + 32].copy_from_slice(&check.to_le_bytes());
            let check = xxh3_64(&frame[HEADER..HEADER + 36]) as u32;
            frame[HEADER + 36..CHUNK].copy_from_slice(&check.to_le_bytes());
            let mut archive = FrameArchive::open(Cursor::new(&frame[..])).unwrap();
            let content = 0..archive.content_length();
            let want = archive.read_range(content.clone());
            let have = decoder.read_range(&mut archive, content, StreamHandle::OWN);
            match (have.map(|bytes| bytes.to_vec().unwrap()), want) {
                (Ok(have), Ok(want)) => {
                    assert!(have == want, "byte {at} changed by {change}");
                    fine += 1;
                }
                (have, want) => {
                    let (have, want) = (have.map(drop), want.map(drop));
                    assert_eq!(format!("{have:?}"), format!("{want:?}"), "byte {at}, {change}");
                    damaged += 1;
                }
            }
        }
    }
    assert!(damaged > 0, "{fine} of them are fine");
}

#[test]
fn damage_is_what_the_host_finds() {
    let mut random = random(1);
    let text: Vec<u8> =
        (0..17_000).map(|_| (20.0 * random.random::<f32>().powi(3)) as u8).collect();
    same_when_changed(&frame(&text[..300], &[], 1 << 20), 3);
    same_when_changed(&frame(&text[..2000], &[], 1 << 20), 37);
    same_when_changed(&frame(&text[..5000], &[], 1 << 20), 101);
    same_when_changed(&frame(&text, &[], 1 << 20), 487);
    for dtype in [Dtype::Bf16, Dtype::F32, Dtype::F64] {
        let tensor = (dtype, weights(dtype, 700, 2));
        same_when_changed(&frame(&[], &[tensor], 1 << 20), 2000 / dtype.size() / 10 + 1);
        let tensor = (dtype, activations(dtype, 1500));
        same_when_changed(&frame(&[], &[tensor], 1 << 20), 97);
    }
    // The beginning of each: methods, layouts, kinds and lengths.
    for dtype in [Dtype::Bf16, Dtype::I32] {
        same_when_changed(&frame(&[], &[(dtype, weights(dtype, 50, 6))], 1 << 20), 1);
    }
}

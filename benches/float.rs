//! Float tensors: sizes and speeds of `parans::float` on one thread beside zstd, one after the
//! other in the same process, on the same chunks.
//!
//! `scripts/bench-float` fetches real weights and runs it on them; by hand: `cargo bench --bench
//! float -- model.safetensors [chunk bytes] [F32|BF16|F16]`. Each `F32` tensor is coded as it is,
//! and rounded to bfloat16 and half precision.

use std::hint::black_box;
use std::time::{Duration, Instant};

use parans::float::{CHUNK, Decoder, Dtype, Encoder};
use safetensors::SafeTensors;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let Some(path) = arguments.next() else {
        // A bare `cargo bench` comes here.
        println!("float: no weights given; see scripts/bench-float");
        return Ok(());
    };
    let chunk = arguments.next().map_or(Ok(CHUNK), |bytes| bytes.parse())?;
    let only = arguments.next();

    let file = std::fs::read(&path)?;
    let model = SafeTensors::deserialize(&file)?;
    let tensors: Vec<Vec<f32>> = model
        .iter()
        .filter(|(_, tensor)| tensor.dtype() == safetensors::Dtype::F32)
        .map(|(_, tensor)| {
            let words = tensor.data().as_chunks::<4>().0;
            words.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
        })
        .collect();

    println!("{} tensors, chunks of {chunk} bytes, one thread", tensors.len());
    println!(
        "{:<6}{:<10}{:>12}{:>12}{:>8}{:>13}{:>13}",
        "type", "coder", "bytes", "coded", "ratio", "coding MB/s", "back MB/s"
    );
    for dtype in [Dtype::F32, Dtype::Bf16, Dtype::F16] {
        if only.as_ref().is_some_and(|only| *only != dtype.name()) {
            continue;
        }
        let tensors: Vec<Vec<u8>> = tensors.iter().map(|values| convert(dtype, values)).collect();
        let chunks: Vec<&[u8]> = tensors.iter().flat_map(|tensor| tensor.chunks(chunk)).collect();
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        measure(
            dtype,
            "parans",
            &chunks,
            |chunk, coded| {
                encoder.encode(dtype, chunk, coded);
            },
            |coded, back| decoder.decode(dtype, coded, back).expect("own bytes"),
        );
        zstd(dtype, &chunks)?;
    }
    Ok(())
}

fn convert(dtype: Dtype, values: &[f32]) -> Vec<u8> {
    match dtype {
        Dtype::F16 => values.iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes()).collect(),
        Dtype::Bf16 => values.iter().flat_map(|&v| half::bf16::from_f32(v).to_le_bytes()).collect(),
        _ => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
    }
}

/// Codes all chunks, once and then again until two seconds are over, then decodes them likewise.
/// Each chunk's fastest time counts, so that other work on the machine, which comes in slices
/// longer than a chunk takes, spoils single times only.
fn measure(
    dtype: Dtype,
    name: &str,
    chunks: &[&[u8]],
    mut encode: impl FnMut(&[u8], &mut Vec<u8>),
    mut decode: impl FnMut(&[u8], &mut [u8]),
) {
    const ENOUGH: Duration = Duration::from_secs(2);
    let mut fastest = vec![(Duration::MAX, Duration::MAX); chunks.len()];
    let mut coded = vec![Vec::new(); chunks.len()];
    let started = Instant::now();
    while coded.iter().any(Vec::is_empty) || started.elapsed() < ENOUGH {
        for ((&chunk, coded), fastest) in chunks.iter().zip(&mut coded).zip(&mut fastest) {
            coded.clear();
            let start = Instant::now();
            encode(black_box(chunk), coded);
            fastest.0 = start.elapsed().min(fastest.0);
        }
    }
    let mut back = vec![0; chunks.iter().map(|chunk| chunk.len()).max().unwrap_or(0)];
    let started = Instant::now();
    while started.elapsed() < ENOUGH {
        for ((&chunk, coded), fastest) in chunks.iter().zip(&coded).zip(&mut fastest) {
            let back = &mut back[..chunk.len()];
            let start = Instant::now();
            decode(black_box(coded), back);
            fastest.1 = start.elapsed().min(fastest.1);
            assert!(back == chunk, "wrong elements");
        }
    }
    let bytes: usize = chunks.iter().map(|chunk| chunk.len()).sum();
    let size: usize = coded.iter().map(Vec::len).sum();
    let there: Duration = fastest.iter().map(|times| times.0).sum();
    let again: Duration = fastest.iter().map(|times| times.1).sum();
    let speed = |time: Duration| bytes as f64 / 1e6 / time.as_secs_f64();
    println!(
        "{:<6}{name:<10}{bytes:>12}{size:>12}{:>8.4}{:>13.1}{:>13.1}",
        dtype.name(),
        size as f64 / bytes as f64,
        speed(there),
        speed(again)
    );
}

/// The same with zstd, at levels 1, 3 and 19. The last takes a minute a type: `ZSTD_LEVELS="1 3"`
/// leaves it out.
fn zstd(dtype: Dtype, chunks: &[&[u8]]) -> Result<(), Box<dyn std::error::Error>> {
    use zstd::bulk::{Compressor, Decompressor};

    let levels = std::env::var("ZSTD_LEVELS").unwrap_or_else(|_| "1 3 19".into());
    for level in levels.split_whitespace() {
        let mut encoder = Compressor::new(level.parse()?)?;
        let mut decoder = Decompressor::new()?;
        measure(
            dtype,
            &format!("zstd -{level}"),
            chunks,
            |chunk, coded| {
                coded.reserve(zstd::zstd_safe::compress_bound(chunk.len()));
                encoder.compress_to_buffer(chunk, coded).expect("capacity enough");
            },
            |coded, back| {
                decoder.decompress_to_buffer(coded, back).expect("own bytes");
            },
        );
    }
    Ok(())
}

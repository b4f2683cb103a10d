//! Float tensors: sizes and speeds of `parans::float` on one thread beside zstd's own in-memory benchmark, one after
//! the other in the same run.
//!
//! `scripts/bench-float` fetches real weights and runs it on them; by hand:
//! `cargo bench --bench float -- model.safetensors [chunk bytes]`. Each `F32` tensor is coded as it is and rounded to
//! bfloat16 and half precision, in chunks as a frame would. zstd, if it is installed, gets the same bytes as one file.

use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use parans::float::{CHUNK, Decoder, Dtype, Encoder};
use safetensors::SafeTensors;

/// zstd's levels to compare with. Level 19 takes a minute for each type: `ZSTD_LEVELS="1 3"` leaves it out.
const ZSTD_LEVELS: &str = "1 3 19";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let Some(path) = arguments.next() else {
        // `cargo test --benches` and a bare `cargo bench` come here.
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

    println!("{path}: {} tensors, chunks of {chunk} bytes, one thread", tensors.len());
    println!(
        "{:<8}{:<12}{:>12}{:>9}{:>12}{:>12}",
        "type", "coder", "bytes", "ratio", "code MB/s", "back MB/s"
    );
    for dtype in [Dtype::F32, Dtype::Bf16, Dtype::F16] {
        if only.as_ref().is_some_and(|only| *only != dtype.name()) {
            continue;
        }
        let tensors: Vec<Vec<u8>> = tensors.iter().map(|values| convert(dtype, values)).collect();
        let chunks: Vec<&[u8]> = tensors.iter().flat_map(|tensor| tensor.chunks(chunk)).collect();
        measure(dtype, &chunks);
        zstd(dtype, &tensors.concat())?;
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

fn report(dtype: Dtype, coder: &str, bytes: usize, coded: usize, there: f64, back: f64) {
    let ratio = coded as f64 / bytes as f64;
    println!("{:<8}{coder:<12}{coded:>12}{ratio:>9.4}{there:>12.0}{back:>12.0}", dtype.name());
}

/// Codes and decodes all chunks, again and again for about three seconds. Each chunk's fastest times count, so that
/// other work on the machine, which comes in slices longer than a chunk takes, spoils single times only.
fn measure(dtype: Dtype, chunks: &[&[u8]]) {
    let bytes: usize = chunks.iter().map(|chunk| chunk.len()).sum();
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
    let mut coded = Vec::new();
    let mut back = vec![0; chunks.iter().map(|chunk| chunk.len()).max().unwrap_or(0)];
    let mut fastest = vec![(Duration::MAX, Duration::MAX); chunks.len()];
    let started = Instant::now();
    let mut size = 0;
    while started.elapsed() < Duration::from_secs(3) {
        size = 0;
        for (&chunk, (there, again)) in chunks.iter().zip(&mut fastest) {
            coded.clear();
            let start = Instant::now();
            size += encoder.encode(dtype, black_box(chunk), &mut coded);
            *there = start.elapsed().min(*there);

            let back = &mut back[..chunk.len()];
            let start = Instant::now();
            decoder.decode(dtype, black_box(&coded), back).expect("own bytes");
            *again = start.elapsed().min(*again);
            assert!(back == chunk, "wrong elements");
        }
    }
    let there: Duration = fastest.iter().map(|times| times.0).sum();
    let again: Duration = fastest.iter().map(|times| times.1).sum();
    let speed = |time: Duration| bytes as f64 / 1e6 / time.as_secs_f64();
    report(dtype, "parans", bytes, size, speed(there), speed(again));
}

/// Runs `zstd -b`, whose one line reads ` 3#name : size -> coded (x1.08), 123.4 MB/s, 567.8 MB/s`.
fn zstd(dtype: Dtype, bytes: &[u8]) -> std::io::Result<()> {
    let path = std::env::temp_dir().join(format!("parans-bench-{}.{dtype}", std::process::id()));
    std::fs::write(&path, bytes)?;
    let levels = std::env::var("ZSTD_LEVELS").unwrap_or_else(|_| ZSTD_LEVELS.into());
    for level in levels.split_whitespace() {
        // At least once, and again for as long as the seconds last.
        let seconds = if level.len() > 1 { 0 } else { 2 };
        let output = Command::new("zstd")
            .args([format!("-b{level}"), format!("-i{seconds}"), "-T1".into()])
            .arg(&path)
            .output();
        let Ok(output) = output else {
            println!("{:<8}zstd is not installed", dtype.name());
            break;
        };
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let line = text
            .split(['\r', '\n'])
            .rfind(|line| line.contains("->") && line.matches("MB/s").count() == 2);
        let numbers = line.and_then(|line| {
            let (_, line) = line.split_once("->")?;
            let coded = line.split_whitespace().next()?.parse().ok()?;
            let mut speeds = line
                .split("MB/s")
                .map(|part| part.split([' ', ',']).rfind(|word| !word.is_empty()));
            Some((coded, speeds.next()??.parse().ok()?, speeds.next()??.parse().ok()?))
        });
        match numbers {
            Some((coded, there, back)) => {
                report(dtype, &format!("zstd -{level}"), bytes.len(), coded, there, back);
            }
            None => println!("{:<8}zstd -{level} printed {text:?}", dtype.name()),
        }
    }
    std::fs::remove_file(&path)
}

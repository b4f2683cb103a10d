//! Tensors that live on a device are coded there: nothing but each row's outcome comes back to the
//! host.
//!
//! Runs on the first NVIDIA GPU where the build (`--features cuda-dynamic`) and the machine have
//! one, and on the software device elsewhere: `cargo run --release --example gpu_roundtrip`.

#[path = "../tests/common/software.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests, which use more of it")]
pub mod software;

use parans::gpu::{DeviceBuffer, DeviceIndexes, DeviceModels, DeviceSymbols, Gpu, StreamHandle};
use parans::model::{Kind, ModelCoder};
use parans::{Coder, Family, Result, Tables};

fn main() -> Result<()> {
    let gpu = Gpu::open(0).unwrap_or_else(|why| {
        println!("no NVIDIA GPU ({why}); on the software device instead");
        software::Software::gpu()
    });
    println!("device: {}", gpu.runtime().name());
    let (rows, columns) = (64, 4096);
    let coded = activations(&gpu, rows, columns)?;
    println!("activations: {} bytes to {coded} and back on the device", rows * columns);
    let coded = latents(&gpu, rows, columns)?;
    println!("latents: {} values to {coded} bytes and back on the device", rows * columns);
    Ok(())
}

/// Rows of quantised activations and a table of their distribution; gives the coded size.
pub fn activations(gpu: &Gpu, rows: usize, columns: usize) -> Result<usize> {
    let symbols: Vec<u8> = (0..rows * columns)
        .map(|i| (i as u32).wrapping_mul(2_654_435_761).leading_zeros() as u8)
        .collect();
    let mut counts = ndarray::Array2::<u64>::ones((1, 33));
    symbols.iter().for_each(|&symbol| counts[(0, usize::from(symbol))] += 1);
    let tables = Tables::from_counts(&counts, 12)?;
    let coder = Coder::builder(Family::Rans32x16).lanes(32).gpu(gpu).build(tables)?;
    let coder = coder.on_gpu().expect("a coder that was built for a device");

    let tensor = DeviceBuffer::from_slice(gpu, &symbols)?;
    let indexes = DeviceIndexes::one(0, rows, columns);
    let mut streams = coder.streams(rows, columns)?;
    coder.push(&mut streams, &DeviceSymbols::of(&tensor, rows)?, &indexes)?;
    let coded = streams.to_streams()?.total_bytes();

    let popped = DeviceBuffer::<u8>::new(gpu, symbols.len())?;
    coder.pop(&mut streams, &DeviceSymbols::of(&popped, rows)?, &indexes)?;
    assert!(popped.to_vec()? == symbols, "the round trip lost something");
    Ok(coded)
}

/// A learned compressor's latents, each with a mean and a scale that its network left on the device
/// as floats; gives the coded size.
pub fn latents(gpu: &Gpu, rows: usize, columns: usize) -> Result<usize> {
    let hash = |i: usize| (i as u32).wrapping_mul(2_654_435_761);
    let at = 0..rows * columns;
    let means: Vec<f32> = at.clone().map(|i| (hash(i) >> 20) as f32 / 64.0 - 32.0).collect();
    let scales: Vec<f32> = at.clone().map(|i| 0.1 + (hash(i + 7) >> 28) as f32).collect();
    let symbols: Vec<i16> = at
        .map(|i| {
            // Between minus and plus three scales, denser in the middle.
            let spread = (0..3).map(|k| (hash(3 * i + k) >> 16) as f32 / 32_768.0 - 1.0);
            (means[i] + scales[i] * spread.sum::<f32>()).round() as i16
        })
        .collect();
    let means = DeviceBuffer::from_slice(gpu, &means)?;
    let scales = DeviceBuffer::from_slice(gpu, &scales)?;
    let shape = (rows, columns);
    let models = DeviceModels::distributions_from_f32(
        gpu,
        Kind::Gaussian,
        &means,
        &scales,
        shape,
        StreamHandle::OWN,
    )?;
    let coder = ModelCoder::new(Family::Rans32x16, 32)?.with_gpu(gpu);
    let coder = coder.on_gpu().expect("a coder on a device");

    let tensor = DeviceBuffer::from_slice(gpu, &symbols)?;
    let mut streams = coder.streams(rows, columns)?;
    coder.push(&mut streams, &models, &DeviceSymbols::of(&tensor, rows)?)?;
    let coded = streams.to_streams()?.total_bytes();

    let popped = DeviceBuffer::<i16>::new(gpu, symbols.len())?;
    coder.pop(&mut streams, &models, &DeviceSymbols::of(&popped, rows)?)?;
    assert!(popped.to_vec()? == symbols, "the round trip lost something");
    Ok(coded)
}

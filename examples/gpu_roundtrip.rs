//! Tensors that live on a device are coded there: nothing but each row's outcome comes back to the host.
//!
//! Runs on the first NVIDIA GPU where the build (`--features cuda`) and the machine have one, and on the software device elsewhere:
//! `cargo run --release --example gpu_roundtrip`.

#[path = "../tests/common/software.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests, which use more of it")]
mod software;

use parans::gpu::{DeviceBuffer, DeviceIndexes, DeviceSymbols, Gpu};
use parans::{Coder, Family, Precision, Tables};

fn main() -> parans::Result<()> {
    let gpu = Gpu::open(0).unwrap_or_else(|why| {
        println!("no NVIDIA GPU ({why}); on the software device instead");
        software::Software::gpu()
    });
    println!("device: {}", gpu.runtime().name());

    // 64 rows of quantised activations, and a table of their distribution.
    let (rows, columns) = (64, 4096);
    let symbols: Vec<u8> = (0..rows * columns)
        .map(|i| (i as u32).wrapping_mul(2_654_435_761).leading_zeros() as u8)
        .collect();
    let mut counts = ndarray::Array2::<u64>::ones((1, 33));
    symbols.iter().for_each(|&symbol| counts[(0, usize::from(symbol))] += 1);
    let tables = Tables::from_counts(counts.view(), Precision::new(12)?)?;
    let coder = Coder::builder(Family::Rans32x16).lanes(32).gpu(&gpu).build(tables)?;
    let coder = coder.on_gpu().expect("a coder that was built for a device");

    let tensor = DeviceBuffer::from_slice(&gpu, &symbols)?;
    let indexes = DeviceIndexes::one(0, rows, columns);
    let mut streams = coder.streams(rows, columns)?;
    coder.push(&mut streams, &DeviceSymbols::of(&tensor, rows)?, &indexes)?;
    let coded = streams.to_streams()?.total_bytes();

    let popped = DeviceBuffer::<u8>::new(&gpu, symbols.len())?;
    coder.pop(&mut streams, &DeviceSymbols::of(&popped, rows)?, &indexes)?;
    assert!(popped.to_vec()? == symbols, "the round trip lost something");
    println!("{} bytes to {coded} and back on the device", symbols.len());
    Ok(())
}

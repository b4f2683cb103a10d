//! Timing pushes and pops.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use ndarray::{Array1, Array2};
use parans::gpu::{
    DeviceBuffer, DeviceIndexes, DeviceStreams, DeviceSymbols, Gpu, GpuCoder, StreamHandle,
};
use parans::{Coder, Indexes, Streams, Symbols, Tables};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use rayon::prelude::*;

use super::args::{BenchArgs, Dist};
use crate::failure::Usage;

/// Tables of the distribution asked for, the same as the peer's bench makes.
pub(super) fn make_tables(args: &BenchArgs, precision: u32) -> Result<Tables> {
    let some = args.alphabet > 0 && args.tables > 0;
    ensure!(some, Usage("there must be a table and a symbol in it".into()));
    // A PMF of this size has to fit into memory, and symbols and indexes are 32 bits wide.
    let values = args.alphabet.checked_mul(args.tables).filter(|&values| values <= 1 << 28);
    ensure!(values.is_some(), Usage("--alphabet times --tables: at most 2^28".into()));
    let shape = (args.tables, args.alphabet);
    let pmf = match args.dist {
        Dist::Uniform => Array2::from_elem(shape, 1.0 / args.alphabet as f64),
        Dist::Gauss => {
            let sigmas = if args.tables == 1 {
                Array1::from_elem(1, 8.0)
            } else {
                Array1::linspace(0.0, 4.5, args.tables).mapv(f64::exp2)
            };
            let centre = args.alphabet as f64 / 2.0;
            let mut pmf = Array2::from_shape_fn(shape, |(table, symbol)| {
                let x = (symbol as f64 - centre) / sigmas[table];
                (-0.5 * x * x).exp() + 1e-6
            });
            for mut row in pmf.rows_mut() {
                let sum = row.sum();
                row /= sum;
            }
            pmf
        }
    };
    Ok(Tables::builder(precision).sentinel(args.bypass).pmf(&pmf)?)
}

/// Symbols drawn from the tables themselves, with the indexes that say which.
pub(super) struct Inputs {
    symbols: Vec<i32>,
    indexes: Vec<i32>,
}

impl Inputs {
    /// Draws `count` symbols, always the same for the same tables.
    pub(super) fn draw(tables: &Tables, sentinel: bool, count: usize) -> Result<Self> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(0);
        let cdfs: Vec<Vec<u32>> = (0..tables.len()).map(|table| tables.cdf(table)).collect();
        let (mut symbols, mut indexes) = (memory(count)?, memory(count)?);
        for _ in 0..count {
            let table = (random.next_u64() % tables.len() as u64) as usize;
            let cdf = &cdfs[table];
            let drawable = cdf.len() - 1 - usize::from(sentinel);
            let slot = (random.next_u64() % u64::from(cdf[drawable])) as u32;
            symbols.push(cdf.partition_point(|&start| start <= slot) as i32 - 1);
            indexes.push(table as i32);
        }
        Ok(Self { symbols, indexes })
    }
}

/// An empty vector with memory for `count` values, or the error that there is not that much.
fn memory(count: usize) -> Result<Vec<i32>> {
    let mut values = Vec::new();
    let reserved = values.try_reserve_exact(count);
    reserved.with_context(|| format!("no memory for {count} symbols"))?;
    Ok(values)
}

/// Seconds that calls took.
#[derive(Default)]
pub(super) struct Seconds(Vec<f64>);

impl Seconds {
    /// Notes the time since `start`.
    pub(super) fn since(&mut self, start: Instant) {
        self.0.push(start.elapsed().as_secs_f64());
    }

    /// How fast this is, where a call works on `millions` of symbols or bytes.
    pub(super) fn speed(&self, millions: f64) -> Speed {
        // The first call warms up; it counts for the fastest all the same.
        let best = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let mut timed = self.0[1..].to_vec();
        timed.sort_by(f64::total_cmp);
        let (low, high) = (timed[(timed.len() - 1) / 2], timed[timed.len() / 2]);
        let speed = |seconds: f64| millions / seconds;
        Speed { best: speed(best), median: speed((low + high) / 2.0), microseconds: best * 1e6 }
    }
}

/// How fast calls were.
pub(super) struct Speed {
    /// Millions per second in the fastest call.
    pub(super) best: f64,
    /// Millions per second in the median of the calls.
    pub(super) median: f64,
    /// Microseconds of the fastest call.
    pub(super) microseconds: f64,
}

/// What one measurement gives.
pub(super) struct Figures {
    pub(super) push: Speed,
    pub(super) pop: Speed,
    pub(super) bytes_per_symbol: f64,
    /// Million symbols per second of copying the symbols and indexes, in the same process on the
    /// same threads; on a device, within the device.
    pub(super) copy: Option<f64>,
}

/// Bytes of device memory that measurements go round in: more than any L2 cache holds, so that
/// each launch finds its input in memory.
const ROUND: usize = 192 << 20;
/// The most tensors of one round.
const MOST_TENSORS: usize = 8;

/// A tensor on the device, and room for what is popped.
struct OnDevice {
    symbols: DeviceBuffer<i32>,
    indexes: DeviceBuffer<i32>,
    popped: DeviceBuffer<i32>,
    streams: DeviceStreams,
}

/// Times pushes and pops of tensors that lie on the device, by the device's own clock: each time is
/// that of a round of launches over several tensors, one after another, after a round to warm up.
/// Checked as on the host.
fn measure_on_gpu(
    coder: &GpuCoder<'_>,
    (symbols, indexes): (&[i32], &[i32]),
    rows: usize,
    repeat: usize,
) -> Result<Figures> {
    let gpu = coder.gpu();
    let (count, columns) = (symbols.len(), symbols.len() / rows);
    let tensors = ROUND.div_ceil(12 * count.max(1)).clamp(1, MOST_TENSORS);
    let mut tensors = (0..tensors)
        .map(|_| {
            Ok(OnDevice {
                symbols: DeviceBuffer::from_slice(gpu, symbols)?,
                indexes: DeviceBuffer::from_slice(gpu, indexes)?,
                popped: DeviceBuffer::from_slice(gpu, &vec![-1i32; count])?,
                streams: coder.streams(rows, columns)?,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let (mut push, mut pop) = (Seconds::default(), Seconds::default());
    let (mut bytes, mut copy) = (0, f64::INFINITY);
    for _ in 0..=repeat {
        push.0.push(time_round(gpu, &mut tensors, |tensor| {
            let symbols = DeviceSymbols::of(&tensor.symbols, rows)?;
            let indexes = DeviceIndexes::each(&tensor.indexes, rows)?;
            coder.enqueue_push(&mut tensor.streams, &symbols, &indexes)
        })?);
        for tensor in &tensors {
            let symbols = DeviceSymbols::of(&tensor.symbols, rows)?;
            let indexes = DeviceIndexes::each(&tensor.indexes, rows)?;
            coder.check(&tensor.streams, &symbols, &indexes)?;
        }
        bytes = tensors[0].streams.to_streams()?.total_bytes();
        pop.0.push(time_round(gpu, &mut tensors, |tensor| {
            let into = DeviceSymbols::of(&tensor.popped, rows)?;
            let indexes = DeviceIndexes::each(&tensor.indexes, rows)?;
            coder.enqueue_pop(&mut tensor.streams, &into, &indexes)
        })?);
        for tensor in &tensors {
            let into = DeviceSymbols::of(&tensor.popped, rows)?;
            let indexes = DeviceIndexes::each(&tensor.indexes, rows)?;
            coder.check(&tensor.streams, &into, &indexes)?;
            ensure!(tensor.popped.to_vec()? == symbols, "what was popped is not what was pushed");
            tensor.streams.to_streams()?.expect_initial()?;
        }
        // Symbols and indexes, read and written once.
        copy = copy.min(time_round(gpu, &mut tensors, |tensor| {
            tensor.popped.copy_from(&tensor.symbols, StreamHandle::OWN)?;
            tensor.popped.copy_from(&tensor.indexes, StreamHandle::OWN)
        })?);
    }
    let copy = Some(count as f64 / 1e6 / copy);
    Ok(Figures { copy, ..figures(count, &push, &pop, bytes) })
}

/// Seconds per tensor that the device takes for work on all of them, one after another.
fn time_round(
    gpu: &Gpu,
    tensors: &mut [OnDevice],
    mut work: impl FnMut(&mut OnDevice) -> parans::Result<()>,
) -> Result<f64> {
    let time = gpu
        .runtime()
        .time(StreamHandle::OWN, &mut || tensors.iter_mut().try_for_each(&mut work))?;
    Ok(time.as_secs_f64() / tensors.len() as f64)
}

/// Seconds that a copy of these symbols and their indexes takes at best, over the pool's threads.
fn time_copy(symbols: &[i32], indexes: &[i32], repeat: usize) -> f64 {
    let mut copies = [vec![0i32; symbols.len()], vec![0i32; indexes.len()]];
    let part = symbols.len().div_ceil(rayon::current_num_threads()).max(1);
    let mut best = f64::INFINITY;
    for _ in 0..=repeat {
        let start = Instant::now();
        for (copy, values) in copies.iter_mut().zip([symbols, indexes]) {
            let parts = copy.par_chunks_mut(part).zip(values.par_chunks(part));
            parts.for_each(|(copy, values)| copy.copy_from_slice(values));
        }
        best = start.elapsed().as_secs_f64().min(best);
        std::hint::black_box(&copies);
    }
    best
}

fn figures(count: usize, push: &Seconds, pop: &Seconds, bytes: usize) -> Figures {
    let millions = count as f64 / 1e6;
    Figures {
        push: push.speed(millions),
        pop: pop.speed(millions),
        bytes_per_symbol: bytes as f64 / count as f64,
        copy: None,
    }
}

/// Times pushes and pops of `rows` times `columns` of the symbols; every repetition is checked to
/// come back as it went in.
pub(super) fn measure(
    coder: &Coder,
    inputs: &Inputs,
    rows: usize,
    columns: usize,
    repeat: usize,
) -> Result<Figures> {
    let count = rows * columns;
    let (symbols, indexes) = (&inputs.symbols[..count], &inputs.indexes[..count]);
    if let Some(gpu) = coder.on_gpu() {
        return measure_on_gpu(&gpu, (symbols, indexes), rows, repeat);
    }
    let copy = time_copy(symbols, indexes, repeat);
    let mut popped = memory(count)?;
    popped.resize(count, 0);
    let symbols = Symbols::from_slice(symbols, rows)?;
    let indexes = Indexes::each(indexes, rows)?;
    // Streams are preallocated and, after the first turn, warm: as the peer's bench has them.
    let mut streams: Streams = coder.streams(rows)?;
    let (mut push, mut pop) = (Seconds::default(), Seconds::default());
    let mut bytes = 0;
    for _ in 0..=repeat {
        let start = Instant::now();
        coder.push(&mut streams, symbols.clone(), indexes.clone())?;
        push.since(start);
        bytes = streams.total_bytes();
        let start = Instant::now();
        coder.pop_into(&mut streams, indexes.clone(), &mut popped)?;
        pop.since(start);
        ensure!(popped == symbols.as_slice(), "what was popped is not what was pushed");
        streams.expect_initial()?;
        popped.fill(-1);
    }
    let copy = Some(count as f64 / 1e6 / copy);
    Ok(Figures { copy, ..figures(count, &push, &pop, bytes) })
}

//! `parans bench`: push and pop timed on made-up symbols, or order-0 coding on the bytes of a file.
//!
//! Without `--json` and `--rows` it answers the question that torch_ans' users ask a script of theirs: how many parallel rows make my
//! tensors fast here? Beside each figure it says what share of the speed of memory that is: of copying the same arrays on the same threads.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use ndarray::{Array1, Array2};
use parans::gpu::{DeviceBuffer, DeviceIndexes, DeviceSymbols, GpuCoder, StreamHandle};
use parans::{Bypass, Coder, Device, Family, Indexes, Lookup, Precision, Streams, Symbols, Tables};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};
use rayon::prelude::*;

/// What `parans bench` takes.
#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    /// Stream family: rans64, rans32, rans32_16, tans32, tans16, tans8
    #[arg(long, default_value = "rans64")]
    family: Family,
    /// Interleaved states a row: 1, 2, 4, 8, 32
    #[arg(long, default_value_t = 1)]
    lanes: usize,
    /// How pop finds symbols: auto, search, invcdf, alias
    #[arg(long, default_value = "auto")]
    lookup: Lookup,
    /// Where to run: cpu, cuda:0, ...
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// Rows; without it a table over row counts (256 with --json)
    #[arg(long)]
    rows: Option<usize>,
    /// Symbols in all rows together
    #[arg(long, default_value_t = 13_107_200)]
    symbols: usize,
    /// Symbols a table
    #[arg(long, default_value_t = 256)]
    alphabet: usize,
    /// Tables, chosen per symbol at random
    #[arg(long, default_value_t = 1)]
    tables: usize,
    /// Distribution of the symbols
    #[arg(long, value_enum, default_value_t = Dist::Uniform)]
    dist: Dist,
    /// Bits of a quantised distribution; 16 unless the family's limit is lower
    #[arg(long)]
    precision: Option<u32>,
    /// Code with a bypass sentinel
    #[arg(long)]
    bypass: bool,
    /// Threads
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Timed repetitions; the best counts
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// Order-0 coding of this file's bytes instead, on one thread, table building counted
    #[arg(long, value_name = "FILE")]
    bytes: Option<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// Distributions to draw symbols from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Dist {
    /// All symbols alike.
    Uniform,
    /// Discretised Gaussians centred in the alphabet, standard deviations from 1 to 2^4.5 (8 for a single table).
    Gauss,
}

/// Bits of a bypass digit, torch_ans' default.
const BYPASS_BITS: u32 = 4;

/// What one measurement gives.
struct Figures {
    push_msym_s: f64,
    pop_msym_s: f64,
    bytes_per_symbol: f64,
    /// Copies of the symbols and indexes, in the same process on the same threads; `None` on a device.
    copy_msym_s: Option<f64>,
}

/// A speed as a share of a copy's, in percent.
fn share(speed: f64, copy: f64) -> String {
    format!("{:.1}%", 100.0 * speed / copy)
}

/// Runs the benchmark.
pub(crate) fn run(args: &BenchArgs) -> Result<()> {
    if let Some(file) = &args.bytes {
        return bench_bytes(file, args);
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(args.threads).build()?;
    pool.install(|| bench_rows(args, pool.current_num_threads()))
}

fn bench_rows(args: &BenchArgs, threads: usize) -> Result<()> {
    let bits = args.precision.unwrap_or(args.family.max_precision().min(16));
    let tables = make_tables(args, Precision::new(bits)?)?;
    let bypass = if args.bypass { Bypass::digits(BYPASS_BITS) } else { Bypass::Off };
    let coder = Coder::builder(args.family)
        .lanes(args.lanes)
        .lookup(args.lookup)
        .bypass(bypass)
        .device(args.device)
        .build(tables)?;
    let counts: Vec<usize> = match args.rows {
        Some(rows) => vec![rows],
        None if args.json => vec![256],
        None => (0..=12).step_by(2).map(|log2| 1 << log2).collect(),
    };
    let mut out = std::io::stdout().lock();
    if !args.json {
        writeln!(
            out,
            "{} x{} {} on {}, {} symbols, {} tables of {} at {bits} bits, {threads} threads",
            args.family,
            args.lanes,
            coder.lookup().name(),
            args.device,
            args.symbols,
            args.tables,
            args.alphabet,
        )?;
        writeln!(
            out,
            "{:>8} {:>12} {:>12} {:>12} {:>12} {:>9} {:>9}",
            "rows",
            "push Msym/s",
            "pop Msym/s",
            "bytes/symbol",
            "copy Msym/s",
            "push/copy",
            "pop/copy"
        )?;
    }
    for rows in counts {
        ensure!(rows > 0, "--rows 0: there must be a row");
        let columns = args.symbols / rows;
        if columns == 0 {
            continue;
        }
        let figures = measure(&coder, rows, columns, args.repeat)?;
        if args.json {
            let line = serde_json::json!({
                "family": args.family.name(), "lanes": args.lanes, "lookup": coder.lookup().name(),
                "device": args.device.to_string(), "rows": rows, "symbols": rows * columns,
                "alphabet": args.alphabet, "tables": args.tables, "precision": bits, "bypass": args.bypass,
                "threads": threads, "push_msym_s": rounded(figures.push_msym_s, 1),
                "pop_msym_s": rounded(figures.pop_msym_s, 1),
                "bytes_per_symbol": rounded(figures.bytes_per_symbol, 5),
            });
            writeln!(out, "{line}")?;
        } else {
            let Figures { push_msym_s: push, pop_msym_s: pop, .. } = figures;
            write!(out, "{rows:>8} {push:>12.1} {pop:>12.1} {:>12.5}", figures.bytes_per_symbol)?;
            match figures.copy_msym_s {
                Some(copy) => {
                    writeln!(out, " {copy:>12.1} {:>9} {:>9}", share(push, copy), share(pop, copy))?
                }
                None => writeln!(out, " {:>12} {:>9} {:>9}", "-", "-", "-")?,
            }
        }
        out.flush()?;
    }
    Ok(())
}

fn rounded(value: f64, digits: i32) -> f64 {
    let unit = 10f64.powi(digits);
    (value * unit).round() / unit
}

/// Tables of the distribution asked for, the same as the peer's bench makes.
fn make_tables(args: &BenchArgs, precision: Precision) -> Result<Tables> {
    ensure!(args.alphabet > 0 && args.tables > 0, "there must be a table and a symbol in it");
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
    Ok(Tables::builder(precision).sentinel(args.bypass).pmf(pmf.view())?)
}

/// Symbols drawn from the tables themselves, with the indexes that say which.
fn draw(tables: &Tables, sentinel: bool, count: usize) -> (Vec<i32>, Vec<i32>) {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(0);
    let cdfs: Vec<Vec<u32>> = (0..tables.len()).map(|table| tables.cdf(table)).collect();
    let mut symbols = Vec::with_capacity(count);
    let mut indexes = Vec::with_capacity(count);
    for _ in 0..count {
        let table = (random.next_u64() % tables.len() as u64) as usize;
        let cdf = &cdfs[table];
        let drawable = cdf.len() - 1 - usize::from(sentinel);
        let slot = (random.next_u64() % u64::from(cdf[drawable])) as u32;
        symbols.push(cdf.partition_point(|&start| start <= slot) as i32 - 1);
        indexes.push(table as i32);
    }
    (symbols, indexes)
}

/// Times pushes and pops of tensors that lie on the device, by the device's own clock; checked as on the host.
fn measure_on_gpu(
    coder: &GpuCoder<'_>,
    (symbols, indexes): (&[i32], &[i32]),
    rows: usize,
    repeat: usize,
) -> Result<Figures> {
    let gpu = coder.gpu();
    let (count, columns) = (symbols.len(), symbols.len() / rows);
    let on_device = DeviceBuffer::from_slice(gpu, symbols)?;
    let index_buffer = DeviceBuffer::from_slice(gpu, indexes)?;
    let popped = DeviceBuffer::from_slice(gpu, &vec![-1i32; count])?;
    let device_symbols = DeviceSymbols::of(&on_device, rows)?;
    let device_indexes = DeviceIndexes::each(&index_buffer, rows)?;
    let into = DeviceSymbols::of(&popped, rows)?;
    let mut streams = coder.streams(rows, columns)?;
    let mut best = (f64::INFINITY, f64::INFINITY);
    let mut bytes = 0;
    for _ in 0..=repeat {
        let stream = StreamHandle::default();
        let time = gpu.runtime().time(stream, &mut || {
            coder.enqueue_push(&mut streams, &device_symbols, &device_indexes)
        })?;
        best.0 = time.as_secs_f64().min(best.0);
        coder.check(&streams, &device_symbols, &device_indexes)?;
        bytes = streams.to_streams()?.total_bytes();
        let time = gpu
            .runtime()
            .time(stream, &mut || coder.enqueue_pop(&mut streams, &into, &device_indexes))?;
        best.1 = time.as_secs_f64().min(best.1);
        coder.check(&streams, &into, &device_indexes)?;
        ensure!(popped.to_vec()? == symbols, "what was popped is not what was pushed");
        streams.to_streams()?.expect_fresh()?;
    }
    Ok(figures(count, best, bytes))
}

/// Seconds that a copy of these symbols and their indexes takes at best, over the pool's threads where there are several.
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

fn figures(count: usize, best: (f64, f64), bytes: usize) -> Figures {
    let million = count as f64 / 1e6;
    Figures {
        push_msym_s: million / best.0,
        pop_msym_s: million / best.1,
        bytes_per_symbol: bytes as f64 / count as f64,
        copy_msym_s: None,
    }
}

/// Times pushes and pops; every repetition is checked to come back as it went in.
fn measure(coder: &Coder, rows: usize, columns: usize, repeat: usize) -> Result<Figures> {
    let count = rows * columns;
    let sentinel = coder.bypass() != Bypass::Off;
    let (symbols, indexes) = draw(coder.tables(), sentinel, count);
    if let Some(gpu) = coder.on_gpu() {
        return measure_on_gpu(&gpu, (&symbols, &indexes), rows, repeat);
    }
    let copy = time_copy(&symbols, &indexes, repeat);
    let symbols = Symbols::from_slice(&symbols, rows)?;
    let indexes = Indexes::each(&indexes, rows)?;
    let mut popped = vec![0i32; count];
    // Streams are preallocated and, after the first turn, warm: as the peer's bench has them.
    let mut streams: Streams = coder.streams(rows)?;
    let mut best = (f64::INFINITY, f64::INFINITY);
    let mut bytes = 0;
    for _ in 0..=repeat {
        let start = Instant::now();
        coder.push(&mut streams, symbols.clone(), indexes.clone())?;
        best.0 = start.elapsed().as_secs_f64().min(best.0);
        bytes = streams.total_bytes();
        let start = Instant::now();
        coder.pop_into(&mut streams, indexes.clone(), &mut popped)?;
        best.1 = start.elapsed().as_secs_f64().min(best.1);
        ensure!(popped == symbols.as_slice(), "what was popped is not what was pushed");
        streams.expect_fresh()?;
        popped.fill(-1);
    }
    Ok(Figures { copy_msym_s: Some(count as f64 / 1e6 / copy), ..figures(count, best, bytes) })
}

/// Times order-0 coding of a file's bytes.
fn bench_bytes(file: &Path, args: &BenchArgs) -> Result<()> {
    let name = file.display().to_string();
    let bytes = std::fs::read(file).with_context(|| name.clone())?;
    let mut coded = Vec::new();
    let mut back = vec![0; bytes.len()];
    let mut best = (f64::INFINITY, f64::INFINITY);
    let mut copy = f64::INFINITY;
    for _ in 0..=args.repeat {
        coded.clear();
        let start = Instant::now();
        parans::order0::encode_all(&bytes, &mut coded);
        best.0 = start.elapsed().as_secs_f64().min(best.0);
        let start = Instant::now();
        parans::order0::decode_all(&coded, &mut back)?;
        best.1 = start.elapsed().as_secs_f64().min(best.1);
        ensure!(back == bytes, "what was decoded is not what was encoded");
        back.fill(0);
        let start = Instant::now();
        back.copy_from_slice(&bytes);
        copy = start.elapsed().as_secs_f64().min(copy);
        std::hint::black_box(&mut back).fill(0);
    }
    let megabytes = bytes.len() as f64 / 1e6;
    let (encoding, decoding, copy) = (megabytes / best.0, megabytes / best.1, megabytes / copy);
    let entropy = parans::order0::entropy_bytes(&bytes);
    let mut out = std::io::stdout().lock();
    if args.json {
        let line = serde_json::json!({
            "file": name, "enc_mb_s": rounded(encoding, 1), "dec_mb_s": rounded(decoding, 1),
            "compressed": coded.len(), "entropy_bytes": entropy.ceil() as u64,
        });
        writeln!(out, "{line}")?;
    } else {
        writeln!(
            out,
            "{name}: {} to {} bytes ({:.4} of the order-0 entropy), encoding {encoding:.0} MB/s, decoding {decoding:.0} MB/s: {} and {} of a \
             copy's {copy:.0} MB/s",
            bytes.len(),
            coded.len(),
            coded.len() as f64 / entropy.max(1.0),
            share(encoding, copy),
            share(decoding, copy),
        )?;
    }
    Ok(())
}

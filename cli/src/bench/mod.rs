//! `parans bench`: push and pop timed on generated symbols, or order-0 coding on the bytes of a
//! file.
//!
//! Without `--json` it answers a question of torch_ans' users: which family, how many lanes and how
//! many parallel rows make my tensors fast here? Beside each speed stands its share of the speed of
//! copying the same arrays on the same threads.

pub(crate) mod args;
mod bytes;
mod measure;
mod plot;
mod report;

use anyhow::{Result, ensure};
use parans::{Bypass, Coder, Device, Error, Family};
use rayon::ThreadPool;

use crate::{failure::Usage, pool};
use args::{ALL, BenchArgs};
use measure::{Inputs, make_tables};
use report::{Report, Setting};

/// The values that a list names, in its order, each once.
fn chosen<T: Copy + PartialEq>(
    names: &[String],
    all: &[T],
    named: impl Fn(&T, &str) -> bool,
) -> Vec<T> {
    let mut chosen = Vec::new();
    for name in names {
        for value in all.iter().filter(|value| name == ALL || named(value, name)) {
            if !chosen.contains(value) {
                chosen.push(*value);
            }
        }
    }
    chosen
}

/// Bits of a bypass digit, torch_ans' default.
const BYPASS_BITS: u32 = 4;

/// The threads to measure on.
struct Pools {
    asked: ThreadPool,
    /// One thread, to stand beside; none where that is what was asked for, or for JSON.
    one: Option<ThreadPool>,
}

/// Runs the benchmark.
pub(crate) fn run(args: &BenchArgs) -> Result<()> {
    if let Some(file) = &args.bytes {
        return bytes::bench(file, args.repeat as usize, args.json);
    }
    let threads = match args.threads {
        None if args.json => 1,
        None | Some(0) => pool::threads(0),
        // More threads than cores can be worth measuring.
        Some(threads) => threads as usize,
    };
    let one = (threads > 1 && !args.json && args.device == Device::Cpu).then(|| pool::exactly(1));
    let pools = Pools { asked: pool::exactly(threads)?, one: one.transpose()? };
    let counts: Vec<usize> = match &args.rows {
        Some(rows) => rows.clone(),
        None if args.json => vec![256],
        None => (0..=12).step_by(2).map(|log2| 1 << log2).collect(),
    };
    ensure_usage(!counts.contains(&0), "--rows 0: there must be a row")?;
    ensure_usage(
        counts.iter().any(|&rows| rows <= args.symbols),
        &format!("--symbols {}: there must be one per row", args.symbols),
    )?;
    let families = chosen(&args.family, Family::ALL, |family, name| family.name() == name);
    let lanes = chosen(&args.lanes, Family::LANES, |lanes, name| lanes.to_string() == name);
    let plot = args.plot.as_deref().map(plot::open).transpose()?;
    let sweep = families.len() * lanes.len() > 1;
    let mut report = Report::new(args, threads, pools.one.is_some(), sweep);
    for &family in &families {
        let measured = bench_family(args, family, &lanes, &counts, &pools, &mut report);
        match measured.map_err(as_usage) {
            // A family that cannot be coded so does not keep the others from their turn.
            Err(error) if families.len() > 1 && error.is::<Usage>() => {
                report.refused(family, &error);
            }
            other => other?,
        }
    }
    report.finish(plot)
}

/// Measures one family with each number of lanes and of rows.
fn bench_family(
    args: &BenchArgs,
    family: Family,
    lanes: &[usize],
    counts: &[usize],
    pools: &Pools,
    report: &mut Report<'_>,
) -> Result<()> {
    let bits = args.precision.unwrap_or(family.max_precision().min(16));
    let tables = make_tables(args, bits)?;
    let inputs = Inputs::draw(&tables, args.bypass, args.symbols)?;
    for &lanes in lanes {
        let setting = Setting { family, lanes, bits };
        let bypass = if args.bypass { Bypass::digits(BYPASS_BITS) } else { Bypass::Off };
        let coder = Coder::builder(family)
            .lanes(lanes)
            .lookup(args.lookup)
            .bypass(bypass)
            .device(args.device)
            .build(tables.clone())?;
        for &rows in counts.iter().filter(|&&rows| rows <= args.symbols) {
            let columns = args.symbols / rows;
            let time = || measure::measure(&coder, &inputs, rows, columns, args.repeat as usize);
            let figures = pools.asked.install(time)?;
            let one = pools.one.as_ref().map(|pool| pool.install(time)).transpose()?;
            report.row(&setting, coder.lookup(), (rows, columns), &figures, one.as_ref())?;
        }
    }
    Ok(())
}

fn ensure_usage(holds: bool, text: &str) -> Result<()> {
    ensure!(holds, Usage(text.to_owned()));
    Ok(())
}

/// What the library cannot serve is a wrong request here, not a foreign file.
fn as_usage(error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<Error>() {
        Ok(Error::Unsupported(text) | Error::InvalidArgument(text)) => Usage(text).into(),
        Ok(error @ (Error::InvalidTable { .. } | Error::Shape { .. })) => {
            Usage(error.to_string()).into()
        }
        Ok(error) => error.into(),
        Err(error) => error,
    }
}

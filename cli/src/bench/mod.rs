//! `parans bench`: push and pop timed on generated symbols, or order-0 coding on the bytes of a
//! file.
//!
//! Without `--json` it answers a question of torch_ans' users: which family, how many lanes and how
//! many parallel rows make my tensors fast here? Beside each speed stands its share of the speed of
//! copying the same arrays on the same threads.

mod bytes;
mod measure;
mod report;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{
    Args, ValueEnum, ValueHint,
    builder::{PossibleValue, PossibleValuesParser, StringValueParser, TypedValueParser},
};
use parans::{Bypass, Coder, Device, Error, Family, Lookup};
use rayon::ThreadPool;

use crate::{
    failure::Usage,
    pool::{self, THREADS},
};
use measure::{Inputs, make_tables};
use report::{Report, Setting};

/// What `parans bench` takes.
#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    /// Stream families, separated by commas
    #[arg(long, default_value = "rans64", value_delimiter = ',', value_parser = families())]
    family: Vec<String>,
    /// Interleaved states per row, separated by commas
    #[arg(long, default_value = "1", value_delimiter = ',', value_parser = lanes())]
    lanes: Vec<String>,
    /// How pop finds symbols
    #[arg(long, default_value = "auto", value_parser = lookup())]
    lookup: Lookup,
    /// Where to run: cpu, cuda:0, cuda:1, ...
    #[arg(long, default_value = "cpu", value_parser = DeviceParser)]
    device: Device,
    /// Numbers of rows, separated by commas [default: 1 to 4096; 256 with --json]
    #[arg(long, value_delimiter = ',')]
    rows: Option<Vec<usize>>,
    /// Symbols in all rows together
    #[arg(long, default_value_t = 13_107_200)]
    symbols: usize,
    /// Symbols per table
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
    /// Threads; 0 is one per core [default: 0, and beside it one thread; 1 with --json]
    #[arg(short = 'T', long, value_name = "N",
        value_parser = clap::value_parser!(u32).range(THREADS))]
    threads: Option<u32>,
    /// Timed calls, after one that warms up
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Order-0 coding of this file's bytes instead, on one thread, table building counted
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    bytes: Option<PathBuf>,
    /// One JSON object per line, with the fastest calls
    #[arg(long)]
    json: bool,
}

/// Distributions to draw symbols from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Dist {
    /// All symbols alike.
    Uniform,
    /// Discretised Gaussians centred in the alphabet, standard deviations from 1 to 2^4.5 (8 for a
    /// single table).
    Gauss,
}

/// The value that stands for all families or all numbers of lanes.
const ALL: &str = "all";

/// A parser of the families' names. It lists them in the help and the completions.
fn families() -> PossibleValuesParser {
    PossibleValuesParser::new(Family::ALL.iter().map(|family| family.name()).chain([ALL]))
}

fn lanes() -> PossibleValuesParser {
    let numbers = Family::LANES.iter().map(usize::to_string);
    PossibleValuesParser::new(numbers.chain([ALL.to_owned()]).map(PossibleValue::new))
}

fn lookup() -> impl TypedValueParser<Value = Lookup> {
    let all = [Lookup::Auto, Lookup::Search, Lookup::InverseCdf, Lookup::Alias];
    PossibleValuesParser::new(all.map(Lookup::name)).try_map(|name| name.parse::<Lookup>())
}

/// Parses any device; lists the usual ones.
#[derive(Clone)]
struct DeviceParser;

impl TypedValueParser for DeviceParser {
    type Value = Device;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Device, clap::Error> {
        let parser = StringValueParser::new().try_map(|name| {
            name.parse().map_err(|error| match error {
                Error::InvalidArgument(text) => Usage(text),
                error => Usage(error.to_string()),
            })
        });
        parser.parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(["cpu", "cuda:0", "cuda:1"].map(PossibleValue::new).into_iter()))
    }
}

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
    report.finish()
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

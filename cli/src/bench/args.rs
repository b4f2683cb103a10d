//! What `parans bench` takes.

use std::path::PathBuf;

use clap::{
    Args, ValueEnum, ValueHint,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use parans::{Device, Family, Lookup};

use crate::{devices::DeviceParser, pool::THREADS};

/// What `parans bench` takes.
#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    /// Stream families, separated by commas
    #[arg(long, default_value = "rans64", value_delimiter = ',', value_parser = families())]
    pub(super) family: Vec<String>,
    /// Interleaved states per row, separated by commas
    #[arg(long, default_value = "1", value_delimiter = ',', value_parser = lanes())]
    pub(super) lanes: Vec<String>,
    /// How pop finds symbols
    #[arg(long, default_value = "auto", value_parser = lookup())]
    pub(super) lookup: Lookup,
    /// Where to run: cpu, cuda:0, cuda:1, ...
    #[arg(long, default_value = "cpu", value_parser = DeviceParser)]
    pub(super) device: Device,
    /// Numbers of rows, separated by commas [default: 1 to 4096; 256 with --json]
    #[arg(long, value_delimiter = ',')]
    pub(super) rows: Option<Vec<usize>>,
    /// Symbols in all rows together
    #[arg(long, default_value_t = 13_107_200)]
    pub(super) symbols: usize,
    /// Symbols per table
    #[arg(long, default_value_t = 256)]
    pub(super) alphabet: usize,
    /// Tables, chosen per symbol at random
    #[arg(long, default_value_t = 1)]
    pub(super) tables: usize,
    /// Distribution of the symbols
    #[arg(long, value_enum, default_value_t = Dist::Uniform)]
    pub(super) dist: Dist,
    /// Bits of a quantised distribution; 16 unless the family's limit is lower
    #[arg(long)]
    pub(super) precision: Option<u32>,
    /// Code with a bypass sentinel
    #[arg(long)]
    pub(super) bypass: bool,
    /// Threads; 0 is one per core [default: 0, and beside it one thread; 1 with --json]
    #[arg(short = 'T', long, value_name = "N",
        value_parser = clap::value_parser!(u32).range(THREADS))]
    pub(super) threads: Option<u32>,
    /// Timed calls, after one that warms up
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) repeat: u32,
    /// Order-0 coding of this file's bytes instead, on one thread, table building counted
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) bytes: Option<PathBuf>,
    /// Draw the speeds over the numbers of rows into FILE, an SVG picture
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "bytes")]
    pub(super) plot: Option<PathBuf>,
    /// One JSON object per line, with the fastest calls
    #[arg(long)]
    pub(super) json: bool,
}

/// Distributions to draw symbols from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Dist {
    /// All symbols alike.
    Uniform,
    /// Discretised Gaussians centred in the alphabet, standard deviations from 1 to 2^4.5 (8 for a
    /// single table).
    Gauss,
}

/// The value that stands for all families or all numbers of lanes.
pub(super) const ALL: &str = "all";

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

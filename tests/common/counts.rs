//! What the library's launches cost on the software device, for each family, lane count and form of
//! the tables: `scripts/gpu-counts` prints them, and `tests/suite/kernels/cost.rs` holds them to a
//! budget.
//!
//! A launch is the one that a [`Coder`] makes of tensors in device memory: the host chooses the
//! kernel, whether it stages tables, and the blocks.

use std::sync::{Arc, Mutex};

use ndarray::{Array2, Axis};
use parans::gpu::{DeviceBuffer, DeviceIndexes, DeviceSymbols, Gpu};
use parans::{Bypass, Coder, Family, Lookup, NativeSymbol, Precision, Tables};
use parans_emulator::{DeviceModel, Report};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::software::Software;

/// Rows and symbols per row: rows enough to fill warps, symbols enough for the ends of rows and the
/// staging of tables not to count.
fn size(lanes: usize) -> (usize, usize) {
    if lanes < 32 { (64, 3072) } else { (32, 6144) }
}

/// What is coded, and by what.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub family: Family,
    pub lanes: usize,
    pub tables: usize,
    pub alphabet: usize,
    pub precision: u32,
    /// `i32`, `u8`.
    pub symbols: &'static str,
    /// `each_i32`, `each_u8`, `row`, `one`.
    pub index: &'static str,
    /// Bypass on, and 0.1 % of the symbols escape.
    pub bypass: bool,
    pub lookup: Lookup,
    /// The smallest symbol. Packed tables hold none above 32767: the general kernels code those.
    pub offset: i32,
}

/// One launch.
pub struct Count {
    pub setup: Setup,
    pub push: bool,
    pub kernel: String,
    /// Warp instructions per 32 symbols.
    pub instructions: f64,
    /// Sectors of global memory per symbol.
    pub sectors: f64,
    /// Wavefronts of shared memory per symbol.
    pub wavefronts: f64,
}

impl Count {
    /// The setup and the direction as words without blanks: the name of a budget.
    pub fn name(&self) -> String {
        let Setup {
            family,
            lanes,
            tables,
            alphabet,
            precision,
            symbols,
            index,
            bypass,
            lookup,
            offset,
        } = self.setup;
        let of = |yes, text: &'static str| if yes { text } else { "" };
        format!(
            "{family}-x{lanes}-t{tables}-a{alphabet}-p{precision}-{symbols}-{index}-{}{}{}-{}",
            lookup.name(),
            of(bypass, "-bypass"),
            of(offset > 0, "-offset"),
            self.direction()
        )
    }

    /// A line of the budgets: its name, and 2.5 % more than was counted.
    pub fn budget(&self) -> String {
        let most = |counted: f64| (counted * 102.5).ceil() / 100.0;
        format!(
            "{} {:.2} {:.2} {:.2}",
            self.name(),
            most(self.instructions),
            most(self.sectors),
            most(self.wavefronts)
        )
    }

    pub fn direction(&self) -> &'static str {
        if self.push { "push" } else { "pop" }
    }

    /// One JSON object.
    pub fn json(&self) -> String {
        let Setup {
            family,
            lanes,
            tables,
            alphabet,
            precision,
            symbols,
            index,
            bypass,
            lookup,
            ..
        } = self.setup;
        let (op, kernel, lookup) = (self.direction(), &self.kernel, lookup.name());
        let Self { instructions, sectors, wavefronts, .. } = self;
        format!(
            "{{\"family\":\"{family}\",\"lanes\":{lanes},\"tables\":{tables},\
             \"precision\":{precision},\"symbols\":\"{symbols}\",\"index\":\"{index}\",\
             \"bypass\":{bypass},\"op\":\"{op}\",\"instructions_per_32\":{instructions:.2},\
             \"sectors\":{sectors:.3},\"wavefronts\":{wavefronts:.3},\"alphabet\":{alphabet},\
             \"lookup\":\"{lookup}\",\"kernel\":\"{kernel}\"}}"
        )
    }
}

/// Everything that is counted.
pub fn setups() -> Vec<Setup> {
    let mut setups = Vec::new();
    let i32s = Setup {
        family: Family::Rans32x16,
        lanes: 32,
        tables: 1,
        alphabet: 256,
        precision: 12,
        symbols: "i32",
        index: "each_i32",
        bypass: false,
        lookup: Lookup::Auto,
        offset: 0,
    };
    for family in [Family::Rans64, Family::Rans32, Family::Rans32x16, Family::Tans32] {
        for &lanes in Family::LANES {
            for tables in [1, 64] {
                setups.push(Setup { family, lanes, tables, ..i32s });
            }
        }
    }
    for lanes in [1, 4, 32] {
        setups.push(Setup { lanes, tables: 64, bypass: true, ..i32s });
        setups.push(Setup { lanes, tables: 64, index: "each_u8", symbols: "u8", ..i32s });
        setups.push(Setup { lanes, tables: 64, index: "row", ..i32s });
    }
    for family in [Family::Rans64, Family::Rans32, Family::Rans32x16] {
        for lanes in [1, 2, 4, 32] {
            setups.push(Setup { family, lanes, symbols: "u8", index: "one", ..i32s });
            setups.push(Setup { family, lanes, precision: 15, ..i32s });
            setups.push(Setup { family, lanes, alphabet: 1024, ..i32s });
        }
        // Tables that do not pack, and alias tables.
        for lanes in [1, 4, 32] {
            let large = Setup { family, lanes, alphabet: 1024, offset: 40_000, ..i32s };
            setups.push(Setup { lookup: Lookup::Search, ..large });
            setups.push(Setup { lookup: Lookup::InverseCdf, ..large });
            setups.push(Setup { lookup: Lookup::Alias, ..large });
            for tables in [1, 64] {
                setups.push(Setup { family, lanes, tables, lookup: Lookup::Alias, ..i32s });
            }
        }
    }
    for precision in [11, 15] {
        setups.push(Setup { precision, symbols: "u8", index: "one", ..i32s });
    }
    for lanes in [1, 4, 32] {
        setups.push(Setup { family: Family::Rans64, precision: 18, lanes, ..i32s });
        setups.push(Setup { family: Family::Tans16, lanes, ..i32s });
        let small = Setup { tables: 64, alphabet: 64, precision: 7, lanes, ..i32s };
        setups.push(Setup { family: Family::Tans32, ..small });
    }
    setups
}

/// Discretised Gaussians, those of `parans bench`: standard deviations from 1 to 2^4.5, 8 for one
/// alone.
fn gaussians(tables: usize, alphabet: usize) -> Array2<f64> {
    Array2::from_shape_fn((tables, alphabet), |(table, symbol)| {
        let sigma =
            if tables == 1 { 8.0 } else { (4.5 * table as f64 / (tables - 1) as f64).exp2() };
        let x = (symbol as f64 - alphabet as f64 / 2.0) / sigma;
        (-0.5 * x * x).exp() + 1e-6
    })
}

/// The device, and what its last launch cost.
struct Counter {
    gpu: Gpu,
    last: Arc<Mutex<Option<(String, Report)>>>,
}

impl Counter {
    fn last(&self, setup: Setup, push: bool, symbols: usize) -> Count {
        let (kernel, report) = self.last.lock().unwrap().take().expect("a launch");
        let cost = report.per_symbol(symbols as u64);
        Count {
            setup,
            push,
            kernel,
            instructions: 32.0 * cost.warp_instructions,
            sectors: cost.global_sectors,
            wavefronts: cost.shared_wavefronts,
        }
    }

    fn count<S: NativeSymbol + PartialEq + TryFrom<i32>>(&self, setup: Setup) -> [Count; 2] {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(5);
        let (rows, columns) = size(setup.lanes);
        let pmf = gaussians(setup.tables, setup.alphabet);
        let tables = Tables::builder(Precision::new(setup.precision).unwrap())
            .sentinel(setup.bypass)
            .offsets(&vec![setup.offset; setup.tables])
            .pmf(pmf.view())
            .unwrap();
        let mut builder = Coder::builder(setup.family).lanes(setup.lanes).lookup(setup.lookup);
        if setup.bypass {
            builder = builder.bypass(Bypass::digits(4));
        }
        let coder = builder.gpu(&self.gpu).build(tables).unwrap();
        let coder = coder.on_gpu().unwrap();

        let mut indexes: Vec<i32> =
            (0..rows * columns).map(|_| rng.random_range(0..setup.tables as i32)).collect();
        if setup.index == "row" {
            for row in indexes.chunks_mut(columns) {
                row.fill(row[0]);
            }
        }
        let mut sums = pmf;
        for mut row in sums.rows_mut() {
            row.accumulate_axis_inplace(Axis(0), |before, sum| *sum += before);
        }
        let symbols: Vec<S> = indexes
            .iter()
            .map(|&table| {
                let sums = sums.row(table as usize);
                let sums = sums.as_slice().unwrap();
                let drawn = rng.random::<f64>() * sums[setup.alphabet - 1];
                let symbol = sums.partition_point(|sum| *sum <= drawn) as i32;
                let escapes = setup.bypass && rng.random_range(0..1000) == 0;
                let symbol = if escapes { setup.alphabet as i32 + symbol } else { symbol };
                S::try_from(setup.offset + symbol).ok().expect("a type that holds the alphabet")
            })
            .collect();

        let gpu = &self.gpu;
        let on_device = DeviceBuffer::from_slice(gpu, &symbols).unwrap();
        let bytes: Vec<u8> = indexes.iter().map(|&index| index as u8).collect();
        let of_rows: Vec<i32> = indexes.iter().copied().step_by(columns).collect();
        let bytes = DeviceBuffer::from_slice(gpu, &bytes).unwrap();
        let words = DeviceBuffer::from_slice(gpu, &indexes).unwrap();
        let of_rows = DeviceBuffer::from_slice(gpu, &of_rows).unwrap();
        let indexes = match setup.index {
            "each_i32" => DeviceIndexes::each(&words, rows).unwrap(),
            "each_u8" => DeviceIndexes::each(&bytes, rows).unwrap(),
            "row" => DeviceIndexes::per_row(&of_rows, columns),
            _ => DeviceIndexes::one(0, rows, columns),
        };
        let mut streams = coder.streams(rows, columns).unwrap();
        coder.push(&mut streams, &DeviceSymbols::of(&on_device, rows).unwrap(), &indexes).unwrap();
        let pushed = self.last(setup, true, symbols.len());
        let popped = DeviceBuffer::<S>::new(gpu, symbols.len()).unwrap();
        coder.pop(&mut streams, &DeviceSymbols::of(&popped, rows).unwrap(), &indexes).unwrap();
        let counts = [pushed, self.last(setup, false, symbols.len())];
        assert!(popped.to_vec().unwrap() == symbols, "{setup:?}: the round trip lost something");
        counts
    }
}

/// Counts a push and a pop of each setup, in their order.
pub fn count_all(mut each: impl FnMut(Count)) {
    let software = Software::new(DeviceModel::sm_90());
    let last = software.last.clone();
    let counter = Counter { gpu: Gpu::new(software), last };
    for setup in setups() {
        let counts = match setup.symbols {
            "u8" => counter.count::<u8>(setup),
            _ => counter.count::<i32>(setup),
        };
        counts.into_iter().for_each(&mut each);
    }
}

//! One suite, every back end: what each writes must be what the naive coder writes, byte for byte,
//! and what it reads back what was written.
//!
//! Tests are named `backend::family_xLANES`. A back end whose hardware is absent shows as ignored,
//! with the reason.

mod common;
#[path = "parity/models.rs"]
mod models;

use common::backends::{self, Backend};
use common::oracle::{Setup, Table};
use libtest_mimic::{Arguments, Failed, Trial};
use ndarray::Array2;
use parans::{Bypass, Coder, Error, Family, Indexes, Lookup, Precision, Streams, Symbols, Tables};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus as Random;
use std::sync::Arc;

/// A random partition of `2^precision` slots.
fn random_cdf(random: &mut Random, symbols: usize, precision: u32) -> Vec<u64> {
    let mut weights: Vec<f64> = (0..symbols).map(|_| random.random::<f64>()).collect();
    if random.random_bool(0.3) {
        // A few symbols with nearly everything.
        weights.iter_mut().for_each(|weight| *weight = weight.powi(12));
    }
    let spare = (1u64 << precision) - symbols as u64;
    let total: f64 = weights.iter().sum();
    let mut cdf = vec![0u64];
    for weight in &weights {
        let share = (weight / total * spare as f64) as u64;
        cdf.push(cdf[cdf.len() - 1] + 1 + share);
    }
    cdf[symbols] = 1 << precision;
    cdf
}

/// Symbols and indexes of a push, a row after another.
struct Push {
    columns: usize,
    symbols: Vec<i32>,
    indexes: Vec<i32>,
}

/// A random batch: how it is coded, and what is pushed.
struct Batch {
    setup: Setup,
    lookup: Lookup,
    rows: usize,
    pushes: Vec<Push>,
}

impl Batch {
    fn random(
        random: &mut Random,
        family: Family,
        lanes: usize,
        lookup: Lookup,
        bypass: bool,
    ) -> Self {
        let limit = family.max_precision().min(16);
        let precision = random.random_range(limit.min(7)..=limit);
        let tables = (0..*[1usize, 1, 3, 9].choose(random).unwrap())
            .map(|_| {
                let most = 1usize << precision.min(9);
                let symbols = if lookup == Lookup::Alias {
                    1 << random.random_range(1..=precision.min(8))
                } else {
                    random.random_range(2..most)
                };
                Table {
                    cdf: random_cdf(random, symbols, precision),
                    offset: random.random_range(-40..40),
                }
            })
            .collect();
        let setup = Setup {
            family,
            lanes,
            precision,
            bypass: bypass.then(|| random.random_range(1..=8)),
            alias: lookup == Lookup::Alias,
            tables,
        };
        let rows = *[0usize, 1, 2, 5, 17].choose(random).unwrap();
        let pushes = (0..random.random_range(1..=3))
            .map(|_| {
                let free = random.random_range(0..200);
                let columns = *[0, 1, lanes - 1, lanes, lanes + 1, free].choose(random).unwrap();
                setup.random_push(random, rows, columns)
            })
            .collect();
        Self { setup, lookup, rows, pushes }
    }

    fn tables(&self) -> Result<Tables, Error> {
        let width = self.setup.tables.iter().map(|table| table.cdf.len()).max().unwrap_or(0);
        let mut cdfs = Array2::zeros((self.setup.tables.len(), width));
        for (mut row, table) in cdfs.rows_mut().into_iter().zip(&self.setup.tables) {
            row.iter_mut().zip(&table.cdf).for_each(|(cell, &value)| *cell = value as i32);
        }
        let sizes: Vec<usize> = self.setup.tables.iter().map(|table| table.cdf.len()).collect();
        let offsets: Vec<i32> = self.setup.tables.iter().map(|table| table.offset as i32).collect();
        Tables::builder(Precision::new(self.setup.precision)?)
            .sizes(&sizes)
            .offsets(&offsets)
            .cdf(cdfs.view())
    }

    fn coder(&self, backend: &Backend) -> Result<Coder, Error> {
        let bypass = self.setup.bypass.map_or(Bypass::Off, Bypass::digits);
        let builder = Coder::builder(self.setup.family)
            .lanes(self.setup.lanes)
            .lookup(self.lookup)
            .bypass(bypass);
        backend.apply(builder).build(self.tables()?)
    }

    /// The byte strings that the naive coder writes.
    fn expected(&self) -> Vec<Vec<u8>> {
        (0..self.rows)
            .map(|row| {
                let pushes: Vec<_> = self
                    .pushes
                    .iter()
                    .map(|push| {
                        let at = row * push.columns..(row + 1) * push.columns;
                        let wide = |values: &[i32]| values.iter().map(|&v| i64::from(v)).collect();
                        (wide(&push.symbols[at.clone()]), wide(&push.indexes[at]))
                    })
                    .collect();
                self.setup.encode_row(&pushes)
            })
            .collect()
    }
}

impl Setup {
    fn random_push(&self, random: &mut Random, rows: usize, columns: usize) -> Push {
        let mut push = Push { columns, symbols: Vec::new(), indexes: Vec::new() };
        for _ in 0..rows * columns {
            let index = random.random_range(0..self.tables.len());
            let table = &self.tables[index];
            let symbols = table.cdf.len() as i64 - 1;
            let mut value = random.random_range(0..symbols);
            if self.bypass.is_some() && random.random_bool(0.1) {
                let reach = *[3i64, 1000, (1 << 30) - 600].choose(random).unwrap();
                value = random.random_range(-reach..symbols + reach);
            }
            push.symbols.push((value + table.offset) as i32);
            push.indexes.push(if random.random_bool(0.05) { -1 } else { index as i32 });
        }
        push
    }
}

/// Pushes and pops a batch on a back end, against the naive coder.
fn check(batch: &Batch, backend: &Backend) -> Result<(), Error> {
    let coder = batch.coder(backend)?;
    let expected = batch.expected();
    let context = || {
        format!(
            "{:?} rows {} columns {:?} lookup {:?}",
            (batch.setup.family, batch.setup.lanes, batch.setup.precision, batch.setup.bypass),
            batch.rows,
            batch.pushes.iter().map(|push| push.columns).collect::<Vec<_>>(),
            batch.lookup
        )
    };
    let mut streams = coder.streams(batch.rows).unwrap();
    for push in &batch.pushes {
        let symbols = shaped(&push.symbols, batch.rows, push.columns);
        let indexes = shaped(&push.indexes, batch.rows, push.columns);
        coder.push(&mut streams, &symbols, &indexes)?;
    }
    assert_eq!(streams.to_byte_strings(), expected, "pushed bytes: {}", context());
    let mut streams = Streams::from_byte_strings(batch.setup.family, batch.setup.lanes, &expected)?;
    for push in batch.pushes.iter().rev() {
        let indexes = shaped(&push.indexes, batch.rows, push.columns);
        let popped = coder.pop::<i32>(&mut streams, &indexes)?;
        for (at, &symbol) in popped.iter().enumerate() {
            let wanted = if push.indexes[at] < 0 { 0 } else { push.symbols[at] };
            assert_eq!(symbol, wanted, "symbol {at} popped: {}", context());
        }
    }
    streams.expect_initial()
}

fn shaped(values: &[i32], rows: usize, columns: usize) -> Array2<i32> {
    Array2::from_shape_vec((rows, columns), values.to_vec()).expect("rows * columns values")
}

/// Every lookup and bypass setting of a family and lane count, on random batches.
fn check_family(backend: &Backend, family: Family, lanes: usize) -> Result<(), Failed> {
    let seed = family.name().bytes().fold(lanes as u64, |seed, b| seed * 31 + u64::from(b));
    let mut random = Random::seed_from_u64(seed);
    let tans = family.name().starts_with("tans");
    let lookups: &[Lookup] =
        if tans { &[Lookup::Auto] } else { &[Lookup::Search, Lookup::InverseCdf, Lookup::Alias] };
    for &lookup in lookups {
        for bypass in [false, true] {
            for _ in 0..backend.rounds {
                let batch = Batch::random(&mut random, family, lanes, lookup, bypass);
                backend.run(|| check(&batch, backend)).map_err(|error| error.to_string())?;
            }
        }
    }
    Ok(())
}

/// Narrow symbols and every shape of indexes write what wide ones with an index a symbol write.
fn check_forms(backend: &Backend, family: Family, lanes: usize) -> Result<(), Failed> {
    let mut random = Random::seed_from_u64(7);
    let precision = family.max_precision().min(12);
    let table = Table { cdf: random_cdf(&mut random, 100, precision), offset: 3 };
    let other = Table { cdf: random_cdf(&mut random, 100, precision), offset: 3 };
    let batch = Batch {
        setup: Setup {
            family,
            lanes,
            precision,
            bypass: None,
            alias: false,
            tables: vec![table, other],
        },
        lookup: Lookup::Auto,
        rows: 5,
        pushes: vec![],
    };
    let (rows, columns) = (batch.rows, 3 * lanes + 2);
    let symbols: Vec<i32> = (0..rows * columns).map(|_| random.random_range(3..103)).collect();
    let per_row = [0, 1, 1, 0, 1];
    let per_column: Vec<i32> = (0..columns as i32).map(|i| i % 2).collect();
    backend
        .run(|| -> Result<(), Error> {
            let coder = batch.coder(backend)?;
            for form in 0..4 {
                let indexes = match form {
                    0 => Indexes::one(1, rows, columns),
                    1 => Indexes::per_row(&per_row, columns),
                    2 => Indexes::per_column(&per_column, rows),
                    _ => Indexes::one(0, rows, columns),
                };
                let each = Array2::from_shape_fn((rows, columns), |(row, column)| match form {
                    0 => 1,
                    1 => per_row[row],
                    2 => per_column[column],
                    _ => 0,
                });
                let plain = {
                    let mut streams = coder.streams(rows).unwrap();
                    coder.push(&mut streams, Symbols::from_slice(&symbols, rows)?, &each)?;
                    streams
                };
                let mut pushed = coder.streams(rows).unwrap();
                coder.push(&mut pushed, Symbols::from_slice(&symbols, rows)?, indexes.clone())?;
                assert!(pushed == plain, "indexes of form {form}");
                narrow::<u8>(&coder, &symbols, rows, &indexes, &plain)?;
                narrow::<u16>(&coder, &symbols, rows, &indexes, &plain)?;
                narrow::<i16>(&coder, &symbols, rows, &indexes, &plain)?;
                // Narrow indexes, and symbols that do not lie row by row.
                let narrow_indexes = each.mapv(|index| index as u8);
                let transposed =
                    shaped(&symbols, rows, columns).reversed_axes().as_standard_layout().to_owned();
                let mut pushed = coder.streams(rows).unwrap();
                coder.push(&mut pushed, transposed.t(), &narrow_indexes)?;
                assert!(pushed == plain, "narrow indexes, transposed symbols");
                assert_eq!(
                    coder.pop::<i32>(&mut pushed, &each.mapv(|index| index as u16))?,
                    shaped(&symbols, rows, columns)
                );
            }
            Ok(())
        })
        .map_err(|error| error.to_string().into())
}

fn narrow<S: parans::Symbol>(
    coder: &Coder,
    symbols: &[i32],
    rows: usize,
    indexes: &Indexes<'_>,
    plain: &Streams,
) -> Result<(), Error> {
    let narrow: Vec<S> = symbols.iter().map(|&s| S::from_i32(s).expect("small symbols")).collect();
    let mut streams = coder.streams(rows).unwrap();
    coder.push(&mut streams, Symbols::from_slice(&narrow, rows)?, indexes.clone())?;
    assert!(&streams == plain, "narrow symbols");
    let popped = coder.pop::<S>(&mut streams, indexes.clone())?;
    assert!(popped.iter().eq(narrow.iter()), "narrow symbols popped");
    Ok(())
}

/// Pushes that alternate between back ends, popped by the other one each time.
fn check_across(
    one: &Backend,
    other: &Backend,
    family: Family,
    lanes: usize,
) -> Result<(), Failed> {
    let mut random = Random::seed_from_u64(lanes as u64);
    let mut batch = Batch::random(&mut random, family, lanes, Lookup::Auto, true);
    batch.rows = 3;
    batch.pushes = (0..4).map(|_| batch.setup.random_push(&mut random, 3, 2 * lanes + 3)).collect();
    let run = |backend: &Backend, streams: &mut Streams, push: &Push, pop: bool| {
        let symbols = shaped(&push.symbols, 3, push.columns);
        let indexes = shaped(&push.indexes, 3, push.columns);
        let coder = batch.coder(backend)?;
        backend.run(|| {
            if pop {
                let popped = coder.pop::<i32>(streams, &indexes)?;
                let skipped = indexes.mapv(|index| i32::from(index >= 0));
                assert_eq!(popped, symbols * skipped);
                Ok(())
            } else {
                coder.push(streams, &symbols, &indexes)
            }
        })
    };
    let go = || -> Result<(), Error> {
        let mut streams = Streams::new(family, 3, lanes)?;
        for (turn, push) in batch.pushes.iter().enumerate() {
            run(if turn % 2 == 0 { one } else { other }, &mut streams, push, false)?;
        }
        assert_eq!(streams.to_byte_strings(), batch.expected());
        for (turn, push) in batch.pushes.iter().enumerate().rev() {
            run(if turn % 2 == 0 { other } else { one }, &mut streams, push, true)?;
        }
        streams.expect_initial()
    };
    go().map_err(|error| error.to_string().into())
}

/// Damaged rows give every back end's streams the same error, and leave them as they were.
fn check_errors(
    backend: &Backend,
    reference: &Backend,
    family: Family,
    lanes: usize,
) -> Result<(), Failed> {
    let mut random = Random::seed_from_u64(99 + lanes as u64);
    for round in 0..backend.rounds.max(4) {
        let mut batch = Batch::random(&mut random, family, lanes, Lookup::Auto, round % 2 == 0);
        batch.rows = 4;
        let mut push = batch.setup.random_push(&mut random, 4, 3 * lanes + 1);
        let indexes = shaped(&push.indexes, 4, push.columns);
        let coders =
            [reference, backend].map(|backend| Ok::<_, Error>((backend, batch.coder(backend)?)));
        let mut seen = Vec::new();
        // What cannot be pushed.
        let victim = random.random_range(0..push.symbols.len());
        push.indexes[victim] = [99, 0][round % 2].min(99);
        push.symbols[victim] = [i32::MAX, i32::MIN][round / 2 % 2];
        let bad_symbols = shaped(&push.symbols, 4, push.columns);
        let bad_indexes = shaped(&push.indexes, 4, push.columns);
        // What cannot be popped: a row cut short, and one with another state.
        let strings = batch.setup.encode_pushes(&push, &indexes, 4);
        for coder in coders {
            let (backend, coder) = coder.map_err(|error| error.to_string())?;
            let mut streams = coder.streams(4).unwrap();
            let fresh = streams.clone();
            let error = backend
                .run(|| coder.push(&mut streams, &bad_symbols, &bad_indexes))
                .expect_err("symbols that cannot be coded");
            assert!(streams == fresh, "streams changed by a failed push");
            let mut messages = vec![error.to_string()];
            for cut in [true, false] {
                let mut damaged = strings.clone();
                if cut {
                    let header = family.header_fields(lanes) * family.state_bytes();
                    damaged[2].truncate(header);
                } else {
                    damaged[1][..family.state_bytes()].fill(0xff);
                }
                let mut streams = Streams::from_byte_strings(family, lanes, &damaged)
                    .map_err(|error| error.to_string())?;
                let before = streams.clone();
                match backend.run(|| coder.pop::<i32>(&mut streams, &indexes)) {
                    Ok(symbols) => messages.push(format!("{symbols:?}")),
                    Err(error) => {
                        assert!(streams == before, "streams changed by a failed pop");
                        messages.push(error.to_string());
                    }
                }
            }
            seen.push(messages);
        }
        assert_eq!(seen[0], seen[1], "{} and {} differ", reference.name, backend.name);
    }
    Ok(())
}

impl Setup {
    /// The byte strings of a batch whose symbols in range are kept and whose others are replaced by
    /// the tables' first.
    fn encode_pushes(&self, push: &Push, indexes: &Array2<i32>, rows: usize) -> Vec<Vec<u8>> {
        (0..rows)
            .map(|row| {
                let range = row * push.columns..(row + 1) * push.columns;
                let indexes: Vec<i64> = indexes.row(row).iter().map(|&i| i64::from(i)).collect();
                let symbols = push.symbols[range]
                    .iter()
                    .zip(&indexes)
                    .map(|(&symbol, &index)| {
                        let table = &self.tables[index.max(0) as usize];
                        let value = i64::from(symbol) - table.offset;
                        let inside = value >= 0 && value < table.cdf.len() as i64 - 1;
                        if inside { i64::from(symbol) } else { table.offset }
                    })
                    .collect();
                self.encode_row(&[(symbols, indexes)])
            })
            .collect()
    }
}

/// Long rows and many of them, of every type of symbols and indexes, with tables that fit a block's
/// shared memory and tables that do not: the same bytes as the reference, and back. With
/// `PARANS_LONG` in the environment as large as tensors are, else small.
fn check_long(
    backend: &Backend,
    reference: &Backend,
    family: Family,
    lanes: usize,
) -> Result<(), Failed> {
    let long = std::env::var_os("PARANS_LONG").is_some_and(|value| !value.is_empty());
    let shapes: &[(usize, usize)] =
        if long { &[(8200, 1000), (3, 40_000), (700, 5003)] } else { &[(37, 70)] };
    let mut random = Random::seed_from_u64(31 + lanes as u64);
    for (turn, &(rows, columns)) in shapes.iter().enumerate() {
        for tables in [1, 3, if long { 250 } else { 40 }] {
            let precision = family.max_precision().min(if tables == 3 { 15 } else { 12 });
            let symbols = 200.min(1 << (precision - 1));
            let cdfs = (0..tables)
                .map(|_| Table { cdf: random_cdf(&mut random, symbols, precision), offset: 0 });
            let setup = Setup {
                family,
                lanes,
                precision,
                bypass: None,
                alias: false,
                tables: cdfs.collect(),
            };
            let push = setup.random_push(&mut random, rows, columns);
            let batch = Batch { setup, lookup: Lookup::Auto, rows, pushes: vec![] };
            let symbols = shaped(&push.symbols, rows, columns);
            let indexes = shaped(&push.indexes, rows, columns).mapv(|index| index.max(0));
            // A type of symbols with each type of indexes, in turn.
            macro_rules! check {
                ($symbol:ty, $index:ty) => {{
                    let symbols = symbols.mapv(|symbol| symbol as $symbol);
                    let indexes = indexes.mapv(|index| index as $index);
                    let encode = |backend: &Backend| -> Result<_, Error> {
                        let coder = batch.coder(backend)?;
                        let bytes = backend.run(|| coder.encode(&symbols, &indexes))?;
                        let back = backend.run(|| coder.decode::<$symbol>(&bytes, &indexes))?;
                        Ok((bytes, back))
                    };
                    let (bytes, back) = encode(backend).map_err(|error| error.to_string())?;
                    let (wanted, _) = encode(reference).map_err(|error| error.to_string())?;
                    let what = format!("{family} x{lanes}, {rows} x {columns}, {tables} tables");
                    assert!(bytes == wanted, "other bytes: {what}");
                    assert!(back == symbols, "other symbols: {what}");
                }};
            }
            match (turn + tables) % 4 {
                0 => check!(u8, i32),
                1 => check!(i32, u8),
                2 => check!(u16, u16),
                _ => check!(i16, i32),
            }
        }
    }
    Ok(())
}

fn main() {
    let arguments = Arguments::from_args();
    let backends: Vec<Arc<Backend>> = backends::all().into_iter().map(Arc::new).collect();
    let mut trials = Vec::new();
    for backend in &backends {
        for &family in Family::ALL {
            for &lanes in Family::LANES {
                let name = |test: &str| format!("{}::{family}_x{lanes}_{test}", backend.name);
                let mut trial =
                    |test: &str, run: Box<dyn FnOnce() -> Result<(), Failed> + Send>| {
                        trials.push(Trial::test(name(test), run));
                    };
                let (b, first) = (backend.clone(), backends[0].clone());
                trial("coding", Box::new(move || check_family(&b, family, lanes)));
                let b = backend.clone();
                trial("forms", Box::new(move || check_forms(&b, family, lanes)));
                let b = backend.clone();
                trial(
                    "across",
                    Box::new({
                        let first = first.clone();
                        move || check_across(&first, &b, family, lanes)
                    }),
                );
                let (b, f) = (backend.clone(), first.clone());
                trial("errors", Box::new(move || check_errors(&b, &f, family, lanes)));
                let (b, f) = (backend.clone(), first.clone());
                trial("long", Box::new(move || check_long(&b, &f, family, lanes)));
                if models::FAMILIES.contains(&family) {
                    let (b, f) = (backend.clone(), first.clone());
                    trial("models", Box::new(move || models::check_family(&b, &f, family, lanes)));
                    let b = backend.clone();
                    trial(
                        "model_errors",
                        Box::new(move || models::check_errors(&b, &first, family, lanes)),
                    );
                }
            }
        }
    }
    for (name, reason) in backends::absent() {
        let trial = Trial::test(name, || Ok(())).with_kind(reason).with_ignored_flag(true);
        trials.push(trial);
    }
    libtest_mimic::run(&arguments, trials).exit();
}

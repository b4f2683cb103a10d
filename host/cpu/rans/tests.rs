//! Every path against the scalar one: the same states, lengths, words, symbols and faults, on
//! random shapes with their edges, on symbols and indexes that cannot be coded, and on damaged
//! rows.

use std::ops::Range;

use parans_kernels::codec::{self, WordInt};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::{PathFamily, pop_at, push_at, scalar};
use crate::cpu::block::{DecodeBlock, EncodeBlock, Failed, Rows};
use crate::family::HostFamily;
use crate::plan::{Plan, RowPlan};
use crate::simd::Level;
use crate::symbols::{Indexes, NativeSymbol};
use crate::{Family, Lookup, Precision, Tables};

/// Rows in the form that blocks borrow.
#[derive(Clone)]
struct Batch<F: HostFamily> {
    states: Vec<F::State>,
    words: Vec<F::Word>,
    starts: Vec<usize>,
    lens: Vec<usize>,
}

impl<F: PathFamily> Batch<F> {
    fn initial(rows: usize, lanes: usize, capacity: usize) -> Self {
        let capacity = capacity.next_multiple_of(8);
        Self {
            states: vec![F::LOWER_BOUND; rows * lanes],
            words: vec![F::Word::default(); rows * capacity],
            starts: (0..=rows).map(|row| row * capacity).collect(),
            lens: vec![0; rows],
        }
    }

    /// The words in use of every row.
    fn in_use(&self) -> Vec<&[F::Word]> {
        let used = |(&start, &len): (&usize, &usize)| &self.words[start..start + len];
        self.starts.iter().zip(&self.lens).map(used).collect()
    }

    /// Pushes at a level, or through the codec alone.
    fn push<T: NativeSymbol>(
        &mut self,
        level: Option<Level>,
        plan: &Plan,
        symbols: &[T],
        columns: usize,
        indexes: &Indexes<'_>,
    ) -> Result<(), Failed> {
        let rows = Rows::<F> {
            first: 0,
            states: &mut self.states,
            words: &mut self.words,
            starts: &self.starts,
            lens: &mut self.lens,
        };
        let block = EncodeBlock { rows, symbols: T::erase(symbols), columns, source: indexes };
        match level {
            None => scalar::push(plan, block),
            Some(level) => push_at(level, plan, block),
        }
    }

    /// Pops likewise.
    fn pop<T: NativeSymbol>(
        &mut self,
        level: Option<Level>,
        plan: &Plan,
        symbols: &mut [T],
        columns: usize,
        indexes: &Indexes<'_>,
    ) -> Result<(), Failed> {
        let block = DecodeBlock::<F> {
            first: 0,
            states: &mut self.states,
            words: &self.words,
            starts: &self.starts,
            lens: &mut self.lens,
            symbols: T::erase_mut(symbols),
            columns,
            source: indexes,
        };
        match level {
            None => scalar::pop(plan, block),
            Some(level) => pop_at(level, plan, block),
        }
    }
}

/// A random case of a family, checked at every level.
fn check<F: PathFamily, T: NativeSymbol>(rng: &mut Xoshiro256PlusPlus, narrow: Range<i32>) {
    let lanes = [1, 2, 4, 8, 32, 32][rng.random_range(0..6)];
    let precision = rng.random_range(1..=16.min(F::MAX_PRECISION));
    let count = [1, 1, 2, 5, 30][rng.random_range(0..5)];
    let ragged = rng.random_bool(0.5);
    let bypass = (rng.random_bool(0.5)).then(|| rng.random_range(1..=8));
    let largest = (1usize << precision).min([2, 5, 17, 256, 257, 600][rng.random_range(0..6)]);
    let least = if bypass.is_some() { 2 } else { 1 };
    let mut frequencies = Vec::new();
    let mut offsets = Vec::new();
    for _ in 0..count {
        let alphabet =
            if ragged { rng.random_range(least.min(largest)..=largest) } else { largest };
        let skew = rng.random_range(0.0..3.0f64);
        let weights: Vec<u64> = (0..alphabet)
            .map(|_| (rng.random_range(0.0f64..1.0).powf(1.0 + 8.0 * skew) * 1e6) as u64 + 1)
            .collect();
        let of_row = ndarray::Array2::from_shape_vec((1, alphabet), weights).unwrap();
        let one =
            Tables::builder(Precision::new(precision).unwrap()).counts(of_row.view()).unwrap();
        frequencies.push(one.frequencies(0).collect::<Vec<_>>());
        // Some so far apart that no 16 bits hold the symbols of all tables.
        let far = narrow.contains(&90_000) && rng.random_bool(0.1);
        let offset = if far { -90_000..90_000 } else { -5..20 };
        offsets.push(if ragged { rng.random_range(offset) } else { 0 });
    }
    let tables =
        Tables::from_frequencies(&frequencies, Some(&offsets), Precision::new(precision).unwrap())
            .unwrap();
    let bypass = bypass.and_then(codec::BypassCode::new);
    // Those that alias tables can have.
    let powers = frequencies.iter().all(|of_table| of_table.len().is_power_of_two());
    let plan = Plan {
        rows: RowPlan { family: F::FAMILY, lanes, precision: tables.precision(), bypass },
        lookup: if powers && rng.random_bool(0.7) {
            Lookup::Alias
        } else if largest <= 1 << 16 && rng.random_bool(0.5) {
            Lookup::InverseCdf
        } else {
            Lookup::Search
        },
        skip_past_end: rng.random_bool(0.3),
        tables,
    };

    let rows = [1, 2, 3, 7, 8, 9, 15, 16, 17, 33, 40, 64, 70][rng.random_range(0..13)];
    // Of 32 lanes, from a step to several tiles.
    let longest = if lanes == 32 { 2500 } else { 300 };
    let columns = [0, 1, lanes - 1, lanes, lanes + 1, 15, 16, 17, 31, 32, 33, 65, 130, longest]
        [rng.random_range(0..14)];
    // Mostly codable, or the cases would all be errors.
    let irregular = [0.0, 0.0, 0.001, 0.05][rng.random_range(0..4)];
    let wrong = if rng.random_bool(0.2) { 0.002 } else { 0.0 };
    let index = |rng: &mut Xoshiro256PlusPlus, least: i32| -> i32 {
        if rng.random_bool(wrong) {
            count + 3
        } else if rng.random_bool(irregular) {
            least.min(rng.random_range(-9..0))
        } else {
            rng.random_range(0..count)
        }
    };
    let each: Vec<i32> = (0..rows * columns).map(|_| index(rng, i32::MAX)).collect();
    let of_rows: Vec<i32> = (0..rows).map(|_| index(rng, i32::MAX)).collect();
    let of_columns: Vec<i32> = (0..columns).map(|_| index(rng, i32::MAX)).collect();
    let unsigned: Vec<i32> = each.iter().map(|&index| index.max(0)).collect();
    let shape = (rows, columns);
    let bytes = ndarray::Array2::from_shape_vec(shape, unsigned.iter().map(|&i| i as u8).collect())
        .unwrap();
    let words =
        ndarray::Array2::from_shape_vec(shape, unsigned.iter().map(|&i| i as u16).collect())
            .unwrap();
    let indexes = match rng.random_range(0..6) {
        0 => Indexes::one(index(rng, i32::MAX), rows, columns),
        1 => Indexes::per_row(&of_rows, columns),
        2 => Indexes::per_column(&of_columns, rows),
        3 => Indexes::from(bytes.view()),
        4 => Indexes::from(words.view()),
        _ => Indexes::each(&each, rows).unwrap(),
    };
    let symbol_of = |rng: &mut Xoshiro256PlusPlus, row: usize, column: usize| -> T {
        let table = indexes.row(row).at(column);
        let symbol = match frequencies.get(table as usize) {
            _ if rng.random_bool(irregular) => rng.random_range(narrow.clone()),
            Some(freqs) => {
                let in_table = freqs.len() - usize::from(bypass.is_some() && freqs.len() > 1);
                offsets[table as usize] + rng.random_range(0..in_table) as i32
            }
            None => 0,
        };
        T::from_i32(symbol.clamp(narrow.start, narrow.end - 1)).unwrap()
    };
    let symbols: Vec<T> =
        (0..rows * columns).map(|i| symbol_of(rng, i / columns, i % columns)).collect();
    let capacity = if rng.random_bool(0.1) { columns / 4 } else { columns * 24 + 64 };

    let initial = Batch::<F>::initial(rows, lanes, capacity);
    let mut oracle = initial.clone();
    let pushed = oracle.push(None, &plan, &symbols, columns, &indexes);
    // A second push on top, so that rows do not begin empty.
    let pushed = pushed.and_then(|()| oracle.push(None, &plan, &symbols, columns, &indexes));
    for level in Level::available() {
        let what = format!("{plan:?} {rows}x{columns} at {level:?}");
        let mut batch = initial.clone();
        let again = batch
            .push(Some(level), &plan, &symbols, columns, &indexes)
            .and_then(|()| batch.push(Some(level), &plan, &symbols, columns, &indexes));
        assert_eq!(again, pushed, "push: {what}");
        if pushed.is_ok() {
            assert_eq!(batch.states, oracle.states, "push: {what}");
            assert_eq!(batch.lens, oracle.lens, "push: {what}");
            assert_eq!(batch.in_use(), oracle.in_use(), "push: {what}");
        }
    }
    if pushed.is_err() {
        return;
    }
    // What was pushed; then the same damaged.
    for damaged in [false, true] {
        let mut batch = oracle.clone();
        if damaged {
            for _ in 0..rng.random_range(1..3) {
                let row = rng.random_range(0..rows);
                match rng.random_range(0..3) {
                    0 => batch.lens[row] = rng.random_range(0..=batch.lens[row]),
                    1 => batch.states[row * lanes] = codec::StateInt::from_u64(rng.random()),
                    _ if batch.lens[row] > 0 => {
                        let at = batch.starts[row] + rng.random_range(0..batch.lens[row]);
                        batch.words[at] = WordInt::from_low(rng.random());
                    }
                    _ => {}
                }
            }
        }
        let mut expected = vec![T::zeroed(); rows * columns];
        let mut oracle = batch.clone();
        let popped = oracle.pop(None, &plan, &mut expected, columns, &indexes);
        for level in Level::available() {
            let what = format!("{plan:?} {rows}x{columns} at {level:?}, damaged: {damaged}");
            let mut batch = batch.clone();
            let mut got = vec![T::zeroed(); rows * columns];
            let again = batch.pop(Some(level), &plan, &mut got, columns, &indexes);
            assert_eq!(again, popped, "pop: {what}");
            if popped.is_ok() {
                assert_eq!(got, expected, "pop: {what}");
                assert_eq!(batch.states, oracle.states, "pop: {what}");
                assert_eq!(batch.lens, oracle.lens, "pop: {what}");
            }
        }
    }
}

/// How many random cases each family and symbol type gets.
const CASES: u64 = 150;

fn check_all<F: PathFamily>() {
    for seed in 0..CASES {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        check::<F, i32>(&mut rng, -100_000..100_000);
        check::<F, i16>(&mut rng, -700..700);
        check::<F, u16>(&mut rng, 0..2000);
        check::<F, u8>(&mut rng, 0..256);
    }
}

#[test]
fn rans64_paths_equal_the_scalar_one() {
    check_all::<codec::Rans64>();
}

#[test]
fn rans32_paths_equal_the_scalar_one() {
    check_all::<codec::Rans32>();
}

#[test]
fn rans32x16_paths_equal_the_scalar_one() {
    check_all::<codec::Rans32x16>();
}

/// A block of 33 rows has a vector without one: whatever stands in its elements must never be taken
/// for tables, least of all where it looks like some.
#[test]
fn vectors_without_a_row_skip_every_symbol() {
    const ROWS: usize = 33;
    const COLUMNS: usize = 300;
    const COUNT: usize = 30;
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(0);
    for _ in 0..20 {
        let weight = |rng: &mut Xoshiro256PlusPlus| {
            (rng.random_range(0.0f64..1.0).powf(12.0) * 1e6) as u64 + 1
        };
        let weights: Vec<u64> = (0..COUNT * 256).map(|_| weight(&mut rng)).collect();
        let weights = ndarray::Array2::from_shape_vec((COUNT, 256), weights).unwrap();
        let precision = Precision::new(16).unwrap();
        let quantised = Tables::builder(precision).counts(weights.view()).unwrap();
        let frequencies: Vec<Vec<u32>> =
            (0..COUNT).map(|table| quantised.frequencies(table).collect()).collect();
        // Shifted by the bits of a bucket, these are numbers of tables.
        let tables =
            Tables::from_frequencies(&frequencies, Some(&[1 << 24; COUNT]), precision).unwrap();
        let plan = Plan {
            rows: RowPlan {
                family: Family::Rans64,
                lanes: 1,
                precision: tables.precision(),
                bypass: None,
            },
            lookup: Lookup::InverseCdf,
            skip_past_end: false,
            tables,
        };
        let each: Vec<i32> =
            (0..ROWS * COLUMNS).map(|_| rng.random_range(0..COUNT as i32)).collect();
        let indexes = Indexes::each(&each, ROWS).unwrap();
        let symbols: Vec<i32> =
            (0..ROWS * COLUMNS).map(|_| rng.random_range(1 << 24..(1 << 24) + 256)).collect();
        let mut pushed = Batch::<codec::Rans64>::initial(ROWS, 1, 2 * COLUMNS);
        pushed.push(None, &plan, &symbols, COLUMNS, &indexes).unwrap();
        for level in Level::available() {
            let mut popped = vec![0; ROWS * COLUMNS];
            pushed.clone().pop(Some(level), &plan, &mut popped, COLUMNS, &indexes).unwrap();
            assert_eq!(popped, symbols, "{level:?}");
        }
    }
}

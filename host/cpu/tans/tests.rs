//! The paths over rows against the codec: the same fields, lengths, words and symbols, whatever the
//! lanes, the precision and the tables, on rows and columns that fill no block or window, on
//! skipped symbols, on those outside their table, and on damaged rows. Where one path fails, so do
//! the others, alike.

use std::ops::Range;

use parans_kernels::codec::{
    RowIndexes, TansRow, WordInt, WordReader, WordWriter, pop_tans_row, push_tans_row,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::*;
use crate::cpu::block::Rows;
use crate::plan::RowPlan;
use crate::symbols::{Indexes, NativeSymbol};
use crate::{Lookup, Precision, Tables};

/// Rows in the form that blocks borrow.
#[derive(Clone)]
struct Batch<T: Coded> {
    fields: Vec<u32>,
    words: Vec<T::Unit>,
    starts: Vec<usize>,
    lens: Vec<usize>,
}

impl<T: Coded> Batch<T>
where
    T::Unit: WordInt,
{
    fn initial(rows: usize, lanes: usize, capacity: usize) -> Self {
        Self {
            fields: vec![0; rows * T::FAMILY.header_fields(lanes)],
            words: vec![T::Unit::default(); rows * capacity],
            starts: (0..=rows).map(|row| row * capacity).collect(),
            lens: vec![0; rows],
        }
    }

    /// The words in use of every row.
    fn in_use(&self) -> Vec<&[T::Unit]> {
        let used = |(&start, &len): (&usize, &usize)| &self.words[start..start + len];
        self.starts.iter().zip(&self.lens).map(used).collect()
    }

    fn push<S: NativeSymbol>(&mut self, level: Level, case: &Case<S>) -> Result<(), Failed> {
        let rows = Rows::<T> {
            first: 0,
            states: &mut self.fields,
            words: &mut self.words,
            starts: &self.starts,
            lens: &mut self.lens,
        };
        let (columns, indexes) = (case.columns, &case.indexes());
        let block =
            EncodeBlock { rows, symbols: S::erase(&case.symbols), columns, source: indexes };
        push_at(level, &case.plan, block)
    }

    fn pop<S: NativeSymbol>(
        &mut self,
        level: Level,
        case: &Case<S>,
        symbols: &mut [S],
    ) -> Result<(), Failed> {
        let block = DecodeBlock::<T> {
            first: 0,
            states: &mut self.fields,
            words: &self.words,
            starts: &self.starts,
            lens: &mut self.lens,
            symbols: S::erase_mut(symbols),
            columns: case.columns,
            source: &case.indexes(),
        };
        pop_at(level, &case.plan, block)
    }

    /// Row by row through the codec; `None` where a row fails.
    fn push_codec<S: NativeSymbol, const LANES: usize>(&mut self, case: &Case<S>) -> Option<()> {
        let prepared = case.plan.tables.prepared();
        let form = prepared.tans().unwrap();
        let tables = tables_view(&case.plan);
        let view = TansEncoderView { tables, entries: &form.encoder, next: &form.next };
        for (row, fields) in self.fields.chunks_mut(LANES + 2).enumerate() {
            let own = row * case.columns..(row + 1) * case.columns;
            let symbols: Vec<i32> = case.symbols[own.clone()].iter().map(|&s| s.into()).collect();
            let mut state = TansRow::<LANES>::load::<T::Codec>(fields, tables.precision).ok()?;
            let words = &mut self.words[self.starts[row]..self.starts[row + 1]];
            let mut words = WordWriter::new(words, self.lens[row]);
            let indexes = RowIndexes::Each(&case.index[own]);
            push_tans_row::<T::Codec, LANES>(&view, &mut state, &mut words, &symbols, indexes)
                .ok()?;
            self.lens[row] = words.len();
            state.store(fields);
        }
        Some(())
    }

    fn pop_codec<S: NativeSymbol, const LANES: usize>(
        &mut self,
        case: &Case<S>,
    ) -> Option<Vec<i32>> {
        let prepared = case.plan.tables.prepared();
        let tables = tables_view(&case.plan);
        let view = TansDecoderView { tables, entries: &prepared.tans().unwrap().decoder };
        let mut symbols = vec![0; case.symbols.len()];
        for (row, fields) in self.fields.chunks_mut(LANES + 2).enumerate() {
            let own = row * case.columns..(row + 1) * case.columns;
            let mut state = TansRow::<LANES>::load::<T::Codec>(fields, tables.precision).ok()?;
            let start = self.starts[row];
            let mut words = WordReader::new(&self.words[start..start + self.lens[row]]);
            let (out, indexes) = (&mut symbols[own.clone()], RowIndexes::Each(&case.index[own]));
            pop_tans_row::<T::Codec, LANES>(&view, &mut state, &mut words, out, indexes).ok()?;
            self.lens[row] = words.len();
            state.store(fields);
        }
        Some(symbols)
    }
}

/// What is coded.
struct Case<S> {
    plan: Plan,
    rows: usize,
    columns: usize,
    symbols: Vec<S>,
    index: Vec<i32>,
    /// Given as an index for all.
    one: bool,
    bytes: Option<ndarray::Array2<u8>>,
}

impl<S> Case<S> {
    fn indexes(&self) -> Indexes<'_> {
        match &self.bytes {
            Some(bytes) => Indexes::from(bytes.view()),
            None if self.one => Indexes::one(self.index[0], self.rows, self.columns),
            None => Indexes::each(&self.index, self.rows).unwrap(),
        }
    }
}

fn case<T: Coded, S: NativeSymbol>(rng: &mut Xoshiro256PlusPlus, narrow: Range<i32>) -> Case<S> {
    let lanes = [1, 2, 4, 8, 32][rng.random_range(0..5)];
    let precision = rng.random_range(2..=T::Codec::MAX_PRECISION);
    let precision = if precision == 3 { 12.min(T::Codec::MAX_PRECISION) } else { precision };
    let count = [1, 1, 2, 5, 30][rng.random_range(0..5)];
    let ragged = rng.random_bool(0.5);
    let bypass = rng.random_bool(0.5).then(|| rng.random_range(1..=8));
    let largest = (1usize << precision).min([2, 5, 17, 256, 257, 600][rng.random_range(0..6)]);
    let least = if bypass.is_some() { 2 } else { 1 };
    let builder = || Tables::builder(Precision::new(precision).unwrap());
    let mut frequencies = Vec::new();
    let mut offsets = Vec::new();
    for _ in 0..count {
        let alphabet = if ragged { rng.random_range(least..=largest) } else { largest };
        let skew = rng.random_range(0.0..3.0f64);
        let weights: Vec<u64> = (0..alphabet)
            .map(|_| (rng.random_range(0.0f64..1.0).powf(1.0 + 8.0 * skew) * 1e6) as u64 + 1)
            .collect();
        let counts = ndarray::Array2::from_shape_vec((1, alphabet), weights).unwrap();
        let one = builder().counts(counts.view()).unwrap();
        frequencies.push(one.frequencies(0).collect::<Vec<_>>());
        offsets.push(if ragged { rng.random_range(-5..20) } else { 0 });
    }
    let precision = Precision::new(precision).unwrap();
    let plan = Plan {
        rows: RowPlan {
            family: T::FAMILY,
            lanes,
            precision,
            bypass: bypass.and_then(codec::BypassCode::new),
        },
        lookup: Lookup::Search,
        skip_past_end: rng.random_bool(0.3),
        tables: Tables::from_frequencies(&frequencies, Some(&offsets), precision).unwrap(),
    };
    let rows = [1, 8, 11, 12, 16, 17, 33, 40, 64, 70][rng.random_range(0..10)];
    let columns = [1, 3, 4, 31, 63, 64, 65, 130, 200, 300][rng.random_range(0..10)];
    // Mostly codable, or the cases would all be errors.
    let irregular = [0.0, 0.0, 0.001, 0.05][rng.random_range(0..4)];
    let wrong = if rng.random_bool(0.1) { 0.002 } else { 0.0 };
    let one = rng.random_bool(0.2);
    let as_bytes = !one && rng.random_bool(0.2);
    let first = rng.random_range(0..count);
    let index: Vec<i32> = (0..rows * columns)
        .map(|_| {
            if one {
                first
            } else if rng.random_bool(wrong) {
                count + 3
            } else if rng.random_bool(irregular) && !as_bytes {
                rng.random_range(-9..0)
            } else {
                rng.random_range(0..count)
            }
        })
        .collect();
    let symbols = index
        .iter()
        .map(|&table| {
            let symbol = match frequencies.get(table as usize) {
                _ if rng.random_bool(irregular) => rng.random_range(narrow.clone()),
                Some(freqs) => {
                    let in_table = freqs.len() - usize::from(bypass.is_some() && freqs.len() > 1);
                    offsets[table as usize] + rng.random_range(0..in_table) as i32
                }
                None => rng.random_range(narrow.clone()),
            };
            S::from_i32(symbol.clamp(narrow.start, narrow.end - 1)).unwrap()
        })
        .collect();
    let bytes = as_bytes.then(|| {
        let bytes = index.iter().map(|&index| index as u8).collect();
        ndarray::Array2::from_shape_vec((rows, columns), bytes).unwrap()
    });
    Case { plan, rows, columns, symbols, index, one, bytes }
}

fn check<T: Coded + Clone, S: NativeSymbol>(rng: &mut Xoshiro256PlusPlus, narrow: Range<i32>)
where
    T::Unit: WordInt,
{
    let case = case::<T, S>(rng, narrow);
    let lanes = case.plan.lanes;
    let capacity = if rng.random_bool(0.1) { case.columns / 4 } else { case.columns * 24 + 64 };
    let initial = Batch::<T>::initial(case.rows, lanes, capacity);
    // A second push on top, so that rows do not begin empty.
    let mut oracle = initial.clone();
    let pushed = oracle.push(Level::Scalar, &case);
    let pushed = pushed.and_then(|()| oracle.push(Level::Scalar, &case));
    let mut codec = initial.clone();
    let by_codec = with_lanes!(lanes, LANES => {
        codec.push_codec::<S, LANES>(&case).and_then(|()| codec.push_codec::<S, LANES>(&case))
    });
    assert_eq!(by_codec.is_some(), pushed.is_ok(), "{:?}", case.plan);
    for level in Level::available() {
        let what = format!("{:?} {}x{} at {level:?}", case.plan, case.rows, case.columns);
        let mut batch = initial.clone();
        let again = batch.push(level, &case).and_then(|()| batch.push(level, &case));
        assert_eq!(again, pushed, "push: {what}");
        if pushed.is_ok() {
            assert_eq!(batch.fields, codec.fields, "push: {what}");
            assert_eq!(batch.lens, codec.lens, "push: {what}");
            assert_eq!(batch.in_use(), codec.in_use(), "push: {what}");
        }
    }
    if pushed.is_err() {
        return;
    }
    // What was pushed; then the same damaged.
    for damaged in [false, true] {
        let mut batch = oracle.clone();
        if damaged {
            let fields = T::FAMILY.header_fields(lanes);
            for _ in 0..rng.random_range(1..3) {
                let row = rng.random_range(0..case.rows);
                match rng.random_range(0..4) {
                    0 => batch.lens[row] = rng.random_range(0..=batch.lens[row]),
                    1 => batch.fields[row * fields] = rng.random(),
                    2 => batch.fields[(row + 1) * fields - 1] = rng.random_range(0..20),
                    _ if batch.lens[row] > 0 => {
                        let at = batch.starts[row] + rng.random_range(0..batch.lens[row]);
                        batch.words[at] = WordInt::from_low(rng.random());
                    }
                    _ => {}
                }
            }
        }
        let mut expected = vec![S::zeroed(); case.symbols.len()];
        let mut oracle = batch.clone();
        let popped = oracle.pop(Level::Scalar, &case, &mut expected);
        let mut codec = batch.clone();
        let by_codec = with_lanes!(lanes, LANES => codec.pop_codec::<S, LANES>(&case));
        for level in Level::available() {
            let what = format!("{:?} {}x{}, {level:?}", case.plan, case.rows, case.columns);
            let mut batch = batch.clone();
            let mut got = vec![S::zeroed(); case.symbols.len()];
            let again = batch.pop(level, &case, &mut got);
            assert_eq!(again, popped, "pop, damaged {damaged}: {what}");
            if popped.is_ok() {
                let got: Vec<i32> = got.iter().map(|&symbol| symbol.into()).collect();
                assert_eq!(Some(&got), by_codec.as_ref(), "pop, damaged {damaged}: {what}");
                assert_eq!(batch.fields, codec.fields, "pop, damaged {damaged}: {what}");
                assert_eq!(batch.lens, codec.lens, "pop, damaged {damaged}: {what}");
            }
        }
    }
}

/// How many random cases each family and symbol type gets.
const CASES: u64 = 150;

fn check_all<T: Coded + Clone>()
where
    T::Unit: WordInt,
{
    for seed in 0..CASES {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        check::<T, i32>(&mut rng, -100_000..100_000);
        check::<T, i16>(&mut rng, -700..700);
        check::<T, u16>(&mut rng, 0..2000);
        check::<T, u8>(&mut rng, 0..256);
    }
}

#[test]
fn tans32_paths_equal_the_codec() {
    check_all::<codec::Tans32>();
}

#[test]
fn tans16_paths_equal_the_codec() {
    check_all::<codec::Tans16>();
}

#[test]
fn tans8_paths_equal_the_codec() {
    check_all::<codec::Tans8>();
}

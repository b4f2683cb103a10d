//! tANS streams against a naive coder that holds a row's bits one by one, and against damage.

use ndarray::Array2;
use parans::{Bypass, Coder, Error, Family, Indexes, Precision, RowCause, Streams, Tables};
use proptest::prelude::*;

const FAMILIES: [Family; 3] = [Family::Tans32, Family::Tans16, Family::Tans8];

/// One table's states as the format's text has them: who is where, and each symbol's states in
/// order.
struct Spread {
    places: Vec<Vec<usize>>,
    freqs: Vec<usize>,
}

impl Spread {
    fn new(freqs: &[u32], precision: u32) -> Self {
        let states = 1usize << precision;
        let mut symbol_of = vec![0; states];
        let mut at = 0;
        for (symbol, &freq) in freqs.iter().enumerate() {
            for _ in 0..freq {
                symbol_of[at] = symbol;
                at = (at + states / 2 + states / 8 + 3) % states;
            }
        }
        let mut places = vec![Vec::new(); freqs.len()];
        for (state, &symbol) in symbol_of.iter().enumerate() {
            places[symbol].push(states + state);
        }
        Self { places, freqs: freqs.iter().map(|&f| f as usize).collect() }
    }
}

/// A row: the oldest bit first.
#[derive(Clone)]
struct Naive {
    states: Vec<usize>,
    bits: Vec<bool>,
}

impl Naive {
    fn append(&mut self, value: usize, count: usize) {
        self.bits.extend((0..count).map(|k| value >> k & 1 == 1));
    }

    fn push(&mut self, spread: &Spread, lane: usize, number: usize) {
        // Halve the state until it is one of freq..2 freq.
        let (freq, mut count) = (spread.freqs[number], 0);
        while self.states[lane] >> count >= 2 * freq {
            count += 1;
        }
        let x = self.states[lane];
        self.append(x & ((1 << count) - 1), count);
        self.states[lane] = spread.places[number][(x >> count) - freq];
    }

    fn digits(&mut self, raw: usize, width: usize) {
        let full = (1 << width) - 1;
        let count = (0..).find(|n| raw >> (n * width) == 0).unwrap();
        (0..count).rev().for_each(|k| self.append(raw >> (k * width) & full, width));
        self.append(count % full, width);
        (0..count / full).for_each(|_| self.append(full, width));
    }

    fn to_bytes(&self, word_bits: usize) -> Vec<u8> {
        let mut fields: Vec<u32> = self.states.iter().map(|&x| x as u32).collect();
        let (words, left) = self.bits.split_at(self.bits.len() / word_bits * word_bits);
        fields.push(left.iter().rev().fold(0, |value, &bit| value << 1 | u32::from(bit)));
        fields.push(left.len() as u32);
        let mut bytes: Vec<u8> = fields.iter().flat_map(|field| field.to_le_bytes()).collect();
        bytes.extend(
            words
                .chunks(8)
                .map(|byte| byte.iter().rev().fold(0u8, |value, &bit| value << 1 | u8::from(bit))),
        );
        bytes
    }
}

#[derive(Clone, Debug)]
struct Case {
    family: Family,
    lanes: usize,
    tables: Tables,
    bypass: Option<u32>,
    /// (rows, columns) symbols and indexes a push.
    pushes: Vec<(Array2<i32>, Array2<i32>)>,
}

fn case() -> impl Strategy<Value = Case> {
    let sizes = (0usize..3, prop::sample::select(vec![1usize, 2, 4, 8, 32]), 4u32..=15, 1usize..4);
    // Some rows of several stretches.
    let columns = prop_oneof![3 => 0usize..90, 1 => 250usize..600];
    let shape = (1usize..20, prop::collection::vec(columns, 1..3));
    (sizes, shape, prop::option::of(1u32..=8), any::<u64>()).prop_map(
        |((family, lanes, precision, count), (rows, columns), bypass, seed)| {
            let family = FAMILIES[family];
            let precision = precision.min(family.max_precision());
            let mut x = seed | 1;
            let mut next = move |n: usize| {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                (x >> 11) as usize % n
            };
            let widest = if next(3) == 0 { 14 } else { 3 };
            let alphabet = 1 + next(widest);
            let alphabet = alphabet.max(if bypass.is_some() { 2 } else { 1 });
            let counts = Array2::from_shape_fn((count, alphabet), |_| match next(4) {
                0 => 1,
                1 => next(1 << 20) as u64 + 1,
                _ => next(30) as u64 + 1,
            });
            let offsets: Vec<i32> = (0..count).map(|_| next(50) as i32 - 25).collect();
            let builder = Tables::builder(precision).offsets(&offsets).sentinel_is_last();
            let tables = builder.counts(&counts).unwrap();
            let own = alphabet - usize::from(bypass.is_some());
            let pushes = columns
                .into_iter()
                .map(|columns| {
                    let indexes = Array2::from_shape_fn((rows, columns), |_| {
                        if next(9) == 0 { -1 } else { next(count) as i32 }
                    });
                    let symbols = indexes.mapv(|index| {
                        if index < 0 {
                            return 0;
                        }
                        let outside = bypass.is_some() && next(12) == 0;
                        let value = match (outside, next(6)) {
                            (false, _) => next(own) as i32,
                            (true, 0) => next(1 << 29) as i32 - (1 << 28),
                            (true, _) => next(300) as i32 - 150,
                        };
                        value + offsets[index as usize]
                    });
                    (symbols, indexes)
                })
                .collect();
            Case { family, lanes, tables, bypass, pushes }
        },
    )
}

impl Case {
    fn coder(&self) -> Coder {
        let bypass = self.bypass.map_or(Bypass::Off, Bypass::digits);
        let builder = Coder::builder(self.family).lanes(self.lanes).bypass(bypass);
        builder.build(self.tables.clone()).unwrap()
    }

    fn oracle(&self, row: usize) -> Vec<u8> {
        let precision = self.tables.precision().bits();
        let spreads: Vec<Spread> = (0..self.tables.len())
            .map(|t| Spread::new(&self.tables.frequencies(t).collect::<Vec<_>>(), precision))
            .collect();
        let mut naive = Naive { states: vec![1 << precision; self.lanes], bits: Vec::new() };
        for (symbols, indexes) in &self.pushes {
            for i in (0..symbols.ncols()).rev() {
                let index = indexes[(row, i)];
                if index < 0 {
                    continue;
                }
                let index = index as usize;
                let value = i64::from(symbols[(row, i)]) - i64::from(self.tables.offset(index));
                let max = self.tables.alphabet(index) as i64 - 1;
                let number = match self.bypass {
                    Some(width) if value < 0 || value >= max => {
                        let raw = if value < 0 { -2 * value - 1 } else { 2 * (value - max) };
                        naive.digits(raw as usize, width as usize);
                        max as usize
                    }
                    _ => value as usize,
                };
                naive.push(&spreads[index], i % self.lanes, number);
            }
        }
        naive.to_bytes(8 * self.family.word_bytes())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn rows_are_those_of_the_naive_coder(case in case()) {
        let coder = case.coder();
        let rows = case.pushes[0].0.nrows();
        let mut streams = coder.streams(rows).unwrap();
        for (symbols, indexes) in &case.pushes {
            coder.push(&mut streams, symbols, indexes).unwrap();
        }
        for row in 0..rows {
            prop_assert_eq!(streams.to_byte_string(row), case.oracle(row), "row {}", row);
        }
        let strings = streams.to_byte_strings();
        let mut streams = Streams::from_byte_strings(case.family, case.lanes, &strings).unwrap();
        for (symbols, indexes) in case.pushes.iter().rev() {
            prop_assert_eq!(&coder.pop::<i32>(&mut streams, indexes).unwrap(), symbols);
        }
        streams.expect_initial().unwrap();
    }

    /// Whatever the bytes, there is an answer: an error or symbols, and never a panic.
    #[test]
    fn damaged_rows_are_answered(case in case(), at in any::<prop::sample::Index>(), flip in 1u8..) {
        let coder = case.coder();
        let (symbols, indexes) = &case.pushes[0];
        let mut streams = coder.streams(symbols.nrows()).unwrap();
        coder.push(&mut streams, symbols, indexes).unwrap();
        let mut strings = streams.to_byte_strings();
        let whole = strings[0].clone();
        let at = at.index(whole.len());
        strings[0][at] ^= flip;
        if let Ok(mut damaged) = Streams::from_byte_strings(case.family, case.lanes, &strings) {
            let popped = coder.pop::<i32>(&mut damaged, indexes);
            // One flipped byte that is read is noticed: by the states or the bits, or in the
            // symbols. But a state of 0 is another way to write 2^p, the state before any symbol.
            let field = strings[0][at / 4 * 4..].first_chunk().map(|&bytes| u32::from_le_bytes(bytes));
            let same = at / 4 < case.lanes && field == Some(0);
            if let Ok(popped) = popped && damaged.expect_initial().is_ok() && !same {
                prop_assert!(popped != symbols || at / 4 == case.lanes || symbols.ncols() == 0);
            }
        }
        strings[0] = whole[..at].to_vec();
        if let Ok(mut cut) = Streams::from_byte_strings(case.family, case.lanes, &strings) {
            // A small table's final state is right by chance once in a while, but then the symbols
            // are others.
            let whole_again = coder.pop::<i32>(&mut cut, indexes).is_ok_and(|popped| popped == symbols);
            prop_assert!(!whole_again || cut.expect_initial().is_err());
        }
    }
}

/// Rows long enough that windows carry nearly all symbols, at every precision and in all symbol
/// types.
#[test]
fn long_rows_and_narrow_symbols() {
    for family in FAMILIES {
        for precision in [2, 4, 7, 8, 12, 13, 14, 15] {
            if precision > family.max_precision() {
                continue;
            }
            let counts = Array2::from_shape_fn((2, 4), |(t, s)| ((s + 1) * (7 * t + 1)) as u64);
            let tables = Tables::from_counts(counts.view(), Precision::new(precision).unwrap());
            for lanes in [1, 2, 4, 8, 32] {
                let coder =
                    Coder::builder(family).lanes(lanes).build(tables.as_ref().unwrap().clone());
                let coder = coder.unwrap();
                let symbols =
                    Array2::from_shape_fn((9, 1003), |(r, c)| ((r * 31 + c * c) % 11 % 4) as u8);
                for indexes in
                    [Indexes::one(1, 9, 1003), Indexes::per_row(&[0, 1, 0, 1, 1, 0, 1, 0, 1], 1003)]
                {
                    let mut streams = coder.streams(9).unwrap();
                    coder.push(&mut streams, &symbols, indexes.clone()).unwrap();
                    let mut wide = coder.streams(9).unwrap();
                    coder.push(&mut wide, &symbols.mapv(i32::from), indexes.clone()).unwrap();
                    assert_eq!(streams, wide);
                    assert_eq!(coder.pop::<u8>(&mut streams, indexes.clone()).unwrap(), symbols);
                    streams.expect_initial().unwrap();
                    assert_eq!(
                        coder.pop::<u16>(&mut wide, indexes).unwrap(),
                        symbols.mapv(u16::from)
                    );
                    wide.expect_initial().unwrap();
                }
            }
        }
    }
}

#[test]
fn what_cannot_be_coded_is_an_error() {
    let tables = |precision| {
        let counts = ndarray::array![[3u64, 1, 2]];
        Tables::from_counts(counts.view(), Precision::new(precision).unwrap()).unwrap()
    };
    // The peer clamps these symbols; here nothing is coded, and the streams stay as they were.
    let coder = Coder::builder(Family::Tans32).build(tables(8)).unwrap();
    let mut streams = coder.streams(2).unwrap();
    let symbols = ndarray::array![[0, 1, 2, 0, 1], [0, 1, 3, 0, 1]];
    let error = coder.push(&mut streams, &symbols, Indexes::one(0, 2, 5)).unwrap_err();
    let cause = RowCause::SymbolOutOfRange { symbol: 3, table: 0 };
    assert!(matches!(error, Error::Row { row: 1, position: 2, cause: c } if c == cause), "{error}");
    assert_eq!(streams, coder.streams(2).unwrap());
    for (family, precision) in
        [(Family::Tans32, 3), (Family::Tans16, 16), (Family::Tans8, 8), (Family::Tans32, 20)]
    {
        assert!(Coder::builder(family).build(tables(precision)).is_err(), "{family} {precision}");
    }
    let alias = Coder::builder(Family::Tans32).lookup(parans::Lookup::Alias).build(tables(8));
    assert!(matches!(alias, Err(Error::Unsupported(_))));
    // A symbol popped into a type that cannot hold it.
    let coder =
        Coder::builder(Family::Tans32).build(tables(8).with_offsets(&[255]).unwrap()).unwrap();
    let mut streams = coder.streams(1).unwrap();
    let symbols = Array2::from_elem((1, 40), 256);
    coder.push(&mut streams, &symbols, Indexes::one(0, 1, 40)).unwrap();
    let error = coder.pop::<u8>(&mut streams, Indexes::one(0, 1, 40)).unwrap_err();
    assert!(matches!(error, Error::Row { cause: RowCause::SymbolWidth, .. }), "{error}");
    assert_eq!(coder.pop::<i32>(&mut streams, Indexes::one(0, 1, 40)).unwrap(), symbols);
}

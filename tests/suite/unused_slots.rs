//! Tables whose CDF rows end before 2^precision, as torch_ans makes of padded alphabets.

use ndarray::{Array2, array};
use parans::frame::CodedRows;
use parans::{Bypass, Coder, Error, Family, Indexes, Lookup, Tables};

use crate::common::backends;

const PRECISION: u32 = 6;

fn short() -> Tables {
    let cdf = array![[0, 4, 30, 55, 60, 64], [0, 1, 50, 51, 0, 0]];
    let builder = Tables::builder(PRECISION).sizes(&[5, 4]).offsets(&[-1, 3]);
    builder.unused_slots(true).cdf(&cdf).unwrap()
}

/// The same with the slots behind as one symbol more.
fn whole() -> Tables {
    let cdf = array![[0, 4, 30, 55, 60, 64], [0, 1, 50, 51, 64, 0]];
    Tables::builder(PRECISION).sizes(&[6, 5]).offsets(&[-1, 3]).cdf(&cdf).unwrap()
}

fn work() -> (Array2<i32>, Array2<i32>) {
    let indexes = Array2::from_shape_fn((9, 333), |(row, column)| ((row * column) % 2) as i32);
    let symbols = Array2::from_shape_fn((9, 333), |(row, column)| {
        let at = ((row + 7) * (column + 3)) as i32;
        if indexes[(row, column)] == 0 { at % 4 - 1 } else { at % 3 + 3 }
    });
    (symbols, indexes)
}

/// A symbol's bytes depend on its own slots alone, on every back end.
#[test]
fn streams_are_those_of_whole_tables() {
    let (symbols, indexes) = work();
    let gpu = backends::gpu();
    for family in [Family::Rans64, Family::Rans32, Family::Rans32x16] {
        for lanes in Family::LANES {
            for lookup in [Lookup::Search, Lookup::InverseCdf] {
                let builder = || Coder::builder(family).lanes(*lanes).lookup(lookup);
                let expected =
                    builder().build(whole()).unwrap().encode(&symbols, &indexes).unwrap();
                for coder in [builder(), builder().gpu(&gpu)] {
                    let coder = coder.build(short()).unwrap();
                    assert_eq!(coder.encode(&symbols, &indexes).unwrap(), expected);
                    assert_eq!(coder.decode::<i32>(&expected, &indexes).unwrap(), symbols);
                }
            }
        }
    }
}

#[test]
fn their_last_symbol_is_the_sentinel() {
    let (mut symbols, indexes) = work();
    for (at, symbol) in symbols.iter_mut().enumerate().filter(|(at, _)| at % 11 == 0) {
        *symbol = if at % 2 == 0 { 100_000 } else { -7 };
    }
    let coder =
        Coder::builder(Family::Rans64).lanes(4).bypass(Bypass::digits(4)).build(short()).unwrap();
    let bytes = coder.encode(&symbols, &indexes).unwrap();
    assert_eq!(coder.decode::<i32>(&bytes, &indexes).unwrap(), symbols);
}

/// A slot of no symbol is damage: some error, and no panic.
#[test]
fn unused_slots_in_a_stream_are_no_panic() {
    let coder = Coder::builder(Family::Rans32x16).build(short()).unwrap();
    for first in 0..=255u8 {
        let bytes = [8, 0, 0, 0, first, 0xff, 0xff, 0x7f, 0x55, 0xaa, first, 1];
        assert!(coder.decode::<i32>(&bytes, Indexes::one(1, 1, 40)).is_err());
    }
}

#[test]
fn what_needs_whole_tables_refuses_others() {
    let refused = |result: parans::Result<Coder>| {
        assert!(matches!(result, Err(Error::InvalidArgument(_))), "{result:?}");
    };
    refused(Coder::builder(Family::Tans32).build(short()));
    let cdf = array![[0, 3, 5, 9]];
    let three = Tables::builder(4).unused_slots(true).sizes(&[3]).cdf(&cdf).unwrap();
    refused(Coder::builder(Family::Rans64).lookup(Lookup::Alias).build(three));
    let coder = Coder::builder(Family::Rans64).build(short()).unwrap();
    let rows = CodedRows::new(&coder, coder.streams(2).unwrap()).unwrap();
    assert!(matches!(rows.to_bytes(), Err(Error::InvalidArgument(_))));
    // Without the permission such rows are an error, as they were.
    assert!(Tables::from_cdf(&cdf, 4).is_err());
    assert_eq!(short().cdf(1), [0, 1, 50, 51]);
}

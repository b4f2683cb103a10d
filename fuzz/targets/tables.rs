//! Any probabilities, counts and CDF rows: an error, or tables whose frequencies are all positive
//! and sum to 2^precision.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ndarray::ArrayView2;
use parans::{Coder, Family, Lookup, Precision, Tables};

fn check(tables: parans::Result<Tables>, bits: u32) {
    let Ok(tables) = tables else { return };
    for table in 0..tables.len() {
        assert!(tables.frequencies(table).all(|frequency| frequency > 0));
        assert_eq!(tables.frequencies(table).map(u64::from).sum::<u64>(), 1 << bits);
    }
    if bits <= 12 {
        for family in [Family::Rans64, Family::Tans32] {
            for lookup in [Lookup::Auto, Lookup::Alias] {
                let _ = Coder::builder(family).lookup(lookup).build(tables.clone());
            }
        }
    }
}

fuzz_target!(|input: (u8, bool, u8, Vec<u64>)| {
    let (bits, sentinel, columns, values) = input;
    let Ok(precision) = Precision::new(u32::from(bits)) else { return };
    let columns = usize::from(columns).max(1);
    let rows = values.len() / columns;
    let shape = (rows, columns);
    let values = &values[..rows * columns];
    let builder = || Tables::builder(precision).sentinel(sentinel);
    let bits = u32::from(bits);
    let f64s: Vec<f64> = values.iter().map(|&value| f64::from_bits(value)).collect();
    check(builder().pmf(ArrayView2::from_shape(shape, &f64s).expect("as many")), bits);
    let f32s: Vec<f32> = values.iter().map(|&value| f32::from_bits(value as u32)).collect();
    check(builder().pmf(ArrayView2::from_shape(shape, &f32s).expect("as many")), bits);
    check(builder().counts(ArrayView2::from_shape(shape, values).expect("as many")), bits);
    let i32s: Vec<i32> = values.iter().map(|&value| value as i32).collect();
    check(
        Tables::from_cdf(ArrayView2::from_shape(shape, &i32s).expect("as many"), precision),
        bits,
    );
});

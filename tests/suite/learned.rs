//! The learned helpers against CompressAI's definitions: scale table, indexes, offsets, tail
//! masses, tables, medians and rounding.
//!
//! `learned/numbers.py` works the numbers out from the definitions, in plain Python;
//! `learned/numbers.json` is what it printed.

use ndarray::Array2;
use parans::learned::{EntropyBottleneck, GaussianConditional, dequantise, quantise, scale_table};
use parans::{Family, Precision, Tables};
use serde_json::Value;

fn numbers() -> Value {
    serde_json::from_str(include_str!("learned/numbers.json")).unwrap()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn integers(value: &Value) -> Vec<i64> {
    value.as_array().unwrap().iter().map(|v| v.as_i64().unwrap()).collect()
}

/// The cumulative values of a table.
fn cdf(tables: &Tables, table: usize) -> Vec<i64> {
    let mut cdf = vec![0];
    for freq in tables.frequencies(table) {
        cdf.push(cdf[cdf.len() - 1] + i64::from(freq));
    }
    cdf
}

fn precision() -> Precision {
    Precision::new(16).unwrap()
}

#[test]
fn the_scale_table_and_its_centres() {
    let numbers = numbers();
    let own = scale_table(0.11, 256.0, 64).unwrap();
    let expected = floats(&numbers["scale_table"]);
    assert_eq!(own.len(), expected.len());
    for (own, expected) in own.iter().zip(&expected) {
        assert!((f64::from(*own) / expected - 1.0).abs() < 1e-7, "{own} {expected}");
    }
    let model = GaussianConditional::compressai().unwrap();
    for (table, &centre) in integers(&numbers["centres"]).iter().enumerate() {
        assert_eq!(i64::from(model.tables().offset(table)), -centre, "{table}");
        // The symbols from -centre to centre, and the sentinel.
        assert_eq!(model.tables().alphabet(table) as i64, 2 * centre + 2, "{table}");
    }
}

#[test]
fn gaussian_tables_are_quantised_alike() {
    for expected in numbers()["gaussians"].as_array().unwrap() {
        let scale = expected["scale"].as_f64().unwrap();
        // Single precision is what a table's scale has; these are exact in it but for the first and
        // fourth.
        let model = GaussianConditional::new(&[scale as f32], precision()).unwrap();
        assert_eq!(i64::from(model.tables().offset(0)), expected["offset"].as_i64().unwrap());
        let (own, expected) = (cdf(model.tables(), 0), integers(&expected["cdf"]));
        assert_eq!(own.len(), expected.len(), "{scale}");
        let exact = f64::from(scale as f32) == scale;
        let far = own.iter().zip(&expected).map(|(a, b)| (a - b).abs()).max().unwrap();
        assert!(far <= i64::from(!exact), "{scale}: {own:?} {expected:?}");
    }
}

#[test]
fn indexes_are_those_of_the_definition() {
    let numbers = numbers();
    let probes: Vec<f32> = floats(&numbers["probes"]).iter().map(|&v| v as f32).collect();
    let scales = Array2::from_shape_vec((1, probes.len()), probes).unwrap();
    let own = GaussianConditional::compressai().unwrap().build_indexes(scales.view());
    let own: Vec<i64> = own.iter().map(|&index| i64::from(index)).collect();
    assert_eq!(own, integers(&numbers["indexes"]));
}

#[test]
fn bottleneck_tables_are_quantised_alike() {
    let numbers = numbers();
    let channels = numbers["channels"].as_array().unwrap();
    let quantiles: Vec<[f32; 3]> = channels
        .iter()
        .map(|channel| {
            let q = floats(&channel["quantiles"]);
            [q[0] as f32, q[1] as f32, q[2] as f32]
        })
        .collect();
    let width = |channel: usize| channels[channel]["width"].as_f64().unwrap();
    let model = EntropyBottleneck::from_cdf(&quantiles, precision(), |channel, x| {
        1.0 / (1.0 + libm::exp(-(x - f64::from(quantiles[channel][1])) / width(channel)))
    })
    .unwrap();
    for (channel, expected) in channels.iter().enumerate() {
        let offset = i64::from(model.tables().offset(channel));
        assert_eq!(offset, expected["offset"].as_i64().unwrap());
        let (own, cdf_expected) = (cdf(model.tables(), channel), integers(&expected["cdf"]));
        assert_eq!(own, cdf_expected, "{channel}");
        // The sentinel's share is the mass outside, or a slot.
        let tail = expected["tail"].as_f64().unwrap() * 65_536.0;
        let last = (own[own.len() - 1] - own[own.len() - 2]) as f64;
        assert!((last - tail).abs() <= own.len() as f64, "{channel}: {last} {tail}");
        assert_eq!(model.medians()[channel], quantiles[channel][1]);
    }
    // Values come back as median plus an integer, within half of themselves.
    let coder = model.coder(Family::Rans64, 1).unwrap();
    let x = Array2::from_shape_fn((3, 8), |(row, column)| {
        quantiles[column / 2][1] + row as f32 * 7.3 - column as f32 * 1.7
    });
    let bytes = model.compress(&coder, x.view()).unwrap();
    let back = model.decompress(&coder, &bytes, x.dim()).unwrap();
    for ((row, column), &back) in back.indexed_iter() {
        let steps = back - quantiles[column / 2][1];
        assert!(
            (steps - steps.round()).abs() < 1e-5 && (back - x[(row, column)]).abs() <= 0.500_01
        );
    }
}

#[test]
fn symbols_are_rounded_differences() {
    let numbers = numbers();
    let pairs: Vec<Vec<f64>> = numbers["pairs"].as_array().unwrap().iter().map(floats).collect();
    let row =
        |at: usize| Array2::from_shape_fn((1, pairs.len()), |(_, column)| pairs[column][at] as f32);
    let (x, means) = (row(0), row(1));
    let symbols = quantise(x.view(), means.view()).unwrap();
    let own: Vec<i64> = symbols.iter().map(|&symbol| i64::from(symbol)).collect();
    assert_eq!(own, integers(&numbers["symbols"]));
    let back = dequantise(symbols.view(), means.view()).unwrap();
    assert!(back.iter().zip(&x).all(|(back, x)| (back - x).abs() <= 0.5));
}

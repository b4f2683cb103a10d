//! What the benchmarks share.

use ndarray::Array2;

/// Discretised Gaussians of `alphabet` symbols, as probabilities of shape (tables, alphabet):
/// standard deviations from 1 to 2^4.5; 8 for one alone.
pub fn gaussians(tables: usize, alphabet: usize) -> Array2<f32> {
    let mut pmf = Array2::from_shape_fn((tables, alphabet), |(table, symbol)| {
        let sigma =
            if tables == 1 { 8.0 } else { (4.5 * table as f32 / (tables - 1) as f32).exp2() };
        let x = (symbol as f32 - alphabet as f32 / 2.0) / sigma;
        (-0.5 * x * x).exp() + 1e-6
    });
    for mut row in pmf.rows_mut() {
        let sum = row.sum();
        row /= sum;
    }
    pmf
}

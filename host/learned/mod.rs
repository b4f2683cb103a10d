//! What learned compressors expect: CompressAI's two entropy models, in terms of
//! [`Coder`](crate::Coder) and [`Tables`](crate::Tables).
//!
//! - [`GaussianConditional`] codes latents whose means and scales a hyperprior gives: one table for
//!   each of a few dozen scales, one index per symbol.
//! - [`EntropyBottleneck`] codes the side information: one table for each channel, made from a
//!   learned distribution.
//!
//! [`crate::model`] codes each symbol with its exact mean and scale instead of the nearest table.
//!
//! # What floating point decides
//! Tables are made from floating-point probabilities, in `f64` with the `libm` crate's software
//! functions: the same tables on every machine with IEEE arithmetic. Once made they are integers; a
//! model that ships its CDF rows ([`Tables::cdf`](crate::Tables::cdf),
//! [`Tables::offset`](crate::Tables::offset)) does not depend on even that. Indexes and symbols are
//! made from the network's own outputs by comparison, subtraction and rounding to even; encoder and
//! decoder must see the same outputs, as with CompressAI.

mod bottleneck;
mod gaussian;

use ndarray::{Array2, ArrayView2, Zip};

use crate::error::{Error, Result};

pub use bottleneck::EntropyBottleneck;
pub use gaussian::{GaussianConditional, TAIL_MASS, scale_table};

/// `round(x - mean)`, ties to even, as integers; the inverse of [`dequantise`] but for rounding.
///
/// # Errors
/// [`Error::Shape`] where shapes disagree; [`Error::InvalidArgument`] for a NaN or a difference of
/// 2^30 or more.
pub fn quantise<'v>(
    x: impl Into<ArrayView2<'v, f32>>,
    means: impl Into<ArrayView2<'v, f32>>,
) -> Result<Array2<i32>> {
    let (x, means) = (x.into(), means.into());
    expect_shape("means", x.dim(), means.dim())?;
    let limit = (1u32 << 30) as f32;
    let rounded = Zip::from(&x).and(&means).map_collect(|&x, &mean| (x - mean).round_ties_even());
    match rounded.indexed_iter().find(|(_, value)| value.is_nan() || value.abs() >= limit) {
        None => Ok(rounded.mapv(|value| value as i32)),
        Some(((row, column), value)) => Err(Error::InvalidArgument(format!(
            "value {} less mean {} of row {row}, symbol {column} is {value}; symbols lie within \
             2^30",
            x[(row, column)],
            means[(row, column)]
        ))),
    }
}

/// `symbol + mean`.
///
/// # Errors
/// [`Error::Shape`] where shapes disagree; [`Error::InvalidArgument`] for a mean that is not
/// finite, which no encoder had.
pub fn dequantise<'v>(
    symbols: impl Into<ArrayView2<'v, i32>>,
    means: impl Into<ArrayView2<'v, f32>>,
) -> Result<Array2<f32>> {
    let (symbols, means) = (symbols.into(), means.into());
    expect_shape("means", symbols.dim(), means.dim())?;
    match means.indexed_iter().find(|(_, mean)| !mean.is_finite()) {
        None => {
            Ok(Zip::from(&symbols).and(&means).map_collect(|&symbol, &mean| symbol as f32 + mean))
        }
        Some(((row, column), mean)) => Err(Error::InvalidArgument(format!(
            "mean {mean} of row {row}, symbol {column}: it must be finite"
        ))),
    }
}

fn expect_shape(what: &'static str, expected: (usize, usize), got: (usize, usize)) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    Err(Error::Shape { what, expected: format!("{expected:?}"), got: format!("{got:?}") })
}

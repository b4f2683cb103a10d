//! Models that need no table: a distribution is a few integers, and its CDF is evaluated while
//! coding.
//!
//! A learned compressor gives every symbol its own mean and scale, so that a table would be used
//! once. Here the CDF of a discretised Gaussian, Laplace or logistic (or a mixture of up to eight
//! of one kind) is a function of fixed-point parameters. Everything that decides a bit is integer
//! arithmetic on `u32` and `u64`, so that every machine, instruction set and GPU computes the same
//! intervals; floating point appears only where a caller converts parameters ([`Mean::from_f32`],
//! [`Scale::from_f32`]), and those two are exact functions of the float's bits.
//!
//! # From a distribution to slots
//! A model over a *window* of `n` integers around its mean has `n + 2` ranks: rank 0 is everything
//! below the window, ranks `1..=n` are its integers, rank `n + 1` is everything above. With `F(e)`
//! the CDF in units of `2^-32` at the window's edges (half-integers), the slots of a row coded with
//! precision `p` are divided at
//!
//! ```text
//! cdf(0) = 0,   cdf(j) = round(F(edge j) * (2^p - (n + 2)) / 2^32) + j,   cdf(n + 2) = 2^p
//! ```
//!
//! One slot is reserved for each rank (the `+ j`), and `F` never decreases, so `cdf` is strictly
//! increasing whatever the parameters are: every integer can be coded, those outside the window as
//! an escape (rank 0 or `n + 1`) followed by their distance in raw digits. `F` never decreases
//! because a table of tail masses never increases and linear interpolation in it keeps that order
//! (`tail`).
//!
//! Reserving slots costs less than it seems: the reserved mass `n / 2^p` is a mixture with the
//! uniform distribution, which costs nothing to first order where a symbol's own share exceeds one
//! slot. The window therefore ends about where the probability of one integer falls below `2^-p`
//! (`window`).

mod batch;
mod batch_model;
mod cdfs;
mod component;
mod mixture;
mod row;
mod scale;
mod search;
mod tail;
mod uniform;

pub use crate::codec::Value;
pub use batch::{Batch, Intervals, Parameters};
pub use batch_model::{BATCH, BatchModel, MAX_STEPS, Steps};
pub use cdfs::Cdfs;
pub use component::{Parametric, Window};
pub use mixture::{Component, MAX_COMPONENTS, Mixture, WEIGHT_BITS};
pub use row::{Mixtures, ModelRow, Parametrics, RowModel};
pub use scale::{MEAN_FRACTION_BITS, Mean, SCALE_STEPS_PER_OCTAVE, Scale};
pub use tail::{Kind, cdf_q32};
pub use uniform::Uniform;

use crate::codec::Interval;

/// Smallest precision of a windowed model: below it a window would have no room.
pub const MIN_PRECISION: u32 = 8;
/// Largest precision of any model: slots are `u32`, and a frequency of `2^p` must fit too.
pub const MAX_PRECISION: u32 = 31;
/// Distances of escaped symbols stay below this, as those of table bypass do.
pub const MAX_ESCAPE: u32 = 1 << 30;

/// A symbol as a model codes it: the slots, and for an escape the distance to be coded in raw
/// digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// The slots to push.
    pub interval: Interval,
    /// `None` for a symbol inside the window, else what the raw digits hold: its distance beyond
    /// the window (0 for the first integer outside).
    pub escape: Option<u32>,
}

/// What a slot means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundValue {
    /// The slots to pop.
    pub interval: Interval,
    /// The symbol, or the rule that makes it from an escape's distance.
    pub value: Value,
}

/// A distribution whose slots are computed, not stored.
pub trait Model {
    /// The slots of `symbol`; `None` where the model cannot code it.
    fn locate(&self, symbol: i32) -> Option<Located>;
    /// The rank at `slot`, which must be below `2^p` (a larger one is taken for the last
    /// slot).
    fn find(&self, slot: u32) -> FoundValue;
}

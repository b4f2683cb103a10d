//! From probabilities to frequencies on the device, a thread per row.
//!
//! The rule and its reasons are those of the host's tables (`host/tables/quantise.rs`); this is the
//! same rule without memory of its own: the frequencies lie in the output while they are made, and
//! donors are found by looking again instead of by sorting. Tests hold the two equal bit for bit.
//! Sums run in the row's order, because a sum in another order rounds differently.

use super::simt::Simt;
use crate::abi::{QuantiseShape, RowStatus};
use crate::codec::{Interval, RowError};

/// What torch_ans gives the bypass sentinel before it normalises a row.
const SENTINEL_PROBABILITY: f64 = 1e-10;

/// Sums beyond this are divided out first, so that scaling cannot overflow 64 bits.
const LARGEST_PLAIN_SUM: f64 = (1u64 << 32) as f64;

/// Half to even. From 2^52 on every double is an integer; below, adding 2^52 leaves no bit for a
/// fraction.
#[inline(always)]
fn round(value: f64) -> u64 {
    const WHOLE: f64 = (1u64 << 52) as f64;
    (if value < WHOLE { (value + WHOLE) - WHOLE } else { value }) as u64
}

/// `floor(weight * 2^bits / sum)` for `weight <= sum`, bit by bit: the product may have 95.
#[inline(always)]
fn share(weight: u64, sum: u64, bits: u32) -> u32 {
    if weight == sum {
        return 1 << bits;
    }
    let (mut rest, mut quotient) = (weight, 0);
    let mut left = bits;
    while left > 0 {
        let carry = rest >> 63 != 0;
        rest <<= 1;
        quotient <<= 1;
        if carry || rest >= sum {
            rest = rest.wrapping_sub(sum);
            quotient |= 1;
        }
        left -= 1;
    }
    quotient
}

/// What weighs a symbol: a probability or a count.
pub trait Weight: Copy {
    /// Sums of a row's weights.
    type Sum: Copy + Default;
    /// `sum` and one weight more.
    fn add(self, sum: Self::Sum) -> Self::Sum;
    /// Whether it weighs a symbol at all.
    fn is_valid(self) -> bool;
    /// Whether a row of this sum has anything to distribute.
    fn is_positive(sum: Self::Sum) -> bool;
    /// The weight as an integer.
    fn scaled(self, sum: Self::Sum, shape: &QuantiseShape) -> u64;
    /// The sentinel's.
    fn sentinel(sum: Self::Sum, shape: &QuantiseShape) -> u64;
}

impl Weight for f32 {
    type Sum = f64;
    #[inline(always)]
    fn add(self, sum: f64) -> f64 {
        sum + f64::from(self)
    }
    #[inline(always)]
    fn is_valid(self) -> bool {
        // Not NaN, infinite or negative.
        (0.0..f32::INFINITY).contains(&self)
    }
    #[inline(always)]
    fn is_positive(sum: f64) -> bool {
        sum > 0.0
    }
    #[inline(always)]
    fn scaled(self, sum: f64, shape: &QuantiseShape) -> u64 {
        let scale = (1u64 << shape.precision) as f64;
        if shape.sentinel != 0 {
            round(f64::from(self / (sum + SENTINEL_PROBABILITY) as f32) * scale)
        } else if sum > LARGEST_PLAIN_SUM {
            round(f64::from(self) / sum * scale)
        } else {
            round(f64::from(self * scale as f32))
        }
    }
    #[inline(always)]
    fn sentinel(sum: f64, shape: &QuantiseShape) -> u64 {
        let scale = (1u64 << shape.precision) as f64;
        round(SENTINEL_PROBABILITY / (sum + SENTINEL_PROBABILITY) * scale)
    }
}

impl Weight for u32 {
    type Sum = u64;
    #[inline(always)]
    fn add(self, sum: u64) -> u64 {
        sum + u64::from(self)
    }
    #[inline(always)]
    fn is_valid(self) -> bool {
        true
    }
    #[inline(always)]
    fn is_positive(sum: u64) -> bool {
        sum > 0
    }
    #[inline(always)]
    fn scaled(self, _sum: u64, _shape: &QuantiseShape) -> u64 {
        u64::from(self)
    }
    #[inline(always)]
    fn sentinel(_sum: u64, _shape: &QuantiseShape) -> u64 {
        0
    }
}

/// Where a symbol's frequency lies while a row is distributed.
trait Slots {
    fn freq(&self) -> u32;
    fn set_freq(&mut self, freq: u32);
}

impl Slots for Interval {
    #[inline(always)]
    fn freq(&self) -> u32 {
        self.freq
    }
    #[inline(always)]
    fn set_freq(&mut self, freq: u32) {
        *self = Self { start: 0, freq };
    }
}

impl Slots for u32 {
    #[inline(always)]
    fn freq(&self) -> u32 {
        *self
    }
    #[inline(always)]
    fn set_freq(&mut self, freq: u32) {
        *self = freq;
    }
}

/// A row of weights, and their sum.
struct Row<W: Weight> {
    weights: *const W,
    given: u32,
    sum: W::Sum,
    shape: QuantiseShape,
}

impl<W: Weight> Row<W> {
    /// The row of this number, and whether it can be quantised.
    ///
    /// # Safety
    /// `weights` points to the launch's, and the row is one of it.
    #[inline(always)]
    unsafe fn new(weights: *const W, number: u32, shape: QuantiseShape) -> (Self, RowStatus) {
        let given = shape.symbols - u32::from(shape.sentinel != 0);
        // SAFETY: the caller's promise.
        let weights = unsafe { weights.add(number as usize * given as usize) };
        let mut row = Self { weights, given, sum: W::Sum::default(), shape };
        let mut outcome = RowStatus::default();
        let bad = |position| RowStatus { code: RowError::ParameterOutOfRange as u32, position };
        let mut symbol = 0;
        while symbol < given {
            // SAFETY: below the number of weights in the row.
            let weight = unsafe { *weights.add(symbol as usize) };
            if !weight.is_valid() && outcome.code == 0 {
                outcome = bad(symbol);
            }
            row.sum = weight.add(row.sum);
            symbol += 1;
        }
        if outcome.code == 0 && !W::is_positive(row.sum) {
            outcome = bad(given);
        }
        (row, outcome)
    }

    #[inline(always)]
    fn weight(&self, symbol: u32) -> u64 {
        if symbol == self.given {
            return W::sentinel(self.sum, &self.shape);
        }
        // SAFETY: below the number of weights in the row.
        unsafe { *self.weights.add(symbol as usize) }.scaled(self.sum, &self.shape)
    }
}

/// The calling thread's row, if it has one.
#[inline(always)]
fn row_of(simt: impl Simt, shape: &QuantiseShape) -> Option<u32> {
    let number = simt.block() * simt.block_threads() + simt.thread();
    (number < shape.rows).then_some(number)
}

/// Quantises the calling thread's row to intervals.
///
/// # Safety
/// The memory is what [`QuantiseParams`](crate::abi::QuantiseParams) says, and nothing else uses
/// the output meanwhile.
#[inline(always)]
pub unsafe fn quantise<W: Weight>(
    simt: impl Simt,
    weights: *const W,
    intervals: *mut Interval,
    status: *mut RowStatus,
    shape: QuantiseShape,
) {
    let Some(number) = row_of(simt, &shape) else { return };
    let symbols = shape.symbols as usize;
    // SAFETY: the row is one of the launch's; the intervals are its part of the output.
    let (row, outcome, intervals) = unsafe {
        let (row, outcome) = Row::new(weights, number, shape);
        let intervals = intervals.add(number as usize * symbols);
        *status.add(number as usize) = outcome;
        (row, outcome, core::slice::from_raw_parts_mut(intervals, symbols))
    };
    if outcome.code == 0 {
        distribute(&row, intervals);
        fill_empty(intervals);
        let mut start = 0;
        for interval in intervals {
            interval.start = start;
            start += interval.freq;
        }
    }
}

/// Quantises the calling thread's row to a CDF.
///
/// # Safety
/// As [`quantise`].
#[inline(always)]
pub unsafe fn quantise_cdf<W: Weight>(
    simt: impl Simt,
    weights: *const W,
    cdfs: *mut u32,
    status: *mut RowStatus,
    shape: QuantiseShape,
) {
    let Some(number) = row_of(simt, &shape) else { return };
    let width = shape.symbols as usize + 1;
    // SAFETY: the row is one of the launch's; the CDF is its part of the output.
    let (row, outcome, cdf) = unsafe {
        let (row, outcome) = Row::new(weights, number, shape);
        let cdf = cdfs.add(number as usize * width);
        *status.add(number as usize) = outcome;
        (row, outcome, core::slice::from_raw_parts_mut(cdf, width))
    };
    let Some((first, freqs)) = cdf.split_first_mut() else { return };
    *first = 0;
    if outcome.code == 0 {
        distribute(&row, freqs);
        fill_empty(freqs);
    } else {
        freqs.fill(0);
    }
    let mut end = 0;
    for value in freqs {
        end += *value;
        *value = end;
    }
}

#[inline(always)]
fn distribute<W: Weight>(row: &Row<W>, slots: &mut [impl Slots]) {
    let mut sum = 0;
    for symbol in 0..row.shape.symbols {
        sum += row.weight(symbol);
    }
    let sum = sum.max(1);
    let mut left = 1u32 << row.shape.precision;
    let last = row.shape.symbols - 1;
    for (symbol, slots) in (0..).zip(slots) {
        let freq = share(row.weight(symbol), sum, row.shape.precision);
        left -= freq;
        slots.set_freq(freq + if symbol == last { left } else { 0 });
    }
}

/// Gives each empty symbol a slot of the narrowest symbol that can spare one, the first of equals.
#[inline(always)]
fn fill_empty(slots: &mut [impl Slots]) {
    let mut empty = 0;
    for symbol in slots.iter() {
        empty += u32::from(symbol.freq() == 0);
    }
    while empty > 0 {
        let (mut donor, mut narrowest) = (0, u32::MAX);
        for (at, symbol) in slots.iter().enumerate() {
            if symbol.freq() > 1 && symbol.freq() < narrowest {
                (donor, narrowest) = (at, symbol.freq());
            }
        }
        // Slots suffice where the host has checked the alphabet; this ends the loop where it has
        // not.
        if narrowest == u32::MAX {
            return;
        }
        let given = (narrowest - 1).min(empty);
        if let Some(symbol) = slots.get_mut(donor) {
            symbol.set_freq(narrowest - given);
        }
        empty -= given;
    }
    for symbol in slots {
        symbol.set_freq(symbol.freq().max(1));
    }
}

//! From probabilities to frequencies on the device, a thread a row.
//!
//! The rule and its reasons are those of the host's tables (`host/tables/quantise.rs`); this is the same rule without memory of its own: the
//! frequencies lie in the output while they are made, and donors are found by looking again instead of by sorting. Tests hold
//! the two equal bit for bit. Sums run in the row's order, because a sum in another order rounds differently.

use super::simt::Simt;
use crate::abi::{QuantiseShape, RowStatus};
use crate::codec::{RowError, Span};

/// What torch_ans gives the bypass sentinel before it normalises a row.
const SENTINEL_PROBABILITY: f64 = 1e-10;

/// Sums beyond this are divided out first, so that scaling cannot overflow 64 bits.
const LARGEST_PLAIN_SUM: f64 = (1u64 << 32) as f64;

/// Half to even. From 2^52 on every double is an integer; below, adding 2^52 leaves no bit for a fraction.
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

/// A row of probabilities, and how they are scaled.
struct Row {
    pmf: *const f32,
    given: u32,
    sum: f64,
    shape: QuantiseShape,
}

impl Row {
    #[inline(always)]
    fn weight(&self, symbol: u32) -> u64 {
        let scale = (1u64 << self.shape.precision) as f64;
        let total = self.sum + SENTINEL_PROBABILITY;
        if symbol == self.given {
            return round(SENTINEL_PROBABILITY / total * scale);
        }
        // SAFETY: below the number of probabilities in the row.
        let p = unsafe { *self.pmf.add(symbol as usize) };
        if self.shape.sentinel != 0 {
            round(f64::from(p / total as f32) * scale)
        } else if self.sum > LARGEST_PLAIN_SUM {
            round(f64::from(p) / self.sum * scale)
        } else {
            round(f64::from(p * scale as f32))
        }
    }
}

/// Quantises the calling thread's row.
///
/// # Safety
/// The memory is what [`QuantiseParams`](crate::abi::QuantiseParams) says, and nothing else uses the output meanwhile.
#[inline(always)]
pub unsafe fn quantise(
    simt: impl Simt,
    pmf: *const f32,
    spans: *mut Span,
    status: *mut RowStatus,
    shape: QuantiseShape,
) {
    let number = simt.block() * simt.block_threads() + simt.thread();
    if number >= shape.rows {
        return;
    }
    let given = shape.symbols - u32::from(shape.sentinel != 0);
    let (row, symbols) = (number as usize, shape.symbols as usize);
    // SAFETY: the row is one of the launch's.
    let (pmf, spans, status) =
        unsafe { (pmf.add(row * given as usize), spans.add(row * symbols), status.add(row)) };
    let mut row = Row { pmf, given, sum: 0.0, shape };
    let mut outcome = RowStatus::default();
    let mut symbol = 0;
    while symbol < given {
        // SAFETY: below the number of probabilities in the row.
        let p = unsafe { *pmf.add(symbol as usize) };
        // Not a number, infinite or negative.
        if !(0.0..f32::INFINITY).contains(&p) && outcome.code == 0 {
            outcome = RowStatus { code: RowError::ParameterOutOfRange as u32, position: symbol };
        }
        row.sum += f64::from(p);
        symbol += 1;
    }
    if outcome.code == 0 && row.sum <= 0.0 {
        outcome = RowStatus { code: RowError::ParameterOutOfRange as u32, position: given };
    }
    if outcome.code == 0 {
        // SAFETY: the row's part of the output.
        let spans = unsafe { core::slice::from_raw_parts_mut(spans, symbols) };
        distribute(&row, spans);
        fill_empty(spans);
        let mut start = 0;
        for span in spans {
            span.start = start;
            start += span.freq;
        }
    }
    // SAFETY: the row's.
    unsafe { *status = outcome };
}

#[inline(always)]
fn distribute(row: &Row, spans: &mut [Span]) {
    let mut sum = 0;
    for symbol in 0..row.shape.symbols {
        sum += row.weight(symbol);
    }
    let sum = sum.max(1);
    let mut left = 1u32 << row.shape.precision;
    let last = row.shape.symbols - 1;
    for (symbol, span) in (0..).zip(spans) {
        let freq = share(row.weight(symbol), sum, row.shape.precision);
        left -= freq;
        *span = Span { start: 0, freq: freq + if symbol == last { left } else { 0 } };
    }
}

/// Gives each empty symbol a slot of the narrowest symbol that can spare one, the first of equals.
#[inline(always)]
fn fill_empty(spans: &mut [Span]) {
    let mut empty = 0;
    for span in spans.iter() {
        empty += u32::from(span.freq == 0);
    }
    while empty > 0 {
        let (mut donor, mut narrowest) = (0, u32::MAX);
        for (at, span) in spans.iter().enumerate() {
            if span.freq > 1 && span.freq < narrowest {
                (donor, narrowest) = (at, span.freq);
            }
        }
        // Slots suffice where the host has checked the alphabet; this ends the loop where it has not.
        if narrowest == u32::MAX {
            return;
        }
        let given = (narrowest - 1).min(empty);
        if let Some(span) = spans.get_mut(donor) {
            span.freq -= given;
        }
        empty -= given;
    }
    for span in spans {
        span.freq = span.freq.max(1);
    }
}

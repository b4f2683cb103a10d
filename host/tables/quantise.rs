//! From probabilities or counts to frequencies that sum to `2^precision`, none of them 0.
//!
//! The rule is that of torch_ans 0.4.0 wherever its 32-bit arithmetic does not wrap: scale, round
//! half to even, rescale so that the sum fits, give the remainder to the last symbol, then give
//! every empty symbol one slot from the narrowest symbol that has more than one. It is stated there
//! on the CDF, shifting a run of cumulative values for each empty symbol, which costs the square of
//! the alphabet. On frequencies the same moves are `freq[empty] += 1; freq[donor] -= 1`. And a
//! donor, once taken from, is the narrowest of all until it has one slot left, so the donors are
//! simply consumed in order of (frequency, position): one sort in place of a search for every empty
//! symbol.

use half::{bf16, f16};

use crate::error::{Error, Result};

mod sealed {
    pub trait Sealed {}
}

/// A number type that probabilities come in: [`half::f16`], [`half::bf16`], `f32`, `f64`.
pub trait Probability: sealed::Sealed + Copy + std::fmt::Display + Send + Sync + 'static {
    /// The value in double precision (exact).
    fn to_f64(self) -> f64;
    /// `value * 2^precision` as the type's own arithmetic gives it. The 16-bit types are scaled in
    /// `f32`: 2^16 is past the largest f16.
    fn scaled(self, precision: u32) -> f64;
    /// `value / sum`, rounded to the type (16-bit types: to `f32`).
    fn divided_by(self, sum: f64) -> f64;
}

macro_rules! probability {
    ($type:ty, $through:ty, $widen:expr) => {
        impl sealed::Sealed for $type {}
        impl Probability for $type {
            #[inline]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline]
            fn scaled(self, precision: u32) -> f64 {
                let widen: fn($type) -> $through = $widen;
                f64::from(widen(self) * (1u64 << precision) as $through)
            }
            #[inline]
            fn divided_by(self, sum: f64) -> f64 {
                let widen: fn($type) -> $through = $widen;
                f64::from(widen(self) / sum as $through)
            }
        }
    };
}
probability!(f16, f32, f16::to_f32);
probability!(bf16, f32, bf16::to_f32);
probability!(f32, f32, |v| v);
probability!(f64, f64, |v| v);

/// An integer type that counts come in: of 8 to 64 bits, with or without a sign.
pub trait Count: sealed::Sealed + Copy + std::fmt::Display + TryInto<u64> + 'static {}

macro_rules! count {
    ($($type:ty),*) => {$(
        impl sealed::Sealed for $type {}
        impl Count for $type {}
    )*};
}
count!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

/// Counts of rows in 64 bits.
///
/// # Errors
/// [`Error::InvalidTable`] names a negative count and its row.
pub(crate) fn widened<T: Count>(
    counts: impl Iterator<Item = T>,
    alphabet: usize,
) -> Result<Vec<u64>> {
    let widen = |(at, count): (usize, T)| {
        count.try_into().map_err(|_| Error::InvalidTable {
            row: at / alphabet,
            reason: format!("count {count} of symbol {} is negative", at % alphabet),
        })
    };
    counts.enumerate().map(widen).collect()
}

/// The probability that torch_ans gives the bypass sentinel before it normalises a row.
pub(super) const SENTINEL_PROBABILITY: f64 = 1e-10;

/// Sums beyond this are divided out first, so that scaling cannot overflow 64 bits.
const LARGEST_PLAIN_SUM: f64 = (1u64 << 32) as f64;

/// Checks one row of probabilities and gives its sum.
fn check_row<T: Probability>(pmf: &[T], row: usize) -> Result<f64> {
    let mut sum = 0.0;
    for (symbol, &p) in pmf.iter().enumerate() {
        let value = p.to_f64();
        if !value.is_finite() || value < 0.0 {
            return Err(Error::InvalidTable {
                row,
                reason: format!(
                    "probability {p} of symbol {symbol} is not a finite number of at least 0"
                ),
            });
        }
        sum += value;
    }
    if sum > 0.0 {
        return Ok(sum);
    }
    Err(Error::InvalidTable { row, reason: format!("all {} probabilities are 0", pmf.len()) })
}

/// Quantises a row of probabilities (any positive scale). With a sentinel, torch_ans' high-level
/// rule: append 1e-10, divide by the sum, quantise.
pub(crate) fn probabilities<T: Probability>(
    pmf: &[T],
    sentinel: bool,
    precision: u32,
    row: usize,
) -> Result<Vec<u32>> {
    let sum = check_row(pmf, row)?;
    let scale = (1u64 << precision) as f64;
    let scaled: Vec<u64> = if sentinel {
        // 32-bit inputs see a sum in which 1e-10 vanishes, as in torch_ans; the type's own division
        // follows.
        let total = sum + SENTINEL_PROBABILITY;
        let tail = rounded(SENTINEL_PROBABILITY / total * scale);
        let divided = pmf.iter().map(|p| rounded(p.divided_by(total) * scale));
        divided.chain([tail]).collect()
    } else if sum > LARGEST_PLAIN_SUM {
        pmf.iter().map(|p| rounded(p.to_f64() / sum * scale)).collect()
    } else {
        pmf.iter().map(|p| rounded(p.scaled(precision))).collect()
    };
    frequencies(&scaled, precision, row)
}

/// A value of at least 0 rounded half to even. Without SSE4.1, which cannot be taken for granted,
/// `round_ties_even` is a call; below 2^51 an addition to 2^52 rounds alike and leaves the integer
/// in the low bits.
fn rounded(value: f64) -> u64 {
    const ONES: f64 = (1u64 << 52) as f64;
    if value < ONES / 2.0 {
        (value + ONES).to_bits() & ((1 << 52) - 1)
    } else {
        value.round_ties_even() as u64
    }
}

/// Quantises a row of integer counts, exactly: no floating point on the way. A sentinel gets a
/// count of 0, hence one slot.
pub(crate) fn counts(
    counts: &[u64],
    sentinel: bool,
    precision: u32,
    row: usize,
) -> Result<Vec<u32>> {
    if counts.iter().all(|&count| count == 0) {
        return Err(Error::InvalidTable {
            row,
            reason: format!("all {} counts are 0", counts.len()),
        });
    }
    if sentinel {
        let with: Vec<u64> = counts.iter().copied().chain([0]).collect();
        frequencies(&with, precision, row)
    } else {
        frequencies(counts, precision, row)
    }
}

/// Scales weights to frequencies of at least 1 that sum to `2^precision`.
fn frequencies(weights: &[u64], precision: u32, row: usize) -> Result<Vec<u32>> {
    let total = 1u64 << precision;
    check_alphabet(weights.len(), precision, row)?;
    let sum: u128 = weights.iter().map(|&w| u128::from(w)).sum::<u128>().max(1);
    let mut freqs: Vec<u32> = if sum == u128::from(total) {
        weights.iter().map(|&weight| weight as u32).collect()
    } else if let Ok(sum) = u64::try_from(sum)
        && sum <= u64::MAX >> precision
    {
        // No weight is larger than the sum: 64 bits hold the products, and divide in a fraction of
        // the time that 128 take.
        weights.iter().map(|&weight| ((weight << precision) / sum) as u32).collect()
    } else {
        let share = |&weight| (u128::from(weight) * u128::from(total) / sum) as u32;
        weights.iter().map(share).collect()
    };
    // The truncated shares sum to at most the total, so the remainder is never negative.
    let left = total - freqs.iter().map(|&freq| u64::from(freq)).sum::<u64>();
    if let Some(last) = freqs.last_mut() {
        *last += left as u32;
    }
    fill_empty(&mut freqs);
    Ok(freqs)
}

/// Refuses alphabets without a slot for every symbol.
pub(crate) fn check_alphabet(symbols: usize, precision: u32, row: usize) -> Result<()> {
    if symbols == 0 {
        return Err(Error::InvalidTable { row, reason: "the alphabet is empty".into() });
    }
    if symbols as u64 > 1u64 << precision {
        return Err(Error::InvalidTable {
            row,
            reason: format!(
                "an alphabet of {symbols} is too large for precision {precision}: 2^{precision} slots hold at most one \
                 symbol each"
            ),
        });
    }
    Ok(())
}

/// Gives each empty symbol a slot of the narrowest symbol that can spare one, the first of equals.
/// The frequencies sum to at least their number, so the slots suffice.
fn fill_empty(freqs: &mut [u32]) {
    let mut empty = freqs.iter().filter(|&&freq| freq == 0).count() as u64;
    if empty == 0 {
        return;
    }
    let mut donors: Vec<(u32, usize)> =
        freqs.iter().enumerate().filter(|&(_, &f)| f > 1).map(|(i, &f)| (f, i)).collect();
    donors.sort_unstable();
    for (freq, donor) in donors {
        if empty == 0 {
            break;
        }
        let given = u64::from(freq - 1).min(empty);
        if let Some(freq) = freqs.get_mut(donor) {
            *freq -= given as u32;
        }
        empty -= given;
    }
    for freq in freqs {
        *freq = (*freq).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule as torch_ans states it, on the CDF, in 64 bits.
    fn on_the_cdf(pmf: &[f32], precision: u32) -> Vec<i64> {
        let total = 1i64 << precision;
        let scaled: Vec<i64> =
            pmf.iter().map(|&p| f64::from(p * total as f32).round_ties_even() as i64).collect();
        let sum = scaled.iter().sum::<i64>().max(1);
        let mut cdf = vec![0];
        for f in &scaled {
            cdf.push(cdf.last().unwrap() + f * total / sum);
        }
        let n = pmf.len();
        cdf[n] = total;
        for i in 0..n {
            if cdf[i + 1] == cdf[i] {
                let mut best = None;
                for j in 0..n {
                    let width = cdf[j + 1] - cdf[j];
                    if width > 1 && best.is_none_or(|(w, _)| width < w) {
                        best = Some((width, j));
                    }
                }
                let (_, j) = best.expect("a donor");
                if j < i {
                    cdf[j + 1..=i].iter_mut().for_each(|c| *c -= 1);
                } else {
                    cdf[i + 1..=j].iter_mut().for_each(|c| *c += 1);
                }
            }
        }
        cdf
    }

    fn cdf_of(freqs: &[u32]) -> Vec<i64> {
        let mut cdf = vec![0i64];
        for &f in freqs {
            cdf.push(cdf.last().unwrap() + i64::from(f));
        }
        cdf
    }

    proptest::proptest! {
        #[test]
        fn frequencies_equal_the_rule_on_the_cdf(
            pmf in proptest::collection::vec(
                proptest::prop_oneof![3 => 0.0f32..1.0, 2 => 0.0f32..1e-4, 1 => proptest::strategy::Just(0.0)], 2..200),
            precision in 8u32..17,
        ) {
            proptest::prop_assume!(pmf.iter().any(|&p| p > 0.0));
            let got = probabilities(&pmf, false, precision, 0).unwrap();
            proptest::prop_assert_eq!(cdf_of(&got), on_the_cdf(&pmf, precision));
        }

        #[test]
        fn counts_give_rows_that_can_code(
            weights in proptest::collection::vec(0u64..=u64::MAX, 1..300), precision in 9u32..32,
        ) {
            proptest::prop_assume!(weights.iter().any(|&w| w > 0));
            let got = counts(&weights, false, precision, 0).unwrap();
            proptest::prop_assert!(got.iter().all(|&f| f > 0));
            // Small weights are divided in 64 bits, large ones in 128: a common factor changes
            // nothing.
            let small: Vec<u64> = weights.iter().map(|w| w >> 40).collect();
            if small.iter().any(|&w| w > 0) {
                let scaled: Vec<u64> = small.iter().map(|w| w << 39).collect();
                proptest::prop_assert_eq!(counts(&small, false, precision, 0).unwrap(), counts(&scaled, false, precision, 0).unwrap());
            }
            proptest::prop_assert_eq!(got.iter().map(|&f| u64::from(f)).sum::<u64>(), 1u64 << precision);
        }
    }

    #[test]
    fn values_round_half_to_even() {
        let halves = (0..100).map(|n| f64::from(n) / 2.0);
        let large = [1e9 + 0.5, (1u64 << 51) as f64 - 0.5, (1u64 << 51) as f64 + 0.5, 1e18, 5e-324];
        for value in halves.chain(large) {
            assert_eq!(rounded(value), value.round_ties_even() as u64, "{value}");
        }
    }

    #[test]
    fn extremes_stay_strictly_increasing() {
        // p = 0.999 at 16 bits wraps 32-bit arithmetic; one symbol with everything; 65,535 symbols
        // at 16 bits.
        for (pmf, precision) in [
            (vec![0.999f32, 0.001], 16),
            (vec![0.6, 0.3, 0.1], 16),
            (vec![0.0, 0.0, 1.0, 0.0], 16),
            (vec![1.0], 16),
            (vec![1.0 / 65535.0; 65535], 16),
            ([vec![1.0], vec![0.0; 65534]].concat(), 16),
            (vec![1e30, 1e30], 8),
            (vec![1e-30, 1e-30], 8),
        ] {
            let freqs = probabilities(&pmf, false, precision, 0).unwrap();
            assert_eq!(freqs.len(), pmf.len());
            assert!(freqs.iter().all(|&f| f > 0));
            assert_eq!(freqs.iter().map(|&f| u64::from(f)).sum::<u64>(), 1 << precision);
        }
    }
}

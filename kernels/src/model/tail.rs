//! Tail masses of the three standard distributions, as integer tables with linear interpolation.
//!
//! `tail(z)` is the mass above `z >= 0`, in units of `2^-32`; all three distributions are symmetric, so the rest of the
//! CDF follows. A table entry every `2^-6` makes the interpolated density wrong by at most `z / 128` (Gaussian) or
//! `1 / 128` of itself, which costs about 1e-5 nats a symbol, however large the scale is. The tables (14 KiB) are
//! computed by the compiler, in integers: there is no generator to run and no float to disagree about.

use super::scale::{MEAN_FRACTION_BITS, Scale};

/// The standard distributions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Density `exp(-z^2 / 2) / sqrt(2 pi)`; the scale is the standard deviation.
    Gaussian = 0,
    /// Density `exp(-|z|) / 2`; the scale is the mean absolute deviation.
    Laplace = 1,
    /// CDF `1 / (1 + exp(-z))`; the scale is `sqrt(3) / pi` standard deviations.
    Logistic = 2,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Gaussian, Self::Laplace, Self::Logistic];
}

/// Fraction bits of `z`.
pub(super) const Z_BITS: u32 = 27;
/// Of which the table resolves this many; the rest interpolates.
const STEP_BITS: u32 = 6;
const BETWEEN_BITS: u32 = Z_BITS - STEP_BITS;

/// Past its table's end a tail is 0: 8 for a Gaussian (6e-16), 24 for the exponential ones (4e-11, below `2^-32`).
const GAUSSIAN_END: usize = 8;
const EXPONENTIAL_END: usize = 24;
const GAUSSIAN_LEN: usize = (GAUSSIAN_END << STEP_BITS) + 1;
const EXPONENTIAL_LEN: usize = (EXPONENTIAL_END << STEP_BITS) + 1;

static GAUSSIAN: [u32; GAUSSIAN_LEN] = gaussian();
static LAPLACE: [u32; EXPONENTIAL_LEN] = exponential(false);
static LOGISTIC: [u32; EXPONENTIAL_LEN] = exponential(true);

#[inline]
const fn table(kind: Kind) -> &'static [u32] {
    match kind {
        Kind::Gaussian => &GAUSSIAN,
        Kind::Laplace => &LAPLACE,
        Kind::Logistic => &LOGISTIC,
    }
}

/// The mass above `z` (Q27), in units of `2^-32`: `2^31` at 0, never increasing, 0 past the table.
#[inline]
pub(super) fn tail(kind: Kind, z: u32) -> u32 {
    interpolate(table(kind), z)
}

#[inline]
const fn interpolate(table: &[u32], z: u32) -> u32 {
    let index = (z >> BETWEEN_BITS) as usize;
    if index + 1 >= table.len() {
        return 0;
    }
    let between = z & ((1 << BETWEEN_BITS) - 1);
    let (upper, lower) = (table[index], table[index + 1]);
    upper - (((upper - lower) as u64 * between as u64) >> BETWEEN_BITS) as u32
}

/// `F((edge - mean) / scale)` in units of `2^-32`, where `offset = edge - mean` is in units of `2^-12`: the CDF of
/// `kind`. Never decreases as `offset` grows.
#[inline]
pub fn cdf_q32(kind: Kind, offset: i64, scale: Scale) -> u64 {
    let (octave, reciprocal) = scale.parts();
    // Saturating keeps the order, and past 2^32 units nothing is left to tell apart.
    let distance = offset.unsigned_abs().min(u32::MAX as u64);
    // Q12 distance times Q31 reciprocal of the mantissa; 2^-6 is the scale of octave 0.
    const SHIFT: u32 = MEAN_FRACTION_BITS + 31 - 6 - Z_BITS;
    let z = ((distance * reciprocal as u64) >> (SHIFT + octave)).min(u32::MAX as u64) as u32;
    let tail = tail(kind, z) as u64;
    if offset < 0 { tail } else { (1 << 32) - tail }
}

/// An estimate of the offset (units of `2^-12`) at which the CDF reaches `mass` (units of `2^-32`). It only decides
/// where a search starts.
#[inline]
pub(super) fn quantile_estimate(kind: Kind, mass: u32, scale: Scale) -> i64 {
    let below = mass < 1 << 31;
    let tail = if below { mass } else { !mass };
    let z = inverse_tail(kind, tail);
    // z in Q16, the scale's mantissa in Q31; 2^-6 is the scale of octave 0.
    let (octave, mantissa) = scale.mantissa();
    let offset = ((z as u64 * mantissa as u64) >> (31 + 16 - MEAN_FRACTION_BITS)) << octave >> 6;
    let offset = offset as i64;
    if below { -offset } else { offset }
}

/// Entries of the inverse table for one power of two of tail mass.
const INVERSE_BITS: u32 = 4;
const INVERSE_LEN: usize = (32 << INVERSE_BITS) + 1;

/// `z` (Q16) by tail mass, in floating-point-like steps: index `(exponent << 4) | mantissa`, interpolated.
static INVERSES: [[u32; INVERSE_LEN]; 3] =
    [inverse(&GAUSSIAN), inverse(&LAPLACE), inverse(&LOGISTIC)];

#[inline]
fn inverse_tail(kind: Kind, tail: u32) -> u32 {
    let table = &INVERSES[kind as usize];
    // Normalise to 1.31 bits: 4 index bits after the leading one, the rest interpolates.
    let tail = tail.max(1);
    let exponent = 31 - tail.leading_zeros();
    let fraction = (tail << tail.leading_zeros()) << 1;
    let index = ((exponent << INVERSE_BITS) | (fraction >> (32 - INVERSE_BITS))) as usize;
    let between = (fraction << INVERSE_BITS) >> 16;
    // The inverse decreases as the tail grows.
    let (upper, lower) =
        (table[index.min(INVERSE_LEN - 2)], table[(index + 1).min(INVERSE_LEN - 1)]);
    upper - (((upper - lower) as u64 * between as u64) >> 16) as u32
}

const fn inverse(tails: &[u32]) -> [u32; INVERSE_LEN] {
    let mut table = [0; INVERSE_LEN];
    let mut i = 0;
    while i < INVERSE_LEN {
        let exponent = (i >> INVERSE_BITS) as u32;
        let mantissa = ((1 << INVERSE_BITS) | (i & ((1 << INVERSE_BITS) - 1))) as u64;
        let mass = (mantissa << exponent) >> INVERSE_BITS;
        // The largest step whose tail is at least `mass`, then the linear remainder.
        let (mut low, mut high) = (0, tails.len() - 1);
        while high - low > 1 {
            let middle = (low + high) / 2;
            if tails[middle] as u64 >= mass {
                low = middle;
            } else {
                high = middle;
            }
        }
        let drop = (tails[low] - tails[high]) as u64;
        let over = (tails[low] as u64).saturating_sub(mass);
        let part = match (over << (16 - STEP_BITS)).checked_div(drop) {
            Some(part) => part,
            None => 0,
        };
        table[i] = ((low as u64) << (16 - STEP_BITS)) as u32 + part as u32;
        i += 1;
    }
    // Integer tails are flat far out, where the search above is not exactly ordered.
    let mut i = INVERSE_LEN - 1;
    while i > 0 {
        i -= 1;
        if table[i] < table[i + 1] {
            table[i] = table[i + 1];
        }
    }
    table
}

const fn mul_q63(a: u64, b: u64) -> u64 {
    ((a as u128 * b as u128) >> 63) as u64
}

/// `exp(-2^-n)` in Q63, by its series.
const fn exp_minus_power(n: u32) -> u64 {
    let mut sum = 1i128 << 96;
    let mut term = 1i128 << 96;
    let mut k = 1;
    while k < 24 {
        term = -((term >> n) / k);
        sum += term;
        k += 1;
    }
    (sum >> 33) as u64
}

/// Gaussian tails by Simpson's rule with four nodes a step (its error, about 4e-12, is below `2^-37`), relative to
/// their value at 0: no constant is needed.
const fn gaussian() -> [u32; GAUSSIAN_LEN] {
    // g(i) = exp(-(i/256)^2 / 2); g(i+1) = g(i) r(i) and r(i+1) = r(i) exp(-2^-16).
    let ratio = exp_minus_power(16);
    let mut r = exp_minus_power(17);
    let mut g = 1u64 << 63;
    let mut steps = [0u128; GAUSSIAN_LEN];
    let mut i = 0;
    while i + 1 < GAUSSIAN_LEN {
        // Simpson over two pairs: weights 1 4 2 4 1.
        let mut sum = g as u128;
        let mut node = 1;
        while node <= 4 {
            g = mul_q63(g, r);
            r = mul_q63(r, ratio);
            let weight = if node == 4 {
                1
            } else if node == 2 {
                2
            } else {
                4
            };
            sum += weight * g as u128;
            node += 1;
        }
        steps[i] = sum;
        i += 1;
    }
    // Suffix sums, scaled so that the whole is 2^31.
    let mut i = GAUSSIAN_LEN - 1;
    while i > 0 {
        i -= 1;
        steps[i] += steps[i + 1];
    }
    let mut table = [0; GAUSSIAN_LEN];
    let whole = steps[0];
    let mut i = 0;
    while i < GAUSSIAN_LEN {
        table[i] = (((steps[i] << 31) + whole / 2) / whole) as u32;
        i += 1;
    }
    table
}

/// `exp(-z) / 2`, or `exp(-z) / (1 + exp(-z))`.
const fn exponential(logistic: bool) -> [u32; EXPONENTIAL_LEN] {
    let ratio = exp_minus_power(STEP_BITS);
    let mut table = [0; EXPONENTIAL_LEN];
    let mut e = 1u64 << 63;
    let mut i = 0;
    while i < EXPONENTIAL_LEN {
        let q32 = (e as u128) << 32;
        let whole: u128 = if logistic { (1 << 63) + e as u128 } else { 1 << 64 };
        table[i] = ((q32 + whole / 2) / whole) as u32;
        e = mul_q63(e, ratio);
        i += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(kind: Kind, z: f64) -> f64 {
        match kind {
            Kind::Gaussian => libm::erfc(z / core::f64::consts::SQRT_2) / 2.0,
            Kind::Laplace => libm::exp(-z) / 2.0,
            Kind::Logistic => 1.0 / (1.0 + libm::exp(z)),
        }
    }

    #[test]
    fn tables_are_the_tails_to_the_last_bit_or_so() {
        for kind in Kind::ALL {
            for (i, &entry) in table(kind).iter().enumerate() {
                let exact = exact(kind, i as f64 / 64.0) * 4_294_967_296.0;
                assert!((f64::from(entry) - exact).abs() < 0.6, "{kind:?} {i}: {entry} {exact}");
            }
            assert_eq!(table(kind)[0], 1 << 31);
            assert!(table(kind).is_sorted_by(|a, b| a >= b), "{kind:?}");
        }
        // Hand-checked: Phi(-1) = 0.15865525393, exp(-1)/2 = 0.18393972059, 1/(1+e) = 0.26894142137.
        assert_eq!(tail(Kind::Gaussian, 1 << Z_BITS), 681_419_127);
        assert_eq!(tail(Kind::Laplace, 1 << Z_BITS), 790_015_084);
        assert_eq!(tail(Kind::Logistic, 1 << Z_BITS), 1_155_094_609);
    }

    #[test]
    fn tails_never_increase() {
        for kind in Kind::ALL {
            let mut last = u32::MAX;
            for z in (0..u32::MAX).step_by(40_009) {
                let now = tail(kind, z);
                assert!(now <= last, "{kind:?} {z}");
                last = now;
            }
            // Every value around the ends of the table's steps.
            for index in 0..2048u32 {
                let edge = index << BETWEEN_BITS;
                for z in edge.saturating_sub(3)..edge + 3 {
                    assert!(tail(kind, z) >= tail(kind, z + 1), "{kind:?} {z}");
                }
            }
            assert_eq!(tail(kind, u32::MAX), 0);
        }
    }

    #[test]
    fn the_quantile_estimate_is_close() {
        for kind in Kind::ALL {
            for code in (0..=Scale::MAX.code()).step_by(97) {
                let scale = Scale::from_code(code).unwrap();
                for mass in (1 << 12..u32::MAX - (1 << 12)).step_by(7_654_321) {
                    let offset = quantile_estimate(kind, mass, scale);
                    let there = cdf_q32(kind, offset, scale) as f64;
                    let (mass, off) = (f64::from(mass), offset as f64 / 4096.0);
                    let tail = mass.min(4_294_967_296.0 - mass);
                    // Within 2 % of the tail mass, or one unit of the offset where the scale is tiny.
                    let unit = 4_294_967_296.0 / (scale.to_f64() * 4096.0);
                    assert!(
                        (there - mass).abs() < 0.02 * tail + unit,
                        "{kind:?} {code} {mass} {off} {there}"
                    );
                }
            }
        }
    }
}

//! Tail masses of the three standard distributions, as integer tables with linear interpolation.
//!
//! `tail(z)` is the mass above `z >= 0`, in units of `2^-32`; all three distributions are
//! symmetric, so the rest of the CDF follows. A table entry every `2^-6` makes the interpolated
//! density wrong by at most `z / 128` (Gaussian) or `1 / 128` of itself, which costs about 1e-5
//! nats a symbol, however large the scale is. The tables (24 KiB, of which little is touched) are
//! computed by the compiler, in integers: there is no generator to run and no float to disagree
//! about.

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

/// Fraction bits of `z`, which stays below 32.
const Z_BITS: u32 = 26;
/// Of which the table resolves this many; the rest interpolates.
const STEP_BITS: u32 = 6;
const BETWEEN_BITS: u32 = Z_BITS - STEP_BITS;

/// Tables reach as far as `z` does, so that no index needs a check. Past 8 a Gaussian's tail
/// (6e-16) is 0, past 23 the exponential ones (1e-10, less than half of `2^-32`).
const TABLE_LEN: usize = (1 << (31 - BETWEEN_BITS)) + 1;
const GAUSSIAN_LEN: usize = (8 << STEP_BITS) + 1;

pub(super) type TailTable = [u32; TABLE_LEN];

static GAUSSIAN: TailTable = gaussian();
static LAPLACE: TailTable = exponential(false);
static LOGISTIC: TailTable = exponential(true);

/// The tail masses at multiples of `2^-6`.
#[inline(always)]
pub(super) const fn table(kind: Kind) -> &'static TailTable {
    match kind {
        Kind::Gaussian => &GAUSSIAN,
        Kind::Laplace => &LAPLACE,
        Kind::Logistic => &LOGISTIC,
    }
}

/// High half of the product.
#[inline(always)]
pub(super) const fn mul_high(a: u32, b: u32) -> u32 {
    ((a as u64 * b as u64) >> 32) as u32
}

/// Where `z = distance / scale` lies: the index of the table's step, and how far into it (in units
/// of `2^-32` of it). `distance` is in units of `2^-12`, `octave` and `reciprocal` are the scale's
/// [`parts`](Scale::parts).
#[inline(always)]
pub(super) const fn step_at(distance: u32, octave: u32, reciprocal: u32) -> (u32, u32) {
    // 2^-6 is the scale of octave 0: there Q12 is Q6 of the scale.
    const SHIFT: u32 = Z_BITS - MEAN_FRACTION_BITS + 6;
    let (left, right) = (SHIFT.saturating_sub(octave), octave.saturating_sub(SHIFT));
    let most = u32::MAX >> left;
    let limited = if distance < most { distance } else { most };
    let z = mul_high(limited << left >> right, reciprocal);
    let z = if z < 1 << 31 { z } else { (1 << 31) - 1 };
    (z >> BETWEEN_BITS, z << (32 - BETWEEN_BITS))
}

/// The tail mass in a step, from those at its ends, in units of `2^-32`: `2^31` at 0, never
/// increasing.
#[inline(always)]
pub(super) const fn interpolate(upper: u32, lower: u32, between: u32) -> u32 {
    upper - mul_high(upper - lower, between)
}

/// The mass above a distance (units of `2^-12`), in units of `2^-32`.
#[inline]
fn tail(kind: Kind, distance: u32, scale: Scale) -> u32 {
    let (octave, reciprocal) = scale.parts();
    let (index, between) = step_at(distance, octave, reciprocal);
    let table = table(kind);
    interpolate(table[index as usize], table[index as usize + 1], between)
}

/// `F((edge - mean) / scale)` in units of `2^-32`, where `offset = edge - mean` is in units of
/// `2^-12`: the CDF of `kind`. Never decreases as `offset` grows.
#[inline]
pub fn cdf_q32(kind: Kind, offset: i64, scale: Scale) -> u64 {
    // Saturating keeps the order, and past 2^32 units nothing is left to distinguish.
    let distance = offset.unsigned_abs().min(u32::MAX as u64) as u32;
    let tail = tail(kind, distance, scale) as u64;
    if offset < 0 { tail } else { (1 << 32) - tail }
}

/// An estimate of the offset (units of `2^-12`) at which the CDF reaches `mass` (units of `2^-32`).
/// It only decides where a search starts.
#[inline]
pub(super) fn quantile_estimate(kind: Kind, mass: u32, scale: Scale) -> i64 {
    let (index, between) = inverse_step_at(mass);
    let table = inverse_table(kind);
    let z = inverse_interpolate(table[index as usize], table[index as usize + 1], between);
    let (octave, mantissa) = scale.mantissa();
    let offset = i64::from(distance_of(z, octave, mantissa));
    if mass < 1 << 31 { -offset } else { offset }
}

/// The distance (units of `2^-12`) of `z` (Q16), by the scale's [`mantissa`](Scale::mantissa).
#[inline(always)]
pub(super) const fn distance_of(z: u32, octave: u32, mantissa: u32) -> u32 {
    // z in Q26 and the mantissa in Q31 are Q25 of octave 0, whose scale is 2^-6.
    const SHIFT: u32 = 25 - MEAN_FRACTION_BITS + 6;
    let (left, right) = (octave.saturating_sub(SHIFT), SHIFT.saturating_sub(octave));
    let distance = mul_high(z << 10, mantissa) >> right;
    let most = u32::MAX >> left;
    (if distance < most { distance } else { most }) << left
}

/// Entries of the inverse table for one power of two of tail mass.
const INVERSE_BITS: u32 = 6;
const INVERSE_LEN: usize = (32 << INVERSE_BITS) + 1;

pub(super) type InverseTable = [u32; INVERSE_LEN];

/// `z` (Q16) by tail mass, in floating-point-like steps: index `(exponent << 6) | mantissa`,
/// interpolated.
static INVERSES: [InverseTable; 3] = [inverse(&GAUSSIAN), inverse(&LAPLACE), inverse(&LOGISTIC)];

#[inline(always)]
pub(super) const fn inverse_table(kind: Kind) -> &'static InverseTable {
    &INVERSES[kind as usize]
}

/// The index of the inverse table's step in which the nearer tail of `mass` lies, and how far into
/// it (16 bits).
#[inline(always)]
pub(super) const fn inverse_step_at(mass: u32) -> (u32, u32) {
    let tail = if mass < 1 << 31 { mass } else { !mass };
    // A float is the step as it stands: exponent, leading bits, and the rest. Conversion rounds,
    // which an estimate may.
    let bits = (tail as i32 as f32).to_bits();
    let step = (bits >> (23 - INVERSE_BITS)).saturating_sub(127 << INVERSE_BITS);
    (step % (32 << INVERSE_BITS), (bits << (9 + INVERSE_BITS)) >> 16)
}

/// `z` (Q16) in a step, from its values at the step's ends. The inverse decreases as the tail
/// grows.
#[inline(always)]
pub(super) const fn inverse_interpolate(upper: u32, lower: u32, between: u32) -> u32 {
    // Neighbours are less than 1 apart, so that 32 bits hold the product.
    upper - (((upper - lower) * between) >> 16)
}

const fn inverse(tails: &TailTable) -> InverseTable {
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
        } else if table[i] - table[i + 1] > 0xffff {
            // A product by 16 bits has to fit.
            table[i] = table[i + 1] + 0xffff;
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

/// Gaussian tails by Simpson's rule with four nodes a step (its error, about 4e-12, is below
/// `2^-37`), relative to their value at 0: no constant is needed.
const fn gaussian() -> TailTable {
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
    let mut table = [0; TABLE_LEN];
    let whole = steps[0];
    let mut i = 0;
    while i < GAUSSIAN_LEN {
        table[i] = (((steps[i] << 31) + whole / 2) / whole) as u32;
        i += 1;
    }
    table
}

/// `exp(-z) / 2`, or `exp(-z) / (1 + exp(-z))`.
const fn exponential(logistic: bool) -> TailTable {
    let ratio = exp_minus_power(STEP_BITS);
    let mut table = [0; TABLE_LEN];
    let mut e = 1u64 << 63;
    let mut i = 0;
    while i < TABLE_LEN {
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

    /// The mass above `z` (Q26).
    fn tail_at(kind: Kind, z: u32) -> u32 {
        let (index, between) = (z >> BETWEEN_BITS, z << (32 - BETWEEN_BITS));
        let table = table(kind);
        interpolate(table[index as usize], table[index as usize + 1], between)
    }

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
        // Hand-checked: Phi(-1) = 0.15865525393, exp(-1)/2 = 0.18393972059, 1/(1+e) =
        // 0.26894142137.
        assert_eq!(tail_at(Kind::Gaussian, 1 << Z_BITS), 681_419_127);
        assert_eq!(tail_at(Kind::Laplace, 1 << Z_BITS), 790_015_084);
        assert_eq!(tail_at(Kind::Logistic, 1 << Z_BITS), 1_155_094_609);
    }

    #[test]
    fn tails_never_increase() {
        for kind in Kind::ALL {
            let mut last = u32::MAX;
            for z in (0..1 << 31).step_by(20_011) {
                let now = tail_at(kind, z);
                assert!(now <= last, "{kind:?} {z}");
                last = now;
            }
            // Every value around the ends of the table's steps.
            for index in 0..2047u32 {
                let edge = index << BETWEEN_BITS;
                for z in edge.saturating_sub(3)..edge + 3 {
                    assert!(tail_at(kind, z) >= tail_at(kind, z + 1), "{kind:?} {z}");
                }
            }
            assert_eq!(tail_at(kind, (1 << 31) - 1), 0);
        }
    }

    #[test]
    fn neighbouring_inverses_are_less_than_one_apart() {
        for kind in Kind::ALL {
            assert!(inverse_table(kind).windows(2).all(|pair| pair[0] - pair[1] < 1 << 16));
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
                    // Within 2 % of the tail mass, or one unit of the offset where the scale is
                    // tiny.
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

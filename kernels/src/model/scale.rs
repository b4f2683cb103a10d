//! Fixed-point parameters: the mean in units of `2^-12`, the scale as a logarithmic code.
//!
//! A logarithmic scale makes `1 / scale` a 256-entry lookup and a shift, so that evaluating a CDF
//! never divides. Steps of `2^(1/256)` are 0.27 % apart: a scale that is off by half a step costs
//! `(0.00135)^2` = 1.8e-6 nats a symbol. A mean that is off by `2^-13` costs at most
//! `2^-27 / scale^2` nats, 2e-6 at a scale of 0.06.

/// Fraction bits of a [`Mean`].
pub const MEAN_FRACTION_BITS: u32 = 12;
/// Codes of a [`Scale`] in one doubling.
pub const SCALE_STEPS_PER_OCTAVE: u32 = 256;
/// `log2` of the smallest scale, negated: code 0 is a scale of `2^-6`.
const LOG2_MIN: u32 = 6;
/// Doublings between the smallest and the largest scale (`2^16`).
const OCTAVES: u32 = 22;

/// A distribution's mean (or location) in units of `2^-12`: about -524288 to 524288.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Mean(pub i32);

impl Mean {
    /// The nearest mean to `value` (ties to even), saturating at the ends of the range; `None` for
    /// NaN.
    ///
    /// A function of the float's bits alone: the product by `2^12` is exact or saturates.
    pub fn from_f32(value: f32) -> Option<Self> {
        if value.is_nan() {
            return None;
        }
        // In f64 the product is exact for every f32; adding and subtracting 1.5 * 2^52 rounds it to
        // an integer, ties to even, in IEEE arithmetic (core has no rounding function).
        const ROUND: f64 = 6_755_399_441_055_744.0;
        let scaled = (f64::from(value) * f64::from(1u32 << MEAN_FRACTION_BITS))
            .clamp(f64::from(i32::MIN), f64::from(i32::MAX));
        Some(Self(((scaled + ROUND) - ROUND) as i32))
    }

    /// The mean as a float, for reports and tests.
    pub fn to_f64(self) -> f64 {
        f64::from(self.0) / f64::from(1u32 << MEAN_FRACTION_BITS)
    }

    /// The nearest integer (halves up): where the window is centred.
    #[inline]
    pub(super) fn centre(self) -> i32 {
        ((i64::from(self.0) + (1 << (MEAN_FRACTION_BITS - 1))) >> MEAN_FRACTION_BITS) as i32
    }
}

/// A distribution's scale (standard deviation, Laplace diversity, logistic scale) as a logarithmic
/// code: `scale = 2^(code / 256 - 6)`, from `2^-6` (code 0) to `2^16` (code 5632).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Scale(u16);

impl Scale {
    /// The smallest scale, `2^-6`.
    pub const MIN: Self = Self(0);
    /// The largest scale, `2^16`.
    pub const MAX: Self = Self((OCTAVES * SCALE_STEPS_PER_OCTAVE) as u16);

    /// The scale of `code`; `None` above [`Scale::MAX`].
    #[inline]
    pub const fn from_code(code: u16) -> Option<Self> {
        if code <= Self::MAX.0 { Some(Self(code)) } else { None }
    }

    /// The code.
    #[inline]
    pub const fn code(self) -> u16 {
        self.0
    }

    /// The nearest code (on the logarithmic axis) to `value`, saturating at [`Scale::MIN`] and
    /// [`Scale::MAX`]; `None` for NaN and for values that are not positive.
    ///
    /// A function of the float's bits alone: the exponent is the octave, the mantissa is compared
    /// with integers.
    pub fn from_f32(value: f32) -> Option<Self> {
        if value.is_nan() || value <= 0.0 {
            return None;
        }
        let bits = value.to_bits();
        // Subnormals have exponent field 0 and land, like everything tiny, on the smallest code.
        let octave = (bits >> 23) as i32 - 127 + LOG2_MIN as i32;
        if octave < 0 {
            // The octave below the smallest can still round up to code 0, which is also where it
            // saturates.
            return Some(Self::MIN);
        }
        if octave >= OCTAVES as i32 {
            return Some(Self::MAX);
        }
        // 1.mantissa in Q31, among the midpoints 2^((f + 1/2) / 256).
        let mantissa = ((bits & 0x7f_ffff) | 0x80_0000) << 8;
        let (mut low, mut high) = (0usize, SCALE_STEPS_PER_OCTAVE as usize);
        while low < high {
            let middle = (low + high) / 2;
            if MIDPOINTS[middle] <= mantissa {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Some(Self((octave as u32 * SCALE_STEPS_PER_OCTAVE + low as u32) as u16))
    }

    /// The scale as a float, for reports and tests (`f64`, correct to about `2^-30`).
    pub fn to_f64(self) -> f64 {
        let (octave, reciprocal) = self.parts();
        let base = f64::from(1u32 << octave) / f64::from(1u32 << LOG2_MIN);
        base * 4_294_967_296.0 / f64::from(reciprocal)
    }

    /// `floor(log2(scale)) + 6`, and `2^(-fraction)` in Q32 (above `2^31`; one unit less than 1
    /// where that is what it is).
    #[inline(always)]
    pub(super) const fn parts(self) -> (u32, u32) {
        let code = self.0 as u32;
        let fraction = code % SCALE_STEPS_PER_OCTAVE;
        (code / SCALE_STEPS_PER_OCTAVE, POWERS[fraction as usize][0])
    }

    /// `log2` of the scale of `code`, rounded to the nearest integer.
    #[inline(always)]
    pub(super) const fn log2_rounded(code: u16) -> i32 {
        ((code as u32 + SCALE_STEPS_PER_OCTAVE / 2) / SCALE_STEPS_PER_OCTAVE) as i32
            - LOG2_MIN as i32
    }

    /// `floor(log2(scale)) + 6`, and `2^fraction` in Q31 (at least `2^31`, below `2^32`): the
    /// inverse of [`Self::parts`].
    #[inline(always)]
    pub(super) const fn mantissa(self) -> (u32, u32) {
        let code = self.0 as u32;
        (code / SCALE_STEPS_PER_OCTAVE, POWERS[(code % SCALE_STEPS_PER_OCTAVE) as usize][1])
    }

    /// `scale * factor / 16` to the nearest integer, for `factor` below `2^10`: window radii.
    #[inline(always)]
    pub(super) const fn times_sixteenths(self, factor: u32) -> u32 {
        let (octave, mantissa) = self.mantissa();
        sixteenths_of(octave, mantissa, factor)
    }
}

/// See [`Scale::times_sixteenths`], whose scale this takes apart.
#[inline(always)]
pub(super) const fn sixteenths_of(octave: u32, mantissa: u32, factor: u32) -> u32 {
    // Q21 of the mantissa, Q6 for the smallest scale, Q4 for the factor: 32 bits hold the product.
    ((mantissa >> 10) * factor + (1 << (30 - octave))) >> (31 - octave)
}

/// `2^(-i/256)` in Q32, one unit less for 0, and `2^(i/256)` in Q31.
pub(super) static POWERS: [[u32; 2]; SCALE_STEPS_PER_OCTAVE as usize] = powers();
/// `2^((i + 1/2) / 256)` in Q31: where [`Scale::from_f32`] goes from code `i` to `i + 1`.
static MIDPOINTS: [u32; SCALE_STEPS_PER_OCTAVE as usize] = midpoints();

/// `2^(-2^-n)` in Q63, by square roots of one half.
const fn root_of_half(n: u32) -> u64 {
    let mut x = 1u64 << 62;
    let mut i = 0;
    while i < n {
        x = ((x as u128) << 63).isqrt() as u64;
        i += 1;
    }
    x
}

const fn mul_q63(a: u64, b: u64) -> u64 {
    ((a as u128 * b as u128) >> 63) as u64
}

/// `2^(-i/256)` in Q32, of which the first does not fit.
const fn reciprocals() -> [u32; SCALE_STEPS_PER_OCTAVE as usize] {
    let step = root_of_half(8);
    let mut table = [0; SCALE_STEPS_PER_OCTAVE as usize];
    let mut x = 1u64 << 63;
    let mut i = 0;
    while i < table.len() {
        let rounded = (x as u128 + (1 << 30)) >> 31;
        table[i] = if rounded > u32::MAX as u128 { u32::MAX } else { rounded as u32 };
        x = mul_q63(x, step);
        i += 1;
    }
    table
}

const fn powers() -> [[u32; 2]; SCALE_STEPS_PER_OCTAVE as usize] {
    let reciprocals = reciprocals();
    let mut table = [[u32::MAX, 1 << 31]; SCALE_STEPS_PER_OCTAVE as usize];
    let mut i = 1;
    while i < table.len() {
        // 2^(i/256) = 2 * 2^-((256 - i) / 256)
        table[i] = [reciprocals[i], reciprocals[table.len() - i]];
        i += 1;
    }
    table
}

const fn midpoints() -> [u32; SCALE_STEPS_PER_OCTAVE as usize] {
    // 2^((i + 1/2) / 256) = 2 * 2^-((255 - i) / 256 + 1/512), counted downwards from i = 255.
    let step = root_of_half(8);
    let mut table = [0; SCALE_STEPS_PER_OCTAVE as usize];
    let mut x = root_of_half(9);
    let mut i = table.len();
    while i > 0 {
        i -= 1;
        table[i] = (x >> 31) as u32;
        x = mul_q63(x, step);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_powers_of_two_at_whole_octaves() {
        assert_eq!(Scale::from_f32(1.0).unwrap().code(), 6 * 256);
        assert_eq!(Scale::from_f32(0.5).unwrap().code(), 5 * 256);
        assert_eq!(Scale::from_f32(65536.0), Some(Scale::MAX));
        assert_eq!(Scale::from_f32(1e30), Some(Scale::MAX));
        assert_eq!(Scale::from_f32(f32::INFINITY), Some(Scale::MAX));
        assert_eq!(Scale::from_f32(1e-30), Some(Scale::MIN));
        assert_eq!(Scale::from_f32(f32::from_bits(1)), Some(Scale::MIN));
        for bad in [0.0, -1.0, f32::NAN, f32::NEG_INFINITY] {
            assert_eq!(Scale::from_f32(bad), None);
        }
        assert_eq!(Scale::from_code(5632), Some(Scale::MAX));
        assert_eq!(Scale::from_code(5633), None);
    }

    #[test]
    fn every_code_is_the_nearest_to_its_own_value() {
        for code in 0..=Scale::MAX.code() {
            let scale = Scale::from_code(code).unwrap();
            let exact = (f64::from(code) / 256.0 - 6.0).exp2_for_tests();
            assert!((scale.to_f64() / exact - 1.0).abs() < 1e-8, "{code}");
            assert_eq!(Scale::from_f32(scale.to_f64() as f32), Some(scale), "{code}");
            // A third of a step to either side still rounds to it.
            let third = (1.0f64 / 768.0).exp2_for_tests();
            for moved in [exact * third, exact / third] {
                assert_eq!(Scale::from_f32(moved as f32), Some(scale), "{code}");
            }
            let radius = f64::from(scale.times_sixteenths(77));
            assert!((radius - exact * 77.0 / 16.0).abs() < 0.5 + 1e-4 * radius, "{code} {radius}");
        }
    }

    #[test]
    fn means_round_to_the_nearest_unit() {
        assert_eq!(Mean::from_f32(1.0), Some(Mean(4096)));
        assert_eq!(Mean::from_f32(-0.25), Some(Mean(-1024)));
        assert_eq!(Mean::from_f32(0.5 / 4096.0), Some(Mean(0)));
        assert_eq!(Mean::from_f32(1.5 / 4096.0), Some(Mean(2)));
        assert_eq!(Mean::from_f32(-1.5 / 4096.0), Some(Mean(-2)));
        assert_eq!(Mean::from_f32(f32::INFINITY), Some(Mean(i32::MAX)));
        assert_eq!(Mean::from_f32(-1e20), Some(Mean(i32::MIN)));
        assert_eq!(Mean::from_f32(f32::NAN), None);
        assert_eq!(Mean(2048).centre(), 1);
        assert_eq!(Mean(2047).centre(), 0);
        assert_eq!(Mean(-2048).centre(), 0);
        assert_eq!(Mean(-2049).centre(), -1);
        assert_eq!(Mean(i32::MAX).centre(), 1 << 19);
    }

    trait Exp2 {
        fn exp2_for_tests(self) -> f64;
    }
    impl Exp2 for f64 {
        fn exp2_for_tests(self) -> f64 {
            libm::exp2(self)
        }
    }
}

//! Floating point with the rounding modes of PTX.
//!
//! The host rounds to nearest. For the directed modes an operation is done in `f64` *to odd*:
//! inexact results get their last bit set, so that a later rounding to a narrower type, in
//! whichever mode, is the one rounding of the exact value. `f64` itself is stepped one place where
//! the sign of the error, found without rounding ([`exact`]), asks for it. The approximate
//! functions are computed exactly and rounded once: nearer than the ISA asks for, not bit for bit a
//! GPU's.

use half::{bf16, f16};

use super::exact;
use super::frame::{Frame, Lane};
use crate::ir::{Cmp, Float1, Float2, FloatMode, Reg, Round, TestP, Ty};

/// A floating-point type of the device.
pub(super) trait Float: Lane + PartialOrd {
    /// Significand bits, the hidden one included.
    const BITS: u32;
    /// What an operation that yields no number yields.
    const NO_NUMBER: Self;
    fn wide(self) -> f64;
    /// Rounds a value that is exact or was rounded to odd.
    fn round(value: f64, mode: Round) -> Self;
    fn flush(self) -> Self;
}

/// The sum with its last bit set where it is inexact.
fn odd(value: f64, error: f64) -> f64 {
    if error == 0.0 || error.is_nan() || !value.is_finite() {
        return value;
    }
    // Towards zero first: the truncated value, then its last bit.
    let away = (error > 0.0) == (value > 0.0);
    let truncated = if away { value } else { f64::from_bits(value.to_bits() - 1) };
    f64::from_bits(truncated.to_bits() | 1)
}

/// Exact error of a rounded sum (Knuth).
fn sum_error(a: f64, b: f64, sum: f64) -> f64 {
    let part = sum - a;
    (a - (sum - part)) + (b - part)
}

/// Steps a value that was rounded to nearest, given the sign of what it lost, to where a mode wants
/// it. An overflow has lost what lies between infinity and the exact value.
fn step(value: f64, error: f64, mode: Round) -> f64 {
    match mode {
        Round::Up if error > 0.0 => value.next_up(),
        Round::Down if error < 0.0 => value.next_down(),
        Round::Zero if error > 0.0 && value < 0.0 => value.next_up(),
        Round::Zero if error < 0.0 && value > 0.0 => value.next_down(),
        _ => value,
    }
}

macro_rules! narrow_round {
    ($type:ty, $nearest:expr, $up:expr, $down:expr) => {
        fn round(value: f64, mode: Round) -> Self {
            let near: $type = $nearest(value);
            if value.is_nan() {
                return Self::NO_NUMBER;
            }
            let back = near.wide();
            match mode {
                Round::Up if back < value => $up(near),
                Round::Down if back > value => $down(near),
                Round::Zero if back.abs() > value.abs() && value > 0.0 => $down(near),
                Round::Zero if back.abs() > value.abs() => $up(near),
                _ => near,
            }
        }
    };
}

impl Float for f32 {
    const BITS: u32 = 24;
    const NO_NUMBER: Self = Self::from_bits(0x7fff_ffff);
    fn wide(self) -> f64 {
        self.into()
    }
    narrow_round!(f32, |v: f64| v as f32, f32::next_up, f32::next_down);
    fn flush(self) -> Self {
        if self.is_subnormal() { Self::from_bits(self.to_bits() & 1 << 31) } else { self }
    }
}

impl Float for f64 {
    const BITS: u32 = 53;
    const NO_NUMBER: Self = Self::NAN;
    fn wide(self) -> f64 {
        self
    }
    fn round(value: f64, _: Round) -> Self {
        value
    }
    fn flush(self) -> Self {
        self
    }
}

/// The value of a narrower format that is nearest, ties to even. The format has so many bits of
/// significand, and numbers from `least` as exponent on are normal. Larger than its greatest value
/// is what rounds to infinity.
fn nearest(value: f64, bits: u32, least: i32) -> f64 {
    if !value.is_finite() || value == 0.0 {
        return value;
    }
    let exponent = (value.to_bits() >> 52 & 0x7ff) as i32 - 1023;
    let place = exponent.max(least) - bits as i32 + 1;
    let place = f64::from_bits(((place + 1023) as u64) << 52);
    // Both steps but the rounding are exact: the place is a power of two.
    (value / place).round_ties_even() * place
}

/// The next bit pattern of a 16-bit format towards plus (or minus) infinity.
fn step16(bits: u16, up: bool) -> u16 {
    let negative = bits & 0x8000 != 0;
    match (bits & 0x7fff, up != negative) {
        (0, _) => {
            if up {
                1
            } else {
                0x8001
            }
        }
        (_, true) => bits + 1,
        (_, false) => bits - 1,
    }
}

macro_rules! half_float {
    ($type:ty, $bits:expr, $least:expr) => {
        impl Float for $type {
            const BITS: u32 = $bits;
            const NO_NUMBER: Self = Self::from_bits(0x7fff);
            fn wide(self) -> f64 {
                self.to_f64()
            }
            narrow_round!(
                $type,
                // The conversion of the crate rounds to f32 first, or drops bits.
                |v: f64| <$type>::from_f64(nearest(v, $bits, $least)),
                |v: $type| <$type>::from_bits(step16(v.to_bits(), true)),
                |v: $type| <$type>::from_bits(step16(v.to_bits(), false))
            );
            fn flush(self) -> Self {
                let subnormal = self.classify() == std::num::FpCategory::Subnormal;
                if subnormal { Self::from_bits(self.to_bits() & 0x8000) } else { self }
            }
        }
    };
}
half_float!(f16, 11, -14);
half_float!(bf16, 8, -126);

/// Applies the modifiers to a result.
pub(super) fn finish<T: Float>(value: T, mode: FloatMode) -> T {
    let value = if mode.ftz { value.flush() } else { value };
    if !mode.sat {
        return value;
    }
    let wide = value.wide();
    // NaN saturates to zero.
    if wide >= 1.0 {
        T::round(1.0, Round::Near)
    } else if wide > 0.0 {
        value
    } else {
        T::round(0.0, Round::Near)
    }
}

fn input<T: Float>(value: T, mode: FloatMode) -> T {
    if mode.ftz { value.flush() } else { value }
}

fn two<T: Float>(op: Float2, a: T, b: T, mode: FloatMode) -> T {
    let (a, b) = (input(a, mode), input(b, mode));
    let (x, y) = (a.wide(), b.wide());
    match op {
        Float2::Min | Float2::Max => {
            let take_a = match (x.is_nan(), y.is_nan()) {
                (false, false) => {
                    // -0 is less than +0.
                    let less = x < y || (x == y && x.is_sign_negative());
                    less == (op == Float2::Min)
                }
                (true, true) => return T::NO_NUMBER,
                _ if mode.special => return T::NO_NUMBER,
                (true, false) => false,
                (false, true) => true,
            };
            return if take_a { a } else { b };
        }
        Float2::CopySign => return T::round(x.copysign(y), Round::Near),
        _ => {}
    }
    let (value, error) = match op {
        Float2::Add | Float2::Sub => {
            let y = if op == Float2::Sub { -y } else { y };
            let sum = x + y;
            (sum, lost::<T>(sum, mode.round, || sum_error(x, y, sum), &[(x, 1.0), (y, 1.0)]))
        }
        Float2::Mul => {
            let product = x * y;
            let narrow = || x.mul_add(y, -product);
            (product, lost::<T>(product, mode.round, narrow, &[(x, y)]))
        }
        _ => quotient::<T>(x, y, mode.round),
    };
    finish(round_with(value, error, mode.round, zero_sign(op, x, y, mode.round)), mode)
}

/// What a result has lost, or at least its sign: in `f64` from the products that it should be the
/// sum of, in a narrower type from `narrow`, which is exact there.
fn lost<T: Float>(
    value: f64,
    round: Round,
    narrow: impl FnOnce() -> f64,
    products: &[(f64, f64)],
) -> f64 {
    if T::BITS < 53 {
        return narrow();
    }
    let finite = products.iter().all(|(a, b)| a.is_finite() && b.is_finite());
    if round == Round::Near || !finite {
        return 0.0;
    }
    if value.is_infinite() {
        return -value.signum();
    }
    let mut terms = [(0.0, 0.0); 3];
    terms[..products.len()].copy_from_slice(products);
    terms[products.len()] = (value, -1.0);
    exact::sign(&terms)
}

/// A quotient and the sign of what it has lost.
fn quotient<T: Float>(x: f64, y: f64, round: Round) -> (f64, f64) {
    let q = x / y;
    if y == 0.0 || (T::BITS == 53 && round == Round::Near) {
        return (q, 0.0);
    }
    // The remainder has the sign of the error times the divisor's.
    let remainder = match (T::BITS, q.is_infinite() && x.is_finite()) {
        (53, true) => return (q, -q.signum()),
        (53, false) => exact::sign(&[(x, 1.0), (-q, y)]),
        _ => (-q).mul_add(y, x),
    };
    (q, remainder * y.signum())
}

/// In the downward mode an exact zero sum of unlike signs is negative.
fn zero_sign(op: Float2, x: f64, y: f64, round: Round) -> bool {
    let y = if op == Float2::Sub { -y } else { y };
    matches!(op, Float2::Add | Float2::Sub)
        && round == Round::Down
        && x == -y
        && x.is_sign_negative() != y.is_sign_negative()
}

fn round_with<T: Float>(value: f64, error: f64, mode: Round, negative_zero: bool) -> T {
    if value.is_nan() {
        return T::NO_NUMBER;
    }
    if negative_zero && value == 0.0 {
        return T::round(-0.0, mode);
    }
    if T::BITS == 53 {
        return T::round(step(value, error, mode), mode);
    }
    T::round(odd(value, error), mode)
}

fn fused<T: Float>(a: T, b: T, c: T, mode: FloatMode) -> T {
    let (x, y, z) = (input(a, mode).wide(), input(b, mode).wide(), input(c, mode).wide());
    let (value, error) = if T::BITS == 53 {
        let value = x.mul_add(y, z);
        (value, lost::<T>(value, mode.round, || 0.0, &[(x, y), (z, 1.0)]))
    } else {
        // The product of two narrower significands is exact in f64.
        let p = x * y;
        (p + z, sum_error(p, z, p + z))
    };
    let negative = x.is_sign_negative() != y.is_sign_negative();
    let opposite = negative != z.is_sign_negative();
    let negative_zero = mode.round == Round::Down && opposite && error == 0.0;
    let value = finish(round_with(value, error, mode.round, negative_zero), mode);
    if mode.special { relu(value) } else { value }
}

/// `.relu`: negative values become zero, NaN the canonical one.
pub(super) fn relu<T: Float>(value: T) -> T {
    let wide = value.wide();
    if wide.is_nan() {
        T::NO_NUMBER
    } else if wide < 0.0 {
        T::round(0.0, Round::Near)
    } else {
        value
    }
}

fn one<T: Float>(op: Float1, a: T, mode: FloatMode) -> T {
    let x = input(a, mode).wide();
    let (value, error) = match op {
        Float1::Neg => return finish(T::round(-x, Round::Near), mode),
        Float1::Abs => return finish(T::round(x.abs(), Round::Near), mode),
        Float1::Sqrt => {
            let root = x.sqrt();
            let error = match T::BITS {
                53 => exact::sign(&[(x, 1.0), (-root, root)]),
                _ => (-root).mul_add(root, x),
            };
            (root, error)
        }
        Float1::Rcp => quotient::<T>(1.0, x, mode.round),
        Float1::Rsqrt => (1.0 / x.sqrt(), 0.0),
        Float1::Ex2 => (x.exp2(), 0.0),
        Float1::Lg2 => (x.log2(), 0.0),
        Float1::Sin => (x.sin(), 0.0),
        Float1::Cos => (x.cos(), 0.0),
        Float1::Tanh => (x.tanh(), 0.0),
    };
    finish(round_with(value, error, mode.round, false), mode)
}

/// Both halves of a packed pair.
fn halves(v: u32) -> [u16; 2] {
    [v as u16, (v >> 16) as u16]
}

fn join([low, high]: [u16; 2]) -> u32 {
    u32::from(high) << 16 | u32::from(low)
}

/// Calls `go!(type)` for a scalar type, or `pair!(half type)` for a packed one.
macro_rules! by_type {
    ($ty:expr, $go:ident, $pair:ident) => {
        match $ty {
            Ty::F16 => $go!(f16),
            Ty::Bf16 => $go!(bf16),
            Ty::F64 => $go!(f64),
            Ty::F16x2 => $pair!(f16),
            Ty::Bf16x2 => $pair!(bf16),
            _ => $go!(f32),
        }
    };
}

/// Two sources.
pub(super) fn op2(f: &mut Frame, op: Float2, ty: Ty, mode: FloatMode, regs: [Reg; 3], m: u32) {
    // The plain operations of f32 and f64, which the host has as they are.
    let plain = mode.round == Round::Near && !mode.ftz && !mode.sat;
    let canonical = |v: f32| if v.is_nan() { f32::from_bits(0x7fff_ffff) } else { v };
    match (plain, ty, op) {
        (true, Ty::F32, Float2::Add) => {
            return f.map2(regs, m, |a: f32, b: f32| canonical(a + b));
        }
        (true, Ty::F32, Float2::Sub) => {
            return f.map2(regs, m, |a: f32, b: f32| canonical(a - b));
        }
        (true, Ty::F32, Float2::Mul) => {
            return f.map2(regs, m, |a: f32, b: f32| canonical(a * b));
        }
        _ => {}
    }
    macro_rules! go {
        ($t:ty) => {
            f.map2(regs, m, |a: $t, b: $t| two(op, a, b, mode))
        };
    }
    macro_rules! pair {
        ($t:ty) => {
            f.map2(regs, m, |a: u32, b: u32| {
                let (a, b) = (halves(a).map(<$t>::from_bits), halves(b).map(<$t>::from_bits));
                join([two(op, a[0], b[0], mode).to_bits(), two(op, a[1], b[1], mode).to_bits()])
            })
        };
    }
    by_type!(ty, go, pair);
}

/// `fma`
pub(super) fn fma(f: &mut Frame, ty: Ty, mode: FloatMode, regs: [Reg; 4], m: u32) {
    macro_rules! go {
        ($t:ty) => {
            f.map3(regs, m, |a: $t, b: $t, c: $t| fused(a, b, c, mode))
        };
    }
    macro_rules! pair {
        ($t:ty) => {
            f.map3(regs, m, |a: u32, b: u32, c: u32| {
                let [a, b, c] = [a, b, c].map(|v| halves(v).map(<$t>::from_bits));
                join([
                    fused(a[0], b[0], c[0], mode).to_bits(),
                    fused(a[1], b[1], c[1], mode).to_bits(),
                ])
            })
        };
    }
    by_type!(ty, go, pair);
}

/// One source.
pub(super) fn op1(f: &mut Frame, op: Float1, ty: Ty, mode: FloatMode, d: Reg, a: Reg, m: u32) {
    macro_rules! go {
        ($t:ty) => {
            f.map1(d, a, m, |a: $t| one(op, a, mode))
        };
    }
    macro_rules! pair {
        ($t:ty) => {
            f.map1(d, a, m, |a: u32| {
                let a = halves(a).map(<$t>::from_bits);
                join(a.map(|a| one(op, a, mode).to_bits()))
            })
        };
    }
    by_type!(ty, go, pair);
}

/// Whether a comparison holds.
pub(super) fn compare<T: PartialOrd>(cmp: Cmp, a: T, b: T) -> bool {
    let order = a.partial_cmp(&b);
    match cmp {
        Cmp::Eq => order == Some(std::cmp::Ordering::Equal),
        Cmp::Ne => order.is_some_and(|o| o.is_ne()),
        Cmp::Lt => order.is_some_and(|o| o.is_lt()),
        Cmp::Le => order.is_some_and(|o| o.is_le()),
        Cmp::Gt => order.is_some_and(|o| o.is_gt()),
        Cmp::Ge => order.is_some_and(|o| o.is_ge()),
        Cmp::Equ => order.is_none_or(|o| o.is_eq()),
        Cmp::Neu => order.is_none_or(|o| o.is_ne()),
        Cmp::Ltu => order.is_none_or(|o| o.is_lt()),
        Cmp::Leu => order.is_none_or(|o| o.is_le()),
        Cmp::Gtu => order.is_none_or(|o| o.is_gt()),
        Cmp::Geu => order.is_none_or(|o| o.is_ge()),
        Cmp::Num => order.is_some(),
        Cmp::Nan => order.is_none(),
    }
}

/// The lanes where a comparison of any type holds.
pub(super) fn compare_lanes(f: &Frame, cmp: Cmp, ty: Ty, ftz: bool, a: Reg, b: Reg) -> u32 {
    macro_rules! integers {
        ($t:ty) => {
            match cmp {
                Cmp::Eq => f.test2(a, b, |a: $t, b: $t| a == b),
                Cmp::Ne => f.test2(a, b, |a: $t, b: $t| a != b),
                Cmp::Lt => f.test2(a, b, |a: $t, b: $t| a < b),
                Cmp::Le => f.test2(a, b, |a: $t, b: $t| a <= b),
                Cmp::Gt => f.test2(a, b, |a: $t, b: $t| a > b),
                _ => f.test2(a, b, |a: $t, b: $t| a >= b),
            }
        };
    }
    match ty {
        Ty::B16 | Ty::U16 => integers!(u16),
        Ty::S16 => integers!(i16),
        Ty::S32 => integers!(i32),
        Ty::B64 | Ty::U64 => integers!(u64),
        Ty::S64 => integers!(i64),
        Ty::F16 => {
            f.test2(
                a,
                b,
                |a: f16, b: f16| {
                    if ftz { compare(cmp, a.flush(), b.flush()) } else { compare(cmp, a, b) }
                },
            )
        }
        Ty::Bf16 => f.test2(a, b, |a: bf16, b: bf16| compare(cmp, a, b)),
        Ty::F32 => {
            f.test2(
                a,
                b,
                |a: f32, b: f32| {
                    if ftz { compare(cmp, a.flush(), b.flush()) } else { compare(cmp, a, b) }
                },
            )
        }
        Ty::F64 => f.test2(a, b, |a: f64, b: f64| compare(cmp, a, b)),
        _ => integers!(u32),
    }
}

/// The lanes where `testp` holds.
pub(super) fn test_property(f: &Frame, property: TestP, ty: Ty, a: Reg) -> u32 {
    use std::num::FpCategory;
    let holds = |class: FpCategory| match property {
        TestP::Finite => !matches!(class, FpCategory::Nan | FpCategory::Infinite),
        TestP::Infinite => class == FpCategory::Infinite,
        TestP::Number => class != FpCategory::Nan,
        TestP::NotANumber => class == FpCategory::Nan,
        // The ISA counts zeros as normal.
        TestP::Normal => matches!(class, FpCategory::Normal | FpCategory::Zero),
        TestP::Subnormal => class == FpCategory::Subnormal,
    };
    if ty == Ty::F64 {
        f.test2(a, a, |a: f64, _| holds(a.classify()))
    } else {
        f.test2(a, a, |a: f32, _| holds(a.classify()))
    }
}

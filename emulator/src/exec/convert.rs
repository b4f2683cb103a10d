//! `cvt`: between integers, between floating-point types, and across.

use half::{bf16, f16};

use super::float::{Float, finish, relu};
use super::frame::{Frame, LANES, Lane, Lanes};
use crate::ir::{FloatMode, Instr, Round, Ty};

/// Sign- or zero-extends the low bits of a value.
fn extend(value: u64, bits: u32, signed: bool) -> u64 {
    let unused = 64 - bits;
    if signed { ((value << unused) as i64 >> unused) as u64 } else { value << unused >> unused }
}

fn int_to_int(value: u64, from: Ty, to: Ty, sat: bool) -> u64 {
    let value = extend(value, from.bits(), from.signed());
    if !sat {
        return value;
    }
    let exact = if from.signed() { i128::from(value as i64) } else { i128::from(value) };
    let (low, high) = limits(to);
    exact.clamp(low, high) as u64
}

fn limits(ty: Ty) -> (i128, i128) {
    let bits = ty.bits();
    if ty.signed() { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) }
}

fn to_float(value: u64, from: Ty) -> f64 {
    match from {
        Ty::F16 => f16::from_bits(value as u16).to_f64(),
        Ty::Bf16 => bf16::from_bits(value as u16).to_f64(),
        Ty::F32 => f32::from_bits(value as u32).into(),
        _ => f64::from_bits(value),
    }
}

fn integral(value: f64, round: Round) -> f64 {
    match round {
        Round::Near => value.round_ties_even(),
        Round::Zero => value.trunc(),
        Round::Down => value.floor(),
        Round::Up => value.ceil(),
        Round::Away => value,
    }
}

fn float_to_int(value: f64, from: Ty, to: Ty, mode: FloatMode) -> u64 {
    if value.is_nan() {
        // Zero, except where 64 bits are involved: there the highest bit alone.
        let wide = from == Ty::F64 || to.bits() == 64;
        return if wide { 1 << (to.bits() - 1) } else { 0 };
    }
    let value = if mode.ftz && from == Ty::F32 { (value as f32).flush().into() } else { value };
    // Out of range saturates, with and without `.sat`.
    let (low, high) = limits(to);
    (integral(value, mode.round) as i128).clamp(low, high) as u64
}

/// An integer as the nearest `f64` to odd.
fn int_to_float_odd(exact: i128) -> f64 {
    let near = exact as f64;
    let back = near as i128;
    if back == exact {
        return near;
    }
    // Truncate towards zero, then mark the loss in the last bit.
    let bits = if back.abs() > exact.abs() { near.to_bits() - 1 } else { near.to_bits() };
    f64::from_bits(bits | 1)
}

fn int_to_f64(exact: i128, round: Round) -> f64 {
    let near = exact as f64;
    let back = near as i128;
    match round {
        Round::Up if back < exact => near.next_up(),
        Round::Down if back > exact => near.next_down(),
        Round::Zero if back.abs() > exact.abs() => f64::from_bits(near.to_bits() - 1),
        _ => near,
    }
}

/// A wide value as the bits of a narrower type.
fn narrow(value: f64, to: Ty, mode: FloatMode) -> u64 {
    fn bits<T: Float>(value: f64, mode: FloatMode) -> T {
        let rounded = finish(T::round(value, mode.round), mode);
        if mode.special { relu(rounded) } else { rounded }
    }
    match to {
        Ty::F16 => bits::<f16>(value, mode).to_bits().into(),
        Ty::Bf16 => bits::<bf16>(value, mode).to_bits().into(),
        Ty::F32 => bits::<f32>(value, mode).to_bits().into(),
        Ty::Tf32 => u64::from(tf32(value as f32, mode)),
        _ => bits::<f64>(value, mode).to_bits(),
    }
}

/// Rounds to the 10 stored bits of tf32.
fn tf32(value: f32, mode: FloatMode) -> u32 {
    if value.is_nan() {
        return f32::from_bits(0x7fff_ffff).to_bits();
    }
    if mode.special && value < 0.0 {
        return 0;
    }
    let bits = value.to_bits();
    let kept = bits & !0x1fff;
    let lost = bits & 0x1fff;
    let up = match mode.round {
        Round::Away => lost >= 0x1000,
        Round::Near => lost > 0x1000 || (lost == 0x1000 && bits & 0x2000 != 0),
        _ => false,
    };
    if up && value.is_finite() { kept + 0x2000 } else { kept }
}

fn convert(value: u64, from: Ty, to: Ty, mode: FloatMode) -> u64 {
    match (from.float(), to.float()) {
        (false, false) => int_to_int(value, from, to, mode.sat),
        (false, true) => {
            let value = extend(value, from.bits(), from.signed());
            let exact = if from.signed() { i128::from(value as i64) } else { i128::from(value) };
            if to == Ty::F64 {
                return narrow(int_to_f64(exact, mode.round), to, mode);
            }
            narrow(int_to_float_odd(exact), to, mode)
        }
        (true, false) => float_to_int(to_float(value, from), from, to, mode),
        (true, true) => {
            let mut wide = to_float(value, from);
            if mode.ftz && from == Ty::F32 {
                wide = (wide as f32).flush().into();
            }
            if from == to {
                wide = integral(wide, mode.round);
                return narrow(wide, to, FloatMode { round: Round::Near, ..mode });
            }
            narrow(wide, to, mode)
        }
    }
}

/// `cvt`; `to_bits` is the width of the destination register.
pub(super) fn cvt(
    f: &mut Frame,
    (from, to, mode): (Ty, Ty, FloatMode),
    (from_wide, to_bits): (bool, u8),
    i: &Instr,
    mask: u32,
) {
    let source: Lanes<u64> =
        if from_wide { u64::read(f, i.a) } else { u32::read(f, i.a).map(u64::from) };
    // Conversions between integers without saturation are what compilers write most of.
    let result: Lanes<u64> = if !from.float() && !to.float() && !mode.sat {
        source.map(|v| extend(extend(v, from.bits(), from.signed()), to.bits(), to.signed()))
    } else {
        let mut result = [0; LANES];
        for lane in crate::memory::order::lanes_of(mask) {
            let value = convert(source[lane], from, to, mode);
            result[lane] = extend(value, to.bits(), to.signed());
        }
        result
    };
    match to_bits {
        64 => u64::write(f, i.d, mask, result),
        32 => u32::write(f, i.d, mask, result.map(|v| v as u32)),
        _ => u16::write(f, i.d, mask, result.map(|v| v as u16)),
    }
}

/// `cvt` of two f32 to a packed pair; the first is the high half.
pub(super) fn cvt_pack(f: &mut Frame, to: Ty, mode: FloatMode, i: &Instr, mask: u32) {
    let half = if to == Ty::F16x2 { Ty::F16 } else { Ty::Bf16 };
    f.map2([i.d, i.a, i.b], mask, |a: f32, b: f32| {
        let (high, low) = (narrow(a.into(), half, mode), narrow(b.into(), half, mode));
        (high << 16 | low) as u32
    });
}

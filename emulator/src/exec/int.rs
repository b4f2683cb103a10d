//! Integer instructions: each lane by itself.

use super::frame::{Frame, Lane, Lanes};
use crate::ir::{Instr, Int1, Int2, NONE, Prmt, Reg, W};

/// What the three widths have in common.
macro_rules! int2 {
    ($frame:expr, $regs:expr, $mask:expr, $op:expr, $u:ty, $i:ty, $wide_u:ty, $wide_i:ty) => {{
        const BITS: u32 = <$u>::BITS;
        let (frame, regs, m): (&mut Frame, [Reg; 3], u32) = ($frame, $regs, $mask);
        match $op {
            Int2::Add => frame.map2(regs, m, |a: $u, b: $u| a.wrapping_add(b)),
            Int2::AddSat => frame.map2(regs, m, |a: $i, b: $i| a.saturating_add(b)),
            Int2::Sub => frame.map2(regs, m, |a: $u, b: $u| a.wrapping_sub(b)),
            Int2::SubSat => frame.map2(regs, m, |a: $i, b: $i| a.saturating_sub(b)),
            Int2::Mul => frame.map2(regs, m, |a: $u, b: $u| a.wrapping_mul(b)),
            Int2::MulHiU => {
                let f = |a: $u, b: $u| ((a as $wide_u * b as $wide_u) >> BITS) as $u;
                frame.map2(regs, m, f);
            }
            Int2::MulHiS => {
                let f = |a: $i, b: $i| ((a as $wide_i * b as $wide_i) >> BITS) as $u;
                frame.map2(regs, m, f);
            }
            // Division by zero is unspecified by the ISA; all ones (and the dividend) is what
            // hardware gives.
            Int2::DivU => frame.map2(regs, m, |a: $u, b: $u| a.checked_div(b).unwrap_or(<$u>::MAX)),
            Int2::DivS => {
                frame.map2(regs, m, |a: $i, b: $i| if b == 0 { -1 } else { a.wrapping_div(b) });
            }
            Int2::RemU => frame.map2(regs, m, |a: $u, b: $u| a.checked_rem(b).unwrap_or(a)),
            Int2::RemS => {
                frame.map2(regs, m, |a: $i, b: $i| if b == 0 { a } else { a.wrapping_rem(b) });
            }
            Int2::MinU => frame.map2(regs, m, |a: $u, b: $u| a.min(b)),
            Int2::MinS => frame.map2(regs, m, |a: $i, b: $i| a.min(b)),
            Int2::MaxU => frame.map2(regs, m, |a: $u, b: $u| a.max(b)),
            Int2::MaxS => frame.map2(regs, m, |a: $i, b: $i| a.max(b)),
            Int2::And => frame.map2(regs, m, |a: $u, b: $u| a & b),
            Int2::Or => frame.map2(regs, m, |a: $u, b: $u| a | b),
            Int2::Xor => frame.map2(regs, m, |a: $u, b: $u| a ^ b),
            // Shifts beyond the width give zero, or the sign.
            Int2::Shl => {
                let f = |a: $u, b: u32| if b < BITS { a << (b & (BITS - 1)) } else { 0 };
                frame.map2(regs, m, f);
            }
            Int2::ShrU => {
                let f = |a: $u, b: u32| if b < BITS { a >> (b & (BITS - 1)) } else { 0 };
                frame.map2(regs, m, f);
            }
            Int2::ShrS => frame.map2(regs, m, |a: $i, b: u32| a >> b.min(BITS - 1)),
        }
    }};
}

/// Two sources.
pub(super) fn two(frame: &mut Frame, op: Int2, w: W, regs: [Reg; 3], mask: u32) {
    match w {
        W::B16 => int2!(frame, regs, mask, op, u16, i16, u32, i32),
        W::B32 => int2!(frame, regs, mask, op, u32, i32, u64, i64),
        W::B64 => int2!(frame, regs, mask, op, u64, i64, u128, i128),
    }
}

macro_rules! int1 {
    ($frame:expr, $d:expr, $a:expr, $mask:expr, $op:expr, $u:ty, $i:ty) => {{
        const BITS: u32 = <$u>::BITS;
        let (frame, d, a, m): (&mut Frame, Reg, Reg, u32) = ($frame, $d, $a, $mask);
        // The highest bit that differs from the sign.
        let significant = |v: $i| (if v < 0 { !v } else { v }) as $u;
        let top = |v: $u| (BITS - 1).wrapping_sub(v.leading_zeros());
        let shift = |v: $u| if v == 0 { u32::MAX } else { v.leading_zeros() };
        match $op {
            Int1::Mov => frame.map1(d, a, m, |v: $u| v),
            Int1::Neg => frame.map1(d, a, m, |v: $u| v.wrapping_neg()),
            Int1::Not => frame.map1(d, a, m, |v: $u| !v),
            Int1::Cnot => frame.map1(d, a, m, |v: $u| (v == 0) as $u),
            Int1::Abs => frame.map1(d, a, m, |v: $i| v.wrapping_abs()),
            Int1::Brev => frame.map1(d, a, m, |v: $u| v.reverse_bits()),
            Int1::Popc => frame.map1(d, a, m, |v: $u| v.count_ones()),
            Int1::Clz => frame.map1(d, a, m, |v: $u| v.leading_zeros()),
            Int1::BfindU => frame.map1(d, a, m, top),
            Int1::BfindS => frame.map1(d, a, m, |v: $i| top(significant(v))),
            Int1::BfindShiftU => frame.map1(d, a, m, shift),
            Int1::BfindShiftS => frame.map1(d, a, m, |v: $i| shift(significant(v))),
        }
    }};
}

/// One source.
pub(super) fn one(frame: &mut Frame, op: Int1, w: W, d: Reg, a: Reg, mask: u32) {
    match w {
        W::B16 => int1!(frame, d, a, mask, op, u16, i16),
        W::B32 => int1!(frame, d, a, mask, op, u32, i32),
        W::B64 => int1!(frame, d, a, mask, op, u64, i64),
    }
}

/// `mul.wide`
pub(super) fn mul_wide(frame: &mut Frame, signed: bool, w: W, regs: [Reg; 3], mask: u32) {
    match (w, signed) {
        (W::B16, false) => frame.map2(regs, mask, |a: u16, b: u16| u32::from(a) * u32::from(b)),
        (W::B16, true) => frame.map2(regs, mask, |a: i16, b: i16| i32::from(a) * i32::from(b)),
        (_, false) => frame.map2(regs, mask, |a: u32, b: u32| u64::from(a) * u64::from(b)),
        (_, true) => frame.map2(regs, mask, |a: i32, b: i32| i64::from(a) * i64::from(b)),
    }
}

/// `mad.wide`
pub(super) fn mad_wide(frame: &mut Frame, signed: bool, w: W, regs: [Reg; 4], m: u32) {
    match (w, signed) {
        (W::B16, false) => frame
            .map3(regs, m, |a: u16, b: u16, c: u32| (u32::from(a) * u32::from(b)).wrapping_add(c)),
        (W::B16, true) => frame
            .map3(regs, m, |a: i16, b: i16, c: i32| (i32::from(a) * i32::from(b)).wrapping_add(c)),
        (_, false) => frame
            .map3(regs, m, |a: u32, b: u32, c: u64| (u64::from(a) * u64::from(b)).wrapping_add(c)),
        (_, true) => frame
            .map3(regs, m, |a: i32, b: i32, c: i64| (i64::from(a) * i64::from(b)).wrapping_add(c)),
    }
}

/// `mad.lo`
pub(super) fn mad_lo(frame: &mut Frame, w: W, regs: [Reg; 4], m: u32) {
    match w {
        W::B16 => frame.map3(regs, m, |a: u16, b: u16, c: u16| a.wrapping_mul(b).wrapping_add(c)),
        W::B32 => frame.map3(regs, m, |a: u32, b: u32, c: u32| a.wrapping_mul(b).wrapping_add(c)),
        W::B64 => frame.map3(regs, m, |a: u64, b: u64, c: u64| a.wrapping_mul(b).wrapping_add(c)),
    }
}

/// The high half of a product.
fn mul_hi(signed: bool, bits: u32, a: u64, b: u64) -> u64 {
    if signed {
        let extend = |v: u64| i128::from((v as i64) << (64 - bits) >> (64 - bits));
        ((extend(a) * extend(b)) >> bits) as u64
    } else {
        ((u128::from(a) * u128::from(b)) >> bits) as u64
    }
}

/// `mad.hi`
pub(super) fn mad_hi(frame: &mut Frame, signed: bool, w: W, regs: [Reg; 4], m: u32) {
    match w {
        W::B16 => frame.map3(regs, m, |a: u16, b: u16, c: u16| {
            (mul_hi(signed, 16, a.into(), b.into()) as u16).wrapping_add(c)
        }),
        W::B32 => frame.map3(regs, m, |a: u32, b: u32, c: u32| {
            (mul_hi(signed, 32, a.into(), b.into()) as u32).wrapping_add(c)
        }),
        W::B64 => {
            frame.map3(regs, m, |a: u64, b: u64, c: u64| mul_hi(signed, 64, a, b).wrapping_add(c))
        }
    }
}

/// `mad.hi.sat.s32`
pub(super) fn mad_hi_sat(frame: &mut Frame, regs: [Reg; 4], mask: u32) {
    frame.map3(regs, mask, |a: i32, b: i32, c: i32| {
        (((i64::from(a) * i64::from(b)) >> 32) as i32).saturating_add(c)
    });
}

/// `mul24` and `mad24`
pub(super) fn mul24(
    frame: &mut Frame,
    (hi, signed, sat): (bool, bool, bool),
    [d, a, b, c]: [Reg; 4],
    mask: u32,
) {
    let product = |a: u32, b: u32| {
        let p = if signed {
            let extend = |v: u32| i64::from((v as i32) << 8 >> 8);
            extend(a) * extend(b)
        } else {
            i64::from(a & 0xff_ffff) * i64::from(b & 0xff_ffff)
        };
        // The product has 48 bits: the high result is its upper 32.
        if hi { (p >> 16) as u32 } else { p as u32 }
    };
    if c == NONE {
        frame.map2([d, a, b], mask, product);
    } else if sat {
        frame.map3([d, a, b, c], mask, |a: u32, b: u32, c: i32| {
            (product(a, b) as i32).saturating_add(c)
        });
    } else {
        frame.map3([d, a, b, c], mask, |a: u32, b: u32, c: u32| product(a, b).wrapping_add(c));
    }
}

fn chain<T: Lane>(
    frame: &mut Frame,
    d: Reg,
    mask: u32,
    carry_out: bool,
    results: Lanes<(T, bool)>,
) {
    T::write(frame, d, mask, results.map(|(value, _)| value));
    if carry_out {
        let carries = results.iter().enumerate().fold(0, |all, (i, r)| all | u32::from(r.1) << i);
        frame.carry = (frame.carry & !mask) | (carries & mask);
    }
}

/// `add.cc`, `addc`, `sub.cc`, `subc`
pub(super) fn add_carry(
    frame: &mut Frame,
    (sub, carry_in, carry_out, w): (bool, bool, bool, W),
    [d, a, b]: [Reg; 3],
    mask: u32,
) {
    // A subtraction adds the complement and one: the flag is one where it borrows nothing, and
    // `subc` subtracts the flag's complement.
    let first_carry = if sub { u32::MAX } else { 0 };
    let carries = if carry_in { frame.carry } else { first_carry };
    macro_rules! go {
        ($u:ty) => {{
            let (a, b) = (<$u>::read(frame, a), <$u>::read(frame, b));
            let results = std::array::from_fn(|i| {
                let (first, over1) = a[i].overflowing_add(if sub { !b[i] } else { b[i] });
                let (last, over2) = first.overflowing_add((carries >> i & 1) as $u);
                (last, over1 || over2)
            });
            chain(frame, d, mask, carry_out, results);
        }};
    }
    match w {
        W::B64 => go!(u64),
        _ => go!(u32),
    }
}

/// `mad.cc` and `madc`
pub(super) fn mad_carry(
    frame: &mut Frame,
    (hi, signed, carry_in, carry_out, w): (bool, bool, bool, bool, W),
    [d, a, b, c]: [Reg; 4],
    mask: u32,
) {
    let carries = if carry_in { frame.carry } else { 0 };
    macro_rules! go {
        ($u:ty) => {{
            let (a, b, c) = (<$u>::read(frame, a), <$u>::read(frame, b), <$u>::read(frame, c));
            let results = std::array::from_fn(|i| {
                let part = if hi {
                    mul_hi(signed, <$u>::BITS, a[i].into(), b[i].into()) as $u
                } else {
                    a[i].wrapping_mul(b[i])
                };
                let (first, over1) = part.overflowing_add(c[i]);
                let (last, over2) = first.overflowing_add((carries >> i & 1) as $u);
                (last, over1 || over2)
            });
            chain(frame, d, mask, carry_out, results);
        }};
    }
    match w {
        W::B64 => go!(u64),
        _ => go!(u32),
    }
}

/// Funnel shift: `b` is the high half.
pub(super) fn shf(frame: &mut Frame, left: bool, wrap: bool, regs: [Reg; 4], mask: u32) {
    let amount = |c: u32| if wrap { c & 31 } else { c.min(32) };
    let joined = |a: u32, b: u32| u64::from(b) << 32 | u64::from(a);
    if left {
        frame.map3(regs, mask, |a, b, c| ((joined(a, b) << amount(c)) >> 32) as u32);
    } else {
        frame.map3(regs, mask, |a, b, c| (joined(a, b) >> amount(c)) as u32);
    }
}

/// Bit field extract. Position and length are bytes.
fn extract(v: u64, bits: u32, signed: bool, at: u32, len: u32) -> u64 {
    let (at, len) = (at & 0xff, len & 0xff);
    let bit = |i: u32| if i < bits { v >> i & 1 } else { 0 };
    // The sign is that of the field's last bit, or of the word's where the field runs past it.
    let sign = if !signed || len == 0 { 0 } else { bit((at + len - 1).min(bits - 1)) };
    let field = if at < bits { v >> at } else { 0 };
    let inside = len.min(bits.saturating_sub(at));
    let low = u64::MAX.checked_shl(inside).map_or(u64::MAX, |high| !high);
    (field & low) | if sign != 0 { !low } else { 0 }
}

/// `bfe`
pub(super) fn bfe(frame: &mut Frame, signed: bool, w: W, regs: [Reg; 4], mask: u32) {
    if w == W::B64 {
        frame.map3(regs, mask, |a: u64, b: u32, c: u32| extract(a, 64, signed, b, c));
    } else {
        frame.map3(regs, mask, |a: u32, b: u32, c: u32| extract(a.into(), 32, signed, b, c) as u32);
    }
}

/// `bfi`
pub(super) fn bfi(frame: &mut Frame, w: W, i: &Instr, mask: u32) {
    let (at, len) = (u32::read(frame, i.c), u32::read(frame, i.x));
    let insert = |bits: u32, a: u64, b: u64, lane: usize| {
        let (at, len) = (at[lane] & 0xff, len[lane] & 0xff);
        if at >= bits || len == 0 {
            return b;
        }
        let low = u64::MAX.checked_shl(len).map_or(u64::MAX, |high| !high);
        (b & !(low << at)) | ((a & low) << at)
    };
    if w == W::B64 {
        let (a, b) = (u64::read(frame, i.a), u64::read(frame, i.b));
        u64::write(frame, i.d, mask, std::array::from_fn(|l| insert(64, a[l], b[l], l)));
    } else {
        let (a, b) = (u32::read(frame, i.a), u32::read(frame, i.b));
        let result = |l| insert(32, u32::into(a[l]), u32::into(b[l]), l) as u32;
        u32::write(frame, i.d, mask, std::array::from_fn(result));
    }
}

/// `prmt`
pub(super) fn prmt(frame: &mut Frame, mode: Prmt, regs: [Reg; 4], mask: u32) {
    frame.map3(regs, mask, |a: u32, b: u32, c: u32| {
        let pool = u64::from(b) << 32 | u64::from(a);
        let byte = |selector: u32| {
            let value = (pool >> (8 * (selector & 7))) as u8;
            // Bit 3 of a selector replicates the sign.
            if selector & 8 != 0 { if value & 0x80 != 0 { 0xff } else { 0 } } else { value }
        };
        let s = c & 3;
        let at = |i: u32| match mode {
            Prmt::Index => c >> (4 * i) & 15,
            Prmt::F4e => s + i,
            Prmt::B4e => (8 + s - i) & 7,
            Prmt::Rc8 => s,
            Prmt::Ecl => i.max(s),
            Prmt::Ecr => i.min(s),
            Prmt::Rc16 => (s & 1) * 2 + (i & 1),
        };
        u32::from_le_bytes([byte(at(0)), byte(at(1)), byte(at(2)), byte(at(3))])
    });
}

/// `lop3`
pub(super) fn lop3(frame: &mut Frame, lut: u8, regs: [Reg; 4], mask: u32) {
    // The tables of the commonest functions, which the loop below would take eight steps for.
    match lut {
        0x80 => return frame.map3(regs, mask, |a: u32, b: u32, c: u32| a & b & c),
        0xfe => return frame.map3(regs, mask, |a: u32, b: u32, c: u32| a | b | c),
        0x96 => return frame.map3(regs, mask, |a: u32, b: u32, c: u32| a ^ b ^ c),
        0xea => return frame.map3(regs, mask, |a: u32, b: u32, c: u32| (a & b) | c),
        0xf8 => return frame.map3(regs, mask, |a: u32, b: u32, c: u32| a | (b & c)),
        _ => {}
    }
    frame.map3(regs, mask, |a: u32, b: u32, c: u32| {
        (0..8).filter(|row| lut >> row & 1 != 0).fold(0, |sum, row: u32| {
            let pick = |v: u32, bit: u32| if row >> bit & 1 != 0 { v } else { !v };
            sum | (pick(a, 2) & pick(b, 1) & pick(c, 0))
        })
    });
}

/// `sad`
pub(super) fn sad(frame: &mut Frame, signed: bool, w: W, regs: [Reg; 4], m: u32) {
    macro_rules! go {
        ($u:ty, $i:ty) => {
            if signed {
                frame.map3(regs, m, |a: $i, b: $i, c: $u| c.wrapping_add(a.abs_diff(b)))
            } else {
                frame.map3(regs, m, |a: $u, b: $u, c: $u| c.wrapping_add(a.abs_diff(b)))
            }
        };
    }
    match w {
        W::B16 => go!(u16, i16),
        W::B32 => go!(u32, i32),
        W::B64 => go!(u64, i64),
    }
}

fn part(v: u32, bits: u32, at: u32, signed: bool) -> i64 {
    let field = v >> (bits * at) & ((1 << bits) - 1);
    if signed { i64::from((field << (32 - bits)) as i32 >> (32 - bits)) } else { field.into() }
}

/// `dp4a`
pub(super) fn dp4a(frame: &mut Frame, sa: bool, sb: bool, regs: [Reg; 4], mask: u32) {
    frame.map3(regs, mask, |a: u32, b: u32, c: u32| {
        let dot: i64 = (0..4).map(|i| part(a, 8, i, sa) * part(b, 8, i, sb)).sum();
        c.wrapping_add(dot as u32)
    });
}

/// `dp2a`: the two halves of `a` with the low or high two bytes of `b`.
pub(super) fn dp2a(frame: &mut Frame, hi: bool, sa: bool, sb: bool, regs: [Reg; 4], mask: u32) {
    let first = if hi { 2 } else { 0 };
    frame.map3(regs, mask, |a: u32, b: u32, c: u32| {
        let dot: i64 = (0..2).map(|i| part(a, 16, i, sa) * part(b, 8, first + i, sb)).sum();
        c.wrapping_add(dot as u32)
    });
}

/// `bmsk`: ones from bit `a`, `b` of them.
pub(super) fn bmsk(frame: &mut Frame, wrap: bool, regs: [Reg; 3], mask: u32) {
    frame.map2(regs, mask, |a: u32, b: u32| {
        let (at, len) = if wrap { (a & 31, b & 31) } else { (a.min(32), b.min(32)) };
        (((1_u64 << len) - 1) << at) as u32
    });
}

/// `szext`: extends the low `b` bits.
pub(super) fn szext(frame: &mut Frame, signed: bool, wrap: bool, regs: [Reg; 3], mask: u32) {
    frame.map2(regs, mask, |a: u32, b: u32| {
        let len = if wrap { b & 31 } else { b.min(32) };
        match (len, signed) {
            (0, _) => 0,
            (_, false) => a & (u32::MAX >> (32 - len)),
            (_, true) => ((a << (32 - len)) as i32 >> (32 - len)) as u32,
        }
    });
}

/// `fns`: the `c`-th set bit from base `b`.
pub(super) fn fns(frame: &mut Frame, regs: [Reg; 4], mask: u32) {
    frame.map3(regs, mask, |bits: u32, base: u32, offset: i32| {
        let base = base & 31;
        let mut left = offset.unsigned_abs();
        let set = |i: u32| bits >> i & 1 != 0;
        if offset == 0 {
            return if set(base) { base } else { u32::MAX };
        }
        let found = |i: &u32| {
            if set(*i) {
                left -= 1;
            }
            left == 0
        };
        let at = if offset > 0 { (base..32).find(found) } else { (0..=base).rev().find(found) };
        at.unwrap_or(u32::MAX)
    });
}

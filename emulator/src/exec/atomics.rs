//! What each atomic makes of the old value.

use half::{bf16, f16};

use crate::ir::Rmw;

fn pairs(old: u64, b: u64, f: impl Fn(u16, u16) -> u16) -> u64 {
    let low = f(old as u16, b as u16);
    let high = f((old >> 16) as u16, (b >> 16) as u16);
    u64::from(high) << 16 | u64::from(low)
}

fn add_f16(a: u16, b: u16) -> u16 {
    f16::from_f32(f16::from_bits(a).to_f32() + f16::from_bits(b).to_f32()).to_bits()
}

fn add_bf16(a: u16, b: u16) -> u16 {
    bf16::from_f32(bf16::from_bits(a).to_f32() + bf16::from_bits(b).to_f32()).to_bits()
}

/// The new value of `size` bytes; `b` is the operand, `c` the replacement of `cas`.
pub(super) fn apply(op: Rmw, size: u32, old: u64, b: u64, c: u64) -> u64 {
    let mask = u64::MAX >> (64 - 8 * size);
    let signed = |v: u64| (v << (64 - 8 * size)) as i64 >> (64 - 8 * size);
    let new = match op {
        Rmw::Add => old.wrapping_add(b),
        Rmw::And => old & b,
        Rmw::Or => old | b,
        Rmw::Xor => old ^ b,
        Rmw::Inc => {
            if old >= b {
                0
            } else {
                old + 1
            }
        }
        Rmw::Dec => {
            if old == 0 || old > b {
                b
            } else {
                old - 1
            }
        }
        Rmw::MinU => old.min(b),
        Rmw::MaxU => old.max(b),
        Rmw::MinS => signed(old).min(signed(b)) as u64,
        Rmw::MaxS => signed(old).max(signed(b)) as u64,
        Rmw::Exch => b,
        Rmw::Cas => {
            if old == b & mask {
                c
            } else {
                old
            }
        }
        Rmw::AddF32 => {
            let sum = f32::from_bits(old as u32) + f32::from_bits(b as u32);
            sum.to_bits().into()
        }
        Rmw::AddF64 => (f64::from_bits(old) + f64::from_bits(b)).to_bits(),
        Rmw::AddF16 => add_f16(old as u16, b as u16).into(),
        Rmw::AddBf16 => add_bf16(old as u16, b as u16).into(),
        Rmw::AddF16x2 => pairs(old, b, add_f16),
        Rmw::AddBf16x2 => pairs(old, b, add_bf16),
    };
    new & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_by_hand() {
        let u32s = |op, old: u32, b: u32| apply(op, 4, old.into(), b.into(), 0) as u32;
        assert_eq!(u32s(Rmw::Add, u32::MAX, 2), 1);
        assert_eq!(u32s(Rmw::And, 0b1100, 0b1010), 0b1000);
        assert_eq!(u32s(Rmw::Or, 0b1100, 0b1010), 0b1110);
        assert_eq!(u32s(Rmw::Xor, 0b1100, 0b1010), 0b0110);
        assert_eq!((u32s(Rmw::Inc, 4, 5), u32s(Rmw::Inc, 5, 5), u32s(Rmw::Inc, 9, 5)), (5, 0, 0));
        assert_eq!((u32s(Rmw::Dec, 4, 5), u32s(Rmw::Dec, 0, 5), u32s(Rmw::Dec, 9, 5)), (3, 5, 5));
        assert_eq!((u32s(Rmw::MinU, 1, u32::MAX), u32s(Rmw::MinS, 1, u32::MAX)), (1, u32::MAX));
        assert_eq!((u32s(Rmw::MaxU, 1, u32::MAX), u32s(Rmw::MaxS, 1, u32::MAX)), (u32::MAX, 1));
        assert_eq!(u32s(Rmw::Exch, 1, 7), 7);
        assert_eq!((apply(Rmw::Cas, 4, 3, 3, 9), apply(Rmw::Cas, 4, 3, 4, 9)), (9, 3));
        assert_eq!(u32s(Rmw::AddF32, 1.5f32.to_bits(), 2.0f32.to_bits()), 3.5f32.to_bits());
        let sum = apply(Rmw::AddF64, 8, 1.5f64.to_bits(), 2.0f64.to_bits(), 0);
        assert_eq!(sum, 3.5f64.to_bits());
        // 1.0 + 1.0 = 2.0 in both halves.
        assert_eq!(apply(Rmw::AddF16x2, 4, 0x3c00_3c00, 0x3c00_3c00, 0), 0x4000_4000);
        assert_eq!(apply(Rmw::AddBf16x2, 4, 0x3f80_3f80, 0x3f80_3f80, 0), 0x4000_4000);
        assert_eq!(apply(Rmw::AddF16, 2, 0x3c00, 0x3c00, 0), 0x4000);
        assert_eq!(apply(Rmw::AddBf16, 2, 0x3f80, 0x3f80, 0), 0x4000);
    }
}

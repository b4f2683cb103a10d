//! NEON: the arithmetic of eight elements. Of 32 bits they are two registers, of 64 bits four.

#![allow(unsafe_code, reason = "vector intrinsics")]

use std::arch::aarch64::*;

use super::octets::OctetArithmetic;
use super::traits::Bits;

/// Proof that the processor has NEON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NeonOctets(());

impl NeonOctets {
    /// The token, if the processor has the features.
    pub(crate) fn new() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
    }
}

/// One intrinsic (or a nest of them), whose features the token proves.
macro_rules! with_features {
    ($($call:tt)*) => {
        // SAFETY: `self` exists only where the processor has NEON; no pointer is involved.
        unsafe { $($call)* }
    };
}
pub(super) use with_features;

/// An operation on both registers of `u32` elements.
macro_rules! both {
    ($name:ident$(::<$bits:ident>)?($($v:ident),+)) => {
        with_features!([$name$(::<$bits>)?($($v[0]),+), $name$(::<$bits>)?($($v[1]),+)])
    };
}

/// An operation on all four registers of `u64` elements.
macro_rules! all {
    ($name:ident$(::<$bits:ident>)?($($v:ident),+)) => {
        with_features!([
            $name$(::<$bits>)?($($v[0]),+),
            $name$(::<$bits>)?($($v[1]),+),
            $name$(::<$bits>)?($($v[2]),+),
            $name$(::<$bits>)?($($v[3]),+)
        ])
    };
}

pub(super) type V = [uint32x4_t; 2];
pub(super) type W = [uint64x2_t; 4];

/// A bit for each of eight 16-bit elements that has its sign set.
#[inline(always)]
fn sign_bits(v: uint16x8_t) -> u8 {
    const BITS: [u16; 8] = [1, 2, 4, 8, 16, 32, 64, 128];
    // SAFETY: called only by methods of a token that proves NEON; 16 bytes are there.
    unsafe {
        let signs = vcltzq_s16(vreinterpretq_s16_u16(v));
        vaddvq_u16(vandq_u16(signs, vld1q_u16(BITS.as_ptr()))) as u8
    }
}

/// A bit for each of sixteen bytes that has its sign set.
#[inline(always)]
fn byte_sign_bits(v: uint32x4_t) -> u32 {
    const BITS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];
    // SAFETY: called only by methods of a token that proves NEON; 16 bytes are there.
    unsafe {
        let bits = vandq_u8(vcltzq_s8(vreinterpretq_s8_u32(v)), vld1q_u8(BITS.as_ptr()));
        u32::from(vaddv_u8(vget_low_u8(bits))) | u32::from(vaddv_u8(vget_high_u8(bits))) << 8
    }
}

/// Shift counts to the right are negative ones to the left.
#[inline(always)]
fn shift_right(v: uint32x4_t, bits: uint32x4_t) -> uint32x4_t {
    // SAFETY: called only by methods of a token that proves NEON.
    unsafe { vshlq_u32(v, vnegq_s32(vreinterpretq_s32_u32(bits))) }
}

#[inline(always)]
fn shift_left(v: uint32x4_t, bits: uint32x4_t) -> uint32x4_t {
    // SAFETY: called only by methods of a token that proves NEON.
    unsafe { vshlq_u32(v, vreinterpretq_s32_u32(bits)) }
}

#[inline(always)]
fn shift_right64(v: uint64x2_t, bits: uint64x2_t) -> uint64x2_t {
    // SAFETY: called only by methods of a token that proves NEON.
    unsafe { vshlq_u64(v, vnegq_s64(vreinterpretq_s64_u64(bits))) }
}

#[inline(always)]
fn shift_left64(v: uint64x2_t, bits: uint64x2_t) -> uint64x2_t {
    // SAFETY: called only by methods of a token that proves NEON.
    unsafe { vshlq_u64(v, vreinterpretq_s64_u64(bits)) }
}

#[inline(always)]
fn greater(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t {
    // SAFETY: called only by methods of a token that proves NEON.
    unsafe { vcgtq_s32(vreinterpretq_s32_u32(a), vreinterpretq_s32_u32(b)) }
}

#[inline(always)]
fn multiply_low(a: uint64x2_t, b: uint64x2_t) -> uint64x2_t {
    // SAFETY: called only by methods of a token that proves NEON.
    unsafe { vmull_u32(vmovn_u64(a), vmovn_u64(b)) }
}

/// The nearest integers to products, by adding 2^23, which leaves them in the low bits.
#[inline(always)]
fn round_product(x: uint32x4_t, factor: uint32x4_t) -> uint32x4_t {
    // SAFETY: called only by methods of a token that proves NEON.
    unsafe {
        let magic = vdupq_n_u32(0x4b00_0000);
        let (x, factor) = (vcvtq_f32_s32(vreinterpretq_s32_u32(x)), vreinterpretq_f32_u32(factor));
        let rounded = vfmaq_f32(vreinterpretq_f32_u32(magic), x, factor);
        veorq_u32(vreinterpretq_u32_f32(rounded), magic)
    }
}

/// The same of `f64`, by adding 2^52.
#[inline(always)]
fn round_product64(x: uint64x2_t, factor: uint64x2_t) -> uint64x2_t {
    // SAFETY: called only by methods of a token that proves NEON.
    unsafe {
        let magic = vdupq_n_u64(0x4330_0000_0000_0000);
        let (x, factor) = (vcvtq_f64_u64(x), vreinterpretq_f64_u64(factor));
        let rounded = vfmaq_f64(vreinterpretq_f64_u64(magic), x, factor);
        veorq_u64(vreinterpretq_u64_f64(rounded), magic)
    }
}

impl Bits for NeonOctets {}

impl OctetArithmetic for NeonOctets {
    type V = V;
    type W = W;

    #[inline(always)]
    fn splat(self, value: u32) -> V {
        with_features!([vdupq_n_u32(value); 2])
    }

    #[inline(always)]
    fn load(self, from: &[u32; 8]) -> V {
        // SAFETY: the token proves NEON; 32 bytes are there.
        unsafe { [vld1q_u32(from.as_ptr()), vld1q_u32(from.as_ptr().add(4))] }
    }

    #[inline(always)]
    fn store(self, v: V, to: &mut [u32; 8]) {
        // SAFETY: the token proves NEON; 32 bytes are there.
        unsafe {
            vst1q_u32(to.as_mut_ptr(), v[0]);
            vst1q_u32(to.as_mut_ptr().add(4), v[1]);
        }
    }

    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        both!(vaddq_u32(a, b))
    }

    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        both!(vsubq_u32(a, b))
    }

    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        both!(vmulq_u32(a, b))
    }

    #[inline(always)]
    fn and(self, a: V, b: V) -> V {
        both!(vandq_u32(a, b))
    }

    #[inline(always)]
    fn and_not(self, a: V, b: V) -> V {
        both!(vbicq_u32(b, a))
    }

    #[inline(always)]
    fn or(self, a: V, b: V) -> V {
        both!(vorrq_u32(a, b))
    }

    #[inline(always)]
    fn shl<const BITS: i32>(self, v: V) -> V {
        both!(vshlq_n_u32::<BITS>(v))
    }

    #[inline(always)]
    fn shr<const BITS: i32>(self, v: V) -> V {
        both!(vshrq_n_u32::<BITS>(v))
    }

    #[inline(always)]
    fn shl_by(self, v: V, bits: V) -> V {
        [shift_left(v[0], bits[0]), shift_left(v[1], bits[1])]
    }

    #[inline(always)]
    fn shr_by(self, v: V, bits: V) -> V {
        [shift_right(v[0], bits[0]), shift_right(v[1], bits[1])]
    }

    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        both!(vminq_u32(a, b))
    }

    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        both!(vmaxq_u32(a, b))
    }

    #[inline(always)]
    fn gt(self, a: V, b: V) -> V {
        [greater(a[0], b[0]), greater(a[1], b[1])]
    }

    #[inline(always)]
    fn eq(self, a: V, b: V) -> V {
        both!(vceqq_u32(a, b))
    }

    #[inline(always)]
    fn signs(self, v: V) -> u8 {
        with_features!(sign_bits(vuzp2q_u16(
            vreinterpretq_u16_u32(v[0]),
            vreinterpretq_u16_u32(v[1])
        )))
    }

    #[inline(always)]
    fn byte_signs(self, v: V) -> u32 {
        byte_sign_bits(v[0]) | byte_sign_bits(v[1]) << 16
    }

    #[inline(always)]
    fn any(self, v: V) -> bool {
        with_features!(vmaxvq_u32(vorrq_u32(v[0], v[1])) != 0)
    }

    #[inline(always)]
    fn round_product(self, x: V, factor: V) -> V {
        [round_product(x[0], factor[0]), round_product(x[1], factor[1])]
    }

    #[inline(always)]
    fn splat64(self, value: u64) -> W {
        with_features!([vdupq_n_u64(value); 4])
    }

    #[inline(always)]
    fn load64(self, from: &[u64; 8]) -> W {
        let from = from.as_ptr();
        // SAFETY: the token proves NEON; 64 bytes are there.
        unsafe {
            [
                vld1q_u64(from),
                vld1q_u64(from.add(2)),
                vld1q_u64(from.add(4)),
                vld1q_u64(from.add(6)),
            ]
        }
    }

    #[inline(always)]
    fn store64(self, v: W, to: &mut [u64; 8]) {
        for (v, to) in v.into_iter().zip(to.as_chunks_mut::<2>().0) {
            // SAFETY: the token proves NEON; 16 bytes are there.
            unsafe { vst1q_u64(to.as_mut_ptr(), v) }
        }
    }

    #[inline(always)]
    fn widen(self, v: V) -> W {
        with_features!([
            vmovl_u32(vget_low_u32(v[0])),
            vmovl_high_u32(v[0]),
            vmovl_u32(vget_low_u32(v[1])),
            vmovl_high_u32(v[1])
        ])
    }

    #[inline(always)]
    fn narrow(self, v: W) -> V {
        with_features!({
            let v = v.map(|v| vreinterpretq_u32_u64(v));
            [vuzp1q_u32(v[0], v[1]), vuzp1q_u32(v[2], v[3])]
        })
    }

    #[inline(always)]
    fn narrow_high(self, v: W) -> V {
        with_features!({
            let v = v.map(|v| vreinterpretq_u32_u64(v));
            [vuzp2q_u32(v[0], v[1]), vuzp2q_u32(v[2], v[3])]
        })
    }

    #[inline(always)]
    fn add64(self, a: W, b: W) -> W {
        all!(vaddq_u64(a, b))
    }

    #[inline(always)]
    fn sub64(self, a: W, b: W) -> W {
        all!(vsubq_u64(a, b))
    }

    #[inline(always)]
    fn mul_low(self, a: W, b: W) -> W {
        std::array::from_fn(|k| multiply_low(a[k], b[k]))
    }

    #[inline(always)]
    fn and64(self, a: W, b: W) -> W {
        all!(vandq_u64(a, b))
    }

    #[inline(always)]
    fn or64(self, a: W, b: W) -> W {
        all!(vorrq_u64(a, b))
    }

    #[inline(always)]
    fn shl64<const BITS: i32>(self, v: W) -> W {
        all!(vshlq_n_u64::<BITS>(v))
    }

    #[inline(always)]
    fn shr64<const BITS: i32>(self, v: W) -> W {
        all!(vshrq_n_u64::<BITS>(v))
    }

    #[inline(always)]
    fn shl64_by(self, v: W, bits: W) -> W {
        std::array::from_fn(|k| shift_left64(v[k], bits[k]))
    }

    #[inline(always)]
    fn shr64_by(self, v: W, bits: W) -> W {
        std::array::from_fn(|k| shift_right64(v[k], bits[k]))
    }

    #[inline(always)]
    fn round_product64(self, x: W, factor: W) -> W {
        std::array::from_fn(|k| round_product64(x[k], factor[k]))
    }
}

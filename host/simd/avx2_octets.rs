//! AVX2 and FMA: the arithmetic of eight elements, of 32 bits in one register, of 64 bits in two.
//!
//! Of the two, the first has elements 0, 1, 4 and 5, the second 2, 3, 6 and 7: so unpacking within
//! halves of a register widens elements in order, and one shuffle within halves narrows them.

#![allow(unsafe_code, reason = "vector intrinsics")]

use std::arch::x86_64::*;

use super::octets::OctetArithmetic;
use super::traits::Bits;

/// Proof that the processor has AVX2, FMA, BMI1, BMI2, LZCNT and POPCNT.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2Octets(());

impl Avx2Octets {
    /// The token, if the processor has the features.
    pub(crate) fn new() -> Option<Self> {
        let has = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
        has.then_some(Self(()))
    }
}

/// One intrinsic (or a nest of them), whose features the token proves.
macro_rules! with_features {
    ($($call:tt)*) => {
        // SAFETY: `self` exists only where the processor has the features; no pointer is involved.
        unsafe { $($call)* }
    };
}
pub(super) use with_features;

/// An operation on both registers of `u64` elements.
macro_rules! both {
    ($name:ident$(::<$bits:ident>)?($($v:ident),+)) => {
        with_features!([$name$(::<$bits>)?($($v[0]),+), $name$(::<$bits>)?($($v[1]),+)])
    };
}

pub(super) type V = __m256i;
pub(super) type W = [__m256i; 2];

/// The low or the high 32 bits of the elements of both registers, in order.
#[inline(always)]
fn halves<const CONTROL: i32>(v: W) -> V {
    // SAFETY: called only by methods of a token that proves AVX2.
    unsafe {
        let (a, b) = (_mm256_castsi256_ps(v[0]), _mm256_castsi256_ps(v[1]));
        _mm256_castps_si256(_mm256_shuffle_ps::<CONTROL>(a, b))
    }
}

/// The nearest integers to products of `f64`, by adding 2^52, which leaves them in the low bits.
#[inline(always)]
fn round_product64(x: V, factor: V) -> V {
    // SAFETY: called only by methods of a token that proves AVX2 and FMA.
    unsafe {
        // To double precision by halves: 2^84 + high * 2^32 and 2^52 + low.
        let magic = _mm256_set1_epi64x(0x4330_0000_0000_0000);
        let high = _mm256_set1_epi64x(0x4530_0000_0000_0000);
        let high = _mm256_castsi256_pd(_mm256_or_si256(_mm256_srli_epi64::<32>(x), high));
        let low = _mm256_castsi256_pd(_mm256_blend_epi32::<0x55>(magic, x));
        let both = _mm256_set1_pd(f64::from_bits(0x4530_0000_0010_0000));
        let float = _mm256_add_pd(_mm256_sub_pd(high, both), low);
        let factor = _mm256_castsi256_pd(factor);
        let rounded = _mm256_fmadd_pd(float, factor, _mm256_castsi256_pd(magic));
        _mm256_xor_si256(_mm256_castpd_si256(rounded), magic)
    }
}

impl Bits for Avx2Octets {
    #[inline(always)]
    fn low(self, value: u64, count: u32) -> u64 {
        with_features!(_bzhi_u64(value, count))
    }

    #[inline(always)]
    fn prefetch<T>(self, values: &[T], at: usize) {
        // SAFETY: a prefetch of any address does nothing but load a cache.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(values.as_ptr().wrapping_add(at).cast()) }
    }
}

impl OctetArithmetic for Avx2Octets {
    type V = V;
    type W = W;

    #[inline(always)]
    fn splat(self, value: u32) -> V {
        with_features!(_mm256_set1_epi32(value as i32))
    }

    #[inline(always)]
    fn load(self, from: &[u32; 8]) -> V {
        // SAFETY: the token proves AVX2; 32 bytes are there.
        unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, v: V, to: &mut [u32; 8]) {
        // SAFETY: the token proves AVX2; 32 bytes are there.
        unsafe { _mm256_storeu_si256(to.as_mut_ptr().cast(), v) }
    }

    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        with_features!(_mm256_add_epi32(a, b))
    }

    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        with_features!(_mm256_sub_epi32(a, b))
    }

    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        with_features!(_mm256_mullo_epi32(a, b))
    }

    #[inline(always)]
    fn and(self, a: V, b: V) -> V {
        with_features!(_mm256_and_si256(a, b))
    }

    #[inline(always)]
    fn and_not(self, a: V, b: V) -> V {
        with_features!(_mm256_andnot_si256(a, b))
    }

    #[inline(always)]
    fn or(self, a: V, b: V) -> V {
        with_features!(_mm256_or_si256(a, b))
    }

    #[inline(always)]
    fn shl<const BITS: i32>(self, v: V) -> V {
        with_features!(_mm256_slli_epi32::<BITS>(v))
    }

    #[inline(always)]
    fn shr<const BITS: i32>(self, v: V) -> V {
        with_features!(_mm256_srli_epi32::<BITS>(v))
    }

    #[inline(always)]
    fn shl_by(self, v: V, bits: V) -> V {
        with_features!(_mm256_sllv_epi32(v, bits))
    }

    #[inline(always)]
    fn shr_by(self, v: V, bits: V) -> V {
        with_features!(_mm256_srlv_epi32(v, bits))
    }

    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        with_features!(_mm256_min_epu32(a, b))
    }

    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        with_features!(_mm256_max_epu32(a, b))
    }

    #[inline(always)]
    fn gt(self, a: V, b: V) -> V {
        with_features!(_mm256_cmpgt_epi32(a, b))
    }

    #[inline(always)]
    fn eq(self, a: V, b: V) -> V {
        with_features!(_mm256_cmpeq_epi32(a, b))
    }

    #[inline(always)]
    fn signs(self, v: V) -> u8 {
        with_features!(_mm256_movemask_ps(_mm256_castsi256_ps(v)) as u8)
    }

    #[inline(always)]
    fn byte_signs(self, v: V) -> u32 {
        with_features!(_mm256_movemask_epi8(v) as u32)
    }

    #[inline(always)]
    fn any(self, v: V) -> bool {
        with_features!(_mm256_testz_si256(v, v) == 0)
    }

    #[inline(always)]
    fn round_product(self, x: V, factor: V) -> V {
        with_features!({
            // As in double precision, by 2^23.
            let magic = _mm256_set1_epi32(0x4b00_0000);
            let (x, factor) = (_mm256_cvtepi32_ps(x), _mm256_castsi256_ps(factor));
            let rounded = _mm256_fmadd_ps(x, factor, _mm256_castsi256_ps(magic));
            _mm256_xor_si256(_mm256_castps_si256(rounded), magic)
        })
    }

    #[inline(always)]
    fn splat64(self, value: u64) -> W {
        with_features!([_mm256_set1_epi64x(value as i64); 2])
    }

    #[inline(always)]
    fn load64(self, from: &[u64; 8]) -> W {
        // SAFETY: the token proves AVX2; 64 bytes are there.
        unsafe {
            let from = from.as_ptr().cast();
            let (a, b) = (_mm256_loadu_si256(from), _mm256_loadu_si256(from.add(1)));
            [_mm256_permute2x128_si256::<0x20>(a, b), _mm256_permute2x128_si256::<0x31>(a, b)]
        }
    }

    #[inline(always)]
    fn store64(self, v: W, to: &mut [u64; 8]) {
        // SAFETY: the token proves AVX2; 64 bytes are there.
        unsafe {
            let to: *mut __m256i = to.as_mut_ptr().cast();
            _mm256_storeu_si256(to, _mm256_permute2x128_si256::<0x20>(v[0], v[1]));
            _mm256_storeu_si256(to.add(1), _mm256_permute2x128_si256::<0x31>(v[0], v[1]));
        }
    }

    #[inline(always)]
    fn widen(self, v: V) -> W {
        with_features!({
            let zero = _mm256_setzero_si256();
            [_mm256_unpacklo_epi32(v, zero), _mm256_unpackhi_epi32(v, zero)]
        })
    }

    #[inline(always)]
    fn narrow(self, v: W) -> V {
        halves::<0x88>(v)
    }

    #[inline(always)]
    fn narrow_high(self, v: W) -> V {
        halves::<0xdd>(v)
    }

    #[inline(always)]
    fn add64(self, a: W, b: W) -> W {
        both!(_mm256_add_epi64(a, b))
    }

    #[inline(always)]
    fn sub64(self, a: W, b: W) -> W {
        both!(_mm256_sub_epi64(a, b))
    }

    #[inline(always)]
    fn mul_low(self, a: W, b: W) -> W {
        both!(_mm256_mul_epu32(a, b))
    }

    #[inline(always)]
    fn and64(self, a: W, b: W) -> W {
        both!(_mm256_and_si256(a, b))
    }

    #[inline(always)]
    fn or64(self, a: W, b: W) -> W {
        both!(_mm256_or_si256(a, b))
    }

    #[inline(always)]
    fn shl64<const BITS: i32>(self, v: W) -> W {
        both!(_mm256_slli_epi64::<BITS>(v))
    }

    #[inline(always)]
    fn shr64<const BITS: i32>(self, v: W) -> W {
        both!(_mm256_srli_epi64::<BITS>(v))
    }

    #[inline(always)]
    fn shl64_by(self, v: W, bits: W) -> W {
        both!(_mm256_sllv_epi64(v, bits))
    }

    #[inline(always)]
    fn shr64_by(self, v: W, bits: W) -> W {
        both!(_mm256_srlv_epi64(v, bits))
    }

    #[inline(always)]
    fn round_product64(self, x: W, factor: W) -> W {
        [round_product64(x[0], factor[0]), round_product64(x[1], factor[1])]
    }
}

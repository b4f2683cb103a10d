//! AVX2: the sixteen elements are two registers. Compress and expand are byte shuffles from tables,
//! eight words at a time.

#![allow(unsafe_code, reason = "vector intrinsics")]

use std::arch::x86_64::*;

use super::shuffles::{Control, PACK, SPREAD_BACKWARDS};
use super::traits::{Bits, Bounded, RunOn, Simd};

/// Proof that the processor has AVX2, BMI1, BMI2, LZCNT and POPCNT.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// The token, if the processor has the features.
    pub(crate) fn new() -> Option<Self> {
        let has = is_x86_feature_detected!("avx2")
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

/// An operation on both halves.
macro_rules! halves {
    ($name:ident($($v:ident),+) $(, $($rest:expr),*)?) => {
        with_features!([$name($($v[0]),+ $(, $($rest),*)?), $name($($v[1]),+ $(, $($rest),*)?)])
    };
}

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn enter<W: RunOn<Avx2>>(token: Avx2, work: W) -> W::Output {
    work.run(token)
}

/// Sixteen elements.
pub(crate) type V = [__m256i; 2];

/// One mask bit per word from sixteen word masks: the first eight in bits 0 to 7, the others in
/// bits 16 to 23.
#[inline(always)]
fn word_mask(words: __m256i) -> u32 {
    // SAFETY: called only by methods of a token that proves AVX2.
    unsafe { _mm256_movemask_epi8(_mm256_packs_epi16(words, _mm256_setzero_si256())) as u32 }
}

/// Words shuffled by the control of the low eight bits of `mask`.
#[inline(always)]
fn shuffle(words: __m128i, controls: &[Control; 256], mask: u32) -> __m128i {
    // SAFETY: called only by methods of a token that proves AVX2; a control is 16 aligned bytes.
    unsafe {
        let control = controls[mask as usize & 0xff].0.as_ptr();
        _mm_shuffle_epi8(words, _mm_load_si128(control.cast()))
    }
}

/// [`Simd::quotient`] of a half. As for AVX-512, but the estimate is 1.5 * 2^-12 off, its square
/// below 0.6 * 2^-22, and two more roundings come in.
#[inline(always)]
fn quotient(x: __m256i, d: __m256i) -> __m256i {
    // SAFETY: called only by methods of a token that proves AVX2.
    unsafe {
        let d = _mm256_cvtepi32_ps(d);
        let estimate = _mm256_rcp_ps(d);
        let product = _mm256_mul_ps(d, estimate);
        let error = _mm256_sub_ps(_mm256_set1_ps(super::ONE_LESS), product);
        let reciprocal = _mm256_add_ps(estimate, _mm256_mul_ps(estimate, error));
        _mm256_cvttps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(x), reciprocal))
    }
}

/// The even or the odd elements, by a control that takes them from each 128-bit half.
#[inline(always)]
fn every_other<const CONTROL: i32>(v: V) -> __m256i {
    // SAFETY: called only by methods of a token that proves AVX2.
    unsafe {
        let (a, b) = (_mm256_castsi256_ps(v[0]), _mm256_castsi256_ps(v[1]));
        let taken = _mm256_castps_si256(_mm256_shuffle_ps::<CONTROL>(a, b));
        // Each half took from both operands: the middle quarters change places.
        _mm256_permute4x64_epi64::<0xd8>(taken)
    }
}

/// The elements of two halves in turn.
#[inline(always)]
fn in_turn(even: __m256i, odd: __m256i) -> V {
    // SAFETY: called only by methods of a token that proves AVX2.
    unsafe {
        let (low, high) = (_mm256_unpacklo_epi32(even, odd), _mm256_unpackhi_epi32(even, odd));
        [_mm256_permute2x128_si256::<0x20>(low, high), _mm256_permute2x128_si256::<0x31>(low, high)]
    }
}

impl Avx2 {
    /// The elements of a table at these indexes.
    ///
    /// # Safety
    /// Every index lies inside the table.
    #[inline(always)]
    unsafe fn gather_unchecked(self, table: *const u32, index: V) -> V {
        // SAFETY: the token proves AVX2; the caller's promise.
        unsafe {
            [
                _mm256_i32gather_epi32::<4>(table.cast(), index[0]),
                _mm256_i32gather_epi32::<4>(table.cast(), index[1]),
            ]
        }
    }
}

impl Bits for Avx2 {
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

impl Simd for Avx2 {
    type U32 = V;
    type Mask = V;

    #[inline(always)]
    fn vectorize<W: RunOn<Self>>(self, work: W) -> W::Output {
        with_features!(enter(self, work))
    }

    #[inline(always)]
    fn splat(self, value: u32) -> V {
        with_features!([_mm256_set1_epi32(value as i32); 2])
    }

    #[inline(always)]
    fn load_bytes(self, bytes: &[u8; 64]) -> V {
        // SAFETY: the token proves AVX2; 64 bytes are there.
        unsafe {
            let from = bytes.as_ptr();
            [_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(32).cast())]
        }
    }

    #[inline(always)]
    fn store_bytes(self, v: V, bytes: &mut [u8; 64]) {
        // SAFETY: the token proves AVX2; 64 bytes are there.
        unsafe {
            let to = bytes.as_mut_ptr();
            _mm256_storeu_si256(to.cast(), v[0]);
            _mm256_storeu_si256(to.add(32).cast(), v[1]);
        }
    }

    #[inline(always)]
    fn reverse(self, v: V) -> V {
        with_features!({
            let order = _mm256_setr_epi32(7, 6, 5, 4, 3, 2, 1, 0);
            [_mm256_permutevar8x32_epi32(v[1], order), _mm256_permutevar8x32_epi32(v[0], order)]
        })
    }

    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        halves!(_mm256_add_epi32(a, b))
    }

    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        halves!(_mm256_sub_epi32(a, b))
    }

    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        halves!(_mm256_mullo_epi32(a, b))
    }

    #[inline(always)]
    fn and(self, a: V, b: V) -> V {
        halves!(_mm256_and_si256(a, b))
    }

    #[inline(always)]
    fn shl(self, v: V, bits: u32) -> V {
        let by = with_features!(_mm_cvtsi32_si128(bits as i32));
        halves!(_mm256_sll_epi32(v), by)
    }

    #[inline(always)]
    fn shr(self, v: V, bits: u32) -> V {
        let by = with_features!(_mm_cvtsi32_si128(bits as i32));
        halves!(_mm256_srl_epi32(v), by)
    }

    #[inline(always)]
    fn shl_by(self, v: V, bits: V) -> V {
        halves!(_mm256_sllv_epi32(v, bits))
    }

    #[inline(always)]
    fn shr_by(self, v: V, bits: V) -> V {
        halves!(_mm256_srlv_epi32(v, bits))
    }

    #[inline(always)]
    fn quotient(self, x: V, d: V) -> V {
        [quotient(x[0], d[0]), quotient(x[1], d[1])]
    }

    #[inline(always)]
    fn deinterleave(self, [a, b]: [V; 2]) -> [V; 2] {
        [
            [every_other::<0x88>(a), every_other::<0x88>(b)],
            [every_other::<0xdd>(a), every_other::<0xdd>(b)],
        ]
    }

    #[inline(always)]
    fn interleave(self, [even, odd]: [V; 2]) -> [V; 2] {
        [in_turn(even[0], odd[0]), in_turn(even[1], odd[1])]
    }

    #[inline(always)]
    fn either(self, a: V, b: V) -> V {
        halves!(_mm256_or_si256(a, b))
    }

    #[inline(always)]
    fn both(self, a: V, b: V) -> V {
        halves!(_mm256_and_si256(a, b))
    }

    #[inline(always)]
    fn differ(self, a: V, b: V) -> V {
        halves!(_mm256_xor_si256(a, b))
    }

    #[inline(always)]
    fn any(self, mask: V) -> bool {
        with_features!({
            let both = _mm256_or_si256(mask[0], mask[1]);
            _mm256_testz_si256(both, both) == 0
        })
    }

    #[inline(always)]
    fn nowhere(self) -> V {
        with_features!([_mm256_setzero_si256(); 2])
    }

    #[inline(always)]
    fn to_bits(self, mask: V) -> u16 {
        let half =
            |mask: __m256i| with_features!(_mm256_movemask_ps(_mm256_castsi256_ps(mask)) as u16);
        half(mask[0]) | half(mask[1]) << 8
    }

    #[inline(always)]
    fn eq(self, a: V, b: V) -> V {
        halves!(_mm256_cmpeq_epi32(a, b))
    }

    #[inline(always)]
    fn select(self, mask: V, a: V, b: V) -> V {
        halves!(_mm256_blendv_epi8(b, a, mask))
    }

    #[inline(always)]
    fn ge(self, a: V, b: V) -> V {
        // There is no unsigned comparison: a >= b where the larger of both is a.
        let max = halves!(_mm256_max_epu32(a, b));
        halves!(_mm256_cmpeq_epi32(max, a))
    }

    #[inline(always)]
    fn add_where(self, mask: V, a: V, b: V) -> V {
        self.add(a, self.and(mask, b))
    }

    #[inline(always)]
    fn sub_where(self, mask: V, a: V, b: V) -> V {
        self.sub(a, self.and(mask, b))
    }

    #[inline(always)]
    fn gather_modulo<const N: usize>(self, table: &[u32; N], index: V) -> V {
        const { assert!(N.is_power_of_two()) };
        let index = self.and(index, self.splat((N - 1) as u32));
        // SAFETY: every index is below N.
        unsafe { self.gather_unchecked(table.as_ptr(), index) }
    }

    #[inline(always)]
    fn gather(self, table: &[u32], index: V) -> V {
        let last = table.len().checked_sub(1).expect("a table is never empty");
        let last = self.splat(last.min(i32::MAX as usize) as u32);
        let index = halves!(_mm256_min_epu32(index, last));
        // SAFETY: every index is at most the last.
        unsafe { self.gather_unchecked(table.as_ptr(), index) }
    }

    #[inline(always)]
    fn gather_halves(self, table: &Bounded<'_, V>, index: V) -> [V; 2] {
        let (values, last) = table.parts();
        let index = halves!(_mm256_min_epu32(index, last));
        let low = self.add(index, index);
        let high = self.add(low, self.splat(1));
        let halves = values.as_ptr().cast();
        // SAFETY: every index is at most the last; a value is two halves.
        unsafe { [self.gather_unchecked(halves, low), self.gather_unchecked(halves, high)] }
    }

    #[inline(always)]
    fn emit_words(self, [a, b]: [V; 2], bounds: [V; 2], out: &mut [u8; 64]) -> ([V; 2], usize) {
        let (over_a, over_b) = (self.ge(a, bounds[0]), self.ge(b, bounds[1]));
        let mut end = 0;
        for half in 0..2 {
            // SAFETY: the token proves AVX2; each store ends at most at byte 64, since each is of
            // at most eight words of two bytes.
            unsafe {
                let over = _mm256_blend_epi16::<0xaa>(over_a[half], over_b[half]);
                let words = _mm256_blend_epi16::<0xaa>(a[half], _mm256_slli_epi32::<16>(b[half]));
                let mask = word_mask(over);
                let to = out.as_mut_ptr();
                let packed = shuffle(_mm256_castsi256_si128(words), &PACK, mask);
                _mm_storeu_si128(to.add(end).cast(), packed);
                end += 2 * (mask & 0xff).count_ones() as usize;
                let packed = shuffle(_mm256_extracti128_si256::<1>(words), &PACK, mask >> 16);
                _mm_storeu_si128(to.add(end).cast(), packed);
                end += 2 * (mask >> 16).count_ones() as usize;
            }
        }
        let (less_a, less_b) = (self.shr(a, 16), self.shr(b, 16));
        let a = halves!(_mm256_blendv_epi8(a, less_a, over_a));
        let b = halves!(_mm256_blendv_epi8(b, less_b, over_b));
        ([a, b], end / 2)
    }

    #[inline(always)]
    fn renormalise(self, states: [V; 2], bound: u32, words: &[u8; 64]) -> ([V; 2], usize) {
        let [mut a, mut b] = states;
        let mut end = 64;
        for half in 0..2 {
            // SAFETY: the token proves AVX2; each load begins at least at byte 0, since each takes
            // at most eight words of two bytes.
            unsafe {
                let bound = _mm256_set1_epi32(bound as i32);
                // States are below 2^31: a signed comparison does.
                let under_a = _mm256_cmpgt_epi32(bound, a[half]);
                let under_b = _mm256_cmpgt_epi32(bound, b[half]);
                let mask = word_mask(_mm256_blend_epi16::<0xaa>(under_a, under_b));
                let from = words.as_ptr().sub(16);
                let first = _mm_loadu_si128(from.add(end).cast());
                end -= 2 * (mask & 0xff).count_ones() as usize;
                let second = _mm_loadu_si128(from.add(end).cast());
                end -= 2 * (mask >> 16).count_ones() as usize;
                let taken = _mm256_set_m128i(
                    shuffle(second, &SPREAD_BACKWARDS, mask >> 16),
                    shuffle(first, &SPREAD_BACKWARDS, mask),
                );
                let (low, high) = (
                    _mm256_blend_epi16::<0xaa>(taken, _mm256_setzero_si256()),
                    _mm256_srli_epi32::<16>(taken),
                );
                let next_a = _mm256_or_si256(_mm256_slli_epi32::<16>(a[half]), low);
                let next_b = _mm256_or_si256(_mm256_slli_epi32::<16>(b[half]), high);
                a[half] = _mm256_blendv_epi8(a[half], next_a, under_a);
                b[half] = _mm256_blendv_epi8(b[half], next_b, under_b);
            }
        }
        ([a, b], (64 - end) / 2)
    }
}

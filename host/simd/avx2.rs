//! AVX2: the sixteen elements are two registers. Compress and expand are byte shuffles from tables, eight words at a time.

#![allow(unsafe_code, reason = "vector intrinsics")]

use std::arch::x86_64::*;

use super::shuffles::{PACK, SPREAD_BACKWARDS};
use super::{ByteTable, Simd, Work};

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
fn enter<W: Work>(token: Avx2, work: W) -> W::Output {
    work.run(token)
}

type V = [__m256i; 2];

/// One mask bit a word from sixteen word masks: the first eight in bits 0 to 7, the others in bits 16 to 23.
#[inline(always)]
fn word_mask(words: __m256i) -> u32 {
    // SAFETY: called only by methods of a token that proves AVX2.
    unsafe { _mm256_movemask_epi8(_mm256_packs_epi16(words, _mm256_setzero_si256())) as u32 }
}

impl Simd for Avx2 {
    type U32 = V;
    type Mask = V;

    #[inline(always)]
    fn vectorize<W: Work>(self, work: W) -> W::Output {
        with_features!(enter(self, work))
    }

    #[inline(always)]
    fn splat(self, value: u32) -> V {
        with_features!([_mm256_set1_epi32(value as i32); 2])
    }

    #[inline(always)]
    fn load(self, bytes: &[u8; 64]) -> V {
        // SAFETY: the token proves AVX2; 64 bytes are there.
        unsafe {
            let from = bytes.as_ptr();
            [_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(32).cast())]
        }
    }

    #[inline(always)]
    fn store(self, v: V, bytes: &mut [u8; 64]) {
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
    fn mul_low(self, a: V, b: V) -> V {
        halves!(_mm256_mullo_epi32(a, b))
    }

    #[inline(always)]
    fn mul_high(self, a: V, b: V) -> V {
        let high = |a: __m256i, b: __m256i| {
            with_features!({
                let even = _mm256_srli_epi64::<32>(_mm256_mul_epu32(a, b));
                let odd = _mm256_mul_epu32(_mm256_srli_epi64::<32>(a), _mm256_srli_epi64::<32>(b));
                _mm256_blend_epi32::<0xaa>(even, odd)
            })
        };
        [high(a[0], b[0]), high(a[1], b[1])]
    }

    #[inline(always)]
    fn and(self, a: V, b: V) -> V {
        halves!(_mm256_and_si256(a, b))
    }

    #[inline(always)]
    fn shl<const N: u32>(self, v: V) -> V {
        let by = with_features!(_mm_cvtsi32_si128(N as i32));
        halves!(_mm256_sll_epi32(v), by)
    }

    #[inline(always)]
    fn shr<const N: u32>(self, v: V) -> V {
        let by = with_features!(_mm_cvtsi32_si128(N as i32));
        halves!(_mm256_srl_epi32(v), by)
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
    fn gather<const N: usize>(self, table: &[u32; N], index: V) -> V {
        const { assert!(N.is_power_of_two()) };
        let index = self.and(index, self.splat((N - 1) as u32));
        let table = table.as_ptr().cast();
        // SAFETY: the token proves AVX2; every index is below N.
        index.map(|index| unsafe { _mm256_i32gather_epi32::<4>(table, index) })
    }

    #[inline(always)]
    fn lookup_bytes<const BYTES: usize>(self, table: &ByteTable<BYTES>, bytes: V) -> [V; 4] {
        let low = self.splat(0xff);
        [
            self.gather(&table.entries, self.and(bytes, low)),
            self.gather(&table.entries, self.and(self.shr::<8>(bytes), low)),
            self.gather(&table.entries, self.and(self.shr::<16>(bytes), low)),
            self.gather(&table.entries, self.shr::<24>(bytes)),
        ]
    }

    #[inline(always)]
    fn merge_bytes(self, v: [V; 4]) -> V {
        let [a, b, c, d] = v.map(|v| self.and(v, self.splat(0xff)));
        let (b, c, d) = (self.shl::<8>(b), self.shl::<16>(c), self.shl::<24>(d));
        let (ab, cd) = (halves!(_mm256_or_si256(a, b)), halves!(_mm256_or_si256(c, d)));
        halves!(_mm256_or_si256(ab, cd))
    }

    #[inline(always)]
    fn shed_words(self, [a, b]: [V; 2], bounds: [V; 2], out: &mut [u8; 64]) -> ([V; 2], usize) {
        let (over_a, over_b) = (self.ge(a, bounds[0]), self.ge(b, bounds[1]));
        let mut end = 0;
        for half in 0..2 {
            // SAFETY: the token proves AVX2; each store ends at most at byte 64, since before it at most `8 * store` words
            // of two bytes were put.
            unsafe {
                let over = _mm256_blend_epi16::<0xaa>(over_a[half], over_b[half]);
                let words = _mm256_blend_epi16::<0xaa>(a[half], _mm256_slli_epi32::<16>(b[half]));
                let mask = word_mask(over);
                for (mask, words) in [
                    (mask & 0xff, _mm256_castsi256_si128(words)),
                    (mask >> 16 & 0xff, _mm256_extracti128_si256::<1>(words)),
                ] {
                    let control = _mm_load_si128(PACK[mask as usize].0.as_ptr().cast());
                    let to = out.as_mut_ptr().add(end);
                    _mm_storeu_si128(to.cast(), _mm_shuffle_epi8(words, control));
                    end += 2 * mask.count_ones() as usize;
                }
            }
        }
        let shed = |x: V, over: V| {
            let less = self.shr::<16>(x);
            halves!(_mm256_blendv_epi8(x, less, over))
        };
        ([shed(a, over_a), shed(b, over_b)], end / 2)
    }

    #[inline(always)]
    fn refill_words(self, states: [V; 2], bound: u32, words: &[u8; 64]) -> ([V; 2], usize) {
        let [mut a, mut b] = states;
        let mut end = 64;
        for half in 0..2 {
            // SAFETY: the token proves AVX2; each load begins at least at byte 0, since before it at most `8 * load` words of two bytes
            // were taken.
            unsafe {
                let bound = _mm256_set1_epi32(bound as i32);
                // States are below 2^31: a signed comparison does.
                let under_a = _mm256_cmpgt_epi32(bound, a[half]);
                let under_b = _mm256_cmpgt_epi32(bound, b[half]);
                let mask = word_mask(_mm256_blend_epi16::<0xaa>(under_a, under_b));
                let mut parts = [_mm_setzero_si128(); 2];
                for (part, mask) in parts.iter_mut().zip([mask & 0xff, mask >> 16 & 0xff]) {
                    let from = words.as_ptr().add(end - 16);
                    let control = _mm_load_si128(SPREAD_BACKWARDS[mask as usize].0.as_ptr().cast());
                    *part = _mm_shuffle_epi8(_mm_loadu_si128(from.cast()), control);
                    end -= 2 * mask.count_ones() as usize;
                }
                let taken = _mm256_set_m128i(parts[1], parts[0]);
                let (low, high) = (
                    _mm256_blend_epi16::<0xaa>(taken, _mm256_setzero_si256()),
                    _mm256_srli_epi32::<16>(taken),
                );
                let refilled = |x, word| _mm256_or_si256(_mm256_slli_epi32::<16>(x), word);
                a[half] = _mm256_blendv_epi8(a[half], refilled(a[half], low), under_a);
                b[half] = _mm256_blendv_epi8(b[half], refilled(b[half], high), under_b);
            }
        }
        ([a, b], (64 - end) / 2)
    }
}

//! Loads in place of gathers, for the rows of [`Avx512`]: where elements are neighbours in memory,
//! and where gathers are slow; and gathers of what is not made of words.

#![allow(unsafe_code, reason = "vector intrinsics")]

use std::arch::x86_64::*;

use super::aligned::Aligned;
use super::avx512::Avx512;
use super::avx512_parts::join_four;
use super::traits::{Simd, Simd512};

/// Where `$count` words begin for each of `$n` ends: before it in `$words`, or a copy behind zeros
/// where fewer are there, which may be if `$few`.
macro_rules! words_before {
    ($from:ident in $self:ident, $words:ident, $end:ident, $few:expr, $word:ty, $count:literal, $n:literal) => {
        let copies;
        let $from = match $self.before::<$word, $count, $n>($words, $end, $few) {
            Ok(from) => from,
            Err(ends) => {
                copies = few_before::<$word, $count, $n>($words, &ends);
                copies.each_ref().map(|copy| copy.as_ptr())
            }
        };
    };
}

impl Avx512<true> {
    /// [`Simd512::gather_u16`].
    #[inline(always)]
    pub(super) fn gather_words(self, table: &[u16], index: __m512i) -> __m512i {
        let last = table.len().checked_sub(2).expect("two values");
        let index = self.min(index, self.splat(last.min(i32::MAX as usize) as u32));
        // SAFETY: the token proves the features; four bytes from every index on lie inside the
        // table.
        unsafe {
            let found = _mm512_i32gather_epi32::<2>(index, table.as_ptr().cast());
            _mm512_and_si512(found, _mm512_set1_epi32(0xffff))
        }
    }

    /// [`Simd512::gather_before`].
    #[inline(always)]
    pub(super) fn gather_ends(self, bytes: &[u8], end: __m512i) -> __m512i {
        let last = bytes.len().checked_sub(4).expect("at least four bytes");
        let last = self.splat(last.min(i32::MAX as usize) as u32);
        // SAFETY: the token proves the features; four bytes from every place on lie inside `bytes`.
        unsafe {
            let four = _mm512_set1_epi32(4);
            let from = _mm512_sub_epi32(_mm512_max_epu32(end, four), four);
            let from = _mm512_min_epu32(from, last);
            // 0 but for the first bytes of all.
            let missing = _mm512_sub_epi32(_mm512_add_epi32(from, four), end);
            let got = _mm512_i32gather_epi32::<1>(from, bytes.as_ptr().cast());
            _mm512_sllv_epi32(got, _mm512_slli_epi32::<3>(missing))
        }
    }

    /// The eight bytes before each end.
    #[inline(always)]
    pub(super) fn eight_before(self, bytes: &[u8], end: __m512i) -> [__m512i; 2] {
        words_before!(from in self, bytes, end, true, u8, 8, 16);
        // SAFETY: the token proves the features; from each pointer on there are eight bytes.
        unsafe {
            let two = |e: usize| {
                let low = _mm_loadl_epi64(from[e].cast());
                _mm_castpd_si128(_mm_loadh_pd(_mm_castsi128_pd(low), from[e + 1].cast()))
            };
            [
                join_four(two(0), two(2), two(4), two(6)),
                join_four(two(8), two(10), two(12), two(14)),
            ]
        }
    }

    /// [`Simd512::load_four_before`].
    #[inline(always)]
    pub(super) fn four_before(self, words: &[u32], end: __m512i) -> [__m512i; 4] {
        words_before!(from in self, words, end, true, u32, 4, 16);
        // SAFETY: the token proves the features; from each pointer on there are four words.
        unsafe {
            let four = |e: usize| _mm_loadu_si128(from[e].cast());
            // Blocks 0 to 3 of vector j are those of elements j, 4 + j, 8 + j and 12 + j: a
            // transpose within blocks brings the elements in order.
            let every = |j: usize| join_four(four(j), four(4 + j), four(8 + j), four(12 + j));
            let (a, b, c, d) = (every(0), every(1), every(2), every(3));
            let (ab, cd) = (_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(c, d));
            let (ab_high, cd_high) = (_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(c, d));
            [
                _mm512_unpackhi_epi64(ab_high, cd_high),
                _mm512_unpacklo_epi64(ab_high, cd_high),
                _mm512_unpackhi_epi64(ab, cd),
                _mm512_unpacklo_epi64(ab, cd),
            ]
        }
    }

    /// [`Simd512::load_before`].
    #[inline(always)]
    pub(super) fn blocks_before<const L: usize, W: bytemuck::Pod>(
        self,
        words: &[W],
        end: __m512i,
        few: bool,
    ) -> __m512i {
        const {
            assert!(matches!(L, 2 | 4 | 8) && matches!(size_of::<W>(), 2 | 4));
        }
        let join = |low, high| {
            // SAFETY: the token proves the features; no pointer is involved.
            unsafe { _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(low), high) }
        };
        let wide = |low, high| {
            // SAFETY: as above.
            unsafe { _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high) }
        };
        let of_halves = |halves| {
            // SAFETY: as above.
            unsafe { _mm512_cvtepu16_epi32(halves) }
        };
        match L {
            8 => {
                words_before!(from in self, words, end, few, W, 8, 2);
                // SAFETY: the token proves the features; from each pointer on there are `L` words.
                unsafe {
                    if size_of::<W>() == 4 {
                        let eight = |r: usize| _mm256_loadu_si256(from[r].cast());
                        wide(eight(0), eight(1))
                    } else {
                        let eight = |r: usize| _mm_loadu_si128(from[r].cast());
                        of_halves(join(eight(0), eight(1)))
                    }
                }
            }
            4 => {
                words_before!(from in self, words, end, few, W, 4, 4);
                // SAFETY: as above.
                unsafe {
                    if size_of::<W>() == 4 {
                        let four = |r: usize| _mm_loadu_si128(from[r].cast());
                        wide(join(four(0), four(1)), join(four(2), four(3)))
                    } else {
                        let four = |r: usize| _mm_loadl_epi64(from[r].cast());
                        let two = |r: usize| _mm_unpacklo_epi64(four(r), four(r + 1));
                        of_halves(join(two(0), two(2)))
                    }
                }
            }
            _ => {
                words_before!(from in self, words, end, few, W, 2, 8);
                // SAFETY: as above.
                unsafe {
                    if size_of::<W>() == 4 {
                        let two = |r: usize| _mm_loadl_epi64(from[r].cast());
                        let four = |r: usize| _mm_unpacklo_epi64(two(r), two(r + 1));
                        wide(join(four(0), four(2)), join(four(4), four(6)))
                    } else {
                        let two =
                            |r: usize| _mm_cvtsi32_si128(from[r].cast::<i32>().read_unaligned());
                        let four = |r: usize| _mm_unpacklo_epi32(two(r), two(r + 1));
                        let eight = |r: usize| _mm_unpacklo_epi64(four(r), four(r + 2));
                        of_halves(join(eight(0), eight(4)))
                    }
                }
            }
        }
    }

    /// Where the `COUNT` words before each end begin, for `N` ends spread evenly over the elements,
    /// unless `few` and one of them has not as many before it: then the ends. Unless `few` there
    /// are as many words.
    #[inline(always)]
    fn before<W, const COUNT: usize, const N: usize>(
        self,
        words: &[W],
        end: __m512i,
        few: bool,
    ) -> Result<[*const W; N], [u32; 16]> {
        let count = self.splat(COUNT as u32);
        let mut places = Aligned([0u32; 16]);
        if few && (words.len() < COUNT || self.ge(end, count) != u16::MAX) {
            self.store(end, &mut places.0);
            return Err(places.0);
        }
        let last = words.len().checked_sub(COUNT).expect("so many words");
        let last = self.splat(last.min(u32::MAX as usize) as u32);
        self.store(self.min(self.sub(end, count), last), &mut places.0);
        // SAFETY: the element is one of sixteen. Volatile, or the compiler takes them out of the
        // vector one by one, which costs more than to read them back.
        let place = |n: usize| unsafe { (&raw const places.0[16 / N * n]).read_volatile() };
        // Inside `words`, and `COUNT` before their end at least.
        Ok(std::array::from_fn(|n| words.as_ptr().wrapping_add(place(n) as usize)))
    }
}

/// The last words before `N` of the ends, fewer than `COUNT` of which may be there, behind zeros.
#[cold]
#[inline(never)]
fn few_before<W: bytemuck::Pod, const COUNT: usize, const N: usize>(
    words: &[W],
    ends: &[u32; 16],
) -> [[W; COUNT]; N] {
    let mut out = [[W::zeroed(); COUNT]; N];
    for (out, &end) in out.iter_mut().zip(ends.iter().step_by(16 / N)) {
        let found = &words[..(end as usize).min(words.len())];
        let found = &found[found.len().saturating_sub(COUNT)..];
        out[COUNT - found.len()..].copy_from_slice(found);
    }
    out
}

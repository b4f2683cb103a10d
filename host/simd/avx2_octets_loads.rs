//! AVX2: quads and indexes from memory.

#![allow(unsafe_code, reason = "vector intrinsics")]

use std::arch::x86_64::*;

use super::avx2_octets::V;
use super::octets::{PLACES, Quad};

/// The 16 bytes at two places, the first in the low half: a load, and one that the insertion takes
/// in.
///
/// # Safety
/// Both may be read.
#[inline(always)]
pub(super) unsafe fn load_two(low: *const __m128i, high: *const __m128i) -> V {
    // SAFETY: called only by methods of a token that proves AVX2; the caller's promise.
    unsafe {
        let low = _mm256_castsi128_si256(_mm_loadu_si128(low));
        _mm256_inserti128_si256::<1>(low, _mm_loadu_si128(high))
    }
}

/// Quads 0 and 4, 1 and 5, 2 and 6, 3 and 7 of eight at offsets in bytes.
///
/// # Safety
/// Every offset is that of a quad of the table.
#[inline(always)]
pub(super) unsafe fn load_in_twos(table: &[Quad], offsets: [u32; 8]) -> [V; 4] {
    macro_rules! quad {
        ($e:literal) => {
            table.as_ptr().byte_add(offsets[$e] as usize).cast()
        };
    }
    // SAFETY: called only by methods of a token that proves AVX2; the caller's promise.
    unsafe {
        [
            load_two(quad!(0), quad!(4)),
            load_two(quad!(1), quad!(5)),
            load_two(quad!(2), quad!(6)),
            load_two(quad!(3), quad!(7)),
        ]
    }
}

/// Eight quads at offsets in bytes, as elements of four vectors.
///
/// # Safety
/// Every offset is that of a quad of the table.
#[inline(always)]
pub(super) unsafe fn load_quads(table: &[Quad], offsets: [u32; 8]) -> [V; 4] {
    // SAFETY: called only by methods of a token that proves AVX2; the caller's promise.
    unsafe {
        let [v0, v1, v2, v3] = load_in_twos(table, offsets);
        let (a, b) = (_mm256_unpacklo_epi32(v0, v1), _mm256_unpackhi_epi32(v0, v1));
        let (c, d) = (_mm256_unpacklo_epi32(v2, v3), _mm256_unpackhi_epi32(v2, v3));
        [
            _mm256_unpacklo_epi64(a, c),
            _mm256_unpackhi_epi64(a, c),
            _mm256_unpacklo_epi64(b, d),
            _mm256_unpackhi_epi64(b, d),
        ]
    }
}

/// Reads eight offsets, in blocks of `L` from `at` on.
///
/// Volatile, or the compiler would make one vector of the loads and take it apart again.
#[inline(always)]
pub(super) fn offsets_at<const L: usize>(
    offsets: &[u32; PLACES],
    at: usize,
    stride: usize,
) -> [u32; 8] {
    assert!(at < PLACES && stride <= PLACES && at + (8 / L - 1) * stride + L <= PLACES);
    let from = offsets.as_ptr();
    macro_rules! read {
        ($($e:literal)*) => {
            // SAFETY: the blocks lie inside the array.
            unsafe { [$(from.add(at + $e / L * stride + $e % L).read_volatile()),*] }
        };
    }
    read!(0 1 2 3 4 5 6 7)
}

/// Eight indexes of at most `last`, as numbers of their own.
///
/// Volatile, as in [`offsets_at`].
#[inline(always)]
pub(super) fn bounded(index: V, last: usize) -> [usize; 8] {
    let mut all = [0u32; 8];
    // SAFETY: called only by methods of a token that proves AVX2; 32 bytes are there.
    unsafe {
        let last = _mm256_set1_epi32(last.min(i32::MAX as usize) as i32);
        _mm256_storeu_si256(all.as_mut_ptr().cast(), _mm256_min_epu32(index, last));
    }
    let from = all.as_ptr();
    macro_rules! read {
        ($($e:literal)*) => {
            // SAFETY: eight elements are there.
            unsafe { [$(from.add($e).read_volatile() as usize),*] }
        };
    }
    read!(0 1 2 3 4 5 6 7)
}

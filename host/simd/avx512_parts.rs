//! What the files of AVX-512 share below their token.

#![allow(unsafe_code, reason = "vector intrinsics")]

use std::arch::x86_64::*;

/// An order of elements.
#[inline(always)]
pub(super) fn load_order(order: &'static [u32; 16]) -> __m512i {
    // SAFETY: called only by methods of a token that proves AVX512F; 64 bytes are there.
    unsafe { _mm512_loadu_si512(order.as_ptr().cast()) }
}

/// Four blocks of 128 bits, the first lowest.
#[inline(always)]
pub(super) fn join_four(a: __m128i, b: __m128i, c: __m128i, d: __m128i) -> __m512i {
    // SAFETY: only methods of a token call this; no pointer is involved.
    unsafe {
        let low = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(a), b);
        let high = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(c), d);
        _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high)
    }
}

/// What a gather of eight gives.
///
/// # Safety
/// The processor has AVX-512, and each index lies inside the table.
#[inline(always)]
pub(super) unsafe fn load_each(table: *const u64, index: __m256i) -> __m512i {
    // SAFETY: the caller's promise.
    unsafe {
        let two = |pair: u64| {
            let low = _mm_loadl_epi64(table.add(pair as u32 as usize).cast());
            let high = table.add((pair >> 32) as usize);
            _mm_castpd_si128(_mm_loadh_pd(_mm_castsi128_pd(low), high.cast()))
        };
        let low = _mm256_castsi256_si128(index);
        let high = _mm256_extracti128_si256::<1>(index);
        join_four(
            two(_mm_cvtsi128_si64(low) as u64),
            two(_mm_extract_epi64::<1>(low) as u64),
            two(_mm_cvtsi128_si64(high) as u64),
            two(_mm_extract_epi64::<1>(high) as u64),
        )
    }
}

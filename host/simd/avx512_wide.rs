//! [`Simd512`] in AVX-512: sixteen `u32` are one register, sixteen `u64` two.

#![allow(unsafe_code, reason = "vector intrinsics")]

use std::arch::x86_64::*;

use super::avx512::Avx512;
use super::traits::{Simd, Simd512};

/// Intrinsics without pointers, whose features the token proves.
macro_rules! with_features {
    ($($call:tt)*) => {
        // SAFETY: `self` exists only where the processor has the features; no pointer is involved.
        unsafe { $($call)* }
    };
}

const ROUND_DOWN: i32 = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;

impl Simd512 for Avx512<true> {
    type U64 = [__m512i; 2];

    #[inline(always)]
    fn prefetch_to_write<T>(self, values: &mut [T], at: usize) {
        // SAFETY: as above.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(values.as_ptr().wrapping_add(at).cast()) }
    }

    #[inline(always)]
    fn splat_mask(self, mask: u16) -> __m512i {
        with_features!(_mm512_broadcastmw_epi32(mask))
    }

    #[inline(always)]
    fn store_non_temporal(self, v: __m512i, to: &mut [u32; 16]) {
        let to: *mut __m512i = to.as_mut_ptr().cast();
        // SAFETY: the token proves the features; 64 bytes are there, aligned for the first store.
        unsafe {
            if to.is_aligned() { _mm512_stream_si512(to, v) } else { _mm512_storeu_si512(to, v) }
        }
    }

    #[inline(always)]
    fn fence(self) {
        with_features!(_mm_sfence());
    }

    #[inline(always)]
    fn load_u8(self, from: &[u8; 16]) -> __m512i {
        // SAFETY: the token proves the features; 16 bytes are there.
        unsafe { _mm512_cvtepu8_epi32(_mm_loadu_si128(from.as_ptr().cast())) }
    }

    #[inline(always)]
    fn load_u16(self, from: &[u16; 16]) -> __m512i {
        // SAFETY: the token proves the features; 32 bytes are there.
        unsafe { _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.as_ptr().cast())) }
    }

    #[inline(always)]
    fn load_i16(self, from: &[i16; 16]) -> __m512i {
        // SAFETY: the token proves the features; 32 bytes are there.
        unsafe { _mm512_cvtepi16_epi32(_mm256_loadu_si256(from.as_ptr().cast())) }
    }

    #[inline(always)]
    fn or(self, a: __m512i, b: __m512i) -> __m512i {
        with_features!(_mm512_or_si512(a, b))
    }

    #[inline(always)]
    fn min(self, a: __m512i, b: __m512i) -> __m512i {
        with_features!(_mm512_min_epu32(a, b))
    }

    #[inline(always)]
    fn funnel_shr(self, high: __m512i, low: __m512i, bits: __m512i) -> __m512i {
        with_features!(_mm512_shrdv_epi32(low, high, bits))
    }

    #[inline(always)]
    fn funnel_shl(self, high: __m512i, low: __m512i, bits: __m512i) -> __m512i {
        with_features!(_mm512_shldv_epi32(high, low, bits))
    }

    #[inline(always)]
    fn test(self, a: __m512i, b: __m512i) -> u16 {
        with_features!(_mm512_test_epi32_mask(a, b))
    }

    #[inline(always)]
    fn extract_bits(self, value: u64, mask: u64) -> u64 {
        with_features!(_pext_u64(value, mask))
    }

    #[inline(always)]
    fn count_ones(self, v: __m512i) -> __m512i {
        with_features!(_mm512_popcnt_epi32(v))
    }

    #[inline(always)]
    fn gather_u16(self, table: &[u16], index: __m512i) -> __m512i {
        self.gather_words(table, index)
    }

    #[inline(always)]
    fn load_eight_before(self, bytes: &[u8], end: __m512i) -> [__m512i; 2] {
        let both = self.eight_before(bytes, end);
        [self.narrow_high(both), self.narrow(both)]
    }

    #[inline(always)]
    fn load_four_before(self, words: &[u32], end: __m512i) -> [__m512i; 4] {
        self.four_before(words, end)
    }

    #[inline(always)]
    fn load_before<const L: usize, W: bytemuck::Pod>(
        self,
        words: &[W],
        end: __m512i,
        few: bool,
    ) -> __m512i {
        self.blocks_before::<L, W>(words, end, few)
    }

    #[inline(always)]
    fn gather_before(self, bytes: &[u8], end: __m512i) -> __m512i {
        self.gather_ends(bytes, end)
    }

    #[inline(always)]
    fn transpose<const L: usize>(self, v: &mut [__m512i; 16]) {
        self.exchange_blocks::<L>(v);
    }

    #[inline(always)]
    fn permute(self, v: __m512i, index: __m512i) -> __m512i {
        with_features!(_mm512_permutexvar_epi32(index, v))
    }

    #[inline(always)]
    fn permute_two(self, a: __m512i, b: __m512i, index: __m512i) -> __m512i {
        with_features!(_mm512_permutex2var_epi32(a, index, b))
    }

    #[inline(always)]
    fn reverse_blocks<const L: usize>(self, v: __m512i) -> __m512i {
        self.turn_blocks::<L>(v)
    }

    #[inline(always)]
    fn low_halves(self, v: [__m512i; 2]) -> __m512i {
        self.lower_halves(v)
    }

    #[inline(always)]
    fn low_bytes(self, v: [__m512i; 4]) -> __m512i {
        self.lowest_bytes(v)
    }

    #[inline(always)]
    fn halves_from_top(self, v: __m512i) -> [__m512i; 2] {
        self.spread_halves(v)
    }

    #[inline(always)]
    fn bytes_from_top(self, v: __m512i) -> [__m512i; 4] {
        self.spread_bytes(v)
    }

    #[inline(always)]
    fn store_top_bits(self, bits: [__m512i; 2], len: __m512i, to: &mut [u8], at: __m512i) {
        self.store_bits(bits, len, to, at);
    }

    #[inline(always)]
    fn load64(self, from: &[u64; 16]) -> [__m512i; 2] {
        // SAFETY: the token proves the features; 128 bytes are there.
        unsafe {
            [
                _mm512_loadu_si512(from.as_ptr().cast()),
                _mm512_loadu_si512(from.as_ptr().add(8).cast()),
            ]
        }
    }

    #[inline(always)]
    fn store64(self, v: [__m512i; 2], to: &mut [u64; 16]) {
        // SAFETY: the token proves the features; 128 bytes are there.
        unsafe {
            _mm512_storeu_si512(to.as_mut_ptr().cast(), v[0]);
            _mm512_storeu_si512(to.as_mut_ptr().add(8).cast(), v[1]);
        }
    }

    #[inline(always)]
    fn widen(self, v: __m512i) -> [__m512i; 2] {
        with_features!([
            _mm512_cvtepu32_epi64(_mm512_castsi512_si256(v)),
            _mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64::<1>(v)),
        ])
    }

    #[inline(always)]
    fn narrow(self, v: [__m512i; 2]) -> __m512i {
        self.deinterleave(v)[0]
    }

    #[inline(always)]
    fn narrow_high(self, v: [__m512i; 2]) -> __m512i {
        self.deinterleave(v)[1]
    }

    #[inline(always)]
    fn add64_where_ge(
        self,
        v: [__m512i; 2],
        more: [__m512i; 2],
        a: [__m512i; 2],
        b: [__m512i; 2],
    ) -> [__m512i; 2] {
        with_features!([
            _mm512_mask_add_epi64(v[0], _mm512_cmpge_epu64_mask(a[0], b[0]), v[0], more[0]),
            _mm512_mask_add_epi64(v[1], _mm512_cmpge_epu64_mask(a[1], b[1]), v[1], more[1]),
        ])
    }

    #[inline(always)]
    fn add64(self, a: [__m512i; 2], b: [__m512i; 2]) -> [__m512i; 2] {
        with_features!([_mm512_add_epi64(a[0], b[0]), _mm512_add_epi64(a[1], b[1])])
    }

    #[inline(always)]
    fn sub64(self, a: [__m512i; 2], b: [__m512i; 2]) -> [__m512i; 2] {
        with_features!([_mm512_sub_epi64(a[0], b[0]), _mm512_sub_epi64(a[1], b[1])])
    }

    #[inline(always)]
    fn mul64(self, a: [__m512i; 2], b: [__m512i; 2]) -> [__m512i; 2] {
        with_features!([_mm512_mullo_epi64(a[0], b[0]), _mm512_mullo_epi64(a[1], b[1])])
    }

    #[inline(always)]
    fn or64(self, a: [__m512i; 2], b: [__m512i; 2]) -> [__m512i; 2] {
        with_features!([_mm512_or_si512(a[0], b[0]), _mm512_or_si512(a[1], b[1])])
    }

    #[inline(always)]
    fn shl64(self, v: [__m512i; 2], bits: u32) -> [__m512i; 2] {
        with_features!({
            let bits = _mm_cvtsi32_si128(bits as i32);
            [_mm512_sll_epi64(v[0], bits), _mm512_sll_epi64(v[1], bits)]
        })
    }

    #[inline(always)]
    fn shr64(self, v: [__m512i; 2], bits: u32) -> [__m512i; 2] {
        with_features!({
            let bits = _mm_cvtsi32_si128(bits as i32);
            [_mm512_srl_epi64(v[0], bits), _mm512_srl_epi64(v[1], bits)]
        })
    }

    #[inline(always)]
    fn ge64(self, a: [__m512i; 2], b: [__m512i; 2]) -> u16 {
        with_features!(_mm512_kunpackb(
            _mm512_cmpge_epu64_mask(a[1], b[1]).into(),
            _mm512_cmpge_epu64_mask(a[0], b[0]).into()
        ))
    }

    #[inline(always)]
    fn select64(self, mask: u16, a: [__m512i; 2], b: [__m512i; 2]) -> [__m512i; 2] {
        with_features!([
            _mm512_mask_mov_epi64(b[0], mask as u8, a[0]),
            _mm512_mask_mov_epi64(b[1], (mask >> 8) as u8, a[1]),
        ])
    }

    #[inline(always)]
    fn quotient64(self, x: [__m512i; 2], d: __m512i) -> [__m512i; 2] {
        // Every step rounds down, so the estimate is never too large; three roundings of 2^-52 keep
        // the estimate within 3/8 of a quotient below 2^49.
        with_features!({
            let d = [
                _mm512_cvtepu32_pd(_mm512_castsi512_si256(d)),
                _mm512_cvtepu32_pd(_mm512_extracti64x4_epi64::<1>(d)),
            ];
            let one = _mm512_set1_pd(1.0);
            let half = |x: __m512i, d: __m512d| {
                let reciprocal = _mm512_div_round_pd::<ROUND_DOWN>(one, d);
                let x = _mm512_cvt_roundepu64_pd::<ROUND_DOWN>(x);
                _mm512_cvttpd_epu64(_mm512_mul_round_pd::<ROUND_DOWN>(x, reciprocal))
            };
            [half(x[0], d[0]), half(x[1], d[1])]
        })
    }

    #[inline(always)]
    fn expand_u32(self, words: &[u32; 16], mask: u16) -> __m512i {
        let backwards = self.reverse_blocks::<16>(self.load(words));
        with_features!(_mm512_maskz_expand_epi32(mask, backwards))
    }

    #[inline(always)]
    fn expand_u8(self, bytes: &[u8; 32], first: u16, second: u16) -> __m512i {
        self.deal_bytes(bytes, first, second)
    }

    #[inline(always)]
    fn compress_u32(self, v: __m512i, mask: u16, out: &mut [u32; 16]) {
        // To a register and then to memory: compression straight to memory is microcode on Zen.
        with_features!(self.store(_mm512_maskz_compress_epi32(mask, v), out))
    }

    #[inline(always)]
    fn compress_u16(self, v: __m512i, mask: u16, out: &mut [u16; 16]) {
        // SAFETY: the token proves the features; 32 bytes are there.
        unsafe {
            let words = _mm512_cvtepi32_epi16(v);
            let packed = _mm256_maskz_compress_epi16(mask, words);
            _mm256_storeu_si256(out.as_mut_ptr().cast(), packed);
        }
    }

    #[inline(always)]
    fn compress_u8(self, v: __m512i, first: u16, second: u16, out: &mut [u8; 32]) {
        // SAFETY: the token proves the features; 32 bytes are there.
        unsafe {
            let mask = _pdep_u32(first.into(), 0x5555_5555) | _pdep_u32(second.into(), 0xaaaa_aaaa);
            let bytes = _mm512_cvtepi32_epi16(v);
            let packed = _mm256_maskz_compress_epi8(mask, bytes);
            _mm256_storeu_si256(out.as_mut_ptr().cast(), packed);
        }
    }
}

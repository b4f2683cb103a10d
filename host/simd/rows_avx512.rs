//! [`RowSimd`] in AVX-512: sixteen `u32` are one register, sixteen `u64` two.

#![allow(unsafe_code, reason = "vector intrinsics")]

use std::arch::x86_64::*;

use super::avx512::Avx512;
use super::rows::{Bounded, RowSimd, RowWork};
use super::rows_avx512_loads::load_each;
use super::{ByteTable, Simd};

/// Proof that the processor has AVX-512 F, BW, CD, DQ, VL, VBMI, VBMI2, BITALG and VPOPCNTDQ, as Ice Lake, Zen 4 and all later ones do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowsAvx512 {
    slow_gathers: bool,
    permutes: Avx512<true>,
}

impl RowsAvx512 {
    /// The token, if the processor has the features; `slow_gathers` chooses loads where there is a choice.
    pub(crate) fn new(slow_gathers: bool) -> Option<Self> {
        let permutes = Avx512::new()?;
        let more =
            is_x86_feature_detected!("avx512cd") && is_x86_feature_detected!("avx512vpopcntdq");
        more.then_some(Self { slow_gathers, permutes })
    }
}

#[target_feature(
    enable = "avx512f,avx512cd,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,avx512bitalg,avx512vpopcntdq,bmi1,bmi2,lzcnt,popcnt"
)]
fn enter<W: RowWork>(token: RowsAvx512, work: W) -> W::Output {
    work.run(token)
}

/// Intrinsics without pointers, whose features the token proves.
macro_rules! with_features {
    ($($call:tt)*) => {
        // SAFETY: `self` exists only where the processor has the features; no pointer is involved.
        unsafe { $($call)* }
    };
}

const ROUND_DOWN: i32 = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;

#[inline(always)]
pub(super) fn load_order(order: &'static [u32; 16]) -> __m512i {
    // SAFETY: only methods of a token call this; 64 bytes are there.
    unsafe { _mm512_loadu_si512(order.as_ptr().cast()) }
}

impl RowsAvx512 {
    /// The two halves of a vector.
    #[inline(always)]
    fn split(self, v: __m512i) -> [__m256i; 2] {
        with_features!([_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64::<1>(v)])
    }
}

impl RowSimd for RowsAvx512 {
    type U32 = __m512i;
    type U64 = [__m512i; 2];

    #[inline(always)]
    fn vectorize<W: RowWork>(self, work: W) -> W::Output {
        with_features!(enter(self, work))
    }

    #[inline(always)]
    fn prefetch<T>(self, values: &[T], at: usize) {
        // SAFETY: a prefetch of any address does nothing but load a cache.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(values.as_ptr().wrapping_add(at).cast()) }
    }

    #[inline(always)]
    fn prefetch_to_write<T>(self, values: &mut [T], at: usize) {
        // SAFETY: as above.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(values.as_ptr().wrapping_add(at).cast()) }
    }

    #[inline(always)]
    fn splat(self, value: u32) -> __m512i {
        with_features!(_mm512_set1_epi32(value as i32))
    }

    #[inline(always)]
    fn splat_mask(self, mask: u16) -> __m512i {
        with_features!(_mm512_broadcastmw_epi32(mask))
    }

    #[inline(always)]
    fn load(self, from: &[u32; 16]) -> __m512i {
        // SAFETY: the token proves the features; 64 bytes are there.
        unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, v: __m512i, to: &mut [u32; 16]) {
        // SAFETY: the token proves the features; 64 bytes are there.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), v) }
    }

    #[inline(always)]
    fn store_past_cache(self, v: __m512i, to: &mut [u32; 16]) {
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
    fn add(self, a: __m512i, b: __m512i) -> __m512i {
        with_features!(_mm512_add_epi32(a, b))
    }

    #[inline(always)]
    fn sub(self, a: __m512i, b: __m512i) -> __m512i {
        with_features!(_mm512_sub_epi32(a, b))
    }

    #[inline(always)]
    fn mul(self, a: __m512i, b: __m512i) -> __m512i {
        with_features!(_mm512_mullo_epi32(a, b))
    }

    #[inline(always)]
    fn and(self, a: __m512i, b: __m512i) -> __m512i {
        with_features!(_mm512_and_si512(a, b))
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
    fn shl(self, v: __m512i, bits: u32) -> __m512i {
        with_features!(_mm512_sll_epi32(v, _mm_cvtsi32_si128(bits as i32)))
    }

    #[inline(always)]
    fn shr(self, v: __m512i, bits: u32) -> __m512i {
        with_features!(_mm512_srl_epi32(v, _mm_cvtsi32_si128(bits as i32)))
    }

    #[inline(always)]
    fn shr_by(self, v: __m512i, bits: __m512i) -> __m512i {
        with_features!(_mm512_srlv_epi32(v, bits))
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
    fn ge(self, a: __m512i, b: __m512i) -> u16 {
        with_features!(_mm512_cmpge_epu32_mask(a, b))
    }

    #[inline(always)]
    fn eq(self, a: __m512i, b: __m512i) -> u16 {
        with_features!(_mm512_cmpeq_epi32_mask(a, b))
    }

    #[inline(always)]
    fn test(self, a: __m512i, b: __m512i) -> u16 {
        with_features!(_mm512_test_epi32_mask(a, b))
    }

    #[inline(always)]
    fn select(self, mask: u16, a: __m512i, b: __m512i) -> __m512i {
        with_features!(_mm512_mask_mov_epi32(b, mask, a))
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
    fn gather(self, table: &[u32], index: __m512i) -> __m512i {
        let last = table.len().checked_sub(1).expect("a table is never empty");
        let index = self.min(index, self.splat(last.min(i32::MAX as usize) as u32));
        // SAFETY: the token proves the features; every index is at most the last.
        unsafe { _mm512_i32gather_epi32::<4>(index, table.as_ptr().cast()) }
    }

    #[inline(always)]
    fn gather_u16(self, table: &[u16], index: __m512i) -> __m512i {
        self.gather_words(table, index)
    }

    #[inline(always)]
    fn lookup_bytes(self, table: &ByteTable<4>, bytes: __m512i) -> [__m512i; 4] {
        self.permutes.lookup_bytes(table, bytes)
    }

    #[inline(always)]
    fn slow_gathers(self) -> bool {
        self.slow_gathers
    }

    #[inline(always)]
    fn gather_halves(self, table: &Bounded<'_, __m512i>, index: __m512i) -> [__m512i; 2] {
        let (table, index) = table.inside(self, index);
        let [low, high] = self.split(index);
        // SAFETY: the token proves the features; every index is inside.
        let both = unsafe {
            [
                _mm512_i32gather_epi64::<8>(low, table.cast()),
                _mm512_i32gather_epi64::<8>(high, table.cast()),
            ]
        };
        [self.narrow(both), self.narrow_high(both)]
    }

    #[inline(always)]
    fn load_halves(self, table: &Bounded<'_, __m512i>, index: __m512i) -> [__m512i; 2] {
        let (table, index) = table.inside(self, index);
        let [low, high] = self.split(index);
        // SAFETY: the token proves the features; every index is inside.
        let both = unsafe { [load_each(table, low), load_each(table, high)] };
        [self.narrow(both), self.narrow_high(both)]
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
        near: bool,
    ) -> __m512i {
        self.blocks_before::<L, W>(words, end, near)
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
    fn quotient(self, x: __m512i, d: __m512i) -> __m512i {
        // Every step rounds down, so the estimate is never too large; three roundings of 2^-23 keep it within 3/4 of a quotient below 2^21.
        with_features!({
            let d = _mm512_cvtepi32_ps(d);
            let reciprocal = _mm512_div_round_ps::<ROUND_DOWN>(_mm512_set1_ps(1.0), d);
            let x = _mm512_cvt_roundepi32_ps::<ROUND_DOWN>(x);
            _mm512_cvttps_epi32(_mm512_mul_round_ps::<ROUND_DOWN>(x, reciprocal))
        })
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
        const LOW: [u32; 16] = [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30];
        with_features!(_mm512_permutex2var_epi32(v[0], load_order(&LOW), v[1]))
    }

    #[inline(always)]
    fn narrow_high(self, v: [__m512i; 2]) -> __m512i {
        const HIGH: [u32; 16] = [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31];
        with_features!(_mm512_permutex2var_epi32(v[0], load_order(&HIGH), v[1]))
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
        // As `quotient`: three roundings down of 2^-52 keep the estimate within 3/8 of a quotient below 2^49.
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

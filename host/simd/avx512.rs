//! AVX-512: the sixteen elements are one register.
//!
//! `PERMUTE` chooses how 256-entry tables are looked up: by gathers, or byte plane by byte plane
//! with `vpermi2b`. Sixteen gathered elements cost about 14 cycles on Zen 5 and 6 on Ice Lake; two
//! `vpermi2b` and a blend for 64 bytes of a plane cost 1.3 cycles on Zen 5 and 5 on Ice Lake, where
//! they are three micro-operations each.

#![allow(unsafe_code, reason = "vector intrinsics")]

use std::arch::x86_64::*;

use super::avx512_parts::{load_each, load_order};
use super::byte_table::ByteTable;
use super::traits::{Bits, Bounded, RunOn, Simd};

/// Proof that the processor has AVX-512 F, BW, CD, DQ, VL, VBMI, VBMI2, BITALG and VPOPCNTDQ, as
/// Ice Lake, Zen 4 and all later ones do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx512<const PERMUTE: bool> {
    slow_gathers: bool,
    /// All elements, in a form that the compiler does not see through. A mask of ones that it knows
    /// is made by an instruction that waits for an unrelated mask: gathers whose addresses are
    /// there would then run one after another.
    all: __mmask16,
}

impl Avx512<true> {
    /// The token, if the processor has the features. Lookups of bytes are always in registers,
    /// whatever gathers cost.
    pub(super) fn with_gathers(slow: bool) -> Option<Self> {
        Self::new().map(|token| Self { slow_gathers: slow, ..token })
    }
}

impl<const PERMUTE: bool> Avx512<PERMUTE> {
    /// The token, if the processor has the features.
    pub(crate) fn new() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512cd")
            && is_x86_feature_detected!("avx512vpopcntdq")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vbmi")
            && is_x86_feature_detected!("avx512vbmi2")
            && is_x86_feature_detected!("avx512bitalg")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
        has.then_some(Self { slow_gathers: PERMUTE, all: std::hint::black_box(!0) })
    }
}

/// One intrinsic (or a nest of them), whose features the token proves.
macro_rules! with_features {
    ($($call:tt)*) => {
        // SAFETY: `self` exists only where the processor has the features; no pointer is involved.
        unsafe { $($call)* }
    };
}

#[target_feature(
    enable = "avx512f,avx512cd,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,avx512bitalg,avx512vpopcntdq,bmi1,bmi2,lzcnt,popcnt"
)]
fn enter<W: RunOn<Avx512<PERMUTE>>, const PERMUTE: bool>(
    token: Avx512<PERMUTE>,
    work: W,
) -> W::Output {
    work.run(token)
}

/// Bytes of each 128-bit block from element order to byte-position order: a 4 by 4 transpose.
const TRANSPOSE: [u8; 64] = {
    let mut order = [0; 64];
    let mut i = 0;
    while i < 64 {
        order[i] = (i % 4 * 4 + i / 4 % 4) as u8;
        i += 1;
    }
    order
};

/// Elements of four planes of bytes in byte-position order.
#[inline(always)]
fn interleave_planes(p0: __m512i, p1: __m512i, p2: __m512i, p3: __m512i) -> [__m512i; 4] {
    // SAFETY: called only by methods of a token that proves AVX512BW.
    unsafe {
        let (low01, high01) = (_mm512_unpacklo_epi8(p0, p1), _mm512_unpackhi_epi8(p0, p1));
        let (low23, high23) = (_mm512_unpacklo_epi8(p2, p3), _mm512_unpackhi_epi8(p2, p3));
        [
            _mm512_unpacklo_epi16(low01, low23),
            _mm512_unpackhi_epi16(low01, low23),
            _mm512_unpacklo_epi16(high01, high23),
            _mm512_unpackhi_epi16(high01, high23),
        ]
    }
}

/// The 32 words in the opposite order.
pub(crate) const REVERSE_WORDS: [u16; 32] = {
    let mut order = [0; 32];
    let mut i = 0;
    while i < 32 {
        order[i] = 31 - i as u16;
        i += 1;
    }
    order
};

/// The 16 elements in the opposite order.
const REVERSE: [u32; 16] = [15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0];

/// The even elements of two vectors.
const EVEN: [u32; 16] = [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30];

/// The odd elements of two vectors.
const ODD: [u32; 16] = [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31];

/// The first elements of two vectors in turn.
const FIRST: [u32; 16] = [0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23];

/// The last elements of two vectors in turn.
const LAST: [u32; 16] = [8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31];

/// The mask over interleaved words that two masks over elements make.
#[inline(always)]
fn interleave(even: u16, odd: u16) -> u32 {
    // SAFETY: called only by methods of a token that proves BMI2.
    unsafe { _pdep_u32(even.into(), 0x5555_5555) | _pdep_u32(odd.into(), 0xaaaa_aaaa) }
}

impl<const PERMUTE: bool> Avx512<PERMUTE> {
    /// The bytes of one plane for 64 indexes, whose top bits are `high`.
    #[inline(always)]
    pub(crate) fn lookup_plane(
        self,
        plane: &[u8; 256],
        index: __m512i,
        high: __mmask64,
    ) -> __m512i {
        // SAFETY: the token proves AVX512VBMI; the four loads cover the 256 bytes of `plane`.
        unsafe {
            let part = |i: usize| _mm512_loadu_si512(plane.as_ptr().add(64 * i).cast());
            let low = _mm512_permutex2var_epi8(part(0), index, part(1));
            // Merged into `low` where the top bit says so; the permutes themselves look at seven
            // bits.
            let upper = _mm512_permutex2var_epi8(part(2), index, part(3));
            _mm512_mask_blend_epi8(high, low, upper)
        }
    }
}

impl<const PERMUTE: bool> Bits for Avx512<PERMUTE> {
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

impl<const PERMUTE: bool> Simd for Avx512<PERMUTE> {
    type U32 = __m512i;
    type Mask = __mmask16;

    #[inline(always)]
    fn vectorize<W: RunOn<Self>>(self, work: W) -> W::Output {
        with_features!(enter(self, work))
    }

    #[inline(always)]
    fn slow_gathers(self) -> bool {
        PERMUTE && self.slow_gathers
    }

    #[inline(always)]
    fn splat(self, value: u32) -> __m512i {
        with_features!(_mm512_set1_epi32(value as i32))
    }

    #[inline(always)]
    fn load_bytes(self, bytes: &[u8; 64]) -> __m512i {
        // SAFETY: the token proves AVX512F; 64 bytes are there.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store_bytes(self, v: __m512i, bytes: &mut [u8; 64]) {
        // SAFETY: the token proves AVX512F; 64 bytes are there.
        unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), v) }
    }

    #[inline(always)]
    fn reverse(self, v: __m512i) -> __m512i {
        // SAFETY: the token proves AVX512F; `REVERSE` is 64 bytes.
        unsafe { _mm512_permutexvar_epi32(_mm512_loadu_si512(REVERSE.as_ptr().cast()), v) }
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
    fn shl(self, v: __m512i, bits: u32) -> __m512i {
        with_features!(_mm512_sll_epi32(v, _mm_cvtsi32_si128(bits as i32)))
    }

    #[inline(always)]
    fn shr(self, v: __m512i, bits: u32) -> __m512i {
        with_features!(_mm512_srl_epi32(v, _mm_cvtsi32_si128(bits as i32)))
    }

    #[inline(always)]
    fn shl_by(self, v: __m512i, bits: __m512i) -> __m512i {
        with_features!(_mm512_sllv_epi32(v, bits))
    }

    #[inline(always)]
    fn shr_by(self, v: __m512i, bits: __m512i) -> __m512i {
        with_features!(_mm512_srlv_epi32(v, bits))
    }

    #[inline(always)]
    fn quotient(self, x: __m512i, d: __m512i) -> __m512i {
        // The estimate is 2^-14 off at most; Newton's step squares that, and aims 2^-21 too low.
        // Four roundings of 2^-24 then leave a product that is too small, by less than 2^-20 of
        // itself.
        with_features!({
            let d = _mm512_cvtepi32_ps(d);
            let estimate = _mm512_rcp14_ps(d);
            let error = _mm512_fnmadd_ps(d, estimate, _mm512_set1_ps(super::ONE_LESS));
            let reciprocal = _mm512_fmadd_ps(estimate, error, estimate);
            _mm512_cvttps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(x), reciprocal))
        })
    }

    #[inline(always)]
    fn deinterleave(self, [a, b]: [__m512i; 2]) -> [__m512i; 2] {
        with_features!([
            _mm512_permutex2var_epi32(a, load_order(&EVEN), b),
            _mm512_permutex2var_epi32(a, load_order(&ODD), b),
        ])
    }

    #[inline(always)]
    fn interleave(self, [a, b]: [__m512i; 2]) -> [__m512i; 2] {
        with_features!([
            _mm512_permutex2var_epi32(a, load_order(&FIRST), b),
            _mm512_permutex2var_epi32(a, load_order(&LAST), b),
        ])
    }

    #[inline(always)]
    fn ge(self, a: __m512i, b: __m512i) -> __mmask16 {
        with_features!(_mm512_cmpge_epu32_mask(a, b))
    }

    #[inline(always)]
    fn eq(self, a: __m512i, b: __m512i) -> __mmask16 {
        with_features!(_mm512_cmpeq_epi32_mask(a, b))
    }

    #[inline(always)]
    fn either(self, a: __mmask16, b: __mmask16) -> __mmask16 {
        a | b
    }

    #[inline(always)]
    fn both(self, a: __mmask16, b: __mmask16) -> __mmask16 {
        a & b
    }

    #[inline(always)]
    fn differ(self, a: __mmask16, b: __mmask16) -> __mmask16 {
        a ^ b
    }

    #[inline(always)]
    fn any(self, mask: __mmask16) -> bool {
        mask != 0
    }

    #[inline(always)]
    fn nowhere(self) -> __mmask16 {
        0
    }

    #[inline(always)]
    fn to_bits(self, mask: __mmask16) -> u16 {
        mask
    }

    #[inline(always)]
    fn select(self, mask: __mmask16, a: __m512i, b: __m512i) -> __m512i {
        with_features!(_mm512_mask_mov_epi32(b, mask, a))
    }

    #[inline(always)]
    fn sub_where(self, mask: __mmask16, a: __m512i, b: __m512i) -> __m512i {
        with_features!(_mm512_mask_sub_epi32(a, mask, a, b))
    }

    #[inline(always)]
    fn add_where(self, mask: __mmask16, a: __m512i, b: __m512i) -> __m512i {
        with_features!(_mm512_mask_add_epi32(a, mask, a, b))
    }

    #[inline(always)]
    fn gather_modulo<const N: usize>(self, table: &[u32; N], index: __m512i) -> __m512i {
        const { assert!(N.is_power_of_two()) };
        // SAFETY: the token proves AVX512F; every index is below N.
        unsafe {
            let index = _mm512_and_si512(index, _mm512_set1_epi32((N - 1) as i32));
            _mm512_i32gather_epi32::<4>(index, table.as_ptr().cast())
        }
    }

    #[inline(always)]
    fn gather(self, table: &[u32], index: __m512i) -> __m512i {
        let last = table.len().checked_sub(1).expect("a table is never empty");
        let last = self.splat(last.min(i32::MAX as usize) as u32);
        // SAFETY: the token proves AVX512F; every index is at most the last.
        unsafe {
            let index = _mm512_min_epu32(index, last);
            _mm512_i32gather_epi32::<4>(index, table.as_ptr().cast())
        }
    }

    #[inline(always)]
    fn gather_to(self, table: &[u32], index: __m512i, out: &mut [u32; 16]) {
        let last = table.len().checked_sub(1).expect("an entry").min(u32::MAX as usize) as u32;
        // SAFETY: the token proves AVX512F; every index lies inside the table, and there is memory
        // for sixteen elements.
        unsafe {
            if !self.slow_gathers() {
                return self.store(self.gather(table, index), out);
            }
            let index = _mm512_min_epu32(index, self.splat(last));
            // Where gathers are slow, loads one by one cost less; volatile, or the compiler makes a
            // gather of them. Four results to a store: sixteen stores cost more than inserting
            // does, and for two stores more is inserted than they save.
            let mut at = [0u32; 16];
            _mm512_storeu_si512(at.as_mut_ptr().cast(), index);
            let load = |n: usize| table.as_ptr().add(at[n] as usize).read_volatile() as i32;
            let to: *mut __m128i = out.as_mut_ptr().cast();
            for four in 0..4 {
                let found = _mm_cvtsi32_si128(load(4 * four));
                let found = _mm_insert_epi32::<1>(found, load(4 * four + 1));
                let found = _mm_insert_epi32::<2>(found, load(4 * four + 2));
                let found = _mm_insert_epi32::<3>(found, load(4 * four + 3));
                _mm_storeu_si128(to.add(four), found);
            }
        }
    }

    #[inline(always)]
    fn gather_halves(self, table: &Bounded<'_, __m512i>, index: __m512i) -> [__m512i; 2] {
        let (table, last) = table.parts();
        // SAFETY: the token proves AVX512F; every index is at most the last.
        let both = unsafe {
            let index = _mm512_min_epu32(index, last);
            let low = _mm512_castsi512_si256(index);
            let high = _mm512_extracti64x4_epi64::<1>(index);
            let (none, all) = (_mm512_setzero_si512(), self.all as __mmask8);
            [
                _mm512_mask_i32gather_epi64::<8>(none, all, low, table.as_ptr().cast()),
                _mm512_mask_i32gather_epi64::<8>(none, all, high, table.as_ptr().cast()),
            ]
        };
        self.deinterleave(both)
    }

    #[inline(always)]
    fn load_halves(self, table: &Bounded<'_, __m512i>, index: __m512i) -> [__m512i; 2] {
        let (table, last) = table.parts();
        // SAFETY: the token proves AVX512F; every index is at most the last.
        let both = unsafe {
            let index = _mm512_min_epu32(index, last);
            let low = _mm512_castsi512_si256(index);
            let high = _mm512_extracti64x4_epi64::<1>(index);
            [load_each(table.as_ptr(), low), load_each(table.as_ptr(), high)]
        };
        self.deinterleave(both)
    }

    #[inline(always)]
    fn lookup_bytes<const BYTES: usize>(
        self,
        table: &ByteTable<BYTES>,
        bytes: __m512i,
    ) -> [__m512i; 4] {
        if !PERMUTE {
            let low = self.splat(0xff);
            return [
                self.gather_modulo(&table.entries, self.and(bytes, low)),
                self.gather_modulo(&table.entries, self.and(self.shr(bytes, 8), low)),
                self.gather_modulo(&table.entries, self.and(self.shr(bytes, 16), low)),
                self.gather_modulo(&table.entries, self.shr(bytes, 24)),
            ];
        }
        // SAFETY: the token proves AVX512BW; `TRANSPOSE` is 64 bytes.
        unsafe {
            let order = _mm512_loadu_si512(TRANSPOSE.as_ptr().cast());
            let index = _mm512_shuffle_epi8(bytes, order);
            let high = _mm512_movepi8_mask(index);
            let plane = |k: usize| match table.planes.get(k) {
                Some(plane) => self.lookup_plane(plane, index, high),
                None => _mm512_setzero_si512(),
            };
            let (p0, p1, p2, p3) = (plane(0), plane(1), plane(2), plane(3));
            interleave_planes(p0, p1, p2, p3)
        }
    }

    #[inline(always)]
    fn emit_words(
        self,
        [a, b]: [__m512i; 2],
        bounds: [__m512i; 2],
        out: &mut [u8; 64],
    ) -> ([__m512i; 2], usize) {
        // SAFETY: the token proves the features; `out` is 64 bytes.
        unsafe {
            let (over_a, over_b) =
                (_mm512_cmpge_epu32_mask(a, bounds[0]), _mm512_cmpge_epu32_mask(b, bounds[1]));
            let over = interleave(over_a, over_b);
            let words = _mm512_ternarylogic_epi32::<0xca>(
                _mm512_set1_epi32(0xffff),
                a,
                _mm512_slli_epi32::<16>(b),
            );
            // To a register, then all 64 bytes to memory: compressing to memory is microcode on
            // Zen.
            let words = _mm512_maskz_compress_epi16(over, words);
            _mm512_storeu_si512(out.as_mut_ptr().cast(), words);
            let a = _mm512_mask_srli_epi32::<16>(a, over_a, a);
            let b = _mm512_mask_srli_epi32::<16>(b, over_b, b);
            ([a, b], over.count_ones() as usize)
        }
    }

    #[inline(always)]
    fn renormalise(
        self,
        [a, b]: [__m512i; 2],
        bound: u32,
        words: &[u8; 64],
    ) -> ([__m512i; 2], usize) {
        // SAFETY: the token proves the features; `words` and `REVERSE_WORDS` are 64 bytes.
        unsafe {
            let order = _mm512_loadu_si512(REVERSE_WORDS.as_ptr().cast());
            let backwards =
                _mm512_permutexvar_epi16(order, _mm512_loadu_si512(words.as_ptr().cast()));
            // Words of what the states hold above the bound, in order: one comparison gives the
            // mask over words, without a detour through general registers.
            let log2 = bound.trailing_zeros() as i32;
            let above = _mm512_ternarylogic_epi32::<0xca>(
                _mm512_set1_epi32(0xffff),
                _mm512_srl_epi32(a, _mm_cvtsi32_si128(log2)),
                _mm512_sll_epi32(b, _mm_cvtsi32_si128(16 - log2)),
            );
            let under = _mm512_testn_epi16_mask(above, above);
            let bound = _mm512_set1_epi32(bound as i32);
            let (under_a, under_b) =
                (_mm512_cmplt_epu32_mask(a, bound), _mm512_cmplt_epu32_mask(b, bound));
            let taken = _mm512_maskz_expand_epi16(under, backwards);
            // x << 16 | word, the word from the top half of the second operand.
            let a = _mm512_mask_shldi_epi32::<16>(a, under_a, a, _mm512_slli_epi32::<16>(taken));
            let b = _mm512_mask_shldi_epi32::<16>(b, under_b, b, taken);
            ([a, b], under.count_ones() as usize)
        }
    }
}

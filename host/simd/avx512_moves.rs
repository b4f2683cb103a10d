//! Moving elements, halves and bytes between vectors, and bits to memory, for the rows of
//! [`Avx512`].

#![allow(unsafe_code, reason = "vector intrinsics")]

use std::arch::x86_64::*;

use super::aligned::Aligned;
use super::avx512::Avx512;
use super::avx512_parts::load_order;
use super::traits::Simd;

/// For one stage of a block transpose: the element of `a` (0..16) or `b` (16..32) that goes to each
/// place of the new `a` and of the new `b`, where bit `g` of the element number is what the stage
/// exchanges for the vector.
const fn exchange(g: usize) -> [[u32; 16]; 2] {
    let mut order = [[0; 16]; 2];
    let mut e = 0;
    while e < 16 {
        order[0][e] = if e & g == 0 { e as u32 } else { 16 + (e ^ g) as u32 };
        order[1][e] = if e & g == 0 { (e ^ g) as u32 } else { 16 + e as u32 };
        e += 1;
    }
    order
}

const EXCHANGE_1: [[u32; 16]; 2] = exchange(1);
const EXCHANGE_2: [[u32; 16]; 2] = exchange(2);
const EXCHANGE_4: [[u32; 16]; 2] = exchange(4);
const EXCHANGE_8: [[u32; 16]; 2] = exchange(8);

/// Blocks of `l` elements in the opposite order.
const fn reversed(l: usize) -> [u32; 16] {
    let mut order = [0; 16];
    let mut e = 0;
    while e < 16 {
        order[e] = (e ^ (l - 1)) as u32;
        e += 1;
    }
    order
}

/// Every other one of 64 halves.
const LOW_HALVES: [u16; 32] = {
    let mut order = [0; 32];
    let mut e = 0;
    while e < 32 {
        order[e] = 2 * e as u16;
        e += 1;
    }
    order
};

/// Every fourth one of 128 bytes, twice.
const LOW_BYTES: [u8; 64] = {
    let mut order = [0; 64];
    let mut e = 0;
    while e < 64 {
        order[e] = 4 * (e % 32) as u8;
        e += 1;
    }
    order
};

/// For each element, where part `16 part + e` stands if each element has `parts` (a power of two)
/// and its highest is the first.
const fn from_top(parts: u32, part: u32) -> [u32; 16] {
    let mut order = [0; 16];
    let mut e = 0;
    while e < 16 {
        order[e] = (16 * part + e as u32) ^ (parts - 1);
        e += 1;
    }
    order
}

impl Avx512<true> {
    /// One stage of a block transpose.
    #[inline(always)]
    fn exchange<const G: usize, const L: usize>(self, v: &mut [__m512i; 16]) {
        let order = match G {
            1 => &EXCHANGE_1,
            2 => &EXCHANGE_2,
            4 => &EXCHANGE_4,
            _ => &EXCHANGE_8,
        };
        let (to_a, to_b) = (load_order(&order[0]), load_order(&order[1]));
        let bit = G / L;
        for i in 0..16 / L {
            if i & bit == 0 {
                let (a, b) = (v[i], v[i | bit]);
                // SAFETY: the token proves the features; no pointer is involved.
                unsafe {
                    v[i] = _mm512_permutex2var_epi32(a, to_a, b);
                    v[i | bit] = _mm512_permutex2var_epi32(a, to_b, b);
                }
            }
        }
    }

    /// [`Simd512::transpose`](super::Simd512::transpose).
    #[inline(always)]
    pub(super) fn exchange_blocks<const L: usize>(self, v: &mut [__m512i; 16]) {
        if L <= 8 {
            self.exchange::<8, L>(v);
        }
        if L <= 4 {
            self.exchange::<4, L>(v);
        }
        if L <= 2 {
            self.exchange::<2, L>(v);
        }
        if L <= 1 {
            self.exchange::<1, L>(v);
        }
    }

    /// [`Simd512::reverse_blocks`](super::Simd512::reverse_blocks).
    #[inline(always)]
    pub(super) fn turn_blocks<const L: usize>(self, v: __m512i) -> __m512i {
        const {
            assert!(L.is_power_of_two() && L <= 16);
        }
        if L == 1 {
            return v;
        }
        let order = const { &reversed(L) };
        // SAFETY: the token proves the features; no pointer is involved.
        unsafe { _mm512_permutexvar_epi32(load_order(order), v) }
    }

    /// [`Simd512::expand_u8`](super::Simd512::expand_u8).
    #[inline(always)]
    pub(super) fn deal_bytes(self, bytes: &[u8; 32], first: u16, second: u16) -> __m512i {
        // SAFETY: the token proves the features; 32 bytes are there.
        unsafe {
            let order = _mm256_set_epi64x(
                0x0001_0203_0405_0607,
                0x0809_0a0b_0c0d_0e0f,
                0x0001_0203_0405_0607,
                0x0809_0a0b_0c0d_0e0f,
            );
            let bytes = _mm256_shuffle_epi8(_mm256_loadu_si256(bytes.as_ptr().cast()), order);
            let backwards = _mm256_permute4x64_epi64::<0x4e>(bytes);
            // An element's first byte goes above its second.
            let mask = _pdep_u32(first.into(), 0x5555_5555) | _pdep_u32(second.into(), 0xaaaa_aaaa);
            let pairs = _mm512_cvtepu16_epi32(_mm256_maskz_expand_epi8(mask, backwards));
            let upper = _mm512_slli_epi32::<24>(pairs);
            let lower = _mm512_and_si512(pairs, _mm512_set1_epi32(0xff00));
            _mm512_or_si512(upper, _mm512_slli_epi32::<8>(lower))
        }
    }

    /// [`Simd512::low_halves`](super::Simd512::low_halves).
    #[inline(always)]
    pub(super) fn lower_halves(self, v: [__m512i; 2]) -> __m512i {
        // SAFETY: the token proves the features; `LOW_HALVES` is 64 bytes.
        unsafe {
            let order = _mm512_loadu_si512(LOW_HALVES.as_ptr().cast());
            _mm512_permutex2var_epi16(v[0], order, v[1])
        }
    }

    /// [`Simd512::low_bytes`](super::Simd512::low_bytes).
    #[inline(always)]
    pub(super) fn lowest_bytes(self, v: [__m512i; 4]) -> __m512i {
        // SAFETY: the token proves the features; `LOW_BYTES` is 64 bytes.
        unsafe {
            let order = _mm512_loadu_si512(LOW_BYTES.as_ptr().cast());
            let lower = _mm512_permutex2var_epi8(v[0], order, v[1]);
            let upper = _mm512_permutex2var_epi8(v[2], order, v[3]);
            _mm512_mask_mov_epi64(lower, 0xf0, upper)
        }
    }

    /// [`Simd512::halves_from_top`](super::Simd512::halves_from_top).
    #[inline(always)]
    pub(super) fn spread_halves(self, v: __m512i) -> [__m512i; 2] {
        // SAFETY: the token proves the features; each order is 64 bytes.
        unsafe {
            let part = |order: &'static [u32; 16]| {
                _mm512_maskz_permutexvar_epi16(0x5555_5555, load_order(order), v)
            };
            [part(const { &from_top(2, 0) }), part(const { &from_top(2, 1) })]
        }
    }

    /// [`Simd512::bytes_from_top`](super::Simd512::bytes_from_top).
    #[inline(always)]
    pub(super) fn spread_bytes(self, v: __m512i) -> [__m512i; 4] {
        // SAFETY: the token proves the features; each order is 64 bytes.
        unsafe {
            let part = |order: &'static [u32; 16]| {
                _mm512_maskz_permutexvar_epi8(0x1111_1111_1111_1111, load_order(order), v)
            };
            [
                part(const { &from_top(4, 0) }),
                part(const { &from_top(4, 1) }),
                part(const { &from_top(4, 2) }),
                part(const { &from_top(4, 3) }),
            ]
        }
    }

    /// [`Simd512::store_top_bits`](super::Simd512::store_top_bits).
    #[inline(always)]
    pub(super) fn store_bits(
        self,
        [high, low]: [__m512i; 2],
        len: __m512i,
        to: &mut [u8],
        at: __m512i,
    ) {
        let last = to.len().checked_sub(8).expect("eight bytes").min(u32::MAX as usize);
        let (mut values, mut places) = (Aligned([0u64; 16]), Aligned([0u32; 16]));
        // SAFETY: the token proves the features; the arrays hold two and one vectors, and
        // eight bytes from every place on lie inside `to`.
        unsafe {
            let at = _mm512_min_epu32(at, self.splat(last as u32));
            _mm512_store_si512(places.0.as_mut_ptr().cast(), at);
            let zero = _mm512_setzero_si512();
            let unused = _mm512_sub_epi32(self.splat(64), len);
            let first = _mm512_srlv_epi64(
                _mm512_unpacklo_epi32(low, high),
                _mm512_unpacklo_epi32(unused, zero),
            );
            let second = _mm512_srlv_epi64(
                _mm512_unpackhi_epi32(low, high),
                _mm512_unpackhi_epi32(unused, zero),
            );
            _mm512_store_si512(values.0.as_mut_ptr().cast(), first);
            _mm512_store_si512(values.0.as_mut_ptr().add(8).cast(), second);
            // Elements 0, 1, 4, 5 and so on, then 2, 3, 6, 7 and so on. Volatile, or the compiler
            // takes them out of the vectors one by one, which costs more than to read them back.
            let (values, places) = (values.0.as_ptr(), places.0.as_ptr());
            for k in 0..16 {
                let e = k % 8 / 2 * 4 + k % 2 + k / 8 * 2;
                let to = to.as_mut_ptr().add(places.add(e).read_volatile() as usize);
                to.cast::<u64>().write_unaligned(values.add(k).read_volatile());
            }
        }
    }
}

//! NEON: tables of quads, words in memory, and the regrouping of eight elements.

#![allow(unsafe_code, reason = "vector intrinsics")]

use std::arch::aarch64::*;
use std::arch::asm;

use super::neon_octets::{NeonOctets, V, W, with_features};
use super::octets::{
    EightPlaces, OctetArithmetic, Octets, PLACES, PlacesView, Quad, Quads, last_words,
};
use super::orders::{EXPAND_EIGHT, EXPAND_FOUR, EXPAND_WORDS, Orders};
use super::traits::RunOn;

#[target_feature(enable = "neon")]
fn enter<Work: RunOn<NeonOctets>>(token: NeonOctets, work: Work) -> Work::Output {
    work.run(token)
}

/// The rows of a matrix of four by four elements as columns.
#[inline(always)]
fn transpose_four(a: uint32x4_t, b: uint32x4_t, c: uint32x4_t, d: uint32x4_t) -> [uint32x4_t; 4] {
    // SAFETY: called only by methods of a token that proves NEON.
    unsafe {
        let (ac, ac_high) = (vzip1q_u32(a, c), vzip2q_u32(a, c));
        let (bd, bd_high) = (vzip1q_u32(b, d), vzip2q_u32(b, d));
        [
            vzip1q_u32(ac, bd),
            vzip2q_u32(ac, bd),
            vzip1q_u32(ac_high, bd_high),
            vzip2q_u32(ac_high, bd_high),
        ]
    }
}

/// The low 64 bits of two registers, or the high ones.
#[inline(always)]
fn join<const HIGH: bool>(a: uint32x4_t, b: uint32x4_t) -> uint32x4_t {
    // SAFETY: called only by methods of a token that proves NEON.
    unsafe {
        let (a, b) = (vreinterpretq_u64_u32(a), vreinterpretq_u64_u32(b));
        vreinterpretq_u32_u64(if HIGH { vzip2q_u64(a, b) } else { vzip1q_u64(a, b) })
    }
}

/// The rows of a matrix of eight by eight words as columns.
#[inline(always)]
fn transpose_eight_words(v: [uint32x4_t; 8]) -> [uint32x4_t; 8] {
    // SAFETY: called only by methods of a token that proves NEON.
    unsafe {
        let v = v.map(|v| vreinterpretq_u16_u32(v));
        // Pairs of words of rows 0 and 1, and so on, which then are elements of two matrices.
        let pairs = |a: usize, b: usize| {
            [
                vreinterpretq_u32_u16(vzip1q_u16(v[a], v[b])),
                vreinterpretq_u32_u16(vzip2q_u16(v[a], v[b])),
            ]
        };
        let [p, q, r, s] = [pairs(0, 1), pairs(2, 3), pairs(4, 5), pairs(6, 7)];
        let [a, b, c, d] = transpose_four(p[0], q[0], r[0], s[0]);
        let [e, f, g, h] = transpose_four(p[1], q[1], r[1], s[1]);
        [a, b, c, d, e, f, g, h]
    }
}

/// The bytes of elements by number.
#[inline(always)]
fn bytes_of(elements: uint32x4_t) -> uint8x16_t {
    // SAFETY: called only by methods of a token that proves NEON.
    unsafe {
        let first = vdupq_n_u32(0x0302_0100);
        vreinterpretq_u8_u32(vmlaq_u32(first, elements, vdupq_n_u32(0x0404_0404)))
    }
}

/// Permutes eight elements by number.
#[inline(always)]
fn permute(v: V, order: V) -> V {
    // SAFETY: called only by methods of a token that proves NEON.
    unsafe {
        let v = uint8x16x2_t(vreinterpretq_u8_u32(v[0]), vreinterpretq_u8_u32(v[1]));
        order.map(|order| vreinterpretq_u32_u8(vqtbl2q_u8(v, bytes_of(order))))
    }
}

/// Permutes the bytes of a register; what the order has no number for is 0.
#[inline(always)]
fn shuffle(v: uint32x4_t, order: &[u8; 16]) -> uint32x4_t {
    // SAFETY: called only by methods of a token that proves NEON; 16 bytes are there.
    unsafe { vreinterpretq_u32_u8(vqtbl1q_u8(vreinterpretq_u8_u32(v), vld1q_u8(order.as_ptr()))) }
}

/// Eight bytes as elements.
#[inline(always)]
fn widen_bytes(bytes: &[u8; 8]) -> V {
    // SAFETY: called only by methods of a token that proves NEON; eight bytes are there.
    unsafe {
        let words = vmovl_u8(vld1_u8(bytes.as_ptr()));
        [vmovl_u16(vget_low_u16(words)), vmovl_high_u16(words)]
    }
}

/// Eight quads at offsets in bytes.
///
/// # Safety
/// Every offset is that of a quad of the table.
#[inline(always)]
unsafe fn load_each(table: &[Quad], offsets: [u32; 8]) -> [uint32x4_t; 8] {
    // SAFETY: called only by methods of a token that proves NEON; the caller's promise.
    offsets.map(|offset| unsafe { vld1q_u32(table.as_ptr().byte_add(offset as usize).cast()) })
}

/// Elements of eight quads as four vectors.
#[inline(always)]
fn columns(quads: [uint32x4_t; 8]) -> [V; 4] {
    let [a, b, c, d, e, f, g, h] = quads;
    let (low, high) = (transpose_four(a, b, c, d), transpose_four(e, f, g, h));
    std::array::from_fn(|k| [low[k], high[k]])
}

/// Reads eight offsets, in blocks of `L` from `at` on.
#[inline(always)]
fn offsets_at<const L: usize>(offsets: &[u32; PLACES], at: usize, stride: usize) -> [u32; 8] {
    assert!(at < PLACES && stride <= PLACES && at + (8 / L - 1) * stride + L <= PLACES);
    std::array::from_fn(|e| offsets[at + e / L * stride + e % L])
}

impl Octets for NeonOctets {
    #[inline(always)]
    fn vectorize<Work: RunOn<Self>>(self, work: Work) -> Work::Output {
        with_features!(enter(self, work))
    }

    #[inline(always)]
    fn prefetch_near<T>(self, values: &[T], at: usize) {
        let address = values.as_ptr().wrapping_add(at);
        // SAFETY: a prefetch of any address does nothing but load a cache.
        unsafe {
            asm!("prfm pldl1keep, [{}]", in(reg) address, options(nostack, readonly, preserves_flags));
        }
    }

    #[inline(always)]
    fn prefetch_to_write<T>(self, values: &mut [T], at: usize) {
        let address = values.as_ptr().wrapping_add(at);
        // SAFETY: a prefetch of any address does nothing but load a cache.
        unsafe {
            asm!("prfm pstl1keep, [{}]", in(reg) address, options(nostack, readonly, preserves_flags));
        }
    }

    #[inline(always)]
    fn copy_non_temporal(self, from: &[u32; 16], to: &mut [u32; 16]) {
        *to = *from;
    }

    #[inline(always)]
    fn fence(self) {}

    #[inline(always)]
    fn gather(self, table: &[u32], index: V) -> V {
        let last = table.len().checked_sub(1).expect("a table is never empty");
        let mut at = [0; 8];
        self.store(index, &mut at);
        self.load(&at.map(|at| table[last.min(at as usize)]))
    }

    #[inline(always)]
    fn gather_before(self, bytes: &[u8], end: V) -> V {
        assert!(bytes.len() >= 4 && bytes.len() <= i32::MAX as usize);
        let last = bytes.len() as i32 - 4;
        let mut ends = [0; 8];
        self.store(end, &mut ends);
        let found = ends.map(|end| {
            let at = (end as i32).wrapping_sub(4);
            let from = at.max(0).min(last);
            // SAFETY: four bytes are there from the place on, which is at most the last.
            let found = unsafe { bytes.as_ptr().add(from as usize).cast::<u32>().read_unaligned() };
            // So many bits precede the end too few.
            let bits = from.wrapping_sub(at) as u32;
            if bits < 4 { found << (8 * bits) } else { 0 }
        });
        self.load(&found)
    }

    #[inline(always)]
    fn load_quads(self, table: &Quads<'_, V>, index: V) -> [V; 4] {
        let (table, last) = table.parts();
        let mut offsets = [0; 8];
        let index = with_features!([vminq_u32(index[0], last[0]), vminq_u32(index[1], last[1])]);
        self.store(self.shl::<4>(index), &mut offsets);
        // SAFETY: every index is at most the last, and its offset below 2^31.
        columns(unsafe { load_each(table, offsets) })
    }

    #[inline(always)]
    fn set_places(self, mut places: EightPlaces<'_>, entries: V) {
        let (last, to) = places.parts();
        let last = self.splat(last);
        let entries =
            with_features!([vminq_u32(entries[0], last[0]), vminq_u32(entries[1], last[1])]);
        self.store(self.shl::<4>(entries), to);
    }

    #[inline(always)]
    fn quads_at<const L: usize>(self, places: PlacesView<'_>, at: usize, stride: usize) -> [V; 4] {
        let (table, offsets) = places.parts();
        // SAFETY: places lie inside the table.
        columns(unsafe { load_each(table, offsets_at::<L>(offsets, at, stride)) })
    }

    #[inline(always)]
    fn pairs_at<const L: usize>(self, places: PlacesView<'_>, at: usize, stride: usize) -> [W; 2] {
        let (table, offsets) = places.parts();
        // SAFETY: the token proves NEON; places lie inside the table.
        unsafe {
            let quads = load_each(table, offsets_at::<L>(offsets, at, stride));
            let v = quads.map(|quad| vreinterpretq_u64_u32(quad));
            [
                std::array::from_fn(|k| vzip1q_u64(v[2 * k], v[2 * k + 1])),
                std::array::from_fn(|k| vzip2q_u64(v[2 * k], v[2 * k + 1])),
            ]
        }
    }

    #[inline(always)]
    fn transpose<const L: usize>(self, v: [V; 8]) -> [V; 8] {
        let [a, b, c, d, e, f, g, h] = v;
        match L {
            1 => {
                let low = [
                    transpose_four(a[0], b[0], c[0], d[0]),
                    transpose_four(e[0], f[0], g[0], h[0]),
                ];
                let high = [
                    transpose_four(a[1], b[1], c[1], d[1]),
                    transpose_four(e[1], f[1], g[1], h[1]),
                ];
                std::array::from_fn(|r| {
                    let from = if r < 4 { &low } else { &high };
                    [from[0][r % 4], from[1][r % 4]]
                })
            }
            2 => [
                [join::<false>(a[0], b[0]), join::<false>(c[0], d[0])],
                [join::<true>(a[0], b[0]), join::<true>(c[0], d[0])],
                [join::<false>(a[1], b[1]), join::<false>(c[1], d[1])],
                [join::<true>(a[1], b[1]), join::<true>(c[1], d[1])],
                e,
                f,
                g,
                h,
            ],
            4 => [[a[0], b[0]], [a[1], b[1]], c, d, e, f, g, h],
            _ => v,
        }
    }

    #[inline(always)]
    fn pack(self, a: V, b: V) -> V {
        with_features!({
            let [a, b] = [a, b].map(|v| v.map(|v| vreinterpretq_u16_u32(v)));
            [
                vreinterpretq_u32_u16(vuzp1q_u16(a[0], a[1])),
                vreinterpretq_u32_u16(vuzp1q_u16(b[0], b[1])),
            ]
        })
    }

    #[inline(always)]
    fn transpose_words<const L: usize>(self, v: [V; 8]) -> [V; 8] {
        let halves = [0, 1].map(|half| {
            let of_half = v.map(|v| v[half]);
            let [a, b, c, d, e, f, g, h] = of_half;
            match L {
                1 => transpose_eight_words(of_half),
                2 => {
                    let [a, b, c, d] = transpose_four(a, b, c, d);
                    [a, b, c, d, e, f, g, h]
                }
                4 => [join::<false>(a, b), join::<true>(a, b), c, d, e, f, g, h],
                _ => of_half,
            }
        });
        std::array::from_fn(|r| [halves[0][r], halves[1][r]])
    }

    #[inline(always)]
    fn compress<const L: usize>(self, v: V, mask: u8, out: &mut [u32; 8]) {
        let order = self.load(&Orders::<L>::ELEMENTS[usize::from(mask)]);
        self.store(permute(v, order), out);
    }

    #[inline(always)]
    fn compress_words<const L: usize>(self, v: V, masks: [u8; 2]) -> V {
        let [low, high] = masks.map(|mask| &Orders::<L>::WORDS[usize::from(mask)]);
        [shuffle(v[0], low), shuffle(v[1], high)]
    }

    #[inline(always)]
    fn store_words<const HALF: i32>(self, v: V, out: &mut [u16; 8]) {
        // SAFETY: the token proves NEON; 16 bytes are there.
        unsafe { vst1q_u16(out.as_mut_ptr(), vreinterpretq_u16_u32(v[HALF as usize])) }
    }

    #[inline(always)]
    fn compress_bytes<const L: usize, const HALF: i32>(self, v: V, mask: u16, out: &mut [u8; 16]) {
        let [low, high] = mask.to_le_bytes();
        let orders = [low, high].map(|mask| &Orders::<L>::BYTES[usize::from(mask)]);
        // SAFETY: the token proves NEON; an order has 8 bytes; each store has 8 bytes, the second
        // from the count of a mask of 8 on.
        unsafe {
            let half = vreinterpretq_u8_u32(v[HALF as usize]);
            let low_bytes = vqtbl1_u8(half, vld1_u8(orders[0].as_ptr()));
            let high_bytes = vqtbl1_u8(vextq_u8::<8>(half, half), vld1_u8(orders[1].as_ptr()));
            // Of eight lanes the last four go first.
            let (first, count, second) = if L == 8 {
                (high_bytes, high.count_ones(), low_bytes)
            } else {
                (low_bytes, low.count_ones(), high_bytes)
            };
            vst1_u8(out.as_mut_ptr(), first);
            vst1_u8(out.as_mut_ptr().add(count as usize), second);
        }
    }

    #[inline(always)]
    fn before<const L: usize>(self, mask: u8) -> V {
        widen_bytes(&Orders::<L>::BEFORE[usize::from(mask)])
    }

    #[inline(always)]
    fn total<const L: usize>(self, mask: u8) -> V {
        widen_bytes(&Orders::<L>::TOTAL[usize::from(mask)])
    }

    #[inline(always)]
    fn expand_words(self, words: &[u16], end: usize, mask: u8) -> V {
        let before = words.get(end.wrapping_sub(8)..).and_then(<[u16]>::first_chunk::<8>);
        let words = before.copied().unwrap_or_else(|| last_words(words, end));
        let [low, high]: &[[u8; 16]; 2] = bytemuck::cast_ref(&EXPAND_WORDS[usize::from(mask)]);
        // SAFETY: the token proves NEON; 16 bytes are there.
        let words = unsafe { vreinterpretq_u32_u16(vld1q_u16(words.as_ptr())) };
        [shuffle(words, low), shuffle(words, high)]
    }

    #[inline(always)]
    fn expand_eight(self, words: &[u32], end: usize, mask: u8) -> V {
        let before = words.get(end.wrapping_sub(8)..).and_then(<[u32]>::first_chunk::<8>);
        let words = before.copied().unwrap_or_else(|| last_words(words, end));
        permute(self.load(&words), self.load(&EXPAND_EIGHT[usize::from(mask)]))
    }

    #[inline(always)]
    fn expand_fours(self, words: &[u32], ends: [usize; 2], mask: u8) -> V {
        let orders = [&EXPAND_FOUR[usize::from(mask & 15)], &EXPAND_FOUR[usize::from(mask >> 4)]];
        [0, 1].map(|half| {
            let end = ends[half];
            let before = words.get(end.wrapping_sub(4)..).and_then(<[u32]>::first_chunk::<4>);
            let words = before.copied().unwrap_or_else(|| last_words(words, end));
            // SAFETY: the token proves NEON; 16 bytes are there.
            shuffle(unsafe { vld1q_u32(words.as_ptr()) }, orders[half])
        })
    }
}

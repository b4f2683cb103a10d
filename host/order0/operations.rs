//! The vector operations that only order-0 coding uses, for each level.

#![allow(unsafe_code, reason = "vector intrinsics")]

#[cfg(test)]
mod tests;

#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
use std::arch::aarch64::*;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use super::members::ByteSet;
use super::slots::{LOWER_BOUND, SlotTable};
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
use crate::simd::Neon;
use crate::simd::Simd;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};

/// [`Simd`] with what order-0 coding asks for on top.
pub(super) trait OrderSimd: Simd {
    /// Element `j`: bits `AT..AT + 8` of elements `j` of the four vectors, the first lowest. `AT`
    /// is at least 8 and below 16.
    fn merge_bytes<const AT: u32>(self, v: [Self::U32; 4]) -> Self::U32;

    /// The states of a row of 32 lanes, even lanes and odd ones, in the form in which
    /// [`pop_rows`](Self::pop_rows) is quickest.
    #[inline(always)]
    fn hold(self, row: [Self::U32; 2]) -> [Self::U32; 2] {
        row
    }
    /// Inverse of [`hold`](Self::hold).
    #[inline(always)]
    fn release(self, row: [Self::U32; 2]) -> [Self::U32; 2] {
        row
    }
    /// Pops a symbol of 12 bits from each lane of four rows that are held: each state goes on as
    /// [`renormalise`](Simd::renormalise) has it, with a bound of 2^15. Returns the symbols, byte
    /// `k` of element `j` of the first vector that of lane `2j` of row `k`, of the second that of
    /// lane `2j + 1`; and how many words each row took.
    #[inline(always)]
    fn pop_rows(
        self,
        table: &SlotTable,
        rows: &mut [[Self::U32; 2]; 4],
        windows: [&[u8; 64]; 4],
    ) -> ([Self::U32; 2], [usize; 4]) {
        pop_rows(self, table, rows, windows)
    }

    /// Whether all these bytes are members.
    fn all_members(self, set: &ByteSet, bytes: &[u8; 256]) -> bool;
}

/// One intrinsic (or a nest of them), whose features the token proves.
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))]
macro_rules! with_features {
    ($($call:tt)*) => {
        // SAFETY: `self` exists only where the processor has the features; no pointer is involved.
        unsafe { $($call)* }
    };
}

/// An operation on both halves.
#[cfg(target_arch = "x86_64")]
macro_rules! halves {
    ($name:ident($($v:ident),+) $(, $($rest:expr),*)?) => {
        with_features!([$name($($v[0]),+ $(, $($rest),*)?), $name($($v[1]),+ $(, $($rest),*)?)])
    };
}

#[cfg(target_arch = "x86_64")]
impl OrderSimd for Avx2 {
    #[inline(always)]
    fn merge_bytes<const AT: u32>(self, [a, b, c, d]: [Self::U32; 4]) -> Self::U32 {
        const { assert!(8 <= AT && AT < 16) };
        let by = |n: u32| with_features!(_mm_cvtsi32_si128(n as i32));
        let (down_a, down_b, up_c, up_d) = (by(AT), by(AT - 8), by(16 - AT), by(24 - AT));
        let a = self.and(halves!(_mm256_srl_epi32(a), down_a), self.splat(0xff));
        let b = self.and(halves!(_mm256_srl_epi32(b), down_b), self.splat(0xff00));
        let c = self.and(halves!(_mm256_sll_epi32(c), up_c), self.splat(0xff_0000));
        let d = self.and(halves!(_mm256_sll_epi32(d), up_d), self.splat(0xff00_0000));
        let (ab, cd) = (halves!(_mm256_or_si256(a, b)), halves!(_mm256_or_si256(c, d)));
        halves!(_mm256_or_si256(ab, cd))
    }

    #[inline(always)]
    fn all_members(self, set: &ByteSet, bytes: &[u8; 256]) -> bool {
        // SAFETY: the token proves AVX2; a nibble table is 16 bytes, the loads lie in the 256
        // bytes.
        unsafe {
            let table = |half: usize| {
                _mm256_broadcastsi128_si256(_mm_loadu_si128(set.nibbles[half].as_ptr().cast()))
            };
            let (low_half, high_half) = (table(0), table(1));
            let bits = _mm256_set1_epi64x(0x8040_2010_0804_0201_u64 as i64);
            let nibble = _mm256_set1_epi8(0x0f);
            let mut all = _mm256_set1_epi8(-1);
            let mut i = 0;
            while i < 256 {
                let v = _mm256_loadu_si256(bytes.as_ptr().add(i).cast());
                let low = _mm256_and_si256(v, nibble);
                let high = _mm256_and_si256(_mm256_srli_epi16::<4>(v), nibble);
                // The top bit of the byte chooses the table.
                let row = _mm256_blendv_epi8(
                    _mm256_shuffle_epi8(low_half, low),
                    _mm256_shuffle_epi8(high_half, low),
                    v,
                );
                let bit = _mm256_shuffle_epi8(bits, high);
                let member = _mm256_cmpeq_epi8(_mm256_and_si256(row, bit), bit);
                all = _mm256_and_si256(all, member);
                i += 32;
            }
            _mm256_movemask_epi8(all) == -1
        }
    }
}

#[cfg(target_arch = "x86_64")]
impl<const PERMUTE: bool> OrderSimd for Avx512<PERMUTE> {
    #[inline(always)]
    fn merge_bytes<const AT: u32>(self, [a, b, c, d]: [__m512i; 4]) -> __m512i {
        const { assert!(8 <= AT && AT < 16) };
        let up = |v, by: u32| with_features!(_mm512_sllv_epi32(v, _mm512_set1_epi32(by as i32)));
        let down = |v, by: u32| with_features!(_mm512_srlv_epi32(v, _mm512_set1_epi32(by as i32)));
        let (a, b, c, d) = (down(a, AT), down(b, AT - 8), up(c, 16 - AT), up(d, 24 - AT));
        // Ternary logic 0xca: where the first operand has a one bit the second's, else the third's.
        // What shifts left beside a byte is thereby masked off.
        with_features!({
            let ab = _mm512_ternarylogic_epi32::<0xca>(_mm512_set1_epi32(0xff), a, b);
            let cd = _mm512_ternarylogic_epi32::<0xca>(_mm512_set1_epi32(0xff_ffff), c, d);
            _mm512_ternarylogic_epi32::<0xca>(_mm512_set1_epi32(0xffff), ab, cd)
        })
    }

    #[inline(always)]
    fn hold(self, [even, odd]: [__m512i; 2]) -> [__m512i; 2] {
        if PERMUTE { [join_words(even, odd), join_high_words(even, odd)] } else { [even, odd] }
    }

    #[inline(always)]
    fn release(self, [low, high]: [__m512i; 2]) -> [__m512i; 2] {
        // Joining words is its own inverse.
        self.hold([low, high])
    }

    #[inline(always)]
    fn pop_rows(
        self,
        table: &SlotTable,
        rows: &mut [[__m512i; 2]; 4],
        windows: [&[u8; 64]; 4],
    ) -> ([__m512i; 2], [usize; 4]) {
        if PERMUTE {
            self.pop_rows_of_words(table, rows, windows)
        } else {
            pop_rows(self, table, rows, windows)
        }
    }

    #[inline(always)]
    fn all_members(self, set: &ByteSet, bytes: &[u8; 256]) -> bool {
        // SAFETY: the token proves AVX512F and AVX512BW; the loads lie in the 256 bytes.
        unsafe {
            let mut all = _mm512_set1_epi8(-1);
            let mut i = 0;
            while i < 256 {
                let index = _mm512_loadu_si512(bytes.as_ptr().add(i).cast());
                let high = _mm512_movepi8_mask(index);
                all = _mm512_and_si512(all, self.lookup_plane(&set.members, index, high));
                i += 64;
            }
            _mm512_movepi8_mask(all) == u64::MAX
        }
    }
}

/// The high words of the elements of one vector and of another, side by side.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn join_high_words(low: __m512i, high: __m512i) -> __m512i {
    // SAFETY: called only by methods of a token that proves AVX512F.
    unsafe {
        _mm512_ternarylogic_epi32::<0xca>(
            _mm512_set1_epi32(0xffff),
            _mm512_srli_epi32::<16>(low),
            high,
        )
    }
}

/// The low words of the elements of one vector and of another, side by side.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn join_words(low: __m512i, high: __m512i) -> __m512i {
    // SAFETY: called only by methods of a token that proves AVX512F.
    unsafe {
        _mm512_ternarylogic_epi32::<0xca>(
            _mm512_set1_epi32(0xffff),
            low,
            _mm512_slli_epi32::<16>(high),
        )
    }
}

#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
impl OrderSimd for Neon {
    #[inline(always)]
    fn merge_bytes<const AT: u32>(self, v: [Self::U32; 4]) -> Self::U32 {
        const { assert!(8 <= AT && AT < 16) };
        let (a, b) = (self.shr(v[0], AT), self.shr(v[1], AT));
        let (c, d) = (self.shr(v[2], AT), self.shr(v[3], AT));
        // Shift left and insert: each step replaces everything above the bytes already there.
        std::array::from_fn(|i| {
            with_features!({
                let cd = vsliq_n_u32::<8>(c[i], d[i]);
                let ab = vsliq_n_u32::<8>(a[i], b[i]);
                vsliq_n_u32::<16>(ab, cd)
            })
        })
    }

    #[inline(always)]
    fn all_members(self, set: &ByteSet, bytes: &[u8; 256]) -> bool {
        const BITS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];
        // SAFETY: the token proves NEON; a nibble table and `BITS` are 16 bytes, the loads lie in
        // the 256 bytes.
        unsafe {
            let low_half = vld1q_u8(set.nibbles[0].as_ptr());
            let high_half = vld1q_u8(set.nibbles[1].as_ptr());
            let bits = vld1q_u8(BITS.as_ptr());
            let mut all = vdupq_n_u8(0xff);
            let mut i = 0;
            while i < 256 {
                let v = vld1q_u8(bytes.as_ptr().add(i));
                let low = vandq_u8(v, vdupq_n_u8(0x0f));
                // The top bit of the byte chooses the table.
                let in_high_half = vcgeq_u8(v, vdupq_n_u8(0x80));
                let row =
                    vbslq_u8(in_high_half, vqtbl1q_u8(high_half, low), vqtbl1q_u8(low_half, low));
                let bit = vqtbl1q_u8(bits, vshrq_n_u8::<4>(v));
                all = vandq_u8(all, vtstq_u8(row, bit));
                i += 16;
            }
            vminvq_u8(all) == 0xff
        }
    }
}

/// [`OrderSimd::pop_rows`] of states held as they come, even lanes and odd ones.
#[inline(always)]
fn pop_rows<S: OrderSimd>(
    simd: S,
    table: &SlotTable,
    rows: &mut [[S::U32; 2]; 4],
    windows: [&[u8; 64]; 4],
) -> ([S::U32; 2], [usize; 4]) {
    let [[a, e], [b, f], [c, g], [d, h]] = *rows;
    let Found { freqs, ranks, symbols } = find(simd, table, [a, b, c, d, e, f, g, h]);
    let mut counts = [0; 4];
    // Not a loop: it stayed one, with the states in memory, at half the speed.
    (rows[0], counts[0]) =
        pop_row(simd, rows[0], [freqs[0], freqs[4]], [ranks[0], ranks[4]], windows[0]);
    (rows[1], counts[1]) =
        pop_row(simd, rows[1], [freqs[1], freqs[5]], [ranks[1], ranks[5]], windows[1]);
    (rows[2], counts[2]) =
        pop_row(simd, rows[2], [freqs[2], freqs[6]], [ranks[2], ranks[6]], windows[2]);
    (rows[3], counts[3]) =
        pop_row(simd, rows[3], [freqs[3], freqs[7]], [ranks[3], ranks[7]], windows[3]);
    (symbols, counts)
}

#[inline(always)]
fn pop_row<S: OrderSimd>(
    simd: S,
    x: [S::U32; 2],
    freqs: [S::U32; 2],
    ranks: [S::U32; 2],
    words: &[u8; 64],
) -> ([S::U32; 2], usize) {
    let advanced =
        [advance(simd, x[0], freqs[0], ranks[0]), advance(simd, x[1], freqs[1], ranks[1])];
    simd.renormalise(advanced, LOWER_BOUND, words)
}

/// As `step::advance`.
#[inline(always)]
fn advance<S: OrderSimd>(simd: S, x: S::U32, freq: S::U32, rank: S::U32) -> S::U32 {
    simd.add(simd.mul(simd.shr(x, 12), freq), rank)
}

/// The symbols at the slots of eight vectors of states.
#[derive(Clone, Copy)]
struct Found<S: OrderSimd> {
    /// Frequencies of the symbols.
    freqs: [S::U32; 8],
    /// Ranks of the slots in their symbols' intervals.
    ranks: [S::U32; 8],
    /// The symbols: byte `k` of element `j` of the first vector is that of element `j` of state
    /// vector `k`, of the second that of vector `4 + k`.
    symbols: [S::U32; 2],
}

/// Looks the slots of eight vectors of states up, by gathers.
#[inline(always)]
fn find<S: OrderSimd>(simd: S, table: &SlotTable, x: [S::U32; 8]) -> Found<S> {
    let low = simd.splat(0xfff);
    let mut found = x;
    let (mut freqs, mut ranks) = (x, x);
    for k in 0..8 {
        found[k] = simd.gather_modulo(&table.entries, x[k]);
        freqs[k] = simd.shr(found[k], 20);
        ranks[k] = simd.and(found[k], low);
    }
    let [a, b, c, d, e, f, g, h] = found;
    let symbols = [simd.merge_bytes::<12>([a, b, c, d]), simd.merge_bytes::<12>([e, f, g, h])];
    Found { freqs, ranks, symbols }
}

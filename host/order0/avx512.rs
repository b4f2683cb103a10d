//! Popping rows of 32 lanes in halves of states: a vector of the low words of a row's 32 states,
//! one of the high words.
//!
//! A state is below 2^31, a frequency `f` below 2^12. With `x = h << 16 | l`, a pop's `(x >> 12) *
//! f + rank` is `h * (f << 4)`, a product of two words, plus `(l >> 12) * f + rank`, which is a
//! word: everything is done 32 lanes at a time, and products of 32 bits are never needed. The
//! symbols at slots are found by byte permutes, as [`slots`](super::slots) says.

#![allow(unsafe_code, reason = "vector intrinsics")]

use std::arch::x86_64::*;

use super::slots::SlotTable;
use crate::simd::{Avx512, REVERSE_WORDS};

/// Where the low bytes of words 0 to 31 of one vector and of another go: eight of the first and
/// eight of the second in turn, so that unpacking two vectors of such bytes gives words in the
/// order of either vector.
const LOW_BYTES: [u8; 64] = {
    let mut order = [0; 64];
    let mut i = 0;
    while i < 64 {
        order[i] = (i % 8 * 2 + i / 16 * 16 + i / 8 % 2 * 64) as u8;
        i += 1;
    }
    order
};

/// Where the bytes of even lanes of four rows stand in two vectors ordered so: byte `k` of element
/// `j` is lane `2j` of row `k`.
const EVEN_LANES: [u8; 64] = {
    let mut order = [0; 64];
    let mut i = 0;
    while i < 64 {
        let (lane, row) = (i / 4 * 2, i % 4);
        order[i] = (lane / 8 * 16 + lane % 8 + row % 2 * 8 + row / 2 * 64) as u8;
        i += 1;
    }
    order
};

/// Likewise of odd lanes.
const ODD_LANES: [u8; 64] = {
    let mut order = EVEN_LANES;
    let mut i = 0;
    while i < 64 {
        order[i] += 1;
        i += 1;
    }
    order
};

/// The bits of a bucket up to each of its slots, low and high byte; sixteen slots four times over.
const UP_TO: [[u8; 64]; 2] = {
    let mut masks = [[0; 64]; 2];
    let mut i = 0;
    while i < 64 {
        let mask = (2u32 << (i % 16)) - 1;
        masks[0][i] = mask as u8;
        masks[1][i] = (mask >> 8) as u8;
        i += 1;
    }
    masks
};

/// The symbols at the slots of two rows.
#[derive(Clone, Copy)]
struct Found {
    /// `frequency << 4` of each row's lanes.
    freqs: [__m512i; 2],
    /// First slots.
    starts: [__m512i; 2],
    /// Symbols, in the order of [`LOW_BYTES`].
    symbols: __m512i,
}

#[inline(always)]
fn load(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: called only by methods of a token that proves AVX512F; 64 bytes are there.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

impl<const PERMUTE: bool> Avx512<PERMUTE> {
    /// [`OrderSimd::pop_rows`](super::operations::OrderSimd::pop_rows).
    #[inline(always)]
    pub(super) fn pop_rows_of_words(
        self,
        table: &SlotTable,
        rows: &mut [[__m512i; 2]; 4],
        windows: [&[u8; 64]; 4],
    ) -> ([__m512i; 2], [usize; 4]) {
        let [a, b] = self.find(table, [rows[0][0], rows[1][0]], [rows[2][0], rows[3][0]]);
        let mut counts = [0; 4];
        (rows[0], counts[0]) = self.pop_row(rows[0], a.freqs[0], a.starts[0], windows[0]);
        (rows[1], counts[1]) = self.pop_row(rows[1], a.freqs[1], a.starts[1], windows[1]);
        (rows[2], counts[2]) = self.pop_row(rows[2], b.freqs[0], b.starts[0], windows[2]);
        (rows[3], counts[3]) = self.pop_row(rows[3], b.freqs[1], b.starts[1], windows[3]);
        // SAFETY: the token proves AVX512VBMI.
        let symbols = unsafe {
            [
                _mm512_permutex2var_epi8(a.symbols, load(&EVEN_LANES), b.symbols),
                _mm512_permutex2var_epi8(a.symbols, load(&ODD_LANES), b.symbols),
            ]
        };
        (symbols, counts)
    }

    /// The symbols at the slots of two rows and of two more, given their low words. Both pairs in
    /// step: their chains of instructions are long, and a core looks ahead less than one of them.
    #[inline(always)]
    fn find(self, table: &SlotTable, a: [__m512i; 2], b: [__m512i; 2]) -> [Found; 2] {
        let planes = &table.planes;
        // SAFETY: the token proves the features; no pointer is involved.
        unsafe {
            let order = load(&LOW_BYTES);
            let in_bucket = [
                _mm512_permutex2var_epi8(a[0], order, a[1]),
                _mm512_permutex2var_epi8(b[0], order, b[1]),
            ];
            let four = |words| _mm512_srli_epi16::<4>(words);
            let bucket = [
                _mm512_permutex2var_epi8(four(a[0]), order, four(a[1])),
                _mm512_permutex2var_epi8(four(b[0]), order, four(b[1])),
            ];
            let high = [_mm512_movepi8_mask(bucket[0]), _mm512_movepi8_mask(bucket[1])];
            let mut number = self.lookup_planes(&planes.numbers, bucket, high);
            let begins = self.lookup_planes(&planes.begins[0], bucket, high);
            number = count_up_to(number, begins, in_bucket, &UP_TO[0]);
            let begins = self.lookup_planes(&planes.begins[1], bucket, high);
            number = count_up_to(number, begins, in_bucket, &UP_TO[1]);
            let [intervals_low, intervals_middle, intervals_upper] = &planes.intervals;
            let (low, middle, upper, symbols);
            if planes.few {
                low = self.lookup_few(intervals_low, number);
                middle = self.lookup_few(intervals_middle, number);
                upper = self.lookup_few(intervals_upper, number);
                symbols = self.lookup_few(&planes.symbols, number);
            } else {
                let high = [_mm512_movepi8_mask(number[0]), _mm512_movepi8_mask(number[1])];
                low = self.lookup_planes(intervals_low, number, high);
                middle = self.lookup_planes(intervals_middle, number, high);
                upper = self.lookup_planes(intervals_upper, number, high);
                symbols = self.lookup_planes(&planes.symbols, number, high);
            }
            [
                intervals_of(low[0], middle[0], upper[0], symbols[0]),
                intervals_of(low[1], middle[1], upper[1], symbols[1]),
            ]
        }
    }

    /// [`lookup_plane`](Self::lookup_plane) of two vectors.
    #[inline(always)]
    fn lookup_planes(
        self,
        plane: &[u8; 256],
        index: [__m512i; 2],
        high: [__mmask64; 2],
    ) -> [__m512i; 2] {
        [self.lookup_plane(plane, index[0], high[0]), self.lookup_plane(plane, index[1], high[1])]
    }

    /// [`lookup_planes`](Self::lookup_planes) of indexes below 128.
    #[inline(always)]
    fn lookup_few(self, plane: &[u8; 256], index: [__m512i; 2]) -> [__m512i; 2] {
        // SAFETY: the token proves AVX512VBMI; the loads cover the first half of `plane`.
        unsafe {
            let part = |i: usize| _mm512_loadu_si512(plane.as_ptr().add(64 * i).cast());
            let (first, second) = (part(0), part(1));
            [
                _mm512_permutex2var_epi8(first, index[0], second),
                _mm512_permutex2var_epi8(first, index[1], second),
            ]
        }
    }

    /// Pops a row; its states, and how many words it took.
    #[inline(always)]
    fn pop_row(
        self,
        [low, high]: [__m512i; 2],
        freq: __m512i,
        start: __m512i,
        words: &[u8; 64],
    ) -> ([__m512i; 2], usize) {
        // SAFETY: the token proves the features; `REVERSE_WORDS` is 64 bytes.
        unsafe {
            let order = _mm512_loadu_si512(REVERSE_WORDS.as_ptr().cast());
            let backwards = _mm512_permutexvar_epi16(order, load(words));
            let slots = _mm512_set1_epi16(0xfff);
            let rank = _mm512_sub_epi16(_mm512_and_si512(low, slots), start);
            // The four bits of the low word above its slot, times the frequency.
            let addend =
                _mm512_add_epi16(_mm512_mulhi_epu16(_mm512_andnot_si512(slots, low), freq), rank);
            let low = _mm512_add_epi16(_mm512_mullo_epi16(high, freq), addend);
            let high = _mm512_mulhi_epu16(high, freq);
            let carry = _mm512_cmplt_epu16_mask(low, addend);
            let high = _mm512_mask_sub_epi16(high, carry, high, _mm512_set1_epi16(-1));
            // Below 2^15 where nothing of the state stands above its low 15 bits.
            let above = _mm512_shldi_epi16::<1>(high, low);
            let under = _mm512_testn_epi16_mask(above, above);
            let states = [
                _mm512_mask_expand_epi16(low, under, backwards),
                _mm512_mask_mov_epi16(high, under, low),
            ];
            (states, under.count_ones() as usize)
        }
    }
}

/// Adds how many of the bits `begins` of each bucket stand at its slot or below.
#[inline(always)]
fn count_up_to(
    number: [__m512i; 2],
    begins: [__m512i; 2],
    in_bucket: [__m512i; 2],
    up_to: &'static [u8; 64],
) -> [__m512i; 2] {
    // SAFETY: called only by methods of a token that proves the features; no pointer is involved.
    unsafe {
        let up_to = load(up_to);
        let begins = [
            _mm512_and_si512(begins[0], _mm512_permutexvar_epi8(in_bucket[0], up_to)),
            _mm512_and_si512(begins[1], _mm512_permutexvar_epi8(in_bucket[1], up_to)),
        ];
        [
            _mm512_add_epi8(number[0], _mm512_popcnt_epi8(begins[0])),
            _mm512_add_epi8(number[1], _mm512_popcnt_epi8(begins[1])),
        ]
    }
}

/// Symbols and their intervals from the intervals' bytes.
#[inline(always)]
fn intervals_of(low: __m512i, middle: __m512i, upper: __m512i, symbols: __m512i) -> Found {
    // SAFETY: called only by methods of a token that proves AVX512BW; no pointer is involved.
    unsafe {
        let (slots, freqs) = (_mm512_set1_epi16(0xfff), _mm512_set1_epi16(0xfff0u16 as i16));
        Found {
            freqs: [
                _mm512_and_si512(freqs, _mm512_unpacklo_epi8(middle, upper)),
                _mm512_and_si512(freqs, _mm512_unpackhi_epi8(middle, upper)),
            ],
            starts: [
                _mm512_and_si512(slots, _mm512_unpacklo_epi8(low, middle)),
                _mm512_and_si512(slots, _mm512_unpackhi_epi8(low, middle)),
            ],
            symbols,
        }
    }
}

//! AVX2: tables of quads, words in memory, and the regrouping of eight elements.

#![allow(unsafe_code, reason = "vector intrinsics")]

use std::arch::x86_64::*;

use super::avx2_octets::{Avx2Octets, V, W, with_features};
use super::avx2_octets_loads::{bounded, load_in_twos, load_quads, load_two, offsets_at};
use super::octets::{EightPlaces, OctetArithmetic, Octets, PlacesView, Quads, last_words};
use super::orders::{EXPAND_EIGHT, EXPAND_FOUR, EXPAND_WORDS, Orders};
use super::traits::RunOn;

/// What two instructions make of the same two vectors.
macro_rules! low_high {
    ($low:ident, $high:ident, $a:ident, $b:ident) => {
        ($low($a, $b), $high($a, $b))
    };
}

/// The low halves of two registers, and the high ones.
macro_rules! halves_of {
    ($a:ident, $b:ident) => {
        (_mm256_permute2x128_si256::<0x20>($a, $b), _mm256_permute2x128_si256::<0x31>($a, $b))
    };
}

#[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
fn enter<Work: RunOn<Avx2Octets>>(token: Avx2Octets, work: Work) -> Work::Output {
    work.run(token)
}

impl Octets for Avx2Octets {
    #[inline(always)]
    fn vectorize<Work: RunOn<Self>>(self, work: Work) -> Work::Output {
        with_features!(enter(self, work))
    }

    #[inline(always)]
    fn prefetch_near<T>(self, values: &[T], at: usize) {
        // SAFETY: a prefetch of any address does nothing but load a cache.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(values.as_ptr().wrapping_add(at).cast()) }
    }

    #[inline(always)]
    fn prefetch_to_write<T>(self, values: &mut [T], at: usize) {
        // SAFETY: a prefetch of any address does nothing but load a cache.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(values.as_ptr().wrapping_add(at).cast()) }
    }

    #[inline(always)]
    fn copy_non_temporal(self, from: &[u32; 16], to: &mut [u32; 16]) {
        // SAFETY: the token proves AVX2; 64 bytes are there, aligned where that is asked for.
        unsafe {
            let from = from.as_ptr().cast();
            let (low, high) = (_mm256_loadu_si256(from), _mm256_loadu_si256(from.add(1)));
            let out: *mut __m256i = to.as_mut_ptr().cast();
            if out.addr().is_multiple_of(64) {
                _mm256_stream_si256(out, low);
                _mm256_stream_si256(out.add(1), high);
            } else {
                _mm256_storeu_si256(out, low);
                _mm256_storeu_si256(out.add(1), high);
            }
        }
    }

    #[inline(always)]
    fn fence(self) {
        with_features!(_mm_sfence());
    }

    #[inline(always)]
    fn gather(self, table: &[u32], index: V) -> V {
        let last = table.len().checked_sub(1).expect("a table is never empty");
        let last = self.splat(last.min(i32::MAX as usize) as u32);
        // SAFETY: the token proves AVX2; every index is at most the last.
        unsafe {
            let index = _mm256_min_epu32(index, last);
            _mm256_i32gather_epi32::<4>(table.as_ptr().cast(), index)
        }
    }

    #[inline(always)]
    fn gather_before(self, bytes: &[u8], end: V) -> V {
        assert!(bytes.len() >= 4 && bytes.len() <= i32::MAX as usize);
        let last = self.splat(bytes.len() as u32 - 4);
        let at = self.sub(end, self.splat(4));
        // SAFETY: the token proves AVX2; four bytes are there from every index on, which is at
        // least 0 and at most the last.
        unsafe {
            let from = _mm256_min_epi32(_mm256_max_epi32(at, _mm256_setzero_si256()), last);
            let found = _mm256_i32gather_epi32::<1>(bytes.as_ptr().cast(), from);
            // So many bits precede the end too few.
            self.shl_by(found, self.shl::<3>(self.sub(from, at)))
        }
    }

    #[inline(always)]
    fn look_up(self, table: &[u32], index: V) -> V {
        let last = table.len().checked_sub(1).expect("a table is never empty");
        let at = bounded(index, last);
        macro_rules! value {
            ($e:literal) => {
                *table.as_ptr().add(at[$e]) as i32
            };
        }
        macro_rules! four {
            ($a:literal $b:literal $c:literal $d:literal) => {{
                let v = _mm_cvtsi32_si128(value!($a));
                let v = _mm_insert_epi32::<1>(v, value!($b));
                let v = _mm_insert_epi32::<2>(v, value!($c));
                _mm_insert_epi32::<3>(v, value!($d))
            }};
        }
        // SAFETY: the token proves AVX2; every place is at most the last.
        unsafe {
            _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(four!(0 1 2 3)), four!(4 5 6 7))
        }
    }

    #[inline(always)]
    fn look_up_u16(self, table: &[u16], index: V) -> V {
        let last = table.len().checked_sub(2).expect("a table has two values at least");
        let at = bounded(index, last);
        macro_rules! value {
            ($e:literal) => {
                i32::from(*table.as_ptr().add(at[$e]))
            };
        }
        macro_rules! four {
            ($a:literal $b:literal $c:literal $d:literal) => {{
                // Of the first two values, the second is replaced.
                let v =
                    _mm_cvtsi32_si128(table.as_ptr().add(at[$a]).cast::<i32>().read_unaligned());
                let v = _mm_insert_epi16::<1>(v, value!($b));
                let v = _mm_insert_epi16::<2>(v, value!($c));
                _mm_insert_epi16::<3>(v, value!($d))
            }};
        }
        // SAFETY: the token proves AVX2; every place is at most that of the last but one.
        unsafe { _mm256_cvtepu16_epi32(_mm_unpacklo_epi64(four!(0 1 2 3), four!(4 5 6 7))) }
    }

    #[inline(always)]
    fn load_eight_before(self, bytes: &[u8], end: V) -> W {
        let last = bytes.len().checked_sub(8).expect("there are eight bytes");
        let at = bounded(self.sub(end, self.splat(8)), last);
        macro_rules! two {
            ($a:literal $b:literal) => {{
                let v = _mm_loadl_epi64(bytes.as_ptr().add(at[$a]).cast());
                _mm_loadh_pd(_mm_castsi128_pd(v), bytes.as_ptr().add(at[$b]).cast())
            }};
        }
        macro_rules! four {
            ($low:expr, $high:expr) => {
                _mm256_castpd_si256(_mm256_insertf128_pd::<1>(_mm256_castpd128_pd256($low), $high))
            };
        }
        // SAFETY: the token proves AVX2; eight bytes are there from every place on. The order of
        // the elements is that of `W`.
        unsafe { [four!(two!(0 1), two!(4 5)), four!(two!(2 3), two!(6 7))] }
    }

    #[inline(always)]
    fn store_eight(self, v: W, to: &mut [u8], at: V) {
        let last = to.len().checked_sub(8).expect("there are eight bytes");
        let at = bounded(at, last);
        macro_rules! two {
            ($v:expr, $a:literal $b:literal) => {
                let v = _mm_castsi128_pd($v);
                _mm_storel_pd(to.as_mut_ptr().add(at[$a]).cast(), v);
                _mm_storeh_pd(to.as_mut_ptr().add(at[$b]).cast(), v);
            };
        }
        // SAFETY: the token proves AVX2; eight bytes are there from every place on. The order of
        // the elements is that of `W`.
        unsafe {
            two!(_mm256_castsi256_si128(v[0]), 0 1);
            two!(_mm256_extracti128_si256::<1>(v[0]), 4 5);
            two!(_mm256_castsi256_si128(v[1]), 2 3);
            two!(_mm256_extracti128_si256::<1>(v[1]), 6 7);
        }
    }

    #[inline(always)]
    fn load_quads(self, table: &Quads<'_, V>, index: V) -> [V; 4] {
        let (table, last) = table.parts();
        let mut offsets = [0; 8];
        let index = with_features!(_mm256_min_epu32(index, last));
        self.store(self.shl::<4>(index), &mut offsets);
        let from = (&raw const offsets).cast::<u32>();
        macro_rules! read {
            ($($e:literal)*) => {
                // SAFETY: they are eight. Volatile, or the compiler would take the vector apart.
                unsafe { [$(from.add($e).read_volatile()),*] }
            };
        }
        let offsets = read!(0 1 2 3 4 5 6 7);
        // SAFETY: every index is at most the last, and its offset below 2^31.
        unsafe { load_quads(table, offsets) }
    }

    #[inline(always)]
    fn set_places(self, mut places: EightPlaces<'_>, entries: V) {
        let (last, to) = places.parts();
        let last = self.splat(last);
        let entries = with_features!(_mm256_min_epu32(entries, last));
        self.store(self.shl::<4>(entries), to);
    }

    #[inline(always)]
    fn quads_at<const L: usize>(self, places: PlacesView<'_>, at: usize, stride: usize) -> [V; 4] {
        let (table, offsets) = places.parts();
        // SAFETY: places lie inside the table.
        unsafe { load_quads(table, offsets_at::<L>(offsets, at, stride)) }
    }

    #[inline(always)]
    fn pairs_at<const L: usize>(self, places: PlacesView<'_>, at: usize, stride: usize) -> [W; 2] {
        let (table, offsets) = places.parts();
        // SAFETY: the token proves AVX2; places lie inside the table.
        unsafe {
            let [v0, v1, v2, v3] = load_in_twos(table, offsets_at::<L>(offsets, at, stride));
            [
                [_mm256_unpacklo_epi64(v0, v1), _mm256_unpacklo_epi64(v2, v3)],
                [_mm256_unpackhi_epi64(v0, v1), _mm256_unpackhi_epi64(v2, v3)],
            ]
        }
    }

    #[inline(always)]
    fn transpose<const L: usize>(self, v: [V; 8]) -> [V; 8] {
        with_features!({
            let [a, b, c, d, e, f, g, h] = v;
            match L {
                1 => {
                    let (a, b) = low_high!(_mm256_unpacklo_epi32, _mm256_unpackhi_epi32, a, b);
                    let (c, d) = low_high!(_mm256_unpacklo_epi32, _mm256_unpackhi_epi32, c, d);
                    let (e, f) = low_high!(_mm256_unpacklo_epi32, _mm256_unpackhi_epi32, e, f);
                    let (g, h) = low_high!(_mm256_unpacklo_epi32, _mm256_unpackhi_epi32, g, h);
                    // Columns 0 to 3 and 4 to 7 of four rows, in the halves.
                    let (a, c) = low_high!(_mm256_unpacklo_epi64, _mm256_unpackhi_epi64, a, c);
                    let (b, d) = low_high!(_mm256_unpacklo_epi64, _mm256_unpackhi_epi64, b, d);
                    let (e, g) = low_high!(_mm256_unpacklo_epi64, _mm256_unpackhi_epi64, e, g);
                    let (f, h) = low_high!(_mm256_unpacklo_epi64, _mm256_unpackhi_epi64, f, h);
                    let (a, e) = halves_of!(a, e);
                    let (c, g) = halves_of!(c, g);
                    let (b, f) = halves_of!(b, f);
                    let (d, h) = halves_of!(d, h);
                    [a, c, b, d, e, g, f, h]
                }
                2 => {
                    let (a, b) = low_high!(_mm256_unpacklo_epi64, _mm256_unpackhi_epi64, a, b);
                    let (c, d) = low_high!(_mm256_unpacklo_epi64, _mm256_unpackhi_epi64, c, d);
                    let (a, c) = halves_of!(a, c);
                    let (b, d) = halves_of!(b, d);
                    [a, b, c, d, e, f, g, h]
                }
                4 => {
                    let (a, b) = halves_of!(a, b);
                    [a, b, c, d, e, f, g, h]
                }
                _ => v,
            }
        })
    }

    #[inline(always)]
    fn pack(self, a: V, b: V) -> V {
        with_features!({
            let zero = _mm256_setzero_si256();
            let (a, b) = (_mm256_blend_epi16::<0xaa>(a, zero), _mm256_blend_epi16::<0xaa>(b, zero));
            _mm256_permute4x64_epi64::<0xd8>(_mm256_packus_epi32(a, b))
        })
    }

    #[inline(always)]
    fn transpose_words<const L: usize>(self, v: [V; 8]) -> [V; 8] {
        with_features!({
            let [a, b, c, d, e, f, g, h] = v;
            match L {
                1 => {
                    let (a, b) = low_high!(_mm256_unpacklo_epi16, _mm256_unpackhi_epi16, a, b);
                    let (c, d) = low_high!(_mm256_unpacklo_epi16, _mm256_unpackhi_epi16, c, d);
                    let (e, f) = low_high!(_mm256_unpacklo_epi16, _mm256_unpackhi_epi16, e, f);
                    let (g, h) = low_high!(_mm256_unpacklo_epi16, _mm256_unpackhi_epi16, g, h);
                    // Words 0 to 3 and 4 to 7 of two rows each; then two words of four rows.
                    let (a, c) = low_high!(_mm256_unpacklo_epi32, _mm256_unpackhi_epi32, a, c);
                    let (b, d) = low_high!(_mm256_unpacklo_epi32, _mm256_unpackhi_epi32, b, d);
                    let (e, g) = low_high!(_mm256_unpacklo_epi32, _mm256_unpackhi_epi32, e, g);
                    let (f, h) = low_high!(_mm256_unpacklo_epi32, _mm256_unpackhi_epi32, f, h);
                    let (a, e) = low_high!(_mm256_unpacklo_epi64, _mm256_unpackhi_epi64, a, e);
                    let (c, g) = low_high!(_mm256_unpacklo_epi64, _mm256_unpackhi_epi64, c, g);
                    let (b, f) = low_high!(_mm256_unpacklo_epi64, _mm256_unpackhi_epi64, b, f);
                    let (d, h) = low_high!(_mm256_unpacklo_epi64, _mm256_unpackhi_epi64, d, h);
                    [a, e, c, g, b, f, d, h]
                }
                2 => {
                    let (a, b) = low_high!(_mm256_unpacklo_epi32, _mm256_unpackhi_epi32, a, b);
                    let (c, d) = low_high!(_mm256_unpacklo_epi32, _mm256_unpackhi_epi32, c, d);
                    let (a, c) = low_high!(_mm256_unpacklo_epi64, _mm256_unpackhi_epi64, a, c);
                    let (b, d) = low_high!(_mm256_unpacklo_epi64, _mm256_unpackhi_epi64, b, d);
                    [a, c, b, d, e, f, g, h]
                }
                4 => {
                    let (a, b) = low_high!(_mm256_unpacklo_epi64, _mm256_unpackhi_epi64, a, b);
                    [a, b, c, d, e, f, g, h]
                }
                _ => v,
            }
        })
    }

    #[inline(always)]
    fn compress<const L: usize>(self, v: V, mask: u8, out: &mut [u32; 8]) {
        let order = self.load(&Orders::<L>::ELEMENTS[usize::from(mask)]);
        self.store(with_features!(_mm256_permutevar8x32_epi32(v, order)), out);
    }

    #[inline(always)]
    fn compress_words<const L: usize>(self, v: V, masks: [u8; 2]) -> V {
        let [low, high] = masks.map(|mask| &Orders::<L>::WORDS[usize::from(mask)]);
        // SAFETY: the token proves AVX2; an order has 16 bytes.
        unsafe { _mm256_shuffle_epi8(v, load_two(low.as_ptr().cast(), high.as_ptr().cast())) }
    }

    #[inline(always)]
    fn store_words<const HALF: i32>(self, v: V, out: &mut [u16; 8]) {
        // SAFETY: the token proves AVX2; 16 bytes are there.
        unsafe {
            let half = _mm256_extracti128_si256::<HALF>(v);
            _mm_storeu_si128(out.as_mut_ptr().cast(), half);
        }
    }

    #[inline(always)]
    fn compress_bytes<const L: usize, const HALF: i32>(self, v: V, mask: u16, out: &mut [u8; 16]) {
        let [low, high] = mask.to_le_bytes();
        let orders = [low, high].map(|mask| &Orders::<L>::BYTES[usize::from(mask)]);
        // SAFETY: the token proves AVX2; an order has 8 bytes; each store has 8 bytes, the second
        // from the count of a mask of 8 on.
        unsafe {
            let half = _mm256_extracti128_si256::<HALF>(v);
            let order = _mm_loadl_epi64(orders[0].as_ptr().cast());
            let low_bytes = _mm_shuffle_epi8(half, order);
            let order = _mm_loadl_epi64(orders[1].as_ptr().cast());
            let high_bytes = _mm_shuffle_epi8(_mm_unpackhi_epi64(half, half), order);
            // Of eight lanes the last four go first.
            let (first, count, second) = if L == 8 {
                (high_bytes, high.count_ones(), low_bytes)
            } else {
                (low_bytes, low.count_ones(), high_bytes)
            };
            _mm_storel_epi64(out.as_mut_ptr().cast(), first);
            _mm_storel_epi64(out.as_mut_ptr().add(count as usize).cast(), second);
        }
    }

    #[inline(always)]
    fn before<const L: usize>(self, mask: u8) -> V {
        let counts = Orders::<L>::BEFORE[usize::from(mask)].as_ptr();
        // SAFETY: the token proves AVX2; eight bytes are there.
        unsafe { _mm256_cvtepu8_epi32(_mm_loadl_epi64(counts.cast())) }
    }

    #[inline(always)]
    fn total<const L: usize>(self, mask: u8) -> V {
        let counts = Orders::<L>::TOTAL[usize::from(mask)].as_ptr();
        // SAFETY: the token proves AVX2; eight bytes are there.
        unsafe { _mm256_cvtepu8_epi32(_mm_loadl_epi64(counts.cast())) }
    }

    #[inline(always)]
    fn expand_words(self, words: &[u16], end: usize, mask: u8) -> V {
        let at = end.wrapping_sub(8);
        // SAFETY: the token proves AVX2; 16 bytes are there before the end, and 32 of an order.
        unsafe {
            let words = if words.len() >= 8 && at <= words.len() - 8 {
                _mm_loadu_si128(words.as_ptr().add(at).cast())
            } else {
                let words: [u16; 8] = last_words(words, end);
                _mm_loadu_si128(words.as_ptr().cast())
            };
            let order = EXPAND_WORDS[usize::from(mask)].as_ptr();
            let words = _mm256_broadcastsi128_si256(words);
            _mm256_shuffle_epi8(words, _mm256_loadu_si256(order.cast()))
        }
    }

    #[inline(always)]
    fn expand_eight(self, words: &[u32], end: usize, mask: u8) -> V {
        let at = end.wrapping_sub(8);
        // SAFETY: the token proves AVX2; 32 bytes are there before the end.
        let words = unsafe {
            if words.len() >= 8 && at <= words.len() - 8 {
                _mm256_loadu_si256(words.as_ptr().add(at).cast())
            } else {
                self.load(&last_words(words, end))
            }
        };
        let order = self.load(&EXPAND_EIGHT[usize::from(mask)]);
        with_features!(_mm256_permutevar8x32_epi32(words, order))
    }

    #[inline(always)]
    fn expand_fours(self, words: &[u32], ends: [usize; 2], mask: u8) -> V {
        let at = [ends[0].wrapping_sub(4), ends[1].wrapping_sub(4)];
        let orders = [&EXPAND_FOUR[usize::from(mask & 15)], &EXPAND_FOUR[usize::from(mask >> 4)]];
        // SAFETY: the token proves AVX2; 16 bytes are there before each end, and of an order.
        unsafe {
            let words = if words.len() >= 4 && at[0].max(at[1]) <= words.len() - 4 {
                load_two(words.as_ptr().add(at[0]).cast(), words.as_ptr().add(at[1]).cast())
            } else {
                let [low, high]: [[u32; 4]; 2] =
                    [last_words(words, ends[0]), last_words(words, ends[1])];
                load_two(low.as_ptr().cast(), high.as_ptr().cast())
            };
            let order = load_two(orders[0].as_ptr().cast(), orders[1].as_ptr().cast());
            _mm256_shuffle_epi8(words, order)
        }
    }
}

//! What the states of a block emit, from the order of steps to that of rows.
//!
//! A batch is `8 / L` steps: in these an octet has eight states' worth of words of each of its
//! rows, which are compressed and appended at once. The last lane of a row emits first, so that the
//! last of its octets is appended first.

use parans_kernels::codec::WordInt;

use super::{OCTETS, STATES};
use crate::simd::{Octets, unroll};

/// What a batch emits.
pub(crate) struct Emitted<V> {
    /// Words of four bytes by octet and step; shorter ones by pair of octets and step.
    words: [[V; 8]; OCTETS],
    /// Which of an octet's states emit in each step.
    masks: [[u8; 8]; OCTETS],
    /// The same of words of one byte, of which a state may emit two.
    byte_masks: [[u16; 8]; OCTETS],
}

impl<V: Copy> Emitted<V> {
    #[inline(always)]
    pub(super) fn new(any: V) -> Self {
        Self { words: [[any; 8]; OCTETS], masks: [[0; 8]; OCTETS], byte_masks: [[0; 8]; OCTETS] }
    }

    /// Forgets steps from one on.
    pub(super) fn clear_from(&mut self, step: usize) {
        self.masks.iter_mut().for_each(|masks| masks[step..].fill(0));
        self.byte_masks.iter_mut().for_each(|masks| masks[step..].fill(0));
    }
}

/// What is free of the words of a block's rows.
pub(crate) type FreeWords<'w, W> = crate::simd::FreeWords<'w, W, STATES>;

/// Appends `count` words to a row, which an expression stores to an array of `$most`: in place
/// where so many fit. Words that do not fit are only noted, since a way out of the loop over steps
/// would make the compiler put off the steps' arithmetic until after it, by way of memory.
macro_rules! append {
    ($free:ident, $row:expr, $count:expr, $most:literal, |$out:ident| $store:expr) => {{
        let (row, count) = ($row, $count as usize);
        if let Some(chunk) = $free.chunk(row) {
            let $out = &mut *chunk.words;
            $store;
            chunk.take(count);
        } else {
            let mut all = [0; $most];
            let $out = &mut all;
            $store;
            $free.append_last(row, &all[..count]);
        }
    }};
}

/// The row that element `L * r` of octet `u` belongs to.
const fn row_of<const L: usize, const O: usize>(u: usize, r: usize) -> usize {
    u * (8 / L) / O + r
}

/// Swaps the fields of two places `by` bits apart, of which `mask` has the lower.
#[inline(always)]
const fn swap(x: u64, by: u32, mask: u64) -> u64 {
    let changed = (x ^ x >> by) & mask;
    x ^ changed ^ changed << by
}

/// From a bit for each of an octet's states in each step to a bit for each of the eight words of
/// each row: the transpose of a matrix of `L` bits per field. Where there is an instruction that
/// extracts bits, some processors take more than a cycle for each of them.
#[inline(always)]
const fn masks_of_rows<const L: usize>(masks: [u8; 8]) -> [u8; 8] {
    let x = u64::from_le_bytes(masks);
    let x = match L {
        1 => {
            let x = swap(swap(x, 7, 0x00aa_00aa_00aa_00aa), 14, 0x0000_cccc_0000_cccc);
            swap(x, 28, 0xf0f0_f0f0)
        }
        2 => swap(swap(x, 6, 0x00cc_00cc), 12, 0xf0f0),
        4 => swap(x, 4, 0xf0),
        _ => x,
    };
    x.to_le_bytes()
}

/// The same of bits for each byte of a state.
#[inline(always)]
fn byte_masks_of_rows<const L: usize>(masks: [u16; 8]) -> [u16; 8] {
    let four = |at: usize| {
        let mut bits = 0;
        for k in 0..4 {
            bits |= u64::from(masks[at + k]) << (16 * k);
        }
        bits
    };
    let mut of_rows = masks;
    match L {
        1 => {
            let half = |x| swap(swap(x, 14, 0x0000_cccc_0000_cccc), 28, 0xf0f0_f0f0);
            let (first, second) = (half(four(0)).to_le_bytes(), half(four(4)).to_le_bytes());
            for (r, of_row) in of_rows.iter_mut().enumerate() {
                let at = 2 * (r % 4) + r / 4;
                *of_row = u16::from_le_bytes([first[at], second[at]]);
            }
        }
        2 => {
            let x = swap(swap(four(0), 12, 0x0000_f0f0_0000_f0f0), 24, 0xff00_ff00);
            for (r, of_row) in of_rows.iter_mut().enumerate().take(4) {
                *of_row = (x >> (16 * r)) as u16;
            }
        }
        4 => {
            let x = swap(four(0), 8, 0xff00);
            (of_rows[0], of_rows[1]) = (x as u16, (x >> 16) as u16);
        }
        _ => {}
    }
    of_rows
}

/// Words as octets of states emit them.
pub(crate) trait OctetWord: WordInt {
    /// Writes down what a pair of octets emits in a step, as
    /// [`OctetFamily::push`](super::OctetFamily::push) returns it.
    fn note<S: Octets>(
        s: S,
        emitted: &mut Emitted<S::V>,
        pair: usize,
        step: usize,
        of_octets: [[S::V; 2]; 2],
    );

    /// Appends the words of a batch, of so many octets.
    fn append<S: Octets, const L: usize, const O: usize>(
        s: S,
        emitted: &Emitted<S::V>,
        used: usize,
        free: &mut FreeWords<'_, Self>,
    );
}

impl OctetWord for u32 {
    #[inline(always)]
    fn note<S: Octets>(
        s: S,
        emitted: &mut Emitted<S::V>,
        pair: usize,
        step: usize,
        of_octets: [[S::V; 2]; 2],
    ) {
        let [[a, emits_a], [b, emits_b]] = of_octets;
        emitted.words[2 * pair][step] = a;
        emitted.words[2 * pair + 1][step] = b;
        emitted.masks[2 * pair][step] = s.signs(emits_a);
        emitted.masks[2 * pair + 1][step] = s.signs(emits_b);
    }

    #[inline(always)]
    fn append<S: Octets, const L: usize, const O: usize>(
        s: S,
        emitted: &Emitted<S::V>,
        used: usize,
        free: &mut FreeWords<'_, Self>,
    ) {
        let across = 8 / L;
        unroll!(u in 3 2 1 0 below used => {
            let words = s.transpose::<L>(emitted.words[u]);
            let masks = masks_of_rows::<L>(emitted.masks[u]);
            unroll!(r in 0 1 2 3 4 5 6 7 below across => {
                let (row, v) = (row_of::<L, O>(u, r), words[r]);
                let mask = masks[r];
                append!(free, row, mask.count_ones(), 8, |out| s.compress::<L>(v, mask, out));
            });
        });
    }
}

impl OctetWord for u16 {
    #[inline(always)]
    fn note<S: Octets>(
        s: S,
        emitted: &mut Emitted<S::V>,
        pair: usize,
        step: usize,
        of_octets: [[S::V; 2]; 2],
    ) {
        let [[a, emits_a], [b, emits_b]] = of_octets;
        emitted.words[pair][step] = s.pack(a, b);
        emitted.masks[2 * pair][step] = s.signs(emits_a);
        emitted.masks[2 * pair + 1][step] = s.signs(emits_b);
    }

    #[inline(always)]
    fn append<S: Octets, const L: usize, const O: usize>(
        s: S,
        emitted: &Emitted<S::V>,
        used: usize,
        free: &mut FreeWords<'_, Self>,
    ) {
        let across = 8 / L;
        let pairs = used.div_ceil(2);
        unroll!(pair in 1 0 below pairs => {
            let words = s.transpose_words::<L>(emitted.words[pair]);
            let of_octets =
                [emitted.masks[2 * pair], emitted.masks[2 * pair + 1]].map(masks_of_rows::<L>);
            unroll!(r in 0 1 2 3 4 5 6 7 below across => {
                let masks = [of_octets[0][r], of_octets[1][r]];
                let v = s.compress_words::<L>(words[r], masks);
                unroll!(h in 1 0 => {
                    let (row, count) = (row_of::<L, O>(2 * pair + h, r), masks[h].count_ones());
                    append!(free, row, count, 8, |out| s.store_words::<{ h as i32 }>(v, out));
                });
            });
        });
    }
}

impl OctetWord for u8 {
    #[inline(always)]
    fn note<S: Octets>(
        s: S,
        emitted: &mut Emitted<S::V>,
        pair: usize,
        step: usize,
        of_octets: [[S::V; 2]; 2],
    ) {
        let [[a, emits_a], [b, emits_b]] = of_octets;
        emitted.words[pair][step] = s.pack(a, b);
        let masks = s.byte_signs(s.pack(emits_a, emits_b));
        emitted.byte_masks[2 * pair][step] = masks as u16;
        emitted.byte_masks[2 * pair + 1][step] = (masks >> 16) as u16;
    }

    #[inline(always)]
    fn append<S: Octets, const L: usize, const O: usize>(
        s: S,
        emitted: &Emitted<S::V>,
        used: usize,
        free: &mut FreeWords<'_, Self>,
    ) {
        let across = 8 / L;
        let pairs = used.div_ceil(2);
        unroll!(pair in 1 0 below pairs => {
            let words = s.transpose_words::<L>(emitted.words[pair]);
            let of_octets = [emitted.byte_masks[2 * pair], emitted.byte_masks[2 * pair + 1]]
                .map(byte_masks_of_rows::<L>);
            unroll!(r in 0 1 2 3 4 5 6 7 below across => {
                unroll!(h in 1 0 => {
                    let row = row_of::<L, O>(2 * pair + h, r);
                    let mask = of_octets[h][r];
                    append!(free, row, mask.count_ones(), 16, |out| {
                        s.compress_bytes::<L, { h as i32 }>(words[r], mask, out)
                    });
                });
            });
        });
    }
}

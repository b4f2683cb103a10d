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

/// Bit `k` of `BITS` for each of the blocks of `L` states: those of the first row.
const fn of_first_row(lanes: usize) -> u64 {
    let (mut bits, mut step) = (0, 0);
    while step < 8 / lanes {
        bits |= ((1 << lanes) - 1) << (8 * step);
        step += 1;
    }
    bits
}

/// A bit for each of the eight words of row `r` of an octet.
#[inline(always)]
fn mask_of_row<S: Octets, const L: usize>(s: S, masks: [u8; 8], r: usize) -> u8 {
    if L == 8 {
        return masks[0];
    }
    s.extract_bits(u64::from_le_bytes(masks), const { of_first_row(L) } << (r * L)) as u8
}

/// A bit for each byte of the eight words of row `r` of an octet.
#[inline(always)]
fn byte_mask_of_row<S: Octets, const L: usize>(s: S, masks: [u16; 8], r: usize) -> u16 {
    let four = |at: usize| {
        let mut bits = 0;
        for k in 0..4 {
            bits |= u64::from(masks[at + k]) << (16 * k);
        }
        bits
    };
    match L {
        1 => {
            let own = 0x0003_0003_0003_0003 << (2 * r);
            let (low, high) = (s.extract_bits(four(0), own), s.extract_bits(four(4), own));
            (low | high << 8) as u16
        }
        2 => s.extract_bits(four(0), 0x000f_000f_000f_000f << (4 * r)) as u16,
        4 => s.extract_bits(four(0) & 0xffff_ffff, 0x00ff_00ff << (8 * r)) as u16,
        _ => masks[0],
    }
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
            let masks = emitted.masks[u];
            unroll!(r in 0 1 2 3 4 5 6 7 below across => {
                let (row, v) = (row_of::<L, O>(u, r), words[r]);
                let mask = mask_of_row::<S, L>(s, masks, r);
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
            let of_octets = [emitted.masks[2 * pair], emitted.masks[2 * pair + 1]];
            unroll!(r in 0 1 2 3 4 5 6 7 below across => {
                let masks = [
                    mask_of_row::<S, L>(s, of_octets[0], r),
                    mask_of_row::<S, L>(s, of_octets[1], r),
                ];
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
            let of_octets = [emitted.byte_masks[2 * pair], emitted.byte_masks[2 * pair + 1]];
            unroll!(r in 0 1 2 3 4 5 6 7 below across => {
                unroll!(h in 1 0 => {
                    let row = row_of::<L, O>(2 * pair + h, r);
                    let mask = byte_mask_of_row::<S, L>(s, of_octets[h], r);
                    append!(free, row, mask.count_ones(), 16, |out| {
                        s.compress_bytes::<L, { h as i32 }>(words[r], mask, out)
                    });
                });
            });
        });
    }
}

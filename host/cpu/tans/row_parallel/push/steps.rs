//! The steps of a tile: entries in, bits out.

use std::ops::Range;

use super::entries::{FindBytes, FindEach};
use super::tile::{PushTile, Scratch};
use super::{Append, PushTiles};
use crate::cpu::tans::row_parallel::tile::{Prefetches, SHARE, VECTORS, WINDOW, WINDOWS, fetch};
use crate::simd::{ByteTable, RunOn, Simd512, Work, unroll};
use crate::tables::TansWideForm;

/// Pushes tiles in vectors of sixteen elements.
pub(in super::super) struct Wide<'a, S> {
    s: S,
    /// The entries in registers, where the tile is pushed with those.
    bytes: Option<&'a ByteTable<4>>,
}

impl<S> Wide<'_, S> {
    pub(in super::super) fn new(s: S) -> Self {
        Self { s, bytes: None }
    }
}

impl<'a, S: Simd512> PushTiles<&'a TansWideForm> for Wide<'a, S> {
    #[inline(always)]
    fn find(&mut self, tile: &PushTile<'_, &'a TansWideForm>, scratch: &mut Scratch) -> Option<()> {
        let s = self.s;
        self.bytes = match &tile.tables.form.bytes {
            Some(bytes) if s.vectorize(FindBytes { tile, scratch }) => Some(&**bytes),
            _ => {
                scratch.irregular = [0; WINDOWS];
                s.vectorize(FindEach { tile, scratch })?;
                None
            }
        };
        Some(())
    }

    #[inline(always)]
    fn take(
        &mut self,
        tile: &PushTile<'_, &'a TansWideForm>,
        scratch: &mut Scratch,
        prefetch: &Prefetches<'_>,
        windows: Range<usize>,
    ) {
        let (s, bytes) = (self.s, self.bytes);
        macro_rules! with {
            ($L:literal, $V:literal) => {
                if bytes.is_some() {
                    s.vectorize(Take::<$L, $V, true> { tile, scratch, prefetch, bytes, windows })
                } else {
                    s.vectorize(Take::<$L, $V, false> { tile, scratch, prefetch, bytes, windows })
                }
            };
        }
        with_shape!(with, tile.tables.lanes, tile.indexes.len());
    }

    #[inline(always)]
    fn append(&self, append: Append<'_, '_>) -> Option<()> {
        self.s.vectorize(append)
    }
}

/// The steps of rows of one lane (`L` = 1) or several (4), in `V` vectors, the last first.
struct Take<'a, const L: usize, const V: usize, const BYTES: bool> {
    tile: &'a PushTile<'a>,
    scratch: &'a mut Scratch,
    prefetch: &'a Prefetches<'a>,
    bytes: Option<&'a ByteTable<4>>,
    windows: Range<usize>,
}

impl<const L: usize, const V: usize, const BYTES: bool> Work for Take<'_, L, V, BYTES> {
    type Output = ();
}

impl<S: Simd512, const L: usize, const V: usize, const BYTES: bool> RunOn<S>
    for Take<'_, L, V, BYTES>
{
    #[inline(always)]
    fn run(self, s: S) {
        let Self { tile, scratch, prefetch, bytes, windows } = self;
        let Scratch { stage, entries, symbols, states, high, low, lens, ends, .. } = scratch;
        let stage = stage.as_flattened_mut();
        let (tables, first) = (tile.tables, tile.range.start);
        let lanes = if L == 1 { 1 } else { tables.lanes };
        let (next, form) = (tables.encoder.next, tables.form);
        let precision = tables.precision;
        let mask = s.splat((1 << precision) - 1);
        let (zero, seven) = (s.splat(0), s.splat(7));
        let mut x = [[zero; VECTORS]; L];
        let [mut upper, mut lower, mut len, mut end] = [[zero; VECTORS]; 4];
        unroll!(U in 0 1 2 3 below V => {
            upper[U] = s.load(&high[U]);
            lower[U] = s.load(&low[U]);
            len[U] = s.load(&lens[U]);
            end[U] = s.load(&ends[U]);
            if L < WINDOW {
                for k in 0..L {
                    x[k][U] = s.load(&states[k][U]);
                }
            }
        });
        for w in windows.rev() {
            fetch::<_, SHARE>(s, prefetch, w, 0);
            let lane = (first + WINDOW * w) % lanes;
            let mut looked_up = [[zero; 4]; VECTORS];
            unroll!(U in 0 1 2 3 below V => {
                if BYTES && let Some(bytes) = bytes {
                    looked_up[U] = s.lookup_bytes(bytes, s.load(&symbols[U][w]));
                }
            });
            macro_rules! step {
                ($k:literal) => {
                    // One thing at a time for all vectors: while one waits for its gather, the
                    // others' are on their way.
                    let [mut count, mut old, mut entry, mut place] = [[zero; VECTORS]; 4];
                    unroll!(U in 0 1 2 3 below V => {
                        if BYTES {
                            entry[U] = looked_up[U][$k];
                        } else {
                            let position = s.load(&entries[U][WINDOW * w + $k]);
                            entry[U] = s.gather(&form.encoder, position);
                            place[U] = s.shl(s.shr(position, form.alphabet_bits), precision);
                        }
                    });
                    unroll!(U in 0 1 2 3 below V => {
                        old[U] = if L == WINDOW {
                            s.load(&states[(lane + $k) % lanes][U])
                        } else {
                            x[$k % L][U]
                        };
                        let sum = s.add(s.shl(old[U], precision), entry[U]);
                        count[U] = s.shr(sum, 2 * precision + 1);
                        let at = s.add(s.shr_by(old[U], count[U]), entry[U]);
                        let at = s.or(s.and(at, mask), place[U]);
                        x[$k % L][U] = s.gather_u16(next, at);
                        if L == WINDOW {
                            s.store(x[$k % L][U], &mut states[(lane + $k) % lanes][U]);
                        }
                    });
                    unroll!(U in 0 1 2 3 below V => {
                        lower[U] = s.funnel_shr(upper[U], lower[U], count[U]);
                        upper[U] = s.funnel_shr(old[U], upper[U], count[U]);
                        len[U] = s.add(len[U], count[U]);
                    });
                };
            }
            step!(3);
            step!(2);
            step!(1);
            step!(0);
            unroll!(U in 0 1 2 3 below V => {
                s.store_top_bits([upper[U], lower[U]], len[U], stage, end[U]);
                end[U] = s.add(end[U], s.shr(len[U], 3));
                len[U] = s.and(len[U], seven);
            });
        }
        unroll!(U in 0 1 2 3 below V => {
            s.store(upper[U], &mut high[U]);
            s.store(lower[U], &mut low[U]);
            s.store(len[U], &mut lens[U]);
            s.store(end[U], &mut ends[U]);
            if L < WINDOW {
                for k in 0..L {
                    s.store(x[k][U], &mut states[k][U]);
                }
            }
        });
    }
}

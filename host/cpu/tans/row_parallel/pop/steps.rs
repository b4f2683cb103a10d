//! The steps of a tile: states in, symbols' numbers out.

use std::ops::Range;

use super::block_io::{Find, Store};
use super::tile::{PopTile, Scratch, UsedTables};
use super::{PopTiles, Stage, Symbols};
use crate::cpu::tans::Coded;
use crate::cpu::tans::row_parallel::tile::{
    MOST_ROWS, Prefetches, SHARE, VECTORS, VectorTables, WINDOW, fetch,
};
use crate::simd::{RunOn, Simd512, Work, unroll};
use crate::tables::{TansRowsForm, TansWideForm};

/// Pops tiles in vectors of sixteen elements.
pub(in super::super) struct Wide<S> {
    s: S,
    used: UsedTables,
}

impl<S> Wide<S> {
    pub(in super::super) fn new(s: S) -> Self {
        Self { s, used: UsedTables::Each }
    }
}

impl<'f, S: Simd512> PopTiles<&'f TansWideForm> for Wide<S> {
    #[inline(always)]
    fn stage(&self, stage: Stage<'_>) {
        self.s.vectorize(stage);
    }

    #[inline(always)]
    fn find(
        &mut self,
        tile: &PopTile<'_, '_, &'f TansWideForm>,
        scratch: &mut Scratch,
    ) -> Option<()> {
        let PopTile { tables, indexes, one, ref range, .. } = *tile;
        let find = Find { tables, scratch, indexes, one, range: range.clone() };
        self.used = self.s.vectorize(find)?;
        Some(())
    }

    #[inline(always)]
    fn take(
        &mut self,
        tile: &PopTile<'_, '_, &'f TansWideForm>,
        scratch: &mut Scratch,
        prefetch: &Prefetches<'_>,
        windows: Range<usize>,
    ) -> usize {
        let (s, tables, rows) = (self.s, tile.tables, tile.indexes.len());
        let used = u64::MAX >> (MOST_ROWS - rows);
        let lane = (tile.range.start + WINDOW * windows.start) % tables.lanes;
        macro_rules! with {
            ($L:literal, $V:literal, $EACH:literal, $one:expr) => {{
                let one = $one;
                s.vectorize(Take::<$L, $V, $EACH> {
                    tables,
                    scratch,
                    one,
                    prefetch,
                    lane,
                    windows,
                    used,
                })
            }};
            ($L:literal, $V:literal) => {
                match self.used {
                    UsedTables::One(one) => with!($L, $V, false, one),
                    _ => with!($L, $V, true, 0),
                }
            };
        }
        with_shape!(with, tables.lanes, rows)
    }

    #[inline(always)]
    fn store<T: Coded>(&mut self, symbols: Symbols<'_, '_, T, &'f TansWideForm>) -> Option<()> {
        self.s.vectorize(Store { symbols, used: self.used })
    }
}

/// The steps of rows of one lane (`L` = 1) or several (4), in `V` vectors; up to which window they
/// came, the last of which has rows with symbols outside their table where it is not that asked
/// for.
struct Take<'a, const L: usize, const V: usize, const EACH: bool> {
    tables: &'a VectorTables<'a>,
    scratch: &'a mut Scratch,
    one: u32,
    prefetch: &'a Prefetches<'a>,
    /// The lane that the first window begins with.
    lane: usize,
    windows: Range<usize>,
    /// The rows that there are, one bit each.
    used: u64,
}

impl<const L: usize, const V: usize, const EACH: bool> Work for Take<'_, L, V, EACH> {
    type Output = usize;
}

impl<S: Simd512, const L: usize, const V: usize, const EACH: bool> RunOn<S>
    for Take<'_, L, V, EACH>
{
    #[inline(always)]
    fn run(self, s: S) -> usize {
        let Self { tables, scratch, one, prefetch, lane, windows, used } = self;
        let Scratch { stage, tables: places, symbols, states, ends, skips, before, .. } = scratch;
        let entries = &tables.form.decoder[..];
        let precision = tables.precision;
        let mask = s.splat((1 << precision) - 1);
        let upper = s.splat(!0 << precision);
        let only = s.splat(one << precision);
        let (zero, byte, seven) = (s.splat(0), s.splat(0xff), s.splat(7));
        let bytes = tables.form.symbol_shift == 24;
        let width = s.splat(if bytes { 8 } else { 16 });
        let mut x = [[zero; VECTORS]; L];
        let [mut end, mut skip] = [[zero; VECTORS]; 2];
        unroll!(U in 0 1 2 3 below V => {
            end[U] = s.load(&ends[U]);
            skip[U] = s.load(&skips[U]);
            if L < WINDOW {
                for k in 0..L {
                    x[k][U] = s.load(&states[k][U]);
                }
            }
        });
        let lanes = if L == 1 { 1 } else { tables.lanes };
        let (mut lane, mut done) = (lane, windows.start);
        for w in windows {
            fetch::<_, SHARE>(s, prefetch, w, 63);
            if tables.bypass.is_some() {
                unroll!(U in 0 1 2 3 below V => {
                    s.store(end[U], &mut before.ends[U]);
                    s.store(skip[U], &mut before.skips[U]);
                    for k in 0..L {
                        let state = if L == WINDOW { s.load(&states[(lane + k) % lanes][U]) } else { x[k][U] };
                        s.store(state, &mut before.states[k][U]);
                    }
                });
            }
            let [mut high, mut low, mut sum, mut top, mut last, mut numbers] = [[zero; VECTORS]; 6];
            unroll!(U in 0 1 2 3 below V => {
                [high[U], low[U]] = s.load_eight_before(stage.as_flattened(), end[U]);
                sum[U] = skip[U];
            });
            macro_rules! step {
                ($k:literal) => {
                    // One thing at a time for all vectors: while one waits for its gather, the
                    // others' are on their way.
                    let mut entry = [zero; VECTORS];
                    unroll!(U in 0 1 2 3 below V => {
                        if L == WINDOW {
                            x[$k % L][U] = s.load(&states[(lane + $k) % lanes][U]);
                        }
                        let state = s.and(x[$k % L][U], mask);
                        let place = if EACH {
                            let two = s.load(&places[U][2 * w + $k / 2]);
                            if $k % 2 == 0 {
                                s.shr(s.shl(two, 16), 16 - precision)
                            } else {
                                s.and(s.shr(two, 16 - precision), upper)
                            }
                        } else {
                            only
                        };
                        entry[U] = s.gather(entries, s.or(state, place));
                    });
                    unroll!(U in 0 1 2 3 below V => {
                        // The bits that come next, from the top. Two steps take them from all that
                        // was loaded; after those 29 are sure to be left, and the two others take
                        // 28 at most.
                        top[U] = match $k {
                            0 | 1 => s.funnel_shl(high[U], low[U], sum[U]),
                            2 => s.funnel_shl(top[U], low[U], last[U]),
                            _ => s.funnel_shl(top[U], zero, last[U]),
                        };
                        if $k == 1 {
                            low[U] = s.funnel_shl(low[U], zero, sum[U]);
                        }
                        x[$k % L][U] = s.funnel_shl(s.shr(entry[U], 8), top[U], entry[U]);
                        if L == WINDOW {
                            s.store(x[$k % L][U], &mut states[(lane + $k) % lanes][U]);
                        }
                        numbers[U] = s.funnel_shl(numbers[U], entry[U], width);
                        sum[U] = s.add(sum[U], entry[U]);
                        last[U] = entry[U];
                    });
                };
            }
            step!(0);
            step!(1);
            if !bytes {
                unroll!(U in 0 1 2 3 below V => {
                    s.store(numbers[U], &mut symbols[U][2 * w]);
                });
            }
            step!(2);
            step!(3);
            let mut outside = 0;
            if tables.bypass.is_some() {
                unroll!(U in 0 1 2 3 below V => {
                    let bits = s.and(s.sub(sum[U], skip[U]), byte);
                    let those = s.ge(bits, s.splat(TansRowsForm::MOST_BITS + 1));
                    outside |= u64::from(those) << (16 * U);
                });
            }
            unroll!(U in 0 1 2 3 below V => {
                let taken = s.and(sum[U], byte);
                s.store(numbers[U], &mut symbols[U][if bytes { w } else { 2 * w + 1 }]);
                end[U] = s.sub(end[U], s.shr(taken, 3));
                skip[U] = s.and(taken, seven);
            });
            done += 1;
            scratch.outside = outside & used;
            if scratch.outside != 0 {
                break;
            }
            lane = (lane + WINDOW) % lanes;
        }
        unroll!(U in 0 1 2 3 below V => {
            s.store(end[U], &mut ends[U]);
            s.store(skip[U], &mut skips[U]);
            if L < WINDOW {
                for k in 0..L {
                    s.store(x[k][U], &mut states[k][U]);
                }
            }
        });
        done
    }
}

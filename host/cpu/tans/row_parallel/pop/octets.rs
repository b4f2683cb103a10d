//! Popping tiles in vectors of eight elements: an octet is eight rows, and four take their steps
//! together.

use std::ops::Range;

use super::tile::{PopTile, Scratch};
use super::{PopTiles, Stage, Symbols};
use crate::cpu::rans::row_octets::indexes::{FindTables, UsedTables};
use crate::cpu::rans::row_octets::store::{self, Store};
use crate::cpu::rans::row_octets::{OCTETS, STATES, STEPS};
use crate::cpu::tans::Coded;
use crate::cpu::tans::row_parallel::tile::{
    MOST_ROWS, OctetForm, Prefetches, TILE, WINDOW, WINDOWS, fetch, octet, octet_mut,
};
use crate::simd::{Octets, RunOn, Work, unroll};
use crate::tables::TansRowsForm;

/// Tiles have as many columns as those of rANS, whose symbols are stored the same way.
const _: () = assert!(STEPS == TILE);

/// Pops tiles in vectors of eight elements.
pub(in super::super) struct Eights<'b, S> {
    s: S,
    buffers: &'b mut store::Scratch,
    used: UsedTables,
}

impl<'b, S> Eights<'b, S> {
    pub(in super::super) fn new(s: S, buffers: &'b mut store::Scratch) -> Self {
        Self { s, buffers, used: UsedTables::Each }
    }
}

impl<'a, S: Octets> PopTiles<OctetForm<'a>> for Eights<'_, S> {
    #[inline(always)]
    fn stage(&self, stage: Stage<'_>) {
        self.s.vectorize(stage);
    }

    #[inline(always)]
    fn find(&mut self, tile: &PopTile<'_, '_, OctetForm<'a>>, _: &mut Scratch) -> Option<()> {
        let full = tile.indexes.len() > 8 * (OCTETS - 1);
        let (tables, scratch) = (&tile.tables.form.packed, &mut *self.buffers);
        let (of_rows, range) = (tile.indexes, tile.range.clone());
        self.used =
            self.s.vectorize(FindTables::<1, 1> { tables, scratch, of_rows, range, full })?;
        Some(())
    }

    #[inline(always)]
    fn take(
        &mut self,
        tile: &PopTile<'_, '_, OctetForm<'a>>,
        scratch: &mut Scratch,
        prefetch: &Prefetches<'_>,
        windows: Range<usize>,
    ) -> usize {
        let steps = &mut *self.buffers.steps;
        macro_rules! take {
            ($L:expr, $each:literal) => {
                self.s.vectorize(Take::<{ $L }, $each> { tile, scratch, steps, prefetch, windows })
            };
        }
        match (tile.tables.lanes, self.used) {
            (1, UsedTables::First) => take!(1, false),
            (1, UsedTables::Each) => take!(1, true),
            (_, UsedTables::First) => take!(WINDOW, false),
            (_, UsedTables::Each) => take!(WINDOW, true),
        }
    }

    #[inline(always)]
    fn store<T: Coded>(&mut self, symbols: Symbols<'_, '_, T, OctetForm<'a>>) -> Option<()> {
        let Symbols { block, indexes, range, non_temporal, last, .. } = symbols;
        let (scratch, rows, columns) = (&mut *self.buffers, indexes.len(), block.columns);
        let symbols = &mut block.symbols;
        self.s.vectorize(Store::<1, 1> {
            scratch,
            rows,
            symbols,
            columns,
            range,
            non_temporal,
            last,
        })
    }
}

/// The steps of rows of one lane (`L` = 1) or several ([`WINDOW`]); up to which window they came,
/// the last of which has rows with symbols outside their table where it is not that asked for.
/// Symbols go where their tables are. `EACH`: [`UsedTables::Each`].
struct Take<'t, 's, 'a, const L: usize, const EACH: bool> {
    tile: &'t PopTile<'t, 's, OctetForm<'a>>,
    scratch: &'t mut Scratch,
    steps: &'t mut [[u32; 8]; OCTETS * STEPS],
    prefetch: &'t Prefetches<'t>,
    windows: Range<usize>,
}

impl<const L: usize, const EACH: bool> Work for Take<'_, '_, '_, L, EACH> {
    type Output = usize;
}

impl<S: Octets, const L: usize, const EACH: bool> RunOn<S> for Take<'_, '_, '_, L, EACH> {
    #[inline(always)]
    fn run(self, s: S) -> usize {
        let Self { tile, scratch, steps, prefetch, windows } = self;
        let Scratch { stage, states, ends, skips, before, .. } = scratch;
        let (tables, rows) = (tile.tables, tile.indexes.len());
        let OctetForm { packed, decoder: entries, .. } = tables.form;
        let (octets, used) = (rows.div_ceil(8), u64::MAX >> (MOST_ROWS - rows));
        let precision = tables.precision;
        let (shift, up) = (s.splat(32 - precision), s.splat(precision));
        let low = s.splat((1 << precision) - 1);
        let number = s.splat((1 << (24 - precision)) - 1);
        let (zero, byte, seven, whole) = (s.splat(0), s.splat(0xff), s.splat(7), s.splat(32));
        let (most, none) = (s.splat(TansRowsForm::MOST_BITS), s.splat(tables.count));
        let offset = packed.packed.uniform.map(|(_, offset)| s.splat(offset));
        let lanes = if L == 1 { 1 } else { tables.lanes };
        let [mut x, mut end, mut skip] = [[zero; OCTETS]; 3];
        unroll!(U in 0 1 2 3 => {
            end[U] = s.load(octet(ends, U));
            skip[U] = s.load(octet(skips, U));
            if L == 1 {
                x[U] = s.and(s.load(octet(&states[0], U)), low);
            }
        });
        let mut done = windows.start;
        for w in windows {
            fetch::<_, { 2 * STATES / WINDOWS }>(s, prefetch, w, 63);
            let lane = (tile.range.start + WINDOW * w) % lanes;
            if tables.bypass.is_some() {
                unroll!(U in 0 1 2 3 => {
                    s.store(end[U], octet_mut(&mut before.ends, U));
                    s.store(skip[U], octet_mut(&mut before.skips, U));
                    if L == 1 {
                        s.store(x[U], octet_mut(&mut before.states[0], U));
                    } else {
                        for k in 0..L {
                            let state = s.load(octet(&states[(lane + k) % lanes], U));
                            s.store(state, octet_mut(&mut before.states[k], U));
                        }
                    }
                });
            }
            let [mut next, mut sum, mut count] = [[zero; OCTETS]; 3];
            let mut window = [s.splat64(0); OCTETS];
            unroll!(U in 0 1 2 3 => {
                if U < octets {
                    // The bits that come next, from the top: 57 are sure, of which the upper half
                    // serves two steps.
                    window[U] = s.load_eight_before(stage.as_flattened(), end[U]);
                    next[U] = s.narrow_high(s.shl64_by(window[U], s.widen(skip[U])));
                    sum[U] = skip[U];
                }
            });
            macro_rules! step {
                ($k:literal) => {
                    unroll!(U in 0 1 2 3 => {
                        // A branch per octet keeps the compiler from mixing their code.
                        if U < octets {
                            let state = if L == 1 {
                                x[U]
                            } else {
                                s.and(s.load(octet(&states[(lane + $k) % lanes], U)), low)
                            };
                            let symbol = &mut steps[U * STEPS + (WINDOW * w + $k) % STEPS];
                            let table = if EACH { s.load(symbol) } else { zero };
                            let at = if EACH { s.or(s.shl_by(table, up), state) } else { state };
                            let entry = s.look_up(entries, at);
                            // After 35 bits at most, 29 are sure to be left for two steps more.
                            next[U] = match $k {
                                0 => next[U],
                                2 => s.narrow_high(s.shl64_by(window[U], s.widen(sum[U]))),
                                _ => s.shl_by(next[U], count[U]),
                            };
                            count[U] = s.and(entry, byte);
                            let bits = s.shr_by(next[U], s.sub(whole, count[U]));
                            let state = s.add(s.shr_by(entry, shift), bits);
                            if L == 1 {
                                x[U] = state;
                            } else {
                                s.store(state, octet_mut(&mut states[(lane + $k) % lanes], U));
                            }
                            sum[U] = s.add(sum[U], count[U]);
                            let value = s.and(s.shr::<8>(entry), number);
                            let offset = match offset {
                                Some(offset) if EACH => s.and_not(s.eq(table, none), offset),
                                Some(offset) => offset,
                                None => s.look_up(&packed.packed.offsets, table),
                            };
                            s.store(s.add(value, offset), symbol);
                        }
                    });
                };
            }
            step!(0);
            step!(1);
            step!(2);
            step!(3);
            let mut outside = 0;
            unroll!(U in 0 1 2 3 => {
                if U < octets {
                    if tables.bypass.is_some() {
                        let those = s.signs(s.gt(s.sub(sum[U], skip[U]), most));
                        outside |= u64::from(those) << (8 * U);
                    }
                    end[U] = s.sub(end[U], s.shr::<3>(sum[U]));
                    skip[U] = s.and(sum[U], seven);
                }
            });
            done += 1;
            scratch.outside = outside & used;
            if scratch.outside != 0 {
                break;
            }
        }
        unroll!(U in 0 1 2 3 => {
            s.store(end[U], octet_mut(ends, U));
            s.store(skip[U], octet_mut(skips, U));
            if L == 1 {
                s.store(x[U], octet_mut(&mut states[0], U));
            }
        });
        done
    }
}

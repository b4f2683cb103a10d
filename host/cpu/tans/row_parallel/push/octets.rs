//! Pushing tiles in vectors of eight elements: an octet is eight rows, and four take their steps
//! together.

use std::ops::Range;

use parans_kernels::codec::RowIndexes;

use super::tile::{PushTile, Scratch};
use super::{Append, PushTiles};
use crate::cpu::rans::row_octets::places::{BlockSymbols, Digits, FindPlaces, Widened};
use crate::cpu::rans::row_octets::{OCTETS, STATES, STEPS};
use crate::cpu::tans::row_parallel::tile::{
    OctetForm, Prefetches, TILE, WINDOW, WINDOWS, fetch, octet, octet_mut,
};
use crate::simd::{Octets, Places, RunOn, Work, unroll};

/// A row's places lie in a row of so many: tiles have as many columns as those of rANS.
const _: () = assert!(STEPS == TILE);

/// What blocks share beside their [`Scratch`].
pub(in super::super::super) struct Buffers<'a> {
    places: Places<'a>,
    widened: Widened,
    digits: Vec<Digits>,
}

impl<'a> Buffers<'a> {
    /// `None` where there are too many entries.
    pub(in super::super) fn new(form: OctetForm<'a>) -> Option<Self> {
        let places = Places::new(form.encoder)?;
        Some(Self { places, widened: Widened::new(), digits: Vec::new() })
    }
}

/// Pushes tiles in vectors of eight elements.
pub(in super::super) struct Eights<'b, 'a, S> {
    pub(in super::super) s: S,
    pub(in super::super) buffers: &'b mut Buffers<'a>,
}

impl<'a, S: Octets> PushTiles<OctetForm<'a>> for Eights<'_, 'a, S> {
    #[inline(always)]
    fn find(&mut self, tile: &PushTile<'_, OctetForm<'a>>, scratch: &mut Scratch) -> Option<()> {
        let Buffers { places, widened, digits } = &mut *self.buffers;
        let PushTile { symbols, columns, .. } = *tile;
        let mut indexes = [RowIndexes::One(-1); STATES];
        indexes[..tile.indexes.len()].copy_from_slice(tile.indexes);
        let block = &BlockSymbols { rows: tile.indexes.len(), symbols, columns, indexes };
        let (wide, range, tables) = (&block.wide(), tile.range.clone(), &tile.tables.form.packed);
        let find = FindPlaces { lanes: 1, tables, block, wide, range, places, widened, digits };
        self.s.vectorize(find)?;
        for digits in digits.drain(..) {
            scratch.irregular[digits.step / WINDOW] |= 1 << digits.row;
        }
        Some(())
    }

    #[inline(always)]
    fn take(
        &mut self,
        tile: &PushTile<'_, OctetForm<'a>>,
        scratch: &mut Scratch,
        prefetch: &Prefetches<'_>,
        windows: Range<usize>,
    ) {
        let places = &self.buffers.places;
        if tile.tables.lanes == 1 {
            self.s.vectorize(Take::<1> { tile, scratch, prefetch, places, windows });
        } else {
            self.s.vectorize(Take::<WINDOW> { tile, scratch, prefetch, places, windows });
        }
    }

    #[inline(always)]
    fn append(&self, append: Append<'_, '_>) -> Option<()> {
        self.s.vectorize(append)
    }
}

/// The steps of rows of one lane (`L` = 1) or several ([`WINDOW`]), the last first.
struct Take<'t, 'a, const L: usize> {
    tile: &'t PushTile<'t, OctetForm<'a>>,
    scratch: &'t mut Scratch,
    prefetch: &'t Prefetches<'t>,
    places: &'t Places<'a>,
    windows: Range<usize>,
}

impl<const L: usize> Work for Take<'_, '_, L> {
    type Output = ();
}

impl<S: Octets, const L: usize> RunOn<S> for Take<'_, '_, L> {
    #[inline(always)]
    fn run(self, s: S) {
        let Self { tile, scratch, prefetch, places, windows } = self;
        let Scratch { stage, states, high, lens, ends, .. } = scratch;
        let stage = stage.as_flattened_mut();
        let (tables, first, places) = (tile.tables, tile.range.start, places.view());
        let lanes = if L == 1 { 1 } else { tables.lanes };
        let octets = tile.indexes.len().div_ceil(8);
        let next = tables.encoder.next;
        let (zero, whole) = (s.splat(0), s.splat(32));
        let (seven, most) = (s.splat(7), s.splat(31));
        let [mut x, mut len, mut end] = [[zero; OCTETS]; 3];
        // The bits that fill no byte, at the bottom.
        let mut rest = [s.splat64(0); OCTETS];
        unroll!(U in 0 1 2 3 => {
            len[U] = s.load(octet(lens, U));
            end[U] = s.load(octet(ends, U));
            rest[U] = s.widen(s.shr_by(s.load(octet(high, U)), s.sub(whole, len[U])));
            if L == 1 {
                x[U] = s.load(octet(&states[0], U));
            }
        });
        for w in windows.rev() {
            fetch::<_, { 2 * STATES / WINDOWS }>(s, prefetch, w, 0);
            let lane = (first + WINDOW * w) % lanes;
            // The bits of two symbols each, and how many.
            let [mut bits, mut counts] = [[[zero; OCTETS]; 2]; 2];
            macro_rules! step {
                ($k:literal) => {
                    unroll!(U in 0 1 2 3 => {
                        // A branch per octet keeps the compiler from mixing their code.
                        if U < octets {
                            let at = 8 * U * STEPS + (WINDOW * w + $k) % STEPS;
                            let [bits_bias, next_bias, ..] = s.quads_at::<1>(places, at, STEPS);
                            let old = if L == 1 {
                                x[U]
                            } else {
                                s.load(octet(&states[(lane + $k) % lanes], U))
                            };
                            // Below 32: told so, LLVM makes each shift by it one instruction.
                            let count = s.and(s.shr::<16>(s.add(old, bits_bias)), most);
                            let left = s.shr_by(old, count);
                            let state = s.look_up_u16(next, s.add(left, next_bias));
                            if L == 1 {
                                x[U] = state;
                            } else {
                                s.store(state, octet_mut(&mut states[(lane + $k) % lanes], U));
                            }
                            let own = s.sub(old, s.shl_by(left, count));
                            let (bits, counts) = (&mut bits[$k / 2][U], &mut counts[$k / 2][U]);
                            if $k % 2 == 1 {
                                (*bits, *counts) = (own, count);
                            } else {
                                *bits = s.or(*bits, s.shl_by(own, *counts));
                                *counts = s.add(*counts, count);
                            }
                        }
                    });
                };
            }
            step!(3);
            step!(2);
            step!(1);
            step!(0);
            unroll!(U in 0 1 2 3 => {
                if U < octets {
                    let after = s.add(len[U], counts[1][U]);
                    let low = s.shl64_by(s.widen(bits[1][U]), s.widen(len[U]));
                    let high = s.shl64_by(s.widen(bits[0][U]), s.widen(after));
                    let window = s.or64(s.or64(rest[U], low), high);
                    s.store_eight(window, stage, end[U]);
                    let all = s.add(after, counts[0][U]);
                    end[U] = s.add(end[U], s.shr::<3>(all));
                    len[U] = s.and(all, seven);
                    rest[U] = s.shr64_by(window, s.widen(s.sub(all, len[U])));
                }
            });
        }
        unroll!(U in 0 1 2 3 => {
            let top = s.shl_by(s.narrow(rest[U]), s.sub(whole, len[U]));
            s.store(top, octet_mut(high, U));
            s.store(len[U], octet_mut(lens, U));
            s.store(end[U], octet_mut(ends, U));
            if L == 1 {
                s.store(x[U], octet_mut(&mut states[0], U));
            }
        });
    }
}

//! The last loop of a pop: symbols are stored where the caller wants them.

use std::ops::Range;

use super::tile::{MOST_ROWS, STEPS, STEPS_EACH, regroup, tile_columns};
use crate::simd::{RunOn, Simd512, Work};
use crate::symbols::SymbolSliceMut;

/// What a tile keeps in the L1 cache.
#[repr(C, align(64))]
pub(super) struct Scratch {
    /// The tables of each step, and after it its symbols in their place.
    pub(super) symbols: [[u32; 16]; STEPS],
    /// The sixteen symbols of each row before the tile's.
    pub(super) before: [[u32; 16]; MOST_ROWS],
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self { symbols: [[0; 16]; STEPS], before: [[0; 16]; MOST_ROWS] }
    }
}

/// Turns the steps of a tile into vectors of a row each: those of columns from `at` on stand at
/// [`position`].
#[inline(always)]
fn to_rows<S: Simd512, const L: usize>(s: S, scratch: &mut Scratch, rows: usize, columns: usize) {
    let across = 16 / L;
    for u in 0..rows.div_ceil(across) {
        for at in (0..columns).step_by(16) {
            let first = u * STEPS_EACH + at / L;
            regroup::<S, L>(s, &mut scratch.symbols[first..first + across]);
        }
    }
}

/// Where a row's symbols stand after [`to_rows`], `at` columns into the tile.
#[inline(always)]
const fn position<const L: usize>(row: usize, at: usize) -> usize {
    let across = 16 / L;
    row / across * STEPS_EACH + at / L + row % across
}

/// Stores a range of columns.
pub(super) struct Store<'a, 's, const L: usize> {
    pub(super) scratch: &'a mut Scratch,
    pub(super) rows: usize,
    pub(super) symbols: &'a mut SymbolSliceMut<'s>,
    pub(super) columns: usize,
    pub(super) range: Range<usize>,
}

impl<const L: usize> Work for Store<'_, '_, L> {
    type Output = Option<()>;
}

impl<S: Simd512, const L: usize> RunOn<S> for Store<'_, '_, L> {
    #[inline(always)]
    fn run(self, s: S) -> Option<()> {
        let Self { scratch, rows, symbols, columns, range } = self;
        let (begin, end) = (range.start, range.end);
        to_rows::<S, L>(s, scratch, rows, end - begin);
        // Row by row: sixteen rows' lines may all fall into one set of the L1 cache.
        for row in 0..rows {
            let next = row * columns + begin + tile_columns(L);
            let width = symbols.width();
            let bytes = symbols.as_bytes_mut();
            for at in (width * next..width * (next + end - begin)).step_by(64) {
                s.prefetch_to_write(bytes, at);
            }
            for at in (begin..end).step_by(16) {
                let from = &scratch.symbols[position::<L>(row, at - begin)];
                let count = (end - at).min(16);
                let mut out = symbols.range(row * columns + at..row * columns + at + count);
                if let SymbolSliceMut::I32(out) = &mut out
                    && let Some(out) = out.first_chunk_mut::<16>()
                {
                    s.store(s.load(from), bytemuck::cast_mut(out));
                } else {
                    out.narrow(bytemuck::cast_slice(&from[..count])).ok()?;
                }
            }
        }
        Some(())
    }
}

/// Stores a range of columns non-temporally, in whole cache lines. What a row's last line lacks
/// waits for the next range. A fence must follow: the block's, as each range would wait for memory
/// at its own.
pub(super) struct StoreNonTemporal<'a, const L: usize> {
    pub(super) scratch: &'a mut Scratch,
    pub(super) rows: usize,
    pub(super) symbols: &'a mut [i32],
    pub(super) columns: usize,
    pub(super) range: Range<usize>,
    /// Whether no range follows.
    pub(super) last: bool,
}

impl<const L: usize> Work for StoreNonTemporal<'_, L> {
    type Output = ();
}

impl<S: Simd512, const L: usize> RunOn<S> for StoreNonTemporal<'_, L> {
    #[inline(always)]
    fn run(self, s: S) {
        const COUNTING: [u32; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        let Self { scratch, rows, symbols, columns, range, last } = self;
        let (begin, end) = (range.start, range.end);
        to_rows::<S, L>(s, scratch, rows, end - begin);
        for (row, out) in symbols.chunks_exact_mut(columns).enumerate().take(rows) {
            let out: &mut [u32] = bytemuck::cast_slice_mut(out);
            // How far into a line the row begins, and each of its vectors: a line is the last
            // symbols of one and the first of the next.
            let into = out.as_ptr() as usize / size_of::<u32>() % 16;
            let order = s.add(s.load(&COUNTING), s.splat(16 - into as u32));
            let mut before = s.load(&scratch.before[row]);
            let mut at = begin;
            if begin == 0 && end >= 16 {
                let first = &scratch.symbols[position::<L>(row, 0)];
                out[..16 - into].copy_from_slice(&first[..16 - into]);
                before = s.load(first);
                at = 16;
            }
            while end - at >= 16 {
                let v = s.load(&scratch.symbols[position::<L>(row, at - begin)]);
                if let Some(line) = out[at - into..].first_chunk_mut() {
                    s.store_non_temporal(s.permute_two(before, v, order), line);
                }
                before = v;
                at += 16;
            }
            s.store(before, &mut scratch.before[row]);
            if last {
                if at > 0 {
                    out[at - into..at].copy_from_slice(&scratch.before[row][16 - into..]);
                }
                if at < end {
                    let rest = &scratch.symbols[position::<L>(row, at - begin)];
                    out[at..end].copy_from_slice(&rest[..end - at]);
                }
            }
        }
    }
}

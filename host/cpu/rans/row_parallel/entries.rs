//! The first loop of a push: symbols and indexes become packed entries, row by row, regrouped so
//! that one vector holds one step of all its states.

use std::ops::Range;

use super::super::entries::{
    self as shared, FindEntries, LANES, RowTile, TileIndexes, bytes_of, steps_of,
};
use super::super::tables::{PackedTables, load_indexes, load_symbols};
use super::tile::{STEPS, VECTORS};
use crate::simd::{Line, RunOn, Simd, Simd512, Work};
use crate::symbols::{Indexes, SymbolSlice};

/// Bypass digits that a row pushes before a step.
pub(super) struct Digits {
    pub(super) step: usize,
    pub(super) row: usize,
    pub(super) lane: usize,
    pub(super) raw: u32,
}

/// Vectors of entries in a tile, over all vectors of a block: what rows read in one go is long
/// enough for memory to be quick, and the entries stay in the L2 cache.
const TILE: usize = 4 * STEPS;

/// The entries of a tile.
pub(super) struct TileEntries {
    /// One row after another.
    entries: Vec<Line>,
    /// Vectors of a row.
    of_row: usize,
    symbols: RowTile,
    indexes: RowTile,
}

impl TileEntries {
    /// For rows of `L` lanes and so many columns.
    pub(super) fn new<const L: usize>(columns: usize) -> Self {
        let rows = 16 * VECTORS / L;
        let of_row = columns.div_ceil(16).clamp(1, (TILE / rows).min(LANES * shared::STEPS / 16));
        let entries = vec![Line::default(); rows * of_row];
        Self { entries, of_row, symbols: Default::default(), indexes: Default::default() }
    }

    /// Columns of a tile.
    pub(super) fn columns(&self) -> usize {
        16 * self.of_row
    }

    /// The entries of vector `u` at a step: within the tiles of its rows, each row's vectors stand
    /// for steps.
    #[inline(always)]
    pub(super) fn at<const L: usize>(&self, u: usize, step: usize) -> &[u32; 16] {
        let across = 16 / L;
        &self.entries[(u * across + step % across) * self.of_row + step / across]
    }
}

/// The symbols of a block.
pub(super) struct BlockSymbols<'a> {
    pub(super) first_row: usize,
    pub(super) rows: usize,
    pub(super) symbols: SymbolSlice<'a>,
    pub(super) columns: usize,
    pub(super) indexes: &'a Indexes<'a>,
}

/// Finds the entries and digits of a range of columns.
pub(super) fn find_entries<S: Simd512, const L: usize>(
    s: S,
    tables: &PackedTables<'_>,
    block: &BlockSymbols<'_>,
    range: Range<usize>,
    tile: &mut TileEntries,
    digits: &mut Vec<Digits>,
) -> Option<()> {
    let mut irregular = [u32::MAX; 16 * VECTORS];
    let regular =
        Regular::<L> { tables, block, range: range.clone(), tile, irregular: &mut irregular };
    let whole = s.vectorize(regular);
    s.vectorize(Rest::<L> { tables, block, range, whole, irregular: &irregular, tile, digits })
}

/// The whole steps of regular symbols, as rows of 32 lanes have them.
struct Regular<'a, 't, const L: usize> {
    tables: &'a PackedTables<'t>,
    block: &'a BlockSymbols<'a>,
    range: Range<usize>,
    tile: &'a mut TileEntries,
    /// Which steps of each row hold anything else.
    irregular: &'a mut [u32; 16 * VECTORS],
}

impl<const L: usize> Work for Regular<'_, '_, L> {
    /// Columns that it looked at.
    type Output = usize;
}

impl<S: Simd, const L: usize> RunOn<S> for Regular<'_, '_, L> {
    #[inline(always)]
    fn run(self, s: S) -> usize {
        let Self { tables, block, range, tile, irregular } = self;
        let whole = range.len() / LANES * LANES;
        let columns = range.start..range.start + whole;
        // The next tile, which lies below.
        let below = range.start.saturating_sub(tile.columns())..range.start;
        let of_rows = tile.entries.chunks_exact_mut(tile.of_row);
        for (row, (entries, irregular)) in of_rows.zip(irregular).enumerate().take(block.rows) {
            let first = row * block.columns;
            let at = |columns: &Range<usize>| first + columns.start..first + columns.end;
            let index = block.indexes.row(block.first_row + row);
            let find = FindEntries {
                tables,
                symbols: steps_of(block.symbols.range(at(&columns)), &mut tile.symbols),
                indexes: TileIndexes::new(index, columns.clone(), &mut tile.indexes),
                prefetch: [
                    block.symbols.range(at(&below)).as_bytes(),
                    bytes_of(index, below.clone()),
                ],
                entries: bytemuck::cast_slice_mut::<_, u32>(entries).as_chunks_mut().0,
            };
            *irregular = find.run(s);
        }
        whole
    }
}

/// What is left of a tile, and its regrouping.
struct Rest<'a, 't, const L: usize> {
    tables: &'a PackedTables<'t>,
    block: &'a BlockSymbols<'a>,
    range: Range<usize>,
    /// Columns of it that have their entries, but for those of irregular steps.
    whole: usize,
    irregular: &'a [u32; 16 * VECTORS],
    tile: &'a mut TileEntries,
    digits: &'a mut Vec<Digits>,
}

impl<const L: usize> Work for Rest<'_, '_, L> {
    type Output = Option<()>;
}

impl<S: Simd512, const L: usize> RunOn<S> for Rest<'_, '_, L> {
    #[inline(always)]
    fn run(self, s: S) -> Option<()> {
        let Self { tables, block, range, whole, irregular, tile, digits } = self;
        let across = 16 / L;
        let BlockSymbols { first_row, rows, symbols, columns, indexes } = *block;
        let (begin, end) = (range.start, range.end);
        let of_row = tile.of_row;
        let of_rows = tile.entries.chunks_exact_mut(of_row).zip(irregular);
        for (row, (entries, &irregular)) in of_rows.enumerate() {
            if row >= rows {
                entries.fill(Line([((1 << tables.precision) - 1) << 16; 16]));
                continue;
            }
            let values = symbols.range(row * columns..(row + 1) * columns);
            let index = indexes.row(first_row + row);
            for at in (if irregular == 0 { begin + whole } else { begin }..end).step_by(16) {
                if at < begin + whole && irregular >> ((at - begin) / LANES) & 1 == 0 {
                    continue;
                }
                let valid = u16::MAX >> (16 - (end - at).min(16));
                let (of_symbols, of_indexes) =
                    (load_symbols(s, values, at), load_indexes(s, index, at));
                let found = tables.find_entries(s, of_symbols, of_indexes, valid)?;
                let mut outside = found.outside;
                while outside != 0 {
                    let column = at + outside.trailing_zeros() as usize;
                    outside &= outside - 1;
                    let raw = tables.raw(values.at(column), index.at(column)).ok()?;
                    let step = (column - begin) / L;
                    digits.push(Digits { step, row, lane: column % L, raw });
                }
                let found = s.gather(&tables.packed.entries, found.entries);
                s.store(found, &mut entries[(at - begin) / 16]);
            }
        }
        for u in 0..rows.div_ceil(across) {
            let of_vector = &mut tile.entries[u * across * of_row..(u + 1) * across * of_row];
            for c in 0..(end - begin).div_ceil(16) {
                let mut v = [s.splat(0); 16];
                for (r, v) in v.iter_mut().enumerate().take(across) {
                    *v = s.reverse_blocks::<L>(s.load(&of_vector[r * of_row + c]));
                }
                s.transpose::<L>(&mut v);
                for (r, &v) in v.iter().enumerate().take(across) {
                    s.store(v, &mut of_vector[r * of_row + c]);
                }
            }
        }
        Some(())
    }
}

//! The first loop of a push: symbols and indexes become places of entries, row by row.

use std::ops::Range;

use parans_kernels::codec::RowIndexes;

use super::super::tables::PackedTables;
use super::{STATES, columns_to_push};
use crate::simd::{Aligned, Octets, PLACES, Places, RunOn, Work};
use crate::symbols::SymbolSlice;

/// Bypass digits that a row pushes before a step.
pub(super) struct Digits {
    pub(super) step: usize,
    pub(super) row: usize,
    pub(super) lane: usize,
    pub(super) raw: u32,
}

/// The symbols of a block.
pub(super) struct BlockSymbols<'a> {
    pub(super) rows: usize,
    pub(super) symbols: SymbolSlice<'a>,
    pub(super) columns: usize,
    /// Of each row.
    pub(super) indexes: [RowIndexes<'a>; STATES],
}

impl<'a> BlockSymbols<'a> {
    /// The symbols of some columns of a row.
    #[inline(always)]
    pub(super) fn of_row(&self, row: usize, columns: Range<usize>) -> SymbolSlice<'a> {
        let first = row * self.columns;
        self.symbols.range(first + columns.start..first + columns.end)
    }
}

/// Most columns of a tile.
const MOST_COLUMNS: usize = columns_to_push(8);

/// A row's part of a tile.
type Part = Aligned<[u32; MOST_COLUMNS]>;

/// Symbols and indexes of narrow types, widened.
pub(super) struct Widened {
    symbols: Part,
    indexes: Part,
}

impl Widened {
    pub(super) fn new() -> Self {
        Self { symbols: Aligned([0; MOST_COLUMNS]), indexes: Aligned([0; MOST_COLUMNS]) }
    }
}

/// Finds the places and digits of a range of columns: a row's places lie in a row of
/// [`columns_to_push`].
pub(super) struct FindPlaces<'a, 't, const L: usize> {
    pub(super) tables: &'a PackedTables<'t>,
    pub(super) block: &'a BlockSymbols<'a>,
    pub(super) range: Range<usize>,
    pub(super) places: &'a mut Places<'t>,
    pub(super) widened: &'a mut Widened,
    pub(super) digits: &'a mut Vec<Digits>,
}

impl<const L: usize> Work for FindPlaces<'_, '_, L> {
    /// `None` where a symbol cannot be coded.
    type Output = Option<()>;
}

impl<S: Octets, const L: usize> RunOn<S> for FindPlaces<'_, '_, L> {
    #[inline(always)]
    fn run(self, s: S) -> Option<()> {
        let Self { tables, block, range, places, widened, digits } = self;
        for row in 0..block.rows {
            let values = block.of_row(row, range.clone());
            let index = block.indexes[row];
            let first = row * columns_to_push(L);
            let whole = range.len() / 8 * 8;
            let columns = range.start..range.start + whole;
            let part = (values.range(0..whole), index, columns);
            let regular = find_regular(s, tables, part, places, first, widened)?;
            for at in if regular { whole } else { 0 }..range.len() {
                let (symbol, index) = (values.at(at), index.at(range.start + at));
                let (entry, outside) = tables.entry_of(symbol, index)?;
                if outside {
                    let raw = tables.raw(symbol, index).ok()?;
                    digits.push(Digits { step: at / L, row, lane: at % L, raw });
                }
                places.set(first + at, entry);
            }
        }
        let rest = block.rows * columns_to_push(L);
        places.fill(rest..PLACES.min(STATES / L * columns_to_push(L)), tables.skipped());
        Some(())
    }
}

/// Finds the places of whole vectors of symbols of a row; false where one of them is skipped or
/// outside its table. `None` where one cannot be coded.
#[inline(always)]
fn find_regular<S: Octets>(
    s: S,
    tables: &PackedTables<'_>,
    (values, index, columns): (SymbolSlice<'_>, RowIndexes<'_>, Range<usize>),
    places: &mut Places<'_>,
    first: usize,
    widened: &mut Widened,
) -> Option<bool> {
    let packed = tables.packed;
    let less = u32::from(tables.bypass.is_some());
    let values = values.widen(bytemuck::cast_slice_mut(&mut widened.symbols[..]));
    let (values, _) = bytemuck::cast_slice::<_, u32>(values).as_chunks::<8>();
    let zero = s.splat(0);
    let places = places.eights(first..first + columns.len());
    // The largest value of all, modulo 2^32, and the largest index.
    let (mut largest, mut last) = (zero, zero);
    let indexes = match index {
        RowIndexes::One(one) => {
            let table = tables.table_of(one)? as usize;
            let (base, offset) = (s.splat(packed.places[table]), s.splat(packed.offsets[table]));
            for (value, places) in values.iter().zip(places) {
                let value = s.sub(s.load(value), offset);
                largest = s.max(largest, value);
                s.set_places(places, s.add(base, value));
            }
            let limit = s.splat(packed.symbols[table] - less);
            let outside = s.any(s.eq(s.max(largest, limit), largest));
            return Some(table != tables.count as usize && !outside);
        }
        RowIndexes::Each(indexes) => bytemuck::cast_slice(&indexes[columns]),
        RowIndexes::EachU16(indexes) => {
            let to = &mut widened.indexes[..columns.len()];
            to.iter_mut().zip(&indexes[columns]).for_each(|(to, &index)| *to = index.into());
            &*to
        }
        RowIndexes::EachU8(indexes) => {
            let to = &mut widened.indexes[..columns.len()];
            to.iter_mut().zip(&indexes[columns]).for_each(|(to, &index)| *to = index.into());
            &*to
        }
    };
    let (indexes, _) = indexes.as_chunks::<8>();
    let count = s.splat(tables.count);
    if let Some((size, offset)) = packed.uniform {
        let (offset, stride) = (s.splat(offset), s.splat(packed.stride));
        for ((value, index), places) in values.iter().zip(indexes).zip(places) {
            let (value, index) = (s.sub(s.load(value), offset), s.load(index));
            largest = s.max(largest, value);
            last = s.max(last, index);
            s.set_places(places, s.add(s.mul(index, stride), value));
        }
        let limit = s.splat(size - less);
        let outside = s.eq(s.max(largest, limit), largest);
        return Some(!s.any(s.or(outside, s.eq(s.max(last, count), last))));
    }
    let mut outside = zero;
    let less = s.splat(less);
    for ((value, index), places) in values.iter().zip(indexes).zip(places) {
        let index = s.load(index);
        last = s.max(last, index);
        let limit = s.sub(s.gather(&packed.symbols, index), less);
        let value = s.sub(s.load(value), s.gather(&packed.offsets, index));
        outside = s.or(outside, s.eq(s.max(value, limit), value));
        s.set_places(places, s.add(s.gather(&packed.places, index), value));
    }
    Some(!s.any(s.or(outside, s.eq(s.max(last, count), last))))
}

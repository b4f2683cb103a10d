//! The first loop of a push: symbols and indexes become places of entries, row by row.

use std::ops::Range;

use parans_kernels::codec::RowIndexes;

use super::super::tables::PackedTables;
use super::{STATES, STEPS};
use crate::simd::{Aligned, EightPlaces, Octets, PLACES, Places, RunOn, Work};
use crate::symbols::SymbolSlice;

/// Bypass digits that a row pushes before a step.
pub(in crate::cpu) struct Digits {
    pub(in crate::cpu) step: usize,
    pub(in crate::cpu) row: usize,
    pub(in crate::cpu) lane: usize,
    pub(in crate::cpu) raw: u32,
}

/// The symbols of a block.
pub(in crate::cpu) struct BlockSymbols<'a> {
    pub(in crate::cpu) rows: usize,
    pub(in crate::cpu) symbols: SymbolSlice<'a>,
    pub(in crate::cpu) columns: usize,
    /// Of each row.
    pub(in crate::cpu) indexes: [RowIndexes<'a>; STATES],
}

/// The symbols of a block as they lie in memory, and an index of 32 bits for each.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct WideSymbols<'a> {
    symbols: &'a [u32],
    indexes: [&'a [u32]; STATES],
}

impl<'a> BlockSymbols<'a> {
    /// `None` where they are narrower, or rows have one index.
    pub(in crate::cpu) fn wide(&self) -> Option<WideSymbols<'a>> {
        let SymbolSlice::I32(symbols) = self.symbols else { return None };
        let mut of_rows: [&[u32]; STATES] = [&[]; STATES];
        for (of_row, &indexes) in of_rows.iter_mut().zip(&self.indexes[..self.rows]) {
            let RowIndexes::Each(indexes) = indexes else { return None };
            *of_row = bytemuck::cast_slice(indexes);
        }
        Some(WideSymbols { symbols: bytemuck::cast_slice(symbols), indexes: of_rows })
    }

    /// The symbols of some columns of a row.
    #[inline(always)]
    pub(in crate::cpu) fn of_row(&self, row: usize, columns: Range<usize>) -> SymbolSlice<'a> {
        let first = row * self.columns;
        self.symbols.range(first + columns.start..first + columns.end)
    }
}

/// A row's part of a tile.
type Part = Aligned<[u32; PLACES]>;

/// Symbols and indexes of narrow types, widened.
pub(in crate::cpu) struct Widened {
    symbols: Box<Part>,
    indexes: Box<Part>,
}

impl Widened {
    pub(in crate::cpu) fn new() -> Self {
        Self { symbols: Box::new(Aligned([0; PLACES])), indexes: Box::new(Aligned([0; PLACES])) }
    }
}

/// Finds the places and digits of a range of columns: a row's places lie in a row of [`STEPS`] for
/// each lane.
pub(in crate::cpu) struct FindPlaces<'a, 't> {
    pub(in crate::cpu) lanes: usize,
    pub(in crate::cpu) tables: &'a PackedTables<'t>,
    pub(in crate::cpu) block: &'a BlockSymbols<'a>,
    pub(in crate::cpu) wide: &'a Option<WideSymbols<'a>>,
    pub(in crate::cpu) range: Range<usize>,
    pub(in crate::cpu) places: &'a mut Places<'t>,
    pub(in crate::cpu) widened: &'a mut Widened,
    pub(in crate::cpu) digits: &'a mut Vec<Digits>,
}

impl Work for FindPlaces<'_, '_> {
    /// `None` where a symbol cannot be coded.
    type Output = Option<()>;
}

impl<S: Octets> RunOn<S> for FindPlaces<'_, '_> {
    #[inline(always)]
    fn run(self, s: S) -> Option<()> {
        let Self { lanes, tables, block, wide, range, places, widened, digits } = self;
        let stride = STEPS * lanes;
        places.fill(block.rows * stride..PLACES.min(STATES / lanes * stride), tables.skipped());
        let uniform = Uniform::new(s, tables);
        let whole = range.len() / 8 * 8;
        let columns = range.start..range.start + whole;
        // A bit for each row that is still to be found.
        let mut left = u64::MAX >> (64 - block.rows);
        if let (Some(wide), Some(uniform)) = (wide, &uniform)
            && whole == range.len()
        {
            left = find_wide(s, uniform, block, wide, range.clone(), places, stride);
        }
        while left != 0 {
            let row = left.trailing_zeros() as usize;
            left &= left - 1;
            let (index, first) = (block.indexes[row], row * stride);
            let at_row = row * block.columns + range.start;
            let of_row = places.eights(first..first + whole);
            let part = (block.symbols.range(at_row..at_row + whole), index, columns.clone());
            let regular = find_regular(s, tables, &uniform, part, of_row, widened)?;
            for at in if regular { whole } else { 0 }..range.len() {
                let (symbol, index) = (block.symbols.at(at_row + at), index.at(range.start + at));
                let (entry, outside) = tables.entry_of(symbol, index)?;
                if outside {
                    let raw = tables.raw(symbol, index).ok()?;
                    digits.push(Digits { step: at / lanes, row, lane: at % lanes, raw });
                }
                places.set(first + at, entry);
            }
        }
        Some(())
    }
}

/// What finding the places of tables of one size takes.
struct Uniform<V> {
    offset: V,
    stride: V,
    /// What symbols less the offset lie below.
    limit: V,
    /// What indexes lie below.
    count: V,
}

impl<V: Copy> Uniform<V> {
    /// `None` where tables differ in their size or offset.
    #[inline(always)]
    fn new<S: Octets<V = V>>(s: S, tables: &PackedTables<'_>) -> Option<Self> {
        let (size, offset) = tables.packed.uniform?;
        Some(Self {
            offset: s.splat(offset),
            stride: s.splat(tables.packed.stride),
            limit: s.splat(size - u32::from(tables.bypass.is_some())),
            count: s.splat(tables.count),
        })
    }

    /// Finds the places of a row's symbols; false where one is skipped or outside its table.
    #[inline(always)]
    fn find<'p, S: Octets<V = V>>(
        &self,
        s: S,
        values: &[[u32; 8]],
        indexes: &[[u32; 8]],
        places: impl Iterator<Item = EightPlaces<'p>>,
    ) -> bool {
        // The largest symbol less the offset, modulo 2^32, and the largest index.
        let (mut largest, mut last) = (s.splat(0), s.splat(0));
        for ((value, index), places) in values.iter().zip(indexes).zip(places) {
            let (value, index) = (s.sub(s.load(value), self.offset), s.load(index));
            largest = s.max(largest, value);
            last = s.max(last, index);
            s.set_places(places, s.add(s.mul(index, self.stride), value));
        }
        let outside = s.eq(s.max(largest, self.limit), largest);
        !s.any(s.or(outside, s.eq(s.max(last, self.count), last)))
    }
}

/// Finds the places of all rows; a bit for each row that has a symbol that is skipped or outside
/// its table.
#[inline(always)]
fn find_wide<S: Octets>(
    s: S,
    uniform: &Uniform<S::V>,
    block: &BlockSymbols<'_>,
    wide: &WideSymbols<'_>,
    range: Range<usize>,
    places: &mut Places<'_>,
    stride: usize,
) -> u64 {
    let mut irregular = 0;
    for (row, indexes) in wide.indexes[..block.rows].iter().enumerate() {
        let (at, len) = (row * block.columns + range.start, range.len());
        let (values, indexes) = (&wide.symbols[at..at + len], &indexes[range.clone()]);
        let of_row = places.eights(row * stride..row * stride + len);
        let regular = uniform.find(s, values.as_chunks().0, indexes.as_chunks().0, of_row);
        irregular |= u64::from(!regular) << row;
    }
    irregular
}

/// Finds the places of whole vectors of symbols of a row; false where one of them is skipped or
/// outside its table. `None` where one cannot be coded.
#[inline(always)]
fn find_regular<'p, S: Octets>(
    s: S,
    tables: &PackedTables<'_>,
    uniform: &Option<Uniform<S::V>>,
    (values, index, columns): (SymbolSlice<'_>, RowIndexes<'_>, Range<usize>),
    places: impl Iterator<Item = EightPlaces<'p>>,
    widened: &mut Widened,
) -> Option<bool> {
    let packed = tables.packed;
    let less = u32::from(tables.bypass.is_some());
    let values = values.widen(bytemuck::cast_slice_mut(&mut widened.symbols[..]));
    let (values, _) = bytemuck::cast_slice::<_, u32>(values).as_chunks::<8>();
    let zero = s.splat(0);
    let indexes = match index {
        RowIndexes::One(one) => {
            let mut largest = zero;
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
    if let Some(uniform) = uniform {
        return Some(uniform.find(s, values, indexes, places));
    }
    let (mut outside, mut last) = (zero, zero);
    let (count, less) = (s.splat(tables.count), s.splat(less));
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

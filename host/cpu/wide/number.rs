//! The first loop of a push: symbols and indexes become packed entries, row by row, regrouped so that one vector holds one step of all its states.

use std::ops::Range;

use super::tables::{WideTables, load_indexes, load_symbols};
use super::{STEPS, VECTORS};
use crate::cpu::lanes32::{self, LANES, Number, Stretch, StretchIndexes, bytes_of, steps_of};
use crate::simd::{Line, RunOn, Simd, Simd512, Work};
use crate::symbols::{Indexes, SymbolSlice};

/// Bypass digits that a row pushes before a step.
pub(super) struct Digits {
    pub(super) step: usize,
    pub(super) row: usize,
    pub(super) lane: usize,
    pub(super) raw: u32,
}

/// Vectors of entries in a stretch, over all vectors of a unit: what rows read in one go is long enough for memory to be quick, and the entries stay
/// in the second-level cache.
const STRETCH: usize = 4 * STEPS;

/// The entries of a stretch.
pub(super) struct Numbers {
    /// One row after another.
    entries: Vec<Line>,
    /// Vectors of a row.
    of_row: usize,
    symbols: Stretch,
    indexes: Stretch,
}

impl Numbers {
    /// For rows of `L` lanes and so many columns.
    pub(super) fn new<const L: usize>(columns: usize) -> Self {
        let rows = 16 * VECTORS / L;
        let of_row =
            columns.div_ceil(16).clamp(1, (STRETCH / rows).min(LANES * lanes32::STEPS / 16));
        let entries = vec![Line::default(); rows * of_row];
        Self { entries, of_row, symbols: Default::default(), indexes: Default::default() }
    }

    /// Columns of a stretch.
    pub(super) fn columns(&self) -> usize {
        16 * self.of_row
    }

    /// The entries of vector `u` at a step: within the stretches of its rows, each row's vectors stand for steps.
    #[inline(always)]
    pub(super) fn at<const L: usize>(&self, u: usize, step: usize) -> &[u32; 16] {
        let across = 16 / L;
        &self.entries[(u * across + step % across) * self.of_row + step / across]
    }
}

/// The symbols of a unit.
pub(super) struct UnitSymbols<'a> {
    pub(super) first_row: usize,
    pub(super) rows: usize,
    pub(super) symbols: SymbolSlice<'a>,
    pub(super) columns: usize,
    pub(super) indexes: &'a Indexes<'a>,
}

/// Finds the entries and digits of a range of columns.
pub(super) fn number<S: Simd512, const L: usize>(
    s: S,
    tables: &WideTables<'_>,
    unit: &UnitSymbols<'_>,
    range: Range<usize>,
    numbers: &mut Numbers,
    digits: &mut Vec<Digits>,
) -> Option<()> {
    let mut odd = [u32::MAX; 16 * VECTORS];
    let ordinary = Ordinary::<L> { tables, unit, range: range.clone(), numbers, odd: &mut odd };
    let whole = s.vectorize(ordinary);
    s.vectorize(Rest::<L> { tables, unit, range, whole, odd: &odd, numbers, digits })
}

/// The whole steps of ordinary symbols, as rows of 32 lanes have them.
struct Ordinary<'a, 't, const L: usize> {
    tables: &'a WideTables<'t>,
    unit: &'a UnitSymbols<'a>,
    range: Range<usize>,
    numbers: &'a mut Numbers,
    /// Which steps of each row hold anything else.
    odd: &'a mut [u32; 16 * VECTORS],
}

impl<const L: usize> Work for Ordinary<'_, '_, L> {
    /// Columns that it looked at.
    type Output = usize;
}

impl<S: Simd, const L: usize> RunOn<S> for Ordinary<'_, '_, L> {
    #[inline(always)]
    fn run(self, s: S) -> usize {
        let Self { tables, unit, range, numbers, odd } = self;
        let whole = range.len() / LANES * LANES;
        let columns = range.start..range.start + whole;
        // The next stretch, which lies below.
        let below = range.start.saturating_sub(numbers.columns())..range.start;
        let of_rows = numbers.entries.chunks_exact_mut(numbers.of_row);
        for (row, (entries, odd)) in of_rows.zip(odd).enumerate().take(unit.rows) {
            let first = row * unit.columns;
            let at = |columns: &Range<usize>| first + columns.start..first + columns.end;
            let index = unit.indexes.row(unit.first_row + row);
            let number = Number {
                tables,
                symbols: steps_of(unit.symbols.range(at(&columns)), &mut numbers.symbols),
                indexes: StretchIndexes::new(index, columns.clone(), &mut numbers.indexes),
                ahead: [unit.symbols.range(at(&below)).as_bytes(), bytes_of(index, below.clone())],
                entries: bytemuck::cast_slice_mut::<_, u32>(entries).as_chunks_mut().0,
            };
            *odd = number.run(s);
        }
        whole
    }
}

/// What is left of a stretch, and its regrouping.
struct Rest<'a, 't, const L: usize> {
    tables: &'a WideTables<'t>,
    unit: &'a UnitSymbols<'a>,
    range: Range<usize>,
    /// Columns of it that have their entries, but for those of odd steps.
    whole: usize,
    odd: &'a [u32; 16 * VECTORS],
    numbers: &'a mut Numbers,
    digits: &'a mut Vec<Digits>,
}

impl<const L: usize> Work for Rest<'_, '_, L> {
    type Output = Option<()>;
}

impl<S: Simd512, const L: usize> RunOn<S> for Rest<'_, '_, L> {
    #[inline(always)]
    fn run(self, s: S) -> Option<()> {
        let Self { tables, unit, range, whole, odd, numbers, digits } = self;
        let across = 16 / L;
        let UnitSymbols { first_row, rows, symbols, columns, indexes } = *unit;
        let (begin, end) = (range.start, range.end);
        let of_row = numbers.of_row;
        let of_rows = numbers.entries.chunks_exact_mut(of_row).zip(odd);
        for (row, (entries, &odd)) in of_rows.enumerate() {
            if row >= rows {
                entries.fill(Line([((1 << tables.precision) - 1) << 16; 16]));
                continue;
            }
            let values = symbols.range(row * columns..(row + 1) * columns);
            let index = indexes.row(first_row + row);
            for at in (if odd == 0 { begin + whole } else { begin }..end).step_by(16) {
                if at < begin + whole && odd >> ((at - begin) / LANES) & 1 == 0 {
                    continue;
                }
                let valid = u16::MAX >> (16 - (end - at).min(16));
                let (of_symbols, of_indexes) =
                    (load_symbols(s, values, at), load_indexes(s, index, at));
                let numbered = tables.number(s, of_symbols, of_indexes, valid)?;
                let mut outside = numbered.outside;
                while outside != 0 {
                    let column = at + outside.trailing_zeros() as usize;
                    outside &= outside - 1;
                    let raw = tables.raw(values.at(column), index.at(column)).ok()?;
                    let step = (column - begin) / L;
                    digits.push(Digits { step, row, lane: column % L, raw });
                }
                let found = s.gather(&tables.packed.entries, numbered.entries);
                s.store(found, &mut entries[(at - begin) / 16]);
            }
        }
        for u in 0..rows.div_ceil(across) {
            let of_vector = &mut numbers.entries[u * across * of_row..(u + 1) * across * of_row];
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

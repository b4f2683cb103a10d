//! The first loop of a pop: which table each step of each octet uses.

use std::ops::Range;

use parans_kernels::codec::RowIndexes;

use super::super::tables::PackedTables;
use super::store::Scratch;
use super::{OCTETS, STEPS};
use crate::simd::{Octets, RunOn, Work, unroll};

/// Which tables a tile uses.
#[derive(Clone, Copy)]
pub(in crate::cpu) enum UsedTables {
    /// The first for all.
    First,
    /// Those that were written down; their number stands for a skipped symbol.
    Each,
}

/// Writes down which table each step of each octet uses.
pub(in crate::cpu) struct FindTables<'a, 't, const L: usize, const O: usize> {
    pub(in crate::cpu) tables: &'a PackedTables<'t>,
    pub(in crate::cpu) scratch: &'a mut Scratch,
    pub(in crate::cpu) of_rows: &'a [RowIndexes<'a>],
    pub(in crate::cpu) range: Range<usize>,
    /// Whether every octet has a row.
    pub(in crate::cpu) full: bool,
}

impl<const L: usize, const O: usize> Work for FindTables<'_, '_, L, O> {
    /// `None` where an index is wrong.
    type Output = Option<UsedTables>;
}

impl<S: Octets, const L: usize, const O: usize> RunOn<S> for FindTables<'_, '_, L, O> {
    #[inline(always)]
    fn run(self, s: S) -> Option<UsedTables> {
        let Self { tables, scratch, of_rows, range, full } = self;
        let (across, count) = (8 / L, tables.count);
        if count == 1
            && full
            && tables.bypass.is_none()
            && tables.alias.is_none()
            && of_rows.iter().all(|&row| all_first(s, row, range.clone()))
        {
            return Some(UsedTables::First);
        }
        let Scratch { steps: tables_of_steps, mapped, .. } = scratch;
        for (u, of_rows) in of_rows.chunks(across).enumerate() {
            let mut parts: [&[u32]; 8] = [&[]; 8];
            let mapped = mapped.chunks_exact_mut(STEPS * L * O);
            for ((part, &of_row), mapped) in parts.iter_mut().zip(of_rows).zip(mapped) {
                let indexes = match of_row {
                    RowIndexes::Each(indexes) => bytemuck::cast_slice(&indexes[range.clone()]),
                    _ => &[],
                };
                let whole = indexes.len() == range.len() && indexes.len() % 8 == 0;
                *part = if whole && all_below(s, indexes, count) {
                    indexes
                } else {
                    mapped.fill(count);
                    for (to, column) in mapped.iter_mut().zip(range.clone()) {
                        *to = tables.table_of(of_row.at(column))?;
                    }
                    &*mapped
                };
            }
            for at in (0..range.len()).step_by(8) {
                let mut v = [s.splat(count); 8];
                for (v, part) in v.iter_mut().zip(&parts).take(across) {
                    if let Some(part) = part.get(at..).and_then(<[u32]>::first_chunk) {
                        *v = s.load(part);
                    }
                }
                let v = s.transpose::<L>(v);
                let from = (O * u + at / 8 % O) * STEPS + at / 8 / O * across;
                let to = &mut tables_of_steps[from..from + across];
                unroll!(r in 0 1 2 3 4 5 6 7 below across => { s.store(v[r], &mut to[r]); });
            }
        }
        // Octets without a row skip every symbol. Where their tables stood are now their symbols of
        // the tile before.
        let used = (of_rows.len() * O).div_ceil(across);
        tables_of_steps[used * STEPS..OCTETS * STEPS].fill([count; 8]);
        Some(UsedTables::Each)
    }
}

/// Whether a row's indexes of some columns are there and all 0.
#[inline(always)]
fn all_first<S: Octets>(s: S, row: RowIndexes<'_>, range: Range<usize>) -> bool {
    match row {
        RowIndexes::One(index) => index == 0,
        RowIndexes::Each(indexes) => {
            let indexes: &[u32] = bytemuck::cast_slice(&indexes[range]);
            let whole = indexes.len() / 8 * 8;
            all_below(s, &indexes[..whole], 1) && indexes[whole..].iter().all(|&index| index == 0)
        }
        RowIndexes::EachU16(indexes) => indexes[range].iter().all(|&index| index == 0),
        RowIndexes::EachU8(indexes) => indexes[range].iter().all(|&index| index == 0),
    }
}

/// Whether a row has whole vectors of indexes, all of them below a limit.
#[inline(always)]
fn all_below<S: Octets>(s: S, indexes: &[u32], limit: u32) -> bool {
    let mut largest = s.splat(0);
    for chunk in indexes.as_chunks().0 {
        largest = s.max(largest, s.load(chunk));
    }
    let limit = s.splat(limit);
    !s.any(s.eq(s.max(largest, limit), largest))
}

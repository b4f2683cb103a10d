//! Which table each step of each state uses.

use parans_kernels::codec::RowIndexes;

use super::super::tables::{PackedTables, load_indexes};
use super::tile::{MOST_ROWS, STEPS, STEPS_EACH};
use crate::simd::{RunOn, Simd512, Work};

/// Which tables a tile uses.
#[derive(Clone, Copy)]
pub(super) enum UsedTables {
    /// One for all.
    One(u32),
    /// Those that were written down; their number stands for a skipped symbol.
    Each,
}

/// Writes down which table each step of each state uses.
pub(super) struct FindTables<'a, const L: usize> {
    pub(super) tables: &'a PackedTables<'a>,
    pub(super) found: &'a mut [[u32; 16]; STEPS],
    /// Whole rows.
    pub(super) of_rows: &'a [RowIndexes<'a>],
    /// Columns of the tile.
    pub(super) range: std::ops::Range<usize>,
}

impl<const L: usize> Work for FindTables<'_, L> {
    /// `None` where an index is wrong.
    type Output = Option<UsedTables>;
}

impl<S: Simd512, const L: usize> RunOn<S> for FindTables<'_, L> {
    #[inline(always)]
    fn run(self, s: S) -> Option<UsedTables> {
        match self.of_rows.first()? {
            RowIndexes::One(_) | RowIndexes::Each(_) => self.find::<S, i32>(s),
            RowIndexes::EachU16(_) => self.find::<S, u16>(s),
            RowIndexes::EachU8(_) => self.find::<S, u8>(s),
        }
    }
}

impl<const L: usize> FindTables<'_, L> {
    #[inline(always)]
    fn find<S: Simd512, T: Element>(self, s: S) -> Option<UsedTables> {
        let Self { tables, found, of_rows, range } = self;
        let across = 16 / L;
        let (rows, columns) = (of_rows.len(), range.len());
        let mut rows_of: [&[T]; MOST_ROWS] = [&[]; MOST_ROWS];
        for (row, &of_row) in rows_of.iter_mut().zip(of_rows) {
            *row = T::of(of_row).get(range.clone()).unwrap_or_default();
        }
        if tables.count == 1 && rows_of[..rows].iter().all(|row| all_first(s, row, columns)) {
            // Nothing to write down where no symbol is skipped.
            return Some(UsedTables::One(0));
        }
        let none = s.splat(tables.count);
        for u in 0..rows.div_ceil(across) {
            for at in (0..columns).step_by(16) {
                let mut v = [none; 16];
                let mut other = 0;
                for (v, row) in v.iter_mut().zip(&rows_of[u * across..]).take(across) {
                    match row.get(at..).and_then(<[T]>::first_chunk) {
                        Some(indexes) => *v = T::load(s, indexes),
                        None => other = u16::MAX,
                    }
                    other |= s.ge(*v, none);
                }
                if other != 0 {
                    // Symbols that are skipped, indexes that are wrong, ends of rows.
                    let valid = u16::MAX >> (16 - (columns - at).min(16));
                    for (v, &of_row) in v.iter_mut().zip(&of_rows[u * across..]).take(across) {
                        *v = tables.tables_of(
                            s,
                            load_indexes(s, of_row, range.start + at),
                            valid,
                        )?;
                    }
                }
                s.transpose::<L>(&mut v);
                let first = u * STEPS_EACH + at / L;
                for (found, &v) in found[first..].iter_mut().zip(&v).take(across) {
                    s.store(v, found);
                }
            }
        }
        // Vectors without a row skip every symbol. Where their tables stood are now their symbols
        // of the tile before.
        for found in found.chunks_exact_mut(STEPS_EACH).skip(rows.div_ceil(across)) {
            found[..columns / L].fill([tables.count; 16]);
        }
        Some(UsedTables::Each)
    }
}

/// Whether a row has so many indexes, all of them 0.
#[inline(always)]
fn all_first<S: Simd512, T: Element>(s: S, row: &[T], columns: usize) -> bool {
    let (chunks, rest) = row.as_chunks();
    let mut others = 0;
    for chunk in chunks {
        others |= s.ge(T::load(s, chunk), s.splat(1));
    }
    row.len() == columns && others == 0 && rest.iter().all(|&index| index == T::default())
}

/// The type of an index.
trait Element: Copy + Default + PartialEq {
    fn of(row: RowIndexes<'_>) -> &[Self];
    fn load<S: Simd512>(s: S, indexes: &[Self; 16]) -> S::U32;
}

macro_rules! element {
    ($type:ty, $kind:ident, $s:ident, $indexes:ident => $load:expr) => {
        impl Element for $type {
            #[inline(always)]
            fn of(row: RowIndexes<'_>) -> &[Self] {
                match row {
                    RowIndexes::$kind(indexes) => indexes,
                    _ => &[],
                }
            }

            #[inline(always)]
            fn load<S: Simd512>($s: S, $indexes: &[Self; 16]) -> S::U32 {
                $load
            }
        }
    };
}
element!(i32, Each, s, indexes => s.load(bytemuck::cast_ref(indexes)));
element!(u16, EachU16, s, indexes => s.load_u16(indexes));
element!(u8, EachU8, s, indexes => s.load_u8(indexes));

//! From symbols and indexes to the packed entries that a push reads, in steps of 32 symbols of a
//! row: the same for rows of 32 lanes, whose step that is, and for rows side by side.

use parans_kernels::codec::RowIndexes;

use super::tables::PackedTables;
use crate::simd::{Aligned, ByteTable, RunOn, Simd, Work};
use crate::symbols::SymbolSlice;

/// Symbols of a step.
pub(super) const LANES: usize = 32;

/// Steps of a tile: what four rows read and write on the way stays in half of the L1 cache.
pub(super) const STEPS: usize = 32;

/// What a step has for each lane.
pub(super) type Step = [u32; LANES];

/// A tile of columns of one row.
pub(super) type RowTile = Aligned<[Step; STEPS]>;

/// The indexes of a tile of a row.
#[derive(Clone, Copy)]
pub(super) enum TileIndexes<'a> {
    One(i32),
    Each(&'a [Step]),
}

impl<'a> TileIndexes<'a> {
    /// Those of whole steps from a column on, as they are or widened into a buffer.
    pub(super) fn new(
        of_row: RowIndexes<'a>,
        columns: std::ops::Range<usize>,
        buffer: &'a mut RowTile,
    ) -> Self {
        let buffer = &mut buffer.as_flattened_mut()[..columns.len()];
        match of_row {
            RowIndexes::One(index) => return Self::One(index),
            RowIndexes::Each(values) => {
                return Self::Each(bytemuck::cast_slice::<_, u32>(&values[columns]).as_chunks().0);
            }
            RowIndexes::EachU16(values) => {
                for (to, &index) in buffer.iter_mut().zip(&values[columns]) {
                    *to = index.into();
                }
            }
            RowIndexes::EachU8(values) => {
                for (to, &index) in buffer.iter_mut().zip(&values[columns]) {
                    *to = index.into();
                }
            }
        }
        Self::Each(buffer.as_chunks().0)
    }

    /// Whether an index of a step neither names a table nor skips its symbol.
    fn step_has_wrong(self, tables: &PackedTables<'_>, step: usize) -> bool {
        match self {
            Self::One(index) => tables.table_of(index).is_none(),
            Self::Each(steps) => steps[step].iter().any(|&i| tables.table_of(i as i32).is_none()),
        }
    }

    #[inline(always)]
    fn load<S: Simd>(self, s: S, step: usize) -> [S::U32; 2] {
        match self {
            Self::One(index) => [s.splat(index as u32); 2],
            Self::Each(steps) => load_step(s, &steps[step]),
        }
    }
}

/// Symbols of whole steps, as they are or widened into a buffer.
pub(super) fn steps_of<'a>(symbols: SymbolSlice<'a>, buffer: &'a mut RowTile) -> &'a [Step] {
    let symbols = symbols.widen(bytemuck::cast_slice_mut(buffer.as_flattened_mut()));
    bytemuck::cast_slice::<_, u32>(symbols).as_chunks().0
}

/// A step's two vectors, in the order of lanes.
#[inline(always)]
pub(super) fn load_step<S: Simd>(s: S, step: &Step) -> [S::U32; 2] {
    let halves: &[[u32; 16]; 2] = bytemuck::cast_ref(step);
    [s.load(&halves[0]), s.load(&halves[1])]
}

/// Inverse of [`load_step`].
#[inline(always)]
pub(super) fn store_step<S: Simd>(s: S, v: [S::U32; 2], step: &mut Step) {
    let halves: &mut [[u32; 16]; 2] = bytemuck::cast_mut(step);
    s.store(v[0], &mut halves[0]);
    s.store(v[1], &mut halves[1]);
}

/// Half a step.
#[inline(always)]
fn half_of(step: &mut Step, half: usize) -> &mut [u32; 16] {
    let halves: &mut [[u32; 16]; 2] = bytemuck::cast_mut(step);
    &mut halves[half]
}

/// Prefetches a step's share of what the next tile needs. Each row's next lines lie a page away,
/// where no prefetcher looks.
#[inline(always)]
pub(super) fn prefetch_step<S: Simd>(s: S, bytes: &[u8], step: usize) {
    for line in [2 * step, 2 * step + 1] {
        if 64 * line < bytes.len() {
            s.prefetch(bytes, 64 * line);
        }
    }
}

/// The indexes of a range of columns as bytes, where there is one for each.
pub(super) fn bytes_of(of_row: RowIndexes<'_>, columns: std::ops::Range<usize>) -> &[u8] {
    match of_row {
        RowIndexes::One(_) => &[],
        RowIndexes::Each(values) => bytemuck::cast_slice(&values[columns]),
        RowIndexes::EachU16(values) => bytemuck::cast_slice(&values[columns]),
        RowIndexes::EachU8(values) => &values[columns],
    }
}

/// Finds the packed entries of a tile of a row.
pub(super) struct FindEntries<'a, 't> {
    pub(super) tables: &'a PackedTables<'t>,
    pub(super) symbols: &'a [Step],
    pub(super) indexes: TileIndexes<'a>,
    /// What the next tile reads.
    pub(super) prefetch: [&'a [u8]; 2],
    pub(super) entries: &'a mut [Step],
}

impl Work for FindEntries<'_, '_> {
    /// A bit for each step that the codec has to take, because a symbol lies outside its table or
    /// cannot be coded.
    type Output = u32;
}

impl<S: Simd> RunOn<S> for FindEntries<'_, '_> {
    #[inline(always)]
    fn run(mut self, s: S) -> u32 {
        if s.slow_gathers()
            && let Some(table) = &self.tables.packed.bytes
            && let Some(irregular) = self.look_up_bytes(s, table)
        {
            return irregular;
        }
        self.gather(s)
    }
}

impl FindEntries<'_, '_> {
    /// One table in registers; `None` where an index is not 0.
    #[inline(always)]
    fn look_up_bytes<S: Simd>(&mut self, s: S, table: &ByteTable<4>) -> Option<u32> {
        let (size, offset) = self.tables.packed.uniform?;
        let offset = s.splat(offset);
        let limit = s.splat(size - u32::from(self.tables.bypass.is_some()));
        let (one, byte) = (s.splat(1), s.splat(0xff));
        let mut irregular = 0;
        let mut other = s.nowhere();
        // The entries of two steps are looked up together. The last of an odd number goes twice.
        for step in (0..self.symbols.len()).step_by(2) {
            let second = (step + 1).min(self.symbols.len() - 1);
            for bytes in self.prefetch {
                prefetch_step(s, bytes, step);
                prefetch_step(s, bytes, step + 1);
            }
            let [a, b] = load_step(s, &self.symbols[step]);
            let [c, d] = load_step(s, &self.symbols[second]);
            let (mut a, mut b) = (s.sub(a, offset), s.sub(b, offset));
            let (mut c, d) = (s.sub(c, offset), s.sub(d, offset));
            let first_irregular = s.either(s.ge(a, limit), s.ge(b, limit));
            let second_irregular = s.either(s.ge(c, limit), s.ge(d, limit));
            if s.any(s.either(first_irregular, second_irregular)) {
                irregular |= u32::from(s.any(first_irregular)) << step;
                irregular |= u32::from(s.any(second_irregular)) << second;
                // What lies outside must not run over into its neighbours.
                (a, b, c) = (s.and(a, byte), s.and(b, byte), s.and(c, byte));
            }
            for step in [step, second] {
                let [i, j] = self.indexes.load(s, step);
                other = s.either(other, s.either(s.ge(i, one), s.ge(j, one)));
            }
            let ab = s.add(a, s.shl(b, 8));
            let cd = s.add(s.shl(c, 16), s.shl(d, 24));
            let [a, b, c, d] = s.lookup_bytes(table, s.add(ab, cd));
            store_step(s, [a, b], &mut self.entries[step]);
            store_step(s, [c, d], &mut self.entries[second]);
        }
        if s.any(other) { None } else { Some(irregular) }
    }

    #[inline(always)]
    fn gather<S: Simd>(&mut self, s: S) -> u32 {
        let PackedTables { packed, count, bypass, .. } = *self.tables;
        let less = s.splat(u32::from(bypass.is_some()));
        let limit = s.splat(count);
        let skipped = s.splat(self.tables.skipped());
        let mut irregular = 0;
        for (step, symbols) in self.symbols.iter().enumerate() {
            for bytes in self.prefetch {
                prefetch_step(s, bytes, step);
            }
            let symbols = load_step(s, symbols);
            let index = self.indexes.load(s, step);
            let unnamed = [s.ge(index[0], limit), s.ge(index[1], limit)];
            let skipping = s.any(s.either(unnamed[0], unnamed[1]));
            if skipping && self.indexes.step_has_wrong(self.tables, step) {
                irregular |= 1 << step;
                continue;
            }
            let mut outside = s.nowhere();
            for half in 0..2 {
                let index = index[half];
                let (base, size, offset) = match packed.uniform {
                    Some((size, offset)) => {
                        let base = s.mul(index, s.splat(packed.stride));
                        (base, s.splat(size), s.splat(offset))
                    }
                    None => (
                        s.gather(&packed.places, index),
                        s.gather(&packed.symbols, index),
                        s.gather(&packed.offsets, index),
                    ),
                };
                let mut value = s.sub(symbols[half], offset);
                let mut at = s.add(base, value);
                if skipping {
                    value = s.sub_where(unnamed[half], value, value);
                    at = s.add_where(unnamed[half], at, s.sub(skipped, at));
                }
                let limit = s.sub(size, less);
                // A skipped symbol's value, 0, is below every limit but that of the table of none.
                outside = s.either(outside, s.ge(value, limit));
                s.gather_to(&packed.entries, at, half_of(&mut self.entries[step], half));
            }
            irregular |= u32::from(s.any(outside)) << step;
        }
        irregular
    }
}

const _: () = assert!(STEPS <= 32 && LANES == 32, "a bit per step, two vectors per step");

//! From symbols and indexes to the packed entries that a push reads, and from indexes to the tables that a pop reads.

use parans_kernels::codec::Indexes;

use super::{LANES, STEPS, Step, Stretch, WideTables};
use crate::simd::{ByteTable, RunOn, Simd, Work};
use crate::symbols::SymbolSlice;

/// Which tables a stretch uses.
#[derive(Clone, Copy)]
pub(super) enum Used<'a, const R: usize> {
    /// One for each row.
    One([u32; R]),
    /// One for each symbol; the number of tables stands for a skipped symbol.
    Each(&'a [Stretch; R]),
}

/// The indexes of a stretch of a row.
#[derive(Clone, Copy)]
pub(in crate::cpu) enum StretchIndexes<'a> {
    One(i32),
    Each(&'a [Step]),
}

impl<'a> StretchIndexes<'a> {
    /// Those of whole steps from a column on, as they are or widened into a buffer.
    pub(in crate::cpu) fn new(
        of_row: Indexes<'a>,
        columns: std::ops::Range<usize>,
        buffer: &'a mut Stretch,
    ) -> Self {
        let buffer = &mut buffer.as_flattened_mut()[..columns.len()];
        match of_row {
            Indexes::One(index) => return Self::One(index),
            Indexes::Each(values) => {
                return Self::Each(bytemuck::cast_slice::<_, u32>(&values[columns]).as_chunks().0);
            }
            Indexes::EachU16(values) => {
                for (to, &index) in buffer.iter_mut().zip(&values[columns]) {
                    *to = index.into();
                }
            }
            Indexes::EachU8(values) => {
                for (to, &index) in buffer.iter_mut().zip(&values[columns]) {
                    *to = index.into();
                }
            }
        }
        Self::Each(buffer.as_chunks().0)
    }

    /// Whether an index of a step neither names a table nor skips its symbol.
    fn step_has_wrong(self, tables: &WideTables<'_>, step: usize) -> bool {
        match self {
            Self::One(index) => tables.one(index).is_none(),
            Self::Each(steps) => steps[step].iter().any(|&i| tables.one(i as i32).is_none()),
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
pub(in crate::cpu) fn steps_of<'a>(
    symbols: SymbolSlice<'a>,
    buffer: &'a mut Stretch,
) -> &'a [Step] {
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

/// Asks for a step's share of what the next stretch needs to be brought into the cache. Each row's next lines lie a page away, where no prefetcher looks.
#[inline(always)]
fn prefetch_step<S: Simd>(s: S, ahead: &[u8], step: usize) {
    for line in [2 * step, 2 * step + 1] {
        if 64 * line < ahead.len() {
            s.prefetch(ahead, 64 * line);
        }
    }
}

/// The indexes of a range of columns as bytes, where there is one for each.
pub(in crate::cpu) fn bytes_of(of_row: Indexes<'_>, columns: std::ops::Range<usize>) -> &[u8] {
    match of_row {
        Indexes::One(_) => &[],
        Indexes::Each(values) => bytemuck::cast_slice(&values[columns]),
        Indexes::EachU16(values) => bytemuck::cast_slice(&values[columns]),
        Indexes::EachU8(values) => &values[columns],
    }
}

/// Finds the packed entries of a stretch of a row.
pub(in crate::cpu) struct Number<'a, 't> {
    pub(in crate::cpu) tables: &'a WideTables<'t>,
    pub(in crate::cpu) symbols: &'a [Step],
    pub(in crate::cpu) indexes: StretchIndexes<'a>,
    /// What the next stretch reads.
    pub(in crate::cpu) ahead: [&'a [u8]; 2],
    pub(in crate::cpu) entries: &'a mut [Step],
}

impl Work for Number<'_, '_> {
    /// A bit for each step that the codec has to take, because a symbol lies outside its table or cannot be coded.
    type Output = u32;
}

impl<S: Simd> RunOn<S> for Number<'_, '_> {
    #[inline(always)]
    fn run(mut self, s: S) -> u32 {
        if s.slow_gathers()
            && let Some(bytes) = &self.tables.packed.bytes
            && let Some(odd) = self.look_up_bytes(s, bytes)
        {
            return odd;
        }
        self.gather(s)
    }
}

impl Number<'_, '_> {
    /// One table in registers; `None` where an index is not 0.
    #[inline(always)]
    fn look_up_bytes<S: Simd>(&mut self, s: S, bytes: &ByteTable<4>) -> Option<u32> {
        let (size, offset) = self.tables.packed.uniform?;
        let offset = s.splat(offset);
        let limit = s.splat(size - u32::from(self.tables.bypass.is_some()));
        let (one, byte) = (s.splat(1), s.splat(0xff));
        let mut odd = 0;
        let mut other = s.nowhere();
        // The entries of two steps are looked up together. The last of an odd number goes twice.
        for step in (0..self.symbols.len()).step_by(2) {
            let second = (step + 1).min(self.symbols.len() - 1);
            for ahead in self.ahead {
                prefetch_step(s, ahead, step);
                prefetch_step(s, ahead, step + 1);
            }
            let [a, b] = load_step(s, &self.symbols[step]);
            let [c, d] = load_step(s, &self.symbols[second]);
            let (mut a, mut b) = (s.sub(a, offset), s.sub(b, offset));
            let (mut c, d) = (s.sub(c, offset), s.sub(d, offset));
            let first_odd = s.either(s.ge(a, limit), s.ge(b, limit));
            let second_odd = s.either(s.ge(c, limit), s.ge(d, limit));
            if s.any(s.either(first_odd, second_odd)) {
                odd |= u32::from(s.any(first_odd)) << step;
                odd |= u32::from(s.any(second_odd)) << second;
                // What lies outside must not run over into its neighbours.
                (a, b, c) = (s.and(a, byte), s.and(b, byte), s.and(c, byte));
            }
            for step in [step, second] {
                let [i, j] = self.indexes.load(s, step);
                other = s.either(other, s.either(s.ge(i, one), s.ge(j, one)));
            }
            let ab = s.add(a, s.shl(b, 8));
            let cd = s.add(s.shl(c, 16), s.shl(d, 24));
            let [a, b, c, d] = s.lookup_bytes(bytes, s.add(ab, cd));
            store_step(s, [a, b], &mut self.entries[step]);
            store_step(s, [c, d], &mut self.entries[second]);
        }
        if s.any(other) { None } else { Some(odd) }
    }

    #[inline(always)]
    fn gather<S: Simd>(&mut self, s: S) -> u32 {
        let WideTables { packed, count, bypass, .. } = *self.tables;
        let less = s.splat(u32::from(bypass.is_some()));
        let limit = s.splat(count);
        let skipped = s.splat(self.tables.skipped());
        let mut odd = 0;
        for (step, symbols) in self.symbols.iter().enumerate() {
            for ahead in self.ahead {
                prefetch_step(s, ahead, step);
            }
            let symbols = load_step(s, symbols);
            let index = self.indexes.load(s, step);
            let unnamed = [s.ge(index[0], limit), s.ge(index[1], limit)];
            let skipping = s.any(s.either(unnamed[0], unnamed[1]));
            if skipping && self.indexes.step_has_wrong(self.tables, step) {
                odd |= 1 << step;
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
            odd |= u32::from(s.any(outside)) << step;
        }
        odd
    }
}

/// Finds which tables a stretch of a row uses.
pub(super) struct FindTables<'a, 't> {
    pub(super) tables: &'a WideTables<'t>,
    pub(super) indexes: &'a [Step],
    /// What the next stretch reads.
    pub(super) ahead: &'a [u8],
    pub(super) numbers: &'a mut Stretch,
}

/// What [`FindTables`] found.
pub(super) enum FoundTables {
    /// The first for all.
    First,
    /// The numbers say.
    Each,
}

impl Work for FindTables<'_, '_> {
    /// `None` where an index is wrong.
    type Output = Option<FoundTables>;
}

impl<S: Simd> RunOn<S> for FindTables<'_, '_> {
    #[inline(always)]
    fn run(self, s: S) -> Self::Output {
        let WideTables { count, .. } = *self.tables;
        let limit = s.splat(count);
        if count == 1 {
            let mut others = s.nowhere();
            for (at, step) in self.indexes.iter().enumerate() {
                prefetch_step(s, self.ahead, at);
                let [a, b] = load_step(s, step);
                others = s.either(others, s.either(s.ge(a, limit), s.ge(b, limit)));
            }
            if !s.any(others) {
                return Some(FoundTables::First);
            }
        }
        for (at, (step, number)) in self.indexes.iter().zip(self.numbers.iter_mut()).enumerate() {
            prefetch_step(s, self.ahead, at);
            let index = load_step(s, step);
            let unnamed = [s.ge(index[0], limit), s.ge(index[1], limit)];
            let mut numbers = index;
            if s.any(s.either(unnamed[0], unnamed[1])) {
                if step.iter().any(|&index| self.tables.one(index as i32).is_none()) {
                    return None;
                }
                for half in 0..2 {
                    let over = s.sub(limit, index[half]);
                    numbers[half] = s.add_where(s.ge(index[half], limit), index[half], over);
                }
            }
            store_step(s, numbers, number);
        }
        Some(FoundTables::Each)
    }
}

const _: () = assert!(STEPS <= 32 && LANES == 32, "a bit a step, two vectors a step");

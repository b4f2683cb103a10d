//! From symbols and indexes to the packed entries that a push reads, and from indexes to the tables
//! that a pop reads, sixteen at a time.

use parans_kernels::codec::{BypassCode, RowError, RowIndexes};

use crate::plan::{Lookup, Plan};
use crate::simd::Simd512;
use crate::symbols::SymbolSlice;
use crate::tables::{AliasQuads, Packed, PackedForm, SLOTS};

/// The plan's tables, as both directions read them.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct PackedTables<'a> {
    pub(in crate::cpu) packed: &'a Packed,
    /// The same with its buckets.
    pub(in crate::cpu) form: &'a PackedForm,
    /// What each slot of the only table holds, for small ones.
    pub(in crate::cpu) slots: Option<&'a [u32; SLOTS]>,
    /// How many tables.
    pub(in crate::cpu) count: u32,
    pub(in crate::cpu) precision: u32,
    pub(in crate::cpu) bypass: Option<BypassCode>,
    /// The alias form and the remapped slots, where the plan's lookup is by them.
    pub(in crate::cpu) alias: Option<(&'a AliasQuads, &'a [u32])>,
    skip_past_end: bool,
}

/// Sixteen symbols made ready to push.
pub(in crate::cpu) struct FoundEntries<V> {
    /// Positions of their entries.
    pub(in crate::cpu) entries: V,
    /// Which of them need bypass digits first.
    pub(in crate::cpu) outside: u16,
}

impl<'a> PackedTables<'a> {
    /// The plan's tables; `None` where they have no packed form.
    pub(in crate::cpu) fn new(plan: &'a Plan) -> Option<Self> {
        let prepared = plan.tables.prepared();
        let form = prepared.packed()?;
        Some(Self {
            packed: &form.packed,
            form,
            slots: prepared.slots(),
            count: plan.tables.len() as u32,
            precision: plan.tables.precision().bits(),
            bypass: plan.bypass,
            alias: (plan.lookup == Lookup::Alias).then(|| prepared.alias_quads()).flatten(),
            skip_past_end: plan.skip_past_end,
        })
    }

    /// The position of the entry of skipped symbols.
    pub(in crate::cpu) fn skipped(&self) -> u32 {
        (self.packed.entries.len() - 1) as u32
    }

    /// The table that an index names, the number of tables for a skipped symbol; `None` where it is
    /// wrong.
    pub(in crate::cpu) fn table_of(&self, index: i32) -> Option<u32> {
        if (index as u32) < self.count {
            Some(index as u32)
        } else {
            (index < 0 || self.skip_past_end).then_some(self.count)
        }
    }

    /// The position of a symbol's entry, and whether the symbol lies outside its table and the
    /// entry is that of bypass digits; `None` where it cannot be coded.
    pub(in crate::cpu) fn entry_of(&self, symbol: i32, index: i32) -> Option<(u32, bool)> {
        let table = self.table_of(index)?;
        if table == self.count {
            return Some((self.skipped(), false));
        }
        let table = table as usize;
        let (base, size) = (self.packed.places[table], self.packed.symbols[table]);
        let value = (symbol as u32).wrapping_sub(self.packed.offsets[table]);
        let limit = size - u32::from(self.bypass.is_some());
        if value < limit {
            Some((base + value, false))
        } else {
            self.bypass.is_some().then_some((base + limit, true))
        }
    }

    /// Which indexes name a table, and which skip their symbol.
    #[inline(always)]
    fn classify<S: Simd512>(&self, s: S, index: S::U32) -> (u16, u16) {
        let named = !s.ge(index, s.splat(self.count));
        let skip = if self.skip_past_end { !named } else { s.ge(index, s.splat(i32::MIN as u32)) };
        (named, skip)
    }

    /// Finds the entries of sixteen symbols, of which only those of the mask `valid` count; `None`
    /// where one cannot be coded.
    #[inline(always)]
    pub(in crate::cpu) fn find_entries<S: Simd512>(
        &self,
        s: S,
        symbols: S::U32,
        index: S::U32,
        valid: u16,
    ) -> Option<FoundEntries<S::U32>> {
        let (base, size, offset) = match self.packed.uniform {
            Some((size, offset)) => {
                (s.mul(index, s.splat(self.packed.stride)), s.splat(size), s.splat(offset))
            }
            None => (
                s.gather(&self.packed.places, index),
                s.gather(&self.packed.symbols, index),
                s.gather(&self.packed.offsets, index),
            ),
        };
        // With bypass, the last symbol of a table codes all that is outside.
        let limit = if self.bypass.is_some() { s.sub(size, s.splat(1)) } else { size };
        let value = s.sub(symbols, offset);
        let (named, skip) = self.classify(s, index);
        let inside = !s.ge(value, limit);
        let entries = s.add(base, value);
        if inside & named == u16::MAX {
            return Some(FoundEntries { entries, outside: 0 });
        }
        if valid & !(named | skip) != 0 {
            return None;
        }
        let outside = valid & named & !inside;
        if outside != 0 && self.bypass.is_none() {
            return None;
        }
        let entries = s.select(inside, entries, s.add(base, limit));
        Some(FoundEntries { entries: s.select(named, entries, s.splat(self.skipped())), outside })
    }

    /// The table of each index, the number of tables for a skipped symbol; `None` where one is
    /// wrong.
    #[inline(always)]
    pub(in crate::cpu) fn tables_of<S: Simd512>(
        &self,
        s: S,
        index: S::U32,
        valid: u16,
    ) -> Option<S::U32> {
        let (named, skip) = self.classify(s, index);
        if valid & !(named | skip) != 0 {
            return None;
        }
        Some(s.select(named, index, s.splat(self.count)))
    }

    /// Where the buckets of the tables of a row's columns from `at` on begin; `None` where an index
    /// is wrong.
    pub(in crate::cpu) fn find_buckets(
        &self,
        row: RowIndexes<'_>,
        at: usize,
        buckets: &mut [u32],
    ) -> Option<()> {
        let bits = self.form.one_symbol().bits;
        let skip_from = if self.skip_past_end { self.count } else { i32::MIN as u32 };
        let mut wrong = false;
        let mut find = |index: u32| {
            wrong |= index >= self.count && index < skip_from;
            index.min(self.count) << bits
        };
        match row {
            RowIndexes::One(index) => buckets.fill(find(index as u32)),
            RowIndexes::Each(indexes) => {
                for (bucket, &index) in buckets.iter_mut().zip(&indexes[at..]) {
                    *bucket = find(index as u32);
                }
            }
            RowIndexes::EachU16(indexes) => {
                for (bucket, &index) in buckets.iter_mut().zip(&indexes[at..]) {
                    *bucket = find(index.into());
                }
            }
            RowIndexes::EachU8(indexes) => {
                for (bucket, &index) in buckets.iter_mut().zip(&indexes[at..]) {
                    *bucket = find(index.into());
                }
            }
        }
        (!wrong).then_some(())
    }

    /// Positions of the intervals of a row's symbols, which stand from column `at` on; false where
    /// one is skipped, lies outside its table or cannot be coded.
    pub(in crate::cpu) fn find_intervals(
        &self,
        symbols: SymbolSlice<'_>,
        row: RowIndexes<'_>,
        at: usize,
        entries: &mut [u32],
    ) -> bool {
        let mut index = [0u32; 64];
        let index = &mut index[..entries.len()];
        match row {
            RowIndexes::One(one) => index.fill(one as u32),
            RowIndexes::Each(from) => {
                index.iter_mut().zip(&from[at..]).for_each(|(to, &from)| *to = from as u32);
            }
            RowIndexes::EachU16(from) => {
                index.iter_mut().zip(&from[at..]).for_each(|(to, &from)| *to = from.into());
            }
            RowIndexes::EachU8(from) => {
                index.iter_mut().zip(&from[at..]).for_each(|(to, &from)| *to = from.into());
            }
        }
        symbols.copy_to(bytemuck::cast_slice_mut(entries));
        let less = u32::from(self.bypass.is_some());
        let mut wrong = false;
        if let Some((size, offset)) = self.packed.uniform {
            for (entry, &index) in entries.iter_mut().zip(&*index) {
                let value = entry.wrapping_sub(offset);
                wrong |= (index >= self.count) | (value >= size - less);
                *entry = index.wrapping_mul(size).wrapping_add(value);
            }
        } else {
            for (entry, &index) in entries.iter_mut().zip(&*index) {
                let table = index.min(self.count) as usize;
                let value = entry.wrapping_sub(self.packed.offsets[table]);
                wrong |= (index >= self.count) | (value >= self.packed.symbols[table] - less);
                *entry = self.packed.bases[table].wrapping_add(value);
            }
        }
        !wrong
    }

    /// What the bypass digits of a symbol outside its table hold.
    pub(in crate::cpu) fn raw(&self, symbol: i32, index: i32) -> Result<u32, RowError> {
        let table = index as usize;
        let offset = self.packed.offsets[table] as i32;
        let max = self.packed.symbols[table] - 1;
        BypassCode::raw(i64::from(symbol) - i64::from(offset), max)
    }
}

/// Sixteen values of a slice from `at` on; past its end the `rest`.
#[inline(always)]
fn sixteen<T: Copy>(values: &[T], at: usize, rest: T) -> [T; 16] {
    match values[at..].first_chunk() {
        Some(&chunk) => chunk,
        None => {
            let mut chunk = [rest; 16];
            let left = &values[at..];
            chunk[..left.len()].copy_from_slice(left);
            chunk
        }
    }
}

/// Sixteen symbols of a row from `at` on; past its end anything.
#[inline(always)]
pub(in crate::cpu) fn load_symbols<S: Simd512>(s: S, row: SymbolSlice<'_>, at: usize) -> S::U32 {
    match row {
        SymbolSlice::I32(row) => s.load(bytemuck::cast_ref(&sixteen(row, at, 0))),
        SymbolSlice::I16(row) => s.load_i16(&sixteen(row, at, 0)),
        SymbolSlice::U16(row) => s.load_u16(&sixteen(row, at, 0)),
        SymbolSlice::U8(row) => s.load_u8(&sixteen(row, at, 0)),
    }
}

/// Sixteen indexes of a row from `at` on; past its end anything.
#[inline(always)]
pub(in crate::cpu) fn load_indexes<S: Simd512>(s: S, row: RowIndexes<'_>, at: usize) -> S::U32 {
    match row {
        RowIndexes::One(index) => s.splat(index as u32),
        RowIndexes::Each(values) => s.load(bytemuck::cast_ref(&sixteen(values, at, 0))),
        RowIndexes::EachU16(values) => s.load_u16(&sixteen(values, at, 0)),
        RowIndexes::EachU8(values) => s.load_u8(&sixteen(values, at, 0)),
    }
}

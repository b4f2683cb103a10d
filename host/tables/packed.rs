//! Tables packed for coding rows side by side: four bytes per symbol.

use parans_kernels::codec::{Interval, TableDescriptor};

use crate::simd::ByteTable;

/// Precisions above this do not fit the packed entries.
const MAX_PRECISION: u32 = 16;

/// Entries between tables: a cache line, without which the likely symbols of many tables of a power
/// of two of symbols share a few of the cache's sets.
const APART: usize = 16;

/// The packed entries of all tables.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    /// `start | (freq - 1) << 16` of each table's symbols. The last entry is that of a skipped
    /// symbol: it has every slot, which leaves a state as it is.
    pub(crate) entries: Vec<u32>,
    /// Position of each table's first entry, and of a skipped symbol's.
    pub(crate) places: Vec<u32>,
    /// How far apart tables begin, where all have the same number of symbols.
    pub(crate) stride: u32,
    /// The entries of a single table of up to 256 symbols once more, for lookups in registers.
    pub(crate) bytes: Option<Box<ByteTable<4>>>,
    /// Number of symbols and offset, where all tables have the same.
    pub(crate) uniform: Option<(u32, u32)>,
    /// Position of each table's first interval. This and the next two have an element more than
    /// there are tables, for skipped symbols.
    pub(crate) bases: Vec<u32>,
    /// Symbols of each table.
    pub(crate) symbols: Vec<u32>,
    /// Offset of each table.
    pub(crate) offsets: Vec<u32>,
    pub(super) precision: u32,
}

impl Packed {
    /// Packs tables; `None` where the precision or an alphabet is too large.
    pub(crate) fn build(
        tables: &[TableDescriptor],
        intervals: &[Interval],
        precision: u32,
    ) -> Option<Self> {
        let largest = tables.iter().map(|table| table.symbols).max()?;
        if precision > MAX_PRECISION || largest > 1 << 16 || intervals.len() >= 1 << 30 {
            return None;
        }
        let mut entries = Vec::with_capacity(intervals.len() + tables.len() * APART + 1);
        let mut places = Vec::with_capacity(tables.len() + 1);
        for table in tables {
            places.push(entries.len() as u32);
            let at = table.base as usize;
            let intervals = &intervals[at..at + table.symbols as usize];
            entries.extend(
                intervals.iter().map(|interval| interval.start | (interval.freq - 1) << 16),
            );
            entries.resize(entries.len() + APART, u32::MAX);
        }
        places.push(entries.len() as u32);
        entries.push(((1u32 << precision) - 1) << 16);
        let one = tables.first()?;
        let uniform = tables
            .iter()
            .all(|table| (table.symbols, table.offset) == (one.symbols, one.offset))
            .then_some((one.symbols, one.offset as u32));
        let all = || tables.iter().copied().chain([skipped(intervals.len())]);
        let bytes = (tables.len() == 1 && intervals.len() <= 256).then(|| {
            let mut padded = [0; 256];
            padded[..intervals.len()].copy_from_slice(&entries[..intervals.len()]);
            let mut table = Box::new(ByteTable::zeroed());
            table.set(&padded);
            table
        });
        Some(Self {
            entries,
            places,
            stride: one.symbols + APART as u32,
            bytes,
            uniform,
            bases: all().map(|table| table.base).collect(),
            symbols: all().map(|table| table.symbols).collect(),
            offsets: all().map(|table| table.offset as u32).collect(),
            precision,
        })
    }

    /// How many tables.
    pub(super) fn tables(&self) -> usize {
        self.bases.len() - 1
    }

    /// The intervals of a table.
    pub(super) fn intervals(&self, table: usize) -> impl Iterator<Item = Interval> {
        let base = self.places[table] as usize;
        let entries = &self.entries[base..base + self.symbols[table] as usize];
        entries.iter().map(|entry| Interval { start: entry & 0xffff, freq: (entry >> 16) + 1 })
    }

    /// The place of a table, as the codec has it.
    pub(crate) fn table(&self, table: usize) -> TableDescriptor {
        TableDescriptor {
            base: self.bases[table],
            symbols: self.symbols[table],
            offset: self.offsets[table] as i32,
            log2_symbols: 0,
        }
    }

    /// The last symbol of a table, its offset added.
    #[inline(always)]
    pub(crate) fn last(&self, table: usize) -> u32 {
        self.offsets[table].wrapping_add(self.symbols[table]).wrapping_sub(1)
    }

    /// The entry of the symbol at a slot, and the symbol, by a search: what a bucket holds for most
    /// of its slots.
    #[cold]
    #[inline(never)]
    pub(crate) fn find(&self, table: usize, slot: u32) -> (u32, u32) {
        let base = self.places[table] as usize;
        let entries = &self.entries[base..base + self.symbols[table] as usize];
        let at = entries.partition_point(|entry| entry & 0xffff <= slot).saturating_sub(1);
        (entries[at], (at as u32).wrapping_add(self.offsets[table]))
    }
}

/// The table of skipped symbols: one symbol, which has every slot.
fn skipped(base: usize) -> TableDescriptor {
    TableDescriptor { base: base as u32, symbols: 1, offset: 0, log2_symbols: 0 }
}

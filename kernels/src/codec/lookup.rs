//! How pop finds the symbol at a slot, and where push places one.
//!
//! The stream does not depend on which of search and inverse CDF a decoder uses; only alias tables
//! (see [`alias`](super::alias)) permute the slots.

use super::entry::{Interval, TableDescriptor};

/// The symbol at a slot: its index in the table, its frequency, and the slot's rank among
/// its slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The symbol less the table's offset.
    pub symbol: u32,
    /// Frequency.
    pub freq: u32,
    /// Rank of the slot, in `0..freq`.
    pub rank: u32,
}

/// Finds the symbol at a slot.
pub trait SymbolLookup: Copy {
    /// `number` is the table's number, `table` its place, `slot` lies below `2^precision`.
    fn find(&self, number: u32, table: &TableDescriptor, slot: u32, precision: u32) -> Found;
}

/// Where the slots of a symbol lie.
pub trait Placement: Copy {
    /// Maps a cumulative position (start + rank) to a slot.
    fn place(&self, table: u32, position: u32) -> u32;
}

/// The slots of a symbol lie side by side, as in its CDF.
#[derive(Clone, Copy, Debug, Default)]
pub struct DirectPlacement;

impl Placement for DirectPlacement {
    #[inline(always)]
    fn place(&self, _table: u32, position: u32) -> u32 {
        position
    }
}

/// A slot of a symbol.
#[inline(always)]
pub(super) fn found(intervals: &[Interval], base: u32, symbol: u32, slot: u32) -> Found {
    let interval = intervals.get(base.wrapping_add(symbol) as usize).copied().unwrap_or_default();
    Found { symbol, freq: interval.freq, rank: slot.wrapping_sub(interval.start) }
}

/// The largest symbol of `low..=high` whose start is at most `slot`; `low`'s is.
#[inline(always)]
fn bisect(intervals: &[Interval], base: u32, mut low: u32, mut high: u32, slot: u32) -> u32 {
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        let start = intervals.get(base.wrapping_add(middle) as usize).map_or(u32::MAX, |s| s.start);
        if start <= slot {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}

/// Binary search over the CDF: the smallest tables, `log2(symbols)` dependent loads.
#[derive(Clone, Copy, Debug)]
pub struct SearchLookup<'a> {
    /// The intervals of all tables.
    pub intervals: &'a [Interval],
}

impl SymbolLookup for SearchLookup<'_> {
    #[inline(always)]
    fn find(&self, _number: u32, table: &TableDescriptor, slot: u32, _precision: u32) -> Found {
        let symbol = bisect(self.intervals, table.base, 0, table.symbols.saturating_sub(1), slot);
        found(self.intervals, table.base, symbol, slot)
    }
}

/// Inverse CDF with `2^bits` entries per table: entry k is the symbol at slot
/// `k << (precision - bits)`.
///
/// Dense where `bits` is the precision: one load finds the symbol. Sparse below it: the symbol lies
/// between two neighbouring entries, and bisecting between them bounds the steps even where many
/// narrow symbols share an entry.
#[derive(Clone, Copy, Debug)]
pub struct InverseCdfLookup<'a> {
    /// The intervals of all tables.
    pub intervals: &'a [Interval],
    /// `tables << bits` symbols.
    pub symbols: &'a [u16],
    /// log2 of the entries per table.
    pub bits: u32,
}

impl SymbolLookup for InverseCdfLookup<'_> {
    #[inline(always)]
    fn find(&self, number: u32, table: &TableDescriptor, slot: u32, precision: u32) -> Found {
        let row = (number as usize) << self.bits;
        let bucket = (slot >> (precision - self.bits)) as usize;
        let low = u32::from(self.symbols.get(row + bucket).copied().unwrap_or(0));
        let symbol = if self.bits == precision {
            low
        } else {
            let next = bucket + 1;
            let high = if next >> self.bits == 0 {
                u32::from(self.symbols.get(row + next).copied().unwrap_or(0))
            } else {
                table.symbols.saturating_sub(1)
            };
            bisect(self.intervals, table.base, low, high, slot)
        };
        found(self.intervals, table.base, symbol, slot)
    }
}

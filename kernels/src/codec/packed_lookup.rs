//! Packed tables as the lookups of the general code, which pops what the main loops of kernels
//! leave: symbols with bypass digits, and the last of a row.

use super::entry::{Interval, TableDescriptor};
use super::lookup::{Found, SymbolLookup, found};
use super::packed::{PackedSlot, WideInterval};

/// Lookup by packed slots. Those that are not packed are the sentinel's, the last symbol.
#[derive(Clone, Copy, Debug)]
pub struct PackedSlotsLookup<'a> {
    /// The intervals of all tables.
    pub intervals: &'a [Interval],
    /// `tables << precision` slots.
    pub slots: &'a [u32],
}

/// Lookup by a symbol's number per slot.
#[derive(Clone, Copy, Debug)]
pub struct PackedGuideLookup<'a> {
    /// The intervals of all tables.
    pub intervals: &'a [Interval],
    /// `tables << precision` numbers.
    pub symbols: &'a [u8],
}

/// Lookup by a symbol's number per bucket of slots.
#[derive(Clone, Copy, Debug)]
pub struct PackedWideLookup<'a> {
    /// The intervals of all tables.
    pub intervals: &'a [Interval],
    /// The numbers, `2^`[`bucket_bits`](WideInterval::bucket_bits) a table.
    pub buckets: &'a [u16],
}

impl SymbolLookup for PackedSlotsLookup<'_> {
    #[inline(always)]
    fn find(&self, number: u32, table: &TableDescriptor, slot: u32, precision: u32) -> Found {
        let at = ((number as usize) << precision) + slot as usize;
        let packed = PackedSlot(self.slots.get(at).copied().unwrap_or(0));
        if packed.freq() == 0 {
            found(self.intervals, table.base, table.symbols.wrapping_sub(1), slot)
        } else {
            Found { symbol: packed.symbol(), freq: packed.freq(), rank: packed.rank() }
        }
    }
}

impl SymbolLookup for PackedGuideLookup<'_> {
    #[inline(always)]
    fn find(&self, number: u32, table: &TableDescriptor, slot: u32, precision: u32) -> Found {
        let at = ((number as usize) << precision) + slot as usize;
        let symbol = self.symbols.get(at).map_or(0, |&symbol| symbol.into());
        found(self.intervals, table.base, symbol, slot)
    }
}

impl SymbolLookup for PackedWideLookup<'_> {
    #[inline(always)]
    fn find(&self, number: u32, table: &TableDescriptor, slot: u32, precision: u32) -> Found {
        let bits = WideInterval::bucket_bits(precision);
        let at = ((number as usize) << bits) + (slot >> (precision - bits)) as usize;
        let mut symbol = self.buckets.get(at).map_or(0, |&symbol| symbol.into());
        loop {
            let found = found(self.intervals, table.base, symbol, slot);
            if found.rank < found.freq || symbol >= table.symbols {
                return found;
            }
            symbol += 1;
        }
    }
}

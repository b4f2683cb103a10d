//! Alias tables: one compare finds a symbol among as many buckets as symbols.
//!
//! The alphabet must be a power of two, n. The `2^precision` slots fall into n equal buckets, each
//! shared by the bucket's own symbol (below `divide`) and one other. Both sides use the same
//! permutation of the slots, so a stream pushed with alias tables must be popped with them. A. J.
//! Walker (1977); M. D. Vose (1991) for the construction, which `host/tables` does.

use super::entry::{Interval, TableDescriptor};
use super::lookup::{Found, Placement, SymbolLookup};

/// One bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct AliasBucket {
    /// Slots below belong to the bucket's own symbol, the others to `other`.
    pub divide: u32,
    /// The symbol that shares the bucket.
    pub other: u32,
    /// A slot of the own symbol less this (wrapping) is its rank.
    pub own_shift: u32,
    /// A slot of the other symbol less this (wrapping) is its rank.
    pub other_shift: u32,
}

/// Alias lookup for pop.
#[derive(Clone, Copy, Debug)]
pub struct AliasLookup<'a> {
    /// The intervals of all tables; of an interval only the frequency is read.
    pub intervals: &'a [Interval],
    /// The buckets of all tables, placed as the intervals are.
    pub buckets: &'a [AliasBucket],
}

impl SymbolLookup for AliasLookup<'_> {
    #[inline(always)]
    fn find(&self, _number: u32, table: &TableDescriptor, slot: u32, precision: u32) -> Found {
        let own = slot >> (precision - table.log2_symbols);
        let bucket =
            self.buckets.get(table.base.wrapping_add(own) as usize).copied().unwrap_or_default();
        let (symbol, shift) = if slot < bucket.divide {
            (own, bucket.own_shift)
        } else {
            (bucket.other, bucket.other_shift)
        };
        let interval = self
            .intervals
            .get(table.base.wrapping_add(symbol) as usize)
            .copied()
            .unwrap_or_default();
        Found { symbol, freq: interval.freq, rank: slot.wrapping_sub(shift) }
    }
}

/// Alias placement for push. `T` holds a slot.
#[derive(Clone, Copy, Debug)]
pub struct AliasPlacement<'a, T = u32> {
    /// `tables << precision` slots: the slot of each cumulative position.
    pub remap: &'a [T],
    /// log2 of the slots per table.
    pub precision: u32,
}

impl<T: Copy + Into<u32>> Placement for AliasPlacement<'_, T> {
    #[inline(always)]
    fn place(&self, table: u32, position: u32) -> u32 {
        let at = ((table as usize) << self.precision) + position as usize;
        self.remap.get(at).map_or(0, |&slot| slot.into())
    }
}

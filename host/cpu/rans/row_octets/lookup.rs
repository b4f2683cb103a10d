//! The symbols at eight slots: one bucket of two parts each, and a search where a bucket does not
//! say.

use super::super::tables::PackedTables;
use crate::simd::{Octets, Quads};
use crate::tables::Packed;

/// Buckets of two parts, some of whose slots may be stored nowhere.
pub(super) const PARTS: u8 = 0;
/// The same where every bucket stores all its slots, and no run.
pub(super) const PLAIN: u8 = 1;
/// Those of alias tables.
pub(super) const ALIAS: u8 = 2;

/// The plan's tables as lookups read them.
#[derive(Clone, Copy)]
pub(super) struct PartLookup<'a, V> {
    packed: &'a Packed,
    buckets: Quads<'a, V>,
    /// log2 of the buckets per table.
    bits: V,
    /// Bits of a slot below those that choose its bucket.
    below: V,
    /// The bits of a state that are its slot.
    slot: V,
    /// What symbols are relative to.
    lowest: V,
    /// The last symbol, where it is that of all tables.
    last: Option<V>,
}

/// What a lookup finds for eight slots.
#[derive(Clone, Copy)]
pub(super) struct Found<V> {
    pub(super) freq: V,
    /// Of the slot in its symbol's interval.
    pub(super) rank: V,
    pub(super) symbol: V,
}

impl<'a, V: Copy> PartLookup<'a, V> {
    /// `None` where tables have no such buckets.
    #[inline(always)]
    pub(super) fn new<S: Octets<V = V>>(s: S, tables: &PackedTables<'a>) -> Option<Self> {
        let (packed, precision) = (tables.packed, tables.precision);
        let (bits, lowest, buckets) = match tables.alias {
            Some((alias, _)) => {
                let alias = alias.buckets.as_ref()?;
                (alias.bits, alias.lowest, &alias.buckets)
            }
            None => {
                let parts = tables.form.parts()?;
                (parts.bits, parts.lowest, &parts.buckets)
            }
        };
        Some(Self {
            packed,
            buckets: Quads::new(s, buckets)?,
            bits: s.splat(bits),
            below: s.splat(precision - bits),
            slot: s.splat((1 << precision) - 1),
            lowest: s.splat(lowest),
            last: packed
                .uniform
                .map(|(size, offset)| s.splat(offset.wrapping_add(size).wrapping_sub(1))),
        })
    }

    /// Finds the symbols at the slots of states. `table`: of each, or `None` where it is the first.
    /// `KIND` says which buckets those are.
    #[inline(always)]
    pub(super) fn find<S: Octets<V = V>, const KIND: u8>(
        &self,
        s: S,
        table: Option<V>,
        states: V,
    ) -> Found<V> {
        let slot = s.and(states, self.slot);
        let mut bucket = s.shr_by(slot, self.below);
        if let Some(table) = table {
            bucket = s.add(bucket, s.shl_by(table, self.bits));
        }
        if KIND == ALIAS {
            return self.find_alias(s, bucket, slot);
        }
        let [start, len, freqs, symbols] = s.load_quads(&self.buckets, bucket);
        let rank = s.sub(slot, start);
        let first = s.gt(len, rank);
        let rank = s.sub(rank, s.and_not(first, len));
        let freq = s.shr_by(freqs, s.and_not(first, s.splat(17)));
        let freq = s.and(freq, s.splat(0x1_ffff));
        let symbol = s.shr_by(symbols, s.and_not(first, s.splat(16)));
        let symbol = s.and(symbol, s.splat(0xffff));
        let mut found = Found { freq, rank, symbol };
        if KIND == PARTS {
            // In a run the rank is added to the symbol; that of another such symbol is 0.
            let run = s.eq(freq, s.splat(1));
            found.symbol = s.add(symbol, s.and(run, rank));
            found.rank = s.and_not(run, rank);
            let missed = !s.signs(s.gt(freq, found.rank));
            if missed != 0 {
                found = self.find_missed(s, missed, table, slot, found);
            }
        }
        found.symbol = s.add(found.symbol, self.lowest);
        found
    }

    /// The symbols at slots, by the buckets of alias tables.
    #[inline(always)]
    fn find_alias<S: Octets<V = V>>(&self, s: S, bucket: V, slot: V) -> Found<V> {
        let [divide, shifts, freqs, symbols] = s.load_quads(&self.buckets, bucket);
        let (half, low) = (s.and_not(s.gt(divide, slot), s.splat(16)), s.splat(0xffff));
        let rank = s.and(s.sub(slot, s.shr_by(shifts, half)), low);
        let freq = s.add(s.and(s.shr_by(freqs, half), low), s.splat(1));
        let symbol = s.add(s.and(s.shr_by(symbols, half), low), self.lowest);
        Found { freq, rank, symbol }
    }

    /// Finds the symbols that their buckets do not store.
    #[inline(always)]
    fn find_missed<S: Octets<V = V>>(
        &self,
        s: S,
        missed: u8,
        table: Option<V>,
        slot: V,
        found: Found<V>,
    ) -> Found<V> {
        let mut all = [[0; 8]; 5];
        s.store(table.unwrap_or(s.splat(0)), &mut all[0]);
        s.store(slot, &mut all[1]);
        s.store(found.freq, &mut all[2]);
        s.store(found.rank, &mut all[3]);
        s.store(s.add(found.symbol, self.lowest), &mut all[4]);
        search(self.packed, missed, &mut all);
        Found {
            freq: s.load(&all[2]),
            rank: s.load(&all[3]),
            symbol: s.sub(s.load(&all[4]), self.lowest),
        }
    }

    /// The last symbols of tables: the bypass sentinels, where bypass is on.
    #[inline(always)]
    pub(super) fn last<S: Octets<V = V>>(&self, s: S, table: V) -> V {
        if let Some(last) = self.last {
            return last;
        }
        let sizes = s.gather(&self.packed.symbols, table);
        s.sub(s.add(s.gather(&self.packed.offsets, table), sizes), s.splat(1))
    }
}

/// How many symbols after the first that its bucket does not store are looked at before a search.
const NEAR: usize = 8;

/// The search. Of the elements that are `missed`, it reads tables and slots and replaces
/// frequencies, ranks and symbols.
#[cold]
#[inline(never)]
fn search(packed: &Packed, mut missed: u8, all: &mut [[u32; 8]; 5]) {
    let [tables, slots, freqs, ranks, symbols] = all;
    while missed != 0 {
        let e = missed.trailing_zeros() as usize;
        missed &= missed - 1;
        let (table, slot) = (tables[e] as usize, slots[e]);
        let (base, offset) = (packed.places[table] as usize, packed.offsets[table]);
        let entries = &packed.entries[base..base + packed.symbols[table] as usize];
        // Mostly it is close to the second of its bucket, which the vector stopped at.
        let from = symbols[e].wrapping_sub(offset) as usize;
        let holds = |&entry: &u32| slot.wrapping_sub(entry & 0xffff) <= entry >> 16;
        let near = entries.get(from..).and_then(|after| after.iter().take(NEAR).position(holds));
        let (entry, symbol) = match near {
            Some(at) => (entries[from + at], symbols[e].wrapping_add(at as u32)),
            None => packed.find(table, slot),
        };
        freqs[e] = (entry >> 16) + 1;
        ranks[e] = slot.wrapping_sub(entry & 0xffff);
        symbols[e] = symbol;
    }
}

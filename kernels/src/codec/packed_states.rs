//! Packed tables with a value per slot or state: those of alias lookup and of tANS.
//!
//! Parts as in [`packed`](super::packed), a table's place first. Push: 16 bits per slot, the slots
//! that alias tables remap to or the next states of tANS, and behind them an entry per symbol. Pop:
//! a [`PackedBucket`] per symbol, or a [`TansDecoderEntry`] per state.

use super::alias::AliasBucket;
use super::bypass::BypassCode;
use super::entry::{EncoderEntry, Interval, TableDescriptor};
use super::lookup::{Found, SymbolLookup};
use super::packed::{PackedFamily, PackedTable, Words};
use super::tans::{TansDecoderEntry, TansEncoderEntry};

/// The largest precision of packed alias tables: a slot takes 16 bits.
pub const MAX_ALIAS_PRECISION: u32 = 16;

/// Bytes of a tANS encoder entry, as a power of two.
pub const TANS_ENTRY_LOG2: u32 = 3;

/// Of an alias table's base, the bits that say where it begins; above them, log2 of a bucket's
/// slots.
const BASE_BITS: u32 = 27;

/// The place of the first bucket of an alias table for pop, and log2 of a bucket's slots.
#[inline(always)]
pub const fn alias_base(table: PackedTable) -> (u32, u32) {
    (table.base & ((1 << BASE_BITS) - 1), table.base >> BASE_BITS)
}

/// A bucket of an alias table with all that pop needs: of the bucket's own symbol and of the other
/// the frequency in the low 16 bits and above them the low 16 bits of what is taken off a slot for
/// its rank; the number of the other symbol; the first slot that is the other symbol's. The
/// frequency of a bypass sentinel reads as 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(16))]
pub struct PackedBucket(pub [u32; 4]);

impl PackedBucket {
    /// Bytes, as a power of two.
    pub const LOG2: u32 = 4;

    /// The symbol at a slot of the bucket `own`, its frequency (or 0) and the slot's rank.
    #[inline(always)]
    pub const fn find(self, own: u32, slot: u32) -> Found {
        let [of_own, of_other, other, divide] = self.0;
        let (symbol, part) = if slot < divide { (own, of_own) } else { (other, of_other) };
        Found { symbol, freq: part & 0xffff, rank: slot.wrapping_sub(part >> 16) & 0xffff }
    }
}

/// Alias lookup by packed buckets, with the frequencies of sentinels.
#[derive(Clone, Copy, Debug)]
pub struct PackedAliasLookup<'a> {
    /// The intervals of all tables; of an interval only the frequency is read.
    pub intervals: &'a [Interval],
    /// The buckets of all tables, placed as the intervals are.
    pub buckets: &'a [PackedBucket],
}

impl SymbolLookup for PackedAliasLookup<'_> {
    #[inline(always)]
    fn find(&self, _number: u32, table: &TableDescriptor, slot: u32, precision: u32) -> Found {
        let own = slot >> (precision - table.log2_symbols);
        let at = |symbol: u32| table.base.wrapping_add(symbol) as usize;
        let found = self.buckets.get(at(own)).copied().unwrap_or_default().find(own, slot);
        let freq = self.intervals.get(at(found.symbol)).map_or(0, |interval| interval.freq);
        Found { freq, ..found }
    }
}

impl<P: FnMut(u32)> Words<P> {
    /// A part of encoder entries.
    pub(super) fn entries<F: PackedFamily>(&mut self, entries: &[EncoderEntry<F>]) -> Option<()> {
        for entry in entries {
            for word in F::pack(entry)?.iter().take(1 << (F::ENTRY_LOG2 - 2)) {
                self.store(*word);
            }
        }
        self.end_part();
        Some(())
    }

    /// A part of values of 16 bits.
    fn halves(&mut self, mut values: impl Iterator<Item = u32>) {
        while let Some(low) = values.next() {
            self.store(low | values.next().unwrap_or(0) << 16);
        }
        self.end_part();
    }
}

/// Packs alias tables for push; `None` where they do not fit, with some words stored already.
pub fn pack_alias_entries<F: PackedFamily>(
    tables: &[TableDescriptor],
    entries: &[EncoderEntry<F>],
    remap: &[u32],
    precision: u32,
    bypass: Option<BypassCode>,
    store: impl FnMut(u32),
) -> Option<()> {
    if precision > MAX_ALIAS_PRECISION {
        return None;
    }
    let mut words = Words::new(store);
    words.places(tables, bypass.is_some(), true)?;
    words.halves(remap.iter().copied());
    words.entries(entries)
}

/// Packs alias tables for pop; `None` where they do not fit, with some words stored already.
pub fn pack_alias_buckets(
    tables: &[TableDescriptor],
    intervals: &[Interval],
    buckets: &[AliasBucket],
    precision: u32,
    bypass: Option<BypassCode>,
    store: impl FnMut(u32),
) -> Option<()> {
    if precision > MAX_ALIAS_PRECISION {
        return None;
    }
    let mut words = Words::new(store);
    let mut base = 0;
    for table in tables {
        let PackedTable { place, .. } = PackedTable::new(table, bypass.is_some())?;
        if table.base != base || base >> BASE_BITS != 0 {
            return None;
        }
        base += table.symbols;
        words.store(table.base | precision.checked_sub(table.log2_symbols)? << BASE_BITS);
        words.store(place);
    }
    words.end_part();
    for table in tables {
        let of_table = table.base as usize..(table.base + table.symbols) as usize;
        let intervals_of = intervals.get(of_table.clone())?;
        let part = |symbol: u32, shift: u32| {
            let freq = intervals_of.get(symbol as usize)?.freq;
            let coded = symbol < table.symbols - u32::from(bypass.is_some());
            let freq = if coded { freq } else { 0 };
            (freq >> 16 == 0).then_some(freq | shift << 16)
        };
        for (own, bucket) in (0..).zip(buckets.get(of_table)?) {
            words.store(part(own, bucket.own_shift)?);
            words.store(part(bucket.other, bucket.other_shift)?);
            words.store(bucket.other);
            words.store(bucket.divide);
        }
    }
    Some(())
}

/// Packs tANS tables for push. `next` has `tables << precision` states. A table whose place does
/// not fit has no symbol there: the general code pushes all that it codes.
pub fn pack_tans_entries(
    tables: &[TableDescriptor],
    entries: &[TansEncoderEntry],
    next: &[u16],
    bypass: Option<BypassCode>,
    store: impl FnMut(u32),
) {
    let mut words = Words::new(store);
    for table in tables {
        let PackedTable { base, place } =
            PackedTable::new(table, bypass.is_some()).unwrap_or_default();
        words.store(base.wrapping_sub(table.offset as u32));
        words.store(place);
    }
    words.end_part();
    words.halves(next.iter().map(|&state| u32::from(state)));
    for entry in entries {
        words.store(entry.bits_bias);
        words.store(entry.next_bias);
    }
    words.end_part();
}

/// Packs tANS tables for pop, `entries` those of `tables << precision` states; `None` where they do
/// not fit, with some words stored already. The entry of a bypass sentinel's state is 0.
pub fn pack_tans_states(
    tables: &[TableDescriptor],
    entries: &[TansDecoderEntry],
    precision: u32,
    bypass: Option<BypassCode>,
    store: impl FnMut(u32),
) -> Option<()> {
    let mut words = Words::new(store);
    words.places(tables, bypass.is_some(), false)?;
    for (table, entries) in tables.iter().zip(entries.chunks(1 << precision)) {
        let coded = table.symbols.checked_sub(u32::from(bypass.is_some()))?;
        for entry in entries {
            let word = u32::from(entry.number) | u32::from(entry.symbol) << 16;
            words.store(if u32::from(entry.symbol) < coded { word } else { 0 });
        }
    }
    words.end_part();
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::AliasLookup;

    /// Packed buckets find what alias tables find, and of a sentinel the same with a frequency of
    /// 0.
    #[test]
    fn packed_buckets_find_what_alias_tables_find() {
        // Frequencies 3, 13, 12, 4 of 32; buckets of 8 slots.
        let table = TableDescriptor { base: 0, symbols: 4, offset: 5, log2_symbols: 2 };
        let mut start = 0;
        let intervals = [3, 13, 12, 4].map(|freq| {
            start += freq;
            Interval { start: start - freq, freq }
        });
        let bucket = |divide, other, own_shift, other_shift: i32| AliasBucket {
            divide,
            other,
            own_shift,
            other_shift: other_shift as u32,
        };
        let buckets =
            [bucket(3, 1, 0, 3), bucket(16, 1, 3, 0), bucket(24, 2, 16, 0), bucket(28, 2, 24, 20)];
        let general = AliasLookup { intervals: &intervals, buckets: &buckets };
        for bypass in [None, BypassCode::new(4)] {
            let (mut words, mut count) = ([0; 32], 0);
            let packed = pack_alias_buckets(&[table], &intervals, &buckets, 5, bypass, |word| {
                words[count] = word;
                count += 1;
            });
            assert_eq!((packed, count), (Some(()), 20));
            let place = PackedTable { base: words[0], place: words[1] };
            assert_eq!(alias_base(place), (0, 3));
            assert_eq!((place.offset(), place.symbols()), (5, 4 - u32::from(bypass.is_some())));
            let mut made = [PackedBucket::default(); 4];
            for (bucket, words) in made.iter_mut().zip(words[4..].chunks(4)) {
                bucket.0.copy_from_slice(words);
            }
            let lookup = PackedAliasLookup { intervals: &intervals, buckets: &made };
            for slot in 0..32 {
                let found = general.find(0, &table, slot, 5);
                assert_eq!(lookup.find(0, &table, slot, 5), found, "{slot}");
                let freq = if bypass.is_some() && found.symbol == 3 { 0 } else { found.freq };
                let own = slot >> 3;
                assert_eq!(made[own as usize].find(own, slot), Found { freq, ..found }, "{slot}");
            }
            // Slots take 16 bits.
            let refused = pack_alias_buckets(&[table], &intervals, &buckets, 17, bypass, |_| ());
            assert_eq!(refused, None);
        }
    }

    /// tANS tables whose place does not fit have no symbols for push, and none at all for pop.
    #[test]
    fn places_that_do_not_fit_have_no_symbols() {
        let near = TableDescriptor { base: 0, symbols: 2, offset: -3, log2_symbols: 0 };
        let far = TableDescriptor { base: 2, offset: 1 << 20, ..near };
        let mut words = [0; 16];
        let mut count = 0;
        let entries = [TansEncoderEntry { bits_bias: 7, next_bias: 9 }; 4];
        pack_tans_entries(&[near, far], &entries, &[1, 2, 3, 4], None, |word| {
            words[count] = word;
            count += 1;
        });
        let places = [0, 2].map(|at| PackedTable { base: words[at], place: words[at + 1] });
        assert_eq!((places[0].base, places[0].offset(), places[0].symbols()), (3, -3, 2));
        assert_eq!(places[1].symbols(), 0);
        assert_eq!(words[4..8], [1 | 2 << 16, 3 | 4 << 16, 0, 0]);
        assert_eq!((count, &words[8..10]), (16, &[7, 9][..]));
        let states = [TansDecoderEntry { number: 3, symbol: 1 }; 4];
        assert_eq!(pack_tans_states(&[near, far], &states, 1, None, |_| ()), None);
        let mut last = 0;
        let packed = pack_tans_states(&[near], &states[..2], 1, BypassCode::new(4), |word| {
            last = last.max(word);
        });
        // The place alone is not 0: both states are the sentinel's.
        assert_eq!((packed, last), (Some(()), 1 << 16 | u32::from(-3i16 as u16)));
    }
}

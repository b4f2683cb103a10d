//! Packed tables as lookups of slots one by one, for the few symbols of a row that loops over
//! several rows leave to the codec.

use parans_kernels::codec::lookup::Found;
use parans_kernels::codec::{SymbolLookup, TableDescriptor};

use super::buckets::{PackedForm, RUN, RUN_BEFORE};

/// Lookups in the buckets that vectors read.
#[derive(Clone, Copy)]
pub(crate) struct TwoSymbolLookup<'a>(pub(crate) &'a PackedForm);

impl SymbolLookup for TwoSymbolLookup<'_> {
    #[inline]
    fn find(&self, number: u32, table: &TableDescriptor, slot: u32, precision: u32) -> Found {
        let PackedForm { packed, .. } = self.0;
        let buckets = self.0.two_symbols();
        let at = (number << buckets.bits) + (slot >> (precision - buckets.bits));
        let bucket = buckets.buckets.get(at as usize).copied().unwrap_or_default();
        let (first, second) = (bucket as u32, (bucket >> 32) as u32 & 0xffff);
        // Relative to the table's offset.
        let base = buckets.lowest.map_or(0, |lowest| (table.offset as u32).wrapping_sub(lowest));
        let symbol = ((bucket >> 48) as u32).wrapping_sub(base);
        let (freq, start) = ((first >> 16) + 1, first & 0xffff);
        let rank = slot.wrapping_sub(start);
        if rank < freq {
            return Found { symbol, freq, rank };
        }
        let past = rank.wrapping_sub(freq);
        match second {
            RUN_BEFORE if slot < start => {
                Found { symbol: symbol.wrapping_add(rank), freq: 1, rank: 0 }
            }
            RUN if past < RUN => Found { symbol: symbol + 1 + past, freq: 1, rank: 0 },
            next if next < RUN && past < next => {
                Found { symbol: symbol + 1, freq: next, rank: past }
            }
            _ => {
                let (entry, symbol) = packed.find(number as usize, slot);
                let symbol = symbol.wrapping_sub(table.offset as u32);
                Found { symbol, freq: (entry >> 16) + 1, rank: slot - (entry & 0xffff) }
            }
        }
    }
}

/// Lookups in the buckets that code without vectors reads.
#[derive(Clone, Copy)]
pub(crate) struct OneSymbolLookup<'a>(pub(crate) &'a PackedForm);

impl SymbolLookup for OneSymbolLookup<'_> {
    #[inline]
    fn find(&self, number: u32, table: &TableDescriptor, slot: u32, precision: u32) -> Found {
        let PackedForm { packed, .. } = self.0;
        let buckets = self.0.one_symbol();
        let at = (number << buckets.bits) + (slot >> (precision - buckets.bits));
        let bucket = buckets.buckets.get(at as usize).copied().unwrap_or_default();
        let (mut entry, mut symbol) = (bucket as u32, (bucket >> 32) as u32);
        if slot.wrapping_sub(entry & 0xffff) > entry >> 16 {
            (entry, symbol) = packed.find(number as usize, slot);
        }
        let symbol = symbol.wrapping_sub(table.offset as u32);
        Found { symbol, freq: (entry >> 16) + 1, rank: slot.wrapping_sub(entry & 0xffff) }
    }
}

#[cfg(test)]
mod tests {
    use parans_kernels::codec::{Interval, SearchLookup};
    use rand::{Rng, SeedableRng};

    use super::super::packed::Packed;
    use super::*;

    /// Tables of a few symbols and of many, wide intervals beside slots that are symbols of their
    /// own.
    fn tables(
        rng: &mut impl Rng,
        precision: u32,
        apart: i32,
    ) -> (Vec<TableDescriptor>, Vec<Interval>) {
        let (mut tables, mut intervals) = (Vec::new(), Vec::new());
        for _ in 0..rng.random_range(1..6) {
            let base = intervals.len() as u32;
            let widest = 1 << rng.random_range(0..=precision);
            let mut start = 0;
            while start < 1 << precision {
                let most = ((1 << precision) - start).min(widest);
                let freq = if rng.random_bool(0.5) { 1 } else { rng.random_range(1..=most) };
                intervals.push(Interval { start, freq });
                start += freq;
            }
            let (symbols, offset) =
                (intervals.len() as u32 - base, rng.random_range(-apart..=apart));
            tables.push(TableDescriptor { base, symbols, offset, log2_symbols: 0 });
        }
        (tables, intervals)
    }

    #[test]
    fn packed_lookups_find_what_a_search_finds() {
        let mut rng = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(0);
        for case in 0..40 {
            let precision = rng.random_range(1..=16);
            let apart = if case % 2 == 0 { 300 } else { 1 << 20 };
            let (tables, intervals) = tables(&mut rng, precision, apart);
            let packed =
                Packed::build(&tables, &intervals, precision).expect("no table is too large");
            let form = PackedForm::new(packed);
            let search = SearchLookup { intervals: &intervals };
            for (number, table) in (0..).zip(&tables) {
                for slot in 0..1 << precision {
                    let found = |lookup: &dyn Fn() -> Found| {
                        let Found { symbol, freq, rank } = lookup();
                        (symbol, freq, rank)
                    };
                    let want = found(&|| search.find(number, table, slot, precision));
                    let two = TwoSymbolLookup(&form);
                    assert_eq!(found(&|| two.find(number, table, slot, precision)), want);
                    let one = OneSymbolLookup(&form);
                    assert_eq!(found(&|| one.find(number, table, slot, precision)), want);
                }
            }
        }
    }
}

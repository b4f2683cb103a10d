//! Slots by their leading bits, for vectors: buckets that each tell two neighbouring owners, so that hardly a slot is missed.
//!
//! A vector stops for every slot that one of its elements misses, which costs as much as some hundred hits. Most buckets have one owner or two.
//! Those with more stand mostly in the tails of a distribution, where each slot is a symbol of its own: a run of such is told as one.

use parans_kernels::codec::lookup::Found;
use parans_kernels::codec::{Lookup, Span, TableSpan};

use super::packed::{Packed, choose_bits};

/// More buckets are only worth their room while more than one slot in so many is missed.
const MISSES: u64 = 400;

/// In place of the frequency of a second owner: from here on each slot of the bucket has an owner of its own.
pub(crate) const RUN: u32 = 0xffff;

/// Buckets of two owners.
#[derive(Clone, Debug)]
pub(crate) struct Pairs {
    /// log2 of the buckets a table.
    pub(crate) bits: u32,
    /// What symbols are told relative to: the lowest of all, or `None` where they lie too far apart and it is each table's offset.
    pub(crate) lowest: Option<u32>,
    /// Whether no bucket has more than one owner: then the low half of each holds all.
    pub(crate) single: bool,
    /// `(tables + 1) << bits` buckets; the last table is that of skipped symbols, whose symbol is 0:
    /// `start | (freq - 1) << 16` of the first owner, `freq << 32` of the next one ([`RUN`] for a run, 0 for none) and `symbol << 48` of the first.
    pub(crate) buckets: Vec<u64>,
}

impl Pairs {
    pub(super) fn build(packed: &Packed) -> Self {
        let count = packed.tables();
        let bits = choose_bits(packed, MISSES, |table, bits| {
            let mut missed = 1u64 << packed.precision;
            each_pair(packed.spans(table), packed.precision - bits, |pair, count| {
                missed -= u64::from(pair.owned) * count as u64;
            });
            missed
        });
        // The table of skipped symbols among them.
        let ends = packed.offsets.iter().zip(&packed.symbols);
        let (lowest, end) = ends.fold((0, 1), |(lowest, end), (&offset, &symbols)| {
            let offset = i64::from(offset as i32);
            (offset.min(lowest), (offset + i64::from(symbols)).max(end))
        });
        let lowest = (end - lowest <= 1 << 16).then_some(lowest as u32);
        let mut single = true;
        let mut buckets = Vec::with_capacity((count + 1) << bits);
        for table in 0..count {
            let base = lowest.map_or(0, |lowest| packed.offsets[table].wrapping_sub(lowest));
            each_pair(packed.spans(table), packed.precision - bits, |pair, count| {
                let owner = u64::from(pair.first.start | (pair.first.freq - 1) << 16);
                single &= pair.second == 0 && pair.owned == 1 << (packed.precision - bits);
                let symbol = u64::from(base + pair.number);
                let bucket = owner | u64::from(pair.second) << 32 | symbol << 48;
                buckets.resize(buckets.len() + count, bucket);
            });
        }
        let skipped = u64::from(0u32.wrapping_sub(lowest.unwrap_or(0)));
        let bucket = ((1 << packed.precision) - 1) << 16 | skipped << 48;
        buckets.resize((count + 1) << bits, bucket);
        Self { bits, lowest, single, buckets }
    }
}

/// Lookups of slots one by one, for the few symbols of a row that vectors leave.
pub(crate) struct PairsLookup<'a>(pub(crate) &'a Packed);

impl Lookup for PairsLookup<'_> {
    #[inline]
    fn find(&self, number: u32, table: &TableSpan, slot: u32, precision: u32) -> Found {
        let Self(packed) = *self;
        let pairs = packed.pairs();
        let at = (number << pairs.bits) + (slot >> (precision - pairs.bits));
        let bucket = pairs.buckets.get(at as usize).copied().unwrap_or_default();
        let (owner, second) = (bucket as u32, (bucket >> 32) as u32 & 0xffff);
        // Relative to the table's offset.
        let base = pairs.lowest.map_or(0, |lowest| (table.offset as u32).wrapping_sub(lowest));
        let symbol = ((bucket >> 48) as u32).wrapping_sub(base);
        let (freq, rank) = ((owner >> 16) + 1, slot.wrapping_sub(owner & 0xffff));
        if rank < freq {
            return Found { symbol, freq, rank };
        }
        let past = rank - freq;
        if past >= second {
            let (entry, symbol) = packed.find(number as usize, slot);
            let symbol = symbol.wrapping_sub(table.offset as u32);
            return Found { symbol, freq: (entry >> 16) + 1, rank: slot - (entry & 0xffff) };
        }
        if second == RUN {
            return Found { symbol: symbol + 1 + past, freq: 1, rank: 0 };
        }
        Found { symbol: symbol + 1, freq: second, rank: past }
    }
}

/// What a bucket tells.
#[derive(Clone, Copy, Default)]
struct Pair {
    /// The first owner's number in its table.
    number: u32,
    first: Span,
    /// Frequency of the next owner, [`RUN`] or 0.
    second: u32,
    /// How many slots of the bucket these own.
    owned: u32,
}

/// Finds, for each bucket of `1 << shift` slots of a table, the two neighbours, or the owner and the run after it, that own most of its slots. `found`
/// gets it and for how many buckets on end it holds.
fn each_pair(spans: impl Iterator<Item = Span>, shift: u32, mut found: impl FnMut(Pair, usize)) {
    let slots = 1u32 << shift;
    let mut best = Pair::default();
    let mut before: Option<Pair> = None;
    let mut run: Option<Pair> = None;
    for (number, span) in (0..).zip(spans) {
        let end = span.start + span.freq;
        let mut from = span.start;
        while from < end {
            let whole = (end - from) >> shift;
            if from & (slots - 1) == 0 && whole > 0 {
                found(Pair { number, first: span, second: 0, owned: slots }, whole as usize);
                from += whole << shift;
                continue;
            }
            let bucket_end = ((from >> shift) + 1) << shift;
            let to = end.min(bucket_end);
            let alone = Pair { number, first: span, second: 0, owned: to - from };
            let mut offer = |pair: Pair| {
                if pair.owned > best.owned {
                    best = pair;
                }
            };
            offer(alone);
            if let Some(before) = before
                && span.freq < RUN
            {
                offer(Pair { second: span.freq, owned: before.owned + alone.owned, ..before });
            }
            run = (span.freq == 1).then(|| {
                let begin = run.or(before).unwrap_or(Pair { owned: 0, ..alone });
                Pair { second: RUN, owned: begin.owned + 1, ..begin }
            });
            before = Some(alone);
            if to == bucket_end {
                run.into_iter().for_each(offer);
                found(best, 1);
                (best, before, run) = (Pair::default(), None, None);
            }
            from = to;
        }
    }
}

#[cfg(test)]
mod tests {
    use parans_kernels::codec::SearchLookup;
    use rand::{Rng, SeedableRng};

    use super::super::BucketsLookup;
    use super::*;

    /// Tables of a few symbols and of many, wide intervals beside slots that are symbols of their own.
    fn tables(rng: &mut impl Rng, precision: u32, apart: i32) -> (Vec<TableSpan>, Vec<Span>) {
        let (mut tables, mut spans) = (Vec::new(), Vec::new());
        for _ in 0..rng.random_range(1..6) {
            let base = spans.len() as u32;
            let widest = 1 << rng.random_range(0..=precision);
            let mut start = 0;
            while start < 1 << precision {
                let most = ((1 << precision) - start).min(widest);
                let freq = if rng.random_bool(0.5) { 1 } else { rng.random_range(1..=most) };
                spans.push(Span { start, freq });
                start += freq;
            }
            let (symbols, offset) = (spans.len() as u32 - base, rng.random_range(-apart..=apart));
            tables.push(TableSpan { base, symbols, offset, log2_symbols: 0 });
        }
        (tables, spans)
    }

    #[test]
    fn packed_lookups_find_what_a_search_finds() {
        let mut rng = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(0);
        for case in 0..40 {
            let precision = rng.random_range(1..=16);
            let apart = if case % 2 == 0 { 300 } else { 1 << 20 };
            let (tables, spans) = tables(&mut rng, precision, apart);
            let packed = Packed::build(&tables, &spans, precision).expect("no table is too large");
            let search = SearchLookup { spans: &spans };
            for (number, table) in (0..).zip(&tables) {
                for slot in 0..1 << precision {
                    let found = |lookup: &dyn Fn() -> Found| {
                        let Found { symbol, freq, rank } = lookup();
                        (symbol, freq, rank)
                    };
                    let want = found(&|| search.find(number, table, slot, precision));
                    let pairs = PairsLookup(&packed);
                    assert_eq!(found(&|| pairs.find(number, table, slot, precision)), want);
                    let buckets = BucketsLookup(&packed);
                    assert_eq!(found(&|| buckets.find(number, table, slot, precision)), want);
                }
            }
        }
    }
}

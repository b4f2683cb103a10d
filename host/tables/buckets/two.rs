//! Buckets of two symbols: slots by their leading bits, for vectors. Each bucket stores two
//! neighbouring symbols, so that hardly a slot misses.
//!
//! A vector stops for every slot of its elements that misses, which costs as much as some hundred
//! hits. Most buckets have one symbol or two. Those with more stand mostly in the tails of a
//! distribution, where each slot is a symbol of its own: a run of such is stored as one, after a
//! symbol or before it.

use parans_kernels::codec::Interval;

use super::bits::choose_bits;
use crate::tables::packed::Packed;

/// More buckets are only worth their memory while more than one slot in so many misses.
const MISSES: u64 = 800;

/// In place of the frequency of a second symbol: from here on each slot of the bucket is a symbol
/// of its own.
pub(crate) const RUN: u32 = 0xfffe;

/// Likewise: each slot of the bucket before the first symbol is a symbol of its own.
pub(crate) const RUN_BEFORE: u32 = 0xffff;

/// Buckets of two symbols each.
#[derive(Clone, Debug)]
pub(crate) struct TwoSymbolBuckets {
    /// log2 of the buckets per table.
    pub(crate) bits: u32,
    /// What stored symbols are relative to: the lowest of all, or `None` where they lie too far
    /// apart and it is each table's offset.
    pub(crate) lowest: Option<u32>,
    /// Whether no bucket has more than one symbol: then the low half of each holds all.
    pub(crate) single: bool,
    /// `(tables + 1) << bits` buckets; the last table is that of skipped symbols, whose symbol is
    /// 0: `start | (freq - 1) << 16` of the first symbol, `freq << 32` of the next one ([`RUN`] or
    /// [`RUN_BEFORE`] for a run, 0 for none) and `symbol << 48` of the first.
    pub(crate) buckets: Vec<u64>,
}

impl TwoSymbolBuckets {
    pub(super) fn build(packed: &Packed) -> Self {
        let count = packed.tables();
        let bits = choose_bits(packed, MISSES, |table, bits| {
            let mut misses = 1u64 << packed.precision;
            each_bucket(packed.intervals(table), packed.precision - bits, |bucket, count| {
                misses -= u64::from(bucket.hits) * count as u64;
            });
            misses
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
            each_bucket(packed.intervals(table), packed.precision - bits, |bucket, count| {
                let first = u64::from(bucket.first.start | (bucket.first.freq - 1) << 16);
                single &= bucket.second == 0 && bucket.hits == 1 << (packed.precision - bits);
                let symbol = u64::from(base + bucket.index);
                let bucket = first | u64::from(bucket.second) << 32 | symbol << 48;
                buckets.resize(buckets.len() + count, bucket);
            });
        }
        let skipped = u64::from(0u32.wrapping_sub(lowest.unwrap_or(0)));
        let bucket = ((1 << packed.precision) - 1) << 16 | skipped << 48;
        buckets.resize((count + 1) << bits, bucket);
        Self { bits, lowest, single, buckets }
    }
}

/// What a bucket stores.
#[derive(Clone, Copy, Default)]
struct Bucket {
    /// The first symbol's index in its table.
    index: u32,
    first: Interval,
    /// Frequency of the next symbol, [`RUN`], [`RUN_BEFORE`] or 0.
    second: u32,
    /// How many slots of the bucket are these symbols'.
    hits: u32,
}

/// Finds, for each bucket of `1 << shift` slots of a table, the two neighbours, or the symbol and
/// the run beside it, with most of its slots. `found` gets it and how many buckets in a row it
/// holds for.
fn each_bucket(
    intervals: impl Iterator<Item = Interval>,
    shift: u32,
    mut found: impl FnMut(Bucket, usize),
) {
    let slots = 1u32 << shift;
    let mut best = Bucket::default();
    let mut before: Option<Bucket> = None;
    let mut run: Option<Bucket> = None;
    // How many slots there are in the bucket so far, if each is a symbol's only one.
    let mut ones = Some(0);
    for (index, interval) in (0..).zip(intervals) {
        let end = interval.start + interval.freq;
        let mut from = interval.start;
        while from < end {
            let whole = (end - from) >> shift;
            if from & (slots - 1) == 0 && whole > 0 {
                found(Bucket { index, first: interval, second: 0, hits: slots }, whole as usize);
                from += whole << shift;
                continue;
            }
            let bucket_end = ((from >> shift) + 1) << shift;
            let to = end.min(bucket_end);
            let alone = Bucket { index, first: interval, second: 0, hits: to - from };
            let mut offer = |bucket: Bucket| {
                if bucket.hits > best.hits {
                    best = bucket;
                }
            };
            offer(alone);
            if let Some(before) = before
                && interval.freq < RUN
            {
                offer(Bucket { second: interval.freq, hits: before.hits + alone.hits, ..before });
            }
            if let Some(ones) = ones {
                offer(Bucket { second: RUN_BEFORE, hits: ones + alone.hits, ..alone });
            }
            ones = ones.filter(|_| interval.freq == 1).map(|ones| ones + 1);
            run = (interval.freq == 1).then(|| {
                let begin = run.or(before).unwrap_or(Bucket { hits: 0, ..alone });
                Bucket { second: RUN, hits: begin.hits + 1, ..begin }
            });
            before = Some(alone);
            if to == bucket_end {
                run.into_iter().for_each(offer);
                found(best, 1);
                (best, before, run, ones) = (Bucket::default(), None, None, Some(0));
            }
            from = to;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;
    use crate::{Precision, Tables};

    /// The frequency, rank and symbol of a slot by its bucket, as vectors take them; `None` for a
    /// miss.
    fn look_up(
        buckets: &TwoSymbolBuckets,
        table: usize,
        slot: u32,
        precision: u32,
    ) -> Option<[u32; 3]> {
        let at = (table << buckets.bits) + (slot >> (precision - buckets.bits)) as usize;
        let bucket = buckets.buckets[at];
        let (first, second, symbol) =
            (bucket as u32, (bucket >> 32) as u32 & 0xffff, (bucket >> 48) as u32);
        let (freq, start) = ((first >> 16) + 1, first & 0xffff);
        if slot < start {
            assert!(!buckets.single, "a bucket of several symbols");
            return (second == RUN_BEFORE).then(|| [1, 0, symbol - (start - slot)]);
        }
        let rank = slot - start;
        let Some(after) = rank.checked_sub(freq) else { return Some([freq, rank, symbol]) };
        assert!(!buckets.single, "a bucket of two symbols");
        match second {
            RUN => Some([1, 0, symbol + 1 + after]),
            RUN_BEFORE => None,
            _ => (after < second).then_some([second, after, symbol + 1]),
        }
    }

    /// Checks every slot and returns how many miss.
    fn check(frequencies: &[Vec<u32>], offsets: &[i32], precision: u32) -> usize {
        let tables = Tables::from_frequencies(
            frequencies,
            Some(offsets),
            Precision::new(precision).unwrap(),
        )
        .unwrap();
        let buckets = tables.prepared().packed().unwrap().two_symbols();
        let relative = |offset: i32| match buckets.lowest {
            Some(lowest) => (offset as u32).wrapping_sub(lowest),
            None => 0,
        };
        let mut misses = 0;
        for (table, frequencies) in frequencies.iter().enumerate() {
            let mut slot = 0;
            for (index, &freq) in (0..).zip(frequencies) {
                for rank in 0..freq {
                    let stored = [freq, rank, relative(offsets[table]) + index];
                    match look_up(buckets, table, slot, precision) {
                        Some(found) => assert_eq!(found, stored, "table {table}, slot {slot}"),
                        None => misses += 1,
                    }
                    slot += 1;
                }
            }
            assert_eq!(slot, 1 << precision);
        }
        for slot in 0..1 << precision {
            let symbol = if buckets.lowest.is_some() { relative(0) } else { 0 };
            let skipped = look_up(buckets, frequencies.len(), slot, precision);
            assert_eq!(skipped, Some([1 << precision, slot, symbol]));
        }
        misses
    }

    /// A table of these weights, each symbol with a slot at least.
    fn quantised(weights: &[u64], precision: u32) -> Vec<u32> {
        let weights = ndarray::ArrayView2::from_shape((1, weights.len()), weights).unwrap();
        let one = Tables::builder(Precision::new(precision).unwrap()).counts(weights).unwrap();
        one.frequencies(0).collect()
    }

    #[test]
    fn buckets_store_symbols_or_nothing() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(0);
        let mut misses = 0;
        for precision in 1..=16 {
            for count in [1, 3] {
                for far in [false, true] {
                    let mut weights = |_| -> Vec<u32> {
                        let most = (1usize << precision).min(700);
                        let alphabet = rng.random_range(1..=most);
                        let skew = rng.random_range(0.0..20.0);
                        let weight = |rng: &mut Xoshiro256PlusPlus| {
                            (rng.random_range(0.0f64..1.0).powf(skew) * 1e6) as u64 + 1
                        };
                        let weights: Vec<u64> = (0..alphabet).map(|_| weight(&mut rng)).collect();
                        quantised(&weights, precision)
                    };
                    let frequencies: Vec<Vec<u32>> = (0..count).map(&mut weights).collect();
                    let apart = if far { 70_000 } else { -7 };
                    let offsets: Vec<i32> = (0..count).map(|table| table * apart).collect();
                    misses += check(&frequencies, &offsets, precision);
                }
            }
        }
        assert_ne!(misses, 0, "misses are checked as well");
    }

    #[test]
    fn widest_symbols_fit() {
        let all = 1u32 << 16;
        for frequencies in [
            vec![all],
            vec![1, all - 1],
            vec![all - 1, 1],
            vec![1, 1, all - 2],
            vec![all - 2, 1, 1],
            vec![2, all - 4, 1, 1],
            vec![1; 1 << 16],
        ] {
            let misses = check(&[frequencies], &[0], 16);
            assert!(misses <= 2, "{misses}");
        }
    }

    /// Discretised Gaussians of deviations from 1 to 22 have long tails of single slots: few miss.
    #[test]
    fn few_slots_of_gaussians_miss() {
        for precision in [12, 15, 16] {
            let table = |table: i32| {
                let deviation = (f64::from(table) * 4.5 / 63.0).exp2();
                let weight = |symbol: i32| {
                    let x = f64::from(symbol - 128) / deviation;
                    ((-0.5 * x * x).exp() * 1e9) as u64
                };
                quantised(&(0..256).map(weight).collect::<Vec<_>>(), precision)
            };
            let frequencies: Vec<Vec<u32>> = (0..64).map(table).collect();
            let misses = check(&frequencies, &[0; 64], precision);
            println!("precision {precision}: {misses} of {} slots miss", 64 << precision);
            assert!(misses < (64 << precision) / 900, "{precision}: {misses}");
        }
    }
}

//! Slots by their leading bits, for vectors: buckets that each tell two neighbouring owners, so
//! that hardly a slot is missed.
//!
//! A vector stops for every slot that one of its elements misses, which costs as much as some
//! hundred hits. Most buckets have one owner or two. Those with more stand mostly in the tails of a
//! distribution, where each slot is a symbol of its own: a run of such is told as one, after an
//! owner or before it.

use parans_kernels::codec::Span;

use super::packed::{Packed, choose_bits};

/// More buckets are only worth their room while more than one slot in so many is missed.
const MISSES: u64 = 800;

/// In place of the frequency of a second owner: from here on each slot of the bucket has an owner
/// of its own.
pub(crate) const RUN: u32 = 0xfffe;

/// Likewise: each slot of the bucket before the first owner has an owner of its own.
pub(crate) const RUN_BEFORE: u32 = 0xffff;

/// Buckets of two owners.
#[derive(Clone, Debug)]
pub(crate) struct Pairs {
    /// log2 of the buckets a table.
    pub(crate) bits: u32,
    /// What symbols are told relative to: the lowest of all, or `None` where they lie too far apart
    /// and it is each table's offset.
    pub(crate) lowest: Option<u32>,
    /// Whether no bucket has more than one owner: then the low half of each holds all.
    pub(crate) single: bool,
    /// `(tables + 1) << bits` buckets; the last table is that of skipped symbols, whose symbol is
    /// 0: `start | (freq - 1) << 16` of the first owner, `freq << 32` of the next one ([`RUN`] or
    /// [`RUN_BEFORE`] for a run, 0 for none) and `symbol << 48` of the first.
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

/// What a bucket tells.
#[derive(Clone, Copy, Default)]
struct Pair {
    /// The first owner's number in its table.
    number: u32,
    first: Span,
    /// Frequency of the next owner, [`RUN`], [`RUN_BEFORE`] or 0.
    second: u32,
    /// How many slots of the bucket these own.
    owned: u32,
}

/// Finds, for each bucket of `1 << shift` slots of a table, the two neighbours, or the owner and
/// the run beside it, that own most of its slots. `found` gets it and for how many buckets on end
/// it holds.
fn each_pair(spans: impl Iterator<Item = Span>, shift: u32, mut found: impl FnMut(Pair, usize)) {
    let slots = 1u32 << shift;
    let mut best = Pair::default();
    let mut before: Option<Pair> = None;
    let mut run: Option<Pair> = None;
    // How many slots there are in the bucket so far, if each is a symbol's only one.
    let mut ones = Some(0);
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
            if let Some(ones) = ones {
                offer(Pair { second: RUN_BEFORE, owned: ones + alone.owned, ..alone });
            }
            ones = ones.filter(|_| span.freq == 1).map(|ones| ones + 1);
            run = (span.freq == 1).then(|| {
                let begin = run.or(before).unwrap_or(Pair { owned: 0, ..alone });
                Pair { second: RUN, owned: begin.owned + 1, ..begin }
            });
            before = Some(alone);
            if to == bucket_end {
                run.into_iter().for_each(offer);
                found(best, 1);
                (best, before, run, ones) = (Pair::default(), None, None, Some(0));
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
    fn look_up(pairs: &Pairs, table: usize, slot: u32, precision: u32) -> Option<[u32; 3]> {
        let at = (table << pairs.bits) + (slot >> (precision - pairs.bits)) as usize;
        let bucket = pairs.buckets[at];
        let (owner, second, symbol) =
            (bucket as u32, (bucket >> 32) as u32 & 0xffff, (bucket >> 48) as u32);
        let (freq, start) = ((owner >> 16) + 1, owner & 0xffff);
        if slot < start {
            assert!(!pairs.single, "a bucket of several owners");
            return (second == RUN_BEFORE).then(|| [1, 0, symbol - (start - slot)]);
        }
        let rank = slot - start;
        let Some(after) = rank.checked_sub(freq) else { return Some([freq, rank, symbol]) };
        assert!(!pairs.single, "a bucket of two owners");
        match second {
            RUN => Some([1, 0, symbol + 1 + after]),
            RUN_BEFORE => None,
            _ => (after < second).then_some([second, after, symbol + 1]),
        }
    }

    /// Checks every slot and gives how many are missed.
    fn check(frequencies: &[Vec<u32>], offsets: &[i32], precision: u32) -> usize {
        let tables = Tables::from_frequencies(
            frequencies,
            Some(offsets),
            Precision::new(precision).unwrap(),
        )
        .unwrap();
        let packed = tables.prepared().packed().unwrap();
        let pairs = packed.pairs();
        let relative = |offset: i32| match pairs.lowest {
            Some(lowest) => (offset as u32).wrapping_sub(lowest),
            None => 0,
        };
        let mut missed = 0;
        for (table, frequencies) in frequencies.iter().enumerate() {
            let mut slot = 0;
            for (number, &freq) in (0..).zip(frequencies) {
                for rank in 0..freq {
                    let owner = [freq, rank, relative(offsets[table]) + number];
                    match look_up(pairs, table, slot, precision) {
                        Some(found) => assert_eq!(found, owner, "table {table}, slot {slot}"),
                        None => missed += 1,
                    }
                    slot += 1;
                }
            }
            assert_eq!(slot, 1 << precision);
        }
        for slot in 0..1 << precision {
            let symbol = if pairs.lowest.is_some() { relative(0) } else { 0 };
            let skipped = look_up(pairs, frequencies.len(), slot, precision);
            assert_eq!(skipped, Some([1 << precision, slot, symbol]));
        }
        missed
    }

    /// A table of these weights, each symbol with a slot at least.
    fn quantised(weights: &[u64], precision: u32) -> Vec<u32> {
        let weights = ndarray::ArrayView2::from_shape((1, weights.len()), weights).unwrap();
        let one = Tables::builder(Precision::new(precision).unwrap()).counts(weights).unwrap();
        one.frequencies(0).collect()
    }

    #[test]
    fn buckets_tell_owners_or_nothing() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(0);
        let mut missed = 0;
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
                    missed += check(&frequencies, &offsets, precision);
                }
            }
        }
        assert_ne!(missed, 0, "misses are checked as well");
    }

    #[test]
    fn widest_owners_fit() {
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
            let missed = check(&[frequencies], &[0], 16);
            assert!(missed <= 2, "{missed}");
        }
    }

    /// Discretised Gaussians of deviations from 1 to 22 have long tails of single slots: few are
    /// missed.
    #[test]
    fn few_slots_of_gaussians_are_missed() {
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
            let missed = check(&frequencies, &[0; 64], precision);
            println!("precision {precision}: {missed} of {} slots are missed", 64 << precision);
            assert!(missed < (64 << precision) / 900, "{precision}: {missed}");
        }
    }
}

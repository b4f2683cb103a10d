//! Buckets of two parts, 16 bytes each, for vectors of eight elements: slots by their leading bits.
//!
//! A part is a symbol, or a run of symbols of one slot each, as the tails of a distribution have
//! them. The first part has the bucket's first slot, so that no slot lies before it.

use parans_kernels::codec::Interval;

use super::bits::choose_bits;
use crate::simd::Quad;
use crate::tables::packed::Packed;

/// More buckets are only worth their memory while more than one slot in so many misses.
const MISSES: u64 = 800;

/// Buckets of two parts each.
#[derive(Clone, Debug)]
pub(crate) struct PartBuckets {
    /// log2 of the buckets per table.
    pub(crate) bits: u32,
    /// What stored symbols are relative to: the lowest of all.
    pub(crate) lowest: u32,
    /// Whether every bucket stores all its slots, and no part is a run.
    pub(crate) plain: bool,
    /// `(tables + 1) << bits` buckets; the last table is that of skipped symbols, whose symbol is
    /// 0. A bucket is the first slot of the first part, how many slots the part has, the parts'
    /// frequencies (`first | second << 17`) and first symbols (`first | second << 16`). In a run
    /// the frequency is 1, and a slot's rank in the part is added to the symbol. A slot whose rank
    /// in the second part is not below the frequency is stored nowhere: 0 is below none.
    pub(crate) buckets: Vec<Quad>,
}

impl PartBuckets {
    /// The buckets of tables; `None` where their symbols lie too far apart for 16 bits.
    pub(super) fn build(packed: &Packed) -> Option<Self> {
        let count = packed.tables();
        let intervals = |table| packed.intervals(table).collect::<Vec<_>>();
        let bits = choose_bits(packed, MISSES, |table, bits| {
            let mut misses = 0;
            each_bucket(&intervals(table), packed.precision - bits, |bucket| {
                misses += u64::from(bucket.misses)
            });
            misses
        });
        // The symbol of skipped ones among them.
        let ends = packed.offsets.iter().zip(&packed.symbols);
        let (lowest, end) = ends.fold((0, 1), |(lowest, end), (&offset, &symbols)| {
            let offset = i64::from(offset as i32);
            (offset.min(lowest), (offset + i64::from(symbols)).max(end))
        });
        if end - lowest > 1 << 16 {
            return None;
        }
        let lowest = lowest as u32;
        let mut plain = true;
        let mut buckets = Vec::with_capacity((count + 1) << bits);
        for table in 0..count {
            let base = packed.offsets[table].wrapping_sub(lowest);
            each_bucket(&intervals(table), packed.precision - bits, |bucket| {
                let Bucket { start, len, freqs, symbols, misses, runs } = bucket;
                plain &= misses == 0 && !runs;
                let symbols = symbols.map(|symbol| symbol.wrapping_add(base) & 0xffff);
                let [first, second] = symbols;
                buckets.push(Quad([start, len, freqs[0] | freqs[1] << 17, first | second << 16]));
            });
        }
        let all = 1 << packed.precision;
        let skipped = Quad([0, all, all, 0u32.wrapping_sub(lowest)]);
        buckets.resize((count + 1) << bits, skipped);
        Some(Self { bits, lowest, plain, buckets })
    }
}

/// What a bucket stores; symbols are indexes in their table.
struct Bucket {
    start: u32,
    len: u32,
    freqs: [u32; 2],
    symbols: [u32; 2],
    /// How many slots are stored nowhere.
    misses: u32,
    /// Whether a part is a run of several symbols.
    runs: bool,
}

/// Finds the parts of each bucket of `1 << shift` slots.
fn each_bucket(intervals: &[Interval], shift: u32, mut found: impl FnMut(Bucket)) {
    let Some(last) = intervals.last() else { return };
    let end_of = |interval: &Interval| interval.start + interval.freq;
    let mut first = 0;
    for begin in (0..end_of(last)).step_by(1 << shift) {
        let end = begin + (1 << shift);
        while end_of(&intervals[first]) <= begin {
            first += 1;
        }
        // How many symbols of one slot there are from one on, up to the bucket's end.
        let run = |from: usize| {
            let ones = |interval: &&Interval| interval.freq == 1 && interval.start < end;
            intervals[from..].iter().take_while(ones).count()
        };
        let Interval { start, freq } = intervals[first];
        let ones = run(first);
        let (len, second) = if freq == 1 { (ones as u32, first + ones) } else { (freq, first + 1) };
        let mut bucket = Bucket {
            start,
            len,
            freqs: [freq, 0],
            symbols: [first as u32, second as u32],
            misses: 0,
            runs: freq == 1 && ones > 1,
        };
        if start + len < end {
            let Interval { start: from, freq } = intervals[second];
            let ones = run(second);
            if freq == 1 && from + ones as u32 == end {
                bucket.freqs[1] = 1;
                bucket.runs |= ones > 1;
            } else if freq > 1 && freq < 1 << 15 {
                bucket.freqs[1] = freq;
                bucket.misses = end.saturating_sub(from + freq);
            } else {
                bucket.misses = end - from;
            }
        }
        found(bucket);
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use crate::{Precision, Tables};

    /// Checks every slot of tables and of the skipped one; returns how many miss.
    fn check(frequencies: &[Vec<u32>], offsets: &[i32], precision: u32) -> usize {
        let tables = Tables::from_frequencies(
            frequencies,
            Some(offsets),
            Precision::new(precision).unwrap(),
        )
        .unwrap();
        let form = tables.prepared().packed().unwrap();
        let found = form.parts().unwrap();
        // The frequency, rank and symbol of a slot by its bucket, as vectors take them.
        let look_up = |table: usize, slot: u32| {
            let at = (table << found.bits) + (slot >> (precision - found.bits)) as usize;
            let [start, len, freqs, symbols] = found.buckets[at].0;
            let mut rank = slot - start;
            let mut part = (freqs & 0x1ffff, symbols & 0xffff);
            if rank >= len {
                rank -= len;
                part = (freqs >> 17, symbols >> 16);
            }
            let (freq, mut symbol) = part;
            if freq == 1 {
                (symbol, rank) = (symbol + rank, 0);
            }
            (rank < freq).then(|| [freq, rank, symbol.wrapping_add(found.lowest)])
        };
        let mut misses = 0;
        for (table, frequencies) in frequencies.iter().enumerate() {
            let mut slot = 0;
            for (index, &freq) in (0..).zip(frequencies) {
                for rank in 0..freq {
                    let stored = [freq, rank, (offsets[table] + index) as u32];
                    match look_up(table, slot) {
                        Some(found) => assert_eq!(found, stored, "table {table}, slot {slot}"),
                        None => misses += 1,
                    }
                    slot += 1;
                }
            }
            assert_eq!(slot, 1 << precision);
        }
        for slot in 0..1 << precision {
            assert_eq!(look_up(frequencies.len(), slot), Some([1 << precision, slot, 0]));
        }
        if found.plain {
            assert_eq!(misses, 0);
        }
        misses
    }

    #[test]
    fn buckets_store_symbols_or_nothing() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(0);
        let mut misses = 0;
        for precision in 1..=16 {
            for count in [1, 3] {
                let mut table = |_| -> Vec<u32> {
                    let alphabet = rng.random_range(1..=(1usize << precision).min(700));
                    let skew = rng.random_range(0.0..20.0);
                    let weights: Vec<u64> = (0..alphabet)
                        .map(|_| (rng.random_range(0.0f64..1.0).powf(skew) * 1e6) as u64 + 1)
                        .collect();
                    let weights = ndarray::Array2::from_shape_vec((1, alphabet), weights).unwrap();
                    let precision = Precision::new(precision).unwrap();
                    let one = Tables::builder(precision).counts(weights.view()).unwrap();
                    one.frequencies(0).collect()
                };
                let frequencies: Vec<Vec<u32>> = (0..count).map(&mut table).collect();
                let offsets: Vec<i32> = (0..count).map(|table| 3 - 5 * table).collect();
                misses += check(&frequencies, &offsets, precision);
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
            vec![all / 2 - 1, all / 2 + 1],
            vec![2, all - 4, 1, 1],
            vec![1; 1 << 16],
        ] {
            check(&[frequencies], &[0], 16);
        }
    }
}

//! Buckets of one symbol: slots by their leading bits, for code that looks slots up one by one.

use parans_kernels::codec::Interval;

use super::bits::choose_bits;
use crate::tables::packed::Packed;

/// More buckets are made while more than one slot in so many misses: a miss costs about as much as
/// ten hits.
const MISSES: u64 = 128;

/// Buckets of one symbol each.
#[derive(Clone, Debug)]
pub(crate) struct OneSymbolBuckets {
    /// log2 of the buckets per table.
    pub(crate) bits: u32,
    /// `(tables + 1) << bits` of them; the last table is that of skipped symbols. A bucket holds
    /// the symbol with most of its slots: `start | (freq - 1) << 16 | symbol << 32`, the offset
    /// added. Where a slot's rank, modulo 2^32, is above `freq - 1`, it is another symbol's.
    pub(crate) buckets: Vec<u64>,
}

impl OneSymbolBuckets {
    pub(super) fn build(packed: &Packed) -> Self {
        let count = packed.tables();
        let bits = choose_bits(packed, MISSES, |table, bits| {
            let mut misses = 1u32 << packed.precision;
            each_bucket(packed.intervals(table), packed.precision - bits, |_, _, hits| {
                misses -= hits
            });
            misses.into()
        });
        let mut buckets = Vec::with_capacity((count + 1) << bits);
        for table in 0..count {
            each_bucket(packed.intervals(table), packed.precision - bits, |index, interval, _| {
                let symbol = index.wrapping_add(packed.offsets[table]);
                buckets.push(
                    u64::from(interval.start | (interval.freq - 1) << 16) | u64::from(symbol) << 32,
                );
            });
        }
        buckets.resize((count + 1) << bits, ((1 << packed.precision) - 1) << 16);
        Self { bits, buckets }
    }
}

/// Finds for each bucket of a table the symbol with most of its slots, and how many those are.
fn each_bucket(
    intervals: impl Iterator<Item = Interval>,
    shift: u32,
    mut found: impl FnMut(u32, Interval, u32),
) {
    let (mut best, mut most) = ((0, Interval::default()), 0);
    for (index, interval) in (0..).zip(intervals) {
        let end = interval.start + interval.freq;
        let mut from = interval.start;
        while from < end {
            let bucket_end = ((from >> shift) + 1) << shift;
            let to = end.min(bucket_end);
            if to - from > most {
                (best, most) = ((index, interval), to - from);
            }
            if to == bucket_end {
                found(best.0, best.1, most);
                most = 0;
            }
            from = to;
        }
    }
}

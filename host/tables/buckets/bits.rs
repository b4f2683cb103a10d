//! How many buckets a table has.

use crate::tables::packed::Packed;

/// All buckets together stay below this many where they can: half of an L2 cache of 1 MiB.
const BUCKETS: usize = 1 << 16;

/// Ragged tables could ask for many more buckets than they have symbols; fewer only cost time.
const MOST_BUCKETS: usize = 1 << 22;

/// Fewer buckets per table than this save nothing, and more are not needed for a small alphabet:
/// log2.
const LEAST_BITS: u32 = 8;
const MOST_BITS: u32 = 13;

/// How many tables are looked at to choose the number of buckets.
const SAMPLED: usize = 16;

/// log2 of the buckets per table: the fewest that at most one slot in `one_in` misses and that fit
/// the cache, but two per symbol where the alphabet is large. `misses` counts the
/// slots of a table that miss so many buckets.
pub(super) fn choose_bits(packed: &Packed, one_in: u64, misses: impl Fn(usize, u32) -> u64) -> u32 {
    let (count, precision) = (packed.tables(), packed.precision);
    let largest = packed.symbols.iter().copied().max().unwrap_or(1);
    let fit = (BUCKETS / count).max(1).ilog2().min(MOST_BITS);
    let least = (2 * largest).next_power_of_two().ilog2();
    let most = (MOST_BUCKETS / (count + 1)).max(1).ilog2();
    let highest = fit.max(least).min(most).min(precision);
    let sampled = || (0..count).step_by(count.div_ceil(SAMPLED));
    let slots = (sampled().count() as u64) << precision;
    (LEAST_BITS..highest)
        .find(|&bits| sampled().map(|table| misses(table, bits)).sum::<u64>() * one_in <= slots)
        .unwrap_or(highest)
}

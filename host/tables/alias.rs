//! Building alias tables: which bucket each slot lies in, and the permutation that push follows.
//!
//! The order in which torch_ans fills and empties its work list decides which symbols share a
//! bucket, hence the stream; it is reproduced here.

use parans_kernels::codec::{AliasBucket, Interval, TableDescriptor};

use crate::error::{Error, Result};

/// Alias tables take `4 << precision` bytes per table for push; past this precision they are
/// refused.
const MAX_PRECISION: u32 = 24;

/// The prepared alias form of all tables.
#[derive(Clone, Debug)]
pub(crate) struct AliasForm {
    /// A bucket per symbol, placed as the intervals are.
    pub(crate) buckets: Vec<AliasBucket>,
    /// `tables << precision` slots.
    pub(crate) remap: Vec<u32>,
}

impl AliasForm {
    /// Builds the alias form; every alphabet must be a power of two.
    pub(crate) fn build(
        tables: &[TableDescriptor],
        intervals: &[Interval],
        precision: u32,
    ) -> Result<Self> {
        if precision > MAX_PRECISION {
            return Err(Error::Unsupported(format!(
                "alias lookup at precision {precision}: its tables would take {} MiB each; the limit is precision \
                 {MAX_PRECISION}",
                4u64 << (precision - 20)
            )));
        }
        let mut buckets = Vec::with_capacity(intervals.len());
        let mut remap = Vec::with_capacity(tables.len() << precision);
        for (row, table) in tables.iter().enumerate() {
            if !table.symbols.is_power_of_two() {
                return Err(Error::InvalidTable {
                    row,
                    reason: format!(
                        "alias lookup needs an alphabet of a power of two (with the bypass sentinel), not {}",
                        table.symbols
                    ),
                });
            }
            let at = table.base as usize;
            let row_intervals = &intervals[at..at + table.symbols as usize];
            build_row(row_intervals, precision, &mut buckets, &mut remap);
        }
        Ok(Self { buckets, remap })
    }
}

fn build_row(
    intervals: &[Interval],
    precision: u32,
    buckets: &mut Vec<AliasBucket>,
    remap: &mut Vec<u32>,
) {
    let n = intervals.len();
    let cut = (1u32 << precision) / n as u32;
    let mut prob: Vec<u32> = intervals.iter().map(|interval| interval.freq).collect();
    // One array holds both work lists: small ones grow from the front, large ones from the back.
    let mut work = vec![0usize; n];
    let (mut small, mut large) = (0, n);
    for (i, &p) in prob.iter().enumerate() {
        if p >= cut {
            large -= 1;
            work[large] = i;
        } else {
            work[small] = i;
            small += 1;
        }
    }
    let mut divide: Vec<u32> = (0..n).map(|i| (i as u32 + 1).wrapping_mul(cut)).collect();
    let mut other: Vec<usize> = (0..n).collect();
    while small > 0 && large < n {
        small -= 1;
        let taker = work[small];
        let giver = work[large];
        large += 1;
        divide[taker] = prob[taker] + taker as u32 * cut;
        other[taker] = giver;
        prob[giver] -= cut - prob[taker];
        if prob[giver] >= cut {
            large -= 1;
            work[large] = giver;
        } else {
            work[small] = giver;
            small += 1;
        }
    }
    // What is left has its bucket whole, as `divide` and `other` already say.
    let base = remap.len();
    remap.resize(base + (1usize << precision), 0);
    let mut ranks = vec![0u32; n];
    for i in 0..n {
        let first = i as u32 * cut;
        let own = divide[i] - first;
        let own_shift = first.wrapping_sub(ranks[i]);
        let other_shift = divide[i].wrapping_sub(ranks[other[i]]);
        ranks[i] += own;
        ranks[other[i]] += cut - own;
        buckets.push(AliasBucket {
            divide: divide[i],
            other: other[i] as u32,
            own_shift,
            other_shift,
        });
        for slot in first..first + cut {
            let (symbol, shift) =
                if slot < divide[i] { (i, own_shift) } else { (other[i], other_shift) };
            let position = slot.wrapping_sub(shift) + intervals[symbol].start;
            remap[base + position as usize] = slot;
        }
    }
}

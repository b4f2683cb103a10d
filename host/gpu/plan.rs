//! What to launch: plain arithmetic, tested without any device.

use parans_kernels::abi::{CodeShape, Kernel, Operation};

use crate::coder::{Lookup, Plan};
use crate::error::{Error, Result};
use crate::family::Family;

/// Threads of a warp.
const WARP: u64 = 32;

/// The largest block that a launch uses: enough warps to hide latency, few enough that blocks spread over all multiprocessors.
const LARGEST_BLOCK: u64 = 128;

/// Blocks and threads of a launch, in one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Blocks.
    pub grid: u32,
    /// Threads a block, a multiple of the warp.
    pub block: u32,
}

impl Geometry {
    /// At least `threads` threads, spread over `multiprocessors`.
    pub(super) fn spread(threads: u64, multiprocessors: u32) -> Result<Self> {
        let share = threads.div_ceil(u64::from(multiprocessors.max(1)));
        let block = share.next_multiple_of(WARP).clamp(WARP, LARGEST_BLOCK);
        let grid = threads.div_ceil(block).max(1);
        // The x dimension of a grid.
        if grid >= 1 << 31 {
            return Err(Error::InvalidArgument(format!("{threads} threads exceed one launch")));
        }
        Ok(Self { grid: grid as u32, block: block as u32 })
    }
}

/// The kernel that pushes or pops for a plan.
pub(super) fn kernel(plan: &Plan, push: bool) -> Result<&'static Kernel> {
    let tans = matches!(plan.family, Family::Tans32 | Family::Tans16 | Family::Tans8);
    let operation = match (push, plan.lookup) {
        (true, _) if tans => Operation::PushTans,
        (false, _) if tans => Operation::PopTans,
        (true, Lookup::Alias) => Operation::PushAlias,
        (true, _) => Operation::Push,
        (false, Lookup::Alias) => Operation::PopAlias,
        (false, Lookup::InverseCdf) => Operation::PopInverseCdf,
        (false, _) => Operation::PopSearch,
    };
    Kernel::find(plan.family.name(), operation, plan.lanes as u32).ok_or_else(|| {
        Error::Unsupported(format!("{} with {} lanes on a GPU", plan.family, plan.lanes))
    })
}

/// A number of things, as a launch holds it.
pub(super) fn below(what: &str, value: usize, limit: u32) -> Result<u32> {
    match u32::try_from(value) {
        Ok(value) if value < limit => Ok(value),
        _ => Err(Error::InvalidArgument(format!("{value} {what}; a launch takes below {limit}"))),
    }
}

/// A launch's shape with what the plan decides of it.
pub(super) fn shape(plan: &Plan, of_symbols: CodeShape) -> Result<CodeShape> {
    let prepared = plan.tables.prepared();
    Ok(CodeShape {
        lanes: plan.lanes as u32,
        tables: prepared.tables().len() as u32,
        entries: prepared.spans().len() as u32,
        precision: plan.tables.precision().bits(),
        bypass_bits: plan.bypass.map_or(0, |bypass| bypass.bits()),
        inverse_bits: match plan.lookup {
            Lookup::InverseCdf => prepared.inverse()?.bits,
            _ => 0,
        },
        skip_past_end: u32::from(plan.skip_past_end),
        ..of_symbols
    })
}

/// Cuts rows into batches whose memory, by `bytes_of` each, stays within `budget`; a row that alone exceeds it is a batch of its own.
/// `bytes_of` is told the row, and the batch costs its dearest row times its rows: device rows have one stride.
pub(super) fn batches(
    rows: usize,
    budget: u64,
    bytes_of: impl Fn(usize) -> u64,
) -> Vec<std::ops::Range<usize>> {
    let mut batches = Vec::new();
    let mut start = 0;
    let mut dearest = 0;
    for row in 0..rows {
        let cost = bytes_of(row).max(dearest);
        if row > start && cost.saturating_mul((row + 1 - start) as u64) > budget {
            batches.push(start..row);
            start = row;
            dearest = bytes_of(row);
        } else {
            dearest = cost;
        }
    }
    if start < rows {
        batches.push(start..rows);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geometry_covers_the_threads_in_whole_warps() {
        for threads in [0, 1, 31, 32, 33, 4096, 131_072, 10_000_019] {
            for multiprocessors in [1, 16, 132] {
                let geometry = Geometry::spread(threads, multiprocessors).unwrap();
                assert_eq!(geometry.block % 32, 0);
                assert!((32..=128).contains(&geometry.block));
                assert!(u64::from(geometry.grid) * u64::from(geometry.block) >= threads);
            }
        }
        // Few rows spread over the multiprocessors instead of filling one block.
        assert_eq!(Geometry::spread(256, 132).unwrap(), Geometry { grid: 8, block: 32 });
        assert!(Geometry::spread(1 << 60, 132).is_err());
    }

    #[test]
    fn batches_cover_all_rows_within_the_budget() {
        let costs = [10u64, 10, 500, 10, 10, 10, 90, 1];
        let cut = batches(costs.len(), 100, |row| costs[row]);
        assert_eq!(cut, [0..2, 2..3, 3..6, 6..7, 7..8]);
        assert!(batches(0, 100, |_| 1).is_empty());
    }
}

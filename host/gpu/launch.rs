//! What to launch: plain arithmetic, tested without any device.

use parans_kernels::abi::{Kernel, Operation, TANS_BITS_BYTES};
use parans_kernels::codec::packed::{
    ExactEntry, PackedFamily, PackedSlot, WideInterval, pack_entries, pack_exact, pack_guide,
    pack_slots, pack_wide,
};
use parans_kernels::codec::packed_states::{
    pack_alias_buckets, pack_alias_entries, pack_tans_entries, pack_tans_states,
};
use parans_kernels::codec::{EncoderEntry, Rans32, Rans32x16, Rans64, TableDescriptor};

use crate::error::{Error, Result};
use crate::family::Family;
use crate::plan::{Lookup, Plan, RowPlan};

/// Threads of a warp.
const WARP: u64 = 32;

/// The largest block that a launch uses: enough warps to hide latency, few enough that blocks
/// spread over all multiprocessors.
const LARGEST_BLOCK: u64 = 128;

/// The largest block where its shared memory leaves enough for few others beside it.
const LARGEST_STAGED_BLOCK: u64 = 512;

/// Bytes of staged tables for which a block of [`LARGEST_BLOCK`] is enough: as many such blocks
/// fill a multiprocessor with warps.
const STAGED_BYTES_A_BLOCK: u64 = 16 << 10;

/// Packed tables larger than this are not made: they would leave the L2 cache, and take
/// the host longer than a push.
pub(super) const MOST_PACKED_BYTES: usize = 32 << 20;

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
        Self::spread_over(threads, multiprocessors, LARGEST_BLOCK)
    }

    /// The same for blocks that stage `bytes` of tables: larger ones, since less of them fit a
    /// multiprocessor.
    pub(super) fn staged(threads: u64, multiprocessors: u32, bytes: u32) -> Result<Self> {
        let wanted = LARGEST_BLOCK * u64::from(bytes).div_ceil(STAGED_BYTES_A_BLOCK).max(1);
        Self::spread_over(threads, multiprocessors, wanted.min(LARGEST_STAGED_BLOCK))
    }

    fn spread_over(threads: u64, multiprocessors: u32, largest: u64) -> Result<Self> {
        let share = threads.div_ceil(u64::from(multiprocessors.max(1)));
        let block = share.next_multiple_of(WARP).clamp(WARP, largest);
        let grid = threads.div_ceil(block).max(1);
        // The x dimension of a grid.
        if grid >= 1 << 31 {
            return Err(Error::InvalidArgument(format!("{threads} threads exceed one launch")));
        }
        Ok(Self { grid: grid as u32, block: block as u32 })
    }
}

/// Tables packed for the kernels that read them so.
pub(super) struct PackedWords {
    /// Which kernels.
    pub(super) operation: Operation,
    /// [`codec::packed`](parans_kernels::codec::packed) describes them.
    pub(super) words: Vec<u32>,
}

impl PackedWords {
    /// The packed tables of a plan for one direction; `None` where no kernel reads such, or they do
    /// not fit their form. Push tANS reads no other.
    pub(super) fn of(plan: &Plan, push: bool) -> Result<Option<Self>> {
        let prepared = plan.tables.prepared();
        Ok(match plan.family {
            Family::Tans32 | Family::Tans16 | Family::Tans8 => Self::tans(plan, push)?,
            _ if !prepared.are_whole() => None,
            Family::Rans64 if push => Self::push(plan, prepared.rans64())?,
            Family::Rans32 if push => Self::push(plan, prepared.rans32())?,
            Family::Rans32x16 if push => Self::push(plan, prepared.rans32x16())?,
            _ if plan.lookup == Lookup::Alias => Self::pop_alias(plan)?,
            Family::Rans64 => Self::pop::<Rans64>(plan),
            Family::Rans32 => Self::pop::<Rans32>(plan),
            Family::Rans32x16 => Self::pop::<Rans32x16>(plan),
        })
    }

    fn push<F: PackedFamily>(plan: &Plan, entries: &[EncoderEntry<F>]) -> Result<Option<Self>> {
        let prepared = plan.tables.prepared();
        let (tables, bypass) = (prepared.tables(), plan.bypass);
        let precision = plan.tables.precision().bits();
        let exact = plan.family == Family::Rans32x16 && precision <= ExactEntry::MAX_PRECISION;
        let (operation, slot_bytes) = match plan.lookup {
            Lookup::Alias => (Operation::PushAliasPacked, 2 << precision),
            _ if exact => (Operation::PushExact, 0),
            _ => (Operation::PushPacked, 0),
        };
        let bytes = (entries.len() << F::ENTRY_LOG2) + tables.len().saturating_mul(slot_bytes);
        if bytes > MOST_PACKED_BYTES {
            return Ok(None);
        }
        let mut words = Vec::new();
        let store = |word| words.push(word);
        let packed = match operation {
            Operation::PushPacked => pack_entries(tables, entries, bypass, store),
            Operation::PushExact => {
                pack_exact(tables, prepared.intervals(), precision, bypass, store)
            }
            _ => {
                let remap = &prepared.alias()?.remap;
                pack_alias_entries(tables, entries, remap, precision, bypass, store)
            }
        };
        Ok(packed.map(|()| Self { operation, words }))
    }

    fn pop_alias(plan: &Plan) -> Result<Option<Self>> {
        let prepared = plan.tables.prepared();
        let (tables, intervals) = (prepared.tables(), prepared.intervals());
        if size_of_val(&*prepared.alias()?.buckets) > MOST_PACKED_BYTES {
            return Ok(None);
        }
        let mut words = Vec::new();
        let (buckets, precision) = (&prepared.alias()?.buckets, plan.tables.precision().bits());
        let store = |word| words.push(word);
        let packed = pack_alias_buckets(tables, intervals, buckets, precision, plan.bypass, store);
        Ok(packed.map(|()| Self { operation: Operation::PopAliasPacked, words }))
    }

    fn tans(plan: &Plan, push: bool) -> Result<Option<Self>> {
        let prepared = plan.tables.prepared();
        let (tables, form) = (prepared.tables(), prepared.tans()?);
        let precision = plan.tables.precision().bits();
        let mut words = Vec::new();
        let store = |word| words.push(word);
        Ok(if push {
            let next = &form.next[..tables.len() << precision];
            pack_tans_entries(tables, &form.encoder, next, plan.bypass, store);
            Some(Self { operation: Operation::PushTans, words })
        } else {
            pack_tans_states(tables, &form.decoder, precision, plan.bypass, store)
                .map(|()| Self { operation: Operation::PopTans, words })
        })
    }

    /// One load per symbol where a slot fits a word, else two, or a few more.
    fn pop<F: PackedFamily>(plan: &Plan) -> Option<Self> {
        let prepared = plan.tables.prepared();
        let (tables, intervals) = (prepared.tables(), prepared.intervals());
        let precision = plan.tables.precision().bits();
        for operation in [Operation::PopSlots, Operation::PopGuide, Operation::PopWide] {
            let table_bytes = match operation {
                Operation::PopSlots => size_of::<PackedSlot>() << precision.min(31),
                Operation::PopGuide => 1 << precision.min(31),
                _ => 2 << WideInterval::bucket_bits(precision),
            };
            if table_bytes.saturating_mul(tables.len()) > MOST_PACKED_BYTES {
                continue;
            }
            let mut words = Vec::new();
            let store = |word| words.push(word);
            let packed = match operation {
                Operation::PopSlots => pack_slots(tables, intervals, precision, plan.bypass, store),
                Operation::PopGuide => pack_guide(tables, intervals, precision, plan.bypass, store),
                _ => pack_wide::<F>(tables, intervals, precision, plan.bypass, store),
            };
            if packed.is_some() {
                return Some(Self { operation, words });
            }
        }
        None
    }
}

/// Whether a symbol type of `bytes` holds every symbol of the tables: the kernels for packed tables
/// do not check.
pub(super) fn holds(tables: &[TableDescriptor], bytes: usize, signed: bool) -> bool {
    let bits = 8 * bytes as u32 - u32::from(signed);
    tables.iter().all(|table| {
        let first = i64::from(table.offset);
        let last = first + i64::from(table.symbols) - 1;
        (signed || first >= 0) && last < 1 << bits && first >= -(1 << bits)
    })
}

/// Whether blocks should stage tables of so many bytes: where they fit, and a block codes enough
/// symbols to make up for the copy.
pub(super) fn stages(bytes: usize, limit: u32, geometry: Geometry, symbols: u64) -> bool {
    let of_block = symbols / u64::from(geometry.grid.max(1));
    bytes <= limit as usize && of_block >= bytes as u64 / 8
}

/// Bytes of shared memory that a kernel's blocks take beside staged tables.
pub(super) fn unstaged(kernel: &Kernel, lanes: u32, geometry: Geometry) -> u32 {
    match kernel.operation {
        Operation::PushTans if lanes > 1 => TANS_BITS_BYTES * geometry.block,
        _ => 0,
    }
}

/// The kernel that pushes or pops for a plan.
pub(super) fn kernel(plan: &RowPlan, lookup: Lookup, push: bool) -> Result<&'static Kernel> {
    let tans = matches!(plan.family, Family::Tans32 | Family::Tans16 | Family::Tans8);
    let operation = match (push, lookup) {
        (true, _) if tans => Operation::PushTans,
        (false, _) if tans => Operation::PopTans,
        (true, Lookup::Alias) => Operation::PushAlias,
        (true, _) => Operation::Push,
        (false, Lookup::Alias) => Operation::PopAlias,
        (false, Lookup::InverseCdf) => Operation::PopInverseCdf,
        (false, _) => Operation::PopSearch,
    };
    find(plan, operation)
}

/// The kernel of an operation for a plan.
pub(super) fn find(plan: &RowPlan, operation: Operation) -> Result<&'static Kernel> {
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

/// Cuts rows into batches whose memory, by `bytes_of` each, stays within `budget`; a row that alone
/// exceeds it is a batch of its own. `bytes_of` is given the row, and the batch costs its dearest
/// row times its rows: device rows have one stride.
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
    fn blocks_that_stage_much_are_larger() {
        let block = |bytes| Geometry::staged(1 << 20, 132, bytes).unwrap().block;
        assert_eq!(
            [1, 16 << 10, 20 << 10, 48 << 10, 200 << 10].map(block),
            [128, 128, 256, 384, 512]
        );
        // Few rows spread all the same.
        let few = Geometry::staged(256, 132, 48 << 10).unwrap();
        assert_eq!(few, Geometry { grid: 8, block: 32 });
    }

    #[test]
    fn tables_are_staged_where_they_fit_and_pay() {
        let geometry = Geometry { grid: 100, block: 128 };
        let much = 100 << 20;
        assert!(stages(48 << 10, 48 << 10, geometry, much));
        assert!(!stages((48 << 10) + 16, 48 << 10, geometry, much));
        assert!(stages(200 << 10, 227 << 10, geometry, much));
        // A thousand symbols per block: not worth 48 KiB, but worth 4.
        assert!(!stages(48 << 10, 48 << 10, geometry, 100_000));
        assert!(stages(4 << 10, 48 << 10, geometry, 100_000));
    }

    #[test]
    fn narrow_symbol_types_hold_tables_or_not() {
        let table =
            |offset, symbols| [TableDescriptor { offset, symbols, ..TableDescriptor::default() }];
        assert!(holds(&table(0, 256), 1, false));
        assert!(!holds(&table(1, 256), 1, false));
        assert!(!holds(&table(-1, 4), 1, false));
        assert!(holds(&table(-32768, 65536), 2, true));
        assert!(!holds(&table(-32769, 4), 2, true));
        assert!(!holds(&table(0, 65536), 2, true));
        assert!(holds(&table(0, 65536), 2, false));
        assert!(holds(&table(i32::MIN, 4), 4, true));
        assert!(!holds(&table(i32::MAX, 4), 4, true));
    }

    #[test]
    fn batches_cover_all_rows_within_the_budget() {
        let costs = [10u64, 10, 500, 10, 10, 10, 90, 1];
        let cut = batches(costs.len(), 100, |row| costs[row]);
        assert_eq!(cut, [0..2, 2..3, 3..6, 6..7, 7..8]);
        assert!(batches(0, 100, |_| 1).is_empty());
    }
}

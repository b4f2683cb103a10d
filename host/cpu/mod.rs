//! The CPU back end: rows over rayon's current pool, and inside a thread blocks of rows for SIMD or
//! the scalar codec.
//!
//! A block is what one thread codes at a time. States and lengths are worked on in copies, and put
//! back once every row has succeeded, so that a failure leaves the streams as they were.

mod block;
mod codec;
pub(crate) mod models;
mod rans;
mod tans;
#[cfg(test)]
mod tests;

use rayon::prelude::*;

use crate::error::{Error, Result, RowCause};
use crate::family::{Family, RowFormat};
use crate::plan::{Plan, RowPlan};
use crate::streams::Streams;
use crate::symbols::{Indexes, SymbolSlice, SymbolSliceMut};
pub(crate) use block::Failed;
use block::{DecodeBlock, EncodeBlock, split};
use parans_kernels::codec::{Rans32, Rans32x16, Rans64, RowError, Tans8, Tans16, Tans32};

/// Work below this many symbols is not spread over threads: waking one costs about as much.
const SYMBOLS_PER_TASK: usize = 1 << 13;

/// Rows are spread in multiples of this, unless a caller chooses otherwise.
const ROWS_TOGETHER: usize = 16;

/// States that a SIMD path codes side by side. With half as many a block of rows takes nearly as
/// long: two threads that popped 32 rows at a time were slower than one that popped 64.
const STATES_TOGETHER: usize = 64;

/// Rows that make such a block: tANS has rows rather than states side by side.
fn rows_together(family: Family, lanes: usize) -> usize {
    if family.is_tans() { STATES_TOGETHER } else { (STATES_TOGETHER / lanes).max(8) }
}

/// How many rows a block takes.
fn rows_per_block(rows: usize, columns: usize) -> usize {
    rows_per_block_of(rows, columns, ROWS_TOGETHER)
}

/// How many rows a block takes where so many are best coded together.
fn rows_per_block_of(rows: usize, columns: usize, together: usize) -> usize {
    // Asked first: outside a pool, counting its threads starts rayon's global one.
    if rows <= 1 || rows * columns < 2 * SYMBOLS_PER_TASK {
        return rows.max(1);
    }
    let threads = rayon::current_num_threads();
    let worthwhile = SYMBOLS_PER_TASK.div_ceil(columns.max(1));
    let per_thread = rows.div_ceil(threads);
    if threads == 1 {
        rows
    } else if per_thread <= together {
        // Fewer rows per block than are best: that beats idle threads.
        per_thread.max(worthwhile)
    } else {
        // Four blocks per thread even out the load, unless their rows round up to one thread with
        // much more to do than others.
        let block = rows.div_ceil(4 * threads).max(worthwhile).next_multiple_of(together);
        let most = rows.div_ceil(block).div_ceil(threads) * block;
        if most > per_thread + per_thread / 8 { per_thread.max(worthwhile) } else { block }
    }
}

/// Runs blocks, over threads where there are several, and gives the first failure by row.
fn run<B: Send>(
    blocks: Vec<B>,
    code: impl Fn(B) -> Result<(), Failed> + Sync,
) -> Result<(), Failed> {
    if blocks.len() == 1 {
        return blocks.into_iter().try_for_each(code);
    }
    let failed = blocks.into_par_iter().filter_map(|block| code(block).err());
    // The first by row, whichever thread failed first.
    failed.min_by_key(|(row, _)| *row).map_or(Ok(()), Err)
}

/// Calls a function of blocks with the codec type of the plan's family, and with the rows that code
/// it.
macro_rules! with_rows {
    ($family:expr, $type:ident, $rows:ident => $body:expr) => {
        match $family {
            Family::Rans64 => with_rows!(@ Rans64, rans, $type, $rows => $body),
            Family::Rans32 => with_rows!(@ Rans32, rans, $type, $rows => $body),
            Family::Rans32x16 => with_rows!(@ Rans32x16, rans, $type, $rows => $body),
            Family::Tans32 => with_rows!(@ Tans32, tans, $type, $rows => $body),
            Family::Tans16 => with_rows!(@ Tans16, tans, $type, $rows => $body),
            Family::Tans8 => with_rows!(@ Tans8, tans, $type, $rows => $body),
        }
    };
    (@ $codec:ident, $module:ident, $type:ident, $rows:ident => $body:expr) => {{
        use $module as $rows;
        type $type = $codec;
        $body
    }};
}

/// How many rows a block takes of symbols of the indexes' shape.
fn block_rows(plan: &Plan, indexes: &Indexes<'_>) -> usize {
    let together = rows_together(plan.family, plan.lanes);
    rows_per_block_of(indexes.rows(), indexes.columns(), together)
}

/// Pushes symbols of the indexes' shape.
pub(crate) fn push(
    plan: &Plan,
    streams: &mut Streams,
    symbols: SymbolSlice<'_>,
    indexes: &Indexes<'_>,
) -> Result<()> {
    let (columns, rows) = (indexes.columns(), block_rows(plan, indexes));
    let result = with_rows!(plan.family, F, of_family => {
        push_blocks::<F, _>(plan, streams, symbols, indexes, columns, rows, |block| {
            of_family::push(plan, block)
        })
    });
    result.map_err(|failed| {
        explain(plan, plan.tables.len(), failed, index_of(indexes, failed), |row, position| {
            symbols.at_or_zero(row * columns + position)
        })
    })
}

/// Splits the rows into blocks of `block_rows` and pushes each by `code`. The streams are as they
/// were after a failure.
fn push_blocks<F: RowFormat, D: Copy + Sync + Send>(
    plan: &RowPlan,
    streams: &mut Streams,
    symbols: SymbolSlice<'_>,
    source: D,
    columns: usize,
    block_rows: usize,
    code: impl Fn(EncodeBlock<'_, F, D>) -> Result<(), Failed> + Sync,
) -> Result<(), Failed> {
    let parts = streams.parts_mut::<F>();
    let mut states = parts.states.to_vec();
    let mut lens = parts.lens.to_vec();
    let fields = F::FAMILY.header_fields(plan.lanes);
    let blocks = split::<F>(block_rows, fields, &mut states, parts.words, parts.starts, &mut lens);
    run(blocks, |rows| {
        let at = rows.first * columns..(rows.first + rows.len()) * columns;
        code(EncodeBlock { rows, symbols: symbols.range(at), columns, source })
    })?;
    streams.commit::<F>(&states, lens);
    Ok(())
}

/// Pops symbols of the indexes' shape.
pub(crate) fn pop(
    plan: &Plan,
    streams: &mut Streams,
    symbols: SymbolSliceMut<'_>,
    indexes: &Indexes<'_>,
) -> Result<()> {
    let (columns, rows) = (indexes.columns(), block_rows(plan, indexes));
    let result = with_rows!(plan.family, F, of_family => {
        pop_blocks::<F, _>(plan, streams, symbols, indexes, columns, rows, |block| {
            of_family::pop(plan, block)
        })
    });
    result.map_err(|failed| {
        explain(plan, plan.tables.len(), failed, index_of(indexes, failed), |_, _| 0)
    })
}

/// Splits the rows into blocks of `block_rows` and pops each by `code`. The streams are as they
/// were after a failure.
fn pop_blocks<F: RowFormat, D: Copy + Sync + Send>(
    plan: &RowPlan,
    streams: &mut Streams,
    mut symbols: SymbolSliceMut<'_>,
    source: D,
    columns: usize,
    block_rows: usize,
    code: impl Fn(DecodeBlock<'_, F, D>) -> Result<(), Failed> + Sync,
) -> Result<(), Failed> {
    let parts = streams.parts::<F>();
    let mut states = parts.states.to_vec();
    let mut lens = parts.lens.to_vec();
    let mut blocks = Vec::new();
    let mut first = 0;
    let fields = F::FAMILY.header_fields(plan.lanes);
    let of_blocks = states.chunks_mut(block_rows * fields).zip(lens.chunks_mut(block_rows));
    for (states, lens) in of_blocks {
        let (starts, count) = (&parts.starts[first..], lens.len());
        let symbols = symbols.take(count * columns);
        let words = parts.words;
        blocks.push(DecodeBlock { first, states, words, starts, lens, symbols, columns, source });
        first += count;
    }
    run(blocks, code)?;
    streams.commit::<F>(&states, lens);
    Ok(())
}

fn index_of(indexes: &Indexes<'_>, (row, fault): Failed) -> i32 {
    indexes.at_or_skip(row, fault.position)
}

/// The public error for a failed row, with the values at fault: the index there (-1 for a model),
/// and what `symbol` finds.
pub(crate) fn explain(
    plan: &RowPlan,
    tables: usize,
    (row, fault): Failed,
    table: i32,
    symbol: impl Fn(usize, usize) -> i32,
) -> Error {
    // The lanes of a group share its words: which of them found too few is the back end's own
    // affair, so the group's first symbol is named.
    let position = match fault.error {
        RowError::Truncated => fault.position - fault.position % plan.lanes,
        _ => fault.position,
    };
    let cause = match fault.error {
        RowError::SymbolOutOfRange => {
            RowCause::SymbolOutOfRange { symbol: symbol(row, position), table }
        }
        RowError::BypassDistance => {
            RowCause::BypassDistance { symbol: symbol(row, position), table }
        }
        RowError::IndexOutOfRange => RowCause::IndexOutOfRange { index: table, tables },
        RowError::Truncated => RowCause::Truncated,
        RowError::StateOutOfRange => RowCause::StateOutOfRange,
        RowError::BypassDigits => RowCause::BypassDigits,
        RowError::SymbolWidth => RowCause::SymbolWidth,
        RowError::CapacityExceeded => RowCause::CapacityExceeded,
        RowError::ParameterOutOfRange => RowCause::ParameterOutOfRange,
        _ => RowCause::FinalState,
    };
    Error::Row { row, position, cause }
}

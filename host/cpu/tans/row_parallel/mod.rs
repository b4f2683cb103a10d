//! tANS rows across vector elements: sixteen rows in a vector, four vectors in a block, whatever
//! their lanes.
//!
//! An element is a row, not a state: a row's symbols lie in one stream of bits in the order of its
//! columns, and which lane a column belongs to says only which vector of states it takes its step
//! in. A window of four columns moves at most 56 bits per row, so that the bits of sixteen rows fit
//! two vectors.
//!
//! A tile of columns goes through loops each of which does one thing to data that the L1 cache
//! holds. Symbols and indexes are regrouped as bytes and halves rather than words: a 16 by 16
//! transpose then moves four columns or two at a time. Bits go through a stage, the part of each
//! row's words that a tile reads or writes: it lies together where rows lie apart, holds
//! whole vectors at both ends, and holds a row's bits that fill no word like any others.
//!
//! Anything irregular makes a block give up, and the rows are coded again side by side
//! from their states before: errors are that path's own.

/// `$with!(L, V)` for rows of one lane (`L` = 1) or several (4), in `V` vectors.
macro_rules! with_shape {
    ($with:ident, $lanes:expr, $rows:expr) => {
        match ($lanes, $rows.div_ceil(16)) {
            (1, 1) => $with!(1, 1),
            (1, 2) => $with!(1, 2),
            (1, _) => $with!(1, 4),
            (_, 1) => $with!(4, 1),
            (_, 2) => $with!(4, 2),
            (_, _) => $with!(4, 4),
        }
    };
}

mod pop;
mod push;
mod tile;

use super::Coded;
use crate::cpu::block::{DecodeBlock, EncodeBlock, Snapshot};
use crate::simd::{Level, RunOn, Simd512, Work, dispatch_512};
use tile::MOST_ROWS;

pub(super) use tile::VectorTables;

/// Fewer rows than this are faster in scalar registers.
const LEAST_ROWS: usize = 14;
/// Rows of fewer columns as well.
const LEAST_COLUMNS: usize = 16;

/// How many of a block's rows the next block takes. With a third vector it would take all four.
fn rows_of_block(rows: usize, columns: usize) -> Option<usize> {
    if rows < LEAST_ROWS || columns < LEAST_COLUMNS {
        None
    } else if rows <= 48 {
        Some(rows.min(32))
    } else {
        Some(rows.min(MOST_ROWS))
    }
}

/// Pushes as many of a block's rows as fill blocks; gives back those that a block gave up, or that
/// are too few.
pub(super) fn push<'a, T: Coded>(
    level: Level,
    tables: &VectorTables<'_>,
    scratch: &mut Option<Box<push::Scratch>>,
    block: &mut EncodeBlock<'a, T>,
) -> Option<EncodeBlock<'a, T>> {
    if tables.form.encoder.is_empty() {
        return None;
    }
    let mut snapshot = Snapshot::new();
    while let Some(count) = rows_of_block(block.rows.len(), block.columns) {
        let mut block = block.take(count);
        snapshot.take(block.rows.states, block.rows.lens);
        let scratch = scratch.get_or_insert_default();
        let work = PushWork { tables, scratch, block: &mut block };
        if dispatch_512(level, work).ok().flatten().is_none() {
            snapshot.restore(block.rows.states, block.rows.lens);
            return Some(block);
        }
    }
    None
}

/// Pops likewise.
pub(super) fn pop<'a, T: Coded>(
    level: Level,
    tables: &VectorTables<'_>,
    scratch: &mut Option<Box<pop::Scratch>>,
    block: &mut DecodeBlock<'a, T>,
) -> Option<DecodeBlock<'a, T>> {
    if tables.form.decoder.is_empty() {
        return None;
    }
    let mut snapshot = Snapshot::new();
    while let Some(count) = rows_of_block(block.lens.len(), block.columns) {
        let mut block = block.take(count);
        snapshot.take(block.states, block.lens);
        let scratch = scratch.get_or_insert_default();
        let work = PopWork { tables, scratch, block: &mut block };
        if dispatch_512(level, work).ok().flatten().is_none() {
            snapshot.restore(block.states, block.lens);
            return Some(block);
        }
    }
    None
}
struct PushWork<'a, 'b, T: Coded> {
    tables: &'a VectorTables<'a>,
    scratch: &'a mut push::Scratch,
    block: &'a mut EncodeBlock<'b, T>,
}

impl<T: Coded> Work for PushWork<'_, '_, T> {
    type Output = Option<()>;
}

impl<S: Simd512, T: Coded> RunOn<S> for PushWork<'_, '_, T> {
    #[inline(always)]
    fn run(self, s: S) -> Option<()> {
        push::rows(s, self.tables, self.scratch, self.block)
    }
}

struct PopWork<'a, 'b, T: Coded> {
    tables: &'a VectorTables<'a>,
    scratch: &'a mut pop::Scratch,
    block: &'a mut DecodeBlock<'b, T>,
}

impl<T: Coded> Work for PopWork<'_, '_, T> {
    type Output = Option<()>;
}

impl<S: Simd512, T: Coded> RunOn<S> for PopWork<'_, '_, T> {
    #[inline(always)]
    fn run(self, s: S) -> Option<()> {
        let done = pop::rows(s, self.tables, self.scratch, self.block);
        s.fence();
        done
    }
}

//! Rows of 32 lanes: one row fills two vectors, and four rows at once hide each other's latency.
//!
//! Lane and column agree modulo 32, so a step of a row is 32 symbols side by side: they come and go
//! without a transpose, and the words that its lanes emit or take lie side by side as well, found
//! by one compression or expansion instead of a cursor per lane. What is left to pay for is the
//! table lookups.
//!
//! Four rows advance together, a tile of columns at a time; what is left of a block goes row by
//! row. A step in which anything irregular comes up (a symbol outside its table, too little
//! capacity for 32 words) is left to the codec, which codes those 32 columns of each row; rows that
//! cannot be coded at all are given up.

mod even_odd;
mod pop;
mod push;
mod split_lanes;

use parans_kernels::codec::RansFamily;

use super::entries::{RowTile, Step};
use super::family::VectorFamily;
use super::tables::PackedTables;
use crate::cpu::block::{DecodeBlock, EncodeBlock};
use crate::plan::Plan;
use crate::simd::Level;
use pop::UsedTables;

/// Interleaved states of a row.
pub(super) const LANES: usize = super::entries::LANES;

/// Rows that advance together.
const ROWS: usize = 4;

/// Steps to push, the last first.
struct PushSteps<'a, F: RansFamily, const R: usize> {
    /// Packed entries, in the order of lanes.
    entries: &'a [RowTile; R],
    steps: std::ops::Range<usize>,
    precision: u32,
    states: &'a mut [[F::State; LANES]; R],
    /// Where each row's next words go.
    free: [&'a mut [F::Word]; R],
}

/// What became of them.
struct Pushed<const R: usize> {
    /// The steps from here on are done: not all where a row lacks capacity for as much as a step
    /// may take.
    done: usize,
    /// Words that each row took.
    words: [usize; R],
}

/// Steps to pop, the first first.
struct PopSteps<'a, 't, F: RansFamily, const R: usize> {
    tables: &'a PackedTables<'t>,
    used: UsedTables<'a, R>,
    steps: std::ops::Range<usize>,
    states: &'a mut [[F::State; LANES]; R],
    /// Each row's words up to the next to take.
    words: [&'a [F::Word]; R],
    /// Where the symbols of the tile go.
    symbols: [&'a mut [Step]; R],
}

/// What became of them.
struct Popped<const R: usize> {
    /// The steps below this one are done: not all where a row has fewer words left than a step may
    /// take, or after a sentinel.
    done: usize,
    /// Words left, per row.
    words: [usize; R],
    /// Whether the last step had a bypass sentinel, whose digits are to be popped next.
    sentinel: bool,
}

/// A family's steps over vectors, for precisions up to 16.
pub(crate) trait LaneFamily: VectorFamily {
    /// Words that must be left, or free, for a step to be taken.
    const WINDOW: usize = LANES * Self::MAX_WORDS as usize;

    /// Whether there are loops for this family at a level.
    fn has_lane_loops(level: Level) -> bool;

    /// Pushes steps; `None` where a row ran out of capacity or the machine lacks the level.
    #[allow(private_interfaces, reason = "only this folder calls it")]
    fn push_steps<const R: usize>(level: Level, steps: PushSteps<'_, Self, R>)
    -> Option<Pushed<R>>;

    /// Pops steps; `None` where the machine lacks the level.
    #[allow(private_interfaces, reason = "only this folder calls it")]
    fn pop_steps<const R: usize>(
        level: Level,
        steps: PopSteps<'_, '_, Self, R>,
    ) -> Option<Popped<R>>;
}

/// How many rows advance together where so many are left.
fn together(left: usize) -> usize {
    if left >= ROWS { ROWS } else { 1 }
}

/// Pushes the block's rows; gives back rows that it gave up.
pub(super) fn push<'a, F: LaneFamily>(
    level: Level,
    plan: &Plan,
    tables: &PackedTables<'_>,
    block: &mut EncodeBlock<'a, F>,
) -> Option<EncodeBlock<'a, F>> {
    let mut scratch = push::Scratch::default();
    while block.rows.len() > 0 {
        let mut rows = block.take(together(block.rows.len()));
        let done = match rows.rows.len() {
            ROWS => push::rows::<F, ROWS>(level, plan, tables, &mut scratch, &mut rows),
            _ => push::rows::<F, 1>(level, plan, tables, &mut scratch, &mut rows),
        };
        if done.is_none() {
            return Some(rows);
        }
    }
    None
}

/// Pops likewise.
pub(super) fn pop<'a, F: LaneFamily>(
    level: Level,
    plan: &Plan,
    tables: &PackedTables<'_>,
    block: &mut DecodeBlock<'a, F>,
) -> Option<DecodeBlock<'a, F>> {
    let mut scratch = pop::Scratch::default();
    while !block.lens.is_empty() {
        let mut rows = block.take(together(block.lens.len()));
        let done = match rows.lens.len() {
            ROWS => pop::rows::<F, ROWS>(level, plan, tables, &mut scratch, &mut rows),
            _ => pop::rows::<F, 1>(level, plan, tables, &mut scratch, &mut rows),
        };
        if done.is_none() {
            return Some(rows);
        }
    }
    None
}

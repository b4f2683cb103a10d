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
mod steps;

use super::tables::PackedTables;
use crate::cpu::block::{DecodeBlock, EncodeBlock};
use crate::plan::Plan;
use crate::simd::Level;

pub(super) use steps::LANES;
pub(crate) use steps::LaneFamily;

/// Rows that advance together.
const ROWS: usize = 4;

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

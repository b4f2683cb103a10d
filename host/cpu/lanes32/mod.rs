//! Rows of 32 lanes: one row fills two vectors, and four rows at once hide each other's latency.
//!
//! Lane and column agree modulo 32, so a step of a row is 32 symbols side by side: they come and go without a transpose, and the words that its lanes shed or
//! want lie side by side as well, found by one compression or expansion instead of a cursor a lane. What is left to pay for is the table lookups.
//!
//! Four rows advance together, a stretch of columns at a time; what is left of a block goes row by row. A step in which anything out of the ordinary
//! comes up (a symbol outside its table, no room for 32 words) is left to the codec, which codes those 32 columns of each row; what cannot be coded at all
//! makes the rows begin again with the scalar path, whose errors are the ones to report.

mod halves;
mod pairs;
mod pop;
mod push;
mod tables;

use parans_kernels::codec::Family;

use super::block::{DecodeBlock, EncodeBlock, Failed};
use super::scalar;
use super::wide::WideTables;
use crate::family::HostFamily;
use crate::plan::{Lookup, Plan};
use crate::simd::{Aligned, Level};
use tables::Used;
pub(super) use tables::{Number, StretchIndexes, bytes_of, steps_of};

/// Interleaved states of a row.
pub(super) const LANES: usize = 32;

/// Rows that advance together.
const ROWS: usize = 4;

/// Steps of a stretch, 32 columns each: what four rows read and write on the way stays in half of a first-level cache.
pub(super) const STEPS: usize = 32;

/// What a step has for each lane.
pub(super) type Step = [u32; LANES];

/// A stretch of one row.
pub(super) type Stretch = Aligned<[Step; STEPS]>;

/// Runs a block for each row with its number as a constant: a loop would keep states and cursors in memory, at half the speed.
macro_rules! each_row {
    ($rows:ident, $r:ident => $body:block) => {
        if $rows > 0 {
            let $r = 0;
            $body
        }
        if $rows > 1 {
            let $r = 1;
            $body
        }
        if $rows > 2 {
            let $r = 2;
            $body
        }
        if $rows > 3 {
            let $r = 3;
            $body
        }
    };
}
use each_row;

/// Steps to push, the last first.
struct PushSteps<'a, F: Family, const R: usize> {
    /// Packed entries, in the order of lanes.
    entries: &'a [Stretch; R],
    steps: std::ops::Range<usize>,
    precision: u32,
    states: &'a mut [[F::State; LANES]; R],
    /// Where each row's next words go.
    rooms: [&'a mut [F::Word]; R],
}

/// What became of them.
struct Pushed<const R: usize> {
    /// The steps from here on are done: not all where a row lacks room for as much as a step may take.
    done: usize,
    /// Words that each row took.
    words: [usize; R],
}

/// Steps to pop, the first first.
struct PopSteps<'a, 't, F: Family, const R: usize> {
    tables: &'a WideTables<'t>,
    used: Used<'a, R>,
    steps: std::ops::Range<usize>,
    states: &'a mut [[F::State; LANES]; R],
    /// Each row's words up to the next to take.
    words: [&'a [F::Word]; R],
    /// Where the symbols of the stretch go.
    symbols: [&'a mut [Step]; R],
}

/// What became of them.
struct Popped<const R: usize> {
    /// The steps below this one are done: not all where a row has fewer words left than a step may take, or after a sentinel.
    done: usize,
    /// Words left, a row.
    words: [usize; R],
    /// Whether the last step had a bypass sentinel, whose digits are to be popped next.
    sentinel: bool,
}

/// A family's steps over vectors, for precisions up to 16.
pub(crate) trait Lanes32: Family {
    /// Words that must be there, or have room, for a step to be taken.
    const WINDOW: usize = LANES * Self::MAX_WORDS as usize;

    /// Whether there are vectors for this family at a level.
    fn runs_at(level: Level) -> bool;

    /// Pushes steps; `None` where a row ran out of room or the machine lacks the level.
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

/// Whether this path takes a plan's blocks at a level.
pub(super) fn takes<F: Lanes32>(level: Level, plan: &Plan) -> bool {
    plan.lanes == LANES && plan.lookup != Lookup::Alias && F::runs_at(level)
}

/// How many rows advance together where so many are left.
fn together(left: usize) -> usize {
    if left >= ROWS { ROWS } else { 1 }
}

/// Pushes a block of rows.
pub(super) fn push<F: HostFamily + Lanes32>(
    level: Level,
    plan: &Plan,
    mut block: EncodeBlock<'_, F>,
) -> Result<(), Failed> {
    if block.columns < LANES {
        return scalar::push(plan, block);
    }
    let Some(tables) = WideTables::new(plan) else { return scalar::push(plan, block) };
    let mut scratch = push::Scratch::default();
    while block.rows.len() > 0 {
        let mut unit = block.take(together(block.rows.len()));
        let done = match unit.rows.len() {
            ROWS => push::unit::<F, ROWS>(level, plan, &tables, &mut scratch, &mut unit),
            _ => push::unit::<F, 1>(level, plan, &tables, &mut scratch, &mut unit),
        };
        if done.is_none() {
            scalar::push(plan, unit)?;
        }
    }
    Ok(())
}

/// Pops a block of rows.
pub(super) fn pop<F: HostFamily + Lanes32>(
    level: Level,
    plan: &Plan,
    mut block: DecodeBlock<'_, F>,
) -> Result<(), Failed> {
    if block.columns < LANES {
        return scalar::pop(plan, block);
    }
    let Some(tables) = WideTables::new(plan) else { return scalar::pop(plan, block) };
    let mut scratch = pop::Scratch::default();
    while !block.lens.is_empty() {
        let mut unit = block.take(together(block.lens.len()));
        let done = match unit.lens.len() {
            ROWS => pop::unit::<F, ROWS>(level, plan, &tables, &mut scratch, &mut unit),
            _ => pop::unit::<F, 1>(level, plan, &tables, &mut scratch, &mut unit),
        };
        if done.is_none() {
            scalar::pop(plan, unit)?;
        }
    }
    Ok(())
}

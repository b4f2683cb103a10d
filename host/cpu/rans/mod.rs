//! rANS rows: four paths, and which of them codes a block.
//!
//! No path uses another. Each codes as many of a block's rows as it is made for,
//! and gives back rows in which anything irregular comes up (a symbol that cannot be coded, a row
//! that ends early or has too little capacity), as they were before: the scalar path codes those,
//! so results and errors are the codec's own. Below them lie what they share: the [tables]
//! in packed form, [entries] of symbols to push, [lookup] of symbols at slots, and the arithmetic
//! of a [family] over vectors.

mod cursors;
mod entries;
mod family;
mod interleaved;
mod lane_parallel;
mod lookup;
#[cfg_attr(
    not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little"))),
    allow(dead_code, reason = "other processors have no vectors for rows")
)]
pub(super) mod row_octets;
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "so far only x86-64 has vectors for rows")
)]
mod row_parallel;
mod scalar;
pub(super) mod tables;
#[cfg(test)]
mod tests;

use super::block::{DecodeBlock, EncodeBlock, Failed};
use crate::plan::{Lookup, Plan};
use crate::simd::{Level, has_octets};
use lane_parallel::LaneFamily;
use row_octets::OctetFamily;
use tables::PackedTables;

/// A family that every path codes.
pub(super) trait PathFamily: LaneFamily + OctetFamily {}
impl<F: LaneFamily + OctetFamily> PathFamily for F {}

/// How rows are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Path {
    /// One after another through the codec, which every other path must equal.
    Scalar,
    /// Eight states in scalar registers, or a row of 32 lanes eight states at a time.
    Interleaved,
    /// Eight states per vector, of as many rows as they take: 8 rows of one lane, 1 of eight, a
    /// quarter of one of 32.
    RowOctets,
    /// Sixteen states per vector, of as many rows as they take: 16 rows of one lane, 2 of eight.
    RowParallel,
    /// A row of 32 lanes in two vectors.
    LaneParallel,
}

/// Which way rows are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Push,
    Pop,
}

/// What decides a path.
#[derive(Clone, Copy, Debug)]
struct Shape {
    direction: Direction,
    lanes: usize,
    /// Rows that are left to code.
    rows: usize,
    columns: usize,
    /// Whether there are octets for the plan's symbols.
    octets: bool,
}

/// Chooses the path of a block's next rows. The first line that fits:
///
/// | level | lanes | lookup | rows left | path |
/// |---|---|---|---|---|
/// | any, where [`row_octets`] can code the tables | any | alias | push: 8 states or more, pop: 12, of 16 steps or more | row-octets |
/// | any | any | alias | any | scalar |
/// | AVX2, where [`row_octets`] can code the tables | 32 | other | any, of 16 steps or more | row-octets |
/// | AVX-512; of rans32_16 any | 32 | other | any, of 32 columns or more | lane-parallel |
/// | any | 32 | other | any, of 64 columns or more | interleaved |
/// | any | 32 | other | any | scalar |
/// | AVX-512, push alone, where octets are faster: with slow gathers 8 lanes, else from `LEAST_LANES_BESIDE_AVX512` on | 1 to 8 | other | 32 states or more, of 16 steps or more | row-octets |
/// | AVX-512 | 1 to 8 | other | 32 states or more | row-parallel |
/// | AVX-512, AVX2, where [`row_octets`] can code the tables | 1 to 8 | other | push: 8 states or more, pop: 12, of 16 steps or more | row-octets |
/// | any | 1, 2 | other | push: never, pop: 4 states or more, of 64 columns or more | interleaved |
/// | any | 4, 8 | other | 8 states or more, of 64 columns or more | interleaved |
/// | any | any | any | any | scalar |
///
/// Tables without a packed form (a precision above 16, an alphabet above 2^16) go through the
/// scalar path as well.
fn path<F: PathFamily>(level: Level, lookup: Lookup, shape: Shape) -> Path {
    let Shape { direction, lanes, rows, columns, octets } = shape;
    let least_interleaved = match direction {
        Direction::Push => interleaved::least_states_to_push(lanes),
        Direction::Pop => interleaved::least_states_to_pop(lanes),
    };
    let least_octets = match direction {
        Direction::Push => row_octets::LEAST_STATES_TO_PUSH,
        Direction::Pop => row_octets::LEAST_STATES_TO_POP,
    };
    let beside_avx512 = match level {
        Level::Avx512Gather => F::LEAST_LANES_BESIDE_AVX512,
        _ => 8,
    };
    let long = columns >= row_octets::LEAST_STEPS * lanes;
    let octets_push = octets
        && long
        && direction == Direction::Push
        && lanes >= beside_avx512
        && rows * lanes >= row_parallel::LEAST_STATES;
    match (level, lanes, lookup, rows) {
        (_, _, Lookup::Alias, _) if octets && long && rows * lanes >= least_octets => {
            Path::RowOctets
        }
        (_, _, Lookup::Alias, _) => Path::Scalar,
        (Level::Avx2 | Level::Neon, lane_parallel::LANES, ..) if octets && long && rows > 0 => {
            Path::RowOctets
        }
        (_, lane_parallel::LANES, ..)
            if F::has_lane_loops(level) && columns >= lane_parallel::LANES && rows > 0 =>
        {
            Path::LaneParallel
        }
        (_, lane_parallel::LANES, ..) if rows > 0 && columns >= interleaved::CHUNK => {
            Path::Interleaved
        }
        (_, lane_parallel::LANES, ..) => Path::Scalar,
        (Level::Avx512Gather | Level::Avx512Permute, ..) if octets_push => Path::RowOctets,
        (Level::Avx512Gather | Level::Avx512Permute, ..)
            if rows * lanes >= row_parallel::LEAST_STATES =>
        {
            Path::RowParallel
        }
        _ if octets && long && rows * lanes >= least_octets => Path::RowOctets,
        _ if rows * lanes >= least_interleaved && columns >= interleaved::CHUNK => {
            Path::Interleaved
        }
        _ => Path::Scalar,
    }
}

/// Pushes a block of rows.
pub(super) fn push<F: PathFamily>(plan: &Plan, block: EncodeBlock<'_, F>) -> Result<(), Failed> {
    push_at(Level::current(), plan, block)
}

/// Pushes a block of rows at a level.
fn push_at<F: PathFamily>(
    level: Level,
    plan: &Plan,
    mut block: EncodeBlock<'_, F>,
) -> Result<(), Failed> {
    let (mut tables, mut octets) = (None, has_octets(level));
    loop {
        let (direction, lanes) = (Direction::Push, plan.lanes);
        let (rows, columns) = (block.rows.len(), block.columns);
        let shape = Shape { direction, lanes, rows, columns, octets };
        let path = path::<F>(level, plan.lookup, shape);
        let tables = match path {
            Path::Scalar => return scalar::push(plan, block),
            _ => tables.get_or_insert_with(|| PackedTables::new(plan)),
        };
        let Some(tables) = tables else { return scalar::push(plan, block) };
        let left = match path {
            Path::LaneParallel => lane_parallel::push(level, plan, tables, &mut block),
            Path::RowParallel => row_parallel::push(level, plan, tables, &mut block),
            Path::RowOctets if row_octets::can_push::<F>(plan, tables) => {
                row_octets::push(level, plan, tables, &mut block)
            }
            Path::RowOctets => {
                octets = false;
                continue;
            }
            _ => interleaved::push(plan, tables, &mut block),
        };
        if let Some(left) = left {
            scalar::push(plan, left)?;
        }
    }
}

/// Whether rows of 32 lanes find symbols by one gather each, which octets are no match for.
fn by_slot<F: PathFamily>(level: Level, plan: &Plan, tables: &PackedTables<'_>) -> bool {
    plan.lanes == lane_parallel::LANES
        && F::has_lane_loops(level)
        && tables.slots.is_some()
        && plan.lookup != Lookup::Alias
}

/// Pops a block of rows.
pub(super) fn pop<F: PathFamily>(plan: &Plan, block: DecodeBlock<'_, F>) -> Result<(), Failed> {
    pop_at(Level::current(), plan, block)
}

/// Pops a block of rows at a level.
fn pop_at<F: PathFamily>(
    level: Level,
    plan: &Plan,
    mut block: DecodeBlock<'_, F>,
) -> Result<(), Failed> {
    let (mut tables, mut octets) = (None, has_octets(level));
    loop {
        let (direction, lanes) = (Direction::Pop, plan.lanes);
        let (rows, columns) = (block.lens.len(), block.columns);
        let shape = Shape { direction, lanes, rows, columns, octets };
        let path = path::<F>(level, plan.lookup, shape);
        let tables = match path {
            Path::Scalar => return scalar::pop(plan, block),
            _ => tables.get_or_insert_with(|| PackedTables::new(plan)),
        };
        let Some(tables) = tables else { return scalar::pop(plan, block) };
        let left = match path {
            Path::LaneParallel => lane_parallel::pop(level, plan, tables, &mut block),
            Path::RowParallel => row_parallel::pop(level, plan, tables, &mut block),
            Path::RowOctets
                if row_octets::can_pop(plan, tables) && !by_slot::<F>(level, plan, tables) =>
            {
                row_octets::pop(level, plan, tables, &mut block)
            }
            Path::RowOctets => {
                octets = false;
                continue;
            }
            _ => interleaved::pop(plan, tables, &mut block),
        };
        if let Some(left) = left {
            scalar::pop(plan, left)?;
        }
    }
}

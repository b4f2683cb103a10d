//! Steps of rows, which each family takes over vectors.

use parans_kernels::codec::RansFamily;

use super::super::entries::{RowTile, Step};
use super::super::family::VectorFamily;
use super::super::tables::PackedTables;
use crate::simd::Level;

/// Interleaved states of a row.
pub(in super::super) const LANES: usize = super::super::entries::LANES;

/// Which tables a tile uses.
#[derive(Clone, Copy)]
pub(super) enum UsedTables<'a, const R: usize> {
    /// One for each row.
    One([u32; R]),
    /// One for each symbol; the number of tables stands for a skipped symbol.
    Each(&'a [RowTile; R]),
}

/// Steps to push, the last first.
pub(super) struct PushSteps<'a, F: RansFamily, const R: usize> {
    /// Packed entries, in the order of lanes.
    pub(super) entries: &'a [RowTile; R],
    pub(super) steps: std::ops::Range<usize>,
    pub(super) precision: u32,
    pub(super) states: &'a mut [[F::State; LANES]; R],
    /// Where each row's next words go.
    pub(super) free: [&'a mut [F::Word]; R],
}

/// What became of them.
pub(super) struct Pushed<const R: usize> {
    /// The steps from here on are done: not all where a row lacks capacity for as much as a step
    /// may take.
    pub(super) done: usize,
    /// Words that each row took.
    pub(super) words: [usize; R],
}

/// Steps to pop, the first first.
pub(super) struct PopSteps<'a, 't, F: RansFamily, const R: usize> {
    pub(super) tables: &'a PackedTables<'t>,
    pub(super) used: UsedTables<'a, R>,
    pub(super) steps: std::ops::Range<usize>,
    pub(super) states: &'a mut [[F::State; LANES]; R],
    /// Each row's words up to the next to take.
    pub(super) words: [&'a [F::Word]; R],
    /// Where the symbols of the tile go.
    pub(super) symbols: [&'a mut [Step]; R],
}

/// What became of them.
pub(super) struct Popped<const R: usize> {
    /// The steps below this one are done: not all where a row has fewer words left than a step may
    /// take, or after a sentinel.
    pub(super) done: usize,
    /// Words left, per row.
    pub(super) words: [usize; R],
    /// Whether the last step had a bypass sentinel, whose digits are to be popped next.
    pub(super) sentinel: bool,
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

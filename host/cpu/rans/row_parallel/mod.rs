//! Rows across vector elements: sixteen states in a vector, whether they are sixteen rows of one
//! lane or two rows of eight.
//!
//! What makes it fast is how much goes on at once: a block of rows is up to four vectors, hence 64
//! states and up to 64 word cursors, whose steps overlap. Symbols outside their table and skipped
//! symbols are nothing irregular here.
//!
//! The loops are generic over [`Simd512`] and the arithmetic over [`VectorFamily`]. AVX2 has loops
//! of its own, in `row_octets`.

mod entries;
mod indexes;
mod masks;
mod pop;
mod push;
mod store;
mod tile;

use super::family::VectorFamily;
use super::tables::PackedTables;
use crate::cpu::block::{DecodeBlock, EncodeBlock};
use crate::cpu::codec::encoder_view;
use crate::plan::Plan;
use crate::simd::{Level, RunOn, Simd512, Work, dispatch_512};
use tile::MOST_ROWS;

/// With fewer states than this, eight at a time in scalar registers are faster.
pub(super) const LEAST_STATES: usize = 32;

/// Pushes as many of the block's rows as fill vectors; gives back rows that it gave up.
pub(super) fn push<'a, F: VectorFamily>(
    level: Level,
    plan: &Plan,
    tables: &PackedTables<'_>,
    block: &mut EncodeBlock<'a, F>,
) -> Option<EncodeBlock<'a, F>> {
    let work = PushRows { plan, tables, block };
    dispatch_512(level, work).unwrap_or_else(|work| Some(work.block.take(work.block.rows.len())))
}

/// Pops likewise.
pub(super) fn pop<'a, F: VectorFamily>(
    level: Level,
    plan: &Plan,
    tables: &PackedTables<'_>,
    block: &mut DecodeBlock<'a, F>,
) -> Option<DecodeBlock<'a, F>> {
    let work = PopRows { plan, tables, block };
    dispatch_512(level, work).unwrap_or_else(|work| Some(work.block.take(work.block.lens.len())))
}

/// How many of so many rows of `L` lanes go together.
fn batch<const L: usize>(rows: usize) -> Option<usize> {
    (rows * L >= LEAST_STATES).then(|| rows.min(MOST_ROWS / L))
}

struct PushRows<'a, 'p, F: VectorFamily> {
    plan: &'p Plan,
    tables: &'p PackedTables<'p>,
    block: &'p mut EncodeBlock<'a, F>,
}

impl<'a, F: VectorFamily> Work for PushRows<'a, '_, F> {
    type Output = Option<EncodeBlock<'a, F>>;
}

impl<S: Simd512, F: VectorFamily> RunOn<S> for PushRows<'_, '_, F> {
    #[inline(always)]
    fn run(self, s: S) -> Self::Output {
        match self.plan.lanes {
            1 => self.push::<S, 1>(s),
            2 => self.push::<S, 2>(s),
            4 => self.push::<S, 4>(s),
            _ => self.push::<S, 8>(s),
        }
    }
}

impl<'a, F: VectorFamily> PushRows<'a, '_, F> {
    #[inline(always)]
    fn push<S: Simd512, const L: usize>(self, s: S) -> Option<EncodeBlock<'a, F>> {
        let Self { plan, tables, block } = self;
        let view = encoder_view::<F>(plan);
        let mut scratch = None;
        block.in_batches(batch::<L>, |rows| {
            let scratch = scratch.get_or_insert_with(|| push::Scratch::new::<L>(rows.columns));
            push::rows::<S, F, L>(s, tables, &view, scratch, rows)
        })
    }
}

struct PopRows<'a, 'p, F: VectorFamily> {
    plan: &'p Plan,
    tables: &'p PackedTables<'p>,
    block: &'p mut DecodeBlock<'a, F>,
}

impl<'a, F: VectorFamily> Work for PopRows<'a, '_, F> {
    type Output = Option<DecodeBlock<'a, F>>;
}

impl<S: Simd512, F: VectorFamily> RunOn<S> for PopRows<'_, '_, F> {
    #[inline(always)]
    fn run(self, s: S) -> Self::Output {
        match self.plan.lanes {
            1 => self.pop::<S, 1>(s),
            2 => self.pop::<S, 2>(s),
            4 => self.pop::<S, 4>(s),
            _ => self.pop::<S, 8>(s),
        }
    }
}

impl<'a, F: VectorFamily> PopRows<'a, '_, F> {
    #[inline(always)]
    fn pop<S: Simd512, const L: usize>(self, s: S) -> Option<DecodeBlock<'a, F>> {
        let Self { plan, tables, block } = self;
        let mut scratch = None;
        block.in_batches(batch::<L>, |rows| {
            let scratch = scratch.get_or_insert_with(store::Scratch::new);
            let done = pop::rows::<S, F, L>(s, tables, scratch, rows);
            s.fence();
            done?;
            pop::tails::<F, L>(plan, tables, rows)
        })
    }
}

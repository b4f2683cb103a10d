//! Rows across vectors of eight elements: eight states in an *octet*, whether they are eight rows
//! of one lane, one of eight, or a quarter of one of 32, and four octets in flight.
//!
//! What makes it fast without the instructions of AVX-512: an entry is 16 bytes that one load
//! brings, with all that a symbol needs; quotients are products in floating point; words of eight
//! states are regrouped by rows and compressed by a permutation from a table, without a branch.
//! Symbols outside their table and skipped symbols are nothing irregular here.
//!
//! The loops are generic over [`Octets`] and the arithmetic over [`OctetFamily`]. Of their
//! constants, `L` is how many lanes of a row lie in an octet, and `O` how many octets a row has.

mod cursor;
mod emitted;
mod family;
pub(in crate::cpu) mod indexes;
mod lookup;
pub(in crate::cpu) mod places;
mod pop;
mod push;
mod steps;
pub(in crate::cpu) mod store;

use super::tables::PackedTables;
use crate::cpu::block::{DecodeBlock, EncodeBlock};
use crate::plan::{Lookup, Plan};
use crate::simd::{Level, MOST_QUADS, Octets, PLACES, RunOn, Work, dispatch_octets};
pub(crate) use family::OctetFamily;

/// Octets of states in a block of rows.
pub(in crate::cpu) const OCTETS: usize = 4;

/// States of a block.
pub(in crate::cpu) const STATES: usize = 8 * OCTETS;

/// With fewer states to push than this, one row at a time is faster.
pub(super) const LEAST_STATES_TO_PUSH: usize = 8;

/// With fewer states to pop than this, eight at a time in scalar registers are faster.
pub(super) const LEAST_STATES_TO_POP: usize = 12;

/// With fewer steps than this, what a block costs once would take longer than its symbols. Fewer in
/// unit tests, so that those take this path.
pub(super) const LEAST_STEPS: usize = if cfg!(test) { 1 } else { 16 };

/// Whether a plan's symbols can be pushed here.
pub(super) fn can_push<F: OctetFamily>(plan: &Plan, tables: &PackedTables<'_>) -> bool {
    (plan.lookup != Lookup::Alias || tables.alias.is_some())
        && tables.precision >= F::LEAST_PRECISION_TO_PUSH
        && tables.packed.entries.len() <= MOST_QUADS
}

/// Whether a plan's symbols can be popped here.
pub(super) fn can_pop(plan: &Plan, tables: &PackedTables<'_>) -> bool {
    if plan.lookup == Lookup::Alias {
        let buckets = tables.alias.and_then(|(alias, _)| alias.buckets.as_ref());
        return buckets.is_some_and(|alias| alias.buckets.len() <= MOST_QUADS);
    }
    tables.form.parts().is_some_and(|parts| parts.buckets.len() <= MOST_QUADS)
}

/// Steps of a tile: the states of all octets take as many symbols, whatever their lanes, as the L1
/// cache holds beside their indexes.
pub(in crate::cpu) const STEPS: usize = PLACES / STATES;

/// Pushes as many of the block's rows as fill vectors; gives back rows that it gave up.
pub(super) fn push<'a, F: OctetFamily>(
    level: Level,
    plan: &Plan,
    tables: &PackedTables<'_>,
    block: &mut EncodeBlock<'a, F>,
) -> Option<EncodeBlock<'a, F>> {
    let work = PushRows { plan, tables, block };
    dispatch_octets(level, work).unwrap_or_else(|work| Some(work.block.take(work.block.rows.len())))
}

/// Pops likewise.
pub(super) fn pop<'a, F: OctetFamily>(
    level: Level,
    plan: &Plan,
    tables: &PackedTables<'_>,
    block: &mut DecodeBlock<'a, F>,
) -> Option<DecodeBlock<'a, F>> {
    let work = PopRows { plan, tables, block };
    dispatch_octets(level, work).unwrap_or_else(|work| Some(work.block.take(work.block.lens.len())))
}

/// How many of so many rows of `L * O` lanes go together, where they have the least states.
fn batch<const L: usize, const O: usize>(least: usize) -> impl Fn(usize) -> Option<usize> {
    move |rows| (rows * L * O >= least).then(|| rows.min(STATES / (L * O)))
}

struct PushRows<'a, 'p, F: OctetFamily> {
    plan: &'p Plan,
    tables: &'p PackedTables<'p>,
    block: &'p mut EncodeBlock<'a, F>,
}

impl<'a, F: OctetFamily> Work for PushRows<'a, '_, F> {
    type Output = Option<EncodeBlock<'a, F>>;
}

impl<S: Octets, F: OctetFamily> RunOn<S> for PushRows<'_, '_, F> {
    #[inline(always)]
    fn run(self, s: S) -> Self::Output {
        match self.plan.lanes {
            1 => self.push::<S, 1, 1>(s),
            2 => self.push::<S, 2, 1>(s),
            4 => self.push::<S, 4, 1>(s),
            8 => self.push::<S, 8, 1>(s),
            _ => self.push::<S, 8, 4>(s),
        }
    }
}

impl<'a, F: OctetFamily> PushRows<'a, '_, F> {
    #[inline(always)]
    fn push<S: Octets, const L: usize, const O: usize>(self, s: S) -> Option<EncodeBlock<'a, F>> {
        let Self { plan, tables, block } = self;
        let Some(mut scratch) = push::Scratch::new(F::quads(tables)) else {
            return Some(block.take(block.rows.len()));
        };
        block.in_batches(batch::<L, O>(LEAST_STATES_TO_PUSH), |rows| {
            if tables.alias.is_some() {
                push::rows::<S, F, L, O, true>(s, plan, tables, &mut scratch, rows)
            } else {
                push::rows::<S, F, L, O, false>(s, plan, tables, &mut scratch, rows)
            }
        })
    }
}

struct PopRows<'a, 'p, F: OctetFamily> {
    plan: &'p Plan,
    tables: &'p PackedTables<'p>,
    block: &'p mut DecodeBlock<'a, F>,
}

impl<'a, F: OctetFamily> Work for PopRows<'a, '_, F> {
    type Output = Option<DecodeBlock<'a, F>>;
}

impl<S: Octets, F: OctetFamily> RunOn<S> for PopRows<'_, '_, F> {
    #[inline(always)]
    fn run(self, s: S) -> Self::Output {
        match self.plan.lanes {
            1 => self.pop::<S, 1, 1>(s),
            2 => self.pop::<S, 2, 1>(s),
            4 => self.pop::<S, 4, 1>(s),
            8 => self.pop::<S, 8, 1>(s),
            _ => self.pop::<S, 8, 4>(s),
        }
    }
}

impl<'a, F: OctetFamily> PopRows<'a, '_, F> {
    #[inline(always)]
    fn pop<S: Octets, const L: usize, const O: usize>(self, s: S) -> Option<DecodeBlock<'a, F>> {
        let Self { plan, tables, block } = self;
        let mut scratch = store::Scratch::new();
        block.in_batches(batch::<L, O>(LEAST_STATES_TO_POP), |rows| {
            let done = pop::rows::<S, F, L, O>(s, tables, &mut scratch, rows);
            s.fence();
            done?;
            pop::tails::<F>(plan, rows)
        })
    }
}

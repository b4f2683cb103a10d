//! Rows across vector elements: sixteen states in a vector, whether they are sixteen rows of one lane or two rows of eight.
//!
//! What makes it fast is how much goes on at once: a unit is up to four vectors, hence 64 states and up to 64 word cursors, whose steps overlap.
//!
//! Anything out of the ordinary (a symbol that cannot be coded, a row that ends early, a row without room) makes a unit give up, and the scalar
//! path codes its rows again from their states before: errors are the scalar path's own. Symbols outside their table and skipped symbols
//! are nothing out of the ordinary.

mod family;
mod indexes;
mod lookup;
mod masks;
mod number;
mod pop;
mod push;
mod put;
mod tables;

use super::block::{DecodeBlock, EncodeBlock, Failed, Snapshot};
use super::codec::encoder_view;
use super::{interleaved, lanes32, scalar};
use crate::family::HostFamily;
use crate::plan::{Lookup, Plan};
use crate::simd::{Level, RunOn, Simd512, Work, dispatch_512};
pub(crate) use family::WideFamily;
pub(super) use lookup::{By, Found, SlotLookup};
pub(super) use tables::WideTables;

/// Vectors of states in a unit.
const VECTORS: usize = 4;

/// Vectors of steps in a stretch, over all vectors of a unit: a stretch's data stay within half of a first-level cache.
const STEPS: usize = 256;

/// Steps of each vector in a stretch.
const STEPS_EACH: usize = STEPS / VECTORS;

/// Runs a block for each vector of a unit with the vector's number as a constant: a loop would keep the states in memory.
macro_rules! each_vector {
    ($u:ident => $body:block) => {
        each_vector!(@ $u $body 0 1 2 3)
    };
    (@ $u:ident $body:block $($n:literal)*) => {$(
        {
            let $u = $n;
            $body
        }
    )*};
}
use each_vector;

/// Turns `16 / L` vectors of a row each into as many of a step each, or back.
#[inline(always)]
fn regroup<S: Simd512, const L: usize>(s: S, vectors: &mut [[u32; 16]]) {
    let mut v = [s.splat(0); 16];
    for (v, from) in v.iter_mut().zip(vectors.iter()) {
        *v = s.load(from);
    }
    s.transpose::<L>(&mut v);
    for (&v, to) in v.iter().zip(vectors) {
        s.store(v, to);
    }
}

/// With fewer states than this in a unit, eight at a time in scalar registers are faster.
const LEAST_STATES: usize = 32;

/// Pushes a block of rows.
pub(super) fn push<F: HostFamily + WideFamily>(
    plan: &Plan,
    block: EncodeBlock<'_, F>,
) -> Result<(), Failed> {
    push_at(Level::current(), plan, block)
}

/// Pushes a block of rows at a level.
pub(super) fn push_at<F: HostFamily + WideFamily>(
    level: Level,
    plan: &Plan,
    block: EncodeBlock<'_, F>,
) -> Result<(), Failed> {
    if lanes32::takes::<F>(level, plan) {
        return lanes32::push(level, plan, block);
    }
    push_rows(level, plan, block)
}

fn push_rows<F: HostFamily + WideFamily>(
    level: Level,
    plan: &Plan,
    block: EncodeBlock<'_, F>,
) -> Result<(), Failed> {
    match wide_tables(level, plan) {
        Some(tables) => dispatch_512(level, PushWork { plan, tables, block })
            .unwrap_or_else(|work| interleaved::push(plan, &work.tables, work.block)),
        None => scalar::push(plan, block),
    }
}

/// Pops a block of rows.
pub(super) fn pop<F: HostFamily + WideFamily>(
    plan: &Plan,
    block: DecodeBlock<'_, F>,
) -> Result<(), Failed> {
    pop_at(Level::current(), plan, block)
}

/// Pops a block of rows at a level.
pub(super) fn pop_at<F: HostFamily + WideFamily>(
    level: Level,
    plan: &Plan,
    block: DecodeBlock<'_, F>,
) -> Result<(), Failed> {
    if lanes32::takes::<F>(level, plan) {
        return lanes32::pop(level, plan, block);
    }
    pop_rows(level, plan, block)
}

fn pop_rows<F: HostFamily + WideFamily>(
    level: Level,
    plan: &Plan,
    block: DecodeBlock<'_, F>,
) -> Result<(), Failed> {
    match wide_tables(level, plan) {
        Some(tables) => dispatch_512(level, PopWork { plan, tables, block })
            .unwrap_or_else(|work| interleaved::pop(plan, &work.tables, work.block)),
        None => scalar::pop(plan, block),
    }
}

/// The tables of plans whose rows are coded side by side.
fn wide_tables(level: Level, plan: &Plan) -> Option<WideTables<'_>> {
    if level == Level::Scalar || plan.lookup == Lookup::Alias || plan.lanes > 8 {
        return None;
    }
    WideTables::new(plan)
}

struct PushWork<'a, 'p, F: HostFamily> {
    plan: &'p Plan,
    tables: WideTables<'p>,
    block: EncodeBlock<'a, F>,
}

impl<F: HostFamily + WideFamily> Work for PushWork<'_, '_, F> {
    type Output = Result<(), Failed>;
}

impl<S: Simd512, F: HostFamily + WideFamily> RunOn<S> for PushWork<'_, '_, F> {
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

impl<F: HostFamily + WideFamily> PushWork<'_, '_, F> {
    #[inline(always)]
    fn push<S: Simd512, const L: usize>(self, s: S) -> Result<(), Failed> {
        let Self { plan, tables, mut block } = self;
        let view = encoder_view::<F>(plan);
        let mut snapshot = Snapshot::new();
        let mut scratch = None;
        while block.rows.len() * L >= LEAST_STATES {
            let mut unit = block.take(block.rows.len().min(16 / L * VECTORS));
            snapshot.take(unit.rows.states, unit.rows.lens);
            let scratch = scratch.get_or_insert_with(|| push::Scratch::new::<L>(unit.columns));
            if push::unit::<S, F, L>(s, &tables, &view, scratch, &mut unit).is_none() {
                snapshot.restore(unit.rows.states, unit.rows.lens);
                scalar::push(plan, unit)?;
            }
        }
        interleaved::push(plan, &tables, block)
    }
}

struct PopWork<'a, 'p, F: HostFamily> {
    plan: &'p Plan,
    tables: WideTables<'p>,
    block: DecodeBlock<'a, F>,
}

impl<F: HostFamily + WideFamily> Work for PopWork<'_, '_, F> {
    type Output = Result<(), Failed>;
}

impl<S: Simd512, F: HostFamily + WideFamily> RunOn<S> for PopWork<'_, '_, F> {
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

impl<F: HostFamily + WideFamily> PopWork<'_, '_, F> {
    #[inline(always)]
    fn pop<S: Simd512, const L: usize>(self, s: S) -> Result<(), Failed> {
        let Self { plan, tables, mut block } = self;
        let mut snapshot = Snapshot::new();
        let mut scratch = None;
        while block.lens.len() * L >= LEAST_STATES {
            let mut unit = block.take(block.lens.len().min(16 / L * VECTORS));
            snapshot.take(unit.states, unit.lens);
            let scratch = scratch.get_or_insert_with(pop::Scratch::new);
            let done = pop::unit::<S, F, L>(s, &tables, scratch, &mut unit);
            s.fence();
            if done.is_none() || pop::tails::<F, L>(plan, &tables, &mut unit).is_none() {
                snapshot.restore(unit.states, unit.lens);
                scalar::pop(plan, unit)?;
            }
        }
        interleaved::pop(plan, &tables, block)
    }
}

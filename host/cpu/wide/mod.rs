//! Rows across vector elements: sixteen states in a vector, whether they are sixteen rows of one lane or two rows of eight.
//!
//! What makes it fast is how much goes on at once: a unit is up to four vectors, hence 64 states and up to 64 word cursors, whose steps overlap.
//!
//! Anything out of the ordinary (a symbol that cannot be coded, a row that ends early, a row without room) makes a unit give up, and the scalar
//! path codes its rows again from their states before: errors are the scalar path's own. Symbols outside their table and skipped symbols
//! are nothing out of the ordinary.

mod family;
mod pop;
mod push;
mod tables;

use parans_kernels::codec::{DecoderView, DirectPlacement, EncoderView, SearchLookup};

use super::block::{PopBlock, PushBlock, Rows};
use super::{Failed, interleaved, lanes32, scalar};
use crate::coder::{Lookup, Plan, Symbol};
use crate::family::HostFamily;
use crate::simd::rows::{RowSimd, RowWork};
use crate::simd::{Level, dispatch_rows};
pub(crate) use family::WideFamily;
use tables::WideTables;

/// Vectors of steps in a stretch, over all vectors of a unit: a stretch's data stay within half of a first-level cache.
const STEPS: usize = 256;

/// Runs a block for each vector of a unit with the vector's number as a constant: a loop would keep the states in memory.
macro_rules! each_vector {
    ($vectors:ident, $u:ident => $body:block) => {
        if $vectors > 0 {
            let $u = 0;
            $body
        }
        if $vectors > 1 {
            let $u = 1;
            $body
        }
        if $vectors > 2 {
            let $u = 2;
            $body
        }
        if $vectors > 3 {
            let $u = 3;
            $body
        }
    };
}
use each_vector;

/// Turns `16 / L` vectors of a row each into as many of a step each, or back.
#[inline(always)]
fn regroup<S: RowSimd, const L: usize>(s: S, vectors: &mut [[u32; 16]]) {
    let mut v = [s.splat(0); 16];
    for (v, from) in v.iter_mut().zip(vectors.iter()) {
        *v = s.load(from);
    }
    s.transpose::<L>(&mut v);
    for (&v, to) in v.iter().zip(vectors) {
        s.store(v, to);
    }
}

/// With fewer states than this in a unit, the scalar path is as fast.
const LEAST_STATES: usize = 6;

/// The rows of a unit. States and lengths may be left changed by a unit that gives up.
struct Unit<'a, F: WideFamily> {
    /// Number of the first row.
    first: usize,
    /// States, `lanes` a row.
    states: &'a mut [F::State],
    /// Words in use, a row.
    lens: &'a mut [usize],
}

/// Whether this path takes a plan's blocks.
fn takes(plan: &Plan, rows: usize) -> Option<WideTables<'_>> {
    if plan.lookup == Lookup::Alias || plan.lanes > 8 || rows * plan.lanes < LEAST_STATES {
        return None;
    }
    WideTables::new(plan)
}

/// Pushes a block of rows.
pub(super) fn push<F: HostFamily + WideFamily, T: Symbol>(
    plan: &Plan,
    block: PushBlock<'_, F, T>,
) -> Result<(), Failed> {
    push_at(Level::current(), plan, block)
}

/// Pushes a block of rows at a level.
pub(super) fn push_at<F: HostFamily + WideFamily, T: Symbol>(
    level: Level,
    plan: &Plan,
    block: PushBlock<'_, F, T>,
) -> Result<(), Failed> {
    if lanes32::takes::<F>(level, plan) {
        return lanes32::push(level, plan, block);
    }
    match takes(plan, block.rows.len()) {
        Some(tables) => dispatch_rows(level, PushWork { plan, tables, block })
            .unwrap_or_else(|work| scalar::push(plan, work.block)),
        None => scalar::push(plan, block),
    }
}

/// Pops a block of rows.
pub(super) fn pop<F: HostFamily + WideFamily, T: Symbol>(
    plan: &Plan,
    block: PopBlock<'_, F, T>,
) -> Result<(), Failed> {
    pop_at(Level::current(), plan, block)
}

/// Pops a block of rows at a level.
pub(super) fn pop_at<F: HostFamily + WideFamily, T: Symbol>(
    level: Level,
    plan: &Plan,
    block: PopBlock<'_, F, T>,
) -> Result<(), Failed> {
    if lanes32::takes::<F>(level, plan) {
        return lanes32::pop(level, plan, block);
    }
    if matches!(level, Level::Avx2 | Level::Neon)
        && interleaved::takes(plan, block.lens.len())
        && let Some(packed) = plan.tables.prepared().packed()
    {
        return interleaved::pop(plan, packed, block);
    }
    match takes(plan, block.lens.len()) {
        Some(tables) => dispatch_rows(level, PopWork { plan, tables, block })
            .unwrap_or_else(|work| scalar::pop(plan, work.block)),
        None => scalar::pop(plan, block),
    }
}

struct PushWork<'a, 'p, F: HostFamily, T: Symbol> {
    plan: &'p Plan,
    tables: WideTables<'p>,
    block: PushBlock<'a, F, T>,
}

impl<F: HostFamily + WideFamily, T: Symbol> RowWork for PushWork<'_, '_, F, T> {
    type Output = Result<(), Failed>;

    #[inline(always)]
    fn run<S: RowSimd>(self, s: S) -> Self::Output {
        match self.plan.lanes {
            1 => self.push::<S, 1>(s),
            2 => self.push::<S, 2>(s),
            4 => self.push::<S, 4>(s),
            _ => self.push::<S, 8>(s),
        }
    }
}

impl<F: HostFamily + WideFamily, T: Symbol> PushWork<'_, '_, F, T> {
    #[inline(always)]
    fn push<S: RowSimd, const L: usize>(self, s: S) -> Result<(), Failed> {
        let Self { plan, tables, block } = self;
        let PushBlock { rows, symbols, columns, indexes } = block;
        let view = EncoderView::<F, _> {
            tables: scalar::tables_view(plan),
            entries: F::entries(plan.tables.prepared()),
            placement: DirectPlacement,
        };
        let across = 16 / L;
        let mut first = 0;
        let mut left = rows.words;
        let (mut saved_states, mut saved_lens) = (Vec::new(), Vec::new());
        while first < rows.lens.len() {
            let count = (rows.lens.len() - first).min(4 * across);
            let starts = &rows.starts[first..=first + count];
            let (own, after) = std::mem::take(&mut left).split_at_mut(starts[count] - starts[0]);
            left = after;
            let states = &mut rows.states[first * L..(first + count) * L];
            let lens = &mut rows.lens[first..first + count];
            let symbols = &symbols[first * columns..(first + count) * columns];
            let number = rows.first + first;
            first += count;

            let vectors = count.div_ceil(across);
            let done = if count * L < LEAST_STATES {
                None
            } else {
                saved_states.clear();
                saved_states.extend_from_slice(states);
                saved_lens.clear();
                saved_lens.extend_from_slice(lens);
                let mut unit = Unit { first: number, states, lens };
                let mut words = split_words(own, starts);
                macro_rules! push_unit {
                    ($vectors:literal) => {
                        push::unit::<S, F, T, L, $vectors>(
                            s, &tables, &view, &mut unit, &mut words, symbols, columns, indexes,
                        )
                    };
                }
                let done = match vectors {
                    1 => push_unit!(1),
                    _ => push_unit!(4),
                };
                if done.is_none() {
                    states.copy_from_slice(&saved_states);
                    lens.copy_from_slice(&saved_lens);
                }
                done
            };
            if done.is_none() {
                let rows = Rows::<F> { first: number, states, words: own, starts, lens };
                scalar::push(plan, PushBlock { rows, symbols, columns, indexes })?;
            }
        }
        Ok(())
    }
}

/// The words of each row.
fn split_words<'a, W>(words: &'a mut [W], starts: &[usize]) -> Vec<&'a mut [W]> {
    let mut left = words;
    let mut split = Vec::with_capacity(starts.len());
    for pair in starts.windows(2) {
        let (own, after) = left.split_at_mut(pair[1] - pair[0]);
        split.push(own);
        left = after;
    }
    split
}

struct PopWork<'a, 'p, F: HostFamily, T: Symbol> {
    plan: &'p Plan,
    tables: WideTables<'p>,
    block: PopBlock<'a, F, T>,
}

impl<F: HostFamily + WideFamily, T: Symbol> RowWork for PopWork<'_, '_, F, T> {
    type Output = Result<(), Failed>;

    #[inline(always)]
    fn run<S: RowSimd>(self, s: S) -> Self::Output {
        match self.plan.lanes {
            1 => self.pop::<S, 1>(s),
            2 => self.pop::<S, 2>(s),
            4 => self.pop::<S, 4>(s),
            _ => self.pop::<S, 8>(s),
        }
    }
}

impl<F: HostFamily + WideFamily, T: Symbol> PopWork<'_, '_, F, T> {
    #[inline(always)]
    fn pop<S: RowSimd, const L: usize>(self, s: S) -> Result<(), Failed> {
        let Self { plan, tables, block } = self;
        let columns = block.columns;
        // Only the symbols past the last full group are looked up through this.
        let view = DecoderView {
            tables: scalar::tables_view(plan),
            lookup: SearchLookup { spans: plan.tables.prepared().spans() },
        };
        let across = 16 / L;
        let mut first = 0;
        let (mut saved_states, mut saved_lens) = (Vec::new(), Vec::new());
        while first < block.lens.len() {
            let count = (block.lens.len() - first).min(4 * across);
            let starts = &block.starts[first..=first + count];
            let states = &mut block.states[first * L..(first + count) * L];
            let lens = &mut block.lens[first..first + count];
            let symbols = &mut block.symbols[first * columns..(first + count) * columns];
            let number = block.first + first;
            first += count;

            let vectors = count.div_ceil(across);
            let done = if count * L < LEAST_STATES {
                None
            } else {
                saved_states.clear();
                saved_states.extend_from_slice(states);
                saved_lens.clear();
                saved_lens.extend_from_slice(lens);
                let mut unit = Unit { first: number, states, lens };
                macro_rules! pop_unit {
                    ($vectors:literal) => {
                        pop::unit::<S, F, T, _, L, $vectors>(
                            s,
                            &tables,
                            &view,
                            &mut unit,
                            block.words,
                            starts,
                            symbols,
                            columns,
                            block.indexes,
                        )
                    };
                }
                let done = match vectors {
                    1 => pop_unit!(1),
                    _ => pop_unit!(4),
                };
                if done.is_none() {
                    states.copy_from_slice(&saved_states);
                    lens.copy_from_slice(&saved_lens);
                }
                done
            };
            if done.is_none() {
                let words = block.words;
                let indexes = block.indexes;
                let first = number;
                scalar::pop(
                    plan,
                    PopBlock::<F, T> {
                        first,
                        states,
                        words,
                        starts,
                        lens,
                        symbols,
                        columns,
                        indexes,
                    },
                )?;
            }
        }
        Ok(())
    }
}

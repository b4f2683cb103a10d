//! Pushing four rows together, or one.
//!
//! A tile goes through two loops over data that the L1 cache holds: symbols and indexes become
//! packed entries, row by row; then the states of all rows take their steps.

use parans_kernels::codec::step::is_normalised;

use super::super::entries::{FindEntries, RowTile, STEPS, TileIndexes, bytes_of, steps_of};
use super::super::tables::PackedTables;
use super::steps::{LANES, LaneFamily, PushSteps};
use crate::cpu::block::{EncodeBlock, split_rows};
use crate::cpu::codec::{encode_columns, encoder_view};
use crate::plan::Plan;
use crate::simd::{Level, dispatch};

/// What four rows keep in the L1 cache.
#[derive(Default)]
pub(super) struct Scratch {
    entries: Vec<RowTile>,
    symbols: Box<RowTile>,
    indexes: Box<RowTile>,
}

/// Pushes the block's `R` rows. `None` where the scalar path has to, from the start: the block is
/// then as it was, but for words past its rows' lengths.
pub(super) fn rows<F: LaneFamily, const R: usize>(
    level: Level,
    plan: &Plan,
    tables: &PackedTables<'_>,
    scratch: &mut Scratch,
    block: &mut EncodeBlock<'_, F>,
) -> Option<()> {
    let EncodeBlock { rows, symbols, columns, source: indexes } = block;
    let columns = *columns;
    let view = encoder_view::<F>(plan);
    let (of_rows, _) = rows.states.as_chunks::<LANES>();
    let mut states: [[F::State; LANES]; R] = *of_rows.first_chunk()?;
    if !states.as_flattened().iter().all(|&x| is_normalised::<F>(x)) {
        return None;
    }
    let mut lens: [usize; R] = *rows.lens.first_chunk()?;
    let mut of_rows = split_rows(&mut *rows.words, rows.starts);
    let mut words: [&mut [F::Word]; R] =
        std::array::from_fn(|_| of_rows.next().unwrap_or_default());
    // Columns of a row through the codec: a step at most.
    let push_columns = |at: std::ops::Range<usize>,
                        states: &mut [[F::State; LANES]; R],
                        words: &mut [&mut [F::Word]; R],
                        lens: &mut [usize; R]| {
        for r in 0..R {
            let of_row = indexes.row(rows.first + r);
            let symbols = symbols.range(r * columns..(r + 1) * columns);
            let (states, len) = (&mut states[r], &mut lens[r]);
            encode_columns(&view, states, words[r], len, symbols, of_row, at.clone())?;
        }
        Some(())
    };

    let steps = columns / LANES;
    push_columns(steps * LANES..columns, &mut states, &mut words, &mut lens)?;
    scratch.entries.resize_with(R, RowTile::default);
    for begin in (0..steps).step_by(STEPS).rev() {
        let count = STEPS.min(steps - begin);
        let range = begin * LANES..(begin + count) * LANES;
        let below = begin.saturating_sub(STEPS) * LANES..begin * LANES;
        let mut irregular = 0;
        for (r, entries) in scratch.entries.iter_mut().enumerate().take(R) {
            let row = symbols.range(r * columns..(r + 1) * columns);
            let of_row = indexes.row(rows.first + r);
            let find = FindEntries {
                tables,
                symbols: steps_of(row.range(range.clone()), &mut scratch.symbols),
                indexes: TileIndexes::new(of_row, range.clone(), &mut scratch.indexes),
                prefetch: [row.range(below.clone()).as_bytes(), bytes_of(of_row, below.clone())],
                entries: &mut entries[..],
            };
            irregular |= dispatch(level, find).ok()?;
        }
        let entries = scratch.entries.first_chunk::<R>()?;
        let mut end = count;
        while end > 0 {
            // The steps above the last irregular one, then that one.
            let start =
                (u32::BITS - (irregular & (u32::MAX >> (32 - end))).leading_zeros()) as usize;
            if start < end {
                let mut r = 0;
                let free = words.each_mut().map(|words| {
                    r += 1;
                    &mut words[lens[r - 1]..]
                });
                let pushed = F::push_steps(
                    level,
                    PushSteps {
                        entries,
                        steps: start..end,
                        precision: tables.precision,
                        states: &mut states,
                        free,
                    },
                )?;
                for (len, words) in lens.iter_mut().zip(pushed.words) {
                    *len += words;
                }
                end = pushed.done;
            }
            if end > 0 {
                let column = (begin + end - 1) * LANES;
                push_columns(column..column + LANES, &mut states, &mut words, &mut lens)?;
                end -= 1;
            }
        }
    }
    rows.states.copy_from_slice(states.as_flattened());
    rows.lens.copy_from_slice(&lens);
    Some(())
}

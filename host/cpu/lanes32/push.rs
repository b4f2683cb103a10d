//! Pushing a unit: four rows, or one.
//!
//! A stretch goes through two loops over data that the first-level cache holds: symbols and indexes become packed entries, row by row; then the states of
//! all rows take their steps.

use parans_kernels::codec::row::EncoderView;
use parans_kernels::codec::step::is_normalised;
use parans_kernels::codec::{self, DirectPlacement, WordWriter};

use super::tables::{Number, StretchIndexes, bytes_of, widen};
use super::{LANES, Lanes32, PushBlock, PushSteps, STEPS, Stretch, WideTables, scalar};
use crate::coder::{Plan, Symbol};
use crate::family::HostFamily;
use crate::simd::{Level, dispatch};

/// What a unit keeps in the first-level cache.
#[derive(Default)]
pub(super) struct Scratch {
    entries: Vec<Stretch>,
    symbols: Box<Stretch>,
    indexes: Box<Stretch>,
}

/// Pushes the block's `R` rows. `None` where the scalar path has to, from the start: the block is then as it was, but for words past its rows' lengths.
pub(super) fn unit<F: HostFamily + Lanes32, T: Symbol, const R: usize>(
    level: Level,
    plan: &Plan,
    tables: &WideTables<'_>,
    scratch: &mut Scratch,
    block: &mut PushBlock<'_, F, T>,
) -> Option<()> {
    let PushBlock { rows, symbols, columns, indexes } = block;
    let columns = *columns;
    let view = EncoderView::<F, _> {
        tables: scalar::tables_view(plan),
        entries: F::entries(plan.tables.prepared()),
        placement: DirectPlacement,
    };
    let (of_rows, _) = rows.states.as_chunks::<LANES>();
    let mut states: [[F::State; LANES]; R] = *of_rows.first_chunk()?;
    if !states.as_flattened().iter().all(|&x| is_normalised::<F>(x)) {
        return None;
    }
    let mut lens: [usize; R] = *rows.lens.first_chunk()?;
    let mut left = &mut *rows.words;
    let mut words: [&mut [F::Word]; R] = std::array::from_fn(|r| {
        let of_row = rows.starts[r + 1] - rows.starts[r];
        let (own, after) = std::mem::take(&mut left).split_at_mut(of_row);
        left = after;
        own
    });
    // Columns of a row through the codec: a step at most.
    let push_columns = |at: std::ops::Range<usize>,
                        states: &mut [[F::State; LANES]; R],
                        words: &mut [&mut [F::Word]; R],
                        lens: &mut [usize; R]| {
        for r in 0..R {
            let of_row = indexes.row(rows.first + r);
            let (mut values, mut index) = ([0; LANES], [0; LANES]);
            for (lane, column) in at.clone().enumerate() {
                values[lane] = symbols[r * columns + column].to_i32();
                index[lane] = of_row.at(column);
            }
            let mut writer = WordWriter::new(words[r], lens[r]);
            let index = codec::Indexes::Each(&index[..at.len()]);
            let values = &values[..at.len()];
            codec::push_row(&view, &mut states[r], &mut writer, values, index).ok()?;
            lens[r] = writer.len();
        }
        Some(())
    };

    let steps = columns / LANES;
    push_columns(steps * LANES..columns, &mut states, &mut words, &mut lens)?;
    scratch.entries.resize_with(R, Stretch::default);
    for begin in (0..steps).step_by(STEPS).rev() {
        let count = STEPS.min(steps - begin);
        let range = begin * LANES..(begin + count) * LANES;
        let below = begin.saturating_sub(STEPS) * LANES..begin * LANES;
        let mut odd = 0;
        for (r, entries) in scratch.entries.iter_mut().enumerate().take(R) {
            let row = &symbols[r * columns..(r + 1) * columns];
            let of_row = indexes.row(rows.first + r);
            let number = Number {
                tables,
                symbols: widen(&row[range.clone()], &mut scratch.symbols),
                indexes: StretchIndexes::new(of_row, range.clone(), &mut scratch.indexes),
                ahead: [bytemuck::cast_slice(&row[below.clone()]), bytes_of(of_row, below.clone())],
                entries: &mut entries[..],
            };
            odd |= dispatch(level, number).ok()?;
        }
        let entries = scratch.entries.first_chunk::<R>()?;
        let mut end = count;
        while end > 0 {
            // The steps above the last odd one, then that one.
            let start = (u32::BITS - (odd & (u32::MAX >> (32 - end))).leading_zeros()) as usize;
            if start < end {
                let mut r = 0;
                let rooms = words.each_mut().map(|words| {
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
                        rooms,
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

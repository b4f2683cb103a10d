//! Symbols with models of their own on the CPU: rows over rayon's current pool, and in a thread as
//! many side by side as make 32 states.

pub(crate) mod batches;
mod mixtures;
mod rows;

use parans_kernels::codec::{self, RowFault, WordReader, WordWriter};
use parans_kernels::model::ModelRow;

use super::block::{DecodeBlock, EncodeBlock, Failed, split_rows};
use super::{explain, pop_blocks, push_blocks, rows_per_block};
use crate::error::Result;
use crate::family::{Family, HostFamily};
use crate::model::{ModelSet, RowModels, with_models};
use crate::plan::RowPlan;
use crate::streams::Streams;
use crate::symbols::{SymbolSlice, SymbolSliceMut};

/// A symbol's model costs about as much as four lookups in a table.
const WORK_PER_SYMBOL: usize = 4;

/// With fewer states than this side by side, batches are mostly empty, and rows are as fast one by
/// one.
const LEAST_STATES: usize = 8;

/// Calls a generic function with the codec type of a rANS family; the coder has refused others.
macro_rules! with_rans {
    ($family:expr, $type:ident => $body:expr) => {
        match $family {
            Family::Rans32 => {
                type $type = codec::Rans32;
                $body
            }
            Family::Rans32x16 => {
                type $type = codec::Rans32x16;
                $body
            }
            _ => {
                type $type = codec::Rans64;
                $body
            }
        }
    };
}

/// How many rows a block takes.
fn block_rows((rows, columns): (usize, usize)) -> usize {
    rows_per_block(rows, columns.saturating_mul(WORK_PER_SYMBOL))
}

/// Pushes symbols of the models' shape.
pub(crate) fn push(
    plan: &RowPlan,
    streams: &mut Streams,
    symbols: SymbolSlice<'_>,
    models: ModelSet<'_>,
) -> Result<()> {
    let shape = models.shape();
    let columns = shape.1;
    let result = with_rans!(plan.family, F => with_models!(models, models => {
        push_blocks::<F, _>(plan, streams, symbols, models, columns, block_rows(shape), |block| {
            push_block(plan, block)
        })
    }));
    result.map_err(|failed| {
        explain(plan, 0, failed, -1, |row, position| symbols.at_or_zero(row * columns + position))
    })
}

fn push_block<F: HostFamily, M: RowModels>(
    plan: &RowPlan,
    block: EncodeBlock<'_, F, &M>,
) -> Result<(), Failed> {
    let EncodeBlock { rows, symbols, columns, source } = block;
    let (lanes, p, bypass) = (plan.lanes, plan.precision.bits(), plan.bypass);
    let together = rows::together(lanes);
    let mut left = split_rows(rows.words, rows.starts);
    let mut buffer = Vec::new();
    let groups = rows.states.chunks_mut(together * lanes).zip(rows.lens.chunks_mut(together));
    for (part, (states, lens)) in groups.enumerate() {
        let at = part * together;
        let first = rows.first + at;
        let mut words: Vec<_> = left.by_ref().take(lens.len()).collect();
        let symbols = symbols.range(at * columns..(at + lens.len()) * columns);
        let symbols = symbols.widen_all(&mut buffer);
        let models: Vec<_> =
            (first..first + lens.len()).map(|row| source.row(row, plan.precision)).collect();
        if states.len() >= LEAST_STATES {
            let mut trial = states.to_vec();
            let mut writers: Vec<_> = words
                .iter_mut()
                .zip(&*lens)
                .map(|(words, &len)| WordWriter::new(words, len))
                .collect();
            let pushed =
                rows::push::<F, _>(&models, p, bypass, &mut trial, &mut writers, symbols, columns);
            if pushed.is_some() {
                states.copy_from_slice(&trial);
                lens.iter_mut().zip(&writers).for_each(|(len, words)| *len = words.len());
                continue;
            }
        }
        let rows = models.iter().zip(words).zip(states.chunks_mut(lanes)).zip(lens);
        for (r, (((model, words), states), len)) in rows.enumerate() {
            let mut words = WordWriter::new(words, *len);
            let symbols = &symbols[r * columns..(r + 1) * columns];
            let model = ModelRow { model: *model, precision: p, bypass };
            codec::push_row::<F, _, _>(&model, states, &mut words, symbols)
                .map_err(|fault| (first + r, fault))?;
            *len = words.len();
        }
    }
    Ok(())
}

/// Pops symbols of the models' shape.
pub(crate) fn pop(
    plan: &RowPlan,
    streams: &mut Streams,
    symbols: SymbolSliceMut<'_>,
    models: ModelSet<'_>,
) -> Result<()> {
    let shape = models.shape();
    let result = with_rans!(plan.family, F => with_models!(models, models => {
        pop_blocks::<F, _>(plan, streams, symbols, models, shape.1, block_rows(shape), |block| {
            pop_block(plan, block)
        })
    }));
    result.map_err(|failed| explain(plan, 0, failed, -1, |_, _| 0))
}

fn pop_block<F: HostFamily, M: RowModels>(
    plan: &RowPlan,
    block: DecodeBlock<'_, F, &M>,
) -> Result<(), Failed> {
    let DecodeBlock { first, states, words, starts, lens, mut symbols, columns, source } = block;
    let (lanes, p, bypass) = (plan.lanes, plan.precision.bits(), plan.bypass);
    let together = rows::together(lanes);
    let mut buffer = Vec::new();
    let groups = states.chunks_mut(together * lanes).zip(lens.chunks_mut(together));
    for (part, (states, lens)) in groups.enumerate() {
        let at = part * together;
        let (number, rows) = (first + at, lens.len());
        let models: Vec<_> =
            (number..number + rows).map(|row| source.row(row, plan.precision)).collect();
        let mut symbols = symbols.take(rows * columns);
        let values = match &mut symbols {
            SymbolSliceMut::I32(symbols) => &mut **symbols,
            _ => {
                buffer.resize(rows * columns, 0);
                &mut buffer
            }
        };
        let words = |r: usize, len: usize| WordReader::new(&words[starts[at + r]..][..len]);
        let mut coded = false;
        if states.len() >= LEAST_STATES {
            let mut trial = states.to_vec();
            let mut readers: Vec<_> =
                lens.iter().enumerate().map(|(r, &len)| words(r, len)).collect();
            let popped =
                rows::pop::<F, _>(&models, p, bypass, &mut trial, &mut readers, values, columns);
            if popped.is_some() {
                states.copy_from_slice(&trial);
                lens.iter_mut().zip(&readers).for_each(|(len, words)| *len = words.len());
                coded = true;
            }
        }
        if !coded {
            let rows = models.iter().zip(states.chunks_mut(lanes)).zip(lens);
            for (r, ((model, states), len)) in rows.enumerate() {
                let mut words = words(r, *len);
                let values = &mut values[r * columns..(r + 1) * columns];
                let model = ModelRow { model: *model, precision: p, bypass };
                codec::pop_row::<F, _, _>(&model, states, &mut words, values)
                    .map_err(|fault| (number + r, fault))?;
                *len = words.len();
            }
        }
        if !matches!(symbols, SymbolSliceMut::I32(_)) {
            symbols.narrow(&buffer).map_err(|RowFault { error, position }| {
                (number + position / columns, error.at(position % columns))
            })?;
        }
    }
    Ok(())
}

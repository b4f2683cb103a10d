//! Symbols with models of their own on the CPU: rows over rayon's current pool, and in a thread as
//! many side by side as make 32 states.

mod rows;

use parans_kernels::codec::{self, RowError, WordReader, WordWriter};
use parans_kernels::model::{pop_model_row, push_model_row};

use super::block::{Failed, split, split_rows};
use super::{rows_per_block, run};
use crate::error::{Error, Result, RowCause};
use crate::family::{Family, HostFamily};
use crate::model::{ModelSet, RowModels, with_models};
use crate::streams::Streams;
use crate::symbols::{SymbolSlice, SymbolSliceMut, take};
use crate::tables::Precision;

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

/// Pushes symbols of the models' shape.
pub(crate) fn push(
    family: Family,
    precision: Precision,
    bypass: Option<codec::BypassCode>,
    streams: &mut Streams,
    models: ModelSet<'_>,
    symbols: SymbolSlice<'_>,
) -> Result<()> {
    let mut buffer = Vec::new();
    let values = symbols.widen_all(&mut buffer);
    with_rans!(family, F => with_models!(models, models => {
        push_rows::<F, _>(precision, bypass, streams, models, values)
    }))
}

fn push_rows<F: HostFamily, M: RowModels>(
    precision: Precision,
    bypass: Option<codec::BypassCode>,
    streams: &mut Streams,
    models: &M,
    symbols: &[i32],
) -> Result<()> {
    let (rows, columns) = (models.rows(), models.columns());
    let lanes = streams.lanes();
    let parts = streams.parts_mut::<F>();
    let mut states = parts.states.to_vec();
    let mut lens = parts.lens.to_vec();
    let block_rows = rows_per_block(rows, columns.saturating_mul(WORK_PER_SYMBOL));
    let blocks = split::<F>(block_rows, lanes, &mut states, parts.words, parts.starts, &mut lens);
    let together = rows::together(lanes);
    let result = run(blocks, |block| {
        let mut left = split_rows(block.words, block.starts);
        let groups = block.states.chunks_mut(together * lanes).zip(block.lens.chunks_mut(together));
        for (part, (states, lens)) in groups.enumerate() {
            let at = part * together;
            let first = block.first + at;
            let mut words: Vec<_> = left.by_ref().take(lens.len()).collect();
            let symbols = &symbols[first * columns..(first + lens.len()) * columns];
            let models: Vec<_> =
                (first..first + lens.len()).map(|row| models.row(row, precision)).collect();
            if states.len() >= LEAST_STATES {
                let mut trial = states.to_vec();
                let mut writers: Vec<_> = words
                    .iter_mut()
                    .zip(&*lens)
                    .map(|(words, &len)| WordWriter::new(words, len))
                    .collect();
                let p = precision.bits();
                let pushed = rows::push::<F, _>(
                    &models,
                    p,
                    bypass,
                    &mut trial,
                    &mut writers,
                    symbols,
                    columns,
                );
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
                push_model_row::<F, _>(
                    model,
                    precision.bits(),
                    bypass,
                    states,
                    &mut words,
                    symbols,
                )
                .map_err(|fault| (first + r, fault))?;
                *len = words.len();
            }
        }
        Ok(())
    });
    match result {
        Ok(()) => {
            streams.commit::<F>(&states, lens);
            Ok(())
        }
        Err(failed) => Err(explain(failed, |row, position| {
            symbols.get(row * columns + position).copied().unwrap_or(0)
        })),
    }
}

/// Pops symbols of the models' shape.
pub(crate) fn pop(
    family: Family,
    precision: Precision,
    bypass: Option<codec::BypassCode>,
    streams: &mut Streams,
    models: ModelSet<'_>,
    symbols: SymbolSliceMut<'_>,
) -> Result<()> {
    with_rans!(family, F => with_models!(models, models => {
        pop_rows::<F, _>(precision, bypass, streams, models, symbols)
    }))
}

fn pop_rows<F: HostFamily, M: RowModels>(
    precision: Precision,
    bypass: Option<codec::BypassCode>,
    streams: &mut Streams,
    models: &M,
    mut symbols: SymbolSliceMut<'_>,
) -> Result<()> {
    let (rows, columns) = (models.rows(), models.columns());
    let lanes = streams.lanes();
    let parts = streams.parts::<F>();
    let mut states = parts.states.to_vec();
    let mut lens = parts.lens.to_vec();
    let block_rows = rows_per_block(rows, columns.saturating_mul(WORK_PER_SYMBOL));
    let mut blocks = Vec::new();
    let narrow = !matches!(symbols, SymbolSliceMut::I32(_));
    let mut buffer = vec![0; if narrow { symbols.len() } else { 0 }];
    let mut rest: &mut [i32] = match &mut symbols {
        SymbolSliceMut::I32(symbols) => symbols,
        _ => &mut buffer,
    };
    let per_block = states.chunks_mut(block_rows * lanes).zip(lens.chunks_mut(block_rows));
    for (number, (states, lens)) in per_block.enumerate() {
        let symbols = take(&mut rest, lens.len() * columns);
        blocks.push((number * block_rows, states, lens, symbols));
    }
    let together = rows::together(lanes);
    let result = run(blocks, |(first, states, lens, symbols)| {
        let groups = states.chunks_mut(together * lanes).zip(lens.chunks_mut(together));
        for (part, (states, lens)) in groups.enumerate() {
            let at = part * together;
            let (number, rows) = (first + at, lens.len());
            let models: Vec<_> =
                (number..number + rows).map(|row| models.row(row, precision)).collect();
            let symbols = &mut symbols[at * columns..(at + rows) * columns];
            let words = |r: usize, len: usize| {
                let start = parts.starts[number + r];
                WordReader::new(&parts.words[start..start + len])
            };
            if states.len() >= LEAST_STATES {
                let mut trial = states.to_vec();
                let mut readers: Vec<_> =
                    lens.iter().enumerate().map(|(r, &len)| words(r, len)).collect();
                let p = precision.bits();
                let popped = rows::pop::<F, _>(
                    &models,
                    p,
                    bypass,
                    &mut trial,
                    &mut readers,
                    symbols,
                    columns,
                );
                if popped.is_some() {
                    states.copy_from_slice(&trial);
                    lens.iter_mut().zip(&readers).for_each(|(len, words)| *len = words.len());
                    continue;
                }
            }
            let rows = models.iter().zip(states.chunks_mut(lanes)).zip(lens);
            for (r, ((model, states), len)) in rows.enumerate() {
                let mut words = words(r, *len);
                let symbols = &mut symbols[r * columns..(r + 1) * columns];
                pop_model_row::<F, _>(model, precision.bits(), bypass, states, &mut words, symbols)
                    .map_err(|fault| (number + r, fault))?;
                *len = words.len();
            }
        }
        Ok(())
    });
    result.map_err(|failed| explain(failed, |_, _| 0))?;
    // Narrowing can fail, and streams must stay as they were then.
    if narrow {
        symbols.narrow(&buffer).map_err(|fault| {
            let columns = columns.max(1);
            let (row, position) = (fault.position / columns, fault.position % columns);
            Error::Row { row, position, cause: RowCause::SymbolWidth }
        })?;
    }
    streams.commit::<F>(&states, lens);
    Ok(())
}

/// The public error for a failed row. There are no tables to name: -1 stands for the symbol's own
/// model.
pub(crate) fn explain((row, fault): Failed, symbol: impl Fn(usize, usize) -> i32) -> Error {
    let position = fault.position;
    let cause = match fault.error {
        RowError::SymbolOutOfRange => {
            RowCause::SymbolOutOfRange { symbol: symbol(row, position), table: -1 }
        }
        RowError::BypassDistance => {
            RowCause::BypassDistance { symbol: symbol(row, position), table: -1 }
        }
        RowError::Truncated => RowCause::Truncated,
        RowError::StateOutOfRange => RowCause::StateOutOfRange,
        RowError::BypassDigits => RowCause::BypassDigits,
        RowError::CapacityExceeded => RowCause::CapacityExceeded,
        RowError::SymbolWidth => RowCause::SymbolWidth,
        _ => RowCause::ParameterOutOfRange,
    };
    Error::Row { row, position, cause }
}

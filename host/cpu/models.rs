//! Symbols with models of their own on the CPU: rows over rayon's current pool, each through the codec.

use parans_kernels::codec::{self, RowError, WordReader, WordWriter};
use parans_kernels::model::{pop_model_row, push_model_row};

use super::block::split;
use super::scalar::{narrow_into, widen};
use super::{Failed, rows_a_block, run};
use crate::coder::{Symbol, Symbols};
use crate::error::{Error, Result, RowCause};
use crate::family::{Family, HostFamily};
use crate::model::Models;
use crate::streams::Streams;
use crate::tables::Precision;

/// A symbol's model costs about as much as eight lookups in a table.
const WORK_A_SYMBOL: usize = 8;

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
pub(crate) fn push<S: Symbol, M: Models>(
    family: Family,
    precision: Precision,
    bypass: Option<codec::Bypass>,
    streams: &mut Streams,
    models: &M,
    symbols: &Symbols<'_, S>,
) -> Result<()> {
    let mut buffer = Vec::new();
    let values = widen(symbols.as_slice(), &mut buffer);
    with_rans!(family, F => push_rows::<F, M>(precision, bypass, streams, models, values))
}

fn push_rows<F: HostFamily, M: Models>(
    precision: Precision,
    bypass: Option<codec::Bypass>,
    streams: &mut Streams,
    models: &M,
    symbols: &[i32],
) -> Result<()> {
    let (rows, columns) = (models.rows(), models.columns());
    let lanes = streams.lanes();
    let parts = streams.parts_mut::<F>();
    let mut states = parts.states.to_vec();
    let mut lens = parts.lens.to_vec();
    let block_rows = rows_a_block(rows, columns.saturating_mul(WORK_A_SYMBOL));
    let blocks = split::<F>(block_rows, lanes, &mut states, parts.words, parts.starts, &mut lens);
    let result = run(blocks, |block| {
        let base = block.starts[0];
        for (at, (states, len)) in
            block.states.chunks_mut(lanes).zip(block.lens.iter_mut()).enumerate()
        {
            let row = block.first + at;
            let words = &mut block.words[block.starts[at] - base..block.starts[at + 1] - base];
            let mut words = WordWriter::new(words, *len);
            let model = models.row(row, precision);
            let symbols = &symbols[row * columns..(row + 1) * columns];
            push_model_row::<F, _>(&model, precision.bits(), bypass, states, &mut words, symbols)
                .map_err(|fault| (row, fault))?;
            *len = words.len();
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
pub(crate) fn pop<S: Symbol, M: Models>(
    family: Family,
    precision: Precision,
    bypass: Option<codec::Bypass>,
    streams: &mut Streams,
    models: &M,
    symbols: &mut [S],
) -> Result<()> {
    if size_of::<S>() == size_of::<i32>() {
        // Of the symbol types only i32 has four bytes.
        let symbols = bytemuck::cast_slice_mut(symbols);
        return with_rans!(family, F => pop_rows::<F, M>(precision, bypass, streams, models, symbols));
    }
    let mut wide = vec![0i32; symbols.len()];
    // Narrowing can fail, and streams must stay as they were then.
    let before = streams.clone();
    with_rans!(family, F => pop_rows::<F, M>(precision, bypass, streams, models, &mut wide))?;
    narrow_into(&wide, symbols).map_err(|fault| {
        *streams = before;
        let columns = models.columns().max(1);
        let (row, position) = (fault.position / columns, fault.position % columns);
        Error::Row { row, position, cause: RowCause::SymbolWidth }
    })
}

fn pop_rows<F: HostFamily, M: Models>(
    precision: Precision,
    bypass: Option<codec::Bypass>,
    streams: &mut Streams,
    models: &M,
    symbols: &mut [i32],
) -> Result<()> {
    let (rows, columns) = (models.rows(), models.columns());
    let lanes = streams.lanes();
    let parts = streams.parts::<F>();
    let mut states = parts.states.to_vec();
    let mut lens = parts.lens.to_vec();
    let block_rows = rows_a_block(rows, columns.saturating_mul(WORK_A_SYMBOL));
    let mut blocks = Vec::new();
    let mut rest = symbols;
    let per_block = states.chunks_mut(block_rows * lanes).zip(lens.chunks_mut(block_rows));
    for (number, (states, lens)) in per_block.enumerate() {
        let (own, after) = rest.split_at_mut(lens.len() * columns);
        rest = after;
        blocks.push((number * block_rows, states, lens, own));
    }
    let result = run(blocks, |(first, states, lens, symbols)| {
        for (at, (states, len)) in states.chunks_mut(lanes).zip(lens.iter_mut()).enumerate() {
            let row = first + at;
            let start = parts.starts[row];
            let mut words = WordReader::new(&parts.words[start..start + *len]);
            let model = models.row(row, precision);
            let symbols = &mut symbols[at * columns..(at + 1) * columns];
            pop_model_row::<F, _>(&model, precision.bits(), bypass, states, &mut words, symbols)
                .map_err(|fault| (row, fault))?;
            *len = words.len();
        }
        Ok(())
    });
    match result {
        Ok(()) => {
            streams.commit::<F>(&states, lens);
            Ok(())
        }
        Err(failed) => Err(explain(failed, |_, _| 0)),
    }
}

/// The public error for a failed row. There are no tables to name: -1 stands for the symbol's own model.
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

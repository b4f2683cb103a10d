//! The scalar path: one row after another through the codec itself. It is the oracle of every other path.

use parans_kernels::codec::{
    self, AliasLookup, AliasPlacement, DecoderView, DirectPlacement, EncoderView, InverseCdfLookup,
    Placement, RowError, RowFault, SearchLookup, WordReader, WordWriter, row::TablesView,
};

use super::Failed;
use super::block::{PopBlock, PushBlock};
use crate::coder::{Lookup, Plan, Symbol};
use crate::family::HostFamily;

/// Calls a function with the lane count as a constant.
macro_rules! with_lanes {
    ($lanes:expr, $name:ident => $body:expr) => {
        match $lanes {
            1 => {
                const $name: usize = 1;
                $body
            }
            2 => {
                const $name: usize = 2;
                $body
            }
            4 => {
                const $name: usize = 4;
                $body
            }
            8 => {
                const $name: usize = 8;
                $body
            }
            _ => {
                const $name: usize = 32;
                $body
            }
        }
    };
}
pub(super) use with_lanes;

pub(super) fn tables_view(plan: &Plan) -> TablesView<'_> {
    TablesView {
        tables: plan.tables.prepared().tables(),
        precision: plan.tables.precision().bits(),
        bypass: plan.bypass,
        skip_past_end: plan.skip_past_end,
    }
}

/// Pushes a block of rows.
pub(super) fn push<F: HostFamily, S: Symbol>(
    plan: &Plan,
    block: PushBlock<'_, F, S>,
) -> Result<(), Failed> {
    let prepared = plan.tables.prepared();
    let tables = tables_view(plan);
    let entries = F::entries(prepared);
    match plan.lookup {
        Lookup::Alias => {
            // The builder prepared it: an error would have come there.
            let Ok(form) = prepared.alias() else { return Ok(()) };
            let placement = AliasPlacement { remap: &form.remap, precision: tables.precision };
            with_lanes!(plan.lanes, LANES => push_rows::<F, S, _, LANES>(&EncoderView { tables, entries, placement }, block))
        }
        _ => {
            let placement = DirectPlacement;
            with_lanes!(plan.lanes, LANES => push_rows::<F, S, _, LANES>(&EncoderView { tables, entries, placement }, block))
        }
    }
}

fn push_rows<F: HostFamily, S: Symbol, P: Placement, const LANES: usize>(
    view: &EncoderView<'_, F, P>,
    block: PushBlock<'_, F, S>,
) -> Result<(), Failed> {
    let PushBlock { rows, symbols, columns, indexes } = block;
    let mut widened = Vec::new();
    let base = rows.starts[0];
    let (states, _) = rows.states.as_chunks_mut::<LANES>();
    for (row, (states, len)) in states.iter_mut().zip(rows.lens.iter_mut()).enumerate() {
        let symbols = &symbols[row * columns..(row + 1) * columns];
        let words = &mut rows.words[rows.starts[row] - base..rows.starts[row + 1] - base];
        let mut words = WordWriter::new(words, *len);
        let number = rows.first + row;
        let indexes = indexes.row(number);
        push_row(view, states, &mut words, widen(symbols, &mut widened), indexes)
            .map_err(|fault| (number, fault))?;
        *len = words.len();
    }
    Ok(())
}

/// The codec's, compiled once for all symbol types: a call a row costs nothing, and four copies of each cost a build a good part of its time.
#[inline(never)]
fn push_row<F: HostFamily, P: Placement, const LANES: usize>(
    view: &EncoderView<'_, F, P>,
    states: &mut [F::State; LANES],
    words: &mut WordWriter<'_, F::Word>,
    symbols: &[i32],
    indexes: codec::Indexes<'_>,
) -> Result<(), RowFault> {
    codec::push_row(view, states, words, symbols, indexes)
}

/// As [`push_row`], the codec's.
#[inline(never)]
fn pop_row<F: HostFamily, L: codec::Lookup, const LANES: usize>(
    view: &DecoderView<'_, L>,
    states: &mut [F::State; LANES],
    words: &mut WordReader<'_, F::Word>,
    symbols: &mut [i32],
    indexes: codec::Indexes<'_>,
) -> Result<(), RowFault> {
    codec::pop_row::<F, L, LANES>(view, states, words, symbols, indexes)
}

/// The symbols as the codec takes them: as they are, or widened into a buffer.
pub(super) fn widen<'a, S: Symbol>(symbols: &'a [S], buffer: &'a mut Vec<i32>) -> &'a [i32] {
    if size_of::<S>() == size_of::<i32>() {
        // Of the symbol types only i32 has four bytes.
        return bytemuck::cast_slice(symbols);
    }
    buffer.clear();
    buffer.extend(symbols.iter().map(|symbol| symbol.to_i32()));
    buffer
}

/// Pops a block of rows.
pub(super) fn pop<F: HostFamily, S: Symbol>(
    plan: &Plan,
    block: PopBlock<'_, F, S>,
) -> Result<(), Failed> {
    let prepared = plan.tables.prepared();
    let tables = tables_view(plan);
    let spans = prepared.spans();
    match plan.lookup {
        Lookup::Alias => {
            let Ok(form) = prepared.alias() else { return Ok(()) };
            let lookup = AliasLookup { spans, buckets: &form.buckets };
            with_lanes!(plan.lanes, LANES => pop_rows::<F, S, _, LANES>(&DecoderView { tables, lookup }, block))
        }
        Lookup::InverseCdf => {
            let Ok(inverse) = prepared.inverse() else { return Ok(()) };
            let lookup = InverseCdfLookup { spans, symbols: &inverse.symbols, bits: inverse.bits };
            with_lanes!(plan.lanes, LANES => pop_rows::<F, S, _, LANES>(&DecoderView { tables, lookup }, block))
        }
        _ => {
            let lookup = SearchLookup { spans };
            with_lanes!(plan.lanes, LANES => pop_rows::<F, S, _, LANES>(&DecoderView { tables, lookup }, block))
        }
    }
}

fn pop_rows<F: HostFamily, S: Symbol, L: codec::Lookup, const LANES: usize>(
    view: &DecoderView<'_, L>,
    block: PopBlock<'_, F, S>,
) -> Result<(), Failed> {
    let columns = block.columns;
    let mut narrow = Vec::new();
    let (states, _) = block.states.as_chunks_mut::<LANES>();
    for (row, (states, len)) in states.iter_mut().zip(block.lens.iter_mut()).enumerate() {
        let number = block.first + row;
        let start = block.starts[row];
        let mut words = WordReader::<F::Word>::new(&block.words[start..start + *len]);
        let symbols = &mut block.symbols[row * columns..(row + 1) * columns];
        let indexes = block.indexes.row(number);
        let popped = if size_of::<S>() == size_of::<i32>() {
            let symbols = bytemuck::cast_slice_mut(symbols);
            pop_row::<F, L, LANES>(view, states, &mut words, symbols, indexes)
        } else {
            narrow.resize(columns, 0);
            pop_row::<F, L, LANES>(view, states, &mut words, &mut narrow, indexes)
                .and_then(|()| narrow_into(&narrow, symbols))
        };
        popped.map_err(|fault| (number, fault))?;
        *len = words.len();
    }
    Ok(())
}

/// Narrows popped symbols; one that does not fit is an error.
pub(super) fn narrow_into<S: Symbol>(from: &[i32], into: &mut [S]) -> Result<(), RowFault> {
    for (position, (&symbol, into)) in from.iter().zip(into).enumerate() {
        *into = S::from_i32(symbol).ok_or(RowError::SymbolWidth.at(position))?;
    }
    Ok(())
}

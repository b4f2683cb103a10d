//! The scalar path: one row after another through the codec itself. It is the oracle of every other
//! path.

use parans_kernels::codec::{
    self, AliasLookup, AliasPlacement, DecoderView, EncoderView, InverseCdfLookup, Placement,
    SearchLookup, WordReader, WordWriter,
};

use crate::cpu::block::{DecodeBlock, EncodeBlock, Failed, split_rows};
use crate::cpu::codec::{encoder_view, pop_row, push_row, tables_view, with_lanes};
use crate::family::HostFamily;
use crate::plan::{Lookup, Plan};
use crate::symbols::SymbolSliceMut;

/// Pushes a block of rows.
pub(super) fn push<F: HostFamily>(plan: &Plan, block: EncodeBlock<'_, F>) -> Result<(), Failed> {
    let view = encoder_view::<F>(plan);
    match plan.lookup {
        Lookup::Alias => {
            // The builder prepared it: an error would have come there.
            let Ok(form) = plan.tables.prepared().alias() else { return Ok(()) };
            let EncoderView { tables, entries, .. } = view;
            let placement = AliasPlacement { remap: &form.remap, precision: tables.precision };
            let view = EncoderView { tables, entries, placement };
            with_lanes!(plan.lanes, LANES => push_rows::<F, _, LANES>(&view, block))
        }
        _ => with_lanes!(plan.lanes, LANES => push_rows::<F, _, LANES>(&view, block)),
    }
}

fn push_rows<F: HostFamily, P: Placement, const LANES: usize>(
    view: &EncoderView<'_, F, P>,
    block: EncodeBlock<'_, F>,
) -> Result<(), Failed> {
    let EncodeBlock { rows, symbols, columns, source: indexes } = block;
    let mut widened = Vec::new();
    let (states, _) = rows.states.as_chunks_mut::<LANES>();
    let of_rows = states.iter_mut().zip(split_rows(rows.words, rows.starts)).zip(rows.lens);
    for (row, ((states, words), len)) in of_rows.enumerate() {
        let symbols = symbols.range(row * columns..(row + 1) * columns);
        let mut words = WordWriter::new(words, *len);
        let number = rows.first + row;
        let indexes = indexes.row(number);
        push_row(view, states, &mut words, symbols.widen_all(&mut widened), indexes)
            .map_err(|fault| (number, fault))?;
        *len = words.len();
    }
    Ok(())
}

/// Pops a block of rows.
pub(super) fn pop<F: HostFamily>(plan: &Plan, block: DecodeBlock<'_, F>) -> Result<(), Failed> {
    let prepared = plan.tables.prepared();
    let tables = tables_view(plan);
    let intervals = prepared.intervals();
    match plan.lookup {
        Lookup::Alias => {
            let Ok(form) = prepared.alias() else { return Ok(()) };
            let lookup = AliasLookup { intervals, buckets: &form.buckets };
            with_lanes!(plan.lanes, LANES => pop_rows::<F, _, LANES>(&DecoderView { tables, lookup }, block))
        }
        Lookup::InverseCdf => {
            let Ok(inverse) = prepared.inverse() else { return Ok(()) };
            let lookup =
                InverseCdfLookup { intervals, symbols: &inverse.symbols, bits: inverse.bits };
            with_lanes!(plan.lanes, LANES => pop_rows::<F, _, LANES>(&DecoderView { tables, lookup }, block))
        }
        _ => {
            let lookup = SearchLookup { intervals };
            with_lanes!(plan.lanes, LANES => pop_rows::<F, _, LANES>(&DecoderView { tables, lookup }, block))
        }
    }
}

fn pop_rows<F: HostFamily, L: codec::SymbolLookup, const LANES: usize>(
    view: &DecoderView<'_, L>,
    mut block: DecodeBlock<'_, F>,
) -> Result<(), Failed> {
    let columns = block.columns;
    let mut buffer = Vec::new();
    let (states, _) = block.states.as_chunks_mut::<LANES>();
    for (row, (states, len)) in states.iter_mut().zip(block.lens.iter_mut()).enumerate() {
        let number = block.first + row;
        let start = block.starts[row];
        let mut words = WordReader::<F::Word>::new(&block.words[start..start + *len]);
        let mut symbols = block.symbols.range(row * columns..(row + 1) * columns);
        let indexes = block.source.row(number);
        let popped = if let SymbolSliceMut::I32(symbols) = symbols {
            pop_row::<F, L, LANES>(view, states, &mut words, symbols, indexes)
        } else {
            buffer.resize(columns, 0);
            pop_row::<F, L, LANES>(view, states, &mut words, &mut buffer, indexes)
                .and_then(|()| symbols.narrow(&buffer))
        };
        popped.map_err(|fault| (number, fault))?;
        *len = words.len();
    }
    Ok(())
}

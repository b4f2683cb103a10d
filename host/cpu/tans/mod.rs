//! tANS on the CPU: several rows at a time, in tiles of columns. Where the processor has vectors
//! that suit it, sixteen rows are [one vector](row_parallel); else, and wherever those give up,
//! eight rows go side by side through scalar registers, as follows.
//!
//! One symbol of one state is a chain of about ten cycles (entry, shift, next state), in which a
//! core could do forty instructions. What makes rows fast is what their loops leave out:
//! - Symbols and indexes become places of entries one tile at a time, in a loop that vectorises and
//!   walks each row's memory in order. Places count over all tables, so that many tables cost no
//!   more instructions than one; skipped symbols have an entry of their own, which keeps the state
//!   and moves no bit.
//! - [Push](mod@push) separates the states, eight chains in registers, from the bits: a symbol's
//!   bits are the low ones of the state before it, and where they go is summed up afterwards, four
//!   symbols at a time.
//! - [Pop](mod@pop) cannot: where a state's bits lie depends on the states before. It runs two to
//!   four rows in step, each reading windows of 64 bits.
//!
//! A row's bit stream is its words' bytes, oldest bit lowest, whatever the width of a word, and so
//! none of the loops depends on the family. Everything unusual (bypass digits, errors, the first
//! and last bits of a row) goes through the codec's own [`push_one`](TansEncoderView::push_one) and
//! [`pop_one`](TansDecoderView::pop_one), between which and the loops a row can change at every
//! window.

mod bits;
mod pop;
mod push;
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "so far only x86-64 has vectors for rows")
)]
mod row_parallel;
#[cfg(test)]
mod tests;

use std::ops::Range;

use parans_kernels::codec::{
    self, RowIndexes, TableDescriptor, TansDecoderView, TansEncoderView, TansFamily,
};

use super::block::{DecodeBlock, EncodeBlock, Failed, split_rows};
use super::codec::{tables_view, with_lanes};
use crate::family::RowFormat;
use crate::plan::Plan;
use crate::simd::{Bits, Level, RunOn, Work, dispatch_bits};
use row_parallel::VectorTables;

/// Symbols that share a window: four states' bits (at most 14 each) and up to seven bits left over
/// fit 64.
const WINDOW: usize = 4;
/// Windows of a row in a tile.
const WINDOWS: usize = 64;
/// Symbols of a row in a tile: enough for the processor to see that memory is read in order, few
/// enough that eight rows' places stay in the cache.
const TILE: usize = WINDOW * WINDOWS;
/// Rows side by side.
const ROWS: usize = 8;
/// Up to this precision, the bits of a window's symbols and the rest of a byte fit it.
const MAX_WINDOW_PRECISION: u32 = 14;
/// The place of a symbol that has none.
const NOWHERE: u32 = u32::MAX;

/// How many symbols of a row are coded in tiles: whole groups of lanes and whole windows.
const fn in_tiles(columns: usize, lanes: usize, precision: u32) -> usize {
    let group = if lanes > WINDOW { lanes } else { WINDOW };
    let usable = precision <= MAX_WINDOW_PRECISION && cfg!(target_endian = "little");
    if usable { columns / group * group } else { 0 }
}

/// The indexes of `buffer.len()` symbols.
fn indexes_at<'a>(indexes: &RowIndexes<'a>, at: usize, buffer: &'a mut [i32]) -> &'a [i32] {
    if let RowIndexes::Each(all) = indexes
        && let Some(found) = all.get(at..at + buffer.len())
    {
        return found;
    }
    for (k, index) in buffer.iter_mut().enumerate() {
        *index = indexes.at(at + k);
    }
    buffer
}

/// The bytes of the indexes of a range, as many as there are.
fn index_bytes<'a>(indexes: &RowIndexes<'a>, range: Range<usize>) -> &'a [u8] {
    fn bytes<T: bytemuck::Pod>(all: &[T], range: Range<usize>) -> &[u8] {
        let end = range.end.min(all.len());
        bytemuck::cast_slice(all.get(range.start..end).unwrap_or(&[]))
    }
    match indexes {
        RowIndexes::One(_) => &[],
        RowIndexes::Each(all) => bytes(all, range),
        RowIndexes::EachU16(all) => bytes(all, range),
        RowIndexes::EachU8(all) => bytes(all, range),
    }
}

/// Prefetches bytes that are read or written soon. Rows lie far apart, and the processor finds out
/// too late where a row goes on.
struct Fetch<'a>(&'a [u8]);

impl Work for Fetch<'_> {
    type Output = ();
}

impl<B: Bits> RunOn<B> for Fetch<'_> {
    #[inline(always)]
    fn run(self, bits: B) {
        // Bytes rarely begin with a cache line: the last one lies past the last whole step.
        for at in (0..self.0.len() + 64).step_by(64) {
            bits.prefetch(self.0, at);
        }
    }
}

/// The first table, where all others have its offset and number of symbols: then an index is all
/// there is to read of its table.
fn alike(tables: &[TableDescriptor]) -> Option<TableDescriptor> {
    let first = *tables.first()?;
    let same =
        |table: &TableDescriptor| (table.symbols, table.offset) == (first.symbols, first.offset);
    tables.iter().all(same).then_some(first)
}

/// The codec's type for a family's rows: tans16 and tans8 differ in their largest precision only.
pub(super) trait Coded:
    RowFormat<Field = u32, Unit = <Self::Codec as TansFamily>::Word>
{
    /// Codes the rows.
    type Codec: TansFamily;
}
impl Coded for codec::Tans32 {
    type Codec = Self;
}
impl Coded for codec::Tans16 {
    type Codec = Self;
}
impl Coded for codec::Tans8 {
    type Codec = codec::Tans16;
}

/// Pushes a block of rows.
pub(super) fn push<T: Coded>(plan: &Plan, block: EncodeBlock<'_, T>) -> Result<(), Failed> {
    push_at(Level::current(), plan, block)
}

/// Pushes a block of rows at a level.
pub(super) fn push_at<T: Coded>(
    level: Level,
    plan: &Plan,
    mut block: EncodeBlock<'_, T>,
) -> Result<(), Failed> {
    let rest = |block: EncodeBlock<'_, T>| push_side_by_side(plan, block);
    if let Some(tables) = VectorTables::wide(level, plan) {
        row_parallel::push(level, &tables, &mut block, rest)?;
    } else if let Some(tables) = VectorTables::octets(level, plan) {
        row_parallel::push(level, &tables, &mut block, rest)?;
    }
    push_side_by_side(plan, block)
}

/// Pushes a block of rows without vectors of them.
fn push_side_by_side<T: Coded>(plan: &Plan, block: EncodeBlock<'_, T>) -> Result<(), Failed> {
    let prepared = plan.tables.prepared();
    // The builder prepared them: an error would have come there.
    let Ok(form) = prepared.tans() else { return Ok(()) };
    let Ok(rows_form) = prepared.tans_rows(plan.bypass.is_some()) else { return Ok(()) };
    let tables = push::EncodeTables {
        view: TansEncoderView {
            tables: tables_view(plan),
            entries: &form.encoder,
            next: &form.next,
        },
        entries: &rows_form.encoder,
        alike: alike(prepared.tables()),
    };
    let EncodeBlock { rows, symbols, columns, source: indexes } = block;
    let fields = T::FAMILY.header_fields(plan.lanes);
    let mut words = split_rows(rows.words, rows.starts);
    let mut scratch = push::Scratch::default();
    let groups = rows.lens.chunks_mut(ROWS).zip(rows.states.chunks_mut(fields * ROWS));
    for (group, (lens, states)) in groups.enumerate() {
        let first = group * ROWS;
        let mut of_group = Vec::with_capacity(ROWS);
        for (at, (len, fields)) in lens.iter_mut().zip(states.chunks_mut(fields)).enumerate() {
            let row = first + at;
            let words = words.next().unwrap_or_default();
            let symbols = symbols.range(row * columns..(row + 1) * columns).as_bytes();
            let indexes = indexes.row(rows.first + row);
            of_group.push(push::PushRow::<T::Codec> { fields, words, len, symbols, indexes });
        }
        let load = |row: usize, at: usize, to: &mut [i32]| {
            let from = (first + row) * columns + at;
            symbols.range(from..from + to.len()).copy_to(to);
        };
        let symbols = push::SymbolSource { columns, width: symbols.width(), load: &load };
        with_lanes!(plan.lanes, LANES => push::rows::<T::Codec, LANES>(&tables, &mut scratch, &symbols, &mut of_group))
            .map_err(|(at, fault)| (rows.first + first + at, fault))?;
    }
    Ok(())
}

/// Pops a block of rows.
pub(super) fn pop<T: Coded>(plan: &Plan, block: DecodeBlock<'_, T>) -> Result<(), Failed> {
    pop_at(Level::current(), plan, block)
}

/// Pops a block of rows at a level.
pub(super) fn pop_at<T: Coded>(
    level: Level,
    plan: &Plan,
    mut block: DecodeBlock<'_, T>,
) -> Result<(), Failed> {
    let rest = |block: DecodeBlock<'_, T>| pop_side_by_side(plan, block);
    if let Some(tables) = VectorTables::wide(level, plan) {
        row_parallel::pop(level, &tables, &mut block, rest)?;
    } else if let Some(tables) = VectorTables::octets(level, plan) {
        row_parallel::pop(level, &tables, &mut block, rest)?;
    }
    pop_side_by_side(plan, block)
}

/// Pops a block of rows without vectors of them.
fn pop_side_by_side<T: Coded>(plan: &Plan, mut block: DecodeBlock<'_, T>) -> Result<(), Failed> {
    let prepared = plan.tables.prepared();
    let Ok(form) = prepared.tans() else { return Ok(()) };
    let Ok(rows_form) = prepared.tans_rows(plan.bypass.is_some()) else { return Ok(()) };
    let tables = pop::DecodeTables {
        view: TansDecoderView { tables: tables_view(plan), entries: &form.decoder },
        entries: &rows_form.decoder,
        alike: alike(prepared.tables()),
    };
    let columns = block.columns;
    let fields = T::FAMILY.header_fields(plan.lanes);
    let mut scratch = pop::Scratch::default();
    let groups = block.lens.chunks_mut(ROWS).zip(block.states.chunks_mut(fields * ROWS));
    for (group, (lens, states)) in groups.enumerate() {
        let first = group * ROWS;
        let symbols = &mut block.symbols;
        let mut of_group = Vec::with_capacity(ROWS);
        for (at, (len, fields)) in lens.iter_mut().zip(states.chunks_mut(fields)).enumerate() {
            let start = block.starts[first + at];
            let words = &block.words[start..start + *len];
            let indexes = block.source.row(block.first + first + at);
            of_group.push(pop::PopRow::<T::Codec> { fields, words, len, indexes });
        }
        // A fault of the row itself comes before one of the caller's type.
        let mut too_narrow = None;
        let mut store = |row: usize, at: usize, values: &[i32]| {
            let begin = (first + row) * columns;
            if let Err(fault) = symbols.range(begin + at..begin + at + values.len()).narrow(values)
            {
                let fault = fault.error.at(at + fault.position);
                too_narrow = too_narrow.or(Some((row, fault)));
            }
            let next = (at + values.len()).min(columns)..(at + values.len() + TILE).min(columns);
            let mut next = symbols.range(begin + next.start..begin + next.end);
            dispatch_bits(Fetch(next.as_bytes_mut()));
        };
        with_lanes!(plan.lanes, LANES => {
            const TOGETHER: usize = if LANES < 4 { 4 } else { 2 };
            pop::rows::<T::Codec, LANES, TOGETHER>(&tables, &mut scratch, columns, &mut store, &mut of_group)
        })
        .and(too_narrow.map_or(Ok(()), Err))
        .map_err(|(at, fault)| (block.first + first + at, fault))?;
    }
    Ok(())
}

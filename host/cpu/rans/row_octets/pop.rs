//! Popping rows side by side: 32 states, four octets, a tile of columns at a time.
//!
//! Indexes are regrouped so that one vector holds one step of an octet, the states take their
//! steps, and the symbols are regrouped back. Words of one lane come from a gather every second
//! step, those of several lanes from one load per row or a gather per step.

use parans_kernels::codec::step::is_normalised;
use parans_kernels::codec::{AliasLookup, DecoderView, RowIndexes, SearchLookup, SymbolLookup};

use super::super::entries::bytes_of;
use super::super::tables::PackedTables;
use super::family::OctetFamily;
use super::indexes::{FindTables, UsedTables};
use super::lookup::{ALIAS, PARTS, PLAIN};
use super::steps::{Ahead, Lanes, Take};
use super::store::{Scratch, Store};
use super::{OCTETS, STATES, STEPS};
use crate::cpu::block::DecodeBlock;
use crate::cpu::codec::{decode_columns, tables_view, with_lanes};
use crate::plan::{Lookup, Plan};
use crate::simd::Octets;
use crate::symbols::SymbolSliceMut;

/// From so many symbols of all rows on they are stored non-temporally: 32 MiB of them. Few in unit
/// tests, so that those take both ways.
const LARGE: usize = if cfg!(test) { 1 << 10 } else { 1 << 23 };

/// Bytes of the smallest page.
const PAGE: usize = 4096;

/// How many tiles before their use indexes are prefetched.
const TILES_AHEAD: usize = 1;

/// Pops a block's rows up to the last full group of lanes; `None` where the scalar path has to,
/// from the start.
pub(super) fn rows<S: Octets, F: OctetFamily, const L: usize, const O: usize>(
    s: S,
    tables: &PackedTables<'_>,
    scratch: &mut Scratch,
    block: &mut DecodeBlock<'_, F>,
) -> Option<()> {
    let (rows, base) = (block.lens.len(), block.starts[0]);
    let words = &block.words[base..block.starts[rows]];
    let bytes = size_of_val(words);
    if bytes < 4
        || bytes >= i32::MAX as usize / 2
        || !block.states.iter().all(|&x| is_normalised::<F>(x))
    {
        return None;
    }
    let (columns, indexes, first_row) = (block.columns, block.source, block.first);
    let mut of_rows = [RowIndexes::One(0); STATES];
    for (row, of_row) in of_rows.iter_mut().enumerate().take(rows) {
        *of_row = indexes.row(first_row + row);
    }
    // Elements without a row pop whatever they find.
    let (states, ends) = ([[F::LOWER_BOUND; 8]; OCTETS], [[0; 8]; OCTETS]);
    let per_row = L * O;
    let mut lanes = Lanes::<F> { states, ends, floors: ends, lanes: per_row };
    lanes.states.as_flattened_mut()[..rows * per_row].copy_from_slice(block.states);
    for row in 0..rows {
        let floor = block.starts[row] - base;
        let own = row * per_row..(row + 1) * per_row;
        lanes.floors.as_flattened_mut()[own.clone()].fill(floor as i32);
        lanes.ends.as_flattened_mut()[own].fill((floor + block.lens[row]) as i32);
    }
    // Symbols of which no cache would hold much are stored non-temporally: no other lines are
    // evicted for them, and none is read to be overwritten.
    let non_temporal = indexes.rows().saturating_mul(columns) >= LARGE
        && matches!(block.symbols, SymbolSliceMut::I32(_));
    let mut ahead = Ahead { of_rows: [&[]; STATES], from: 0, len: 0 };
    for (ahead, &of_row) in ahead.of_rows.iter_mut().zip(&of_rows[..rows]) {
        *ahead = bytes_of(of_row, 0..columns);
    }
    let index_width = ahead.of_rows[0].len() / columns.max(1);
    let alias = tables.alias.is_some();
    let plain = !alias && tables.form.parts()?.plain;
    let full = O > 1 || rows * per_row > STATES - 8;
    let (whole, tile) = (columns / per_row * per_row, STEPS * per_row);
    for begin in (0..whole).step_by(tile) {
        let end = (begin + tile).min(whole);
        let later = (begin + TILES_AHEAD * tile).min(whole)..(end + TILES_AHEAD * tile).min(whole);
        (ahead.from, ahead.len) = (index_width * later.start, index_width * later.len());
        if non_temporal && let SymbolSliceMut::I32(symbols) = &mut block.symbols {
            for row in 0..rows {
                prefetch_page(s, symbols, row * columns + end, tile);
            }
        }
        let find = FindTables::<L, O> {
            tables,
            scratch,
            of_rows: &of_rows[..rows],
            range: begin..end,
            full,
        };
        let used = s.vectorize(find)?;
        let (lanes, ahead, steps) = (&mut lanes, &ahead, (end - begin) / per_row);
        let indexes = &of_rows[..rows];
        macro_rules! take {
            ($each:literal, $kind:expr, $bypass:literal, $full:literal) => {
                s.vectorize(Take::<F, L, O, $each, { $kind }, $bypass, $full> {
                    tables,
                    scratch,
                    lanes,
                    words,
                    indexes,
                    column: begin,
                    steps,
                    ahead,
                })?
            };
        }
        match (used, plain) {
            // Few look symbols up by alias tables: one loop for all of them.
            _ if alias && full => take!(true, ALIAS, true, true),
            _ if alias => take!(true, ALIAS, true, false),
            _ if tables.bypass.is_some() && full => take!(true, PARTS, true, true),
            _ if tables.bypass.is_some() => take!(true, PARTS, true, false),
            (UsedTables::First, true) => take!(false, PLAIN, false, true),
            (UsedTables::First, false) => take!(false, PARTS, false, true),
            (UsedTables::Each, _) if full => take!(true, PARTS, false, true),
            (UsedTables::Each, _) => take!(true, PARTS, false, false),
        }
        let (symbols, range, last) = (&mut block.symbols, begin..end, end == whole);
        s.vectorize(Store::<L, O> { scratch, rows, symbols, columns, range, non_temporal, last })?;
    }
    block.states.copy_from_slice(&lanes.states.as_flattened()[..rows * per_row]);
    for (row, len) in block.lens.iter_mut().enumerate() {
        let (ends, floors) = (lanes.ends.as_flattened(), lanes.floors.as_flattened());
        *len = (ends[row * per_row] - floors[row * per_row]) as usize;
    }
    Some(())
}

/// Prefetches the page of the last of these values, where those before have not touched it:
/// non-temporal stores would wait for its address one after another, as they keep their order.
#[inline(always)]
fn prefetch_page<S: Octets>(s: S, values: &mut [i32], from: usize, count: usize) {
    let page = |at: usize| (values.as_ptr() as usize + size_of::<i32>() * at) / PAGE;
    let last = from + count - 1;
    if page(last) != page(last - count) {
        s.prefetch_to_write(values, last);
    }
}

/// Pops the symbols past the last full group, one row after another.
pub(super) fn tails<F: OctetFamily>(plan: &Plan, block: &mut DecodeBlock<'_, F>) -> Option<()> {
    let lanes = plan.lanes;
    let tail = block.columns % lanes;
    if tail == 0 {
        return Some(());
    }
    let prepared = plan.tables.prepared();
    let (tables, intervals) = (tables_view(plan), prepared.intervals());
    if plan.lookup == Lookup::Alias {
        let lookup = AliasLookup { intervals, buckets: &prepared.alias().ok()?.buckets };
        return tails_by(&DecoderView { tables, lookup }, lanes, tail, block);
    }
    tails_by(&DecoderView { tables, lookup: SearchLookup { intervals } }, lanes, tail, block)
}

/// Pops them by a lookup.
fn tails_by<F: OctetFamily, K: SymbolLookup>(
    view: &DecoderView<'_, K>,
    lanes: usize,
    tail: usize,
    block: &mut DecodeBlock<'_, F>,
) -> Option<()> {
    let columns = block.columns;
    for (row, states) in block.states.chunks_exact_mut(lanes).enumerate() {
        let indexes = block.source.row(block.first + row);
        let words = &block.words[block.starts[row]..][..block.lens[row]];
        let symbols = &mut block.symbols.range(row * columns..(row + 1) * columns);
        let tail = columns - tail..columns;
        block.lens[row] = with_lanes!(lanes, L => {
            let states: &mut [F::State; L] = states.try_into().ok()?;
            decode_columns::<F, _, L>(view, states, words, symbols, indexes, tail)?
        });
    }
    Some(())
}

//! Popping a block of rows, a tile of columns at a time.

mod block_io;
pub(super) mod octets;
pub(super) mod steps;
mod tile;

use std::ops::Range;

use parans_kernels::codec::{self, TansFamily, TansRow, WordReader, tans::BitBuffer};

use super::super::{Coded, index_bytes};
use super::tile::{MOST_ROWS, Prefetches, STAGE, TILE, VectorTables, WINDOW, columns_to_line};
use crate::cpu::block::DecodeBlock;
use crate::cpu::codec::with_lanes;
use crate::simd::{RunOn, Work};
use crate::symbols::{SymbolSliceMut, with_slice};
use tile::{PopTile, Source, redo};

pub(in super::super) use tile::Scratch;

/// Symbols of all rows from which on they go non-temporally: 32 MiB of them. Few in block tests, so
/// that those take both ways.
const LARGE: usize = if cfg!(test) { 1 << 10 } else { 1 << 23 };

/// Pops a block's rows; `None` where the other path has to.
pub(super) fn rows<F, T: Coded>(
    mut way: impl PopTiles<F>,
    tables: &VectorTables<'_, F>,
    scratch: &mut Scratch,
    block: &mut DecodeBlock<'_, T>,
) -> Option<()> {
    let (rows, columns) = (block.lens.len(), block.columns);
    let fields = T::FAMILY.header_fields(tables.lanes);
    let whole = columns / WINDOW * WINDOW;
    let mut sources = [Source::default(); MOST_ROWS];
    for (row, fields) in block.states.chunks_exact(fields).enumerate() {
        let words = &block.words[block.starts[row]..block.starts[row] + block.lens[row]];
        let (lanes, buffer) = fields.split_at(tables.lanes);
        let buffer = BitBuffer { bits: buffer[0], len: buffer[1] };
        if !buffer.is_valid(T::Codec::WORD_BITS) {
            return None;
        }
        for (lane, &x) in lanes.iter().enumerate() {
            let x = if x == 0 { 1 << tables.precision } else { x };
            if x >> tables.precision != 1 {
                return None;
            }
            scratch.states[lane][row / 16][row % 16] = x;
        }
        let bits = words.len() * T::Codec::WORD_BITS as usize + buffer.len as usize;
        sources[row] = Source { bytes: bytemuck::cast_slice(words), rest: buffer.bits, bits };
    }
    let sources = &mut sources[..rows];
    let mut patches = Vec::new();
    let of_rows: [_; MOST_ROWS] = std::array::from_fn(|row| match sources.get(row) {
        Some(_) => block.source.row(block.first + row),
        None => codec::RowIndexes::One(-1),
    });
    let indexes = &of_rows[..rows];
    // Symbols of which no cache would hold much go non-temporally: nobody's lines are lost for
    // them, and none is read to be overwritten.
    let large = block.source.rows().saturating_mul(columns) >= LARGE;
    let non_temporal = large && matches!(block.symbols, SymbolSliceMut::I32(_));
    let lead = with_slice!(&block.symbols, SymbolSliceMut, all => columns_to_line(all, columns));
    let mut prefetch: Prefetches<'_> = [&[]; 2 * MOST_ROWS];
    let mut begin = 0;
    while begin < whole {
        let end = if begin < lead { lead } else { begin + TILE };
        let range = begin..end.min(whole);
        let after = range.end..(range.end + TILE).min(whole);
        for ((parts, source), of_row) in prefetch.chunks_exact_mut(2).zip(&*sources).zip(indexes) {
            (parts[0], parts[1]) = (index_bytes(of_row, after.clone()), source.prefetch());
        }
        way.stage(Stage { scratch, sources });
        let one = block.source.one_for_all();
        let mut tile = PopTile { tables, sources, indexes, one, range: range.clone(), patches };
        way.find(&tile, scratch)?;
        let (mut done, all) = (0, range.len() / WINDOW);
        while done < all {
            done = way.take(&tile, scratch, &prefetch, done..all);
            while scratch.outside != 0 {
                let row = scratch.outside.trailing_zeros() as usize;
                scratch.outside &= scratch.outside - 1;
                redo(&mut tile, scratch, row, done - 1)?;
            }
        }
        patches = tile.patches;
        for (row, source) in sources.iter_mut().enumerate() {
            let taken = ((row + 2) * STAGE).wrapping_sub(scratch.ends[row / 16][row % 16] as usize);
            source.take(
                taken.wrapping_mul(8).wrapping_add(scratch.skips[row / 16][row % 16] as usize),
            )?;
        }
        let last = range.end == whole;
        // What is stored non-temporally may wait for the next range to fill a cache line.
        let there = if non_temporal && !last { range.end.saturating_sub(16) } else { range.end };
        let block = &mut *block;
        way.store(Symbols { tables, scratch, block, indexes, range, non_temporal, last })?;
        for &(row, column, value) in patches.iter().filter(|&&(_, column, _)| column < there) {
            let at = row * columns + column;
            block.symbols.range(at..at + 1).narrow(&[value]).ok()?;
        }
        patches.retain(|&(_, column, _)| column >= there);
        begin = end;
    }
    for (row, fields) in block.states.chunks_exact_mut(fields).enumerate() {
        let words = &block.words[block.starts[row]..block.starts[row] + block.lens[row]];
        let (buffer, len) = sources[row].buffer::<T::Codec>(words);
        let (lanes, rest) = fields.split_at_mut(tables.lanes);
        for (lane, x) in lanes.iter_mut().enumerate() {
            let state = scratch.states[lane][row / 16][row % 16];
            *x = 1 << tables.precision | (state & ((1 << tables.precision) - 1));
        }
        rest.copy_from_slice(&[buffer.bits, buffer.len]);
        block.lens[row] = len;
    }
    with_lanes!(tables.lanes, LANES => tails::<F, T, LANES>(tables, block, whole))
}

/// How the vectors of an instruction set pop a tile.
pub(super) trait PopTiles<F> {
    /// Stages the rows' bits.
    fn stage(&self, stage: Stage<'_>);
    /// Finds the table of each symbol; `None` where an index is wrong.
    fn find(&mut self, tile: &PopTile<'_, '_, F>, scratch: &mut Scratch) -> Option<()>;
    /// Takes the steps of some windows, and says which is the next. It stops after one in which
    /// rows have symbols outside their tables, and notes those.
    fn take(
        &mut self,
        tile: &PopTile<'_, '_, F>,
        scratch: &mut Scratch,
        prefetch: &Prefetches<'_>,
        windows: Range<usize>,
    ) -> usize;
    /// Stores the symbols; `None` where one does not fit its type.
    fn store<T: Coded>(&mut self, symbols: Symbols<'_, '_, T, F>) -> Option<()>;
}

/// The symbols of a range of columns on their way to where the caller wants them. Non-temporal
/// stores ask for a fence: the block's, as each range would wait for memory at its own.
pub(super) struct Symbols<'a, 'b, T: Coded, F> {
    tables: &'a VectorTables<'a, F>,
    scratch: &'a mut Scratch,
    block: &'a mut DecodeBlock<'b, T>,
    indexes: &'a [codec::RowIndexes<'a>],
    range: Range<usize>,
    non_temporal: bool,
    /// Whether no range follows.
    last: bool,
}

/// Pops the columns past the last window, through the codec.
fn tails<F, T: Coded, const LANES: usize>(
    tables: &VectorTables<'_, F>,
    block: &mut DecodeBlock<'_, T>,
    whole: usize,
) -> Option<()> {
    if whole == block.columns {
        return Some(());
    }
    let fields = T::FAMILY.header_fields(LANES);
    for (row, fields) in block.states.chunks_exact_mut(fields).enumerate() {
        let mut codec = TansRow::<LANES>::load::<T::Codec>(fields, tables.precision).ok()?;
        let start = block.starts[row];
        let mut reader = WordReader::new(&block.words[start..start + block.lens[row]]);
        let indexes = block.source.row(block.first + row);
        for column in whole..block.columns {
            let (lane, index) = (column % LANES, indexes.at(column));
            let view = &tables.decoder;
            let value = view.pop_one::<T::Codec, LANES>(&mut codec, lane, index, &mut reader);
            let at = row * block.columns + column;
            block.symbols.range(at..at + 1).narrow(&[value.ok()?]).ok()?;
        }
        if reader.underflowed() {
            return None;
        }
        block.lens[row] = reader.len();
        codec.store(fields);
    }
    Some(())
}

/// Copies the bits that a tile may read to the stage.
pub(super) struct Stage<'a> {
    scratch: &'a mut Scratch,
    sources: &'a [Source<'a>],
}

impl Work for Stage<'_> {
    type Output = ();
}

impl<S> RunOn<S> for Stage<'_> {
    #[inline(always)]
    fn run(self, _s: S) {
        let Scratch { stage, ends, skips, .. } = self.scratch;
        for (row, (to, source)) in stage[1..].iter_mut().zip(self.sources).enumerate() {
            skips.as_flattened_mut()[row] = source.stage(to);
        }
        for (row, end) in ends.as_flattened_mut().iter_mut().enumerate() {
            *end = ((row + 2) * STAGE) as u32;
        }
    }
}

//! Popping a block of rows, a tile of columns at a time.

mod block_io;
mod steps;
mod tile;

use parans_kernels::codec::{self, TansFamily, TansRow, WordReader, tans::BitBuffer};

use super::super::{Coded, index_bytes};
use super::tile::{MOST_ROWS, Prefetches, STAGE, TILE, VectorTables, WINDOW, columns_to_line};
use crate::cpu::block::DecodeBlock;
use crate::cpu::codec::with_lanes;
use crate::simd::{RunOn, Simd512, Work};
use crate::symbols::{SymbolSliceMut, with_slice};
use block_io::{Find, Store};
use tile::{PopTile, Source};

pub(in super::super) use tile::Scratch;

/// Symbols of all rows from which on they go non-temporally: 32 MiB of them. Few in block tests, so
/// that those take both ways.
const LARGE: usize = if cfg!(test) { 1 << 10 } else { 1 << 23 };

/// Pops a block's rows; `None` where the other path has to.
pub(super) fn rows<S: Simd512, T: Coded>(
    s: S,
    tables: &VectorTables<'_>,
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
    let mut begin = 0;
    while begin < whole {
        let end = if begin < lead { lead } else { begin + TILE };
        let range = begin..end.min(whole);
        let after = range.end..(range.end + TILE).min(whole);
        let prefetch: Prefetches<'_> = std::array::from_fn(|k| match (sources.get(k / 2), k % 2) {
            (Some(_), 0) => index_bytes(&of_rows[k / 2], after.clone()),
            (Some(source), _) => source.prefetch(),
            _ => &[],
        });
        s.vectorize(Stage { scratch, sources });
        let find = Find {
            tables,
            scratch,
            indexes,
            one: block.source.one_for_all(),
            range: range.clone(),
        };
        let used = s.vectorize(find)?;
        let mut tile = PopTile { tables, sources, indexes, range: range.clone(), patches };
        steps::take(s, &mut tile, scratch, &prefetch, used)?;
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
        s.vectorize(Store { tables, scratch, used, block, indexes, range, non_temporal, last })?;
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
    with_lanes!(tables.lanes, LANES => tails::<T, LANES>(tables, block, whole))
}

/// Pops the columns past the last window, through the codec.
fn tails<T: Coded, const LANES: usize>(
    tables: &VectorTables<'_>,
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
struct Stage<'a> {
    scratch: &'a mut Scratch,
    sources: &'a [Source<'a>],
}

impl Work for Stage<'_> {
    type Output = ();
}

impl<S: Simd512> RunOn<S> for Stage<'_> {
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

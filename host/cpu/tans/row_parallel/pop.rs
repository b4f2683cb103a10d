//! Popping a block of rows, a tile of columns at a time.

mod block_io;
mod steps;

use std::ops::Range;

use parans_kernels::codec::{
    self, Tans16, TansFamily, TansRow, WordInt, WordReader, tans::BitBuffer,
};

use super::super::{Coded, index_bytes};
use super::tile::{
    LANES, MOST_ROWS, Prefetches, STAGE, TILE, VECTORS, VectorTables, WINDOW, columns_to_line,
};
use crate::cpu::block::DecodeBlock;
use crate::cpu::codec::with_lanes;
use crate::simd::{RunOn, Simd512, Work};
use crate::symbols::{SymbolSliceMut, with_slice};
use block_io::{Find, Store};

/// Symbols of all rows from which on they go non-temporally: 32 MiB of them. Few in block tests, so
/// that those take both ways.
const LARGE: usize = if cfg!(test) { 1 << 10 } else { 1 << 23 };

/// What a tile keeps in the L1 cache.
#[repr(C, align(64))]
pub(in super::super) struct Scratch {
    /// The last bytes of each row's bits; the first is no row's.
    stage: [[u8; STAGE]; MOST_ROWS + 1],
    /// Which table each symbol is of: those of two columns, the first lower.
    tables: [[[u32; 16]; TILE / 2]; VECTORS],
    /// The symbols' numbers, the first highest: a byte each, those of a window; of large alphabets
    /// a half each, those of two columns.
    symbols: [[[u32; 16]; TILE / 2]; VECTORS],
    /// States of each lane.
    states: [[[u32; 16]; VECTORS]; LANES],
    /// Where each row's bits end: past which byte of the stage,
    ends: [[u32; 16]; VECTORS],
    /// and how many bits of that byte are none any more.
    skips: [[u32; 16]; VECTORS],
    /// The last symbols that went non-temporally, of which the next line of a row begins with some.
    stored: [[u32; 16]; MOST_ROWS],
    /// What a window began with, where bypass coding is on.
    before: Before,
    /// The rows, one bit each, to whose last window a symbol outside its table belongs.
    outside: u64,
}

/// States, one or two for rows of as many lanes, ends and skips.
#[derive(Default)]
#[repr(C, align(64))]
struct Before {
    states: [[[u32; 16]; VECTORS]; WINDOW],
    ends: [[u32; 16]; VECTORS],
    skips: [[u32; 16]; VECTORS],
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            stage: [[0; STAGE]; MOST_ROWS + 1],
            tables: [[[0; 16]; TILE / 2]; VECTORS],
            symbols: [[[0; 16]; TILE / 2]; VECTORS],
            states: [[[0; 16]; VECTORS]; LANES],
            ends: [[0; 16]; VECTORS],
            skips: [[0; 16]; VECTORS],
            stored: [[0; 16]; MOST_ROWS],
            before: Before::default(),
            outside: 0,
        }
    }
}

/// The bits of a row.
#[derive(Clone, Copy, Default)]
struct Source<'a> {
    /// The row's words,
    bytes: &'a [u8],
    /// and the bits after them that fill none.
    rest: u32,
    /// Bits left of both.
    bits: usize,
}

impl<'a> Source<'a> {
    /// Copies the last bytes; gives how many bits of the last one are not the row's any more.
    #[inline(always)]
    fn stage(&self, to: &mut [u8; STAGE]) -> u32 {
        let end = self.bits.div_ceil(8);
        match self.bytes.get(..end).and_then(|bytes| bytes.last_chunk()) {
            Some(last) => *to = *last,
            None => self.stage_few(to, end),
        }
        (8 * end - self.bits) as u32
    }

    /// Takes as many bits off the end, those that were skipped in the last byte included; `None`
    /// where there are fewer.
    fn take(&mut self, bits: usize) -> Option<()> {
        self.bits = self.bits.next_multiple_of(8).checked_sub(bits)?;
        Some(())
    }

    /// What the next tile is likely to read.
    fn prefetch(&self) -> &'a [u8] {
        let end = (self.bits / 8).saturating_sub(STAGE).min(self.bytes.len());
        &self.bytes[end.saturating_sub(STAGE)..end]
    }

    #[cold]
    #[inline(never)]
    fn stage_few(&self, to: &mut [u8; STAGE], end: usize) {
        let rest = end.saturating_sub(self.bytes.len());
        let (of_words, of_rest) = to.split_at_mut(STAGE - rest);
        of_rest.copy_from_slice(&self.rest.to_le_bytes()[..rest]);
        let count = of_words.len().min(end - rest);
        let (before, of_words) = of_words.split_at_mut(of_words.len() - count);
        before.fill(0);
        of_words.copy_from_slice(&self.bytes[end - rest - count..end - rest]);
    }

    /// The codec's buffer and how many words come before it.
    fn buffer<T: TansFamily>(&self, words: &[T::Word]) -> (BitBuffer, usize) {
        let width = T::WORD_BITS as usize;
        let len = (self.bits / width).min(words.len());
        let rest = (self.bits - len * width) as u32;
        let bits = words.get(len).map_or(self.rest, |word| word.to_u32());
        (BitBuffer { bits: bits & ((1 << rest) - 1), len: rest }, len)
    }
}

/// A range of columns.
struct PopTile<'a, 's> {
    tables: &'a VectorTables<'a>,
    sources: &'a mut [Source<'s>],
    indexes: &'a [codec::RowIndexes<'a>],
    range: Range<usize>,
    /// Symbols that came through the codec: row, column, value.
    patches: Vec<(usize, usize, i32)>,
}

/// Pops a window of a row through the codec, digits and all, from what it began with, and stages
/// the row anew.
#[cold]
#[inline(never)]
fn redo(
    tile: &mut PopTile<'_, '_>,
    scratch: &mut Scratch,
    row: usize,
    window: usize,
) -> Option<()> {
    let tables = tile.tables;
    let (u, e) = (row / 16, row % 16);
    let Scratch { stage, states, ends, skips, before, .. } = scratch;
    let lanes = tables.lanes.min(WINDOW);
    let stage = &mut stage[row + 1];
    let source = &mut tile.sources[row];
    let end = (row + 2) * STAGE;
    source.take(8 * (end - before.ends[u][e] as usize) + before.skips[u][e] as usize)?;
    let skip = source.stage(stage);
    // Words of a byte, the last of which may be in the buffer.
    let rest = (8 - skip) % 8;
    let words = &stage[..if rest == 0 { STAGE } else { STAGE - 1 }];
    let bits = u32::from(stage[STAGE - 1]) & ((1 << rest) - 1);
    let low = |x: u32| x & ((1 << tables.precision) - 1);
    let mut codec = TansRow::<WINDOW> {
        states: std::array::from_fn(|k| {
            1 << tables.precision | low(before.states[k % lanes][u][e])
        }),
        buffer: BitBuffer { bits, len: rest },
    };
    let mut reader = WordReader::new(words);
    let column = tile.range.start + WINDOW * window;
    for column in column..column + WINDOW {
        let (lane, index) = (column % lanes, tile.indexes[row].at(column));
        let view = &tables.decoder;
        let value = view.pop_one::<Tans16, WINDOW>(&mut codec, lane, index, &mut reader).ok()?;
        tile.patches.push((row, column, value));
    }
    if reader.underflowed() {
        return None;
    }
    let left = 8 * reader.len() + codec.buffer.len as usize;
    source.bits = source.bits.checked_sub(8 * words.len() + rest as usize - left)?;
    for lane in 0..lanes {
        states[(column + lane) % tables.lanes][u][e] = codec.states[(column + lane) % lanes];
    }
    ends[u][e] = end as u32;
    skips[u][e] = source.stage(stage);
    Some(())
}

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
        Some(_) => block.indexes.row(block.first + row),
        None => codec::RowIndexes::One(-1),
    });
    let indexes = &of_rows[..rows];
    // Symbols of which no cache would hold much go non-temporally: nobody's lines are lost for
    // them, and none is read to be overwritten.
    let large = block.indexes.rows().saturating_mul(columns) >= LARGE;
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
            one: block.indexes.one_for_all(),
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
        let indexes = block.indexes.row(block.first + row);
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

/// Which tables a tile uses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum UsedTables {
    /// One for all.
    One(u32),
    /// Those in the scratch.
    Each,
    /// Those in the scratch, some of them none.
    Skipping,
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

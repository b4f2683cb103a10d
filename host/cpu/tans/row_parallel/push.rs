//! Pushing a block of rows, a tile of columns at a time.

mod entries;
mod steps;

use std::ops::Range;

use parans_kernels::codec::{self, Tans16, TansFamily, TansRow, WordWriter, tans::BitBuffer};

use super::super::{Coded, bits::Tail, index_bytes};
use super::tile::{
    LANES, MOST_ROWS, Prefetches, STAGE, TILE, VECTORS, VectorTables, WINDOW, WINDOWS,
    columns_to_line, load_symbols,
};
use crate::cpu::block::{EncodeBlock, split_rows};
use crate::cpu::codec::with_lanes;
use crate::simd::{RunOn, Simd512, Work};
use crate::symbols::{SymbolSlice, with_slice};
use entries::{FindBytes, FindEach};

/// What a tile keeps in the L1 cache.
#[repr(C, align(64))]
pub(in super::super) struct Scratch {
    /// The bits that a tile writes.
    stage: [[u8; STAGE]; MOST_ROWS],
    /// Positions of the symbols' entries.
    entries: [[[u32; 16]; TILE]; VECTORS],
    /// Of one table in registers, the symbols' numbers instead: a byte each, those of a window, the
    /// first lowest.
    symbols: [[[u32; 16]; WINDOWS]; VECTORS],
    /// States of each lane.
    states: [[[u32; 16]; VECTORS]; LANES],
    /// The last 64 bits of each row, the youngest at the top: the upper half,
    high: [[u32; 16]; VECTORS],
    /// and the lower.
    low: [[u32; 16]; VECTORS],
    /// How many of them fill no byte,
    lens: [[u32; 16]; VECTORS],
    /// and where in the stage they go.
    ends: [[u32; 16]; VECTORS],
    /// The rows, one bit each, that have symbols outside their tables in each window.
    irregular: [u64; WINDOWS],
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            stage: [[0; STAGE]; MOST_ROWS],
            entries: [[[0; 16]; TILE]; VECTORS],
            symbols: [[[0; 16]; WINDOWS]; VECTORS],
            states: [[[0; 16]; VECTORS]; LANES],
            high: [[0; 16]; VECTORS],
            low: [[0; 16]; VECTORS],
            lens: [[0; 16]; VECTORS],
            ends: [[0; 16]; VECTORS],
            irregular: [0; WINDOWS],
        }
    }
}

/// Where a row's bits go.
struct Sink<'a> {
    /// The row's words.
    bytes: &'a mut [u8],
    /// Bytes in use.
    len: usize,
}

impl Sink<'_> {
    /// Appends the first bytes of some; `None` where the capacity is too small.
    #[inline(always)]
    fn append(&mut self, from: &[u8; STAGE], count: usize) -> Option<()> {
        const HALF: usize = STAGE / 2;
        let to = self.bytes.get_mut(self.len..)?;
        if let Some(to) = to.first_chunk_mut::<STAGE>() {
            // Few bits per symbol, most often.
            to[..HALF].copy_from_slice(&from[..HALF]);
            if count > HALF {
                to[HALF..].copy_from_slice(&from[HALF..]);
            }
        } else {
            to.get_mut(..count)?.copy_from_slice(&from[..count]);
        }
        self.len += count;
        Some(())
    }
}

/// Pushes a block's rows; `None` where the other path has to.
pub(super) fn rows<S: Simd512, T: Coded>(
    s: S,
    tables: &VectorTables<'_>,
    scratch: &mut Scratch,
    block: &mut EncodeBlock<'_, T>,
) -> Option<()> {
    let columns = block.columns;
    let rows = block.rows.len();
    let fields = T::FAMILY.header_fields(tables.lanes);
    let whole = columns / WINDOW * WINDOW;
    with_lanes!(tables.lanes, LANES => tails::<T, LANES>(tables, block, whole)?);

    let width = size_of::<T::Unit>();
    let mut words = split_rows(&mut *block.rows.words, block.rows.starts);
    let mut sinks: Vec<Sink<'_>> = Vec::with_capacity(rows);
    scratch.states[..tables.lanes].fill([[1 << tables.precision; 16]; VECTORS]);
    for row in 0..MOST_ROWS {
        let (u, e) = (row / 16, row % 16);
        scratch.ends[u][e] = (row * STAGE) as u32;
        scratch.lens[u][e] = 0;
        let Some(fields) = block.rows.states.get(row * fields..(row + 1) * fields) else {
            continue;
        };
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(words.next().unwrap_or_default());
        let (lanes, buffer) = fields.split_at(tables.lanes);
        for (lane, &x) in lanes.iter().enumerate() {
            let x = if x == 0 { 1 << tables.precision } else { x };
            if x >> tables.precision != 1 {
                return None;
            }
            scratch.states[lane][u][e] = x;
        }
        let buffer = BitBuffer { bits: buffer[0], len: buffer[1] };
        if !buffer.is_valid(T::Codec::WORD_BITS) {
            return None;
        }
        let tail = Tail::from_buffer(buffer, block.rows.lens[row] * width, bytes);
        if tail.at > bytes.len() {
            return None;
        }
        // The bits of no byte at the top; nothing is there where there are none.
        scratch.high[u][e] = ((tail.window as u32) << 1) << (31 - tail.len);
        scratch.low[u][e] = 0;
        scratch.lens[u][e] = tail.len;
        sinks.push(Sink { bytes, len: tail.at });
    }

    let of_rows: [_; MOST_ROWS] = std::array::from_fn(|row| {
        let is = row < rows;
        if is { block.indexes.row(block.rows.first + row) } else { codec::RowIndexes::One(-1) }
    });
    let (symbols, indexes, one) = (block.symbols, &of_rows[..rows], block.indexes.one_for_all());
    let lead = with_slice!(symbols, SymbolSlice, all => columns_to_line(all, columns));
    let mut end = whole;
    while end > 0 {
        let begin = if end > lead { lead + (end - lead - 1) / TILE * TILE } else { 0 };
        let range = begin..end;
        let after = begin.saturating_sub(TILE)..begin;
        let prefetch: Prefetches<'_> = std::array::from_fn(|k| {
            let row = k / 2;
            if row >= rows {
                return &[][..];
            } else if k % 2 == 0 {
                return index_bytes(&of_rows[row], after.clone());
            }
            symbols.range(row * columns + after.start..row * columns + after.end).as_bytes()
        });
        let tile = PushTile { tables, symbols, columns, indexes, one, range };
        scratch.irregular = [0; WINDOWS];
        let bytes = match &tables.form.bytes {
            Some(bytes) if s.vectorize(FindBytes { tile: &tile, scratch }) => Some(&**bytes),
            _ => {
                scratch.irregular = [0; WINDOWS];
                s.vectorize(FindEach { tile: &tile, scratch })?;
                None
            }
        };
        steps::take(s, &tile, scratch, &mut sinks, &prefetch, bytes)?;
        s.vectorize(Append { scratch, sinks: &mut sinks })?;
        end = begin;
    }
    for (row, fields) in block.rows.states.chunks_exact_mut(fields).enumerate() {
        let (u, e) = (row / 16, row % 16);
        let (lanes, rest) = fields.split_at_mut(tables.lanes);
        for (lane, x) in lanes.iter_mut().enumerate() {
            *x = scratch.states[lane][u][e];
        }
        let len = scratch.lens[u][e];
        let window = u64::from((scratch.high[u][e] >> 1) >> (31 - len));
        let tail = Tail { window, len, at: sinks[row].len };
        let (buffer, len) = tail.into_buffer::<T::Codec>(sinks[row].bytes);
        rest.copy_from_slice(&[buffer.bits, buffer.len]);
        block.rows.lens[row] = len;
    }
    Some(())
}

/// Pushes the columns past the last window, through the codec.
fn tails<T: Coded, const LANES: usize>(
    tables: &VectorTables<'_>,
    block: &mut EncodeBlock<'_, T>,
    whole: usize,
) -> Option<()> {
    if whole == block.columns {
        return Some(());
    }
    let fields = T::FAMILY.header_fields(LANES);
    let base = block.rows.starts[0];
    for (row, fields) in block.rows.states.chunks_exact_mut(fields).enumerate() {
        let mut codec = TansRow::<LANES>::load::<T::Codec>(fields, tables.precision).ok()?;
        let own = block.rows.starts[row] - base..block.rows.starts[row + 1] - base;
        let mut writer = WordWriter::new(&mut block.rows.words[own], block.rows.lens[row]);
        let indexes = block.indexes.row(block.rows.first + row);
        for column in (whole..block.columns).rev() {
            let (lane, index) = (column % LANES, indexes.at(column));
            let symbol = block.symbols.at(row * block.columns + column);
            let view = &tables.encoder;
            view.push_one::<T::Codec, LANES>(&mut codec, lane, symbol, index, &mut writer).ok()?;
        }
        if writer.overflowed() {
            return None;
        }
        block.rows.lens[row] = writer.len();
        codec.store(fields);
    }
    Some(())
}

/// A range of columns of symbols.
struct PushTile<'a> {
    tables: &'a VectorTables<'a>,
    symbols: SymbolSlice<'a>,
    columns: usize,
    indexes: &'a [codec::RowIndexes<'a>],
    /// What all of them are, where that is known.
    one: Option<i32>,
    range: Range<usize>,
}

impl PushTile<'_> {
    /// A row's symbols.
    #[inline(always)]
    fn load<S: Simd512>(&self, s: S, row: usize) -> [S::U32; 4] {
        let begin = row * self.columns;
        load_symbols(s, self.symbols, begin + self.range.start..begin + self.range.end)
    }
}

/// Appends what is staged to the rows' words; `None` where the capacity is too small.
struct Append<'a, 'b> {
    scratch: &'a mut Scratch,
    sinks: &'a mut [Sink<'b>],
}

impl Work for Append<'_, '_> {
    type Output = Option<()>;
}

impl<S: Simd512> RunOn<S> for Append<'_, '_> {
    #[inline(always)]
    fn run(self, _s: S) -> Option<()> {
        let Scratch { stage, ends, .. } = self.scratch;
        let staged = ends.as_flattened_mut().iter_mut().zip(&*stage);
        for (row, ((end, from), sink)) in staged.zip(self.sinks).enumerate() {
            sink.append(from, *end as usize - row * STAGE)?;
            *end = (row * STAGE) as u32;
        }
        Some(())
    }
}

/// What a window begins with.
struct Before {
    /// The states that its columns begin with: one or two of them for rows of as many lanes.
    states: [[[u32; 16]; VECTORS]; WINDOW],
    high: [[u32; 16]; VECTORS],
    lens: [[u32; 16]; VECTORS],
    ends: [[u32; 16]; VECTORS],
}

impl Before {
    #[cold]
    #[inline(never)]
    fn new(scratch: &Scratch, lanes: usize, column: usize) -> Self {
        Self {
            states: std::array::from_fn(|k| scratch.states[(column + k) % lanes]),
            high: scratch.high,
            lens: scratch.lens,
            ends: scratch.ends,
        }
    }
}

/// Pushes a window of a row through the codec, digits and all, right into the row's words: its
/// steps had the states right, but not the bits.
#[cold]
#[inline(never)]
fn redo(
    tile: &PushTile<'_>,
    scratch: &mut Scratch,
    sink: &mut Sink<'_>,
    row: usize,
    column: usize,
    before: &Before,
) -> Option<()> {
    let (u, e) = (row / 16, row % 16);
    let lanes = tile.tables.lanes.min(WINDOW);
    sink.append(&scratch.stage[row], before.ends[u][e] as usize - row * STAGE)?;
    let len = before.lens[u][e];
    let mut codec = TansRow::<WINDOW> {
        states: std::array::from_fn(|k| before.states[k][u][e]),
        buffer: BitBuffer { bits: (before.high[u][e] >> 1) >> (31 - len), len },
    };
    let mut writer = WordWriter::new(sink.bytes, sink.len);
    for k in (0..WINDOW).rev() {
        let symbol = tile.symbols.at(row * tile.columns + column + k);
        let index = tile.indexes[row].at(column + k);
        let (view, lane) = (&tile.tables.encoder, k % lanes);
        view.push_one::<Tans16, WINDOW>(&mut codec, lane, symbol, index, &mut writer).ok()?;
    }
    if writer.overflowed() {
        return None;
    }
    sink.len = writer.len();
    let BitBuffer { bits, len } = codec.buffer;
    scratch.high[u][e] = (bits << 1) << (31 - len);
    scratch.lens[u][e] = len;
    scratch.ends[u][e] = (row * STAGE) as u32;
    Some(())
}

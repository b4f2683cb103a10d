//! Pushing a block of rows, a tile of columns at a time.

mod entries;
pub(super) mod octets;
pub(super) mod steps;
mod tile;

use std::ops::Range;

use parans_kernels::codec::{self, TansFamily, TansRow, WordWriter, tans::BitBuffer};

use super::super::{Coded, bits::Tail, index_bytes};
use super::tile::{
    MOST_ROWS, Prefetches, STAGE, TILE, VECTORS, VectorTables, WINDOW, WINDOWS, columns_to_line,
};
use crate::cpu::block::{EncodeBlock, split_rows};
use crate::cpu::codec::with_lanes;
use crate::simd::{RunOn, Work};
use crate::symbols::{SymbolSlice, with_slice};
use tile::{Before, PushTile, Sink, redo};

pub(in super::super) use tile::Scratch;

/// Pushes a block's rows; `None` where the other path has to.
pub(super) fn rows<F, T: Coded>(
    mut way: impl PushTiles<F>,
    tables: &VectorTables<'_, F>,
    scratch: &mut Scratch,
    block: &mut EncodeBlock<'_, T>,
) -> Option<()> {
    let columns = block.columns;
    let rows = block.rows.len();
    let fields = T::FAMILY.header_fields(tables.lanes);
    let whole = columns / WINDOW * WINDOW;
    with_lanes!(tables.lanes, LANES => tails::<F, T, LANES>(tables, block, whole)?);

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
        if is { block.source.row(block.rows.first + row) } else { codec::RowIndexes::One(-1) }
    });
    let (symbols, indexes, one) = (block.symbols, &of_rows[..rows], block.source.one_for_all());
    let lead = with_slice!(symbols, SymbolSlice, all => columns_to_line(all, columns));
    let (all, row_bytes) = (symbols.as_bytes(), symbols.width() * columns);
    let mut prefetch: Prefetches<'_> = [&[]; 2 * MOST_ROWS];
    let mut end = whole;
    while end > 0 {
        let begin = if end > lead { lead + (end - lead - 1) / TILE * TILE } else { 0 };
        let range = begin..end;
        let after = begin.saturating_sub(TILE)..begin;
        let bytes = symbols.width() * after.start..symbols.width() * after.end;
        for (row, parts) in prefetch.chunks_exact_mut(2).enumerate().take(rows) {
            let of_row = &all[row * row_bytes..(row + 1) * row_bytes];
            (parts[0], parts[1]) =
                (index_bytes(&of_rows[row], after.clone()), &of_row[bytes.clone()]);
        }
        let tile = PushTile { tables, symbols, columns, indexes, one, range };
        scratch.irregular = [0; WINDOWS];
        way.find(&tile, scratch)?;
        let mut left = tile.range.len() / WINDOW;
        while left > 0 {
            // The windows above the topmost one with symbols outside, or that one.
            let irregular = scratch.irregular[..left].iter().rposition(|&rows| rows != 0);
            let begin = match irregular {
                Some(irregular) if irregular + 1 == left => irregular,
                Some(irregular) => irregular + 1,
                None => 0,
            };
            let irregular = scratch.irregular[begin];
            let column = tile.range.start + WINDOW * begin;
            let before = (irregular != 0).then(|| Before::new(scratch, tables.lanes, column));
            way.take(&tile, scratch, &prefetch, begin..left);
            if let Some(before) = before {
                for row in (0..rows).filter(|row| irregular >> row & 1 != 0) {
                    redo(&tile, scratch, &mut sinks[row], row, column, &before)?;
                }
            }
            left = begin;
        }
        way.append(Append { scratch, sinks: &mut sinks })?;
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

/// How the vectors of an instruction set push a tile.
pub(super) trait PushTiles<F> {
    /// Finds the symbols' entries, and the windows with symbols outside their tables; `None` where
    /// a symbol cannot be coded.
    fn find(&mut self, tile: &PushTile<'_, F>, scratch: &mut Scratch) -> Option<()>;
    /// Takes the steps of some windows, the last first.
    fn take(
        &mut self,
        tile: &PushTile<'_, F>,
        scratch: &mut Scratch,
        prefetch: &Prefetches<'_>,
        windows: Range<usize>,
    );
    /// Appends what was staged.
    fn append(&self, append: Append<'_, '_>) -> Option<()>;
}

/// Pushes the columns past the last window, through the codec.
fn tails<F, T: Coded, const LANES: usize>(
    tables: &VectorTables<'_, F>,
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
        let indexes = block.source.row(block.rows.first + row);
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

/// Appends what is staged to the rows' words; `None` where the capacity is too small.
pub(super) struct Append<'a, 'b> {
    scratch: &'a mut Scratch,
    sinks: &'a mut [Sink<'b>],
}

impl Work for Append<'_, '_> {
    type Output = Option<()>;
}

impl<S> RunOn<S> for Append<'_, '_> {
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

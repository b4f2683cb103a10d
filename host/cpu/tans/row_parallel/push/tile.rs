//! A tile of columns on its way into rows.

use std::ops::Range;

use parans_kernels::codec::{self, Tans16, TansRow, WordWriter, tans::BitBuffer};

use crate::cpu::tans::row_parallel::tile::{
    LANES, MOST_ROWS, STAGE, TILE, VECTORS, VectorTables, WINDOW, WINDOWS, load_symbols,
};
use crate::simd::Simd512;
use crate::symbols::SymbolSlice;
use crate::tables::TansWideForm;

/// What a tile keeps in the L1 cache.
#[repr(C, align(64))]
pub(in super::super::super) struct Scratch {
    /// The bits that a tile writes.
    pub(super) stage: [[u8; STAGE]; MOST_ROWS],
    /// Positions of the symbols' entries.
    pub(super) entries: [[[u32; 16]; TILE]; VECTORS],
    /// Of one table in registers, the symbols' numbers instead: a byte each, those of a window, the
    /// first lowest.
    pub(super) symbols: [[[u32; 16]; WINDOWS]; VECTORS],
    /// States of each lane.
    pub(super) states: [[[u32; 16]; VECTORS]; LANES],
    /// The last 64 bits of each row, the youngest at the top: the upper half,
    pub(super) high: [[u32; 16]; VECTORS],
    /// and the lower.
    pub(super) low: [[u32; 16]; VECTORS],
    /// How many of them fill no byte,
    pub(super) lens: [[u32; 16]; VECTORS],
    /// and where in the stage they go.
    pub(super) ends: [[u32; 16]; VECTORS],
    /// The rows, one bit each, that have symbols outside their tables in each window.
    pub(super) irregular: [u64; WINDOWS],
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
pub(super) struct Sink<'a> {
    /// The row's words.
    pub(super) bytes: &'a mut [u8],
    /// Bytes in use.
    pub(super) len: usize,
}

impl Sink<'_> {
    /// Appends the first bytes of some; `None` where the capacity is too small.
    #[inline(always)]
    pub(super) fn append(&mut self, from: &[u8; STAGE], count: usize) -> Option<()> {
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

/// A range of columns of symbols.
pub(in super::super) struct PushTile<'a, F = &'a TansWideForm> {
    pub(super) tables: &'a VectorTables<'a, F>,
    pub(super) symbols: SymbolSlice<'a>,
    pub(super) columns: usize,
    pub(super) indexes: &'a [codec::RowIndexes<'a>],
    /// What all of them are, where that is known.
    pub(super) one: Option<i32>,
    pub(super) range: Range<usize>,
}

impl PushTile<'_> {
    /// A row's symbols.
    #[inline(always)]
    pub(super) fn load<S: Simd512>(&self, s: S, row: usize) -> [S::U32; 4] {
        let begin = row * self.columns;
        load_symbols(s, self.symbols, begin + self.range.start..begin + self.range.end)
    }
}

/// What a window begins with.
pub(super) struct Before {
    /// The states that its columns begin with: one or two of them for rows of as many lanes.
    pub(super) states: [[[u32; 16]; VECTORS]; WINDOW],
    pub(super) high: [[u32; 16]; VECTORS],
    pub(super) lens: [[u32; 16]; VECTORS],
    pub(super) ends: [[u32; 16]; VECTORS],
}

impl Before {
    #[cold]
    #[inline(never)]
    pub(super) fn new(scratch: &Scratch, lanes: usize, column: usize) -> Self {
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
pub(super) fn redo<F>(
    tile: &PushTile<'_, F>,
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

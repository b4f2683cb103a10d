//! A tile of columns on its way out of rows.

use std::ops::Range;

use parans_kernels::codec::{
    self, Tans16, TansFamily, TansRow, WordInt, WordReader, tans::BitBuffer,
};

use crate::cpu::tans::row_parallel::tile::{
    LANES, MOST_ROWS, STAGE, TILE, VECTORS, VectorTables, WINDOW,
};
use crate::tables::TansWideForm;

/// What a tile keeps in the L1 cache.
#[repr(C, align(64))]
pub(in super::super::super) struct Scratch {
    /// The last bytes of each row's bits; the first is no row's.
    pub(super) stage: [[u8; STAGE]; MOST_ROWS + 1],
    /// Which table each symbol is of: those of two columns, the first lower.
    pub(super) tables: [[[u32; 16]; TILE / 2]; VECTORS],
    /// The symbols' numbers, the first highest: a byte each, those of a window; of large alphabets
    /// a half each, those of two columns.
    pub(super) symbols: [[[u32; 16]; TILE / 2]; VECTORS],
    /// States of each lane.
    pub(super) states: [[[u32; 16]; VECTORS]; LANES],
    /// Where each row's bits end: past which byte of the stage,
    pub(super) ends: [[u32; 16]; VECTORS],
    /// and how many bits of that byte are none any more.
    pub(super) skips: [[u32; 16]; VECTORS],
    /// The last symbols that went non-temporally, of which the next line of a row begins with some.
    pub(super) stored: [[u32; 16]; MOST_ROWS],
    /// What a window began with, where bypass coding is on.
    pub(super) before: Before,
    /// The rows, one bit each, to whose last window a symbol outside its table belongs.
    pub(super) outside: u64,
}

/// States, one or two for rows of as many lanes, ends and skips.
#[derive(Default)]
#[repr(C, align(64))]
pub(super) struct Before {
    pub(super) states: [[[u32; 16]; VECTORS]; WINDOW],
    pub(super) ends: [[u32; 16]; VECTORS],
    pub(super) skips: [[u32; 16]; VECTORS],
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
pub(super) struct Source<'a> {
    /// The row's words,
    pub(super) bytes: &'a [u8],
    /// and the bits after them that fill none.
    pub(super) rest: u32,
    /// Bits left of both.
    pub(super) bits: usize,
}

impl<'a> Source<'a> {
    /// Copies the last bytes; gives how many bits of the last one are not the row's any more.
    #[inline(always)]
    pub(super) fn stage(&self, to: &mut [u8; STAGE]) -> u32 {
        let end = self.bits.div_ceil(8);
        match self.bytes.get(..end).and_then(|bytes| bytes.last_chunk()) {
            Some(last) => *to = *last,
            None => self.stage_few(to, end),
        }
        (8 * end - self.bits) as u32
    }

    /// Takes as many bits off the end, those that were skipped in the last byte included; `None`
    /// where there are fewer.
    pub(super) fn take(&mut self, bits: usize) -> Option<()> {
        self.bits = self.bits.next_multiple_of(8).checked_sub(bits)?;
        Some(())
    }

    /// What the next tile is likely to read.
    pub(super) fn prefetch(&self) -> &'a [u8] {
        let end = (self.bits / 8).saturating_sub(STAGE).min(self.bytes.len());
        &self.bytes[end.saturating_sub(STAGE)..end]
    }

    #[cold]
    #[inline(never)]
    pub(super) fn stage_few(&self, to: &mut [u8; STAGE], end: usize) {
        let rest = end.saturating_sub(self.bytes.len());
        let (of_words, of_rest) = to.split_at_mut(STAGE - rest);
        of_rest.copy_from_slice(&self.rest.to_le_bytes()[..rest]);
        let count = of_words.len().min(end - rest);
        let (before, of_words) = of_words.split_at_mut(of_words.len() - count);
        before.fill(0);
        of_words.copy_from_slice(&self.bytes[end - rest - count..end - rest]);
    }

    /// The codec's buffer and how many words come before it.
    pub(super) fn buffer<T: TansFamily>(&self, words: &[T::Word]) -> (BitBuffer, usize) {
        let width = T::WORD_BITS as usize;
        let len = (self.bits / width).min(words.len());
        let rest = (self.bits - len * width) as u32;
        let bits = words.get(len).map_or(self.rest, |word| word.to_u32());
        (BitBuffer { bits: bits & ((1 << rest) - 1), len: rest }, len)
    }
}

/// A range of columns.
pub(in super::super) struct PopTile<'a, 's, F = &'a TansWideForm> {
    pub(super) tables: &'a VectorTables<'a, F>,
    pub(super) sources: &'a mut [Source<'s>],
    pub(super) indexes: &'a [codec::RowIndexes<'a>],
    /// What all of them are, where that is known.
    pub(super) one: Option<i32>,
    pub(super) range: Range<usize>,
    /// Symbols that came through the codec: row, column, value.
    pub(super) patches: Vec<(usize, usize, i32)>,
}

/// Pops a window of a row through the codec, digits and all, from what it began with, and stages
/// the row anew.
#[cold]
#[inline(never)]
pub(super) fn redo<F>(
    tile: &mut PopTile<'_, '_, F>,
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

/// Which tables a tile uses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum UsedTables {
    /// One for all.
    One(u32),
    /// Those in the scratch.
    Each,
    /// Those in the scratch, some of them none.
    Skipping,
}

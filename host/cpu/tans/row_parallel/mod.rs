//! tANS rows across vector elements: sixteen rows in a vector, four vectors in a block, whatever
//! their lanes.
//!
//! An element is a row, not a state: a row's symbols lie in one stream of bits in the order of its
//! columns, and which lane a column belongs to says only which vector of states it takes its step
//! in. A window of four columns moves at most 56 bits per row, so that the bits of sixteen rows fit
//! two vectors.
//!
//! A tile of columns goes through loops each of which does one thing to data that the L1 cache
//! holds. Symbols and indexes are regrouped as bytes and halves rather than words: a 16 by 16
//! transpose then moves four columns or two at a time. Bits go through a stage, the part of each
//! row's words that a tile reads or writes: it lies together where rows lie apart, holds
//! whole vectors at both ends, and holds a row's bits that fill no word like any others.
//!
//! Anything irregular makes a block give up, and the rows are coded again side by side
//! from their states before: errors are that path's own.

/// `$with!(L, V)` for rows of one lane (`L` = 1) or several (4), in `V` vectors.
macro_rules! with_shape {
    ($with:ident, $lanes:expr, $rows:expr) => {
        match ($lanes, $rows.div_ceil(16)) {
            (1, 1) => $with!(1, 1),
            (1, 2) => $with!(1, 2),
            (1, _) => $with!(1, 4),
            (_, 1) => $with!(4, 1),
            (_, 2) => $with!(4, 2),
            (_, _) => $with!(4, 4),
        }
    };
}

mod pop;
mod push;

use std::ops::Range;

use parans_kernels::codec::{self, BypassCode, TansDecoderView, TansEncoderView};

use super::Coded;
use crate::cpu::block::{DecodeBlock, EncodeBlock, Snapshot};
use crate::plan::Plan;
use crate::simd::{Level, RunOn, Simd512, Work, dispatch_512};
use crate::symbols::SymbolSlice;
use crate::tables::TansWideForm;

/// Vectors of rows in a block.
const VECTORS: usize = 4;
/// Rows in a block.
const MOST_ROWS: usize = 16 * VECTORS;
/// Fewer rows than this are faster in scalar registers.
const LEAST_ROWS: usize = 14;
/// Rows of fewer columns as well.
const LEAST_COLUMNS: usize = 16;
/// Columns of a window.
const WINDOW: usize = super::WINDOW;
/// Windows of a tile.
const WINDOWS: usize = 16;
/// Columns of a tile.
const TILE: usize = WINDOW * WINDOWS;
/// Bytes of a row in the stage: the bits of a tile, those of a byte begun before, and a whole
/// window past them.
const STAGE: usize = 128;
/// The most lanes of a row.
const LANES: usize = 32;

/// What a block's rows share.
pub(super) struct VectorTables<'a> {
    form: &'a TansWideForm,
    encoder: TansEncoderView<'a>,
    decoder: TansDecoderView<'a>,
    /// How many tables.
    count: u32,
    precision: u32,
    bypass: Option<BypassCode>,
    skip_past_end: bool,
    lanes: usize,
}

impl<'a> VectorTables<'a> {
    /// The tables of plans whose rows may be coded across vectors.
    pub(super) fn new(level: Level, plan: &'a Plan) -> Option<Self> {
        if !matches!(level, Level::Avx512Gather | Level::Avx512Permute) {
            return None;
        }
        let prepared = plan.tables.prepared();
        let form = prepared.tans().ok()?;
        let view = super::tables_view(plan);
        Some(Self {
            form: prepared.tans_wide(plan.bypass.is_some()).ok()?,
            encoder: TansEncoderView { tables: view, entries: &form.encoder, next: &form.next },
            decoder: TansDecoderView { tables: view, entries: &form.decoder },
            count: plan.tables.len() as u32,
            precision: plan.tables.precision().bits(),
            bypass: plan.bypass,
            skip_past_end: plan.skip_past_end,
            lanes: plan.lanes,
        })
    }

    /// The table of each index, the number of tables for a skipped symbol; `None` where one is
    /// wrong.
    #[inline(always)]
    fn named<S: Simd512>(&self, s: S, index: S::U32) -> Option<S::U32> {
        let count = s.splat(self.count);
        let skip_from = if self.skip_past_end { count } else { s.splat(i32::MIN as u32) };
        let past = s.ge(index, count);
        if past & !s.ge(index, skip_from) != 0 {
            return None;
        }
        Some(s.min(index, count))
    }
}

/// What the next tile reads: two parts per row. A tile's steps prefetch it, a few lines per window:
/// all at once it would come no faster than memory is, while the steps leave memory alone.
type Prefetches<'a> = [&'a [u8]; 2 * MOST_ROWS];

/// Prefetches a window's share of the next tile, at one byte of each 64: where lines are not
/// aligned, the tile shares one with that before it, its first or its last.
#[inline(always)]
fn fetch<S: Simd512>(s: S, prefetch: &Prefetches<'_>, window: usize, byte: usize) {
    const SHARE: usize = 2 * MOST_ROWS / WINDOWS;
    for part in &prefetch[SHARE * window..SHARE * (window + 1)] {
        for line in 0..TILE * size_of::<i32>() / 64 {
            if 64 * line < part.len() {
                s.prefetch(part, 64 * line + byte);
            }
        }
    }
}

/// How many columns to take by themselves, so that tiles begin with a cache line in every row,
/// where that can be had.
fn columns_to_line<T>(symbols: &[T], columns: usize) -> usize {
    const LINE: usize = 64;
    let lead = (symbols.as_ptr() as usize).wrapping_neg() % LINE / size_of::<T>();
    let alike = (columns * size_of::<T>()).is_multiple_of(LINE);
    if alike && lead.is_multiple_of(WINDOW) { lead } else { 0 }
}

/// Loads a tile of up to 64 values, in vectors of sixteen; past its end come copies of the first.
macro_rules! load_tile {
    ($values:expr, $range:expr, $chunk:ident => $load:expr) => {{
        let values = &$values[$range];
        let few;
        let all = match values.first_chunk::<TILE>() {
            Some(all) => all,
            None => {
                few = padded(values);
                &few
            }
        };
        let (chunks, _) = all.as_chunks::<16>();
        [
            {
                let $chunk = &chunks[0];
                $load
            },
            {
                let $chunk = &chunks[1];
                $load
            },
            {
                let $chunk = &chunks[2];
                $load
            },
            {
                let $chunk = &chunks[3];
                $load
            },
        ]
    }};
}

/// Values, and copies of the first.
#[cold]
#[inline(never)]
fn padded<T: Copy>(values: &[T]) -> [T; TILE] {
    let mut padded = [values[0]; TILE];
    padded[..values.len()].copy_from_slice(values);
    padded
}

/// The symbols of a range.
#[inline(always)]
fn load_symbols<S: Simd512>(s: S, symbols: SymbolSlice<'_>, range: Range<usize>) -> [S::U32; 4] {
    match symbols {
        SymbolSlice::I32(all) => load_tile!(all, range, v => s.load(bytemuck::cast_ref(v))),
        SymbolSlice::I16(all) => load_tile!(all, range, v => s.load_i16(v)),
        SymbolSlice::U16(all) => load_tile!(all, range, v => s.load_u16(v)),
        SymbolSlice::U8(all) => load_tile!(all, range, v => s.load_u8(v)),
    }
}

/// A row's indexes of a range.
#[inline(always)]
fn load_indexes<S: Simd512>(s: S, row: codec::RowIndexes<'_>, range: Range<usize>) -> [S::U32; 4] {
    match row {
        codec::RowIndexes::One(index) => [s.splat(index as u32); 4],
        codec::RowIndexes::Each(all) => load_tile!(all, range, v => s.load(bytemuck::cast_ref(v))),
        codec::RowIndexes::EachU16(all) => load_tile!(all, range, v => s.load_u16(v)),
        codec::RowIndexes::EachU8(all) => load_tile!(all, range, v => s.load_u8(v)),
    }
}

/// Sixteen vectors of a row each become as many of a step each, or back.
#[inline(always)]
fn regroup<S: Simd512>(s: S, vectors: &mut [[u32; 16]; 16]) {
    let mut v = [s.splat(0); 16];
    for (v, from) in v.iter_mut().zip(&*vectors) {
        *v = s.load(from);
    }
    s.transpose::<1>(&mut v);
    for (&v, to) in v.iter().zip(vectors) {
        s.store(v, to);
    }
}

/// How many of a block's rows the next block takes. With a third vector it would take all four.
fn rows_of_block(rows: usize, columns: usize) -> Option<usize> {
    if rows < LEAST_ROWS || columns < LEAST_COLUMNS {
        None
    } else if rows <= 48 {
        Some(rows.min(32))
    } else {
        Some(rows.min(MOST_ROWS))
    }
}

/// Pushes as many of a block's rows as fill blocks; gives back those that a block gave up, or that
/// are too few.
pub(super) fn push<'a, T: Coded>(
    level: Level,
    tables: &VectorTables<'_>,
    scratch: &mut Option<Box<push::Scratch>>,
    block: &mut EncodeBlock<'a, T>,
) -> Option<EncodeBlock<'a, T>> {
    if tables.form.encoder.is_empty() {
        return None;
    }
    let mut snapshot = Snapshot::new();
    while let Some(count) = rows_of_block(block.rows.len(), block.columns) {
        let mut block = block.take(count);
        snapshot.take(block.rows.states, block.rows.lens);
        let scratch = scratch.get_or_insert_default();
        let work = PushWork { tables, scratch, block: &mut block };
        if dispatch_512(level, work).ok().flatten().is_none() {
            snapshot.restore(block.rows.states, block.rows.lens);
            return Some(block);
        }
    }
    None
}

/// Pops likewise.
pub(super) fn pop<'a, T: Coded>(
    level: Level,
    tables: &VectorTables<'_>,
    scratch: &mut Option<Box<pop::Scratch>>,
    block: &mut DecodeBlock<'a, T>,
) -> Option<DecodeBlock<'a, T>> {
    if tables.form.decoder.is_empty() {
        return None;
    }
    let mut snapshot = Snapshot::new();
    while let Some(count) = rows_of_block(block.lens.len(), block.columns) {
        let mut block = block.take(count);
        snapshot.take(block.states, block.lens);
        let scratch = scratch.get_or_insert_default();
        let work = PopWork { tables, scratch, block: &mut block };
        if dispatch_512(level, work).ok().flatten().is_none() {
            snapshot.restore(block.states, block.lens);
            return Some(block);
        }
    }
    None
}
struct PushWork<'a, 'b, T: Coded> {
    tables: &'a VectorTables<'a>,
    scratch: &'a mut push::Scratch,
    block: &'a mut EncodeBlock<'b, T>,
}

impl<T: Coded> Work for PushWork<'_, '_, T> {
    type Output = Option<()>;
}

impl<S: Simd512, T: Coded> RunOn<S> for PushWork<'_, '_, T> {
    #[inline(always)]
    fn run(self, s: S) -> Option<()> {
        push::rows(s, self.tables, self.scratch, self.block)
    }
}

struct PopWork<'a, 'b, T: Coded> {
    tables: &'a VectorTables<'a>,
    scratch: &'a mut pop::Scratch,
    block: &'a mut DecodeBlock<'b, T>,
}

impl<T: Coded> Work for PopWork<'_, '_, T> {
    type Output = Option<()>;
}

impl<S: Simd512, T: Coded> RunOn<S> for PopWork<'_, '_, T> {
    #[inline(always)]
    fn run(self, s: S) -> Option<()> {
        let done = pop::rows(s, self.tables, self.scratch, self.block);
        s.fence();
        done
    }
}

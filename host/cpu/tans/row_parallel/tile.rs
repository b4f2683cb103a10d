//! What both directions read of tables and rows, a tile at a time.

use std::ops::Range;

use parans_kernels::codec::{self, BypassCode, TansDecoderView, TansEncoderView};

use crate::plan::Plan;
use crate::simd::{Level, Simd512};
use crate::symbols::SymbolSlice;
use crate::tables::TansWideForm;

/// Vectors of rows in a block.
pub(super) const VECTORS: usize = 4;
/// Rows in a block.
pub(super) const MOST_ROWS: usize = 16 * VECTORS;
/// Columns of a window.
pub(super) const WINDOW: usize = super::super::WINDOW;
/// Windows of a tile.
pub(super) const WINDOWS: usize = 16;
/// Columns of a tile.
pub(super) const TILE: usize = WINDOW * WINDOWS;
/// Bytes of a row in the stage: the bits of a tile, those of a byte begun before, and a whole
/// window past them.
pub(super) const STAGE: usize = 128;
/// The most lanes of a row.
pub(super) const LANES: usize = 32;

/// What a block's rows share.
pub(in super::super) struct VectorTables<'a> {
    pub(super) form: &'a TansWideForm,
    pub(super) encoder: TansEncoderView<'a>,
    pub(super) decoder: TansDecoderView<'a>,
    /// How many tables.
    pub(super) count: u32,
    pub(super) precision: u32,
    pub(super) bypass: Option<BypassCode>,
    pub(super) skip_past_end: bool,
    pub(super) lanes: usize,
}

impl<'a> VectorTables<'a> {
    /// The tables of plans whose rows may be coded across vectors.
    pub(in super::super) fn new(level: Level, plan: &'a Plan) -> Option<Self> {
        if !matches!(level, Level::Avx512Gather | Level::Avx512Permute) {
            return None;
        }
        let prepared = plan.tables.prepared();
        let form = prepared.tans().ok()?;
        let view = super::super::tables_view(plan);
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
    pub(super) fn named<S: Simd512>(&self, s: S, index: S::U32) -> Option<S::U32> {
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
pub(super) type Prefetches<'a> = [&'a [u8]; 2 * MOST_ROWS];

/// Prefetches a window's share of the next tile, at one byte of each 64: where lines are not
/// aligned, the tile shares one with that before it, its first or its last.
#[inline(always)]
pub(super) fn fetch<S: Simd512>(s: S, prefetch: &Prefetches<'_>, window: usize, byte: usize) {
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
pub(super) fn columns_to_line<T>(symbols: &[T], columns: usize) -> usize {
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
pub(super) fn padded<T: Copy>(values: &[T]) -> [T; TILE] {
    let mut padded = [values[0]; TILE];
    padded[..values.len()].copy_from_slice(values);
    padded
}

/// The symbols of a range.
#[inline(always)]
pub(super) fn load_symbols<S: Simd512>(
    s: S,
    symbols: SymbolSlice<'_>,
    range: Range<usize>,
) -> [S::U32; 4] {
    match symbols {
        SymbolSlice::I32(all) => load_tile!(all, range, v => s.load(bytemuck::cast_ref(v))),
        SymbolSlice::I16(all) => load_tile!(all, range, v => s.load_i16(v)),
        SymbolSlice::U16(all) => load_tile!(all, range, v => s.load_u16(v)),
        SymbolSlice::U8(all) => load_tile!(all, range, v => s.load_u8(v)),
    }
}

/// A row's indexes of a range.
#[inline(always)]
pub(super) fn load_indexes<S: Simd512>(
    s: S,
    row: codec::RowIndexes<'_>,
    range: Range<usize>,
) -> [S::U32; 4] {
    match row {
        codec::RowIndexes::One(index) => [s.splat(index as u32); 4],
        codec::RowIndexes::Each(all) => load_tile!(all, range, v => s.load(bytemuck::cast_ref(v))),
        codec::RowIndexes::EachU16(all) => load_tile!(all, range, v => s.load_u16(v)),
        codec::RowIndexes::EachU8(all) => load_tile!(all, range, v => s.load_u8(v)),
    }
}

/// Sixteen vectors of a row each become as many of a step each, or back.
#[inline(always)]
pub(super) fn regroup<S: Simd512>(s: S, vectors: &mut [[u32; 16]; 16]) {
    let mut v = [s.splat(0); 16];
    for (v, from) in v.iter_mut().zip(&*vectors) {
        *v = s.load(from);
    }
    s.transpose::<1>(&mut v);
    for (&v, to) in v.iter().zip(vectors) {
        s.store(v, to);
    }
}

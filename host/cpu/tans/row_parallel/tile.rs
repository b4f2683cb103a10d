//! What both directions read of tables and rows, a tile at a time.

use std::ops::Range;

use parans_kernels::codec::{self, BypassCode, TansDecoderView, TansEncoderView};

use crate::cpu::rans::tables::PackedTables;
use crate::cpu::tans::MAX_WINDOW_PRECISION;
use crate::plan::Plan;
use crate::simd::{Bits, Level, Quad, Simd512, has_octets};
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

/// What a block's rows share: the form of the tables that the vectors read, and what the codec
/// does.
pub(in super::super) struct VectorTables<'a, F = &'a TansWideForm> {
    pub(super) form: F,
    pub(super) encoder: TansEncoderView<'a>,
    pub(super) decoder: TansDecoderView<'a>,
    /// How many tables.
    pub(super) count: u32,
    pub(super) precision: u32,
    pub(super) bypass: Option<BypassCode>,
    pub(super) skip_past_end: bool,
    pub(super) lanes: usize,
}

/// What vectors of eight elements read.
#[derive(Clone, Copy)]
pub(in super::super) struct OctetForm<'a> {
    /// Where symbols have their entries.
    pub(super) packed: PackedTables<'a>,
    /// The entries to push with.
    pub(super) encoder: &'a [Quad],
    /// Those to pop with, of each state; empty where they do not fit.
    pub(super) decoder: &'a [u32],
}

impl<'a> VectorTables<'a> {
    /// The tables of plans whose rows are coded across vectors of sixteen elements at a level.
    pub(in super::super) fn wide(level: Level, plan: &'a Plan) -> Option<Self> {
        if !matches!(level, Level::Avx512Gather | Level::Avx512Permute) {
            return None;
        }
        let form = plan.tables.prepared().tans_wide(plan.bypass.is_some()).ok()?;
        Self::with_form(plan, form)
    }
}

impl<'a> VectorTables<'a, OctetForm<'a>> {
    /// The tables of plans whose rows are coded across vectors of eight elements at a level.
    pub(in super::super) fn octets(level: Level, plan: &'a Plan) -> Option<Self> {
        let prepared = plan.tables.prepared();
        let usable = has_octets(level) && plan.tables.precision().bits() <= MAX_WINDOW_PRECISION;
        let packed = PackedTables::new(plan).filter(|_| usable)?;
        let encoder = prepared.tans_quads()?;
        let decoder = &prepared.tans_rows(plan.bypass.is_some()).ok()?.decoder;
        Self::with_form(plan, OctetForm { packed, encoder, decoder })
    }
}

impl<'a, F> VectorTables<'a, F> {
    fn with_form(plan: &'a Plan, vectors: F) -> Option<Self> {
        let form = plan.tables.prepared().tans().ok()?;
        let view = super::super::tables_view(plan);
        Some(Self {
            form: vectors,
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

/// Parts of each window, where a block has all its rows.
pub(super) const SHARE: usize = 2 * MOST_ROWS / WINDOWS;

/// Prefetches a window's share of the next tile, `SHARE` parts, at one byte of each 64: where lines
/// are not aligned, the tile shares one with that before it, its first or its last.
#[inline(always)]
pub(super) fn fetch<S: Bits, const SHARE: usize>(
    s: S,
    prefetch: &Prefetches<'_>,
    window: usize,
    byte: usize,
) {
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

/// The values of the eight rows of an octet.
#[inline(always)]
pub(super) fn octet(values: &[[u32; 16]; VECTORS], octet: usize) -> &[u32; 8] {
    &values.as_flattened().as_chunks().0[octet]
}

/// The same, to be changed.
#[inline(always)]
pub(super) fn octet_mut(values: &mut [[u32; 16]; VECTORS], octet: usize) -> &mut [u32; 8] {
    &mut values.as_flattened_mut().as_chunks_mut().0[octet]
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

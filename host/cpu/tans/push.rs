//! Pushing tANS rows side by side.

use std::ops::Range;

use parans_kernels::codec::{
    RowError, RowFault, RowIndexes, TableDescriptor, TansEncoderEntry, TansEncoderView, TansFamily,
    TansRow, WordInt, WordWriter,
};

use super::bits::{Pack, PackedBits, Tail, Write};
use super::{NOWHERE, ROWS, TILE, WINDOW, WINDOWS, in_tiles, index_bytes, indexes_at};
use crate::simd::{Bits, RunOn, Work, dispatch_bits, unroll};

/// What a block's rows share.
pub(super) struct EncodeTables<'a> {
    /// What the codec reads.
    pub(super) view: TansEncoderView<'a>,
    /// Entries with places among all tables' next states.
    pub(super) entries: &'a [TansEncoderEntry],
    /// What all tables have in common.
    pub(super) alike: Option<TableDescriptor>,
}

/// Where a group's symbols come from.
pub(super) struct SymbolSource<'a> {
    /// Symbols per row.
    pub(super) columns: usize,
    /// Bytes per symbol.
    pub(super) width: usize,
    /// Loads the symbols of a row (its place in the group) from one on.
    pub(super) load: &'a dyn Fn(usize, usize, &mut [i32]),
}

/// One row to push.
pub(super) struct PushRow<'a, T: TansFamily> {
    /// States, bits, length of the bits.
    pub(super) fields: &'a mut [u32],
    /// The row's words, in use or not.
    pub(super) words: &'a mut [T::Word],
    /// Words in use.
    pub(super) len: &'a mut usize,
    /// What is pushed, as bytes.
    pub(super) symbols: &'a [u8],
    /// Their tables.
    pub(super) indexes: RowIndexes<'a>,
}

/// A tile of one row. Symbol `4 w + j` has its state and count in plane j at w, so that the loop
/// over windows vectorises.
#[derive(Clone)]
struct Tile {
    /// Places of the symbols' entries.
    places: [u32; TILE],
    /// The symbols, and their indexes where they have to be widened.
    values: [i32; TILE],
    indexes: [i32; TILE],
    /// States before each symbol.
    states: [[u16; WINDOWS]; WINDOW],
    /// How many of a state's low bits its symbol writes.
    counts: [[u8; WINDOWS]; WINDOW],
}

/// Buffers for the tiles of eight rows.
pub(super) struct Scratch {
    tiles: Vec<Tile>,
    packed: PackedBits,
}

impl Default for Scratch {
    fn default() -> Self {
        let tile = Tile {
            places: [0; TILE],
            values: [0; TILE],
            indexes: [0; TILE],
            states: [[0; WINDOWS]; WINDOW],
            counts: [[0; WINDOWS]; WINDOW],
        };
        Self { tiles: vec![tile; ROWS], packed: PackedBits::default() }
    }
}

/// Pushes up to [`ROWS`] rows. The number of the failed row is its place among them.
pub(super) fn rows<T: TansFamily, const LANES: usize>(
    tables: &EncodeTables<'_>,
    scratch: &mut Scratch,
    symbols: &SymbolSource<'_>,
    group: &mut [PushRow<'_, T>],
) -> Result<(), (usize, RowFault)> {
    let precision = tables.view.tables.precision;
    let columns = symbols.columns;
    let whole = in_tiles(columns, LANES, precision);
    // Rows that are not there have valid states as well.
    let mut states = [[1u32 << precision; LANES]; ROWS];
    let mut tails = [Tail::default(); ROWS];
    for (number, of_row) in group.iter_mut().enumerate() {
        let row = TansRow::<LANES>::load::<T>(of_row.fields, precision)
            .map_err(|e| (number, e.at(columns)))?;
        let byte_len = *of_row.len * T::Word::BYTES;
        states[number] = row.states;
        tails[number] =
            Tail::from_buffer(row.buffer, byte_len, bytemuck::cast_slice_mut(of_row.words));
        // The symbols past the last whole group first: a push runs backwards.
        let row = (&mut states[number], &mut tails[number]);
        singly(tables, symbols, number, of_row, row, whole..columns, None)
            .map_err(|e| (number, e))?;
    }
    for begin in (0..whole).step_by(TILE).rev() {
        let count = (whole - begin).min(TILE);
        let mut ready = [None; ROWS];
        for (number, of_row) in group.iter_mut().enumerate() {
            let tile = &mut scratch.tiles[number];
            ready[number] = find(tables, symbols, number, of_row, begin, count, tile);
            if ready[number].is_none() {
                let row = (&mut states[number], &mut tails[number]);
                singly(tables, symbols, number, of_row, row, begin..begin + count, None)
                    .map_err(|e| (number, e))?;
                tile.places.fill(tables.entries.len() as u32 - 1);
            }
        }
        let before = states;
        let prefetch = prefetch(symbols, group, begin.saturating_sub(TILE));
        let advanced = advance(tables, scratch, &mut states, group.len(), count, &prefetch);
        for (number, of_row) in group.iter_mut().enumerate() {
            let Some(irregular) = ready[number] else { continue };
            let mut tail = tails[number];
            let done = advanced
                && write(
                    tables, symbols, number, of_row, &mut tail, scratch, begin, count, irregular,
                );
            if done {
                tails[number] = tail;
            } else {
                // Little capacity, most likely: the codec finds whether it is too little.
                states[number] = before[number];
                let row = (&mut states[number], &mut tails[number]);
                singly(tables, symbols, number, of_row, row, begin..begin + count, None)
                    .map_err(|e| (number, e))?;
            }
        }
    }
    for ((of_row, states), tail) in group.iter_mut().zip(states).zip(tails) {
        let (buffer, len) = tail.into_buffer::<T>(bytemuck::cast_slice(of_row.words));
        TansRow { states, buffer }.store(of_row.fields);
        *of_row.len = len;
    }
    Ok(())
}

/// The bytes that the next tile will read, of symbols and of indexes.
fn prefetch<'a, T: TansFamily>(
    symbols: &SymbolSource<'_>,
    group: &[PushRow<'a, T>],
    at: usize,
) -> [&'a [u8]; 2 * ROWS] {
    std::array::from_fn(|k| match group.get(k / 2) {
        Some(of_row) if k % 2 == 0 => of_row.symbols.get(at * symbols.width..).unwrap_or(&[]),
        Some(of_row) => index_bytes(&of_row.indexes, at..at + TILE),
        None => &[],
    })
}

/// Finds the places of a row's symbols, and which windows have bypass digits (one bit each); `None`
/// where a symbol cannot be coded.
fn find<T: TansFamily>(
    tables: &EncodeTables<'_>,
    symbols: &SymbolSource<'_>,
    number: usize,
    of_row: &PushRow<'_, T>,
    begin: usize,
    count: usize,
    tile: &mut Tile,
) -> Option<u64> {
    let Tile { places, values, indexes, .. } = tile;
    let values = &mut values[..count];
    (symbols.load)(number, begin, values);
    let index = indexes_at(&of_row.indexes, begin, &mut indexes[..count]);
    let mut irregular = 0;
    if !dispatch_bits(Find { tables, symbols: values, index, places }) {
        let view = &tables.view.tables;
        for (k, place) in places.iter_mut().enumerate().take(count) {
            if *place != NOWHERE {
                continue;
            }
            *place = match view.table(index[k]).ok()? {
                None => tables.entries.len() as u32 - 1,
                Some((_, table)) => {
                    let (value, raw) = view.number(&table, values[k]).ok()?;
                    if raw.is_some() {
                        irregular |= 1 << (k / WINDOW);
                    }
                    table.base + value
                }
            };
        }
    }
    Some(irregular)
}

/// The loop of [`find`]; returns whether all symbols are simply ones of their tables.
struct Find<'a> {
    tables: &'a EncodeTables<'a>,
    symbols: &'a [i32],
    index: &'a [i32],
    places: &'a mut [u32; TILE],
}

impl Work for Find<'_> {
    type Output = bool;
}

impl<B: Bits> RunOn<B> for Find<'_> {
    #[inline(always)]
    fn run(self, _bits: B) -> bool {
        let Self { tables, symbols, index, places } = self;
        let view = &tables.view.tables;
        let sentinel = u32::from(view.bypass.is_some());
        let of_symbols = places.iter_mut().zip(symbols).zip(index);
        let mut nowhere = false;
        if let Some(table) = tables.alike {
            let limit = table.symbols.wrapping_sub(sentinel);
            let count = view.tables.len() as u32;
            for ((place, &symbol), &index) in of_symbols {
                // A negative index is past every table.
                let (value, index) = (symbol.wrapping_sub(table.offset) as u32, index as u32);
                let inside = (value < limit) & (index < count);
                let found = index.wrapping_mul(table.symbols).wrapping_add(value);
                *place = if inside { found } else { NOWHERE };
                nowhere |= !inside;
            }
        } else {
            for ((place, &symbol), &index) in of_symbols {
                let found = view.tables.get(index as u32 as usize).and_then(|table| {
                    let value = symbol.wrapping_sub(table.offset) as u32;
                    let inside = value < table.symbols.wrapping_sub(sentinel);
                    inside.then(|| table.base.wrapping_add(value))
                });
                *place = found.unwrap_or(NOWHERE);
                nowhere |= found.is_none();
            }
        }
        !nowhere
    }
}

/// Takes all rows' states through a tile.
fn advance<const LANES: usize>(
    tables: &EncodeTables<'_>,
    scratch: &mut Scratch,
    states: &mut [[u32; LANES]; ROWS],
    rows: usize,
    count: usize,
    prefetch: &[&[u8]; 2 * ROWS],
) -> bool {
    // Eight states fill the registers. A row or two of one lane are faster one after another than
    // with rows that are not there.
    match LANES {
        1 if rows > 2 => chains::<LANES, 8>(tables, scratch, states, rows, count, prefetch),
        2 if rows > 1 => chains::<LANES, 4>(tables, scratch, states, rows, count, prefetch),
        4 if rows > 1 => chains::<LANES, 2>(tables, scratch, states, rows, count, prefetch),
        _ => chains::<LANES, 1>(tables, scratch, states, rows, count, prefetch),
    }
}

fn chains<const LANES: usize, const R: usize>(
    tables: &EncodeTables<'_>,
    scratch: &mut Scratch,
    states: &mut [[u32; LANES]; ROWS],
    rows: usize,
    count: usize,
    prefetch: &[&[u8]; 2 * ROWS],
) -> bool {
    let (tiles, _) = scratch.tiles.as_chunks_mut::<R>();
    let (states, _) = states.as_chunks_mut::<R>();
    let mut line = 0;
    for (tiles, states) in tiles.iter_mut().zip(states).take(rows.div_ceil(R)) {
        for lane in (0..LANES).step_by(8) {
            let (entries, next) = (tables.entries, tables.view.next);
            let done = dispatch_bits(Chains::<LANES, R> {
                entries,
                next,
                tiles: &mut *tiles,
                states: &mut *states,
                lane,
                count,
                prefetch,
                line,
            });
            if !done {
                return false;
            }
            line += count * R.max(1) * LANES.min(8) / LANES / 8;
        }
    }
    true
}

/// Up to eight states' way through a tile: those of `R` rows' lanes from one on. `false` (never,
/// with valid tables) where it leads nowhere.
struct Chains<'a, const LANES: usize, const R: usize> {
    entries: &'a [TansEncoderEntry],
    next: &'a [u16],
    tiles: &'a mut [Tile; R],
    states: &'a mut [[u32; LANES]; R],
    lane: usize,
    count: usize,
    /// What to prefetch on the way, a cache line every eight symbols.
    prefetch: &'a [&'a [u8]; 2 * ROWS],
    /// The first of those lines.
    line: usize,
}

impl<const LANES: usize, const R: usize> Work for Chains<'_, LANES, R> {
    type Output = bool;
}

impl<B: Bits, const LANES: usize, const R: usize> RunOn<B> for Chains<'_, LANES, R> {
    #[inline(always)]
    fn run(self, bits: B) -> bool {
        let Self { entries, next, tiles, states, lane, count, prefetch, mut line } = self;
        let across = const { if LANES < 8 { LANES } else { 8 } };
        let mut x: [u32; 8] = std::array::from_fn(|c| {
            states.get(c / across).map_or(0, |lanes| lanes[(lane + c % across) % LANES])
        });
        macro_rules! step {
            ($c:ident, $j:expr, $w:expr) => {
                if const { $c < if LANES < 8 { LANES * R } else { 8 } } {
                    let (j, w) = ($j, $w);
                    let tile = &mut tiles[const { if LANES < 8 { $c / LANES } else { 0 } }];
                    let place = tile.places[WINDOW * w + j] as usize;
                    let Some(entry) = entries.get(place) else { return false };
                    let count = x[$c].wrapping_add(entry.bits_bias) >> 16;
                    tile.states[j][w] = x[$c] as u16;
                    tile.counts[j][w] = count as u8;
                    let at = x[$c].wrapping_shr(count).wrapping_add(entry.next_bias) as usize;
                    let Some(&state) = next.get(at) else { return false };
                    x[$c] = u32::from(state);
                }
            };
        }
        macro_rules! fetch {
            () => {
                bits.prefetch(prefetch[line % (2 * ROWS)], line / (2 * ROWS) * 64);
                line += 1;
            };
        }
        if LANES < WINDOW {
            for w in (0..WINDOWS.min(count / WINDOW)).rev() {
                unroll!(K in 3 2 1 0 => {
                    if R * LANES == 8 && K.is_multiple_of(LANES) {
                        fetch!();
                    }
                    unroll!(C in 0 1 2 3 4 5 6 7 => {
                        if C % LANES == K % LANES {
                            step!(C, K, w);
                        }
                    });
                });
            }
        } else {
            for group in (0..(TILE / LANES).min(count / LANES)).rev() {
                fetch!();
                let w = group * (LANES / WINDOW) + lane / WINDOW;
                unroll!(C in 7 6 5 4 3 2 1 0 => {
                    let within = const { if LANES < 8 { 0 } else { C / WINDOW } };
                    step!(C, C % WINDOW, (w + within) % WINDOWS);
                });
            }
        }
        for (c, x) in x.into_iter().enumerate().take(across * R) {
            states[c / across][(lane + c % across) % LANES] = x;
        }
        true
    }
}

/// Writes the bits of a row's tile; `false` where there may be too little capacity, or a symbol's
/// digits cannot be written.
#[allow(clippy::too_many_arguments, reason = "a tile of one row, in parts that are borrowed apart")]
fn write<T: TansFamily>(
    tables: &EncodeTables<'_>,
    symbols: &SymbolSource<'_>,
    number: usize,
    of_row: &mut PushRow<'_, T>,
    tail: &mut Tail,
    scratch: &mut Scratch,
    begin: usize,
    count: usize,
    irregular: u64,
) -> bool {
    let tile = &scratch.tiles[number];
    let Tile { states, counts, .. } = tile;
    dispatch_bits(Pack { states, counts, packed: &mut scratch.packed });
    let mut end = count / WINDOW;
    let mut left = irregular;
    loop {
        // The windows above the topmost one with digits, then that one.
        let top = left.checked_ilog2().map(|top| top as usize);
        let bytes = bytemuck::cast_slice_mut(of_row.words);
        let windows = top.map_or(0, |top| top + 1)..end;
        if !dispatch_bits(Write { packed: &scratch.packed, windows, tail: &mut *tail, bytes }) {
            return false;
        }
        let Some(top) = top else { return true };
        let at = begin + top * WINDOW;
        let mut any = [0; 1];
        let before = |k: usize| u32::from(tile.states[k][top]);
        let row = (&mut any, &mut *tail);
        if singly(tables, symbols, number, of_row, row, at..at + WINDOW, Some(&before)).is_err() {
            return false;
        }
        (end, left) = (top, left ^ (1 << top));
    }
}

/// Pushes symbols of one row through the codec; where their states before are known already, from
/// those.
#[cold]
#[inline(never)]
fn singly<T: TansFamily, const LANES: usize>(
    tables: &EncodeTables<'_>,
    symbols: &SymbolSource<'_>,
    number: usize,
    of_row: &mut PushRow<'_, T>,
    (states, tail): (&mut [u32; LANES], &mut Tail),
    range: Range<usize>,
    before: Option<&dyn Fn(usize) -> u32>,
) -> Result<(), RowFault> {
    if range.is_empty() {
        return Ok(());
    }
    let (buffer, len) = tail.into_buffer::<T>(bytemuck::cast_slice(of_row.words));
    let mut row = TansRow { states: *states, buffer };
    let mut words = WordWriter::new(of_row.words, len);
    let mut symbol = [0];
    for at in range.clone().rev() {
        (symbols.load)(number, at, &mut symbol);
        let lane = at % LANES;
        if let Some(before) = before {
            row.states[lane] = before(at - range.start);
        }
        let index = of_row.indexes.at(at);
        tables
            .view
            .push_one::<T, LANES>(&mut row, lane, symbol[0], index, &mut words)
            .map_err(|e| e.at(at))?;
    }
    if words.overflowed() {
        return Err(RowError::CapacityExceeded.at(range.start));
    }
    let byte_len = words.len() * T::Word::BYTES;
    *states = row.states;
    *tail = Tail::from_buffer(row.buffer, byte_len, bytemuck::cast_slice_mut(of_row.words));
    Ok(())
}

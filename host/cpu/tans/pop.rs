//! Popping tANS rows side by side.

use std::ops::Range;

use parans_kernels::codec::{
    BitBuffer, RowError, RowFault, RowIndexes, TableDescriptor, TansDecoderView, TansFamily,
    TansRow, WordInt, WordReader,
};

use super::{Fetch, ROWS, TILE, WINDOW, WINDOWS, in_tiles, index_bytes, indexes_at};
use crate::simd::{Bits, RunOn, Work, dispatch_bits, unroll};
use crate::tables::TansRowsForm;

/// What a block's rows share.
pub(super) struct DecodeTables<'a> {
    /// What the codec reads.
    pub(super) view: TansDecoderView<'a>,
    /// The packed entries; none where they do not fit.
    pub(super) entries: &'a [u32],
    /// What all tables have in common.
    pub(super) alike: Option<TableDescriptor>,
}

impl DecodeTables<'_> {
    /// Where the entries of skipped symbols begin.
    #[inline(always)]
    fn skipped(&self) -> u32 {
        (self.view.tables.tables.len() as u32) << self.view.tables.precision
    }
}

/// Takes the symbols of a row (its place in the group) from one on.
pub(super) type Store<'a> = dyn FnMut(usize, usize, &[i32]) + 'a;

/// One row to pop.
pub(super) struct PopRow<'a, T: TansFamily> {
    /// States, bits, length of the bits.
    pub(super) fields: &'a mut [u32],
    /// The row's words in use.
    pub(super) words: &'a [T::Word],
    /// Words in use.
    pub(super) len: &'a mut usize,
    /// The symbols' tables.
    pub(super) indexes: RowIndexes<'a>,
}

/// Buffers for the tiles of eight rows.
pub(super) struct Scratch {
    /// Where each symbol's table begins among the entries; then its entry.
    places: Vec<[u32; TILE]>,
    /// A row's symbols.
    values: [i32; TILE],
    /// Symbols of the tile that came through the codec: row, place in the tile, symbol.
    codec: Vec<(usize, usize, i32)>,
}

impl Default for Scratch {
    fn default() -> Self {
        let places = vec![[0; TILE]; ROWS];
        Self { places, values: [0; TILE], codec: Vec::new() }
    }
}

/// A row that is popped through the codec.
#[derive(Clone, Copy)]
struct Single<const LANES: usize> {
    row: TansRow<LANES>,
    /// Words left.
    len: usize,
}

impl<const LANES: usize> Single<LANES> {
    /// Whether the row can be popped in windows: the bits in the buffer are those of a word, and
    /// there are enough for one.
    fn is_in_words<T: TansFamily>(&self, words: &[T::Word]) -> bool {
        (self.len < words.len() || self.row.buffer.len == 0)
            && self.len * T::Word::BYTES >= size_of::<u64>()
    }
}

/// Rows that are popped in windows. The bits in the codec's buffer would be the low ones of the
/// last word that was taken, so that a position in bits says everything.
struct InWindows<'a, const LANES: usize> {
    /// Less `2^precision`.
    states: [[u32; LANES]; ROWS],
    /// Bits of its words that are left to each row.
    bits: [usize; ROWS],
    /// Their words.
    bytes: [&'a [u8]; ROWS],
    /// Which rows take part. Others stand by with symbols that read no bits.
    active: [bool; ROWS],
}

impl<'a, const LANES: usize> InWindows<'a, LANES> {
    fn new() -> Self {
        let (bits, bytes) = ([64; ROWS], [&[0; 8][..]; ROWS]);
        Self { states: [[0; LANES]; ROWS], bits, bytes, active: [false; ROWS] }
    }

    fn enter<T: TansFamily>(
        &mut self,
        number: usize,
        single: &Single<LANES>,
        words: &'a [T::Word],
        precision: u32,
    ) {
        self.states[number] = single.row.states.map(|x| x & ((1 << precision) - 1));
        self.bits[number] = single.len * T::WORD_BITS as usize + single.row.buffer.len as usize;
        self.bytes[number] = bytemuck::cast_slice(words);
        self.active[number] = true;
    }

    fn leave<T: TansFamily>(
        &mut self,
        number: usize,
        words: &[T::Word],
        precision: u32,
    ) -> Single<LANES> {
        let width = T::WORD_BITS as usize;
        let (len, rest) = (self.bits[number] / width, (self.bits[number] % width) as u32);
        // No bits left over may mean no words at all.
        let last = words.get(len).map_or(0, |word| word.to_u32());
        let buffer = BitBuffer { bits: last & ((1 << rest) - 1), len: rest };
        let states = self.states[number].map(|state| state | 1 << precision);
        self.states[number] = [0; LANES];
        (self.bits[number], self.bytes[number]) = (64, &[0; 8]);
        self.active[number] = false;
        Single { row: TansRow { states, buffer }, len }
    }
}

/// Pops up to [`ROWS`] rows, `R` of them in step. The number of the failed row is its place among
/// them.
pub(super) fn rows<T: TansFamily, const LANES: usize, const R: usize>(
    tables: &DecodeTables<'_>,
    scratch: &mut Scratch,
    columns: usize,
    store: &mut Store<'_>,
    group: &mut [PopRow<'_, T>],
) -> Result<(), (usize, RowFault)> {
    let precision = tables.view.tables.precision;
    let mut singles = Vec::with_capacity(group.len());
    for (number, of_row) in group.iter().enumerate() {
        let row = TansRow::<LANES>::load::<T>(of_row.fields, precision);
        let row = row.map_err(|e| (number, e.at(0)))?;
        singles.push(Single { row, len: of_row.words.len() });
    }
    let usable = !tables.entries.is_empty();
    let whole = if usable { in_tiles(columns, LANES, precision) } else { 0 };
    let whole_group = LANES.max(WINDOW);
    let mut at = 0;
    // First the bits that fill no word. Rows of next to no bits per symbol take long for that:
    // others do not wait for them.
    while at < whole.min((4 * WINDOW).max(whole_group)) {
        let mut rows = singles.iter().zip(group.iter());
        if rows.all(|(single, of_row)| single.is_in_words::<T>(of_row.words)) {
            break;
        }
        for (number, (of_row, single)) in group.iter().zip(&mut singles).enumerate() {
            singly(tables, scratch, store, number, of_row, single, at..at + whole_group)
                .map_err(|e| (number, e))?;
        }
        at += whole_group;
    }
    while at < whole {
        let count = (whole - at).min(TILE);
        tile::<T, LANES, R>(tables, scratch, store, group, &mut singles, at, count)?;
        at += count;
    }
    for (number, (of_row, mut single)) in group.iter_mut().zip(singles).enumerate() {
        singly(tables, scratch, store, number, of_row, &mut single, at..columns)
            .map_err(|e| (number, e))?;
        single.row.store(of_row.fields);
        *of_row.len = single.len;
    }
    Ok(())
}

/// Pops a tile of all rows.
fn tile<T: TansFamily, const LANES: usize, const R: usize>(
    tables: &DecodeTables<'_>,
    scratch: &mut Scratch,
    store: &mut Store<'_>,
    group: &[PopRow<'_, T>],
    singles: &mut [Single<LANES>],
    at: usize,
    count: usize,
) -> Result<(), (usize, RowFault)> {
    let precision = tables.view.tables.precision;
    let mut rows = InWindows::new();
    let mut buffer = [0; TILE];
    scratch.codec.clear();
    for (number, (of_row, single)) in group.iter().zip(&*singles).enumerate() {
        let index = indexes_at(&of_row.indexes, at, &mut buffer[..count]);
        let places = &mut scratch.places[number];
        if single.is_in_words::<T>(of_row.words) && dispatch_bits(Find { tables, index, places }) {
            rows.enter::<T>(number, single, of_row.words, precision);
        }
        dispatch_bits(Fetch(index_bytes(&of_row.indexes, at + TILE..at + 2 * TILE)));
    }
    let begun = rows.active;
    for (places, begun) in scratch.places.iter_mut().zip(begun) {
        if !begun {
            places.fill(tables.skipped());
        }
    }
    for first in (0..group.len()).step_by(R) {
        let mut window = 0;
        while rows.active[first..first + R].contains(&true) {
            let windows = window..count / WINDOW;
            let places = &mut scratch.places[first..first + R];
            let work = Windows::<LANES, R> { tables, rows: &mut rows, places, first, windows };
            window = dispatch_bits(work);
            if window >= count / WINDOW {
                break;
            }
            // What stopped them may be any of them.
            for number in first..(first + R).min(group.len()) {
                if !rows.active[number] {
                    continue;
                }
                let (words, single) = (group[number].words, &mut singles[number]);
                *single = rows.leave::<T>(number, words, precision);
                for k in window * WINDOW..count {
                    if k >= (window + 1) * WINDOW && single.is_in_words::<T>(words) {
                        rows.enter::<T>(number, single, words, precision);
                        break;
                    }
                    let value =
                        one(tables, &group[number], single, at + k).map_err(|e| (number, e))?;
                    scratch.codec.push((number, k, value));
                }
                if !rows.active[number] {
                    // The row has no whole window left, nor symbols of this tile.
                    let rest = (window + 1) * WINDOW..;
                    scratch.places[number][rest].fill(tables.skipped());
                }
            }
            window += 1;
        }
    }
    for (number, (of_row, single)) in group.iter().zip(singles).enumerate() {
        if !begun[number] {
            singly(tables, scratch, store, number, of_row, single, at..at + count)
                .map_err(|e| (number, e))?;
            continue;
        }
        let index = indexes_at(&of_row.indexes, at, &mut buffer[..count]);
        let (places, values) = (&scratch.places[number], &mut scratch.values[..count]);
        dispatch_bits(Values { tables, index, places, values: &mut *values });
        for &(_, k, value) in scratch.codec.iter().filter(|popped| popped.0 == number) {
            values[k] = value;
        }
        store(number, at, values);
        if rows.active[number] {
            *single = rows.leave::<T>(number, of_row.words, precision);
        }
    }
    Ok(())
}

/// Finds where each symbol's table begins among the entries; `false` where an index is neither that
/// of a table nor skips.
struct Find<'a> {
    tables: &'a DecodeTables<'a>,
    index: &'a [i32],
    places: &'a mut [u32; TILE],
}

impl Work for Find<'_> {
    type Output = bool;
}

impl<B: Bits> RunOn<B> for Find<'_> {
    #[inline(always)]
    fn run(self, _bits: B) -> bool {
        let view = &self.tables.view.tables;
        let (count, skipped) = (view.tables.len() as u32, self.tables.skipped());
        let mut wrong = false;
        for (place, &index) in self.places.iter_mut().zip(self.index) {
            // A negative index is past every table.
            let named = (index as u32) < count;
            *place = if named { (index as u32) << view.precision } else { skipped };
            wrong |= !named & (index >= 0);
        }
        !wrong | view.skip_past_end
    }
}

/// Pops windows of `R` rows in step; gives the window before which it stopped, because one of them
/// has a symbol with digits or no bits for a window.
struct Windows<'a, 'b, const LANES: usize, const R: usize> {
    tables: &'a DecodeTables<'a>,
    rows: &'a mut InWindows<'b, LANES>,
    /// The rows' places, which their entries replace.
    places: &'a mut [[u32; TILE]],
    /// The first row.
    first: usize,
    windows: Range<usize>,
}

impl<const LANES: usize, const R: usize> Work for Windows<'_, '_, LANES, R> {
    type Output = usize;
}

impl<B: Bits, const LANES: usize, const R: usize> RunOn<B> for Windows<'_, '_, LANES, R> {
    #[inline(always)]
    fn run(self, with: B) -> usize {
        let Self { tables, rows, places, first, windows } = self;
        let entries = tables.entries;
        let shift = 32 - tables.view.tables.precision;
        let of_rows = first..first + R;
        let (Some(all_states), Some(all_bits), Some(bytes), Some(places)) = (
            rows.states.get_mut(of_rows.clone()).and_then(|s| s.first_chunk_mut::<R>()),
            rows.bits.get_mut(of_rows.clone()).and_then(|s| s.first_chunk_mut::<R>()),
            rows.bytes.get(of_rows).and_then(|s| s.first_chunk::<R>()),
            places.first_chunk_mut::<R>(),
        ) else {
            return windows.start;
        };
        let (mut states, mut bits) = (*all_states, *all_bits);
        let mut w = windows.start;
        'windows: while w < windows.end.min(WINDOWS) {
            let (mut window, mut start) = ([0u64; R], [0u32; R]);
            unroll!(I in 0 1 2 3 => {
                if I < R {
                    // The youngest bit of the row near the top: 57 bits are sure, and four symbols
                    // take 56 at most.
                    let end = bits[I].wrapping_add(7) >> 3;
                    let last = bytes[I].get(end.wrapping_sub(8)..end);
                    let Some(last) = last.and_then(|last| last.first_chunk::<8>()) else {
                        break 'windows;
                    };
                    window[I] = u64::from_le_bytes(*last);
                    start[I] = (bits[I] as u32).wrapping_sub(8 * end as u32);
                }
            });
            // Modulo 64, bits of the window that are left.
            let mut left = start;
            let before = states;
            unroll!(K in 0 1 2 3 => {
                unroll!(I in 0 1 2 3 => {
                    if I < R {
                        let state = &mut states[I][(WINDOW * w + K) % LANES];
                        let place = &mut places[I][WINDOW * w + K];
                        let Some(&entry) = entries.get((*place | *state) as usize) else {
                            states = before;
                            break 'windows;
                        };
                        *place = entry;
                        // An entry's low byte is its count.
                        left[I] = left[I].wrapping_sub(entry);
                        let read = with.low(window[I].wrapping_shr(left[I]), entry) as u32;
                        *state = entry.wrapping_shr(shift).wrapping_add(read);
                    }
                });
            });
            let taken = |i: usize| start[i].wrapping_sub(left[i]) & 255;
            unroll!(I in 0 1 2 3 => {
                if I < R && taken(I) > TansRowsForm::MOST_BITS {
                    states = before;
                    break 'windows;
                }
            });
            unroll!(I in 0 1 2 3 => {
                if I < R {
                    bits[I] = bits[I].wrapping_sub(taken(I) as usize);
                }
            });
            w += 1;
        }
        (*all_states, *all_bits) = (states, bits);
        w
    }
}

/// Turns entries into symbols.
struct Values<'a> {
    tables: &'a DecodeTables<'a>,
    index: &'a [i32],
    places: &'a [u32; TILE],
    values: &'a mut [i32],
}

impl Work for Values<'_> {
    type Output = ();
}

impl<B: Bits> RunOn<B> for Values<'_> {
    #[inline(always)]
    fn run(self, _bits: B) {
        let view = &self.tables.view.tables;
        let mask = (1u32 << (24 - view.precision)) - 1;
        let of_symbols = self.values.iter_mut().zip(self.places).zip(self.index);
        if let Some(table) = self.tables.alike {
            let count = view.tables.len() as u32;
            for ((value, &entry), &index) in of_symbols {
                let symbol = ((entry >> 8 & mask) as i32).wrapping_add(table.offset);
                *value = if (index as u32) < count { symbol } else { 0 };
            }
        } else {
            for ((value, &entry), &index) in of_symbols {
                *value = view
                    .tables
                    .get(index as u32 as usize)
                    .map_or(0, |table| ((entry >> 8 & mask) as i32).wrapping_add(table.offset));
            }
        }
    }
}

/// Pops symbols of a row through the codec, and stores them.
#[cold]
#[inline(never)]
fn singly<T: TansFamily, const LANES: usize>(
    tables: &DecodeTables<'_>,
    scratch: &mut Scratch,
    store: &mut Store<'_>,
    number: usize,
    of_row: &PopRow<'_, T>,
    single: &mut Single<LANES>,
    range: Range<usize>,
) -> Result<(), RowFault> {
    for begin in range.clone().step_by(TILE) {
        let count = (range.end - begin).min(TILE);
        let values = &mut scratch.values[..count];
        for (k, value) in values.iter_mut().enumerate() {
            *value = one(tables, of_row, single, begin + k)?;
        }
        store(number, begin, values);
    }
    Ok(())
}

/// Pops one symbol through the codec.
fn one<T: TansFamily, const LANES: usize>(
    tables: &DecodeTables<'_>,
    of_row: &PopRow<'_, T>,
    single: &mut Single<LANES>,
    at: usize,
) -> Result<i32, RowFault> {
    let mut reader = WordReader::new(&of_row.words[..single.len]);
    let (row, index) = (&mut single.row, of_row.indexes.at(at));
    let popped = tables.view.pop_one::<T, LANES>(row, at % LANES, index, &mut reader);
    let popped = popped.map_err(|e| e.at(at))?;
    if reader.underflowed() {
        return Err(RowError::Truncated.at(at));
    }
    single.len = reader.len();
    Ok(popped)
}

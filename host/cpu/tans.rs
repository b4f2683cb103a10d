//! tANS on the CPU: several rows side by side, their bits moved in 64-bit windows.
//!
//! One symbol of one state is a chain of about ten cycles (entry, shift, next state), in which a core could do forty instructions. So
//! eight rows are coded in turns of [`TURN`] symbols: the turns of different rows do not wait for each other. A row's bit stream is its words'
//! bytes, oldest bit lowest, whatever the width of a word; a turn therefore writes or reads one unaligned 64-bit window instead of
//! words. Everything unusual (bypass digits, skipped symbols, the first and last bits of a row) goes through the codec's own
//! [`push_one`](TansEncoderView::push_one) and [`pop_one`](TansDecoderView::pop_one), between which and the windows a row can change at every symbol.
//!
//! Tried: four rows with their states in registers, one symbol each in turn: 15 % slower than turns of four, since the
//! rows' states, buffers and cursors do not fit sixteen registers.

use parans_kernels::codec::{
    self, BitBuffer, RowError, RowFault, TansDecoderEntry, TansDecoderView, TansEncoderEntry,
    TansEncoderView, TansFamily, TansRow, WordInt, WordReader, WordWriter,
};

use super::Failed;
use super::block::{PopBlock, PushBlock};
use super::scalar::{tables_view, with_lanes};
use crate::coder::{Plan, Symbol};
use crate::family::RowFormat;

/// Symbols that a row codes before the next row has its turn. Four states' bits (at most 14 each) fit a window with up to seven bits
/// left over.
const TURN: usize = 4;
/// Rows side by side.
const ROWS: usize = 8;
/// Up to this precision, the bits of a turn and the rest of a byte fit a 64-bit window.
const MAX_WINDOW_PRECISION: u32 = 14;

/// Pushes a block of rows.
pub(super) fn push<T, S: Symbol>(plan: &Plan, block: PushBlock<'_, T, S>) -> Result<(), Failed>
where
    T: TansFamily + RowFormat<Field = u32, Unit = <T as TansFamily>::Word>,
{
    // The builder prepared it: an error would have come there.
    let Ok(form) = plan.tables.prepared().tans() else { return Ok(()) };
    let view =
        TansEncoderView { tables: tables_view(plan), entries: &form.encoder, next: &form.next };
    let PushBlock { rows, symbols, columns, indexes } = block;
    let fields = T::FAMILY.header_fields(plan.lanes);
    let mut words = rows.words;
    let mut jobs = Vec::with_capacity(rows.lens.len());
    for (row, (len, fields)) in rows.lens.iter_mut().zip(rows.states.chunks_mut(fields)).enumerate()
    {
        let (own, after) = words.split_at_mut(rows.starts[row + 1] - rows.starts[row]);
        words = after;
        jobs.push(PushJob::<T, S> {
            fields,
            words: own,
            len,
            symbols: &symbols[row * columns..(row + 1) * columns],
            indexes: indexes.row(rows.first + row),
        });
    }
    for (group, jobs) in jobs.chunks_mut(ROWS).enumerate() {
        with_lanes!(plan.lanes, LANES => push_rows::<T, S, LANES>(&view, jobs))
            .map_err(|(row, fault)| (rows.first + group * ROWS + row, fault))?;
    }
    Ok(())
}

/// Pops a block of rows.
pub(super) fn pop<T, S: Symbol>(plan: &Plan, block: PopBlock<'_, T, S>) -> Result<(), Failed>
where
    T: TansFamily + RowFormat<Field = u32, Unit = <T as TansFamily>::Word>,
{
    let Ok(form) = plan.tables.prepared().tans() else { return Ok(()) };
    let view = TansDecoderView { tables: tables_view(plan), entries: &form.decoder };
    let columns = block.columns;
    let fields = T::FAMILY.header_fields(plan.lanes);
    let mut symbols = block.symbols;
    let mut jobs = Vec::with_capacity(block.lens.len());
    for (row, (len, fields)) in
        block.lens.iter_mut().zip(block.states.chunks_mut(fields)).enumerate()
    {
        let (own, after) = symbols.split_at_mut(columns);
        symbols = after;
        let start = block.starts[row];
        jobs.push(PopJob::<T, S> {
            fields,
            words: &block.words[start..start + *len],
            len,
            symbols: own,
            indexes: block.indexes.row(block.first + row),
        });
    }
    for (group, jobs) in jobs.chunks_mut(ROWS).enumerate() {
        with_lanes!(plan.lanes, LANES => pop_rows::<T, S, LANES>(&view, jobs))
            .map_err(|(row, fault)| (block.first + group * ROWS + row, fault))?;
    }
    Ok(())
}

/// One row to push.
struct PushJob<'a, T: TansFamily, S: Symbol> {
    /// States, bits, length of the bits.
    fields: &'a mut [u32],
    /// The row's words, in use or not.
    words: &'a mut [T::Word],
    /// Words in use.
    len: &'a mut usize,
    /// What to push.
    symbols: &'a [S],
    /// Their tables.
    indexes: codec::Indexes<'a>,
}

/// One row to pop.
struct PopJob<'a, T: TansFamily, S: Symbol> {
    /// States, bits, length of the bits.
    fields: &'a mut [u32],
    /// The row's words in use.
    words: &'a [T::Word],
    /// Words in use.
    len: &'a mut usize,
    /// Where to pop to.
    symbols: &'a mut [S],
    /// Their tables.
    indexes: codec::Indexes<'a>,
}

/// The indexes of one turn.
#[inline(always)]
fn turn_indexes(indexes: &codec::Indexes<'_>, at: usize) -> [i32; TURN] {
    match indexes {
        codec::Indexes::One(index) => [*index; TURN],
        codec::Indexes::Each(all) => match all.get(at..).and_then(|s| s.first_chunk::<TURN>()) {
            Some(&turn) => turn,
            None => [-1; TURN],
        },
        other => std::array::from_fn(|i| other.at(at + i)),
    }
}

/// The lane of symbol `at + k`, `at` a multiple of [`TURN`]: a constant for few lanes.
#[inline(always)]
const fn lane<const LANES: usize>(at: usize, k: usize) -> usize {
    if LANES <= TURN { k % LANES } else { at % LANES + k }
}

/// Whether rows are coded in windows at all; else every symbol goes through the codec.
fn uses_windows(precision: u32) -> bool {
    precision <= MAX_WINDOW_PRECISION && cfg!(target_endian = "little")
}

/// A row being pushed: the states, and the bits from `bytes[at]` on that are not written yet.
struct Pushing<const LANES: usize> {
    states: [u32; LANES],
    window: u64,
    bits: u32,
    at: usize,
}

impl<const LANES: usize> Pushing<LANES> {
    fn from_row(row: &TansRow<LANES>, byte_len: usize, bytes: &mut [u8]) -> Self {
        let BitBuffer { bits, len } = row.buffer;
        let mut new = Self { states: row.states, window: u64::from(bits), bits: len, at: byte_len };
        // A turn counts on less than a byte left over. Where there is no room for this one, there is none for a turn.
        if let (true, Some(byte)) = (len >= 8, bytes.get_mut(byte_len)) {
            *byte = bits as u8;
            (new.window, new.bits, new.at) = (new.window >> 8, len - 8, byte_len + 1);
        }
        new
    }

    /// The row, its buffer shorter than a word, and the number of words before it.
    fn into_row<T: TansFamily>(mut self, bytes: &[u8]) -> (TansRow<LANES>, usize) {
        // Where a word was written in part (one byte of two), fewer than 8 bits come after it.
        while !self.at.is_multiple_of(T::Word::BYTES) {
            self.at -= 1;
            self.window = (self.window << 8) | u64::from(bytes[self.at]);
            self.bits += 8;
        }
        let buffer = BitBuffer { bits: self.window as u32, len: self.bits };
        (TansRow { states: self.states, buffer }, self.at / T::Word::BYTES)
    }

    /// Writes the window's whole bytes; the caller has seen to room for eight.
    #[inline(always)]
    fn flush(&mut self, bytes: &mut [u8]) {
        if let Some(room) = bytes.get_mut(self.at..).and_then(|b| b.first_chunk_mut::<8>()) {
            *room = self.window.to_le_bytes();
        }
        let whole = self.bits & !7;
        self.window = self.window.checked_shr(whole).unwrap_or(0);
        self.at += (whole / 8) as usize;
        self.bits &= 7;
    }

    /// One turn in the window; `false`, with nothing changed, where a symbol is not simply one of its table's.
    #[inline(always)]
    fn turn<S: Symbol>(
        &mut self,
        view: &TansEncoderView<'_>,
        symbols: &[S; TURN],
        indexes: [i32; TURN],
        at: usize,
        bytes: &mut [u8],
    ) -> bool {
        let sentinel = u32::from(view.tables.bypass.is_some());
        let mut entries = [TansEncoderEntry::default(); TURN];
        let mut inside = self.at + 8 <= bytes.len();
        for ((entry, symbol), index) in entries.iter_mut().zip(symbols).zip(indexes) {
            // A negative index is past every table.
            let Some(table) = view.tables.tables.get(index as u32 as usize) else { return false };
            let value = symbol.to_i32().wrapping_sub(table.offset) as u32;
            inside &= value < table.symbols.wrapping_sub(sentinel);
            let Some(&found) = view.entries.get(table.base.wrapping_add(value) as usize) else {
                return false;
            };
            *entry = found;
        }
        if !inside {
            return false;
        }
        for k in (0..TURN).rev() {
            let Some(state) = self.states.get_mut(lane::<LANES>(at, k)) else { return false };
            let x = *state;
            let count = (x + entries[k].bits_bias) >> 16;
            self.window |= u64::from(x & ((1 << count) - 1)) << self.bits;
            self.bits += count;
            let place = (x >> count).wrapping_add(entries[k].next_bias) as usize
                + ((indexes[k] as u32 as usize) << view.tables.precision);
            // Valid tables hold every place.
            *state = view.next.get(place).map_or(x, |&x| u32::from(x));
        }
        self.flush(bytes);
        true
    }
}

/// Pushes up to [`ROWS`] rows of equally many symbols. The number of the failed row is its place among them.
fn push_rows<T: TansFamily, S: Symbol, const LANES: usize>(
    view: &TansEncoderView<'_>,
    jobs: &mut [PushJob<'_, T, S>],
) -> Result<(), (usize, RowFault)> {
    let precision = view.tables.precision;
    let mut rows = Vec::with_capacity(jobs.len());
    for (number, job) in jobs.iter_mut().enumerate() {
        let row = TansRow::<LANES>::load::<T>(job.fields, precision)
            .map_err(|e| (number, e.at(job.symbols.len())))?;
        let byte_len = *job.len * T::Word::BYTES;
        rows.push(Pushing::from_row(&row, byte_len, bytemuck::cast_slice_mut(job.words)));
    }
    let columns = jobs.first().map_or(0, |job| job.symbols.len());
    let in_turns = if uses_windows(precision) { columns / TURN * TURN } else { 0 };
    // The symbols past the last whole turn first: a push runs backwards.
    for (number, (job, row)) in jobs.iter_mut().zip(&mut rows).enumerate() {
        push_singly::<T, S, LANES>(view, job, row, in_turns, columns).map_err(|e| (number, e))?;
    }
    for at in (0..in_turns).step_by(TURN).rev() {
        for (number, (job, row)) in jobs.iter_mut().zip(&mut rows).enumerate() {
            let Some(symbols) = job.symbols.get(at..).and_then(|s| s.first_chunk::<TURN>()) else {
                continue;
            };
            let indexes = turn_indexes(&job.indexes, at);
            let bytes = bytemuck::cast_slice_mut(job.words);
            if !row.turn(view, symbols, indexes, at, bytes) {
                push_singly::<T, S, LANES>(view, job, row, at, at + TURN)
                    .map_err(|e| (number, e))?;
            }
        }
    }
    for (job, row) in jobs.iter_mut().zip(rows) {
        let (row, len) = row.into_row::<T>(bytemuck::cast_slice(job.words));
        row.store(job.fields);
        *job.len = len;
    }
    Ok(())
}

/// Pushes symbols `from..to` through the codec.
#[cold]
#[inline(never)]
fn push_singly<T: TansFamily, S: Symbol, const LANES: usize>(
    view: &TansEncoderView<'_>,
    job: &mut PushJob<'_, T, S>,
    pushing: &mut Pushing<LANES>,
    from: usize,
    to: usize,
) -> Result<(), RowFault> {
    if from == to {
        return Ok(());
    }
    let taken =
        std::mem::replace(pushing, Pushing { states: [0; LANES], window: 0, bits: 0, at: 0 });
    let (mut row, len) = taken.into_row::<T>(bytemuck::cast_slice(job.words));
    let mut words = WordWriter::new(job.words, len);
    for at in (from..to).rev() {
        let symbol = job.symbols.get(at).map_or(0, |symbol| symbol.to_i32());
        view.push_one::<T, LANES>(&mut row, at % LANES, symbol, job.indexes.at(at), &mut words)
            .map_err(|e| e.at(at))?;
    }
    if words.overflowed() {
        return Err(RowError::CapacityExceeded.at(from));
    }
    let byte_len = words.len() * T::Word::BYTES;
    *pushing = Pushing::from_row(&row, byte_len, bytemuck::cast_slice_mut(job.words));
    Ok(())
}

/// A row being popped: the states, and how many bits of its words are left. The bits in the buffer are the low ones of the last word that
/// was taken, so a position in bits says everything.
struct Popping<const LANES: usize> {
    states: [u32; LANES],
    bits: usize,
}

impl<const LANES: usize> Popping<LANES> {
    fn into_row<T: TansFamily>(self, words: &[T::Word]) -> (TansRow<LANES>, usize) {
        let width = T::WORD_BITS as usize;
        let (whole, len) = (self.bits / width, (self.bits % width) as u32);
        // No bits left over may mean no words at all.
        let last = words.get(whole).map_or(0, |word| word.to_u32());
        let buffer = BitBuffer { bits: last & ((1 << len) - 1), len };
        (TansRow { states: self.states, buffer }, whole)
    }

    /// One turn in a window; `false`, with nothing changed, where fewer than eight bytes are left or a symbol is not simply one of its table's.
    #[inline(always)]
    fn turn<S: Symbol>(
        &mut self,
        view: &TansDecoderView<'_>,
        symbols: &mut [S; TURN],
        indexes: [i32; TURN],
        at: usize,
        bytes: &[u8],
    ) -> bool {
        let precision = view.tables.precision;
        let mask = (1usize << precision) - 1;
        let end = self.bits.div_ceil(8);
        let Some(last) = bytes.get(..end).and_then(|b| b.last_chunk::<8>()) else { return false };
        // The youngest bit of the row at the top of the window.
        let mut window = u64::from_le_bytes(*last) << (8 * end - self.bits);
        let mut states = self.states;
        let mut taken = 0;
        let mut outs = [0; TURN];
        let mut inside = true;
        for k in 0..TURN {
            let index = indexes[k] as u32 as usize;
            let Some(table) = view.tables.tables.get(index) else { return false };
            let Some(state) = states.get_mut(lane::<LANES>(at, k)) else { return false };
            let place = (index << precision) | (*state as usize & mask);
            let Some(&entry) = view.entries.get(place) else { return false };
            let TansDecoderEntry { number, symbol } = entry;
            let count = entry.bits(precision);
            // Two shifts, since a count of 0 would shift by 64.
            *state = (u32::from(number) << count) | ((window >> 1) >> (63 - count)) as u32;
            window <<= count;
            taken += count;
            if view.tables.bypass.is_some() {
                inside &= u32::from(symbol) != table.symbols.wrapping_sub(1);
            }
            outs[k] = i32::from(symbol).wrapping_add(table.offset);
        }
        if !inside {
            return false;
        }
        for (symbol, out) in symbols.iter_mut().zip(outs) {
            // One that does not fit is popped again, and reported, by the codec.
            let Some(out) = S::from_i32(out) else { return false };
            *symbol = out;
        }
        self.states = states;
        // Eight bytes hold the seven bits above the row's end and the turn's.
        self.bits -= taken as usize;
        true
    }
}

/// Pops up to [`ROWS`] rows of equally many symbols. The number of the failed row is its place among them.
fn pop_rows<T: TansFamily, S: Symbol, const LANES: usize>(
    view: &TansDecoderView<'_>,
    jobs: &mut [PopJob<'_, T, S>],
) -> Result<(), (usize, RowFault)> {
    let precision = view.tables.precision;
    let columns = jobs.first().map_or(0, |job| job.symbols.len());
    let windows = uses_windows(precision);
    let mut rows = Vec::with_capacity(jobs.len());
    let mut starts = Vec::with_capacity(jobs.len());
    for (number, job) in jobs.iter_mut().enumerate() {
        let mut row =
            TansRow::<LANES>::load::<T>(job.fields, precision).map_err(|e| (number, e.at(0)))?;
        // The buffer's first bits are in no word: pop until they are used up and those in the buffer are a word's, to the next turn.
        let mut reader = WordReader::new(job.words);
        let mut at = 0;
        while at < columns
            && (!windows
                || !at.is_multiple_of(TURN)
                || (reader.len() == job.words.len() && row.buffer.len > 0))
        {
            pop_single::<T, S, LANES>(view, job, &mut row, &mut reader, at)
                .map_err(|e| (number, e))?;
            at += 1;
        }
        if reader.len() == job.words.len() && row.buffer.len > 0 {
            // The row ended first.
            row.store(job.fields);
            starts.push(columns);
            rows.push(None);
            continue;
        }
        let bits = reader.len() * T::WORD_BITS as usize + row.buffer.len as usize;
        starts.push(at);
        rows.push(Some(Popping { states: row.states, bits }));
    }
    let first = starts.iter().copied().min().unwrap_or(columns);
    let whole = if windows { columns / TURN * TURN } else { 0 };
    for at in (first..whole).step_by(TURN) {
        for (number, (job, row)) in jobs.iter_mut().zip(&mut rows).enumerate() {
            let (Some(popping), true) = (row, starts[number] <= at) else { continue };
            let indexes = turn_indexes(&job.indexes, at);
            let bytes = bytemuck::cast_slice(job.words);
            let Some(symbols) = job.symbols.get_mut(at..).and_then(|s| s.first_chunk_mut::<TURN>())
            else {
                continue;
            };
            if !popping.turn(view, symbols, indexes, at, bytes) {
                pop_singly::<T, S, LANES>(view, job, popping, at, at + TURN)
                    .map_err(|e| (number, e))?;
            }
        }
    }
    for (number, (job, row)) in jobs.iter_mut().zip(rows).enumerate() {
        let Some(mut popping) = row else { continue };
        let from = whole.max(starts[number]);
        pop_singly::<T, S, LANES>(view, job, &mut popping, from, columns)
            .map_err(|e| (number, e))?;
        let (row, len) = popping.into_row::<T>(job.words);
        row.store(job.fields);
        *job.len = len;
    }
    Ok(())
}

/// Pops symbols `from..to` through the codec.
#[cold]
#[inline(never)]
fn pop_singly<T: TansFamily, S: Symbol, const LANES: usize>(
    view: &TansDecoderView<'_>,
    job: &mut PopJob<'_, T, S>,
    popping: &mut Popping<LANES>,
    from: usize,
    to: usize,
) -> Result<(), RowFault> {
    if from >= to {
        return Ok(());
    }
    let taken = std::mem::replace(popping, Popping { states: [0; LANES], bits: 0 });
    let (mut row, len) = taken.into_row::<T>(job.words);
    let mut reader = WordReader::new(job.words.get(..len).unwrap_or(&[]));
    for at in from..to {
        pop_single::<T, S, LANES>(view, job, &mut row, &mut reader, at)?;
    }
    let bits = reader.len() * T::WORD_BITS as usize + row.buffer.len as usize;
    *popping = Popping { states: row.states, bits };
    Ok(())
}

fn pop_single<T: TansFamily, S: Symbol, const LANES: usize>(
    view: &TansDecoderView<'_>,
    job: &mut PopJob<'_, T, S>,
    row: &mut TansRow<LANES>,
    reader: &mut WordReader<'_, T::Word>,
    at: usize,
) -> Result<(), RowFault> {
    let popped = view
        .pop_one::<T, LANES>(row, at % LANES, job.indexes.at(at), reader)
        .map_err(|e| e.at(at))?;
    if reader.underflowed() {
        return Err(RowError::Truncated.at(at));
    }
    if let Some(symbol) = job.symbols.get_mut(at) {
        *symbol = S::from_i32(popped).ok_or(RowError::SymbolWidth.at(at))?;
    }
    Ok(())
}

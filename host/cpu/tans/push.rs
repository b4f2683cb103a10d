//! Pushing tANS rows side by side.

use parans_kernels::codec::{
    BitBuffer, Indexes, RowError, RowFault, TansEncoderEntry, TansEncoderView, TansFamily, TansRow,
    WordInt, WordWriter,
};

use super::{WINDOW, common, lane, turn_indexes, uses_windows};

/// One row to push.
pub(super) struct Job<'a, T: TansFamily> {
    /// States, bits, length of the bits.
    pub(super) fields: &'a mut [u32],
    /// The row's words, in use or not.
    pub(super) words: &'a mut [T::Word],
    /// Words in use.
    pub(super) len: &'a mut usize,
    /// What to push.
    pub(super) symbols: &'a [i32],
    /// Their tables.
    pub(super) indexes: Indexes<'a>,
}

/// A row being pushed: the states, and the bits that are not written yet, from `bytes[at]` on.
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
        // A window counts on less than a byte left over. Where there is no room for this one, there is none for a turn.
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

    /// One turn; `false`, with nothing changed, where a symbol is not simply one of its table's.
    #[inline(always)]
    fn turn<const TURN: usize>(
        &mut self,
        view: &TansEncoderView<'_>,
        symbols: &[i32; TURN],
        indexes: &[i32; TURN],
        at: usize,
        bytes: &mut [u8],
    ) -> bool {
        let sentinel = u32::from(view.tables.bypass.is_some());
        let precision = view.tables.precision;
        let mut entries = [TansEncoderEntry::default(); TURN];
        // Next states: the turn's table's, or with places counted from the first table's.
        let mut next = view.next;
        if let Some(index) = common(indexes) {
            let Some(table) = view.tables.tables.get(index) else { return false };
            let base = table.base as usize;
            let own = base..base + table.symbols.wrapping_sub(sentinel) as usize;
            let Some(own) = view.entries.get(own) else { return false };
            let Some(part) = view.next.get(index << precision..) else { return false };
            next = part;
            for (entry, symbol) in entries.iter_mut().zip(symbols) {
                let value = symbol.wrapping_sub(table.offset) as u32 as usize;
                let Some(&found) = own.get(value) else { return false };
                *entry = found;
            }
        } else {
            let mut inside = true;
            for ((entry, symbol), &index) in entries.iter_mut().zip(symbols).zip(indexes) {
                // A negative index is past every table.
                let Some(table) = view.tables.tables.get(index as u32 as usize) else {
                    return false;
                };
                let value = symbol.wrapping_sub(table.offset) as u32;
                inside &= value < table.symbols.wrapping_sub(sentinel);
                let place = table.base.wrapping_add(value) as usize;
                let Some(&found) = view.entries.get(place) else { return false };
                // Tables have fewer than 2^32 states together, or they could not be prepared.
                let first = (index as u32).wrapping_shl(precision);
                *entry =
                    TansEncoderEntry { next_bias: found.next_bias.wrapping_add(first), ..found };
            }
            if !inside {
                return false;
            }
        }
        // Each window advances by seven bytes at most and is written as eight.
        let room = 8 * TURN / WINDOW;
        let Some(bytes) = bytes.get_mut(self.at..).and_then(|rest| rest.get_mut(..room)) else {
            return false;
        };
        let mut written = 0;
        for window in (0..TURN / WINDOW).rev() {
            for k in (window * WINDOW..(window + 1) * WINDOW).rev() {
                let Some(state) = self.states.get_mut(lane::<LANES, TURN>(at, k)) else {
                    return false;
                };
                let x = *state;
                let count = (x + entries[k].bits_bias) >> 16;
                self.window |= u64::from(x & ((1 << count) - 1)) << self.bits;
                self.bits += count;
                let place = (x >> count).wrapping_add(entries[k].next_bias) as usize;
                // Valid tables hold every place.
                *state = next.get(place).map_or(x, |&x| u32::from(x));
            }
            if let Some(chunk) = bytes.get_mut(written..).and_then(|b| b.first_chunk_mut::<8>()) {
                *chunk = self.window.to_le_bytes();
            }
            // At most 7 + 4 * 14 bits are in the window.
            self.window >>= self.bits & 56;
            written += (self.bits / 8) as usize;
            self.bits &= 7;
        }
        self.at += written;
        true
    }
}

/// Pushes up to [`ROWS`](super::ROWS) rows of equally many symbols. The number of the failed row is its place among them.
#[inline(always)]
pub(super) fn rows<T: TansFamily, const LANES: usize, const TURN: usize>(
    view: &TansEncoderView<'_>,
    jobs: &mut [Job<'_, T>],
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
        singly(view, job, row, in_turns, columns).map_err(|e| (number, e))?;
    }
    for at in (0..in_turns).step_by(TURN).rev() {
        for (number, (job, row)) in jobs.iter_mut().zip(&mut rows).enumerate() {
            let Some(symbols) = job.symbols.get(at..).and_then(|s| s.first_chunk::<TURN>()) else {
                continue;
            };
            let indexes = turn_indexes(&job.indexes, at);
            if !row.turn(view, symbols, &indexes, at, bytemuck::cast_slice_mut(job.words)) {
                singly(view, job, row, at, at + TURN).map_err(|e| (number, e))?;
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
fn singly<T: TansFamily, const LANES: usize>(
    view: &TansEncoderView<'_>,
    job: &mut Job<'_, T>,
    pushing: &mut Pushing<LANES>,
    from: usize,
    to: usize,
) -> Result<(), RowFault> {
    if from == to {
        return Ok(());
    }
    let empty = Pushing { states: [0; LANES], window: 0, bits: 0, at: 0 };
    let taken = std::mem::replace(pushing, empty);
    let (mut row, len) = taken.into_row::<T>(bytemuck::cast_slice(job.words));
    let mut words = WordWriter::new(job.words, len);
    for at in (from..to).rev() {
        let symbol = job.symbols.get(at).copied().unwrap_or(0);
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

//! The tANS kernels.
//!
//! A row's lanes share one bit buffer, so their bits depend on one another, but their table entries
//! do not: each lane looks its own up, which is where the time goes, and only the bits are then
//! joined in symbol order. Every lane keeps a copy of the buffer, so that nothing but a symbol's
//! bits is ever exchanged.
//!
//! Push: without bypass digits in a group of symbols, a prefix sum over the lanes gives each the
//! bits up to its own last one, and it stores the words that end in its bits; with digits, the
//! lanes' bits go round by one shuffle per symbol. Pop: without bypass digits in a group
//! of symbols, each lane computes from the counts of the lanes before it where its bits are and
//! reads them itself; with digits, symbol by symbol.

use super::group::{Group, Mapping};
use super::memory::{LaneFault, LaneWords, Launch, RowSymbols, RowsMemory, tables_view};
use super::simt::Simt;
use crate::abi::{CodeShape, RowStatus};
use crate::codec::step::low_mask;
use crate::codec::table_row::TablesView;
use crate::codec::tans::{BUFFER_FIELDS, push_state};
use crate::codec::{
    BitBuffer, BypassCode, RowError, TableDescriptor, TansDecoderEntry, TansDecoderView,
    TansEncoderView, TansFamily, WordReader, WordSource,
};

/// The streams of a launch.
#[derive(Clone, Copy)]
struct TansMemory<T: TansFamily> {
    /// `rows * (lanes + 2)` fields: a row's states, its bits and how many.
    fields: *mut u32,
    words: *mut T::Word,
    lengths: *mut u32,
    status: *mut RowStatus,
}

impl<T: TansFamily> TansMemory<T> {
    #[inline(always)]
    fn of(rows: &RowsMemory) -> Self {
        let RowsMemory { lengths, status, .. } = *rows;
        Self { fields: rows.states.cast(), words: rows.words.cast(), lengths, status }
    }
}

/// One lane's copy of a row.
struct Lane<S, M, T: TansFamily> {
    group: Group<S, M>,
    memory: TansMemory<T>,
    row: usize,
    active: bool,
    capacity: u32,
    state: u32,
    /// The same in all lanes of the row, as are the next two.
    buffer: BitBuffer,
    /// Words in use.
    cursor: u32,
    /// The length or a state was none that a push leaves.
    refused: Option<RowStatus>,
    fault: LaneFault,
}

impl<S: Simt, M: Mapping, T: TansFamily> Lane<S, M, T> {
    /// The calling thread's lane; `None` where the whole warp (or this thread, where it works
    /// alone) has no row.
    #[inline(always)]
    fn load(
        simt: S,
        memory: TansMemory<T>,
        shape: &CodeShape,
        (too_long, bad_state_at): (RowError, u32),
    ) -> Option<Self> {
        let (group, row) = Group::<S, M>::new(simt, shape.lanes);
        // Threads past the last row work on, on no symbols, as long as a row of their warp does.
        let active = row < shape.rows;
        if !group.any_in_step(active) {
            return None;
        }
        let row = if active { row as usize } else { 0 };
        let first = row * (group.lanes() as usize + BUFFER_FIELDS);
        let (mut state, buffer, length) = if active {
            // SAFETY: fields of this row, which is one of the launch's.
            unsafe {
                let buffer = memory.fields.add(first + group.lanes() as usize);
                (
                    *memory.fields.add(first + group.lane as usize),
                    BitBuffer { bits: *buffer, len: *buffer.add(1) },
                    *memory.lengths.add(row),
                )
            }
        } else {
            (0, BitBuffer::default(), 0)
        };
        let initial = 1 << shape.precision;
        if state == 0 {
            state = initial;
        }
        let good = state >> shape.precision == 1 && buffer.is_valid(T::WORD_BITS);
        let refused = if group.ballot(!good) != 0 {
            Some(RowStatus { code: RowError::StateOutOfRange as u32, position: bad_state_at })
        } else if length > shape.word_stride {
            Some(RowStatus { code: too_long as u32, position: 0 })
        } else {
            None
        };
        let (state, buffer, cursor) = match refused {
            None => (state, buffer, length),
            Some(_) => (initial, BitBuffer::default(), 0),
        };
        Some(Self {
            group,
            memory,
            row,
            active,
            capacity: shape.word_stride,
            state,
            buffer,
            cursor,
            refused,
            fault: LaneFault::NONE,
        })
    }

    /// The row's words.
    #[inline(always)]
    fn words(&self) -> *mut T::Word {
        // SAFETY: the words hold `rows` rows.
        unsafe { self.memory.words.add(self.row * self.capacity as usize) }
    }

    /// Stores the row, or what is wrong with it.
    #[inline(always)]
    fn store(self, status: RowStatus) {
        let status = self.refused.unwrap_or(status);
        if !self.active {
            return;
        }
        let lanes = self.group.lanes() as usize;
        let first = self.row * (lanes + BUFFER_FIELDS);
        // SAFETY: this lane's state; what the row has once is written by one lane.
        unsafe {
            if status.code == 0 {
                *self.memory.fields.add(first + self.group.lane as usize) = self.state;
            }
            if self.group.lane == 0 {
                if status.code == 0 {
                    *self.memory.fields.add(first + lanes) = self.buffer.bits;
                    *self.memory.fields.add(first + lanes + 1) = self.buffer.len;
                    *self.memory.lengths.add(self.row) = self.cursor;
                }
                *self.memory.status.add(self.row) = status;
            }
        }
    }

    /// Whether a symbol of the row is this lane's to code.
    #[inline(always)]
    fn works_at(&self, position: u32, count: u32) -> bool {
        self.active && self.refused.is_none() && !self.fault.happened() && position < count
    }
}

/// A symbol's bits on their way round the lanes: value in the low 16 bits, count above, and whether
/// bypass digits come first.
const COUNT_AT: u32 = 16;
const DIGITS: u32 = 1 << 31;

/// Pushes every symbol of the calling thread's lane.
///
/// # Safety
/// The memory is what [`abi`](crate::abi) says for a launch of this shape, and nothing else uses it
/// meanwhile.
#[inline(always)]
pub unsafe fn push<S: Simt, M: Mapping, T: TansFamily>(simt: S, launch: Launch, shape: &CodeShape) {
    let faults = (RowError::CapacityExceeded, shape.symbols);
    let Some(mut lane) = Lane::<S, M, T>::load(simt, TansMemory::of(&launch.rows), shape, faults)
    else {
        return;
    };
    // SAFETY: the launch's tables are as long as its shape says, and the row is one of the
    // launch's.
    let (view, symbols) = unsafe {
        let states = (shape.tables as usize) << shape.precision;
        let view = TansEncoderView {
            tables: tables_view(launch.tables, shape),
            entries: core::slice::from_raw_parts(launch.entries.cast(), shape.entries as usize),
            next: core::slice::from_raw_parts(launch.lookup.cast(), states),
        };
        (view, launch.rows.row(shape, lane.row as u32))
    };
    let (lanes, count) = (lane.group.lanes(), shape.symbols);
    let mut overflowed = false;
    let mut group = count.div_ceil(lanes);
    while group > 0 {
        group -= 1;
        let position = group * lanes + lane.group.lane;
        let (bits, raw) = lane.take_bits(&view, &symbols, position, count);
        let digits = lane.group.any_in_step(bits & DIGITS != 0);
        if M::LANES != 1 && !digits {
            // SAFETY: the row's region; lanes store different words of it.
            unsafe { lane.push_together(bits & 0xffff, bits >> COUNT_AT) };
            overflowed |= lane.clamp_cursor();
            continue;
        }
        // All lanes do the same to their copies of the buffer; the first one's words are written.
        let capacity = if lane.group.lane == 0 { lane.capacity } else { 0 };
        // SAFETY: the row's region; no other lane writes.
        let mut sink = unsafe { LaneWords::<T::Word>::new(lane.words(), lane.cursor, capacity) };
        let mut turn = lanes;
        while turn > 0 {
            turn -= 1;
            let bits = lane.group.broadcast(bits, turn);
            if digits {
                let raw = lane.group.broadcast(raw, turn);
                if let (Some(bypass), true) = (view.tables.bypass, bits & DIGITS != 0) {
                    let buffer = &mut lane.buffer;
                    bypass.for_each_digit(raw, |digit| {
                        buffer.push::<T>(digit, bypass.bits(), &mut sink);
                    });
                }
            }
            lane.buffer.push::<T>(bits & 0xffff, (bits & !DIGITS) >> COUNT_AT, &mut sink);
        }
        lane.cursor = sink.position();
        overflowed |= lane.clamp_cursor();
    }
    let (first, mut status) = lane.fault.settle(&lane.group);
    if first == LaneFault::NEVER && overflowed {
        status = RowStatus { code: RowError::CapacityExceeded as u32, position: 0 };
    }
    lane.store(status);
}

impl<S: Simt, M: Mapping, T: TansFamily> Lane<S, M, T> {
    /// Moves the lane's state on, and gives the bits it leaves and what its bypass digits hold.
    #[inline(always)]
    fn take_bits(
        &mut self,
        view: &TansEncoderView<'_>,
        symbols: &RowSymbols,
        position: u32,
        count: u32,
    ) -> (u32, u32) {
        if !self.works_at(position, count) {
            return (0, 0);
        }
        // SAFETY: `position` is one of the row's.
        let (symbol, index) = unsafe { (symbols.load(position), symbols.index(position)) };
        match view.ready(symbol, index) {
            Ok(None) => (0, 0),
            Ok(Some((entry, next, raw))) => {
                let (state, bits) = push_state(self.state, entry, next);
                let value = self.state & low_mask(bits);
                self.state = state;
                let digits = if raw.is_some() { DIGITS } else { 0 };
                (value | bits << COUNT_AT | digits, raw.unwrap_or(0))
            }
            Err(error) => {
                self.fault.note(error, position, count - 1 - position);
                (0, 0)
            }
        }
    }

    /// Pushes `count` (at most 15) bits of each lane, the last lane's first: every lane stores the
    /// words that end in its bits.
    ///
    /// # Safety
    /// No other thread but the row's lanes, which all call it together, uses its words past the
    /// cursor.
    #[inline(always)]
    unsafe fn push_together(&mut self, value: u32, count: u32) {
        let (lanes, lane) = (self.group.lanes(), self.group.lane);
        // The bits up to this lane's last one, at the upper end of a word, and how many those are
        // with the buffer's. No word is longer than half of that, so more need not be held.
        let mut top = value.unbounded_shl(32 - count);
        let mut end = count;
        if lane == lanes - 1 {
            let BitBuffer { bits, len } = self.buffer;
            top |= bits.unbounded_shl(32 - len) >> count;
            end += len;
        }
        let mut distance = 1;
        while distance < lanes {
            let earlier = self.group.of_later(top, distance);
            let more = self.group.of_later(end, distance);
            if lane + distance < lanes {
                top |= earlier.unbounded_shr(end);
                end += more;
            }
            distance <<= 1;
        }
        // Words of 16 bits end once in as many bits at most, those of 8 twice.
        let (mut word, first) = (end / T::WORD_BITS, (end - count) / T::WORD_BITS);
        while word > first {
            let behind = end - word * T::WORD_BITS;
            let bits = top >> (32 - T::WORD_BITS - behind);
            word -= 1;
            let at = self.cursor.wrapping_add(word);
            if at < self.capacity {
                // SAFETY: below the capacity; the word ends in this lane's bits, and so in no other
                // lane's.
                unsafe { *self.words().add(at as usize) = crate::codec::WordInt::from_low(bits) };
            }
        }
        let (top, end) = (self.group.broadcast(top, 0), self.group.broadcast(end, 0));
        let len = end % T::WORD_BITS;
        self.buffer = BitBuffer { bits: top.unbounded_shr(32 - len), len };
        self.cursor = self.cursor.wrapping_add(end / T::WORD_BITS);
    }

    /// Whether the words went past the row's capacity.
    #[inline(always)]
    fn clamp_cursor(&mut self) -> bool {
        let overflowed = self.cursor > self.capacity;
        self.cursor = self.cursor.min(self.capacity);
        overflowed
    }

    /// The buffer and the words left after `bits` bits were taken from here, and whether there were
    /// as many.
    #[inline(always)]
    fn skip(&self, words: &[T::Word], bits: u32) -> (BitBuffer, u32, bool) {
        let BitBuffer { bits: held, len } = self.buffer;
        if bits <= len {
            let len = len - bits;
            return (BitBuffer { bits: held & low_mask(len), len }, self.cursor, true);
        }
        let missing = bits - len;
        let taken = missing.div_ceil(T::WORD_BITS);
        let left = self.cursor.saturating_sub(taken);
        let len = taken * T::WORD_BITS - missing;
        // The last word taken is the first that is left over in part.
        let enough = taken <= self.cursor;
        let word = if enough { words.get(left as usize).copied() } else { None };
        let bits = word.map_or(0, crate::codec::WordInt::to_u32) & low_mask(len);
        (BitBuffer { bits, len }, left, enough)
    }

    #[inline(always)]
    fn reader<'a>(words: &'a [T::Word], left: u32) -> WordReader<'a, T::Word> {
        WordReader::new(words.get(..left as usize).unwrap_or_default())
    }
}

/// A symbol being popped.
#[derive(Clone, Copy, Default)]
struct Popped {
    entry: TansDecoderEntry,
    table: TableDescriptor,
    coded: bool,
    digits: bool,
    symbol: i32,
}

/// Pops every symbol of the calling thread's lane.
///
/// # Safety
/// The memory is what [`abi`](crate::abi) says for a launch of this shape, and nothing else uses it
/// meanwhile.
#[inline(always)]
pub unsafe fn pop<S: Simt, M: Mapping, T: TansFamily>(simt: S, launch: Launch, shape: &CodeShape) {
    let faults = (RowError::Truncated, 0);
    let Some(mut lane) = Lane::<S, M, T>::load(simt, TansMemory::of(&launch.rows), shape, faults)
    else {
        return;
    };
    // SAFETY: the launch's tables are as long as its shape says; the row is one of the launch's,
    // and its words in use were written before.
    let (view, symbols, words) = unsafe {
        let states = (shape.tables as usize) << shape.precision;
        let view = TansDecoderView {
            tables: tables_view(launch.tables, shape),
            entries: core::slice::from_raw_parts(launch.entries.cast(), states),
        };
        let words = core::slice::from_raw_parts(lane.words().cast_const(), lane.cursor as usize);
        (view, launch.rows.row(shape, lane.row as u32), words)
    };
    let (lanes, count) = (lane.group.lanes(), shape.symbols);
    let mut truncated = LaneFault::NONE;
    let mut group = 0;
    while group < count.div_ceil(lanes) {
        let position = group * lanes + lane.group.lane;
        let works = lane.works_at(position, count);
        // SAFETY: `position` is one of the row's where the lane works.
        let index = if works { unsafe { symbols.index(position) } } else { -1 };
        let mut popped = lane.look_up(&view, index, position);
        let enough = if M::LANES == 1 || lane.group.any_in_step(popped.digits) {
            lane.pop_in_turn(&view, words, &mut popped, position)
        } else {
            lane.pop_together(&view, words, &mut popped)
        };
        if !enough {
            truncated.note(RowError::Truncated, group * lanes, (group + 1) * lanes - 1);
        }
        if position < count && lane.active && lane.refused.is_none() {
            // SAFETY: `position` is one of the row's, and this lane's alone.
            if let Err(error) = unsafe { symbols.store(position, popped.symbol) } {
                lane.fault.note(error, position, position);
            }
        }
        group += 1;
    }
    let (first, status) = lane.fault.settle(&lane.group);
    // The scalar codec looks at the words at the end of each group.
    let status = if first <= truncated.when { status } else { truncated.status };
    lane.store(status);
}

impl<S: Simt, M: Mapping, T: TansFamily> Lane<S, M, T> {
    /// Finds the symbol of the lane's state; its bits are still to come.
    #[inline(always)]
    fn look_up(&mut self, view: &TansDecoderView<'_>, index: i32, position: u32) -> Popped {
        let found = view.entry(self.state, index).and_then(|found| {
            let Some((table, entry)) = found else { return Ok(Popped::default()) };
            let digits = view.has_digits(&table, entry);
            let symbol =
                if digits { 0 } else { TablesView::symbol(&table, i64::from(entry.symbol))? };
            Ok(Popped { entry, table, coded: true, digits, symbol })
        });
        found.unwrap_or_else(|error| {
            self.fault.note(error, position, position);
            Popped::default()
        })
    }

    /// How many bits a symbol leaves to read.
    #[inline(always)]
    fn bits_of(view: &TansDecoderView<'_>, popped: &Popped) -> u32 {
        if popped.coded { popped.entry.bits(view.tables.precision) } else { 0 }
    }

    #[inline(always)]
    fn move_on(&mut self, popped: &Popped, count: u32, value: u32) {
        if popped.coded {
            self.state = (u32::from(popped.entry.number) << count) | value;
        }
    }

    /// Each lane reads its own bits; whether there were enough.
    #[inline(always)]
    fn pop_together(
        &mut self,
        view: &TansDecoderView<'_>,
        words: &[T::Word],
        popped: &mut Popped,
    ) -> bool {
        let count = Self::bits_of(view, popped);
        // At most 15 bits each.
        let (before, total) = self.group.sums(count, 4, self.group.before);
        let (mut buffer, left, _) = self.skip(words, before);
        let value = buffer.pop::<T>(count, &mut Self::reader(words, left));
        self.move_on(popped, count, value);
        let (buffer, cursor, enough) = self.skip(words, total);
        (self.buffer, self.cursor) = (buffer, cursor);
        enough
    }

    /// All lanes read the bits of each symbol in order, and of each bypass digit; whether there
    /// were enough.
    #[inline(always)]
    fn pop_in_turn(
        &mut self,
        view: &TansDecoderView<'_>,
        words: &[T::Word],
        popped: &mut Popped,
        position: u32,
    ) -> bool {
        let own = Self::bits_of(view, popped) | if popped.digits { DIGITS } else { 0 };
        let mut reader = Self::reader(words, self.cursor);
        let mut turn = 0;
        while turn < self.group.lanes() {
            let bits = self.group.broadcast(own, turn);
            let count = bits & !DIGITS;
            let value = self.buffer.pop::<T>(count, &mut reader);
            let mine = turn == self.group.lane;
            if mine {
                self.move_on(popped, count, value);
            }
            if let (Some(bypass), true) = (view.tables.bypass, bits & DIGITS != 0) {
                let raw = self.pop_digits(bypass, &mut reader);
                if mine {
                    let max = popped.table.symbols.wrapping_sub(1);
                    let symbol = raw.and_then(|raw| {
                        TablesView::symbol(&popped.table, BypassCode::value(raw, max))
                    });
                    match symbol {
                        Ok(symbol) => popped.symbol = symbol,
                        Err(error) => self.fault.note(error, position, position),
                    }
                }
            }
            turn += 1;
        }
        self.cursor = reader.len() as u32;
        !reader.underflowed()
    }

    #[inline(always)]
    fn pop_digits(
        &mut self,
        bypass: BypassCode,
        source: &mut impl WordSource<T::Word>,
    ) -> Result<u32, RowError> {
        let buffer = &mut self.buffer;
        bypass.read_digits(|| buffer.pop::<T>(bypass.bits(), source))
    }
}

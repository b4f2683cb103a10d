//! The tANS kernels.
//!
//! A row's lanes share one bit buffer, so their bits depend on one another, but their table entries
//! do not: each lane looks its own up, which is where the time goes, and only the bits are then
//! joined in symbol order. Every lane keeps a copy of the buffer, so that nothing but a symbol's
//! bits is ever exchanged.
//!
//! Full groups of ordinary symbols are coded in `tans_packed`; what follows is for the others.
//! Push: without bypass digits in a group of symbols, the lanes store their bits together; with
//! digits, the lanes' bits go round by one shuffle per symbol. Pop: without bypass digits in a
//! group of symbols, each lane reads its own bits; with digits, symbol by symbol. `tans_bits` says
//! where a lane's bits are.

use super::group::Mapping;
use super::lane_words::{LaneFault, LaneWords};
use super::memory::{Launch, RowSymbols};
use super::packed::part_behind;
use super::simt::Simt;
use super::tables::tables_view;
use super::tans_bits::{Window, store_bits};
use super::tans_lane::{Lane, TansMemory};
use super::tans_packed::Tiles;
use crate::abi::{CodeShape, RowStatus};
use crate::codec::step::low_mask;
use crate::codec::table_row::TablesView;
use crate::codec::tans::push_state;
use crate::codec::{
    BypassCode, RowError, TableDescriptor, TansDecoderEntry, TansDecoderView, TansEncoderView,
    TansFamily, WordReader, WordSource,
};

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
    // SAFETY: the caller's promise; no thread has left the block yet.
    let tiles = unsafe { Tiles::new(simt, &launch, shape) };
    let faults = (RowError::CapacityExceeded, shape.symbols);
    let Some(mut lane) = Lane::<S, M, T>::load(simt, TansMemory::of(&launch.rows), shape, faults)
    else {
        return;
    };
    // SAFETY: the launch's tables are as long as its shape says, and the row is one of the
    // launch's.
    let (view, symbols) = unsafe {
        let states = (shape.tables as usize) << shape.precision;
        let next = part_behind(launch.lookup, shape, 0, states);
        let view = TansEncoderView {
            tables: tables_view(launch.tables, shape),
            entries: core::slice::from_raw_parts(launch.entries.cast(), shape.entries as usize),
            next,
        };
        (view, launch.rows.row(shape, lane.row as u32))
    };
    let (lanes, count) = (lane.group.lanes(), shape.symbols);
    let mut overflowed = false;
    let mut group = count.div_ceil(lanes);
    let mut in_tail = count & (lanes - 1) != 0;
    while group > 0 {
        if !in_tail {
            group = tiles.push(&mut lane, group);
            if group == 0 {
                break;
            }
        }
        in_tail = false;
        group -= 1;
        let position = group * lanes + lane.group.lane;
        let (bits, raw) = lane.take_bits(&view, &symbols, position, count);
        let digits = lane.group.any_in_step(bits & DIGITS != 0);
        if M::LANES != 1 && !digits {
            let to = (lane.words(), lane.capacity);
            let left = ([bits & 0xffff], [bits >> COUNT_AT]);
            // SAFETY: the row's region.
            lane.end =
                unsafe { store_bits::<_, _, T, 1>(&lane.group, to, shape.staged, lane.end, left) };
            overflowed |= lane.clamp_cursor();
            continue;
        }
        // All lanes do the same to their copies of the buffer; the first one's words are written.
        let capacity = if lane.group.lane == 0 { lane.capacity } else { 0 };
        // SAFETY: the row's region; no other lane writes.
        let mut sink =
            unsafe { LaneWords::<T::Word>::new(lane.words(), lane.end.cursor, capacity) };
        let mut turn = lanes;
        while turn > 0 {
            turn -= 1;
            let bits = lane.group.broadcast(bits, turn);
            if digits {
                let raw = lane.group.broadcast(raw, turn);
                if let (Some(bypass), true) = (view.tables.bypass, bits & DIGITS != 0) {
                    let buffer = &mut lane.end.buffer;
                    bypass.for_each_digit(raw, |digit| {
                        buffer.push::<T>(digit, bypass.bits(), &mut sink);
                    });
                }
            }
            lane.end.buffer.push::<T>(bits & 0xffff, (bits & !DIGITS) >> COUNT_AT, &mut sink);
        }
        lane.end.cursor = sink.position();
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
    // SAFETY: the caller's promise; no thread has left the block yet.
    let tiles = unsafe { Tiles::new(simt, &launch, shape) };
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
        let words =
            core::slice::from_raw_parts(lane.words().cast_const(), lane.end.cursor as usize);
        (view, launch.rows.row(shape, lane.row as u32), words)
    };
    let (lanes, count) = (lane.group.lanes(), shape.symbols);
    let mut truncated = LaneFault::NONE;
    // The first symbol that its type does not hold: noticed once the row is whole, as the host
    // narrows.
    let mut too_wide = LaneFault::NEVER;
    let mut group = 0;
    while group < count.div_ceil(lanes) {
        if !launch.lookup.is_null() && group < count / lanes {
            group = tiles.pop(&mut lane, group, count / lanes);
            if group == count.div_ceil(lanes) {
                break;
            }
        }
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
            if unsafe { symbols.store(position, popped.symbol) }.is_err() {
                too_wide = too_wide.min(position);
            }
        }
        group += 1;
    }
    let (first, status) = lane.fault.settle(&lane.group);
    // The scalar codec looks at the words at the end of each group.
    let mut status = if first <= truncated.when { status } else { truncated.status };
    let too_wide = lane.group.min(too_wide);
    if status.code == 0 && too_wide != LaneFault::NEVER {
        status = RowStatus { code: RowError::SymbolWidth as u32, position: too_wide };
    }
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
        let sum = self.group.sum_up_to(count);
        let total = self.group.broadcast(sum, self.group.lanes() - 1);
        let most = self.group.lanes() * view.tables.precision / T::WORD_BITS + 1;
        let words = self.group.simt().global(words.as_ptr());
        // SAFETY: the row's words.
        let mut window = unsafe { Window::<S, T>::new(self.group.simt(), words, self.end, most) };
        self.move_on(popped, count, window.read(sum, count));
        let enough = total <= window.left;
        window.left = window.left.saturating_sub(total);
        self.end = window.end();
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
        let mut reader = Self::reader(words, self.end.cursor);
        let mut turn = 0;
        while turn < self.group.lanes() {
            let bits = self.group.broadcast(own, turn);
            let count = bits & !DIGITS;
            let value = self.end.buffer.pop::<T>(count, &mut reader);
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
        self.end.cursor = reader.len() as u32;
        !reader.underflowed()
    }

    #[inline(always)]
    fn pop_digits(
        &mut self,
        bypass: BypassCode,
        source: &mut impl WordSource<T::Word>,
    ) -> Result<u32, RowError> {
        let buffer = &mut self.end.buffer;
        bypass.read_digits(|| buffer.pop::<T>(bypass.bits(), source))
    }
}

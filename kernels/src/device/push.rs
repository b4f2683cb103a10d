//! The push kernel.

use super::group::{Group, Mapping};
use super::memory::{
    HeldWords, LaneFault, LaneWords, RowMemory, RowSymbols, StreamMemory, SymbolMemory, WordCount,
    table_of_row, tables_view,
};
use super::simt::Simt;
use crate::abi::{CodeShape, RowStatus};
use crate::codec::row::Ready;
use crate::codec::step::is_normalised;
use crate::codec::{
    AliasPlacement, DirectPlacement, EncoderEntry, EncoderView, Family, Placement, RowError,
    TableSpan, WordSink,
};

/// Tables as push reads them.
#[derive(Clone, Copy, Debug)]
pub struct PushTables<F: Family> {
    /// Every table's place.
    pub tables: *const TableSpan,
    /// The entries of all tables.
    pub entries: *const EncoderEntry<F>,
    /// The slot of each cumulative position (alias tables only).
    pub remap: *const u32,
}

/// Makes the codec's view of where slots lie.
pub trait PushForm {
    /// The view.
    type Placement: Placement;
    /// # Safety
    /// `remap` points to what this form of the tables needs.
    unsafe fn placement(remap: *const u32, shape: &CodeShape) -> Self::Placement;
}

/// Slots in CDF order.
#[derive(Clone, Copy, Debug)]
pub struct Direct;
/// Slots of alias tables.
#[derive(Clone, Copy, Debug)]
pub struct Alias;

impl PushForm for Direct {
    type Placement = DirectPlacement;
    #[inline(always)]
    unsafe fn placement(_remap: *const u32, _shape: &CodeShape) -> DirectPlacement {
        DirectPlacement
    }
}

impl PushForm for Alias {
    type Placement = AliasPlacement<'static>;
    #[inline(always)]
    unsafe fn placement(remap: *const u32, shape: &CodeShape) -> Self::Placement {
        let slots = (shape.tables as usize) << shape.precision;
        // SAFETY: the caller's promise: `tables << precision` slots.
        let remap = unsafe { core::slice::from_raw_parts(remap, slots) };
        AliasPlacement { remap, precision: shape.precision }
    }
}

/// Bits that hold how many words a symbol with its bypass digits sheds, 14 at most: 65 bits of digits, 23 of symbol and 31 of
/// state in words of 8 bits.
const DIGIT_WORDS_BITS: u32 = 4;

/// Bits that hold how many words a symbol alone sheds.
const fn symbol_words_bits<F: Family>() -> u32 {
    32 - F::MAX_WORDS.leading_zeros()
}

/// One lane's part of a row being pushed.
struct Lane<'a, S, M, F: Family, P> {
    group: Group<S, M>,
    view: EncoderView<'a, F, P>,
    words: *mut F::Word,
    capacity: u32,
    state: F::State,
    /// Words in use: the same in all lanes of the row.
    cursor: u32,
    overflowed: bool,
    fault: LaneFault,
}

impl<S: Simt, M: Mapping, F: Family, P: Placement> Lane<'_, S, M, F, P> {
    #[inline(always)]
    fn advance(&mut self, total: u32) {
        self.cursor += total;
        if self.cursor > self.capacity {
            self.overflowed = true;
            self.cursor = self.capacity;
        }
    }

    #[inline(always)]
    fn writer(&self, words_before: u32) -> LaneWords<F::Word> {
        // SAFETY: `words` points to the row's capacity; lanes write disjoint words, told apart by `words_before`.
        unsafe { LaneWords::new(self.words, self.cursor + words_before, self.capacity) }
    }

    /// Pushes the symbols of a group, highest lane first.
    #[inline(always)]
    fn push_symbols(&mut self, ready: &Ready) {
        let mut held = HeldWords::default();
        self.state = self.view.push_ready(self.state, ready, &mut held);
        let bits = const { symbol_words_bits::<F>() };
        let (before, total) = self.group.sums(held.count, bits, self.group.after);
        held.release::<F>(&mut self.writer(before));
        self.advance(total);
    }

    /// Pushes bypass digits, and the symbols too where asked, highest lane first. Each lane codes twice: first
    /// to count its words, then to write them.
    #[inline(always)]
    fn push_digits(&mut self, ready: &Ready, with_symbol: bool) {
        let mut count = WordCount::default();
        self.code(ready, with_symbol, &mut count);
        let (before, total) = self.group.sums(count.0, DIGIT_WORDS_BITS, self.group.after);
        self.state = self.code(ready, with_symbol, &mut self.writer(before));
        self.advance(total);
    }

    #[inline(always)]
    fn code(
        &self,
        ready: &Ready,
        with_symbol: bool,
        sink: &mut impl WordSink<F::Word>,
    ) -> F::State {
        let state = self.view.push_raw(self.state, ready, sink);
        if with_symbol { self.view.push_ready(state, ready, sink) } else { state }
    }

    /// The entry of the symbol at a position; a skipped symbol where the lane has failed.
    #[inline(always)]
    fn ready(&mut self, symbols: Option<&RowSymbols>, position: u32, when: u32) -> Ready {
        let Some(symbols) = symbols.filter(|_| !self.fault.happened()) else {
            return Ready::default();
        };
        // SAFETY: `position` is one of the row's.
        let (symbol, index) = unsafe { (symbols.load(position), symbols.index(position)) };
        self.view.ready(symbol, index).unwrap_or_else(|error| {
            self.fault.note(error, position, when);
            Ready::default()
        })
    }

    /// All symbols of the row, last first, as [`push_row`](crate::codec::push_row) orders them.
    #[inline(always)]
    fn run(&mut self, symbols: Option<&RowSymbols>, count: u32) {
        let (lanes, lane) = (self.group.lanes(), self.group.lane);
        let (tail, groups) = (count & (lanes - 1), count >> lanes.trailing_zeros());
        if tail != 0 {
            let position = count - tail + lane;
            let ready =
                self.ready(symbols.filter(|_| lane < tail), position, tail.wrapping_sub(1 + lane));
            self.push_digits(&ready, true);
        }
        // SAFETY: not an empty row.
        let table = unsafe { table_of_row(symbols.filter(|_| count > 0), &self.view.tables) };
        // All rows of the warp or none: they vote together.
        if !self.group.any_in_step(symbols.is_some() && table.is_none()) {
            let (number, table) = table.unwrap_or_default();
            return self.run_in_table(symbols, number, &table, groups);
        }
        let bypass = self.view.tables.bypass.is_some();
        let mut group = groups;
        while group > 0 {
            group -= 1;
            let when = lanes + (groups - 1 - group);
            let ready = self.ready(symbols, group * lanes + lane, when);
            if bypass && self.group.any_in_step(ready.raw.is_some()) {
                self.push_digits(&ready, false);
            }
            self.push_symbols(&ready);
        }
    }

    /// The groups of a row that one table codes, without bypass.
    #[inline(always)]
    fn run_in_table(
        &mut self,
        symbols: Option<&RowSymbols>,
        number: u32,
        table: &TableSpan,
        groups: u32,
    ) {
        let (lanes, lane) = (self.group.lanes(), self.group.lane);
        let mut group = groups;
        while group > 0 {
            group -= 1;
            let position = group * lanes + lane;
            let ready = match symbols {
                Some(symbols) if !self.fault.happened() => {
                    // SAFETY: `position` is one of the row's.
                    let symbol = unsafe { symbols.load(position) };
                    self.view.ready_in(number, table, symbol).unwrap_or_else(|error| {
                        self.fault.note(error, position, lanes + (groups - 1 - group));
                        Ready::default()
                    })
                }
                _ => Ready::default(),
            };
            self.push_symbols(&ready);
        }
    }

    /// The row's outcome, the same in all its lanes.
    #[inline(always)]
    fn outcome(&self) -> RowStatus {
        let (first, status) = self.fault.settle(&self.group);
        if first != LaneFault::NEVER {
            status
        } else if self.overflowed {
            RowStatus { code: RowError::CapacityExceeded as u32, position: 0 }
        } else {
            RowStatus::default()
        }
    }
}

/// Pushes every symbol of the calling thread's lane.
///
/// # Safety
/// The memory is what [`abi`](crate::abi) says for a launch of this shape, and nothing else uses it meanwhile.
#[inline(always)]
pub unsafe fn push<S: Simt, M: Mapping, F: Family, T: PushForm>(
    simt: S,
    streams: StreamMemory<F>,
    symbols: SymbolMemory,
    tables: PushTables<F>,
    shape: &CodeShape,
) {
    let (group, row) = Group::<S, M>::new(simt, shape.lanes);
    // Threads past the last row work on, on no symbols, as long as a row of their warp does.
    let active = row < shape.rows;
    if !group.any_in_step(active) {
        return;
    }
    let row = if active { row } else { 0 };
    // SAFETY: `row < rows`.
    let (memory, symbols): (RowMemory<F>, _) =
        unsafe { (streams.lane(shape, row, group.lanes(), group.lane), symbols.row(shape, row)) };
    let (state, length) = if active {
        // SAFETY: this lane's state and this row's length.
        unsafe { (*memory.state, *memory.length) }
    } else {
        (F::LOWER_BOUND, 0)
    };
    // SAFETY: the launch's tables are as long as its shape says.
    let view = unsafe {
        EncoderView {
            tables: tables_view(tables.tables, shape),
            entries: core::slice::from_raw_parts(tables.entries, shape.entries as usize),
            placement: T::placement(tables.remap, shape),
        }
    };
    let good = group.ballot(!is_normalised::<F>(state)) == 0;
    let mut lane: Lane<_, _, F, _> = Lane {
        group,
        view,
        words: memory.words,
        capacity: shape.word_stride,
        state: if good { state } else { F::LOWER_BOUND },
        cursor: length.min(shape.word_stride),
        overflowed: length > shape.word_stride,
        fault: LaneFault::NONE,
    };
    lane.run(Some(&symbols).filter(|_| active && good), shape.symbols);
    // Before looking at `good`, in which rows of a warp differ: the outcome takes all threads.
    let outcome = lane.outcome();
    let status = if good {
        outcome
    } else {
        RowStatus { code: RowError::StateOutOfRange as u32, position: shape.symbols }
    };
    if !active {
        return;
    }
    // SAFETY: this lane's state; the row's length and status, written by one lane.
    unsafe {
        if status.code == 0 {
            *memory.state = lane.state;
        }
        if group.lane == 0 {
            if status.code == 0 {
                *memory.length = lane.cursor;
            }
            *memory.status = status;
        }
    }
}

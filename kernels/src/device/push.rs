//! The push kernel.

use super::group::{Group, Mapping};
use super::memory::{
    HeldWords, LaneFault, LaneWords, Launch, RowMemory, RowSymbols, WordCount, table_of_row,
    tables_view,
};
use super::simt::Simt;
use crate::abi::{CodeShape, RowStatus};
use crate::codec::row::Ready;
use crate::codec::step::is_normalised;
use crate::codec::{
    AliasPlacement, DirectPlacement, EncoderView, Placement, RansFamily, RowError, TableDescriptor,
    WordSink,
};

/// Makes the codec's view of where slots lie.
pub trait PushForm {
    /// The view.
    type Placement: Placement;
    /// # Safety
    /// `remap` points to what this form of the tables needs.
    unsafe fn placement(remap: *const u8, shape: &CodeShape) -> Self::Placement;
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
    unsafe fn placement(_remap: *const u8, _shape: &CodeShape) -> DirectPlacement {
        DirectPlacement
    }
}

impl PushForm for Alias {
    type Placement = AliasPlacement<'static>;
    #[inline(always)]
    unsafe fn placement(remap: *const u8, shape: &CodeShape) -> Self::Placement {
        let slots = (shape.tables as usize) << shape.precision;
        // SAFETY: the caller's promise: `tables << precision` slots.
        let remap = unsafe { core::slice::from_raw_parts(remap.cast(), slots) };
        AliasPlacement { remap, precision: shape.precision }
    }
}

/// Bits that hold how many words a symbol with its bypass digits emits, 14 at most: 65 bits of
/// digits, 23 of symbol and 31 of state in words of 8 bits.
const DIGIT_WORDS_BITS: u32 = 4;

/// Bits that hold how many words a symbol alone emits.
const fn symbol_words_bits<F: RansFamily>() -> u32 {
    32 - F::MAX_WORDS.leading_zeros()
}

/// What pushes ordinary groups of symbols faster than the general code: full ones, without bypass
/// digits, skipped symbols or faults.
pub(super) trait Ordinary<S, M, F: RansFamily, P> {
    /// Whether rows that one table codes are left to this.
    const ALL: bool;
    /// Pushes groups from the one before `group` down, to the first that is not ordinary, and gives
    /// how many are left.
    fn run(&self, lane: &mut Lane<'_, S, M, F, P>, symbols: &RowSymbols, group: u32) -> u32;
}

/// All groups are left to the general code.
impl<S, M, F: RansFamily, P> Ordinary<S, M, F, P> for () {
    const ALL: bool = false;
    #[inline(always)]
    fn run(&self, _: &mut Lane<'_, S, M, F, P>, _: &RowSymbols, group: u32) -> u32 {
        group
    }
}

/// One lane's part of a row being pushed.
pub(super) struct Lane<'a, S, M, F: RansFamily, P> {
    pub(super) group: Group<S, M>,
    pub(super) view: EncoderView<'a, F, P>,
    pub(super) words: *mut F::Word,
    pub(super) capacity: u32,
    pub(super) state: F::State,
    /// Words in use: the same in all lanes of the row.
    pub(super) cursor: u32,
    overflowed: bool,
    fault: LaneFault,
}

impl<S: Simt, M: Mapping, F: RansFamily, P: Placement> Lane<'_, S, M, F, P> {
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
        // SAFETY: `words` points to the row's capacity; lanes write disjoint words, distinguished
        // by `words_before`.
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

    /// Pushes bypass digits, and the symbols too where asked, highest lane first. Each lane codes
    /// twice: first to count its words, then to write them.
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
    fn run<O: Ordinary<S, M, F, P>>(
        &mut self,
        symbols: Option<&RowSymbols>,
        count: u32,
        ordinary: &O,
    ) {
        let (lanes, lane) = (self.group.lanes(), self.group.lane);
        let (tail, groups) = (count & (lanes - 1), count >> lanes.trailing_zeros());
        if tail != 0 {
            let position = count - tail + lane;
            let ready =
                self.ready(symbols.filter(|_| lane < tail), position, tail.wrapping_sub(1 + lane));
            self.push_digits(&ready, true);
        }
        if !O::ALL {
            // SAFETY: not an empty row.
            let table = unsafe { table_of_row(symbols.filter(|_| count > 0), &self.view.tables) };
            // All rows of the warp or none: they vote together.
            if !self.group.any_in_step(symbols.is_some() && table.is_none()) {
                let (number, table) = table.unwrap_or_default();
                return self.run_in_table(symbols, number, &table, groups);
            }
        }
        let bypass = self.view.tables.bypass.is_some();
        let mut group = groups;
        while group > 0 {
            // A fault leaves the rest of its row to the general code, and rows of a warp go
            // together.
            let faulty = self.fault.happened() || self.overflowed;
            if let (Some(symbols), true) =
                (symbols, O::ALL && !self.group.any_in_step(symbols.is_none() || faulty))
            {
                group = ordinary.run(self, symbols, group);
                if group == 0 {
                    break;
                }
            }
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
        table: &TableDescriptor,
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
/// The memory is what [`abi`](crate::abi) says for a launch of this shape, and nothing else uses it
/// meanwhile.
#[inline(always)]
pub unsafe fn push<S: Simt, M: Mapping, F: RansFamily, T: PushForm>(
    simt: S,
    launch: Launch,
    shape: &CodeShape,
) {
    // SAFETY: the caller's promise.
    unsafe { push_with::<S, M, F, T, ()>(simt, launch, shape, ()) }
}

/// The same with something faster for ordinary groups.
///
/// # Safety
/// As [`push`].
#[inline(always)]
pub(super) unsafe fn push_with<S, M, F, T, O>(
    simt: S,
    launch: Launch,
    shape: &CodeShape,
    ordinary: O,
) where
    S: Simt,
    M: Mapping,
    F: RansFamily,
    T: PushForm,
    O: Ordinary<S, M, F, T::Placement>,
{
    let (group, row) = Group::<S, M>::new(simt, shape.lanes);
    // Threads past the last row work on, on no symbols, as long as a row of their warp does.
    let active = row < shape.rows;
    if !group.any_in_step(active) {
        return;
    }
    let row = if active { row } else { 0 };
    let rows = launch.rows;
    // SAFETY: `row < rows`.
    let (memory, symbols): (RowMemory<F>, _) =
        unsafe { (rows.lane(shape, row, group.lanes(), group.lane), rows.row(shape, row)) };
    let (state, length) = if active {
        // SAFETY: this lane's state and this row's length.
        unsafe { (*memory.state, *memory.length) }
    } else {
        (F::LOWER_BOUND, 0)
    };
    // SAFETY: the launch's tables are as long as its shape says.
    let view = unsafe {
        EncoderView {
            tables: tables_view(launch.tables, shape),
            entries: core::slice::from_raw_parts(launch.entries.cast(), shape.entries as usize),
            placement: T::placement(launch.lookup, shape),
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
    lane.run(Some(&symbols).filter(|_| active && good), shape.symbols, &ordinary);
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

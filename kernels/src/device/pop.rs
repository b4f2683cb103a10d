//! The pop kernel.

use super::group::{Group, Mapping};
use super::memory::{LaneFault, Launch, RowMemory, RowSymbols, table_of_row, tables_view};
use super::simt::Simt;
use crate::abi::{CodeShape, RowStatus};
use crate::codec::row::Popped;
use crate::codec::step::{advance, is_normalised, renormalise, slot, words_wanted};
use crate::codec::{
    AliasLookup, DecoderView, Interval, InverseCdfLookup, RansFamily, RowError, SearchLookup,
    SymbolLookup, TableDescriptor, WordReader,
};

/// Makes the codec's lookup out of a launch's memory.
pub trait PopForm {
    /// The lookup.
    type Lookup: SymbolLookup;
    /// # Safety
    /// `extra` points to what the lookup needs beside the intervals by the shape.
    unsafe fn lookup(
        intervals: &'static [Interval],
        extra: *const u8,
        shape: &CodeShape,
    ) -> Self::Lookup;
}

/// Binary search.
#[derive(Clone, Copy, Debug)]
pub struct Search;
/// Inverse CDF, dense or sparse.
#[derive(Clone, Copy, Debug)]
pub struct InverseCdf;
/// Alias tables.
#[derive(Clone, Copy, Debug)]
pub struct Alias;

impl PopForm for Search {
    type Lookup = SearchLookup<'static>;
    #[inline(always)]
    unsafe fn lookup(intervals: &'static [Interval], _: *const u8, _: &CodeShape) -> Self::Lookup {
        SearchLookup { intervals }
    }
}

impl PopForm for InverseCdf {
    type Lookup = InverseCdfLookup<'static>;
    #[inline(always)]
    unsafe fn lookup(
        intervals: &'static [Interval],
        extra: *const u8,
        shape: &CodeShape,
    ) -> Self::Lookup {
        let entries = (shape.tables as usize) << shape.inverse_bits;
        // SAFETY: the caller's promise: `tables << inverse_bits` symbols.
        let symbols = unsafe { core::slice::from_raw_parts(extra.cast(), entries) };
        InverseCdfLookup { intervals, symbols, bits: shape.inverse_bits }
    }
}

impl PopForm for Alias {
    type Lookup = AliasLookup<'static>;
    #[inline(always)]
    unsafe fn lookup(
        intervals: &'static [Interval],
        extra: *const u8,
        shape: &CodeShape,
    ) -> Self::Lookup {
        // SAFETY: the caller's promise: a bucket for each interval.
        let buckets = unsafe { core::slice::from_raw_parts(extra.cast(), shape.entries as usize) };
        AliasLookup { intervals, buckets }
    }
}

/// Bits that hold how many words a lane reads after one symbol.
const fn symbol_words_bits<F: RansFamily>() -> u32 {
    32 - F::MAX_WORDS.leading_zeros()
}

/// A symbol without digits: what a skipped or failed one pops as.
const SKIPPED: Popped = (0, None);

/// What pops ordinary groups of symbols faster than the general code: full ones, without bypass
/// digits, skipped symbols or faults.
pub(super) trait Ordinary<S, M, F: RansFamily, L> {
    /// Whether rows that one table codes are left to this.
    const ALL: bool;
    /// Pops groups from `group` on, up to the first that is not ordinary or to `groups`, and gives
    /// where that is.
    fn run(
        &self,
        lane: &mut Lane<'_, S, M, F, L>,
        symbols: &RowSymbols,
        group: u32,
        groups: u32,
    ) -> u32;
}

/// All groups are left to the general code.
impl<S, M, F: RansFamily, L> Ordinary<S, M, F, L> for () {
    const ALL: bool = false;
    #[inline(always)]
    fn run(&self, _: &mut Lane<'_, S, M, F, L>, _: &RowSymbols, group: u32, _: u32) -> u32 {
        group
    }
}

/// One lane's part of a row being popped.
pub(super) struct Lane<'a, S, M, F: RansFamily, L> {
    pub(super) group: Group<S, M>,
    pub(super) view: DecoderView<'a, L>,
    pub(super) words: &'a [F::Word],
    pub(super) state: F::State,
    /// Words left: the same in all lanes of the row.
    pub(super) cursor: u32,
    /// When the row first ran out of words, and where it then was.
    truncated: LaneFault,
    fault: LaneFault,
}

impl<'a, S: Simt, M: Mapping, F: RansFamily, L: SymbolLookup> Lane<'a, S, M, F, L> {
    /// The words that are left once the lanes before have taken theirs.
    #[inline(always)]
    fn reader(&self, taken_before: u32) -> WordReader<'a, F::Word> {
        let left = self.cursor.saturating_sub(taken_before) as usize;
        WordReader::new(self.words.get(..left).unwrap_or_default())
    }

    /// Pops a symbol of every lane, lowest lane first.
    #[inline(always)]
    fn pop_symbols(&mut self, index: i32, position: u32, when: u32) -> Popped {
        let (taken, popped) = match self.view.take_symbol::<F>(self.state, index) {
            Ok(taken) => taken,
            Err(error) => {
                self.fault.note(error, position, when);
                (self.state, SKIPPED)
            }
        };
        self.renormalise(taken, position, when);
        popped
    }

    /// Brings every lane's state back into its interval, lowest lane first.
    #[inline(always)]
    fn renormalise(&mut self, taken: F::State, position: u32, when: u32) {
        let bits = const { symbol_words_bits::<F>() };
        let wanted = words_wanted::<F>(taken);
        let (before, total) = self.group.sums(wanted, bits, self.group.before);
        self.state = renormalise::<F>(taken, &mut self.reader(before));
        if total > self.cursor {
            self.truncated.note(RowError::Truncated, position - self.group.lane, when);
        }
        self.cursor = self.cursor.saturating_sub(total);
    }

    /// The groups of a row that one table codes, without bypass: no error but of words is possible.
    #[inline(always)]
    fn run_in_table(
        &mut self,
        symbols: Option<&RowSymbols>,
        number: u32,
        table: &TableDescriptor,
        groups: u32,
    ) {
        let (lanes, lane) = (self.group.lanes(), self.group.lane);
        let precision = self.view.tables.precision;
        let mut group = 0;
        while group < groups {
            let position = group * lanes + lane;
            let slot = slot::<F>(self.state, precision);
            let found = self.view.lookup.find(number, table, slot, precision);
            let taken = advance::<F>(self.state, precision, found.freq, found.rank);
            self.renormalise(taken, position, 2 * group);
            let symbol = table.offset.wrapping_add_unsigned(found.symbol);
            self.store(symbols, symbol, position, 2 * group + 1);
            group += 1;
        }
    }

    /// Lets the lanes that ask for it work on the row's words one after another, lowest lane first.
    #[inline(always)]
    fn in_turn(
        &mut self,
        asked: bool,
        truncated_at: (u32, u32),
        mut work: impl FnMut(&mut Self, &mut WordReader<'a, F::Word>),
    ) {
        let mut waiting = self.group.ballot(asked);
        while self.group.any_in_step(waiting != 0) {
            let turn = self.group.lowest(waiting);
            let mut left = self.cursor;
            let mut underflowed = false;
            if turn == self.group.lane && waiting != 0 {
                let mut reader = self.reader(0);
                work(self, &mut reader);
                left = reader.len() as u32;
                underflowed = reader.underflowed();
            }
            if waiting != 0 {
                waiting &= waiting - 1;
            }
            // A row with nobody waiting keeps its cursor: all its lanes hold the same.
            let turn = turn & (self.group.lanes() - 1);
            self.cursor = self.group.broadcast(left, turn);
            if self.group.broadcast(u32::from(underflowed), turn) != 0 {
                let (position, when) = truncated_at;
                self.truncated.note(RowError::Truncated, position, when);
            }
        }
    }

    #[inline(always)]
    fn pop_digits(
        &mut self,
        popped: &mut Popped,
        position: u32,
        when: u32,
        reader: &mut WordReader<'a, F::Word>,
    ) {
        let mut state = self.state;
        match self.view.pop_raw::<F>(&mut state, *popped, reader) {
            Ok(symbol) => *popped = (symbol, None),
            Err(error) => {
                self.fault.note(error, position, when);
                *popped = SKIPPED;
            }
        }
        self.state = state;
    }

    /// The index of the symbol at a position; a skipping one where the lane has failed.
    #[inline(always)]
    fn index(&self, symbols: Option<&RowSymbols>, position: u32) -> i32 {
        match symbols.filter(|_| !self.fault.happened()) {
            // SAFETY: `position` is one of the row's.
            Some(symbols) => unsafe { symbols.index(position) },
            None => -1,
        }
    }

    #[inline(always)]
    fn store(&mut self, symbols: Option<&RowSymbols>, symbol: i32, position: u32, when: u32) {
        if let Some(symbols) = symbols {
            // SAFETY: `position` is one of the row's, and this lane's alone.
            if let Err(error) = unsafe { symbols.store(position, symbol) } {
                self.fault.note(error, position, when);
            }
        }
    }

    /// A full group of symbols.
    #[inline(always)]
    fn pop_group(&mut self, symbols: Option<&RowSymbols>, group: u32) {
        let lanes = self.group.lanes();
        let position = group * lanes + self.group.lane;
        let index = self.index(symbols, position);
        let mut popped = self.pop_symbols(index, position, 2 * group);
        let asked = popped.1.is_some();
        if self.view.tables.bypass.is_some() && self.group.any_in_step(asked) {
            self.in_turn(asked, (group * lanes, 2 * group + 1), |this, reader| {
                this.pop_digits(&mut popped, position, 2 * group + 1, reader);
            });
        }
        self.store(symbols, popped.0, position, 2 * group + 1);
    }

    /// All symbols of the row, first to last, as [`pop_row`](crate::codec::pop_row) orders them.
    ///
    /// Of the moments that errors are noted with, the even ones are for symbols, the odd ones for
    /// their digits.
    #[inline(always)]
    fn run<O: Ordinary<S, M, F, L>>(
        &mut self,
        symbols: Option<&RowSymbols>,
        count: u32,
        ordinary: &O,
    ) {
        let (lanes, lane) = (self.group.lanes(), self.group.lane);
        let (tail, groups) = (count & (lanes - 1), count >> lanes.trailing_zeros());
        let mut group = 0;
        if !O::ALL {
            // SAFETY: not an empty row.
            let table = unsafe { table_of_row(symbols.filter(|_| count > 0), &self.view.tables) };
            // All rows of the warp or none: they vote together.
            if !self.group.any_in_step(symbols.is_some() && table.is_none()) {
                let (number, table) = table.unwrap_or_default();
                self.run_in_table(symbols, number, &table, groups);
                group = groups;
            }
        }
        while group < groups {
            // A fault leaves the rest of its row to the general code, and rows of a warp go
            // together.
            let faulty = self.fault.happened() || self.truncated.happened();
            if let (Some(symbols), true) =
                (symbols, O::ALL && !self.group.any_in_step(symbols.is_none() || faulty))
            {
                group = ordinary.run(self, symbols, group, groups);
            }
            if group < groups {
                self.pop_group(symbols, group);
                group += 1;
            }
        }
        if tail != 0 {
            let position = groups * lanes + lane;
            let when = 2 * (groups + lane);
            let symbols = symbols.filter(|_| lane < tail);
            let index = self.index(symbols, position);
            let mut symbol = 0;
            // The scalar codec looks at the words only when the tail is done: after every other
            // error.
            let last = (groups * lanes, LaneFault::NEVER - 1);
            self.in_turn(lane < tail, last, |this, reader| {
                let mut state = this.state;
                match this.view.pop_one::<F>(&mut state, index, reader) {
                    Ok(mut popped) => {
                        this.state = state;
                        this.pop_digits(&mut popped, position, when + 1, reader);
                        symbol = popped.0;
                    }
                    Err(error) => this.fault.note(error, position, when),
                }
            });
            self.store(symbols, symbol, position, when + 1);
        }
    }

    /// The row's outcome, the same in all its lanes.
    #[inline(always)]
    fn outcome(&self) -> RowStatus {
        let (first, status) = self.fault.settle(&self.group);
        // Within a group of symbols, a lane's error comes before the check for words; see
        // `pop_row`.
        if first != LaneFault::NEVER && first / 2 <= self.truncated.when / 2 {
            status
        } else {
            self.truncated.status
        }
    }
}

/// Pops every symbol of the calling thread's lane.
///
/// # Safety
/// The memory is what [`abi`](crate::abi) says for a launch of this shape, and nothing else uses it
/// meanwhile.
#[inline(always)]
pub unsafe fn pop<S: Simt, M: Mapping, F: RansFamily, T: PopForm>(
    simt: S,
    launch: Launch,
    shape: &CodeShape,
) {
    // SAFETY: the caller's promise.
    unsafe { pop_with::<S, M, F, T, ()>(simt, launch, shape, ()) }
}

/// The same with something faster for ordinary groups.
///
/// # Safety
/// As [`pop`].
#[inline(always)]
pub(super) unsafe fn pop_with<S, M, F, T, O>(
    simt: S,
    launch: Launch,
    shape: &CodeShape,
    ordinary: O,
) where
    S: Simt,
    M: Mapping,
    F: RansFamily,
    T: PopForm,
    O: Ordinary<S, M, F, T::Lookup>,
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
    let good = group.ballot(!is_normalised::<F>(state)) == 0;
    let cursor = length.min(shape.word_stride);
    // SAFETY: the launch's tables are as long as its shape says; the row's words are written by
    // nobody, and those in use were written before.
    let (view, words) = unsafe {
        let intervals = core::slice::from_raw_parts(launch.entries.cast(), shape.entries as usize);
        let view = DecoderView {
            tables: tables_view(launch.tables, shape),
            lookup: T::lookup(intervals, launch.lookup, shape),
        };
        (view, core::slice::from_raw_parts(memory.words.cast_const(), cursor as usize))
    };
    let mut lane: Lane<_, _, F, _> = Lane {
        group,
        view,
        words,
        state: if good { state } else { F::LOWER_BOUND },
        cursor,
        truncated: LaneFault::NONE,
        fault: LaneFault::NONE,
    };
    lane.run(Some(&symbols).filter(|_| active && good), shape.symbols, &ordinary);
    // Before looking at `good`, in which rows of a warp differ: the outcome takes all threads.
    let outcome = lane.outcome();
    let status = if !good {
        RowStatus { code: RowError::StateOutOfRange as u32, position: 0 }
    } else if length > shape.word_stride {
        RowStatus { code: RowError::Truncated as u32, position: 0 }
    } else {
        outcome
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

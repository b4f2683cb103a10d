//! The pop kernel: one lane's part of a row, for every model.

use super::group::{Group, Mapping};
use super::lane_words::LaneFault;
use super::memory::{LaneMemory, Launch, RowSymbols, RowsMemory};
use super::simt::Simt;
use super::tables::{table_of_row, tables_view};
use crate::abi::{CodeShape, RowStatus};
use crate::codec::step::{advance, renormalise, slot, words_wanted};
use crate::codec::{
    AliasLookup, DecoderModel, DecoderView, Interval, InverseCdfLookup, RansFamily, RowError,
    SearchLookup, SymbolLookup, TableRow, Value, WordInt, WordReader,
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

/// What pops ordinary groups of symbols faster than the general code: full ones, without bypass
/// digits, skipped symbols or faults.
pub(super) trait Ordinary<S, M, F: RansFamily, D> {
    /// Whether it is asked before every group, or only before the first.
    const EVERY_GROUP: bool;
    /// Pops groups from `group` on, up to the first that is not ordinary or to `groups`, and gives
    /// where that is. A row that is not asked to be popped goes along with those of its warp; one
    /// that failed may become one that is not asked.
    fn run(
        &self,
        lane: &mut Lane<'_, S, M, F, D>,
        symbols: &mut RowSymbols,
        asked: &mut bool,
        group: u32,
        groups: u32,
    ) -> u32;
}

/// All groups are left to the general code.
impl<S, M, F: RansFamily, D> Ordinary<S, M, F, D> for () {
    const EVERY_GROUP: bool = true;

    #[inline(always)]
    fn run(
        &self,
        _: &mut Lane<'_, S, M, F, D>,
        _: &mut RowSymbols,
        _: &mut bool,
        group: u32,
        _: u32,
    ) -> u32 {
        group
    }
}

/// Rows that one table codes without bypass: no error but of words is possible.
pub(super) struct OneTable;

impl<S, M, F, L, I> Ordinary<S, M, F, TableRow<DecoderView<'_, L>, I>> for OneTable
where
    S: Simt,
    M: Mapping,
    F: RansFamily,
    L: SymbolLookup,
    I: Fn(usize) -> i32,
{
    const EVERY_GROUP: bool = false;

    #[inline(always)]
    fn run(
        &self,
        lane: &mut Lane<'_, S, M, F, TableRow<DecoderView<'_, L>, I>>,
        symbols: &mut RowSymbols,
        asked: &mut bool,
        mut group: u32,
        groups: u32,
    ) -> u32 {
        let DecoderView { tables, lookup } = lane.decoder.view;
        let asked = *asked;
        // SAFETY: a row with a group is not empty.
        let table = unsafe { table_of_row(symbols, &tables) };
        // All rows of the warp or none: they vote together.
        if lane.group.any_in_step(asked && table.is_none()) {
            return group;
        }
        let (number, table) = table.unwrap_or_default();
        let lanes = lane.group.lanes();
        while group < groups {
            let slot = slot::<F>(lane.state, tables.precision);
            let found = lookup.find(number, &table, slot, tables.precision);
            lane.state = advance::<F>(lane.state, tables.precision, found.freq, found.rank);
            lane.renormalise(group * lanes, 2 * group);
            let symbol = table.offset.wrapping_add_unsigned(found.symbol);
            lane.store(symbols, asked, symbol, group * lanes + lane.group.lane);
            group += 1;
        }
        groups
    }
}

/// Lets the lanes that ask for it read a row's words one after another, lowest lane first, and
/// gives whether there were enough.
#[inline(always)]
pub(super) fn in_turn<S: Simt, M: Mapping, W: WordInt>(
    group: &Group<S, M>,
    words: &[W],
    asked: bool,
    cursor: &mut u32,
    mut read: impl FnMut(&mut WordReader<'_, W>),
) -> bool {
    /// Beside the words left, which are fewer.
    const SHORT: u32 = 1 << 31;
    let mut waiting = group.ballot(asked);
    let mut enough = true;
    while group.any_in_step(waiting != 0) {
        let turn = group.lowest(waiting);
        let mut left = *cursor;
        if turn == group.lane && waiting != 0 {
            let mut reader = WordReader::new(words.get(..left as usize).unwrap_or_default());
            read(&mut reader);
            left = reader.len() as u32 | if reader.underflowed() { SHORT } else { 0 };
        }
        if waiting != 0 {
            waiting &= waiting - 1;
        }
        // A row with nobody waiting keeps its cursor: all its lanes hold the same.
        let left = group.broadcast(left, turn & (group.lanes() - 1));
        enough &= left & SHORT == 0;
        *cursor = left & !SHORT;
    }
    enough
}

/// One lane's part of a row being popped.
pub(super) struct Lane<'a, S, M, F: RansFamily, D> {
    pub(super) group: Group<S, M>,
    /// The number of the row in memory that the lane reads and writes.
    pub(super) number: u32,
    pub(super) decoder: D,
    pub(super) words: &'a [F::Word],
    pub(super) state: F::State,
    /// Words left: the same in all lanes of the row.
    pub(super) cursor: u32,
    /// When the row first ran out of words, and where it then was.
    truncated: LaneFault,
    fault: LaneFault,
    /// The first symbol that its type does not hold, or `NEVER`: noticed once the row is whole, as
    /// the host narrows.
    too_wide: u32,
}

impl<'a, S: Simt, M: Mapping, F: RansFamily, D: DecoderModel<F>> Lane<'a, S, M, F, D> {
    /// The words that are left once the lanes before have taken theirs.
    #[inline(always)]
    fn reader(&self, taken_before: u32) -> WordReader<'a, F::Word> {
        let left = self.cursor.saturating_sub(taken_before) as usize;
        WordReader::new(self.words.get(..left).unwrap_or_default())
    }

    /// Whether the main loop may code the lane: a fault leaves the rest of its row to the general
    /// code.
    #[inline(always)]
    pub(super) fn is_sound(&self, asked: bool) -> bool {
        asked && !self.fault.happened() && !self.truncated.happened()
    }

    /// Takes the symbol at a position out of the state, which then wants its words. A lane that
    /// failed takes nothing.
    #[inline(always)]
    fn take(&mut self, asked: bool, position: u32, when: u32) -> Value {
        if !asked || self.fault.happened() {
            return Value::SKIPPED;
        }
        self.decoder.take(position as usize, &mut self.state).unwrap_or_else(|error| {
            self.fault.note(error, position, when);
            Value::SKIPPED
        })
    }

    /// Brings every lane's state back into its interval, lowest lane first.
    #[inline(always)]
    fn renormalise(&mut self, group_at: u32, when: u32) {
        let wanted = words_wanted::<F>(self.state);
        let (before, total) = self.group.sums(wanted, F::WORDS_BITS, self.group.before);
        self.state = renormalise::<F>(self.state, &mut self.reader(before));
        if total > self.cursor {
            self.truncated.note(RowError::Truncated, group_at, when);
        }
        self.cursor = self.cursor.saturating_sub(total);
    }

    /// Lets the lanes that ask for it read their words in turn: an escape's digits, and in the tail
    /// a symbol's words before them. Gives each lane its symbol.
    #[inline(always)]
    fn in_turn(
        &mut self,
        asked: bool,
        in_tail: bool,
        value: Value,
        (position, when): (u32, u32),
        truncated_at: (u32, u32),
    ) -> i32 {
        let mut symbol = 0;
        let (words, decoder) = (self.words, &self.decoder);
        let (state, fault) = (&mut self.state, &mut self.fault);
        let enough = in_turn(&self.group, words, asked, &mut self.cursor, |reader| {
            if in_tail {
                *state = renormalise::<F>(*state, reader);
            }
            match decoder.pop_raw(value, state, reader) {
                Ok(popped) => symbol = popped,
                Err(error) => fault.note(error, position, when),
            }
        });
        if !enough {
            let (position, when) = truncated_at;
            self.truncated.note(RowError::Truncated, position, when);
        }
        symbol
    }

    #[inline(always)]
    fn store(&mut self, symbols: &RowSymbols, asked: bool, symbol: i32, position: u32) {
        // SAFETY: `position` is one of the row's, and this lane's alone.
        if asked && unsafe { symbols.store(position, symbol) }.is_err() {
            self.too_wide = self.too_wide.min(position);
        }
    }

    /// All symbols of the row, first to last, as [`pop_row`](crate::codec::pop_row) orders them.
    /// The symbols past the last full group go through the same turn of the loop as the others, as
    /// a push's do.
    ///
    /// Of the moments that errors are noted with, the even ones are for symbols, the odd ones for
    /// their digits.
    #[inline(always)]
    fn run<O: Ordinary<S, M, F, D>>(
        &mut self,
        mut symbols: RowSymbols,
        mut asked: bool,
        count: u32,
        ordinary: &O,
    ) {
        let (lanes, lane) = (self.group.lanes(), self.group.lane);
        let (tail, groups) = (count & (lanes - 1), count >> lanes.trailing_zeros());
        let turns = groups + u32::from(tail != 0);
        let mut group = 0;
        if !O::EVERY_GROUP && groups > 0 {
            group = ordinary.run(self, &mut symbols, &mut asked, group, groups);
        }
        while group < turns {
            if group < groups && O::EVERY_GROUP {
                group = ordinary.run(self, &mut symbols, &mut asked, group, groups);
                if group == turns {
                    break;
                }
            }
            let in_tail = group == groups;
            let asked = asked && (!in_tail || lane < tail);
            let group_at = group * lanes;
            let position = group_at + lane;
            let when = 2 * (if in_tail { group + lane } else { group });
            let value = self.take(asked, position, when);
            let mut symbol = if let Value::Symbol(symbol) = value { symbol } else { 0 };
            if !in_tail {
                self.renormalise(group_at, when);
            }
            if in_tail || self.group.any_in_step(value.is_escape()) {
                // The scalar codec looks at the words only when the tail is done: after every other
                // error.
                let checked = if in_tail { LaneFault::NEVER - 1 } else { when + 1 };
                let waits = if in_tail { asked } else { value.is_escape() };
                let popped =
                    self.in_turn(waits, in_tail, value, (position, when + 1), (group_at, checked));
                if waits {
                    symbol = popped;
                }
            }
            self.store(&symbols, asked, symbol, position);
            group += 1;
        }
    }

    /// The row's outcome, the same in all its lanes.
    #[inline(always)]
    fn outcome(&self) -> RowStatus {
        let (first, status) = self.fault.settle(&self.group);
        let too_wide = self.group.min(self.too_wide);
        // Within a group of symbols, a lane's error comes before the check for words; see
        // `pop_row`.
        if first != LaneFault::NEVER && first / 2 <= self.truncated.when / 2 {
            status
        } else if self.truncated.happened() || too_wide == LaneFault::NEVER {
            self.truncated.status
        } else {
            RowStatus { code: RowError::SymbolWidth as u32, position: too_wide }
        }
    }
}

/// Pops every symbol of the calling thread's lane by tables.
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
    unsafe {
        let view = decoder_view::<T>(launch, shape);
        pop_row::<S, M, F, _, _>(simt, launch.rows, shape, OneTable, |symbols, _| TableRow {
            view,
            index: symbols.indexes_of_row(),
        });
    }
}

/// What the codec decodes with.
///
/// # Safety
/// As [`pop`].
#[inline(always)]
pub(super) unsafe fn decoder_view<T: PopForm>(
    launch: Launch,
    shape: &CodeShape,
) -> DecoderView<'static, T::Lookup> {
    // SAFETY: the launch's tables are as long as its shape says.
    unsafe {
        let intervals = core::slice::from_raw_parts(launch.entries.cast(), shape.entries as usize);
        DecoderView {
            tables: tables_view(launch.tables, shape),
            lookup: T::lookup(intervals, launch.lookup, shape),
        }
    }
}

/// Pops every symbol of the calling thread's lane; `decoder` makes the row's models.
///
/// # Safety
/// As [`pop`].
#[inline(always)]
pub(super) unsafe fn pop_row<S, M, F, D, O>(
    simt: S,
    rows: RowsMemory,
    shape: &CodeShape,
    ordinary: O,
    decoder: impl FnOnce(RowSymbols, u32) -> D,
) where
    S: Simt,
    M: Mapping,
    F: RansFamily,
    D: DecoderModel<F>,
    O: Ordinary<S, M, F, D>,
{
    let (group, row) = Group::<S, M>::new(simt, shape.lanes);
    if !group.any_in_step(row < shape.rows) {
        return;
    }
    // SAFETY: the caller's promise.
    let row = unsafe { LaneMemory::<S, M, F>::load(group, row, rows, shape) };
    let cursor = row.length.min(shape.word_stride);
    let mut lane: Lane<'_, _, _, F, _> = Lane {
        group: row.group,
        number: row.number,
        decoder: decoder(row.symbols, row.number),
        // SAFETY: nobody writes the row's words, and those in use were written before.
        words: unsafe { core::slice::from_raw_parts(row.words.cast_const(), cursor as usize) },
        state: row.state,
        cursor,
        truncated: LaneFault::NONE,
        fault: LaneFault::NONE,
        too_wide: LaneFault::NEVER,
    };
    lane.run(row.symbols, row.is_coded(), shape.symbols, &ordinary);
    // Before looking at the row's soundness, in which rows of a warp differ: the outcome takes all
    // threads.
    let mut outcome = lane.outcome();
    if row.length > shape.word_stride {
        outcome = RowStatus { code: RowError::Truncated as u32, position: 0 };
    }
    // SAFETY: the caller's promise.
    unsafe { row.store(rows, shape, lane.state, lane.cursor, outcome, 0) };
}

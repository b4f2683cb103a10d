//! The push kernel: one lane's part of a row, for every model.

use super::group::{Group, Mapping};
use super::lane_words::{DIGIT_WORDS_BITS, HeldWords, LaneFault, LaneWords, WordCount};
use super::memory::{LaneMemory, Launch, RowSymbols, RowsMemory};
use super::simt::Simt;
use super::tables::{table_of_row, tables_view};
use crate::abi::{CodeShape, RowStatus};
use crate::codec::{
    AliasPlacement, DirectPlacement, EncoderModel, EncoderView, Placement, RansFamily, RowError,
    TableRow, WordSink,
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

/// What pushes ordinary groups of symbols faster than the general code: full ones, without bypass
/// digits, skipped symbols or faults.
pub(super) trait Ordinary<S, M, F: RansFamily, E> {
    /// Whether it is asked before every group, or only before the first.
    const EVERY_GROUP: bool;
    /// Pushes groups from the one before `group` down, to the first that is not ordinary, and gives
    /// how many are left. A row that is not asked to be pushed goes along with those of its warp;
    /// one that failed may become one that is not asked.
    fn run(
        &self,
        lane: &mut Lane<S, M, F, E>,
        symbols: &mut RowSymbols,
        asked: &mut bool,
        group: u32,
    ) -> u32;
}

/// All groups are left to the general code.
impl<S, M, F: RansFamily, E> Ordinary<S, M, F, E> for () {
    const EVERY_GROUP: bool = true;

    #[inline(always)]
    fn run(&self, _: &mut Lane<S, M, F, E>, _: &mut RowSymbols, _: &mut bool, group: u32) -> u32 {
        group
    }
}

/// Rows that one table codes without bypass: the table is looked up once.
pub(super) struct OneTable;

impl<S, M, F, P, I> Ordinary<S, M, F, TableRow<EncoderView<'_, F, P>, I>> for OneTable
where
    S: Simt,
    M: Mapping,
    F: RansFamily,
    P: Placement,
    I: Fn(usize) -> i32,
{
    const EVERY_GROUP: bool = false;

    #[inline(always)]
    fn run(
        &self,
        lane: &mut Lane<S, M, F, TableRow<EncoderView<'_, F, P>, I>>,
        symbols: &mut RowSymbols,
        asked: &mut bool,
        mut group: u32,
    ) -> u32 {
        let asked = *asked;
        // SAFETY: a row with a group is not empty.
        let table = unsafe { table_of_row(symbols, &lane.encoder.view.tables) };
        // All rows of the warp or none: they vote together.
        if lane.group.any_in_step(asked && table.is_none()) {
            return group;
        }
        let (number, table) = table.unwrap_or_default();
        let (groups, lanes) = (group, lane.group.lanes());
        while group > 0 {
            group -= 1;
            let position = group * lanes + lane.group.lane;
            let ready = lane.ready_by(
                symbols,
                asked,
                position,
                lanes + (groups - 1 - group),
                |encoder, symbol| encoder.view.ready_in(number, &table, symbol),
            );
            lane.push_symbols(&ready);
        }
        0
    }
}

/// One lane's part of a row being pushed.
pub(super) struct Lane<S, M, F: RansFamily, E> {
    pub(super) group: Group<S, M>,
    /// The number of the row in memory that the lane reads and writes.
    pub(super) number: u32,
    pub(super) encoder: E,
    pub(super) words: *mut F::Word,
    pub(super) capacity: u32,
    pub(super) state: F::State,
    /// Words in use: the same in all lanes of the row.
    pub(super) cursor: u32,
    overflowed: bool,
    fault: LaneFault,
}

impl<S: Simt, M: Mapping, F: RansFamily, E: EncoderModel<F>> Lane<S, M, F, E> {
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

    /// Whether the main loop may code the lane: a fault leaves the rest of its row to the general
    /// code, which skips it.
    #[inline(always)]
    pub(super) fn is_sound(&self, asked: bool) -> bool {
        asked && !self.fault.happened()
    }

    /// Whether a row of the warp is short of capacity: what else may be wrong with its symbols
    /// comes first, so the general code goes on with all of them.
    #[inline(always)]
    pub(super) fn any_overflowed(&self) -> bool {
        self.group.any_in_step(self.overflowed)
    }

    /// Pushes the symbols of a group, highest lane first.
    #[inline(always)]
    fn push_symbols(&mut self, ready: &E::Ready) {
        let mut held = HeldWords::default();
        self.state = self.encoder.push(self.state, ready, &mut held);
        let (before, total) = self.group.sums(held.count, F::WORDS_BITS, self.group.after);
        held.release::<F>(&mut self.writer(before));
        self.advance(total);
    }

    /// Pushes bypass digits, and the symbols too where asked, highest lane first. Each lane codes
    /// twice: first to count its words, then to write them.
    #[inline(always)]
    fn push_digits(&mut self, ready: &E::Ready, with_symbol: bool) {
        let mut count = WordCount::default();
        self.code(ready, with_symbol, &mut count);
        let (before, total) = self.group.sums(count.0, DIGIT_WORDS_BITS, self.group.after);
        self.state = self.code(ready, with_symbol, &mut self.writer(before));
        self.advance(total);
    }

    #[inline(always)]
    fn code(
        &self,
        ready: &E::Ready,
        with_symbol: bool,
        sink: &mut impl WordSink<F::Word>,
    ) -> F::State {
        let state = self.encoder.push_raw(self.state, ready, sink);
        if with_symbol { self.encoder.push(state, ready, sink) } else { state }
    }

    /// The symbol at a position, made ready by `find`; a skipped one where the lane has failed.
    #[inline(always)]
    fn ready_by(
        &mut self,
        symbols: &RowSymbols,
        asked: bool,
        position: u32,
        when: u32,
        find: impl FnOnce(&E, i32) -> Result<E::Ready, RowError>,
    ) -> E::Ready {
        if !asked || self.fault.happened() {
            return E::Ready::default();
        }
        // SAFETY: `position` is one of the row's.
        let symbol = unsafe { symbols.load(position) };
        find(&self.encoder, symbol).unwrap_or_else(|error| {
            self.fault.note(error, position, when);
            E::Ready::default()
        })
    }

    /// A group of symbols, or the symbols past the last full group.
    #[inline(always)]
    fn turn(&mut self, symbols: &RowSymbols, asked: bool, in_tail: bool, count: u32, group: u32) {
        let (lanes, lane) = (self.group.lanes(), self.group.lane);
        let (tail, groups) = (count & (lanes - 1), count >> lanes.trailing_zeros());
        let (asked, when) = if in_tail {
            (asked && lane < tail, tail.wrapping_sub(1 + lane))
        } else {
            (asked, lanes + (groups - 1 - group))
        };
        let position = group * lanes + lane;
        let ready = self.ready_by(symbols, asked, position, when, |encoder, symbol| {
            encoder.ready(position as usize, symbol)
        });
        let digits = self.encoder.bypass().is_some();
        if in_tail || (digits && self.group.any_in_step(E::raw(&ready).is_some())) {
            self.push_digits(&ready, in_tail);
        }
        if !in_tail {
            self.push_symbols(&ready);
        }
    }

    /// All symbols of the row, last first, as [`push_row`](crate::codec::push_row) orders them.
    ///
    /// A model can be so much code that it should be there once per kernel: the symbols past the
    /// last full group go through the same turn of the loop as the others, distinguished by a flag
    /// that all rows share.
    #[inline(always)]
    fn run<O: Ordinary<S, M, F, E>>(
        &mut self,
        mut symbols: RowSymbols,
        mut asked: bool,
        count: u32,
        ordinary: &O,
    ) {
        let lanes = self.group.lanes();
        let mut left = count >> lanes.trailing_zeros();
        let mut in_tail = count & (lanes - 1) != 0;
        if !O::EVERY_GROUP {
            if in_tail {
                self.turn(&symbols, asked, true, count, left);
                in_tail = false;
            }
            if left > 0 {
                left = ordinary.run(self, &mut symbols, &mut asked, left);
            }
        }
        left += u32::from(in_tail);
        while left > 0 {
            if O::EVERY_GROUP && !in_tail {
                left = ordinary.run(self, &mut symbols, &mut asked, left);
                if left == 0 {
                    break;
                }
            }
            left -= 1;
            self.turn(&symbols, asked, in_tail, count, left);
            in_tail = false;
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

/// Pushes every symbol of the calling thread's lane by tables.
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
    // SAFETY: the caller's promise; the launch's tables are as long as its shape says.
    unsafe {
        let view = encoder_view::<F, T>(launch, shape);
        push_row::<S, M, F, _, _>(simt, launch.rows, shape, OneTable, |symbols, _| TableRow {
            view,
            index: symbols.indexes_of_row(),
        });
    }
}

/// What the codec encodes with.
///
/// # Safety
/// As [`push`].
#[inline(always)]
pub(super) unsafe fn encoder_view<F: RansFamily, T: PushForm>(
    launch: Launch,
    shape: &CodeShape,
) -> EncoderView<'static, F, T::Placement> {
    // SAFETY: the launch's tables are as long as its shape says.
    unsafe {
        EncoderView {
            tables: tables_view(launch.tables, shape),
            entries: core::slice::from_raw_parts(launch.entries.cast(), shape.entries as usize),
            placement: T::placement(launch.lookup, shape),
        }
    }
}

/// Pushes every symbol of the calling thread's lane; `encoder` makes the row's models.
///
/// # Safety
/// As [`push`].
#[inline(always)]
pub(super) unsafe fn push_row<S, M, F, E, O>(
    simt: S,
    rows: RowsMemory,
    shape: &CodeShape,
    ordinary: O,
    encoder: impl FnOnce(RowSymbols, u32) -> E,
) where
    S: Simt,
    M: Mapping,
    F: RansFamily,
    E: EncoderModel<F>,
    O: Ordinary<S, M, F, E>,
{
    let (group, row) = Group::<S, M>::new(simt, shape.lanes);
    if !group.any_in_step(row < shape.rows) {
        return;
    }
    // SAFETY: the caller's promise.
    let row = unsafe { LaneMemory::<S, M, F>::load(group, row, rows, shape) };
    let mut lane: Lane<_, _, F, _> = Lane {
        group: row.group,
        number: row.number,
        encoder: encoder(row.symbols, row.number),
        words: row.words,
        capacity: shape.word_stride,
        state: row.state,
        cursor: row.length.min(shape.word_stride),
        overflowed: row.length > shape.word_stride,
        fault: LaneFault::NONE,
    };
    lane.run(row.symbols, row.is_coded(), shape.symbols, &ordinary);
    // Before looking at `sound`, in which rows of a warp differ: the outcome takes all threads.
    let outcome = lane.outcome();
    // SAFETY: the caller's promise.
    unsafe { row.store(rows, shape, lane.state, lane.cursor, outcome, shape.symbols) };
}

//! The push kernel of models.

use super::{ModelForm, ModelMemory, symbol_words_bits};
use crate::abi::{ModelShape, RowStatus};
use crate::codec::step::{is_normalised, push_symbol};
use crate::codec::{
    BypassCode, DirectPlacement, EncoderEntry, Interval, RansFamily, RowError, WordSink,
};
use crate::device::group::{Group, Mapping};
use crate::device::memory::{
    HeldWords, LaneFault, LaneWords, RowMemory, RowSymbols, RowsMemory, WordCount,
};
use crate::device::simt::Simt;
use crate::model::{Located, RowModel};

/// Bits that hold how many words a symbol with its digits emits: see the push kernel of tables,
/// whose digits they are.
const DIGIT_WORDS_BITS: u32 = 4;

/// A symbol made ready to push. Plain fields: options of options and of references end up in local
/// memory.
struct Ready {
    /// Its slots; nothing to code where the frequency is 0: past the row's end, or after an error.
    interval: Interval,
    /// Whether it has digits.
    escaped: bool,
    /// What they hold.
    raw: u32,
}

/// One lane's part of a row being pushed.
struct Lane<S, M, F: RansFamily, R> {
    group: Group<S, M>,
    model: R,
    precision: u32,
    bypass: Option<BypassCode>,
    words: *mut F::Word,
    capacity: u32,
    state: F::State,
    /// Words in use: the same in all lanes of the row.
    cursor: u32,
    overflowed: bool,
    fault: LaneFault,
}

impl<S: Simt, M: Mapping, F: RansFamily, R: RowModel> Lane<S, M, F, R> {
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

    #[inline(always)]
    fn push_symbol(
        &self,
        state: F::State,
        entry: &EncoderEntry<F>,
        sink: &mut impl WordSink<F::Word>,
    ) -> F::State {
        if entry.freq != 0 {
            push_symbol(state, entry, 0, &DirectPlacement, self.precision, sink)
        } else {
            state
        }
    }

    /// The digits, and the symbol too where asked.
    #[inline(always)]
    fn code(
        &self,
        ready: &Ready,
        entry: &EncoderEntry<F>,
        with_symbol: bool,
        sink: &mut impl WordSink<F::Word>,
    ) -> F::State {
        let state = match self.bypass {
            Some(bypass) if ready.escaped => bypass.push::<F>(self.state, ready.raw, sink),
            _ => self.state,
        };
        if with_symbol { self.push_symbol(state, entry, sink) } else { state }
    }

    /// Pushes the symbols of a group, highest lane first.
    #[inline(always)]
    fn push_symbols(&mut self, entry: &EncoderEntry<F>) {
        let mut held = HeldWords::default();
        self.state = self.push_symbol(self.state, entry, &mut held);
        let bits = const { symbol_words_bits::<F>() };
        let (before, total) = self.group.sums(held.count, bits, self.group.after);
        held.release::<F>(&mut self.writer(before));
        self.advance(total);
    }

    /// Pushes digits, and the symbols too where asked, highest lane first. Each lane codes twice:
    /// first to count its words, then to write them.
    #[inline(always)]
    fn push_digits(&mut self, ready: &Ready, entry: &EncoderEntry<F>, with_symbol: bool) {
        let mut count = WordCount::default();
        self.code(ready, entry, with_symbol, &mut count);
        let (before, total) = self.group.sums(count.0, DIGIT_WORDS_BITS, self.group.after);
        self.state = self.code(ready, entry, with_symbol, &mut self.writer(before));
        self.advance(total);
    }

    /// The slots of the symbol at a position, if it is to be coded. Errors of the model are noted
    /// at `when`, an escape without digits at `escape_when`.
    #[inline(always)]
    fn locate(
        &mut self,
        symbols: RowSymbols,
        asked: bool,
        position: u32,
        when: u32,
        escape_when: u32,
    ) -> Ready {
        let mut ready = Ready { interval: Interval { start: 0, freq: 0 }, escaped: false, raw: 0 };
        if !asked || self.fault.happened() {
            return ready;
        }
        // SAFETY: `position` is one of the row's.
        let symbol = unsafe { symbols.load(position) };
        match self.model.locate(position as usize, symbol) {
            Err(error) => self.fault.note(error, position, when),
            Ok(Located { interval, escape: None }) => ready.interval = interval,
            Ok(_) if self.bypass.is_none() => {
                self.fault.note(RowError::SymbolOutOfRange, position, escape_when);
            }
            Ok(Located { interval, escape: Some(raw) }) => {
                ready = Ready { interval, escaped: true, raw }
            }
        }
        ready
    }

    /// All symbols of the row, last first, as [`push_model_row`](crate::model::push_model_row)
    /// orders them: the symbols past the last full group each with its digits before it, then group
    /// by group all digits before all symbols.
    ///
    /// Errors are noted with the moment at which that function meets them: of a group, first those
    /// of models, lowest lane first, then escapes without digits, highest lane first.
    #[inline(always)]
    fn run(&mut self, symbols: RowSymbols, asked: bool, count: u32) {
        let (lanes, lane) = (self.group.lanes(), self.group.lane);
        let (tail, groups) = (count & (lanes - 1), count >> lanes.trailing_zeros());
        let mut in_tail = tail != 0;
        let mut left = groups + u32::from(in_tail);
        let mut when = if in_tail { 0 } else { lanes };
        while left > 0 {
            left -= 1;
            let asked = asked && (!in_tail || lane < tail);
            let from_last = (if in_tail { tail } else { lanes }).wrapping_sub(1 + lane);
            let model_when = if in_tail { when + from_last } else { when };
            let escape_when = if in_tail { model_when } else { when + 1 + from_last };
            let ready = self.locate(symbols, asked, left * lanes + lane, model_when, escape_when);
            // The reciprocal is used once: there is no table to keep it in.
            let entry = EncoderEntry::new(ready.interval);
            if in_tail || self.group.any_in_step(ready.escaped) {
                self.push_digits(&ready, &entry, in_tail);
            }
            if in_tail {
                when = lanes;
            } else {
                self.push_symbols(&entry);
                when += lanes + 1;
            }
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

/// Pushes every symbol of the calling thread's lane.
///
/// # Safety
/// The memory is what [`abi`](crate::abi) says for a launch of this shape, and nothing else uses it
/// meanwhile.
#[inline(always)]
pub unsafe fn push<S: Simt, M: Mapping, F: RansFamily, T: ModelForm>(
    simt: S,
    rows: RowsMemory,
    models: ModelMemory<T::Parameter>,
    shape: &ModelShape,
) {
    let code = &shape.code;
    let (group, row) = Group::<S, M>::new(simt, code.lanes);
    // Threads past the last row work on, on no symbols, as long as a row of their warp does.
    let active = row < code.rows;
    if !group.any_in_step(active) {
        return;
    }
    let row = if active { row } else { 0 };
    // SAFETY: `row < rows`.
    let (memory, symbols, model): (RowMemory<F>, _, _) = unsafe {
        let memory = rows.lane(code, row, group.lanes(), group.lane);
        (memory, rows.row(code, row), T::row(models, shape, row))
    };
    let (state, length) = if active {
        // SAFETY: this lane's state and this row's length.
        unsafe { (*memory.state, *memory.length) }
    } else {
        (F::LOWER_BOUND, 0)
    };
    let good = group.ballot(!is_normalised::<F>(state)) == 0;
    let mut lane: Lane<_, _, F, _> = Lane {
        group,
        model,
        precision: code.precision,
        bypass: BypassCode::new(code.bypass_bits),
        words: memory.words,
        capacity: code.word_stride,
        state: if good { state } else { F::LOWER_BOUND },
        cursor: length.min(code.word_stride),
        overflowed: length > code.word_stride,
        fault: LaneFault::NONE,
    };
    lane.run(symbols, active && good, code.symbols);
    // Before looking at `good`, in which rows of a warp differ: the outcome takes all threads.
    let outcome = lane.outcome();
    let status = if good {
        outcome
    } else {
        RowStatus { code: RowError::StateOutOfRange as u32, position: code.symbols }
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

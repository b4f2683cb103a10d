//! The pop kernel of models.

use super::{ModelForm, ModelMemory, symbol_words_bits};
use crate::abi::{ModelShape, RowStatus};
use crate::codec::step::{advance, is_normalised, renormalise, slot, words_wanted};
use crate::codec::{BypassCode, RansFamily, RowError, WordReader};
use crate::device::group::{Group, Mapping};
use crate::device::memory::{LaneFault, RowMemory, RowSymbols, RowsMemory};
use crate::device::simt::Simt;
use crate::model::{RowModel, Value};

/// One lane's part of a row being popped.
struct Lane<'a, S, M, F: RansFamily, R> {
    group: Group<S, M>,
    model: R,
    precision: u32,
    bypass: Option<BypassCode>,
    words: &'a [F::Word],
    state: F::State,
    /// Words left: the same in all lanes of the row.
    cursor: u32,
    /// When the row first ran out of words, and where it then was.
    truncated: LaneFault,
    fault: LaneFault,
    /// The first symbol that its type does not hold: noticed once the row is whole, as the host
    /// narrows.
    too_wide: LaneFault,
}

impl<'a, S: Simt, M: Mapping, F: RansFamily, R: RowModel> Lane<'a, S, M, F, R> {
    /// The words that are left once the lanes before have taken theirs.
    #[inline(always)]
    fn reader(&self, taken_before: u32) -> WordReader<'a, F::Word> {
        let left = self.cursor.saturating_sub(taken_before) as usize;
        WordReader::new(self.words.get(..left).unwrap_or_default())
    }

    /// Takes the symbol at a position out of the state, which then wants its words. A lane that
    /// failed takes nothing.
    #[inline(always)]
    fn find(&mut self, asked: bool, position: u32, when: u32) -> Value {
        if !asked || self.fault.happened() {
            return Value::Symbol(0);
        }
        let slot = slot::<F>(self.state, self.precision);
        match self.model.find(position as usize, slot) {
            Ok(found) => {
                let rank = slot.wrapping_sub(found.interval.start);
                self.state = advance::<F>(self.state, self.precision, found.interval.freq, rank);
                found.value
            }
            Err(error) => {
                self.fault.note(error, position, when);
                Value::Symbol(0)
            }
        }
    }

    /// Brings every lane's state back into its interval, lowest lane first.
    #[inline(always)]
    fn renormalise(&mut self, group_at: u32, when: u32) {
        let bits = const { symbol_words_bits::<F>() };
        let wanted = words_wanted::<F>(self.state);
        let (before, total) = self.group.sums(wanted, bits, self.group.before);
        self.state = renormalise::<F>(self.state, &mut self.reader(before));
        if total > self.cursor {
            self.truncated.note(RowError::Truncated, group_at, when);
        }
        self.cursor = self.cursor.saturating_sub(total);
    }

    /// The symbol, with the digits of an escape; 0 after an error.
    #[inline(always)]
    fn finish(
        &mut self,
        value: Value,
        position: u32,
        when: u32,
        words: &mut WordReader<'a, F::Word>,
    ) -> i32 {
        if let Value::Symbol(symbol) = value {
            return symbol;
        }
        let symbol = match self.bypass {
            None => Err(RowError::BypassDigits),
            Some(bypass) => bypass.pop::<F>(self.state, words).and_then(|(next, raw)| {
                self.state = next;
                value.symbol(raw).ok_or(RowError::BypassDigits)
            }),
        };
        symbol.unwrap_or_else(|error| {
            self.fault.note(error, position, when);
            0
        })
    }

    /// Lets the lanes that ask for it read the row's words one after another, lowest lane first: an
    /// escape's digits, and in the tail a symbol's words before them. Gives each lane its symbol.
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
        let mut waiting = self.group.ballot(asked);
        while self.group.any_in_step(waiting != 0) {
            let turn = self.group.lowest(waiting);
            let mut left = self.cursor;
            let mut underflowed = false;
            if turn == self.group.lane && waiting != 0 {
                let mut reader = self.reader(0);
                if in_tail {
                    self.state = renormalise::<F>(self.state, &mut reader);
                }
                symbol = self.finish(value, position, when, &mut reader);
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
        symbol
    }

    /// All symbols of the row, first to last, as [`pop_model_row`](crate::model::pop_model_row)
    /// orders them.
    ///
    /// Of the moments that errors are noted with, the even ones are for symbols, the odd ones for
    /// their digits.
    #[inline(always)]
    fn run(&mut self, symbols: RowSymbols, asked: bool, count: u32) {
        let (lanes, lane) = (self.group.lanes(), self.group.lane);
        let (tail, groups) = (count & (lanes - 1), count >> lanes.trailing_zeros());
        let turns = groups + u32::from(tail != 0);
        let mut group = 0;
        while group < turns {
            let in_tail = group == groups;
            let here = asked && (!in_tail || lane < tail);
            let group_at = group * lanes;
            let position = group_at + lane;
            let when = 2 * (if in_tail { group + lane } else { group });
            let value = self.find(here, position, when);
            let mut symbol = if let Value::Symbol(symbol) = value { symbol } else { 0 };
            let escaped = !matches!(value, Value::Symbol(_));
            if !in_tail {
                self.renormalise(group_at, when);
            }
            if in_tail || self.group.any_in_step(escaped) {
                // The scalar codec looks at the words only when the tail is done: after every other
                // error.
                let checked = if in_tail { LaneFault::NEVER - 1 } else { when + 1 };
                let waits = if in_tail { here } else { escaped };
                let popped =
                    self.in_turn(waits, in_tail, value, (position, when + 1), (group_at, checked));
                if waits {
                    symbol = popped;
                }
            }
            if here {
                // SAFETY: `position` is one of the row's, and this lane's alone.
                if let Err(error) = unsafe { symbols.store(position, symbol) } {
                    self.too_wide.note(error, position, position);
                }
            }
            group += 1;
        }
    }

    /// The row's outcome, the same in all its lanes.
    #[inline(always)]
    fn outcome(&self) -> RowStatus {
        let (first, status) = self.fault.settle(&self.group);
        let (_, too_wide) = self.too_wide.settle(&self.group);
        // Within a group of symbols, a lane's error comes before the check for words; see
        // `pop_model_row`.
        if first != LaneFault::NEVER && first / 2 <= self.truncated.when / 2 {
            status
        } else if self.truncated.happened() {
            self.truncated.status
        } else {
            too_wide
        }
    }
}

/// Pops every symbol of the calling thread's lane.
///
/// # Safety
/// The memory is what [`abi`](crate::abi) says for a launch of this shape, and nothing else uses it
/// meanwhile.
#[inline(always)]
pub unsafe fn pop<S: Simt, M: Mapping, F: RansFamily, T: ModelForm>(
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
    let cursor = length.min(code.word_stride);
    let mut lane: Lane<'_, _, _, F, _> = Lane {
        group,
        model,
        precision: code.precision,
        bypass: BypassCode::new(code.bypass_bits),
        // SAFETY: nobody writes the row's words, and those in use were written before.
        words: unsafe { core::slice::from_raw_parts(memory.words.cast_const(), cursor as usize) },
        state: if good { state } else { F::LOWER_BOUND },
        cursor,
        truncated: LaneFault::NONE,
        fault: LaneFault::NONE,
        too_wide: LaneFault::NONE,
    };
    lane.run(symbols, active && good, code.symbols);
    // Before looking at `good`, in which rows of a warp differ: the outcome takes all threads.
    let outcome = lane.outcome();
    let status = if !good {
        RowStatus { code: RowError::StateOutOfRange as u32, position: 0 }
    } else if length > code.word_stride {
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

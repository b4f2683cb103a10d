//! Whole rows: the order in which symbols, lanes and bypass digits are pushed and popped.
//!
//! Symbol i belongs to lane `i mod LANES`. Push runs from the last symbol to the first: the symbols
//! past the last full group one at a time, each one's bypass digits first, then group by group: the
//! digits of all lanes from the highest lane down, then the symbols of all lanes from the highest
//! down. Pop mirrors it. A negative index skips its symbol, and pop gives 0 there.

use super::bypass::BypassCode;
use super::entry::{EncoderEntry, TableDescriptor};
use super::error::{RowError, RowFault};
use super::family::RansFamily;
use super::lookup::{Placement, SymbolLookup};
use super::step;
use super::words::{WordReader, WordSink, WordSource, WordWriter};

/// Which table codes each symbol of a row.
#[derive(Clone, Copy, Debug)]
pub enum RowIndexes<'a> {
    /// The same table for every symbol.
    One(i32),
    /// An index a symbol.
    Each(&'a [i32]),
    /// An index a symbol, in 16 bits.
    EachU16(&'a [u16]),
    /// An index a symbol, in 8 bits.
    EachU8(&'a [u8]),
}

impl RowIndexes<'_> {
    /// The index of the symbol at a position; -1 (skip) past the end.
    #[inline(always)]
    pub fn at(&self, position: usize) -> i32 {
        match self {
            Self::One(index) => *index,
            Self::Each(indexes) => indexes.get(position).copied().unwrap_or(-1),
            Self::EachU16(indexes) => indexes.get(position).map_or(-1, |&i| i32::from(i)),
            Self::EachU8(indexes) => indexes.get(position).map_or(-1, |&i| i32::from(i)),
        }
    }
}

/// What both directions read of the tables.
#[derive(Clone, Copy, Debug)]
pub struct TablesView<'a> {
    /// Every table's place.
    pub tables: &'a [TableDescriptor],
    /// Frequencies sum to `2^precision`.
    pub precision: u32,
    /// Digits for symbols outside a table, or `None` for an error.
    pub bypass: Option<BypassCode>,
    /// Whether an index past the last table skips its symbol, as a negative one does, instead of
    /// being an error.
    pub skip_past_end: bool,
}

impl TablesView<'_> {
    /// The table that an index names, its number and place; `None` for a skipped symbol.
    #[inline(always)]
    pub fn table(&self, index: i32) -> Result<Option<(u32, TableDescriptor)>, RowError> {
        if index < 0 {
            return Ok(None);
        }
        match self.tables.get(index as usize) {
            Some(&table) => Ok(Some((index as u32, table))),
            None if self.skip_past_end => Ok(None),
            None => Err(RowError::IndexOutOfRange),
        }
    }

    /// The number in its table that codes a symbol, and the bypass digits that follow it.
    #[inline(always)]
    pub fn number(
        &self,
        table: &TableDescriptor,
        symbol: i32,
    ) -> Result<(u32, Option<u32>), RowError> {
        let value = i64::from(symbol) - i64::from(table.offset);
        match self.bypass {
            None if value >= 0 && value < i64::from(table.symbols) => Ok((value as u32, None)),
            None => Err(RowError::SymbolOutOfRange),
            Some(_) => {
                let max = table.symbols.saturating_sub(1);
                if value >= 0 && value < i64::from(max) {
                    Ok((value as u32, None))
                } else {
                    Ok((max, Some(BypassCode::raw(value, max)?)))
                }
            }
        }
    }

    /// The symbol of a table number (symbol less offset), which digits may have moved outside the
    /// table.
    #[inline(always)]
    pub fn symbol(table: &TableDescriptor, value: i64) -> Result<i32, RowError> {
        i32::try_from(value + i64::from(table.offset)).map_err(|_| RowError::BypassDigits)
    }
}

/// What push reads.
#[derive(Clone, Copy, Debug)]
pub struct EncoderView<'a, F: RansFamily, P> {
    /// The tables.
    pub tables: TablesView<'a>,
    /// The entries of all tables.
    pub entries: &'a [EncoderEntry<F>],
    /// Where slots lie.
    pub placement: P,
}

/// What pop reads.
#[derive(Clone, Copy, Debug)]
pub struct DecoderView<'a, L> {
    /// The tables.
    pub tables: TablesView<'a>,
    /// How a symbol is found.
    pub lookup: L,
}

/// A symbol made ready to push: `entry` and `table` are valid where `coded`.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ready {
    entry: u32,
    table: u32,
    coded: bool,
    /// What the symbol's bypass digits hold, where it has any.
    pub(crate) raw: Option<u32>,
}

impl<F: RansFamily, P: Placement> EncoderView<'_, F, P> {
    /// Finds the entry of a symbol.
    #[inline(always)]
    pub(crate) fn ready(&self, symbol: i32, index: i32) -> Result<Ready, RowError> {
        let Some((number, table)) = self.tables.table(index)? else { return Ok(Ready::default()) };
        self.ready_in(number, &table, symbol)
    }

    /// Finds the entry of a symbol in a table known already.
    #[inline(always)]
    pub(crate) fn ready_in(
        &self,
        number: u32,
        table: &TableDescriptor,
        symbol: i32,
    ) -> Result<Ready, RowError> {
        let (value, raw) = self.tables.number(table, symbol)?;
        Ok(Ready { entry: table.base.wrapping_add(value), table: number, coded: true, raw })
    }

    /// Pushes the bypass digits of a symbol, if it has any.
    #[inline(always)]
    pub(crate) fn push_raw(
        &self,
        x: F::State,
        ready: &Ready,
        words: &mut impl WordSink<F::Word>,
    ) -> F::State {
        match (self.tables.bypass, ready.raw) {
            (Some(bypass), Some(raw)) => bypass.push::<F>(x, raw, words),
            _ => x,
        }
    }

    /// Pushes a symbol without its bypass digits.
    #[inline(always)]
    pub(crate) fn push_ready(
        &self,
        x: F::State,
        ready: &Ready,
        words: &mut impl WordSink<F::Word>,
    ) -> F::State {
        match self.entries.get(ready.entry as usize) {
            Some(entry) if ready.coded => step::push_symbol(
                x,
                entry,
                ready.table,
                &self.placement,
                self.tables.precision,
                words,
            ),
            _ => x,
        }
    }
}

/// Pushes a row of symbols onto `states` and `words`.
///
/// On an error both may have changed; the caller keeps copies of the states and of the length,
/// which is all that a row needs to be as it was: words are only added past the old length.
#[inline]
pub fn push_row<F: RansFamily, P: Placement, const LANES: usize>(
    view: &EncoderView<'_, F, P>,
    states: &mut [F::State; LANES],
    words: &mut WordWriter<'_, F::Word>,
    symbols: &[i32],
    indexes: RowIndexes<'_>,
) -> Result<(), RowFault> {
    if !states.iter().all(|&x| step::is_normalised::<F>(x)) {
        return Err(RowError::StateOutOfRange.at(symbols.len()));
    }
    let (groups, tail) = symbols.as_chunks::<LANES>();
    let tail_at = symbols.len() - tail.len();
    for (lane, &symbol) in tail.iter().enumerate().rev() {
        let at = tail_at + lane;
        let ready = view.ready(symbol, indexes.at(at)).map_err(|e| e.at(at))?;
        if let Some(x) = states.get_mut(lane) {
            let raised = view.push_raw(*x, &ready, words);
            *x = view.push_ready(raised, &ready, words);
        }
    }
    for (group, symbols) in groups.iter().enumerate().rev() {
        let group_at = group * LANES;
        let mut ready = [Ready::default(); LANES];
        for (lane, (ready, &symbol)) in ready.iter_mut().zip(symbols).enumerate() {
            let at = group_at + lane;
            *ready = view.ready(symbol, indexes.at(at)).map_err(|e| e.at(at))?;
        }
        if view.tables.bypass.is_some() {
            for (x, ready) in states.iter_mut().zip(&ready).rev() {
                *x = view.push_raw(*x, ready, words);
            }
        }
        for (x, ready) in states.iter_mut().zip(&ready).rev() {
            *x = view.push_ready(*x, ready, words);
        }
    }
    if words.overflowed() { Err(RowError::CapacityExceeded.at(0)) } else { Ok(()) }
}

/// A symbol popped, its bypass digits still to come where `table` is given.
pub(crate) type Popped = (i32, Option<TableDescriptor>);

impl<L: SymbolLookup> DecoderView<'_, L> {
    /// Finds the symbol in a state and takes it out. The state must be renormalised before it is
    /// used again; lanes of a warp have to agree on who takes which words before that.
    #[inline(always)]
    pub(crate) fn take_symbol<F: RansFamily>(
        &self,
        x: F::State,
        index: i32,
    ) -> Result<(F::State, Popped), RowError> {
        let Some((number, table)) = self.tables.table(index)? else { return Ok((x, (0, None))) };
        let precision = self.tables.precision;
        let slot = step::slot::<F>(x, precision);
        let found = self.lookup.find(number, &table, slot, precision);
        let x = step::advance::<F>(x, precision, found.freq, found.rank);
        if self.tables.bypass.is_some() && found.symbol == table.symbols.wrapping_sub(1) {
            Ok((x, (0, Some(table))))
        } else {
            Ok((x, (TablesView::symbol(&table, i64::from(found.symbol))?, None)))
        }
    }

    /// Pops a symbol without its bypass digits.
    #[inline(always)]
    pub(crate) fn pop_one<F: RansFamily>(
        &self,
        x: &mut F::State,
        index: i32,
        words: &mut impl WordSource<F::Word>,
    ) -> Result<Popped, RowError> {
        let (taken, popped) = self.take_symbol::<F>(*x, index)?;
        *x = step::renormalise::<F>(taken, words);
        Ok(popped)
    }

    /// Pops the bypass digits of a symbol, if it has any.
    #[inline(always)]
    pub(crate) fn pop_raw<F: RansFamily>(
        &self,
        x: &mut F::State,
        (symbol, table): Popped,
        words: &mut impl WordSource<F::Word>,
    ) -> Result<i32, RowError> {
        let (Some(table), Some(bypass)) = (table, self.tables.bypass) else { return Ok(symbol) };
        let (next, raw) = bypass.pop::<F>(*x, words)?;
        *x = next;
        TablesView::symbol(&table, BypassCode::value(raw, table.symbols.wrapping_sub(1)))
    }
}

/// Pops a row of symbols, in the order in which they were given to [`push_row`].
///
/// On an error `states` and `symbols` may have changed; the words are never written.
#[inline]
pub fn pop_row<F: RansFamily, L: SymbolLookup, const LANES: usize>(
    view: &DecoderView<'_, L>,
    states: &mut [F::State; LANES],
    words: &mut WordReader<'_, F::Word>,
    symbols: &mut [i32],
    indexes: RowIndexes<'_>,
) -> Result<(), RowFault> {
    if !states.iter().all(|&x| step::is_normalised::<F>(x)) {
        return Err(RowError::StateOutOfRange.at(0));
    }
    let (groups, tail) = symbols.as_chunks_mut::<LANES>();
    let tail_at = groups.len() * LANES;
    for (group, symbols) in groups.iter_mut().enumerate() {
        let group_at = group * LANES;
        let mut popped: [Popped; LANES] = [(0, None); LANES];
        for (lane, (popped, x)) in popped.iter_mut().zip(states.iter_mut()).enumerate() {
            let at = group_at + lane;
            *popped = view.pop_one::<F>(x, indexes.at(at), words).map_err(|e| e.at(at))?;
        }
        for (lane, (popped, x)) in popped.into_iter().zip(states.iter_mut()).enumerate() {
            let symbol = view.pop_raw::<F>(x, popped, words).map_err(|e| e.at(group_at + lane))?;
            if let Some(out) = symbols.get_mut(lane) {
                *out = symbol;
            }
        }
        if words.underflowed() {
            return Err(RowError::Truncated.at(group_at));
        }
    }
    for (lane, (out, x)) in tail.iter_mut().zip(states.iter_mut()).enumerate() {
        let at = tail_at + lane;
        let popped = view.pop_one::<F>(x, indexes.at(at), words).map_err(|e| e.at(at))?;
        *out = view.pop_raw::<F>(x, popped, words).map_err(|e| e.at(at))?;
    }
    if words.underflowed() { Err(RowError::Truncated.at(tail_at)) } else { Ok(()) }
}

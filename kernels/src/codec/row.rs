//! Whole rows: the order in which symbols, lanes and bypass digits are pushed and popped, whatever
//! the model: tables ([`table_row`](super::table_row)) or distributions
//! ([`model`](crate::model)).
//!
//! Symbol i belongs to lane `i mod lanes`. Push runs from the last symbol to the first: the symbols
//! past the last full group one at a time, each one's bypass digits first, then group by group: the
//! digits of all lanes from the highest lane down, then the symbols of all lanes from the highest
//! down. Pop mirrors it. A skipped symbol leaves the state alone, and pop gives 0 there.

use super::bypass::BypassCode;
use super::error::{RowError, RowFault};
use super::family::RansFamily;
use super::step;
use super::words::{WordReader, WordSink, WordSource, WordWriter};

/// The most lanes of a row.
pub const MAX_LANES: usize = 32;

/// A popped symbol, or an escape whose distance follows in bypass digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// The symbol itself.
    Symbol(i32),
    /// This integer or, by the distance, one below it.
    Below(i32),
    /// This integer or, by the distance, one above it.
    Above(i32),
    /// The bypass sentinel of a table with this offset and largest number: odd distances lie below
    /// the table.
    Outside {
        /// The table's smallest symbol.
        offset: i32,
        /// The sentinel's number.
        max: u32,
    },
}

impl Default for Value {
    /// What a skipped symbol pops as.
    #[inline(always)]
    fn default() -> Self {
        Self::SKIPPED
    }
}

impl Value {
    /// What a skipped symbol pops as.
    pub const SKIPPED: Self = Self::Symbol(0);

    /// Whether bypass digits follow.
    #[inline(always)]
    pub fn is_escape(self) -> bool {
        !matches!(self, Self::Symbol(_))
    }

    /// The symbol, given the number read after an escape (ignored where there was none). `None`
    /// where it leaves the range of `i32`, which only damaged data can ask for.
    #[inline]
    pub fn symbol(self, raw: u32) -> Option<i32> {
        let symbol = match self {
            Self::Symbol(symbol) => return Some(symbol),
            Self::Below(first) => i64::from(first) - i64::from(raw),
            Self::Above(first) => i64::from(first) + i64::from(raw),
            Self::Outside { offset, max } => BypassCode::value(raw, max) + i64::from(offset),
        };
        i32::try_from(symbol).ok()
    }
}

/// What encodes the symbols of a row: where does this symbol's interval lie?
pub trait EncoderModel<F: RansFamily> {
    /// A symbol made ready to push. The default one is skipped.
    type Ready: Copy + Default;

    /// Digits for escaped symbols, where there are any.
    fn bypass(&self) -> Option<BypassCode>;

    /// Finds the interval of `symbol` at `position`.
    ///
    /// # Errors
    /// The symbol cannot be coded, or there is no model at the position.
    fn ready(&self, position: usize, symbol: i32) -> Result<Self::Ready, RowError>;

    /// What the bypass digits of an escaped symbol hold.
    fn raw(ready: &Self::Ready) -> Option<u32>;

    /// Pushes a symbol without its bypass digits.
    fn push(
        &self,
        x: F::State,
        ready: &Self::Ready,
        words: &mut impl WordSink<F::Word>,
    ) -> F::State;

    /// Pushes the bypass digits of a symbol, if it has any.
    #[inline(always)]
    fn push_raw(
        &self,
        x: F::State,
        ready: &Self::Ready,
        words: &mut impl WordSink<F::Word>,
    ) -> F::State {
        match (self.bypass(), Self::raw(ready)) {
            (Some(bypass), Some(raw)) => bypass.push::<F>(x, raw, words),
            _ => x,
        }
    }
}

/// What decodes the symbols of a row: whose interval holds this slot?
pub trait DecoderModel<F: RansFamily> {
    /// Digits for escaped symbols, where there are any.
    fn bypass(&self) -> Option<BypassCode>;

    /// Finds the symbol at `position` in a state and takes it out. The state must be renormalised
    /// before it is used again; lanes of a warp have to agree on who takes which words before that.
    ///
    /// # Errors
    /// There is no (valid) model at the position.
    fn take(&self, position: usize, x: &mut F::State) -> Result<Value, RowError>;

    /// Pops a symbol without its bypass digits.
    ///
    /// # Errors
    /// Those of [`take`](Self::take).
    #[inline(always)]
    fn pop(
        &self,
        position: usize,
        x: &mut F::State,
        words: &mut impl WordSource<F::Word>,
    ) -> Result<Value, RowError> {
        let value = self.take(position, x)?;
        *x = step::renormalise::<F>(*x, words);
        Ok(value)
    }

    /// The symbol of a popped value, with the bypass digits of an escape.
    ///
    /// # Errors
    /// Digits that describe no symbol.
    #[inline(always)]
    fn pop_raw(
        &self,
        value: Value,
        x: &mut F::State,
        words: &mut impl WordSource<F::Word>,
    ) -> Result<i32, RowError> {
        if let Value::Symbol(symbol) = value {
            return Ok(symbol);
        }
        let Some(bypass) = self.bypass() else { return Err(RowError::BypassDigits) };
        let (next, raw) = bypass.pop::<F>(*x, words)?;
        *x = next;
        value.symbol(raw).ok_or(RowError::BypassDigits)
    }
}

/// The states of a row's lanes. An array makes the lane count a constant of the code, as rows of
/// tables want it. A slice of up to [`MAX_LANES`] states leaves it to run time: models outnumber
/// lane counts, and a symbol of a model costs so much more than the loop around it that a copy for
/// each pair is not worth its code.
pub trait Lanes<S> {
    /// A value per lane, or more.
    type Each<T: Copy>: AsMut<[T]>;
    /// The default for each lane.
    fn each<T: Copy + Default>() -> Self::Each<T>;
    /// The states.
    fn states(&mut self) -> &mut [S];
}

impl<S, const N: usize> Lanes<S> for [S; N] {
    type Each<T: Copy> = [T; N];
    #[inline(always)]
    fn each<T: Copy + Default>() -> [T; N] {
        [T::default(); N]
    }
    #[inline(always)]
    fn states(&mut self) -> &mut [S] {
        self
    }
}

impl<S> Lanes<S> for [S] {
    type Each<T: Copy> = [T; MAX_LANES];
    #[inline(always)]
    fn each<T: Copy + Default>() -> [T; MAX_LANES] {
        [T::default(); MAX_LANES]
    }
    #[inline(always)]
    fn states(&mut self) -> &mut [S] {
        self
    }
}

/// Pushes symbols one at a time, the last first: those past the last full group. `at` is the
/// position of the first. See [`push_row`].
///
/// # Errors
/// What stopped the row, and where.
#[inline(always)]
pub fn push_tail<F: RansFamily, E: EncoderModel<F>>(
    encoder: &E,
    states: &mut [F::State],
    words: &mut WordWriter<'_, F::Word>,
    symbols: &[i32],
    at: usize,
) -> Result<(), RowFault> {
    for ((lane, &symbol), x) in symbols.iter().enumerate().zip(states).rev() {
        let ready = encoder.ready(at + lane, symbol).map_err(|e| e.at(at + lane))?;
        let raised = encoder.push_raw(*x, &ready, words);
        *x = encoder.push(raised, &ready, words);
    }
    Ok(())
}

/// Pushes a group of symbols, one per lane, the first of which is at position `at`: see
/// [`push_row`].
///
/// # Errors
/// What stopped the row, and where.
#[inline(always)]
pub fn push_group<F: RansFamily, E: EncoderModel<F>, L: Lanes<F::State> + ?Sized>(
    encoder: &E,
    states: &mut L,
    words: &mut WordWriter<'_, F::Word>,
    symbols: &[i32],
    at: usize,
) -> Result<(), RowFault> {
    let mut ready = L::each::<E::Ready>();
    push_group_by(encoder, states.states(), words, symbols, at, ready.as_mut())
}

/// The same with a buffer for a symbol of each lane, whatever it holds.
#[inline(always)]
fn push_group_by<F: RansFamily, E: EncoderModel<F>>(
    encoder: &E,
    states: &mut [F::State],
    words: &mut WordWriter<'_, F::Word>,
    symbols: &[i32],
    at: usize,
    ready: &mut [E::Ready],
) -> Result<(), RowFault> {
    for (lane, (ready, &symbol)) in ready.iter_mut().zip(symbols).enumerate() {
        *ready = encoder.ready(at + lane, symbol).map_err(|e| e.at(at + lane))?;
    }
    if encoder.bypass().is_some() {
        for (x, ready) in states.iter_mut().zip(&*ready).rev() {
            *x = encoder.push_raw(*x, ready, words);
        }
    }
    for (x, ready) in states.iter_mut().zip(&*ready).rev() {
        *x = encoder.push(*x, ready, words);
    }
    Ok(())
}

/// Pushes a row of symbols onto `states` and `words`.
///
/// # Errors
/// What stopped the row, and where. Both may have changed then; the caller keeps copies of the
/// states and of the length, which is all that a row needs to be as it was: words are only added
/// past the old length.
#[inline(always)]
pub fn push_row<F: RansFamily, E: EncoderModel<F>, L: Lanes<F::State> + ?Sized>(
    encoder: &E,
    states: &mut L,
    words: &mut WordWriter<'_, F::Word>,
    symbols: &[i32],
) -> Result<(), RowFault> {
    if !states.states().iter().all(|&x| step::is_normalised::<F>(x)) {
        return Err(RowError::StateOutOfRange.at(symbols.len()));
    }
    let lanes = states.states().len().clamp(1, MAX_LANES);
    let groups = symbols.chunks_exact(lanes);
    let tail = groups.remainder();
    push_tail(encoder, states.states(), words, tail, symbols.len() - tail.len())?;
    // One for all groups: a new one would be cleared for each.
    let mut ready = L::each::<E::Ready>();
    let ready = ready.as_mut();
    for (group, symbols) in groups.enumerate().rev() {
        if lanes == 1 {
            // A group of one symbol is a tail of one.
            push_tail(encoder, states.states(), words, symbols, group)?;
        } else {
            push_group_by(encoder, states.states(), words, symbols, group * lanes, ready)?;
        }
    }
    if words.overflowed() { Err(RowError::CapacityExceeded.at(0)) } else { Ok(()) }
}

/// Pops symbols one at a time: those past the last full group. `at` is the position of the first.
/// See [`pop_row`].
///
/// # Errors
/// What stopped the row, and where.
#[inline(always)]
pub fn pop_tail<F: RansFamily, D: DecoderModel<F>>(
    decoder: &D,
    states: &mut [F::State],
    words: &mut WordReader<'_, F::Word>,
    symbols: &mut [i32],
    at: usize,
) -> Result<(), RowFault> {
    for (lane, (out, x)) in symbols.iter_mut().zip(states).enumerate() {
        let value = decoder.pop(at + lane, x, words).map_err(|e| e.at(at + lane))?;
        *out = decoder.pop_raw(value, x, words).map_err(|e| e.at(at + lane))?;
    }
    Ok(())
}

#[inline(always)]
fn pop_group<F: RansFamily, D: DecoderModel<F>, L: Lanes<F::State> + ?Sized>(
    decoder: &D,
    states: &mut L,
    words: &mut WordReader<'_, F::Word>,
    symbols: &mut [i32],
    at: usize,
) -> Result<(), RowFault> {
    let mut values = L::each::<Value>();
    let (values, states) = (values.as_mut(), states.states());
    for (lane, (value, x)) in values.iter_mut().zip(&mut *states).enumerate() {
        *value = decoder.pop(at + lane, x, words).map_err(|e| e.at(at + lane))?;
    }
    for (lane, ((out, &mut value), x)) in symbols.iter_mut().zip(values).zip(states).enumerate() {
        *out = decoder.pop_raw(value, x, words).map_err(|e| e.at(at + lane))?;
    }
    Ok(())
}

/// Pops a row of symbols, in the order in which they were given to [`push_row`].
///
/// # Errors
/// What stopped the row, and where. `states` and `symbols` may have changed then; the words are
/// never written.
#[inline(always)]
pub fn pop_row<F: RansFamily, D: DecoderModel<F>, L: Lanes<F::State> + ?Sized>(
    decoder: &D,
    states: &mut L,
    words: &mut WordReader<'_, F::Word>,
    symbols: &mut [i32],
) -> Result<(), RowFault> {
    if !states.states().iter().all(|&x| step::is_normalised::<F>(x)) {
        return Err(RowError::StateOutOfRange.at(0));
    }
    let lanes = states.states().len().clamp(1, MAX_LANES);
    let tail_at = symbols.len() - symbols.len() % lanes;
    let mut groups = symbols.chunks_exact_mut(lanes);
    for (group, symbols) in groups.by_ref().enumerate() {
        let at = group * lanes;
        if lanes == 1 {
            // A group of one symbol is a tail of one.
            pop_tail(decoder, states.states(), words, symbols, at)?;
        } else {
            pop_group(decoder, states, words, symbols, at)?;
        }
        if words.underflowed() {
            return Err(RowError::Truncated.at(at));
        }
    }
    pop_tail(decoder, states.states(), words, groups.into_remainder(), tail_at)?;
    if words.underflowed() { Err(RowError::Truncated.at(tail_at)) } else { Ok(()) }
}

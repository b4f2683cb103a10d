//! Whole rANS rows whose symbols have models of their own, in the order of table-coded rows.
//!
//! Symbol i belongs to lane `i mod lanes`; push runs from the last symbol to the first, the symbols
//! past the last full group one at a time, each one's escape digits first, then group by group: the
//! digits of all lanes from the highest down, then all symbols from the highest down. A frequency
//! that was just computed has no prepared reciprocal, so a push divides once for it; the division
//! does not wait for the state, and overlaps with the lane before. Dividing the state instead was
//! measured, and is as fast.

use super::{
    Component, FoundValue, Kind, Located, MAX_COMPONENTS, Mean, Mixture, Model, Parametric, Scale,
    Uniform, Value,
};
use crate::codec::{
    BypassCode, DirectPlacement, EncoderEntry, Interval, RansFamily, RowError, RowFault,
    WordReader, WordWriter, step,
};

/// The most lanes of a row.
pub const MAX_LANES: usize = 32;

/// The models of a row's symbols, by position.
pub trait RowModel {
    /// The slots of `symbol` at `position`, and the number to escape with.
    ///
    /// # Errors
    /// The symbol cannot be coded, or there is no model at the position.
    fn locate(&self, position: usize, symbol: i32) -> Result<Located, RowError>;
    /// What `slot` means at `position`.
    ///
    /// # Errors
    /// There is no (valid) model at the position.
    fn find(&self, position: usize, slot: u32) -> Result<FoundValue, RowError>;
}

/// One kind of distribution with a mean and a scale a symbol.
#[derive(Clone, Copy, Debug)]
pub struct Parametrics<'a> {
    /// Which distribution.
    pub kind: Kind,
    /// A [`Mean`] a symbol.
    pub means: &'a [i32],
    /// A [`Scale`] code a symbol.
    pub scales: &'a [u16],
    /// Slots are `2^precision`.
    pub precision: u32,
}

impl Parametrics<'_> {
    #[inline(always)]
    fn at(&self, position: usize) -> Result<Parametric, RowError> {
        match (self.means.get(position), self.scales.get(position).map(|&c| Scale::from_code(c))) {
            (Some(&mean), Some(Some(scale))) => {
                Ok(Parametric::new(self.kind, Mean(mean), scale, self.precision))
            }
            _ => Err(RowError::ParameterOutOfRange),
        }
    }
}

impl RowModel for Parametrics<'_> {
    #[inline(always)]
    fn locate(&self, position: usize, symbol: i32) -> Result<Located, RowError> {
        self.at(position)?.locate(symbol).ok_or(RowError::BypassDistance)
    }

    #[inline(always)]
    fn find(&self, position: usize, slot: u32) -> Result<FoundValue, RowError> {
        Ok(self.at(position)?.find(slot))
    }
}

/// A mixture of one kind a symbol.
#[derive(Clone, Copy, Debug)]
pub struct Mixtures<'a> {
    /// Which distribution.
    pub kind: Kind,
    /// `each` components a symbol.
    pub components: &'a [Component],
    /// Components a symbol, 1 to 8.
    pub each: usize,
    /// Slots are `2^precision`.
    pub precision: u32,
}

impl<'a> Mixtures<'a> {
    #[inline(always)]
    fn at(&self, position: usize) -> Result<Mixture<'a>, RowError> {
        let each = self.each.min(MAX_COMPONENTS);
        self.components
            .get(position * each..(position + 1) * each)
            .and_then(|components| Mixture::new(self.kind, components, self.precision))
            .ok_or(RowError::ParameterOutOfRange)
    }
}

impl RowModel for Mixtures<'_> {
    #[inline(always)]
    fn locate(&self, position: usize, symbol: i32) -> Result<Located, RowError> {
        self.at(position)?.locate(symbol).ok_or(RowError::BypassDistance)
    }

    #[inline(always)]
    fn find(&self, position: usize, slot: u32) -> Result<FoundValue, RowError> {
        Ok(self.at(position)?.find(slot))
    }
}

impl RowModel for Uniform {
    #[inline(always)]
    fn locate(&self, _position: usize, symbol: i32) -> Result<Located, RowError> {
        Model::locate(self, symbol).ok_or(RowError::SymbolOutOfRange)
    }

    #[inline(always)]
    fn find(&self, _position: usize, slot: u32) -> Result<FoundValue, RowError> {
        Ok(Model::find(self, slot))
    }
}

#[inline(always)]
fn push_escape<F: RansFamily>(
    x: F::State,
    escape: Option<u32>,
    bypass: Option<BypassCode>,
    words: &mut WordWriter<'_, F::Word>,
) -> Result<F::State, RowError> {
    match (escape, bypass) {
        (None, _) => Ok(x),
        (Some(raw), Some(bypass)) => Ok(bypass.push::<F>(x, raw, words)),
        (Some(_), None) => Err(RowError::SymbolOutOfRange),
    }
}

/// Pushes the slots of a symbol onto a state.
#[inline(always)]
pub fn push_interval<F: RansFamily>(
    x: F::State,
    interval: Interval,
    precision: u32,
    words: &mut WordWriter<'_, F::Word>,
) -> F::State {
    let entry = EncoderEntry::<F>::new(interval);
    step::push_symbol(x, &entry, 0, &DirectPlacement, precision, words)
}

/// Pushes the symbols past the last full group, which begin at position `at`: see
/// [`push_model_row`].
///
/// # Errors
/// What stopped the row, and where.
#[inline(always)]
pub fn push_model_tail<F: RansFamily, M: RowModel>(
    model: &M,
    precision: u32,
    bypass: Option<BypassCode>,
    states: &mut [F::State],
    words: &mut WordWriter<'_, F::Word>,
    symbols: &[i32],
    at: usize,
) -> Result<(), RowFault> {
    for ((lane, &symbol), x) in symbols.iter().enumerate().zip(states.iter_mut()).rev() {
        let fault = |error: RowError| error.at(at + lane);
        let located = model.locate(at + lane, symbol).map_err(fault)?;
        let raised = push_escape::<F>(*x, located.escape, bypass, words).map_err(fault)?;
        *x = push_interval::<F>(raised, located.interval, precision, words);
    }
    Ok(())
}

/// Pushes a group of symbols, one per lane, the first of which is at position `at`: see
/// [`push_model_row`].
///
/// # Errors
/// What stopped the row, and where.
#[inline(always)]
pub fn push_model_group<F: RansFamily, M: RowModel>(
    model: &M,
    precision: u32,
    bypass: Option<BypassCode>,
    states: &mut [F::State],
    words: &mut WordWriter<'_, F::Word>,
    symbols: &[i32],
    at: usize,
) -> Result<(), RowFault> {
    const NOWHERE: Located = Located { interval: Interval { start: 0, freq: 1 }, escape: None };
    let mut ready = [NOWHERE; MAX_LANES];
    let mut escapes = false;
    for (lane, (ready, &symbol)) in ready.iter_mut().zip(symbols).enumerate() {
        *ready = model.locate(at + lane, symbol).map_err(|e| e.at(at + lane))?;
        escapes |= ready.escape.is_some();
    }
    if escapes {
        for (lane, (x, ready)) in states.iter_mut().zip(&ready).enumerate().rev() {
            *x = push_escape::<F>(*x, ready.escape, bypass, words).map_err(|e| e.at(at + lane))?;
        }
    }
    for (x, ready) in states.iter_mut().zip(&ready).rev() {
        *x = push_interval::<F>(*x, ready.interval, precision, words);
    }
    Ok(())
}

/// Pushes a row of symbols onto as many lanes as there are states (1 to 32), each by the model at
/// its position; escapes need `bypass`.
///
/// The number of lanes is no constant here, unlike in table-coded rows: models outnumber lane
/// counts, and a symbol costs so much more than the loop around it that a copy for each pair is not
/// worth its code.
///
/// # Errors
/// What stopped the row, and where. `states` and the words past their old length may have changed.
#[inline]
pub fn push_model_row<F: RansFamily, M: RowModel>(
    model: &M,
    precision: u32,
    bypass: Option<BypassCode>,
    states: &mut [F::State],
    words: &mut WordWriter<'_, F::Word>,
    symbols: &[i32],
) -> Result<(), RowFault> {
    if !states.iter().all(|&x| step::is_normalised::<F>(x)) {
        return Err(RowError::StateOutOfRange.at(symbols.len()));
    }
    let lanes = states.len().clamp(1, MAX_LANES);
    let groups = symbols.chunks_exact(lanes);
    let (tail, at) = (groups.remainder(), symbols.len() - groups.remainder().len());
    push_model_tail::<F, M>(model, precision, bypass, states, words, tail, at)?;
    if let [x] = states {
        // A group of one symbol is a tail of one.
        for (at, symbol) in symbols.iter().enumerate().rev() {
            let x = core::slice::from_mut(x);
            let symbol = core::slice::from_ref(symbol);
            push_model_tail::<F, M>(model, precision, bypass, x, words, symbol, at)?;
        }
        return if words.overflowed() { Err(RowError::CapacityExceeded.at(0)) } else { Ok(()) };
    }
    for (group, symbols) in groups.enumerate().rev() {
        let at = group * lanes;
        push_model_group::<F, M>(model, precision, bypass, states, words, symbols, at)?;
    }
    if words.overflowed() { Err(RowError::CapacityExceeded.at(0)) } else { Ok(()) }
}

#[inline(always)]
fn pop_value<F: RansFamily, M: RowModel>(
    model: &M,
    position: usize,
    precision: u32,
    x: &mut F::State,
    words: &mut WordReader<'_, F::Word>,
) -> Result<Value, RowError> {
    let slot = step::slot::<F>(*x, precision);
    let FoundValue { interval, value } = model.find(position, slot)?;
    let rank = slot.wrapping_sub(interval.start);
    *x = step::renormalise::<F>(step::advance::<F>(*x, precision, interval.freq, rank), words);
    Ok(value)
}

/// The symbol of a popped value, with the digits of an escape.
///
/// # Errors
/// Digits that there cannot be.
#[inline(always)]
pub fn pop_escape<F: RansFamily>(
    value: Value,
    bypass: Option<BypassCode>,
    x: &mut F::State,
    words: &mut WordReader<'_, F::Word>,
) -> Result<i32, RowError> {
    if let Value::Symbol(symbol) = value {
        return Ok(symbol);
    }
    let Some(bypass) = bypass else { return Err(RowError::BypassDigits) };
    let (next, raw) = bypass.pop::<F>(*x, words)?;
    *x = next;
    value.symbol(raw).ok_or(RowError::BypassDigits)
}

/// Pops the symbols past the last full group, which begin at position `at`: see [`pop_model_row`].
///
/// # Errors
/// What stopped the row, and where.
#[inline(always)]
pub fn pop_model_tail<F: RansFamily, M: RowModel>(
    model: &M,
    precision: u32,
    bypass: Option<BypassCode>,
    states: &mut [F::State],
    words: &mut WordReader<'_, F::Word>,
    symbols: &mut [i32],
    at: usize,
) -> Result<(), RowFault> {
    for (lane, (out, x)) in symbols.iter_mut().zip(states.iter_mut()).enumerate() {
        let fault = |error: RowError| error.at(at + lane);
        let value = pop_value::<F, M>(model, at + lane, precision, x, words).map_err(fault)?;
        *out = pop_escape::<F>(value, bypass, x, words).map_err(fault)?;
    }
    Ok(())
}

/// Pops a row of symbols, in the order in which they were given to [`push_model_row`].
///
/// # Errors
/// What stopped the row, and where. `states` and `symbols` may have changed; words are never
/// written.
#[inline]
pub fn pop_model_row<F: RansFamily, M: RowModel>(
    model: &M,
    precision: u32,
    bypass: Option<BypassCode>,
    states: &mut [F::State],
    words: &mut WordReader<'_, F::Word>,
    symbols: &mut [i32],
) -> Result<(), RowFault> {
    if !states.iter().all(|&x| step::is_normalised::<F>(x)) {
        return Err(RowError::StateOutOfRange.at(0));
    }
    let lanes = states.len().clamp(1, MAX_LANES);
    let tail_at = symbols.len() - symbols.len() % lanes;
    let mut groups = symbols.chunks_exact_mut(lanes);
    for (group, symbols) in groups.by_ref().enumerate() {
        let group_at = group * lanes;
        let mut values = [Value::Symbol(0); MAX_LANES];
        for (lane, (value, x)) in values.iter_mut().zip(states.iter_mut()).enumerate() {
            let at = group_at + lane;
            *value = pop_value::<F, M>(model, at, precision, x, words).map_err(|e| e.at(at))?;
        }
        for (lane, ((out, value), x)) in
            symbols.iter_mut().zip(values).zip(states.iter_mut()).enumerate()
        {
            *out = pop_escape::<F>(value, bypass, x, words).map_err(|e| e.at(group_at + lane))?;
        }
        if words.underflowed() {
            return Err(RowError::Truncated.at(group_at));
        }
    }
    let tail = groups.into_remainder();
    pop_model_tail::<F, M>(model, precision, bypass, states, words, tail, tail_at)?;
    if words.underflowed() { Err(RowError::Truncated.at(tail_at)) } else { Ok(()) }
}

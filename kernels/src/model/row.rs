//! Rows whose symbols have models of their own: what codes them as the codec's
//! [rows](crate::codec::row) ask.
//!
//! A frequency that was just computed has no prepared reciprocal, so a push divides once for it;
//! the division does not wait for the state, and overlaps with the lane before. Dividing the state
//! instead was measured, and is as fast.

use super::{
    Component, FoundValue, Kind, Located, MAX_COMPONENTS, Mean, Mixture, Model, Parametric, Scale,
    Uniform, Value,
};
use crate::codec::{
    BypassCode, DecoderModel, DirectPlacement, EncoderEntry, EncoderModel, RansFamily, RowError,
    WordSink, step,
};

/// The models of a row's symbols, by position.
pub trait RowModel: Copy {
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

/// One kind of distribution with a mean and a scale per symbol.
#[derive(Clone, Copy, Debug)]
pub struct Parametrics<'a> {
    /// Which distribution.
    pub kind: Kind,
    /// A [`Mean`] per symbol.
    pub means: &'a [i32],
    /// A [`Scale`] code per symbol.
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

/// A mixture of one kind per symbol.
#[derive(Clone, Copy, Debug)]
pub struct Mixtures<'a> {
    /// Which distribution.
    pub kind: Kind,
    /// `each` components per symbol.
    pub components: &'a [Component],
    /// Components per symbol, 1 to 8.
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

/// The models of a row, and how its symbols are coded with them.
#[derive(Clone, Copy, Debug)]
pub struct ModelRow<M> {
    /// The models.
    pub model: M,
    /// Slots are `2^precision`.
    pub precision: u32,
    /// Digits for escapes, or `None` for an error.
    pub bypass: Option<BypassCode>,
}

/// A symbol made ready to push. Plain fields: options of options and of references end up in local
/// memory on a device.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ready<F: RansFamily> {
    /// Its slots; the symbol is skipped where the frequency is 0.
    entry: EncoderEntry<F>,
    /// Whether it has digits.
    escaped: bool,
    /// What they hold.
    raw: u32,
}

impl<F: RansFamily, M: RowModel> EncoderModel<F> for ModelRow<M> {
    type Ready = Ready<F>;

    #[inline(always)]
    fn bypass(&self) -> Option<BypassCode> {
        self.bypass
    }

    #[inline(always)]
    fn ready(&self, position: usize, symbol: i32) -> Result<Ready<F>, RowError> {
        let Located { interval, escape } = self.model.locate(position, symbol)?;
        if escape.is_some() && self.bypass.is_none() {
            return Err(RowError::SymbolOutOfRange);
        }
        Ok(Ready {
            entry: EncoderEntry::new(interval),
            escaped: escape.is_some(),
            raw: escape.unwrap_or_default(),
        })
    }

    #[inline(always)]
    fn raw(ready: &Ready<F>) -> Option<u32> {
        ready.escaped.then_some(ready.raw)
    }

    #[inline(always)]
    fn push(&self, x: F::State, ready: &Ready<F>, words: &mut impl WordSink<F::Word>) -> F::State {
        if ready.entry.freq == 0 {
            return x;
        }
        step::push_symbol(x, &ready.entry, 0, &DirectPlacement, self.precision, words)
    }
}

impl<F: RansFamily, M: RowModel> DecoderModel<F> for ModelRow<M> {
    #[inline(always)]
    fn bypass(&self) -> Option<BypassCode> {
        self.bypass
    }

    #[inline(always)]
    fn take(&self, position: usize, x: &mut F::State) -> Result<Value, RowError> {
        let slot = step::slot::<F>(*x, self.precision);
        let FoundValue { interval, value } = self.model.find(position, slot)?;
        let rank = slot.wrapping_sub(interval.start);
        *x = step::advance::<F>(*x, self.precision, interval.freq, rank);
        Ok(value)
    }
}

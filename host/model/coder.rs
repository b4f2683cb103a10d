//! The coder of symbols with models of their own.

use ndarray::Array2;
use parans_kernels::codec;

use super::Models;
use crate::coder::{Bypass, Symbol, Symbols};
use crate::cpu::models;
use crate::error::{Error, Result, RowCause};
use crate::family::Family;
use crate::streams::{Merged, Streams, check_lanes};
use crate::tables::Precision;

/// Codes symbols with [`Models`]. Streams, lanes and the order of symbols are those of [`Coder`](crate::Coder), so that both can push onto
/// the same streams in turn.
#[derive(Clone, Copy, Debug)]
pub struct ModelCoder {
    family: Family,
    lanes: usize,
    precision: Precision,
    bypass: Option<codec::Bypass>,
}

impl ModelCoder {
    /// A coder of a rANS family and 1, 2, 4, 8 or 32 lanes, with bypass digits of 4 bits and a precision that suits the family: 24 bits for
    /// rans64, 16 for rans32, 15 for rans32_16. Nothing is stored a slot, so that a high precision costs nothing, and makes wide
    /// distributions exact: with 24 bits the loss is below 0.01 % up to scales of 4096, with 16 below 0.06 % up to 64, with 15 below 0.1 % up to 32.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a tANS family (its states are tables) or another lane count.
    pub fn new(family: Family, lanes: usize) -> Result<Self> {
        check_lanes(lanes)?;
        if family.is_tans() {
            return Err(Error::Unsupported(format!(
                "models with {family}: a tANS state is a position in a table; use a rANS family"
            )));
        }
        let bits = match family {
            Family::Rans64 => 24,
            _ => family.max_precision().min(16),
        };
        Ok(Self { family, lanes, precision: Precision::new(bits)?, bypass: codec::Bypass::new(4) })
    }

    /// The same coder with another precision.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] past the family's limit.
    pub fn with_precision(mut self, precision: Precision) -> Result<Self> {
        let limit = self.family.max_precision();
        if precision.bits() > limit {
            return Err(Error::InvalidArgument(format!(
                "precision {precision}; the limit of {} is {limit}",
                self.family
            )));
        }
        self.precision = precision;
        Ok(self)
    }

    /// The same coder with other digits for symbols far from their distribution. [`Bypass::Off`] makes such symbols errors.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for digits outside 1..=8 bits.
    pub fn with_bypass(mut self, bypass: Bypass) -> Result<Self> {
        self.bypass = match bypass {
            Bypass::Off => None,
            Bypass::Digits(bits) => Some(codec::Bypass::new(bits).ok_or_else(|| {
                Error::InvalidArgument(format!("bypass digits of {bits} bits; they take 1 to 8"))
            })?),
        };
        Ok(self)
    }

    /// The precision.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Fresh streams for this coder.
    pub fn streams(&self, rows: usize) -> Streams {
        // The lane count was checked.
        Streams::new(self.family, rows, self.lanes).expect("a checked lane count")
    }

    /// Pushes symbols of the models' shape onto as many streams.
    ///
    /// # Errors
    /// [`Error::Shape`] where shapes disagree; [`Error::Row`] for a symbol that cannot be coded. The streams are then as they were.
    pub fn push<'a, S: Symbol, M: Models>(
        &self,
        streams: &mut Streams,
        models: &M,
        symbols: impl Into<Symbols<'a, S>>,
    ) -> Result<()> {
        let symbols = symbols.into();
        self.check(streams, models)?;
        let (rows, columns) = (symbols.rows(), symbols.columns());
        if (rows, columns) != (models.rows(), models.columns()) {
            return Err(Error::Shape {
                what: "symbols",
                expected: format!("({}, {}) as the models", models.rows(), models.columns()),
                got: format!("({rows}, {columns})"),
            });
        }
        // A push multiplies a state by at most 2^(p+1) (see `Plan::words_at_most`), escapes by their digits besides.
        let digits = self.bypass.map_or(0, |bypass| bypass.max_bits() + 33);
        for bits in [self.precision.bits() + 1, self.precision.bits() + 1 + digits] {
            streams.reserve(columns.saturating_mul(bits as usize).div_ceil(8) + 8 * self.lanes)?;
            match models::push(self.family, self.precision, self.bypass, streams, models, &symbols)
            {
                // Escapes are rare: only where they are not is a row given all the room it can need.
                Err(Error::Row { cause: RowCause::CapacityExceeded, .. }) => {}
                result => return result,
            }
        }
        Err(Error::Row { row: 0, position: 0, cause: RowCause::CapacityExceeded })
    }

    /// Pops symbols of the models' shape: what the last push of that shape pushed.
    ///
    /// # Errors
    /// [`Error::Shape`] where shapes disagree; [`Error::Row`] for a truncated or damaged row. The streams are then as they were.
    pub fn pop<S: Symbol>(&self, streams: &mut Streams, models: &impl Models) -> Result<Array2<S>> {
        self.check(streams, models)?;
        let shape = (models.rows(), models.columns());
        let mut symbols = vec![S::zeroed(); shape.0 * shape.1];
        models::pop(self.family, self.precision, self.bypass, streams, models, &mut symbols)?;
        Array2::from_shape_vec(shape, symbols).map_err(|e| Error::InvalidArgument(e.to_string()))
    }

    /// Encodes symbols of the models' shape to merged bytes: each row's length in four bytes, then its bytes.
    ///
    /// # Errors
    /// As [`push`](Self::push) and [`Streams::to_merged`].
    pub fn encode<'a, S: Symbol>(
        &self,
        models: &impl Models,
        symbols: impl Into<Symbols<'a, S>>,
    ) -> Result<Vec<u8>> {
        let mut streams = self.streams(models.rows());
        self.push(&mut streams, models, symbols)?;
        streams.to_merged(Merged::default())
    }

    /// Decodes merged bytes to symbols of the models' shape, and checks that nothing is left over.
    ///
    /// # Errors
    /// As [`Streams::from_merged`] and [`pop`](Self::pop); [`Error::Row`] where a row's final states are not the family's start value.
    pub fn decode<S: Symbol>(&self, models: &impl Models, bytes: &[u8]) -> Result<Array2<S>> {
        let mut streams = Streams::from_merged(self.family, self.lanes, bytes, Merged::default())?;
        let symbols = self.pop(&mut streams, models)?;
        streams.expect_fresh()?;
        Ok(symbols)
    }

    fn check(&self, streams: &Streams, models: &impl Models) -> Result<()> {
        models.check(self.precision)?;
        if streams.family() != self.family || streams.lanes() != self.lanes {
            return Err(Error::InvalidArgument(format!(
                "streams of {} with {} lanes; the coder is {} with {}",
                streams.family(),
                streams.lanes(),
                self.family,
                self.lanes
            )));
        }
        if streams.rows() != models.rows() {
            return Err(Error::Shape {
                what: "models and streams",
                expected: format!("{} rows as the streams", streams.rows()),
                got: format!("{} rows", models.rows()),
            });
        }
        Ok(())
    }
}

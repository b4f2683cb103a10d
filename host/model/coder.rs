//! The coder of symbols with models of their own.

use ndarray::Array2;
use parans_kernels::codec;

use super::{ModelSet, Models};
use crate::coder::{Bypass, Device};
use crate::cpu::models;
use crate::error::{Error, Result, RowCause};
use crate::family::{Family, with_family};
use crate::gpu::{self, Gpu, GpuModelCoder};
use crate::memory;
use crate::streams::{Merged, Streams, check_lanes};
use crate::symbols::{Symbol, SymbolSlice, SymbolSliceMut, Symbols, pop_as};
use crate::tables::Precision;

/// Everything a back end reads of a coder, checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ModelPlan {
    /// Never tANS.
    pub(crate) family: Family,
    pub(crate) lanes: usize,
    pub(crate) precision: Precision,
    pub(crate) bypass: Option<codec::BypassCode>,
}

impl ModelPlan {
    /// Bytes that a row of `columns` symbols needs at most, whatever the symbols.
    pub(crate) fn bytes_at_most(&self, columns: usize) -> usize {
        self.bytes_for(columns, self.bypass.map_or(0, |bypass| bypass.max_bits() + 33))
    }

    /// The same where escapes are rare: a push that finds less capacity than it needs is repeated
    /// with all it can need.
    fn bytes_expected(&self, columns: usize) -> usize {
        self.bytes_for(columns, 0)
    }

    /// A push multiplies a state by at most 2^(p+1) (see `Plan::words_at_most`), escapes by their
    /// digits besides.
    fn bytes_for(&self, columns: usize, digits: u32) -> usize {
        let bits = self.precision.bits() + 1 + digits;
        columns.saturating_mul(bits as usize).div_ceil(8).saturating_add(8 * self.lanes)
    }
}

/// Codes symbols with [`Models`]. Streams, lanes and the order of symbols are those of
/// [`Coder`](crate::Coder), so that both can push onto the same streams in turn.
#[derive(Clone, Debug)]
pub struct ModelCoder {
    plan: ModelPlan,
    /// The device it runs on, where that is not the CPU.
    gpu: Option<Gpu>,
}

impl ModelCoder {
    /// A coder of a rANS family and 1, 2, 4, 8 or 32 lanes, on the CPU, with bypass digits of 4
    /// bits and a precision that suits the family: 24 bits for rans64, 16 for rans32, 15 for
    /// rans32_16. Nothing is stored a slot, so that a high precision costs nothing, and makes wide
    /// distributions exact: with 24 bits the loss is below 0.01 % up to scales of 4096, with 16
    /// below 0.06 % up to 64, with 15 below 0.1 % up to 32.
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
        let precision = Precision::new(bits)?;
        let plan = ModelPlan { family, lanes, precision, bypass: codec::BypassCode::new(4) };
        Ok(Self { plan, gpu: None })
    }

    /// The same coder with another precision.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for 0 bits and past the family's limit.
    pub fn with_precision(
        &self,
        precision: impl TryInto<Precision, Error: Into<Error>>,
    ) -> Result<Self> {
        let precision: Precision = precision.try_into().map_err(Into::into)?;
        let limit = self.plan.family.max_precision();
        if precision.bits() > limit {
            return Err(Error::InvalidArgument(format!(
                "precision {precision}; the limit of {} is {limit}",
                self.plan.family
            )));
        }
        Ok(Self { plan: ModelPlan { precision, ..self.plan }, gpu: self.gpu.clone() })
    }

    /// The same coder with other digits for symbols far from their distribution. [`Bypass::Off`]
    /// makes such symbols errors.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for digits outside 1..=8 bits.
    pub fn with_bypass(&self, bypass: Bypass) -> Result<Self> {
        let bypass = match bypass {
            Bypass::Off => None,
            Bypass::Digits(bits) => Some(codec::BypassCode::new(bits).ok_or_else(|| {
                Error::InvalidArgument(format!("bypass digits of {bits} bits; they take 1 to 8"))
            })?),
        };
        Ok(Self { plan: ModelPlan { bypass, ..self.plan }, gpu: self.gpu.clone() })
    }

    /// The same coder on a device.
    ///
    /// # Errors
    /// As [`Gpu::open`].
    pub fn with_device(&self, device: Device) -> Result<Self> {
        let gpu = match device {
            Device::Cpu => None,
            Device::Cuda(number) => Some(Gpu::open(number)?),
        };
        Ok(Self { plan: self.plan, gpu })
    }

    /// The same coder on an opened GPU, whatever its runtime.
    pub fn with_gpu(&self, gpu: &Gpu) -> Self {
        Self { plan: self.plan, gpu: Some(gpu.clone()) }
    }

    /// The precision.
    pub fn precision(&self) -> Precision {
        self.plan.precision
    }

    /// The coder over tensors in device memory; `None` where it runs on the CPU.
    pub fn on_gpu(&self) -> Option<GpuModelCoder<'_>> {
        self.gpu.as_ref().map(|gpu| GpuModelCoder::new(gpu, &self.plan))
    }

    /// Initial streams for this coder.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for more rows than there is memory for.
    pub fn streams(&self, rows: usize) -> Result<Streams> {
        Streams::new(self.plan.family, rows, self.plan.lanes)
    }

    /// Pushes symbols of the models' shape onto as many streams.
    ///
    /// # Errors
    /// [`Error::Shape`] where shapes disagree; [`Error::Row`] for a symbol that cannot be coded.
    /// The streams are then as they were.
    pub fn push<'a, S: Symbol, M: Models>(
        &self,
        streams: &mut Streams,
        models: &M,
        symbols: impl Into<Symbols<'a, S>>,
    ) -> Result<()> {
        let symbols = symbols.into();
        let shape = (symbols.rows(), symbols.columns());
        self.push_erased(streams, models.as_set(), symbols.coded()?.erased(), shape)
    }

    /// Pushes symbols of a shape. From here on the types of models and symbols are values.
    fn push_erased(
        &self,
        streams: &mut Streams,
        models: ModelSet<'_>,
        symbols: SymbolSlice<'_>,
        (rows, columns): (usize, usize),
    ) -> Result<()> {
        self.check(streams, models)?;
        let shape = models.shape();
        if (rows, columns) != shape {
            return Err(Error::Shape {
                what: "symbols",
                expected: format!("({}, {}) as the models", shape.0, shape.1),
                got: format!("({rows}, {columns})"),
            });
        }
        let plan = &self.plan;
        for capacity in [plan.bytes_expected(columns), plan.bytes_at_most(columns)] {
            streams.reserve(capacity)?;
            let result = match &self.gpu {
                None => {
                    models::push(plan.family, plan.precision, plan.bypass, streams, models, symbols)
                }
                Some(gpu) => {
                    with_family!(plan.family, F => gpu::push_models::<F>(gpu, plan, streams, symbols, models))
                }
            };
            match result {
                // Escapes are rare: only where they are not is a row given all the capacity it can
                // need.
                Err(Error::Row { cause: RowCause::CapacityExceeded, .. }) => {}
                result => return result,
            }
        }
        Err(Error::Row { row: 0, position: 0, cause: RowCause::CapacityExceeded })
    }

    /// Pops symbols of the models' shape: what the last push of that shape pushed.
    ///
    /// # Errors
    /// [`Error::Shape`] where shapes disagree; [`Error::Row`] for a truncated or damaged row. The
    /// streams are then as they were.
    pub fn pop<S: Symbol>(&self, streams: &mut Streams, models: &impl Models) -> Result<Array2<S>> {
        let models = models.as_set();
        self.check(streams, models)?;
        let shape = models.shape();
        let mut symbols = memory::zeros(memory::cells(shape.0, shape.1)?)?;
        let place = |at| (at / shape.1, at % shape.1);
        pop_as(streams, &mut symbols, place, |streams, symbols| {
            self.pop_erased(streams, models, symbols)
        })?;
        Array2::from_shape_vec(shape, symbols).map_err(|e| Error::InvalidArgument(e.to_string()))
    }

    fn pop_erased(
        &self,
        streams: &mut Streams,
        models: ModelSet<'_>,
        symbols: SymbolSliceMut<'_>,
    ) -> Result<()> {
        let plan = &self.plan;
        match &self.gpu {
            None => models::pop(plan.family, plan.precision, plan.bypass, streams, models, symbols),
            Some(gpu) => {
                with_family!(plan.family, F => gpu::pop_models::<F>(gpu, plan, streams, symbols, models))
            }
        }
    }

    /// Encodes symbols of the models' shape to merged bytes: each row's length in four bytes, then
    /// its bytes.
    ///
    /// # Errors
    /// As [`push`](Self::push) and [`Streams::to_merged`].
    pub fn encode<'a, S: Symbol>(
        &self,
        models: &impl Models,
        symbols: impl Into<Symbols<'a, S>>,
    ) -> Result<Vec<u8>> {
        let mut streams = self.streams(models.rows())?;
        self.push(&mut streams, models, symbols)?;
        streams.to_merged(Merged::default())
    }

    /// Decodes merged bytes to symbols of the models' shape, and checks that nothing is left over.
    ///
    /// # Errors
    /// As [`Streams::from_merged`] and [`pop`](Self::pop); [`Error::Row`] where a row's final
    /// states are not the family's start value.
    pub fn decode<S: Symbol>(&self, models: &impl Models, bytes: &[u8]) -> Result<Array2<S>> {
        let mut streams =
            Streams::from_merged(self.plan.family, self.plan.lanes, bytes, Merged::default())?;
        let symbols = self.pop(&mut streams, models)?;
        streams.expect_fresh()?;
        Ok(symbols)
    }

    fn check(&self, streams: &Streams, models: ModelSet<'_>) -> Result<()> {
        models.check(self.plan.precision)?;
        if streams.family() != self.plan.family || streams.lanes() != self.plan.lanes {
            return Err(Error::InvalidArgument(format!(
                "streams of {} with {} lanes; the coder is {} with {}",
                streams.family(),
                streams.lanes(),
                self.plan.family,
                self.plan.lanes
            )));
        }
        let rows = models.shape().0;
        if streams.rows() != rows {
            return Err(Error::Shape {
                what: "models and streams",
                expected: format!("{} rows as the streams", streams.rows()),
                got: format!("{rows} rows"),
            });
        }
        Ok(())
    }
}

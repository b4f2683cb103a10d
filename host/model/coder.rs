//! The coder of symbols with models of their own.

use ndarray::Array2;
use parans_kernels::codec;

use super::{ModelSet, Models};
use crate::coder::{Bypass, Device};
use crate::cpu;
use crate::error::{Error, Result};
use crate::family::Family;
use crate::gpu::{self, Gpu, GpuModelCoder};
use crate::memory;
use crate::plan::RowPlan;
use crate::streams::{Merged, Streams, check_lanes};
use crate::symbols::{Symbol, SymbolSlice, SymbolSliceMut, Symbols, pop_as};
use crate::tables::Precision;

/// Codes symbols with [`Models`]. Streams, lanes and the order of symbols are those of
/// [`Coder`](crate::Coder), so that both can push onto the same streams in turn.
#[derive(Clone, Debug)]
pub struct ModelCoder {
    plan: RowPlan,
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
        let plan = RowPlan { family, lanes, precision, bypass: codec::BypassCode::new(4) };
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
        Ok(Self { plan: RowPlan { precision, ..self.plan }, gpu: self.gpu.clone() })
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
        Ok(Self { plan: RowPlan { bypass, ..self.plan }, gpu: self.gpu.clone() })
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
        self.plan.streams(rows)
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
        shape: (usize, usize),
    ) -> Result<()> {
        self.check(streams, models)?;
        let expected = models.shape();
        if shape != expected {
            return Err(Error::Shape {
                what: "symbols",
                expected: format!("({}, {}) as the models", expected.0, expected.1),
                got: format!("({}, {})", shape.0, shape.1),
            });
        }
        let plan = &self.plan;
        plan.push(streams, shape.1, |streams| match &self.gpu {
            None => cpu::models::push(plan, streams, symbols, models),
            Some(gpu) => gpu::push(&self.staged(gpu, models), streams, symbols),
        })
    }

    /// What codes host tensors by way of the device.
    fn staged<'a>(&'a self, gpu: &'a Gpu, models: ModelSet<'a>) -> gpu::Staged<'a> {
        gpu::Staged::Models(GpuModelCoder::new(gpu, &self.plan), models)
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
        match &self.gpu {
            None => cpu::models::pop(&self.plan, streams, symbols, models),
            Some(gpu) => gpu::pop(&self.staged(gpu, models), streams, symbols),
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
        let mut streams = self.plan.streams_from(bytes, Merged::default())?;
        let symbols = self.pop(&mut streams, models)?;
        streams.expect_initial()?;
        Ok(symbols)
    }

    fn check(&self, streams: &Streams, models: ModelSet<'_>) -> Result<()> {
        models.check(self.plan.precision)?;
        self.plan.expect_streams(streams, models.shape().0)
    }
}

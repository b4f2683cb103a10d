//! Coding with models on a device; nothing but outcomes comes back.

use bytemuck::bytes_of;
use parans_kernels::abi::{Kernel, ModelKernel, ModelParams, ModelShape, index_type};

use super::launch::{Geometry, below};
use super::tensors::expect_shapes;
use super::{DeviceModels, DeviceStreams, DeviceSymbols, Gpu, Launch, StreamHandle};
use crate::cpu::explain;
use crate::error::{Error, Result};
use crate::plan::RowPlan;

/// A [`ModelCoder`](crate::model::ModelCoder) on its device, over tensors in device memory, on one
/// stream of the device.
#[derive(Clone, Copy, Debug)]
pub struct GpuModelCoder<'c> {
    gpu: &'c Gpu,
    plan: &'c RowPlan,
    stream: StreamHandle,
}

impl<'c> GpuModelCoder<'c> {
    pub(crate) fn new(gpu: &'c Gpu, plan: &'c RowPlan) -> Self {
        Self { gpu, plan, stream: StreamHandle::OWN }
    }

    /// The coder on a caller's stream, ordered as
    /// [`GpuCoder::on_stream`](super::GpuCoder::on_stream).
    pub fn on_stream(mut self, stream: StreamHandle) -> Self {
        self.stream = stream;
        self
    }

    /// The device.
    pub fn gpu(&self) -> &'c Gpu {
        self.gpu
    }

    /// Initial streams with capacity for whatever one push of `columns` symbols per row can need:
    /// planned from the precision alone, without asking the device.
    ///
    /// # Errors
    /// [`Error::Device`] where memory is short.
    pub fn streams(&self, rows: usize, columns: usize) -> Result<DeviceStreams> {
        DeviceStreams::of_plan(self.gpu, self.plan, rows, columns)
    }

    pub(super) fn plan(&self) -> &'c RowPlan {
        self.plan
    }

    /// Pushes symbols of the models' shape, waits, and checks every row.
    ///
    /// # Errors
    /// [`Error::Shape`] where shapes disagree; [`Error::Row`] names the first row that failed. Rows
    /// that failed are as they were; the others were pushed.
    pub fn push(
        &self,
        streams: &mut DeviceStreams,
        models: &DeviceModels<'_>,
        symbols: &DeviceSymbols<'_>,
    ) -> Result<()> {
        self.enqueue_push(streams, models, symbols)?;
        self.check(streams, symbols)
    }

    /// Pops into `symbols`, waits, and checks every row.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn pop(
        &self,
        streams: &mut DeviceStreams,
        models: &DeviceModels<'_>,
        symbols: &DeviceSymbols<'_>,
    ) -> Result<()> {
        self.enqueue_pop(streams, models, symbols)?;
        self.check(streams, symbols)
    }

    /// Starts a push without waiting for it. [`check`](Self::check) returns how it went, as long as
    /// nothing else was started on these streams.
    ///
    /// # Errors
    /// [`Error::Shape`] where shapes disagree; [`Error::InvalidArgument`] where the models'
    /// precision or the streams' family is another; [`Error::Device`] where the launch fails.
    pub fn enqueue_push(
        &self,
        streams: &mut DeviceStreams,
        models: &DeviceModels<'_>,
        symbols: &DeviceSymbols<'_>,
    ) -> Result<()> {
        self.launch(true, streams, models, symbols)
    }

    /// Starts a pop without waiting for it; see [`enqueue_push`](Self::enqueue_push).
    ///
    /// # Errors
    /// As [`enqueue_push`](Self::enqueue_push).
    pub fn enqueue_pop(
        &self,
        streams: &mut DeviceStreams,
        models: &DeviceModels<'_>,
        symbols: &DeviceSymbols<'_>,
    ) -> Result<()> {
        self.launch(false, streams, models, symbols)
    }

    /// Waits for the stream and reports the first row that the last push or pop failed on.
    ///
    /// # Errors
    /// [`Error::Row`], with the symbol at fault read from the device; [`Error::Device`] where the
    /// device itself failed.
    pub fn check(&self, streams: &DeviceStreams, symbols: &DeviceSymbols<'_>) -> Result<()> {
        let Some(failed) = streams.first_failure()? else { return Ok(()) };
        Err(explain(self.plan, 0, failed, -1, |row, position| {
            symbols.value_at(self.gpu, self.stream, row, position)
        }))
    }

    pub(super) fn launch(
        &self,
        push: bool,
        streams: &mut DeviceStreams,
        models: &DeviceModels<'_>,
        symbols: &DeviceSymbols<'_>,
    ) -> Result<()> {
        let plan = self.plan;
        models.check(plan.precision)?;
        let (rows, columns) = (models.rows, models.columns);
        expect_shapes(
            "models",
            (rows, columns),
            [("symbols", (symbols.rows, symbols.columns)), ("streams", (streams.rows(), columns))],
        )?;
        streams.expect_coder(plan)?;
        let lanes = plan.lanes as u32;
        let kernel =
            ModelKernel::find(plan.family.name(), push, models.form, lanes).ok_or_else(|| {
                Error::Unsupported(format!("models with {} of {lanes} lanes on a GPU", plan.family))
            })?;
        let mut code = symbols.shape(streams.stride)?;
        // Above, moments at which symbols can fail would not fit their 32 bits.
        code.symbols = below("symbols per row", columns, 1 << 30)?;
        code.lanes = lanes;
        code.index_type = index_type::CONSTANT;
        code.precision = plan.precision.bits();
        code.bypass_bits = plan.bypass.map_or(0, |bypass| bypass.bits());
        let params = ModelParams {
            states: streams.states.address(),
            words: streams.words.address(),
            lengths: streams.lengths.address(),
            status: streams.status.address(),
            symbols: symbols.address,
            parameters: models.parameters,
            scales: models.scales,
            shape: ModelShape {
                code,
                kind: models.kind,
                width: below("parameters a symbol", models.width, u32::MAX)?,
                lowest: models.lowest,
                sentinel: u32::from(models.sentinel),
            },
        };
        let threads = Kernel::threads(code.rows, lanes);
        let launch = Launch {
            kernel: kernel.name,
            geometry: Geometry::spread(threads, self.gpu.runtime().multiprocessors())?,
            shared: 0,
            params: bytes_of(&params),
            fields: &ModelParams::FIELDS,
        };
        let memories = streams.memories().chain(models.memories()).chain(symbols.memory);
        self.gpu.launch_with_status(&launch, self.stream, &streams.status, memories)
    }
}

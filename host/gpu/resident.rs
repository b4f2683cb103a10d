//! Coding tensors that are on the device already: nothing is copied to the host but the outcome of
//! each row.

use bytemuck::{Zeroable, bytes_of};
use parans_kernels::abi::{CodeParams, Kernel, RowStatus, symbol_type};

use super::launch::{self, Geometry, below, unstaged};
use super::memory::Memory;
use super::status::outcome;
use super::tensors::{DeviceIndexes, DeviceSymbols, expect_shapes};
use super::{DeviceBuffer, DeviceTables, Gpu, Launch, StreamHandle};
use crate::cpu::{Failed, explain};
use crate::error::{Error, Result};
use crate::family::{Family, RowFormat, with_family};
use crate::plan::RowPlan;
use crate::streams::Streams;

/// Streams in device memory: states, words and lengths apart, one capacity for all rows.
#[derive(Debug)]
pub struct DeviceStreams {
    family: Family,
    lanes: usize,
    rows: usize,
    /// Words from row to row: the capacity of each.
    pub(super) stride: usize,
    pub(super) states: DeviceBuffer<u8>,
    pub(super) words: DeviceBuffer<u8>,
    pub(super) lengths: DeviceBuffer<u32>,
    pub(super) status: DeviceBuffer<RowStatus>,
}

impl DeviceStreams {
    /// Initial rows with a capacity of `capacity` bytes of words each.
    ///
    /// # Errors
    /// [`Error::Device`] where memory is short.
    pub fn new(
        gpu: &Gpu,
        family: Family,
        rows: usize,
        lanes: usize,
        capacity: usize,
    ) -> Result<Self> {
        let initial = Streams::new(family, rows, lanes)?;
        Self::from_streams(gpu, &initial, capacity)
    }

    /// Initial rows with capacity for whatever one push of `columns` symbols per row can need.
    pub(super) fn of_plan(gpu: &Gpu, plan: &RowPlan, rows: usize, columns: usize) -> Result<Self> {
        let capacity = plan.words_at_most(columns)?.saturating_mul(plan.family.word_bytes());
        Self::new(gpu, plan.family, rows, plan.lanes, capacity)
    }

    /// Memory for rows; states and lengths are for the caller to fill.
    pub(super) fn uninitialised(
        gpu: &Gpu,
        (family, lanes): (Family, usize),
        rows: usize,
        stride: usize,
    ) -> Result<Self> {
        let fields = rows * family.header_fields(lanes);
        let Some(words) = rows.checked_mul(stride * family.word_bytes()) else {
            return Err(Error::InvalidArgument(format!("{rows} rows of {stride} words")));
        };
        Ok(Self {
            family,
            lanes,
            rows,
            stride,
            states: DeviceBuffer::new(gpu, fields * family.state_bytes())?,
            words: DeviceBuffer::new(gpu, words)?,
            lengths: DeviceBuffer::new(gpu, rows)?,
            status: DeviceBuffer::new(gpu, rows)?,
        })
    }

    /// A copy of streams, with capacity for `more` bytes beyond the longest row.
    ///
    /// # Errors
    /// [`Error::Device`] where memory is short.
    pub fn from_streams(gpu: &Gpu, streams: &Streams, more: usize) -> Result<Self> {
        with_family!(streams.family(), F => Self::copy_of::<F>(gpu, streams, more))
    }

    fn copy_of<F: RowFormat>(gpu: &Gpu, streams: &Streams, more: usize) -> Result<Self> {
        let parts = streams.parts::<F>();
        let rows = streams.rows();
        let longest = parts.lens.iter().copied().max().unwrap_or(0);
        let stride = longest + more.div_ceil(size_of::<F::Unit>());
        let device = Self::uninitialised(gpu, (F::FAMILY, streams.lanes()), rows, stride)?;
        device.states.upload(0, bytemuck::cast_slice(parts.states))?;
        let lens: Vec<u32> = parts.lens.iter().map(|&len| len as u32).collect();
        device.lengths.upload(0, &lens)?;
        device.words_to_device(&lens, |row| {
            bytemuck::cast_slice(&parts.words[parts.starts[row]..][..parts.lens[row]])
        })?;
        Ok(device)
    }

    /// A copy in host memory.
    ///
    /// # Errors
    /// [`Error::Device`] where copying fails, or what came before it.
    pub fn to_streams(&self) -> Result<Streams> {
        with_family!(self.family, F => self.copy_to::<F>())
    }

    fn copy_to<F: RowFormat>(&self) -> Result<Streams> {
        let states: Vec<F::Field> = self.states_to_host::<F>()?;
        let lens = self.lengths.to_vec()?;
        let packed = self.words_to_host(&lens)?;
        let lens = lens.into_iter().map(|len| len as usize).collect();
        Streams::from_rows::<F>(self.lanes, &states, lens, |row, words| {
            bytemuck::cast_slice_mut(words).copy_from_slice(packed.row(row));
            Ok(())
        })
    }

    pub(super) fn states_to_host<F: RowFormat>(&self) -> Result<Vec<F::Field>> {
        let mut states = vec![F::Field::zeroed(); self.states.len() / size_of::<F::Field>()];
        self.states.download(0, bytemuck::cast_slice_mut(&mut states))?;
        Ok(states)
    }

    /// Their device.
    pub(super) fn gpu(&self) -> &Gpu {
        self.words.memory.gpu()
    }

    /// Bytes of a word.
    pub(super) fn word_bytes(&self) -> usize {
        self.family.word_bytes()
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// An error unless these are streams of a coder's family and lanes.
    pub(super) fn expect_coder(&self, plan: &RowPlan) -> Result<()> {
        plan.expect_family(self.family, self.lanes)
    }

    /// What a launch reads and writes beside the statuses.
    pub(super) fn memories(&self) -> impl Iterator<Item = &Memory> + Clone {
        [&self.states.memory, &self.words.memory, &self.lengths.memory].into_iter()
    }

    /// The first row that failed in the last push or pop, if any.
    pub(super) fn first_failure(&self) -> Result<Option<Failed>> {
        for (row, status) in self.status.to_vec()?.into_iter().enumerate() {
            if let Err(fault) = outcome(row, status)? {
                return Ok(Some((row, fault)));
            }
        }
        Ok(None)
    }
}

/// A coder on its device, over tensors in device memory, on one stream of the device.
#[derive(Clone, Copy, Debug)]
pub struct GpuCoder<'c> {
    gpu: &'c Gpu,
    plan: &'c RowPlan,
    tables: &'c DeviceTables,
    stream: StreamHandle,
}

impl<'c> GpuCoder<'c> {
    pub(crate) fn new(gpu: &'c Gpu, plan: &'c RowPlan, tables: &'c DeviceTables) -> Self {
        Self { gpu, plan, tables, stream: StreamHandle::OWN }
    }

    /// The coder on a caller's stream. Work that the caller put there earlier is done first, and
    /// so is what the library did with the same [`DeviceBuffer`]s and [`DeviceStreams`] on other
    /// streams.
    pub fn on_stream(mut self, stream: StreamHandle) -> Self {
        self.stream = stream;
        self
    }

    /// The device.
    pub fn gpu(&self) -> &'c Gpu {
        self.gpu
    }

    /// Initial streams with capacity for whatever one push of `columns` symbols per row can need:
    /// planned from the tables alone, without asking the device.
    ///
    /// # Errors
    /// [`Error::Device`] where memory is short.
    pub fn streams(&self, rows: usize, columns: usize) -> Result<DeviceStreams> {
        DeviceStreams::of_plan(self.gpu, self.plan, rows, columns)
    }

    pub(super) fn plan(&self) -> &'c RowPlan {
        self.plan
    }

    /// The error of a failed row.
    pub(super) fn explain(
        &self,
        failed: Failed,
        index: i32,
        symbol: impl Fn(usize, usize) -> i32,
    ) -> Error {
        explain(self.plan, self.tables.places.len(), failed, index, symbol)
    }

    /// Pushes, waits, and checks every row.
    ///
    /// # Errors
    /// [`Error::Shape`] where shapes disagree; [`Error::Row`] names the first row that failed. Rows
    /// that failed are as they were; the others were pushed.
    pub fn push(
        &self,
        streams: &mut DeviceStreams,
        symbols: &DeviceSymbols<'_>,
        indexes: &DeviceIndexes<'_>,
    ) -> Result<()> {
        self.enqueue_push(streams, symbols, indexes)?;
        self.check(streams, symbols, indexes)
    }

    /// Pops into `symbols`, waits, and checks every row.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn pop(
        &self,
        streams: &mut DeviceStreams,
        symbols: &DeviceSymbols<'_>,
        indexes: &DeviceIndexes<'_>,
    ) -> Result<()> {
        self.enqueue_pop(streams, symbols, indexes)?;
        self.check(streams, symbols, indexes)
    }

    /// Starts a push without waiting for it. [`check`](Self::check) returns how it went, as long as
    /// nothing else was started on these streams.
    ///
    /// # Errors
    /// [`Error::Shape`] where shapes disagree; [`Error::Device`] where the launch fails.
    pub fn enqueue_push(
        &self,
        streams: &mut DeviceStreams,
        symbols: &DeviceSymbols<'_>,
        indexes: &DeviceIndexes<'_>,
    ) -> Result<()> {
        self.launch(true, streams, symbols, indexes)
    }

    /// Starts a pop without waiting for it; see [`enqueue_push`](Self::enqueue_push).
    ///
    /// # Errors
    /// As [`enqueue_push`](Self::enqueue_push).
    pub fn enqueue_pop(
        &self,
        streams: &mut DeviceStreams,
        symbols: &DeviceSymbols<'_>,
        indexes: &DeviceIndexes<'_>,
    ) -> Result<()> {
        self.launch(false, streams, symbols, indexes)
    }

    /// Waits for the stream and reports the first row that the last push or pop failed on.
    ///
    /// # Errors
    /// [`Error::Row`], with the symbol and index at fault read from the device;
    /// [`Error::InvalidTable`] where the tables were made on the device and one of them could not
    /// be; [`Error::Device`] where the device itself failed.
    pub fn check(
        &self,
        streams: &DeviceStreams,
        symbols: &DeviceSymbols<'_>,
        indexes: &DeviceIndexes<'_>,
    ) -> Result<()> {
        self.tables.check()?;
        let Some(failed) = streams.first_failure()? else { return Ok(()) };
        let table = indexes.value_at(self.gpu, self.stream, failed.0, failed.1.position);
        Err(self.explain(failed, table, |row, position| {
            symbols.value_at(self.gpu, self.stream, row, position)
        }))
    }

    pub(super) fn launch(
        &self,
        push: bool,
        streams: &mut DeviceStreams,
        symbols: &DeviceSymbols<'_>,
        indexes: &DeviceIndexes<'_>,
    ) -> Result<()> {
        let (rows, columns) = (symbols.rows, symbols.columns);
        expect_shapes(
            "symbols",
            (rows, columns),
            [("indexes", (indexes.rows, indexes.columns)), ("streams", (streams.rows, columns))],
        )?;
        streams.expect_coder(self.plan)?;
        let mut shape = self.tables.shape(self.plan, symbols.shape(streams.stride)?);
        shape.index_type = indexes.kind;
        shape.index_row_stride = below("indexes from row to row", indexes.row_stride, u32::MAX)?;
        shape.index_symbol_stride = indexes.symbol_stride;
        shape.index_constant = indexes.constant;
        let [tables, entries, mut lookup] = self.tables.addresses(push);
        let runtime = self.gpu.runtime();
        let threads = Kernel::threads(shape.rows, shape.lanes);
        let mut geometry = Geometry::spread(threads, runtime.multiprocessors())?;
        let mut kernel = launch::kernel(self.plan, self.tables.lookup, push)?;
        let places = &self.tables.places[..];
        let signed = matches!(symbols.kind, symbol_type::I16 | symbol_type::I32);
        let fit = push || launch::holds(places, 1 << (symbols.kind & 3), signed);
        if let Some((operation, address, bytes)) = self.tables.packed(push).filter(|_| fit) {
            kernel = launch::find(self.plan, operation)?;
            lookup = address;
            shape.same_offset = u32::from(places.windows(2).all(|w| w[0].offset == w[1].offset));
            let large = Geometry::staged(threads, runtime.multiprocessors(), bytes as u32)?;
            let count = rows as u64 * columns as u64;
            let limit =
                runtime.shared_memory().saturating_sub(unstaged(kernel, shape.lanes, large));
            if launch::stages(bytes, limit, large, count) {
                geometry = large;
                shape.staged = bytes as u32;
            }
        }
        let shared = shape.staged + unstaged(kernel, shape.lanes, geometry);
        let params = CodeParams {
            states: streams.states.address(),
            words: streams.words.address(),
            lengths: streams.lengths.address(),
            status: streams.status.address(),
            symbols: symbols.address,
            indexes: indexes.address,
            tables,
            entries,
            lookup,
            shape,
        };
        let launch = Launch {
            kernel: kernel.name,
            geometry,
            shared,
            params: bytes_of(&params),
            fields: &CodeParams::FIELDS,
        };
        let memories = streams.memories().chain(symbols.memory).chain(indexes.memory);
        self.gpu.launch_with_status(&launch, self.stream, &streams.status, memories)
    }
}

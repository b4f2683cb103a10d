//! Coding tensors that are on the device already: nothing is copied to the host but the outcome of
//! each row.

use bytemuck::{Pod, Zeroable, bytes_of};
use parans_kernels::abi::{CodeParams, CodeShape, Kernel, RowStatus, index_type, symbol_type};
use parans_kernels::codec::RowFault;

use super::plan::{self, Geometry, below};
use super::{DeviceAddress, DeviceBuffer, DeviceElement, DeviceTables, Gpu, Launch, StreamHandle};
use crate::cpu::{Failed, explain};
use crate::error::{Error, Result};
use crate::family::{Family, RowFormat, with_family};
use crate::plan::Plan;
use crate::streams::Streams;
use crate::symbols::{NativeSymbol, SymbolSlice};

/// Symbols of shape (rows, columns) in device memory.
#[derive(Clone, Copy, Debug)]
pub struct DeviceSymbols {
    pub(super) address: DeviceAddress,
    pub(super) rows: usize,
    pub(super) columns: usize,
    row_stride: usize,
    kind: u32,
}

/// How a symbol type is named to the kernels.
pub(super) fn symbol_kind(symbols: SymbolSlice<'_>) -> u32 {
    match symbols {
        SymbolSlice::I32(_) => symbol_type::I32,
        SymbolSlice::I16(_) => symbol_type::I16,
        SymbolSlice::U16(_) => symbol_type::U16,
        SymbolSlice::U8(_) => symbol_type::U8,
    }
}

impl DeviceSymbols {
    /// The symbols of a buffer, `rows` rows one after another. The buffer must outlive every use.
    ///
    /// # Errors
    /// [`Error::Shape`] where its length is no multiple of `rows`.
    pub fn of<S: NativeSymbol>(buffer: &DeviceBuffer<S>, rows: usize) -> Result<Self> {
        let columns = columns_of("device symbols", buffer.len(), rows)?;
        Ok(Self::at::<S>(buffer.address(), rows, columns, columns))
    }

    /// Symbols of type `S` at an address of the device, `row_stride` symbols from row to row: a
    /// tensor that another library owns.
    pub fn at<S: NativeSymbol>(
        address: DeviceAddress,
        rows: usize,
        columns: usize,
        row_stride: usize,
    ) -> Self {
        Self { address, rows, columns, row_stride, kind: symbol_kind(S::erase(&[])) }
    }

    pub(super) fn of_kind(kind: u32, address: DeviceAddress, rows: usize, columns: usize) -> Self {
        Self { address, rows, columns, row_stride: columns, kind }
    }

    /// The part of a launch's shape that says where these symbols and the words of their rows lie.
    pub(super) fn shape(&self, word_stride: usize) -> Result<CodeShape> {
        Ok(CodeShape {
            rows: below("rows", self.rows, u32::MAX)?,
            symbols: below("symbols a row", self.columns, 1 << 31)?,
            word_stride: below("words a row", word_stride, 1 << 31)?,
            symbol_stride: self.row_stride as u32,
            symbol_type: self.kind,
            ..CodeShape::default()
        })
    }

    /// Reads one symbol for an error's message; 0 where even that fails.
    pub(super) fn value_at(
        &self,
        gpu: &Gpu,
        stream: StreamHandle,
        row: usize,
        position: usize,
    ) -> i32 {
        let signed = self.kind == symbol_type::I16;
        let at = row * self.row_stride + position;
        read(gpu, stream, self.address, at, (1 << (self.kind & 3), signed))
    }
}

/// Reads one value for an error's message; 0 where even that fails.
fn read(
    gpu: &Gpu,
    stream: StreamHandle,
    address: DeviceAddress,
    at: usize,
    (width, signed): (usize, bool),
) -> i32 {
    let mut bytes = [0u8; 4];
    let from = address + (at * width) as u64;
    if gpu.runtime().download(from, &mut bytes[..width], stream).is_err() {
        return 0;
    }
    let value = i32::from_le_bytes(bytes);
    if signed && width < 4 { value << (32 - 8 * width) >> (32 - 8 * width) } else { value }
}

fn columns_of(what: &'static str, len: usize, rows: usize) -> Result<usize> {
    if len == 0 || (rows > 0 && len.is_multiple_of(rows)) {
        return Ok(len / rows.max(1));
    }
    Err(Error::Shape { what, expected: format!("a multiple of {rows} rows"), got: len.to_string() })
}

/// The indexes of (rows, columns) symbols, in device memory or one for all.
#[derive(Clone, Copy, Debug)]
pub struct DeviceIndexes {
    pub(super) address: DeviceAddress,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) kind: u32,
    pub(super) row_stride: u32,
    pub(super) symbol_stride: u32,
    pub(super) constant: i32,
}

/// An index type in device memory: `i32`, `u16` or `u8`.
pub trait DeviceIndex: DeviceElement {
    /// How the kernels name it.
    #[doc(hidden)]
    const KIND: u32;
}
impl DeviceIndex for i32 {
    const KIND: u32 = index_type::I32;
}
impl DeviceIndex for u16 {
    const KIND: u32 = index_type::U16;
}
impl DeviceIndex for u8 {
    const KIND: u32 = index_type::U8;
}

impl DeviceIndexes {
    /// The same table for all symbols.
    pub fn one(index: i32, rows: usize, columns: usize) -> Self {
        let kind = index_type::CONSTANT;
        let (address, row_stride, symbol_stride) = (0, 0, 0);
        Self { address, rows, columns, kind, row_stride, symbol_stride, constant: index }
    }

    /// A table a symbol, `rows` rows one after another. The buffer must outlive every use.
    ///
    /// # Errors
    /// [`Error::Shape`] where its length is no multiple of `rows`.
    pub fn each<I: DeviceIndex>(buffer: &DeviceBuffer<I>, rows: usize) -> Result<Self> {
        let columns = columns_of("device indexes", buffer.len(), rows)?;
        Ok(Self { row_stride: columns as u32, ..Self::in_memory(buffer, rows, columns, 1) })
    }

    /// A table a row, each row of `columns` symbols.
    pub fn per_row<I: DeviceIndex>(buffer: &DeviceBuffer<I>, columns: usize) -> Self {
        Self { row_stride: 1, ..Self::in_memory(buffer, buffer.len(), columns, 0) }
    }

    /// A table a column, the same in each of `rows` rows.
    pub fn per_column<I: DeviceIndex>(buffer: &DeviceBuffer<I>, rows: usize) -> Self {
        Self::in_memory(buffer, rows, buffer.len(), 1)
    }

    fn in_memory<I: DeviceIndex>(
        buffer: &DeviceBuffer<I>,
        rows: usize,
        columns: usize,
        symbol_stride: u32,
    ) -> Self {
        let (address, kind) = (buffer.address(), I::KIND);
        Self { address, rows, columns, kind, row_stride: 0, symbol_stride, constant: 0 }
    }
}

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
    /// Fresh rows with room for `capacity` bytes of words each.
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
        let fresh = Streams::new(family, rows, lanes)?;
        Self::from_streams(gpu, &fresh, capacity)
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

    /// A copy of streams, with room for `more` bytes beyond the longest row.
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
        device.lengths.upload(0, &parts.lens.iter().map(|&len| len as u32).collect::<Vec<_>>())?;
        for (row, &len) in parts.lens.iter().enumerate() {
            let words = &parts.words[parts.starts[row]..][..len];
            device
                .words
                .upload(row * device.stride * size_of::<F::Unit>(), bytemuck::cast_slice(words))?;
        }
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
        let lens: Vec<usize> = self.lengths.to_vec()?.into_iter().map(|len| len as usize).collect();
        Streams::from_rows::<F>(self.lanes, &states, lens, |row, words| {
            self.words_to_host(row, 0, words)
        })
    }

    pub(super) fn states_to_host<F: RowFormat>(&self) -> Result<Vec<F::Field>> {
        let mut states = vec![F::Field::zeroed(); self.states.len() / size_of::<F::Field>()];
        self.states.download(0, bytemuck::cast_slice_mut(&mut states))?;
        Ok(states)
    }

    /// Words of a row from `at` on.
    pub(super) fn words_to_host<W: Pod>(
        &self,
        row: usize,
        at: usize,
        words: &mut [W],
    ) -> Result<()> {
        let at = (row * self.stride + at) * size_of::<W>();
        self.words.download(at, bytemuck::cast_slice_mut(words))
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// An error unless these are streams of a coder's family and lanes.
    pub(super) fn expect_coder(&self, family: Family, lanes: usize) -> Result<()> {
        if (self.family, self.lanes) == (family, lanes) {
            return Ok(());
        }
        Err(Error::InvalidArgument(format!(
            "streams of {} with {} lanes; the coder is {family} with {lanes}",
            self.family, self.lanes
        )))
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

/// What a kernel stored of a row. A code that no kernel stores is the device's error.
pub(super) fn outcome(row: usize, status: RowStatus) -> Result<Result<(), RowFault>> {
    status.outcome().ok_or_else(|| {
        Error::Device(format!("the status of row {row} is {}, which no kernel writes", status.code))
    })
}

/// A coder on its device, over tensors in device memory, on one stream of the device.
#[derive(Clone, Copy, Debug)]
pub struct GpuCoder<'c> {
    gpu: &'c Gpu,
    plan: &'c Plan,
    tables: &'c DeviceTables,
    stream: StreamHandle,
}

impl<'c> GpuCoder<'c> {
    pub(crate) fn new(gpu: &'c Gpu, plan: &'c Plan, tables: &'c DeviceTables) -> Self {
        Self { gpu, plan, tables, stream: StreamHandle::default() }
    }

    /// The coder on a caller's stream. Work that the caller put there earlier is done first.
    pub fn on_stream(mut self, stream: StreamHandle) -> Self {
        self.stream = stream;
        self
    }

    /// The device.
    pub fn gpu(&self) -> &'c Gpu {
        self.gpu
    }

    /// Fresh streams with room for whatever one push of `columns` symbols a row can need: planned
    /// from the tables alone, without asking the device.
    ///
    /// # Errors
    /// [`Error::Device`] where memory is short.
    pub fn streams(&self, rows: usize, columns: usize) -> Result<DeviceStreams> {
        let words = self.plan.words_at_most(columns).ok_or_else(|| {
            Error::InvalidArgument(format!("rows of {columns} symbols exceed the address space"))
        })?;
        let capacity = words * self.plan.family.word_bytes();
        DeviceStreams::new(self.gpu, self.plan.family, rows, self.plan.lanes, capacity)
    }

    /// Pushes, waits, and checks every row.
    ///
    /// # Errors
    /// [`Error::Shape`] where shapes disagree; [`Error::Row`] names the first row that failed. Rows
    /// that failed are as they were; the others were pushed.
    pub fn push(
        &self,
        streams: &mut DeviceStreams,
        symbols: &DeviceSymbols,
        indexes: &DeviceIndexes,
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
        symbols: &DeviceSymbols,
        indexes: &DeviceIndexes,
    ) -> Result<()> {
        self.enqueue_pop(streams, symbols, indexes)?;
        self.check(streams, symbols, indexes)
    }

    /// Starts a push without waiting for it. [`check`](Self::check) tells how it went, as long as
    /// nothing else was started on these streams.
    ///
    /// # Errors
    /// [`Error::Shape`] where shapes disagree; [`Error::Device`] where the launch fails.
    pub fn enqueue_push(
        &self,
        streams: &mut DeviceStreams,
        symbols: &DeviceSymbols,
        indexes: &DeviceIndexes,
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
        symbols: &DeviceSymbols,
        indexes: &DeviceIndexes,
    ) -> Result<()> {
        self.launch(false, streams, symbols, indexes)
    }

    /// Waits for the stream and reports the first row that the last push or pop failed on.
    ///
    /// # Errors
    /// [`Error::Row`], with the symbol and index at fault read from the device; [`Error::Device`]
    /// where the device itself failed.
    pub fn check(
        &self,
        streams: &DeviceStreams,
        symbols: &DeviceSymbols,
        indexes: &DeviceIndexes,
    ) -> Result<()> {
        self.gpu.runtime().synchronise(self.stream)?;
        let Some(failed) = streams.first_failure()? else { return Ok(()) };
        let table = self.index_at(indexes, failed.0, failed.1.position);
        Err(explain(self.plan, failed, table, |row, position| {
            symbols.value_at(self.gpu, self.stream, row, position)
        }))
    }

    fn index_at(&self, indexes: &DeviceIndexes, row: usize, position: usize) -> i32 {
        if position >= indexes.columns {
            return -1;
        }
        if indexes.kind == index_type::CONSTANT {
            return indexes.constant;
        }
        let at = row * indexes.row_stride as usize + position * indexes.symbol_stride as usize;
        read(self.gpu, self.stream, indexes.address, at, (1 << indexes.kind, false))
    }

    fn launch(
        &self,
        push: bool,
        streams: &mut DeviceStreams,
        symbols: &DeviceSymbols,
        indexes: &DeviceIndexes,
    ) -> Result<()> {
        let (rows, columns) = (symbols.rows, symbols.columns);
        for (what, got) in
            [("indexes", (indexes.rows, indexes.columns)), ("streams", (streams.rows, columns))]
        {
            if got != (rows, columns) {
                return Err(Error::Shape {
                    what,
                    expected: format!("({rows}, {columns}) as the symbols"),
                    got: format!("({}, {})", got.0, got.1),
                });
            }
        }
        streams.expect_coder(self.plan.family, self.plan.lanes)?;
        let mut shape = plan::shape(self.plan, symbols.shape(streams.stride)?)?;
        shape.index_type = indexes.kind;
        shape.index_row_stride = indexes.row_stride;
        shape.index_symbol_stride = indexes.symbol_stride;
        shape.index_constant = indexes.constant;
        let [tables, entries, mut lookup] = self.tables.addresses(push);
        let runtime = self.gpu.runtime();
        let threads = Kernel::threads(shape.rows, shape.lanes);
        let mut geometry = Geometry::spread(threads, runtime.multiprocessors())?;
        let mut kernel = plan::kernel(self.plan, push)?;
        let places = self.plan.tables.prepared().tables();
        let signed = matches!(symbols.kind, symbol_type::I16 | symbol_type::I32);
        let fit = push || plan::holds(places, 1 << (symbols.kind & 3), signed);
        if let Some((operation, address, bytes)) = self.tables.packed(push).filter(|_| fit) {
            kernel = plan::find(self.plan, operation)?;
            lookup = address;
            shape.same_offset = u32::from(places.windows(2).all(|w| w[0].offset == w[1].offset));
            let large = Geometry::staged(threads, runtime.multiprocessors(), bytes as u32)?;
            let count = rows as u64 * columns as u64;
            if plan::stages(bytes, runtime.shared_memory(), large, count) {
                geometry = large;
                shape.staged = bytes as u32;
            }
        }
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
            shared: shape.staged,
            params: bytes_of(&params),
            fields: &CodeParams::FIELDS,
        };
        self.gpu.launch(&launch, self.stream)
    }
}

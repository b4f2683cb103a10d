//! The coder: symbols and indexes to streams and bytes, and back.
//!
//! A coder is a plan (family, lanes, lookup, bypass, tables) and a back end that carries it out.
//! Whatever the back end, the bytes are the same.

mod builder;
mod checkpoints;
mod queue;

use std::sync::Arc;

use ndarray::Array2;

use crate::cpu;
use crate::error::{Error, Result};
use crate::family::Family;
use crate::gpu::{self, DeviceTables, Gpu, GpuCoder};
use crate::memory;
use crate::plan::{Lookup, Plan};
use crate::streams::{LengthBytes, Merged, Streams};
use crate::symbols::{Indexes, NativeSymbol, Symbol, SymbolSliceMut, Symbols, pop_as};
use crate::tables::Tables;

pub use builder::{Bypass, CoderBuilder, Device};
pub use queue::{Dequeue, Queue};

/// A device and the coder's tables on it.
#[derive(Clone, Debug)]
struct OnGpu {
    gpu: Gpu,
    tables: Arc<DeviceTables>,
}

impl OnGpu {
    /// What codes host tensors by way of the device.
    fn staged<'a>(&'a self, plan: &'a Plan, indexes: &'a Indexes<'a>) -> gpu::Staged<'a> {
        gpu::Staged::Tables(GpuCoder::new(&self.gpu, plan, &self.tables), indexes)
    }
}

/// Codes symbols with tables. Cheap to clone; used from any number of threads at once.
#[derive(Clone, Debug)]
pub struct Coder {
    plan: Plan,
    /// The device it runs on, where that is not the CPU.
    on_gpu: Option<OnGpu>,
    length_bytes: LengthBytes,
    known_rows: bool,
    parallel_rows: Option<usize>,
}

impl Coder {
    /// A coder of a family: one lane, lookup by itself, no bypass, on the CPU, unless said
    /// otherwise.
    pub fn builder(family: Family) -> CoderBuilder {
        CoderBuilder::new(family)
    }

    /// The family.
    pub fn family(&self) -> Family {
        self.plan.family
    }

    /// Interleaved states a row.
    pub fn lanes(&self) -> usize {
        self.plan.lanes
    }

    /// The lookup in use; never [`Lookup::Auto`].
    pub fn lookup(&self) -> Lookup {
        self.plan.lookup
    }

    /// What codes symbols outside their table.
    pub fn bypass(&self) -> Bypass {
        self.plan.bypass.map_or(Bypass::Off, |bypass| Bypass::Digits(bypass.bits()))
    }

    /// The tables.
    pub fn tables(&self) -> &Tables {
        &self.plan.tables
    }

    /// The coder over tensors in device memory; `None` where it runs on the CPU.
    pub fn on_gpu(&self) -> Option<GpuCoder<'_>> {
        self.on_gpu.as_ref().map(|on| GpuCoder::new(&on.gpu, &self.plan, &on.tables))
    }

    /// Initial streams for this coder.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for more rows than there is memory for.
    pub fn streams(&self, rows: usize) -> Result<Streams> {
        self.plan.streams(rows)
    }

    /// Pushes symbols of shape (rows, columns) onto as many streams.
    ///
    /// # Errors
    /// [`Error::Shape`] where shapes disagree; [`Error::Row`] for a symbol or index that cannot be
    /// coded, with its position. The streams are then as they were.
    pub fn push<'a, S: Symbol>(
        &self,
        streams: &mut Streams,
        symbols: impl Into<Symbols<'a, S>>,
        indexes: impl Into<Indexes<'a>>,
    ) -> Result<()> {
        let symbols = symbols.into();
        let indexes = indexes.into().for_symbols(symbols.rows(), symbols.columns())?;
        self.push_shaped(streams, &symbols.coded()?, &indexes)
    }

    /// Pushes symbols of the indexes' shape.
    fn push_shaped<S: NativeSymbol>(
        &self,
        streams: &mut Streams,
        symbols: &Symbols<'_, S>,
        indexes: &Indexes<'_>,
    ) -> Result<()> {
        let plan = &self.plan;
        plan.expect_streams(streams, symbols.rows())?;
        let erased = symbols.erased();
        plan.push(streams, symbols.columns(), |streams| match &self.on_gpu {
            None => cpu::push(plan, streams, erased, indexes),
            Some(on) => gpu::push(&on.staged(plan, indexes), streams, erased),
        })
    }

    /// Pops symbols of the indexes' shape, (rows, columns): what the last push of that shape
    /// pushed.
    ///
    /// # Errors
    /// [`Error::Shape`] where shapes disagree; [`Error::Row`] for a truncated or damaged row. The
    /// streams are then as they were.
    pub fn pop<'a, S: Symbol>(
        &self,
        streams: &mut Streams,
        indexes: impl Into<Indexes<'a>>,
    ) -> Result<Array2<S>> {
        let indexes = indexes.into().with_own_shape()?;
        let shape = (indexes.rows(), indexes.columns());
        self.plan.expect_streams(streams, shape.0)?;
        let mut symbols = memory::zeros(memory::cells(shape.0, shape.1)?)?;
        self.pop_shaped(streams, &indexes, &mut symbols)?;
        Array2::from_shape_vec(shape, symbols).map_err(|e| Error::InvalidArgument(e.to_string()))
    }

    /// [`pop`](Self::pop) into a caller's slice of rows one after another.
    ///
    /// # Errors
    /// As [`pop`](Self::pop); [`Error::Shape`] where the slice has another length than the indexes.
    pub fn pop_into<'a, S: Symbol>(
        &self,
        streams: &mut Streams,
        indexes: impl Into<Indexes<'a>>,
        symbols: &mut [S],
    ) -> Result<()> {
        self.pop_shaped(streams, &indexes.into().with_own_shape()?, symbols)
    }

    fn pop_shaped<S: Symbol>(
        &self,
        streams: &mut Streams,
        indexes: &Indexes<'_>,
        symbols: &mut [S],
    ) -> Result<()> {
        self.plan.expect_streams(streams, indexes.rows())?;
        Self::expect_length(indexes, symbols)?;
        let place = |at| (at / indexes.columns(), at % indexes.columns());
        pop_as(streams, symbols, place, |streams, symbols| {
            self.pop_erased(streams, symbols, indexes)
        })
    }

    /// Pops symbols of the indexes' shape. Their type is a value here, not a parameter.
    fn pop_erased(
        &self,
        streams: &mut Streams,
        symbols: SymbolSliceMut<'_>,
        indexes: &Indexes<'_>,
    ) -> Result<()> {
        let plan = &self.plan;
        match &self.on_gpu {
            None => cpu::pop(plan, streams, symbols, indexes),
            Some(on) => gpu::pop(&on.staged(plan, indexes), streams, symbols),
        }
    }

    fn expect_length<S>(indexes: &Indexes<'_>, symbols: &[S]) -> Result<()> {
        if symbols.len() != memory::cells(indexes.rows(), indexes.columns())? {
            return Err(Error::Shape {
                what: "symbols to pop into",
                expected: format!("{} x {}", indexes.rows(), indexes.columns()),
                got: symbols.len().to_string(),
            });
        }
        Ok(())
    }

    /// Encodes symbols of shape (rows, columns) to merged bytes, as torch_ans'
    /// `encode_with_indexes` does. `indexes` has the same shape, or is one table for all symbols.
    ///
    /// ```
    /// use ndarray::array;
    /// use parans::{Coder, Family, Indexes, Tables};
    ///
    /// let tables = Tables::from_counts(&array![[5, 3, 1]], 8)?;
    /// let coder = Coder::builder(Family::Rans64).build(tables)?;
    /// let symbols = array![[0i64, 2, 1], [1, 0, 0]];
    /// let bytes = coder.encode(&symbols, 0)?;
    /// assert_eq!(coder.decode::<i64>(&bytes, Indexes::one(0, 2, 3))?, symbols);
    /// # Ok::<(), parans::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`push`](Self::push) and [`Streams::to_merged`].
    pub fn encode<'a, S: Symbol>(
        &self,
        symbols: impl Into<Symbols<'a, S>>,
        indexes: impl Into<Indexes<'a>>,
    ) -> Result<Vec<u8>> {
        let streams = self.encode_streams(&symbols.into(), indexes.into())?;
        streams.to_merged(self.merged(streams.rows()))
    }

    /// [`encode`](Self::encode) to the front of a caller's buffer, for memory that is there already
    /// or has to be of a certain kind. Returns how many bytes of it were written, as the
    /// `compress_into` of other compressors does.
    ///
    /// ```
    /// use ndarray::array;
    /// use parans::{Coder, Family, Indexes, Tables};
    ///
    /// let coder = Coder::builder(Family::Rans64).build(Tables::from_counts(&array![[5, 3]], 8)?)?;
    /// let mut buffer = [0; 64];
    /// let written = coder.encode_into(&array![[0, 1, 0, 0]], 0, &mut buffer)?;
    ///
    /// let mut symbols = [0; 4];
    /// coder.decode_into(&buffer[..written], Indexes::one(0, 1, 4), &mut symbols)?;
    /// assert_eq!(symbols, [0, 1, 0, 0]);
    /// # Ok::<(), parans::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`encode`](Self::encode); [`Error::Shape`] where the buffer is too small, which says how
    /// many bytes it takes. The buffer is then as it was.
    pub fn encode_into<'a, S: Symbol>(
        &self,
        symbols: impl Into<Symbols<'a, S>>,
        indexes: impl Into<Indexes<'a>>,
        buffer: &mut [u8],
    ) -> Result<usize> {
        let streams = self.encode_streams(&symbols.into(), indexes.into())?;
        streams.to_merged_into(self.merged(streams.rows()), buffer)
    }

    fn encode_streams<S: Symbol>(
        &self,
        symbols: &Symbols<'_, S>,
        indexes: Indexes<'_>,
    ) -> Result<Streams> {
        let indexes = indexes.for_symbols(symbols.rows(), symbols.columns())?;
        let symbols = symbols.coded()?;
        let mut streams;
        if let Some((rows, columns)) = self.reshaped(symbols.rows(), symbols.columns())? {
            let mut flat = memory::zeros(memory::cells(rows, columns)?)?;
            flat[..symbols.as_slice().len()].copy_from_slice(symbols.as_slice());
            streams = self.streams(rows)?;
            let symbols = Symbols::from_slice(&flat, rows)?;
            self.push_shaped(&mut streams, &symbols, &indexes.reshaped(rows, columns)?)?;
        } else {
            streams = self.streams(symbols.rows())?;
            self.push_shaped(&mut streams, &symbols, &indexes)?;
        }
        Ok(streams)
    }

    /// Decodes merged bytes to symbols of the indexes' shape, and checks that nothing is left over.
    ///
    /// # Errors
    /// As [`Streams::from_merged`] and [`pop`](Self::pop); [`Error::Row`] where a row's final
    /// states are not the family's start value, which tells most damaged rows.
    pub fn decode<'a, S: Symbol>(
        &self,
        bytes: &[u8],
        indexes: impl Into<Indexes<'a>>,
    ) -> Result<Array2<S>> {
        let indexes = indexes.into().with_own_shape()?;
        let shape = (indexes.rows(), indexes.columns());
        let streams = self.coded_streams(bytes, &indexes)?;
        let mut symbols = memory::zeros(memory::cells(shape.0, shape.1)?)?;
        self.decode_streams(streams, &indexes, &mut symbols)?;
        Array2::from_shape_vec(shape, symbols).map_err(|e| Error::InvalidArgument(e.to_string()))
    }

    /// [`decode`](Self::decode) into a caller's slice of rows one after another.
    ///
    /// # Errors
    /// As [`decode`](Self::decode); [`Error::Shape`] where the slice has another length than the
    /// indexes. What the slice holds then is unspecified.
    pub fn decode_into<'a, S: Symbol>(
        &self,
        bytes: &[u8],
        indexes: impl Into<Indexes<'a>>,
        symbols: &mut [S],
    ) -> Result<()> {
        let indexes = indexes.into().with_own_shape()?;
        Self::expect_length(&indexes, symbols)?;
        self.decode_streams(self.coded_streams(bytes, &indexes)?, &indexes, symbols)
    }

    /// The streams that symbols of the indexes' shape were encoded to.
    fn coded_streams(&self, bytes: &[u8], indexes: &Indexes<'_>) -> Result<Streams> {
        let reshaped = self.reshaped(indexes.rows(), indexes.columns())?;
        self.streams_from(bytes, reshaped.map_or(indexes.rows(), |(rows, _)| rows))
    }

    fn decode_streams<S: Symbol>(
        &self,
        mut streams: Streams,
        indexes: &Indexes<'_>,
        symbols: &mut [S],
    ) -> Result<()> {
        if let Some((rows, columns)) = self.reshaped(indexes.rows(), indexes.columns())? {
            let mut flat = memory::zeros(memory::cells(rows, columns)?)?;
            self.pop_shaped(&mut streams, &indexes.reshaped(rows, columns)?, &mut flat)?;
            symbols.copy_from_slice(&flat[..symbols.len()]);
        } else {
            self.pop_shaped(&mut streams, indexes, symbols)?;
        }
        streams.expect_initial()
    }

    /// A queue: several encodes flushed into one batch of streams, which decode in the order in
    /// which they were encoded.
    pub fn queue<S: Symbol>(&self) -> Queue<'_, S> {
        Queue::new(self)
    }

    /// Reads what a [`queue`](Self::queue) flushed: `rows` streams in merged bytes.
    ///
    /// # Errors
    /// As [`Streams::from_merged`].
    pub fn dequeue(&self, bytes: &[u8], rows: usize) -> Result<Dequeue<'_>> {
        Ok(Dequeue::new(self, self.streams_from(bytes, rows)?))
    }

    fn streams_from(&self, bytes: &[u8], rows: usize) -> Result<Streams> {
        let streams = self.plan.streams_from(bytes, self.merged(rows))?;
        self.plan.expect_streams(&streams, rows)?;
        Ok(streams)
    }

    fn merged(&self, rows: usize) -> Merged {
        Merged { length_bytes: self.length_bytes, rows: self.known_rows.then_some(rows) }
    }

    /// The shape that parallel rows give (rows, columns) symbols; `None` where they stay as they
    /// are.
    fn reshaped(&self, rows: usize, columns: usize) -> Result<Option<(usize, usize)>> {
        let Some(parallel) = self.parallel_rows else { return Ok(None) };
        Ok(Some((parallel, memory::cells(rows, columns)?.div_ceil(parallel))))
    }
}

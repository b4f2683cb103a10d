//! Coding host tensors on a device: batches of rows are uploaded, coded, and their words and
//! symbols fetched back.
//!
//! A push uploads no words: kernels only write past a row's length, so a batch starts with empty
//! rows and what it pushed is appended on the host.

use std::ops::Range;

use super::launch::batches;
use super::resident::DeviceStreams;
use super::tensors::symbol_kind;
use super::{DeviceBuffer, DeviceIndexes, DeviceSymbols, Gpu, GpuCoder, GpuModelCoder};
use crate::cpu::{Failed, explain};
use crate::error::{Error, Result};
use crate::family::{RowFormat, with_family};
use crate::model::ModelSet;
use crate::plan::RowPlan;
use crate::streams::Streams;
use crate::symbols::{Indexes, IndexesIn, SymbolSlice, SymbolSliceMut};

/// The most device memory that one batch takes.
const BUDGET: u64 = 1 << 30;

fn budget(gpu: &Gpu) -> Result<u64> {
    Ok(BUDGET.min(gpu.runtime().free_memory()? / 2))
}

/// A batch's indexes on the device.
enum StagedIndexes {
    One(i32),
    PerRow(DeviceBuffer<i32>),
    PerColumn(DeviceBuffer<i32>),
    Each(DeviceBuffer<i32>),
    EachU16(DeviceBuffer<u16>),
    EachU8(DeviceBuffer<u8>),
}

impl StagedIndexes {
    fn upload(gpu: &Gpu, indexes: IndexesIn<'_>) -> Result<Self> {
        Ok(match indexes {
            IndexesIn::One(index) => Self::One(index),
            IndexesIn::PerRow(values) => Self::PerRow(DeviceBuffer::from_slice(gpu, values)?),
            IndexesIn::PerColumn(values) => Self::PerColumn(DeviceBuffer::from_slice(gpu, values)?),
            IndexesIn::Each(values) => Self::Each(DeviceBuffer::from_slice(gpu, values)?),
            IndexesIn::EachU16(values) => Self::EachU16(DeviceBuffer::from_slice(gpu, values)?),
            IndexesIn::EachU8(values) => Self::EachU8(DeviceBuffer::from_slice(gpu, values)?),
        })
    }

    fn view(&self, rows: usize, columns: usize) -> Result<DeviceIndexes<'_>> {
        Ok(match self {
            Self::One(index) => DeviceIndexes::one(*index, rows, columns),
            Self::PerRow(buffer) => DeviceIndexes::per_row(buffer, columns),
            Self::PerColumn(buffer) => DeviceIndexes::per_column(buffer, rows),
            Self::Each(buffer) => DeviceIndexes::each(buffer, rows)?,
            Self::EachU16(buffer) => DeviceIndexes::each(buffer, rows)?,
            Self::EachU8(buffer) => DeviceIndexes::each(buffer, rows)?,
        })
    }
}

/// The most bytes of an index.
const INDEX_BYTES: usize = 4;

/// A coder over device memory, and what is in host memory of the symbols' distributions.
pub(crate) enum Staged<'a> {
    /// Tables, and the indexes of all symbols.
    Tables(GpuCoder<'a>, &'a Indexes<'a>),
    /// Models of all symbols.
    Models(GpuModelCoder<'a>, ModelSet<'a>),
}

impl Staged<'_> {
    fn gpu(&self) -> &Gpu {
        match self {
            Self::Tables(coder, _) => coder.gpu(),
            Self::Models(coder, _) => coder.gpu(),
        }
    }

    fn plan(&self) -> &RowPlan {
        match self {
            Self::Tables(coder, _) => coder.plan(),
            Self::Models(coder, _) => coder.plan(),
        }
    }

    fn columns(&self) -> usize {
        match self {
            Self::Tables(_, indexes) => indexes.columns(),
            Self::Models(_, models) => models.shape().1,
        }
    }

    /// Bytes per symbol that go to the device with it.
    fn bytes(&self) -> usize {
        match self {
            Self::Tables(..) => INDEX_BYTES,
            Self::Models(_, models) => models.device_bytes(),
        }
    }

    /// Starts the kernel of a batch of rows.
    fn launch(
        &self,
        push: bool,
        rows: Range<usize>,
        streams: &mut DeviceStreams,
        symbols: &DeviceSymbols<'_>,
    ) -> Result<()> {
        match self {
            Self::Tables(coder, indexes) => {
                let count = rows.len();
                let staged = StagedIndexes::upload(coder.gpu(), indexes.rows_in(rows))?;
                coder.launch(push, streams, symbols, &staged.view(count, indexes.columns())?)
            }
            Self::Models(coder, models) => {
                let models = models.to_device(coder.gpu(), rows)?;
                coder.launch(push, streams, &models, symbols)
            }
        }
    }

    /// The error of a failed row.
    fn explain(&self, failed: Failed, symbol: impl Fn(usize, usize) -> i32) -> Error {
        match self {
            Self::Tables(coder, indexes) => {
                coder.explain(failed, indexes.at_or_skip(failed.0, failed.1.position), symbol)
            }
            Self::Models(coder, _) => explain(coder.plan(), 0, failed, -1, symbol),
        }
    }
}

/// Pushes host symbols onto host streams by way of the device, in batches of rows.
pub(crate) fn push(
    staged: &Staged<'_>,
    streams: &mut Streams,
    symbols: SymbolSlice<'_>,
) -> Result<()> {
    with_family!(staged.plan().family, F => push_batches::<F>(staged, streams, symbols))
}

fn push_batches<F: RowFormat>(
    staged: &Staged<'_>,
    streams: &mut Streams,
    symbols: SymbolSlice<'_>,
) -> Result<()> {
    let (gpu, lanes, columns) = (staged.gpu(), staged.plan().lanes, staged.columns());
    let parts = streams.parts_mut::<F>();
    let mut states = parts.states.to_vec();
    let mut lens = parts.lens.to_vec();
    let starts = parts.starts;
    let spare = |row: usize| starts[row + 1] - starts[row] - parts.lens[row];
    let cost = |row: usize| {
        (spare(row) * size_of::<F::Unit>() + columns * (symbols.width() + staged.bytes())) as u64
    };
    let per_row = F::FAMILY.header_fields(lanes);
    for rows in batches(lens.len(), budget(gpu)?, cost) {
        // Every row of the batch has at least this capacity on the host too.
        let stride = rows.clone().map(spare).min().unwrap_or(0);
        let fields = rows.start * per_row..rows.end * per_row;
        let mut device = DeviceStreams::uninitialised(gpu, (F::FAMILY, lanes), rows.len(), stride)?;
        device.states.upload(0, bytemuck::cast_slice(&states[fields.clone()]))?;
        device.lengths.upload(0, &vec![0; rows.len()])?;
        let part = symbols.range(rows.start * columns..rows.end * columns);
        let buffer = DeviceBuffer::from_slice(gpu, part.as_bytes())?;
        let kind = symbol_kind(symbols);
        let on_device = DeviceSymbols::of_kind(kind, &buffer.memory, rows.len(), columns);
        staged.launch(true, rows.clone(), &mut device, &on_device)?;
        if let Some((row, fault)) = device.first_failure()? {
            return Err(staged.explain((row + rows.start, fault), |row, position| {
                symbols.at_or_zero(row * columns + position)
            }));
        }
        states[fields].copy_from_slice(&device.states_to_host::<F>()?);
        let pushed = device.lengths.to_vec()?;
        let words = device.words_to_host(&pushed)?;
        for (at, pushed) in pushed.into_iter().enumerate() {
            let (row, pushed) = (rows.start + at, pushed as usize);
            let end =
                lens[row].checked_add(pushed).filter(|end| *end <= starts[row + 1] - starts[row]);
            let Some(end) = end else {
                return Err(Error::Device(format!("row {row} came back with {pushed} words")));
            };
            let into = &mut parts.words[starts[row] + lens[row]..starts[row] + end];
            bytemuck::cast_slice_mut(into).copy_from_slice(words.row(at));
            lens[row] = end;
        }
    }
    streams.commit::<F>(&states, lens);
    Ok(())
}

/// Pops host symbols from host streams by way of the device, in batches of rows.
pub(crate) fn pop(
    staged: &Staged<'_>,
    streams: &mut Streams,
    symbols: SymbolSliceMut<'_>,
) -> Result<()> {
    with_family!(staged.plan().family, F => pop_batches::<F>(staged, streams, symbols))
}

fn pop_batches<F: RowFormat>(
    staged: &Staged<'_>,
    streams: &mut Streams,
    mut symbols: SymbolSliceMut<'_>,
) -> Result<()> {
    let (gpu, lanes, columns) = (staged.gpu(), staged.plan().lanes, staged.columns());
    let parts = streams.parts::<F>();
    let mut states = parts.states.to_vec();
    let mut lens = parts.lens.to_vec();
    let (width, kind) = (symbols.width(), symbol_kind(symbols.as_const()));
    let cost = |row: usize| {
        (parts.lens[row] * size_of::<F::Unit>() + columns * (width + staged.bytes())) as u64
    };
    let per_row = F::FAMILY.header_fields(lanes);
    for rows in batches(lens.len(), budget(gpu)?, cost) {
        let stride = parts.lens[rows.clone()].iter().copied().max().unwrap_or(0);
        let fields = rows.start * per_row..rows.end * per_row;
        let mut device = DeviceStreams::uninitialised(gpu, (F::FAMILY, lanes), rows.len(), stride)?;
        device.states.upload(0, bytemuck::cast_slice(&states[fields.clone()]))?;
        let lengths: Vec<u32> = lens[rows.clone()].iter().map(|&len| len as u32).collect();
        device.lengths.upload(0, &lengths)?;
        device.words_to_device(&lengths, |at| {
            let row = rows.start + at;
            bytemuck::cast_slice(&parts.words[parts.starts[row]..][..lens[row]])
        })?;
        let mut part = symbols.range(rows.start * columns..rows.end * columns);
        let part = part.as_bytes_mut();
        let buffer = DeviceBuffer::<u8>::new(gpu, part.len())?;
        let on_device = DeviceSymbols::of_kind(kind, &buffer.memory, rows.len(), columns);
        staged.launch(false, rows.clone(), &mut device, &on_device)?;
        if let Some((row, fault)) = device.first_failure()? {
            return Err(staged.explain((row + rows.start, fault), |_, _| 0));
        }
        buffer.download(0, part)?;
        states[fields].copy_from_slice(&device.states_to_host::<F>()?);
        for (len, left) in lens[rows].iter_mut().zip(device.lengths.to_vec()?) {
            *len = (left as usize).min(*len);
        }
    }
    streams.commit::<F>(&states, lens);
    Ok(())
}

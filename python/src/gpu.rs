//! Coding of arrays in device memory, on the caller's stream.

use std::ffi::c_void;
use std::ptr::without_provenance_mut;

use dlpark::ffi::DLDevice;
use dlpark::python::consumer::stream::cuda;
use dlpark::python::{DlpackStream, StreamArg};
use parans::gpu::{
    DeviceBuffer, DeviceElement, DeviceIndex, DeviceIndexes, DeviceSlice, DeviceStreams,
    DeviceSymbols, GpuCoder, StreamHandle, StreamKind,
};
use parans::{Coder, Dtype, NativeSymbol, Streams};
use pyo3::prelude::*;

use crate::coder::Tables;
use crate::errors::{OrRaise, value};
use crate::input::{Input, Place};

/// The stream that work on device memory runs on: the legacy default stream unless said otherwise,
/// which is PyTorch's current stream unless that was changed.
#[derive(Clone, Copy)]
pub(crate) struct Stream(pub(crate) StreamHandle);

impl Default for Stream {
    fn default() -> Self {
        Self(StreamHandle::LEGACY_DEFAULT)
    }
}

impl Stream {
    /// The stream of a Python argument: none, a handle, or an object with `cuda_stream`, as
    /// `torch.cuda.Stream` has it.
    pub(crate) fn new(object: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let Some(object) = object else { return Ok(Self::default()) };
        let handle: u64 = match object.getattr_opt("cuda_stream")? {
            Some(handle) => handle.extract()?,
            None => object.extract()?,
        };
        // SAFETY: the caller says that this is a stream of the device's primary context, and keeps
        // it until the call returns, which waits for its work.
        Ok(Self(unsafe { StreamHandle::from_raw(handle) }))
    }
}

// SAFETY: the argument is the stream that the caller named, by CUDA's convention.
unsafe impl DlpackStream for Stream {
    fn as_python_arg(&self, _py: Python<'_>, _device: DLDevice) -> PyResult<StreamArg> {
        let handle: usize = match self.0.kind() {
            StreamKind::PerThreadDefault => 2,
            StreamKind::Raw(handle) => handle as usize,
            _ => 0,
        };
        Ok(cuda(without_provenance_mut::<c_void>(handle)))
    }
}

/// The coder on the device of an array.
fn coder_of(coder: &Coder, stream: Stream) -> PyResult<GpuCoder<'_>> {
    match coder.on_gpu() {
        Some(on_gpu) => Ok(on_gpu.on_stream(stream.0)),
        None => Err(value(&"the array lies on a GPU: make the coder with device=\"cuda:N\"")),
    }
}

/// Bytes that a push adds to a row at most: less than 16 a symbol of any precision, with bypass
/// digits of any width, and the states of 32 lanes.
fn growth(columns: usize) -> usize {
    16 * columns + 512
}

/// Pushes symbols in device memory.
pub(crate) fn push(
    coder: &Coder,
    streams: &mut Streams,
    symbols: &Input<'_>,
    tables: &Tables<'_>,
    stream: Stream,
) -> PyResult<()> {
    let (rows, columns) = symbols.rows_and_columns();
    let on_gpu = coder_of(coder, stream)?;
    // SAFETY: the array's owner keeps its memory while this call runs, and it is compact.
    let view = unsafe {
        match symbols.dtype {
            Dtype::I32 => at::<i32>(symbols, rows, columns),
            Dtype::U8 => at::<u8>(symbols, rows, columns),
            Dtype::U16 => at::<u16>(symbols, rows, columns),
            Dtype::I16 => at::<i16>(symbols, rows, columns),
            other => {
                let message = format!("symbols of {other} on a GPU; int32, uint8, uint16 or int16");
                return Err(value(&message));
            }
        }
    };
    let mut device =
        DeviceStreams::from_streams(on_gpu.gpu(), streams, growth(columns)).or_raise()?;
    with_indexes(&on_gpu, tables, rows, columns, |indexes| {
        on_gpu.push(&mut device, &view, indexes).or_raise()
    })?;
    *streams = device.to_streams().or_raise()?;
    Ok(())
}

/// # Safety
/// As [`DeviceSymbols::at`].
unsafe fn at<'b, S: NativeSymbol>(
    input: &Input<'_>,
    rows: usize,
    columns: usize,
) -> DeviceSymbols<'b> {
    // SAFETY: the caller's.
    unsafe { DeviceSymbols::at::<S>(input.device_address(), rows, columns, columns) }
}

/// Pops symbols into new device memory.
pub(crate) fn pop<S: NativeSymbol + DeviceElement>(
    coder: &Coder,
    streams: &mut Streams,
    (rows, columns): (usize, usize),
    tables: &Tables<'_>,
    stream: Stream,
) -> PyResult<DeviceBuffer<S>> {
    let on_gpu = coder_of(coder, stream)?;
    let symbols = DeviceBuffer::<S>::new(on_gpu.gpu(), rows * columns).or_raise()?;
    let mut device = DeviceStreams::from_streams(on_gpu.gpu(), streams, 0).or_raise()?;
    with_indexes(&on_gpu, tables, rows, columns, |indexes| {
        let view = DeviceSymbols::of(&symbols, rows).or_raise()?;
        on_gpu.pop(&mut device, &view, indexes).or_raise()
    })?;
    *streams = device.to_streams().or_raise()?;
    Ok(symbols)
}

fn with_indexes(
    on_gpu: &GpuCoder<'_>,
    tables: &Tables<'_>,
    rows: usize,
    columns: usize,
    code: impl FnOnce(&DeviceIndexes<'_>) -> PyResult<()>,
) -> PyResult<()> {
    match tables {
        Tables::One(index) => code(&DeviceIndexes::one(*index, rows, columns)),
        Tables::Each(input) if input.place == Place::Cpu => {
            let buffer = DeviceBuffer::from_slice(on_gpu.gpu(), &input.integers()?).or_raise()?;
            code(&DeviceIndexes::each(&buffer, rows).or_raise()?)
        }
        Tables::Each(input) => match input.dtype {
            Dtype::I32 => code(&each::<i32>(input, rows)?),
            Dtype::U16 => code(&each::<u16>(input, rows)?),
            Dtype::U8 => code(&each::<u8>(input, rows)?),
            other => {
                let message = format!("indexes of {other} on a GPU; int32, uint16 or uint8");
                Err(value(&message))
            }
        },
    }
}

fn each<'b, I: DeviceIndex>(input: &'b Input<'_>, rows: usize) -> PyResult<DeviceIndexes<'b>> {
    // SAFETY: the array's owner keeps its memory while this call runs, and it is compact.
    let slice = unsafe { DeviceSlice::<I>::at(input.device_address(), input.len()) };
    DeviceIndexes::each(slice, rows).or_raise()
}

//! Coding of arrays in device memory, on the caller's stream.

use parans::gpu::{
    DeviceBuffer, DeviceElement, DeviceIndex, DeviceIndexes, DeviceSlice, DeviceStreams,
    DeviceSymbols, GpuCoder,
};
use parans::{Coder, Dtype, NativeSymbol, Streams};
use pyo3::prelude::*;

use crate::errors::{OrRaise, value};
use crate::indexes::TableIndexes;
use crate::input::{Input, Place};
use crate::stream::Stream;

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
    tables: &TableIndexes<'_>,
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
    tables: &TableIndexes<'_>,
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
    tables: &TableIndexes<'_>,
    rows: usize,
    columns: usize,
    code: impl FnOnce(&DeviceIndexes<'_>) -> PyResult<()>,
) -> PyResult<()> {
    match tables {
        TableIndexes::One(index) => code(&DeviceIndexes::one(*index, rows, columns)),
        TableIndexes::Each(input) if input.place == Place::Cpu => {
            let buffer = DeviceBuffer::from_slice(on_gpu.gpu(), &input.integers()?).or_raise()?;
            code(&DeviceIndexes::each(&buffer, rows).or_raise()?)
        }
        TableIndexes::Each(input) => match input.dtype {
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

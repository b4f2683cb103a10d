//! Coders over tables.

use std::sync::Arc;

use numpy::{PyArray1, PyArrayMethods, PyUntypedArray};
use parans::{Bypass, Dtype, Symbols};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::{OrRaise, value};
use crate::gpu;
use crate::indexes::TableIndexes;
use crate::input::{BytesLike, Input, Place, rows_and_columns};
use crate::stream::Stream;
use crate::streams::{Streams, family, merged};
use crate::tables::Tables;
use crate::tensor::Tensor;

/// Calls a macro with the Rust type of symbols of an element type.
macro_rules! with_symbol_type {
    ($dtype:expr, $call:ident) => {
        match $dtype {
            Dtype::I32 => $call!(i32),
            Dtype::U8 => $call!(u8),
            Dtype::U16 => $call!(u16),
            Dtype::I16 => $call!(i16),
            Dtype::I8 => $call!(i8),
            Dtype::U32 => $call!(u32),
            Dtype::I64 => $call!(i64),
            other => Err(PyTypeError::new_err(format!(
                "symbols of {other}; integers of 8 to 32 bits and int64 are coded"
            ))),
        }
    };
}
pub(crate) use with_symbol_type;

/// A numpy array of these elements, whose memory it takes over.
pub(crate) fn array_of<'py, T: numpy::Element>(
    py: Python<'py>,
    elements: Vec<T>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyUntypedArray>> {
    Ok(PyArray1::from_vec(py, elements).reshape(shape.to_vec())?.as_untyped().clone())
}

pub(crate) fn dtype(name: &Bound<'_, PyAny>) -> PyResult<Dtype> {
    // A name, numpy's type or PyTorch's.
    if let Ok(name) = name.extract::<String>() {
        return name.parse().or_raise();
    }
    let text = match name.getattr_opt("name")?.or(name.getattr_opt("__name__")?) {
        Some(name) => name.extract::<String>()?,
        None => name.str()?.to_string(),
    };
    text.trim_start_matches("torch.").parse().or_raise()
}

pub(crate) fn bypass(bits: Option<u32>) -> Bypass {
    bits.map_or(Bypass::Off, Bypass::digits)
}

/// Codes arrays of integers with tables.
///
/// The first dimension of an array counts rows, each coded by itself; a vector is one row.
/// ``indexes`` says which table codes each symbol: an array of the symbols' shape, of shape
/// ``(rows, 1, ...)`` or ``(1, columns, ...)``, or one number. A negative index skips its symbol.
#[pyclass(frozen, subclass, module = "parans._parans")]
pub(crate) struct Coder {
    pub(crate) coder: parans::Coder,
    length_bytes: usize,
    known_rows: bool,
    reshaped: bool,
}

#[pymethods]
impl Coder {
    #[new]
    #[pyo3(signature = (
        tables, family="rans64", *, lanes=1, lookup="auto", bypass=None, device="cpu",
        length_bytes=4, known_rows=false, parallel_rows=None, skip_indexes_past_end=false
    ))]
    #[allow(clippy::too_many_arguments, reason = "they are a call's keywords")]
    fn new(
        py: Python<'_>,
        tables: &Tables,
        family: &str,
        lanes: usize,
        lookup: &str,
        bypass: Option<u32>,
        device: &str,
        length_bytes: usize,
        known_rows: bool,
        parallel_rows: Option<usize>,
        skip_indexes_past_end: bool,
    ) -> PyResult<Self> {
        let mut builder = parans::Coder::builder(self::family(family)?)
            .lanes(lanes)
            .lookup(lookup.parse().map_err(|e: parans::Error| value(&e))?)
            .bypass(self::bypass(bypass))
            .device(device.parse().or_raise()?)
            .length_bytes(merged(length_bytes, None)?.length_bytes)
            .known_rows(known_rows)
            .skip_indexes_past_end(skip_indexes_past_end);
        if let Some(rows) = parallel_rows {
            builder = builder.parallel_rows(rows);
        }
        let tables = tables.0.clone();
        let coder = py.detach(|| builder.build(tables)).or_raise()?;
        Ok(Self { coder, length_bytes, known_rows, reshaped: parallel_rows.is_some() })
    }

    #[getter]
    fn family(&self) -> String {
        self.coder.family().to_string()
    }

    #[getter]
    fn lanes(&self) -> usize {
        self.coder.lanes()
    }

    #[getter]
    fn tables(&self) -> Tables {
        Tables(self.coder.tables().clone())
    }

    /// Initial streams for this coder.
    fn streams(&self, rows: usize) -> PyResult<Streams> {
        Ok(Streams(self.coder.streams(rows).or_raise()?))
    }

    /// Pushes symbols onto as many streams as they have rows. ``stream`` is the CUDA stream that
    /// arrays on a GPU are ready on: a handle or an object with ``cuda_stream``.
    #[pyo3(signature = (streams, symbols, indexes=None, *, stream=None))]
    fn push(
        &self,
        py: Python<'_>,
        streams: &mut Streams,
        symbols: &Bound<'_, PyAny>,
        indexes: Option<&Bound<'_, PyAny>>,
        stream: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let stream = Stream::new(stream)?;
        let (symbols, tables) = (Input::new(symbols, stream)?, TableIndexes::new(indexes, stream)?);
        self.push_input(py, &mut streams.0, &symbols, &tables, stream)
    }

    /// Pops what the last push of this shape pushed, as an array of ``dtype``. Where the indexes
    /// lie on a GPU, so do the symbols, in a :class:`parans.Tensor`.
    #[pyo3(signature = (streams, indexes=None, *, shape=None, dtype=None, stream=None))]
    fn pop<'py>(
        &self,
        py: Python<'py>,
        streams: &mut Streams,
        indexes: Option<&Bound<'py, PyAny>>,
        shape: Option<Vec<usize>>,
        dtype: Option<&Bound<'py, PyAny>>,
        stream: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let stream = Stream::new(stream)?;
        let tables = TableIndexes::new(indexes, stream)?;
        let shape = tables.shape(shape)?;
        let dtype = dtype.map_or(Ok(Dtype::I32), self::dtype)?;
        self.pop_input(py, &mut streams.0, &tables, shape, dtype, stream)
    }

    /// Encodes symbols to one byte string: each row's length, then its bytes.
    #[pyo3(signature = (symbols, indexes=None, *, stream=None))]
    fn encode<'py>(
        &self,
        py: Python<'py>,
        symbols: &Bound<'py, PyAny>,
        indexes: Option<&Bound<'py, PyAny>>,
        stream: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let stream = Stream::new(stream)?;
        let (symbols, tables) = (Input::new(symbols, stream)?, TableIndexes::new(indexes, stream)?);
        if symbols.place != Place::Cpu {
            let rows = symbols.rows_and_columns().0;
            let mut streams = self.streams_of_device(rows)?;
            self.push_input(py, &mut streams, &symbols, &tables, stream)?;
            let merged = merged(self.length_bytes, self.known_rows.then_some(rows))?;
            return Ok(PyBytes::new(py, &streams.to_merged(merged).or_raise()?));
        }
        let (rows, _) = symbols.rows_and_columns();
        macro_rules! encode {
            ($type:ty) => {{
                let values = symbols.elements::<$type>();
                let view = Symbols::from_slice(&values, rows).or_raise()?;
                tables.with(&symbols.shape, |indexes| {
                    py.detach(|| self.coder.encode(view, indexes)).or_raise()
                })
            }};
        }
        let bytes = with_symbol_type!(symbols.dtype, encode)?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Decodes what :meth:`encode` made of symbols of the indexes' shape, or of ``shape``. Raises
    /// :class:`parans.Error` for damaged bytes.
    #[pyo3(signature = (data, indexes=None, *, shape=None, dtype=None, stream=None))]
    fn decode<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
        indexes: Option<&Bound<'py, PyAny>>,
        shape: Option<Vec<usize>>,
        dtype: Option<&Bound<'py, PyAny>>,
        stream: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let stream = Stream::new(stream)?;
        let (data, tables) = (BytesLike::new(data)?, TableIndexes::new(indexes, stream)?);
        let shape = tables.shape(shape)?;
        let dtype = dtype.map_or(Ok(Dtype::I32), self::dtype)?;
        let (rows, columns) = rows_and_columns(&shape);
        if matches!(&tables, TableIndexes::Each(input) if input.place != Place::Cpu) {
            self.streams_of_device(0)?;
            let merged = merged(self.length_bytes, self.known_rows.then_some(rows))?;
            let (family, lanes) = (self.coder.family(), self.coder.lanes());
            let mut streams =
                parans::Streams::from_merged(family, lanes, data.bytes(), merged).or_raise()?;
            let symbols = self.pop_input(py, &mut streams, &tables, shape, dtype, stream)?;
            streams.expect_initial().or_raise()?;
            return Ok(symbols);
        }
        let bytes = data.bytes();
        macro_rules! decode {
            ($type:ty) => {{
                let mut out = zeros::<$type>(rows, columns)?;
                tables.with(&shape, |indexes| {
                    py.detach(|| self.coder.decode_into(bytes, indexes, &mut out)).or_raise()
                })?;
                Ok(array_of(py, out, &shape)?.into_any())
            }};
        }
        with_symbol_type!(dtype, decode)
    }
}

/// As many zeros as there are symbols.
pub(crate) fn zeros<T: Copy + Default>(rows: usize, columns: usize) -> PyResult<Vec<T>> {
    let cells = rows.checked_mul(columns);
    let mut out = Vec::new();
    let reserved = cells.map(|cells| out.try_reserve_exact(cells).is_ok());
    match (cells, reserved) {
        (Some(cells), Some(true)) => {
            out.resize(cells, T::default());
            Ok(out)
        }
        _ => Err(value(&format!("there is no memory for {rows} x {columns} symbols"))),
    }
}

impl Coder {
    /// A coder that was built elsewhere: four-byte lengths, all of them written.
    pub(crate) fn of(coder: parans::Coder) -> Self {
        Self { coder, length_bytes: 4, known_rows: false, reshaped: false }
    }

    fn streams_of_device(&self, rows: usize) -> PyResult<parans::Streams> {
        if self.reshaped {
            return Err(value(&"parallel_rows with arrays on a GPU: reshape them instead"));
        }
        self.coder.streams(rows).or_raise()
    }

    fn push_input(
        &self,
        py: Python<'_>,
        streams: &mut parans::Streams,
        symbols: &Input<'_>,
        tables: &TableIndexes<'_>,
        stream: Stream,
    ) -> PyResult<()> {
        if symbols.place != Place::Cpu {
            return gpu::push(&self.coder, streams, symbols, tables, stream);
        }
        let (rows, _) = symbols.rows_and_columns();
        macro_rules! push {
            ($type:ty) => {{
                let values = symbols.elements::<$type>();
                let view = Symbols::from_slice(&values, rows).or_raise()?;
                tables.with(&symbols.shape, |indexes| {
                    py.detach(|| self.coder.push(streams, view, indexes)).or_raise()
                })
            }};
        }
        with_symbol_type!(symbols.dtype, push)
    }

    fn pop_input<'py>(
        &self,
        py: Python<'py>,
        streams: &mut parans::Streams,
        tables: &TableIndexes<'_>,
        shape: Vec<usize>,
        dtype: Dtype,
        stream: Stream,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (rows, columns) = rows_and_columns(&shape);
        if let TableIndexes::Each(Input { place: Place::Cuda(number), .. }) = tables {
            macro_rules! pop {
                ($type:ty) => {
                    Arc::new(gpu::pop::<$type>(
                        &self.coder,
                        streams,
                        (rows, columns),
                        tables,
                        stream,
                    )?)
                };
            }
            let memory: Arc<dyn crate::tensor::DeviceMemory> = match dtype {
                Dtype::I32 => pop!(i32),
                Dtype::U8 => pop!(u8),
                Dtype::U16 => pop!(u16),
                Dtype::I16 => pop!(i16),
                other => return Err(value(&format!("symbols of {other} on a GPU"))),
            };
            let tensor = Tensor::on_device(memory, *number, dtype, shape);
            return Ok(Bound::new(py, tensor)?.into_any());
        }
        macro_rules! pop {
            ($type:ty) => {{
                let mut out = zeros::<$type>(rows, columns)?;
                tables.with(&shape, |indexes| {
                    py.detach(|| self.coder.pop_into(streams, indexes, &mut out)).or_raise()
                })?;
                Ok(array_of(py, out, &shape)?.into_any())
            }};
        }
        with_symbol_type!(dtype, pop)
    }
}

//! CompressAI's coders: rans64 rows of one lane at 16 bits with bypass digits of 4 bits, whose
//! words stand in the opposite order.

use numpy::{PyArray1, PyArrayMethods};
use parans::{Coder, Family, Indexes, Streams, Symbols};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::coder::zeros;
use crate::errors::{OrRaise, exception, value};
use crate::input::{BytesLike, Input};
use crate::torch_ans;

const PRECISION: u32 = 16;
const DIGITS: u32 = 4;
/// Bytes of the state, and of a word.
const STATE: usize = 8;
const WORD: usize = 4;

/// Integers of a list or of an array.
fn integers(object: &Bound<'_, PyAny>) -> PyResult<Vec<i32>> {
    match object.cast::<PyList>() {
        Ok(list) => front_of(list, usize::MAX),
        Err(_) => Ok(Input::on_host(object)?.integers()?.into_owned()),
    }
}

/// The first integers of a list, as many as it has. Through the C interface: a list of Python's
/// integers takes longer to read than its symbols take to code.
fn front_of(list: &Bound<'_, PyList>, most: usize) -> PyResult<Vec<i32>> {
    let length = list.len().min(most);
    let mut values = Vec::with_capacity(length);
    for at in 0..length {
        let mut overflow = 0;
        // SAFETY: the list is one, and its items are looked at while the interpreter is attached; a
        // place past its end, were it shortened meanwhile, gives null and an exception.
        let item = unsafe { ffi::PyList_GetItem(list.as_ptr(), at as ffi::Py_ssize_t) };
        if item.is_null() {
            return Err(PyErr::fetch(list.py()));
        }
        // SAFETY: an object of the list, which holds it; what is no integer is an exception.
        let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(item, &mut overflow) };
        if value == -1
            && let Some(error) = PyErr::take(list.py())
        {
            return Err(error);
        }
        let value = i32::try_from(value).ok().filter(|_| overflow == 0);
        values.push(value.ok_or_else(|| {
            self::value(&format!("item {at} of a list of integers does not fit 32 bits"))
        })?);
    }
    Ok(values)
}

/// The coder of CompressAI's tables: CDF rows, as lists of any lengths or as an array, their sizes,
/// and the smallest symbols.
fn coder(
    py: Python<'_>,
    cdfs: &Bound<'_, PyAny>,
    sizes: &Bound<'_, PyAny>,
    offsets: &Bound<'_, PyAny>,
) -> PyResult<Coder> {
    let (sizes, offsets) = (integers(sizes)?, integers(offsets)?);
    let (lists, input);
    let cells;
    let rows = match cdfs.cast::<PyList>() {
        Ok(list) => {
            lists = fronts(list, &sizes)?;
            lists.iter().map(Vec::as_slice).collect()
        }
        Err(_) => {
            input = Input::on_host(cdfs)?;
            cells = input.integers()?;
            cells.chunks_exact(input.rows_and_columns().1.max(1)).collect()
        }
    };
    let tables = torch_ans::TableValues { rows, sizes: &sizes, offsets: Some(&offsets) };
    torch_ans::coder(py, (Family::Rans64, 1, false), &tables, PRECISION, Some(DIGITS), "cpu")
}

/// The rows of a list of lists, each as far as its size goes.
fn fronts(list: &Bound<'_, PyList>, sizes: &[i32]) -> PyResult<Vec<Vec<i32>>> {
    if list.len() != sizes.len() {
        return Err(value(&format!("{} CDFs and {} sizes", list.len(), sizes.len())));
    }
    let one = |(row, &size): (Bound<'_, PyAny>, &i32)| match row.cast::<PyList>() {
        Ok(row) => front_of(row, usize::try_from(size).unwrap_or(0)),
        Err(_) => integers(&row),
    };
    list.iter().zip(sizes).map(one).collect()
}

/// A row's bytes in CompressAI's order from those in torch_ans', and back.
fn reversed(string: &[u8]) -> PyResult<Vec<u8>> {
    let Some((state, words)) = string.split_at_checked(STATE).filter(|(_, w)| w.len() % WORD == 0)
    else {
        let text = format!("{} bytes: a state of {STATE} and words of {WORD}", string.len());
        return Err(exception(parans::Error::Truncated(text)));
    };
    let mut out = Vec::with_capacity(string.len());
    out.extend_from_slice(state);
    out.extend(words.rchunks_exact(WORD).flatten());
    Ok(out)
}

fn streams_of(data: &Bound<'_, PyAny>) -> PyResult<Streams> {
    let string = reversed(BytesLike::new(data)?.bytes())?;
    Streams::from_byte_strings(Family::Rans64, 1, &[string]).or_raise()
}

/// One call's symbols with their tables.
struct Call {
    coder: Coder,
    symbols: Vec<i32>,
    indexes: Vec<i32>,
}

impl Call {
    fn new(
        py: Python<'_>,
        symbols: &Bound<'_, PyAny>,
        indexes: &Bound<'_, PyAny>,
        cdfs: &Bound<'_, PyAny>,
        cdfs_sizes: &Bound<'_, PyAny>,
        offsets: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let call = Self {
            coder: coder(py, cdfs, cdfs_sizes, offsets)?,
            symbols: integers(symbols)?,
            indexes: integers(indexes)?,
        };
        let (symbols, indexes) = (call.symbols.len(), call.indexes.len());
        if symbols != indexes {
            return Err(value(&format!("{symbols} symbols and {indexes} indexes")));
        }
        Ok(call)
    }
}

/// The bytes of calls that are decoded in this order.
fn encoded<'py>(py: Python<'py>, calls: &[Call]) -> PyResult<Bound<'py, PyBytes>> {
    let string = py.detach(|| {
        let mut streams = Streams::new(Family::Rans64, 1, 1)?;
        for call in calls.iter().rev() {
            let symbols = Symbols::from_slice(&call.symbols, 1)?;
            call.coder.push(&mut streams, symbols, Indexes::each(&call.indexes, 1)?)?;
        }
        Ok(streams.to_byte_string(0))
    });
    Ok(PyBytes::new(py, &reversed(&string.or_raise()?)?))
}

/// Decoded symbols: a list where the indexes are a list, else an array of their shape.
fn given_back<'py>(
    py: Python<'py>,
    symbols: Vec<i32>,
    indexes: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    if indexes.is_instance_of::<PyList>() {
        return Ok(PyList::new(py, symbols)?.into_any());
    }
    let shape = Input::on_host(indexes)?.shape;
    Ok(PyArray1::from_vec(py, symbols).reshape(shape)?.into_any())
}

/// Encodes one string of symbols, as lists or arrays.
#[pyclass(frozen, module = "parans.compressai")]
pub(crate) struct RansEncoder;

#[pymethods]
impl RansEncoder {
    #[new]
    fn new() -> Self {
        Self
    }

    /// The bytes of symbols: each coded by the CDF row that its index names.
    fn encode_with_indexes<'py>(
        &self,
        py: Python<'py>,
        symbols: &Bound<'py, PyAny>,
        indexes: &Bound<'py, PyAny>,
        cdfs: &Bound<'py, PyAny>,
        cdfs_sizes: &Bound<'py, PyAny>,
        offsets: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        encoded(py, &[Call::new(py, symbols, indexes, cdfs, cdfs_sizes, offsets)?])
    }
}

/// Collects symbols of several calls into one string.
#[pyclass(module = "parans.compressai")]
pub(crate) struct BufferedRansEncoder(Vec<Call>);

#[pymethods]
impl BufferedRansEncoder {
    #[new]
    fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds symbols behind those of earlier calls.
    fn encode_with_indexes(
        &mut self,
        py: Python<'_>,
        symbols: &Bound<'_, PyAny>,
        indexes: &Bound<'_, PyAny>,
        cdfs: &Bound<'_, PyAny>,
        cdfs_sizes: &Bound<'_, PyAny>,
        offsets: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.0.push(Call::new(py, symbols, indexes, cdfs, cdfs_sizes, offsets)?);
        Ok(())
    }

    /// The bytes of all calls' symbols; the encoder is empty then.
    fn flush<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = encoded(py, &self.0)?;
        self.0.clear();
        Ok(bytes)
    }
}

/// Decodes what the encoders made. Damaged bytes raise ``parans.Error``.
#[pyclass(module = "parans.compressai")]
pub(crate) struct RansDecoder(Option<Streams>);

#[pymethods]
impl RansDecoder {
    #[new]
    fn new() -> Self {
        Self(None)
    }

    /// The symbols of one string, which must be all of it: a list where the indexes are one, else
    /// an array of their shape.
    fn decode_with_indexes<'py>(
        &self,
        py: Python<'py>,
        encoded: &Bound<'py, PyAny>,
        indexes: &Bound<'py, PyAny>,
        cdfs: &Bound<'py, PyAny>,
        cdfs_sizes: &Bound<'py, PyAny>,
        offsets: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut streams = streams_of(encoded)?;
        let coder = coder(py, cdfs, cdfs_sizes, offsets)?;
        let symbols = popped(py, &mut streams, &coder, indexes)?;
        streams.expect_initial().or_raise()?;
        given_back(py, symbols, indexes)
    }

    /// Takes the bytes that :meth:`decode_stream` decodes from.
    fn set_stream(&mut self, encoded: &Bound<'_, PyAny>) -> PyResult<()> {
        self.0 = Some(streams_of(encoded)?);
        Ok(())
    }

    /// The next symbols of the bytes that were set.
    fn decode_stream<'py>(
        &mut self,
        py: Python<'py>,
        indexes: &Bound<'py, PyAny>,
        cdfs: &Bound<'py, PyAny>,
        cdfs_sizes: &Bound<'py, PyAny>,
        offsets: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let coder = coder(py, cdfs, cdfs_sizes, offsets)?;
        let Some(streams) = &mut self.0 else {
            return Err(value(&"no stream: call set_stream first"));
        };
        let symbols = popped(py, streams, &coder, indexes)?;
        given_back(py, symbols, indexes)
    }
}

fn popped(
    py: Python<'_>,
    streams: &mut Streams,
    coder: &Coder,
    indexes: &Bound<'_, PyAny>,
) -> PyResult<Vec<i32>> {
    let indexes = integers(indexes)?;
    let mut symbols = zeros::<i32>(1, indexes.len())?;
    let popped = py.detach(|| coder.pop_into(streams, Indexes::each(&indexes, 1)?, &mut symbols));
    popped.or_raise()?;
    Ok(symbols)
}

/// The strings of a batch: an array of symbols of shape (strings, ...), coded in parallel.
#[pyfunction]
pub(crate) fn encode_batch<'py>(
    py: Python<'py>,
    symbols: &Bound<'py, PyAny>,
    indexes: &Bound<'py, PyAny>,
    cdfs: &Bound<'py, PyAny>,
    cdfs_sizes: &Bound<'py, PyAny>,
    offsets: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyList>> {
    let coder = coder(py, cdfs, cdfs_sizes, offsets)?;
    let (symbols, indexes) = (Input::on_host(symbols)?, Input::on_host(indexes)?);
    if symbols.shape != indexes.shape {
        return Err(value(&"indexes and symbols must have the same shape"));
    }
    let rows = symbols.rows_and_columns().0;
    let (symbol_values, index_values) = (symbols.integers()?, indexes.integers()?);
    let streams = py.detach(|| {
        let mut streams = coder.streams(rows)?;
        let symbols = Symbols::from_slice(&symbol_values, rows)?;
        coder.push(&mut streams, symbols, Indexes::each(&index_values, rows)?)?;
        Ok(streams)
    });
    let streams = streams.or_raise()?;
    let strings = (0..rows).map(|row| {
        let string = reversed(&streams.to_byte_string(row))?;
        Ok(PyBytes::new(py, &string))
    });
    PyList::new(py, strings.collect::<PyResult<Vec<_>>>()?)
}

/// The symbols of a batch of strings, an array of the indexes' shape, decoded in parallel.
#[pyfunction]
pub(crate) fn decode_batch<'py>(
    py: Python<'py>,
    strings: Vec<Bound<'py, PyAny>>,
    indexes: &Bound<'py, PyAny>,
    cdfs: &Bound<'py, PyAny>,
    cdfs_sizes: &Bound<'py, PyAny>,
    offsets: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let coder = coder(py, cdfs, cdfs_sizes, offsets)?;
    let input = Input::on_host(indexes)?;
    let (rows, columns) = input.rows_and_columns();
    let strings: Vec<Vec<u8>> = strings
        .iter()
        .map(|string| reversed(BytesLike::new(string)?.bytes()))
        .collect::<PyResult<_>>()?;
    let index_values = input.integers()?;
    let mut symbols = zeros::<i32>(rows, columns)?;
    let decoded = py.detach(|| {
        let mut streams = Streams::from_byte_strings(Family::Rans64, 1, &strings)?;
        let indexes = Indexes::each(&index_values, rows)?;
        coder.pop_into(&mut streams, indexes, &mut symbols)?;
        streams.expect_initial()
    });
    decoded.or_raise()?;
    Ok(PyArray1::from_vec(py, symbols).reshape(input.shape.clone())?.into_any())
}

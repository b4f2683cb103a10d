//! Batches of coded rows.

use numpy::{PyArray2, ToPyArray};
use parans::{Family, LengthBytes, Merged};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::errors::{OrRaise, value};
use crate::input::{BytesLike, Input};
use crate::tables::rows;

/// Rows of coded words, each a stream of its own; pushes add to their ends and pops take from them,
/// last in first out.
#[pyclass(module = "parans")]
pub(crate) struct Streams(pub(crate) parans::Streams);

pub(crate) fn family(name: &str) -> PyResult<Family> {
    name.parse::<Family>().map_err(|e| value(&e))
}

pub(crate) fn merged(length_bytes: usize, known: Option<usize>) -> PyResult<Merged> {
    let length_bytes = match length_bytes {
        1 => LengthBytes::One,
        2 => LengthBytes::Two,
        4 => LengthBytes::Four,
        8 => LengthBytes::Eight,
        other => return Err(value(&format!("lengths of {other} bytes; 1, 2, 4 or 8"))),
    };
    Ok(Merged { length_bytes, rows: known })
}

#[pymethods]
impl Streams {
    /// Initial rows of a family and lane count.
    #[new]
    #[pyo3(signature = (rows, family="rans64", lanes=1))]
    fn new(rows: usize, family: &str, lanes: usize) -> PyResult<Self> {
        Ok(Self(parans::Streams::new(self::family(family)?, rows, lanes).or_raise()?))
    }

    /// Rows from byte strings as :meth:`byte_strings` gives them.
    #[staticmethod]
    #[pyo3(signature = (strings, family="rans64", lanes=1))]
    fn from_byte_strings(
        strings: Vec<Bound<'_, PyAny>>,
        family: &str,
        lanes: usize,
    ) -> PyResult<Self> {
        let kept: Vec<BytesLike<'_>> =
            strings.iter().map(BytesLike::new).collect::<PyResult<_>>()?;
        let strings: Vec<&[u8]> = kept.iter().map(BytesLike::bytes).collect();
        let family = self::family(family)?;
        Ok(Self(parans::Streams::from_byte_strings(family, lanes, &strings).or_raise()?))
    }

    /// Rows from merged bytes as :meth:`merged` gives them; ``rows`` where their number is known
    /// and the last length was left out.
    #[staticmethod]
    #[pyo3(signature = (data, family="rans64", lanes=1, *, length_bytes=4, rows=None))]
    fn from_merged(
        data: &Bound<'_, PyAny>,
        family: &str,
        lanes: usize,
        length_bytes: usize,
        rows: Option<usize>,
    ) -> PyResult<Self> {
        let data = BytesLike::new(data)?;
        let (family, merged) = (self::family(family)?, merged(length_bytes, rows)?);
        let streams = parans::Streams::from_merged(family, lanes, data.bytes(), merged);
        Ok(Self(streams.or_raise()?))
    }

    /// Rows from torch_ans' int32 tensor of shape (rows, words).
    #[staticmethod]
    #[pyo3(signature = (tensor, family="rans64", lanes=1))]
    fn from_tensor(tensor: &Bound<'_, PyAny>, family: &str, lanes: usize) -> PyResult<Self> {
        let input = Input::on_host(tensor)?;
        let values = input.integers()?;
        let view = rows(&input.shape, &values)?;
        let family = self::family(family)?;
        Ok(Self(parans::Streams::from_tensor(family, lanes, view).or_raise()?))
    }

    #[getter]
    fn family(&self) -> String {
        self.0.family().to_string()
    }

    /// Interleaved states per row.
    #[getter]
    fn lanes(&self) -> usize {
        self.0.lanes()
    }

    fn __len__(&self) -> usize {
        self.0.rows()
    }

    /// Bytes of all rows' byte strings.
    #[getter]
    fn nbytes(&self) -> usize {
        self.0.total_bytes()
    }

    /// The byte string of one row: its states, then its words.
    fn byte_string<'py>(&self, py: Python<'py>, row: usize) -> PyResult<Bound<'py, PyBytes>> {
        if row >= self.0.rows() {
            return Err(PyIndexError::new_err(format!("row {row} of {}", self.0.rows())));
        }
        Ok(PyBytes::new(py, &self.0.to_byte_string(row)))
    }

    /// The byte strings of all rows.
    fn byte_strings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let rows = 0..self.0.rows();
        PyList::new(py, rows.map(|row| PyBytes::new(py, &self.0.to_byte_string(row))))
    }

    /// All rows in one byte string, each behind its length; with ``known_rows`` the last length is
    /// left out.
    #[pyo3(signature = (*, length_bytes=4, known_rows=false))]
    fn merged<'py>(
        &self,
        py: Python<'py>,
        length_bytes: usize,
        known_rows: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let merged = merged(length_bytes, known_rows.then_some(self.0.rows()))?;
        Ok(PyBytes::new(py, &self.0.to_merged(merged).or_raise()?))
    }

    /// torch_ans' int32 tensor of shape (rows, words).
    fn tensor<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<i32>>> {
        Ok(self.0.to_tensor().or_raise()?.to_pyarray(py))
    }

    /// Raises :class:`parans.Error` unless every row holds nothing: after the last pop this tells
    /// an intact row from a damaged one.
    fn expect_initial(&self) -> PyResult<()> {
        self.0.expect_initial().or_raise()
    }

    fn copy(&self) -> Self {
        Self(self.0.clone())
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    fn __repr__(&self) -> String {
        let streams = &self.0;
        let (rows, family, lanes) = (streams.rows(), streams.family(), streams.lanes());
        format!("parans.Streams({rows} rows, {family}, {lanes} lanes, {} bytes)", self.nbytes())
    }
}

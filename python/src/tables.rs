//! Quantised tables.

use numpy::ndarray::ArrayView2;
use numpy::{PyArray1, ToPyArray};
use parans::{Dtype, Precision, TablesBuilder};
use pyo3::exceptions::{PyIndexError, PyTypeError};
use pyo3::prelude::*;

use crate::errors::{OrRaise, value};
use crate::input::Input;

/// Quantised distributions, one table per row, that coders code symbols with.
///
/// All three ways to build them take ``sizes``, how many values of each row count (for CDF rows one
/// more than symbols), and ``offsets``, the smallest symbol of each table. ``sentinel`` adds the
/// symbol that bypass coding needs behind each alphabet; ``sentinel="last"`` says that the last
/// symbol of each row is it already. CDF rows hold theirs.
#[pyclass(frozen, module = "parans")]
#[derive(Clone)]
pub(crate) struct Tables(pub(crate) parans::Tables);

/// Which symbol is the bypass sentinel.
#[derive(FromPyObject)]
enum Sentinel {
    Added(bool),
    Named(String),
}

/// What all builders take.
struct Options {
    precision: u32,
    sizes: Option<Vec<usize>>,
    offsets: Option<Vec<i32>>,
    sentinel: Option<Sentinel>,
}

impl Options {
    fn builder(&self) -> PyResult<TablesBuilder<'_>> {
        let precision = Precision::new(self.precision).or_raise()?;
        let mut builder = parans::Tables::builder(precision);
        if let Some(sizes) = &self.sizes {
            builder = builder.sizes(sizes);
        }
        if let Some(offsets) = &self.offsets {
            builder = builder.offsets(offsets);
        }
        match &self.sentinel {
            None => Ok(builder),
            Some(Sentinel::Added(added)) => Ok(builder.sentinel(*added)),
            Some(Sentinel::Named(name)) if name == "last" => Ok(builder.sentinel_is_last()),
            Some(Sentinel::Named(name)) => {
                Err(value(&format!("sentinel {name:?}; it is True, False or \"last\"")))
            }
        }
    }
}

/// The rows of an array of one or two dimensions.
pub(crate) fn rows<'a, T>(shape: &[usize], values: &'a [T]) -> PyResult<ArrayView2<'a, T>> {
    let shape = match shape {
        [n] => (1, *n),
        [rows, n] => (*rows, *n),
        _ => return Err(value(&format!("tables of shape {shape:?}; it has two dimensions"))),
    };
    ArrayView2::from_shape(shape, values).map_err(|e| value(&e))
}

fn array_of<T>(
    array: Option<&Bound<'_, PyAny>>,
    of: impl Fn(i32) -> T,
) -> PyResult<Option<Vec<T>>> {
    let Some(array) = array else { return Ok(None) };
    let input = Input::on_host(array)?;
    Ok(Some(input.integers()?.iter().map(|&n| of(n)).collect()))
}

fn options(
    precision: u32,
    sizes: Option<&Bound<'_, PyAny>>,
    offsets: Option<&Bound<'_, PyAny>>,
    sentinel: Option<Sentinel>,
) -> PyResult<Options> {
    // A negative size is past every row.
    let sizes = array_of(sizes, |n| usize::try_from(n).unwrap_or(usize::MAX))?;
    Ok(Options { precision, sizes, offsets: array_of(offsets, |n| n)?, sentinel })
}

/// The tables of probabilities of any float type.
///
/// # Errors
/// `TypeError` for other elements, and what the builder raises.
pub(crate) fn quantised(
    py: Python<'_>,
    pmf: &Input<'_>,
    builder: TablesBuilder<'_>,
) -> PyResult<parans::Tables> {
    macro_rules! of {
        ($type:ty) => {{
            let values = pmf.elements::<$type>();
            let rows = rows(&pmf.shape, &values)?;
            py.detach(|| builder.pmf(rows))
        }};
    }
    let tables = match pmf.dtype {
        Dtype::F16 => of!(half::f16),
        Dtype::Bf16 => of!(half::bf16),
        Dtype::F32 => of!(f32),
        Dtype::F64 => of!(f64),
        other => return Err(PyTypeError::new_err(format!("probabilities of {other}"))),
    };
    tables.or_raise()
}

#[pymethods]
impl Tables {
    /// Quantises probabilities of shape (tables, alphabet), of any positive sum.
    #[staticmethod]
    #[pyo3(signature = (pmf, precision=16, *, sizes=None, offsets=None, sentinel=None))]
    fn from_pmf(
        py: Python<'_>,
        pmf: &Bound<'_, PyAny>,
        precision: u32,
        sizes: Option<&Bound<'_, PyAny>>,
        offsets: Option<&Bound<'_, PyAny>>,
        sentinel: Option<Sentinel>,
    ) -> PyResult<Self> {
        let input = Input::on_host(pmf)?;
        let options = options(precision, sizes, offsets, sentinel)?;
        let builder = options.builder()?;
        Ok(Self(quantised(py, &input, builder)?))
    }

    /// Quantises integer counts of shape (tables, alphabet), in integers only.
    #[staticmethod]
    #[pyo3(signature = (counts, precision=16, *, sizes=None, offsets=None, sentinel=None))]
    fn from_counts(
        py: Python<'_>,
        counts: &Bound<'_, PyAny>,
        precision: u32,
        sizes: Option<&Bound<'_, PyAny>>,
        offsets: Option<&Bound<'_, PyAny>>,
        sentinel: Option<Sentinel>,
    ) -> PyResult<Self> {
        let input = Input::on_host(counts)?;
        let options = options(precision, sizes, offsets, sentinel)?;
        let builder = options.builder()?;
        macro_rules! of {
            ($type:ty) => {{
                let values = input.elements::<$type>();
                let rows = rows(&input.shape, &values)?;
                py.detach(|| builder.counts(rows))
            }};
        }
        let tables = match input.dtype {
            Dtype::U32 => of!(u32),
            Dtype::U64 => of!(u64),
            Dtype::I64 => of!(i64),
            Dtype::I32 => of!(i32),
            _ => {
                let values = input.integers()?;
                let rows = rows(&input.shape, &values)?;
                py.detach(|| builder.counts(rows))
            }
        };
        Ok(Self(tables.or_raise()?))
    }

    /// Takes CDF rows of shape (tables, alphabet + 1) as they are: from 0 to ``2**precision``,
    /// strictly increasing.
    #[staticmethod]
    #[pyo3(signature = (cdf, precision=16, *, sizes=None, offsets=None))]
    fn from_cdf(
        py: Python<'_>,
        cdf: &Bound<'_, PyAny>,
        precision: u32,
        sizes: Option<&Bound<'_, PyAny>>,
        offsets: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let input = Input::on_host(cdf)?;
        let options = options(precision, sizes, offsets, None)?;
        let builder = options.builder()?;
        let values = input.integers()?;
        let rows = rows(&input.shape, &values)?;
        Ok(Self(py.detach(|| builder.cdf(rows)).or_raise()?))
    }

    /// Bits of each quantised distribution.
    #[getter]
    fn precision(&self) -> u32 {
        self.0.precision().bits()
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    /// Symbols of a table, the sentinel included.
    fn alphabet(&self, table: usize) -> PyResult<usize> {
        Ok(self.0.alphabet(self.expect(table)?))
    }

    /// The smallest symbol of a table.
    fn offset(&self, table: usize) -> PyResult<i32> {
        Ok(self.0.offset(self.expect(table)?))
    }

    /// The CDF of a table: alphabet + 1 values from 0 to ``2**precision``.
    fn cdf<'py>(&self, py: Python<'py>, table: usize) -> PyResult<Bound<'py, PyArray1<u32>>> {
        Ok(self.0.cdf(self.expect(table)?).to_pyarray(py))
    }

    fn __repr__(&self) -> String {
        format!("parans.Tables({} tables, precision {})", self.0.len(), self.0.precision())
    }
}

impl Tables {
    fn expect(&self, table: usize) -> PyResult<usize> {
        if table < self.0.len() {
            return Ok(table);
        }
        Err(PyIndexError::new_err(format!("table {table} of {}", self.0.len())))
    }
}

//! torch_ans' operators over its own tensors: a stream is int32 of shape (rows, words), word 0 of a
//! row its length in bytes; tables come as tensors with every call.

use std::sync::Mutex;

use numpy::ndarray::Array2;
use numpy::{PyArray1, PyArray2, ToPyArray};
use parans::{Coder, Family, Indexes, Lookup, Precision, Streams, Symbols, Tables};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use xxhash_rust::xxh3::Xxh3;

use crate::coder::{Coder as PyCoder, array_of, bypass, zeros};
use crate::errors::{OrRaise, value};
use crate::input::{BytesLike, Input};
use crate::streams::family;
use crate::tables::{quantised, rows};

/// How an operator is to find symbols, and what its table tensor holds behind the CDF rows.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Form {
    /// CDF rows, with or without an inverse CDF behind them, which the library does not need.
    Cdf,
    /// CDF rows with alias tables behind them.
    Alias,
    /// tANS tables.
    Tans,
}

/// What tables and a coder are made of, with a hash of the tensors.
#[derive(Clone, PartialEq, Eq)]
struct Key {
    form: Form,
    family: Family,
    lanes: usize,
    precision: u32,
    bypass: Option<u32>,
    device: String,
    tensors: (u128, usize, usize),
}

/// The coders that were made last, the last one at the end. Callers hand the same tables to every
/// call.
static CODERS: Mutex<Vec<(Key, Coder)>> = Mutex::new(Vec::new());
const MOST_CODERS: usize = 32;
/// Tables of more values than this are made for one call and not kept: those of `encode_with_freqs`
/// are others each time.
const MOST_KEPT: usize = 4 << 20;
/// More slots than this of all tables together are searched in their CDF: tables that are used for
/// one call do not pay for an inverse of it.
const MOST_SLOTS: usize = 1 << 26;

/// The values of an operator's tables: rows of any lengths, which are read and not copied where
/// their coder is known.
pub(crate) struct TableValues<'a> {
    pub(crate) rows: Vec<&'a [i32]>,
    pub(crate) sizes: &'a [i32],
    pub(crate) offsets: Option<&'a [i32]>,
}

impl TableValues<'_> {
    /// The rows as an array, short ones padded with zeros.
    fn matrix(&self) -> PyResult<Array2<i32>> {
        let columns = self.rows.iter().map(|row| row.len()).max().unwrap_or(0);
        let mut cells = zeros(self.rows.len(), columns)?;
        for (to, row) in cells.chunks_exact_mut(columns.max(1)).zip(&self.rows) {
            to[..row.len()].copy_from_slice(row);
        }
        Array2::from_shape_vec((self.rows.len(), columns), cells).map_err(|e| value(&e))
    }
}

/// The coder of tables. The same tables give the same coder.
pub(crate) fn coder(
    py: Python<'_>,
    (family, lanes, alias): (Family, usize, bool),
    tables: &TableValues<'_>,
    precision: u32,
    digits: Option<u32>,
    device: &str,
) -> PyResult<Coder> {
    let form = match (family.is_tans(), alias) {
        (true, _) => Form::Tans,
        (_, true) => Form::Alias,
        _ => Form::Cdf,
    };
    let bits = Precision::new(precision).or_raise()?;
    let limit = family.max_precision();
    if precision > limit {
        let text = format!("freq_precision must be in [1, {limit}] for {family} (got {precision})");
        return Err(PyValueError::new_err(text));
    }
    let negative = |_| value(&"cdfs_sizes holds a negative size");
    let counts = tables.sizes.iter().map(|&n| usize::try_from(n)).collect::<Result<Vec<_>, _>>();
    let counts = counts.map_err(negative)?;
    let values: usize = tables.rows.iter().map(|row| row.len()).sum();
    let tensors = (hash(form, precision, tables, &counts), tables.rows.len(), values);
    let device = device.to_owned();
    let key = Key { form, family, lanes, precision, bypass: digits, device, tensors };
    let mut kept = CODERS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(at) = kept.iter().position(|(known, _)| *known == key) {
        let found = kept.remove(at);
        let coder = found.1.clone();
        kept.push(found);
        return Ok(coder);
    }
    drop(kept);
    let matrix = tables.matrix()?;
    let coder = py.detach(|| {
        let (view, offsets) = (matrix.view(), tables.offsets);
        let tables = match form {
            Form::Tans => Tables::from_tans_tensor(view, bits, &counts, offsets)?,
            _ => {
                let builder = Tables::builder(bits).sizes(&counts).unused_slots(true);
                match offsets {
                    Some(offsets) => builder.offsets(offsets).cdf(view)?,
                    None => builder.cdf(view)?,
                }
            }
        };
        let slots = tables.len().saturating_mul(1 << precision);
        let lookup = match form {
            Form::Alias => Lookup::Alias,
            _ if slots > MOST_SLOTS => Lookup::Search,
            _ => Lookup::Auto,
        };
        Coder::builder(family)
            .lanes(lanes)
            .lookup(lookup)
            .bypass(bypass(digits))
            .device(key.device.parse()?)
            .skip_indexes_past_end(true)
            .build(tables)
    });
    let coder = coder.or_raise()?;
    if values <= MOST_KEPT {
        let mut kept = CODERS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if kept.len() >= MOST_CODERS {
            kept.remove(0);
        }
        kept.push((key, coder.clone()));
    }
    Ok(coder)
}

/// A hash of what says what the tables are: the front of each CDF row, or the symbols of tANS'
/// states.
fn hash(form: Form, precision: u32, tables: &TableValues<'_>, counts: &[usize]) -> u128 {
    let mut hash = Xxh3::new();
    let states = 1usize << precision;
    for (row, &count) in tables.rows.iter().zip(counts) {
        let part = match form {
            Form::Tans => 2 * states..3 * states,
            _ => 0..count,
        };
        let part = part.start.min(row.len())..part.end.min(row.len());
        hash.update(bytemuck::cast_slice(&row[part]));
    }
    hash.update(bytemuck::cast_slice(counts));
    // None is as zeros are.
    let offsets = tables.offsets.filter(|offsets| offsets.iter().any(|&offset| offset != 0));
    if let Some(offsets) = offsets {
        hash.update(bytemuck::cast_slice(offsets));
    }
    hash.digest128()
}

/// The family, the lanes, and whether symbols are found by alias tables.
type Operator = (String, usize, bool);

fn parts(operator: &Operator) -> PyResult<(Family, usize, bool)> {
    Ok((family(&operator.0)?, operator.1, operator.2))
}

/// The coder of the tensors that an operator is given.
struct Tensors<'py> {
    cdfs: Input<'py>,
    sizes: Input<'py>,
    offsets: Option<Input<'py>>,
}

impl<'py> Tensors<'py> {
    fn new(
        cdfs: &Bound<'py, PyAny>,
        sizes: &Bound<'py, PyAny>,
        offsets: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Self> {
        let offsets = offsets.map(Input::on_host).transpose()?;
        Ok(Self { cdfs: Input::on_host(cdfs)?, sizes: Input::on_host(sizes)?, offsets })
    }

    fn coder(
        &self,
        py: Python<'_>,
        parts: (Family, usize, bool),
        precision: u32,
        digits: Option<u32>,
        device: &str,
    ) -> PyResult<Coder> {
        let [_, columns] = self.cdfs.shape[..] else {
            return Err(value(&"cdfs have one row per table"));
        };
        let (cells, sizes) = (self.cdfs.integers()?, self.sizes.integers()?);
        let offsets = self.offsets.as_ref().map(Input::integers).transpose()?;
        let tables = TableValues {
            rows: cells.chunks_exact(columns.max(1)).collect(),
            sizes: &sizes,
            offsets: offsets.as_deref(),
        };
        coder(py, parts, &tables, precision, digits, device)
    }
}

/// The coder of an operator over these tables, on a device. The same tables give the same coder.
#[pyfunction]
#[pyo3(signature = (operator, cdfs, cdfs_sizes, offsets, precision, bypass, device="cpu"))]
pub(crate) fn torch_ans_coder<'py>(
    py: Python<'py>,
    operator: Operator,
    cdfs: &Bound<'py, PyAny>,
    cdfs_sizes: &Bound<'py, PyAny>,
    offsets: Option<&Bound<'py, PyAny>>,
    precision: u32,
    bypass: Option<u32>,
    device: &str,
) -> PyResult<PyCoder> {
    let tensors = Tensors::new(cdfs, cdfs_sizes, offsets)?;
    Ok(PyCoder::of(tensors.coder(py, parts(&operator)?, precision, bypass, device)?))
}

/// The rows of a stream tensor.
fn streams(family: Family, lanes: usize, tensor: &Input<'_>) -> PyResult<Streams> {
    let cells = tensor.elements::<i32>();
    let strings = strings(&cells, tensor)?;
    Streams::from_byte_strings(family, lanes, &strings).or_raise()
}

/// The byte string of each row.
fn strings<'a>(cells: &'a [i32], tensor: &Input<'_>) -> PyResult<Vec<&'a [u8]>> {
    let [_, columns] = tensor.shape[..] else {
        return Err(value(&"a stream is an int32 tensor of shape (rows, words)"));
    };
    if columns == 0 {
        return Err(value(&"a stream has at least the column of its rows' lengths"));
    }
    let one = |(row, cells): (usize, &'a [i32])| {
        let bytes: &[u8] = bytemuck::cast_slice(&cells[1..]);
        let string = usize::try_from(cells[0]).ok().and_then(|length| bytes.get(..length));
        string.ok_or_else(|| {
            let (length, most) = (cells[0], bytes.len());
            value(&format!("row {row} of the stream: length {length}, and it holds {most} bytes"))
        })
    };
    cells.chunks_exact(columns).enumerate().map(one).collect()
}

/// Writes rows back into the tensor that they came from.
fn write_back(streams: &Streams, tensor: &mut Input<'_>) -> PyResult<()> {
    let row_bytes = 4 * tensor.shape[1];
    let most = (0..streams.rows()).map(|row| streams.byte_len(row)).max().unwrap_or(0);
    if most + 4 > row_bytes || i32::try_from(most).is_err() {
        return Err(value(&format!("a row of {most} bytes in a stream of {row_bytes} per row")));
    }
    for (row, bytes) in tensor.bytes_mut()?.chunks_exact_mut(row_bytes).enumerate() {
        let string = streams.to_byte_string(row);
        bytes[..4].copy_from_slice(&(string.len() as i32).to_ne_bytes());
        bytes[4..4 + string.len()].copy_from_slice(&string);
    }
    Ok(())
}

/// The stream tensor of an operator, which is int32.
fn stream_of<'py>(stream: &Bound<'py, PyAny>) -> PyResult<Input<'py>> {
    let input = Input::on_host(stream)?;
    match input.dtype {
        parans::Dtype::I32 => Ok(input),
        other => Err(value(&format!("a stream of {other}; it is an int32 tensor"))),
    }
}

/// Pushes onto the rows of a stream tensor, in place. It has room for what a push can need.
#[pyfunction]
pub(crate) fn torch_ans_push<'py>(
    py: Python<'py>,
    operator: Operator,
    stream: &Bound<'py, PyAny>,
    symbols: &Bound<'py, PyAny>,
    indexes: &Bound<'py, PyAny>,
    cdfs: &Bound<'py, PyAny>,
    cdfs_sizes: &Bound<'py, PyAny>,
    offsets: Option<&Bound<'py, PyAny>>,
    precision: u32,
    bypass: Option<u32>,
) -> PyResult<()> {
    let tensors = Tensors::new(cdfs, cdfs_sizes, offsets)?;
    let (symbols, indexes) = (Input::on_host(symbols)?, Input::on_host(indexes)?);
    if symbols.shape != indexes.shape {
        return Err(value(&"indexes and symbols must have the same shape"));
    }
    let parts = parts(&operator)?;
    let coder = tensors.coder(py, parts, precision, bypass, "cpu")?;
    let mut tensor = stream_of(stream)?;
    let mut streams = streams(parts.0, parts.1, &tensor)?;
    let (symbol_values, index_values) = (symbols.integers()?, indexes.integers()?);
    let rows = symbols.rows_and_columns().0;
    let view = Symbols::from_slice(&symbol_values, rows).or_raise()?;
    let tables = Indexes::each(&index_values, rows).or_raise()?;
    py.detach(|| coder.push(&mut streams, view, tables)).or_raise()?;
    write_back(&streams, &mut tensor)
}

/// Pops from the rows of a stream tensor, in place: int32 symbols of the indexes' shape.
#[pyfunction]
pub(crate) fn torch_ans_pop<'py>(
    py: Python<'py>,
    operator: Operator,
    stream: &Bound<'py, PyAny>,
    indexes: &Bound<'py, PyAny>,
    cdfs: &Bound<'py, PyAny>,
    cdfs_sizes: &Bound<'py, PyAny>,
    offsets: Option<&Bound<'py, PyAny>>,
    precision: u32,
    bypass: Option<u32>,
) -> PyResult<Bound<'py, PyAny>> {
    let tensors = Tensors::new(cdfs, cdfs_sizes, offsets)?;
    let indexes = Input::on_host(indexes)?;
    let parts = parts(&operator)?;
    let coder = tensors.coder(py, parts, precision, bypass, "cpu")?;
    let mut tensor = stream_of(stream)?;
    let mut streams = streams(parts.0, parts.1, &tensor)?;
    let index_values = indexes.integers()?;
    let (rows, columns) = indexes.rows_and_columns();
    let tables = Indexes::each(&index_values, rows).or_raise()?;
    let mut symbols = zeros::<i32>(rows, columns)?;
    py.detach(|| coder.pop_into(&mut streams, tables, &mut symbols)).or_raise()?;
    write_back(&streams, &mut tensor)?;
    Ok(array_of(py, symbols, &indexes.shape)?.into_any())
}

/// The byte strings of a stream tensor's rows.
#[pyfunction]
pub(crate) fn torch_ans_strings<'py>(
    py: Python<'py>,
    stream: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyList>> {
    let input = stream_of(stream)?;
    let cells = input.elements::<i32>();
    PyList::new(py, strings(&cells, &input)?.into_iter().map(|string| PyBytes::new(py, string)))
}

/// The stream tensor of byte strings: as wide as the longest takes.
#[pyfunction]
pub(crate) fn torch_ans_stream<'py>(
    py: Python<'py>,
    strings: Vec<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let kept: Vec<BytesLike<'_>> = strings.iter().map(BytesLike::new).collect::<PyResult<_>>()?;
    let longest = kept.iter().map(|string| string.bytes().len()).max().unwrap_or(0);
    let columns = longest.div_ceil(4) + 1;
    let mut cells = zeros::<i32>(kept.len(), columns)?;
    for (row, string) in cells.chunks_exact_mut(columns).zip(&kept) {
        let bytes = string.bytes();
        row[0] = i32::try_from(bytes.len()).map_err(|_| value(&"a row of 2^31 bytes or more"))?;
        bytemuck::cast_slice_mut(&mut row[1..])[..bytes.len()].copy_from_slice(bytes);
    }
    Ok(array_of(py, cells, &[kept.len(), columns])?.into_any())
}

/// The CDF rows of probabilities of shape (tables, alphabet), int32.
#[pyfunction]
pub(crate) fn quantised_cdf<'py>(
    py: Python<'py>,
    pmf: &Bound<'py, PyAny>,
    precision: u32,
) -> PyResult<Bound<'py, PyAny>> {
    let input = Input::on_host(pmf)?;
    let bits = Precision::new(precision).or_raise()?;
    let tables = quantised(py, &input, Tables::builder(bits))?;
    let columns = tables.alphabet(0) + 1;
    // 2^31 wraps, as in torch_ans.
    let cells = (0..tables.len()).flat_map(|table| tables.cdf(table)).map(|value| value as i32);
    Ok(array_of(py, cells.collect(), &[tables.len(), columns])?.into_any())
}

/// CDF rows with torch_ans' inverse CDF behind them.
#[pyfunction]
pub(crate) fn inverse_cdf<'py>(
    py: Python<'py>,
    cdfs: &Bound<'py, PyAny>,
    precision: u32,
    table_precision: u32,
) -> PyResult<Bound<'py, PyAny>> {
    let input = Input::on_host(cdfs)?;
    let values = input.integers()?;
    let view = rows(&input.shape, &values)?;
    if !(1..=precision.min(30)).contains(&table_precision) {
        let text = format!("table_precision must be in [1, {precision}], got {table_precision}");
        return Err(value(&text));
    }
    let (entries, shift) = (1usize << table_precision, precision - table_precision);
    let mut out = Vec::with_capacity(view.nrows() * (view.ncols() + entries));
    for row in view.rows() {
        out.extend(&row);
        let mut symbol = 0;
        for bucket in 0..entries as i64 {
            while symbol + 1 < row.len() && i64::from(row[symbol + 1]) <= bucket << shift {
                symbol += 1;
            }
            out.push(symbol as i32);
        }
    }
    Ok(array_of(py, out, &[view.nrows(), view.ncols() + entries])?.into_any())
}

/// torch_ans' two alias tensors of CDF rows: for push and for pop.
#[pyfunction]
pub(crate) fn alias_tensors<'py>(
    py: Python<'py>,
    cdfs: &Bound<'py, PyAny>,
    cdfs_sizes: &Bound<'py, PyAny>,
    precision: u32,
) -> PyResult<[Bound<'py, PyArray2<i32>>; 2]> {
    let (tables, width) = cdf_tables(cdfs, cdfs_sizes, precision)?;
    let (push, pop) = py.detach(|| tables.to_alias_tensors(width)).or_raise()?;
    Ok([push.to_pyarray(py), pop.to_pyarray(py)])
}

/// torch_ans' tANS tensor of CDF rows.
#[pyfunction]
pub(crate) fn tans_tensor<'py>(
    py: Python<'py>,
    cdfs: &Bound<'py, PyAny>,
    cdfs_sizes: &Bound<'py, PyAny>,
    precision: u32,
) -> PyResult<Bound<'py, PyArray2<i32>>> {
    let (tables, width) = cdf_tables(cdfs, cdfs_sizes, precision)?;
    Ok(py.detach(|| tables.to_tans_tensor(width)).or_raise()?.to_pyarray(py))
}

fn cdf_tables(
    cdfs: &Bound<'_, PyAny>,
    cdfs_sizes: &Bound<'_, PyAny>,
    precision: u32,
) -> PyResult<(Tables, usize)> {
    let (cdfs, sizes) = (Input::on_host(cdfs)?, Input::on_host(cdfs_sizes)?);
    let (values, sizes) = (cdfs.integers()?, sizes.integers()?);
    let view = rows(&cdfs.shape, &values)?;
    // A negative size is past every row.
    let counts: Vec<usize> =
        sizes.iter().map(|&n| usize::try_from(n).unwrap_or(usize::MAX)).collect();
    let bits = Precision::new(precision).or_raise()?;
    let tables = Tables::builder(bits).sizes(&counts).cdf(view).or_raise()?;
    Ok((tables, view.ncols()))
}

/// The words of an initial row: its length in bytes, then its states.
#[pyfunction]
pub(crate) fn torch_ans_initial<'py>(
    py: Python<'py>,
    family: &str,
    lanes: usize,
) -> PyResult<Bound<'py, PyArray1<i32>>> {
    let streams = Streams::new(crate::streams::family(family)?, 1, lanes).or_raise()?;
    let string = streams.to_byte_string(0);
    let mut words = vec![string.len() as i32];
    words.extend(bytemuck::pod_collect_to_vec::<u8, i32>(&string));
    Ok(PyArray1::from_vec(py, words))
}

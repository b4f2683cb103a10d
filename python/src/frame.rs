//! Frames: compressed bytes, tensors and files of tensors.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use parans::frame::{
    Base, Container, Elements, EntryKind, FrameArchive, FrameReader, FrameWriter, Index, Layout,
    ReadOptions, RecognisingWriter, Segment, WriteOptions, recognise,
};
use parans::{Dtype, Result};
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::{OrRaise, exception};
use crate::input::{BytesLike, Input};
use crate::tensor::Tensor;

/// Content bytes between two looks at Ctrl-C.
const STRETCH: usize = 16 << 20;

/// A binary file object of Python. Each call takes the interpreter, and raises what is pending:
/// Ctrl-C ends the work at the next block.
pub(crate) struct PyFile(Py<PyAny>);

impl PyFile {
    fn call<T>(&self, work: impl FnOnce(&Bound<'_, PyAny>) -> PyResult<T>) -> io::Result<T> {
        Python::attach(|py| {
            py.check_signals()?;
            work(self.0.bind(py))
        })
        .map_err(io::Error::from)
    }
}

impl Read for PyFile {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.call(|file| {
            let bytes = file.call_method1("read", (out.len(),))?;
            let bytes = BytesLike::new(&bytes)?;
            let Some(front) = out.get_mut(..bytes.bytes().len()) else {
                return Err(PyValueError::new_err("read() gave more bytes than were asked for"));
            };
            front.copy_from_slice(bytes.bytes());
            Ok(front.len())
        })
    }
}

impl Write for PyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.call(|file| {
            let view = PyBytes::new(file.py(), bytes);
            // An unbuffered file may take a part, and one that would block takes nothing.
            let written: Option<usize> = file.call_method1("write", (view,))?.extract()?;
            Ok(written.unwrap_or(0).min(bytes.len()))
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.call(|file| file.call_method0("flush").map(drop))
    }
}

impl Seek for PyFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.call(|file| {
            let position = match to {
                SeekFrom::Start(at) => file.call_method1("seek", (at, 0)),
                SeekFrom::Current(by) => file.call_method1("seek", (by, 1)),
                SeekFrom::End(by) => file.call_method1("seek", (by, 2)),
            };
            position?.extract()
        })
    }
}

/// Runs a task without the interpreter, and raises Ctrl-C that came meanwhile.
fn apart<T: Send>(py: Python<'_>, task: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    let done = py.detach(task).map_err(exception)?;
    py.check_signals()?;
    Ok(done)
}

/// Writes content in stretches.
fn write_stretches<W: Write + Send>(
    py: Python<'_>,
    writer: &mut FrameWriter<W>,
    bytes: &[u8],
) -> PyResult<()> {
    for stretch in bytes.chunks(STRETCH) {
        apart(py, || Ok(writer.write_all(stretch)?))?;
    }
    Ok(())
}

/// Compresses a tensor of elements of any type, or the bytes of a bytes-like object. Bytes of a
/// safetensors, torch.save, GGUF, npy or npz file are recognised, and each tensor in them is coded
/// by its type.
/// ``segments`` says instead how the content is laid out: so many bytes of an element type, or of
/// none, one after another.
#[pyfunction]
#[pyo3(signature = (data, *, chunk_size=None, segments=None))]
pub(crate) fn compress_bytes<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyAny>,
    chunk_size: Option<usize>,
    segments: Option<Vec<(u64, Option<String>)>>,
) -> PyResult<Bound<'py, PyBytes>> {
    let data = BytesLike::new(data)?;
    let bytes = data.bytes();
    let layout = match segments {
        Some(segments) => layout(segments)?,
        None => py.detach(|| recognise(bytes)).unwrap_or_default(),
    };
    let options = WriteOptions { chunk_size, content_length: Some(bytes.len() as u64) };
    let mut writer = FrameWriter::with_layout(Vec::new(), options, layout).or_raise()?;
    write_stretches(py, &mut writer, bytes)?;
    let (frame, _) = apart(py, || writer.finish())?;
    Ok(PyBytes::new(py, &frame))
}

fn layout(segments: Vec<(u64, Option<String>)>) -> PyResult<Layout> {
    let one = |(length, dtype): (u64, Option<String>)| {
        let dtype = dtype.map(|name| name.parse::<Dtype>()).transpose().or_raise()?;
        Ok(Segment { length, dtype: dtype.and_then(Elements::of) })
    };
    let segments = segments.into_iter().map(one).collect::<PyResult<_>>()?;
    Ok(Layout { segments, ..Layout::default() })
}

/// Compresses one tensor.
#[pyfunction]
#[pyo3(signature = (data, *, chunk_size=None))]
pub(crate) fn compress_tensor<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyAny>,
    chunk_size: Option<usize>,
) -> PyResult<Bound<'py, PyBytes>> {
    let input = Input::on_host(data)?;
    let shape: Vec<u64> = input.shape.iter().map(|&n| n as u64).collect();
    let (bytes, dtype) = (input.bytes(), input.dtype);
    let options = WriteOptions { chunk_size, content_length: Some(bytes.len() as u64) };
    let (frame, _) = apart(py, || {
        let mut writer = FrameWriter::new(Vec::new(), options)?;
        writer.write_tensor("", dtype, &shape, bytes)?;
        writer.finish()
    })?;
    Ok(PyBytes::new(py, &frame))
}

/// The only tensor of a frame, where it was made of one.
fn only_tensor(indexes: &[Index], length: usize) -> Option<(Dtype, Vec<usize>)> {
    let [Index { container: Container::None, entries, .. }] = indexes else { return None };
    let [entry] = &entries[..] else { return None };
    let EntryKind::Tensor { dtype, shape } = &entry.kind else { return None };
    let dtype: Dtype = dtype.parse().ok()?;
    let shape: Vec<usize> =
        shape.iter().map(|&n| usize::try_from(n).ok()).collect::<Option<_>>()?;
    let bytes = shape.iter().try_fold(dtype.size(), |product, &n| product.checked_mul(n))?;
    (entry.name.is_empty() && entry.length == length as u64 && bytes == length)
        .then_some((dtype, shape))
}

/// What a frame was made of: the tensor, or the bytes. ``max_size`` bounds the content: of bytes
/// that cannot be trusted, say how much may come out.
#[pyfunction]
#[pyo3(signature = (data, *, max_size=None))]
pub(crate) fn decompress<'py>(
    py: Python<'py>,
    data: &Bound<'py, PyAny>,
    max_size: Option<u64>,
) -> PyResult<Bound<'py, PyAny>> {
    let data = BytesLike::new(data)?;
    let frame = data.bytes();
    let options = ReadOptions {
        max_content: max_size.unwrap_or(u64::MAX),
        keep_indexes: true,
        ..ReadOptions::default()
    };
    let mut reader = FrameReader::new(frame, options);
    let mut content = Vec::new();
    loop {
        let more = apart(py, || {
            let read = (&mut reader).take(STRETCH as u64).read_to_end(&mut content);
            // The reader's own error is inside.
            read.map_err(unwrapped)
        })?;
        if more == 0 {
            break;
        }
    }
    if let Some((dtype, shape)) = only_tensor(reader.indexes(), content.len()) {
        return Tensor::new(py, dtype, shape, content).into_array(py);
    }
    Ok(PyBytes::new(py, &content).into_any())
}

/// The library's error that came through `io::Read`.
fn unwrapped(error: io::Error) -> parans::Error {
    match error.downcast::<parans::Error>() {
        Ok(error) => error,
        Err(error) => parans::Error::Io(error),
    }
}

/// Writes a frame to a file object: `head` and then the tensors, which together are a file that
/// `recognise_head` knows by its head. They are coded against the file `base`, which the frame
/// names by its path from `folder`.
#[pyfunction]
#[pyo3(signature = (file, head, parts, *, base=None, folder=None))]
pub(crate) fn write_file(
    py: Python<'_>,
    file: Py<PyAny>,
    head: &Bound<'_, PyAny>,
    parts: Vec<Bound<'_, PyAny>>,
    base: Option<PathBuf>,
    folder: Option<PathBuf>,
) -> PyResult<u64> {
    let head = BytesLike::new(head)?;
    let layout = parans::frame::recognise_head(head.bytes()).unwrap_or_default();
    let writer = FrameWriter::with_layout(PyFile(file), WriteOptions::default(), layout);
    let mut writer = writer.or_raise()?;
    if let Some(path) = base {
        writer = apart(py, || {
            let base = Base::open(&path)?;
            let base = match folder {
                Some(folder) => base.seen_from(&folder),
                None => base,
            };
            writer.with_base(Arc::new(base))
        })?;
    }
    write_stretches(py, &mut writer, head.bytes())?;
    for part in &parts {
        write_stretches(py, &mut writer, Input::on_host(part)?.bytes())?;
    }
    let (_, summary) = apart(py, || writer.finish())?;
    Ok(summary.frame)
}

/// A writer until it has finished. In a box, because it is aligned to cache lines for its hash, and
/// Python's objects are not.
type Held<T> = Mutex<Option<Box<T>>>;

/// Writes named tensors one after another as one frame.
#[pyclass(module = "parans")]
pub(crate) struct FrameFile(Held<FrameWriter<PyFile>>);

#[pymethods]
impl FrameFile {
    #[new]
    #[pyo3(signature = (file, *, chunk_size=None, segments=None))]
    fn new(
        file: Py<PyAny>,
        chunk_size: Option<usize>,
        segments: Option<Vec<(u64, Option<String>)>>,
    ) -> PyResult<Self> {
        let options = WriteOptions { chunk_size, content_length: None };
        let layout = layout(segments.unwrap_or_default())?;
        let writer = FrameWriter::with_layout(PyFile(file), options, layout);
        Ok(Self(Mutex::new(Some(Box::new(writer.or_raise()?)))))
    }

    /// Writes an array or tensor under a name.
    fn add(&self, py: Python<'_>, name: &str, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let input = Input::on_host(data)?;
        let shape: Vec<u64> = input.shape.iter().map(|&n| n as u64).collect();
        let (bytes, dtype) = (input.bytes(), input.dtype);
        self.with(py, |writer| writer.write_tensor(name, dtype, &shape, bytes))
    }

    /// Writes plain bytes under a name.
    fn add_bytes(&self, py: Python<'_>, name: &str, data: &Bound<'_, PyAny>) -> PyResult<()> {
        let data = BytesLike::new(data)?;
        let bytes = data.bytes();
        self.with(py, |writer| writer.write_bytes(name, bytes))
    }

    /// Writes content without a name.
    fn write(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        let data = BytesLike::new(data)?;
        let bytes = data.bytes();
        self.with(py, |writer| Ok(writer.write_all(bytes)?))?;
        Ok(bytes.len())
    }

    /// Writes the index. Without it the frame is incomplete, and every reader says so.
    fn finish(&self, py: Python<'_>) -> PyResult<()> {
        let Some(writer) = held(&self.0).take() else { return Ok(()) };
        apart(py, || writer.finish()).map(drop)
    }
}

impl FrameFile {
    fn with(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut FrameWriter<PyFile>) -> Result<()> + Send,
    ) -> PyResult<()> {
        apart(py, || match held(&self.0).as_mut() {
            Some(writer) => work(writer),
            None => Err(parans::Error::InvalidArgument("the frame was finished".into())),
        })
    }
}

/// Writes a frame of content that is recognised as it arrives: what ``torch.save`` writes, and any
/// other model file.
#[pyclass(module = "parans")]
pub(crate) struct RecognisingFile(Held<RecognisingWriter<PyFile>>);

#[pymethods]
impl RecognisingFile {
    #[new]
    #[pyo3(signature = (file, *, chunk_size=None))]
    fn new(file: Py<PyAny>, chunk_size: Option<usize>) -> Self {
        let options = WriteOptions { chunk_size, content_length: None };
        Self(Mutex::new(Some(Box::new(RecognisingWriter::new(PyFile(file), options)))))
    }

    /// Writes the next bytes of the content.
    fn write(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        let data = BytesLike::new(data)?;
        let bytes = data.bytes();
        apart(py, || match held(&self.0).as_mut() {
            Some(writer) => Ok(writer.write_all(bytes)?),
            None => Err(parans::Error::InvalidArgument("the frame was finished".into())),
        })?;
        Ok(bytes.len())
    }

    /// Writes the index. A second call does nothing.
    fn finish(&self, py: Python<'_>) -> PyResult<()> {
        let Some(writer) = held(&self.0).take() else { return Ok(()) };
        apart(py, || writer.finish()).map(drop)
    }
}

/// A value whose last holder may have panicked: what it holds checks itself.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

trait Source: Read + Seek + Send {}
impl<T: Read + Seek + Send> Source for T {}

/// A frame opened for reading at random: a path, a bytes-like object, or any binary file object
/// that seeks. Only the chunks that are asked for are read.
#[pyclass(subclass, module = "parans._parans")]
pub(crate) struct Archive(Mutex<FrameArchive<Box<dyn Source>>>);

#[pymethods]
impl Archive {
    #[new]
    #[pyo3(signature = (source, *, bases=None))]
    fn new(
        py: Python<'_>,
        source: &Bound<'_, PyAny>,
        bases: Option<Vec<PathBuf>>,
    ) -> PyResult<Self> {
        let path = source.extract::<PathBuf>().ok();
        let inner: Box<dyn Source> = if source.hasattr("read")? {
            // Headers are read piece by piece; a call into Python costs more than a block.
            Box::new(BufReader::with_capacity(1 << 16, PyFile(source.clone().unbind())))
        } else if let Some(path) = &path {
            Box::new(BufReader::new(File::open(path)?))
        } else {
            Box::new(Cursor::new(BytesLike::new(source)?.bytes().to_vec()))
        };
        let archive = apart(py, || {
            let mut archive = FrameArchive::open(inner)?;
            let folder = path.as_deref().and_then(Path::parent);
            let found = match (&bases, folder) {
                (Some(bases), _) => {
                    let open = |path: &PathBuf| Base::open(path).map(Arc::new);
                    bases.iter().map(open).collect::<Result<Vec<_>>>()?
                }
                (None, Some(folder)) => {
                    let find = |name| Base::find(name, folder);
                    archive.bases().iter().map(find).collect::<Result<Vec<_>>>()?
                }
                // Without a folder to look in, what is coded against a base is an error when read.
                (None, None) => return Ok(archive),
            };
            if !archive.bases().is_empty() {
                archive.set_bases(found)?;
            }
            Ok(archive)
        })?;
        Ok(Self(Mutex::new(archive)))
    }

    /// The names of the entries, in the order in which they were written.
    fn keys(&self, py: Python<'_>) -> Vec<String> {
        py.detach(|| held(&self.0).index().entries.iter().map(|entry| entry.name.clone()).collect())
    }

    /// Element type (none for plain bytes), shape, content offset and bytes of an entry.
    fn info(&self, py: Python<'_>, name: &str) -> PyResult<(Option<String>, Vec<u64>, u64, u64)> {
        let entry = py.detach(|| held(&self.0).entry(name).cloned());
        let entry = entry.ok_or_else(|| PyKeyError::new_err(name.to_owned()))?;
        Ok(match entry.kind {
            EntryKind::Tensor { dtype, shape } => {
                let name = dtype.parse().map_or(dtype, |known: Dtype| known.numpy_name().into());
                (Some(name), shape, entry.offset, entry.length)
            }
            _ => (None, Vec::new(), entry.offset, entry.length),
        })
    }

    /// The tensor of this name as a :class:`parans.Tensor`.
    fn tensor(&self, py: Python<'_>, name: &str) -> PyResult<Tensor> {
        let entry = py.detach(|| held(&self.0).entry(name).cloned());
        let entry = entry.ok_or_else(|| PyKeyError::new_err(name.to_owned()))?;
        let EntryKind::Tensor { dtype, shape } = &entry.kind else {
            return Err(PyValueError::new_err(format!("{name:?} holds plain bytes, no tensor")));
        };
        let dtype: Dtype = dtype.parse().or_raise()?;
        let shape: Option<Vec<usize>> = shape.iter().map(|&n| usize::try_from(n).ok()).collect();
        let length = shape
            .as_ref()
            .and_then(|shape| shape.iter().try_fold(dtype.size(), |n, &m| n.checked_mul(m)));
        let (Some(shape), Some(true)) = (shape, length.map(|n| n as u64 == entry.length)) else {
            let message = format!("tensor {name:?}: {} bytes for its shape", entry.length);
            return Err(exception(parans::Error::Corrupt(message)));
        };
        let bytes = apart(py, || held(&self.0).read_range(entry.offset..entry.end()))?;
        Ok(Tensor::new(py, dtype, shape, bytes))
    }

    /// Content bytes from ``start`` to before ``stop``.
    fn read<'py>(&self, py: Python<'py>, start: u64, stop: u64) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = apart(py, || held(&self.0).read_range(start..stop))?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Bytes of the content.
    #[getter]
    fn content_length(&self, py: Python<'_>) -> u64 {
        py.detach(|| held(&self.0).content_length())
    }

    /// The format of the content, as far as it was recognised: ``"safetensors"``, ``"torch"``,
    /// ``"gguf"``, ``"npy"``, ``"npz"`` or ``"bytes"``.
    #[getter]
    fn container(&self, py: Python<'_>) -> &'static str {
        py.detach(|| held(&self.0).index().container.name())
    }
}

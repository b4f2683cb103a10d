//! Named parts of a frame: tensors of bytes or of arrays, and plain bytes. The element type and the
//! shape of an array go into the directory, and are checked where it is read.

use std::io::{Cursor, Read, Seek, Write};

use ndarray::{Array, ArrayView, Dimension, IxDyn};

use super::{
    FrameArchive, FrameWriter, WriteOptions,
    element::Elements,
    index::{Container, Entry, EntryKind},
};
use crate::{
    dtype::{Dtype, Element, from_bytes, to_bytes},
    error::{Error, Result},
};

impl<W: Write + Send> FrameWriter<W> {
    /// Writes a tensor as the next content: `bytes` are its elements, little-endian, `dtype` is
    /// their type ([`Dtype::F32`], `"F32"`, `"float32"`), `shape` its dimensions. Chunks are cut
    /// where it begins and ends.
    ///
    /// # Errors
    /// `Unsupported` for a name of no element type; `InvalidArgument` for a name that another entry
    /// has, for names or shapes the format cannot keep, and for another number of bytes than the
    /// type and the shape make; `Io` from the writer.
    pub fn write_tensor(
        &mut self,
        name: &str,
        dtype: impl TryInto<Dtype, Error: Into<Error>>,
        shape: &[u64],
        bytes: &[u8],
    ) -> Result<()> {
        let dtype: Dtype = dtype.try_into().map_err(Into::into)?;
        let length = bytes.len() as u64;
        if byte_length(dtype, shape) != Some(length) {
            return Err(Error::InvalidArgument(format!(
                "tensor {name:?}: {length} bytes for the shape {shape:?} of {dtype}"
            )));
        }
        let entry = Entry::tensor(name, dtype.name(), shape.to_vec(), self.position(), length);
        self.write_entry(entry, Elements::of(dtype), bytes)
    }

    /// Writes a named part of plain bytes as the next content. Chunks are cut where it begins and
    /// ends.
    ///
    /// # Errors
    /// `InvalidArgument` for a name that another entry has or that the format cannot keep, `Io`
    /// from the writer.
    pub fn write_bytes(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let (offset, length) = (self.position(), bytes.len() as u64);
        self.write_entry(
            Entry { name: name.into(), kind: EntryKind::Bytes, offset, length },
            None,
            bytes,
        )
    }

    /// Writes an array as the next content: a tensor of its type and shape, slowest dimension first
    /// however it lies in memory. [`FrameArchive::read_array`] gives it back.
    ///
    /// The tensor is an entry of the frame's own directory, as [`FrameWriter::write_tensor`] makes
    /// it, and in no container: its content is the elements and nothing else.
    ///
    /// ```
    /// use std::io::Cursor;
    /// use ndarray::{Array2, array};
    /// use parans::frame::{FrameArchive, FrameWriter, WriteOptions};
    ///
    /// let weights = array![[1f32, 2., 3.], [4., 5., 6.]];
    /// let mut writer = FrameWriter::new(Vec::new(), WriteOptions::default())?;
    /// writer.write_array("weights", &weights)?;
    /// let (frame, _) = writer.finish()?;
    ///
    /// let mut archive = FrameArchive::open(Cursor::new(&frame))?;
    /// let back: Array2<f32> = archive.read_array("weights")?;
    /// assert_eq!(back, weights);
    /// # Ok::<(), parans::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`FrameWriter::write_tensor`].
    pub fn write_array<'a, T: Element, D: Dimension>(
        &mut self,
        name: &str,
        array: impl Into<ArrayView<'a, T, D>>,
    ) -> Result<()> {
        let array = array.into();
        let shape: Vec<u64> = array.shape().iter().map(|&n| n as u64).collect();
        let standard = array.as_standard_layout();
        let elements = standard.as_slice().expect("an array of standard layout is a slice");
        self.write_tensor(name, T::DTYPE, &shape, &to_bytes(elements))
    }
}

impl<R: Read + Seek> FrameArchive<R> {
    /// Reads the tensor of this name into an array: an [`Array2<f32>`](ndarray::Array2), or an
    /// [`ArrayD`](ndarray::ArrayD) for a tensor of any shape.
    ///
    /// # Errors
    /// `InvalidArgument` where there is no tensor of this name, or it has another element type;
    /// `Shape` where it has another number of dimensions; `Unsupported` in the content of npy and
    /// npz files, whose arrays may lie fastest dimension first; `Corrupt` where its bytes are not
    /// those of its shape; and as [`FrameArchive::copy_range`].
    pub fn read_array<T: Element, D: Dimension>(&mut self, name: &str) -> Result<Array<T, D>> {
        let (entry, shape) = self.tensor::<T>(name)?;
        if matches!(self.container_of(&entry), Container::Npy | Container::Npz) {
            return Err(Error::Unsupported(format!(
                "tensor {name:?} of a numpy file as an array: the order of its dimensions is in \
                 the file's own header"
            )));
        }
        let (dimensions, range) = (shape.len(), entry.offset..entry.end());
        let corrupt = || {
            Error::Corrupt(format!(
                "tensor {name:?}: {} bytes for the shape {shape:?} of {}",
                entry.length,
                T::DTYPE
            ))
        };
        if byte_length(T::DTYPE, &shape) != Some(entry.length) {
            return Err(corrupt());
        }
        let elements = from_bytes(self.read_range(range)?)?;
        let sizes: Option<Vec<usize>> =
            shape.iter().map(|&size| usize::try_from(size).ok()).collect();
        let array = sizes.and_then(|sizes| Array::from_shape_vec(IxDyn(&sizes), elements).ok());
        array.ok_or_else(corrupt)?.into_dimensionality().map_err(|_| Error::Shape {
            what: "array to read",
            expected: format!("{dimensions} dimensions, those of tensor {name:?}"),
            got: D::NDIM.map_or_else(|| "others".into(), |n| n.to_string()),
        })
    }

    /// The tensor of this name, whose elements are to be of type `T`, and its shape.
    fn tensor<T: Element>(&self, name: &str) -> Result<(Entry, Vec<u64>)> {
        let entry = self.entry(name).cloned();
        let Some(entry) = entry else {
            return Err(Error::InvalidArgument(format!("no entry is named {name:?}")));
        };
        let EntryKind::Tensor { dtype, shape } = &entry.kind else {
            return Err(Error::InvalidArgument(format!("the entry {name:?} is no tensor")));
        };
        if dtype.parse::<Dtype>().ok() != Some(T::DTYPE) {
            return Err(Error::InvalidArgument(format!(
                "tensor {name:?} has elements of {dtype}, not of {}",
                T::DTYPE
            )));
        }
        let shape = shape.clone();
        Ok((entry, shape))
    }
}

/// Bytes of a tensor; none past 64 bits.
fn byte_length(dtype: Dtype, shape: &[u64]) -> Option<u64> {
    shape.iter().try_fold(dtype.size() as u64, |product, &n| product.checked_mul(n))
}

/// Compresses elements of any type to a frame of one tensor, losslessly: a slice of
/// [`bf16`](half::bf16), `f32` or another [`Element`] in, the bytes of a frame out, which any
/// reader of frames reads.
///
/// ```
/// use half::bf16;
/// use parans::float;
///
/// let weights: Vec<bf16> = (0..4096).map(|i| bf16::from_f32((i as f32).sin())).collect();
/// let frame = float::compress(&weights)?;
/// assert!(frame.len() < 2 * weights.len());
/// assert_eq!(float::decompress::<bf16>(&frame)?, weights);
/// # Ok::<(), parans::Error>(())
/// ```
///
/// # Errors
/// None that is known; those of [`FrameWriter`] are of its options and its output.
pub fn compress<T: Element>(elements: &[T]) -> Result<Vec<u8>> {
    let mut writer = FrameWriter::new(Vec::new(), WriteOptions::default())?;
    writer.write_tensor("", T::DTYPE, &[elements.len() as u64], &to_bytes(elements))?;
    Ok(writer.finish()?.0)
}

/// The elements of a frame of one tensor, as [`compress`] makes it, row after row whatever its
/// shape.
///
/// Memory grows with the content, which may be many thousand times as long as the frame: of bytes
/// that cannot be trusted, look at [`FrameArchive::content_length`] first.
///
/// # Errors
/// `InvalidArgument` for a tensor of another element type, and for a frame of no tensor or of
/// several; as [`FrameArchive::open`] and [`FrameArchive::read_array`].
pub fn decompress<T: Element>(frame: &[u8]) -> Result<Vec<T>> {
    let mut archive = FrameArchive::open(Cursor::new(frame))?;
    let [entry] = &archive.index().entries[..] else {
        return Err(Error::InvalidArgument(format!(
            "a frame of {} entries; one tensor is decompressed",
            archive.index().entries.len()
        )));
    };
    let name = entry.name.clone();
    Ok(archive.read_array::<T, IxDyn>(&name)?.into_raw_vec_and_offset().0)
}

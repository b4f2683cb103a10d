//! Arrays that Python gives: numpy's, any object with `__dlpack__`, and what `numpy.asarray` takes.

use std::borrow::Cow;

use bytemuck::{AnyBitPattern, NoUninit};
use dlpark::DlpackFlags;
use dlpark::ffi::{DLDataType, DLDeviceType};
use dlpark::python::{ImportRequest, ImportedDlpack};
use numpy::{PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods, npyffi};
use parans::Dtype;
use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMemoryView, PyString};

use crate::errors::{OrRaise, value};
use crate::stream::Stream;

/// Where an array lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Cpu,
    Cuda(usize),
}

/// An array of a caller.
pub(crate) struct Input<'py> {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) place: Place,
    data: Data<'py>,
    /// Whether its owner lets others write to it.
    writable: bool,
}

enum Data<'py> {
    /// Elements one after another, slowest dimension first, in memory that the owner keeps.
    Borrowed { address: *const u8, length: usize, _owner: Owner<'py> },
    /// A copy in that order.
    Copied(Vec<u8>),
}

/// What keeps the memory of an array.
enum Owner<'py> {
    Object { _kept: Bound<'py, PyAny> },
    Dlpack { _kept: ImportedDlpack },
}

impl<'py> Input<'py> {
    /// The array that an object is or holds. Where it lies on a GPU it is ready on `stream`.
    ///
    /// # Errors
    /// `TypeError` for an object that is no array; `BufferError` from its producer; `ValueError`
    /// for an element type that parans does not have.
    pub(crate) fn new(object: &Bound<'py, PyAny>, stream: Stream) -> PyResult<Self> {
        if let Ok(array) = object.cast::<PyUntypedArray>() {
            return Self::of_numpy(array);
        }
        if object.hasattr(pyo3::intern!(object.py(), "__dlpack__"))? {
            return Self::of_dlpack(object, stream);
        }
        let array = object.py().import("numpy")?.call_method1("asarray", (object,))?;
        Self::of_numpy(array.cast()?)
    }

    /// An array in host memory.
    ///
    /// # Errors
    /// As [`new`](Self::new); `ValueError` for one on a GPU.
    pub(crate) fn on_host(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        let input = Self::new(object, Stream::default())?;
        match input.place {
            Place::Cpu => Ok(input),
            Place::Cuda(_) => Err(value(&"the array lies on a GPU; this call takes host memory")),
        }
    }

    fn of_numpy(array: &Bound<'py, PyUntypedArray>) -> PyResult<Self> {
        let descr = array.dtype();
        if descr.byteorder() == b'>' {
            let native = descr.call_method1("newbyteorder", ("=",))?;
            let swapped = array.call_method1("astype", (native,))?;
            return Self::of_numpy(swapped.cast()?);
        }
        let dtype = match (descr.kind(), descr.itemsize()) {
            (b'i', 4) => Dtype::I32,
            (b'i', 8) => Dtype::I64,
            (b'u', 1) => Dtype::U8,
            (b'f', 4) => Dtype::F32,
            _ => numpy_dtype(&descr.getattr("name")?.cast_into::<PyString>()?.to_string_lossy())?,
        };
        let shape = array.shape().to_vec();
        // SAFETY: the object is an array, whose header numpy keeps valid while it lives.
        let address = unsafe { (*array.as_array_ptr()).fields.data }.cast::<u8>().cast_const();
        let owner = || Owner::Object { _kept: array.clone().into_any() };
        // SAFETY: numpy's arrays hold what their shape and strides say.
        let input =
            unsafe { Self::of_memory(dtype, shape, array.strides(), address, Place::Cpu, owner) };
        // SAFETY: as above.
        let flags = unsafe { (*array.as_array_ptr()).fields.flags };
        Ok(Self { writable: flags & npyffi::NPY_ARRAY_WRITEABLE != 0, ..input? })
    }

    fn of_dlpack(object: &Bound<'py, PyAny>, stream: Stream) -> PyResult<Self> {
        let request = ImportRequest::new(object.as_borrowed())?;
        let place = match request.device() {
            Ok(device) => match device.device_type {
                DLDeviceType::CPU | DLDeviceType::CUDAHOST => Place::Cpu,
                DLDeviceType::CUDA | DLDeviceType::CUDAMANAGED => {
                    Place::Cuda(device.device_id as usize)
                }
                other => {
                    let message = format!("an array on a device of type {}", other.0);
                    return Err(PyBufferError::new_err(message));
                }
            },
            // Without a way to ask there is host memory only.
            Err(_) => Place::Cpu,
        };
        let kept = match place {
            Place::Cpu => request.import(None, None)?,
            Place::Cuda(_) => request.import(Some(&stream), None)?,
        };
        let tensor = kept.validate().map_err(|e| PyBufferError::new_err(e.to_string()))?;
        let dtype = dlpack_dtype(tensor.dtype())?;
        let shape: Vec<usize> = tensor.shape().iter().map(|&n| n as usize).collect();
        let size = dtype.size() as isize;
        let strides = tensor.strides_or_compact().map_err(|e| value(&e))?;
        let strides: Vec<isize> = strides.iter().map(|&n| n as isize * size).collect();
        // SAFETY: the descriptor was validated, and its producer vouches for what it points to.
        let address = unsafe { tensor.offset_bytes_ptr() }.map_err(|e| value(&e))?;
        let writable = !kept.flags().contains(DlpackFlags::READ_ONLY);
        let owner = || Owner::Dlpack { _kept: kept };
        // SAFETY: as above.
        let input = unsafe { Self::of_memory(dtype, shape, &strides, address, place, owner) };
        Ok(Self { writable, ..input? })
    }

    /// The array of a shape and strides (in bytes) at an address.
    ///
    /// # Safety
    /// The memory holds it, and the owner keeps it.
    unsafe fn of_memory(
        dtype: Dtype,
        shape: Vec<usize>,
        strides: &[isize],
        address: *const u8,
        place: Place,
        owner: impl FnOnce() -> Owner<'py>,
    ) -> PyResult<Self> {
        let length = shape.iter().product::<usize>() * dtype.size();
        let mut next = dtype.size() as isize;
        let compact = length == 0
            || shape.iter().zip(strides).rev().all(|(&n, &stride)| {
                let as_compact = n == 1 || stride == next;
                next *= n as isize;
                as_compact
            });
        let data = if compact {
            Data::Borrowed { address, length, _owner: owner() }
        } else if place == Place::Cpu {
            let mut copy = Vec::with_capacity(length);
            // SAFETY: the caller's.
            unsafe { gather(&shape, strides, address, dtype.size(), &mut copy) };
            Data::Copied(copy)
        } else {
            let message = "an array on a GPU must be contiguous: call .contiguous()";
            return Err(PyBufferError::new_err(message));
        };
        Ok(Self { dtype, shape, place, data, writable: false })
    }

    /// The elements' bytes in host memory, slowest dimension first.
    ///
    /// # Panics
    /// For an array on a GPU.
    pub(crate) fn bytes(&self) -> &[u8] {
        assert_eq!(self.place, Place::Cpu, "host memory");
        match &self.data {
            Data::Borrowed { length: 0, .. } => &[],
            // SAFETY: the owner keeps so many bytes there. Whoever writes to an array while
            // another thread codes it gets what a race of theirs makes of the symbols; numpy has
            // no lock that could be taken.
            Data::Borrowed { address, length, .. } => unsafe {
                std::slice::from_raw_parts(*address, *length)
            },
            Data::Copied(bytes) => bytes,
        }
    }

    /// The elements' bytes, to be written in place.
    ///
    /// # Errors
    /// `ValueError` for an array that is read-only, not contiguous, or on a GPU.
    pub(crate) fn bytes_mut(&mut self) -> PyResult<&mut [u8]> {
        match &self.data {
            Data::Borrowed { length: 0, .. } => Ok(&mut []),
            Data::Borrowed { address, length, .. } if self.writable && self.place == Place::Cpu => {
                // SAFETY: the owner keeps so many bytes there and lets others write to them. As
                // for `bytes`, whoever uses the array in another thread meanwhile gets a mixture.
                Ok(unsafe { std::slice::from_raw_parts_mut(address.cast_mut(), *length) })
            }
            _ => Err(value(&"an array to write to is contiguous, writable and in host memory")),
        }
    }

    /// The elements as type `T`, which is of the array's type and width.
    pub(crate) fn elements<T: NoUninit + AnyBitPattern>(&self) -> Cow<'_, [T]> {
        match bytemuck::try_cast_slice(self.bytes()) {
            Ok(elements) => Cow::Borrowed(elements),
            Err(_) => Cow::Owned(bytemuck::pod_collect_to_vec(self.bytes())),
        }
    }

    /// The elements as `f32`, converted where they are other floats.
    ///
    /// # Errors
    /// `TypeError` for an array of no float type.
    pub(crate) fn floats(&self) -> PyResult<Cow<'_, [f32]>> {
        Ok(match self.dtype {
            Dtype::F32 => self.elements(),
            Dtype::F64 => self.elements::<f64>().iter().map(|&x| x as f32).collect(),
            Dtype::F16 => self.elements::<half::f16>().iter().map(|x| x.to_f32()).collect(),
            Dtype::Bf16 => self.elements::<half::bf16>().iter().map(|x| x.to_f32()).collect(),
            other => return Err(PyTypeError::new_err(format!("{other} for an array of floats"))),
        })
    }

    /// The elements as `i32`.
    ///
    /// # Errors
    /// `TypeError` for an array of no integer type, `ValueError` for one that does not fit.
    pub(crate) fn integers(&self) -> PyResult<Cow<'_, [i32]>> {
        fn converted<T: Copy + TryInto<i32> + ToString>(from: &[T]) -> PyResult<Cow<'_, [i32]>> {
            let one =
                |&x: &T| x.try_into().map_err(|_| value(&format!("{} is no int32", x.to_string())));
            from.iter().map(one).collect::<PyResult<Vec<_>>>().map(Cow::Owned)
        }
        match self.dtype {
            Dtype::I32 => Ok(self.elements()),
            Dtype::I64 => Ok(Cow::Owned(converted(&self.elements::<i64>())?.into_owned())),
            Dtype::U32 => Ok(Cow::Owned(converted(&self.elements::<u32>())?.into_owned())),
            Dtype::U64 => Ok(Cow::Owned(converted(&self.elements::<u64>())?.into_owned())),
            Dtype::I16 => Ok(self.elements::<i16>().iter().map(|&x| x.into()).collect()),
            Dtype::U16 => Ok(self.elements::<u16>().iter().map(|&x| x.into()).collect()),
            Dtype::I8 => Ok(self.elements::<i8>().iter().map(|&x| x.into()).collect()),
            Dtype::U8 => Ok(self.elements::<u8>().iter().map(|&x| x.into()).collect()),
            other => Err(PyTypeError::new_err(format!("{other} for an array of integers"))),
        }
    }

    /// The address on its GPU.
    pub(crate) fn device_address(&self) -> u64 {
        match &self.data {
            Data::Borrowed { address, .. } => *address as u64,
            Data::Copied(_) => 0,
        }
    }

    /// Elements.
    pub(crate) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Rows and columns: the first dimension and all others together; one row of a vector.
    pub(crate) fn rows_and_columns(&self) -> (usize, usize) {
        rows_and_columns(&self.shape)
    }
}

/// How a shape is coded: the first dimension counts rows, all others are one row's columns; a
/// vector or a number is one row.
pub(crate) fn rows_and_columns(shape: &[usize]) -> (usize, usize) {
    match shape {
        [] => (1, 1),
        [columns] => (1, *columns),
        [rows, rest @ ..] => (*rows, rest.iter().product()),
    }
}

/// Appends the elements of strided memory, slowest dimension first.
///
/// # Safety
/// The memory holds an array of this shape and these strides.
unsafe fn gather(
    shape: &[usize],
    strides: &[isize],
    address: *const u8,
    size: usize,
    out: &mut Vec<u8>,
) {
    let [n, inner @ ..] = shape else {
        // SAFETY: one element lies there.
        out.extend_from_slice(unsafe { std::slice::from_raw_parts(address, size) });
        return;
    };
    for at in 0..*n as isize {
        // SAFETY: the element at this place of the first dimension lies there.
        unsafe { gather(inner, &strides[1..], address.offset(at * strides[0]), size, out) };
    }
}

/// The element type of a name in numpy, ml_dtypes or PyTorch.
pub(crate) fn numpy_dtype(name: &str) -> PyResult<Dtype> {
    // ml_dtypes' IEEE variants are other types than PyTorch's, which the names here mean.
    if name == "float8_e4m3" {
        return Err(value(&"element type \"float8_e4m3\"; PyTorch's is float8_e4m3fn"));
    }
    name.parse().or_raise()
}

fn dlpack_dtype(dtype: DLDataType) -> PyResult<Dtype> {
    KNOWN.iter().find(|(known, _)| known.matches(dtype)).map(|&(_, dtype)| dtype).ok_or_else(|| {
        let DLDataType { code, bits, lanes } = dtype;
        value(&format!("elements of DLPack type {}, {bits} bits, {lanes} lanes", code.0))
    })
}

/// The type in DLPack's terms.
pub(crate) fn to_dlpack(dtype: Dtype) -> DLDataType {
    KNOWN.iter().find(|&&(_, known)| known == dtype).map_or(DLDataType::U8, |&(known, _)| known)
}

const KNOWN: [(DLDataType, Dtype); 15] = [
    (DLDataType::F16, Dtype::F16),
    (DLDataType::BF16, Dtype::Bf16),
    (DLDataType::F32, Dtype::F32),
    (DLDataType::F64, Dtype::F64),
    (DLDataType::F8E4M3FN, Dtype::F8E4M3),
    (DLDataType::F8E5M2, Dtype::F8E5M2),
    (DLDataType::I8, Dtype::I8),
    (DLDataType::U8, Dtype::U8),
    (DLDataType::I16, Dtype::I16),
    (DLDataType::U16, Dtype::U16),
    (DLDataType::I32, Dtype::I32),
    (DLDataType::U32, Dtype::U32),
    (DLDataType::I64, Dtype::I64),
    (DLDataType::U64, Dtype::U64),
    (DLDataType::BOOL, Dtype::Bool),
];

/// Bytes of a bytes-like object: `bytes`, `bytearray`, `memoryview`, or an array of any type.
pub(crate) struct BytesLike<'py>(Input<'py>);

impl<'py> BytesLike<'py> {
    /// # Errors
    /// `TypeError` for an object without a buffer.
    pub(crate) fn new(object: &Bound<'py, PyAny>) -> PyResult<Self> {
        if object.cast::<PyUntypedArray>().is_ok()
            || object.hasattr(pyo3::intern!(object.py(), "__dlpack__"))?
        {
            return Ok(Self(Input::on_host(object)?));
        }
        let py = object.py();
        let view = PyMemoryView::from(object)?;
        let options = PyDict::new(py);
        options.set_item("dtype", "uint8")?;
        let numpy = py.import("numpy")?;
        let array = if view.getattr("nbytes")?.extract::<usize>()? == 0 {
            // numpy has no view of nothing.
            numpy.call_method("empty", (0,), Some(&options))?
        } else {
            numpy.call_method("frombuffer", (view,), Some(&options))?
        };
        Ok(Self(Input::of_numpy(array.cast()?)?))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }
}

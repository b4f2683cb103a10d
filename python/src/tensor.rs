//! Tensors that Python gets: elements of any type, with `__dlpack__` and `__array__`.

use std::sync::Arc;

use dlpark::allocation::dynamic::Allocation;
use dlpark::ffi::{DLDevice, DLManagedTensor, DLManagedTensorVersioned};
use dlpark::python::{DlpackExporter, ExportRequest, export_dlpack};
use dlpark::{DlpackFlags, Managed, ManagedTensorBase};
use numpy::{PyArray1, PyArrayMethods, PyUntypedArrayMethods};
use parans::Dtype;
use parans::gpu::{DeviceBuffer, DeviceElement};
use pyo3::exceptions::{PyBufferError, PyImportError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::errors::value;
use crate::input::{numpy_dtype, to_dlpack};

/// Memory of a device that lives until the last that looks at it lets go.
pub(crate) trait DeviceMemory: Send + Sync {
    fn address(&self) -> u64;
}

impl<T: DeviceElement> DeviceMemory for DeviceBuffer<T> {
    fn address(&self) -> u64 {
        DeviceBuffer::address(self)
    }
}

enum Data {
    /// The bytes of the elements.
    Host(Py<PyArray1<u8>>),
    Device {
        memory: Arc<dyn DeviceMemory>,
        number: i32,
    },
}

/// Elements with a type and a shape: what numpy has no type for, and what lies on a GPU.
/// ``torch.from_dlpack(tensor)`` and ``numpy.asarray(tensor)`` share its memory.
#[pyclass(frozen, module = "parans")]
pub(crate) struct Tensor {
    data: Data,
    dtype: Dtype,
    shape: Vec<usize>,
}

impl Tensor {
    /// The tensor of these bytes, which are its elements.
    pub(crate) fn new(py: Python<'_>, dtype: Dtype, shape: Vec<usize>, bytes: Vec<u8>) -> Self {
        Self { data: Data::Host(PyArray1::from_vec(py, bytes).unbind()), dtype, shape }
    }

    pub(crate) fn on_device(
        memory: Arc<dyn DeviceMemory>,
        number: usize,
        dtype: Dtype,
        shape: Vec<usize>,
    ) -> Self {
        Self { data: Data::Device { memory, number: number as i32 }, dtype, shape }
    }

    /// The elements as numpy's array where numpy has their type, else as they are.
    pub(crate) fn into_array(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
        match numpy_name(self.dtype) {
            Some(_) => self.numpy(py),
            None => Ok(Bound::new(py, self)?.into_any()),
        }
    }

    fn bytes<'py>(&self, py: Python<'py>) -> PyResult<&Bound<'py, PyArray1<u8>>> {
        match &self.data {
            Data::Host(bytes) => Ok(bytes.bind(py)),
            Data::Device { .. } => {
                Err(PyTypeError::new_err("the tensor lies on a GPU: take it by __dlpack__"))
            }
        }
    }

    fn export<M: ManagedTensorBase>(&self, py: Python<'_>) -> PyResult<Managed<M>> {
        let dimensions = self.shape.len();
        let buffer = |e: dlpark::allocation::Error| PyBufferError::new_err(e.to_string());
        let mut allocation = Allocation::<M>::allocate(2 * dimensions).map_err(buffer)?;
        let mut stride = 1;
        for at in (0..dimensions).rev() {
            allocation.extra_mut()[at] = self.shape[at] as i64;
            allocation.extra_mut()[dimensions + at] = stride;
            stride *= self.shape[at] as i64;
        }
        let (data, mut initialized) = match &self.data {
            Data::Host(bytes) => {
                let kept = bytes.clone_ref(py);
                let data = kept.bind(py).data().cast();
                (data, allocation.initialize(Box::new(kept), dimensions).map_err(buffer)?)
            }
            Data::Device { memory, .. } => {
                let data = memory.address() as *mut std::ffi::c_void;
                let kept = Box::new(memory.clone());
                (data, allocation.initialize(kept, dimensions).map_err(buffer)?)
            }
        };
        let extra = initialized.extra_mut().as_mut_ptr();
        initialized.tensor_mut().shape = extra;
        // SAFETY: twice as many numbers as dimensions were allocated there.
        initialized.tensor_mut().strides = unsafe { extra.add(dimensions) };
        initialized.set_data(data).set_device(self.device()).set_dtype(to_dlpack(self.dtype));
        // SAFETY: data, shape and strides are owned by what was allocated, and describe the
        // elements; nothing else writes to them unless Python does.
        Ok(unsafe { initialized.finish() })
    }
}

/// numpy's own name of a type; none for the floats that only ml_dtypes has.
pub(crate) fn numpy_name(dtype: Dtype) -> Option<&'static str> {
    match dtype {
        Dtype::Bf16 | Dtype::F8E4M3 | Dtype::F8E5M2 => None,
        _ => Some(dtype.numpy_name()),
    }
}

/// The name of a type in a safetensors header, and the bytes of an element.
#[pyfunction]
pub(crate) fn element_type(name: &str) -> PyResult<(&'static str, usize)> {
    let dtype = numpy_dtype(name)?;
    Ok((dtype.name(), dtype.size()))
}

#[pymethods]
impl Tensor {
    /// The element type's name in numpy, ml_dtypes and PyTorch: ``"float32"``, ``"bfloat16"``, ...
    #[getter]
    fn dtype(&self) -> &'static str {
        self.dtype.numpy_name()
    }

    /// Elements along each dimension.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.shape)
    }

    /// Bytes of all elements.
    #[getter]
    fn nbytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.size()
    }

    /// ``"cpu"``, or ``"cuda:N"``.
    #[getter]
    fn device_name(&self) -> String {
        match &self.data {
            Data::Host(_) => "cpu".into(),
            Data::Device { number, .. } => format!("cuda:{number}"),
        }
    }

    /// A copy of the elements' bytes, little-endian, slowest dimension first.
    fn tobytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, self.bytes(py)?.readonly().as_slice()?))
    }

    /// The elements as an array of numpy, in the same memory; of ml_dtypes' type for bfloat16 and
    /// the 8-bit floats.
    fn numpy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let bytes = self.bytes(py)?;
        let dtype = match numpy_name(self.dtype) {
            Some(name) => name.into_pyobject(py)?.into_any(),
            None => {
                let module = py.import("ml_dtypes").map_err(|_| {
                    PyImportError::new_err(format!(
                        "numpy has no {}: install ml_dtypes, or take the tensor by DLPack",
                        self.dtype.numpy_name()
                    ))
                })?;
                module.getattr(self.dtype.numpy_name())?
            }
        };
        let shape = PyTuple::new(py, &self.shape)?;
        if bytes.len() == 0 {
            return py.import("numpy")?.call_method1("empty", (shape, dtype));
        }
        bytes.call_method1("view", (dtype,))?.call_method1("reshape", (shape,))
    }

    #[pyo3(signature = (dtype=None, copy=None))]
    fn __array__<'py>(
        &self,
        py: Python<'py>,
        dtype: Option<Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let array = self.numpy(py)?;
        match dtype {
            Some(dtype) if !array.getattr("dtype")?.eq(&dtype)? => {
                if copy == Some(false) {
                    return Err(value(&"another element type takes a copy"));
                }
                array.call_method1("astype", (dtype,))
            }
            _ if copy == Some(true) => array.call_method0("copy"),
            _ => Ok(array),
        }
    }

    #[pyo3(signature = (*, stream=None, max_version=None, dl_device=None, copy=None))]
    fn __dlpack__<'py>(
        &self,
        py: Python<'py>,
        stream: Option<Bound<'py, PyAny>>,
        max_version: Option<(u32, u32)>,
        dl_device: Option<(u32, i32)>,
        copy: Option<bool>,
    ) -> PyResult<Py<PyAny>> {
        let request = ExportRequest::parse(stream.as_ref(), max_version, dl_device, copy)?;
        export_dlpack(self, py, request)
    }

    fn __dlpack_device__(&self) -> (u32, i32) {
        self.device().into()
    }

    fn __repr__(&self) -> String {
        let device = self.device_name();
        format!("parans.Tensor({:?}, {}, {device})", self.shape, self.dtype.numpy_name())
    }
}

impl DlpackExporter for Tensor {
    fn device(&self) -> DLDevice {
        match &self.data {
            Data::Host(_) => DLDevice::CPU,
            Data::Device { number, .. } => DLDevice::cuda(*number),
        }
    }

    fn flags(&self) -> DlpackFlags {
        DlpackFlags::empty()
    }

    /// Nothing to wait for: what fills device memory here has ended when the call returns.
    fn prepare_export(&self, _py: Python<'_>, _request: &ExportRequest<'_>) -> PyResult<()> {
        Ok(())
    }

    fn export_legacy(&self, py: Python<'_>) -> PyResult<Managed<DLManagedTensor>> {
        self.export(py)
    }

    fn export_versioned(&self, py: Python<'_>) -> PyResult<Managed<DLManagedTensorVersioned>> {
        self.export(py)
    }
}

//! The CUDA stream that a call's work on device memory runs on.

use std::ffi::c_void;
use std::ptr::without_provenance_mut;

use dlpark::ffi::DLDevice;
use dlpark::python::consumer::stream::cuda;
use dlpark::python::{DlpackStream, StreamArg};
use parans::gpu::{StreamHandle, StreamKind};
use pyo3::prelude::*;

/// The stream that work on device memory runs on: the legacy default stream unless said otherwise,
/// which is PyTorch's current stream unless that was changed.
#[derive(Clone, Copy)]
pub(crate) struct Stream(pub(crate) StreamHandle);

impl Default for Stream {
    fn default() -> Self {
        Self(StreamHandle::LEGACY_DEFAULT)
    }
}

impl Stream {
    /// The stream of a Python argument: none, a handle, or an object with `cuda_stream`, as
    /// `torch.cuda.Stream` has it.
    pub(crate) fn new(object: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let Some(object) = object else { return Ok(Self::default()) };
        let handle: u64 = match object.getattr_opt("cuda_stream")? {
            Some(handle) => handle.extract()?,
            None => object.extract()?,
        };
        // SAFETY: the caller says that this is a stream of the device's primary context, and keeps
        // it until the call returns, which waits for its work.
        Ok(Self(unsafe { StreamHandle::from_raw(handle) }))
    }
}

// SAFETY: the argument is the stream that the caller named, by CUDA's convention.
unsafe impl DlpackStream for Stream {
    fn as_python_arg(&self, _py: Python<'_>, _device: DLDevice) -> PyResult<StreamArg> {
        let handle: usize = match self.0.kind() {
            StreamKind::PerThreadDefault => 2,
            StreamKind::Raw(handle) => handle as usize,
            _ => 0,
        };
        Ok(cuda(without_provenance_mut::<c_void>(handle)))
    }
}

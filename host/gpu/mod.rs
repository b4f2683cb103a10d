//! The GPU back end: the committed PTX, launched through a [`Runtime`].
//!
//! A [`Runtime`] is what a device must do: allocate, copy, load PTX, launch, time. With the feature `cuda` there is one over
//! [cust](https://crates.io/crates/cust) and the NVIDIA driver; the tests bring one over the software device, so that every kernel runs in every
//! test run. [`Gpu`] is an opened device with the kernels loaded.
//!
//! Host tensors are staged in batches of rows (`staged`). Tensors that are on the device already are coded where they are, on the caller's
//! stream, through [`GpuCoder`] (`resident`) and [`GpuModelCoder`] (`models`). What to launch, and with how much memory, is plain code (`plan`).

mod buffer;
#[cfg(feature = "cuda")]
mod cuda;
mod models;
mod plan;
mod quantise;
mod resident;
mod runtime;
mod staged;
mod tables;

use std::sync::Arc;

use crate::error::Result;

pub use buffer::{DeviceBuffer, DeviceElement, DeviceSlice};
#[cfg(feature = "cuda")]
pub use cuda::CudaRuntime;
pub use models::{DeviceModels, GpuModelCoder};
pub use parans_kernels::abi::{DeviceAddress, ModelComponent};
pub use plan::Geometry;
pub use resident::{DeviceIndexes, DeviceStreams, DeviceSymbols, GpuCoder};
pub use runtime::{Launch, Runtime, StreamHandle};
pub(crate) use staged::{HostModels, pop, pop_models, push, push_models};
pub(crate) use tables::DeviceTables;

/// The kernels as PTX, chosen at build time by the environment variable `PARANS_PTX`.
pub const PTX: &str = include_str!(concat!(env!("OUT_DIR"), "/parans.ptx"));

/// An opened device with the kernels loaded. Cloning shares it.
#[derive(Clone)]
pub struct Gpu {
    runtime: Arc<dyn Runtime>,
}

impl Gpu {
    /// Loads the kernels into a device.
    ///
    /// # Errors
    /// [`Error::Device`](crate::Error::Device) where the device refuses the PTX.
    pub fn new(runtime: impl Runtime + 'static) -> Result<Self> {
        runtime.load(PTX)?;
        Ok(Self { runtime: Arc::new(runtime) })
    }

    /// Opens the NVIDIA GPU of this number, once per process.
    ///
    /// # Errors
    /// [`Error::Unsupported`](crate::Error::Unsupported) in a build without the feature `cuda`; [`Error::Device`](crate::Error::Device)
    /// without a driver, without such a device, or where the driver refuses the PTX.
    pub fn open(number: usize) -> Result<Self> {
        #[cfg(feature = "cuda")]
        return cuda::open(number);
        #[cfg(not(feature = "cuda"))]
        Err(crate::Error::Unsupported(format!(
            "device cuda:{number}: this build has no GPU back end; build with `--features cuda`"
        )))
    }

    /// The names of the NVIDIA GPUs that [`open`](Self::open) can open.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn devices() -> Result<Vec<String>> {
        #[cfg(feature = "cuda")]
        return cuda::devices();
        #[cfg(not(feature = "cuda"))]
        Err(crate::Error::Unsupported(
            "this build has no GPU back end; build with `--features cuda`".into(),
        ))
    }

    /// The device behind it.
    pub fn runtime(&self) -> &dyn Runtime {
        &*self.runtime
    }
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Gpu").field(&self.runtime.name()).finish()
    }
}

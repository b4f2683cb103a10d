//! The GPU back end: the kernels' PTX, launched through a [`Runtime`].
//!
//! A [`Runtime`] is what a device must do: allocate, copy, load PTX, launch, time. With the feature
//! `cuda` there is one over [cust](https://crates.io/crates/cust) and the NVIDIA driver; the tests
//! bring one over the software device, so that every kernel runs in every test run. [`Gpu`] is an
//! opened device; it loads the module of a kernel when that is first launched.
//!
//! Host tensors are staged in batches of rows (`staged`). Tensors that are on the device already
//! are coded where they are, on the caller's stream, through [`GpuCoder`] (`resident`) and
//! [`GpuModelCoder`] (`models`). What to launch, and with how much memory, is plain code
//! (`launch`).

mod buffer;
#[cfg(feature = "cuda")]
mod cuda;
mod launch;
mod models;
mod ptx;
mod quantise;
mod resident;
mod runtime;
mod staged;
mod tables;
mod tensors;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use parans_kernels::abi::FIX_F32;

use crate::error::{Error, Result};

pub use buffer::{DeviceBuffer, DeviceElement, DeviceSlice};
#[cfg(feature = "cuda")]
pub use cuda::CudaRuntime;
pub use launch::Geometry;
pub use models::{DeviceModels, GpuModelCoder};
pub use parans_kernels::abi::{DeviceAddress, ModelComponent};
pub use ptx::ptx;
pub use resident::{DeviceStreams, GpuCoder};
pub use runtime::{Launch, Runtime, StreamHandle};
pub(crate) use staged::{Staged, pop, push};
pub(crate) use tables::DeviceTables;
pub use tensors::{DeviceIndexes, DeviceSymbols};

/// An opened device. Cloning shares it.
#[derive(Clone)]
pub struct Gpu {
    shared: Arc<Shared>,
}

struct Shared {
    runtime: Box<dyn Runtime>,
    /// The kernels that were loaded, each with its module.
    loaded: Mutex<HashMap<&'static str, &'static str>>,
}

impl Gpu {
    /// Opens a device. It is given a small kernel, so that one that refuses the PTX does so here;
    /// the module of any other is loaded when it is first launched, which takes a driver up to a
    /// second per kernel.
    ///
    /// # Errors
    /// [`Error::Device`] where the device refuses the PTX.
    pub fn new(runtime: impl Runtime + 'static) -> Result<Self> {
        let shared = Shared { runtime: Box::new(runtime), loaded: Mutex::default() };
        let gpu = Self { shared: Arc::new(shared) };
        gpu.load(FIX_F32)?;
        Ok(gpu)
    }

    /// Opens the NVIDIA GPU of this number, once per process.
    ///
    /// # Errors
    /// [`Error::Unsupported`] in a build without the feature `cuda`; [`Error::Device`]
    /// without a driver, without such a device, or where the driver refuses the PTX.
    pub fn open(number: usize) -> Result<Self> {
        #[cfg(feature = "cuda")]
        return open(number);
        #[cfg(not(feature = "cuda"))]
        Err(Error::Unsupported(format!(
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
        Err(Error::Unsupported(
            "this build has no GPU back end; build with `--features cuda`".into(),
        ))
    }

    /// The device behind it.
    pub fn runtime(&self) -> &dyn Runtime {
        &*self.shared.runtime
    }

    /// Loads the module of a kernel, if it has not been loaded yet.
    fn load(&self, kernel: &str) -> Result<()> {
        let mut loaded = self.shared.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.contains_key(kernel) {
            return Ok(());
        }
        let (kernel, module) = ptx::find(kernel)
            .ok_or_else(|| Error::Device(format!("the PTX has no kernel {kernel}")))?;
        // A build may have been given one module with all kernels.
        if !loaded.values().any(|&other| std::ptr::eq(other, module)) {
            self.runtime().load(module)?;
        }
        loaded.insert(kernel, module);
        Ok(())
    }

    /// Starts a kernel.
    fn launch(&self, launch: &Launch<'_>, stream: StreamHandle) -> Result<()> {
        self.load(launch.kernel)?;
        self.runtime().launch(launch, stream)
    }
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Gpu").field(&self.runtime().name()).finish()
    }
}

/// Opens a device once per process: compiling a kernel for it takes the driver a while.
#[cfg(feature = "cuda")]
fn open(number: usize) -> Result<Gpu> {
    static OPEN: std::sync::OnceLock<Mutex<HashMap<usize, Gpu>>> = std::sync::OnceLock::new();
    let mut open = OPEN.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(gpu) = open.get(&number) {
        return Ok(gpu.clone());
    }
    let gpu = Gpu::new(CudaRuntime::new(number)?)?;
    open.insert(number, gpu.clone());
    Ok(gpu)
}

//! The GPU back end: the kernels' PTX, launched through a [`Runtime`].
//!
//! A [`Runtime`] is what a device must do: allocate, copy, load PTX, launch, order streams, time.
//! [`CudaRuntime`] is one over the NVIDIA driver: with the feature `cuda-dynamic` it looks for the
//! driver when it is opened, with the feature `cuda` it is linked to it through
//! [cust](https://crates.io/crates/cust). The tests bring one over the software device, so that
//! every kernel runs in every test run. [`Gpu`] is an opened device; it loads the module of a
//! kernel when that is first launched.
//!
//! Host tensors are staged in batches of rows (`staged`). Tensors that are on the device already
//! are coded where they are, on the caller's stream, through [`GpuCoder`] (`resident`) and
//! [`GpuModelCoder`] (`models`). [`FrameDecoder`] decodes frames there (`frames`). What to launch,
//! and with how much memory, is plain code (`launch`).

mod buffer;
#[cfg(any(feature = "cuda", feature = "cuda-dynamic"))]
mod cuda;
mod frames;
mod launch;
mod memory;
mod model_coder;
mod models;
mod packing;
mod ptx;
mod quantise;
mod resident;
mod rows;
mod runtime;
mod staged;
mod status;
mod tables;
mod tensors;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use parans_kernels::abi::RowStatus;

use crate::error::{Error, Result};
use memory::Memory;
use status::POISON;

pub use buffer::{DeviceBuffer, DeviceElement, DeviceSlice};
#[cfg(any(feature = "cuda", feature = "cuda-dynamic"))]
pub use cuda::CudaRuntime;
pub use frames::FrameDecoder;
pub use launch::Geometry;
pub use model_coder::GpuModelCoder;
pub use models::DeviceModels;
pub use packing::DeviceCoder;
pub use parans_kernels::abi::{DeviceAddress, ModelComponent};
pub use ptx::ptx;
pub use resident::{DeviceStreams, GpuCoder};
pub use runtime::{EventHandle, Launch, Runtime, StreamHandle, StreamKind};
pub(crate) use staged::{Staged, pop, push};
pub(crate) use tables::DeviceTables;
pub use tensors::{DeviceIndex, DeviceIndexes, DeviceSymbols};

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
    /// A device for coders. The module of a kernel is loaded when that is first launched: only
    /// then does a driver compile it, and nothing else.
    pub fn new(runtime: impl Runtime + 'static) -> Self {
        let shared = Shared { runtime: Box::new(runtime), loaded: Mutex::default() };
        Self { shared: Arc::new(shared) }
    }

    /// Whether both are the same opened device.
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Opens the NVIDIA GPU of this number, once per process.
    ///
    /// # Errors
    /// [`Error::Unsupported`] in a build without the features `cuda` and `cuda-dynamic`;
    /// [`Error::Device`] without a driver or such a device.
    pub fn open(number: usize) -> Result<Self> {
        #[cfg(any(feature = "cuda", feature = "cuda-dynamic"))]
        return open(number);
        #[cfg(not(any(feature = "cuda", feature = "cuda-dynamic")))]
        Err(Error::Unsupported(format!(
            "device cuda:{number}: this build has no GPU back end; build with `--features cuda-dynamic`"
        )))
    }

    /// The names of the NVIDIA GPUs that [`open`](Self::open) can open.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn devices() -> Result<Vec<String>> {
        #[cfg(any(feature = "cuda", feature = "cuda-dynamic"))]
        return cuda::devices();
        #[cfg(not(any(feature = "cuda", feature = "cuda-dynamic")))]
        Err(Error::Unsupported(
            "this build has no GPU back end; build with `--features cuda-dynamic`".into(),
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

    /// Starts a kernel that writes a status per row, after the work that used the same memory last.
    /// The statuses are poisoned first, so that one that the kernel did not write shows.
    fn launch_with_status<'m>(
        &self,
        launch: &Launch<'_>,
        stream: StreamHandle,
        status: &'m DeviceBuffer<RowStatus>,
        memories: impl Iterator<Item = &'m Memory> + Clone,
    ) -> Result<()> {
        let bytes = status.len() * size_of::<RowStatus>();
        Memory::used_by(self, stream, memories.chain([&status.memory]), || {
            if bytes > 0 {
                self.runtime().fill(status.address(), POISON, bytes, stream)?;
            }
            self.launch(launch, stream)
        })
    }
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Gpu").field(&self.runtime().name()).finish()
    }
}

/// Opens a device once per process: compiling a kernel for it takes the driver a while.
#[cfg(any(feature = "cuda", feature = "cuda-dynamic"))]
fn open(number: usize) -> Result<Gpu> {
    static OPEN: std::sync::OnceLock<Mutex<HashMap<usize, Gpu>>> = std::sync::OnceLock::new();
    let mut open = OPEN.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(gpu) = open.get(&number) {
        return Ok(gpu.clone());
    }
    let gpu = Gpu::new(CudaRuntime::new(number)?);
    open.insert(number, gpu.clone());
    Ok(gpu)
}

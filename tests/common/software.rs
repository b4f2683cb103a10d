//! The software device as a runtime of the library.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use parans::gpu::{DeviceAddress, Gpu, Launch, Runtime, StreamHandle};
use parans::{Error, Result};
use parans_emulator as emulator;

/// A software device: every memory access checked.
pub struct Software {
    device: emulator::Device,
    /// By kernel.
    modules: Mutex<HashMap<String, emulator::Module>>,
    /// What the last launch cost, and of which kernel.
    pub last: Arc<Mutex<Option<(String, emulator::Report)>>>,
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Device(error.to_string())
}

impl Software {
    /// A device of a model.
    pub fn new(model: emulator::DeviceModel) -> Self {
        Self {
            device: emulator::Device::new(model),
            modules: Mutex::default(),
            last: Arc::default(),
        }
    }

    /// A device for the library's kernels.
    pub fn gpu() -> Gpu {
        Gpu::new(Self::new(emulator::DeviceModel::sm_90())).expect("the committed PTX loads")
    }
}

impl Runtime for Software {
    fn name(&self) -> String {
        self.device.model().name.to_string()
    }

    fn multiprocessors(&self) -> u32 {
        self.device.model().multiprocessors
    }

    fn shared_memory(&self) -> u32 {
        self.device.model().shared_per_block_optin
    }

    fn free_memory(&self) -> Result<u64> {
        Ok(self.device.memory_info().0)
    }

    fn load(&self, ptx: &str) -> Result<()> {
        let module = self.device.load(ptx).map_err(failed)?;
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        modules.extend(module.entries().iter().map(|entry| (entry.name.clone(), module.clone())));
        Ok(())
    }

    fn alloc(&self, bytes: usize) -> Result<DeviceAddress> {
        self.device.alloc(bytes as u64).map_err(failed)
    }

    fn free(&self, address: DeviceAddress) {
        self.device.free(address).expect("a live allocation");
    }

    fn upload(&self, to: DeviceAddress, bytes: &[u8], _: StreamHandle) -> Result<()> {
        self.device.write(to, bytes).map_err(failed)
    }

    fn download(&self, from: DeviceAddress, bytes: &mut [u8], _: StreamHandle) -> Result<()> {
        // Checked: fetching what no kernel wrote is an error here.
        self.device.read(from, bytes).map_err(failed)
    }

    fn launch(&self, launch: &Launch<'_>, _: StreamHandle) -> Result<()> {
        // Not held while launching: the device runs blocks on rayon, and a thread that waits there
        // may steal another launch.
        let modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        let module = modules.get(launch.kernel).cloned();
        drop(modules);
        let module =
            module.ok_or_else(|| failed(format!("{} is in no loaded module", launch.kernel)))?;
        let shape = emulator::Launch::linear(launch.geometry.grid, launch.geometry.block)
            .shared(launch.shared);
        let report =
            self.device.launch(&module, launch.kernel, shape, launch.params).map_err(failed)?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some((launch.kernel.to_owned(), report));
        Ok(())
    }

    fn synchronise(&self, _: StreamHandle) -> Result<()> {
        // Launches run where they are made.
        Ok(())
    }

    fn time(&self, _: StreamHandle, work: &mut dyn FnMut() -> Result<()>) -> Result<Duration> {
        let start = Instant::now();
        work()?;
        Ok(start.elapsed())
    }
}

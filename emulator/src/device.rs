//! The device as a host program sees it: memory, modules, launches.

use std::sync::Arc;
use std::time::Instant;

use crate::exec::{self, Pool};
use crate::ir::Program;
use crate::memory::global::Memory;
use crate::module::{self, Loaded};
use crate::{DeviceModel, Fault, ParseError, Report};

/// A software CUDA device. Cheap to clone; clones are the same device. Every method takes `&self`
/// and may be called from many threads at once.
#[derive(Debug, Clone)]
pub struct Device {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    model: DeviceModel,
    memory: Arc<Memory>,
    pool: Pool,
}

/// PTX loaded onto a device. Cheap to clone. Its `.global` and `.const` variables live in device
/// memory until the last clone is dropped or [`Device::unload`] is called.
#[derive(Debug, Clone)]
pub struct Module {
    loaded: Arc<Loaded>,
}

/// An entry point of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its parameters, in order.
    pub params: Vec<Param>,
    /// Bytes of the packed parameter buffer.
    pub param_bytes: u32,
    /// Bytes of static shared memory.
    pub static_shared: u32,
    /// Bytes of local memory a thread uses, called functions excluded.
    pub local_bytes: u32,
    /// 32-bit words of registers that the emulator's own allocation needs; not what ptxas would
    /// say.
    pub registers: u32,
    /// `.maxntid`, where the entry states it.
    pub max_threads: Option<u32>,
    /// `.reqntid`, where the entry states it.
    pub required_threads: Option<[u32; 3]>,
}

/// One parameter of an [`Entry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param {
    /// Offset in the packed buffer, in bytes.
    pub offset: u32,
    /// Size in bytes.
    pub size: u32,
    /// Alignment in bytes.
    pub align: u32,
}

/// A launch's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Launch {
    /// Blocks in x, y and z.
    pub grid: [u32; 3],
    /// Threads of a block in x, y and z.
    pub block: [u32; 3],
    /// Bytes of dynamic shared memory.
    pub dynamic_shared: u32,
}

impl Launch {
    /// A one-dimensional launch with no dynamic shared memory.
    pub fn linear(blocks: u32, threads: u32) -> Self {
        Self { grid: [blocks, 1, 1], block: [threads, 1, 1], dynamic_shared: 0 }
    }

    /// The same launch with dynamic shared memory, in bytes.
    pub fn shared(self, bytes: u32) -> Self {
        Self { dynamic_shared: bytes, ..self }
    }
}

/// A range of device memory, from [`Device::allocation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First address.
    pub address: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Device {
    /// A device with empty memory.
    pub fn new(model: DeviceModel) -> Self {
        let memory = Arc::new(Memory::new(model.total_memory));
        Self { inner: Arc::new(Inner { model, memory, pool: Pool::default() }) }
    }

    /// What the device claims to be.
    pub fn model(&self) -> &DeviceModel {
        &self.inner.model
    }

    /// Allocates global memory, 512-byte aligned, contents undefined (a read of them is a fault).
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`].
    pub fn alloc(&self, bytes: u64) -> Result<u64, Fault> {
        self.inner.memory.alloc(bytes, "", false)
    }

    /// Frees an allocation by its first address. Addresses are never reused, so a later access is
    /// always a fault.
    ///
    /// # Errors
    /// [`Fault::InvalidRange`] where no live allocation begins there.
    pub fn free(&self, address: u64) -> Result<(), Fault> {
        self.inner.memory.free(address)
    }

    /// Copies host bytes to the device.
    ///
    /// # Errors
    /// [`Fault::InvalidRange`].
    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Fault> {
        self.inner.memory.write(address, bytes)
    }

    /// Copies device bytes to the host.
    ///
    /// # Errors
    /// [`Fault::InvalidRange`]; [`Fault::HostUninitialised`] where a byte was never written.
    pub fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), Fault> {
        self.inner.memory.read(address, bytes, true)
    }

    /// As [`read`](Self::read), but bytes never written read as zero, as a driver permits.
    ///
    /// # Errors
    /// [`Fault::InvalidRange`].
    pub fn read_unchecked(&self, address: u64, bytes: &mut [u8]) -> Result<(), Fault> {
        self.inner.memory.read(address, bytes, false)
    }

    /// Sets device bytes.
    ///
    /// # Errors
    /// [`Fault::InvalidRange`].
    pub fn fill(&self, address: u64, byte: u8, len: u64) -> Result<(), Fault> {
        self.inner.memory.fill(address, byte, len)
    }

    /// Copies device bytes on the device; bytes never written stay so in the copy.
    ///
    /// # Errors
    /// [`Fault::InvalidRange`].
    pub fn copy(&self, dst: u64, src: u64, len: u64) -> Result<(), Fault> {
        self.inner.memory.copy(dst, src, len)
    }

    /// The live allocation that holds an address.
    pub fn allocation(&self, address: u64) -> Option<Range> {
        self.inner.memory.range_of(address)
    }

    /// Free and total bytes of global memory.
    pub fn memory_info(&self) -> (u64, u64) {
        self.inner.memory.info()
    }

    /// Parses and loads PTX text.
    ///
    /// # Errors
    /// The line and column of what the device does not support.
    pub fn load(&self, ptx: &str) -> Result<Module, ParseError> {
        let loaded = module::load(ptx, &self.inner.memory)?;
        Ok(Module { loaded: Arc::new(loaded) })
    }

    /// Frees a module's variables now. Launching it afterwards is an error where a kernel uses
    /// them.
    pub fn unload(&self, module: &Module) {
        module.loaded.free();
    }

    /// Runs a kernel to its end. `params` is the packed parameter buffer, laid out as
    /// [`Entry::params`] says.
    ///
    /// # Errors
    /// [`Fault::InvalidLaunch`], or the first fault that a thread met.
    pub fn launch(
        &self,
        module: &Module,
        entry: &str,
        launch: Launch,
        params: &[u8],
    ) -> Result<Report, Fault> {
        let (info, program) = module.find(entry)?;
        self.check_launch(info, program, launch)?;
        if params.len() != program.param_bytes as usize {
            let wrong = format!(
                "{entry} takes {} bytes of parameters, not {}",
                program.param_bytes,
                params.len()
            );
            return Err(Fault::InvalidLaunch(wrong));
        }
        let model = &self.inner.model;
        let table = self.inner.memory.snapshot();
        let context = exec::Context {
            program,
            params,
            launch,
            memory: &self.inner.memory,
            table: &table,
            checks: model.checks,
            instruction_limit: model.instruction_limit,
            call_depth: model.call_depth,
            local_limit: model.local_per_thread,
            multiprocessors: model.multiprocessors,
            started: Instant::now(),
        };
        exec::launch(&context, &self.inner.pool)
    }

    /// As [`launch`](Self::launch), with one slice for each parameter.
    ///
    /// # Errors
    /// As [`launch`](Self::launch).
    pub fn launch_args(
        &self,
        module: &Module,
        entry: &str,
        launch: Launch,
        args: &[&[u8]],
    ) -> Result<Report, Fault> {
        let (info, program) = module.find(entry)?;
        let fits = info.params.len() == args.len()
            && info.params.iter().zip(args).all(|(p, a)| p.size as usize == a.len());
        if !fits {
            let sizes: Vec<_> = info.params.iter().map(|p| p.size).collect();
            let given: Vec<_> = args.iter().map(|a| a.len()).collect();
            let wrong = format!("{entry} takes parameters of {sizes:?} bytes, not {given:?}");
            return Err(Fault::InvalidLaunch(wrong));
        }
        let mut params = vec![0; program.param_bytes as usize];
        for (param, arg) in info.params.iter().zip(args) {
            params[param.offset as usize..][..arg.len()].copy_from_slice(arg);
        }
        self.launch(module, entry, launch, &params)
    }

    fn check_launch(&self, info: &Entry, program: &Program, launch: Launch) -> Result<(), Fault> {
        let model = &self.inner.model;
        let wrong = |what: String| Err(Fault::InvalidLaunch(what));
        let Launch { grid, block, dynamic_shared } = launch;
        let within =
            |n: [u32; 3], max: [u32; 3]| n.iter().zip(max).all(|(&n, max)| n > 0 && n <= max);
        if !within(grid, model.max_grid) {
            return wrong(format!("a grid of {grid:?} blocks"));
        }
        let threads: u64 = block.iter().map(|&n| u64::from(n)).product();
        let limit = info.max_threads.unwrap_or(u32::MAX).min(model.max_threads_per_block);
        if !within(block, model.max_block) || threads > u64::from(limit) {
            return wrong(format!("a block of {block:?} threads, of at most {limit}"));
        }
        if info.required_threads.is_some_and(|required| required != block) {
            return wrong(format!("a block of {block:?} threads where the entry states another"));
        }
        let shared = u64::from(program.dynamic_shared_at) + u64::from(dynamic_shared);
        if dynamic_shared > 0 && shared > u64::from(model.shared_per_block_optin)
            || program.static_shared > model.shared_per_block_optin
        {
            return wrong(format!("{shared} bytes of shared memory"));
        }
        Ok(())
    }
}

impl Module {
    /// The entry points, in the order of the text.
    pub fn entries(&self) -> &[Entry] {
        &self.loaded.entries
    }

    /// One entry point.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.loaded.entries.iter().find(|e| e.name == name)
    }

    /// A `.global` or `.const` variable.
    pub fn global(&self, name: &str) -> Option<Range> {
        self.loaded.globals.get(name).copied()
    }

    fn find(&self, name: &str) -> Result<(&Entry, &Program), Fault> {
        let at = self.loaded.entries.iter().position(|e| e.name == name);
        at.map(|at| (&self.loaded.entries[at], &self.loaded.programs[at]))
            .ok_or_else(|| Fault::InvalidLaunch(format!("no entry point {name}")))
    }
}

//! The device as a host program sees it: memory, modules, launches.

use crate::{DeviceModel, Fault, ParseError, Report};

/// A software CUDA device. Cheap to clone; clones are the same device. Every method takes `&self` and may be
/// called from many threads at once.
#[derive(Debug, Clone)]
pub struct Device {
    model: DeviceModel,
}

/// PTX loaded onto a device. Cheap to clone. Its `.global` and `.const` variables live in device memory until
/// the last clone is dropped or [`Device::unload`] is called.
#[derive(Debug, Clone)]
pub struct Module {}

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
    /// 32-bit words of registers that the emulator's own allocation needs; not what ptxas would say.
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
        Self { model }
    }

    /// What the device claims to be.
    pub fn model(&self) -> &DeviceModel {
        &self.model
    }

    /// Allocates global memory, 512-byte aligned, contents undefined (a read of them is a fault).
    ///
    /// # Errors
    /// [`Fault::OutOfMemory`].
    pub fn alloc(&self, bytes: u64) -> Result<u64, Fault> {
        let _ = bytes;
        todo!()
    }

    /// Frees an allocation by its first address. Addresses are never reused, so a later access is always a fault.
    ///
    /// # Errors
    /// [`Fault::InvalidRange`] where no live allocation begins there.
    pub fn free(&self, address: u64) -> Result<(), Fault> {
        let _ = address;
        todo!()
    }

    /// Copies host bytes to the device.
    ///
    /// # Errors
    /// [`Fault::InvalidRange`].
    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Fault> {
        let _ = (address, bytes);
        todo!()
    }

    /// Copies device bytes to the host.
    ///
    /// # Errors
    /// [`Fault::InvalidRange`]; [`Fault::HostUninitialised`] where a byte was never written.
    pub fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), Fault> {
        let _ = (address, bytes);
        todo!()
    }

    /// As [`read`](Self::read), but bytes never written read as zero, as a driver permits.
    ///
    /// # Errors
    /// [`Fault::InvalidRange`].
    pub fn read_unchecked(&self, address: u64, bytes: &mut [u8]) -> Result<(), Fault> {
        let _ = (address, bytes);
        todo!()
    }

    /// Sets device bytes.
    ///
    /// # Errors
    /// [`Fault::InvalidRange`].
    pub fn fill(&self, address: u64, byte: u8, len: u64) -> Result<(), Fault> {
        let _ = (address, byte, len);
        todo!()
    }

    /// Copies device bytes on the device; bytes never written stay so in the copy.
    ///
    /// # Errors
    /// [`Fault::InvalidRange`].
    pub fn copy(&self, dst: u64, src: u64, len: u64) -> Result<(), Fault> {
        let _ = (dst, src, len);
        todo!()
    }

    /// The live allocation that holds an address.
    pub fn allocation(&self, address: u64) -> Option<Range> {
        let _ = address;
        todo!()
    }

    /// Free and total bytes of global memory.
    pub fn memory_info(&self) -> (u64, u64) {
        todo!()
    }

    /// Parses and loads PTX text.
    ///
    /// # Errors
    /// The line and column of what the device does not know.
    pub fn load(&self, ptx: &str) -> Result<Module, ParseError> {
        let _ = ptx;
        todo!()
    }

    /// Frees a module's variables now. Launching it afterwards is an error where a kernel uses them.
    pub fn unload(&self, module: &Module) {
        let _ = module;
        todo!()
    }

    /// Runs a kernel to its end. `params` is the packed parameter buffer, laid out as [`Entry::params`] says.
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
        let _ = (module, entry, launch, params);
        todo!()
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
        let _ = (module, entry, launch, args);
        todo!()
    }
}

impl Module {
    /// The entry points, in the order of the text.
    pub fn entries(&self) -> &[Entry] {
        todo!()
    }

    /// One entry point.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        let _ = name;
        todo!()
    }

    /// A `.global` or `.const` variable.
    pub fn global(&self, name: &str) -> Option<Range> {
        let _ = name;
        todo!()
    }
}

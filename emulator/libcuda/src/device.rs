//! One software device as the driver sees it.

use crate::abi::{DevicePointer, Status};
use crate::allocations::{Allocation, Allocations};
use crate::errors::{CudaError, diagnose, host_error};
use crate::sync::lock;
use parans_emulator::{Device as Machine, DeviceModel};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

/// One software device as the driver sees it.
pub(crate) struct Device {
    /// Its number, `CUdevice`.
    pub(crate) ordinal: usize,
    /// What executes.
    pub(crate) machine: Machine,
    /// Its primary context.
    pub(crate) primary: Mutex<Primary>,
    /// Whether work in streams runs only when something waits for it.
    pub(crate) lazy: bool,
    allocations: Mutex<Allocations>,
    /// Held by the launch whose memory the host shares.
    pub(crate) carrying: Mutex<()>,
    capacity: u64,
    used: AtomicU64,
}

impl Device {
    /// A device with empty memory.
    ///
    /// Capacity is counted here and not by the machine, because pinned host memory has addresses on
    /// it too but takes none of its capacity.
    pub(crate) fn new(ordinal: usize, model: DeviceModel, lazy: bool) -> Self {
        Device {
            ordinal,
            lazy,
            capacity: model.total_memory,
            machine: Machine::new(model.with_memory(1 << 62)),
            primary: Mutex::default(),
            carrying: Mutex::default(),
            allocations: Mutex::default(),
            used: AtomicU64::new(0),
        }
    }

    /// Allocates memory that counts against the capacity.
    pub(crate) fn allocate(&self, bytes: u64) -> Status<DevicePointer> {
        let grown = |used: u64| used.checked_add(bytes).filter(|&used| used <= self.capacity);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown)
            .map_err(|_| CudaError::OutOfMemory)?;
        self.machine.alloc(bytes).map_err(|fault| {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
            host_error(&fault)
        })
    }

    /// Gives back what [`allocate`](Self::allocate) gave.
    pub(crate) fn free(&self, address: DevicePointer, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        self.unmap(address);
    }

    /// Gives back memory that never counted.
    fn unmap(&self, address: DevicePointer) {
        if let Err(fault) = self.machine.free(address) {
            diagnose(&format!("freeing {address:#x}: {fault}"));
        }
    }

    /// Bytes that are free, and all there are.
    pub(crate) fn memory_info(&self) -> (u64, u64) {
        (self.capacity - self.used.load(Ordering::Relaxed), self.capacity)
    }

    /// What it claims to be.
    pub(crate) fn model(&self) -> &DeviceModel {
        self.machine.model()
    }

    /// What is allocated on it.
    pub(crate) fn allocations(&self) -> MutexGuard<'_, Allocations> {
        lock(&self.allocations)
    }

    /// Gives the device's part of an allocation back.
    pub(crate) fn release(&self, allocation: &Allocation) {
        match allocation.counted {
            0 => self.unmap(allocation.base),
            counted => self.free(allocation.base, counted),
        }
    }

    /// A UUID that is the same in every run: a name, then the ordinal.
    pub(crate) fn uuid(&self) -> [u8; 16] {
        let mut uuid = *b"parans-device-\0\0";
        uuid[15] = self.ordinal as u8;
        uuid
    }
}

/// The state of a device's primary context.
#[derive(Default)]
pub(crate) struct Primary {
    /// The number of its handle. Once given out, it stays the same for good.
    pub(crate) handle: Option<usize>,
    /// How many users it has.
    pub(crate) retained: usize,
    /// The flags that it is made with.
    pub(crate) flags: u32,
}

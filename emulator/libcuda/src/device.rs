//! Devices: how many there are, what they are called, how much memory they have.

use crate::abi::{DevicePointer, Host, Out, Status, exports};
use crate::attributes;
use crate::driver::devices;
use crate::errors::{CudaError, diagnose};
use crate::launch;
use crate::memory::Allocations;
use crate::primary::Primary;
use crate::table::lock;
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
    allocations: Mutex<Allocations>,
    /// Held by the launch whose memory the host shares: see [`Carried`](crate::pinned::Carried).
    pub(crate) carrying: Mutex<()>,
    capacity: u64,
    used: AtomicU64,
}

impl Device {
    /// A device with empty memory.
    ///
    /// Capacity is counted here and not by the machine, because pinned host memory has addresses on
    /// it too but takes none of its capacity.
    pub(crate) fn new(ordinal: usize, model: DeviceModel) -> Self {
        Device {
            ordinal,
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
            launch::host_error(&fault)
        })
    }

    /// Gives back what [`allocate`](Self::allocate) gave.
    pub(crate) fn free(&self, address: DevicePointer, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        self.unmap(address);
    }

    /// Gives back memory that never counted.
    pub(crate) fn unmap(&self, address: DevicePointer) {
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

    /// A UUID that is the same in every run: a name, then the ordinal.
    fn uuid(&self) -> [u8; 16] {
        let mut uuid = *b"parans-device-\0\0";
        uuid[15] = self.ordinal as u8;
        uuid
    }
}

/// The device of a `CUdevice`.
pub(crate) fn device(ordinal: i32) -> Status<&'static Device> {
    usize::try_from(ordinal)
        .ok()
        .and_then(|ordinal| devices().map(|all| all.get(ordinal)).transpose())
        .unwrap_or(Err(CudaError::InvalidDevice))
}

exports! {
    fn cuDeviceGetCount(count: Out<i32>) {
        count.set(devices()?.len() as i32)
    }

    fn cuDeviceGet(out: Out<i32>, ordinal: i32) {
        out.set(device(ordinal)?.ordinal as i32)
    }

    fn cuDeviceGetName(name: Host, length: i32, ordinal: i32) {
        let device = device(ordinal)?;
        let room = usize::try_from(length).map_err(|_| CudaError::InvalidValue)?;
        let kept = device.model().name.len().min(room.checked_sub(1).ok_or(CudaError::InvalidValue)?);
        let to = name.bytes_mut(kept + 1)?;
        to[..kept].copy_from_slice(&device.model().name.as_bytes()[..kept]);
        to[kept] = 0;
        Ok(())
    }

    fn cuDeviceGetUuid(uuid: Out<[u8; 16]>, ordinal: i32) {
        uuid.set(device(ordinal)?.uuid())
    }

    fn cuDeviceGetUuid_v2(uuid: Out<[u8; 16]>, ordinal: i32) {
        uuid.set(device(ordinal)?.uuid())
    }

    fn cuDeviceTotalMem_v2(bytes: Out<usize>, ordinal: i32) {
        bytes.set(device(ordinal)?.capacity as usize)
    }

    fn cuDeviceGetAttribute(value: Out<i32>, attribute: i32, ordinal: i32) {
        let device = device(ordinal)?;
        value.set(attributes::value(device.model(), device.ordinal, attribute)?)
    }

    fn cuDeviceComputeCapability(major: Out<i32>, minor: Out<i32>, ordinal: i32) {
        let (first, second) = device(ordinal)?.model().compute_capability;
        major.required()?;
        minor.set(second as i32)?;
        major.set(first as i32)
    }

    fn cuDeviceGetPCIBusId(text: Host, length: i32, ordinal: i32) {
        let id = format!("0000:{:02x}:00.0\0", device(ordinal)?.ordinal + 1);
        if usize::try_from(length).is_ok_and(|length| length >= id.len()) {
            text.bytes_mut(id.len())?.copy_from_slice(id.as_bytes());
            Ok(())
        } else {
            Err(CudaError::InvalidValue)
        }
    }

    fn cuDeviceCanAccessPeer(can: Out<i32>, from: i32, to: i32) {
        device(from)?;
        device(to)?;
        can.set(0)
    }
}

//! Memory that host and device both reach at one address: managed, pinned and registered memory.
//!
//! The software device keeps its bytes itself, so such memory exists twice: the program sees host
//! pages at the very addresses the device uses, and a launch carries the bytes over before and back
//! after. The host's pages are the truth in between. Only bytes that the kernel has changed come
//! back, because another thread may write its own part of such memory while the kernel runs.

use crate::abi::{DevicePointer, Host, Out, Status, exports};
use crate::allocations::{Allocation, Kind, Mirror, PAGE, next_id};
use crate::context::{Context, working};
use crate::device::Device;
use crate::errors::{CudaError, host_error};
use crate::sync::lock;
use parans_emulator::Fault;
use std::sync::MutexGuard;

/// What a launch needs to carry the shared memory over and back.
pub(crate) struct Carried<'a> {
    regions: Vec<Region>,
    /// While one launch works on such memory no other may carry it over: the host's bytes would
    /// undo what the kernel has written.
    _alone: Option<MutexGuard<'a, ()>>,
}

/// One such memory: its addresses on both sides, and its bytes as they were before the launch.
struct Region {
    id: u64,
    address: DevicePointer,
    host: Host,
    before: Vec<u8>,
}

impl<'a> Carried<'a> {
    /// Copies to the device every managed memory, every pinned one that the program has asked a
    /// device pointer for, and every pinned one that a word of `parameters` points into.
    pub(crate) fn over(device: &'a Device, parameters: &[u8]) -> Result<Self, Fault> {
        let alone = lock(&device.carrying);
        let mut regions = Vec::new();
        for allocation in device.allocations().iter() {
            let Some(mirror) = &allocation.mirror else { continue };
            let reachable = match allocation.kind {
                Kind::Managed => true,
                Kind::Pinned(flags) | Kind::Registered(flags) => {
                    flags & DEVICE_MAP != 0 || points_into(parameters, allocation)
                }
                Kind::Device => false,
            };
            if reachable {
                let before = mirror.bytes(allocation.bytes).to_vec();
                device.machine.write(allocation.start, &before)?;
                let (id, address) = (allocation.id, allocation.start);
                regions.push(Region { id, address, host: mirror.host(), before });
            }
        }
        let _alone = (!regions.is_empty()).then_some(alone);
        Ok(Carried { regions, _alone })
    }

    /// Copies back what the kernel changed. Memory that another thread has freed meanwhile is
    /// nobody's any more.
    pub(crate) fn back(self, device: &Device) -> Result<(), Fault> {
        // Held to the end: memory is given back, on both sides, only after it has left the list.
        let allocations = device.allocations();
        for region in self.regions {
            if allocations.at(region.address).is_none_or(|held| held.id != region.id) {
                continue;
            }
            let mut after = vec![0; region.before.len()];
            device.machine.read_unchecked(region.address, &mut after)?;
            let Ok(host) = region.host.bytes_mut(after.len()) else { continue };
            for (index, (new, old)) in after.iter().zip(&region.before).enumerate() {
                if new != old {
                    host[index] = *new;
                }
            }
        }
        Ok(())
    }
}

/// Whether an aligned 8-byte word of a parameter buffer is an address inside the allocation.
fn points_into(parameters: &[u8], allocation: &Allocation) -> bool {
    parameters
        .as_chunks::<8>()
        .0
        .iter()
        .any(|word| u64::from_ne_bytes(*word).wrapping_sub(allocation.start) < allocation.bytes)
}

/// Addresses that are tried for a mapping.
const TRIES: usize = 64;

/// `CU_MEMHOSTALLOC_DEVICEMAP` and `CU_MEMHOSTREGISTER_DEVICEMAP`.
const DEVICE_MAP: u32 = 2;

/// Allocates memory of both sides in a context.
fn allocate(context: &Context, bytes: usize, kind: Kind) -> Status<DevicePointer> {
    if bytes == 0 {
        return Err(CudaError::InvalidValue);
    }
    let device = context.device;
    // Enough to begin at a page, which the host's mapping has to.
    let size = bytes.checked_add(2 * PAGE).ok_or(CudaError::OutOfMemory)? as u64;
    // Managed memory takes the device's capacity; pinned memory is the host's.
    let counted = if kind == Kind::Managed { size } else { 0 };
    for _ in 0..TRIES {
        let base = match counted {
            0 => device.machine.alloc(size).map_err(|fault| host_error(&fault))?,
            counted => device.allocate(counted)?,
        };
        let start = base.next_multiple_of(PAGE as u64);
        let mirror = Mirror::map(start, bytes);
        let failed = mirror.is_err();
        let allocation = Allocation {
            start,
            bytes: bytes as u64,
            kind,
            context: context.id,
            id: next_id(),
            base,
            counted,
            mirror: mirror.ok(),
            is_being_freed: false,
        };
        if !failed {
            device.allocations().insert(allocation);
            return Ok(start);
        }
        // Something else is mapped there, another device's memory for one; the next allocation lies
        // further on.
        device.release(&allocation);
    }
    Err(CudaError::OutOfMemory)
}

/// Frees pinned memory.
fn free(context: &Context, start: DevicePointer) -> Status {
    let device = context.device;
    context.queues.run_all();
    let allocation = device
        .allocations()
        .remove(start, |kind| matches!(kind, Kind::Pinned(_)))
        .ok_or(CudaError::InvalidValue)?;
    device.release(&allocation);
    Ok(())
}

exports! {
    /// `flags`: 1 for every stream (global), 2 for the host until attached; either is all the same
    /// here.
    fn cuMemAllocManaged(out: Out<DevicePointer>, bytes: usize, flags: u32) {
        let context = working()?;
        out.required()?;
        if !matches!(flags, 1 | 2) {
            return Err(CudaError::InvalidValue);
        }
        out.set(allocate(&context, bytes, Kind::Managed)?)
    }

    fn cuMemAllocHost_v2(out: Out<Host>, bytes: usize) {
        let context = working()?;
        out.required()?;
        out.set(Host::from_address(allocate(&context, bytes, Kind::Pinned(0))?))
    }

    fn cuMemHostAlloc(out: Out<Host>, bytes: usize, flags: u32) {
        let context = working()?;
        out.required()?;
        if flags & !7 != 0 {
            return Err(CudaError::InvalidValue);
        }
        out.set(Host::from_address(allocate(&context, bytes, Kind::Pinned(flags))?))
    }

    fn cuMemFreeHost(start: Host) {
        if start.is_null() {
            return Ok(());
        }
        free(&*working()?, start.address())
    }

    /// The device address of registered memory is not its host address, as the attribute
    /// `CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM` (0) says.
    fn cuMemHostRegister_v2(start: Host, bytes: usize, flags: u32) {
        let context = working()?;
        if start.is_null() || bytes == 0 || flags & !15 != 0 {
            return Err(CudaError::InvalidValue);
        }
        let device = context.device;
        let mut allocations = device.allocations();
        if allocations.registered(start.address(), bytes as u64).is_some()
            || allocations.overlaps(start.address(), bytes as u64)
        {
            return Err(CudaError::HostMemoryAlreadyRegistered);
        }
        let base = device.machine.alloc(bytes as u64).map_err(|fault| host_error(&fault))?;
        allocations.insert(Allocation {
            start: base,
            bytes: bytes as u64,
            kind: Kind::Registered(flags),
            context: context.id,
            id: next_id(),
            base,
            counted: 0,
            mirror: Some(Mirror::of(start, bytes)),
            is_being_freed: false,
        });
        Ok(())
    }

    fn cuMemHostUnregister(start: Host) {
        let context = working()?;
        context.queues.run_all();
        let mut allocations = context.device.allocations();
        let registered = allocations
            .registered(start.address(), 1)
            .filter(|allocation| allocation.mirror.as_ref().is_some_and(|mirror| mirror.host() == start))
            .map(|allocation| allocation.start);
        let allocation = registered
            .and_then(|address| allocations.remove(address, |_| true))
            .ok_or(CudaError::HostMemoryNotRegistered)?;
        context.device.release(&allocation);
        Ok(())
    }

    fn cuMemHostGetDevicePointer_v2(out: Out<DevicePointer>, start: Host, flags: u32) {
        let context = working()?;
        out.required()?;
        if flags != 0 {
            return Err(CudaError::InvalidValue);
        }
        let mut allocations = context.device.allocations();
        let address = match allocations.registered(start.address(), 1) {
            Some(allocation) => allocation.on_device(start.address()),
            None => start.address(),
        };
        match allocations.at_mut(address).map(|allocation| &mut allocation.kind) {
            // From here on a kernel may reach it by any way.
            Some(Kind::Pinned(asked) | Kind::Registered(asked)) => *asked |= DEVICE_MAP,
            Some(Kind::Managed) => {}
            _ => return Err(CudaError::InvalidValue),
        }
        out.set(address)
    }

    fn cuMemHostGetFlags(out: Out<u32>, start: Host) {
        let context = working()?;
        let allocations = context.device.allocations();
        match allocations.at(start.address()).map(|allocation| allocation.kind) {
            Some(Kind::Pinned(flags)) => out.set(flags),
            _ => Err(CudaError::InvalidValue),
        }
    }
}

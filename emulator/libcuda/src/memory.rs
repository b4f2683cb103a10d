//! Device memory: who allocated what, `cuMemAlloc` and its relatives.

use crate::abi::{DevicePointer, Handle, Host, Out, Status, exports};
use crate::context::{Context, working};
use crate::device::Device;
use crate::errors::CudaError;
use crate::pinned::Mirror;
use crate::stream::{self, Stream};
use std::collections::BTreeMap;

/// What an allocation is for, which decides whether the host may touch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `cuMemAlloc`: the device's alone.
    Device,
    /// `cuMemAllocManaged`: the host's too, at the same address.
    Managed,
    /// `cuMemAllocHost`, `cuMemHostAlloc`: the host's, which the device may reach; the flags asked
    /// for.
    Pinned(u32),
    /// `cuMemHostRegister`: the program's own memory, made known; the flags asked for.
    Registered(u32),
}

/// One live allocation.
pub(crate) struct Allocation {
    /// First address that the program was given.
    pub(crate) start: DevicePointer,
    /// Bytes that the program asked for.
    pub(crate) bytes: u64,
    /// What it is for.
    pub(crate) kind: Kind,
    /// The context it goes with.
    pub(crate) context: u64,
    /// A number no other allocation of the process has.
    pub(crate) id: u64,
    /// Where the software device keeps it, if that is not `start`.
    pub(crate) base: DevicePointer,
    /// Bytes of the device's capacity that it takes: none where the memory is the host's.
    pub(crate) counted: u64,
    /// The host's pages at the same addresses, where there are any.
    pub(crate) mirror: Option<Mirror>,
}

impl Allocation {
    /// Whether `address` is inside.
    fn holds(&self, address: DevicePointer) -> bool {
        address.wrapping_sub(self.start) < self.bytes
    }

    /// The device's address of a byte of the mirror.
    pub(crate) fn on_device(&self, host: u64) -> DevicePointer {
        let first = self.mirror.as_ref().map_or(0, |mirror| mirror.host().address());
        self.start + (host - first)
    }

    /// The host's view of a byte, where the host has one.
    pub(crate) fn on_host(&self, address: DevicePointer) -> Option<Host> {
        self.mirror.as_ref().map(|mirror| mirror.host().offset((address - self.start) as usize))
    }
}

/// The live allocations of one device, by first address.
#[derive(Default)]
pub(crate) struct Allocations {
    live: BTreeMap<DevicePointer, Allocation>,
}

impl Allocations {
    /// Takes in an allocation.
    pub(crate) fn insert(&mut self, allocation: Allocation) {
        self.live.insert(allocation.start, allocation);
    }

    /// Takes out the allocation that starts at `start` and for which `wanted` holds.
    pub(crate) fn remove(
        &mut self,
        start: DevicePointer,
        wanted: impl Fn(Kind) -> bool,
    ) -> Option<Allocation> {
        if !self.live.get(&start).is_some_and(|allocation| wanted(allocation.kind)) {
            return None;
        }
        self.live.remove(&start)
    }

    /// The allocation that holds an address.
    pub(crate) fn at(&self, address: DevicePointer) -> Option<&Allocation> {
        let (_, allocation) = self.live.range(..=address).next_back()?;
        Some(allocation).filter(|allocation| allocation.holds(address))
    }

    /// As [`at`](Self::at), to change it.
    pub(crate) fn at_mut(&mut self, address: DevicePointer) -> Option<&mut Allocation> {
        let (_, allocation) = self.live.range_mut(..=address).next_back()?;
        Some(allocation).filter(|allocation| allocation.holds(address))
    }

    /// The registered host memory that has a byte in a range of the program's own memory.
    pub(crate) fn registered(&self, start: u64, bytes: u64) -> Option<&Allocation> {
        self.live.values().find(|allocation| {
            matches!(allocation.kind, Kind::Registered(_))
                && allocation.mirror.as_ref().is_some_and(|mirror| {
                    let first = mirror.host().address();
                    start < first + allocation.bytes && first < start.saturating_add(bytes)
                })
        })
    }

    /// Whether an allocation has a byte in a range.
    pub(crate) fn overlaps(&self, start: DevicePointer, bytes: u64) -> bool {
        let end = start.saturating_add(bytes);
        self.live.range(..end).next_back().is_some_and(|(_, last)| last.start + last.bytes > start)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Allocation> {
        self.live.values()
    }

    /// Takes out what a context allocated.
    pub(crate) fn take_all(&mut self, context: u64) -> Vec<Allocation> {
        let taken = |allocation: &&Allocation| allocation.context == context;
        let starts: Vec<_> = self.iter().filter(taken).map(|allocation| allocation.start).collect();
        starts.into_iter().filter_map(|start| self.live.remove(&start)).collect()
    }
}

/// Gives the device's part of an allocation back.
pub(crate) fn release(device: &Device, allocation: &Allocation) {
    match allocation.counted {
        0 => device.unmap(allocation.base),
        counted => device.free(allocation.base, counted),
    }
}

/// A number for an allocation.
pub(crate) fn next_id() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static MADE: AtomicU64 = AtomicU64::new(1);
    MADE.fetch_add(1, Ordering::Relaxed)
}

/// Allocates device memory in a context.
pub(crate) fn allocate(context: &Context, bytes: usize) -> Status<DevicePointer> {
    if bytes == 0 {
        return Err(CudaError::InvalidValue);
    }
    let device = context.device;
    let start = device.allocate(bytes as u64)?;
    device.allocations().insert(Allocation {
        start,
        bytes: bytes as u64,
        kind: Kind::Device,
        context: context.id,
        id: next_id(),
        base: start,
        counted: bytes as u64,
        mirror: None,
    });
    Ok(start)
}

/// Frees device or managed memory; the null pointer is nothing to free.
pub(crate) fn free(context: &Context, start: DevicePointer) -> Status {
    if start == 0 {
        return Ok(());
    }
    let device = context.device;
    let allocation = device
        .allocations()
        .remove(start, |kind| matches!(kind, Kind::Device | Kind::Managed))
        .ok_or(CudaError::InvalidValue)?;
    release(device, &allocation);
    Ok(())
}

exports! {
    fn cuMemAlloc_v2(out: Out<DevicePointer>, bytes: usize) {
        let context = working()?;
        out.required()?;
        out.set(allocate(&context, bytes)?)
    }

    fn cuMemAllocPitch_v2(out: Out<DevicePointer>, pitch: Out<usize>, width: usize, height: usize, element: u32) {
        let context = working()?;
        out.required()?;
        pitch.required()?;
        if !matches!(element, 4 | 8 | 16) {
            return Err(CudaError::InvalidValue);
        }
        let row = width.checked_next_multiple_of(512).ok_or(CudaError::OutOfMemory)?;
        out.set(allocate(&context, row.checked_mul(height).ok_or(CudaError::OutOfMemory)?)?)?;
        pitch.set(row)
    }

    fn cuMemFree_v2(start: DevicePointer) {
        let context = working()?;
        // Freeing waits for the work that may still use the memory.
        stream::drain(|stream| stream.context.id == context.id);
        free(&context, start)
    }

    fn cuMemAllocAsync(out: Out<DevicePointer>, bytes: usize, stream: Handle<Stream>) {
        let stream = stream::named(stream)?;
        out.required()?;
        stream.wait();
        if bytes == 0 {
            return out.set(0);
        }
        out.set(allocate(&stream.context, bytes)?)
    }

    fn cuMemFreeAsync(start: DevicePointer, stream: Handle<Stream>) {
        let stream = stream::named(stream)?;
        stream.wait();
        free(&stream.context, start)
    }

    fn cuMemGetInfo_v2(free: Out<usize>, total: Out<usize>) {
        let (unused, all) = working()?.device.memory_info();
        free.set(unused as usize)?;
        total.set(all as usize)
    }

    fn cuMemGetAddressRange_v2(start: Out<DevicePointer>, bytes: Out<usize>, address: DevicePointer) {
        let context = working()?;
        let allocations = context.device.allocations();
        let allocation = allocations.at(address).ok_or(CudaError::NotFound)?;
        start.set_if_asked(allocation.start);
        bytes.set_if_asked(allocation.bytes as usize);
        Ok(())
    }
}

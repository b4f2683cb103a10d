//! Device memory: `cuMemAlloc` and its relatives.

use crate::abi::{DevicePointer, Handle, Out, Status, exports};
use crate::allocations::{Allocation, Kind, next_id};
use crate::context::{Context, working};
use crate::errors::CudaError;
use crate::stream::{self, Stream};

/// Allocates device memory in a context.
pub(crate) fn allocate(context: &Context, bytes: usize) -> Status<DevicePointer> {
    if bytes == 0 {
        return Err(CudaError::InvalidValue);
    }
    let device = context.device;
    let start = device.allocate(bytes as u64).or_else(|_| {
        // Frees that are enqueued give their memory back.
        context.queues.run_all();
        device.allocate(bytes as u64)
    })?;
    device.allocations().insert(Allocation {
        start,
        bytes: bytes as u64,
        kind: Kind::Device,
        context: context.id,
        id: next_id(),
        base: start,
        counted: bytes as u64,
        mirror: None,
        is_being_freed: false,
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
    device.release(&allocation);
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
        context.queues.run_all();
        context.healthy()?;
        free(&context, start)
    }

    fn cuMemAllocAsync(out: Out<DevicePointer>, bytes: usize, stream: Handle<Stream>) {
        let stream = stream::named(stream)?;
        out.required()?;
        if bytes == 0 {
            return out.set(0);
        }
        out.set(allocate(&stream.context, bytes)?)
    }

    fn cuMemFreeAsync(start: DevicePointer, stream: Handle<Stream>) {
        let stream = stream::named(stream)?;
        if start == 0 {
            return Ok(());
        }
        let context = stream.context.clone();
        context.device.allocations().begin_free(start).ok_or(CudaError::InvalidValue)?;
        stream.submit(move || free(&context, start))
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

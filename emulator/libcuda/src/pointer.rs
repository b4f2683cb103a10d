//! `cuPointerGetAttribute`: what an address is.

use crate::abi::{DevicePointer, Host, In, Out, Status, exports};
use crate::allocations::{Allocation, Kind};
use crate::context::{CONTEXTS, working};
use crate::device::Device;
use crate::errors::CudaError;

/// `CU_MEMORYTYPE_HOST` and `CU_MEMORYTYPE_DEVICE`.
const HOST: u32 = 1;
const DEVICE: u32 = 2;

/// The attribute's value, in the bytes of its C type.
fn value(
    device: &Device,
    allocation: &Allocation,
    number: u32,
    address: DevicePointer,
) -> Status<Vec<u8>> {
    let host_side = matches!(allocation.kind, Kind::Pinned(_) | Kind::Registered(_));
    Ok(match number {
        1 => {
            let context = CONTEXTS.find(|context| context.id == allocation.context);
            context.ok_or(CudaError::InvalidValue)?.raw().to_ne_bytes().to_vec()
        }
        2 => (if host_side { HOST } else { DEVICE }).to_ne_bytes().to_vec(),
        3 => address.to_ne_bytes().to_vec(),
        4 => {
            let host = allocation.on_host(address).ok_or(CudaError::InvalidValue)?;
            host.address().to_ne_bytes().to_vec()
        }
        6 => vec![1], // synchronous copies are synchronous anyway
        7 => allocation.id.to_ne_bytes().to_vec(),
        8 => vec![u8::from(allocation.kind == Kind::Managed)],
        9 => (device.ordinal as i32).to_ne_bytes().to_vec(),
        10 => vec![0], // no IPC
        11 => allocation.start.to_ne_bytes().to_vec(),
        12 => allocation.bytes.to_ne_bytes().to_vec(),
        13 => vec![1], // mapped
        _ => return Err(CudaError::NotSupported),
    })
}

exports! {
    fn cuPointerGetAttribute(out: Host, number: u32, address: DevicePointer) {
        let context = working()?;
        let allocations = context.device.allocations();
        let allocation = match allocations.at(address) {
            Some(allocation) => allocation,
            None => allocations.registered(address, 1).ok_or(CudaError::InvalidValue)?,
        };
        let address = if allocation.start <= address && address - allocation.start < allocation.bytes {
            address
        } else {
            allocation.on_device(address)
        };
        let value = value(context.device, allocation, number, address)?;
        out.bytes_mut(value.len())?.copy_from_slice(&value);
        Ok(())
    }

    /// As several calls of `cuPointerGetAttribute`, but an address that is nobody's gets zeros, not
    /// an error.
    fn cuPointerGetAttributes(count: u32, numbers: In<u32>, outs: In<Host>, address: DevicePointer) {
        let context = working()?;
        let allocations = context.device.allocations();
        for index in 0..count as usize {
            let (number, out) = (numbers.at(index)?, outs.at(index)?);
            match allocations.at(address) {
                Some(allocation) => {
                    // An attribute that this allocation lacks, such as a host pointer, is null.
                    let found = value(context.device, allocation, number, address);
                    let value = found.unwrap_or_else(|_| 0u64.to_ne_bytes().to_vec());
                    out.bytes_mut(value.len())?.copy_from_slice(&value);
                }
                None => out.bytes_mut(width(number))?.fill(0),
            }
        }
        Ok(())
    }

    /// No attribute of an address can be changed; the one that may be, `SYNC_MEMOPS`, holds anyway.
    fn cuPointerSetAttribute(value: In<i32>, number: u32, address: DevicePointer) {
        let context = working()?;
        value.get()?;
        context.device.allocations().at(address).ok_or(CudaError::InvalidValue)?;
        if number == 6 { Ok(()) } else { Err(CudaError::InvalidValue) }
    }

    fn cuMemGetHandleForAddressRange(_out: Out<Host>, _address: DevicePointer, _bytes: usize, _kind: u32, _flags: u64) {
        Err(CudaError::NotSupported)
    }
}

/// Bytes of the C type of an attribute.
fn width(number: u32) -> usize {
    match number {
        6 | 8 | 10 | 13 => 1,
        2 | 9 => 4,
        _ => 8,
    }
}

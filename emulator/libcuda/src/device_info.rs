//! What devices there are, what they are called, how much memory they have.

use crate::abi::{Host, Out, exports};
use crate::attributes;
use crate::driver::{device, devices};
use crate::errors::CudaError;

exports! {
    fn cuDeviceGetCount(count: Out<i32>) {
        count.set(devices()?.len() as i32)
    }

    fn cuDeviceGet(out: Out<i32>, ordinal: i32) {
        out.set(device(ordinal)?.ordinal as i32)
    }

    fn cuDeviceGetName(name: Host, length: i32, ordinal: i32) {
        let device = device(ordinal)?;
        let size = usize::try_from(length).map_err(|_| CudaError::InvalidValue)?;
        let kept = device.model().name.len().min(size.checked_sub(1).ok_or(CudaError::InvalidValue)?);
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
        bytes.set(device(ordinal)?.memory_info().1 as usize)
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

//! Memory pools, as far as `cuMemAllocAsync` programs ask for them: one pool for each device, whose
//! settings are kept and have no effect, since memory is freed at once.

use crate::abi::{DevicePointer, Handle, Host, Out, Status, exports};
use crate::context::working;
use crate::driver::device;
use crate::errors::CudaError;
use crate::memory;
use crate::stream::{self, Stream};
use crate::sync::lock;
use std::sync::Mutex;

/// The default pool of a device, by its handle: the ordinal after a base.
pub(crate) struct Pool;

/// Handles of pools begin here.
const BASE: usize = 0x17 << 40;

/// The attribute values that programs have set, by ordinal and number.
static SETTINGS: Mutex<Vec<(usize, u32, u64)>> = Mutex::new(Vec::new());

/// The device of a pool.
fn ordinal(pool: Handle<Pool>) -> Status<usize> {
    let ordinal = pool.raw().checked_sub(BASE + 1).ok_or(CudaError::InvalidValue)?;
    i32::try_from(ordinal).map_err(|_| CudaError::InvalidValue).and_then(device)?;
    Ok(ordinal)
}

/// The default pool of a device.
fn of(number: i32) -> Status<Handle<Pool>> {
    Ok(Handle::from_raw(BASE + 1 + device(number)?.ordinal))
}

/// Bytes of the C type of a pool attribute: `int` for the three reuse switches, else 64 bits.
fn width(attribute: u32) -> Status<usize> {
    match attribute {
        1..=3 => Ok(4),
        4..=8 => Ok(8),
        _ => Err(CudaError::InvalidValue),
    }
}

exports! {
    fn cuDeviceGetDefaultMemPool(out: Out<Handle<Pool>>, number: i32) {
        out.set(of(number)?)
    }

    fn cuDeviceGetMemPool(out: Out<Handle<Pool>>, number: i32) {
        out.set(of(number)?)
    }

    fn cuDeviceSetMemPool(number: i32, pool: Handle<Pool>) {
        if of(number)? == pool { Ok(()) } else { Err(CudaError::InvalidValue) }
    }

    fn cuMemPoolTrimTo(pool: Handle<Pool>, _bytes: usize) {
        ordinal(pool).map(drop)
    }

    fn cuMemPoolSetAttribute(pool: Handle<Pool>, attribute: u32, value: Host) {
        let ordinal = ordinal(pool)?;
        let bytes = value.bytes(width(attribute)?)?;
        let value = bytes.iter().rev().fold(0, |value, &byte| (value << 8) | u64::from(byte));
        let mut settings = lock(&SETTINGS);
        settings.retain(|&(device, number, _)| (device, number) != (ordinal, attribute));
        settings.push((ordinal, attribute, value));
        Ok(())
    }

    fn cuMemPoolGetAttribute(pool: Handle<Pool>, attribute: u32, value: Host) {
        let ordinal = ordinal(pool)?;
        let out = value.bytes_mut(width(attribute)?)?;
        let settings = lock(&SETTINGS);
        let set = settings.iter().find(|&&(device, number, _)| (device, number) == (ordinal, attribute));
        // The reuse switches start on; the counters and the threshold at 0.
        let value = set.map_or(u64::from(attribute <= 3), |&(_, _, value)| value);
        out.copy_from_slice(&value.to_le_bytes()[..out.len()]);
        Ok(())
    }

    fn cuMemAllocFromPoolAsync(out: Out<DevicePointer>, bytes: usize, pool: Handle<Pool>, stream: Handle<Stream>) {
        working()?;
        let stream = stream::named(stream)?;
        out.required()?;
        if ordinal(pool)? != stream.context.device.ordinal {
            return Err(CudaError::InvalidValue);
        }
        out.set(memory::allocate(&stream.context, bytes)?)
    }
}

//! The primary context of each device: shared by everyone in the process, counted by its users.

use crate::abi::{Handle, Out, Status, exports};
use crate::context::{CONTEXTS, Context};
use crate::device::{Device, Primary};
use crate::driver::device;
use crate::errors::CudaError;
use crate::sync::lock;
use crate::teardown::destroy;

/// One user more; the first one brings the context to life.
fn retain(primary: &mut Primary, device: &'static Device) -> Status<Handle<Context>> {
    let handle = match primary.handle.map(Handle::from_raw) {
        Some(handle) => {
            if primary.retained == 0 {
                CONTEXTS.get(handle)?.revive(primary.flags);
            }
            handle
        }
        None => {
            let handle = CONTEXTS.insert(Context::new(device, primary.flags));
            primary.handle = Some(handle.raw());
            handle
        }
    };
    primary.retained += 1;
    Ok(handle)
}

/// One user less; with the last one everything in the context goes.
fn release(primary: &mut Primary) -> Status {
    primary.retained = primary.retained.checked_sub(1).ok_or(CudaError::InvalidContext)?;
    match primary.handle.map(Handle::from_raw) {
        Some(handle) if primary.retained == 0 => {
            CONTEXTS.get(handle).map(|context| destroy(&context))
        }
        _ => Ok(()),
    }
}

/// Everything in the context goes, a sticky error too; its users keep it.
fn reset(primary: &mut Primary) -> Status {
    if let Some(handle) = primary.handle.filter(|_| primary.retained > 0).map(Handle::from_raw) {
        let context = CONTEXTS.get(handle)?;
        destroy(&context);
        context.revive(primary.flags);
    }
    Ok(())
}

exports! {
    fn cuDevicePrimaryCtxRetain(out: Out<Handle<Context>>, ordinal: i32) {
        let device = device(ordinal)?;
        out.required()?;
        out.set(retain(&mut lock(&device.primary), device)?)
    }

    fn cuDevicePrimaryCtxRelease(ordinal: i32) {
        release(&mut lock(&device(ordinal)?.primary))
    }

    fn cuDevicePrimaryCtxRelease_v2(ordinal: i32) {
        release(&mut lock(&device(ordinal)?.primary))
    }

    fn cuDevicePrimaryCtxReset(ordinal: i32) {
        reset(&mut lock(&device(ordinal)?.primary))
    }

    fn cuDevicePrimaryCtxReset_v2(ordinal: i32) {
        reset(&mut lock(&device(ordinal)?.primary))
    }

    fn cuDevicePrimaryCtxSetFlags(ordinal: i32, flags: u32) {
        set_flags(device(ordinal)?, flags)
    }

    fn cuDevicePrimaryCtxSetFlags_v2(ordinal: i32, flags: u32) {
        set_flags(device(ordinal)?, flags)
    }

    fn cuDevicePrimaryCtxGetState(ordinal: i32, flags: Out<u32>, active: Out<i32>) {
        let primary = lock(&device(ordinal)?.primary);
        flags.set_if_asked(primary.flags);
        active.set_if_asked(i32::from(primary.retained > 0));
        Ok(())
    }
}

/// Since CUDA 11 the flags of an active context may change too.
fn set_flags(device: &'static Device, flags: u32) -> Status {
    if flags & !0xff != 0 {
        return Err(CudaError::InvalidValue);
    }
    let mut primary = lock(&device.primary);
    primary.flags = flags;
    if let Some(handle) = primary.handle.map(Handle::from_raw) {
        CONTEXTS.get(handle)?.set_flags(flags);
    }
    Ok(())
}

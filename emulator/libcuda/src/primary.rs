//! The primary context of each device: shared by everyone in the process, counted by its users.

use crate::abi::{Handle, Out, Status, exports};
use crate::context::{CONTEXTS, Context};
use crate::device::{Device, device};
use crate::errors::CudaError;
use crate::table::lock;

/// A device's primary context. Its handle, once given out, stays the same for good.
#[derive(Default)]
pub(crate) struct Primary {
    handle: Option<Handle<Context>>,
    retained: usize,
    flags: u32,
}

impl Primary {
    /// Whether this is the primary context.
    pub(crate) fn is(&self, handle: Handle<Context>) -> bool {
        self.handle == Some(handle)
    }

    /// One user more; the first one brings the context to life.
    fn retain(&mut self, device: &'static Device) -> Status<Handle<Context>> {
        let handle = match self.handle {
            Some(handle) => {
                if self.retained == 0 {
                    CONTEXTS.get(handle)?.revive(self.flags);
                }
                handle
            }
            None => {
                let handle = CONTEXTS.insert(Context::new(device, self.flags));
                self.handle = Some(handle);
                handle
            }
        };
        self.retained += 1;
        Ok(handle)
    }

    /// One user less; with the last one everything in the context goes.
    fn release(&mut self) -> Status {
        self.retained = self.retained.checked_sub(1).ok_or(CudaError::InvalidContext)?;
        match self.handle {
            Some(handle) if self.retained == 0 => {
                CONTEXTS.get(handle).map(|context| context.destroy())
            }
            _ => Ok(()),
        }
    }

    /// Everything in the context goes, a sticky error too; its users keep it.
    fn reset(&mut self) -> Status {
        if let Some(handle) = self.handle.filter(|_| self.retained > 0) {
            let context = CONTEXTS.get(handle)?;
            context.destroy();
            context.revive(self.flags);
        }
        Ok(())
    }
}

exports! {
    fn cuDevicePrimaryCtxRetain(out: Out<Handle<Context>>, ordinal: i32) {
        let device = device(ordinal)?;
        out.required()?;
        out.set(lock(&device.primary).retain(device)?)
    }

    fn cuDevicePrimaryCtxRelease(ordinal: i32) {
        lock(&device(ordinal)?.primary).release()
    }

    fn cuDevicePrimaryCtxRelease_v2(ordinal: i32) {
        lock(&device(ordinal)?.primary).release()
    }

    fn cuDevicePrimaryCtxReset(ordinal: i32) {
        lock(&device(ordinal)?.primary).reset()
    }

    fn cuDevicePrimaryCtxReset_v2(ordinal: i32) {
        lock(&device(ordinal)?.primary).reset()
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
    if let Some(handle) = primary.handle {
        CONTEXTS.get(handle)?.set_flags(flags);
    }
    Ok(())
}

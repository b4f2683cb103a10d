//! Calls on contexts: the stack of the thread, limits and preferences.

use crate::abi::{Handle, Host, Out, Status, exports};
use crate::context::{CONTEXTS, Context, STACK, current, named};
use crate::driver::{device, devices};
use crate::errors::CudaError;
use crate::stream;
use crate::sync::lock;
use crate::teardown::destroy;

/// Flags of `cuCtxCreate`: scheduling, host mapping, local memory, memory synchronisation.
const KNOWN_FLAGS: u32 = 0xff;

/// Makes a context, and makes it current.
fn create(out: Out<Handle<Context>>, flags: u32, ordinal: i32) -> Status {
    let device = device(ordinal)?;
    out.required()?;
    if flags & !KNOWN_FLAGS != 0 {
        return Err(CudaError::InvalidValue);
    }
    let handle = CONTEXTS.insert(Context::new(device, flags));
    STACK.with_borrow_mut(|stack| stack.push(handle));
    out.set(handle)
}

/// What `cuCtxSetLimit` and `cuCtxGetLimit` index by.
fn limit(number: u32) -> Status<usize> {
    match number {
        0..=6 => Ok(number as usize),
        7..=10 => Err(CudaError::UnsupportedLimit),
        _ => Err(CudaError::InvalidValue),
    }
}

exports! {
    fn cuCtxCreate_v2(out: Out<Handle<Context>>, flags: u32, ordinal: i32) {
        create(out, flags, ordinal)
    }

    fn cuCtxCreate_v3(out: Out<Handle<Context>>, affinity: Host, count: i32, flags: u32, ordinal: i32) {
        if !affinity.is_null() || count != 0 {
            return Err(CudaError::UnsupportedExecAffinity);
        }
        create(out, flags, ordinal)
    }

    fn cuCtxCreate_v4(out: Out<Handle<Context>>, parameters: Host, flags: u32, ordinal: i32) {
        if !parameters.is_null() {
            return Err(CudaError::NotSupported);
        }
        create(out, flags, ordinal)
    }

    fn cuCtxDestroy_v2(handle: Handle<Context>) {
        if handle.is_null() {
            return Err(CudaError::InvalidValue);
        }
        let context = named(handle)?;
        if lock(&context.device.primary).handle == Some(handle.raw()) {
            return Err(CudaError::InvalidContext);
        }
        destroy(&context);
        CONTEXTS.remove(handle)?;
        STACK.with_borrow_mut(|stack| {
            if stack.last() == Some(&handle) {
                stack.pop();
            }
        });
        Ok(())
    }

    fn cuCtxPushCurrent_v2(handle: Handle<Context>) {
        if handle.is_null() {
            return Err(CudaError::InvalidContext);
        }
        named(handle)?;
        STACK.with_borrow_mut(|stack| stack.push(handle));
        Ok(())
    }

    fn cuCtxPopCurrent_v2(out: Out<Handle<Context>>) {
        devices()?;
        let popped = STACK.with_borrow_mut(Vec::pop).ok_or(CudaError::InvalidContext)?;
        out.set_if_asked(popped);
        Ok(())
    }

    fn cuCtxSetCurrent(handle: Handle<Context>) {
        if handle.is_null() {
            devices()?;
            STACK.with_borrow_mut(Vec::pop);
            return Ok(());
        }
        named(handle)?;
        STACK.with_borrow_mut(|stack| {
            stack.pop();
            stack.push(handle);
        });
        Ok(())
    }

    fn cuCtxGetCurrent(out: Out<Handle<Context>>) {
        devices()?;
        out.set(STACK.with_borrow(|stack| stack.last().copied()).unwrap_or(Handle::NULL))
    }

    fn cuCtxGetDevice(out: Out<i32>) {
        out.set(current()?.device.ordinal as i32)
    }

    fn cuCtxGetId(handle: Handle<Context>, out: Out<u64>) {
        out.set(named(handle)?.id)
    }

    fn cuCtxGetFlags(out: Out<u32>) {
        out.set(current()?.flags())
    }

    fn cuCtxSetFlags(flags: u32) {
        if flags & !KNOWN_FLAGS != 0 {
            return Err(CudaError::InvalidValue);
        }
        current()?.set_flags(flags);
        Ok(())
    }

    /// 3020: the version of the context calls (`_v2`) that contexts are made with, as the driver
    /// answers too.
    fn cuCtxGetApiVersion(handle: Handle<Context>, out: Out<u32>) {
        named(handle)?;
        out.set(3020)
    }

    fn cuCtxSynchronize() {
        let context = current()?;
        context.queues.run_all();
        context.healthy()
    }

    fn cuCtxGetStreamPriorityRange(least: Out<i32>, greatest: Out<i32>) {
        current()?;
        least.set_if_asked(stream::LEAST_PRIORITY);
        greatest.set_if_asked(stream::GREATEST_PRIORITY);
        Ok(())
    }

    fn cuCtxSetLimit(number: u32, value: usize) {
        let context = current()?;
        lock(&context.state).limits[limit(number)?] = value;
        Ok(())
    }

    fn cuCtxGetLimit(out: Out<usize>, number: u32) {
        let context = current()?;
        let value = lock(&context.state).limits[limit(number)?];
        out.set(value)
    }

    fn cuCtxSetCacheConfig(config: u32) {
        if config > 3 {
            return Err(CudaError::InvalidValue);
        }
        lock(&current()?.state).cache_config = config;
        Ok(())
    }

    fn cuCtxGetCacheConfig(out: Out<u32>) {
        let config = lock(&current()?.state).cache_config;
        out.set(config)
    }

    fn cuCtxSetSharedMemConfig(config: u32) {
        if config > 2 {
            return Err(CudaError::InvalidValue);
        }
        lock(&current()?.state).shared_config = config;
        Ok(())
    }

    fn cuCtxGetSharedMemConfig(out: Out<u32>) {
        let config = lock(&current()?.state).shared_config;
        out.set(config)
    }

    fn cuCtxResetPersistingL2Cache() {
        current().map(drop)
    }

    fn cuCtxEnablePeerAccess(peer: Handle<Context>, _flags: u32) {
        named(peer)?;
        Err(CudaError::PeerAccessUnsupported)
    }
}

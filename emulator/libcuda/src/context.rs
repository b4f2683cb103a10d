//! Contexts: the stack of each thread, limits and preferences, and the sticky error.

use crate::abi::{Handle, Host, Out, Status, exports};
use crate::device::{Device, device};
use crate::driver::devices;
use crate::errors::CudaError;
use crate::table::{Table, lock};
use crate::{array, event, function, memory, module, stream};
use std::cell::RefCell;
use std::sync::{Arc, Mutex};

/// All contexts, the primary ones included.
pub(crate) static CONTEXTS: Table<Context> = Table::new(0x11);

thread_local! {
    /// The contexts this thread has pushed; the last one is current.
    static STACK: RefCell<Vec<Handle<Context>>> = const { RefCell::new(Vec::new()) };
}

/// Flags that `cuCtxCreate` knows: scheduling, host mapping, local memory, memory synchronisation.
const KNOWN_FLAGS: u32 = 0xff;

/// A context: who owns allocations, modules, streams and events, and which error sticks to them.
pub(crate) struct Context {
    /// Where it works.
    pub(crate) device: &'static Device,
    /// A number that allocations remember their context by.
    pub(crate) id: u64,
    state: Mutex<State>,
}

#[derive(Clone)]
struct State {
    alive: bool,
    fault: Option<CudaError>,
    flags: u32,
    cache_config: u32,
    shared_config: u32,
    limits: [usize; 7],
}

impl State {
    /// A new context: no fault, and the limits a driver starts with, by `CUlimit`.
    fn new(flags: u32) -> Self {
        State {
            alive: true,
            fault: None,
            flags,
            cache_config: 0,
            shared_config: 1, // four-byte banks
            limits: [1024, 1 << 20, 8 << 20, 2, 2048, 64, 0],
        }
    }
}

impl Context {
    /// A context of a device, alive.
    pub(crate) fn new(device: &'static Device, flags: u32) -> Self {
        use std::sync::atomic::{AtomicU64, Ordering};
        static MADE: AtomicU64 = AtomicU64::new(1);
        let id = MADE.fetch_add(1, Ordering::Relaxed);
        Context { device, id, state: Mutex::new(State::new(flags)) }
    }

    /// Makes every later use of the context return `error`, as CUDA does after a kernel's fault.
    pub(crate) fn stick(&self, error: CudaError) {
        lock(&self.state).fault.get_or_insert(error);
    }

    /// The sticky error, if there is one.
    pub(crate) fn healthy(&self) -> Status {
        lock(&self.state).fault.map_or(Ok(()), Err)
    }

    /// Whether it may be used.
    fn is_alive(&self) -> bool {
        lock(&self.state).alive
    }

    /// The flags it was made with.
    pub(crate) fn flags(&self) -> u32 {
        lock(&self.state).flags
    }

    /// Changes the flags.
    pub(crate) fn set_flags(&self, flags: u32) {
        lock(&self.state).flags = flags;
    }

    /// Frees everything that belongs to the context and marks it dead.
    pub(crate) fn destroy(&self) {
        stream::drain(|stream| stream.context.id == self.id);
        lock(&self.state).alive = false;
        stream::STREAMS.retain(|stream| stream.context.id != self.id);
        event::EVENTS.retain(|event| event.context.id != self.id);
        array::ARRAYS.retain(|array| array.context.id != self.id);
        function::FUNCTIONS.retain(|function| function.module.context.id != self.id);
        for module in module::MODULES.filter(|module| module.context.id == self.id) {
            self.device.machine.unload(&module.code);
        }
        module::MODULES.retain(|module| module.context.id != self.id);
        let owned = self.device.allocations().take_all(self.id);
        for allocation in &owned {
            memory::release(self.device, allocation);
        }
    }

    /// Brings a dead context back to life, empty: the primary context of a device keeps its handle.
    pub(crate) fn revive(&self, flags: u32) {
        *lock(&self.state) = State::new(flags);
    }
}

/// The context on top of this thread's stack, usable.
pub(crate) fn current() -> Status<Arc<Context>> {
    devices()?;
    let top = STACK.with_borrow(|stack| stack.last().copied()).ok_or(CudaError::InvalidContext)?;
    CONTEXTS.get(top).ok().filter(|context| context.is_alive()).ok_or(CudaError::ContextIsDestroyed)
}

/// As [`current`], but a context that a fault has ended is its error.
pub(crate) fn working() -> Status<Arc<Context>> {
    let context = current()?;
    context.healthy()?;
    Ok(context)
}

/// The context of a handle, alive; the null handle is the current one.
fn named(handle: Handle<Context>) -> Status<Arc<Context>> {
    if handle.is_null() {
        return current();
    }
    devices()?;
    let context = CONTEXTS.get(handle).map_err(|_| CudaError::InvalidContext)?;
    if context.is_alive() { Ok(context) } else { Err(CudaError::ContextIsDestroyed) }
}

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
        if lock(&context.device.primary).is(handle) {
            return Err(CudaError::InvalidContext);
        }
        context.destroy();
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
        stream::drain(|stream| stream.context.id == context.id);
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

//! Contexts: the stack of each thread, and the sticky error.

use crate::abi::{Handle, Status};
use crate::device::Device;
use crate::driver::devices;
use crate::errors::CudaError;
use crate::queue::Queues;
use crate::sync::lock;
use crate::table::Table;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// All contexts, the primary ones included.
pub(crate) static CONTEXTS: Table<Context> = Table::new(0x11);

thread_local! {
    /// The contexts this thread has pushed; the last one is current.
    pub(crate) static STACK: RefCell<Vec<Handle<Context>>> = const { RefCell::new(Vec::new()) };
}

/// A context: who owns allocations, modules, streams and events, and which error sticks to them.
pub(crate) struct Context {
    /// Where it works.
    pub(crate) device: &'static Device,
    /// A number that allocations remember their context by.
    pub(crate) id: u64,
    pub(crate) state: Mutex<State>,
    /// The work of its streams.
    pub(crate) queues: Queues,
    lazy: AtomicBool,
}

#[derive(Clone)]
pub(crate) struct State {
    alive: bool,
    fault: Option<CudaError>,
    flags: u32,
    pub(crate) cache_config: u32,
    pub(crate) shared_config: u32,
    pub(crate) limits: [usize; 7],
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
        static MADE: AtomicU64 = AtomicU64::new(1);
        let id = MADE.fetch_add(1, Ordering::Relaxed);
        Context {
            device,
            id,
            state: Mutex::new(State::new(flags)),
            queues: Queues::default(),
            lazy: AtomicBool::new(device.lazy),
        }
    }

    /// Whether work runs only when something waits for it.
    pub(crate) fn is_lazy(&self) -> bool {
        self.lazy.load(Ordering::Relaxed)
    }

    /// Chooses the mode, whatever the environment says.
    #[cfg(test)]
    pub(crate) fn set_lazy(&self, lazy: bool) {
        self.lazy.store(lazy, Ordering::Relaxed);
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

    /// Marks it dead.
    pub(crate) fn end(&self) {
        lock(&self.state).alive = false;
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
pub(crate) fn named(handle: Handle<Context>) -> Status<Arc<Context>> {
    if handle.is_null() {
        return current();
    }
    devices()?;
    let context = CONTEXTS.get(handle).map_err(|_| CudaError::InvalidContext)?;
    if context.is_alive() { Ok(context) } else { Err(CudaError::ContextIsDestroyed) }
}

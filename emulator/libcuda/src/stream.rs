//! Streams: eager queues. Only host functions are ever pending.

use crate::abi::{Handle, Host, Out, Status, exports};
use crate::context::{Context, current};
use crate::errors::CudaError;
use crate::host_function;
use crate::sync::lock;
use crate::table::Table;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// All streams but the default ones.
pub(crate) static STREAMS: Table<Stream> = Table::new(0x12);

/// The priority that `cuCtxGetStreamPriorityRange` calls least.
pub(crate) const LEAST_PRIORITY: i32 = 0;
/// The priority it calls greatest; a smaller number is more urgent.
pub(crate) const GREATEST_PRIORITY: i32 = -5;

/// `CU_STREAM_NON_BLOCKING`.
const NON_BLOCKING: u32 = 1;

/// A stream.
pub(crate) struct Stream {
    /// Its context.
    pub(crate) context: Arc<Context>,
    /// A number no other stream of the process has.
    pub(crate) id: u64,
    flags: u32,
    priority: i32,
    /// The last host function that was enqueued; it waits for the ones before it.
    pending: Mutex<Option<Arc<Done>>>,
    /// Whether this stands for a default stream: it then waits for the others of its context.
    is_default: bool,
}

/// A flag that threads wait for.
#[derive(Default)]
struct Done {
    set: Mutex<bool>,
    changed: Condvar,
}

impl Done {
    fn set(&self) {
        *lock(&self.set) = true;
        self.changed.notify_all();
    }

    fn is_set(&self) -> bool {
        *lock(&self.set)
    }

    fn wait(&self) {
        let set = lock(&self.set);
        drop(self.changed.wait_while(set, |set| !*set).unwrap_or_else(PoisonError::into_inner));
    }
}

impl Stream {
    fn new(context: Arc<Context>, flags: u32, priority: i32, is_default: bool) -> Self {
        use std::sync::atomic::{AtomicU64, Ordering};
        static MADE: AtomicU64 = AtomicU64::new(1);
        let id = if is_default { 0 } else { MADE.fetch_add(1, Ordering::Relaxed) };
        Stream { context, id, flags, priority, pending: Mutex::default(), is_default }
    }

    /// Waits until all that was enqueued is done.
    pub(crate) fn wait(&self) {
        let pending = lock(&self.pending).clone();
        if let Some(done) = pending {
            done.wait();
        }
        if self.is_default {
            drain(|stream| stream.joins_default(&self.context));
        }
    }

    /// Whether all that was enqueued is done.
    pub(crate) fn is_idle(&self) -> bool {
        let idle = lock(&self.pending).as_ref().is_none_or(|done| done.is_set());
        idle && (!self.is_default
            || STREAMS.filter(|s| s.joins_default(&self.context) && !s.is_idle()).is_empty())
    }

    /// Whether the default stream of a context waits for this one.
    pub(crate) fn joins_default(&self, context: &Context) -> bool {
        self.context.id == context.id && self.flags & NON_BLOCKING == 0
    }

    /// Runs `function` once all that was enqueued is done, without waiting for it.
    fn enqueue(&self, function: impl FnOnce() + Send + 'static) -> Status {
        let done = Arc::new(Done::default());
        let mut pending = lock(&self.pending);
        let before = pending.replace(done.clone());
        let run = move || {
            if let Some(before) = before {
                before.wait();
            }
            host_function::run(function);
            done.set();
        };
        let thread = std::thread::Builder::new().name("parans-host-function".to_owned()).spawn(run);
        if thread.is_err() {
            *pending = None;
            return Err(CudaError::OperatingSystem);
        }
        Ok(())
    }
}

/// The stream of a handle, in a context that no fault has ended. Null and the handles 1 and 2 are
/// the default streams of the current context.
pub(crate) fn named(handle: Handle<Stream>) -> Status<Arc<Stream>> {
    let stream = lookup(handle)?;
    stream.context.healthy()?;
    Ok(stream)
}

/// As [`named`], whatever has become of the context.
fn lookup(handle: Handle<Stream>) -> Status<Arc<Stream>> {
    let context = current()?;
    if handle.raw() <= 2 {
        return Ok(default_of(context));
    }
    STREAMS.get(handle)
}

/// The default stream of a context. It holds no pending work of its own: a host function in it is
/// run before the call returns.
fn default_of(context: Arc<Context>) -> Arc<Stream> {
    Arc::new(Stream::new(context, 0, 0, true))
}

/// Waits for the streams that `wanted` picks.
pub(crate) fn drain(wanted: impl Fn(&Stream) -> bool) {
    for stream in STREAMS.filter(wanted) {
        stream.wait();
    }
}

/// Makes a stream.
fn create(out: Out<Handle<Stream>>, flags: u32, priority: i32) -> Status {
    let context = crate::context::working()?;
    out.required()?;
    if flags & !NON_BLOCKING != 0 {
        return Err(CudaError::InvalidValue);
    }
    let priority = priority.clamp(GREATEST_PRIORITY, LEAST_PRIORITY);
    out.set(STREAMS.insert(Stream::new(context, flags, priority, false)))
}

/// A host function and its argument, on their way to another thread.
struct Call<F> {
    function: F,
    argument: Host,
    stream: Handle<Stream>,
}

/// `CUhostFn`.
type HostFunction = extern "C" fn(Host);
/// `CUstreamCallback`.
type StreamCallback = extern "C" fn(Handle<Stream>, u32, Host);

/// Enqueues a call; in the default stream it is waited for.
fn enqueue<F: Copy + Send + 'static>(call: Call<F>, run: fn(&Call<F>)) -> Status {
    let stream = named(call.stream)?;
    if stream.is_default {
        stream.wait();
    }
    stream.enqueue(move || run(&call))?;
    if stream.is_default {
        stream.wait();
    }
    Ok(())
}

exports! {
    fn cuStreamCreate(out: Out<Handle<Stream>>, flags: u32) {
        create(out, flags, 0)
    }

    fn cuStreamCreateWithPriority(out: Out<Handle<Stream>>, flags: u32, priority: i32) {
        create(out, flags, priority)
    }

    fn cuStreamDestroy_v2(handle: Handle<Stream>) {
        current()?;
        // Work that is pending goes on; it holds what it needs.
        STREAMS.remove(handle).map(drop)
    }

    fn cuStreamQuery(handle: Handle<Stream>) {
        let stream = named(handle)?;
        if stream.is_idle() { Ok(()) } else { Err(CudaError::NotReady) }
    }

    fn cuStreamSynchronize(handle: Handle<Stream>) {
        let stream = lookup(handle)?;
        stream.wait();
        stream.context.healthy()
    }

    fn cuStreamGetFlags(handle: Handle<Stream>, out: Out<u32>) {
        out.set(named(handle)?.flags)
    }

    fn cuStreamGetPriority(handle: Handle<Stream>, out: Out<i32>) {
        out.set(named(handle)?.priority)
    }

    fn cuStreamGetId(handle: Handle<Stream>, out: Out<u64>) {
        out.set(named(handle)?.id)
    }

    fn cuStreamGetDevice(handle: Handle<Stream>, out: Out<i32>) {
        out.set(named(handle)?.context.device.ordinal as i32)
    }

    fn cuStreamGetCtx(handle: Handle<Stream>, out: Out<Handle<Context>>) {
        let id = named(handle)?.context.id;
        out.set(crate::context::CONTEXTS.find(|context| context.id == id).ok_or(CudaError::InvalidContext)?)
    }

    fn cuStreamIsCapturing(handle: Handle<Stream>, out: Out<u32>) {
        named(handle)?;
        out.set(0)
    }

    fn cuStreamAttachMemAsync(handle: Handle<Stream>, _address: u64, _bytes: usize, _flags: u32) {
        named(handle).map(drop)
    }

    fn cuLaunchHostFunc(handle: Handle<Stream>, function: Option<HostFunction>, argument: Host) {
        let function = function.ok_or(CudaError::InvalidValue)?;
        enqueue(Call { function, argument, stream: handle }, |call| (call.function)(call.argument))
    }

    fn cuStreamAddCallback(handle: Handle<Stream>, function: Option<StreamCallback>, argument: Host, flags: u32) {
        let function = function.ok_or(CudaError::InvalidValue)?;
        if flags != 0 {
            return Err(CudaError::InvalidValue);
        }
        enqueue(Call { function, argument, stream: handle }, |call| {
            (call.function)(call.stream, 0, call.argument);
        })
    }
}

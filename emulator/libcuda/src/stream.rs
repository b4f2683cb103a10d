//! Streams: work is enqueued in them, and run at once or, in the lazy mode, as late as possible.

use crate::abi::{Handle, Host, Out, Status, exports};
use crate::context::{Context, current};
use crate::errors::{CUresult, CudaError, diagnose};
use crate::queue::{Point, Queue};
use crate::sync::lock;
use crate::table::Table;
use std::sync::{Arc, Mutex};

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
    queue: Arc<Queue>,
    /// Whether this is the legacy default stream: it waits for the blocking ones of its context.
    is_legacy: bool,
}

impl Stream {
    /// A stream that the program makes.
    fn new(context: Arc<Context>, flags: u32, priority: i32) -> Self {
        use std::sync::atomic::{AtomicU64, Ordering};
        static MADE: AtomicU64 = AtomicU64::new(1);
        let id = MADE.fetch_add(1, Ordering::Relaxed);
        let queue = context.queues.add(flags & NON_BLOCKING == 0);
        Stream { context, id, flags, priority, queue, is_legacy: false }
    }

    /// The legacy default stream of a context.
    pub(crate) fn legacy(context: Arc<Context>) -> Self {
        let queue = context.queues.legacy().clone();
        Stream { context, id: 0, flags: 0, priority: 0, queue, is_legacy: true }
    }

    /// The default stream of this thread.
    fn per_thread(context: Arc<Context>) -> Self {
        let queue = context.queues.of_this_thread();
        Stream { context, id: 0, flags: 0, priority: 0, queue, is_legacy: false }
    }

    /// What has to be reached for everything to be done that was enqueued up to now.
    fn ends(&self) -> Vec<Point> {
        if self.is_legacy { self.context.queues.joined() } else { vec![self.queue.end()] }
    }

    /// Waits until all that was enqueued is done.
    pub(crate) fn wait(&self) {
        self.ends().iter().for_each(Point::reach);
    }

    /// Whether all that was enqueued is done; if it is not, one piece of it runs, so that a program
    /// that asks again and again comes to an end.
    fn is_idle(&self) -> bool {
        let missing = self.ends().into_iter().find(|point| !point.is_reached());
        missing.as_ref().map(Point::approach).is_none()
    }

    /// Enqueues work that waits for a point too; in the eager mode it is done on return.
    fn enqueue(&self, point: Option<Point>, work: impl FnOnce() + Send + 'static) -> Point {
        let mut after = self.context.queues.before(&self.queue);
        after.extend(point);
        let end = self.queue.push_work(after, work);
        if !self.context.is_lazy() {
            end.reach();
        }
        end
    }

    /// Enqueues work and waits for it. In a context that a fault has ended it does not run.
    pub(crate) fn perform(&self, work: impl FnOnce() -> Status + Send + 'static) -> Status {
        let outcome = Arc::new(Mutex::new(Ok(())));
        let (context, to) = (self.context.clone(), outcome.clone());
        let run = move || *lock(&to) = context.healthy().and_then(|()| work());
        self.enqueue(None, run).reach();
        *lock(&outcome)
    }

    /// Enqueues work. In the eager mode this is its outcome; in the lazy mode an error of the work
    /// sticks to the context when it runs.
    pub(crate) fn submit(&self, work: impl FnOnce() -> Status + Send + 'static) -> Status {
        if !self.context.is_lazy() {
            return self.perform(work);
        }
        let context = self.context.clone();
        self.enqueue(None, move || {
            if context.healthy().is_err() {
                return;
            }
            if let Err(error) = work() {
                diagnose(&format!("work in a stream failed when it ran: {error:?}"));
                context.stick(error);
            }
        });
        Ok(())
    }

    /// Enqueues a note that everything before it is done.
    pub(crate) fn mark(&self, note: impl FnOnce() + Send + 'static) -> Point {
        self.enqueue(None, note)
    }

    /// Makes what is enqueued from now on wait for a point.
    pub(crate) fn wait_for(&self, point: Point) {
        self.enqueue(Some(point), || {});
    }
}

/// The stream of a handle, in a context that no fault has ended. Null and the handle 1 are the
/// legacy default stream of the current context, 2 is the default stream of this thread.
pub(crate) fn named(handle: Handle<Stream>) -> Status<Arc<Stream>> {
    let stream = lookup(handle)?;
    stream.context.healthy()?;
    Ok(stream)
}

/// As [`named`], whatever has become of the context.
fn lookup(handle: Handle<Stream>) -> Status<Arc<Stream>> {
    let context = current()?;
    match handle.raw() {
        0 | 1 => Ok(Arc::new(Stream::legacy(context))),
        2 => Ok(Arc::new(Stream::per_thread(context))),
        _ => STREAMS.get(handle),
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
    out.set(STREAMS.insert(Stream::new(context, flags, priority)))
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

/// Enqueues a call; it is given the state of the context. In the eager mode a call in the legacy
/// default stream is waited for.
fn enqueue<F: Copy + Send + 'static>(call: Call<F>, run: fn(&Call<F>, Status)) -> Status {
    let stream = named(call.stream)?;
    let (context, eager) = (stream.context.clone(), !stream.context.is_lazy());
    let after = context.queues.before(&stream.queue);
    let function = move || run(&call, context.healthy());
    let end = stream.queue.push_host_function(after, function, eager);
    if eager && stream.is_legacy {
        end.reach();
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
        // Work in its queue still runs; the context holds the queue.
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
        // After a fault the API does not call it.
        enqueue(Call { function, argument, stream: handle }, |call, status| {
            if status.is_ok() {
                (call.function)(call.argument);
            }
        })
    }

    fn cuStreamAddCallback(handle: Handle<Stream>, function: Option<StreamCallback>, argument: Host, flags: u32) {
        let function = function.ok_or(CudaError::InvalidValue)?;
        if flags != 0 {
            return Err(CudaError::InvalidValue);
        }
        enqueue(Call { function, argument, stream: handle }, |call, status| {
            (call.function)(call.stream, CUresult::from(status).0, call.argument);
        })
    }
}

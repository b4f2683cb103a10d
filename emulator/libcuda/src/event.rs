//! Events: points in a stream's order, and the wall-clock time between them.

use crate::abi::{Handle, Out, Status, exports};
use crate::context::{Context, current, working};
use crate::errors::CudaError;
use crate::queue::Point;
use crate::stream::{self, Stream};
use crate::sync::lock;
use crate::table::Table;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

/// All events.
pub(crate) static EVENTS: Table<Event> = Table::new(0x13);

/// `CU_EVENT_DISABLE_TIMING`.
const DISABLE_TIMING: u32 = 2;
/// All flags: blocking synchronisation, no timing, between processes.
const KNOWN_FLAGS: u32 = 7;
/// `CU_EVENT_INTERPROCESS`.
const INTERPROCESS: u32 = 4;

/// An event.
pub(crate) struct Event {
    /// Its context.
    pub(crate) context: Arc<Context>,
    flags: u32,
    recorded: Mutex<Option<Record>>,
}

/// The last record of an event: a place in its stream, and when the stream got there. What came
/// before it is done then, so between two of them lies the time that the device's work took, as
/// measured on this machine.
#[derive(Clone)]
struct Record {
    point: Point,
    time: Arc<OnceLock<Instant>>,
}

impl Event {
    /// The point it was last recorded at. An event that never was counts as complete.
    fn point(&self) -> Option<Point> {
        lock(&self.recorded).as_ref().map(|record| record.point.clone())
    }

    /// When its record was reached; an event that was never recorded, or that keeps no time, is an
    /// invalid handle.
    fn time(&self) -> Status<Instant> {
        if self.flags & DISABLE_TIMING != 0 {
            return Err(CudaError::InvalidHandle);
        }
        let record = lock(&self.recorded).clone().ok_or(CudaError::InvalidHandle)?;
        record.time.get().copied().ok_or(CudaError::NotReady)
    }
}

/// Records an event behind the work that the stream has now.
fn record(event: Handle<Event>, stream: Handle<Stream>) -> Status {
    let event = EVENTS.get(event)?;
    let stream = stream::named(stream)?;
    if stream.context.id != event.context.id {
        return Err(CudaError::InvalidHandle);
    }
    let time = Arc::new(OnceLock::new());
    let clock = time.clone();
    let point = stream.mark(move || {
        clock.get_or_init(Instant::now);
    });
    *lock(&event.recorded) = Some(Record { point, time });
    Ok(())
}

/// Milliseconds from one event to another, in the resolution of the API: about half a microsecond.
fn elapsed(out: Out<f32>, start: Handle<Event>, end: Handle<Event>) -> Status {
    out.required()?;
    let (start, end) = (EVENTS.get(start)?, EVENTS.get(end)?);
    start.context.healthy()?;
    let (start, end) = (start.time()?, end.time()?);
    let forward = end.saturating_duration_since(start).as_secs_f64();
    let backward = start.saturating_duration_since(end).as_secs_f64();
    out.set(((forward - backward) * 1e3) as f32)
}

exports! {
    fn cuStreamWaitEvent(handle: Handle<Stream>, event: Handle<Event>, flags: u32) {
        let stream = stream::named(handle)?;
        if flags > 1 {
            return Err(CudaError::InvalidValue);
        }
        if let Some(point) = EVENTS.get(event)?.point() {
            stream.wait_for(point);
        }
        Ok(())
    }

    fn cuEventCreate(out: Out<Handle<Event>>, flags: u32) {
        let context = working()?;
        out.required()?;
        let untimed = flags & DISABLE_TIMING != 0;
        if flags & !KNOWN_FLAGS != 0 || (flags & INTERPROCESS != 0 && !untimed) {
            return Err(CudaError::InvalidValue);
        }
        out.set(EVENTS.insert(Event { context, flags, recorded: Mutex::default() }))
    }

    fn cuEventDestroy_v2(event: Handle<Event>) {
        current()?;
        EVENTS.remove(event).map(drop)
    }

    fn cuEventRecord(event: Handle<Event>, stream: Handle<Stream>) {
        record(event, stream)
    }

    fn cuEventRecordWithFlags(event: Handle<Event>, stream: Handle<Stream>, flags: u32) {
        if flags > 1 {
            return Err(CudaError::InvalidValue);
        }
        record(event, stream)
    }

    fn cuEventQuery(event: Handle<Event>) {
        let event = EVENTS.get(event)?;
        event.context.healthy()?;
        match event.point().filter(|point| !point.is_reached()) {
            Some(point) => {
                // So that a program that asks again and again comes to an end.
                point.approach();
                Err(CudaError::NotReady)
            }
            None => Ok(()),
        }
    }

    fn cuEventSynchronize(event: Handle<Event>) {
        let event = EVENTS.get(event)?;
        if let Some(point) = event.point() {
            point.reach();
        }
        event.context.healthy()
    }

    fn cuEventElapsedTime(out: Out<f32>, start: Handle<Event>, end: Handle<Event>) {
        elapsed(out, start, end)
    }

    fn cuEventElapsedTime_v2(out: Out<f32>, start: Handle<Event>, end: Handle<Event>) {
        elapsed(out, start, end)
    }
}

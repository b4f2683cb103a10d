//! The lazy mode: what the API does not order is seen out of order, and what it orders is not.

use super::{FAULTS, OK, context, host, launch, made, twice};
use crate::abi::{Handle, Host};
use crate::context::Context;
use crate::context_calls::{cuCtxDestroy_v2, cuCtxSetCurrent, cuCtxSynchronize};
use crate::copy::{
    cuMemcpyDtoD_v2, cuMemcpyDtoH_v2, cuMemcpyDtoHAsync_v2, cuMemcpyHtoD_v2, cuMemcpyHtoDAsync_v2,
    cuMemcpyPeer,
};
use crate::errors::{CUresult, CudaError};
use crate::event::{
    Event, cuEventCreate, cuEventElapsedTime, cuEventQuery, cuEventRecord, cuEventSynchronize,
    cuStreamWaitEvent,
};
use crate::fill::{cuMemsetD8_v2, cuMemsetD8Async};
use crate::function::Function;
use crate::memory::{cuMemAlloc_v2, cuMemAllocAsync, cuMemFree_v2, cuMemFreeAsync};
use crate::pinned::{cuMemAllocHost_v2, cuMemAllocManaged};
use crate::stream::{
    Stream, cuLaunchHostFunc, cuStreamCreate, cuStreamDestroy_v2, cuStreamQuery,
    cuStreamSynchronize,
};
use crate::sync::lock;
use std::sync::Mutex;
use std::thread::ThreadId;

/// Bytes of a buffer: the 64 words that a launch doubles.
const BYTES: usize = 256;
/// Flags of a stream.
const BLOCKING: u32 = 0;
const NON_BLOCKING: u32 = 1;
/// The legacy default stream, and the one of the thread.
const LEGACY: Handle<Stream> = Handle::NULL;
const PER_THREAD: Handle<Stream> = Handle::from_raw(2);

const NOT_READY: CUresult = CUresult(CudaError::NotReady as u32);

/// A lazy context with a kernel that doubles words: here four equal bytes each.
struct Program {
    context: Handle<Context>,
    function: Handle<Function>,
}

impl Program {
    fn start() -> Self {
        let context = context(true);
        Program { context, function: twice().0 }
    }

    /// Enqueues the kernel.
    fn double(&self, buffer: u64, stream: Handle<Stream>) {
        assert_eq!(launch(self.function, stream, buffer, 0), OK);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let ended = cuCtxDestroy_v2(self.context);
        assert!(std::thread::panicking() || ended == OK);
    }
}

fn stream(flags: u32) -> Handle<Stream> {
    made(Handle::NULL, |out| cuStreamCreate(out, flags))
}

/// A buffer whose bytes are all `byte`, for certain.
fn buffer(byte: u8) -> u64 {
    let buffer = made(0, |out| cuMemAlloc_v2(out, BYTES));
    assert_eq!(cuMemcpyHtoD_v2(buffer, host(&mut [byte; BYTES]), BYTES), OK);
    buffer
}

/// Enqueues a copy of pageable bytes, all `byte`, which are gone when the copy runs.
fn upload(buffer: u64, byte: u8, stream: Handle<Stream>) {
    let mut bytes = [byte; BYTES];
    assert_eq!(cuMemcpyHtoDAsync_v2(buffer, host(&mut bytes), BYTES, stream), OK);
    bytes.fill(99);
    std::hint::black_box(&bytes);
}

/// Enqueues the record of a new event.
fn record(stream: Handle<Stream>) -> Handle<Event> {
    let event = made(Handle::NULL, |out| cuEventCreate(out, 0));
    assert_eq!(cuEventRecord(event, stream), OK);
    event
}

/// The byte that a buffer is full of, by a copy in the legacy default stream.
fn byte(buffer: u64) -> u8 {
    let mut bytes = [0u8; BYTES];
    assert_eq!(cuMemcpyDtoH_v2(host(&mut bytes), buffer, BYTES), OK);
    assert_eq!(bytes, [bytes[0]; BYTES]);
    bytes[0]
}

#[test]
fn streams_are_ordered_by_events_only() {
    let program = Program::start();
    let (one, other) = (stream(NON_BLOCKING), stream(NON_BLOCKING));
    let at = buffer(5);
    // The kernel reads what was there before the copy of the other stream.
    upload(at, 7, one);
    program.double(at, other);
    assert_eq!(cuStreamSynchronize(other), OK);
    assert_eq!(byte(at), 10);
    assert_eq!(cuStreamSynchronize(one), OK);
    assert_eq!(byte(at), 7);
    // With an event it reads what was copied. Work behind the event does not matter.
    upload(at, 9, one);
    let event = record(one);
    program.double(at, one);
    assert_eq!(cuStreamWaitEvent(other, event, 0), OK);
    program.double(at, other);
    // Recorded once more, behind: the wait is for the place before.
    assert_eq!(cuEventRecord(event, one), OK);
    assert_eq!(cuStreamSynchronize(other), OK);
    assert_eq!(byte(at), 18);
    assert_eq!(cuEventSynchronize(event), OK);
    assert_eq!(byte(at), 36);
}

#[test]
fn the_legacy_stream_and_blocking_streams_wait_for_one_another() {
    let program = Program::start();
    for handle in [stream(BLOCKING), PER_THREAD] {
        // A stream for the legacy one before it, with and without a copy that waits ...
        let (at, copied) = (buffer(5), buffer(0));
        assert_eq!(cuMemsetD8_v2(at, 3, BYTES), OK);
        program.double(at, handle);
        assert_eq!(cuStreamSynchronize(handle), OK);
        assert_eq!(byte(at), 6);
        // ... and the legacy one for the stream.
        program.double(at, handle);
        assert_eq!(cuMemcpyDtoD_v2(copied, at, BYTES), OK);
        assert_eq!(byte(copied), 12);
        program.double(at, handle);
        assert_eq!(byte(at), 24);
        program.double(at, handle);
        let mut memory = pinned(0);
        assert_eq!(cuMemcpyDtoHAsync_v2(memory.0, at, BYTES, handle), OK);
        assert_eq!(cuStreamSynchronize(LEGACY), OK);
        assert_eq!(memory.bytes(), [48; BYTES]);
    }
}

#[test]
fn the_legacy_stream_and_non_blocking_streams_do_not() {
    let program = Program::start();
    let handle = stream(NON_BLOCKING);
    let at = buffer(5);
    assert_eq!(cuMemsetD8_v2(at, 3, BYTES), OK);
    program.double(at, handle);
    assert_eq!(cuStreamSynchronize(handle), OK);
    let mut memory = pinned(0);
    // Without a look at the buffer by the legacy stream, which would run the fill.
    assert_eq!(cuMemcpyDtoHAsync_v2(memory.0, at, BYTES, handle), OK);
    assert_eq!(cuStreamSynchronize(handle), OK);
    assert_eq!(memory.bytes(), [10; BYTES]);
    assert_eq!(byte(at), 3);
    program.double(at, handle);
    assert_eq!(cuStreamSynchronize(LEGACY), OK);
    assert_eq!(byte(at), 3);
    assert_eq!(cuStreamSynchronize(handle), OK);
    assert_eq!(byte(at), 6);
}

/// Pinned host memory.
struct Pinned(Host);

fn pinned(byte: u8) -> Pinned {
    let mut pinned = Pinned(made(Host::from_address(0), |out| cuMemAllocHost_v2(out, BYTES)));
    pinned.bytes().fill(byte);
    pinned
}

impl Pinned {
    fn bytes(&mut self) -> &mut [u8] {
        self.0.bytes_mut(BYTES).unwrap()
    }
}

#[test]
fn pinned_memory_is_read_and_written_when_a_copy_runs() {
    let _program = Program::start();
    let handle = stream(NON_BLOCKING);
    let (at, mut memory) = (buffer(0), pinned(1));
    assert_eq!(cuMemcpyHtoDAsync_v2(at, memory.0, BYTES, handle), OK);
    memory.bytes().fill(2);
    assert_eq!(cuStreamSynchronize(handle), OK);
    assert_eq!(byte(at), 2);
    memory.bytes().fill(3);
    assert_eq!(cuMemcpyHtoDAsync_v2(at, memory.0, BYTES, handle), OK);
    assert_eq!(cuStreamSynchronize(handle), OK);
    memory.bytes().fill(4);
    assert_eq!(byte(at), 3);
    // The other way round.
    assert_eq!(cuMemcpyDtoHAsync_v2(memory.0, at, BYTES, handle), OK);
    assert_eq!(memory.bytes(), [4; BYTES]);
    assert_eq!(cuStreamSynchronize(handle), OK);
    assert_eq!(memory.bytes(), [3; BYTES]);
    // Pageable memory is read at the call, although the device's bytes change later, and a copy
    // into it is done on return, with everything that the stream had before.
    upload(at, 8, handle);
    assert_eq!(byte(at), 3);
    let mut bytes = [0u8; BYTES];
    assert_eq!(cuMemcpyDtoHAsync_v2(host(&mut bytes), at, BYTES, handle), OK);
    assert_eq!(bytes, [8; BYTES]);
    // A fill of managed memory waits; a kernel on it does not.
    let managed = made(0, |out| cuMemAllocManaged(out, BYTES, 1));
    let shared = Host::from_address(managed).bytes_mut(BYTES).unwrap();
    assert_eq!(cuMemsetD8_v2(managed, 6, BYTES), OK);
    assert_eq!(shared, [6; BYTES]);
    assert_eq!(cuMemsetD8Async(managed, 7, BYTES, handle), OK);
    assert_eq!(shared, [6; BYTES]);
    assert_eq!(cuStreamSynchronize(handle), OK);
    assert_eq!(shared, [7; BYTES]);
}

#[test]
fn freeing_waits_and_freeing_in_a_stream_is_ordered_there() {
    let _faults = lock(&FAULTS);
    let program = Program::start();
    let handle = stream(NON_BLOCKING);
    let at = buffer(1);
    program.double(at, handle);
    assert_eq!(cuMemFree_v2(at), OK);
    // The kernel would have met freed memory here.
    assert_eq!(cuStreamSynchronize(handle), OK);
    let at = made(0, |out| cuMemAllocAsync(out, BYTES, handle));
    assert_eq!(cuMemsetD8Async(at, 1, BYTES, handle), OK);
    program.double(at, handle);
    assert_eq!(cuMemFreeAsync(at, handle), OK);
    let invalid = CUresult::from(Err(CudaError::InvalidValue));
    assert_eq!(cuMemFreeAsync(at, handle), invalid);
    assert_eq!(cuStreamSynchronize(handle), OK);
    assert_eq!(cuMemFree_v2(at), invalid);
    // Behind the free in the stream the memory is gone, although the call does not know it.
    let at = buffer(1);
    assert_eq!(cuMemFreeAsync(at, handle), OK);
    program.double(at, handle);
    assert_eq!(cuStreamSynchronize(handle), CUresult::from(Err(CudaError::IllegalAddress)));
}

#[test]
fn errors_arrive_where_the_work_is_waited_for() {
    let _faults = lock(&FAULTS);
    let program = Program::start();
    let (one, other) = (stream(NON_BLOCKING), stream(NON_BLOCKING));
    let (at, mut memory) = (buffer(1), pinned(7));
    assert_eq!(launch(program.function, one, at, 4), OK);
    assert_eq!(cuMemcpyDtoHAsync_v2(memory.0, at, BYTES, one), OK);
    assert_eq!(cuStreamSynchronize(other), OK);
    assert_eq!(byte(at), 1);
    let illegal = CUresult::from(Err(CudaError::IllegalAddress));
    assert_eq!(cuStreamSynchronize(one), illegal);
    assert_eq!(memory.bytes(), [7; BYTES], "work behind the fault does not run");
    assert_eq!(cuCtxSynchronize(), illegal);
    assert_eq!(cuMemFree_v2(at), illegal);
}

#[test]
fn asking_again_and_again_comes_to_an_end() {
    let program = Program::start();
    let (one, other) = (stream(NON_BLOCKING), stream(NON_BLOCKING));
    let at = buffer(1);
    assert_eq!(cuStreamQuery(one), OK);
    program.double(at, one);
    let start = record(one);
    assert_eq!(cuStreamWaitEvent(other, start, 0), OK);
    program.double(at, other);
    let end = record(other);
    let elapsed = |wanted| {
        let mut time = -1f32;
        assert_eq!(cuEventElapsedTime((&mut time).into(), start, end), wanted);
        time
    };
    elapsed(NOT_READY);
    // Two launches, two records, one wait: each question runs one.
    for _ in 0..5 {
        assert_eq!(cuEventQuery(end), NOT_READY);
    }
    assert_eq!(cuEventQuery(end), OK);
    assert!(elapsed(OK) > 0.0);
    assert_eq!(byte(at), 4);
    program.double(at, one);
    assert_eq!(cuStreamQuery(one), NOT_READY);
    assert_eq!(cuStreamQuery(one), OK);
    assert_eq!(byte(at), 8);
}

#[test]
fn destroyed_streams_and_all_streams_run_last_created_first() {
    let program = Program::start();
    let (one, other) = (stream(NON_BLOCKING), stream(NON_BLOCKING));
    let at = buffer(1);
    // 5 and then 2 x 1 and 9, were it in the order of the calls.
    upload(at, 5, one);
    program.double(at, one);
    upload(at, 9, other);
    assert_eq!(cuStreamDestroy_v2(other), OK);
    assert_eq!(byte(at), 1);
    assert_eq!(cuCtxSynchronize(), OK);
    assert_eq!(byte(at), 10);
}

#[test]
fn copies_between_contexts_wait_for_all_of_both() {
    let program = Program::start();
    let handle = stream(NON_BLOCKING);
    let (at, copied) = (buffer(3), buffer(0));
    program.double(at, handle);
    let own = program.context;
    assert_eq!(cuMemcpyPeer(copied, own, at, own, BYTES), OK);
    program.double(at, handle);
    assert_eq!(cuStreamSynchronize(handle), OK);
    assert_eq!(byte(copied), 6);
}

static CALLS: Mutex<Vec<(usize, ThreadId)>> = Mutex::new(Vec::new());

extern "C" fn note(argument: Host) {
    lock(&CALLS).push((argument.address() as usize, std::thread::current().id()));
}

#[test]
fn host_functions_wait_too_and_run_apart() {
    let program = Program::start();
    let handle = stream(BLOCKING);
    let at = buffer(1);
    for number in 1..=3 {
        assert_eq!(cuLaunchHostFunc(handle, Some(note), Host::from_address(number)), OK);
        program.double(at, handle);
    }
    assert!(lock(&CALLS).is_empty());
    assert_eq!(byte(at), 8);
    let calls = std::mem::take(&mut *lock(&CALLS));
    assert_eq!(calls.iter().map(|call| call.0).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(calls.iter().all(|call| call.1 != std::thread::current().id()));
}

#[test]
fn many_threads_wait_for_one_another() {
    let program = Program::start();
    let shared = stream(BLOCKING);
    let first = record(shared);
    std::thread::scope(|scope| {
        for flags in [BLOCKING, NON_BLOCKING, BLOCKING, NON_BLOCKING] {
            let program = &program;
            scope.spawn(move || {
                assert_eq!(cuCtxSetCurrent(program.context), OK);
                let own = stream(flags);
                for round in 0..20 {
                    let at = buffer(1);
                    program.double(at, own);
                    let event = record(own);
                    assert_eq!(cuStreamWaitEvent(shared, event, 0), OK);
                    program.double(at, shared);
                    assert_eq!(cuEventRecord(first, shared), OK);
                    let event = record(shared);
                    assert_eq!(cuStreamWaitEvent(PER_THREAD, event, 0), OK);
                    program.double(at, PER_THREAD);
                    match round % 4 {
                        0 => assert_eq!(cuCtxSynchronize(), OK),
                        1 => assert_eq!(cuStreamSynchronize(PER_THREAD), OK),
                        2 => while cuStreamQuery(PER_THREAD) != OK {},
                        _ => {}
                    }
                    assert_eq!(byte(at), 8);
                }
            });
        }
    });
}

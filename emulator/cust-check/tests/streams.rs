//! Streams and events: order, callbacks, time.

use cust::error::CudaError;
use cust::event::EventStatus;
use cust::prelude::*;
use cust::stream::StreamWaitEventFlags;
use parans_cust_check::{Outcome, module};
use std::sync::mpsc;
use std::time::{Duration, Instant};

#[test]
fn streams_keep_their_order() -> Outcome {
    let _context = cust::quick_init()?;
    let (first, second) = (
        Stream::new(StreamFlags::NON_BLOCKING, None)?,
        Stream::new(StreamFlags::DEFAULT, Some(-1))?,
    );
    assert_eq!(second.get_priority()?, -1);
    let module = module("saxpy")?;
    let saxpy = module.get_function("saxpy")?;
    let (x, y) = ([1.0f32; 64].as_slice().as_dbuf()?, [0.0f32; 64].as_slice().as_dbuf()?);
    for round in 0..10 {
        let (here, there) = if round % 2 == 0 { (&first, &second) } else { (&second, &first) };
        // SAFETY: buffers of 64 floats that live to the end.
        unsafe {
            launch!(saxpy<<<1, 64, 0, here>>>(1.0f32, x.as_device_ptr(), y.as_device_ptr(), 64i32))?;
        }
        let event = Event::new(EventFlags::DISABLE_TIMING)?;
        event.record(here)?;
        there.wait_event(event, StreamWaitEventFlags::DEFAULT)?;
    }
    first.synchronize()?;
    second.synchronize()?;
    assert_eq!(y.as_host_vec()?, [10.0; 64]);
    Ok(())
}

#[test]
fn callbacks_run_in_order_and_apart() -> Outcome {
    let _context = cust::quick_init()?;
    let stream = Stream::new(StreamFlags::NON_BLOCKING, None)?;
    let (send, receive) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let here = std::thread::current().id();
    let slow = send.clone();
    // The first callback waits for this thread: enqueuing may not wait for it.
    stream.add_callback(Box::new(move || {
        wait.recv_timeout(Duration::from_secs(20)).unwrap();
        slow.send((1, std::thread::current().id())).unwrap();
    }))?;
    stream.add_callback(Box::new(move || send.send((2, std::thread::current().id())).unwrap()))?;
    go.send(())?;
    stream.synchronize()?;
    let calls: Vec<_> = receive.iter().collect();
    assert_eq!(calls.iter().map(|call| call.0).collect::<Vec<_>>(), [1, 2]);
    assert!(calls.iter().all(|call| call.1 != here));
    Ok(())
}

#[test]
fn events_measure_the_kernel() -> Outcome {
    let _context = cust::quick_init()?;
    let stream = Stream::new(StreamFlags::NON_BLOCKING, None)?;
    let module = module("branches")?;
    let collatz = module.get_function("collatz")?;
    let start: Vec<u32> = (1..=4096).collect();
    let (input, output) = (start.as_slice().as_dbuf()?, DeviceBuffer::<u32>::zeroed(4096)?);
    let (begin, end) = (Event::new(EventFlags::DEFAULT)?, Event::new(EventFlags::DEFAULT)?);
    assert_eq!(end.elapsed_time_f32(&begin).err(), Some(CudaError::InvalidHandle));
    let clock = Instant::now();
    begin.record(&stream)?;
    // SAFETY: buffers of 4096 words, a thread for each.
    unsafe {
        launch!(collatz<<<32, 128, 0, stream>>>(input.as_device_ptr(), output.as_device_ptr(), 4096i32))?;
    }
    end.record(&stream)?;
    end.synchronize()?;
    let outside = clock.elapsed();
    assert_eq!(end.query()?, EventStatus::Ready);
    let inside = end.elapsed(&begin)?;
    assert!(inside > Duration::ZERO && inside <= outside, "{inside:?} of {outside:?}");
    assert_eq!(output.as_host_vec()?[26], 111);
    Ok(())
}

#[test]
fn work_from_many_threads() -> Outcome {
    let context = cust::quick_init()?;
    let module = module("reduce")?;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (1..=4)
            .map(|factor| {
                let (module, context) = (&module, &context);
                scope.spawn(move || -> Result<i32, CudaError> {
                    cust::context::CurrentContext::set_current(context)?;
                    let stream = Stream::new(StreamFlags::NON_BLOCKING, None)?;
                    let (values, total) = (vec![factor; 1000], [0].as_slice().as_dbuf()?);
                    let input = values.as_slice().as_dbuf()?;
                    for _ in 0..5 {
                        // SAFETY: a thousand integers and one sum, both alive until the
                        // synchronisation.
                        unsafe {
                            launch!(module.reduce_sum<<<2, 128, 0, stream>>>(
                                input.as_device_ptr(), 1000i32, total.as_device_ptr()
                            ))?;
                        }
                    }
                    stream.synchronize()?;
                    Ok(total.as_host_vec()?[0])
                })
            })
            .collect();
        for (thread, factor) in threads.into_iter().zip(1..) {
            assert_eq!(thread.join().unwrap()?, 5000 * factor);
        }
        Ok::<_, CudaError>(())
    })?;
    Ok(())
}

//! Several devices, and the contexts of the caller.

use super::*;

#[test]
#[ignore = "needs an NVIDIA driver with two devices: PARANS_DEVICE_COUNT=2 scripts/software-cuda"]
fn devices_work_side_by_side_and_the_callers_context_stays_current() {
    let driver = driver().unwrap();
    let runtimes = [CudaRuntime::new(0).unwrap(), CudaRuntime::new(1).unwrap()];
    // The caller works on the second device.
    let callers = runtimes[1].opened.context();
    let entered = Entered::new(&driver, callers).unwrap();
    let bytes = [7u8; 1000];
    let addresses = runtimes.each_ref().map(|runtime| runtime.alloc(bytes.len()).unwrap());
    for (runtime, &address) in runtimes.iter().zip(&addresses) {
        runtime.upload(address, &bytes, StreamHandle::OWN).unwrap();
        runtime.fill(address, 9, 10, StreamHandle::OWN).unwrap();
        let event = runtime.record(StreamHandle::OWN).unwrap();
        runtime.wait(StreamHandle::LEGACY_DEFAULT, event).unwrap();
        runtime.release(event);
        let mut back = [0; 1000];
        runtime.download(address, &mut back, StreamHandle::LEGACY_DEFAULT).unwrap();
        assert_eq!((back[9], back[10], back[999]), (9, 7, 7));
        // Errors leave no context behind either.
        assert!(runtime.load("no PTX").is_err());
        assert!(runtime.finish(event).is_err());
        runtime.free(address);
    }
    let unknown = driver.check(Code(4242)).unwrap_err();
    assert!(unknown.to_string().contains("error 4242"), "{unknown}");
    drop(runtimes);
    drop(entered);
    let mut left = std::ptr::null_mut();
    // SAFETY: the driver writes one handle.
    let popped = driver.check(unsafe { (driver.cuCtxPopCurrent_v2)(&raw mut left) });
    assert!(popped.is_err() || left.is_null(), "a context was left on the stack");
}

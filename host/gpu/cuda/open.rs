//! Opening a GPU: its primary context, a stream of our own, and pinned memory to stage copies in.
//! Through cust, or through the driver's functions where they were loaded at run time.

use std::ffi::c_void;

use super::driver::{Driver, Failure, Handle};
use crate::error::Result;

/// An opened GPU: what lives as long as the runtime.
pub(super) trait Opened: Send + Sync {
    /// The driver's number of the device.
    fn device(&self) -> i32;
    /// The primary context.
    fn context(&self) -> Handle;
    /// A stream that no default stream waits for.
    fn stream(&self) -> Handle;
    /// Two pieces of pinned memory of [`STAGING`] bytes.
    fn halves(&self) -> [*mut u8; 2];
}

/// Bytes of one pinned half. Two of them hide the copy into pinned memory behind the transfer;
/// larger ones gain nothing.
pub(super) const STAGING: usize = 4 << 20;

/// `CU_STREAM_NON_BLOCKING`.
const NON_BLOCKING: u32 = 1;

/// The number of GPUs.
pub(super) fn count(driver: &Driver) -> Result<usize> {
    let mut count = 0;
    // SAFETY: the driver writes one integer. 0 is the only value of the flags.
    let asked = driver.check(unsafe { (driver.cuInit)(0) }).and_then(|()| {
        // SAFETY: as above.
        driver.check(unsafe { (driver.cuDeviceGetCount)(&raw mut count) })
    });
    asked.map_err(|error| error.in_context("asking the NVIDIA driver for devices"))?;
    Ok(count.max(0) as usize)
}

/// The driver's number of a GPU, which is below their [`count`].
pub(super) fn device(driver: &Driver, number: usize) -> Result<i32, Failure> {
    let mut device = 0;
    // SAFETY: the driver writes one integer.
    driver.check(unsafe { (driver.cuDeviceGet)(&raw mut device, number as i32) })?;
    Ok(device)
}

/// The name of a GPU.
pub(super) fn name(driver: &Driver, device: i32) -> Result<String, Failure> {
    let mut name = [0u8; 256];
    let (to, bytes) = (name.as_mut_ptr().cast(), name.len() as i32);
    // SAFETY: the driver writes a string of at most as many bytes, its NUL among them.
    driver.check(unsafe { (driver.cuDeviceGetName)(to, bytes, device) })?;
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    Ok(String::from_utf8_lossy(&name[..end]).into_owned())
}

/// Retains the primary context of a GPU.
fn retain(driver: &Driver, device: i32) -> Result<Handle, Failure> {
    let mut context = std::ptr::null_mut();
    // SAFETY: the driver writes one handle.
    driver.check(unsafe { (driver.cuDevicePrimaryCtxRetain)(&raw mut context, device) })?;
    Ok(context)
}

/// A stream of the current context that no default stream waits for.
fn make_stream(driver: &Driver) -> Result<Handle, Failure> {
    let mut stream = std::ptr::null_mut();
    // SAFETY: the driver writes one handle.
    driver.check(unsafe { (driver.cuStreamCreate)(&raw mut stream, NON_BLOCKING) })?;
    Ok(stream)
}

/// Makes a context current on this thread until it is dropped; then the caller's is again.
pub(super) struct Entered<'d>(&'d Driver);

impl<'d> Entered<'d> {
    pub(super) fn new(driver: &'d Driver, context: Handle) -> Result<Self> {
        // SAFETY: the context is retained as long as the runtime lives.
        let code = unsafe { (driver.cuCtxPushCurrent_v2)(context) };
        driver.check(code).map_err(|error| error.in_context("making the context current"))?;
        Ok(Self(driver))
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let mut popped = std::ptr::null_mut();
        // SAFETY: the driver writes one handle; the context was pushed on this thread, where the
        // guard stays.
        let _ = unsafe { (self.0.cuCtxPopCurrent_v2)(&raw mut popped) };
    }
}

/// A GPU opened through the driver's functions.
#[cfg(feature = "cuda-dynamic")]
pub(super) struct Loaded {
    driver: Driver,
    device: i32,
    context: Handle,
    stream: Handle,
    halves: [*mut c_void; 2],
}

// SAFETY: the driver's handles may be used from any thread; the pinned memory is only reached
// through the runtime, under its lock.
#[cfg(feature = "cuda-dynamic")]
unsafe impl Send for Loaded {}
// SAFETY: as above.
#[cfg(feature = "cuda-dynamic")]
unsafe impl Sync for Loaded {}

#[cfg(feature = "cuda-dynamic")]
impl Loaded {
    pub(super) fn new(driver: Driver, number: usize) -> Result<Self> {
        let opening = |error: Failure| error.in_context(&format!("opening device cuda:{number}"));
        let device = device(&driver, number).map_err(opening)?;
        let context = retain(&driver, device).map_err(opening)?;
        let (stream, halves) = (std::ptr::null_mut(), [std::ptr::null_mut(); 2]);
        // From here on, dropping it gives back what there is.
        let mut opened = Self { driver, device, context, stream, halves };
        let _entered = Entered::new(&driver, context)?;
        opened.make().map_err(opening)?;
        Ok(opened)
    }

    fn make(&mut self) -> Result<(), Failure> {
        let driver = &self.driver;
        self.stream = make_stream(driver)?;
        for half in &mut self.halves {
            // SAFETY: the driver writes one address.
            driver.check(unsafe { (driver.cuMemAllocHost_v2)(half, STAGING) })?;
        }
        Ok(())
    }
}

#[cfg(feature = "cuda-dynamic")]
impl Opened for Loaded {
    fn device(&self) -> i32 {
        self.device
    }
    fn context(&self) -> Handle {
        self.context
    }
    fn stream(&self) -> Handle {
        self.stream
    }
    fn halves(&self) -> [*mut u8; 2] {
        self.halves.map(<*mut c_void>::cast)
    }
}

#[cfg(feature = "cuda-dynamic")]
impl Drop for Loaded {
    fn drop(&mut self) {
        let driver = &self.driver;
        if let Ok(_entered) = Entered::new(driver, self.context) {
            for half in self.halves.into_iter().filter(|half| !half.is_null()) {
                // SAFETY: the driver allocated it, and nothing uses it any more.
                let _ = unsafe { (driver.cuMemFreeHost)(half) };
            }
            if !self.stream.is_null() {
                // SAFETY: the stream is this runtime's own; the driver ends it after its work.
                let _ = unsafe { (driver.cuStreamDestroy_v2)(self.stream) };
            }
        }
        // SAFETY: retained once, in `new`.
        let _ = unsafe { (driver.cuDevicePrimaryCtxRelease_v2)(self.device) };
    }
}

/// A GPU opened through cust.
#[cfg(feature = "cuda")]
pub(super) struct Linked {
    driver: Driver,
    device: i32,
    raw: Handle,
    stream: Handle,
    halves: [*mut u8; 2],
    /// The halves, until it is dropped.
    buffers: Option<[cust::memory::LockedBuffer<u8>; 2]>,
    // Last, so that it is dropped after what lives in it.
    _context: cust::context::Context,
}

// SAFETY: the driver's handles may be used from any thread; the pinned memory is only reached
// through the runtime, under its lock.
#[cfg(feature = "cuda")]
unsafe impl Send for Linked {}
// SAFETY: as above.
#[cfg(feature = "cuda")]
unsafe impl Sync for Linked {}

#[cfg(feature = "cuda")]
impl Linked {
    pub(super) fn new(number: usize) -> Result<Self> {
        use cust::memory::LockedBuffer;
        let driver = Driver::linked();
        let what = format!("opening device cuda:{number}");
        // What a driver newer than cust has against it has to be heard as a number: cust's list of
        // result codes is an enumeration of Rust, which must not be given others.
        let device = device(&driver, number).map_err(|error| error.in_context(&what))?;
        let raw = retain(&driver, device).map_err(|error| error.in_context(&what))?;
        let opened = (|| {
            let _entered = Entered::new(&driver, raw)?;
            let opening = |error| crate::Error::Device(format!("{what}: {error}"));
            cust::init(cust::CudaFlags::empty()).map_err(opening)?;
            let of_cust = cust::device::Device::get_device(number as u32).map_err(opening)?;
            let context = cust::context::Context::new(of_cust).map_err(opening)?;
            let mut halves = [
                LockedBuffer::new(&0, STAGING).map_err(opening)?,
                LockedBuffer::new(&0, STAGING).map_err(opening)?,
            ];
            // cust 0.3 drops the flag with which the default streams leave a stream alone.
            let stream = make_stream(&driver).map_err(|error| error.in_context(&what))?;
            Ok(Self {
                driver,
                device,
                raw,
                stream,
                halves: halves.each_mut().map(|half| half.as_mut_ptr()),
                buffers: Some(halves),
                _context: context,
            })
        })();
        // cust has retained it for itself.
        // SAFETY: retained once, above.
        let _ = unsafe { (driver.cuDevicePrimaryCtxRelease_v2)(device) };
        opened
    }
}

#[cfg(feature = "cuda")]
impl Opened for Linked {
    fn device(&self) -> i32 {
        self.device
    }
    fn context(&self) -> Handle {
        self.raw
    }
    fn stream(&self) -> Handle {
        self.stream
    }
    fn halves(&self) -> [*mut u8; 2] {
        self.halves
    }
}

#[cfg(feature = "cuda")]
impl Drop for Linked {
    fn drop(&mut self) {
        // What lives in the context is freed in it.
        if let Ok(_entered) = Entered::new(&self.driver, self.raw) {
            self.buffers = None;
            // SAFETY: the stream is this runtime's own; the driver ends it after its work.
            let _ = unsafe { (self.driver.cuStreamDestroy_v2)(self.stream) };
        }
    }
}

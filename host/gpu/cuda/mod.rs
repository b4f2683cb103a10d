//! The NVIDIA driver as a [`Runtime`].
//!
//! The driver ties a context to each thread; coders are called from any thread, so every call makes
//! the device's primary context current and then the caller's again. Host memory goes through two
//! pinned halves of a staging buffer, so that one is filled while the other is on its way.
#![allow(unsafe_code, reason = "the driver's calls take raw addresses")]

mod driver;
mod open;
mod staging;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use parans_kernels::abi::DeviceAddress;

use self::driver::{Code, Driver, Failure, Handle};
use self::open::{Entered, Opened};
use self::staging::Staging;
use super::{EventHandle, Launch, Runtime, StreamHandle, StreamKind};
use crate::error::{Error, Result};

/// `CU_STREAM_LEGACY`.
const LEGACY_DEFAULT: usize = 1;
/// `CU_STREAM_PER_THREAD`.
const PER_THREAD_DEFAULT: usize = 2;
/// `CU_EVENT_DISABLE_TIMING`: an event that only orders.
const WITHOUT_TIME: u32 = 2;
/// `CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT`.
const MULTIPROCESSORS: i32 = 16;
/// `CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN`.
const SHARED_MEMORY_OPTIN: i32 = 97;
/// `CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES`.
const MOST_DYNAMIC_SHARED: i32 = 8;
/// `CU_JIT_ERROR_LOG_BUFFER` and `CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES`.
const JIT_LOG: [i32; 2] = [5, 6];

/// One NVIDIA GPU.
pub struct CudaRuntime {
    name: String,
    multiprocessors: u32,
    shared_memory: u32,
    modules: Mutex<Modules>,
    staging: Mutex<Staging>,
    events: Mutex<Events>,
    driver: Driver,
    // Last, so that it is dropped after what lives in it.
    opened: Box<dyn Opened>,
}

/// The loaded modules, and the functions that were launched.
#[derive(Default)]
struct Modules {
    loaded: Vec<Handle>,
    of_kernel: HashMap<String, Handle>,
}

// SAFETY: the driver's handles may be used from any thread.
unsafe impl Send for Modules {}

/// The events that were recorded and not released yet, by number, and those to record again.
#[derive(Default)]
struct Events {
    recorded: HashMap<u64, Handle>,
    spare: Vec<Handle>,
    numbers: u64,
}

// SAFETY: as above.
unsafe impl Send for Events {}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panicking thread left is still whole: every guarded change is one assignment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The driver: that which cust links where there is one, else that which is loaded.
fn driver() -> Result<Driver> {
    #[cfg(feature = "cuda")]
    return Ok(Driver::linked());
    #[cfg(not(feature = "cuda"))]
    driver::load()
}

/// The names of all devices.
pub(super) fn devices() -> Result<Vec<String>> {
    let driver = driver()?;
    (0..open::count(&driver)?)
        .map(|number| {
            open::device(&driver, number)
                .and_then(|device| open::name(&driver, device))
                .map_err(|error| error.in_context("asking for the devices' names"))
        })
        .collect()
}

impl CudaRuntime {
    /// Opens the GPU of this number: through cust with the feature `cuda`, else through the driver
    /// that is found now.
    ///
    /// # Errors
    /// [`Error::Device`] without a driver or such a device.
    pub fn new(number: usize) -> Result<Self> {
        #[cfg(feature = "cuda")]
        return Self::linked(number);
        #[cfg(not(feature = "cuda"))]
        Self::loaded(number)
    }

    /// Opens the GPU of this number through cust and the driver that the program is linked to.
    ///
    /// # Errors
    /// [`Error::Device`] without such a device.
    #[cfg(feature = "cuda")]
    #[cfg_attr(docsrs, doc(cfg(feature = "cuda")))]
    pub fn linked(number: usize) -> Result<Self> {
        let driver = Driver::linked();
        Self::open(driver, number, || Ok(Box::new(open::Linked::new(number)?)))
    }

    /// Opens the GPU of this number through the driver that is found now.
    ///
    /// # Errors
    /// [`Error::Device`] without a driver or such a device.
    #[cfg(feature = "cuda-dynamic")]
    #[cfg_attr(docsrs, doc(cfg(feature = "cuda-dynamic")))]
    pub fn loaded(number: usize) -> Result<Self> {
        let driver = driver::load()?;
        Self::open(driver, number, || Ok(Box::new(open::Loaded::new(driver, number)?)))
    }

    fn open(
        driver: Driver,
        number: usize,
        open: impl FnOnce() -> Result<Box<dyn Opened>>,
    ) -> Result<Self> {
        let count = open::count(&driver)?;
        if number >= count {
            return Err(Error::Device(format!("device cuda:{number}: the driver has {count}")));
        }
        let opened = open()?;
        let opening = |error: Failure| error.in_context(&format!("opening device cuda:{number}"));
        let attribute = |attribute| {
            let mut value = 0;
            // SAFETY: the driver writes one integer; the device is one that it listed.
            let code = unsafe {
                (driver.cuDeviceGetAttribute)(&raw mut value, attribute, opened.device())
            };
            driver.check(code).map(|()| value.max(0) as u32)
        };
        let (name, multiprocessors) = open::name(&driver, opened.device())
            .and_then(|name| Ok((name, attribute(MULTIPROCESSORS)?)))
            .map_err(opening)?;
        let staging = {
            let _entered = Entered::new(&driver, opened.context())?;
            Staging::new(&driver, opened.halves()).map_err(opening)?
        };
        Ok(Self {
            name,
            multiprocessors,
            shared_memory: attribute(SHARED_MEMORY_OPTIN).unwrap_or(48 << 10),
            modules: Mutex::default(),
            staging: Mutex::new(staging),
            events: Mutex::default(),
            driver,
            opened,
        })
    }

    fn enter(&self) -> Result<Entered<'_>> {
        Entered::new(&self.driver, self.opened.context())
    }

    /// An error of this device unless the code is that of success.
    fn check(&self, code: Code, what: impl FnOnce() -> String) -> Result<()> {
        self.driver.check(code).map_err(|error| error.in_context(&what()))
    }

    fn raw(&self, stream: StreamHandle) -> Handle {
        match stream.kind() {
            StreamKind::Own => self.opened.stream(),
            StreamKind::LegacyDefault => LEGACY_DEFAULT as Handle,
            StreamKind::PerThreadDefault => PER_THREAD_DEFAULT as Handle,
            StreamKind::Raw(handle) => handle as usize as Handle,
        }
    }

    /// An event that was recorded and not released yet.
    fn event(&self, event: EventHandle) -> Result<Handle> {
        let found = lock(&self.events).recorded.get(&event.0).copied();
        found.ok_or_else(|| Error::InvalidArgument(format!("{event:?} is not recorded")))
    }

    /// The function of a kernel in the module loaded last that has it.
    fn function(&self, kernel: &str) -> Result<Handle> {
        let mut modules = lock(&self.modules);
        if let Some(&function) = modules.of_kernel.get(kernel) {
            return Ok(function);
        }
        let name = CString::new(kernel)
            .map_err(|_| Error::InvalidArgument("a kernel's name with a NUL byte in it".into()))?;
        let mut function = std::ptr::null_mut();
        let mut found = Err(Error::Device(format!("{kernel} is in no loaded module")));
        for &module in modules.loaded.iter().rev() {
            // SAFETY: the driver writes one handle; the module is loaded and the name ends in NUL.
            let code = unsafe {
                (self.driver.cuModuleGetFunction)(&raw mut function, module, name.as_ptr())
            };
            found = self.check(code, || format!("finding {kernel} in the PTX"));
            if found.is_ok() {
                break;
            }
        }
        found?;
        modules.of_kernel.insert(kernel.to_owned(), function);
        Ok(function)
    }
}

/// A new event in the current context.
fn event(driver: &Driver, flags: u32) -> Result<Handle, Failure> {
    let mut event = std::ptr::null_mut();
    // SAFETY: the driver writes one handle.
    driver.check(unsafe { (driver.cuEventCreate)(&raw mut event, flags) })?;
    Ok(event)
}

/// Destroys an event of the current context; the driver waits where it has to.
fn destroy(driver: &Driver, event: Handle) {
    // SAFETY: the caller made it and gives it up.
    let _ = unsafe { (driver.cuEventDestroy_v2)(event) };
}

impl Runtime for CudaRuntime {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn multiprocessors(&self) -> u32 {
        self.multiprocessors
    }

    fn shared_memory(&self) -> u32 {
        self.shared_memory
    }

    fn free_memory(&self) -> Result<u64> {
        let _entered = self.enter()?;
        let (mut free, mut total) = (0, 0);
        // SAFETY: the driver writes two numbers.
        let code = unsafe { (self.driver.cuMemGetInfo_v2)(&raw mut free, &raw mut total) };
        self.check(code, || "asking for free device memory".into())?;
        Ok(free as u64)
    }

    fn load(&self, ptx: &str) -> Result<()> {
        let _entered = self.enter()?;
        let image = CString::new(ptx)
            .map_err(|_| Error::InvalidArgument("PTX with a NUL byte in it".into()))?;
        let mut log = vec![0u8; 4096];
        let mut options = JIT_LOG;
        // The size is passed by value in the pointer's place.
        let mut values = [log.as_mut_ptr().cast::<c_void>(), log.len() as *mut c_void];
        let mut module = std::ptr::null_mut();
        // SAFETY: the image is NUL-terminated, the arrays have as many elements as said, and the
        // log outlives the call.
        let code = unsafe {
            (self.driver.cuModuleLoadDataEx)(
                &raw mut module,
                image.as_ptr().cast(),
                2,
                options.as_mut_ptr(),
                values.as_mut_ptr(),
            )
        };
        self.check(code, || {
            let end = log.iter().position(|&byte| byte == 0).unwrap_or(log.len());
            let log = String::from_utf8_lossy(&log[..end]);
            format!("loading the kernels into {}: {}", self.name, log.trim())
        })?;
        lock(&self.modules).loaded.push(module);
        Ok(())
    }

    fn alloc(&self, bytes: usize) -> Result<DeviceAddress> {
        let _entered = self.enter()?;
        let mut address = 0;
        // SAFETY: the driver writes one address.
        let code = unsafe { (self.driver.cuMemAlloc_v2)(&raw mut address, bytes) };
        self.check(code, || format!("allocating {bytes} bytes on {}", self.name))?;
        Ok(address)
    }

    fn free(&self, address: DeviceAddress) {
        if let Ok(_entered) = self.enter() {
            // SAFETY: the address came from `alloc`; the driver reports a wrong one.
            let _ = unsafe { (self.driver.cuMemFree_v2)(address) };
        }
    }

    fn upload(&self, to: DeviceAddress, bytes: &[u8], stream: StreamHandle) -> Result<()> {
        let _entered = self.enter()?;
        lock(&self.staging).upload(&self.driver, to, bytes, self.raw(stream)).map_err(|error| {
            error.in_context(&format!("copying {} bytes to the device", bytes.len()))
        })
    }

    fn fill(&self, to: DeviceAddress, value: u8, bytes: usize, stream: StreamHandle) -> Result<()> {
        let _entered = self.enter()?;
        // SAFETY: the driver reports a wrong range; the stream is the runtime's own, or one that
        // the caller vouches for.
        let code = unsafe { (self.driver.cuMemsetD8Async)(to, value, bytes, self.raw(stream)) };
        self.check(code, || format!("filling {bytes} bytes of the device"))
    }

    fn copy(
        &self,
        to: DeviceAddress,
        from: DeviceAddress,
        bytes: usize,
        stream: StreamHandle,
    ) -> Result<()> {
        let _entered = self.enter()?;
        // SAFETY: the driver reports wrong ranges; the stream is the runtime's own, or one that the
        // caller vouches for.
        let code = unsafe { (self.driver.cuMemcpyDtoDAsync_v2)(to, from, bytes, self.raw(stream)) };
        self.check(code, || format!("copying {bytes} bytes within the device"))
    }

    fn download(&self, from: DeviceAddress, bytes: &mut [u8], stream: StreamHandle) -> Result<()> {
        let _entered = self.enter()?;
        let (staging, len) = (lock(&self.staging), bytes.len());
        staging
            .download(&self.driver, from, bytes, self.raw(stream))
            .map_err(|error| error.in_context(&format!("copying {len} bytes from the device")))
    }

    fn launch(&self, launch: &Launch<'_>, stream: StreamHandle) -> Result<()> {
        let _entered = self.enter()?;
        let launching = || format!("launching {}", launch.kernel);
        let function = self.function(launch.kernel)?;
        // Eight-byte storage aligns every parameter as the kernel wants it.
        let mut params = vec![0u64; launch.params.len().div_ceil(8)];
        bytemuck::cast_slice_mut(&mut params)[..launch.params.len()].copy_from_slice(launch.params);
        let base = params.as_mut_ptr().cast::<u8>();
        let mut pointers: Vec<*mut c_void> = launch
            .fields
            .iter()
            .map(|&(offset, _)| base.wrapping_add(offset).cast::<c_void>())
            .collect();
        let geometry = launch.geometry;
        if launch.shared > 48 << 10 {
            // SAFETY: the function is that of a loaded module. More than 48 KiB have to be asked
            // for; asking again costs nothing.
            let code = unsafe {
                let bytes = launch.shared as i32;
                (self.driver.cuFuncSetAttribute)(function, MOST_DYNAMIC_SHARED, bytes)
            };
            self.check(code, launching)?;
        }
        // SAFETY: one pointer a parameter, each into the buffer at the offset that `abi` gives it;
        // the driver copies them before it returns.
        let code = unsafe {
            (self.driver.cuLaunchKernel)(
                function,
                geometry.grid,
                1,
                1,
                geometry.block,
                1,
                1,
                launch.shared,
                self.raw(stream),
                pointers.as_mut_ptr(),
                std::ptr::null_mut(),
            )
        };
        self.check(code, launching)
    }

    fn synchronise(&self, stream: StreamHandle) -> Result<()> {
        let _entered = self.enter()?;
        // SAFETY: the runtime's own stream, or one that the caller vouches for.
        let code = unsafe { (self.driver.cuStreamSynchronize)(self.raw(stream)) };
        self.check(code, || "waiting for the device".into())
    }

    fn record(&self, stream: StreamHandle) -> Result<EventHandle> {
        let _entered = self.enter()?;
        let mut events = lock(&self.events);
        let new = events.spare.pop().map_or_else(|| event(&self.driver, WITHOUT_TIME), Ok);
        let recorded = new.and_then(|event| {
            events.numbers += 1;
            let number = events.numbers;
            events.recorded.insert(number, event);
            // SAFETY: the event is alive; the stream is the runtime's own, or one that the caller
            // vouches for.
            let code = unsafe { (self.driver.cuEventRecord)(event, self.raw(stream)) };
            self.driver.check(code).map(|()| EventHandle(number))
        });
        recorded.map_err(|error| error.in_context("marking the work of a stream"))
    }

    fn wait(&self, stream: StreamHandle, event: EventHandle) -> Result<()> {
        let _entered = self.enter()?;
        let event = self.event(event)?;
        // SAFETY: the event is alive; the stream is the runtime's own, or one that the caller
        // vouches for.
        let code = unsafe { (self.driver.cuStreamWaitEvent)(self.raw(stream), event, 0) };
        self.check(code, || "letting a stream wait for another".into())
    }

    fn finish(&self, event: EventHandle) -> Result<()> {
        let _entered = self.enter()?;
        let event = self.event(event)?;
        // SAFETY: the event is alive: the caller releases it later.
        let code = unsafe { (self.driver.cuEventSynchronize)(event) };
        self.check(code, || "waiting for the device".into())
    }

    fn release(&self, event: EventHandle) {
        let mut events = lock(&self.events);
        if let Some(event) = events.recorded.remove(&event.0) {
            // What waits for it took note of it as it was then.
            events.spare.push(event);
        }
    }

    fn time(&self, stream: StreamHandle, work: &mut dyn FnMut() -> Result<()>) -> Result<Duration> {
        let _entered = self.enter()?;
        let (driver, raw) = (&self.driver, self.raw(stream));
        let timing = |error: Failure| error.in_context("timing the device");
        let (start, end) =
            (Timer::new(driver).map_err(timing)?, Timer::new(driver).map_err(timing)?);
        start.record(raw).map_err(timing)?;
        work()?;
        end.record(raw).map_err(timing)?;
        let milliseconds = end.since(&start).map_err(timing)?;
        Ok(Duration::from_secs_f64(f64::from(milliseconds) / 1e3))
    }
}

/// An event that measures time, in a context that stays current.
struct Timer<'d> {
    driver: &'d Driver,
    event: Handle,
}

impl<'d> Timer<'d> {
    fn new(driver: &'d Driver) -> Result<Self, Failure> {
        Ok(Self { driver, event: event(driver, 0)? })
    }

    fn record(&self, stream: Handle) -> Result<(), Failure> {
        // SAFETY: the event is alive; the stream is the runtime's own, or one that the caller
        // vouches for.
        self.driver.check(unsafe { (self.driver.cuEventRecord)(self.event, stream) })
    }

    /// Milliseconds since an earlier one, once this is reached.
    fn since(&self, start: &Self) -> Result<f32, Failure> {
        let driver = self.driver;
        let mut milliseconds = 0.0;
        // SAFETY: both events are alive; the driver writes one float.
        unsafe {
            driver.check((driver.cuEventSynchronize)(self.event))?;
            let to = &raw mut milliseconds;
            driver.check((driver.cuEventElapsedTime)(to, start.event, self.event))?;
        }
        Ok(milliseconds)
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        destroy(self.driver, self.event);
    }
}

impl Drop for CudaRuntime {
    fn drop(&mut self) {
        let Ok(_entered) = Entered::new(&self.driver, self.opened.context()) else { return };
        let events = lock(&self.events);
        lock(&self.staging).destroy(&self.driver);
        for &event in events.spare.iter().chain(events.recorded.values()) {
            destroy(&self.driver, event);
        }
        drop(events);
        for &module in &lock(&self.modules).loaded {
            // SAFETY: loaded here, and no kernel of it runs any more: memory has waited for them.
            let _ = unsafe { (self.driver.cuModuleUnload)(module) };
        }
    }
}

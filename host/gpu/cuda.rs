//! The NVIDIA driver as a [`Runtime`], through cust.
//!
//! The driver ties a context to each thread; coders are called from any thread, so every call makes
//! the device's primary context current first (the driver notices that it already is). Host memory
//! goes through two pinned halves of a staging buffer, so that one is filled while the other is on
//! its way.
#![allow(unsafe_code, reason = "the driver's calls take raw addresses")]

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cust::context::{Context, CurrentContext};
use cust::device::{Device, DeviceAttribute};
use cust::error::CudaError;
use cust::memory::LockedBuffer;
use cust::module::Module;
use cust::stream::{Stream, StreamFlags};
use cust::sys;
use parans_kernels::abi::DeviceAddress;

use super::{Launch, Runtime, StreamHandle};
use crate::error::{Error, Result};

/// Bytes of one pinned half. Two of them hide the copy into pinned memory behind the transfer;
/// larger ones gain nothing.
const STAGING: usize = 4 << 20;

/// One NVIDIA GPU.
pub struct CudaRuntime {
    name: String,
    multiprocessors: u32,
    shared_memory: u32,
    modules: Mutex<Modules>,
    staging: Mutex<Staging>,
    stream: Stream,
    // Last, so that it is dropped after what lives in it.
    context: Context,
}

/// The loaded modules, and which of them has a kernel that was launched.
#[derive(Default)]
struct Modules {
    loaded: Vec<Module>,
    of_kernel: HashMap<String, usize>,
}

impl Modules {
    /// The module that has this kernel.
    fn find(&mut self, kernel: &str) -> Result<&Module> {
        let number = match self.of_kernel.get(kernel) {
            Some(&number) => number,
            None => {
                let mut modules = self.loaded.iter();
                let number = modules
                    .rposition(|module| module.get_function(kernel).is_ok())
                    .ok_or_else(|| Error::Device(format!("{kernel} is in no loaded module")))?;
                self.of_kernel.insert(kernel.to_owned(), number);
                number
            }
        };
        Ok(&self.loaded[number])
    }
}

struct Staging {
    halves: [LockedBuffer<u8>; 2],
    sent: [Event; 2],
}

/// Why a driver call failed, in the driver's words. cust keeps its own conversion of result codes
/// to itself.
struct Failure(String);

impl From<CudaError> for Failure {
    fn from(error: CudaError) -> Self {
        Self(format!("{error} ({error:?})"))
    }
}

fn failed(what: &str, error: impl Into<Failure>) -> Error {
    Error::Device(format!("{what}: {}", error.into().0))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panicking thread left is still whole: every guarded change is one assignment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn result(code: sys::CUresult) -> Result<(), Failure> {
    if code == sys::CUresult::CUDA_SUCCESS {
        return Ok(());
    }
    let mut text = std::ptr::null();
    // SAFETY: the driver points `text` at a static string, or leaves it null for a code that it
    // does not know.
    let words = unsafe {
        let known = sys::cuGetErrorString(code, &raw mut text) == sys::CUresult::CUDA_SUCCESS;
        if known && !text.is_null() {
            CStr::from_ptr(text).to_string_lossy()
        } else {
            "unknown error".into()
        }
    };
    Err(Failure(format!("{words} ({code:?})")))
}

/// An event. cust's own can only be recorded on cust's streams, and callers bring theirs.
struct Event(sys::CUevent);

// SAFETY: the driver's events may be used from any thread.
unsafe impl Send for Event {}

impl Event {
    fn new() -> Result<Self, Failure> {
        let mut event = std::ptr::null_mut();
        // SAFETY: the driver writes one handle. Flags 0: the default event, which measures time.
        result(unsafe { sys::cuEventCreate(&raw mut event, 0) })?;
        Ok(Self(event))
    }

    fn record(&self, stream: sys::CUstream) -> Result<(), Failure> {
        // SAFETY: the event is alive; the stream is the runtime's own, or one that the caller
        // vouches for.
        result(unsafe { sys::cuEventRecord(self.0, stream) })
    }

    fn synchronise(&self) -> Result<(), Failure> {
        // SAFETY: the event is alive. One that was never recorded counts as done.
        result(unsafe { sys::cuEventSynchronize(self.0) })
    }

    /// Milliseconds since an earlier event, both done.
    fn since(&self, start: &Self) -> Result<f32, Failure> {
        let mut milliseconds = 0.0;
        // SAFETY: both events are alive; the driver writes one float.
        result(unsafe { sys::cuEventElapsedTime(&raw mut milliseconds, start.0, self.0) })?;
        Ok(milliseconds)
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: the handle is this event's own.
        let _ = unsafe { sys::cuEventDestroy_v2(self.0) };
    }
}

impl CudaRuntime {
    /// Opens the GPU of this number.
    ///
    /// # Errors
    /// [`Error::Device`] without a driver or such a device.
    pub fn new(number: usize) -> Result<Self> {
        let count = count()?;
        if number >= count {
            return Err(Error::Device(format!("device cuda:{number}: the driver has {count}")));
        }
        let opening = |error| failed(&format!("opening device cuda:{number}"), error);
        let device = Device::get_device(number as u32).map_err(opening)?;
        let context = Context::new(device).map_err(opening)?;
        CurrentContext::set_current(&context).map_err(opening)?;
        let event = || {
            Event::new().map_err(|error| failed(&format!("opening device cuda:{number}"), error))
        };
        let staging = Staging {
            halves: [
                LockedBuffer::new(&0, STAGING).map_err(opening)?,
                LockedBuffer::new(&0, STAGING).map_err(opening)?,
            ],
            sent: [event()?, event()?],
        };
        Ok(Self {
            name: device.name().map_err(opening)?,
            multiprocessors: device
                .get_attribute(DeviceAttribute::MultiprocessorCount)
                .map_err(opening)? as u32,
            shared_memory: opt_in_shared_memory(device).unwrap_or(48 << 10),
            modules: Mutex::default(),
            staging: Mutex::new(staging),
            stream: Stream::new(StreamFlags::NON_BLOCKING, None).map_err(opening)?,
            context,
        })
    }

    fn enter(&self) -> Result<()> {
        CurrentContext::set_current(&self.context)
            .map_err(|error| failed("making the context current", error))
    }

    fn raw(&self, stream: StreamHandle) -> sys::CUstream {
        match stream.0 {
            0 => self.stream.as_inner(),
            handle => handle as usize as sys::CUstream,
        }
    }

    /// What the driver's compiler has to say of PTX that it refused.
    fn compiler_log(ptx: &CString) -> String {
        use sys::CUjit_option as Jit;
        let mut log = vec![0u8; 4096];
        let mut options = [Jit::CU_JIT_ERROR_LOG_BUFFER, Jit::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES];
        // The size is passed by value in the pointer's place.
        let mut values = [log.as_mut_ptr().cast::<c_void>(), log.len() as *mut c_void];
        let mut module = std::ptr::null_mut();
        // SAFETY: the image is NUL-terminated, the arrays have as many elements as said, and the
        // log outlives the call.
        unsafe {
            let code = sys::cuModuleLoadDataEx(
                &raw mut module,
                ptx.as_ptr().cast(),
                2,
                options.as_mut_ptr(),
                values.as_mut_ptr(),
            );
            if result(code).is_ok() {
                sys::cuModuleUnload(module);
            }
        }
        let end = log.iter().position(|&byte| byte == 0).unwrap_or(log.len());
        String::from_utf8_lossy(&log[..end]).trim().to_owned()
    }
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
        self.enter()?;
        let (free, _) = cust::memory::mem_get_info()
            .map_err(|error| failed("asking for free device memory", error))?;
        Ok(free as u64)
    }

    fn load(&self, ptx: &str) -> Result<()> {
        self.enter()?;
        let image = CString::new(ptx)
            .map_err(|_| Error::InvalidArgument("PTX with a NUL byte in it".into()))?;
        let module = Module::from_ptx_cstr(&image, &[]).map_err(|error| {
            let log = Self::compiler_log(&image);
            failed(&format!("loading the kernels into {}: {log}", self.name), error)
        })?;
        lock(&self.modules).loaded.push(module);
        Ok(())
    }

    fn alloc(&self, bytes: usize) -> Result<DeviceAddress> {
        self.enter()?;
        let mut address = 0;
        // SAFETY: the driver writes one address.
        result(unsafe { sys::cuMemAlloc_v2(&raw mut address, bytes) }).map_err(|error| {
            failed(&format!("allocating {bytes} bytes on {}", self.name), error)
        })?;
        Ok(address)
    }

    fn free(&self, address: DeviceAddress) {
        if self.enter().is_ok() {
            // SAFETY: the address came from `alloc`; the driver waits for work that uses it and
            // reports a wrong one.
            let _ = unsafe { sys::cuMemFree_v2(address) };
        }
    }

    fn upload(&self, to: DeviceAddress, bytes: &[u8], stream: StreamHandle) -> Result<()> {
        self.enter()?;
        let copying =
            |error| failed(&format!("copying {} bytes to the device", bytes.len()), error);
        let raw = self.raw(stream);
        let mut staging = lock(&self.staging);
        let Staging { halves, sent } = &mut *staging;
        for (turn, chunk) in bytes.chunks(STAGING).enumerate() {
            let (half, sent) = (&mut halves[turn % 2], &sent[turn % 2]);
            // What this half carried two turns ago, or in an earlier call.
            sent.synchronise().map_err(copying)?;
            half[..chunk.len()].copy_from_slice(chunk);
            let offset = (turn * STAGING) as u64;
            // SAFETY: the half is pinned, stays allocated with the runtime, and is not written
            // again before its event.
            unsafe {
                let from = half.as_ptr().cast::<c_void>();
                result(sys::cuMemcpyHtoDAsync_v2(to + offset, from, chunk.len(), raw))
                    .and_then(|()| sent.record(raw))
                    .map_err(copying)?;
            }
        }
        Ok(())
    }

    fn download(&self, from: DeviceAddress, bytes: &mut [u8], stream: StreamHandle) -> Result<()> {
        self.enter()?;
        let len = bytes.len();
        let copying = |error| failed(&format!("copying {len} bytes from the device"), error);
        let raw = self.raw(stream);
        let mut staging = lock(&self.staging);
        let Staging { halves, sent } = &mut *staging;
        // Uploads that still read a half come first.
        sent[0].synchronise().and_then(|()| sent[1].synchronise()).map_err(copying)?;
        let chunks = len.div_ceil(STAGING);
        let part = |turn: usize| turn * STAGING..((turn + 1) * STAGING).min(len);
        // One turn more than chunks: each turn starts a transfer and empties the half of the turn
        // before.
        for turn in 0..=chunks {
            if turn < chunks {
                let half = &mut halves[turn % 2];
                let part = part(turn);
                // SAFETY: the half is pinned, stays allocated with the runtime, and was emptied a
                // turn ago.
                unsafe {
                    let to = half.as_mut_ptr().cast::<c_void>();
                    let from = from + part.start as u64;
                    result(sys::cuMemcpyDtoHAsync_v2(to, from, part.len(), raw))
                        .and_then(|()| sent[turn % 2].record(raw))
                        .map_err(copying)?;
                }
            }
            if let Some(earlier) = turn.checked_sub(1) {
                sent[earlier % 2].synchronise().map_err(copying)?;
                let part = part(earlier);
                let size = part.len();
                bytes[part].copy_from_slice(&halves[earlier % 2][..size]);
            }
        }
        Ok(())
    }

    fn launch(&self, launch: &Launch<'_>, stream: StreamHandle) -> Result<()> {
        self.enter()?;
        let launching = |error| failed(&format!("launching {}", launch.kernel), error);
        let mut modules = lock(&self.modules);
        let function = modules
            .find(launch.kernel)?
            .get_function(launch.kernel)
            .map_err(|error| failed(&format!("finding {} in the PTX", launch.kernel), error))?;
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
            use sys::CUfunction_attribute as Attribute;
            let most = Attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            // SAFETY: the function is the module's. More than 48 KiB have to be asked for; asking
            // again costs nothing.
            result(unsafe {
                sys::cuFuncSetAttribute(function.to_raw(), most, launch.shared as i32)
            })
            .map_err(launching)?;
        }
        // SAFETY: one pointer a parameter, each into the buffer at the offset that `abi` gives it;
        // the driver copies them before it returns.
        result(unsafe {
            sys::cuLaunchKernel(
                function.to_raw(),
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
        })
        .map_err(launching)
    }

    fn synchronise(&self, stream: StreamHandle) -> Result<()> {
        self.enter()?;
        // SAFETY: the runtime's own stream, or one that the caller vouches for.
        result(unsafe { sys::cuStreamSynchronize(self.raw(stream)) })
            .map_err(|error| failed("waiting for the device", error))
    }

    fn time(&self, stream: StreamHandle, work: &mut dyn FnMut() -> Result<()>) -> Result<Duration> {
        self.enter()?;
        let timing = |error| failed("timing the device", error);
        let raw = self.raw(stream);
        let (start, end) = (Event::new().map_err(timing)?, Event::new().map_err(timing)?);
        start.record(raw).map_err(timing)?;
        work()?;
        self.enter()?;
        end.record(raw).and_then(|()| end.synchronise()).map_err(timing)?;
        let milliseconds = end.since(&start).map_err(timing)?;
        Ok(Duration::from_secs_f64(f64::from(milliseconds) / 1e3))
    }
}

impl Drop for CudaRuntime {
    fn drop(&mut self) {
        // The modules and the staging buffer are freed in this context.
        let _ = self.enter();
    }
}

/// The shared memory of a block with opt-in, in bytes; cust does not name the attribute.
fn opt_in_shared_memory(device: Device) -> Option<u32> {
    let opt_in = sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN;
    let mut bytes = 0;
    // SAFETY: the driver writes one integer; the device is one that it listed.
    result(unsafe { sys::cuDeviceGetAttribute(&raw mut bytes, opt_in, device.as_raw()) }).ok()?;
    u32::try_from(bytes).ok()
}

fn count() -> Result<usize> {
    let asking = |error| failed("asking the NVIDIA driver for devices", error);
    cust::init(cust::CudaFlags::empty()).map_err(asking)?;
    Ok(Device::num_devices().map_err(asking)? as usize)
}

/// The names of all devices.
pub(super) fn devices() -> Result<Vec<String>> {
    let asking = |error| failed("asking for the devices' names", error);
    (0..count()?)
        .map(|number| Device::get_device(number as u32).and_then(Device::name).map_err(asking))
        .collect()
}

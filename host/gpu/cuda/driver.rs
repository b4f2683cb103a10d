//! The functions of the NVIDIA driver that the back end calls, and what its result codes mean.
//!
//! Result codes are numbers here: a driver newer than any list of them has codes of its own.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fmt;

use crate::error::Error;

/// `CUresult`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct Code(pub(super) c_uint);

/// `CUcontext`, `CUstream`, `CUevent`, `CUmodule`, `CUfunction`: pointers that only the driver
/// follows.
pub(super) type Handle = *mut c_void;

macro_rules! functions {
    ($(fn $name:ident($($argument:ident: $type:ty),*);)*) => {
        /// The driver's functions, found by the linker or when the program runs.
        #[allow(non_snake_case, reason = "the driver's names")]
        #[derive(Clone, Copy)]
        pub(super) struct Driver {
            $(pub(super) $name: unsafe extern "system" fn($($type),*) -> Code,)*
        }

        impl Driver {
            /// The functions of the driver that cust links.
            #[cfg(feature = "cuda")]
            pub(super) fn linked() -> Self {
                unsafe extern "system" {
                    $(fn $name($($argument: $type),*) -> Code;)*
                }
                Self { $($name,)* }
            }

            /// The functions of a library that was opened.
            #[cfg(feature = "cuda-dynamic")]
            pub(super) fn of(library: &'static libloading::Library) -> Result<Self, libloading::Error> {
                // SAFETY: cuda.h declares the function of this name so. The library is never
                // closed.
                Ok(unsafe {
                    Self { $($name: *library.get(concat!(stringify!($name), "\0").as_bytes())?,)* }
                })
            }
        }
    };
}

functions! {
    fn cuInit(flags: c_uint);
    fn cuDeviceGetCount(count: *mut c_int);
    fn cuDeviceGet(device: *mut c_int, number: c_int);
    fn cuDeviceGetName(name: *mut c_char, bytes: c_int, device: c_int);
    fn cuDeviceGetAttribute(value: *mut c_int, attribute: c_int, device: c_int);
    fn cuDevicePrimaryCtxRetain(context: *mut Handle, device: c_int);
    fn cuDevicePrimaryCtxRelease_v2(device: c_int);
    fn cuCtxPushCurrent_v2(context: Handle);
    fn cuCtxPopCurrent_v2(context: *mut Handle);
    fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize);
    fn cuMemAlloc_v2(address: *mut u64, bytes: usize);
    fn cuMemFree_v2(address: u64);
    fn cuMemAllocHost_v2(address: *mut *mut c_void, bytes: usize);
    fn cuMemFreeHost(address: *mut c_void);
    fn cuMemcpyHtoDAsync_v2(to: u64, from: *const c_void, bytes: usize, stream: Handle);
    fn cuMemcpyDtoHAsync_v2(to: *mut c_void, from: u64, bytes: usize, stream: Handle);
    fn cuMemcpyDtoDAsync_v2(to: u64, from: u64, bytes: usize, stream: Handle);
    fn cuMemsetD8Async(to: u64, value: u8, bytes: usize, stream: Handle);
    fn cuStreamCreate(stream: *mut Handle, flags: c_uint);
    fn cuStreamDestroy_v2(stream: Handle);
    fn cuStreamSynchronize(stream: Handle);
    fn cuStreamWaitEvent(stream: Handle, event: Handle, flags: c_uint);
    fn cuEventCreate(event: *mut Handle, flags: c_uint);
    fn cuEventRecord(event: Handle, stream: Handle);
    fn cuEventSynchronize(event: Handle);
    fn cuEventElapsedTime(milliseconds: *mut f32, start: Handle, end: Handle);
    fn cuEventDestroy_v2(event: Handle);
    fn cuModuleLoadDataEx(
        module: *mut Handle,
        image: *const c_void,
        count: c_uint,
        options: *mut c_int,
        values: *mut *mut c_void
    );
    fn cuModuleUnload(module: Handle);
    fn cuModuleGetFunction(function: *mut Handle, module: Handle, name: *const c_char);
    fn cuFuncSetAttribute(function: Handle, attribute: c_int, value: c_int);
    fn cuLaunchKernel(
        function: Handle,
        grid_x: c_uint,
        grid_y: c_uint,
        grid_z: c_uint,
        block_x: c_uint,
        block_y: c_uint,
        block_z: c_uint,
        shared: c_uint,
        stream: Handle,
        params: *mut *mut c_void,
        extra: *mut *mut c_void
    );
    fn cuGetErrorString(code: Code, text: *mut *const c_char);
    fn cuGetErrorName(code: Code, text: *mut *const c_char);
}

impl Driver {
    /// An error unless the code is that of success.
    pub(super) fn check(&self, code: Code) -> Result<(), Failure> {
        if code == Code(0) {
            return Ok(());
        }
        Err(Failure {
            code,
            name: self.text_of(self.cuGetErrorName, code),
            text: self.text_of(self.cuGetErrorString, code),
        })
    }

    fn text_of(
        &self,
        of_code: unsafe extern "system" fn(Code, *mut *const c_char) -> Code,
        code: Code,
    ) -> Option<String> {
        let mut text = std::ptr::null();
        // SAFETY: the driver points `text` at a static string, or leaves it null for a code that
        // it does not know.
        unsafe {
            let known = of_code(code, &raw mut text) == Code(0) && !text.is_null();
            known.then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
        }
    }
}

/// Why a driver call failed, in the driver's words.
#[derive(Debug)]
pub(super) struct Failure {
    code: Code,
    name: Option<String>,
    text: Option<String>,
}

impl Failure {
    /// The library's error, which says what was being done.
    pub(super) fn in_context(self, what: &str) -> Error {
        Error::Device(format!("{what}: {self}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Code(number) = self.code;
        match (&self.text, &self.name) {
            (Some(text), Some(name)) => write!(f, "{text} ({name}, {number})"),
            (Some(one), None) | (None, Some(one)) => write!(f, "{one} ({number})"),
            (None, None) => write!(f, "error {number}, which the driver does not name"),
        }
    }
}

/// The driver's library, looked for once per process.
#[cfg(feature = "cuda-dynamic")]
pub(super) fn load() -> crate::error::Result<Driver> {
    use std::sync::OnceLock;
    const NAMES: &[&str] =
        if cfg!(windows) { &["nvcuda.dll"] } else { &["libcuda.so.1", "libcuda.so"] };
    static LOADED: OnceLock<Result<Driver, String>> = OnceLock::new();
    let load = || {
        let mut failed = None;
        for name in NAMES {
            // SAFETY: loading NVIDIA's driver runs its constructors, which a program that links it
            // runs too.
            match unsafe { libloading::Library::new(name) } {
                Ok(library) => {
                    let library = Box::leak(Box::new(library));
                    return Driver::of(library).map_err(|error| format!("an old driver? {error}"));
                }
                // The first name is the one that a driver package always has.
                Err(error) => failed = failed.or(Some(error.to_string())),
            }
        }
        Err(failed.unwrap_or_default())
    };
    LOADED
        .get_or_init(load)
        .clone()
        .map_err(|error| Error::Device(format!("no NVIDIA driver could be loaded: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_nobody_names_are_errors_with_their_number() {
        let unknown = Failure { code: Code(4242), name: None, text: None };
        let error = unknown.in_context("opening device cuda:0").to_string();
        assert!(
            error.contains("opening device cuda:0: error 4242, which the driver does not name")
        );
        let named = Failure {
            code: Code(2),
            name: Some("CUDA_ERROR_OUT_OF_MEMORY".into()),
            text: Some("out of memory".into()),
        };
        assert_eq!(named.to_string(), "out of memory (CUDA_ERROR_OUT_OF_MEMORY, 2)");
    }
}

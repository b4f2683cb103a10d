//! Every other function of the driver API: it answers `CUDA_ERROR_NOT_SUPPORTED`.
//!
//! `unsupported.txt` lists the names: those that `cuda.h` of CUDA 13 and the bindings `cust_raw`
//! 0.11.3 declare and no other file defines. A program that only probes for a feature gets the
//! answer of a driver without it, and one that needs it fails with a clear error instead of at load
//! time.

use crate::abi::Export;
use crate::errors::{CUresult, CudaError};
use std::ffi::c_void;

/// Defines functions that take any arguments, which the C calling convention lets them ignore.
macro_rules! unsupported {
    ($($name:ident)*) => {
        $(
            #[unsafe(no_mangle)]
            pub(crate) extern "C" fn $name() -> CUresult {
                crate::abi::guard(stringify!($name), || Err(CudaError::NotSupported))
            }
        )*

        /// The functions of this file.
        pub(crate) static EXPORTS: &[Export] =
            &[$(Export { name: stringify!($name), address: $name as *const c_void }),*];
    };
}

// The call of the macro with the names of the list, written by the build script.
include!(concat!(env!("OUT_DIR"), "/unsupported.rs"));

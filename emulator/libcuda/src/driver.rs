//! The process-wide state: `cuInit` and the devices it finds.

use crate::abi::{Out, Status, exports};
use crate::config;
use crate::device::Device;
use crate::errors::{CudaError, diagnose};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The CUDA version this library speaks: 13.0. nvcc 13 and its PTX 9 are accepted; programs made
/// for 11 and 12 too.
pub(crate) const DRIVER_VERSION: i32 = 13_000;

/// The newest PTX ISA this library lets through, major and minor. The software device is what has
/// or lacks an instruction; this only keeps the error a real driver gives for PTX from the
/// future.
pub(crate) const PTX_VERSION: (u32, u32) = (9, 9);

static DEVICES: OnceLock<Result<Vec<Device>, CudaError>> = OnceLock::new();
static INITIALISED: AtomicBool = AtomicBool::new(false);

/// The devices, once `cuInit` has succeeded.
pub(crate) fn devices() -> Status<&'static [Device]> {
    if !INITIALISED.load(Ordering::Acquire) {
        return Err(CudaError::NotInitialized);
    }
    found()
}

/// The devices that the environment describes.
fn found() -> Status<&'static [Device]> {
    let found = DEVICES.get_or_init(|| match config::from_environment() {
        Ok(config) if config.count == 0 => Err(CudaError::NoDevice),
        Ok(config) => Ok((0..config.count)
            .map(|ordinal| Device::new(ordinal, config.model.clone(), config.lazy))
            .collect()),
        Err(problem) => {
            diagnose(&problem);
            Err(CudaError::InvalidValue)
        }
    });
    found.as_deref().map_err(|&error| error)
}

/// The device of a `CUdevice`.
pub(crate) fn device(ordinal: i32) -> Status<&'static Device> {
    usize::try_from(ordinal)
        .ok()
        .and_then(|ordinal| devices().map(|all| all.get(ordinal)).transpose())
        .unwrap_or(Err(CudaError::InvalidDevice))
}

exports! {
    fn cuInit(flags: u32) {
        if flags != 0 {
            return Err(CudaError::InvalidValue);
        }
        found()?;
        INITIALISED.store(true, Ordering::Release);
        Ok(())
    }

    fn cuDriverGetVersion(version: Out<i32>) {
        version.set(DRIVER_VERSION)
    }
}

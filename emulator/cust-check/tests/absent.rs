//! No device, little memory, an old device: the paths a host library needs errors for. Each is a
//! process of its own with the environment of the software device set; with a real driver they are
//! not run.

use cust::error::CudaError;
use cust::prelude::*;
use parans_cust_check::{Outcome, ptx};
use std::process::Command;

/// Runs one of the checks below in a process with a variable set.
fn with(variable: &str, value: &str, check: &str) -> Outcome {
    let status = Command::new(std::env::current_exe()?)
        .args(["--exact", check, "--ignored", "--nocapture"])
        .env(variable, value)
        .status()?;
    assert!(status.success(), "{variable}={value}: {check}");
    Ok(())
}

#[test]
fn absences() -> Outcome {
    if std::env::var_os("PARANS_SOFTWARE_CUDA").is_none() {
        println!("not run: a real driver cannot be told to have no device");
        return Ok(());
    }
    with("PARANS_DEVICE_COUNT", "0", "no_device")?;
    with("PARANS_DEVICE_MEMORY", "1M", "little_memory")?;
    with("PARANS_DEVICE_MODEL", "sm_52", "old_device")?;
    with("PARANS_DEVICE_COUNT", "3", "three_devices")?;
    with("PARANS_DEVICE_COUNT", "many", "unusable")
}

#[test]
#[ignore = "run by `absences`"]
fn no_device() {
    assert_eq!(cust::quick_init().err(), Some(CudaError::NoDevice));
}

#[test]
#[ignore = "run by `absences`"]
fn little_memory() -> Outcome {
    let _context = cust::quick_init()?;
    let kept = DeviceBuffer::<u8>::zeroed(900 << 10)?;
    assert_eq!(DeviceBuffer::<u8>::zeroed(200 << 10).err(), Some(CudaError::OutOfMemory));
    // Pinned memory is the host's: it takes nothing of the device's.
    let pinned = cust::memory::LockedBuffer::new(&7u8, 4 << 20)?;
    assert_eq!(pinned.as_slice()[(4 << 20) - 1], 7);
    drop(kept);
    DeviceBuffer::<u8>::zeroed(200 << 10)?;
    Ok(())
}

#[test]
#[ignore = "run by `absences`"]
fn old_device() -> Outcome {
    let _context = cust::quick_init()?;
    assert_eq!(Module::from_ptx(ptx("saxpy"), &[]).err(), Some(CudaError::InvalidPtx));
    Ok(())
}

#[test]
#[ignore = "run by `absences`"]
fn three_devices() -> Outcome {
    cust::init(CudaFlags::empty())?;
    assert_eq!(Device::num_devices()?, 3);
    let contexts: Vec<_> =
        Device::devices()?.map(|device| device.and_then(Context::new)).collect::<Result<_, _>>()?;
    assert_eq!(contexts.len(), 3);
    Ok(())
}

#[test]
#[ignore = "run by `absences`"]
fn unusable() {
    assert_eq!(cust::quick_init().err(), Some(CudaError::InvalidValue));
}

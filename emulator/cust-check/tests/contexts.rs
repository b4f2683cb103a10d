//! Contexts and devices: the library's first calls in every program.

use cust::context::legacy::{Context as LegacyContext, ContextStack};
use cust::context::{CacheConfig, CurrentContext, ResourceLimit, SharedMemoryConfig};
use cust::device::DeviceAttribute;
use cust::error::CudaError;
use cust::prelude::*;
use parans_cust_check::Outcome;

#[test]
fn devices_describe_themselves() -> Outcome {
    cust::init(CudaFlags::empty())?;
    assert!(Device::num_devices()? > 0);
    for device in Device::devices()? {
        let device = device?;
        assert!(!device.name()?.is_empty());
        assert!(device.total_memory()? > 0);
        assert_eq!(device.get_attribute(DeviceAttribute::WarpSize)?, 32);
        assert_eq!(device.get_attribute(DeviceAttribute::MaxThreadsPerBlock)?, 1024);
        assert!(device.get_attribute(DeviceAttribute::MultiprocessorCount)? > 0);
        assert!(device.get_attribute(DeviceAttribute::MaxSharedMemoryPerBlock)? >= 48 << 10);
        assert_eq!(device.get_attribute(DeviceAttribute::ManagedMemory)?, 1);
    }
    assert_eq!(Device::get_device(1000).err(), Some(CudaError::InvalidDevice));
    assert!(cust::CudaApiVersion::get()?.major() >= 11);
    Ok(())
}

#[test]
fn primary_contexts_are_shared() -> Outcome {
    let first = cust::quick_init()?;
    let second = first.clone();
    assert_eq!(first.as_raw(), second.as_raw());
    drop(first);
    let buffer = [1u32, 2, 3].as_slice().as_dbuf()?;
    assert_eq!(buffer.as_host_vec()?, [1, 2, 3]);
    // Another thread makes it current for itself.
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                assert_eq!(buffer.as_host_vec().err(), Some(CudaError::InvalidContext));
                CurrentContext::set_current(&second)?;
                buffer.as_host_vec().map(|values| assert_eq!(values, [1, 2, 3]))
            })
            .join()
            .unwrap()
    })?;
    Ok(())
}

#[test]
fn settings_are_kept() -> Outcome {
    let context = cust::quick_init()?;
    CurrentContext::set_resource_limit(ResourceLimit::StackSize, 2048)?;
    assert_eq!(CurrentContext::get_resource_limit(ResourceLimit::StackSize)?, 2048);
    CurrentContext::set_cache_config(CacheConfig::PreferL1)?;
    assert_eq!(CurrentContext::get_cache_config()?, CacheConfig::PreferL1);
    CurrentContext::set_shared_memory_config(SharedMemoryConfig::DefaultBankSize)?;
    CurrentContext::get_shared_memory_config()?;
    context.set_flags(ContextFlags::SCHED_BLOCKING_SYNC)?;
    assert!(CurrentContext::get_flags()?.contains(ContextFlags::SCHED_BLOCKING_SYNC));
    let range = CurrentContext::get_stream_priority_range()?;
    assert!(range.greatest <= range.least);
    assert_eq!(CurrentContext::get_device()?.as_raw(), 0);
    CurrentContext::synchronize()?;
    Ok(())
}

#[test]
fn legacy_contexts_stack() -> Outcome {
    cust::init(CudaFlags::empty())?;
    let device = Device::get_device(0)?;
    let flags = cust::context::legacy::ContextFlags::SCHED_AUTO;
    let mut first = LegacyContext::create_and_push(flags, device)?;
    let second = LegacyContext::create_and_push(flags, device)?;
    let popped = ContextStack::pop()?;
    cust::context::legacy::CurrentContext::get_device()?;
    ContextStack::push(&popped)?;
    drop(second);
    first.get_api_version()?;
    first = LegacyContext::create_and_push(flags, device)?;
    drop(first);
    Ok(())
}

//! Memory: boxes, buffers, slices, pinned and managed memory, arrays, in every direction and in
//! streams.

use cust::error::CudaError;
use cust::memory::array::{ArrayFormat, ArrayObject};
use cust::memory::{
    AsyncCopyDestination, DeviceBox, LockedBuffer, MemoryAdvise, UnifiedBox, cuda_free,
    cuda_malloc, mem_get_info,
};
use cust::prelude::*;
use parans_cust_check::{Outcome, words};

#[test]
fn buffers_and_slices() -> Outcome {
    let _context = cust::quick_init()?;
    let values = words(1000);
    let mut buffer = DeviceBuffer::from_slice(&values)?;
    assert_eq!((buffer.len(), buffer.as_host_vec()?), (1000, values.clone()));
    let mut back = vec![0; 300];
    buffer.index(100..400).copy_to(&mut back)?;
    assert_eq!(back, values[100..400]);
    buffer.index(100..400).copy_from(&vec![7u32; 300])?;
    let host = buffer.as_host_vec()?;
    assert_eq!((host[99], host[100], host[399], host[400]), (values[99], 7, 7, values[400]));
    let mut other = DeviceBuffer::<u32>::zeroed(1000)?;
    assert_eq!(other.as_host_vec()?, vec![0; 1000]);
    other.copy_from(&buffer)?;
    assert_eq!(other.as_host_vec()?, host);
    buffer.set_32(0x0102_0304)?;
    assert_eq!(buffer.as_host_vec()?, vec![0x0102_0304; 1000]);
    buffer.set_16(0xabcd)?;
    assert_eq!(buffer.as_host_vec()?, vec![0xabcd_abcd; 1000]);
    buffer.set_8(0x5a)?;
    assert_eq!(buffer.as_host_vec()?, vec![0x5a5a_5a5a; 1000]);
    Ok(())
}

#[test]
fn boxes() -> Outcome {
    let _context = cust::quick_init()?;
    let mut value = DeviceBox::new(&0x1234_5678_9abcu64)?;
    assert_eq!(value.as_host_value()?, 0x1234_5678_9abc);
    value.copy_from(&5)?;
    let other = DeviceBox::new(&0u64)?;
    value.copy_to(&mut DeviceBox::new(&1u64)?)?;
    value.copy_from(&other)?;
    assert_eq!(value.as_host_value()?, 0);
    assert_eq!(DeviceBox::<[u8; 3]>::zeroed()?.as_host_value()?, [0; 3]);
    Ok(())
}

#[test]
fn copies_in_streams() -> Outcome {
    let _context = cust::quick_init()?;
    let stream = Stream::new(StreamFlags::NON_BLOCKING, None)?;
    let mut pinned = LockedBuffer::new(&0u32, 512)?;
    pinned.as_mut_slice().copy_from_slice(&words(512));
    let mut back = LockedBuffer::new(&0u32, 512)?;
    // SAFETY: all buffers live until the stream is synchronised.
    unsafe {
        let mut device = DeviceBuffer::<u32>::uninitialized_async(512, &stream)?;
        device.async_copy_from(&pinned, &stream)?;
        let mut copy = DeviceBuffer::from_slice_async(&[0u32; 512], &stream)?;
        copy.async_copy_from(&device, &stream)?;
        copy.index(0..4).set_32_async(9, &stream)?;
        copy.async_copy_to(&mut back, &stream)?;
        device.drop_async(&stream)?;
        copy.drop_async(&stream)?;
    }
    stream.synchronize()?;
    assert_eq!(back.as_slice()[..4], [9; 4]);
    assert_eq!(back.as_slice()[4..], pinned.as_slice()[4..]);
    Ok(())
}

#[test]
fn managed_memory_is_the_hosts_too() -> Outcome {
    let _context = cust::quick_init()?;
    let stream = Stream::new(StreamFlags::NON_BLOCKING, None)?;
    let mut value = UnifiedBox::new(5u64)?;
    *value += 1;
    assert_eq!(*value, 6);
    let mut buffer = UnifiedBuffer::from_slice(&words(100))?;
    buffer[7] = 77;
    buffer.advise_read_mostly(true)?;
    buffer.prefetch_to_device(&stream, &Device::get_device(0)?)?;
    buffer.prefetch_to_host(&stream)?;
    stream.synchronize()?;
    assert_eq!((buffer[7], buffer[8]), (77, words(100)[8]));
    assert!(UnifiedBuffer::<u8>::from_slice(&[])?.is_empty());
    Ok(())
}

#[test]
fn raw_memory_and_its_limits() -> Outcome {
    let _context = cust::quick_init()?;
    let (free, total) = mem_get_info().map(|info| (info.0, info.1))?;
    assert!(free <= total);
    // SAFETY: the memory is not used after it is freed.
    unsafe {
        let pointer = cuda_malloc::<u64>(10)?;
        assert!(!pointer.is_null());
        cuda_free(pointer)?;
        assert_eq!(cuda_malloc::<u64>(0).err(), Some(CudaError::InvalidMemoryAllocation));
        assert_eq!(cuda_malloc::<u8>(1 << 50).err(), Some(CudaError::OutOfMemory));
        assert_eq!(DeviceBuffer::<u8>::uninitialized(1 << 50).err(), Some(CudaError::OutOfMemory));
    }
    Ok(())
}

#[test]
fn arrays_hold_what_is_copied_in() -> Outcome {
    let _context = cust::quick_init()?;
    let values: Vec<u32> = words(60);
    let mut array = ArrayObject::new_2d([10, 6], ArrayFormat::U32, 1)?;
    assert_eq!(array.descriptor()?.dims(), [10, 6, 0]);
    array.copy_from(&values)?;
    let mut back = vec![0u32; 60];
    array.copy_to(&mut back)?;
    assert_eq!(back, values);
    Ok(())
}

//! Faults of kernels. One test, because a fault ends the primary context for every thread of the
//! process.

use cust::context::Context;
use cust::error::CudaError;
use cust::prelude::*;
use parans_cust_check::{Outcome, module};

/// Launches saxpy on memory that is not there; what the stream then says.
fn fault(offset: isize) -> Result<(), CudaError> {
    let stream = Stream::new(StreamFlags::NON_BLOCKING, None)?;
    let module = module("saxpy").map_err(|_| CudaError::InvalidPtx)?;
    let saxpy = module.get_function("saxpy")?;
    let x = [1.0f32; 32].as_slice().as_dbuf()?;
    let y = x.as_device_ptr().cast::<u8>().wrapping_offset(offset);
    // SAFETY: none; that is the point. The software device and a GPU both catch it.
    unsafe { launch!(saxpy<<<1, 32, 0, stream>>>(1.0f32, x.as_device_ptr(), y, 32i32)) }?;
    let result = stream.synchronize();
    // It sticks: nothing else works in this context.
    assert_eq!(x.as_host_vec().err(), result.err());
    assert_eq!(DeviceBuffer::<u8>::zeroed(1).err(), result.err());
    result
}

#[test]
fn faults_end_their_context() -> Outcome {
    for (offset, error) in [(1 << 30, CudaError::IllegalAddress), (2, CudaError::MisalignedAddress)]
    {
        let context = cust::quick_init()?;
        assert_eq!(fault(offset), Err(error));
        assert!(!error.to_string().is_empty());
        drop(context);
        // The last user has gone: the next context is a fresh one.
        let context = cust::quick_init()?;
        assert_eq!([1u8, 2].as_slice().as_dbuf()?.as_host_vec()?, [1, 2]);
        // SAFETY: nothing of the context is alive.
        unsafe { Context::reset(&Device::get_device(0)?)? };
        drop(context);
    }
    Ok(())
}

//! Modules, functions, launches, the linker.

use cust::error::CudaError;
use cust::function::{BlockSize, FunctionAttribute, GridSize};
use cust::link::Linker;
use cust::module::{ModuleJitOption, OptLevel};
use cust::prelude::*;
use parans_cust_check::{Outcome, module, path, ptx, words};

/// y = a x + y on the device and here.
fn check_saxpy(module: &Module) -> Outcome {
    let n = 1000;
    let stream = Stream::new(StreamFlags::NON_BLOCKING, None)?;
    let x: Vec<f32> = words(n).iter().map(|&v| (v >> 16) as f32).collect();
    let y: Vec<f32> = words(n).iter().map(|&v| (v & 0xffff) as f32).collect();
    let (dx, dy) = (x.as_slice().as_dbuf()?, y.as_slice().as_dbuf()?);
    let saxpy = module.get_function("saxpy")?;
    let (blocks, threads) = saxpy.suggested_launch_configuration(0, 0.into())?;
    // SAFETY: the parameters are the kernel's: a factor, two buffers of `n` floats, `n`.
    unsafe {
        launch!(saxpy<<<blocks.min(4), threads.min(128), 0, stream>>>(
            3.0f32, dx.as_device_ptr(), dy.as_device_ptr(), n as i32
        ))?;
    }
    stream.synchronize()?;
    let expected: Vec<f32> = x.iter().zip(&y).map(|(x, y)| 3.0f32.mul_add(*x, *y)).collect();
    assert_eq!(dy.as_host_vec()?, expected);
    Ok(())
}

#[test]
fn every_way_to_load_ptx() -> Outcome {
    let _context = cust::quick_init()?;
    check_saxpy(&Module::from_file(path("saxpy"))?)?;
    check_saxpy(&Module::from_ptx(ptx("saxpy"), &[])?)?;
    let options = [
        ModuleJitOption::OptLevel(OptLevel::O2),
        ModuleJitOption::MaxRegisters(64),
        ModuleJitOption::GenerateLineInfo(true),
        ModuleJitOption::DetermineTargetFromContext,
    ];
    check_saxpy(&Module::from_ptx(ptx("saxpy"), &options)?)?;
    check_saxpy(&Module::from_ptx_cstr(&std::ffi::CString::new(ptx("saxpy"))?, &[])?)
}

#[test]
fn bad_code_is_refused() -> Outcome {
    let _context = cust::quick_init()?;
    let refused = |text: &str| Module::from_ptx(text, &[]).err();
    assert_eq!(refused("no PTX at all"), Some(CudaError::InvalidPtx));
    assert_eq!(
        refused(&ptx("saxpy").replace("fma.rn.f32", "fma.xx.f32")),
        Some(CudaError::InvalidPtx)
    );
    assert_eq!(refused(&ptx("saxpy").replace("sm_75", "sm_999")), Some(CudaError::InvalidPtx));
    assert_eq!(Module::from_file("/nonexistent.ptx").err(), Some(CudaError::FileNotFound));
    assert_eq!(module("saxpy")?.get_function("nothing").err(), Some(CudaError::NotFound));
    Ok(())
}

#[test]
fn globals_are_read_and_written() -> Outcome {
    let _context = cust::quick_init()?;
    let module = module("queue")?;
    let mut ticket = module.get_global::<u32>(c"ticket")?;
    let mut value = 1;
    ticket.copy_to(&mut value)?;
    assert_eq!(value, 0);
    ticket.copy_from(&41)?;
    ticket.copy_to(&mut value)?;
    assert_eq!(value, 41);
    assert_eq!(module.get_global::<u32>(c"nothing").err(), Some(CudaError::NotFound));
    Ok(())
}

#[test]
fn three_dimensions_and_dynamic_shared_memory() -> Outcome {
    let _context = cust::quick_init()?;
    let stream = Stream::new(StreamFlags::DEFAULT, None)?;
    let values: Vec<i32> = words(4 * 3 * 5 * 8).iter().map(|&v| v as i32).collect();
    let (input, output) =
        (values.as_slice().as_dbuf()?, DeviceBuffer::<i32>::zeroed(values.len())?);
    let locals = module("locals")?;
    // SAFETY: a row of eight integers a thread, in and out.
    unsafe {
        let (grid, block) = (GridSize::xy(1, 1), BlockSize::xyz(4, 3, 5));
        launch!(locals.sort_rows<<<grid, block, 0, stream>>>(input.as_device_ptr(), output.as_device_ptr()))?;
    }
    let mut expected = values;
    expected.chunks_mut(8).for_each(<[i32]>::sort_unstable);
    stream.synchronize()?;
    assert_eq!(output.as_host_vec()?, expected);

    let (values, scan) = (words(512), module("scan")?);
    let (input, output) = (values.as_slice().as_dbuf()?, DeviceBuffer::<u32>::zeroed(512)?);
    // SAFETY: a word per thread, and as much shared memory.
    unsafe {
        launch!(scan.scan<<<1, 512, 2048, stream>>>(input.as_device_ptr(), output.as_device_ptr()))?;
    }
    stream.synchronize()?;
    let sum = values.iter().fold(0u32, |sum, &value| sum.wrapping_add(value));
    assert_eq!(output.as_host_vec()?[511], sum);
    Ok(())
}

#[test]
fn wrong_shapes_do_not_launch() -> Outcome {
    let _context = cust::quick_init()?;
    let stream = Stream::new(StreamFlags::NON_BLOCKING, None)?;
    let module = module("scan")?;
    let scan = module.get_function("scan")?;
    let null = DevicePointer::<u32>::null();
    for (grid, block, shared) in [(0, 32, 0), (1, 0, 0), (1, 1025, 0), (1, 32, 1 << 20)] {
        // SAFETY: nothing is launched.
        let launched = unsafe { launch!(scan<<<grid, block, shared, stream>>>(null, null)) };
        assert_eq!(launched, Err(CudaError::InvalidValue), "{grid} {block} {shared}");
    }
    stream.synchronize()?;
    Ok(())
}

#[test]
fn functions_describe_themselves() -> Outcome {
    let _context = cust::quick_init()?;
    let module = module("transpose")?;
    let mut transpose = module.get_function("transpose")?;
    assert_eq!(transpose.get_attribute(FunctionAttribute::SharedMemorySizeBytes)?, 32 * 33 * 4);
    assert!(transpose.get_attribute(FunctionAttribute::MaxThreadsPerBlock)? >= 256);
    assert!((1..=255).contains(&transpose.get_attribute(FunctionAttribute::NumRegisters)?));
    transpose.set_cache_config(cust::context::CacheConfig::PreferShared)?;
    let blocks = transpose.max_active_blocks_per_multiprocessor(256.into(), 0)?;
    assert!((1..=32).contains(&blocks));
    assert_eq!(transpose.max_active_blocks_per_multiprocessor(256.into(), 1 << 20)?, 0);
    assert!(transpose.available_dynamic_shared_memory_per_block(1.into(), 256.into())? > 0);
    Ok(())
}

#[test]
fn texts_are_linked() -> Outcome {
    let _context = cust::quick_init()?;
    let mut linker = Linker::new()?;
    linker.add_ptx(ptx("saxpy"))?;
    linker.add_ptx(ptx("scan"))?;
    let image = linker.complete()?;
    let module = Module::from_cubin(&image, &[])?;
    module.get_function("scan")?;
    check_saxpy(&module)?;
    assert!(Linker::new()?.add_ptx("no PTX").is_err());
    Ok(())
}

#[test]
fn managed_and_pinned_memory_reach_a_kernel() -> Outcome {
    let _context = cust::quick_init()?;
    let stream = Stream::new(StreamFlags::NON_BLOCKING, None)?;
    let module = module("saxpy")?;
    let saxpy = module.get_function("saxpy")?;
    let mut x = UnifiedBuffer::new(&1.0f32, 100)?;
    let mut y = UnifiedBuffer::new(&0.5f32, 100)?;
    x[42] = 10.0;
    for round in 1..=3 {
        // SAFETY: both buffers hold a hundred floats and are not touched before the stream is
        // synchronised.
        unsafe {
            launch!(saxpy<<<2, 32, 0, stream>>>(2.0f32, x.as_unified_ptr(), y.as_unified_ptr(), 100i32))?;
        }
        stream.synchronize()?;
        assert_eq!((y[0], y[42]), (0.5 + 2.0 * round as f32, 0.5 + 20.0 * round as f32));
    }
    y[0] = 0.0;
    assert_eq!(y[0], 0.0);
    Ok(())
}

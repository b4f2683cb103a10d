//! `cuDeviceGetAttribute`: every attribute number, from the model of the device.

use crate::abi::Status;
use crate::errors::CudaError;
use parans_emulator::DeviceModel;

/// Highest attribute number of CUDA 13.0 (`CU_DEVICE_ATTRIBUTE_MAX - 1`).
const LAST: i32 = 148;

/// The value of attribute `number` (`CUdevice_attribute`). Limits and identities come from the
/// model; a feature that this library does not have is 0.
pub(crate) fn value(model: &DeviceModel, ordinal: usize, number: i32) -> Status<i32> {
    let (major, minor) = model.compute_capability;
    let value = match number {
        1 => model.max_threads_per_block,
        2..=4 => model.max_block[number as usize - 2],
        5..=7 => model.max_grid[number as usize - 5],
        8 => model.shared_per_block,
        9 => model.constant_memory,
        10 => 32,
        11 => i32::MAX as u32, // largest pitch
        12 | 82 => model.registers,
        13 => model.clock_khz,
        14 | 30 => 512, // texture and surface alignment
        16 => model.multiprocessors,
        19 => 1, // can map host memory
        21..=29 | 42..=49 | 52..=74 | 77 => texture_limit(number),
        33 => ordinal as u32 + 1, // PCI bus
        36 => model.memory_clock_khz,
        37 => model.memory_bus_bits,
        38 => model.l2_bytes,
        39 => model.threads_per_multiprocessor,
        41 => 1,  // unified addressing
        51 => 32, // texture pitch alignment
        75 => major,
        76 => minor,
        78 => 1, // stream priorities are accepted
        79 | 80 => 1,
        81 => model.shared_per_multiprocessor,
        83 => 1, // managed memory
        87 => 2, // f64 at half the rate of f32
        95 => 1, // cooperative launch
        97 => model.shared_per_block_optin,
        99 => 1, // host memory can be registered
        106 => model.blocks_per_multiprocessor,
        111 => reserved_shared(model),
        113 => 0,
        115 => 1, // cuMemAllocAsync
        129 => 1, // function pointers are the same everywhere
        15 | 17 | 18 | 20 | 31 | 32 | 34 | 35 | 40 | 50 | 84..=86 | 88..=91 => 0,
        92..=94 | 96 | 98 | 100..=105 | 107..=110 | 112 | 114 | 116..=128 | 130..=LAST => 0,
        _ => return Err(CudaError::InvalidValue),
    };
    i32::try_from(value).map_err(|_| CudaError::InvalidValue)
}

/// Largest textures and surfaces (CUDA programming guide, the same from compute capability 7.5 on).
/// Arrays of these sizes can be made and copied here; no kernel can sample one.
fn texture_limit(number: i32) -> u32 {
    match number {
        21 | 22 | 56 | 70 => 131_072,
        23 | 57 => 65_536,
        24..=26 | 58..=60 => 16_384,
        47 | 48 => 8192,
        29 | 43 | 62 | 65 => 2048,
        54 | 68 => 2046,
        44 => 1,
        69 => 1 << 28,
        71 => 65_000,
        72 => 2_097_120,
        _ => 32_768,
    }
}

/// Shared memory that the system keeps of each block's, in bytes: 1 KiB since compute capability
/// 8.0.
pub(crate) fn reserved_shared(model: &DeviceModel) -> u32 {
    if model.compute_capability >= (8, 0) { 1024 } else { 0 }
}

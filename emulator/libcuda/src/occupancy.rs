//! Occupancy: how many blocks fit on a multiprocessor, by the limits of the model.
//!
//! Registers are the emulator's count, not ptxas': the answers have the right shape, not a board's
//! numbers.

use crate::abi::{Handle, Out, Status, exports};
use crate::attributes::reserved_shared;
use crate::context::working;
use crate::errors::CudaError;
use crate::function::{FUNCTIONS, Function};
use parans_emulator::Launch;

/// Registers are given out to warps in units of this many.
const REGISTER_UNIT: u32 = 256;
/// Shared memory is given out in units of this many bytes.
const SHARED_UNIT: u32 = 128;
/// Lanes of a warp.
const WARP: u32 = 32;

/// Shared memory a block takes, in bytes.
fn shared_of_block(function: &Function, dynamic: u32) -> u32 {
    let reserved = reserved_shared(function.module.context.device.model());
    let used = function.entry.static_shared.saturating_add(dynamic).saturating_add(reserved);
    used.checked_next_multiple_of(SHARED_UNIT).unwrap_or(u32::MAX)
}

/// Blocks of `threads` threads that a multiprocessor holds at once.
fn resident_blocks(function: &Function, threads: u32, dynamic_shared: usize) -> u32 {
    let model = function.module.context.device.model();
    let dynamic_shared = u32::try_from(dynamic_shared).unwrap_or(u32::MAX);
    if threads == 0
        || threads > function.max_threads()
        || dynamic_shared > function.max_dynamic_shared()
    {
        return 0;
    }
    let warps = threads.div_ceil(WARP);
    let registers_of_warp = (function.registers() * WARP).next_multiple_of(REGISTER_UNIT);
    let by_threads = model.threads_per_multiprocessor / (warps * WARP);
    let by_registers = model.registers / registers_of_warp / warps;
    let by_shared = model
        .shared_per_multiprocessor
        .checked_div(shared_of_block(function, dynamic_shared))
        .unwrap_or(u32::MAX);
    by_threads.min(by_registers).min(by_shared).min(model.blocks_per_multiprocessor)
}

/// A cooperative launch has to fit on the device at once.
pub(crate) fn check_cooperative(function: &Function, launch: &Launch) -> Status {
    let model = function.module.context.device.model();
    let threads = launch.block.iter().product();
    let fit = u64::from(resident_blocks(function, threads, launch.dynamic_shared as usize))
        * u64::from(model.multiprocessors);
    let blocks = launch.grid.iter().map(|&size| u64::from(size)).product::<u64>();
    if blocks > fit { Err(CudaError::CooperativeLaunchTooLarge) } else { Ok(()) }
}

/// `CUoccupancyB2DSize`: dynamic shared memory for a block size.
type SharedOfBlockSize = extern "C" fn(i32) -> usize;

/// The block size of the highest occupancy, the largest of equals, and the blocks that then fill
/// the device.
fn best_block(
    function: &Function,
    shared: impl Fn(u32) -> usize,
    limit: i32,
) -> Status<(u32, u32)> {
    let limit = match limit {
        0 => function.max_threads(),
        limit => {
            u32::try_from(limit).map_err(|_| CudaError::InvalidValue)?.min(function.max_threads())
        }
    };
    let sizes = (1..=limit.div_ceil(WARP)).map(|warps| (warps * WARP).min(limit));
    let best = sizes
        .map(|size| (resident_blocks(function, size, shared(size)) * size, size))
        .max()
        .filter(|&(threads, _)| threads > 0)
        .ok_or(CudaError::InvalidValue)?;
    let (threads, size) = best;
    Ok((size, threads / size * function.module.context.device.model().multiprocessors))
}

/// Writes what [`best_block`] finds.
fn suggest(
    grid: Out<i32>,
    block: Out<i32>,
    handle: Handle<Function>,
    shared_of: Option<SharedOfBlockSize>,
    shared: usize,
    limit: i32,
) -> Status {
    working()?;
    grid.required()?;
    let function = FUNCTIONS.get(handle)?;
    let shared_of_size = |size: u32| shared_of.map_or(shared, |shared_of| shared_of(size as i32));
    let (size, blocks) = best_block(&function, shared_of_size, limit)?;
    block.set(size as i32)?;
    grid.set(blocks as i32)
}

/// Writes how many blocks of a size a multiprocessor holds.
fn active_blocks(out: Out<i32>, handle: Handle<Function>, threads: i32, shared: usize) -> Status {
    working()?;
    let function = FUNCTIONS.get(handle)?;
    let threads = u32::try_from(threads).ok().filter(|&threads| threads > 0);
    out.set(resident_blocks(&function, threads.ok_or(CudaError::InvalidValue)?, shared) as i32)
}

exports! {
    fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
        out: Out<i32>,
        handle: Handle<Function>,
        threads: i32,
        dynamic_shared: usize,
    ) {
        active_blocks(out, handle, threads, dynamic_shared)
    }

    fn cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
        out: Out<i32>,
        handle: Handle<Function>,
        threads: i32,
        dynamic_shared: usize,
        flags: u32,
    ) {
        if flags > 1 {
            return Err(CudaError::InvalidValue);
        }
        active_blocks(out, handle, threads, dynamic_shared)
    }

    fn cuOccupancyMaxPotentialBlockSize(
        grid: Out<i32>,
        block: Out<i32>,
        handle: Handle<Function>,
        shared_of: Option<SharedOfBlockSize>,
        dynamic_shared: usize,
        limit: i32,
    ) {
        suggest(grid, block, handle, shared_of, dynamic_shared, limit)
    }

    fn cuOccupancyMaxPotentialBlockSizeWithFlags(
        grid: Out<i32>,
        block: Out<i32>,
        handle: Handle<Function>,
        shared_of: Option<SharedOfBlockSize>,
        dynamic_shared: usize,
        limit: i32,
        flags: u32,
    ) {
        if flags > 1 {
            return Err(CudaError::InvalidValue);
        }
        suggest(grid, block, handle, shared_of, dynamic_shared, limit)
    }

    /// Dynamic shared memory that `blocks` blocks of `threads` threads leave each other, in bytes.
    fn cuOccupancyAvailableDynamicSMemPerBlock(
        out: Out<usize>,
        handle: Handle<Function>,
        blocks: i32,
        threads: i32,
    ) {
        working()?;
        let function = FUNCTIONS.get(handle)?;
        let blocks = u32::try_from(blocks).ok().filter(|&blocks| blocks > 0).ok_or(CudaError::InvalidValue)?;
        let threads = u32::try_from(threads).ok().filter(|&threads| threads > 0).ok_or(CudaError::InvalidValue)?;
        if resident_blocks(&function, threads, 0) < blocks {
            return Err(CudaError::InvalidValue);
        }
        let share = function.module.context.device.model().shared_per_multiprocessor / blocks;
        let share = share / SHARED_UNIT * SHARED_UNIT;
        let left = share.saturating_sub(shared_of_block(&function, 0));
        out.set(left.min(function.max_dynamic_shared()) as usize)
    }
}

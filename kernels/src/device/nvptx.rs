//! The seam on rustc's NVPTX back end.
//!
//! Votes and shuffles are LLVM's intrinsics, which it knows to be convergent; inline assembly it might duplicate into branches that
//! only some lanes take.

use core::arch::nvptx;

use super::simt::Simt;

unsafe extern "C" {
    #[link_name = "llvm.nvvm.vote.ballot.sync"]
    fn vote_ballot(mask: u32, predicate: bool) -> u32;
    #[link_name = "llvm.nvvm.shfl.sync.idx.i32"]
    fn shuffle_index(mask: u32, value: u32, source: u32, clamp: u32) -> u32;
}

/// All threads of a warp.
const WARP: u32 = u32::MAX;

/// The GPU that this code was compiled for.
#[derive(Clone, Copy, Debug)]
pub struct Nvptx;

impl Simt for Nvptx {
    #[inline(always)]
    fn thread(self) -> u32 {
        // SAFETY: reads a special register.
        (unsafe { nvptx::_thread_idx_x() }) as u32
    }

    #[inline(always)]
    fn block(self) -> u32 {
        // SAFETY: reads a special register.
        (unsafe { nvptx::_block_idx_x() }) as u32
    }

    #[inline(always)]
    fn block_threads(self) -> u32 {
        // SAFETY: reads a special register.
        (unsafe { nvptx::_block_dim_x() }) as u32
    }

    #[inline(always)]
    fn barrier(self) {
        // SAFETY: kernels call it from code that all threads of a block reach.
        unsafe { nvptx::_syncthreads() }
    }

    #[inline(always)]
    fn ballot(self, yes: bool) -> u32 {
        // SAFETY: the trait's contract: all 32 threads call it together.
        unsafe { vote_ballot(WARP, yes) }
    }

    #[inline(always)]
    fn shuffle(self, value: u32, source: u32) -> u32 {
        // SAFETY: the trait's contract: all 32 threads call it together. Clamp 31: the warp is not divided.
        unsafe { shuffle_index(WARP, value, source, 31) }
    }
}

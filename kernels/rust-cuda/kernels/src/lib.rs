//! The kernels of parans for Rust-CUDA: the interface on `cuda_std`, and the same entry points from
//! the same list.
#![cfg_attr(target_os = "cuda", no_std)]
#![allow(clippy::missing_safety_doc, reason = "the list of kernels documents its entry points")]

use core::sync::atomic::{AtomicU32, Ordering};

use cuda_std::{kernel, shared, thread, warp};
use parans_kernels::device::simt::Simt;

/// All threads of a warp.
const WARP: u32 = u32::MAX;

/// The GPU, through `cuda_std`.
#[derive(Clone, Copy, Debug)]
pub struct CudaStd;

/// The block's dynamic shared memory from a distance on.
#[inline(always)]
fn shared_memory<T>(at: u32) -> *mut T {
    shared::dynamic_shared_mem::<u8>().wrapping_add(at as usize).cast()
}

impl Simt for CudaStd {
    #[inline(always)]
    fn thread(self) -> u32 {
        thread::thread_idx_x()
    }

    #[inline(always)]
    fn block(self) -> u32 {
        thread::block_idx_x()
    }

    #[inline(always)]
    fn block_threads(self) -> u32 {
        thread::block_dim_x()
    }

    #[inline(always)]
    fn barrier(self) {
        thread::sync_threads()
    }

    #[inline(always)]
    fn ballot(self, yes: bool) -> u32 {
        // SAFETY: the trait's contract: all 32 threads call it together.
        unsafe { warp::warp_vote_ballot(WARP, yes) }
    }

    #[inline(always)]
    fn shuffle(self, value: u32, source: u32) -> u32 {
        // SAFETY: the trait's contract: all 32 threads call it together.
        unsafe { warp::warp_shuffle_idx(WARP, value, source, 32).0 }
    }

    #[inline(always)]
    fn sync_warp(self) {
        // SAFETY: all threads of a warp call it together, as they do a ballot.
        unsafe { warp::sync_warp(WARP) }
    }

    // Addresses are distances from the first byte: the compiler sees the address space of what is
    // added to it.
    #[inline(always)]
    fn shared(self) -> u32 {
        0
    }

    #[inline(always)]
    unsafe fn load_shared_u8(self, at: u32) -> u32 {
        // SAFETY: the caller's promise.
        unsafe { u32::from(*shared_memory::<u8>(at)) }
    }

    #[inline(always)]
    unsafe fn load_shared_u16(self, at: u32) -> u32 {
        // SAFETY: the caller's promise.
        unsafe { u32::from(*shared_memory::<u16>(at)) }
    }

    #[inline(always)]
    unsafe fn load_shared(self, at: u32) -> u32 {
        // SAFETY: the caller's promise.
        unsafe { *shared_memory(at) }
    }

    #[inline(always)]
    unsafe fn load_shared_x2(self, at: u32) -> [u32; 2] {
        // SAFETY: the caller's promise.
        unsafe { *shared_memory(at) }
    }

    #[inline(always)]
    unsafe fn load_shared_x4(self, at: u32) -> [u32; 4] {
        // SAFETY: the caller's promise; the address is a multiple of 16.
        let Four(words) = unsafe { *shared_memory(at) };
        words
    }

    #[inline(always)]
    unsafe fn store_shared(self, at: u32, word: u32) {
        // SAFETY: the caller's promise.
        unsafe { *shared_memory(at) = word };
    }

    #[inline(always)]
    unsafe fn store_shared_x4(self, at: u32, words: [u32; 4]) {
        // SAFETY: the caller's promise.
        unsafe { *shared_memory(at) = Four(words) };
    }

    #[inline(always)]
    unsafe fn set_shared_bits(self, at: u32, bits: u32) {
        // SAFETY: the caller's promise: other threads only set bits there, in this way.
        let word = unsafe { AtomicU32::from_ptr(shared_memory(at)) };
        word.fetch_or(bits, Ordering::Relaxed);
    }
}

/// Lets the compiler load and store four words at once.
#[derive(Clone, Copy)]
#[repr(align(16))]
struct Four([u32; 4]);

parans_kernels::for_each_kernel!(parans_kernels::kernel_entries => CudaStd, [#[kernel]], [];);
parans_kernels::for_each_model_kernel!(parans_kernels::model_kernel_entries => CudaStd, [#[kernel]], [];);
parans_kernels::other_entries!(CudaStd, [#[kernel]], []);

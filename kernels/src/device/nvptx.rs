//! The interface on rustc's NVPTX back end.
//!
//! Votes and shuffles are LLVM's intrinsics, which it knows to be convergent; inline assembly it
//! might duplicate into branches that only some lanes take.

use core::arch::{asm, global_asm, nvptx};

use super::simt::Simt;
use crate::codec::WordInt;

// What a launch gives a block beside the kernel's own; the blocks' table memory.
global_asm!(".extern .shared .align 16 .b8 parans_shared[];");

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
        // SAFETY: the trait's contract: all 32 threads call it together. Clamp 31: the warp is not
        // divided.
        unsafe { shuffle_index(WARP, value, source, 31) }
    }

    #[inline(always)]
    unsafe fn store_if<W: WordInt>(self, yes: bool, to: *mut W, word: W) {
        let (yes, value) = (u32::from(yes), word.to_u32());
        // The comparison and the change of address space cost no instruction of the GPU.
        macro_rules! store {
            ($store:literal, $class:ident, $value:expr) => {
                // SAFETY: the caller's promise.
                unsafe {
                    asm!(
                        "{{ .reg .pred p; .reg .b64 at; setp.ne.u32 p, {}, 0; cvta.to.global.u64 at, {};",
                        $store,
                        "}}",
                        in(reg32) yes, in(reg64) to, in($class) $value, options(nostack),
                    )
                }
            };
        }
        match W::BYTES {
            1 => store!("@p st.global.u8 [at], {};", reg16, value as u16),
            2 => store!("@p st.global.u16 [at], {};", reg16, value as u16),
            _ => store!("@p st.global.u32 [at], {};", reg32, value),
        }
    }

    #[inline(always)]
    fn shared(self) -> u32 {
        let address;
        // SAFETY: moves the address of a variable.
        unsafe {
            asm!("mov.u32 {}, parans_shared;", out(reg32) address, options(pure, nomem, nostack));
        }
        address
    }

    #[inline(always)]
    unsafe fn load_shared_u8(self, at: u32) -> u32 {
        let value;
        // SAFETY: the caller's promise. Loads have no side effect, and barriers write memory as far
        // as the compiler knows.
        unsafe {
            asm!("ld.shared.u8 {}, [{}];", out(reg32) value, in(reg32) at,
                options(pure, readonly, nostack));
        }
        value
    }

    #[inline(always)]
    unsafe fn load_shared(self, at: u32) -> u32 {
        let value;
        // SAFETY: as above.
        unsafe {
            asm!("ld.shared.u32 {}, [{}];", out(reg32) value, in(reg32) at,
                options(pure, readonly, nostack));
        }
        value
    }

    #[inline(always)]
    unsafe fn load_shared_x2(self, at: u32) -> [u32; 2] {
        let (a, b);
        // SAFETY: as above.
        unsafe {
            asm!("ld.shared.v2.u32 {{{}, {}}}, [{}];", out(reg32) a, out(reg32) b, in(reg32) at,
                options(pure, readonly, nostack));
        }
        [a, b]
    }

    #[inline(always)]
    unsafe fn load_shared_x4(self, at: u32) -> [u32; 4] {
        let (a, b, c, d);
        // SAFETY: as above.
        unsafe {
            asm!("ld.shared.v4.u32 {{{}, {}, {}, {}}}, [{}];",
                out(reg32) a, out(reg32) b, out(reg32) c, out(reg32) d, in(reg32) at,
                options(pure, readonly, nostack));
        }
        [a, b, c, d]
    }

    #[inline(always)]
    unsafe fn store_shared_x4(self, at: u32, [a, b, c, d]: [u32; 4]) {
        // SAFETY: the caller's promise.
        unsafe {
            asm!("st.shared.v4.u32 [{}], {{{}, {}, {}, {}}};",
                in(reg32) at, in(reg32) a, in(reg32) b, in(reg32) c, in(reg32) d,
                options(nostack));
        }
    }
}

//! The interface on rustc's NVPTX back end.
//!
//! Votes and shuffles are LLVM's intrinsics, which it knows to be convergent; inline assembly it
//! might duplicate into branches that only some lanes take.

use core::arch::{asm, global_asm, nvptx};

use super::simt::Simt;
use crate::codec::{RansFamily, StateInt, WordInt};

// What a launch gives a block beside the kernel's own; the blocks' table memory.
global_asm!(".extern .shared .align 16 .b8 parans_shared[];");

unsafe extern "C" {
    #[link_name = "llvm.nvvm.vote.ballot.sync"]
    fn vote_ballot(mask: u32, predicate: bool) -> u32;
    #[link_name = "llvm.nvvm.vote.any.sync"]
    fn vote_any(mask: u32, predicate: bool) -> bool;
    #[link_name = "llvm.nvvm.shfl.sync.idx.i32"]
    fn shuffle_index(mask: u32, value: u32, source: u32, clamp: u32) -> u32;
    #[link_name = "llvm.nvvm.bar.warp.sync"]
    fn warp_sync(mask: u32);
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
    fn any(self, yes: bool) -> bool {
        // SAFETY: the trait's contract: all 32 threads call it together.
        unsafe { vote_any(WARP, yes) }
    }

    #[inline(always)]
    fn shuffle(self, value: u32, source: u32) -> u32 {
        // SAFETY: the trait's contract: all 32 threads call it together. Clamp 31: the warp is not
        // divided.
        unsafe { shuffle_index(WARP, value, source, 31) }
    }

    #[inline(always)]
    fn again(self, value: u32) -> u32 {
        let again;
        // SAFETY: moves a value.
        unsafe {
            asm!("mov.u32 {}, {};", out(reg32) again, in(reg32) value,
                options(pure, nomem, nostack));
        }
        again
    }

    #[inline(always)]
    fn global<T>(self, pointer: *const T) -> u64 {
        let address;
        // SAFETY: changes the address space of an address.
        unsafe {
            asm!("cvta.to.global.u64 {}, {};", out(reg64) address, in(reg64) pointer,
                options(pure, nomem, nostack));
        }
        address
    }

    #[inline(always)]
    fn after<W: WordInt>(self, address: u64, count: u32) -> u64 {
        let after;
        // SAFETY: arithmetic.
        unsafe {
            asm!("mad.wide.u32 {}, {}, {}, {};", out(reg64) after, in(reg32) count,
                const W::BYTES, in(reg64) address, options(pure, nomem, nostack));
        }
        after
    }

    #[inline(always)]
    fn before<W: WordInt>(self, address: u64, count: u32) -> u64 {
        let before;
        // SAFETY: arithmetic.
        unsafe {
            asm!("mad.wide.s32 {}, {}, {}, {};", out(reg64) before, in(reg32) count,
                const -(W::BYTES as i32), in(reg64) address, options(pure, nomem, nostack));
        }
        before
    }

    #[inline(always)]
    fn scaled(self, base: u32, index: u32, log2: u32) -> u32 {
        let address;
        macro_rules! scaled {
            ($factor:literal) => {
                // SAFETY: arithmetic.
                unsafe {
                    asm!(concat!("mad.lo.u32 {}, {}, ", $factor, ", {};"), out(reg32) address,
                        in(reg32) index, in(reg32) base, options(pure, nomem, nostack))
                }
            };
        }
        match log2 {
            1 => scaled!("2"),
            2 => scaled!("4"),
            3 => scaled!("8"),
            4 => scaled!("16"),
            _ => address = base.wrapping_add(index << log2),
        }
        address
    }

    #[inline(always)]
    fn permute(self, a: u32, b: u32, selector: u32) -> u32 {
        let bytes;
        // SAFETY: moves bytes of values. The selector's top bits are 0.
        unsafe {
            asm!("prmt.b32 {}, {}, {}, {};", out(reg32) bytes, in(reg32) a, in(reg32) b,
                in(reg32) selector, options(pure, nomem, nostack));
        }
        bytes
    }

    #[inline(always)]
    fn pick<const SELECTOR: u32>(self, a: u32, b: u32) -> u32 {
        let bytes;
        // SAFETY: as above.
        unsafe {
            asm!("prmt.b32 {}, {}, {}, {};", out(reg32) bytes, in(reg32) a, in(reg32) b,
                const SELECTOR, options(pure, nomem, nostack));
        }
        bytes
    }

    #[inline(always)]
    unsafe fn store_from<F: RansFamily>(self, x: F::State, bound: F::State, at: u64) {
        let low = x.low_u32();
        macro_rules! store {
            ($compare:literal, $class:ident, $state:expr, $bound:expr, $store:literal) => {
                // SAFETY: the caller's promise.
                unsafe {
                    asm!(
                        concat!("{{ .reg .pred p; setp.ge.", $compare, " p, {}, {};"),
                        concat!("@p st.global.", $store, " [{}], {}; }}"),
                        in($class) $state, in($class) $bound, in(reg64) at, in(reg32) low,
                        options(nostack),
                    )
                }
            };
        }
        match F::Word::BYTES {
            1 => store!("u32", reg32, low, bound.low_u32(), "u8"),
            2 => store!("u32", reg32, low, bound.low_u32(), "u16"),
            _ => store!("u64", reg64, x.to_u64(), bound.to_u64(), "u32"),
        }
    }

    #[inline(always)]
    fn prefetch(self, at: u64) {
        // SAFETY: reads and writes nothing.
        unsafe { asm!("prefetch.global.L1 [{}];", in(reg64) at, options(nostack, readonly)) }
    }

    #[inline(always)]
    unsafe fn fill<F: RansFamily>(self, x: F::State, end: u64) -> F::State {
        macro_rules! fill {
            ($class:ident, $state:expr, $load:literal, $take:literal) => {{
                let filled;
                // SAFETY: the caller's promise. Loads have no side effect, and nobody stores words
                // that are loaded.
                unsafe {
                    asm!(
                        concat!("{{ .reg .b32 w, low; ld.global.", $load, " w, [{end}+-{back}];"),
                        $take,
                        "}}",
                        x = in($class) $state, filled = lateout($class) filled,
                        end = in(reg64) end, back = const F::Word::BYTES,
                        options(pure, readonly, nostack),
                    )
                }
                filled
            }};
        }
        match F::Word::BYTES {
            1 => F::State::from_u32(fill!(
                reg32,
                x.low_u32(),
                "u8",
                "prmt.b32 {filled}, w, {x}, 0x6540;"
            )),
            2 => F::State::from_u32(fill!(
                reg32,
                x.low_u32(),
                "u16",
                "prmt.b32 {filled}, w, {x}, 0x5410;"
            )),
            _ => F::State::from_u64(fill!(
                reg64,
                x.to_u64(),
                "u32",
                "cvt.u32.u64 low, {x}; mov.b64 {filled}, {{w, low}};"
            )),
        }
    }

    #[inline(always)]
    unsafe fn fill_below<F: RansFamily>(self, x: F::State, end: u64) -> F::State {
        // The word's register is set before the load: one that only some lanes set would stay
        // occupied from the beginning of the kernel on.
        macro_rules! fill {
            ($bits:literal, $class:ident, $state:expr, $bound:expr, $load:literal, $take:literal) => {{
                let mut state = $state;
                // SAFETY: as above.
                unsafe {
                    asm!(
                        "{{ .reg .pred p; .reg .b32 w, low; mov.b32 w, 0;",
                        concat!("setp.lt.u", $bits, " p, {x}, {bound};"),
                        concat!("@p ld.global.", $load, " w, [{end}+-{back}];"),
                        $take,
                        "}}",
                        x = inout($class) state, bound = in($class) $bound,
                        end = in(reg64) end, back = const F::Word::BYTES,
                        options(pure, readonly, nostack),
                    )
                }
                state
            }};
        }
        match F::Word::BYTES {
            1 => F::State::from_u32(fill!(
                "32",
                reg32,
                x.low_u32(),
                F::LOWER_BOUND.low_u32(),
                "u8",
                "@p prmt.b32 {x}, w, {x}, 0x6540;"
            )),
            2 => F::State::from_u32(fill!(
                "32",
                reg32,
                x.low_u32(),
                F::LOWER_BOUND.low_u32(),
                "u16",
                "@p prmt.b32 {x}, w, {x}, 0x5410;"
            )),
            _ => F::State::from_u64(fill!(
                "64",
                reg64,
                x.to_u64(),
                F::LOWER_BOUND.to_u64(),
                "u32",
                "cvt.u32.u64 low, {x}; @p mov.b64 {x}, {{w, low}};"
            )),
        }
    }

    #[inline(always)]
    unsafe fn load_below<W: WordInt>(self, first: u64, at: u32, limit: u32, otherwise: u32) -> u32 {
        let word;
        macro_rules! load {
            ($load:literal) => {
                // SAFETY: the caller's promise. Loads have no side effect, and nobody stores words
                // that are loaded.
                unsafe {
                    asm!(
                        "{{ .reg .pred p; .reg .b64 a; mov.b32 {word}, {otherwise};",
                        "setp.lt.u32 p, {at}, {limit};",
                        "mad.wide.u32 a, {at}, {bytes}, {first};",
                        concat!("@p ld.global.", $load, " {word}, [a]; }}"),
                        word = out(reg32) word, at = in(reg32) at, limit = in(reg32) limit,
                        otherwise = in(reg32) otherwise, first = in(reg64) first,
                        bytes = const W::BYTES, options(pure, readonly, nostack),
                    )
                }
            };
        }
        match W::BYTES {
            1 => load!("u8"),
            2 => load!("u16"),
            _ => load!("u32"),
        }
        word
    }

    #[inline(always)]
    fn sync_warp(self) {
        // SAFETY: all threads of a warp call it together, as they do a ballot.
        unsafe { warp_sync(WARP) }
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
    unsafe fn load_shared_u16(self, at: u32) -> u32 {
        let value;
        // SAFETY: as above.
        unsafe {
            asm!("ld.shared.u16 {}, [{}];", out(reg32) value, in(reg32) at,
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
    unsafe fn store_shared(self, at: u32, word: u32) {
        // SAFETY: the caller's promise.
        unsafe {
            asm!("st.shared.u32 [{}], {};", in(reg32) at, in(reg32) word, options(nostack));
        }
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

    #[inline(always)]
    unsafe fn set_shared_bits(self, at: u32, bits: u32) {
        // SAFETY: the caller's promise.
        unsafe {
            asm!("red.shared.or.b32 [{}], {};", in(reg32) at, in(reg32) bits, options(nostack));
        }
    }
}

//! The interface between kernels and a GPU.

use crate::codec::{RansFamily, StateInt, WordInt};

/// What a kernel asks of the machine: who am I, and the exchanges between the threads of a warp and
/// of a block.
///
/// Blocks and grids have one dimension. A warp has 32 threads, and block sizes are multiples of 32
/// wherever a kernel votes or shuffles.
pub trait Simt: Copy {
    /// Position of the thread in its block.
    fn thread(self) -> u32;
    /// Position of the block in the grid.
    fn block(self) -> u32;
    /// Threads in a block.
    fn block_threads(self) -> u32;
    /// Waits for all threads of the block.
    fn barrier(self);
    /// One bit for each thread of the warp that says yes. All 32 threads call it together.
    fn ballot(self, yes: bool) -> u32;
    /// Whether any thread of the warp says yes. All 32 threads call it together.
    #[inline(always)]
    fn any(self, yes: bool) -> bool {
        self.ballot(yes) != 0
    }
    /// The value that the thread `source` of the warp gave. All 32 threads call it together.
    fn shuffle(self, value: u32, source: u32) -> u32;

    /// The value, of which the compiler does not know that it is the same.
    #[inline(always)]
    fn again(self, value: u32) -> u32 {
        value
    }
    /// An address of global memory as a number, as the sums and accesses below take it.
    #[inline(always)]
    fn global<T>(self, pointer: *const T) -> u64 {
        pointer.expose_provenance() as u64
    }
    /// The address `count` words after another: one instruction of the GPU.
    #[inline(always)]
    fn after<W: WordInt>(self, address: u64, count: u32) -> u64 {
        address.wrapping_add(u64::from(count) * W::BYTES as u64)
    }
    /// The address `count` words before another, which is below `2^31`.
    #[inline(always)]
    fn before<W: WordInt>(self, address: u64, count: u32) -> u64 {
        address.wrapping_sub(u64::from(count) * W::BYTES as u64)
    }
    /// `base + index * 2^log2`, for a constant `log2` of 1 to 4: one instruction of the GPU.
    #[inline(always)]
    fn scaled(self, base: u32, index: u32, log2: u32) -> u32 {
        base.wrapping_add(index << log2)
    }
    /// Four of the bytes of two words, those of `a` 0 to 3 and of `b` 4 to 7: the lowest is that of
    /// the selector's lowest four bits.
    #[inline(always)]
    fn permute(self, a: u32, b: u32, selector: u32) -> u32 {
        let bytes = u64::from(b) << 32 | u64::from(a);
        let byte = |i: u32| (bytes >> (8 * (selector >> (4 * i) & 7))) as u32 & 0xff;
        byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24
    }
    /// The same, by a constant selector.
    #[inline(always)]
    fn pick<const SELECTOR: u32>(self, a: u32, b: u32) -> u32 {
        self.permute(a, b, SELECTOR)
    }
    /// Stores the low word of a state that is at least `bound`.
    ///
    /// # Safety
    /// Where the state is, the address is one of global memory to which this thread may write.
    #[inline(always)]
    unsafe fn store_from<F: RansFamily>(self, x: F::State, bound: F::State, at: u64) {
        if x >= bound {
            let to: *mut F::Word = core::ptr::with_exposed_provenance_mut(at as usize);
            // SAFETY: the caller's promise.
            unsafe { *to = F::Word::from_low(x.low_u32()) };
        }
    }
    /// Asks for the memory at an address of global memory to be brought near, which changes nothing
    /// else.
    #[inline(always)]
    fn prefetch(self, _at: u64) {}
    /// The state and behind it the word that ends at an address.
    ///
    /// # Safety
    /// There is a word of global memory.
    #[inline(always)]
    unsafe fn fill<F: RansFamily>(self, x: F::State, end: u64) -> F::State {
        let end: *const F::Word = core::ptr::with_exposed_provenance(end as usize);
        // SAFETY: the caller's promise.
        let word = unsafe { *end.sub(1) };
        (x << F::WORD_BITS) | F::State::from_u32(word.to_u32())
    }
    /// The same where the state is below the family's bound, else the state.
    ///
    /// # Safety
    /// Where it is below, there is a word of global memory.
    #[inline(always)]
    unsafe fn fill_below<F: RansFamily>(self, x: F::State, end: u64) -> F::State {
        // SAFETY: the caller's promise.
        if x < F::LOWER_BOUND { unsafe { self.fill::<F>(x, end) } } else { x }
    }

    /// The word at a place among words of global memory; another value where that is not below a
    /// limit.
    ///
    /// # Safety
    /// Below the limit there are words.
    #[inline(always)]
    unsafe fn load_below<W: WordInt>(self, first: u64, at: u32, limit: u32, otherwise: u32) -> u32 {
        if at < limit {
            let words: *const W = core::ptr::with_exposed_provenance(first as usize);
            // SAFETY: the caller's promise.
            unsafe { (*words.add(at as usize)).to_u32() }
        } else {
            otherwise
        }
    }

    /// Waits for all threads of the warp, and orders what they do with shared memory.
    fn sync_warp(self);
    /// The address of the block's dynamic shared memory, 16 bytes aligned, for the accesses below.
    /// They take addresses of 32 bits: a pointer to shared memory would cost generic loads.
    fn shared(self) -> u32;
    /// Loads a byte of shared memory.
    ///
    /// # Safety
    /// The address is one of the block's shared memory, and no other thread writes there since the
    /// last barrier.
    unsafe fn load_shared_u8(self, at: u32) -> u32;
    /// Loads 16 bits of shared memory.
    ///
    /// # Safety
    /// As [`load_shared_u8`](Self::load_shared_u8), at a multiple of 2.
    unsafe fn load_shared_u16(self, at: u32) -> u32;
    /// Loads a word of shared memory.
    ///
    /// # Safety
    /// As [`load_shared_u8`](Self::load_shared_u8), at a multiple of 4.
    unsafe fn load_shared(self, at: u32) -> u32;
    /// Loads two words of shared memory.
    ///
    /// # Safety
    /// As [`load_shared_u8`](Self::load_shared_u8), at a multiple of 8.
    unsafe fn load_shared_x2(self, at: u32) -> [u32; 2];
    /// Loads four words of shared memory.
    ///
    /// # Safety
    /// As [`load_shared_u8`](Self::load_shared_u8), at a multiple of 16.
    unsafe fn load_shared_x4(self, at: u32) -> [u32; 4];
    /// Stores a word of shared memory.
    ///
    /// # Safety
    /// The address is a multiple of 4 in the block's shared memory, and no other thread uses the
    /// word before the next barrier.
    unsafe fn store_shared(self, at: u32, word: u32);
    /// Stores four words to shared memory.
    ///
    /// # Safety
    /// The address is a multiple of 16 in the block's shared memory, and no other thread uses the
    /// words before the next barrier.
    unsafe fn store_shared_x4(self, at: u32, words: [u32; 4]);
    /// Sets bits of a word of shared memory.
    ///
    /// # Safety
    /// The address is a multiple of 4 in the block's shared memory, and until the next
    /// [`sync_warp`](Self::sync_warp) other threads only set bits there.
    unsafe fn set_shared_bits(self, at: u32, bits: u32);
}

//! The interface between kernels and a GPU.

use crate::codec::WordInt;

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
    /// The value that the thread `source` of the warp gave. All 32 threads call it together.
    fn shuffle(self, value: u32, source: u32) -> u32;

    /// Stores a word of global memory where `yes`. A branch would do, at the price of one
    /// comparison more and of the warp's divergence.
    ///
    /// # Safety
    /// Where `yes`, the address is one of global memory to which this thread may write.
    #[inline(always)]
    unsafe fn store_if<W: WordInt>(self, yes: bool, to: *mut W, word: W) {
        if yes {
            // SAFETY: the caller's promise.
            unsafe { *to = word };
        }
    }
    /// The address of the block's dynamic shared memory, 16 bytes aligned, for the accesses below.
    /// They take addresses of 32 bits: a pointer to shared memory would cost generic loads.
    fn shared(self) -> u32;
    /// Loads a byte of shared memory.
    ///
    /// # Safety
    /// The address is one of the block's shared memory, and no other thread writes there since the
    /// last barrier.
    unsafe fn load_shared_u8(self, at: u32) -> u32;
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
    /// Stores four words to shared memory.
    ///
    /// # Safety
    /// The address is a multiple of 16 in the block's shared memory, and no other thread uses the
    /// words before the next barrier.
    unsafe fn store_shared_x4(self, at: u32, words: [u32; 4]);
}

//! The seam between kernels and a GPU.

/// What a kernel asks of the machine: who am I, and the exchanges between the threads of a warp and of a block.
///
/// Blocks and grids have one dimension. A warp has 32 threads, and block sizes are multiples of 32 wherever a kernel votes or
/// shuffles.
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
}

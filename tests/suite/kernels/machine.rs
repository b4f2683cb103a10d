//! What runs kernels.

use parans_kernels::abi::RowStatus;
use parans_kernels::codec::RowFault;

/// Threads of a block, two warps: rows of two warps and of part of one both occur.
pub const BLOCK_THREADS: u32 = 64;

/// A row's outcome.
pub fn outcome(status: RowStatus) -> Result<(), RowFault> {
    status.outcome().expect("a status that kernels write")
}

/// Device memory and launches.
pub trait Machine {
    /// Copies bytes to the machine.
    fn upload(&self, bytes: &[u8]) -> u64;
    /// Allocates without writing.
    fn alloc(&self, bytes: usize) -> u64;
    /// Copies bytes back. Those that were never written read as zero.
    fn download(&self, address: u64, bytes: usize) -> Vec<u8>;
    /// Runs a kernel on at least `threads` threads, in blocks with `shared` bytes of dynamic shared
    /// memory; `params` is its packed parameter buffer.
    fn launch(&self, kernel: &str, threads: u64, shared: u32, params: &[u8]);
    /// Frees everything.
    fn reset(&self);
}

//! Threads, as many as the system grants: a limit on processes or memory makes the work slower, not
//! impossible.

use anyhow::Result;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Address space that a thread may take: its stack, its part of the heap, what it works on.
const SPACE: u64 = 128 << 20;

/// A pool of `threads` threads, 0 being one per core, or of fewer where that many cannot be had; at the
/// least, the calling thread is all of it.
pub(crate) fn pool(threads: usize) -> Result<ThreadPool> {
    let mut wanted = match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    // Where memory is limited, threads would meet its end in the middle of their work.
    #[cfg(unix)]
    if let Some(limit) = rustix::process::getrlimit(rustix::process::Resource::As).current {
        wanted = wanted.min(usize::try_from(limit / SPACE).unwrap_or(usize::MAX));
    }
    while wanted > 0 {
        match ThreadPoolBuilder::new().num_threads(wanted).build() {
            Ok(pool) => return Ok(pool),
            Err(_) => wanted /= 2,
        }
    }
    Ok(ThreadPoolBuilder::new().num_threads(1).use_current_thread().build()?)
}

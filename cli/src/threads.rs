//! Threads, as many as the system grants: a limit on processes or memory makes the work slower, not
//! impossible.

use anyhow::Result;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// A pool of `threads` threads, 0 being one per core, or of fewer where that many cannot be had; at the
/// least, the calling thread is all of it.
pub(crate) fn pool(threads: usize) -> Result<ThreadPool> {
    let mut wanted = match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    loop {
        match ThreadPoolBuilder::new().num_threads(wanted).build() {
            Ok(pool) => return Ok(pool),
            Err(_) if wanted > 1 => wanted /= 2,
            Err(_) => break,
        }
    }
    Ok(ThreadPoolBuilder::new().num_threads(1).use_current_thread().build()?)
}

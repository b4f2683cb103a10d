//! The threads that code: one pool for all files of a command.

use std::{ops::RangeInclusive, path::PathBuf};

use anyhow::{Context, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::input::is_stdin;

/// Numbers of threads that `-T` takes; xz has the same limit.
pub(crate) const THREADS: RangeInclusive<i64> = 0..=16384;

/// Input bytes that keep one more thread busy for longer than it takes to start it.
const BYTES_PER_THREAD: u64 = 256 << 10;

/// Address space that a thread may take: its stack, its part of the heap, what it works on.
const SPACE_PER_THREAD: u64 = 128 << 20;

/// Threads that `-T` asks for on this machine: 0 is one per core, and more than one per core would
/// only wait for each other.
pub(crate) fn threads(asked: u32) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if asked == 0 { cores } else { cores.min(asked as usize) }
}

/// The pool for these files. Where they are small it has fewer threads than asked for, down to the
/// calling one alone.
pub(crate) fn for_files<'a>(
    asked: u32,
    paths: impl IntoIterator<Item = &'a PathBuf>,
) -> Result<ThreadPool> {
    let bytes = paths.into_iter().try_fold(0u64, |sum, path| {
        // The length of pipes and devices is not known. What is missing is reported in its turn.
        let metadata = (!is_stdin(path)).then(|| path.metadata());
        match metadata {
            Some(Ok(metadata)) if metadata.is_file() => Some(sum.saturating_add(metadata.len())),
            Some(Err(_)) => Some(sum),
            _ => None,
        }
    });
    let useful = bytes.map_or(u64::MAX, |bytes| bytes / BYTES_PER_THREAD + 1);
    granted(threads(asked).min(usize::try_from(useful).unwrap_or(usize::MAX)))
}

/// A pool of this many threads, or of as many as the system grants: a limit on processes or memory
/// makes the work slower, not impossible.
fn granted(mut threads: usize) -> Result<ThreadPool> {
    // Where memory is limited, threads would meet its end in the middle of their work.
    #[cfg(unix)]
    if let Some(limit) = rustix::process::getrlimit(rustix::process::Resource::As).current {
        let fit = usize::try_from(limit / SPACE_PER_THREAD).unwrap_or(usize::MAX);
        threads = threads.min(fit.max(1));
    }
    loop {
        match exactly(threads) {
            Err(_) if threads > 1 => threads /= 2,
            pool => return pool,
        }
    }
}

/// A pool of this many threads. A single one is the calling thread, so that none is started.
pub(crate) fn exactly(threads: usize) -> Result<ThreadPool> {
    let mut builder = ThreadPoolBuilder::new().num_threads(threads);
    if threads == 1 {
        builder = builder.use_current_thread();
    }
    builder.build().with_context(|| format!("cannot start {threads} threads"))
}

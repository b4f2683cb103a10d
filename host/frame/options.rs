//! How to write a frame, and what a finished one came to.

use super::wire::{ID_CONTENT, MAX_CHUNK};
use crate::order0;

/// Content bytes of a chunk of numbers unless the options say otherwise. Chunks of bytes have
/// [`order0::DEFAULT_CHUNK`].
pub const DEFAULT_CHUNK: usize = 1 << 20;

/// The most content bytes in work at a time. With the coded form of this batch and of the one
/// before, which is written meanwhile, a writer holds about three times as much.
const MAX_BATCH: usize = 16 << 20;
/// The least: below it, waking the pool costs more than it gains.
const MIN_BATCH: usize = 1 << 20;
// The first batch decides the frame's id.
const _: () = assert!(MIN_BATCH >= ID_CONTENT);

/// Content bytes to hand to the pool at once: enough chunks for all threads to stay busy while the
/// slowest ends.
pub(super) fn batch_bytes(chunk: usize) -> usize {
    (4 * chunk * rayon::current_num_threads()).clamp(MIN_BATCH, MAX_BATCH).max(chunk)
}

/// How to write a frame.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Content bytes of a chunk, 8 to [`MAX_CHUNK`]; none leaves each kind of content the size that
    /// suits its coder.
    pub chunk_size: Option<usize>,
    /// The length of the content, if known: a reader of a pipe can then show how much is left.
    /// Another length in the end is an error.
    pub content_length: Option<u64>,
}

const _: () = assert!(MAX_CHUNK <= order0::MAX_CHUNK && order0::DEFAULT_CHUNK <= DEFAULT_CHUNK);

/// What a finished frame came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Bytes of content.
    pub content: u64,
    /// Bytes of the frame (of all frames, where a reader found several).
    pub frame: u64,
    /// Chunks.
    pub chunks: u64,
}

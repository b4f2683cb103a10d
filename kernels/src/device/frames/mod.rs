//! Chunks of frames, a warp per chunk.
//!
//! - [`coded`]: bytes at any address. [`sink`]: where the symbols of a plane go.
//! - [`order0`]: the pops of an order-0 chunk, four rows at once. [`planes`]: chunks of numbers.

pub mod coded;
pub mod order0;
pub mod planes;
pub mod sink;

use coded::Coded;
use order0::{Source, pour};
use sink::{Bytes, feed};

use super::simt::Simt;
use crate::abi::RowStatus;
use crate::abi::frames::{DECODE_FRAME_SHARED, DecodeFrameShape, FrameChunk, codec, outcome};
use crate::float::Word;

/// Where frames lie: see [`DecodeFrameParams`](crate::abi::frames::DecodeFrameParams).
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "documented there")]
pub struct Frames {
    pub coded: *const u8,
    pub content: *mut u8,
    pub chunks: *const FrameChunk,
    pub status: *mut RowStatus,
}

/// What a warp did with a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Outcome {
    /// The content is there.
    Done = outcome::DONE,
    /// No encoder wrote the coded bytes.
    Damaged = outcome::DAMAGED,
    /// The host has to decode it.
    Unable = outcome::UNABLE,
}

/// A warp and its shared memory.
#[derive(Clone, Copy, Debug)]
pub struct Warp<S> {
    /// The machine.
    pub simt: S,
    /// The thread in the warp.
    pub lane: u32,
    /// The threads before it.
    pub before: u32,
    /// The warp's shared memory.
    pub shared: u32,
}

impl<S: Simt> Warp<S> {
    /// The calling thread's warp, and its number in the launch.
    #[inline(always)]
    fn new(simt: S) -> (Self, u64) {
        let (thread, lane) = (simt.thread(), simt.thread() % 32);
        let warp = thread / 32;
        let shared = simt.shared() + warp * DECODE_FRAME_SHARED;
        let warps = u64::from(simt.block_threads() / 32);
        let number = u64::from(simt.block()) * warps + u64::from(warp);
        (Self { simt, lane, before: (1 << lane) - 1, shared }, number)
    }

    /// Whether any thread of the warp says so.
    #[inline(always)]
    pub fn any(&self, yes: bool) -> bool {
        self.simt.ballot(yes) != 0
    }
}

/// How a kernel decodes chunks.
pub trait ChunkForm {
    /// Decodes a chunk.
    ///
    /// # Safety
    /// As [`decode`]; the coded bytes and the content are those of the chunk.
    unsafe fn decode<S: Simt>(
        warp: Warp<S>,
        coded: Coded,
        content: *mut u8,
        chunk: FrameChunk,
    ) -> Outcome;
}

/// Stored, constant and order-0 chunks.
#[derive(Clone, Copy, Debug)]
pub struct OfBytes;

/// Chunks of numbers of the word's size.
#[derive(Clone, Copy, Debug)]
pub struct OfWords<T>(core::marker::PhantomData<T>);

impl ChunkForm for OfBytes {
    #[inline(always)]
    unsafe fn decode<S: Simt>(
        warp: Warp<S>,
        coded: Coded,
        content: *mut u8,
        chunk: FrameChunk,
    ) -> Outcome {
        let bytes = Bytes::new(content);
        // SAFETY: the content has `raw` bytes, the caller's promise.
        unsafe {
            let source = match chunk.codec {
                codec::STORED => Source::Stored(coded),
                codec::ORDER0 => Source::Coded(coded),
                codec::CONSTANT if matches!(coded.len, 1 | 2 | 4 | 8) => {
                    let byte = |at: u32| coded.byte(at % coded.len);
                    let four = |at: u32| {
                        byte(at) | byte(at + 1) << 8 | byte(at + 2) << 16 | byte(at + 3) << 24
                    };
                    feed(warp, chunk.raw, bytes, four, byte);
                    return Outcome::Done;
                }
                _ => return Outcome::Damaged,
            };
            if pour(warp, source, chunk.raw, bytes) { Outcome::Done } else { Outcome::Damaged }
        }
    }
}

impl<T: Word> ChunkForm for OfWords<T> {
    #[inline(always)]
    unsafe fn decode<S: Simt>(
        warp: Warp<S>,
        coded: Coded,
        content: *mut u8,
        chunk: FrameChunk,
    ) -> Outcome {
        // SAFETY: the caller's promise.
        unsafe { planes::decode::<T, S>(warp, coded, content, chunk) }
    }
}

/// Decodes the chunk of the calling thread's warp.
///
/// # Safety
/// The memory is what [`DecodeFrameParams`](crate::abi::frames::DecodeFrameParams) says, each warp
/// of a block has [`DECODE_FRAME_SHARED`] bytes of shared memory, and nothing else uses the memory
/// meanwhile.
#[inline(always)]
pub unsafe fn decode<F: ChunkForm, S: Simt>(simt: S, frames: Frames, shape: DecodeFrameShape) {
    let (warp, number) = Warp::new(simt);
    if number >= u64::from(shape.chunks) {
        return;
    }
    // SAFETY: the chunk is one of the launch's.
    unsafe {
        let chunk = *frames.chunks.add(number as usize);
        let coded = Coded::new(frames.coded.add(chunk.coded as usize), chunk.coded_bytes);
        let content = frames.content.add(chunk.content as usize);
        let outcome = F::decode(warp, coded, content, chunk);
        if warp.lane == 0 {
            *frames.status.add(number as usize) = RowStatus { code: outcome as u32, position: 0 };
        }
    }
}

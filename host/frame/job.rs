//! What a writer hands to a thread: content that becomes one chunk, or a few small ones if they
//! take less.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::{
    chunk::{Against, ChunkEncoder},
    element::Elements,
    layout::{FEW, Segment, coarser},
    sources::Sources,
    wire::{CHUNK_HEADER, ChunkHeader, ChunkInfo},
};
use crate::Error;

/// About what a chunk takes in the table of chunks.
const TABLE: usize = 5;

/// Bytes that are looked at together for zeros.
const BLOCK: usize = 4 << 10;
/// Blocks of zeros from which a run of them is a chunk of its own. Among other symbols, each zero
/// of it would take part of a bit, and the others more for its sake.
const ZERO_BLOCKS: usize = 8;

/// Content as runs of zeros and what lies between them; none where there are no such runs, or
/// nothing else.
fn zero_runs(raw: &[u8], dtype: Option<Elements>) -> Option<Vec<Segment>> {
    // Runs are cut at multiples of 8 bytes.
    if dtype.is_some_and(|dtype| !8usize.is_multiple_of(dtype.size())) {
        return None;
    }
    let (blocks, _) = raw.as_chunks::<BLOCK>();
    let zero = |block: &[u8; BLOCK]| *block == [0; BLOCK];
    let (mut parts, mut end, mut at) = (Vec::new(), 0, 0);
    let mut part = |length: usize| {
        if length > 0 {
            parts.push(Segment { length: length as u64, dtype });
        }
    };
    while at < blocks.len() {
        let run = blocks[at..].iter().take_while(|block| zero(block)).count();
        if run >= ZERO_BLOCKS {
            // To its very ends, by what every element's size divides.
            let (before, after) = raw.split_at(at * BLOCK);
            let (before, after) = (&before[end..], &after[run * BLOCK..]);
            let words = before.rchunks_exact(8).take_while(|word| **word == [0; 8]).count();
            let more = after.chunks_exact(8).take_while(|word| **word == [0; 8]).count();
            let start = at * BLOCK - 8 * words;
            part(start - end);
            end = (at + run) * BLOCK + 8 * more;
            part(end - start);
        }
        at += run + 1;
    }
    part(raw.len() - end);
    (parts.len() > 1).then_some(parts)
}

/// How the content of a job is coded.
#[derive(Clone, Default)]
pub(super) struct Kind {
    pub(super) dtype: Option<Elements>,
    /// Parts that may be chunks of their own, if that takes less than one chunk of bytes.
    pub(super) parts: Option<Arc<[Segment]>>,
}

/// Content that is coded on one thread: a chunk, or a few small ones.
#[derive(Clone)]
pub(super) struct Job<'a> {
    pub(super) raw: &'a [u8],
    pub(super) kind: Kind,
    /// Whether later chunks may repeat it, which is one chunk then.
    pub(super) kept: bool,
    /// How many bytes before it the chunk begins that it repeats.
    pub(super) repeats: Option<u64>,
}

impl<'a> Job<'a> {
    pub(super) fn new(raw: &'a [u8], kind: Kind) -> Self {
        Self { raw, kind, kept: false, repeats: None }
    }
}

/// Where content belongs.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The id of the frame.
    pub(super) id: u32,
    /// The offset in its content.
    pub(super) offset: u64,
    /// What it may be coded against.
    pub(super) sources: &'a Sources,
}

/// A job's chunks; the coded bytes of all are one after another.
#[derive(Default)]
pub(super) struct Coded {
    pub(super) headers: Vec<ChunkHeader>,
    pub(super) bytes: Vec<u8>,
    /// Bytes that coding numbers by their type has saved, as far as is known.
    pub(super) saved: u64,
    /// Why a base could not be read.
    pub(super) failed: Option<Error>,
    /// Scratch memory for a range of a base.
    base: Vec<u8>,
}

impl Coded {
    /// Replaces these chunks by those of a job whose content begins at `place`.
    pub(super) fn code(&mut self, encoder: &mut ChunkEncoder, job: &Job<'_>, place: Place<'_>) {
        self.headers.clear();
        self.bytes.clear();
        self.saved = 0;
        self.failed = None;
        if let Some(distance) = job.repeats {
            let info = encoder.repeat(job.raw.len(), distance);
            self.push(encoder, info, place);
            return;
        }
        // Content may end before its layout does.
        let parts = job.kind.parts.as_deref().filter(|parts| {
            parts.iter().map(|part| part.length).sum::<u64>() == job.raw.len() as u64
        });
        let Some(parts) = parts else {
            // What later chunks may repeat is one chunk.
            if !job.kept
                && let Some(parts) = zero_runs(job.raw, job.kind.dtype)
            {
                return self.parts(encoder, job.raw, &parts, place);
            }
            self.chunk(encoder, job.raw, job.kind.dtype, place);
            self.headers.iter_mut().for_each(|header| header.kept = job.kept);
            return;
        };
        self.chunk(encoder, job.raw, None, place);
        let together = self.cost();
        let fewer = coarser(parts, FEW);
        for parts in [parts, &fewer] {
            if parts.len() > 1 {
                let mut apart = Self::default();
                apart.parts(encoder, job.raw, parts, place);
                let failed = self.failed.take().or(apart.failed.take());
                if apart.cost() < self.cost() {
                    *self = apart;
                }
                self.failed = failed;
            }
        }
        self.saved = together - self.cost();
    }

    fn parts(
        &mut self,
        encoder: &mut ChunkEncoder,
        raw: &[u8],
        parts: &[Segment],
        place: Place<'_>,
    ) {
        let mut at = 0;
        for part in parts {
            // The parts make up the content.
            let end = at + part.length as usize;
            let place = Place { offset: place.offset + at as u64, ..place };
            self.chunk(encoder, &raw[at..end], part.dtype, place);
            at = end;
        }
    }

    fn chunk(
        &mut self,
        encoder: &mut ChunkEncoder,
        raw: &[u8],
        elements: Option<Elements>,
        place: Place<'_>,
    ) {
        let content = place.offset..place.offset + raw.len() as u64;
        let mut against = None;
        if let Some((number, base, range)) = place.sources.find(&content) {
            let offset = range.start;
            match base.read(range, &mut self.base) {
                Ok(()) => {
                    against = Some(Against { number: number as u64, offset, bytes: &self.base })
                }
                Err(error) => self.failed = Some(error),
            }
        }
        let (info, saved) = encoder.encode(raw, elements, against);
        self.saved += saved;
        self.push(encoder, info, place);
    }

    /// Takes over the chunk that was just coded.
    fn push(&mut self, encoder: &mut ChunkEncoder, info: ChunkInfo, place: Place<'_>) {
        let Place { id, offset, .. } = place;
        let check = xxh3_64(encoder.coded());
        self.headers.push(ChunkHeader { info, kept: false, offset, check, id });
        encoder.append_coded(&mut self.bytes);
    }

    /// Bytes of the frame that the chunks take.
    fn cost(&self) -> u64 {
        (self.bytes.len() + self.headers.len() * (CHUNK_HEADER + TABLE)) as u64
    }
}

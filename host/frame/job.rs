//! What a writer hands to a thread: content that becomes one chunk, or a few small ones if they
//! take less.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::{
    chunk::ChunkEncoder,
    element::Elements,
    layout::{FEW, Segment, coarser},
    wire::{CHUNK_HEADER, ChunkHeader},
};

/// About what a chunk takes in the table of chunks.
const TABLE: usize = 5;

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
}

/// Where content belongs.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// The id of the frame.
    pub(super) id: u32,
    /// The offset in its content.
    pub(super) offset: u64,
}

/// A job's chunks; the coded bytes of all are one after another.
#[derive(Default)]
pub(super) struct Coded {
    pub(super) headers: Vec<ChunkHeader>,
    pub(super) bytes: Vec<u8>,
    /// Bytes that coding numbers by their type has saved, as far as is known.
    pub(super) saved: u64,
}

impl Coded {
    /// Replaces these chunks by those of a job whose content begins at `place`.
    pub(super) fn code(&mut self, encoder: &mut ChunkEncoder, job: &Job<'_>, place: Place) {
        self.headers.clear();
        self.bytes.clear();
        self.saved = 0;
        // Content may end before its layout does.
        let parts = job.kind.parts.as_deref().filter(|parts| {
            parts.iter().map(|part| part.length).sum::<u64>() == job.raw.len() as u64
        });
        let Some(parts) = parts else {
            return self.chunk(encoder, job.raw, job.kind.dtype, place);
        };
        self.chunk(encoder, job.raw, None, place);
        let together = self.cost();
        let fewer = coarser(parts, FEW);
        for parts in [parts, &fewer] {
            if parts.len() > 1 {
                let mut apart = Self::default();
                apart.parts(encoder, job.raw, parts, place);
                if apart.cost() < self.cost() {
                    *self = apart;
                }
            }
        }
        self.saved = together - self.cost();
    }

    fn parts(&mut self, encoder: &mut ChunkEncoder, raw: &[u8], parts: &[Segment], place: Place) {
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
        dtype: Option<Elements>,
        place: Place,
    ) {
        let (info, saved) = encoder.encode(raw, dtype);
        let Place { id, offset } = place;
        self.headers.push(ChunkHeader { info, offset, check: xxh3_64(encoder.coded()), id });
        encoder.append_coded(&mut self.bytes);
        self.saved += saved;
    }

    /// Bytes of the frame that the chunks take.
    fn cost(&self) -> u64 {
        (self.bytes.len() + self.headers.len() * (CHUNK_HEADER + TABLE)) as u64
    }
}

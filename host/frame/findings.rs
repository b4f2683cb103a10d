//! What a survey of a damaged file finds.

use std::ops::Range;

use super::wire::{ChunkHeader, Footer, HEADER, Header, IndexHeader};

/// What stands next in the file.
pub(super) enum Item {
    Frame(FramePlan),
    /// Bytes of the file that are no part of any frame.
    Foreign(Range<u64>),
}

/// A frame, as far as it was found.
pub(super) struct FramePlan {
    pub(super) id: u32,
    pub(super) max_chunk: u32,
    /// Ascending by offset; between them are holes.
    pub(super) chunks: Vec<PlannedChunk>,
    /// The length of the content, where it is known.
    pub(super) length: Option<u64>,
    /// XXH3 of the content, from a sound footer.
    pub(super) check: Option<u64>,
    /// What is wrong with the frame.
    pub(super) trouble: Option<String>,
    /// The end of the frame is not sound: the footer as it should be but for the checksum of the
    /// content, and the bytes that are there.
    pub(super) footer: Option<(Footer, Vec<u8>)>,
    /// Whether more content may be lost than `length` says: the rest of this frame, or frames
    /// behind it.
    pub(super) open: bool,
    /// Whether nothing of the file follows.
    pub(super) last: bool,
    /// Whether frames before this one may be lost: it does not begin where the one before it ends.
    pub(super) apart: bool,
    /// Whether it may be the content of a lost chunk of another frame.
    pub(super) doubtful: bool,
    /// Where it lies in the file.
    pub(super) extent: Range<u64>,
    /// Where the coded bytes of lost chunks are due. Frames before this one that lie there may be
    /// their content.
    pub(super) lost: Vec<Range<i64>>,
}

/// A chunk of the frame.
pub(super) struct PlannedChunk {
    pub(super) number: u64,
    pub(super) offset: u64,
    pub(super) raw: u32,
    /// Where its sound header may stand, the likelier first; none where its header is lost.
    pub(super) places: Vec<i64>,
    /// Whether the bytes are there that a lost chunk takes.
    pub(super) earned: bool,
}

/// A frame followed from its start.
pub(super) struct Front {
    pub(super) at: u64,
    pub(super) id: u32,
    pub(super) max_chunk: u32,
    pub(super) header: Option<Header>,
    pub(super) chunks: Vec<(i64, ChunkHeader)>,
    /// Where the next part is due, and its content offset.
    pub(super) stop: i64,
    pub(super) offset: u64,
    /// Where the coded bytes of the last sound chunk header are due to end: the file may end
    /// before.
    pub(super) reach: i64,
    /// The index header, once the chunks are complete up to it.
    pub(super) index: Option<IndexHeader>,
}

impl Front {
    /// Where its first sound part stands.
    pub(super) fn start(&self) -> u64 {
        self.at + if self.header.is_some() { 0 } else { HEADER as u64 }
    }
}

//! Walking through the frames of a stream from the first byte to the last: what the reader of a
//! pipe does. Decoding is elsewhere; here chunks are found, and anything that is not at its place
//! is an error. Damaged files are read by [`FrameSalvage`](super::FrameSalvage), which can look at
//! a file from both ends.

use std::{collections::HashMap, io::Read, sync::Arc};

use xxhash_rust::xxh3::xxh3_64;

use super::{
    chunk::repeated,
    index::Index,
    source::Source,
    wire::{
        CHUNK_HEADER, ChunkCodec, ChunkHeader, ChunkInfo, FOOTER, Footer, HEADER, Header,
        INDEX_HEADER, IndexHeader, MAGIC, is_index, max_index,
    },
};
use crate::{Error, Result};

/// What the walk meets.
#[derive(Debug)]
pub(super) enum Step {
    /// A chunk and, if it repeats one, that chunk; the coded bytes are not checked yet.
    Chunk { number: u64, header: ChunkHeader, coded: Arc<Vec<u8>>, source: Option<Whole> },
    /// The end of a frame.
    End { footer: Footer, index: Index },
    /// The end of the input.
    Done,
}

/// A chunk's header and coded bytes.
pub(super) type Whole = (ChunkHeader, Arc<Vec<u8>>);

/// The walk.
pub(super) struct Walk<R> {
    source: Source<R>,
    frame: Option<Frame>,
    frames: u64,
    done: bool,
}

struct Frame {
    header: Header,
    /// The chunks seen.
    chunks: Vec<ChunkInfo>,
    /// Those that later ones may repeat, by content offset.
    kept: HashMap<u64, Whole>,
    offset: u64,
    start: u64,
}

impl<R: Read> Walk<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { source: Source::new(inner), frame: None, frames: 0, done: false }
    }

    /// Bytes of the input taken so far.
    pub(super) fn position(&self) -> u64 {
        self.source.position
    }

    /// The most content bytes of a chunk of the frame being walked.
    pub(super) fn max_chunk(&self) -> usize {
        self.frame.as_ref().map_or(0, |frame| frame.header.max_chunk as usize)
    }

    /// The length that the frame being walked announces for its content.
    pub(super) fn content_length(&self) -> Option<u64> {
        self.frame.as_ref().and_then(|frame| frame.header.content_length)
    }

    /// The next step. After an error, or [`Step::Done`], there is none.
    pub(super) fn next(&mut self) -> Result<Step> {
        if self.done {
            return Ok(Step::Done);
        }
        let step = self.step().map_err(|error| self.name(error));
        self.done = matches!(step, Err(_) | Ok(Step::Done));
        step
    }

    fn step(&mut self) -> Result<Step> {
        let Some(mut frame) = self.frame.take() else {
            return match self.begin()? {
                Some(frame) => {
                    self.frame = Some(frame);
                    self.step()
                }
                None => Ok(Step::Done),
            };
        };
        // An error leaves the frame there, for its message.
        let step = match self.source.peek(4)?.first_chunk::<4>() {
            Some(&tag) => is_index(tag),
            None => Err(Error::Truncated("the input ends after a chunk".into())),
        }
        .and_then(|index| if index { self.end(&mut frame) } else { self.chunk(&mut frame) });
        if !matches!(step, Ok(Step::End { .. })) {
            self.frame = Some(frame);
        }
        step
    }

    /// Reads the header of the next frame; none at the end of the input.
    fn begin(&mut self) -> Result<Option<Frame>> {
        let start = self.source.position;
        let bytes = self.source.peek(HEADER)?;
        if bytes.is_empty() && self.frames > 0 {
            return Ok(None);
        }
        let header = match Header::from_start(bytes) {
            // Bytes after a frame that begin no other one are damage of this file and not a foreign
            // file.
            Err(Error::Unsupported(_))
                if self.frames > 0 && !super::is_frame(&bytes[..bytes.len().min(MAGIC.len())]) =>
            {
                return Err(Error::Corrupt(format!(
                    "bytes after the end of the frame, from file offset {start}, begin no other frame"
                )));
            }
            header => header?,
        };
        self.source.consume(HEADER);
        self.frames += 1;
        let (chunks, kept) = (Vec::new(), HashMap::new());
        Ok(Some(Frame { header, chunks, kept, offset: 0, start }))
    }

    fn chunk(&mut self, frame: &mut Frame) -> Result<Step> {
        let bytes = self.source.peek(CHUNK_HEADER)?;
        let Some(bytes) = bytes.first_chunk::<CHUNK_HEADER>() else {
            return Err(Error::Truncated("the input ends inside a chunk header".into()));
        };
        let header = ChunkHeader::from_bytes(bytes, frame.header.max_chunk)?;
        if header.id != frame.header.id {
            return Err(Error::Corrupt("a chunk of another frame".into()));
        }
        if header.offset != frame.offset {
            return Err(Error::Corrupt(format!(
                "a chunk for content offset {} where {} is next",
                header.offset, frame.offset
            )));
        }
        self.source.consume(CHUNK_HEADER);
        let mut coded = Vec::new();
        let want = header.info.coded as usize;
        let got = self.source.take(want, &mut coded)?;
        if got < want {
            return Err(Error::Truncated(format!(
                "the input ends {got} bytes into the {want} of the chunk"
            )));
        }
        let number = frame.chunks.len() as u64;
        let coded = Arc::new(coded);
        let repeats = header.info.codec == ChunkCodec::Repeat;
        let source = if repeats {
            // Its own bytes are all that finds its source: they are checked here.
            if !header.matches(&coded) {
                return Err(Error::Corrupt("the coded bytes differ from their checksum".into()));
            }
            let source = frame.offset.checked_sub(repeated(&coded)?);
            let source = source.and_then(|source| frame.kept.get(&source));
            let source = source.filter(|(source, _)| source.info.raw == header.info.raw);
            Some(source.cloned().ok_or_else(no_source)?)
        } else {
            None
        };
        if header.kept && !repeats {
            frame.kept.insert(frame.offset, (header, coded.clone()));
        }
        frame.offset += u64::from(header.info.raw);
        frame.chunks.push(header.info);
        Ok(Step::Chunk { number, header, coded, source })
    }

    fn end(&mut self, frame: &mut Frame) -> Result<Step> {
        let position = self.source.position;
        let bytes = self.source.peek(INDEX_HEADER)?;
        let Some(bytes) = bytes.first_chunk::<INDEX_HEADER>() else {
            return Err(Error::Truncated("the input ends inside the index header".into()));
        };
        let header = IndexHeader::from_bytes(bytes)?;
        if header.id != frame.header.id || header.content_length != frame.offset {
            return Err(Error::Corrupt(format!(
                "the index of another frame, or of content that ends at {} and not at {}",
                header.content_length, frame.offset
            )));
        }
        if header.length > max_index(frame.chunks.len() as u64) {
            return Err(Error::Corrupt(format!(
                "an index of {} bytes for {} chunks",
                header.length,
                frame.chunks.len()
            )));
        }
        self.source.consume(INDEX_HEADER);
        let want = header.length as usize;
        let mut bytes = Vec::new();
        if self.source.take(want, &mut bytes)? < want {
            return Err(Error::Truncated(format!(
                "the input ends inside the index of {want} bytes"
            )));
        }
        let footer = self.source.peek(FOOTER)?;
        let Some(footer) = footer.first_chunk::<FOOTER>() else {
            return Err(Error::Truncated("the input ends inside the footer".into()));
        };
        let footer = Footer::from_bytes(footer)?;
        if footer.index_check != xxh3_64(&bytes) {
            return Err(Error::Corrupt("the index differs from its checksum".into()));
        }
        let index = Index::from_bytes(&bytes, frame.header.max_chunk)?;
        if footer.id != frame.header.id
            || footer.index_offset != position - frame.start
            || footer.index_length != header.length
            || footer.content_length != frame.offset
            || frame.header.content_length.is_some_and(|announced| announced != frame.offset)
            || index.chunks != frame.chunks
        {
            return Err(Error::Corrupt("the index does not describe the chunks before it".into()));
        }
        self.source.consume(FOOTER);
        Ok(Step::End { footer, index })
    }

    /// Says where the error lies.
    fn name(&self, error: Error) -> Error {
        let position = self.source.position;
        let Some(frame) = &self.frame else { return error };
        let place = format!(
            "chunk {} (content offset {}, file offset {position})",
            frame.chunks.len(),
            frame.offset
        );
        match error {
            Error::Corrupt(m) => Error::Corrupt(format!("{place}: {m}")),
            Error::Truncated(m) => Error::Truncated(format!("{place}: {m}")),
            Error::Unsupported(m) => Error::Unsupported(format!("{place}: {m}")),
            error => error,
        }
    }
}

/// A chunk that repeats no chunk, one of another length, or one that was not to be kept.
pub(super) fn no_source() -> Error {
    Error::Corrupt("no chunk is kept that this one could repeat".into())
}

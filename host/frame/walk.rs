//! Walking through the frames of a stream from the first byte to the last: what the reader of a pipe does. Decoding is
//! elsewhere; here chunks are found, and lost ones noticed.

use std::{io::Read, ops::Range};

use xxhash_rust::xxh3::xxh3_64;

use super::{
    index::Index,
    source::Source,
    wire::{
        CHUNK_HEADER, ChunkHeader, FOOTER, Footer, HEADER, Header, INDEX_HEADER, IndexHeader,
        MAGIC, MAX_CHUNK, is_index,
    },
};
use crate::{Error, Result};

/// A part of the content that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The number of the chunk in its frame, counted from 0 over the chunks that were found.
    pub chunk: u64,
    /// Where in the content of all frames the lost bytes belong. Empty where none were lost but the frame is not as it
    /// was written; ends at `u64::MAX` where nobody knows how much is missing.
    pub content: Range<u64>,
    /// What is wrong.
    pub reason: String,
}

/// What the walk meets.
#[derive(Debug)]
pub(super) enum Step {
    /// A chunk; its coded bytes are not checked yet.
    Chunk { number: u64, header: ChunkHeader, coded: Vec<u8> },
    /// Content that is missing (only when damage is allowed). Offsets within the frame.
    Lost(Damage),
    /// The end of a frame whose structure is sound.
    End { footer: Footer, index: Index },
    /// The end of a frame whose index or footer is lost (only when damage is allowed).
    Broken,
    /// The end of the input.
    Done,
}

/// The walk.
pub(super) struct Walk<R> {
    source: Source<R>,
    keep_going: bool,
    frame: Option<Frame>,
    frames: u64,
    done: bool,
    /// A step to take before looking at the input again.
    queued: Option<Step>,
}

struct Frame {
    header: Header,
    index: Index,
    offset: u64,
    start: u64,
    /// The table of chunks seen is not the writer's.
    incomplete: bool,
}

impl<R: Read> Walk<R> {
    pub(super) fn new(inner: R, keep_going: bool) -> Self {
        let source = Source::new(inner);
        Self { source, keep_going, frame: None, frames: 0, done: false, queued: None }
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

    /// Reads the header of the next frame; `false` at the end of the input.
    fn begin(&mut self) -> Result<bool> {
        let start = self.source.position;
        let bytes = self.source.peek(HEADER)?;
        if bytes.is_empty() && self.frames > 0 {
            return Ok(false);
        }
        let header = match bytes.first_chunk::<HEADER>() {
            Some(bytes) => Header::from_bytes(bytes),
            None if MAGIC.starts_with(&bytes[..bytes.len().min(MAGIC.len())])
                || bytes.starts_with(&MAGIC) =>
            {
                Err(Error::Truncated(format!(
                    "the input ends after {} bytes, inside a frame header",
                    bytes.len()
                )))
            }
            None => {
                Err(Error::Unsupported("not a parans frame: its first bytes are others".into()))
            }
        };
        let (header, incomplete) = match header {
            Ok(header) => {
                self.source.consume(HEADER);
                (header, false)
            }
            // Another version has another layout: there is nothing to save here. But a damaged header is worth a look
            // behind it.
            Err(Error::Corrupt(_)) if self.keep_going => {
                (Header { max_chunk: MAX_CHUNK as u32, content_length: None }, true)
            }
            Err(Error::Unsupported(m))
                if self.keep_going && m.starts_with("not a parans") && self.frames == 0 =>
            {
                (Header { max_chunk: MAX_CHUNK as u32, content_length: None }, true)
            }
            Err(error) => return Err(self.after_frame(error)),
        };
        self.frame = Some(Frame { header, index: Index::default(), offset: 0, start, incomplete });
        self.frames += 1;
        if incomplete {
            self.queued = Some(Step::Lost(Damage {
                chunk: 0,
                content: 0..0,
                reason: "the frame header is damaged".into(),
            }));
        }
        Ok(true)
    }

    /// Bytes after a frame that begin no other one are damage of this file and not a foreign file.
    fn after_frame(&self, error: Error) -> Error {
        match error {
            Error::Unsupported(m) if self.frames > 0 && m.starts_with("not a parans") => {
                Error::Corrupt(format!(
                    "bytes after the end of the frame, from offset {}, begin no other frame",
                    self.source.position
                ))
            }
            error => error,
        }
    }

    /// The next step. After an error, or [`Step::Done`], there is none.
    pub(super) fn next(&mut self) -> Result<Step> {
        if self.done {
            return Ok(Step::Done);
        }
        let step = self.step();
        self.done = matches!(step, Err(_) | Ok(Step::Done));
        step
    }

    fn step(&mut self) -> Result<Step> {
        if self.frame.is_none() && !self.begin()? {
            return Ok(Step::Done);
        }
        if let Some(step) = self.queued.take() {
            return Ok(step);
        }
        let found = self.look().and_then(|index| match index {
            Some(index) => self.end(index),
            None => self.chunk(),
        });
        match found {
            Ok(step) => Ok(step),
            Err(error @ (Error::Corrupt(_) | Error::Truncated(_))) if self.keep_going => {
                self.scan(&error)
            }
            Err(error) => Err(self.name(error)),
        }
    }

    fn frame(&mut self) -> &mut Frame {
        // `step` begins a frame before anything that asks for it.
        self.frame.as_mut().expect("a frame has begun")
    }

    /// What begins at this place: a sound index header, or else a chunk (sound or not).
    fn look(&mut self) -> Result<Option<IndexHeader>> {
        let tag = self.source.peek(INDEX_HEADER)?;
        let Some(bytes) = tag.first_chunk::<INDEX_HEADER>() else {
            return Err(Error::Truncated(format!(
                "the input ends {} bytes after a chunk",
                tag.len()
            )));
        };
        let index = is_index([bytes[0], bytes[1], bytes[2], bytes[3]])?;
        if index { IndexHeader::from_bytes(bytes).map(Some) } else { Ok(None) }
    }

    fn chunk(&mut self) -> Result<Step> {
        let max_chunk = self.frame().header.max_chunk;
        let bytes = self.source.peek(CHUNK_HEADER)?;
        let Some(bytes) = bytes.first_chunk::<CHUNK_HEADER>() else {
            return Err(Error::Truncated("the input ends inside a chunk header".into()));
        };
        let header = ChunkHeader::from_bytes(bytes, max_chunk)?;
        let frame = self.frame();
        if header.offset != frame.offset {
            return Err(Error::Corrupt(format!(
                "a chunk for content offset {} where {} is next",
                header.offset, frame.offset
            )));
        }
        self.source.consume(CHUNK_HEADER);
        self.coded(header)
    }

    fn coded(&mut self, header: ChunkHeader) -> Result<Step> {
        let mut coded = Vec::new();
        let want = header.info.coded as usize;
        let got = self.source.take(want, &mut coded)?;
        if got < want {
            return Err(Error::Truncated(format!(
                "the input ends {got} bytes into the {want} of the chunk"
            )));
        }
        let frame = self.frame();
        let number = frame.index.chunks.len() as u64;
        frame.offset += u64::from(header.info.raw);
        frame.index.chunks.push(header.info);
        Ok(Step::Chunk { number, header, coded })
    }

    fn end(&mut self, header: IndexHeader) -> Result<Step> {
        self.source.consume(INDEX_HEADER);
        let position = self.source.position - INDEX_HEADER as u64;
        let want = usize::try_from(header.length)
            .map_err(|_| Error::Corrupt(format!("an index of {} bytes", header.length)))?;
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
        self.source.consume(FOOTER);
        if footer.index_check != xxh3_64(&bytes) {
            return Err(Error::Corrupt("the index differs from its checksum".into()));
        }
        let frame = self.frame.as_mut().expect("a frame has begun");
        let index = Index::from_bytes(&bytes, frame.header.max_chunk)?;
        let length = index.content_length();
        let consistent = footer.content_length == length
            && footer.index_length == header.length
            && frame.header.content_length.is_none_or(|announced| announced == length);
        let as_seen =
            footer.index_offset == position - frame.start && index.chunks == frame.index.chunks;
        if !consistent || !(as_seen || self.keep_going) {
            return Err(Error::Corrupt("the index does not describe the chunks before it".into()));
        }
        let whole = as_seen && !frame.incomplete;
        let (offset, chunk) = (frame.offset, frame.index.chunks.len() as u64);
        self.frame = None;
        let end = if whole { Step::End { footer, index } } else { Step::Broken };
        if offset < length {
            self.queued = Some(end);
            let reason = "chunks are missing before the index".into();
            return Ok(Step::Lost(Damage { chunk, content: offset..length, reason }));
        }
        Ok(end)
    }

    /// Looks for the next sound chunk or index after damage.
    fn scan(&mut self, error: &Error) -> Result<Step> {
        let begin = self.source.position;
        let frame = self.frame();
        // Neither a header nor a chunk was seen: perhaps this never was a frame.
        let foreign = frame.incomplete && frame.index.chunks.is_empty();
        frame.incomplete = true;
        let (max_chunk, offset) = (frame.header.max_chunk, frame.offset);
        let announced = frame.header.content_length;
        let chunk = frame.index.chunks.len() as u64;
        loop {
            let window_at = self.source.position - begin;
            let window = self.source.peek(64 << 10)?;
            let at_end = window.len() < CHUNK_HEADER;
            let mut skip = 0;
            // A header that the window cuts in two is looked at in the next one.
            let whole = if at_end { INDEX_HEADER } else { CHUNK_HEADER };
            for place in 0..window.len().saturating_sub(whole - 1) {
                let here = &window[place..];
                skip = place + 1;
                if let Some(bytes) = here.first_chunk::<CHUNK_HEADER>() {
                    // How much content the bytes passed over can have held: no chunk is shorter than 37 bytes. It
                    // keeps a forged offset from filling the disk.
                    let passed = window_at + place as u64;
                    let most = (passed / (CHUNK_HEADER as u64 + 1) + 1) * u64::from(max_chunk);
                    match ChunkHeader::from_bytes(bytes, max_chunk) {
                        Ok(header) if header.offset >= offset && header.offset - offset <= most => {
                            self.source.consume(place);
                            let frame = self.frame();
                            frame.offset = header.offset;
                            let content = offset..header.offset;
                            return Ok(Step::Lost(Damage {
                                chunk,
                                content,
                                reason: error.to_string(),
                            }));
                        }
                        _ => {}
                    }
                }
                if here
                    .first_chunk::<INDEX_HEADER>()
                    .is_some_and(|bytes| IndexHeader::from_bytes(bytes).is_ok())
                {
                    self.source.consume(place);
                    return Ok(Step::Lost(Damage {
                        chunk,
                        content: offset..offset,
                        reason: error.to_string(),
                    }));
                }
            }
            if at_end {
                let rest = self.source.peek(CHUNK_HEADER)?.len();
                self.source.consume(rest);
                self.frame = None;
                self.queued = None;
                self.done = true;
                if foreign {
                    return Err(Error::Unsupported("not a parans frame: no chunk in it".into()));
                }
                let reason = format!("{error}; nothing sound follows");
                let end = if announced == Some(offset) { offset } else { u64::MAX };
                return Ok(Step::Lost(Damage { chunk, content: offset..end, reason }));
            }
            self.source.consume(skip);
        }
    }

    /// Says where the error lies.
    fn name(&mut self, error: Error) -> Error {
        let position = self.source.position;
        let Some(frame) = &self.frame else { return error };
        let place = format!(
            "chunk {} (content offset {}, file offset {position})",
            frame.index.chunks.len(),
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

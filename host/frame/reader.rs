//! Reading frames from first to last, from anything that can be read: a pipe is enough. Chunks are
//! checked and decoded on the caller's rayon pool while the next ones are read.

use std::{
    io::{self, Read, Write},
    ops::Range,
    sync::Arc,
};

use rayon::prelude::*;
use xxhash_rust::xxh3::Xxh3;

use super::{
    base::{Base, Bases},
    chunk::ChunkDecoder,
    index::Index,
    options::{Summary, batch_bytes},
    walk::{Step, Walk},
    wire::ChunkHeader,
};
use crate::{Error, Result};

/// How to read frames.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// The most content to take. More is an error, `TooLarge`, before it is given.
    pub max_content: u64,
    /// Keep the index of every frame that was read, for [`FrameReader::indexes`]: memory then grows
    /// with the number of frames.
    pub keep_indexes: bool,
    /// What the frames may be coded against. A stream names its bases only at its end, so each
    /// chunk is decoded with the first base whose bytes have the checksum that the chunk gives.
    pub bases: Vec<Arc<Base>>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { max_content: u64::MAX, keep_indexes: false, bases: Vec::new() }
    }
}

impl ReadOptions {
    pub(super) fn too_much(&self) -> Error {
        Error::TooLarge(format!("more content than the {} bytes allowed", self.max_content))
    }
}

/// Reads the frames of a stream, one after another; see the [module](super) for the whole.
///
/// [`Read`] gives the content. Everything is checked before its end is reported: each chunk before
/// it is decoded, and at the end of a frame the whole content, the table of chunks and the lengths.
/// Memory is bounded by two batches of chunks, by the index of one frame, with 12 bytes for each
/// chunk, and by the coded bytes of chunks that its writer marked for later ones to repeat.
///
/// A reader that failed, or in which a panic was caught, stays failed: every later call gives an
/// error. The content given before the first error is right as far as it goes.
pub struct FrameReader<R> {
    walk: Walk<R>,
    options: ReadOptions,
    bases: Bases,
    /// Steps taken and not decoded yet, and the error the walk ended with behind them.
    ahead: Vec<Step>,
    failure: Option<Error>,
    /// Decoded content, in order.
    ready: std::vec::IntoIter<Ready>,
    current: Vec<u8>,
    taken: usize,
    hash: Xxh3,
    /// Content bytes given out.
    given: u64,
    chunks: u64,
    indexes: Vec<Index>,
    finished: bool,
    /// Set while a call runs, and for ever by one that fails or panics.
    failed: bool,
}

/// What a step is counted as, in bytes, when it holds less content.
const STEP: usize = 256;

/// A step after decoding.
enum Ready {
    Content { bytes: Vec<u8>, number: u64, raw: u64, error: Option<Error> },
    Other(Step),
}

impl<R: Read + Send> FrameReader<R> {
    /// Reads frames from `inner`, which is best buffered: chunk headers are read by themselves.
    pub fn new(inner: R, options: ReadOptions) -> Self {
        Self {
            walk: Walk::new(inner),
            bases: options.bases.clone().into(),
            options,
            ahead: Vec::new(),
            failure: None,
            ready: Vec::new().into_iter(),
            current: Vec::new(),
            taken: 0,
            hash: Xxh3::new(),
            given: 0,
            chunks: 0,
            indexes: Vec::new(),
            finished: false,
            failed: false,
        }
    }

    /// Writes all that is left of the content to `output` and returns what was read, from the
    /// beginning.
    ///
    /// # Errors
    /// `Unsupported` for bytes that are no frame, for another version, an unknown codec or element
    /// type; `Corrupt` and `Truncated` for damage, with the chunk it is in; `TooLarge` for more
    /// content than the options allow; `Io` from either side.
    pub fn copy_to<W: Write + ?Sized>(&mut self, output: &mut W) -> Result<Summary> {
        self.guard(|reader| {
            while reader.more()? {
                output.write_all(&reader.current[reader.taken..])?;
                reader.taken = reader.current.len();
            }
            Ok(reader.summary())
        })
    }

    /// Does `work`; unless that succeeds, the reader stays failed.
    fn guard<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.failed {
            return Err(io::Error::other("an earlier read of these frames failed").into());
        }
        self.failed = true;
        let done = work(self)?;
        self.failed = false;
        Ok(done)
    }

    /// What was read so far; `frame` counts the bytes of input taken, some perhaps ahead of the
    /// content.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary { content: self.given, frame: self.walk.position(), chunks: self.chunks }
    }

    /// The length that the frame being read announces for its content, if it does.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.walk.content_length()
    }

    /// The indexes of the frames read to their ends, if [`ReadOptions::keep_indexes`] asks for
    /// them. Those of containers whose directory was left out (see
    /// [`FrameWriter::finish`](super::FrameWriter::finish)) have no entries.
    #[must_use]
    pub fn indexes(&self) -> &[Index] {
        &self.indexes
    }

    /// Makes sure that there is content to give; `false` at the end of the input.
    fn more(&mut self) -> Result<bool> {
        while self.taken == self.current.len() {
            if self.finished {
                return Ok(false);
            }
            match self.ready.next() {
                Some(ready) => self.give(ready)?,
                None => match self.failure.take() {
                    Some(error) if self.ahead.is_empty() => return Err(error),
                    failure => {
                        self.failure = failure;
                        self.read_on();
                    }
                },
            }
        }
        Ok(true)
    }

    fn give(&mut self, ready: Ready) -> Result<()> {
        match ready {
            Ready::Content { bytes, number, raw, error } => {
                let content = self.given..self.given + raw;
                if raw > self.options.max_content.saturating_sub(self.given) {
                    return Err(self.options.too_much());
                }
                self.current = bytes;
                self.taken = 0;
                self.given += raw;
                self.chunks += 1;
                match error {
                    None => self.hash.update(&self.current),
                    Some(error) => {
                        self.current.clear();
                        return Err(in_chunk(error, number, &content));
                    }
                }
            }
            Ready::Other(Step::End { footer, index }) => {
                if self.hash.digest() != footer.content_check {
                    return Err(Error::Corrupt(
                        "the content differs from the checksum of the whole".into(),
                    ));
                }
                if self.options.keep_indexes {
                    self.indexes.push(index);
                }
                self.hash.reset();
            }
            Ready::Other(Step::Done) => self.finished = true,
            Ready::Other(Step::Chunk { .. }) => {}
        }
        Ok(())
    }

    /// Decodes what was read and reads the next batch at the same time.
    fn read_on(&mut self) {
        let steps = std::mem::take(&mut self.ahead);
        let walk = &mut self.walk;
        let stopped = self.failure.is_some();
        let (ready, (ahead, failure)) = rayon::join(
            || decode_all(steps, &self.bases),
            || if stopped { (Vec::new(), None) } else { read_batch(walk) },
        );
        self.ready = ready.into_iter();
        self.ahead = ahead;
        self.failure = self.failure.take().or(failure);
    }
}

/// Steps until a batch of content is full, the input ends or fails.
fn read_batch<R: Read>(walk: &mut Walk<R>) -> (Vec<Step>, Option<Error>) {
    let mut steps = Vec::new();
    let mut size = 0;
    while size < batch_bytes(walk.max_chunk()) {
        match walk.next() {
            Ok(step) => {
                let content = match &step {
                    Step::Chunk { header, .. } => header.info.raw as usize,
                    Step::End { index, .. } => index.size(),
                    _ => 0,
                };
                // A step has a size of its own: chunks of one byte, or frames without any, must not
                // pile up.
                size += content.max(STEP);
                let done = matches!(step, Step::Done);
                steps.push(step);
                if done {
                    break;
                }
            }
            Err(error) => return (steps, Some(error)),
        }
    }
    (steps, None)
}

fn decode_all(steps: Vec<Step>, bases: &Bases) -> Vec<Ready> {
    steps
        .into_par_iter()
        .map_init(ChunkDecoder::new, |decoder, step| match step {
            Step::Chunk { number, header, coded, source } => {
                let mut bytes = Vec::new();
                let decoded = match &source {
                    None => decode(decoder, &header, &coded, bases, &mut bytes),
                    Some((header, coded)) => decode(decoder, header, coded, bases, &mut bytes),
                };
                let error = decoded.err();
                Ready::Content { bytes, number, raw: header.info.raw.into(), error }
            }
            other => Ready::Other(other),
        })
        .collect()
}

/// Checks and decodes one chunk, which repeats no other; leaves zeros where that fails.
pub(super) fn decode(
    decoder: &mut ChunkDecoder,
    header: &ChunkHeader,
    coded: &[u8],
    bases: &Bases,
    out: &mut Vec<u8>,
) -> Result<()> {
    out.clear();
    out.resize(header.info.raw as usize, 0);
    header.check_coded(coded)?;
    decoder.decode(header.info, coded, bases, out).inspect_err(|_| out.fill(0))
}

/// Says which chunk an error is about.
pub(crate) fn in_chunk(error: Error, number: u64, content: &Range<u64>) -> Error {
    let place = format!("chunk {number} (content bytes {}..{})", content.start, content.end);
    match error {
        Error::Corrupt(m) | Error::Truncated(m) => Error::Corrupt(format!("{place}: {m}")),
        Error::Unsupported(m) => Error::Unsupported(format!("{place}: {m}")),
        Error::Base(m) => Error::Base(format!("{place}: {m}")),
        error => error,
    }
}

impl<R: Read + Send> Read for FrameReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.guard(|reader| {
            if out.is_empty() || !reader.more()? {
                return Ok(0);
            }
            let here = &reader.current[reader.taken..];
            let n = here.len().min(out.len());
            out[..n].copy_from_slice(&here[..n]);
            reader.taken += n;
            Ok(n)
        });
        read.map_err(|error| match error {
            Error::Io(error) => error,
            error => io::Error::new(io::ErrorKind::InvalidData, error),
        })
    }
}

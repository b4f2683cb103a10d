//! Writing a frame: content goes in as one stream of bytes, is cut into chunks, coded on the
//! caller's rayon pool and written in order. Nothing is ever gone back to.

use std::{
    collections::{HashSet, VecDeque},
    io::{self, Write},
};

use rayon::prelude::*;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::{
    chunk::ChunkEncoder,
    element::Elements,
    index::{Container, Entry, Index},
    job::{Coded, Job, Kind, Place},
    layout::{Layout, Run, runs},
    options::{DEFAULT_CHUNK, Summary, WriteOptions, batch_bytes},
    sources::{Repeats, Sources},
    wire::{
        CHUNK_HEADER, FOOTER, Footer, HEADER, Header, INDEX_HEADER, IndexHeader, MAX_CHUNK,
        max_index,
    },
};
use crate::{Error, Result, order0};

mod against;
#[cfg(feature = "containers")]
mod recognised;

/// What the directory may cost beyond what recognising the content saved, and a frame with it
/// beyond its content: so many bytes, and one in so many.
const DIRECTORY: u64 = 200;
const DIRECTORY_SHARE: u64 = 1000;

/// Writes one frame to `W`; see the [module](super) for the whole.
///
/// [`Write`] takes content. [`FrameWriter::finish`] writes the index: without it the frame is
/// incomplete and every reader says so. Memory is bounded by a few batches of chunks and 12 bytes
/// for each chunk of the index.
///
/// A writer that failed, or in which a panic was caught, stays failed: every later call gives an
/// error.
pub struct FrameWriter<W: Write> {
    inner: W,
    options: WriteOptions,
    max_chunk: u32,
    /// The id of the frame, once its header is written: with the first batch, whose content it
    /// depends on.
    id: Option<u32>,
    batch: usize,
    index: Index,
    /// The names of the entries.
    names: HashSet<String>,
    /// Where the chunks of the next bytes are cut; plain bytes without end once it is empty.
    runs: VecDeque<Run>,
    /// Content bytes that the layout speaks of, if there is one.
    planned: Option<u64>,
    /// What the content may be coded against, and what of it repeats.
    sources: Sources,
    repeats: Repeats,
    /// Whole chunks, and at the end a part of one, that wait for a batch to be full.
    buffer: Vec<u8>,
    /// What is whole in `buffer`: where each job ends, and how it is coded.
    waiting: Vec<(usize, Kind)>,
    /// The batch before, coded but not written.
    coded: Vec<Coded>,
    /// Memory of the batch before that, to be used again.
    spare: Vec<Coded>,
    hash: Xxh3,
    /// Content offset of the next chunk to be coded.
    offset: u64,
    /// Content bytes that have come.
    taken: u64,
    written: u64,
    /// Bytes that coding numbers by their type has saved, as far as is known.
    saved: u64,
    /// Set while a call runs, and for ever by one that fails or panics.
    failed: bool,
}

impl<W: Write + Send> FrameWriter<W> {
    /// Begins a frame of plain bytes.
    ///
    /// # Errors
    /// `InvalidArgument` for a chunk size outside its limits, `Io` from the writer.
    pub fn new(inner: W, options: WriteOptions) -> Result<Self> {
        Self::with_layout(inner, options, Layout::default())
    }

    /// Begins a frame of content laid out as `layout` says: its entries go into the directory, its
    /// segments say where chunks are cut and how they are coded.
    ///
    /// # Errors
    /// As [`FrameWriter::new`], and `InvalidArgument` for an entry the format cannot keep, and for
    /// two entries of one name in a layout of no container.
    pub fn with_layout(inner: W, options: WriteOptions, layout: Layout) -> Result<Self> {
        let chunk_size = options.chunk_size.unwrap_or(DEFAULT_CHUNK);
        if !(8..=MAX_CHUNK).contains(&chunk_size) {
            return Err(Error::InvalidArgument(format!(
                "chunks of {chunk_size} bytes: 8 to {MAX_CHUNK} allowed"
            )));
        }
        let mut names = HashSet::new();
        for entry in &layout.entries {
            entry.check()?;
            // A container has the names that it has.
            if !names.insert(entry.name.clone()) && layout.container == Container::None {
                return Err(taken(entry));
            }
        }
        let planned = (!layout.segments.is_empty()).then(|| layout.length());
        let together = options.chunk_size.unwrap_or(order0::DEFAULT_CHUNK) / 8 * 8;
        Ok(Self {
            inner,
            max_chunk: chunk_size as u32,
            id: None,
            batch: batch_bytes(chunk_size),
            options,
            index: Index {
                container: layout.container,
                entries: layout.entries,
                ..Index::default()
            },
            names,
            runs: runs(layout.segments, together as u64),
            planned,
            sources: Sources::default(),
            repeats: Repeats::default(),
            buffer: Vec::new(),
            waiting: Vec::new(),
            coded: Vec::new(),
            spare: Vec::new(),
            hash: Xxh3::new(),
            offset: 0,
            taken: 0,
            written: 0,
            saved: 0,
            failed: false,
        })
    }

    /// Writes the content of an entry; its chunks are coded by `dtype`.
    pub(super) fn write_entry(
        &mut self,
        entry: Entry,
        dtype: Option<Elements>,
        bytes: &[u8],
    ) -> Result<()> {
        self.expect_sound()?;
        if self.planned.is_some() {
            return Err(Error::InvalidArgument(
                "a frame with a layout takes no other entries".into(),
            ));
        }
        entry.check()?;
        if !self.names.insert(entry.name.clone()) {
            return Err(taken(&entry));
        }
        self.end_chunk();
        self.runs.push_back(Run { length: bytes.len() as u64, dtype, parts: None });
        self.sources.note(&entry);
        self.index.entries.push(entry);
        self.write_all(bytes)?;
        Ok(())
    }

    /// Refuses to go on after a failure: what was written is not what was given.
    fn expect_sound(&self) -> io::Result<()> {
        if self.failed {
            return Err(io::Error::other("an earlier write to this frame failed"));
        }
        Ok(())
    }

    /// Does `work`; unless that succeeds, the writer stays failed.
    fn guard(&mut self, work: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.expect_sound()?;
        self.failed = true;
        work(self)?;
        self.failed = false;
        Ok(())
    }

    /// Content bytes taken so far, which is the content offset of the next one.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.offset + self.buffer.len() as u64
    }

    /// Writes what is left, the index and the footer, and gives the writer back, flushed.
    ///
    /// Content of another length than its layout is taken for plain bytes: its entries are dropped.
    /// So are those of a recognised container where they would make the frame larger than its
    /// content or than that of plain bytes, by more than 200 bytes and 0.1 %:
    /// [`FrameArchive`](super::FrameArchive) finds them in the content.
    ///
    /// # Errors
    /// `InvalidArgument` if the content has another length than the options announced; `Io` from
    /// the writer, and where an earlier call failed.
    pub fn finish(mut self) -> Result<(W, Summary)> {
        self.end_chunk();
        self.guard(|writer| {
            writer.code_waiting(&[])?;
            writer.code_waiting(&[])
        })?;
        if self.options.content_length.is_some_and(|length| length != self.offset) {
            return Err(Error::InvalidArgument(format!(
                "{} bytes of content announced, {} written",
                self.options.content_length.unwrap_or_default(),
                self.offset
            )));
        }
        if self.planned.is_some_and(|length| length != self.offset) {
            self.index.entries.clear();
            self.index.container = Container::None;
        }
        if let Some(entry) = self.index.entries.iter().find(|entry| entry.end() > self.offset) {
            return Err(Error::InvalidArgument(format!(
                "entry {:?} ends at {}, after the content of {} bytes",
                entry.name,
                entry.end(),
                self.offset
            )));
        }
        if self.index.has_bases() {
            self.index.bases = self.sources.names()?;
        }
        let index = self.index_bytes();
        let footer = Footer {
            index_offset: self.written,
            index_length: index.len() as u64,
            index_check: xxh3_64(&index),
            content_length: self.offset,
            content_check: self.hash.digest(),
            id: self.id.unwrap_or_default(),
        };
        if footer.index_length > max_index(self.index.chunks.len() as u64) {
            return Err(Error::InvalidArgument(format!(
                "a directory of {} entries: it is longer than a frame can have",
                self.index.entries.len()
            )));
        }
        let index_header = IndexHeader {
            id: footer.id,
            length: footer.index_length,
            content_length: footer.content_length,
        };
        for part in [&index_header.to_bytes()[..], &index, &footer.to_bytes()] {
            self.inner.write_all(part)?;
            self.written += part.len() as u64;
        }
        self.inner.flush()?;
        let chunks = self.index.chunks.len() as u64;
        Ok((self.inner, Summary { content: self.offset, frame: self.written, chunks }))
    }

    /// The index, with the directory of a container if it costs no more than it may.
    fn index_bytes(&mut self) -> Vec<u8> {
        let whole = self.index.to_bytes();
        let entries = std::mem::take(&mut self.index.entries);
        let bare = self.index.to_bytes();
        let cost = whole.len().saturating_sub(bare.len()) as u64;
        let frame = self.written + (INDEX_HEADER + whole.len() + FOOTER) as u64;
        let too_much = cost > self.saved + DIRECTORY + self.written / DIRECTORY_SHARE
            || frame > self.offset + DIRECTORY + self.offset / DIRECTORY_SHARE
            || whole.len() as u64 > max_index(self.index.chunks.len() as u64);
        if self.index.container != Container::None && too_much {
            return bare;
        }
        self.index.entries = entries;
        whole
    }

    /// Bytes until the job being filled ends, and how it is coded.
    fn job_left(&mut self) -> (usize, Kind) {
        while self.runs.front().is_some_and(|run| run.length == 0) {
            self.runs.pop_front();
        }
        let partial = self.buffer.len() - self.whole();
        match self.runs.front() {
            // Whole elements in every chunk but perhaps a run's last, where one fits into a chunk.
            Some(&Run { length, dtype, ref parts }) => {
                let (size, multiple) =
                    (self.chunk_size(dtype), dtype.map_or(8, Elements::chunk_multiple));
                let multiple = if multiple > size { 8 } else { multiple };
                let most = size / multiple * multiple - partial;
                let left = usize::try_from(length).map_or(most, |length| length.min(most));
                (left, Kind { dtype, parts: parts.clone() })
            }
            None => {
                let most = self.chunk_size(None) - partial;
                let end = self.sources.end(self.taken).map(|end| end - self.taken);
                let left = end.and_then(|left| usize::try_from(left).ok());
                (left.map_or(most, |left| left.min(most)), Kind::default())
            }
        }
    }

    /// Bytes of the buffer that are whole jobs.
    fn whole(&self) -> usize {
        self.waiting.last().map_or(0, |(end, _)| *end)
    }

    fn chunk_size(&self, dtype: Option<Elements>) -> usize {
        let own = if dtype.and_then(Elements::id).is_some() {
            DEFAULT_CHUNK
        } else {
            order0::DEFAULT_CHUNK
        };
        self.options.chunk_size.unwrap_or(own)
    }

    /// Notes that `n` more bytes of the front run have come.
    fn advance(&mut self, n: usize) {
        self.taken += n as u64;
        if let Some(run) = self.runs.front_mut() {
            run.length -= n as u64;
        }
    }

    /// Makes a job of the partial one at the end of the buffer.
    fn end_chunk(&mut self) {
        if self.buffer.len() > self.whole() {
            let kind = self.job_left().1;
            self.waiting.push((self.buffer.len(), kind));
        }
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<()> {
        // Chunks that lie whole in `bytes` are coded from where they are; only what does not fill a
        // batch is copied.
        let mut direct: Vec<Job<'_>> = Vec::new();
        let mut direct_bytes = 0;
        while !bytes.is_empty() {
            let partial = self.buffer.len() > self.whole();
            let (left, kind) = self.job_left();
            if left > bytes.len() || partial {
                let n = left.min(bytes.len());
                if !partial {
                    self.keep(&mut direct);
                    direct_bytes = 0;
                }
                self.buffer.extend_from_slice(&bytes[..n]);
                if n == left {
                    self.waiting.push((self.buffer.len(), kind));
                }
                self.advance(n);
                bytes = &bytes[n..];
            } else {
                let raw;
                (raw, bytes) = bytes.split_at(left);
                direct.push(Job::new(raw, kind));
                direct_bytes += left;
                self.advance(left);
            }
            if direct_bytes + self.whole() >= self.batch {
                self.code_waiting(&direct)?;
                direct.clear();
                direct_bytes = 0;
            }
        }
        self.keep(&mut direct);
        Ok(())
    }

    /// Copies chunks into the buffer, after those that wait there.
    fn keep(&mut self, direct: &mut Vec<Job<'_>>) {
        for job in direct.drain(..) {
            self.buffer.extend_from_slice(job.raw);
            self.waiting.push((self.buffer.len(), job.kind));
        }
    }

    /// Codes the chunks waiting in the buffer and those after them in `direct`, and meanwhile
    /// writes the batch before. The buffer has no part of a chunk then, or nothing is waiting in
    /// it.
    fn code_waiting(&mut self, direct: &[Job<'_>]) -> Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        let mut begin = 0;
        let mut jobs = Vec::with_capacity(self.waiting.len() + direct.len());
        for (end, kind) in self.waiting.drain(..) {
            jobs.push(Job::new(&buffer[begin..end], kind));
            begin = end;
        }
        jobs.extend_from_slice(direct);
        let id = match self.id {
            Some(id) => id,
            // A batch that is not the last has more content than the id depends on.
            None => {
                let content = jobs.iter().map(|job| job.raw);
                let header = Header::new(self.max_chunk, self.options.content_length, content);
                self.inner.write_all(&header.to_bytes())?;
                self.written += HEADER as u64;
                *self.id.insert(header.id)
            }
        };
        let mut slots = std::mem::take(&mut self.spare);
        slots.resize_with(jobs.len(), Coded::default);
        let mut offset = self.offset;
        let mut offsets = Vec::with_capacity(jobs.len());
        for job in &mut jobs {
            offsets.push(offset);
            if job.kind.parts.is_none() {
                (job.kept, job.repeats) = self.repeats.look(offset, job.raw);
            }
            offset += job.raw.len() as u64;
        }
        let sources = &self.sources;
        let (written, ()) = rayon::join(
            || {
                jobs.iter().for_each(|job| self.hash.update(job.raw));
                Self::write_coded(&mut self.inner, &self.coded)
            },
            || {
                slots.par_iter_mut().zip(&jobs).zip(&offsets).for_each_init(
                    ChunkEncoder::new,
                    |encoder, ((slot, job), &offset)| {
                        slot.code(encoder, job, Place { id, offset, sources });
                    },
                );
            },
        );
        self.offset = offset;
        self.buffer = buffer;
        self.buffer.clear();
        self.spare = std::mem::replace(&mut self.coded, slots);
        for coded in &mut self.coded {
            if let Some(error) = coded.failed.take() {
                return Err(error);
            }
            self.index.chunks.extend(coded.headers.iter().map(|header| header.info));
            self.saved += coded.saved;
        }
        self.written += written?;
        Ok(())
    }

    fn write_coded(inner: &mut W, coded: &[Coded]) -> Result<u64> {
        let mut written = 0;
        for Coded { headers, bytes, .. } in coded {
            let mut bytes = &bytes[..];
            for header in headers {
                let chunk;
                (chunk, bytes) = bytes.split_at(header.info.coded as usize);
                inner.write_all(&header.to_bytes())?;
                inner.write_all(chunk)?;
                written += (CHUNK_HEADER + chunk.len()) as u64;
            }
        }
        Ok(written)
    }
}

fn taken(entry: &Entry) -> Error {
    Error::InvalidArgument(format!("an entry of the frame is named {:?} already", entry.name))
}

impl<W: Write + Send> Write for FrameWriter<W> {
    /// Takes all of `bytes`. An error is the writer's, perhaps about bytes taken earlier; after one
    /// every call fails.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.guard(|writer| writer.take(bytes)) {
            Ok(()) => Ok(bytes.len()),
            Err(Error::Io(error)) => Err(error),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// Writes what is coded; content that fills no chunk yet stays here until
    /// [`FrameWriter::finish`].
    fn flush(&mut self) -> io::Result<()> {
        self.expect_sound()?;
        self.failed = true;
        self.inner.flush()?;
        self.failed = false;
        Ok(())
    }
}

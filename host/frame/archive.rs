//! Reading a frame at random: any range of the content or any entry of the directory, without touching the rest.

use std::{
    io::{Read, Seek, SeekFrom, Write},
    ops::Range,
};

use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::{
    chunk::ChunkDecoder,
    index::{Entry, Index},
    layout::entries_in_content,
    reader::{decode, in_chunk},
    wire::{
        CHUNK_HEADER, ChunkHeader, ChunkInfo, FOOTER, Footer, HEADER, Header, INDEX_HEADER,
        IndexHeader,
    },
    writer::batch_bytes,
};
use crate::{Error, Result};

/// A frame in a seekable file, opened by its index.
pub struct FrameArchive<R> {
    inner: R,
    header: Header,
    footer: Footer,
    index: Index,
    /// Content and file offset of each chunk, and of the end.
    starts: Vec<(u64, u64)>,
    /// Bytes of the chunks before each chunk, coded and with their headers, and of all.
    coded: Vec<u64>,
}

impl<R: Read + Seek> FrameArchive<R> {
    /// Reads the footer, the index and the header of the frame that is all of `inner`.
    ///
    /// # Errors
    /// `Unsupported` for bytes that are no frame, another version, or several frames in one file (those are read from
    /// first to last); `Corrupt` or `Truncated` for a damaged header, index or footer; `Io` from `inner`.
    pub fn open(mut inner: R) -> Result<Self> {
        let length = inner.seek(SeekFrom::End(0))?;
        inner.seek(SeekFrom::Start(0))?;
        let mut start = Vec::new();
        inner.by_ref().take(HEADER as u64).read_to_end(&mut start)?;
        let header = match start.first_chunk() {
            Some(bytes) => Header::from_bytes(bytes)?,
            None if start.is_empty() || super::is_frame(&start) => {
                return Err(Error::Truncated(format!("the file ends after {length} bytes")));
            }
            None => {
                return Err(Error::Unsupported(
                    "not a parans frame: its first bytes are others".into(),
                ));
            }
        };
        let least = (HEADER + INDEX_HEADER + FOOTER) as u64;
        if length < least {
            return Err(Error::Truncated(format!(
                "the file ends after {length} bytes: no frame has less than {least}"
            )));
        }
        let mut footer = [0; FOOTER];
        inner.seek(SeekFrom::Start(length - FOOTER as u64))?;
        inner.read_exact(&mut footer)?;
        let footer = Footer::from_bytes(&footer)?;
        let tail = (INDEX_HEADER + FOOTER) as u64;
        let ends = footer
            .index_offset
            .checked_add(footer.index_length)
            .and_then(|end| end.checked_add(tail));
        if ends.is_some_and(|ends| ends < length) {
            return Err(Error::Unsupported(
                "several frames in one file: they have no common index and are read from first to last".into(),
            ));
        }
        if ends != Some(length) {
            return Err(Error::Corrupt("the footer places the index outside the file".into()));
        }
        inner.seek(SeekFrom::Start(footer.index_offset))?;
        let mut index_header = [0; INDEX_HEADER];
        inner.read_exact(&mut index_header)?;
        // The file is at least this long, so memory for the index is earned.
        let mut bytes = Vec::new();
        inner.by_ref().take(footer.index_length).read_to_end(&mut bytes)?;
        if IndexHeader::from_bytes(&index_header)?.length != footer.index_length
            || xxh3_64(&bytes) != footer.index_check
        {
            return Err(Error::Corrupt("the index differs from its checksum".into()));
        }
        let index = Index::from_bytes(&bytes, header.max_chunk)?;
        let content = index.content_length();
        if index.file_offset() != footer.index_offset
            || content != footer.content_length
            || header.content_length.is_some_and(|announced| announced != content)
        {
            return Err(Error::Corrupt("the index does not fit the frame's lengths".into()));
        }
        let mut starts = Vec::with_capacity(index.chunks.len() + 1);
        let mut at = (0, HEADER as u64);
        for chunk in &index.chunks {
            starts.push(at);
            at.0 += u64::from(chunk.raw);
            at.1 += u64::from(chunk.coded) + CHUNK_HEADER as u64;
        }
        starts.push(at);
        let coded = starts.iter().map(|&(_, file)| file - HEADER as u64).collect();
        let mut archive = Self { inner, header, footer, index, starts, coded };
        if archive.index.entries.is_empty() {
            archive.index.entries = archive.entries_in_content();
        }
        Ok(archive)
    }

    /// The entries of a container whose directory was left out of the index; none where its content
    /// is damaged.
    fn entries_in_content(&mut self) -> Vec<Entry> {
        // What a hostile frame decodes to is bounded by its length.
        let most = self.frame_length().saturating_mul(16).saturating_add(1 << 20);
        let (container, length) = (self.index.container, self.content_length());
        entries_in_content(container, length, most, |content| self.read_range(content).ok())
    }

    /// The directory and the table of chunks.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Bytes of content.
    #[must_use]
    pub fn content_length(&self) -> u64 {
        self.footer.content_length
    }

    /// The XXH3 (64 bits, seed 0) of the content, as the footer has it.
    #[must_use]
    pub fn content_check(&self) -> u64 {
        self.footer.content_check
    }

    /// Bytes of the frame.
    #[must_use]
    pub fn frame_length(&self) -> u64 {
        self.footer.index_offset + self.footer.index_length + (INDEX_HEADER + FOOTER) as u64
    }

    /// The first entry with this name.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.index.entries.iter().find(|entry| entry.name == name)
    }

    /// Coded bytes that a range of the content takes: its share of each chunk that it meets.
    #[must_use]
    pub fn coded_bytes(&self, content: Range<u64>) -> f64 {
        if content.is_empty() {
            return 0.0;
        }
        let (begin, end) = (self.coded_before(content.start), self.coded_before(content.end));
        (end.0 - begin.0) as f64 + end.1 - begin.1
    }

    /// Bytes that the content before an offset takes: those of whole chunks, and a share of one.
    fn coded_before(&self, content: u64) -> (u64, f64) {
        // One chunk is looked for, and no sum is made: a directory may have any number of entries
        // of any length.
        let next = self.starts.partition_point(|&(begin, _)| begin <= content);
        let number = next.saturating_sub(1);
        let (begin, before) = (self.starts[number].0, self.coded[number]);
        let Some(chunk) = self.index.chunks.get(number) else { return (before, 0.0) };
        let coded = f64::from(chunk.coded) + CHUNK_HEADER as f64;
        (before, coded * (content - begin) as f64 / f64::from(chunk.raw))
    }

    /// The numbers of the chunks that meet a range of the content.
    #[must_use]
    pub fn chunks_of(&self, content: &Range<u64>) -> Range<usize> {
        if content.is_empty() {
            return 0..0;
        }
        let chunks = &self.starts[..self.index.chunks.len()];
        let first = chunks.partition_point(|&(begin, _)| begin <= content.start).saturating_sub(1);
        let end = chunks.partition_point(|&(begin, _)| begin < content.end);
        first..end
    }

    /// Decodes a range of the content into `output`. Only the chunks that it meets are read.
    ///
    /// # Errors
    /// `InvalidArgument` for a range that reaches past the content; `Corrupt` naming a damaged chunk; `Io` from
    /// either side.
    pub fn copy_range<W: Write + ?Sized>(
        &mut self,
        content: Range<u64>,
        output: &mut W,
    ) -> Result<()> {
        if content.start > content.end || content.end > self.content_length() {
            return Err(Error::InvalidArgument(format!(
                "bytes {}..{} of a content of {} bytes",
                content.start,
                content.end,
                self.content_length()
            )));
        }
        let mut chunks = self.chunks_of(&content);
        let mut coded = Vec::new();
        while !chunks.is_empty() {
            let batch = self.batch(chunks.clone());
            chunks.start = batch.end;
            let (begin, end) = (self.starts[batch.start].1, self.starts[batch.end].1);
            coded.clear();
            self.inner.seek(SeekFrom::Start(begin))?;
            self.inner.by_ref().take(end - begin).read_to_end(&mut coded)?;
            if (coded.len() as u64) < end - begin {
                return Err(Error::Truncated(format!("the file ends inside chunks {batch:?}")));
            }
            let (starts, index, max_chunk) = (&self.starts, &self.index, self.header.max_chunk);
            let decoded: Vec<Result<Vec<u8>>> = batch
                .clone()
                .into_par_iter()
                .map_init(ChunkDecoder::new, |decoder, number| {
                    let content = starts[number].0..starts[number + 1].0;
                    let at = (starts[number].1 - begin) as usize;
                    decode_chunk(
                        decoder,
                        index.chunks[number],
                        max_chunk,
                        content.start,
                        &coded[at..],
                    )
                    .map_err(|error| in_chunk(error, number as u64, &content))
                })
                .collect();
            for (number, bytes) in batch.zip(decoded) {
                let bytes = bytes?;
                let at = self.starts[number].0;
                let from = content.start.saturating_sub(at) as usize;
                let to = (content.end - at).min(bytes.len() as u64) as usize;
                output.write_all(&bytes[from..to])?;
            }
        }
        Ok(())
    }

    /// As [`FrameArchive::copy_range`], into memory.
    ///
    /// # Errors
    /// The same.
    pub fn read_range(&mut self, content: Range<u64>) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.copy_range(content, &mut out)?;
        Ok(out)
    }

    /// Decodes the entry with this name into `output` and returns it.
    ///
    /// # Errors
    /// `InvalidArgument` where there is none of this name, and as [`FrameArchive::copy_range`].
    pub fn extract<W: Write + ?Sized>(&mut self, name: &str, output: &mut W) -> Result<Entry> {
        let entry = self.entry(name).cloned();
        let entry =
            entry.ok_or_else(|| Error::InvalidArgument(format!("no entry is named {name:?}")))?;
        self.copy_range(entry.offset..entry.end(), output)?;
        Ok(entry)
    }

    /// Chunks from the front of `chunks` that are decoded together.
    fn batch(&self, chunks: Range<usize>) -> Range<usize> {
        let most = batch_bytes(self.header.max_chunk as usize) as u64;
        let begin = self.starts[chunks.start].0;
        let end = chunks.clone().find(|&number| self.starts[number + 1].0 - begin >= most);
        chunks.start..end.map_or(chunks.end, |last| last + 1)
    }
}

/// Checks the chunk whose header `bytes` begins with against the index, and decodes it.
fn decode_chunk(
    decoder: &mut ChunkDecoder,
    info: ChunkInfo,
    max_chunk: u32,
    offset: u64,
    bytes: &[u8],
) -> Result<Vec<u8>> {
    let header: &[u8; CHUNK_HEADER] =
        bytes.first_chunk().expect("the range read covers whole chunks");
    let header = ChunkHeader::from_bytes(header, max_chunk)?;
    if header.info != info || header.offset != offset {
        return Err(Error::Corrupt("the chunk header differs from the index".into()));
    }
    let mut out = Vec::new();
    decode(decoder, &header, &bytes[CHUNK_HEADER..CHUNK_HEADER + info.coded as usize], &mut out)?;
    Ok(out)
}

//! Reading the parts of frames at any place of a seekable file: what the archive and the salvage
//! share. A frame is found from its start by its header, or from its end by its footer, which says
//! how long it is.

use std::io::{Read, Seek, SeekFrom};

use xxhash_rust::xxh3::xxh3_64;

use super::{
    index::Index,
    wire::{
        CHUNK_HEADER, ChunkHeader, FOOTER, Footer, HEADER, Header, INDEX_HEADER, IndexHeader,
        MAX_CHUNK, max_index,
    },
};
use crate::{Error, Result};

/// The longest index that is read before the chunks are counted that it claims to describe.
const SMALL_INDEX: u64 = 1 << 26;

/// The most bytes that are asked for at once.
const READ: usize = 16 << 20;

/// Fills `out`, or as much of it as there are bytes before the end.
fn read_full(inner: &mut impl Read, out: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < out.len() {
        match inner.read(&mut out[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// A file that can be read anywhere. Places are signed: those that damage moves can lie before the
/// file's start.
pub(super) struct Places<R> {
    inner: R,
    pub(super) length: u64,
}

/// A frame found from its end: its footer and its index are sound.
pub(super) struct FoundFrame {
    /// Where the frame begins if its length is still what it was written with.
    pub(super) start: i64,
    pub(super) end: u64,
    /// The header, where a sound one is at `start`.
    pub(super) header: Option<Header>,
    pub(super) footer: Footer,
    pub(super) index: Index,
}

impl<R: Read + Seek> Places<R> {
    pub(super) fn new(mut inner: R) -> Result<Self> {
        let length = inner.seek(SeekFrom::End(0))?;
        Ok(Self { inner, length })
    }

    /// The bytes from `place` on, `n` or as many as there are; none for a place outside the file.
    pub(super) fn bytes(&mut self, place: i64, n: u64, out: &mut Vec<u8>) -> Result<()> {
        out.clear();
        let Ok(place) = u64::try_from(place) else { return Ok(()) };
        if place < self.length {
            self.inner.seek(SeekFrom::Start(place))?;
            let n = n.min(self.length - place);
            // All of it is asked for at once, up to a limit: where a read is a request to a server,
            // each takes long. The length of a sparse file is no promise of so many bytes.
            while (out.len() as u64) < n {
                let at = out.len();
                out.resize(n.min((at + READ) as u64) as usize, 0);
                let read = read_full(&mut self.inner, &mut out[at..])?;
                if at + read < out.len() {
                    out.truncate(at + read);
                    break;
                }
            }
        }
        Ok(())
    }

    fn array<const N: usize>(&mut self, place: i64) -> Result<Option<[u8; N]>> {
        let mut out = Vec::with_capacity(N);
        self.bytes(place, N as u64, &mut out)?;
        Ok(out.first_chunk().copied())
    }

    /// The header at `place`.
    ///
    /// # Errors
    /// As [`Header::from_start`].
    pub(super) fn header(&mut self, place: u64) -> Result<Header> {
        let mut bytes = Vec::new();
        self.bytes(place as i64, HEADER as u64, &mut bytes)?;
        Header::from_start(&bytes)
    }

    /// The chunk header at `place`, if one is sound there.
    pub(super) fn chunk(&mut self, place: i64, max_chunk: u32) -> Result<Option<ChunkHeader>> {
        let bytes = self.array::<CHUNK_HEADER>(place)?;
        Ok(bytes.and_then(|bytes| ChunkHeader::from_bytes(&bytes, max_chunk).ok()))
    }

    /// The index header at `place`, if one is sound there.
    pub(super) fn index_header(&mut self, place: i64) -> Result<Option<IndexHeader>> {
        let bytes = self.array::<INDEX_HEADER>(place)?;
        Ok(bytes.and_then(|bytes| IndexHeader::from_bytes(&bytes).ok()))
    }

    /// The footer at `place`.
    ///
    /// # Errors
    /// `Truncated` or `Corrupt` where there is none.
    pub(super) fn footer(&mut self, place: i64) -> Result<Footer> {
        match self.array::<FOOTER>(place)? {
            Some(bytes) => Footer::from_bytes(&bytes),
            None => Err(Error::Truncated("the file ends inside the footer".into())),
        }
    }

    /// The place behind the last of the chunks that begin at `place` and follow one another in a
    /// frame, and their number.
    pub(super) fn count_chunks(&mut self, mut place: i64, id: u32) -> Result<(i64, u64)> {
        let mut count = 0;
        while let Some(chunk) = self.chunk(place, MAX_CHUNK as u32)?.filter(|chunk| chunk.id == id)
        {
            place += chunk.length() as i64;
            count += 1;
        }
        Ok((place, count))
    }

    /// The frame whose footer ends at `end`.
    ///
    /// # Errors
    /// `Corrupt` or `Truncated` where the footer or the index is damaged; `Unsupported` for an
    /// index that this build does not know. A header that is not where the footer places it is not
    /// an error here.
    pub(super) fn frame_ending_at(&mut self, end: u64) -> Result<FoundFrame> {
        let footer = self.footer(end as i64 - FOOTER as i64)?;
        let outside = || Error::Corrupt("the footer places the index outside the file".into());
        let length = footer.frame_length().and_then(|length| i64::try_from(length).ok());
        let start = end as i64 - length.ok_or_else(outside)?;
        let place = start + footer.index_offset as i64;
        let index_header = self.index_header(place)?.filter(|header| {
            (header.id, header.length, header.content_length)
                == (footer.id, footer.index_length, footer.content_length)
        });
        if index_header.is_none() {
            return Err(Error::Corrupt(
                "the index header is not where the footer places it".into(),
            ));
        }
        // No chunk is shorter than its header and a byte.
        let mut chunks = footer.index_offset / (CHUNK_HEADER as u64 + 1);
        if footer.index_length > SMALL_INDEX {
            // So long an index has to be earned by the chunks that are there.
            chunks = chunks.min(self.count_chunks(start + HEADER as i64, footer.id)?.1);
        }
        if footer.index_length > max_index(chunks) {
            return Err(Error::Corrupt(format!(
                "an index of {} bytes for at most {chunks} chunks",
                footer.index_length
            )));
        }
        let header = u64::try_from(start).ok().and_then(|start| self.header(start).ok());
        let header = header.filter(|header| header.id == footer.id);
        let max_chunk = header.map_or(MAX_CHUNK as u32, |header| header.max_chunk);
        let bytes = self.index(place + INDEX_HEADER as i64, &footer)?;
        let index = Index::from_bytes(&bytes, max_chunk)?;
        let content = index.content_length();
        if index.file_offset() != footer.index_offset
            || content != footer.content_length
            || header.is_some_and(|header| header.content_length.is_some_and(|n| n != content))
        {
            return Err(Error::Corrupt("the index does not fit the frame's lengths".into()));
        }
        Ok(FoundFrame { start, end, header, footer, index })
    }

    fn index(&mut self, place: i64, footer: &Footer) -> Result<Vec<u8>> {
        // Memory grows as bytes arrive, up to the limit that was checked.
        let mut bytes = Vec::new();
        self.bytes(place, footer.index_length, &mut bytes)?;
        if bytes.len() as u64 != footer.index_length || xxh3_64(&bytes) != footer.index_check {
            return Err(Error::Corrupt("the index differs from its checksum".into()));
        }
        Ok(bytes)
    }
}

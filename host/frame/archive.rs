//! Reading frames at random: any range of the content or any entry of the directory, without
//! touching the rest.

use std::{
    borrow::Cow,
    io::{Read, Seek, Write},
    ops::Range,
    sync::Arc,
};

use rayon::prelude::*;

use super::{
    base::{Base, Bases},
    chunk::{ChunkDecoder, repeated},
    index::{BaseName, Container, Entry, Index},
    layout::entries_in_content,
    options::batch_bytes,
    places::{FoundFrame, Places},
    reader::{decode, in_chunk},
    walk::no_source,
    wire::{
        CHUNK_HEADER, ChunkCodec, ChunkHeader, ChunkInfo, FOOTER, HEADER, Header, INDEX_HEADER,
    },
};
use crate::{Error, Result};

/// The frames of a seekable file, opened by their indexes. Their contents are one, joined in the
/// order of the frames, and so are their directories and tables of chunks.
pub struct FrameArchive<R> {
    places: Places<R>,
    frames: Vec<Frame>,
    index: Index,
    /// Content and file offset of each chunk; at the end, the length of the content.
    starts: Vec<(u64, u64)>,
    /// Bytes of the chunks before each chunk, coded and with their headers, and of all.
    coded: Vec<u64>,
    /// XXH3 of the content of the only frame.
    content_check: Option<u64>,
}

struct Frame {
    header: Header,
    /// The number of its first chunk, and where that begins in the content of all.
    chunk: usize,
    base: u64,
    container: Container,
    /// The number of the first of the bases that it names.
    first_base: usize,
    bases: Bases,
}

/// A chunk as it was read, with all that it takes to decode it.
pub(crate) struct Fetched<'a> {
    info: ChunkInfo,
    /// Where it begins in the content of all frames, and in that of its own.
    pub(super) content: u64,
    offset: u64,
    header: Header,
    /// From its header on.
    bytes: Cow<'a, [u8]>,
    bases: Bases,
    /// The chunk that it repeats.
    source: Option<Box<Fetched<'static>>>,
}

impl Fetched<'_> {
    /// Decodes it, or the one that it repeats in its place.
    pub(crate) fn decode(&self, decoder: &mut ChunkDecoder, out: &mut Vec<u8>) -> Result<()> {
        let (header, coded, bases) = self.coding()?;
        decode(decoder, &header, coded, bases, out)
    }

    /// Its codec and coded bytes, or those of the one that it repeats, which are what was written.
    pub(crate) fn checked(&self) -> Result<(ChunkInfo, &[u8])> {
        let (header, coded, _) = self.coding()?;
        header.check_coded(coded)?;
        Ok((header.info, coded))
    }

    fn coding(&self) -> Result<(ChunkHeader, &[u8], &Bases)> {
        let (header, coded) = self.check()?;
        let Some(source) = &self.source else {
            return Ok((header, coded, &self.bases));
        };
        let (header, coded) = source.check()?;
        if !header.kept || header.info.raw != self.info.raw {
            return Err(no_source());
        }
        Ok((header, coded, &source.bases))
    }

    /// Checks the header against the index.
    fn check(&self) -> Result<(ChunkHeader, &[u8])> {
        let Header { max_chunk, id, .. } = self.header;
        let short = || Error::Truncated("the file ends inside a chunk".into());
        let (header, coded) = self.bytes.split_first_chunk().ok_or_else(short)?;
        let header = ChunkHeader::from_bytes(header, max_chunk)?;
        if header.info != self.info || header.id != id || header.offset != self.offset {
            return Err(Error::Corrupt("the chunk header differs from the index".into()));
        }
        Ok((header, coded.get(..self.info.coded as usize).ok_or_else(short)?))
    }
}

impl<R: Read + Seek> FrameArchive<R> {
    /// Reads the footers, indexes and headers of the frames that are all of `inner`, from the last
    /// to the first.
    ///
    /// # Errors
    /// `Unsupported` for bytes that are no frame, or another version; `Corrupt` or `Truncated` for
    /// a damaged header, index or footer, and for bytes after the last frame; `Io` from `inner`.
    pub fn open(inner: R) -> Result<Self> {
        let mut places = Places::new(inner)?;
        places.header(0)?;
        let least = (HEADER + INDEX_HEADER + FOOTER) as u64;
        if places.length < least {
            return Err(Error::Truncated(format!(
                "the file ends after {} bytes: no frame has less than {least}",
                places.length
            )));
        }
        let mut found = Vec::new();
        let mut end = places.length;
        while end > 0 {
            match whole_frame(&mut places, end) {
                Ok((start, header, frame)) => {
                    end = start;
                    found.push((start, header, frame));
                }
                Err(error @ Error::Io(_)) => return Err(error),
                Err(error) => return Err(bytes_after(&mut places)?.unwrap_or(error)),
            }
        }
        let content_check =
            if let [(.., only)] = &found[..] { Some(only.footer.content_check) } else { None };
        let mut archive = Self {
            places,
            frames: Vec::with_capacity(found.len()),
            index: Index::default(),
            starts: vec![(0, 0)],
            coded: vec![0],
            content_check,
        };
        for (start, header, frame) in found.into_iter().rev() {
            let frame_length = frame.footer.frame_length().unwrap_or_default();
            let container = frame.index.container;
            let bare = frame.index.entries.is_empty();
            archive.join(start, header, frame.index);
            if bare && container != Container::None {
                archive.join_entries_in_content(container, frame_length);
            }
        }
        Ok(archive)
    }

    fn join(&mut self, start: u64, header: Header, index: Index) {
        let chunk = self.index.chunks.len();
        let base = self.starts[chunk].0;
        // The contents of several frames make no container together.
        self.index.container =
            if self.frames.is_empty() { index.container } else { Container::None };
        let first_base = self.index.bases.len();
        self.index.bases.extend(index.bases);
        let (container, bases) = (index.container, Bases::default());
        self.frames.push(Frame { header, chunk, base, container, first_base, bases });
        let mut at = (base, start + HEADER as u64);
        self.starts.pop();
        for chunk in &index.chunks {
            self.starts.push(at);
            at.0 += u64::from(chunk.raw);
            let coded = u64::from(chunk.coded) + CHUNK_HEADER as u64;
            at.1 += coded;
            self.coded.push(self.coded[self.coded.len() - 1] + coded);
        }
        self.starts.push(at);
        self.index.chunks.extend(index.chunks);
        self.index.entries.extend(
            index.entries.into_iter().map(|entry| Entry { offset: base + entry.offset, ..entry }),
        );
    }

    /// Adds the entries of the last frame, a container whose directory was left out of its index.
    /// There are none where its content is damaged.
    fn join_entries_in_content(&mut self, container: Container, frame_length: u64) {
        // What a hostile frame decodes to is bounded by its length.
        let most = frame_length.saturating_mul(16).saturating_add(1 << 20);
        let base = self.frames.last().map_or(0, |frame| frame.base);
        let length = self.content_length() - base;
        let entries = entries_in_content(container, length, most, |content| {
            self.read_range(base + content.start..base + content.end).ok()
        });
        self.index.entries.extend(
            entries.into_iter().map(|entry| Entry { offset: base + entry.offset, ..entry }),
        );
    }

    /// What the frames are coded against: [`FrameArchive::set_bases`] takes as many.
    #[must_use]
    pub fn bases(&self) -> &[BaseName] {
        &self.index.bases
    }

    /// Takes the bases that [`FrameArchive::bases`] names, in that order. Without them, content
    /// that is coded against them cannot be read.
    ///
    /// # Errors
    /// [`Error::Base`] for a base that is not the one named, `InvalidArgument` for another number
    /// of them.
    pub fn set_bases(&mut self, bases: Vec<Arc<Base>>) -> Result<()> {
        let names = &self.index.bases;
        if bases.len() != names.len() {
            return Err(Error::InvalidArgument(format!(
                "{} bases for frames that name {}",
                bases.len(),
                names.len()
            )));
        }
        bases.iter().zip(names).try_for_each(|(base, name)| base.expect(name))?;
        let mut end = bases.len();
        for frame in self.frames.iter_mut().rev() {
            frame.bases = bases[frame.first_base..end].to_vec().into();
            end = frame.first_base;
        }
        Ok(())
    }

    /// Reads a chunk, and the one that it repeats.
    pub(super) fn fetch(&mut self, number: usize) -> Result<Fetched<'static>> {
        let frame = self.frames.partition_point(|frame| frame.chunk <= number) - 1;
        let mut bytes = Vec::new();
        let length = CHUNK_HEADER as u64 + u64::from(self.index.chunks[number].coded);
        self.places.bytes(self.starts[number].1 as i64, length, &mut bytes)?;
        self.fetched(frame, number, bytes.into())
    }

    /// What was read of a chunk, with the one that it repeats.
    fn fetched<'a>(
        &mut self,
        frame: usize,
        number: usize,
        bytes: Cow<'a, [u8]>,
    ) -> Result<Fetched<'a>> {
        let Frame { header, base, chunk: first, ref bases, .. } = self.frames[frame];
        let content = self.starts[number].0;
        let mut fetched = Fetched {
            info: self.index.chunks[number],
            content,
            offset: content - base,
            header,
            bytes,
            bases: bases.clone(),
            source: None,
        };
        if fetched.info.codec == ChunkCodec::Repeat {
            let (header, coded) = fetched.check()?;
            header.check_coded(coded)?;
            let source = fetched.offset.checked_sub(repeated(coded)?).ok_or_else(no_source)?;
            let chunks = &self.starts[first..number];
            let found = chunks.binary_search_by_key(&(base + source), |&(content, _)| content);
            let source = first + found.map_err(|_| no_source())?;
            // One that repeats another in its turn is refused when it is decoded.
            if self.index.chunks[source].codec == ChunkCodec::Repeat {
                return Err(no_source());
            }
            fetched.source = Some(Box::new(self.fetch(source)?));
        }
        Ok(fetched)
    }

    /// The directory and the table of chunks, of all frames together.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The container whose bytes are the content of the frame that has an entry.
    pub(super) fn container_of(&self, entry: &Entry) -> Container {
        let after = self.frames.partition_point(|frame| frame.base <= entry.offset);
        after.checked_sub(1).map_or(Container::None, |frame| self.frames[frame].container)
    }

    /// The number of frames.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.frames.len()
    }

    /// Bytes of content, of all frames.
    #[must_use]
    pub fn content_length(&self) -> u64 {
        self.starts[self.index.chunks.len()].0
    }

    /// The XXH3 (64 bits, seed 0) of the content, as the footer has it; none of several frames.
    #[must_use]
    pub fn content_check(&self) -> Option<u64> {
        self.content_check
    }

    /// Bytes of all frames, which are all of the file.
    #[must_use]
    pub fn frame_length(&self) -> u64 {
        self.places.length
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
    /// `InvalidArgument` for a range that reaches past the content; `Corrupt` naming a damaged
    /// chunk; `Io` from either side.
    pub fn copy_range<W: Write + ?Sized>(
        &mut self,
        content: Range<u64>,
        output: &mut W,
    ) -> Result<()> {
        self.check_range(&content)?;
        let mut chunks = self.chunks_of(&content);
        let mut coded = Vec::new();
        while !chunks.is_empty() {
            let (batch, fetched) = self.fetch_batch(chunks.clone(), &mut coded)?;
            chunks.start = batch.end;
            let decoded: Vec<Result<Vec<u8>>> = fetched
                .into_par_iter()
                .map_init(ChunkDecoder::new, |decoder, fetched| {
                    let mut out = Vec::new();
                    fetched?.decode(decoder, &mut out)?;
                    Ok(out)
                })
                .collect();
            for (number, bytes) in batch.zip(decoded) {
                let (at, raw) = (self.starts[number].0, self.index.chunks[number].raw);
                let bytes = bytes
                    .map_err(|error| in_chunk(error, number as u64, &(at..at + u64::from(raw))))?;
                let from = content.start.saturating_sub(at) as usize;
                let to = (content.end - at).min(bytes.len() as u64) as usize;
                output.write_all(&bytes[from..to])?;
            }
        }
        Ok(())
    }

    /// Checks that a range is one of the content.
    pub(crate) fn check_range(&self, content: &Range<u64>) -> Result<()> {
        if content.start > content.end || content.end > self.content_length() {
            return Err(Error::InvalidArgument(format!(
                "bytes {}..{} of a content of {} bytes",
                content.start,
                content.end,
                self.content_length()
            )));
        }
        Ok(())
    }

    /// Reads chunks from the front of `chunks`, as many as are decoded together, with their
    /// numbers.
    pub(crate) fn fetch_batch<'a>(
        &mut self,
        chunks: Range<usize>,
        coded: &'a mut Vec<u8>,
    ) -> Result<(Range<usize>, Vec<Result<Fetched<'a>>>)> {
        let (frame, batch) = self.batch(chunks);
        let begin = self.starts[batch.start].1;
        let last = batch.end - 1;
        let end =
            self.starts[last].1 + CHUNK_HEADER as u64 + u64::from(self.index.chunks[last].coded);
        self.places.bytes(begin as i64, end - begin, coded)?;
        if (coded.len() as u64) < end - begin {
            return Err(Error::Truncated(format!("the file ends inside chunks {batch:?}")));
        }
        let coded: &'a [u8] = coded;
        let fetched = batch.clone().map(|number| {
            let at = (self.starts[number].1 - begin) as usize;
            let length = CHUNK_HEADER + self.index.chunks[number].coded as usize;
            self.fetched(frame, number, Cow::Borrowed(&coded[at..at + length]))
        });
        let fetched = fetched.collect();
        Ok((batch, fetched))
    }

    /// The content of a chunk.
    pub(crate) fn content_of(&self, chunk: usize) -> Range<u64> {
        self.starts[chunk].0..self.starts[chunk + 1].0
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

    /// Chunks from the front of `chunks` that are decoded together, and the frame that they are in.
    fn batch(&self, chunks: Range<usize>) -> (usize, Range<usize>) {
        let frame = self.frames.partition_point(|frame| frame.chunk <= chunks.start) - 1;
        let most = batch_bytes(self.frames[frame].header.max_chunk as usize) as u64;
        let begin = self.starts[chunks.start].0;
        let next = self.frames.get(frame + 1).map_or(chunks.end, |next| next.chunk);
        let chunks = chunks.start..chunks.end.min(next);
        let end = chunks.clone().find(|&number| self.starts[number + 1].0 - begin >= most);
        (frame, chunks.start..end.map_or(chunks.end, |last| last + 1))
    }
}

/// The frame that ends at `end`, with its start and header.
fn whole_frame<R: Read + Seek>(
    places: &mut Places<R>,
    end: u64,
) -> Result<(u64, Header, FoundFrame)> {
    let found = places.frame_ending_at(end)?;
    match (u64::try_from(found.start), found.header) {
        (Ok(start), Some(header)) => Ok((start, header, found)),
        (Ok(start), None) => {
            places.header(start)?;
            Err(Error::Corrupt("the header and the footer are of different frames".into()))
        }
        (Err(_), _) => Err(Error::Corrupt("the footer places the frame outside the file".into())),
    }
}

/// An error that names the bytes after the last of the frames that begin the file, where there are
/// such bytes and the frames are whole as far as their headers say.
fn bytes_after<R: Read + Seek>(places: &mut Places<R>) -> Result<Option<Error>> {
    let mut place = 0;
    while let Ok(header) = places.header(place) {
        let (index, _) = places.count_chunks((place + HEADER as u64) as i64, header.id)?;
        let index_header = places.index_header(index)?.filter(|index| index.id == header.id);
        let Some(footer) =
            index_header.and_then(|n| n.length.checked_add(index as u64 + INDEX_HEADER as u64))
        else {
            return Ok(None);
        };
        if !i64::try_from(footer)
            .is_ok_and(|footer| places.footer(footer).is_ok_and(|footer| footer.id == header.id))
        {
            return Ok(None);
        }
        place = footer + FOOTER as u64;
    }
    let mut rest = Vec::new();
    places.bytes(place as i64, HEADER as u64, &mut rest)?;
    if place == 0 || rest.is_empty() || super::is_frame(&rest[..rest.len().min(8)]) {
        return Ok(None);
    }
    Ok(Some(Error::Corrupt(format!(
        "bytes after the end of the frame, from file offset {place}, begin no other frame"
    ))))
}

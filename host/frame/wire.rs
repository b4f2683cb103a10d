//! The fixed-size parts of a frame as they lie in the file: header, chunk header, index header,
//! footer. Each type reads and writes itself and checks on reading all that it can check alone, so
//! that no other file knows an offset.

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::{Error, Result};

/// The eight bytes a frame begins with. The first is not ASCII and the last is a line feed, so that
/// a transfer that strips bits or converts line ends is found at once.
pub const MAGIC: [u8; 8] = *b"\x8bPARANS\n";
/// The one version of the format this library reads and writes.
pub const VERSION: u16 = 1;
/// The most content bytes that a chunk of any frame may have.
pub const MAX_CHUNK: usize = 1 << 24;

/// Bytes of a [`Header`].
pub(super) const HEADER: usize = 32;
/// Bytes of a [`ChunkHeader`].
pub(super) const CHUNK_HEADER: usize = 40;
/// Bytes of an [`IndexHeader`].
pub(super) const INDEX_HEADER: usize = 28;
/// Bytes of a [`Footer`].
pub(super) const FOOTER: usize = 52;
/// Content bytes from the beginning that go into a frame's id.
pub(super) const ID_CONTENT: usize = 1 << 20;
/// Bytes of a chunk in the table of the index.
const TABLE_ROW: u64 = 10;
/// The most bytes of an index besides its table of chunks.
const MAX_DIRECTORY: u64 = 1 << 26;

/// The most bytes that the index of a frame with so many chunks can have.
pub(super) fn max_index(chunks: u64) -> u64 {
    chunks.saturating_mul(TABLE_ROW).saturating_add(MAX_DIRECTORY)
}

const UNKNOWN_LENGTH: u64 = u64::MAX;
const CHUNK_TAG: [u8; 4] = *b"chnk";
const INDEX_TAG: [u8; 4] = *b"indx";
const FOOTER_TAG: [u8; 4] = *b"done";
/// The flag of a chunk that later ones may repeat.
const KEPT: u16 = 1;

/// Takes fixed-size little-endian fields off the front of bytes whose length was checked.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn bytes(&mut self, n: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n).ok_or_else(|| {
            Error::Truncated(format!("{} bytes left where {n} are needed", self.0.len()))
        })?;
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.bytes(N)?.try_into().expect("bytes() returns as many as asked"))
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

fn xxh3_32(bytes: &[u8]) -> [u8; 4] {
    // The low half: `as` keeps it on purpose.
    (xxh3_64(bytes) as u32).to_le_bytes()
}

fn zero(value: u64, what: &str) -> Result<()> {
    if value != 0 {
        return Err(Error::Unsupported(format!(
            "{what} {value:#x}: version {VERSION} of the format has 0 there"
        )));
    }
    Ok(())
}

/// What a frame begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) max_chunk: u32,
    pub(super) content_length: Option<u64>,
    /// What all parts of the frame repeat, so that parts of another frame are distinguished from
    /// them.
    pub(super) id: u32,
}

impl Header {
    /// A header with the id that the beginning of the content makes: `content` gives its pieces, of
    /// which the first [`ID_CONTENT`] bytes count.
    pub(super) fn new<'a>(
        max_chunk: u32,
        content_length: Option<u64>,
        content: impl IntoIterator<Item = &'a [u8]>,
    ) -> Self {
        let header = Self { max_chunk, content_length, id: 0 };
        let mut hash = Xxh3::new();
        hash.update(&header.to_bytes()[..24]);
        let mut left = ID_CONTENT;
        for piece in content {
            let piece = &piece[..piece.len().min(left)];
            hash.update(piece);
            left -= piece.len();
            if left == 0 {
                break;
            }
        }
        // The low half: `as` keeps it on purpose.
        Self { id: hash.digest() as u32, ..header }
    }

    pub(super) fn to_bytes(self) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        out[..8].copy_from_slice(&MAGIC);
        out[8..10].copy_from_slice(&VERSION.to_le_bytes());
        out[12..16].copy_from_slice(&self.max_chunk.to_le_bytes());
        out[16..24].copy_from_slice(&self.content_length.unwrap_or(UNKNOWN_LENGTH).to_le_bytes());
        out[24..28].copy_from_slice(&self.id.to_le_bytes());
        let check = xxh3_32(&out[..28]);
        out[28..].copy_from_slice(&check);
        out
    }

    /// The header that `bytes` begins with, which may be fewer at the end of a file.
    ///
    /// # Errors
    /// As [`Header::from_bytes`]; `Truncated` where the bytes end inside a header.
    pub(super) fn from_start(bytes: &[u8]) -> Result<Self> {
        match bytes.first_chunk() {
            Some(bytes) => Self::from_bytes(bytes),
            None if bytes.is_empty() || super::is_frame(bytes) => Err(Error::Truncated(format!(
                "the input ends after {} bytes, inside a frame header",
                bytes.len()
            ))),
            None => {
                Err(Error::Unsupported("not a parans frame: its first bytes are others".into()))
            }
        }
    }

    /// # Errors
    /// `Unsupported` for other magic bytes, another version or an unknown flag; `Corrupt` for a
    /// wrong checksum or a chunk size outside the limits.
    pub(super) fn from_bytes(bytes: &[u8; HEADER]) -> Result<Self> {
        if bytes[..8] != MAGIC {
            return Err(Error::Unsupported(
                "not a parans frame: its first bytes are others".into(),
            ));
        }
        let mut fields = Fields(&bytes[8..]);
        let (version, flags) = (fields.u16()?, fields.u16()?);
        let (max_chunk, length, id) = (fields.u32()?, fields.u64()?, fields.u32()?);
        // The version decides what the rest means: a frame of a later version is told from a
        // damaged one by its checksum, which every version keeps at this place.
        if xxh3_32(&bytes[..28]) != bytes[28..] {
            return Err(Error::Corrupt("the frame header differs from its checksum".into()));
        }
        if version != VERSION {
            return Err(Error::Unsupported(format!(
                "frame format version {version}: this build reads version {VERSION}"
            )));
        }
        zero(flags.into(), "frame flags")?;
        if max_chunk == 0 || max_chunk as usize > MAX_CHUNK {
            return Err(Error::Corrupt(format!(
                "chunks of up to {max_chunk} bytes announced: 1 to {MAX_CHUNK} allowed"
            )));
        }
        Ok(Self { max_chunk, content_length: (length != UNKNOWN_LENGTH).then_some(length), id })
    }
}

/// How the bytes of a chunk are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ChunkCodec {
    /// As they are.
    Stored,
    /// One element that repeats.
    Constant,
    /// Order-0 rANS over bytes, [`crate::order0`].
    Order0,
    /// Planes of numbers, each coded by itself.
    Planes,
    /// The difference to content of another file, [`Base`](super::Base).
    Base,
    /// The content of an earlier chunk of the frame.
    Repeat,
}

impl ChunkCodec {
    pub(crate) fn id(self) -> u8 {
        match self {
            Self::Stored => 0,
            Self::Constant => 1,
            Self::Order0 => 2,
            Self::Planes => 3,
            Self::Base => 4,
            Self::Repeat => 5,
        }
    }

    /// Whether chunks of the codec have an element type.
    pub(super) fn is_typed(self) -> bool {
        matches!(self, Self::Planes | Self::Base)
    }

    pub(super) fn from_id(id: u8) -> Result<Self> {
        Ok(match id {
            0 => Self::Stored,
            1 => Self::Constant,
            2 => Self::Order0,
            3 => Self::Planes,
            4 => Self::Base,
            5 => Self::Repeat,
            _ => {
                return Err(Error::Unsupported(format!(
                    "chunk codec {id}: this build knows 0 to 5"
                )));
            }
        })
    }

    /// A short name for reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Constant => "constant",
            Self::Order0 => "order-0",
            Self::Planes => "planes",
            Self::Base => "base",
            Self::Repeat => "repeat",
        }
    }
}

/// What the chunk header and the chunk table of the index both say of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkInfo {
    /// How the chunk is coded.
    pub codec: ChunkCodec,
    /// The element type by its number in the format; 0 unless the codec is [`ChunkCodec::Planes`]
    /// or
    /// [`ChunkCodec::Base`].
    pub(crate) element: u8,
    /// Content bytes.
    pub raw: u32,
    /// Coded bytes.
    pub coded: u32,
}

impl ChunkInfo {
    /// Checks every rule that needs only the fields and the frame's largest chunk.
    pub(super) fn new(
        codec: u8,
        element: u8,
        raw: u32,
        coded: u32,
        max_chunk: u32,
    ) -> Result<Self> {
        let codec = ChunkCodec::from_id(codec)?;
        let info = Self { codec, element, raw, coded };
        if raw == 0 || raw > max_chunk {
            return Err(Error::Corrupt(format!(
                "a chunk of {raw} bytes: 1 to {max_chunk} allowed"
            )));
        }
        let good = match codec {
            ChunkCodec::Stored => coded == raw,
            ChunkCodec::Constant => {
                matches!(coded, 1 | 2 | 4 | 8) && raw > coded && raw.is_multiple_of(coded)
            }
            ChunkCodec::Order0 | ChunkCodec::Planes | ChunkCodec::Base | ChunkCodec::Repeat => {
                (1..=raw).contains(&coded)
            }
        };
        if !good {
            return Err(Error::Corrupt(format!(
                "a {} chunk of {raw} bytes in {coded}",
                codec.name()
            )));
        }
        if !codec.is_typed() {
            zero(element.into(), "element type")?;
        }
        Ok(info)
    }
}

/// What stands before the coded bytes of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkHeader {
    pub(super) info: ChunkInfo,
    /// Whether later chunks may repeat this one.
    pub(super) kept: bool,
    pub(super) offset: u64,
    pub(super) check: u64,
    pub(super) id: u32,
}

/// Tells a chunk header from an index header; looks only at the tag.
///
/// # Errors
/// `Corrupt` for any other tag.
pub(super) fn is_index(tag: [u8; 4]) -> Result<bool> {
    match tag {
        CHUNK_TAG => Ok(false),
        INDEX_TAG => Ok(true),
        _ => Err(Error::Corrupt("neither a chunk nor the index begins here".into())),
    }
}

impl ChunkHeader {
    pub(super) fn to_bytes(self) -> [u8; CHUNK_HEADER] {
        let mut out = [0; CHUNK_HEADER];
        out[..4].copy_from_slice(&CHUNK_TAG);
        out[4] = self.info.codec.id();
        out[5] = self.info.element;
        out[6] = self.kept.into();
        out[8..12].copy_from_slice(&self.info.raw.to_le_bytes());
        out[12..16].copy_from_slice(&self.info.coded.to_le_bytes());
        out[16..24].copy_from_slice(&self.offset.to_le_bytes());
        out[24..32].copy_from_slice(&self.check.to_le_bytes());
        out[32..36].copy_from_slice(&self.id.to_le_bytes());
        let check = xxh3_32(&out[..36]);
        out[36..].copy_from_slice(&check);
        out
    }

    pub(super) fn from_bytes(bytes: &[u8; CHUNK_HEADER], max_chunk: u32) -> Result<Self> {
        if bytes[..4] != CHUNK_TAG || xxh3_32(&bytes[..36]) != bytes[36..] {
            return Err(Error::Corrupt("the chunk header differs from its checksum".into()));
        }
        let mut fields = Fields(&bytes[4..]);
        let (codec, element, flags) = (fields.u8()?, fields.u8()?, fields.u16()?);
        let (raw, coded) = (fields.u32()?, fields.u32()?);
        let (offset, check, id) = (fields.u64()?, fields.u64()?, fields.u32()?);
        zero((flags & !KEPT).into(), "chunk flags")?;
        let info = ChunkInfo::new(codec, element, raw, coded, max_chunk)?;
        if offset.checked_add(raw.into()).is_none() {
            return Err(Error::Corrupt(format!(
                "a chunk of {raw} bytes at content offset {offset}"
            )));
        }
        Ok(Self { info, kept: flags & KEPT != 0, offset, check, id })
    }

    /// Bytes of the header and of the coded bytes.
    pub(super) fn length(&self) -> u64 {
        CHUNK_HEADER as u64 + u64::from(self.info.coded)
    }

    /// Whether the coded bytes are the ones that were written.
    pub(super) fn matches(&self, coded: &[u8]) -> bool {
        coded.len() == self.info.coded as usize && xxh3_64(coded) == self.check
    }

    /// Checks that coded bytes are those of the chunk.
    pub(super) fn check_coded(&self, coded: &[u8]) -> Result<()> {
        if !self.matches(coded) {
            return Err(Error::Corrupt("the coded bytes differ from their checksum".into()));
        }
        Ok(())
    }
}

/// What stands before the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IndexHeader {
    pub(super) id: u32,
    pub(super) length: u64,
    /// Where the chunks end, as a chunk header says where its chunk begins.
    pub(super) content_length: u64,
}

impl IndexHeader {
    pub(super) fn to_bytes(self) -> [u8; INDEX_HEADER] {
        let mut out = [0; INDEX_HEADER];
        out[..4].copy_from_slice(&INDEX_TAG);
        out[4..8].copy_from_slice(&self.id.to_le_bytes());
        out[8..16].copy_from_slice(&self.length.to_le_bytes());
        out[16..24].copy_from_slice(&self.content_length.to_le_bytes());
        let check = xxh3_32(&out[..24]);
        out[24..].copy_from_slice(&check);
        out
    }

    pub(super) fn from_bytes(bytes: &[u8; INDEX_HEADER]) -> Result<Self> {
        if bytes[..4] != INDEX_TAG || xxh3_32(&bytes[..24]) != bytes[24..] {
            return Err(Error::Corrupt("the index header differs from its checksum".into()));
        }
        let mut fields = Fields(&bytes[4..]);
        Ok(Self { id: fields.u32()?, length: fields.u64()?, content_length: fields.u64()? })
    }
}

/// What a frame ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) index_offset: u64,
    pub(super) index_length: u64,
    pub(super) index_check: u64,
    pub(super) content_length: u64,
    pub(super) content_check: u64,
    pub(super) id: u32,
}

impl Footer {
    /// Bytes of the frame that ends with this footer, unless the fields cannot be.
    pub(super) fn frame_length(&self) -> Option<u64> {
        let tail = (INDEX_HEADER + FOOTER) as u64;
        self.index_offset.checked_add(self.index_length)?.checked_add(tail)
    }

    pub(super) fn to_bytes(self) -> [u8; FOOTER] {
        let mut out = [0; FOOTER];
        let fields = [
            self.index_offset,
            self.index_length,
            self.index_check,
            self.content_length,
            self.content_check,
        ];
        for (place, field) in out.chunks_exact_mut(8).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        out[40..44].copy_from_slice(&self.id.to_le_bytes());
        let check = xxh3_32(&out[..44]);
        out[44..48].copy_from_slice(&check);
        out[48..].copy_from_slice(&FOOTER_TAG);
        out
    }

    pub(super) fn from_bytes(bytes: &[u8; FOOTER]) -> Result<Self> {
        if bytes[48..] != FOOTER_TAG || xxh3_32(&bytes[..44]) != bytes[44..48] {
            return Err(Error::Corrupt(
                "the footer differs from its checksum, or the frame does not end here".into(),
            ));
        }
        let mut fields = Fields(bytes);
        Ok(Self {
            index_offset: fields.u64()?,
            index_length: fields.u64()?,
            index_check: fields.u64()?,
            content_length: fields.u64()?,
            content_check: fields.u64()?,
            id: fields.u32()?,
        })
    }
}

/// Any part that is sound where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Header(Header),
    Chunk(ChunkHeader),
    Index(IndexHeader),
    Footer(Footer),
}

impl Part {
    /// The part that `bytes` begins with.
    pub(super) fn at(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(&MAGIC) {
            return Header::from_bytes(bytes.first_chunk()?).ok().map(Self::Header);
        }
        if bytes.starts_with(&CHUNK_TAG) {
            let header = ChunkHeader::from_bytes(bytes.first_chunk()?, MAX_CHUNK as u32);
            return header.ok().map(Self::Chunk);
        }
        if bytes.starts_with(&INDEX_TAG) {
            return IndexHeader::from_bytes(bytes.first_chunk()?).ok().map(Self::Index);
        }
        let footer = bytes.first_chunk::<FOOTER>()?;
        if footer[FOOTER - 4..] != FOOTER_TAG {
            return None;
        }
        Footer::from_bytes(footer).ok().map(Self::Footer)
    }
}

#[cfg(test)]
mod tests;

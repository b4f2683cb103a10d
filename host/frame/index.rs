//! The index at the end of a frame: the directory of named entries and the table of chunks. A reader at random starts
//! from it; a reader that came through the chunks compares it with what it saw.

use super::wire::{CHUNK_HEADER, ChunkInfo, Fields, HEADER};
use crate::{Error, Result};

/// The most dimensions of a tensor that a directory can name.
pub const MAX_DIMENSIONS: usize = 32;
/// The most bytes of an entry's name.
pub const MAX_NAME: usize = 4096;
/// The most bytes of an element type's name.
pub const MAX_DTYPE_NAME: usize = 32;

/// The least bytes an entry can take: what a claimed count must have earned before memory is set aside.
const ENTRY: usize = 24;
const CHUNK: usize = 10;

/// The container format whose bytes a frame keeps, as far as the writer recognised it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Container {
    /// Bytes of any kind.
    #[default]
    None,
    /// A safetensors file.
    Safetensors,
    /// A numpy array file.
    Npy,
    /// A zip file of numpy arrays.
    Npz,
}

impl Container {
    const ALL: [Self; 4] = [Self::None, Self::Safetensors, Self::Npy, Self::Npz];

    /// A short name for reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "bytes",
            Self::Safetensors => "safetensors",
            Self::Npy => "npy",
            Self::Npz => "npz",
        }
    }
}

/// What a directory entry names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryKind {
    /// Plain bytes.
    Bytes,
    /// The elements of a tensor, slowest dimension first unless the container says otherwise, without padding.
    Tensor {
        /// The element type: a safetensors name, or a numpy `descr` where there is none.
        dtype: String,
        /// Elements along each dimension; empty for a scalar.
        shape: Vec<u64>,
    },
    /// Coded rows with their tables.
    Rows,
}

/// A named part of the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, not necessarily unique (the first wins).
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// Where it begins in the content, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
}

impl Entry {
    /// A tensor of `length` bytes at content offset `offset`.
    #[must_use]
    pub fn tensor(name: &str, dtype: &str, shape: Vec<u64>, offset: u64, length: u64) -> Self {
        let kind = EntryKind::Tensor { dtype: dtype.into(), shape };
        Self { name: name.into(), kind, offset, length }
    }

    /// Where the entry ends in the content.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.length)
    }

    /// Whether the format can keep the entry's names and shape.
    pub(super) fn check(&self) -> Result<()> {
        let (dtype, dimensions) = match &self.kind {
            EntryKind::Tensor { dtype, shape } => (dtype.as_str(), shape.len()),
            EntryKind::Bytes | EntryKind::Rows => ("", 0),
        };
        let within = |length: usize, most: usize, what: &str| {
            if length > most {
                return Err(Error::InvalidArgument(format!(
                    "{what} of {length}: at most {most} fit into an entry"
                )));
            }
            Ok(())
        };
        within(dimensions, MAX_DIMENSIONS, "a shape")?;
        within(dtype.len(), MAX_DTYPE_NAME, "an element type name")?;
        within(self.name.len(), MAX_NAME, "a name")
    }

    fn write(&self, out: &mut Vec<u8>) {
        let (kind, dtype, shape): (u8, &str, &[u64]) = match &self.kind {
            EntryKind::Bytes => (0, "", &[]),
            EntryKind::Tensor { dtype, shape } => (1, dtype, shape),
            EntryKind::Rows => (2, "", &[]),
        };
        // `check` has bounded the three lengths.
        out.extend([kind, shape.len() as u8, dtype.len() as u8, 0]);
        out.extend((self.name.len() as u32).to_le_bytes());
        out.extend(self.offset.to_le_bytes());
        out.extend(self.length.to_le_bytes());
        out.extend(shape.iter().flat_map(|n| n.to_le_bytes()));
        out.extend(dtype.as_bytes());
        out.extend(self.name.as_bytes());
    }

    fn read(fields: &mut Fields<'_>, content_length: u64) -> Result<Self> {
        let (kind, dimensions, dtype, reserved) =
            (fields.u8()?, fields.u8()?, fields.u8()?, fields.u8()?);
        let name = fields.u32()? as usize;
        let (offset, length) = (fields.u64()?, fields.u64()?);
        let (dimensions, dtype) = (usize::from(dimensions), usize::from(dtype));
        if dimensions > MAX_DIMENSIONS || dtype > MAX_DTYPE_NAME || name > MAX_NAME || reserved != 0
        {
            return Err(Error::Corrupt(format!(
                "an entry with {dimensions} dimensions, a type name of {dtype} bytes and a name of {name} bytes"
            )));
        }
        let shape = (0..dimensions).map(|_| fields.u64()).collect::<Result<Vec<u64>>>()?;
        let dtype = text(fields.bytes(dtype)?)?;
        let name = text(fields.bytes(name)?)?;
        if offset.checked_add(length).is_none_or(|end| end > content_length) {
            return Err(Error::Corrupt(format!(
                "entry {name:?} of {length} bytes at {offset} lies outside the content of {content_length} bytes"
            )));
        }
        let plain = dimensions == 0 && dtype.is_empty();
        let kind = match kind {
            0 if plain => EntryKind::Bytes,
            1 => EntryKind::Tensor { dtype, shape },
            2 if plain => EntryKind::Rows,
            0 | 2 => {
                return Err(Error::Corrupt(format!(
                    "entry {name:?} is no tensor, but has a shape or a type"
                )));
            }
            _ => {
                return Err(Error::Unsupported(format!(
                    "entry kind {kind}: this build knows 0 to 2"
                )));
            }
        };
        Ok(Self { name, kind, offset, length })
    }
}

fn text(bytes: &[u8]) -> Result<String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.into()),
        Err(_) => Err(Error::Corrupt("a name in the index is not UTF-8".into())),
    }
}

/// The directory and the table of chunks of one frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// The container format the content was recognised as.
    pub container: Container,
    /// The named parts, in the order in which they were written.
    pub entries: Vec<Entry>,
    /// The chunks, in content order.
    pub chunks: Vec<ChunkInfo>,
}

impl Index {
    /// Content bytes of all chunks.
    #[must_use]
    pub fn content_length(&self) -> u64 {
        self.chunks.iter().map(|chunk| u64::from(chunk.raw)).sum()
    }

    /// The file offset of the index header: where the chunks end.
    #[must_use]
    pub fn file_offset(&self) -> u64 {
        let coded: u64 =
            self.chunks.iter().map(|chunk| u64::from(chunk.coded) + CHUNK_HEADER as u64).sum();
        coded + HEADER as u64
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(24 + CHUNK * self.chunks.len());
        out.extend((self.entries.len() as u64).to_le_bytes());
        out.extend((self.chunks.len() as u64).to_le_bytes());
        out.extend([self.container as u8, 0, 0, 0, 0, 0, 0, 0]);
        for entry in &self.entries {
            entry.write(&mut out);
        }
        for chunk in &self.chunks {
            out.extend(chunk.raw.to_le_bytes());
            out.extend(chunk.coded.to_le_bytes());
            out.extend([chunk.codec.id(), chunk.element]);
        }
        out
    }

    /// Reads what [`Index::to_bytes`] wrote.
    ///
    /// # Errors
    /// `Corrupt` or `Truncated` for anything the format does not allow, `Unsupported` for a container, a kind of entry
    /// or a codec this build does not know.
    pub(super) fn from_bytes(bytes: &[u8], max_chunk: u32) -> Result<Self> {
        let mut fields = Fields(bytes);
        let (entries, chunks) = (fields.u64()?, fields.u64()?);
        let container = usize::from(fields.u8()?);
        let container = *Container::ALL.get(container).ok_or_else(|| {
            Error::Unsupported(format!("container {container}: this build knows 0 to 3"))
        })?;
        if fields.bytes(7)?.iter().any(|&byte| byte != 0) {
            return Err(Error::Corrupt("reserved bytes of the index are not zero".into()));
        }
        let room = fields.0.len() as u64;
        let least = entries.checked_mul(ENTRY as u64).zip(chunks.checked_mul(CHUNK as u64));
        if least.and_then(|(a, b)| a.checked_add(b)).is_none_or(|least| least > room) {
            return Err(Error::Corrupt(format!(
                "{entries} entries and {chunks} chunks in an index of {room} bytes"
            )));
        }
        // Both counts are now earned: the bytes for them are here. The chunks come first because the entries are
        // checked against the length of the content.
        let table = fields.0.len() - CHUNK * chunks as usize;
        let (directory, mut table) = fields.0.split_at(table);
        let mut index = Self { container, ..Self::default() };
        index.chunks.reserve_exact(chunks as usize);
        let mut fields = Fields(std::mem::take(&mut table));
        for _ in 0..chunks {
            let (raw, coded) = (fields.u32()?, fields.u32()?);
            index.chunks.push(ChunkInfo::new(fields.u8()?, fields.u8()?, raw, coded, max_chunk)?);
        }
        let content_length = index.content_length();
        let mut fields = Fields(directory);
        index.entries.reserve_exact(entries as usize);
        for _ in 0..entries {
            index.entries.push(Entry::read(&mut fields, content_length)?);
        }
        if !fields.0.is_empty() {
            return Err(Error::Corrupt(format!("{} bytes too many in the index", fields.0.len())));
        }
        Ok(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Index {
        Index {
            container: Container::Safetensors,
            entries: vec![
                Entry::tensor("layer.0/weight", "BF16", vec![2, 3], 4, 12),
                Entry { name: String::new(), kind: EntryKind::Bytes, offset: 16, length: 0 },
                Entry { name: "coded".into(), kind: EntryKind::Rows, offset: 0, length: 16 },
            ],
            chunks: vec![
                ChunkInfo::new(0, 0, 10, 10, 16).unwrap(),
                ChunkInfo::new(1, 0, 6, 2, 16).unwrap(),
            ],
        }
    }

    #[test]
    fn round_trip_and_truncations() {
        let bytes = sample().to_bytes();
        assert_eq!(Index::from_bytes(&bytes, 16).unwrap(), sample());
        assert_eq!(sample().content_length(), 16);
        for length in 0..bytes.len() {
            assert!(Index::from_bytes(&bytes[..length], 16).is_err(), "cut to {length}");
        }
        assert!(Index::from_bytes(&[&bytes[..], &[0]].concat(), 16).is_err());
    }

    /// A claimed count is refused before memory is set aside for it.
    #[test]
    fn counts_must_be_earned() {
        for (entries, chunks) in
            [(1u64 << 60, 0), (0, 1u64 << 60), (u64::MAX, u64::MAX), (1, 0), (0, 1)]
        {
            let bytes = [entries.to_le_bytes(), chunks.to_le_bytes(), [0; 8]].concat();
            let error = Index::from_bytes(&bytes, 16).unwrap_err();
            assert!(matches!(error, Error::Corrupt(_)), "{error}");
        }
    }

    #[test]
    fn entries_lie_inside_the_content() {
        for (offset, length) in [(0, 17), (16, 1), (17, 0), (u64::MAX, 2)] {
            let mut index = sample();
            index.entries[1] = Entry { name: "x".into(), kind: EntryKind::Bytes, offset, length };
            assert!(Index::from_bytes(&index.to_bytes(), 16).is_err(), "{length} at {offset}");
        }
    }

    #[test]
    fn unknown_kinds_and_containers_are_named() {
        let mut bytes = sample().to_bytes();
        bytes[16] = 4;
        assert!(
            matches!(Index::from_bytes(&bytes, 16), Err(Error::Unsupported(m)) if m.contains("container 4"))
        );
        bytes[16] = 0;
        bytes[24] = 3;
        assert!(
            matches!(Index::from_bytes(&bytes, 16), Err(Error::Unsupported(m)) if m.contains("entry kind 3"))
        );
    }

    #[test]
    fn names_too_long_are_refused() {
        let long = Entry::tensor(&"n".repeat(MAX_NAME + 1), "F32", vec![], 0, 0);
        assert!(matches!(long.check(), Err(Error::InvalidArgument(_))));
        assert!(Entry::tensor("x", "F32", vec![1; MAX_DIMENSIONS + 1], 0, 0).check().is_err());
        assert!(Entry::tensor("x", "F32", vec![1; MAX_DIMENSIONS], 0, 0).check().is_ok());
    }
}

//! The index at the end of a frame: the directory of named entries and the table of chunks. A
//! reader at random starts from it; a reader that came through the chunks compares it with what it
//! saw.

use super::wire::{CHUNK_HEADER, ChunkCodec, ChunkInfo, HEADER};
use crate::{Error, Result};

/// The most dimensions of a tensor that a directory can name.
pub const MAX_DIMENSIONS: usize = 32;
/// The most bytes of an entry's name.
pub const MAX_NAME: usize = 4096;
/// The most bytes of an element type's name.
pub const MAX_DTYPE_NAME: usize = 32;

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
    /// What `torch.save` writes: a zip file of a pickle and storages.
    Torch,
    /// A GGUF file.
    Gguf,
}

impl Container {
    pub(super) const ALL: [Self; 6] =
        [Self::None, Self::Safetensors, Self::Npy, Self::Npz, Self::Torch, Self::Gguf];

    /// A short name for reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "bytes",
            Self::Safetensors => "safetensors",
            Self::Npy => "npy",
            Self::Npz => "npz",
            Self::Torch => "torch",
            Self::Gguf => "gguf",
        }
    }
}

/// What a directory entry names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EntryKind {
    /// Plain bytes.
    Bytes,
    /// The elements of a tensor, slowest dimension first unless the container says otherwise,
    /// without padding.
    Tensor {
        /// The element type: a safetensors name, or where there is none a numpy `descr` or the
        /// name of a block type of GGUF.
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
    /// The name. A writer takes each once; a container may repeat one, and so may frames one after
    /// another: the first is read by its name.
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
}

/// What a frame says of a [`Base`](super::Base) that its chunks are coded against.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BaseName {
    /// The XXH3 (64 bits, seed 0) of its content.
    pub check: u64,
    /// Bytes of its content.
    pub length: u64,
    /// Where the writer found it: a path, of a file relative to the frame's own folder.
    pub name: String,
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
    /// What chunks of [`ChunkCodec::Base`] are coded against.
    pub bases: Vec<BaseName>,
}

impl Index {
    /// Whether chunks are coded against bases.
    pub(super) fn has_bases(&self) -> bool {
        self.chunks.iter().any(|chunk| chunk.codec == ChunkCodec::Base)
    }

    /// Content bytes of all chunks.
    #[must_use]
    pub fn content_length(&self) -> u64 {
        self.chunks.iter().map(|chunk| u64::from(chunk.raw)).sum()
    }

    /// About as many bytes of memory as the index takes.
    pub(super) fn size(&self) -> usize {
        let names: usize = self.entries.iter().map(|entry| entry.name.len()).sum();
        let entry = 2 * size_of::<Entry>();
        let bases: usize =
            self.bases.iter().map(|base| size_of::<BaseName>() + base.name.len()).sum();
        names + bases + self.entries.len() * entry + self.chunks.len() * size_of::<ChunkInfo>()
    }

    /// The file offset of the index header: where the chunks end.
    #[must_use]
    pub fn file_offset(&self) -> u64 {
        let coded: u64 =
            self.chunks.iter().map(|chunk| u64::from(chunk.coded) + CHUNK_HEADER as u64).sum();
        coded + HEADER as u64
    }
}

//! The frame: a self-describing, checksummed file form for coded bytes and tensors.
//!
//! A frame keeps a string of bytes in chunks, each coded by whatever makes it smallest, and a
//! directory that names the tensors in it. [`formats::frame`](crate::formats::frame) is the
//! format; `wire` has its fixed parts and `index` the rest.
//!
//! | to | use |
//! |---|---|
//! | write | `FrameWriter`, over [`Write`](std::io::Write); never seeks |
//! | read from first to last | `FrameReader`, over [`Read`](std::io::Read), from a pipe too |
//! | read a range or a tensor | `FrameArchive`, over `Read + Seek` |
//! | save what is whole in a damaged file | `FrameSalvage`, over `Read + Seek` |
//! | code content against other content | `Base`, `FrameWriter::with_base` |
//! | know the tensors of a model file | `recognise`, `recognise_file` |
//! | write a model file as it arrives | `RecognisingWriter` |
//! | keep an array, or read one | `FrameWriter::write_array`, `FrameArchive::read_array` |
//! | keep what a [`Coder`](crate::Coder) pushed | `CodedRows` |
//!
//! Work is done on the caller's rayon pool, a bounded number of chunks at a time.
//!
//! ```
//! use std::io::{Cursor, Read, Write};
//! use parans::{Dtype, frame::{FrameArchive, FrameReader, FrameWriter, ReadOptions, WriteOptions}};
//!
//! let mut writer = FrameWriter::new(Vec::new(), WriteOptions::default())?;
//! writer.write_all(b"any bytes, ")?;
//! writer.write_tensor("weights", Dtype::F32, &[2, 8], &[0; 64])?;
//! let (frame, summary) = writer.finish()?;
//! assert_eq!(summary.content, 75);
//!
//! let mut back = Vec::new();
//! FrameReader::new(&frame[..], ReadOptions::default()).read_to_end(&mut back)?;
//! assert_eq!(back.len(), 75);
//!
//! let mut archive = FrameArchive::open(Cursor::new(&frame))?;
//! assert_eq!(archive.read_range(4..9)?, b"bytes");
//! let mut tensor = Vec::new();
//! archive.extract("weights", &mut tensor)?;
//! assert_eq!(tensor, [0; 64]);
//! # Ok::<(), parans::Error>(())
//! ```

mod archive;
mod base;
mod checkpoints;
mod chunk;
mod columns;
mod directory;
mod element;
mod findings;
mod index;
mod job;
mod layout;
mod opening;
mod options;
mod places;
mod reader;
mod rearranged;
#[cfg(feature = "remote")]
mod remote;
mod rows;
mod salvage;
mod search;
mod source;
mod sources;
mod survey;
pub(crate) mod tensor;
mod walk;
mod wire;
mod writer;

pub use archive::FrameArchive;
pub use base::Base;
pub use element::{Elements, Field, MAX_FIELDS, Record};
pub use index::{
    BaseName, Container, Entry, EntryKind, Index, MAX_DIMENSIONS, MAX_DTYPE_NAME, MAX_NAME,
};
pub use layout::{Layout, Segment, numpy_descr};
#[cfg(feature = "containers")]
pub use layout::{RecognisingWriter, recognise, recognise_file, recognise_head};
pub use options::{DEFAULT_CHUNK, Summary, WriteOptions};
pub use reader::{FrameReader, ReadOptions};
#[cfg(feature = "remote")]
pub use remote::RemoteFile;
pub use rows::CodedRows;
pub use salvage::{Damage, FrameSalvage, Loss};
pub use sources::{Repeat, find_repeats, fingerprints};
pub use wire::{ChunkCodec, ChunkInfo, MAGIC, MAX_CHUNK, VERSION};
pub use writer::FrameWriter;

pub(crate) use archive::Fetched;
pub(crate) use chunk::ChunkDecoder;
pub(crate) use reader::in_chunk;

/// Whether `head`, the first bytes of a file, begin as a frame does; all 8 bytes of [`MAGIC`] or as
/// many as there are, at least one.
#[must_use]
pub fn is_frame(head: &[u8]) -> bool {
    !head.is_empty() && head.iter().zip(&MAGIC).all(|(a, b)| a == b)
}

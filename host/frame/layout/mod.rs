//! Recognising what content is, by its bytes and never by its name: which parts of a model file are
//! which tensors, so that chunks are cut where they begin and coded by their type. The content
//! itself stays the file's very bytes; a file that only looks like a container is just bytes.

#[cfg(feature = "containers")]
use std::io::{Read, Seek, SeekFrom};

use super::index::{Container, Entry};

#[cfg(feature = "containers")]
mod npy;
#[cfg(feature = "containers")]
mod npz;
#[cfg(feature = "containers")]
mod safetensors;
mod segments;

pub(super) use segments::{FEW, Run, coarser, runs};
pub use segments::{Layout, Segment};

/// Recognises content that is all in memory.
#[cfg(feature = "containers")]
#[must_use]
pub fn recognise(content: &[u8]) -> Option<Layout> {
    let layout =
        recognise_head(content).or_else(|| npz::recognise(std::io::Cursor::new(content)))?;
    (layout.length() == content.len() as u64).then_some(layout)
}

/// Recognises the content of a file, from its first byte to its last, wherever `content` stands.
/// Reads the headers and the directory, not the elements; memory grows with the length of the
/// header, at most 100 MB, or with that of a zip file's directory.
///
/// # Errors
/// What `content` returns when its length or its beginning is read.
#[cfg(feature = "containers")]
pub fn recognise_file<R: Read + Seek>(mut content: R) -> std::io::Result<Option<Layout>> {
    let length = content.seek(SeekFrom::End(0))?;
    content.seek(SeekFrom::Start(0))?;
    let mut head = Vec::new();
    content.by_ref().take(npy::MAX_HEADER).read_to_end(&mut head)?;
    if let Some(more) = safetensors::header_length(&head) {
        let more = more.saturating_sub(head.len() as u64);
        content.by_ref().take(more).read_to_end(&mut head)?;
    }
    let layout = recognise_head(&head).or_else(|| npz::recognise(content));
    Ok(layout.filter(|layout| layout.length() == length))
}

/// Recognises content by its beginning, for instance what a pipe gave so far. Whether the rest
/// keeps the promise, only its length will show: see [`super::FrameWriter::finish`]. A zip file
/// keeps its directory at its end and cannot be recognised so.
#[cfg(feature = "containers")]
#[must_use]
pub fn recognise_head(head: &[u8]) -> Option<Layout> {
    safetensors::recognise(head).or_else(|| npy::recognise(head))
}

/// The entries of a container whose content is `length` bytes, found in parts of it that `read`
/// gives, `most` bytes at most; none where the content is not what it was taken for.
#[cfg(feature = "containers")]
pub(super) fn entries_in_content(
    container: Container,
    length: u64,
    most: u64,
    mut read: impl FnMut(std::ops::Range<u64>) -> Option<Vec<u8>>,
) -> Vec<Entry> {
    let mut find = || {
        let end = match container {
            Container::None => return None,
            Container::Safetensors => {
                let head = read(0..length.min(8))?;
                u64::from_le_bytes(*head.first_chunk()?).checked_add(8)?
            }
            Container::Npy => length.min(npy::MAX_HEADER),
            // Its directory is at its end, and the headers of its members are everywhere.
            Container::Npz => length,
        };
        let content = read(0..Some(end).filter(|&end| end <= length.min(most))?)?;
        let layout = match container {
            Container::Npz => npz::recognise(std::io::Cursor::new(&content)),
            _ => recognise_head(&content),
        };
        layout.filter(|layout| layout.container == container && layout.length() == length)
    };
    find().map(|layout| layout.entries).unwrap_or_default()
}

/// Without the feature for containers there are no entries but those of the index.
#[cfg(not(feature = "containers"))]
pub(super) fn entries_in_content(
    _: Container,
    _: u64,
    _: u64,
    _: impl FnMut(std::ops::Range<u64>) -> Option<Vec<u8>>,
) -> Vec<Entry> {
    Vec::new()
}

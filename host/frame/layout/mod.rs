//! Recognising what content is, by its bytes and never by its name: which parts of a model file are
//! which tensors, so that chunks are cut where they begin and coded by their type. The content
//! itself stays the file's very bytes; a file that only looks like a container is just bytes.

#[cfg(feature = "containers")]
use std::io::{Read, Seek, SeekFrom};

use super::index::{Container, Entry};

#[cfg(feature = "containers")]
mod descr;
#[cfg(feature = "containers")]
mod gguf;
#[cfg(feature = "containers")]
mod names;
#[cfg(feature = "containers")]
mod npy;
#[cfg(feature = "containers")]
mod opcode;
#[cfg(feature = "containers")]
mod pickle;
#[cfg(feature = "containers")]
mod safetensors;
mod segments;
#[cfg(feature = "containers")]
mod stream;
#[cfg(feature = "containers")]
mod structured;
mod types;
#[cfg(feature = "containers")]
mod walk;
#[cfg(feature = "containers")]
mod zip;

pub(super) use segments::{FEW, Run, coarser, runs};
pub use segments::{Layout, Segment};
#[cfg(feature = "containers")]
pub use stream::RecognisingWriter;
pub use types::numpy_descr;

/// Recognises content that is all in memory.
#[cfg(feature = "containers")]
#[must_use]
pub fn recognise(content: &[u8]) -> Option<Layout> {
    let layout =
        recognise_head(content).or_else(|| zip::recognise(std::io::Cursor::new(content)))?;
    fit(layout, content.len() as u64)
}

/// Recognises the content of a file, from its first byte to its last, wherever `content` stands.
/// Reads the headers and the directory, not the elements; memory grows with the length of the
/// header, at most 100 MB, or with that of a zip file's directory and of a pickle in it, at most
/// 64 MiB.
///
/// # Errors
/// What `content` returns when its length or its beginning is read.
#[cfg(feature = "containers")]
pub fn recognise_file<R: Read + Seek>(mut content: R) -> std::io::Result<Option<Layout>> {
    let length = content.seek(SeekFrom::End(0))?;
    content.seek(SeekFrom::Start(0))?;
    let mut head = Vec::new();
    let mut wanted = HEAD;
    while wanted > head.len() as u64 {
        let more = wanted - head.len() as u64;
        if content.by_ref().take(more).read_to_end(&mut head)? == 0 {
            break;
        }
        wanted = head_wanted(&head);
    }
    let layout = recognise_head(&head).or_else(|| zip::recognise(content));
    Ok(layout.and_then(|layout| fit(layout, length)))
}

/// Bytes that show what content is, but for those that only a long header has.
#[cfg(feature = "containers")]
const HEAD: u64 = npy::MAX_HEADER;

/// The length of the beginning with which [`recognise_head`] may say more than with `head`; no more
/// than `head` has where it has said all.
#[cfg(feature = "containers")]
fn head_wanted(head: &[u8]) -> u64 {
    let have = head.len() as u64;
    if have < HEAD {
        return HEAD;
    }
    if head.starts_with(gguf::MAGIC) {
        let more = gguf::recognise(head) == Err(gguf::Missing::More) && have < gguf::MAX_HEADER;
        return if more { (2 * have).min(gguf::MAX_HEADER) } else { have };
    }
    safetensors::header_length(head).unwrap_or(have)
}

/// A layout of content that has so many bytes, if it is one of such content.
#[cfg(feature = "containers")]
fn fit(mut layout: Layout, length: u64) -> Option<Layout> {
    let after = length.checked_sub(layout.length())?;
    match layout.container {
        // Bytes may fill the file up to its alignment.
        Container::Gguf if (1..gguf::MAX_PADDING).contains(&after) => {
            layout.segments.push(Segment { length: after, dtype: None });
        }
        _ if after > 0 => return None,
        _ => {}
    }
    Some(layout)
}

/// Recognises content by its beginning, for instance what a pipe gave so far. Whether the rest
/// keeps the promise, only its length will show: see [`super::FrameWriter::finish`]. A zip file
/// keeps its directory at its end and cannot be recognised so: [`RecognisingWriter`] follows it.
#[cfg(feature = "containers")]
#[must_use]
pub fn recognise_head(head: &[u8]) -> Option<Layout> {
    safetensors::recognise(head)
        .or_else(|| npy::recognise(head))
        .or_else(|| gguf::recognise(head).ok())
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
            Container::Gguf => length.min(gguf::MAX_HEADER),
            // Its directory is at its end, and the headers of its members are everywhere.
            Container::Npz | Container::Torch => length,
        };
        let content = read(0..Some(end).filter(|&end| end <= length.min(most))?)?;
        let layout = match container {
            Container::Npz | Container::Torch => zip::recognise(std::io::Cursor::new(&content)),
            _ => recognise_head(&content),
        };
        layout.filter(|layout| layout.container == container).and_then(|layout| fit(layout, length))
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

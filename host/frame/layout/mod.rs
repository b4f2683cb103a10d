//! Recognising what content is, by its bytes and never by its name: which parts of a model file are which tensors, so
//! that chunks are cut where they begin and coded by their type. The content itself stays the file's very bytes; a file
//! that only looks like a container is just bytes.

#[cfg(feature = "containers")]
use std::io::{Read, Seek, SeekFrom};

use super::index::{Container, Entry};
use crate::float::Dtype;

#[cfg(feature = "containers")]
mod npy;
#[cfg(feature = "containers")]
mod npz;
#[cfg(feature = "containers")]
mod safetensors;

/// A run of content that is coded alike; chunks do not reach over its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Bytes.
    pub length: u64,
    /// The type of the elements, or none for bytes.
    pub dtype: Option<Dtype>,
}

/// How content is laid out: the entries for the directory, and where chunks are cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The container format recognised.
    pub container: Container,
    /// The tensors.
    pub entries: Vec<Entry>,
    /// The runs, in content order, without gaps. Content after them is plain bytes.
    pub segments: Vec<Segment>,
}

impl Layout {
    /// Content bytes that the segments cover.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.segments.iter().map(|segment| segment.length).sum()
    }
}

/// Bytes below which a run is coded together with its neighbour where their types allow: a chunk of its own would cost
/// more in headers and tables than it could gain.
#[cfg(feature = "containers")]
const SMALL: u64 = 16 << 10;
/// Bytes below which a run is not worth being coded by its type at all.
#[cfg(feature = "containers")]
const TINY: u64 = 512;

/// Makes segments of tensors: `parts` are the runs that have a type, ascending and apart, inside `length` bytes.
#[cfg(feature = "containers")]
fn segments(
    parts: impl IntoIterator<Item = (std::ops::Range<u64>, Dtype)>,
    length: u64,
) -> Vec<Segment> {
    let mut out: Vec<Segment> = Vec::new();
    let mut at = 0;
    let mut push = |length: u64, dtype: Option<Dtype>| {
        if length == 0 {
            return;
        }
        let dtype = dtype.filter(|_| length >= TINY);
        match out.last_mut() {
            // Whole elements of one type follow one another, so the run stays one of whole elements.
            Some(last) if last.dtype == dtype && (last.length < SMALL || length < SMALL) => {
                last.length += length
            }
            _ => out.push(Segment { length, dtype }),
        }
    };
    for (part, dtype) in parts {
        push(part.start - at, None);
        push(part.end - part.start, Some(dtype));
        at = part.end;
    }
    push(length - at, None);
    out
}

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

/// Recognises content by its beginning, for instance what a pipe gave so far. Whether the rest keeps the promise, only
/// its length will tell: see [`super::FrameWriter::finish`]. A zip file keeps its directory at its end and cannot be
/// recognised so.
#[cfg(feature = "containers")]
#[must_use]
pub fn recognise_head(head: &[u8]) -> Option<Layout> {
    safetensors::recognise(head).or_else(|| npy::recognise(head))
}

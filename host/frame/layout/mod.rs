//! Recognising what content is, by its bytes and never by its name: which parts of a model file are
//! which tensors, so that chunks are cut where they begin and coded by their type. The content
//! itself stays the file's very bytes; a file that only looks like a container is just bytes.

#[cfg(feature = "containers")]
use std::io::{Read, Seek, SeekFrom};
use std::{collections::VecDeque, sync::Arc};

use super::index::{Container, Entry};
use crate::dtype::Dtype;

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
        self.segments.iter().fold(0, |sum, segment| sum.saturating_add(segment.length))
    }
}

/// Segments below this many bytes are coded together with a neighbour of their type: a chunk of its
/// own costs a tensor more in headers, models and states than it could gain.
const SMALL: u64 = 64 << 10;
/// Numbers of one type are coded as bytes, together with what surrounds them, where they are fewer
/// bytes than this.
#[cfg(feature = "containers")]
const TINY: u64 = 1 << 10;
/// Numbers below this many bytes may or may not be worth a chunk, see [`Run::parts`].
pub(super) const FEW: u64 = 4 << 10;
/// Segments below this many bytes, one after another, are coded as chunks of their own and as fewer
/// chunks of bytes, whichever takes less. Larger ones lose less than 0.2 % by a cut.
const TRIED: u64 = 256 << 10;

/// Content that is handed to a coder at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Bytes.
    pub(super) length: u64,
    /// The type of the elements, or none for bytes.
    pub(super) dtype: Option<Dtype>,
    /// Parts that may be chunks of their own; they make up the run, which is no longer than one
    /// chunk. Coded are all of them, those of [`FEW`] bytes and more, or the run as one chunk of
    /// bytes, whichever takes least.
    pub(super) parts: Option<Arc<[Segment]>>,
}

impl From<Segment> for Run {
    fn from(Segment { length, dtype }: Segment) -> Self {
        Self { length, dtype, parts: None }
    }
}

/// Takes small segments together, to at most `most` bytes. Depends on nothing but the segments, so
/// that the same content is always cut alike.
pub(super) fn runs(segments: Vec<Segment>, most: u64) -> VecDeque<Run> {
    let mut out = VecDeque::new();
    let mut small: Vec<Segment> = Vec::new();
    let mut length = 0;
    let together = |small: &mut Vec<Segment>, out: &mut VecDeque<Run>| match small[..] {
        [] => {}
        [one] => {
            out.push_back(one.into());
            small.clear();
        }
        [..] => {
            let length = small.iter().map(|segment| segment.length).sum();
            out.push_back(Run { length, dtype: None, parts: Some(small.drain(..).collect()) });
        }
    };
    for segment in segments.into_iter().filter(|segment| segment.length > 0) {
        let tried = segment.length < TRIED.min(most);
        if !tried || length + segment.length > most {
            together(&mut small, &mut out);
            length = 0;
        }
        if tried {
            length += segment.length;
            small.push(segment);
        } else {
            out.push_back(segment.into());
        }
    }
    together(&mut small, &mut out);
    out
}

/// Adds a segment behind others, or to the last of them.
fn push(out: &mut Vec<Segment>, length: u64, dtype: Option<Dtype>) {
    match out.last_mut() {
        // Whole elements of one type follow one another, so the segment stays one of whole
        // elements.
        Some(last)
            if last.dtype == dtype
                && (dtype.is_none() || last.length < SMALL || length < SMALL) =>
        {
            last.length += length;
        }
        _ if length > 0 => out.push(Segment { length, dtype }),
        _ => {}
    }
}

/// The same segments, but as bytes those of numbers below `least` bytes, together with the bytes
/// around them.
pub(super) fn coarser(segments: &[Segment], least: u64) -> Vec<Segment> {
    let mut out = Vec::new();
    for &Segment { length, dtype } in segments {
        push(&mut out, length, dtype.filter(|_| length >= least));
    }
    out
}

/// Makes segments of tensors: `parts` are the runs that have a type, ascending and apart, inside
/// `length` bytes.
#[cfg(feature = "containers")]
fn segments(
    parts: impl IntoIterator<Item = (std::ops::Range<u64>, Dtype)>,
    length: u64,
) -> Vec<Segment> {
    let (mut typed, mut at) = (Vec::new(), 0);
    for (part, dtype) in parts {
        push(&mut typed, part.start - at, None);
        push(&mut typed, part.end - part.start, Some(dtype));
        at = part.end;
    }
    push(&mut typed, length - at, None);
    coarser(&typed, TINY)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_segments_are_tried_together() {
        let bytes = |length| Segment { length, dtype: None };
        let floats = |length| Segment { length, dtype: Some(Dtype::F32) };
        let parts = |parts: &[Segment]| Run {
            length: parts.iter().map(|part| part.length).sum(),
            dtype: None,
            parts: Some(parts.into()),
        };
        let large = floats(TRIED);
        let segments = vec![
            bytes(100),
            floats(4000),
            large,
            bytes(7),
            large,
            floats(0),
            bytes(600),
            floats(300),
            floats(200),
        ];
        assert_eq!(
            runs(segments, 1000),
            [
                bytes(100).into(),
                floats(4000).into(),
                large.into(),
                bytes(7).into(),
                large.into(),
                parts(&[bytes(600), floats(300)]),
                floats(200).into(),
            ]
        );
        assert_eq!(runs(Vec::new(), 8), []);
    }
}

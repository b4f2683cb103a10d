//! Runs of content that are coded alike.

use std::{collections::VecDeque, sync::Arc};

use crate::frame::element::Elements;
use crate::frame::index::{Container, Entry};

/// A run of content that is coded alike; chunks do not reach over its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Bytes.
    pub length: u64,
    /// What the bytes are elements of, or none for bytes.
    pub dtype: Option<Elements>,
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
pub(in super::super) const FEW: u64 = 4 << 10;
/// Segments below this many bytes, one after another, are coded as chunks of their own and as fewer
/// chunks of bytes, whichever takes less. Larger ones lose less than 0.2 % by a cut.
const TRIED: u64 = 256 << 10;

/// Content that is handed to a coder at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Run {
    /// Bytes.
    pub(in super::super) length: u64,
    /// The type of the elements, or none for bytes.
    pub(in super::super) dtype: Option<Elements>,
    /// Parts that may be chunks of their own; they make up the run, which is no longer than one
    /// chunk. Coded are all of them, those of [`FEW`] bytes and more, or the run as one chunk of
    /// bytes, whichever takes least.
    pub(in super::super) parts: Option<Arc<[Segment]>>,
}

impl From<Segment> for Run {
    fn from(Segment { length, dtype }: Segment) -> Self {
        Self { length, dtype, parts: None }
    }
}

/// Takes small segments together, to at most `most` bytes. Depends on nothing but the segments, so
/// that the same content is always cut alike.
pub(in super::super) fn runs(segments: Vec<Segment>, most: u64) -> VecDeque<Run> {
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
fn push(out: &mut Vec<Segment>, length: u64, dtype: Option<Elements>) {
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
pub(in super::super) fn coarser(segments: &[Segment], least: u64) -> Vec<Segment> {
    let mut out = Vec::new();
    for &Segment { length, dtype } in segments {
        push(&mut out, length, dtype.filter(|_| length >= least));
    }
    out
}

/// Makes segments of tensors: `parts` are the runs that have a type, ascending and apart, inside
/// `length` bytes.
#[cfg(feature = "containers")]
pub(super) fn segments(
    parts: impl IntoIterator<Item = (std::ops::Range<u64>, Elements)>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dtype;

    #[test]
    fn small_segments_are_tried_together() {
        let bytes = |length| Segment { length, dtype: None };
        let floats = |length| Segment { length, dtype: Elements::of(Dtype::F32) };
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

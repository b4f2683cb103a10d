//! safetensors: a length, a JSON header that names tensors, their elements one after another.

use safetensors::tensor::Metadata;

use super::segments::{Layout, segments};
use crate::frame::{
    element,
    index::{Container, Entry},
};

/// The most bytes of a header: the same as the safetensors library takes.
const MAX_HEADER: u64 = 100_000_000;

/// The bytes until the end of the header that `head` may be the beginning of.
pub(super) fn header_length(head: &[u8]) -> Option<u64> {
    let (length, rest) = head.split_first_chunk()?;
    let length = u64::from_le_bytes(*length);
    (length <= MAX_HEADER && rest.first() == Some(&b'{')).then_some(8 + length)
}

/// The layout that a safetensors header at the front of `head` describes, if it is one.
pub(super) fn recognise(head: &[u8]) -> Option<Layout> {
    let begin = header_length(head)?;
    // The metadata type checks names, shapes, types and that the tensors lie one after another
    // without gaps.
    let metadata: Metadata = serde_json::from_slice(head.get(8..begin as usize)?).ok()?;
    let mut entries = Vec::new();
    let mut parts = Vec::new();
    let mut end = begin;
    // By name where empty tensors begin at the same place: the same file makes the same frame.
    let tensors = metadata.tensors();
    let mut tensors: Vec<_> = tensors.iter().collect();
    tensors.sort_unstable_by_key(|&(name, tensor)| (tensor.data_offsets, name));
    for (name, tensor) in tensors {
        let (from, to) = tensor.data_offsets;
        let (from, to) = (begin.checked_add(from as u64)?, begin.checked_add(to as u64)?);
        if from != end || to < from {
            return None;
        }
        end = to;
        let dtype = tensor.dtype.to_string();
        let shape = tensor.shape.iter().map(|&n| n as u64).collect();
        if let Some(dtype) = dtype.parse().ok().and_then(element::numbered) {
            parts.push((from..to, dtype));
        }
        let entry = Entry::tensor(name, &dtype, shape, from, to - from);
        entry.check().ok()?;
        entries.push(entry);
    }
    Some(Layout { container: Container::Safetensors, entries, segments: segments(parts, end) })
}

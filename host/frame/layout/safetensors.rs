//! safetensors: a length, a JSON header that names tensors, their elements one after another.
//!
//! The header is read here and not by the safetensors library, whose type for it refuses a whole
//! file for one element type that is none of its own. Such a tensor is named and its bytes are
//! bytes; the others keep their types.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};

use super::{
    segments::{Layout, segments},
    types::{Type, count},
};
use crate::frame::index::{Container, Entry, EntryKind};

/// The most bytes of a header: the same as the safetensors library takes.
const MAX_HEADER: u64 = 100_000_000;

/// The bytes until the end of the header that `head` may be the beginning of.
pub(super) fn header_length(head: &[u8]) -> Option<u64> {
    let (length, rest) = head.split_first_chunk()?;
    let length = u64::from_le_bytes(*length);
    (length <= MAX_HEADER && rest.first() == Some(&b'{')).then(|| 8 + length)
}

/// A tensor as the header has it.
#[derive(Deserialize)]
struct Tensor {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// The tensors of a header.
struct Header(Vec<(String, Tensor)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tensors;
        impl<'de> Visitor<'de> for Tensors {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tensors by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut tensors = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        tensors.push((name, map.next_value()?));
                    }
                }
                Ok(Header(tensors))
            }
        }
        deserializer.deserialize_map(Tensors)
    }
}

/// The layout that a safetensors header at the front of `head` describes, if it is one whose
/// tensors lie one after another without gaps.
pub(super) fn recognise(head: &[u8]) -> Option<Layout> {
    let begin = header_length(head)?;
    let header: Header = serde_json::from_slice(head.get(8..begin as usize)?).ok()?;
    let mut tensors = header.0;
    // By name where empty tensors begin at the same place, as ever.
    tensors.sort_by(|(a, one), (b, other)| {
        one.data_offsets.cmp(&other.data_offsets).then_with(|| a.cmp(b))
    });
    let mut entries = Vec::new();
    let mut parts = Vec::new();
    let mut end = begin;
    for (name, Tensor { dtype, shape, data_offsets: (from, to) }) in tensors {
        let (from, to) = (begin.checked_add(from)?, begin.checked_add(to)?);
        if from != end || to < from {
            return None;
        }
        end = to;
        if let Some(known) = Type::safetensors(&dtype) {
            // A file that contradicts itself is none of safetensors'.
            if known.bytes(count(&shape)?) != Some(to - from) {
                return None;
            }
            parts.extend(known.elements().map(|elements| (from..to, elements)));
        }
        let mut entry = Entry::tensor(&name, &dtype, shape, from, to - from);
        if entry.check().is_err() {
            entry.kind = EntryKind::Bytes;
        }
        // Only a name can be too long now. Its tensor is in the content and in no directory.
        if entry.check().is_ok() {
            entries.push(entry);
        }
    }
    Some(Layout { container: Container::Safetensors, entries, segments: segments(parts, end) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dtype, frame::element::Elements};

    fn file(header: &str, data: usize) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![1; data]].concat()
    }

    #[test]
    fn one_strange_tensor_leaves_the_others_their_types() {
        let long = "n".repeat(5000);
        for (name, dtype) in
            [("q", "I4"), ("q", "MXFP4"), ("q", &*"t".repeat(40)), (long.as_str(), "F32")]
        {
            let header = format!(
                r#"{{"a":{{"dtype":"F32","shape":[2,500],"data_offsets":[0,4000],"x":[1]}},
                "__metadata__":{{"format":"pt"}},
                {name:?}:{{"dtype":"{dtype}","shape":[8,1000],"data_offsets":[4000,8000]}},
                "b":{{"dtype":"BF16","shape":[1000],"data_offsets":[8000,10000]}}}}"#
            );
            let header =
                header.replace("[8,1000]", if dtype == "F32" { "[1000]" } else { "[8,1000]" });
            let layout = recognise(&file(&header, 10_000)).unwrap();
            assert_eq!(layout.length(), 8 + header.len() as u64 + 10_000);
            let names: Vec<&str> = layout.entries.iter().map(|entry| entry.name.as_str()).collect();
            assert_eq!(names, if name == long { vec!["a", "b"] } else { vec!["a", "q", "b"] });
            for dtype in [Dtype::F32, Dtype::Bf16] {
                let coded = Elements::of(dtype);
                assert!(layout.segments.iter().any(|segment| segment.dtype == coded), "{dtype}");
            }
        }
    }

    #[test]
    fn impossible_lengths_are_none() {
        for length in [0, MAX_HEADER + 1, u64::MAX - 7, u64::MAX] {
            let head = [&length.to_le_bytes()[..], b"{}"].concat();
            assert_eq!(recognise(&head), None, "{length}");
        }
    }

    #[test]
    fn contradictions_are_bytes() {
        for tensor in [
            r#"{"dtype":"F32","shape":[2],"data_offsets":[0,4]}"#,
            r#"{"dtype":"F32","shape":[1],"data_offsets":[4,8]}"#,
            r#"{"dtype":"X","shape":[1],"data_offsets":[8,4]}"#,
            r#"{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}"#,
            r#"{"dtype":"F32","shape":[1]}"#,
            r#"{"dtype":"F4","shape":[7],"data_offsets":[0,4]}"#,
            r#"{"dtype":"X","shape":[1],"data_offsets":[0,18446744073709551615]}"#,
            "4",
        ] {
            assert_eq!(recognise(&file(&format!("{{\"a\":{tensor}}}"), 8)), None, "{tensor}");
        }
    }
}

//! GGUF: a header of metadata and of tensors, then the tensors' elements or blocks, each at a
//! multiple of an alignment. Little-endian files of versions 2 and 3.

use super::{
    segments::{Layout, segments},
    types::count,
};
use crate::{
    Dtype,
    frame::{
        element::{Elements, Field, Record},
        index::{Container, Entry, EntryKind},
    },
};

pub(super) const MAGIC: &[u8] = b"GGUF";
/// The most bytes of a header that is looked at: the vocabularies in it have a few megabytes.
pub(super) const MAX_HEADER: u64 = 100_000_000;
/// Arrays in arrays of metadata.
const MAX_DEPTH: usize = 4;
/// Dimensions of a tensor.
const MAX_DIMENSIONS: u64 = 8;
const ALIGNMENT: u64 = 32;

/// Why a header was not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// Its end is not there yet.
    More,
    /// It is no header.
    Alien,
}

type Result<T> = std::result::Result<T, Missing>;

/// A type of ggml: its number, its name, elements and bytes of a block, and the fields of a block
/// that are coded apart. A block of one element is a number.
struct Kind {
    number: u32,
    name: &'static str,
    elements: u64,
    bytes: u64,
    fields: &'static [Field],
}

const fn bytes(count: u16) -> Field {
    Field::new(Dtype::U8, count)
}
const fn numbers(dtype: Dtype, count: u16) -> Field {
    Field::new(dtype, count)
}
const fn kind(
    number: u32,
    name: &'static str,
    elements: u64,
    bytes: u64,
    fields: &'static [Field],
) -> Kind {
    Kind { number, name, elements, bytes, fields }
}

const HALF: Field = numbers(Dtype::F16, 1);

/// The types of ggml. Scales are apart from what they scale, and the planes of the bits of numbers
/// apart from one another.
#[rustfmt::skip]
const KINDS: &[Kind] = &[
    kind(0, "F32", 1, 4, &[numbers(Dtype::F32, 1)]),
    kind(1, "F16", 1, 2, &[HALF]),
    kind(2, "Q4_0", 32, 18, &[HALF, bytes(16)]),
    kind(3, "Q4_1", 32, 20, &[HALF, HALF, bytes(16)]),
    kind(6, "Q5_0", 32, 22, &[HALF, bytes(4), bytes(16)]),
    kind(7, "Q5_1", 32, 24, &[HALF, HALF, bytes(4), bytes(16)]),
    kind(8, "Q8_0", 32, 34, &[HALF, bytes(32)]),
    kind(9, "Q8_1", 32, 36, &[HALF, HALF, bytes(32)]),
    kind(10, "Q2_K", 256, 84, &[bytes(16), bytes(64), HALF, HALF]),
    kind(11, "Q3_K", 256, 110, &[bytes(32), bytes(64), bytes(12), HALF]),
    kind(12, "Q4_K", 256, 144, &[HALF, HALF, bytes(8), bytes(4), bytes(128)]),
    kind(13, "Q5_K", 256, 176, &[HALF, HALF, bytes(8), bytes(4), bytes(32), bytes(128)]),
    kind(14, "Q6_K", 256, 210, &[bytes(128), bytes(64), bytes(16), HALF]),
    kind(15, "Q8_K", 256, 292, &[numbers(Dtype::F32, 1), bytes(256), numbers(Dtype::I16, 16)]),
    kind(16, "IQ2_XXS", 256, 66, &[HALF, bytes(64)]),
    kind(17, "IQ2_XS", 256, 74, &[HALF, bytes(64), bytes(8)]),
    kind(18, "IQ3_XXS", 256, 98, &[HALF, bytes(64), bytes(32)]),
    kind(19, "IQ1_S", 256, 50, &[HALF, bytes(32), bytes(16)]),
    kind(20, "IQ4_NL", 32, 18, &[HALF, bytes(16)]),
    kind(21, "IQ3_S", 256, 110, &[HALF, bytes(64), bytes(8), bytes(32), bytes(4)]),
    kind(22, "IQ2_S", 256, 82, &[HALF, bytes(64), bytes(8), bytes(8)]),
    kind(23, "IQ4_XS", 256, 136, &[HALF, bytes(2), bytes(4), bytes(128)]),
    kind(24, "I8", 1, 1, &[bytes(1)]),
    kind(25, "I16", 1, 2, &[numbers(Dtype::I16, 1)]),
    kind(26, "I32", 1, 4, &[numbers(Dtype::I32, 1)]),
    kind(27, "I64", 1, 8, &[numbers(Dtype::I64, 1)]),
    kind(28, "F64", 1, 8, &[numbers(Dtype::F64, 1)]),
    kind(29, "IQ1_M", 256, 56, &[bytes(32), bytes(16), bytes(8)]),
    kind(30, "BF16", 1, 2, &[numbers(Dtype::Bf16, 1)]),
    kind(34, "TQ1_0", 256, 54, &[bytes(48), bytes(4), HALF]),
    kind(35, "TQ2_0", 256, 66, &[bytes(64), HALF]),
    kind(39, "MXFP4", 32, 17, &[bytes(1), bytes(16)]),
];

impl Kind {
    fn coded(&self) -> Option<Elements> {
        match self.fields {
            [field] => Elements::of(field.dtype).or(Some(Elements::BYTES)),
            fields => Record::new(fields).map(Elements::Records),
        }
    }
}

/// Takes fields off the front of a header.
struct Header<'a>(&'a [u8]);

impl<'a> Header<'a> {
    fn bytes(&mut self, n: u64) -> Result<&'a [u8]> {
        // What is longer than a header may be never comes.
        if n > MAX_HEADER {
            return Err(Missing::Alien);
        }
        let (bytes, rest) = self.0.split_at_checked(n as usize).ok_or(Missing::More)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(self.bytes(4)?.iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte)))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from(self.u32()?) | u64::from(self.u32()?) << 32)
    }

    fn text(&mut self) -> Result<&'a str> {
        let length = self.u64()?;
        std::str::from_utf8(self.bytes(length)?).map_err(|_| Missing::Alien)
    }

    /// Skips a value of metadata; gives it if it is a number of 32 bits.
    fn value(&mut self, kind: u32, depth: usize) -> Result<Option<u32>> {
        let size = |kind| match kind {
            0 | 1 | 7 => Some(1),
            2 | 3 => Some(2),
            4..=6 => Some(4),
            10..=12 => Some(8),
            _ => None,
        };
        match (kind, size(kind)) {
            (4, _) => return Ok(Some(self.u32()?)),
            (8, _) => {
                self.bytes_of_text()?;
            }
            (9, _) => {
                let (kind, count) = (self.u32()?, self.u64()?);
                let depth = depth.checked_sub(1).ok_or(Missing::Alien)?;
                if let Some(size) = size(kind) {
                    self.bytes(count.checked_mul(size).ok_or(Missing::Alien)?)?;
                } else {
                    // Each takes bytes of the header.
                    for _ in 0..count {
                        self.value(kind, depth)?;
                    }
                }
            }
            (_, Some(size)) => {
                self.bytes(size)?;
            }
            (_, None) => return Err(Missing::Alien),
        }
        Ok(None)
    }

    /// Skips a string, which need not be text: tokens are none at times.
    fn bytes_of_text(&mut self) -> Result<()> {
        let length = self.u64()?;
        self.bytes(length)?;
        Ok(())
    }
}

/// The layout of the file whose front is `head`, without what may fill it up to its alignment.
///
/// # Errors
/// `More` where the header ends after `head`.
pub(super) fn recognise(head: &[u8]) -> Result<Layout> {
    let mut header = Header(head.strip_prefix(MAGIC).ok_or(Missing::Alien)?);
    if !matches!(header.u32()?, 2 | 3) {
        return Err(Missing::Alien);
    }
    let (tensors, pairs) = (header.u64()?, header.u64()?);
    let mut alignment = ALIGNMENT;
    for _ in 0..pairs {
        let length = header.u64()?;
        let key = header.bytes(length)?;
        let kind = header.u32()?;
        let value = header.value(kind, MAX_DEPTH)?;
        if let (b"general.alignment", Some(value)) = (key, value) {
            alignment = u64::from(value);
        }
    }
    let mut found = Vec::new();
    for _ in 0..tensors {
        let name = header.text()?;
        let dimensions = u64::from(header.u32()?);
        if dimensions > MAX_DIMENSIONS {
            return Err(Missing::Alien);
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            shape.push(header.u64()?);
        }
        // ggml has the fastest dimension first.
        shape.reverse();
        let (kind, offset) = (header.u32()?, header.u64()?);
        found.push((offset, name, shape, kind));
    }
    let read = (head.len() - header.0.len()) as u64;
    layout(read, alignment, found).ok_or(Missing::Alien)
}

/// The layout of the tensors behind a header of `header` bytes.
fn layout(
    header: u64,
    alignment: u64,
    mut found: Vec<(u64, &str, Vec<u64>, u32)>,
) -> Option<Layout> {
    if alignment == 0 {
        return None;
    }
    let begin = header.checked_next_multiple_of(alignment)?;
    found.sort_by_key(|&(offset, ..)| offset);
    let (mut entries, mut parts, mut end) = (Vec::new(), Vec::new(), begin);
    for (number, (offset, name, shape, kind)) in found.iter().enumerate() {
        let from = begin.checked_add(*offset)?;
        if from < end {
            return None;
        }
        let known = KINDS.iter().find(|known| known.number == *kind);
        let Some(known) = known else {
            // A type of later days: bytes up to the next tensor. How long the last one is, nobody
            // says.
            let next = found.get(number + 1)?.0;
            end = begin.checked_add(next)?;
            entry(&mut entries, name, EntryKind::Bytes, from, end.checked_sub(from)?);
            continue;
        };
        let elements = count(shape)?;
        if !elements.is_multiple_of(known.elements) {
            return None;
        }
        let length = (elements / known.elements).checked_mul(known.bytes)?;
        end = from.checked_add(length)?;
        parts.extend(known.coded().map(|coded| (from..end, coded)));
        let kind = EntryKind::Tensor { dtype: known.name.into(), shape: shape.clone() };
        entry(&mut entries, name, kind, from, length);
    }
    Some(Layout { container: Container::Gguf, entries, segments: segments(parts, end) })
}

/// Adds an entry, if the format can keep it.
fn entry(entries: &mut Vec<Entry>, name: &str, kind: EntryKind, offset: u64, length: u64) {
    let entry = Entry { name: name.into(), kind, offset, length };
    if entry.check().is_ok() {
        entries.push(entry);
    }
}

/// The most bytes that fill a file of these many up to its alignment.
pub(super) const MAX_PADDING: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Vec<u8> {
        [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
    }

    fn u32s(numbers: &[u32]) -> Vec<u8> {
        numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
    }

    fn u64s(numbers: &[u64]) -> Vec<u8> {
        numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
    }

    /// A header of metadata of every kind and these tensors: name, shape (fastest first), type,
    /// offset.
    fn header(tensors: &[(&str, &[u64], u32, u64)]) -> Vec<u8> {
        let mut out = [b"GGUF", &u32s(&[3])[..], &u64s(&[tensors.len() as u64, 5])].concat();
        out.extend([text("general.architecture"), u32s(&[8]), text("llama")].concat());
        out.extend([text("general.alignment"), u32s(&[4, 64])].concat());
        out.extend([text("f"), u32s(&[6]), vec![0; 4], text("b"), u32s(&[7]), vec![1]].concat());
        let strings = [u32s(&[9, 8]), u64s(&[2]), text("a"), text("b")].concat();
        out.extend([text("tokens"), strings].concat());
        for &(name, shape, kind, offset) in tensors {
            out.extend([text(name), u32s(&[shape.len() as u32]), u64s(shape)].concat());
            out.extend([u32s(&[kind]), u64s(&[offset])].concat());
        }
        out
    }

    #[test]
    fn blocks_have_the_bytes_of_their_fields() {
        for kind in KINDS {
            let fields: usize = kind.fields.iter().map(|field| field.size()).sum();
            assert_eq!(fields as u64, kind.bytes, "{}", kind.name);
        }
    }

    #[test]
    fn tensors_by_type() {
        let bytes = header(&[
            ("w", &[64, 40], 8, 0),
            ("n", &[300], 0, 2752),
            ("k", &[256], 99, 4000),
            ("h", &[512, 2], 1, 4032),
        ]);
        let layout = recognise(&bytes).unwrap();
        let begin = (bytes.len() as u64).next_multiple_of(64);
        let tensor = |name, dtype, shape: &[u64], offset, length| {
            Entry::tensor(name, dtype, shape.to_vec(), begin + offset, length)
        };
        let unknown = EntryKind::Bytes;
        assert_eq!(
            layout.entries,
            [
                tensor("w", "Q8_0", &[40, 64], 0, 2720),
                tensor("n", "F32", &[300], 2752, 1200),
                Entry { name: "k".into(), kind: unknown, offset: begin + 4000, length: 32 },
                tensor("h", "F16", &[2, 512], 4032, 2048),
            ]
        );
        assert_eq!(layout.length(), begin + 4032 + 2048);
        let coded: Vec<_> = layout.segments.iter().filter_map(|segment| segment.dtype).collect();
        assert_eq!(coded.len(), 3);
        for cut in 0..bytes.len() {
            let missing = if cut < 4 { Missing::Alien } else { Missing::More };
            assert_eq!(recognise(&bytes[..cut]), Err(missing));
        }
    }

    #[test]
    fn hostile_headers() {
        let endless = u64::MAX;
        for tensors in [
            &[("w", &[endless, endless][..], 8, 0)][..],
            &[("w", &[33], 8, 0)],
            &[("w", &[32], 0, 0), ("v", &[32], 0, 64)],
            &[("w", &[32], 0, endless)],
            &[("w", &[32], 99, 0)],
            &[("w", &[1; 9], 0, 0)],
        ] {
            assert_eq!(recognise(&header(tensors)), Err(Missing::Alien), "{tensors:?}");
        }
        let mut deep = [b"GGUF", &u32s(&[3])[..], &u64s(&[0, 1]), &text("k")].concat();
        deep.extend(u32s(&[9]));
        for _ in 0..9 {
            deep.extend([u32s(&[9]), u64s(&[endless])].concat());
        }
        assert_eq!(recognise(&deep), Err(Missing::Alien));
        let many = [b"GGUF", &u32s(&[3])[..], &u64s(&[endless, endless])].concat();
        assert_eq!(recognise(&many), Err(Missing::More));
    }
}

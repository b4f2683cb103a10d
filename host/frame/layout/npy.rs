//! npy: a magic string, a version, a Python dictionary of three known keys, the elements. The
//! dictionary is read by hand: its grammar as numpy writes it is four kinds of tokens, and the
//! crates for it bring a parser generator along.

use super::{
    descr::{Element, element, quoted},
    segments::{Layout, segments},
    structured,
    types::count,
};
use crate::frame::{
    element::Elements,
    index::{Container, Entry},
};

pub(super) const MAGIC: &[u8] = b"\x93NUMPY";
/// The most bytes of a header that is looked at: all that version 1 of the format can have, which
/// numpy writes unless an array has thousands of fields. Headers of plain types have 128 bytes.
pub(super) const MAX_HEADER: u64 = 10 + 0xffff;

/// An npy header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The length of all that stands before the elements.
    pub(super) length: u64,
    /// Bytes of elements.
    pub(super) data: u64,
    elements: Option<Elements>,
    name: String,
    shape: Vec<u64>,
}

/// The bytes until the end of the npy header that begins with `bytes`; none where they are no
/// such, and of one too long to be looked at.
pub(super) fn header_length(bytes: &[u8]) -> Option<u64> {
    let length = match bytes.strip_prefix(MAGIC)? {
        [1, _, a, b, ..] => 10 + u64::from(u16::from_le_bytes([*a, *b])),
        [2 | 3, _, a, b, c, d, ..] => 12 + u64::from(u32::from_le_bytes([*a, *b, *c, *d])),
        _ => return None,
    };
    (length <= MAX_HEADER).then_some(length)
}

impl Header {
    /// The header at the front of `bytes`, if one is there, and of a type whose size is known.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let before = header_length(bytes)?;
        let start = if bytes[MAGIC.len()] == 1 { 10 } else { 12 };
        let text = std::str::from_utf8(bytes.get(start..usize::try_from(before).ok()?)?).ok()?;
        let (descr, shape) = dictionary(text)?;
        let Element { elements, size, name } = match descr {
            Descr::Plain(descr) => element(descr)?,
            Descr::Structured(text) => structured::element(text)?,
        };
        let data = count(&shape)?.checked_mul(size)?;
        Some(Self { length: before, data, elements, name, shape })
    }

    /// The entry for the elements, `at` being where the npy begins in the content.
    pub(super) fn entry(&self, name: &str, at: u64) -> Option<Entry> {
        let entry =
            Entry::tensor(name, &self.name, self.shape.clone(), at + self.length, self.data);
        entry.check().ok()?;
        Some(entry)
    }

    /// Where the elements are and how they are coded, if by a type.
    pub(super) fn part(&self, at: u64) -> Option<(std::ops::Range<u64>, Elements)> {
        let begin = at + self.length;
        self.elements.map(|elements| (begin..begin + self.data, elements))
    }
}

/// What stands as `descr`.
enum Descr<'a> {
    Plain(&'a str),
    /// From the bracket on.
    Structured(&'a str),
}

/// The `descr` and the `shape` of a header's dictionary. The order of elements does not matter
/// here.
fn dictionary(text: &str) -> Option<(Descr<'_>, Vec<u64>)> {
    let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let (mut descr, mut shape) = (None, None);
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if rest.is_empty() {
            return Some((descr?, shape?));
        }
        let (key, value) = quoted(rest)?;
        let value = value.trim_start().strip_prefix(':')?.trim_start();
        match key {
            "descr" if value.starts_with('[') => {
                (descr, rest) = (Some(Descr::Structured(value)), structured::after(value)?);
            }
            "descr" => {
                let (value, after) = quoted(value)?;
                (descr, rest) = (Some(Descr::Plain(value)), after);
            }
            "fortran_order" => {
                rest = value.strip_prefix("False").or_else(|| value.strip_prefix("True"))?;
            }
            "shape" => {
                let (inside, after) = value.strip_prefix('(')?.split_once(')')?;
                let numbers = inside.split(',').map(str::trim).filter(|n| !n.is_empty());
                let numbers: Result<Vec<u64>, _> =
                    numbers.map(|n| n.trim_end_matches('L').parse()).collect();
                (shape, rest) = (Some(numbers.ok()?), after);
            }
            _ => return None,
        }
    }
}

/// The layout of an npy file whose front is `head`.
pub(super) fn recognise(head: &[u8]) -> Option<Layout> {
    let header = Header::parse(head)?;
    let length = header.length.checked_add(header.data)?;
    let entries = vec![header.entry("", 0)?];
    Some(Layout { container: Container::Npy, entries, segments: segments(header.part(0), length) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dtype, frame::layout::Segment};

    fn file(dictionary: &str, data: usize) -> Vec<u8> {
        let mut bytes = [MAGIC, &[1, 0]].concat();
        bytes.extend((dictionary.len() as u16).to_le_bytes());
        bytes.extend(dictionary.as_bytes());
        bytes.extend(vec![7; data]);
        bytes
    }

    #[test]
    fn headers_as_numpy_writes_them() {
        for (dictionary, dtype, name, shape, data) in [
            (
                "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5), }   \n",
                Elements::of(Dtype::F32),
                "F32",
                vec![3, 5],
                60,
            ),
            (
                "{'descr': '<f2', 'fortran_order': True, 'shape': (7,), }\n",
                Elements::of(Dtype::F16),
                "F16",
                vec![7],
                14,
            ),
            (
                "{'descr': '<i8', 'fortran_order': False, 'shape': (), }\n",
                Elements::of(Dtype::I64),
                "I64",
                vec![],
                8,
            ),
            (
                "{'descr': '|b1', 'fortran_order': False, 'shape': (4,), }\n",
                Elements::of(Dtype::Bool),
                "BOOL",
                vec![4],
                4,
            ),
            (
                "{'descr': '>f8', 'fortran_order': False, 'shape': (2,), }\n",
                Elements::big_endian(Dtype::F64),
                ">f8",
                vec![2],
                16,
            ),
            (
                "{'descr': '<U3', 'fortran_order': False, 'shape': (2,), }\n",
                Elements::of(Dtype::U32),
                "<U3",
                vec![2],
                24,
            ),
        ] {
            let header = Header::parse(&file(dictionary, 0)).unwrap();
            assert_eq!(
                (header.elements, header.name.as_str(), header.shape, header.data),
                (dtype, name, shape, data)
            );
        }
    }

    /// Each `descr` as numpy and ml_dtypes write it.
    #[test]
    fn every_kind_of_element() {
        let numbers = Elements::of;
        for (descr, elements, name, size) in [
            ("<V2", numbers(Dtype::Bf16), "BF16", 2),
            ("|V2", numbers(Dtype::Bf16), "|V2", 2),
            ("bfloat16", numbers(Dtype::Bf16), "BF16", 2),
            ("<M8[ns]", numbers(Dtype::I64), "<M8[ns]", 8),
            ("<m8", numbers(Dtype::I64), "<m8", 8),
            (">M8[25s]", Elements::big_endian(Dtype::I64), ">M8[25s]", 8),
            ("<c8", numbers(Dtype::F32), "C64", 8),
            ("<c16", numbers(Dtype::F64), "C128", 16),
            (">c8", Elements::big_endian(Dtype::F32), ">c8", 8),
            (">u2", Elements::big_endian(Dtype::U16), ">u2", 2),
            (">U3", Elements::big_endian(Dtype::U32), ">U3", 12),
            ("|S7", None, "|S7", 7),
            ("|V9", None, "|V9", 9),
            ("|i1", None, "I8", 1),
            (">f16", None, ">f16", 16),
        ] {
            let found = element(descr).unwrap();
            assert_eq!((found.elements, found.name.as_str(), found.size), (elements, name, size));
        }
        let found = element("<c32").unwrap();
        assert_eq!((found.elements.map(Elements::size), found.size), (Some(32), 32));
        for descr in ["|O", "<M8ns]", "<f", "f4", "", "<", "<S-1", "<i3", "\u{e9}f4"] {
            assert!(element(descr).is_none(), "{descr}");
        }
    }

    #[test]
    fn what_is_not_understood_is_bytes() {
        for dictionary in [
            "{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (3,), }",
            "{'descr': [('a', '<f4'], 'fortran_order': False, 'shape': (3,), }",
            "{'descr': [], 'fortran_order': False, 'shape': (3,), }",
            "{'descr': '|O', 'fortran_order': False, 'shape': (3,), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), 'more': 1}",
            "{'descr': '<f4', 'shape': (-3,)}",
            "{'descr': '<f4', 'shape': (4294967296, 4294967296)}",
            "{'descr': '<f4'}",
            "{'descr': '<f",
            "",
        ] {
            assert_eq!(Header::parse(&file(dictionary, 0)), None, "{dictionary}");
        }
        let good = file("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 12);
        for length in 0..good.len() - 12 {
            assert_eq!(recognise(&good[..length]), None);
        }
    }

    #[test]
    fn layout() {
        let bytes = file("{'descr': '<f4', 'fortran_order': False, 'shape': (2000,), }", 8000);
        let layout = recognise(&bytes).unwrap();
        let begin = bytes.len() as u64 - 8000;
        assert_eq!(layout.entries, [Entry::tensor("", "F32", vec![2000], begin, 8000)]);
        assert_eq!(
            layout.segments,
            [
                Segment { length: begin, dtype: None },
                Segment { length: 8000, dtype: Elements::of(Dtype::F32) }
            ]
        );
    }
}

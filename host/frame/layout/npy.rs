//! npy: a magic string, a version, a Python dictionary of three known keys, the elements. The
//! dictionary is read by hand: its grammar as numpy writes it is four kinds of tokens, and the
//! crates for it bring a parser generator along.

use super::segments::{Layout, segments};
use crate::{
    dtype::Dtype,
    frame::index::{Container, Entry},
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
    dtype: Option<Dtype>,
    name: String,
    shape: Vec<u64>,
}

impl Header {
    /// The header at the front of `bytes`, if one is there, and of a type whose size is known.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (version, rest) = rest.split_first_chunk::<2>()?;
        let (length, rest) = match version[0] {
            1 => rest
                .split_first_chunk()
                .map(|(n, rest)| (usize::from(u16::from_le_bytes(*n)), rest))?,
            2 | 3 => {
                rest.split_first_chunk().map(|(n, rest)| (u32::from_le_bytes(*n) as usize, rest))?
            }
            _ => return None,
        };
        let text = std::str::from_utf8(rest.get(..length)?).ok()?;
        let before = (bytes.len() - rest.len() + length) as u64;
        if before > MAX_HEADER {
            return None;
        }
        let (descr, shape) = dictionary(text)?;
        let (dtype, name, size) = element(descr)?;
        let elements = shape.iter().try_fold(1u64, |product, &n| product.checked_mul(n))?;
        Some(Self { length: before, data: elements.checked_mul(size)?, dtype, name, shape })
    }

    /// The entry for the elements, `at` being where the npy begins in the content.
    pub(super) fn entry(&self, name: &str, at: u64) -> Option<Entry> {
        let entry =
            Entry::tensor(name, &self.name, self.shape.clone(), at + self.length, self.data);
        entry.check().ok()?;
        Some(entry)
    }

    /// Where the elements are and how they are coded, if by a type.
    pub(super) fn part(&self, at: u64) -> Option<(std::ops::Range<u64>, Dtype)> {
        let begin = at + self.length;
        self.dtype.map(|dtype| (begin..begin + self.data, dtype))
    }
}

/// The `descr` and the `shape` of a header's dictionary. The order of elements does not matter
/// here.
fn dictionary(text: &str) -> Option<(&str, Vec<u64>)> {
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
            "descr" => {
                let (value, after) = quoted(value)?;
                (descr, rest) = (Some(value), after);
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

fn quoted(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('\'').and_then(|rest| rest.split_once('\''))
}

/// What a `descr` means: how to code it, its name, bytes of an element. Types that are no plain
/// numbers (structures, which are no quoted string, and objects) are left alone.
fn element(descr: &str) -> Option<(Option<Dtype>, String, u64)> {
    let mut characters = descr.chars();
    let (order, kind) = (characters.next()?, characters.next()?);
    let size: u64 = characters.as_str().parse().ok()?;
    if order == '>' {
        // Elements of the other byte order: their bytes are planes of integers all the same.
        let dtype = match size {
            2 => Some(Dtype::U16),
            4 => Some(Dtype::U32),
            8 => Some(Dtype::U64),
            _ => None,
        };
        let dtype = dtype.filter(|_| matches!(kind, 'f' | 'i' | 'u'));
        return matches!(kind, 'f' | 'i' | 'u' | 'c').then(|| (dtype, descr.to_owned(), size));
    }
    let known = |dtype: Dtype| (Some(dtype), dtype.name().to_owned(), size);
    Some(match (kind, size) {
        ('f', 2) => known(Dtype::F16),
        ('f', 4) => known(Dtype::F32),
        ('f', 8) => known(Dtype::F64),
        ('i', 2) => known(Dtype::I16),
        ('i', 4) => known(Dtype::I32),
        ('i', 8) => known(Dtype::I64),
        ('u', 2) => known(Dtype::U16),
        ('u', 4) => known(Dtype::U32),
        ('u', 8) => known(Dtype::U64),
        ('i', 1) => (None, "I8".into(), 1),
        ('u', 1) => (None, "U8".into(), 1),
        ('b', 1) => (None, "BOOL".into(), 1),
        // A complex number is two floats.
        ('c', 8) => (Some(Dtype::F32), "C64".into(), 8),
        ('c', 16) => (Some(Dtype::F64), descr.into(), 16),
        // Dates and differences of dates are 64-bit integers.
        ('S' | 'V', _) => (None, descr.into(), size),
        ('U', _) => (Some(Dtype::U32), descr.into(), size.checked_mul(4)?),
        _ => return None,
    })
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
    use crate::frame::layout::Segment;

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
                Some(Dtype::F32),
                "F32",
                vec![3, 5],
                60,
            ),
            (
                "{'descr': '<f2', 'fortran_order': True, 'shape': (7,), }\n",
                Some(Dtype::F16),
                "F16",
                vec![7],
                14,
            ),
            (
                "{'descr': '<i8', 'fortran_order': False, 'shape': (), }\n",
                Some(Dtype::I64),
                "I64",
                vec![],
                8,
            ),
            (
                "{'descr': '|b1', 'fortran_order': False, 'shape': (4,), }\n",
                None,
                "BOOL",
                vec![4],
                4,
            ),
            (
                "{'descr': '>f8', 'fortran_order': False, 'shape': (2,), }\n",
                Some(Dtype::U64),
                ">f8",
                vec![2],
                16,
            ),
            (
                "{'descr': '<U3', 'fortran_order': False, 'shape': (2,), }\n",
                Some(Dtype::U32),
                "<U3",
                vec![2],
                24,
            ),
        ] {
            let header = Header::parse(&file(dictionary, 0)).unwrap();
            assert_eq!(
                (header.dtype, header.name.as_str(), header.shape, header.data),
                (dtype, name, shape, data)
            );
        }
    }

    #[test]
    fn what_is_not_understood_is_bytes() {
        for dictionary in [
            "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,), }",
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
                Segment { length: 8000, dtype: Some(Dtype::F32) }
            ]
        );
    }
}

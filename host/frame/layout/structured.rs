//! Structured types of numpy: a list of named fields, which may be lists and arrays themselves. A
//! record of few fields is coded field by field.

use super::descr::{self, Element, quoted};
use crate::{
    Dtype,
    frame::element::{Elements, Field, MAX_FIELDS, Record},
};

/// Lists in lists.
const MAX_DEPTH: usize = 8;
/// Fields of bytes that are at most as long as this are coded column by column.
const COLUMNS: u64 = 8;

/// What is known of the fields so far.
#[derive(Default)]
struct Fields {
    size: u64,
    /// No more than one record may have, and one more.
    fields: Vec<Field>,
}

impl Fields {
    /// Adds a field of so many elements.
    fn push(&mut self, dtype: Dtype, swapped: bool, count: u64) {
        if self.fields.len() > MAX_FIELDS {
            return;
        }
        let Ok(count) = u16::try_from(count) else {
            self.fields = vec![Field::new(Dtype::U8, 1); MAX_FIELDS + 1];
            return;
        };
        if count > 0 {
            self.fields.push(Field { dtype, swapped, count });
        }
    }

    /// Adds `times` elements of a type.
    fn add(&mut self, element: &Element, times: u64) -> Option<()> {
        let bytes = element.size.checked_mul(times)?;
        self.size = self.size.checked_add(bytes)?;
        match element.elements {
            Some(Elements::Numbers(dtype)) => {
                self.push(dtype, false, bytes / dtype.size() as u64);
            }
            Some(Elements::Swapped(dtype)) => {
                self.push(dtype, true, bytes / dtype.size() as u64);
            }
            Some(Elements::Records(record)) => {
                for _ in 0..times.min(MAX_FIELDS as u64 + 1) {
                    for field in record.fields() {
                        self.push(field.dtype, field.swapped, field.count.into());
                    }
                }
            }
            None if times == 1 && bytes <= COLUMNS => {
                (0..bytes).for_each(|_| self.push(Dtype::U8, false, 1));
            }
            Some(Elements::Bools) | None => self.push(Dtype::U8, false, bytes),
        }
        Some(())
    }
}

/// The element that the list at the front of `text` describes.
pub(super) fn element(text: &str) -> Option<Element> {
    let (fields, _) = list(text, MAX_DEPTH)?;
    // numpy's name for what it does not look into.
    let name = format!("|V{}", fields.size);
    let whole = (1..=MAX_FIELDS).contains(&fields.fields.len());
    let record = Record::new(&fields.fields).filter(|_| whole);
    let elements = record.map(Elements::Records);
    (fields.size > 0).then_some(Element { elements, size: fields.size, name })
}

/// What follows the list at the front of `text`.
pub(super) fn after(text: &str) -> Option<&str> {
    Some(list(text, MAX_DEPTH)?.1)
}

/// `[(name, type), (name, type, shape), ...]`, and what follows it.
fn list(text: &str, depth: usize) -> Option<(Fields, &str)> {
    let mut rest = text.strip_prefix('[')?;
    let mut fields = Fields::default();
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if let Some(after) = rest.strip_prefix(']') {
            return Some((fields, after));
        }
        rest = field(rest, &mut fields, depth)?;
    }
}

/// One field, and what follows it.
fn field<'a>(text: &'a str, fields: &mut Fields, depth: usize) -> Option<&'a str> {
    let depth = depth.checked_sub(1)?;
    let mut rest = text.strip_prefix('(')?;
    if let Some(title) = rest.strip_prefix('(') {
        // A title and a name.
        let name = quoted(title)?.1.trim_start_matches([' ', ',']);
        rest = quoted(name)?.1.strip_prefix(')')?;
    } else {
        rest = quoted(rest)?.1;
    }
    rest = rest.trim_start_matches([' ', ',']);
    let kind;
    if rest.starts_with('[') {
        let (inner, after) = list(rest, depth)?;
        rest = after;
        let record = Record::new(&inner.fields);
        let elements = record.map(Elements::Records);
        // More fields than a record has make that of the list around them.
        let elements = elements.filter(|_| inner.fields.len() <= MAX_FIELDS);
        kind = Element { elements, size: inner.size, name: String::new() };
    } else {
        let (descr, after) = quoted(rest)?;
        rest = after;
        kind = descr::element(descr)?;
    }
    rest = rest.trim_start_matches([' ', ',']);
    let mut times = 1u64;
    if let Some(shape) = rest.strip_prefix('(') {
        let (shape, after) = shape.split_once(')')?;
        for n in shape.split(',').map(str::trim).filter(|n| !n.is_empty()) {
            times = times.checked_mul(n.parse().ok()?)?;
        }
        rest = after;
    }
    fields.add(&kind, times)?;
    rest.trim_start().strip_prefix(')')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_as_numpy_writes_them() {
        let plain = Field::new;
        for (text, size, fields) in [
            (
                "[('a', '<f4'), ('b', '<i8', (3,)), ('c', [('d', '|S3')])], 'x'",
                31,
                vec![
                    plain(Dtype::F32, 1),
                    plain(Dtype::I64, 3),
                    plain(Dtype::U8, 1),
                    plain(Dtype::U8, 1),
                    plain(Dtype::U8, 1),
                ],
            ),
            (
                "[('x', '>f4'), (\"it's\", '|b1', (2, 3)), ('', '|V100')]",
                110,
                vec![
                    Field { swapped: true, ..plain(Dtype::F32, 1) },
                    plain(Dtype::U8, 6),
                    plain(Dtype::U8, 100),
                ],
            ),
            ("[(('t', 'x'), '<f4')]", 4, vec![plain(Dtype::F32, 1)]),
            ("[('a', [('b', '<u2'), ('c', '<M8[s]')], (2,))]", 20, {
                [plain(Dtype::U16, 1), plain(Dtype::I64, 1)].repeat(2)
            }),
        ] {
            let found = element(text).unwrap();
            let Some(Elements::Records(record)) = found.elements else { panic!("{text}") };
            assert_eq!((found.size, record.fields()), (size, &fields[..]), "{text}");
            assert_eq!((record.size() as u64, found.name), (size, format!("|V{size}")));
        }
        assert_eq!(after("[('a', '<f4')], 'x'"), Some(", 'x'"));
    }

    /// The size is right all the same: the array has its place and its shape.
    #[test]
    fn too_many_fields_are_bytes() {
        let many = format!("[{}]", "('a', '<f4'), ".repeat(40));
        for (text, size) in [
            (many.as_str(), 160),
            ("[('a', '<f4', (70000,))]", 280_000),
            ("[('a', [('b', '<f4'), ('c', '<f8')], (40,))]", 480),
        ] {
            let found = element(text).unwrap();
            assert_eq!((found.elements, found.size), (None, size), "{text}");
        }
    }

    #[test]
    fn what_is_no_list() {
        let deep = format!("{}('a', '<f4'){}", "[('a', ".repeat(20), ")]".repeat(20));
        for text in [
            &*deep,
            "[('a', '|O')]",
            "[('a', '<f4'",
            "[('a')]",
            "[(1, '<f4')]",
            "[('a', '<f4', (99999999999, 99999999999))]",
            "['a']",
            "[]",
        ] {
            assert!(element(text).is_none(), "{text}");
        }
    }
}

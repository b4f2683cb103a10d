//! What the bytes of a chunk are: numbers, numbers of the other byte order, truth values, records;
//! and the numbers by which chunks name that.

use crate::dtype::Dtype;
use crate::{Error, Result};

/// Element type number `i + 1` is `NUMBERED[i]`. Never reordered: the numbers are in files. Other
/// types of one byte are coded as bytes and need no number.
pub(super) const NUMBERED: [Dtype; 10] = [
    Dtype::F16,
    Dtype::Bf16,
    Dtype::F32,
    Dtype::F64,
    Dtype::I16,
    Dtype::U16,
    Dtype::I32,
    Dtype::U32,
    Dtype::I64,
    Dtype::U64,
];
/// Added to the number of a type whose elements have their most significant byte first.
const SWAPPED: u8 = NUMBERED.len() as u8;
pub(super) const BITS: u8 = 21;
pub(super) const RECORDS: u8 = 22;

/// The most fields of a record.
pub const MAX_FIELDS: usize = 16;

/// What the bytes of a run of content are, as far as coding them needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Elements {
    /// Little-endian numbers.
    Numbers(Dtype),
    /// Numbers with their most significant byte first.
    Swapped(Dtype),
    /// Truth values, a byte each.
    Bools,
    /// Records of the same fields, one after another.
    Records(Record),
}

impl Elements {
    /// Bytes that are not coded together with other bytes around them.
    pub const BYTES: Self = Self::Numbers(Dtype::U8);

    /// Elements of a type; none where they are coded as bytes.
    #[must_use]
    pub fn of(dtype: Dtype) -> Option<Self> {
        match dtype {
            Dtype::Bool => Some(Self::Bools),
            _ => NUMBERED.contains(&dtype).then_some(Self::Numbers(dtype)),
        }
    }

    /// Elements of a type with their most significant byte first.
    #[must_use]
    pub fn big_endian(dtype: Dtype) -> Option<Self> {
        match dtype.size() {
            1 => Self::of(dtype),
            _ => NUMBERED.contains(&dtype).then_some(Self::Swapped(dtype)),
        }
    }

    /// Bytes of one element.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::Numbers(dtype) | Self::Swapped(dtype) => dtype.size(),
            Self::Bools => 1,
            Self::Records(record) => record.size(),
        }
    }

    /// A number of bytes of which chunks are multiples, but perhaps the last of a run.
    pub(super) fn chunk_multiple(self) -> usize {
        if let Self::Records(record) = self { record.size() } else { 8 }
    }

    /// The number in chunk headers, or none where chunks are coded as bytes.
    pub(super) fn id(self) -> Option<u8> {
        let number =
            |dtype| NUMBERED.iter().position(|&known| known == dtype).map(|at| at as u8 + 1);
        match self {
            Self::Numbers(dtype) => number(dtype),
            Self::Swapped(dtype) => number(dtype).map(|number| number + SWAPPED),
            Self::Bools => Some(BITS),
            Self::Records(_) => Some(RECORDS),
        }
    }
}

/// How a number of a chunk header says that its chunk is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Numbers(Dtype),
    Swapped(Dtype),
    Bits,
    /// The chunk says of which fields.
    Records,
}

/// The form with a number.
///
/// # Errors
/// `Unsupported` where the number is none of version 1.
pub(super) fn from_id(id: u8) -> Result<Form> {
    match id {
        1..=SWAPPED => Ok(Form::Numbers(NUMBERED[usize::from(id) - 1])),
        BITS => Ok(Form::Bits),
        RECORDS => Ok(Form::Records),
        0 | RECORDS.. => {
            Err(Error::Unsupported(format!("element type {id}: this build knows 1 to {RECORDS}")))
        }
        _ => Ok(Form::Swapped(NUMBERED[usize::from(id - SWAPPED) - 1])),
    }
}

/// So many numbers of one type, or bytes, in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Their type; types of one byte are bytes.
    pub dtype: Dtype,
    /// Whether their most significant byte is first.
    pub swapped: bool,
    /// How many follow one another, at least one.
    pub count: u16,
}

impl Field {
    /// Little-endian numbers, or bytes.
    #[must_use]
    pub const fn new(dtype: Dtype, count: u16) -> Self {
        Self { dtype, swapped: false, count }
    }

    /// Bytes of the field.
    #[must_use]
    pub const fn size(self) -> usize {
        self.dtype.size() * self.count as usize
    }

    /// The number of its type in a chunk of records; 0 for bytes.
    pub(super) fn id(self) -> u8 {
        let elements = if self.swapped {
            Elements::Swapped(self.dtype)
        } else {
            Elements::Numbers(self.dtype)
        };
        elements.id().unwrap_or(0)
    }

    /// The field with a number.
    pub(super) fn from_id(id: u8, count: u16) -> Result<Self> {
        let (dtype, swapped) = match id {
            0 => (Dtype::U8, false),
            _ => match from_id(id)? {
                Form::Numbers(dtype) => (dtype, false),
                Form::Swapped(dtype) => (dtype, true),
                Form::Bits | Form::Records => {
                    return Err(Error::Corrupt(format!("a field of element type {id}")));
                }
            },
        };
        if count == 0 {
            return Err(Error::Corrupt("a field of no elements".into()));
        }
        Ok(Self { dtype, swapped, count })
    }
}

/// What the records of a run are made of. Each field is coded by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    fields: [Field; MAX_FIELDS],
    used: u8,
}

impl Record {
    /// A record of these fields, in their order and without gaps; none of no fields, of more than
    /// [`MAX_FIELDS`], or where one has no elements.
    #[must_use]
    pub fn new(fields: &[Field]) -> Option<Self> {
        let sound = (1..=MAX_FIELDS).contains(&fields.len());
        if !sound || fields.iter().any(|field| field.count == 0) {
            return None;
        }
        // What is not used is the same in all, so that equal records are equal.
        let mut all = [Field::new(Dtype::U8, 0); MAX_FIELDS];
        all[..fields.len()].copy_from_slice(fields);
        Some(Self { fields: all, used: fields.len() as u8 })
    }

    /// The fields.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields[..usize::from(self.used)]
    }

    /// Bytes of a record.
    #[must_use]
    pub fn size(&self) -> usize {
        self.fields().iter().map(|field| field.size()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are the ones of docs/frame-format.md, for ever.
    #[test]
    fn numbers_of_version_1() {
        let format = include_str!("../../docs/frame-format.md");
        for (at, dtype) in NUMBERED.into_iter().enumerate() {
            let number = at as u8 + 1;
            assert_eq!(from_id(number).unwrap(), Form::Numbers(dtype));
            assert_eq!(Elements::of(dtype).and_then(Elements::id), Some(number));
            assert_eq!(from_id(number + 10).unwrap(), Form::Swapped(dtype));
            assert_eq!(Elements::big_endian(dtype).and_then(Elements::id), Some(number + 10));
            assert!(
                format.contains(&format!("| {number} | `{}` | {} |", dtype.name(), dtype.size())),
                "{dtype}"
            );
            for field in [Field::new(dtype, 3), Field { swapped: true, ..Field::new(dtype, 1) }] {
                assert_eq!(Field::from_id(field.id(), field.count).unwrap(), field);
            }
        }
        assert_eq!((from_id(21).unwrap(), from_id(22).unwrap()), (Form::Bits, Form::Records));
        for unknown in [0, 23, 255] {
            let text = format!("element type {unknown}");
            assert!(matches!(from_id(unknown), Err(Error::Unsupported(m)) if m.contains(&text)));
        }
        assert_eq!((Elements::of(Dtype::U8), Elements::big_endian(Dtype::I8)), (None, None));
        assert_eq!(Elements::of(Dtype::Bool).and_then(Elements::id), Some(21));
    }
}

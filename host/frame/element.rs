//! The numbers by which chunks name their element type.

use crate::dtype::Dtype;
use crate::{Error, Result};

/// Element type number `i + 1` is `NUMBERED[i]`. Never reordered: the numbers are in files. Types
/// of one byte are coded as bytes and need no number.
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

/// The number of an element type, or none where its chunks are coded as bytes.
pub(super) fn id(dtype: Dtype) -> Option<u8> {
    NUMBERED.iter().position(|&known| known == dtype).map(|at| at as u8 + 1)
}

/// The element type with a number.
///
/// # Errors
/// `Unsupported` where the number is none of version 1.
pub(super) fn from_id(id: u8) -> Result<Dtype> {
    let at = usize::from(id).checked_sub(1);
    at.and_then(|at| NUMBERED.get(at).copied()).ok_or_else(|| {
        Error::Unsupported(format!("element type {id}: this build knows 1 to {}", NUMBERED.len()))
    })
}

/// An element type, where its chunks are not coded as bytes.
pub(super) fn numbered(dtype: Dtype) -> Option<Dtype> {
    Some(dtype).filter(|dtype| NUMBERED.contains(dtype))
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
            assert_eq!((from_id(number).unwrap(), id(dtype)), (dtype, Some(number)));
            assert_eq!(numbered(dtype), Some(dtype));
            assert!(
                format.contains(&format!("| {number} | `{}` | {} |", dtype.name(), dtype.size())),
                "{dtype}"
            );
        }
        assert!(matches!(from_id(0), Err(Error::Unsupported(_))));
        assert!(matches!(from_id(11), Err(Error::Unsupported(m)) if m.contains("element type 11")));
        assert_eq!((id(Dtype::U8), numbered(Dtype::U8)), (None, None));
    }
}

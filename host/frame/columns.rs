//! The bytes of an index: numbers of variable length, and pieces that are coded one by one.
//! `docs/frame-format.md` has both.
//!
//! An index is mostly columns of small numbers and of names that resemble the ones before them,
//! which order-0 coding takes to a few bits each.

use super::wire::Fields;
use crate::{Error, Result, order0};

/// The most bytes of a piece before coding.
const PIECE: usize = 1 << 20;
/// Columns shorter than this share a piece with others: a coded piece has a table of its own.
const LEAST: usize = 256;
/// Pieces may decode to this many times the bytes that they take, and to [`FREE`] more.
const EXPANSION: usize = 16;
const FREE: usize = 1 << 16;

/// Appends `number`, seven bits per byte from the lowest on; every byte but the last has its top
/// bit set.
pub(super) fn put(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes what [`put`] appended. Every number has one form, the shortest.
pub(super) fn take(fields: &mut Fields<'_>) -> Result<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = fields.u8()?;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits || byte == 0 && shift > 0 {
            break;
        }
        number |= bits << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(Error::Corrupt("a number in the index is longer than it needs to be".into()))
}

/// Takes a number that counts things which take at least one of the bytes left each.
pub(super) fn take_count(fields: &mut Fields<'_>, what: &str) -> Result<usize> {
    let number = take(fields)?;
    let left = fields.0.len();
    usize::try_from(number)
        .ok()
        .filter(|&number| number <= left)
        .ok_or_else(|| Error::Corrupt(format!("{number} {what} in {left} bytes of the index")))
}

/// A difference modulo 2^64, as a number that is small where the difference is, whichever its sign.
pub(super) fn difference(to: u64, from: u64) -> u64 {
    let difference = to.wrapping_sub(from).cast_signed();
    (difference << 1 ^ difference >> 63).cast_unsigned()
}

/// What [`difference`] was taken to.
pub(super) fn add_difference(from: u64, difference: u64) -> u64 {
    from.wrapping_add(difference >> 1 ^ (difference & 1).wrapping_neg())
}

/// The most bytes that `n` bytes of pieces decode to.
pub(super) fn most_decoded(n: usize) -> usize {
    n.saturating_mul(EXPANSION).saturating_add(FREE)
}

/// Codes columns as pieces, or only stores them.
pub(super) fn code(columns: &[Vec<u8>], store: bool) -> Vec<u8> {
    let mut encoder = order0::Encoder::new();
    let (mut out, mut together, mut coded) = (Vec::new(), Vec::new(), Vec::new());
    let mut piece = |bytes: &[u8], out: &mut Vec<u8>| {
        for bytes in bytes.chunks(PIECE) {
            coded.clear();
            if !store {
                encoder.encode(bytes, &mut coded);
            }
            put(bytes.len() as u64, out);
            if store || coded.len() >= bytes.len() {
                put(0, out);
                out.extend_from_slice(bytes);
            } else {
                put(coded.len() as u64, out);
                out.extend_from_slice(&coded);
            }
        }
    };
    for column in columns {
        if column.len() >= LEAST {
            piece(&together, &mut out);
            together.clear();
            piece(column, &mut out);
        } else {
            together.extend_from_slice(column);
        }
    }
    piece(&together, &mut out);
    out
}

/// The columns, one after another, of the pieces that `bytes` are.
///
/// # Errors
/// `Corrupt` or `Truncated` for bytes that no writer wrote, `Corrupt` for more content than so many
/// bytes may have.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<u8>> {
    let most = most_decoded(bytes.len());
    let mut decoder = order0::Decoder::new();
    let mut fields = Fields(bytes);
    let mut out = Vec::new();
    while !fields.0.is_empty() {
        let (length, coded) = (take(&mut fields)?, take(&mut fields)?);
        if length == 0 || length > PIECE as u64 || length as usize > most - out.len() {
            return Err(Error::Corrupt(format!(
                "a piece of {length} bytes after {}, in an index of {}",
                out.len(),
                bytes.len()
            )));
        }
        let length = length as usize;
        match usize::try_from(coded).unwrap_or(usize::MAX) {
            0 => out.extend_from_slice(fields.bytes(length)?),
            coded => {
                let coded = fields.bytes(coded)?;
                let at = out.len();
                out.resize(at + length, 0);
                decoder.decode(coded, &mut out[at..])?;
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers() {
        for (number, bytes) in [
            (0u64, &b"\x00"[..]),
            (127, b"\x7f"),
            (128, b"\x80\x01"),
            (300, b"\xac\x02"),
            (u64::MAX, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        ] {
            let mut out = Vec::new();
            put(number, &mut out);
            assert_eq!(out, bytes);
            assert_eq!(take(&mut Fields(&out)).unwrap(), number);
        }
        for bytes in [
            &b"\x80\x00"[..],
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00",
            b"\x80",
            b"",
        ] {
            assert!(take(&mut Fields(bytes)).is_err(), "{bytes:?}");
        }
        for (to, from, number) in [(0, 0, 0), (7, 9, 3), (9, 7, 4), (0, u64::MAX, 2)] {
            assert_eq!(difference(to, from), number);
            assert_eq!(add_difference(from, number), to);
        }
    }

    /// Sixty thousand pieces of a mebibyte of one byte each are refused before they are decoded.
    #[test]
    fn pieces_decode_to_a_bounded_length() {
        let mut piece = Vec::new();
        put(1 << 20, &mut piece);
        piece.extend([2, 1, 7]);
        let error = decode(&piece.repeat(60_000)).unwrap_err();
        assert!(matches!(&error, Error::Corrupt(m) if m.contains("in an index of")), "{error}");
        let error = decode(&piece).unwrap_err();
        assert!(matches!(&error, Error::Corrupt(_)), "{error}");
    }

    proptest! {
        #[test]
        fn any_columns(
            columns in prop::collection::vec(prop::collection::vec(0u8..5, 0..1500), 0..6),
            store in any::<bool>(),
        ) {
            let coded = code(&columns, store);
            prop_assert_eq!(decode(&coded).unwrap(), columns.concat());
        }

        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(out) = decode(&bytes) {
                prop_assert!(out.len() <= most_decoded(bytes.len()));
            }
        }
    }
}

//! Headers of npy files: a magic string, a version, the length of a Python dictionary, which gives
//! the type, the order and the shape of the elements that follow.

use parans::frame::numpy_descr;

const MAGIC: &[u8] = b"\x93NUMPY";
/// The magic string, version 1.0 and its length.
const START: usize = MAGIC.len() + 4;
/// Elements begin at a multiple of this.
const ALIGN: usize = 64;

/// The longest header in a file that is looked for: one of version 1.0.
pub(crate) const MAX_HEADER: u64 = START as u64 + 0xffff;

/// The header for elements of `length` bytes in all, in C order. `dtype` is a type of safetensors
/// or of numpy.
///
/// # Errors
/// A sentence that says why numpy cannot have these elements.
pub(crate) fn header(dtype: &str, shape: &[u64], length: u64) -> Result<Vec<u8>, String> {
    let descr =
        descr(dtype).ok_or_else(|| format!("numpy has no type for elements of type {dtype}"))?;
    let elements = shape.iter().try_fold(1u64, |product, &n| product.checked_mul(n));
    if elements.and_then(|elements| elements.checked_mul(size(descr)?)) != Some(length) {
        return Err(format!("{length} bytes are no {shape:?} elements of type {dtype}"));
    }
    // A tuple: (), (3,), (3, 4).
    let numbers = shape.iter().map(|n| format!("{n},")).collect::<Vec<_>>().join(" ");
    let numbers = if shape.len() > 1 { numbers.trim_end_matches(',') } else { &numbers };
    let dictionary =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({numbers}), }}");
    let padded = (START + dictionary.len() + 1).next_multiple_of(ALIGN) - START;
    let mut out = [MAGIC, &[1, 0], &(padded as u16).to_le_bytes()].concat();
    out.extend(format!("{dictionary:<width$}\n", width = padded - 1).as_bytes());
    Ok(out)
}

/// The npy header that ends where `bytes` ends.
pub(crate) fn last_header(bytes: &[u8]) -> Option<&[u8]> {
    let starts = (0..bytes.len().saturating_sub(START)).rev();
    starts.map(|start| &bytes[start..]).find(|header| {
        let length = header.strip_prefix(MAGIC).and_then(|rest| match rest {
            [1, _, a, b, ..] => Some(START + usize::from(u16::from_le_bytes([*a, *b]))),
            [2 | 3, _, a, b, c, d, ..] => {
                let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
                length.checked_add(START + 2)
            }
            _ => None,
        });
        length == Some(header.len())
    })
}

/// numpy's name for a type: raw bytes for types that it lacks, as ml_dtypes saves its own.
fn descr(dtype: &str) -> Option<&str> {
    numpy_descr(dtype).or_else(|| {
        // A type of numpy's, under its own name.
        let (kind, digits) = dtype.split_at_checked(2)?;
        let known = kind.starts_with(['<', '>', '|']) && kind.ends_with(|c| "fiucbSUV".contains(c));
        let number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        (known && number).then_some(dtype)
    })
}

/// Bytes of an element of a type of numpy's.
fn size(descr: &str) -> Option<u64> {
    let size: u64 = descr.get(2..)?.parse().ok()?;
    // Characters have four bytes.
    if descr[1..].starts_with('U') { size.checked_mul(4) } else { Some(size) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_those_of_numpy() {
        for (dtype, shape, length, dictionary) in [
            ("F32", &[3, 5][..], 60, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 5), }"),
            ("BOOL", &[7], 7, "{'descr': '|b1', 'fortran_order': False, 'shape': (7,), }"),
            ("I64", &[], 8, "{'descr': '<i8', 'fortran_order': False, 'shape': (), }"),
            ("BF16", &[0, 2], 0, "{'descr': '|V2', 'fortran_order': False, 'shape': (0, 2), }"),
            ("<U3", &[2], 24, "{'descr': '<U3', 'fortran_order': False, 'shape': (2,), }"),
            ("F8_E4M3", &[2], 2, "{'descr': '|V1', 'fortran_order': False, 'shape': (2,), }"),
            ("C128", &[2], 32, "{'descr': '<c16', 'fortran_order': False, 'shape': (2,), }"),
        ] {
            let made = header(dtype, shape, length).unwrap();
            assert_eq!(made.len() % ALIGN, 0);
            assert_eq!(made[..10], [MAGIC, &[1, 0, (made.len() - START) as u8, 0]].concat());
            let text = std::str::from_utf8(&made[START..]).unwrap();
            assert_eq!(text.trim_end_matches([' ', '\n']), dictionary);
            assert!(text.ends_with('\n'));
            // The same header is found again behind other bytes, and behind another header.
            for before in [&b"PK"[..], &made, MAGIC] {
                assert_eq!(last_header(&[before, &made].concat()), Some(&made[..]));
            }
            assert_eq!(last_header(&made[..made.len() - 1]), None);
        }
    }

    #[test]
    fn what_numpy_cannot_have() {
        for (dtype, shape, length) in [
            ("F4", &[8][..], 4),
            ("F6_E2M3", &[4], 3),
            ("Q8_0", &[32], 34),
            ("F32", &[3], 11),
            ("F32", &[u64::MAX, 2], 8),
            ("<f4', 'x': '", &[1], 4),
            ("", &[], 0),
            ("<f", &[], 0),
            ("é3", &[], 3),
        ] {
            assert!(header(dtype, shape, length).is_err(), "{dtype}");
        }
    }
}

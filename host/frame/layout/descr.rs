//! The plain types of numpy, by their `descr`: `<f4`, `|b1`, `<M8[ns]`.

use super::types::Type;
use crate::{
    Dtype,
    frame::element::{Elements, Field, Record},
};

/// What stands between the quotes at the front of `text`, and what follows them.
pub(super) fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    let mut escaped = false;
    let end = text[1..].find(|character| {
        let ends = character == quote && !escaped;
        escaped = character == '\\' && !escaped;
        ends
    })?;
    Some((&text[1..1 + end], &text[end + 2..]))
}

/// The elements of an array.
pub(super) struct Element {
    /// How they are coded.
    pub(super) elements: Option<Elements>,
    /// Bytes of one.
    pub(super) size: u64,
    pub(super) name: String,
}

/// What a plain `descr` means. Objects, which are pickles, are left alone.
pub(super) fn element(descr: &str) -> Option<Element> {
    if descr == "bfloat16" {
        return element("<V2");
    }
    let (order, kind) = (descr.get(..1)?, descr.get(1..)?);
    let big = match order {
        ">" => true,
        "<" | "|" | "=" => false,
        _ => return None,
    };
    let coded = |dtype| if big { Elements::big_endian(dtype) } else { Elements::of(dtype) };
    let own = |elements, size| Some(Element { elements, size, name: descr.into() });
    if let Some(known) = Type::numpy(kind) {
        // bfloat16 has raw bytes of this size for numpy, and ml_dtypes writes `<V2`.
        let own_name = big || kind.starts_with('V') && order != "<";
        return Some(Element {
            elements: if big { known.big_endian() } else { known.elements() },
            size: known.bits / 8,
            name: if own_name { descr.into() } else { known.name.into() },
        });
    }
    // Dates and differences of dates are 64-bit integers: `<M8[ns]`.
    if let Some(unit) = kind.strip_prefix("M8").or_else(|| kind.strip_prefix("m8")) {
        let sound = unit.is_empty() || unit.starts_with('[') && unit.ends_with(']');
        return if sound { own(coded(Dtype::I64), 8) } else { None };
    }
    let size: u64 = kind.get(1..)?.parse().ok()?;
    match (&kind[..1], size) {
        ("S" | "V", _) => own(None, size),
        ("U", _) => own(coded(Dtype::U32), size.checked_mul(4)?),
        // The 80 bits of x87's long double, and what fills them up.
        ("f", 16) | ("c", 32) if !big => {
            let long = [(Dtype::U64, 1), (Dtype::U16, 1), (Dtype::U16, 1), (Dtype::U32, 1)];
            let fields =
                long.map(|(dtype, count)| Field::new(dtype, count)).repeat(size as usize / 16);
            own(Record::new(&fields).map(Elements::Records), size)
        }
        ("f" | "c", _) => own(None, size),
        _ => None,
    }
}

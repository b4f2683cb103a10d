//! The element types of all containers: one table of their names, how each is coded, and what numpy
//! has for it.

#[cfg(feature = "containers")]
use crate::frame::element::Elements;
use crate::{Dtype, Dtype::*};

/// An element type of a container.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Type {
    /// Its name in directories: safetensors' own where it has one.
    pub(super) name: &'static str,
    /// The numbers that its elements are coded as; none for bytes.
    coded: Option<Dtype>,
    /// Bits of an element.
    pub(super) bits: u64,
    /// numpy's type, or raw bytes where numpy has none of this size.
    descr: Option<&'static str>,
    /// Its names in PyTorch: of the type, and of the class of its storages in lower case.
    torch: &'static [&'static str],
}

const fn row(
    name: &'static str,
    coded: Option<Dtype>,
    bits: u64,
    descr: &'static str,
    torch: &'static [&'static str],
) -> Type {
    let descr = if descr.is_empty() { None } else { Some(descr) };
    Type { name, coded, bits, descr, torch }
}

#[rustfmt::skip]
const TYPES: &[Type] = &[
    row("BOOL", Some(Bool), 8, "|b1", &["bool"]),
    row("U8", None, 8, "|u1", &["uint8", "byte", "quint8"]),
    row("I8", None, 8, "|i1", &["int8", "char", "qint8"]),
    row("U16", Some(U16), 16, "<u2", &["uint16"]),
    row("I16", Some(I16), 16, "<i2", &["int16", "short"]),
    row("U32", Some(U32), 32, "<u4", &["uint32"]),
    row("I32", Some(I32), 32, "<i4", &["int32", "int", "qint32"]),
    row("U64", Some(U64), 64, "<u8", &["uint64"]),
    row("I64", Some(I64), 64, "<i8", &["int64", "long"]),
    row("F16", Some(F16), 16, "<f2", &["float16", "half"]),
    row("BF16", Some(Bf16), 16, "|V2", &["bfloat16"]),
    row("F32", Some(F32), 32, "<f4", &["float32", "float"]),
    row("F64", Some(F64), 64, "<f8", &["float64", "double"]),
    // A complex number is two floats.
    row("C32", Some(F16), 32, "|V4", &["complex32", "complexhalf"]),
    row("C64", Some(F32), 64, "<c8", &["complex64", "complexfloat"]),
    row("C128", Some(F64), 128, "<c16", &["complex128", "complexdouble"]),
    row("F8_E4M3", None, 8, "|V1", &["float8_e4m3fn"]),
    row("F8_E5M2", None, 8, "|V1", &["float8_e5m2"]),
    row("F8_E4M3FNUZ", None, 8, "|V1", &["float8_e4m3fnuz"]),
    row("F8_E5M2FNUZ", None, 8, "|V1", &["float8_e5m2fnuz"]),
    row("F8_E8M0", None, 8, "|V1", &["float8_e8m0fnu"]),
    row("F6_E2M3", None, 6, "", &[]),
    row("F6_E3M2", None, 6, "", &[]),
    row("F4", None, 4, "", &[]),
    row("I4", None, 4, "", &[]),
    row("U4", None, 4, "", &[]),
];

/// The numpy type of elements of the type of this name, as entries name it: raw bytes (`|V2`) where
/// numpy has none, as ml_dtypes keeps its own; none for types that are no whole bytes, and for
/// those that no container here has.
///
/// ```
/// use parans::frame::numpy_descr;
///
/// assert_eq!(numpy_descr("F32"), Some("<f4"));
/// assert_eq!(numpy_descr("BF16"), Some("|V2"));
/// assert_eq!(numpy_descr("F4"), None);
/// ```
#[must_use]
pub fn numpy_descr(name: &str) -> Option<&'static str> {
    TYPES.iter().find(|known| known.name == name)?.descr
}

#[cfg(feature = "containers")]
impl Type {
    /// The type of this name in safetensors.
    pub(super) fn safetensors(name: &str) -> Option<&'static Self> {
        TYPES.iter().find(|known| known.name == name)
    }

    /// The type that PyTorch calls so, or whose storages are of the class of this name without
    /// `Storage`.
    pub(super) fn torch(name: &str) -> Option<&'static Self> {
        TYPES.iter().find(|known| known.torch.iter().any(|torch| torch.eq_ignore_ascii_case(name)))
    }

    /// numpy's type of this kind and so many bytes, without the byte order: `f4`.
    pub(super) fn numpy(kind: &str) -> Option<&'static Self> {
        TYPES.iter().find(|known| known.descr.is_some_and(|descr| &descr[1..] == kind))
    }

    /// How its elements are coded.
    pub(super) fn elements(&self) -> Option<Elements> {
        self.coded.and_then(Elements::of)
    }

    /// The same, with the most significant byte first.
    pub(super) fn big_endian(&self) -> Option<Elements> {
        self.coded.and_then(Elements::big_endian)
    }

    /// Bytes of so many elements, if they are whole ones.
    pub(super) fn bytes(&self, elements: u64) -> Option<u64> {
        let bits = elements.checked_mul(self.bits)?;
        bits.is_multiple_of(8).then_some(bits / 8)
    }
}

/// Elements in a tensor of this shape; none past 64 bits.
#[cfg(feature = "containers")]
pub(super) fn count(shape: &[u64]) -> Option<u64> {
    // Zeros first: a tensor without elements has none however large its other dimensions are.
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(1u64, |product, &n| product.checked_mul(n))
}

#[cfg(all(test, feature = "containers"))]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_one_type() {
        for known in TYPES {
            assert_eq!(Type::safetensors(known.name), Some(known));
            for name in known.torch {
                assert_eq!(Type::torch(name), Some(known), "{name}");
            }
            if let Some(dtype) = known.coded {
                assert!(known.bits.is_multiple_of(8 * dtype.size() as u64), "{known:?}");
            }
            if let Some(descr) = known.descr
                && !descr.contains('V')
            {
                assert_eq!(Type::numpy(&descr[1..]), Some(known));
            }
        }
        // What the library codes under a name is what the table says.
        for dtype in Dtype::ALL {
            let known = Type::safetensors(dtype.name()).unwrap();
            assert_eq!(known.bits, 8 * dtype.size() as u64);
            assert_eq!(known.elements(), Elements::of(dtype), "{dtype}");
            let torch = dtype.numpy_name();
            assert!(known.torch.contains(&torch), "{dtype}: {torch}");
        }
    }

    #[test]
    fn sizes() {
        let bytes = |name, elements| Type::safetensors(name).unwrap().bytes(elements);
        assert_eq!((bytes("F4", 8), bytes("F4", 7), bytes("F6_E2M3", 4)), (Some(4), None, Some(3)));
        assert_eq!((bytes("C128", 2), bytes("F64", u64::MAX)), (Some(32), None));
        assert_eq!(
            (count(&[3, 4]), count(&[]), count(&[u64::MAX, 2, 0])),
            (Some(12), Some(1), Some(0))
        );
        assert_eq!(count(&[u64::MAX, 2]), None);
    }
}

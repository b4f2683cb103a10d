//! Element types: what the bytes of a tensor are, under the names safetensors gives them.

use std::{borrow::Cow, fmt, str::FromStr};

use bytemuck::{CheckedBitPattern, NoUninit};
use half::{bf16, f16};

use crate::error::{Error, Result};
use crate::memory;

/// The type of a tensor's elements, as far as coding it needs to know.
///
/// `Display` uses the names of the safetensors format (`"BF16"`, `"F8_E4M3"`, `"I64"`, `"BOOL"`).
/// `FromStr` and `TryFrom<&str>` take those and the names of numpy and PyTorch (`"bfloat16"`,
/// `"float8_e4m3fn"`, `"int64"`, `"bool"`), in any case.
///
/// ```
/// use parans::Dtype;
///
/// for name in ["F32", "f32", "float32"] {
///     assert_eq!(name.parse::<Dtype>()?, Dtype::F32);
/// }
/// assert!("F33".parse::<Dtype>().is_err());
/// # Ok::<(), parans::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dtype {
    /// IEEE 754 half precision: 1 sign, 5 exponent, 10 mantissa bits.
    F16,
    /// bfloat16, the upper half of an `F32`: 1 sign, 8 exponent, 7 mantissa bits.
    Bf16,
    /// IEEE 754 single precision: 1 sign, 8 exponent, 23 mantissa bits.
    F32,
    /// IEEE 754 double precision: 1 sign, 11 exponent, 52 mantissa bits.
    F64,
    /// 8-bit float with 4 exponent and 3 mantissa bits, coded as a byte.
    F8E4M3,
    /// 8-bit float with 5 exponent and 2 mantissa bits, coded as a byte.
    F8E5M2,
    /// Signed byte.
    I8,
    /// Byte.
    U8,
    /// Signed 16-bit integer.
    I16,
    /// Unsigned 16-bit integer.
    U16,
    /// Signed 32-bit integer.
    I32,
    /// Unsigned 32-bit integer.
    U32,
    /// Signed 64-bit integer.
    I64,
    /// Unsigned 64-bit integer.
    U64,
    /// A truth value, one byte each.
    Bool,
}

impl Dtype {
    /// Every element type, in the order of declaration.
    pub const ALL: [Self; 15] = [
        Self::F16,
        Self::Bf16,
        Self::F32,
        Self::F64,
        Self::F8E4M3,
        Self::F8E5M2,
        Self::I8,
        Self::U8,
        Self::I16,
        Self::U16,
        Self::I32,
        Self::U32,
        Self::I64,
        Self::U64,
        Self::Bool,
    ];

    /// Bytes per element: 1, 2, 4 or 8.
    pub const fn size(self) -> usize {
        match self {
            Self::F8E4M3 | Self::F8E5M2 | Self::I8 | Self::U8 | Self::Bool => 1,
            Self::F16 | Self::Bf16 | Self::I16 | Self::U16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
        }
    }

    /// The name in a safetensors header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::F32 => "F32",
            Self::F64 => "F64",
            Self::F8E4M3 => "F8_E4M3",
            Self::F8E5M2 => "F8_E5M2",
            Self::I8 => "I8",
            Self::U8 => "U8",
            Self::I16 => "I16",
            Self::U16 => "U16",
            Self::I32 => "I32",
            Self::U32 => "U32",
            Self::I64 => "I64",
            Self::U64 => "U64",
            Self::Bool => "BOOL",
        }
    }

    /// The name in numpy, in ml_dtypes for what numpy lacks, and in PyTorch.
    pub const fn numpy_name(self) -> &'static str {
        match self.aliases() {
            [name, ..] => name,
            [] => "bool",
        }
    }

    /// Its names in numpy and PyTorch, where they are others than the safetensors name in lower
    /// case; the common one first.
    const fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::F16 => &["float16", "half"],
            Self::Bf16 => &["bfloat16"],
            Self::F32 => &["float32"],
            Self::F64 => &["float64", "double"],
            Self::F8E4M3 => &["float8_e4m3fn", "float8_e4m3"],
            Self::F8E5M2 => &["float8_e5m2"],
            Self::I8 => &["int8"],
            Self::U8 => &["uint8"],
            Self::I16 => &["int16"],
            Self::U16 => &["uint16"],
            Self::I32 => &["int32"],
            Self::U32 => &["uint32"],
            Self::I64 => &["int64"],
            Self::U64 => &["uint64"],
            Self::Bool => &[],
        }
    }

    /// Widths of the exponent and the mantissa, for the floats that are split by them.
    pub(crate) const fn exponent_mantissa(self) -> Option<(u32, u32)> {
        match self {
            Self::F16 => Some((5, 10)),
            Self::Bf16 => Some((8, 7)),
            Self::F32 => Some((8, 23)),
            Self::F64 => Some((11, 52)),
            _ => None,
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Dtype {
    type Err = Error;

    /// # Errors
    /// [`Error::Unsupported`] for a name of no type here.
    fn from_str(name: &str) -> Result<Self> {
        let is_named = |dtype: &Self| {
            let mut names = dtype.aliases().iter().copied().chain([dtype.name()]);
            names.any(|known| known.eq_ignore_ascii_case(name))
        };
        Self::ALL.into_iter().find(is_named).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::Unsupported(format!("element type {name:?}; there are {known}"))
        })
    }
}

impl TryFrom<&str> for Dtype {
    type Error = Error;

    fn try_from(name: &str) -> Result<Self> {
        name.parse()
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that a tensor's elements have: [`half::f16`], [`half::bf16`], `f32`, `f64`, an
/// integer of 8 to 64 bits, or `bool`.
pub trait Element:
    sealed::Sealed + NoUninit + CheckedBitPattern + fmt::Debug + Send + Sync + 'static
{
    /// Its name among the element types.
    const DTYPE: Dtype;
}

macro_rules! elements {
    ($($type:ty => $dtype:ident),*) => {$(
        impl sealed::Sealed for $type {}
        impl Element for $type {
            const DTYPE: Dtype = Dtype::$dtype;
        }
    )*};
}
elements!(
    f16 => F16, bf16 => Bf16, f32 => F32, f64 => F64, bool => Bool,
    i8 => I8, u8 => U8, i16 => I16, u16 => U16, i32 => I32, u32 => U32, i64 => I64, u64 => U64
);

/// Elements as little-endian bytes.
pub(crate) fn to_bytes<T: Element>(elements: &[T]) -> Cow<'_, [u8]> {
    let bytes = bytemuck::cast_slice(elements);
    if cfg!(target_endian = "little") {
        return Cow::Borrowed(bytes);
    }
    let mut bytes = bytes.to_vec();
    bytes.chunks_exact_mut(size_of::<T>()).for_each(<[u8]>::reverse);
    Cow::Owned(bytes)
}

/// Elements from little-endian bytes, a whole number of them.
///
/// # Errors
/// [`Error::Corrupt`] for bytes that are no value of the type, which `bool` alone has;
/// [`Error::InvalidArgument`] where there is no memory for the elements.
pub(crate) fn from_bytes<T: Element>(mut bytes: Vec<u8>) -> Result<Vec<T>> {
    if cfg!(target_endian = "big") {
        bytes.chunks_exact_mut(size_of::<T>()).for_each(<[u8]>::reverse);
    }
    let read = |bytes| {
        bytemuck::checked::try_pod_read_unaligned(bytes)
            .map_err(|_| Error::Corrupt(format!("bytes {bytes:02x?} are no {}", T::DTYPE)))
    };
    let mut elements = memory::with_capacity(bytes.len() / size_of::<T>())?;
    for bytes in bytes.chunks_exact(size_of::<T>()) {
        elements.push(read(bytes)?);
    }
    Ok(elements)
}

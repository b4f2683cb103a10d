//! Element types: what a chunk's bytes are, under the names safetensors gives them.

use std::{fmt, str::FromStr};

use crate::{Error, Result};

/// The type of a tensor's elements, as far as coding it needs to know.
///
/// `Display` and `FromStr` use the names of the safetensors format (`"BF16"`, `"F8_E4M3"`, `"I64"`,
/// `"BOOL"`).
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

    /// Widths of the exponent and the mantissa, for the floats that are split by them.
    pub(super) const fn exponent_mantissa(self) -> Option<(u32, u32)> {
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

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|dtype| dtype.name() == name)
            .ok_or_else(|| Error::Unsupported(format!("element type {name:?}")))
    }
}

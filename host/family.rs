//! The stream families by name, and their link to the codec's types.

use std::fmt;
use std::str::FromStr;

use parans_kernels::codec::{self, EncoderEntry, StateInt, WordInt};

use crate::error::{Error, Result};
use crate::tables::{ExactEntry, Prepared};

/// A stream family: the arithmetic, the width of a state and that of a word. The names are those of
/// torch_ans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// rANS, 64-bit states, 32-bit words, precision up to 31.
    Rans64,
    /// rANS, 32-bit states, 8-bit words, precision up to 23.
    Rans32,
    /// rANS, 32-bit states, 16-bit words, precision up to 15.
    Rans32x16,
    /// tANS, 16-bit words, precision up to 15.
    Tans32,
    /// tANS, 8-bit words, precision up to 15.
    Tans16,
    /// tANS, 8-bit words, precision up to 7.
    Tans8,
}

impl Family {
    /// Every family.
    pub const ALL: &'static [Self] =
        &[Self::Rans64, Self::Rans32, Self::Rans32x16, Self::Tans32, Self::Tans16, Self::Tans8];

    /// The lane counts that every family codes.
    pub const LANES: &'static [usize] = &[1, 2, 4, 8, 32];

    /// The name, as torch_ans spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rans64 => "rans64",
            Self::Rans32 => "rans32",
            Self::Rans32x16 => "rans32_16",
            Self::Tans32 => "tans32",
            Self::Tans16 => "tans16",
            Self::Tans8 => "tans8",
        }
    }

    /// The largest precision, in bits.
    pub const fn max_precision(self) -> u32 {
        match self {
            Self::Rans64 => 31,
            Self::Rans32 => 23,
            Self::Rans32x16 | Self::Tans32 | Self::Tans16 => 15,
            Self::Tans8 => 7,
        }
    }

    /// Whether coding a symbol is a table lookup (tANS) rather than arithmetic (rANS).
    pub const fn is_tans(self) -> bool {
        matches!(self, Self::Tans32 | Self::Tans16 | Self::Tans8)
    }

    /// Bytes of a state.
    pub const fn state_bytes(self) -> usize {
        match self {
            Self::Rans64 => 8,
            _ => 4,
        }
    }

    /// Bytes of a word.
    pub const fn word_bytes(self) -> usize {
        match self {
            Self::Rans64 => 4,
            Self::Rans32x16 | Self::Tans32 => 2,
            Self::Rans32 | Self::Tans16 | Self::Tans8 => 1,
        }
    }

    /// How many state-sized fields stand before a row's words: the states, and in tANS the bit
    /// buffer and its length.
    pub const fn header_fields(self, lanes: usize) -> usize {
        if self.is_tans() { lanes + codec::tans::BUFFER_FIELDS } else { lanes }
    }

    /// The value of each header field of an initial row.
    pub(crate) const fn initial_field(self) -> u64 {
        match self {
            Self::Rans64 => 1 << 31,
            Self::Rans32 => 1 << 23,
            Self::Rans32x16 => 1 << 15,
            // tANS states depend on the precision, which only the tables store: 0 stands for the
            // first one.
            Self::Tans32 | Self::Tans16 | Self::Tans8 => 0,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Family {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.iter().copied().find(|family| family.name() == name).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|family| family.name()).collect();
            Error::Unsupported(format!("family {name:?}; known are {}", known.join(", ")))
        })
    }
}

/// How the rows of a family lie in memory.
pub(crate) trait RowFormat: Send + Sync + Sized + 'static {
    /// The run-time name.
    const FAMILY: Family;
    /// A field before the words: a state, mostly.
    type Field: bytemuck::Pod + Send + Sync;
    /// A word.
    type Unit: bytemuck::Pod + Send + Sync;
}

macro_rules! row_format {
    ($($name:ident: $field:ty, $unit:ty;)*) => {$(
        impl RowFormat for codec::$name {
            const FAMILY: Family = Family::$name;
            type Field = $field;
            type Unit = $unit;
        }
    )*};
}
row_format! {
    Rans64: u64, u32;
    Rans32: u32, u8;
    Rans32x16: u32, u16;
    Tans32: u32, u16;
    Tans16: u32, u8;
    Tans8: u32, u8;
}

/// A rANS family with what the host adds: its form of the tables.
pub(crate) trait HostFamily:
    RowFormat
    + codec::RansFamily<
        State: StateInt,
        Word: WordInt,
        State = <Self as RowFormat>::Field,
        Word = <Self as RowFormat>::Unit,
    >
{
    /// The prepared encoder entries of the tables.
    fn entries(prepared: &Prepared) -> &[EncoderEntry<Self>];
    /// Those with exact quotients, for precisions up to 16.
    fn exact(prepared: &Prepared) -> &[ExactEntry<Self::State>];
}

impl HostFamily for codec::Rans64 {
    fn entries(prepared: &Prepared) -> &[EncoderEntry<Self>] {
        prepared.rans64()
    }
    fn exact(prepared: &Prepared) -> &[ExactEntry<Self::State>] {
        prepared.exact64()
    }
}

impl HostFamily for codec::Rans32 {
    fn entries(prepared: &Prepared) -> &[EncoderEntry<Self>] {
        prepared.rans32()
    }
    fn exact(prepared: &Prepared) -> &[ExactEntry<Self::State>] {
        prepared.exact32()
    }
}

impl HostFamily for codec::Rans32x16 {
    fn entries(prepared: &Prepared) -> &[EncoderEntry<Self>] {
        prepared.rans32x16()
    }
    fn exact(prepared: &Prepared) -> &[ExactEntry<Self::State>] {
        prepared.exact32x16()
    }
}

/// Calls a generic function with the codec type of a run-time family.
macro_rules! with_family {
    ($family:expr, $type:ident => $body:expr) => {
        match $family {
            $crate::Family::Rans64 => {
                type $type = parans_kernels::codec::Rans64;
                $body
            }
            $crate::Family::Rans32 => {
                type $type = parans_kernels::codec::Rans32;
                $body
            }
            $crate::Family::Rans32x16 => {
                type $type = parans_kernels::codec::Rans32x16;
                $body
            }
            $crate::Family::Tans32 => {
                type $type = parans_kernels::codec::Tans32;
                $body
            }
            $crate::Family::Tans16 => {
                type $type = parans_kernels::codec::Tans16;
                $body
            }
            $crate::Family::Tans8 => {
                type $type = parans_kernels::codec::Tans8;
                $body
            }
        }
    };
}
pub(crate) use with_family;

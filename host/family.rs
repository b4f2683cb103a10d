//! The stream families by name, and their link to the codec's types.

use std::fmt;
use std::str::FromStr;

use parans_kernels::codec::{self, EncoderEntry, StateInt, WordInt};

use crate::error::{Error, Result};
use crate::tables::Prepared;

/// A stream family: the arithmetic, the width of a state and that of a word. The names are those of torch_ans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// rANS, 64-bit states, 32-bit words, precision up to 31.
    Rans64,
    /// rANS, 32-bit states, 8-bit words, precision up to 23.
    Rans32,
    /// rANS, 32-bit states, 16-bit words, precision up to 15.
    Rans32x16,
}

impl Family {
    /// Every family.
    pub const ALL: &'static [Self] = &[Self::Rans64, Self::Rans32, Self::Rans32x16];

    /// The lane counts that every family codes.
    pub const LANES: &'static [usize] = &[1, 2, 4, 8, 32];

    /// The name, as torch_ans spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rans64 => "rans64",
            Self::Rans32 => "rans32",
            Self::Rans32x16 => "rans32_16",
        }
    }

    /// The largest precision, in bits.
    pub const fn max_precision(self) -> u32 {
        match self {
            Self::Rans64 => 31,
            Self::Rans32 => 23,
            Self::Rans32x16 => 15,
        }
    }

    /// Bytes of a state.
    pub const fn state_bytes(self) -> usize {
        match self {
            Self::Rans64 => 8,
            Self::Rans32 | Self::Rans32x16 => 4,
        }
    }

    /// Bytes of a word.
    pub const fn word_bytes(self) -> usize {
        match self {
            Self::Rans64 => 4,
            Self::Rans32 => 1,
            Self::Rans32x16 => 2,
        }
    }

    /// How many state-sized fields stand before a row's words.
    pub const fn header_fields(self, lanes: usize) -> usize {
        lanes
    }

    /// The value of each header field of a fresh row.
    pub(crate) const fn fresh_field(self) -> u64 {
        match self {
            Self::Rans64 => 1 << 31,
            Self::Rans32 => 1 << 23,
            Self::Rans32x16 => 1 << 15,
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

/// A codec family with what the host adds: its run-time name and its form of the tables.
pub(crate) trait HostFamily: codec::Family<State: StateInt, Word: WordInt> {
    /// The run-time name.
    const FAMILY: Family;
    /// The prepared encoder entries of the tables.
    fn entries(prepared: &Prepared) -> &[EncoderEntry<Self>];
}

impl HostFamily for codec::Rans64 {
    const FAMILY: Family = Family::Rans64;
    fn entries(prepared: &Prepared) -> &[EncoderEntry<Self>] {
        prepared.rans64()
    }
}

impl HostFamily for codec::Rans32 {
    const FAMILY: Family = Family::Rans32;
    fn entries(prepared: &Prepared) -> &[EncoderEntry<Self>] {
        prepared.rans32()
    }
}

impl HostFamily for codec::Rans32x16 {
    const FAMILY: Family = Family::Rans32x16;
    fn entries(prepared: &Prepared) -> &[EncoderEntry<Self>] {
        prepared.rans32x16()
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
        }
    };
}
pub(crate) use with_family;

//! Where each bit of an element goes. A [`Layout`] is chosen once per chunk, from the chunk's own
//! values, and written in its header.
//!
//! A float of `w` bits is sign, exponent, mantissa. Its magnitude (all but the sign) is cut down to
//! `value_bits` bits: trailing mantissa bits that no element sets are dropped (an `F32` tensor that
//! was rounded to half precision), and the exponents are moved down by `base`, so that the few
//! exponents which occur fit five bits instead of eight. The top eight of the bits left are the
//! *symbol*: exponent and first mantissa bits together, which is what order-0 coding gains on. What
//! remains, the sign above the low mantissa bits, is noise, cut into whole byte planes from the
//! bottom and a fraction of a byte at the top.
//!
//! Measured on the weights of a sentence encoder, as a share of the tensor:
//!
//! | symbol (order-0 entropy; the rest raw; one table for all) | f32 | bf16 | f16 |
//! |---|---|---|---|
//! | exponent | 0.8333 | 0.6665 | 0.8539 |
//! | exponent and sign (signs are noise) | 0.8333 | 0.6665 | |
//! | exponent and one mantissa bit | 0.8318 | 0.6635 | 0.8509 |
//! | **exponent and three mantissa bits** | 0.8312 | 0.6625 | 0.8498 |
//! | all bits but the sign, or the first 17 of an f32 | 0.8312 | 0.6624 | 0.8497 |
//! | exponent and three mantissa bits, a table per MiB | 0.8292 | 0.6584 | 0.8457 |
//!
//! So three mantissa bits beside five of exponent leave nothing worth having, and keep the alphabet
//! at 256. What could lie below was tried as well, and left out:
//!
//! - The exponent of the element to the left or in the row above as context: 0.01 to 0.05 % of the
//!   tensor. The mean of the eight above: 0.15 % of bf16. Neighbouring weights are independent,
//!   nearly.
//! - A table for each scale of row, in quarters of an octave, side information not counted: 0.5 %
//!   of bf16, 0.2 % of f32, most of which a table per MiB gains as well. For each scale of column:
//!   0.1 %.
//! - Two tables a chunk, each block of 128 elements or row taking the better one, side information
//!   and tables counted: 0.1 % of bf16, nothing of f32. Four tables lose.
//! - Coding the low mantissa bytes: nothing, except in the tensors that were rounded to half
//!   precision (3.5 % of this model), whose trailing zeros are dropped here at no cost.

use core::fmt;

/// What happens to the sign of a float.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// Kept with each element, above the low mantissa bits.
    Kept,
    /// The same in every element: `false` is positive.
    Constant(bool),
}

/// What is done to integers before they are cut into byte planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Nothing.
    None,
    /// Zigzag: small numbers of both signs become small unsigned ones.
    Zigzag,
    /// The difference to the element before, then zigzag: sorted or slowly changing numbers.
    Delta,
}

/// How the elements of one chunk are cut into planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Bits of an element: 16, 32 or 64.
    pub word_bits: u32,
    /// Trailing bits dropped, zero in every element.
    pub dropped: u32,
    /// Bits left of the magnitude, 8 of them in the symbol.
    pub value_bits: u32,
    /// Taken from every magnitude (after dropping) that is at least as large. No magnitude lies
    /// between `base` and `base + exponent_unit`, so nothing collides with zeros and denormals,
    /// which keep their values.
    pub base: u64,
    /// Magnitude of exponent field 1 after dropping; 0 for integers.
    pub exponent_unit: u64,
    /// The sign; integers have theirs inside the value.
    pub sign: Sign,
    /// False for integers: then the value is the whole word.
    pub is_float: bool,
    /// Integers only.
    pub filter: Filter,
    /// Whether the fraction of a byte at the top of the rest is packed densely, or spread to a byte
    /// plane of its own (when that plane is worth coding).
    pub packed: bool,
    /// If the rests of zeros are left out: the symbol of +0, followed by that of -0. No other
    /// element has them.
    pub zero: Option<u8>,
}

/// What one pass over the elements of a float chunk learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// All elements or-ed.
    pub or: u64,
    /// All elements and-ed.
    pub and: u64,
    /// Smallest exponent field that is not zero, if there is one.
    pub smallest: Option<u32>,
    /// Largest exponent field.
    pub largest: u32,
}

/// Length of a float layout in a header.
const FLOAT_HEADER: usize = 5;
const PACKED: u8 = 4;
const ZEROS: u8 = 8;

impl Layout {
    /// Integers, and everything else that is cut at byte borders.
    pub fn integer(word_bits: u32, filter: Filter) -> Self {
        Self {
            word_bits,
            dropped: 0,
            value_bits: word_bits,
            base: 0,
            exponent_unit: 0,
            sign: Sign::Constant(false),
            is_float: false,
            filter,
            packed: false,
            zero: None,
        }
    }

    /// Floats of `exponent` and `mantissa` bits whose elements have these statistics.
    pub fn float(exponent: u32, mantissa: u32, stats: &Stats) -> Self {
        let lowest = stats.smallest.unwrap_or(1);
        let span = stats.largest.saturating_sub(lowest - 1);
        // Five bits at least: with fewer the symbol would hold more mantissa, which gains nothing.
        let kept = (5..exponent).find(|&bits| span < 1 << bits).unwrap_or(exponent);
        let first = if kept < exponent { lowest - 1 } else { 0 };
        Self::with_exponents(exponent, mantissa, stats, kept, first)
    }

    /// The same, with the rests of zeros left out; `None` if no two symbols are free for them.
    pub fn float_without_zeros(exponent: u32, mantissa: u32, stats: &Stats) -> Option<Self> {
        let lowest = stats.smallest.unwrap_or(1);
        (5..=exponent.min(8)).find_map(|kept| {
            let first = if kept < exponent { lowest - 1 } else { 0 };
            // The first exponent, as it will be in the symbol, that no element has.
            let free = stats.largest.saturating_sub(first) + 1;
            let zero = u8::try_from(free << (8 - kept)).ok().filter(|&zero| zero < u8::MAX)?;
            let layout = Self::with_exponents(exponent, mantissa, stats, kept, first);
            Some(Self { zero: Some(zero), ..layout })
        })
    }

    fn with_exponents(exponent: u32, mantissa: u32, stats: &Stats, kept: u32, first: u32) -> Self {
        let sign_bit = 1u64 << (exponent + mantissa);
        let sign = if stats.or & sign_bit == 0 {
            Sign::Constant(false)
        } else if stats.and & sign_bit != 0 {
            Sign::Constant(true)
        } else {
            Sign::Kept
        };
        let dropped = stats.or.trailing_zeros().min(kept + mantissa - 8).min(mantissa);
        let unit = 1u64 << (mantissa - dropped);
        Self {
            word_bits: 1 + exponent + mantissa,
            dropped,
            value_bits: kept + mantissa - dropped,
            base: u64::from(first) * unit,
            exponent_unit: unit,
            sign,
            is_float: true,
            filter: Filter::None,
            packed: true,
            zero: None,
        }
    }

    /// Bits of an element that are not in the symbol.
    pub fn rest_bits(&self) -> u32 {
        self.value_bits - 8 + u32::from(self.sign == Sign::Kept)
    }

    /// Whole byte planes of the rest.
    pub fn whole_planes(&self) -> usize {
        (self.rest_bits() / 8) as usize
    }

    /// Bits of the rest above its whole byte planes: 0 to 7.
    pub fn fraction_bits(&self) -> u32 {
        self.rest_bits() % 8
    }

    /// Gives the bytes of a float layout to `store`.
    pub fn write_float(&self, mantissa: u32, mut store: impl FnMut(u8)) {
        let kept = self.value_bits + self.dropped - mantissa;
        let mut flags = match self.sign {
            Sign::Kept => 0,
            Sign::Constant(false) => 1,
            Sign::Constant(true) => 2,
        };
        flags |= if self.packed { PACKED } else { 0 };
        flags |= if self.zero.is_some() { ZEROS } else { 0 };
        let first = (self.base / self.exponent_unit) as u16;
        let [low, high] = first.to_le_bytes();
        [kept as u8, self.dropped as u8, flags, low, high].into_iter().for_each(&mut store);
        if let Some(zero) = self.zero {
            store(zero);
        }
    }

    /// The layout at the front of `data`, of floats of `exponent` and `mantissa` bits, and how many
    /// bytes it takes.
    ///
    /// # Errors
    /// A [`LayoutFault`].
    pub fn read_float(
        exponent: u32,
        mantissa: u32,
        data: &[u8],
    ) -> Result<(Self, usize), LayoutFault> {
        let &[kept, dropped, flags, low, high, ..] = data else {
            return Err(LayoutFault::FloatEnds);
        };
        let first = u32::from(u16::from_le_bytes([low, high]));
        let (kept, dropped) = (u32::from(kept), u32::from(dropped));
        let sign = match flags & !(PACKED | ZEROS) {
            0 => Sign::Kept,
            1 => Sign::Constant(false),
            2 => Sign::Constant(true),
            _ => return Err(LayoutFault::Flags(flags)),
        };
        if !(5..=exponent).contains(&kept)
            || dropped > mantissa.min(kept + mantissa - 8)
            || first >= 1 << exponent
        {
            return Err(LayoutFault::Exponents { kept, first, dropped });
        }
        let (mut zero, mut taken) = (None, FLOAT_HEADER);
        if flags & ZEROS != 0 {
            let &symbol = data.get(FLOAT_HEADER).ok_or(LayoutFault::FloatEnds)?;
            zero = Some(symbol);
            taken += 1;
            if symbol == u8::MAX {
                return Err(LayoutFault::NoNegativeZero);
            }
        }
        let unit = 1u64 << (mantissa - dropped);
        let layout = Self {
            word_bits: 1 + exponent + mantissa,
            dropped,
            value_bits: kept + mantissa - dropped,
            base: u64::from(first) * unit,
            exponent_unit: unit,
            sign,
            is_float: true,
            filter: Filter::None,
            packed: flags & PACKED != 0,
            zero,
        };
        Ok((layout, taken))
    }

    /// The byte of an integer layout.
    pub fn integer_byte(&self) -> u8 {
        match self.filter {
            Filter::None => 0,
            Filter::Zigzag => 1,
            Filter::Delta => 2,
        }
    }

    /// The layout at the front of `data`, of integers of so many bits, and how many bytes it takes.
    ///
    /// # Errors
    /// A [`LayoutFault`].
    pub fn read_integer(word_bits: u32, data: &[u8]) -> Result<(Self, usize), LayoutFault> {
        let filter = match data.first() {
            Some(0) => Filter::None,
            Some(1) => Filter::Zigzag,
            Some(2) => Filter::Delta,
            Some(&filter) => return Err(LayoutFault::Filter(filter)),
            None => return Err(LayoutFault::IntegerEnds),
        };
        Ok((Self::integer(word_bits, filter), 1))
    }
}

/// Why bytes are no layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutFault {
    /// They end inside the layout of floats.
    FloatEnds,
    /// They end before the layout of integers.
    IntegerEnds,
    /// Flags that mean nothing.
    Flags(u8),
    /// Bits that floats of the type do not have.
    Exponents {
        /// Bits of the exponent that are kept.
        kept: u32,
        /// The exponent that they begin behind.
        first: u32,
        /// Bits of the mantissa that are dropped.
        dropped: u32,
    },
    /// The symbol of +0 is the last one.
    NoNegativeZero,
    /// An unknown filter.
    Filter(u8),
}

impl LayoutFault {
    /// Whether more bytes could make it a layout.
    pub fn is_truncated(self) -> bool {
        matches!(self, Self::FloatEnds | Self::IntegerEnds)
    }
}

impl fmt::Display for LayoutFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FloatEnds => f.write_str("float chunk ends in its header"),
            Self::IntegerEnds => f.write_str("integer chunk ends in its header"),
            Self::Flags(flags) => write!(f, "float chunk flags {flags:#04x}"),
            Self::Exponents { kept, first, dropped } => write!(
                f,
                "float chunk keeps {kept} exponent bits from {first}, drops {dropped} mantissa bits"
            ),
            Self::NoNegativeZero => f.write_str("float chunk without a symbol for -0"),
            Self::Filter(filter) => write!(f, "integer chunk filter {filter}"),
        }
    }
}

//! Where each bit of an element goes. A [`Layout`] is chosen once per chunk, from the chunk's own values, and written
//! in its header; the loops of `split` obey it.
//!
//! A float of `w` bits is sign, exponent, mantissa. Its magnitude (all but the sign) is cut down to `value_bits` bits:
//! trailing mantissa bits that no element sets are dropped (an `F32` tensor that was rounded to half precision), and
//! the exponents are moved down by `base`, so that the few exponents which occur fit five bits instead of eight. The
//! top eight of the bits left are the *symbol*: exponent and first mantissa bits together, which is what order-0
//! coding gains on. What remains, the sign above the low mantissa bits, is noise, cut into whole byte planes from the
//! bottom and a fraction of a byte at the top.
//!
//! Tried on the weights of a sentence encoder (bfloat16, order-0 entropy of the coded part and the rest raw):
//! exponent byte alone 0.6665, with the sign 0.6665 (signs are noise), exponent and one mantissa bit 0.6635, three
//! bits 0.6625, all sixteen bits as one alphabet 0.6623. So three mantissa bits beside a five-bit exponent leave
//! nothing worth having, and keep the alphabet at 256.

use crate::{Error, Result};

/// What happens to the sign of a float.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// Kept with each element, above the low mantissa bits.
    Kept,
    /// The same in every element: `false` is positive.
    Constant(bool),
}

/// What is done to integers before they are cut into byte planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    /// Nothing.
    None,
    /// Zigzag: small numbers of both signs become small unsigned ones.
    Zigzag,
    /// The difference to the element before, then zigzag: sorted or slowly changing numbers.
    Delta,
}

/// How the elements of one chunk are cut into planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// Bits of an element: 16, 32 or 64.
    pub(super) word_bits: u32,
    /// Trailing bits dropped, zero in every element.
    pub(super) dropped: u32,
    /// Bits left of the magnitude, 8 of them in the symbol.
    pub(super) value_bits: u32,
    /// Taken from every magnitude (after dropping) that is at least as large. No magnitude lies between `base` and
    /// `base + exponent_unit`, so nothing collides with zeros and denormals, which keep their values.
    pub(super) base: u64,
    /// Magnitude of exponent field 1 after dropping; 0 for integers.
    pub(super) exponent_unit: u64,
    /// The sign; integers have theirs inside the value.
    pub(super) sign: Sign,
    /// False for integers: then the value is the whole word.
    pub(super) is_float: bool,
    /// Integers only.
    pub(super) filter: Filter,
    /// Whether the fraction of a byte at the top of the rest is packed densely, or spread to a byte plane of its own
    /// (when that plane is worth coding).
    pub(super) packed: bool,
}

/// What one pass over the elements of a float chunk learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stats {
    /// All elements or-ed.
    pub(super) or: u64,
    /// All elements and-ed.
    pub(super) and: u64,
    /// Smallest exponent field that is not zero, if there is one.
    pub(super) smallest: Option<u32>,
    /// Largest exponent field.
    pub(super) largest: u32,
}

/// Length of a float layout in a header.
const FLOAT_HEADER: usize = 5;
const PACKED: u8 = 4;

impl Layout {
    /// Integers, and everything else that is cut at byte borders.
    pub(super) fn integer(word_bits: u32, filter: Filter) -> Self {
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
        }
    }

    /// Floats of `exponent` and `mantissa` bits whose elements have these statistics.
    pub(super) fn float(exponent: u32, mantissa: u32, stats: &Stats) -> Self {
        let word_bits = 1 + exponent + mantissa;
        let lowest = stats.smallest.unwrap_or(1);
        let span = stats.largest.saturating_sub(lowest - 1);
        // Five bits at least: with fewer the symbol would hold more mantissa, which gains nothing.
        let kept = (5..exponent).find(|&bits| span < 1 << bits).unwrap_or(exponent);
        let first = if kept < exponent { lowest - 1 } else { 0 };
        let sign_bit = 1u64 << (word_bits - 1);
        let sign = if stats.or & sign_bit == 0 {
            Sign::Constant(false)
        } else if stats.and & sign_bit != 0 {
            Sign::Constant(true)
        } else {
            Sign::Kept
        };
        let dropped = stats.or.trailing_zeros().min(kept + mantissa - 8).min(mantissa);
        Self::float_from_parts(exponent, mantissa, kept, dropped, first, sign, true)
    }

    fn float_from_parts(
        exponent: u32,
        mantissa: u32,
        kept: u32,
        dropped: u32,
        first: u32,
        sign: Sign,
        packed: bool,
    ) -> Self {
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
            packed,
        }
    }

    /// Bits of an element that are not in the symbol.
    pub(super) fn rest_bits(&self) -> u32 {
        self.value_bits - 8 + u32::from(self.sign == Sign::Kept)
    }

    /// Whole byte planes of the rest.
    pub(super) fn whole_planes(&self) -> usize {
        (self.rest_bits() / 8) as usize
    }

    /// Bits of the rest above its whole byte planes: 0 to 7.
    pub(super) fn fraction_bits(&self) -> u32 {
        self.rest_bits() % 8
    }

    /// Writes a float layout.
    pub(super) fn write_float(&self, mantissa: u32, out: &mut Vec<u8>) {
        let kept = self.value_bits + self.dropped - mantissa;
        let sign = match self.sign {
            Sign::Kept => 0,
            Sign::Constant(false) => 1,
            Sign::Constant(true) => 2,
        };
        let first = (self.base / self.exponent_unit) as u16;
        out.extend([kept as u8, self.dropped as u8, sign | if self.packed { PACKED } else { 0 }]);
        out.extend(first.to_le_bytes());
    }

    /// Reads what [`write_float`](Self::write_float) wrote and returns what follows it.
    pub(super) fn read_float(exponent: u32, mantissa: u32, data: &[u8]) -> Result<(Self, &[u8])> {
        let Some((header, data)) = data.split_first_chunk::<FLOAT_HEADER>() else {
            return Err(Error::Truncated("float chunk ends in its header".into()));
        };
        let &[kept, dropped, flags, first @ ..] = header;
        let first = u32::from(u16::from_le_bytes(first));
        let (kept, dropped) = (u32::from(kept), u32::from(dropped));
        let sign = match flags & !PACKED {
            0 => Sign::Kept,
            1 => Sign::Constant(false),
            2 => Sign::Constant(true),
            _ => return Err(Error::Corrupt(format!("float chunk flags {flags:#04x}"))),
        };
        if !(5..=exponent).contains(&kept)
            || dropped > mantissa.min(kept + mantissa - 8)
            || first >= 1 << exponent
        {
            return Err(Error::Corrupt(format!(
                "float chunk keeps {kept} exponent bits from {first}, drops {dropped} mantissa bits"
            )));
        }
        let packed = flags & PACKED != 0;
        Ok((Self::float_from_parts(exponent, mantissa, kept, dropped, first, sign, packed), data))
    }

    /// Writes an integer layout.
    pub(super) fn write_integer(&self, out: &mut Vec<u8>) {
        out.push(match self.filter {
            Filter::None => 0,
            Filter::Zigzag => 1,
            Filter::Delta => 2,
        });
    }

    /// Reads what [`write_integer`](Self::write_integer) wrote and returns what follows it.
    pub(super) fn read_integer(word_bits: u32, data: &[u8]) -> Result<(Self, &[u8])> {
        let Some((&filter, data)) = data.split_first() else {
            return Err(Error::Truncated("integer chunk ends in its header".into()));
        };
        let filter = match filter {
            0 => Filter::None,
            1 => Filter::Zigzag,
            2 => Filter::Delta,
            _ => return Err(Error::Corrupt(format!("integer chunk filter {filter}"))),
        };
        Ok((Self::integer(word_bits, filter), data))
    }
}

//! Elements to symbols and rests, and back: the arithmetic of a [`Layout`].

use super::layout::{Layout, Sign};
use super::word::Word;

/// What a layout of floats says, ready for many elements.
#[derive(Clone, Copy, Debug)]
pub struct FloatCut<T> {
    dropped: u32,
    /// Bits of the value that are not in the symbol.
    top: u32,
    base: T,
    unit: T,
    low: T,
    /// All bits where the sign is kept.
    kept: T,
    /// The sign of all elements where it is not.
    set: T,
    magnitude: T,
}

impl<T: Word> FloatCut<T> {
    /// What the layout says.
    #[inline(always)]
    pub fn new(layout: &Layout) -> Self {
        let top = layout.value_bits - 8;
        let (kept, set) = match layout.sign {
            Sign::Kept => (!T::ZERO, T::ZERO),
            Sign::Constant(negative) => {
                (T::ZERO, T::truncate(u64::from(negative)) << (T::BITS - 1))
            }
        };
        Self {
            dropped: layout.dropped,
            top,
            base: T::truncate(layout.base),
            unit: T::truncate(layout.exponent_unit),
            low: T::truncate((1 << top) - 1),
            kept,
            set,
            magnitude: T::truncate(u64::MAX >> 1 >> (64 - T::BITS)),
        }
    }

    /// The symbol and the rest of an element.
    #[inline(always)]
    pub fn cut(&self, bits: T) -> (u8, T) {
        let moved = (bits & self.magnitude) >> self.dropped;
        // Values below `base` wrap to something larger: the minimum moves exactly the others.
        let value = moved.min(moved.sub(self.base));
        let sign = (bits >> (T::BITS - 1)) & self.kept;
        ((value >> self.top).low_byte(), (value & self.low) | (sign << self.top))
    }

    /// The element of a symbol and a rest.
    #[inline(always)]
    pub fn join(&self, symbol: u8, rest: T) -> T {
        let value = (T::from_byte(symbol) << self.top) | (rest & self.low);
        let moved = if value < self.unit { value } else { value.add(self.base) };
        let sign = (rest >> self.top) << (T::BITS - 1);
        (moved << self.dropped) | (sign & self.kept) | self.set
    }
}

/// Whether a symbol stands for a zero whose rest is left out: `zero` is +0, the one after it -0.
#[inline(always)]
pub fn is_elided(zero: u8, symbol: u8) -> bool {
    symbol.wrapping_sub(zero) <= 1
}

/// Small numbers of both signs as small unsigned ones.
#[inline(always)]
pub fn zigzag<T: Word>(bits: T) -> T {
    (bits << 1) ^ T::ZERO.sub(bits >> (T::BITS - 1))
}

/// Undoes [`zigzag`].
#[inline(always)]
pub fn unzigzag<T: Word>(bits: T) -> T {
    (bits >> 1) ^ T::ZERO.sub(bits & T::from_byte(1))
}

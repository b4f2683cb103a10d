//! Floats of 16 bits, two at a time in a word of 32: what [`FloatCut`](super::FloatCut) does to
//! each, for processors without vectors.

use super::layout::{Layout, Sign};

/// What a layout of floats says, ready for pairs of elements: each number twice, in both halves.
#[derive(Clone, Copy, Debug)]
pub struct PairCut {
    dropped: u32,
    top: u32,
    base: u32,
    /// The bits of a value from its lowest exponent bit on.
    exponent: u32,
    low: u32,
    kept: u32,
    set: u32,
}

/// A number in both halves.
const fn twice(half: u32) -> u32 {
    half << 16 | half
}

impl PairCut {
    /// What the layout of 16-bit floats says.
    #[inline(always)]
    pub fn new(layout: &Layout) -> Self {
        let top = layout.value_bits - 8;
        let (kept, set) = match layout.sign {
            Sign::Kept => (0x8000, 0),
            Sign::Constant(negative) => (0, u32::from(negative) << 15),
        };
        Self {
            dropped: layout.dropped,
            top,
            base: layout.base as u32,
            exponent: twice(0x7fff & !(layout.exponent_unit as u32 - 1)),
            low: twice((1 << top) - 1),
            kept: twice(kept),
            set: twice(set),
        }
    }

    /// The elements of two symbols and rests, each in its half.
    #[inline(always)]
    pub fn join(&self, symbols: u32, rests: u32) -> u32 {
        let values = symbols << self.top | rests & self.low;
        // Bit 15 of a half that is not 0: the sum of it and this number stays in it.
        let normal = ((values & self.exponent) + twice(0x7fff)) >> 15 & twice(1);
        let moved = values + normal * self.base;
        let signs = rests << (15 - self.top) & self.kept;
        moved << self.dropped | signs | self.set
    }
}

#[cfg(test)]
mod tests {
    use super::super::FloatCut;
    use super::*;

    /// Every element of layouts of both types, also of those that no encoder writes.
    #[test]
    fn pairs_are_what_each_is() {
        let mut layouts = 0;
        for (exponent, mantissa) in [(5u8, 10u8), (8, 7)] {
            for kept in 5..=exponent {
                for dropped in 0..=mantissa.min(kept + mantissa - 8) {
                    let last = (1u16 << exponent) - 1;
                    for (sign, first) in [(0, 0), (0, 1), (1, 9), (2, last / 2), (0, last)] {
                        let [low, high] = first.to_le_bytes();
                        let header = [kept, dropped, sign, low, high];
                        let read = Layout::read_float(exponent.into(), mantissa.into(), &header);
                        check(&read.expect("a layout").0);
                        layouts += 1;
                    }
                }
            }
        }
        assert!(layouts > 100);
    }

    fn check(layout: &Layout) {
        let (one, pair) = (FloatCut::<u16>::new(layout), PairCut::new(layout));
        let rests = 1u32 << layout.rest_bits();
        for symbol in 0..256u32 {
            for rest in 0..rests {
                let other = (symbol * 77 + rest) % 256;
                let other_rest = (rest * 31 + symbol) % rests;
                let joined = pair.join(other << 16 | symbol, other_rest << 16 | rest);
                let low = one.join(symbol as u8, rest as u16);
                let high = one.join(other as u8, other_rest as u16);
                assert_eq!(joined, u32::from(high) << 16 | u32::from(low), "{layout:?}");
            }
        }
    }
}

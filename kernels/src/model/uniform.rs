//! Uniform symbols over an alphabet of any size up to `2^precision`.

use super::{FoundValue, Located, MAX_PRECISION, Model, Value};
use crate::codec::Interval;

/// A uniform distribution over `size` consecutive integers. Slots differ by at most two between
/// symbols, since `start(s) = floor(s * step / 2^32)` with a rounded `step`, and the last symbol
/// takes what is left.
#[derive(Clone, Copy, Debug)]
pub struct Uniform {
    lowest: i32,
    size: u32,
    precision: u32,
    /// `floor(2^(precision + 32) / size)`: at least `2^32`, so that every symbol gets a slot.
    step: u64,
}

impl Uniform {
    /// The symbols `lowest .. lowest + size` over slots of `2^precision`. `None` if `precision`
    /// exceeds 31, `size` is 0 or exceeds `2^precision`, or the last symbol leaves `i32`.
    #[inline]
    pub fn new(lowest: i32, size: u32, precision: u32) -> Option<Self> {
        if precision > MAX_PRECISION || size == 0 || size > 1 << precision {
            return None;
        }
        lowest.checked_add_unsigned(size - 1)?;
        Some(Self { lowest, size, precision, step: (1 << (precision + 32)) / u64::from(size) })
    }

    #[inline]
    fn start(&self, rank: u32) -> u32 {
        if rank >= self.size {
            return 1 << self.precision;
        }
        ((u64::from(rank) * self.step) >> 32) as u32
    }

    #[inline]
    fn interval(&self, rank: u32) -> Interval {
        let start = self.start(rank);
        Interval { start, freq: self.start(rank + 1) - start }
    }
}

impl Model for Uniform {
    #[inline(always)]
    fn locate(&self, symbol: i32) -> Option<Located> {
        let rank = i64::from(symbol) - i64::from(self.lowest);
        if rank < 0 || rank >= i64::from(self.size) {
            return None;
        }
        Some(Located { interval: self.interval(rank as u32), escape: None })
    }

    #[inline]
    fn find(&self, slot: u32) -> FoundValue {
        let slot = slot.min((1 << self.precision) - 1);
        // The rank by exact division of the slots. A rounded step starts a symbol at most one slot
        // earlier than that.
        let exact = (((u64::from(slot) + 1) * u64::from(self.size) - 1) >> self.precision) as u32;
        let rank = exact + u32::from(self.start(exact + 1) <= slot);
        FoundValue {
            interval: self.interval(rank),
            value: Value::Symbol(self.lowest.wrapping_add_unsigned(rank)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_of_small_precisions() {
        for precision in [0, 1, 4, 7, 10] {
            for size in 1..=1u32 << precision {
                let model = Uniform::new(-5, size, precision).unwrap();
                let mut next = 0;
                for rank in 0..size {
                    let symbol = -5 + rank as i32;
                    let Interval { start, freq } = model.locate(symbol).unwrap().interval;
                    assert_eq!(start, next);
                    let fair = (1 << precision) / size;
                    assert!(
                        freq >= fair.max(1) - u32::from(fair > 1) && freq <= fair + 2,
                        "{size}"
                    );
                    next = start + freq;
                    for slot in start..next {
                        assert_eq!(
                            model.find(slot).value,
                            Value::Symbol(symbol),
                            "{precision} {size} {slot}"
                        );
                        assert_eq!(model.find(slot).interval, Interval { start, freq });
                    }
                }
                assert_eq!(next, 1 << precision);
                assert_eq!(model.locate(-6), None);
                assert_eq!(model.locate(-5 + size as i32), None);
            }
        }
    }

    #[test]
    fn large_alphabets() {
        for (size, precision) in [(1 << 31, 31), ((1 << 31) - 1, 31), (1_000_003, 24), (3, 31)] {
            let model = Uniform::new(i32::MIN, size, precision).unwrap();
            for rank in [0, 1, 2, size / 3, size / 2, size - 2, size - 1] {
                if rank < size {
                    let symbol = i32::MIN.wrapping_add_unsigned(rank);
                    let Interval { start, freq } = model.locate(symbol).unwrap().interval;
                    assert_eq!(model.find(start).value, Value::Symbol(symbol));
                    assert_eq!(model.find(start + freq - 1).value, Value::Symbol(symbol));
                }
            }
        }
        assert!(Uniform::new(0, 0, 8).is_none());
        assert!(Uniform::new(0, 257, 8).is_none());
        assert!(Uniform::new(1, 1 << 31, 31).is_none());
        assert!(Uniform::new(0, 2, 32).is_none());
    }
}

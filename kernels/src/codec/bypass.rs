//! Raw digits for symbols outside a table.
//!
//! With bypass on, a table's last symbol is a sentinel (number `max`). A symbol below 0 or from
//! `max` upwards codes the sentinel, and the distance follows as digits of `bits` bits: pushed most
//! significant digit first, then their count in unary-like digits, so that pop meets the count
//! first.

use core::num::NonZero;

use super::error::RowError;
use super::family::RansFamily;
use super::step::{low_mask, pop_bits, push_bits};
use super::words::{WordSink, WordSource};

/// Distances at or above this are refused: twice the distance must fit 31 bits.
pub const MAX_DISTANCE: i64 = 1 << 30;

/// The width of a bypass digit, 1..=8 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BypassCode {
    /// Not zero, as the compiler knows: a division by it needs no check, which in device code would
    /// be a trap.
    bits: NonZero<u32>,
}

impl BypassCode {
    /// Digits of `bits` bits; `None` outside 1..=8.
    pub const fn new(bits: u32) -> Option<Self> {
        match NonZero::new(bits) {
            Some(bits) if bits.get() <= 8 => Some(Self { bits }),
            _ => None,
        }
    }

    /// Bits of a digit.
    #[inline(always)]
    pub const fn bits(self) -> u32 {
        self.bits.get()
    }

    /// The most digits a distance takes.
    #[inline(always)]
    fn max_digits(self) -> u32 {
        (31 + self.bits()) / self.bits
    }

    /// The most digits that one symbol pushes, those of the count included.
    pub fn max_digits_pushed(self) -> u32 {
        let digits = self.max_digits();
        digits + digits / low_mask(self.bits()) + 1
    }

    /// The most bits that one symbol's digits and their count take.
    pub fn max_bits(self) -> u32 {
        self.max_digits_pushed() * self.bits()
    }

    /// What the digits hold for table number `value` (symbol less offset) outside `0..max`.
    #[inline(always)]
    pub const fn raw(value: i64, max: u32) -> Result<u32, RowError> {
        let max = max as i64;
        let raw = if value < 0 { -2 * value - 1 } else { 2 * (value - max) };
        let distance = if value < 0 { -value } else { value - max };
        if distance >= MAX_DISTANCE { Err(RowError::BypassDistance) } else { Ok(raw as u32) }
    }

    /// The table number (symbol less offset) that digits hold.
    #[inline(always)]
    pub const fn value(raw: u32, max: u32) -> i64 {
        if raw & 1 == 1 { -((raw >> 1) as i64) - 1 } else { (raw >> 1) as i64 + max as i64 }
    }

    /// Digits in `raw`: 0 for 0.
    #[inline(always)]
    fn digits(self, raw: u32) -> u32 {
        (32 - raw.leading_zeros() + (self.bits() - 1)) / self.bits
    }

    /// Calls `digit` with each digit of `raw` and then of their count, in the order of a push.
    #[inline(always)]
    pub(crate) fn for_each_digit(self, raw: u32, mut digit: impl FnMut(u32)) {
        let full = low_mask(self.bits());
        let digits = self.digits(raw);
        let mut left = digits;
        while left > 0 {
            left -= 1;
            digit((raw >> (left * self.bits())) & full);
        }
        // The count in base `full`: the remainder, then as many full digits as it takes.
        let mut count = digits;
        let mut fulls = 0;
        while count >= full {
            count -= full;
            fulls += 1;
        }
        digit(count);
        while fulls > 0 {
            digit(full);
            fulls -= 1;
        }
    }

    /// Reads a count and its digits, each with `get`, in the order of a pop.
    #[inline(always)]
    pub(crate) fn read_digits(self, mut get: impl FnMut() -> u32) -> Result<u32, RowError> {
        let full = low_mask(self.bits());
        let mut digits = 0;
        loop {
            let digit = get();
            digits += digit;
            if digits > self.max_digits() {
                return Err(RowError::BypassDigits);
            }
            if digit != full {
                break;
            }
        }
        let mut raw = 0u64;
        let mut at = 0;
        while at < digits {
            raw |= u64::from(get()) << (at * self.bits());
            at += 1;
        }
        // No push codes more than 31 bits.
        if raw >> 31 == 0 { Ok(raw as u32) } else { Err(RowError::BypassDigits) }
    }

    /// Pushes the digits of `raw` and their count.
    #[inline]
    pub fn push<F: RansFamily>(
        self,
        mut x: F::State,
        raw: u32,
        sink: &mut impl WordSink<F::Word>,
    ) -> F::State {
        self.for_each_digit(raw, |digit| x = push_bits::<F>(x, digit, self.bits(), sink));
        x
    }

    /// Pops a count and its digits.
    #[inline]
    pub fn pop<F: RansFamily>(
        self,
        mut x: F::State,
        source: &mut impl WordSource<F::Word>,
    ) -> Result<(F::State, u32), RowError> {
        let raw = self.read_digits(|| {
            let (next, digit) = pop_bits::<F>(x, self.bits(), source);
            x = next;
            digit
        })?;
        Ok((x, raw))
    }
}

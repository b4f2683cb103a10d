//! The unsigned integers that carry an element's bits through the split: one small trait, so that
//! each loop is written once for 8, 16, 32 and 64 bits.

use core::ops::{BitAnd, BitOr, BitXor, Not, Shl, Shr};

/// An element's bits, as an unsigned integer in native byte order.
pub trait Word:
    bytemuck::Pod
    + Ord
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + BitXor<Output = Self>
    + Not<Output = Self>
    + Shl<u32, Output = Self>
    + Shr<u32, Output = Self>
{
    /// Bits of it.
    const BITS: u32;
    /// No bits set.
    const ZERO: Self;
    /// The sum, modulo `2^BITS`.
    fn add(self, other: Self) -> Self;
    /// The difference, modulo `2^BITS`.
    fn sub(self, other: Self) -> Self;
    /// Keeps the low bits.
    fn truncate(value: u64) -> Self;
    /// The same number.
    fn widen(self) -> u64;
    /// The low eight bits.
    fn low_byte(self) -> u8;
    /// The same number.
    fn from_byte(byte: u8) -> Self;
    /// Between native and little-endian order; its own inverse.
    fn swap_le(self) -> Self;
}

macro_rules! word {
    ($($t:ty),*) => {$(
        impl Word for $t {
            const BITS: u32 = <$t>::BITS;
            const ZERO: Self = 0;
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn truncate(value: u64) -> Self {
                value as Self
            }
            #[inline(always)]
            fn widen(self) -> u64 {
                self as u64
            }
            #[inline(always)]
            fn low_byte(self) -> u8 {
                self as u8
            }
            #[inline(always)]
            fn from_byte(byte: u8) -> Self {
                byte as Self
            }
            #[inline(always)]
            fn swap_le(self) -> Self {
                self.to_le()
            }
        }
    )*};
}
word!(u8, u16, u32, u64);

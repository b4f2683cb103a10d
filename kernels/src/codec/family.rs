//! The rANS families: how wide a state is and how wide the words are that it emits.

use core::fmt::Debug;
use core::ops::{Add, BitAnd, BitOr, Shl, Shr, Sub};

mod sealed {
    pub trait Sealed {}
    impl Sealed for u8 {}
    impl Sealed for u16 {}
    impl Sealed for u32 {}
    impl Sealed for u64 {}
    impl Sealed for super::Rans64 {}
    impl Sealed for super::Rans32 {}
    impl Sealed for super::Rans32x16 {}
}

/// The integer that holds a state: `u32` or `u64`.
pub trait StateInt:
    sealed::Sealed
    + Copy
    + Ord
    + Debug
    + Default
    + Send
    + Sync
    + bytemuck::Pod
    + Add<Output = Self>
    + Sub<Output = Self>
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + Shl<u32, Output = Self>
    + Shr<u32, Output = Self>
    + 'static
{
    /// All bits set.
    const MAX: Self;
    /// Widens a 32-bit value.
    fn from_u32(value: u32) -> Self;
    /// The low 32 bits.
    fn low_u32(self) -> u32;
    /// The value as 64 bits.
    fn to_u64(self) -> u64;
    /// The low bits of a 64-bit value.
    fn from_u64(value: u64) -> Self;
    /// The high half of the double-width product.
    fn mul_high(self, other: Self) -> Self;
    /// The low half of the double-width product.
    fn wrapping_mul(self, other: Self) -> Self;
    /// Difference modulo the width.
    fn wrapping_sub(self, other: Self) -> Self;
    /// Sum modulo the width.
    fn wrapping_add(self, other: Self) -> Self;
    /// `floor((2^width - 1) / divisor)`, with 0 for a divisor of 0. Only tables divide; coding
    /// never does.
    fn reciprocal_of(divisor: u32) -> Self;
}

macro_rules! state_int {
    ($int:ty, $wide:ty) => {
        impl StateInt for $int {
            const MAX: Self = <$int>::MAX;
            #[inline(always)]
            fn from_u32(value: u32) -> Self {
                value as $int
            }
            #[inline(always)]
            fn low_u32(self) -> u32 {
                self as u32
            }
            #[inline(always)]
            fn to_u64(self) -> u64 {
                self as u64
            }
            #[inline(always)]
            fn from_u64(value: u64) -> Self {
                value as $int
            }
            #[inline(always)]
            fn mul_high(self, other: Self) -> Self {
                ((self as $wide * other as $wide) >> <$int>::BITS) as $int
            }
            #[inline(always)]
            fn wrapping_mul(self, other: Self) -> Self {
                <$int>::wrapping_mul(self, other)
            }
            #[inline(always)]
            fn wrapping_sub(self, other: Self) -> Self {
                <$int>::wrapping_sub(self, other)
            }
            #[inline(always)]
            fn wrapping_add(self, other: Self) -> Self {
                <$int>::wrapping_add(self, other)
            }
            #[inline(always)]
            fn reciprocal_of(divisor: u32) -> Self {
                <$int>::MAX.checked_div(divisor as $int).unwrap_or(0)
            }
        }
    };
}
state_int!(u32, u64);
state_int!(u64, u128);

/// The integer of one emitted word: `u8`, `u16` or `u32`.
pub trait WordInt:
    sealed::Sealed + Copy + Debug + Default + Eq + Send + Sync + bytemuck::Pod + 'static
{
    /// Bytes in a word.
    const BYTES: usize = size_of::<Self>();
    /// The low bits of a 32-bit value.
    fn from_low(value: u32) -> Self;
    /// The word as 32 bits.
    fn to_u32(self) -> u32;
    /// The word with its bytes in stream order (little-endian).
    fn to_stream_order(self) -> Self;
}

macro_rules! word_int {
    ($int:ty) => {
        impl WordInt for $int {
            #[inline(always)]
            fn from_low(value: u32) -> Self {
                value as $int
            }
            #[inline(always)]
            fn to_u32(self) -> u32 {
                self as u32
            }
            #[inline(always)]
            fn to_stream_order(self) -> Self {
                self.to_le()
            }
        }
    };
}
word_int!(u8);
word_int!(u16);
word_int!(u32);

/// A rANS family: between two symbols a state lies in `[LOWER_BOUND, 2^(STATE_BITS-1))`.
pub trait RansFamily: sealed::Sealed + Copy + Debug + Default + Send + Sync + 'static {
    /// Holds a state.
    type State: StateInt;
    /// A state is renormalised by words of this width.
    type Word: WordInt;
    /// The family's name in torch_ans.
    const NAME: &'static str;
    /// Bits of a state.
    const STATE_BITS: u32;
    /// Bits of a word.
    const WORD_BITS: u32;
    /// The largest precision: frequencies sum to at most `2^MAX_PRECISION`.
    const MAX_PRECISION: u32 = Self::STATE_BITS - 1 - Self::WORD_BITS;
    /// The smallest normalised state, which is also the initial state.
    const LOWER_BOUND: Self::State;
    /// The most words that one push emits, and one pop reads.
    const MAX_WORDS: u32 = (Self::STATE_BITS - 1).div_ceil(Self::WORD_BITS) - 1;
    /// Bits that hold how many words that is.
    const WORDS_BITS: u32 = 32 - Self::MAX_WORDS.leading_zeros();
}

/// 64-bit states, 32-bit words, precision up to 31.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rans64;
/// 32-bit states, 8-bit words, precision up to 23.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rans32;
/// 32-bit states, 16-bit words, precision up to 15.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rans32x16;

impl RansFamily for Rans64 {
    type State = u64;
    type Word = u32;
    const NAME: &'static str = "rans64";
    const STATE_BITS: u32 = 64;
    const WORD_BITS: u32 = 32;
    const LOWER_BOUND: u64 = 1 << 31;
}

impl RansFamily for Rans32 {
    type State = u32;
    type Word = u8;
    const NAME: &'static str = "rans32";
    const STATE_BITS: u32 = 32;
    const WORD_BITS: u32 = 8;
    const LOWER_BOUND: u32 = 1 << 23;
}

impl RansFamily for Rans32x16 {
    type State = u32;
    type Word = u16;
    const NAME: &'static str = "rans32_16";
    const STATE_BITS: u32 = 32;
    const WORD_BITS: u32 = 16;
    const LOWER_BOUND: u32 = 1 << 15;
}

//! What tables prepare for each symbol.

use super::family::RansFamily;

/// The slots of one symbol: `[start, start + freq)` out of `2^precision`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct Interval {
    /// Cumulative frequency: the first slot.
    pub start: u32,
    /// Frequency: how many slots.
    pub freq: u32,
}

/// One table's place among the entries of all tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct TableDescriptor {
    /// Position of the table's first entry.
    pub base: u32,
    /// How many symbols the table holds, the bypass sentinel included.
    pub symbols: u32,
    /// The smallest symbol.
    pub offset: i32,
    /// log2 of `symbols` where that is a power of two (alias lookups), else 0.
    pub log2_symbols: u32,
}

/// What a push needs of a symbol: its interval and the reciprocal of its frequency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct EncoderEntry<F: RansFamily> {
    /// `floor((2^S - 1) / freq)`, S the width of a state.
    pub reciprocal: F::State,
    /// Frequency.
    pub freq: u32,
    /// Cumulative frequency.
    pub start: u32,
}

#[allow(unsafe_code, reason = "plain-data marker for upload to a device")]
// SAFETY: all-zero fields are valid.
unsafe impl<F: RansFamily> bytemuck::Zeroable for EncoderEntry<F> {}
#[allow(unsafe_code, reason = "plain-data marker for upload to a device")]
// SAFETY: `repr(C)` over one u32 or u64 followed by two u32: 12 or 16 bytes without padding, every
// bit pattern valid.
unsafe impl<F: RansFamily> bytemuck::Pod for EncoderEntry<F> {}

const _: () = assert!(size_of::<EncoderEntry<super::family::Rans64>>() == 16);
const _: () = assert!(size_of::<EncoderEntry<super::family::Rans32>>() == 12);

impl<F: RansFamily> EncoderEntry<F> {
    /// Prepares an interval. `freq` must be at least 1.
    pub fn new(interval: Interval) -> Self {
        use super::family::StateInt;
        Self {
            reciprocal: F::State::reciprocal_of(interval.freq),
            freq: interval.freq,
            start: interval.start,
        }
    }
}

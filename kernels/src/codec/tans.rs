//! tANS: the arithmetic of one symbol is a table lookup.
//!
//! With `ts = 2^precision`, a state lies in `ts..2 ts`. A push writes the state's low bits, as many
//! as bring it into its symbol's range, and looks the next state up; a pop looks symbol and bits up
//! and reads them back. All lanes of a row share one bit buffer. J. Duda (arXiv:1311.2540) for the
//! coder; the spread and the packed encoder form are those of Y. Collet's FSE, which torch_ans
//! follows.

use super::error::RowError;
use super::family::WordInt;
use super::step::low_mask;
use super::words::{WordSink, WordSource};

/// A tANS family: how wide the words are that the bit buffer emits.
pub trait TansFamily:
    sealed::Sealed + Copy + core::fmt::Debug + Default + Send + Sync + 'static
{
    /// The bit buffer emits and reads words of this width.
    type Word: WordInt;
    /// The family's name in torch_ans.
    const NAME: &'static str;
    /// Bits of a word.
    const WORD_BITS: u32;
    /// The largest precision.
    const MAX_PRECISION: u32;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Tans32 {}
    impl Sealed for super::Tans16 {}
    impl Sealed for super::Tans8 {}
}

macro_rules! tans_family {
    ($name:ident, $word:ty, $text:literal, $precision:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name;

        impl TansFamily for $name {
            type Word = $word;
            const NAME: &'static str = $text;
            const WORD_BITS: u32 = <$word>::BITS;
            const MAX_PRECISION: u32 = $precision;
        }
    };
}
tans_family!(Tans32, u16, "tans32", 15, "16-bit words, precision up to 15.");
tans_family!(Tans16, u8, "tans16", 15, "8-bit words, precision up to 15.");
tans_family!(Tans8, u8, "tans8", 7, "8-bit words, precision up to 7.");

/// How many `u32` fields follow the lanes' states in a row: the bit buffer and its length.
pub const BUFFER_FIELDS: usize = 2;

/// Whether symbols can be spread at this precision: the spread's step must be odd, and at 1 and 3
/// it is not.
pub const fn can_spread(precision: u32) -> bool {
    spread_step(precision) & 1 == 1
}

/// How far apart a symbol's places are: `5/8 ts + 3`.
pub(super) const fn spread_step(precision: u32) -> u32 {
    let ts = 1u32 << precision;
    ts / 2 + ts / 8 + 3
}

/// What a push needs of a symbol. With `x` the state, `(x + bits_bias) >> 16` bits are written, and
/// `(x >> bits) + next_bias` is the place of the next state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct TansEncoderEntry {
    /// `(max_bits << 16) - (freq << max_bits)`.
    pub bits_bias: u32,
    /// Cumulative frequency less frequency (wrapping).
    pub next_bias: u32,
}

/// What a pop needs of a state: which symbol it codes, and the `freq..2 freq` number of this state
/// among the symbol's states. The bits to read follow from that number's magnitude, so that an
/// entry is one 32-bit load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct TansDecoderEntry {
    /// Number in `freq..2 freq`; 0 in no valid table.
    pub number: u16,
    /// The symbol less the table's offset.
    pub symbol: u16,
}

impl TansDecoderEntry {
    /// Bits that a pop reads after this entry.
    #[inline(always)]
    pub const fn bits(self, precision: u32) -> u32 {
        // A 0 (no valid table holds one) reads no more than any other number.
        precision - (31 - (self.number as u32 | 1).leading_zeros())
    }

    /// The state that a pop leaves, once its `count` bits are read.
    #[inline(always)]
    pub const fn state(self, count: u32, bits: u32) -> u32 {
        ((self.number as u32) << count) | bits
    }
}

/// The bits that do not fill a word yet, the oldest lowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BitBuffer {
    /// The bits; those at `len` and above are 0.
    pub bits: u32,
    /// How many.
    pub len: u32,
}

impl BitBuffer {
    /// Whether a push can have left this buffer.
    #[inline(always)]
    pub const fn is_valid(self, word_bits: u32) -> bool {
        self.len < word_bits && self.bits >> self.len == 0
    }

    /// Appends the low `count` (at most 16) bits of `value` and emits full words.
    #[inline(always)]
    pub fn push<T: TansFamily>(
        &mut self,
        value: u32,
        count: u32,
        sink: &mut impl WordSink<T::Word>,
    ) {
        self.bits |= (value & low_mask(count)) << self.len;
        self.len += count;
        while self.len >= T::WORD_BITS {
            sink.store(T::Word::from_low(self.bits));
            self.bits >>= T::WORD_BITS;
            self.len -= T::WORD_BITS;
        }
    }

    /// Takes `count` (at most 16) bits off the end, and words in as they are needed.
    #[inline(always)]
    pub fn pop<T: TansFamily>(&mut self, count: u32, source: &mut impl WordSource<T::Word>) -> u32 {
        while self.len < count {
            self.bits = (self.bits << T::WORD_BITS) | source.take().to_u32();
            self.len += T::WORD_BITS;
        }
        self.len -= count;
        let value = self.bits >> self.len;
        self.bits &= low_mask(self.len);
        value
    }
}

/// The states and the bit buffer of a row while it is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TansRow<const LANES: usize> {
    /// A state per lane, in `ts..2 ts`.
    pub states: [u32; LANES],
    /// The lanes' common bit buffer.
    pub buffer: BitBuffer,
}

impl<const LANES: usize> TansRow<LANES> {
    /// Takes a row's fields (states, bits, length of the bits); a state of 0 is an initial one.
    ///
    /// # Errors
    /// [`RowError::StateOutOfRange`] where no push at this precision leaves such fields.
    #[inline]
    pub fn load<T: TansFamily>(fields: &[u32], precision: u32) -> Result<Self, RowError> {
        let Some((lanes, &[bits, len])) = fields
            .split_first_chunk::<LANES>()
            .and_then(|(lanes, rest)| Some((lanes, <&[u32; BUFFER_FIELDS]>::try_from(rest).ok()?)))
        else {
            return Err(RowError::StateOutOfRange);
        };
        let buffer = BitBuffer { bits, len };
        if !buffer.is_valid(T::WORD_BITS) {
            return Err(RowError::StateOutOfRange);
        }
        let mut states = *lanes;
        for x in &mut states {
            if *x == 0 {
                *x = 1 << precision;
            }
            if *x >> precision != 1 {
                return Err(RowError::StateOutOfRange);
            }
        }
        Ok(Self { states, buffer })
    }

    /// Writes the row's fields back.
    #[inline]
    pub fn store(&self, fields: &mut [u32]) {
        for (field, value) in
            fields.iter_mut().zip(self.states.iter().chain(&[self.buffer.bits, self.buffer.len]))
        {
            *field = *value;
        }
    }
}

/// The state after a symbol, given by its entry, and how many low bits of `x` the push writes;
/// `next` holds the next states of the symbol's table.
#[inline(always)]
pub fn push_state(x: u32, entry: TansEncoderEntry, next: &[u16]) -> (u32, u32) {
    let (at, count) = push_place(x, entry);
    (next.get(at as usize).map_or(x, |&x| u32::from(x)), count)
}

/// Where a table's next states hold the one after a symbol, and how many low bits of `x` its push
/// writes.
#[inline(always)]
pub const fn push_place(x: u32, entry: TansEncoderEntry) -> (u32, u32) {
    let count = x.wrapping_add(entry.bits_bias) >> 16;
    ((x >> count).wrapping_add(entry.next_bias), count)
}

/// Pushes one symbol.
#[inline(always)]
pub fn push_symbol<T: TansFamily>(
    x: u32,
    entry: TansEncoderEntry,
    next: &[u16],
    buffer: &mut BitBuffer,
    sink: &mut impl WordSink<T::Word>,
) -> u32 {
    let (state, count) = push_state(x, entry, next);
    buffer.push::<T>(x, count, sink);
    state
}

/// The state after `entry`, its bits read.
#[inline(always)]
pub fn pop_state<T: TansFamily>(
    entry: TansDecoderEntry,
    precision: u32,
    buffer: &mut BitBuffer,
    source: &mut impl WordSource<T::Word>,
) -> u32 {
    let count = entry.bits(precision);
    entry.state(count, buffer.pop::<T>(count, source))
}

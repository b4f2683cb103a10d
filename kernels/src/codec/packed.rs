//! Tables packed for a GPU's block: few bytes, so that they fit its shared memory, and few loads a
//! symbol.
//!
//! One array of 32-bit words holds all tables of a coder, in parts that each begin at a multiple of
//! 16 bytes: first a [`PackedTable`] per table, then for push an entry per symbol
//! ([`PackedFamily`], or [`ExactEntry`] where states have 32 bits and the precision is small), and
//! for pop a [`PackedSlot`] per slot, or a [`PackedInterval`] per symbol and a byte per slot, its
//! symbol's number, or a [`WideInterval`] per symbol and 16 bits per bucket of slots, the number of
//! its first slot's symbol. [`packed_states`](super::packed_states) packs alias and tANS tables.
//! What a table lacks here, the bypass sentinel and whatever does not fit, is coded from the
//! general forms; the stream is the same.

use super::bypass::BypassCode;
use super::entry::{EncoderEntry, Interval, TableDescriptor};
use super::family::{Rans32, Rans32x16, Rans64, RansFamily};

/// Bytes of a [`PackedTable`], as a power of two.
pub const TABLE_LOG2: u32 = 3;

/// The largest alphabet that pop packs, the bypass sentinel not counted: symbols are bytes.
pub const MAX_SYMBOLS: u32 = 256;

/// Where the part that follows `bytes` bytes begins.
#[inline(always)]
pub const fn next_part(bytes: u32) -> u32 {
    (bytes + 15) & !15
}

/// One table's place among the packed entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PackedTable {
    /// Pop: position of its first interval. Push: position of the entry of symbol 0, were there
    /// one: that of the first less the offset.
    pub base: u32,
    /// Offset in the low 16 bits, signed; above it how many symbols have no bypass digits.
    pub place: u32,
}

impl PackedTable {
    /// Packs a table's place; `None` where a number is too large.
    pub fn new(table: &TableDescriptor, bypass: bool) -> Option<Self> {
        let symbols = table.symbols.checked_sub(u32::from(bypass))?;
        let offset = i16::try_from(table.offset).ok()?;
        let place = u32::from(offset as u16) | u32::from(u16::try_from(symbols).ok()?) << 16;
        Some(Self { base: table.base, place })
    }

    /// The smallest symbol.
    #[inline(always)]
    pub const fn offset(self) -> i32 {
        self.place as i16 as i32
    }

    /// How many symbols have no bypass digits.
    #[inline(always)]
    pub const fn symbols(self) -> u32 {
        self.place >> 16
    }

    /// Whether every byte is such a symbol.
    #[inline(always)]
    pub const fn holds_bytes(self) -> bool {
        self.offset() <= 0 && self.offset() + self.symbols() as i32 >= 256
    }
}

/// The slot of a symbol without bypass digits: frequency, the symbol's number and the slot's rank
/// in 12, 8 and 12 bits. All zero for any other slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PackedSlot(pub u32);

impl PackedSlot {
    /// The largest precision.
    pub const MAX_PRECISION: u32 = 12;

    /// Packs a slot; `None` where the frequency is all of `2^12`.
    pub const fn new(symbol: u32, freq: u32, rank: u32) -> Option<Self> {
        if freq >> 12 == 0 && rank < freq && symbol < MAX_SYMBOLS {
            Some(Self(rank << 20 | symbol << 12 | freq))
        } else {
            None
        }
    }

    /// The symbol less the table's offset.
    #[inline(always)]
    pub const fn symbol(self) -> u32 {
        self.0 >> 12 & 0xff
    }

    /// Frequency; 0 in a slot that is not packed.
    #[inline(always)]
    pub const fn freq(self) -> u32 {
        self.0 & 0xfff
    }

    /// Rank of the slot among the symbol's.
    #[inline(always)]
    pub const fn rank(self) -> u32 {
        self.0 >> 20
    }
}

/// The interval of a symbol: the first slot in the low 16 bits, the frequency above. All zero for a
/// bypass sentinel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PackedInterval(pub u32);

impl PackedInterval {
    /// Packs an interval; `None` where a frequency takes 17 bits.
    pub const fn new(interval: Interval) -> Option<Self> {
        if interval.freq >> 16 == 0 && interval.start >> 16 == 0 {
            Some(Self(interval.start | interval.freq << 16))
        } else {
            None
        }
    }

    /// Cumulative frequency.
    #[inline(always)]
    pub const fn start(self) -> u32 {
        self.0 & 0xffff
    }

    /// Frequency.
    #[inline(always)]
    pub const fn freq(self) -> u32 {
        self.0 >> 16
    }
}

/// A family's packed encoder entry.
pub trait PackedFamily: RansFamily {
    /// Bytes of an entry, as a power of two.
    const ENTRY_LOG2: u32;
    /// The most words that one push emits and one pop reads, in tables that fit their packed form:
    /// those of 32-bit states have a precision of at most 16.
    const PACKED_WORDS: u32;
    /// The largest precision with which that holds.
    const PACKED_PRECISION: u32;
    /// Packs an entry, into the first words; `None` where it does not fit.
    fn pack(entry: &EncoderEntry<Self>) -> Option<[u32; 4]>;
    /// Undoes `pack`.
    fn unpack(words: [u32; 4]) -> EncoderEntry<Self>;
}

macro_rules! family_of_32_bits {
    ($($family:ident)*) => {
        $(impl PackedFamily for $family {
            const ENTRY_LOG2: u32 = 3;
            const PACKED_WORDS: u32 = 15u32.div_ceil(Self::WORD_BITS);
            const PACKED_PRECISION: u32 = 16;
            #[inline(always)]
            fn pack(entry: &EncoderEntry<Self>) -> Option<[u32; 4]> {
                let interval = PackedInterval::new(Interval { start: entry.start, freq: entry.freq })?;
                Some([entry.reciprocal, interval.0, 0, 0])
            }
            #[inline(always)]
            fn unpack([reciprocal, interval, ..]: [u32; 4]) -> EncoderEntry<Self> {
                let interval = PackedInterval(interval);
                EncoderEntry { reciprocal, freq: interval.freq(), start: interval.start() }
            }
        })*
    };
}
family_of_32_bits!(Rans32 Rans32x16);

impl PackedFamily for Rans64 {
    const ENTRY_LOG2: u32 = 4;
    const PACKED_WORDS: u32 = 1;
    const PACKED_PRECISION: u32 = Self::MAX_PRECISION;
    #[inline(always)]
    fn pack(entry: &EncoderEntry<Self>) -> Option<[u32; 4]> {
        let reciprocal = entry.reciprocal;
        Some([reciprocal as u32, (reciprocal >> 32) as u32, entry.freq, entry.start])
    }
    #[inline(always)]
    fn unpack([low, high, freq, start]: [u32; 4]) -> EncoderEntry<Self> {
        EncoderEntry { reciprocal: u64::from(high) << 32 | u64::from(low), freq, start }
    }
}

/// What a push needs of a symbol where states have 32 bits and the precision is small: a reciprocal
/// of its frequency that gives the quotient without a correction. In one word, from the lowest bit:
/// 14 bits of bias, 13 of frequency, 5 of shift.
///
/// With the shift `s` one less than the bits of `f - 1` and the reciprocal `r = 2^(32 + s) / f`
/// rounded up, `r * f` exceeds `2^(32 + s)` by less than `f <= 2^(s + 1)`, so that `x * r >> 32 +
/// s` is `x / f` for every `x` below `2^31` (Alverson, "Integer division using reciprocals",
/// 1991). A frequency of 1 would take a reciprocal of 33 bits: with `2^32 - 1` the quotient is `x
/// - 1`, and the bias makes up for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExactEntry {
    /// The reciprocal.
    pub reciprocal: u32,
    /// The rest.
    pub rest: u32,
}

impl ExactEntry {
    /// Bytes, as a power of two.
    pub const LOG2: u32 = 3;
    /// The largest precision.
    pub const MAX_PRECISION: u32 = 12;
    const BIAS_BITS: u32 = 14;
    const FREQ_BITS: u32 = 13;

    /// Packs an interval of at least one slot; `None` where the precision is too large.
    pub const fn new(interval: Interval, precision: u32) -> Option<Self> {
        let Interval { start, freq } = interval;
        if precision > Self::MAX_PRECISION || freq == 0 || start + freq > 1 << precision {
            return None;
        }
        let (reciprocal, shift, bias) = if freq == 1 {
            (u32::MAX, 0, start + (1 << precision) - 1)
        } else {
            let shift = 31 - (freq - 1).leading_zeros();
            let reciprocal = (1u64 << (32 + shift)).div_ceil(freq as u64);
            (reciprocal as u32, shift, start)
        };
        let rest = bias | freq << Self::BIAS_BITS | shift << (Self::BIAS_BITS + Self::FREQ_BITS);
        Some(Self { reciprocal, rest })
    }

    /// Frequency.
    #[inline(always)]
    pub const fn freq(self) -> u32 {
        self.rest >> Self::BIAS_BITS & ((1 << Self::FREQ_BITS) - 1)
    }

    /// Pushes the symbol to a state that is below its bound.
    #[inline(always)]
    pub const fn push(self, x: u32, precision: u32) -> u32 {
        let high = ((x as u64 * self.reciprocal as u64) >> 32) as u32;
        let quotient = high >> (self.rest >> (Self::BIAS_BITS + Self::FREQ_BITS));
        let bias = self.rest & ((1 << Self::BIAS_BITS) - 1);
        x.wrapping_add(bias).wrapping_add(quotient.wrapping_mul((1 << precision) - self.freq()))
    }
}

/// The interval of a symbol where alphabet or precision are large: the first slot and the
/// frequency, of a bypass sentinel with the highest bit set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WideInterval(pub [u32; 2]);

impl WideInterval {
    /// Bytes, as a power of two.
    pub const LOG2: u32 = 3;
    /// The largest precision.
    pub const MAX_PRECISION: u32 = 20;
    const SENTINEL: u32 = 1 << 31;

    /// log2 of the buckets per table. A bucket has at most 16 slots, so that what begins in it is
    /// found in a few steps.
    #[inline(always)]
    pub const fn bucket_bits(precision: u32) -> u32 {
        let few = if precision < 12 { precision } else { 12 };
        let enough = precision.saturating_sub(4);
        if enough > few { enough } else { few }
    }

    /// Whether the symbols after this one hold the slot.
    #[inline(always)]
    pub const fn lies_before(self, slot: u32) -> bool {
        slot.wrapping_sub(self.start()) >= self.0[1]
    }

    /// Cumulative frequency.
    #[inline(always)]
    pub const fn start(self) -> u32 {
        self.0[0]
    }

    /// Frequency; 0 of a bypass sentinel.
    #[inline(always)]
    pub const fn freq(self) -> u32 {
        if self.0[1] & Self::SENTINEL == 0 { self.0[1] } else { 0 }
    }
}

/// Takes the words of packed tables, and begins parts where they may begin.
pub(super) struct Words<P> {
    store: P,
    count: u32,
}

impl<P: FnMut(u32)> Words<P> {
    pub(super) fn new(store: P) -> Self {
        Self { store, count: 0 }
    }

    pub(super) fn store(&mut self, word: u32) {
        (self.store)(word);
        self.count += 1;
    }

    pub(super) fn end_part(&mut self) {
        while !self.count.is_multiple_of(4) {
            self.store(0);
        }
    }

    /// The part that all packed tables begin with.
    pub(super) fn places(
        &mut self,
        tables: &[TableDescriptor],
        bypass: bool,
        push: bool,
    ) -> Option<()> {
        for table in tables {
            let PackedTable { base, place } = PackedTable::new(table, bypass)?;
            self.store(if push { base.wrapping_sub(table.offset as u32) } else { base });
            self.store(place);
        }
        self.end_part();
        Some(())
    }
}

/// Packs tables for push; `None` where they do not fit, with some words stored already.
pub fn pack_entries<F: PackedFamily>(
    tables: &[TableDescriptor],
    entries: &[EncoderEntry<F>],
    bypass: Option<BypassCode>,
    store: impl FnMut(u32),
) -> Option<()> {
    let mut words = Words::new(store);
    words.places(tables, bypass.is_some(), true)?;
    words.entries(entries)
}

/// Packs tables for push with an [`ExactEntry`] per symbol; `None` where they do not fit, with some
/// words stored already.
pub fn pack_exact(
    tables: &[TableDescriptor],
    intervals: &[Interval],
    precision: u32,
    bypass: Option<BypassCode>,
    store: impl FnMut(u32),
) -> Option<()> {
    let mut words = Words::new(store);
    words.places(tables, bypass.is_some(), true)?;
    for interval in intervals {
        let entry = ExactEntry::new(*interval, precision)?;
        words.store(entry.reciprocal);
        words.store(entry.rest);
    }
    words.end_part();
    Some(())
}

/// A table's intervals, those that have no bypass digits, by number; the frequency of the others
/// reads as 0.
fn ordinary<'a>(
    table: &TableDescriptor,
    intervals: &'a [Interval],
    bypass: Option<BypassCode>,
) -> impl Iterator<Item = (u32, Interval, bool)> + use<'a> {
    let coded = table.symbols - u32::from(bypass.is_some() && table.symbols > 0);
    let intervals = intervals.get(table.base as usize..).unwrap_or_default();
    (0..table.symbols)
        .zip(intervals)
        .map(move |(number, interval)| (number, *interval, number < coded))
}

/// Packs tables for pop with a [`PackedSlot`] per slot; `None` where they do not fit, with some
/// words stored already.
pub fn pack_slots(
    tables: &[TableDescriptor],
    intervals: &[Interval],
    precision: u32,
    bypass: Option<BypassCode>,
    store: impl FnMut(u32),
) -> Option<()> {
    if precision > PackedSlot::MAX_PRECISION {
        return None;
    }
    let mut words = Words::new(store);
    words.places(tables, bypass.is_some(), false)?;
    for table in tables {
        for (number, interval, coded) in ordinary(table, intervals, bypass) {
            for rank in 0..interval.freq {
                words.store(if coded {
                    PackedSlot::new(number, interval.freq, rank)?.0
                } else {
                    0
                });
            }
        }
    }
    words.end_part();
    Some(())
}

/// Packs tables for pop with a [`PackedInterval`] per symbol and a byte per slot; `None` where they
/// do not fit, with some words stored already.
pub fn pack_guide(
    tables: &[TableDescriptor],
    intervals: &[Interval],
    precision: u32,
    bypass: Option<BypassCode>,
    store: impl FnMut(u32),
) -> Option<()> {
    // Fewer than four slots would not fill a word.
    if !(2..=16).contains(&precision) {
        return None;
    }
    let mut words = Words::new(store);
    words.places(tables, bypass.is_some(), false)?;
    let mut base = 0;
    for table in tables {
        // A byte must hold the sentinel too.
        if table.symbols > MAX_SYMBOLS || table.base != base {
            return None;
        }
        base += table.symbols;
        for (_, interval, coded) in ordinary(table, intervals, bypass) {
            words.store(if coded { PackedInterval::new(interval)?.0 } else { 0 });
        }
    }
    words.end_part();
    for table in tables {
        let (mut word, mut slots) = (0, 0);
        for (number, interval, _) in ordinary(table, intervals, bypass) {
            for _ in 0..interval.freq {
                word |= number << (8 * (slots & 3));
                slots += 1;
                if slots & 3 == 0 {
                    words.store(word);
                    word = 0;
                }
            }
        }
    }
    words.end_part();
    Some(())
}

/// Packs tables for pop with a [`WideInterval`] per symbol and 16 bits per bucket; `None` where
/// they do not fit, with some words stored already.
pub fn pack_wide<F: PackedFamily>(
    tables: &[TableDescriptor],
    intervals: &[Interval],
    precision: u32,
    bypass: Option<BypassCode>,
    store: impl FnMut(u32),
) -> Option<()> {
    // A single bucket would not fill a word.
    let largest = F::PACKED_PRECISION.min(WideInterval::MAX_PRECISION);
    if !(1..=largest).contains(&precision) {
        return None;
    }
    let mut words = Words::new(store);
    words.places(tables, bypass.is_some(), false)?;
    let mut base = 0;
    for table in tables {
        if table.base != base {
            return None;
        }
        base += table.symbols;
        for (_, Interval { start, freq }, coded) in ordinary(table, intervals, bypass) {
            words.store(start);
            words.store(if coded { freq } else { freq | WideInterval::SENTINEL });
        }
    }
    words.end_part();
    let shift = precision - WideInterval::bucket_bits(precision);
    for table in tables {
        let (mut word, mut buckets) = (0, 0);
        for (number, interval, _) in ordinary(table, intervals, bypass) {
            while buckets << shift < interval.start + interval.freq {
                word |= number << (16 * (buckets & 1));
                buckets += 1;
                if buckets & 1 == 0 {
                    words.store(word);
                    word = 0;
                }
            }
        }
    }
    words.end_part();
    Some(())
}

#[cfg(test)]
mod tests;

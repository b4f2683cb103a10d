//! Words of one class as tokens of a byte, which order-0 coding takes, and bits beside them, which
//! are stored: nothing is known of them.

use super::super::pack::{pack, unpack};
use super::super::plane;
use super::super::planes::{BLOCK, MAX_WHOLE, PlaneRefs, Planes, fraction_len};
use super::super::vectorized::vectorized;
use super::truncated;
use crate::simd::Level;
use crate::{Error, Result, order0};
use parans_kernels::float::{Filter, Layout, Word};

/// Words below this are tokens themselves.
const DIRECT: u8 = 128;
/// Their length in bits.
const DIRECT_BITS: u32 = 7;
/// Words sampled to find how many of their low bits are noise.
const SAMPLE: usize = 1024;
/// Bits of a middling word that are in its token. With one less, the logarithm of a table's steps
/// would be a bad approximation to a bell; with one more, more words than need be had extra bits.
const TOKEN_BITS: u32 = 5;

/// Tokens that are looked through together for large ones, which are rare.
const FEW: usize = 64;
/// Tokens from the front by which it is decided whether coding them pays.
const JUDGED: usize = 1 << 12;

/// Whether there are large words' tokens among these.
fn any_large_in(tokens: &[u8]) -> bool {
    tokens.iter().fold(0, |any, &token| any | token) >= DIRECT
}

/// Scratch memory for the words of a class.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    planes: Planes,
    extra: Vec<u8>,
}

/// The layout of a class's planes: tokens, and the `raw` low bits of each word.
fn layout<T: Word>(raw: u32) -> Layout {
    let integers = Layout::integer(T::BITS, Filter::None);
    Layout { value_bits: 8 + raw, packed: true, ..integers }
}

/// The most raw bits: those of which a word has but eight more.
fn most_raw<T: Word>() -> u32 {
    T::BITS - 8
}

/// The token of a word of at least [`DIRECT`], and how many of its low bits the token leaves out.
#[inline(always)]
fn large(word: u64) -> (u8, u32) {
    let length = 63 - word.leading_zeros();
    let extra = length - 1;
    (DIRECT + (2 * (length - DIRECT_BITS) + (word >> extra & 1) as u32) as u8, extra)
}

/// Undoes [`large`]: the first two bits of the word, and how many follow.
#[inline(always)]
fn of_large(token: u8) -> (u64, u32) {
    let number = u32::from(token - DIRECT);
    (u64::from(2 | number & 1), number / 2 + DIRECT_BITS - 1)
}

vectorized! {
    /// Writes the low byte of each shifted word as its token, or [`DIRECT`] for large ones, and
    /// the raw bits below; says whether there are large ones.
    pub(super) fn split<'a, T: Word>(
        layout: &'a Layout,
        dropped: u32,
        words: &'a mut [T],
        planes: &'a mut Planes,
    ) -> bool {
        planes.resize(layout, words.len());
        let raw = layout.rest_bits();
        let low = T::truncate((1 << raw) - 1);
        let direct = T::from_byte(DIRECT);
        let mut rests = [T::ZERO; BLOCK];
        let mut largest = 0;
        for (i, words) in words.chunks_mut(BLOCK).enumerate() {
            let tokens = &mut planes.symbols[i * BLOCK..][..words.len()];
            for ((word, token), rest) in words.iter_mut().zip(tokens).zip(&mut rests) {
                let value = *word >> dropped;
                *rest = value & low;
                *word = value >> raw;
                *token = (*word).min(direct).low_byte();
                largest = largest.max(*token);
            }
            if raw > 0 {
                pack(layout, &rests[..words.len()], i * BLOCK, planes);
            }
        }
        largest == DIRECT
    }
}

vectorized! {
    /// Undoes [`split`], but for large words.
    pub(super) fn join<'a, T: Word>(
        layout: &'a Layout,
        planes: &'a PlaneRefs<'a>,
        words: &'a mut [T],
    ) -> bool {
        let raw = layout.rest_bits();
        let mut rests = [T::ZERO; BLOCK];
        let mut largest = 0;
        for (i, words) in words.chunks_mut(BLOCK).enumerate() {
            let tokens = &planes.symbols[i * BLOCK..][..words.len()];
            if raw > 0 {
                unpack(layout, planes, i * BLOCK, &mut rests[..words.len()]);
            }
            for ((word, &token), &rest) in words.iter_mut().zip(tokens).zip(&rests) {
                largest = largest.max(token);
                *word = T::from_byte(token) << raw | rest;
            }
        }
        largest >= DIRECT
    }
}

/// Low bits of the words that hold nothing but noise.
fn raw_bits<T: Word>(words: &[T], dropped: u32) -> u32 {
    let mut lengths = [0usize; 65];
    let step = words.len().div_ceil(SAMPLE).max(1);
    for &word in words.iter().step_by(step) {
        lengths[64 - (word >> dropped).widen().leading_zeros() as usize] += 1;
    }
    let sampled: usize = lengths.iter().sum();
    let mut below = 0;
    let middling = lengths.iter().position(|&count| {
        below += count;
        2 * below >= sampled
    });
    (middling.unwrap_or(0) as u32).saturating_sub(TOKEN_BITS).min(most_raw::<T>())
}

impl Tokens {
    /// Appends the words of a class, which hold nothing in their low `dropped` bits, and leaves
    /// other words in their place.
    pub(super) fn write<T: Word>(
        &mut self,
        level: Level,
        coder: &mut order0::Encoder,
        words: &mut [T],
        dropped: u32,
        out: &mut Vec<u8>,
    ) {
        let raw = raw_bits(words, dropped);
        let layout = layout::<T>(raw);
        out.push(raw as u8);
        let planes = &mut self.planes;
        let any_large = split::<T>(level, &layout, dropped, words, planes);
        self.extra.clear();
        if any_large {
            let mut bits = BitWriter::new(&mut self.extra);
            for (tokens, words) in planes.symbols.chunks_mut(FEW).zip(words.chunks(FEW)) {
                if !any_large_in(tokens) {
                    continue;
                }
                for (token, &word) in tokens.iter_mut().zip(words) {
                    if *token == DIRECT {
                        let word = word.widen();
                        let (number, extra) = large(word);
                        *token = number;
                        bits.push(word & ((1 << extra) - 1), extra);
                    }
                }
            }
            bits.finish();
        }
        let sample = &planes.symbols[..planes.symbols.len().min(JUDGED)];
        let worth = plane::is_worth_coding(8, sample.len(), plane::sampled_units(sample));
        plane::write(coder, &planes.symbols, worth, out);
        for whole in &planes.whole[..layout.whole_planes()] {
            plane::write(coder, whole, false, out);
        }
        if layout.fraction_bits() > 0 {
            plane::write(coder, &planes.fraction, false, out);
        }
        out.extend_from_slice(&self.extra);
    }

    /// Reads the words of a class from the front of `data`, and returns what follows them.
    pub(super) fn read<'a, T: Word>(
        &mut self,
        level: Level,
        coder: &mut order0::Decoder,
        data: &'a [u8],
        words: &mut [T],
    ) -> Result<&'a [u8]> {
        let (&raw, mut data) = data.split_first().ok_or_else(truncated)?;
        let raw = u32::from(raw);
        if raw > most_raw::<T>() {
            return Err(Error::Corrupt(format!("differences with {raw} raw bits")));
        }
        let layout = layout::<T>(raw);
        let n = words.len();
        let Planes { symbols, whole, fraction } = &mut self.planes;
        let found;
        (found, data) = plane::read(coder, data, n, n, symbols)?;
        let mut refs = PlaneRefs { symbols: found.bytes(symbols), ..PlaneRefs::default() };
        refs.rests = n;
        let mut found = [None; MAX_WHOLE];
        for (found, whole) in found[..layout.whole_planes()].iter_mut().zip(&mut *whole) {
            let plane;
            (plane, data) = plane::read(coder, data, n, BLOCK, whole)?;
            *found = Some(plane);
        }
        for ((plane, found), whole) in refs.whole.iter_mut().zip(found).zip(&*whole) {
            *plane = found.map_or(&[][..], |found| found.bytes(whole));
        }
        if layout.fraction_bits() > 0 {
            let plane;
            let n = fraction_len(&layout, n);
            (plane, data) = plane::read(coder, data, n, n, fraction)?;
            refs.fraction = plane.bytes(fraction);
        }
        if !join::<T>(level, &layout, &refs, words) {
            return Ok(data);
        }
        let mut bits = BitReader::new(data);
        let low = T::truncate((1 << raw) - 1);
        for (tokens, words) in refs.symbols.chunks(FEW).zip(words.chunks_mut(FEW)) {
            if !any_large_in(tokens) {
                continue;
            }
            for (&token, word) in tokens.iter().zip(words) {
                if token >= DIRECT {
                    let (first, extra) = of_large(token);
                    if extra + 2 + raw > T::BITS {
                        return Err(Error::Corrupt(format!("token {token} of {} bits", T::BITS)));
                    }
                    let value = first << extra | bits.take(extra)?;
                    *word = T::truncate(value) << raw | (*word & low);
                }
            }
        }
        bits.rest()
    }
}

/// Appends numbers of some bits each, the first at the low end of each byte.
struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    held: u128,
    bits: u32,
}

impl<'a> BitWriter<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, held: 0, bits: 0 }
    }

    fn push(&mut self, number: u64, bits: u32) {
        self.held |= u128::from(number) << self.bits;
        self.bits += bits;
        if self.bits >= 64 {
            self.out.extend((self.held as u64).to_le_bytes());
            self.held >>= 64;
            self.bits -= 64;
        }
    }

    fn finish(self) {
        let bytes = self.bits.div_ceil(8) as usize;
        self.out.extend(&self.held.to_le_bytes()[..bytes]);
    }
}

/// Takes numbers that [`BitWriter`] appended.
struct BitReader<'a> {
    all: &'a [u8],
    data: &'a [u8],
    held: u128,
    bits: u32,
}

impl<'a> BitReader<'a> {
    fn new(data: &'a [u8]) -> Self {
        Self { all: data, data, held: 0, bits: 0 }
    }

    fn take(&mut self, bits: u32) -> Result<u64> {
        if self.bits < bits {
            if let Some((word, rest)) = self.data.split_first_chunk() {
                self.held |= u128::from(u64::from_le_bytes(*word)) << self.bits;
                self.bits += 64;
                self.data = rest;
            }
            while self.bits < bits {
                let (&byte, rest) = self.data.split_first().ok_or_else(truncated)?;
                self.held |= u128::from(byte) << self.bits;
                self.bits += 8;
                self.data = rest;
            }
        }
        let number = self.held as u64 & ((1 << bits) - 1);
        self.held >>= bits;
        self.bits -= bits;
        Ok(number)
    }

    /// What follows the numbers.
    ///
    /// # Errors
    /// `Corrupt` unless the bits left of their last byte are 0.
    fn rest(self) -> Result<&'a [u8]> {
        let unused = self.bits as usize / 8;
        if self.held & ((1 << (self.bits % 8)) - 1) != 0 {
            return Err(Error::Corrupt("bits after the last difference".into()));
        }
        Ok(&self.all[self.all.len() - self.data.len() - unused..])
    }
}

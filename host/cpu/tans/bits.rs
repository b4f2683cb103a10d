//! Bits of a row on their way to its words: packed in windows of four symbols, and appended.

use std::ops::Range;

use parans_kernels::codec::{BitBuffer, TansFamily, WordInt};

use super::{WINDOW, WINDOWS};
use crate::simd::{Bits, RunOn, Work};

/// Windows of bits: four symbols' each, that of the last symbol lowest.
#[derive(Clone)]
pub(super) struct PackedBits {
    pairs: [[u32; WINDOWS]; 2],
    lens: [[u32; WINDOWS]; 2],
    windows: [u64; WINDOWS],
}

impl Default for PackedBits {
    fn default() -> Self {
        Self { pairs: [[0; WINDOWS]; 2], lens: [[0; WINDOWS]; 2], windows: [0; WINDOWS] }
    }
}

/// The bits of a row that are not written yet, fewer than eight, from `bytes[at]` on.
#[derive(Clone, Copy, Default)]
pub(super) struct Tail {
    pub(super) window: u64,
    pub(super) len: u32,
    pub(super) at: usize,
}

impl Tail {
    pub(super) fn from_buffer(
        BitBuffer { bits, len }: BitBuffer,
        byte_len: usize,
        bytes: &mut [u8],
    ) -> Self {
        let mut new = Self { window: u64::from(bits), len, at: byte_len };
        // Where the capacity ends before this byte, no window fits.
        if let (true, Some(byte)) = (len >= 8, bytes.get_mut(byte_len)) {
            *byte = bits as u8;
            (new.window, new.len, new.at) = (new.window >> 8, len - 8, byte_len + 1);
        }
        new
    }

    /// The codec's buffer, shorter than a word, and the number of words before it.
    pub(super) fn into_buffer<T: TansFamily>(mut self, bytes: &[u8]) -> (BitBuffer, usize) {
        // Where a word was written in part (one byte of two), fewer than 8 bits come after it.
        while !self.at.is_multiple_of(T::Word::BYTES) {
            self.at -= 1;
            self.window = (self.window << 8) | u64::from(bytes[self.at]);
            self.len += 8;
        }
        (BitBuffer { bits: self.window as u32, len: self.len }, self.at / T::Word::BYTES)
    }
}

/// Packs the bits of each window.
pub(super) struct Pack<'a> {
    /// States before each symbol, and how many of a state's low bits its symbol writes, in planes.
    pub(super) states: &'a [[u16; WINDOWS]; WINDOW],
    pub(super) counts: &'a [[u8; WINDOWS]; WINDOW],
    pub(super) packed: &'a mut PackedBits,
}

impl Work for Pack<'_> {
    type Output = ();
}

impl<B: Bits> RunOn<B> for Pack<'_> {
    #[inline(always)]
    fn run(self, _bits: B) {
        let ([s0, s1, s2, s3], [c0, c1, c2, c3]) = (self.states, self.counts);
        let PackedBits { pairs: [low, high], lens: [half, whole], windows } = self.packed;
        // One simple loop for each step: compilers make vectors of these, and not of one that does
        // it all.
        pair((s3, c3), (s2, c2), low, half);
        pair((s1, c1), (s0, c0), high, whole);
        for w in 0..WINDOWS {
            windows[w] = u64::from(low[w]) | u64::from(high[w]) << (half[w] & 63);
        }
        for w in 0..WINDOWS {
            whole[w] += half[w];
        }
    }
}

/// The bits of the symbols `first` and `second` of each window, and how many.
#[inline(always)]
fn pair(
    first: (&[u16; WINDOWS], &[u8; WINDOWS]),
    second: (&[u16; WINDOWS], &[u8; WINDOWS]),
    pairs: &mut [u32; WINDOWS],
    lens: &mut [u32; WINDOWS],
) {
    for w in 0..WINDOWS {
        // Counts are at most 14; the masks say so.
        let (m, n) = (u32::from(first.1[w] & 31), u32::from(second.1[w] & 31));
        let one = u32::from(first.0[w]) & !(u32::MAX << m);
        let two = u32::from(second.0[w]) & !(u32::MAX << n);
        pairs[w] = one | two << m;
        lens[w] = m + n;
    }
}

/// Appends windows, the last first.
pub(super) struct Write<'a> {
    pub(super) packed: &'a PackedBits,
    pub(super) windows: Range<usize>,
    pub(super) tail: &'a mut Tail,
    pub(super) bytes: &'a mut [u8],
}

impl Work for Write<'_> {
    type Output = bool;
}

impl<B: Bits> RunOn<B> for Write<'_> {
    #[inline(always)]
    fn run(self, _bits: B) -> bool {
        let Tail { mut window, mut len, at } = *self.tail;
        let Some(bytes) = self.bytes.get_mut(at..) else { return false };
        let (windows, lens) = (&self.packed.windows, &self.packed.lens[1]);
        let (Some(windows), Some(lens)) =
            (windows.get(self.windows.clone()), lens.get(self.windows))
        else {
            return false;
        };
        let mut written = 0u32;
        for (&bits, &count) in windows.iter().zip(lens).rev() {
            window |= bits.wrapping_shl(len);
            let place = written as usize;
            let Some(eight) = bytes.get_mut(place..place + 8) else { return false };
            eight.copy_from_slice(&window.to_le_bytes());
            // At most 7 + 4 * 14 bits are in the window.
            len += count;
            window >>= len & 56;
            written += len / 8;
            len &= 7;
        }
        *self.tail = Tail { window, len, at: at + written as usize };
        true
    }
}

//! The bits that the lanes of a tANS row leave and read together.
//!
//! A prefix sum over the lanes' counts gives each the place of its bits. Push: the lanes set their
//! bits in shared memory, where the row's words are then taken from. Pop: each lane reads the words
//! that hold its bits.

use super::group::{Group, Mapping};
use super::simt::Simt;
use crate::abi::TANS_BITS_BYTES;
use crate::codec::step::low_mask;
use crate::codec::{BitBuffer, TansFamily, WordInt};

/// The most bits that a symbol leaves.
const MAX_BITS: u32 = 15;

/// The most groups whose bits are stored at once.
pub(super) const MOST_GROUPS: usize = 8;

// Two lanes' share of the block's memory for bits holds theirs and those before, and a bit more so
// that there is a word behind the full ones.
const _: () = assert!(2 * MOST_GROUPS as u32 * MAX_BITS + MAX_BITS < 2 * 8 * TANS_BITS_BYTES);

/// Where a row's bits end: the words in use, and the bits behind them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BitEnd {
    pub(super) cursor: u32,
    pub(super) buffer: BitBuffer,
}

/// Stores what the lanes leave in `N` groups, the first of them first, and gives where the bits
/// then end. Words past the capacity are dropped.
///
/// # Safety
/// All threads of the warp call it together. The row has `capacity` words, and only its lanes store
/// there. The block has shared memory for the bits behind what is staged, which nothing else uses.
#[inline(always)]
pub(super) unsafe fn store_bits<S: Simt, M: Mapping, T: TansFamily, const N: usize>(
    lanes: &Group<S, M>,
    (words, capacity): (*mut T::Word, u32),
    staged: u32,
    BitEnd { cursor, buffer }: BitEnd,
    (bits, counts): ([u32; N], [u32; N]),
) -> BitEnd {
    let simt = lanes.simt();
    // Groups by twos: 32 lanes leave below 2^16 bits.
    let (mut sums, mut totals) = ([0; N], [0; N]);
    unroll!(N, i, {
        if i.is_multiple_of(2) {
            let more = if i + 1 < N { counts[(i + 1) % N] << 16 } else { 0 };
            sums[i] = lanes.sum_from(counts[i] | more);
            totals[i] = lanes.broadcast(sums[i], 0);
        }
    });
    let area = simt.shared() + staged + (simt.thread() - lanes.lane) * TANS_BITS_BYTES;
    // SAFETY: the row's part of the block's memory for bits; what the lanes store there, what they
    // set and what they load is ordered by the waits between. Each word is stored by one lane.
    unsafe {
        let before = if lanes.lane == 0 { buffer.bits } else { 0 };
        simt.store_shared_x4(area + lanes.lane * TANS_BITS_BYTES, [before, 0, 0, 0]);
        simt.sync_warp();
        let mut end = buffer.len;
        unroll!(N, i, {
            let half = |sum: u32| if i.is_multiple_of(2) { sum & 0xffff } else { sum >> 16 };
            let at = end + half(sums[i - i % 2]) - counts[i];
            let word = simt.scaled(area, at >> 5, 2);
            simt.set_shared_bits(word, bits[i] << (at & 31));
            let rest = (bits[i] >> 1) >> (!at & 31);
            if rest != 0 {
                simt.set_shared_bits(word + 4, rest);
            }
            end += half(totals[i - i % 2]);
        });
        simt.sync_warp();
        let load = |at: u32| match T::Word::BYTES {
            1 => simt.load_shared_u8(area + at),
            _ => simt.load_shared_u16(area + 2 * at),
        };
        let full = end / T::WORD_BITS;
        let stored = full.min(capacity - cursor);
        let to = words.add(cursor as usize);
        let mut at = lanes.lane;
        while at < stored {
            *to.add(at as usize) = T::Word::from_low(load(at));
            at += lanes.lanes();
        }
        let buffer = BitBuffer { bits: load(full), len: end % T::WORD_BITS };
        simt.sync_warp();
        BitEnd { cursor: cursor + full, buffer }
    }
}

/// The last words of a row that is popped, and the bits behind them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window<S, T> {
    simt: S,
    family: core::marker::PhantomData<T>,
    /// The first of the words, how many they are, and how many are before them.
    first: u64,
    words: u32,
    before: u32,
    /// The bits behind them.
    bits: u32,
    /// How many bits are left.
    pub(super) left: u32,
}

impl<S: Simt, T: TansFamily> Window<S, T> {
    /// At most `most` words of a row, which begin at an address.
    ///
    /// # Safety
    /// The row has as many words as `end` says, and nobody writes them.
    #[inline(always)]
    pub(super) unsafe fn new(simt: S, words: u64, end: BitEnd, most: u32) -> Self {
        let most = most.min(end.cursor);
        let before = end.cursor - most;
        Self {
            simt,
            family: core::marker::PhantomData,
            first: simt.after::<T::Word>(words, before),
            words: most,
            before,
            bits: end.buffer.bits,
            left: most * T::WORD_BITS + end.buffer.len,
        }
    }

    #[inline(always)]
    fn word(&self, at: u32) -> u32 {
        // SAFETY: there are so many words.
        unsafe { self.simt.load_below::<T::Word>(self.first, at, self.words, self.bits) }
    }

    /// The first `count` (at most 15) of the last `last` bits.
    #[inline(always)]
    pub(super) fn read(&self, last: u32, count: u32) -> u32 {
        let at = self.left.wrapping_sub(last);
        let (from, skipped) = (at / T::WORD_BITS, at % T::WORD_BITS);
        let mut held = self.word(from) | self.word(from + 1) << T::WORD_BITS;
        if T::WORD_BITS < MAX_BITS {
            held |= self.word(from + 2) << (2 * T::WORD_BITS);
        }
        (held >> skipped) & low_mask(count)
    }

    /// Where the bits end.
    #[inline(always)]
    pub(super) fn end(&self) -> BitEnd {
        let (words, len) = (self.left / T::WORD_BITS, self.left % T::WORD_BITS);
        let buffer = BitBuffer { bits: self.word(words) & low_mask(len), len };
        BitEnd { cursor: self.before + words, buffer }
    }
}

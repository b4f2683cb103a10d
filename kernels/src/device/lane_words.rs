//! The words that a lane emits, and the first error that it meets.

use super::group::{Group, Mapping};
use super::simt::Simt;
use crate::abi::RowStatus;
use crate::codec::{RansFamily, RowError, WordInt, WordSink};

/// Bits that hold how many words a symbol with its bypass digits emits, 14 at most: 65 bits of
/// digits, 23 of symbol and 31 of state in words of 8 bits.
pub const DIGIT_WORDS_BITS: u32 = 4;

/// Counts the words that a push would emit.
#[derive(Debug, Default)]
pub struct WordCount(pub u32);

impl<W> WordSink<W> for WordCount {
    #[inline(always)]
    fn store(&mut self, _word: W) {
        self.0 += 1;
    }
}

/// The words that one symbol emits, kept in a register until the ballots have said where they go:
/// at most 32 bits in every family.
#[derive(Debug, Default)]
pub struct HeldWords {
    bits: u32,
    /// How many.
    pub count: u32,
}

impl<W: WordInt> WordSink<W> for HeldWords {
    #[inline(always)]
    fn store(&mut self, word: W) {
        self.bits |= word.to_u32() << (self.count * (W::BYTES as u32 * 8));
        self.count += 1;
    }
}

impl HeldWords {
    /// Hands the words on.
    #[inline(always)]
    pub fn release<F: RansFamily>(self, sink: &mut LaneWords<F::Word>) {
        let mut left = self.bits;
        for turn in 0..F::MAX_WORDS {
            if turn < self.count {
                sink.store(WordInt::from_low(left));
            }
            // One-word families have no second turn; a shift by 32 would be undefined for rans64.
            left = left.unbounded_shr(F::WORD_BITS);
        }
    }
}

/// Writes one lane's words from their place on. What lies past the row's capacity is dropped.
#[derive(Debug)]
pub struct LaneWords<W> {
    words: *mut W,
    at: u32,
    capacity: u32,
}

impl<W: WordInt> LaneWords<W> {
    /// Words of a row from position `at` on.
    ///
    /// # Safety
    /// `words` points to `capacity` words, and no other thread uses those from `at` on that this
    /// one will store.
    #[inline(always)]
    pub unsafe fn new(words: *mut W, at: u32, capacity: u32) -> Self {
        Self { words, at, capacity }
    }

    /// Where the next word would go.
    #[inline(always)]
    pub fn position(&self) -> u32 {
        self.at
    }
}

impl<W: WordInt> WordSink<W> for LaneWords<W> {
    #[inline(always)]
    fn store(&mut self, word: W) {
        if self.at < self.capacity {
            // SAFETY: below the capacity, which is what `words` points to.
            unsafe { *self.words.add(self.at as usize) = word };
        }
        self.at = self.at.wrapping_add(1);
    }
}

/// The first error of a lane, and when it happened; settled among the lanes at the end of the row.
#[derive(Clone, Copy, Debug)]
pub struct LaneFault {
    /// When, in the scalar codec's order: smaller is earlier, `NEVER` is no error.
    pub when: u32,
    /// What and where.
    pub status: RowStatus,
}

impl LaneFault {
    /// No error.
    pub const NEVER: u32 = u32::MAX;

    /// No error yet.
    pub const NONE: Self = Self { when: Self::NEVER, status: RowStatus { code: 0, position: 0 } };

    /// Whether there was an error.
    #[inline(always)]
    pub fn happened(&self) -> bool {
        self.when != Self::NEVER
    }

    /// Notes an error, unless there was one before.
    #[inline(always)]
    pub fn note(&mut self, error: RowError, position: u32, when: u32) {
        if !self.happened() {
            *self = Self { when, status: RowStatus { code: error as u32, position } };
        }
    }

    /// The row's first error, of its lowest lane at that moment, and the moment: `NEVER` without
    /// one.
    ///
    /// Rows of a warp differ in whether they have one, and the exchanges need every thread, so they
    /// happen in any case.
    #[inline(always)]
    pub fn settle<S: Simt, M: Mapping>(&self, group: &Group<S, M>) -> (u32, RowStatus) {
        let first = group.min(self.when);
        let lane = group.lowest(group.ballot(self.when == first));
        let code = group.broadcast(self.status.code, lane);
        let position = group.broadcast(self.status.position, lane);
        (first, RowStatus { code, position })
    }
}

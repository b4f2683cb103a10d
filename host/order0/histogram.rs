//! Counting bytes, and the entropy that the counts promise.
//!
//! Counting every byte of a chunk costs half as much as coding it (4 GB/s against 6 on Zen 5: a
//! store per byte). A quarter of them says nearly as much: it costs about 100 bytes of size per
//! chunk. What must be exact is which byte values occur, and that is a question that vectors answer
//! at the speed of memory. Both in one pass: the vectors' even walk is what brings the bytes into
//! the cache; counting the scattered pieces before it waited for memory longer than it counted (a
//! third of the encoder's time).

use parans_kernels::order0::{Counts, entropy};

use super::members::ByteSet;
use super::operations::OrderSimd;
use crate::simd::{self, Level, RunOn, Work};

/// Chunks below this many bytes are counted whole.
const SAMPLED_FROM: usize = 1 << 16;

/// A sample takes one piece of each four.
const PIECE: usize = 256;

/// What the model is made from: counts of a chunk (of less than 2^32 bytes), of a sample for large
/// ones. Not zero for exactly the values that occur.
pub(super) fn estimate(chunk: &[u8], level: Level) -> Counts {
    if chunk.len() < SAMPLED_FROM {
        return count([chunk]);
    }
    let work = Sample { chunk };
    simd::dispatch(level, work).unwrap_or_else(|work| {
        let mut known = ByteSet::new();
        work.chunk.iter().for_each(|&byte| known.insert(byte));
        work.counts(&known)
    })
}

/// Counts a sample, and at least one of each value that occurs.
struct Sample<'a> {
    chunk: &'a [u8],
}

impl Sample<'_> {
    /// Counts the sample and one of each known value without a count.
    fn counts(&self, known: &ByteSet) -> Counts {
        let (blocks, rest) = self.chunk.as_chunks::<{ 4 * PIECE }>();
        let mut tables = Counters::default();
        for (i, block) in blocks.iter().enumerate() {
            tables.count(piece(i, block));
        }
        tables.count(rest);
        tables.total(known)
    }
}

/// Which piece of a block is pseudo-random (the top bits of a Weyl sequence): every fourth one
/// would always see the same columns of records of 1024 bytes.
#[inline(always)]
fn piece(block_number: usize, block: &[u8; 4 * PIECE]) -> &[u8] {
    let piece = (block_number as u32).wrapping_mul(0x9e37_79b9) >> 30;
    &block[piece as usize * PIECE..][..PIECE]
}

impl Work for Sample<'_> {
    type Output = Counts;
}

impl<S: OrderSimd> RunOn<S> for Sample<'_> {
    #[inline(always)]
    fn run(self, simd: S) -> Counts {
        let (blocks, rest) = self.chunk.as_chunks::<{ 4 * PIECE }>();
        let mut known = ByteSet::new();
        let mut tables = Counters::default();
        for (i, block) in blocks.iter().enumerate() {
            for piece in block.as_chunks::<PIECE>().0 {
                // Seldom: at most 256 times per chunk.
                if !simd.all_members(&known, piece) {
                    piece.iter().for_each(|&byte| known.insert(byte));
                }
            }
            tables.count(piece(i, block));
        }
        rest.iter().for_each(|&byte| known.insert(byte));
        tables.count(rest);
        tables.total(&known)
    }
}

/// Counters of byte values.
///
/// Eight tables, since a run of equal bytes would otherwise wait for its own store at every step.
struct Counters([[u32; 256]; 8]);

impl Default for Counters {
    fn default() -> Self {
        Self([[0; 256]; 8])
    }
}

impl Counters {
    /// Counts bytes, of which there may be less than 2^32 in all.
    #[inline(always)]
    fn count(&mut self, bytes: &[u8]) {
        let (groups, rest) = bytes.as_chunks::<8>();
        for group in groups {
            let word = u64::from_le_bytes(*group);
            for (i, table) in self.0.iter_mut().enumerate() {
                table[(word >> (8 * i)) as usize & 0xff] += 1;
            }
        }
        for &byte in rest {
            self.0[0][byte as usize] += 1;
        }
    }

    /// All counts, at least 1 for the known values.
    fn total(&self, known: &ByteSet) -> Counts {
        std::array::from_fn(|s| {
            let count = self.0.iter().map(|table| table[s]).sum::<u32>();
            count.max(known.contains(s as u8).into())
        })
    }
}

/// Counts the byte values of pieces (of less than 2^32 bytes together).
fn count<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Counts {
    let mut tables = Counters::default();
    for piece in pieces {
        tables.count(piece);
    }
    tables.total(&ByteSet::new())
}

/// What order-0 coding takes for bytes, less than 2^32, in units of 2^-16 bits.
pub(crate) fn entropy_units(bytes: &[u8]) -> u64 {
    entropy::entropy(count([bytes]))
}

/// The exact order-0 entropy of `bytes`, in bytes: the size that an ideal coder with one perfect
/// table for the whole slice would need. A report's yardstick only; nothing in the format depends
/// on it.
#[must_use]
pub fn entropy_bytes(bytes: &[u8]) -> f64 {
    let mut counts = [0u64; 256];
    // `count` keeps 32-bit counters.
    for part in bytes.chunks(1 << 30) {
        for (total, part) in counts.iter_mut().zip(count([part])) {
            *total += u64::from(part);
        }
    }
    let total = bytes.len() as f64;
    let bits = |&n: &u64| n as f64 * (total / n as f64).log2();
    counts.iter().filter(|&&n| n > 0).map(bits).sum::<f64>() / 8.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_estimates_the_same_and_misses_no_value() {
        for len in [0, 1, 1000, SAMPLED_FROM - 1, SAMPLED_FROM, SAMPLED_FROM + 777] {
            let mut chunk: Vec<u8> = (0..len).map(|i| ((i * i) >> 7) as u8 % 50).collect();
            // Single bytes here and there, at both ends too.
            for (at, value) in [(0, 255), (len / 3, 128), (len / 2, 127), (len.wrapping_sub(1), 60)]
            {
                if let Some(byte) = chunk.get_mut(at) {
                    *byte = value;
                }
            }
            let exact = count([&chunk[..]]);
            let want = estimate(&chunk, Level::Scalar);
            for level in Level::available() {
                assert_eq!(estimate(&chunk, level), want);
            }
            for (exact, estimated) in exact.into_iter().zip(want) {
                assert_eq!(exact > 0, estimated > 0);
            }
            assert!(len >= SAMPLED_FROM || exact == want);
        }
    }
}

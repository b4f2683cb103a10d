//! What the next stretch reads, asked for while the states of this one take their steps.
//!
//! Rows lie far apart, where no prefetcher of the processor looks. A core has few misses under way at once: asked for all at once, lines make the loop that
//! asks wait for memory; spread over the arithmetic of a stretch, they come for nothing.

use crate::simd::prefetch;

const LINE: usize = 64;

/// Pieces of memory, of equal size but for missing ones, of which some lines at a time are asked for.
#[derive(Default)]
pub(super) struct Ahead<'a> {
    pieces: Vec<&'a [u8]>,
    /// The next piece and the next byte of it.
    piece: usize,
    byte: usize,
    lines_a_step: usize,
}

impl<'a> Ahead<'a> {
    /// Replaces the pieces, to be asked for over so many steps.
    pub(super) fn set(&mut self, pieces: impl Iterator<Item = &'a [u8]>, steps: usize) {
        self.pieces.clear();
        self.pieces.extend(pieces.filter(|piece| !piece.is_empty()));
        (self.piece, self.byte) = (0, 0);
        let lines: usize = self.pieces.iter().map(|piece| piece.len().div_ceil(LINE)).sum();
        self.lines_a_step = lines.div_ceil(steps.max(1));
    }

    /// Asks for a step's share.
    #[inline(always)]
    pub(super) fn step(&mut self) {
        for _ in 0..self.lines_a_step {
            let Some(piece) = self.pieces.get(self.piece) else { return };
            prefetch(piece, self.byte);
            self.byte += LINE;
            if self.byte >= piece.len() {
                (self.piece, self.byte) = (self.piece + 1, 0);
            }
        }
    }
}

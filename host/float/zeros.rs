//! Leaves out the rests of zeros, for tensors with many (activations after a ReLU, pruned weights).
//!
//! With half of the elements zero, coding the rests of all costs a bit and a half too much for each
//! element of a bfloat16 tensor. Here the rests of the other elements move together before they are
//! cut into planes.

use parans_kernels::float::{Word, is_elided};

use super::planes::BLOCK;

/// Rests on their way from blocks of elements to full blocks of rests.
pub(super) struct ZeroElider<T> {
    /// The first `len` wait. One more than two blocks: the next one is written before it is known
    /// to stay.
    rests: [T; 2 * BLOCK + 1],
    len: usize,
    /// Rests given away already, a multiple of [`BLOCK`]. A block that was given still lies in
    /// front if `given` is set.
    at: usize,
    given: bool,
}

impl<T: Word> ZeroElider<T> {
    #[inline(always)]
    pub(super) fn new() -> Self {
        Self { rests: [T::ZERO; 2 * BLOCK + 1], len: 0, at: 0, given: false }
    }

    /// Adds the rests of a block. Every full block must have been taken before.
    #[inline(always)]
    pub(super) fn push(&mut self, zero: u8, rests: &[T], symbols: &[u8]) {
        self.drop_given();
        let mut len = self.len;
        for (&rest, &symbol) in rests.iter().zip(symbols) {
            // At most one block waits and at most one comes.
            self.rests[len] = rest;
            len += usize::from(!is_elided(zero, symbol));
        }
        self.len = len;
    }

    /// A full block and the number of rests before it, if one has come together.
    #[inline(always)]
    pub(super) fn full_block(&mut self) -> Option<(&[T], usize)> {
        if self.len < BLOCK {
            return None;
        }
        self.given = true;
        Some((&self.rests[..BLOCK], self.at))
    }

    /// What is left, less than a block, and the number of rests before it.
    #[inline(always)]
    pub(super) fn last_block(&mut self) -> (&[T], usize) {
        self.drop_given();
        (&self.rests[..self.len], self.at)
    }

    #[inline(always)]
    fn drop_given(&mut self) {
        if std::mem::take(&mut self.given) {
            self.rests.copy_within(BLOCK.., 0);
            self.len -= BLOCK;
            self.at += BLOCK;
        }
    }
}

/// Rests on their way back: undoes what [`ZeroElider`] did.
pub(super) struct Restorer<T> {
    /// Those from `next` to `len` wait; never less than a block of them, as long as there are so
    /// many.
    rests: [T; 2 * BLOCK],
    next: usize,
    len: usize,
    /// Rests fetched, and all there are.
    at: usize,
    total: usize,
}

impl<T: Word> Restorer<T> {
    #[inline(always)]
    pub(super) fn new(total: usize) -> Self {
        Self { rests: [T::ZERO; 2 * BLOCK], next: 0, len: 0, at: 0, total }
    }

    /// Room for the next block of rests and the number of rests before it, or nothing if enough
    /// wait.
    #[inline(always)]
    pub(super) fn free_block(&mut self) -> Option<(&mut [T], usize)> {
        if self.at == self.total || self.len - self.next >= BLOCK {
            return None;
        }
        // Less than a block waits: it fits in front of the one to come.
        self.rests.copy_within(self.next..self.len, 0);
        self.len -= self.next;
        self.next = 0;
        let (start, at) = (self.len, self.at);
        let count = BLOCK.min(self.total - at);
        self.len += count;
        self.at += count;
        Some((&mut self.rests[start..start + count], at))
    }

    /// Gives every symbol that is no elided zero its rest; the others get any.
    #[inline(always)]
    pub(super) fn pop(&mut self, zero: u8, symbols: &[u8], rests: &mut [T]) {
        let mut next = self.next;
        for (rest, &symbol) in rests.iter_mut().zip(symbols) {
            // `total` counts the symbols that take one, so `next` passes the end only by the zeros
            // behind the last.
            *rest = self.rests[next.min(2 * BLOCK - 1)];
            next += usize::from(!is_elided(zero, symbol));
        }
        self.next = next;
    }
}

//! Blocks: neighbouring rows that one thread codes together.

use parans_kernels::codec::Family;

use crate::coder::{Indexes, Symbol};

/// Neighbouring rows, apart from all others.
pub(super) struct Rows<'a, F: Family> {
    /// Number of the first row.
    pub(super) first: usize,
    /// States of the block's rows, `lanes` a row.
    pub(super) states: &'a mut [F::State],
    /// Words of the block's rows.
    pub(super) words: &'a mut [F::Word],
    /// Where the block's rows begin among the words of *all* rows; one more than rows.
    pub(super) starts: &'a [usize],
    /// Words in use, a row.
    pub(super) lens: &'a mut [usize],
}

impl<F: Family> Rows<'_, F> {
    /// How many rows.
    pub(super) fn len(&self) -> usize {
        self.lens.len()
    }
}

/// Splits the rows of a batch into blocks of `block_rows`.
pub(super) fn split<'a, F: Family>(
    block_rows: usize,
    lanes: usize,
    states: &'a mut [F::State],
    words: &'a mut [F::Word],
    starts: &'a [usize],
    lens: &'a mut [usize],
) -> Vec<Rows<'a, F>> {
    let mut blocks = Vec::with_capacity(lens.len().div_ceil(block_rows));
    let mut words = words;
    let mut first = 0;
    for (states, lens) in states.chunks_mut(block_rows * lanes).zip(lens.chunks_mut(block_rows)) {
        let count = lens.len();
        let starts = &starts[first..=first + count];
        let (own, after) = words.split_at_mut(starts[count] - starts[0]);
        words = after;
        blocks.push(Rows { first, states, words: own, starts, lens });
        first += count;
    }
    blocks
}

/// A block to push.
pub(super) struct PushBlock<'a, F: Family, S: Symbol> {
    /// The rows.
    pub(super) rows: Rows<'a, F>,
    /// Their symbols, `columns` a row.
    pub(super) symbols: &'a [S],
    /// Symbols a row.
    pub(super) columns: usize,
    /// The indexes of all rows.
    pub(super) indexes: &'a Indexes<'a>,
}

/// A block to pop.
pub(super) struct PopBlock<'a, F: Family, S: Symbol> {
    /// Number of the first row.
    pub(super) first: usize,
    /// States of the block's rows, `lanes` a row.
    pub(super) states: &'a mut [F::State],
    /// Words of *all* rows.
    pub(super) words: &'a [F::Word],
    /// Where the block's rows begin among them.
    pub(super) starts: &'a [usize],
    /// Words in use, a row.
    pub(super) lens: &'a mut [usize],
    /// Where the block's symbols go, `columns` a row.
    pub(super) symbols: &'a mut [S],
    /// Symbols a row.
    pub(super) columns: usize,
    /// The indexes of all rows.
    pub(super) indexes: &'a Indexes<'a>,
}

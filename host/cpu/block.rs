//! Blocks: neighbouring rows that one thread codes together.

use crate::coder::{Indexes, Symbol};
use crate::family::RowFormat;

/// Neighbouring rows, apart from all others.
pub(crate) struct Rows<'a, F: RowFormat> {
    /// Number of the first row.
    pub(crate) first: usize,
    /// Fields of the block's rows: states, and what else stands before the words.
    pub(crate) states: &'a mut [F::Field],
    /// Words of the block's rows.
    pub(crate) words: &'a mut [F::Unit],
    /// Where the block's rows begin among the words of *all* rows; one more than rows.
    pub(crate) starts: &'a [usize],
    /// Words in use, a row.
    pub(crate) lens: &'a mut [usize],
}

impl<F: RowFormat> Rows<'_, F> {
    /// How many rows.
    pub(crate) fn len(&self) -> usize {
        self.lens.len()
    }
}

/// Splits the rows of a batch, of `fields` fields each, into blocks of `block_rows`.
pub(crate) fn split<'a, F: RowFormat>(
    block_rows: usize,
    fields: usize,
    states: &'a mut [F::Field],
    words: &'a mut [F::Unit],
    starts: &'a [usize],
    lens: &'a mut [usize],
) -> Vec<Rows<'a, F>> {
    let mut blocks = Vec::with_capacity(lens.len().div_ceil(block_rows));
    let mut words = words;
    let mut first = 0;
    for (states, lens) in states.chunks_mut(block_rows * fields).zip(lens.chunks_mut(block_rows)) {
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
pub(crate) struct PushBlock<'a, F: RowFormat, S: Symbol> {
    /// The rows.
    pub(crate) rows: Rows<'a, F>,
    /// Their symbols, `columns` a row.
    pub(crate) symbols: &'a [S],
    /// Symbols a row.
    pub(crate) columns: usize,
    /// The indexes of all rows.
    pub(crate) indexes: &'a Indexes<'a>,
}

/// A block to pop.
pub(crate) struct PopBlock<'a, F: RowFormat, S: Symbol> {
    /// Number of the first row.
    pub(crate) first: usize,
    /// Fields of the block's rows: states, and what else stands before the words.
    pub(crate) states: &'a mut [F::Field],
    /// Words of *all* rows.
    pub(crate) words: &'a [F::Unit],
    /// Where the block's rows begin among them.
    pub(crate) starts: &'a [usize],
    /// Words in use, a row.
    pub(crate) lens: &'a mut [usize],
    /// Where the block's symbols go, `columns` a row.
    pub(crate) symbols: &'a mut [S],
    /// Symbols a row.
    pub(crate) columns: usize,
    /// The indexes of all rows.
    pub(crate) indexes: &'a Indexes<'a>,
}

//! Blocks: neighbouring rows that one thread codes together.

use crate::family::RowFormat;
use crate::symbols::{Indexes, SymbolSlice, SymbolSliceMut, take};
use parans_kernels::codec::RowFault;

/// A fault and the row it happened in.
pub(crate) type Failed = (usize, RowFault);

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
    /// Words in use, per row.
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
        let own = take(&mut words, starts[count] - starts[0]);
        blocks.push(Rows { first, states, words: own, starts, lens });
        first += count;
    }
    blocks
}

/// Splits words into those of each row.
pub(crate) fn split_rows<'a, W>(
    words: &'a mut [W],
    starts: &'a [usize],
) -> impl Iterator<Item = &'a mut [W]> {
    let mut left = words;
    starts.windows(2).map(move |pair| take(&mut left, pair[1] - pair[0]))
}

/// A block to push.
pub(crate) struct EncodeBlock<'a, F: RowFormat, D = &'a Indexes<'a>> {
    /// The rows.
    pub(crate) rows: Rows<'a, F>,
    /// Their symbols, row after row.
    pub(crate) symbols: SymbolSlice<'a>,
    /// Symbols per row.
    pub(crate) columns: usize,
    /// What names the distributions of all rows' symbols: indexes of tables, or models.
    pub(crate) source: D,
}

/// A block to pop.
pub(crate) struct DecodeBlock<'a, F: RowFormat, D = &'a Indexes<'a>> {
    /// Number of the first row.
    pub(crate) first: usize,
    /// Fields of the block's rows: states, and what else stands before the words.
    pub(crate) states: &'a mut [F::Field],
    /// Words of *all* rows.
    pub(crate) words: &'a [F::Unit],
    /// Where the block's rows begin among them.
    pub(crate) starts: &'a [usize],
    /// Words in use, per row.
    pub(crate) lens: &'a mut [usize],
    /// Where the block's symbols go, row after row.
    pub(crate) symbols: SymbolSliceMut<'a>,
    /// Symbols per row.
    pub(crate) columns: usize,
    /// What names the distributions of all rows' symbols: indexes of tables, or models.
    pub(crate) source: D,
}

impl<'a, F: RowFormat, D: Copy> EncodeBlock<'a, F, D> {
    /// Codes rows in batches, of as many as `size` says of those that are left, until it says none.
    /// Gives back the first batch that `code` gave up, with states and lengths as they were.
    #[inline(always)]
    pub(crate) fn in_batches(
        &mut self,
        size: impl Fn(usize) -> Option<usize>,
        mut code: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<Self> {
        let mut snapshot = Snapshot::new();
        while let Some(count) = size(self.rows.len()) {
            let mut batch = self.take(count);
            snapshot.take(batch.rows.states, batch.rows.lens);
            if code(&mut batch).is_none() {
                snapshot.restore(batch.rows.states, batch.rows.lens);
                return Some(batch);
            }
        }
        None
    }

    /// Takes the first rows off.
    pub(crate) fn take(&mut self, count: usize) -> Self {
        let rows = &mut self.rows;
        let fields = rows.states.len() / rows.lens.len().max(1);
        let states = take(&mut rows.states, count * fields);
        let words = take(&mut rows.words, rows.starts[count] - rows.starts[0]);
        let lens = take(&mut rows.lens, count);
        let taken = Rows { first: rows.first, states, words, starts: &rows.starts[..=count], lens };
        rows.first += count;
        rows.starts = &rows.starts[count..];
        let symbols = self.symbols;
        self.symbols = symbols.from(count * self.columns);
        Self {
            rows: taken,
            symbols: symbols.range(0..count * self.columns),
            columns: self.columns,
            source: self.source,
        }
    }
}

impl<'a, F: RowFormat, D: Copy> DecodeBlock<'a, F, D> {
    /// Codes rows in batches, as [`EncodeBlock::in_batches`] does.
    #[inline(always)]
    pub(crate) fn in_batches(
        &mut self,
        size: impl Fn(usize) -> Option<usize>,
        mut code: impl FnMut(&mut Self) -> Option<()>,
    ) -> Option<Self> {
        let mut snapshot = Snapshot::new();
        while let Some(count) = size(self.lens.len()) {
            let mut batch = self.take(count);
            snapshot.take(batch.states, batch.lens);
            if code(&mut batch).is_none() {
                snapshot.restore(batch.states, batch.lens);
                return Some(batch);
            }
        }
        None
    }

    /// Takes the first rows off.
    pub(crate) fn take(&mut self, count: usize) -> Self {
        let fields = self.states.len() / self.lens.len().max(1);
        let states = take(&mut self.states, count * fields);
        let lens = take(&mut self.lens, count);
        let (first, starts) = (self.first, self.starts);
        self.first += count;
        self.starts = &starts[count..];
        Self {
            first,
            states,
            words: self.words,
            starts,
            lens,
            symbols: self.symbols.take(count * self.columns),
            columns: self.columns,
            source: self.source,
        }
    }
}

/// States and lengths of a block's rows, to which a path that gives up goes back.
struct Snapshot<S> {
    states: Vec<S>,
    lens: Vec<usize>,
}

impl<S: Copy> Snapshot<S> {
    /// Buffers of a snapshot; taking several in them allocates once.
    fn new() -> Self {
        Self { states: Vec::new(), lens: Vec::new() }
    }

    /// Takes a snapshot in place of the last one.
    fn take(&mut self, states: &[S], lens: &[usize]) {
        self.states.clear();
        self.states.extend_from_slice(states);
        self.lens.clear();
        self.lens.extend_from_slice(lens);
    }

    /// Goes back to it.
    fn restore(&self, states: &mut [S], lens: &mut [usize]) {
        states.copy_from_slice(&self.states);
        lens.copy_from_slice(&self.lens);
    }
}

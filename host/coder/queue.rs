//! Queues: streams are last in, first out, so what is to decode first must be pushed last.
//! torch_ans does this with `cache=True` and a flush.

use ndarray::Array2;

use super::Coder;
use crate::error::Result;
use crate::streams::Streams;
use crate::symbols::{Indexes, Symbol, Symbols};

/// Collects encodes; [`flush`](Self::flush) pushes them in reverse.
#[derive(Debug)]
pub struct Queue<'c, S: Symbol> {
    coder: &'c Coder,
    waiting: Vec<(Symbols<'c, S>, Indexes<'c>)>,
}

impl<'c, S: Symbol> Queue<'c, S> {
    pub(super) fn new(coder: &'c Coder) -> Self {
        Self { coder, waiting: Vec::new() }
    }

    /// Adds symbols of shape (rows, columns); all entries of a queue have the same rows.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) where shapes disagree.
    pub fn encode(
        &mut self,
        symbols: impl Into<Symbols<'c, S>>,
        indexes: impl Into<Indexes<'c>>,
    ) -> Result<&mut Self> {
        let (symbols, indexes) = (symbols.into(), indexes.into());
        let rows = self.waiting.first().map_or(symbols.rows(), |(first, _)| first.rows());
        let indexes = indexes.for_symbols(symbols.rows(), symbols.columns())?;
        let indexes = indexes.for_symbols(rows, symbols.columns())?;
        // What cannot be coded is an error now.
        symbols.coded()?;
        self.waiting.push((symbols, indexes));
        Ok(self)
    }

    /// Pushes all entries onto one batch of streams and gives its merged bytes. The queue is empty
    /// then.
    ///
    /// # Errors
    /// As [`Coder::push`]; the queue then keeps its entries.
    pub fn flush(&mut self) -> Result<Vec<u8>> {
        let rows = self.waiting.first().map_or(0, |(symbols, _)| symbols.rows());
        let mut streams = self.coder.streams(rows)?;
        for (symbols, indexes) in self.waiting.iter().rev() {
            self.coder.push_shaped(&mut streams, &symbols.coded()?, indexes)?;
        }
        let bytes = streams.to_merged(self.coder.merged(rows))?;
        self.waiting.clear();
        Ok(bytes)
    }
}

/// Decodes what a [`Queue`] flushed, in the order in which it was encoded.
#[derive(Debug)]
pub struct Dequeue<'c> {
    coder: &'c Coder,
    streams: Streams,
}

impl<'c> Dequeue<'c> {
    pub(super) fn new(coder: &'c Coder, streams: Streams) -> Self {
        Self { coder, streams }
    }

    /// The next entry, of the indexes' shape.
    ///
    /// # Errors
    /// As [`Coder::pop`].
    pub fn decode<'a, S: Symbol>(&mut self, indexes: impl Into<Indexes<'a>>) -> Result<Array2<S>> {
        self.coder.pop(&mut self.streams, indexes)
    }

    /// Checks that every entry was decoded and the streams came out intact.
    ///
    /// # Errors
    /// [`Error::Row`](crate::Error::Row) names the first row that did not.
    pub fn finish(self) -> Result<()> {
        self.streams.expect_initial()
    }
}

//! Pushing with checkpoints, and popping from them: the segments of a row, each a row in its own
//! right, decode on several threads and side by side in vectors, and a few columns without those
//! before them.

use std::ops::Range;

use ndarray::Array2;
use rayon::prelude::*;

use super::Coder;
use crate::error::{Error, Result};
use crate::memory;
use crate::streams::{Checkpoints, Streams};
use crate::symbols::{Indexes, NativeSymbol, Symbol, SymbolSliceMut, Symbols, pop_as};

impl Coder {
    /// [`push`](Self::push), noting where each row stands every `every` symbols. The streams come
    /// out the same.
    ///
    /// Fewer symbols between checkpoints make finer access and a larger table: one checkpoint takes
    /// 8 bytes and the row's states. 64 segments a thread and more keep vectors full. Steer clear
    /// of powers of two: symbols of segments side by side then fall into the same sets of a cache.
    ///
    /// # Errors
    /// As [`push`](Self::push); [`Error::InvalidArgument`] where `every` is no positive multiple of
    /// the lanes. The streams are then as they were.
    pub fn push_checkpointed<'a, S: Symbol>(
        &self,
        streams: &mut Streams,
        symbols: impl Into<Symbols<'a, S>>,
        indexes: impl Into<Indexes<'a>>,
        every: usize,
    ) -> Result<Checkpoints> {
        let (symbols, indexes) = (symbols.into(), indexes.into());
        if every == 0 || !every.is_multiple_of(self.plan.lanes) {
            return Err(Error::InvalidArgument(format!(
                "checkpoints every {every} symbols: a positive multiple of {} lanes is needed",
                self.plan.lanes
            )));
        }
        self.plan.expect_streams(streams, symbols.rows())?;
        let indexes = indexes.for_symbols(symbols.rows(), symbols.columns())?;
        let symbols = symbols.coded()?;
        let before = streams.mark();
        let pushed = self.push_segments(streams, &symbols, &indexes, every);
        if pushed.is_err() {
            streams.rewind(before);
        }
        pushed
    }

    fn push_segments<S: NativeSymbol>(
        &self,
        streams: &mut Streams,
        symbols: &Symbols<'_, S>,
        indexes: &Indexes<'_>,
        every: usize,
    ) -> Result<Checkpoints> {
        let columns = symbols.columns();
        streams.reserve_words(self.plan.words_expected(columns)?)?;
        let capacity = self.plan.words_at_most(every.min(columns))?;
        let mut checkpoints = Checkpoints::new(streams, columns, every)?;
        // What is popped first is pushed last.
        for segment in (0..checkpoints.segments_a_row()).rev() {
            let columns = checkpoints.columns_of(segment);
            streams.reserve_ahead(capacity)?;
            let (symbols, indexes) =
                (symbols.columns_in(columns.clone()), indexes.columns_in(columns.clone()));
            self.push_shaped(streams, &symbols, &indexes)
                .map_err(|error| moved(error, |row, position| (row, columns.start + position)))?;
            if let Some(number) = segment.checked_sub(1) {
                checkpoints.record(number, streams);
            }
        }
        Ok(checkpoints)
    }

    /// [`pop`](Self::pop) of what [`push_checkpointed`](Self::push_checkpointed) pushed last, of
    /// each row all segments at once.
    ///
    /// # Errors
    /// As [`pop`](Self::pop); [`Error::Row`] with
    /// [`RowCause::Checkpoint`](crate::RowCause::Checkpoint) where a row is not what its
    /// checkpoints say; [`Error::InvalidArgument`] for checkpoints of other streams. The streams
    /// are then as they were.
    pub fn pop_checkpointed<'a, S: Symbol>(
        &self,
        streams: &mut Streams,
        indexes: impl Into<Indexes<'a>>,
        checkpoints: &Checkpoints,
    ) -> Result<Array2<S>> {
        let indexes = indexes.into().with_own_shape()?;
        let shape = (indexes.rows(), indexes.columns());
        self.expect_checkpoints(streams, &indexes, checkpoints)?;
        let mut symbols = memory::zeros(memory::cells(shape.0, shape.1)?)?;
        self.pop_checkpointed_into(streams, indexes, checkpoints, &mut symbols)?;
        Array2::from_shape_vec(shape, symbols).map_err(|e| Error::InvalidArgument(e.to_string()))
    }

    /// [`pop_checkpointed`](Self::pop_checkpointed) into a caller's slice of rows one after
    /// another.
    ///
    /// # Errors
    /// As [`pop_checkpointed`](Self::pop_checkpointed); [`Error::Shape`] where the slice has
    /// another length than the indexes.
    pub fn pop_checkpointed_into<'a, S: Symbol>(
        &self,
        streams: &mut Streams,
        indexes: impl Into<Indexes<'a>>,
        checkpoints: &Checkpoints,
        symbols: &mut [S],
    ) -> Result<()> {
        let indexes = indexes.into().with_own_shape()?;
        Self::expect_length(&indexes, symbols)?;
        self.expect_checkpoints(streams, &indexes, checkpoints)?;
        let columns = indexes.columns();
        if columns == 0 {
            return Ok(());
        }
        let place = |at| (at / columns, at % columns);
        pop_as(streams, symbols, place, |streams, mut symbols| {
            let rows: Vec<_> = (0..indexes.rows()).map(|_| symbols.take(columns)).collect();
            let ends: Vec<Result<Streams>> = rows
                .into_par_iter()
                .enumerate()
                .map(|(row, symbols)| {
                    self.pop_segments(streams, &indexes, checkpoints, row, 0, symbols)
                })
                .collect();
            let ends = ends.into_iter().collect::<Result<Vec<_>>>()?;
            for (row, end) in ends.iter().enumerate() {
                streams.set_row_from(row, end, end.rows() - 1);
            }
            Ok(())
        })
    }

    /// The symbols of some columns of one row, which stays as it is: decodes from the last
    /// checkpoint before them. `indexes` are those of the whole push, as for
    /// [`pop_checkpointed`](Self::pop_checkpointed).
    ///
    /// # Errors
    /// As [`pop_checkpointed`](Self::pop_checkpointed); [`Error::InvalidArgument`] for a row or
    /// columns that are not there.
    pub fn peek_columns<'a, S: Symbol>(
        &self,
        streams: &Streams,
        indexes: impl Into<Indexes<'a>>,
        checkpoints: &Checkpoints,
        row: usize,
        columns: Range<usize>,
    ) -> Result<Vec<S>> {
        let indexes = indexes.into().with_own_shape()?;
        self.expect_checkpoints(streams, &indexes, checkpoints)?;
        if row >= indexes.rows() || columns.start > columns.end || columns.end > indexes.columns() {
            return Err(Error::InvalidArgument(format!(
                "columns {columns:?} of row {row}, of {} rows of {} symbols",
                indexes.rows(),
                indexes.columns()
            )));
        }
        if columns.is_empty() {
            return Ok(Vec::new());
        }
        let first = columns.start / checkpoints.every();
        let begin = first * checkpoints.every();
        // A group's bypass digits come after the symbols of all its lanes.
        let end = columns.end.checked_next_multiple_of(self.plan.lanes);
        let end = end.map_or(indexes.columns(), |end| end.min(indexes.columns()));
        let mut symbols: Vec<S> = memory::zeros(end - begin)?;
        // The streams stay as they are.
        let place = |at| (row, begin + at);
        pop_as(&mut (), &mut symbols, place, |(), symbols| {
            self.pop_segments(streams, &indexes, checkpoints, row, first, symbols).map(drop)
        })?;
        symbols.truncate(columns.end - begin);
        symbols.drain(..columns.start - begin);
        Ok(symbols)
    }

    /// Pops the symbols of a row from the beginning of a segment on, and returns the last segment's
    /// stream, last among others.
    fn pop_segments(
        &self,
        streams: &Streams,
        indexes: &Indexes<'_>,
        checkpoints: &Checkpoints,
        row: usize,
        first: usize,
        mut symbols: SymbolSliceMut<'_>,
    ) -> Result<Streams> {
        let every = checkpoints.every();
        let pop =
            |segments: Range<usize>, symbols: SymbolSliceMut<'_>| -> Result<Option<Streams>> {
                if segments.is_empty() {
                    return Ok(None);
                }
                let mut cut = checkpoints.cut(streams, row, segments.clone())?;
                let columns = symbols.len() / segments.len();
                let begin = segments.start * every;
                let indexes = indexes.cut(row, begin, segments.len(), columns);
                self.pop_erased(&mut cut, symbols, &indexes).map_err(|error| {
                    moved(error, |segment, position| (row, begin + segment * every + position))
                })?;
                if columns == every {
                    checkpoints.expect_ends(&cut, 0, row, segments)?;
                }
                Ok(Some(cut))
            };
        // Whole segments side by side, and one that ends earlier beside them.
        let whole = symbols.len() / every;
        let together = symbols.take(whole * every);
        let (last, rest) = (first + whole, symbols);
        let after = last..last + usize::from(rest.len() > 0);
        let (together, rest) = rayon::join(|| pop(first..last, together), || pop(after, rest));
        let (together, rest) = (together?, rest?);
        Ok(rest.or(together).expect("there are symbols to pop"))
    }

    fn expect_checkpoints(
        &self,
        streams: &Streams,
        indexes: &Indexes<'_>,
        checkpoints: &Checkpoints,
    ) -> Result<()> {
        self.plan.expect_streams(streams, indexes.rows())?;
        checkpoints.expect_streams(streams)?;
        indexes.clone().for_symbols(checkpoints.rows(), checkpoints.columns()).map(drop)
    }
}

/// A row error at another place.
fn moved(error: Error, to: impl Fn(usize, usize) -> (usize, usize)) -> Error {
    match error {
        Error::Row { row, position, cause } => {
            let (row, position) = to(row, position);
            Error::Row { row, position, cause }
        }
        other => other,
    }
}

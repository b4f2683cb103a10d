//! Checkpoints: a side table of where rows stood every so many symbols, so that the parts of a row
//! decode apart from each other.
//!
//! A row is popped from its end, one symbol after another, because each symbol's state and words
//! follow from those before. A checkpoint keeps what the row was (its states and how many words
//! were in use) when the symbols from its own position on had been pushed and no others; from there
//! they pop as from the whole row. Between two checkpoints lies a *segment*, a row in its own
//! right: its states are the first one's, its words those that the second has not, and when it is
//! popped it must stand exactly where the second says. That costs nothing and finds every table
//! that is not the row's. The idea is that of Recoil (Lin et al., ICPP 2023, arXiv:2306.12141):
//! metadata beside a stream that stays as it is. The row's bytes do not change with it.

use std::ops::Range;

use super::{Streams, plan_starts};
use crate::error::{Error, Result, RowCause};
use crate::family::Family;
use crate::memory;

/// Where rows stood every so many symbols of one push;
/// [`Coder::push_checkpointed`](crate::Coder::push_checkpointed) makes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoints {
    family: Family,
    lanes: usize,
    rows: usize,
    columns: usize,
    every: usize,
    /// Words in use, row after row, by position.
    cursors: Vec<u64>,
    /// Header fields of each checkpoint, in the same order.
    fields: Vec<u64>,
}

impl Checkpoints {
    /// A table of zeros for a push of `columns` symbols onto each row of `streams`.
    ///
    /// # Errors
    /// `InvalidArgument` where there is no memory for it.
    pub(crate) fn new(streams: &Streams, columns: usize, every: usize) -> Result<Self> {
        let count = memory::cells(streams.rows, checkpoints_a_row(columns, every))?;
        let fields = memory::cells(count, streams.family.header_fields(streams.lanes))?;
        Ok(Self {
            family: streams.family,
            lanes: streams.lanes,
            rows: streams.rows,
            columns,
            every,
            cursors: memory::zeros(count)?,
            fields: memory::zeros(fields)?,
        })
    }

    /// A table of given entries, as many as its shape asks for.
    pub(crate) fn from_parts(
        (family, lanes): (Family, usize),
        (rows, columns, every): (usize, usize, usize),
        cursors: Vec<u64>,
        fields: Vec<u64>,
    ) -> Self {
        debug_assert_eq!(cursors.len(), rows * checkpoints_a_row(columns, every));
        debug_assert_eq!(fields.len(), cursors.len() * family.header_fields(lanes));
        Self { family, lanes, rows, columns, every, cursors, fields }
    }

    /// The rows' family.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The rows' lanes.
    pub fn lanes(&self) -> usize {
        self.lanes
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Symbols that the push had for each row. In a table that was read this is what its writer
    /// says: a bound is the caller's to set before memory is set aside for so many.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Symbols from one checkpoint to the next.
    pub fn every(&self) -> usize {
        self.every
    }

    /// Checkpoints a row: one less than its segments.
    pub fn checkpoints_a_row(&self) -> usize {
        checkpoints_a_row(self.columns, self.every)
    }

    /// Segments a row; the last may be shorter than the others.
    pub(crate) fn segments_a_row(&self) -> usize {
        self.columns.div_ceil(self.every)
    }

    /// The columns of a segment.
    pub(crate) fn columns_of(&self, segment: usize) -> Range<usize> {
        let begin = segment * self.every;
        begin..self.columns.min(begin.saturating_add(self.every))
    }

    /// The words in use and the header fields of each checkpoint, row after row, by position.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u64, &[u64])> {
        let fields = self.family.header_fields(self.lanes);
        self.cursors.iter().copied().zip(self.fields.chunks_exact(fields))
    }

    /// Notes where all rows of `streams` stand, `number` checkpoints after the first.
    pub(crate) fn record(&mut self, number: usize, streams: &Streams) {
        let (count, width) = (self.checkpoints_a_row(), self.family.header_fields(self.lanes));
        for row in 0..self.rows {
            let at = row * count + number;
            self.cursors[at] = streams.lens[row] as u64;
            let fields = &mut self.fields[at * width..(at + 1) * width];
            fields.iter_mut().zip(streams.fields(row)).for_each(|(into, field)| *into = field);
        }
    }

    /// What a checkpoint of a row says.
    fn entry(&self, row: usize, number: usize) -> (u64, &[u64]) {
        let at = row * self.checkpoints_a_row() + number;
        let width = self.family.header_fields(self.lanes);
        (self.cursors[at], &self.fields[at * width..(at + 1) * width])
    }

    /// Whether the table is of such streams.
    ///
    /// # Errors
    /// `InvalidArgument` where family, lanes or rows are others.
    pub(crate) fn expect_streams(&self, streams: &Streams) -> Result<()> {
        let own = (self.family, self.lanes, self.rows);
        if own != (streams.family, streams.lanes, streams.rows) {
            return Err(Error::InvalidArgument(format!(
                "checkpoints of {} rows of {} x{} with {} rows of {} x{}",
                self.rows, self.family, self.lanes, streams.rows, streams.family, streams.lanes
            )));
        }
        Ok(())
    }

    /// The error of a row that is not where the table says, by the position of the checkpoint.
    fn mismatch(&self, row: usize, number: usize) -> Error {
        Error::Row { row, position: (number + 1) * self.every, cause: RowCause::Checkpoint }
    }

    /// Some segments of a row of `streams`, as rows of their own. The table must be of such
    /// streams.
    ///
    /// # Errors
    /// [`RowCause::Checkpoint`] where a checkpoint has more words than the one before it.
    pub(crate) fn cut(
        &self,
        streams: &Streams,
        row: usize,
        segments: Range<usize>,
    ) -> Result<Streams> {
        let mut cut = Streams::new(self.family, segments.len(), self.lanes)?;
        let whole: Vec<u64> = streams.fields(row).collect();
        // From the row's end, where popping begins, down to where each segment ends.
        let start = |segment: usize| match segment.checked_sub(1) {
            None => (streams.lens[row] as u64, &whole[..]),
            Some(number) => self.entry(row, number),
        };
        let mut words = Vec::with_capacity(segments.len());
        for (at, segment) in segments.enumerate() {
            let (top, fields) = start(segment);
            let bottom = if segment < self.checkpoints_a_row() { start(segment + 1).0 } else { 0 };
            if bottom > top || top > streams.lens[row] as u64 {
                return Err(self.mismatch(row, if bottom > top { segment } else { segment - 1 }));
            }
            cut.set_fields(at, fields);
            // Both lie within the row's length.
            words.push(bottom as usize..top as usize);
        }
        let lens: Vec<usize> = words.iter().map(Range::len).collect();
        let size = self.family.word_bytes();
        let Some(starts) = plan_starts(&lens, size) else {
            return Err(Error::InvalidArgument("the segments exceed the address space".into()));
        };
        cut.relocate(starts)?;
        let from = &streams.words.bytes()[streams.starts[row] * size..];
        for (at, words) in words.into_iter().enumerate() {
            let start = cut.starts[at] * size;
            cut.words.bytes_mut()[start..start + words.len() * size]
                .copy_from_slice(&from[words.start * size..words.end * size]);
        }
        cut.lens = lens;
        Ok(cut)
    }

    /// Whether segments that were popped to their ends, the rows of `cut` from `first` on, stand
    /// where the next checkpoints say.
    ///
    /// # Errors
    /// [`RowCause::Checkpoint`] for the first that does not.
    pub(crate) fn expect_ends(
        &self,
        cut: &Streams,
        first: usize,
        row: usize,
        segments: Range<usize>,
    ) -> Result<()> {
        // A tANS state of 0 is the first one.
        let initial =
            |field: u64| if self.family.is_tans() && field == 0 { None } else { Some(field) };
        for (at, segment) in (first..).zip(segments) {
            if segment == self.checkpoints_a_row() {
                break;
            }
            let (_, fields) = self.entry(row, segment);
            let meets = cut.fields(at).map(initial).eq(fields.iter().copied().map(initial));
            if cut.lens[at] != 0 || !meets {
                return Err(self.mismatch(row, segment));
            }
        }
        Ok(())
    }
}

fn checkpoints_a_row(columns: usize, every: usize) -> usize {
    columns.div_ceil(every).saturating_sub(1)
}

impl Streams {
    /// A row's header fields.
    pub(crate) fn fields(&self, row: usize) -> impl Iterator<Item = u64> {
        let count = self.family.header_fields(self.lanes);
        let at = row * count..(row + 1) * count;
        let (wide, narrow) = if self.family.state_bytes() == 8 {
            (&self.states.typed::<u64>()[at], &[][..])
        } else {
            (&[][..], &self.states.typed::<u32>()[at])
        };
        wide.iter().copied().chain(narrow.iter().map(|&field| u64::from(field)))
    }

    fn set_fields(&mut self, row: usize, fields: &[u64]) {
        let count = self.family.header_fields(self.lanes);
        let at = row * count..(row + 1) * count;
        if self.family.state_bytes() == 8 {
            self.states.typed_mut::<u64>()[at].copy_from_slice(fields);
        } else {
            let into = &mut self.states.typed_mut::<u32>()[at];
            // Fields of such a family come from 32 bits.
            into.iter_mut().zip(fields).for_each(|(into, &field)| *into = field as u32);
        }
    }

    /// Gives a row the state and length of another's, whose words are the row's own from its
    /// start.
    pub(crate) fn set_row_from(&mut self, row: usize, of: &Streams, other: usize) {
        let fields: Vec<u64> = of.fields(other).collect();
        self.set_fields(row, &fields);
        self.lens[row] = of.lens[other];
    }
}

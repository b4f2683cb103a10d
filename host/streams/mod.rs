//! Streams: many independent rows of coded words, and their byte forms.
//!
//! torch_ans keeps a batch as an int32 tensor whose rows mix a length, the states and the words.
//! Here the three are apart, so that a failed push or pop leaves them as they were: words are only
//! written past a row's length, and states and lengths change once every row has succeeded.

mod buffer;
mod bytes;
mod checkpoints;
mod tensor;

use std::fmt;

use crate::error::{Error, Result};
use crate::family::{Family, RowFormat};
use crate::memory;
use buffer::Buffer;

pub use bytes::{LengthBytes, Merged};
pub use checkpoints::Checkpoints;

/// A batch of rows, each a stream of one family and lane count. An initial row holds nothing;
/// pushes add to its end and pops take from it, last in first out.
#[derive(Clone)]
pub struct Streams {
    family: Family,
    lanes: usize,
    rows: usize,
    /// `rows * header` fields: lane 0 first.
    states: Buffer,
    /// The words of row r lie at `starts[r]`, with capacity up to `starts[r + 1]`.
    words: Buffer,
    /// `rows + 1` positions in words, each a multiple of eight bytes. Not one stride for all: one
    /// long row among a million short ones (which damaged or hostile bytes may announce) would
    /// multiply the memory.
    starts: Vec<usize>,
    /// Words in use, a row.
    lens: Vec<usize>,
}

/// States and lengths that streams had.
pub(crate) struct Mark {
    states: Buffer,
    lens: Vec<usize>,
}

/// The parts of streams as a back end sees them, in the family's own types.
pub(crate) struct PartsMut<'a, F: RowFormat> {
    /// `rows * header` fields, as before the push: a back end writes new ones elsewhere.
    pub(crate) states: &'a [F::Field],
    /// The words of row r lie at `starts[r]..starts[r + 1]`, `lens[r]` of them in use.
    pub(crate) words: &'a mut [F::Unit],
    /// Where rows begin, in words; `rows + 1` of them.
    pub(crate) starts: &'a [usize],
    /// Words in use, a row.
    pub(crate) lens: &'a [usize],
}

/// The parts of streams for reading.
pub(crate) struct Parts<'a, F: RowFormat> {
    pub(crate) states: &'a [F::Field],
    pub(crate) words: &'a [F::Unit],
    pub(crate) starts: &'a [usize],
    pub(crate) lens: &'a [usize],
}

impl Streams {
    /// Initial rows.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a lane count other than 1, 2, 4, 8 and 32;
    /// [`Error::InvalidArgument`] for more rows than there is memory for.
    pub fn new(family: Family, rows: usize, lanes: usize) -> Result<Self> {
        check_lanes(lanes)?;
        let header = family.header_fields(lanes) * family.state_bytes();
        let mut streams = Self {
            family,
            lanes,
            rows,
            states: Buffer::zeroed(memory::cells(rows, header)?)?,
            words: Buffer::zeroed(0)?,
            // The states' bytes are many more than the rows.
            starts: memory::zeros(rows + 1)?,
            lens: memory::zeros(rows)?,
        };
        let initial = family.initial_field();
        if family.state_bytes() == 8 {
            streams.states.typed_mut::<u64>().fill(initial);
        } else {
            streams.states.typed_mut::<u32>().fill(initial as u32);
        }
        Ok(streams)
    }

    /// The family.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Interleaved states per row.
    pub fn lanes(&self) -> usize {
        self.lanes
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of a row's byte string: states and words.
    ///
    /// # Panics
    /// Where there is no such row.
    pub fn byte_len(&self, row: usize) -> usize {
        self.header_bytes() + self.lens[row] * self.family.word_bytes()
    }

    /// Bytes of all rows' byte strings.
    pub fn total_bytes(&self) -> usize {
        (0..self.rows).map(|row| self.byte_len(row)).sum()
    }

    /// Bytes of words that a row has capacity for, in use or not.
    ///
    /// # Panics
    /// Where there is no such row.
    pub fn capacity_bytes(&self, row: usize) -> usize {
        (self.starts[row + 1] - self.starts[row]) * self.family.word_bytes()
    }

    /// Whether a row holds nothing: no words, and every state an initial one. After the last pop
    /// this distinguishes an intact row from a damaged one.
    ///
    /// # Panics
    /// Where there is no such row.
    pub fn is_initial(&self, row: usize) -> bool {
        let fields = self.family.header_fields(self.lanes);
        let initial = self.family.initial_field();
        let at = row * fields..(row + 1) * fields;
        if self.family.is_tans() {
            let (states, buffer) = self.states.typed::<u32>()[at].split_at(self.lanes);
            // Untouched, or all back at the first state, 2^precision.
            return self.lens[row] == 0
                && buffer.iter().all(|&field| field == 0)
                && states.iter().all(|&x| x == states[0])
                && (states[0] == 0 || states[0].is_power_of_two());
        }
        self.lens[row] == 0
            && if self.family.state_bytes() == 8 {
                self.states.typed::<u64>()[at].iter().all(|&x| x == initial)
            } else {
                self.states.typed::<u32>()[at].iter().all(|&x| u64::from(x) == initial)
            }
    }

    /// Checks that every row [is initial](Self::is_initial).
    ///
    /// # Errors
    /// [`Error::Row`] names the first that is not.
    pub fn expect_initial(&self) -> Result<()> {
        match (0..self.rows).find(|&row| !self.is_initial(row)) {
            None => Ok(()),
            Some(row) => Err(Error::Row { row, position: 0, cause: crate::RowCause::FinalState }),
        }
    }

    /// Gives every row capacity for `bytes` more bytes of words.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] where the capacity exceeds the memory there is. The streams are
    /// then as they were.
    pub fn reserve(&mut self, bytes: usize) -> Result<()> {
        self.reserve_words(bytes.div_ceil(self.family.word_bytes()))
    }

    /// Gives every row capacity for `more` more words.
    pub(crate) fn reserve_words(&mut self, more: usize) -> Result<()> {
        let spare = |row: usize| self.starts[row + 1] - self.starts[row] - self.lens[row];
        if (0..self.rows).all(|row| spare(row) >= more) {
            return Ok(());
        }
        let wanted: Option<Vec<usize>> =
            self.lens.iter().map(|len| len.checked_add(more)).collect();
        let planned = wanted.and_then(|wanted| plan_starts(&wanted, self.family.word_bytes()));
        let Some(starts) = planned else {
            return Err(Error::InvalidArgument(format!(
                "room for {more} more words in each of {} rows exceeds the address space",
                self.rows
            )));
        };
        self.relocate(starts)
    }

    /// [`reserve_words`](Self::reserve_words) for one of many pushes: rows that must move get
    /// capacity for half as much again.
    pub(crate) fn reserve_ahead(&mut self, more: usize) -> Result<()> {
        let spare = |row: usize| self.starts[row + 1] - self.starts[row] - self.lens[row];
        if (0..self.rows).all(|row| spare(row) >= more) {
            return Ok(());
        }
        let longest = self.lens.iter().max().copied().unwrap_or(0);
        self.reserve_words(more.max(longest / 2))
    }

    /// What it takes to be as now after any pushes: words are only written past a row's length.
    pub(crate) fn mark(&self) -> Mark {
        Mark { states: self.states.clone(), lens: self.lens.clone() }
    }

    /// Takes back every push since the mark.
    pub(crate) fn rewind(&mut self, mark: Mark) {
        (self.states, self.lens) = (mark.states, mark.lens);
    }

    /// Moves every row's words to new starts, with capacity for at least what is in use.
    fn relocate(&mut self, starts: Vec<usize>) -> Result<()> {
        let word = self.family.word_bytes();
        // Zeroed by the system on first touch, not by a fill.
        let mut words = Buffer::zeroed(starts.last().copied().unwrap_or(0) * word)?;
        let (from, to) = (self.words.bytes(), words.bytes_mut());
        for (row, &len) in self.lens.iter().enumerate() {
            let (old, new) = (self.starts[row] * word, starts[row] * word);
            to[new..new + len * word].copy_from_slice(&from[old..old + len * word]);
        }
        self.words = words;
        self.starts = starts;
        Ok(())
    }

    fn header_bytes(&self) -> usize {
        self.family.header_fields(self.lanes) * self.family.state_bytes()
    }

    /// The parts for a push in the types of family `F`, which must be the streams' own.
    pub(crate) fn parts_mut<F: RowFormat>(&mut self) -> PartsMut<'_, F> {
        debug_assert_eq!(F::FAMILY, self.family);
        PartsMut {
            states: self.states.typed(),
            words: self.words.typed_mut(),
            starts: &self.starts,
            lens: &self.lens,
        }
    }

    /// The parts for a pop.
    pub(crate) fn parts<F: RowFormat>(&self) -> Parts<'_, F> {
        debug_assert_eq!(F::FAMILY, self.family);
        Parts {
            states: self.states.typed(),
            words: self.words.typed(),
            starts: &self.starts,
            lens: &self.lens,
        }
    }

    /// Streams of given states and lengths (in words); `fill` writes each row's words.
    pub(crate) fn from_rows<F: RowFormat>(
        lanes: usize,
        states: &[F::Field],
        lens: Vec<usize>,
        mut fill: impl FnMut(usize, &mut [F::Unit]) -> Result<()>,
    ) -> Result<Self> {
        let mut streams = Self::new(F::FAMILY, lens.len(), lanes)?;
        let Some(starts) = plan_starts(&lens, F::FAMILY.word_bytes()) else {
            return Err(Error::InvalidArgument("the rows exceed the address space".into()));
        };
        streams.relocate(starts)?;
        let parts = streams.parts_mut::<F>();
        for (row, &len) in lens.iter().enumerate() {
            fill(row, &mut parts.words[parts.starts[row]..][..len])?;
        }
        streams.commit::<F>(states, lens);
        Ok(streams)
    }

    /// Replaces states and lengths once every row has succeeded.
    pub(crate) fn commit<F: RowFormat>(&mut self, states: &[F::Field], lens: Vec<usize>) {
        self.states.typed_mut::<F::Field>().copy_from_slice(states);
        self.lens = lens;
    }
}

/// Where rows of these capacities (in words) begin, each on an eight-byte boundary; `None` past the
/// address space.
fn plan_starts(capacities: &[usize], word_bytes: usize) -> Option<Vec<usize>> {
    let unit = 8 / word_bytes;
    let mut starts = memory::with_capacity(capacities.len() + 1).ok()?;
    let mut at = 0usize;
    starts.push(at);
    for &capacity in capacities {
        at = at.checked_add(capacity.checked_next_multiple_of(unit)?)?;
        starts.push(at);
    }
    at.checked_mul(word_bytes).filter(|&bytes| isize::try_from(bytes).is_ok())?;
    Some(starts)
}

/// The lane counts there are.
pub(crate) fn check_lanes(lanes: usize) -> Result<()> {
    if Family::LANES.contains(&lanes) {
        Ok(())
    } else {
        Err(Error::Unsupported(format!("{lanes} lanes; there are 1, 2, 4, 8 and 32")))
    }
}

/// Streams are equal where their byte strings are: capacity that is not in use does not count.
impl PartialEq for Streams {
    fn eq(&self, other: &Self) -> bool {
        self.family == other.family
            && self.lanes == other.lanes
            && self.rows == other.rows
            && (0..self.rows).all(|row| {
                self.lens[row] == other.lens[row]
                    && self.to_byte_string(row) == other.to_byte_string(row)
            })
    }
}

impl Eq for Streams {}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams")
            .field("family", &self.family)
            .field("lanes", &self.lanes)
            .field("rows", &self.rows)
            .field("total_bytes", &self.total_bytes())
            .finish()
    }
}

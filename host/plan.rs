//! What a coder asks of a back end: the choices of [`CoderBuilder`](crate::CoderBuilder), checked.

use parans_kernels::codec;

use crate::error::{Error, Result, RowCause};
use crate::family::Family;
use crate::streams::{Merged, Streams};
use crate::tables::{Precision, Tables};

/// How pop finds the symbol at a slot. The stream depends only on whether it is
/// [`Alias`](Self::Alias).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lookup {
    /// Search or inverse CDF, by alphabet, precision and table count. Never alias, which changes
    /// the stream.
    #[default]
    Auto,
    /// Binary search in the CDF: no further tables.
    Search,
    /// Inverse CDF: whole while it stays small, else sparse.
    InverseCdf,
    /// Alias tables, for push and pop: alphabets of a power of two only.
    Alias,
}

impl Lookup {
    /// The name that the program uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Search => "search",
            Self::InverseCdf => "invcdf",
            Self::Alias => "alias",
        }
    }
}

impl std::str::FromStr for Lookup {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        [Self::Auto, Self::Search, Self::InverseCdf, Self::Alias]
            .into_iter()
            .find(|lookup| lookup.name() == name)
            .ok_or_else(|| {
                Error::Unsupported(format!(
                    "lookup {name:?}; known are auto, search, invcdf, alias"
                ))
            })
    }
}

/// What every coder says of the rows that it codes, checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowPlan {
    pub(crate) family: Family,
    pub(crate) lanes: usize,
    pub(crate) precision: Precision,
    pub(crate) bypass: Option<codec::BypassCode>,
}

/// Everything a back end reads of a coder with tables, checked.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Its precision is that of the tables.
    pub(crate) rows: RowPlan,
    /// Never `Auto`.
    pub(crate) lookup: Lookup,
    pub(crate) skip_past_end: bool,
    pub(crate) tables: Tables,
}

impl std::ops::Deref for Plan {
    type Target = RowPlan;

    fn deref(&self) -> &RowPlan {
        &self.rows
    }
}

impl RowPlan {
    /// Words that a row of `columns` symbols needs at most, whatever the symbols.
    ///
    /// A push multiplies a state by at most `2^(p+1) / f` (the state is at least f when it is
    /// divided, so rounding loses less than a factor of two), and a row emits a word for every W
    /// bits so gained, but for one word per lane.
    ///
    /// # Errors
    /// `InvalidArgument` for rows longer than the address space.
    pub(crate) fn words_at_most(&self, columns: usize) -> Result<usize> {
        let bypass = self.bypass.map_or(0, |bypass| bypass.max_bits() + bypass.max_digits_pushed());
        self.words_for(columns, bypass)
    }

    /// The same where bypass digits are rare.
    pub(crate) fn words_expected(&self, columns: usize) -> Result<usize> {
        self.words_for(columns, 0)
    }

    fn words_for(&self, columns: usize, digit_bits: u32) -> Result<usize> {
        let bits = (self.precision.bits() + 1 + digit_bits) as usize;
        let word_bits = 8 * self.family.word_bytes();
        columns
            .checked_mul(bits)
            .and_then(|bits| bits.div_ceil(word_bits).checked_add(self.lanes))
            .ok_or_else(|| {
                Error::InvalidArgument(format!(
                    "rows of {columns} symbols exceed the address space"
                ))
            })
    }

    /// Initial streams.
    pub(crate) fn streams(&self, rows: usize) -> Result<Streams> {
        Streams::new(self.family, rows, self.lanes)
    }

    /// The streams of merged bytes.
    pub(crate) fn streams_from(&self, bytes: &[u8], merged: Merged) -> Result<Streams> {
        Streams::from_merged(self.family, self.lanes, bytes, merged)
    }

    /// An error unless the streams are `rows` streams of this family and lane count.
    pub(crate) fn expect_streams(&self, streams: &Streams, rows: usize) -> Result<()> {
        self.expect_family(streams.family(), streams.lanes())?;
        if streams.rows() != rows {
            return Err(Error::Shape {
                what: "symbols and streams",
                expected: format!("{} rows as the streams", streams.rows()),
                got: format!("{rows} rows"),
            });
        }
        Ok(())
    }

    /// An error unless streams of this family and lane count are the coder's.
    pub(crate) fn expect_family(&self, family: Family, lanes: usize) -> Result<()> {
        if (family, lanes) == (self.family, self.lanes) {
            return Ok(());
        }
        Err(Error::InvalidArgument(format!(
            "streams of {family} with {lanes} lanes; the coder is {} with {}",
            self.family, self.lanes
        )))
    }

    /// Pushes rows of `columns` symbols: first with the capacity that rows need where bypass digits
    /// are rare, and again with all that they can need if that was too little.
    ///
    /// # Errors
    /// Those of `push`, which leaves the streams as they were.
    pub(crate) fn push(
        &self,
        streams: &mut Streams,
        columns: usize,
        mut push: impl FnMut(&mut Streams) -> Result<()>,
    ) -> Result<()> {
        streams.reserve_words(self.words_expected(columns)?)?;
        match push(streams) {
            Err(Error::Row { cause: RowCause::CapacityExceeded, .. }) => {
                streams.reserve_words(self.words_at_most(columns)?)?;
                push(streams)
            }
            result => result,
        }
    }
}

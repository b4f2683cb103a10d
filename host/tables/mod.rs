//! Tables: quantised distributions, validated once, prepared for encoder and decoder on first use.
//!
//! A table that could not code is an error here, never later. Everything after quantisation is
//! integers, so tables made from the same CDF rows are the same on every machine.

mod alias;
mod alias_quads;
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "so far only x86-64 has vectors for rows")
)]
mod buckets;
mod builder;
mod exact;
mod lookups;
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "vectors for rows read more of it than other paths do")
)]
mod packed;
mod prepared;
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "so far only x86-64 has vectors for rows")
)]
mod quads;
pub(crate) mod quantise;
mod slots;
mod tans;
mod tensor;
pub(crate) use tans::{TansRowsForm, TansWideForm};

use std::fmt;
use std::sync::Arc;

use ndarray::ArrayView2;
use parans_kernels::codec::{Interval, TableDescriptor};

use crate::error::{Error, Result};

pub(crate) use alias_quads::AliasQuads;
pub(crate) use buckets::{PackedForm, RUN, RUN_BEFORE, TwoSymbolBuckets};
pub use builder::TablesBuilder;
pub(crate) use builder::check_cdf;
pub(crate) use exact::ExactEntry;
pub(crate) use lookups::{OneSymbolLookup, TwoSymbolLookup};
pub(crate) use packed::Packed;
pub(crate) use prepared::Prepared;
pub(crate) use quantise::check_alphabet;
pub use quantise::{Count, Probability};
pub(crate) use slots::{SLOT_FREQ, SLOT_SYMBOL, SLOTS};

/// Bits of a quantised distribution: frequencies sum to `2^precision`. 1 to 31; each family has its
/// own upper limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Precision(u32);

impl Precision {
    /// The largest precision of any family.
    pub const MAX: u32 = 31;

    /// A precision of `bits` bits.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] outside 1..=31.
    pub fn new(bits: u32) -> Result<Self> {
        bits.try_into()
    }

    /// The precision in bits.
    pub const fn bits(self) -> u32 {
        self.0
    }
}

macro_rules! precision_from {
    ($($type:ty),*) => {$(
        impl TryFrom<$type> for Precision {
            type Error = Error;

            /// # Errors
            /// As [`Precision::new`].
            fn try_from(bits: $type) -> Result<Self> {
                let within = u32::try_from(bits).ok().filter(|bits| (1..=Self::MAX).contains(bits));
                within.map(Self).ok_or_else(|| {
                    Error::InvalidArgument(format!("precision {bits}; it lies in 1..={}", Self::MAX))
                })
            }
        }
    )*};
}
precision_from!(u8, u32, i32, usize);

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// K quantised distributions with their offsets. Cloning shares them.
#[derive(Clone)]
pub struct Tables {
    inner: Arc<Prepared>,
    /// Whether no symbol of theirs is a bypass sentinel, as far as is known.
    lacks_sentinel: bool,
}

impl Tables {
    /// Quantises probabilities of shape (tables, alphabet), an array or a view of one, to
    /// `precision` bits, 1 to 31. See [`TablesBuilder::pmf`].
    ///
    /// ```
    /// use ndarray::array;
    /// use parans::Tables;
    ///
    /// let pmf = array![[0.1f32, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]];
    /// let tables = Tables::from_pmf(&pmf, 16)?;
    /// assert_eq!((tables.len(), tables.alphabet(0)), (2, 4));
    /// assert!(Tables::from_pmf(&pmf, 32).is_err());
    /// # Ok::<(), parans::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidTable`] names the row and the value; [`Error::InvalidArgument`] for a
    /// precision outside 1..=31.
    pub fn from_pmf<'a, T: Probability>(
        pmf: impl Into<ArrayView2<'a, T>>,
        precision: impl TryInto<Precision, Error: Into<Error>>,
    ) -> Result<Self> {
        Self::builder(precision).pmf(pmf)
    }

    /// Quantises integer counts of shape (tables, alphabet). See [`TablesBuilder::counts`].
    ///
    /// # Errors
    /// As [`from_pmf`](Self::from_pmf).
    pub fn from_counts<'a, T: Count>(
        counts: impl Into<ArrayView2<'a, T>>,
        precision: impl TryInto<Precision, Error: Into<Error>>,
    ) -> Result<Self> {
        Self::builder(precision).counts(counts)
    }

    /// Takes CDF rows of shape (tables, alphabet + 1) as they are. See [`TablesBuilder::cdf`].
    ///
    /// # Errors
    /// As [`from_pmf`](Self::from_pmf).
    pub fn from_cdf<'a>(
        cdf: impl Into<ArrayView2<'a, i32>>,
        precision: impl TryInto<Precision, Error: Into<Error>>,
    ) -> Result<Self> {
        Self::builder(precision).cdf(cdf)
    }

    /// Ragged alphabets, offsets, a bypass sentinel: all ways to build tables. A precision outside
    /// 1..=31 bits is an error of what builds them.
    pub fn builder<'a>(
        precision: impl TryInto<Precision, Error: Into<Error>>,
    ) -> TablesBuilder<'a> {
        TablesBuilder::new(precision.try_into().map_err(Into::into))
    }

    /// Tables from validated frequencies, one slice a table.
    pub(crate) fn from_frequencies(
        rows: &[Vec<u32>],
        offsets: Option<&[i32]>,
        precision: Precision,
    ) -> Result<Self> {
        if rows.is_empty() {
            return Err(Error::InvalidArgument("no tables: there must be at least one row".into()));
        }
        if let Some(offsets) = offsets
            && offsets.len() != rows.len()
        {
            return Err(Error::Shape {
                what: "offsets",
                expected: format!("one per table, {}", rows.len()),
                got: offsets.len().to_string(),
            });
        }
        let total: usize = rows.iter().map(Vec::len).sum();
        if u32::try_from(total).is_err() {
            return Err(Error::InvalidArgument(format!(
                "{total} symbols in all tables together; the limit is 2^32"
            )));
        }
        let mut tables = Vec::with_capacity(rows.len());
        let mut intervals = Vec::with_capacity(total);
        for (row, freqs) in rows.iter().enumerate() {
            let symbols = freqs.len() as u32;
            let offset = offsets.map_or(0, |offsets| offsets[row]);
            if i64::from(offset) + i64::from(symbols) > i64::from(i32::MAX) {
                return Err(Error::InvalidTable {
                    row,
                    reason: format!("offset {offset} and {symbols} symbols reach past 2^31"),
                });
            }
            let log2_symbols = if symbols.is_power_of_two() { symbols.trailing_zeros() } else { 0 };
            tables.push(TableDescriptor {
                base: intervals.len() as u32,
                symbols,
                offset,
                log2_symbols,
            });
            intervals.extend(freqs.iter().scan(0, |end, &freq| {
                let start = *end;
                *end += freq;
                Some(Interval { start, freq })
            }));
        }
        let inner = Arc::new(Prepared::new(precision, tables, intervals));
        Ok(Self { inner, lacks_sentinel: false })
    }

    /// The tables with other offsets, one per table.
    ///
    /// # Errors
    /// [`Error::Shape`] where their number is not that of the tables.
    pub fn with_offsets(&self, offsets: &[i32]) -> Result<Self> {
        let rows: Vec<Vec<u32>> =
            (0..self.len()).map(|table| self.frequencies(table).collect()).collect();
        let tables = Self::from_frequencies(&rows, Some(offsets), self.precision())?;
        let tables = Self { lacks_sentinel: self.lacks_sentinel, ..tables };
        Ok(tables.with_limit(self.inner.limit()))
    }

    /// The tables, each prepared form of which takes `limit` bytes at most: beyond that a coder of
    /// theirs is an error, or searches. For tables that others wrote, where a few bytes can ask for
    /// gigabytes; no limit is `usize::MAX`, as tables have that were built here.
    #[must_use]
    pub fn with_limit(&self, limit: usize) -> Self {
        if limit == self.inner.limit() {
            return self.clone();
        }
        Self { inner: Arc::new(self.inner.limited(limit)), ..*self }
    }

    /// How many tables.
    pub fn len(&self) -> usize {
        self.inner.tables().len()
    }

    /// Whether there is no table; never so.
    pub fn is_empty(&self) -> bool {
        self.inner.tables().is_empty()
    }

    /// The precision of every table.
    pub fn precision(&self) -> Precision {
        self.inner.precision()
    }

    /// Symbols of a table, the sentinel included.
    ///
    /// # Panics
    /// Where there is no such table.
    pub fn alphabet(&self, table: usize) -> usize {
        self.inner.tables()[table].symbols as usize
    }

    /// The smallest symbol of a table.
    ///
    /// # Panics
    /// Where there is no such table.
    pub fn offset(&self, table: usize) -> i32 {
        self.inner.tables()[table].offset
    }

    /// The frequencies of a table.
    ///
    /// # Panics
    /// Where there is no such table.
    pub fn frequencies(&self, table: usize) -> impl ExactSizeIterator<Item = u32> + '_ {
        self.inner.table_intervals(table).iter().map(|interval| interval.freq)
    }

    /// The CDF of a table: `alphabet + 1` values, strictly increasing from 0 to `2^precision`, or
    /// to where its [unused slots](TablesBuilder::unused_slots) begin.
    ///
    /// # Panics
    /// Where there is no such table.
    pub fn cdf(&self, table: usize) -> Vec<u32> {
        let ends = self.inner.table_intervals(table).iter().map(|one| one.start + one.freq);
        std::iter::once(0).chain(ends).collect()
    }

    /// Whether every slot of every table is a symbol's.
    pub(crate) fn are_whole(&self) -> bool {
        self.inner.are_whole()
    }

    /// Whether the tables were built without a bypass sentinel.
    pub(crate) fn lack_sentinel(&self) -> bool {
        self.lacks_sentinel
    }

    /// The prepared forms.
    pub(crate) fn prepared(&self) -> &Arc<Prepared> {
        &self.inner
    }
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tables")
            .field("tables", &self.len())
            .field("precision", &self.precision().bits())
            .field("symbols", &self.inner.intervals().len())
            .finish()
    }
}

/// Two sets of tables are equal where they code alike.
impl PartialEq for Tables {
    fn eq(&self, other: &Self) -> bool {
        self.precision() == other.precision()
            && self.inner.tables() == other.inner.tables()
            && self.inner.intervals() == other.inner.intervals()
    }
}

impl Eq for Tables {}

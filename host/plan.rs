//! What a coder asks of a back end: the choices of [`CoderBuilder`](crate::CoderBuilder), checked.

use parans_kernels::codec;

use crate::error::{Error, Result};
use crate::family::Family;
use crate::tables::Tables;

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

/// Everything a back end reads of a coder, checked.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) family: Family,
    pub(crate) lanes: usize,
    /// Never `Auto`.
    pub(crate) lookup: Lookup,
    pub(crate) bypass: Option<codec::BypassCode>,
    pub(crate) skip_past_end: bool,
    pub(crate) tables: Tables,
}

impl Plan {
    /// Words that a row of `columns` symbols needs at most, whatever the symbols.
    ///
    /// A push multiplies a state by at most `2^(p+1) / f` (the state is at least f when it is
    /// divided, so rounding loses less than a factor of two), and a row emits a word for every W
    /// bits so gained, but for one word per lane.
    pub(crate) fn words_at_most(&self, columns: usize) -> Option<usize> {
        let bypass = self.bypass.map_or(0, |bypass| bypass.max_bits() + bypass.max_digits_pushed());
        self.words_for(columns, self.tables.precision().bits() + 1 + bypass)
    }

    /// The same where bypass digits are rare: a push that finds less capacity than it needs is
    /// repeated with all it can need.
    pub(crate) fn words_expected(&self, columns: usize) -> Option<usize> {
        self.words_for(columns, self.tables.precision().bits() + 1)
    }

    fn words_for(&self, columns: usize, bits: u32) -> Option<usize> {
        let word_bits = 8 * self.family.word_bytes();
        // Long rows overflow a usize only on paper, but a shape is the caller's to choose.
        columns.checked_mul(bits as usize)?.div_ceil(word_bits).checked_add(self.lanes)
    }
}

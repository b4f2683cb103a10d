//! Packed tables and their buckets of slots, which give most slots' symbols in one load.

mod bits;
mod one;
mod two;

use std::sync::OnceLock;

use super::packed::Packed;

pub(crate) use one::OneSymbolBuckets;
pub(crate) use two::{RUN, RUN_BEFORE, TwoSymbolBuckets};

/// Packed tables, and buckets of them that are made on first use.
#[derive(Clone, Debug)]
pub(crate) struct PackedForm {
    /// The entries.
    pub(crate) packed: Packed,
    one_symbol: OnceLock<OneSymbolBuckets>,
    two_symbols: OnceLock<TwoSymbolBuckets>,
}

impl PackedForm {
    pub(super) fn new(packed: Packed) -> Self {
        Self { packed, one_symbol: OnceLock::new(), two_symbols: OnceLock::new() }
    }

    /// The buckets that lookups one by one read.
    pub(crate) fn one_symbol(&self) -> &OneSymbolBuckets {
        self.one_symbol.get_or_init(|| OneSymbolBuckets::build(&self.packed))
    }

    /// The buckets that vectors read.
    pub(crate) fn two_symbols(&self) -> &TwoSymbolBuckets {
        self.two_symbols.get_or_init(|| TwoSymbolBuckets::build(&self.packed))
    }
}

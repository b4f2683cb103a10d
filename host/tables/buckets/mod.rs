//! Packed tables and their buckets of slots, which give most slots' symbols in one load.

mod bits;
mod one;
mod parts;
mod two;

use std::sync::OnceLock;

use super::packed::Packed;
use super::quads;
use crate::simd::Quad;

pub(crate) use one::OneSymbolBuckets;
use parts::PartBuckets;
pub(crate) use two::{RUN, RUN_BEFORE, TwoSymbolBuckets};

/// Packed tables, and what is made of them on first use.
#[derive(Clone, Debug)]
pub(crate) struct PackedForm {
    /// The entries.
    pub(crate) packed: Packed,
    one_symbol: OnceLock<OneSymbolBuckets>,
    two_symbols: OnceLock<TwoSymbolBuckets>,
    parts: OnceLock<Option<PartBuckets>>,
    quads64: OnceLock<Vec<Quad>>,
    quads32: OnceLock<Vec<Quad>>,
}

impl PackedForm {
    pub(super) fn new(packed: Packed) -> Self {
        Self {
            packed,
            one_symbol: OnceLock::new(),
            two_symbols: OnceLock::new(),
            parts: OnceLock::new(),
            quads64: OnceLock::new(),
            quads32: OnceLock::new(),
        }
    }

    /// The buckets that lookups one by one read.
    pub(crate) fn one_symbol(&self) -> &OneSymbolBuckets {
        self.one_symbol.get_or_init(|| OneSymbolBuckets::build(&self.packed))
    }

    /// The buckets that vectors read.
    pub(crate) fn two_symbols(&self) -> &TwoSymbolBuckets {
        self.two_symbols.get_or_init(|| TwoSymbolBuckets::build(&self.packed))
    }

    /// The buckets that vectors of eight elements read, for tables that have them.
    pub(crate) fn parts(&self) -> Option<&PartBuckets> {
        self.parts.get_or_init(|| PartBuckets::build(&self.packed)).as_ref()
    }

    /// The entries that such vectors read to push, for states of 64 bits.
    pub(crate) fn quads64(&self) -> &[Quad] {
        self.quads64.get_or_init(|| quads::for_states_of_64(&self.packed))
    }

    /// The same for states of 32 bits.
    pub(crate) fn quads32(&self) -> &[Quad] {
        self.quads32.get_or_init(|| quads::for_states_of_32(&self.packed))
    }
}

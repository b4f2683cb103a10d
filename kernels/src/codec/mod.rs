//! The scalar codec: families, table entries, the words of a row, and whole-row push and pop.
//!
//! Everything that decides a bit of a stream is here, once. Functions are pure, allocate nothing
//! and have no panic path in a loop over symbols: what can go wrong becomes a [`RowError`].
//!
//! - [`family`]: state and word widths. [`step`]: one symbol, one state.
//! - [`entry`]: prepared encoder entries (exact reciprocal, no division) and decoder intervals.
//! - [`lookup`], [`alias`]: how pop finds a symbol, and where push places a slot.
//! - [`packed`], [`packed_states`], [`packed_lookup`]: the tables once more, small enough for a
//!   GPU's shared memory.
//! - [`bypass`]: raw digits for symbols outside a table.
//! - [`words`]: bounds-checked cursors over a row's words.
//! - [`row`]: the order of symbols and lanes in a row, for every model. [`table_row`]: tables as
//!   such a model.
//! - [`tans`], [`tans_table`], [`tans_row`]: the same three for tANS, whose arithmetic is a table.

pub mod alias;
pub mod bypass;
pub mod entry;
pub mod error;
pub mod family;
pub mod lookup;
pub mod packed;
pub mod packed_lookup;
pub mod packed_states;
pub mod row;
pub mod step;
pub mod table_row;
pub mod tans;
pub mod tans_row;
pub mod tans_table;
pub mod words;

pub use alias::{AliasBucket, AliasLookup, AliasPlacement};
pub use bypass::BypassCode;
pub use entry::{EncoderEntry, Interval, TableDescriptor};
pub use error::{RowError, RowFault};
pub use family::{Rans32, Rans32x16, Rans64, RansFamily, StateInt, WordInt};
pub use lookup::{DirectPlacement, InverseCdfLookup, Placement, SearchLookup, SymbolLookup};
pub use row::{
    DecoderModel, EncoderModel, Lanes, MAX_LANES, Value, pop_row, pop_tail, push_group, push_row,
    push_tail,
};
pub use table_row::{DecoderView, EncoderView, RowIndexes, TableRow, TablesView};
pub use tans::{
    BitBuffer, Tans8, Tans16, Tans32, TansDecoderEntry, TansEncoderEntry, TansFamily, TansRow,
};
pub use tans_row::{TansDecoderView, TansEncoderView, pop_tans_row, push_tans_row};
pub use words::{WordReader, WordSink, WordSource, WordWriter};

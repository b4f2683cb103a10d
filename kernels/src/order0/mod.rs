//! Order-0 chunks of bytes: which byte is which symbol, tables and their bits, how counts become
//! frequencies. `docs/order0-format.md` of the repository describes the bytes.
//!
//! The rows of a chunk are those of [`Rans32x16`](crate::codec::Rans32x16).

pub mod entropy;
pub mod layout;
pub mod model;
pub mod table;

pub use layout::Layout;
pub use model::{Counts, Frequencies};

/// Bits of precision: the frequencies of a chunk sum to `2^PRECISION`.
///
/// Twelve bits keep a decoder's table (a packed `u32` per slot, 16 KiB) well inside an L1 cache.
pub const PRECISION: u32 = 12;

/// The largest chunk, in bytes.
pub const MAX_CHUNK: usize = 1 << 24;

/// Number of slots of a table, `2^PRECISION`.
pub const SLOTS: usize = 1 << PRECISION;

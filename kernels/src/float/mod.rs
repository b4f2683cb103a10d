//! Chunks of numbers: how an element becomes a symbol and a rest, and where the bits of those lie.
//! `docs/float-format.md` of the repository describes the bytes.

pub mod fractions;
pub mod layout;
pub mod pairs;
pub mod values;
pub mod word;

pub use layout::{Filter, Layout, LayoutFault, Sign, Stats};
pub use values::{FloatCut, is_elided, unzigzag, zigzag};
pub use word::Word;

/// First byte of a chunk: its bytes as they are.
pub const STORED: u8 = 0;
/// First byte of a chunk: floats.
pub const FLOATS: u8 = 1;
/// First byte of a chunk: integers.
pub const INTEGERS: u8 = 2;
/// First byte of a chunk: elements of one byte.
pub const BYTES: u8 = 3;

/// First byte of a plane: its bytes as they are.
pub const PLANE_STORED: u8 = 0;
/// First byte of a plane: one byte, which is all of its bytes.
pub const PLANE_CONSTANT: u8 = 1;
/// First byte of a plane: order-0 chunks.
pub const PLANE_CODED: u8 = 2;

/// Bytes of a coded plane that are an order-0 chunk, the last of which may be shorter.
pub const PIECE: usize = 1 << 20;

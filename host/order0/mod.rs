//! Order-0 coding of bytes: one table per chunk, four `rans32_16` rows of 32 lanes.
//!
//! A *chunk* is a piece of at most [`MAX_CHUNK`] bytes, coded by itself: its own 12-bit table in a
//! compact header, then the rows. The caller keeps the original length (a frame stores it anyway)
//! and hands it back as the length of the slice to fill.
//! [`formats::order0`](crate::formats::order0) is the normative description.
//!
//! The rows are ordinary `rans32_16` row streams of 32 lanes, the same that the general coder and a
//! GPU warp read. Which byte belongs to which row and lane is free, and chosen so that four rows
//! advance at once without any packing: a 64-byte load holds, in each 32-bit element, one lane of
//! all four rows.
//!
//! ```
//! use parans::order0::{Decoder, Encoder};
//! # fn main() -> parans::Result<()> {
//! let text = b"to be or not to be, that is the question. ".repeat(500);
//! let mut coded = Vec::new();
//! Encoder::new().encode(&text, &mut coded);
//! assert!(coded.len() < text.len() * 6 / 10);
//!
//! let mut back = vec![0; text.len()];
//! Decoder::new().decode(&coded, &mut back)?;
//! assert_eq!(back, text);
//! # Ok(())
//! # }
//! ```

#[cfg(target_arch = "x86_64")]
mod avx512;
mod chunk;
mod histogram;
mod members;
mod operations;
mod scalar;
mod sequence;
mod slots;
#[cfg(test)]
mod tests;
mod vector;

pub use chunk::{Decoder, Encoder};
pub use histogram::entropy_bytes;
pub(crate) use histogram::entropy_units;
pub use sequence::{decode_all, encode_all};

use parans_kernels::order0::{Frequencies, SLOTS, layout, model, table};
pub use parans_kernels::order0::{MAX_CHUNK, PRECISION};

/// The chunk size, in bytes, that [`encode_all`] uses and that frames default to.
///
/// A chunk costs about 384 bytes for its 128 states and 100 for its table: 0.05 % of a mebibyte,
/// less than one table for a whole file loses even where the statistics never change. Half the size
/// costs 0.05 % more and is no faster.
pub const DEFAULT_CHUNK: usize = 1 << 20;

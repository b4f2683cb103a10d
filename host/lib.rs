//! parans codes tensors with ANS (rANS and tANS), many rows and many states at a time,
//! byte-compatible with torch_ans 0.4.0.
//!
//! [`Tables`] hold quantised distributions, [`Streams`] independent rows of coded words, and a
//! [`Coder`] codes one with the other.
//!
//! ```
//! use ndarray::array;
//! use parans::{Coder, Family, Precision, Tables};
//!
//! # fn main() -> parans::Result<()> {
//! // Two tables over four symbols each, and which table codes which symbol.
//! let pmf = array![[0.1f32, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]];
//! let tables = Tables::from_pmf(pmf.view(), Precision::new(16)?)?;
//! let symbols = array![[3i32, 2, 0, 0], [1, 0, 3, 0]];
//! let indexes = array![[0i32, 0, 1, 1], [0, 1, 0, 1]];
//!
//! let coder = Coder::builder(Family::Rans64).lanes(4).build(tables)?;
//! let bytes = coder.encode(&symbols, &indexes)?;
//! assert_eq!(coder.decode::<i32>(&bytes, &indexes)?, symbols);
//! # Ok(())
//! # }
//! ```

mod coder;
mod cpu;
mod error;
mod family;
pub mod float;
pub mod frame;
pub mod gpu;
pub mod learned;
pub mod model;
pub mod order0;
mod plan;
pub mod simd;
mod streams;
mod symbols;
mod tables;

pub use coder::{Bypass, Coder, CoderBuilder, Dequeue, Device, Queue};
pub use error::{Error, Result, RowCause};
pub use family::Family;
pub use plan::Lookup;
pub use streams::{Checkpoints, LengthBytes, Merged, Streams};
pub use symbols::{Indexes, Symbol, Symbols};
pub use tables::{Precision, Probability, Tables, TablesBuilder};

/// The README's code is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

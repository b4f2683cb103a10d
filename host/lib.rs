//! parans codes tensors with ANS (rANS and tANS), many rows and many states at a time, on CPUs and
//! NVIDIA GPUs. Streams are those of torch_ans 0.4.0, byte for byte.
//!
//! # Which part one wants
//!
//! | to | use |
//! |---|---|
//! | code symbols whose distributions are tables | [`Tables`] and a [`Coder`] |
//! | code symbols with a Gaussian, Laplace, logistic or mixture of their own | [`model::ModelCoder`] |
//! | code the latents of a learned compressor | [`learned`] |
//! | compress a slice of floats or integers, and nothing else | [`float::compress`] |
//! | compress a file, an array or a checkpoint, with checksums and random access | [`frame`] |
//! | code the bytes of one block | [`order0`] |
//! | code the elements of one block by their type, losslessly | [`float`] |
//! | code tensors that lie on a GPU | [`gpu`], or [`CoderBuilder::device`] |
//! | read what parans wrote without parans | [`formats`], the texts of the formats |
//!
//! A [`Coder`] turns symbols into one byte string and back ([`Coder::encode`], [`Coder::decode`]),
//! or pushes them onto [`Streams`], one independent row of coded words per row of symbols, and pops
//! them, the last pushed first. Arrays go in by reference or as views, symbols and indexes in any
//! integer type; what does not fit is an error that names its place.
//!
//! ```
//! use ndarray::array;
//! use parans::{Coder, Family, Tables};
//!
//! # fn main() -> parans::Result<()> {
//! // Two tables over four symbols each, and which table codes which symbol.
//! let pmf = array![[0.1f32, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]];
//! let tables = Tables::from_pmf(&pmf, 16)?;
//! let symbols = array![[3i32, 2, 0, 0], [1, 0, 3, 0]];
//! let indexes = array![[0i32, 0, 1, 1], [0, 1, 0, 1]];
//!
//! let coder = Coder::builder(Family::Rans64).lanes(4).build(tables)?;
//! let bytes = coder.encode(&symbols, &indexes)?;
//! assert_eq!(coder.decode::<i32>(&bytes, &indexes)?, symbols);
//! // The first table for all of them.
//! let bytes = coder.encode(&symbols, 0)?;
//! # let one = parans::Indexes::one(0, 2, 4);
//! # assert_eq!(coder.decode::<i64>(&bytes, one)?, symbols.mapv(i64::from));
//! # Ok(())
//! # }
//! ```
//!
//! # Coming from torch_ans
//!
//! | torch_ans | parans |
//! |---|---|
//! | `TorchANSInterface`, `init_params` | [`Coder::builder`] |
//! | `set_cdfs`, `rans_pmf_to_quantized_cdf` | [`Tables::from_cdf`], [`Tables::from_pmf`] |
//! | `encode_with_indexes`, `decode_with_indexes` | [`Coder::encode`], [`Coder::decode`] |
//! | the same into memory of one's own | [`Coder::encode_into`], [`Coder::decode_into`] |
//! | int32 and int64 tensors of symbols or indexes | arrays of any integer type, converted checked |
//! | an index tensor of zeros | `coder.encode(&symbols, 0)`, [`Indexes::one`] |
//! | `encode_with_freqs`, `decode_with_freqs` | [`model::ModelCoder`] with [`model::Pmfs`] |
//! | `rans64_init_stream` | [`Coder::streams`] |
//! | `rans64_push`, `rans64_pop` | [`Coder::push`], [`Coder::pop`] |
//! | `rans64_i4`, `num_interleaves` | [`CoderBuilder::lanes`] |
//! | `rans64_alias`, `rans64_invcdf`, `inverse_cdf_precision` | [`CoderBuilder::lookup`] |
//! | `bypass_coding`, `bypass_precision` | [`CoderBuilder::bypass`], [`TablesBuilder::sentinel`] |
//! | `cache=True`, `flush` | [`Coder::queue`], [`Queue::flush`] |
//! | `set_stream`, `decode_stream` | [`Coder::dequeue`], [`Dequeue::decode`] |
//! | `rans_stream_to_byte_strings` and back | [`Streams::to_byte_strings`], [`Streams::from_byte_strings`] |
//!
//! # Features
//!
//! None is on by default. `containers` recognises safetensors, `torch.save`, GGUF, npy and npz
//! content, so that a frame codes each tensor by its type. `cuda-dynamic` runs coders on NVIDIA
//! GPUs through the driver that is found at run time, `cuda` through cust and the driver that the
//! program is linked to.
//!
//! # Debug builds
//!
//! The loops need the optimiser: a debug build of a program that depends on parans is 40 to 110
//! times slower. These lines in that program's `Cargo.toml` optimise the coder alone:
//!
//! ```toml
//! [profile.dev.package.parans]
//! opt-level = 3
//! [profile.dev.package.parans-kernels]
//! opt-level = 3
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod coder;
mod cpu;
mod dtype;
mod error;
mod family;
// What `float` and `frame` share: `float` has functions over frames besides.
#[path = "float/mod.rs"]
mod float_codec;
pub mod formats;
pub mod frame;
pub mod gpu;
pub mod learned;
mod memory;
pub mod model;
pub mod order0;
mod plan;
pub mod simd;
mod streams;
mod symbols;
mod tables;

pub use coder::{Bypass, Coder, CoderBuilder, Dequeue, Device, Queue};
pub use dtype::{Dtype, Element};
pub use error::{Error, Result, RowCause};
pub use family::Family;
/// The arrays that symbols, indexes and probabilities come in, of the version that this crate
/// takes.
pub use ndarray;
pub use plan::Lookup;
pub use streams::{Checkpoints, LengthBytes, Merged, Streams};
pub use symbols::{Indexes, NativeSymbol, Symbol, Symbols};
pub use tables::{Count, Precision, Probability, Tables, TablesBuilder};

/// Lossless coding of tensors by the type of their elements: floats by exponent, integers by byte
/// planes. All bits come back: NaN payloads, denormals, the sign of zero.
///
/// | to | use |
/// |---|---|
/// | compress a slice of elements to the bytes of a frame, and back | [`compress`], [`decompress`] |
/// | code one chunk of elements, without checksum, type or length | [`Encoder`], [`Decoder`] |
///
/// ```
/// use parans::float::{Decoder, Dtype, Encoder};
///
/// let weights: Vec<u8> = (0..4096).flat_map(|i| (i as f32 * 0.37).sin().to_le_bytes()).collect();
/// let mut coded = Vec::new();
/// Encoder::new().encode(Dtype::F32, &weights, &mut coded);
/// assert!(coded.len() < weights.len());
///
/// let mut back = vec![0; weights.len()];
/// Decoder::new().decode(Dtype::F32, &coded, &mut back)?;
/// assert_eq!(back, weights);
/// # Ok::<(), parans::Error>(())
/// ```
///
/// [`compress`]: float::compress
/// [`decompress`]: float::decompress
/// [`Encoder`]: float::Encoder
/// [`Decoder`]: float::Decoder
pub mod float {
    pub use crate::dtype::{Dtype, Element};
    pub use crate::float_codec::{CHUNK, Decoder, Encoder, OVERHEAD};
    pub use crate::frame::tensor::{compress, decompress};
}

/// The README's code is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

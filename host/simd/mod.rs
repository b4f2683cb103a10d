//! Vectors: algorithms are written once, generic over `Simd`, and instantiated for each instruction
//! set. Users see [`Level`] alone.
//!
//! - A value of a type that implements `Simd` is a *token*: its `new` looks at the processor, so
//!   holding one proves that the instructions exist, and the methods are safe. The `unsafe` of the
//!   CPU paths lives in this folder and, for what only order-0 coding uses, in `order0`.
//! - A vector is sixteen `u32` elements: one AVX-512 register, two of AVX2, four of NEON. Half a
//!   row of 32 lanes.
//! - An algorithm is a `Work` value that runs on any token (`RunOn`). `dispatch` enters it through
//!   a function compiled with the features of the level. Everything between there and the
//!   intrinsics must be `#[inline(always)]`, or it is compiled without the features and every
//!   operation becomes a call.
//! - Which level runs is decided at run time, never by `-C target-cpu`; see `Level::current`.
//!
//! The traits are one tower: `Bits` (what scalar code asks for), `Simd` (every level), `Simd512`
//! (what coding rows across vector elements needs on top). To add an operation: declare it in
//! `traits`, implement it in each file beside this one, and add a line to `tests.rs`, which
//! compares every level that the machine has with plain arrays.

#![cfg_attr(
    not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little"))),
    allow(dead_code, reason = "processors without a vector level only have the scalar path")
)]

mod aligned;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx2_octets;
#[cfg(target_arch = "x86_64")]
mod avx2_octets_loads;
#[cfg(target_arch = "x86_64")]
mod avx2_octets_moves;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_loads;
#[cfg(target_arch = "x86_64")]
mod avx512_moves;
#[cfg(target_arch = "x86_64")]
mod avx512_parts;
#[cfg(target_arch = "x86_64")]
mod avx512_wide;
mod byte_table;
mod dispatch;
mod free_words;
mod level;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
mod neon;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
mod neon_octets;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
mod neon_octets_moves;
mod octets;
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))]
mod orders;
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))]
mod shuffles;
#[cfg(test)]
mod tests;
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "so far only x86-64 has vectors for rows")
)]
mod traits;
mod unroll;

pub(crate) use aligned::{Aligned, Line};
#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::{Avx512, REVERSE_WORDS};
pub(crate) use byte_table::ByteTable;
pub(crate) use dispatch::{
    dispatch, dispatch_512, dispatch_bits, dispatch_loops, dispatch_octets, has_octets,
};
pub(crate) use free_words::FreeWords;
pub use level::Level;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
pub(crate) use neon::Neon;
pub(crate) use octets::{EightPlaces, MOST_QUADS, Octets, PLACES, Places, PlacesView, Quad, Quads};
pub(crate) use traits::{Bits, Bounded, RunOn, Simd, Simd512, Work};
pub(crate) use unroll::unroll;

/// `1 - 2^-21`, what [`Simd::quotient`] aims at so as never to be too large.
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))]
const ONE_LESS: f32 = 1.0 - 1.0 / (1 << 21) as f32;

//! The kernels: thin shells that find their row and call the codec.
//!
//! - [`simt`]: the interface, all that a kernel needs of a GPU. `nvptx` implements it with rustc's
//!   own NVPTX back end; the package in `kernels/rust-cuda` implements it with `cuda_std`; tests
//!   implement it with threads of the host.
//! - [`group`]: the lanes of a row as a group of threads: votes, ranks, broadcasts.
//! - [`memory`]: rows, symbols and indexes in device memory; a thread's lane, loaded and stored.
//!   [`lane_words`]: what it emits, and its first error. [`tables`]: the tables of a launch.
//! - [`push`], [`pop`]: the two rANS kernels, generic over family, model and mapping of lanes to
//!   threads, and tables as their model. [`tans`]: the two of tANS.
//! - [`packed`], [`packed_alias`], [`push_packed`], [`pop_packed`], `tans_packed`: what is fast:
//!   full groups of symbols that need nothing out of the ordinary, coded from packed tables in
//!   shared memory; the rest is left to the general code of `push`, `pop` and `tans`.
//! - [`models`]: distributions as the models of push and pop, and fixed-point parameters of floats.
//! - [`frames`]: the chunks of frames.
//! - [`quantise`]: probabilities to frequencies. [`pack`]: those to the tables that coders read.
//! - [`entry`](mod@entry): the entry points, made from the list of kernels in [`abi`](crate::abi).
//!
//! Lanes of a row are threads of one warp, which work in step: a group of symbols takes each lane
//! one symbol. What makes their bytes those of the scalar codec is that every lane counts how many
//! words the lanes before it in stream order emit or take (one ballot per bit of that count) and so
//! finds its own without waiting for them.
//!
//! Every thread of a warp takes part in every vote and shuffle, whatever has happened to its row:
//! threads past the last row and lanes that met an error go on with skipped symbols. An error is
//! noted by its lane and settled at the end of the row, so that the loop over symbols pays nothing
//! for it.
#![allow(
    unsafe_code,
    reason = "kernels get raw addresses from their launch; the GPU's instructions are intrinsics"
)]

/// Repeats a block for `$i` in `0..$n`, at most 8 times, without a loop: what an array holds then
/// stays in registers. The compiler does not unroll loops of this size by itself.
macro_rules! unroll {
    ($n:tt, $i:ident, $body:block) => {
        unroll!(@ $n, $i, $body, 0 1 2 3 4 5 6 7)
    };
    (@ $n:tt, $i:ident, $body:block, $($at:literal)*) => {
        $(if $n > $at {
            let $i: usize = $at;
            $body
        })*
    };
}

#[macro_use]
pub mod entry;
pub mod frames;
pub mod group;
pub mod lane_words;
pub mod memory;
pub mod models;
#[cfg(all(target_arch = "nvptx64", not(feature = "rust-cuda")))]
pub mod nvptx;
pub mod pack;
pub mod packed;
pub mod packed_alias;
pub mod pop;
pub mod pop_packed;
pub mod push;
pub mod push_packed;
pub mod quantise;
pub mod rows;
pub mod simt;
pub mod tables;
pub mod tans;
mod tans_bits;
mod tans_lane;
mod tans_packed;

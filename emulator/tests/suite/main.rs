//! The tests of the software device as one program. `cargo test -p parans-emulator --test suite
//! warp::` runs those of one module.

mod common;

mod broken;
mod counters;
mod float;
mod integer;
mod memory;
mod nvcc;
mod properties;
mod rustc;
mod warp;

//! The integration tests of the library as one program, so that the library is linked once.
//! `cargo test --test suite frame::` runs those of one module. `conformance` and `parity` have
//! reports of their own; `attack` measures memory with an allocator of its own.

#[path = "../common/mod.rs"]
mod common;

#[cfg(feature = "containers")]
mod base;
mod checkpoints;
mod errors;
mod examples;
mod face;
mod failures;
mod format;
mod frame;
mod golden;
mod gpu;
mod gpu_frames;
mod gpu_order;
mod kernels;
#[cfg(feature = "containers")]
mod layout;
mod learned;
mod model_coder;
mod model_loss;
mod model_rows;
#[cfg(feature = "containers")]
mod models;
mod order0;
#[cfg(feature = "containers")]
mod overhead;
mod salvage;
mod tans;
mod unused_slots;

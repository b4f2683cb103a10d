//! Execution: a launch runs blocks, a block runs warps, a warp runs paths, a path runs instructions
//! for its lanes.

mod access;
mod alu;
mod atomics;
mod block;
mod convert;
mod copies;
mod core;
mod costs;
mod exact;
mod float;
mod frame;
mod int;
mod launch;
mod marks;
mod memory;
mod paths;
mod sync;
mod undefined;
mod warp;

pub(crate) use core::Context;
pub(crate) use launch::{Pool, launch};

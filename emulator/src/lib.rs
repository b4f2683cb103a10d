//! A software CUDA device that executes PTX on the CPU.
//!
//! It runs the text a GPU driver would be given: warps of 32 lanes in lockstep, divergence and
//! reconvergence, barriers, votes and shuffles, atomics, shared memory. Every access is checked as
//! `compute-sanitizer` would check it, and every launch returns counters. It exists so that device
//! code can be tested, and its cost counted, where there is no GPU.
//!
#![doc = include_str!("../README.md")]

mod device;
mod exec;
mod fault;
mod ir;
mod lower;
mod memory;
mod model;
mod module;
mod parse;
mod report;

pub use device::{Device, Entry, Launch, Module, Param, Range};
pub use fault::{Access, Action, Assertion, Fault, Location, ParseError, Space};
pub use model::{Checks, DeviceModel};
pub use report::{Class, PerSymbol, Report};

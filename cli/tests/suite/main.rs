//! The tests of the program, which is run as a user runs it. `cargo test -p parans-cli --test suite
//! flags::` runs those of one module.

mod common;

mod base;
mod bench;
mod device;
mod extract;
#[cfg(unix)]
mod files;
mod flags;
mod list;
mod man;
mod program;
#[cfg(feature = "remote")]
mod remote;
mod salvage;
#[cfg(target_os = "linux")]
mod signals;
mod trees;

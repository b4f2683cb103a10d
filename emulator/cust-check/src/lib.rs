//! What the checks share: the corpus of PTX that nvcc made, and a context.
//!
//! The checks use the public interface of `cust` 0.3.2 alone, as its documentation does, so that
//! they say something about every program written with it..

use cust::prelude::*;
use std::error::Error;
use std::path::PathBuf;

/// What a check returns.
pub type Outcome = Result<(), Box<dyn Error>>;

/// The path of a file of the corpus.
pub fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/nvcc").join(name).with_extension("ptx")
}

/// The PTX of a file of the corpus.
pub fn ptx(name: &str) -> String {
    let path = path(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A module of the corpus, loaded.
pub fn module(name: &str) -> Result<Module, Box<dyn Error>> {
    Ok(Module::from_ptx(ptx(name), &[])?)
}

/// Numbers without a pattern.
pub fn words(count: usize) -> Vec<u32> {
    let mut x = 0x2545_f491u32;
    std::iter::repeat_with(|| {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        x
    })
    .take(count)
    .collect()
}

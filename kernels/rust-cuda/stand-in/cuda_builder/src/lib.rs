//! `cuda_builder` for the check build: the signatures that the builder calls. Nothing here runs.

use std::path::{Path, PathBuf};

/// Architectures of libnvvm.
#[derive(Clone, Copy, Debug)]
pub enum NvvmArch {
    /// Turing.
    Compute75,
}

/// Why a build failed.
#[derive(Debug)]
pub struct CudaBuilderError;

impl std::fmt::Display for CudaBuilderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a stand-in builds nothing")
    }
}

impl std::error::Error for CudaBuilderError {}

/// A build of a package to PTX.
#[derive(Debug)]
pub struct CudaBuilder;

impl CudaBuilder {
    /// Of the package in a folder.
    pub fn new(_path: impl AsRef<Path>) -> Self {
        Self
    }
    /// For an architecture.
    pub fn arch(self, _arch: NvvmArch) -> Self {
        self
    }
    /// Copies the PTX.
    pub fn copy_to(self, _path: impl AsRef<Path>) -> Self {
        self
    }
    /// Builds; the path of the PTX.
    pub fn build(self) -> Result<PathBuf, CudaBuilderError> {
        Err(CudaBuilderError)
    }
}

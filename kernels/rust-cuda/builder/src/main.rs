//! `parans-cuda-builder OUT`: compiles the package beside this one to PTX with `cuda_builder` and
//! writes it to OUT.

use std::error::Error;
use std::path::PathBuf;

use cuda_builder::{CudaBuilder, NvvmArch};

fn main() -> Result<(), Box<dyn Error>> {
    let out = std::env::args_os().nth(1).map(PathBuf::from).ok_or("usage: parans-cuda-builder OUT")?;
    let kernels = concat!(env!("CARGO_MANIFEST_DIR"), "/../kernels");
    CudaBuilder::new(kernels).arch(NvvmArch::Compute75).copy_to(out).build()?;
    Ok(())
}

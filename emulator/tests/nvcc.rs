//! PTX that nvcc makes of small CUDA kernels, executed and compared with the same arithmetic in
//! Rust.
//!
//! rustc and nvcc write different PTX: nvcc brings call sequences, shared tiles, local arrays,
//! `.nc` loads, half and double conversions. The sources and the committed PTX are in `tests/nvcc`;
//! `scripts/nvcc-ptx` makes it anew, and the folder named by `PARANS_NVCC_PTX` is tested in place
//! of the committed one.

#[path = "nvcc_corpus/device.rs"]
mod device;
#[path = "nvcc_corpus/memory.rs"]
mod memory;
#[path = "nvcc_corpus/numbers.rs"]
mod numbers;
#[path = "nvcc_corpus/warps.rs"]
mod warps;

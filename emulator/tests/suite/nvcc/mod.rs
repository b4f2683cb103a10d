//! PTX that nvcc makes of small CUDA kernels, executed and compared with the same arithmetic in
//! Rust.
//!
//! rustc and nvcc write different PTX: nvcc brings call sequences, shared tiles, local arrays,
//! `.nc` loads, half and double conversions. The sources and the committed PTX are in `tests/nvcc`;
//! `scripts/nvcc-ptx` makes it anew, and the folder named by `PARANS_NVCC_PTX` is tested in place
//! of the committed one.

mod device;

mod edges;

mod memory;

mod numbers;

mod warps;

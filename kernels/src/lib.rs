//! The one definition of parans' arithmetic, shared by the host and the GPU.
//!
//! `codec` is the scalar ANS codec: pure functions, no allocation, no panic path in a hot loop. The
//! host compiles it as an ordinary crate; rustc also compiles it to PTX, where the kernels are thin
//! shells around it.
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    all(target_arch = "nvptx64", not(feature = "rust-cuda")),
    allow(internal_features, reason = "votes and shuffles are LLVM's intrinsics"),
    feature(abi_ptx, asm_experimental_arch, link_llvm_intrinsics, stdarch_nvptx)
)]

pub mod abi;
pub mod codec;
pub mod device;
pub mod float;
pub mod model;
pub mod order0;
#[cfg(feature = "ptx")]
pub mod ptx;

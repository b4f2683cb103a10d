//! The one definition of parans' arithmetic, shared by the host and the GPU.
//!
//! `codec` is the scalar ANS codec: pure functions, no allocation, no panic path in a hot loop. The host compiles it
//! as an ordinary crate; rustc also compiles it to PTX, where the kernels are thin shells around it.
#![no_std]

pub mod codec;
pub mod model;

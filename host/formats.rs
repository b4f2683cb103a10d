//! The formats, to the byte: each text is enough to write a reader.

#[doc = include_str!("../docs/frame-format.md")]
pub mod frame {}

#[doc = include_str!("../docs/float-format.md")]
pub mod float {}

#[doc = include_str!("../docs/order0-format.md")]
pub mod order0 {}

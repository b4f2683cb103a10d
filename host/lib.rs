//! parans codes tensors with ANS (rANS and tANS), many rows and many states at a time.

mod error;
pub mod float;
pub mod order0;

pub use error::{Error, Result};

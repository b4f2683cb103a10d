//! What several test programs share. Each uses a part of it.
#![allow(dead_code, unreachable_pub, reason = "every test program uses another part")]

pub mod altered;
pub mod backends;
pub mod counts;
pub mod frame_counts;
pub mod oracle;
pub mod software;
pub mod vectors;

//! `cuda_std` for the check build: what crates.io publishes of it, and the signatures of two
//! functions that only its git version has. Nothing here runs.

pub use published::{kernel, shared, thread};

/// Functions over the threads of a warp.
pub mod warp {
    pub use published::warp::sync_warp;

    /// One bit for each thread of `mask` whose predicate holds.
    ///
    /// # Safety
    /// All threads of `mask` call it together.
    pub unsafe fn warp_vote_ballot(_mask: u32, _predicate: bool) -> u32 {
        unimplemented!("a stand-in")
    }

    /// Types that can be shuffled.
    pub trait WarpShuffleValue: Sized {}
    impl WarpShuffleValue for u32 {}

    /// The value of thread `idx`, and whether it was in range.
    ///
    /// # Safety
    /// All threads of `mask` call it together.
    pub unsafe fn warp_shuffle_idx<T: WarpShuffleValue>(
        _mask: u32,
        _value: T,
        _idx: u32,
        _width: u32,
    ) -> (T, bool) {
        unimplemented!("a stand-in")
    }
}

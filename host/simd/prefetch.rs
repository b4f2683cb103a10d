//! Asking for memory before it is needed.

#![allow(unsafe_code, reason = "prefetch instructions")]

/// Asks for the cache line of `values[at]`, which need not exist, to be brought to the second-level cache, where there is an instruction for it.
#[inline(always)]
pub(crate) fn prefetch<T>(values: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: every x86-64 processor has the instruction, which for any address does nothing but load a cache.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(values.as_ptr().wrapping_add(at).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, at);
}

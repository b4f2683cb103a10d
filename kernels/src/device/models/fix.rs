//! From floats to fixed-point means and scales on the device, a thread per pair: the very functions
//! that the host calls.

use crate::abi::models::BAD_SCALE;
use crate::device::simt::Simt;
use crate::model::{Mean, Scale};

/// Converts the calling thread's pair.
///
/// # Safety
/// The memory is what [`FixParams`](crate::abi::models::FixParams) says, and nothing else uses the
/// output meanwhile.
#[inline(always)]
pub unsafe fn fix(
    simt: impl Simt,
    means: *const f32,
    scales: *const f32,
    fixed_means: *mut i32,
    codes: *mut u16,
    count: u64,
) {
    let at = u64::from(simt.block()) * u64::from(simt.block_threads()) + u64::from(simt.thread());
    if at >= count {
        return;
    }
    let at = at as usize;
    // SAFETY: each array holds `count` values.
    unsafe {
        let fixed = Mean::from_f32(*means.add(at)).zip(Scale::from_f32(*scales.add(at)));
        let (mean, code) = fixed.map_or((0, BAD_SCALE), |(Mean(mean), scale)| (mean, scale.code()));
        *fixed_means.add(at) = mean;
        *codes.add(at) = code;
    }
}

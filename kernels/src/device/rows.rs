//! Moving the words of rows between their places in device memory, one capacity apart, and one
//! piece without gaps, which one copy takes to or from the host.

use super::simt::Simt;
use crate::abi::{MOVED_BYTES, MoveShape};

/// Where the words lie.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    /// The rows, a stride apart.
    pub apart: *mut u8,
    /// The rows without gaps.
    pub together: *mut u8,
    /// Where each row begins there, in bytes.
    pub offsets: *const u64,
    /// Words of each row.
    pub lengths: *const u32,
}

/// Moves the part of a row that is the calling thread's warp's.
///
/// # Safety
/// The memory is what [`MoveParams`](crate::abi::MoveParams) says, and nothing else uses it
/// meanwhile.
#[inline(always)]
pub unsafe fn move_rows(simt: impl Simt, rows: Rows, shape: MoveShape) {
    let threads = u64::from(simt.block()) * u64::from(simt.block_threads());
    let thread = threads + u64::from(simt.thread());
    let (warp, lane) = (thread / 32, thread % 32);
    let parts = u64::from(shape.parts).max(1);
    let (row, part) = (warp / parts, warp % parts);
    if row >= u64::from(shape.rows) {
        return;
    }
    // SAFETY: the row is one of `shape.rows`, the launch's promise, and no word past its length or
    // its stride is moved.
    unsafe {
        let row = row as usize;
        let words = (*rows.lengths.add(row)).min(shape.stride);
        let word = shape.word_bytes as usize;
        let apart = rows.apart.add(row * shape.stride as usize * word);
        let together = rows.together.add(*rows.offsets.add(row) as usize);
        let (from, to) = if shape.together != 0 { (apart, together) } else { (together, apart) };
        let of_part = MOVED_BYTES / shape.word_bytes.max(1);
        let first = part * u64::from(of_part);
        let end = (first + u64::from(of_part)).min(u64::from(words));
        let mut at = first + lane;
        while at < end {
            let place = at as usize;
            match word {
                4 => *to.cast::<u32>().add(place) = *from.cast::<u32>().add(place),
                2 => *to.cast::<u16>().add(place) = *from.cast::<u16>().add(place),
                _ => *to.add(place) = *from.add(place),
            }
            at += 32;
        }
    }
}

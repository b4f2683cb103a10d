//! Where the bytes of a plane go.

use super::Warp;
use crate::device::simt::Simt;

/// Takes the bytes of a plane, four at a time where it can.
pub trait Sink: Copy {
    /// How many of the first bytes of a plane of `len` may come by fours, a multiple of 128 or all
    /// whole fours.
    fn fours(&self, len: u32) -> u32;

    /// Takes four bytes from a place on that is a multiple of four, the first lowest.
    ///
    /// # Safety
    /// They are in the plane that the sink was made for, and no other thread has them.
    unsafe fn four(&self, at: u32, bytes: u32);

    /// Takes one byte.
    ///
    /// # Safety
    /// As [`four`](Self::four).
    unsafe fn one(&self, at: u32, byte: u32);
}

/// Bytes in their order.
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    to: *mut u8,
    aligned: bool,
}

impl Bytes {
    /// Bytes from an address on.
    #[inline(always)]
    pub fn new(to: *mut u8) -> Self {
        Self { to, aligned: to.addr().is_multiple_of(4) }
    }
}

impl Sink for Bytes {
    #[inline(always)]
    fn fours(&self, len: u32) -> u32 {
        len & !3
    }

    #[inline(always)]
    unsafe fn four(&self, at: u32, bytes: u32) {
        // SAFETY: the caller's promise.
        unsafe {
            let to = self.to.add(at as usize);
            if self.aligned {
                *to.cast::<u32>() = bytes;
            } else {
                for i in 0..4 {
                    *to.add(i) = (bytes >> (8 * i)) as u8;
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn one(&self, at: u32, byte: u32) {
        // SAFETY: the caller's promise.
        unsafe { *self.to.add(at as usize) = byte as u8 };
    }
}

/// Gives a sink the `len` bytes of a plane, which `four` and `byte` know by their places.
///
/// # Safety
/// The sink takes so many.
#[inline(always)]
pub unsafe fn feed<S: Simt>(
    warp: Warp<S>,
    len: u32,
    sink: impl Sink,
    four: impl Fn(u32) -> u32,
    byte: impl Fn(u32) -> u32,
) {
    let fours = sink.fours(len);
    let mut at = 4 * warp.lane;
    while at < fours {
        // SAFETY: the caller's promise.
        unsafe { sink.four(at, four(at)) };
        at += 128;
    }
    at = fours + warp.lane;
    while at < len {
        // SAFETY: as above.
        unsafe { sink.one(at, byte(at)) };
        at += 32;
    }
}

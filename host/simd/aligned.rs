//! Values on cache lines of their own: vectors that lie across two lines are loaded and stored at
//! half the speed.

use std::ops::{Deref, DerefMut};

use bytemuck::{Pod, Zeroable};

/// A value that begins with a cache line.
#[derive(Clone, Default)]
#[repr(C, align(64))]
pub(crate) struct Aligned<T>(pub(crate) T);

impl<T> Deref for Aligned<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Aligned<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

/// One line of sixteen elements. A type of its own, because slices of lines are cast to slices of
/// elements.
#[derive(Clone, Copy, Default, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [u32; 16]);

impl Deref for Line {
    type Target = [u32; 16];

    #[inline(always)]
    fn deref(&self) -> &[u32; 16] {
        &self.0
    }
}

impl DerefMut for Line {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [u32; 16] {
        &mut self.0
    }
}

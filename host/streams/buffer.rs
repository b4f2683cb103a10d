//! Memory that is viewed as words of any width: aligned to eight bytes, zeroed by the system on
//! first touch.

use bytemuck::Pod;

use crate::error::Result;
use crate::memory;

/// Plain bytes, aligned for every word and state.
#[derive(Clone)]
pub(super) struct Buffer {
    storage: Vec<u64>,
    bytes: usize,
}

impl Buffer {
    /// `bytes` bytes of zero. Large ones come from the system already zero, without a fill.
    ///
    /// # Errors
    /// `InvalidArgument` where the system refuses so much memory.
    pub(super) fn zeroed(bytes: usize) -> Result<Self> {
        Ok(Self { storage: memory::zeros(bytes.div_ceil(8))?, bytes })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.storage)[..self.bytes]
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.storage)[..self.bytes]
    }

    pub(super) fn typed<T: Pod>(&self) -> &[T] {
        bytemuck::cast_slice(self.bytes())
    }

    pub(super) fn typed_mut<T: Pod>(&mut self) -> &mut [T] {
        bytemuck::cast_slice_mut(self.bytes_mut())
    }
}

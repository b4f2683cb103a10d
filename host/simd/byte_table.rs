//! Tables of 256 entries, looked up by bytes.

/// A table of 256 `u32` entries, of which only the low `BYTES` bytes are used, in the two forms
/// that levels look up: whole entries for gathers, and one plane of 256 bytes for each byte for
/// register permutes.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(crate) struct ByteTable<const BYTES: usize> {
    /// Entry of each index.
    pub(super) entries: [u32; 256],
    /// Byte `k` of each entry.
    pub(super) planes: [[u8; 256]; BYTES],
}

impl<const BYTES: usize> ByteTable<BYTES> {
    /// A table of zeros.
    pub(crate) fn zeroed() -> Self {
        Self { entries: [0; 256], planes: [[0; 256]; BYTES] }
    }

    /// Replaces all entries.
    #[inline(always)]
    pub(crate) fn set(&mut self, entries: &[u32; 256]) {
        self.entries = *entries;
        for (k, plane) in self.planes.iter_mut().enumerate() {
            for (byte, entry) in plane.iter_mut().zip(entries) {
                *byte = (entry >> (8 * k)) as u8;
            }
        }
    }
}

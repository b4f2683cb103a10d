//! The planes of a chunk and their lengths: what the loops write, and the coder reads.

use parans_kernels::float::Layout;
pub(super) use parans_kernels::float::fractions::{BLOCK, fraction_len, packed_len, stride};

/// Most whole byte planes of the rest: those of an eight-byte integer, or of an `F64` that keeps
/// all its exponent.
pub(super) const MAX_WHOLE: usize = 7;

/// The planes of a chunk, one byte per element each, except the packed fraction.
#[derive(Debug, Default)]
pub(super) struct Planes {
    /// The top eight bits of each value.
    pub(super) symbols: Vec<u8>,
    /// The rest's whole bytes, least significant plane first.
    pub(super) whole: [Vec<u8>; MAX_WHOLE],
    /// What the rest has above its whole bytes: packed, or a byte per element.
    pub(super) fraction: Vec<u8>,
}

/// The same, borrowed from wherever decoding found them. A constant plane is a slice of one block,
/// used for all.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PlaneRefs<'a> {
    pub(super) symbols: &'a [u8],
    pub(super) whole: [&'a [u8]; MAX_WHOLE],
    pub(super) fraction: &'a [u8],
    /// Elements whose rests are kept: all, or those that are not zero.
    pub(super) rests: usize,
}

impl Planes {
    /// Sets every plane's length for `elements` elements.
    pub(super) fn resize(&mut self, layout: &Layout, elements: usize) {
        self.symbols.resize(elements, 0);
        for plane in &mut self.whole[..layout.whole_planes()] {
            plane.resize(elements, 0);
        }
        self.fraction.resize(fraction_len(layout, elements), 0);
    }

    /// Cuts the planes of the rests to the `rests` there turned out to be.
    pub(super) fn shorten(&mut self, layout: &Layout, rests: usize) {
        for plane in &mut self.whole[..layout.whole_planes()] {
            plane.truncate(rests);
        }
        self.fraction.truncate(fraction_len(layout, rests));
    }
}

/// A plane from element `at` on; one of at most a block's length is constant or has no other block.
#[inline(always)]
pub(super) fn of_block(plane: &[u8], at: usize) -> &[u8] {
    if plane.len() <= BLOCK { plane } else { &plane[at..] }
}

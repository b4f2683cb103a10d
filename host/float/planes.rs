//! The planes of a chunk and their lengths: what the loops write, and the coder reads.

use super::layout::Layout;

/// Elements that go through a step together. Also the unit of the packed fraction's layout, thus
/// part of the format.
pub(super) const BLOCK: usize = 512;

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

/// Bytes that the fractions of `elements` elements take.
pub(super) fn fraction_len(layout: &Layout, elements: usize) -> usize {
    match (layout.fraction_bits() as usize, layout.packed) {
        (0, _) => 0,
        (_, false) => elements,
        (bits, true) => {
            elements / BLOCK * packed_len(bits, BLOCK) + packed_len(bits, elements % BLOCK)
        }
    }
}

/// Bytes that `elements` fractions, at most a block of them, take when packed.
pub(super) fn packed_len(bits: usize, elements: usize) -> usize {
    [4, 2, 1].into_iter().filter(|part| bits & part != 0).map(|part| stride(part, elements)).sum()
}

/// A part of `part` bits of `elements` elements is `stride` bytes: element `k*stride + j` lies in
/// byte `j`, from bit `k*part` up. Neighbouring elements thus lie in neighbouring bytes, and
/// packing is the same shift in every lane.
pub(super) fn stride(part: usize, elements: usize) -> usize {
    (elements * part).div_ceil(8)
}

/// A plane from element `at` on; one of at most a block's length is constant or has no other block.
#[inline(always)]
pub(super) fn of_block(plane: &[u8], at: usize) -> &[u8] {
    if plane.len() <= BLOCK { plane } else { &plane[at..] }
}

//! Where packed fractions lie: the bits of a rest above its whole bytes.

use super::layout::Layout;

/// Elements whose fractions are packed together.
pub const BLOCK: usize = 512;

/// Bytes that the fractions of `elements` elements take.
pub fn fraction_len(layout: &Layout, elements: usize) -> usize {
    match (layout.fraction_bits() as usize, layout.packed) {
        (0, _) => 0,
        (_, false) => elements,
        (bits, true) => {
            elements / BLOCK * packed_len(bits, BLOCK) + packed_len(bits, elements % BLOCK)
        }
    }
}

/// Bytes that `elements` fractions, at most a block of them, take when packed.
pub fn packed_len(bits: usize, elements: usize) -> usize {
    [4, 2, 1].into_iter().filter(|part| bits & part != 0).map(|part| stride(part, elements)).sum()
}

/// A part of `part` bits of `elements` elements is `stride` bytes: element `k*stride + j` lies in
/// byte `j`, from bit `k*part` up. Neighbouring elements thus lie in neighbouring bytes, and
/// packing is the same shift in every lane.
pub const fn stride(part: usize, elements: usize) -> usize {
    (elements * part).div_ceil(8)
}

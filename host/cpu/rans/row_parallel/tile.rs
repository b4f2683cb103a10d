//! The size of a block of rows and of a tile of columns.

use crate::simd::Simd512;

/// Vectors of states in a block of rows.
pub(super) const VECTORS: usize = 4;

/// Most rows of such a block.
pub(super) const MOST_ROWS: usize = 16 * VECTORS;

/// Vectors of steps in a tile of columns, over all vectors of a block: a tile's data stay within
/// half of the L1 cache.
pub(super) const STEPS: usize = 256;

/// Steps of each vector in a tile.
pub(super) const STEPS_EACH: usize = STEPS / VECTORS;

/// Columns of a tile: the fewer rows a block has, the fewer steps, or a row's part would outgrow
/// the L1 cache.
pub(super) const fn tile_columns(lanes: usize) -> usize {
    if lanes == 1 { STEPS_EACH } else { 2 * STEPS_EACH }
}

/// Turns `16 / L` vectors of a row each into as many of a step each, or back.
#[inline(always)]
pub(super) fn regroup<S: Simd512, const L: usize>(s: S, vectors: &mut [[u32; 16]]) {
    let mut v = [s.splat(0); 16];
    for (v, from) in v.iter_mut().zip(vectors.iter()) {
        *v = s.load(from);
    }
    s.transpose::<L>(&mut v);
    for (&v, to) in v.iter().zip(vectors) {
        s.store(v, to);
    }
}

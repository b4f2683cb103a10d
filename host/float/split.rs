//! The loops: elements to planes, planes to elements, and the pass that gathers statistics.
//!
//! Plain loops over arrays of [`BLOCK`] elements, written so that the compiler turns each into
//! vector code; the [`vectorized`](super::vectorized) module compiles them once per instruction
//! set. Every step is a pass over a block that stays in the first-level cache, which costs less
//! than the shuffles that one fused loop over all planes would need.

use super::pack::{pack, unpack};
use super::planes::{BLOCK, PlaneRefs, Planes, of_block};
use super::values;
use super::vectorized::vectorized;
use super::zeros::{Restorer, ZeroElider};
use parans_kernels::float::Word;
use parans_kernels::float::{Layout, Stats};

vectorized! {
    /// Gathers the statistics of a float chunk: `bytes` holds whole elements.
    pub(super) fn stats<'a, T: Word>(mantissa: u32, bytes: &'a [u8]) -> Stats {
        let normal = T::truncate(1 << mantissa);
        let magnitude = T::truncate(u64::MAX >> 1 >> (64 - T::BITS));
        let all = !T::ZERO;
        let (mut or, mut and, mut smallest, mut largest) = (T::ZERO, all, all, T::ZERO);
        let mut block = [T::ZERO; BLOCK];
        for bytes in bytes.chunks(BLOCK * size_of::<T>()) {
            let block = load(bytes, &mut block);
            for &bits in block.iter() {
                let value = bits & magnitude;
                or = or | bits;
                and = and & bits;
                // Wraps to a large number for zeros and denormals, which have no exponent to move.
                smallest = smallest.min(value.sub(normal));
                largest = largest.max(value);
            }
        }
        let smallest = (smallest <= magnitude).then(|| (smallest.add(normal) >> mantissa).widen() as u32);
        Stats { or: or.widen(), and: and.widen(), smallest, largest: (largest >> mantissa).widen() as u32 }
    }
}

vectorized! {
    /// Cuts the elements of `bytes` (whole elements) into `planes`, which it sizes.
    pub(super) fn split<'a, T: Word>(layout: &'a Layout, bytes: &'a [u8], planes: &'a mut Planes) -> () {
        planes.resize(layout, bytes.len() / size_of::<T>());
        let mut previous = T::ZERO;
        let mut elider = ZeroElider::<T>::new();
        let mut block = [T::ZERO; BLOCK];
        for (i, bytes) in bytes.chunks(BLOCK * size_of::<T>()).enumerate() {
            let block = load(bytes, &mut block);
            let symbols = &mut planes.symbols[i * BLOCK..][..block.len()];
            match (layout.is_float, layout.zero) {
                (true, None) => values::from_floats(layout, block, symbols),
                (true, Some(zero)) => {
                    values::from_floats_with_zeros(layout, zero, block, symbols);
                    elider.push(zero, block, symbols);
                    if let Some((rests, at)) = elider.full_block() {
                        pack(layout, rests, at, planes);
                    }
                    continue;
                }
                (false, _) => values::from_integers(layout, block, &mut previous, symbols),
            }
            pack(layout, block, i * BLOCK, planes);
        }
        if layout.zero.is_some() {
            let (rests, at) = elider.last_block();
            pack(layout, rests, at, planes);
            planes.shorten(layout, at + rests.len());
        }
    }
}

vectorized! {
    /// Puts the elements of `bytes` (whole elements) together again. Every plane has its full
    /// length, or one block's if it is constant; where zeros are elided, the symbols have theirs
    /// in any case.
    pub(super) fn join<'a, T: Word>(layout: &'a Layout, planes: &'a PlaneRefs<'a>, bytes: &'a mut [u8]) -> () {
        let mut previous = T::ZERO;
        let mut restorer = Restorer::<T>::new(planes.rests);
        let mut block = [T::ZERO; BLOCK];
        for (i, bytes) in bytes.chunks_mut(BLOCK * size_of::<T>()).enumerate() {
            let block = &mut block[..bytes.len() / size_of::<T>()];
            let symbols = &of_block(planes.symbols, i * BLOCK)[..block.len()];
            match (layout.is_float, layout.zero) {
                (true, Some(zero)) => {
                    while let Some((rests, at)) = restorer.free_block() {
                        unpack(layout, planes, at, rests);
                    }
                    restorer.pop(zero, symbols, block);
                    values::to_floats_with_zeros(layout, zero, symbols, block);
                }
                (true, None) => {
                    unpack(layout, planes, i * BLOCK, block);
                    values::to_floats(layout, symbols, block);
                }
                (false, _) => {
                    unpack(layout, planes, i * BLOCK, block);
                    values::to_integers(layout, symbols, &mut previous, block);
                }
            }
            store(block, bytes);
        }
    }
}

#[inline(always)]
pub(super) fn load<'a, T: Word>(bytes: &[u8], block: &'a mut [T; BLOCK]) -> &'a mut [T] {
    let block = &mut block[..bytes.len() / size_of::<T>()];
    bytemuck::cast_slice_mut(block).copy_from_slice(bytes);
    if cfg!(target_endian = "big") {
        block.iter_mut().for_each(|bits| *bits = bits.swap_le());
    }
    block
}

#[inline(always)]
pub(super) fn store<T: Word>(block: &mut [T], bytes: &mut [u8]) {
    if cfg!(target_endian = "big") {
        block.iter_mut().for_each(|bits| *bits = bits.swap_le());
    }
    bytes.copy_from_slice(bytemuck::cast_slice(block));
}

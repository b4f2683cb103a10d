//! Rests to byte planes and packed fractions, and back, a block at a time.

use super::planes::{BLOCK, PlaneRefs, Planes, of_block, packed_len, stride};
use parans_kernels::float::Layout;
use parans_kernels::float::Word;

/// Writes the rests of elements `at..at + rests.len()` to their planes. `at` is a multiple of
/// [`BLOCK`], and only the last call has fewer than that many.
#[inline(always)]
pub(super) fn pack<T: Word>(layout: &Layout, rests: &[T], at: usize, planes: &mut Planes) {
    let range = at..at + rests.len();
    let whole = layout.whole_planes();
    for (plane, bytes) in planes.whole[..whole].iter_mut().enumerate() {
        for (byte, &rest) in bytes[range.clone()].iter_mut().zip(rests) {
            *byte = (rest >> (8 * plane as u32)).low_byte();
        }
    }
    let bits = layout.fraction_bits() as usize;
    let shift = 8 * whole as u32;
    if bits != 0 && layout.packed {
        let mut fractions = [0; BLOCK];
        for (byte, &rest) in fractions.iter_mut().zip(rests) {
            *byte = (rest >> shift).low_byte();
        }
        let packed = &mut planes.fraction[at / BLOCK * packed_len(bits, BLOCK)..];
        pack_fractions(&fractions, rests.len(), bits, packed);
    } else if bits != 0 {
        for (byte, &rest) in planes.fraction[range].iter_mut().zip(rests) {
            *byte = (rest >> shift).low_byte();
        }
    }
}

/// Undoes [`pack`].
#[inline(always)]
pub(super) fn unpack<T: Word>(layout: &Layout, planes: &PlaneRefs<'_>, at: usize, rests: &mut [T]) {
    rests.fill(T::ZERO);
    let whole = layout.whole_planes();
    for (plane, &bytes) in planes.whole[..whole].iter().enumerate() {
        for (rest, &byte) in rests.iter_mut().zip(of_block(bytes, at)) {
            *rest = *rest | (T::from_byte(byte) << (8 * plane as u32));
        }
    }
    let bits = layout.fraction_bits() as usize;
    let shift = 8 * whole as u32;
    if bits != 0 && layout.packed {
        let mut fractions = [0; BLOCK];
        let packed = &planes.fraction[at / BLOCK * packed_len(bits, BLOCK)..];
        unpack_fractions(packed, rests.len(), bits, &mut fractions);
        for (rest, &byte) in rests.iter_mut().zip(&fractions) {
            *rest = *rest | (T::from_byte(byte) << shift);
        }
    } else if bits != 0 {
        for (rest, &byte) in rests.iter_mut().zip(of_block(planes.fraction, at)) {
            *rest = *rest | (T::from_byte(byte) << shift);
        }
    }
}

/// Packs the low `bits` bits of the first `elements` fractions into `packed`: parts of 4, 2 and 1
/// bits, each present if that bit of `bits` is set, the first from the fraction's low bits.
#[inline(always)]
fn pack_fractions(fractions: &[u8; BLOCK], elements: usize, bits: usize, mut packed: &mut [u8]) {
    let mut shift = 0;
    for part in [4, 2, 1] {
        if bits & part == 0 {
            continue;
        }
        let (bytes, others) = packed.split_at_mut(stride(part, elements));
        match (part, elements) {
            (4, BLOCK) => pack_block::<4>(fractions, shift, bytes),
            (2, BLOCK) => pack_block::<2>(fractions, shift, bytes),
            (1, BLOCK) => pack_block::<1>(fractions, shift, bytes),
            _ => {
                bytes.fill(0);
                for k in 0..8 / part {
                    let from = (k * bytes.len()).min(elements);
                    for (byte, fraction) in bytes.iter_mut().zip(&fractions[from..elements]) {
                        *byte |= ((fraction >> shift) & ((1 << part) - 1)) << (k * part);
                    }
                }
            }
        }
        shift += part;
        packed = others;
    }
}

#[inline(always)]
fn pack_block<const PART: usize>(fractions: &[u8; BLOCK], shift: usize, bytes: &mut [u8]) {
    let stride = BLOCK * PART / 8;
    for (j, byte) in bytes[..stride].iter_mut().enumerate() {
        let mut packed = 0;
        for k in 0..8 / PART {
            packed |= ((fractions[k * stride + j] >> shift) & ((1 << PART) - 1)) << (k * PART);
        }
        *byte = packed;
    }
}

/// Undoes [`pack`]; `fractions` is zero at first.
#[inline(always)]
fn unpack_fractions(mut packed: &[u8], elements: usize, bits: usize, fractions: &mut [u8; BLOCK]) {
    let mut shift = 0;
    for part in [4, 2, 1] {
        if bits & part == 0 {
            continue;
        }
        let (bytes, others) = packed.split_at(stride(part, elements));
        match (part, elements) {
            (4, BLOCK) => unpack_block::<4>(bytes, shift, fractions),
            (2, BLOCK) => unpack_block::<2>(bytes, shift, fractions),
            (1, BLOCK) => unpack_block::<1>(bytes, shift, fractions),
            _ => {
                for k in 0..8 / part {
                    let from = (k * bytes.len()).min(elements);
                    for (byte, fraction) in bytes.iter().zip(&mut fractions[from..elements]) {
                        *fraction |= ((byte >> (k * part)) & ((1 << part) - 1)) << shift;
                    }
                }
            }
        }
        shift += part;
        packed = others;
    }
}

#[inline(always)]
fn unpack_block<const PART: usize>(bytes: &[u8], shift: usize, fractions: &mut [u8; BLOCK]) {
    let stride = BLOCK * PART / 8;
    for (k, fractions) in fractions.chunks_exact_mut(stride).enumerate() {
        for (fraction, byte) in fractions.iter_mut().zip(&bytes[..stride]) {
            *fraction |= ((byte >> (k * PART)) & ((1 << PART) - 1)) << shift;
        }
    }
}

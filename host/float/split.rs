//! The loops: elements to planes, planes to elements, and the pass that gathers statistics.
//!
//! Plain loops over arrays of [`BLOCK`] elements, written so that the compiler turns each into vector code; the
//! [`isa`](super::isa) module compiles them once per instruction set. Every step is a pass over a block that stays in
//! the first-level cache, which costs less than the shuffles that one fused loop over all planes would need.

use super::isa::multiversion;
use super::layout::{Filter, Layout, Sign, Stats};
use super::word::Word;

/// Elements that go through a step together. Also the unit of the packed fraction's layout, thus part of the format.
pub(super) const BLOCK: usize = 512;

/// Most whole byte planes of the rest: those of an eight-byte integer, or of an `F64` that keeps all its exponent.
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

/// The same, borrowed from wherever decoding found them. A constant plane is a slice of one block, used for all.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PlaneRefs<'a> {
    pub(super) symbols: &'a [u8],
    pub(super) whole: [&'a [u8]; MAX_WHOLE],
    pub(super) fraction: &'a [u8],
}

impl Planes {
    /// Sets every plane's length for `elements` elements.
    fn resize(&mut self, layout: &Layout, elements: usize) {
        self.symbols.resize(elements, 0);
        for plane in &mut self.whole[..layout.whole_planes()] {
            plane.resize(elements, 0);
        }
        self.fraction.resize(fraction_len(layout, elements), 0);
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
fn packed_len(bits: usize, elements: usize) -> usize {
    [4, 2, 1].into_iter().filter(|part| bits & part != 0).map(|part| stride(part, elements)).sum()
}

/// A part of `part` bits of `elements` elements is `stride` bytes: element `k*stride + j` lies in byte `j`, from bit
/// `k*part` up. Neighbouring elements thus lie in neighbouring bytes, and packing is the same shift in every lane.
fn stride(part: usize, elements: usize) -> usize {
    (elements * part).div_ceil(8)
}

multiversion! {
    /// Gathers the statistics of a float chunk: `bytes` holds whole elements.
    pub(super) fn stats<T: Word>(isa, mantissa: u32, bytes: &[u8]) -> Stats {
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

multiversion! {
    /// Cuts the elements of `bytes` (whole elements) into `planes`, which it sizes.
    pub(super) fn split<T: Word>(isa, layout: &Layout, bytes: &[u8], planes: &mut Planes) {
        let elements = bytes.len() / size_of::<T>();
        planes.resize(layout, elements);
        let fraction_bits = layout.fraction_bits() as usize;
        let mut fraction_at = 0;
        let mut previous = T::ZERO;
        let mut block = [T::ZERO; BLOCK];
        for (i, bytes) in bytes.chunks(BLOCK * size_of::<T>()).enumerate() {
            let block = load(bytes, &mut block);
            let range = i * BLOCK..i * BLOCK + block.len();
            let symbols = &mut planes.symbols[range.clone()];
            if layout.is_float {
                float_values(layout, block, symbols);
            } else {
                integer_values(layout, block, &mut previous, symbols);
            }
            for (plane, whole) in planes.whole[..layout.whole_planes()].iter_mut().enumerate() {
                for (byte, &rest) in whole[range.clone()].iter_mut().zip(block.iter()) {
                    *byte = (rest >> (8 * plane as u32)).low_byte();
                }
            }
            if fraction_bits == 0 {
                continue;
            }
            let shift = 8 * layout.whole_planes() as u32;
            if layout.packed {
                let mut fractions = [0; BLOCK];
                for (byte, &rest) in fractions.iter_mut().zip(block.iter()) {
                    *byte = (rest >> shift).low_byte();
                }
                let len = packed_len(fraction_bits, block.len());
                pack(&fractions, block.len(), fraction_bits, &mut planes.fraction[fraction_at..][..len]);
                fraction_at += len;
            } else {
                for (byte, &rest) in planes.fraction[range].iter_mut().zip(block.iter()) {
                    *byte = (rest >> shift).low_byte();
                }
            }
        }
    }
}

multiversion! {
    /// Puts the elements of `bytes` (whole elements) together again. Every plane has its full length, or one block's
    /// if it is constant.
    pub(super) fn join<T: Word>(isa, layout: &Layout, planes: &PlaneRefs<'_>, bytes: &mut [u8]) {
        let fraction_bits = layout.fraction_bits() as usize;
        let whole = &planes.whole[..layout.whole_planes()];
        let mut fraction_at = 0;
        let mut previous = T::ZERO;
        let mut block = [T::ZERO; BLOCK];
        for (i, bytes) in bytes.chunks_mut(BLOCK * size_of::<T>()).enumerate() {
            let block = &mut block[..bytes.len() / size_of::<T>()];
            block.fill(T::ZERO);
            for (plane, &whole) in whole.iter().enumerate() {
                for (rest, &byte) in block.iter_mut().zip(of_block(whole, i)) {
                    *rest = *rest | (T::from_byte(byte) << (8 * plane as u32));
                }
            }
            let shift = 8 * whole.len() as u32;
            if fraction_bits != 0 && layout.packed {
                let mut fractions = [0; BLOCK];
                let len = packed_len(fraction_bits, block.len());
                unpack(&planes.fraction[fraction_at..][..len], block.len(), fraction_bits, &mut fractions);
                fraction_at += len;
                for (rest, &byte) in block.iter_mut().zip(&fractions) {
                    *rest = *rest | (T::from_byte(byte) << shift);
                }
            } else if fraction_bits != 0 {
                for (rest, &byte) in block.iter_mut().zip(of_block(planes.fraction, i)) {
                    *rest = *rest | (T::from_byte(byte) << shift);
                }
            }
            let symbols = of_block(planes.symbols, i);
            if layout.is_float {
                float_elements(layout, symbols, block);
            } else {
                integer_elements(layout, symbols, &mut previous, block);
            }
            store(block, bytes);
        }
    }
}

/// The part of a plane that belongs to block `i`; a plane of at most a block's length is constant or the only block.
#[inline(always)]
fn of_block(plane: &[u8], i: usize) -> &[u8] {
    if plane.len() <= BLOCK { plane } else { &plane[i * BLOCK..] }
}

#[inline(always)]
fn load<'a, T: Word>(bytes: &[u8], block: &'a mut [T; BLOCK]) -> &'a mut [T] {
    let block = &mut block[..bytes.len() / size_of::<T>()];
    bytemuck::cast_slice_mut(block).copy_from_slice(bytes);
    if cfg!(target_endian = "big") {
        block.iter_mut().for_each(|bits| *bits = bits.swap_le());
    }
    block
}

#[inline(always)]
fn store<T: Word>(block: &mut [T], bytes: &mut [u8]) {
    if cfg!(target_endian = "big") {
        block.iter_mut().for_each(|bits| *bits = bits.swap_le());
    }
    bytes.copy_from_slice(bytemuck::cast_slice(block));
}

/// Symbols of a block of floats; leaves the rests in `block`.
#[inline(always)]
fn float_values<T: Word>(layout: &Layout, block: &mut [T], symbols: &mut [u8]) {
    let magnitude = T::truncate(u64::MAX >> 1 >> (64 - T::BITS));
    let base = T::truncate(layout.base);
    let top = layout.value_bits - 8;
    let low = T::truncate((1 << top) - 1);
    let kept = T::truncate(u64::from(layout.sign == Sign::Kept));
    for (bits, symbol) in block.iter_mut().zip(symbols) {
        let moved = (*bits & magnitude) >> layout.dropped;
        // Values below `base` wrap to something larger: the minimum moves exactly the others.
        let value = moved.min(moved.sub(base));
        *symbol = (value >> top).low_byte();
        *bits = (value & low) | (((*bits >> (T::BITS - 1)) & kept) << top);
    }
}

/// Undoes [`float_values`].
#[inline(always)]
fn float_elements<T: Word>(layout: &Layout, symbols: &[u8], block: &mut [T]) {
    let base = T::truncate(layout.base);
    let unit = T::truncate(layout.exponent_unit);
    let top = layout.value_bits - 8;
    let low = T::truncate((1 << top) - 1);
    let (kept, set) = match layout.sign {
        Sign::Kept => (!T::ZERO, T::ZERO),
        Sign::Constant(negative) => (T::ZERO, T::truncate(u64::from(negative)) << (T::BITS - 1)),
    };
    for (bits, &symbol) in block.iter_mut().zip(symbols) {
        let value = (T::from_byte(symbol) << top) | (*bits & low);
        let moved = if value < unit { value } else { value.add(base) };
        let sign = (*bits >> top) << (T::BITS - 1);
        *bits = (moved << layout.dropped) | (sign & kept) | set;
    }
}

/// Symbols of a block of integers; leaves the rests in `block`. `previous` is the element before the block.
#[inline(always)]
fn integer_values<T: Word>(layout: &Layout, block: &mut [T], previous: &mut T, symbols: &mut [u8]) {
    let top = T::BITS - 8;
    if layout.filter == Filter::Delta {
        let last = *block.last().unwrap_or(previous);
        for i in (1..block.len()).rev() {
            block[i] = block[i].sub(block[i - 1]);
        }
        if let Some(first) = block.first_mut() {
            *first = first.sub(*previous);
        }
        *previous = last;
    }
    if layout.filter != Filter::None {
        for bits in block.iter_mut() {
            *bits = (*bits << 1) ^ T::ZERO.sub(*bits >> (T::BITS - 1));
        }
    }
    for (bits, symbol) in block.iter_mut().zip(symbols) {
        *symbol = (*bits >> top).low_byte();
    }
}

/// Undoes [`integer_values`].
#[inline(always)]
fn integer_elements<T: Word>(layout: &Layout, symbols: &[u8], previous: &mut T, block: &mut [T]) {
    let top = T::BITS - 8;
    for (bits, &symbol) in block.iter_mut().zip(symbols) {
        *bits = *bits | (T::from_byte(symbol) << top);
    }
    if layout.filter != Filter::None {
        for bits in block.iter_mut() {
            *bits = (*bits >> 1) ^ T::ZERO.sub(*bits & T::from_byte(1));
        }
    }
    if layout.filter == Filter::Delta {
        for bits in block.iter_mut() {
            *previous = previous.add(*bits);
            *bits = *previous;
        }
    }
}

/// Packs the low `bits` bits of the first `elements` fractions into `packed`: parts of 4, 2 and 1 bits, each present if
/// that bit of `bits` is set, the first from the fraction's low bits.
#[inline(always)]
fn pack(fractions: &[u8; BLOCK], elements: usize, bits: usize, mut packed: &mut [u8]) {
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
fn unpack(mut packed: &[u8], elements: usize, bits: usize, fractions: &mut [u8; BLOCK]) {
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

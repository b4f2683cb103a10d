//! Elements to symbols and rests, and back: the arithmetic of a [`Layout`], a block at a time.

use parans_kernels::float::{Filter, FloatCut, Layout, Word, unzigzag, zigzag};

use super::planes::BLOCK;

/// Symbols of a block of floats; leaves the rests in `block`.
#[inline(always)]
pub(super) fn from_floats<T: Word>(layout: &Layout, block: &mut [T], symbols: &mut [u8]) {
    let cut = FloatCut::<T>::new(layout);
    for (bits, symbol) in block.iter_mut().zip(&mut *symbols) {
        (*symbol, *bits) = cut.cut(*bits);
    }
}

/// Undoes [`from_floats`].
#[inline(always)]
pub(super) fn to_floats<T: Word>(layout: &Layout, symbols: &[u8], block: &mut [T]) {
    let cut = FloatCut::<T>::new(layout);
    for (bits, &symbol) in block.iter_mut().zip(symbols) {
        *bits = cut.join(symbol, *bits);
    }
}

/// [`from_floats`] where zeros have the symbols `zero` (positive) and `zero + 1`, and a rest that
/// means nothing.
#[inline(always)]
pub(super) fn from_floats_with_zeros<T: Word>(
    layout: &Layout,
    zero: u8,
    block: &mut [T],
    symbols: &mut [u8],
) {
    // A pass of its own before the other, which overwrites the elements.
    let mut zeros = [0; BLOCK];
    for (zeros, &bits) in zeros.iter_mut().zip(block.iter()) {
        let negative = (bits >> (T::BITS - 1)).low_byte();
        *zeros = if bits << 1 == T::ZERO { 2 + negative } else { 0 };
    }
    from_floats(layout, block, symbols);
    for (symbol, &zeros) in symbols.iter_mut().zip(&zeros) {
        *symbol = if zeros == 0 { *symbol } else { zero + (zeros & 1) };
    }
}

/// Undoes [`from_floats_with_zeros`].
#[inline(always)]
pub(super) fn to_floats_with_zeros<T: Word>(
    layout: &Layout,
    zero: u8,
    symbols: &[u8],
    block: &mut [T],
) {
    to_floats(layout, symbols, block);
    for (bits, &symbol) in block.iter_mut().zip(symbols) {
        let negative = symbol.wrapping_sub(zero);
        *bits = if negative <= 1 { T::from_byte(negative) << (T::BITS - 1) } else { *bits };
    }
}

/// Symbols of a block of integers; leaves the rests in `block`. `previous` is the element before
/// the block.
#[inline(always)]
pub(super) fn from_integers<T: Word>(
    layout: &Layout,
    block: &mut [T],
    previous: &mut T,
    symbols: &mut [u8],
) {
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
            *bits = zigzag(*bits);
        }
    }
    for (bits, symbol) in block.iter_mut().zip(symbols) {
        *symbol = (*bits >> top).low_byte();
    }
}

/// Undoes [`from_integers`].
#[inline(always)]
pub(super) fn to_integers<T: Word>(
    layout: &Layout,
    symbols: &[u8],
    previous: &mut T,
    block: &mut [T],
) {
    let top = T::BITS - 8;
    for (bits, &symbol) in block.iter_mut().zip(symbols) {
        *bits = *bits | (T::from_byte(symbol) << top);
    }
    if layout.filter != Filter::None {
        for bits in block.iter_mut() {
            *bits = unzigzag(*bits);
        }
    }
    if layout.filter == Filter::Delta {
        for bits in block.iter_mut() {
            *previous = previous.add(*bits);
            *bits = *previous;
        }
    }
}

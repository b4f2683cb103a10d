//! Elements and their base to words that are small where both resemble each other, and back.

use super::super::planes::BLOCK;
use super::super::split::{load, store};
use super::super::vectorized::vectorized;
use parans_kernels::float::Word;

/// What is made of an element and its base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// The zigzag of the difference of floats as integers in the order of their values.
    Floats,
    /// The zigzag of the difference.
    Integers,
    /// The bits that differ.
    Xor,
}

/// A float's bits as an integer that grows with the float, and has the sign at the top inverted:
/// from the largest negative number to the largest positive one there is no gap.
#[inline(always)]
fn ordered<T: Word>(bits: T) -> T {
    let negative = T::ZERO.sub(bits >> (T::BITS - 1));
    bits ^ (negative | sign::<T>())
}

/// Undoes [`ordered`].
#[inline(always)]
fn unordered<T: Word>(value: T) -> T {
    let positive = T::ZERO.sub(value >> (T::BITS - 1));
    value ^ (!positive | sign::<T>())
}

#[inline(always)]
fn sign<T: Word>() -> T {
    T::truncate(1 << (T::BITS - 1))
}

#[inline(always)]
fn zigzag<T: Word>(value: T) -> T {
    (value << 1) ^ T::ZERO.sub(value >> (T::BITS - 1))
}

#[inline(always)]
fn unzigzag<T: Word>(value: T) -> T {
    (value >> 1) ^ T::ZERO.sub(value & T::from_byte(1))
}

vectorized! {
    /// Makes a word of each element of `bytes` and of `base`, whole elements both, and returns how
    /// many low bits of the differences are zero in all of them; those bits of the words then hold
    /// nothing of their own.
    pub(super) fn compute<'a, T: Word>(
        method: Method,
        bytes: &'a [u8],
        base: &'a [u8],
        words: &'a mut [T],
    ) -> u32 {
        let (mut one, mut other) = ([T::ZERO; BLOCK], [T::ZERO; BLOCK]);
        let mut any = T::ZERO;
        let size = BLOCK * size_of::<T>();
        let pairs = bytes.chunks(size).zip(base.chunks(size));
        for ((bytes, base), words) in pairs.zip(words.chunks_mut(BLOCK)) {
            let (one, other) = (load(bytes, &mut one), load(base, &mut other));
            match method {
                Method::Floats => {
                    for ((&mut one, &mut other), word) in one.iter_mut().zip(other).zip(words) {
                        let difference = ordered(one).sub(ordered(other));
                        any = any | difference;
                        *word = zigzag(difference);
                    }
                }
                Method::Integers => {
                    for ((&mut one, &mut other), word) in one.iter_mut().zip(other).zip(words) {
                        let difference = one.sub(other);
                        any = any | difference;
                        *word = zigzag(difference);
                    }
                }
                Method::Xor => {
                    for ((&mut one, &mut other), word) in one.iter_mut().zip(other).zip(words) {
                        *word = one ^ other;
                        any = any | *word;
                    }
                }
            }
        }
        (any.widen() | 1 << (T::BITS - 1)).trailing_zeros()
    }
}

vectorized! {
    /// Undoes [`compute`]; the words are without the `dropped` bits.
    pub(super) fn apply<'a, T: Word>(
        method: Method,
        dropped: u32,
        words: &'a [T],
        base: &'a [u8],
        out: &'a mut [u8],
    ) -> () {
        let mut block = [T::ZERO; BLOCK];
        let size = BLOCK * size_of::<T>();
        let pairs = words.chunks(BLOCK).zip(base.chunks(size));
        for ((words, base), out) in pairs.zip(out.chunks_mut(size)) {
            let block = load(base, &mut block);
            match method {
                Method::Floats => {
                    for (element, &word) in block.iter_mut().zip(words) {
                        *element = unordered(ordered(*element).add(unzigzag(word) << dropped));
                    }
                }
                Method::Integers => {
                    for (element, &word) in block.iter_mut().zip(words) {
                        *element = element.add(unzigzag(word) << dropped);
                    }
                }
                Method::Xor => {
                    for (element, &word) in block.iter_mut().zip(words) {
                        *element = *element ^ (word << dropped);
                    }
                }
            }
            store(block, out);
        }
    }
}

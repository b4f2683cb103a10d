//! Vectors of eight elements: what coding rows side by side needs of an instruction set of 128 or
//! 256 bits.
//!
//! A token here is a type of its own, which has these operations and no others. Tables are read by
//! [`Quad`]s, entries of 16 bytes that one load brings: where gathers are slow, or wanted for
//! something else, four loads and four shuffles bring as much as four gathers.

#[cfg(test)]
mod tests;

use bytemuck::{Pod, Zeroable};

use super::aligned::Aligned;
use super::traits::{Bits, RunOn};

/// An entry of a table, on 16 bytes of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(16))]
pub(crate) struct Quad(pub(crate) [u32; 4]);

/// The most entries of a table of quads: more than 64 MiB of them would be slower than smaller
/// entries.
pub(crate) const MOST_QUADS: usize = 1 << 22;

/// A table of quads that is not empty, as loops read it.
#[derive(Clone, Copy)]
pub(crate) struct Quads<'a, V> {
    table: &'a [Quad],
    last: V,
}

impl<'a, V: Copy> Quads<'a, V> {
    /// `None` where the table is empty or too large.
    #[inline(always)]
    pub(crate) fn new<S: Octets<V = V>>(s: S, table: &'a [Quad]) -> Option<Self> {
        let last = last_of(table)?;
        Some(Self { table, last: s.splat(last) })
    }

    /// The table, and the last index in every element.
    #[inline(always)]
    pub(super) fn parts(&self) -> (&'a [Quad], V) {
        (self.table, self.last)
    }
}

/// The last index of a table, unless it is empty or too large.
fn last_of(table: &[Quad]) -> Option<u32> {
    (table.len() <= MOST_QUADS).then(|| table.len().checked_sub(1)).flatten().map(|i| i as u32)
}

/// How many places there are in [`Places`].
pub(crate) const PLACES: usize = 2048;

/// Places in a table of quads, written down for many loads: each lies inside the table.
pub(crate) struct Places<'a> {
    table: &'a [Quad],
    last: u32,
    /// In bytes.
    offsets: Box<Aligned<[u32; PLACES]>>,
}

impl<'a> Places<'a> {
    /// All at the first entry; `None` where the table is empty or too large.
    pub(crate) fn new(table: &'a [Quad]) -> Option<Self> {
        let last = last_of(table)?;
        Some(Self { table, last, offsets: Box::new(Aligned([0; PLACES])) })
    }

    /// Sets a place to an entry, or to the table's last one if there are not so many.
    #[inline(always)]
    pub(crate) fn set(&mut self, at: usize, entry: u32) {
        self.offsets[at] = entry.min(self.last) * size_of::<Quad>() as u32;
    }

    /// Sets a range of places likewise.
    pub(crate) fn fill(&mut self, range: std::ops::Range<usize>, entry: u32) {
        self.offsets[range].fill(entry.min(self.last) * size_of::<Quad>() as u32);
    }

    /// A range of places, eight at a time.
    #[inline(always)]
    pub(crate) fn eights(
        &mut self,
        range: std::ops::Range<usize>,
    ) -> impl Iterator<Item = EightPlaces<'_>> {
        let last = self.last;
        let (eights, _) = self.offsets[range].as_chunks_mut();
        eights.iter_mut().map(move |offsets| EightPlaces { last, offsets })
    }

    /// The same to read from, as loops have it in variables of their own.
    #[inline(always)]
    pub(crate) fn view(&self) -> PlacesView<'_> {
        PlacesView { table: self.table, offsets: &self.offsets }
    }
}

/// [`Places`] to read from.
#[derive(Clone, Copy)]
pub(crate) struct PlacesView<'a> {
    table: &'a [Quad],
    offsets: &'a [u32; PLACES],
}

impl<'a> PlacesView<'a> {
    /// The table, and every place in bytes.
    #[inline(always)]
    pub(super) fn parts(self) -> (&'a [Quad], &'a [u32; PLACES]) {
        (self.table, self.offsets)
    }
}

/// Eight of [`Places`].
pub(crate) struct EightPlaces<'a> {
    last: u32,
    offsets: &'a mut [u32; 8],
}

impl EightPlaces<'_> {
    /// The last index of the table, and the places in bytes.
    #[inline(always)]
    pub(super) fn parts(&mut self) -> (u32, &mut [u32; 8]) {
        (self.last, self.offsets)
    }
}

/// Arithmetic on eight `u32` elements and on eight `u64`. It wraps. A truth value is an element of
/// ones or zeros.
pub(crate) trait OctetArithmetic: Bits {
    /// Eight `u32`.
    type V: Copy;
    /// Eight `u64`.
    type W: Copy;
    /// All elements equal.
    fn splat(self, value: u32) -> Self::V;
    /// Eight elements.
    fn load(self, from: &[u32; 8]) -> Self::V;
    /// Inverse of [`load`](Self::load).
    fn store(self, v: Self::V, to: &mut [u32; 8]);
    /// Sum.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// Difference.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// Low half of the product.
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// Bitwise and.
    fn and(self, a: Self::V, b: Self::V) -> Self::V;
    /// Bitwise and of the opposite of `a` with `b`.
    fn and_not(self, a: Self::V, b: Self::V) -> Self::V;
    /// Bitwise or.
    fn or(self, a: Self::V, b: Self::V) -> Self::V;
    /// Shift left by a constant below 32.
    fn shl<const BITS: i32>(self, v: Self::V) -> Self::V;
    /// Shift right by a constant below 32.
    fn shr<const BITS: i32>(self, v: Self::V) -> Self::V;
    /// Shift left, each element by as many bits as `bits` says; 0 from 32 bits on.
    fn shl_by(self, v: Self::V, bits: Self::V) -> Self::V;
    /// Shift right likewise.
    fn shr_by(self, v: Self::V, bits: Self::V) -> Self::V;
    /// The smaller, unsigned.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// The larger, unsigned.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// Signed `a > b`.
    fn gt(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a == b`.
    fn eq(self, a: Self::V, b: Self::V) -> Self::V;
    /// The sign of each element, element 0 lowest.
    fn signs(self, v: Self::V) -> u8;
    /// Whether any bit is set.
    fn any(self, v: Self::V) -> bool;
    /// The nearest integers to `x * factor`, whose elements are `f32`; `x` below 2^31, the products
    /// below 2^22.
    fn round_product(self, x: Self::V, factor: Self::V) -> Self::V;
    /// All elements equal.
    fn splat64(self, value: u64) -> Self::W;
    /// Eight elements.
    fn load64(self, from: &[u64; 8]) -> Self::W;
    /// Inverse of [`load64`](Self::load64).
    fn store64(self, v: Self::W, to: &mut [u64; 8]);
    /// Zero extended.
    fn widen(self, v: Self::V) -> Self::W;
    /// The low halves.
    fn narrow(self, v: Self::W) -> Self::V;
    /// The high halves.
    fn narrow_high(self, v: Self::W) -> Self::V;
    /// Sum.
    fn add64(self, a: Self::W, b: Self::W) -> Self::W;
    /// Difference.
    fn sub64(self, a: Self::W, b: Self::W) -> Self::W;
    /// Product of the low halves.
    fn mul_low(self, a: Self::W, b: Self::W) -> Self::W;
    /// Bitwise and.
    fn and64(self, a: Self::W, b: Self::W) -> Self::W;
    /// Bitwise or.
    fn or64(self, a: Self::W, b: Self::W) -> Self::W;
    /// Shift left by a constant below 64.
    fn shl64<const BITS: i32>(self, v: Self::W) -> Self::W;
    /// Shift right by a constant below 64.
    fn shr64<const BITS: i32>(self, v: Self::W) -> Self::W;
    /// Shift left, each element by as many bits as `bits` says; 0 from 64 bits on.
    fn shl64_by(self, v: Self::W, bits: Self::W) -> Self::W;
    /// Shift right likewise.
    fn shr64_by(self, v: Self::W, bits: Self::W) -> Self::W;
    /// The nearest integers to `x * factor`, whose elements are `f64`; `x` below 2^63, the products
    /// below 2^51.
    fn round_product64(self, x: Self::W, factor: Self::W) -> Self::W;
    /// The sign of each byte, byte 0 lowest.
    fn byte_signs(self, v: Self::V) -> u32;
}

/// The same with tables, words in memory, and moves of elements.
pub(crate) trait Octets: OctetArithmetic {
    /// Runs `work` in a function compiled with the features of this level.
    fn vectorize<Work: RunOn<Self>>(self, work: Work) -> Work::Output;
    /// Prefetches the cache line of `values[at]`, which need not exist, into the L1 cache.
    fn prefetch_near<T>(self, values: &[T], at: usize);
    /// The same, to be written soon.
    fn prefetch_to_write<T>(self, values: &mut [T], at: usize);
    /// Copies a cache line, non-temporally where `to` is aligned to 64 bytes.
    /// [`fence`](Self::fence) must follow before anyone reads it.
    fn copy_non_temporal(self, from: &[u32; 16], to: &mut [u32; 16]);
    /// Ends a series of [`copy_non_temporal`](Self::copy_non_temporal).
    fn fence(self);
    /// `table[min(i, last)]` for each element `i`. The table must not be empty.
    fn gather(self, table: &[u32], index: Self::V) -> Self::V;
    /// The four bytes that end before byte `end` of `bytes`, little-endian; where fewer than four
    /// precede it, they stand at the top. An end outside `bytes` gives anything. `bytes` has at
    /// least four and fewer than 2^31.
    fn gather_before(self, bytes: &[u8], end: Self::V) -> Self::V;
    /// As [`gather`](Self::gather), by a load for each: where a state waits for what is found.
    #[inline(always)]
    fn look_up(self, table: &[u32], index: Self::V) -> Self::V {
        self.gather(table, index)
    }
    /// `table[min(i, last - 1)]` for each element `i`, zero extended: the last value of the table,
    /// which has two at least, is never found.
    #[inline(always)]
    fn look_up_u16(self, table: &[u16], index: Self::V) -> Self::V {
        let last = table.len().checked_sub(2).expect("a table has two values at least");
        let mut at = [0; 8];
        self.store(index, &mut at);
        self.load(&at.map(|at| u32::from(table[last.min(at as usize)])))
    }
    /// The eight bytes that end before byte `end` of `bytes`, little-endian. An end outside
    /// `bytes`, or with fewer before it, gives anything. `bytes` has at least eight.
    #[inline(always)]
    fn load_eight_before(self, bytes: &[u8], end: Self::V) -> Self::W {
        let last = bytes.len().checked_sub(8).expect("there are eight bytes");
        let mut ends = [0; 8];
        self.store(end, &mut ends);
        self.load64(&ends.map(|end| {
            let from = last.min((end as usize).wrapping_sub(8));
            bytes[from..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
        }))
    }
    /// Stores each element as eight little-endian bytes from byte `min(at, last)` of `to` on, where
    /// `last` is the largest that leaves eight. There must be eight. Elements are stored in any
    /// order.
    #[inline(always)]
    fn store_eight(self, v: Self::W, to: &mut [u8], at: Self::V) {
        let last = to.len().checked_sub(8).expect("there are eight bytes");
        let (mut places, mut values) = ([0; 8], [0; 8]);
        self.store(at, &mut places);
        self.store64(v, &mut values);
        for (at, value) in places.into_iter().zip(values) {
            if let Some(to) = to[last.min(at as usize)..].first_chunk_mut() {
                *to = u64::to_le_bytes(value);
            }
        }
    }
    /// The `table[min(i, last)]` of each element `i`: result `k` has element `k` of all.
    fn load_quads(self, table: &Quads<'_, Self::V>, index: Self::V) -> [Self::V; 4];
    /// Sets eight places, as [`Places::set`] does.
    fn set_places(self, places: EightPlaces<'_>, entries: Self::V);
    /// The entries at eight places, blocks of `L` from `at` on, each `stride` places after the one
    /// before: result `k` has element `k` of all.
    fn quads_at<const L: usize>(
        self,
        places: PlacesView<'_>,
        at: usize,
        stride: usize,
    ) -> [Self::V; 4];
    /// The same entries as two `u64` each.
    fn pairs_at<const L: usize>(
        self,
        places: PlacesView<'_>,
        at: usize,
        stride: usize,
    ) -> [Self::W; 2];
    /// Regroups blocks of `L` elements (a power of two) between vectors, as the transpose of a
    /// matrix of `8 / L` by `8 / L` blocks: block c of vector r goes to block r of vector c. Only
    /// the first `8 / L` vectors take part.
    fn transpose<const L: usize>(self, v: [Self::V; 8]) -> [Self::V; 8];
    /// The low halves of sixteen elements as 16-bit words: those of `a` in the low half of the
    /// vector, those of `b` in its high half.
    fn pack(self, a: Self::V, b: Self::V) -> Self::V;
    /// [`transpose`](Self::transpose) of the words of both halves, each half by itself.
    fn transpose_words<const L: usize>(self, v: [Self::V; 8]) -> [Self::V; 8];
    /// Moves the elements of the mask to the front of `out`, each block of `L` from its last
    /// element on; what follows them is unspecified.
    fn compress<const L: usize>(self, v: Self::V, mask: u8, out: &mut [u32; 8]);
    /// Moves the words of each half likewise to the front of the half.
    fn compress_words<const L: usize>(self, v: Self::V, masks: [u8; 2]) -> Self::V;
    /// Stores half the words.
    fn store_words<const HALF: i32>(self, v: Self::V, out: &mut [u16; 8]);
    /// Moves the bytes of half the words, two per word, likewise to the front of `out`; a word's
    /// lower byte goes first.
    fn compress_bytes<const L: usize, const HALF: i32>(
        self,
        v: Self::V,
        mask: u16,
        out: &mut [u8; 16],
    );
    /// How many of the elements before each one in its block of `L` are in the mask.
    fn before<const L: usize>(self, mask: u8) -> Self::V;
    /// How many of the elements of each one's block of `L` are in the mask.
    fn total<const L: usize>(self, mask: u8) -> Self::V;
    /// Deals out the words before word `end` of `words`, the last first: each element of the mask
    /// gets the next, the others 0. Where fewer than eight precede it, 0 stands for the others; an
    /// end outside `words` gives anything.
    fn expand_words(self, words: &[u16], end: usize, mask: u8) -> Self::V;
    /// Deals out words of 32 bits likewise; elements outside the mask get anything.
    fn expand_eight(self, words: &[u32], end: usize, mask: u8) -> Self::V;
    /// Deals out words likewise to each half of the elements, from an end of its own, where four
    /// have to precede it.
    fn expand_fours(self, words: &[u32], ends: [usize; 2], mask: u8) -> Self::V;
}

/// The words before an end, as many as there are, behind zeros.
#[cold]
#[inline(never)]
pub(super) fn last_words<W: Copy + Default, const N: usize>(words: &[W], end: usize) -> [W; N] {
    let mut last = [W::default(); N];
    for (back, word) in last.iter_mut().rev().enumerate() {
        *word = words.get(end.wrapping_sub(back + 1)).copied().unwrap_or_default();
    }
    last
}

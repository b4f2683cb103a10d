//! What coding rows across vector elements needs beyond [`Simd`](super::Simd): states of 64 bits, tables of any size, symbols of any type, and
//! moving blocks between row order and element order.
//!
//! A trait of its own, because only instruction sets with masks, variable shifts and compression to bytes make it pay: the others run
//! several rows in scalar registers at once instead, which needs no vectors.

use super::ByteTable;

/// Operations on sixteen elements of 32 or 64 bits. A value is a token, as with [`Simd`](super::Simd). Arithmetic wraps.
///
/// Masks are sixteen bits, element 0 lowest.
pub(crate) trait RowSimd: Copy + 'static {
    /// Sixteen `u32`.
    type U32: Copy;
    /// Sixteen `u64`.
    type U64: Copy;

    /// Runs `work` in a function compiled with the features of this level.
    fn vectorize<W: RowWork>(self, work: W) -> W::Output;

    /// Asks for the cache line of `values[at]`, which need not exist, to be brought to the second-level cache.
    fn prefetch<T>(self, values: &[T], at: usize);
    /// Asks for the cache line of `values[at]`, which need not exist, to be written soon.
    fn prefetch_to_write<T>(self, values: &mut [T], at: usize);

    /// All elements equal.
    fn splat(self, value: u32) -> Self::U32;
    /// A mask in each element.
    fn splat_mask(self, mask: u16) -> Self::U32;
    /// Sixteen elements.
    fn load(self, from: &[u32; 16]) -> Self::U32;
    /// Inverse of [`load`](Self::load).
    fn store(self, v: Self::U32, to: &mut [u32; 16]);
    /// As [`store`](Self::store), past the caches where `to` is aligned to 64 bytes. [`fence`](Self::fence) must follow before anyone reads it.
    fn store_past_cache(self, v: Self::U32, to: &mut [u32; 16]);
    /// Ends a series of [`store_past_cache`](Self::store_past_cache).
    fn fence(self);
    /// Zero extended.
    fn load_u8(self, from: &[u8; 16]) -> Self::U32;
    /// Zero extended.
    fn load_u16(self, from: &[u16; 16]) -> Self::U32;
    /// Sign extended.
    fn load_i16(self, from: &[i16; 16]) -> Self::U32;

    /// Sum.
    fn add(self, a: Self::U32, b: Self::U32) -> Self::U32;
    /// Difference.
    fn sub(self, a: Self::U32, b: Self::U32) -> Self::U32;
    /// Low half of the product.
    fn mul(self, a: Self::U32, b: Self::U32) -> Self::U32;
    /// Bitwise and.
    fn and(self, a: Self::U32, b: Self::U32) -> Self::U32;
    /// Bitwise or.
    fn or(self, a: Self::U32, b: Self::U32) -> Self::U32;
    /// The smaller, unsigned.
    fn min(self, a: Self::U32, b: Self::U32) -> Self::U32;
    /// Shift left by fewer than 32 bits.
    fn shl(self, v: Self::U32, bits: u32) -> Self::U32;
    /// Shift right by fewer than 32 bits.
    fn shr(self, v: Self::U32, bits: u32) -> Self::U32;
    /// Shift right by each element of `bits`; 0 from 32 on.
    fn shr_by(self, v: Self::U32, bits: Self::U32) -> Self::U32;
    /// The upper half of `high:low` shifted left by `bits` elementwise, modulo 32.
    fn funnel_shl(self, high: Self::U32, low: Self::U32, bits: Self::U32) -> Self::U32;
    /// The lower half of `high:low` shifted right by `bits` elementwise, modulo 32.
    fn funnel_shr(self, high: Self::U32, low: Self::U32, bits: Self::U32) -> Self::U32;
    /// Unsigned `a >= b`.
    fn ge(self, a: Self::U32, b: Self::U32) -> u16;
    /// `a == b`.
    fn eq(self, a: Self::U32, b: Self::U32) -> u16;
    /// Whether `a & b` is not 0.
    fn test(self, a: Self::U32, b: Self::U32) -> u16;
    /// `a` where `mask`, else `b`.
    fn select(self, mask: u16, a: Self::U32, b: Self::U32) -> Self::U32;
    /// The bits of `value` that are set in `mask`, packed to the low end in order.
    fn extract_bits(self, value: u64, mask: u64) -> u64;
    /// How many bits of each element are set.
    fn count_ones(self, v: Self::U32) -> Self::U32;

    /// `table[min(i, last)]` for each element `i`. The table must not be empty.
    fn gather(self, table: &[u32], index: Self::U32) -> Self::U32;
    /// `table[min(i, last - 1)]` for each element `i`, zero extended: the last value of the table, which has two at least, is never found.
    fn gather_u16(self, table: &[u16], index: Self::U32) -> Self::U32;
    /// For each byte of `bytes`, its entry: element `j` of result `k` is the entry of byte `k` of element `j`.
    fn lookup_bytes(self, table: &ByteTable<4>, bytes: Self::U32) -> [Self::U32; 4];
    /// Whether loads one by one are faster than gathers.
    fn slow_gathers(self) -> bool;
    /// The low and the high halves of `table[min(i, last)]` for each element `i`.
    fn gather_halves(self, table: &Bounded<'_, Self::U32>, index: Self::U32) -> [Self::U32; 2];
    /// The same by a load for each.
    fn load_halves(self, table: &Bounded<'_, Self::U32>, index: Self::U32) -> [Self::U32; 2];
    /// The four bytes that end before byte `end` of `bytes`, little-endian; where fewer than four precede it, they stand at the top. An end
    /// outside `bytes` gives anything. `bytes` has at least four.
    fn gather_before(self, bytes: &[u8], end: Self::U32) -> Self::U32;
    /// The last four and the four before of the eight bytes that end before byte `end` of `bytes`, little-endian; 0 where fewer precede it. An end
    /// outside `bytes` gives anything.
    fn load_eight_before(self, bytes: &[u8], end: Self::U32) -> [Self::U32; 2];
    /// The last four of the words that end before word `end` of `words`, the last one first; 0 where fewer precede it. An end outside `words` gives
    /// anything.
    fn load_four_before(self, words: &[u32], end: Self::U32) -> [Self::U32; 4];
    /// The `L` words before word `end` of `words`, for each block of `L` elements, which have the same end; in their order, zero extended. Where fewer
    /// precede it, those and 0 before them if `near`, else anything, as an end outside `words` gives. Unless `near` there are `L`. A word has two or
    /// four bytes.
    fn load_before<const L: usize, W: bytemuck::Pod>(
        self,
        words: &[W],
        end: Self::U32,
        near: bool,
    ) -> Self::U32;

    /// Regroups blocks of `L` elements (a power of two) between vectors, as the transpose of a matrix of `16 / L` by `16 / L` blocks: block c of
    /// vector r goes to block r of vector c. Only the first `16 / L` vectors take part.
    fn transpose<const L: usize>(self, v: &mut [Self::U32; 16]);
    /// Element `index mod 16` of `v`, for each element of `index`.
    fn permute(self, v: Self::U32, index: Self::U32) -> Self::U32;
    /// Element `index mod 32` of `a` followed by `b`, for each element of `index`.
    fn permute_two(self, a: Self::U32, b: Self::U32, index: Self::U32) -> Self::U32;
    /// Each block of `L` elements in the opposite order.
    fn reverse_blocks<const L: usize>(self, v: Self::U32) -> Self::U32;

    /// The low halves of 32 elements in order, two an element, the first lowest.
    fn low_halves(self, v: [Self::U32; 2]) -> Self::U32;
    /// The low bytes of 64 elements in order, four an element, the first lowest.
    fn low_bytes(self, v: [Self::U32; 4]) -> Self::U32;
    /// The 32 halves, each element's higher first, zero extended.
    fn halves_from_top(self, v: Self::U32) -> [Self::U32; 2];
    /// The 64 bytes, each element's highest first, zero extended.
    fn bytes_from_top(self, v: Self::U32) -> [Self::U32; 4];
    /// Stores the top `len` bits, fewer than 64, of `high:low` of each element as eight little-endian bytes from byte `min(at, last)` of `to` on, where
    /// `last` is the largest that leaves eight. There must be eight. Elements are stored in any order.
    fn store_top_bits(self, high_low: [Self::U32; 2], len: Self::U32, to: &mut [u8], at: Self::U32);

    /// `x / d` or one less, for quotients below 2^21; `x` below 2^31, `d` from 1 to 2^24.
    fn quotient(self, x: Self::U32, d: Self::U32) -> Self::U32;

    /// Sixteen elements.
    fn load64(self, from: &[u64; 16]) -> Self::U64;
    /// Inverse of [`load64`](Self::load64).
    fn store64(self, v: Self::U64, to: &mut [u64; 16]);
    /// Zero extended.
    fn widen(self, v: Self::U32) -> Self::U64;
    /// The low halves.
    fn narrow(self, v: Self::U64) -> Self::U32;
    /// The high halves.
    fn narrow_high(self, v: Self::U64) -> Self::U32;
    /// Sum.
    fn add64(self, a: Self::U64, b: Self::U64) -> Self::U64;
    /// `v + more` where unsigned `a >= b`, else `v`.
    fn add64_where_ge(self, v: Self::U64, more: Self::U64, a: Self::U64, b: Self::U64)
    -> Self::U64;
    /// Difference.
    fn sub64(self, a: Self::U64, b: Self::U64) -> Self::U64;
    /// Low half of the product.
    fn mul64(self, a: Self::U64, b: Self::U64) -> Self::U64;
    /// Bitwise or.
    fn or64(self, a: Self::U64, b: Self::U64) -> Self::U64;
    /// Shift left by fewer than 64 bits.
    fn shl64(self, v: Self::U64, bits: u32) -> Self::U64;
    /// Shift right by fewer than 64 bits.
    fn shr64(self, v: Self::U64, bits: u32) -> Self::U64;
    /// Unsigned `a >= b`.
    fn ge64(self, a: Self::U64, b: Self::U64) -> u16;
    /// `a` where `mask`, else `b`.
    fn select64(self, mask: u16, a: Self::U64, b: Self::U64) -> Self::U64;
    /// `x / d` or one less, for quotients below 2^49, and never more for larger ones; `x` below 2^63, `d` from 1.
    fn quotient64(self, x: Self::U64, d: Self::U32) -> Self::U64;

    /// Deals the words out, the last first: each element of the mask gets the next, in order, the others 0.
    fn expand_u32(self, words: &[u32; 16], mask: u16) -> Self::U32;
    /// Deals bytes out likewise, to the top byte of each element of `first`, and then to the byte below it where the element is in `second`, all of
    /// which are in `first`.
    fn expand_u8(self, bytes: &[u8; 32], first: u16, second: u16) -> Self::U32;
    /// Puts the elements of the mask to the front of `out`, in order; what follows them is unspecified.
    fn compress_u32(self, v: Self::U32, mask: u16, out: &mut [u32; 16]);
    /// The low halves likewise.
    fn compress_u16(self, v: Self::U32, mask: u16, out: &mut [u16; 16]);
    /// The low bytes of elements in `first` and the second bytes of elements in `second` likewise, an element's low byte before its second.
    fn compress_u8(self, v: Self::U32, first: u16, second: u16, out: &mut [u8; 32]);
}

/// A table that is not empty, with the last index that vectors reach, as loops read it.
#[derive(Clone, Copy)]
pub(crate) struct Bounded<'a, V> {
    values: &'a [u64],
    last: V,
}

impl<'a, V: Copy> Bounded<'a, V> {
    /// # Panics
    /// Where the table is empty.
    #[inline(always)]
    pub(crate) fn new<S: RowSimd<U32 = V>>(s: S, values: &'a [u64]) -> Self {
        let last = values.len().checked_sub(1).expect("a table is never empty");
        Self { values, last: s.splat(last.min(i32::MAX as usize) as u32) }
    }

    /// The values, and an index of each element that is inside.
    #[inline(always)]
    pub(super) fn inside<S: RowSimd<U32 = V>>(&self, s: S, index: V) -> (*const u64, V) {
        (self.values.as_ptr(), s.min(index, self.last))
    }
}

/// An algorithm over [`RowSimd`].
pub(crate) trait RowWork {
    /// What it returns.
    type Output;
    /// Does the work. Must be `#[inline(always)]`.
    fn run<S: RowSimd>(self, simd: S) -> Self::Output;
}

//! The interface between algorithms and instruction sets: one tower of traits, [`Bits`] below
//! [`Simd`] below [`Simd512`].
//!
//! A value of a type that implements one of them is a *token*: its `new` looks at the processor, so
//! holding one proves that the instructions exist, and the methods are safe.

use super::byte_table::ByteTable;

/// What an algorithm returns. [`RunOn`] says on which tokens it runs.
pub(crate) trait Work {
    /// What it returns.
    type Output;
}

/// An algorithm that runs on the token `S`: mostly on any [`Simd`], some on any [`Simd512`] or
/// [`Bits`].
pub(crate) trait RunOn<S>: Work {
    /// Does the work. Must be `#[inline(always)]`, as everything that it calls in a loop.
    fn run(self, token: S) -> Self::Output;
}

/// What scalar code asks of the processor that plain Rust does not reach.
pub(crate) trait Bits: Copy + 'static {
    /// The low `count mod 256` bits of a value, for a count below 64 (mod 256); else anything.
    #[inline(always)]
    fn low(self, value: u64, count: u32) -> u64 {
        value & !u64::MAX.wrapping_shl(count)
    }

    /// Prefetches the cache line of `values[at]`, which need not exist, into the L2 cache, where
    /// there is an instruction for it.
    #[inline(always)]
    fn prefetch<T>(self, _values: &[T], _at: usize) {}
}

/// [`Bits`] of any processor.
#[derive(Clone, Copy)]
pub(crate) struct AnyBits;

impl Bits for AnyBits {}

/// Operations on sixteen `u32` elements: one AVX-512 register, two of AVX2, four of NEON.
/// Arithmetic wraps.
pub(crate) trait Simd: Bits {
    /// Sixteen elements.
    type U32: Copy;
    /// Sixteen truth values.
    type Mask: Copy;

    /// Runs `work` in a function compiled with the features of this level.
    fn vectorize<W: RunOn<Self>>(self, work: W) -> W::Output;

    /// Whether loads one by one, or lookups in registers, are faster than gathers.
    #[inline(always)]
    fn slow_gathers(self) -> bool {
        false
    }

    /// All elements equal.
    fn splat(self, value: u32) -> Self::U32;
    /// Sixteen little-endian elements.
    fn load_bytes(self, bytes: &[u8; 64]) -> Self::U32;
    /// Inverse of [`load_bytes`](Self::load_bytes).
    fn store_bytes(self, v: Self::U32, bytes: &mut [u8; 64]);
    /// Sixteen elements.
    #[inline(always)]
    fn load(self, from: &[u32; 16]) -> Self::U32 {
        self.load_bytes(bytemuck::cast_ref(from))
    }
    /// Inverse of [`load`](Self::load).
    #[inline(always)]
    fn store(self, v: Self::U32, to: &mut [u32; 16]) {
        self.store_bytes(v, bytemuck::cast_mut(to));
    }
    /// The elements in the opposite order.
    fn reverse(self, v: Self::U32) -> Self::U32;

    /// Sum.
    fn add(self, a: Self::U32, b: Self::U32) -> Self::U32;
    /// Difference.
    fn sub(self, a: Self::U32, b: Self::U32) -> Self::U32;
    /// Low half of the product.
    fn mul(self, a: Self::U32, b: Self::U32) -> Self::U32;
    /// Bitwise and.
    fn and(self, a: Self::U32, b: Self::U32) -> Self::U32;
    /// Shift left by fewer than 32 bits.
    fn shl(self, v: Self::U32, bits: u32) -> Self::U32;
    /// Shift right by fewer than 32 bits.
    fn shr(self, v: Self::U32, bits: u32) -> Self::U32;
    /// Shift left, each element by as many bits as `bits` says: fewer than 32.
    fn shl_by(self, v: Self::U32, bits: Self::U32) -> Self::U32;
    /// Shift right likewise; 0 from 32 bits on.
    fn shr_by(self, v: Self::U32, bits: Self::U32) -> Self::U32;
    /// `x / d` or one less, for quotients below 2^20, and never more for larger ones; `x` below
    /// 2^31, `d` from 1 to 2^16.
    fn quotient(self, x: Self::U32, d: Self::U32) -> Self::U32;

    /// The even and the odd elements of two vectors one after the other.
    fn deinterleave(self, v: [Self::U32; 2]) -> [Self::U32; 2];
    /// Inverse of [`deinterleave`](Self::deinterleave).
    fn interleave(self, v: [Self::U32; 2]) -> [Self::U32; 2];

    /// No element.
    fn nowhere(self) -> Self::Mask;
    /// Unsigned `a >= b`.
    fn ge(self, a: Self::U32, b: Self::U32) -> Self::Mask;
    /// `a == b`.
    fn eq(self, a: Self::U32, b: Self::U32) -> Self::Mask;
    /// Where either is true.
    fn either(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// Where both are true.
    fn both(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// Where exactly one is true.
    fn differ(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// Whether any is true.
    fn any(self, mask: Self::Mask) -> bool;
    /// A bit per element, element 0 lowest.
    fn to_bits(self, mask: Self::Mask) -> u16;
    /// `a` where `mask`, else `b`.
    fn select(self, mask: Self::Mask, a: Self::U32, b: Self::U32) -> Self::U32;
    /// `a + b` where `mask`, else `a`.
    fn add_where(self, mask: Self::Mask, a: Self::U32, b: Self::U32) -> Self::U32;
    /// `a - b` where `mask`, else `a`.
    fn sub_where(self, mask: Self::Mask, a: Self::U32, b: Self::U32) -> Self::U32;

    /// `table[i mod N]` for each element `i`. `N` is a power of two.
    fn gather_modulo<const N: usize>(self, table: &[u32; N], index: Self::U32) -> Self::U32;
    /// `table[min(i, last)]` for each element `i`. The table must not be empty.
    fn gather(self, table: &[u32], index: Self::U32) -> Self::U32;
    /// [`gather`](Self::gather) to memory: for many independent lookups.
    #[inline(always)]
    fn gather_to(self, table: &[u32], index: Self::U32, out: &mut [u32; 16]) {
        self.store(self.gather(table, index), out);
    }
    /// The low and the high halves of `table[min(i, last)]` for each element `i`.
    fn gather_halves(self, table: &Bounded<'_, Self::U32>, index: Self::U32) -> [Self::U32; 2];
    /// The same by a load for each, where there is such a way.
    #[inline(always)]
    fn load_halves(self, table: &Bounded<'_, Self::U32>, index: Self::U32) -> [Self::U32; 2] {
        self.gather_halves(table, index)
    }
    /// For each byte of `bytes`, its entry: element `j` of result `k` is the entry of byte `k` of
    /// element `j`.
    #[inline(always)]
    fn lookup_bytes<const BYTES: usize>(
        self,
        table: &ByteTable<BYTES>,
        bytes: Self::U32,
    ) -> [Self::U32; 4] {
        let low = self.splat(0xff);
        [
            self.gather_modulo(&table.entries, self.and(bytes, low)),
            self.gather_modulo(&table.entries, self.and(self.shr(bytes, 8), low)),
            self.gather_modulo(&table.entries, self.and(self.shr(bytes, 16), low)),
            self.gather_modulo(&table.entries, self.shr(bytes, 24)),
        ]
    }

    /// Renormalisation on push. Takes the elements in the order `a[0], b[0], a[1], b[1], ...`: each
    /// that is not below its bound emits its low 16 bits to `out`, little-endian, and is shifted
    /// right by 16. Returns the states and the number of words; `out` after those words holds
    /// unspecified bytes.
    fn emit_words(
        self,
        states: [Self::U32; 2],
        bounds: [Self::U32; 2],
        out: &mut [u8; 64],
    ) -> ([Self::U32; 2], usize);
    /// Renormalisation on pop. Takes the elements in the order `a[0], b[0], a[1], b[1], ...`: each
    /// that is below `bound` takes the last word of `words` that is left, little-endian, below
    /// itself. Returns the states and the number of words taken. `bound` is a power of two up to
    /// 2^16, the elements are below `bound << 16`.
    fn renormalise(
        self,
        states: [Self::U32; 2],
        bound: u32,
        words: &[u8; 64],
    ) -> ([Self::U32; 2], usize);
}

/// What coding rows across vector elements needs beyond [`Simd`]: states of 64 bits, symbols of any
/// type, and moving blocks between row order and element order. Masks are sixteen bits, element 0
/// lowest.
///
/// Only instruction sets with masks, variable shifts and compression to bytes have all of it.
pub(crate) trait Simd512: Simd<Mask = u16> {
    /// Sixteen `u64`.
    type U64: Copy;

    /// Prefetches the cache line of `values[at]`, which need not exist, to be written soon.
    fn prefetch_to_write<T>(self, values: &mut [T], at: usize);

    /// A mask in each element.
    fn splat_mask(self, mask: u16) -> Self::U32;
    /// As [`store`](Simd::store), non-temporal where `to` is aligned to 64 bytes.
    /// [`fence`](Self::fence) must follow before anyone reads it.
    fn store_non_temporal(self, v: Self::U32, to: &mut [u32; 16]);
    /// Ends a series of [`store_non_temporal`](Self::store_non_temporal).
    fn fence(self);
    /// Zero extended.
    fn load_u8(self, from: &[u8; 16]) -> Self::U32;
    /// Zero extended.
    fn load_u16(self, from: &[u16; 16]) -> Self::U32;
    /// Sign extended.
    fn load_i16(self, from: &[i16; 16]) -> Self::U32;

    /// Bitwise or.
    fn or(self, a: Self::U32, b: Self::U32) -> Self::U32;
    /// The smaller, unsigned.
    fn min(self, a: Self::U32, b: Self::U32) -> Self::U32;
    /// The upper half of `high:low` shifted left by `bits` elementwise, modulo 32.
    fn funnel_shl(self, high: Self::U32, low: Self::U32, bits: Self::U32) -> Self::U32;
    /// The lower half of `high:low` shifted right by `bits` elementwise, modulo 32.
    fn funnel_shr(self, high: Self::U32, low: Self::U32, bits: Self::U32) -> Self::U32;
    /// Whether `a & b` is not 0.
    fn test(self, a: Self::U32, b: Self::U32) -> u16;
    /// The bits of `value` that are set in `mask`, packed to the low end in order.
    fn extract_bits(self, value: u64, mask: u64) -> u64;
    /// How many bits of each element are set.
    fn count_ones(self, v: Self::U32) -> Self::U32;

    /// `table[min(i, last - 1)]` for each element `i`, zero extended: the last value of the table,
    /// which has two at least, is never found.
    fn gather_u16(self, table: &[u16], index: Self::U32) -> Self::U32;
    /// The four bytes that end before byte `end` of `bytes`, little-endian; where fewer than four
    /// precede it, they stand at the top. An end outside `bytes` gives anything. `bytes` has at
    /// least four.
    fn gather_before(self, bytes: &[u8], end: Self::U32) -> Self::U32;
    /// The last four and the four before of the eight bytes that end before byte `end` of `bytes`,
    /// little-endian; 0 where fewer precede it. An end outside `bytes` gives anything.
    fn load_eight_before(self, bytes: &[u8], end: Self::U32) -> [Self::U32; 2];
    /// The last four of the words that end before word `end` of `words`, the last one first; 0
    /// where fewer precede it. An end outside `words` gives anything.
    fn load_four_before(self, words: &[u32], end: Self::U32) -> [Self::U32; 4];
    /// The `L` words before word `end` of `words`, for each block of `L` elements, which have the
    /// same end; in their order, zero extended. Where fewer precede it, those and 0 before them if
    /// `few`, else anything, as an end outside `words` gives. Unless `few` there are `L`. A word
    /// has two or four bytes.
    fn load_before<const L: usize, W: bytemuck::Pod>(
        self,
        words: &[W],
        end: Self::U32,
        few: bool,
    ) -> Self::U32;

    /// Regroups blocks of `L` elements (a power of two) between vectors, as the transpose of a
    /// matrix of `16 / L` by `16 / L` blocks: block c of vector r goes to block r of vector c. Only
    /// the first `16 / L` vectors take part.
    fn transpose<const L: usize>(self, v: &mut [Self::U32; 16]);
    /// Element `index mod 16` of `v`, for each element of `index`.
    fn permute(self, v: Self::U32, index: Self::U32) -> Self::U32;
    /// Element `index mod 32` of `a` followed by `b`, for each element of `index`.
    fn permute_two(self, a: Self::U32, b: Self::U32, index: Self::U32) -> Self::U32;
    /// Each block of `L` elements in the opposite order.
    fn reverse_blocks<const L: usize>(self, v: Self::U32) -> Self::U32;

    /// The low halves of 32 elements in order, two per element, the first lowest.
    fn low_halves(self, v: [Self::U32; 2]) -> Self::U32;
    /// The low bytes of 64 elements in order, four per element, the first lowest.
    fn low_bytes(self, v: [Self::U32; 4]) -> Self::U32;
    /// The 32 halves, each element's higher first, zero extended.
    fn halves_from_top(self, v: Self::U32) -> [Self::U32; 2];
    /// The 64 bytes, each element's highest first, zero extended.
    fn bytes_from_top(self, v: Self::U32) -> [Self::U32; 4];
    /// Stores the top `len` bits, fewer than 64, of `high:low` of each element as eight
    /// little-endian bytes from byte `min(at, last)` of `to` on, where `last` is the largest that
    /// leaves eight. There must be eight. Elements are stored in any order.
    fn store_top_bits(self, high_low: [Self::U32; 2], len: Self::U32, to: &mut [u8], at: Self::U32);

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
    /// `x / d` or one less, for quotients below 2^49, and never more for larger ones; `x` below
    /// 2^63, `d` from 1.
    fn quotient64(self, x: Self::U64, d: Self::U32) -> Self::U64;

    /// Deals the words out, the last first: each element of the mask gets the next, in order, the
    /// others 0.
    fn expand_u32(self, words: &[u32; 16], mask: u16) -> Self::U32;
    /// Deals bytes out likewise, to the top byte of each element of `first`, and then to the byte
    /// below it where the element is in `second`, all of which are in `first`.
    fn expand_u8(self, bytes: &[u8; 32], first: u16, second: u16) -> Self::U32;
    /// Moves the elements of the mask to the front of `out`, in order; what follows them is
    /// unspecified.
    fn compress_u32(self, v: Self::U32, mask: u16, out: &mut [u32; 16]);
    /// The low halves likewise.
    fn compress_u16(self, v: Self::U32, mask: u16, out: &mut [u16; 16]);
    /// The low bytes of elements in `first` and the second bytes of elements in `second` likewise,
    /// an element's low byte before its second.
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
    pub(crate) fn new<S: Simd<U32 = V>>(s: S, values: &'a [u64]) -> Self {
        let last = values.len().checked_sub(1).expect("a table is never empty");
        Self { values, last: s.splat(last.min(i32::MAX as usize) as u32) }
    }

    /// The values, and the last index that vectors reach.
    #[inline(always)]
    pub(super) fn parts(&self) -> (&'a [u64], V) {
        (self.values, self.last)
    }
}

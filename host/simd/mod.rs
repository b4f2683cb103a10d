//! The vector seam: algorithms are written once, generic over `Simd`, and instantiated for each instruction set.
//!
//! - A value of a type that implements `Simd` is a *token*: its `new` looks at the processor, so holding one proves that
//!   the instructions exist, and the methods are safe. All `unsafe` of the CPU paths lives in this folder.
//! - The unit is sixteen `u32` elements: one AVX-512 register, two of AVX2, four of NEON. Half a row of 32 lanes.
//! - An algorithm is a `Work` value with one generic `run`. `dispatch` enters it through a function
//!   compiled with the features of the level. Everything between there and the intrinsics must be
//!   `#[inline(always)]`, or it is compiled without the features and every operation becomes a call.
//! - Which level runs is decided at run time, never by `-C target-cpu`; see `Level::current`.
//!
//! To add an operation: declare it in `Simd`, implement it in each file beside this one, and add a line to `tests.rs`,
//! which compares every level that the machine has with plain arrays.

#![cfg_attr(
    not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little"))),
    allow(dead_code, reason = "processors without a vector level only have the scalar path")
)]

mod aligned;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_words;
mod level;
#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
mod neon;
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "so far only x86-64 has vectors for rows")
)]
pub(crate) mod rows;
#[cfg(target_arch = "x86_64")]
mod rows_avx512;
#[cfg(target_arch = "x86_64")]
mod rows_avx512_loads;
#[cfg(target_arch = "x86_64")]
mod rows_avx512_moves;
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))]
mod shuffles;
mod slots;
#[cfg(test)]
mod tests;

pub(crate) use aligned::{Aligned, Line};
pub use level::Level;
pub(crate) use slots::{LOWER_BOUND, SlotTable};

/// `1 - 2^-21`, what [`Simd::quotient`] aims at so as never to be too large.
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")))]
const ONE_LESS: f32 = 1.0 - 1.0 / (1 << 21) as f32;

/// A table of 256 `u32` entries, of which only the low `BYTES` bytes are used, in the two forms that levels look up: whole entries
/// for gathers, and one plane of 256 bytes for each byte for register permutes.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(crate) struct ByteTable<const BYTES: usize> {
    /// Entry of each index.
    entries: [u32; 256],
    /// Byte `k` of each entry.
    planes: [[u8; 256]; BYTES],
}

impl<const BYTES: usize> ByteTable<BYTES> {
    /// A table of zeros.
    pub(crate) fn zeroed() -> Self {
        Self { entries: [0; 256], planes: [[0; 256]; BYTES] }
    }

    /// Replaces all entries.
    #[inline(always)]
    pub(crate) fn set(&mut self, entries: &[u32; 256]) {
        self.entries = *entries;
        for (k, plane) in self.planes.iter_mut().enumerate() {
            for (byte, entry) in plane.iter_mut().zip(entries) {
                *byte = (entry >> (8 * k)) as u8;
            }
        }
    }
}

/// A set of byte values, in the two forms that levels look up.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(crate) struct ByteSet {
    /// 0xff for a member, else 0.
    members: [u8; 256],
    /// Bit `h mod 8` of entry `[h / 8][l]`: whether the value of nibbles `h` and `l` is a member.
    nibbles: [[u8; 16]; 2],
}

impl ByteSet {
    /// The empty set.
    pub(crate) fn new() -> Self {
        Self { members: [0; 256], nibbles: [[0; 16]; 2] }
    }

    /// Adds a value.
    pub(crate) fn insert(&mut self, value: u8) {
        self.members[value as usize] = 0xff;
        let (high, low) = (value as usize / 16, value as usize % 16);
        self.nibbles[high / 8][low] |= 1 << (high % 8);
    }

    /// Whether a value is a member.
    pub(crate) fn contains(&self, value: u8) -> bool {
        self.members[value as usize] != 0
    }
}

/// Operations on sixteen `u32` elements. See the module's documentation for what a token is.
///
/// Arithmetic wraps.
pub(crate) trait Simd: Copy + 'static {
    /// Whether [`lookup_bytes`](Self::lookup_bytes) is cheaper than gathers.
    const PERMUTES: bool = false;

    /// Sixteen elements.
    type U32: Copy;
    /// Sixteen truth values.
    type Mask: Copy;

    /// Runs `work` in a function compiled with the features of this level.
    fn vectorize<W: Work>(self, work: W) -> W::Output;

    /// Asks for the cache line of `bytes[at]`, which need not exist, to be brought near, where there is an instruction for it.
    fn prefetch(self, _bytes: &[u8], _at: usize) {}

    /// All elements equal.
    fn splat(self, value: u32) -> Self::U32;
    /// Sixteen little-endian elements.
    fn load(self, bytes: &[u8; 64]) -> Self::U32;
    /// Inverse of [`load`](Self::load).
    fn store(self, v: Self::U32, bytes: &mut [u8; 64]);
    /// The elements in the opposite order.
    fn reverse(self, v: Self::U32) -> Self::U32;

    /// Sum.
    fn add(self, a: Self::U32, b: Self::U32) -> Self::U32;
    /// Difference.
    fn sub(self, a: Self::U32, b: Self::U32) -> Self::U32;
    /// Low half of the product.
    fn mul_low(self, a: Self::U32, b: Self::U32) -> Self::U32;
    /// Bitwise and.
    fn and(self, a: Self::U32, b: Self::U32) -> Self::U32;
    /// Shift left by `N < 32` bits.
    fn shl<const N: u32>(self, v: Self::U32) -> Self::U32;
    /// Shift right by `N < 32` bits.
    fn shr<const N: u32>(self, v: Self::U32) -> Self::U32;
    /// Shift left, each element by as many bits as `bits` says: fewer than 32.
    fn shl_by(self, v: Self::U32, bits: Self::U32) -> Self::U32;
    /// Shift right likewise.
    fn shr_by(self, v: Self::U32, bits: Self::U32) -> Self::U32;
    /// `x / d` or one less, for quotients below 2^20, and never more for larger ones; `x` below 2^31, `d` from 1 to 2^16.
    fn quotient(self, x: Self::U32, d: Self::U32) -> Self::U32;

    /// The even and the odd elements of two vectors one after the other.
    fn deinterleave(self, v: [Self::U32; 2]) -> [Self::U32; 2];
    /// Inverse of [`deinterleave`](Self::deinterleave).
    fn interleave(self, v: [Self::U32; 2]) -> [Self::U32; 2];

    /// Unsigned `a >= b`.
    fn ge(self, a: Self::U32, b: Self::U32) -> Self::Mask;
    /// Where either is true.
    fn either(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// Where exactly one is true.
    fn differ(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;
    /// Whether any is true.
    fn any(self, mask: Self::Mask) -> bool;
    /// `a + b` where `mask`, else `a`.
    fn add_where(self, mask: Self::Mask, a: Self::U32, b: Self::U32) -> Self::U32;

    /// `table[i mod N]` for each element `i`. `N` is a power of two.
    fn gather<const N: usize>(self, table: &[u32; N], index: Self::U32) -> Self::U32;
    /// The four bytes, little-endian, from byte `SCALE * min(i, last)` on for each element `i`, where `last` is the largest that leaves four. There
    /// must be four, and `SCALE` is 1, 2 or 4.
    fn gather_at<const SCALE: i32>(self, table: &[u8], index: Self::U32) -> Self::U32;
    /// `table[min(i, last)]` for each element `i`, written to memory: for many independent lookups. The table must not be empty.
    #[inline(always)]
    fn gather_to(self, table: &[u32], index: Self::U32, out: &mut [u32; 16]) {
        let found = self.gather_at::<4>(bytemuck::cast_slice(table), index);
        self.store(found, bytemuck::cast_mut(out));
    }
    /// The low and the high halves of `table[min(i, last)]` for each element `i`. The table must not be empty.
    #[inline(always)]
    fn gather_halves(self, table: &[u64], index: Self::U32) -> [Self::U32; 2] {
        let halves = bytemuck::cast_slice(table);
        let low = self.add(index, index);
        let high = self.add(low, self.splat(1));
        [self.gather_at::<4>(halves, low), self.gather_at::<4>(halves, high)]
    }
    /// For each byte of `bytes`, its entry: element `j` of result `k` is the entry of byte `k` of element `j`.
    fn lookup_bytes<const BYTES: usize>(
        self,
        table: &ByteTable<BYTES>,
        bytes: Self::U32,
    ) -> [Self::U32; 4];
    /// Element `j`: bits `AT..AT + 8` of elements `j` of the four vectors, the first lowest. `AT` is at least 8 and below 16.
    fn merge_bytes<const AT: u32>(self, v: [Self::U32; 4]) -> Self::U32;

    /// The states of a row of 32 lanes, even lanes and odd ones, in the form in which [`pop_rows`](Self::pop_rows) is quickest.
    #[inline(always)]
    fn hold(self, row: [Self::U32; 2]) -> [Self::U32; 2] {
        row
    }
    /// Inverse of [`hold`](Self::hold).
    #[inline(always)]
    fn release(self, row: [Self::U32; 2]) -> [Self::U32; 2] {
        row
    }
    /// Pops a symbol of 12 bits from each lane of four rows that are held: each state goes on as [`refill_words`](Self::refill_words) has it, with a bound of
    /// 2^15. Returns the symbols, byte `k` of element `j` of the first vector that of lane `2j` of row `k`, of the second that of lane `2j + 1`; and how many
    /// words each row took.
    #[inline(always)]
    fn pop_rows(
        self,
        table: &SlotTable,
        rows: &mut [[Self::U32; 2]; 4],
        windows: [&[u8; 64]; 4],
    ) -> ([Self::U32; 2], [usize; 4]) {
        slots::pop_rows(self, table, rows, windows)
    }

    /// Whether all these bytes are members.
    fn all_members(self, set: &ByteSet, bytes: &[u8; 256]) -> bool;

    /// Renormalisation on push. Takes the elements in the order `a[0], b[0], a[1], b[1], ...`: each that is not below its bound puts its low
    /// 16 bits to `out`, little-endian, and is shifted right by 16. Returns the states and the number of words; `out` after
    /// those words holds unspecified bytes.
    fn shed_words(
        self,
        states: [Self::U32; 2],
        bounds: [Self::U32; 2],
        out: &mut [u8; 64],
    ) -> ([Self::U32; 2], usize);
    /// Renormalisation on pop. Takes the elements in the order `a[0], b[0], a[1], b[1], ...`: each that is below `bound` takes the last word
    /// of `words` that is left, little-endian, below itself. Returns the states and the number of words taken. `bound` is a power of two up to 2^16,
    /// the elements are below `bound << 16`.
    fn refill_words(
        self,
        states: [Self::U32; 2],
        bound: u32,
        words: &[u8; 64],
    ) -> ([Self::U32; 2], usize);
}

/// An algorithm over the seam.
pub(crate) trait Work {
    /// What it returns.
    type Output;
    /// Does the work. Must be `#[inline(always)]`.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// Runs `work` at `level`; gives it back where the level has no vectors (or this machine lacks the level).
pub(crate) fn dispatch<W: Work>(level: Level, work: W) -> Result<W::Output, W> {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512Gather => match avx512::Avx512::<false>::new() {
            Some(token) => Ok(token.vectorize(work)),
            None => Err(work),
        },
        #[cfg(target_arch = "x86_64")]
        Level::Avx512Permute => match avx512::Avx512::<true>::new() {
            Some(token) => Ok(token.vectorize(work)),
            None => Err(work),
        },
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => match avx2::Avx2::new() {
            Some(token) => Ok(token.vectorize(work)),
            None => Err(work),
        },
        #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
        Level::Neon => match neon::Neon::new() {
            Some(token) => Ok(token.vectorize(work)),
            None => Err(work),
        },
        _ => Err(work),
    }
}

/// Scalar work that gains from the bit instructions of a vector level: shifts by any register (BMI2) and `lzcnt` on x86-64.
pub(crate) trait BitWork {
    /// What it returns.
    type Output;
    /// Does the work. Must be `#[inline(always)]`, as everything that it calls in a loop.
    fn run<B: Bits>(self, bits: B) -> Self::Output;
}

/// What scalar work asks of the processor that plain Rust does not reach. A value is a token, as with [`Simd`].
pub(crate) trait Bits: Copy {
    /// The low `count mod 256` bits of a value, for a count below 64 (mod 256); else anything.
    fn low(self, value: u64, count: u32) -> u64;
    /// Asks for the cache line of `values[at]`, which need not exist, to be brought to the second-level cache.
    fn prefetch<T>(self, values: &[T], at: usize);
}

/// [`Bits`] of any processor.
#[derive(Clone, Copy)]
struct AnyBits;

impl Bits for AnyBits {
    #[inline(always)]
    fn low(self, value: u64, count: u32) -> u64 {
        value & !u64::MAX.wrapping_shl(count)
    }

    #[inline(always)]
    fn prefetch<T>(self, _values: &[T], _at: usize) {}
}

/// Runs scalar work with the bit instructions of this machine, where [`Level::current`] allows any.
#[inline]
pub(crate) fn dispatch_bits<W: BitWork>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    if Level::current() != Level::Scalar
        && let Some(token) = avx2::Avx2::new()
    {
        struct Enter<W>(W, avx2::Avx2);
        impl<W: BitWork> Work for Enter<W> {
            type Output = W::Output;
            #[inline(always)]
            fn run<S: Simd>(self, _simd: S) -> W::Output {
                self.0.run(self.1)
            }
        }
        return token.vectorize(Enter(work, token));
    }
    work.run(AnyBits)
}

/// Runs scalar work with all instructions of [`Level::current`]: for loops over arrays that the compiler makes vectors of.
#[inline]
pub(crate) fn dispatch_loops<W: BitWork>(work: W) -> W::Output {
    struct Enter<W>(W);
    impl<W: BitWork> Work for Enter<W> {
        type Output = W::Output;
        #[inline(always)]
        fn run<S: Simd>(self, _simd: S) -> W::Output {
            self.0.run(AnyBits)
        }
    }
    dispatch(Level::current(), Enter(work)).unwrap_or_else(|Enter(work)| work.run(AnyBits))
}

/// Runs `work` at `level`, across rows; gives it back where the level has no vectors that suit it.
pub(crate) fn dispatch_rows<W: rows::RowWork>(level: Level, work: W) -> Result<W::Output, W> {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512Gather | Level::Avx512Permute => {
            match rows_avx512::RowsAvx512::new(level == Level::Avx512Permute) {
                Some(token) => Ok(rows::RowSimd::vectorize(token, work)),
                None => Err(work),
            }
        }
        _ => Err(work),
    }
}

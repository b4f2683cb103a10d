//! Packed tables on the device: in a block's shared memory where they fit, else in global memory.

use super::group::{Group, Mapping};
use super::memory::{RowSymbols, RowsMemory};
use super::pop::PopForm;
use super::simt::Simt;
use crate::abi::CodeShape;
use crate::codec::packed::{
    PackedInterval, PackedSlot, PackedTable, TABLE_LOG2, WideInterval, next_part,
};
use crate::codec::packed_lookup::{PackedGuideLookup, PackedSlotsLookup, PackedWideLookup};
use crate::codec::step::slot;
use crate::codec::{Interval, RansFamily, StateInt};

/// Where packed tables lie. Addresses are of 32 bits; the tables begin at [`start`](Self::start).
pub trait TableMemory: Copy {
    /// The first address.
    fn start(self) -> u32;
    /// The address of the `index`-th of some things of `2^log2` bytes, `log2` a constant.
    fn scaled(self, base: u32, index: u32, log2: u32) -> u32;
    /// A byte.
    ///
    /// # Safety
    /// The address lies in the tables; so for the others, at multiples of their size.
    unsafe fn byte(self, at: u32) -> u32;
    /// 16 bits.
    ///
    /// # Safety
    /// See [`byte`](Self::byte).
    unsafe fn half(self, at: u32) -> u32;
    /// A word.
    ///
    /// # Safety
    /// See [`byte`](Self::byte).
    unsafe fn word(self, at: u32) -> u32;
    /// `2^log2 / 4` words: two or four.
    ///
    /// # Safety
    /// See [`byte`](Self::byte).
    unsafe fn words(self, at: u32, log2: u32) -> [u32; 4];
}

/// Tables that [`SharedTables::stage`] copied to shared memory.
#[derive(Clone, Copy, Debug)]
pub struct Staged<S> {
    simt: S,
    start: u32,
}

impl<S: Simt> TableMemory for Staged<S> {
    #[inline(always)]
    fn start(self) -> u32 {
        self.start
    }
    #[inline(always)]
    fn scaled(self, base: u32, index: u32, log2: u32) -> u32 {
        self.simt.scaled(base, index, log2)
    }
    #[inline(always)]
    unsafe fn byte(self, at: u32) -> u32 {
        // SAFETY: the caller's promise; nothing is written there after staging.
        unsafe { self.simt.load_shared_u8(at) }
    }
    #[inline(always)]
    unsafe fn half(self, at: u32) -> u32 {
        // SAFETY: as above.
        unsafe { self.simt.load_shared_u16(at) }
    }
    #[inline(always)]
    unsafe fn word(self, at: u32) -> u32 {
        // SAFETY: as above.
        unsafe { self.simt.load_shared(at) }
    }
    #[inline(always)]
    unsafe fn words(self, at: u32, log2: u32) -> [u32; 4] {
        // SAFETY: as above.
        unsafe {
            if log2 == 4 {
                return self.simt.load_shared_x4(at);
            }
            let [a, b] = self.simt.load_shared_x2(at);
            [a, b, 0, 0]
        }
    }
}

/// Tables in global memory: addresses are distances from a pointer.
#[derive(Clone, Copy, Debug)]
pub struct InGlobal(*const u32);

impl TableMemory for InGlobal {
    #[inline(always)]
    fn start(self) -> u32 {
        0
    }
    #[inline(always)]
    fn scaled(self, base: u32, index: u32, log2: u32) -> u32 {
        base.wrapping_add(index << log2)
    }
    #[inline(always)]
    unsafe fn byte(self, at: u32) -> u32 {
        // SAFETY: the caller's promise.
        unsafe { u32::from(*self.0.cast::<u8>().add(at as usize)) }
    }
    #[inline(always)]
    unsafe fn half(self, at: u32) -> u32 {
        // SAFETY: the caller's promise.
        unsafe { u32::from(*self.0.byte_add(at as usize).cast::<u16>()) }
    }
    #[inline(always)]
    unsafe fn word(self, at: u32) -> u32 {
        // SAFETY: the caller's promise.
        unsafe { *self.0.byte_add(at as usize) }
    }
    #[inline(always)]
    unsafe fn words(self, at: u32, log2: u32) -> [u32; 4] {
        /// Lets the compiler load two words at once.
        #[derive(Clone, Copy)]
        #[repr(align(8))]
        struct Two([u32; 2]);
        #[derive(Clone, Copy)]
        #[repr(align(16))]
        struct TwoWide([u64; 2]);
        // SAFETY: the caller's promise.
        unsafe {
            let at = self.0.byte_add(at as usize);
            if log2 == 4 {
                // Entries of four words begin with one of 64 bits; loaded as two words, it would be
                // loaded again.
                let TwoWide([a, b]) = *at.cast();
                return [a as u32, (a >> 32) as u32, b as u32, (b >> 32) as u32];
            }
            let Two([a, b]) = *at.cast();
            [a, b, 0, 0]
        }
    }
}

/// Lets the compiler load four words at once.
#[derive(Clone, Copy)]
#[repr(align(16))]
struct Four([u32; 4]);

/// The packed tables of a launch.
#[derive(Clone, Copy, Debug)]
pub struct SharedTables<S> {
    simt: S,
    global: *const u32,
    staged: bool,
}

impl<S: Simt> SharedTables<S> {
    /// Copies the tables to shared memory where the launch says so. All threads of the block call
    /// it together.
    ///
    /// # Safety
    /// `global` points to packed tables, of `shape.staged` bytes if that is not 0.
    #[inline(always)]
    pub unsafe fn stage(simt: S, global: *const u32, shape: &CodeShape) -> Self {
        let staged = shape.staged != 0;
        if staged {
            let step = simt.block_threads() * 16;
            let mut at = simt.thread() * 16;
            // SAFETY: whole parts of 16 bytes, each copied by one thread; the launch gave the
            // block as much memory.
            let copy = |at: u32, words: [u32; 4]| unsafe {
                simt.store_shared_x4(simt.shared() + at, words);
            };
            let load = |at: u32| {
                // SAFETY: as above.
                let Four(words) = unsafe { *global.byte_add(at as usize).cast() };
                words
            };
            // Four at once wait for the memory once.
            while at + 3 * step < shape.staged {
                let parts = [load(at), load(at + step), load(at + 2 * step), load(at + 3 * step)];
                unroll!(4, i, { copy(at + i as u32 * step, parts[i]) });
                at += 4 * step;
            }
            while at < shape.staged {
                copy(at, load(at));
                at += step;
            }
            simt.barrier();
        }
        Self { simt, global, staged }
    }

    /// The machine.
    #[inline(always)]
    pub fn simt(&self) -> S {
        self.simt
    }

    /// Whether the tables are in shared memory.
    #[inline(always)]
    pub fn are_staged(&self) -> bool {
        self.staged
    }

    /// The tables in shared memory, where they are staged.
    #[inline(always)]
    pub fn staged(&self) -> Staged<S> {
        Staged { simt: self.simt, start: self.simt.shared() }
    }

    /// The tables in global memory.
    #[inline(always)]
    pub fn in_global(&self) -> InGlobal {
        InGlobal(self.global)
    }
}

/// The rows of a warp that the main loop codes. They go through it in step, and the others, past
/// the last row or failed, with them: each as a copy of the first row that is coded, so that
/// whatever it stores is stored there already. It stays that copy, and is not asked for any more.
#[derive(Clone, Copy, Debug)]
pub struct CodedRow<S, M, F: RansFamily> {
    /// The lanes of the row.
    pub group: Group<S, M>,
    /// Whether that is this thread's own row.
    pub coded: bool,
    /// Its symbols and indexes.
    pub symbols: RowSymbols,
    /// Whether these are taken by fours.
    pub fours: bool,
    /// Its words.
    pub words: *mut F::Word,
}

impl<S: Simt, M: Mapping, F: RansFamily> CodedRow<S, M, F> {
    /// The row of the calling thread, or the one that it goes along with, whose number, state and
    /// cursor it then has; `None` where the warp has none to code. `coded` says whether this lane's
    /// row is to be coded.
    ///
    /// # Safety
    /// The memory is what [`abi`](crate::abi) says for a launch of this shape.
    #[inline(always)]
    pub unsafe fn new(
        group: Group<S, M>,
        rows: RowsMemory,
        shape: &CodeShape,
        coded: bool,
        (number, state, cursor): (&mut u32, &mut F::State, &mut u32),
    ) -> Option<Self> {
        let coded_rows = group.whole_rows(coded);
        if coded_rows == 0 {
            return None;
        }
        let coded = group.is_in(coded_rows);
        if coded_rows != u32::MAX {
            let other = group.of_first(coded_rows, *number);
            let other_cursor = group.of_first(coded_rows, *cursor);
            let low = group.of_first(coded_rows, state.low_u32());
            let high = group.of_first(coded_rows, (state.to_u64() >> 32) as u32);
            if !coded {
                *number = other;
                *cursor = other_cursor;
                *state = F::State::from_u64(u64::from(high) << 32 | u64::from(low));
            }
        }
        // SAFETY: the number of a row.
        let (memory, symbols) = unsafe {
            (rows.lane::<F>(shape, *number, group.lanes(), group.lane), rows.row(shape, *number))
        };
        let fours = !group.any_in_step(!symbols.fours_are_aligned());
        Some(Self { group, coded, symbols, fours, words: memory.words })
    }
}

/// The place of a table.
///
/// # Safety
/// `number` is one of the tables'.
#[inline(always)]
pub unsafe fn table<T: TableMemory>(memory: T, number: u32) -> PackedTable {
    // SAFETY: the places come first.
    let [base, place, ..] =
        unsafe { memory.words(memory.scaled(memory.start(), number, TABLE_LOG2), TABLE_LOG2) };
    PackedTable { base, place }
}

/// Where the part behind the tables' places begins.
#[inline(always)]
pub fn behind_places<T: TableMemory>(memory: T, shape: &CodeShape) -> u32 {
    memory.start() + next_part(shape.tables << TABLE_LOG2)
}

/// Where a table's part of 16 bits per slot or state begins.
#[inline(always)]
pub fn halves<T: TableMemory>(memory: T, number: u32, shape: &CodeShape) -> u32 {
    behind_places(memory, shape) + (number << (shape.precision + 1))
}

/// Where the part behind those 16 bits per slot or state begins.
#[inline(always)]
pub fn behind_halves<T: TableMemory>(memory: T, shape: &CodeShape) -> u32 {
    behind_places(memory, shape) + next_part(shape.tables << (shape.precision + 1))
}

/// A part of packed tables in global memory as the general code reads it: what follows the tables'
/// places and a part of so many bytes.
///
/// # Safety
/// `packed` points to packed tables of this shape that have these parts, the second of `len`
/// elements.
#[inline(always)]
pub(super) unsafe fn part_behind<T>(
    packed: *const u8,
    shape: &CodeShape,
    bytes: u32,
    len: usize,
) -> &'static [T] {
    let places = next_part(shape.tables << TABLE_LOG2) as usize;
    // SAFETY: the caller's promise.
    unsafe {
        core::slice::from_raw_parts(packed.add(places + next_part(bytes) as usize).cast(), len)
    }
}

/// A slot's symbol as packed tables give it.
#[derive(Clone, Copy, Debug, Default)]
pub struct PackedFound {
    /// The symbol less the table's offset.
    pub symbol: u32,
    /// Frequency; 0 where the general tables have to be asked.
    pub freq: u32,
    /// Rank of the slot, in `0..freq`.
    pub rank: u32,
}

/// The forms of packed tables that pop reads; the general code reads the same.
pub trait PackedLookup: PopForm + Copy {
    /// Where a table is.
    type Place: Copy + Default;
    /// Finds a table's slots.
    ///
    /// # Safety
    /// `number` is one of the tables'.
    unsafe fn place<T: TableMemory>(memory: T, number: u32, shape: &CodeShape) -> Self::Place;
    /// Finds the symbol of a state's slot.
    ///
    /// # Safety
    /// The place is one of these tables'.
    unsafe fn find<T: TableMemory, F: RansFamily>(
        memory: T,
        place: Self::Place,
        state: F::State,
        precision: u32,
    ) -> PackedFound;
}

/// A [`PackedSlot`] a slot: one load.
#[derive(Clone, Copy, Debug)]
pub struct Slots;
/// A byte per slot and a [`PackedInterval`] a symbol: two loads.
#[derive(Clone, Copy, Debug)]
pub struct Guide;

/// 16 bits per bucket of slots and a [`WideInterval`] a symbol: two loads, or a few more.
#[derive(Clone, Copy, Debug)]
pub struct Wide;

/// How the general code reads a form: its lookup, the bytes of the part before its own, and the
/// elements of its own.
macro_rules! general_forms {
    ($($form:ident: $lookup:ident { $field:ident }, $shape:ident, $bytes:expr, $len:expr;)*) => {
        $(impl PopForm for $form {
            type Lookup = $lookup<'static>;
            #[inline(always)]
            unsafe fn lookup(
                intervals: &'static [Interval],
                packed: *const u8,
                $shape: &CodeShape,
            ) -> Self::Lookup {
                // SAFETY: the caller's promise.
                let $field = unsafe { part_behind(packed, $shape, $bytes, $len) };
                $lookup { intervals, $field }
            }
        })*
    };
}
general_forms! {
    Slots: PackedSlotsLookup { slots }, shape, 0, (shape.tables as usize) << shape.precision;
    Guide: PackedGuideLookup { symbols }, shape,
        shape.entries * size_of::<PackedInterval>() as u32,
        (shape.tables as usize) << shape.precision;
    Wide: PackedWideLookup { buckets }, shape, shape.entries << WideInterval::LOG2,
        (shape.tables as usize) << WideInterval::bucket_bits(shape.precision);
}

impl PackedLookup for Wide {
    /// The intervals and the buckets.
    type Place = (u32, u32);
    #[inline(always)]
    unsafe fn place<T: TableMemory>(memory: T, number: u32, shape: &CodeShape) -> (u32, u32) {
        // SAFETY: the caller's promise.
        let table = unsafe { table(memory, number) };
        let intervals = behind_places(memory, shape);
        let buckets = intervals + next_part(shape.entries << WideInterval::LOG2);
        let bits = WideInterval::bucket_bits(shape.precision);
        (memory.scaled(intervals, table.base, WideInterval::LOG2), buckets + (number << (bits + 1)))
    }
    #[inline(always)]
    unsafe fn find<T: TableMemory, F: RansFamily>(
        memory: T,
        (intervals, buckets): (u32, u32),
        state: F::State,
        precision: u32,
    ) -> PackedFound {
        let slot = slot::<F>(state, precision);
        let bucket = slot >> (precision - WideInterval::bucket_bits(precision));
        // SAFETY: a table has 16 bits for each bucket, which name one of its intervals; the last of
        // them ends behind every slot.
        unsafe {
            let mut symbol = memory.half(buckets + 2 * bucket);
            loop {
                let at = memory.scaled(intervals, symbol, WideInterval::LOG2);
                let [start, freq, ..] = memory.words(at, WideInterval::LOG2);
                let interval = WideInterval([start, freq]);
                if !interval.lies_before(slot) {
                    let (freq, rank) = (interval.freq(), slot.wrapping_sub(start));
                    return PackedFound { symbol, freq, rank };
                }
                symbol += 1;
            }
        }
    }
}

impl PackedLookup for Slots {
    type Place = u32;
    #[inline(always)]
    unsafe fn place<T: TableMemory>(memory: T, number: u32, shape: &CodeShape) -> u32 {
        behind_places(memory, shape) + (number << (shape.precision + 2))
    }
    #[inline(always)]
    unsafe fn find<T: TableMemory, F: RansFamily>(
        memory: T,
        place: u32,
        state: F::State,
        precision: u32,
    ) -> PackedFound {
        // SAFETY: a table has a word for each slot.
        let found = PackedSlot(unsafe {
            memory.word(memory.scaled(place, slot::<F>(state, precision), 2))
        });
        PackedFound { symbol: found.symbol(), freq: found.freq(), rank: found.rank() }
    }
}

impl PackedLookup for Guide {
    /// The intervals and the bytes.
    type Place = (u32, u32);
    #[inline(always)]
    unsafe fn place<T: TableMemory>(memory: T, number: u32, shape: &CodeShape) -> (u32, u32) {
        // SAFETY: the caller's promise.
        let table = unsafe { table(memory, number) };
        let intervals = behind_places(memory, shape);
        let bytes = intervals + next_part(shape.entries * 4);
        (intervals + table.base * 4, bytes + (number << shape.precision))
    }
    #[inline(always)]
    unsafe fn find<T: TableMemory, F: RansFamily>(
        memory: T,
        (intervals, bytes): (u32, u32),
        state: F::State,
        precision: u32,
    ) -> PackedFound {
        let slot = slot::<F>(state, precision);
        // SAFETY: a table has a byte for each slot, and it names one of its intervals.
        let (symbol, interval) = unsafe {
            let symbol = memory.byte(bytes + slot);
            (symbol, PackedInterval(memory.word(memory.scaled(intervals, symbol, 2))))
        };
        PackedFound { symbol, freq: interval.freq(), rank: slot.wrapping_sub(interval.start()) }
    }
}

//! Packed tables on the device: in a block's shared memory where they fit, else in global memory.

use super::simt::Simt;
use crate::abi::CodeShape;
use crate::codec::RansFamily;
use crate::codec::packed::{PackedInterval, PackedSlot, PackedTable, TABLE_LOG2, next_part};
use crate::codec::step::slot;

/// Where packed tables lie. Addresses are of 32 bits; the tables begin at [`start`](Self::start).
pub trait TableMemory: Copy {
    /// The first address.
    fn start(self) -> u32;
    /// A byte.
    ///
    /// # Safety
    /// The address lies in the tables; so for the other two, at multiples of their size.
    unsafe fn byte(self, at: u32) -> u32;
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
    unsafe fn byte(self, at: u32) -> u32 {
        // SAFETY: the caller's promise; nothing is written there after staging.
        unsafe { self.simt.load_shared_u8(at) }
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
    unsafe fn byte(self, at: u32) -> u32 {
        // SAFETY: the caller's promise.
        unsafe { u32::from(*self.0.cast::<u8>().add(at as usize)) }
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
        // SAFETY: the caller's promise.
        unsafe {
            let at = self.0.byte_add(at as usize);
            if log2 == 4 {
                return (*at.cast::<Four>()).0;
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
            let mut at = simt.thread() * 16;
            while at < shape.staged {
                // SAFETY: whole parts of 16 bytes, each copied by one thread; the launch gave the
                // block as much memory.
                unsafe {
                    let Four(words) = *global.byte_add(at as usize).cast();
                    simt.store_shared_x4(simt.shared() + at, words);
                }
                at += simt.block_threads() * 16;
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

/// The place of a table.
///
/// # Safety
/// `number` is one of the tables'.
#[inline(always)]
pub unsafe fn table<T: TableMemory>(memory: T, number: u32) -> PackedTable {
    // SAFETY: the places come first.
    let [base, place, ..] =
        unsafe { memory.words(memory.start() + (number << TABLE_LOG2), TABLE_LOG2) };
    PackedTable { base, place }
}

/// Where the part behind the tables' places begins.
#[inline(always)]
pub fn behind_places<T: TableMemory>(memory: T, shape: &CodeShape) -> u32 {
    memory.start() + next_part(shape.tables << TABLE_LOG2)
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

/// The two forms of packed tables that pop reads.
pub trait PackedLookup: Copy {
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
        let found = PackedSlot(unsafe { memory.word(place + slot::<F>(state, precision) * 4) });
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
            (symbol, PackedInterval(memory.word(intervals + symbol * 4)))
        };
        PackedFound { symbol, freq: interval.freq(), rank: slot.wrapping_sub(interval.start()) }
    }
}

//! Packed alias tables, and where push finds what in packed tables.

use super::packed::{
    PackedFound, PackedLookup, TableMemory, behind_halves, behind_places, halves, part_behind,
    table,
};
use super::pop::PopForm;
use super::push::{Direct, PushForm};
use crate::abi::CodeShape;
use crate::codec::lookup::Found;
use crate::codec::packed::{ExactEntry, PackedFamily};
use crate::codec::packed_states::{PackedAliasLookup, PackedBucket, alias_base};
use crate::codec::step::{push_below_bound, push_placed, slot};
use crate::codec::{AliasPlacement, DirectPlacement, EncoderEntry, Interval, RansFamily, StateInt};

/// Alias tables: a [`PackedBucket`] a symbol for pop, one load; 16 bits per slot for push.
#[derive(Clone, Copy, Debug)]
pub struct PackedAlias;

impl PopForm for PackedAlias {
    type Lookup = PackedAliasLookup<'static>;
    #[inline(always)]
    unsafe fn lookup(
        intervals: &'static [Interval],
        packed: *const u8,
        shape: &CodeShape,
    ) -> Self::Lookup {
        // SAFETY: the caller's promise: a bucket for each interval.
        let buckets = unsafe { part_behind(packed, shape, 0, shape.entries as usize) };
        PackedAliasLookup { intervals, buckets }
    }
}

impl PushForm for PackedAlias {
    type Placement = AliasPlacement<'static, u16>;
    #[inline(always)]
    unsafe fn placement(packed: *const u8, shape: &CodeShape) -> Self::Placement {
        let slots = (shape.tables as usize) << shape.precision;
        // SAFETY: the caller's promise: `tables << precision` slots.
        let remap = unsafe { part_behind(packed, shape, 0, slots) };
        AliasPlacement { remap, precision: shape.precision }
    }
}

/// The forms of packed tables that push reads.
pub trait PackedPush: PushForm {
    /// Where the entries begin.
    fn entries<T: TableMemory>(memory: T, shape: &CodeShape) -> u32;
    /// Where a table's slots are.
    fn slots<T: TableMemory>(memory: T, number: u32, shape: &CodeShape) -> u32;
    /// An entry, of the bytes of the family's packed ones.
    type Entry<F: PackedFamily>: Copy;
    /// The entry that these words hold.
    fn entry<F: PackedFamily>(words: [u32; 4]) -> Self::Entry<F>;
    /// An entry's frequency.
    fn freq<F: PackedFamily>(entry: &Self::Entry<F>) -> u32;
    /// Pushes a symbol to a state that is below its bound.
    ///
    /// # Safety
    /// The slots are those of the entry's table.
    unsafe fn push<T: TableMemory, F: PackedFamily>(
        memory: T,
        state: F::State,
        entry: &Self::Entry<F>,
        slots: u32,
        precision: u32,
    ) -> F::State;
}

/// Slots in CDF order, and an [`ExactEntry`] per symbol: for states of 32 bits.
#[derive(Clone, Copy, Debug)]
pub struct Exact;

impl PushForm for Exact {
    type Placement = DirectPlacement;
    #[inline(always)]
    unsafe fn placement(_: *const u8, _: &CodeShape) -> DirectPlacement {
        DirectPlacement
    }
}

impl PackedPush for Exact {
    type Entry<F: PackedFamily> = ExactEntry;
    #[inline(always)]
    fn entries<T: TableMemory>(memory: T, shape: &CodeShape) -> u32 {
        behind_places(memory, shape)
    }
    #[inline(always)]
    fn slots<T: TableMemory>(_: T, _: u32, _: &CodeShape) -> u32 {
        0
    }
    #[inline(always)]
    fn entry<F: PackedFamily>([reciprocal, rest, ..]: [u32; 4]) -> ExactEntry {
        const { assert!(F::STATE_BITS == 32 && F::ENTRY_LOG2 == ExactEntry::LOG2) }
        ExactEntry { reciprocal, rest }
    }
    #[inline(always)]
    fn freq<F: PackedFamily>(entry: &ExactEntry) -> u32 {
        entry.freq()
    }
    #[inline(always)]
    unsafe fn push<T: TableMemory, F: PackedFamily>(
        _: T,
        state: F::State,
        entry: &ExactEntry,
        _: u32,
        precision: u32,
    ) -> F::State {
        F::State::from_u32(entry.push(state.low_u32(), precision))
    }
}

impl PackedPush for Direct {
    type Entry<F: PackedFamily> = EncoderEntry<F>;
    #[inline(always)]
    fn entries<T: TableMemory>(memory: T, shape: &CodeShape) -> u32 {
        behind_places(memory, shape)
    }
    #[inline(always)]
    fn slots<T: TableMemory>(_: T, _: u32, _: &CodeShape) -> u32 {
        0
    }
    #[inline(always)]
    fn entry<F: PackedFamily>(words: [u32; 4]) -> EncoderEntry<F> {
        F::unpack(words)
    }
    #[inline(always)]
    fn freq<F: PackedFamily>(entry: &EncoderEntry<F>) -> u32 {
        entry.freq
    }
    #[inline(always)]
    unsafe fn push<T: TableMemory, F: PackedFamily>(
        _: T,
        state: F::State,
        entry: &EncoderEntry<F>,
        _: u32,
        precision: u32,
    ) -> F::State {
        push_below_bound::<F>(state, entry, precision)
    }
}

impl PackedPush for PackedAlias {
    type Entry<F: PackedFamily> = EncoderEntry<F>;
    #[inline(always)]
    fn entries<T: TableMemory>(memory: T, shape: &CodeShape) -> u32 {
        behind_halves(memory, shape)
    }
    #[inline(always)]
    fn slots<T: TableMemory>(memory: T, number: u32, shape: &CodeShape) -> u32 {
        halves(memory, number, shape)
    }
    #[inline(always)]
    fn entry<F: PackedFamily>(words: [u32; 4]) -> EncoderEntry<F> {
        F::unpack(words)
    }
    #[inline(always)]
    fn freq<F: PackedFamily>(entry: &EncoderEntry<F>) -> u32 {
        entry.freq
    }
    #[inline(always)]
    unsafe fn push<T: TableMemory, F: PackedFamily>(
        memory: T,
        state: F::State,
        entry: &EncoderEntry<F>,
        slots: u32,
        precision: u32,
    ) -> F::State {
        push_placed::<F>(state, entry, precision, |position| {
            // SAFETY: a table has 16 bits for each cumulative position, and a symbol's lie in it.
            unsafe { memory.half(memory.scaled(slots, position, 1)) }
        })
    }
}

impl PackedLookup for PackedAlias {
    /// The buckets, and log2 of a bucket's slots.
    type Place = (u32, u32);
    #[inline(always)]
    unsafe fn place<T: TableMemory>(memory: T, number: u32, shape: &CodeShape) -> (u32, u32) {
        // SAFETY: the caller's promise.
        let (base, bits) = alias_base(unsafe { table(memory, number) });
        (memory.scaled(behind_places(memory, shape), base, PackedBucket::LOG2), bits)
    }
    #[inline(always)]
    unsafe fn find<T: TableMemory, F: RansFamily>(
        memory: T,
        (buckets, bits): (u32, u32),
        state: F::State,
        precision: u32,
    ) -> PackedFound {
        let slot = slot::<F>(state, precision);
        let own = slot >> bits;
        // SAFETY: a table has a bucket for each part of its slots.
        let bucket = PackedBucket(unsafe {
            memory.words(memory.scaled(buckets, own, PackedBucket::LOG2), PackedBucket::LOG2)
        });
        let Found { symbol, freq, rank } = bucket.find(own, slot);
        PackedFound { symbol, freq, rank }
    }
}

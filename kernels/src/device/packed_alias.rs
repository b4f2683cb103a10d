//! Packed alias tables, and where push finds what in packed tables.

use super::packed::{
    PackedFound, PackedLookup, TableMemory, behind_halves, behind_places, halves, table,
};
use super::packed_general::behind_places_at;
use super::pop::PopForm;
use super::push::{Direct, PushForm};
use crate::abi::CodeShape;
use crate::codec::lookup::Found;
use crate::codec::packed_states::{PackedAliasLookup, PackedBucket, alias_base};
use crate::codec::step::{push_below_bound, push_placed, slot};
use crate::codec::{AliasPlacement, EncoderEntry, Interval, RansFamily};

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
        let buckets = unsafe {
            let first = behind_places_at(packed, shape, 0).cast();
            core::slice::from_raw_parts(first, shape.entries as usize)
        };
        PackedAliasLookup { intervals, buckets }
    }
}

impl PushForm for PackedAlias {
    type Placement = AliasPlacement<'static, u16>;
    #[inline(always)]
    unsafe fn placement(packed: *const u8, shape: &CodeShape) -> Self::Placement {
        let slots = (shape.tables as usize) << shape.precision;
        // SAFETY: the caller's promise: `tables << precision` slots.
        let remap = unsafe {
            core::slice::from_raw_parts(behind_places_at(packed, shape, 0).cast(), slots)
        };
        AliasPlacement { remap, precision: shape.precision }
    }
}

/// The forms of packed tables that push reads.
pub trait PackedPush: PushForm {
    /// Where the entries begin.
    fn entries<T: TableMemory>(memory: T, shape: &CodeShape) -> u32;
    /// Where a table's slots are.
    fn slots<T: TableMemory>(memory: T, number: u32, shape: &CodeShape) -> u32;
    /// Pushes a symbol to a state that is below its bound.
    ///
    /// # Safety
    /// The slots are those of the entry's table.
    unsafe fn push<T: TableMemory, F: RansFamily>(
        memory: T,
        state: F::State,
        entry: &EncoderEntry<F>,
        slots: u32,
        precision: u32,
    ) -> F::State;
}

impl PackedPush for Direct {
    #[inline(always)]
    fn entries<T: TableMemory>(memory: T, shape: &CodeShape) -> u32 {
        behind_places(memory, shape)
    }
    #[inline(always)]
    fn slots<T: TableMemory>(_: T, _: u32, _: &CodeShape) -> u32 {
        0
    }
    #[inline(always)]
    unsafe fn push<T: TableMemory, F: RansFamily>(
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
    #[inline(always)]
    fn entries<T: TableMemory>(memory: T, shape: &CodeShape) -> u32 {
        behind_halves(memory, shape)
    }
    #[inline(always)]
    fn slots<T: TableMemory>(memory: T, number: u32, shape: &CodeShape) -> u32 {
        halves(memory, number, shape)
    }
    #[inline(always)]
    unsafe fn push<T: TableMemory, F: RansFamily>(
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

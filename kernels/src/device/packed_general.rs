//! What the general code pops with where the main loop reads packed tables: these, where they are
//! in global memory.

use super::packed::{Guide, Slots, Wide};
use super::pop::PopForm;
use crate::abi::CodeShape;
use crate::codec::Interval;
use crate::codec::packed::{PackedInterval, TABLE_LOG2, WideInterval, next_part};
use crate::codec::packed_lookup::{PackedGuideLookup, PackedSlotsLookup, PackedWideLookup};

/// What follows the tables' places in memory and a part of so many bytes.
///
/// # Safety
/// `packed` points to packed tables of this shape that have these parts.
#[inline(always)]
pub(super) unsafe fn behind_places_at(
    packed: *const u8,
    shape: &CodeShape,
    part: u32,
) -> *const u8 {
    let places = next_part(shape.tables << TABLE_LOG2) as usize;
    // SAFETY: the caller's promise.
    unsafe { packed.add(places + next_part(part) as usize) }
}

impl PopForm for Slots {
    type Lookup = PackedSlotsLookup<'static>;
    #[inline(always)]
    unsafe fn lookup(
        intervals: &'static [Interval],
        packed: *const u8,
        shape: &CodeShape,
    ) -> Self::Lookup {
        // SAFETY: the caller's promise: a word per slot.
        let slots = unsafe {
            let first = behind_places_at(packed, shape, 0).cast();
            core::slice::from_raw_parts(first, (shape.tables as usize) << shape.precision)
        };
        PackedSlotsLookup { intervals, slots }
    }
}

impl PopForm for Guide {
    type Lookup = PackedGuideLookup<'static>;
    #[inline(always)]
    unsafe fn lookup(
        intervals: &'static [Interval],
        packed: *const u8,
        shape: &CodeShape,
    ) -> Self::Lookup {
        // SAFETY: the caller's promise: an interval per symbol, and a byte per slot.
        let symbols = unsafe {
            let part = shape.entries * size_of::<PackedInterval>() as u32;
            let first = behind_places_at(packed, shape, part);
            core::slice::from_raw_parts(first, (shape.tables as usize) << shape.precision)
        };
        PackedGuideLookup { intervals, symbols }
    }
}

impl PopForm for Wide {
    type Lookup = PackedWideLookup<'static>;
    #[inline(always)]
    unsafe fn lookup(
        intervals: &'static [Interval],
        packed: *const u8,
        shape: &CodeShape,
    ) -> Self::Lookup {
        let bits = WideInterval::bucket_bits(shape.precision);
        // SAFETY: the caller's promise: an interval per symbol, and 16 bits per bucket.
        let buckets = unsafe {
            let first = behind_places_at(packed, shape, shape.entries << WideInterval::LOG2).cast();
            core::slice::from_raw_parts(first, (shape.tables as usize) << bits)
        };
        PackedWideLookup { intervals, buckets }
    }
}

//! A coder's tables of intervals in device memory, a thread per element: the forms that the host
//! makes of host memory with the same functions of the codec.

use super::simt::Simt;
use crate::abi::RowStatus;
use crate::abi::pack::{PackShape, form};
use crate::codec::packed::{ExactEntry, PackedFamily, PackedInterval, PackedSlot};
use crate::codec::{EncoderEntry, Interval, Rans32x16, Rans64};

/// Where a launch's tables lie.
#[derive(Clone, Copy, Debug)]
pub struct Packing {
    /// The intervals of all tables.
    pub intervals: *mut Interval,
    /// What became of each table.
    pub status: *const RowStatus,
    /// The elements.
    pub out: *mut u8,
}

/// Two and four words that are stored at once.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Two([u32; 2]);
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Four([u32; 4]);

/// The symbol at a slot: the last whose interval does not begin behind it.
#[inline(always)]
fn symbol_at(intervals: &[Interval], slot: u32) -> u32 {
    let (mut low, mut high) = (0, intervals.len() as u32);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        let starts = intervals.get(middle as usize).is_some_and(|middle| middle.start <= slot);
        (low, high) = if starts { (middle, high) } else { (low, middle) };
    }
    low
}

/// The share of a symbol where all have the same, to a slot.
#[inline(always)]
fn even(symbol: u32, shape: &PackShape) -> Interval {
    let begins = |symbol: u32| {
        ((u64::from(symbol) << shape.precision) / u64::from(shape.symbols.max(1))) as u32
    };
    Interval { start: begins(symbol), freq: begins(symbol + 1) - begins(symbol) }
}

/// Makes the calling thread's element. What does not fit its form, which the host knows of the
/// shape, is left 0.
///
/// # Safety
/// The memory is what [`PackParams`](crate::abi::pack::PackParams) says, and nothing else uses it
/// meanwhile.
#[inline(always)]
pub unsafe fn pack(simt: impl Simt, memory: Packing, shape: PackShape) {
    let of_slots = matches!(shape.form, form::SLOTS | form::NUMBERS);
    let each = if of_slots { 1u64 << shape.precision } else { u64::from(shape.symbols) };
    let at = u64::from(simt.block()) * u64::from(simt.block_threads()) + u64::from(simt.thread());
    if at >= u64::from(shape.tables) * each {
        return;
    }
    let (table, within) = ((at / each) as usize, (at % each) as u32);
    let at = at as usize;
    // SAFETY: the table is one of `shape.tables`, and the element one of its own; each is stored by
    // one thread.
    unsafe {
        let first = memory.intervals.add(table * shape.symbols as usize);
        if shape.form == form::EVEN {
            if (*memory.status.add(table)).code != 0 {
                *first.add(within as usize) = even(within, &shape);
            }
            return;
        }
        if of_slots {
            let intervals = core::slice::from_raw_parts(first, shape.symbols as usize);
            let symbol = symbol_at(intervals, within);
            if shape.form == form::NUMBERS {
                *memory.out.add(at) = symbol as u8;
                return;
            }
            let interval = intervals.get(symbol as usize).copied().unwrap_or_default();
            let coded = symbol + u32::from(shape.sentinel != 0) < shape.symbols;
            let rank = within.wrapping_sub(interval.start);
            let slot = PackedSlot::new(symbol, interval.freq, rank).filter(|_| coded);
            *memory.out.cast::<u32>().add(at) = slot.unwrap_or_default().0;
            return;
        }
        let interval = *first.add(within as usize);
        match shape.form {
            form::ENTRIES_64 => {
                let words = Rans64::pack(&EncoderEntry::new(interval)).unwrap_or_default();
                *memory.out.cast::<Four>().add(at) = Four(words);
            }
            form::ENTRIES_32 => {
                let EncoderEntry { reciprocal, freq, start } =
                    EncoderEntry::<Rans32x16>::new(interval);
                *memory.out.cast::<[u32; 3]>().add(at) = [reciprocal, freq, start];
            }
            form::PACKED_32 => {
                let [reciprocal, packed, ..] =
                    Rans32x16::pack(&EncoderEntry::new(interval)).unwrap_or_default();
                *memory.out.cast::<Two>().add(at) = Two([reciprocal, packed]);
            }
            form::EXACT => {
                let ExactEntry { reciprocal, rest } =
                    ExactEntry::new(interval, shape.precision).unwrap_or_default();
                *memory.out.cast::<Two>().add(at) = Two([reciprocal, rest]);
            }
            _ => {
                let sentinel = shape.sentinel != 0 && within + 1 == shape.symbols;
                let packed = PackedInterval::new(interval).filter(|_| !sentinel);
                *memory.out.cast::<u32>().add(at) = packed.unwrap_or_default().0;
            }
        }
    }
}

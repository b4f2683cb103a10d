//! A small table as its slots: the symbol at each one, in four bytes, so that a pop finds all it
//! needs in one load.

use parans_kernels::codec::{Interval, TableDescriptor};

/// Slots of the largest table in this form: 16 KiB, half of an L1 cache.
pub(crate) const SLOTS: usize = 1 << SLOT_SYMBOL;

/// Where the symbol begins; the slot's rank among the symbol's lies below.
pub(crate) const SLOT_SYMBOL: u32 = 12;

/// Where the frequency, less 1, begins.
pub(crate) const SLOT_FREQ: u32 = 20;

/// The slots of a single table; `None` where it is too large.
pub(super) fn build(
    tables: &[TableDescriptor],
    intervals: &[Interval],
) -> Option<Box<[u32; SLOTS]>> {
    let slots: u32 = intervals.iter().map(|interval| interval.freq).sum();
    if tables.len() != 1 || intervals.len() > 256 || slots as usize > SLOTS {
        return None;
    }
    let mut found = Box::new([0; SLOTS]);
    for (symbol, interval) in intervals.iter().enumerate() {
        for rank in 0..interval.freq {
            found[(interval.start + rank) as usize] =
                (interval.freq - 1) << SLOT_FREQ | (symbol as u32) << SLOT_SYMBOL | rank;
        }
    }
    Some(found)
}

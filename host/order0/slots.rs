//! The symbol at a slot: the decoder's lookup, for tables of 12 bits and up to 256 symbols.
//!
//! Two answers. A gather takes an entry per slot from 16 KiB. Where gathers are slow (17 to 26
//! cycles for 16 elements on Zen 4, 14 on Zen 5), permutes in registers do: 256 buckets of 16 slots
//! store their first symbol and where in them other symbols begin, as 16 bits; the number of such
//! beginnings up to a slot is how far its symbol is from the first. So a constant number of
//! operations finds the symbols at 64 slots, however crowded their buckets are.

/// Which of up to 256 symbols is at each of 4096 slots, in the two forms that levels look up: an
/// entry per slot for gathers, and planes of 256 bytes for register permutes.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct SlotTable {
    /// `frequency << 20 | symbol << 12 | rank in the symbol's interval` of each slot.
    pub(super) entries: [u32; 4096],
    pub(super) planes: SlotPlanes,
}

/// Symbols with a frequency are *numbered* in order. A *bucket* is sixteen slots.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct SlotPlanes {
    /// Number of the symbol at the first slot of each bucket.
    pub(super) numbers: [u8; 256],
    /// Bit `i mod 8` of plane `i / 8`: whether a symbol's interval begins at slot `i` of the
    /// bucket, not counting `i = 0`.
    pub(super) begins: [[u8; 256]; 2],
    /// Of each number: the symbol.
    pub(super) symbols: [u8; 256],
    /// Of each number: `frequency << 12 | start`, byte by byte.
    pub(super) intervals: [[u8; 256]; 3],
    /// Whether there are at most 128 numbers.
    pub(super) few: bool,
}

impl SlotTable {
    /// A table of zeros.
    pub(super) fn zeroed() -> Self {
        Self {
            entries: [0; 4096],
            planes: SlotPlanes {
                numbers: [0; 256],
                begins: [[0; 256]; 2],
                symbols: [0; 256],
                intervals: [[0; 256]; 3],
                few: true,
            },
        }
    }

    /// The table of frequencies that sum to 4096, all below 4096.
    pub(super) fn set(&mut self, frequencies: &[u32; 256]) {
        let Self { entries, planes } = self;
        planes.begins = [[0; 256]; 2];
        let (mut start, mut number) = (0u32, 0usize);
        for (symbol, &freq) in frequencies.iter().enumerate() {
            if freq == 0 {
                continue;
            }
            let (first, end) = (start as usize, (start + freq) as usize);
            for (rank, entry) in entries[first..end].iter_mut().enumerate() {
                *entry = freq << 20 | (symbol as u32) << 12 | rank as u32;
            }
            for bucket in first.div_ceil(16)..end.div_ceil(16) {
                planes.numbers[bucket] = number as u8;
            }
            if first % 16 != 0 {
                planes.begins[first % 16 / 8][first / 16] |= 1 << (first % 8);
            }
            planes.symbols[number] = symbol as u8;
            let interval = freq << 12 | start;
            for (k, plane) in planes.intervals.iter_mut().enumerate() {
                plane[number] = (interval >> (8 * k)) as u8;
            }
            start += freq;
            number += 1;
        }
        planes.few = number <= 128;
    }

    /// `frequency << 20 | symbol << 12 | rank in the symbol's interval` of each slot.
    pub(super) fn entries(&self) -> &[u32; 4096] {
        &self.entries
    }
}

/// The smallest state of a row between steps.
pub(super) const LOWER_BOUND: u32 = 1 << 15;

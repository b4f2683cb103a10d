//! Who owns a slot: the decoder's question, for tables of 12 bits and up to 256 symbols.
//!
//! Two answers. A gather takes an entry a slot from 16 KiB. Where gathers are slow (17 to 26 cycles for 16 elements on Zen 4, 14 on Zen 5), permutes
//! in registers do: 256 buckets of 16 slots know their first owner and where in them other symbols begin, as 16 bits; the
//! number of such beginnings up to a slot is how far its owner is from the first. So a constant number of operations finds
//! the owners of 64 slots, however crowded their buckets are.

use super::Simd;

/// Which of up to 256 symbols owns each of 4096 slots, in the two forms that levels look up: an entry a slot for gathers, and planes of
/// 256 bytes for register permutes.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(crate) struct SlotTable {
    /// `frequency << 20 | symbol << 12 | rank in the symbol's interval` of each slot.
    pub(super) entries: [u32; 4096],
    pub(super) planes: SlotPlanes,
}

/// Symbols with a frequency are *numbered* in order. A *bucket* is sixteen slots.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct SlotPlanes {
    /// Number of the symbol that owns the first slot of each bucket.
    pub(super) numbers: [u8; 256],
    /// Bit `i mod 8` of plane `i / 8`: whether a symbol's interval begins at slot `i` of the bucket, not counting `i = 0`.
    pub(super) begins: [[u8; 256]; 2],
    /// Of each number: the symbol.
    pub(super) symbols: [u8; 256],
    /// Of each number: `frequency << 12 | start`, byte by byte.
    pub(super) spans: [[u8; 256]; 3],
    /// Whether there are at most 128 numbers.
    pub(super) few: bool,
}

impl SlotTable {
    /// A table of zeros.
    pub(crate) fn zeroed() -> Self {
        Self {
            entries: [0; 4096],
            planes: SlotPlanes {
                numbers: [0; 256],
                begins: [[0; 256]; 2],
                symbols: [0; 256],
                spans: [[0; 256]; 3],
                few: true,
            },
        }
    }

    /// The table of frequencies that sum to 4096, all below 4096.
    pub(crate) fn set(&mut self, frequencies: &[u32; 256]) {
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
            let span = freq << 12 | start;
            for (k, plane) in planes.spans.iter_mut().enumerate() {
                plane[number] = (span >> (8 * k)) as u8;
            }
            start += freq;
            number += 1;
        }
        planes.few = number <= 128;
    }

    /// `frequency << 20 | symbol << 12 | rank in the symbol's interval` of each slot.
    pub(crate) fn entries(&self) -> &[u32; 4096] {
        &self.entries
    }
}

/// The smallest state of a row between steps.
pub(crate) const LOWER_BOUND: u32 = 1 << 15;

/// [`Simd::pop_rows`] of states held as they come, even lanes and odd ones.
#[inline(always)]
pub(super) fn pop_rows<S: Simd>(
    simd: S,
    table: &SlotTable,
    rows: &mut [[S::U32; 2]; 4],
    windows: [&[u8; 64]; 4],
) -> ([S::U32; 2], [usize; 4]) {
    let [[a, e], [b, f], [c, g], [d, h]] = *rows;
    let Owners { freqs, ranks, symbols } = owners_by_gather(simd, table, [a, b, c, d, e, f, g, h]);
    let mut counts = [0; 4];
    // Not a loop: it stayed one, with the states in memory, at half the speed.
    (rows[0], counts[0]) =
        pop_row(simd, rows[0], [freqs[0], freqs[4]], [ranks[0], ranks[4]], windows[0]);
    (rows[1], counts[1]) =
        pop_row(simd, rows[1], [freqs[1], freqs[5]], [ranks[1], ranks[5]], windows[1]);
    (rows[2], counts[2]) =
        pop_row(simd, rows[2], [freqs[2], freqs[6]], [ranks[2], ranks[6]], windows[2]);
    (rows[3], counts[3]) =
        pop_row(simd, rows[3], [freqs[3], freqs[7]], [ranks[3], ranks[7]], windows[3]);
    (symbols, counts)
}

#[inline(always)]
fn pop_row<S: Simd>(
    simd: S,
    x: [S::U32; 2],
    freqs: [S::U32; 2],
    ranks: [S::U32; 2],
    words: &[u8; 64],
) -> ([S::U32; 2], usize) {
    let advanced =
        [advance(simd, x[0], freqs[0], ranks[0]), advance(simd, x[1], freqs[1], ranks[1])];
    simd.refill_words(advanced, LOWER_BOUND, words)
}

/// As `step::advance`.
#[inline(always)]
fn advance<S: Simd>(simd: S, x: S::U32, freq: S::U32, rank: S::U32) -> S::U32 {
    simd.add(simd.mul_low(simd.shr::<12>(x), freq), rank)
}

/// What owns the slots of eight vectors of states.
#[derive(Clone, Copy)]
pub(crate) struct Owners<S: Simd> {
    /// Frequencies of the symbols.
    pub(crate) freqs: [S::U32; 8],
    /// Ranks of the slots in their symbols' intervals.
    pub(crate) ranks: [S::U32; 8],
    /// The symbols: byte `k` of element `j` of the first vector is that of element `j` of state vector `k`, of the second that of vector `4 + k`.
    pub(crate) symbols: [S::U32; 2],
}

/// [`Simd::owners`] from the entries.
#[inline(always)]
pub(super) fn owners_by_gather<S: Simd>(simd: S, table: &SlotTable, x: [S::U32; 8]) -> Owners<S> {
    let low = simd.splat(0xfff);
    let mut found = x;
    let (mut freqs, mut ranks) = (x, x);
    for k in 0..8 {
        found[k] = simd.gather(&table.entries, x[k]);
        freqs[k] = simd.shr::<20>(found[k]);
        ranks[k] = simd.and(found[k], low);
    }
    let [a, b, c, d, e, f, g, h] = found;
    let symbols = [simd.merge_bytes::<12>([a, b, c, d]), simd.merge_bytes::<12>([e, f, g, h])];
    Owners { freqs, ranks, symbols }
}

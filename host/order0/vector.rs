//! The full groups of four rows, over the vector interface: 128 bytes per step, eight vectors of
//! states in flight.
//!
//! Equal to [`scalar`](super::scalar) byte for byte (tests compare them at every level): the same
//! reciprocals, the same order of words. What is left of a chunk after its full groups (under 128
//! bytes) is coded by the scalar path before the groups on push, after them on pop.

#![cfg_attr(
    not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little"))),
    allow(dead_code, reason = "processors without a vector level only have the scalar path")
)]

use super::PRECISION;
use super::SLOTS;
use super::layout::{GROUP, LANES};
use super::operations::OrderSimd;
use super::scalar::{Entries, FRESH};
use super::slots::{LOWER_BOUND, SlotTable};
use crate::simd::{ByteTable, RunOn, Simd, Work};

/// The states of the four rows, lane 0 first.
pub(super) type States = [[u32; LANES]; 4];

/// What the encoder looks up for a byte: `start << 12 | frequency`.
pub(super) type Intervals = ByteTable<3>;

/// Fills the table.
pub(super) fn set_intervals(intervals: &mut Intervals, entries: &Entries) {
    // Start and frequency are below 2^12: a chunk with a single byte value never comes here.
    intervals.set(&entries.map(|entry| entry.start << PRECISION | entry.freq));
}

/// Pushes groups onto four rows, the last group first.
pub(super) struct EncodeGroups<'a> {
    pub(super) groups: &'a [[u8; GROUP]],
    pub(super) intervals: &'a Intervals,
    pub(super) states: &'a mut States,
    /// Where the words of each row go: capacity for one word per symbol and 64 bytes more.
    pub(super) words: [&'a mut [u8]; 4],
}

impl Work for EncodeGroups<'_> {
    /// Bytes of words that each row took.
    type Output = [usize; 4];
}

impl<S: Simd> RunOn<S> for EncodeGroups<'_> {
    #[inline(always)]
    fn run(self, simd: S) -> [usize; 4] {
        let Self { groups, intervals, states, words } = self;
        // Words are emitted in element order, rows are written from lane 31 down: everything is
        // held backwards, odd lanes first.
        let mut x = [[simd.splat(0); 2]; 4];
        for (x, row) in x.iter_mut().zip(&*states) {
            let (even, odd) = split_lanes(simd, row);
            *x = [simd.reverse(odd), simd.reverse(even)];
        }
        let [mut w0, mut w1, mut w2, mut w3] = words;
        let capacity = [w0.len(), w1.len(), w2.len(), w3.len()];
        for group in groups.iter().rev() {
            let (even, odd) = halves(group);
            let (even, odd) =
                (simd.reverse(simd.load_bytes(even)), simd.reverse(simd.load_bytes(odd)));
            let (s, t) = (simd.lookup_bytes(intervals, odd), simd.lookup_bytes(intervals, even));
            // Not a loop: it stayed one, with states and cursors in memory, at half the speed.
            push_row(simd, &mut x[0], [s[0], t[0]], &mut w0);
            push_row(simd, &mut x[1], [s[1], t[1]], &mut w1);
            push_row(simd, &mut x[2], [s[2], t[2]], &mut w2);
            push_row(simd, &mut x[3], [s[3], t[3]], &mut w3);
        }
        for (row, [odd, even]) in states.iter_mut().zip(x) {
            join_lanes(simd, simd.reverse(even), simd.reverse(odd), row);
        }
        let left = [w0.len(), w1.len(), w2.len(), w3.len()];
        std::array::from_fn(|row| capacity[row] - left[row])
    }
}

/// Pushes one symbol onto each lane of a row.
#[inline(always)]
fn push_row<S: Simd>(simd: S, x: &mut [S::U32; 2], intervals: [S::U32; 2], words: &mut &mut [u8]) {
    let low = simd.splat((1 << PRECISION) - 1);
    let freqs = [simd.and(intervals[0], low), simd.and(intervals[1], low)];
    let bounds = [simd.shl(freqs[0], 31 - PRECISION), simd.shl(freqs[1], 31 - PRECISION)];
    // Always there: the caller gave capacity for a word per symbol and 64 bytes more.
    let Some(out) = words.first_chunk_mut::<64>() else { return };
    let (emitted, count) = simd.emit_words(*x, bounds, out);
    advance_mut(words, 2 * count);
    *x = [
        divide(simd, emitted[0], intervals[0], freqs[0]),
        divide(simd, emitted[1], intervals[1], freqs[1]),
    ];
}

/// The state after a push, without its words: `(x / freq) << PRECISION | start + x % freq`.
///
/// As `step::divide`: the estimate of the quotient is exact or one less.
#[inline(always)]
fn divide<S: Simd>(simd: S, x: S::U32, interval: S::U32, freq: S::U32) -> S::U32 {
    let quotient = simd.quotient(x, freq);
    let remainder = simd.sub(x, simd.mul(quotient, freq));
    let short = simd.ge(remainder, freq);
    let slot = simd.add(remainder, simd.shr(interval, PRECISION));
    let estimate = simd.add(simd.shl(quotient, PRECISION), slot);
    // One quotient more is 4096 more, and one frequency less of remainder.
    simd.add_where(short, estimate, simd.sub(simd.splat(SLOTS as u32), freq))
}

/// Pops groups from four rows.
pub(super) struct DecodeGroups<'a, 'row> {
    pub(super) groups: &'a mut [[u8; GROUP]],
    pub(super) slots: &'a SlotTable,
    pub(super) states: &'a mut States,
    /// The whole rows, states included: a step looks at 64 bytes before the end of what is left,
    /// and the 128 bytes of states see to it that they are always there in a sound row.
    pub(super) rows: [&'row [u8]; 4],
}

impl<'row> Work for DecodeGroups<'_, 'row> {
    /// What is left of each row; `None` if one ran out (found late, after it took states for
    /// words).
    type Output = Option<[&'row [u8]; 4]>;
}

impl<S: OrderSimd> RunOn<S> for DecodeGroups<'_, '_> {
    #[inline(always)]
    fn run(self, simd: S) -> Self::Output {
        let Self { groups, slots, states, rows } = self;
        let mut x = [[simd.splat(0); 2]; 4];
        for (x, row) in x.iter_mut().zip(&*states) {
            let (even, odd) = split_lanes(simd, row);
            *x = simd.hold([even, odd]);
        }
        let [mut r0, mut r1, mut r2, mut r3] = rows;
        for group in groups {
            let windows = [r0.last_chunk()?, r1.last_chunk()?, r2.last_chunk()?, r3.last_chunk()?];
            let (symbols, [c0, c1, c2, c3]) = simd.pop_rows(slots, &mut x, windows);
            drop_words(&mut r0, c0);
            drop_words(&mut r1, c1);
            drop_words(&mut r2, c2);
            drop_words(&mut r3, c3);
            let (even, odd) = halves_mut(group);
            simd.store_bytes(symbols[0], even);
            simd.store_bytes(symbols[1], odd);
        }
        for (row, x) in states.iter_mut().zip(x) {
            let [even, odd] = simd.release(x);
            join_lanes(simd, even, odd, row);
        }
        Some([r0, r1, r2, r3])
    }
}

/// Drops the last `count` words, or all.
#[inline(always)]
fn drop_words(left: &mut &[u8], count: usize) {
    *left = &left[..left.len().saturating_sub(2 * count)];
}

const _: () = assert!(FRESH == LOWER_BOUND, "what a step renormalises to");

/// The even and the odd lanes of a row.
#[inline(always)]
fn split_lanes<S: Simd>(simd: S, row: &[u32; LANES]) -> (S::U32, S::U32) {
    let mut parts = [[0u8; 64]; 2];
    for (lane, x) in row.iter().enumerate() {
        parts[lane % 2][lane / 2 * 4..][..4].copy_from_slice(&x.to_le_bytes());
    }
    (simd.load_bytes(&parts[0]), simd.load_bytes(&parts[1]))
}

/// Inverse of [`split_lanes`].
#[inline(always)]
fn join_lanes<S: Simd>(simd: S, even: S::U32, odd: S::U32, row: &mut [u32; LANES]) {
    let mut parts = [[0u8; 64]; 2];
    simd.store_bytes(even, &mut parts[0]);
    simd.store_bytes(odd, &mut parts[1]);
    for (lane, x) in row.iter_mut().enumerate() {
        let bytes = &parts[lane % 2][lane / 2 * 4..][..4];
        *x = u32::from_le_bytes(bytes.try_into().expect("four bytes"));
    }
}

#[inline(always)]
fn halves(group: &[u8; GROUP]) -> (&[u8; 64], &[u8; 64]) {
    let (even, odd) = group.split_at(64);
    (even.try_into().expect("64 bytes"), odd.try_into().expect("64 bytes"))
}

#[inline(always)]
fn halves_mut(group: &mut [u8; GROUP]) -> (&mut [u8; 64], &mut [u8; 64]) {
    let (even, odd) = group.split_at_mut(64);
    (even.try_into().expect("64 bytes"), odd.try_into().expect("64 bytes"))
}

/// Drops the first `n` bytes, or all.
#[inline(always)]
fn advance_mut(slice: &mut &mut [u8], n: usize) {
    let all = std::mem::take(slice);
    let n = n.min(all.len());
    *slice = &mut all[n..];
}

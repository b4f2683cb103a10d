//! The steps of rans32_16 over [`Simd`]: the even lanes of a row in one vector, the odd ones in
//! another, whose words then interleave in the order of lanes.
//!
//! Equal to the codec's arithmetic (tests compare them at every level), but for the division: a
//! quotient estimated in floating point, exact or one too small, costs less than looking a
//! reciprocal up.

use parans_kernels::codec::{Rans32x16, RansFamily};

use super::super::entries::{Step, load_step, store_step};
use super::super::lookup::{By, SlotLookup};
use super::super::tables::PackedTables;
use super::steps::{LANES, LaneFamily, PopSteps, Popped, PushSteps, Pushed, UsedTables};
use crate::simd::{Level, RunOn, Simd, Work, dispatch, unroll};
use crate::tables::{SLOT_FREQ, SLOT_SYMBOL, SLOTS};

/// Below this precision quotients exceed what one [`Simd::quotient`] is exact for.
const ONE_QUOTIENT: u32 = 11;

impl LaneFamily for Rans32x16 {
    fn has_lane_loops(level: Level) -> bool {
        level != Level::Scalar
    }

    #[allow(private_interfaces, reason = "only this folder calls it")]
    fn push_steps<const R: usize>(
        level: Level,
        steps: PushSteps<'_, Self, R>,
    ) -> Option<Pushed<R>> {
        dispatch(level, steps).ok()
    }

    #[allow(private_interfaces, reason = "only this folder calls it")]
    fn pop_steps<const R: usize>(
        level: Level,
        steps: PopSteps<'_, '_, Self, R>,
    ) -> Option<Popped<R>> {
        dispatch(level, steps).ok()
    }
}

/// A step's elements from lane 31 down: the odd lanes, then the even ones.
#[inline(always)]
fn load_backwards<S: Simd>(s: S, step: &Step) -> [S::U32; 2] {
    let [even, odd] = s.deinterleave(load_step(s, step));
    [s.reverse(odd), s.reverse(even)]
}

/// What every step reads, in registers.
#[derive(Clone, Copy)]
struct PushConstants<V> {
    one: V,
    low: V,
    precision: V,
    bound: V,
    slots: V,
    twice: bool,
}

impl<const R: usize> Work for PushSteps<'_, Rans32x16, R> {
    type Output = Pushed<R>;
}

impl<S: Simd, const R: usize> RunOn<S> for PushSteps<'_, Rans32x16, R> {
    #[inline(always)]
    fn run(self, s: S) -> Pushed<R> {
        let Self { entries, steps, precision, states, free } = self;
        let constants = PushConstants {
            one: s.splat(1),
            low: s.splat(0xffff),
            precision: s.splat(precision),
            bound: s.splat(31 - precision),
            slots: s.splat(1 << precision),
            twice: precision < ONE_QUOTIENT,
        };
        let mut x = [[s.splat(0); 2]; R];
        unroll!(r in 0 1 2 3 below R => {
            x[r] = load_backwards(s, &states[r]);
        });
        let mut left: [&mut [u8]; R] = free.map(bytemuck::cast_slice_mut);
        let before = left.each_ref().map(|left| left.len());
        let mut done = steps.end;
        while done > steps.start {
            let mut short = false;
            unroll!(r in 0 1 2 3 below R => {
                short |= left[r].len() < 64;
            });
            if short {
                break;
            }
            done -= 1;
            unroll!(r in 0 1 2 3 below R => {
                let entries = load_backwards(s, &entries[r][done]);
                push_row(s, &constants, &mut x[r], entries, &mut left[r]);
            });
        }
        unroll!(r in 0 1 2 3 below R => {
            let [odd, even] = x[r];
            let lanes = s.interleave([s.reverse(even), s.reverse(odd)]);
            store_step(s, lanes, &mut states[r]);
        });
        let mut words = before;
        for (words, left) in words.iter_mut().zip(&left) {
            *words = (*words - left.len()) / 2;
        }
        Pushed { done, words }
    }
}

/// Pushes one symbol onto each lane of a row.
#[inline(always)]
fn push_row<S: Simd>(
    s: S,
    constants: &PushConstants<S::U32>,
    x: &mut [S::U32; 2],
    entries: [S::U32; 2],
    words: &mut &mut [u8],
) {
    let freqs =
        [s.add(s.shr(entries[0], 16), constants.one), s.add(s.shr(entries[1], 16), constants.one)];
    let bounds = [s.shl_by(freqs[0], constants.bound), s.shl_by(freqs[1], constants.bound)];
    // Always there: the caller looked.
    let Some(free) = words.first_chunk_mut::<64>() else { return };
    let (emitted, count) = s.emit_words(*x, bounds, free);
    let all = std::mem::take(words);
    let taken = (2 * count).min(all.len());
    *words = &mut all[taken..];
    *x = [
        divide(s, constants, emitted[0], entries[0], freqs[0]),
        divide(s, constants, emitted[1], entries[1], freqs[1]),
    ];
}

/// The state after a push, without its words: `(x / freq) << precision | start + x % freq`.
#[inline(always)]
fn divide<S: Simd>(
    s: S,
    constants: &PushConstants<S::U32>,
    x: S::U32,
    entry: S::U32,
    freq: S::U32,
) -> S::U32 {
    let mut quotient = s.quotient(x, freq);
    if constants.twice {
        // Never too large: what is left over is divided once more.
        let rest = s.sub(x, s.mul(quotient, freq));
        quotient = s.add(quotient, s.quotient(rest, freq));
    }
    let remainder = s.sub(x, s.mul(quotient, freq));
    let short = s.ge(remainder, freq);
    let slot = s.add(remainder, s.and(entry, constants.low));
    let estimate = s.add(s.shl_by(quotient, constants.precision), slot);
    // One quotient more is 2^precision more, and one frequency less of remainder.
    s.add_where(short, estimate, s.sub(constants.slots, freq))
}

/// What a lookup finds for the two vectors of a row.
#[derive(Clone, Copy)]
struct FoundPair<V> {
    /// Their tables' offsets added.
    symbol: [V; 2],
    freq: [V; 2],
    rank: [V; 2],
    /// The bypass sentinels, where bypass is on.
    last: [V; 2],
}

/// How a symbol is found.
trait Find<S: Simd> {
    fn find(&self, s: S, x: [S::U32; 2], row: usize, step: usize) -> FoundPair<S::U32>;
}

/// A small table, whole: one gather.
struct BySlot<'a, V> {
    slots: &'a [u32; SLOTS],
    mask: V,
    low: V,
    byte: V,
    one: V,
    offset: V,
    last: V,
}

impl<S: Simd> Find<S> for BySlot<'_, S::U32> {
    #[inline(always)]
    fn find(&self, s: S, x: [S::U32; 2], _row: usize, _step: usize) -> FoundPair<S::U32> {
        let slots = [
            s.gather_modulo(self.slots, s.and(x[0], self.mask)),
            s.gather_modulo(self.slots, s.and(x[1], self.mask)),
        ];
        FoundPair {
            symbol: [
                s.add(s.and(s.shr(slots[0], SLOT_SYMBOL), self.byte), self.offset),
                s.add(s.and(s.shr(slots[1], SLOT_SYMBOL), self.byte), self.offset),
            ],
            freq: [
                s.add(s.shr(slots[0], SLOT_FREQ), self.one),
                s.add(s.shr(slots[1], SLOT_FREQ), self.one),
            ],
            rank: [s.and(slots[0], self.low), s.and(slots[1], self.low)],
            last: [self.last; 2],
        }
    }
}

/// Any tables: the buckets of the slots, by gathers.
struct ByBucket<'a, V, const R: usize> {
    lookup: SlotLookup<'a, V>,
    used: UsedTables<'a, R>,
    bypass: bool,
}

impl<V: Copy, const R: usize> ByBucket<'_, V, R> {
    /// The tables of a step of a row, even lanes and odd ones.
    #[inline(always)]
    fn tables<S: Simd<U32 = V>>(&self, s: S, row: usize, step: usize) -> [V; 2] {
        match self.used {
            UsedTables::One(tables) => [s.splat(tables[row]); 2],
            UsedTables::Each(tables) => s.deinterleave(load_step(s, &tables[row][step])),
        }
    }
}

impl<S: Simd, const R: usize> Find<S> for ByBucket<'_, S::U32, R> {
    #[inline(always)]
    fn find(&self, s: S, x: [S::U32; 2], row: usize, step: usize) -> FoundPair<S::U32> {
        let Self { lookup, .. } = self;
        let single = lookup.single();
        let table = self.tables(s, row, step);
        let slots = [lookup.slots(s, x[0]), lookup.slots(s, x[1])];
        let (mut even, even_misses) = lookup.find(s, By::Gather, single, table[0], slots[0]);
        let (mut odd, odd_misses) = lookup.find(s, By::Gather, single, table[1], slots[1]);
        if s.any(s.either(even_misses, odd_misses)) {
            let misses = u64::from(s.to_bits(even_misses)) | u64::from(s.to_bits(odd_misses)) << 16;
            [even, odd] = lookup.find_misses(s, misses, table, slots, [even, odd]);
        }
        let mut symbol = [lookup.symbols(s, &even), lookup.symbols(s, &odd)];
        if lookup.far() {
            symbol = [
                lookup.add_offsets(s, symbol[0], table[0]),
                lookup.add_offsets(s, symbol[1], table[1]),
            ];
        }
        let last =
            if self.bypass { [lookup.last(s, table[0]), lookup.last(s, table[1])] } else { symbol };
        FoundPair { symbol, freq: [even.freq, odd.freq], rank: [even.rank, odd.rank], last }
    }
}

impl<const R: usize> Work for PopSteps<'_, '_, Rans32x16, R> {
    type Output = Popped<R>;
}

impl<S: Simd, const R: usize> RunOn<S> for PopSteps<'_, '_, Rans32x16, R> {
    #[inline(always)]
    fn run(self, s: S) -> Popped<R> {
        let PackedTables { packed, form, slots, count, precision, .. } = *self.tables;
        let used = self.used;
        if count == 1
            && matches!(used, UsedTables::One(_))
            && let Some(slots) = slots
        {
            let (size, offset) = packed.uniform.unwrap_or((1, 0));
            let (last, offset) = (s.splat(offset.wrapping_add(size - 1)), s.splat(offset));
            let mask = s.splat((1 << precision) - 1);
            let one = s.splat(1);
            let (low, byte) = (s.splat((1 << SLOT_SYMBOL) - 1), s.splat(0xff));
            return self.steps(s, BySlot { slots, mask, low, byte, one, offset, last });
        }
        let lookup = SlotLookup::new(s, form, precision);
        let bypass = self.tables.bypass.is_some();
        self.steps(s, ByBucket { lookup, used, bypass })
    }
}

impl<const R: usize> PopSteps<'_, '_, Rans32x16, R> {
    #[inline(always)]
    fn steps<S: Simd>(self, s: S, find: impl Find<S>) -> Popped<R> {
        let Self { tables, steps, states, words, symbols, .. } = self;
        let precision = s.splat(tables.precision);
        let bypass = tables.bypass.is_some();
        let zero = s.splat(0);
        let mut x = [[zero; 2]; R];
        unroll!(r in 0 1 2 3 below R => {
            x[r] = s.deinterleave(load_step(s, &states[r]));
        });
        let mut left: [&[u8]; R] = words.map(bytemuck::cast_slice);
        let mut done = steps.start;
        let mut sentinel = false;
        while done < steps.end && !sentinel {
            let mut short = false;
            unroll!(r in 0 1 2 3 below R => {
                short |= left[r].len() < 2 * LANES;
            });
            if short {
                break;
            }
            unroll!(r in 0 1 2 3 below R => {
                let found = find.find(s, x[r], r, done);
                let mut advanced = x[r];
                for half in 0..2 {
                    let high = s.shr_by(x[r][half], precision);
                    advanced[half] = s.add(s.mul(high, found.freq[half]), found.rank[half]);
                }
                let symbol = found.symbol;
                if bypass {
                    // Equal where nothing is left: their order says nothing, with offsets in them.
                    let rest = [s.sub(symbol[0], found.last[0]), s.sub(symbol[1], found.last[1])];
                    sentinel |= s.any(s.either(s.ge(zero, rest[0]), s.ge(zero, rest[1])));
                }
                store_step(s, s.interleave(symbol), &mut symbols[r][done]);
                // Always there: looked for above.
                let Some(window) = left[r].last_chunk::<64>() else { break };
                let (next, count) = s.renormalise(advanced, Rans32x16::LOWER_BOUND, window);
                left[r] = &left[r][..left[r].len().saturating_sub(2 * count)];
                x[r] = next;
            });
            done += 1;
        }
        unroll!(r in 0 1 2 3 below R => {
            store_step(s, s.interleave(x[r]), &mut states[r]);
        });
        let mut words = [0; R];
        for (words, left) in words.iter_mut().zip(&left) {
            *words = left.len() / 2;
        }
        Popped { done, words, sentinel }
    }
}

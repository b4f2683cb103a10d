//! Whose slots sixteen states stand at.

use crate::simd::Line;
use crate::simd::rows::RowSimd;
use crate::tables::{Packed, Pairs, RUN};

/// The plan's tables as lookups read them.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct SlotLookup<'a, V> {
    packed: &'a Packed,
    pairs: &'a Pairs,
    precision: u32,
    /// What symbols are relative to, where it is the same for all tables.
    lowest: Option<V>,
}

/// The owners of sixteen slots.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct Found<V> {
    pub(in crate::cpu) freq: V,
    /// Of the slot in its owner's interval.
    pub(in crate::cpu) rank: V,
    /// See [`SlotLookup::symbols`].
    symbol: V,
}

impl<V: Copy> Found<V> {
    /// The same for all three, until found.
    #[inline(always)]
    pub(in crate::cpu) fn new(any: V) -> Self {
        Self { freq: any, rank: any, symbol: any }
    }
}

impl<'a, V: Copy> SlotLookup<'a, V> {
    #[inline(always)]
    pub(in crate::cpu) fn new<S: RowSimd<U32 = V>>(
        s: S,
        packed: &'a Packed,
        precision: u32,
    ) -> Self {
        let pairs = packed.pairs();
        Self { packed, pairs, precision, lowest: pairs.lowest.map(|lowest| s.splat(lowest)) }
    }

    /// The slots of states.
    #[inline(always)]
    pub(in crate::cpu) fn slots<S: RowSimd<U32 = V>>(&self, s: S, states: V) -> V {
        s.and(states, s.splat((1u32 << self.precision) - 1))
    }

    /// Finds owners by one lookup each, and which of them are still to be found by [`find_missed`](Self::find_missed). `MANY`: there are likely to be
    /// many tables, more than the first-level cache holds.
    #[inline(always)]
    pub(in crate::cpu) fn find<S: RowSimd<U32 = V>, const MANY: bool, const GATHER: bool>(
        &self,
        s: S,
        table: V,
        slot: V,
    ) -> (Found<V>, u16) {
        let (low, one) = (s.splat(0xffff), s.splat(1));
        let bits = self.pairs.bits;
        let bucket = s.add(s.shl(table, bits), s.shr(slot, self.precision - bits));
        let buckets = self.pairs.buckets.as_slice();
        let [owner, after] =
            if GATHER { s.gather_halves(buckets, bucket) } else { s.load_halves(buckets, bucket) };
        let rank = s.sub(slot, s.and(owner, low));
        let freq = s.add(s.shr(owner, 16), one);
        let symbol = s.shr(after, 16);
        let next = s.ge(rank, freq);
        if !MANY && self.pairs.single {
            return (Found { freq, rank, symbol }, next);
        }
        let next_freq = s.and(after, low);
        let rank = s.select(next, s.sub(rank, freq), rank);
        let freq = s.select(next, next_freq, freq);
        // Of a run as well, where no slot lies this far from its beginning but those before it.
        let missed = s.ge(rank, freq);
        let run = next & s.eq(next_freq, s.splat(RUN));
        let symbol = s.select(next, s.add(symbol, one), symbol);
        let symbol = s.select(run, s.add(symbol, rank), symbol);
        let rank = s.select(run, s.splat(0), rank);
        let freq = s.select(run, one, freq);
        (Found { freq, rank, symbol }, missed)
    }

    /// Finds the owners that their buckets do not tell: bit `16 * n + e` of `missed` is element `e` of vector `n`.
    #[inline(always)]
    pub(in crate::cpu) fn find_missed<S: RowSimd<U32 = V>, const N: usize>(
        &self,
        s: S,
        mut missed: u64,
        tables: [V; N],
        slots: [V; N],
        found: &mut [Found<V>; N],
    ) {
        let Packed { entries, places, offsets, symbols, .. } = self.packed;
        let mut of = [[Line::default(); N]; 5];
        for n in 0..N {
            let Found { freq, rank, symbol } = found[n];
            for (of, v) in of.iter_mut().zip([tables[n], slots[n], freq, rank, symbol]) {
                s.store(v, &mut of[n]);
            }
        }
        let [tables, slots, freqs, ranks, numbers] = &mut of;
        while missed != 0 {
            let e = missed.trailing_zeros() as usize;
            let (n, e) = (e / 16, e % 16);
            missed &= missed - 1;
            let (table, slot) = (tables[n][e] as usize, slots[n][e]);
            let (base, count) = (places[table], symbols[table]);
            let first = match self.pairs.lowest {
                Some(lowest) => offsets[table].wrapping_sub(lowest),
                None => 0,
            };
            // Mostly it is near the bucket's.
            let near = numbers[n][e].wrapping_sub(first).saturating_sub(BEFORE).min(count - 1);
            let around = &entries[(base + near) as usize..];
            let mut number = near.wrapping_sub(1);
            if let Some(around) = around.first_chunk() {
                let begun = s.ge(s.splat(slot), s.and(s.load(around), s.splat(0xffff)));
                number = number.wrapping_add(begun.count_ones());
            }
            number = number.min(count - 1);
            let mut entry = entries[(base + number) as usize];
            if slot.wrapping_sub(entry & 0xffff) > entry >> 16 {
                (entry, number) = self.packed.find(table, slot);
                number = number.wrapping_sub(offsets[table]);
            }
            freqs[n][e] = (entry >> 16) + 1;
            ranks[n][e] = slot.wrapping_sub(entry & 0xffff);
            numbers[n][e] = number.wrapping_add(first);
        }
        for n in 0..N {
            found[n] = Found {
                freq: s.load(&freqs[n]),
                rank: s.load(&ranks[n]),
                symbol: s.load(&numbers[n]),
            };
        }
    }

    /// The symbols found in these tables.
    #[inline(always)]
    pub(in crate::cpu) fn symbols<S: RowSimd<U32 = V>>(
        &self,
        s: S,
        table: V,
        found: &Found<V>,
    ) -> V {
        let relative_to = match self.lowest {
            Some(lowest) => lowest,
            None => s.gather(&self.packed.offsets, table),
        };
        s.add(found.symbol, relative_to)
    }
}

/// How far below the symbol of its bucket the owner of a missed slot is sought first, among sixteen.
const BEFORE: u32 = 6;

//! Whose slots sixteen states stand at.

use crate::simd::Line;
use crate::simd::rows::{Bounded, RowSimd};
use crate::tables::{Packed, Pairs, RUN, RUN_BEFORE};

/// The plan's tables as lookups read them.
#[derive(Clone, Copy)]
pub(in crate::cpu) struct SlotLookup<'a, V> {
    packed: &'a Packed,
    pairs: &'a Pairs,
    /// Those of `pairs`. What each lookup needs stands here: loops that store would read it from there again and again.
    buckets: Bounded<'a, V>,
    /// log2 of the buckets a table.
    bits: u32,
    /// Bits of a slot below those that choose its bucket.
    below: u32,
    /// The bits of a state that are its slot.
    slot: V,
    /// What symbols are relative to; 0 where it is each table's offset.
    lowest: V,
    /// Whether it is.
    far: bool,
}

/// How buckets are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::cpu) enum By {
    /// Gathers.
    Gather,
    /// Loads one by one.
    Load,
    /// Whichever is faster here: a branch a vector, which keeps the compiler from mixing the code of one with that of the next.
    Either,
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
        Self {
            packed,
            pairs,
            buckets: Bounded::new(s, &pairs.buckets),
            bits: pairs.bits,
            below: precision - pairs.bits,
            slot: s.splat((1u32 << precision) - 1),
            lowest: s.splat(pairs.lowest.unwrap_or(0)),
            far: pairs.lowest.is_none(),
        }
    }

    /// Whether no bucket has more than one owner.
    #[inline(always)]
    pub(in crate::cpu) fn single(&self) -> bool {
        self.pairs.single
    }

    /// The slots of states.
    #[inline(always)]
    pub(in crate::cpu) fn slots<S: RowSimd<U32 = V>>(&self, s: S, states: V) -> V {
        s.and(states, self.slot)
    }

    /// The buckets of slots, low halves and high ones.
    #[inline(always)]
    fn buckets<S: RowSimd<U32 = V>>(&self, s: S, by: By, table: V, slot: V) -> [V; 2] {
        let bucket = s.add(s.shl(table, self.bits), s.shr(slot, self.below));
        let load = match by {
            By::Gather => false,
            By::Load => true,
            By::Either => s.slow_gathers(),
        };
        if load {
            s.load_halves(&self.buckets, bucket)
        } else {
            s.gather_halves(&self.buckets, bucket)
        }
    }

    /// Finds owners by one lookup each, and which of them are still to be found by [`find_missed`](Self::find_missed): none where buckets are
    /// [`single`](Self::single).
    #[inline(always)]
    pub(in crate::cpu) fn find<S: RowSimd<U32 = V>>(
        &self,
        s: S,
        by: By,
        single: bool,
        table: V,
        slot: V,
    ) -> (Found<V>, u16) {
        let (low, one) = (s.splat(0xffff), s.splat(1));
        let [owner, after] = self.buckets(s, by, table, slot);
        let rank = s.sub(slot, s.and(owner, low));
        let more = s.shr(owner, 16);
        let freq = s.add(more, one);
        let symbol = s.shr(after, 16);
        if single {
            return (Found { freq, rank, symbol }, 0);
        }
        let next = s.ge(rank, freq);
        let next_freq = s.and(after, low);
        let rank = s.select(next, s.sub(rank, freq), rank);
        let freq = s.select(next, next_freq, freq);
        // Of a run as well, where no slot lies this far from its beginning but those before it, which are the run where it comes before.
        let before = next & s.eq(next_freq, s.splat(RUN_BEFORE));
        let missed = s.ge(rank, freq) ^ before;
        let run = next & s.ge(next_freq, s.splat(RUN));
        let symbol = s.select(next, s.add(symbol, one), symbol);
        let symbol = s.select(before, s.add(symbol, more), symbol);
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
            // Mostly it is near the bucket's first.
            let bucket = (table << self.bits) + (slot >> self.below) as usize;
            let told = self.pairs.buckets.get(bucket).map_or(0, |bucket| (bucket >> 48) as u32);
            let near = told.wrapping_sub(first).saturating_sub(BEFORE).min(count - 1);
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

    /// The symbols found; of tables that lie [`far`](Self::far) apart without what [`add_offsets`](Self::add_offsets) adds.
    #[inline(always)]
    pub(in crate::cpu) fn symbols<S: RowSimd<U32 = V>>(&self, s: S, found: &Found<V>) -> V {
        s.add(found.symbol, self.lowest)
    }

    /// Whether the symbols of different tables lie too far apart to be told relative to the lowest.
    #[inline(always)]
    pub(in crate::cpu) fn far(&self) -> bool {
        self.far
    }

    /// Adds the offsets of their tables to symbols.
    #[inline(always)]
    pub(in crate::cpu) fn add_offsets<S: RowSimd<U32 = V>>(&self, s: S, symbols: V, table: V) -> V {
        s.add(symbols, s.gather(&self.packed.offsets, table))
    }
}

/// How far below the symbol of its bucket the owner of a missed slot is sought first, among sixteen.
const BEFORE: u32 = 6;

//! The symbols at sixteen slots: one lookup in buckets of slots, and a fallback search where a
//! bucket does not say.

use crate::simd::{Bounded, Line, Simd};
use crate::tables::{Packed, PackedForm, RUN, RUN_BEFORE, TwoSymbolBuckets};

/// The plan's tables as lookups read them.
#[derive(Clone, Copy)]
pub(super) struct SlotLookup<'a, V> {
    packed: &'a Packed,
    stored: &'a TwoSymbolBuckets,
    /// Those of `stored`. What each lookup needs stands here: loops that store would read it from
    /// there again and again.
    buckets: Bounded<'a, V>,
    /// log2 of the buckets per table.
    bits: u32,
    /// Bits of a slot below those that choose its bucket.
    below: u32,
    /// The bits of a state that are its slot.
    slot: V,
    /// What symbols are relative to; 0 where it is each table's offset.
    lowest: V,
    /// Whether it is.
    far: bool,
    /// The last symbol, where it is that of all tables.
    last: Option<V>,
}

/// How buckets are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// Gathers.
    Gather,
    /// Loads one by one.
    Load,
    /// Whichever is faster here: a branch per vector, which keeps the compiler from mixing the code
    /// of one with that of the next.
    Either,
}

/// What a lookup finds for sixteen slots.
#[derive(Clone, Copy)]
pub(super) struct FoundSymbols<V> {
    pub(super) freq: V,
    /// Of the slot in its symbol's interval.
    pub(super) rank: V,
    /// See [`SlotLookup::symbols`].
    symbol: V,
}

impl<V: Copy> FoundSymbols<V> {
    /// The same for all three, until found.
    #[inline(always)]
    pub(super) fn new(any: V) -> Self {
        Self { freq: any, rank: any, symbol: any }
    }
}

impl<'a, V: Copy> SlotLookup<'a, V> {
    #[inline(always)]
    pub(super) fn new<S: Simd<U32 = V>>(s: S, form: &'a PackedForm, precision: u32) -> Self {
        let (packed, stored) = (&form.packed, form.two_symbols());
        Self {
            packed,
            stored,
            buckets: Bounded::new(s, &stored.buckets),
            bits: stored.bits,
            below: precision - stored.bits,
            slot: s.splat((1u32 << precision) - 1),
            lowest: s.splat(stored.lowest.unwrap_or(0)),
            far: stored.lowest.is_none(),
            last: packed
                .uniform
                .map(|(size, offset)| s.splat(offset.wrapping_add(size).wrapping_sub(1))),
        }
    }

    /// Whether no bucket holds more than one symbol.
    #[inline(always)]
    pub(super) fn single(&self) -> bool {
        self.stored.single
    }

    /// The slots of states.
    #[inline(always)]
    pub(super) fn slots<S: Simd<U32 = V>>(&self, s: S, states: V) -> V {
        s.and(states, self.slot)
    }

    /// The buckets of slots, low halves and high ones.
    #[inline(always)]
    fn buckets<S: Simd<U32 = V>>(&self, s: S, by: By, table: V, slot: V) -> [V; 2] {
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

    /// Finds symbols by one lookup each, and which of them are bucket misses, still to be found by
    /// [`find_misses`](Self::find_misses): none where buckets are [`single`](Self::single).
    #[inline(always)]
    pub(super) fn find<S: Simd<U32 = V>>(
        &self,
        s: S,
        by: By,
        single: bool,
        table: V,
        slot: V,
    ) -> (FoundSymbols<V>, S::Mask) {
        let (low, one) = (s.splat(0xffff), s.splat(1));
        let [first, second] = self.buckets(s, by, table, slot);
        let rank = s.sub(slot, s.and(first, low));
        let more = s.shr(first, 16);
        let freq = s.add(more, one);
        let symbol = s.shr(second, 16);
        if single {
            return (FoundSymbols { freq, rank, symbol }, s.nowhere());
        }
        let next = s.ge(rank, freq);
        let next_freq = s.and(second, low);
        let rank = s.sub_where(next, rank, freq);
        let freq = s.select(next, next_freq, freq);
        // Of a run as well, where no slot lies this far from its beginning but those before it,
        // which are the run where it comes before.
        let before = s.both(next, s.eq(next_freq, s.splat(RUN_BEFORE)));
        let misses = s.differ(s.ge(rank, freq), before);
        let run = s.both(next, s.ge(next_freq, s.splat(RUN)));
        let symbol = s.add_where(next, symbol, one);
        let symbol = s.add_where(before, symbol, more);
        let symbol = s.add_where(run, symbol, rank);
        let rank = s.select(run, s.splat(0), rank);
        let freq = s.select(run, one, freq);
        (FoundSymbols { freq, rank, symbol }, misses)
    }

    /// Finds the symbols that their buckets do not hold: bit `16 * n + e` of `misses` is element
    /// `e` of vector `n`. By value: found symbols that are changed in place would stay in memory,
    /// and every step would wait for them.
    #[inline(always)]
    pub(super) fn find_misses<S: Simd<U32 = V>, const N: usize>(
        &self,
        s: S,
        misses: u64,
        tables: [V; N],
        slots: [V; N],
        found: [FoundSymbols<V>; N],
    ) -> [FoundSymbols<V>; N] {
        let mut lines = [[Line::default(); 5]; N];
        for n in 0..N {
            s.store(tables[n], &mut lines[n][0]);
            s.store(slots[n], &mut lines[n][1]);
            s.store(found[n].freq, &mut lines[n][2]);
            s.store(found[n].rank, &mut lines[n][3]);
            s.store(found[n].symbol, &mut lines[n][4]);
        }
        search(self.packed, self.stored, self.below, misses, &mut lines);
        lines.map(|[.., freq, rank, symbol]| FoundSymbols {
            freq: s.load(&freq),
            rank: s.load(&rank),
            symbol: s.load(&symbol),
        })
    }

    /// The symbols found; of tables that lie [`far`](Self::far) apart without what
    /// [`add_offsets`](Self::add_offsets) adds.
    #[inline(always)]
    pub(super) fn symbols<S: Simd<U32 = V>>(&self, s: S, found: &FoundSymbols<V>) -> V {
        s.add(found.symbol, self.lowest)
    }

    /// Whether the symbols of different tables lie too far apart to be stored relative to the
    /// lowest.
    #[inline(always)]
    pub(super) fn far(&self) -> bool {
        self.far
    }

    /// Adds the offsets of their tables to symbols.
    #[inline(always)]
    pub(super) fn add_offsets<S: Simd<U32 = V>>(&self, s: S, symbols: V, table: V) -> V {
        s.add(symbols, s.gather(&self.packed.offsets, table))
    }

    /// The last symbols of tables: the bypass sentinels, where bypass is on. Without a closure,
    /// which would be called, and take the loop's registers with it.
    #[inline(always)]
    pub(super) fn last<S: Simd<U32 = V>>(&self, s: S, table: V) -> V {
        if let Some(last) = self.last {
            return last;
        }
        let sizes = s.gather(&self.packed.symbols, table);
        s.sub(s.add(s.gather(&self.packed.offsets, table), sizes), s.splat(1))
    }
}

/// How far below the first symbol of its bucket the symbol of a bucket miss is sought first, among
/// sixteen.
const BEFORE: u32 = 6;

/// The fallback search. Of the vectors' elements that are `misses`, it reads tables and slots and
/// replaces frequencies, ranks and symbols.
#[cold]
#[inline(never)]
fn search(
    packed: &Packed,
    stored: &TwoSymbolBuckets,
    below: u32,
    mut misses: u64,
    lines: &mut [[Line; 5]],
) {
    let Packed { entries, places, offsets, symbols, .. } = packed;
    while misses != 0 {
        let e = misses.trailing_zeros() as usize;
        misses &= misses - 1;
        let [tables, slots, freqs, ranks, found] = &mut lines[e / 16];
        let e = e % 16;
        let (table, slot) = (tables[e] as usize, slots[e]);
        let (base, count) = (places[table], symbols[table]);
        let first = match stored.lowest {
            Some(lowest) => offsets[table].wrapping_sub(lowest),
            None => 0,
        };
        // Mostly it is close to the bucket's first.
        let bucket = (table << stored.bits) + (slot >> below) as usize;
        let symbol = stored.buckets.get(bucket).map_or(0, |bucket| (bucket >> 48) as u32);
        let from = symbol.wrapping_sub(first).saturating_sub(BEFORE).min(count - 1);
        let around = &entries[(base + from) as usize..];
        let mut index = from.wrapping_sub(1);
        if let Some(around) = around.first_chunk::<16>() {
            let begun = around.iter().map(|entry| u32::from(entry & 0xffff <= slot)).sum();
            index = index.wrapping_add(begun);
        }
        index = index.min(count - 1);
        let mut entry = entries[(base + index) as usize];
        if slot.wrapping_sub(entry & 0xffff) > entry >> 16 {
            (entry, index) = packed.find(table, slot);
            index = index.wrapping_sub(offsets[table]);
        }
        freqs[e] = (entry >> 16) + 1;
        ranks[e] = slot.wrapping_sub(entry & 0xffff);
        found[e] = index.wrapping_add(first);
    }
}

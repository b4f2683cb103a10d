//! One symbol of eight states at once: [`step`](parans_kernels::codec::step) over vectors of eight.
//!
//! The arithmetic is that of the codec, and the tests of this folder's parent hold the two against
//! each other. With quotient q, a push makes `x + start + q * (2^p - freq)` of a state x. A
//! quotient is estimated by a product in floating point, rounded to the nearest integer: where that
//! is off by a quarter at most, the estimate is the quotient or one more, and the sign of the
//! remainder shows which.
//!
//! `x >= freq << n`, the bound at which a state emits, is the sign of `x + ((2^p - freq) << n)`,
//! where n + p is the number of that bit.

use parans_kernels::codec::{Rans32, Rans32x16, Rans64, RansFamily};

use super::super::tables::PackedTables;
use super::emitted::OctetWord;
use crate::family::HostFamily;
use crate::simd::{Octets, PlacesView, Quad};

/// The slots that alias tables remap positions to.
pub(crate) struct Remap<'a, V> {
    slots: &'a [u32],
    /// How many tables, which is that of skipped symbols.
    count: V,
}

impl<'a, V: Copy> Remap<'a, V> {
    /// Of other lookups nothing.
    #[inline(always)]
    pub(super) fn new<S: Octets<V = V>>(s: S, tables: &PackedTables<'a>) -> Self {
        let slots = tables.alias.map_or(&[][..], |(_, slots)| slots);
        Self { slots, count: s.splat(tables.count) }
    }

    /// The positions of states after a push in the order of symbols, and the slots that they are
    /// remapped to. In the upper halves of `starts` are their tables.
    #[inline(always)]
    fn place<S: Octets<V = V>>(&self, s: S, x: V, starts: V, precision: u32) -> (V, V) {
        let (table, bits) = (s.shr::<16>(starts), s.splat(precision));
        let position = s.and(x, s.splat((1 << precision) - 1));
        let slot = s.look_up(self.slots, s.or(s.shl_by(table, bits), position));
        let skipped = s.eq(table, self.count);
        (position, s.or(s.and(skipped, position), s.and_not(skipped, slot)))
    }
}

/// A family over vectors of eight states, for precisions up to 16.
pub(crate) trait OctetFamily: HostFamily + RansFamily<Word: OctetWord> {
    /// Eight states.
    type States<S: Octets>: Copy;

    /// The least precision at which quotients are exact: below it they have too many bits.
    const LEAST_PRECISION_TO_PUSH: u32;

    /// From so many lanes on a push is faster than that of vectors of sixteen, on processors with
    /// AVX-512 whose gathers are fast; where they are slow, from 8 on.
    const LEAST_LANES_BESIDE_AVX512: usize;

    /// The entries that [`push`](Self::push) reads.
    fn quads<'a>(tables: &PackedTables<'a>) -> &'a [Quad];

    /// Eight states.
    fn load<S: Octets>(s: S, from: &[Self::State; 8]) -> Self::States<S>;
    /// Inverse of [`load`](Self::load).
    fn store<S: Octets>(s: S, states: Self::States<S>, to: &mut [Self::State; 8]);

    /// Pushes a symbol on each state: those of the entries at blocks of `L` places from `at` on,
    /// each `stride` after the one before. Also returns the low bits of the states before, and
    /// which of them are emitted: the sign of an element says so, or, of words of one byte, the
    /// signs of its two lowest bytes.
    #[allow(clippy::too_many_arguments, reason = "what a step reads, in variables of its own")]
    fn push<S: Octets, const L: usize, const ALIAS: bool>(
        s: S,
        states: Self::States<S>,
        places: PlacesView<'_>,
        at: usize,
        stride: usize,
        precision: u32,
        remap: &Remap<'_, S::V>,
    ) -> (Self::States<S>, [S::V; 2]);

    /// The low bits of each state.
    fn low<S: Octets>(s: S, states: Self::States<S>) -> S::V;

    /// Takes a symbol of this frequency and rank out of each state.
    fn advance<S: Octets>(
        s: S,
        states: Self::States<S>,
        freq: S::V,
        rank: S::V,
        precision: u32,
    ) -> Self::States<S>;

    /// How many bits each state takes, which has a symbol less. By the sign of a difference, not by
    /// a comparison: of those the compiler makes masks of bits, which cost more.
    fn wanted<S: Octets>(s: S, states: Self::States<S>) -> S::V;

    /// Shifts so many bits in, from the top of those of `words`.
    fn shift_in<S: Octets>(
        s: S,
        states: Self::States<S>,
        bits: S::V,
        words: S::V,
    ) -> Self::States<S>;
}

impl OctetFamily for Rans64 {
    type States<S: Octets> = S::W;

    /// Quotients below 2^50: the roundings of the state and of the inverse, of one in 2^53 each,
    /// put an estimate off by a quarter at most.
    const LEAST_PRECISION_TO_PUSH: u32 = 13;
    const LEAST_LANES_BESIDE_AVX512: usize = 4;

    fn quads<'a>(tables: &PackedTables<'a>) -> &'a [Quad] {
        match tables.alias {
            Some((alias, _)) => alias.quads64(tables.form),
            None => tables.form.quads64(),
        }
    }

    #[inline(always)]
    fn load<S: Octets>(s: S, from: &[u64; 8]) -> S::W {
        s.load64(from)
    }

    #[inline(always)]
    fn store<S: Octets>(s: S, states: S::W, to: &mut [u64; 8]) {
        s.store64(states, to);
    }

    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "what a step reads, in variables of its own")]
    fn push<S: Octets, const L: usize, const ALIAS: bool>(
        s: S,
        x: S::W,
        places: PlacesView<'_>,
        at: usize,
        stride: usize,
        precision: u32,
        remap: &Remap<'_, S::V>,
    ) -> (S::W, [S::V; 2]) {
        // The low half of an entry is the slots of other symbols, the high half the start, which
        // the shift moves out.
        let [inverse, entry] = s.pairs_at::<L>(places, at, stride);
        let emits = s.add64(x, s.shl64_by(entry, s.splat64(u64::from(63 - precision))));
        let emitted = [s.narrow(x), s.narrow_high(emits)];
        let bits = s.and64(s.shr64::<58>(emits), s.splat64(32));
        let x = s.shr64_by(x, bits);
        let q = s.round_product64(x, inverse);
        let high = s.mul_low(s.shr64::<32>(q), entry);
        let y = s.add64(s.add64(x, s.mul_low(q, entry)), s.shl64::<32>(high));
        // `y - (q << p)` is the remainder, or negative where the quotient is one too large.
        let remainder = s.sub64(y, s.shl64_by(q, s.splat64(u64::from(precision))));
        let y = s.sub64(y, s.and64(s.shr64::<32>(remainder), entry));
        if !ALIAS {
            return (s.add64(y, s.shr64::<32>(entry)), emitted);
        }
        let start = s.narrow_high(entry);
        let y = s.add64(y, s.widen(s.and(start, s.splat(0xffff))));
        let (position, slot) = remap.place(s, s.narrow(y), start, precision);
        (s.add64(s.sub64(y, s.widen(position)), s.widen(slot)), emitted)
    }

    #[inline(always)]
    fn low<S: Octets>(s: S, states: S::W) -> S::V {
        s.narrow(states)
    }

    #[inline(always)]
    fn advance<S: Octets>(s: S, x: S::W, freq: S::V, rank: S::V, precision: u32) -> S::W {
        let freq = s.widen(freq);
        let low = s.mul_low(s.shr64_by(x, s.splat64(u64::from(precision))), freq);
        let high = s.mul_low(s.shr64_by(x, s.splat64(u64::from(precision + 32))), freq);
        s.add64(s.add64(low, s.widen(rank)), s.shl64::<32>(high))
    }

    #[inline(always)]
    fn wanted<S: Octets>(s: S, x: S::W) -> S::V {
        let below = s.narrow_high(s.sub64(x, s.splat64(1 << 31)));
        s.and(s.shr::<26>(below), s.splat(32))
    }

    #[inline(always)]
    fn shift_in<S: Octets>(s: S, x: S::W, bits: S::V, words: S::V) -> S::W {
        // All of a word or nothing of it.
        let taken = s.shr_by(words, s.sub(s.splat(32), bits));
        s.or64(s.shl64_by(x, s.widen(bits)), s.widen(taken))
    }
}

/// What the two families of 32-bit states share: a state below its bound, as a push leaves it.
#[inline(always)]
fn push32<S: Octets, const ALIAS: bool>(
    s: S,
    x: S::V,
    entry: [S::V; 4],
    precision: u32,
    remap: &Remap<'_, S::V>,
) -> S::V {
    let [inverse, others, _, start] = entry;
    let q = s.round_product(x, inverse);
    let y = s.add(x, s.mul(q, others));
    let remainder = s.sub(y, s.shl_by(q, s.splat(precision)));
    let y = s.sub(y, s.and(s.gt(s.splat(0), remainder), others));
    if !ALIAS {
        return s.add(y, start);
    }
    let y = s.add(y, s.and(start, s.splat(0xffff)));
    let (position, slot) = remap.place(s, y, start, precision);
    s.add(s.sub(y, position), slot)
}

macro_rules! states32 {
    () => {
        type States<S: Octets> = S::V;

        /// Quotients below 2^21: the roundings of the state and of the inverse, of one in 2^24
        /// each, put an estimate off by a quarter at most.
        const LEAST_PRECISION_TO_PUSH: u32 = 10;
        const LEAST_LANES_BESIDE_AVX512: usize = 1;

        fn quads<'a>(tables: &PackedTables<'a>) -> &'a [Quad] {
            match tables.alias {
                Some((alias, _)) => alias.quads32(tables.form),
                None => tables.form.quads32(),
            }
        }

        #[inline(always)]
        fn load<S: Octets>(s: S, from: &[u32; 8]) -> S::V {
            s.load(from)
        }

        #[inline(always)]
        fn store<S: Octets>(s: S, states: S::V, to: &mut [u32; 8]) {
            s.store(states, to);
        }

        #[inline(always)]
        fn low<S: Octets>(_s: S, states: S::V) -> S::V {
            states
        }

        #[inline(always)]
        fn advance<S: Octets>(s: S, x: S::V, freq: S::V, rank: S::V, precision: u32) -> S::V {
            s.add(s.mul(s.shr_by(x, s.splat(precision)), freq), rank)
        }

        #[inline(always)]
        fn shift_in<S: Octets>(s: S, x: S::V, bits: S::V, words: S::V) -> S::V {
            s.or(s.shl_by(x, bits), s.shr_by(words, s.sub(s.splat(32), bits)))
        }
    };
}

impl OctetFamily for Rans32x16 {
    states32!();

    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "what a step reads, in variables of its own")]
    fn push<S: Octets, const L: usize, const ALIAS: bool>(
        s: S,
        x: S::V,
        places: PlacesView<'_>,
        at: usize,
        stride: usize,
        precision: u32,
        remap: &Remap<'_, S::V>,
    ) -> (S::V, [S::V; 2]) {
        let entry = s.quads_at::<L>(places, at, stride);
        let emits = s.add(x, entry[2]);
        let lower = s.shr_by(x, s.and(s.shr::<27>(emits), s.splat(16)));
        (push32::<S, ALIAS>(s, lower, entry, precision, remap), [x, emits])
    }

    #[inline(always)]
    fn wanted<S: Octets>(s: S, x: S::V) -> S::V {
        s.and(s.shr::<27>(s.sub(x, s.splat(1 << 15))), s.splat(16))
    }
}

impl OctetFamily for Rans32 {
    states32!();

    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "what a step reads, in variables of its own")]
    fn push<S: Octets, const L: usize, const ALIAS: bool>(
        s: S,
        x: S::V,
        places: PlacesView<'_>,
        at: usize,
        stride: usize,
        precision: u32,
        remap: &Remap<'_, S::V>,
    ) -> (S::V, [S::V; 2]) {
        // The bound is at least 2^15, so that a third byte is never emitted.
        let entry = s.quads_at::<L>(places, at, stride);
        let (eight, byte) = (s.splat(8), s.splat(0xff00));
        let first = s.add(x, entry[2]);
        let lower = s.shr_by(x, s.and(s.shr::<28>(first), eight));
        let second = s.add(lower, entry[2]);
        let lower = s.shr_by(lower, s.and(s.shr::<28>(second), eight));
        let emits = s.or(s.and(s.shr::<16>(second), byte), s.shr::<24>(first));
        (push32::<S, ALIAS>(s, lower, entry, precision, remap), [x, emits])
    }

    #[inline(always)]
    fn wanted<S: Octets>(s: S, x: S::V) -> S::V {
        // A state of at least 2^23 before an advance is at least 2^7 after it: two bytes always
        // suffice.
        let eight = s.splat(8);
        let first = s.and(s.shr::<28>(s.sub(x, s.splat(1 << 23))), eight);
        s.add(first, s.and(s.shr::<28>(s.sub(x, s.splat(1 << 15))), eight))
    }
}

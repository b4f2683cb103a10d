//! Many distributions at once: the evaluation of [`Parametric`](super::Parametric) as loops over
//! arrays, for processors with vectors.
//!
//! Nothing here is written for an instruction set. Lookups and arithmetic are loops of their own
//! without a branch, which the compiler turns into vectors where the function that they are inlined
//! into may use them. The arithmetic is that of one distribution, function by function; only
//! positions are 32-bit offsets from the mean here, which its window's radius allows. The answers
//! are the same, and tests compare them.

#![allow(
    clippy::needless_range_loop,
    clippy::manual_clamp,
    reason = "one index over several arrays; a clamp can panic, and a loop that can panic stays scalar"
)]

use super::component::{RADII, Window};
use super::scale::{MEAN_FRACTION_BITS, POWERS, Scale, sixteenths_of};
use super::tail::{
    Kind, distance_of, interpolate, inverse_interpolate, inverse_step_at, inverse_table, mul_high,
    step_at, table,
};

/// Past every window: means lie within 2^19, radii too.
const FAR: i32 = 1 << 28;

/// A batch's fixed-point parameters.
#[derive(Clone, Copy, Debug)]
pub struct Parameters<const N: usize> {
    /// A [`Mean`](super::Mean) each.
    pub means: [i32; N],
    /// A [`Scale`] code each; those past [`Scale::MAX`] count as it.
    pub scales: [u16; N],
}

impl<const N: usize> Default for Parameters<N> {
    fn default() -> Self {
        Self { means: [0; N], scales: [0; N] }
    }
}

/// Distributions of one kind and precision, taken apart for evaluation.
#[derive(Clone, Copy, Debug)]
pub struct Batch<const N: usize> {
    kind: Kind,
    precision: u32,
    octaves: [u32; N],
    reciprocals: [u32; N],
    mantissas: [u32; N],
    /// The window reaches this far to either side of the integer nearest to the mean.
    radii: [u32; N],
    /// The window's first integer.
    lowest: [i32; N],
    /// How far the mean lies above the edge below its nearest integer, in units of `2^-12`: below
    /// `2^12`.
    above_edge: [u32; N],
}

/// What a batch of symbols has been coded with, or slots have been found to hold.
#[derive(Clone, Copy, Debug)]
pub struct Intervals<const N: usize> {
    /// First slots.
    pub starts: [u32; N],
    /// Numbers of slots.
    pub freqs: [u32; N],
}

impl<const N: usize> Default for Intervals<N> {
    fn default() -> Self {
        Self { starts: [0; N], freqs: [1; N] }
    }
}

/// Edges of a batch on their way through a table of tails.
#[derive(Clone, Copy)]
struct Steps<const N: usize> {
    index: [u32; N],
    between: [u32; N],
}

impl<const N: usize> Steps<N> {
    const NOWHERE: Self = Self { index: [0; N], between: [0; N] };

    /// The tail masses.
    #[inline(always)]
    fn tails(&self, kind: Kind) -> [u32; N] {
        let table = table(kind);
        let mut ends = [[0; 2]; N];
        for i in 0..N {
            let at = (self.index[i] % (table.len() as u32 - 1)) as usize;
            ends[i] = [table[at], table[at + 1]];
        }
        let mut tails = [0; N];
        for i in 0..N {
            tails[i] = interpolate(ends[i][0], ends[i][1], self.between[i]);
        }
        tails
    }
}

impl<const N: usize> Batch<N> {
    /// The distributions of `parameters`, over slots of `2^precision` (8 to 31).
    #[inline(always)]
    pub fn new(kind: Kind, parameters: &Parameters<N>, precision: u32) -> Self {
        let mut batch = Self {
            kind,
            precision,
            octaves: [0; N],
            reciprocals: [0; N],
            mantissas: [0; N],
            radii: [0; N],
            lowest: [0; N],
            above_edge: [0; N],
        };
        let mut fractions = [0; N];
        for i in 0..N {
            let code = parameters.scales[i].min(Scale::MAX.code());
            fractions[i] = code % 256;
            batch.octaves[i] = u32::from(code / 256);
            batch.radii[i] = Window::bits(code, precision);
        }
        let radii = &RADII[kind as usize];
        let mut powers = [[0; 2]; N];
        for i in 0..N {
            powers[i] = POWERS[usize::from(fractions[i] % 256)];
            batch.radii[i] = radii[(batch.radii[i] % 64) as usize];
        }
        let most = Window::max_radius(precision);
        for i in 0..N {
            [batch.reciprocals[i], batch.mantissas[i]] = powers[i];
            let mean = parameters.means[i];
            let radius = sixteenths_of(batch.octaves[i], batch.mantissas[i], batch.radii[i]);
            let radius = radius.max(1).min(most);
            // Half an integer up, rounded down, without leaving i32.
            let centre = ((mean >> (MEAN_FRACTION_BITS - 1)) + 1) >> 1;
            let edge = (centre << MEAN_FRACTION_BITS).wrapping_sub(1 << (MEAN_FRACTION_BITS - 1));
            batch.radii[i] = radius;
            batch.lowest[i] = centre - radius as i32;
            batch.above_edge[i] = mean.wrapping_sub(edge) as u32;
        }
        batch
    }

    /// The distance between the mean and the edge below a rank, and whether the edge lies below the
    /// mean.
    #[inline(always)]
    fn distance(&self, i: usize, rank: u32) -> (u32, bool) {
        // Integers between the mean's and the edge's, less one edge: a radius of 2^19 leaves 2^31
        // units and a bit.
        let integers = rank.wrapping_sub(1 + self.radii[i]);
        let offset = (integers << MEAN_FRACTION_BITS).wrapping_sub(self.above_edge[i]);
        let below = integers as i32 <= 0;
        (if below { offset.wrapping_neg() } else { offset }, below)
    }

    /// Places the edges below ranks (from 1 to `count + 1`; others give anything) in the table of
    /// tails.
    #[inline(always)]
    fn place(&self, ranks: &[u32; N]) -> Steps<N> {
        let mut steps = Steps::<N>::NOWHERE;
        for i in 0..N {
            let (distance, _) = self.distance(i, ranks[i]);
            (steps.index[i], steps.between[i]) =
                step_at(distance, self.octaves[i], self.reciprocals[i]);
        }
        steps
    }

    /// The slots of ranks (up to `count + 1`): [`Parametric::cdf`](super::Parametric::cdf) of each
    /// and the next.
    #[inline(always)]
    fn intervals(&self, ranks: &[u32; N], intervals: &mut Intervals<N>) {
        let mut nexts = [0; N];
        for i in 0..N {
            nexts[i] = ranks[i] + 1;
        }
        let lower = self.place(ranks).tails(self.kind);
        let upper = self.place(&nexts).tails(self.kind);
        for i in 0..N {
            let rank = ranks[i];
            let count = 2 * self.radii[i] + 1;
            let shared = (1 << self.precision) - (count + 2);
            let cdf = |rank: u32, tail: u32| {
                let (_, below) = self.distance(i, rank);
                // `share(tail * shared)`, and above the mean `share(((1 << 32) - tail) * shared)`.
                let (high, low) = (mul_high(tail, shared), tail.wrapping_mul(shared));
                let slots = high + u32::from(low >= (1 << 31) + u32::from(!below));
                rank + if below { slots } else { shared - slots }
            };
            let start = if rank == 0 { 0 } else { cdf(rank, lower[i]) };
            let end = if rank > count { 1 << self.precision } else { cdf(rank + 1, upper[i]) };
            intervals.starts[i] = start;
            intervals.freqs[i] = end - start;
        }
    }

    /// The slots of a symbol each; whether all lie within their windows (otherwise the slots are
    /// the escapes', and what else they need is for [`Parametric`](super::Parametric) to say).
    #[inline(always)]
    pub fn locate(&self, symbols: &[i32; N], intervals: &mut Intervals<N>) -> bool {
        let mut ranks = [0; N];
        let mut outside = 0;
        for i in 0..N {
            // Far from every window, and far from the ends of i32.
            let symbol = symbols[i].max(-FAR).min(FAR);
            let above = symbol - self.lowest[i];
            let count = 2 * self.radii[i] as i32 + 1;
            let rank = above.max(-1).min(count);
            ranks[i] = (rank + 1) as u32;
            outside |=
                u32::from(rank != above) | u32::from(above == -1) | u32::from(above == count);
        }
        self.intervals(&ranks, intervals);
        outside == 0
    }

    /// Finds the rank of a slot each, for at most 32 elements, below `2^precision`. Sets a bit of
    /// the answer for each element that is not found so (a guess that was off, or an escape): it is
    /// left to [`Parametric`](super::Parametric), and its slots and symbol are anything.
    #[inline(always)]
    pub fn find(
        &self,
        slots: &[u32; N],
        intervals: &mut Intervals<N>,
        symbols: &mut [i32; N],
    ) -> u32 {
        let mut ranks = [0; N];
        let mut masses = [0; N];
        for i in 0..N {
            masses[i] = ((2 * u64::from(slots[i]) + 1) << 31 >> self.precision) as u32;
        }
        let first = self.estimate(&masses);
        // Without the slots reserved for the ranks before it, the mass is the distribution's own.
        for i in 0..N {
            let reserved = match self.precision {
                ..20 => first[i] << (20 - self.precision),
                _ => first[i] >> (self.precision - 20),
            };
            let own = masses[i].saturating_sub(reserved);
            let ratio = (2 * self.radii[i] + 3) << (32 - self.precision);
            // own / (1 - ratio), as far as an estimate needs it.
            masses[i] = own.saturating_add(mul_high(own, ratio + mul_high(ratio, ratio)));
        }
        let second = self.estimate(&masses);
        for i in 0..N {
            let last = 2 * self.radii[i] + 2;
            ranks[i] = (second[i] >> MEAN_FRACTION_BITS).min(last);
        }
        self.intervals(&ranks, intervals);
        let mut irregular = 0;
        for i in 0..N {
            let inside = ranks[i].wrapping_sub(1) < 2 * self.radii[i] + 1;
            let hit = slots[i].wrapping_sub(intervals.starts[i]) < intervals.freqs[i];
            irregular |= u32::from(!(inside & hit)) << i;
            symbols[i] = self.lowest[i].wrapping_add_unsigned(ranks[i]).wrapping_sub(1);
        }
        irregular
    }

    /// Ranks (with [`MEAN_FRACTION_BITS`] bits of fraction) about where the distributions reach
    /// `masses`.
    #[inline(always)]
    fn estimate(&self, masses: &[u32; N]) -> [u32; N] {
        let table = inverse_table(self.kind);
        let mut steps = Steps::<N>::NOWHERE;
        for i in 0..N {
            (steps.index[i], steps.between[i]) = inverse_step_at(masses[i]);
        }
        let mut ends = [[0; 2]; N];
        for i in 0..N {
            let at = (steps.index[i] % (table.len() as u32 - 1)) as usize;
            ends[i] = [table[at], table[at + 1]];
        }
        let mut ranks = [0; N];
        for i in 0..N {
            let z = inverse_interpolate(ends[i][0], ends[i][1], steps.between[i]);
            let distance = distance_of(z, self.octaves[i], self.mantissas[i]);
            let mean = ((1 + self.radii[i]) << MEAN_FRACTION_BITS) + self.above_edge[i];
            let limited = distance.min(mean);
            ranks[i] =
                if masses[i] < 1 << 31 { mean - limited } else { mean.saturating_add(limited) };
        }
        ranks
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::model::{Mean, Model, Parametric, Value};
    use std::println;

    const LEN: usize = 32;

    /// Evaluates a batch of one distribution's symbols or slots, and compares with the distribution
    /// itself.
    fn check(model: &Parametric, batch: &Batch<LEN>, symbols: &[i32; LEN], precision: u32) {
        let mut intervals = Intervals::default();
        let plain = batch.locate(symbols, &mut intervals);
        let mut inside = true;
        let mut slots = [0; LEN];
        for i in 0..LEN {
            match model.locate(symbols[i]) {
                Some(located) => {
                    inside &= located.escape.is_none();
                    assert_eq!(
                        (intervals.starts[i], intervals.freqs[i]),
                        (located.interval.start, located.interval.freq)
                    );
                }
                None => inside = false,
            }
            // Its first or last slot, or any.
            slots[i] = match i % 3 {
                0 => intervals.starts[i],
                1 => intervals.starts[i] + intervals.freqs[i] - 1,
                _ => (symbols[i] as u32).wrapping_mul(0x9e37_79b9) >> (32 - precision),
            };
        }
        assert_eq!(plain, inside);
        let mut found = [0; LEN];
        let irregular = batch.find(&slots, &mut intervals, &mut found);
        for i in 0..LEN {
            let own = model.find(slots[i]);
            if irregular >> i & 1 == 0 {
                assert_eq!(own.value, Value::Symbol(found[i]), "{model:?} {}", slots[i]);
                assert_eq!(
                    (intervals.starts[i], intervals.freqs[i]),
                    (own.interval.start, own.interval.freq)
                );
            }
        }
    }

    /// Every rank of every model of a grid; of large windows the ends, the middle, and a stride
    /// between.
    #[test]
    fn a_batch_is_as_many_distributions() {
        for kind in Kind::ALL {
            for precision in [8, 12, 15, 16, 19, 20, 21, 24, 31] {
                for code in (0..=Scale::MAX.code()).step_by(128).chain([1, 255, 257, 1535, 5631]) {
                    for mean in [0, 1, -1, 2047, 2048, -2048, -2049, 5_000_001, i32::MIN, i32::MAX]
                    {
                        let scale = Scale::from_code(code).unwrap();
                        let model = Parametric::new(kind, Mean(mean), scale, precision);
                        let parameters = Parameters { means: [mean; LEN], scales: [code; LEN] };
                        let batch = Batch::new(kind, &parameters, precision);
                        let window = model.window();
                        let (count, lowest) = (window.count as i32, window.lowest);
                        let stride = (count / 200).max(1);
                        let mut at = -2;
                        while at < count + 2 {
                            let symbols = core::array::from_fn(|i| lowest + at + i as i32 * stride);
                            check(&model, &batch, &symbols, precision);
                            at += LEN as i32 * stride;
                        }
                        let ends =
                            [i32::MIN, i32::MAX, -(1 << 29), 1 << 29, lowest - 1, lowest + count];
                        check(&model, &batch, &core::array::from_fn(|i| ends[i % 6]), precision);
                        check(
                            &model,
                            &batch,
                            &core::array::from_fn(|i| lowest + count / 2 - 16 + i as i32),
                            precision,
                        );
                    }
                }
            }
        }
    }

    /// A batch whose elements differ, and how often its guess is right: speed depends on it,
    /// answers do not.
    #[test]
    fn guesses_are_nearly_always_right() {
        for kind in Kind::ALL {
            for precision in [12, 16, 24] {
                let (mut irregular, mut all) = (0, 0);
                let mut random = 1u32;
                let mut next = || {
                    random = random.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
                    random ^ (random >> 15)
                };
                for _ in 0..2000 {
                    let parameters = Parameters::<LEN> {
                        means: core::array::from_fn(|_| (next() % (1 << 20)) as i32),
                        // Scales from 1/8 to 2^(precision - 10) (larger ones have many escapes) or
                        // 2^10.
                        scales: core::array::from_fn(|_| {
                            768 + (next() % (256 * (precision - 7).min(13))) as u16
                        }),
                    };
                    let slots = core::array::from_fn(|_| next() >> (32 - precision));
                    let batch = Batch::new(kind, &parameters, precision);
                    let (mut intervals, mut symbols) = (Intervals::default(), [0; LEN]);
                    irregular += batch.find(&slots, &mut intervals, &mut symbols).count_ones();
                    all += LEN as u32;
                }
                println!("{kind:?} {precision}: {irregular} of {all}");
                assert!(irregular * 100 < all, "{kind:?} {precision}: {irregular} of {all}");
            }
        }
    }
}

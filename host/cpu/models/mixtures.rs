//! Mixtures in vectors of eight symbols, whether those are of eight rows or of one.
//!
//! What is computed is the definition in `parans_kernels::model`, to the last bit. Its tables are
//! read out of its public functions, at the arguments at which those give an entry as it is; the
//! arithmetic between them is written again here, over vectors, and compared with the definition in
//! this file's tests. Where positions leave 32 bits (components a million integers apart) the
//! symbol is left to the definition.

use std::sync::OnceLock;

use parans_kernels::model::{
    BATCH, Component, Intervals, Kind, MAX_COMPONENTS, MEAN_FRACTION_BITS, Mean, Mixtures,
    SCALE_STEPS_PER_OCTAVE, Scale, Steps, WEIGHT_BITS, Window, cdf_q32,
};

use crate::simd::{Octets, Quad, Quads, RunOn, Work};

/// Symbols in a vector.
const EIGHT: usize = 8;
/// Bits of a distance in scales below its step in the table of tails.
const BETWEEN_BITS: u32 = 20;
/// The octave of scales in which a distance counts as it is.
const WHOLE_OCTAVE: u32 = 20;
/// Keeps integers around means, which lie within 2^19, above 0.
const BIAS: u32 = 1 << 20;
/// The most that a window reaches to either side.
const MOST_RADIUS: u32 = 1 << 19;
/// Most integers between a component's mean and an edge: as distances they fit 32 bits.
const FAR: u32 = (1 << 20) - 2;

/// What the distributions of a kind read.
struct Tails {
    /// The mass above each multiple of 2^-6 scales, and how much more that is than above the next.
    steps: Vec<Quad>,
    /// Of each fraction of an octave.
    reciprocals: Vec<u32>,
}

impl Tails {
    fn of(kind: Kind) -> &'static Self {
        static ALL: [OnceLock<Tails>; 3] = [const { OnceLock::new() }; 3];
        ALL[kind as usize].get_or_init(|| Self::new(kind))
    }

    fn new(kind: Kind) -> Self {
        const STEPS: usize = 1 << (31 - BETWEEN_BITS);
        // The scale whose reciprocal is 1 less 2^-32: a distance of one more than a step's is the
        // step itself. Past the last, no mass is left.
        let scale = Scale::from_code((WHOLE_OCTAVE * SCALE_STEPS_PER_OCTAVE) as u16);
        let tail = |step: usize| match scale {
            Some(scale) if step < STEPS => {
                cdf_q32(kind, -(((step as i64) << BETWEEN_BITS) + 1), scale) as u32
            }
            _ => 0,
        };
        let steps = (0..STEPS).map(|at| Quad([tail(at), tail(at) - tail(at + 1), 0, 0])).collect();
        let reciprocal = |code: u16| {
            let scale = Scale::from_code(code).map_or(1.0, Scale::to_f64);
            (4_294_967_296.0 / 64.0 / scale).round() as u32
        };
        let reciprocals = (0..SCALE_STEPS_PER_OCTAVE as u16).map(reciprocal).collect();
        Self { steps, reciprocals }
    }
}

/// How far the windows of a kind and precision reach to either side, by the scale's code.
fn radii(kind: Kind, precision: u32) -> &'static [u32] {
    static ALL: [[OnceLock<Vec<u32>>; 32]; 3] = [const { [const { OnceLock::new() }; 32] }; 3];
    ALL[kind as usize][precision as usize % 32].get_or_init(|| {
        let of = |code| {
            let scale = Scale::from_code(code)?;
            Some(Window::around(kind, Mean(0), scale, precision).count / 2)
        };
        (0..=Scale::MAX.code()).filter_map(of).collect()
    })
}

/// The components of eight symbols as they come from memory.
struct Loaded([[[u32; EIGHT]; 3]; MAX_COMPONENTS]);

impl Loaded {
    /// Those of elements `8 * octet` and so on of a step; past the last element those of the first.
    #[inline(always)]
    fn new(steps: &Steps<'_, Mixtures<'_>>, at: usize, octet: usize) -> Self {
        let mut loaded = [[[0; EIGHT]; 3]; MAX_COMPONENTS];
        for e in 0..EIGHT {
            let element = EIGHT * octet + e;
            let (row, lane) = (element / steps.lanes, element % steps.lanes);
            let (row, lane) = if row < steps.rows.len() { (row, lane) } else { (0, 0) };
            let row = &steps.rows[row];
            let parts = &row.components[(at + lane) * row.each..(at + lane + 1) * row.each];
            for (to, &Component { mean, scale, weight }) in loaded.iter_mut().zip(parts) {
                to[0][e] = mean.0 as u32;
                to[1][e] = scale.code().into();
                to[2][e] = weight;
            }
        }
        Self(loaded)
    }
}

/// One component of each of eight symbols.
#[derive(Clone, Copy)]
struct Part<V> {
    /// The integer nearest to the mean, and half of [`BIAS`].
    centre: V,
    /// How far the mean lies above the edge below that integer.
    above_edge: V,
    /// How far a distance is shifted to the scale's octave, up and down, and the largest that can
    /// be.
    left: V,
    right: V,
    most: V,
    reciprocal: V,
    weight: V,
}

/// The mixtures of eight symbols.
struct Eight<'a, S: Octets> {
    parts: [Part<S::V>; MAX_COMPONENTS],
    each: usize,
    tails: Quads<'a, S::V>,
    /// The window's first integer, and [`BIAS`].
    lowest: S::V,
    /// Integers in the window.
    count: S::V,
    /// Slots that are shared out by mass.
    shared: S::V,
    /// Which are left to the definition.
    far: S::V,
}

#[inline(always)]
fn mul_high<S: Octets>(s: S, a: S::V, b: S::V) -> S::V {
    s.narrow_high(s.mul_low(s.widen(a), s.widen(b)))
}

/// `a` where `mask`, else `b`.
#[inline(always)]
fn select<S: Octets>(s: S, mask: S::V, a: S::V, b: S::V) -> S::V {
    s.or(s.and(mask, a), s.and_not(mask, b))
}

impl<'a, S: Octets> Eight<'a, S> {
    /// The weights of each symbol sum to one.
    #[inline(always)]
    fn new(
        s: S,
        loaded: &Loaded,
        each: usize,
        precision: u32,
        (tails, radii): (&'a Tails, &[u32]),
    ) -> Option<Self> {
        const FRACTION: i32 = MEAN_FRACTION_BITS as i32;
        const HALF: i32 = FRACTION - 1;
        let (zero, ones, one) = (s.splat(0), s.splat(u32::MAX), s.splat(1));
        let (whole, fraction) = (s.splat(WHOLE_OCTAVE), s.splat(SCALE_STEPS_PER_OCTAVE - 1));
        let none = Part {
            centre: zero,
            above_edge: zero,
            left: zero,
            right: zero,
            most: zero,
            reciprocal: zero,
            weight: zero,
        };
        let mut parts = [none; MAX_COMPONENTS];
        let (mut lowest, mut highest) = (ones, zero);
        for (part, [mean, scale, weight]) in parts.iter_mut().zip(&loaded.0).take(each) {
            let mean = s.add(s.load(mean), s.splat(1 << 31));
            let (scale, weight) = (s.load(scale), s.load(weight));
            let centre = s.shr::<1>(s.add(s.shr::<HALF>(mean), one));
            let octave = s.shr::<8>(scale);
            let larger = s.max(octave, whole);
            let (left, right) = (s.sub(larger, octave), s.sub(larger, whole));
            *part = Part {
                centre,
                above_edge: s.add(s.sub(mean, s.shl::<FRACTION>(centre)), s.splat(1 << HALF)),
                left,
                right,
                most: s.shr_by(ones, left),
                reciprocal: s.look_up(&tails.reciprocals, s.and(scale, fraction)),
                weight,
            };
            // A component without weight has no window.
            let (radius, off) = (s.look_up(radii, scale), s.eq(weight, zero));
            let middle = s.add(centre, s.splat(BIAS / 2));
            lowest = s.min(lowest, s.or(s.sub(middle, radius), off));
            highest = s.max(highest, s.and_not(off, s.add(middle, radius)));
        }
        // Of too wide a window the middle stays.
        let radius = MOST_RADIUS.min(1 << (precision - 3));
        let (count, widest) = (s.add(s.sub(highest, lowest), one), s.splat(2 * radius + 1));
        let excess = s.sub(s.max(count, widest), widest);
        let (lowest, count) = (s.add(lowest, s.shr::<1>(excess)), s.sub(count, excess));
        let mut far = zero;
        for part in &parts[..each] {
            let below = s.sub(lowest, s.add(part.centre, s.splat(BIAS / 2)));
            let above = s.add(below, count);
            let beyond = s.gt(s.splat(FAR.wrapping_neg()), below);
            far = s.or(far, s.or(beyond, s.gt(above, s.splat(FAR))));
        }
        let shared = s.sub(s.splat((1 << precision) - 2), count);
        let tails = Quads::new(s, &tails.steps)?;
        Some(Self { parts, each, tails, lowest, count, shared, far })
    }

    /// The first slots of ranks, from 1 to `count + 1`; of others anything.
    #[inline(always)]
    fn cdf(&self, s: S, rank: S::V) -> S::V {
        const BETWEEN: i32 = BETWEEN_BITS as i32;
        const ABOVE: i32 = 32 - BETWEEN;
        let (zero, one) = (s.splat(0), s.splat(1));
        // The edge below a rank is that below the integer of the rank, one less.
        let integer = s.sub(s.add(self.lowest, rank), s.splat(1 + BIAS / 2));
        let mut mass = s.splat64(0);
        for part in &self.parts[..self.each] {
            let integers = s.sub(integer, part.centre);
            let offset = s.sub(s.shl::<{ MEAN_FRACTION_BITS as i32 }>(integers), part.above_edge);
            let below = s.gt(one, integers);
            let distance = select(s, below, s.sub(zero, offset), offset);
            let limited = s.shl_by(s.min(distance, part.most), part.left);
            let z = mul_high(s, s.shr_by(limited, part.right), part.reciprocal);
            let z = s.min(z, s.splat((1 << 31) - 1));
            let [tail, drop, ..] = s.load_quads(&self.tails, s.shr::<BETWEEN>(z));
            let tail = s.widen(s.sub(tail, mul_high(s, drop, s.shl::<ABOVE>(z))));
            let own = s.widen(s.and(below, part.weight));
            let rest = s.widen(s.and_not(below, part.weight));
            mass = s.add64(mass, s.add64(s.mul_low(tail, own), s.shl64::<32>(rest)));
            mass = s.sub64(mass, s.mul_low(tail, rest));
        }
        let mass = s.shr64::<{ WEIGHT_BITS as i32 }>(mass);
        let product = s.mul_low(mass, s.widen(self.shared));
        let slots = s.narrow_high(s.add64(product, s.splat64(1 << 31)));
        // A mass of one is a bit more than 32 hold.
        let all = s.and(s.sub(zero, s.narrow_high(mass)), self.shared);
        s.add(s.add(slots, all), rank)
    }
}

/// A bit for each of `count` elements from `8 * octet` on.
fn valid(count: usize, octet: usize) -> u8 {
    (u32::MAX >> (BATCH - count) >> (EIGHT * octet)) as u8
}

/// Locates symbols.
pub(super) struct Locate<'a, 'm> {
    pub(super) steps: Steps<'a, Mixtures<'m>>,
    pub(super) symbols: &'a [[i32; BATCH]],
    pub(super) intervals: &'a mut [Intervals<BATCH>],
    pub(super) plain: &'a mut [bool],
}

impl Work for Locate<'_, '_> {
    /// `None` where nothing was done.
    type Output = Option<()>;
}

impl<S: Octets> RunOn<S> for Locate<'_, '_> {
    #[inline(always)]
    fn run(self, s: S) -> Option<()> {
        let Self { steps, symbols, intervals, plain } = self;
        let &Mixtures { kind, each, precision, .. } = steps.rows.first()?;
        let (one, forms) = (s.splat(1), (Tails::of(kind), radii(kind, precision)));
        let elements = steps.rows.len() * steps.lanes;
        for (step, ((symbols, intervals), plain)) in
            symbols.iter().zip(intervals).zip(plain).enumerate()
        {
            let symbols: &[u32; BATCH] = bytemuck::cast_ref(symbols);
            let of_octets = symbols.as_chunks().0.iter().zip(intervals.starts.as_chunks_mut().0);
            let of_octets = of_octets.zip(intervals.freqs.as_chunks_mut().0).enumerate();
            for (octet, ((symbols, starts), freqs)) in of_octets.take(elements.div_ceil(EIGHT)) {
                let loaded = Loaded::new(&steps, steps.at + step * steps.lanes, octet);
                let eight = Eight::new(s, &loaded, each, precision, forms)?;
                let symbol = s.add(s.load(symbols), s.splat(BIAS));
                let within = s.sub(symbol, eight.lowest);
                let outside = s.eq(s.max(within, eight.count), within);
                let irregular = s.signs(s.or(outside, eight.far)) & valid(elements, octet);
                *plain &= irregular == 0;
                let rank = s.add(within, one);
                let start = eight.cdf(s, rank);
                s.store(start, starts);
                s.store(s.sub(eight.cdf(s, s.add(rank, one)), start), freqs);
            }
        }
        Some(())
    }
}

/// Finds what slots hold, by halving.
pub(super) struct Find<'a, 'm> {
    pub(super) steps: Steps<'a, Mixtures<'m>>,
    pub(super) slots: &'a [u32; BATCH],
    pub(super) intervals: &'a mut Intervals<BATCH>,
    pub(super) found: &'a mut [i32; BATCH],
}

impl Work for Find<'_, '_> {
    /// A bit for each element that is left to the definition; `None` where nothing was done.
    type Output = Option<u32>;
}

impl<S: Octets> RunOn<S> for Find<'_, '_> {
    #[inline(always)]
    fn run(self, s: S) -> Option<u32> {
        let Self { steps, slots, intervals, found } = self;
        let &Mixtures { kind, each, precision, .. } = steps.rows.first()?;
        let (zero, one) = (s.splat(0), s.splat(1));
        let forms = (Tails::of(kind), radii(kind, precision));
        let elements = steps.rows.len() * steps.lanes;
        let found: &mut [u32; BATCH] = bytemuck::cast_mut(found);
        let of_octets = slots.as_chunks().0.iter().zip(intervals.starts.as_chunks_mut().0);
        let of_octets = of_octets.zip(intervals.freqs.as_chunks_mut().0);
        let of_octets = of_octets.zip(found.as_chunks_mut().0).enumerate();
        let mut irregular = 0;
        for (octet, (((slots, starts), freqs), found)) in of_octets.take(elements.div_ceil(EIGHT)) {
            let loaded = Loaded::new(&steps, steps.at, octet);
            let eight = Eight::new(s, &loaded, each, precision, forms)?;
            let slot = s.load(slots);
            let last = s.add(eight.count, one);
            let (mut low, mut start) = (zero, zero);
            let (mut high, mut end) = (s.add(last, one), s.splat(1 << precision));
            loop {
                let between = s.sub(high, low);
                let open = s.gt(between, one);
                if !s.any(open) {
                    break;
                }
                let middle = s.add(low, s.shr::<1>(between));
                let first = eight.cdf(s, middle);
                let past = s.gt(first, slot);
                let (down, up) = (s.and(past, open), s.and_not(past, open));
                (low, start) = (select(s, up, middle, low), select(s, up, first, start));
                (high, end) = (select(s, down, middle, high), select(s, down, first, end));
            }
            let escaped = s.or(s.eq(low, zero), s.eq(low, last));
            let left = s.signs(s.or(escaped, eight.far)) & valid(elements, octet);
            irregular |= u32::from(left) << (EIGHT * octet);
            s.store(start, starts);
            s.store(s.sub(end, start), freqs);
            s.store(s.sub(s.add(eight.lowest, low), s.splat(BIAS + 1)), found);
        }
        Some(irregular)
    }
}

#[cfg(test)]
mod tests {
    use parans_kernels::model::{FoundValue, Mixture, Model, Value};
    use rand::{Rng, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;
    use crate::simd::{Level, dispatch_octets, has_octets};

    /// Components whose weights sum to one, some of them 0.
    fn components(rng: &mut Xoshiro256PlusPlus, each: usize) -> Vec<Component> {
        let mut left = 1u32 << WEIGHT_BITS;
        let apart = [3, 60, 100_000, 1 << 20][rng.random_range(0..4)];
        let widest = [1, 900, 3000, Scale::MAX.code()][rng.random_range(0..4)];
        (0..each)
            .map(|k| {
                let weight = match rng.random_range(0..4) {
                    _ if k + 1 == each => left,
                    0 => 0,
                    1 => left,
                    _ => rng.random_range(0..=left),
                };
                left -= weight;
                let mean = rng.random_range(-apart..=apart) as f32 * rng.random::<f32>();
                let scale = Scale::from_code(rng.random_range(0..=widest));
                let mean = Mean::from_f32(mean);
                Component { mean: mean.unwrap(), scale: scale.unwrap(), weight }
            })
            .collect()
    }

    /// Codes a step with each level and with the definition; counts the elements that vectors have
    /// found.
    fn check(rng: &mut Xoshiro256PlusPlus, kind: Kind, lanes: usize, precision: u32) -> [usize; 2] {
        let each = rng.random_range(1..=MAX_COMPONENTS);
        let count = rng.random_range(1..=BATCH / lanes);
        let parts: Vec<Vec<Component>> = (0..count)
            .map(|_| (0..2 * lanes).flat_map(|_| components(rng, each)).collect())
            .collect();
        let rows: Vec<_> = parts
            .iter()
            .map(|parts| Mixtures { kind, components: parts, each, precision })
            .collect();
        let steps = Steps { rows: &rows, lanes, at: lanes };
        let elements = count * lanes;
        let mixture = |element: usize| {
            let at = (lanes + element % lanes) * each;
            let parts = &parts[element / lanes][at..at + each];
            Mixture::new(kind, parts, precision).unwrap()
        };
        let mut symbols = [0; BATCH];
        let mut slots = [0; BATCH];
        for element in 0..elements {
            let window = mixture(element).window();
            let at = rng.random_range(-1..=i64::from(window.count));
            symbols[element] = match rng.random_range(0..100) {
                0 => rng.random(),
                1 => window.lowest + at as i32,
                _ => window.lowest + at.clamp(0, i64::from(window.count) - 1) as i32,
            };
            slots[element] = rng.random::<u32>() >> (32 - precision);
        }
        let mut found = [0; 2];
        for level in Level::available().filter(|&level| has_octets(level)) {
            let (mut intervals, mut plain) = ([Intervals::default()], [true]);
            let locate =
                Locate { steps, symbols: &[symbols], intervals: &mut intervals, plain: &mut plain };
            assert_eq!(dispatch_octets(level, locate).ok(), Some(Some(())));
            for (element, &symbol) in symbols.iter().enumerate().take(elements) {
                let located = mixture(element).locate(symbol);
                let Some(located) = located.filter(|located| located.escape.is_none()) else {
                    assert!(!plain[0], "{kind:?} {precision} {symbol}");
                    continue;
                };
                let got = (intervals[0].starts[element], intervals[0].freqs[element]);
                let expected = (located.interval.start, located.interval.freq);
                assert!(!plain[0] || got == expected, "{kind:?} {precision}: {got:?} {expected:?}");
                found[0] += usize::from(plain[0]);
            }
            let (mut intervals, mut popped) = (Intervals::default(), [0; BATCH]);
            let find = Find { steps, slots: &slots, intervals: &mut intervals, found: &mut popped };
            let irregular = dispatch_octets(level, find).ok().flatten().unwrap();
            for element in 0..elements {
                let FoundValue { interval, value } = mixture(element).find(slots[element]);
                if irregular >> element & 1 == 1 {
                    continue;
                }
                assert_eq!(value, Value::Symbol(popped[element]), "{kind:?} {precision}");
                let got = (intervals.starts[element], intervals.freqs[element]);
                assert_eq!(got, (interval.start, interval.freq), "{kind:?} {precision}");
                found[1] += 1;
            }
        }
        found
    }

    #[test]
    fn vectors_are_the_definition() {
        if !Level::available().any(has_octets) {
            return;
        }
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(18);
        let mut found = [0; 2];
        for kind in Kind::ALL {
            for lanes in [1, 2, 4, 8, 32] {
                for precision in [8, 9, 12, 16, 20, 22, 24, 30, 31] {
                    for _ in 0..40 {
                        let more = check(&mut rng, kind, lanes, precision);
                        found = [found[0] + more[0], found[1] + more[1]];
                    }
                }
            }
        }
        // Most are found in vectors, and so are compared at all.
        assert!(found[0] > 10_000 && found[1] > 40_000, "{found:?}");
    }

    #[test]
    fn no_mass_is_left_past_the_last_step() {
        for kind in Kind::ALL {
            let steps = &Tails::of(kind).steps;
            assert_eq!((steps[0].0[0], steps.last().unwrap().0), (1 << 31, [0; 4]), "{kind:?}");
        }
    }
}

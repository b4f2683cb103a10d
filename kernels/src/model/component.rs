//! One distribution on the integers around its mean, and the windows that distributions are coded
//! over.

use super::scale::{MEAN_FRACTION_BITS, Mean, Scale};
use super::search::find_rank;
use super::tail::{Kind, cdf_q32, quantile_estimate};
use super::{FoundValue, Located, MAX_ESCAPE, MAX_PRECISION, MIN_PRECISION, Model, Value};
use crate::codec::Interval;

/// Largest radius of a window: its integers, like the means', stay far inside `i32`.
const MAX_RADIUS: u32 = 1 << 19;

/// The consecutive integers that a model codes without an escape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first integer.
    pub lowest: i32,
    /// How many, at least 1.
    pub count: u32,
}

/// Half-widths in sixteenths of a scale, by `precision - log2(scale)` (clamped to this table).
///
/// A window ends about where one integer's probability is `2^-p`: `sqrt(2 ln 2 b)` scales for a
/// Gaussian, `ln 2 b` for the exponential tails, `b = p - log2(scale)`. Wider reserves slots that
/// nothing uses, narrower escapes too often: a tenth more for Laplace and a fifth more for logistic
/// distributions lost least over scales and precisions.
pub(super) static RADII: [[u32; 64]; 3] =
    [radii(Kind::Gaussian), radii(Kind::Laplace), radii(Kind::Logistic)];

const fn radii(kind: Kind) -> [u32; 64] {
    let mut table = [0; 64];
    let mut i = 0;
    while i < table.len() {
        // At least four bits: below, the scale is too large for the precision, and the window is
        // cut anyway.
        let b: u32 = if i < 4 { 4 } else { i as u32 };
        table[i] = match kind {
            // 16^2 * 2 ln 2 = 354.9
            Kind::Gaussian => (b * 355).isqrt() + 1,
            // 16 ln 2 = 11.09, and a tenth or a fifth more.
            Kind::Laplace => (b * 1220 / 100) + 1,
            Kind::Logistic => (b * 1331 / 100) + 1,
        };
        i += 1;
    }
    table
}

impl Window {
    /// The window of one distribution for slots of `2^precision`.
    #[inline]
    pub fn around(kind: Kind, mean: Mean, scale: Scale, precision: u32) -> Self {
        let bits = Self::bits(scale.code(), precision);
        let radius = scale.times_sixteenths(RADII[kind as usize][bits as usize]);
        let radius = radius.clamp(1, Self::max_radius(precision));
        Self { lowest: mean.centre() - radius as i32, count: 2 * radius + 1 }
    }

    /// Slots a scale: `precision - log2(scale)`, rounded; below 64.
    #[inline(always)]
    pub(super) fn bits(code: u16, precision: u32) -> u32 {
        // The largest precision and 6 for the smallest scale leave it below 38.
        (i32::from(precision as u16) - Scale::log2_rounded(code)).max(0) as u32 % 64
    }

    /// At most a quarter of the slots (or so) are reserved, however large the scale is.
    #[inline]
    pub(super) fn max_radius(precision: u32) -> u32 {
        MAX_RADIUS.min(1 << (precision - 3))
    }

    /// The last integer.
    #[inline]
    pub fn highest(&self) -> i32 {
        self.lowest + (self.count - 1) as i32
    }

    /// All ranks: the integers and two escapes.
    #[inline]
    pub(super) fn ranks(&self) -> u32 {
        self.count + 2
    }

    /// The rank of `symbol`, and the distance if it is an escape; `None` beyond [`MAX_ESCAPE`].
    #[inline(always)]
    fn rank(&self, symbol: i32) -> Option<(u32, Option<u32>)> {
        let above = i64::from(symbol) - i64::from(self.lowest);
        let (rank, distance) = if above < 0 {
            (0, -above - 1)
        } else if above < i64::from(self.count) {
            return Some((above as u32 + 1, None));
        } else {
            (self.count + 1, above - i64::from(self.count))
        };
        if distance < i64::from(MAX_ESCAPE) { Some((rank, Some(distance as u32))) } else { None }
    }

    /// Position of the edge below rank `rank` (from 1 to `count + 1`), in units of `2^-12`: a
    /// half-integer.
    #[inline]
    fn edge(&self, rank: u32) -> i64 {
        ((i64::from(self.lowest) + i64::from(rank) - 1) << MEAN_FRACTION_BITS)
            - (1 << (MEAN_FRACTION_BITS - 1))
    }

    /// The rank whose integer is nearest to `position` (units of `2^-12`), clamped into the window.
    #[inline]
    fn rank_at(&self, position: i64) -> u32 {
        let nearest = (position + (1 << (MEAN_FRACTION_BITS - 1))) >> MEAN_FRACTION_BITS;
        let rank = nearest - i64::from(self.lowest) + 1;
        rank.clamp(0, i64::from(self.count) + 1) as u32
    }
}

/// A CDF over half-integer edges: what a window is laid over.
pub(super) trait Edges {
    /// The CDF (units of `2^-32`, at most `2^32`) at `position` (units of `2^-12`); never
    /// decreasing.
    fn mass_below(&self, position: i64) -> u64;
    /// The CDF at two positions.
    #[inline(always)]
    fn masses_below(&self, positions: [i64; 2]) -> [u64; 2] {
        positions.map(|position| self.mass_below(position))
    }
    /// About where the CDF reaches `mass`, and how far off that may well be; any answer is right, a
    /// near one is quick.
    fn position_of(&self, mass: u32) -> (i64, u64);
}

/// A product of mass (units of `2^-32`) and slots as whole slots, to the nearest.
///
/// Rounding down would give the last rank, whose mass is mostly next to none, a slot more than its
/// reserved one.
#[inline(always)]
pub(super) const fn share(product: u64) -> u32 {
    ((product + (1 << 31)) >> 32) as u32
}

/// Divides `2^precision` slots among the ranks of a window; see the module's story.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
    pub(super) window: Window,
    pub(super) precision: u32,
}

impl Slots {
    /// How many slots are shared out by mass: those that are not reserved.
    #[inline]
    fn shared(&self) -> u32 {
        (1 << self.precision) - self.window.ranks()
    }

    #[inline]
    pub(super) fn cdf(&self, edges: &impl Edges, rank: u32) -> u32 {
        let ranks = self.window.ranks();
        if rank == 0 {
            return 0;
        }
        if rank >= ranks {
            return 1 << self.precision;
        }
        let mass = edges.mass_below(self.window.edge(rank));
        share(mass * u64::from(self.shared())) + rank
    }

    /// The slots at which `rank`, below [`Window::ranks`], begins and ends: both values of
    /// [`cdf`](Self::cdf), evaluated together.
    #[inline(always)]
    fn around(&self, edges: &impl Edges, rank: u32) -> [u32; 2] {
        let last = self.window.ranks() - 1;
        let inner = [rank.max(1), (rank + 1).min(last)];
        let masses = edges.masses_below(inner.map(|rank| self.window.edge(rank)));
        let shared = u64::from(self.shared());
        let start = share(masses[0] * shared) + rank;
        let end = share(masses[1] * shared) + rank + 1;
        [if rank == 0 { 0 } else { start }, if rank == last { 1 << self.precision } else { end }]
    }

    #[inline(always)]
    pub(super) fn locate(&self, edges: &impl Edges, symbol: i32) -> Option<Located> {
        let (rank, escape) = self.window.rank(symbol)?;
        let [start, end] = self.around(edges, rank);
        Some(Located { interval: Interval { start, freq: end - start }, escape })
    }

    #[inline]
    pub(super) fn find(&self, edges: &impl Edges, slot: u32) -> FoundValue {
        let window = &self.window;
        let end = 1 << self.precision;
        let slot = slot.min(end - 1);
        // The middle of the slot, so that slot 0 does not ask for minus infinity.
        let mass = ((2 * u64::from(slot) + 1) << 31 >> self.precision) as u32;
        let (position, off) = edges.position_of(mass);
        let first = window.rank_at(position);
        let step = ((off >> MEAN_FRACTION_BITS) as u32).clamp(1, window.ranks());
        let around = self.around(edges, first);
        let (rank, interval) =
            find_rank(slot, (window.ranks(), end), (first, step), around, |j| self.cdf(edges, j));
        let value = if rank == 0 {
            Value::Below(window.lowest - 1)
        } else if rank > window.count {
            Value::Above(window.highest() + 1)
        } else {
            Value::Symbol(window.lowest + (rank - 1) as i32)
        };
        FoundValue { interval, value }
    }
}

/// A Gaussian, Laplace or logistic distribution, discretised on the integers: the probability of
/// `k` is the mass between `k - 1/2` and `k + 1/2`.
#[derive(Clone, Copy, Debug)]
pub struct Parametric {
    edges: Single,
    slots: Slots,
}

#[derive(Clone, Copy, Debug)]
struct Single {
    kind: Kind,
    mean: Mean,
    scale: Scale,
}

impl Edges for Single {
    #[inline]
    fn mass_below(&self, position: i64) -> u64 {
        cdf_q32(self.kind, position - i64::from(self.mean.0), self.scale)
    }

    #[inline]
    fn position_of(&self, mass: u32) -> (i64, u64) {
        (i64::from(self.mean.0) + quantile_estimate(self.kind, mass, self.scale), 0)
    }
}

impl Parametric {
    /// The distribution, over slots of `2^precision`; `precision` is clamped to 8 ..= 31.
    #[inline]
    pub fn new(kind: Kind, mean: Mean, scale: Scale, precision: u32) -> Self {
        let precision = precision.clamp(MIN_PRECISION, MAX_PRECISION);
        let window = Window::around(kind, mean, scale, precision);
        Self { edges: Single { kind, mean, scale }, slots: Slots { window, precision } }
    }

    /// The integers coded without an escape.
    #[inline]
    pub fn window(&self) -> Window {
        self.slots.window
    }

    /// First slot of `rank`; `2^precision` for ranks past the last.
    #[inline]
    pub fn cdf(&self, rank: u32) -> u32 {
        self.slots.cdf(&self.edges, rank)
    }
}

impl Model for Parametric {
    #[inline(always)]
    fn locate(&self, symbol: i32) -> Option<Located> {
        self.slots.locate(&self.edges, symbol)
    }

    #[inline]
    fn find(&self, slot: u32) -> FoundValue {
        self.slots.find(&self.edges, slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(kind: Kind, mean: f32, scale: f32, precision: u32) -> Parametric {
        let scale = Scale::from_f32(scale).unwrap();
        Parametric::new(kind, Mean::from_f32(mean).unwrap(), scale, precision)
    }

    #[test]
    fn hand_checked_gaussian() {
        // Mean 0, scale 1, p = 16: b = 16, factor isqrt(16 * 355) + 1 = 76, radius round(76 / 16) =
        // 5, so 11 integers, 13 ranks and 65523 shared slots. Phi(-1/2) = 0.3085375, Phi(1/2) =
        // 0.6914625.
        let model = one(Kind::Gaussian, 0.0, 1.0, 16);
        assert_eq!(model.window(), Window { lowest: -5, count: 11 });
        let zero = model.locate(0).unwrap();
        assert_eq!(zero.interval.start, 20_216 + 6);
        assert_eq!(zero.interval.start + zero.interval.freq, 45_307 + 7);
        assert_eq!(zero.escape, None);
        // Far outside: round((1 - 2e-8) * 65523) = 65523 slots and 12 ranks come before; the
        // distance is beyond 5.
        let far = model.locate(10).unwrap();
        assert_eq!(far, Located { interval: Interval { start: 65_535, freq: 1 }, escape: Some(4) });
        let far = model.locate(-10).unwrap();
        assert_eq!(far, Located { interval: Interval { start: 0, freq: 1 }, escape: Some(4) });
        assert_eq!(model.find(0), FoundValue { interval: far.interval, value: Value::Below(-6) });
        assert_eq!(model.find(0).value.symbol(4), Some(-10));
        assert_eq!(model.find(65_535).value.symbol(4), Some(10));
        assert_eq!(
            model.find(30_000),
            FoundValue { interval: zero.interval, value: Value::Symbol(0) }
        );
    }

    #[test]
    fn distances_past_the_limit_are_refused() {
        let model = one(Kind::Laplace, 0.0, 1.0, 12);
        let highest = model.window().highest();
        let limit = MAX_ESCAPE as i32;
        assert_eq!(model.locate(highest + limit).unwrap().escape, Some(MAX_ESCAPE - 1));
        assert_eq!(model.locate(highest + limit + 1), None);
        assert_eq!(model.locate(i32::MIN), None);
        // A damaged distance that leaves i32.
        assert_eq!(model.find((1 << 12) - 1).value.symbol(u32::MAX), None);
    }

    /// Every rank of every model of a grid: strictly increasing, and found again from its first and
    /// last slot.
    #[test]
    fn monotone_and_invertible_over_the_grid() {
        let mut models = 0u32;
        for kind in Kind::ALL {
            for precision in [8, 10, 12, 15, 16, 23, 24, 31] {
                for code in (0..=Scale::MAX.code()).step_by(256) {
                    for mean in [0, 1, 1023, 2047, 2048, -2049, 5_000_000, i32::MIN, i32::MAX] {
                        let scale = Scale::from_code(code).unwrap();
                        let model = Parametric::new(kind, Mean(mean), scale, precision);
                        check(&model, precision);
                        models += 1;
                    }
                }
            }
        }
        assert_eq!(models, 3 * 8 * 23 * 9);
    }

    fn check(model: &Parametric, precision: u32) {
        let window = model.window();
        let ranks = window.count + 2;
        assert_eq!(model.cdf(0), 0);
        assert_eq!(model.cdf(ranks), 1 << precision);
        // All ranks of small windows; of large ones the ends, and a stride through the middle.
        let stride = if ranks < 600 { 1 } else { ranks / 150 };
        let mut rank = 0;
        while rank < ranks {
            let (start, end) = (model.cdf(rank), model.cdf(rank + 1));
            assert!(start < end, "{model:?} rank {rank}");
            let symbol = window.lowest + rank as i32 - 1;
            let located = model.locate(symbol).unwrap();
            assert_eq!(located.interval, Interval { start, freq: end - start });
            for slot in [start, start + (end - start) / 2, end - 1] {
                let found = model.find(slot);
                assert_eq!(found.interval, located.interval, "{model:?} {slot}");
                assert_eq!(found.value.symbol(0), Some(symbol));
                assert_eq!(!matches!(found.value, Value::Symbol(_)), located.escape.is_some());
            }
            rank = if rank < 3 || rank + stride + 3 >= ranks { rank + 1 } else { rank + stride };
        }
    }
}

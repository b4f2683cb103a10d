//! Mixtures of up to eight distributions of one kind, with integer weights.

use super::component::{Edges, Slots, Window};
use super::scale::{Mean, Scale};
use super::tail::{Kind, cdf_q32, quantile_estimate};
use super::{FoundValue, Located, MAX_PRECISION, MIN_PRECISION, Model};

/// Most components of a [`Mixture`].
pub const MAX_COMPONENTS: usize = 8;
/// The weights of a mixture sum to `2^WEIGHT_BITS`.
pub const WEIGHT_BITS: u32 = 16;

/// One component of a [`Mixture`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Component {
    /// Where it is.
    pub mean: Mean,
    /// How wide it is.
    pub scale: Scale,
    /// Its share, in units of `2^-16`. 0 switches it off; a component of all the weight is a weight
    /// of `2^16`.
    pub weight: u32,
}

/// A mixture of distributions of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Mixture<'a> {
    edges: Weighted<'a>,
    slots: Slots,
}

#[derive(Clone, Copy, Debug)]
struct Weighted<'a> {
    kind: Kind,
    components: &'a [Component],
}

impl Edges for Weighted<'_> {
    #[inline]
    fn mass_below(&self, position: i64) -> u64 {
        let mut mass = 0;
        for part in self.components {
            let below = cdf_q32(self.kind, position - i64::from(part.mean.0), part.scale);
            mass += below * u64::from(part.weight);
        }
        mass >> WEIGHT_BITS
    }

    /// In one turn over the components, which on a device are far apart.
    #[inline(always)]
    fn masses_below(&self, [first, second]: [i64; 2]) -> [u64; 2] {
        let mut masses = [0; 2];
        for part in self.components {
            let (mean, weight) = (i64::from(part.mean.0), u64::from(part.weight));
            masses[0] += cdf_q32(self.kind, first - mean, part.scale) * weight;
            masses[1] += cdf_q32(self.kind, second - mean, part.scale) * weight;
        }
        masses.map(|mass| mass >> WEIGHT_BITS)
    }

    #[inline]
    fn position_of(&self, mass: u32) -> (i64, u64) {
        // The quantile lies between the smallest and the largest of the components' own; their mean
        // is a start.
        let (mut sum, mut lowest, mut highest) = (0, i64::MAX, i64::MIN);
        for part in self.components {
            let own = i64::from(part.mean.0) + quantile_estimate(self.kind, mass, part.scale);
            sum += own * i64::from(part.weight);
            if part.weight > 0 {
                lowest = lowest.min(own);
                highest = highest.max(own);
            }
        }
        (sum >> WEIGHT_BITS, (highest - lowest).max(0) as u64 / 4)
    }
}

impl<'a> Mixture<'a> {
    /// The mixture over slots of `2^precision`, which is clamped to 8 ..= 31. `None` unless there
    /// are 1 to 8 components whose weights sum to `2^16`, and their scales are such: those in
    /// device memory may be any 16 bits.
    #[inline]
    pub fn new(kind: Kind, components: &'a [Component], precision: u32) -> Option<Self> {
        if components.is_empty() || components.len() > MAX_COMPONENTS {
            return None;
        }
        let precision = precision.clamp(MIN_PRECISION, MAX_PRECISION);
        let (mut lowest, mut highest, mut weights) = (i32::MAX, i32::MIN, 0u64);
        for part in components {
            weights += u64::from(part.weight);
            let scale = Scale::from_code(part.scale.code())?;
            if part.weight > 0 {
                let window = Window::around(kind, part.mean, scale, precision);
                lowest = lowest.min(window.lowest);
                highest = highest.max(window.highest());
            }
        }
        if weights != 1 << WEIGHT_BITS {
            return None;
        }
        // Components far apart would reserve everything between them: keep the middle.
        let most = 2 * Window::max_radius(precision) as i32 + 1;
        let excess = (highest - lowest + 1 - most).max(0);
        let lowest = lowest + excess / 2;
        let count = (highest - (excess - excess / 2) - lowest + 1) as u32;
        let window = Window { lowest, count };
        Some(Self { edges: Weighted { kind, components }, slots: Slots { window, precision } })
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

impl Model for Mixture<'_> {
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
    use super::super::Parametric;
    use super::*;
    use crate::codec::Interval;

    fn part(mean: f32, scale: f32, weight: u32) -> Component {
        let mean = Mean::from_f32(mean).unwrap();
        Component { mean, scale: Scale::from_f32(scale).unwrap(), weight }
    }

    #[test]
    fn one_component_is_the_plain_model() {
        for kind in Kind::ALL {
            let parts = [part(3.3, 2.5, 1 << 16)];
            let mixture = Mixture::new(kind, &parts, 16).unwrap();
            let plain = Parametric::new(kind, parts[0].mean, parts[0].scale, 16);
            for symbol in -200..200 {
                assert_eq!(mixture.locate(symbol), plain.locate(symbol));
            }
            for slot in (0..1 << 16).step_by(37) {
                assert_eq!(mixture.find(slot), plain.find(slot));
            }
        }
    }

    #[test]
    fn bad_mixtures_are_refused() {
        let half = part(0.0, 1.0, 1 << 15);
        assert!(Mixture::new(Kind::Gaussian, &[], 16).is_none());
        assert!(Mixture::new(Kind::Gaussian, &[half], 16).is_none());
        assert!(Mixture::new(Kind::Gaussian, &[half; 3], 16).is_none());
        assert!(Mixture::new(Kind::Gaussian, &[part(0.0, 1.0, 1 << 12); 16], 16).is_none());
        assert!(Mixture::new(Kind::Gaussian, &[part(0.0, 1.0, u32::MAX); 2], 16).is_none());
        assert!(Mixture::new(Kind::Gaussian, &[part(0.0, 1.0, 1 << 13); 8], 16).is_some());
    }

    #[test]
    fn far_apart_components_stay_codable() {
        let parts = [part(-500_000.0, 3.0, 1 << 15), part(500_000.0, 60_000.0, 1 << 15)];
        for kind in Kind::ALL {
            for precision in [8, 12, 16, 24, 31] {
                let mixture = Mixture::new(kind, &parts, precision).unwrap();
                let window = mixture.window();
                let mut last = None;
                for step in 0..300 {
                    let rank = (u64::from(window.count + 1) * step / 299) as u32;
                    let Interval { start, freq } =
                        mixture.locate(window.lowest + rank as i32 - 1).unwrap().interval;
                    assert!(freq > 0);
                    assert!(last <= Some(start));
                    last = Some(start);
                    assert_eq!(mixture.find(start).interval.start, start);
                    assert_eq!(mixture.find(start + freq - 1).interval.start, start);
                }
                for symbol in [-500_000, 0, 500_000, 1 << 29] {
                    assert!(mixture.locate(symbol).is_some());
                }
            }
        }
    }
}

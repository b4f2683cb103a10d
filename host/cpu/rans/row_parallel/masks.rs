//! Which states emit a word in which step: stored a step at a time, read a row at a time.

use super::tile::STEPS;
use crate::simd::Simd512;

/// The masks of so many steps as are taken at a time, as often each as a row has lanes where those
/// are few: so many are one vector's worth for `16 / L` steps.
#[derive(Clone)]
pub(super) struct Masks([u16; (MANY_LANES / 2) * STEPS]);

/// From this many lanes on the masks of a group of steps fit a scalar register, once each.
const MANY_LANES: usize = 4;

impl Masks {
    pub(super) const fn new() -> Self {
        Self([0; (MANY_LANES / 2) * STEPS])
    }

    const fn copies(lanes: usize) -> usize {
        if lanes < MANY_LANES { lanes } else { 1 }
    }

    #[inline(always)]
    pub(super) fn set<const L: usize>(&mut self, at: usize, mask: u16) {
        let copies = Self::copies(L);
        self.0[at * copies..(at + 1) * copies].fill(mask);
    }

    /// The masks of `16 / L` steps from one on, of which only the first `used` count: the others
    /// keep what an earlier tile left there.
    #[inline(always)]
    pub(super) fn of_steps<S: Simd512, const L: usize>(
        &self,
        s: S,
        at: usize,
        used: usize,
    ) -> StepMasks<S> {
        let copies = Self::copies(L);
        let found = &self.0[at * copies..];
        if L >= MANY_LANES {
            let mut few = 0;
            for (k, &mask) in found.iter().enumerate().take(16 / L) {
                few |= u64::from(mask) << (16 * k);
            }
            return StepMasks::Few(few & u64::MAX >> (64 - 16 * used));
        }
        match found.first_chunk() {
            Some(all) if used == 16 / L => StepMasks::Many(s.load_u16(all)),
            _ => {
                let mut some = [0; 16];
                some[..used * copies].copy_from_slice(&found[..used * copies]);
                StepMasks::Many(s.load_u16(&some))
            }
        }
    }
}

/// The masks of a group of steps.
#[derive(Clone, Copy)]
pub(super) enum StepMasks<S: Simd512> {
    /// Sixteen bits per step, the first lowest.
    Few(u64),
    /// An element for each of a row's words.
    Many(S::U32),
}

impl<S: Simd512> StepMasks<S> {
    /// Which of a row's words are emitted.
    #[inline(always)]
    pub(super) fn of_row<const L: usize>(self, s: S, row: usize) -> u16 {
        match self {
            Self::Few(masks) => {
                let lanes = ((1u64 << L) - 1) * 0x0001_0001_0001_0001;
                s.extract_bits(masks, lanes << (row * L)) as u16
            }
            Self::Many(masks) => {
                s.test(masks, s.shl(s.load(const { &lane_bits::<L>() }), (row * L) as u32))
            }
        }
    }
}

/// Which bit of a step's mask each of sixteen words of a row stands at, less the row's first.
const fn lane_bits<const L: usize>() -> [u32; 16] {
    let mut bits = [0; 16];
    let mut e = 0;
    while e < 16 {
        bits[e] = 1 << (e % L);
        e += 1;
    }
    bits
}

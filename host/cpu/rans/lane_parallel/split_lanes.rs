//! The steps of rans64 and rans32 over [`Simd512`]: lanes 0 to 15 of a row in one vector, the
//! others in another.
//!
//! The arithmetic is that of [`VectorFamily`]; what is added here is words that lie side by side.

use parans_kernels::codec::{Rans32, Rans64};

use super::super::family::VectorFamily;
use super::super::lookup::{By, FoundSymbols, SlotLookup};
use super::steps::{LaneFamily, PopSteps, Popped, PushSteps, Pushed, UsedTables};
use crate::simd::{Level, RunOn, Simd512, Work, dispatch_512, unroll};

/// A family whose lanes take words that lie side by side.
pub(super) trait AdjacentWords: VectorFamily {
    /// Renormalises sixteen states with the words before `left`, the first state with the last
    /// word; the states, and how many words are left. There must be as many words as they can take.
    fn renormalise_adjacent<S: Simd512>(
        s: S,
        states: Self::States<S>,
        words: &[Self::Word],
        left: usize,
    ) -> (Self::States<S>, usize);
}

impl AdjacentWords for Rans64 {
    #[inline(always)]
    fn renormalise_adjacent<S: Simd512>(
        s: S,
        x: S::U64,
        words: &[u32],
        left: usize,
    ) -> (S::U64, usize) {
        let Some(window) = words[..left].last_chunk() else { return (x, left) };
        let want = !s.ge64(x, s.widen(s.splat(1 << 31)));
        let word = s.widen(s.expand_u32(window, want));
        let x = s.select64(want, s.or64(s.shl64(x, 32), word), x);
        (x, left - want.count_ones() as usize)
    }
}

impl AdjacentWords for Rans32 {
    #[inline(always)]
    fn renormalise_adjacent<S: Simd512>(
        s: S,
        x: S::U32,
        words: &[u8],
        left: usize,
    ) -> (S::U32, usize) {
        let Some(window) = words[..left].last_chunk() else { return (x, left) };
        // Precisions up to 16 leave at least 2^7: two bytes always suffice.
        let one = !s.ge(x, s.splat(1 << 23));
        let two = !s.ge(x, s.splat(1 << 15));
        let bits = s.select(one, s.splat(8), s.splat(0));
        let bits = s.select(two, s.splat(16), bits);
        let x = s.funnel_shl(x, s.expand_u8(window, one, two), bits);
        (x, left - (one.count_ones() + two.count_ones()) as usize)
    }
}

macro_rules! lane_family {
    ($($family:ty),*) => {$(
        impl LaneFamily for $family {
            fn has_lane_loops(level: Level) -> bool {
                matches!(level, Level::Avx512Gather | Level::Avx512Permute)
            }

            #[allow(private_interfaces, reason = "only this folder calls it")]
            fn push_steps<const R: usize>(
                level: Level,
                steps: PushSteps<'_, Self, R>,
            ) -> Option<Pushed<R>> {
                dispatch_512(level, steps).ok()?
            }

            #[allow(private_interfaces, reason = "only this folder calls it")]
            fn pop_steps<const R: usize>(
                level: Level,
                steps: PopSteps<'_, '_, Self, R>,
            ) -> Option<Popped<R>> {
                dispatch_512(level, steps).ok()
            }
        }
    )*};
}
lane_family!(Rans64, Rans32);

#[inline(always)]
fn halves<T>(step: &[T; 32]) -> [&[T; 16]; 2] {
    let (first, second) = step.split_at(16);
    [first.try_into().expect("sixteen"), second.try_into().expect("sixteen")]
}

#[inline(always)]
fn halves_mut<T>(step: &mut [T; 32]) -> [&mut [T; 16]; 2] {
    let (first, second) = step.split_at_mut(16);
    [first.try_into().expect("sixteen"), second.try_into().expect("sixteen")]
}

/// Sixteen lanes, the last first.
#[inline(always)]
fn backwards<T: Copy>(lanes: &[T; 16]) -> [T; 16] {
    let mut reversed = *lanes;
    reversed.reverse();
    reversed
}

impl<F: AdjacentWords, const R: usize> Work for PushSteps<'_, F, R> {
    /// `None` where a row ran out of capacity.
    type Output = Option<Pushed<R>>;
}

impl<S: Simd512, F: AdjacentWords, const R: usize> RunOn<S> for PushSteps<'_, F, R> {
    #[inline(always)]
    fn run(self, s: S) -> Option<Pushed<R>> {
        let Self { entries, steps, precision, states, free } = self;
        let (low, one) = (s.splat(0xffff), s.splat(1));
        let initial = F::load(s, &[F::LOWER_BOUND; 16]);
        let mut x = [[initial; 2]; R];
        unroll!(r in 0 1 2 3 below R => {
            let [first, second] = halves(&states[r]);
            x[r] = [F::load(s, &backwards(second)), F::load(s, &backwards(first))];
        });
        let mut words = [0; R];
        for step in steps.clone().rev() {
            unroll!(r in 0 1 2 3 below R => {
                let [first, second] = halves(&entries[r][step]);
                for (half, entries) in [second, first].into_iter().enumerate() {
                    let entry = s.reverse_blocks::<16>(s.load(entries));
                    let freq = s.add(s.shr(entry, 16), one);
                    let (next, emitted) = F::push(s, x[r][half], freq, s.and(entry, low), precision);
                    x[r][half] = next;
                    words[r] = F::emit(s, emitted, free[r], words[r])?;
                }
            });
        }
        unroll!(r in 0 1 2 3 below R => {
            let [first, second] = halves_mut(&mut states[r]);
            F::store(s, x[r][0], second);
            second.reverse();
            F::store(s, x[r][1], first);
            first.reverse();
        });
        Some(Pushed { done: steps.start, words })
    }
}

impl<F: AdjacentWords + LaneFamily, const R: usize> Work for PopSteps<'_, '_, F, R> {
    type Output = Popped<R>;
}

impl<S: Simd512, F: AdjacentWords + LaneFamily, const R: usize> RunOn<S>
    for PopSteps<'_, '_, F, R>
{
    #[inline(always)]
    fn run(self, s: S) -> Popped<R> {
        match self.used {
            UsedTables::One(_) => self.steps::<S, false>(s),
            UsedTables::Each(_) => self.steps::<S, true>(s),
        }
    }
}

impl<F: AdjacentWords + LaneFamily, const R: usize> PopSteps<'_, '_, F, R> {
    /// `MANY`: [`UsedTables::Each`].
    #[inline(always)]
    fn steps<S: Simd512, const MANY: bool>(self, s: S) -> Popped<R> {
        let Self { tables, used, steps, states, words, symbols } = self;
        let lookup = SlotLookup::new(s, tables.form, tables.precision);
        let by = if MANY { By::Gather } else { By::Either };
        let single = !MANY && lookup.single();
        let bypass = tables.bypass.is_some();
        let initial = F::load(s, &[F::LOWER_BOUND; 16]);
        let mut x = [[initial; 2]; R];
        unroll!(r in 0 1 2 3 below R => {
            let [first, second] = halves(&states[r]);
            x[r] = [F::load(s, first), F::load(s, second)];
        });
        let mut left = words.map(<[_]>::len);
        let mut done = steps.start;
        let mut sentinel = false;
        while done < steps.end && !sentinel {
            let mut short = false;
            unroll!(r in 0 1 2 3 below R => {
                short |= left[r] < F::WINDOW;
            });
            if short {
                break;
            }
            unroll!(r in 0 1 2 3 below R => {
                let table = tables_of(s, &used, r, done);
                let mut slot = table;
                let mut found = [FoundSymbols::new(table[0]); 2];
                let mut misses = [0; 2];
                for half in 0..2 {
                    slot[half] = lookup.slots(s, F::low(s, x[r][half]));
                    (found[half], misses[half]) =
                        lookup.find(s, by, single, table[half], slot[half]);
                }
                if misses[0] | misses[1] != 0 {
                    let misses = u64::from(misses[0]) | u64::from(misses[1]) << 16;
                    found = lookup.find_misses(s, misses, table, slot, found);
                }
                for (half, to) in halves_mut(&mut symbols[r][done]).into_iter().enumerate() {
                    let FoundSymbols { freq, rank, .. } = found[half];
                    let mut symbol = lookup.symbols(s, &found[half]);
                    if lookup.far() {
                        symbol = lookup.add_offsets(s, symbol, table[half]);
                    }
                    let advanced = F::advance(s, x[r][half], freq, rank, tables.precision);
                    (x[r][half], left[r]) =
                        F::renormalise_adjacent(s, advanced, words[r], left[r]);
                    if bypass {
                        sentinel |= s.eq(symbol, lookup.last(s, table[half])) != 0;
                    }
                    s.store(symbol, to);
                }
            });
            done += 1;
        }
        unroll!(r in 0 1 2 3 below R => {
            for (half, to) in halves_mut(&mut states[r]).into_iter().enumerate() {
                F::store(s, x[r][half], to);
            }
        });
        Popped { done, words: left, sentinel }
    }
}

/// The tables of a step of a row.
#[inline(always)]
fn tables_of<S: Simd512, const R: usize>(
    s: S,
    used: &UsedTables<'_, R>,
    row: usize,
    step: usize,
) -> [S::U32; 2] {
    match used {
        UsedTables::One(tables) => [s.splat(tables[row]); 2],
        UsedTables::Each(tables) => {
            let [first, second] = halves(&tables[row][step]);
            [s.load(first), s.load(second)]
        }
    }
}

//! Finding the rank at a slot: from an estimate, by doubling steps, then by halving.

use crate::codec::Interval;

/// The rank `j < ranks` with `cdf(j) <= slot < cdf(j + 1)`, and its slots.
///
/// `cdf` must be strictly increasing with `cdf(0) = 0`, and `end = cdf(ranks)` must exceed `slot`.
/// `first`, below `ranks`, is an estimate of it, and `around` gives `cdf(first)` and
/// `cdf(first + 1)`. A good estimate needs nothing else; a bad one at most `2 log2(ranks) + 2`
/// evaluations, since the step, at first how far off the estimate may well be, doubles each time
/// until it no longer fits into the bracket, which is halved from then on.
#[inline]
pub(super) fn find_rank(
    slot: u32,
    (ranks, end): (u32, u32),
    (first, mut step): (u32, u32),
    around: [u32; 2],
    cdf: impl Fn(u32) -> u32,
) -> (u32, Interval) {
    let (mut low, mut low_cdf) = (0, 0);
    let (mut high, mut high_cdf) = (ranks, end);
    let mut next = first;
    for (rank, at) in [first, first + 1].into_iter().zip(around) {
        if at <= slot {
            (low, low_cdf) = (rank, at);
            next = rank.saturating_add(step);
        } else if rank < high {
            (high, high_cdf) = (rank, at);
            next = rank.saturating_sub(step);
        }
    }
    step = step.saturating_mul(2);
    while high - low > 1 {
        // Ranks 0 and `ranks` are known already, and so is everything outside the bracket.
        if next <= low || next >= high {
            next = low + (high - low) / 2;
        }
        let at = cdf(next);
        if at <= slot {
            (low, low_cdf) = (next, at);
            next = low.saturating_add(step);
        } else {
            (high, high_cdf) = (next, at);
            next = high.saturating_sub(step);
        }
        step = step.saturating_mul(2);
    }
    (low, Interval { start: low_cdf, freq: high_cdf - low_cdf })
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;

    #[test]
    fn every_guess_finds_the_rank_in_bounded_steps() {
        let cdf = [0u32, 1, 2, 9, 10, 40, 41, 42, 43, 90, 91, 100];
        let ranks = cdf.len() as u32 - 1;
        for slot in 0..100 {
            let expected = cdf.iter().rposition(|&c| c <= slot).unwrap();
            for (guess, step) in [0, 1, 2, 5, 8, 10, 11, 12, 1000, u32::MAX].map(|g| (g, 1 + g % 5))
            {
                let calls = Cell::new(0);
                let first = guess.min(ranks - 1);
                let around = [cdf[first as usize], cdf[first as usize + 1]];
                let (rank, interval) = find_rank(slot, (ranks, 100), (first, step), around, |j| {
                    calls.set(calls.get() + 1);
                    cdf[j as usize]
                });
                assert!(calls.get() == 0 || rank != first);
                assert_eq!(rank as usize, expected);
                assert_eq!(interval.start, cdf[expected]);
                assert_eq!(interval.start + interval.freq, cdf[expected + 1]);
                assert!(calls.get() <= 10, "{slot} {guess}: {}", calls.get());
            }
        }
    }
}

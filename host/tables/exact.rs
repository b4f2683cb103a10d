//! Encoder entries whose quotients are exact: what a push one symbol at a time reads, eight states
//! in flight.
//!
//! With `s + 1` bits in a frequency less one and `r = ceil(2^(S + s) / freq)`, S the width of a
//! state, `x * r >> (S + s)` is `x / freq` for every state x below `2^(S - 1)`: `r * freq` exceeds
//! `2^(S + s)` by less than freq, that is by `2^(s + 1)` at most, and x times that stays below
//! `2^(S + s)`, so that the product is too large by less than `1 / freq` (R. Alverson, 1991; F.
//! Giesen's ryg_rans). A new state is then `x + start + quotient * (2^p - freq)`: no remainder, no
//! correction.

use parans_kernels::codec::{Interval, RansFamily, StateInt};

/// What a push needs of a symbol, for precisions up to 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExactEntry<S> {
    reciprocal: S,
    /// A state emits a word where what is left without it is not below this.
    bound: u32,
    /// What is added to a state beside the quotient's product.
    bias: u32,
    /// The slots of other symbols.
    others: u16,
    shift: u16,
}

impl<S: StateInt> ExactEntry<S> {
    /// The entry of an interval of `2^precision` slots.
    fn new<F: RansFamily<State = S>>(Interval { start, freq }: Interval, precision: u32) -> Self {
        let bound = freq << (F::STATE_BITS - 1 - precision - F::WORD_BITS);
        let all = 1u32 << precision;
        let others = (all - freq) as u16;
        if freq == 1 {
            // The quotient would take a bit more: it is one less instead.
            let bias = start + all - 1;
            return Self { reciprocal: S::MAX, bound, bias, others, shift: 0 };
        }
        let shift = (freq - 1).ilog2();
        let reciprocal = (1u128 << (F::STATE_BITS + shift)).div_ceil(freq.into());
        let reciprocal = S::from_u64(reciprocal as u64);
        Self { reciprocal, bound, bias: start, others, shift: shift as u16 }
    }

    /// What a state is where it emits a word, and whether it does.
    #[inline(always)]
    pub(crate) fn emit<F: RansFamily<State = S>>(&self, x: S) -> (S, bool) {
        let less = x >> F::WORD_BITS;
        (less, less >= S::from_u32(self.bound))
    }

    /// The state after the symbol, of one below its bound.
    #[inline(always)]
    pub(crate) fn push(&self, x: S) -> S {
        let quotient = x.mul_high(self.reciprocal) >> u32::from(self.shift);
        let product = quotient.wrapping_mul(S::from_u32(self.others.into()));
        x.wrapping_add(S::from_u32(self.bias)).wrapping_add(product)
    }
}

/// The entries of intervals, in their places.
pub(crate) fn entries<F: RansFamily>(
    intervals: &[Interval],
    precision: u32,
) -> Vec<ExactEntry<F::State>> {
    intervals.iter().map(|&interval| ExactEntry::new::<F>(interval, precision)).collect()
}

#[cfg(test)]
mod tests {
    use parans_kernels::codec::{DirectPlacement, EncoderEntry, Rans32, Rans32x16, Rans64, step};

    use super::*;

    /// States at the ends of what entries see, around multiples of frequencies, and between.
    fn check<F: RansFamily<State: std::fmt::Debug>>() {
        let mut random = 1u64;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            random ^ random >> 29
        };
        for precision in 1..=16.min(F::MAX_PRECISION) {
            let all = 1u64 << precision;
            for case in 0..3000 {
                let freq = match case % 5 {
                    0 => 1 + case / 5 % all,
                    1 => all - case / 5 % all,
                    2 => 1 << (next() % u64::from(precision + 1)),
                    _ => 1 + next() % all,
                };
                let interval =
                    Interval { start: (next() % (all - freq + 1)) as u32, freq: freq as u32 };
                let exact = ExactEntry::new::<F>(interval, precision);
                let entry = EncoderEntry::<F>::new(interval);
                let bound = freq << (F::STATE_BITS - 1 - precision);
                let x = match case % 4 {
                    0 => bound - 1 - next() % freq,
                    1 => next() % bound / freq * freq,
                    2 => 1 + next() % 70_000,
                    _ => next(),
                };
                let x = F::State::from_u64(x.clamp(1, bound - 1));
                let mut none: [F::Word; 0] = [];
                let mut sink = parans_kernels::codec::WordWriter::new(&mut none, 0);
                let expected =
                    step::push_symbol(x, &entry, 0, &DirectPlacement, precision, &mut sink);
                assert_eq!(exact.push(x), expected, "{interval:?} of {precision} bits, {x:?}");
                let y = F::State::from_u64(next() >> (64 - F::STATE_BITS + 1));
                let bound = step::push_bound::<F>(interval.freq, precision);
                assert_eq!(exact.emit::<F>(y), (y >> F::WORD_BITS, y >= bound));
            }
        }
    }

    #[test]
    fn entries_push_as_the_codec_does() {
        check::<Rans64>();
        check::<Rans32>();
        check::<Rans32x16>();
    }
}

//! One symbol and one state: the arithmetic of rANS.
//!
//! With state x, frequency f, cumulative frequency start and precision p, a push emits words until
//! `x < (L >> p << W) * f` and then sets `x = (x / f) << p | start + x % f`; a pop inverts it. J.
//! Duda, "Asymmetric numeral systems" (arXiv:1311.2540); the word widths and bounds are those of
//! torch_ans 0.4.0.

use super::entry::EncoderEntry;
use super::family::{RansFamily, StateInt, WordInt};
use super::lookup::Placement;
use super::words::{WordSink, WordSource};

/// The bound below which a state must lie before a symbol of this frequency is pushed:
/// `freq * 2^(S-1-precision)`.
///
/// At most `2^(S-1)`, reached by a symbol that has every slot; no state is that large, so such a
/// symbol emits nothing.
#[inline(always)]
pub fn push_bound<F: RansFamily>(freq: u32, precision: u32) -> F::State {
    F::State::from_u32(freq) << (F::STATE_BITS - 1 - precision)
}

/// Emits words until the state lies below `bound`.
#[inline(always)]
pub fn emit<F: RansFamily>(
    mut x: F::State,
    bound: F::State,
    sink: &mut impl WordSink<F::Word>,
) -> F::State {
    if F::MAX_WORDS == 1 {
        if x >= bound {
            sink.store(F::Word::from_low(x.low_u32()));
            x = x >> F::WORD_BITS;
        }
    } else {
        // At most MAX_WORDS turns: the bound is at least 2^(S-1-MAX_PRECISION) = 2^W.
        while x >= bound {
            sink.store(F::Word::from_low(x.low_u32()));
            x = x >> F::WORD_BITS;
        }
    }
    x
}

/// A turn of [`emit`]: whether a word goes, and the state without it.
#[inline(always)]
pub fn emit_one<F: RansFamily>(x: F::State, bound: F::State) -> (bool, F::State) {
    let emits = x >= bound;
    (emits, if emits { x >> F::WORD_BITS } else { x })
}

/// Reads words until the state is normalised. `x` must not be 0.
#[inline(always)]
pub fn renormalise<F: RansFamily>(
    mut x: F::State,
    source: &mut impl WordSource<F::Word>,
) -> F::State {
    if F::MAX_WORDS == 1 {
        if x < F::LOWER_BOUND {
            x = (x << F::WORD_BITS) | F::State::from_u32(source.take().to_u32());
        }
    } else {
        // Counted, so that even a state of 0 (which no valid table leads to) ends the loop.
        let mut left = F::MAX_WORDS;
        while x < F::LOWER_BOUND && left > 0 {
            x = (x << F::WORD_BITS) | F::State::from_u32(source.take().to_u32());
            left -= 1;
        }
    }
    x
}

/// How many words [`renormalise`] will take for this state.
#[inline(always)]
pub fn words_wanted<F: RansFamily>(x: F::State) -> u32 {
    let mut wanted = 0;
    let mut bound = F::LOWER_BOUND;
    while wanted < F::MAX_WORDS && x < bound {
        bound = bound >> F::WORD_BITS;
        wanted += 1;
    }
    wanted
}

/// Whether a push can have left this state: everything from outside is checked with it before use.
#[inline(always)]
pub fn is_normalised<F: RansFamily>(x: F::State) -> bool {
    x >= F::LOWER_BOUND && (x >> (F::STATE_BITS - 1)) == F::State::default()
}

/// Quotient and remainder by an entry's frequency, exact for every state below `2^(S-1)`.
///
/// With `r = floor((2^S - 1) / f)`, `x/f - x*r/2^S` lies in `[0, x / 2^S]`, below 1/2 here, so the
/// estimate is the quotient or one less and one comparison settles it. A shift per entry (Granlund
/// and Montgomery) would save the comparison and cost the entry four bytes and f = 1 a special
/// case.
#[inline(always)]
pub fn divide<F: RansFamily>(x: F::State, entry: &EncoderEntry<F>) -> (F::State, u32) {
    let freq = F::State::from_u32(entry.freq);
    let quotient = x.mul_high(entry.reciprocal);
    let remainder = x.wrapping_sub(quotient.wrapping_mul(freq));
    if remainder >= freq {
        (quotient.wrapping_add(F::State::from_u32(1)), remainder.wrapping_sub(freq).low_u32())
    } else {
        (quotient, remainder.low_u32())
    }
}

/// Pushes one symbol, given by its entry.
#[inline(always)]
pub fn push_symbol<F: RansFamily, P: Placement>(
    x: F::State,
    entry: &EncoderEntry<F>,
    table: u32,
    placement: &P,
    precision: u32,
    sink: &mut impl WordSink<F::Word>,
) -> F::State {
    let x = emit::<F>(x, push_bound::<F>(entry.freq, precision), sink);
    push_placed::<F>(x, entry, precision, |position| placement.place(table, position))
}

/// The second half of [`push_symbol`], for a state that is below the symbol's bound already:
/// `place` maps a cumulative position to a slot.
#[inline(always)]
pub fn push_placed<F: RansFamily>(
    x: F::State,
    entry: &EncoderEntry<F>,
    precision: u32,
    place: impl FnOnce(u32) -> u32,
) -> F::State {
    let (quotient, remainder) = divide::<F>(x, entry);
    let slot = place(entry.start.wrapping_add(remainder));
    (quotient << precision) | F::State::from_u32(slot)
}

/// What [`push_symbol`] makes of a state that is below the symbol's bound already, slots in CDF
/// order, in fewer steps: with quotient q, `q << precision | start + x - q * freq` is
/// `x + start + q * (2^precision - freq)`.
#[inline(always)]
pub fn push_below_bound<F: RansFamily>(
    x: F::State,
    entry: &EncoderEntry<F>,
    precision: u32,
) -> F::State {
    let freq = F::State::from_u32(entry.freq);
    let others = F::State::from_u32((1 << precision) - entry.freq);
    let quotient = x.mul_high(entry.reciprocal);
    let pushed =
        x.wrapping_add(F::State::from_u32(entry.start)).wrapping_add(quotient.wrapping_mul(others));
    // The estimate is one low; see `divide`.
    if quotient.wrapping_mul(freq).wrapping_add(freq) <= x {
        pushed.wrapping_add(others)
    } else {
        pushed
    }
}

/// The slot that the next pop finds in this state.
#[inline(always)]
pub fn slot<F: RansFamily>(x: F::State, precision: u32) -> u32 {
    x.low_u32() & low_mask(precision)
}

/// The state after a pop of a symbol of frequency `freq` whose slot has this rank among the
/// symbol's slots, before [`renormalise`].
#[inline(always)]
pub fn advance<F: RansFamily>(x: F::State, precision: u32, freq: u32, rank: u32) -> F::State {
    (x >> precision).wrapping_mul(F::State::from_u32(freq)).wrapping_add(F::State::from_u32(rank))
}

/// Pushes `bits` raw bits (1..=16).
#[inline(always)]
pub fn push_bits<F: RansFamily>(
    x: F::State,
    value: u32,
    bits: u32,
    sink: &mut impl WordSink<F::Word>,
) -> F::State {
    let x = emit::<F>(x, push_bound::<F>(1, bits), sink);
    (x << bits) | F::State::from_u32(value)
}

/// Pops `bits` raw bits (1..=16).
#[inline(always)]
pub fn pop_bits<F: RansFamily>(
    x: F::State,
    bits: u32,
    source: &mut impl WordSource<F::Word>,
) -> (F::State, u32) {
    let value = slot::<F>(x, bits);
    (renormalise::<F>(x >> bits, source), value)
}

/// `2^bits - 1` for bits up to 31.
#[inline(always)]
pub const fn low_mask(bits: u32) -> u32 {
    (1 << bits) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::entry::Interval;
    use crate::codec::family::{Rans32, Rans32x16, Rans64};

    fn division_is_exact<F: RansFamily>() {
        let top = F::State::MAX >> 1;
        for freq in [1u32, 2, 3, 5, 7, 255, 256, 257, 4095, 65535, 65536, 8_388_607, 0x7fff_ffff] {
            let entry = EncoderEntry::<F>::new(Interval { start: 0, freq });
            let f = F::State::from_u32(freq).to_u64();
            for near in [0u64, 1, f - 1, f, f + 1, 3 * f - 1, 3 * f, F::LOWER_BOUND.to_u64()] {
                for x in [
                    near,
                    top.to_u64().saturating_sub(near),
                    (top.to_u64() / f) * f,
                    (top.to_u64() / f) * f - 1,
                ] {
                    let x = x.min(top.to_u64());
                    let (q, r) = divide::<F>(F::State::from_u64(x), &entry);
                    assert_eq!(
                        (q.to_u64(), u64::from(r)),
                        (x / f, x % f),
                        "{} x={x} f={f}",
                        F::NAME
                    );
                }
            }
        }
    }

    #[test]
    fn division_by_reciprocal_is_exact() {
        division_is_exact::<Rans64>();
        division_is_exact::<Rans32>();
        division_is_exact::<Rans32x16>();
    }

    fn pushes_alike<F: RansFamily>() {
        struct None;
        impl<W> WordSink<W> for None {
            fn store(&mut self, _: W) {
                panic!("the state was below the bound");
            }
        }
        let precision = F::MAX_PRECISION.min(15);
        for freq in [1u32, 2, 3, 7, 255, 256, 4095, 32767, 32768].map(|f| f.min(1 << precision)) {
            let start = (1 << precision) - freq;
            let entry = EncoderEntry::<F>::new(Interval { start, freq });
            let bound = push_bound::<F>(freq, precision).to_u64();
            let f = u64::from(freq);
            for x in [F::LOWER_BOUND.to_u64(), bound / 2, bound / 3 * 2, bound - 1, bound - f] {
                for x in [x, x / f * f, (x / f * f).saturating_sub(1)] {
                    let x = F::State::from_u64(x);
                    if x.to_u64() >= bound {
                        continue;
                    }
                    let placement = crate::codec::DirectPlacement;
                    let pushed =
                        push_symbol::<F, _>(x, &entry, 0, &placement, precision, &mut None);
                    assert_eq!(
                        push_below_bound::<F>(x, &entry, precision),
                        pushed,
                        "x={x:?} f={f}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_short_push_is_the_push() {
        pushes_alike::<Rans64>();
        pushes_alike::<Rans32>();
        pushes_alike::<Rans32x16>();
    }

    #[test]
    fn words_wanted_counts_refills() {
        for x in [1u32, 2, 255, 256, 65535, 65536, (1 << 23) - 1, 1 << 23, 1 << 30] {
            struct Count(u32);
            impl WordSource<u8> for Count {
                fn take(&mut self) -> u8 {
                    self.0 += 1;
                    0
                }
            }
            let mut count = Count(0);
            renormalise::<Rans32>(x, &mut count);
            assert_eq!(words_wanted::<Rans32>(x), count.0, "{x}");
        }
    }
}

//! NEON: the sixteen elements are four registers. There is no gather; table entries come by scalar
//! loads. Compress and expand are byte shuffles from tables, eight words at a time.

#![allow(unsafe_code, reason = "vector intrinsics")]

use std::arch::aarch64::*;

use super::shuffles::{PACK, SPREAD_BACKWARDS};
use super::traits::{Bits, Bounded, RunOn, Simd};

/// Proof that the processor has NEON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Neon(());

impl Neon {
    /// The token, if the processor has the features.
    pub(crate) fn new() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
    }
}

#[target_feature(enable = "neon")]
fn enter<W: RunOn<Neon>>(token: Neon, work: W) -> W::Output {
    work.run(token)
}

/// Sixteen elements.
pub(crate) type V = [uint32x4_t; 4];

/// One intrinsic (or a nest of them), whose features the token proves.
macro_rules! with_features {
    ($($call:tt)*) => {
        // SAFETY: `self` exists only where the processor has NEON; no pointer is involved.
        unsafe { $($call)* }
    };
}

/// An operation on each of the four quarters.
#[inline(always)]
fn quarters(f: impl Fn(usize) -> uint32x4_t) -> V {
    [f(0), f(1), f(2), f(3)]
}

/// The words of two vectors interleaved: the low halves of `a`, each followed by that of `b`.
#[inline(always)]
fn interleave_words(a: uint32x4_t, b: uint32x4_t) -> uint16x8_t {
    // SAFETY: called only by methods of a token that proves NEON.
    unsafe { vtrn1q_u16(vreinterpretq_u16_u32(a), vreinterpretq_u16_u32(b)) }
}

/// One mask bit per word.
#[inline(always)]
fn word_mask(words: uint16x8_t) -> usize {
    const BITS: [u16; 8] = [1, 2, 4, 8, 16, 32, 64, 128];
    // SAFETY: called only by methods of a token that proves NEON; `BITS` is 16 bytes.
    unsafe { vaddvq_u16(vandq_u16(words, vld1q_u16(BITS.as_ptr()))) as usize }
}

impl Bits for Neon {}

impl Simd for Neon {
    type U32 = V;
    type Mask = V;

    #[inline(always)]
    fn vectorize<W: RunOn<Self>>(self, work: W) -> W::Output {
        with_features!(enter(self, work))
    }

    #[inline(always)]
    fn splat(self, value: u32) -> V {
        with_features!([vdupq_n_u32(value); 4])
    }

    #[inline(always)]
    fn load_bytes(self, bytes: &[u8; 64]) -> V {
        // SAFETY: the token proves NEON; 64 bytes are there.
        quarters(|i| unsafe { vreinterpretq_u32_u8(vld1q_u8(bytes.as_ptr().add(16 * i))) })
    }

    #[inline(always)]
    fn store_bytes(self, v: V, bytes: &mut [u8; 64]) {
        for (part, bytes) in v.into_iter().zip(bytes.chunks_exact_mut(16)) {
            // SAFETY: the token proves NEON; 16 bytes are there.
            unsafe { vst1q_u8(bytes.as_mut_ptr(), vreinterpretq_u8_u32(part)) }
        }
    }

    #[inline(always)]
    fn reverse(self, v: V) -> V {
        quarters(|i| {
            with_features!({
                let pairs = vrev64q_u32(v[3 - i]);
                vextq_u32::<2>(pairs, pairs)
            })
        })
    }

    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        quarters(|i| with_features!(vaddq_u32(a[i], b[i])))
    }

    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        quarters(|i| with_features!(vsubq_u32(a[i], b[i])))
    }

    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        quarters(|i| with_features!(vmulq_u32(a[i], b[i])))
    }

    #[inline(always)]
    fn and(self, a: V, b: V) -> V {
        quarters(|i| with_features!(vandq_u32(a[i], b[i])))
    }

    #[inline(always)]
    fn shl(self, v: V, bits: u32) -> V {
        quarters(|i| with_features!(vshlq_u32(v[i], vdupq_n_s32(bits as i32))))
    }

    #[inline(always)]
    fn shr(self, v: V, bits: u32) -> V {
        quarters(|i| with_features!(vshlq_u32(v[i], vdupq_n_s32(-(bits as i32)))))
    }

    #[inline(always)]
    fn shl_by(self, v: V, bits: V) -> V {
        quarters(|i| with_features!(vshlq_u32(v[i], vreinterpretq_s32_u32(bits[i]))))
    }

    #[inline(always)]
    fn shr_by(self, v: V, bits: V) -> V {
        quarters(|i| with_features!(vshlq_u32(v[i], vnegq_s32(vreinterpretq_s32_u32(bits[i])))))
    }

    #[inline(always)]
    fn quotient(self, x: V, d: V) -> V {
        // As for AVX-512: the estimate is 2^-8 off, one of Newton's steps makes that 2^-16, the
        // second, which aims too low, less than a rounding.
        quarters(|i| {
            with_features!({
                let d = vcvtq_f32_u32(d[i]);
                let estimate = vrecpeq_f32(d);
                let estimate = vmulq_f32(estimate, vrecpsq_f32(d, estimate));
                let error = vfmsq_f32(vdupq_n_f32(super::ONE_LESS), d, estimate);
                let reciprocal = vfmaq_f32(estimate, estimate, error);
                vcvtq_u32_f32(vmulq_f32(vcvtq_f32_u32(x[i]), reciprocal))
            })
        })
    }

    #[inline(always)]
    fn deinterleave(self, [a, b]: [V; 2]) -> [V; 2] {
        let v = [a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]];
        [
            quarters(|i| with_features!(vuzp1q_u32(v[2 * i], v[2 * i + 1]))),
            quarters(|i| with_features!(vuzp2q_u32(v[2 * i], v[2 * i + 1]))),
        ]
    }

    #[inline(always)]
    fn interleave(self, [even, odd]: [V; 2]) -> [V; 2] {
        let first = |i: usize| with_features!(vzip1q_u32(even[i], odd[i]));
        let second = |i: usize| with_features!(vzip2q_u32(even[i], odd[i]));
        [[first(0), second(0), first(1), second(1)], [first(2), second(2), first(3), second(3)]]
    }

    #[inline(always)]
    fn either(self, a: V, b: V) -> V {
        quarters(|i| with_features!(vorrq_u32(a[i], b[i])))
    }

    #[inline(always)]
    fn both(self, a: V, b: V) -> V {
        quarters(|i| with_features!(vandq_u32(a[i], b[i])))
    }

    #[inline(always)]
    fn differ(self, a: V, b: V) -> V {
        quarters(|i| with_features!(veorq_u32(a[i], b[i])))
    }

    #[inline(always)]
    fn any(self, mask: V) -> bool {
        with_features!({
            let all = vorrq_u32(vorrq_u32(mask[0], mask[1]), vorrq_u32(mask[2], mask[3]));
            vmaxvq_u32(all) != 0
        })
    }

    #[inline(always)]
    fn nowhere(self) -> V {
        self.splat(0)
    }

    #[inline(always)]
    fn to_bits(self, mask: V) -> u16 {
        const BITS: [u32; 4] = [1, 2, 4, 8];
        // SAFETY: the token proves NEON; `BITS` is 16 bytes.
        let quarter = |mask| unsafe { vaddvq_u32(vandq_u32(mask, vld1q_u32(BITS.as_ptr()))) };
        let [a, b, c, d] = mask.map(quarter);
        (a | b << 4 | c << 8 | d << 12) as u16
    }

    #[inline(always)]
    fn eq(self, a: V, b: V) -> V {
        quarters(|i| with_features!(vceqq_u32(a[i], b[i])))
    }

    #[inline(always)]
    fn select(self, mask: V, a: V, b: V) -> V {
        quarters(|i| with_features!(vbslq_u32(mask[i], a[i], b[i])))
    }

    #[inline(always)]
    fn ge(self, a: V, b: V) -> V {
        quarters(|i| with_features!(vcgeq_u32(a[i], b[i])))
    }

    #[inline(always)]
    fn add_where(self, mask: V, a: V, b: V) -> V {
        self.add(a, self.and(mask, b))
    }

    #[inline(always)]
    fn sub_where(self, mask: V, a: V, b: V) -> V {
        self.sub(a, self.and(mask, b))
    }

    #[inline(always)]
    fn gather_modulo<const N: usize>(self, table: &[u32; N], index: V) -> V {
        const { assert!(N.is_power_of_two()) };
        quarters(|i| {
            let mut index4 = [0; 4];
            // SAFETY: the token proves NEON; both arrays are 16 bytes.
            unsafe {
                vst1q_u32(index4.as_mut_ptr(), index[i]);
                let entries = index4.map(|index| table[index as usize % N]);
                vld1q_u32(entries.as_ptr())
            }
        })
    }

    #[inline(always)]
    fn gather(self, table: &[u32], index: V) -> V {
        let last = table.len().checked_sub(1).expect("a table is never empty");
        index.map(|index| {
            let mut index4 = [0; 4];
            // SAFETY: the token proves NEON; both arrays are 16 bytes.
            unsafe {
                vst1q_u32(index4.as_mut_ptr(), index);
                let entries = index4.map(|index| table[(index as usize).min(last)]);
                vld1q_u32(entries.as_ptr())
            }
        })
    }

    #[inline(always)]
    fn gather_halves(self, table: &Bounded<'_, V>, index: V) -> [V; 2] {
        let (values, _) = table.parts();
        let mut indexes = [0; 16];
        self.store(index, &mut indexes);
        let found = indexes.map(|index| values[(index as usize).min(values.len() - 1)]);
        [
            self.load(&found.map(|value| value as u32)),
            self.load(&found.map(|value| (value >> 32) as u32)),
        ]
    }

    #[inline(always)]
    fn emit_words(self, [a, b]: [V; 2], bounds: [V; 2], out: &mut [u8; 64]) -> ([V; 2], usize) {
        let (over_a, over_b) = (self.ge(a, bounds[0]), self.ge(b, bounds[1]));
        let mut end = 0;
        for i in 0..4 {
            let mask = word_mask(interleave_words(over_a[i], over_b[i]));
            // SAFETY: the token proves NEON; the store ends at most at byte 64, since before it at
            // most `8 * i` words of two bytes were put.
            unsafe {
                let words = vreinterpretq_u8_u16(interleave_words(a[i], b[i]));
                let packed = vqtbl1q_u8(words, vld1q_u8(PACK[mask].0.as_ptr()));
                vst1q_u8(out.as_mut_ptr().add(end), packed);
            }
            end += 2 * mask.count_ones() as usize;
        }
        let emitted = |x: V, over: V| {
            let less = self.shr(x, 16);
            quarters(|i| with_features!(vbslq_u32(over[i], less[i], x[i])))
        };
        ([emitted(a, over_a), emitted(b, over_b)], end / 2)
    }

    #[inline(always)]
    fn renormalise(self, states: [V; 2], bound: u32, words: &[u8; 64]) -> ([V; 2], usize) {
        let [mut a, mut b] = states;
        let mut end = 64;
        for i in 0..4 {
            // SAFETY: the token proves NEON; the load begins at least at byte 0, since before it at
            // most `8 * i` words of two bytes were taken.
            unsafe {
                let bound = vdupq_n_u32(bound);
                let (under_a, under_b) = (vcltq_u32(a[i], bound), vcltq_u32(b[i], bound));
                let mask = word_mask(interleave_words(under_a, under_b));
                let from = vld1q_u8(words.as_ptr().add(end - 16));
                let control = vld1q_u8(SPREAD_BACKWARDS[mask].0.as_ptr());
                let taken = vreinterpretq_u32_u8(vqtbl1q_u8(from, control));
                end -= 2 * mask.count_ones() as usize;
                let low = vandq_u32(taken, vdupq_n_u32(0xffff));
                let next_a = vsliq_n_u32::<16>(low, a[i]);
                let next_b = vsliq_n_u32::<16>(vshrq_n_u32::<16>(taken), b[i]);
                a[i] = vbslq_u32(under_a, next_a, a[i]);
                b[i] = vbslq_u32(under_b, next_b, b[i]);
            }
        }
        ([a, b], (64 - end) / 2)
    }
}

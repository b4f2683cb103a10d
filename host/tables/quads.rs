//! Packed entries with all that a push needs of a symbol, for vectors of eight elements: one load
//! of 16 bytes, and no division.

use super::packed::Packed;
use crate::simd::Quad;

/// For each of the [packed entries](Packed::entries), in their places, for states of 64 bits:
/// `1 / freq` as `f64`, the slots of other symbols (`2^p - freq`), and the start.
pub(crate) fn for_states_of_64(packed: &Packed) -> Vec<Quad> {
    quads(packed, |freq, others, start| {
        let inverse = (1.0 / f64::from(freq)).to_bits();
        Quad([inverse as u32, (inverse >> 32) as u32, others, start])
    })
}

/// For states of 32 bits: `1 / freq` as `f32`, the slots of other symbols, the same shifted to just
/// below the sign, and the start.
pub(crate) fn for_states_of_32(packed: &Packed) -> Vec<Quad> {
    let shift = 31 - packed.precision;
    quads(packed, |freq, others, start| {
        let inverse = (1.0 / freq as f32).to_bits();
        Quad([inverse, others, others << shift, start])
    })
}

fn quads(packed: &Packed, quad: impl Fn(u32, u32, u32) -> Quad) -> Vec<Quad> {
    let all = 1u32 << packed.precision;
    let mut last = (0, Quad::default());
    // Tails are runs of one frequency, which is divided by once.
    let of_entry = |&entry: &u32| {
        let (start, freq) = (entry & 0xffff, (entry >> 16) + 1);
        if freq != last.0 {
            last = (freq, quad(freq, all.wrapping_sub(freq), 0));
        }
        let mut quad = last.1;
        quad.0[3] = start;
        quad
    };
    packed.entries.iter().map(of_entry).collect()
}

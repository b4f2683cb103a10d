//! Decides from a sample how a chunk is cut and which of its planes are worth coding, so that noise
//! is never coded just to be thrown away.

use super::plane::{is_worth_coding, sampled_units};
use super::planes::{BLOCK, MAX_WHOLE, Planes};
use super::split;
use crate::simd::Level;
use parans_kernels::float::Word;
use parans_kernels::float::{Filter, Layout};
use parans_kernels::order0::entropy::units;

/// Blocks in a sample, spread evenly over the chunk.
const SAMPLE_BLOCKS: usize = 16;

/// Whether a plan that costs more time leaves so much less than another: estimates err.
fn wins(units: u64, other: u64) -> bool {
    100 * units < 98 * other
}

/// How a chunk will be coded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) layout: Layout,
    pub(super) code_symbols: bool,
    pub(super) code_whole: [bool; MAX_WHOLE],
    /// Estimated size of the sample, in units of 2^-16 bits.
    pub(super) units: u64,
    /// Elements of the sample.
    pub(super) sampled: usize,
}

/// Takes samples and plans from them; keeps its buffers.
#[derive(Debug, Default)]
pub(super) struct Sampler {
    bytes: Vec<u8>,
    planes: Planes,
}

impl Sampler {
    /// Plans for floats: chooses between packing the fractions and coding them, and whether zeros
    /// keep their rests. `without_zeros` is the layout for the latter.
    pub(super) fn plan_floats<T: Word>(
        &mut self,
        level: Level,
        layout: Layout,
        without_zeros: Option<Layout>,
        elements: &[u8],
    ) -> Plan {
        let plan = self.plan::<T>(level, layout, elements);
        let symbols = &self.planes.symbols;
        let tiny = symbols.iter().filter(|&&symbol| symbol == 0).count();
        match without_zeros {
            Some(layout) if tiny * 32 > symbols.len() => {
                let other = self.plan::<T>(level, layout, elements);
                if wins(other.units, plan.units) { other } else { plan }
            }
            _ => plan,
        }
    }

    /// Plans for integers: chooses the filter.
    pub(super) fn plan_integers<T: Word>(&mut self, level: Level, elements: &[u8]) -> Plan {
        let mut plan = |filter| self.plan::<T>(level, Layout::integer(T::BITS, filter), elements);
        let mut best = plan(Filter::None);
        for filter in [Filter::Zigzag, Filter::Delta] {
            let other = plan(filter);
            if wins(other.units, best.units) {
                best = other;
            }
        }
        best
    }

    /// Whether coding a chunk of one-byte elements pays.
    pub(super) fn is_byte_plane_worth_coding(&mut self, bytes: &[u8]) -> bool {
        let sample = sample(&mut self.bytes, bytes, BLOCK);
        is_worth_coding(8, sample.len(), sampled_units(sample))
    }

    fn plan<T: Word>(&mut self, level: Level, mut layout: Layout, elements: &[u8]) -> Plan {
        let sample = sample(&mut self.bytes, elements, BLOCK * size_of::<T>());
        let planes = &mut self.planes;
        layout.packed = false;
        split::split::<T>(level, &layout, sample, planes);
        let mut total = 0;
        let mut worth = |plane: &[u8], raw| {
            let coded = sampled_units(plane);
            let worth = is_worth_coding(raw, plane.len(), coded);
            total += if worth { coded } else { units(u64::from(raw)) * plane.len() as u64 };
            worth
        };
        let code_symbols = worth(&planes.symbols, 8);
        let mut code_whole = [false; MAX_WHOLE];
        for (code, plane) in code_whole[..layout.whole_planes()].iter_mut().zip(&planes.whole) {
            *code = worth(plane, 8);
        }
        let fraction_bits = layout.fraction_bits();
        layout.packed = fraction_bits > 0 && !worth(&planes.fraction, fraction_bits);
        Plan { layout, code_symbols, code_whole, units: total, sampled: planes.symbols.len() }
    }
}

/// The same sample of two strings of bytes of one length, of elements of `size` bytes.
pub(super) fn sample_pair<'a>(
    [one, other]: &'a mut [Vec<u8>; 2],
    bytes: &'a [u8],
    base: &'a [u8],
    size: usize,
) -> (&'a [u8], &'a [u8]) {
    (sample(one, bytes, BLOCK * size), sample(other, base, BLOCK * size))
}

/// Evenly spread blocks of `block` bytes, or all bytes if there are few.
fn sample<'a>(buffer: &'a mut Vec<u8>, bytes: &'a [u8], block: usize) -> &'a [u8] {
    let blocks = bytes.len() / block;
    if blocks <= SAMPLE_BLOCKS {
        return bytes;
    }
    buffer.clear();
    for i in 0..SAMPLE_BLOCKS {
        let at = i * (blocks - 1) / (SAMPLE_BLOCKS - 1) * block;
        buffer.extend_from_slice(&bytes[at..at + block]);
    }
    buffer
}

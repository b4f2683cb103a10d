//! Alias tables for vectors of eight elements.

use std::sync::OnceLock;

use parans_kernels::codec::Interval;

use super::alias::AliasForm;
use super::buckets::PackedForm;
use super::packed::Packed;
use crate::simd::Quad;

/// What vectors read beside [`AliasForm`], for precisions up to 16.
#[derive(Debug)]
pub(crate) struct AliasQuads {
    /// Buckets to pop with, for tables of as many symbols each.
    pub(crate) buckets: Option<AliasBuckets>,
    quads64: OnceLock<Vec<Quad>>,
    quads32: OnceLock<Vec<Quad>>,
}

/// The buckets of all tables.
#[derive(Debug)]
pub(crate) struct AliasBuckets {
    /// log2 of the buckets per table.
    pub(crate) bits: u32,
    /// What symbols are relative to.
    pub(crate) lowest: u32,
    /// `tables << bits` buckets, and that of skipped symbols, whose symbol is 0: the slot at which
    /// the second symbol begins; then of both symbols, the first in the low half, what their slots
    /// less their ranks are modulo 2^16, the frequencies less 1, and the symbols.
    pub(crate) buckets: Vec<Quad>,
}

impl AliasQuads {
    /// `None` where there are more tables than entries tell apart.
    pub(super) fn build(form: &AliasForm, packed: &Packed, intervals: &[Interval]) -> Option<Self> {
        if packed.places.len() > 1 << 16 {
            return None;
        }
        let buckets = AliasBuckets::build(form, packed, intervals);
        Some(Self { buckets, quads64: OnceLock::new(), quads32: OnceLock::new() })
    }

    /// The entries to push with of states of 64 bits: in the upper half of a start is the table.
    pub(crate) fn quads64(&self, form: &PackedForm) -> &[Quad] {
        self.quads64.get_or_init(|| with_tables(&form.packed, form.quads64()))
    }

    /// The same for states of 32 bits.
    pub(crate) fn quads32(&self, form: &PackedForm) -> &[Quad] {
        self.quads32.get_or_init(|| with_tables(&form.packed, form.quads32()))
    }
}

fn with_tables(packed: &Packed, quads: &[Quad]) -> Vec<Quad> {
    let mut quads = quads.to_vec();
    for (table, (&place, &symbols)) in packed.places.iter().zip(&packed.symbols).enumerate() {
        for quad in &mut quads[place as usize..(place + symbols) as usize] {
            quad.0[3] |= (table as u32) << 16;
        }
    }
    quads
}

impl AliasBuckets {
    /// `None` where tables differ in their symbols, or those lie too far apart for 16 bits.
    fn build(form: &AliasForm, packed: &Packed, intervals: &[Interval]) -> Option<Self> {
        let (size, offset) = packed.uniform?;
        let halves = |[low, high]: [u32; 2]| (low & 0xffff) | high << 16;
        let of_bucket = |(at, bucket): (usize, &parans_kernels::codec::AliasBucket)| {
            let (own, table) = (at as u32 % size, at / size as usize * size as usize);
            let freq = |symbol: u32| intervals[table + symbol as usize].freq - 1;
            Quad([
                bucket.divide,
                halves([bucket.own_shift, bucket.other_shift]),
                halves([freq(own), freq(bucket.other)]),
                halves([own, bucket.other]),
            ])
        };
        let mut buckets: Vec<Quad> = form.buckets.iter().enumerate().map(of_bucket).collect();
        // Of skipped symbols all slots are the second's, which stands for 0.
        let zero = u16::try_from(0u32.wrapping_sub(offset)).ok()?;
        let all = (1 << packed.precision) - 1;
        buckets.push(Quad([0, 0, halves([0, all]), halves([0, zero.into()])]));
        Some(Self { bits: size.ilog2(), lowest: offset, buckets })
    }
}

//! Tables packed for coding rows side by side: for push four bytes a symbol, for pop buckets of slots that tell most slots' symbols in one load.

use parans_kernels::codec::{Span, TableSpan};

use crate::simd::ByteTable;

/// Precisions above this do not fit the packed entries.
const MAX_PRECISION: u32 = 16;

/// All buckets together stay below this many where they can: half of a second-level cache of 1 MiB.
const BUCKETS: usize = 1 << 16;

/// Ragged tables could ask for many more buckets than they have symbols; fewer only cost time.
const MOST_BUCKETS: usize = 1 << 22;

/// Fewer buckets a table than this save nothing, and more are not needed for a small alphabet: log2.
const LEAST_BITS: u32 = 8;
const MOST_BITS: u32 = 13;

/// The share of slots whose bucket may name another symbol: a miss costs about as much as ten hits.
const MISSES: u64 = 128;

/// How many tables are looked at to choose the number of buckets.
const SAMPLED: usize = 16;

/// The packed form of all tables.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    /// `start | (freq - 1) << 16`, placed as the spans are. The entry behind the last is that of a skipped symbol: it owns every slot, which leaves
    /// a state as it is.
    pub(crate) entries: Vec<u32>,
    /// The entries of a single table of up to 256 symbols once more, for lookups in registers.
    pub(crate) bytes: Option<Box<ByteTable<4>>>,
    /// Number of symbols and offset, where all tables have the same.
    pub(crate) uniform: Option<(u32, u32)>,
    /// Position of each table's first entry. This and the next two have an element more than there are tables, for skipped symbols.
    pub(crate) bases: Vec<u32>,
    /// Symbols of each table.
    pub(crate) symbols: Vec<u32>,
    /// Offset of each table.
    pub(crate) offsets: Vec<u32>,
    /// log2 of the buckets a table.
    pub(crate) bucket_bits: u32,
    /// Buckets of slots by their leading bits, `(tables + 1) << bucket_bits` of them; the last table is that of skipped symbols. A bucket holds the symbol that
    /// owns most of its slots: `start | (freq - 1) << 16 | symbol << 32`, the offset added. Where a slot's rank, modulo 2^32, is above `freq - 1`, it
    /// is another symbol's.
    pub(crate) buckets: Vec<u64>,
}

impl Packed {
    /// Packs tables; `None` where the precision or an alphabet is too large.
    pub(crate) fn build(tables: &[TableSpan], spans: &[Span], precision: u32) -> Option<Self> {
        let largest = tables.iter().map(|table| table.symbols).max()?;
        if precision > MAX_PRECISION || largest > 1 << 16 || spans.len() >= 1 << 30 {
            return None;
        }
        let mut entries: Vec<u32> =
            spans.iter().map(|span| span.start | (span.freq - 1) << 16).collect();
        entries.push(((1u32 << precision) - 1) << 16);
        let one = tables.first()?;
        let uniform = tables
            .iter()
            .all(|table| (table.symbols, table.offset) == (one.symbols, one.offset))
            .then_some((one.symbols, one.offset as u32));
        let all = || tables.iter().copied().chain([skipped(spans.len())]);
        let bucket_bits = bucket_bits(tables, spans, precision, largest);
        let mut buckets = Vec::with_capacity((tables.len() + 1) << bucket_bits);
        for table in tables {
            fill(&mut buckets, table, spans, precision - bucket_bits);
        }
        buckets.resize((tables.len() + 1) << bucket_bits, ((1 << precision) - 1) << 16);
        let bytes = (tables.len() == 1 && spans.len() <= 256).then(|| {
            let mut padded = [0; 256];
            padded[..spans.len()].copy_from_slice(&entries[..spans.len()]);
            let mut table = Box::new(ByteTable::zeroed());
            table.set(&padded);
            table
        });
        Some(Self {
            entries,
            bytes,
            uniform,
            bases: all().map(|table| table.base).collect(),
            symbols: all().map(|table| table.symbols).collect(),
            offsets: all().map(|table| table.offset as u32).collect(),
            bucket_bits,
            buckets,
        })
    }

    /// The place of a table, as the codec has it.
    pub(crate) fn table(&self, table: usize) -> TableSpan {
        TableSpan {
            base: self.bases[table],
            symbols: self.symbols[table],
            offset: self.offsets[table] as i32,
            log2_symbols: 0,
        }
    }

    /// The last symbol of a table, its offset added.
    #[inline(always)]
    pub(crate) fn last(&self, table: usize) -> u32 {
        self.offsets[table].wrapping_add(self.symbols[table]).wrapping_sub(1)
    }

    /// The entry of the symbol that owns a slot, and the symbol, by a search: what a bucket holds for most of its slots.
    #[cold]
    #[inline(never)]
    pub(crate) fn find(&self, table: usize, slot: u32) -> (u32, u32) {
        let base = self.bases[table] as usize;
        let entries = &self.entries[base..base + self.symbols[table] as usize];
        let number = entries.partition_point(|entry| entry & 0xffff <= slot).saturating_sub(1);
        (entries[number], (number as u32).wrapping_add(self.offsets[table]))
    }
}

/// The table of skipped symbols: one symbol, which owns every slot.
fn skipped(base: usize) -> TableSpan {
    TableSpan { base: base as u32, symbols: 1, offset: 0, log2_symbols: 0 }
}

/// log2 of the buckets a table: the fewest with few misses that still fit the cache, but two a symbol where the alphabet is large.
fn bucket_bits(tables: &[TableSpan], spans: &[Span], precision: u32, largest: u32) -> u32 {
    let room = (BUCKETS / tables.len()).max(1).ilog2().min(MOST_BITS);
    let least = (2 * largest).next_power_of_two().ilog2();
    let most = (MOST_BUCKETS / (tables.len() + 1)).max(1).ilog2();
    let highest = room.max(least).min(most).min(precision);
    let sampled = || tables.iter().step_by(tables.len().div_ceil(SAMPLED));
    let slots = (sampled().count() as u64) << precision;
    (LEAST_BITS..highest)
        .find(|&bits| {
            let missed = |table| {
                let mut missed = 1 << precision;
                each_bucket(table, spans, precision - bits, |_, _, owned| missed -= owned);
                u64::from(missed)
            };
            sampled().map(missed).sum::<u64>() * MISSES <= slots
        })
        .unwrap_or(highest)
}

/// Appends the buckets of a table, each of `1 << shift` slots.
fn fill(buckets: &mut Vec<u64>, table: &TableSpan, spans: &[Span], shift: u32) {
    each_bucket(table, spans, shift, |number, span, _| {
        let symbol = number.wrapping_add(table.offset as u32);
        let bucket = u64::from(span.start | (span.freq - 1) << 16) | u64::from(symbol) << 32;
        buckets.push(bucket);
    });
}

/// Finds for each bucket of a table the symbol that owns most of its slots, and how many those are.
fn each_bucket(
    table: &TableSpan,
    spans: &[Span],
    shift: u32,
    mut found: impl FnMut(u32, Span, u32),
) {
    let at = table.base as usize;
    let (mut best, mut most) = ((0, Span::default()), 0);
    for (number, &span) in (0..).zip(&spans[at..at + table.symbols as usize]) {
        let end = span.start + span.freq;
        let mut from = span.start;
        while from < end {
            let bucket_end = ((from >> shift) + 1) << shift;
            let to = end.min(bucket_end);
            if to - from > most {
                (best, most) = ((number, span), to - from);
            }
            if to == bucket_end {
                found(best.0, best.1, most);
                most = 0;
            }
            from = to;
        }
    }
}

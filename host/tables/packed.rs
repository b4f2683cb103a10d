//! Tables packed for coding rows side by side: for push four bytes a symbol, for pop buckets of
//! slots that tell most slots' symbols in one load.

use std::sync::OnceLock;

use parans_kernels::codec::{Span, TableSpan};

use super::pairs::Pairs;
use crate::simd::ByteTable;

/// Precisions above this do not fit the packed entries.
const MAX_PRECISION: u32 = 16;

/// All buckets together stay below this many where they can: half of a second-level cache of 1 MiB.
const BUCKETS: usize = 1 << 16;

/// Ragged tables could ask for many more buckets than they have symbols; fewer only cost time.
const MOST_BUCKETS: usize = 1 << 22;

/// Fewer buckets a table than this save nothing, and more are not needed for a small alphabet:
/// log2.
const LEAST_BITS: u32 = 8;
const MOST_BITS: u32 = 13;

/// The share of slots whose bucket may name another symbol: a miss costs about as much as ten hits.
const MISSES: u64 = 128;

/// Entries between tables: a cache line, without which the likely symbols of many tables of a power
/// of two of symbols share a few of the cache's sets.
const APART: usize = 16;

/// How many tables are looked at to choose the number of buckets.
const SAMPLED: usize = 16;

/// The packed form of all tables.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    /// `start | (freq - 1) << 16` of each table's symbols. The last entry is that of a skipped
    /// symbol: it owns every slot, which leaves a state as it is.
    pub(crate) entries: Vec<u32>,
    /// Position of each table's first entry, and of a skipped symbol's.
    pub(crate) places: Vec<u32>,
    /// How far apart tables begin, where all have the same number of symbols.
    pub(crate) stride: u32,
    /// The entries of a single table of up to 256 symbols once more, for lookups in registers.
    pub(crate) bytes: Option<Box<ByteTable<4>>>,
    /// Number of symbols and offset, where all tables have the same.
    pub(crate) uniform: Option<(u32, u32)>,
    /// Position of each table's first span. This and the next two have an element more than there
    /// are tables, for skipped symbols.
    pub(crate) bases: Vec<u32>,
    /// Symbols of each table.
    pub(crate) symbols: Vec<u32>,
    /// Offset of each table.
    pub(crate) offsets: Vec<u32>,
    pub(super) precision: u32,
    buckets: OnceLock<Buckets>,
    pairs: OnceLock<Pairs>,
}

/// Buckets of slots by their leading bits, for code that looks slots up one by one.
#[derive(Clone, Debug)]
pub(crate) struct Buckets {
    /// log2 of the buckets a table.
    pub(crate) bits: u32,
    /// `(tables + 1) << bits` of them; the last table is that of skipped symbols. A bucket holds
    /// the symbol that owns most of its slots: `start | (freq - 1) << 16 | symbol << 32`, the
    /// offset added. Where a slot's rank, modulo 2^32, is above `freq - 1`, it is another symbol's.
    pub(crate) owners: Vec<u64>,
}

impl Packed {
    /// Packs tables; `None` where the precision or an alphabet is too large.
    pub(crate) fn build(tables: &[TableSpan], spans: &[Span], precision: u32) -> Option<Self> {
        let largest = tables.iter().map(|table| table.symbols).max()?;
        if precision > MAX_PRECISION || largest > 1 << 16 || spans.len() >= 1 << 30 {
            return None;
        }
        let mut entries = Vec::with_capacity(spans.len() + tables.len() * APART + 1);
        let mut places = Vec::with_capacity(tables.len() + 1);
        for table in tables {
            places.push(entries.len() as u32);
            let at = table.base as usize;
            let spans = &spans[at..at + table.symbols as usize];
            entries.extend(spans.iter().map(|span| span.start | (span.freq - 1) << 16));
            entries.resize(entries.len() + APART, u32::MAX);
        }
        places.push(entries.len() as u32);
        entries.push(((1u32 << precision) - 1) << 16);
        let one = tables.first()?;
        let uniform = tables
            .iter()
            .all(|table| (table.symbols, table.offset) == (one.symbols, one.offset))
            .then_some((one.symbols, one.offset as u32));
        let all = || tables.iter().copied().chain([skipped(spans.len())]);
        let bytes = (tables.len() == 1 && spans.len() <= 256).then(|| {
            let mut padded = [0; 256];
            padded[..spans.len()].copy_from_slice(&entries[..spans.len()]);
            let mut table = Box::new(ByteTable::zeroed());
            table.set(&padded);
            table
        });
        Some(Self {
            entries,
            places,
            stride: one.symbols + APART as u32,
            bytes,
            uniform,
            bases: all().map(|table| table.base).collect(),
            symbols: all().map(|table| table.symbols).collect(),
            offsets: all().map(|table| table.offset as u32).collect(),
            precision,
            buckets: OnceLock::new(),
            pairs: OnceLock::new(),
        })
    }

    /// How many tables.
    pub(super) fn tables(&self) -> usize {
        self.bases.len() - 1
    }

    /// The spans of a table.
    pub(super) fn spans(&self, table: usize) -> impl Iterator<Item = Span> {
        let base = self.places[table] as usize;
        let entries = &self.entries[base..base + self.symbols[table] as usize];
        entries.iter().map(|entry| Span { start: entry & 0xffff, freq: (entry >> 16) + 1 })
    }

    /// The buckets that lookups one by one read, made on first use.
    pub(crate) fn buckets(&self) -> &Buckets {
        self.buckets.get_or_init(|| Buckets::build(self))
    }

    /// The buckets that vectors read, made on first use.
    pub(crate) fn pairs(&self) -> &Pairs {
        self.pairs.get_or_init(|| Pairs::build(self))
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

    /// The entry of the symbol that owns a slot, and the symbol, by a search: what a bucket holds
    /// for most of its slots.
    #[cold]
    #[inline(never)]
    pub(crate) fn find(&self, table: usize, slot: u32) -> (u32, u32) {
        let base = self.places[table] as usize;
        let entries = &self.entries[base..base + self.symbols[table] as usize];
        let number = entries.partition_point(|entry| entry & 0xffff <= slot).saturating_sub(1);
        (entries[number], (number as u32).wrapping_add(self.offsets[table]))
    }
}

/// The table of skipped symbols: one symbol, which owns every slot.
fn skipped(base: usize) -> TableSpan {
    TableSpan { base: base as u32, symbols: 1, offset: 0, log2_symbols: 0 }
}

impl Buckets {
    fn build(packed: &Packed) -> Self {
        let count = packed.tables();
        let bits = choose_bits(packed, MISSES, |table, bits| {
            let mut missed = 1u32 << packed.precision;
            each_bucket(packed.spans(table), packed.precision - bits, |_, _, owned| {
                missed -= owned
            });
            missed.into()
        });
        let mut owners = Vec::with_capacity((count + 1) << bits);
        for table in 0..count {
            each_bucket(packed.spans(table), packed.precision - bits, |number, span, _| {
                let symbol = number.wrapping_add(packed.offsets[table]);
                owners
                    .push(u64::from(span.start | (span.freq - 1) << 16) | u64::from(symbol) << 32);
            });
        }
        owners.resize((count + 1) << bits, ((1 << packed.precision) - 1) << 16);
        Self { bits, owners }
    }
}

/// log2 of the buckets a table: the fewest that miss at most one slot in so many and still fit the
/// cache, but two a symbol where the alphabet is large. `missed` counts the slots of a table that
/// so many buckets miss.
pub(super) fn choose_bits(packed: &Packed, one_in: u64, missed: impl Fn(usize, u32) -> u64) -> u32 {
    let (count, precision) = (packed.tables(), packed.precision);
    let largest = packed.symbols.iter().copied().max().unwrap_or(1);
    let room = (BUCKETS / count).max(1).ilog2().min(MOST_BITS);
    let least = (2 * largest).next_power_of_two().ilog2();
    let most = (MOST_BUCKETS / (count + 1)).max(1).ilog2();
    let highest = room.max(least).min(most).min(precision);
    let sampled = || (0..count).step_by(count.div_ceil(SAMPLED));
    let slots = (sampled().count() as u64) << precision;
    (LEAST_BITS..highest)
        .find(|&bits| sampled().map(|table| missed(table, bits)).sum::<u64>() * one_in <= slots)
        .unwrap_or(highest)
}

/// Finds for each bucket of a table the symbol that owns most of its slots, and how many those are.
fn each_bucket(
    spans: impl Iterator<Item = Span>,
    shift: u32,
    mut found: impl FnMut(u32, Span, u32),
) {
    let (mut best, mut most) = ((0, Span::default()), 0);
    for (number, span) in (0..).zip(spans) {
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

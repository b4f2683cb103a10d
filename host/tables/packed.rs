//! Tables packed for coding rows across vector elements: four bytes a symbol, and a guide from slots to symbols that stays in cache.

use parans_kernels::codec::{Span, TableSpan};

use crate::simd::ByteTable;

/// Precisions above this do not fit the packed entries.
const MAX_PRECISION: u32 = 16;

/// All guides together stay below this many entries where they can: half of a second-level cache of 1 MiB.
const GUIDE_ENTRIES: usize = 1 << 19;

/// Ragged tables could ask for a guide much larger than they are themselves; a coarser one only costs time.
const MOST_GUIDE_ENTRIES: usize = 1 << 24;

/// Largest alphabet with a guide of bytes: 256 and the bypass sentinel must be among them.
const NARROW: u32 = 1 << 9;

/// The first symbol that may own a slot, by the slot's leading bits. One table more than there are: the last one is for skipped symbols.
#[derive(Clone, Debug)]
pub(crate) enum Guide {
    /// Alphabets up to 512, and three entries of padding. Symbols past 255 count as 255: a guide need only not lead past the symbol sought.
    U8(Vec<u8>),
    /// Alphabets up to 65536, and one entry of padding.
    U16(Vec<u16>),
}

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
    /// log2 of the guide entries a table.
    pub(crate) guide_bits: u32,
    /// Whether the guide may give a symbol below the one sought.
    pub(crate) guide_is_coarse: bool,
    /// `(tables + 1) << guide_bits` symbols.
    pub(crate) guide: Guide,
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
        // As many bits as keep all guides in cache, but enough that most slots' symbols are found at once.
        let room = (GUIDE_ENTRIES / (tables.len() + 1)).max(1).ilog2();
        let least = (2 * largest).next_power_of_two().ilog2();
        let most = (MOST_GUIDE_ENTRIES / (tables.len() + 1)).max(1).ilog2();
        let guide_bits = room.max(least).min(most).min(precision);
        let guide = if largest <= NARROW {
            let mut guide = guide(tables, spans, precision, guide_bits, u8::MAX);
            guide.extend([0; 3]);
            Guide::U8(guide)
        } else {
            let mut guide = guide(tables, spans, precision, guide_bits, u16::MAX);
            guide.push(0);
            Guide::U16(guide)
        };
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
            guide_bits,
            guide_is_coarse: guide_bits < precision || (largest > 1 << 8 && largest <= NARROW),
            guide,
        })
    }
}

/// The table of skipped symbols: one symbol, which owns every slot.
fn skipped(base: usize) -> TableSpan {
    TableSpan { base: base as u32, symbols: 1, offset: 0, log2_symbols: 0 }
}

fn guide<T: Copy + Default + TryFrom<usize>>(
    tables: &[TableSpan],
    spans: &[Span],
    precision: u32,
    bits: u32,
    largest: T,
) -> Vec<T> {
    let mut guide = vec![T::default(); (tables.len() + 1) << bits];
    let shift = precision - bits;
    for (table, guide) in tables.iter().zip(guide.chunks_exact_mut(1 << bits)) {
        let at = table.base as usize;
        let mut from = 0;
        for (symbol, span) in spans[at..at + table.symbols as usize].iter().enumerate() {
            // The entries k whose first slot, k << shift, lies below this symbol's end.
            let to = (span.start as usize + span.freq as usize).div_ceil(1 << shift);
            guide[from..to].fill(T::try_from(symbol).unwrap_or(largest));
            from = to;
        }
    }
    guide
}

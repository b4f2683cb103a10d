//! The tANS form of all tables.

use parans_kernels::codec::tans::can_spread;
use parans_kernels::codec::{
    Interval, TableDescriptor, TansDecoderEntry, TansEncoderEntry, tans_table,
};

use super::packed::Packed;
use crate::error::{Error, Result};
use crate::simd::{ByteTable, Quad};

/// What tANS push and pop read.
#[derive(Clone, Debug)]
pub(crate) struct TansForm {
    /// An entry per symbol, placed as the intervals are.
    pub(crate) encoder: Vec<TansEncoderEntry>,
    /// Next states, `2^precision` a table; behind the last table's those of skipped symbols, which
    /// stay what they are, and one more, so that four bytes can be read from each on.
    pub(crate) next: Vec<u16>,
    /// The states' entries, `2^precision` a table.
    pub(crate) decoder: Vec<TansDecoderEntry>,
}

impl TansForm {
    /// Spreads the symbols of every table over its states.
    pub(crate) fn build(
        tables: &[TableDescriptor],
        intervals: &[Interval],
        precision: u32,
    ) -> Result<Self> {
        if precision > 15 || !can_spread(precision) {
            return Err(Error::Unsupported(format!(
                "tANS tables of precision {precision}: it lies in 2..=15, and at 3 the spread does not reach every state"
            )));
        }
        let states = tables.len() << precision;
        if u32::try_from(states + (1 << precision)).is_err() {
            return Err(Error::Unsupported(format!(
                "{} tANS tables of precision {precision}: together they may have 2^32 states",
                tables.len()
            )));
        }
        let mut form = Self {
            encoder: vec![TansEncoderEntry::default(); intervals.len()],
            next: vec![0; states],
            decoder: vec![TansDecoderEntry::default(); states],
        };
        form.next.extend((0..1u32 << precision).map(|state| ((1 << precision) + state) as u16));
        form.next.push(0);
        let mut counters = Vec::new();
        for (row, table) in tables.iter().enumerate() {
            let symbols = table.base as usize..(table.base + table.symbols) as usize;
            let states = row << precision..(row + 1) << precision;
            counters.clear();
            counters.resize(symbols.len(), 0);
            let built = tans_table::build(
                &intervals[symbols.clone()],
                precision,
                &mut form.decoder[states.clone()],
                &mut form.next[states],
                &mut form.encoder[symbols],
                &mut counters,
            );
            if !built {
                let reason = "its frequencies do not sum to its states".into();
                return Err(Error::InvalidTable { row, reason });
            }
        }
        Ok(form)
    }
}

/// What coding rows side by side on the CPU reads: one load per symbol finds all that it needs,
/// however many tables there are.
#[derive(Clone, Debug)]
pub(crate) struct TansRowsForm {
    /// The entries, with places among the next states of all tables; the last is that of skipped
    /// symbols.
    pub(crate) encoder: Vec<TansEncoderEntry>,
    /// The entry of each state of each table, and of the states of skipped symbols: from the lowest
    /// bit on the bits to read (a byte), the symbol's number, and in the top `precision` bits the
    /// state less `2^precision` that the bits read are added to. Empty where numbers and states do
    /// not fit 24 bits.
    pub(crate) decoder: Vec<u32>,
}

impl TansRowsForm {
    /// Where bypass coding is on, stands for the bits to read after a symbol that stands for one
    /// outside its table. Four such counts, one of them this, never sum up to
    /// [`MOST_BITS`](Self::MOST_BITS) or less modulo 256.
    const OUTSIDE: u32 = 80;
    /// The most bits that four symbols have.
    pub(crate) const MOST_BITS: u32 = 4 * Self::MAX_PRECISION;
    /// The largest precision of packed entries.
    const MAX_PRECISION: u32 = 14;

    /// Packs the form of all tables.
    pub(crate) fn build(
        form: &TansForm,
        tables: &[TableDescriptor],
        precision: u32,
        bypass: bool,
    ) -> Self {
        let states = 1u32 << precision;
        let mut encoder = form.encoder.clone();
        for (row, table) in tables.iter().enumerate() {
            let own = table.base as usize..(table.base + table.symbols) as usize;
            for entry in &mut encoder[own] {
                entry.next_bias = entry.next_bias.wrapping_add((row as u32) << precision);
            }
        }
        let skipped = (tables.len() as u32) << precision;
        encoder.push(TansEncoderEntry { bits_bias: 0, next_bias: skipped.wrapping_sub(states) });
        let largest = tables.iter().map(|table| table.symbols).max().unwrap_or(0);
        let mut decoder = Vec::new();
        if precision <= Self::MAX_PRECISION && u64::from(largest) <= 1 << (24 - precision) {
            decoder.reserve_exact(form.decoder.len() + states as usize);
            for (table, entries) in tables.iter().zip(form.decoder.chunks(states as usize)) {
                decoder.extend(entries.iter().map(|entry| {
                    let count = entry.bits(precision);
                    let state = (u32::from(entry.number) << count) - states;
                    let outside = bypass && u32::from(entry.symbol) + 1 == table.symbols;
                    let count = if outside { Self::OUTSIDE } else { count };
                    count | u32::from(entry.symbol) << 8 | state << (32 - precision)
                }));
            }
            decoder.extend((0..states).map(|state| state << (32 - precision)));
        }
        Self { encoder, decoder }
    }
}

/// The encoder's entries of all tables as vectors of eight elements load them, at the places of
/// [`Packed::entries`]: the bias of bits, then that of the place among all tables' next states.
pub(crate) fn quads(form: &TansForm, packed: &Packed, tables: &[TableDescriptor]) -> Vec<Quad> {
    let precision = packed.precision;
    let mut quads = vec![Quad::default(); packed.entries.len()];
    for (row, table) in tables.iter().enumerate() {
        let own = table.base as usize..(table.base + table.symbols) as usize;
        let to = &mut quads[packed.places[row] as usize..];
        for (to, entry) in to.iter_mut().zip(&form.encoder[own]) {
            let next_bias = entry.next_bias.wrapping_add((row as u32) << precision);
            *to = Quad([entry.bits_bias, next_bias, 0, 0]);
        }
    }
    // The next states of skipped symbols stand behind those of all tables.
    let skipped = ((tables.len() as u32) << precision).wrapping_sub(1 << precision);
    quads[packed.entries.len() - 1] = Quad([0, skipped, 0, 0]);
    quads
}

/// What coding rows across vectors reads, for fewer than 2^16 tables where it pops.
#[derive(Clone, Debug)]
pub(crate) struct TansWideForm {
    /// The entry of each state of each table, and of the states of skipped symbols: from the lowest
    /// bit on the bits to read (a byte, as in [`TansRowsForm::decoder`]), the number in
    /// `freq..2 freq`, and at the top the symbol's number. Empty where they do not fit.
    pub(crate) decoder: Vec<u32>,
    /// The bit that a symbol's number begins at in those entries: 24 where it has a byte, else at
    /// least 16.
    pub(crate) symbol_shift: u32,
    /// The entry of each symbol, `2^alphabet_bits` a table, each table's [turned](Self::TURN), and
    /// of skipped symbols. Added to a state `x` shifted left by the precision, it gives the bits to
    /// write in its bits from `2 precision + 1` on; added to `x >> bits`, the place of the next
    /// state in its low bits. Empty where they do not fit.
    pub(crate) encoder: Vec<u32>,
    /// log2 of the entries per table.
    pub(crate) alphabet_bits: u32,
    /// The entries of a single table of up to 256 symbols once more, for lookups in registers.
    pub(crate) bytes: Option<Box<ByteTable<4>>>,
    /// Symbols of each table.
    pub(crate) sizes: Vec<u32>,
    /// Offset of each table; one more for skipped symbols, as there is in `sizes`.
    pub(crate) offsets: Vec<u32>,
    /// The offset, where all tables have the same.
    pub(crate) offset: Option<u32>,
    /// Likewise the symbols.
    pub(crate) size: Option<u32>,
}

impl TansWideForm {
    /// The largest precision whose encoder entries fit.
    const MAX_ENCODER_PRECISION: u32 = 13;
    /// How far each table's entries are turned against those of the table before: a cache line. The
    /// likely symbols of tables are the same ones most often, and unturned, as many entries apart
    /// as is a power of two, they would share a few sets of a cache.
    pub(crate) const TURN: usize = 16;
    /// Ragged tables could ask for many more entries than they have symbols.
    const MOST_ENTRIES: usize = 1 << 22;

    /// Packs the form of all tables.
    pub(crate) fn build(
        form: &TansForm,
        tables: &[TableDescriptor],
        precision: u32,
        bypass: bool,
    ) -> Self {
        let states = 1u32 << precision;
        let largest = tables.iter().map(|table| table.symbols).max().unwrap_or(1);
        let alphabet_bits = largest.next_power_of_two().ilog2();
        let symbol_shift = if largest <= 256 { 24 } else { (9 + precision).max(16) };
        let mut decoder = Vec::new();
        if precision <= TansRowsForm::MAX_PRECISION
            && largest <= 1 << (32 - symbol_shift)
            && tables.len() < 1 << 16
        {
            decoder.reserve_exact(form.decoder.len() + states as usize);
            for (table, entries) in tables.iter().zip(form.decoder.chunks(states as usize)) {
                decoder.extend(entries.iter().map(|entry| {
                    let outside = bypass && u32::from(entry.symbol) + 1 == table.symbols;
                    let count = if outside { TansRowsForm::OUTSIDE } else { entry.bits(precision) };
                    count | u32::from(entry.number) << 8 | u32::from(entry.symbol) << symbol_shift
                }));
            }
            decoder.extend((states..2 * states).map(|number| number << 8));
        }
        let mut encoder = Vec::new();
        let mut bytes = None;
        let entries = (tables.len() + 1) << alphabet_bits;
        if precision <= Self::MAX_ENCODER_PRECISION
            && entries <= Self::MOST_ENTRIES
            && form.next.len() < 1 << 31
        {
            encoder.resize(entries, 0);
            let of_tables = tables.iter().zip(encoder.chunks_mut(1 << alphabet_bits));
            for (number, (table, entries)) in of_tables.enumerate() {
                let own = table.base as usize..(table.base + table.symbols) as usize;
                for (symbol, entry) in form.encoder[own].iter().enumerate() {
                    // The codec's bias again, for a shift by `precision + 1` instead of 16: the
                    // most bits, less the state from which on they are written.
                    let most = (entry.bits_bias >> 16) + 1;
                    let bias = (most << (precision + 1)) - ((most << 16) - entry.bits_bias);
                    let at = (symbol + number * Self::TURN) & ((1 << alphabet_bits) - 1);
                    entries[at] = bias << precision | (entry.next_bias & (states - 1));
                }
            }
            if tables.len() == 1 && largest <= 256 {
                let mut padded = [0; 256];
                padded[..1 << alphabet_bits].copy_from_slice(&encoder[..1 << alphabet_bits]);
                let mut table = Box::new(ByteTable::zeroed());
                table.set(&padded);
                bytes = Some(table);
            }
        }
        let skipped = TableDescriptor { symbols: 1, ..Default::default() };
        let all = || tables.iter().copied().chain([skipped]);
        let same = |of: fn(&TableDescriptor) -> u32| {
            let first = tables.first().map(of)?;
            tables.iter().all(|table| of(table) == first).then_some(first)
        };
        Self {
            decoder,
            symbol_shift,
            encoder,
            alphabet_bits,
            bytes,
            sizes: all().map(|table| table.symbols).collect(),
            offsets: all().map(|table| table.offset as u32).collect(),
            offset: same(|table| table.offset as u32),
            size: same(|table| table.symbols),
        }
    }
}

// However many of four symbols stand for one outside, and whatever the others' bits, the sum shows
// it.
const _: () = {
    let mut outside = 1;
    while outside <= 4 {
        let mut others = 0;
        while others <= (4 - outside) * TansRowsForm::MAX_PRECISION {
            let sum = (outside * TansRowsForm::OUTSIDE + others) % 256;
            assert!(sum > TansRowsForm::MOST_BITS);
            others += 1;
        }
        outside += 1;
    }
};

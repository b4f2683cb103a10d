//! Whole tANS rows: plain reverse symbol order for push, ascending for pop; lane `i mod LANES`
//! codes symbol i.
//!
//! Unlike in rANS rows, each symbol's bypass digits come right before its own symbol in every lane:
//! the bit buffer is shared, and nothing is gained by keeping lanes apart.

use super::bypass::BypassCode;
use super::entry::TableDescriptor;
use super::error::{RowError, RowFault};
use super::table_row::{RowIndexes, TablesView};
use super::tans::{
    TansDecoderEntry, TansEncoderEntry, TansFamily, TansRow, pop_state, push_symbol,
};
use super::words::{WordReader, WordWriter};

/// What push reads.
#[derive(Clone, Copy, Debug)]
pub struct TansEncoderView<'a> {
    /// The tables.
    pub tables: TablesView<'a>,
    /// The entries of all tables, placed as the tables' symbols are.
    pub entries: &'a [TansEncoderEntry],
    /// The next states: `2^precision` a table.
    pub next: &'a [u16],
}

/// What pop reads.
#[derive(Clone, Copy, Debug)]
pub struct TansDecoderView<'a> {
    /// The tables.
    pub tables: TablesView<'a>,
    /// The states' entries: `2^precision` a table.
    pub entries: &'a [TansDecoderEntry],
}

/// Part of `all` that belongs to table `number`.
#[inline(always)]
fn table_part<T>(all: &[T], number: u32, precision: u32) -> &[T] {
    let at = (number as usize) << precision;
    all.get(at..at + (1 << precision)).unwrap_or(&[])
}

/// A symbol made ready to push: its entry, the next states of its table, and what its bypass digits
/// hold.
pub(crate) type TansReady<'a> = (TansEncoderEntry, &'a [u16], Option<u32>);

impl<'a> TansEncoderView<'a> {
    /// Finds the entry of a symbol; `None` for a skipped one.
    #[inline(always)]
    pub(crate) fn ready(&self, symbol: i32, index: i32) -> Result<Option<TansReady<'a>>, RowError> {
        let Some((number, table)) = self.tables.table(index)? else { return Ok(None) };
        let (value, raw) = self.tables.number(&table, symbol)?;
        let entry = self.entries.get(table.base.wrapping_add(value) as usize).copied();
        let next = table_part(self.next, number, self.tables.precision);
        Ok(entry.map(|entry| (entry, next, raw)))
    }

    /// Pushes one symbol, its bypass digits first.
    ///
    /// # Errors
    /// Why the symbol cannot be coded; that the words are full shows in `words` only.
    #[inline(always)]
    pub fn push_one<T: TansFamily, const LANES: usize>(
        &self,
        row: &mut TansRow<LANES>,
        lane: usize,
        symbol: i32,
        index: i32,
        words: &mut WordWriter<'_, T::Word>,
    ) -> Result<(), RowError> {
        let Some((entry, next, raw)) = self.ready(symbol, index)? else { return Ok(()) };
        if let (Some(bypass), Some(raw)) = (self.tables.bypass, raw) {
            let buffer = &mut row.buffer;
            bypass.for_each_digit(raw, |digit| buffer.push::<T>(digit, bypass.bits(), words));
        }
        if let Some(x) = row.states.get_mut(lane) {
            *x = push_symbol::<T>(*x, entry, next, &mut row.buffer, words);
        }
        Ok(())
    }
}

impl TansDecoderView<'_> {
    /// The table that an index names, and a state's entry in it; `None` for a skipped symbol.
    #[inline(always)]
    pub(crate) fn entry(
        &self,
        x: u32,
        index: i32,
    ) -> Result<Option<(TableDescriptor, TansDecoderEntry)>, RowError> {
        let Some((number, table)) = self.tables.table(index)? else { return Ok(None) };
        let precision = self.tables.precision;
        let entries = table_part(self.entries, number, precision);
        let at = (x & ((1 << precision) - 1)) as usize;
        Ok(Some((table, entries.get(at).copied().unwrap_or_default())))
    }

    /// Whether an entry's symbol stands for one outside the table, whose bypass digits follow.
    #[inline(always)]
    pub(crate) fn has_digits(&self, table: &TableDescriptor, entry: TansDecoderEntry) -> bool {
        self.tables.bypass.is_some() && u32::from(entry.symbol) == table.symbols.wrapping_sub(1)
    }

    /// Pops one symbol and its bypass digits; 0 for a skipped one.
    ///
    /// # Errors
    /// Why there is no symbol; that the words ran out shows in `words` only.
    #[inline(always)]
    pub fn pop_one<T: TansFamily, const LANES: usize>(
        &self,
        row: &mut TansRow<LANES>,
        lane: usize,
        index: i32,
        words: &mut WordReader<'_, T::Word>,
    ) -> Result<i32, RowError> {
        let Some(x) = row.states.get_mut(lane) else { return Ok(0) };
        let Some((table, entry)) = self.entry(*x, index)? else { return Ok(0) };
        let precision = self.tables.precision;
        *x = pop_state::<T>(entry, precision, &mut row.buffer, words);
        let max = table.symbols.wrapping_sub(1);
        match self.tables.bypass {
            Some(bypass) if self.has_digits(&table, entry) => {
                let buffer = &mut row.buffer;
                let raw = bypass.read_digits(|| buffer.pop::<T>(bypass.bits(), words))?;
                TablesView::symbol(&table, BypassCode::value(raw, max))
            }
            _ => TablesView::symbol(&table, i64::from(entry.symbol)),
        }
    }
}

/// Pushes a row of symbols. On an error `row` and the words past their old length may have changed.
#[inline]
pub fn push_tans_row<T: TansFamily, const LANES: usize>(
    view: &TansEncoderView<'_>,
    row: &mut TansRow<LANES>,
    words: &mut WordWriter<'_, T::Word>,
    symbols: &[i32],
    indexes: RowIndexes<'_>,
) -> Result<(), RowFault> {
    for (at, &symbol) in symbols.iter().enumerate().rev() {
        view.push_one::<T, LANES>(row, at % LANES, symbol, indexes.at(at), words)
            .map_err(|e| e.at(at))?;
    }
    if words.overflowed() { Err(RowError::CapacityExceeded.at(0)) } else { Ok(()) }
}

/// Pops a row of symbols, in the order in which they were given to [`push_tans_row`].
///
/// On an error `row` and `symbols` may have changed; the words are never written.
#[inline]
pub fn pop_tans_row<T: TansFamily, const LANES: usize>(
    view: &TansDecoderView<'_>,
    row: &mut TansRow<LANES>,
    words: &mut WordReader<'_, T::Word>,
    symbols: &mut [i32],
    indexes: RowIndexes<'_>,
) -> Result<(), RowFault> {
    for (group, symbols) in symbols.chunks_mut(LANES).enumerate() {
        for (lane, out) in symbols.iter_mut().enumerate() {
            let at = group * LANES + lane;
            *out =
                view.pop_one::<T, LANES>(row, lane, indexes.at(at), words).map_err(|e| e.at(at))?;
        }
        if words.underflowed() {
            return Err(RowError::Truncated.at(group * LANES));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::super::entry::{Interval, TableDescriptor};
    use super::super::family::WordInt;
    use super::super::tans::{Tans8, Tans16, Tans32};
    use super::super::tans_table::build;
    use super::*;
    use std::format;
    use std::string::String;
    use std::vec;
    use std::vec::Vec;

    struct Forms {
        tables: Vec<TableDescriptor>,
        decoder: Vec<TansDecoderEntry>,
        encoder: Vec<TansEncoderEntry>,
        next: Vec<u16>,
        precision: u32,
    }

    fn forms(cdf: &[u32], offset: i32) -> Forms {
        let precision = cdf.last().unwrap().trailing_zeros();
        let intervals: Vec<_> =
            cdf.windows(2).map(|w| Interval { start: w[0], freq: w[1] - w[0] }).collect();
        let (states, symbols) = (1 << precision, intervals.len());
        let mut decoder = vec![TansDecoderEntry::default(); states];
        let mut next = vec![0; states];
        let mut encoder = vec![TansEncoderEntry::default(); symbols];
        assert!(build(
            &intervals,
            precision,
            &mut decoder,
            &mut next,
            &mut encoder,
            &mut vec![0; symbols]
        ));
        let table = TableDescriptor { base: 0, symbols: symbols as u32, offset, log2_symbols: 0 };
        Forms { tables: vec![table], decoder, encoder, next, precision }
    }

    /// Pushes, compares the byte string, pops, and expects an initial row.
    fn check<T: TansFamily, const LANES: usize>(
        forms: &Forms,
        symbols: &[i32],
        bypass: Option<BypassCode>,
        expected: &str,
    ) {
        let tables = TablesView {
            tables: &forms.tables,
            precision: forms.precision,
            bypass,
            skip_past_end: false,
        };
        let mut fields = vec![0; LANES + 2];
        let mut words = vec![T::Word::default(); 100];
        let mut row = TansRow::<LANES>::load::<T>(&fields, forms.precision).unwrap();
        let mut writer = WordWriter::new(&mut words, 0);
        let view = TansEncoderView { tables, entries: &forms.encoder, next: &forms.next };
        push_tans_row::<T, LANES>(&view, &mut row, &mut writer, symbols, RowIndexes::One(0))
            .unwrap();
        let len = writer.len();
        row.store(&mut fields);
        let mut hex: String = fields.iter().map(|x| format!("{:08x}", x.swap_bytes())).collect();
        for word in &words[..len] {
            for byte in &word.to_u32().to_le_bytes()[..T::Word::BYTES] {
                hex += &format!("{byte:02x}");
            }
        }
        assert_eq!(hex, expected);
        for cut in [0, 1] {
            let mut row = TansRow::<LANES>::load::<T>(&fields, forms.precision).unwrap();
            let mut reader = WordReader::new(&words[cut..len]);
            let view = TansDecoderView { tables, entries: &forms.decoder };
            let mut back = vec![0; symbols.len()];
            let result = pop_tans_row::<T, LANES>(
                &view,
                &mut row,
                &mut reader,
                &mut back,
                RowIndexes::One(0),
            );
            if cut == 0 {
                result.unwrap();
                assert_eq!(back, symbols);
                assert_eq!(row.states, [1 << forms.precision; LANES]);
                assert_eq!((row.buffer, reader.len()), (Default::default(), 0));
            } else {
                assert_eq!(result.unwrap_err().error, RowError::Truncated);
            }
        }
    }

    #[test]
    fn hand_vectors() {
        let forms = forms(&[0, 4, 10, 15, 16], 0);
        let symbols = [0, 1, 2, 1, 0, 7, -3, 2, 1];
        let bypass = BypassCode::new(2);
        check::<Tans32, 1>(&forms, &symbols, bypass, "1a0000009c0500000f0000002a45");
        check::<Tans32, 2>(&forms, &symbols, bypass, "1d00000011000000f20100000e0000009425");
        let one = "1a00000005000000070000002a459c";
        let two = "1d0000001100000001000000060000009425f2";
        check::<Tans16, 1>(&forms, &symbols, bypass, one);
        check::<Tans8, 1>(&forms, &symbols, bypass, one);
        check::<Tans16, 2>(&forms, &symbols, bypass, two);
        check::<Tans8, 2>(&forms, &symbols, bypass, two);
        let cycle: Vec<i32> = (0..40).map(|i| (5 * i) % 3).collect();
        let expected = "10000000120000001500000010000000040000000300000080902594524a29a5";
        check::<Tans32, 4>(&forms, &cycle, bypass, expected);
    }

    #[test]
    fn precisions_without_a_spread_are_refused() {
        for precision in 1..16 {
            let intervals = [Interval { start: 0, freq: 1 << precision }];
            let states = 1 << precision;
            let ok = build(
                &intervals,
                precision,
                &mut vec![TansDecoderEntry::default(); states],
                &mut vec![0; states],
                &mut [TansEncoderEntry::default()],
                &mut [0],
            );
            assert_eq!(ok, precision != 1 && precision != 3, "{precision}");
        }
    }

    #[test]
    fn fields_no_push_leaves_are_refused() {
        for bad in [[15, 0, 0], [32, 0, 0], [16, 0, 16], [16, 2, 1], [16, 0, u32::MAX]] {
            let loaded = TansRow::<1>::load::<Tans32>(&bad, 4);
            assert_eq!(loaded, Err(RowError::StateOutOfRange), "{bad:?}");
        }
        assert!(TansRow::<1>::load::<Tans32>(&[31, 0x7fff, 15], 4).is_ok());
        assert!(TansRow::<1>::load::<Tans16>(&[31, 0, 8], 4).is_err());
        assert!(TansRow::<1>::load::<Tans16>(&[16, 0], 4).is_err());
    }
}

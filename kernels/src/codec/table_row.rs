//! Tables as the models of a row: an index per symbol says which table codes it.

use super::bypass::BypassCode;
use super::entry::{EncoderEntry, TableDescriptor};
use super::error::RowError;
use super::family::RansFamily;
use super::lookup::{Placement, SymbolLookup};
use super::row::{DecoderModel, EncoderModel, Value};
use super::step;
use super::words::WordSink;

/// Which table codes each symbol of a row.
#[derive(Clone, Copy, Debug)]
pub enum RowIndexes<'a> {
    /// The same table for every symbol.
    One(i32),
    /// An index per symbol.
    Each(&'a [i32]),
    /// An index per symbol, in 16 bits.
    EachU16(&'a [u16]),
    /// An index per symbol, in 8 bits.
    EachU8(&'a [u8]),
}

impl RowIndexes<'_> {
    /// The index of the symbol at a position; -1 (skip) past the end.
    #[inline(always)]
    pub fn at(&self, position: usize) -> i32 {
        match self {
            Self::One(index) => *index,
            Self::Each(indexes) => indexes.get(position).copied().unwrap_or(-1),
            Self::EachU16(indexes) => indexes.get(position).map_or(-1, |&i| i32::from(i)),
            Self::EachU8(indexes) => indexes.get(position).map_or(-1, |&i| i32::from(i)),
        }
    }
}

/// What both directions read of the tables.
#[derive(Clone, Copy, Debug)]
pub struct TablesView<'a> {
    /// Every table's place.
    pub tables: &'a [TableDescriptor],
    /// Frequencies sum to `2^precision`.
    pub precision: u32,
    /// Digits for symbols outside a table, or `None` for an error.
    pub bypass: Option<BypassCode>,
    /// Whether an index past the last table skips its symbol, as a negative one does, instead of
    /// being an error.
    pub skip_past_end: bool,
}

impl TablesView<'_> {
    /// The table that an index names, its number and place; `None` for a skipped symbol.
    #[inline(always)]
    pub fn table(&self, index: i32) -> Result<Option<(u32, TableDescriptor)>, RowError> {
        if index < 0 {
            return Ok(None);
        }
        match self.tables.get(index as usize) {
            Some(&table) => Ok(Some((index as u32, table))),
            None if self.skip_past_end => Ok(None),
            None => Err(RowError::IndexOutOfRange),
        }
    }

    /// The number in its table that codes a symbol, and the bypass digits that follow it.
    #[inline(always)]
    pub fn number(
        &self,
        table: &TableDescriptor,
        symbol: i32,
    ) -> Result<(u32, Option<u32>), RowError> {
        let value = i64::from(symbol) - i64::from(table.offset);
        match self.bypass {
            None if value >= 0 && value < i64::from(table.symbols) => Ok((value as u32, None)),
            None => Err(RowError::SymbolOutOfRange),
            Some(_) => {
                let max = table.symbols.saturating_sub(1);
                if value >= 0 && value < i64::from(max) {
                    Ok((value as u32, None))
                } else {
                    Ok((max, Some(BypassCode::raw(value, max)?)))
                }
            }
        }
    }

    /// The symbol of a table number (symbol less offset), which digits may have moved outside the
    /// table.
    #[inline(always)]
    pub fn symbol(table: &TableDescriptor, value: i64) -> Result<i32, RowError> {
        i32::try_from(value + i64::from(table.offset)).map_err(|_| RowError::BypassDigits)
    }
}

/// What push reads.
#[derive(Clone, Copy, Debug)]
pub struct EncoderView<'a, F: RansFamily, P> {
    /// The tables.
    pub tables: TablesView<'a>,
    /// The entries of all tables.
    pub entries: &'a [EncoderEntry<F>],
    /// Where slots lie.
    pub placement: P,
}

/// What pop reads.
#[derive(Clone, Copy, Debug)]
pub struct DecoderView<'a, L> {
    /// The tables.
    pub tables: TablesView<'a>,
    /// How a symbol is found.
    pub lookup: L,
}

/// The tables ([`EncoderView`] or [`DecoderView`]) and the indexes of a row.
#[derive(Clone, Copy, Debug)]
pub struct TableRow<V, I> {
    /// The tables.
    pub view: V,
    /// The index of the symbol at a position.
    pub index: I,
}

impl<L: SymbolLookup> DecoderView<'_, L> {
    /// With the indexes of a row.
    #[inline(always)]
    pub fn row<'i>(&self, indexes: RowIndexes<'i>) -> TableRow<Self, impl Fn(usize) -> i32 + 'i> {
        TableRow { view: *self, index: move |position| indexes.at(position) }
    }
}

/// A symbol made ready to push: the places of its entry and of its table.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    entry: u32,
    table: u32,
    raw: Option<u32>,
}

impl Default for Ready {
    /// A skipped symbol: no entry lies there.
    #[inline(always)]
    fn default() -> Self {
        Self { entry: u32::MAX, table: 0, raw: None }
    }
}

impl<F: RansFamily, P: Placement> EncoderView<'_, F, P> {
    /// With the indexes of a row.
    #[inline(always)]
    pub fn row<'i>(&self, indexes: RowIndexes<'i>) -> TableRow<Self, impl Fn(usize) -> i32 + 'i> {
        TableRow { view: *self, index: move |position| indexes.at(position) }
    }

    /// Finds the entry of a symbol in a table known already.
    #[inline(always)]
    pub(crate) fn ready_in(
        &self,
        number: u32,
        table: &TableDescriptor,
        symbol: i32,
    ) -> Result<Ready, RowError> {
        let (value, raw) = self.tables.number(table, symbol)?;
        Ok(Ready { entry: table.base.wrapping_add(value), table: number, raw })
    }
}

impl<F: RansFamily, P: Placement, I: Fn(usize) -> i32> EncoderModel<F>
    for TableRow<EncoderView<'_, F, P>, I>
{
    type Ready = Ready;

    #[inline(always)]
    fn bypass(&self) -> Option<BypassCode> {
        self.view.tables.bypass
    }

    #[inline(always)]
    fn ready(&self, position: usize, symbol: i32) -> Result<Ready, RowError> {
        match self.view.tables.table((self.index)(position))? {
            Some((number, table)) => self.view.ready_in(number, &table, symbol),
            None => Ok(Ready::default()),
        }
    }

    #[inline(always)]
    fn raw(ready: &Ready) -> Option<u32> {
        ready.raw
    }

    #[inline(always)]
    fn push(&self, x: F::State, ready: &Ready, words: &mut impl WordSink<F::Word>) -> F::State {
        match self.view.entries.get(ready.entry as usize) {
            Some(entry) => step::push_symbol(
                x,
                entry,
                ready.table,
                &self.view.placement,
                self.view.tables.precision,
                words,
            ),
            None => x,
        }
    }
}

impl<F: RansFamily, L: SymbolLookup, I: Fn(usize) -> i32> DecoderModel<F>
    for TableRow<DecoderView<'_, L>, I>
{
    #[inline(always)]
    fn bypass(&self) -> Option<BypassCode> {
        self.view.tables.bypass
    }

    #[inline(always)]
    fn take(&self, position: usize, x: &mut F::State) -> Result<Value, RowError> {
        let DecoderView { tables, lookup } = &self.view;
        let Some((number, table)) = tables.table((self.index)(position))? else {
            return Ok(Value::SKIPPED);
        };
        let slot = step::slot::<F>(*x, tables.precision);
        let found = lookup.find(number, &table, slot, tables.precision);
        *x = step::advance::<F>(*x, tables.precision, found.freq, found.rank);
        let max = table.symbols.wrapping_sub(1);
        if tables.bypass.is_some() && found.symbol == max {
            Ok(Value::Outside { offset: table.offset, max })
        } else {
            Ok(Value::Symbol(TablesView::symbol(&table, i64::from(found.symbol))?))
        }
    }
}

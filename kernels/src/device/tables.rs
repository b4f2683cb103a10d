//! Tables as the general code reads them.

use super::memory::RowSymbols;
use crate::abi::CodeShape;
use crate::codec::table_row::TablesView;
use crate::codec::{BypassCode, TableDescriptor};

/// The one table that codes a whole row without bypass, its number and place, where there is such a
/// one whose symbols all fit `i32`. The loop over symbols then neither loads an index nor a table.
///
/// # Safety
/// The row has a symbol.
#[inline(always)]
pub unsafe fn table_of_row(
    symbols: &RowSymbols,
    tables: &TablesView<'_>,
) -> Option<(u32, TableDescriptor)> {
    if tables.bypass.is_some() || !symbols.has_one_index() {
        return None;
    }
    // SAFETY: position 0 is one of the row's.
    let (number, table) = tables.table(unsafe { symbols.index(0) }).ok().flatten()?;
    table.offset.checked_add_unsigned(table.symbols).map(|_| (number, table))
}

/// What the codec reads of the tables.
///
/// # Safety
/// `tables` points to as many tables as the shape says.
#[inline(always)]
pub unsafe fn tables_view<'a>(tables: *const TableDescriptor, shape: &CodeShape) -> TablesView<'a> {
    TablesView {
        // SAFETY: the caller's promise.
        tables: unsafe { core::slice::from_raw_parts(tables, shape.tables as usize) },
        precision: shape.precision,
        bypass: BypassCode::new(shape.bypass_bits),
        skip_past_end: shape.skip_past_end != 0,
    }
}

//! What goes into a coder and comes out: symbols of several widths, and indexes of several shapes.
//!
//! A symbol's type is erased once, where a coder takes symbols: below, everything works on
//! [`SymbolSlice`] and [`SymbolSliceMut`], and no loop is compiled once per type.

mod erased;
mod indexes;

use std::borrow::Cow;
use std::ops::Range;

use ndarray::{Array2, ArrayView2};

use crate::error::{Error, Result};

pub(crate) use erased::{SymbolSlice, SymbolSliceMut, take, with_slice};
pub use indexes::Indexes;
pub(crate) use indexes::IndexesIn;

mod sealed {
    use super::erased::{SymbolSlice, SymbolSliceMut};

    pub trait Sealed: Sized {
        #[doc(hidden)]
        fn erase(symbols: &[Self]) -> SymbolSlice<'_>;

        #[doc(hidden)]
        fn erase_mut(symbols: &mut [Self]) -> SymbolSliceMut<'_>;
    }
}

/// A symbol's type: `i32`, `u8`, `u16` or `i16`. Narrow ones save memory traffic, which is what
/// fast coding is bound by.
pub trait Symbol:
    sealed::Sealed + bytemuck::Pod + PartialEq + std::fmt::Debug + Send + Sync + 'static
{
    /// The symbol as the codec sees it.
    fn to_i32(self) -> i32;
    /// The symbol in this type; `None` where it does not fit.
    fn from_i32(symbol: i32) -> Option<Self>;
}

macro_rules! symbol {
    ($($type:ty => $kind:ident),*) => {$(
        impl sealed::Sealed for $type {
            fn erase(symbols: &[Self]) -> SymbolSlice<'_> {
                SymbolSlice::$kind(symbols)
            }

            fn erase_mut(symbols: &mut [Self]) -> SymbolSliceMut<'_> {
                SymbolSliceMut::$kind(symbols)
            }
        }

        impl Symbol for $type {
            #[inline(always)]
            fn to_i32(self) -> i32 {
                i32::from(self)
            }

            #[inline(always)]
            fn from_i32(symbol: i32) -> Option<Self> {
                Self::try_from(symbol).ok()
            }
        }
    )*};
}
symbol!(i32 => I32, u8 => U8, u16 => U16, i16 => I16);

/// Symbols of shape (rows, columns), borrowed where they lie row by row in memory.
#[derive(Clone, Debug)]
pub struct Symbols<'a, S: Symbol> {
    rows: usize,
    columns: usize,
    values: Cow<'a, [S]>,
}

impl<'a, S: Symbol> Symbols<'a, S> {
    /// A slice of `rows` rows one after another.
    ///
    /// # Errors
    /// [`Error::Shape`] where its length is no multiple of `rows`.
    pub fn from_slice(values: &'a [S], rows: usize) -> Result<Self> {
        let columns = columns_of("symbols", values.len(), rows)?;
        Ok(Self { rows, columns, values: Cow::Borrowed(values) })
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Symbols per row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Some columns of every row.
    pub(crate) fn columns_in(&self, columns: Range<usize>) -> Symbols<'_, S> {
        let values = columns_in(&self.values, self.columns, columns.clone());
        Symbols { rows: self.rows, columns: columns.len(), values }
    }

    /// The symbols, row after row.
    pub fn as_slice(&self) -> &[S] {
        &self.values
    }

    /// The symbols, row after row, without their type.
    pub(crate) fn erased(&self) -> SymbolSlice<'_> {
        S::erase(&self.values)
    }
}

fn columns_of(what: &'static str, len: usize, rows: usize) -> Result<usize> {
    match len.checked_rem(rows) {
        Some(0) => Ok(len / rows),
        None if len == 0 => Ok(0),
        _ => Err(Error::Shape {
            what,
            expected: format!("a multiple of {rows} rows"),
            got: len.to_string(),
        }),
    }
}

/// Some columns of values that lie row after row: borrowed where there is one row, which they are a
/// part of.
fn columns_in<T: Copy>(values: &[T], width: usize, columns: Range<usize>) -> Cow<'_, [T]> {
    if values.len() == width {
        return Cow::Borrowed(&values[columns]);
    }
    let rows = values.chunks_exact(width.max(1));
    Cow::Owned(rows.flat_map(|row| &row[columns.clone()]).copied().collect())
}

fn row_major<'a, T: Clone>(view: ArrayView2<'a, T>) -> Cow<'a, [T]> {
    match view.to_slice() {
        Some(slice) => Cow::Borrowed(slice),
        None => Cow::Owned(view.iter().cloned().collect()),
    }
}

impl<'a, S: Symbol> From<ArrayView2<'a, S>> for Symbols<'a, S> {
    fn from(view: ArrayView2<'a, S>) -> Self {
        let (rows, columns) = view.dim();
        Self { rows, columns, values: row_major(view) }
    }
}

impl<'a, S: Symbol> From<&'a Array2<S>> for Symbols<'a, S> {
    fn from(array: &'a Array2<S>) -> Self {
        array.view().into()
    }
}

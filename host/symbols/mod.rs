//! What goes into a coder and comes out: symbols of several widths, and indexes of several shapes.
//!
//! A symbol's type is erased once, where a coder takes symbols: below, everything works on
//! [`SymbolSlice`] and [`SymbolSliceMut`], and no loop is compiled once per type.

mod erased;
mod indexes;

use std::borrow::Cow;
use std::ops::Range;

use ndarray::{Array2, ArrayView2};

use crate::error::{Error, Result, RowCause};
use crate::memory;

pub(crate) use erased::{SymbolSlice, SymbolSliceMut, take, with_slice};
pub use indexes::Indexes;
pub(crate) use indexes::IndexesIn;

mod sealed {
    use super::erased::{SymbolSlice, SymbolSliceMut};

    pub trait Sealed: Sized + Into<i64> {
        /// The type in which symbols of this one are coded: itself, or one that they are converted
        /// to and from.
        type Coded: super::NativeSymbol;

        /// Whether a decoded symbol may not fit this type and the back ends do not see to that.
        const NARROWS: bool;

        /// The slice itself where it is coded as it lies.
        fn as_native(symbols: &[Self]) -> Option<&[Self::Coded]>;

        /// The slice itself where it is decoded into as it lies.
        fn as_native_mut(symbols: &mut [Self]) -> Option<&mut [Self::Coded]>;
    }

    pub trait Native: Sized + Into<i32> {
        fn erase(symbols: &[Self]) -> SymbolSlice<'_>;

        fn erase_mut(symbols: &mut [Self]) -> SymbolSliceMut<'_>;
    }
}

/// A symbol's type: `i32`, `u8`, `u16` or `i16`, which are coded as they lie ([`NativeSymbol`]),
/// and `i8`, `u32` or `i64`, which are converted on the way, checked. Narrow ones save memory
/// traffic, which is what fast coding is bound by.
pub trait Symbol:
    sealed::Sealed + bytemuck::Pod + PartialEq + std::fmt::Debug + Send + Sync + 'static
{
    /// The symbol as the codec sees it; `None` where it does not fit.
    fn to_i32(self) -> Option<i32>;
    /// The symbol in this type; `None` where it does not fit.
    fn from_i32(symbol: i32) -> Option<Self>;
}

/// A symbol type that is coded as it lies in memory, that of a device as well: `i32`, `u8`, `u16`
/// or `i16`.
pub trait NativeSymbol: Symbol<Coded = Self> + sealed::Native {}

macro_rules! symbol {
    ($($type:ty),*) => {$(
        impl Symbol for $type {
            #[inline(always)]
            fn to_i32(self) -> Option<i32> {
                self.try_into().ok()
            }

            #[inline(always)]
            fn from_i32(symbol: i32) -> Option<Self> {
                symbol.try_into().ok()
            }
        }
    )*};
}
symbol!(i32, u8, u16, i16, i8, u32, i64);

macro_rules! native {
    ($($type:ty => $kind:ident),*) => {$(
        impl sealed::Native for $type {
            fn erase(symbols: &[Self]) -> SymbolSlice<'_> {
                SymbolSlice::$kind(symbols)
            }

            fn erase_mut(symbols: &mut [Self]) -> SymbolSliceMut<'_> {
                SymbolSliceMut::$kind(symbols)
            }
        }

        impl NativeSymbol for $type {}

        impl sealed::Sealed for $type {
            type Coded = Self;
            const NARROWS: bool = false;

            fn as_native(symbols: &[Self]) -> Option<&[Self]> {
                Some(symbols)
            }

            fn as_native_mut(symbols: &mut [Self]) -> Option<&mut [Self]> {
                Some(symbols)
            }
        }
    )*};
}
native!(i32 => I32, u8 => U8, u16 => U16, i16 => I16);

macro_rules! converted {
    ($($type:ty => $coded:ty, $narrows:expr);*) => {$(
        impl sealed::Sealed for $type {
            type Coded = $coded;
            const NARROWS: bool = $narrows;

            fn as_native(_: &[Self]) -> Option<&[Self::Coded]> {
                None
            }

            fn as_native_mut(_: &mut [Self]) -> Option<&mut [Self::Coded]> {
                None
            }
        }
    )*};
}
converted!(i8 => i16, true; u32 => i32, true; i64 => i32, false);

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

    /// The same symbols in the type in which they are coded.
    ///
    /// # Errors
    /// [`Error::Row`] for one that does not fit 32 bits.
    pub(crate) fn coded(&self) -> Result<Symbols<'_, S::Coded>> {
        let values = match S::as_native(&self.values) {
            Some(native) => Cow::Borrowed(native),
            None => {
                let mut coded = memory::zeros(self.values.len())?;
                let fits = converted(&self.values, &mut coded, |symbol: S| {
                    symbol.to_i32().and_then(S::Coded::from_i32)
                });
                fits.map_err(|at| {
                    let cause = RowCause::SymbolTooLarge { symbol: self.values[at].into() };
                    Error::Row { row: at / self.columns, position: at % self.columns, cause }
                })?;
                Cow::Owned(coded)
            }
        };
        Ok(Symbols { rows: self.rows, columns: self.columns, values })
    }
}

impl<S: NativeSymbol> Symbols<'_, S> {
    /// The symbols, row after row, without their type.
    pub(crate) fn erased(&self) -> SymbolSlice<'_> {
        S::erase(&self.values)
    }
}

/// Pops symbols of any type: into the slice itself, or through one of a type that is coded. `place`
/// gives the row and the position of a symbol of the slice. After an error the streams are as they
/// were.
///
/// # Errors
/// Those of `pop`; [`Error::Row`] for a symbol that does not fit its type.
pub(crate) fn pop_as<S: Symbol, Streams: Clone>(
    streams: &mut Streams,
    symbols: &mut [S],
    place: impl FnOnce(usize) -> (usize, usize),
    pop: impl FnOnce(&mut Streams, SymbolSliceMut<'_>) -> Result<()>,
) -> Result<()> {
    if let Some(native) = S::as_native_mut(symbols) {
        return pop(streams, <S::Coded as sealed::Native>::erase_mut(native));
    }
    let before = S::NARROWS.then(|| streams.clone());
    let mut coded: Vec<S::Coded> = memory::zeros(symbols.len())?;
    pop(streams, <S::Coded as sealed::Native>::erase_mut(&mut coded))?;
    converted(&coded, symbols, |symbol| S::from_i32(symbol.into())).map_err(|at| {
        if let Some(before) = before {
            *streams = before;
        }
        let (row, position) = place(at);
        Error::Row { row, position, cause: RowCause::SymbolWidth }
    })
}

/// Converts symbols; the position of the first that does not fit is the error.
fn converted<A: Copy, B>(
    from: &[A],
    to: &mut [B],
    convert: impl Fn(A) -> Option<B>,
) -> Result<(), usize> {
    for (at, (&from, to)) in from.iter().zip(to).enumerate() {
        *to = convert(from).ok_or(at)?;
    }
    Ok(())
}

/// The columns of so many values in `rows` rows.
///
/// # Errors
/// [`Error::Shape`] where they do not fill them.
pub(crate) fn columns_of(what: &'static str, len: usize, rows: usize) -> Result<usize> {
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

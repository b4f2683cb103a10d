//! What goes into a coder and comes out: symbols of several widths, and indexes of several shapes.

use std::borrow::Cow;
use std::ops::Range;

use ndarray::{Array2, ArrayView2};
use parans_kernels::codec;

use super::Coder;
use crate::error::{Error, Result};
use crate::memory;
use crate::streams::Streams;

/// Where the generic back ends are instantiated: once a symbol type, here, and not again in every crate that calls a coder with one.
mod sealed {
    use super::{Indexes, Symbols};
    use crate::coder::Coder;
    use crate::error::Result;
    use crate::streams::Streams;

    pub trait Sealed: Sized {
        #[doc(hidden)]
        fn push(
            coder: &Coder,
            streams: &mut Streams,
            symbols: &Symbols<'_, Self>,
            indexes: &Indexes<'_>,
        ) -> Result<()>
        where
            Self: super::Symbol;

        #[doc(hidden)]
        fn pop(
            coder: &Coder,
            streams: &mut Streams,
            symbols: &mut [Self],
            indexes: &Indexes<'_>,
        ) -> Result<()>;
    }
}

/// A symbol's type: `i32`, `u8`, `u16` or `i16`. Narrow ones save memory traffic, which is what fast coding is bound by.
pub trait Symbol:
    sealed::Sealed + bytemuck::Pod + PartialEq + std::fmt::Debug + Send + Sync + 'static
{
    /// The symbol as the codec sees it.
    fn to_i32(self) -> i32;
    /// The symbol in this type; `None` where it does not fit.
    fn from_i32(symbol: i32) -> Option<Self>;
}

macro_rules! symbol {
    ($($type:ty),*) => {$(
        impl sealed::Sealed for $type {
            fn push(
                coder: &Coder,
                streams: &mut Streams,
                symbols: &Symbols<'_, Self>,
                indexes: &Indexes<'_>,
            ) -> Result<()> {
                coder.push_here(streams, symbols, indexes)
            }
            fn pop(
                coder: &Coder,
                streams: &mut Streams,
                symbols: &mut [Self],
                indexes: &Indexes<'_>,
            ) -> Result<()> {
                coder.pop_here(streams, indexes, symbols)
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
symbol!(i32, u8, u16, i16);

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

    /// Symbols a row.
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

/// Some columns of values that lie row after row: borrowed where there is one row, which they are a part of.
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

/// Which table codes each symbol of (rows, columns). A negative index skips its symbol: nothing is coded, and pop gives 0.
#[derive(Clone, Debug)]
pub struct Indexes<'a> {
    rows: usize,
    columns: usize,
    kind: Kind<'a>,
}

#[derive(Clone, Debug)]
enum Kind<'a> {
    One(i32),
    PerRow(Cow<'a, [i32]>),
    PerColumn(Cow<'a, [i32]>),
    Each(Cow<'a, [i32]>),
    EachU16(Cow<'a, [u16]>),
    EachU8(Cow<'a, [u8]>),
}

impl<'a> Indexes<'a> {
    /// The same table for all of (rows, columns) symbols.
    pub fn one(index: i32, rows: usize, columns: usize) -> Self {
        Self { rows, columns, kind: Kind::One(index) }
    }

    /// A table a row, each row of `columns` symbols.
    pub fn per_row(indexes: &'a [i32], columns: usize) -> Self {
        Self { rows: indexes.len(), columns, kind: Kind::PerRow(Cow::Borrowed(indexes)) }
    }

    /// A table a column, the same in each of `rows` rows.
    pub fn per_column(indexes: &'a [i32], rows: usize) -> Self {
        Self { rows, columns: indexes.len(), kind: Kind::PerColumn(Cow::Borrowed(indexes)) }
    }

    /// A table a symbol: a slice of `rows` rows one after another.
    ///
    /// # Errors
    /// [`Error::Shape`] where its length is no multiple of `rows`.
    pub fn each(indexes: &'a [i32], rows: usize) -> Result<Self> {
        let columns = columns_of("indexes", indexes.len(), rows)?;
        Ok(Self { rows, columns, kind: Kind::Each(Cow::Borrowed(indexes)) })
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Symbols a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The indexes of one row as the codec reads them.
    pub(crate) fn row(&self, row: usize) -> codec::Indexes<'_> {
        let at = row * self.columns..(row + 1) * self.columns;
        match &self.kind {
            Kind::One(index) => codec::Indexes::One(*index),
            Kind::PerRow(indexes) => codec::Indexes::One(indexes[row]),
            Kind::PerColumn(indexes) => codec::Indexes::Each(indexes),
            Kind::Each(indexes) => codec::Indexes::Each(&indexes[at]),
            Kind::EachU16(indexes) => codec::Indexes::EachU16(&indexes[at]),
            Kind::EachU8(indexes) => codec::Indexes::EachU8(&indexes[at]),
        }
    }

    /// The index of one symbol; -1 past the end of its row.
    pub(crate) fn at_or_skip(&self, row: usize, column: usize) -> i32 {
        if column < self.columns { self.row(row).at(column) } else { -1 }
    }

    /// The indexes of some rows as they lie in memory.
    pub(crate) fn rows_in(&self, rows: std::ops::Range<usize>) -> IndexesIn<'_> {
        let at = rows.start * self.columns..rows.end * self.columns;
        match &self.kind {
            Kind::One(index) => IndexesIn::One(*index),
            Kind::PerRow(indexes) => IndexesIn::PerRow(&indexes[rows]),
            Kind::PerColumn(indexes) => IndexesIn::PerColumn(indexes),
            Kind::Each(indexes) => IndexesIn::Each(&indexes[at]),
            Kind::EachU16(indexes) => IndexesIn::EachU16(&indexes[at]),
            Kind::EachU8(indexes) => IndexesIn::EachU8(&indexes[at]),
        }
    }

    /// The index that all symbols share, where they do by construction.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        allow(dead_code, reason = "so far only x86-64 has vectors for rows")
    )]
    pub(crate) fn one_for_all(&self) -> Option<i32> {
        match self.kind {
            Kind::One(index) => Some(index),
            _ => None,
        }
    }

    /// Those of some columns of every row.
    pub(crate) fn columns_in(&self, columns: Range<usize>) -> Indexes<'_> {
        let width = self.columns;
        let kind = match &self.kind {
            Kind::One(index) => Kind::One(*index),
            Kind::PerRow(indexes) => Kind::PerRow(Cow::Borrowed(indexes)),
            Kind::PerColumn(indexes) => Kind::PerColumn(Cow::Borrowed(&indexes[columns.clone()])),
            Kind::Each(indexes) => Kind::Each(columns_in(indexes, width, columns.clone())),
            Kind::EachU16(indexes) => Kind::EachU16(columns_in(indexes, width, columns.clone())),
            Kind::EachU8(indexes) => Kind::EachU8(columns_in(indexes, width, columns.clone())),
        };
        Indexes { rows: self.rows, columns: columns.len(), kind }
    }

    /// Those of one row from column `begin` on, as `rows` rows of `columns`.
    pub(crate) fn cut(&self, row: usize, begin: usize, rows: usize, columns: usize) -> Indexes<'_> {
        let at = begin..begin + rows * columns;
        let kind = match self.row(row) {
            codec::Indexes::One(index) => Kind::One(index),
            codec::Indexes::Each(indexes) => Kind::Each(Cow::Borrowed(&indexes[at])),
            codec::Indexes::EachU16(indexes) => Kind::EachU16(Cow::Borrowed(&indexes[at])),
            codec::Indexes::EachU8(indexes) => Kind::EachU8(Cow::Borrowed(&indexes[at])),
        };
        Indexes { rows, columns, kind }
    }

    /// Flattened, padded with -1 and cut into `rows` rows: torch_ans' parallel states.
    ///
    /// # Errors
    /// `InvalidArgument` where there is no memory for them.
    pub(crate) fn reshaped(&self, rows: usize, columns: usize) -> Result<Indexes<'static>> {
        let mut flat: Vec<i32> = memory::with_capacity(memory::cells(rows, columns)?)?;
        for row in 0..self.rows {
            let indexes = self.row(row);
            flat.extend((0..self.columns).map(|column| indexes.at(column)));
        }
        flat.resize(rows * columns, -1);
        Ok(Indexes { rows, columns, kind: Kind::Each(Cow::Owned(flat)) })
    }

    /// Checks that symbols of this shape have their indexes here.
    pub(crate) fn expect_shape(&self, rows: usize, columns: usize) -> Result<()> {
        if (self.rows, self.columns) == (rows, columns) {
            return Ok(());
        }
        Err(Error::Shape {
            what: "indexes",
            expected: format!("({rows}, {columns}) as the symbols"),
            got: format!("({}, {})", self.rows, self.columns),
        })
    }
}

/// The indexes of some rows, as they lie in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) enum IndexesIn<'a> {
    One(i32),
    PerRow(&'a [i32]),
    PerColumn(&'a [i32]),
    Each(&'a [i32]),
    EachU16(&'a [u16]),
    EachU8(&'a [u8]),
}

macro_rules! indexes_from {
    ($($type:ty => $kind:ident),*) => {$(
        impl<'a> From<ArrayView2<'a, $type>> for Indexes<'a> {
            fn from(view: ArrayView2<'a, $type>) -> Self {
                let (rows, columns) = view.dim();
                Self { rows, columns, kind: Kind::$kind(row_major(view)) }
            }
        }
        impl<'a> From<&'a Array2<$type>> for Indexes<'a> {
            fn from(array: &'a Array2<$type>) -> Self {
                array.view().into()
            }
        }
    )*};
}
indexes_from!(i32 => Each, u16 => EachU16, u8 => EachU8);

//! Which table codes each symbol: one for all, one per row, one per column, or one per symbol.

use std::borrow::Cow;
use std::ops::Range;

use ndarray::{Array2, ArrayView2};
use parans_kernels::codec;

use super::{columns_in, columns_of, row_major};
use crate::error::{Error, Result};
use crate::memory;

/// Which table codes each symbol of (rows, columns). A negative index skips its symbol: nothing is
/// coded, and pop gives 0.
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

    /// A table per row, each row of `columns` symbols.
    pub fn per_row(indexes: &'a [i32], columns: usize) -> Self {
        Self { rows: indexes.len(), columns, kind: Kind::PerRow(Cow::Borrowed(indexes)) }
    }

    /// A table per column, the same in each of `rows` rows.
    pub fn per_column(indexes: &'a [i32], rows: usize) -> Self {
        Self { rows, columns: indexes.len(), kind: Kind::PerColumn(Cow::Borrowed(indexes)) }
    }

    /// A table per symbol: a slice of `rows` rows one after another.
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

    /// Symbols per row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The indexes of one row as the codec reads them.
    pub(crate) fn row(&self, row: usize) -> codec::RowIndexes<'_> {
        let at = row * self.columns..(row + 1) * self.columns;
        match &self.kind {
            Kind::One(index) => codec::RowIndexes::One(*index),
            Kind::PerRow(indexes) => codec::RowIndexes::One(indexes[row]),
            Kind::PerColumn(indexes) => codec::RowIndexes::Each(indexes),
            Kind::Each(indexes) => codec::RowIndexes::Each(&indexes[at]),
            Kind::EachU16(indexes) => codec::RowIndexes::EachU16(&indexes[at]),
            Kind::EachU8(indexes) => codec::RowIndexes::EachU8(&indexes[at]),
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
            codec::RowIndexes::One(index) => Kind::One(index),
            codec::RowIndexes::Each(indexes) => Kind::Each(Cow::Borrowed(&indexes[at])),
            codec::RowIndexes::EachU16(indexes) => Kind::EachU16(Cow::Borrowed(&indexes[at])),
            codec::RowIndexes::EachU8(indexes) => Kind::EachU8(Cow::Borrowed(&indexes[at])),
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

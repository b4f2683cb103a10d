//! Which table codes each symbol: one for all, one per row, one per column, or one per symbol.

use std::borrow::Cow;
use std::ops::Range;

use ndarray::{Array2, ArrayView2};
use parans_kernels::codec;

use super::{columns_in, columns_of, row_major};
use crate::error::{Error, Result, RowCause};
use crate::memory;

/// Which table codes each symbol of (rows, columns). A negative index skips its symbol: nothing is
/// coded, and pop gives 0.
///
/// Arrays of `i32`, `u16` and `u8` are borrowed where they lie row by row in memory; those of
/// `u32`, `usize` and `i64` are converted, and an index past `i32` is an error of the call that
/// takes them. A plain integer is one table for all symbols that are pushed; where symbols are
/// popped, nothing else says how many there are: see [`Indexes::one`].
#[derive(Clone, Debug)]
pub struct Indexes<'a> {
    rows: usize,
    columns: usize,
    kind: Kind<'a>,
    /// What keeps them from being used as they are.
    flaw: Option<Flaw>,
}

#[derive(Clone, Copy, Debug)]
enum Flaw {
    /// One for all symbols, however many.
    NoShape,
    /// An index that no table can have.
    TooLarge { row: usize, position: usize, index: u64 },
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
        Self { rows, columns, kind: Kind::One(index), flaw: None }
    }

    /// A table per row, each row of `columns` symbols.
    pub fn per_row(indexes: &'a [i32], columns: usize) -> Self {
        Self {
            rows: indexes.len(),
            columns,
            kind: Kind::PerRow(Cow::Borrowed(indexes)),
            flaw: None,
        }
    }

    /// A table per column, the same in each of `rows` rows.
    pub fn per_column(indexes: &'a [i32], rows: usize) -> Self {
        Self {
            rows,
            columns: indexes.len(),
            kind: Kind::PerColumn(Cow::Borrowed(indexes)),
            flaw: None,
        }
    }

    /// A table per symbol: a slice of `rows` rows one after another.
    ///
    /// # Errors
    /// [`Error::Shape`] where its length is no multiple of `rows`.
    pub fn each(indexes: &'a [i32], rows: usize) -> Result<Self> {
        let columns = columns_of("indexes", indexes.len(), rows)?;
        Ok(Self { rows, columns, kind: Kind::Each(Cow::Borrowed(indexes)), flaw: None })
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
        Indexes { rows: self.rows, columns: columns.len(), kind, flaw: None }
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
        Indexes { rows, columns, kind, flaw: None }
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
        Ok(Indexes { rows, columns, kind: Kind::Each(Cow::Owned(flat)), flaw: None })
    }

    /// The indexes of symbols of this shape.
    ///
    /// # Errors
    /// [`Error::Shape`] where they are of other symbols; [`Error::Row`] for an index that no table
    /// can have.
    pub(crate) fn for_symbols(mut self, rows: usize, columns: usize) -> Result<Self> {
        if let Some(Flaw::NoShape) = self.flaw {
            (self.rows, self.columns, self.flaw) = (rows, columns, None);
        }
        let indexes = self.with_own_shape()?;
        indexes.expect_shape(rows, columns)?;
        Ok(indexes)
    }

    /// The indexes, which say how many symbols there are.
    ///
    /// # Errors
    /// [`Error::Shape`] where they do not; [`Error::Row`] for an index that no table can have.
    pub(crate) fn with_own_shape(self) -> Result<Self> {
        match self.flaw {
            None => Ok(self),
            Some(Flaw::NoShape) => Err(Error::Shape {
                what: "indexes of symbols to decode",
                expected: "Indexes::one, which says how many rows and columns there are".into(),
                got: "one index without a shape".into(),
            }),
            Some(Flaw::TooLarge { row, position, index }) => {
                let cause = RowCause::IndexTooLarge { index };
                Err(Error::Row { row, position, cause })
            }
        }
    }

    /// Checks that symbols of this shape have their indexes here.
    fn expect_shape(&self, rows: usize, columns: usize) -> Result<()> {
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
                Self { rows, columns, kind: Kind::$kind(row_major(view)), flaw: None }
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

impl<'a> Indexes<'a> {
    /// Converts indexes; negative ones skip their symbols whatever their value.
    fn converted<T: Copy + TryInto<i32> + TryInto<u64>>(view: ArrayView2<'_, T>) -> Self {
        let (rows, columns) = view.dim();
        let mut flaw = None;
        let convert = |(at, &index): (usize, &T)| {
            index.try_into().unwrap_or_else(|_| {
                if let Ok(index) = TryInto::<u64>::try_into(index) {
                    let (row, position) = (at / columns, at % columns);
                    flaw = flaw.or(Some(Flaw::TooLarge { row, position, index }));
                }
                -1
            })
        };
        let indexes = view.iter().enumerate().map(convert).collect();
        Self { rows, columns, kind: Kind::Each(Cow::Owned(indexes)), flaw }
    }

    /// One for all symbols, however many.
    fn for_all<T: Copy + TryInto<i32> + TryInto<u64>>(index: T) -> Self {
        let one = Self::converted(ArrayView2::from(&[[index]]));
        let kind = Kind::One(one.row(0).at(0));
        Self { rows: 0, columns: 0, kind, flaw: one.flaw.or(Some(Flaw::NoShape)) }
    }
}

macro_rules! indexes_converted {
    ($($type:ty),*) => {$(
        impl<'a> From<ArrayView2<'a, $type>> for Indexes<'a> {
            fn from(view: ArrayView2<'a, $type>) -> Self {
                Self::converted(view)
            }
        }
        impl<'a> From<&'a Array2<$type>> for Indexes<'a> {
            fn from(array: &'a Array2<$type>) -> Self {
                Self::converted(array.view())
            }
        }
    )*};
}
indexes_converted!(u32, usize, i64);

macro_rules! one_index {
    ($($type:ty),*) => {$(
        /// One table for all symbols.
        impl From<$type> for Indexes<'_> {
            fn from(index: $type) -> Self {
                Self::for_all(index)
            }
        }
    )*};
}
one_index!(i32, u32, usize);

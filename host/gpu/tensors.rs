//! Symbols and indexes in device memory.

use parans_kernels::abi::{CodeShape, index_type, symbol_type};

use super::launch::below;
use super::memory::Memory;
use super::{DeviceAddress, DeviceBuffer, DeviceElement, DeviceSlice, Gpu, StreamHandle};
use crate::error::{Error, Result};
use crate::symbols::{NativeSymbol, SymbolSlice, columns_of};

/// Symbols of shape (rows, columns) in device memory.
#[derive(Clone, Copy, Debug)]
pub struct DeviceSymbols<'b> {
    pub(super) memory: Option<&'b Memory>,
    pub(super) address: DeviceAddress,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) row_stride: usize,
    pub(super) kind: u32,
}

/// How a symbol type is named to the kernels.
pub(super) fn symbol_kind(symbols: SymbolSlice<'_>) -> u32 {
    match symbols {
        SymbolSlice::I32(_) => symbol_type::I32,
        SymbolSlice::I16(_) => symbol_type::I16,
        SymbolSlice::U16(_) => symbol_type::U16,
        SymbolSlice::U8(_) => symbol_type::U8,
    }
}

impl<'b> DeviceSymbols<'b> {
    /// The symbols of a buffer, `rows` rows one after another.
    ///
    /// # Errors
    /// [`Error::Shape`] where its length is no multiple of `rows`.
    pub fn of<S: NativeSymbol>(buffer: &'b DeviceBuffer<S>, rows: usize) -> Result<Self> {
        let columns = columns_of("device symbols", buffer.len(), rows)?;
        let kind = symbol_kind(S::erase(&[]));
        Ok(Self::of_kind(kind, &buffer.memory, rows, columns))
    }

    /// Symbols of type `S` at an address of the device, `row_stride` symbols from row to row: a
    /// tensor that another library owns.
    ///
    /// # Safety
    /// As [`DeviceSlice::at`], for the symbols of all rows. A pop writes them.
    #[allow(unsafe_code, reason = "kernels read and write there")]
    pub unsafe fn at<S: NativeSymbol>(
        address: DeviceAddress,
        rows: usize,
        columns: usize,
        row_stride: usize,
    ) -> Self {
        let kind = symbol_kind(S::erase(&[]));
        Self { memory: None, address, rows, columns, row_stride, kind }
    }

    /// The symbols of memory that holds as many.
    pub(super) fn of_kind(kind: u32, memory: &'b Memory, rows: usize, columns: usize) -> Self {
        let address = memory.address();
        Self { memory: Some(memory), address, rows, columns, row_stride: columns, kind }
    }

    /// The part of a launch's shape that says where these symbols and the words of their rows lie.
    pub(super) fn shape(&self, word_stride: usize) -> Result<CodeShape> {
        Ok(CodeShape {
            rows: below("rows", self.rows, u32::MAX)?,
            symbols: below("symbols per row", self.columns, 1 << 31)?,
            word_stride: below("words per row", word_stride, 1 << 31)?,
            symbol_stride: below("symbols from row to row", self.row_stride, u32::MAX)?,
            symbol_type: self.kind,
            ..CodeShape::default()
        })
    }

    /// Reads one symbol for an error's message; 0 where even that fails.
    pub(super) fn value_at(
        &self,
        gpu: &Gpu,
        stream: StreamHandle,
        row: usize,
        position: usize,
    ) -> i32 {
        let signed = self.kind == symbol_type::I16;
        let at = row * self.row_stride + position;
        read(gpu, stream, self.address, at, (1 << (self.kind & 3), signed))
    }
}

/// An error unless all have the shape of what is coded.
pub(super) fn expect_shapes(
    of: &str,
    shape: (usize, usize),
    others: [(&'static str, (usize, usize)); 2],
) -> Result<()> {
    for (what, got) in others {
        if got != shape {
            return Err(Error::Shape {
                what,
                expected: format!("{shape:?} as the {of}"),
                got: format!("{got:?}"),
            });
        }
    }
    Ok(())
}

/// Reads one value for an error's message; 0 where even that fails.
fn read(
    gpu: &Gpu,
    stream: StreamHandle,
    address: DeviceAddress,
    at: usize,
    (width, signed): (usize, bool),
) -> i32 {
    let mut bytes = [0u8; 4];
    let from = address + (at * width) as u64;
    if gpu.runtime().download(from, &mut bytes[..width], stream).is_err() {
        return 0;
    }
    let value = i32::from_le_bytes(bytes);
    if signed && width < 4 { value << (32 - 8 * width) >> (32 - 8 * width) } else { value }
}

/// The indexes of (rows, columns) symbols, in device memory or one for all.
#[derive(Clone, Copy, Debug)]
pub struct DeviceIndexes<'b> {
    pub(super) memory: Option<&'b Memory>,
    pub(super) address: DeviceAddress,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) kind: u32,
    pub(super) row_stride: usize,
    pub(super) symbol_stride: u32,
    pub(super) constant: i32,
}

/// An index type in device memory: `i32`, `u16` or `u8`.
pub trait DeviceIndex: DeviceElement {
    /// How the kernels name it.
    #[doc(hidden)]
    const KIND: u32;
}
impl DeviceIndex for i32 {
    const KIND: u32 = index_type::I32;
}
impl DeviceIndex for u16 {
    const KIND: u32 = index_type::U16;
}
impl DeviceIndex for u8 {
    const KIND: u32 = index_type::U8;
}

impl<'b> DeviceIndexes<'b> {
    /// The same table for all symbols.
    pub fn one(index: i32, rows: usize, columns: usize) -> Self {
        let (kind, constant) = (index_type::CONSTANT, index);
        let (memory, address, row_stride, symbol_stride) = (None, 0, 0, 0);
        Self { memory, address, rows, columns, kind, row_stride, symbol_stride, constant }
    }

    /// A table per symbol, `rows` rows one after another.
    ///
    /// # Errors
    /// [`Error::Shape`] where the length is no multiple of `rows`.
    pub fn each<I: DeviceIndex>(
        indexes: impl Into<DeviceSlice<'b, I>>,
        rows: usize,
    ) -> Result<Self> {
        let indexes = indexes.into();
        let columns = columns_of("device indexes", indexes.len(), rows)?;
        Ok(Self { row_stride: columns, ..Self::in_memory(indexes, rows, columns, 1) })
    }

    /// A table per row, each row of `columns` symbols.
    pub fn per_row<I: DeviceIndex>(indexes: impl Into<DeviceSlice<'b, I>>, columns: usize) -> Self {
        let indexes = indexes.into();
        Self { row_stride: 1, ..Self::in_memory(indexes, indexes.len(), columns, 0) }
    }

    /// A table per column, the same in each of `rows` rows.
    pub fn per_column<I: DeviceIndex>(indexes: impl Into<DeviceSlice<'b, I>>, rows: usize) -> Self {
        let indexes = indexes.into();
        Self::in_memory(indexes, rows, indexes.len(), 1)
    }

    fn in_memory<I: DeviceIndex>(
        indexes: DeviceSlice<'b, I>,
        rows: usize,
        columns: usize,
        symbol_stride: u32,
    ) -> Self {
        let (memory, address, kind) = (indexes.memory, indexes.address(), I::KIND);
        Self { memory, address, rows, columns, kind, row_stride: 0, symbol_stride, constant: 0 }
    }

    /// Reads one index for an error's message: -1 beyond the row, 0 where even that fails.
    pub(super) fn value_at(
        &self,
        gpu: &Gpu,
        stream: StreamHandle,
        row: usize,
        position: usize,
    ) -> i32 {
        if position >= self.columns {
            return -1;
        }
        if self.kind == index_type::CONSTANT {
            return self.constant;
        }
        let at = row * self.row_stride + position * self.symbol_stride as usize;
        read(gpu, stream, self.address, at, (1 << self.kind, false))
    }
}

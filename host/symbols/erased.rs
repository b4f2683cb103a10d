//! Symbols without their type: enums of slices, so that loops over states are compiled once and not
//! once per symbol type.

use std::ops::Range;

use parans_kernels::codec::{RowError, RowFault};

/// Symbols to encode.
#[derive(Clone, Copy, Debug)]
pub enum SymbolSlice<'a> {
    /// Symbols as the codec takes them.
    I32(&'a [i32]),
    /// Sign extended by [`SymbolSlice::widen`].
    I16(&'a [i16]),
    /// Zero extended.
    U16(&'a [u16]),
    /// Zero extended.
    U8(&'a [u8]),
}

/// Where decoded symbols go.
#[derive(Debug)]
pub enum SymbolSliceMut<'a> {
    /// Symbols as the codec gives them.
    I32(&'a mut [i32]),
    /// Narrowed by [`SymbolSliceMut::narrow`].
    I16(&'a mut [i16]),
    /// Narrowed.
    U16(&'a mut [u16]),
    /// Narrowed.
    U8(&'a mut [u8]),
}

/// Runs an expression with the slice, of whatever type it is.
macro_rules! with_slice {
    ($values:expr, $type:ident, $slice:ident => $body:expr) => {
        match $values {
            $type::I32($slice) => $body,
            $type::I16($slice) => $body,
            $type::U16($slice) => $body,
            $type::U8($slice) => $body,
        }
    };
}
pub(crate) use with_slice;

/// Makes another slice of the same type from it.
macro_rules! map_slice {
    ($values:expr, $type:ident, $slice:ident => $body:expr) => {
        match $values {
            $type::I32($slice) => $type::I32($body),
            $type::I16($slice) => $type::I16($body),
            $type::U16($slice) => $type::U16($body),
            $type::U8($slice) => $type::U8($body),
        }
    };
}

impl<'a> SymbolSlice<'a> {
    /// Bytes per symbol.
    pub(crate) fn width(self) -> usize {
        match self {
            Self::I32(_) => 4,
            Self::I16(_) | Self::U16(_) => 2,
            Self::U8(_) => 1,
        }
    }

    /// Those of a range.
    #[inline(always)]
    pub(crate) fn range(self, range: Range<usize>) -> Self {
        map_slice!(self, SymbolSlice, values => &values[range])
    }

    /// Those from a position on.
    pub(crate) fn from(self, position: usize) -> Self {
        map_slice!(self, SymbolSlice, values => &values[position..])
    }

    /// The symbol at a position.
    #[inline(always)]
    pub(crate) fn at(self, position: usize) -> i32 {
        with_slice!(self, SymbolSlice, values => widened(values[position]))
    }

    /// The symbol at a position; 0 past the end.
    pub(crate) fn at_or_zero(self, position: usize) -> i32 {
        with_slice!(self, SymbolSlice, values => values.get(position).map_or(0, |&value| widened(value)))
    }

    /// The bytes in memory.
    pub(crate) fn as_bytes(self) -> &'a [u8] {
        with_slice!(self, SymbolSlice, values => bytemuck::cast_slice(values))
    }

    /// Copies as many as `to` holds, widened.
    #[inline(always)]
    pub(crate) fn copy_to(self, to: &mut [i32]) {
        with_slice!(self, SymbolSlice, values => {
            to.iter_mut().zip(values).for_each(|(to, &value)| *to = widened(value));
        });
    }

    /// All of them as the codec takes them: as they are, or widened into a buffer, which must be
    /// long enough.
    #[inline(always)]
    pub(crate) fn widen<'b>(self, buffer: &'b mut [i32]) -> &'b [i32]
    where
        'a: 'b,
    {
        fn fill<'b, T: Copy + Into<i32>>(buffer: &'b mut [i32], values: &[T]) -> &'b [i32] {
            let buffer = &mut buffer[..values.len()];
            buffer.iter_mut().zip(values).for_each(|(to, &value)| *to = value.into());
            buffer
        }
        match self {
            Self::I32(values) => values,
            Self::I16(values) => fill(buffer, values),
            Self::U16(values) => fill(buffer, values),
            Self::U8(values) => fill(buffer, values),
        }
    }

    /// [`widen`](Self::widen) into a buffer that grows to what is needed.
    pub(crate) fn widen_all<'b>(self, buffer: &'b mut Vec<i32>) -> &'b [i32]
    where
        'a: 'b,
    {
        if !matches!(self, Self::I32(_)) {
            buffer.resize(with_slice!(self, SymbolSlice, values => values.len()), 0);
        }
        self.widen(buffer)
    }
}

impl SymbolSliceMut<'_> {
    /// How many.
    pub(crate) fn len(&self) -> usize {
        with_slice!(self, SymbolSliceMut, values => values.len())
    }

    /// Bytes per symbol.
    pub(crate) fn width(&self) -> usize {
        self.as_const().width()
    }

    /// The same without the right to write.
    pub(crate) fn as_const(&self) -> SymbolSlice<'_> {
        match self {
            Self::I32(values) => SymbolSlice::I32(values),
            Self::I16(values) => SymbolSlice::I16(values),
            Self::U16(values) => SymbolSlice::U16(values),
            Self::U8(values) => SymbolSlice::U8(values),
        }
    }

    /// Those of a range.
    #[inline(always)]
    pub(crate) fn range(&mut self, range: Range<usize>) -> SymbolSliceMut<'_> {
        map_slice!(self, SymbolSliceMut, values => &mut values[range])
    }

    /// Takes the first ones off.
    pub(crate) fn take(&mut self, count: usize) -> Self {
        match self {
            Self::I32(values) => Self::I32(take(values, count)),
            Self::I16(values) => Self::I16(take(values, count)),
            Self::U16(values) => Self::U16(take(values, count)),
            Self::U8(values) => Self::U8(take(values, count)),
        }
    }

    /// The bytes in memory.
    pub(crate) fn as_bytes_mut(&mut self) -> &mut [u8] {
        with_slice!(self, SymbolSliceMut, values => bytemuck::cast_slice_mut(values))
    }

    /// Writes decoded symbols to the front. One that does not fit its type is an error, at its
    /// position.
    pub(crate) fn narrow(&mut self, symbols: &[i32]) -> Result<(), RowFault> {
        // Without a way out of the loop, which then runs in vectors; which symbol it was is looked
        // up afterwards.
        fn narrow<T: Copy + Default + TryFrom<i32>>(
            symbols: &[i32],
            into: &mut [T],
        ) -> Result<(), RowFault> {
            let mut fits = true;
            for (&symbol, into) in symbols.iter().zip(into) {
                let narrowed = T::try_from(symbol);
                fits &= narrowed.is_ok();
                *into = narrowed.unwrap_or_default();
            }
            if fits { Ok(()) } else { Err(misfit::<T>(symbols)) }
        }
        #[cold]
        fn misfit<T: TryFrom<i32>>(symbols: &[i32]) -> RowFault {
            let position = symbols.iter().position(|&symbol| T::try_from(symbol).is_err());
            RowError::SymbolWidth.at(position.unwrap_or(0))
        }
        match self {
            Self::I32(values) => values[..symbols.len()].copy_from_slice(symbols),
            Self::I16(values) => narrow(symbols, values)?,
            Self::U16(values) => narrow(symbols, values)?,
            Self::U8(values) => narrow(symbols, values)?,
        }
        Ok(())
    }
}

/// A symbol as the codec takes it.
#[inline(always)]
fn widened<T: Into<i32>>(symbol: T) -> i32 {
    symbol.into()
}

/// Takes the first values off a slice.
pub(crate) fn take<'a, T>(values: &mut &'a mut [T], count: usize) -> &'a mut [T] {
    let (taken, left) = std::mem::take(values).split_at_mut(count);
    *values = left;
    taken
}

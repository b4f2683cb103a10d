//! Blocks whose symbols may have any type: the loops over states are compiled once, not once a symbol type.

use std::any::TypeId;
use std::ops::Range;

use parans_kernels::codec::{RowError, RowFault};

use super::block::{PopBlock, PushBlock, Rows};
use super::{Failed, scalar};
use crate::coder::{Indexes, Plan, Symbol};
use crate::family::{HostFamily, RowFormat};

/// Symbols to push.
#[derive(Clone, Copy)]
pub(super) enum Values<'a> {
    I32(&'a [i32]),
    I16(&'a [i16]),
    U16(&'a [u16]),
    U8(&'a [u8]),
}

/// Room for popped symbols.
pub(super) enum ValuesMut<'a> {
    I32(&'a mut [i32]),
    I16(&'a mut [i16]),
    U16(&'a mut [u16]),
    U8(&'a mut [u8]),
}

/// Runs an expression with the slice of whatever type it is.
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
pub(super) use with_slice;

/// The same with a slice of the same type made from it.
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

impl<'a> Values<'a> {
    pub(super) fn new<T: Symbol>(symbols: &'a [T]) -> Self {
        let of = TypeId::of::<T>();
        if of == TypeId::of::<u8>() {
            Self::U8(bytemuck::cast_slice(symbols))
        } else if of == TypeId::of::<u16>() {
            Self::U16(bytemuck::cast_slice(symbols))
        } else if of == TypeId::of::<i16>() {
            Self::I16(bytemuck::cast_slice(symbols))
        } else {
            Self::I32(bytemuck::cast_slice(symbols))
        }
    }

    /// Those of a range.
    #[inline(always)]
    pub(super) fn range(self, range: Range<usize>) -> Self {
        map_slice!(self, Values, values => &values[range])
    }

    /// Those from a position on.
    fn from(self, position: usize) -> Self {
        map_slice!(self, Values, values => &values[position..])
    }

    /// The symbol at a position.
    #[inline(always)]
    pub(super) fn at(self, position: usize) -> i32 {
        with_slice!(self, Values, values => values[position].to_i32())
    }

    /// All of them as the codec takes them: as they are, or widened into a buffer.
    pub(super) fn widen(self, buffer: &'a mut Vec<i32>) -> &'a [i32] {
        fn fill<T: Copy + Into<i32>>(buffer: &mut Vec<i32>, values: &[T]) {
            buffer.clear();
            buffer.extend(values.iter().map(|&value| -> i32 { value.into() }));
        }
        match self {
            Self::I32(values) => return values,
            Self::I16(values) => fill(buffer, values),
            Self::U16(values) => fill(buffer, values),
            Self::U8(values) => fill(buffer, values),
        }
        buffer
    }
}

impl<'a> ValuesMut<'a> {
    pub(super) fn new<T: Symbol>(symbols: &'a mut [T]) -> Self {
        let of = TypeId::of::<T>();
        if of == TypeId::of::<u8>() {
            Self::U8(bytemuck::cast_slice_mut(symbols))
        } else if of == TypeId::of::<u16>() {
            Self::U16(bytemuck::cast_slice_mut(symbols))
        } else if of == TypeId::of::<i16>() {
            Self::I16(bytemuck::cast_slice_mut(symbols))
        } else {
            Self::I32(bytemuck::cast_slice_mut(symbols))
        }
    }

    /// Those of a range.
    #[inline(always)]
    pub(super) fn range(&mut self, range: Range<usize>) -> ValuesMut<'_> {
        map_slice!(self, ValuesMut, values => &mut values[range])
    }

    /// Takes the first ones off.
    fn take(&mut self, count: usize) -> Self {
        match self {
            Self::I32(values) => Self::I32(take(values, count)),
            Self::I16(values) => Self::I16(take(values, count)),
            Self::U16(values) => Self::U16(take(values, count)),
            Self::U8(values) => Self::U8(take(values, count)),
        }
    }

    /// Writes popped symbols to the front; one that does not fit its type is an error.
    pub(super) fn put(&mut self, symbols: &[i32]) -> Result<(), RowFault> {
        fn narrow<T: TryFrom<i32>>(from: &[i32], into: &mut [T]) -> Result<(), RowFault> {
            for (position, (&symbol, into)) in from.iter().zip(into).enumerate() {
                *into = T::try_from(symbol).map_err(|_| RowError::SymbolWidth.at(position))?;
            }
            Ok(())
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

/// Takes the first values off a slice.
fn take<'a, T>(values: &mut &'a mut [T], count: usize) -> &'a mut [T] {
    let (taken, left) = std::mem::take(values).split_at_mut(count);
    *values = left;
    taken
}

/// A block to push.
pub(super) struct Push<'a, F: RowFormat> {
    pub(super) rows: Rows<'a, F>,
    pub(super) symbols: Values<'a>,
    pub(super) columns: usize,
    pub(super) indexes: &'a Indexes<'a>,
}

/// A block to pop.
pub(super) struct Pop<'a, F: RowFormat> {
    pub(super) first: usize,
    pub(super) states: &'a mut [F::Field],
    pub(super) words: &'a [F::Unit],
    pub(super) starts: &'a [usize],
    pub(super) lens: &'a mut [usize],
    pub(super) symbols: ValuesMut<'a>,
    pub(super) columns: usize,
    pub(super) indexes: &'a Indexes<'a>,
}

impl<'a, F: RowFormat> Push<'a, F> {
    pub(super) fn new<T: Symbol>(block: PushBlock<'a, F, T>) -> Self {
        let PushBlock { rows, symbols, columns, indexes } = block;
        Self { rows, symbols: Values::new(symbols), columns, indexes }
    }

    /// Takes the first rows off.
    pub(super) fn take(&mut self, count: usize) -> Self {
        let rows = &mut self.rows;
        let fields = rows.states.len() / rows.lens.len().max(1);
        let states = take(&mut rows.states, count * fields);
        let words = take(&mut rows.words, rows.starts[count] - rows.starts[0]);
        let lens = take(&mut rows.lens, count);
        let taken = Rows { first: rows.first, states, words, starts: &rows.starts[..=count], lens };
        rows.first += count;
        rows.starts = &rows.starts[count..];
        let symbols = self.symbols;
        self.symbols = symbols.from(count * self.columns);
        Self {
            rows: taken,
            symbols: symbols.range(0..count * self.columns),
            columns: self.columns,
            indexes: self.indexes,
        }
    }
}

impl<F: HostFamily> Push<'_, F> {
    /// Pushes one row after another through the codec.
    pub(super) fn push_scalar(mut self, plan: &Plan) -> Result<(), Failed> {
        let (columns, indexes) = (self.columns, self.indexes);
        if let Values::I32(symbols) = self.symbols {
            return scalar::push(plan, PushBlock { rows: self.rows, symbols, columns, indexes });
        }
        let mut buffer = Vec::new();
        while self.rows.len() > 0 {
            let Self { rows, symbols, .. } = self.take(1);
            let symbols = symbols.widen(&mut buffer);
            scalar::push(plan, PushBlock { rows, symbols, columns, indexes })?;
        }
        Ok(())
    }
}

impl<'a, F: RowFormat> Pop<'a, F> {
    pub(super) fn new<T: Symbol>(block: PopBlock<'a, F, T>) -> Self {
        let PopBlock { first, states, words, starts, lens, symbols, columns, indexes } = block;
        let symbols = ValuesMut::new(symbols);
        Self { first, states, words, starts, lens, symbols, columns, indexes }
    }

    /// Takes the first rows off.
    pub(super) fn take(&mut self, count: usize) -> Self {
        let fields = self.states.len() / self.lens.len().max(1);
        let states = take(&mut self.states, count * fields);
        let lens = take(&mut self.lens, count);
        let (first, starts) = (self.first, self.starts);
        self.first += count;
        self.starts = &starts[count..];
        Self {
            first,
            states,
            words: self.words,
            starts,
            lens,
            symbols: self.symbols.take(count * self.columns),
            columns: self.columns,
            indexes: self.indexes,
        }
    }
}

impl<F: HostFamily> Pop<'_, F> {
    /// Pops one row after another through the codec.
    pub(super) fn pop_scalar(mut self, plan: &Plan) -> Result<(), Failed> {
        let Self { words, columns, indexes, .. } = self;
        if let ValuesMut::I32(symbols) = self.symbols {
            let Self { first, states, starts, lens, .. } = self;
            return scalar::pop(
                plan,
                PopBlock::<F, i32> {
                    first,
                    states,
                    words,
                    starts,
                    lens,
                    symbols,
                    columns,
                    indexes,
                },
            );
        }
        let mut buffer = vec![0; columns];
        while !self.lens.is_empty() {
            let Self { first, states, starts, lens, mut symbols, .. } = self.take(1);
            let block = PopBlock::<F, i32> {
                first,
                states,
                words,
                starts,
                lens,
                symbols: &mut buffer,
                columns,
                indexes,
            };
            scalar::pop(plan, block)?;
            symbols.put(&buffer).map_err(|fault| (first, fault))?;
        }
        Ok(())
    }
}

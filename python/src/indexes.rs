//! Which table codes each symbol, as a caller says it.

use numpy::ndarray::ArrayView2;
use parans::{Dtype, Indexes};
use pyo3::prelude::*;

use crate::errors::{OrRaise, value};
use crate::input::{Input, Place, rows_and_columns};
use crate::stream::Stream;

/// Which table codes each symbol: one for all, or an array.
pub(crate) enum TableIndexes<'py> {
    One(i32),
    Each(Input<'py>),
}

impl<'py> TableIndexes<'py> {
    pub(crate) fn new(object: Option<&Bound<'py, PyAny>>, stream: Stream) -> PyResult<Self> {
        match object {
            None => Ok(Self::One(0)),
            Some(object) => match object.extract::<i32>() {
                Ok(index) if !object.hasattr("shape")? => Ok(Self::One(index)),
                _ => Ok(Self::Each(Input::new(object, stream)?)),
            },
        }
    }

    /// Calls with the indexes of symbols of a shape. One per row is an array of shape (rows, 1,
    /// ...), one per column of shape (1, columns, ...), one per symbol of the symbols' shape.
    pub(crate) fn with<T>(
        &self,
        shape: &[usize],
        code: impl FnOnce(Indexes<'_>) -> PyResult<T>,
    ) -> PyResult<T> {
        let (rows, columns) = rows_and_columns(shape);
        let input = match self {
            Self::One(index) => return code(Indexes::one(*index, rows, columns)),
            Self::Each(input) => input,
        };
        if input.place != Place::Cpu {
            return Err(value(&"indexes on a GPU for symbols in host memory"));
        }
        if input.shape != shape {
            let own = input.rows_and_columns();
            let same_dimensions = input.shape.len() == shape.len() && shape.len() > 1;
            if same_dimensions && own == (rows, 1) {
                return code(Indexes::per_row(&input.integers()?, columns));
            }
            if same_dimensions && own.0 == 1 && input.shape[1..] == shape[1..] {
                return code(Indexes::per_column(&input.integers()?, rows));
            }
            return Err(value(&format!(
                "indexes of shape {:?} for symbols of shape {shape:?}",
                input.shape
            )));
        }
        macro_rules! each {
            ($type:ty) => {{
                let values = input.elements::<$type>();
                let view = ArrayView2::from_shape((rows, columns), &values);
                code(Indexes::from(view.map_err(|e| value(&e))?))
            }};
        }
        match input.dtype {
            Dtype::I32 => each!(i32),
            Dtype::U16 => each!(u16),
            Dtype::U8 => each!(u8),
            Dtype::U32 => each!(u32),
            Dtype::I64 => each!(i64),
            _ => {
                let values = input.integers()?;
                code(Indexes::each(&values, rows).or_raise()?)
            }
        }
    }

    /// The shape of what they are the indexes of.
    pub(crate) fn shape(&self, given: Option<Vec<usize>>) -> PyResult<Vec<usize>> {
        match (given, self) {
            (Some(shape), _) => Ok(shape),
            (None, Self::Each(input)) => Ok(input.shape.clone()),
            (None, Self::One(_)) => Err(value(&"one index for all symbols: give their shape")),
        }
    }
}

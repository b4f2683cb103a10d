//! Memory whose size a caller or coded bytes have chosen: where there is not so much, an error and
//! never an abort.

use bytemuck::{Zeroable, allocation::try_zeroed_vec};

use crate::error::{Error, Result};

/// How many cells a shape of (rows, columns) has.
///
/// # Errors
/// `InvalidArgument` past the address space.
pub(crate) fn cells(rows: usize, columns: usize) -> Result<usize> {
    rows.checked_mul(columns).ok_or_else(|| {
        Error::InvalidArgument(format!("{rows} x {columns} symbols exceed the address space"))
    })
}

/// `count` zeros, zeroed by the system on first touch where they are many.
///
/// # Errors
/// `InvalidArgument` where the system refuses so much memory.
pub(crate) fn zeros<T: Zeroable>(count: usize) -> Result<Vec<T>> {
    try_zeroed_vec(count).map_err(|()| refused::<T>(count))
}

/// `count` times `value`.
///
/// # Errors
/// As [`zeros`].
pub(crate) fn filled<T: Clone>(count: usize, value: T) -> Result<Vec<T>> {
    let mut all = with_capacity(count)?;
    all.resize(count, value);
    Ok(all)
}

/// Memory for `count` values.
///
/// # Errors
/// As [`zeros`].
pub(crate) fn with_capacity<T>(count: usize) -> Result<Vec<T>> {
    let mut all = Vec::new();
    all.try_reserve_exact(count).map_err(|_| refused::<T>(count))?;
    Ok(all)
}

fn refused<T>(count: usize) -> Error {
    Error::InvalidArgument(format!("no memory for {count} values of {} bytes", size_of::<T>()))
}

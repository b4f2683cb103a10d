//! How errors of the library become Python's.

use parans::RowCause;
use pyo3::exceptions::{PyException, PyMemoryError, PyValueError};
use pyo3::prelude::*;

pyo3::create_exception!(
    parans,
    Error,
    PyException,
    "Coded bytes are damaged or end too early, this build cannot serve the request, or a device \
     failed."
);

/// The exception for an error: `ValueError` for an argument that cannot be right, what Python
/// raised where a file object failed, [`Error`] for all else. The message is the library's.
pub(crate) fn exception(error: parans::Error) -> PyErr {
    use parans::Error as E;
    match error {
        E::Io(error) if error.kind() == std::io::ErrorKind::OutOfMemory => {
            PyMemoryError::new_err(error.to_string())
        }
        E::Io(error) => error.into(),
        E::InvalidArgument(_) | E::Shape { .. } | E::InvalidTable { .. } => value(&error),
        E::Row { cause, .. } if is_argument(cause) => value(&error),
        _ => Error::new_err(error.to_string()),
    }
}

/// Whether a row failed because of what was to be coded, not because of what was coded.
fn is_argument(cause: RowCause) -> bool {
    matches!(
        cause,
        RowCause::SymbolOutOfRange { .. }
            | RowCause::IndexOutOfRange { .. }
            | RowCause::SymbolTooLarge { .. }
            | RowCause::IndexTooLarge { .. }
            | RowCause::BypassDistance { .. }
            | RowCause::ParameterOutOfRange
            | RowCause::SymbolWidth
    )
}

pub(crate) fn value(message: &impl ToString) -> PyErr {
    PyValueError::new_err(message.to_string())
}

/// Shortens `result.map_err(exception)`.
pub(crate) trait OrRaise<T> {
    fn or_raise(self) -> PyResult<T>;
}

impl<T> OrRaise<T> for parans::Result<T> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(exception)
    }
}

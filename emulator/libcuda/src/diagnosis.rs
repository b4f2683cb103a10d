//! The calls that turn errors into text.

use crate::abi::{Host, Out, Status, exports};
use crate::errors::{CudaError, last_diagnosis, texts};
use std::ffi::{CStr, c_char};

exports! {
    fn cuGetErrorString(error: u32, text: Out<*const c_char>) {
        report(text, texts(error).map(|(_, text)| text))
    }

    fn cuGetErrorName(error: u32, name: Out<*const c_char>) {
        report(name, texts(error).map(|(name, _)| name))
    }

    /// Copies the last diagnosis into `text`, cut to `capacity` bytes with its terminating zero,
    /// and writes its whole length to `length` (either pointer may be null). An extension of this
    /// library.
    fn paransLastDiagnosis(text: Host, capacity: usize, length: Out<usize>) {
        let diagnosis = last_diagnosis();
        copy_text(diagnosis.as_bytes(), text, capacity, length)
    }
}

/// Copies text into a buffer of the program's, cut to fit, with a terminating zero.
pub(crate) fn copy_text(from: &[u8], to: Host, capacity: usize, length: Out<usize>) -> Status {
    length.set_if_asked(from.len());
    if !to.is_null() && capacity > 0 {
        let kept = from.len().min(capacity - 1);
        let place = to.bytes_mut(kept + 1)?;
        place[..kept].copy_from_slice(&from[..kept]);
        place[kept] = 0;
    }
    Ok(())
}

/// Writes the text of a known code; for another one, null and an error, as the API says.
fn report(out: Out<*const c_char>, text: Option<&'static CStr>) -> Result<(), CudaError> {
    out.set(text.map_or(std::ptr::null(), CStr::as_ptr))?;
    text.map(drop).ok_or(CudaError::InvalidValue)
}

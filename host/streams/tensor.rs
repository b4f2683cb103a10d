//! torch_ans' own form of a batch: an int32 tensor whose rows begin with a length in bytes.

use ndarray::{Array2, ArrayView2};

use super::Streams;
use crate::error::{Error, Result};
use crate::family::Family;
use crate::memory;

impl Streams {
    /// The batch as torch_ans' int32 tensor of shape (rows, columns): word 0 of a row is its length
    /// in bytes, its byte string follows, zero filled to the longest row.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a row of 2^31 bytes or more, which the tensor cannot
    /// announce, and for a tensor that there is no memory for.
    pub fn to_tensor(&self) -> Result<Array2<i32>> {
        let longest = (0..self.rows).map(|row| self.byte_len(row)).max().unwrap_or(0);
        let columns = longest.div_ceil(4) + 1;
        // One long row makes all others as long.
        let cells = memory::zeros(memory::cells(self.rows, columns)?)?;
        let mut tensor = Array2::from_shape_vec((self.rows, columns), cells)
            .map_err(|error| Error::InvalidArgument(error.to_string()))?;
        for (row, mut cells) in tensor.rows_mut().into_iter().enumerate() {
            let string = self.to_byte_string(row);
            let length = i32::try_from(string.len()).map_err(|_| {
                Error::InvalidArgument(format!(
                    "row {row} has {} bytes; an int32 tensor holds rows below 2^31",
                    string.len()
                ))
            })?;
            let values = string.chunks(4).map(|chunk| {
                let mut bytes = [0; 4];
                bytes[..chunk.len()].copy_from_slice(chunk);
                i32::from_le_bytes(bytes)
            });
            for (cell, value) in cells.iter_mut().zip(std::iter::once(length).chain(values)) {
                *cell = value;
            }
        }
        Ok(tensor)
    }

    /// A batch from torch_ans' int32 tensor of shape (rows, columns).
    ///
    /// # Errors
    /// [`Error::Truncated`] for a length past the end of its row; [`Error::Corrupt`] for a negative
    /// one.
    pub fn from_tensor(family: Family, lanes: usize, tensor: ArrayView2<'_, i32>) -> Result<Self> {
        let mut strings = Vec::with_capacity(tensor.nrows());
        for (row, cells) in tensor.rows().into_iter().enumerate() {
            let mut cells = cells.iter();
            let Some(&length) = cells.next() else {
                return Err(Error::Truncated(format!("row {row} has no length word")));
            };
            let length = usize::try_from(length)
                .map_err(|_| Error::Corrupt(format!("row {row} has a length of {length}")))?;
            let mut bytes: Vec<u8> = cells.flat_map(|cell| cell.to_le_bytes()).collect();
            if length > bytes.len() {
                return Err(Error::Truncated(format!(
                    "row {row} announces {length} bytes and holds {}",
                    bytes.len()
                )));
            }
            bytes.truncate(length);
            strings.push(bytes);
        }
        Self::from_byte_strings(family, lanes, &strings)
    }
}

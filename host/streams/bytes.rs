//! Byte strings: a row's states and words, little-endian; and all rows merged with their lengths.

use super::{Streams, check_lanes, plan_starts};
use crate::error::{Error, Result};
use crate::family::Family;
use crate::symbols::take;

/// Bytes of each length in merged bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthBytes {
    /// Rows below 2^8 bytes.
    One,
    /// Rows below 2^16 bytes.
    Two,
    /// Rows below 2^32 bytes: torch_ans' default.
    Four,
    /// Rows of any length.
    Eight,
}

impl LengthBytes {
    /// 1, 2, 4 or 8.
    pub const fn get(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Four => 4,
            Self::Eight => 8,
        }
    }
}

/// How rows are merged into one byte string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merged {
    /// Bytes of each length.
    pub length_bytes: LengthBytes,
    /// The number of rows, where both sides have it: then the last row's length is left out.
    pub rows: Option<usize>,
}

impl Default for Merged {
    /// Four-byte lengths, every one of them written.
    fn default() -> Self {
        Self { length_bytes: LengthBytes::Four, rows: None }
    }
}

impl Streams {
    /// The byte string of one row: its states, lane 0 first, then its words in the order of
    /// pushing.
    ///
    /// # Panics
    /// Where there is no such row.
    pub fn to_byte_string(&self, row: usize) -> Vec<u8> {
        let mut bytes = vec![0; self.byte_len(row)];
        self.copy_row(row, &mut bytes);
        bytes
    }

    /// The byte strings of all rows.
    pub fn to_byte_strings(&self) -> Vec<Vec<u8>> {
        (0..self.rows).map(|row| self.to_byte_string(row)).collect()
    }

    /// Writes the byte string of a row, of its [length](Self::byte_len).
    fn copy_row(&self, row: usize, out: &mut [u8]) {
        let header = self.header_bytes();
        let word = self.family.word_bytes();
        let start = self.starts[row] * word;
        let (states, words) = out.split_at_mut(header);
        states.copy_from_slice(&self.states.bytes()[row * header..(row + 1) * header]);
        words.copy_from_slice(&self.words.bytes()[start..start + self.lens[row] * word]);
        to_stream_order(states, self.family.state_bytes());
        to_stream_order(words, word);
    }

    /// Rows from byte strings as [`to_byte_strings`](Self::to_byte_strings) gives them.
    ///
    /// # Errors
    /// [`Error::Truncated`] for a byte string shorter than its states or ending inside a word.
    pub fn from_byte_strings<B: AsRef<[u8]>>(
        family: Family,
        lanes: usize,
        strings: &[B],
    ) -> Result<Self> {
        check_lanes(lanes)?;
        let header = family.header_fields(lanes) * family.state_bytes();
        let word = family.word_bytes();
        let mut capacities = Vec::with_capacity(strings.len());
        for (row, string) in strings.iter().enumerate() {
            let len = string.as_ref().len();
            let Some(words) = len.checked_sub(header) else {
                return Err(Error::Truncated(format!(
                    "row {row} has {len} bytes; the states of {lanes} lanes of {family} take {header}"
                )));
            };
            if words % word != 0 {
                return Err(Error::Truncated(format!(
                    "row {row} has {len} bytes: it ends inside a word of {word} bytes"
                )));
            }
            capacities.push(words / word);
        }
        // Every string has its states: memory for them is earned.
        let mut streams = Self::new(family, strings.len(), lanes)?;
        let Some(starts) = plan_starts(&capacities, word) else {
            return Err(Error::InvalidArgument("the rows exceed the address space".into()));
        };
        streams.relocate(starts)?;
        for (row, string) in strings.iter().enumerate() {
            let (states, words) = string.as_ref().split_at(header);
            let into = &mut streams.states.bytes_mut()[row * header..(row + 1) * header];
            into.copy_from_slice(states);
            to_stream_order(into, family.state_bytes());
            let start = streams.starts[row] * word;
            let into = &mut streams.words.bytes_mut()[start..start + words.len()];
            into.copy_from_slice(words);
            to_stream_order(into, word);
            streams.lens[row] = words.len() / word;
        }
        Ok(streams)
    }

    /// All rows in one byte string: each row's length, then its bytes. Where `merged.rows` is
    /// given, the last length is left out.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a row too long for its length field, or where `merged.rows`
    /// is not the number of rows.
    pub fn to_merged(&self, merged: Merged) -> Result<Vec<u8>> {
        let mut out = vec![0; self.merged_len(merged)];
        self.to_merged_into(merged, &mut out)?;
        Ok(out)
    }

    /// Bytes of all rows [merged](Self::to_merged).
    fn merged_len(&self, merged: Merged) -> usize {
        let lengths = self.rows - usize::from(merged.rows == Some(self.rows) && self.rows > 0);
        self.total_bytes() + lengths * merged.length_bytes.get()
    }

    /// [`to_merged`](Self::to_merged) to the front of a caller's buffer. Returns how many bytes of
    /// it were written.
    ///
    /// # Errors
    /// As [`to_merged`](Self::to_merged); [`Error::Shape`] where the buffer is too small, which
    /// says how many bytes it takes. The buffer is then as it was.
    pub fn to_merged_into(&self, merged: Merged, buffer: &mut [u8]) -> Result<usize> {
        if let Some(rows) = merged.rows
            && rows != self.rows
        {
            return Err(Error::InvalidArgument(format!(
                "merging {} rows as {rows} known rows",
                self.rows
            )));
        }
        let width = merged.length_bytes.get();
        let has_length = |row: usize| merged.rows != Some(row + 1);
        let too_long = |row: usize| width < 8 && self.byte_len(row) as u64 >> (8 * width) != 0;
        if let Some(row) = (0..self.rows).find(|&row| has_length(row) && too_long(row)) {
            return Err(Error::InvalidArgument(format!(
                "row {row} has {} bytes: too long for a length of {width} bytes",
                self.byte_len(row)
            )));
        }
        let (length, got) = (self.merged_len(merged), buffer.len());
        let Some(mut out) = buffer.get_mut(..length) else {
            return Err(Error::Shape {
                what: "buffer to encode into",
                expected: format!("{length} bytes or more"),
                got: got.to_string(),
            });
        };
        for row in 0..self.rows {
            let len = self.byte_len(row);
            if has_length(row) {
                take(&mut out, width).copy_from_slice(&(len as u64).to_le_bytes()[..width]);
            }
            self.copy_row(row, take(&mut out, len));
        }
        Ok(length)
    }

    /// Rows from merged bytes.
    ///
    /// # Errors
    /// [`Error::Truncated`] for a length past the end; [`Error::Corrupt`] for bytes left over.
    pub fn from_merged(family: Family, lanes: usize, bytes: &[u8], merged: Merged) -> Result<Self> {
        let width = merged.length_bytes.get();
        let mut strings: Vec<&[u8]> = Vec::new();
        let mut rest = bytes;
        while merged.rows.map_or(!rest.is_empty(), |rows| strings.len() < rows) {
            let row = strings.len();
            if merged.rows == Some(row + 1) {
                strings.push(std::mem::take(&mut rest));
                break;
            }
            let Some((field, after)) = rest.split_at_checked(width) else {
                return Err(Error::Truncated(format!(
                    "the length of row {row} takes {width} bytes and {} are left",
                    rest.len()
                )));
            };
            let mut len = [0; 8];
            len[..width].copy_from_slice(field);
            let len = u64::from_le_bytes(len);
            let string = usize::try_from(len).ok().and_then(|len| after.split_at_checked(len));
            let Some((string, after)) = string else {
                return Err(Error::Truncated(format!(
                    "row {row} announces {len} bytes and {} are left",
                    after.len()
                )));
            };
            strings.push(string);
            rest = after;
        }
        if !rest.is_empty() {
            return Err(Error::Corrupt(format!(
                "{} bytes are left over after {} rows",
                rest.len(),
                strings.len()
            )));
        }
        Self::from_byte_strings(family, lanes, &strings)
    }
}

/// Turns units of `width` bytes between the machine's byte order and the stream's, little-endian.
fn to_stream_order(bytes: &mut [u8], width: usize) {
    if cfg!(target_endian = "big") {
        for unit in bytes.chunks_exact_mut(width) {
            unit.reverse();
        }
    }
}

//! Whole chunks: header, layout, rows.

use super::layout::{KIND_CONSTANT, KIND_RAW, Layout};
use super::{MAX_CHUNK, SLOTS, header, histogram, model, scalar};
use crate::{Error, Result};

/// Codes chunks. Holds the scratch that all its chunks share, so that coding a chunk allocates nothing.
#[derive(Debug, Default)]
pub struct Encoder {
    /// One row at a time, before its length is known.
    row: Vec<u8>,
}

impl Encoder {
    /// An encoder with no scratch yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the coding of `bytes` to `out`; returns how many bytes that took: at most `bytes.len() + 1`, and none
    /// for an empty chunk.
    ///
    /// # Panics
    /// If `bytes` is longer than [`MAX_CHUNK`].
    pub fn encode(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        assert!(bytes.len() <= MAX_CHUNK, "chunk of {} bytes, at most {MAX_CHUNK}", bytes.len());
        let Some(&first) = bytes.first() else { return 0 };
        let begin = out.len();
        let counts = histogram::count(bytes);
        if counts[first as usize] as usize == bytes.len() {
            out.extend([KIND_CONSTANT, first]);
        } else {
            self.encode_mixed(bytes, &counts, out);
        }
        if out.len() - begin > bytes.len() {
            out.truncate(begin);
            out.push(KIND_RAW);
            out.extend_from_slice(bytes);
        }
        out.len() - begin
    }

    fn encode_mixed(&mut self, bytes: &[u8], counts: &histogram::Counts, out: &mut Vec<u8>) {
        let layout = Layout::choose(bytes.len());
        let frequencies = model::normalise(counts);
        let begin = out.len();
        out.push(layout.kind());
        header::write(&frequencies, out);
        out.resize(begin + (out.len() - begin).next_multiple_of(4), 0);
        let lengths = out.len();
        out.resize(lengths + 4 * (layout.rows() - 1), 0);
        let entries = scalar::entries(&frequencies);
        self.row.resize(4 * layout.lanes() + 2 * layout.row_len(0, bytes.len()), 0);
        for row in 0..layout.rows() {
            let len = scalar::encode_row(bytes, layout, row, &entries, &mut self.row);
            out.extend_from_slice(&self.row[..len]);
            if row + 1 < layout.rows() {
                out[lengths + 4 * row..][..4].copy_from_slice(&(len as u32).to_le_bytes());
            }
        }
    }
}

/// Decodes chunks. Holds the decoding table that all its chunks share.
#[derive(Debug)]
pub struct Decoder {
    slots: Box<[u32; SLOTS]>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { slots: Box::new([0; SLOTS]) }
    }
}

impl Decoder {
    /// A decoder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Fills `out`, whose length is the length of the original chunk, from `data`, which is exactly one coded chunk.
    ///
    /// # Errors
    /// [`Error::Truncated`] if `data` ends early; [`Error::Corrupt`] if it contradicts itself, holds more than the
    /// chunk, or does not end in the state that the encoder started from. `out` then holds unspecified bytes.
    pub fn decode(&mut self, data: &[u8], out: &mut [u8]) -> Result<()> {
        if out.len() > MAX_CHUNK {
            return Err(Error::InvalidArgument(format!(
                "order-0 chunk of {} bytes, at most {MAX_CHUNK}",
                out.len()
            )));
        }
        let Some((&kind, body)) = data.split_first() else {
            return match out.len() {
                0 => Ok(()),
                n => Err(Error::Truncated(format!("no coded bytes for a chunk of {n}"))),
            };
        };
        match kind {
            _ if out.is_empty() => {
                Err(Error::Corrupt(format!("{} coded bytes for an empty chunk", data.len())))
            }
            KIND_RAW => {
                expect_length(body, out.len())?;
                out.copy_from_slice(body);
                Ok(())
            }
            KIND_CONSTANT => {
                expect_length(body, 1)?;
                out.fill(body[0]);
                Ok(())
            }
            _ => match Layout::from_kind(kind) {
                Some(layout) => self.decode_mixed(data, layout, out),
                None => Err(Error::Corrupt(format!("order-0 chunk of unknown kind {kind}"))),
            },
        }
    }

    fn decode_mixed(&mut self, data: &[u8], layout: Layout, out: &mut [u8]) -> Result<()> {
        let (frequencies, taken) = header::read(&data[1..])?;
        if frequencies.contains(&(SLOTS as u32)) {
            return Err(Error::Corrupt("order-0 table with a single byte value".into()));
        }
        let rows = split_rows(data, 1 + taken, layout)?;
        scalar::fill_slots(&frequencies, &mut self.slots);
        for (row, data) in rows.into_iter().enumerate().take(layout.rows()) {
            scalar::decode_row(data, layout, row, &self.slots, out)?;
        }
        Ok(())
    }
}

/// The rows that follow a table which ends at `table_end`.
fn split_rows(data: &[u8], table_end: usize, layout: Layout) -> Result<[&[u8]; 4]> {
    let lengths = table_end.next_multiple_of(4);
    let begin = lengths + 4 * (layout.rows() - 1);
    let Some((head, mut rest)) = data.split_at_checked(begin) else {
        return Err(Error::Truncated("order-0 chunk ends in its header".into()));
    };
    if head[table_end..lengths].iter().any(|&pad| pad != 0) {
        return Err(Error::Corrupt("order-0 header is not filled up with zero bytes".into()));
    }
    let mut rows = [&data[..0]; 4];
    for (row, length) in rows.iter_mut().zip(head[lengths..].chunks_exact(4)) {
        let length = u32::from_le_bytes(length.try_into().expect("chunks_exact(4)"));
        let Some((first, after)) = rest.split_at_checked(length as usize) else {
            return Err(Error::Truncated(format!(
                "order-0 row of {length} bytes, {} are left",
                rest.len()
            )));
        };
        (*row, rest) = (first, after);
    }
    rows[layout.rows() - 1] = rest;
    Ok(rows)
}

fn expect_length(body: &[u8], want: usize) -> Result<()> {
    match body.len() {
        have if have < want => Err(Error::Truncated(format!("{have} of {want} stored bytes"))),
        have if have > want => {
            Err(Error::Corrupt(format!("{have} stored bytes instead of {want}")))
        }
        _ => Ok(()),
    }
}

//! Whole chunks: header, layout, rows.

use parans_kernels::order0::Counts;

use super::layout::{GROUP, KIND_CONSTANT, KIND_RAW, LANES, Layout};
use super::scalar::{Entries, RowBuilder};
use super::slots::SlotTable;
use super::vector::{self, DecodeGroups, EncodeGroups};
use super::{Frequencies, MAX_CHUNK, SLOTS, histogram, model, scalar, table};
use crate::simd::{self, Level};
use crate::{Error, Result};

/// Codes chunks. Holds the scratch that all its chunks share, so that coding a chunk allocates
/// nothing.
#[derive(Debug)]
pub struct Encoder {
    level: Level,
    intervals: Box<vector::Intervals>,
    /// The rows, each with capacity for the worst case: their lengths are known only when they are
    /// done.
    rows: Vec<u8>,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// An encoder with no scratch yet, at [`Level::current`].
    #[must_use]
    pub fn new() -> Self {
        Self::at_level(Level::current())
    }

    /// An encoder that uses the instructions of `level` (none, if this machine lacks them). Every
    /// level writes the same bytes.
    #[must_use]
    pub fn at_level(level: Level) -> Self {
        Self {
            level: or_scalar(level),
            intervals: Box::new(vector::Intervals::zeroed()),
            rows: Vec::new(),
        }
    }

    /// Appends the coding of `bytes` to `out`; returns how many bytes that took: at most
    /// `bytes.len() + 1`, and none for an empty chunk.
    ///
    /// # Panics
    /// If `bytes` is longer than [`MAX_CHUNK`].
    pub fn encode(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        assert!(bytes.len() <= MAX_CHUNK, "chunk of {} bytes, at most {MAX_CHUNK}", bytes.len());
        let Some(&first) = bytes.first() else { return 0 };
        let begin = out.len();
        let counts = histogram::estimate(bytes, self.level);
        if counts.iter().filter(|&&n| n > 0).count() == 1 {
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

    fn encode_mixed(&mut self, bytes: &[u8], counts: &Counts, out: &mut Vec<u8>) {
        let layout = Layout::choose(bytes.len());
        let frequencies = model::normalise(counts);
        let begin = out.len();
        out.push(layout.kind());
        table::write(&frequencies, |byte| out.push(byte));
        out.resize(begin + (out.len() - begin).next_multiple_of(4), 0);
        let lengths = out.len();
        out.resize(lengths + 4 * (layout.rows() - 1), 0);
        let entries = scalar::entries(&frequencies);
        let (capacity, lens) = self.encode_rows(bytes, layout, &entries);
        for (row, len) in lens.into_iter().enumerate().take(layout.rows()) {
            out.extend_from_slice(&self.rows[row * capacity..][..len]);
            if row + 1 < layout.rows() {
                out[lengths + 4 * row..][..4].copy_from_slice(&(len as u32).to_le_bytes());
            }
        }
    }

    /// Codes the rows; row `i` to the bytes from `i * capacity` on of `self.rows`. Returns the
    /// capacity and the lengths in bytes.
    fn encode_rows(
        &mut self,
        chunk: &[u8],
        layout: Layout,
        entries: &Entries,
    ) -> (usize, [usize; 4]) {
        // States, a word per symbol, and what a vector may write past its last word.
        let head = 4 * layout.lanes();
        let capacity = head + 2 * layout.row_len(0, chunk.len()) + 64;
        if self.rows.len() < layout.rows() * capacity {
            // Not resized: fresh zero pages come from the system, and cost nothing where no word is
            // written.
            self.rows = vec![0; layout.rows() * capacity];
        }
        let rows = &mut self.rows[..layout.rows() * capacity];
        let mut states = [[scalar::FRESH; 32]; 4];
        let mut ends = [head; 4];
        // Symbols of full groups come after all others on push: the vectors take over from the
        // scalar path.
        let groups = match layout {
            Layout::Four if self.level != Level::Scalar => chunk.as_chunks::<GROUP>().0,
            _ => &[],
        };
        let grouped = groups.len() * LANES;
        for (row, bytes) in rows.chunks_exact_mut(capacity).enumerate() {
            let (states, end) = (&mut states[row], &mut ends[row]);
            let symbols = grouped..layout.row_len(row, chunk.len());
            RowBuilder { states, bytes, end }.push(chunk, layout, row, symbols, entries);
        }
        if grouped > 0 {
            vector::set_intervals(&mut self.intervals, entries);
            let mut parts = rows.chunks_exact_mut(capacity);
            let words = ends.map(|end| parts.next().map_or(&mut [][..], |row| &mut row[end..]));
            let intervals = &self.intervals;
            let work = EncodeGroups { groups, intervals, states: &mut states, words };
            // `at_level` took a level that this machine has.
            let taken = simd::dispatch(self.level, work).unwrap_or_default();
            (0..4).for_each(|row| ends[row] += taken[row]);
        }
        for (row, states) in rows.chunks_exact_mut(capacity).zip(&states) {
            scalar::write_states(&states[..layout.lanes()], row);
        }
        (capacity, ends)
    }
}

/// Decodes chunks. Holds the decoding table that all its chunks share.
#[derive(Debug)]
pub struct Decoder {
    level: Level,
    slots: Box<SlotTable>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder at [`Level::current`].
    #[must_use]
    pub fn new() -> Self {
        Self::at_level(Level::current())
    }

    /// A decoder that uses the instructions of `level` (none, if this machine lacks them).
    #[must_use]
    pub fn at_level(level: Level) -> Self {
        Self { level: or_scalar(level), slots: Box::new(SlotTable::zeroed()) }
    }

    /// Fills `out`, whose length is the length of the original chunk, from `data`, which is exactly
    /// one coded chunk.
    ///
    /// # Errors
    /// [`Error::Truncated`] if `data` ends early; [`Error::Corrupt`] if it contradicts itself,
    /// holds more than the chunk, or does not end in the state that the encoder started from. `out`
    /// then holds unspecified bytes.
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
        let (frequencies, taken) = read_table(&data[1..])?;
        if frequencies.contains(&(SLOTS as u32)) {
            return Err(Error::Corrupt("order-0 table with a single byte value".into()));
        }
        let rows = split_rows(data, 1 + taken, layout)?;
        self.slots.set(&frequencies);
        let head = 4 * layout.lanes();
        let mut states = [[scalar::FRESH; 32]; 4];
        for (states, row) in states.iter_mut().zip(rows).take(layout.rows()) {
            *states = scalar::read_states(row, layout.lanes())?;
        }
        let (mut left, mut grouped) = (rows, 0);
        if layout == Layout::Four && self.level != Level::Scalar {
            let (groups, _) = out.as_chunks_mut::<GROUP>();
            grouped = groups.len() * LANES;
            let work = DecodeGroups { groups, slots: &self.slots, states: &mut states, rows };
            // `at_level` took a level that this machine has.
            let popped = simd::dispatch(self.level, work).ok().flatten();
            left = popped.ok_or_else(|| Error::Truncated("an order-0 row lacks words".into()))?;
        }
        for (row, left) in left.into_iter().enumerate().take(layout.rows()) {
            let Some(words) = left.get(head..) else {
                return Err(Error::Truncated(format!("order-0 row {row} lacks words")));
            };
            let states = &mut states[row];
            scalar::pop_symbols(words, states, layout, row, grouped, self.slots.entries(), out)?;
        }
        Ok(())
    }
}

/// The level, if this machine has it.
fn or_scalar(level: Level) -> Level {
    if level.is_available() { level } else { Level::Scalar }
}

/// The table at the front of `data` and the bytes that it takes.
pub(super) fn read_table(data: &[u8]) -> Result<(Frequencies, usize)> {
    let mut frequencies = [0; 256];
    match table::read(data, &mut frequencies) {
        Ok(taken) => Ok((frequencies, taken)),
        Err(fault) if fault.is_truncated() => Err(Error::Truncated(fault.to_string())),
        Err(fault) => Err(Error::Corrupt(fault.to_string())),
    }
}

/// The rows that follow a table which ends at `table_end`.
pub(super) fn split_rows(data: &[u8], table_end: usize, layout: Layout) -> Result<[&[u8]; 4]> {
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

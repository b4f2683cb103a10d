//! The rows of a chunk one symbol at a time: the path for small chunks, and the oracle of the SIMD
//! paths.

use std::ops::Range;

use parans_kernels::codec::step;
use parans_kernels::codec::{DirectPlacement, EncoderEntry, Interval, Rans32x16, RansFamily};
use parans_kernels::codec::{WordSink, WordSource};

use super::layout::Layout;
use super::model::starts;
use super::{Frequencies, PRECISION, SLOTS};
use crate::{Error, Result};

/// The state that every lane starts from, and the lower bound of a normalised one.
pub(super) const FRESH: u32 = Rans32x16::LOWER_BOUND;

/// What pushes need of the 256 byte values.
pub(super) type Entries = [EncoderEntry<Rans32x16>; 256];

/// The entries of all byte values; those that do not occur get one that must not be used.
pub(super) fn entries(frequencies: &Frequencies) -> Entries {
    let starts = starts(frequencies);
    std::array::from_fn(|s| EncoderEntry::new(Interval { start: starts[s], freq: frequencies[s] }))
}

/// Words appended to the bytes of a row.
struct Sink<'a> {
    row: &'a mut [u8],
    end: usize,
}

impl WordSink<u16> for Sink<'_> {
    #[inline(always)]
    fn store(&mut self, word: u16) {
        self.row[self.end..][..2].copy_from_slice(&word.to_le_bytes());
        self.end += 2;
    }
}

/// Words taken off the end of a row; 0 (and a note) when there is none left.
struct Source<'a> {
    words: &'a [u8],
    underflowed: bool,
}

impl WordSource<u16> for Source<'_> {
    #[inline(always)]
    fn take(&mut self) -> u16 {
        match self.words.split_last_chunk::<2>() {
            Some((rest, word)) => {
                self.words = rest;
                u16::from_le_bytes(*word)
            }
            None => {
                self.underflowed = true;
                0
            }
        }
    }
}

/// A row in the making: its states, and its bytes up to the last word so far.
pub(super) struct RowBuilder<'a> {
    pub(super) states: &'a mut [u32; 32],
    pub(super) bytes: &'a mut [u8],
    pub(super) end: &'a mut usize,
}

impl RowBuilder<'_> {
    /// Pushes these symbols of row `row` of `chunk`, the last first.
    pub(super) fn push(
        self,
        chunk: &[u8],
        layout: Layout,
        row: usize,
        symbols: Range<usize>,
        entries: &Entries,
    ) {
        let mut sink = Sink { end: *self.end, row: self.bytes };
        for i in symbols.rev() {
            let entry = &entries[chunk[layout.byte(row, i, chunk.len())] as usize];
            let x = &mut self.states[i % layout.lanes()];
            *x = step::push_symbol(*x, entry, 0, &DirectPlacement, PRECISION, &mut sink);
        }
        *self.end = sink.end;
    }
}

/// Writes the states of a row to its front.
pub(super) fn write_states(states: &[u32], row: &mut [u8]) {
    for (state, place) in states.iter().zip(row.chunks_exact_mut(4)) {
        place.copy_from_slice(&state.to_le_bytes());
    }
}

/// Reads the states at the front of a row.
pub(super) fn read_states(row: &[u8], lanes: usize) -> Result<[u32; 32]> {
    let mut states = [FRESH; 32];
    let Some(head) = row.get(..4 * lanes) else {
        return Err(Error::Truncated(format!("order-0 row of {} bytes", row.len())));
    };
    for (state, place) in states.iter_mut().zip(head.chunks_exact(4)) {
        *state = u32::from_le_bytes(place.try_into().expect("chunks_exact(4)"));
        if !step::is_normalised::<Rans32x16>(*state) {
            return Err(Error::Corrupt(format!("order-0 state {state:#x} is not normalised")));
        }
    }
    Ok(states)
}

/// Pops the symbols of row `row` from number `first` to the last to their places in `out`, and
/// checks that the row ends as it must. `slots` are
/// [`SlotTable::entries`](super::slots::SlotTable::entries).
pub(super) fn pop_symbols(
    words: &[u8],
    states: &mut [u32; 32],
    layout: Layout,
    row: usize,
    first: usize,
    slots: &[u32; SLOTS],
    out: &mut [u8],
) -> Result<()> {
    let len = out.len();
    let mut source = Source { words, underflowed: false };
    for i in first..layout.row_len(row, len) {
        let x = &mut states[i % layout.lanes()];
        let slot = slots[step::slot::<Rans32x16>(*x, PRECISION) as usize % SLOTS];
        out[layout.byte(row, i, len)] = (slot >> PRECISION) as u8;
        let taken = step::advance::<Rans32x16>(*x, PRECISION, slot >> 20, slot % SLOTS as u32);
        *x = step::renormalise::<Rans32x16>(taken, &mut source);
        if source.underflowed {
            return Err(Error::Truncated(format!("order-0 row {row} lacks words")));
        }
    }
    finish_row(states, source.words.len(), row)
}

/// The free checksum of a row: every word is used, every state is back where the encoder started.
fn finish_row(states: &[u32; 32], left: usize, row: usize) -> Result<()> {
    if left != 0 {
        return Err(Error::Corrupt(format!("order-0 row {row} has {left} bytes left over")));
    }
    if states.iter().any(|&x| x != FRESH) {
        return Err(Error::Corrupt(format!("order-0 row {row} does not end in its first state")));
    }
    Ok(())
}

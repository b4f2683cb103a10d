//! One lane's copy of a tANS row, loaded and stored.

use super::group::{Group, Mapping};
use super::lane_words::LaneFault;
use super::memory::RowsMemory;
use super::simt::Simt;
use super::tans_bits::BitEnd;
use crate::abi::{CodeShape, RowStatus};
use crate::codec::tans::BUFFER_FIELDS;
use crate::codec::{BitBuffer, RowError, TansFamily};

/// The streams of a launch.
#[derive(Clone, Copy)]
pub(super) struct TansMemory<T: TansFamily> {
    /// `rows * (lanes + 2)` fields: a row's states, its bits and how many.
    fields: *mut u32,
    words: *mut T::Word,
    lengths: *mut u32,
    status: *mut RowStatus,
}

impl<T: TansFamily> TansMemory<T> {
    #[inline(always)]
    pub(super) fn of(rows: &RowsMemory) -> Self {
        let RowsMemory { lengths, status, .. } = *rows;
        Self { fields: rows.states.cast(), words: rows.words.cast(), lengths, status }
    }
}

/// One lane's copy of a row.
pub(super) struct Lane<S, M, T: TansFamily> {
    pub(super) group: Group<S, M>,
    memory: TansMemory<T>,
    pub(super) row: usize,
    pub(super) active: bool,
    pub(super) capacity: u32,
    pub(super) state: u32,
    /// The same in all lanes of the row.
    pub(super) end: BitEnd,
    /// The length or a state was none that a push leaves.
    pub(super) refused: Option<RowStatus>,
    pub(super) fault: LaneFault,
}

impl<S: Simt, M: Mapping, T: TansFamily> Lane<S, M, T> {
    /// The calling thread's lane; `None` where the whole warp (or this thread, where it works
    /// alone) has no row.
    #[inline(always)]
    pub(super) fn load(
        simt: S,
        memory: TansMemory<T>,
        shape: &CodeShape,
        (too_long, bad_state_at): (RowError, u32),
    ) -> Option<Self> {
        let (group, row) = Group::<S, M>::new(simt, shape.lanes);
        // Threads past the last row work on, on no symbols, as long as a row of their warp does.
        let active = row < shape.rows;
        if !group.any_in_step(active) {
            return None;
        }
        let row = if active { row as usize } else { 0 };
        let first = row * (group.lanes() as usize + BUFFER_FIELDS);
        let (mut state, buffer, length) = if active {
            // SAFETY: fields of this row, which is one of the launch's.
            unsafe {
                let buffer = memory.fields.add(first + group.lanes() as usize);
                (
                    *memory.fields.add(first + group.lane as usize),
                    BitBuffer { bits: *buffer, len: *buffer.add(1) },
                    *memory.lengths.add(row),
                )
            }
        } else {
            (0, BitBuffer::default(), 0)
        };
        let initial = 1 << shape.precision;
        if state == 0 {
            state = initial;
        }
        let good = state >> shape.precision == 1 && buffer.is_valid(T::WORD_BITS);
        let refused = if group.ballot(!good) != 0 {
            Some(RowStatus { code: RowError::StateOutOfRange as u32, position: bad_state_at })
        } else if length > shape.word_stride {
            Some(RowStatus { code: too_long as u32, position: 0 })
        } else {
            None
        };
        let (state, end) = match refused {
            None => (state, BitEnd { cursor: length, buffer }),
            Some(_) => (initial, BitEnd::default()),
        };
        Some(Self {
            group,
            memory,
            row,
            active,
            capacity: shape.word_stride,
            state,
            end,
            refused,
            fault: LaneFault::NONE,
        })
    }

    /// The row's words.
    #[inline(always)]
    pub(super) fn words(&self) -> *mut T::Word {
        // SAFETY: the words hold `rows` rows.
        unsafe { self.memory.words.add(self.row * self.capacity as usize) }
    }

    /// Stores the row, or what is wrong with it.
    #[inline(always)]
    pub(super) fn store(self, status: RowStatus) {
        let status = self.refused.unwrap_or(status);
        if !self.active {
            return;
        }
        let lanes = self.group.lanes() as usize;
        let first = self.row * (lanes + BUFFER_FIELDS);
        // SAFETY: this lane's state; what the row has once is written by one lane.
        unsafe {
            if status.code == 0 {
                *self.memory.fields.add(first + self.group.lane as usize) = self.state;
            }
            if self.group.lane == 0 {
                if status.code == 0 {
                    *self.memory.fields.add(first + lanes) = self.end.buffer.bits;
                    *self.memory.fields.add(first + lanes + 1) = self.end.buffer.len;
                    *self.memory.lengths.add(self.row) = self.end.cursor;
                }
                *self.memory.status.add(self.row) = status;
            }
        }
    }

    /// Whether the lane has a row to code, and met no error in it.
    #[inline(always)]
    pub(super) fn is_sound(&self) -> bool {
        self.active && self.refused.is_none() && !self.fault.happened()
    }

    /// Whether a symbol of the row is this lane's to code.
    #[inline(always)]
    pub(super) fn works_at(&self, position: u32, count: u32) -> bool {
        self.is_sound() && position < count
    }

    /// Whether the words went past the row's capacity.
    #[inline(always)]
    pub(super) fn clamp_cursor(&mut self) -> bool {
        let overflowed = self.end.cursor > self.capacity;
        self.end.cursor = self.end.cursor.min(self.capacity);
        overflowed
    }
}

//! Which bytes of a chunk belong to which row and lane, and how the choice is named in the first
//! byte.

/// Lanes of each of the four rows of [`Layout::Four`].
pub const LANES: usize = 32;

/// Bytes that the four rows take together in one step of all their lanes.
pub const GROUP: usize = 4 * LANES;

/// First byte of a chunk that is stored as it is.
pub const KIND_RAW: u8 = 0;
/// First byte of a chunk whose bytes are all equal.
pub const KIND_CONSTANT: u8 = 1;

/// The rows of a coded chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One row of 1, 8 or 32 lanes, the bytes in their own order: small chunks, for which 128
    /// states would be a burden.
    One(usize),
    /// Four rows of 32 lanes, 128 bytes per step.
    Four,
}

impl Layout {
    /// The encoder's choice for a chunk of `len` bytes. A lane costs 3 bytes (4 of state, about 1
    /// of it information).
    pub fn choose(len: usize) -> Self {
        match len {
            0..512 => Self::One(1),
            512..4096 => Self::One(8),
            4096..16384 => Self::One(LANES),
            _ => Self::Four,
        }
    }

    /// The first byte of the chunk.
    pub fn kind(self) -> u8 {
        match self {
            Self::One(1) => 2,
            Self::One(8) => 3,
            Self::One(_) => 4,
            Self::Four => 5,
        }
    }

    /// The layout that a first byte names.
    pub fn from_kind(kind: u8) -> Option<Self> {
        Some(match kind {
            2 => Self::One(1),
            3 => Self::One(8),
            4 => Self::One(LANES),
            5 => Self::Four,
            _ => return None,
        })
    }

    /// Number of rows.
    pub fn rows(self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Four => 4,
        }
    }

    /// Lanes of each row.
    pub fn lanes(self) -> usize {
        match self {
            Self::One(lanes) => lanes,
            Self::Four => LANES,
        }
    }

    /// Symbols of row `row` of a chunk of `len` bytes.
    pub fn row_len(self, row: usize, len: usize) -> usize {
        match self {
            Self::One(_) => len,
            Self::Four => len / GROUP * LANES + (len % GROUP + 3 - row) / 4,
        }
    }

    /// Where symbol `i` of row `row` of a chunk of `len` bytes lies in the chunk.
    pub fn byte(self, row: usize, i: usize, len: usize) -> usize {
        let (group, lane) = (i / LANES, i % LANES);
        match self {
            Self::One(_) => i,
            Self::Four if group < len / GROUP => {
                group * GROUP + 64 * (lane % 2) + 4 * (lane / 2) + row
            }
            Self::Four => group * GROUP + 4 * lane + row,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec;

    use super::*;

    #[test]
    fn every_byte_belongs_to_one_place() {
        for layout in [Layout::One(1), Layout::One(8), Layout::One(32), Layout::Four] {
            assert_eq!(Layout::from_kind(layout.kind()), Some(layout));
            for len in (0..600).chain([4095, 4096, 4097]) {
                let mut seen = vec![false; len];
                for row in 0..layout.rows() {
                    for i in 0..layout.row_len(row, len) {
                        let byte = layout.byte(row, i, len);
                        assert!(!std::mem::replace(&mut seen[byte], true), "{layout:?} {len}");
                    }
                }
                assert!(seen.iter().all(|&s| s), "{layout:?} {len}");
            }
        }
    }
}

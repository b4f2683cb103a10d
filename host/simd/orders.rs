//! Orders of elements for levels without compress and expand instructions, eight elements at a
//! time, by a mask of eight bits.

use super::aligned::Aligned;

/// A byte of a shuffle's control that gives zero.
const ZERO: u8 = 0x80;

/// Orders in which rows of `L` lanes emit: the steps one after the other, in each the last lane
/// first.
pub(super) struct Orders<const L: usize>;

/// The element that goes `at`-th where all go.
const fn element(lanes: usize, at: usize) -> usize {
    at / lanes * lanes + lanes - 1 - at % lanes
}

impl<const L: usize> Orders<L> {
    /// Numbers of the elements of each mask.
    pub(super) const ELEMENTS: &'static Aligned<[[u32; 8]; 256]> = &Aligned({
        let mut table = [[0; 8]; 256];
        let mut mask = 0;
        while mask < 256 {
            let (mut at, mut to) = (0, 0);
            while at < 8 {
                let from = element(L, at);
                if mask >> from & 1 == 1 {
                    table[mask][to] = from as u32;
                    to += 1;
                }
                at += 1;
            }
            mask += 1;
        }
        table
    });

    /// The same of 16-bit words, in bytes.
    pub(super) const WORDS: &'static Aligned<[[u8; 16]; 256]> = &Aligned({
        let mut table = [[ZERO; 16]; 256];
        let mut mask = 0;
        while mask < 256 {
            let (mut at, mut to) = (0, 0);
            while at < 8 {
                let from = element(L, at);
                if mask >> from & 1 == 1 {
                    table[mask][2 * to] = 2 * from as u8;
                    table[mask][2 * to + 1] = 2 * from as u8 + 1;
                    to += 1;
                }
                at += 1;
            }
            mask += 1;
        }
        table
    });

    /// Of four words of two bytes each, by a bit per byte; a word's lower byte first. Of eight
    /// lanes each half of a step.
    pub(super) const BYTES: &'static Aligned<[[u8; 8]; 256]> = &Aligned({
        let lanes = if L < 4 { L } else { 4 };
        let mut table = [[ZERO; 8]; 256];
        let mut mask = 0;
        while mask < 256 {
            let (mut at, mut to) = (0, 0);
            while at < 8 {
                let from = 2 * element(lanes, at / 2) + at % 2;
                if mask >> from & 1 == 1 {
                    table[mask][to] = from as u8;
                    to += 1;
                }
                at += 1;
            }
            mask += 1;
        }
        table
    });

    /// How many elements of a mask come before each one in its block.
    pub(super) const BEFORE: &'static Aligned<[[u8; 8]; 256]> = &Aligned({
        let mut table = [[0; 8]; 256];
        let mut mask = 0usize;
        while mask < 256 {
            let mut e = 0;
            while e < 8 {
                let own = ((1 << (e % L)) - 1) << (e / L * L);
                table[mask][e] = (mask & own).count_ones() as u8;
                e += 1;
            }
            mask += 1;
        }
        table
    });

    /// How many elements of a mask there are in each one's block.
    pub(super) const TOTAL: &'static Aligned<[[u8; 8]; 256]> = &Aligned({
        let mut table = [[0; 8]; 256];
        let mut mask = 0usize;
        while mask < 256 {
            let mut e = 0;
            while e < 8 {
                let own = ((1 << L) - 1) << (e / L * L);
                table[mask][e] = (mask & own).count_ones() as u8;
                e += 1;
            }
            mask += 1;
        }
        table
    });
}

/// Gives the elements of the mask, widened to four bytes each, the eight words of the source from
/// the last down, both halves from the same source.
pub(super) static EXPAND_WORDS: Aligned<[[u8; 32]; 256]> = Aligned({
    let mut table = [[ZERO; 32]; 256];
    let mut mask = 0;
    while mask < 256 {
        let (mut e, mut from) = (0, 8);
        while e < 8 {
            if mask >> e & 1 == 1 {
                from -= 1;
                table[mask][4 * e] = 2 * from as u8;
                table[mask][4 * e + 1] = 2 * from as u8 + 1;
            }
            e += 1;
        }
        mask += 1;
    }
    table
});

/// Gives the elements of the mask the eight words of 32 bits from the last down, by number.
pub(super) static EXPAND_EIGHT: Aligned<[[u32; 8]; 256]> = Aligned({
    let mut table = [[0; 8]; 256];
    let mut mask = 0;
    while mask < 256 {
        let (mut e, mut from) = (0, 8);
        while e < 8 {
            if mask >> e & 1 == 1 {
                from -= 1;
                table[mask][e] = from;
            }
            e += 1;
        }
        mask += 1;
    }
    table
});

/// Gives the elements of a mask of four the four words of 32 bits from the last down.
pub(super) static EXPAND_FOUR: Aligned<[[u8; 16]; 16]> = Aligned({
    let mut table = [[ZERO; 16]; 16];
    let mut mask = 0;
    while mask < 16 {
        let (mut e, mut from) = (0, 4);
        while e < 4 {
            if mask >> e & 1 == 1 {
                from -= 1;
                let mut byte = 0;
                while byte < 4 {
                    table[mask][4 * e + byte] = (4 * from + byte) as u8;
                    byte += 1;
                }
            }
            e += 1;
        }
        mask += 1;
    }
    table
});

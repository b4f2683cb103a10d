//! Sets of byte values, in the two forms that vector levels look up.

/// A set of byte values.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct ByteSet {
    /// 0xff for a member, else 0.
    pub(super) members: [u8; 256],
    /// Bit `h mod 8` of entry `[h / 8][l]`: whether the value of nibbles `h` and `l` is a member.
    pub(super) nibbles: [[u8; 16]; 2],
}

impl ByteSet {
    /// The empty set.
    pub(super) fn new() -> Self {
        Self { members: [0; 256], nibbles: [[0; 16]; 2] }
    }

    /// Adds a value.
    pub(super) fn insert(&mut self, value: u8) {
        self.members[value as usize] = 0xff;
        let (high, low) = (value as usize / 16, value as usize % 16);
        self.nibbles[high / 8][low] |= 1 << (high % 8);
    }

    /// Whether a value is a member.
    pub(super) fn contains(&self, value: u8) -> bool {
        self.members[value as usize] != 0
    }
}

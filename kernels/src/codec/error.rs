//! What can go wrong in a row, as a code that a kernel can store and the host can name.

/// The cause of a failed row. Kernels write the code to the row's status word; 0 there means
/// success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[non_exhaustive]
pub enum RowError {
    /// The row's capacity is used up.
    CapacityExceeded = 1,
    /// The row ended before all symbols were popped.
    Truncated = 2,
    /// A symbol lies outside its table and bypass is off.
    SymbolOutOfRange = 3,
    /// An index names no table.
    IndexOutOfRange = 4,
    /// A symbol lies 2^30 or more outside its table: bypass digits cannot hold the distance.
    BypassDistance = 5,
    /// A state lies outside `[LOWER_BOUND, 2^(STATE_BITS-1))`: no push leaves one there.
    StateOutOfRange = 6,
    /// Bypass digits describe no symbol.
    BypassDigits = 7,
    /// A popped symbol does not fit the requested symbol type.
    SymbolWidth = 8,
    /// A model parameter lies outside its range.
    ParameterOutOfRange = 9,
}

impl RowError {
    /// The cause that a status word names; `None` for 0 and unknown codes.
    pub const fn from_code(code: u32) -> Option<Self> {
        Some(match code {
            1 => Self::CapacityExceeded,
            2 => Self::Truncated,
            3 => Self::SymbolOutOfRange,
            4 => Self::IndexOutOfRange,
            5 => Self::BypassDistance,
            6 => Self::StateOutOfRange,
            7 => Self::BypassDigits,
            8 => Self::SymbolWidth,
            9 => Self::ParameterOutOfRange,
            _ => return None,
        })
    }
}

/// A failed row: the cause, and the symbol (its position in the row) at which it was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowFault {
    /// The cause.
    pub error: RowError,
    /// Position in the row of the symbol at fault.
    pub position: usize,
}

impl RowError {
    /// The fault of this cause at a position in the row.
    #[inline]
    pub const fn at(self, position: usize) -> RowFault {
        RowFault { error: self, position }
    }
}

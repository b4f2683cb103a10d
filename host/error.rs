//! The library's one error type. Messages carry the values that explain them.

/// What went wrong. Every public function of the library that can fail returns this type.
///
/// The variants keep six causes distinct: an argument that cannot be right, bytes that are
/// damaged, bytes that end too early, something this build cannot do, content that needs other
/// content, and a device that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument has a value that no call could accept.
    #[error("invalid argument: {0}")]
    InvalidArgument(String),
    /// An array has another shape than the call needs.
    #[error("wrong shape of {what}: expected {expected}, got {got}")]
    Shape {
        /// What is shaped wrongly.
        what: &'static str,
        /// The shape that would fit.
        expected: String,
        /// The shape that came.
        got: String,
    },
    /// A row of probabilities, counts or cumulative frequencies makes no table.
    #[error("table {row}: {reason}")]
    InvalidTable {
        /// The row at fault.
        row: usize,
        /// What is wrong with it, with the value.
        reason: String,
    },
    /// A row of symbols could not be pushed, or a row of a stream not popped. The streams are as
    /// they were.
    #[error("row {row}, symbol {position}: {cause}")]
    Row {
        /// The row at fault.
        row: usize,
        /// Position in the row of the symbol at which it was noticed.
        position: usize,
        /// What went wrong there.
        cause: RowCause,
    },
    /// Coded bytes contradict themselves or their checksum.
    #[error("corrupt data: {0}")]
    Corrupt(String),
    /// Coded bytes end before what they announce.
    #[error("truncated data: {0}")]
    Truncated(String),
    /// The request is meaningful, but this build, version or back end cannot serve it.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// More content than the caller allows ([`ReadOptions`](crate::frame::ReadOptions)).
    #[error("{0}")]
    TooLarge(String),
    /// The [`Base`](crate::frame::Base) that content is coded against is missing or another one.
    #[error("{0}")]
    Base(String),
    /// A device, its driver or its memory failed.
    #[error("device error: {0}")]
    Device(String),
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// What a conversion that cannot fail fails with.
impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// What went wrong in one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowCause {
    /// A symbol lies outside its table and bypass is off.
    #[error("symbol {symbol} lies outside table {table} and bypass is off")]
    SymbolOutOfRange {
        /// The symbol.
        symbol: i32,
        /// Its index.
        table: i32,
    },
    /// An index names no table.
    #[error("index {index} names none of {tables} tables")]
    IndexOutOfRange {
        /// The index.
        index: i32,
        /// How many tables there are.
        tables: usize,
    },
    /// A symbol to push is no 32-bit integer.
    #[error("symbol {symbol} does not fit 32 bits")]
    SymbolTooLarge {
        /// The symbol.
        symbol: i64,
    },
    /// An index is larger than any table's.
    #[error("index {index} does not fit 31 bits")]
    IndexTooLarge {
        /// The index.
        index: u64,
    },
    /// A symbol lies too far outside its table for bypass digits.
    #[error("symbol {symbol} lies 2^30 or more outside table {table}: too far for bypass")]
    BypassDistance {
        /// The symbol.
        symbol: i32,
        /// Its index.
        table: i32,
    },
    /// A model parameter lies outside its range.
    #[error("a model parameter lies outside its range")]
    ParameterOutOfRange,
    /// A popped symbol does not fit the symbol type asked for.
    #[error("the symbol does not fit the symbol type asked for")]
    SymbolWidth,
    /// The row ends before all symbols were popped.
    #[error("the row is truncated: it ends before all symbols were popped")]
    Truncated,
    /// A state lies outside the family's range.
    #[error("the row is corrupt: a state lies outside the family's range")]
    StateOutOfRange,
    /// Bypass digits describe no symbol.
    #[error("the row is corrupt: its bypass digits describe no symbol")]
    BypassDigits,
    /// After all symbols the states are not initial or words are left.
    #[error("the row is corrupt: its final state is not the family's start value")]
    FinalState,
    /// The row does not stand where one of its checkpoints says.
    #[error("the row or its checkpoints are corrupt: they do not meet here")]
    Checkpoint,
    /// The row's capacity is used up.
    #[error("the row's capacity is used up")]
    CapacityExceeded,
}

/// A result with the library's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

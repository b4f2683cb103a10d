//! The library's one error type. Messages carry the values that explain them.

/// What went wrong. Every public function of the library that can fail returns this type.
///
/// The variants keep five causes distinct: an argument that cannot be right, bytes that are damaged, bytes that end
/// too early, something this build cannot do, and a device that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument has a value that no call could accept.
    #[error("invalid argument: {0}")]
    InvalidArgument(String),
    /// Coded bytes contradict themselves or their checksum.
    #[error("corrupt data: {0}")]
    Corrupt(String),
    /// Coded bytes end before what they announce.
    #[error("truncated data: {0}")]
    Truncated(String),
    /// The request is meaningful, but this build, version or back end cannot serve it.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// A device, its driver or its memory failed.
    #[error("device error: {0}")]
    Device(String),
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// A result with the library's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

//! What can go wrong on the device, said precisely enough to find the line of PTX that did it.

use std::fmt;

/// PTX text that cannot be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct ParseError {
    /// Line of the PTX text, from 1.
    pub line: u32,
    /// Column in bytes, from 1.
    pub column: u32,
    /// What is wrong there.
    pub message: String,
}

/// Where in a launch something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Entry point that was launched.
    pub kernel: String,
    /// Block index in the grid.
    pub block: [u32; 3],
    /// Thread index in the block.
    pub thread: [u32; 3],
    /// Line of the PTX text, from 1.
    pub line: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (b, t) = (self.block, self.thread);
        write!(f, "{} block ({}, {}, {}) ", self.kernel, b[0], b[1], b[2])?;
        write!(f, "thread ({}, {}, {}) PTX line {}", t[0], t[1], t[2], self.line)
    }
}

/// A memory of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Space {
    /// Global memory, and constant memory with it.
    Global,
    /// Shared memory of a block.
    Shared,
    /// Local memory of a thread.
    Local,
    /// Kernel and function parameters.
    Param,
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Global => "global",
            Self::Shared => "shared",
            Self::Local => "local",
            Self::Param => "param",
        })
    }
}

/// What an access did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// A load.
    Read,
    /// A store.
    Write,
    /// An atomic read-modify-write.
    Atomic,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Atomic => "atomic",
        })
    }
}

/// One access of memory by one thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Who did it.
    pub at: Location,
    /// Read, write or atomic.
    pub action: Action,
    /// Which memory.
    pub space: Space,
    /// Address in that memory (for global memory the device address).
    pub address: u64,
    /// Bytes accessed.
    pub size: u32,
    /// The allocation nearest to the address, in words; empty where there is none.
    pub nearest: String,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, action, space, address, size, nearest } = self;
        write!(f, "{action} of {size} bytes at {space} {address:#x} by {at}")?;
        if nearest.is_empty() { Ok(()) } else { write!(f, " ({nearest})") }
    }
}

/// An `assert` of device code that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// Who called it.
    pub at: Location,
    /// The condition, as the source states it.
    pub message: String,
    /// The source file.
    pub file: String,
    /// The line of the source file.
    pub source_line: u32,
    /// The function of the source.
    pub function: String,
}

impl fmt::Display for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, message, file, source_line, function } = self;
        write!(f, "assertion `{message}` failed, {file}:{source_line} in {function}, by {at}")
    }
}

/// Why a device call failed. A fault inside a kernel ends the launch; memory keeps what was written
/// until then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The device's capacity is used up.
    #[error("out of device memory: {requested} bytes asked for, {free} free")]
    OutOfMemory {
        /// Bytes asked for.
        requested: u64,
        /// Bytes left.
        free: u64,
    },
    /// A host call named device memory that is not (or no longer) allocated.
    #[error("invalid device range {address:#x} + {len} ({nearest})")]
    InvalidRange {
        /// First address.
        address: u64,
        /// Bytes.
        len: u64,
        /// The allocation nearest to it, in words.
        nearest: String,
    },
    /// A host call read device memory that nothing has written.
    #[error("host read of device memory never written, first at {address:#x}")]
    HostUninitialised {
        /// First such address.
        address: u64,
    },
    /// The launch itself is wrong: no such entry, a grid or block out of limits, parameters of the
    /// wrong size.
    #[error("invalid launch: {0}")]
    InvalidLaunch(String),
    /// An access outside every allocation.
    #[error("out of bounds: {0}")]
    OutOfBounds(Box<Access>),
    /// An address that is no multiple of the access size.
    #[error("misaligned: {0}")]
    Misaligned(Box<Access>),
    /// An access of an allocation that has been freed.
    #[error("use after free: {0}")]
    UseAfterFree(Box<Access>),
    /// A read of bytes that nothing has written.
    #[error("uninitialised: {0}")]
    Uninitialised(Box<Access>),
    /// A write to constant memory or to a parameter.
    #[error("read-only memory: {0}")]
    ReadOnly(Box<Access>),
    /// Two threads touched the same shared byte with nothing ordering them, at least one of them
    /// writing.
    #[error("shared memory race: {access}; {other_action} before it by thread {other_thread:?}")]
    Race {
        /// The later access.
        access: Box<Access>,
        /// What the earlier one did.
        other_action: Action,
        /// Thread index of the earlier one; `None` where several threads had read.
        other_thread: Option<[u32; 3]>,
    },
    /// A `.sync` instruction whose mask cannot be met.
    #[error("invalid sync mask {mask:#010x}: {reason}, at {at}")]
    InvalidSync {
        /// The first lane that executed it.
        at: Location,
        /// The mask it gave.
        mask: u32,
        /// What is wrong with it.
        reason: String,
    },
    /// Threads of a block wait at a barrier that the others will never reach, or a warp reaches an
    /// aligned barrier diverged.
    #[error("barrier divergence: {reason}, at {at}")]
    BarrierDivergence {
        /// A thread that waits.
        at: Location,
        /// Who waits for whom.
        reason: String,
    },
    /// A `trap` or `brkpt` instruction.
    #[error("trap at {0}")]
    Trap(Location),
    /// A failed `assert`: a call of `__assertfail`.
    #[error("{0}")]
    Assert(Box<Assertion>),
    /// The watchdog: a block has executed [`DeviceModel::instruction_limit`](crate::DeviceModel)
    /// instructions.
    #[error("instruction limit of {limit} reached at {at}")]
    InstructionLimit {
        /// Where the block was.
        at: Location,
        /// The limit.
        limit: u64,
    },
    /// Device function calls nested too deeply, or out of local memory.
    #[error("call stack overflow at {0}")]
    CallDepth(Location),
    /// An operation with operands the device cannot execute, found only at run time.
    #[error("{what}, at {at}")]
    Unsupported {
        /// Who met it.
        at: Location,
        /// What it was.
        what: String,
    },
}

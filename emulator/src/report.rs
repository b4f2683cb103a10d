//! The counters of a launch: what it would have cost, in the units a profiler uses.

use std::fmt;
use std::ops::AddAssign;

/// Classes of instructions, as [`Report`] counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Class {
    /// Integer arithmetic, logic, moves, selects, predicates and conversions between integers.
    Integer,
    /// Floating point, conversions from and to it included.
    Float,
    /// Loads and stores of global (and constant) memory.
    Global,
    /// Loads and stores of shared memory.
    Shared,
    /// Loads and stores of local memory.
    Local,
    /// Loads and stores of parameters.
    Param,
    /// Branches, calls, returns.
    Control,
    /// Vote, shuffle, match, reduce, elect and activemask.
    Warp,
    /// Atomics and reductions on memory.
    Atomic,
    /// Barriers and fences.
    Barrier,
    /// Everything else.
    Other,
}

impl Class {
    /// All classes, in the order of [`Report::warp_instructions`].
    pub const ALL: [Self; 11] = [
        Self::Integer,
        Self::Float,
        Self::Global,
        Self::Shared,
        Self::Local,
        Self::Param,
        Self::Control,
        Self::Warp,
        Self::Atomic,
        Self::Barrier,
        Self::Other,
    ];

    /// The name a report prints.
    pub fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Global => "global",
            Self::Shared => "shared",
            Self::Local => "local",
            Self::Param => "param",
            Self::Control => "control",
            Self::Warp => "vote/shuffle",
            Self::Atomic => "atomic",
            Self::Barrier => "barrier",
            Self::Other => "other",
        }
    }
}

/// Counters of one launch. A *warp instruction* is one PTX instruction issued for a warp or for a
/// diverged part of one; *thread instructions* counts the lanes it was active in. They are PTX
/// instructions: a GPU executes the SASS that ptxas makes of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Blocks executed.
    pub blocks: u64,
    /// Warps executed.
    pub warps: u64,
    /// Warp instructions by class; index with [`Report::class`].
    pub warp_instructions: [u64; 11],
    /// Lanes active in them, summed.
    pub thread_instructions: u64,
    /// Conditional or indirect branches whose lanes went different ways.
    pub divergent_branches: u64,
    /// Warp instructions that accessed global memory.
    pub global_requests: u64,
    /// Distinct 32-byte sectors they touched, summed over the requests.
    pub global_sectors: u64,
    /// Bytes that lanes loaded from global memory.
    pub global_bytes_read: u64,
    /// Bytes that lanes stored to global memory, atomics included.
    pub global_bytes_written: u64,
    /// Warp instructions that accessed shared memory.
    pub shared_requests: u64,
    /// Wavefronts they take over 32 banks of 4 bytes; equal to the requests where there are no
    /// conflicts and no access is wider than 4 bytes per lane.
    pub shared_wavefronts: u64,
    /// Block barriers completed.
    pub barriers: u64,
}

impl Report {
    /// Warp instructions of one class.
    pub fn class(&self, class: Class) -> u64 {
        self.warp_instructions[class as usize]
    }

    /// All warp instructions.
    pub fn total(&self) -> u64 {
        self.warp_instructions.iter().sum()
    }

    /// The same counters divided by a number of coded symbols.
    pub fn per_symbol(&self, symbols: u64) -> PerSymbol {
        let n = symbols.max(1) as f64;
        PerSymbol {
            warp_instructions: self.total() as f64 / n,
            thread_instructions: self.thread_instructions as f64 / n,
            global_bytes: (self.global_bytes_read + self.global_bytes_written) as f64 / n,
            global_sectors: self.global_sectors as f64 / n,
            shared_wavefronts: self.shared_wavefronts as f64 / n,
            divergent_branches: self.divergent_branches as f64 / n,
        }
    }
}

/// Counters for each coded symbol, from [`Report::per_symbol`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct PerSymbol {
    /// Warp instructions.
    pub warp_instructions: f64,
    /// Thread instructions.
    pub thread_instructions: f64,
    /// Bytes loaded from and stored to global memory by the lanes.
    pub global_bytes: f64,
    /// Global sectors of 32 bytes.
    pub global_sectors: f64,
    /// Shared-memory wavefronts.
    pub shared_wavefronts: f64,
    /// Divergent branches.
    pub divergent_branches: f64,
}

impl fmt::Display for PerSymbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "per symbol: {:.3} warp instructions, {:.2} thread instructions, {:.2} global bytes, \
             {:.3} sectors, {:.3} shared wavefronts, {:.4} divergent branches",
            self.warp_instructions,
            self.thread_instructions,
            self.global_bytes,
            self.global_sectors,
            self.shared_wavefronts,
            self.divergent_branches
        )
    }
}

impl AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        self.blocks += other.blocks;
        self.warps += other.warps;
        for (sum, more) in self.warp_instructions.iter_mut().zip(other.warp_instructions) {
            *sum += more;
        }
        self.thread_instructions += other.thread_instructions;
        self.divergent_branches += other.divergent_branches;
        self.global_requests += other.global_requests;
        self.global_sectors += other.global_sectors;
        self.global_bytes_read += other.global_bytes_read;
        self.global_bytes_written += other.global_bytes_written;
        self.shared_requests += other.shared_requests;
        self.shared_wavefronts += other.shared_wavefronts;
        self.barriers += other.barriers;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} blocks, {} warps", self.blocks, self.warps)?;
        writeln!(
            f,
            "warp instructions {}, thread instructions {}",
            self.total(),
            self.thread_instructions
        )?;
        for class in Class::ALL {
            if self.class(class) != 0 {
                writeln!(f, "  {:<12} {}", class.name(), self.class(class))?;
            }
        }
        writeln!(f, "divergent branches {}", self.divergent_branches)?;
        writeln!(
            f,
            "global: {} requests, {} sectors, {} bytes read, {} written",
            self.global_requests,
            self.global_sectors,
            self.global_bytes_read,
            self.global_bytes_written
        )?;
        write!(
            f,
            "shared: {} requests, {} wavefronts; barriers {}",
            self.shared_requests, self.shared_wavefronts, self.barriers
        )
    }
}

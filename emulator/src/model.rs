//! What a software device claims to be: its name, its limits and which checks it makes.
//!
//! The numbers are those the CUDA documentation gives for the compute capability, because host code
//! plans grids and shared memory from them; nothing here pretends to be one particular board.

/// The description of a software device. Every field may be changed before
/// [`Device::new`](crate::Device::new).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceModel {
    /// The name a host program sees.
    pub name: String,
    /// Compute capability, major and minor: `(9, 0)` is sm_90.
    pub compute_capability: (u32, u32),
    /// Streaming multiprocessors. Host code sizes its grids by it; the emulator's own threads are
    /// rayon's.
    pub multiprocessors: u32,
    /// Bytes of global memory; an allocation beyond it is
    /// [`Fault::OutOfMemory`](crate::Fault::OutOfMemory).
    pub total_memory: u64,
    /// Largest block, in threads.
    pub max_threads_per_block: u32,
    /// Largest block in each dimension.
    pub max_block: [u32; 3],
    /// Largest grid in each dimension.
    pub max_grid: [u32; 3],
    /// Shared memory of a block that needs no opt-in, in bytes.
    pub shared_per_block: u32,
    /// Shared memory of a block with opt-in, in bytes: the launch limit.
    pub shared_per_block_optin: u32,
    /// Shared memory of a multiprocessor, in bytes.
    pub shared_per_multiprocessor: u32,
    /// 32-bit registers of a block and of a multiprocessor.
    pub registers: u32,
    /// Threads resident on a multiprocessor.
    pub threads_per_multiprocessor: u32,
    /// Blocks resident on a multiprocessor.
    pub blocks_per_multiprocessor: u32,
    /// Constant memory, in bytes.
    pub constant_memory: u32,
    /// The L2 cache, in bytes.
    pub l2_bytes: u32,
    /// Core clock in kHz: reported only, nothing is timed with it.
    pub clock_khz: u32,
    /// Memory clock in kHz: reported only.
    pub memory_clock_khz: u32,
    /// Memory bus width in bits: reported only.
    pub memory_bus_bits: u32,
    /// Local memory of one thread, in bytes.
    pub local_per_thread: u32,
    /// Deepest nesting of device function calls.
    pub call_depth: u32,
    /// The watchdog: warp instructions one block may execute before it is stopped with
    /// [`Fault::InstructionLimit`](crate::Fault::InstructionLimit).
    pub instruction_limit: u64,
    /// Which checks launches make.
    pub checks: Checks,
}

/// Which checks a launch makes. Bounds, alignment and use after free are always checked: they are
/// what keeps the emulator itself inside its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checks {
    /// Reads of global, shared or local bytes that nothing has written are faults.
    pub uninitialised: bool,
    /// Conflicting accesses of shared memory with no barrier between them are faults.
    pub races: bool,
    /// A lane that a `.sync` mask names and that has already exited is a fault. The ISA lets such a
    /// lane be named ("all non-exited threads"), but the same wording hides the commonest bug of
    /// warp code, a vote inside a branch that part of the warp skipped. Lanes that never existed (a
    /// block that is no multiple of
    /// 32) may always be named.
    pub exited_lanes: bool,
}

impl Checks {
    /// Every check.
    pub const ALL: Self = Self { uninitialised: true, races: true, exited_lanes: true };
    /// Only what is always on, for speed.
    pub const MINIMAL: Self = Self { uninitialised: false, races: false, exited_lanes: false };
}

impl Default for Checks {
    fn default() -> Self {
        Self::ALL
    }
}

impl DeviceModel {
    /// A device of compute capability 9.0: 'Parans Software Device', 4 GiB, the limits of sm_90.
    pub fn sm_90() -> Self {
        Self {
            name: "Parans Software Device".to_owned(),
            compute_capability: (9, 0),
            multiprocessors: 16,
            total_memory: 4 << 30,
            max_threads_per_block: 1024,
            max_block: [1024, 1024, 64],
            max_grid: [i32::MAX as u32, 65535, 65535],
            shared_per_block: 48 << 10,
            shared_per_block_optin: 227 << 10,
            shared_per_multiprocessor: 228 << 10,
            registers: 64 << 10,
            threads_per_multiprocessor: 2048,
            blocks_per_multiprocessor: 32,
            constant_memory: 64 << 10,
            l2_bytes: 50 << 20,
            clock_khz: 1_755_000,
            memory_clock_khz: 2_619_000,
            memory_bus_bits: 5120,
            local_per_thread: 512 << 10,
            call_depth: 256,
            instruction_limit: 2_000_000_000,
            checks: Checks::ALL,
        }
    }

    /// The same device with another capacity, in bytes.
    pub fn with_memory(mut self, bytes: u64) -> Self {
        self.total_memory = bytes;
        self
    }

    /// The same device with other checks.
    pub fn with_checks(mut self, checks: Checks) -> Self {
        self.checks = checks;
        self
    }

    /// The same device with another watchdog limit, in warp instructions of one block.
    pub fn with_instruction_limit(mut self, limit: u64) -> Self {
        self.instruction_limit = limit;
        self
    }
}

impl Default for DeviceModel {
    fn default() -> Self {
        Self::sm_90()
    }
}

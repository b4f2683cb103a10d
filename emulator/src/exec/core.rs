//! What the warps of a running block share, and how a fault gets its place.

use std::time::Instant;

use crate::ir::Program;
use crate::memory::global::{Allocation, Memory, Table};
use crate::memory::shared::Shared;
use crate::{Access, Action, Checks, Fault, Launch, Location, Report, Space};

/// A step of execution. The fault is boxed because it is large and never happens twice.
pub(crate) type Step<T = ()> = Result<T, Box<Fault>>;

/// Everything that is the same for all blocks of a launch.
#[derive(Debug)]
pub(crate) struct Context<'l> {
    pub(crate) program: &'l Program,
    pub(crate) params: &'l [u8],
    pub(crate) launch: Launch,
    pub(crate) memory: &'l Memory,
    pub(crate) table: &'l Table,
    pub(crate) checks: Checks,
    pub(crate) instruction_limit: u64,
    pub(crate) call_depth: u32,
    pub(crate) local_limit: u32,
    pub(crate) multiprocessors: u32,
    pub(crate) started: Instant,
}

impl Context<'_> {
    /// Threads of a block.
    pub(crate) fn threads(&self) -> u32 {
        self.launch.block.iter().product()
    }

    /// A thread's index from its number in the block.
    pub(crate) fn thread(&self, number: u32) -> [u32; 3] {
        let [x, y, _] = self.launch.block;
        [number % x, number / x % y, number / (x * y)]
    }
}

/// One of the sixteen barriers of a block.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Barrier {
    /// Threads to wait for, where an instruction gave a count.
    pub(crate) expected: Option<u32>,
    /// Threads that wait.
    pub(crate) waiting: u32,
    /// Threads that arrived and went on.
    pub(crate) passed: u32,
    /// Warps of those.
    pub(crate) passed_warps: u64,
    /// For reductions: how many predicates were true, and whether any was false.
    pub(crate) popc: u32,
    pub(crate) any_false: bool,
}

/// State of a running block beside its warps.
#[derive(Debug)]
pub(crate) struct Core<'l> {
    pub(crate) context: &'l Context<'l>,
    pub(crate) block: [u32; 3],
    /// The block's number in the grid.
    pub(crate) number: u64,
    pub(crate) shared: Shared,
    pub(crate) report: Report,
    pub(crate) barriers: [Barrier; 16],
    pub(crate) live_threads: u32,
    pub(crate) executed: u64,
    /// The allocation that was accessed last.
    pub(crate) recent: Option<&'l Allocation>,
}

impl<'l> Core<'l> {
    /// Where a thread of this block is.
    pub(crate) fn location(&self, warp: usize, lane: usize, line: u32) -> Location {
        Location {
            kernel: self.context.program.name.clone(),
            block: self.block,
            thread: self.context.thread((warp * 32 + lane) as u32),
            line,
        }
    }

    /// Describes an access of global memory, or one whose place is in its space.
    pub(crate) fn access(
        &self,
        at: Location,
        action: Action,
        space: Space,
        address: u64,
        size: u32,
    ) -> Box<Access> {
        let nearest = match space {
            Space::Global => self.context.memory.describe(address),
            Space::Shared => format!("the block has {} bytes", self.shared.len()),
            Space::Local | Space::Param => String::new(),
        };
        Box::new(Access { at, action, space, address, size, nearest })
    }

    /// The live allocation that holds an address.
    #[inline]
    pub(crate) fn find(&mut self, address: u64) -> Option<&'l Allocation> {
        match self.recent {
            Some(recent) if address.wrapping_sub(recent.base) < recent.bytes => Some(recent),
            _ => {
                let found = crate::memory::global::find(self.context.table, address)?;
                self.recent = Some(found);
                Some(found)
            }
        }
    }

    /// The text in global memory that ends in a zero, as far as it is there.
    pub(crate) fn text(&mut self, address: u64) -> String {
        /// More than any assertion says.
        const LONGEST: u64 = 512;
        let bytes = (0..LONGEST).map_while(|at| {
            let address = address.wrapping_add(at);
            let byte = self.find(address).map(|found| found.load(address - found.base, 1) as u8);
            byte.filter(|&byte| byte != 0)
        });
        String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
    }
}

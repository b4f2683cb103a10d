//! The lanes of one row as a group of threads.

use super::simt::Simt;

/// How many lanes a row has, as far as it is a constant of the kernel.
pub trait Mapping: Copy {
    /// The lane count, or 0 where only the launch says it.
    const LANES: u32;
    /// Whether the threads of a warp vote together, also those of different rows.
    const IN_STEP: bool = Self::LANES != 1;
}

/// One lane per row, a thread per row: no exchange between threads at all.
#[derive(Clone, Copy, Debug)]
pub struct Thread;
/// One lane per row, a thread per row, and the rows of a warp in step.
#[derive(Clone, Copy, Debug)]
pub struct ThreadInStep;
/// 2 lanes per row, 16 rows per warp.
#[derive(Clone, Copy, Debug)]
pub struct Pair;
/// 2, 4, 8 or 16 lanes per row, several rows per warp.
#[derive(Clone, Copy, Debug)]
pub struct PartOfWarp;
/// 32 lanes a row, a warp a row.
#[derive(Clone, Copy, Debug)]
pub struct Warp;

impl Mapping for Thread {
    const LANES: u32 = 1;
}
impl Mapping for ThreadInStep {
    const LANES: u32 = 1;
    const IN_STEP: bool = true;
}
impl Mapping for Pair {
    const LANES: u32 = 2;
}
impl Mapping for PartOfWarp {
    const LANES: u32 = 0;
}
impl Mapping for Warp {
    const LANES: u32 = 32;
}

/// A thread's place among the lanes of its row. Masks have a bit for each thread of the warp.
#[derive(Clone, Copy, Debug)]
pub struct Group<S, M> {
    simt: S,
    mapping: core::marker::PhantomData<M>,
    lanes: u32,
    /// The thread's lane in its row.
    pub lane: u32,
    /// The first thread of the group in the warp.
    first: u32,
    /// The threads of the group.
    members: u32,
    /// The lanes before this one.
    pub before: u32,
    /// The lanes after this one.
    pub after: u32,
}

impl<S: Simt, M: Mapping> Group<S, M> {
    /// The calling thread's group, and its row.
    #[inline(always)]
    pub fn new(simt: S, lanes: u32) -> (Self, u32) {
        let lanes = if M::LANES == 0 { lanes } else { M::LANES };
        let thread = simt.thread();
        let lane = thread & (lanes - 1);
        let first = thread & 31 & !(lanes - 1);
        let members = (u32::MAX >> (32 - lanes)) << first;
        let own = 1 << (first + lane);
        let below = own - 1;
        let group = Self {
            simt,
            mapping: core::marker::PhantomData,
            lanes,
            lane,
            first,
            members,
            before: members & below,
            after: members & !(below | own),
        };
        let log2 = lanes.trailing_zeros();
        (group, simt.block() * (simt.block_threads() >> log2) + (thread >> log2))
    }

    /// The machine.
    #[inline(always)]
    pub fn simt(&self) -> S {
        self.simt
    }

    /// Lanes a row.
    #[inline(always)]
    pub fn lanes(&self) -> u32 {
        if M::LANES == 0 { self.lanes } else { M::LANES }
    }

    /// Whether any thread that works in step with this one says yes: the warp's, or this one alone.
    #[inline(always)]
    pub fn any_in_step(&self, yes: bool) -> bool {
        if M::IN_STEP { self.simt.any(yes) } else { yes }
    }

    /// The lanes of the row that say yes.
    #[inline(always)]
    pub fn ballot(&self, yes: bool) -> u32 {
        match M::LANES {
            1 => u32::from(yes) << self.first,
            32 => self.simt.ballot(yes),
            _ => self.simt.ballot(yes) & self.members,
        }
    }

    /// Of the lanes that say yes, how many are in `side` (`before` or `after`), and how many there
    /// are.
    #[inline(always)]
    pub fn ranks(&self, yes: bool, side: u32) -> (u32, u32) {
        if M::LANES == 1 {
            return (0, u32::from(yes));
        }
        let votes = self.simt.ballot(yes);
        let of_row = if M::LANES == 32 { votes } else { votes & self.members };
        ((votes & side).count_ones(), of_row.count_ones())
    }

    /// The lanes of the warp's rows all of whose lanes say yes. Only for rows in step.
    #[inline(always)]
    pub fn whole_rows(&self, yes: bool) -> u32 {
        let whole = self.simt.ballot(yes) & self.members == self.members;
        self.simt.ballot(whole)
    }

    /// Whether this thread's row is among those of [`whole_rows`](Self::whole_rows).
    #[inline(always)]
    pub fn is_in(&self, rows: u32) -> bool {
        rows & self.members != 0
    }

    /// The value that this thread's lane has in the first of some rows.
    #[inline(always)]
    pub fn of_first(&self, rows: u32, value: u32) -> u32 {
        let first = rows.trailing_zeros() & !(self.lanes() - 1);
        self.simt.shuffle(value, first + self.lane)
    }

    /// Of one or two lanes: four symbols side by side in each lane become four groups.
    #[inline(always)]
    pub fn deal(&self, [a, b, c, d]: [i32; 4]) -> [i32; 4] {
        if M::LANES == 1 {
            return [a, b, c, d];
        }
        let last = self.lane != 0;
        let (first, second) = if last { (a, c) } else { (b, d) };
        let (first, second) = (self.of_other(first), self.of_other(second));
        if last { [first, second, b, d] } else { [a, c, first, second] }
    }

    /// Undoes [`deal`](Self::deal).
    #[inline(always)]
    pub fn collect(&self, [a, b, c, d]: [i32; 4]) -> [i32; 4] {
        if M::LANES == 1 {
            return [a, b, c, d];
        }
        let last = self.lane != 0;
        let (first, second) = if last { (a, b) } else { (c, d) };
        let (first, second) = (self.of_other(first), self.of_other(second));
        if last { [first, c, second, d] } else { [a, first, b, second] }
    }

    /// The value of the other of two lanes.
    #[inline(always)]
    fn of_other(&self, value: i32) -> i32 {
        self.simt.shuffle(value as u32, (self.first + self.lane) ^ 1) as i32
    }

    /// The value of one lane of the row, for all of them. `lane` is the same for all lanes of a
    /// row.
    #[inline(always)]
    pub fn broadcast(&self, value: u32, lane: u32) -> u32 {
        if M::LANES == 1 { value } else { self.simt.shuffle(value, self.first + lane) }
    }

    /// The value that the lane `distance` after this one has; where there is none, any.
    #[inline(always)]
    pub fn of_later(&self, value: u32, distance: u32) -> u32 {
        let source = (self.lane + distance) & (self.lanes() - 1);
        self.simt.shuffle(value, self.first + source)
    }

    /// The value that the lane `distance` before this one has; where there is none, any.
    #[inline(always)]
    fn of_earlier(&self, value: u32, distance: u32) -> u32 {
        let source = self.lane.wrapping_sub(distance) & (self.lanes() - 1);
        self.simt.shuffle(value, self.first + source)
    }

    /// The sum of this lane's value and those of the row's lanes after it.
    #[inline(always)]
    pub fn sum_from(&self, mut value: u32) -> u32 {
        let mut distance = 1;
        while distance < self.lanes() {
            let other = self.of_later(value, distance);
            value += if self.lane + distance < self.lanes() { other } else { 0 };
            distance <<= 1;
        }
        value
    }

    /// The sum of this lane's value and those of the row's lanes before it.
    #[inline(always)]
    pub fn sum_up_to(&self, mut value: u32) -> u32 {
        let mut distance = 1;
        while distance < self.lanes() {
            let other = self.of_earlier(value, distance);
            value += if self.lane >= distance { other } else { 0 };
            distance <<= 1;
        }
        value
    }

    /// Sums counts below `2^bits` of the row's lanes: over the lanes in `side` (`before` or
    /// `after`), and over all.
    ///
    /// A ballot for each bit of the counts, instead of the five dependent shuffles of a prefix sum:
    /// rANS emits at most three words per symbol, so one or two ballots do.
    #[inline(always)]
    pub fn sums(&self, count: u32, bits: u32, side: u32) -> (u32, u32) {
        if M::LANES == 1 {
            return (0, count);
        }
        let (mut there, mut all) = (0, 0);
        let mut bit = 0;
        while bit < bits {
            let votes = self.ballot(count >> bit & 1 != 0);
            there += (votes & side).count_ones() << bit;
            all += votes.count_ones() << bit;
            bit += 1;
        }
        (there, all)
    }

    /// The lowest lane of a [`ballot`](Self::ballot)'s result; its lane count where there is none.
    #[inline(always)]
    pub fn lowest(&self, votes: u32) -> u32 {
        if votes == 0 { self.lanes() } else { votes.trailing_zeros() - self.first }
    }

    /// The smallest value of all lanes of the row.
    #[inline(always)]
    pub fn min(&self, mut value: u32) -> u32 {
        let mut distance = 1;
        while distance < self.lanes() {
            value = value.min(self.simt.shuffle(value, (self.first + self.lane) ^ distance));
            distance <<= 1;
        }
        value
    }
}

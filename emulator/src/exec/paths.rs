//! The diverged parts of a warp, and where they meet again.
//!
//! Lanes at one place in the code are a [`Path`]. A branch that splits a path leaves a [`Join`]
//! that names the lanes to wait for and the place (the branch's immediate post-dominator, where
//! `lower` put an `Op::Join`); paths that arrive wait there until all named lanes have arrived,
//! left or exited. A join only saves work: any path may be let go early, which is how a lane that
//! spins for another lane's progress gets it. The joins of a path form a chain, innermost first,
//! and its lanes are pending in every join of the chain.

use super::frame::Frame;
use crate::ir::NONE;

/// A part of a warp whose lanes are at the same place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path {
    pub(crate) pc: u32,
    /// Its lanes; empty for a path that is no more.
    pub(crate) mask: u32,
    pub(crate) frame: usize,
    /// The innermost join, or `NONE`.
    pub(crate) join: u32,
    pub(crate) state: State,
}

/// What a path does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It can run.
    Ready,
    /// It waits at its innermost join.
    Joined,
    /// It waits for the other lanes of a `.sync` mask.
    Sync(u32),
    /// It waits at a barrier of the block.
    Barrier(u8),
}

/// Where paths meet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Join {
    /// The place, or `NONE` for the return from `frame`.
    pc: u32,
    frame: usize,
    /// Lanes that may still arrive.
    pending: u32,
    parent: u32,
}

/// All paths of a warp.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    pub(crate) all: Vec<Path>,
    joins: Vec<Join>,
    free_joins: Vec<u32>,
    pub(crate) frames: Vec<Frame>,
    pub(crate) free_frames: Vec<usize>,
}

impl Paths {
    /// Starts with one path at the entry.
    pub(crate) fn begin(&mut self, mask: u32) {
        self.all.clear();
        self.joins.clear();
        self.free_joins.clear();
        self.free_frames.clear();
        self.free_frames.extend(1..self.frames.len());
        self.all.push(Path { pc: 0, mask, frame: 0, join: NONE, state: State::Ready });
    }

    pub(crate) fn push_join(&mut self, pc: u32, frame: usize, pending: u32, parent: u32) -> u32 {
        let join = Join { pc, frame, pending, parent };
        match self.free_joins.pop() {
            Some(at) => {
                self.joins[at as usize] = join;
                at
            }
            None => {
                self.joins.push(join);
                self.joins.len() as u32 - 1
            }
        }
    }

    /// Whether a path's innermost join is this place.
    pub(crate) fn is_join(&self, join: u32, pc: u32, frame: usize) -> bool {
        join != NONE && {
            let join = &self.joins[join as usize];
            join.pc == pc && join.frame == frame
        }
    }

    /// Whether a chain of joins has this place.
    pub(crate) fn has_join(&self, mut join: u32, pc: u32, frame: usize) -> bool {
        while join != NONE && !self.is_join(join, pc, frame) {
            join = self.joins[join as usize].parent;
        }
        join != NONE
    }

    /// A path has come to a place where joins may be (`NONE`: the return from its frame). If one of
    /// its chain is here, it leaves those inside that one and waits; returns whether it does.
    pub(crate) fn arrive(&mut self, path: usize, pc: u32) -> bool {
        let (frame, mask) = (self.all[path].frame, self.all[path].mask);
        let mut at = self.all[path].join;
        while at != NONE && !self.is_join(at, pc, frame) {
            at = self.joins[at as usize].parent;
        }
        if at == NONE {
            return false;
        }
        while self.all[path].join != at {
            let inner = self.all[path].join;
            self.all[path].join = self.joins[inner as usize].parent;
            self.leave(inner, mask);
        }
        self.all[path].state = State::Joined;
        self.settle(at);
        true
    }

    /// Lanes will not come to a join any more.
    fn leave(&mut self, join: u32, lanes: u32) {
        self.joins[join as usize].pending &= !lanes;
        self.settle(join);
    }

    /// Merges the paths at a join if every pending lane is there, and retires a join that nobody
    /// will come to.
    fn settle(&mut self, join: u32) {
        let Join { pending, parent, .. } = self.joins[join as usize];
        let here = |p: &Path| p.mask != 0 && p.state == State::Joined && p.join == join;
        let arrived = self.all.iter().filter(|p| here(p)).fold(0, |m, p| m | p.mask);
        if arrived != pending {
            return;
        }
        let mut merged = false;
        for path in &mut self.all {
            if path.mask != 0 && path.state == State::Joined && path.join == join {
                if merged {
                    path.mask = 0;
                } else {
                    (path.mask, path.join, path.state) = (pending, parent, State::Ready);
                    merged = true;
                }
            }
        }
        self.free_joins.push(join);
    }

    /// Lanes of a path exit: they leave all its joins and frames. The path keeps the rest.
    pub(crate) fn exit(&mut self, path: usize, lanes: u32) {
        let (mut join, mut frame) = (self.all[path].join, self.all[path].frame);
        self.all[path].mask &= !lanes;
        while join != NONE {
            let parent = self.joins[join as usize].parent;
            self.leave(join, lanes);
            join = parent;
        }
        while self.frames[frame].depth > 0 {
            let parent = self.frames[frame].parent;
            self.drop_lanes(frame, lanes);
            frame = parent;
        }
    }

    /// Lanes are done with a frame.
    pub(crate) fn drop_lanes(&mut self, frame: usize, lanes: u32) {
        self.frames[frame].lanes &= !lanes;
        if self.frames[frame].lanes == 0 && frame != 0 {
            self.free_frames.push(frame);
        }
    }

    /// A path that returns has waited at its frame's return join, or was let go: it leaves what
    /// joins of the frame it is still in.
    pub(crate) fn leave_frame(&mut self, path: usize) {
        let (frame, mask) = (self.all[path].frame, self.all[path].mask);
        loop {
            let join = self.all[path].join;
            if join == NONE || self.joins[join as usize].frame != frame {
                return;
            }
            self.all[path].join = self.joins[join as usize].parent;
            self.leave(join, mask);
        }
    }

    /// Lets every path that waits at a join go. Returns whether there were any.
    pub(crate) fn release(&mut self) -> bool {
        let mut any = false;
        for path in 0..self.all.len() {
            let Path { mask, join, state, .. } = self.all[path];
            if mask == 0 || state != State::Joined {
                continue;
            }
            any = true;
            self.all[path].join = self.joins[join as usize].parent;
            self.all[path].state = State::Ready;
            self.leave(join, mask);
        }
        any
    }

    /// Whether a path waits at a join.
    pub(crate) fn any_joined(&self) -> bool {
        self.all.iter().any(|p| p.mask != 0 && p.state == State::Joined)
    }

    /// Merges ready paths at the same place with the same joins.
    pub(crate) fn merge_equal(&mut self) {
        for at in 1..self.all.len() {
            let path = self.all[at];
            let same = |p: &&mut Path| {
                p.mask != 0
                    && (p.pc, p.frame, p.join, p.state)
                        == (path.pc, path.frame, path.join, State::Ready)
            };
            if path.mask != 0
                && path.state == State::Ready
                && let Some(other) = self.all[..at].iter_mut().find(same)
            {
                other.mask |= path.mask;
                self.all[at].mask = 0;
            }
        }
    }

    /// Forgets paths that are no more; indexes change.
    pub(crate) fn compact(&mut self) {
        self.all.retain(|p| p.mask != 0);
    }
}

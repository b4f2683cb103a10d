//! One warp: runs its paths, one at a time.

use super::access::Who;
use super::alu;
use super::copies::Copies;
use super::core::{Core, Step};
use super::frame::{Lane, copy_params};
use super::memory;
use super::paths::{Path, Paths, State};
use super::undefined;
use crate::ir::{Call, HIDDEN, Instr, NONE, Op};
use crate::memory::FUNCTION_WINDOW;
use crate::memory::order::lanes_of;
use crate::{Assertion, Fault};

/// Instructions a path runs before another path, or another warp, gets its turn.
const SLICE: u32 = 2048;
/// Instructions that paths wait at a join while others run, before they are let go. Long, because
/// letting them go costs convergence; a warp whose lanes wait for each other so long is taken to
/// hold a lock at a join, and each time its patience halves, down to the least.
const PATIENCE: u32 = 16 * SLICE;
const LEAST_PATIENCE: u32 = 128;

/// First local address: an address a little below the first variable is then still a local one, and
/// wrong.
const LOCAL_START: u32 = 0x1000;

/// Why a warp stopped running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pause {
    /// Its turn is over.
    Slice,
    /// A path came to a barrier of the block, or lanes exited: barriers may be complete.
    Barrier,
    /// No path can run.
    Blocked,
    /// All lanes have exited.
    Done,
}

/// How a path goes on after an instruction that is not plain arithmetic.
enum Next {
    /// With the next instruction.
    Step,
    /// Wherever its state says.
    Switch,
    /// The block has to look.
    Pause(Pause),
}

/// A warp.
#[derive(Debug, Default)]
pub(crate) struct Warp {
    /// Its number in the block.
    pub(crate) index: usize,
    pub(crate) paths: Paths,
    /// Lanes that exist and have not exited.
    pub(crate) live: u32,
    /// Lanes that have exited.
    pub(crate) exited: u32,
    pub(crate) copies: Copies,
    waited: u32,
    patience: u32,
    turn: usize,
}

impl Warp {
    /// Starts the warp with the lanes that exist.
    pub(crate) fn begin(&mut self, index: usize, lanes: u32, core: &Core<'_>) {
        self.index = index;
        if self.paths.frames.is_empty() {
            self.paths.frames.push(super::frame::Frame::default());
        }
        let entry = &core.context.program.functions[0];
        let frame = &mut self.paths.frames[0];
        frame.reset(0, entry, lanes);
        (frame.local_base, frame.depth, frame.parent) = (LOCAL_START, 0, 0);
        self.paths.begin(lanes);
        (self.live, self.exited, self.waited, self.turn) = (lanes, 0, 0, 0);
        self.patience = PATIENCE;
        self.copies.clear();
    }

    /// Runs until something stops it.
    pub(crate) fn run(&mut self, core: &mut Core<'_>) -> Step<Pause> {
        let slice = self.patience.min(SLICE);
        let mut budget = slice;
        let pause = self.run_paths(core, &mut budget)?;
        core.executed += u64::from(slice - budget);
        let limit = core.context.instruction_limit;
        match self.paths.all.iter().find(|p| p.mask != 0) {
            Some(path) if core.executed > limit => {
                let function = self.paths.frames[path.frame].function as usize;
                let line = core.context.program.functions[function].code[path.pc as usize].line;
                let lane = path.mask.trailing_zeros() as usize;
                let at = core.location(self.index, lane, line);
                Err(Box::new(Fault::InstructionLimit { at, limit }))
            }
            _ => Ok(pause),
        }
    }

    fn run_paths(&mut self, core: &mut Core<'_>, budget: &mut u32) -> Step<Pause> {
        loop {
            if self.live == 0 {
                return Ok(Pause::Done);
            }
            self.paths.compact();
            let count = self.paths.all.len();
            let next = (0..count)
                .map(|n| (self.turn + n) % count)
                .find(|&p| self.paths.all[p].state == State::Ready);
            let Some(path) = next else {
                if self.paths.release() {
                    continue;
                }
                return Ok(Pause::Blocked);
            };
            self.turn = path;
            match self.run_path(core, path, budget)? {
                Next::Pause(pause) => return Ok(pause),
                Next::Step if *budget == 0 => {
                    self.end_slice();
                    return Ok(Pause::Slice);
                }
                _ => {}
            }
        }
    }

    fn end_slice(&mut self) {
        self.turn += 1;
        if self.paths.any_joined() {
            self.waited += self.patience.min(SLICE);
            if self.waited >= self.patience {
                self.waited = 0;
                self.patience = (self.patience / 2).max(LEAST_PATIENCE);
                self.paths.release();
            }
        } else {
            self.waited = 0;
        }
    }

    /// Runs a path until its slice is over or it has to wait.
    fn run_path(&mut self, core: &mut Core<'_>, path: usize, budget: &mut u32) -> Step<Next> {
        let program = core.context.program;
        let Path { mut pc, mut mask, mut frame, .. } = self.paths.all[path];
        let mut code = &program.functions[self.paths.frames[frame].function as usize].code;
        while *budget > 0 {
            *budget -= 1;
            let instr = &code[pc as usize];
            let active = match instr.guard {
                NONE => mask,
                guard => {
                    let guard = self.paths.frames[frame].preds[guard as usize];
                    mask & if instr.guard_not { !guard } else { guard }
                }
            };
            if instr.class != HIDDEN {
                core.report.warp_instructions[instr.class as usize] += 1;
                core.report.thread_instructions += u64::from(active.count_ones());
            }
            if !self.paths.frames[frame].undefined.is_empty() {
                let (warp, frames, line) = (self.index, &mut self.paths.frames, instr.line);
                let function = frames[frame].function as usize;
                let touched = &program.functions[function].touched[pc as usize];
                let mut who = Who { warp, frames, frame, line };
                undefined::follow(core, &mut who, instr, touched, (mask, active))?;
            }
            if active == 0 {
                pc += 1;
                continue;
            }
            let who = &mut self.paths.frames[frame];
            if alu::execute(core, self.index, who, instr, active) {
                pc += 1;
                continue;
            }
            self.paths.all[path].pc = pc;
            match self.special(core, path, instr, active)? {
                Next::Step => {
                    pc += 1;
                    self.paths.all[path].pc = pc;
                }
                Next::Switch => {
                    let now = self.paths.all[path];
                    if now.state != State::Ready || now.mask == 0 {
                        return Ok(Next::Switch);
                    }
                    (pc, mask) = (now.pc, now.mask);
                    if frame != now.frame {
                        frame = now.frame;
                        let function = self.paths.frames[frame].function as usize;
                        code = &program.functions[function].code;
                    }
                }
                pause => return Ok(pause),
            }
        }
        self.paths.all[path].pc = pc;
        Ok(Next::Step)
    }

    /// Instructions that use memory, move lanes, or wait.
    fn special(
        &mut self,
        core: &mut Core<'_>,
        path: usize,
        instr: &Instr,
        active: u32,
    ) -> Step<Next> {
        let index = self.index;
        let frame = self.paths.all[path].frame;
        let mut who = Who { warp: index, frames: &mut self.paths.frames, frame, line: instr.line };
        match &instr.op {
            Op::Ld(mem) => memory::load(core, &mut who, mem, active)?,
            Op::St(mem) => memory::store(core, &mut who, mem, active)?,
            Op::Atom(atom) => memory::atomic(core, &mut who, instr, atom, active)?,
            Op::CpAsync(copy) => self.copies.issue(core, &mut who, instr, copy, active)?,
            Op::CpAsyncCommit => self.copies.commit(active),
            Op::CpAsyncWait(keep) => self.copies.wait(core, &mut who, *keep, active)?,
            Op::Fence => std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst),
            Op::Yield => {
                self.paths.all[path].pc += 1;
                // A sleeping path must not make the ones it waits for wait much longer.
                self.waited += self.patience / 8;
                self.end_slice();
                core.executed += 64;
                std::thread::yield_now();
                return Ok(Next::Pause(Pause::Slice));
            }
            Op::Join => {
                let pc = self.paths.all[path].pc;
                if self.paths.arrive(path, pc) {
                    return Ok(Next::Switch);
                }
            }
            Op::Bra(target, meet) => self.branch(core, path, *target, *meet, active),
            Op::Brx(table, meet) => self.branch_indexed(core, path, instr, table, *meet, active)?,
            Op::Call(call) => self.call(core, path, instr, call, active)?,
            Op::Ret => return self.ret(core, path, active),
            Op::Exit => return self.exit(core, path, active),
            Op::Trap => {
                let lane = active.trailing_zeros() as usize;
                return Err(Box::new(Fault::Trap(core.location(index, lane, instr.line))));
            }
            Op::AssertFail(places) => return Err(failed_assertion(core, &mut who, places, active)),
            Op::Bar(kind, _) => {
                if self.barrier(core, path, instr, *kind, active)? {
                    return Ok(Next::Pause(Pause::Barrier));
                }
            }
            _ => {
                if !self.warp_op(core, path, instr, active)? {
                    return Ok(Next::Switch);
                }
            }
        }
        let moved = matches!(instr.op, Op::Bra(..) | Op::Brx(..) | Op::Call(_));
        Ok(if moved { Next::Switch } else { Next::Step })
    }

    /// Takes lanes off a path: a new path with them, at a place.
    pub(super) fn split(&mut self, path: usize, lanes: u32, pc: u32, state: State) -> usize {
        self.paths.all[path].mask &= !lanes;
        let Path { frame, join, .. } = self.paths.all[path];
        self.paths.all.push(Path { pc, mask: lanes, frame, join, state });
        self.paths.all.len() - 1
    }

    /// Makes sure that a path that is about to diverge has its joins, the inner and the outer one.
    fn diverge(&mut self, core: &mut Core<'_>, path: usize, (meet, outer): (u32, u32)) {
        core.report.divergent_branches += 1;
        let Path { mask, frame, mut join, .. } = self.paths.all[path];
        if meet == NONE || self.paths.is_join(join, meet, frame) {
            return;
        }
        if outer != NONE && !self.paths.has_join(join, outer, frame) {
            join = self.paths.push_join(outer, frame, mask, join);
        }
        self.paths.all[path].join = self.paths.push_join(meet, frame, mask, join);
    }

    fn branch(
        &mut self,
        core: &mut Core<'_>,
        path: usize,
        target: u32,
        meet: (u32, u32),
        active: u32,
    ) {
        let Path { pc, mask, .. } = self.paths.all[path];
        if active == mask {
            self.paths.all[path].pc = target;
            return;
        }
        self.diverge(core, path, meet);
        let state = if target == meet.0 { State::Joined } else { State::Ready };
        self.split(path, active, target, state);
        self.paths.all[path].pc = pc + 1;
    }

    fn branch_indexed(
        &mut self,
        core: &mut Core<'_>,
        path: usize,
        instr: &Instr,
        table: &[u32],
        meet: (u32, u32),
        active: u32,
    ) -> Step {
        let Path { pc, mask, frame, .. } = self.paths.all[path];
        let indexes = u32::read(&self.paths.frames[frame], instr.a);
        let mut targets: Vec<(u32, u32)> = Vec::new();
        if mask != active {
            targets.push((pc + 1, mask & !active));
        }
        for lane in lanes_of(active) {
            let Some(&target) = table.get(indexes[lane] as usize) else {
                let at = core.location(self.index, lane, instr.line);
                let what = format!("brx.idx with index {} of {}", indexes[lane], table.len());
                return Err(Box::new(Fault::Unsupported { at, what }));
            };
            match targets.iter_mut().find(|(t, _)| *t == target) {
                Some((_, lanes)) => *lanes |= 1 << lane,
                None => targets.push((target, 1 << lane)),
            }
        }
        if targets.len() > 1 {
            self.diverge(core, path, meet);
        }
        for &(target, lanes) in &targets[1..] {
            self.split(path, lanes, target, State::Ready);
        }
        self.paths.all[path].pc = targets[0].0;
        Ok(())
    }

    fn call(
        &mut self,
        core: &Core<'_>,
        path: usize,
        instr: &Instr,
        call: &Call,
        active: u32,
    ) -> Step {
        let program = core.context.program;
        let Path { pc, mask, frame, join, .. } = self.paths.all[path];
        let lane = active.trailing_zeros() as usize;
        if active != mask {
            self.split(path, mask & !active, pc + 1, State::Ready);
        }
        let target = match call.target {
            Some(target) => target,
            None => {
                let targets = u64::read(&self.paths.frames[frame], instr.a);
                let first = targets[lane];
                let others = lanes_of(active).filter(|&l| targets[l] != first);
                let others = others.fold(0, |m, l| m | 1 << l);
                if others != 0 {
                    // They call by themselves, from the same instruction.
                    self.split(path, others, pc, State::Ready);
                }
                match program.addresses.get(&first.wrapping_sub(FUNCTION_WINDOW)) {
                    Some(&target) if target != 0 => target,
                    _ => {
                        let at = core.location(self.index, lane, instr.line);
                        let what = format!("a call of {first:#x}, which is no function");
                        return Err(Box::new(Fault::Unsupported { at, what }));
                    }
                }
            }
        };
        let active = self.paths.all[path].mask;
        let function = &program.functions[target as usize];
        let caller = &self.paths.frames[frame];
        let base = caller.local_base + caller.local_bytes();
        let depth = caller.depth + 1;
        let deep = depth > core.context.call_depth
            || base + function.local_bytes > core.context.local_limit;
        if deep {
            let at = core.location(self.index, lane, instr.line);
            return Err(Box::new(Fault::CallDepth(at)));
        }
        let new = self.paths.free_frames.pop().unwrap_or_else(|| {
            self.paths.frames.push(super::frame::Frame::default());
            self.paths.frames.len() - 1
        });
        let mut callee = std::mem::take(&mut self.paths.frames[new]);
        callee.reset(target, function, active);
        (callee.local_base, callee.depth) = (base, depth);
        (callee.parent, callee.return_to) = (frame, pc + 1);
        let caller = &mut self.paths.frames[frame];
        let formal = function.params.len() == call.args.len()
            && function.returns.len() == call.returns.len();
        let copied = call.args.iter().zip(&function.params).try_for_each(|(&from, &to)| {
            copy_params(caller, (from.0, to.1), &mut callee, to, active)
        });
        self.paths.frames[new] = callee;
        if !formal || copied.is_none() {
            let at = core.location(self.index, lane, instr.line);
            let what = "a call that does not fit its function".to_owned();
            return Err(Box::new(Fault::Unsupported { at, what }));
        }
        let join = self.paths.push_join(NONE, new, active, join);
        let path = &mut self.paths.all[path];
        (path.pc, path.frame, path.join) = (0, new, join);
        Ok(())
    }

    fn ret(&mut self, core: &mut Core<'_>, path: usize, active: u32) -> Step<Next> {
        let Path { pc, mask, frame, .. } = self.paths.all[path];
        if self.paths.frames[frame].depth == 0 {
            return self.exit(core, path, active);
        }
        if active != mask {
            self.split(path, mask & !active, pc + 1, State::Ready);
        }
        if self.paths.arrive(path, NONE) && self.paths.all[path].state != State::Ready {
            return Ok(Next::Switch);
        }
        if self.paths.all[path].mask == 0 {
            // Another path took its lanes over, and returns with them.
            return Ok(Next::Switch);
        }
        self.paths.leave_frame(path);
        let mask = self.paths.all[path].mask;
        let callee = &self.paths.frames[frame];
        let (parent, return_to) = (callee.parent, callee.return_to);
        let program = core.context.program;
        let caller_function = self.paths.frames[parent].function as usize;
        let call = &program.functions[caller_function].code[return_to as usize - 1];
        let function = &program.functions[callee.function as usize];
        if let Op::Call(call) = &call.op {
            let mut caller = std::mem::take(&mut self.paths.frames[parent]);
            let callee = &mut self.paths.frames[frame];
            let copied = function.returns.iter().zip(&call.returns).try_for_each(|(&from, &to)| {
                copy_params(callee, from, &mut caller, (to.0, from.1), mask)
            });
            self.paths.frames[parent] = caller;
            if copied.is_none() {
                let lane = mask.trailing_zeros() as usize;
                let at = core.location(self.index, lane, 0);
                let what = "a return that does not fit its call".to_owned();
                return Err(Box::new(Fault::Unsupported { at, what }));
            }
        }
        self.paths.drop_lanes(frame, mask);
        let path = &mut self.paths.all[path];
        (path.pc, path.frame) = (return_to, parent);
        Ok(Next::Switch)
    }

    fn exit(&mut self, core: &mut Core<'_>, path: usize, active: u32) -> Step<Next> {
        self.paths.all[path].pc += 1;
        self.paths.exit(path, active);
        self.live &= !active;
        self.exited |= active;
        core.live_threads -= active.count_ones();
        self.lanes_exited(core, active)?;
        Ok(Next::Pause(if self.live == 0 { Pause::Done } else { Pause::Barrier }))
    }
}

/// The fault of a call of `__assertfail` by the first of the lanes.
fn failed_assertion(
    core: &mut Core<'_>,
    who: &mut Who<'_>,
    places: &[u32; 5],
    active: u32,
) -> Box<Fault> {
    let lane = active.trailing_zeros() as usize;
    let frame = &mut who.frames[who.frame];
    let [message, file, source_line, function, _] =
        [(0, 8), (1, 8), (2, 4), (3, 8), (4, 8)].map(|(at, size): (usize, u32)| {
            frame.param(lane, places[at], size).map_or(0, |bytes| memory::little_endian(bytes))
        });
    let mut text = |address| core.text(address);
    let (message, file, function) = (text(message), text(file), text(function));
    let at = core.location(who.warp, lane, who.line);
    let source_line = source_line as u32;
    let assertion = Assertion { at, message, file, source_line, function };
    Box::new(Fault::Assert(Box::new(assertion)))
}

//! What lanes do together: votes, shuffles, matches, reductions, and arriving at barriers.
//!
//! A `.sync` instruction waits for every lane that its mask names. Lanes of the mask on other paths
//! run on until they come to the same instruction with the same mask; if they exit instead, or wait
//! elsewhere for ever, the mask cannot be met and the launch ends with [`Fault::InvalidSync`].

use super::core::{Core, Step};
use super::frame::{Frame, Lane, Lanes};
use super::paths::{Path, State};
use super::warp::Warp;
use crate::Fault;
use crate::ir::{Bar, Instr, NONE, Op, Rmw, Shfl, Vote, W};
use crate::memory::order::lanes_of;

/// What a shuffle reads from a lane that does not take part: nothing a kernel could mistake for
/// data.
const POISON: u32 = 0xbad0_bad0;

impl Warp {
    /// Executes an instruction of this file; `false` where the path has to wait or has changed.
    pub(super) fn warp_op(
        &mut self,
        core: &mut Core<'_>,
        path: usize,
        instr: &Instr,
        active: u32,
    ) -> Step<bool> {
        let frame = self.paths.all[path].frame;
        if matches!(instr.op, Op::ActiveMask) {
            u32::write(&mut self.paths.frames[frame], instr.d, active, [active; 32]);
            return Ok(true);
        }
        let masks = u32::read(&self.paths.frames[frame], instr.x);
        let mut waiting = 0_u32;
        for lane in lanes_of(active) {
            let mask = masks[lane];
            if mask >> lane & 1 == 0 {
                let reason = format!("lane {lane} executes it and is not in its mask");
                return Err(self.invalid(core, instr, lane, mask, reason));
            }
            if mask & self.exited != 0 && core.context.checks.exited_lanes {
                return Err(self.names_exited(core, instr, lane, mask));
            }
            if mask & self.live & !active != 0 {
                waiting |= 1 << lane;
            }
        }
        if waiting == 0 {
            self.perform(core, frame, instr, active, &masks);
            return Ok(true);
        }
        let pc = self.paths.all[path].pc;
        // Lanes with different masks wait for different lanes: a path for each mask.
        let mut rest = waiting;
        let mut groups = [0; 32];
        let mut count = 0;
        while rest != 0 {
            let mask = masks[rest.trailing_zeros() as usize];
            let lanes = lanes_of(rest).filter(|&l| masks[l] == mask).fold(0, |m, l| m | 1 << l);
            self.split(path, lanes, pc, State::Sync(mask));
            groups[count] = mask;
            count += 1;
            rest &= !lanes;
        }
        let ready = active & !waiting;
        if ready != 0 {
            self.perform(core, frame, instr, ready, &masks);
        }
        self.paths.all[path].pc = pc + 1;
        for &mask in &groups[..count] {
            self.try_sync(core, mask);
        }
        // The path may have met others at once: let the scheduler look.
        Ok(false)
    }

    /// Completes the waiting `.sync` instructions of a mask whose lanes are all there.
    fn try_sync(&mut self, core: &mut Core<'_>, mask: u32) {
        let program = core.context.program;
        for first in 0..self.paths.all.len() {
            let Path { pc, frame, mask: lanes, state, .. } = self.paths.all[first];
            if lanes == 0 || state != State::Sync(mask) {
                continue;
            }
            let function = self.paths.frames[frame].function as usize;
            let instr = &program.functions[function].code[pc as usize];
            // Any two bar.warp.sync match; the others have to be the same instruction.
            let any_place = matches!(instr.op, Op::BarWarp);
            let same = |p: &Path, w: &Self| {
                p.mask != 0
                    && p.state == State::Sync(mask)
                    && ((p.pc, p.frame) == (pc, frame) || (any_place && w.is_bar_warp(core, p)))
            };
            let here: Vec<usize> =
                (0..self.paths.all.len()).filter(|&p| same(&self.paths.all[p], self)).collect();
            let lanes = here.iter().fold(0, |m, &p| m | self.paths.all[p].mask);
            if mask & self.live & !lanes != 0 {
                continue;
            }
            let masks = [mask; 32];
            self.perform(core, frame, instr, lanes, &masks);
            for p in here {
                self.paths.all[p].state = State::Ready;
                self.paths.all[p].pc += 1;
            }
            self.paths.merge_equal();
        }
    }

    fn is_bar_warp(&self, core: &Core<'_>, path: &Path) -> bool {
        let function = self.paths.frames[path.frame].function as usize;
        let instr = &core.context.program.functions[function].code[path.pc as usize];
        matches!(instr.op, Op::BarWarp)
    }

    /// Lanes have exited: masks that name them cannot be met, others may be complete now.
    pub(super) fn lanes_exited(&mut self, core: &mut Core<'_>, lanes: u32) -> Step {
        if self.paths.all.len() == 1 {
            return Ok(());
        }
        let mut again = Vec::new();
        for path in &self.paths.all {
            let State::Sync(mask) = path.state else { continue };
            if path.mask == 0 || mask & lanes == 0 {
                continue;
            }
            if core.context.checks.exited_lanes {
                let function = self.paths.frames[path.frame].function as usize;
                let code = &core.context.program.functions[function].code;
                let lane = path.mask.trailing_zeros() as usize;
                return Err(self.names_exited(core, &code[path.pc as usize], lane, mask));
            }
            again.push(mask);
        }
        again.into_iter().for_each(|mask| self.try_sync(core, mask));
        Ok(())
    }

    fn names_exited(&self, core: &Core<'_>, instr: &Instr, lane: usize, mask: u32) -> Box<Fault> {
        let gone = mask & self.exited;
        let reason = format!("the lanes {gone:#010x} of it have exited");
        self.invalid(core, instr, lane, mask, reason)
    }

    pub(super) fn invalid(
        &self,
        core: &Core<'_>,
        instr: &Instr,
        lane: usize,
        mask: u32,
        reason: String,
    ) -> Box<Fault> {
        let at = core.location(self.index, lane, instr.line);
        Box::new(Fault::InvalidSync { at, mask, reason })
    }

    /// Does the instruction for lanes that are all there.
    fn perform(
        &mut self,
        core: &mut Core<'_>,
        frame: usize,
        instr: &Instr,
        active: u32,
        masks: &Lanes<u32>,
    ) {
        if core.shared.checked() {
            let mut rest = active;
            while rest != 0 {
                let group = masks[rest.trailing_zeros() as usize] & active;
                core.shared.order.sync_lanes(self.index, group, self.live);
                rest &= !group;
            }
        }
        let frame = &mut self.paths.frames[frame];
        match &instr.op {
            Op::Vote(kind) => vote(frame, *kind, instr, active, masks),
            Op::Shfl(mode) => shuffle(frame, *mode, instr, active, masks),
            Op::Match(all, w) => matching(frame, *all, *w, instr, active, masks),
            Op::Redux(op) => reduce(frame, *op, instr, active, masks),
            Op::Elect => {
                let leaders = masks.map(|mask| (mask & active).trailing_zeros());
                let elected =
                    lanes_of(active).filter(|&l| leaders[l] == l as u32).fold(0, |m, l| m | 1 << l);
                u32::write(frame, instr.d, active, leaders);
                if instr.e != NONE {
                    frame.set_pred(instr.e, active, elected);
                }
            }
            _ => {}
        }
    }

    /// A path arrives at a barrier of the block. Returns whether the block has to look at its
    /// barriers.
    pub(super) fn barrier(
        &mut self,
        core: &mut Core<'_>,
        path: usize,
        instr: &Instr,
        kind: Bar,
        active: u32,
    ) -> Step<bool> {
        let Path { pc, mask, frame, .. } = self.paths.all[path];
        let first = active.trailing_zeros() as usize;
        let registers = &self.paths.frames[frame];
        let ids = u32::read(registers, instr.a);
        let counts = (instr.b != NONE).then(|| u32::read(registers, instr.b));
        let uniform = lanes_of(active).all(|l| {
            ids[l] == ids[first] && counts.is_none_or(|counts| counts[l] == counts[first])
        });
        let count = counts.map(|counts| counts[first]);
        let id = ids[first] as usize;
        if !uniform || id >= core.barriers.len() || count.is_some_and(|c| c == 0 || c % 32 != 0) {
            let at = core.location(self.index, first, instr.line);
            let what = "a barrier whose id or count differs between lanes, is not below 16, or is \
                        no multiple of 32"
                .to_owned();
            return Err(Box::new(Fault::Unsupported { at, what }));
        }
        let predicate = match instr.x {
            NONE => 0,
            x => registers.preds[x as usize] & active,
        };
        let barrier = &mut core.barriers[id];
        barrier.popc += predicate.count_ones();
        barrier.any_false |= predicate != active;
        if count.is_some() {
            barrier.expected = count;
        }
        if kind == Bar::Arrive {
            // A warp counts as 32 threads, however many of them exist.
            let whole = active == self.live;
            barrier.passed += if whole { 32 } else { active.count_ones() };
            barrier.passed_warps |= 1 << self.index;
            self.paths.all[path].pc = pc + 1;
            return Ok(true);
        }
        barrier.waiting += active.count_ones();
        if mask != active {
            self.split(path, mask & !active, pc + 1, State::Ready);
        }
        self.paths.all[path].state = State::Barrier(id as u8);
        Ok(true)
    }
}

fn vote(frame: &mut Frame, kind: Vote, instr: &Instr, active: u32, masks: &Lanes<u32>) {
    let source = frame.preds[instr.a as usize];
    let ballots = masks.map(|mask| source & mask & active);
    if kind == Vote::Ballot {
        return u32::write(frame, instr.d, active, ballots);
    }
    let holds = |lane: &usize| {
        let (yes, group) = (ballots[*lane], masks[*lane] & active);
        match kind {
            Vote::All => yes == group,
            Vote::Any => yes != 0,
            _ => yes == group || yes == 0,
        }
    };
    let result = lanes_of(active).filter(holds).fold(0, |m, l| m | 1 << l);
    frame.set_pred(instr.d, active, result);
}

fn shuffle(frame: &mut Frame, mode: Shfl, instr: &Instr, active: u32, masks: &Lanes<u32>) {
    let values = u32::read(frame, instr.a);
    let (b, c) = (u32::read(frame, instr.b), u32::read(frame, instr.c));
    let mut result = [0; 32];
    let mut inside = 0;
    for lane in lanes_of(active) {
        let (offset, clamp, segment) = (b[lane] & 31, c[lane] & 31, c[lane] >> 8 & 31);
        let here = lane as u32;
        let last = (here & segment) | (clamp & !segment);
        let (source, valid) = match mode {
            Shfl::Up => (here.wrapping_sub(offset), here as i32 - offset as i32 >= last as i32),
            Shfl::Down => (here + offset, here + offset <= last),
            Shfl::Bfly => (here ^ offset, here ^ offset <= last),
            Shfl::Idx => {
                let source = (here & segment) | (offset & !segment);
                (source, source <= last)
            }
        };
        let source = if valid { source as usize } else { lane };
        inside |= u32::from(valid) << lane;
        let takes_part = active & masks[lane] & 1 << source != 0;
        result[lane] = if takes_part { values[source] } else { POISON };
    }
    u32::write(frame, instr.d, active, result);
    if instr.e != NONE {
        frame.set_pred(instr.e, active, inside);
    }
}

fn matching(frame: &mut Frame, all: bool, w: W, instr: &Instr, active: u32, masks: &Lanes<u32>) {
    let values: Lanes<u64> = match w {
        W::B64 => u64::read(frame, instr.a),
        _ => u32::read(frame, instr.a).map(u64::from),
    };
    let mut result = [0; 32];
    let mut agreed = 0;
    for lane in lanes_of(active) {
        let group = masks[lane] & active;
        let equal =
            lanes_of(group).filter(|&l| values[l] == values[lane]).fold(0, |m, l| m | 1 << l);
        if !all || equal == group {
            result[lane] = equal;
        }
        agreed |= u32::from(equal == group) << lane;
    }
    u32::write(frame, instr.d, active, result);
    if instr.e != NONE {
        frame.set_pred(instr.e, active, agreed);
    }
}

fn reduce(frame: &mut Frame, op: Rmw, instr: &Instr, active: u32, masks: &Lanes<u32>) {
    let values = u32::read(frame, instr.a);
    let apply = |a: u32, b: u32| super::atomics::apply(op, 4, a.into(), b.into(), 0) as u32;
    let mut result = [0; 32];
    for lane in lanes_of(active) {
        let group = masks[lane] & active;
        result[lane] = lanes_of(group).map(|l| values[l]).reduce(apply).unwrap_or(0);
    }
    u32::write(frame, instr.d, active, result);
}

//! One block: its warps in turn, and the barriers between them.

use super::core::{Barrier, Context, Core, Step};
use super::frame::Lane;
use super::paths::State;
use super::warp::{Pause, Warp};
use crate::ir::{Bar, NONE, Op};
use crate::memory::order::lanes_of;
use crate::memory::shared::Shared;
use crate::{Fault, Report};

/// What a block allocates; kept between blocks and launches, because allocating it costs more
/// than a small block takes to run.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    warps: Vec<Warp>,
    shared: Shared,
}

/// Runs one block to its end.
pub(crate) fn run<'l>(
    context: &'l Context<'l>,
    number: u64,
    buffers: &mut Buffers,
    report: &mut Report,
) -> Step {
    let [x, y, _] = context.launch.grid.map(u64::from);
    let block = [(number % x) as u32, (number / x % y) as u32, (number / (x * y)) as u32];
    let threads = context.threads();
    let warps = threads.div_ceil(32) as usize;
    let bytes = match context.launch.dynamic_shared {
        0 => context.program.static_shared,
        dynamic => context.program.dynamic_shared_at + dynamic,
    };
    let mut shared = std::mem::take(&mut buffers.shared);
    let checks = context.checks;
    shared.begin(bytes as usize, warps, checks.uninitialised, checks.races);
    let mut core = Core {
        context,
        block,
        number,
        shared,
        report: Report::default(),
        barriers: [Barrier::default(); 16],
        live_threads: threads,
        executed: 0,
        recent: None,
    };
    if buffers.warps.len() < warps {
        buffers.warps.resize_with(warps, Warp::default);
    }
    let active = &mut buffers.warps[..warps];
    for (index, warp) in active.iter_mut().enumerate() {
        let lanes = u32::MAX >> (32 - (threads - index as u32 * 32).min(32));
        warp.begin(index, lanes, &core);
    }
    core.report.blocks = 1;
    core.report.warps = warps as u64;
    let outcome = turns(&mut core, active);
    *report += core.report;
    buffers.shared = core.shared;
    outcome
}

fn turns(core: &mut Core<'_>, warps: &mut [Warp]) -> Step {
    while core.live_threads > 0 {
        let mut progress = false;
        for index in 0..warps.len() {
            // A warp goes on until it has to wait for another: that keeps its registers in the
            // cache.
            loop {
                if warps[index].live == 0 {
                    break;
                }
                match warps[index].run(core)? {
                    Pause::Barrier => {
                        progress = true;
                        check_barriers(core, warps)?;
                    }
                    Pause::Slice => {
                        progress = true;
                        break;
                    }
                    Pause::Blocked => break,
                    Pause::Done => {
                        progress = true;
                        check_barriers(core, warps)?;
                        break;
                    }
                }
            }
        }
        if !progress && core.live_threads > 0 {
            return Err(stuck(core, warps));
        }
    }
    Ok(())
}

/// Releases every barrier that is complete.
fn check_barriers(core: &mut Core<'_>, warps: &mut [Warp]) -> Step {
    for id in 0..core.barriers.len() as u8 {
        let barrier = core.barriers[id as usize];
        let complete = match barrier.expected {
            _ if barrier.waiting == 0 && barrier.passed == 0 => false,
            Some(expected) => counted(warps, id) + barrier.passed >= expected,
            None => barrier.waiting == core.live_threads,
        };
        if complete {
            release(core, warps, id)?;
        }
    }
    Ok(())
}

/// Threads at a barrier with a count: there a warp stands for 32, however many of them exist.
fn counted(warps: &[Warp], id: u8) -> u32 {
    let of = |warp: &Warp| match waiting_lanes(warp, id) {
        0 => 0,
        here if here == warp.live => 32,
        here => here.count_ones(),
    };
    warps.iter().map(of).sum()
}

fn waiting_lanes(warp: &Warp, id: u8) -> u32 {
    let here = warp.paths.all.iter().filter(|p| p.state == State::Barrier(id));
    here.fold(0, |m, p| m | p.mask)
}

fn release(core: &mut Core<'_>, warps: &mut [Warp], id: u8) -> Step {
    let program = core.context.program;
    let barrier = std::mem::take(&mut core.barriers[id as usize]);
    let mut met = Vec::new();
    let mut met_live = 0;
    for warp in warps.iter_mut() {
        let lanes = waiting_lanes(warp, id);
        if lanes != 0 || barrier.passed_warps >> warp.index & 1 != 0 {
            met.push(warp.index);
        }
        if lanes == 0 {
            continue;
        }
        met_live += lanes.count_ones();
        let mut first_place = None;
        for at in 0..warp.paths.all.len() {
            let path = warp.paths.all[at];
            if path.mask == 0 || path.state != State::Barrier(id) {
                continue;
            }
            let function = warp.paths.frames[path.frame].function as usize;
            let instr = &program.functions[function].code[path.pc as usize];
            let Op::Bar(kind, aligned) = instr.op else { continue };
            let lane = path.mask.trailing_zeros() as usize;
            let place = (path.pc, function);
            if aligned && (lanes != warp.live || *first_place.get_or_insert(place) != place) {
                let reason = format!(
                    "lanes {:#010x} of the warp are here, others wait at another barrier or none",
                    path.mask
                );
                let at = core.location(warp.index, lane, instr.line);
                return Err(Box::new(Fault::BarrierDivergence { at, reason }));
            }
            let frame = &mut warp.paths.frames[path.frame];
            match kind {
                Bar::Popc => u32::write(frame, instr.d, path.mask, [barrier.popc; 32]),
                Bar::And | Bar::Or if instr.d != NONE => {
                    let yes = if kind == Bar::And { !barrier.any_false } else { barrier.popc > 0 };
                    frame.set_pred(instr.d, path.mask, if yes { u32::MAX } else { 0 });
                }
                _ => {}
            }
            warp.paths.all[at].state = State::Ready;
            warp.paths.all[at].pc += 1;
        }
        warp.paths.merge_equal();
    }
    core.report.barriers += 1;
    if core.shared.checked() {
        let all = met_live == core.live_threads;
        core.shared.order.sync_warps(&met, all);
    }
    Ok(())
}

/// No thread of the block can go on: says which one waits for what.
fn stuck(core: &Core<'_>, warps: &[Warp]) -> Box<Fault> {
    let program = core.context.program;
    let instr_of = |warp: &Warp, path: &super::paths::Path| {
        let function = warp.paths.frames[path.frame].function as usize;
        program.functions[function].code[path.pc as usize].clone()
    };
    let paths = || {
        warps.iter().flat_map(|w| w.paths.all.iter().filter(|p| p.mask != 0).map(move |p| (w, p)))
    };
    // A vote that waits explains more than the barrier the others are at.
    for (warp, path) in paths() {
        if let State::Sync(mask) = path.state {
            let here: u32 =
                warp.paths.all.iter().filter(|p| p.state == path.state).fold(0, |m, p| m | p.mask);
            let missing = mask & warp.live & !here;
            let other = warp.paths.all.iter().find(|p| p.mask & missing != 0);
            let line = other.map_or(0, |p| instr_of(warp, p).line);
            let reason = format!("its lanes {missing:#010x} wait at line {line} for ever");
            let lane = path.mask.trailing_zeros() as usize;
            return warp.invalid(core, &instr_of(warp, path), lane, mask, reason);
        }
    }
    let mut places: Vec<(u32, u32)> = Vec::new();
    let mut first = None;
    for (warp, path) in paths() {
        let instr = instr_of(warp, path);
        first.get_or_insert((warp.index, path.mask.trailing_zeros() as usize, instr.line));
        let threads = lanes_of(path.mask).count() as u32;
        match places.iter_mut().find(|(line, _)| *line == instr.line) {
            Some((_, n)) => *n += threads,
            None => places.push((instr.line, threads)),
        }
    }
    let words: Vec<_> =
        places.iter().map(|(line, n)| format!("{n} threads wait at line {line}")).collect();
    let (warp, lane, line) = first.unwrap_or_default();
    let reason = format!("{}, for ever", words.join(", "));
    Box::new(Fault::BarrierDivergence { at: core.location(warp, lane, line), reason })
}

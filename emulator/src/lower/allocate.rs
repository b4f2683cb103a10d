//! Folds the unlimited registers of PTX into few, by linear scan over live intervals.
//!
//! Compilers write every value to a register of its own; a warp's registers would then fill the
//! cache many times over (256 bytes for each 64-bit one). Liveness is that of one thread: diverged
//! lanes share a register file but never a lane, and writes are masked. A register that may be read
//! before it is written is live from the start of the function, so it keeps the zero that it begins
//! with.

use super::flow::Blocks;
use crate::ir::{CONST, FILE, Function, Instr, NONE, Op, PRED, Reg, WIDE};

/// Calls `f(register, is_write)` for every register of an instruction.
fn each_register(instr: &mut Instr, mut f: impl FnMut(&mut Reg, bool)) {
    let mut visit = |reg: &mut Reg, write: bool| {
        if *reg != NONE {
            f(reg, write);
        }
    };
    match &mut instr.op {
        Op::Ld(mem) | Op::St(mem) if mem.base != NONE => visit(&mut mem.base, false),
        Op::Atom(atom) => visit(&mut atom.mem.base, false),
        Op::CpAsync(copy) => visit(&mut copy.mem.base, false),
        _ => {}
    }
    match &mut instr.op {
        Op::Ld(mem) => mem.regs.iter_mut().for_each(|r| visit(r, true)),
        Op::St(mem) => mem.regs.iter_mut().for_each(|r| visit(r, false)),
        _ => {}
    }
    for source in [&mut instr.a, &mut instr.b, &mut instr.c, &mut instr.x, &mut instr.guard] {
        visit(source, false);
    }
    visit(&mut instr.d, true);
    visit(&mut instr.e, true);
}

/// Registers numbered across the files, one bit each.
struct Numbers {
    counts: [u32; 3],
}

impl Numbers {
    fn of(&self, reg: Reg) -> Option<usize> {
        let index = (reg & !(FILE | CONST)) as usize;
        let [narrow, wide, _] = self.counts.map(|c| c as usize);
        match (reg & CONST != 0, reg & FILE) {
            (true, _) => None,
            (_, WIDE) => Some(narrow + index),
            (_, PRED) => Some(narrow + wide + index),
            _ => Some(index),
        }
    }
}

/// Rewrites every register to its place, and drops the tags (but not in
/// [`Mem::regs`](crate::ir::Mem::regs)).
pub(super) fn allocate(function: &mut Function, counts: [u32; 3]) {
    let numbers = Numbers { counts };
    let total: usize = counts.iter().map(|&c| c as usize).sum();
    let intervals = intervals(&mut function.code, &numbers, total);
    let (places, used) = scan(&intervals, counts);
    [function.regs32, function.regs64, function.preds] = used;
    let place = |reg: Reg| -> Reg {
        let base = match reg & FILE {
            WIDE => used[1],
            PRED => used[2],
            _ => used[0],
        };
        match numbers.of(reg) {
            Some(number) => places[number],
            None => base as u32 + (reg & !(FILE | CONST)),
        }
    };
    for instr in &mut function.code {
        let mut touched = Vec::new();
        each_register(instr, |reg, write| {
            *reg = place(*reg) | (*reg & FILE);
            touched.push((*reg, write));
        });
        if !function.locals.is_empty() {
            function.touched.push(touched.into());
        }
        for reg in [
            &mut instr.a,
            &mut instr.b,
            &mut instr.c,
            &mut instr.x,
            &mut instr.d,
            &mut instr.e,
            &mut instr.guard,
        ] {
            if *reg != NONE {
                *reg &= !FILE;
            }
        }
        let base = match &mut instr.op {
            Op::Ld(mem) | Op::St(mem) => &mut mem.base,
            Op::Atom(atom) => &mut atom.mem.base,
            Op::CpAsync(copy) => &mut copy.mem.base,
            _ => continue,
        };
        if *base != NONE {
            *base &= !FILE;
        }
    }
}

type Bits = Vec<u64>;

fn get(bits: &Bits, at: usize) -> bool {
    bits[at / 64] >> (at % 64) & 1 != 0
}

fn set(bits: &mut Bits, at: usize, on: bool) {
    let mask = 1 << (at % 64);
    if on { bits[at / 64] |= mask } else { bits[at / 64] &= !mask }
}

/// First and last instruction at which each register is live; `None` for those that never occur.
fn intervals(code: &mut [Instr], numbers: &Numbers, total: usize) -> Vec<Option<(u32, u32)>> {
    let blocks = Blocks::new(code);
    let count = blocks.next.len();
    let words = total.div_ceil(64);
    // Per block: read before written, and certainly written.
    let mut reads: Vec<Bits> = vec![vec![0; words]; count];
    let mut writes = reads.clone();
    for block in 0..count {
        for instr in &mut code[blocks.starts[block]..blocks.starts[block + 1]] {
            let guarded = instr.guard != NONE;
            each_register(instr, |reg, write| {
                let Some(number) = numbers.of(*reg) else { return };
                if !write {
                    if !get(&writes[block], number) {
                        set(&mut reads[block], number, true);
                    }
                } else if !guarded {
                    set(&mut writes[block], number, true);
                }
            });
        }
    }
    let mut live_in = reads.clone();
    let mut live_out: Vec<Bits> = vec![vec![0; words]; count];
    loop {
        let mut changed = false;
        for block in (0..count).rev() {
            for &next in blocks.next[block].iter().filter(|&&n| n < count) {
                for word in 0..words {
                    live_out[block][word] |= live_in[next][word];
                }
            }
            for word in 0..words {
                let new = reads[block][word] | (live_out[block][word] & !writes[block][word]);
                changed |= new != live_in[block][word];
                live_in[block][word] = new;
            }
        }
        if !changed {
            break;
        }
    }
    let mut spans: Vec<Option<(u32, u32)>> = vec![None; total];
    let mut extend = |number: usize, at: usize| {
        let at = at as u32;
        let span = spans[number].get_or_insert((at, at));
        *span = (span.0.min(at), span.1.max(at));
    };
    for block in 0..count {
        let (start, end) = (blocks.starts[block], blocks.starts[block + 1]);
        for (at, instr) in code.iter_mut().enumerate().take(end).skip(start) {
            each_register(instr, |reg, _| {
                if let Some(number) = numbers.of(*reg) {
                    extend(number, at);
                }
            });
        }
        for (bits, at) in [(&live_in[block], start), (&live_out[block], end - 1)] {
            for (word, &bits) in bits.iter().enumerate() {
                let mut rest = bits;
                while rest != 0 {
                    extend(word * 64 + rest.trailing_zeros() as usize, at);
                    rest &= rest - 1;
                }
            }
        }
    }
    spans
}

/// A place for each register in its file, and how many places each file needs.
fn scan(intervals: &[Option<(u32, u32)>], counts: [u32; 3]) -> (Vec<Reg>, [usize; 3]) {
    let mut places = vec![0; intervals.len()];
    let mut used = [0; 3];
    let mut first = 0;
    for (file, count) in counts.into_iter().enumerate() {
        let range = first..first + count as usize;
        first = range.end;
        let mut order: Vec<(u32, u32, usize)> = range
            .filter_map(|number| intervals[number].map(|(start, end)| (start, end, number)))
            .collect();
        order.sort_unstable();
        // Places in use, by where they become free again.
        let mut busy = std::collections::BinaryHeap::new();
        let mut free = Vec::new();
        for (start, end, number) in order {
            while let Some(&std::cmp::Reverse((until, place))) = busy.peek() {
                if until >= start {
                    break;
                }
                busy.pop();
                free.push(place);
            }
            let place = free.pop().unwrap_or_else(|| {
                used[file] += 1;
                used[file] as u32 - 1
            });
            places[number] = place;
            busy.push(std::cmp::Reverse((end, place)));
        }
    }
    (places, used)
}

//! Control flow: basic blocks, post-dominators, and the places where diverged lanes meet again.
//!
//! Both ways of a branch meet at its immediate post-dominator. But a way out in the middle (a
//! `break`, an early return) pushes that point outwards for every branch around it, although the
//! lanes that stay could meet before; a GPU's compiler lets the leaving lanes break out instead. So
//! edges that leave (to a block's own post-dominator past other successors, or straight to an exit)
//! are left out, first come first, as long as every block still reaches the end; a branch then has
//! an inner meeting point in that graph, and the full graph's as the outer one, where the lanes
//! that broke out wait.

use crate::ir::{HIDDEN, Instr, NONE, Op};

/// Blocks beyond which early exits are not looked for: it is quadratic.
const MAX_BLOCKS: usize = 1500;

/// Basic blocks of a body.
#[derive(Debug)]
pub(super) struct Blocks {
    /// First instruction of each block, and the end of the last.
    pub(super) starts: Vec<usize>,
    /// Successors; the number of blocks stands for the exit.
    pub(super) next: Vec<Vec<usize>>,
}

fn ends_thread(op: &Op) -> bool {
    matches!(op, Op::Ret | Op::Exit | Op::Trap | Op::AssertFail(_))
}

impl Blocks {
    pub(super) fn new(code: &[Instr]) -> Self {
        let mut leads = vec![false; code.len() + 1];
        leads[0] = true;
        for (at, instr) in code.iter().enumerate() {
            match &instr.op {
                Op::Bra(target, _) => leads[*target as usize] = true,
                Op::Brx(table, _) => table.iter().for_each(|t| leads[*t as usize] = true),
                op if ends_thread(op) => {}
                _ => continue,
            }
            leads[at + 1] = true;
        }
        leads[code.len()] = true;
        let starts: Vec<usize> = (0..=code.len()).filter(|&at| leads[at]).collect();
        let count = starts.len() - 1;
        let block_of = |at: usize| starts.partition_point(|&s| s <= at) - 1;
        let mut next = vec![Vec::new(); count];
        for (block, next) in next.iter_mut().enumerate() {
            let end = starts[block + 1];
            let last = &code[end - 1];
            let falls = last.guard != NONE;
            match &last.op {
                Op::Bra(target, _) => {
                    next.push(block_of(*target as usize));
                    if falls {
                        next.push(block + 1);
                    }
                }
                Op::Brx(table, _) => {
                    next.extend(table.iter().map(|t| block_of(*t as usize)));
                    if falls {
                        next.push(block + 1);
                    }
                }
                op if ends_thread(op) => {
                    next.push(count);
                    if falls {
                        next.push(block + 1);
                    }
                }
                _ => next.push(block + 1),
            }
            next.sort_unstable();
            next.dedup();
        }
        Self { starts, next }
    }

    fn len(&self) -> usize {
        self.next.len()
    }

    fn reaching_exit(&self) -> usize {
        let count = self.len();
        let mut before = vec![Vec::new(); count + 1];
        for (block, next) in self.next.iter().enumerate() {
            next.iter().for_each(|&n| before[n].push(block));
        }
        let mut seen = vec![false; count + 1];
        let mut stack = vec![count];
        let mut reached = 0;
        while let Some(block) = stack.pop() {
            if !std::mem::replace(&mut seen[block], true) {
                reached += 1;
                stack.extend(&before[block]);
            }
        }
        reached
    }

    /// The same graph without the edges that leave early.
    fn without_early_exits(&self, post_dominators: &[Option<usize>]) -> Self {
        let mut graph = Self { starts: self.starts.clone(), next: self.next.clone() };
        let exit = graph.len();
        if exit > MAX_BLOCKS {
            return graph;
        }
        let leaves = |n: usize| n == exit || self.next[n] == [exit];
        let all = graph.reaching_exit();
        for (block, &post_dominator) in post_dominators.iter().enumerate() {
            for &next in &self.next[block] {
                if graph.next[block].len() < 2 || !(leaves(next) || post_dominator == Some(next)) {
                    continue;
                }
                let kept = graph.next[block].clone();
                graph.next[block].retain(|&n| n != next);
                if graph.reaching_exit() < all {
                    graph.next[block] = kept;
                }
            }
        }
        graph
    }

    /// Immediate post-dominators, after Cooper, Harvey and Kennedy; the exit where there is none
    /// nearer, and `None` for blocks that never reach it.
    fn post_dominators(&self) -> Vec<Option<usize>> {
        let exit = self.len();
        let mut before = vec![Vec::new(); exit + 1];
        for (block, next) in self.next.iter().enumerate() {
            next.iter().for_each(|&n| before[n].push(block));
        }
        // Postorder of the reversed graph.
        let mut number = vec![usize::MAX; exit + 1];
        let mut order = Vec::new();
        let mut seen = vec![false; exit + 1];
        let mut stack = vec![(exit, 0)];
        seen[exit] = true;
        while let Some((block, child)) = stack.pop() {
            match before[block].get(child) {
                Some(&b) => {
                    stack.push((block, child + 1));
                    if !std::mem::replace(&mut seen[b], true) {
                        stack.push((b, 0));
                    }
                }
                None => {
                    number[block] = order.len();
                    order.push(block);
                }
            }
        }
        let mut dom: Vec<Option<usize>> = vec![None; exit + 1];
        dom[exit] = Some(exit);
        loop {
            let mut changed = false;
            for &block in order.iter().rev().filter(|&&b| b != exit) {
                let mut new: Option<usize> = None;
                for &n in self.next[block].iter().filter(|&&n| dom[n].is_some()) {
                    new = Some(match new {
                        None => n,
                        Some(mut a) => {
                            let mut b = n;
                            while a != b {
                                while number[a] < number[b] {
                                    a = dom[a].unwrap_or(exit);
                                }
                                while number[b] < number[a] {
                                    b = dom[b].unwrap_or(exit);
                                }
                            }
                            a
                        }
                    });
                }
                if new.is_some() && dom[block] != new {
                    dom[block] = new;
                    changed = true;
                }
            }
            if !changed {
                dom.pop();
                return dom;
            }
        }
    }
}

/// Gives every branch that may diverge its meeting point, and puts a [`Op::Join`] there.
pub(super) fn add_joins(code: &mut Vec<Instr>) {
    let blocks = Blocks::new(code);
    let exit = blocks.len();
    let full = blocks.post_dominators();
    let trimmed_graph = blocks.without_early_exits(&full);
    let trimmed = trimmed_graph.post_dominators();
    let mut heads = vec![false; exit];
    let mut meets = vec![(NONE, NONE); exit];
    for block in 0..exit {
        if blocks.next[block].len() < 2 {
            continue;
        }
        if !matches!(code[blocks.starts[block + 1] - 1].op, Op::Bra(..) | Op::Brx(..)) {
            continue;
        }
        let several = trimmed_graph.next[block].len() > 1;
        let inner = trimmed[block].filter(|&m| several && m != exit);
        let outer = full[block].filter(|&m| m != exit);
        let mut number = |meet: Option<usize>| {
            meet.map_or(NONE, |meet| {
                heads[meet] = true;
                meet as u32
            })
        };
        meets[block] = match (inner, outer) {
            (Some(inner), outer) if outer != Some(inner) => (number(Some(inner)), number(outer)),
            _ => (number(outer), NONE),
        };
    }
    // Where each instruction goes: one place further for every join before it. A branch to a head
    // goes to the join itself.
    let mut moved = Vec::with_capacity(code.len() + 1);
    let mut out = Vec::with_capacity(code.len() + 16);
    let mut block = 0;
    for (at, instr) in std::mem::take(code).into_iter().enumerate() {
        while blocks.starts[block] < at {
            block += 1;
        }
        moved.push(out.len() as u32);
        if blocks.starts[block] == at && block < exit && heads[block] {
            let line = instr.line;
            out.push(Instr {
                op: Op::Join,
                d: NONE,
                e: NONE,
                a: NONE,
                b: NONE,
                c: NONE,
                x: NONE,
                guard: NONE,
                guard_not: false,
                class: HIDDEN,
                line,
            });
        }
        out.push(instr);
    }
    moved.push(out.len() as u32);
    for (block, &meets) in meets.iter().enumerate() {
        let last = blocks.starts[block + 1] - 1;
        let place_of = |meet: u32| match meet {
            NONE => NONE,
            meet => moved[blocks.starts[meet as usize]],
        };
        let places = (place_of(meets.0), place_of(meets.1));
        // The instruction itself stands after its join, where it has one.
        let mut place = moved[last] as usize;
        if matches!(out[place].op, Op::Join) {
            place += 1;
        }
        match &mut out[place].op {
            Op::Bra(target, meet) => {
                *target = moved[*target as usize];
                *meet = places;
            }
            Op::Brx(table, meet) => {
                table.iter_mut().for_each(|t| *t = moved[*t as usize]);
                *meet = places;
            }
            _ => {}
        }
    }
    *code = out;
}

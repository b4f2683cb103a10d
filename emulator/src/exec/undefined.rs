//! Values read from local memory that nothing has written.
//!
//! Compilers copy them: the padding of a struct, the unused part of a spilled register. So a read
//! is no fault yet. The lanes of the register are marked, marks follow moves and arithmetic, and
//! the fault comes where a marked value decides something: as a guard, an address, an operand of
//! an atomic or of an instruction that other threads see, or stored to memory that they see.

use super::access::Who;
use super::core::{Core, Step};
use super::marks::Mark;
use crate::ir::{Instr, NONE, Op, PRED, Reg};
use crate::{Action, Fault, Space};

/// The fault of a marked value that decides something: that of the read it comes from.
#[cold]
pub(super) fn fault(core: &Core<'_>, warp: usize, mark: Mark) -> Box<Fault> {
    let at = core.location(warp, mark.lanes.trailing_zeros() as usize, mark.line);
    let access = core.access(at, Action::Read, Space::Local, mark.address, mark.size);
    Box::new(Fault::Uninitialised(access))
}

/// Moves the marks on as an instruction will move the values, before it runs. `touched` are its
/// registers, `mask` the lanes of its path, `active` those that execute it. Values that are stored
/// are the store's affair.
#[cold]
pub(super) fn follow(
    core: &Core<'_>,
    who: &mut Who<'_>,
    instr: &Instr,
    touched: &[(Reg, bool)],
    (mask, active): (u32, u32),
) -> Step {
    let (warp, frame) = (who.warp, &mut who.frames[who.frame]);
    let mark_of = |reg: Reg, lanes: u32| frame.undefined.of(reg, lanes);
    let mut read: Vec<Mark> = Vec::new();
    if instr.guard != NONE {
        read.extend(mark_of(PRED | instr.guard, mask));
    }
    let decides = match &instr.op {
        Op::Ld(_)
        | Op::Atom(_)
        | Op::CpAsync(_)
        | Op::Vote(_)
        | Op::Shfl(_)
        | Op::Match(..)
        | Op::Redux(_)
        | Op::BarWarp
        | Op::Bar(..)
        | Op::Brx(..)
        | Op::Call(_) => true,
        // Its values are read too: only the address decides here.
        Op::St(mem) => {
            let values = |reg: &Reg| mem.regs.contains(reg);
            let address = touched.iter().filter(|(reg, _)| !values(reg));
            address.for_each(|&(reg, _)| read.extend(mark_of(reg, active)));
            true
        }
        _ => false,
    };
    if decides && !matches!(instr.op, Op::St(_)) {
        let reads = touched.iter().filter(|(_, write)| !write);
        reads.for_each(|&(reg, _)| read.extend(mark_of(reg, active)));
    }
    if let Some(&mark) = read.first() {
        return Err(fault(core, warp, mark));
    }
    let mut moved: Vec<Mark> = Vec::new();
    if let Op::Selp(_) = instr.op {
        // Only the source that is chosen counts.
        let chosen = frame.preds[instr.x as usize];
        for &(reg, write) in touched {
            let index = reg & !crate::ir::FILE;
            let lanes = match reg & crate::ir::FILE {
                PRED => active,
                _ if index == instr.a && index == instr.b => active,
                _ if index == instr.a => active & chosen,
                _ => active & !chosen,
            };
            if !write {
                moved.extend(mark_of(reg, lanes));
            }
        }
    } else if !decides {
        let reads = touched.iter().filter(|(_, write)| !write);
        reads.for_each(|&(reg, _)| moved.extend(mark_of(reg, active)));
    }
    for &(reg, _) in touched.iter().filter(|(_, write)| *write) {
        frame.undefined.remove(reg, active);
        moved.iter().for_each(|&mark| frame.undefined.add(Mark { reg, ..mark }));
    }
    Ok(())
}

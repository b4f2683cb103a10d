//! Marks on registers whose value nothing has written: `undefined` says what becomes of them.

use crate::ir::Reg;

/// The marked registers of a frame.
#[derive(Debug, Default)]
pub(crate) struct Undefined {
    marks: Vec<Mark>,
}

/// Lanes of a register, and the read that they come from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    /// Tagged with its file.
    pub(super) reg: Reg,
    pub(super) lanes: u32,
    pub(super) address: u64,
    pub(super) size: u32,
    pub(super) line: u32,
}

impl Undefined {
    /// Whether no register is marked.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Forgets all marks.
    pub(crate) fn clear(&mut self) {
        self.marks.clear();
    }

    /// Adds lanes to the marked ones.
    pub(super) fn add(&mut self, mark: Mark) {
        let same = |held: &&mut Mark| held.reg == mark.reg && held.line == mark.line;
        match self.marks.iter_mut().find(same) {
            Some(held) => held.lanes |= mark.lanes,
            None => self.marks.push(mark),
        }
    }

    /// Removes the marks of lanes that are written.
    pub(super) fn remove(&mut self, reg: Reg, lanes: u32) {
        self.marks.retain_mut(|mark| {
            if mark.reg == reg {
                mark.lanes &= !lanes;
            }
            mark.lanes != 0
        });
    }

    /// The marks of some lanes of a register.
    pub(super) fn of(&self, reg: Reg, lanes: u32) -> impl Iterator<Item = Mark> {
        let found = self.marks.iter().filter(move |mark| mark.reg == reg);
        found.map(move |mark| Mark { lanes: mark.lanes & lanes, ..*mark }).filter(|m| m.lanes != 0)
    }
}

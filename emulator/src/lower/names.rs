//! Scopes: which register, variable or label a name means where.

use std::collections::HashMap;

use crate::ir::{NONE, PRED, Reg, WIDE};

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    /// A register, tagged, and its bits (1 for a predicate).
    Reg(Reg, u32),
    /// A `.param` variable of a function: offset in its frame.
    Frame(u32),
    /// A kernel parameter: offset in the packed buffer.
    Param(u32),
    /// Offset in the function's local memory.
    Local(u32),
    /// Offset in shared memory.
    Shared(u32),
    /// Device address of a variable.
    Device(u64),
    /// Index of a function in the module.
    Function(usize),
}

#[derive(Debug)]
struct Registers {
    bits: u32,
    /// Registers given out so far, by number.
    ids: Vec<Reg>,
}

#[derive(Debug, Default)]
struct Scope<'a> {
    parent: Option<usize>,
    names: HashMap<&'a str, Name>,
    /// `%r<10>`, by prefix.
    ranges: HashMap<&'a str, Registers>,
    labels: HashMap<&'a str, u32>,
}

/// The scopes of a function body. The first is the function's own.
#[derive(Debug)]
pub(crate) struct Scopes<'a> {
    scopes: Vec<Scope<'a>>,
    current: usize,
    /// Registers given out, by file: 32 bits, 64 bits, predicates.
    pub(crate) counts: [u32; 3],
}

impl<'a> Scopes<'a> {
    pub(crate) fn new() -> Self {
        Self { scopes: vec![Scope::default()], current: 0, counts: [0; 3] }
    }

    pub(crate) fn open(&mut self) {
        self.scopes.push(Scope { parent: Some(self.current), ..Scope::default() });
        self.current = self.scopes.len() - 1;
    }

    pub(crate) fn close(&mut self) {
        self.current = self.scopes[self.current].parent.unwrap_or(0);
    }

    pub(crate) fn current(&self) -> usize {
        self.current
    }

    /// A new register of a file, by bits.
    pub(crate) fn fresh(&mut self, bits: u32) -> Reg {
        let (file, tag) = match bits {
            1 => (2, PRED),
            64 => (1, WIDE),
            _ => (0, 0),
        };
        self.counts[file] += 1;
        tag | (self.counts[file] - 1)
    }

    pub(crate) fn declare(&mut self, name: &'a str, what: Name) {
        self.scopes[self.current].names.insert(name, what);
    }

    pub(crate) fn declare_range(&mut self, prefix: &'a str, bits: u32, count: u32) {
        let ids = vec![NONE; count as usize];
        self.scopes[self.current].ranges.insert(prefix, Registers { bits, ids });
    }

    /// A label at an instruction; `false` where the scope has it already.
    pub(crate) fn label(&mut self, name: &'a str, at: u32) -> bool {
        self.scopes[self.current].labels.insert(name, at).is_none()
    }

    /// The instruction of a label as seen from a scope.
    pub(crate) fn find_label(&self, from: usize, name: &str) -> Option<u32> {
        let scope = &self.scopes[from];
        scope.labels.get(name).copied().or_else(|| self.find_label(scope.parent?, name))
    }

    /// What a name means here.
    pub(crate) fn find(&mut self, name: &str) -> Option<Name> {
        let prefix = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let number: Option<usize> = name[prefix.len()..].parse().ok();
        let mut scope = Some(self.current);
        while let Some(at) = scope {
            if let Some(&found) = self.scopes[at].names.get(name) {
                return Some(found);
            }
            if let Some(number) = number
                && let Some(range) = self.scopes[at].ranges.get(prefix)
                && let Some(&id) = range.ids.get(number)
            {
                let bits = range.bits;
                if id != NONE {
                    return Some(Name::Reg(id, bits));
                }
                let id = self.fresh(bits);
                if let Some(range) = self.scopes[at].ranges.get_mut(prefix) {
                    range.ids[number] = id;
                }
                return Some(Name::Reg(id, bits));
            }
            scope = self.scopes[at].parent;
        }
        None
    }
}

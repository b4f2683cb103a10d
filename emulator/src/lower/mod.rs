//! Syntax tree to decoded form.
//!
//! Each entry point becomes a [`Program`] of its own with a copy of the functions it can reach,
//! because the layout of shared memory, and with it the constants in the code, is the entry's. The
//! order of work is: find what an entry reaches, lay out its shared memory, lower each body to
//! instructions over unlimited registers ([`body`], with one file for each family of instructions),
//! find where diverged lanes meet again ([`flow`]), and fold the registers into few ([`allocate`]).

mod allocate;
mod arith;
mod body;
mod context;
mod control;
mod float;
mod flow;
mod memory;
mod mods;
mod moves;
mod names;
mod warp;

use std::collections::HashMap;

use crate::ParseError;
use crate::ir::Program;
use crate::parse::ast::{Operand, Stmt, Var, VarSpace};
use context::SharedLayout;

pub(crate) use context::{Context, place_params};

impl<'a> Context<'a> {
    /// Lowers one entry and everything it reaches.
    pub(crate) fn program(&self, entry: usize) -> Result<Program, ParseError> {
        let reached = self.reach(entry);
        let order: HashMap<usize, u32> =
            reached.functions.iter().enumerate().map(|(at, &f)| (f, at as u32)).collect();
        let (layout, static_shared, dynamic_at) = lay_out(&reached.shared)?;
        let mut functions = Vec::with_capacity(reached.functions.len());
        for &index in &reached.functions {
            let func = &self.ast.functions[index];
            functions.push(body::lower(self, func, &order, &layout)?);
        }
        let addresses = order.iter().map(|(&module, &here)| (module as u64, here)).collect();
        let func = &self.ast.functions[entry];
        let params = place_params(&func.params);
        let param_bytes = params.last().map_or(0, |(offset, size)| offset + size);
        Ok(Program {
            name: func.name.to_owned(),
            functions,
            addresses,
            static_shared,
            dynamic_shared_at: dynamic_at,
            param_bytes,
        })
    }

    fn reach(&self, entry: usize) -> Reached<'a, '_> {
        let shared: HashMap<&str, &Var<'_>> = self
            .ast
            .globals
            .iter()
            .filter(|v| v.space == VarSpace::Shared)
            .map(|v| (v.name, v))
            .collect();
        let mut reached = Reached { functions: vec![entry], shared: Vec::new() };
        let mut seen = std::collections::HashSet::new();
        let mut at = 0;
        while let Some(&index) = reached.functions.get(at) {
            at += 1;
            let Some(body) = &self.ast.functions[index].body else { continue };
            for stmt in body {
                let operands = match stmt {
                    Stmt::Instr(instr) => &instr.operands,
                    Stmt::Var(var) if var.space == VarSpace::Shared => {
                        reached.shared.push(var);
                        continue;
                    }
                    _ => continue,
                };
                let mut note = |name: &str| {
                    if let Some(&callee) = self.functions.get(name)
                        && !reached.functions.contains(&callee)
                        && !control::is_the_drivers(&self.ast.functions[callee])
                    {
                        reached.functions.push(callee);
                    }
                    if let Some(var) = shared.get(name)
                        && seen.insert(var.name)
                    {
                        reached.shared.push(var);
                    }
                };
                operands.iter().for_each(|operand| each_name(operand, &mut note));
                // The target of an indirect call may have come from a table in memory.
                let indirect =
                    operands.iter().any(|o| matches!(o, Operand::Name(n) if n.starts_with('%')));
                if stmt_is_call(stmt) && indirect {
                    self.ast.functions.iter().filter(|f| !f.entry).for_each(|f| note(f.name));
                }
            }
        }
        reached
    }
}

struct Reached<'a, 'c> {
    functions: Vec<usize>,
    shared: Vec<&'c Var<'a>>,
}

fn stmt_is_call(stmt: &Stmt<'_>) -> bool {
    matches!(stmt, Stmt::Instr(i) if i.opcode == "call" || i.opcode.starts_with("call."))
}

fn each_name(operand: &Operand<'_>, f: &mut impl FnMut(&str)) {
    match operand {
        Operand::Name(name) | Operand::Offset(name, _) | Operand::Address(Some(name), _) => f(name),
        Operand::Vector(list) | Operand::List(list) => list.iter().for_each(|o| each_name(o, f)),
        _ => {}
    }
}

/// Offsets of the shared variables, bytes of the static ones, and where dynamic memory begins.
fn lay_out(vars: &[&Var<'_>]) -> Result<(SharedLayout, u32, u32), ParseError> {
    let mut layout = SharedLayout::new();
    let mut at = 0_u64;
    let is_dynamic = |v: &&&Var<'_>| v.count == 0;
    for var in vars.iter().filter(|v| !is_dynamic(v)) {
        at = at.next_multiple_of(u64::from(var.align));
        layout.insert((var.pos.line, var.pos.column), at as u32);
        at += var.bytes();
        if at > 1 << 24 {
            return Err(var.pos.error("static shared memory beyond any device's"));
        }
    }
    let align = vars.iter().filter(is_dynamic).map(|v| v.align).max().unwrap_or(1).max(16);
    let dynamic_at = at.next_multiple_of(u64::from(align)) as u32;
    for var in vars.iter().filter(is_dynamic) {
        layout.insert((var.pos.line, var.pos.column), dynamic_at);
    }
    Ok((layout, at as u32, dynamic_at))
}

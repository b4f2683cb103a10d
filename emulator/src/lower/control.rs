//! Branches, calls, returns, and what ends or pauses a thread.

use super::body::{Lowered, Lowerer};
use super::mods::Mods;
use super::names::Name;
use crate::Class;
use crate::ir::{Call, NONE, Op, Ty};
use crate::parse::ast::{Func, Operand, Var};

/// Whether a function is declared for the driver to define: `__assertfail` is.
pub(super) fn is_the_drivers(function: &Func<'_>) -> bool {
    function.body.is_none() && function.name == "__assertfail"
}

impl<'a> Lowerer<'a, '_> {
    /// Lowers the instruction if it is one of this file's.
    pub(super) fn control(
        &mut self,
        name: &str,
        mods: &mut Mods<'a>,
        operands: &[Operand<'a>],
    ) -> Lowered<bool> {
        match name {
            "bra" => {
                mods.flag("uni");
                let [Operand::Name(label)] = self.exactly::<1>(operands)? else {
                    return Err(self.error("expected a label"));
                };
                self.fix_up(None, label);
                self.emit(Op::Bra(NONE, (NONE, NONE)), Class::Control);
            }
            "brx" => {
                mods.need(&[("idx", ())])?;
                mods.flag("uni");
                let [index, Operand::Name(list)] = self.exactly::<2>(operands)? else {
                    return Err(self.error("expected an index and a list of targets"));
                };
                let index = self.src(index, Ty::U32)?;
                let labels: &'a [&'a str] = self
                    .targets
                    .get(list)
                    .copied()
                    .ok_or_else(|| self.error(format!("no targets `{list}`")))?;
                for (entry, label) in labels.iter().enumerate() {
                    self.fix_up(Some(entry), label);
                }
                let table = vec![NONE; labels.len()].into_boxed_slice();
                self.emit(Op::Brx(table, (NONE, NONE)), Class::Control).a = index;
            }
            "call" => {
                mods.flag("uni");
                self.call(operands)?;
            }
            "ret" => {
                mods.flag("uni");
                self.exactly::<0>(operands)?;
                self.emit(Op::Ret, Class::Control);
            }
            "exit" => {
                self.exactly::<0>(operands)?;
                self.emit(Op::Exit, Class::Control);
            }
            "trap" | "brkpt" => {
                self.exactly::<0>(operands)?;
                self.emit(Op::Trap, Class::Control);
            }
            "nanosleep" => {
                mods.ty()?;
                let [time] = self.exactly::<1>(operands)?;
                self.src(time, Ty::U32)?;
                self.emit(Op::Yield, Class::Other);
            }
            "pmevent" => {
                mods.flag("mask");
                self.emit(Op::Nop, Class::Other);
            }
            // Only hints where registers are not the hardware's.
            "setmaxnreg" => {
                for word in ["inc", "dec", "sync", "aligned"] {
                    mods.flag(word);
                }
                mods.ty()?;
                self.emit(Op::Nop, Class::Other);
            }
            "griddepcontrol" => {
                mods.need(&[("launch_dependents", ()), ("wait", ())])?;
                self.emit(Op::Nop, Class::Other);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn fix_up(&mut self, entry: Option<usize>, label: &'a str) {
        let at = self.out.code.len();
        self.fixups.push((at, entry, self.scopes.current(), label, self.pos));
    }

    fn call(&mut self, operands: &[Operand<'a>]) -> Lowered {
        let (returns, rest) = match operands {
            [Operand::List(returns), rest @ ..] => (returns.as_slice(), rest),
            rest => (&[] as &[_], rest),
        };
        let (target, args) = match rest {
            [Operand::Name(target)] => (*target, &[] as &[_]),
            [Operand::Name(target), Operand::List(args)] => (*target, args.as_slice()),
            // An indirect call names its prototype or its possible targets too.
            [Operand::Name(target), Operand::Name(_)] => (*target, &[] as &[_]),
            [Operand::Name(target), Operand::List(args), Operand::Name(_)] => {
                (*target, args.as_slice())
            }
            _ => return Err(self.error("malformed call")),
        };
        let callee = match self.name(target)? {
            Name::Function(index) => Some(index),
            Name::Reg(..) => None,
            _ => return Err(self.error(format!("`{target}` is not a function"))),
        };
        let mut call = Call { target: None, args: Vec::new(), returns: Vec::new() };
        let mut register = NONE;
        let functions = &self.context.ast.functions;
        match callee {
            Some(index) => {
                let callee = &functions[index];
                if is_the_drivers(callee) {
                    let args = self.places(args, Some(&callee.params))?;
                    return self.assert_fail(&args, returns.is_empty());
                }
                if callee.body.is_none() {
                    return Err(
                        self.error(format!("function `{target}` is declared but not defined"))
                    );
                }
                if callee.entry {
                    return Err(self.error(format!("`{target}` is an entry, not a function")));
                }
                call.target = self.order.get(&index).copied();
                call.args = self.places(args, Some(&callee.params))?;
                call.returns = self.places(returns, Some(&callee.returns))?;
            }
            None => {
                register = self.src(&Operand::Name(target), Ty::B64)?;
                call.args = self.places(args, None)?;
                call.returns = self.places(returns, None)?;
            }
        }
        self.emit(Op::Call(Box::new(call)), Class::Control).a = register;
        Ok(())
    }

    /// What CUDA's `assert` calls when it does not hold, which the driver defines: condition, file,
    /// line, function, bytes of a character.
    fn assert_fail(&mut self, args: &[(u32, u32)], no_returns: bool) -> Lowered {
        let sizes: Vec<u32> = args.iter().map(|&(_, size)| size).collect();
        if sizes != [8, 8, 4, 8, 8] || !no_returns {
            return Err(self.error("`__assertfail` takes two pointers, a line, a pointer, a size"));
        }
        let places = std::array::from_fn(|at| args[at].0);
        self.emit(Op::AssertFail(Box::new(places)), Class::Control);
        Ok(())
    }

    /// Where the `.param` variables of a call lie in the caller's frame. Sizes are the callee's
    /// where it is known, and filled in at run time (zero here) where it is not.
    fn places(
        &mut self,
        operands: &[Operand<'a>],
        formal: Option<&[Var<'a>]>,
    ) -> Lowered<Vec<(u32, u32)>> {
        if formal.is_some_and(|formal| formal.len() != operands.len()) {
            return Err(self.error("wrong number of arguments or return values"));
        }
        let mut places = Vec::with_capacity(operands.len());
        for (at, operand) in operands.iter().enumerate() {
            let Operand::Name(name) = operand else {
                return Err(self.error("arguments are .param variables"));
            };
            let Name::Frame(offset) = self.name(name)? else {
                return Err(self.error(format!("`{name}` is not a .param variable")));
            };
            let size = formal.map_or(0, |formal| formal[at].bytes() as u32);
            places.push((offset, size));
        }
        Ok(places)
    }
}

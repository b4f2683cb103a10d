//! One function body: statements in order, operands to registers.

use std::collections::HashMap;

use super::context::{Context, SharedLayout, place_params, undefined};
use super::mods::{Mods, type_of};
use super::names::{Name, Scopes};
use super::{allocate, flow};
use crate::ir::{CONST, Function, HIDDEN, Instr, NONE, Op, PRED, Reg, Special, Ty, WIDE};
use crate::parse::ast::{Func, Imm, Instr as Source, Operand, Pos, Stmt, Var, VarSpace};
use crate::{Class, ParseError};

pub(super) type Lowered<T = ()> = Result<T, ParseError>;

/// Most registers that one `%r<N>` may declare.
const MAX_REGISTERS: u32 = 1 << 20;
/// Unaddressable bytes between local variables.
const LOCAL_REDZONE: u32 = 16;

/// Lowers a function.
pub(super) fn lower<'a>(
    context: &Context<'a>,
    func: &'a Func<'a>,
    order: &HashMap<usize, u32>,
    layout: &SharedLayout,
) -> Lowered<Function> {
    let body = func.body.as_ref().ok_or_else(|| undefined(func))?;
    let mut lowerer = Lowerer {
        context,
        order,
        layout,
        entry: func.entry,
        scopes: Scopes::new(),
        out: Function::default(),
        consts: HashMap::new(),
        fixups: Vec::new(),
        targets: HashMap::new(),
        pos: func.pos,
        guard: (NONE, false),
    };
    lowerer.declare_params(func);
    lowerer.body(body)?;
    lowerer.finish()
}

/// A label to be resolved: instruction, entry of its table (`None` for a plain branch), scope,
/// name.
type Fixup<'a> = (usize, Option<usize>, usize, &'a str, Pos);

/// The state of lowering one function.
pub(super) struct Lowerer<'a, 'c> {
    pub(super) context: &'c Context<'a>,
    pub(super) order: &'c HashMap<usize, u32>,
    layout: &'c SharedLayout,
    pub(super) entry: bool,
    pub(super) scopes: Scopes<'a>,
    pub(super) out: Function,
    consts: HashMap<(Reg, u64), Reg>,
    pub(super) fixups: Vec<Fixup<'a>>,
    pub(super) targets: HashMap<&'a str, &'a [&'a str]>,
    pub(super) pos: Pos,
    guard: (Reg, bool),
}

impl<'a> Lowerer<'a, '_> {
    fn declare_params(&mut self, func: &'a Func<'a>) {
        let params = place_params(&func.params);
        if func.entry {
            for (var, (offset, _)) in func.params.iter().zip(&params) {
                self.scopes.declare(var.name, Name::Param(*offset));
            }
            return;
        }
        for (list, is_param) in [(&func.params, true), (&func.returns, false)] {
            for var in list {
                let offset = self.frame_variable(var);
                let place = (offset, var.bytes() as u32);
                if is_param {
                    self.out.params.push(place);
                } else {
                    self.out.returns.push(place);
                }
            }
        }
    }

    fn frame_variable(&mut self, var: &Var<'a>) -> u32 {
        let offset = self.out.frame_bytes.next_multiple_of(var.align.max(1));
        self.out.frame_bytes = offset + var.bytes() as u32;
        self.scopes.declare(var.name, Name::Frame(offset));
        offset
    }

    fn body(&mut self, body: &'a [Stmt<'a>]) -> Lowered {
        for stmt in body {
            if let Stmt::Targets(name, list) = stmt {
                self.targets.insert(name, list);
            }
        }
        for stmt in body {
            match stmt {
                Stmt::Regs(ty, names, pos) => self.registers(ty, names, *pos)?,
                Stmt::Var(var) => self.variable(var)?,
                Stmt::Label(name, pos) => {
                    if !self.scopes.label(name, self.out.code.len() as u32) {
                        return Err(pos.error(format!("label `{name}` is defined twice")));
                    }
                }
                Stmt::Open => self.scopes.open(),
                Stmt::Close => self.scopes.close(),
                Stmt::Targets(..) => {}
                Stmt::Instr(instr) => self.instruction(instr)?,
            }
        }
        Ok(())
    }

    fn registers(&mut self, ty: &str, names: &[(&'a str, Option<u32>)], pos: Pos) -> Lowered {
        let bits = type_of(ty.trim_start_matches('.'))
            .map(Ty::bits)
            .ok_or_else(|| pos.error(format!("registers of type `{ty}` are not supported")))?;
        for &(name, count) in names {
            match count {
                Some(count) if count > MAX_REGISTERS => {
                    return Err(pos.error("too many registers"));
                }
                Some(count) => self.scopes.declare_range(name, bits, count),
                None => {
                    let reg = self.scopes.fresh(bits);
                    self.scopes.declare(name, Name::Reg(reg, bits));
                }
            }
        }
        Ok(())
    }

    fn variable(&mut self, var: &'a Var<'a>) -> Lowered {
        match var.space {
            VarSpace::Param => {
                self.frame_variable(var);
            }
            VarSpace::Local => {
                let offset = self.out.local_bytes.next_multiple_of(var.align.max(1));
                self.out.locals.push((offset, var.bytes() as u32));
                self.out.local_bytes = offset + var.bytes() as u32 + LOCAL_REDZONE;
                self.scopes.declare(var.name, Name::Local(offset));
            }
            VarSpace::Shared => {
                let offset = self.layout.get(&(var.pos.line, var.pos.column)).copied();
                self.scopes.declare(var.name, Name::Shared(offset.unwrap_or(0)));
            }
            VarSpace::Global | VarSpace::Const => {
                return Err(var.pos.error("global variables inside a function are not supported"));
            }
        }
        Ok(())
    }

    fn instruction(&mut self, source: &'a Source<'a>) -> Lowered {
        self.pos = source.pos;
        self.guard = (NONE, false);
        if let Some((name, negated)) = source.guard {
            match self.scopes.find(name) {
                Some(Name::Reg(reg, 1)) => self.guard = (reg, negated),
                _ => return Err(self.error(format!("`{name}` is not a predicate"))),
            }
        }
        let (name, mut mods) = Mods::new(source.opcode, source.pos);
        let known = self.arithmetic(name, &mut mods, &source.operands)?
            || self.floating(name, &mut mods, &source.operands)?
            || self.memory(name, &mut mods, &source.operands)?
            || self.warp(name, &mut mods, &source.operands)?
            || self.control(name, &mut mods, &source.operands)?;
        if !known {
            return Err(self.error(format!("unknown instruction `{}`", source.opcode)));
        }
        mods.done()
    }

    fn finish(mut self) -> Lowered<Function> {
        for (instr, entry, scope, name, pos) in std::mem::take(&mut self.fixups) {
            let at = self
                .scopes
                .find_label(scope, name)
                .ok_or_else(|| pos.error(format!("no label `{name}` here")))?;
            match (&mut self.out.code[instr].op, entry) {
                (Op::Bra(target, _), None) => *target = at,
                (Op::Brx(table, _), Some(entry)) => table[entry] = at,
                _ => {}
            }
        }
        // Falling off the end of a body is a return.
        self.guard = (NONE, false);
        self.emit(Op::Ret, Class::Control);
        if let Some(last) = self.out.code.last_mut() {
            last.class = HIDDEN;
        }
        flow::add_joins(&mut self.out.code);
        allocate::allocate(&mut self.out, self.scopes.counts);
        Ok(self.out)
    }

    pub(super) fn error(&self, message: impl Into<String>) -> ParseError {
        self.pos.error(message)
    }

    /// Appends an instruction with no registers under the current guard.
    pub(super) fn emit(&mut self, op: Op, class: Class) -> &mut Instr {
        let (guard, guard_not) = self.guard;
        self.out.code.push(Instr {
            op,
            d: NONE,
            e: NONE,
            a: NONE,
            b: NONE,
            c: NONE,
            x: NONE,
            guard,
            guard_not,
            class: class as u8,
            line: self.pos.line,
        });
        let last = self.out.code.len() - 1;
        &mut self.out.code[last]
    }

    /// Appends an instruction that is not counted.
    pub(super) fn emit_hidden(&mut self, op: Op) -> &mut Instr {
        let instr = self.emit(op, Class::Other);
        instr.class = HIDDEN;
        instr
    }

    /// The number of operands, checked.
    pub(super) fn exactly<'o, const N: usize>(
        &self,
        operands: &'o [Operand<'a>],
    ) -> Lowered<&'o [Operand<'a>; N]> {
        operands
            .try_into()
            .map_err(|_| self.error(format!("expected {N} operands, found {}", operands.len())))
    }

    /// A constant in the file of `bits`.
    pub(super) fn constant(&mut self, value: u64, bits: u32) -> Reg {
        let (tag, value) = match bits {
            1 => (PRED, if value != 0 { u64::from(u32::MAX) } else { 0 }),
            64 => (WIDE, value),
            _ => (0, value & (u64::MAX >> (64 - bits))),
        };
        let out = &mut self.out;
        *self.consts.entry((tag, value)).or_insert_with(|| {
            let at = match tag {
                PRED => {
                    out.const_preds.push(value as u32);
                    out.const_preds.len()
                }
                WIDE => {
                    out.consts64.push(value);
                    out.consts64.len()
                }
                _ => {
                    out.consts32.push(value as u32);
                    out.consts32.len()
                }
            };
            tag | CONST | (at as u32 - 1)
        })
    }

    /// A literal as the bits of a type.
    pub(super) fn literal(&self, imm: Imm, ty: Ty) -> Lowered<u64> {
        let bits = ty.bits();
        Ok(match (imm, ty) {
            (Imm::F32(v), Ty::F32 | Ty::B32) => v.into(),
            (Imm::F32(v), Ty::F64) => f64::from(f32::from_bits(v)).to_bits(),
            (Imm::F64(v), Ty::F64 | Ty::B64) => v,
            (Imm::F64(v), Ty::F32) => (f64::from_bits(v) as f32).to_bits().into(),
            (Imm::Int(v), Ty::Pred) => u64::from(v != 0),
            (Imm::Int(_), Ty::F32 | Ty::F64) => {
                return Err(self.error("an integer literal where a floating-point one is needed"));
            }
            (Imm::Int(v), _) => {
                let fits = bits == 64 || v >> bits == 0 || (v as i64) >> (bits - 1) == -1;
                if !fits {
                    return Err(self.error(format!("the literal does not fit {bits} bits")));
                }
                v
            }
            _ => return Err(self.error("a floating-point literal of the wrong type")),
        })
    }

    fn find(&mut self, name: &str) -> Option<Name> {
        if let Some(found) = self.scopes.find(name) {
            return Some(found);
        }
        if let Some(&address) = self.context.addresses.get(name) {
            return Some(Name::Device(address));
        }
        if let Some(&function) = self.context.functions.get(name) {
            return Some(Name::Function(function));
        }
        let of_module = |v: &&Var<'_>| v.space == VarSpace::Shared && v.name == name;
        let var = self.context.ast.globals.iter().find(of_module)?;
        self.layout.get(&(var.pos.line, var.pos.column)).map(|&offset| Name::Shared(offset))
    }

    /// What a name means, or an error.
    pub(super) fn name(&mut self, name: &str) -> Lowered<Name> {
        self.find(name).ok_or_else(|| self.error(format!("`{name}` is not declared")))
    }

    /// A register by name, with its bits.
    pub(super) fn register(&mut self, name: &str) -> Lowered<(Reg, u32)> {
        match self.find(name) {
            Some(Name::Reg(reg, bits)) => Ok((reg, bits)),
            Some(_) => Err(self.error(format!("`{name}` is not a register"))),
            None => match special(name) {
                Some((which, bits)) => {
                    let reg = self.scopes.fresh(bits);
                    self.emit_hidden(Op::Special(which)).d = reg;
                    Ok((reg, bits))
                }
                None => Err(self.error(format!("`{name}` is not declared"))),
            },
        }
    }

    /// A source of exactly a type's width.
    pub(super) fn src(&mut self, operand: &Operand<'a>, ty: Ty) -> Lowered<Reg> {
        match operand {
            Operand::Name(name) => {
                let (reg, bits) = self.register(name)?;
                if bits != ty.bits() {
                    return Err(self.error(format!(
                        "`{name}` has {bits} bits where {} are needed",
                        ty.bits()
                    )));
                }
                Ok(reg)
            }
            Operand::Imm(imm) => {
                let value = self.literal(*imm, ty)?;
                Ok(self.constant(value, ty.bits()))
            }
            Operand::Not(name) if ty == Ty::Pred => {
                let (reg, bits) = self.register(name)?;
                if bits != 1 {
                    return Err(self.error(format!("`{name}` is not a predicate")));
                }
                let not = self.scopes.fresh(1);
                let instr = self.emit_hidden(Op::PredNot);
                (instr.d, instr.a) = (not, reg);
                Ok(not)
            }
            _ => Err(self.error("expected a register or a literal")),
        }
    }

    /// A destination of exactly a type's width; `_` is a register nobody reads.
    pub(super) fn dst(&mut self, operand: &Operand<'a>, ty: Ty) -> Lowered<Reg> {
        match operand {
            Operand::Sink => Ok(self.scopes.fresh(ty.bits())),
            Operand::Name(name) => {
                match self.find(name) {
                    Some(Name::Reg(reg, bits)) if bits == ty.bits() => Ok(reg),
                    Some(Name::Reg(_, bits)) => Err(self
                        .error(format!("`{name}` has {bits} bits where {} are needed", ty.bits()))),
                    _ => Err(self.error(format!("`{name}` is not a register"))),
                }
            }
            _ => Err(self.error("expected a register to write")),
        }
    }

    /// A source or destination at least as wide as a type, as loads, stores and conversions allow;
    /// returns its bits too.
    pub(super) fn wide(&mut self, operand: &Operand<'a>, ty: Ty) -> Lowered<(Reg, u32)> {
        match operand {
            Operand::Name(name) => {
                let (reg, bits) = self.register(name)?;
                if bits < ty.bits() || bits == 1 {
                    return Err(self.error(format!("`{name}` is too narrow")));
                }
                Ok((reg, bits))
            }
            Operand::Imm(imm) => {
                let value = self.literal(*imm, ty)?;
                Ok((self.constant(value, ty.bits()), ty.bits().max(16)))
            }
            _ => Err(self.error("expected a register or a literal")),
        }
    }

    /// Emits `op` with destination and sources of one type.
    pub(super) fn plain(
        &mut self,
        op: Op,
        class: Class,
        ty: Ty,
        operands: &[Operand<'a>],
    ) -> Lowered {
        let d = self.dst(&operands[0], ty)?;
        let mut sources = [NONE; 3];
        for (source, operand) in sources.iter_mut().zip(&operands[1..]) {
            *source = self.src(operand, ty)?;
        }
        let instr = self.emit(op, class);
        instr.d = d;
        [instr.a, instr.b, instr.c] = sources;
        Ok(())
    }
}

/// A special register by name, and its bits.
pub(super) fn special(name: &str) -> Option<(Special, u32)> {
    let axis = |suffix: &str| match suffix {
        ".x" => Some(0),
        ".y" => Some(1),
        ".z" => Some(2),
        _ => None,
    };
    if let Some(dot) = name.find('.') {
        let axis = axis(&name[dot..])?;
        return Some(match &name[..dot] {
            "%tid" => (Special::Tid(axis), 32),
            "%ntid" => (Special::Ntid(axis), 32),
            "%ctaid" | "%clusterid" => (Special::Ctaid(axis), 32),
            "%nctaid" | "%nclusterid" => (Special::Nctaid(axis), 32),
            "%cluster_ctaid" => (Special::ClusterOne(false), 32),
            "%cluster_nctaid" => (Special::ClusterOne(true), 32),
            _ => return None,
        });
    }
    Some(match name {
        "%laneid" => (Special::LaneId, 32),
        "%warpid" => (Special::WarpId, 32),
        "%nwarpid" => (Special::NWarpId, 32),
        "WARP_SZ" => (Special::WarpSize, 32),
        "%lanemask_eq" => (Special::LanemaskEq, 32),
        "%lanemask_lt" => (Special::LanemaskLt, 32),
        "%lanemask_le" => (Special::LanemaskLe, 32),
        "%lanemask_gt" => (Special::LanemaskGt, 32),
        "%lanemask_ge" => (Special::LanemaskGe, 32),
        "%clock" => (Special::Clock, 32),
        "%clock_hi" => (Special::ClockHi, 32),
        "%clock64" => (Special::Clock64, 64),
        "%globaltimer" => (Special::GlobalTimer, 64),
        "%smid" => (Special::SmId, 32),
        "%nsmid" => (Special::NSmId, 32),
        "%gridid" => (Special::GridId, 64),
        "%dynamic_smem_size" => (Special::DynamicShared, 32),
        "%total_smem_size" => (Special::TotalShared, 32),
        "%cluster_ctarank" => (Special::ClusterOne(false), 32),
        "%cluster_nctarank" => (Special::ClusterOne(true), 32),
        _ => return None,
    })
}

//! Integer arithmetic, logic, comparison and selection.

use super::body::{Lowered, Lowerer};
use super::mods::Mods;
use crate::Class;
use crate::ir::{Bool, Int1, Int2, NONE, Op, Prmt, Reg, Ty, W};
use crate::parse::ast::{Imm, Operand};

const INTEGER: Class = Class::Integer;

fn width(ty: Ty) -> Option<W> {
    match ty {
        Ty::B16 | Ty::U16 | Ty::S16 => Some(W::B16),
        Ty::B32 | Ty::U32 | Ty::S32 => Some(W::B32),
        Ty::B64 | Ty::U64 | Ty::S64 => Some(W::B64),
        _ => None,
    }
}

/// The type of twice the width, of the same sign.
fn doubled(ty: Ty) -> Ty {
    match ty {
        Ty::U16 => Ty::U32,
        Ty::S16 => Ty::S32,
        Ty::U32 => Ty::U64,
        _ => Ty::S64,
    }
}

impl<'a> Lowerer<'a, '_> {
    fn int_type(&self, mods: &mut Mods<'a>) -> Lowered<(Ty, W)> {
        let ty = mods.ty()?;
        let w = width(ty).ok_or_else(|| mods.error("not for this type"))?;
        Ok((ty, w))
    }

    /// An integer type with a sign, as arithmetic (not logic) needs.
    fn signed_type(&self, mods: &mut Mods<'a>) -> Lowered<(Ty, W)> {
        let (ty, w) = self.int_type(mods)?;
        if matches!(ty, Ty::B16 | Ty::B32 | Ty::B64) {
            return Err(mods.error("needs a signed or unsigned type"));
        }
        Ok((ty, w))
    }

    /// Lowers the instruction if it is one of this file's.
    pub(super) fn arithmetic(
        &mut self,
        name: &str,
        mods: &mut Mods<'a>,
        operands: &[Operand<'a>],
    ) -> Lowered<bool> {
        let both_worlds =
            matches!(name, "add" | "sub" | "mul" | "mad" | "div" | "min" | "max" | "neg" | "abs");
        if both_worlds && mods.has_float() {
            return Ok(false);
        }
        match name {
            "add" | "sub" => {
                let sub = name == "sub";
                if mods.flag("cc") {
                    self.carry(sub, false, true, mods, operands)?;
                } else {
                    let sat = mods.flag("sat");
                    let (ty, w) = self.signed_type(mods)?;
                    if sat && ty != Ty::S32 {
                        return Err(mods.error(".sat is for .s32"));
                    }
                    let op = match (sub, sat) {
                        (false, false) => Int2::Add,
                        (false, true) => Int2::AddSat,
                        (true, false) => Int2::Sub,
                        (true, true) => Int2::SubSat,
                    };
                    self.exactly::<3>(operands)?;
                    self.plain(Op::Int2(op, w), INTEGER, ty, operands)?;
                }
            }
            "addc" | "subc" => {
                let out = mods.flag("cc");
                self.carry(name == "subc", true, out, mods, operands)?;
            }
            "mul" => self.mul(mods, operands)?,
            "mad" | "madc" => self.mad(name == "madc", mods, operands)?,
            "mul24" | "mad24" => {
                let hi = mods.need(&[("lo", false), ("hi", true)])?;
                let sat = mods.flag("sat");
                let (ty, _) = self.signed_type(mods)?;
                let mad = name == "mad24";
                if ty.bits() != 32 || (sat && !(mad && hi && ty == Ty::S32)) {
                    return Err(mods.error("not for this type"));
                }
                if mad {
                    self.exactly::<4>(operands)?;
                } else {
                    self.exactly::<3>(operands)?;
                }
                self.plain(Op::Mul24 { hi, signed: ty.signed(), sat }, INTEGER, ty, operands)?;
            }
            "div" | "rem" | "min" | "max" => {
                let (ty, w) = self.signed_type(mods)?;
                let op = match (name, ty.signed()) {
                    ("div", false) => Int2::DivU,
                    ("div", true) => Int2::DivS,
                    ("rem", false) => Int2::RemU,
                    ("rem", true) => Int2::RemS,
                    ("min", false) => Int2::MinU,
                    ("min", true) => Int2::MinS,
                    ("max", false) => Int2::MaxU,
                    _ => Int2::MaxS,
                };
                self.exactly::<3>(operands)?;
                self.plain(Op::Int2(op, w), INTEGER, ty, operands)?;
            }
            "and" | "or" | "xor" | "not" | "cnot" => self.logic(name, mods, operands)?,
            "shl" | "shr" => {
                let (ty, w) = self.int_type(mods)?;
                let op = match (name, ty.signed()) {
                    ("shl", _) => Int2::Shl,
                    (_, false) => Int2::ShrU,
                    _ => Int2::ShrS,
                };
                let [d, a, b] = self.exactly::<3>(operands)?;
                let (d, a, b) = (self.dst(d, ty)?, self.src(a, ty)?, self.src(b, Ty::U32)?);
                let instr = self.emit(Op::Int2(op, w), INTEGER);
                (instr.d, instr.a, instr.b) = (d, a, b);
            }
            "neg" | "abs" => {
                let (ty, w) = self.signed_type(mods)?;
                if !ty.signed() {
                    return Err(mods.error("needs a signed type"));
                }
                let op = if name == "neg" { Int1::Neg } else { Int1::Abs };
                self.exactly::<2>(operands)?;
                self.plain(Op::Int1(op, w), INTEGER, ty, operands)?;
            }
            "brev" => {
                let (ty, w) = self.int_type(mods)?;
                self.exactly::<2>(operands)?;
                self.plain(Op::Int1(Int1::Brev, w), INTEGER, ty, operands)?;
            }
            "popc" | "clz" | "bfind" => {
                let shift = name == "bfind" && mods.flag("shiftamt");
                let (ty, w) = self.int_type(mods)?;
                let op = match (name, shift, ty.signed()) {
                    ("popc", ..) => Int1::Popc,
                    ("clz", ..) => Int1::Clz,
                    (_, false, false) => Int1::BfindU,
                    (_, false, true) => Int1::BfindS,
                    (_, true, false) => Int1::BfindShiftU,
                    (_, true, true) => Int1::BfindShiftS,
                };
                let [d, a] = self.exactly::<2>(operands)?;
                let (d, a) = (self.dst(d, Ty::U32)?, self.src(a, ty)?);
                let instr = self.emit(Op::Int1(op, w), INTEGER);
                (instr.d, instr.a) = (d, a);
            }
            "shf" => {
                let left = mods.need(&[("l", true), ("r", false)])?;
                let wrap = mods.need(&[("wrap", true), ("clamp", false)])?;
                let ty = mods.ty()?;
                if ty.bits() != 32 {
                    return Err(mods.error("shf is 32 bits wide"));
                }
                self.exactly::<4>(operands)?;
                self.plain(Op::Shf(left, wrap), INTEGER, Ty::B32, operands)?;
            }
            "bfe" | "bfi" | "bmsk" | "szext" | "fns" => self.bits(name, mods, operands)?,
            "prmt" => {
                let _ = mods.ty()?;
                let mode = mods.one_of(&[
                    ("f4e", Prmt::F4e),
                    ("b4e", Prmt::B4e),
                    ("rc8", Prmt::Rc8),
                    ("ecl", Prmt::Ecl),
                    ("ecr", Prmt::Ecr),
                    ("rc16", Prmt::Rc16),
                ]);
                self.exactly::<4>(operands)?;
                let op = Op::Prmt(mode.unwrap_or(Prmt::Index));
                self.plain(op, INTEGER, Ty::B32, operands)?;
            }
            "lop3" => self.lop3(mods, operands)?,
            "sad" => {
                let (ty, w) = self.signed_type(mods)?;
                self.exactly::<4>(operands)?;
                self.plain(Op::Sad(ty.signed(), w), INTEGER, ty, operands)?;
            }
            "dp4a" | "dp2a" => {
                let hi = (name == "dp2a")
                    .then(|| mods.need(&[("lo", false), ("hi", true)]))
                    .transpose()?;
                let (a, b) = (self.signed_type(mods)?.0, self.signed_type(mods)?.0);
                self.exactly::<4>(operands)?;
                let op = match hi {
                    None => Op::Dp4a(a.signed(), b.signed()),
                    Some(hi) => Op::Dp2a(hi, a.signed(), b.signed()),
                };
                self.plain(op, INTEGER, Ty::B32, operands)?;
            }
            "setp" => self.setp(mods, operands)?,
            "set" => self.set(mods, operands)?,
            "selp" => {
                let ty = mods.ty()?;
                let w = W::of(ty);
                let [d, a, b, p] = self.exactly::<4>(operands)?;
                let (d, a, b) = (self.dst(d, ty)?, self.src(a, ty)?, self.src(b, ty)?);
                let x = self.src(p, Ty::Pred)?;
                let instr = self.emit(Op::Selp(w), INTEGER);
                (instr.d, instr.a, instr.b, instr.x) = (d, a, b, x);
            }
            "slct" => {
                let ftz = mods.flag("ftz");
                let (ty, of) = (mods.ty()?, mods.ty()?);
                if !matches!(of, Ty::S32 | Ty::F32) {
                    return Err(mods.error("slct selects by .s32 or .f32"));
                }
                let [d, a, b, c] = self.exactly::<4>(operands)?;
                let (d, a, b) = (self.dst(d, ty)?, self.src(a, ty)?, self.src(b, ty)?);
                let c = self.src(c, of)?;
                let instr = self.emit(Op::Slct(W::of(ty), of == Ty::F32, ftz), INTEGER);
                (instr.d, instr.a, instr.b, instr.c) = (d, a, b, c);
            }
            "mov" => self.mov(mods, operands)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn carry(
        &mut self,
        sub: bool,
        carry_in: bool,
        carry_out: bool,
        mods: &mut Mods<'a>,
        operands: &[Operand<'a>],
    ) -> Lowered {
        let (ty, w) = self.signed_type(mods)?;
        if w == W::B16 {
            return Err(mods.error("not for this type"));
        }
        self.exactly::<3>(operands)?;
        self.plain(Op::AddC { sub, carry_in, carry_out, w }, INTEGER, ty, operands)
    }

    fn mul(&mut self, mods: &mut Mods<'a>, operands: &[Operand<'a>]) -> Lowered {
        let wide = mods.flag("wide");
        let part = if wide { false } else { mods.need(&[("lo", false), ("hi", true)])? };
        let (ty, w) = self.signed_type(mods)?;
        let [d, a, b] = self.exactly::<3>(operands)?;
        if wide {
            if w == W::B64 {
                return Err(mods.error("mul.wide is of 16 or 32 bits"));
            }
            let (d, a, b) = (self.dst(d, doubled(ty))?, self.src(a, ty)?, self.src(b, ty)?);
            let instr = self.emit(Op::MulWide(ty.signed(), w), INTEGER);
            (instr.d, instr.a, instr.b) = (d, a, b);
            return Ok(());
        }
        let op = match (part, ty.signed()) {
            (false, _) => Int2::Mul,
            (true, false) => Int2::MulHiU,
            (true, true) => Int2::MulHiS,
        };
        self.plain(Op::Int2(op, w), INTEGER, ty, operands)
    }

    fn mad(&mut self, carry_in: bool, mods: &mut Mods<'a>, operands: &[Operand<'a>]) -> Lowered {
        let wide = !carry_in && mods.flag("wide");
        let hi = if wide { false } else { mods.need(&[("lo", false), ("hi", true)])? };
        let sat = mods.flag("sat");
        let carry_out = !wide && mods.flag("cc");
        let (ty, w) = self.signed_type(mods)?;
        let signed = ty.signed();
        let [d, a, b, c] = self.exactly::<4>(operands)?;
        if wide {
            if w == W::B64 {
                return Err(mods.error("mad.wide is of 16 or 32 bits"));
            }
            let twice = doubled(ty);
            let (d, a, b) = (self.dst(d, twice)?, self.src(a, ty)?, self.src(b, ty)?);
            let c = self.src(c, twice)?;
            let instr = self.emit(Op::MadWide(signed, w), INTEGER);
            (instr.d, instr.a, instr.b, instr.c) = (d, a, b, c);
            return Ok(());
        }
        let op = if carry_in || carry_out {
            if w == W::B16 {
                return Err(mods.error("not for this type"));
            }
            Op::MadC { hi, signed, carry_in, carry_out, w }
        } else if sat {
            if !(hi && ty == Ty::S32) {
                return Err(mods.error(".sat is for mad.hi.s32"));
            }
            Op::MadHiSat
        } else if hi {
            Op::MadHi(signed, w)
        } else {
            Op::MadLo(w)
        };
        self.plain(op, INTEGER, ty, operands)
    }

    fn logic(&mut self, name: &str, mods: &mut Mods<'a>, operands: &[Operand<'a>]) -> Lowered {
        let ty = mods.ty()?;
        let unary = matches!(name, "not" | "cnot");
        if unary {
            self.exactly::<2>(operands)?;
        } else {
            self.exactly::<3>(operands)?;
        }
        let op = match (name, width(ty), ty) {
            ("and", None, Ty::Pred) => Op::PredBool(Bool::And),
            ("or", None, Ty::Pred) => Op::PredBool(Bool::Or),
            ("xor", None, Ty::Pred) => Op::PredBool(Bool::Xor),
            ("not", None, Ty::Pred) => Op::PredNot,
            ("and", Some(w), _) => Op::Int2(Int2::And, w),
            ("or", Some(w), _) => Op::Int2(Int2::Or, w),
            ("xor", Some(w), _) => Op::Int2(Int2::Xor, w),
            ("not", Some(w), _) => Op::Int1(Int1::Not, w),
            ("cnot", Some(w), _) => Op::Int1(Int1::Cnot, w),
            _ => return Err(mods.error("not for this type")),
        };
        self.plain(op, INTEGER, ty, operands)
    }

    fn bits(&mut self, name: &str, mods: &mut Mods<'a>, operands: &[Operand<'a>]) -> Lowered {
        let mode = if matches!(name, "bmsk" | "szext") {
            Some(mods.need(&[("wrap", true), ("clamp", false)])?)
        } else {
            None
        };
        let (ty, w) = self.int_type(mods)?;
        if w == W::B16 || (w == W::B64 && !matches!(name, "bfe" | "bfi")) {
            return Err(mods.error("not for this type"));
        }
        match (name, mode) {
            ("bfe", _) => {
                let [d, a, b, c] = self.exactly::<4>(operands)?;
                let (d, a) = (self.dst(d, ty)?, self.src(a, ty)?);
                let (b, c) = (self.src(b, Ty::U32)?, self.src(c, Ty::U32)?);
                let instr = self.emit(Op::Bfe(ty.signed(), w), INTEGER);
                (instr.d, instr.a, instr.b, instr.c) = (d, a, b, c);
            }
            ("bfi", _) => {
                let [d, a, b, c, x] = self.exactly::<5>(operands)?;
                let (d, a, b) = (self.dst(d, ty)?, self.src(a, ty)?, self.src(b, ty)?);
                let (c, x) = (self.src(c, Ty::U32)?, self.src(x, Ty::U32)?);
                let instr = self.emit(Op::Bfi(w), INTEGER);
                (instr.d, instr.a, instr.b, instr.c, instr.x) = (d, a, b, c, x);
            }
            ("bmsk", Some(wrap)) => {
                self.exactly::<3>(operands)?;
                self.plain(Op::Bmsk(wrap), INTEGER, ty, operands)?;
            }
            ("szext", Some(wrap)) => {
                self.exactly::<3>(operands)?;
                self.plain(Op::Szext(ty.signed(), wrap), INTEGER, ty, operands)?;
            }
            _ => {
                self.exactly::<4>(operands)?;
                self.plain(Op::Fns, INTEGER, ty, operands)?;
            }
        }
        Ok(())
    }

    fn lop3(&mut self, mods: &mut Mods<'a>, operands: &[Operand<'a>]) -> Lowered {
        let bool_op = mods.one_of(&[("or", Bool::Or), ("and", Bool::And)]);
        let _ = mods.ty()?;
        let (list, q) = match (bool_op, operands) {
            (None, [list @ .., _lut]) if list.len() == 4 => (list, None),
            (Some(_), [list @ .., _lut, q]) if list.len() == 4 => (list, Some(q)),
            _ => return Err(self.error("wrong number of operands")),
        };
        let lut = match operands[4] {
            Operand::Imm(Imm::Int(lut)) if lut < 256 => lut as u8,
            _ => return Err(self.error("the table of lop3 is a literal below 256")),
        };
        let (Some(bool_op), Some(q)) = (bool_op, q) else {
            return self.plain(Op::Lop3(lut), INTEGER, Ty::B32, list);
        };
        let Operand::Pair(d, p) = &list[0] else {
            return Err(self.error("expected `d|p`"));
        };
        let (d, p) = (self.dst(d, Ty::B32)?, self.dst(p, Ty::Pred)?);
        let (a, b) = (self.src(&list[1], Ty::B32)?, self.src(&list[2], Ty::B32)?);
        let (c, q) = (self.src(&list[3], Ty::B32)?, self.src(q, Ty::Pred)?);
        let instr = self.emit(Op::Lop3Pred(lut, bool_op), INTEGER);
        (instr.d, instr.e, instr.a, instr.b, instr.c, instr.x) = (d, p, a, b, c, q);
        Ok(())
    }

    fn bool_op(mods: &mut Mods<'a>) -> Option<Bool> {
        mods.one_of(&[("and", Bool::And), ("or", Bool::Or), ("xor", Bool::Xor)])
    }

    fn setp(&mut self, mods: &mut Mods<'a>, operands: &[Operand<'a>]) -> Lowered {
        let (cmp, ftz) = (mods.cmp()?, mods.flag("ftz"));
        let combine = Self::bool_op(mods);
        let ty = mods.ty()?;
        self.comparable(cmp, ty, mods)?;
        let (p, q) = match operands.first() {
            Some(Operand::Pair(p, q)) => (self.dst(p, Ty::Pred)?, self.dst(q, Ty::Pred)?),
            Some(p) => (self.dst(p, Ty::Pred)?, NONE),
            None => return Err(self.error("setp without operands")),
        };
        let (a, b, x) = self.compared(combine, ty, operands)?;
        let class = if ty.float() { Class::Float } else { INTEGER };
        let instr = self.emit(Op::SetP(cmp, ty, combine, ftz), class);
        (instr.d, instr.e, instr.a, instr.b, instr.x) = (p, q, a, b, x);
        Ok(())
    }

    fn set(&mut self, mods: &mut Mods<'a>, operands: &[Operand<'a>]) -> Lowered {
        let (cmp, ftz) = (mods.cmp()?, mods.flag("ftz"));
        let combine = Self::bool_op(mods);
        let (to, ty) = (mods.ty()?, mods.ty()?);
        self.comparable(cmp, ty, mods)?;
        if !matches!(to, Ty::U32 | Ty::S32 | Ty::F32) {
            return Err(mods.error("set writes .u32, .s32 or .f32"));
        }
        let Some(d) = operands.first() else {
            return Err(self.error("set without operands"));
        };
        let d = self.dst(d, to)?;
        let (a, b, x) = self.compared(combine, ty, operands)?;
        let class = if ty.float() { Class::Float } else { INTEGER };
        let instr = self.emit(Op::Set(cmp, ty, combine, ftz, to), class);
        (instr.d, instr.a, instr.b, instr.x) = (d, a, b, x);
        Ok(())
    }

    fn comparable(&self, cmp: crate::ir::Cmp, ty: Ty, mods: &Mods<'a>) -> Lowered {
        use crate::ir::Cmp;
        let ordered_only = matches!(cmp, Cmp::Eq | Cmp::Ne | Cmp::Lt | Cmp::Le | Cmp::Gt | Cmp::Ge);
        let fine = match ty {
            Ty::F16 | Ty::Bf16 | Ty::F32 | Ty::F64 => true,
            Ty::B16 | Ty::B32 | Ty::B64 => matches!(cmp, Cmp::Eq | Cmp::Ne),
            _ => width(ty).is_some() && ordered_only,
        };
        fine.then_some(()).ok_or_else(|| mods.error("no such comparison of this type"))
    }

    fn compared(
        &mut self,
        combine: Option<Bool>,
        ty: Ty,
        operands: &[Operand<'a>],
    ) -> Lowered<(Reg, Reg, Reg)> {
        match (combine, operands) {
            (None, [_, a, b]) => Ok((self.src(a, ty)?, self.src(b, ty)?, NONE)),
            (Some(_), [_, a, b, c]) => {
                Ok((self.src(a, ty)?, self.src(b, ty)?, self.src(c, Ty::Pred)?))
            }
            _ => Err(self.error("wrong number of operands")),
        }
    }
}

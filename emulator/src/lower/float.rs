//! Floating point and conversions.

use super::body::{Lowered, Lowerer};
use super::mods::Mods;
use crate::Class;
use crate::ir::{Float1, Float2, FloatMode, Op, Round, TestP, Ty};
use crate::parse::ast::Operand;

const FLOAT: Class = Class::Float;

impl<'a> Lowerer<'a, '_> {
    /// Lowers the instruction if it is one of this file's.
    pub(super) fn floating(
        &mut self,
        name: &str,
        mods: &mut Mods<'a>,
        operands: &[Operand<'a>],
    ) -> Lowered<bool> {
        match name {
            "add" | "sub" | "mul" | "div" | "min" | "max" => {
                self.float2(name, mods, operands)?;
            }
            "copysign" => {
                let ty = mods.ty()?;
                self.one_of_types(ty, &[Ty::F32, Ty::F64], mods)?;
                self.exactly::<3>(operands)?;
                // PTX gives the sign first.
                let swapped = [operands[0].clone(), operands[2].clone(), operands[1].clone()];
                let op = Op::Float2(Float2::CopySign, ty, float_mode(mods, Round::Near));
                self.plain(op, FLOAT, ty, &swapped)?;
            }
            "fma" | "mad" => {
                let rounded = mods.round();
                let mut mode = float_mode(mods, rounded.unwrap_or(Round::Near));
                mode.special = mods.flag("relu");
                let ty = mods.ty()?;
                if mode.round == Round::Away || (rounded.is_none() && name == "fma") {
                    return Err(mods.error("fma needs .rn, .rz, .rm or .rp"));
                }
                let directed = mode.round != Round::Near;
                if !ty.float() || (directed && !matches!(ty, Ty::F32 | Ty::F64)) {
                    return Err(mods.error("no such fma"));
                }
                self.exactly::<4>(operands)?;
                self.plain(Op::Fma(ty, mode), FLOAT, ty, operands)?;
            }
            "neg" | "abs" => {
                let mode = float_mode(mods, Round::Near);
                let ty = mods.ty()?;
                let op = if name == "neg" { Float1::Neg } else { Float1::Abs };
                self.exactly::<2>(operands)?;
                self.plain(Op::Float1(op, ty, mode), FLOAT, ty, operands)?;
            }
            "sqrt" | "rsqrt" | "rcp" | "ex2" | "lg2" | "sin" | "cos" | "tanh" => {
                self.function(name, mods, operands)?;
            }
            "testp" => {
                let property = mods.need(&[
                    ("finite", TestP::Finite),
                    ("infinite", TestP::Infinite),
                    ("number", TestP::Number),
                    ("notanumber", TestP::NotANumber),
                    ("normal", TestP::Normal),
                    ("subnormal", TestP::Subnormal),
                ])?;
                let ty = mods.ty()?;
                self.one_of_types(ty, &[Ty::F32, Ty::F64], mods)?;
                let [p, a] = self.exactly::<2>(operands)?;
                let (p, a) = (self.dst(p, Ty::Pred)?, self.src(a, ty)?);
                let instr = self.emit(Op::TestP(property, ty), FLOAT);
                (instr.d, instr.a) = (p, a);
            }
            "cvt" => self.cvt(mods, operands)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn one_of_types(&self, ty: Ty, types: &[Ty], mods: &Mods<'a>) -> Lowered {
        types.contains(&ty).then_some(()).ok_or_else(|| mods.error("not for this type"))
    }

    fn float2(&mut self, name: &str, mods: &mut Mods<'a>, operands: &[Operand<'a>]) -> Lowered {
        let op = match name {
            "add" => Float2::Add,
            "sub" => Float2::Sub,
            "mul" => Float2::Mul,
            "div" => Float2::Div,
            "min" => Float2::Min,
            _ => Float2::Max,
        };
        // The approximate divisions are the exact one here: nearer than the ISA asks for.
        let approximate = op == Float2::Div && (mods.flag("approx") || mods.flag("full"));
        let rounded = mods.round();
        let mut mode = float_mode(mods, rounded.unwrap_or(Round::Near));
        if matches!(op, Float2::Min | Float2::Max) {
            mode.special = mods.flag("NaN");
        }
        let ty = mods.ty()?;
        if !ty.float() {
            return Err(mods.error("not for this type"));
        }
        if op == Float2::Div {
            self.one_of_types(ty, &[Ty::F32, Ty::F64], mods)?;
            if !approximate && rounded.is_none() {
                return Err(mods.error("div needs a rounding mode, .approx or .full"));
            }
        }
        let directed = mode.round != Round::Near;
        if mode.round == Round::Away || (directed && !matches!(ty, Ty::F32 | Ty::F64)) {
            return Err(mods.error("no such rounding of this type"));
        }
        self.exactly::<3>(operands)?;
        self.plain(Op::Float2(op, ty, mode), FLOAT, ty, operands)
    }

    fn function(&mut self, name: &str, mods: &mut Mods<'a>, operands: &[Operand<'a>]) -> Lowered {
        let op = match name {
            "sqrt" => Float1::Sqrt,
            "rsqrt" => Float1::Rsqrt,
            "rcp" => Float1::Rcp,
            "ex2" => Float1::Ex2,
            "lg2" => Float1::Lg2,
            "sin" => Float1::Sin,
            "cos" => Float1::Cos,
            _ => Float1::Tanh,
        };
        let approximate = mods.flag("approx");
        let rounded = mods.round();
        let mode = float_mode(mods, rounded.unwrap_or(Round::Near));
        let ty = mods.ty()?;
        let types: &[Ty] = match op {
            Float1::Sqrt | Float1::Rcp | Float1::Rsqrt => &[Ty::F32, Ty::F64],
            Float1::Ex2 | Float1::Tanh => &[Ty::F32, Ty::F16, Ty::Bf16, Ty::F16x2, Ty::Bf16x2],
            _ => &[Ty::F32],
        };
        self.one_of_types(ty, types, mods)?;
        let exact = matches!(op, Float1::Sqrt | Float1::Rcp) && rounded.is_some();
        if approximate == exact || (ty == Ty::F64 && approximate && op != Float1::Rsqrt) {
            return Err(mods.error("needs .approx, or a rounding mode"));
        }
        self.exactly::<2>(operands)?;
        self.plain(Op::Float1(op, ty, mode), FLOAT, ty, operands)
    }

    fn cvt(&mut self, mods: &mut Mods<'a>, operands: &[Operand<'a>]) -> Lowered {
        let rounded = mods.round();
        let mut mode = float_mode(mods, rounded.unwrap_or(Round::Near));
        mode.special = mods.flag("relu");
        let satfinite = mods.flag("satfinite");
        let (to, from) = (mods.ty()?, mods.ty()?);
        if satfinite {
            return Err(mods.error(".satfinite is not supported"));
        }
        if from == Ty::Pred || to == Ty::Pred || (to == Ty::Tf32 && from != Ty::F32) {
            return Err(mods.error("no such conversion"));
        }
        if matches!(to, Ty::F16x2 | Ty::Bf16x2) {
            if from != Ty::F32 || !matches!(rounded, Some(Round::Near | Round::Zero)) {
                return Err(mods.error("no such conversion"));
            }
            let [d, a, b] = self.exactly::<3>(operands)?;
            let (d, a, b) = (self.dst(d, to)?, self.src(a, from)?, self.src(b, from)?);
            let instr = self.emit(Op::CvtPack { to, mode }, FLOAT);
            (instr.d, instr.a, instr.b) = (d, a, b);
            return Ok(());
        }
        if matches!(from, Ty::F16x2 | Ty::Bf16x2 | Ty::Tf32) {
            return Err(mods.error("no such conversion"));
        }
        let inexact = match (from.float(), to.float()) {
            (true, true) => {
                to.bits() < from.bits()
                    || to == Ty::Tf32
                    || (to != from && to.bits() == from.bits())
            }
            (false, false) => false,
            _ => true,
        };
        if inexact && rounded.is_none() {
            return Err(mods.error("the conversion needs a rounding mode"));
        }
        if mode.round == Round::Away && to != Ty::Tf32 {
            return Err(mods.error(".rna is for .tf32"));
        }
        if from.float() && from == to && rounded.is_none() {
            // No rounding to an integral value was asked for: a move that flushes or saturates.
            // `Away` is free to mean it, see `exec::convert`.
            mode.round = Round::Away;
        }
        let [d, a] = self.exactly::<2>(operands)?;
        let (a, from_bits) = self.wide(a, from)?;
        let (d, to_bits) = self.wide(d, to)?;
        let (from_wide, to_bits) = (from_bits == 64, to_bits as u8);
        let class = if from.float() || to.float() { FLOAT } else { Class::Integer };
        let instr = self.emit(Op::Cvt { from, to, mode, from_wide, to_bits }, class);
        (instr.d, instr.a) = (d, a);
        Ok(())
    }
}

fn float_mode(mods: &mut Mods<'_>, round: Round) -> FloatMode {
    FloatMode { round, ftz: mods.flag("ftz"), sat: mods.flag("sat"), special: false }
}

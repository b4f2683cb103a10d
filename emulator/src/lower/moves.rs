//! Moves, and packing and unpacking of registers.

use super::body::{Lowered, Lowerer};
use super::mods::Mods;
use super::names::Name;
use crate::Class;
use crate::ir::{Int1, NONE, Op, Reg, Ty, W};
use crate::memory::FUNCTION_WINDOW;
use crate::parse::ast::Operand;

impl<'a> Lowerer<'a, '_> {
    pub(super) fn mov(&mut self, mods: &mut Mods<'a>, operands: &[Operand<'a>]) -> Lowered {
        let ty = mods.ty()?;
        let [d, a] = self.exactly::<2>(operands)?;
        match (d, a) {
            (Operand::Vector(parts), _) => return self.unpack(ty, parts, a),
            (_, Operand::Vector(parts)) => return self.pack(ty, d, parts),
            _ => {}
        }
        if ty == Ty::Pred {
            let (d, a) = (self.dst(d, ty)?, self.src(a, ty)?);
            let instr = self.emit(Op::PredMov, Class::Integer);
            (instr.d, instr.a) = (d, a);
            return Ok(());
        }
        let w = W::of(ty);
        let named = match a {
            Operand::Name(name) => Some((*name, 0)),
            Operand::Offset(name, offset) => Some((*name, *offset)),
            _ => None,
        };
        if let Some((name, offset)) = named {
            if let Some((which, bits)) = super::body::special(name) {
                if offset != 0 {
                    return Err(self.error("an offset from a special register"));
                }
                let d = self.special_dst(d, ty, bits, name)?;
                self.emit(Op::Special(which), Class::Integer).d = d;
                return Ok(());
            }
            let value = match self.name(name)? {
                Name::Reg(..) if offset == 0 => None,
                Name::Reg(..) => return Err(self.error("an offset from a register")),
                Name::Frame(_) => {
                    return Err(
                        self.error("the address of a function's parameter is not supported")
                    );
                }
                Name::Local(at) => {
                    let at = u32::try_from(i64::from(at) + offset)
                        .map_err(|_| self.error("the address is outside the function's memory"))?;
                    if ty.bits() != 64 {
                        return Err(self.error("local addresses have 64 bits"));
                    }
                    let d = self.dst(d, ty)?;
                    self.emit(Op::LocalAddress(at), Class::Integer).d = d;
                    return Ok(());
                }
                Name::Param(at) | Name::Shared(at) => Some(u64::from(at)),
                Name::Device(address) => Some(address),
                Name::Function(index) => Some(FUNCTION_WINDOW + index as u64),
            };
            if let Some(value) = value {
                let value = value.wrapping_add_signed(offset);
                if !matches!(ty.bits(), 32 | 64) || (ty.bits() == 32 && value >> 32 != 0) {
                    return Err(self.error("the address does not fit the type"));
                }
                let (d, a) = (self.dst(d, ty)?, self.constant(value, ty.bits()));
                let instr = self.emit(Op::Int1(Int1::Mov, w), Class::Integer);
                (instr.d, instr.a) = (d, a);
                return Ok(());
            }
        }
        self.plain(Op::Int1(Int1::Mov, w), Class::Integer, ty, operands)
    }

    /// The destination of a move from a special register; `%clock64` and the like need all their
    /// bits.
    fn special_dst(&mut self, d: &Operand<'a>, ty: Ty, bits: u32, name: &str) -> Lowered<Reg> {
        if ty.bits() != bits {
            return Err(self.error(format!("`{name}` has {bits} bits")));
        }
        self.dst(d, ty)
    }

    fn pack(&mut self, ty: Ty, d: &Operand<'a>, parts: &[Operand<'a>]) -> Lowered {
        let (op, part) = match (ty.bits(), parts.len()) {
            (32, 2) => (Op::Pack16, Ty::B16),
            (64, 2) => (Op::Pack32, Ty::B32),
            (64, 4) => (Op::Pack4x16, Ty::B16),
            (32, 4) | (16, 2) => return Err(self.error("packing of bytes is not supported")),
            _ => return Err(self.error("wrong number of parts")),
        };
        let d = self.dst(d, ty)?;
        let mut sources = [NONE; 4];
        for (source, operand) in sources.iter_mut().zip(parts) {
            *source = self.src(operand, part)?;
        }
        let instr = self.emit(op, Class::Integer);
        instr.d = d;
        [instr.a, instr.b, instr.c, instr.x] = sources;
        Ok(())
    }

    fn unpack(&mut self, ty: Ty, parts: &[Operand<'a>], a: &Operand<'a>) -> Lowered {
        let (from, to, part) = match (ty.bits(), parts.len()) {
            (32, 2) => (W::B32, W::B16, Ty::B16),
            (64, 2) => (W::B64, W::B32, Ty::B32),
            (64, 4) => (W::B64, W::B16, Ty::B16),
            (32, 4) | (16, 2) => return Err(self.error("unpacking of bytes is not supported")),
            _ => return Err(self.error("wrong number of parts")),
        };
        let a = self.src(a, ty)?;
        // One instruction in PTX, so only the first is counted.
        let mut counted = false;
        for (at, operand) in parts.iter().enumerate() {
            if matches!(operand, Operand::Sink) {
                continue;
            }
            let d = self.dst(operand, part)?;
            let op = Op::Extract((at as u32 * part.bits()) as u8, from, to);
            let instr = if counted { self.emit_hidden(op) } else { self.emit(op, Class::Integer) };
            (instr.d, instr.a) = (d, a);
            counted = true;
        }
        Ok(())
    }
}

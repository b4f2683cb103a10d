//! Instructions across the lanes of a warp and the warps of a block.

use super::body::{Lowered, Lowerer};
use super::mods::Mods;
use crate::Class;
use crate::ir::{Bar, NONE, Op, Rmw, Shfl, Ty, Vote, W};
use crate::parse::ast::Operand;

const WARP: Class = Class::Warp;

impl<'a> Lowerer<'a, '_> {
    /// Lowers the instruction if it is one of this file's.
    pub(super) fn warp(
        &mut self,
        name: &str,
        mods: &mut Mods<'a>,
        operands: &[Operand<'a>],
    ) -> Lowered<bool> {
        match name {
            "vote" => {
                self.synced(mods)?;
                let kind = mods.need(&[
                    ("all", Vote::All),
                    ("any", Vote::Any),
                    ("uni", Vote::Uni),
                    ("ballot", Vote::Ballot),
                ])?;
                let ty = mods.ty()?;
                let needed = if kind == Vote::Ballot { Ty::B32 } else { Ty::Pred };
                if ty != needed {
                    return Err(mods.error("not for this type"));
                }
                let [d, a, mask] = self.exactly::<3>(operands)?;
                let (d, a) = (self.dst(d, ty)?, self.src(a, Ty::Pred)?);
                let mask = self.src(mask, Ty::B32)?;
                let instr = self.emit(Op::Vote(kind), WARP);
                (instr.d, instr.a, instr.x) = (d, a, mask);
            }
            "shfl" => {
                self.synced(mods)?;
                let mode = mods.need(&[
                    ("up", Shfl::Up),
                    ("down", Shfl::Down),
                    ("bfly", Shfl::Bfly),
                    ("idx", Shfl::Idx),
                ])?;
                self.bits32(mods)?;
                let [d, a, b, c, mask] = self.exactly::<5>(operands)?;
                let (d, p) = self.pair(d)?;
                let (a, b) = (self.src(a, Ty::B32)?, self.src(b, Ty::B32)?);
                let (c, mask) = (self.src(c, Ty::B32)?, self.src(mask, Ty::B32)?);
                let instr = self.emit(Op::Shfl(mode), WARP);
                (instr.d, instr.e, instr.a, instr.b, instr.c, instr.x) = (d, p, a, b, c, mask);
            }
            "match" => {
                let all = mods.need(&[("all", true), ("any", false)])?;
                self.synced(mods)?;
                let ty = mods.ty()?;
                if !matches!(ty, Ty::B32 | Ty::B64) {
                    return Err(mods.error("not for this type"));
                }
                let [d, a, mask] = self.exactly::<3>(operands)?;
                let (d, p) = self.pair(d)?;
                if p != NONE && !all {
                    return Err(self.error("match.any gives no predicate"));
                }
                let (a, mask) = (self.src(a, ty)?, self.src(mask, Ty::B32)?);
                let instr = self.emit(Op::Match(all, W::of(ty)), WARP);
                (instr.d, instr.e, instr.a, instr.x) = (d, p, a, mask);
            }
            "activemask" => {
                self.bits32(mods)?;
                let [d] = self.exactly::<1>(operands)?;
                let d = self.dst(d, Ty::B32)?;
                self.emit(Op::ActiveMask, WARP).d = d;
            }
            "redux" => {
                self.synced(mods)?;
                let op = mods.need(&[
                    ("add", Rmw::Add),
                    ("min", Rmw::MinU),
                    ("max", Rmw::MaxU),
                    ("and", Rmw::And),
                    ("or", Rmw::Or),
                    ("xor", Rmw::Xor),
                ])?;
                let ty = mods.ty()?;
                let op = match (op, ty) {
                    (Rmw::And | Rmw::Or | Rmw::Xor, Ty::B32) => op,
                    (Rmw::Add | Rmw::MinU | Rmw::MaxU, Ty::U32) | (Rmw::Add, Ty::S32) => op,
                    (Rmw::MinU, Ty::S32) => Rmw::MinS,
                    (Rmw::MaxU, Ty::S32) => Rmw::MaxS,
                    _ => return Err(mods.error("not for this type")),
                };
                let [d, a, mask] = self.exactly::<3>(operands)?;
                let (d, a) = (self.dst(d, ty)?, self.src(a, ty)?);
                let mask = self.src(mask, Ty::B32)?;
                let instr = self.emit(Op::Redux(op), WARP);
                (instr.d, instr.a, instr.x) = (d, a, mask);
            }
            "elect" => {
                self.synced(mods)?;
                let [d, mask] = self.exactly::<2>(operands)?;
                let (d, p) = self.pair(d)?;
                let mask = self.src(mask, Ty::B32)?;
                let instr = self.emit(Op::Elect, WARP);
                (instr.d, instr.e, instr.x) = (d, p, mask);
            }
            "bar" | "barrier" => self.barrier(name == "bar", mods, operands)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn synced(&self, mods: &mut Mods<'a>) -> Lowered {
        // Without `.sync` these are gone since sm_70, for which everything here is compiled.
        mods.need(&[("sync", ())])
    }

    fn bits32(&self, mods: &mut Mods<'a>) -> Lowered {
        match mods.ty()? {
            Ty::B32 => Ok(()),
            _ => Err(mods.error("not for this type")),
        }
    }

    /// `d` or `d|p`.
    fn pair(&mut self, operand: &Operand<'a>) -> Lowered<(u32, u32)> {
        match operand {
            Operand::Pair(d, p) => Ok((self.dst(d, Ty::B32)?, self.dst(p, Ty::Pred)?)),
            d => Ok((self.dst(d, Ty::B32)?, NONE)),
        }
    }

    fn barrier(&mut self, aligned: bool, mods: &mut Mods<'a>, operands: &[Operand<'a>]) -> Lowered {
        if aligned && mods.flag("warp") {
            self.synced(mods)?;
            let [mask] = self.exactly::<1>(operands)?;
            let mask = self.src(mask, Ty::B32)?;
            self.emit(Op::BarWarp, Class::Barrier).x = mask;
            return Ok(());
        }
        mods.flag("cta");
        let aligned = mods.flag("aligned") | aligned;
        if mods.flag("red") {
            return self.barrier_reduction(aligned, mods, operands);
        }
        let kind = mods.need(&[("sync", Bar::Sync), ("arrive", Bar::Arrive)])?;
        let (id, count) = match operands {
            [id] if kind == Bar::Sync => (id, None),
            [id, count] => (id, Some(count)),
            _ => return Err(self.error("wrong number of operands")),
        };
        let id = self.src(id, Ty::U32)?;
        let count = count.map_or(Ok(NONE), |count| self.src(count, Ty::U32))?;
        let instr = self.emit(Op::Bar(kind, aligned), Class::Barrier);
        (instr.a, instr.b) = (id, count);
        Ok(())
    }

    fn barrier_reduction(
        &mut self,
        aligned: bool,
        mods: &mut Mods<'a>,
        operands: &[Operand<'a>],
    ) -> Lowered {
        let kind = mods.need(&[("popc", Bar::Popc), ("and", Bar::And), ("or", Bar::Or)])?;
        let ty = mods.ty()?;
        let needed = if kind == Bar::Popc { Ty::U32 } else { Ty::Pred };
        if ty != needed {
            return Err(mods.error("not for this type"));
        }
        let (d, id, count, p) = match operands {
            [d, id, p] => (d, id, None, p),
            [d, id, count, p] => (d, id, Some(count), p),
            _ => return Err(self.error("wrong number of operands")),
        };
        let (d, id) = (self.dst(d, ty)?, self.src(id, Ty::U32)?);
        let count = count.map_or(Ok(NONE), |count| self.src(count, Ty::U32))?;
        let p = self.src(p, Ty::Pred)?;
        let instr = self.emit(Op::Bar(kind, aligned), Class::Barrier);
        (instr.d, instr.a, instr.b, instr.x) = (d, id, count, p);
        Ok(())
    }
}

//! Loads, stores, atomics, asynchronous copies, and addresses.

use super::body::{Lowered, Lowerer};
use super::mods::Mods;
use super::names::Name;
use crate::Class;
use crate::ir::{Atom, CpAsync, Mem, NONE, Op, Place, Rmw, Ty, WIDE};
use crate::parse::ast::{Imm, Operand};

const SPACES: [(&str, Place); 10] = [
    ("global", Place::Global),
    ("const", Place::Global),
    ("shared", Place::Shared),
    // Clusters have one block here, so that both windows are the same.
    ("shared::cta", Place::Shared),
    ("shared::cluster", Place::Shared),
    ("local", Place::Local),
    ("param", Place::Param),
    ("param::entry", Place::Param),
    ("param::func", Place::Frame),
    ("generic", Place::Generic),
];

impl<'a> Lowerer<'a, '_> {
    /// Lowers the instruction if it is one of this file's.
    pub(super) fn memory(
        &mut self,
        name: &str,
        mods: &mut Mods<'a>,
        operands: &[Operand<'a>],
    ) -> Lowered<bool> {
        match name {
            "ld" | "ldu" | "st" => self.load_store(name == "st", mods, operands)?,
            "atom" | "red" if !mods.flag("async") => self.atomic(name, mods, operands)?,
            "cp" => self.copy_async(mods, operands)?,
            "cvta" => self.cvta(mods, operands)?,
            "isspacep" => {
                let place = mods.need(&SPACES)?;
                let [p, a] = self.exactly::<2>(operands)?;
                let (p, a) = (self.dst(p, Ty::Pred)?, self.src(a, Ty::B64)?);
                let instr = self.emit(Op::IsSpace(place), Class::Integer);
                (instr.d, instr.a) = (p, a);
            }
            "prefetch" | "prefetchu" => {
                mods.one_of(&SPACES);
                for level in ["L1", "L2", "L2::evict_last", "L2::evict_normal"] {
                    mods.flag(level);
                }
                self.emit(Op::Nop, Class::Other);
            }
            "membar" | "fence" => {
                for word in ["proxy", "sc", "acq_rel", "acquire", "release"] {
                    mods.flag(word);
                }
                for word in ["gl", "sys", "cta", "gpu", "cluster", "level"] {
                    mods.flag(word);
                }
                for word in ["alias", "async", "async.global", "tensormap"] {
                    mods.flag(word);
                }
                self.emit(Op::Fence, Class::Barrier);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// An address operand as a memory access with no elements.
    pub(super) fn address(
        &mut self,
        operand: &Operand<'a>,
        place: Place,
        size: u32,
    ) -> Lowered<Mem> {
        let mut mem = Mem {
            place,
            size,
            signed: false,
            reg_bits: 0,
            regs: Vec::new(),
            base: NONE,
            base_wide: false,
            offset: 0,
            strong: false,
        };
        let (name, offset) = match operand {
            Operand::Address(Some(name), offset) => (*name, *offset),
            Operand::Address(None, offset) => {
                mem.offset = *offset;
                return Ok(mem);
            }
            _ => return Err(self.error("expected an address")),
        };
        mem.offset = offset;
        let (needs, at) = match self.name(name)? {
            Name::Reg(reg, bits) => {
                let windowed = matches!(place, Place::Shared | Place::Local | Place::Param);
                if bits != 64 && !(bits == 32 && windowed) {
                    return Err(self.error("an address register of the wrong width"));
                }
                (mem.base, mem.base_wide) = (reg, bits == 64);
                return Ok(mem);
            }
            Name::Frame(at) => {
                if !matches!(place, Place::Param | Place::Frame) {
                    return Err(self.error(format!("`{name}` is a parameter")));
                }
                mem.place = Place::Frame;
                mem.offset = mem.offset.wrapping_add(at.into());
                return Ok(mem);
            }
            Name::Param(at) => (Place::Param, u64::from(at)),
            Name::Local(at) => (Place::Local, at.into()),
            Name::Shared(at) => (Place::Shared, at.into()),
            Name::Device(at) => (Place::Global, at),
            Name::Function(_) => return Err(self.error(format!("`{name}` is a function"))),
        };
        if needs != place {
            return Err(self.error(format!("`{name}` is not in this state space")));
        }
        mem.offset = mem.offset.wrapping_add_unsigned(at);
        Ok(mem)
    }

    fn order(mods: &mut Mods<'a>) -> bool {
        let strong = ["volatile", "relaxed", "acquire", "release", "acq_rel", "sc", "mmio"]
            .iter()
            .fold(false, |any, word| mods.flag(word) | any);
        mods.flag("weak");
        for scope in ["cta", "cluster", "gpu", "sys"] {
            mods.flag(scope);
        }
        strong
    }

    fn load_store(
        &mut self,
        store: bool,
        mods: &mut Mods<'a>,
        operands: &[Operand<'a>],
    ) -> Lowered {
        let strong = Self::order(mods);
        let place = mods.one_of(&SPACES).unwrap_or(Place::Generic);
        mods.cache_hints();
        mods.flag("unified");
        let hinted = mods.flag("L2::cache_hint");
        let count = mods.one_of(&[("v2", 2), ("v4", 4), ("v8", 8)]).unwrap_or(1);
        let ty = mods.ty()?;
        if ty == Ty::Pred || ty.bits() * count as u32 > 256 {
            return Err(mods.error("not for this type"));
        }
        let operands = match (hinted, operands) {
            (true, [head @ .., _policy]) => head,
            _ => operands,
        };
        let [first, second] = self.exactly::<2>(operands)?;
        let (address, data) = if store { (first, second) } else { (second, first) };
        let mut mem = self.address(address, place, ty.bits() / 8)?;
        (mem.strong, mem.signed) = (strong, ty.signed());
        let elements = match data {
            Operand::Vector(elements) => elements.as_slice(),
            one => std::slice::from_ref(one),
        };
        if elements.len() != count {
            return Err(self.error(format!("expected {count} elements")));
        }
        for element in elements {
            let (reg, bits) = match element {
                Operand::Sink if !store => (NONE, 0),
                _ => self.wide(element, ty)?,
            };
            mem.reg_bits = mem.reg_bits.max(bits);
            mem.regs.push(reg);
        }
        let class = match mem.place {
            Place::Generic | Place::Global => Class::Global,
            Place::Shared => Class::Shared,
            Place::Local => Class::Local,
            Place::Param | Place::Frame => Class::Param,
        };
        if store && mem.place == Place::Param && self.entry {
            return Err(self.error("kernel parameters are read-only"));
        }
        let mem = Box::new(mem);
        self.emit(if store { Op::St(mem) } else { Op::Ld(mem) }, class);
        Ok(())
    }

    fn atomic(&mut self, name: &str, mods: &mut Mods<'a>, operands: &[Operand<'a>]) -> Lowered {
        Self::order(mods);
        let place = mods.one_of(&SPACES).unwrap_or(Place::Generic);
        let hinted = mods.flag("L2::cache_hint");
        mods.flag("noftz");
        let op = mods.need(&[
            ("add", Rmw::Add),
            ("and", Rmw::And),
            ("or", Rmw::Or),
            ("xor", Rmw::Xor),
            ("inc", Rmw::Inc),
            ("dec", Rmw::Dec),
            ("min", Rmw::MinU),
            ("max", Rmw::MaxU),
            ("exch", Rmw::Exch),
            ("cas", Rmw::Cas),
        ])?;
        let ty = mods.ty()?;
        let op = match (op, ty) {
            (Rmw::Add, Ty::U32 | Ty::S32 | Ty::U64) => Rmw::Add,
            (Rmw::Add, Ty::F32) => Rmw::AddF32,
            (Rmw::Add, Ty::F64) => Rmw::AddF64,
            (Rmw::Add, Ty::F16) => Rmw::AddF16,
            (Rmw::Add, Ty::Bf16) => Rmw::AddBf16,
            (Rmw::Add, Ty::F16x2) => Rmw::AddF16x2,
            (Rmw::Add, Ty::Bf16x2) => Rmw::AddBf16x2,
            (Rmw::And | Rmw::Or | Rmw::Xor | Rmw::Exch | Rmw::Cas, Ty::B32 | Ty::B64) => op,
            // Compilers write the integer types for these too.
            (Rmw::Exch | Rmw::Cas, Ty::U32 | Ty::S32 | Ty::U64 | Ty::S64) => op,
            (Rmw::Cas, Ty::B16) => op,
            (Rmw::Inc | Rmw::Dec, Ty::U32) => op,
            (Rmw::MinU | Rmw::MaxU, Ty::U32 | Ty::U64) => op,
            (Rmw::MinU, Ty::S32 | Ty::S64) => Rmw::MinS,
            (Rmw::MaxU, Ty::S32 | Ty::S64) => Rmw::MaxS,
            _ => return Err(mods.error("no such atomic of this type")),
        };
        let operands = match (hinted, operands) {
            (true, [head @ .., _policy]) => head,
            _ => operands,
        };
        let (d, rest) = match (name, operands) {
            ("atom", [d, rest @ ..]) => (Some(d), rest),
            (_, rest) => (None, rest),
        };
        let (address, b, c) = match (op, rest) {
            (Rmw::Cas, [address, b, c]) => (address, b, Some(c)),
            (Rmw::Cas, _) => return Err(self.error("wrong number of operands")),
            (_, [address, b]) => (address, b, None),
            _ => return Err(self.error("wrong number of operands")),
        };
        let mut mem = self.address(address, place, ty.bits() / 8)?;
        if matches!(mem.place, Place::Param | Place::Frame) {
            return Err(self.error("no atomics on parameters"));
        }
        mem.strong = true;
        mem.reg_bits = ty.bits();
        let d = match d {
            Some(Operand::Sink) | None => NONE,
            Some(d) => self.dst(d, ty)?,
        };
        let b = self.src(b, ty)?;
        let c = match c {
            Some(c) => self.src(c, ty)?,
            None => NONE,
        };
        let instr = self.emit(Op::Atom(Box::new(Atom { mem, op })), Class::Atomic);
        (instr.d, instr.b, instr.c) = (d, b, c);
        Ok(())
    }

    fn copy_async(&mut self, mods: &mut Mods<'a>, operands: &[Operand<'a>]) -> Lowered {
        if !mods.flag("async") {
            return Err(mods.error("only cp.async is supported"));
        }
        if mods.flag("commit_group") {
            self.emit(Op::CpAsyncCommit, Class::Other);
            return Ok(());
        }
        if mods.flag("wait_all") {
            // Also commits what is pending.
            self.emit_hidden(Op::CpAsyncCommit);
            self.emit(Op::CpAsyncWait(0), Class::Other);
            return Ok(());
        }
        if mods.flag("wait_group") {
            let [Operand::Imm(Imm::Int(n))] = operands else {
                return Err(self.error("expected a number of groups"));
            };
            let pending = u32::try_from(*n).unwrap_or(u32::MAX);
            self.emit(Op::CpAsyncWait(pending), Class::Other);
            return Ok(());
        }
        let l2_only = mods.need(&[("ca", false), ("cg", true)])?;
        mods.cache_hints();
        let hinted = mods.flag("L2::cache_hint");
        mods.need(&[("shared", ()), ("shared::cta", ())])?;
        mods.need(&[("global", ())])?;
        let operands = match (hinted, operands) {
            (true, [head @ .., _policy]) => head,
            _ => operands,
        };
        let (dst, src, bytes, size) = match operands {
            [dst, src, Operand::Imm(Imm::Int(bytes))] => (dst, src, *bytes, None),
            [dst, src, Operand::Imm(Imm::Int(bytes)), size] => (dst, src, *bytes, Some(size)),
            _ => return Err(self.error("expected destination, source and size")),
        };
        if !(bytes == 16 || (!l2_only && matches!(bytes, 4 | 8))) {
            return Err(self.error("cp.async copies 4, 8 or 16 bytes (.cg only 16)"));
        }
        let bytes = bytes as u32;
        let dst = self.address(dst, Place::Shared, bytes)?;
        let mem = self.address(src, Place::Global, bytes)?;
        let size = match size {
            None => NONE,
            Some(operand) => self.src(operand, Ty::U32)?,
        };
        let copy = CpAsync { mem, dst_offset: dst.offset, dst_wide: dst.base_wide, bytes };
        let instr = self.emit(Op::CpAsync(Box::new(copy)), Class::Global);
        (instr.a, instr.b) = (dst.base, size);
        Ok(())
    }

    fn cvta(&mut self, mods: &mut Mods<'a>, operands: &[Operand<'a>]) -> Lowered {
        let to = mods.flag("to");
        let place = mods.need(&SPACES)?;
        let ty = mods.ty()?;
        if ty.bits() != 64 {
            return Err(mods.error("generic addresses have 64 bits"));
        }
        let [d, a] = self.exactly::<2>(operands)?;
        let d = self.dst(d, ty)?;
        let a = match a {
            Operand::Name(name) => match self.name(name)? {
                Name::Reg(reg, 64) => reg,
                Name::Local(at) => {
                    let temporary = self.scopes.fresh(64);
                    self.emit_hidden(Op::LocalAddress(at)).d = temporary;
                    temporary
                }
                Name::Param(at) | Name::Shared(at) => self.constant(at.into(), 64),
                Name::Device(at) => self.constant(at, 64),
                _ => return Err(self.error("not an address")),
            },
            other => self.src(other, ty)?,
        };
        debug_assert_eq!(d & WIDE, WIDE);
        let op = if to { Op::FromGeneric(place) } else { Op::ToGeneric(place) };
        let instr = self.emit(op, Class::Integer);
        (instr.d, instr.a) = (d, a);
        Ok(())
    }
}

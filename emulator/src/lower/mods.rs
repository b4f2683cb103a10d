//! The modifiers of an opcode, taken one by one. What is left over at the end is unknown, and an
//! error.

use crate::ParseError;
use crate::ir::{Cmp, Round, Ty};
use crate::parse::ast::Pos;

/// The parts of an opcode after its name.
#[derive(Debug)]
pub(crate) struct Mods<'a> {
    opcode: &'a str,
    parts: Vec<&'a str>,
    pos: Pos,
}

impl<'a> Mods<'a> {
    /// Splits an opcode; returns its name too.
    pub(crate) fn new(opcode: &'a str, pos: Pos) -> (&'a str, Self) {
        let mut parts = opcode.split('.');
        let name = parts.next().unwrap_or("");
        (name, Self { opcode, parts: parts.collect(), pos })
    }

    /// Takes a modifier where it is there.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let at = self.parts.iter().position(|p| *p == name);
        at.map(|at| self.parts.remove(at)).is_some()
    }

    /// Takes the first of several that is there.
    pub(crate) fn one_of<T: Copy>(&mut self, names: &[(&str, T)]) -> Option<T> {
        names.iter().find(|(name, _)| self.flag(name)).map(|(_, value)| *value)
    }

    /// The same, where one has to be there.
    pub(crate) fn need<T: Copy>(&mut self, names: &[(&str, T)]) -> Result<T, ParseError> {
        self.one_of(names).ok_or_else(|| {
            let names: Vec<_> = names.iter().map(|(name, _)| format!(".{name}")).collect();
            self.error(format!("`{}` needs one of {}", self.opcode, names.join(", ")))
        })
    }

    /// Takes the first type.
    pub(crate) fn ty(&mut self) -> Result<Ty, ParseError> {
        self.opt_ty().ok_or_else(|| self.error(format!("`{}` needs a type", self.opcode)))
    }

    /// Takes the first type where there is one.
    pub(crate) fn opt_ty(&mut self) -> Option<Ty> {
        let at = self.parts.iter().position(|p| type_of(p).is_some())?;
        type_of(self.parts.remove(at))
    }

    /// Whether a floating-point type is among what is left.
    pub(crate) fn has_float(&self) -> bool {
        self.parts.iter().any(|p| type_of(p).is_some_and(Ty::float))
    }

    /// Takes a comparison operator; `lo`, `ls`, `hi` and `hs` are the unsigned names of the same.
    pub(crate) fn cmp(&mut self) -> Result<Cmp, ParseError> {
        self.need(&[
            ("eq", Cmp::Eq),
            ("ne", Cmp::Ne),
            ("lt", Cmp::Lt),
            ("le", Cmp::Le),
            ("gt", Cmp::Gt),
            ("ge", Cmp::Ge),
            ("lo", Cmp::Lt),
            ("ls", Cmp::Le),
            ("hi", Cmp::Gt),
            ("hs", Cmp::Ge),
            ("equ", Cmp::Equ),
            ("neu", Cmp::Neu),
            ("ltu", Cmp::Ltu),
            ("leu", Cmp::Leu),
            ("gtu", Cmp::Gtu),
            ("geu", Cmp::Geu),
            ("num", Cmp::Num),
            ("nan", Cmp::Nan),
        ])
    }

    /// Takes a rounding modifier, of floating-point or of integer results.
    pub(crate) fn round(&mut self) -> Option<Round> {
        self.one_of(&[
            ("rn", Round::Near),
            ("rz", Round::Zero),
            ("rm", Round::Down),
            ("rp", Round::Up),
            ("rna", Round::Away),
            ("rni", Round::Near),
            ("rzi", Round::Zero),
            ("rmi", Round::Down),
            ("rpi", Round::Up),
        ])
    }

    /// Takes the hints that change neither values nor order: caches and prefetch sizes.
    pub(crate) fn cache_hints(&mut self) {
        for hint in ["ca", "cg", "cs", "lu", "cv", "wb", "wt", "nc"] {
            self.flag(hint);
        }
        self.parts.retain(|p| {
            !(p.starts_with("L1::") || p.starts_with("L2::")) || *p == "L2::cache_hint"
        });
    }

    /// An error unless every modifier has been taken.
    pub(crate) fn done(self) -> Result<(), ParseError> {
        match self.parts.first() {
            None => Ok(()),
            Some(part) => {
                Err(self.error(format!("unknown modifier `.{part}` of `{}`", self.opcode)))
            }
        }
    }

    /// An error at the instruction.
    pub(crate) fn error(&self, message: impl Into<String>) -> ParseError {
        self.pos.error(message)
    }
}

/// A type by its name without the dot.
pub(crate) fn type_of(name: &str) -> Option<Ty> {
    Some(match name {
        "b8" => Ty::B8,
        "u8" => Ty::U8,
        "s8" => Ty::S8,
        "b16" => Ty::B16,
        "u16" => Ty::U16,
        "s16" => Ty::S16,
        "b32" => Ty::B32,
        "u32" => Ty::U32,
        "s32" => Ty::S32,
        "b64" => Ty::B64,
        "u64" => Ty::U64,
        "s64" => Ty::S64,
        "f16" => Ty::F16,
        "bf16" => Ty::Bf16,
        "f32" => Ty::F32,
        "f64" => Ty::F64,
        "f16x2" => Ty::F16x2,
        "bf16x2" => Ty::Bf16x2,
        "tf32" => Ty::Tf32,
        "pred" => Ty::Pred,
        _ => return None,
    })
}

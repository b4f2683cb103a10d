//! The syntax tree of PTX text. Names borrow from the text.

use crate::ParseError;

/// A place in the text, from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pos {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Pos {
    pub(crate) fn error(self, message: impl Into<String>) -> ParseError {
        ParseError { line: self.line, column: self.column, message: message.into() }
    }
}

/// A whole module.
#[derive(Debug, Default)]
pub(crate) struct Ast<'a> {
    pub(crate) globals: Vec<Var<'a>>,
    pub(crate) functions: Vec<Func<'a>>,
}

/// State space of a variable or an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VarSpace {
    Global,
    Const,
    Shared,
    Local,
    Param,
}

/// A variable.
#[derive(Debug, Clone)]
pub(crate) struct Var<'a> {
    pub(crate) space: VarSpace,
    pub(crate) align: u32,
    /// Bytes of one element.
    pub(crate) element: u32,
    /// Elements; zero where the declaration leaves it open (`.extern .shared`).
    pub(crate) count: u64,
    pub(crate) name: &'a str,
    pub(crate) init: Vec<Init<'a>>,
    pub(crate) pos: Pos,
    /// `.extern`: defined elsewhere, or dynamic shared memory.
    pub(crate) is_extern: bool,
}

impl Var<'_> {
    pub(crate) fn bytes(&self) -> u64 {
        u64::from(self.element).saturating_mul(self.count)
    }
}

/// One element of an initialiser.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Init<'a> {
    /// Bits, to be cut to the element's size.
    Bits(Imm),
    /// An address plus an offset; `Some(shift)` picks the byte that begins at that bit.
    Address(&'a str, i64, Option<u32>),
}

/// A literal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Imm {
    /// Two's complement.
    Int(u64),
    F32(u32),
    F64(u64),
}

/// A function or an entry.
#[derive(Debug)]
pub(crate) struct Func<'a> {
    pub(crate) entry: bool,
    pub(crate) name: &'a str,
    pub(crate) returns: Vec<Var<'a>>,
    pub(crate) params: Vec<Var<'a>>,
    pub(crate) body: Option<Vec<Stmt<'a>>>,
    pub(crate) max_threads: Option<u32>,
    pub(crate) required_threads: Option<[u32; 3]>,
    pub(crate) pos: Pos,
}

/// A statement of a body.
#[derive(Debug)]
pub(crate) enum Stmt<'a> {
    /// Registers: type, then names with an optional count (`%r<10>`).
    Regs(&'a str, Vec<(&'a str, Option<u32>)>, Pos),
    Var(Var<'a>),
    Label(&'a str, Pos),
    Instr(Instr<'a>),
    Open,
    Close,
    /// `name: .branchtargets a, b;` and `.calltargets`.
    Targets(&'a str, Vec<&'a str>),
}

/// An instruction.
#[derive(Debug)]
pub(crate) struct Instr<'a> {
    /// Predicate register, and whether it is negated.
    pub(crate) guard: Option<(&'a str, bool)>,
    pub(crate) opcode: &'a str,
    pub(crate) operands: Vec<Operand<'a>>,
    pub(crate) pos: Pos,
}

/// An operand.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operand<'a> {
    /// Register, variable, label or function.
    Name(&'a str),
    /// `name + offset`
    Offset(&'a str, i64),
    Imm(Imm),
    /// `[base + offset]`; no base for an absolute address.
    Address(Option<&'a str>, i64),
    Vector(Vec<Operand<'a>>),
    /// `p|q`
    Pair(Box<Operand<'a>>, Box<Operand<'a>>),
    /// `!p`
    Not(&'a str),
    /// `_`
    Sink,
    /// `(a, b)` of a call.
    List(Vec<Operand<'a>>),
}

//! The decoded form of a kernel: what `lower` writes and `exec` runs.
//!
//! An instruction has at most two destinations (`d`, `e`) and four sources (`a`, `b`, `c`, `x`),
//! all registers: immediates are registers that hold a constant. Registers live in three files by
//! width: 32 lanes of `u32`, 32 lanes of `u64`, and one mask for each predicate; narrower values
//! sit zero-extended in the 32-bit file.

mod types;

use std::collections::HashMap;

pub(crate) use types::{
    Bar, Bool, Cmp, Float1, Float2, FloatMode, Int1, Int2, Place, Prmt, Rmw, Round, Shfl, Special,
    TestP, Ty, Vote, W,
};

/// A register: a file's tag in the top bits and an index. After allocation the tag is gone, except
/// in [`Mem::regs`], whose elements may be of either data file.
pub(crate) type Reg = u32;

/// No register.
pub(crate) const NONE: Reg = u32::MAX;
/// Tag of the 64-bit file; the 32-bit file has none.
pub(crate) const WIDE: Reg = 1 << 30;
/// Tag of the predicate file.
pub(crate) const PRED: Reg = 2 << 30;
/// The file's tag.
pub(crate) const FILE: Reg = 3 << 30;
/// Set for constants until allocation.
pub(crate) const CONST: Reg = 1 << 29;

/// Class of an instruction that the lowering made up: it is not counted.
pub(crate) const HIDDEN: u8 = 11;

/// A load, a store, or the address of an atomic.
#[derive(Debug, Clone)]
pub(crate) struct Mem {
    pub(crate) place: Place,
    /// Bytes of an element: 1, 2, 4 or 8.
    pub(crate) size: u32,
    /// Sign-extend loads.
    pub(crate) signed: bool,
    /// Bits of the destination registers: 16, 32 or 64.
    pub(crate) reg_bits: u32,
    /// Elements, tagged.
    pub(crate) regs: Vec<Reg>,
    /// Address register (untagged after allocation) or `NONE`.
    pub(crate) base: Reg,
    /// Whether it is of the 64-bit file.
    pub(crate) base_wide: bool,
    pub(crate) offset: i64,
    /// Volatile, or with a memory order.
    pub(crate) strong: bool,
}

/// An atomic: `d` gets the old value unless `NONE`, `b` is the operand, `c` the new value of `cas`.
#[derive(Debug, Clone)]
pub(crate) struct Atom {
    pub(crate) mem: Mem,
    pub(crate) op: Rmw,
}

/// `cp.async`: `mem` is the source; `b` holds the source size, or `NONE`.
#[derive(Debug, Clone)]
pub(crate) struct CpAsync {
    pub(crate) mem: Mem,
    /// Destination in shared memory; `a` holds its address register.
    pub(crate) dst_offset: i64,
    pub(crate) dst_wide: bool,
    /// Bytes: 4, 8 or 16.
    pub(crate) bytes: u32,
}

/// A call. `a` holds the target of an indirect one.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Index of the function, or `None` for an indirect call.
    pub(crate) target: Option<u32>,
    /// Offset in the caller's frame and size, for each argument.
    pub(crate) args: Vec<(u32, u32)>,
    /// The same for the return values.
    pub(crate) returns: Vec<(u32, u32)>,
}

/// What an instruction does.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Int2(Int2, W),
    Int1(Int1, W),
    /// `mul.wide`, from 16 or 32 bits; signed.
    MulWide(bool, W),
    /// `mad.lo`; `mad.hi` with the flag, and its sign.
    MadLo(W),
    MadHi(bool, W),
    /// `mad.hi.sat.s32`
    MadHiSat,
    MadWide(bool, W),
    /// `mul24`, and with `c` given `mad24`: high half, signed.
    Mul24 {
        hi: bool,
        signed: bool,
        sat: bool,
    },
    AddC {
        sub: bool,
        carry_in: bool,
        carry_out: bool,
        w: W,
    },
    MadC {
        hi: bool,
        signed: bool,
        carry_in: bool,
        carry_out: bool,
        w: W,
    },
    /// Left, wrap.
    Shf(bool, bool),
    Bfe(bool, W),
    /// Inserts `a` into `b` at `c`, `x` bits.
    Bfi(W),
    Prmt(Prmt),
    Lop3(u8),
    /// `lop3.BoolOp`: `e` is the predicate, `x` the other source of it.
    Lop3Pred(u8, Bool),
    Sad(bool, W),
    /// Signs of both sources.
    Dp4a(bool, bool),
    /// High half, signs.
    Dp2a(bool, bool, bool),
    /// Wrap (or clamp).
    Bmsk(bool),
    /// Signed, wrap.
    Szext(bool, bool),
    /// `fns`
    Fns,
    SetP(Cmp, Ty, Option<Bool>, bool),
    /// `set`: the last type is the destination's.
    Set(Cmp, Ty, Option<Bool>, bool, Ty),
    Selp(W),
    /// `slct`: `c` is f32 (or s32), flush.
    Slct(W, bool, bool),
    PredBool(Bool),
    PredMov,
    PredNot,
    Special(Special),
    /// `d = a | b << 16`
    Pack16,
    /// `d = a | b << 32`
    Pack32,
    /// `d = a | b << 16 | c << 32 | x << 48`
    Pack4x16,
    /// `d = a >> shift`, from and to these widths.
    Extract(u8, W, W),
    /// `to_bits` is the destination register's width.
    Cvt {
        from: Ty,
        to: Ty,
        mode: FloatMode,
        from_wide: bool,
        to_bits: u8,
    },
    /// `cvt.f16x2.f32 d, a, b`: `a` is the high half.
    CvtPack {
        to: Ty,
        mode: FloatMode,
    },
    Float1(Float1, Ty, FloatMode),
    Float2(Float2, Ty, FloatMode),
    Fma(Ty, FloatMode),
    TestP(TestP, Ty),
    Ld(Box<Mem>),
    St(Box<Mem>),
    Atom(Box<Atom>),
    CpAsync(Box<CpAsync>),
    CpAsyncCommit,
    /// Groups that may stay pending.
    CpAsyncWait(u32),
    /// `isspacep`
    IsSpace(Place),
    /// `cvta` of shared (or local, param) to generic: adds the window.
    ToGeneric(Place),
    FromGeneric(Place),
    Vote(Vote),
    Shfl(Shfl),
    /// All (or any), width.
    Match(bool, W),
    ActiveMask,
    Redux(Rmw),
    Elect,
    BarWarp,
    /// Kind, aligned. `a` is the barrier, `b` the count or `NONE`, `x` a predicate.
    Bar(Bar, bool),
    Fence,
    Yield,
    Nop,
    /// Target, and where both ways meet again: the nearest place, and the one of lanes that break
    /// out.
    Bra(u32, (u32, u32)),
    /// The same with a table of targets.
    Brx(Box<[u32]>, (u32, u32)),
    Call(Box<Call>),
    Ret,
    Exit,
    Trap,
    /// A call of `__assertfail`: where its arguments lie in the frame.
    AssertFail(Box<[u32; 5]>),
    /// The address of a local variable: its offset from the frame's.
    LocalAddress(u32),
    /// Diverged lanes may meet here.
    Join,
}

/// One instruction.
#[derive(Debug, Clone)]
pub(crate) struct Instr {
    pub(crate) op: Op,
    pub(crate) d: Reg,
    pub(crate) e: Reg,
    pub(crate) a: Reg,
    pub(crate) b: Reg,
    pub(crate) c: Reg,
    pub(crate) x: Reg,
    /// Guard predicate or `NONE`.
    pub(crate) guard: Reg,
    pub(crate) guard_not: bool,
    /// A [`Class`](crate::Class) or [`HIDDEN`].
    pub(crate) class: u8,
    pub(crate) line: u32,
}

/// A function's registers and memory.
#[derive(Debug, Default, Clone)]
pub(crate) struct Function {
    pub(crate) code: Vec<Instr>,
    /// Registers in each file; the constants come after them.
    pub(crate) regs32: usize,
    pub(crate) regs64: usize,
    pub(crate) preds: usize,
    pub(crate) consts32: Vec<u32>,
    pub(crate) consts64: Vec<u64>,
    pub(crate) const_preds: Vec<u32>,
    /// Bytes of `.param` variables, the function's own parameters first.
    pub(crate) frame_bytes: u32,
    /// Offset and size of the parameters in the frame.
    pub(crate) params: Vec<(u32, u32)>,
    pub(crate) returns: Vec<(u32, u32)>,
    pub(crate) local_bytes: u32,
    /// Declared ranges of local memory: offset and size.
    pub(crate) locals: Vec<(u32, u32)>,
    /// The tagged registers of each instruction, and whether it writes them; empty for a function
    /// without local memory.
    pub(crate) touched: Vec<Box<[(Reg, bool)]>>,
}

/// An entry point with everything it can call.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) name: String,
    /// The entry is the first.
    pub(crate) functions: Vec<Function>,
    /// Function addresses: index in the module to index here.
    pub(crate) addresses: HashMap<u64, u32>,
    pub(crate) static_shared: u32,
    /// Where dynamic shared memory begins.
    pub(crate) dynamic_shared_at: u32,
    pub(crate) param_bytes: u32,
}

//! The registers and private memory of one call of a function by a warp, and lane-wise access to
//! them.

use half::{bf16, f16};

use super::marks::Undefined;
use crate::ir::{Function, Reg, WIDE};
use crate::memory::order::lanes_of;

/// Lanes of a warp.
pub(crate) const LANES: usize = 32;
/// A value for each lane.
pub(crate) type Lanes<T> = [T; LANES];

/// State of a byte of local memory: outside every variable.
const OUTSIDE: u8 = 0;
/// Inside a variable, never written.
const UNWRITTEN: u8 = 1;
/// Written.
const WRITTEN: u8 = 2;

/// One activation of a function.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    /// Index of the function in the program.
    pub(crate) function: u32,
    pub(crate) r32: Vec<Lanes<u32>>,
    pub(crate) r64: Vec<Lanes<u64>>,
    /// One bit for each lane.
    pub(crate) preds: Vec<u32>,
    /// The condition code of carry chains.
    pub(crate) carry: u32,
    /// Lanes of registers that hold what nothing has written.
    pub(super) undefined: Undefined,
    /// `.param` variables, lane by lane.
    pub(crate) params: Vec<u8>,
    param_stride: usize,
    local: Vec<u8>,
    local_state: Vec<u8>,
    local_stride: usize,
    /// Local address of the first local byte.
    pub(crate) local_base: u32,
    /// The caller's frame and where it goes on; meaningless for the entry.
    pub(crate) parent: usize,
    pub(crate) return_to: u32,
    /// Calls between the entry and this frame.
    pub(crate) depth: u32,
    /// Lanes that have not returned.
    pub(crate) lanes: u32,
}

/// What is wrong with a local access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LocalFault {
    Outside,
    Unwritten,
}

impl Frame {
    /// Makes the frame that of a function's new activation; the vectors keep their capacity.
    pub(crate) fn reset(&mut self, index: u32, function: &Function, lanes: u32) {
        self.function = index;
        self.r32.clear();
        self.r32.resize(function.regs32, [0; LANES]);
        self.r32.extend(function.consts32.iter().map(|&c| [c; LANES]));
        self.r64.clear();
        self.r64.resize(function.regs64, [0; LANES]);
        self.r64.extend(function.consts64.iter().map(|&c| [c; LANES]));
        self.preds.clear();
        self.preds.resize(function.preds, 0);
        self.preds.extend(&function.const_preds);
        self.carry = 0;
        self.undefined.clear();
        self.param_stride = function.frame_bytes.next_multiple_of(8) as usize;
        self.params.clear();
        self.params.resize(self.param_stride * LANES, 0);
        self.local_stride = function.local_bytes.next_multiple_of(16) as usize;
        self.local.clear();
        self.local.resize(self.local_stride * LANES, 0);
        self.local_state.clear();
        self.local_state.resize(self.local_stride * LANES, OUTSIDE);
        for lane in 0..LANES {
            for &(offset, size) in &function.locals {
                let at = lane * self.local_stride + offset as usize;
                self.local_state[at..at + size as usize].fill(UNWRITTEN);
            }
        }
        self.lanes = lanes;
    }

    /// Bytes of local memory of a lane.
    pub(crate) fn local_bytes(&self) -> u32 {
        self.local_stride as u32
    }

    /// Bytes of a `.param` range of a lane.
    pub(crate) fn param(&mut self, lane: usize, offset: u32, size: u32) -> Option<&mut [u8]> {
        let end = offset as usize + size as usize;
        let start = lane * self.param_stride;
        (end <= self.param_stride).then(|| &mut self.params[start + offset as usize..start + end])
    }

    /// The index of 1, 2, 4 or 8 bytes of a lane's local memory, checked.
    pub(crate) fn local_at(
        &self,
        lane: usize,
        address: u32,
        size: u32,
        reads: bool,
    ) -> Result<usize, LocalFault> {
        let offset = address.wrapping_sub(self.local_base) as usize;
        if offset + size as usize > self.local_stride {
            return Err(LocalFault::Outside);
        }
        let at = lane * self.local_stride + offset;
        let state = &self.local_state[at..at + size as usize];
        if state.contains(&OUTSIDE) {
            return Err(LocalFault::Outside);
        }
        if reads && state.contains(&UNWRITTEN) {
            return Err(LocalFault::Unwritten);
        }
        Ok(at)
    }

    /// Reads at an index from [`local_at`](Self::local_at).
    pub(crate) fn local_load(&self, at: usize, size: u32) -> u64 {
        let mut word = [0; 8];
        word[..size as usize].copy_from_slice(&self.local[at..at + size as usize]);
        u64::from_le_bytes(word)
    }

    /// Whether none of the bytes at an index from [`local_at`](Self::local_at) was ever written.
    pub(crate) fn is_local_unwritten(&self, at: usize, size: u32) -> bool {
        self.local_state[at..at + size as usize].iter().all(|&state| state == UNWRITTEN)
    }

    /// Makes bytes at an index from [`local_at`](Self::local_at) count as never written.
    pub(crate) fn local_unwrite(&mut self, at: usize, size: u32) {
        self.local_state[at..at + size as usize].fill(UNWRITTEN);
    }

    /// Writes at an index from [`local_at`](Self::local_at).
    pub(crate) fn local_store(&mut self, at: usize, size: u32, value: u64) {
        self.local[at..at + size as usize].copy_from_slice(&value.to_le_bytes()[..size as usize]);
        self.local_state[at..at + size as usize].fill(WRITTEN);
    }

    /// A tagged register's value in one lane.
    #[inline]
    pub(crate) fn tagged(&self, reg: Reg, lane: usize) -> u64 {
        let index = (reg & !WIDE) as usize;
        if reg & WIDE != 0 { self.r64[index][lane] } else { self.r32[index][lane].into() }
    }

    /// Writes a tagged register in one lane.
    #[inline]
    pub(crate) fn set_tagged(&mut self, reg: Reg, lane: usize, value: u64) {
        let index = (reg & !WIDE) as usize;
        if reg & WIDE != 0 {
            self.r64[index][lane] = value;
        } else {
            self.r32[index][lane] = value as u32;
        }
    }

    /// Writes a predicate in the lanes of a mask.
    #[inline]
    pub(crate) fn set_pred(&mut self, reg: Reg, mask: u32, value: u32) {
        let pred = &mut self.preds[reg as usize];
        *pred = (*pred & !mask) | (value & mask);
    }

    /// `d = f(a)` in the lanes of a mask.
    #[inline(always)]
    pub(crate) fn map1<A: Lane, D: Lane>(&mut self, d: Reg, a: Reg, mask: u32, f: impl Fn(A) -> D) {
        let a = A::read(self, a);
        D::write(self, d, mask, std::array::from_fn(|i| f(a[i])));
    }

    /// `d = f(a, b)` in the lanes of a mask.
    #[inline(always)]
    pub(crate) fn map2<A: Lane, B: Lane, D: Lane>(
        &mut self,
        [d, a, b]: [Reg; 3],
        mask: u32,
        f: impl Fn(A, B) -> D,
    ) {
        let (a, b) = (A::read(self, a), B::read(self, b));
        D::write(self, d, mask, std::array::from_fn(|i| f(a[i], b[i])));
    }

    /// `d = f(a, b, c)` in the lanes of a mask.
    #[inline(always)]
    pub(crate) fn map3<A: Lane, B: Lane, C: Lane, D: Lane>(
        &mut self,
        [d, a, b, c]: [Reg; 4],
        mask: u32,
        f: impl Fn(A, B, C) -> D,
    ) {
        let (a, b, c) = (A::read(self, a), B::read(self, b), C::read(self, c));
        D::write(self, d, mask, std::array::from_fn(|i| f(a[i], b[i], c[i])));
    }

    /// The lanes where `f(a, b)` holds.
    #[inline(always)]
    pub(crate) fn test2<A: Lane>(&self, a: Reg, b: Reg, f: impl Fn(A, A) -> bool) -> u32 {
        let (a, b) = (A::read(self, a), A::read(self, b));
        (0..LANES).fold(0, |mask, i| mask | u32::from(f(a[i], b[i])) << i)
    }
}

/// A type that registers hold, one value per lane.
pub(crate) trait Lane: Copy {
    /// All lanes of a register.
    fn read(frame: &Frame, reg: Reg) -> Lanes<Self>;
    /// Writes the lanes of a mask.
    fn write(frame: &mut Frame, reg: Reg, mask: u32, values: Lanes<Self>);
}

#[inline(always)]
fn blend<T: Copy>(into: &mut Lanes<T>, mask: u32, values: Lanes<T>) {
    if mask == u32::MAX {
        *into = values;
    } else {
        for lane in 0..LANES {
            if mask >> lane & 1 != 0 {
                into[lane] = values[lane];
            }
        }
    }
}

macro_rules! lane {
    ($type:ty, $file:ident, |$from:ident| $read:expr, |$to:ident| $write:expr) => {
        impl Lane for $type {
            #[inline(always)]
            fn read(frame: &Frame, reg: Reg) -> Lanes<Self> {
                frame.$file[reg as usize].map(|$from| $read)
            }
            #[inline(always)]
            fn write(frame: &mut Frame, reg: Reg, mask: u32, values: Lanes<Self>) {
                blend(&mut frame.$file[reg as usize], mask, values.map(|$to| $write));
            }
        }
    };
}

lane!(u16, r32, |v| v as u16, |v| v.into());
lane!(i16, r32, |v| v as i16, |v| u32::from(v as u16));
lane!(u32, r32, |v| v, |v| v);
lane!(i32, r32, |v| v as i32, |v| v as u32);
lane!(u64, r64, |v| v, |v| v);
lane!(i64, r64, |v| v as i64, |v| v as u64);
lane!(f32, r32, |v| f32::from_bits(v), |v| v.to_bits());
lane!(f64, r64, |v| f64::from_bits(v), |v| v.to_bits());
lane!(f16, r32, |v| f16::from_bits(v as u16), |v| v.to_bits().into());
lane!(bf16, r32, |v| bf16::from_bits(v as u16), |v| v.to_bits().into());

/// Copies `.param` bytes between two frames, for the lanes of a mask.
pub(crate) fn copy_params(
    from: &mut Frame,
    from_place: (u32, u32),
    to: &mut Frame,
    to_place: (u32, u32),
    lanes: u32,
) -> Option<()> {
    let size = from_place.1.max(to_place.1);
    for lane in lanes_of(lanes) {
        let bytes = from.param(lane, from_place.0, size)?;
        to.param(lane, to_place.0, size)?.copy_from_slice(bytes);
    }
    Some(())
}

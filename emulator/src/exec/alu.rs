//! Instructions that touch nothing but registers.

use super::core::Core;
use super::frame::{Frame, LANES, Lane};
use super::{convert, float, int};
use crate::ir::{Bool, Instr, NONE, Op, Place, Special, Ty, W};
use crate::memory::{LOCAL_WINDOW, PARAM_WINDOW, SHARED_WINDOW};

/// Executes the instruction if it is one of these.
#[inline]
pub(super) fn execute(core: &Core<'_>, warp: usize, f: &mut Frame, i: &Instr, m: u32) -> bool {
    let three = [i.d, i.a, i.b];
    let four = [i.d, i.a, i.b, i.c];
    match i.op {
        Op::Int2(op, w) => int::two(f, op, w, three, m),
        Op::Int1(op, w) => int::one(f, op, w, i.d, i.a, m),
        Op::MulWide(signed, w) => int::mul_wide(f, signed, w, three, m),
        Op::MadLo(w) => int::mad_lo(f, w, four, m),
        Op::MadHi(signed, w) => int::mad_hi(f, signed, w, four, m),
        Op::MadHiSat => int::mad_hi_sat(f, four, m),
        Op::MadWide(signed, w) => int::mad_wide(f, signed, w, four, m),
        Op::Mul24 { hi, signed, sat } => int::mul24(f, (hi, signed, sat), four, m),
        Op::AddC { sub, carry_in, carry_out, w } => {
            int::add_carry(f, (sub, carry_in, carry_out, w), three, m);
        }
        Op::MadC { hi, signed, carry_in, carry_out, w } => {
            int::mad_carry(f, (hi, signed, carry_in, carry_out, w), four, m);
        }
        Op::Shf(left, wrap) => int::shf(f, left, wrap, four, m),
        Op::Bfe(signed, w) => int::bfe(f, signed, w, four, m),
        Op::Bfi(w) => int::bfi(f, w, i, m),
        Op::Prmt(mode) => int::prmt(f, mode, four, m),
        Op::Lop3(lut) => int::lop3(f, lut, four, m),
        Op::Lop3Pred(lut, op) => {
            int::lop3(f, lut, four, m);
            let result = u32::read(f, i.d);
            let nonzero = mask_of(|lane| result[lane] != 0);
            f.set_pred(i.e, m, combine(op, nonzero, f.preds[i.x as usize]));
        }
        Op::Sad(signed, w) => int::sad(f, signed, w, four, m),
        Op::Dp4a(sa, sb) => int::dp4a(f, sa, sb, four, m),
        Op::Dp2a(hi, sa, sb) => int::dp2a(f, hi, sa, sb, four, m),
        Op::Bmsk(wrap) => int::bmsk(f, wrap, three, m),
        Op::Szext(signed, wrap) => int::szext(f, signed, wrap, three, m),
        Op::Fns => int::fns(f, four, m),
        Op::SetP(cmp, ty, op, ftz) => {
            let result = float::compare_lanes(f, cmp, ty, ftz, i.a, i.b);
            let (p, q) = match op {
                None => (result, !result),
                Some(op) => {
                    let c = f.preds[i.x as usize];
                    (combine(op, result, c), combine(op, !result, c))
                }
            };
            f.set_pred(i.d, m, p);
            if i.e != NONE {
                f.set_pred(i.e, m, q);
            }
        }
        Op::Set(cmp, ty, op, ftz, to) => {
            let result = float::compare_lanes(f, cmp, ty, ftz, i.a, i.b);
            let result = match op {
                None => result,
                Some(op) => combine(op, result, f.preds[i.x as usize]),
            };
            let yes = if to == Ty::F32 { 1.0_f32.to_bits() } else { u32::MAX };
            let values = std::array::from_fn(|l| if result >> l & 1 != 0 { yes } else { 0 });
            u32::write(f, i.d, m, values);
        }
        Op::Selp(w) => {
            let p = f.preds[i.x as usize];
            match w {
                W::B64 => {
                    let (a, b) = (u64::read(f, i.a), u64::read(f, i.b));
                    u64::write(f, i.d, m, choose(p, a, b));
                }
                _ => {
                    let (a, b) = (u32::read(f, i.a), u32::read(f, i.b));
                    u32::write(f, i.d, m, choose(p, a, b));
                }
            }
        }
        Op::Slct(w, by_float, ftz) => {
            let c = u32::read(f, i.c);
            let take_a = |lane: usize| {
                if !by_float {
                    return (c[lane] as i32) >= 0;
                }
                let v = f32::from_bits(c[lane]);
                // NaN selects the second; a flushed subnormal is zero.
                v >= 0.0 || (ftz && v.is_subnormal())
            };
            let p = mask_of(take_a);
            match w {
                W::B64 => {
                    let (a, b) = (u64::read(f, i.a), u64::read(f, i.b));
                    u64::write(f, i.d, m, choose(p, a, b));
                }
                _ => {
                    let (a, b) = (u32::read(f, i.a), u32::read(f, i.b));
                    u32::write(f, i.d, m, choose(p, a, b));
                }
            }
        }
        Op::PredBool(op) => {
            let value = combine(op, f.preds[i.a as usize], f.preds[i.b as usize]);
            f.set_pred(i.d, m, value);
        }
        Op::PredMov => f.set_pred(i.d, m, f.preds[i.a as usize]),
        Op::PredNot => f.set_pred(i.d, m, !f.preds[i.a as usize]),
        Op::Special(which) => special(core, warp, f, which, i, m),
        Op::Pack16 => f.map2(three, m, |a: u32, b: u32| b << 16 | (a & 0xffff)),
        Op::Pack32 => f.map2(three, m, |a: u32, b: u32| u64::from(b) << 32 | u64::from(a)),
        Op::Pack4x16 => {
            let parts = [i.a, i.b, i.c, i.x].map(|r| u32::read(f, r));
            let pack = |l: usize| {
                let part = |n: usize| u64::from(parts[n][l] & 0xffff) << (16 * n);
                part(0) | part(1) | part(2) | part(3)
            };
            u64::write(f, i.d, m, std::array::from_fn(pack));
        }
        Op::Extract(shift, W::B64, W::B16) => f.map1(i.d, i.a, m, |v: u64| (v >> shift) as u16),
        Op::Extract(shift, W::B64, _) => f.map1(i.d, i.a, m, |v: u64| (v >> shift) as u32),
        Op::Extract(shift, ..) => f.map1(i.d, i.a, m, |v: u32| (v >> shift) as u16),
        Op::Cvt { from, to, mode, from_wide, to_bits } => {
            convert::cvt(f, (from, to, mode), (from_wide, to_bits), i, m);
        }
        Op::CvtPack { to, mode } => convert::cvt_pack(f, to, mode, i, m),
        Op::Float1(op, ty, mode) => float::op1(f, op, ty, mode, i.d, i.a, m),
        Op::Float2(op, ty, mode) => float::op2(f, op, ty, mode, three, m),
        Op::Fma(ty, mode) => float::fma(f, ty, mode, four, m),
        Op::TestP(property, ty) => {
            let result = float::test_property(f, property, ty, i.a);
            f.set_pred(i.d, m, result);
        }
        Op::IsSpace(place) => {
            let at = u64::read(f, i.a);
            let base = window(place);
            let result = mask_of(|l| match base {
                Some(base) => at[l] >> 32 == base >> 32,
                None => ![SHARED_WINDOW, LOCAL_WINDOW, PARAM_WINDOW]
                    .iter()
                    .any(|w| w >> 32 == at[l] >> 32),
            });
            f.set_pred(i.d, m, result);
        }
        Op::ToGeneric(place) => {
            let base = window(place).unwrap_or(0);
            f.map1(i.d, i.a, m, |v: u64| v.wrapping_add(base));
        }
        Op::FromGeneric(place) => {
            let base = window(place).unwrap_or(0);
            f.map1(i.d, i.a, m, |v: u64| v.wrapping_sub(base));
        }
        Op::LocalAddress(offset) => {
            u64::write(f, i.d, m, [u64::from(f.local_base + offset); LANES]);
        }
        Op::Nop => {}
        _ => return false,
    }
    true
}

fn window(place: Place) -> Option<u64> {
    match place {
        Place::Shared => Some(SHARED_WINDOW),
        Place::Local => Some(LOCAL_WINDOW),
        Place::Param | Place::Frame => Some(PARAM_WINDOW),
        Place::Global | Place::Generic => None,
    }
}

fn combine(op: Bool, a: u32, b: u32) -> u32 {
    match op {
        Bool::And => a & b,
        Bool::Or => a | b,
        Bool::Xor => a ^ b,
    }
}

fn mask_of(f: impl Fn(usize) -> bool) -> u32 {
    (0..LANES).fold(0, |mask, lane| mask | u32::from(f(lane)) << lane)
}

fn choose<T: Copy>(mask: u32, a: [T; LANES], b: [T; LANES]) -> [T; LANES] {
    std::array::from_fn(|lane| if mask >> lane & 1 != 0 { a[lane] } else { b[lane] })
}

fn special(core: &Core<'_>, warp: usize, f: &mut Frame, which: Special, i: &Instr, m: u32) {
    let context = core.context;
    let launch = &context.launch;
    let first = warp as u32 * 32;
    let nanoseconds = || context.started.elapsed().as_nanos() as u64;
    // The clock is the block's count of instructions, roughly: it only ever goes forward.
    let clock = || core.report.warp_instructions.iter().sum::<u64>();
    let same = match which {
        Special::Tid(axis) => {
            let [x, y, _] = launch.block;
            let number = |lane: usize| first + lane as u32;
            let value = |lane: usize| match axis {
                0 => number(lane) % x,
                1 => number(lane) / x % y,
                _ => number(lane) / (x * y),
            };
            return u32::write(f, i.d, m, std::array::from_fn(value));
        }
        Special::LaneId => return u32::write(f, i.d, m, std::array::from_fn(|l| l as u32)),
        Special::LanemaskEq => return lanemask(f, i, m, |l| 1 << l),
        Special::LanemaskLt => return lanemask(f, i, m, |l| (1 << l) - 1),
        Special::LanemaskLe => return lanemask(f, i, m, |l| u32::MAX >> (31 - l)),
        Special::LanemaskGt => return lanemask(f, i, m, |l| !(u32::MAX >> (31 - l))),
        Special::LanemaskGe => return lanemask(f, i, m, |l| u32::MAX << l),
        Special::Clock64 => return u64::write(f, i.d, m, [clock(); LANES]),
        Special::GlobalTimer => return u64::write(f, i.d, m, [nanoseconds(); LANES]),
        Special::GridId => return u64::write(f, i.d, m, [0; LANES]),
        Special::Ntid(axis) => launch.block[usize::from(axis)],
        Special::Ctaid(axis) => core.block[usize::from(axis)],
        Special::Nctaid(axis) => launch.grid[usize::from(axis)],
        Special::WarpId => warp as u32,
        Special::NWarpId => 64,
        Special::WarpSize => 32,
        Special::Clock => clock() as u32,
        Special::ClockHi => (clock() >> 32) as u32,
        Special::SmId => (core.number % u64::from(context.multiprocessors.max(1))) as u32,
        Special::NSmId => context.multiprocessors,
        Special::DynamicShared => launch.dynamic_shared,
        Special::TotalShared => core.shared.len() as u32,
        Special::ClusterOne(one) => u32::from(one),
    };
    u32::write(f, i.d, m, [same; LANES]);
}

fn lanemask(f: &mut Frame, i: &Instr, m: u32, mask: impl Fn(u32) -> u32) {
    u32::write(f, i.d, m, std::array::from_fn(|lane| mask(lane as u32)));
}

//! Loads, stores and atomics: addresses, checks, counters.

use super::access::{
    One, Who, addresses_of, by_place, count_global, count_shared, fault, global, hazard, local_at,
    misaligned, outside, shared_at, unwritten,
};
use super::atomics;
use super::core::{Core, Step};
use super::frame::{Frame, LANES, Lanes};
use super::marks::Mark;
use super::undefined;
use crate::ir::{Atom, Instr, Mem, NONE, Place, Reg, Rmw, WIDE};
use crate::memory::order::lanes_of;
use crate::memory::shared::Kind;
use crate::{Action, Fault, Space};

/// The value as a destination register wants it.
fn extend(mem: &Mem, value: u64) -> u64 {
    if !mem.signed {
        return value;
    }
    let unused = 64 - 8 * mem.size;
    ((value << unused) as i64 >> unused) as u64 & (u64::MAX >> (64 - mem.reg_bits))
}

/// `ld`
pub(super) fn load(core: &mut Core<'_>, who: &mut Who<'_>, mem: &Mem, mask: u32) -> Step {
    if mem.place == Place::Param && mem.base == NONE {
        return load_uniform_param(core, who, mem, mask);
    }
    let at = addresses_of(&who.frames[who.frame], mem);
    let total = mem.size * mem.regs.len() as u32;
    by_place(mem.place, &at, mask, |place, at, mask| {
        match place {
            Place::Shared => count_shared(core, at, mask, total),
            Place::Global => count_global(core, at, mask, total, 0),
            _ => {}
        }
        if place == Place::Global && load_global(core, who, mem, at, mask, total) {
            return Ok(());
        }
        for lane in lanes_of(mask) {
            let whole = One { lane, address: at[lane], size: total, action: Action::Read };
            load_lane(core, who, mem, place, whole)?;
        }
        Ok(())
    })
}

/// The allocation that all lanes' accesses lie in, aligned; `None` where there is no such one.
#[inline(always)]
fn common<'l>(
    core: &mut Core<'l>,
    at: &Lanes<u64>,
    mask: u32,
    total: u32,
) -> Option<&'l crate::memory::global::Allocation> {
    let found = core.find(at[mask.trailing_zeros() as usize % LANES])?;
    let last = found.bytes.checked_sub(total.into())?;
    let mut wrong = false;
    for lane in lanes_of(mask) {
        wrong |= at[lane].wrapping_sub(found.base) > last;
        wrong |= at[lane] & u64::from(total - 1) != 0;
    }
    (!wrong).then_some(found)
}

/// The load of lanes that are all well inside one allocation; `false`, with nothing done, where one
/// is not.
fn load_global(
    core: &mut Core<'_>,
    who: &mut Who<'_>,
    mem: &Mem,
    at: &Lanes<u64>,
    mask: u32,
    total: u32,
) -> bool {
    let Some(from) = common(core, at, mask, total) else { return false };
    let size = mem.size;
    let frame = &mut who.frames[who.frame];
    for (n, &reg) in mem.regs.iter().enumerate() {
        let delta = (n as u32 * size) as u64;
        let offset = |lane: usize| at[lane] - from.base + delta;
        if core.context.checks.uninitialised
            && lanes_of(mask).any(|lane| !from.is_written(offset(lane), size))
        {
            return false;
        }
        match reg {
            NONE => {}
            reg if reg & WIDE != 0 => {
                let to = &mut frame.r64[(reg & !WIDE) as usize];
                lanes_of(mask)
                    .for_each(|lane| to[lane] = extend(mem, from.load(offset(lane), size)));
            }
            reg => {
                let to = &mut frame.r32[reg as usize];
                lanes_of(mask)
                    .for_each(|lane| to[lane] = extend(mem, from.load(offset(lane), size)) as u32);
            }
        }
    }
    true
}

/// The same for a store.
fn store_global(
    core: &mut Core<'_>,
    who: &Who<'_>,
    mem: &Mem,
    at: &Lanes<u64>,
    mask: u32,
    total: u32,
) -> bool {
    let Some(to) = common(core, at, mask, total).filter(|to| !to.read_only) else { return false };
    let frame = &who.frames[who.frame];
    if !frame.undefined.is_empty() {
        return false;
    }
    for (n, &reg) in mem.regs.iter().enumerate() {
        let delta = (n as u32 * mem.size) as u64;
        for lane in lanes_of(mask) {
            to.store(at[lane] - to.base + delta, mem.size, frame.tagged(reg, lane));
        }
    }
    true
}

#[inline(always)]
fn load_lane(core: &mut Core<'_>, who: &mut Who<'_>, mem: &Mem, place: Place, whole: One) -> Step {
    let lane = whole.lane;
    let size = mem.size;
    let part = |n: usize| One { address: whole.address + (n as u32 * size) as u64, size, ..whole };
    match place {
        Place::Shared => {
            let at = shared_at(core, who, whole)?;
            let kind = if mem.strong { Kind::StrongLoad } else { Kind::Load };
            for (n, &reg) in mem.regs.iter().enumerate() {
                let at = at + n * size as usize;
                if core.shared.checked() {
                    let me = (who.warp * LANES + lane) as u32;
                    core.shared
                        .touch(me, at, size as usize, kind)
                        .map_err(|h| hazard(core, who, part(n), h))?;
                }
                let value = core.shared.load(at, size as usize);
                set(who, reg, lane, extend(mem, value));
            }
        }
        Place::Local => {
            for (n, &reg) in mem.regs.iter().enumerate() {
                if n == 0 && !whole.address.is_multiple_of(whole.size.into()) {
                    return Err(misaligned(core, who, whole, Space::Local));
                }
                let (owner, at) = local_at(core, who, part(n))?;
                let value = who.frames[owner].local_load(at, size);
                set(who, reg, lane, extend(mem, value));
                if core.context.checks.uninitialised
                    && who.frames[owner].is_local_unwritten(at, size)
                {
                    let function = who.frames[who.frame].function as usize;
                    if core.context.program.functions[function].touched.is_empty() {
                        return Err(unwritten(core, who, part(n), Space::Local));
                    }
                    if reg != NONE {
                        let One { lane, address, size, .. } = part(n);
                        let (lanes, line) = (1 << lane, who.line);
                        let mark = Mark { reg, lanes, address, size, line };
                        who.frames[who.frame].undefined.add(mark);
                    }
                }
            }
        }
        Place::Param | Place::Frame => {
            for (n, &reg) in mem.regs.iter().enumerate() {
                let one = part(n);
                let value = if place == Place::Param {
                    param(core, who, one)?
                } else {
                    let frame = &mut who.frames[who.frame];
                    let offset = u32::try_from(one.address).unwrap_or(u32::MAX / 2);
                    match frame.param(lane, offset, size) {
                        Some(bytes) => little_endian(bytes),
                        None => return Err(outside(core, who, one, Space::Param)),
                    }
                };
                set(who, reg, lane, extend(mem, value));
            }
        }
        Place::Global | Place::Generic => {
            let (from, offset) = global(core, who, whole)?;
            for (n, &reg) in mem.regs.iter().enumerate() {
                let offset = offset + (n as u32 * size) as u64;
                if core.context.checks.uninitialised && !from.is_written(offset, size) {
                    return Err(unwritten(core, who, part(n), Space::Global));
                }
                set(who, reg, lane, extend(mem, from.load(offset, size)));
            }
        }
    }
    Ok(())
}

#[inline(always)]
fn set(who: &mut Who<'_>, reg: Reg, lane: usize, value: u64) {
    if reg != NONE {
        who.frames[who.frame].set_tagged(reg, lane, value);
    }
}

pub(super) fn little_endian(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// Bytes of the kernel's parameters.
fn param(core: &Core<'_>, who: &Who<'_>, one: One) -> Step<u64> {
    if !one.address.is_multiple_of(one.size.into()) {
        return Err(misaligned(core, who, one, Space::Param));
    }
    let start = usize::try_from(one.address).unwrap_or(usize::MAX / 2);
    match core.context.params.get(start..start + one.size as usize) {
        Some(bytes) => Ok(little_endian(bytes)),
        None => Err(outside(core, who, one, Space::Param)),
    }
}

/// A parameter at a fixed place: the same for all lanes, and so most of `ld.param`.
fn load_uniform_param(core: &Core<'_>, who: &mut Who<'_>, mem: &Mem, mask: u32) -> Step {
    for (n, &reg) in mem.regs.iter().enumerate() {
        let address = (mem.offset as u64).wrapping_add((n as u32 * mem.size).into());
        let lane = mask.trailing_zeros() as usize % LANES;
        let one = One { lane, address, size: mem.size, action: Action::Read };
        let value = extend(mem, param(core, who, one)?);
        lanes_of(mask).for_each(|lane| set(who, reg, lane, value));
    }
    Ok(())
}

/// `st`
pub(super) fn store(core: &mut Core<'_>, who: &mut Who<'_>, mem: &Mem, mask: u32) -> Step {
    let at = addresses_of(&who.frames[who.frame], mem);
    let total = mem.size * mem.regs.len() as u32;
    by_place(mem.place, &at, mask, |place, at, mask| {
        match place {
            Place::Shared => {
                count_shared(core, at, mask, total);
                // From here on the stores of this instruction can be distinguished from earlier
                // ones.
                core.shared.order.tick();
            }
            Place::Global => count_global(core, at, mask, 0, total),
            _ => {}
        }
        if place == Place::Global && store_global(core, who, mem, at, mask, total) {
            return Ok(());
        }
        for lane in lanes_of(mask) {
            let whole = One { lane, address: at[lane], size: total, action: Action::Write };
            store_lane(core, who, mem, place, whole)?;
        }
        Ok(())
    })
}

#[inline(always)]
fn store_lane(core: &mut Core<'_>, who: &mut Who<'_>, mem: &Mem, place: Place, whole: One) -> Step {
    let lane = whole.lane;
    let size = mem.size;
    let part = |n: usize| One { address: whole.address + (n as u32 * size) as u64, size, ..whole };
    let shared = if place == Place::Shared { shared_at(core, who, whole)? } else { 0 };
    let target = match place {
        Place::Global | Place::Generic => Some(global(core, who, whole)?),
        _ => None,
    };
    for (n, &reg) in mem.regs.iter().enumerate() {
        let frame = &who.frames[who.frame];
        let value = frame.tagged(reg, lane);
        let undefined = frame.undefined.of(reg, 1 << lane).next();
        if let Some(mark) = undefined {
            // A single byte is the padding of a struct that is copied byte by byte.
            let is_seen = matches!(place, Place::Shared | Place::Global | Place::Generic);
            if is_seen && size > 1 {
                return Err(undefined::fault(core, who.warp, mark));
            }
        }
        match place {
            Place::Shared => {
                let at = shared + n * size as usize;
                if core.shared.checked() {
                    let same = core.shared.load(at, size as usize)
                        == value & (u64::MAX >> (64 - 8 * size));
                    let kind = match (mem.strong, same) {
                        (true, _) => Kind::Strong,
                        (false, true) => Kind::SameStore,
                        (false, false) => Kind::Store,
                    };
                    let me = (who.warp * LANES + lane) as u32;
                    core.shared
                        .touch(me, at, size as usize, kind)
                        .map_err(|h| hazard(core, who, part(n), h))?;
                }
                core.shared.store(at, size as usize, value);
            }
            Place::Local => {
                if n == 0 && !whole.address.is_multiple_of(whole.size.into()) {
                    return Err(misaligned(core, who, whole, Space::Local));
                }
                let (owner, at) = local_at(core, who, part(n))?;
                who.frames[owner].local_store(at, size, value);
                if undefined.is_some() {
                    who.frames[owner].local_unwrite(at, size);
                }
            }
            Place::Frame => {
                let offset = u32::try_from(part(n).address).unwrap_or(u32::MAX / 2);
                match who.frames[who.frame].param(lane, offset, size) {
                    Some(bytes) => bytes.copy_from_slice(&value.to_le_bytes()[..size as usize]),
                    None => return Err(outside(core, who, part(n), Space::Param)),
                }
            }
            Place::Param => {
                let access = fault(core, who, part(n), Space::Param);
                return Err(Box::new(Fault::ReadOnly(access)));
            }
            Place::Global | Place::Generic => {
                if let Some((to, offset)) = target {
                    to.store(offset + (n as u32 * size) as u64, size, value);
                }
            }
        }
    }
    Ok(())
}

/// `atom` and `red`: lane after lane, in order.
pub(super) fn atomic(
    core: &mut Core<'_>,
    who: &mut Who<'_>,
    instr: &Instr,
    atom: &Atom,
    mask: u32,
) -> Step {
    let mem = &atom.mem;
    let size = mem.size;
    let at = addresses_of(&who.frames[who.frame], mem);
    let read = |frame: &Frame, reg: Reg, lane: usize| match (reg, size) {
        (NONE, _) => 0,
        (reg, 8) => frame.r64[reg as usize][lane],
        (reg, _) => frame.r32[reg as usize][lane].into(),
    };
    by_place(mem.place, &at, mask, |place, at, mask| {
        match place {
            Place::Shared => {
                count_shared(core, at, mask, size);
                core.shared.order.tick();
            }
            Place::Global => count_global(core, at, mask, size, size),
            _ => {}
        }
        for lane in lanes_of(mask) {
            let one = One { lane, address: at[lane], size, action: Action::Atomic };
            let frame = &who.frames[who.frame];
            let (b, c) = (read(frame, instr.b, lane), read(frame, instr.c, lane));
            let f = |old| atomics::apply(atom.op, size, old, b, c);
            let old = match place {
                Place::Shared => {
                    let at = shared_at(core, who, one)?;
                    if core.shared.checked() {
                        let me = (who.warp * LANES + lane) as u32;
                        let reads = atom.op != Rmw::Exch;
                        core.shared
                            .touch_atomic(me, at, size as usize, reads)
                            .map_err(|h| hazard(core, who, one, h))?;
                    }
                    let old = core.shared.load(at, size as usize);
                    core.shared.store(at, size as usize, f(old));
                    old
                }
                Place::Local => {
                    let (owner, at) = local_at(core, who, one)?;
                    let old = who.frames[owner].local_load(at, size);
                    who.frames[owner].local_store(at, size, f(old));
                    old
                }
                Place::Param | Place::Frame => {
                    let access = fault(core, who, one, Space::Param);
                    return Err(Box::new(Fault::ReadOnly(access)));
                }
                Place::Global | Place::Generic => {
                    let (to, offset) = global(core, who, one)?;
                    let checked = core.context.checks.uninitialised && atom.op != Rmw::Exch;
                    if checked && !to.is_written(offset, size) {
                        return Err(unwritten(core, who, one, Space::Global));
                    }
                    let old = to.update(offset, size, f);
                    to.mark_written(offset, size);
                    old
                }
            };
            if instr.d != NONE {
                let frame = &mut who.frames[who.frame];
                if size == 8 {
                    frame.r64[instr.d as usize][lane] = old;
                } else {
                    frame.r32[instr.d as usize][lane] = old as u32;
                }
            }
        }
        Ok(())
    })
}

//! Loads, stores and atomics: addresses, checks, counters.

use super::atomics;
use super::core::{Core, Step};
use super::costs::{sectors, wavefronts};
use super::frame::{Frame, LANES, Lane, Lanes, LocalFault};
use crate::ir::{Atom, Instr, Mem, NONE, Place, Reg, Rmw, WIDE};
use crate::memory::order::lanes_of;
use crate::memory::shared::{Hazard, Kind};
use crate::memory::{LOCAL_WINDOW, PARAM_WINDOW, SHARED_WINDOW};
use crate::{Action, Fault, Space};

/// The warp that executes: its number in the block, its frames and the current one.
pub(super) struct Who<'w> {
    pub(super) warp: usize,
    pub(super) frames: &'w mut [Frame],
    pub(super) frame: usize,
    pub(super) line: u32,
}

/// One access of one lane.
#[derive(Clone, Copy)]
pub(super) struct One {
    pub(super) lane: usize,
    pub(super) address: u64,
    pub(super) size: u32,
    pub(super) action: Action,
}

/// The addresses of an access. A local variable's own place is given from the frame's start.
fn addresses_of(frame: &Frame, mem: &Mem) -> Lanes<u64> {
    if mem.place == Place::Local && mem.base == NONE {
        return [mem.offset.wrapping_add(frame.local_base.into()) as u64; LANES];
    }
    addresses(frame, mem.base, mem.base_wide, mem.offset)
}

pub(super) fn addresses(frame: &Frame, base: Reg, wide: bool, offset: i64) -> Lanes<u64> {
    let add = |base: u64| base.wrapping_add_signed(offset);
    match (base, wide) {
        (NONE, _) => [offset as u64; LANES],
        (base, true) => u64::read(frame, base).map(add),
        (base, false) => u32::read(frame, base).map(|b| add(b.into())),
    }
}

/// Which memory a generic address lies in.
fn window(address: u64) -> Place {
    const SHARED: u64 = SHARED_WINDOW >> 32;
    const LOCAL: u64 = LOCAL_WINDOW >> 32;
    const PARAM: u64 = PARAM_WINDOW >> 32;
    match address >> 32 {
        SHARED => Place::Shared,
        LOCAL => Place::Local,
        PARAM => Place::Param,
        _ => Place::Global,
    }
}

/// Runs `f(place, addresses, mask)` for each memory that the lanes' addresses lie in.
fn by_place(
    place: Place,
    at: &Lanes<u64>,
    mask: u32,
    mut f: impl FnMut(Place, &Lanes<u64>, u32) -> Step,
) -> Step {
    if place != Place::Generic {
        return f(place, at, mask);
    }
    for place in [Place::Global, Place::Shared, Place::Local, Place::Param] {
        let here = lanes_of(mask).filter(|&l| window(at[l]) == place).fold(0, |m, l| m | 1 << l);
        if here == 0 {
            continue;
        }
        if place == Place::Global {
            f(place, at, here)?;
        } else {
            f(place, &at.map(|a| a & 0xffff_ffff), here)?;
        }
    }
    Ok(())
}

fn fault(core: &Core<'_>, who: &Who<'_>, one: One, space: Space) -> Box<crate::Access> {
    let at = core.location(who.warp, one.lane, who.line);
    core.access(at, one.action, space, one.address, one.size)
}

#[cold]
fn outside(core: &Core<'_>, who: &Who<'_>, one: One, space: Space) -> Box<Fault> {
    let access = fault(core, who, one, space);
    let freed = space == Space::Global && core.context.memory.was_freed(one.address);
    Box::new(if freed { Fault::UseAfterFree(access) } else { Fault::OutOfBounds(access) })
}

#[cold]
pub(super) fn misaligned(core: &Core<'_>, who: &Who<'_>, one: One, space: Space) -> Box<Fault> {
    Box::new(Fault::Misaligned(fault(core, who, one, space)))
}

#[cold]
pub(super) fn unwritten(core: &Core<'_>, who: &Who<'_>, one: One, space: Space) -> Box<Fault> {
    Box::new(Fault::Uninitialised(fault(core, who, one, space)))
}

#[cold]
pub(super) fn hazard(core: &Core<'_>, who: &Who<'_>, one: One, hazard: Hazard) -> Box<Fault> {
    let access = fault(core, who, one, Space::Shared);
    let thread = |number| core.context.thread(number);
    Box::new(match hazard {
        Hazard::Unwritten => Fault::Uninitialised(access),
        Hazard::AfterWrite(other) => {
            Fault::Race { access, other_action: Action::Write, other_thread: Some(thread(other)) }
        }
        Hazard::AfterRead(other) => {
            Fault::Race { access, other_action: Action::Read, other_thread: other.map(thread) }
        }
    })
}

/// The allocation and offset of a global access, checked.
#[inline(always)]
pub(super) fn global<'l>(
    core: &mut Core<'l>,
    who: &Who<'_>,
    one: One,
) -> Step<(&'l crate::memory::global::Allocation, u64)> {
    if !one.address.is_multiple_of(one.size.into()) {
        return Err(misaligned(core, who, one, Space::Global));
    }
    let Some(found) = core.find(one.address) else {
        return Err(outside(core, who, one, Space::Global));
    };
    let offset = one.address - found.base;
    if found.bytes - offset < one.size.into() {
        return Err(outside(core, who, one, Space::Global));
    }
    if one.action != Action::Read && found.read_only {
        return Err(Box::new(Fault::ReadOnly(fault(core, who, one, Space::Global))));
    }
    Ok((found, offset))
}

#[inline(always)]
pub(super) fn shared_at(core: &Core<'_>, who: &Who<'_>, one: One) -> Step<usize> {
    if one.address + u64::from(one.size) > core.shared.len() as u64 {
        return Err(outside(core, who, one, Space::Shared));
    }
    if !one.address.is_multiple_of(one.size.into()) {
        return Err(misaligned(core, who, one, Space::Shared));
    }
    Ok(one.address as usize)
}

/// The frame that owns a local address, and the index in its memory.
fn local_at(core: &Core<'_>, who: &Who<'_>, one: One) -> Step<(usize, usize)> {
    if !one.address.is_multiple_of(one.size.into()) {
        return Err(misaligned(core, who, one, Space::Local));
    }
    let address = one.address as u32;
    let mut owner = who.frame;
    while who.frames[owner].local_base > address && who.frames[owner].depth > 0 {
        owner = who.frames[owner].parent;
    }
    let reads = one.action != Action::Write && core.context.checks.uninitialised;
    match who.frames[owner].local_at(one.lane, address, one.size, reads) {
        Ok(at) => Ok((owner, at)),
        Err(LocalFault::Outside) => Err(outside(core, who, one, Space::Local)),
        Err(LocalFault::Unwritten) => Err(unwritten(core, who, one, Space::Local)),
    }
}

pub(super) fn count_global(
    core: &mut Core<'_>,
    at: &Lanes<u64>,
    mask: u32,
    read: u32,
    written: u32,
) {
    core.report.global_requests += 1;
    core.report.global_sectors += sectors(at, mask);
    let lanes = u64::from(mask.count_ones());
    core.report.global_bytes_read += lanes * u64::from(read);
    core.report.global_bytes_written += lanes * u64::from(written);
}

pub(super) fn count_shared(core: &mut Core<'_>, at: &Lanes<u64>, mask: u32, bytes: u32) {
    core.report.shared_requests += 1;
    core.report.shared_wavefronts += wavefronts(at, mask, bytes);
}

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
        let value = who.frames[who.frame].tagged(reg, lane);
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

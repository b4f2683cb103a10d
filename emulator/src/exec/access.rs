//! An access to memory: addresses, checks, counters.

use super::core::{Core, Step};
use super::costs::{sectors, wavefronts};
use super::frame::{Frame, LANES, Lane, Lanes, LocalFault};
use crate::ir::{Mem, NONE, Place, Reg};
use crate::memory::order::lanes_of;
use crate::memory::shared::Hazard;
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
pub(super) fn addresses_of(frame: &Frame, mem: &Mem) -> Lanes<u64> {
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
pub(super) fn by_place(
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

pub(super) fn fault(core: &Core<'_>, who: &Who<'_>, one: One, space: Space) -> Box<crate::Access> {
    let at = core.location(who.warp, one.lane, who.line);
    core.access(at, one.action, space, one.address, one.size)
}

#[cold]
pub(super) fn outside(core: &Core<'_>, who: &Who<'_>, one: One, space: Space) -> Box<Fault> {
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

/// The frame that owns a local address, and the index in its memory. A read of bytes never written
/// is no fault here, unless it is an atomic's.
pub(super) fn local_at(core: &Core<'_>, who: &Who<'_>, one: One) -> Step<(usize, usize)> {
    if !one.address.is_multiple_of(one.size.into()) {
        return Err(misaligned(core, who, one, Space::Local));
    }
    let address = one.address as u32;
    let mut owner = who.frame;
    while who.frames[owner].local_base > address && who.frames[owner].depth > 0 {
        owner = who.frames[owner].parent;
    }
    let reads = one.action == Action::Atomic && core.context.checks.uninitialised;
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

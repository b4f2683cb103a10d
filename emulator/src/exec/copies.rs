//! Asynchronous copies from global to shared memory: `cp.async` and its groups.

use super::access::{
    One, Who, addresses, count_global, count_shared, global, hazard, misaligned, shared_at,
    unwritten,
};
use super::core::{Core, Step};
use super::frame::{LANES, Lane, Lanes};
use super::memory::little_endian;
use crate::ir::{CpAsync, Instr, NONE};
use crate::memory::order::lanes_of;
use crate::memory::shared::Kind;
use crate::{Action, Space};

/// A `cp.async` that has been issued and not waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pending {
    lane: usize,
    group: u32,
    line: u32,
    to: usize,
    bytes: u32,
    data: [u64; 2],
}

/// The asynchronous copies of a warp.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    pending: Vec<Pending>,
    /// Groups that each lane has committed.
    committed: Lanes<u32>,
}

impl Copies {
    pub(crate) fn clear(&mut self) {
        self.pending.clear();
        self.committed = [0; LANES];
    }

    /// `cp.async`: reads now, and writes when waited for, so that a kernel that does not wait finds
    /// nothing.
    pub(super) fn issue(
        &mut self,
        core: &mut Core<'_>,
        who: &mut Who<'_>,
        instr: &Instr,
        copy: &CpAsync,
        mask: u32,
    ) -> Step {
        let frame = &who.frames[who.frame];
        let to = addresses(frame, instr.a, copy.dst_wide, copy.dst_offset);
        let from = addresses(frame, copy.mem.base, copy.mem.base_wide, copy.mem.offset);
        let sizes = if instr.b == NONE { [copy.bytes; LANES] } else { u32::read(frame, instr.b) };
        count_global(core, &from, mask, copy.bytes, 0);
        count_shared(core, &to, mask, copy.bytes);
        for lane in lanes_of(mask) {
            // A 64-bit destination register may hold a generic address's low half or the offset
            // itself.
            let address = to[lane];
            let one = One { lane, address, size: copy.bytes, action: Action::Write };
            let to = shared_at(core, who, one)?;
            let size = sizes[lane].min(copy.bytes);
            let mut bytes = [0; 16];
            let source = One { address: from[lane], action: Action::Read, ..one };
            if !source.address.is_multiple_of(copy.bytes.into()) {
                return Err(misaligned(core, who, source, Space::Global));
            }
            for (n, byte) in bytes[..size as usize].iter_mut().enumerate() {
                let one = One { address: source.address + n as u64, size: 1, ..source };
                let (from, offset) = global(core, who, one)?;
                if core.context.checks.uninitialised && !from.is_written(offset, 1) {
                    return Err(unwritten(core, who, one, Space::Global));
                }
                *byte = from.load(offset, 1) as u8;
            }
            let data = [little_endian(&bytes[..8]), little_endian(&bytes[8..])];
            let group = self.committed[lane];
            let line = who.line;
            self.pending.push(Pending { lane, group, line, to, bytes: copy.bytes, data });
        }
        Ok(())
    }

    /// `cp.async.commit_group`
    pub(super) fn commit(&mut self, mask: u32) {
        lanes_of(mask).for_each(|lane| self.committed[lane] += 1);
    }

    /// `cp.async.wait_group`: all but the last `keep` groups of each lane are done.
    pub(super) fn wait(
        &mut self,
        core: &mut Core<'_>,
        who: &mut Who<'_>,
        keep: u32,
        mask: u32,
    ) -> Step {
        core.shared.order.tick();
        let committed = self.committed;
        let done = |p: &Pending| {
            mask >> p.lane & 1 != 0 && p.group < committed[p.lane].saturating_sub(keep)
        };
        for p in self.pending.iter().filter(|p| done(p)) {
            let step = p.bytes.min(8);
            for (n, &value) in data_of(p) {
                let at = p.to + n;
                if core.shared.checked() {
                    let me = (who.warp * LANES + p.lane) as u32;
                    let address = at as u64;
                    let one = One { lane: p.lane, address, size: step, action: Action::Write };
                    let touched = core.shared.touch(me, at, step as usize, Kind::Store);
                    if let Err(found) = touched {
                        let line = std::mem::replace(&mut who.line, p.line);
                        let fault = hazard(core, who, one, found);
                        who.line = line;
                        return Err(fault);
                    }
                }
                core.shared.store(at, step as usize, value);
            }
        }
        self.pending.retain(|p| !done(p));
        Ok(())
    }
}

fn data_of(p: &Pending) -> impl Iterator<Item = (usize, &u64)> {
    p.data.iter().enumerate().map(|(n, v)| (n * 8, v)).take(p.bytes.div_ceil(8) as usize)
}

//! Shared memory of one running block: the bytes, and for each the last accesses.
//!
//! The record of a byte is its last write (or atomic) and its last readers, stamped with the clock
//! of [`order`](super::order). A stamp older than the block means "never", so nothing is cleared
//! between blocks, and a byte with no write since then is uninitialised. Words that are only ever
//! accessed whole keep one record; the first narrower access of a word splits it in four.

use super::order::{Order, Time};

/// Marks a writing thread whose access was strong: atomic, volatile or with an explicit memory
/// order.
const STRONG: u32 = 1 << 31;
/// The `warp` of a [`Readers`] whose mask names warps.
const MANY: u32 = u32::MAX;

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Writer {
    time: Time,
    thread: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Readers {
    time: Time,
    warp: u32,
    mask: u32,
}

/// Why an access is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hazard {
    /// It reads bytes nobody wrote.
    Unwritten,
    /// A thread wrote before, and nothing orders the two.
    AfterWrite(u32),
    /// A thread (or several) read before, and nothing orders the two.
    AfterRead(Option<u32>),
}

/// What an access does, to the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A plain load.
    Load,
    /// A volatile, relaxed or acquire load.
    StrongLoad,
    /// A plain store of a value that the memory does not hold yet.
    Store,
    /// A plain store of the value that is there.
    SameStore,
    /// A volatile, relaxed or release store, or an atomic.
    Strong,
}

/// The shared memory of a block.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    bytes: Vec<u8>,
    len: usize,
    begun: Time,
    writers: Vec<Writer>,
    readers: Vec<Readers>,
    split: Vec<Time>,
    uninitialised: bool,
    races: bool,
    /// Who has seen what.
    pub(crate) order: Order,
}

impl Shared {
    /// Starts a block with `len` bytes that nobody has written.
    pub(crate) fn begin(&mut self, len: usize, warps: usize, uninitialised: bool, races: bool) {
        if self.order.now() > 1 << 30 {
            self.order.rewind();
            self.writers.fill(Writer::default());
            self.readers.fill(Readers::default());
            self.split.fill(0);
        }
        self.order.begin(warps);
        self.begun = self.order.now();
        (self.len, self.uninitialised, self.races) = (len, uninitialised, races);
        let rounded = len.next_multiple_of(16);
        if self.bytes.len() < rounded {
            self.bytes.resize(rounded, 0);
        }
        // Reads of bytes nobody wrote must not depend on the block before, even where they are no
        // fault.
        self.bytes[..rounded].fill(0);
        if (uninitialised || races) && self.writers.len() < rounded {
            self.writers.resize(rounded, Writer::default());
            self.readers.resize(rounded, Readers::default());
            self.split.resize(rounded / 4, 0);
        }
    }

    /// Bytes of this block.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether [`touch`](Self::touch) has anything to do.
    #[inline(always)]
    pub(crate) fn checked(&self) -> bool {
        self.uninitialised || self.races
    }

    /// The value of 1, 2, 4 or 8 aligned bytes inside.
    #[inline(always)]
    pub(crate) fn load(&self, at: usize, size: usize) -> u64 {
        let bytes = &self.bytes[at..at + size];
        match size {
            1 => bytes[0].into(),
            2 => u16::from_le_bytes(bytes.try_into().unwrap_or_default()).into(),
            4 => u32::from_le_bytes(bytes.try_into().unwrap_or_default()).into(),
            _ => u64::from_le_bytes(bytes.try_into().unwrap_or_default()),
        }
    }

    /// Replaces 1, 2, 4 or 8 aligned bytes inside.
    #[inline(always)]
    pub(crate) fn store(&mut self, at: usize, size: usize, value: u64) {
        let bytes = &mut self.bytes[at..at + size];
        match size {
            1 => bytes[0] = value as u8,
            2 => bytes.copy_from_slice(&(value as u16).to_le_bytes()),
            4 => bytes.copy_from_slice(&(value as u32).to_le_bytes()),
            _ => bytes.copy_from_slice(&value.to_le_bytes()),
        }
    }

    /// Checks and records an access of 1, 2, 4 or 8 aligned bytes by thread `me` of the block.
    #[inline]
    pub(crate) fn touch(
        &mut self,
        me: u32,
        at: usize,
        size: usize,
        kind: Kind,
    ) -> Result<(), Hazard> {
        if size < 4 {
            let word = at / 4;
            if self.split[word] < self.begun {
                self.split[word] = self.begun;
                let (first, rest) = (word * 4, word * 4 + 1..word * 4 + 4);
                let (writer, readers) = (self.writers[first], self.readers[first]);
                self.writers[rest.clone()].fill(writer);
                self.readers[rest].fill(readers);
            }
            return (at..at + size).try_for_each(|byte| self.touch_cell(me, byte, kind));
        }
        for word in (at..at + size).step_by(4) {
            if self.split[word / 4] < self.begun {
                self.touch_cell(me, word, kind)?;
            } else {
                (word..word + 4).try_for_each(|byte| self.touch_cell(me, byte, kind))?;
            }
        }
        Ok(())
    }

    /// The same for an atomic, which reads what was there unless it is an exchange.
    pub(crate) fn touch_atomic(
        &mut self,
        me: u32,
        at: usize,
        size: usize,
        reads: bool,
    ) -> Result<(), Hazard> {
        if reads {
            self.touch(me, at, size, Kind::StrongLoad)?;
        }
        self.touch(me, at, size, Kind::Strong)
    }

    #[inline]
    fn touch_cell(&mut self, me: u32, cell: usize, kind: Kind) -> Result<(), Hazard> {
        let now = self.order.now();
        let last = self.writers[cell];
        let written = last.time >= self.begun;
        let reads = matches!(kind, Kind::Load | Kind::StrongLoad);
        if reads && !written && self.uninitialised {
            return Err(Hazard::Unwritten);
        }
        if self.races && written && last.thread & !STRONG != me {
            let other = last.thread & !STRONG;
            let strong = last.thread & STRONG != 0;
            let (warp, lane) = (other as usize / 32, other as usize % 32);
            match kind {
                Kind::StrongLoad | Kind::Strong if strong => {
                    self.order.acquire(me, other, last.time);
                }
                // Lanes of one instruction may store the same value to the same place.
                Kind::SameStore if last.time == now && other / 32 == me / 32 => {}
                _ if self.order.has_seen(me, warp, lane, last.time) => {}
                _ => return Err(Hazard::AfterWrite(other)),
            }
        }
        match kind {
            Kind::Load if self.races => self.record_reader(me, cell, now),
            Kind::Load | Kind::StrongLoad => {}
            Kind::Store | Kind::SameStore | Kind::Strong => {
                if self.races {
                    self.check_readers(me, cell)?;
                }
                let strong = if kind == Kind::Strong { STRONG } else { 0 };
                self.writers[cell] = Writer { time: now, thread: me | strong };
            }
        }
        Ok(())
    }

    fn record_reader(&mut self, me: u32, cell: usize, now: Time) {
        let seen = self.order_floor(me, cell);
        let readers = &mut self.readers[cell];
        let (warp, lane) = (me / 32, 1 << (me % 32));
        if readers.time < self.begun || readers.time <= seen {
            *readers = Readers { time: now, warp, mask: lane };
        } else if readers.warp == warp {
            // The earlier stamp stays: a later writer is then asked for too little rather than too
            // much.
            readers.mask |= lane;
        } else if readers.warp == MANY {
            readers.mask |= 1 << warp;
        } else {
            readers.mask = 1 << readers.warp | 1 << warp;
            readers.warp = MANY;
        }
    }

    /// The latest time up to which `me` has certainly seen the readers of a cell.
    fn order_floor(&self, me: u32, cell: usize) -> Time {
        let readers = self.readers[cell];
        if readers.time < self.begun {
            return readers.time;
        }
        if readers.warp != MANY
            && self.order.has_seen_lanes(me, readers.warp as usize, readers.mask, readers.time)
        {
            readers.time
        } else {
            self.order.block()
        }
    }

    fn check_readers(&self, me: u32, cell: usize) -> Result<(), Hazard> {
        let readers = self.readers[cell];
        if readers.time < self.begun {
            return Ok(());
        }
        if readers.warp == MANY {
            let seen = |warp: usize| {
                // A warp meets the others as a whole, so any of its lanes stands for it.
                let lane = if warp == me as usize / 32 { me as usize % 32 } else { 0 };
                self.order.has_seen(me, warp, lane, readers.time)
            };
            return super::order::lanes_of(readers.mask)
                .all(seen)
                .then_some(())
                .ok_or(Hazard::AfterRead(None));
        }
        if self.order.has_seen_lanes(me, readers.warp as usize, readers.mask, readers.time) {
            return Ok(());
        }
        let others = readers.mask & if readers.warp == me / 32 { !(1 << (me % 32)) } else { !0 };
        let lone = (others.count_ones() == 1).then(|| readers.warp * 32 + others.trailing_zeros());
        Err(Hazard::AfterRead(lone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> Shared {
        let mut shared = Shared::default();
        shared.begin(64, 2, true, true);
        shared
    }

    #[test]
    fn unwritten_bytes_are_found_one_by_one() {
        let mut shared = fresh();
        shared.touch(0, 8, 4, Kind::Store).unwrap();
        shared.touch(0, 8, 4, Kind::Load).unwrap();
        shared.touch(0, 13, 1, Kind::Store).unwrap();
        assert_eq!(shared.touch(0, 12, 4, Kind::Load), Err(Hazard::Unwritten));
        shared.touch(0, 13, 1, Kind::Load).unwrap();
        shared.begin(64, 2, true, true);
        assert_eq!(shared.touch(0, 8, 4, Kind::Load), Err(Hazard::Unwritten), "a new block");
    }

    #[test]
    fn races_in_each_direction() {
        let mut shared = fresh();
        shared.touch(0, 0, 4, Kind::Store).unwrap();
        assert_eq!(shared.touch(1, 0, 4, Kind::Load), Err(Hazard::AfterWrite(0)));
        assert_eq!(shared.touch(40, 0, 4, Kind::Store), Err(Hazard::AfterWrite(0)));
        shared.order.sync_warps(&[0, 1], true);
        shared.touch(40, 0, 4, Kind::Load).unwrap();
        assert_eq!(shared.touch(0, 0, 4, Kind::Store), Err(Hazard::AfterRead(Some(40))));
        shared.touch(0, 0, 4, Kind::Load).unwrap();
        assert_eq!(shared.touch(0, 0, 4, Kind::Store), Err(Hazard::AfterRead(None)));
        shared.order.sync_warps(&[0, 1], true);
        shared.touch(0, 0, 4, Kind::Store).unwrap();
    }

    #[test]
    fn bytes_of_a_word_do_not_race_with_each_other() {
        let mut shared = fresh();
        for lane in 0..4 {
            shared.touch(lane, lane as usize, 1, Kind::Store).unwrap();
        }
        assert_eq!(shared.touch(3, 2, 1, Kind::Store), Err(Hazard::AfterWrite(2)));
    }

    #[test]
    fn equal_stores_of_one_instruction_are_fine() {
        let mut shared = fresh();
        shared.touch(0, 0, 4, Kind::Store).unwrap();
        shared.touch(1, 0, 4, Kind::SameStore).unwrap();
        assert_eq!(shared.touch(2, 0, 4, Kind::Store), Err(Hazard::AfterWrite(1)));
        shared.order.tick();
        assert_eq!(shared.touch(2, 0, 4, Kind::SameStore), Err(Hazard::AfterWrite(1)));
    }

    #[test]
    fn strong_accesses_do_not_race_and_order_what_came_before() {
        let mut shared = fresh();
        shared.touch(0, 0, 4, Kind::Store).unwrap();
        shared.touch(0, 4, 4, Kind::Strong).unwrap();
        shared.touch(33, 4, 4, Kind::StrongLoad).unwrap();
        shared.touch(33, 0, 4, Kind::Load).unwrap();
        shared.touch(34, 4, 4, Kind::Strong).unwrap();
        assert_eq!(shared.touch(1, 0, 4, Kind::Load), Err(Hazard::AfterWrite(0)));
    }
}

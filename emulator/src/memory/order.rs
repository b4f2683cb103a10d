//! Which thread of a block has seen which other thread's work: the happens-before relation behind
//! the race check.
//!
//! One clock counts the synchronising events of the block; an access is stamped with it. A barrier
//! lets every thread that took part see whatever the others did before it. That is a vector clock,
//! kept coarsely where that loses nothing: one component for each pair of warps, and inside a warp
//! one number while all lanes synchronise together, a lane-by-lane table from the first time that
//! only some of them do.

/// The clock. Zero is before everything.
pub(crate) type Time = u32;

/// Lanes of a warp.
const LANES: usize = 32;

/// Who has seen what, in one block.
#[derive(Debug, Default)]
pub(crate) struct Order {
    now: Time,
    warps: usize,
    /// The last barrier of the whole block.
    block: Time,
    /// `[seer * warps + seen]`.
    across: Vec<Time>,
    /// For each warp: the last time that all its lanes synchronised.
    warp: Vec<Time>,
    /// For each warp, `[seer][seen]`, once only some of its lanes have synchronised.
    lanes: Vec<Option<Box<[[Time; LANES]; LANES]>>>,
}

impl Order {
    /// Starts a block. The clock goes on from the last block's, so that its stamps are all in the
    /// past.
    pub(crate) fn begin(&mut self, warps: usize) {
        self.now += 1;
        self.warps = warps;
        self.block = 0;
        self.across.clear();
        self.across.resize(warps * warps, 0);
        self.warp.clear();
        self.warp.resize(warps, 0);
        self.lanes.clear();
        self.lanes.resize(warps, None);
    }

    /// The present.
    pub(crate) fn now(&self) -> Time {
        self.now
    }

    /// The last barrier of the whole block.
    pub(crate) fn block(&self) -> Time {
        self.block
    }

    /// Moves the clock on, so that what follows can be distinguished from what was.
    pub(crate) fn tick(&mut self) {
        self.now = self.now.saturating_add(1);
    }

    /// Puts the clock back to its beginning; the caller forgets all stamps.
    pub(crate) fn rewind(&mut self) {
        self.now = 0;
    }

    /// Lanes `mask` of a warp synchronise; `live` are all its lanes that have not exited.
    pub(crate) fn sync_lanes(&mut self, warp: usize, mask: u32, live: u32) {
        if live & !mask == 0 {
            self.warp[warp] = self.now;
        } else {
            let start = self.warp[warp];
            let table = self.lanes[warp].get_or_insert_with(|| Box::new([[start; LANES]; LANES]));
            let mut joined = [start; LANES];
            for lane in lanes_of(mask) {
                for (all, one) in joined.iter_mut().zip(&table[lane]) {
                    *all = (*all).max(*one);
                }
            }
            for lane in lanes_of(mask) {
                joined[lane] = self.now;
            }
            for lane in lanes_of(mask) {
                table[lane] = joined;
            }
        }
        self.tick();
    }

    /// The warps of a list meet at a barrier; `all` where it is the whole block's.
    pub(crate) fn sync_warps(&mut self, met: &[usize], all: bool) {
        if all {
            self.block = self.now;
        } else {
            let mut joined = vec![0; self.warps];
            for &warp in met {
                let row = &self.across[warp * self.warps..][..self.warps];
                for (all, one) in joined.iter_mut().zip(row) {
                    *all = (*all).max(*one);
                }
            }
            for &warp in met {
                joined[warp] = self.now;
            }
            for &warp in met {
                self.across[warp * self.warps..][..self.warps].copy_from_slice(&joined);
                self.warp[warp] = self.now;
            }
        }
        self.tick();
    }

    /// Thread `me` has observed a strong write that thread `other` made at `time`.
    pub(crate) fn acquire(&mut self, me: u32, other: u32, time: Time) {
        let (mine, its) = (me as usize / LANES, other as usize / LANES);
        if mine == its {
            let start = self.warp[mine];
            let table = self.lanes[mine].get_or_insert_with(|| Box::new([[start; LANES]; LANES]));
            let seen = &mut table[me as usize % LANES][other as usize % LANES];
            *seen = (*seen).max(time);
            return;
        }
        for warp in 0..self.warps {
            let theirs = self.across[its * self.warps + warp];
            let seen = &mut self.across[mine * self.warps + warp];
            *seen = (*seen).max(if warp == its { time } else { theirs });
        }
    }

    /// Whether `me` has seen what lane `lane` of `warp` did at `time`.
    #[inline]
    pub(crate) fn has_seen(&self, me: u32, warp: usize, lane: usize, time: Time) -> bool {
        let mine = me as usize / LANES;
        if time <= self.block {
            return true;
        }
        if mine != warp {
            return time <= self.across[mine * self.warps + warp];
        }
        let my_lane = me as usize % LANES;
        my_lane == lane
            || time <= self.warp[warp]
            || self.lanes[warp].as_ref().is_some_and(|table| time <= table[my_lane][lane])
    }

    /// The same for several lanes of a warp.
    #[inline]
    pub(crate) fn has_seen_lanes(&self, me: u32, warp: usize, mask: u32, time: Time) -> bool {
        if time <= self.block || (me as usize / LANES == warp && time <= self.warp[warp]) {
            return true;
        }
        lanes_of(mask).all(|lane| self.has_seen(me, warp, lane, time))
    }
}

/// The set bits of a mask, as indexes.
pub(crate) fn lanes_of(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lane = mask.trailing_zeros();
        (mask != 0).then(|| {
            mask &= mask - 1;
            lane as usize
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_sync_orders_only_its_lanes() {
        let mut order = Order::default();
        order.begin(1);
        let written = order.now();
        assert!(!order.has_seen(1, 0, 0, written));
        order.sync_lanes(0, 0b0011, u32::MAX);
        assert!(order.has_seen(1, 0, 0, written));
        assert!(!order.has_seen(2, 0, 0, written));
        // Lane 1 carries what it saw of lane 0 on to lane 2.
        order.sync_lanes(0, 0b0110, u32::MAX);
        assert!(order.has_seen(2, 0, 0, written));
        assert!(!order.has_seen(3, 0, 0, written));
        order.sync_lanes(0, u32::MAX, u32::MAX);
        assert!(order.has_seen(3, 0, 0, written));
    }

    #[test]
    fn barriers_order_warps_that_met() {
        let mut order = Order::default();
        order.begin(3);
        let written = order.now();
        order.sync_warps(&[0, 1], false);
        assert!(order.has_seen(32, 0, 5, written));
        assert!(!order.has_seen(64, 0, 5, written));
        order.sync_warps(&[1, 2], false);
        assert!(order.has_seen(64, 0, 5, written), "through warp 1");
        let later = order.now();
        assert!(!order.has_seen(64, 0, 5, later));
        order.sync_warps(&[0, 1, 2], true);
        assert!(order.has_seen(64, 0, 5, later));
    }
}

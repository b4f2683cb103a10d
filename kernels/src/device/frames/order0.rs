//! The pops of an order-0 chunk by a warp.
//!
//! Four rows of 32 lanes advance at once: a thread has the same lane of each, four chains that do
//! not wait for one another, and its four symbols are neighbours in the chunk.

use super::Warp;
use super::coded::Coded;
use super::sink::{Sink, feed};
use crate::codec::step::is_normalised;
use crate::codec::{Rans32x16, RansFamily};
use crate::device::simt::Simt;
use crate::order0::layout::{GROUP, KIND_CONSTANT, KIND_RAW, LANES};
use crate::order0::table::{self, TableSink};
use crate::order0::{Layout, PRECISION, SLOTS};

/// The state that every lane ends in.
const FRESH: u32 = Rans32x16::LOWER_BOUND;

/// What a lookup finds of a slot: `symbol << 24 | frequency << 12 | rank in the symbol's interval`.
const fn slot(symbol: u32, frequency: u32, rank: u32) -> u32 {
    symbol << 24 | frequency << PRECISION | rank
}

/// Gives a sink the `len` bytes of a plane or a chunk. False where no encoder wrote it: the sink
/// has unspecified bytes then.
///
/// # Safety
/// The sink takes `len` bytes, the bytes of the source are there, and the warp has its shared
/// memory to itself.
#[inline(always)]
pub unsafe fn pour<S: Simt>(warp: Warp<S>, source: Source, len: u32, sink: impl Sink) -> bool {
    // SAFETY: the caller's promise; loads are of places in the source.
    unsafe {
        let (bytes, constant) = match source.resolve() {
            Some(Source::Coded(coded)) => return pop(warp, coded, len, sink),
            Some(Source::Stored(bytes)) => (bytes, None),
            Some(Source::Constant(byte)) => (Coded::none(), Some(byte)),
            None => return false,
        };
        if constant.is_none() && bytes.len != len {
            return false;
        }
        let four =
            |at| constant.map_or_else(|| bytes.four(warp.simt, at), |byte| byte * 0x0101_0101);
        let byte = |at| constant.unwrap_or_else(|| bytes.byte(at));
        feed(warp, len, sink, four, byte);
        true
    }
}

/// Where the bytes of a plane or a chunk come from.
#[derive(Clone, Copy)]
pub enum Source {
    /// They are here.
    Stored(Coded),
    /// All are the same.
    Constant(u32),
    /// An order-0 chunk.
    Coded(Coded),
}

impl Source {
    /// The source without order-0 chunks that are no rows; none where they are none at all.
    #[inline(always)]
    fn resolve(self) -> Option<Self> {
        let Self::Coded(coded) = self else { return Some(self) };
        let (kind, body) = (coded.get(0)? as u8, coded.after(1)?);
        match kind {
            KIND_RAW => Some(Self::Stored(body)),
            KIND_CONSTANT => body.get(0).filter(|_| body.len == 1).map(Self::Constant),
            _ => Some(self),
        }
    }
}

/// Pops the rows of a chunk.
///
/// # Safety
/// As [`pour`].
#[inline(always)]
unsafe fn pop<S: Simt>(warp: Warp<S>, coded: Coded, len: u32, sink: impl Sink) -> bool {
    let layout = coded.get(0).and_then(|kind| Layout::from_kind(kind as u8));
    let (Some(layout), Some(body)) = (layout, coded.after(1)) else { return false };
    // SAFETY: the caller's promise.
    unsafe {
        match read_table(warp, body) {
            Some(taken) => pop_rows(warp, coded, 1 + taken, layout, len, sink),
            None => false,
        }
    }
}

/// The values that occur, `value << 16 | frequency` each, in shared memory.
struct SharedValues<S> {
    simt: S,
    at: u32,
}

impl<S: Simt> TableSink for SharedValues<S> {
    #[inline(always)]
    fn value(&mut self, number: usize, value: usize) {
        // SAFETY: one of 256 words of the warp's shared memory, which only this thread uses between
        // barriers.
        unsafe { self.simt.store_shared(self.at + 4 * number as u32, (value as u32) << 16) }
    }

    #[inline(always)]
    fn frequency(&mut self, number: usize, frequency: u32) {
        let at = self.at + 4 * number as u32;
        // SAFETY: as above.
        unsafe { self.simt.store_shared(at, self.simt.load_shared(at) | frequency) }
    }
}

/// Fills the warp's table of slots from the table at the front of `data`; how many bytes that took,
/// if it is one.
///
/// # Safety
/// As [`pour`].
#[inline(always)]
unsafe fn read_table<S: Simt>(warp: Warp<S>, data: Coded) -> Option<u32> {
    let simt = warp.simt;
    let list = warp.shared + 4 * SLOTS as u32;
    simt.sync_warp();
    let mut read = 0;
    // One thread reads: each number begins where the one before ends.
    if warp.lane == 0 {
        // SAFETY: the bytes of `data`.
        let bytes = unsafe { core::slice::from_raw_parts(data.as_ptr(), data.len as usize) };
        let table = table::read_to(bytes, &mut SharedValues { simt, at: list });
        // A table of one value has no place in the slots, and no encoder writes it.
        read = table.map_or(0, |(values, taken)| (values as u32) << 16 | taken as u32);
    }
    let read = simt.shuffle(read, 0);
    simt.sync_warp();
    let (values, taken) = (read >> 16, read & 0xffff);
    if values < 2 {
        return None;
    }
    let (mut at, end) = (list, list + 4 * values);
    let mut first = warp.shared;
    while at < end {
        // SAFETY: one of the values.
        let value = unsafe { simt.load_shared(at) };
        let frequency = value & 0xffff;
        let mut rank = warp.lane;
        while rank < frequency {
            // SAFETY: the frequencies sum to the number of slots. Each slot is one thread's.
            unsafe {
                simt.store_shared(first + 4 * rank, slot(value >> 16, frequency, rank));
            }
            rank += 32;
        }
        first += 4 * frequency;
        at += 4;
    }
    simt.sync_warp();
    Some(taken)
}

/// A thread's lanes of four rows.
struct Rows<'a, S> {
    warp: &'a Warp<S>,
    /// Where the chunk begins; words are counted from there.
    chunk: Coded,
    base: u64,
    states: [u32; 4],
    begins: [u32; 4],
    ends: [u32; 4],
}

impl<S: Simt> Rows<'_, S> {
    /// A state and behind it the word that ends at a place. `EVEN` says that words are aligned.
    #[inline(always)]
    unsafe fn fill<const EVEN: bool>(&self, state: u32, end: u32) -> u32 {
        // SAFETY: the caller's promise: the word before `end` is in the chunk.
        unsafe {
            if EVEN {
                self.warp.simt.fill::<Rans32x16>(state, self.warp.simt.after::<u16>(self.base, end))
            } else {
                let at = 2 * end - 2;
                state << 16 | self.chunk.byte(at) | self.chunk.byte(at + 1) << 8
            }
        }
    }

    /// Whether a row has taken more words than it has.
    #[inline(always)]
    fn is_short(&self) -> bool {
        let mut short = false;
        unroll!(4, r, { short |= (self.ends[r] as i32) < self.begins[r] as i32 });
        short
    }

    /// Pops a symbol of each active lane of the first `N` rows, the first row's lowest. A row that
    /// lacks words takes those of its states; the caller looks at [`is_short`](Self::is_short).
    ///
    /// # Safety
    /// No row is short by more than 32 words.
    #[inline(always)]
    unsafe fn step<const N: usize, const EVEN: bool>(&mut self, active: [bool; N]) -> u32 {
        let simt = self.warp.simt;
        let mut found_of = [0; 4];
        let mut taken = [0; N];
        let mut low = [false; N];
        let mut places = [0; N];
        unroll!(N, r, {
            let state = self.states[r % 4];
            let slot = state % SLOTS as u32;
            // SAFETY: one of the warp's slots.
            let found = unsafe { simt.load_shared(simt.scaled(self.warp.shared, slot, 2)) };
            found_of[r % 4] = found;
            let frequency = (found >> PRECISION) % SLOTS as u32;
            let next = frequency * (state >> PRECISION) + found % SLOTS as u32;
            taken[r] = if active[r] { next } else { state };
            low[r] = taken[r] < Rans32x16::LOWER_BOUND;
            let wanted = simt.ballot(low[r]);
            places[r] = self.ends[r % 4].wrapping_sub((wanted & self.warp.before).count_ones());
            self.ends[r % 4] = self.ends[r % 4].wrapping_sub(wanted.count_ones());
        });
        unroll!(N, r, {
            // Every lane loads: those that want no word take no other sectors.
            // SAFETY: a row's words and those before them that are its states, of 32 lanes as many
            // as two steps take, lie in the chunk.
            let filled = unsafe { self.fill::<EVEN>(taken[r], places[r]) };
            self.states[r % 4] = if low[r] { filled } else { taken[r] };
        });
        // The top bytes.
        let [a, b, c, d] = found_of;
        if N == 1 {
            return a >> 24;
        }
        let (low, high) = (simt.pick::<0x73>(a, b), simt.pick::<0x73>(c, d));
        simt.pick::<0x5410>(low, high)
    }
}

/// Pops the rows of a chunk whose table ends at a place.
///
/// # Safety
/// As [`pour`].
#[inline(always)]
unsafe fn pop_rows<S: Simt>(
    warp: Warp<S>,
    coded: Coded,
    table_end: u32,
    layout: Layout,
    len: u32,
    sink: impl Sink,
) -> bool {
    let lengths = table_end.next_multiple_of(4);
    let (count, lanes) = (layout.rows() as u32, layout.lanes() as u32);
    let begin = lengths + 4 * (count - 1);
    if begin > coded.len {
        return false;
    }
    for at in table_end..lengths {
        // SAFETY: before `begin`.
        if unsafe { coded.byte(at) } != 0 {
            return false;
        }
    }
    let mut rows = Rows {
        warp: &warp,
        chunk: coded,
        base: warp.simt.global(coded.as_ptr()),
        states: [FRESH; 4],
        begins: [0; 4],
        ends: [0; 4],
    };
    let mut sound = true;
    unroll!(4, r, {
        if (r as u32) < count {
            let begin = if r == 0 { begin } else { 2 * rows.ends[r.max(1) - 1] };
            let left = coded.len - begin;
            let mut length = left;
            if r as u32 + 1 < count {
                // SAFETY: before `begin`.
                length = unsafe { coded.number(lengths + 4 * r as u32) };
            }
            if length > left || length < 4 * lanes || !length.is_multiple_of(2) {
                return false;
            }
            if warp.lane < lanes {
                // SAFETY: the row's states, which are in it.
                rows.states[r] = unsafe { coded.number(begin + 4 * warp.lane) };
                sound &= is_normalised::<Rans32x16>(rows.states[r]);
            }
            rows.begins[r] = (begin + 4 * lanes) / 2;
            rows.ends[r] = (begin + length) / 2;
        }
    });
    if warp.any(!sound) {
        return false;
    }
    // SAFETY: the caller's promise.
    let all = unsafe {
        if count == 4 {
            pop_four(&mut rows, len, sink)
        } else {
            pop_one(&mut rows, lanes, len, sink)
        }
    };
    let mut fresh = all;
    unroll!(4, r, {
        fresh &= rows.states[r] == FRESH && rows.ends[r] == rows.begins[r];
    });
    !warp.any(!fresh)
}

/// Pops four rows of 32 lanes.
///
/// # Safety
/// As [`pop_rows`].
#[inline(always)]
unsafe fn pop_four<S: Simt>(rows: &mut Rows<'_, S>, len: u32, sink: impl Sink) -> bool {
    let groups = len - len % GROUP as u32;
    let fours = groups.min(sink.fours(len) / GROUP as u32 * GROUP as u32);
    // SAFETY: the caller's promise.
    let popped = unsafe {
        if rows.chunk.as_ptr().addr().is_multiple_of(2) {
            pop_groups::<S, true>(rows, fours, sink)
        } else {
            pop_groups::<S, false>(rows, fours, sink)
        }
    };
    let lane = rows.warp.lane;
    let mut done = if popped { fours } else { len };
    while done < len {
        // A full group, or the tail, in the order of the lanes.
        let (own, count) = if done < groups {
            (64 * (lane % 2) + 4 * (lane / 2), GROUP as u32)
        } else {
            (4 * lane, len - done)
        };
        let active = core::array::from_fn(|r| own + (r as u32) < count);
        // SAFETY: the caller's promise: no row is short.
        let mut symbols = unsafe { rows.step::<4, false>(active) };
        let mut at = own;
        while at < count.min(own + 4) {
            // SAFETY: a byte of the group.
            unsafe { sink.one(done + at, symbols & 0xff) };
            symbols >>= 8;
            at += 1;
        }
        if rows.is_short() {
            return false;
        }
        done += count;
    }
    popped
}

/// Pops full groups, up to a place.
///
/// # Safety
/// As [`pop_rows`]; `EVEN` says that the chunk begins at an even address.
#[inline(always)]
unsafe fn pop_groups<S: Simt, const EVEN: bool>(
    rows: &mut Rows<'_, S>,
    end: u32,
    sink: impl Sink,
) -> bool {
    let lane = rows.warp.lane;
    let own = 64 * (lane % 2) + 4 * (lane / 2);
    let mut at = 0;
    while at < end {
        // SAFETY: the caller's promise: no row is short. The bytes are this lane's of full groups.
        unsafe {
            sink.four(at + own, rows.step::<4, EVEN>([true; 4]));
            at += GROUP as u32;
            if at < end {
                sink.four(at + own, rows.step::<4, EVEN>([true; 4]));
                at += GROUP as u32;
            }
        }
        if rows.is_short() {
            return false;
        }
    }
    true
}

/// Pops one row of `lanes` lanes.
///
/// # Safety
/// As [`pop_rows`].
#[inline(always)]
unsafe fn pop_one<S: Simt>(rows: &mut Rows<'_, S>, lanes: u32, len: u32, sink: impl Sink) -> bool {
    let lane = rows.warp.lane;
    let mut at = 0;
    while at < len {
        // Not `&&`: rustc would thread the jump through the vote of the step, which only some
        // lanes would reach then.
        let active = (lane < lanes) & (lane < len - at);
        // SAFETY: the caller's promise.
        let symbol = unsafe { rows.step::<1, false>([active]) };
        if rows.is_short() {
            return false;
        }
        if active {
            // SAFETY: a byte of the chunk.
            unsafe { sink.one(at + lane, symbol) };
        }
        at += lanes;
    }
    true
}

const _: () = assert!(LANES == 32 && GROUP == 128);

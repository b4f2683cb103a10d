//! tANS with packed tables: the main loops of push and pop.
//!
//! As in [`push_packed`](super::push_packed) and [`pop_packed`](super::pop_packed), a tile is a few
//! groups of symbols, and what is not ordinary is left to the general code.

use super::group::{Group, Mapping};
use super::lane_words::LaneWords;
use super::memory::{Launch, RowSymbols, RowsMemory};
use super::packed::{SharedTables, TableMemory, behind_halves, behind_places, halves, table};
use super::simt::Simt;
use super::tans_bits::{BitEnd, MOST_GROUPS, Window, store_bits};
use super::tans_lane::Lane;
use crate::abi::CodeShape;
use crate::codec::packed::PackedTable;
use crate::codec::packed_states::TANS_ENTRY_LOG2;
use crate::codec::step::low_mask;
use crate::codec::tans::push_place;
use crate::codec::{BitBuffer, TansDecoderEntry, TansEncoderEntry, TansFamily};

/// Groups of a tile where one table codes the row, and where symbols have indexes.
const TILES: [usize; 2] = [MOST_GROUPS, 4];

/// The tables and rows of a launch.
pub(super) struct Tiles<S> {
    tables: SharedTables<S>,
    rows: RowsMemory,
    shape: CodeShape,
}

/// A row in the main loop.
struct Row<S, M> {
    group: Group<S, M>,
    /// Whether that is this thread's own row.
    coded: bool,
    symbols: RowSymbols,
    /// Whether symbols and indexes are taken by fours.
    fours: bool,
    /// The lane's state.
    state: u32,
    /// Where the row's bits end, in all its lanes.
    end: BitEnd,
}

/// What became of a tile of a pop: groups that were popped, and whether the next has bypass digits.
type Done = (u32, bool);

/// A table as push reads it, and where its next states are.
type PushPlace = (PackedTable, u32);

/// A table as pop reads it: where the entry of state 0 is, were there one, and its offset.
type PopPlace = (u32, i32);

impl<S: Simt> Tiles<S> {
    /// The launch's tables, in shared memory where the launch says so. All threads of the block
    /// call it together.
    ///
    /// # Safety
    /// The memory is what [`abi`](crate::abi) says for a launch of this shape.
    #[inline(always)]
    pub(super) unsafe fn new(simt: S, launch: &Launch, shape: &CodeShape) -> Self {
        // SAFETY: the caller's promise.
        let tables = unsafe { SharedTables::stage(simt, launch.lookup.cast(), shape) };
        Self { tables, rows: launch.rows, shape: *shape }
    }

    /// The lane's row, or the one that it goes along with, and its words: see
    /// [`CodedRow`](super::packed::CodedRow). `None` where the warp has none to code.
    #[inline(always)]
    fn row<M: Mapping, T: TansFamily>(
        &self,
        lane: &Lane<S, M, T>,
    ) -> Option<(Row<S, M>, *mut T::Word)> {
        let group = lane.group;
        let coded_rows = group.whole_rows(lane.is_sound());
        if coded_rows == 0 {
            return None;
        }
        let (mut number, mut state, mut end) = (lane.row as u32, lane.state, lane.end);
        let BitEnd { cursor, buffer: BitBuffer { bits, len } } = &mut end;
        let coded = group.is_in(coded_rows);
        if coded_rows != u32::MAX {
            for value in [&mut number, &mut state, cursor, bits, len] {
                let other = group.of_first(coded_rows, *value);
                *value = if coded { *value } else { other };
            }
        }
        // SAFETY: the number of a row.
        let (symbols, words) = unsafe {
            let words: *mut T::Word = self.rows.words.cast();
            let first = words.add(number as usize * self.shape.word_stride as usize);
            (self.rows.row(&self.shape, number), first)
        };
        let fours = !group.any_in_step(!symbols.fours_are_aligned());
        Some((Row { group, coded, symbols, fours, state, end }, words))
    }

    /// Pushes groups from the one before `group` down, to the first that is not ordinary, and gives
    /// how many are left.
    #[inline(always)]
    pub(super) fn push<M: Mapping, T: TansFamily>(
        &self,
        lane: &mut Lane<S, M, T>,
        mut group: u32,
    ) -> u32 {
        let Some((mut row, words)) = self.row(lane) else { return group };
        if self.tables.are_staged() {
            self.push_tiles::<_, M, T>(self.tables.staged(), &mut row, words, &mut group);
        } else {
            self.push_tiles::<_, M, T>(self.tables.in_global(), &mut row, words, &mut group);
        }
        if row.coded {
            (lane.state, lane.end) = (row.state, row.end);
        }
        group
    }

    #[inline(always)]
    fn push_tiles<A: TableMemory, M: Mapping, T: TansFamily>(
        &self,
        memory: A,
        row: &mut Row<S, M>,
        words: *mut T::Word,
        group: &mut u32,
    ) {
        if row.symbols.has_one_index() {
            // SAFETY: position 0 is one of the row's.
            let number = unsafe { row.symbols.index(0) } as u32;
            if row.group.any_in_step(number >= self.shape.tables) {
                return;
            }
            // SAFETY: the number was checked.
            let one = (unsafe { table(memory, number) }, halves(memory, number, &self.shape));
            self.push_loops::<A, M, T, { TILES[0] }>(memory, row, words, group, Some(one));
        } else {
            self.push_loops::<A, M, T, { TILES[1] }>(memory, row, words, group, None);
        }
    }

    #[inline(always)]
    fn push_loops<A: TableMemory, M: Mapping, T: TansFamily, const TILE: usize>(
        &self,
        memory: A,
        row: &mut Row<S, M>,
        words: *mut T::Word,
        group: &mut u32,
        one: Option<PushPlace>,
    ) {
        loop {
            let tile = TILE as u32;
            // Fours are aligned where tiles are.
            let odd = if M::LANES == 1 { *group % tile } else { 0 };
            while odd == 0
                && *group >= tile
                && self.push_tile::<A, M, T, TILE>(memory, row, words, *group - tile, one)
            {
                *group -= tile;
            }
            // The rest, or one of the next few is not ordinary.
            let mut single = if odd == 0 { tile } else { odd };
            while single > 0 && *group > 0 {
                if !self.push_tile::<A, M, T, 1>(memory, row, words, *group - 1, one) {
                    return;
                }
                *group -= 1;
                single -= 1;
            }
            if *group == 0 {
                return;
            }
        }
    }

    /// Pushes `N` groups if all are ordinary.
    #[inline(always)]
    fn push_tile<A: TableMemory, M: Mapping, T: TansFamily, const N: usize>(
        &self,
        memory: A,
        row: &mut Row<S, M>,
        words: *mut T::Word,
        group: u32,
        one: Option<PushPlace>,
    ) -> bool {
        let (lanes, shape) = (row.group, &self.shape);
        // SAFETY: whole groups of the row.
        let values = unsafe { row.symbols.loads::<S, M, N>(&lanes, group, row.fours) };
        let most = N as u32 * lanes.lanes() * shape.precision / T::WORD_BITS + 1;
        let mut good = row.end.cursor + most <= shape.word_stride;
        let (one_table, one_next) = one.unwrap_or_default();
        let (mut tables, mut next) = ([one_table; N], [one_next; N]);
        if one.is_none() {
            // SAFETY: as above.
            let numbers = unsafe { row.symbols.indexes::<S, M, N>(&lanes, group, row.fours) };
            let mut named = true;
            unroll!(N, i, { named &= (numbers[i] as u32) < shape.tables });
            if lanes.any_in_step(!named) {
                return false;
            }
            unroll!(N, i, {
                // SAFETY: the numbers were checked.
                tables[i] = unsafe { table(memory, numbers[i] as u32) };
                next[i] = halves(memory, numbers[i] as u32, shape);
            });
        }
        let entries = behind_halves(memory, shape);
        let mut at = [0; N];
        unroll!(N, i, {
            let number = values[i].wrapping_sub(tables[i].offset()) as u32;
            good &= number < tables[i].symbols();
            let entry = tables[i].base.wrapping_add(values[i] as u32);
            at[i] = memory.scaled(entries, entry, TANS_ENTRY_LOG2);
        });
        if lanes.any_in_step(!good) {
            return false;
        }
        // What each group leaves, the last group first.
        let (mut bits, mut counts) = ([0; N], [0; N]);
        unroll!(N, i, {
            // SAFETY: an entry of the table, and a state of its states.
            unsafe {
                let [bits_bias, next_bias, ..] = memory.words(at[N - 1 - i], TANS_ENTRY_LOG2);
                let entry = TansEncoderEntry { bits_bias, next_bias };
                let (place, count) = push_place(row.state, entry);
                (bits[i], counts[i]) = (row.state & low_mask(count), count);
                row.state = memory.half(memory.scaled(next[N - 1 - i], place, 1));
            }
        });
        // SAFETY: the row's region, which no other row's lanes write to. All threads of the warp
        // are here.
        unsafe {
            if M::LANES == 1 {
                let BitEnd { cursor, buffer } = &mut row.end;
                let mut sink = LaneWords::new(words, *cursor, shape.word_stride);
                unroll!(N, i, { buffer.push::<T>(bits[i], counts[i], &mut sink) });
                *cursor = sink.position();
            } else {
                let to = (words, shape.word_stride);
                row.end =
                    store_bits::<_, _, T, N>(&lanes, to, shape.staged, row.end, (bits, counts));
            }
        }
        true
    }

    /// Pops groups from `group` on, to the first that is not ordinary or to `groups`, and gives
    /// where that is.
    #[inline(always)]
    pub(super) fn pop<M: Mapping, T: TansFamily>(
        &self,
        lane: &mut Lane<S, M, T>,
        group: u32,
        groups: u32,
    ) -> u32 {
        let Some((mut row, words)) = self.row(lane) else { return group };
        let (staged, global) = (self.tables.staged(), self.tables.in_global());
        let words = self.tables.simt().global(words.cast_const());
        let mut at = (group, groups);
        match (self.tables.are_staged(), self.shape.bypass_bits != 0) {
            (true, false) => self.pop_tiles::<_, M, T, false>(staged, &mut row, words, &mut at),
            (true, true) => self.pop_tiles::<_, M, T, true>(staged, &mut row, words, &mut at),
            (false, false) => self.pop_tiles::<_, M, T, false>(global, &mut row, words, &mut at),
            (false, true) => self.pop_tiles::<_, M, T, true>(global, &mut row, words, &mut at),
        }
        if row.coded {
            (lane.state, lane.end) = (row.state, row.end);
        }
        at.0
    }

    #[inline(always)]
    fn pop_tiles<A: TableMemory, M: Mapping, T: TansFamily, const BYPASS: bool>(
        &self,
        memory: A,
        row: &mut Row<S, M>,
        words: u64,
        at: &mut (u32, u32),
    ) {
        if row.symbols.has_one_index() {
            // SAFETY: position 0 is one of the row's.
            let number = unsafe { row.symbols.index(0) } as u32;
            if row.group.any_in_step(number >= self.shape.tables) {
                return;
            }
            // SAFETY: the number was checked.
            let one = Some(unsafe { self.pop_place(memory, number) });
            self.pop_loops::<A, M, T, BYPASS, { TILES[0] }>(memory, row, words, at, one);
        } else {
            self.pop_loops::<A, M, T, BYPASS, { TILES[1] }>(memory, row, words, at, None);
        }
    }

    /// A table as pop reads it.
    ///
    /// # Safety
    /// `number` is one of the tables'.
    #[inline(always)]
    unsafe fn pop_place<A: TableMemory>(&self, memory: A, number: u32) -> PopPlace {
        let precision = self.shape.precision;
        // States begin at `2^precision`.
        let states = behind_places(memory, &self.shape).wrapping_sub(4 << precision);
        // SAFETY: the caller's promise.
        (states.wrapping_add(number << (precision + 2)), unsafe { table(memory, number) }.offset())
    }

    #[inline(always)]
    fn pop_loops<
        A: TableMemory,
        M: Mapping,
        T: TansFamily,
        const BYPASS: bool,
        const TILE: usize,
    >(
        &self,
        memory: A,
        row: &mut Row<S, M>,
        words: u64,
        (group, groups): &mut (u32, u32),
        one: Option<PopPlace>,
    ) {
        loop {
            let tile = TILE as u32;
            // Fours are aligned where tiles are.
            let odd = if M::LANES == 1 { group.wrapping_neg() % tile } else { 0 };
            while odd == 0 && *group + tile <= *groups {
                let (done, escaped) =
                    self.pop_tile::<A, M, T, BYPASS, TILE>(memory, row, words, *group, one);
                *group += done;
                if escaped {
                    return;
                }
                if done == 0 {
                    break;
                }
            }
            // The rest, or one of the next few is not ordinary.
            let mut single = if odd == 0 { tile } else { odd };
            while single > 0 && *group < *groups {
                if self.pop_tile::<A, M, T, BYPASS, 1>(memory, row, words, *group, one).0 == 0 {
                    return;
                }
                *group += 1;
                single -= 1;
            }
            if *group == *groups {
                return;
            }
        }
    }

    /// Pops groups, as many as are ordinary.
    #[inline(always)]
    fn pop_tile<A: TableMemory, M: Mapping, T: TansFamily, const BYPASS: bool, const N: usize>(
        &self,
        memory: A,
        row: &mut Row<S, M>,
        words: u64,
        group: u32,
        one: Option<PopPlace>,
    ) -> Done {
        let (lanes, simt, shape) = (row.group, self.tables.simt(), &self.shape);
        // The words that these groups may read, and the bits in them and in the buffer.
        let most = N as u32 * lanes.lanes() * shape.precision / T::WORD_BITS + 1;
        let mut good = N == 1 || most <= row.end.cursor;
        let (one_states, one_offset) = one.unwrap_or_default();
        let (mut states, mut offsets) = ([one_states; N], [one_offset; N]);
        if one.is_none() {
            // SAFETY: `N` whole groups are the row's.
            let numbers = unsafe { row.symbols.indexes::<S, M, N>(&lanes, group, row.fours) };
            unroll!(N, i, { good &= (numbers[i] as u32) < shape.tables });
            if lanes.any_in_step(!good) {
                return (0, false);
            }
            unroll!(N, i, {
                // SAFETY: the numbers were checked.
                (states[i], offsets[i]) = unsafe { self.pop_place(memory, numbers[i] as u32) };
            });
        } else if N > 1 && lanes.any_in_step(!good) {
            return (0, false);
        }
        // SAFETY: the row's words.
        let mut window = unsafe { Window::<S, T>::new(simt, words, row.end, most) };
        let mut popped = [0; N];
        let mut done = 0;
        'groups: {
            unroll!(N, i, {
                // SAFETY: a table has an entry for each state.
                let found = unsafe { memory.word(memory.scaled(states[i], row.state, 2)) };
                if BYPASS && lanes.any_in_step(found == 0) {
                    break 'groups;
                }
                let entry = TansDecoderEntry { number: found as u16, symbol: (found >> 16) as u16 };
                let count = entry.bits(shape.precision);
                let sum = lanes.sum_up_to(count);
                let total = lanes.broadcast(sum, lanes.lanes() - 1);
                if N == 1 && lanes.any_in_step(total > window.left) {
                    return (0, false);
                }
                row.state = entry.state(count, window.read(sum, count));
                window.left -= total;
                popped[i] = offsets[i].wrapping_add_unsigned(found >> 16);
                done = i + 1;
            });
        }
        // SAFETY: whole groups of the row.
        unsafe { row.symbols.stores(&lanes, group, row.fours, popped, done) };
        row.end = window.end();
        (done as u32, BYPASS && done < N)
    }
}

//! Pop with packed tables: the main loop.
//!
//! A tile is a few groups of symbols: their indexes are loaded at once, then the groups are popped
//! one after another, and at last their symbols are stored at once. What can be checked for a tile
//! is checked for the tile: that every index names a table, that there are words enough whatever
//! the symbols. Bypass digits show only as a symbol is found, so with bypass every group votes
//! whether one of its symbols has them; that group is then popped by itself, lane after lane.
//!
//! Rows that share a warp go through the loop in step; see [`CodedRow`].

use super::group::Mapping;
use super::memory::{Launch, RowSymbols, RowsMemory};
use super::packed::{CodedRow, PackedLookup, SharedTables, TableMemory, table};
use super::pop::{Lane, Ordinary, decoder_view, in_turn, pop_row};
use super::simt::Simt;
use crate::abi::CodeShape;
use crate::codec::packed::PackedFamily;
use crate::codec::step::{advance, renormalise, slot, words_wanted};
use crate::codec::{
    BypassCode, DecoderModel, DecoderView, SymbolLookup, TableRow, Value, WordInt, WordReader,
};

/// Groups of a tile where one table codes the row or a warp does, and where symbols have indexes
/// otherwise: more of them hide more latency and take more registers, and more
/// of them are lost where one is not ordinary.
const TILES: [usize; 2] = [8, 4];

/// Pops every symbol of the calling thread's lane.
///
/// # Safety
/// The memory is what [`abi`](crate::abi) says for a launch of this shape, and nothing else uses it
/// meanwhile.
#[inline(always)]
pub unsafe fn pop<S: Simt, M: Mapping, F: PackedFamily, L: PackedLookup>(
    simt: S,
    launch: Launch,
    shape: &CodeShape,
) {
    // SAFETY: the caller's promise; no thread has left the block yet.
    unsafe {
        let tables = SharedTables::stage(simt, launch.lookup.cast(), shape);
        let view = decoder_view::<L>(launch, shape);
        let tiles = Tiles::<S, L> { tables, rows: launch.rows, shape: *shape, view };
        pop_row::<S, M, F, _, _>(simt, launch.rows, shape, tiles, |symbols, _| TableRow {
            view,
            index: symbols.indexes_of_row(),
        });
    }
}

struct Tiles<S, L: PackedLookup> {
    tables: SharedTables<S>,
    rows: RowsMemory,
    shape: CodeShape,
    /// The tables of the general code, which has the sentinels.
    view: DecoderView<'static, L::Lookup>,
}

/// What became of a tile.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    /// Groups that were popped.
    groups: u32,
    /// Whether the next group is one that has bypass digits.
    escaped: bool,
}

/// A row in the main loop.
struct Row<S, M, F: PackedFamily> {
    of: CodedRow<S, M, F>,
    /// The lane's state.
    state: F::State,
    /// Where the words begin, and where those that are left end.
    begin: u64,
    end: u64,
}

impl<S: Simt, M: Mapping, F: PackedFamily, D: DecoderModel<F>, L: PackedLookup> Ordinary<S, M, F, D>
    for Tiles<S, L>
{
    const EVERY_GROUP: bool = true;

    #[inline(always)]
    fn run(
        &self,
        lane: &mut Lane<'_, S, M, F, D>,
        symbols: &mut RowSymbols,
        asked: &mut bool,
        mut group: u32,
        groups: u32,
    ) -> u32 {
        let sound = lane.is_sound(*asked);
        let at = (&mut lane.number, &mut lane.state, &mut lane.cursor);
        // SAFETY: the launch's promise.
        let row =
            unsafe { CodedRow::<S, M, F>::new(lane.group, self.rows, &self.shape, sound, at) };
        let Some(of) = row else { return group };
        let simt = self.tables.simt();
        let begin = simt.global(of.words);
        let end = simt.after::<F::Word>(begin, lane.cursor);
        let mut row = Row { of, state: lane.state, begin, end };
        let (staged, global) = (self.tables.staged(), self.tables.in_global());
        let at = (&mut group, groups);
        match (self.tables.are_staged(), lane.decoder.bypass().is_some()) {
            (true, false) => self.tiles::<_, _, _, false>(staged, &mut row, at),
            (true, true) => self.tiles::<_, _, _, true>(staged, &mut row, at),
            (false, false) => self.tiles::<_, _, _, false>(global, &mut row, at),
            (false, true) => self.tiles::<_, _, _, true>(global, &mut row, at),
        }
        *asked &= row.of.coded;
        *symbols = row.of.symbols;
        lane.state = row.state;
        lane.cursor = ((row.end - begin) / F::Word::BYTES as u64) as u32;
        let words = row.of.words.cast_const();
        // SAFETY: the words in use of a row.
        lane.words = unsafe { core::slice::from_raw_parts(words, lane.cursor as usize) };
        group
    }
}

/// The one table as the main loop reads it: where its slots are, and its offset. Where each symbol
/// has its table, what they share.
type Known<L> = (<L as PackedLookup>::Place, i32);

impl<S: Simt, L: PackedLookup> Tiles<S, L> {
    /// Tiles as long as there are any, and where one does not do, groups.
    #[inline(always)]
    fn tiles<T: TableMemory, M: Mapping, F: PackedFamily, const BYPASS: bool>(
        &self,
        memory: T,
        row: &mut Row<S, M, F>,
        at: (&mut u32, u32),
    ) {
        if row.of.symbols.has_one_index() {
            // SAFETY: position 0 is one of the row's.
            let number = unsafe { row.of.symbols.index(0) } as u32;
            if !row.of.group.any_in_step(number >= self.shape.tables) {
                // SAFETY: the number was checked.
                let place = unsafe { L::place(memory, number, &self.shape) };
                let known = (place, self.offset(memory, number));
                self.loops::<T, M, F, BYPASS, true, { TILES[0] }>(memory, row, at, known);
            }
        } else if self.shape.tables > 0 {
            // The offset of all tables, where they have the same.
            let known = (L::Place::default(), self.offset(memory, 0));
            if M::LANES == 32 {
                self.loops::<T, M, F, BYPASS, false, { TILES[0] }>(memory, row, at, known);
            } else {
                self.loops::<T, M, F, BYPASS, false, { TILES[1] }>(memory, row, at, known);
            }
        }
    }

    #[inline(always)]
    fn loops<
        T: TableMemory,
        M: Mapping,
        F: PackedFamily,
        const BYPASS: bool,
        const ONE: bool,
        const TILE: usize,
    >(
        &self,
        memory: T,
        row: &mut Row<S, M, F>,
        (group, groups): (&mut u32, u32),
        known: Known<L>,
    ) {
        let tile = TILE as u32;
        'groups: while *group < groups {
            'escaped: {
                // Fours are aligned where tiles are.
                let odd = if matches!(M::LANES, 1 | 2) { group.wrapping_neg() % tile } else { 0 };
                while odd == 0 && *group + tile <= groups {
                    let done = self.tile::<T, M, F, BYPASS, ONE, TILE>(memory, row, *group, known);
                    *group += done.groups;
                    if done.escaped {
                        break 'escaped;
                    }
                    if done.groups == 0 {
                        break;
                    }
                }
                // The rest, or one of the next few is not ordinary, or there may be too few words.
                let mut left = if odd == 0 { tile } else { odd };
                while left >= 2 && *group + 2 <= groups {
                    let done = self.tile::<T, M, F, BYPASS, ONE, 2>(memory, row, *group, known);
                    *group += done.groups;
                    if done.escaped {
                        break 'escaped;
                    }
                    if done.groups == 0 {
                        break;
                    }
                    left -= 2;
                }
                while left > 0 && *group < groups {
                    let done = self.tile::<T, M, F, BYPASS, ONE, 1>(memory, row, *group, known);
                    if done.escaped {
                        break 'escaped;
                    }
                    if done.groups == 0 {
                        return;
                    }
                    *group += 1;
                    left -= 1;
                }
                continue 'groups;
            }
            if !self.escaped(memory, row, *group) {
                return;
            }
            *group += 1;
        }
    }

    /// Pops a group some of whose symbols have bypass digits, and whose indexes were checked; not
    /// where it is damaged.
    #[inline(always)]
    fn escaped<T: TableMemory, M: Mapping, F: PackedFamily>(
        &self,
        memory: T,
        row: &mut Row<S, M, F>,
        group: u32,
    ) -> bool {
        let (of, precision) = (&row.of, self.shape.precision);
        let Some(bypass) = BypassCode::new(self.shape.bypass_bits) else { return false };
        let position = group * of.group.lanes() + of.group.lane;
        let mut cursor = ((row.end - row.begin) / F::Word::BYTES as u64) as u32;
        // SAFETY: the words in use of a row, and one of its positions.
        let (words, number) = unsafe {
            let words = core::slice::from_raw_parts(of.words.cast_const(), cursor as usize);
            (words, of.symbols.index(position) as u32)
        };
        // SAFETY: the number was checked.
        let found = unsafe {
            let place = L::place(memory, number, &self.shape);
            L::find::<T, F>(memory, place, row.state, precision)
        };
        let table = self.view.tables.tables.get(number as usize).copied().unwrap_or_default();
        let max = table.symbols.wrapping_sub(1);
        let escapes = found.freq == 0;
        let (mut freq, mut rank) = (found.freq, found.rank);
        let mut good = true;
        if escapes {
            let slot = slot::<F>(row.state, precision);
            let found = self.view.lookup.find(number, &table, slot, precision);
            (freq, rank, good) = (found.freq, found.rank, found.symbol == max);
        }
        let mut state = advance::<F>(row.state, precision, freq, rank);
        let wanted = words_wanted::<F>(state);
        let (before, total) = of.group.sums(wanted, F::WORDS_BITS, of.group.before);
        let left = words.get(..cursor.saturating_sub(before) as usize).unwrap_or_default();
        state = renormalise::<F>(state, &mut WordReader::new(left));
        good &= total <= cursor;
        cursor = cursor.saturating_sub(total);
        let mut symbol = table.offset.wrapping_add_unsigned(found.symbol);
        let enough = in_turn(&of.group, words, escapes, &mut cursor, |reader| {
            let popped = bypass.pop::<F>(state, reader).ok().and_then(|(next, raw)| {
                state = next;
                Value::Outside { offset: table.offset, max }.symbol(raw)
            });
            match popped {
                Some(popped) => symbol = popped,
                None => good = false,
            }
        });
        // SAFETY: `position` is one of the row's, and this lane's alone.
        good &= enough && unsafe { of.symbols.store(position, symbol) }.is_ok();
        if of.group.any_in_step(!good) {
            return false;
        }
        row.state = state;
        row.end = self.tables.simt().after::<F::Word>(row.begin, cursor);
        true
    }

    /// The offset of a table whose number was checked.
    #[inline(always)]
    fn offset<T: TableMemory>(&self, memory: T, number: u32) -> i32 {
        // SAFETY: callers have checked the number.
        unsafe { table(memory, number) }.offset()
    }

    /// Pops groups, as many as are ordinary.
    #[inline(always)]
    fn tile<
        T: TableMemory,
        M: Mapping,
        F: PackedFamily,
        const BYPASS: bool,
        const ONE: bool,
        const N: usize,
    >(
        &self,
        memory: T,
        row: &mut Row<S, M, F>,
        group: u32,
        known: Known<L>,
    ) -> Done {
        let (of, simt, precision) = (&row.of, self.tables.simt(), self.shape.precision);
        let words = N as u32 * of.group.lanes() * F::PACKED_WORDS;
        // Of a single group it is known in time how many words it takes.
        let enough = N == 1 || simt.after::<F::Word>(row.begin, words) <= row.end;
        if N == TILES[0] && M::LANES == 32 {
            // What the next tile can want, at the least the row's first words.
            let ahead = 2 * words - of.group.lane * (words / M::LANES);
            simt.prefetch(simt.before::<F::Word>(row.end, ahead).max(row.begin));
        }
        let (mut places, mut offsets) = ([known.0; N], [known.1; N]);
        if !ONE {
            // SAFETY: `groups` whole groups are the row's.
            let numbers = unsafe { of.symbols.indexes::<S, M, N>(&of.group, group, of.fours) };
            let mut good = enough;
            unroll!(N, i, { good &= (numbers[i] as u32) < self.shape.tables });
            if of.group.any_in_step(!good) {
                return Done::default();
            }
            unroll!(N, i, {
                // SAFETY: the numbers were checked.
                places[i] = unsafe { L::place(memory, numbers[i] as u32, &self.shape) };
            });
            if self.shape.same_offset == 0 {
                unroll!(N, i, { offsets[i] = self.offset(memory, numbers[i] as u32) });
            }
        } else if N > 1 && of.group.any_in_step(!enough) {
            return Done::default();
        }
        let mut popped = [0; N];
        {
            unroll!(N, i, {
                // SAFETY: the place is that of a table.
                let found = unsafe { L::find::<T, F>(memory, places[i], row.state, precision) };
                if BYPASS && of.group.any_in_step(found.freq == 0) {
                    // Here, so that no register has to say how many they are.
                    // SAFETY: as below.
                    unsafe { of.symbols.stores(&of.group, group, of.fours, popped, i) };
                    return Done { groups: i as u32, escaped: true };
                }
                let taken = advance::<F>(row.state, precision, found.freq, found.rank);
                let (mut before, mut total) =
                    of.group.ranks(taken < F::LOWER_BOUND, of.group.before);
                if F::PACKED_WORDS == 2 {
                    let second = taken < F::LOWER_BOUND >> F::WORD_BITS;
                    let ranks = of.group.ranks(second, of.group.before);
                    (before, total) = (before + ranks.0, total + ranks.1);
                }
                let end = simt.before::<F::Word>(row.end, total);
                if N == 1 && of.group.any_in_step(end < row.begin) {
                    return Done::default();
                }
                let from =
                    if M::LANES == 1 { row.end } else { simt.before::<F::Word>(row.end, before) };
                // SAFETY: `total` words are left, and of a tile all that its groups can want.
                row.state = unsafe { fill_at::<S, M, F, N>(simt, taken, from) };
                if F::PACKED_WORDS == 2 {
                    let from = from - F::Word::BYTES as u64;
                    // SAFETY: as above.
                    row.state = unsafe { fill_at::<S, M, F, N>(simt, row.state, from) };
                }
                row.end = end;
                popped[i] = offsets[i].wrapping_add_unsigned(found.symbol);
            });
        }
        // SAFETY: as above.
        unsafe { of.symbols.stores(&of.group, group, of.fours, popped, N) };
        Done { groups: N as u32, escaped: false }
    }
}

/// Gives a state that is below the family's bound the word that ends at an address. Lanes of a row
/// load from the same sectors whether they want a word or not, which saves a branch; rows of one or
/// two lanes have sectors of their own.
///
/// # Safety
/// In a tile, `N > 1`, there is a word at the address; of a single group where it is wanted.
#[inline(always)]
unsafe fn fill_at<S: Simt, M: Mapping, F: PackedFamily, const N: usize>(
    simt: S,
    x: F::State,
    end: u64,
) -> F::State {
    if N == 1 || M::LANES == 1 || M::LANES == 2 {
        // SAFETY: the caller's promise.
        unsafe { simt.fill_below::<F>(x, end) }
    } else {
        // SAFETY: as above.
        let filled = unsafe { simt.fill::<F>(x, end) };
        if x < F::LOWER_BOUND { filled } else { x }
    }
}

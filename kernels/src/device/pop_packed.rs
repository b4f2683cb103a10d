//! Pop with packed tables: the main loop.
//!
//! A tile is a few groups of symbols: their indexes are loaded at once, then the groups are popped
//! one after another, and at last their symbols are stored at once. What can be checked for a tile
//! is checked for the tile: that every index names a table, that there are words enough whatever
//! the symbols. Bypass digits show only as a symbol is found, so with bypass every group votes
//! whether one of its symbols has them, and the general code takes that group.

use super::group::Mapping;
use super::memory::{Launch, RowSymbols};
use super::packed::{PackedLookup, SharedTables, TableMemory, table};
use super::pop::{Lane, Ordinary, Search, decoder_view, pop_row};
use super::simt::Simt;
use crate::abi::CodeShape;
use crate::codec::step::{advance, words_wanted};
use crate::codec::{DecoderModel, RansFamily, StateInt, TableRow, WordInt};

/// Groups of a tile where one table codes the row, and where symbols have indexes: more of them
/// hide more latency and take more registers.
const TILES: [usize; 2] = [8, 4];

/// Pops every symbol of the calling thread's lane.
///
/// # Safety
/// The memory is what [`abi`](crate::abi) says for a launch of this shape, and nothing else uses it
/// meanwhile.
#[inline(always)]
pub unsafe fn pop<S: Simt, M: Mapping, F: RansFamily, L: PackedLookup>(
    simt: S,
    launch: Launch,
    shape: &CodeShape,
) {
    // SAFETY: the caller's promise; no thread has left the block yet.
    unsafe {
        let tables = SharedTables::stage(simt, launch.lookup.cast(), shape);
        let tiles = Tiles { tables, shape: *shape, lookup: core::marker::PhantomData::<L> };
        let view = decoder_view::<Search>(launch, shape);
        pop_row::<S, M, F, _, _>(simt, launch.rows, shape, tiles, |symbols, _| TableRow {
            view,
            index: symbols.indexes_of_row(),
        });
    }
}

struct Tiles<S, L> {
    tables: SharedTables<S>,
    shape: CodeShape,
    lookup: core::marker::PhantomData<L>,
}

impl<S: Simt, M: Mapping, F: RansFamily, D: DecoderModel<F>, L: PackedLookup> Ordinary<S, M, F, D>
    for Tiles<S, L>
{
    const EVERY_GROUP: bool = true;

    #[inline(always)]
    fn run(
        &self,
        lane: &mut Lane<'_, S, M, F, D>,
        symbols: &RowSymbols,
        asked: bool,
        group: u32,
        groups: u32,
    ) -> u32 {
        if !lane.all_sound(asked) {
            return group;
        }
        let bypass = lane.decoder.bypass().is_some();
        match (self.tables.are_staged(), bypass) {
            (true, false) => {
                self.tiles::<_, _, _, _, false>(self.tables.staged(), lane, symbols, group, groups)
            }
            (true, true) => {
                self.tiles::<_, _, _, _, true>(self.tables.staged(), lane, symbols, group, groups)
            }
            (false, false) => self.tiles::<_, _, _, _, false>(
                self.tables.in_global(),
                lane,
                symbols,
                group,
                groups,
            ),
            (false, true) => self.tiles::<_, _, _, _, true>(
                self.tables.in_global(),
                lane,
                symbols,
                group,
                groups,
            ),
        }
    }
}

/// A table as the main loop reads it: where its slots are, and its offset.
type Known<L> = (<L as PackedLookup>::Place, i32);

impl<S: Simt, L: PackedLookup> Tiles<S, L> {
    /// Tiles as long as there are any, and where one does not do, groups.
    #[inline(always)]
    fn tiles<T: TableMemory, M: Mapping, F: RansFamily, D, const BYPASS: bool>(
        &self,
        memory: T,
        lane: &mut Lane<'_, S, M, F, D>,
        symbols: &RowSymbols,
        mut group: u32,
        groups: u32,
    ) -> u32 {
        let interval = (&mut group, groups);
        if symbols.has_one_index() {
            // SAFETY: position 0 is one of the row's.
            let number = unsafe { symbols.index(0) } as u32;
            if !lane.group.any_in_step(number >= self.shape.tables) {
                // SAFETY: the number was checked.
                let one = unsafe { L::place(memory, number, &self.shape) };
                let one = Some((one, self.offset(memory, number)));
                self.loops::<T, M, F, D, BYPASS, { TILES[0] }>(
                    memory, lane, symbols, interval, one,
                );
            }
        } else {
            self.loops::<T, M, F, D, BYPASS, { TILES[1] }>(memory, lane, symbols, interval, None);
        }
        group
    }

    #[inline(always)]
    fn loops<
        T: TableMemory,
        M: Mapping,
        F: RansFamily,
        D,
        const BYPASS: bool,
        const TILE: usize,
    >(
        &self,
        memory: T,
        lane: &mut Lane<'_, S, M, F, D>,
        symbols: &RowSymbols,
        (group, groups): (&mut u32, u32),
        one: Option<Known<L>>,
    ) {
        loop {
            let tile = TILE as u32;
            let mut done = tile;
            while done == tile && groups - *group >= tile {
                done = self.tile::<T, M, F, D, BYPASS, TILE>(memory, lane, symbols, *group, one);
                *group += done;
            }
            // The rest, or one of the next few is not ordinary.
            let mut single = tile;
            while single > 0 && *group < groups {
                if self.tile::<T, M, F, D, BYPASS, 1>(memory, lane, symbols, *group, one) == 0 {
                    return;
                }
                *group += 1;
                single -= 1;
            }
            if *group == groups {
                return;
            }
        }
    }

    /// The offset of a table whose number was checked.
    #[inline(always)]
    fn offset<T: TableMemory>(&self, memory: T, number: u32) -> i32 {
        // SAFETY: callers have checked the number.
        unsafe { table(memory, number) }.offset()
    }

    /// Pops groups, as many as are ordinary, and gives how many.
    #[inline(always)]
    fn tile<T: TableMemory, M: Mapping, F: RansFamily, D, const BYPASS: bool, const N: usize>(
        &self,
        memory: T,
        lane: &mut Lane<'_, S, M, F, D>,
        symbols: &RowSymbols,
        group: u32,
        one: Option<Known<L>>,
    ) -> u32 {
        let (lanes, precision) = (lane.group.lanes(), self.shape.precision);
        let position = group * lanes + lane.group.lane;
        // Of a single group it is known in time how many words it takes.
        let enough = N == 1 || lane.cursor >= N as u32 * lanes * F::MAX_WORDS;
        let one_of_all = one.unwrap_or_default();
        let (mut places, mut offsets) = ([one_of_all.0; N], [one_of_all.1; N]);
        if one.is_none() {
            // SAFETY: `groups` whole groups are the row's.
            let numbers = unsafe { symbols.indexes::<N>(position, lanes) };
            let mut good = enough;
            unroll!(N, i, { good &= (numbers[i] as u32) < self.shape.tables });
            if lane.group.any_in_step(!good) {
                return 0;
            }
            unroll!(N, i, {
                // SAFETY: the numbers were checked.
                places[i] = unsafe { L::place(memory, numbers[i] as u32, &self.shape) };
            });
            if self.shape.same_offset != 0 {
                offsets = [self.offset(memory, 0); N];
            } else {
                unroll!(N, i, { offsets[i] = self.offset(memory, numbers[i] as u32) });
            }
        } else if N > 1 && lane.group.any_in_step(!enough) {
            return 0;
        }
        let mut popped = [0; N];
        let mut done = 0;
        'groups: {
            unroll!(N, i, {
                // SAFETY: the place is that of a table.
                let found = unsafe { L::find::<T, F>(memory, places[i], lane.state, precision) };
                if BYPASS && lane.group.any_in_step(found.freq == 0) {
                    break 'groups;
                }
                let taken = advance::<F>(lane.state, precision, found.freq, found.rank);
                let wanted = words_wanted::<F>(taken);
                let (before, total) = lane.group.sums(wanted, F::WORDS_BITS, lane.group.before);
                if N == 1 && lane.group.any_in_step(total > lane.cursor) {
                    return 0;
                }
                let (words, end) = (lane.words.as_ptr(), lane.cursor - before);
                // SAFETY: `total` words are left, and of a tile all that its groups can want.
                lane.state = unsafe { renormalise_at::<F, N>(taken, wanted, words, end) };
                lane.cursor -= total;
                popped[i] = offsets[i].wrapping_add_unsigned(found.symbol);
                done = i + 1;
            });
        }
        // SAFETY: as above.
        unsafe { symbols.stores(position, lanes, popped, done) };
        done as u32
    }
}

/// [`renormalise`](crate::codec::step::renormalise) by a number of words known already, the last of
/// which lies before `end`.
///
/// # Safety
/// The row has `end` words, `wanted` of them this lane's; and in a tile, `N > 1`, at least as many
/// as a symbol can want: each lane then loads those, without a branch, and drops what it does not
/// want.
#[inline(always)]
unsafe fn renormalise_at<F: RansFamily, const N: usize>(
    mut x: F::State,
    wanted: u32,
    words: *const F::Word,
    end: u32,
) -> F::State {
    let mut turn = 0;
    while turn < F::MAX_WORDS {
        // SAFETY: `end` is at most the row's length.
        let word = unsafe { words.add(end as usize).sub(1 + turn as usize) };
        if N > 1 {
            // SAFETY: the caller's promise.
            let filled = (x << F::WORD_BITS) | F::State::from_u32(unsafe { *word }.to_u32());
            x = if turn < wanted { filled } else { x };
        } else if turn < wanted {
            // SAFETY: the caller's promise.
            x = (x << F::WORD_BITS) | F::State::from_u32(unsafe { *word }.to_u32());
        }
        turn += 1;
    }
    x
}

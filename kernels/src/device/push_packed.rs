//! Push with packed tables: the main loop.
//!
//! A tile is a few groups of symbols: their symbols and indexes are loaded at once and their
//! entries found, and then the groups are pushed one after another. All that can go wrong is known
//! before the first of them is: symbols outside their tables, indexes of no table, words without
//! room. The general code takes such groups.

use super::group::Mapping;
use super::memory::{HeldWords, Launch, RowSymbols};
use super::packed::{SharedTables, TableMemory, behind_places, table};
use super::push::{Direct, Lane, Ordinary, encoder_view, push_row};
use super::simt::Simt;
use crate::abi::CodeShape;
use crate::codec::packed::{PackedFamily, PackedTable};
use crate::codec::step::{emit, push_below_bound, push_bound};
use crate::codec::{EncoderModel, TableRow};

/// Groups of a tile where one table codes the row, and where symbols have indexes: more of them
/// hide more latency and take more registers.
const TILES: [usize; 2] = [8, 4];

/// Pushes every symbol of the calling thread's lane.
///
/// # Safety
/// The memory is what [`abi`](crate::abi) says for a launch of this shape, and nothing else uses it
/// meanwhile.
#[inline(always)]
pub unsafe fn push<S: Simt, M: Mapping, F: PackedFamily>(
    simt: S,
    launch: Launch,
    shape: &CodeShape,
) {
    // SAFETY: the caller's promise; no thread has left the block yet.
    unsafe {
        let tables = SharedTables::stage(simt, launch.lookup.cast(), shape);
        let view = encoder_view::<F, Direct>(launch, shape);
        let tiles = Tiles { tables, shape: *shape };
        push_row::<S, M, F, _, _>(simt, launch.rows, shape, tiles, |symbols, _| TableRow {
            view,
            index: symbols.indexes_of_row(),
        });
    }
}

struct Tiles<S> {
    tables: SharedTables<S>,
    shape: CodeShape,
}

impl<S: Simt, M: Mapping, F: PackedFamily, E: EncoderModel<F>> Ordinary<S, M, F, E> for Tiles<S> {
    const EVERY_GROUP: bool = true;

    #[inline(always)]
    fn run(
        &self,
        lane: &mut Lane<S, M, F, E>,
        symbols: &RowSymbols,
        asked: bool,
        group: u32,
    ) -> u32 {
        if !lane.all_sound(asked) {
            return group;
        }
        if self.tables.are_staged() {
            self.tiles(self.tables.staged(), lane, symbols, group)
        } else {
            self.tiles(self.tables.in_global(), lane, symbols, group)
        }
    }
}

impl<S: Simt> Tiles<S> {
    /// Tiles as long as there are any, and where one does not do, groups.
    #[inline(always)]
    fn tiles<T: TableMemory, M: Mapping, F: PackedFamily, E>(
        &self,
        memory: T,
        lane: &mut Lane<S, M, F, E>,
        symbols: &RowSymbols,
        mut group: u32,
    ) -> u32 {
        if symbols.has_one_index() {
            // SAFETY: position 0 is one of the row's.
            let number = unsafe { symbols.index(0) } as u32;
            if lane.group.any_in_step(number >= self.shape.tables) {
                return group;
            }
            // SAFETY: the number was checked.
            let one = unsafe { table(memory, number) };
            self.loops::<T, M, F, E, { TILES[0] }>(memory, lane, symbols, &mut group, Some(one));
        } else {
            self.loops::<T, M, F, E, { TILES[1] }>(memory, lane, symbols, &mut group, None);
        }
        group
    }

    #[inline(always)]
    fn loops<T: TableMemory, M: Mapping, F: PackedFamily, E, const TILE: usize>(
        &self,
        memory: T,
        lane: &mut Lane<S, M, F, E>,
        symbols: &RowSymbols,
        group: &mut u32,
        one: Option<PackedTable>,
    ) {
        loop {
            let tile = TILE as u32;
            while *group >= tile
                && self.tile::<T, M, F, E, TILE>(memory, lane, symbols, *group - tile, one)
            {
                *group -= tile;
            }
            // The rest, or one of the next few is not ordinary.
            let mut single = tile;
            while single > 0 && *group > 0 {
                if !self.tile::<T, M, F, E, 1>(memory, lane, symbols, *group - 1, one) {
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
    fn tile<T: TableMemory, M: Mapping, F: PackedFamily, E, const N: usize>(
        &self,
        memory: T,
        lane: &mut Lane<S, M, F, E>,
        symbols: &RowSymbols,
        group: u32,
        one: Option<PackedTable>,
    ) -> bool {
        let lanes = lane.group.lanes();
        let position = group * lanes + lane.group.lane;
        // SAFETY: whole groups of the row.
        let values = unsafe { symbols.loads::<N>(position, lanes) };
        let mut good = lane.cursor + N as u32 * lanes * F::MAX_WORDS <= lane.capacity;
        let mut tables = [one.unwrap_or_default(); N];
        if one.is_none() {
            // SAFETY: as above.
            let numbers = unsafe { symbols.indexes::<N>(position, lanes) };
            let mut named = true;
            unroll!(N, i, { named &= (numbers[i] as u32) < self.shape.tables });
            if lane.group.any_in_step(!named) {
                return false;
            }
            unroll!(N, i, {
                // SAFETY: the numbers were checked.
                tables[i] = unsafe { table(memory, numbers[i] as u32) };
            });
        }
        let entries = behind_places(memory, &self.shape);
        let mut at = [0; N];
        unroll!(N, i, {
            let number = values[i].wrapping_sub(tables[i].offset()) as u32;
            good &= number < tables[i].symbols();
            let table = entries.wrapping_add(tables[i].base << F::ENTRY_LOG2);
            at[i] = table.wrapping_add((values[i] as u32) << F::ENTRY_LOG2);
        });
        if lane.group.any_in_step(!good) {
            return false;
        }
        let precision = self.shape.precision;
        unroll!(N, i, {
            // SAFETY: an entry of the table.
            let entry = F::unpack(unsafe { memory.words(at[N - 1 - i], F::ENTRY_LOG2) });
            let mut held = HeldWords::default();
            let x = emit::<F>(lane.state, push_bound::<F>(entry.freq, precision), &mut held);
            let (before, total) = lane.group.sums(held.count, F::WORDS_BITS, lane.group.after);
            // SAFETY: the capacity holds all that these groups can emit.
            unsafe {
                let to = lane.words.wrapping_add((lane.cursor + before) as usize);
                held.store::<S, F>(self.tables.simt(), to);
            }
            lane.cursor += total;
            lane.state = push_below_bound::<F>(x, &entry, precision);
        });
        true
    }
}

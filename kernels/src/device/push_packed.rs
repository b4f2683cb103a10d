//! Push with packed tables: the main loop.
//!
//! A tile is a few groups of symbols: their symbols and indexes are loaded at once and their
//! entries found, and then the groups are pushed one after another. All that can go wrong is known
//! before the first of them is: symbols outside their tables, indexes of no table, words without
//! room. A tile with symbols outside is pushed group by group, and with bypass such a group's
//! digits before it. The general code takes what is left.
//!
//! Rows that share a warp go through the loop in step; see [`CodedRow`].

use super::group::Mapping;
use super::lane_words::{DIGIT_WORDS_BITS, LaneWords, WordCount};
use super::memory::{Launch, RowSymbols, RowsMemory};
use super::packed::{CodedRow, SharedTables, TableMemory, table};
use super::packed_alias::PackedPush;
use super::push::{Lane, Ordinary, encoder_view, push_row};
use super::simt::Simt;
use crate::abi::CodeShape;
use crate::codec::packed::{PackedFamily, PackedTable};
use crate::codec::step::{emit_one, push_bound};
use crate::codec::{BypassCode, EncoderModel, RansFamily, TableRow, WordInt};

/// Groups of a tile where one table codes the row, and where symbols have indexes: more of them
/// hide more latency and take more registers.
const TILES: [usize; 2] = [8, 4];

/// Pushes every symbol of the calling thread's lane.
///
/// # Safety
/// The memory is what [`abi`](crate::abi) says for a launch of this shape, and nothing else uses it
/// meanwhile.
#[inline(always)]
pub unsafe fn push<S: Simt, M: Mapping, F: PackedFamily, P: PackedPush>(
    simt: S,
    launch: Launch,
    shape: &CodeShape,
) {
    // SAFETY: the caller's promise; no thread has left the block yet.
    unsafe {
        let tables = SharedTables::stage(simt, launch.lookup.cast(), shape);
        let view = encoder_view::<F, P>(launch, shape);
        let (rows, form) = (launch.rows, core::marker::PhantomData::<P>);
        let tiles = Tiles { tables, rows, shape: *shape, form };
        push_row::<S, M, F, _, _>(simt, launch.rows, shape, tiles, |symbols, _| TableRow {
            view,
            index: symbols.indexes_of_row(),
        });
    }
}

/// What became of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pushed {
    /// They are left to others.
    None,
    /// They were pushed.
    Plain,
    /// They were pushed, with bypass digits.
    WithDigits,
}

struct Tiles<S, P> {
    tables: SharedTables<S>,
    rows: RowsMemory,
    shape: CodeShape,
    form: core::marker::PhantomData<P>,
}

/// The one table of a row: its place, where the entry of symbol 0 is, were there one, and where its
/// slots are.
type Place = (PackedTable, u32, u32);

/// A row in the main loop.
struct Row<S, M, F: PackedFamily> {
    of: CodedRow<S, M, F>,
    /// The lane's state.
    state: F::State,
    /// Where the next word goes, and where the capacity ends.
    to: u64,
    end: u64,
}

impl<S: Simt, M: Mapping, F: PackedFamily, E: EncoderModel<F>, P: PackedPush> Ordinary<S, M, F, E>
    for Tiles<S, P>
{
    const EVERY_GROUP: bool = true;

    #[inline(always)]
    fn run(
        &self,
        lane: &mut Lane<S, M, F, E>,
        symbols: &mut RowSymbols,
        asked: &mut bool,
        mut group: u32,
    ) -> u32 {
        if lane.any_overflowed() {
            return group;
        }
        let sound = lane.is_sound(*asked);
        let at = (&mut lane.number, &mut lane.state, &mut lane.cursor);
        // SAFETY: the launch's promise.
        let row =
            unsafe { CodedRow::<S, M, F>::new(lane.group, self.rows, &self.shape, sound, at) };
        let Some(of) = row else { return group };
        let simt = self.tables.simt();
        let first = simt.global(of.words);
        let (to, end) = (
            simt.after::<F::Word>(first, lane.cursor),
            simt.after::<F::Word>(first, self.shape.word_stride),
        );
        let mut row = Row { of, state: lane.state, to, end };
        if self.tables.are_staged() {
            self.tiles(self.tables.staged(), &mut row, &mut group);
        } else {
            self.tiles(self.tables.in_global(), &mut row, &mut group);
        }
        *asked &= row.of.coded;
        *symbols = row.of.symbols;
        lane.words = row.of.words;
        lane.state = row.state;
        lane.cursor = ((row.to - first) / F::Word::BYTES as u64) as u32;
        group
    }
}

impl<S: Simt, P: PackedPush> Tiles<S, P> {
    /// Tiles as long as there are any, and where one does not do, groups.
    #[inline(always)]
    fn tiles<T: TableMemory, M: Mapping, F: PackedFamily>(
        &self,
        memory: T,
        row: &mut Row<S, M, F>,
        group: &mut u32,
    ) {
        if row.of.symbols.has_one_index() {
            // SAFETY: position 0 is one of the row's.
            let number = unsafe { row.of.symbols.index(0) } as u32;
            if row.of.group.any_in_step(number >= self.shape.tables) {
                return;
            }
            // SAFETY: the number was checked.
            let table = unsafe { table(memory, number) };
            let entries = P::entries(memory, &self.shape);
            let entries = memory.scaled(entries, table.base, F::ENTRY_LOG2);
            let one = Some((table, entries, P::slots(memory, number, &self.shape)));
            // Bytes are not checked where the table has a symbol for each.
            let bytes = row.of.symbols.are_bytes() && table.holds_bytes();
            if M::LANES == 32 && !row.of.group.any_in_step(!bytes) {
                self.loops::<T, M, F, true, { TILES[0] }>(memory, row, group, one);
            } else {
                self.loops::<T, M, F, false, { TILES[0] }>(memory, row, group, one);
            }
        } else {
            self.loops::<T, M, F, false, { TILES[1] }>(memory, row, group, None);
        }
    }

    #[inline(always)]
    fn loops<T: TableMemory, M: Mapping, F: PackedFamily, const BYTES: bool, const TILE: usize>(
        &self,
        memory: T,
        row: &mut Row<S, M, F>,
        group: &mut u32,
        one: Option<Place>,
    ) {
        loop {
            let tile = TILE as u32;
            // Fours are aligned where tiles are.
            let odd = if M::LANES == 1 || M::LANES == 2 { *group % tile } else { 0 };
            while odd == 0
                && *group >= tile
                && self.tile::<T, M, F, BYTES, TILE>(memory, row, *group - tile, one)
                    == Pushed::Plain
            {
                *group -= tile;
            }
            // The rest, or one of the next few is not ordinary.
            let mut single = if odd == 0 { tile } else { odd };
            while single > 0 && *group > 0 {
                match self.tile::<T, M, F, BYTES, 1>(memory, row, *group - 1, one) {
                    Pushed::None => return,
                    // What made a tile fail is behind, most often.
                    Pushed::WithDigits if !matches!(M::LANES, 1 | 2) => single = 1,
                    _ => {}
                }
                *group -= 1;
                single -= 1;
            }
            if *group == 0 {
                return;
            }
        }
    }

    /// Pushes `N` groups if all are ordinary, or a single one with its bypass digits.
    #[inline(always)]
    fn tile<T: TableMemory, M: Mapping, F: PackedFamily, const BYTES: bool, const N: usize>(
        &self,
        memory: T,
        row: &mut Row<S, M, F>,
        group: u32,
        one: Option<Place>,
    ) -> Pushed {
        let (of, simt) = (&row.of, self.tables.simt());
        // SAFETY: whole groups of the row, of bytes where that is said.
        let values = unsafe {
            if BYTES {
                of.symbols.loads_bytes::<S, M, N>(&of.group, group, of.fours)
            } else {
                of.symbols.loads::<S, M, N>(&of.group, group, of.fours)
            }
        };
        let words = N as u32 * of.group.lanes() * F::PACKED_WORDS;
        let enough = simt.after::<F::Word>(row.to, words) <= row.end;
        let mut good = enough;
        let (mut at, mut slots) = ([0; N], [0; N]);
        // Of a single group: the symbol's number in its table, how many have no digits, and where
        // the entry of the first is.
        let mut outside = (0, 0, 0);
        if let Some((table, entries, of_table)) = one {
            let mut largest = 0;
            unroll!(N, i, {
                largest = largest.max(values[i].wrapping_sub(table.offset()) as u32);
                at[i] = memory.scaled(entries, values[i] as u32, F::ENTRY_LOG2);
                slots[i] = of_table;
            });
            good &= BYTES || largest < table.symbols();
            let first = memory.scaled(entries, table.offset() as u32, F::ENTRY_LOG2);
            outside = (largest, table.symbols(), first);
        } else {
            // SAFETY: as above.
            let numbers = unsafe { of.symbols.indexes::<S, M, N>(&of.group, group, of.fours) };
            let mut named = true;
            unroll!(N, i, { named &= (numbers[i] as u32) < self.shape.tables });
            if of.group.any_in_step(!named) {
                return Pushed::None;
            }
            let entries = P::entries(memory, &self.shape);
            unroll!(N, i, {
                // SAFETY: the numbers were checked.
                let table = unsafe { table(memory, numbers[i] as u32) };
                slots[i] = P::slots(memory, numbers[i] as u32, &self.shape);
                let number = values[i].wrapping_sub(table.offset()) as u32;
                good &= number < table.symbols();
                let entry = table.base.wrapping_add(values[i] as u32);
                at[i] = memory.scaled(entries, entry, F::ENTRY_LOG2);
                let first = table.base.wrapping_add(table.offset() as u32);
                outside = (number, table.symbols(), memory.scaled(entries, first, F::ENTRY_LOG2));
            });
        }
        let mut pushed = Pushed::Plain;
        if of.group.any_in_step(!good) {
            let bypass = BypassCode::new(self.shape.bypass_bits);
            let Some(bypass) = bypass.filter(|_| N == 1 && !BYTES) else { return Pushed::None };
            let (number, symbols, first) = outside;
            let Some(digits) = Self::digits(row, bypass, number, symbols) else {
                return Pushed::None;
            };
            (row.state, row.to) = digits;
            // The sentinel's entry is behind those of the other symbols.
            at[0] = memory.scaled(first, number.min(symbols), F::ENTRY_LOG2);
            pushed = Pushed::WithDigits;
        }
        let (of, precision) = (&row.of, self.shape.precision);
        unroll!(N, i, {
            // SAFETY: an entry of the table.
            let entry = P::entry::<F>(unsafe { memory.words(at[N - 1 - i], F::ENTRY_LOG2) });
            let (first, bound) = (row.state, push_bound::<F>(P::freq::<F>(&entry), precision));
            let (emits, mut x) = emit_one::<F>(first, bound);
            let (mut before, mut total) = of.group.ranks(emits, of.group.after);
            let second = x;
            if F::PACKED_WORDS == 2 {
                let (emits, rest) = emit_one::<F>(second, bound);
                let ranks = of.group.ranks(emits, of.group.after);
                (before, total, x) = (before + ranks.0, total + ranks.1, rest);
            }
            let to = if M::LANES == 1 { row.to } else { simt.after::<F::Word>(row.to, before) };
            // SAFETY: the capacity holds all that these groups can emit.
            unsafe {
                simt.store_from::<F>(first, bound, to);
                if F::PACKED_WORDS == 2 {
                    simt.store_from::<F>(second, bound, to + F::Word::BYTES as u64);
                }
            }
            row.to = simt.after::<F::Word>(row.to, total);
            // SAFETY: the slots of the entry's table.
            row.state = unsafe { P::push::<T, F>(memory, x, &entry, slots[N - 1 - i], precision) };
        });
        pushed
    }

    /// Pushes the bypass digits of a group, highest lane first, where each lane's symbol is
    /// `number` in a table of which `symbols` have no digits. Gives the state and where the next
    /// word goes; `None` where the digits or the symbols behind them find no room, or a symbol is
    /// too far outside its table.
    #[inline(always)]
    fn digits<M: Mapping, F: PackedFamily>(
        row: &Row<S, M, F>,
        bypass: BypassCode,
        number: u32,
        symbols: u32,
    ) -> Option<(F::State, u64)> {
        let (of, simt) = (&row.of, row.of.group.simt());
        let raw = if number < symbols {
            Ok(None)
        } else {
            BypassCode::raw(i64::from(number as i32), symbols).map(Some)
        };
        let mut count = 0;
        if let Ok(Some(raw)) = raw {
            count = digit_words::<F>(bypass, row.state, raw);
        }
        // A ballot per bit of the counts, few of which are large.
        let few = !of.group.any_in_step(count > 3);
        let bits = if few { 2 } else { DIGIT_WORDS_BITS };
        let (before, total) = of.group.sums(count, bits, of.group.after);
        let to = simt.after::<F::Word>(row.to, total);
        let behind = simt.after::<F::Word>(to, of.group.lanes() * F::PACKED_WORDS);
        if of.group.any_in_step(raw.is_err() || behind > row.end) {
            return None;
        }
        let mut state = row.state;
        if let Ok(Some(raw)) = raw {
            let first = ((row.to - simt.global(of.words)) / F::Word::BYTES as u64) as u32 + before;
            // SAFETY: the row's words, of which each lane writes those that it counted, and all
            // are below the capacity.
            state = unsafe { store_digits::<F>(bypass, state, raw, of.words, first) };
        }
        Some((state, to))
    }
}

/// How many words a state emits for the bypass digits of `raw`. A function of its own, as the next
/// one: what is seldom done should take no registers of the loops.
#[inline(never)]
fn digit_words<F: RansFamily>(bypass: BypassCode, state: F::State, raw: u32) -> u32 {
    let mut count = WordCount::default();
    bypass.push::<F>(state, raw, &mut count);
    count.0
}

/// Pushes the bypass digits of `raw`, whose words go to the row's from position `first` on.
///
/// # Safety
/// The row has the words that [`digit_words`] counts there, and no other thread uses them.
#[inline(never)]
unsafe fn store_digits<F: RansFamily>(
    bypass: BypassCode,
    state: F::State,
    raw: u32,
    words: *mut F::Word,
    first: u32,
) -> F::State {
    // SAFETY: the caller's promise.
    let mut sink = unsafe { LaneWords::new(words, first, u32::MAX) };
    bypass.push::<F>(state, raw, &mut sink)
}

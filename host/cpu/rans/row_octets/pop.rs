//! Popping rows side by side: 32 states, four octets, a tile of columns at a time.
//!
//! Indexes are regrouped so that one vector holds one step of an octet, the states take their
//! steps, and the symbols are regrouped back. Words of one lane come from a gather every second
//! step, those of several lanes from one load per row or a gather per step.

use std::ops::Range;

use parans_kernels::codec::step::is_normalised;
use parans_kernels::codec::table_row::TablesView;
use parans_kernels::codec::{
    BypassCode, DecoderView, RowIndexes, SearchLookup, WordInt, WordReader,
};

use super::super::entries::bytes_of;
use super::super::tables::PackedTables;
use super::family::OctetFamily;
use super::lookup::PartLookup;
use super::store::{Scratch, Store, columns_to_pop};
use super::{OCTETS, STATES};
use crate::cpu::block::DecodeBlock;
use crate::cpu::codec::{decode_columns, tables_view};
use crate::plan::Plan;
use crate::simd::{Octets, RunOn, Work, unroll};
use crate::symbols::SymbolSliceMut;
use crate::tables::Packed;

/// From so many symbols of all rows on they are stored non-temporally: 32 MiB of them. Few in unit
/// tests, so that those take both ways.
const LARGE: usize = if cfg!(test) { 1 << 10 } else { 1 << 23 };

/// Bytes of the smallest page.
const PAGE: usize = 4096;

/// How many tiles before their use indexes are prefetched.
const TILES_AHEAD: usize = 1;

/// The states of a block and where their rows' words stand, all by octet. An end lies below its
/// floor where a row has taken more words than it has.
struct Lanes<F: OctetFamily> {
    states: [[F::State; 8]; OCTETS],
    ends: [[i32; 8]; OCTETS],
    floors: [[i32; 8]; OCTETS],
}

/// Pops a block's rows up to the last full group of lanes; `None` where the scalar path has to,
/// from the start.
pub(super) fn rows<S: Octets, F: OctetFamily, const L: usize>(
    s: S,
    tables: &PackedTables<'_>,
    scratch: &mut Scratch,
    block: &mut DecodeBlock<'_, F>,
) -> Option<()> {
    let (rows, base) = (block.lens.len(), block.starts[0]);
    let words = &block.words[base..block.starts[rows]];
    let bytes = size_of_val(words);
    if bytes < 4
        || bytes >= i32::MAX as usize / 2
        || !block.states.iter().all(|&x| is_normalised::<F>(x))
    {
        return None;
    }
    let (columns, indexes, first_row) = (block.columns, block.source, block.first);
    let mut of_rows = [RowIndexes::One(0); STATES];
    for (row, of_row) in of_rows.iter_mut().enumerate().take(rows) {
        *of_row = indexes.row(first_row + row);
    }
    // Elements without a row pop whatever they find.
    let (states, ends) = ([[F::LOWER_BOUND; 8]; OCTETS], [[0; 8]; OCTETS]);
    let mut lanes = Lanes::<F> { states, ends, floors: ends };
    lanes.states.as_flattened_mut()[..rows * L].copy_from_slice(block.states);
    for row in 0..rows {
        let floor = block.starts[row] - base;
        let own = row * L..(row + 1) * L;
        lanes.floors.as_flattened_mut()[own.clone()].fill(floor as i32);
        lanes.ends.as_flattened_mut()[own].fill((floor + block.lens[row]) as i32);
    }
    // Symbols of which no cache would hold much are stored non-temporally: no other lines are
    // evicted for them, and none is read to be overwritten.
    let non_temporal = indexes.rows().saturating_mul(columns) >= LARGE
        && matches!(block.symbols, SymbolSliceMut::I32(_));
    let mut ahead: [&[u8]; STATES] = [&[]; STATES];
    let plain = tables.form.parts()?.plain;
    let (whole, tile) = (columns / L * L, columns_to_pop(L));
    for begin in (0..whole).step_by(tile) {
        let end = (begin + tile).min(whole);
        let later = (begin + TILES_AHEAD * tile).min(whole)..(end + TILES_AHEAD * tile).min(whole);
        for (ahead, &of_row) in ahead.iter_mut().zip(&of_rows[..rows]) {
            *ahead = bytes_of(of_row, later.clone());
        }
        if non_temporal && let SymbolSliceMut::I32(symbols) = &mut block.symbols {
            for row in 0..rows {
                prefetch_page(s, symbols, row * columns + end, tile);
            }
        }
        let find =
            FindTables::<L> { tables, scratch, of_rows: &of_rows[..rows], range: begin..end };
        let used = s.vectorize(find)?;
        let (lanes, ahead, steps) = (&mut lanes, &ahead, (end - begin) / L);
        macro_rules! take {
            ($each:literal, $plain:literal, $bypass:literal) => {
                s.vectorize(Take::<F, L, $each, $plain, $bypass> {
                    tables,
                    scratch,
                    lanes,
                    words,
                    rows,
                    steps,
                    ahead,
                })?
            };
        }
        match (used, plain) {
            _ if tables.bypass.is_some() => take!(true, false, true),
            (UsedTables::First, true) => take!(false, true, false),
            (UsedTables::First, false) => take!(false, false, false),
            (UsedTables::Each, _) => take!(true, false, false),
        }
        let (symbols, range, last) = (&mut block.symbols, begin..end, end == whole);
        s.vectorize(Store::<L> { scratch, rows, symbols, columns, range, non_temporal, last })?;
    }
    block.states.copy_from_slice(&lanes.states.as_flattened()[..rows * L]);
    for (row, len) in block.lens.iter_mut().enumerate() {
        let (ends, floors) = (lanes.ends.as_flattened(), lanes.floors.as_flattened());
        *len = (ends[row * L] - floors[row * L]) as usize;
    }
    Some(())
}

/// Prefetches the page of the last of these values, where those before have not touched it:
/// non-temporal stores would wait for its address one after another, as they keep their order.
#[inline(always)]
fn prefetch_page<S: Octets>(s: S, values: &mut [i32], from: usize, count: usize) {
    let page = |at: usize| (values.as_ptr() as usize + size_of::<i32>() * at) / PAGE;
    let last = from + count - 1;
    if page(last) != page(last - count) {
        s.prefetch_to_write(values, last);
    }
}

/// Pops the symbols past the last full group, one row after another.
pub(super) fn tails<F: OctetFamily, const L: usize>(
    plan: &Plan,
    block: &mut DecodeBlock<'_, F>,
) -> Option<()> {
    let columns = block.columns;
    let tail = columns % L;
    if tail == 0 {
        return Some(());
    }
    let lookup = SearchLookup { intervals: plan.tables.prepared().intervals() };
    let view = DecoderView { tables: tables_view(plan), lookup };
    let (states, _) = block.states.as_chunks_mut::<L>();
    for (row, states) in states.iter_mut().enumerate() {
        let indexes = block.source.row(block.first + row);
        let words = &block.words[block.starts[row]..][..block.lens[row]];
        let symbols = &mut block.symbols.range(row * columns..(row + 1) * columns);
        let tail = columns - tail..columns;
        block.lens[row] = decode_columns::<F, _, L>(&view, states, words, symbols, indexes, tail)?;
    }
    Some(())
}

/// Which tables a tile uses.
#[derive(Clone, Copy)]
enum UsedTables {
    /// The first for all.
    First,
    /// Those that were written down; their number stands for a skipped symbol.
    Each,
}

/// Writes down which table each step of each octet uses.
struct FindTables<'a, 't, const L: usize> {
    tables: &'a PackedTables<'t>,
    scratch: &'a mut Scratch,
    of_rows: &'a [RowIndexes<'a>],
    range: Range<usize>,
}

impl<const L: usize> Work for FindTables<'_, '_, L> {
    /// `None` where an index is wrong.
    type Output = Option<UsedTables>;
}

impl<S: Octets, const L: usize> RunOn<S> for FindTables<'_, '_, L> {
    #[inline(always)]
    fn run(self, s: S) -> Option<UsedTables> {
        let Self { tables, scratch, of_rows, range } = self;
        let (across, count) = (8 / L, tables.count);
        if count == 1
            && tables.bypass.is_none()
            && of_rows.iter().all(|&row| all_first(s, row, range.clone()))
        {
            return Some(UsedTables::First);
        }
        let steps = columns_to_pop(L) / L;
        let Scratch { steps: tables_of_steps, mapped, .. } = scratch;
        for (u, of_rows) in of_rows.chunks(across).enumerate() {
            let mut parts: [&[u32]; 8] = [&[]; 8];
            for ((part, &of_row), mapped) in parts.iter_mut().zip(of_rows).zip(&mut *mapped) {
                let indexes = match of_row {
                    RowIndexes::Each(indexes) => bytemuck::cast_slice(&indexes[range.clone()]),
                    _ => &[],
                };
                let whole = indexes.len() == range.len() && indexes.len() % 8 == 0;
                *part = if whole && all_below(s, indexes, count) {
                    indexes
                } else {
                    mapped.fill(count);
                    for (to, column) in mapped.iter_mut().zip(range.clone()) {
                        *to = tables.table_of(of_row.at(column))?;
                    }
                    &mapped[..]
                };
            }
            for at in (0..range.len()).step_by(8) {
                let mut v = [s.splat(count); 8];
                for (v, part) in v.iter_mut().zip(&parts).take(across) {
                    if let Some(part) = part.get(at..).and_then(<[u32]>::first_chunk) {
                        *v = s.load(part);
                    }
                }
                let v = s.transpose::<L>(v);
                let from = u * steps + at / L;
                let to = &mut tables_of_steps[from..from + across];
                unroll!(r in 0 1 2 3 4 5 6 7 below across => { s.store(v[r], &mut to[r]); });
            }
        }
        // Octets without a row skip every symbol. Where their tables stood are now their symbols of
        // the tile before.
        let used = of_rows.len().div_ceil(across);
        tables_of_steps[used * steps..OCTETS * steps].fill([count; 8]);
        Some(UsedTables::Each)
    }
}

/// Whether a row's indexes of some columns are there and all 0.
#[inline(always)]
fn all_first<S: Octets>(s: S, row: RowIndexes<'_>, range: Range<usize>) -> bool {
    match row {
        RowIndexes::One(index) => index == 0,
        RowIndexes::Each(indexes) => {
            let indexes: &[u32] = bytemuck::cast_slice(&indexes[range]);
            let whole = indexes.len() / 8 * 8;
            all_below(s, &indexes[..whole], 1) && indexes[whole..].iter().all(|&index| index == 0)
        }
        RowIndexes::EachU16(indexes) => indexes[range].iter().all(|&index| index == 0),
        RowIndexes::EachU8(indexes) => indexes[range].iter().all(|&index| index == 0),
    }
}

/// Whether a row has whole vectors of indexes, all of them below a limit.
#[inline(always)]
fn all_below<S: Octets>(s: S, indexes: &[u32], limit: u32) -> bool {
    let mut largest = s.splat(0);
    for chunk in indexes.as_chunks().0 {
        largest = s.max(largest, s.load(chunk));
    }
    let limit = s.splat(limit);
    !s.any(s.eq(s.max(largest, limit), largest))
}

/// Takes steps, the first first; symbols go where the tables are. `EACH`: [`UsedTables::Each`].
/// `PLAIN`: buckets store all slots, and no runs. `BYPASS`: bypass is on.
struct Take<
    'a,
    't,
    F: OctetFamily,
    const L: usize,
    const EACH: bool,
    const PLAIN: bool,
    const BYPASS: bool,
> {
    tables: &'a PackedTables<'t>,
    scratch: &'a mut Scratch,
    lanes: &'a mut Lanes<F>,
    words: &'a [F::Word],
    rows: usize,
    steps: usize,
    /// Indexes of a later tile of each row.
    ahead: &'a [&'a [u8]; STATES],
}

impl<F: OctetFamily, const L: usize, const EACH: bool, const PLAIN: bool, const BYPASS: bool> Work
    for Take<'_, '_, F, L, EACH, PLAIN, BYPASS>
{
    /// `None` where the scalar path has to.
    type Output = Option<()>;
}

/// Where an octet's next words are.
#[derive(Clone, Copy)]
struct Cursor<V> {
    /// Bytes before the end of each element's row; of rows whose words are dealt out by a load only
    /// from time to time.
    end: V,
    /// The ends of rows whose words are dealt out by a load, in words.
    ends: [usize; 2],
    /// Of one lane, the next words from the top down.
    next: V,
}

impl<V: Copy> Cursor<V> {
    /// Whether words are dealt out by a load: eight words of 16 bits for a row of eight lanes, four
    /// of 32 bits for each of two rows of four.
    const fn loads(lanes: usize, word: usize) -> bool {
        lanes == 8 && word == 2 || lanes == 4 && word == 4
    }

    #[inline(always)]
    fn new<S: Octets<V = V>, W>(s: S, ends: &[i32; 8]) -> Self {
        let in_words = s.load(bytemuck::cast_ref(ends));
        let end = match size_of::<W>() {
            4 => s.shl::<2>(in_words),
            2 => s.shl::<1>(in_words),
            _ => in_words,
        };
        // Sign extended: an end may lie below the first word.
        Self { end, ends: [ends[0] as usize, ends[4] as usize], next: end }
    }

    /// Inverse of [`new`](Self::new).
    #[inline(always)]
    fn store<S: Octets<V = V>, W, const L: usize>(self, s: S, ends: &mut [i32; 8]) {
        if const { Self::loads(L, size_of::<W>()) } {
            ends[..4].fill(self.ends[0] as i32);
            ends[4..].fill(self.ends[if L == 8 { 0 } else { 1 }] as i32);
            return;
        }
        s.store(self.end, bytemuck::cast_mut(ends));
        let bits = size_of::<W>().trailing_zeros();
        ends.iter_mut().for_each(|end| *end >>= bits);
    }

    /// The words that states take who want so many bits, at the top of each element. `fetch`: of
    /// one lane, whether the buffered words may be used up.
    #[inline(always)]
    fn take<S: Octets<V = V>, W: WordInt, const L: usize>(
        &mut self,
        s: S,
        words: &[W],
        bits: V,
        fetch: bool,
    ) -> V {
        let size = size_of::<W>();
        if L == 1 {
            if fetch {
                self.next = s.gather_before(bytemuck::cast_slice(words), self.end);
            }
            let word = self.next;
            self.next = s.shl_by(word, bits);
            self.end = s.sub(self.end, s.shr::<3>(bits));
            return word;
        }
        if size == 1 {
            let (eight, sixteen) = (s.shl::<28>(bits), s.shl::<27>(bits));
            let (second, either) = (s.signs(sixteen), s.signs(s.or(eight, sixteen)));
            let before = s.add(s.before::<L>(either), s.before::<L>(second));
            let word = s.gather_before(bytemuck::cast_slice(words), s.sub(self.end, before));
            let taken = s.add(s.total::<L>(either), s.total::<L>(second));
            self.end = s.sub(self.end, taken);
            return word;
        }
        let mask = if size == 2 { s.signs(s.shl::<27>(bits)) } else { s.signs(s.shl::<26>(bits)) };
        if !const { Self::loads(L, size_of::<W>()) } {
            let (before, total) = (s.before::<L>(mask), s.total::<L>(mask));
            let (before, total) = if size == 2 {
                (s.shl::<1>(before), s.shl::<1>(total))
            } else {
                (s.shl::<2>(before), s.shl::<2>(total))
            };
            let word = s.gather_before(bytemuck::cast_slice(words), s.sub(self.end, before));
            self.end = s.sub(self.end, total);
            return word;
        }
        let [first, second] = self.ends;
        if L == 8 {
            self.ends[0] = first.wrapping_sub(mask.count_ones() as usize);
            return s.shl::<16>(s.expand_words(bytemuck::cast_slice(words), first, mask));
        }
        self.ends = [
            first.wrapping_sub((mask & 15).count_ones() as usize),
            second.wrapping_sub((mask >> 4).count_ones() as usize),
        ];
        s.expand_fours(bytemuck::cast_slice(words), [first, second], mask)
    }
}

impl<F: OctetFamily> Lanes<F> {
    /// Whether every row had the words that it took.
    fn enough(&self, rows: usize, lanes: usize) -> bool {
        let (ends, floors) = (self.ends.as_flattened(), self.floors.as_flattened());
        (0..rows * lanes).step_by(lanes).all(|at| ends[at] >= floors[at])
    }
}

impl<
    S: Octets,
    F: OctetFamily,
    const L: usize,
    const EACH: bool,
    const PLAIN: bool,
    const BYPASS: bool,
> RunOn<S> for Take<'_, '_, F, L, EACH, PLAIN, BYPASS>
{
    #[inline(always)]
    fn run(self, s: S) -> Option<()> {
        let Self { tables, scratch, lanes, words, rows, steps, ahead } = self;
        let lookup = PartLookup::new(s, tables)?;
        let of_octet = columns_to_pop(L) / L;
        let (bypass, count) = (tables.bypass, s.splat(tables.count));
        let precision = tables.precision;
        let mut x: [F::States<S>; OCTETS] = std::array::from_fn(|u| F::load(s, &lanes.states[u]));
        let mut cursors: [Cursor<S::V>; OCTETS] =
            std::array::from_fn(|u| Cursor::new::<S, F::Word>(s, &lanes.ends[u]));
        // Words are read downwards on many cursors at once, which no prefetcher follows: prefetch
        // what the tile is likely to take.
        for (ends, floors) in lanes.ends.iter().zip(&lanes.floors) {
            for e in (0..8).step_by(L) {
                let line = 64 / size_of::<F::Word>();
                let used = ends[e].saturating_sub(floors[e]).max(0) as usize;
                for back in (line..used.min(3 * line)).step_by(line) {
                    s.prefetch_near(words, ends[e] as usize - back);
                }
            }
        }
        macro_rules! take_step {
            ($step:expr, $fetch:literal) => {{
                let step = $step;
                // As many lines of indexes as octets, of as many rows. All rows have as many bytes.
                let (row, line) = (OCTETS * step % (STATES / L), OCTETS * step / (STATES / L));
                if 64 * line < ahead[0].len() {
                    unroll!(u in 0 1 2 3 => { s.prefetch_near(ahead[row + u], 64 * line); });
                }
                unroll!(u in 0 1 2 3 => {
                    let at = u * of_octet + step;
                    let table = if EACH { Some(s.load(&scratch.steps[at])) } else { None };
                    let found = lookup.find::<S, PLAIN>(s, table, F::low(s, x[u]));
                    s.store(found.symbol, &mut scratch.steps[at]);
                    let state = F::advance(s, x[u], found.freq, found.rank, precision);
                    let bits = F::wanted(s, state);
                    let word = cursors[u].take::<S, F::Word, L>(s, words, bits, $fetch);
                    x[u] = F::shift_in(s, state, bits, word);
                    if BYPASS && let (Some(table), Some(bypass)) = (table, bypass) {
                        let last = s.eq(found.symbol, lookup.last(s, table));
                        let last = s.and(last, s.gt(count, table));
                        let outside = s.signs(last) & used(rows * L, u);
                        if outside != 0 {
                            F::store(s, x[u], &mut lanes.states[u]);
                            cursors[u].store::<S, F::Word, L>(s, &mut lanes.ends[u]);
                            let mut of_step = [0; 8];
                            s.store(table, &mut of_step);
                            let (packed, out) = (tables.packed, &mut scratch.steps[at]);
                            digits::<F, L>(
                                bypass, packed, lanes, words, u, outside, &of_step, out,
                            )?;
                            x[u] = F::load(s, &lanes.states[u]);
                            cursors[u] = Cursor::new::<S, F::Word>(s, &lanes.ends[u]);
                            if L == 1 {
                                let bytes = bytemuck::cast_slice(words);
                                cursors[u].next = s.gather_before(bytes, cursors[u].end);
                            }
                        }
                    }
                });
            }};
        }
        let mut step = 0;
        while step < steps {
            take_step!(step, true);
            step += 1;
            if L == 1 {
                // The words that were fetched last for two steps.
                if step == steps {
                    break;
                }
                take_step!(step, false);
                step += 1;
            }
        }
        unroll!(u in 0 1 2 3 => {
            F::store(s, x[u], &mut lanes.states[u]);
            cursors[u].store::<S, F::Word, L>(s, &mut lanes.ends[u]);
        });
        lanes.enough(rows, L).then_some(())
    }
}

/// The elements of octet `u` of so many states that there are.
fn used(states: usize, u: usize) -> u8 {
    let used = states.saturating_sub(8 * u).min(8);
    ((1u32 << used) - 1) as u8
}

/// Pops the bypass digits of the elements of an octet that are in `outside`: they are rare, and
/// each takes its own through the codec.
#[cold]
#[inline(never)]
#[allow(
    clippy::too_many_arguments,
    reason = "each is a thing of its own; a struct for one call would only move them"
)]
fn digits<F: OctetFamily, const L: usize>(
    bypass: BypassCode,
    packed: &Packed,
    lanes: &mut Lanes<F>,
    words: &[F::Word],
    u: usize,
    mut outside: u8,
    tables: &[u32; 8],
    symbols: &mut [u32; 8],
) -> Option<()> {
    while outside != 0 {
        let e = outside.trailing_zeros() as usize;
        outside &= outside - 1;
        let group = e / L * L;
        let (floor, end) = (lanes.floors[u][group] as usize, lanes.ends[u][group]);
        let mut reader = WordReader::new(words.get(floor..usize::try_from(end).ok()?)?);
        let (next, raw) = bypass.pop::<F>(lanes.states[u][e], &mut reader).ok()?;
        if reader.underflowed() {
            return None;
        }
        lanes.states[u][e] = next;
        lanes.ends[u][group..group + L].fill((floor + reader.len()) as i32);
        let table = &packed.table(tables[e] as usize);
        let value = BypassCode::value(raw, table.symbols - 1);
        symbols[e] = TablesView::symbol(table, value).ok()? as u32;
    }
    Some(())
}

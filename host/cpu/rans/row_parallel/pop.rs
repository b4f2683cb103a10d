//! Popping rows side by side: up to 64 states, four vectors of sixteen, a tile of columns at a
//! time.
//!
//! Indexes are regrouped so that one vector holds one step of all its states, the states take their
//! steps, and the symbols are regrouped back. A step gathers once, its slot's bucket, which holds
//! all that a regular symbol needs. Words come without a gather where a row has several lanes, and
//! of one lane for four steps at once.

use std::ops::Range;

use parans_kernels::codec::step::is_normalised;
use parans_kernels::codec::table_row::TablesView;
use parans_kernels::codec::{self, BypassCode, DecoderView, WordReader};

use super::super::cursors::{Cursors, SLACK};
use super::super::entries::bytes_of;
use super::super::family::VectorFamily;
use super::super::lookup::{By, FoundSymbols, SlotLookup};
use super::super::tables::PackedTables;
use super::indexes::{FindTables, UsedTables};
use super::store::{Scratch, Store, StoreNonTemporal};
use super::tile::{MOST_ROWS, STEPS_EACH, VECTORS, tile_columns};
use crate::cpu::block::DecodeBlock;
use crate::cpu::codec::{decode_columns, tables_view};
use crate::plan::Plan;
use crate::simd::{RunOn, Simd512, Work, unroll};
use crate::symbols::{Indexes, SymbolSliceMut};
use crate::tables::{Packed, TwoSymbolLookup};

/// From so many symbols of all rows on they are stored non-temporally: 32 MiB of them. Few in unit
/// tests, so that those take both ways.
const LARGE: usize = if cfg!(test) { 1 << 10 } else { 1 << 23 };

/// Bytes of the smallest page.
const PAGE: usize = 4096;

/// Pops a block's rows up to the last full group of lanes; `None` where the scalar path has to,
/// from the start.
pub(super) fn rows<S: Simd512, F: VectorFamily, const L: usize>(
    s: S,
    tables: &PackedTables<'_>,
    scratch: &mut Scratch,
    block: &mut DecodeBlock<'_, F>,
) -> Option<()> {
    let across = 16 / L;
    let rows = block.lens.len();
    let base = block.starts[0];
    let slack = base.min(SLACK);
    let words = &block.words[base - slack..block.starts[rows]];
    let bytes = size_of_val(words);
    if bytes < 8
        || bytes >= i32::MAX as usize
        || !block.states.iter().all(|&x| is_normalised::<F>(x))
    {
        return None;
    }
    let (columns, indexes, first_row) = (block.columns, block.source, block.first);
    let groups = columns / L;
    let mut of_rows = [codec::RowIndexes::One(0); MOST_ROWS];
    for (row, of_row) in of_rows.iter_mut().enumerate().take(rows) {
        *of_row = indexes.row(first_row + row);
    }

    // Elements without a row pop whatever they find.
    let mut states = [[F::LOWER_BOUND; 16]; VECTORS];
    let mut ends = [[0u32; 16]; VECTORS];
    let mut floors = [[0u32; 16]; VECTORS];
    for (row, lanes) in block.states.chunks_exact(L).enumerate() {
        let (u, e) = (row / across, row % across * L);
        states[u][e..e + L].copy_from_slice(lanes);
        let floor = block.starts[row] - base + slack;
        floors[u][e..e + L].fill(floor as u32);
        ends[u][e..e + L].fill((floor + block.lens[row]) as u32);
    }
    // Symbols of which no cache would hold much are stored non-temporally: no other lines are
    // evicted for them, and none is read to be overwritten.
    let large = indexes.rows().saturating_mul(columns) >= LARGE;
    let non_temporal = large && matches!(block.symbols, SymbolSliceMut::I32(_));
    let mut prefetch: [&[u8]; MOST_ROWS] = [&[]; MOST_ROWS];
    let of_rows = &of_rows[..rows];
    let first = 0..tile_columns(L).min(groups * L);
    let mut used = find::<S, L>(s, tables, scratch, indexes, of_rows, first)?;
    for begin in (0..groups * L).step_by(tile_columns(L)) {
        let end = (begin + tile_columns(L)).min(groups * L);
        let few = slack < SLACK;
        let lanes = Lanes { states: &mut states, ends: &mut ends, floors: &floors, few, rows };
        let steps = (end - begin) / L;
        let next = end..(end + tile_columns(L)).min(groups * L);
        let after = next.end..(next.end + tile_columns(L)).min(groups * L);
        for (prefetch, &of_row) in prefetch.iter_mut().zip(of_rows) {
            *prefetch = bytes_of(of_row, after.clone());
        }
        let prefetch = &prefetch;
        if non_temporal && let SymbolSliceMut::I32(symbols) = &mut block.symbols {
            for row in 0..rows {
                prefetch_page(s, symbols, row * columns + end, tile_columns(L));
            }
        }
        macro_rules! take {
            ($each:literal, $gather:literal) => {
                s.vectorize(Take::<F, L, $each, $gather> {
                    tables,
                    scratch,
                    lanes,
                    words,
                    used,
                    steps,
                    prefetch,
                })?
            };
        }
        match (used, s.slow_gathers()) {
            (UsedTables::One(_), true) => take!(false, false),
            (UsedTables::One(_), false) => take!(false, true),
            (UsedTables::Each, _) => take!(true, false),
        }
        let (symbols, range) = (&mut block.symbols, begin..end);
        match symbols {
            SymbolSliceMut::I32(symbols) if non_temporal => {
                let last = end == groups * L;
                s.vectorize(StoreNonTemporal::<L> { scratch, rows, symbols, columns, range, last });
            }
            _ => s.vectorize(Store::<L> { scratch, rows, symbols, columns, range })?,
        }
        used = find::<S, L>(s, tables, scratch, indexes, of_rows, next)?;
    }
    for (row, lanes) in block.states.chunks_exact_mut(L).enumerate() {
        let (u, e) = (row / across, row % across * L);
        lanes.copy_from_slice(&states[u][e..e + L]);
        block.lens[row] = (ends[u][e] - floors[u][e]) as usize;
    }
    Some(())
}

/// Prefetches the page of the last of these values, where those before have not touched it:
/// non-temporal stores would wait for its address one after another, as they keep their order.
#[inline(always)]
fn prefetch_page<S: Simd512>(s: S, values: &mut [i32], from: usize, count: usize) {
    let page = |at: usize| (values.as_ptr() as usize + size_of::<i32>() * at) / PAGE;
    let last = from + count - 1;
    if page(last) != page(last - count) {
        s.prefetch_to_write(values, last);
    }
}

/// Which tables a tile of these columns uses.
#[inline(always)]
fn find<S: Simd512, const L: usize>(
    s: S,
    tables: &PackedTables<'_>,
    scratch: &mut Scratch,
    indexes: &Indexes<'_>,
    of_rows: &[codec::RowIndexes<'_>],
    range: Range<usize>,
) -> Option<UsedTables> {
    match indexes.one_for_all() {
        Some(one) if (one as u32) < tables.count => Some(UsedTables::One(one as u32)),
        _ => {
            let found = &mut scratch.symbols;
            s.vectorize(FindTables::<L> { tables, found, of_rows, range })
        }
    }
}

/// Pops the symbols past the last full group, one row after another.
pub(super) fn tails<F: VectorFamily, const L: usize>(
    plan: &Plan,
    tables: &PackedTables<'_>,
    block: &mut DecodeBlock<'_, F>,
) -> Option<()> {
    let columns = block.columns;
    let tail = columns % L;
    if tail == 0 {
        return Some(());
    }
    let view = DecoderView { tables: tables_view(plan), lookup: TwoSymbolLookup(tables.form) };
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

/// The states of a block and where their rows' words stand.
struct Lanes<'a, F: VectorFamily> {
    states: &'a mut [[F::State; 16]; VECTORS],
    ends: &'a mut [[u32; 16]; VECTORS],
    floors: &'a [[u32; 16]; VECTORS],
    /// Whether fewer than [`SLACK`] words come before some.
    few: bool,
    rows: usize,
}

impl<F: VectorFamily> Lanes<'_, F> {
    /// The elements of vector `u` that belong to a row.
    fn used<const L: usize>(&self, u: usize) -> u16 {
        let used = (self.rows * L).saturating_sub(16 * u).min(16);
        ((1u32 << used) - 1) as u16
    }

    /// Whether every row of vector `u` had the words that it took.
    fn enough<S: Simd512, const L: usize>(&self, s: S, u: usize) -> bool {
        let left = s.sub(s.load(&self.ends[u]), s.load(&self.floors[u]));
        s.ge(left, s.splat(1 << 31)) & self.used::<L>(u) == 0
    }
}

/// Takes steps, the first first; symbols go to the scratch with their offsets added. `EACH`:
/// [`UsedTables::Each`]. `GATHER`: the only table's buckets by gathers.
struct Take<'a, F: VectorFamily, const L: usize, const EACH: bool, const GATHER: bool> {
    tables: &'a PackedTables<'a>,
    scratch: &'a mut Scratch,
    lanes: Lanes<'a, F>,
    words: &'a [F::Word],
    used: UsedTables,
    steps: usize,
    /// The indexes of the next tile of each row, which memory brings while states take their steps.
    prefetch: &'a [&'a [u8]; MOST_ROWS],
}

impl<F: VectorFamily, const L: usize, const EACH: bool, const GATHER: bool> Work
    for Take<'_, F, L, EACH, GATHER>
{
    type Output = Option<()>;
}

impl<S: Simd512, F: VectorFamily, const L: usize, const EACH: bool, const GATHER: bool> RunOn<S>
    for Take<'_, F, L, EACH, GATHER>
{
    #[inline(always)]
    fn run(self, s: S) -> Option<()> {
        let Self { tables, scratch, mut lanes, words, used, steps, prefetch } = self;
        let packed = tables.packed;
        let lookup = SlotLookup::new(s, tables.form, tables.precision);
        let single = !EACH && lookup.single();
        let by = if EACH {
            By::Either
        } else if GATHER {
            By::Gather
        } else {
            By::Load
        };
        let only = s.splat(if let UsedTables::One(table) = used { table } else { 0 });
        let mut x: [F::States<S>; VECTORS] = std::array::from_fn(|u| F::load(s, &lanes.states[u]));
        let mut cursors: [Cursors<S::U32>; VECTORS] =
            std::array::from_fn(|u| Cursors::new(s.load(&lanes.ends[u])));
        // Words are read downwards on many cursors at once, which no prefetcher follows: prefetch
        // what the next tile is likely to take.
        for (floors, ends) in lanes.floors.iter().zip(lanes.ends.iter()) {
            for e in (0..16).step_by(L) {
                let line = 64 / size_of::<F::Word>();
                let end = ends[e] as usize;
                let used = end.saturating_sub(floors[e] as usize);
                for back in (line..used.min(3 * line)).step_by(line) {
                    s.prefetch(words, end - back);
                }
            }
        }
        // One branch for all vectors, which then overlap.
        macro_rules! fetch {
            () => {
                if lanes.few {
                    unroll!(u in 0 1 2 3 => { F::fetch::<S, L>(s, words, &mut cursors[u], true); });
                } else {
                    unroll!(u in 0 1 2 3 => { F::fetch::<S, L>(s, words, &mut cursors[u], false); });
                }
            };
        }
        for step in 0..steps {
            let buffered = if L == 1 { F::STEPS_BUFFERED } else { F::STEPS_BUFFERED_OF_LANES };
            let spent = step % buffered == 0;
            if spent && (L == 8 || L == 1) {
                fetch!();
            }
            // As many cache lines of 32-bit indexes as a step has, of as many rows. All rows have
            // as many bytes of them.
            let (row, at) =
                (VECTORS * step % (MOST_ROWS / L), VECTORS * step / (MOST_ROWS / L) * 64);
            if at < prefetch[0].len() {
                for bytes in &prefetch[row..row + VECTORS] {
                    // The line that a row's part begins in came with the part before.
                    s.prefetch(bytes, at + 60);
                }
            }
            // One thing at a time for all vectors: while one waits for its lookup, the others' are
            // on their way.
            let mut table = [only; VECTORS];
            let mut slot = [only; VECTORS];
            let mut found = [FoundSymbols::new(only); VECTORS];
            let mut misses = [0; VECTORS];
            unroll!(u in 0 1 2 3 => {
                if EACH {
                    table[u] = s.load(&scratch.symbols[u * STEPS_EACH + step]);
                }
                slot[u] = lookup.slots(s, F::low(s, x[u]));
            });
            unroll!(u in 0 1 2 3 => {
                (found[u], misses[u]) = lookup.find(s, by, single, table[u], slot[u]);
            });
            if misses[0] | misses[1] | misses[2] | misses[3] != 0 {
                unroll!(u in 0 1 2 3 => {
                    if misses[u] != 0 {
                        let (of_one, at) = (misses[u].into(), ([table[u]], [slot[u]]));
                        [found[u]] = lookup.find_misses(s, of_one, at.0, at.1, [found[u]]);
                    }
                });
            }
            if spent && (L == 2 || L == 4) {
                // Of a few rows words come soon enough, and would only be in the way during
                // lookups.
                fetch!();
            }
            let mut symbol = [only; VECTORS];
            unroll!(u in 0 1 2 3 => {
                let FoundSymbols { freq, rank, .. } = found[u];
                x[u] = F::advance(s, x[u], freq, rank, tables.precision);
                symbol[u] = lookup.symbols(s, &found[u]);
            });
            if lookup.far() {
                unroll!(u in 0 1 2 3 => { symbol[u] = lookup.add_offsets(s, symbol[u], table[u]); });
            }
            unroll!(u in 0 1 2 3 => {
                s.store(symbol[u], &mut scratch.symbols[u * STEPS_EACH + step]);
            });
            unroll!(u in 0 1 2 3 => {
                x[u] = F::renormalise::<S, L>(s, x[u], words, &mut cursors[u]);
            });
            if let Some(bypass) = tables.bypass {
                unroll!(u in 0 1 2 3 => {
                    let last = lookup.last(s, table[u]);
                    let coded = !s.ge(table[u], s.splat(tables.count));
                    let outside = s.eq(symbol[u], last) & coded & lanes.used::<L>(u);
                    if outside != 0 {
                        F::store(s, x[u], &mut lanes.states[u]);
                        s.store(cursors[u].end, &mut lanes.ends[u]);
                        if !lanes.enough::<S, L>(s, u) {
                            return None;
                        }
                        let mut of_step = [0; 16];
                        s.store(table[u], &mut of_step);
                        let symbols = &mut scratch.symbols[u * STEPS_EACH + step];
                        digits::<F, L>(
                            bypass, packed, &mut lanes, words, u, outside, &of_step, symbols,
                        )?;
                        x[u] = F::load(s, &lanes.states[u]);
                        cursors[u].end = s.load(&lanes.ends[u]);
                        F::fetch::<S, L>(s, words, &mut cursors[u], true);
                    }
                });
            }
        }
        unroll!(u in 0 1 2 3 => {
            F::store(s, x[u], &mut lanes.states[u]);
            s.store(cursors[u].end, &mut lanes.ends[u]);
            if !lanes.enough::<S, L>(s, u) {
                return None;
            }
        });
        Some(())
    }
}

/// Pops the bypass digits of the elements of a vector that are in `outside`: they are rare, and
/// each takes its own through the codec.
#[cold]
#[inline(never)]
#[allow(
    clippy::too_many_arguments,
    reason = "each is a thing of its own; a struct for one call would only move them"
)]
fn digits<F: VectorFamily, const L: usize>(
    bypass: BypassCode,
    packed: &Packed,
    lanes: &mut Lanes<'_, F>,
    words: &[F::Word],
    u: usize,
    mut outside: u16,
    tables: &[u32; 16],
    symbols: &mut [u32; 16],
) -> Option<()> {
    while outside != 0 {
        let e = outside.trailing_zeros() as usize;
        outside &= outside - 1;
        let group = e / L * L;
        let floor = lanes.floors[u][group] as usize;
        let mut reader = WordReader::new(&words[floor..lanes.ends[u][group] as usize]);
        let (next, raw) = bypass.pop::<F>(lanes.states[u][e], &mut reader).ok()?;
        if reader.underflowed() {
            return None;
        }
        lanes.states[u][e] = next;
        lanes.ends[u][group..group + L].fill((floor + reader.len()) as u32);
        let table = &packed.table(tables[e] as usize);
        let value = BypassCode::value(raw, table.symbols - 1);
        symbols[e] = TablesView::symbol(table, value).ok()? as u32;
    }
    Some(())
}

//! Popping a unit: up to 64 states, four vectors of sixteen, a stretch of columns at a time.
//!
//! Indexes are regrouped so that one vector holds one step of all its states, the states take their steps, and the symbols are regrouped back. A
//! step gathers once, its slot's bucket, which holds all that an ordinary symbol needs. Words come without a gather where a row has several lanes,
//! and of one lane for four steps at once.

use std::ops::Range;

use parans_kernels::codec::row::TablesView;
use parans_kernels::codec::step::is_normalised;
use parans_kernels::codec::{self, Bypass, DecoderView, WordReader};

use super::family::{Cursors, SLACK, WideFamily};
use super::indexes::{FindTables, Used};
use super::lookup::{By, Found, SlotLookup};
use super::put::{Put, PutPastCache};
use super::tables::WideTables;
use super::{STEPS, STEPS_EACH, VECTORS, each_vector};
use crate::cpu::block::DecodeBlock;
use crate::cpu::codec::{decode_columns, tables_view};
use crate::cpu::lanes32::bytes_of;
use crate::family::HostFamily;
use crate::plan::Plan;
use crate::simd::{RunOn, Simd512, Work};
use crate::symbols::{Indexes, SymbolSliceMut};
use crate::tables::{Packed, PairsLookup};

/// Most rows of a unit.
pub(super) const ROWS: usize = 16 * VECTORS;

/// Columns of a stretch: the fewer rows a unit has, the fewer steps, or a row's part would outgrow the first-level cache.
pub(super) const fn stretch(lanes: usize) -> usize {
    if lanes == 1 { STEPS_EACH } else { 2 * STEPS_EACH }
}

/// Symbols of all rows from which on they go past the caches: 32 MiB of them. Few in unit tests, so that those take both ways.
const LARGE: usize = if cfg!(test) { 1 << 10 } else { 1 << 23 };

/// Bytes of the smallest page.
const PAGE: usize = 4096;

/// What a stretch keeps in the first-level cache.
#[repr(C, align(64))]
pub(super) struct Scratch {
    /// The tables of each step, and after it its symbols in their place.
    pub(super) symbols: [[u32; 16]; STEPS],
    /// The sixteen symbols of each row before the stretch's.
    pub(super) before: [[u32; 16]; ROWS],
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self { symbols: [[0; 16]; STEPS], before: [[0; 16]; ROWS] }
    }
}

/// Pops a unit's rows up to the last full group of lanes; `None` where the scalar path has to, from the start.
pub(super) fn unit<S: Simd512, F: HostFamily + WideFamily, const L: usize>(
    s: S,
    tables: &WideTables<'_>,
    scratch: &mut Scratch,
    unit: &mut DecodeBlock<'_, F>,
) -> Option<()> {
    let across = 16 / L;
    let rows = unit.lens.len();
    let base = unit.starts[0];
    let slack = base.min(SLACK);
    let words = &unit.words[base - slack..unit.starts[rows]];
    let bytes = size_of_val(words);
    if bytes < 8
        || bytes >= i32::MAX as usize
        || !unit.states.iter().all(|&x| is_normalised::<F>(x))
    {
        return None;
    }
    let (columns, indexes, first_row) = (unit.columns, unit.indexes, unit.first);
    let groups = columns / L;
    let mut of_rows = [codec::Indexes::One(0); ROWS];
    for (row, of_row) in of_rows.iter_mut().enumerate().take(rows) {
        *of_row = indexes.row(first_row + row);
    }

    // Elements without a row pop whatever they find.
    let mut states = [[F::LOWER_BOUND; 16]; VECTORS];
    let mut ends = [[0u32; 16]; VECTORS];
    let mut floors = [[0u32; 16]; VECTORS];
    for (row, lanes) in unit.states.chunks_exact(L).enumerate() {
        let (u, e) = (row / across, row % across * L);
        states[u][e..e + L].copy_from_slice(lanes);
        let floor = unit.starts[row] - base + slack;
        floors[u][e..e + L].fill(floor as u32);
        ends[u][e..e + L].fill((floor + unit.lens[row]) as u32);
    }
    // Symbols of which no cache would hold much go past the caches: nobody's lines are lost for them, and none is read to be overwritten.
    let large = indexes.rows().saturating_mul(columns) >= LARGE;
    let past_cache = large && matches!(unit.symbols, SymbolSliceMut::I32(_));
    let mut ahead: [&[u8]; ROWS] = [&[]; ROWS];
    let of_rows = &of_rows[..rows];
    let first = 0..stretch(L).min(groups * L);
    let mut used = find::<S, L>(s, tables, scratch, indexes, of_rows, first)?;
    for begin in (0..groups * L).step_by(stretch(L)) {
        let end = (begin + stretch(L)).min(groups * L);
        let near = slack < SLACK;
        let lanes = Lanes { states: &mut states, ends: &mut ends, floors: &floors, near, rows };
        let steps = (end - begin) / L;
        let next = end..(end + stretch(L)).min(groups * L);
        let after = next.end..(next.end + stretch(L)).min(groups * L);
        for (ahead, &of_row) in ahead.iter_mut().zip(of_rows) {
            *ahead = bytes_of(of_row, after.clone());
        }
        let ahead = &ahead;
        if past_cache && let SymbolSliceMut::I32(symbols) = &mut unit.symbols {
            for row in 0..rows {
                ask_for_page(s, symbols, row * columns + end, stretch(L));
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
                    ahead,
                })?
            };
        }
        match (used, s.slow_gathers()) {
            (Used::One(_), true) => take!(false, false),
            (Used::One(_), false) => take!(false, true),
            (Used::Each, _) => take!(true, false),
        }
        let (symbols, range) = (&mut unit.symbols, begin..end);
        match symbols {
            SymbolSliceMut::I32(symbols) if past_cache => {
                let last = end == groups * L;
                s.vectorize(PutPastCache::<L> { scratch, rows, symbols, columns, range, last });
            }
            _ => s.vectorize(Put::<L> { scratch, rows, symbols, columns, range })?,
        }
        used = find::<S, L>(s, tables, scratch, indexes, of_rows, next)?;
    }
    for (row, lanes) in unit.states.chunks_exact_mut(L).enumerate() {
        let (u, e) = (row / across, row % across * L);
        lanes.copy_from_slice(&states[u][e..e + L]);
        unit.lens[row] = (ends[u][e] - floors[u][e]) as usize;
    }
    Some(())
}

/// Asks for the page of the last of these values, where those before have not touched it: stores past the caches would wait for its address one after
/// another, as they keep their order.
#[inline(always)]
fn ask_for_page<S: Simd512>(s: S, values: &mut [i32], from: usize, count: usize) {
    let page = |at: usize| (values.as_ptr() as usize + size_of::<i32>() * at) / PAGE;
    let last = from + count - 1;
    if page(last) != page(last - count) {
        s.prefetch_to_write(values, last);
    }
}

/// Which tables a stretch of these columns uses.
#[inline(always)]
fn find<S: Simd512, const L: usize>(
    s: S,
    tables: &WideTables<'_>,
    scratch: &mut Scratch,
    indexes: &Indexes<'_>,
    of_rows: &[codec::Indexes<'_>],
    range: Range<usize>,
) -> Option<Used> {
    match indexes.one_for_all() {
        Some(one) if (one as u32) < tables.count => Some(Used::One(one as u32)),
        _ => {
            let found = &mut scratch.symbols;
            s.vectorize(FindTables::<L> { tables, found, of_rows, range })
        }
    }
}

/// Pops the symbols past the last full group, one row after another.
pub(super) fn tails<F: HostFamily, const L: usize>(
    plan: &Plan,
    tables: &WideTables<'_>,
    unit: &mut DecodeBlock<'_, F>,
) -> Option<()> {
    let columns = unit.columns;
    let tail = columns % L;
    if tail == 0 {
        return Some(());
    }
    let view = DecoderView { tables: tables_view(plan), lookup: PairsLookup(tables.packed) };
    let (states, _) = unit.states.as_chunks_mut::<L>();
    for (row, states) in states.iter_mut().enumerate() {
        let indexes = unit.indexes.row(unit.first + row);
        let words = &unit.words[unit.starts[row]..][..unit.lens[row]];
        let symbols = &mut unit.symbols.range(row * columns..(row + 1) * columns);
        let tail = columns - tail..columns;
        unit.lens[row] = decode_columns::<F, _, L>(&view, states, words, symbols, indexes, tail)?;
    }
    Some(())
}

/// The states of a unit and where their rows' words stand.
struct Lanes<'a, F: WideFamily> {
    states: &'a mut [[F::State; 16]; VECTORS],
    ends: &'a mut [[u32; 16]; VECTORS],
    floors: &'a [[u32; 16]; VECTORS],
    /// Whether fewer than [`SLACK`] words come before some.
    near: bool,
    rows: usize,
}

impl<F: WideFamily> Lanes<'_, F> {
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

/// Takes steps, the first first; symbols go to the scratch with their offsets added. `EACH`: [`Used::Each`]. `GATHER`: the only table's buckets by gathers.
struct Take<'a, F: WideFamily, const L: usize, const EACH: bool, const GATHER: bool> {
    tables: &'a WideTables<'a>,
    scratch: &'a mut Scratch,
    lanes: Lanes<'a, F>,
    words: &'a [F::Word],
    used: Used,
    steps: usize,
    /// The indexes of the next stretch of each row, which memory brings while states take their steps.
    ahead: &'a [&'a [u8]; ROWS],
}

impl<F: WideFamily, const L: usize, const EACH: bool, const GATHER: bool> Work
    for Take<'_, F, L, EACH, GATHER>
{
    type Output = Option<()>;
}

impl<S: Simd512, F: WideFamily, const L: usize, const EACH: bool, const GATHER: bool> RunOn<S>
    for Take<'_, F, L, EACH, GATHER>
{
    #[inline(always)]
    fn run(self, s: S) -> Option<()> {
        let Self { tables, scratch, mut lanes, words, used, steps, ahead } = self;
        let packed = tables.packed;
        let lookup = SlotLookup::new(s, packed, tables.precision);
        let single = !EACH && lookup.single();
        let by = if EACH {
            By::Either
        } else if GATHER {
            By::Gather
        } else {
            By::Load
        };
        let only = s.splat(if let Used::One(table) = used { table } else { 0 });
        let mut x: [F::States<S>; VECTORS] = std::array::from_fn(|u| F::load(s, &lanes.states[u]));
        let mut cursors: [Cursors<S::U32>; VECTORS] =
            std::array::from_fn(|u| Cursors::new(s.load(&lanes.ends[u])));
        // Words are read downwards on many cursors at once, which no prefetcher follows: ask for what the next stretch is likely to take.
        for (floors, ends) in lanes.floors.iter().zip(lanes.ends.iter()) {
            for e in (0..16).step_by(L) {
                let line = 64 / size_of::<F::Word>();
                let end = ends[e] as usize;
                let used = end.saturating_sub(floors[e] as usize);
                for ahead in (line..used.min(3 * line)).step_by(line) {
                    s.prefetch(words, end - ahead);
                }
            }
        }
        // One branch for all vectors, which then overlap.
        macro_rules! fetch {
            () => {
                if lanes.near {
                    each_vector!(u => { F::fetch::<S, L>(s, words, &mut cursors[u], true); });
                } else {
                    each_vector!(u => { F::fetch::<S, L>(s, words, &mut cursors[u], false); });
                }
            };
        }
        for step in 0..steps {
            let at_hand = if L == 1 { F::STEPS_AT_HAND } else { F::STEPS_AT_HAND_OF_LANES };
            let spent = step % at_hand == 0;
            if spent && (L == 8 || L == 1) {
                fetch!();
            }
            // As many cache lines of 32-bit indexes as a step has, of as many rows. All rows have as many bytes of them.
            let (row, at) = (VECTORS * step % (ROWS / L), VECTORS * step / (ROWS / L) * 64);
            if at < ahead[0].len() {
                for ahead in &ahead[row..row + VECTORS] {
                    // The line that a row's part begins in came with the part before.
                    s.prefetch(ahead, at + 60);
                }
            }
            // One thing at a time for all vectors: while one waits for its lookup, the others' are on their way.
            let mut table = [only; VECTORS];
            let mut slot = [only; VECTORS];
            let mut found = [Found::new(only); VECTORS];
            let mut missed = 0;
            each_vector!(u => {
                if EACH {
                    table[u] = s.load(&scratch.symbols[u * STEPS_EACH + step]);
                }
                slot[u] = lookup.slots(s, F::low(s, x[u]));
            });
            each_vector!(u => {
                let past;
                (found[u], past) = lookup.find(s, by, single, table[u], slot[u]);
                missed |= u64::from(past) << (16 * u);
            });
            if missed != 0 {
                lookup.find_missed(s, missed, table, slot, &mut found);
            }
            if spent && (L == 2 || L == 4) {
                // Of a few rows words are at hand soon enough, and would only be in the way while owners are sought.
                fetch!();
            }
            let mut symbol = [only; VECTORS];
            each_vector!(u => {
                let Found { freq, rank, .. } = found[u];
                x[u] = F::advance(s, x[u], freq, rank, tables.precision);
                symbol[u] = lookup.symbols(s, &found[u]);
            });
            if lookup.far() {
                each_vector!(u => { symbol[u] = lookup.add_offsets(s, symbol[u], table[u]); });
            }
            each_vector!(u => {
                s.store(symbol[u], &mut scratch.symbols[u * STEPS_EACH + step]);
            });
            each_vector!(u => {
                x[u] = F::refill::<S, L>(s, x[u], words, &mut cursors[u]);
            });
            if let Some(bypass) = tables.bypass {
                each_vector!(u => {
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
        each_vector!(u => {
            F::store(s, x[u], &mut lanes.states[u]);
            s.store(cursors[u].end, &mut lanes.ends[u]);
            if !lanes.enough::<S, L>(s, u) {
                return None;
            }
        });
        Some(())
    }
}

/// Pops the bypass digits of the elements of a vector that are in `outside`: they are rare, and each takes its own through the codec.
#[cold]
#[inline(never)]
#[allow(
    clippy::too_many_arguments,
    reason = "each is a thing of its own; a struct for one call would only move them"
)]
fn digits<F: WideFamily, const L: usize>(
    bypass: Bypass,
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
        let value = Bypass::value(raw, table.symbols - 1);
        symbols[e] = TablesView::symbol(table, value).ok()? as u32;
    }
    Some(())
}

//! Popping a unit: up to 64 states, four vectors of sixteen, a stretch of columns at a time.
//!
//! Indexes are regrouped so that one vector holds one step of all its states, the states take their steps, and the symbols are regrouped back. A
//! step gathers three times: the symbol that may own the slot, from a guide that fits the cache; its packed entry; and the words, for
//! the states that want one.

use parans_kernels::codec::row::TablesView;
use parans_kernels::codec::step::is_normalised;
use parans_kernels::codec::{Bypass, WordReader};

use super::family::{Cursors, WideFamily};
use super::tables::{WideTables, load_indexes, prefetch_indexes};
use super::{STEPS, Unit, each_vector, regroup};
use crate::coder::{Indexes, Symbol};
use crate::simd::rows::{RowSimd, RowWork};
use crate::tables::{Guide, Packed};
use parans_kernels::codec;

/// What a stretch keeps in the first-level cache.
pub(super) struct Scratch {
    tables: [[u32; 16]; STEPS],
    symbols: [[u32; 16]; STEPS],
}

impl Scratch {
    /// Holds nothing that a stretch reads before writing it.
    pub(super) fn new() -> Self {
        Self { tables: [[0; 16]; STEPS], symbols: [[0; 16]; STEPS] }
    }
}

/// Which tables a stretch uses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Used {
    /// One for all.
    One(u32),
    /// Those in the scratch.
    Each,
    /// Those in the scratch, some of them none.
    Skipping,
}

/// Pops a unit's rows; `None` where the scalar path has to, from the start.
#[allow(
    clippy::too_many_arguments,
    reason = "each is a thing of its own; a struct for one call would only move them"
)]
pub(super) fn unit<
    S: RowSimd,
    F: WideFamily,
    T: Symbol,
    L2: codec::Lookup,
    const L: usize,
    const U: usize,
>(
    s: S,
    tables: &WideTables<'_>,
    view: &codec::DecoderView<'_, L2>,
    scratch: &mut Scratch,
    unit: &mut Unit<'_, F>,
    words: &[F::Word],
    starts: &[usize],
    symbols: &mut [T],
    columns: usize,
    indexes: &Indexes<'_>,
) -> Option<()> {
    let across = 16 / L;
    let steps_a_stretch = STEPS / U;
    let rows = unit.lens.len();
    let base = starts[0];
    let words = &words[base..starts[rows]];
    let bytes = size_of_val(words);
    if bytes < 4
        || bytes >= i32::MAX as usize
        || !unit.states.iter().all(|&x| is_normalised::<F>(x))
    {
        return None;
    }
    let groups = columns / L;

    let mut states = [[F::LOWER_BOUND; 16]; U];
    let mut ends = [[0u32; 16]; U];
    let mut floors = [[0u32; 16]; U];
    for (row, lanes) in unit.states.chunks_exact(L).enumerate() {
        let (u, e) = (row / across, row % across * L);
        states[u][e..e + L].copy_from_slice(lanes);
        let floor = starts[row] - base;
        floors[u][e..e + L].fill(floor as u32);
        ends[u][e..e + L].fill((floor + unit.lens[row]) as u32);
    }
    let stretch_columns = steps_a_stretch * L;
    for begin in (0..groups * L).step_by(stretch_columns) {
        let end = (begin + stretch_columns).min(groups * L);
        let steps = (end - begin) / L;
        let (first_row, range) = (unit.first, begin..end);
        let used = s.vectorize(FindTables::<L, U> {
            tables,
            scratch,
            first_row,
            rows,
            indexes,
            range: range.clone(),
        })?;
        let lanes = Lanes { states: &mut states, ends: &mut ends, floors: &floors };
        match used {
            Used::One(_) => s.vectorize(Take::<F, L, U, false> {
                tables,
                scratch,
                lanes,
                rows,
                words,
                used,
                steps,
            })?,
            _ => s.vectorize(Take::<F, L, U, true> {
                tables,
                scratch,
                lanes,
                rows,
                words,
                used,
                steps,
            })?,
        }
        s.vectorize(Put::<T, L, U> { scratch, rows, symbols, columns, range })?;
    }
    for (row, lanes) in unit.states.chunks_exact_mut(L).enumerate() {
        let (u, e) = (row / across, row % across * L);
        lanes.copy_from_slice(&states[u][e..e + L]);
        unit.lens[row] = (ends[u][e] - floors[u][e]) as usize;
    }
    let tail = columns % L;
    if tail > 0 {
        let (states, _) = unit.states.as_chunks_mut::<L>();
        for (row, states) in states.iter_mut().enumerate() {
            let of_row = indexes.row(unit.first + row);
            let index: [i32; L] = std::array::from_fn(|lane| of_row.at(columns - tail + lane));
            let from = starts[row] - base;
            let mut reader = WordReader::new(&words[from..from + unit.lens[row]]);
            let mut values = [0; L];
            let index = codec::Indexes::Each(&index[..tail]);
            codec::pop_row::<F, _, L>(view, states, &mut reader, &mut values[..tail], index)
                .ok()?;
            unit.lens[row] = reader.len();
            let out = &mut symbols[(row + 1) * columns - tail..(row + 1) * columns];
            for (out, &value) in out.iter_mut().zip(&values) {
                *out = T::from_i32(value)?;
            }
        }
    }
    Some(())
}

/// Writes down which table each step of each state uses.
struct FindTables<'a, 't, const L: usize, const U: usize> {
    tables: &'a WideTables<'t>,
    scratch: &'a mut Scratch,
    first_row: usize,
    rows: usize,
    indexes: &'a Indexes<'a>,
    range: std::ops::Range<usize>,
}

impl<const L: usize, const U: usize> RowWork for FindTables<'_, '_, L, U> {
    type Output = Option<Used>;

    #[inline(always)]
    fn run<S: RowSimd>(self, s: S) -> Option<Used> {
        let Self { tables, scratch, first_row, rows, indexes, range } = self;
        let across = 16 / L;
        let steps_a_stretch = STEPS / U;
        if let Some(one) = indexes.one_for_all()
            && (one as u32) < tables.count
        {
            return Some(Used::One(one as u32));
        }
        let (begin, end) = (range.start, range.end);
        let mut skipping = false;
        if tables.count == 1 {
            // Nothing to write down where no symbol is skipped: the indexes are only checked.
            let mut others = 0;
            for row in 0..rows {
                let of_row = indexes.row(first_row + row);
                for at in range.clone().step_by(16) {
                    let valid = u16::MAX >> (16 - (end - at).min(16));
                    prefetch_indexes(s, of_row, at + steps_a_stretch * L);
                    others |= valid & s.ge(load_indexes(s, of_row, at), s.splat(1));
                }
            }
            if others == 0 {
                return Some(Used::One(0));
            }
        }
        for at in range.step_by(16) {
            let valid = u16::MAX >> (16 - (end - at).min(16));
            for u in 0..U {
                let mut v = [s.splat(tables.count); 16];
                for (r, v) in v.iter_mut().enumerate().take(across) {
                    let row = u * across + r;
                    if row >= rows {
                        break;
                    }
                    let of_row = indexes.row(first_row + row);
                    prefetch_indexes(s, of_row, at + steps_a_stretch * L);
                    let index = load_indexes(s, of_row, at);
                    *v = tables.named(s, index, valid)?;
                    skipping |= valid & s.eq(*v, s.splat(tables.count)) != 0;
                }
                s.transpose::<L>(&mut v);
                let first = u * steps_a_stretch + (at - begin) / L;
                for (tables, &v) in scratch.tables[first..].iter_mut().zip(&v).take(across) {
                    s.store(v, tables);
                }
            }
        }
        Some(if skipping { Used::Skipping } else { Used::Each })
    }
}

/// Puts a range of columns of symbols where the caller wants them.
struct Put<'a, T: Symbol, const L: usize, const U: usize> {
    scratch: &'a mut Scratch,
    rows: usize,
    symbols: &'a mut [T],
    columns: usize,
    range: std::ops::Range<usize>,
}

impl<T: Symbol, const L: usize, const U: usize> RowWork for Put<'_, T, L, U> {
    type Output = Option<()>;

    #[inline(always)]
    fn run<S: RowSimd>(self, s: S) -> Option<()> {
        let Self { scratch, rows, symbols, columns, range } = self;
        let across = 16 / L;
        let steps_a_stretch = STEPS / U;
        let (begin, end) = (range.start, range.end);
        for u in 0..U {
            for at in (begin..end).step_by(16) {
                let first = u * steps_a_stretch + (at - begin) / L;
                regroup::<S, L>(s, &mut scratch.symbols[first..first + across]);
            }
            // Row by row: sixteen rows' lines may all fall into one set of the first-level cache.
            for r in 0..across {
                let row = u * across + r;
                if row >= rows {
                    break;
                }
                for at in (begin..end).step_by(16) {
                    let v = s.load(&scratch.symbols[u * steps_a_stretch + (at - begin) / L + r]);
                    s.prefetch_to_write(symbols, row * columns + at + steps_a_stretch * L);
                    let out = &mut symbols[row * columns + at..row * columns + end];
                    store_symbols(s, v, out)?;
                }
            }
        }
        Some(())
    }
}

/// The states of a unit and where their rows' words stand.
struct Lanes<'a, F: WideFamily, const U: usize> {
    states: &'a mut [[F::State; 16]; U],
    ends: &'a mut [[u32; 16]; U],
    floors: &'a [[u32; 16]; U],
}

/// Takes steps, the first first; symbols go to the scratch with their offsets added.
struct Take<'a, 't, F: WideFamily, const L: usize, const U: usize, const EACH: bool> {
    tables: &'a WideTables<'t>,
    scratch: &'a mut Scratch,
    lanes: Lanes<'a, F, U>,
    rows: usize,
    words: &'a [F::Word],
    used: Used,
    steps: usize,
}

/// What a step reads, at hand.
#[derive(Clone, Copy)]
struct Fixed<'a, V> {
    entries: &'a [u32],
    guide: &'a Guide,
    guide_bits: u32,
    guide_is_coarse: bool,
    precision: u32,
    low: V,
    one: V,
    slots: V,
}

/// Finds the symbols that own the states' slots: their numbers, frequencies and the slots' ranks.
#[inline(always)]
fn find<S: RowSimd>(
    s: S,
    fixed: &Fixed<'_, S::U32>,
    states: S::U32,
    table: S::U32,
    base: S::U32,
) -> [S::U32; 3] {
    let slot = s.and(states, fixed.slots);
    let coarse = fixed.precision - fixed.guide_bits;
    let guide_at = s.add(s.shl(table, fixed.guide_bits), s.shr(slot, coarse));
    let mut symbol = match fixed.guide {
        Guide::U8(guide) => s.gather_u8(guide, guide_at),
        Guide::U16(guide) => s.gather_u16(guide, guide_at),
    };
    let mut entry = s.gather(fixed.entries, s.add(base, symbol));
    let mut rank = s.sub(slot, s.and(entry, fixed.low));
    let mut freq = s.add(s.shr(entry, 16), fixed.one);
    if fixed.guide_is_coarse {
        // The guide gives the first symbol of several slots; the one sought is often it.
        loop {
            let past = s.ge(rank, freq);
            if past == 0 {
                break;
            }
            symbol = s.select(past, s.add(symbol, fixed.one), symbol);
            entry = s.gather(fixed.entries, s.add(base, symbol));
            rank = s.sub(slot, s.and(entry, fixed.low));
            freq = s.add(s.shr(entry, 16), fixed.one);
        }
    }
    [symbol, freq, rank]
}

impl<F: WideFamily, const L: usize, const U: usize, const EACH: bool> RowWork
    for Take<'_, '_, F, L, U, EACH>
{
    type Output = Option<()>;

    #[inline(always)]
    fn run<S: RowSimd>(self, s: S) -> Option<()> {
        let Self { tables, scratch, mut lanes, rows, words, used, steps } = self;
        let steps_a_stretch = STEPS / U;
        let packed = tables.packed;
        let fixed = Fixed {
            entries: &packed.entries,
            guide: &packed.guide,
            guide_bits: packed.guide_bits,
            guide_is_coarse: packed.guide_is_coarse,
            precision: tables.precision,
            low: s.splat(0xffff),
            one: s.splat(1),
            slots: s.splat((1u32 << tables.precision) - 1),
        };
        let uniform = packed.uniform;
        let same_offset = uniform.is_some() && used != Used::Skipping;
        let (size, offset) = uniform.unwrap_or((0, 0));
        let (size, offset) = (s.splat(size), s.splat(offset));
        let (bases, offsets, sizes) =
            (packed.bases.as_slice(), packed.offsets.as_slice(), packed.symbols.as_slice());
        let only = if let Used::One(table) = used { table } else { 0 };
        let base_of_one = s.splat(bases[only as usize]);
        let only = s.splat(only);
        let mut x: [F::States<S>; U] = std::array::from_fn(|u| F::load(s, &lanes.states[u]));
        let mut cursors: [Cursors<S::U32>; U] = std::array::from_fn(|u| Cursors {
            end: s.load(&lanes.ends[u]),
            floor: s.load(&lanes.floors[u]),
            missing: 0,
            next: s.splat(0),
        });
        for cursors in &mut cursors {
            *cursors = F::fetch::<S, L>(s, words, *cursors);
        }
        // Words are read downwards on many cursors at once, which no prefetcher follows: ask for what the next stretch is likely to take.
        for (floors, ends) in lanes.floors.iter().zip(lanes.ends.iter()) {
            for e in (0..16).step_by(L) {
                let line = 64 / size_of::<F::Word>();
                let end = ends[e] as usize;
                let used = end.saturating_sub(floors[e] as usize);
                for ahead in (line..used.min(4 * line)).step_by(line) {
                    s.prefetch(words, end - ahead);
                }
            }
        }
        // One table, found whole in the guide and in registers: two gathers a step instead of three.
        if !EACH
            && U == 4
            && tables.bypass.is_none()
            && same_offset
            && !fixed.guide_is_coarse
            && let (Some(bytes), Guide::U8(guide)) = (&packed.bytes, fixed.guide)
        {
            for step in 0..steps {
                let mut symbol = [only; 4];
                each_vector!(U, u => {
                    symbol[u] = s.gather_u8(guide, s.and(F::low(s, x[u]), fixed.slots));
                });
                let entry = s.lookup_bytes(bytes, symbol);
                each_vector!(U, u => {
                    let slot = s.and(F::low(s, x[u]), fixed.slots);
                    let rank = s.sub(slot, s.and(entry[u], fixed.low));
                    let freq = s.add(s.shr(entry[u], 16), fixed.one);
                    x[u] = F::advance(s, x[u], freq, rank, fixed.precision);
                    (x[u], cursors[u]) = F::refill::<S, L>(s, x[u], words, cursors[u]);
                    s.store(s.add(symbol[u], offset), &mut scratch.symbols[u * steps_a_stretch + step]);
                });
            }
        } else {
            for step in 0..steps {
                each_vector!(U, u => {
                    let at = u * steps_a_stretch + step;
                    let table = if EACH { s.load(&scratch.tables[at]) } else { only };
                    let base = if !EACH {
                        base_of_one
                    } else if uniform.is_some() {
                        // One past the last table: its entry is right behind all others.
                        s.mul(table, size)
                    } else {
                        s.gather(bases, table)
                    };
                    let [symbol, freq, rank] = find(s, &fixed, F::low(s, x[u]), table, base);
                    x[u] = F::advance(s, x[u], freq, rank, fixed.precision);
                    (x[u], cursors[u]) = F::refill::<S, L>(s, x[u], words, cursors[u]);
                    let offset = if same_offset { offset } else { s.gather(offsets, table) };
                    s.store(s.add(symbol, offset), &mut scratch.symbols[at]);
                    if let Some(bypass) = tables.bypass {
                        let size = if uniform.is_some() { size } else { s.gather(sizes, table) };
                        let last = s.eq(symbol, s.sub(size, fixed.one));
                        let coded = !s.ge(table, s.splat(tables.count));
                        let outside = last & coded;
                        if outside != 0 {
                            if cursors[u].missing != 0 {
                                return None;
                            }
                            F::store(s, x[u], &mut lanes.states[u]);
                            s.store(cursors[u].end, &mut lanes.ends[u]);
                            let mut of_step = [0; 16];
                            s.store(table, &mut of_step);
                            let symbols = &mut scratch.symbols[at];
                            let used = outside & u16::MAX >> 16usize.saturating_sub((rows * L).saturating_sub(16 * u).min(16));
                            digits::<F, L, U>(bypass, packed, &mut lanes, words, u, used, &of_step, symbols)?;
                            x[u] = F::load(s, &lanes.states[u]);
                            cursors[u].end = s.load(&lanes.ends[u]);
                            cursors[u] = F::fetch::<S, L>(s, words, cursors[u]);
                        }
                    }
                });
            }
        }
        for u in 0..U {
            if cursors[u].missing != 0 {
                return None;
            }
            F::store(s, x[u], &mut lanes.states[u]);
            s.store(cursors[u].end, &mut lanes.ends[u]);
        }
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
fn digits<F: WideFamily, const L: usize, const U: usize>(
    bypass: Bypass,
    packed: &Packed,
    lanes: &mut Lanes<'_, F, U>,
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
        let table = &view_of(packed, tables[e]);
        let value = Bypass::value(raw, table.symbols - 1);
        symbols[e] = TablesView::symbol(table, value).ok()? as u32;
    }
    Some(())
}

/// A table's place, as the codec has it.
fn view_of(packed: &Packed, table: u32) -> codec::TableSpan {
    let at = table as usize;
    codec::TableSpan {
        base: packed.bases[at],
        symbols: packed.symbols[at],
        offset: packed.offsets[at] as i32,
        log2_symbols: 0,
    }
}

/// Stores the first of sixteen symbols that `out` has room for; `None` where one does not fit its type.
#[inline(always)]
fn store_symbols<S: RowSimd, T: Symbol>(s: S, v: S::U32, out: &mut [T]) -> Option<()> {
    let mut values = [0u32; 16];
    if size_of::<T>() == 4
        && let Some(out) = bytemuck::cast_slice_mut::<T, u32>(out).first_chunk_mut()
    {
        s.store(v, out);
        return Some(());
    }
    s.store(v, &mut values);
    for (out, value) in out.iter_mut().zip(values) {
        *out = T::from_i32(value as i32)?;
    }
    Some(())
}

//! Popping four rows together, or one.

use parans_kernels::codec::step::is_normalised;
use parans_kernels::codec::table_row::TablesView;
use parans_kernels::codec::{self, BypassCode, DecoderView, WordReader};

use super::super::entries::{
    RowTile, STEPS, Step, TileIndexes, bytes_of, load_step, prefetch_step, store_step,
};
use super::super::tables::PackedTables;
use super::steps::{LANES, LaneFamily, PopSteps, UsedTables};
use crate::cpu::block::DecodeBlock;
use crate::cpu::codec::{decode_columns, tables_view};
use crate::plan::Plan;
use crate::simd::{Level, RunOn, Simd, Work, dispatch};
use crate::symbols::SymbolSliceMut;
use crate::tables::TwoSymbolLookup;

/// A row with fewer words left than this goes on from a copy with enough words below it for every
/// step.
const LOW: usize = 256;

/// What four rows keep in the L1 cache.
#[derive(Default)]
pub(super) struct Scratch {
    tables_of: Vec<RowTile>,
    symbols: Vec<RowTile>,
    indexes: Box<RowTile>,
}

/// The words left of a row.
struct Source<'a, W> {
    words: &'a [W],
    left: usize,
    /// The last words once more, behind a window of none, from when they run low.
    copy: Option<Vec<W>>,
}

impl<W: codec::WordInt> Source<'_, W> {
    /// Whether what is left may be less than a window.
    fn is_low(&self) -> bool {
        self.left < LOW
    }

    /// Words up to the next to take, and how many of them are none of the row's.
    fn view(&self, window: usize) -> (&[W], usize) {
        match &self.copy {
            None => (&self.words[..self.left], 0),
            Some(copy) => (&copy[..window + self.left], window),
        }
    }

    fn copy(&mut self, window: usize) {
        let mut copy = vec![W::default(); window];
        copy.extend_from_slice(&self.words[..self.left]);
        self.copy = Some(copy);
    }
}

/// Pops the block's `R` rows. `None` where the scalar path has to, from the start: the block is
/// then as it was, but for its symbols.
pub(super) fn rows<F: LaneFamily, const R: usize>(
    level: Level,
    plan: &Plan,
    tables: &PackedTables<'_>,
    scratch: &mut Scratch,
    block: &mut DecodeBlock<'_, F>,
) -> Option<()> {
    let columns = block.columns;
    let (of_rows, _) = block.states.as_chunks::<LANES>();
    let mut states: [[F::State; LANES]; R] = *of_rows.first_chunk()?;
    if !states.as_flattened().iter().all(|&x| is_normalised::<F>(x)) {
        return None;
    }
    let mut sources: [Source<'_, F::Word>; R] = std::array::from_fn(|r| {
        let (start, len) = (block.starts[r], block.lens[r]);
        Source { words: &block.words[start..start + len], left: len, copy: None }
    });
    let view = DecoderView { tables: tables_view(plan), lookup: TwoSymbolLookup(tables.form) };
    scratch.tables_of.resize_with(R, RowTile::default);
    scratch.symbols.resize_with(R, RowTile::default);
    let steps = columns / LANES;
    for begin in (0..steps).step_by(STEPS) {
        let count = STEPS.min(steps - begin);
        let range = begin * LANES..(begin + count) * LANES;
        let above = range.end..((begin + 2 * STEPS).min(steps) * LANES).max(range.end);
        let mut one = [Some(0); R];
        for (r, tables_of) in scratch.tables_of.iter_mut().enumerate() {
            let of_row = block.source.row(block.first + r);
            match TileIndexes::new(of_row, range.clone(), &mut scratch.indexes) {
                TileIndexes::One(index) => one[r] = Some(tables.table_of(index)?),
                TileIndexes::Each(indexes) => {
                    let prefetch = bytes_of(of_row, above.clone());
                    let find = FindTables { tables, indexes, prefetch, tables_of };
                    match dispatch(level, find).ok()?? {
                        FoundTables::First => {}
                        FoundTables::Each => one[r] = None,
                    }
                }
            }
        }
        let used = used_tables(tables, &mut scratch.tables_of, one)?;
        let mut at = 0;
        while at < count {
            // Symbols of four bytes go where the caller wants them, others by way of a buffer.
            let symbols: [&mut [Step]; R] = if let SymbolSliceMut::I32(all) = &mut block.symbols {
                rows_of(all, columns, &range)?
            } else {
                let mut buffers = scratch.symbols.iter_mut();
                let mut next = || Some(&mut buffers.next()?[..count]);
                let mut rows = [(); R].map(|()| next());
                if rows.iter().any(Option::is_none) {
                    return None;
                }
                rows.each_mut().map(|row| row.take().unwrap_or_default())
            };
            if sources.iter().any(|source| source.copy.is_none() && source.left < F::WINDOW) {
                for source in sources.iter_mut().filter(|s| s.copy.is_none() && s.is_low()) {
                    source.copy(F::WINDOW);
                }
            }
            let views = sources.each_ref().map(|source| source.view(F::WINDOW));
            let popped = F::pop_steps(
                level,
                PopSteps {
                    tables,
                    used,
                    steps: at..count,
                    states: &mut states,
                    words: views.map(|(words, _)| words),
                    symbols,
                },
            )?;
            let floors = views.map(|(_, floor)| floor);
            for ((source, left), floor) in sources.iter_mut().zip(popped.words).zip(floors) {
                // Below the floor where the row had too few words.
                source.left = left.checked_sub(floor)?;
            }
            at = popped.done;
            if popped.sentinel {
                let step = at - 1;
                let column = (begin + step) * LANES;
                for r in 0..R {
                    let of_step: &mut [u32] = if let SymbolSliceMut::I32(all) = &mut block.symbols {
                        let at = r * columns + column;
                        bytemuck::cast_slice_mut(&mut all[at..at + LANES])
                    } else {
                        &mut scratch.symbols[r][step]
                    };
                    let of_row = block.source.row(block.first + r);
                    let index = |lane| of_row.at(column + lane);
                    let source = &mut sources[r];
                    let (words, floor) = source.view(F::WINDOW);
                    let mut reader = WordReader::new(&words[floor..]);
                    digits::<F>(&view.tables, index, &mut states[r], &mut reader, of_step)?;
                    source.left = reader.len();
                }
            }
        }
        if !matches!(block.symbols, SymbolSliceMut::I32(_)) {
            for (r, from) in scratch.symbols.iter().enumerate().take(R) {
                let from = bytemuck::cast_slice(&from.as_flattened()[..range.len()]);
                let to = r * columns + range.start..r * columns + range.end;
                block.symbols.range(to).narrow(from).ok()?;
            }
        }
    }
    let tail = steps * LANES..columns;
    for r in 0..R {
        let of_row = block.source.row(block.first + r);
        let (source, states) = (&mut sources[r], &mut states[r]);
        let words = &source.words[..source.left];
        let symbols = &mut block.symbols.range(r * columns..(r + 1) * columns);
        source.left =
            decode_columns::<F, _, LANES>(&view, states, words, symbols, of_row, tail.clone())?;
    }
    block.states.copy_from_slice(states.as_flattened());
    for (len, source) in block.lens.iter_mut().zip(&sources) {
        *len = source.left;
    }
    Some(())
}

/// The steps of a range of columns in each row; for symbols of four bytes.
fn rows_of<'a, const R: usize>(
    symbols: &'a mut [i32],
    columns: usize,
    range: &std::ops::Range<usize>,
) -> Option<[&'a mut [Step]; R]> {
    let mut rows = symbols.chunks_exact_mut(columns.max(1));
    let mut steps = [(); R].map(|()| {
        let row: &mut [u32] = bytemuck::cast_slice_mut(&mut rows.next()?[range.clone()]);
        Some(row.as_chunks_mut().0)
    });
    if steps.iter().any(Option::is_none) {
        return None;
    }
    Some(steps.each_mut().map(|row| row.take().unwrap_or_default()))
}

/// Which tables a tile of all rows uses, by the one of each row, where it has but one.
fn used_tables<'a, const R: usize>(
    tables: &PackedTables<'_>,
    tables_of: &'a mut [RowTile],
    one: [Option<u32>; R],
) -> Option<UsedTables<'a, R>> {
    if one.iter().all(|&table| table.is_some_and(|table| table < tables.count)) {
        return Some(UsedTables::One(one.map(Option::unwrap_or_default)));
    }
    for (table, tables_of) in one.iter().zip(tables_of.iter_mut()) {
        if let Some(table) = *table {
            tables_of.as_flattened_mut().fill(table);
        }
    }
    Some(UsedTables::Each(tables_of.first_chunk()?))
}

/// Pops the bypass digits of a row's step, lane by lane: they are rare, and each takes its own
/// through the codec.
#[cold]
#[inline(never)]
fn digits<F: LaneFamily>(
    tables: &TablesView<'_>,
    index: impl Fn(usize) -> i32,
    states: &mut [F::State; LANES],
    reader: &mut WordReader<'_, F::Word>,
    symbols: &mut [u32],
) -> Option<()> {
    for (lane, (x, symbol)) in states.iter_mut().zip(symbols).enumerate() {
        let Some((_, table)) = tables.table(index(lane)).ok()? else { continue };
        let last = table.symbols - 1;
        if symbol.wrapping_sub(table.offset as u32) != last {
            continue;
        }
        let (next, raw) = tables.bypass?.pop::<F>(*x, reader).ok()?;
        *x = next;
        *symbol = TablesView::symbol(&table, BypassCode::value(raw, last)).ok()? as u32;
    }
    (!reader.underflowed()).then_some(())
}

/// Finds which tables a tile of a row uses.
struct FindTables<'a, 't> {
    tables: &'a PackedTables<'t>,
    indexes: &'a [Step],
    /// What the next tile reads.
    prefetch: &'a [u8],
    tables_of: &'a mut RowTile,
}

/// What [`FindTables`] found.
enum FoundTables {
    /// The first for all.
    First,
    /// A table for each symbol was written down.
    Each,
}

impl Work for FindTables<'_, '_> {
    /// `None` where an index is wrong.
    type Output = Option<FoundTables>;
}

impl<S: Simd> RunOn<S> for FindTables<'_, '_> {
    #[inline(always)]
    fn run(self, s: S) -> Self::Output {
        let PackedTables { count, .. } = *self.tables;
        let limit = s.splat(count);
        if count == 1 {
            let mut others = s.nowhere();
            for (at, step) in self.indexes.iter().enumerate() {
                prefetch_step(s, self.prefetch, at);
                let [a, b] = load_step(s, step);
                others = s.either(others, s.either(s.ge(a, limit), s.ge(b, limit)));
            }
            if !s.any(others) {
                return Some(FoundTables::First);
            }
        }
        for (at, (step, to)) in self.indexes.iter().zip(self.tables_of.iter_mut()).enumerate() {
            prefetch_step(s, self.prefetch, at);
            let index = load_step(s, step);
            let unnamed = [s.ge(index[0], limit), s.ge(index[1], limit)];
            let mut of_step = index;
            if s.any(s.either(unnamed[0], unnamed[1])) {
                if step.iter().any(|&index| self.tables.table_of(index as i32).is_none()) {
                    return None;
                }
                for half in 0..2 {
                    let over = s.sub(limit, index[half]);
                    of_step[half] = s.add_where(s.ge(index[half], limit), index[half], over);
                }
            }
            store_step(s, of_step, to);
        }
        Some(FoundTables::Each)
    }
}

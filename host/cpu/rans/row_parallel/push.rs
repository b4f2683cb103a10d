//! Pushing rows side by side: up to 64 states, four vectors of sixteen, a tile of columns at a
//! time.
//!
//! A tile goes through three loops, each of which does one thing to data that the L1 cache holds:
//! 1. symbols and indexes, row by row, become packed entries, regrouped so that one vector holds
//!    one step of all its states;
//! 2. the states take their steps, and what they emit is written down with a mask, unpacked;
//! 3. the emitted words, regrouped row by row, are compressed and appended sixteen steps at a time.
//!    A scatter of single words, or a scalar store for each, costs more than the whole of the
//!    arithmetic.

use std::ops::Range;

use parans_kernels::codec::step::is_normalised;
use parans_kernels::codec::{DirectPlacement, EncoderView, WordWriter};

use super::super::family::{Emitted, VectorFamily};
use super::super::tables::PackedTables;
use super::entries::{BlockSymbols, Digits, TileEntries, find_entries};
use super::masks::Masks;
use super::tile::{STEPS, STEPS_EACH, VECTORS};
use crate::cpu::block::{EncodeBlock, split_rows};
use crate::cpu::codec::encode_columns;
use crate::simd::{RunOn, Simd512, Work, unroll};
use crate::symbols::{Indexes, SymbolSlice};

/// What the loops pass on.
#[repr(C, align(64))]
pub(super) struct Scratch {
    words: [[u32; 16]; STEPS],
    entries: TileEntries,
    first: Masks,
    second: Masks,
    digits: Vec<Digits>,
}

impl Scratch {
    /// For rows of `L` lanes and so many columns.
    pub(super) fn new<const L: usize>(columns: usize) -> Self {
        let words = [[0; 16]; STEPS];
        let (first, second) = (Masks::new(), Masks::new());
        Self { entries: TileEntries::new::<L>(columns), words, first, second, digits: Vec::new() }
    }
}

/// The states and lengths of a block's rows.
struct RowStates<'a, F: VectorFamily> {
    /// States, `lanes` per row.
    states: &'a mut [F::State],
    /// Words in use, per row.
    lens: &'a mut [usize],
}

/// Pushes a block's rows; `None` where the scalar path has to, from the start.
pub(super) fn rows<S: Simd512, F: VectorFamily, const L: usize>(
    s: S,
    tables: &PackedTables<'_>,
    view: &EncoderView<'_, F, DirectPlacement>,
    scratch: &mut Scratch,
    block: &mut EncodeBlock<'_, F>,
) -> Option<()> {
    let EncodeBlock { rows, symbols, columns, source: indexes } = block;
    let (symbols, columns, first_row) = (*symbols, *columns, rows.first);
    let words = &mut split_rows(&mut *rows.words, rows.starts).collect::<Vec<_>>()[..];
    let of_rows = &mut RowStates::<F> { states: &mut *rows.states, lens: &mut *rows.lens };
    let across = 16 / L;
    let rows = of_rows.lens.len();
    if !of_rows.states.iter().all(|&x| is_normalised::<F>(x)) {
        return None;
    }
    let groups = columns / L;
    push_tails::<F, L>(view, of_rows, words, symbols, columns, first_row, indexes)?;

    let mut states = [[F::LOWER_BOUND; 16]; VECTORS];
    for (row, lanes) in of_rows.states.chunks_exact(L).enumerate() {
        // Lanes in the opposite order: the last one's words come first.
        for (lane, &x) in lanes.iter().enumerate() {
            states[row / across][row % across * L + L - 1 - lane] = x;
        }
    }
    let of_block = BlockSymbols { first_row, rows, symbols, columns, indexes };
    let tile_columns = scratch.entries.columns();
    for begin in (0..groups * L).step_by(tile_columns).rev() {
        let end = (begin + tile_columns).min(groups * L);
        let mut digits = std::mem::take(&mut scratch.digits);
        let entries = &mut scratch.entries;
        find_entries::<S, L>(s, tables, &of_block, begin..end, entries, &mut digits)?;
        let mut done = (end - begin) / L;
        // In the order of a push; within a step, rows do not meet.
        digits.sort_unstable_by_key(|d| std::cmp::Reverse((d.step, d.lane)));
        for digits in digits.chunk_by(|a, b| a.step == b.step) {
            let step = digits[0].step;
            take::<S, F, L>(s, tables, scratch, &mut states, of_rows, words, step + 1..done)?;
            done = step + 1;
            for d in digits {
                let x = &mut states[d.row / across][d.row % across * L + L - 1 - d.lane];
                let mut writer = WordWriter::new(words[d.row], of_rows.lens[d.row]);
                *x = tables.bypass?.push::<F>(*x, d.raw, &mut writer);
                if writer.overflowed() {
                    return None;
                }
                of_rows.lens[d.row] = writer.len();
            }
        }
        take::<S, F, L>(s, tables, scratch, &mut states, of_rows, words, 0..done)?;
        digits.clear();
        scratch.digits = digits;
    }
    for (row, lanes) in of_rows.states.chunks_exact_mut(L).enumerate() {
        for (lane, x) in lanes.iter_mut().enumerate() {
            *x = states[row / across][row % across * L + L - 1 - lane];
        }
    }
    Some(())
}

/// Takes the steps of a range, the last first.
fn take<S: Simd512, F: VectorFamily, const L: usize>(
    s: S,
    tables: &PackedTables<'_>,
    scratch: &mut Scratch,
    states: &mut [[F::State; 16]; VECTORS],
    of_rows: &mut RowStates<'_, F>,
    words: &mut [&mut [F::Word]],
    mut steps: Range<usize>,
) -> Option<()> {
    while !steps.is_empty() {
        let from = steps.end.saturating_sub(STEPS_EACH).max(steps.start);
        let steps_now = from..steps.end;
        s.vectorize(Take::<F, L> { tables, scratch, states, of_rows, words, steps: steps_now })?;
        steps.end = from;
    }
    Some(())
}

/// The symbols past the last full group, one row after another.
fn push_tails<F: VectorFamily, const L: usize>(
    view: &EncoderView<'_, F, DirectPlacement>,
    of_rows: &mut RowStates<'_, F>,
    words: &mut [&mut [F::Word]],
    symbols: SymbolSlice<'_>,
    columns: usize,
    first_row: usize,
    indexes: &Indexes<'_>,
) -> Option<()> {
    let tail = columns % L;
    if tail == 0 {
        return Some(());
    }
    let (states, _) = of_rows.states.as_chunks_mut::<L>();
    for (row, states) in states.iter_mut().enumerate() {
        let (of_row, len) = (indexes.row(first_row + row), &mut of_rows.lens[row]);
        let symbols = symbols.range(row * columns..(row + 1) * columns);
        encode_columns(view, states, words[row], len, symbols, of_row, columns - tail..columns)?;
    }
    Some(())
}

/// The second and the third loop: takes the steps of a range, the last first, and appends what they
/// emit.
struct Take<'a, 'u, 'w, 't, F: VectorFamily, const L: usize> {
    tables: &'a PackedTables<'t>,
    scratch: &'a mut Scratch,
    states: &'a mut [[F::State; 16]; VECTORS],
    of_rows: &'a mut RowStates<'u, F>,
    words: &'a mut [&'w mut [F::Word]],
    steps: Range<usize>,
}

impl<F: VectorFamily, const L: usize> Work for Take<'_, '_, '_, '_, F, L> {
    type Output = Option<()>;
}

impl<S: Simd512, F: VectorFamily, const L: usize> RunOn<S> for Take<'_, '_, '_, '_, F, L> {
    #[inline(always)]
    fn run(self, s: S) -> Option<()> {
        let Self { tables, scratch, states, of_rows, words, steps } = self;
        let across = 16 / L;
        let count = steps.len();
        let precision = tables.precision;
        let (low, one) = (s.splat(0xffff), s.splat(1));
        // Words go to as many places as there are rows: have the lines there before the stores wait
        // for them one after another.
        for (free, &len) in words.iter_mut().zip(of_rows.lens.iter()) {
            let line = 64 / size_of::<F::Word>();
            s.prefetch_to_write(free, len + line);
            s.prefetch_to_write(free, len + 2 * line);
        }
        let mut x: [F::States<S>; VECTORS] = std::array::from_fn(|u| F::load(s, &states[u]));
        for (k, step) in steps.rev().enumerate() {
            unroll!(u in 0 1 2 3 => {
                let entry = s.load(scratch.entries.at::<L>(u, step));
                let freq = s.add(s.shr(entry, 16), one);
                let (next, emitted) = F::push(s, x[u], freq, s.and(entry, low), precision);
                x[u] = next;
                let at = u * STEPS_EACH + k;
                s.store(emitted.words, &mut scratch.words[at]);
                scratch.first.set::<L>(at, emitted.first);
                if F::MAX_WORDS > 1 {
                    scratch.second.set::<L>(at, emitted.second);
                }
            });
        }
        for u in 0..VECTORS {
            F::store(s, x[u], &mut states[u]);
        }
        let rows = of_rows.lens.len();
        for u in 0..VECTORS {
            for k in (0..count).step_by(across) {
                let at = u * STEPS_EACH + k;
                let used = (count - k).min(across);
                let mut v = [s.splat(0); 16];
                for (v, words) in v.iter_mut().zip(&scratch.words[at..]).take(across) {
                    *v = s.load(words);
                }
                s.transpose::<L>(&mut v);
                let first = scratch.first.of_steps::<S, L>(s, at, used);
                let second = if F::MAX_WORDS > 1 {
                    scratch.second.of_steps::<S, L>(s, at, used)
                } else {
                    first
                };
                for (r, &words_of_row) in v.iter().enumerate().take(across) {
                    let row = u * across + r;
                    if row >= rows {
                        break;
                    }
                    let emitted = Emitted {
                        words: words_of_row,
                        first: first.of_row::<L>(s, r),
                        second: if F::MAX_WORDS > 1 { second.of_row::<L>(s, r) } else { 0 },
                    };
                    of_rows.lens[row] = F::emit(s, emitted, words[row], of_rows.lens[row])?;
                }
            }
        }
        Some(())
    }
}

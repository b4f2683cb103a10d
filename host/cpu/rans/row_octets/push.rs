//! Pushing rows side by side: 32 states, four octets, a tile of columns at a time.
//!
//! Symbols and indexes of a tile become places of entries; then the states take their steps, in
//! batches after which what they have emitted is regrouped by rows and appended. Lines of later
//! tiles are prefetched between the steps: rows lie a multiple of 4 KiB apart, where no prefetcher
//! looks, and all in one burst they would wait for each other.

use std::ops::Range;

use parans_kernels::codec::step::is_normalised;
use parans_kernels::codec::{AliasPlacement, EncoderView, Placement, RowIndexes, WordWriter};

use super::super::entries::bytes_of;
use super::super::tables::PackedTables;
use super::emitted::{Emitted, FreeWords, OctetWord};
use super::family::{OctetFamily, Remap};
use super::places::{BlockSymbols, Digits, FindPlaces, Widened};
use super::{OCTETS, STATES, STEPS};
use crate::cpu::block::EncodeBlock;
use crate::cpu::codec::{encode_columns, encoder_view, with_lanes};
use crate::plan::Plan;
use crate::simd::{Octets, Places, Quad, RunOn, Work, unroll};

/// How many tiles before their use lines are prefetched. Those of rows of one lane are short.
const fn tiles_ahead(lanes: usize) -> usize {
    if lanes == 1 { 2 } else { 1 }
}

/// What the loops pass on.
pub(super) struct Scratch<'a> {
    places: Places<'a>,
    widened: Widened,
    digits: Vec<Digits>,
}

impl<'a> Scratch<'a> {
    /// `None` where there are too many entries.
    pub(super) fn new(entries: &'a [Quad]) -> Option<Self> {
        Some(Self { places: Places::new(entries)?, widened: Widened::new(), digits: Vec::new() })
    }
}

/// The states of a block, by octet.
type States<F> = [[<F as parans_kernels::codec::RansFamily>::State; 8]; OCTETS];

/// What the rows read, symbols and indexes, as bytes.
struct Sources<'a> {
    of_rows: [[&'a [u8]; STATES]; 2],
    /// Bytes of each column.
    widths: [usize; 2],
}

impl<'a> Sources<'a> {
    fn new(block: &BlockSymbols<'a>) -> Self {
        let all = 0..block.columns;
        let none: [&[u8]; STATES] = [&[]; STATES];
        let (mut symbols, mut indexes) = (none, none);
        let of_rows = symbols.iter_mut().zip(&mut indexes).zip(&block.indexes).take(block.rows);
        for (row, ((symbols, indexes), &of_row)) in of_rows.enumerate() {
            *symbols = block.of_row(row, all.clone()).as_bytes();
            *indexes = bytes_of(of_row, all.clone());
        }
        let width = |bytes: &[u8]| bytes.len() / block.columns.max(1);
        Self { of_rows: [symbols, indexes], widths: [width(symbols[0]), width(indexes[0])] }
    }
}

/// Pushes a block's rows; `None` where the scalar path has to, from the start.
pub(super) fn rows<
    't,
    S: Octets,
    F: OctetFamily,
    const L: usize,
    const O: usize,
    const ALIAS: bool,
>(
    s: S,
    plan: &Plan,
    tables: &PackedTables<'t>,
    scratch: &mut Scratch<'t>,
    block: &mut EncodeBlock<'_, F>,
) -> Option<()> {
    let EncodeBlock { rows, symbols, columns, source: indexes } = block;
    let (symbols, columns, first_row) = (*symbols, *columns, rows.first);
    if !rows.states.iter().all(|&x| is_normalised::<F>(x)) {
        return None;
    }
    let count = rows.lens.len();
    let mut words = FreeWords::new(&mut *rows.words, rows.starts, rows.lens);
    let lanes = L * O;
    let whole = columns / lanes * lanes;
    let mut of_rows = [RowIndexes::One(0); STATES];
    for (row, of_row) in of_rows.iter_mut().enumerate().take(count) {
        *of_row = indexes.row(first_row + row);
    }
    let of_block = BlockSymbols { rows: count, symbols, columns, indexes: of_rows };
    let view = encoder_view::<F>(plan);
    match tables.alias {
        Some((_, remap)) => {
            let EncoderView { tables, entries, .. } = view;
            let placement = AliasPlacement { remap, precision: tables.precision };
            let view = EncoderView { tables, entries, placement };
            push_tails::<F, _>(&view, lanes, rows.states, &mut words, &of_block)?;
        }
        None => push_tails::<F, _>(&view, lanes, rows.states, &mut words, &of_block)?,
    }

    let mut states = [[F::LOWER_BOUND; 8]; OCTETS];
    states.as_flattened_mut()[..rows.states.len()].copy_from_slice(rows.states);
    let (sources, wide) = (Sources::new(&of_block), of_block.wide());
    let octets = rows.states.len().div_ceil(8);
    for begin in (0..whole).step_by(STEPS * lanes).rev() {
        let end = (begin + STEPS * lanes).min(whole);
        let Scratch { places, widened, digits } = scratch;
        let (block, wide, range) = (&of_block, &wide, begin..end);
        s.vectorize(FindPlaces { lanes, tables, block, wide, range, places, widened, digits })?;
        let ahead = begin.saturating_sub(tiles_ahead(lanes) * STEPS * lanes)
            ..begin.saturating_sub((tiles_ahead(lanes) - 1) * STEPS * lanes);
        // In the order of a push; within a step, rows do not meet.
        let mut digits = std::mem::take(digits);
        digits.sort_unstable_by_key(|d| std::cmp::Reverse((d.step, d.lane)));
        let mut done = (end - begin) / lanes;
        macro_rules! take {
            ($steps:expr) => {
                s.vectorize(Take::<F, L, O, ALIAS> {
                    tables,
                    octets,
                    places: &scratch.places,
                    states: &mut states,
                    words: &mut words,
                    sources: &sources,
                    ahead: ahead.clone(),
                    steps: $steps,
                })?
            };
        }
        for digits in digits.chunk_by(|a, b| a.step == b.step) {
            let step = digits[0].step;
            take!(step + 1..done);
            done = step + 1;
            for d in digits {
                let x = &mut states.as_flattened_mut()[d.row * lanes + d.lane];
                let mut writer = WordWriter::new(words.of_row(d.row), 0);
                *x = tables.bypass?.push::<F>(*x, d.raw, &mut writer);
                if writer.overflowed() {
                    return None;
                }
                let len = writer.len();
                words.take(d.row, len);
            }
        }
        digits.clear();
        scratch.digits = digits;
        take!(0..done);
    }
    rows.states.copy_from_slice(&states.as_flattened()[..rows.states.len()]);
    for (row, len) in rows.lens.iter_mut().enumerate() {
        *len = rows.starts[row + 1] - rows.starts[row] - words.len(row);
    }
    Some(())
}

/// The symbols past the last full group, one row after another.
fn push_tails<F: OctetFamily, P: Placement>(
    view: &EncoderView<'_, F, P>,
    lanes: usize,
    states: &mut [F::State],
    words: &mut FreeWords<'_, F::Word>,
    block: &BlockSymbols<'_>,
) -> Option<()> {
    let columns = block.columns;
    let tail = columns % lanes;
    if tail == 0 {
        return Some(());
    }
    for (row, states) in states.chunks_exact_mut(lanes).enumerate() {
        let (of_row, symbols) = (block.indexes[row], block.of_row(row, 0..columns));
        let (free, mut len) = (words.of_row(row), 0);
        let tail = columns - tail..columns;
        with_lanes!(lanes, L => {
            let states: &mut [F::State; L] = states.try_into().ok()?;
            encode_columns(view, states, free, &mut len, symbols, of_row, tail)?;
        });
        words.take(row, len);
    }
    Some(())
}

/// Takes the steps of a range, the last first, and appends what they emit.
struct Take<'a, 'w, 't, F: OctetFamily, const L: usize, const O: usize, const ALIAS: bool> {
    tables: &'a PackedTables<'t>,
    /// How many octets have a row.
    octets: usize,
    places: &'a Places<'t>,
    states: &'a mut States<F>,
    words: &'a mut FreeWords<'w, F::Word>,
    sources: &'a Sources<'a>,
    /// Columns to prefetch.
    ahead: Range<usize>,
    steps: Range<usize>,
}

impl<F: OctetFamily, const L: usize, const O: usize, const ALIAS: bool> Work
    for Take<'_, '_, '_, F, L, O, ALIAS>
{
    type Output = Option<()>;
}

impl<S: Octets, F: OctetFamily, const L: usize, const O: usize, const ALIAS: bool> RunOn<S>
    for Take<'_, '_, '_, F, L, O, ALIAS>
{
    #[inline(always)]
    fn run(self, s: S) -> Option<()> {
        let Self { tables, octets, places, states, words, sources, ahead, steps } = self;
        let (batch, lanes) = (8 / L, L * O);
        let (precision, stride) = (tables.precision, STEPS * lanes);
        let (places, zero) = (places.view(), s.splat(0));
        let remap = Remap::new(s, tables);
        let mut free = words.take_all();
        let mut x: [F::States<S>; OCTETS] = std::array::from_fn(|u| F::load(s, &states[u]));
        let mut emitted = Emitted::new(zero);
        let ahead_of = sources.widths.map(|width| (width * ahead.start, width * ahead.len()));
        let mut end = steps.end;
        while end > steps.start {
            let now = batch.min(end - steps.start);
            if now < batch {
                emitted.clear_from(now);
            }
            // Each batch prefetches as many lines as its steps have octets: one of each row, or
            // those of the only one; first of symbols and then of indexes.
            let line = (end - 1) / batch * if O == 1 { 64 } else { 64 * OCTETS };
            let lines = ahead_of[0].1.next_multiple_of(64);
            let (of, line) = if line < lines { (0, line) } else { (1, line - lines) };
            let (prefetch, at) = (line < ahead_of[of].1, ahead_of[of].0 + line);
            let of_rows = &sources.of_rows[of];
            for k in 0..now {
                let step = (end - 1 - k) % STEPS;
                if prefetch {
                    unroll!(u in 0 1 2 3 => {
                        if O == 1 {
                            s.prefetch_near(of_rows[OCTETS * k + u], at);
                        } else {
                            s.prefetch_near(of_rows[0], at + 64 * u);
                        }
                    });
                }
                unroll!(pair in 0 1 => {
                    const A: usize = 2 * pair;
                    const B: usize = 2 * pair + 1;
                    let at = |u: usize| u / O * (8 / L) * stride + step * lanes + u % O * 8;
                    // A branch per octet, which keeps the compiler from mixing the code of one with
                    // that of the next: it would not have the registers.
                    if A < octets {
                        let (a, from_a) = F::push::<S, L, ALIAS>(s, x[A], places, at(A), stride, precision, &remap);
                        x[A] = a;
                        let mut from_b = [zero; 2];
                        if B < octets {
                            let (b, from) = F::push::<S, L, ALIAS>(s, x[B], places, at(B), stride, precision, &remap);
                            (x[B], from_b) = (b, from);
                        }
                        F::Word::note(s, &mut emitted, pair, k, [from_a, from_b]);
                    }
                });
            }
            F::Word::append::<S, L, O>(s, &emitted, octets, &mut free);
            end -= now;
        }
        for u in 0..OCTETS {
            F::store(s, x[u], &mut states[u]);
        }
        *words = free;
        words.check()
    }
}

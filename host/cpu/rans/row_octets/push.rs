//! Pushing rows side by side: 32 states, four octets, a tile of columns at a time.
//!
//! Symbols and indexes of a tile become places of entries; then the states take their steps, in
//! batches after which what they have emitted is regrouped by rows and appended. Lines of later
//! tiles are prefetched between the steps: rows lie a multiple of 4 KiB apart, where no prefetcher
//! looks, and all in one burst they would wait for each other.

use std::ops::Range;

use parans_kernels::codec::step::is_normalised;
use parans_kernels::codec::{DirectPlacement, EncoderView, RowIndexes, WordWriter};

use super::super::entries::bytes_of;
use super::super::tables::PackedTables;
use super::emitted::{Emitted, FreeWords, OctetWord};
use super::family::OctetFamily;
use super::places::{BlockSymbols, Digits, FindPlaces, Widened};
use super::{OCTETS, STATES, columns_to_push};
use crate::cpu::block::{EncodeBlock, split_rows};
use crate::cpu::codec::encode_columns;
use crate::simd::{Octets, Places, Quad, RunOn, Work, unroll};

/// How many tiles before their use lines are prefetched.
const TILES_AHEAD: usize = 2;

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

/// What a row reads in a later tile: symbols and indexes.
type Ahead<'a> = [[&'a [u8]; STATES]; 2];

/// Pushes a block's rows; `None` where the scalar path has to, from the start.
pub(super) fn rows<'t, S: Octets, F: OctetFamily, const L: usize>(
    s: S,
    tables: &PackedTables<'t>,
    view: &EncoderView<'_, F, DirectPlacement>,
    scratch: &mut Scratch<'t>,
    block: &mut EncodeBlock<'_, F>,
) -> Option<()> {
    let EncodeBlock { rows, symbols, columns, source: indexes } = block;
    let (symbols, columns, first_row) = (*symbols, *columns, rows.first);
    if !rows.states.iter().all(|&x| is_normalised::<F>(x)) {
        return None;
    }
    let count = rows.lens.len();
    let mut words = FreeWords::new(split_rows(&mut *rows.words, rows.starts), rows.lens);
    let groups = columns / L;
    let mut of_rows = [RowIndexes::One(0); STATES];
    for (row, of_row) in of_rows.iter_mut().enumerate().take(count) {
        *of_row = indexes.row(first_row + row);
    }
    let of_block = BlockSymbols { rows: count, symbols, columns, indexes: of_rows };
    push_tails::<F, L>(view, rows.states, &mut words, &of_block)?;

    let mut states = [[F::LOWER_BOUND; 8]; OCTETS];
    states.as_flattened_mut()[..rows.states.len()].copy_from_slice(rows.states);
    let tile = columns_to_push(L);
    let mut ahead: Ahead<'_> = [[&[]; STATES]; 2];
    for begin in (0..groups * L).step_by(tile).rev() {
        let end = (begin + tile).min(groups * L);
        let Scratch { places, widened, digits } = scratch;
        let (block, range) = (&of_block, begin..end);
        s.vectorize(FindPlaces::<L> { tables, block, range, places, widened, digits })?;
        let later = begin.saturating_sub(TILES_AHEAD * tile)
            ..begin.saturating_sub((TILES_AHEAD - 1) * tile);
        let [symbols_ahead, indexes_ahead] = &mut ahead;
        for (row, ahead) in symbols_ahead.iter_mut().enumerate().take(count) {
            *ahead = of_block.of_row(row, later.clone()).as_bytes();
        }
        for (ahead, &of_row) in indexes_ahead.iter_mut().zip(&of_rows[..count]) {
            *ahead = bytes_of(of_row, later.clone());
        }
        // In the order of a push; within a step, rows do not meet.
        let mut digits = std::mem::take(digits);
        digits.sort_unstable_by_key(|d| std::cmp::Reverse((d.step, d.lane)));
        let mut done = (end - begin) / L;
        for digits in digits.chunk_by(|a, b| a.step == b.step) {
            let step = digits[0].step;
            let (places, states, words) = (&scratch.places, &mut states, &mut words);
            let steps = step + 1..done;
            s.vectorize(Take::<F, L> { tables, places, states, words, ahead: &ahead, steps })?;
            done = step + 1;
            for d in digits {
                let x = &mut states.as_flattened_mut()[d.row * L + d.lane];
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
        let (places, states, words) = (&scratch.places, &mut states, &mut words);
        s.vectorize(Take::<F, L> { tables, places, states, words, ahead: &ahead, steps: 0..done })?;
    }
    rows.states.copy_from_slice(&states.as_flattened()[..rows.states.len()]);
    for (row, len) in rows.lens.iter_mut().enumerate() {
        *len = rows.starts[row + 1] - rows.starts[row] - words.len(row);
    }
    Some(())
}

/// The symbols past the last full group, one row after another.
fn push_tails<F: OctetFamily, const L: usize>(
    view: &EncoderView<'_, F, DirectPlacement>,
    states: &mut [F::State],
    words: &mut FreeWords<'_, F::Word>,
    block: &BlockSymbols<'_>,
) -> Option<()> {
    let columns = block.columns;
    let tail = columns % L;
    if tail == 0 {
        return Some(());
    }
    let (states, _) = states.as_chunks_mut::<L>();
    for (row, states) in states.iter_mut().enumerate() {
        let (of_row, symbols) = (block.indexes[row], block.of_row(row, 0..columns));
        let (free, mut len) = (words.of_row(row), 0);
        let tail = columns - tail..columns;
        encode_columns(view, states, free, &mut len, symbols, of_row, tail)?;
        words.take(row, len);
    }
    Some(())
}

/// Takes the steps of a range, the last first, and appends what they emit.
struct Take<'a, 'w, 't, F: OctetFamily, const L: usize> {
    tables: &'a PackedTables<'t>,
    places: &'a Places<'t>,
    states: &'a mut States<F>,
    words: &'a mut FreeWords<'w, F::Word>,
    ahead: &'a Ahead<'a>,
    steps: Range<usize>,
}

impl<F: OctetFamily, const L: usize> Work for Take<'_, '_, '_, F, L> {
    type Output = Option<()>;
}

impl<S: Octets, F: OctetFamily, const L: usize> RunOn<S> for Take<'_, '_, '_, F, L> {
    #[inline(always)]
    fn run(self, s: S) -> Option<()> {
        let Self { tables, places, states, words, ahead, steps } = self;
        let batch = 8 / L;
        let (precision, stride) = (tables.precision, columns_to_push(L));
        let mut x: [F::States<S>; OCTETS] = std::array::from_fn(|u| F::load(s, &states[u]));
        let mut emitted = Emitted::new(s.splat(0));
        let symbols_end = ahead[0][0].len().div_ceil(64);
        let mut end = steps.end;
        while end > steps.start {
            let now = batch.min(end - steps.start);
            if now < batch {
                emitted.clear_from(now);
            }
            for k in 0..now {
                let step = end - 1 - k;
                // As many lines as octets, of as many rows, first of symbols and then of indexes.
                let (row, line) = (OCTETS * step % (STATES / L), OCTETS * step / (STATES / L));
                let (of, line) =
                    if line < symbols_end { (0, line) } else { (1, line - symbols_end) };
                if 64 * line < ahead[of][0].len() {
                    unroll!(u in 0 1 2 3 => { s.prefetch_near(ahead[of][row + u], 64 * line); });
                }
                unroll!(pair in 0 1 => {
                    const A: usize = 2 * pair;
                    const B: usize = 2 * pair + 1;
                    let at = step * L;
                    let at_a = A * batch * stride + at;
                    let (a, from_a) = F::push::<S, L>(s, x[A], places, at_a, stride, precision);
                    let at_b = B * batch * stride + at;
                    let (b, from_b) = F::push::<S, L>(s, x[B], places, at_b, stride, precision);
                    (x[A], x[B]) = (a, b);
                    F::Word::note(s, &mut emitted, pair, k, [from_a, from_b]);
                });
            }
            F::Word::append::<S, L>(s, &emitted, words);
            end -= now;
        }
        for u in 0..OCTETS {
            F::store(s, x[u], &mut states[u]);
        }
        words.check()
    }
}

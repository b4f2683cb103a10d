//! Several rows at once in scalar registers, or one of many lanes: eight states in flight hide each
//! other's latency, and no vectors are needed.
//!
//! A single state waits for itself: the load of its bucket or entry, a multiplication, a
//! comparison, about 20 cycles and more. Eight independent ones take little longer than one. This
//! serves processors without AVX-512, and fewer rows than fill vectors.
//!
//! Rows advance a chunk at a time: a loop without states looks up what the indexes (and on push the
//! symbols) stand for, and one over the states takes the steps, without a branch on what it
//! decodes. The codec codes chunks in which anything comes up that this path leaves to it (a few
//! columns, a few words, on push skipped symbols and bypass digits), so results and errors are the
//! codec's own.

use parans_kernels::codec::step::{advance, is_normalised, slot};
use parans_kernels::codec::table_row::TablesView;
use parans_kernels::codec::{
    self, BypassCode, DecoderView, RansFamily, StateInt, WordInt, WordReader,
};
use std::hint::select_unpredictable;

use super::tables::PackedTables;
use crate::cpu::block::{DecodeBlock, EncodeBlock};
use crate::cpu::codec::{encode_columns, encoder_view, pop_row, tables_view};
use crate::family::HostFamily;
use crate::plan::Plan;
use crate::simd::{Bits, RunOn, Work, dispatch_bits, unroll};
use crate::tables::{ExactEntry, OneSymbolLookup};

/// Symbols of a row in a chunk. Shorter rows would go to the codec chunk by chunk.
pub(super) const CHUNK: usize = 64;

/// Fewer states gain nothing; those of one row of four lanes are in flight together in the codec as
/// well.
pub(super) const fn least_states_to_pop(lanes: usize) -> usize {
    if lanes < 4 { 4 } else { 8 }
}

/// One row of one lane keeps its words and its state in registers, which measured faster than eight
/// rows that do not.
pub(super) const fn least_states_to_push(lanes: usize) -> usize {
    if lanes < 4 { usize::MAX } else { lanes }
}

/// Most words that a row's chunk takes: at precisions up to 16 a symbol takes two bytes at most.
const MOST_WORDS: usize = 2 * CHUNK;

/// Pops as many of the block's rows as fill registers; gives back rows that it gave up.
pub(super) fn pop<'a, F: HostFamily>(
    plan: &Plan,
    tables: &PackedTables<'_>,
    block: &mut DecodeBlock<'a, F>,
) -> Option<DecodeBlock<'a, F>> {
    match plan.lanes {
        1 => pop_rows::<F, 1, 8>(plan, tables, block),
        2 => pop_rows::<F, 2, 4>(plan, tables, block),
        4 => pop_rows::<F, 4, 2>(plan, tables, block),
        8 => pop_rows::<F, 8, 1>(plan, tables, block),
        _ => pop_rows::<F, 32, 1>(plan, tables, block),
    }
}

fn pop_rows<'a, F: HostFamily, const L: usize, const R: usize>(
    plan: &Plan,
    tables: &PackedTables<'_>,
    block: &mut DecodeBlock<'a, F>,
) -> Option<DecodeBlock<'a, F>> {
    let size = |rows: usize| (rows * L >= least_states_to_pop(L)).then(|| rows.min(R));
    block.in_batches(size, |rows| pop_together::<F, L, R>(plan, tables, rows))
}

/// Pops up to `R` rows; `None` where the scalar path has to, from the start.
fn pop_together<F: HostFamily, const L: usize, const R: usize>(
    plan: &Plan,
    tables: &PackedTables<'_>,
    block: &mut DecodeBlock<'_, F>,
) -> Option<()> {
    if !block.states.iter().all(|&x| is_normalised::<F>(x)) {
        return None;
    }
    let view = DecoderView { tables: tables_view(plan), lookup: OneSymbolLookup(tables.form) };
    let count = block.lens.len();
    let columns = block.columns;
    let words = block.words;
    // Rows that are not there skip every symbol.
    let mut x = [[F::LOWER_BOUND; L]; R];
    x.as_flattened_mut()[..count * L].copy_from_slice(block.states);
    let mut floors = [0; R];
    let mut ends = [words.len(); R];
    for (r, (floor, end)) in floors.iter_mut().zip(&mut ends).enumerate().take(count) {
        *floor = block.starts[r];
        *end = block.starts[r] + block.lens[r];
    }
    let skipped = tables.count << tables.form.one_symbol().bits;
    let mut buckets = [[skipped; CHUNK]; R];
    let mut symbols = [[0; CHUNK]; R];
    // The last words of each row behind zeros, for rows that stand at the front of all words.
    let mut window = Vec::new();
    for at in (0..columns).step_by(CHUNK) {
        let end = (at + CHUNK).min(columns);
        let few = ends[..count].iter().any(|&end| end < MOST_WORDS);
        let (mut new_x, mut new_ends) = (x, ends);
        let done = end - at == CHUNK && {
            for (r, buckets) in buckets.iter_mut().enumerate().take(count) {
                tables.find_buckets(block.source.row(block.first + r), at, buckets)?;
            }
            let words = if few {
                window.clear();
                window.resize(2 + R * MOST_WORDS, F::Word::default());
                for (r, (end, &floor)) in new_ends.iter_mut().zip(&floors).enumerate().take(count) {
                    let from = floor.max(end.saturating_sub(MOST_WORDS));
                    let to = 2 + (r + 1) * MOST_WORDS;
                    window[to - (*end - from)..to].copy_from_slice(&words[from..*end]);
                    *end = to;
                }
                for end in &mut new_ends[count..] {
                    *end = window.len();
                }
                &window
            } else {
                words
            };
            // A window does not reach as far as bypass digits may.
            let bypass = tables.bypass.map(|bypass| (bypass, !few));
            let steps = PopSteps::<F, L, R> {
                tables,
                bypass,
                x: &mut new_x,
                words,
                ends: &mut new_ends,
                floors: &floors,
                buckets: &buckets,
                symbols: &mut symbols,
            };
            dispatch_bits(steps)
        };
        if done {
            if few {
                for (r, end) in new_ends.iter_mut().enumerate() {
                    *end = ends[r].wrapping_sub(2 + (r + 1) * MOST_WORDS).wrapping_add(*end);
                }
            }
            // A row that ran out of words took those of the row before, or wrapped around.
            let fine = |(end, floor): (&usize, &usize)| end.wrapping_sub(*floor) as isize >= 0;
            if !new_ends.iter().zip(&floors).take(count).all(fine) {
                return None;
            }
            (x, ends) = (new_x, new_ends);
        } else {
            for r in 0..count {
                let of_row = block.source.row(block.first + r);
                let index: [i32; CHUNK] = std::array::from_fn(|column| of_row.at(at + column));
                let index = codec::RowIndexes::Each(&index[..end - at]);
                let mut reader = WordReader::new(&words[floors[r]..ends[r]]);
                let out = &mut symbols[r][..end - at];
                pop_row::<F, _, L>(&view, &mut x[r], &mut reader, out, index).ok()?;
                ends[r] = floors[r] + reader.len();
            }
        }
        for (r, symbols) in symbols.iter().enumerate().take(count) {
            let out = &mut block.symbols.range(r * columns + at..r * columns + end);
            out.narrow(&symbols[..end - at]).ok()?;
        }
    }
    block.states.copy_from_slice(&x.as_flattened()[..count * L]);
    for (r, len) in block.lens.iter_mut().enumerate() {
        *len = ends[r] - floors[r];
    }
    Some(())
}

/// A chunk of steps of `R` rows of `L` lanes.
struct PopSteps<'a, F: RansFamily, const L: usize, const R: usize> {
    tables: &'a PackedTables<'a>,
    /// And whether the digits can be popped here.
    bypass: Option<(BypassCode, bool)>,
    x: &'a mut [[F::State; L]; R],
    words: &'a [F::Word],
    ends: &'a mut [usize; R],
    floors: &'a [usize; R],
    buckets: &'a [[u32; CHUNK]; R],
    symbols: &'a mut [[i32; CHUNK]; R],
}

impl<F: RansFamily, const L: usize, const R: usize> Work for PopSteps<'_, F, L, R> {
    type Output = bool;
}

impl<B: Bits, F: RansFamily, const L: usize, const R: usize> RunOn<B> for PopSteps<'_, F, L, R> {
    #[inline(always)]
    fn run(self, _bits: B) -> bool {
        match self.bypass {
            None => self.take::<false>(),
            Some(_) => self.take::<true>(),
        }
    }
}

impl<F: RansFamily, const L: usize, const R: usize> PopSteps<'_, F, L, R> {
    /// Takes the steps; false where the codec has to.
    #[inline(always)]
    fn take<const BYPASS: bool>(self) -> bool {
        let Self {
            tables,
            bypass,
            x: states,
            words,
            ends: of_rows,
            floors,
            buckets: first,
            symbols,
        } = self;
        let packed = tables.packed;
        let precision = tables.precision;
        let bits = tables.form.one_symbol().bits;
        let coarse = precision - bits;
        let buckets = tables.form.one_symbol().buckets.as_slice();
        let last_of_all =
            packed.uniform.map(|(size, offset)| offset.wrapping_add(size).wrapping_sub(1));
        let mut x = *states;
        let mut ends = *of_rows;
        for step in 0..CHUNK / L {
            let mut outside = false;
            // State i is lane `i mod L` of row `i div L`.
            for eight in 0..L * R / 8 {
                unroll!(i in 0 1 2 3 4 5 6 7 => {
                    let (r, lane) = ((8 * eight + i) / L, (8 * eight + i) % L);
                    let column = step * L + lane;
                    let slot = slot::<F>(x[r][lane], precision);
                    let first = first[r][column];
                    let Some(&bucket) = buckets.get((first + (slot >> coarse)) as usize) else {
                        return false;
                    };
                    let (mut interval, mut symbol) = (bucket as u32, (bucket >> 32) as u32);
                    let mut rank = slot.wrapping_sub(interval & 0xffff);
                    if rank > interval >> 16 {
                        (interval, symbol) = packed.find((first >> bits) as usize, slot);
                        rank = slot.wrapping_sub(interval & 0xffff);
                    }
                    symbols[r][column] = symbol as i32;
                    if BYPASS {
                        let last = last_of_all.unwrap_or_else(|| {
                            packed.last((first >> bits) as usize)
                        });
                        outside |= symbol == last;
                    }
                    let state = advance::<F>(x[r][lane], precision, (interval >> 16) + 1, rank);
                    let Some(state) = renormalise::<F>(state, words, &mut ends[r]) else { return false };
                    x[r][lane] = state;
                });
            }
            if BYPASS
                && outside
                && let Some((bypass, here)) = bypass
            {
                let (mut all, mut all_ends) = (x, ends);
                let (x_of, ends_of) = (&mut all, &mut all_ends);
                if !here
                    || digits::<F, L, R>(
                        bypass, tables, step, x_of, words, ends_of, floors, first, symbols,
                    )
                    .is_none()
                {
                    return false;
                }
                (x, ends) = (all, all_ends);
            }
        }
        *states = x;
        *of_rows = ends;
        true
    }
}

/// Pops the bypass digits of the states whose symbol of this step is the last of its table.
#[cold]
#[inline(never)]
#[allow(
    clippy::too_many_arguments,
    reason = "each is a thing of its own; a struct for one call would only move them"
)]
fn digits<F: RansFamily, const L: usize, const R: usize>(
    bypass: BypassCode,
    tables: &PackedTables<'_>,
    step: usize,
    x: &mut [[F::State; L]; R],
    words: &[F::Word],
    ends: &mut [usize; R],
    floors: &[usize; R],
    first: &[[u32; CHUNK]; R],
    symbols: &mut [[i32; CHUNK]; R],
) -> Option<()> {
    for (r, x) in x.iter_mut().enumerate() {
        for (lane, x) in x.iter_mut().enumerate() {
            let column = step * L + lane;
            let table = first[r][column] >> tables.form.one_symbol().bits;
            let symbol = &mut symbols[r][column];
            if table >= tables.count || *symbol as u32 != tables.packed.last(table as usize) {
                continue;
            }
            let mut reader = WordReader::new(words.get(floors[r]..ends[r])?);
            let (state, raw) = bypass.pop::<F>(*x, &mut reader).ok()?;
            if reader.underflowed() {
                return None;
            }
            *x = state;
            ends[r] = floors[r] + reader.len();
            let table = tables.packed.table(table as usize);
            *symbol = TablesView::symbol(&table, BypassCode::value(raw, table.symbols - 1)).ok()?;
        }
    }
    Some(())
}

/// Renormalises a state by selections: whether it takes a word is a toss-up that no branch
/// predictor guesses.
#[inline(always)]
fn renormalise<F: RansFamily>(x: F::State, words: &[F::Word], end: &mut usize) -> Option<F::State> {
    let word = |back: usize| words.get(end.wrapping_sub(back)).map(|word| word.to_u32());
    if F::MAX_WORDS == 1 {
        let more = (x << F::WORD_BITS) | F::State::from_u32(word(1)?);
        let wants = x < F::LOWER_BOUND;
        *end = end.wrapping_sub(usize::from(wants));
        Some(select_unpredictable(wants, more, x))
    } else {
        // Precisions up to 16 leave at most two bytes wanted.
        let wants = u32::from(x < F::LOWER_BOUND) + u32::from(x < F::LOWER_BOUND >> F::WORD_BITS);
        let two = (word(1)? << F::WORD_BITS) | word(2)?;
        *end = end.wrapping_sub(wants as usize);
        let low = two >> (F::WORD_BITS * (2 - wants));
        Some((x << (wants * F::WORD_BITS)) | F::State::from_u32(low))
    }
}

/// Pushes as many of the block's rows as fill registers; gives back rows that it gave up.
pub(super) fn push<'a, F: HostFamily>(
    plan: &Plan,
    tables: &PackedTables<'_>,
    block: &mut EncodeBlock<'a, F>,
) -> Option<EncodeBlock<'a, F>> {
    let one = |rows: usize| (rows > 0).then_some(1);
    match plan.lanes {
        4 => block.in_batches(one, |row| push_row::<F, 4>(plan, tables, row)),
        8 => block.in_batches(one, |row| push_row::<F, 8>(plan, tables, row)),
        _ => block.in_batches(one, |row| push_row::<F, 32>(plan, tables, row)),
    }
}

/// Pushes a row; `None` where the scalar path has to, from the start.
fn push_row<F: HostFamily, const L: usize>(
    plan: &Plan,
    tables: &PackedTables<'_>,
    block: &mut EncodeBlock<'_, F>,
) -> Option<()> {
    let view = encoder_view::<F>(plan);
    let entries = F::exact(plan.tables.prepared());
    let (columns, values) = (block.columns, block.symbols);
    let rows = &mut block.rows;
    let indexes = block.source.row(rows.first);
    if !rows.states.iter().all(|&x| is_normalised::<F>(x)) {
        return None;
    }
    let x: &mut [F::State; L] = (&mut *rows.states).try_into().ok()?;
    let words = &mut rows.words[..rows.starts[1] - rows.starts[0]];
    let len = &mut rows.lens[0];
    let mut positions = [0u32; CHUNK];
    for at in (0..columns).step_by(CHUNK).rev() {
        let end = (at + CHUNK).min(columns);
        let plain = end - at == CHUNK
            && words.len() - *len > MOST_WORDS
            && tables.find_intervals(values.range(at..end), indexes, at, &mut positions);
        if plain {
            let positions = &positions;
            dispatch_bits(PushSteps::<F, L> { entries, x, words, len, positions })?;
            continue;
        }
        encode_columns(&view, x, words, len, values, indexes, at..end)?;
    }
    Some(())
}

/// A chunk of steps of a row of `L` lanes that has capacity for all that it can emit. Four states
/// at a time: with what else a step needs, registers hold no more.
struct PushSteps<'a, F: RansFamily, const L: usize> {
    entries: &'a [ExactEntry<F::State>],
    x: &'a mut [F::State; L],
    words: &'a mut [F::Word],
    len: &'a mut usize,
    positions: &'a [u32; CHUNK],
}

impl<F: RansFamily, const L: usize> Work for PushSteps<'_, F, L> {
    type Output = Option<()>;
}

impl<B: Bits, F: RansFamily, const L: usize> RunOn<B> for PushSteps<'_, F, L> {
    #[inline(always)]
    fn run(self, _bits: B) -> Option<()> {
        let Self { entries, x: states, words, len, positions } = self;
        let mut x = *states;
        let mut end = *len;
        for step in (0..CHUNK / L).rev() {
            // The last lane goes first.
            for four in (0..L / 4).rev() {
                unroll!(i in 3 2 1 0 => {
                    let lane = 4 * four + i;
                    let entry = entries.get(positions[step * L + lane] as usize)?;
                    let mut state = x[lane];
                    // Precisions up to 16 emit at most two bytes.
                    for _ in 0..F::MAX_WORDS.min(2) {
                        let (less, emits) = entry.emit::<F>(state);
                        *words.get_mut(end)? = F::Word::from_low(state.low_u32());
                        end += usize::from(emits);
                        state = select_unpredictable(emits, less, state);
                    }
                    x[lane] = entry.push(state);
                });
            }
        }
        *states = x;
        *len = end;
        Some(())
    }
}

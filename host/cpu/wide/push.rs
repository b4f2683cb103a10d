//! Pushing a unit: up to 64 states, four vectors of sixteen, a stretch of columns at a time.
//!
//! A stretch goes through three loops, each of which does one thing to data that the first-level cache holds:
//! 1. symbols and indexes, row by row, become packed entries, regrouped so that one vector holds one step of all its states;
//! 2. the states take their steps, and what they shed is written down with a mask, unpacked;
//! 3. the shed words, regrouped row by row, are compressed and appended sixteen steps at a time. A scatter of single words, or a scalar store for
//!    each, costs more than the whole of the arithmetic.

use parans_kernels::codec::{WordWriter, row::EncoderView};

use super::family::{Shed, WideFamily};
use super::tables::{WideTables, load_indexes, load_symbols, prefetch_indexes};
use super::{STEPS, Unit, each_vector, regroup};
use crate::coder::{Indexes, Symbol};
use crate::simd::rows::{RowSimd, RowWork};
use parans_kernels::codec::step::is_normalised;
use parans_kernels::codec::{self, DirectPlacement};

/// Bypass digits that a row pushes before a step.
struct Digits {
    step: usize,
    row: usize,
    lane: usize,
    raw: u32,
}

/// What a stretch keeps in the first-level cache.
pub(super) struct Scratch {
    entries: [[u32; 16]; STEPS],
    words: [[u32; 16]; STEPS],
    first: [[u16; 16]; STEPS],
    second: [[u16; 16]; STEPS],
}

impl Scratch {
    /// Holds nothing that a stretch reads before writing it.
    pub(super) fn new() -> Self {
        Self {
            entries: [[0; 16]; STEPS],
            words: [[0; 16]; STEPS],
            first: [[0; 16]; STEPS],
            second: [[0; 16]; STEPS],
        }
    }
}

/// Which bit of a step's mask each of sixteen words of a row stands at, less the row's first.
const fn lane_bits<const L: usize>() -> [u32; 16] {
    let mut bits = [0; 16];
    let mut e = 0;
    while e < 16 {
        bits[e] = 1 << (e % L);
        e += 1;
    }
    bits
}

/// Pushes a unit's rows; `None` where the scalar path has to, from the start.
#[allow(
    clippy::too_many_arguments,
    reason = "each is a thing of its own; a struct for one call would only move them"
)]
pub(super) fn unit<S: RowSimd, F: WideFamily, T: Symbol, const L: usize, const U: usize>(
    s: S,
    tables: &WideTables<'_>,
    view: &EncoderView<'_, F, DirectPlacement>,
    scratch: &mut Scratch,
    unit: &mut Unit<'_, F>,
    words: &mut [&mut [F::Word]],
    symbols: &[T],
    columns: usize,
    indexes: &Indexes<'_>,
) -> Option<()> {
    let across = 16 / L;
    let steps_a_stretch = STEPS / U;
    let rows = unit.lens.len();
    if !unit.states.iter().all(|&x| is_normalised::<F>(x)) {
        return None;
    }
    let groups = columns / L;
    push_tails::<F, T, L>(view, unit, words, symbols, columns, indexes)?;

    let mut states = [[F::LOWER_BOUND; 16]; U];
    for (row, lanes) in unit.states.chunks_exact(L).enumerate() {
        // Lanes in the opposite order: the last one's words come first.
        for (lane, &x) in lanes.iter().enumerate() {
            states[row / across][row % across * L + L - 1 - lane] = x;
        }
    }
    let mut digits: Vec<Digits> = Vec::new();
    let take = |scratch: &mut Scratch,
                states: &mut [[F::State; 16]; U],
                unit: &mut Unit<'_, F>,
                words: &mut [&mut [F::Word]],
                steps: std::ops::Range<usize>| {
        s.vectorize(Take::<F, L, U> { tables, scratch, states, unit, words, steps })
    };
    let stretch_columns = steps_a_stretch * L;
    for stretch in (0..groups.div_ceil(steps_a_stretch)).rev() {
        let begin = stretch * stretch_columns;
        let end = (begin + stretch_columns).min(groups * L);
        let steps = (end - begin) / L;
        digits.clear();
        s.vectorize(Number::<T, L, U> {
            tables,
            scratch,
            digits: &mut digits,
            first_row: unit.first,
            rows,
            symbols,
            columns,
            indexes,
            range: begin..end,
        })?;
        let mut done = steps;
        if !digits.is_empty() {
            // In the order of a push; within a step, rows do not meet.
            digits.sort_unstable_by_key(|d| std::cmp::Reverse((d.step, d.lane)));
            for digits in digits.chunk_by(|a, b| a.step == b.step) {
                let step = digits[0].step;
                take(scratch, &mut states, unit, words, step + 1..done)?;
                done = step + 1;
                for d in digits {
                    let x = &mut states[d.row / across][d.row % across * L + L - 1 - d.lane];
                    let mut writer = WordWriter::new(words[d.row], unit.lens[d.row]);
                    *x = tables.bypass?.push::<F>(*x, d.raw, &mut writer);
                    if writer.overflowed() {
                        return None;
                    }
                    unit.lens[d.row] = writer.len();
                }
            }
        }
        take(scratch, &mut states, unit, words, 0..done)?;
    }
    for (row, lanes) in unit.states.chunks_exact_mut(L).enumerate() {
        for (lane, x) in lanes.iter_mut().enumerate() {
            *x = states[row / across][row % across * L + L - 1 - lane];
        }
    }
    Some(())
}

/// The symbols past the last full group, one row after another.
fn push_tails<F: WideFamily, T: Symbol, const L: usize>(
    view: &EncoderView<'_, F, DirectPlacement>,
    unit: &mut Unit<'_, F>,
    words: &mut [&mut [F::Word]],
    symbols: &[T],
    columns: usize,
    indexes: &Indexes<'_>,
) -> Option<()> {
    let tail = columns % L;
    if tail == 0 {
        return Some(());
    }
    let (states, _) = unit.states.as_chunks_mut::<L>();
    for (row, states) in states.iter_mut().enumerate() {
        let mut values = [0; L];
        let mut index = [0; L];
        let of_row = indexes.row(unit.first + row);
        for lane in 0..tail {
            let column = columns - tail + lane;
            values[lane] = symbols[row * columns + column].to_i32();
            index[lane] = of_row.at(column);
        }
        let mut writer = WordWriter::new(words[row], unit.lens[row]);
        let index = codec::Indexes::Each(&index[..tail]);
        codec::push_row(view, states, &mut writer, &values[..tail], index).ok()?;
        unit.lens[row] = writer.len();
    }
    Some(())
}

/// The first loop: entries and digits of a range of columns.
struct Number<'a, 't, T: Symbol, const L: usize, const U: usize> {
    tables: &'a WideTables<'t>,
    scratch: &'a mut Scratch,
    digits: &'a mut Vec<Digits>,
    first_row: usize,
    rows: usize,
    symbols: &'a [T],
    columns: usize,
    indexes: &'a Indexes<'a>,
    range: std::ops::Range<usize>,
}

impl<T: Symbol, const L: usize, const U: usize> RowWork for Number<'_, '_, T, L, U> {
    type Output = Option<()>;

    #[inline(always)]
    fn run<S: RowSimd>(self, s: S) -> Option<()> {
        let Self { tables, scratch, digits, first_row, rows, symbols, columns, indexes, range } =
            self;
        let across = 16 / L;
        let steps_a_stretch = STEPS / U;
        let (begin, end) = (range.start, range.end);
        for u in 0..U {
            // Row by row: sixteen rows' lines may all fall into one set of the first-level cache.
            for r in 0..across {
                let row = u * across + r;
                for at in (begin..end).step_by(16) {
                    let place = u * steps_a_stretch + (at - begin) / L + r;
                    if row >= rows {
                        s.store(
                            s.splat(((1 << tables.precision) - 1) << 16),
                            &mut scratch.entries[place],
                        );
                        continue;
                    }
                    let valid = u16::MAX >> (16 - (end - at).min(16));
                    let values = &symbols[row * columns..(row + 1) * columns];
                    let index = indexes.row(first_row + row);
                    // The next stretch, which lies below.
                    s.prefetch(values, at.wrapping_sub(steps_a_stretch * L));
                    prefetch_indexes(s, index, at.wrapping_sub(steps_a_stretch * L));
                    let numbered = tables.number(
                        s,
                        load_symbols(s, values, at),
                        load_indexes(s, index, at),
                        valid,
                    )?;
                    if numbered.outside != 0 {
                        for (element, value) in values[at..].iter().take(16).enumerate() {
                            if numbered.outside >> element & 1 == 1 {
                                let column = at + element;
                                let raw = tables.raw(value.to_i32(), index.at(column)).ok()?;
                                let step = (column - begin) / L;
                                digits.push(Digits { step, row, lane: column % L, raw });
                            }
                        }
                    }
                    let entries = s.gather(&tables.packed.entries, numbered.entries);
                    s.store(s.reverse_blocks::<L>(entries), &mut scratch.entries[place]);
                }
            }
            for at in (begin..end).step_by(16) {
                let first = u * steps_a_stretch + (at - begin) / L;
                regroup::<S, L>(s, &mut scratch.entries[first..first + across]);
            }
        }
        Some(())
    }
}

/// The second and the third loop: takes the steps of a range, the last first, and appends what they shed.
struct Take<'a, 'u, 'w, 't, F: WideFamily, const L: usize, const U: usize> {
    tables: &'a WideTables<'t>,
    scratch: &'a mut Scratch,
    states: &'a mut [[F::State; 16]; U],
    unit: &'a mut Unit<'u, F>,
    words: &'a mut [&'w mut [F::Word]],
    steps: std::ops::Range<usize>,
}

impl<F: WideFamily, const L: usize, const U: usize> RowWork for Take<'_, '_, '_, '_, F, L, U> {
    type Output = Option<()>;

    #[inline(always)]
    fn run<S: RowSimd>(self, s: S) -> Option<()> {
        let Self { tables, scratch, states, unit, words, steps } = self;
        let across = 16 / L;
        let steps_a_stretch = STEPS / U;
        let count = steps.len();
        let precision = tables.precision;
        let (low, one) = (s.splat(0xffff), s.splat(1));
        // Words go to as many places as there are rows: have the lines there before the stores wait for them one after another.
        for (room, &len) in words.iter_mut().zip(unit.lens.iter()) {
            let line = 64 / size_of::<F::Word>();
            s.prefetch_to_write(room, len + line);
            s.prefetch_to_write(room, len + 2 * line);
        }
        let mut x: [F::States<S>; U] = std::array::from_fn(|u| F::load(s, &states[u]));
        for (k, step) in steps.rev().enumerate() {
            each_vector!(U, u => {
                let entry = s.load(&scratch.entries[u * steps_a_stretch + step]);
                let freq = s.add(s.shr(entry, 16), one);
                let (next, shed) = F::push(s, x[u], freq, s.and(entry, low), precision);
                x[u] = next;
                let at = u * steps_a_stretch + k;
                s.store(shed.words, &mut scratch.words[at]);
                // A mask for each of the step's words in a row: the compression below finds its bits without a shuffle.
                let flat = at * L;
                scratch.first.as_flattened_mut()[flat..flat + L].fill(shed.first);
                if F::MAX_WORDS > 1 {
                    scratch.second.as_flattened_mut()[flat..flat + L].fill(shed.second);
                }
            });
        }
        for u in 0..U {
            F::store(s, x[u], &mut states[u]);
        }
        let bits = s.load(const { &lane_bits::<L>() });
        let rows = unit.lens.len();
        for u in 0..U {
            for k in (0..count).step_by(across) {
                let at = u * steps_a_stretch + k;
                // Steps past the last keep what an earlier stretch left there; their masks are cleared.
                let flat = u * steps_a_stretch * L + k * L;
                let used = (count - k).min(across) * L;
                let mut v = [s.splat(0); 16];
                for (v, words) in v.iter_mut().zip(&scratch.words[at..]).take(across) {
                    *v = s.load(words);
                }
                s.transpose::<L>(&mut v);
                let masks = |masks: &[[u16; 16]; STEPS]| {
                    let mut of_steps: [u16; 16] = [0; 16];
                    of_steps[..used].copy_from_slice(&masks.as_flattened()[flat..flat + used]);
                    s.load_u16(&of_steps)
                };
                let first = masks(&scratch.first);
                let second = if F::MAX_WORDS > 1 { masks(&scratch.second) } else { first };
                for (r, &words_of_row) in v.iter().enumerate().take(across) {
                    let row = u * across + r;
                    if row >= rows {
                        break;
                    }
                    let mine = s.shl(bits, (r * L) as u32);
                    let shed = Shed {
                        words: words_of_row,
                        first: s.test(first, mine),
                        second: if F::MAX_WORDS > 1 { s.test(second, mine) } else { 0 },
                    };
                    unit.lens[row] = F::emit(s, shed, words[row], unit.lens[row])?;
                }
            }
        }
        Some(())
    }
}

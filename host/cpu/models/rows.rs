//! Rows side by side: 32 states take a step together, whether they are 32 rows of one lane or one
//! row of 32.
//!
//! A step's distributions are evaluated as a batch, in vectors where the model has a form for them;
//! states, words and divisions are scalar, and overlap because they are 32 different ones. The
//! parameters of a tile of steps are regrouped first, row by row: rows are often a power of two
//! apart, where reading a column of them would meet the same cache set again and again.
//!
//! Anything irregular makes these functions give up, and the caller codes the rows again
//! one by one, from their states before: errors are the codec's own. Escapes are nothing out of the
//! ordinary, they only cost their step its vectors.

use parans_kernels::codec::{
    BypassCode, DecoderModel, DirectPlacement, EncoderEntry, Interval, RansFamily, Value,
    WordReader, WordWriter, pop_tail, push_group, push_tail, step,
};
use parans_kernels::model::{BATCH, BatchModel, FoundValue, Intervals, MAX_STEPS, ModelRow, Steps};

use super::batches::HostModel;
use crate::simd::{Bits, RunOn, Work, dispatch_loops};

/// How many rows of `lanes` lanes go side by side.
pub(super) fn together(lanes: usize) -> usize {
    (BATCH / lanes).max(1)
}

/// Pushes `columns` symbols per row; `None` where the rows have to be pushed one by one, from their
/// states before.
pub(super) fn push<F: RansFamily, M: HostModel>(
    rows: &[M],
    precision: u32,
    bypass: Option<BypassCode>,
    states: &mut [F::State],
    words: &mut [WordWriter<'_, F::Word>],
    symbols: &[i32],
    columns: usize,
) -> Option<()> {
    let lanes = states.len() / rows.len();
    let row = |&model: &M| ModelRow { model, precision, bypass };
    if !states.iter().all(|&x| step::is_normalised::<F>(x)) {
        return None;
    }
    let groups = columns / lanes;
    let tail_at = groups * lanes;
    for (r, model) in rows.iter().enumerate() {
        let (states, words) = (&mut states[r * lanes..][..lanes], &mut words[r]);
        let symbols = &symbols[r * columns + tail_at..(r + 1) * columns];
        push_tail::<F, _>(&row(model), states, words, symbols, tail_at).ok()?;
    }
    let mut batches = [M::Batch::default(); MAX_STEPS];
    let mut values = [[0; BATCH]; MAX_STEPS];
    let mut intervals = [Intervals::default(); MAX_STEPS];
    for tile in (0..groups.div_ceil(MAX_STEPS)).rev() {
        let first = tile * MAX_STEPS;
        let steps = MAX_STEPS.min(groups - first);
        let at = first * lanes;
        let mut plain = [true; MAX_STEPS];
        for r in 0..rows.len() {
            let own = &symbols[r * columns + at..][..steps * lanes];
            if lanes == 1 {
                for (values, &symbol) in values.iter_mut().zip(own) {
                    values[r % BATCH] = symbol;
                }
                continue;
            }
            for (values, symbols) in values.iter_mut().zip(own.chunks_exact(lanes)) {
                values[r * lanes..(r + 1) * lanes].copy_from_slice(symbols);
            }
        }
        let (own, symbols_of, intervals, plain) = (
            Steps { rows, lanes, at },
            &values[..steps],
            &mut intervals[..steps],
            &mut plain[..steps],
        );
        if M::locate_in_vectors(own, symbols_of, intervals, plain).is_none() {
            dispatch_loops(Locate {
                steps: own,
                batches: &mut batches[..steps],
                symbols: symbols_of,
                intervals,
                plain,
            });
        }
        for step in (0..steps).rev() {
            let at = at + step * lanes;
            let intervals = &intervals[step];
            let mut i = 0;
            for (r, (states, words)) in
                states.chunks_exact_mut(lanes).zip(words.iter_mut()).enumerate()
            {
                if plain[step] {
                    i += lanes;
                    for (lane, x) in states.iter_mut().rev().enumerate() {
                        let i = (i - 1 - lane) % BATCH;
                        let interval =
                            Interval { start: intervals.starts[i], freq: intervals.freqs[i] };
                        let entry = EncoderEntry::<F>::new(interval);
                        let placement = &DirectPlacement;
                        *x = step::push_symbol(*x, &entry, 0, placement, precision, words);
                    }
                } else {
                    let symbols = &symbols[r * columns + at..][..lanes];
                    push_group::<F, _, _>(&row(&rows[r]), states, words, symbols, at).ok()?;
                }
            }
        }
    }
    if words.iter().any(WordWriter::overflowed) { None } else { Some(()) }
}

/// Pops `columns` symbols per row; `None` where the rows have to be popped one by one, from their
/// states before.
pub(super) fn pop<F: RansFamily, M: HostModel>(
    rows: &[M],
    precision: u32,
    bypass: Option<BypassCode>,
    states: &mut [F::State],
    words: &mut [WordReader<'_, F::Word>],
    symbols: &mut [i32],
    columns: usize,
) -> Option<()> {
    let lanes = states.len() / rows.len();
    let row = |&model: &M| ModelRow { model, precision, bypass };
    if !states.iter().all(|&x| step::is_normalised::<F>(x)) {
        return None;
    }
    let groups = columns / lanes;
    let mut batches = [M::Batch::default(); MAX_STEPS];
    let mut values = [[0; BATCH]; MAX_STEPS];
    for tile in 0..groups.div_ceil(MAX_STEPS) {
        let first = tile * MAX_STEPS;
        let steps = MAX_STEPS.min(groups - first);
        let at = first * lanes;
        M::gather(Steps { rows, lanes, at }, &mut batches[..steps]);
        for (step, batch) in batches[..steps].iter().enumerate() {
            let at = at + step * lanes;
            let mut slots = [0; BATCH];
            for (slot, &x) in slots.iter_mut().zip(states.iter()) {
                *slot = step::slot::<F>(x, precision);
            }
            let mut intervals = Intervals::default();
            let found = &mut values[step];
            let steps = Steps { rows, lanes, at };
            let irregular = M::find_in_vectors(steps, &slots, &mut intervals, found);
            let irregular = irregular.unwrap_or_else(|| {
                let intervals = &mut intervals;
                dispatch_loops(Find { steps, batch, slots: &slots, intervals, found })
            });
            let mut left = irregular & (u32::MAX >> (BATCH - states.len()));
            let mut escapes = 0u32;
            let mut outside = [Value::Symbol(0); BATCH];
            while left != 0 {
                let i = left.trailing_zeros() as usize;
                left &= left - 1;
                let FoundValue { interval, value } =
                    rows[i / lanes].find(at + i % lanes, slots[i]).ok()?;
                (intervals.starts[i], intervals.freqs[i]) = (interval.start, interval.freq);
                match value {
                    Value::Symbol(symbol) => found[i] = symbol,
                    _ => {
                        outside[i] = value;
                        escapes |= 1 << i;
                    }
                }
            }
            for (r, (states, words)) in
                states.chunks_exact_mut(lanes).zip(words.iter_mut()).enumerate()
            {
                for (lane, x) in states.iter_mut().enumerate() {
                    let i = (r * lanes + lane) % BATCH;
                    let rank = slots[i].wrapping_sub(intervals.starts[i]);
                    let taken = step::advance::<F>(*x, precision, intervals.freqs[i], rank);
                    *x = step::renormalise::<F>(taken, words);
                }
            }
            while escapes != 0 {
                let i = escapes.trailing_zeros() as usize;
                escapes &= escapes - 1;
                let words = &mut words[i / lanes];
                let model = row(&rows[i / lanes]);
                let symbol = DecoderModel::<F>::pop_raw(&model, outside[i], &mut states[i], words);
                found[i] = symbol.ok()?;
            }
        }
        for r in 0..rows.len() {
            let own = &mut symbols[r * columns + at..][..steps * lanes];
            if lanes == 1 {
                for (values, symbol) in values.iter().zip(own) {
                    *symbol = values[r % BATCH];
                }
                continue;
            }
            for (values, symbols) in values.iter().zip(own.chunks_exact_mut(lanes)) {
                symbols.copy_from_slice(&values[r * lanes..(r + 1) * lanes]);
            }
        }
    }
    let tail_at = groups * lanes;
    for (r, model) in rows.iter().enumerate() {
        let (states, words) = (&mut states[r * lanes..][..lanes], &mut words[r]);
        let symbols = &mut symbols[r * columns + tail_at..(r + 1) * columns];
        pop_tail::<F, _>(&row(model), states, words, symbols, tail_at).ok()?;
    }
    if words.iter().any(WordReader::underflowed) { None } else { Some(()) }
}

struct Locate<'a, M: BatchModel> {
    steps: Steps<'a, M>,
    batches: &'a mut [M::Batch],
    symbols: &'a [[i32; BATCH]],
    intervals: &'a mut [Intervals<BATCH>],
    plain: &'a mut [bool],
}

impl<M: BatchModel> Work for Locate<'_, M> {
    type Output = ();
}

impl<B: Bits, M: BatchModel> RunOn<B> for Locate<'_, M> {
    #[inline(always)]
    fn run(self, _bits: B) {
        M::gather(self.steps, self.batches);
        M::locate_batches(self.steps, self.batches, self.symbols, self.intervals, self.plain);
    }
}

struct Find<'a, M: BatchModel> {
    steps: Steps<'a, M>,
    batch: &'a M::Batch,
    slots: &'a [u32; BATCH],
    intervals: &'a mut Intervals<BATCH>,
    found: &'a mut [i32; BATCH],
}

impl<M: BatchModel> Work for Find<'_, M> {
    type Output = u32;
}

impl<B: Bits, M: BatchModel> RunOn<B> for Find<'_, M> {
    #[inline(always)]
    fn run(self, _bits: B) -> u32 {
        M::find_batch(self.steps, self.batch, self.slots, self.intervals, self.found)
    }
}

//! Rows of models evaluated a batch at a time: in loops over arrays where there is a form for them,
//! else one by one.

use super::batch::{Batch, Intervals, Parameters};
use super::row::{Mixtures, Parametrics, RowModel};
use super::{Cdfs, Uniform, Value};

/// States, hence symbols, in a batch: 32 rows of one lane, or one row of 32.
pub const BATCH: usize = 32;
/// Steps that [`BatchModel::locate_batches`] takes at once at the most.
pub const MAX_STEPS: usize = 16;

/// Which symbols batches are about: element `row * lanes + lane` of step `s` is that row's symbol
/// at position `at + s * lanes + lane`. There are at most [`BATCH`] elements.
#[derive(Debug)]
pub struct Steps<'a, M> {
    /// The rows' models.
    pub rows: &'a [M],
    /// Lanes a row.
    pub lanes: usize,
    /// Position of the first symbol of step 0 in each row.
    pub at: usize,
}

impl<M> Clone for Steps<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<M> Copy for Steps<'_, M> {}

/// Models of a row that can be evaluated a batch at a time. The methods must be inlined into a
/// function that is compiled for the instructions in use.
pub trait BatchModel: RowModel + Sized {
    /// What is gathered of a batch's models before its symbols or slots are known.
    type Batch: Copy + Default;

    /// Gathers the models of a step for each element of `batches`, which all positions up to their
    /// end must have.
    #[inline(always)]
    fn gather(_steps: Steps<'_, Self>, _batches: &mut [Self::Batch]) {}

    /// The slots of a symbol each. Clears `plain` of the steps where they are not all that there is
    /// to push (an escape, an error).
    #[inline(always)]
    fn locate_batches(
        steps: Steps<'_, Self>,
        _batches: &[Self::Batch],
        symbols: &[[i32; BATCH]],
        intervals: &mut [Intervals<BATCH>],
        plain: &mut [bool],
    ) {
        let Steps { rows, lanes, at } = steps;
        for (step, ((symbols, intervals), plain)) in
            symbols.iter().zip(intervals).zip(plain).enumerate()
        {
            let elements = symbols.iter().zip(&mut intervals.starts).zip(&mut intervals.freqs);
            let (mut r, mut lane) = (0, 0);
            for ((&symbol, start), freq) in elements {
                let Some(row) = rows.get(r) else { break };
                match row.locate(at + step * lanes + lane, symbol) {
                    Ok(located) if located.escape.is_none() => {
                        (*start, *freq) = (located.interval.start, located.interval.freq);
                    }
                    _ => *plain = false,
                }
                lane += 1;
                if lane == lanes {
                    (r, lane) = (r + 1, 0);
                }
            }
        }
    }

    /// Finds what a slot each, in step 0, holds. A bit of the answer is set for each element that
    /// is left to [`RowModel::find`] (an escape, an error, or one that takes a search).
    #[inline(always)]
    fn find_batch(
        steps: Steps<'_, Self>,
        _batch: &Self::Batch,
        slots: &[u32; BATCH],
        intervals: &mut Intervals<BATCH>,
        symbols: &mut [i32; BATCH],
    ) -> u32 {
        let Steps { rows, lanes, at } = steps;
        let mut irregular = 0;
        let (mut r, mut lane) = (0, 0);
        let outs = intervals.starts.iter_mut().zip(&mut intervals.freqs).zip(symbols);
        for (i, (&slot, ((start, freq), out))) in slots.iter().zip(outs).enumerate() {
            let Some(row) = rows.get(r) else { break };
            match row.find(at + lane, slot) {
                Ok(found) => {
                    (*start, *freq) = (found.interval.start, found.interval.freq);
                    match found.value {
                        Value::Symbol(symbol) => *out = symbol,
                        _ => irregular |= 1 << i,
                    }
                }
                Err(_) => irregular |= 1 << i,
            }
            lane += 1;
            if lane == lanes {
                (r, lane) = (r + 1, 0);
            }
        }
        irregular
    }
}

impl BatchModel for Mixtures<'_> {
    type Batch = ();
}

impl BatchModel for Cdfs<'_> {
    type Batch = ();
}

impl BatchModel for Uniform {
    type Batch = ();
}

/// Steps whose arrays are evaluated together when no state has to be waited for.
const TOGETHER: usize = 4;

impl BatchModel for Parametrics<'_> {
    type Batch = Parameters<BATCH>;

    #[inline(always)]
    fn gather(steps: Steps<'_, Self>, batches: &mut [Parameters<BATCH>]) {
        let Steps { rows, lanes, at } = steps;
        for (r, row) in rows.iter().enumerate() {
            let end = at + batches.len() * lanes;
            let (means, scales) = (&row.means[at..end], &row.scales[at..end]);
            if lanes == 1 {
                for ((batch, &mean), &scale) in batches.iter_mut().zip(means).zip(scales) {
                    batch.means[r % BATCH] = mean;
                    batch.scales[r % BATCH] = scale;
                }
                continue;
            }
            let to = r * lanes..(r + 1) * lanes;
            let each = means.chunks_exact(lanes).zip(scales.chunks_exact(lanes));
            for (batch, (means, scales)) in batches.iter_mut().zip(each) {
                batch.means[to.clone()].copy_from_slice(means);
                batch.scales[to.clone()].copy_from_slice(scales);
            }
        }
    }

    #[inline(always)]
    fn locate_batches(
        steps: Steps<'_, Self>,
        batches: &[Parameters<BATCH>],
        symbols: &[[i32; BATCH]],
        intervals: &mut [Intervals<BATCH>],
        plain: &mut [bool],
    ) {
        let Some(&Parametrics { kind, precision, .. }) = steps.rows.first() else { return };
        let outputs = intervals.chunks_mut(TOGETHER).zip(plain.chunks_mut(TOGETHER));
        let inputs = batches.chunks(TOGETHER).zip(symbols.chunks(TOGETHER));
        for ((batches, symbols), (intervals, plain)) in inputs.zip(outputs) {
            let mut parameters = Parameters::<{ TOGETHER * BATCH }>::default();
            let mut values = [0; TOGETHER * BATCH];
            let means = parameters.means.chunks_exact_mut(BATCH);
            let scales = parameters.scales.chunks_exact_mut(BATCH);
            for ((batch, means), scales) in batches.iter().zip(means).zip(scales) {
                means.copy_from_slice(&batch.means);
                scales.copy_from_slice(&batch.scales);
            }
            for (from, to) in symbols.iter().zip(values.chunks_exact_mut(BATCH)) {
                to.copy_from_slice(from);
            }
            let mut located = Intervals::default();
            let inside = Batch::new(kind, &parameters, precision).locate(&values, &mut located);
            let starts = located.starts.chunks_exact(BATCH);
            let freqs = located.freqs.chunks_exact(BATCH);
            for (((intervals, plain), starts), freqs) in
                intervals.iter_mut().zip(plain).zip(starts).zip(freqs)
            {
                intervals.starts.copy_from_slice(starts);
                intervals.freqs.copy_from_slice(freqs);
                *plain &= inside;
            }
        }
    }

    #[inline(always)]
    fn find_batch(
        steps: Steps<'_, Self>,
        batch: &Parameters<BATCH>,
        slots: &[u32; BATCH],
        intervals: &mut Intervals<BATCH>,
        symbols: &mut [i32; BATCH],
    ) -> u32 {
        let Some(&Parametrics { kind, precision, .. }) = steps.rows.first() else {
            return u32::MAX;
        };
        Batch::new(kind, batch, precision).find(slots, intervals, symbols)
    }
}

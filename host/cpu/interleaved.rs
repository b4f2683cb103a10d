//! Popping several rows at once in scalar registers: eight states in flight hide each other's latency, and no vectors are needed.
//!
//! A single state waits for itself: the load of its symbol, the load of the symbol's span, a multiplication, a comparison, about 30 cycles. Eight
//! independent ones take little longer than one. On processors whose gathers are microcode this beats popping across vector elements
//! by far (Zen 5: three dependent gathers of sixteen elements cost 19 ns however many vectors are in flight; the same loads done one by one
//! a quarter of that).
//!
//! Rows advance a chunk at a time. A chunk in which anything out of the ordinary comes up (a symbol with bypass digits, a skipped symbol, a wrong
//! index, few words left) is popped again by the codec from where it began, so results and errors are the codec's own.

use parans_kernels::codec::{
    self, DecoderView, Family, SearchLookup, StateInt, WordInt, WordReader,
};

use super::Failed;
use super::block::PopBlock;
use super::scalar;
use crate::coder::{Plan, Symbol};
use crate::family::HostFamily;
use crate::simd::{BitWork, Bits, dispatch_bits};
use crate::tables::{Guide, Packed};

/// Symbols of a row in a chunk.
const CHUNK: usize = 32;

/// States in flight.
const STATES: usize = 8;

/// Runs a block for each state in flight with its number as a constant: a loop would be left rolled up.
macro_rules! each_state {
    ($i:ident => $body:block) => {
        each_state!(@ $i $body 0 1 2 3 4 5 6 7)
    };
    (@ $i:ident $body:block $($n:literal)*) => {$(
        {
            let $i: usize = $n;
            $body
        }
    )*};
}

/// Whether this path takes a plan's blocks; fewer than four states in flight gain nothing.
pub(super) fn takes(plan: &Plan, rows: usize) -> bool {
    let lanes = plan.lanes;
    plan.lookup != crate::Lookup::Alias && lanes <= STATES && rows.min(STATES / lanes) * lanes >= 4
}

/// Pops a block of rows; the plan's tables must have a packed form.
pub(super) fn pop<F: HostFamily, T: Symbol>(
    plan: &Plan,
    packed: &Packed,
    block: PopBlock<'_, F, T>,
) -> Result<(), Failed> {
    match plan.lanes {
        1 => pop_rows::<F, T, 1, 8>(plan, packed, block),
        2 => pop_rows::<F, T, 2, 4>(plan, packed, block),
        4 => pop_rows::<F, T, 4, 2>(plan, packed, block),
        _ => pop_rows::<F, T, 8, 1>(plan, packed, block),
    }
}

fn pop_rows<F: HostFamily, T: Symbol, const L: usize, const R: usize>(
    plan: &Plan,
    packed: &Packed,
    block: PopBlock<'_, F, T>,
) -> Result<(), Failed> {
    let PopBlock { first, states, words, starts, lens, symbols, columns, indexes } = block;
    let rows = lens.len();
    let (mut saved_states, mut saved_lens) = (Vec::new(), Vec::new());
    for at in (0..rows).step_by(R) {
        let count = R.min(rows - at);
        let states = &mut states[at * L..(at + count) * L];
        let lens = &mut lens[at..at + count];
        let symbols = &mut symbols[at * columns..(at + count) * columns];
        let starts = &starts[at..];
        let first = first + at;
        let mut block =
            PopBlock::<F, T> { first, states, words, starts, lens, symbols, columns, indexes };
        if count == R {
            saved_states.clear();
            saved_states.extend_from_slice(block.states);
            saved_lens.clear();
            saved_lens.extend_from_slice(block.lens);
            if pop_group::<F, T, L, R>(plan, packed, &mut block).is_some() {
                continue;
            }
            block.states.copy_from_slice(&saved_states);
            block.lens.copy_from_slice(&saved_lens);
        }
        scalar::pop(plan, block)?;
    }
    Ok(())
}

/// What a chunk reads.
struct Tables<'a> {
    spans: &'a [codec::Span],
    packed: &'a Packed,
    guide: &'a [u8],
    count: u32,
    precision: u32,
    bypass: bool,
}

/// Pops `R` rows; `None` where the scalar path has to, from the start.
fn pop_group<F: HostFamily, T: Symbol, const L: usize, const R: usize>(
    plan: &Plan,
    packed: &Packed,
    block: &mut PopBlock<'_, F, T>,
) -> Option<()> {
    let Guide::U8(guide) = &packed.guide else { return None };
    let view = DecoderView {
        tables: scalar::tables_view(plan),
        lookup: SearchLookup { spans: plan.tables.prepared().spans() },
    };
    let tables = Tables {
        spans: plan.tables.prepared().spans(),
        packed,
        guide,
        count: plan.tables.len() as u32,
        precision: plan.tables.precision().bits(),
        bypass: plan.bypass.is_some(),
    };
    let columns = block.columns;
    let (lanes, _) = block.states.as_chunks_mut::<L>();
    let states: &mut [[F::State; L]; R] = lanes.try_into().ok()?;
    if !states.as_flattened().iter().all(|&x| codec::step::is_normalised::<F>(x)) {
        return None;
    }
    let rows: [&[F::Word]; R] =
        std::array::from_fn(|r| &block.words[block.starts[r]..block.starts[r] + block.lens[r]]);
    let mut lens: [usize; R] = std::array::from_fn(|r| block.lens[r]);
    let mut left: Vec<&mut [T]> = block.symbols.chunks_exact_mut(columns.max(1)).collect();
    let symbols: &mut [&mut [T]; R] = left.as_mut_slice().try_into().ok()?;
    let mut index_buffer = [[0i32; CHUNK]; R];

    let mut at = 0;
    while at < columns {
        let end = (at + CHUNK).min(columns);
        let done = end - at == CHUNK && {
            for (r, buffer) in index_buffer.iter_mut().enumerate() {
                match block.indexes.row(block.first + r) {
                    codec::Indexes::Each(_) => {}
                    of_row => {
                        for (column, index) in buffer.iter_mut().enumerate() {
                            *index = of_row.at(at + column);
                        }
                    }
                }
            }
            let index: [&[i32; CHUNK]; R] = std::array::from_fn(|r| {
                match block.indexes.row(block.first + r) {
                    codec::Indexes::Each(values) => values[at..].first_chunk(),
                    _ => None,
                }
                .unwrap_or(&index_buffer[r])
            });
            let mut chunks: [Option<&mut [T; CHUNK]>; R] =
                symbols.each_mut().map(|row| row[at..].first_chunk_mut());
            let (mut new_states, mut new_lens) = (*states, lens);
            let work = Steps::<F, T, L, R> {
                tables: &tables,
                states: &mut new_states,
                rows: &rows,
                lens: &mut new_lens,
                index: &index,
                out: &mut chunks,
            };
            let odd = dispatch_bits(work);
            // A row that ran out of words wrapped its length around.
            let fine = !odd && new_lens.iter().zip(&lens).all(|(new, old)| new <= old);
            if fine {
                (*states, lens) = (new_states, new_lens);
            }
            fine
        };
        if !done {
            for (r, states) in states.iter_mut().enumerate() {
                let of_row = block.indexes.row(block.first + r);
                let mut index = [0; CHUNK];
                let mut values = [0; CHUNK];
                for (column, index) in (at..end).zip(&mut index) {
                    *index = of_row.at(column);
                }
                let (index, values) = (&index[..end - at], &mut values[..end - at]);
                let mut reader = WordReader::new(&rows[r][..lens[r]]);
                let index = codec::Indexes::Each(index);
                codec::pop_row::<F, _, L>(&view, states, &mut reader, values, index).ok()?;
                lens[r] = reader.len();
                for (out, &value) in symbols[r][at..end].iter_mut().zip(&*values) {
                    *out = T::from_i32(value)?;
                }
            }
        }
        at = end;
    }
    block.lens.copy_from_slice(&lens);
    Some(())
}

/// A chunk of steps of `R` rows of `L` lanes, without a branch on data.
struct Steps<'a, 'o, F: Family, T: Symbol, const L: usize, const R: usize> {
    tables: &'a Tables<'a>,
    states: &'a mut [[F::State; L]; R],
    rows: &'a [&'a [F::Word]; R],
    lens: &'a mut [usize; R],
    index: &'a [&'a [i32; CHUNK]; R],
    out: &'a mut [Option<&'o mut [T; CHUNK]>; R],
}

impl<F: Family, T: Symbol, const L: usize, const R: usize> BitWork for Steps<'_, '_, F, T, L, R> {
    type Output = bool;

    #[inline(always)]
    fn run<B: Bits>(self, _bits: B) -> bool {
        self.take()
    }
}

impl<F: Family, T: Symbol, const L: usize, const R: usize> Steps<'_, '_, F, T, L, R> {
    /// Takes the steps; tells whether anything out of the ordinary came up: then nothing they did counts.
    #[inline(always)]
    fn take(self) -> bool {
        match (self.tables.count == 1, self.tables.bypass) {
            (true, false) => self.steps::<true, false>(),
            (true, true) => self.steps::<true, true>(),
            (false, false) => self.steps::<false, false>(),
            (false, true) => self.steps::<false, true>(),
        }
    }

    #[inline(always)]
    fn steps<const ONE: bool, const BYPASS: bool>(self) -> bool {
        let Self { tables, states, rows, lens, index, out } = self;
        let Tables { spans, packed, guide, count, precision, .. } = *tables;
        let guide_bits = packed.guide_bits;
        let coarse = precision - guide_bits;
        let is_coarse = packed.guide_is_coarse;
        let (bases, sizes, offsets) = (&packed.bases[..], &packed.symbols[..], &packed.offsets[..]);
        let (last_of_one, offset_of_one) = (sizes[0] - 1, offsets[0] as i32);
        let mut x = *states;
        let mut left = *lens;
        let rows = *rows;
        let index = *index;
        let mut odd = 0u32;
        let Some(out) = all_of(out) else { return true };
        for step in 0..CHUNK / L {
            // Eight states: state i is lane `i mod L` of row `i div L`.
            each_state!(i => {
                let (r, lane) = (i / L, i % L);
                let column = step * L + lane;
                let index = index[r][column] as u32;
                let (table, last, offset, base);
                if ONE {
                    odd |= index;
                    (table, last, offset, base) = (0, last_of_one, offset_of_one, 0);
                } else {
                    odd |= u32::from(index >= count);
                    table = index.min(count - 1);
                    let at = table as usize;
                    base = bases.get(at).copied().unwrap_or(0);
                    last = if BYPASS { sizes.get(at).copied().unwrap_or(0).wrapping_sub(1) } else { 0 };
                    offset = offsets.get(at).copied().unwrap_or(0) as i32;
                }
                let state = x[r][lane];
                let slot = codec::step::slot::<F>(state, precision);
                let place = (table << guide_bits) + (slot >> coarse);
                let mut symbol = u32::from(guide.get(place as usize).copied().unwrap_or(0));
                let mut span = spans.get((base + symbol) as usize).copied().unwrap_or_default();
                let mut rank = slot.wrapping_sub(span.start);
                if is_coarse {
                    while rank >= span.freq && symbol < 1 << 16 {
                        symbol += 1;
                        span = spans.get((base + symbol) as usize).copied().unwrap_or_default();
                        rank = slot.wrapping_sub(span.start);
                    }
                }
                if BYPASS {
                    odd |= u32::from(symbol == last);
                }
                let state = codec::step::advance::<F>(state, precision, span.freq, rank);
                x[r][lane] = refill::<F>(state, rows[r], &mut left[r]);
                match T::from_i32((symbol as i32).wrapping_add(offset)) {
                    Some(symbol) => out[r][column] = symbol,
                    None => odd = 1,
                }
            });
        }
        *states = x;
        *lens = left;
        odd != 0
    }
}

/// The chunks, if there are as many as rows.
#[inline(always)]
fn all_of<'a, T, const R: usize>(
    chunks: &'a mut [Option<&mut [T; CHUNK]>; R],
) -> Option<[&'a mut [T; CHUNK]; R]> {
    if !chunks.iter().all(Option::is_some) {
        return None;
    }
    Some(chunks.each_mut().map(|chunk| match chunk {
        Some(chunk) => &mut **chunk,
        None => unreachable!("all are there"),
    }))
}

/// Refills a state of a row that has words enough, in shifts and masks: whether a state wants a word is a toss-up that no branch predictor guesses.
#[inline(always)]
fn refill<F: Family>(x: F::State, words: &[F::Word], left: &mut usize) -> F::State {
    let word = |back: usize| {
        let at = left.wrapping_sub(back);
        words.get(at).copied().unwrap_or_default().to_u32()
    };
    if F::MAX_WORDS == 1 {
        let wants = u32::from(x < F::LOWER_BOUND);
        let low = word(1) & wants.wrapping_neg();
        *left = left.wrapping_sub(wants as usize);
        (x << (wants * F::WORD_BITS)) | F::State::from_u32(low)
    } else {
        // Precisions up to 16 leave at most two bytes wanted.
        let wants = u32::from(x < F::LOWER_BOUND) + u32::from(x < F::LOWER_BOUND >> F::WORD_BITS);
        let two = (word(1) << F::WORD_BITS) | word(2);
        *left = left.wrapping_sub(wants as usize);
        let low = two >> (F::WORD_BITS * (2 - wants));
        (x << (wants * F::WORD_BITS)) | F::State::from_u32(low)
    }
}

//! tANS on the CPU: several rows side by side, their bits moved in 64-bit windows.
//!
//! One symbol of one state is a chain of about ten cycles (entry, shift, next state), in which a core could do forty instructions. So
//! eight rows are coded in [turns](turn) of a few symbols: the turns of different rows do not wait for each other. A row's bit stream is its words'
//! bytes, oldest bit lowest, whatever the width of a word; a turn therefore writes or reads unaligned 64-bit windows instead of
//! words. Everything unusual (bypass digits, skipped symbols, the first and last bits of a row) goes through the codec's own
//! [`push_one`](TansEncoderView::push_one) and [`pop_one`](TansDecoderView::pop_one), between which and the windows a row can change at every turn.
//!
//! Without BMI2 every shift by a variable goes through one register and costs three operations: the same code then takes 70 and
//! 57 instructions a symbol (push, pop). [`dispatch_bits`] brings BMI2 where it is.

mod pop;
mod push;

use parans_kernels::codec::{
    self, Indexes, RowFault, TansDecoderView, TansEncoderView, TansFamily,
};

use super::Failed;
use super::block::{PopBlock, PushBlock};
use super::scalar::{narrow_into, tables_view, widen, with_lanes};
use crate::coder::{Plan, Symbol};
use crate::family::RowFormat;
use crate::simd::{BitWork, dispatch_bits};
use crate::tables::TansForm;

/// Symbols that a row of so many lanes codes before the next row has its turn. One lane makes long chains: shorter turns let more
/// rows' chains run side by side before the core's window of instructions is full (9 % on pop), while from two lanes on the work around
/// a turn costs more than that gains (two lanes: 23 % on push).
const fn turn(lanes: usize) -> usize {
    if lanes == 1 { 4 } else { 8 }
}

/// Symbols that share a window: four states' bits (at most 14 each) and up to seven bits left over fit 64.
const WINDOW: usize = 4;
/// Rows side by side.
const ROWS: usize = 8;
/// Up to this precision, the bits of a window's symbols and the rest of a byte fit it.
const MAX_WINDOW_PRECISION: u32 = 14;

/// The lane of symbol `at + k`, `at` a multiple of `TURN`: a constant for few lanes.
#[inline(always)]
const fn lane<const LANES: usize, const TURN: usize>(at: usize, k: usize) -> usize {
    if LANES <= TURN { k % LANES } else { at % LANES + k }
}

/// Whether rows are coded in windows at all; else every symbol goes through the codec.
const fn uses_windows(precision: u32) -> bool {
    precision <= MAX_WINDOW_PRECISION && cfg!(target_endian = "little")
}

/// The indexes of one turn.
#[inline(always)]
fn turn_indexes<const TURN: usize>(indexes: &Indexes<'_>, at: usize) -> [i32; TURN] {
    match indexes {
        Indexes::One(index) => [*index; TURN],
        Indexes::Each(all) => match all.get(at..).and_then(|s| s.first_chunk::<TURN>()) {
            Some(&turn) => turn,
            None => [-1; TURN],
        },
        other => std::array::from_fn(|i| other.at(at + i)),
    }
}

/// The one index of a turn that has but one: such a turn looks its table up once.
#[inline(always)]
fn common<const TURN: usize>(indexes: &[i32; TURN]) -> Option<usize> {
    let different = indexes.iter().fold(0, |acc, &index| acc | (index ^ indexes[0]));
    // A negative index is past every table.
    (different == 0).then_some(indexes[0] as u32 as usize)
}

/// The codec's type for a family's rows: tans16 and tans8 differ in their largest precision only.
pub(super) trait Coded:
    RowFormat<Field = u32, Unit = <Self::Codec as TansFamily>::Word>
{
    /// Codes the rows.
    type Codec: TansFamily;
}
impl Coded for codec::Tans32 {
    type Codec = Self;
}
impl Coded for codec::Tans16 {
    type Codec = Self;
}
impl Coded for codec::Tans8 {
    type Codec = codec::Tans16;
}

/// Pushes a block of rows.
pub(super) fn push<T: Coded, S: Symbol>(
    plan: &Plan,
    block: PushBlock<'_, T, S>,
) -> Result<(), Failed> {
    // The builder prepared it: an error would have come there.
    let Ok(form) = plan.tables.prepared().tans() else { return Ok(()) };
    let PushBlock { rows, symbols, columns, indexes } = block;
    let fields = T::FAMILY.header_fields(plan.lanes);
    let mut words = rows.words;
    let mut buffer = Vec::new();
    let groups = rows.lens.chunks_mut(ROWS).zip(rows.states.chunks_mut(fields * ROWS));
    for (group, (lens, states)) in groups.enumerate() {
        let first = group * ROWS;
        let symbols = &symbols[first * columns..(first + lens.len()) * columns];
        let symbols = widen(symbols, &mut buffer);
        let mut jobs = Vec::with_capacity(ROWS);
        for (at, (len, fields)) in lens.iter_mut().zip(states.chunks_mut(fields)).enumerate() {
            let row = first + at;
            let (own, after) = words.split_at_mut(rows.starts[row + 1] - rows.starts[row]);
            words = after;
            let symbols = &symbols[at * columns..(at + 1) * columns];
            let indexes = indexes.row(rows.first + row);
            jobs.push(push::Job::<T::Codec> { fields, words: own, len, symbols, indexes });
        }
        with_lanes!(plan.lanes, LANES => { const TURN: usize = turn(LANES); dispatch_bits(PushRows::<T::Codec, LANES, TURN> { plan, form, jobs: &mut jobs }) })
            .map_err(|(at, fault)| (rows.first + first + at, fault))?;
    }
    Ok(())
}

/// Pops a block of rows.
pub(super) fn pop<T: Coded, S: Symbol>(
    plan: &Plan,
    block: PopBlock<'_, T, S>,
) -> Result<(), Failed> {
    let Ok(form) = plan.tables.prepared().tans() else { return Ok(()) };
    let columns = block.columns;
    let fields = T::FAMILY.header_fields(plan.lanes);
    let mut wide = Vec::new();
    let groups = block.lens.chunks_mut(ROWS).zip(block.states.chunks_mut(fields * ROWS));
    for (group, (lens, states)) in groups.enumerate() {
        let first = group * ROWS;
        let narrow = &mut block.symbols[first * columns..(first + lens.len()) * columns];
        let is_wide = size_of::<S>() == size_of::<i32>();
        let symbols: &mut [i32] = if is_wide {
            // Of the symbol types only i32 has four bytes.
            bytemuck::cast_slice_mut(narrow)
        } else {
            wide.resize(narrow.len(), 0);
            &mut wide
        };
        let mut rest = symbols;
        let mut jobs = Vec::with_capacity(ROWS);
        for (at, (len, fields)) in lens.iter_mut().zip(states.chunks_mut(fields)).enumerate() {
            let (symbols, after) = rest.split_at_mut(columns);
            rest = after;
            let start = block.starts[first + at];
            let words = &block.words[start..start + *len];
            let indexes = block.indexes.row(block.first + first + at);
            jobs.push(pop::Job::<T::Codec> { fields, words, len, symbols, indexes });
        }
        let fail = |(at, fault): Failed| (block.first + first + at, fault);
        with_lanes!(plan.lanes, LANES => { const TURN: usize = turn(LANES); dispatch_bits(PopRows::<T::Codec, LANES, TURN> { plan, form, jobs: &mut jobs }) })
            .map_err(fail)?;
        if !is_wide {
            let rows = wide.chunks(columns.max(1)).zip(narrow.chunks_mut(columns.max(1)));
            for (at, (from, into)) in rows.enumerate() {
                narrow_into(from, into).map_err(|fault| fail((at, fault)))?;
            }
        }
    }
    Ok(())
}

struct PushRows<'r, 'a, T: TansFamily, const LANES: usize, const TURN: usize> {
    plan: &'r Plan,
    form: &'r TansForm,
    jobs: &'r mut [push::Job<'a, T>],
}

impl<T: TansFamily, const LANES: usize, const TURN: usize> BitWork
    for PushRows<'_, '_, T, LANES, TURN>
{
    type Output = Result<(), (usize, RowFault)>;
    #[inline(always)]
    fn run(self) -> Self::Output {
        let view = TansEncoderView {
            tables: tables_view(self.plan),
            entries: &self.form.encoder,
            next: &self.form.next,
        };
        push::rows::<T, LANES, TURN>(&view, self.jobs)
    }
}

struct PopRows<'r, 'a, T: TansFamily, const LANES: usize, const TURN: usize> {
    plan: &'r Plan,
    form: &'r TansForm,
    jobs: &'r mut [pop::Job<'a, T>],
}

impl<T: TansFamily, const LANES: usize, const TURN: usize> BitWork
    for PopRows<'_, '_, T, LANES, TURN>
{
    type Output = Result<(), (usize, RowFault)>;
    #[inline(always)]
    fn run(self) -> Self::Output {
        let view = TansDecoderView { tables: tables_view(self.plan), entries: &self.form.decoder };
        pop::rows::<T, LANES, TURN>(&view, self.jobs)
    }
}

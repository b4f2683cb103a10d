//! The second loop of a pop: states take their steps, and symbols come out.

use parans_kernels::codec::table_row::TablesView;
use parans_kernels::codec::{BypassCode, RowIndexes, WordReader};

use super::super::tables::PackedTables;
use super::cursor::Cursor;
use super::family::OctetFamily;
use super::lookup::PartLookup;
use super::store::Scratch;
use super::{OCTETS, STATES, STEPS};
use crate::simd::{Octets, RunOn, Work, unroll};

/// The states of a block and where their rows' words stand, all by octet. An end lies below its
/// floor where a row has taken more words than it has.
pub(super) struct Lanes<F: OctetFamily> {
    pub(super) states: [[F::State; 8]; OCTETS],
    pub(super) ends: [[i32; 8]; OCTETS],
    pub(super) floors: [[i32; 8]; OCTETS],
    /// Of each row.
    pub(super) lanes: usize,
}

impl<F: OctetFamily> Lanes<F> {
    /// Whether every row had the words that it took.
    fn enough(&self, rows: usize) -> bool {
        let (ends, floors) = (self.ends.as_flattened(), self.floors.as_flattened());
        (0..rows * self.lanes).step_by(self.lanes).all(|at| ends[at] >= floors[at])
    }
}

/// Indexes of later columns, to be prefetched: bytes of each row, and which of them.
pub(super) struct Ahead<'a> {
    pub(super) of_rows: [&'a [u8]; STATES],
    pub(super) from: usize,
    pub(super) len: usize,
}

/// Takes steps, the first first; symbols go where the tables are. `EACH`: `UsedTables::Each`.
/// `KIND`: of buckets. `BYPASS`: bypass is on.
/// `FULL`: every octet has a row; only with `EACH` some may have none.
pub(super) struct Take<
    'a,
    't,
    F: OctetFamily,
    const L: usize,
    const O: usize,
    const EACH: bool,
    const KIND: u8,
    const BYPASS: bool,
    const FULL: bool,
> {
    pub(super) tables: &'a PackedTables<'t>,
    pub(super) scratch: &'a mut Scratch,
    pub(super) lanes: &'a mut Lanes<F>,
    pub(super) words: &'a [F::Word],
    /// Of each row.
    pub(super) indexes: &'a [RowIndexes<'a>],
    /// The first step's first column.
    pub(super) column: usize,
    pub(super) steps: usize,
    pub(super) ahead: &'a Ahead<'a>,
}

impl<
    F: OctetFamily,
    const L: usize,
    const O: usize,
    const EACH: bool,
    const KIND: u8,
    const BYPASS: bool,
    const FULL: bool,
> Work for Take<'_, '_, F, L, O, EACH, KIND, BYPASS, FULL>
{
    /// `None` where the scalar path has to.
    type Output = Option<()>;
}

impl<
    S: Octets,
    F: OctetFamily,
    const L: usize,
    const O: usize,
    const EACH: bool,
    const KIND: u8,
    const BYPASS: bool,
    const FULL: bool,
> RunOn<S> for Take<'_, '_, F, L, O, EACH, KIND, BYPASS, FULL>
{
    #[inline(always)]
    fn run(self, s: S) -> Option<()> {
        let Self { tables, scratch, lanes, words, indexes, column, steps, ahead } = self;
        let lookup = PartLookup::new(s, tables)?;
        let (precision, count) = (tables.precision, s.splat(tables.count));
        let octets = if FULL { OCTETS } else { (indexes.len() * L).div_ceil(8) };
        let mut x: [F::States<S>; OCTETS] = std::array::from_fn(|u| F::load(s, &lanes.states[u]));
        let mut cursors: [Cursor<S::V>; OCTETS] =
            std::array::from_fn(|u| Cursor::new::<S, F::Word>(s, &lanes.ends[u]));
        prefetch_words::<S, F>(s, lanes, words);
        macro_rules! take_step {
            ($step:expr, $fetch:literal) => {{
                let step = $step;
                // As many lines as octets: one of each of four rows, or four of one row.
                let (row, line) = if O == 1 {
                    (OCTETS * step % (STATES / L), OCTETS * step / (STATES / L))
                } else {
                    (0, OCTETS * step)
                };
                if 64 * line < ahead.len {
                    let at = ahead.from + 64 * line;
                    unroll!(u in 0 1 2 3 => {
                        if O == 1 {
                            s.prefetch_near(ahead.of_rows[row + u], at);
                        } else {
                            s.prefetch_near(ahead.of_rows[row], at + 64 * u);
                        }
                    });
                }
                let mut outside = [0; OCTETS];
                unroll!(u in 0 1 2 3 below octets => {
                    let at = u * STEPS + step;
                    let table = if EACH { Some(s.load(&scratch.steps[at])) } else { None };
                    let found = lookup.find::<S, KIND>(s, table, F::low(s, x[u]));
                    s.store(found.symbol, &mut scratch.steps[at]);
                    let state = F::advance(s, x[u], found.freq, found.rank, precision);
                    let bits = F::wanted(s, state);
                    let word = cursors[u / O].take::<S, F::Word, L>(s, words, bits, $fetch);
                    x[u] = F::shift_in(s, state, bits, word);
                    if BYPASS && let Some(table) = table {
                        let last = s.eq(found.symbol, lookup.last(s, table));
                        outside[u] = s.signs(s.and(last, s.gt(count, table)));
                    }
                });
                // Alias tables have one loop, whether bypass is on or not.
                if BYPASS && outside != [0; OCTETS] && tables.bypass.is_some() {
                    unroll!(u in 0 1 2 3 => {
                        F::store(s, x[u], &mut lanes.states[u]);
                        cursors[u / O].store::<S, F::Word, L>(s, &mut lanes.ends[u]);
                    });
                    let of_step = (column + step * L * O, outside);
                    digits(tables, lanes, words, indexes, of_step, &mut scratch.steps, step)?;
                    unroll!(u in 0 1 2 3 => {
                        x[u] = F::load(s, &lanes.states[u]);
                        cursors[u] = Cursor::new::<S, F::Word>(s, &lanes.ends[u]);
                        if L == 1 {
                            cursors[u].fetch(s, words);
                        }
                    });
                }
            }};
        }
        let mut step = 0;
        while step < steps {
            take_step!(step, true);
            step += 1;
            if L == 1 {
                // The words that were fetched last for two steps.
                if step == steps {
                    break;
                }
                take_step!(step, false);
                step += 1;
            }
        }
        unroll!(u in 0 1 2 3 => {
            F::store(s, x[u], &mut lanes.states[u]);
            cursors[u / O].store::<S, F::Word, L>(s, &mut lanes.ends[u]);
        });
        lanes.enough(indexes.len()).then_some(())
    }
}

/// Prefetches the words that a tile is likely to take: they are read downwards on many cursors at
/// once, which no prefetcher follows.
#[inline(always)]
fn prefetch_words<S: Octets, F: OctetFamily>(s: S, of_block: &Lanes<F>, words: &[F::Word]) {
    let line = 64 / size_of::<F::Word>();
    let (ends, floors) = (of_block.ends.as_flattened(), of_block.floors.as_flattened());
    for (&end, &floor) in ends.iter().zip(floors).step_by(of_block.lanes) {
        let used = end.saturating_sub(floor).max(0) as usize;
        for back in (line..used.min(3 * line)).step_by(line) {
            s.prefetch_near(words, end as usize - back);
        }
    }
}

/// Pops the bypass digits of the elements of each octet that are in `outside`: they are rare, and
/// each takes its own through the codec. `column`: that of the step's first lane.
#[cold]
#[inline(never)]
fn digits<F: OctetFamily>(
    tables: &PackedTables<'_>,
    of_block: &mut Lanes<F>,
    words: &[F::Word],
    indexes: &[RowIndexes<'_>],
    (column, outside): (usize, [u8; OCTETS]),
    steps: &mut [[u32; 8]; OCTETS * STEPS],
    step: usize,
) -> Option<()> {
    let Lanes { states, ends, floors, lanes } = of_block;
    let (states, ends) = (states.as_flattened_mut(), ends.as_flattened_mut());
    let mut outside = u32::from_le_bytes(outside);
    while outside != 0 {
        let at = outside.trailing_zeros() as usize;
        outside &= outside - 1;
        let (row, lane) = (at / *lanes, at % *lanes);
        let of_row = row * *lanes..(row + 1) * *lanes;
        let Some(indexes) = indexes.get(row) else { continue };
        let table = tables.packed.table(tables.table_of(indexes.at(column + lane))? as usize);
        let (floor, end) = (floors.as_flattened()[at] as usize, ends[at]);
        let mut reader = WordReader::new(words.get(floor..usize::try_from(end).ok()?)?);
        let (next, raw) = tables.bypass?.pop::<F>(states[at], &mut reader).ok()?;
        if reader.underflowed() {
            return None;
        }
        states[at] = next;
        ends[of_row].fill((floor + reader.len()) as i32);
        let value = BypassCode::value(raw, table.symbols - 1);
        steps[at / 8 * STEPS + step][at % 8] = TablesView::symbol(&table, value).ok()? as u32;
    }
    Some(())
}

const _: () = assert!(OCTETS == 4, "a byte of a mask per octet");

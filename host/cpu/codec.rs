//! The codec as all paths call it: the plan's tables as its views have them, and a few columns of a
//! row that a path leaves to it.

use std::ops::Range;

use parans_kernels::codec::{
    self, DecoderView, DirectPlacement, EncoderView, Placement, RowFault, RowIndexes, TablesView,
    WordReader, WordWriter,
};

use crate::family::HostFamily;
use crate::plan::Plan;
use crate::symbols::{SymbolSlice, SymbolSliceMut};

/// Calls a function with the lane count as a constant.
macro_rules! with_lanes {
    ($lanes:expr, $name:ident => $body:expr) => {
        match $lanes {
            1 => {
                const $name: usize = 1;
                $body
            }
            2 => {
                const $name: usize = 2;
                $body
            }
            4 => {
                const $name: usize = 4;
                $body
            }
            8 => {
                const $name: usize = 8;
                $body
            }
            _ => {
                const $name: usize = 32;
                $body
            }
        }
    };
}
pub(super) use with_lanes;

/// The plan's tables.
pub(super) fn tables_view(plan: &Plan) -> TablesView<'_> {
    TablesView {
        tables: plan.tables.prepared().tables(),
        precision: plan.tables.precision().bits(),
        bypass: plan.bypass,
        skip_past_end: plan.skip_past_end,
    }
}

/// What the codec encodes with where lookup is not by alias.
pub(super) fn encoder_view<F: HostFamily>(plan: &Plan) -> EncoderView<'_, F, DirectPlacement> {
    EncoderView {
        tables: tables_view(plan),
        entries: F::entries(plan.tables.prepared()),
        placement: DirectPlacement,
    }
}

/// The codec's function out of line, once for all paths: a call per row costs nothing, and a second
/// caller of the codec's own keeps the compiler from inlining it.
#[inline(never)]
pub(super) fn push_row<F: codec::RansFamily, P: Placement, const LANES: usize>(
    view: &EncoderView<'_, F, P>,
    states: &mut [F::State; LANES],
    words: &mut WordWriter<'_, F::Word>,
    symbols: &[i32],
    indexes: RowIndexes<'_>,
) -> Result<(), RowFault> {
    codec::push_row(&view.row(indexes), states, words, symbols)
}

/// Likewise.
#[inline(never)]
pub(super) fn pop_row<F: codec::RansFamily, L: codec::SymbolLookup, const LANES: usize>(
    view: &DecoderView<'_, L>,
    states: &mut [F::State; LANES],
    words: &mut WordReader<'_, F::Word>,
    symbols: &mut [i32],
    indexes: RowIndexes<'_>,
) -> Result<(), RowFault> {
    codec::pop_row::<F, _, _>(&view.row(indexes), states, words, symbols)
}

/// The most columns that [`encode_columns`] and [`decode_columns`] take.
pub(super) const MOST_COLUMNS: usize = 64;

/// Pushes some columns of a row through the codec; `None` where it fails. `symbols` and `indexes`
/// are the row's.
pub(super) fn encode_columns<F: codec::RansFamily, P: Placement, const LANES: usize>(
    view: &EncoderView<'_, F, P>,
    states: &mut [F::State; LANES],
    words: &mut [F::Word],
    len: &mut usize,
    symbols: SymbolSlice<'_>,
    indexes: RowIndexes<'_>,
    columns: Range<usize>,
) -> Option<()> {
    let (mut values, mut index) = ([0; MOST_COLUMNS], [0; MOST_COLUMNS]);
    let (values, index) = (&mut values[..columns.len()], &mut index[..columns.len()]);
    symbols.range(columns.clone()).copy_to(values);
    index.iter_mut().zip(columns).for_each(|(index, column)| *index = indexes.at(column));
    let mut writer = WordWriter::new(words, *len);
    push_row(view, states, &mut writer, values, RowIndexes::Each(index)).ok()?;
    *len = writer.len();
    Some(())
}

/// Pops some columns of a row through the codec; `None` where it fails. `words` are those left of
/// the row, `symbols` and `indexes` the whole row's.
pub(super) fn decode_columns<F: codec::RansFamily, L: codec::SymbolLookup, const LANES: usize>(
    view: &DecoderView<'_, L>,
    states: &mut [F::State; LANES],
    words: &[F::Word],
    symbols: &mut SymbolSliceMut<'_>,
    indexes: RowIndexes<'_>,
    columns: Range<usize>,
) -> Option<usize> {
    let (mut values, mut index) = ([0; MOST_COLUMNS], [0; MOST_COLUMNS]);
    let (values, index) = (&mut values[..columns.len()], &mut index[..columns.len()]);
    index.iter_mut().zip(columns.clone()).for_each(|(index, column)| *index = indexes.at(column));
    let mut reader = WordReader::new(words);
    pop_row::<F, L, LANES>(view, states, &mut reader, values, RowIndexes::Each(index)).ok()?;
    symbols.range(columns).narrow(values).ok()?;
    Some(reader.len())
}

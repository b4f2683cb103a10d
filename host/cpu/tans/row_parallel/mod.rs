//! tANS rows across vector elements: sixteen rows in a vector, or eight where the processor has
//! smaller ones, four vectors in a block, whatever their lanes.
//!
//! An element is a row, not a state: a row's symbols lie in one stream of bits in the order of its
//! columns, and which lane a column belongs to says only which vector of states it takes its step
//! in. A window of four columns moves at most 56 bits per row, so that the bits of sixteen rows fit
//! two vectors.
//!
//! A tile of columns goes through loops each of which does one thing to data that the L1 cache
//! holds. Symbols and indexes are regrouped as bytes and halves rather than words: a 16 by 16
//! transpose then moves four columns or two at a time. Bits go through a stage, the part of each
//! row's words that a tile reads or writes: it lies together where rows lie apart, holds
//! whole vectors at both ends, and holds a row's bits that fill no word like any others.
//!
//! Anything irregular makes a block give up, and the rows are coded again side by side
//! from their states before: errors are that path's own.

/// `$with!(L, V)` for rows of one lane (`L` = 1) or several (4), in `V` vectors.
macro_rules! with_shape {
    ($with:ident, $lanes:expr, $rows:expr) => {
        match ($lanes, $rows.div_ceil(16)) {
            (1, 1) => $with!(1, 1),
            (1, 2) => $with!(1, 2),
            (1, _) => $with!(1, 4),
            (_, 1) => $with!(4, 1),
            (_, 2) => $with!(4, 2),
            (_, _) => $with!(4, 4),
        }
    };
}

mod pop;
mod push;
mod tile;

use super::Coded;
use crate::cpu::block::{DecodeBlock, EncodeBlock, Failed};
use crate::cpu::rans::row_octets::{STATES, store};
use crate::simd::{Level, Octets, RunOn, Simd512, Work, dispatch_512, dispatch_octets};
use crate::tables::TansWideForm;
use tile::OctetForm;

pub(super) use tile::VectorTables;

/// Fewer rows than this are faster in scalar registers.
const LEAST_ROWS: usize = 14;
/// Rows of fewer columns as well.
const LEAST_COLUMNS: usize = 16;

/// A form of tables, and the vectors that read it.
pub(super) trait VectorForm: Sized {
    /// What the blocks of a push share.
    type ToPush;
    /// What those of a pop share.
    type ToPop;
    /// The most rows of a block.
    const MOST_ROWS: usize;

    /// `None` where rows cannot be pushed.
    fn to_push(tables: &VectorTables<'_, Self>) -> Option<Self::ToPush>;
    /// `None` where rows cannot be popped.
    fn to_pop(tables: &VectorTables<'_, Self>) -> Option<Self::ToPop>;
    /// Pushes a block; `None` where the other path has to.
    fn push<T: Coded>(level: Level, work: PushWork<'_, '_, Self, T>) -> Option<()>;
    /// Pops likewise.
    fn pop<T: Coded>(level: Level, work: PopWork<'_, '_, Self, T>) -> Option<()>;

    /// How many of a block's rows the next block takes.
    fn rows_of_block(rows: usize, columns: usize) -> Option<usize> {
        (rows >= LEAST_ROWS && columns >= LEAST_COLUMNS).then_some(rows.min(Self::MOST_ROWS))
    }
}

impl VectorForm for &TansWideForm {
    type ToPush = Box<push::Scratch>;
    type ToPop = Box<pop::Scratch>;
    const MOST_ROWS: usize = tile::MOST_ROWS;

    fn to_push(tables: &VectorTables<'_, Self>) -> Option<Self::ToPush> {
        (!tables.form.encoder.is_empty()).then(Box::default)
    }

    fn to_pop(tables: &VectorTables<'_, Self>) -> Option<Self::ToPop> {
        (!tables.form.decoder.is_empty()).then(Box::default)
    }

    fn push<T: Coded>(level: Level, work: PushWork<'_, '_, Self, T>) -> Option<()> {
        dispatch_512(level, work).ok().flatten()
    }

    fn pop<T: Coded>(level: Level, work: PopWork<'_, '_, Self, T>) -> Option<()> {
        dispatch_512(level, work).ok().flatten()
    }

    /// With a third vector a block would take all four.
    fn rows_of_block(rows: usize, columns: usize) -> Option<usize> {
        let most = if rows <= 48 { 32 } else { Self::MOST_ROWS };
        (rows >= LEAST_ROWS && columns >= LEAST_COLUMNS).then_some(rows.min(most))
    }
}

impl<'a> VectorForm for OctetForm<'a> {
    type ToPush = (Box<push::Scratch>, push::octets::Buffers<'a>);
    type ToPop = (Box<pop::Scratch>, store::Scratch);
    const MOST_ROWS: usize = STATES;

    fn to_push(tables: &VectorTables<'_, Self>) -> Option<Self::ToPush> {
        Some((Box::default(), push::octets::Buffers::new(tables.form)?))
    }

    fn to_pop(tables: &VectorTables<'_, Self>) -> Option<Self::ToPop> {
        (!tables.form.decoder.is_empty()).then(|| (Box::default(), store::Scratch::new()))
    }

    fn push<T: Coded>(level: Level, work: PushWork<'_, '_, Self, T>) -> Option<()> {
        dispatch_octets(level, Eights(work)).ok().flatten()
    }

    fn pop<T: Coded>(level: Level, work: PopWork<'_, '_, Self, T>) -> Option<()> {
        dispatch_octets(level, Eights(work)).ok().flatten()
    }
}

/// Pushes as many of a block's rows as fill blocks, and those that a block gave up, or that are too
/// few, as `rest` does.
pub(super) fn push<F: VectorForm, T: Coded>(
    level: Level,
    tables: &VectorTables<'_, F>,
    block: &mut EncodeBlock<'_, T>,
    rest: impl Fn(EncodeBlock<'_, T>) -> Result<(), Failed>,
) -> Result<(), Failed> {
    let Some(mut scratch) = F::to_push(tables) else { return Ok(()) };
    let columns = block.columns;
    let size = |rows| F::rows_of_block(rows, columns);
    while let Some(given_up) = block
        .in_batches(size, |block| F::push(level, PushWork { tables, scratch: &mut scratch, block }))
    {
        rest(given_up)?;
    }
    Ok(())
}

/// Pops likewise.
pub(super) fn pop<F: VectorForm, T: Coded>(
    level: Level,
    tables: &VectorTables<'_, F>,
    block: &mut DecodeBlock<'_, T>,
    rest: impl Fn(DecodeBlock<'_, T>) -> Result<(), Failed>,
) -> Result<(), Failed> {
    let Some(mut scratch) = F::to_pop(tables) else { return Ok(()) };
    let columns = block.columns;
    let size = |rows| F::rows_of_block(rows, columns);
    while let Some(given_up) = block
        .in_batches(size, |block| F::pop(level, PopWork { tables, scratch: &mut scratch, block }))
    {
        rest(given_up)?;
    }
    Ok(())
}

/// A block to push.
pub(super) struct PushWork<'a, 'b, F: VectorForm, T: Coded> {
    tables: &'a VectorTables<'a, F>,
    scratch: &'a mut F::ToPush,
    block: &'a mut EncodeBlock<'b, T>,
}

/// A block to pop.
pub(super) struct PopWork<'a, 'b, F: VectorForm, T: Coded> {
    tables: &'a VectorTables<'a, F>,
    scratch: &'a mut F::ToPop,
    block: &'a mut DecodeBlock<'b, T>,
}

/// Work for vectors of eight elements.
struct Eights<W>(W);

impl<F: VectorForm, T: Coded> Work for PushWork<'_, '_, F, T> {
    type Output = Option<()>;
}

impl<F: VectorForm, T: Coded> Work for PopWork<'_, '_, F, T> {
    type Output = Option<()>;
}

impl<W: Work> Work for Eights<W> {
    type Output = W::Output;
}

impl<S: Simd512, T: Coded> RunOn<S> for PushWork<'_, '_, &TansWideForm, T> {
    #[inline(always)]
    fn run(self, s: S) -> Option<()> {
        push::rows(push::steps::Wide::new(s), self.tables, self.scratch, self.block)
    }
}

impl<S: Simd512, T: Coded> RunOn<S> for PopWork<'_, '_, &TansWideForm, T> {
    #[inline(always)]
    fn run(self, s: S) -> Option<()> {
        let done = pop::rows(pop::steps::Wide::new(s), self.tables, self.scratch, self.block);
        s.fence();
        done
    }
}

impl<S: Octets, T: Coded> RunOn<S> for Eights<PushWork<'_, '_, OctetForm<'_>, T>> {
    #[inline(always)]
    fn run(self, s: S) -> Option<()> {
        let PushWork { tables, scratch: (scratch, buffers), block } = self.0;
        push::rows(push::octets::Eights { s, buffers }, tables, scratch, block)
    }
}

impl<S: Octets, T: Coded> RunOn<S> for Eights<PopWork<'_, '_, OctetForm<'_>, T>> {
    #[inline(always)]
    fn run(self, s: S) -> Option<()> {
        let PopWork { tables, scratch: (scratch, buffers), block } = self.0;
        let done = pop::rows(pop::octets::Eights::new(s, buffers), tables, scratch, block);
        s.fence();
        done
    }
}

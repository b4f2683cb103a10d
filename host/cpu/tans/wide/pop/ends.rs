//! The two ends of a stretch: which tables its symbols are of, and where they go.

use std::ops::Range;

use parans_kernels::codec;

use super::{Scratch, Used};
use crate::cpu::tans::Coded;
use crate::cpu::tans::wide::{STRETCH, Tables, load_indexes, regroup};
use crate::cpu::untyped::{Pop, ValuesMut, with_slice};
use crate::simd::rows::{RowSimd, RowWork};

/// Writes down which table each symbol is of.
pub(super) struct Find<'a> {
    pub(super) tables: &'a Tables<'a>,
    pub(super) scratch: &'a mut Scratch,
    pub(super) indexes: &'a [codec::Indexes<'a>],
    /// What all of them are, where that is known.
    pub(super) one: Option<i32>,
    pub(super) range: Range<usize>,
}

impl RowWork for Find<'_> {
    type Output = Option<Used>;

    #[inline(always)]
    fn run<S: RowSimd>(self, s: S) -> Option<Used> {
        let Self { tables, scratch, indexes, one, range } = self;
        if let Some(one) = one
            && (one as u32) < tables.count
        {
            return Some(Used::One(one as u32));
        }
        if tables.count == 1 {
            // Nothing to write down where no symbol is skipped: the indexes are only checked.
            let mut others = s.splat(0);
            for &of_row in indexes {
                let [a, b, c, d] = load_indexes(s, of_row, range.clone());
                others = s.or(others, s.or(s.or(a, b), s.or(c, d)));
            }
            if s.test(others, others) == 0 {
                return Some(Used::One(0));
            }
        }
        let mut skipping = 0;
        let none = s.splat(tables.count);
        for (indexes, numbers) in indexes.chunks(16).zip(&mut scratch.tables) {
            for (r, &of_row) in indexes.iter().enumerate() {
                let [a, b, c, d] = load_indexes(s, of_row, range.clone());
                let (a, b) = (tables.named(s, a)?, tables.named(s, b)?);
                let (c, d) = (tables.named(s, c)?, tables.named(s, d)?);
                skipping |= s.eq(a, none) | s.eq(b, none) | s.eq(c, none) | s.eq(d, none);
                s.store(s.low_halves([a, b]), &mut numbers[r]);
                s.store(s.low_halves([c, d]), &mut numbers[16 + r]);
            }
            let (halves, _) = numbers.as_chunks_mut::<16>();
            for half in halves {
                regroup(s, half);
            }
        }
        Some(if skipping != 0 { Used::Skipping } else { Used::Each })
    }
}

/// Puts a range of columns of symbols where the caller wants them.
pub(super) struct Put<'a, 'b, T: Coded> {
    pub(super) tables: &'a Tables<'a>,
    pub(super) scratch: &'a mut Scratch,
    pub(super) used: Used,
    pub(super) unit: &'a mut Pop<'b, T>,
    pub(super) indexes: &'a [codec::Indexes<'a>],
    pub(super) range: Range<usize>,
    pub(super) past_cache: bool,
}

impl<T: Coded> RowWork for Put<'_, '_, T> {
    type Output = Option<()>;

    #[inline(always)]
    fn run<S: RowSimd>(self, s: S) -> Option<()> {
        let Self { tables, scratch, used, unit, indexes, range, past_cache } = self;
        let form = tables.form;
        // Skipped symbols are 0 with their table's offset, which is 0 as well.
        let offset = match used {
            Used::One(table) => Some(form.offsets[table as usize]),
            Used::Each => form.offset,
            Used::Skipping => form.offset.filter(|&offset| offset == 0),
        };
        let rows = unit.lens.len();
        for u in 0..rows.div_ceil(16) {
            let mut v = [s.splat(0); 16];
            for (v, from) in v.iter_mut().zip(&scratch.symbols[u]) {
                *v = s.load(from);
            }
            s.transpose::<1>(&mut v);
            for (row, &v) in (16 * u..rows).zip(&v) {
                let begin = row * unit.columns + range.start;
                let mut out = unit.symbols.range(begin..begin + range.len());
                let mut parts = s.bytes_from_top(v);
                if let Some(offset) = offset {
                    for part in &mut parts {
                        *part = s.add(*part, s.splat(offset));
                    }
                } else {
                    let index = load_indexes(s, indexes[row], range.clone());
                    for (part, index) in parts.iter_mut().zip(index) {
                        *part = s.add(*part, s.gather(&form.offsets, index));
                    }
                }
                if let ValuesMut::I32(out) = &mut out
                    && let (out, []) = bytemuck::cast_slice_mut(out).as_chunks_mut::<16>()
                {
                    for (out, &part) in out.iter_mut().zip(&parts) {
                        if past_cache { s.store_past_cache(part, out) } else { s.store(part, out) }
                    }
                } else {
                    let mut values = [[0; 16]; 4];
                    for (values, &part) in values.iter_mut().zip(&parts) {
                        s.store(part, values);
                    }
                    let values = bytemuck::cast_slice(values.as_flattened());
                    out.put(&values[..range.len()]).ok()?;
                }
                if !past_cache {
                    let next = begin + range.len();
                    with_slice!(&mut unit.symbols, ValuesMut, all => {
                        let line = 64 / size_of_val(&all[0]);
                        for at in (next..next + STRETCH).step_by(line) {
                            s.prefetch_to_write(all, at);
                        }
                    });
                }
            }
        }
        if past_cache {
            s.fence();
        }
        Some(())
    }
}

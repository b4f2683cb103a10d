//! Input and output of a tile: which tables its symbols are of, and where they go.

use std::ops::Range;

use parans_kernels::codec;

use super::Symbols;
use super::tile::{Scratch, UsedTables};
use crate::cpu::tans::Coded;
use crate::cpu::tans::row_parallel::tile::{TILE, VectorTables, load_indexes, regroup};
use crate::simd::{RunOn, Simd512, Work};
use crate::symbols::SymbolSliceMut;
use crate::tables::TansWideForm;

/// Writes down which table each symbol is of.
pub(super) struct Find<'a> {
    pub(super) tables: &'a VectorTables<'a>,
    pub(super) scratch: &'a mut Scratch,
    pub(super) indexes: &'a [codec::RowIndexes<'a>],
    /// What all of them are, where that is known.
    pub(super) one: Option<i32>,
    pub(super) range: Range<usize>,
}

impl Work for Find<'_> {
    type Output = Option<UsedTables>;
}

impl<S: Simd512> RunOn<S> for Find<'_> {
    #[inline(always)]
    fn run(self, s: S) -> Option<UsedTables> {
        let Self { tables, scratch, indexes, one, range } = self;
        if let Some(one) = one
            && (one as u32) < tables.count
        {
            return Some(UsedTables::One(one as u32));
        }
        if tables.count == 1 {
            // Nothing to write down where no symbol is skipped: the indexes are only checked.
            let mut others = s.splat(0);
            for &of_row in indexes {
                let [a, b, c, d] = load_indexes(s, of_row, range.clone());
                others = s.or(others, s.or(s.or(a, b), s.or(c, d)));
            }
            if s.test(others, others) == 0 {
                return Some(UsedTables::One(0));
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
        Some(if skipping != 0 { UsedTables::Skipping } else { UsedTables::Each })
    }
}

/// Stores a range of columns of symbols.
pub(super) struct Store<'a, 'b, 'f, T: Coded> {
    pub(super) symbols: Symbols<'a, 'b, T, &'f TansWideForm>,
    pub(super) used: UsedTables,
}

impl<T: Coded> Work for Store<'_, '_, '_, T> {
    type Output = Option<()>;
}

impl<S: Simd512, T: Coded> RunOn<S> for Store<'_, '_, '_, T> {
    #[inline(always)]
    fn run(self, s: S) -> Option<()> {
        let Self { symbols, used } = self;
        let Symbols { tables, scratch, block, indexes, range, non_temporal, last } = symbols;
        let form = tables.form;
        // Skipped symbols are 0 with their table's offset, which is 0 as well.
        let offset = match used {
            UsedTables::One(table) => Some(form.offsets[table as usize]),
            UsedTables::Each => form.offset,
            UsedTables::Skipping => form.offset.filter(|&offset| offset == 0),
        };
        let rows = block.lens.len();
        let bytes = form.symbol_shift == 24;
        for u in 0..rows.div_ceil(16) {
            let symbols = &mut scratch.symbols[u];
            let (blocks, _) = symbols.as_chunks_mut::<16>();
            for block in blocks.iter_mut().take(if bytes { 1 } else { 2 }) {
                regroup(s, block);
            }
            for (r, row) in (16 * u..rows.min(16 * (u + 1))).enumerate() {
                let mut parts = if bytes {
                    s.bytes_from_top(s.load(&symbols[r]))
                } else {
                    let [a, b] = s.halves_from_top(s.load(&symbols[r]));
                    let [c, d] = s.halves_from_top(s.load(&symbols[16 + r]));
                    // Below a symbol come bits of its state's number.
                    let by = form.symbol_shift - 16;
                    [s.shr(a, by), s.shr(b, by), s.shr(c, by), s.shr(d, by)]
                };
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
                let of_row = row * block.columns..(row + 1) * block.columns;
                if non_temporal && let SymbolSliceMut::I32(all) = &mut block.symbols {
                    let out = bytemuck::cast_slice_mut(&mut all[of_row]);
                    store_non_temporal(s, &parts, out, &mut scratch.stored[row], &range, last);
                    continue;
                }
                let begin = of_row.start + range.start;
                let mut out = block.symbols.range(begin..begin + range.len());
                if let SymbolSliceMut::I32(out) = &mut out
                    && let (out, []) = bytemuck::cast_slice_mut(out).as_chunks_mut::<16>()
                {
                    for (out, &part) in out.iter_mut().zip(&parts) {
                        s.store(part, out);
                    }
                } else {
                    let mut values = [[0; 16]; 4];
                    for (values, &part) in values.iter_mut().zip(&parts) {
                        s.store(part, values);
                    }
                    let values = bytemuck::cast_slice(values.as_flattened());
                    out.narrow(&values[..range.len()]).ok()?;
                }
                let next = begin + range.len();
                let width = block.symbols.width();
                let bytes = block.symbols.as_bytes_mut();
                for at in (width * next..width * (next + TILE)).step_by(64) {
                    s.prefetch_to_write(bytes, at);
                }
            }
        }
        Some(())
    }
}

/// Stores a range of a row non-temporally, in whole cache lines. What its last line lacks waits for
/// the next range.
#[inline(always)]
fn store_non_temporal<S: Simd512>(
    s: S,
    parts: &[S::U32; 4],
    out: &mut [u32],
    before: &mut [u32; 16],
    range: &Range<usize>,
    last: bool,
) {
    const COUNTING: [u32; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
    // How far into a line the range begins, and each of its vectors: a line is the last symbols of
    // one and the first of the next. Of a short first range that ends with a line all symbols are
    // those past its last whole vector.
    let into = (out.as_ptr() as usize / size_of::<u32>() + range.start) % 16;
    if into == 0 {
        let (lines, _) = out[range.clone()].as_chunks_mut();
        for (line, &part) in lines.iter_mut().zip(parts) {
            s.store_non_temporal(part, line);
        }
    } else {
        let order = s.add(s.load(&COUNTING), s.splat(16 - into as u32));
        let mut v = s.load(before);
        for (k, &part) in parts.iter().enumerate().take(range.len() / 16) {
            let at = range.start + 16 * k;
            if at == 0 {
                s.store(part, before);
                out[..16 - into].copy_from_slice(&before[..16 - into]);
            } else if let Some(line) = out[at - into..].first_chunk_mut() {
                s.store_non_temporal(s.permute_two(v, part, order), line);
            }
            v = part;
        }
        s.store(v, before);
    }
    let short = range.start == 0 && range.len() < 16;
    if last || short {
        let at = range.end - range.len() % 16;
        if !short {
            out[at - into..at].copy_from_slice(&before[16 - into..]);
        }
        if let Some(&part) = parts.get(range.len() / 16) {
            s.store(part, before);
            out[at..range.end].copy_from_slice(&before[..range.end - at]);
        }
    }
}

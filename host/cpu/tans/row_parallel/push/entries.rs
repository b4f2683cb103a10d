//! From symbols and indexes to their entries.

use super::tile::{PushTile, Scratch};
use crate::cpu::tans::row_parallel::tile::{WINDOW, WINDOWS, load_indexes, regroup};
use crate::simd::{RunOn, Simd512, Work};
use crate::tables::TansWideForm;

/// Notes which windows of a row have symbols outside their tables, given those of each sixteen
/// columns.
#[cold]
#[inline(never)]
fn note(irregular: &mut [u64; WINDOWS], row: usize, outside: [u16; 4]) {
    for (k, outside) in outside.into_iter().enumerate() {
        for w in 0..4 {
            if outside >> (WINDOW * w) & 0xf != 0 {
                irregular[4 * k + w] |= 1 << row;
            }
        }
    }
}

/// Finds the positions of the entries; `None` where a symbol cannot be coded.
pub(super) struct FindEach<'a> {
    pub(super) tile: &'a PushTile<'a>,
    pub(super) scratch: &'a mut Scratch,
}

impl Work for FindEach<'_> {
    type Output = Option<()>;
}

impl<S: Simd512> RunOn<S> for FindEach<'_> {
    #[inline(always)]
    fn run(self, s: S) -> Option<()> {
        let Self { tile, scratch } = self;
        let tables = tile.tables;
        let form = tables.form;
        let none = s.splat(tables.count);
        let less = s.splat(u32::from(tables.bypass.is_some()));
        let within = s.splat((1 << form.alphabet_bits) - 1);
        let uniform = form.offset.zip(form.size);
        let of_vectors = tile.indexes.chunks(16).zip(&mut scratch.entries);
        for (u, (indexes, entries)) in of_vectors.enumerate() {
            for (r, &of_row) in indexes.iter().enumerate() {
                let values = tile.load(s, 16 * u + r);
                let index = load_indexes(s, of_row, tile.range.clone());
                let mut outside = [0; 4];
                for k in 0..4 {
                    let named = tables.named(s, index[k])?;
                    let (offset, size) = match uniform {
                        Some((offset, size)) => (s.splat(offset), s.splat(size)),
                        None => (s.gather(&form.offsets, named), s.gather(&form.sizes, named)),
                    };
                    let value = s.sub(values[k], offset);
                    // With bypass, the last symbol of a table codes all that is outside.
                    let limit = s.sub(size, less);
                    let skipped = s.eq(named, none);
                    outside[k] = s.ge(value, limit) & !skipped;
                    let value = s.select(skipped, s.splat(0), s.min(value, limit));
                    let turn = s.shl(named, const { TansWideForm::TURN.ilog2() });
                    let turned = s.and(s.add(value, turn), within);
                    let position = s.or(s.shl(named, form.alphabet_bits), turned);
                    s.store(position, &mut entries[16 * k + r]);
                }
                if outside[0] | outside[1] | outside[2] | outside[3] != 0 {
                    tables.bypass?;
                    note(&mut scratch.irregular, 16 * u + r, outside);
                }
            }
            let (blocks, _) = entries.as_chunks_mut::<16>();
            for block in blocks {
                regroup(s, block);
            }
        }
        Some(())
    }
}

/// Of one table in registers, writes down the symbols' numbers; `false` where a symbol is skipped
/// or cannot be coded.
pub(super) struct FindBytes<'a> {
    pub(super) tile: &'a PushTile<'a>,
    pub(super) scratch: &'a mut Scratch,
}

impl Work for FindBytes<'_> {
    type Output = bool;
}

impl<S: Simd512> RunOn<S> for FindBytes<'_> {
    #[inline(always)]
    fn run(self, s: S) -> bool {
        let Self { tile, scratch } = self;
        let tables = tile.tables;
        let form = tables.form;
        let less = u32::from(tables.bypass.is_some());
        let (limit, offset) = (s.splat(form.sizes[0] - less), s.splat(form.offsets[0]));
        let mut others = 0;
        let of_vectors = tile.indexes.chunks(16).zip(&mut scratch.symbols);
        for (u, (indexes, numbers)) in of_vectors.enumerate() {
            for (r, (&of_row, number)) in indexes.iter().zip(&mut *numbers).enumerate() {
                let [a, b, c, d] = tile.load(s, 16 * u + r);
                if tile.one != Some(0) {
                    let [e, f, g, h] = load_indexes(s, of_row, tile.range.clone());
                    let any = s.or(s.or(e, f), s.or(g, h));
                    others |= s.test(any, any);
                }
                let (mut a, mut b) = (s.sub(a, offset), s.sub(b, offset));
                let (mut c, mut d) = (s.sub(c, offset), s.sub(d, offset));
                let outside = [s.ge(a, limit), s.ge(b, limit), s.ge(c, limit), s.ge(d, limit)];
                let any = outside[0] | outside[1] | outside[2] | outside[3];
                if any != 0 {
                    if tables.bypass.is_none() {
                        return false;
                    }
                    note(&mut scratch.irregular, 16 * u + r, outside);
                    (a, b) = (s.min(a, limit), s.min(b, limit));
                    (c, d) = (s.min(c, limit), s.min(d, limit));
                }
                s.store(s.low_bytes([a, b, c, d]), number);
            }
            if others != 0 {
                return false;
            }
            regroup(s, numbers);
        }
        true
    }
}

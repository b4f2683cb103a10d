//! Pushing a unit of rows, a stretch of columns at a time.

use std::ops::Range;

use parans_kernels::codec::{TansFamily, TansRow, WordWriter, tans::BitBuffer};

use super::super::{Coded, push::Tail};
use super::{LANES, STAGE, STRETCH, Tables, UNIT, VECTORS, WINDOW, WINDOWS, each_vector, valid};
use crate::coder::Indexes;
use crate::cpu::scalar::with_lanes;
use crate::cpu::untyped::{Push, Values, with_slice};
use crate::cpu::wide::tables::{load_indexes, load_symbols, prefetch_indexes};
use crate::simd::ByteTable;
use crate::simd::rows::{RowSimd, RowWork};

/// What a stretch keeps in the first-level cache.
#[repr(C, align(64))]
pub(in super::super) struct Scratch {
    /// The bits that a stretch writes.
    stage: [[u8; STAGE]; UNIT],
    /// Positions of the symbols' entries.
    entries: [[[u32; 16]; STRETCH]; VECTORS],
    /// Of one table in registers, the symbols' numbers instead: a byte each, those of a window, the first lowest.
    symbols: [[[u32; 16]; WINDOWS]; VECTORS],
    /// States of each lane.
    states: [[[u32; 16]; VECTORS]; LANES],
    /// The last 64 bits of each row, the youngest at the top: the upper half,
    high: [[u32; 16]; VECTORS],
    /// and the lower.
    low: [[u32; 16]; VECTORS],
    /// How many of them fill no byte,
    lens: [[u32; 16]; VECTORS],
    /// and where in the stage they go.
    ends: [[u32; 16]; VECTORS],
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            stage: [[0; STAGE]; UNIT],
            entries: [[[0; 16]; STRETCH]; VECTORS],
            symbols: [[[0; 16]; WINDOWS]; VECTORS],
            states: [[[0; 16]; VECTORS]; LANES],
            high: [[0; 16]; VECTORS],
            low: [[0; 16]; VECTORS],
            lens: [[0; 16]; VECTORS],
            ends: [[0; 16]; VECTORS],
        }
    }
}

/// Pushes a unit's rows; `None` where the other path has to.
pub(super) fn unit<S: RowSimd, T: Coded>(
    s: S,
    tables: &Tables<'_>,
    scratch: &mut Scratch,
    unit: &mut Push<'_, T>,
) -> Option<()> {
    let columns = unit.columns;
    let rows = unit.rows.len();
    let fields = T::FAMILY.header_fields(tables.lanes);
    let whole = columns / WINDOW * WINDOW;
    with_lanes!(tables.lanes, LANES => tails::<T, LANES>(tables, unit, whole)?);

    let width = size_of::<T::Unit>();
    let mut left = &mut *unit.rows.words;
    let mut sinks: Vec<(&mut [u8], usize)> = Vec::with_capacity(rows);
    scratch.states = [[[1 << tables.precision; 16]; VECTORS]; LANES];
    for row in 0..UNIT {
        let (u, e) = (row / 16, row % 16);
        scratch.ends[u][e] = (row * STAGE) as u32;
        scratch.lens[u][e] = 0;
        let Some(fields) = unit.rows.states.get(row * fields..(row + 1) * fields) else { continue };
        let (own, after) = left.split_at_mut(unit.rows.starts[row + 1] - unit.rows.starts[row]);
        left = after;
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(own);
        let (lanes, buffer) = fields.split_at(tables.lanes);
        for (lane, &x) in lanes.iter().enumerate() {
            let x = if x == 0 { 1 << tables.precision } else { x };
            if x >> tables.precision != 1 {
                return None;
            }
            scratch.states[lane][u][e] = x;
        }
        let buffer = BitBuffer { bits: buffer[0], len: buffer[1] };
        if !buffer.is_valid(T::Codec::WORD_BITS) {
            return None;
        }
        let tail = Tail::from_buffer(buffer, unit.rows.lens[row] * width, bytes);
        if tail.at > bytes.len() {
            return None;
        }
        // The bits of no byte at the top; nothing is there where there are none.
        scratch.high[u][e] = ((tail.window as u32) << 1) << (31 - tail.len);
        scratch.low[u][e] = 0;
        scratch.lens[u][e] = tail.len;
        sinks.push((bytes, tail.at));
    }

    let (symbols, indexes, first) = (unit.symbols, unit.indexes, unit.rows.first);
    for begin in (0..whole).step_by(STRETCH).rev() {
        let range = begin..(begin + STRETCH).min(whole);
        let number =
            Number { tables, scratch, first, rows, symbols, columns, indexes, range: range.clone() };
        let bytes = match &tables.form.bytes {
            Some(bytes) if s.vectorize(NumberBytes(number)) => Some(&**bytes),
            _ => {
                let range = range.clone();
                let number =
                    Number { tables, scratch, first, rows, symbols, columns, indexes, range };
                s.vectorize(number)?;
                None
            }
        };
        take(s, tables, scratch, rows, bytes, range);
        for (row, (bytes, len)) in sinks.iter_mut().enumerate() {
            let end = &mut scratch.ends[row / 16][row % 16];
            let count = *end as usize - row * STAGE;
            *end = (row * STAGE) as u32;
            let from = &scratch.stage[row];
            if let Some(to) = bytes.get_mut(*len..*len + STAGE) {
                // Few bits a symbol, most often.
                to[..STAGE / 2].copy_from_slice(&from[..STAGE / 2]);
                if count > STAGE / 2 {
                    to[STAGE / 2..].copy_from_slice(&from[STAGE / 2..]);
                }
            } else {
                bytes.get_mut(*len..*len + count)?.copy_from_slice(&from[..count]);
            }
            *len += count;
        }
    }
    for (row, fields) in unit.rows.states.chunks_exact_mut(fields).enumerate() {
        let (u, e) = (row / 16, row % 16);
        let (lanes, rest) = fields.split_at_mut(tables.lanes);
        for (lane, x) in lanes.iter_mut().enumerate() {
            *x = scratch.states[lane][u][e];
        }
        let len = scratch.lens[u][e];
        let window = u64::from(scratch.high[u][e]) << 32 >> (64 - len) % 64;
        let window = if len == 0 { 0 } else { window };
        let tail = Tail { window, len, at: sinks[row].1 };
        let (buffer, len) = tail.into_buffer::<T::Codec>(sinks[row].0);
        rest.copy_from_slice(&[buffer.bits, buffer.len]);
        unit.rows.lens[row] = len;
    }
    Some(())
}

/// Pushes the columns past the last window, through the codec.
fn tails<T: Coded, const LANES: usize>(
    tables: &Tables<'_>,
    unit: &mut Push<'_, T>,
    whole: usize,
) -> Option<()> {
    if whole == unit.columns {
        return Some(());
    }
    let fields = T::FAMILY.header_fields(LANES);
    let base = unit.rows.starts[0];
    for (row, fields) in unit.rows.states.chunks_exact_mut(fields).enumerate() {
        let mut codec = TansRow::<LANES>::load::<T::Codec>(fields, tables.precision).ok()?;
        let own = unit.rows.starts[row] - base..unit.rows.starts[row + 1] - base;
        let mut writer = WordWriter::new(&mut unit.rows.words[own], unit.rows.lens[row]);
        let indexes = unit.indexes.row(unit.rows.first + row);
        for column in (whole..unit.columns).rev() {
            let (lane, index) = (column % LANES, indexes.at(column));
            let symbol = unit.symbols.at(row * unit.columns + column);
            let view = &tables.encoder;
            view.push_one::<T::Codec, LANES>(&mut codec, lane, symbol, index, &mut writer).ok()?;
        }
        if writer.overflowed() {
            return None;
        }
        unit.rows.lens[row] = writer.len();
        codec.store(fields);
    }
    Some(())
}

/// Finds the entries of a range of columns; `None` where a symbol cannot be coded, or only with digits.
struct Number<'a> {
    tables: &'a Tables<'a>,
    scratch: &'a mut Scratch,
    first: usize,
    rows: usize,
    symbols: Values<'a>,
    columns: usize,
    indexes: &'a Indexes<'a>,
    range: Range<usize>,
}

impl RowWork for Number<'_> {
    type Output = Option<()>;

    #[inline(always)]
    fn run<S: RowSimd>(self, s: S) -> Option<()> {
        let Self { tables, scratch, first, rows, symbols, columns, indexes, range } = self;
        let form = tables.form;
        let none = s.splat(tables.count);
        let less = s.splat(u32::from(tables.bypass.is_some()));
        let zero = s.splat(0);
        for u in 0..rows.div_ceil(16) {
            for (block, begin) in range.clone().step_by(16).enumerate() {
                let valid = valid(begin, range.end);
                let mut v = [s.shl(none, form.alphabet_bits); 16];
                for (row, v) in (16 * u..rows).zip(&mut v) {
                    let values = symbols.range(row * columns..(row + 1) * columns);
                    let of_row = indexes.row(first + row);
                    with_slice!(values, Values, values => s.prefetch(values, begin.wrapping_sub(STRETCH)));
                    prefetch_indexes(s, of_row, begin.wrapping_sub(STRETCH));
                    let named = tables.named(s, load_indexes(s, of_row, begin), valid)?;
                    let value = load_symbols(s, values, begin);
                    let (value, size) = match (form.offset, form.size) {
                        (Some(offset), Some(size)) => (s.sub(value, s.splat(offset)), s.splat(size)),
                        _ => (
                            s.sub(value, s.gather(&form.offsets, named)),
                            s.gather(&form.sizes, named),
                        ),
                    };
                    let skipped = s.eq(named, none);
                    let outside = s.ge(value, s.sub(size, less));
                    if valid & outside & !skipped != 0 {
                        return None;
                    }
                    let value = s.select(skipped, zero, value);
                    *v = s.or(s.shl(named, form.alphabet_bits), value);
                }
                s.transpose::<1>(&mut v);
                for (&v, to) in v.iter().zip(&mut scratch.entries[u][16 * block..]) {
                    s.store(v, to);
                }
            }
        }
        Some(())
    }
}

/// As [`Number`], of one table in registers; `false` where a symbol is skipped or not simply one of the table.
struct NumberBytes<'a>(Number<'a>);

impl RowWork for NumberBytes<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<S: RowSimd>(self, s: S) -> bool {
        let Number { tables, scratch, first, rows, symbols, columns, indexes, range } = self.0;
        let form = tables.form;
        let less = u32::from(tables.bypass.is_some());
        let (limit, offset) = (s.splat(form.sizes[0] - less), s.splat(form.offsets[0]));
        let (zero, one) = (s.splat(0), s.splat(1));
        let mut others = 0;
        let named = indexes.one_for_all() == Some(0);
        for u in 0..rows.div_ceil(16) {
            let mut v = [zero; 16];
            for (row, v) in (16 * u..rows).zip(&mut v) {
                let values = symbols.range(row * columns..(row + 1) * columns);
                let of_row = indexes.row(first + row);
                let mut four = [zero; 4];
                for (k, value) in four.iter_mut().enumerate() {
                    let at = range.start + 16 * k;
                    if at >= range.end {
                        break;
                    }
                    let valid = valid(at, range.end);
                    with_slice!(values, Values, values => s.prefetch(values, at.wrapping_sub(STRETCH)));
                    if !named {
                        prefetch_indexes(s, of_row, at.wrapping_sub(STRETCH));
                        others |= valid & s.ge(load_indexes(s, of_row, at), one);
                    }
                    *value = s.sub(load_symbols(s, values, at), offset);
                    others |= valid & s.ge(*value, limit);
                }
                *v = s.low_bytes(four);
            }
            if others != 0 {
                return false;
            }
            s.transpose::<1>(&mut v);
            for (&v, to) in v.iter().zip(&mut scratch.symbols[u]) {
                s.store(v, to);
            }
        }
        true
    }
}

/// Takes a stretch's steps.
#[inline(always)]
fn take<S: RowSimd>(
    s: S,
    tables: &Tables<'_>,
    scratch: &mut Scratch,
    rows: usize,
    bytes: Option<&ByteTable<4>>,
    range: Range<usize>,
) {
    macro_rules! with {
        ($L:literal, $V:literal) => {
            if bytes.is_some() {
                s.vectorize(Take::<$L, $V, true> { tables, scratch, bytes, range })
            } else {
                s.vectorize(Take::<$L, $V, false> { tables, scratch, bytes, range })
            }
        };
    }
    macro_rules! with_vectors {
        ($L:literal) => {
            match rows.div_ceil(16) {
                1 => with!($L, 1),
                2 => with!($L, 2),
                _ => with!($L, 4),
            }
        };
    }
    match tables.lanes {
        1 => with_vectors!(1),
        2 => with_vectors!(2),
        _ => with_vectors!(4),
    }
}

/// The steps of rows of `L` lanes (4 for more as well), in `V` vectors, the last first.
struct Take<'a, const L: usize, const V: usize, const BYTES: bool> {
    tables: &'a Tables<'a>,
    scratch: &'a mut Scratch,
    bytes: Option<&'a ByteTable<4>>,
    range: Range<usize>,
}

impl<const L: usize, const V: usize, const BYTES: bool> RowWork for Take<'_, L, V, BYTES> {
    type Output = ();

    #[inline(always)]
    fn run<S: RowSimd>(self, s: S) {
        let Self { tables, scratch, bytes, range } = self;
        let Scratch { stage, entries, symbols, states, high, low, lens, ends } = scratch;
        let stage = stage.as_flattened_mut();
        let (next, form) = (tables.encoder.next, tables.form);
        let precision = tables.precision;
        let mask = s.splat((1 << precision) - 1);
        let (zero, seven) = (s.splat(0), s.splat(7));
        for w in (0..range.len() / WINDOW).rev() {
            let lane = if L == WINDOW { (range.start + WINDOW * w) % tables.lanes } else { 0 };
            let mut x = [[zero; VECTORS]; L];
            let [mut upper, mut lower, mut len] = [[zero; VECTORS]; 3];
            let mut looked_up = [[zero; 4]; VECTORS];
            each_vector!(U in V => {
                upper[U] = s.load(&high[U]);
                lower[U] = s.load(&low[U]);
                len[U] = s.load(&lens[U]);
                if BYTES && let Some(bytes) = bytes {
                    looked_up[U] = s.lookup_bytes(bytes, s.load(&symbols[U][w]));
                }
            });
            macro_rules! step {
                ($k:literal) => {
                    let mut count = [zero; VECTORS];
                    let mut before = [zero; VECTORS];
                    let mut entry = [zero; VECTORS];
                    let mut place = [zero; VECTORS];
                    each_vector!(U in V => {
                        if BYTES {
                            entry[U] = looked_up[U][$k];
                        } else {
                            let position = s.load(&entries[U][WINDOW * w + $k]);
                            entry[U] = s.gather(&form.encoder, position);
                            place[U] = s.shl(s.shr(position, form.alphabet_bits), precision);
                        }
                    });
                    each_vector!(U in V => {
                        before[U] = if $k + L >= WINDOW {
                            s.load(&states[lane + $k % L][U])
                        } else {
                            x[$k % L][U]
                        };
                        let sum = s.add(s.shl(before[U], precision), entry[U]);
                        count[U] = s.shr(sum, 2 * precision + 1);
                        let at = s.add(s.shr_by(before[U], count[U]), entry[U]);
                        let at = s.or(s.and(at, mask), place[U]);
                        x[$k % L][U] = s.gather_u16(next, at);
                    });
                    each_vector!(U in V => {
                        lower[U] = s.funnel_shr(upper[U], lower[U], count[U]);
                        upper[U] = s.funnel_shr(before[U], upper[U], count[U]);
                        len[U] = s.add(len[U], count[U]);
                    });
                };
            }
            step!(3);
            step!(2);
            step!(1);
            step!(0);
            each_vector!(U in V => {
                let end = s.load(&ends[U]);
                s.store_top_bits([upper[U], lower[U]], len[U], stage, end);
                s.store(s.add(end, s.shr(len[U], 3)), &mut ends[U]);
                s.store(s.and(len[U], seven), &mut lens[U]);
                s.store(upper[U], &mut high[U]);
                s.store(lower[U], &mut low[U]);
                for k in 0..L {
                    s.store(x[k][U], &mut states[lane + k][U]);
                }
            });
        }
    }
}

//! Popping a unit of rows, a stretch of columns at a time.

use std::ops::Range;

use parans_kernels::codec::{
    RowFault, Tans16, TansFamily, TansRow, WordInt, WordReader, tans::BitBuffer,
};

use super::super::Coded;
use super::{LANES, STAGE, STRETCH, Tables, UNIT, VECTORS, WINDOW, WINDOWS, each_vector, valid};
use crate::coder::Indexes;
use crate::cpu::scalar::with_lanes;
use crate::cpu::untyped::{Pop, ValuesMut, with_slice};
use crate::cpu::wide::tables::{load_indexes, prefetch_indexes};
use crate::simd::rows::{RowSimd, RowWork};
use crate::tables::TansRowsForm;

/// Symbols of all rows from which on they go past the caches: 32 MiB of them. Few in unit tests, so that those take both ways.
const LARGE: usize = if cfg!(test) { 1 << 10 } else { 1 << 23 };

/// What a stretch keeps in the first-level cache.
#[repr(C, align(64))]
pub(in super::super) struct Scratch {
    /// The last bytes of each row's bits; the first is no row's.
    stage: [[u8; STAGE]; UNIT + 1],
    /// Which table each symbol is of: those of two columns, the first lower.
    tables: [[[u32; 16]; STRETCH / 2]; VECTORS],
    /// The symbols' numbers: a byte each, those of a window, the first highest.
    symbols: [[[u32; 16]; WINDOWS]; VECTORS],
    /// States of each lane.
    states: [[[u32; 16]; VECTORS]; LANES],
    /// Where each row's bits end: past which byte of the stage,
    ends: [[u32; 16]; VECTORS],
    /// and how many bits of that byte are none any more.
    skips: [[u32; 16]; VECTORS],
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            stage: [[0; STAGE]; UNIT + 1],
            tables: [[[0; 16]; STRETCH / 2]; VECTORS],
            symbols: [[[0; 16]; WINDOWS]; VECTORS],
            states: [[[0; 16]; VECTORS]; LANES],
            ends: [[0; 16]; VECTORS],
            skips: [[0; 16]; VECTORS],
        }
    }
}

/// The bits of a row.
#[derive(Clone, Copy, Default)]
struct Source<'a> {
    /// The row's words,
    bytes: &'a [u8],
    /// and the bits after them that fill none.
    rest: u32,
    /// Bits left of both.
    bits: usize,
}

impl Source<'_> {
    /// Copies the last bytes; gives how many bits of the last one are not the row's any more.
    #[inline(always)]
    fn stage(&self, to: &mut [u8; STAGE]) -> u32 {
        let end = self.bits.div_ceil(8);
        match self.bytes.get(..end).and_then(|bytes| bytes.last_chunk()) {
            Some(last) => *to = *last,
            None => self.stage_few(to, end),
        }
        (8 * end - self.bits) as u32
    }

    #[cold]
    #[inline(never)]
    fn stage_few(&self, to: &mut [u8; STAGE], end: usize) {
        *to = [0; STAGE];
        for (to, at) in to.iter_mut().rev().zip((0..end).rev()) {
            let past = |at: usize| (self.rest >> (8 * at)) as u8;
            *to = self.bytes.get(at).copied().unwrap_or_else(|| past(at - self.bytes.len()));
        }
    }

    /// The codec's buffer and how many words come before it.
    fn buffer<T: TansFamily>(&self, words: &[T::Word]) -> (BitBuffer, usize) {
        let width = T::WORD_BITS as usize;
        let len = (self.bits / width).min(words.len());
        let rest = (self.bits - len * width) as u32;
        let bits = words.get(len).map_or(self.rest, |word| word.to_u32());
        (BitBuffer { bits: bits & ((1 << rest) - 1), len: rest }, len)
    }
}

/// A symbol that came through the codec: its row, column and value.
type Patch = (usize, usize, i32);

/// Pops a unit's rows; `None` where the other path has to.
pub(super) fn unit<S: RowSimd, T: Coded>(
    s: S,
    tables: &Tables<'_>,
    scratch: &mut Scratch,
    unit: &mut Pop<'_, T>,
) -> Option<()> {
    let (rows, columns) = (unit.lens.len(), unit.columns);
    let fields = T::FAMILY.header_fields(tables.lanes);
    let whole = columns / WINDOW * WINDOW;
    let mut sources = [Source::default(); UNIT];
    for (row, fields) in unit.states.chunks_exact(fields).enumerate() {
        let words = &unit.words[unit.starts[row]..unit.starts[row] + unit.lens[row]];
        let (lanes, buffer) = fields.split_at(tables.lanes);
        let buffer = BitBuffer { bits: buffer[0], len: buffer[1] };
        if !buffer.is_valid(T::Codec::WORD_BITS) {
            return None;
        }
        for (lane, &x) in lanes.iter().enumerate() {
            let x = if x == 0 { 1 << tables.precision } else { x };
            if x >> tables.precision != 1 {
                return None;
            }
            scratch.states[lane][row / 16][row % 16] = x;
        }
        let bits = words.len() * T::Codec::WORD_BITS as usize + buffer.len as usize;
        sources[row] = Source { bytes: bytemuck::cast_slice(words), rest: buffer.bits, bits };
    }
    let sources = &mut sources[..rows];
    let indexes = unit.indexes;
    // Symbols of which no cache would hold much go past the caches: nobody's lines are lost for them, and none is read to be overwritten.
    let large = indexes.rows().saturating_mul(columns) >= LARGE;
    let lead = unit
        .symbols
        .before_aligned()
        .filter(|lead| large && columns % (64 / size_of::<i32>()) == 0 && lead % WINDOW == 0);
    let mut patches = Vec::new();
    let mut begin = 0;
    while begin < whole {
        let end = match lead {
            Some(lead @ 1..) if begin == 0 => lead,
            _ => begin + STRETCH,
        };
        let range = begin..end.min(whole);
        for (row, source) in sources.iter().enumerate() {
            let skip = source.stage(&mut scratch.stage[row + 1]);
            scratch.ends[row / 16][row % 16] = ((row + 2) * STAGE) as u32;
            scratch.skips[row / 16][row % 16] = skip;
            let ahead = (source.bits / 8).wrapping_sub(2 * STAGE);
            s.prefetch(source.bytes, ahead);
            s.prefetch(source.bytes, ahead.wrapping_sub(64));
        }
        for row in rows..UNIT {
            scratch.ends[row / 16][row % 16] = ((row + 2) * STAGE) as u32;
        }
        let find = Find { tables, scratch, first: unit.first, rows, indexes, range: range.clone() };
        let used = s.vectorize(find)?;
        take(s, tables, scratch, sources, used, range.clone(), indexes, unit.first, &mut patches)?;
        for (row, source) in sources.iter_mut().enumerate() {
            let end = scratch.ends[row / 16][row % 16] as usize;
            let taken = ((row + 2) * STAGE).wrapping_sub(end);
            let taken = taken.wrapping_mul(8) + scratch.skips[row / 16][row % 16] as usize;
            // Of the end that the stretch began with, there were as many bits less as fill the byte.
            let before = source.bits.next_multiple_of(8);
            source.bits = before.checked_sub(taken)?;
        }
        let past_cache = lead.is_some();
        s.vectorize(Put { tables, scratch, used, unit: &mut *unit, range, past_cache })?;
        for (row, column, value) in patches.drain(..) {
            let at = row * columns + column;
            unit.symbols.range(at..at + 1).put(&[value]).ok()?;
        }
        begin = end;
    }
    for (row, fields) in unit.states.chunks_exact_mut(fields).enumerate() {
        let words = &unit.words[unit.starts[row]..unit.starts[row] + unit.lens[row]];
        let (buffer, len) = sources[row].buffer::<T::Codec>(words);
        let (lanes, rest) = fields.split_at_mut(tables.lanes);
        for (lane, x) in lanes.iter_mut().enumerate() {
            let state = scratch.states[lane][row / 16][row % 16];
            *x = 1 << tables.precision | (state & ((1 << tables.precision) - 1));
        }
        rest.copy_from_slice(&[buffer.bits, buffer.len]);
        unit.lens[row] = len;
    }
    with_lanes!(tables.lanes, LANES => tails::<T, LANES>(tables, unit, whole))
}

/// Pops the columns past the last window, through the codec.
fn tails<T: Coded, const LANES: usize>(
    tables: &Tables<'_>,
    unit: &mut Pop<'_, T>,
    whole: usize,
) -> Option<()> {
    if whole == unit.columns {
        return Some(());
    }
    let fields = T::FAMILY.header_fields(LANES);
    for (row, fields) in unit.states.chunks_exact_mut(fields).enumerate() {
        let mut codec = TansRow::<LANES>::load::<T::Codec>(fields, tables.precision).ok()?;
        let start = unit.starts[row];
        let mut reader = WordReader::new(&unit.words[start..start + unit.lens[row]]);
        let indexes = unit.indexes.row(unit.first + row);
        for column in whole..unit.columns {
            let (lane, index) = (column % LANES, indexes.at(column));
            let view = &tables.decoder;
            let value = view.pop_one::<T::Codec, LANES>(&mut codec, lane, index, &mut reader);
            let at = row * unit.columns + column;
            unit.symbols.range(at..at + 1).put(&[value.ok()?]).ok()?;
        }
        if reader.underflowed() {
            return None;
        }
        unit.lens[row] = reader.len();
        codec.store(fields);
    }
    Some(())
}

/// Which tables a stretch uses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Used {
    /// One for all.
    One(u32),
    /// Those in the scratch.
    Each,
    /// Those in the scratch, some of them none.
    Skipping,
}

/// Writes down which table each symbol is of.
struct Find<'a> {
    tables: &'a Tables<'a>,
    scratch: &'a mut Scratch,
    first: usize,
    rows: usize,
    indexes: &'a Indexes<'a>,
    range: Range<usize>,
}

impl RowWork for Find<'_> {
    type Output = Option<Used>;

    #[inline(always)]
    fn run<S: RowSimd>(self, s: S) -> Option<Used> {
        let Self { tables, scratch, first, rows, indexes, range } = self;
        if let Some(one) = indexes.one_for_all()
            && (one as u32) < tables.count
        {
            return Some(Used::One(one as u32));
        }
        if tables.count == 1 {
            // Nothing to write down where no symbol is skipped: the indexes are only checked.
            let mut others = 0;
            for row in first..first + rows {
                let of_row = indexes.row(row);
                for at in range.clone().step_by(16) {
                    prefetch_indexes(s, of_row, at + STRETCH);
                    let other = s.ge(load_indexes(s, of_row, at), s.splat(1));
                    others |= valid(at, range.end) & other;
                }
            }
            if others == 0 {
                return Some(Used::One(0));
            }
        }
        let mut skipping = false;
        let none = s.splat(tables.count);
        for u in 0..rows.div_ceil(16) {
            for half in 0..2 {
                let begin = range.start + half * 32;
                if begin >= range.end {
                    break;
                }
                let mut v = [s.low_halves([none; 2]); 16];
                for (row, v) in (16 * u..rows).zip(&mut v) {
                    let of_row = indexes.row(first + row);
                    let mut both = [none; 2];
                    for (k, named) in both.iter_mut().enumerate() {
                        let at = begin + 16 * k;
                        if at < range.end {
                            prefetch_indexes(s, of_row, at + STRETCH);
                            let valid = valid(at, range.end);
                            *named = tables.named(s, load_indexes(s, of_row, at), valid)?;
                            skipping |= valid & s.eq(*named, none) != 0;
                        }
                    }
                    *v = s.low_halves(both);
                }
                s.transpose::<1>(&mut v);
                for (&v, to) in v.iter().zip(&mut scratch.tables[u][16 * half..]) {
                    s.store(v, to);
                }
            }
        }
        Some(if skipping { Used::Skipping } else { Used::Each })
    }
}

/// Takes a stretch's steps.
#[allow(clippy::too_many_arguments, reason = "what `Take` consists of")]
#[inline(always)]
fn take<'a, S: RowSimd>(
    s: S,
    tables: &'a Tables<'a>,
    scratch: &'a mut Scratch,
    sources: &'a mut [Source<'_>],
    used: Used,
    range: Range<usize>,
    indexes: &'a Indexes<'a>,
    first: usize,
    patches: &'a mut Vec<Patch>,
) -> Option<()> {
    let rows = sources.len();
    macro_rules! with {
        ($L:literal, $V:literal) => {{
            if let Used::One(one) = used {
                let _ = (&sources, &indexes, first, &patches);
                s.vectorize(Take::<$L, $V, false> { tables, scratch, rows, one, range })
            } else {
                s.vectorize(Take::<$L, $V, true> { tables, scratch, rows, one: 0, range })
            }
        }};
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

/// The steps of rows of `L` lanes (4 for more as well), in `V` vectors.
struct Take<'a, const L: usize, const V: usize, const EACH: bool> {
    tables: &'a Tables<'a>,
    scratch: &'a mut Scratch,
    rows: usize,
    one: u32,
    range: Range<usize>,
}

impl<const L: usize, const V: usize, const EACH: bool> RowWork for Take<'_, L, V, EACH> {
    type Output = Option<()>;

    #[inline(always)]
    fn run<S: RowSimd>(self, s: S) -> Option<()> {
        let Self { tables, scratch, rows, one, range } = self;
        let Scratch { stage, tables: places, symbols, states, ends, skips } = scratch;
        let (entries, stage) = (&tables.form.decoder[..], stage.as_flattened());
        let precision = tables.precision;
        let mask = s.splat((1 << precision) - 1);
        let upper = s.splat(!0 << precision);
        let only = s.splat(one << precision);
        let (zero, eight, byte, seven) = (s.splat(0), s.splat(8), s.splat(0xff), s.splat(7));
        let mut lane = if L == WINDOW { range.start % tables.lanes } else { 0 };
        for w in 0..range.len() / WINDOW {
            let mut x = [[zero; VECTORS]; L];
            let [mut high, mut low, mut sum, mut top, mut last, mut numbers] = [[zero; VECTORS]; 6];
            each_vector!(U in V => {
                [high[U], low[U]] = s.load_eight_before(stage, s.load(&ends[U]));
                sum[U] = s.load(&skips[U]);
            });
            macro_rules! step {
                ($k:literal) => {
                    // One thing at a time for all vectors: while one waits for its gather, the others' are on their way.
                    let mut entry = [zero; VECTORS];
                    each_vector!(U in V => {
                        if $k < L {
                            x[$k % L][U] = s.load(&states[lane + $k][U]);
                        }
                        let state = s.and(x[$k % L][U], mask);
                        let place = if EACH {
                            let two = s.load(&places[U][2 * w + $k / 2]);
                            if $k % 2 == 0 {
                                s.shr(s.shl(two, 16), 16 - precision)
                            } else {
                                s.and(s.shr(two, 16 - precision), upper)
                            }
                        } else {
                            only
                        };
                        entry[U] = s.gather(entries, s.or(state, place));
                    });
                    each_vector!(U in V => {
                        // The bits that come next, from the top. Two steps take them from all that was loaded; after those 29 are sure to be left, and
                        // the two others take 28 at most.
                        top[U] = match $k {
                            0 => s.funnel_shl(high[U], low[U], sum[U]),
                            1 => s.funnel_shl(high[U], low[U], sum[U]),
                            2 => s.funnel_shl(top[U], low[U], last[U]),
                            _ => s.funnel_shl(top[U], zero, last[U]),
                        };
                        if $k == 1 {
                            low[U] = s.funnel_shl(low[U], zero, sum[U]);
                        }
                        x[$k % L][U] = s.funnel_shl(s.shr(entry[U], 8), top[U], entry[U]);
                        numbers[U] = s.funnel_shl(numbers[U], entry[U], eight);
                        sum[U] = s.add(sum[U], entry[U]);
                        last[U] = entry[U];
                    });
                };
            }
            step!(0);
            step!(1);
            step!(2);
            step!(3);
            each_vector!(U in V => {
                let taken = s.and(sum[U], byte);
                if tables.bypass.is_some() {
                    let bits = s.and(s.sub(sum[U], s.load(&skips[U])), byte);
                    let used = valid(16 * U, rows);
                    if s.ge(bits, s.splat(TansRowsForm::MOST_BITS + 1)) & used != 0 {
                        return None;
                    }
                }
                s.store(numbers[U], &mut symbols[U][w]);
                s.store(s.sub(s.load(&ends[U]), s.shr(taken, 3)), &mut ends[U]);
                s.store(s.and(taken, seven), &mut skips[U]);
                for k in 0..L {
                    s.store(x[k][U], &mut states[lane + k][U]);
                }
            });
            lane = if L == WINDOW { (lane + WINDOW) % tables.lanes } else { 0 };
        }
        Some(())
    }
}

/// Puts a range of columns of symbols where the caller wants them.
struct Put<'a, 'b, T: Coded> {
    tables: &'a Tables<'a>,
    scratch: &'a mut Scratch,
    used: Used,
    unit: &'a mut Pop<'b, T>,
    range: Range<usize>,
    past_cache: bool,
}

impl<T: Coded> RowWork for Put<'_, '_, T> {
    type Output = Option<()>;

    #[inline(always)]
    fn run<S: RowSimd>(self, s: S) -> Option<()> {
        let Self { tables, scratch, used, unit, range, past_cache } = self;
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
                for (k, part) in parts.iter_mut().enumerate() {
                    let offset = match offset {
                        Some(offset) => s.splat(offset),
                        None => {
                            let of_row = unit.indexes.row(unit.first + row);
                            let at = range.start + 16 * k;
                            s.gather(&form.offsets, load_indexes(s, of_row, at.min(range.end)))
                        }
                    };
                    *part = s.add(*part, offset);
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

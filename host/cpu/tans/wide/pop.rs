//! Popping a unit of rows, a stretch of columns at a time.

use std::ops::Range;

use parans_kernels::codec::{
    self, Tans16, TansFamily, TansRow, WordInt, WordReader, tans::BitBuffer,
};

use super::super::{Coded, index_bytes};
use super::{Ahead, LANES, STAGE, STRETCH, Tables, UNIT, VECTORS, WINDOW, WINDOWS, each_vector, fetch, load_indexes, regroup};
use crate::cpu::scalar::with_lanes;
use crate::cpu::untyped::{Pop, ValuesMut, with_slice};
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
    /// What a window began with, where bypass coding is on.
    before: Before,
    /// The rows, a bit each, to whose last window a symbol outside its table belongs.
    outside: u64,
}

/// States, one or two for rows of as many lanes, ends and skips.
#[derive(Default)]
#[repr(C, align(64))]
struct Before {
    states: [[[u32; 16]; VECTORS]; WINDOW],
    ends: [[u32; 16]; VECTORS],
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
            before: Before::default(),
            outside: 0,
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

impl<'a> Source<'a> {
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

    /// Takes as many bits off the end, those that were skipped in the last byte included; `None` where there are fewer.
    fn take(&mut self, bits: usize) -> Option<()> {
        self.bits = self.bits.next_multiple_of(8).checked_sub(bits)?;
        Some(())
    }

    /// What the next stretch is likely to read.
    fn ahead(&self) -> &'a [u8] {
        let end = (self.bits / 8).saturating_sub(STAGE).min(self.bytes.len());
        &self.bytes[end.saturating_sub(STAGE)..end]
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

/// A range of columns.
struct Block<'a, 's> {
    tables: &'a Tables<'a>,
    sources: &'a mut [Source<'s>],
    indexes: &'a [codec::Indexes<'a>],
    range: Range<usize>,
    /// Symbols that came through the codec: row, column, value.
    patches: Vec<(usize, usize, i32)>,
}

/// Pops a window of a row through the codec, digits and all, from what it began with, and stages the row anew.
#[cold]
#[inline(never)]
fn redo(
    block: &mut Block<'_, '_>,
    scratch: &mut Scratch,
    row: usize,
    window: usize,
) -> Option<()> {
    let tables = block.tables;
    let (u, e) = (row / 16, row % 16);
    let Scratch { stage, states, ends, skips, before, .. } = scratch;
    let lanes = tables.lanes.min(WINDOW);
    let stage = &mut stage[row + 1];
    let source = &mut block.sources[row];
    let end = (row + 2) * STAGE;
    source.take(8 * (end - before.ends[u][e] as usize) + before.skips[u][e] as usize)?;
    let skip = source.stage(stage);
    // Words of a byte, the last of which may be in the buffer.
    let rest = (8 - skip) % 8;
    let words = &stage[..if rest == 0 { STAGE } else { STAGE - 1 }];
    let bits = u32::from(stage[STAGE - 1]) & ((1 << rest) - 1);
    let low = |x: u32| x & ((1 << tables.precision) - 1);
    let mut codec = TansRow::<WINDOW> {
        states: std::array::from_fn(|k| {
            1 << tables.precision | low(before.states[k % lanes][u][e])
        }),
        buffer: BitBuffer { bits, len: rest },
    };
    let mut reader = WordReader::new(words);
    let column = block.range.start + WINDOW * window;
    for column in column..column + WINDOW {
        let (lane, index) = (column % lanes, block.indexes[row].at(column));
        let view = &tables.decoder;
        let value = view.pop_one::<Tans16, WINDOW>(&mut codec, lane, index, &mut reader).ok()?;
        block.patches.push((row, column, value));
    }
    if reader.underflowed() {
        return None;
    }
    let left = 8 * reader.len() + codec.buffer.len as usize;
    source.bits = source.bits.checked_sub(8 * words.len() + rest as usize - left)?;
    for lane in 0..lanes {
        states[(column + lane) % tables.lanes][u][e] = codec.states[(column + lane) % lanes];
    }
    ends[u][e] = end as u32;
    skips[u][e] = source.stage(stage);
    Some(())
}

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
    let mut patches = Vec::new();
    let of_rows: [_; UNIT] = std::array::from_fn(|row| match sources.get(row) {
        Some(_) => unit.indexes.row(unit.first + row),
        None => codec::Indexes::One(-1),
    });
    let indexes = &of_rows[..rows];
    // Symbols of which no cache would hold much go past the caches: nobody's lines are lost for them, and none is read to be overwritten.
    let large = unit.indexes.rows().saturating_mul(columns) >= LARGE;
    let lead = unit
        .symbols
        .before_aligned()
        .filter(|lead| large && columns % (64 / size_of::<i32>()) == 0 && lead % WINDOW == 0);
    let mut begin = 0;
    while begin < whole {
        let end = match lead {
            Some(lead @ 1..) if begin == 0 => lead,
            _ => begin + STRETCH,
        };
        let range = begin..end.min(whole);
        let after = range.end..(range.end + STRETCH).min(whole);
        let ahead: Ahead<'_> = std::array::from_fn(|k| match (sources.get(k / 2), k % 2) {
            (Some(_), 0) => index_bytes(&of_rows[k / 2], after.clone()),
            (Some(source), _) => source.ahead(),
            _ => &[],
        });
        s.vectorize(Stage { scratch, sources });
        let find = Find { tables, scratch, indexes, one: unit.indexes.one_for_all(), range: range.clone() };
        let used = s.vectorize(find)?;
        let mut block = Block { tables, sources, indexes, range: range.clone(), patches };
        take(s, &mut block, scratch, &ahead, used)?;
        patches = block.patches;
        for (row, source) in sources.iter_mut().enumerate() {
            let taken = ((row + 2) * STAGE).wrapping_sub(scratch.ends[row / 16][row % 16] as usize);
            source.take(taken.wrapping_mul(8).wrapping_add(scratch.skips[row / 16][row % 16] as usize))?;
        }
        let past_cache = lead.is_some();
        s.vectorize(Put { tables, scratch, used, unit: &mut *unit, indexes, range, past_cache })?;
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

/// Copies the bits that a stretch may read to the stage.
struct Stage<'a> {
    scratch: &'a mut Scratch,
    sources: &'a [Source<'a>],
}

impl RowWork for Stage<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: RowSimd>(self, _s: S) {
        let Scratch { stage, ends, skips, .. } = self.scratch;
        for (row, (to, source)) in stage[1..].iter_mut().zip(self.sources).enumerate() {
            skips.as_flattened_mut()[row] = source.stage(to);
        }
        for (row, end) in ends.as_flattened_mut().iter_mut().enumerate() {
            *end = ((row + 2) * STAGE) as u32;
        }
    }
}

/// Writes down which table each symbol is of.
struct Find<'a> {
    tables: &'a Tables<'a>,
    scratch: &'a mut Scratch,
    indexes: &'a [codec::Indexes<'a>],
    /// What all of them are, where that is known.
    one: Option<i32>,
    range: Range<usize>,
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

/// Takes a stretch's steps.
#[inline(always)]
fn take<S: RowSimd>(
    s: S,
    block: &mut Block<'_, '_>,
    scratch: &mut Scratch,
    ahead: &Ahead<'_>,
    used_tables: Used,
) -> Option<()> {
    let (tables, rows) = (block.tables, block.indexes.len());
    let lanes = tables.lanes.min(WINDOW);
    let used = u64::MAX >> (UNIT - rows);
    let (mut done, all) = (0, block.range.len() / WINDOW);
    while done < all {
        let windows = done..all;
        let first = block.range.start + WINDOW * done;
        let lane = if lanes == WINDOW { first % tables.lanes } else { 0 };
        macro_rules! with {
            ($L:literal, $V:literal) => {
                if let Used::One(one) = used_tables {
                    s.vectorize(Take::<$L, $V, false> { tables, scratch, one, ahead, lane, windows, used })
                } else {
                    let one = 0;
                    s.vectorize(Take::<$L, $V, true> { tables, scratch, one, ahead, lane, windows, used })
                }
            };
        }
        done = match (lanes, rows.div_ceil(16)) {
            (1, 1) => with!(1, 1),
            (1, 2) => with!(1, 2),
            (1, _) => with!(1, 4),
            (2, 1) => with!(2, 1),
            (2, 2) => with!(2, 2),
            (2, _) => with!(2, 4),
            (_, 1) => with!(4, 1),
            (_, 2) => with!(4, 2),
            (_, _) => with!(4, 4),
        };
        while scratch.outside != 0 {
            let row = scratch.outside.trailing_zeros() as usize;
            scratch.outside &= scratch.outside - 1;
            redo(block, scratch, row, done - 1)?;
        }
    }
    Some(())
}

/// The steps of rows of `L` lanes (4 for more as well), in `V` vectors; up to which window they came, the last of which has rows with symbols outside their
/// table where it is not that asked for.
struct Take<'a, const L: usize, const V: usize, const EACH: bool> {
    tables: &'a Tables<'a>,
    scratch: &'a mut Scratch,
    one: u32,
    ahead: &'a Ahead<'a>,
    /// The lane that the first window begins with.
    lane: usize,
    windows: Range<usize>,
    /// The rows that there are, a bit each.
    used: u64,
}

impl<const L: usize, const V: usize, const EACH: bool> RowWork for Take<'_, L, V, EACH> {
    type Output = usize;

    #[inline(always)]
    fn run<S: RowSimd>(self, s: S) -> usize {
        let Self { tables, scratch, one, ahead, lane, windows, used } = self;
        let Scratch { stage, tables: places, symbols, states, ends, skips, before, .. } = scratch;
        let entries = &tables.form.decoder[..];
        let precision = tables.precision;
        let mask = s.splat((1 << precision) - 1);
        let upper = s.splat(!0 << precision);
        let only = s.splat(one << precision);
        let (zero, eight, byte, seven) = (s.splat(0), s.splat(8), s.splat(0xff), s.splat(7));
        let mut x = [[zero; VECTORS]; L];
        let [mut end, mut skip] = [[zero; VECTORS]; 2];
        each_vector!(U in V => {
            end[U] = s.load(&ends[U]);
            skip[U] = s.load(&skips[U]);
            if L < WINDOW {
                for k in 0..L {
                    x[k][U] = s.load(&states[k][U]);
                }
            }
        });
        let (mut lane, mut done) = (lane, windows.start);
        for w in windows {
            fetch(s, ahead, w);
            if tables.bypass.is_some() {
                each_vector!(U in V => {
                    s.store(end[U], &mut before.ends[U]);
                    s.store(skip[U], &mut before.skips[U]);
                    for k in 0..L {
                        let state = if L == WINDOW { s.load(&states[lane + k][U]) } else { x[k][U] };
                        s.store(state, &mut before.states[k][U]);
                    }
                });
            }
            let [mut high, mut low, mut sum, mut top, mut last, mut numbers] = [[zero; VECTORS]; 6];
            each_vector!(U in V => {
                [high[U], low[U]] = s.load_eight_before(stage.as_flattened(), end[U]);
                sum[U] = skip[U];
            });
            macro_rules! step {
                ($k:literal) => {
                    // One thing at a time for both vectors: while one waits for its gather, the other's is on its way.
                    let mut entry = [zero; VECTORS];
                    each_vector!(U in V => {
                        if L == WINDOW {
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
                            0 | 1 => s.funnel_shl(high[U], low[U], sum[U]),
                            2 => s.funnel_shl(top[U], low[U], last[U]),
                            _ => s.funnel_shl(top[U], zero, last[U]),
                        };
                        if $k == 1 {
                            low[U] = s.funnel_shl(low[U], zero, sum[U]);
                        }
                        x[$k % L][U] = s.funnel_shl(s.shr(entry[U], 8), top[U], entry[U]);
                        if L == WINDOW {
                            s.store(x[$k % L][U], &mut states[lane + $k][U]);
                        }
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
            let mut outside = 0;
            if tables.bypass.is_some() {
                each_vector!(U in V => {
                    let bits = s.and(s.sub(sum[U], skip[U]), byte);
                    let those = s.ge(bits, s.splat(TansRowsForm::MOST_BITS + 1));
                    outside |= u64::from(those) << (16 * U);
                });
            }
            each_vector!(U in V => {
                let taken = s.and(sum[U], byte);
                s.store(numbers[U], &mut symbols[U][w]);
                end[U] = s.sub(end[U], s.shr(taken, 3));
                skip[U] = s.and(taken, seven);
            });
            done += 1;
            scratch.outside = outside & used;
            if scratch.outside != 0 {
                break;
            }
            lane = if L == WINDOW { (lane + WINDOW) % tables.lanes } else { 0 };
        }
        each_vector!(U in V => {
            s.store(end[U], &mut ends[U]);
            s.store(skip[U], &mut skips[U]);
            if L < WINDOW {
                for k in 0..L {
                    s.store(x[k][U], &mut states[k][U]);
                }
            }
        });
        done
    }
}

/// Puts a range of columns of symbols where the caller wants them.
struct Put<'a, 'b, T: Coded> {
    tables: &'a Tables<'a>,
    scratch: &'a mut Scratch,
    used: Used,
    unit: &'a mut Pop<'b, T>,
    indexes: &'a [codec::Indexes<'a>],
    range: Range<usize>,
    past_cache: bool,
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

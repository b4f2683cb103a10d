//! Pushing a unit of rows, a stretch of columns at a time.

use std::ops::Range;

use parans_kernels::codec::{self, Tans16, TansFamily, TansRow, WordWriter, tans::BitBuffer};

use super::super::{Coded, index_bytes, push::Tail};
use super::{Ahead, LANES, STAGE, STRETCH, Tables, UNIT, VECTORS, WINDOW, WINDOWS, each_vector, fetch, load_indexes, load_symbols, regroup};
use crate::cpu::scalar::with_lanes;
use crate::cpu::untyped::{Push, Values, with_slice};
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
    /// The rows, a bit each, that have symbols outside their tables in each window.
    odd: [u64; WINDOWS],
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
            odd: [0; WINDOWS],
        }
    }
}

/// Where a row's bits go.
struct Sink<'a> {
    /// The row's words.
    bytes: &'a mut [u8],
    /// Bytes in use.
    len: usize,
}

impl Sink<'_> {
    /// Appends the first bytes of some; `None` where there is no room.
    #[inline(always)]
    fn append(&mut self, from: &[u8; STAGE], count: usize) -> Option<()> {
        const HALF: usize = STAGE / 2;
        let to = self.bytes.get_mut(self.len..)?;
        if let Some(to) = to.first_chunk_mut::<STAGE>() {
            // Few bits a symbol, most often.
            to[..HALF].copy_from_slice(&from[..HALF]);
            if count > HALF {
                to[HALF..].copy_from_slice(&from[HALF..]);
            }
        } else {
            to.get_mut(..count)?.copy_from_slice(&from[..count]);
        }
        self.len += count;
        Some(())
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
    let mut sinks: Vec<Sink<'_>> = Vec::with_capacity(rows);
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
        sinks.push(Sink { bytes, len: tail.at });
    }

    let of_rows: [_; UNIT] = std::array::from_fn(|row| {
        let is = row < rows;
        if is { unit.indexes.row(unit.rows.first + row) } else { codec::Indexes::One(-1) }
    });
    let (symbols, indexes, one) = (unit.symbols, &of_rows[..rows], unit.indexes.one_for_all());
    for begin in (0..whole).step_by(STRETCH).rev() {
        let range = begin..(begin + STRETCH).min(whole);
        let after = begin.saturating_sub(STRETCH)..begin;
        let ahead: Ahead<'_> = std::array::from_fn(|k| {
            let row = k / 2;
            if row >= rows {
                return &[][..];
            } else if k % 2 == 0 {
                return index_bytes(&of_rows[row], after.clone());
            }
            let values = symbols.range(row * columns + after.start..row * columns + after.end);
            with_slice!(values, Values, values => bytemuck::cast_slice(values))
        });
        let block = Block { tables, symbols, columns, indexes, one, range };
        scratch.odd = [0; WINDOWS];
        let bytes = match &tables.form.bytes {
            Some(bytes) if s.vectorize(NumberBytes { block: &block, scratch }) => Some(&**bytes),
            _ => {
                scratch.odd = [0; WINDOWS];
                s.vectorize(NumberEach { block: &block, scratch })?;
                None
            }
        };
        take(s, &block, scratch, &mut sinks, &ahead, bytes)?;
        s.vectorize(Append { scratch, sinks: &mut sinks })?;
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
        let tail = Tail { window, len, at: sinks[row].len };
        let (buffer, len) = tail.into_buffer::<T::Codec>(sinks[row].bytes);
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

/// A range of columns of symbols.
struct Block<'a> {
    tables: &'a Tables<'a>,
    symbols: Values<'a>,
    columns: usize,
    indexes: &'a [codec::Indexes<'a>],
    /// What all of them are, where that is known.
    one: Option<i32>,
    range: Range<usize>,
}

impl Block<'_> {
    /// A row's symbols.
    #[inline(always)]
    fn load<S: RowSimd>(&self, s: S, row: usize) -> [S::U32; 4] {
        let begin = row * self.columns;
        load_symbols(s, self.symbols, begin + self.range.start..begin + self.range.end)
    }
}

/// Notes which windows of a row have symbols outside their tables, given those of each sixteen columns.
#[cold]
#[inline(never)]
fn note(odd: &mut [u64; WINDOWS], row: usize, outside: [u16; 4]) {
    for (k, outside) in outside.into_iter().enumerate() {
        for w in 0..4 {
            if outside >> (WINDOW * w) & 0xf != 0 {
                odd[4 * k + w] |= 1 << row;
            }
        }
    }
}

/// Finds the positions of the entries; `None` where a symbol cannot be coded.
struct NumberEach<'a> {
    block: &'a Block<'a>,
    scratch: &'a mut Scratch,
}

impl RowWork for NumberEach<'_> {
    type Output = Option<()>;

    #[inline(always)]
    fn run<S: RowSimd>(self, s: S) -> Option<()> {
        let Self { block, scratch } = self;
        let tables = block.tables;
        let form = tables.form;
        let none = s.splat(tables.count);
        let less = s.splat(u32::from(tables.bypass.is_some()));
        let uniform = form.offset.zip(form.size);
        let of_vectors = block.indexes.chunks(16).zip(&mut scratch.entries);
        for (u, (indexes, entries)) in of_vectors.enumerate() {
            for (r, &of_row) in indexes.iter().enumerate() {
                let values = block.load(s, 16 * u + r);
                let index = load_indexes(s, of_row, block.range.clone());
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
                    let position = s.or(s.shl(named, form.alphabet_bits), value);
                    s.store(position, &mut entries[16 * k + r]);
                }
                if outside[0] | outside[1] | outside[2] | outside[3] != 0 {
                    tables.bypass?;
                    note(&mut scratch.odd, 16 * u + r, outside);
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

/// Of one table in registers, writes down the symbols' numbers; `false` where a symbol is skipped or cannot be coded.
struct NumberBytes<'a> {
    block: &'a Block<'a>,
    scratch: &'a mut Scratch,
}

impl RowWork for NumberBytes<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<S: RowSimd>(self, s: S) -> bool {
        let Self { block, scratch } = self;
        let tables = block.tables;
        let form = tables.form;
        let less = u32::from(tables.bypass.is_some());
        let (limit, offset) = (s.splat(form.sizes[0] - less), s.splat(form.offsets[0]));
        let mut others = 0;
        let of_vectors = block.indexes.chunks(16).zip(&mut scratch.symbols);
        for (u, (indexes, numbers)) in of_vectors.enumerate() {
            for (r, (&of_row, number)) in indexes.iter().zip(&mut *numbers).enumerate() {
                let [a, b, c, d] = block.load(s, 16 * u + r);
                if block.one != Some(0) {
                    let [e, f, g, h] = load_indexes(s, of_row, block.range.clone());
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
                    note(&mut scratch.odd, 16 * u + r, outside);
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

/// Appends what is staged to the rows' words; `None` where there is no room.
struct Append<'a, 'b> {
    scratch: &'a mut Scratch,
    sinks: &'a mut [Sink<'b>],
}

impl RowWork for Append<'_, '_> {
    type Output = Option<()>;

    #[inline(always)]
    fn run<S: RowSimd>(self, _s: S) -> Option<()> {
        let Scratch { stage, ends, .. } = self.scratch;
        let staged = ends.as_flattened_mut().iter_mut().zip(&*stage);
        for (row, ((end, from), sink)) in staged.zip(self.sinks).enumerate() {
            sink.append(from, *end as usize - row * STAGE)?;
            *end = (row * STAGE) as u32;
        }
        Some(())
    }
}

/// What a window begins with.
struct Before {
    /// The states that its columns begin with: one or two of them for rows of as many lanes.
    states: [[[u32; 16]; VECTORS]; WINDOW],
    high: [[u32; 16]; VECTORS],
    lens: [[u32; 16]; VECTORS],
    ends: [[u32; 16]; VECTORS],
}

impl Before {
    #[cold]
    #[inline(never)]
    fn new(scratch: &Scratch, lanes: usize, column: usize) -> Self {
        Self {
            states: std::array::from_fn(|k| scratch.states[(column + k) % lanes]),
            high: scratch.high,
            lens: scratch.lens,
            ends: scratch.ends,
        }
    }
}

/// Pushes a window of a row through the codec, digits and all, right into the row's words: its steps had the states right, but not the bits.
#[cold]
#[inline(never)]
fn redo(
    block: &Block<'_>,
    scratch: &mut Scratch,
    sink: &mut Sink<'_>,
    row: usize,
    column: usize,
    before: &Before,
) -> Option<()> {
    let (u, e) = (row / 16, row % 16);
    let lanes = block.tables.lanes.min(WINDOW);
    sink.append(&scratch.stage[row], before.ends[u][e] as usize - row * STAGE)?;
    let len = before.lens[u][e];
    let mut codec = TansRow::<WINDOW> {
        states: std::array::from_fn(|k| before.states[k][u][e]),
        buffer: BitBuffer { bits: (before.high[u][e] >> 1) >> (31 - len), len },
    };
    let mut writer = WordWriter::new(sink.bytes, sink.len);
    for k in (0..WINDOW).rev() {
        let symbol = block.symbols.at(row * block.columns + column + k);
        let index = block.indexes[row].at(column + k);
        let (view, lane) = (&block.tables.encoder, k % lanes);
        view.push_one::<Tans16, WINDOW>(&mut codec, lane, symbol, index, &mut writer).ok()?;
    }
    if writer.overflowed() {
        return None;
    }
    sink.len = writer.len();
    let BitBuffer { bits, len } = codec.buffer;
    scratch.high[u][e] = (bits << 1) << (31 - len);
    scratch.lens[u][e] = len;
    scratch.ends[u][e] = (row * STAGE) as u32;
    Some(())
}

/// Takes a stretch's steps.
#[inline(always)]
fn take<S: RowSimd>(
    s: S,
    block: &Block<'_>,
    scratch: &mut Scratch,
    sinks: &mut [Sink<'_>],
    ahead: &Ahead<'_>,
    bytes: Option<&ByteTable<4>>,
) -> Option<()> {
    let tables = block.tables;
    let mut left = block.range.len() / WINDOW;
    while left > 0 {
        // The windows above the topmost one with symbols outside, or that one.
        let odd = scratch.odd[..left].iter().rposition(|&rows| rows != 0);
        let begin = match odd {
            Some(odd) if odd + 1 == left => odd,
            Some(odd) => odd + 1,
            None => 0,
        };
        let rows = scratch.odd[begin];
        let column = block.range.start + WINDOW * begin;
        let before = (rows != 0).then(|| Before::new(scratch, tables.lanes, column));
        let windows = begin..left;
        macro_rules! with {
            ($L:literal, $V:literal) => {
                if bytes.is_some() {
                    s.vectorize(Take::<$L, $V, true> { block, scratch, ahead, bytes, windows })
                } else {
                    s.vectorize(Take::<$L, $V, false> { block, scratch, ahead, bytes, windows })
                }
            };
        }
        match (tables.lanes, block.indexes.len().div_ceil(16)) {
            (1, 1) => with!(1, 1),
            (1, 2) => with!(1, 2),
            (1, _) => with!(1, 4),
            (2, 1) => with!(2, 1),
            (2, 2) => with!(2, 2),
            (2, _) => with!(2, 4),
            (_, 1) => with!(4, 1),
            (_, 2) => with!(4, 2),
            (_, _) => with!(4, 4),
        }
        if let Some(before) = before {
            for row in (0..UNIT).filter(|row| rows >> row & 1 != 0) {
                redo(block, scratch, &mut sinks[row], row, column, &before)?;
            }
        }
        left = begin;
    }
    Some(())
}

/// The steps of rows of `L` lanes (4 for more as well), in `V` vectors, the last first.
struct Take<'a, const L: usize, const V: usize, const BYTES: bool> {
    block: &'a Block<'a>,
    scratch: &'a mut Scratch,
    ahead: &'a Ahead<'a>,
    bytes: Option<&'a ByteTable<4>>,
    windows: Range<usize>,
}

impl<const L: usize, const V: usize, const BYTES: bool> RowWork for Take<'_, L, V, BYTES> {
    type Output = ();

    #[inline(always)]
    fn run<S: RowSimd>(self, s: S) {
        let Self { block, scratch, ahead, bytes, windows } = self;
        let Scratch { stage, entries, symbols, states, high, low, lens, ends, .. } = scratch;
        let stage = stage.as_flattened_mut();
        let (tables, first) = (block.tables, block.range.start);
        let (next, form) = (tables.encoder.next, tables.form);
        let precision = tables.precision;
        let mask = s.splat((1 << precision) - 1);
        let (zero, seven) = (s.splat(0), s.splat(7));
        let mut x = [[zero; VECTORS]; L];
        let [mut upper, mut lower, mut len, mut end] = [[zero; VECTORS]; 4];
        each_vector!(U in V => {
            upper[U] = s.load(&high[U]);
            lower[U] = s.load(&low[U]);
            len[U] = s.load(&lens[U]);
            end[U] = s.load(&ends[U]);
            if L < WINDOW {
                for k in 0..L {
                    x[k][U] = s.load(&states[k][U]);
                }
            }
        });
        for w in windows.rev() {
            fetch(s, ahead, w);
            let lane = if L == WINDOW { (first + WINDOW * w) % tables.lanes } else { 0 };
            let mut looked_up = [[zero; 4]; VECTORS];
            each_vector!(U in V => {
                if BYTES && let Some(bytes) = bytes {
                    looked_up[U] = s.lookup_bytes(bytes, s.load(&symbols[U][w]));
                }
            });
            macro_rules! step {
                ($k:literal) => {
                    // One thing at a time for both vectors: while one waits for its gather, the other's is on its way.
                    let [mut count, mut old, mut entry, mut place] = [[zero; VECTORS]; 4];
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
                        old[U] = if L == WINDOW {
                            s.load(&states[lane + $k][U])
                        } else {
                            x[$k % L][U]
                        };
                        let sum = s.add(s.shl(old[U], precision), entry[U]);
                        count[U] = s.shr(sum, 2 * precision + 1);
                        let at = s.add(s.shr_by(old[U], count[U]), entry[U]);
                        let at = s.or(s.and(at, mask), place[U]);
                        x[$k % L][U] = s.gather_u16(next, at);
                        if L == WINDOW {
                            s.store(x[$k % L][U], &mut states[lane + $k][U]);
                        }
                    });
                    each_vector!(U in V => {
                        lower[U] = s.funnel_shr(upper[U], lower[U], count[U]);
                        upper[U] = s.funnel_shr(old[U], upper[U], count[U]);
                        len[U] = s.add(len[U], count[U]);
                    });
                };
            }
            step!(3);
            step!(2);
            step!(1);
            step!(0);
            each_vector!(U in V => {
                s.store_top_bits([upper[U], lower[U]], len[U], stage, end[U]);
                end[U] = s.add(end[U], s.shr(len[U], 3));
                len[U] = s.and(len[U], seven);
            });
        }
        each_vector!(U in V => {
            s.store(upper[U], &mut high[U]);
            s.store(lower[U], &mut low[U]);
            s.store(len[U], &mut lens[U]);
            s.store(end[U], &mut ends[U]);
            if L < WINDOW {
                for k in 0..L {
                    s.store(x[k][U], &mut states[k][U]);
                }
            }
        });
    }
}

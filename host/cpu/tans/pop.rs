//! Popping tANS rows side by side.

use parans_kernels::codec::{
    BitBuffer, Indexes, RowError, RowFault, TableSpan, TansDecoderEntry, TansDecoderView,
    TansFamily, TansRow, WordInt, WordReader,
};

use super::{WINDOW, common, lane, turn_indexes, uses_windows};

/// One row to pop.
pub(super) struct Job<'a, T: TansFamily> {
    /// States, bits, length of the bits.
    pub(super) fields: &'a mut [u32],
    /// The row's words in use.
    pub(super) words: &'a [T::Word],
    /// Words in use.
    pub(super) len: &'a mut usize,
    /// Where to pop to.
    pub(super) symbols: &'a mut [i32],
    /// Their tables.
    pub(super) indexes: Indexes<'a>,
}

/// A row being popped: the states, and how many bits of its words are left. The bits in the buffer are the low ones of the last word that
/// was taken, so a position in bits says everything.
struct Popping<const LANES: usize> {
    states: [u32; LANES],
    bits: usize,
}

impl<const LANES: usize> Popping<LANES> {
    fn into_row<T: TansFamily>(self, words: &[T::Word]) -> (TansRow<LANES>, usize) {
        let width = T::WORD_BITS as usize;
        let (whole, len) = (self.bits / width, (self.bits % width) as u32);
        // No bits left over may mean no words at all.
        let last = words.get(whole).map_or(0, |word| word.to_u32());
        let buffer = BitBuffer { bits: last & ((1 << len) - 1), len };
        (TansRow { states: self.states, buffer }, whole)
    }

    /// One turn; `false`, with nothing changed but `symbols`, where fewer than eight bytes are left or a symbol is not simply one of its table's.
    #[inline(always)]
    fn turn<const TURN: usize>(
        &mut self,
        view: &TansDecoderView<'_>,
        symbols: &mut [i32; TURN],
        indexes: &[i32; TURN],
        at: usize,
        bytes: &[u8],
    ) -> bool {
        let sentinel = |table: &TableSpan| match view.tables.bypass {
            Some(_) => table.symbols.wrapping_sub(1),
            // No 16-bit symbol.
            None => u32::MAX,
        };
        if let Some(index) = common(indexes) {
            let Some(table) = view.tables.tables.get(index) else { return false };
            let states = 1usize << view.tables.precision;
            let Some(entries) = view.entries.get(index * states..(index + 1) * states) else {
                return false;
            };
            let known = (entries, table.offset, sentinel(table));
            self.windows(view.tables.precision, symbols, at, bytes, |_, state| {
                // Valid tables lead to a state of theirs, and the mask proves it.
                let entry = known.0.get(state & (known.0.len() - 1)).copied().unwrap_or_default();
                Some((entry, known.1, known.2))
            })
        } else {
            let precision = view.tables.precision;
            self.windows(precision, symbols, at, bytes, |k, state| {
                let index = indexes[k] as u32 as usize;
                let table = view.tables.tables.get(index)?;
                let &entry = view.entries.get((index << precision) | state)?;
                Some((entry, table.offset, sentinel(table)))
            })
        }
    }

    /// A turn's windows; `find` gives the entry of a symbol's state (less `2^precision`), its table's offset and sentinel.
    #[inline(always)]
    fn windows<const TURN: usize>(
        &mut self,
        precision: u32,
        symbols: &mut [i32; TURN],
        at: usize,
        bytes: &[u8],
        find: impl Fn(usize, usize) -> Option<(TansDecoderEntry, i32, u32)>,
    ) -> bool {
        let mask = (1usize << precision) - 1;
        let (mut states, mut bits) = (self.states, self.bits);
        let mut inside = true;
        for first in (0..TURN).step_by(WINDOW) {
            let end = bits.div_ceil(8);
            let Some(last) = bytes.get(..end).and_then(|b| b.last_chunk::<8>()) else {
                return false;
            };
            // The youngest bit of the row at the top; 57 bits are sure, and four symbols take 56 at most.
            let mut window = u64::from_le_bytes(*last) << (8 * end - bits);
            let mut taken = 0;
            let own = symbols.iter_mut().enumerate().skip(first).take(WINDOW);
            for (k, symbol) in own {
                let Some(state) = states.get_mut(lane::<LANES, TURN>(at, k)) else { return false };
                let Some((entry, offset, sentinel)) = find(k, *state as usize & mask) else {
                    return false;
                };
                let count = entry.bits(precision);
                // Two shifts, since a count of 0 would shift by 64.
                let read = ((window >> 1) >> (63 - count)) as u32;
                *state = (u32::from(entry.number) << count) | read;
                window <<= count;
                taken += count;
                inside &= u32::from(entry.symbol) != sentinel;
                *symbol = i32::from(entry.symbol).wrapping_add(offset);
            }
            bits -= taken as usize;
        }
        if inside {
            (self.states, self.bits) = (states, bits);
        }
        inside
    }
}

/// Pops up to [`ROWS`](super::ROWS) rows of equally many symbols. The number of the failed row is its place among them.
#[inline(always)]
pub(super) fn rows<T: TansFamily, const LANES: usize, const TURN: usize>(
    view: &TansDecoderView<'_>,
    jobs: &mut [Job<'_, T>],
) -> Result<(), (usize, RowFault)> {
    let precision = view.tables.precision;
    let columns = jobs.first().map_or(0, |job| job.symbols.len());
    let in_turns = if uses_windows(precision) { columns / TURN * TURN } else { 0 };
    let mut rows = Vec::with_capacity(jobs.len());
    let mut starts = Vec::with_capacity(jobs.len());
    for (number, job) in jobs.iter_mut().enumerate() {
        let (row, start) = begin::<T, LANES>(view, job, in_turns, TURN).map_err(|e| (number, e))?;
        rows.push(row);
        starts.push(start);
    }
    let first = starts.iter().copied().min().unwrap_or(columns);
    for at in (first..in_turns).step_by(TURN) {
        for (number, (job, row)) in jobs.iter_mut().zip(&mut rows).enumerate() {
            let (Some(popping), true) = (row, starts[number] <= at) else { continue };
            let indexes = turn_indexes(&job.indexes, at);
            let bytes = bytemuck::cast_slice(job.words);
            let Some(symbols) = job.symbols.get_mut(at..).and_then(|s| s.first_chunk_mut::<TURN>())
            else {
                continue;
            };
            if !popping.turn(view, symbols, &indexes, at, bytes) {
                singly(view, job, popping, at, at + TURN).map_err(|e| (number, e))?;
            }
        }
    }
    for (number, (job, row)) in jobs.iter_mut().zip(rows).enumerate() {
        let Some(mut popping) = row else { continue };
        let from = in_turns.max(starts[number]);
        singly(view, job, &mut popping, from, columns).map_err(|e| (number, e))?;
        let (row, len) = popping.into_row::<T>(job.words);
        row.store(job.fields);
        *job.len = len;
    }
    Ok(())
}

/// Pops symbols until the bits in the buffer are those of a word, to the next turn; where no turns are left, all of them. Gives the row and how many
/// symbols were popped; no row where it is finished and stored.
#[cold]
#[inline(never)]
fn begin<T: TansFamily, const LANES: usize>(
    view: &TansDecoderView<'_>,
    job: &mut Job<'_, T>,
    in_turns: usize,
    turn: usize,
) -> Result<(Option<Popping<LANES>>, usize), RowFault> {
    let columns = job.symbols.len();
    let mut row =
        TansRow::<LANES>::load::<T>(job.fields, view.tables.precision).map_err(|e| e.at(0))?;
    let mut reader = WordReader::new(job.words);
    let in_no_word = |row: &TansRow<LANES>, reader: &WordReader<'_, T::Word>| {
        reader.len() == job.words.len() && row.buffer.len > 0
    };
    let mut at = 0;
    while at < columns && (at >= in_turns || !at.is_multiple_of(turn) || in_no_word(&row, &reader))
    {
        job.symbols[at] = single::<T, LANES>(view, &job.indexes, &mut row, &mut reader, at)?;
        at += 1;
    }
    if in_no_word(&row, &reader) {
        // The row ended first, and took no word.
        row.store(job.fields);
        return Ok((None, columns));
    }
    let bits = reader.len() * T::WORD_BITS as usize + row.buffer.len as usize;
    Ok((Some(Popping { states: row.states, bits }), at))
}

/// Pops symbols `from..to` through the codec.
#[cold]
#[inline(never)]
fn singly<T: TansFamily, const LANES: usize>(
    view: &TansDecoderView<'_>,
    job: &mut Job<'_, T>,
    popping: &mut Popping<LANES>,
    from: usize,
    to: usize,
) -> Result<(), RowFault> {
    if from >= to {
        return Ok(());
    }
    let taken = std::mem::replace(popping, Popping { states: [0; LANES], bits: 0 });
    let (mut row, len) = taken.into_row::<T>(job.words);
    let mut reader = WordReader::new(job.words.get(..len).unwrap_or(&[]));
    for at in from..to {
        job.symbols[at] = single::<T, LANES>(view, &job.indexes, &mut row, &mut reader, at)?;
    }
    let bits = reader.len() * T::WORD_BITS as usize + row.buffer.len as usize;
    *popping = Popping { states: row.states, bits };
    Ok(())
}

fn single<T: TansFamily, const LANES: usize>(
    view: &TansDecoderView<'_>,
    indexes: &Indexes<'_>,
    row: &mut TansRow<LANES>,
    reader: &mut WordReader<'_, T::Word>,
    at: usize,
) -> Result<i32, RowFault> {
    let popped =
        view.pop_one::<T, LANES>(row, at % LANES, indexes.at(at), reader).map_err(|e| e.at(at))?;
    if reader.underflowed() { Err(RowError::Truncated.at(at)) } else { Ok(popped) }
}

//! Rows, symbols, indexes and tables in device memory.
//!
//! The structs hold a launch's pointers as it gave them, so that the compiler sees global memory
//! behind each access.

use super::group::{Group, Mapping};
use super::simt::Simt;
use crate::abi::{CodeShape, RowStatus, index_type, symbol_type};
use crate::codec::step::is_normalised;
use crate::codec::{RansFamily, RowError, TableDescriptor};

/// The addresses of the rows of a launch: see [`CodeParams`](crate::abi::CodeParams).
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "documented there")]
pub struct RowsMemory {
    pub states: *mut u8,
    pub words: *mut u8,
    pub lengths: *mut u32,
    pub status: *mut RowStatus,
    pub symbols: *mut u8,
    pub indexes: *const u8,
}

/// The addresses that a launch gives a kernel that codes with tables: see
/// [`CodeParams`](crate::abi::CodeParams).
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "documented there")]
pub struct Launch {
    pub rows: RowsMemory,
    pub tables: *const TableDescriptor,
    pub entries: *const u8,
    pub lookup: *const u8,
}

/// A row of streams, and the calling thread's lane of that.
#[derive(Clone, Copy, Debug)]
pub struct RowMemory<F: RansFamily> {
    /// The lane's state.
    pub state: *mut F::State,
    /// The row's words.
    pub words: *mut F::Word,
    /// The row's length.
    pub length: *mut u32,
    /// The row's outcome.
    pub status: *mut RowStatus,
}

impl RowsMemory {
    /// A lane of a row of rANS streams.
    ///
    /// # Safety
    /// `row < rows` and `lane < lanes` of the launch.
    #[inline(always)]
    pub unsafe fn lane<F: RansFamily>(
        &self,
        shape: &CodeShape,
        row: u32,
        lanes: u32,
        lane: u32,
    ) -> RowMemory<F> {
        let (row, lanes) = (row as usize, lanes as usize);
        // SAFETY: each array holds `rows` rows.
        unsafe {
            RowMemory {
                state: self.states.cast::<F::State>().add(row * lanes + lane as usize),
                words: self.words.cast::<F::Word>().add(row * shape.word_stride as usize),
                length: self.lengths.add(row),
                status: self.status.add(row),
            }
        }
    }
}

/// What a thread reads of its lane before it codes, and writes afterwards.
#[derive(Clone, Copy, Debug)]
pub struct LaneMemory<S, M, F: RansFamily> {
    /// The lanes of the row.
    pub group: Group<S, M>,
    /// The row's number; 0 where the thread has none.
    pub number: u32,
    /// The row's words.
    pub words: *mut F::Word,
    /// Its symbols and indexes.
    pub symbols: RowSymbols,
    /// The lane's state, or a sound one where those of the row are not.
    pub state: F::State,
    /// The words in use, as the row has it.
    pub length: u32,
    /// Whether the thread has a row: those past the last one work on, on no symbols, as long as a
    /// row of their warp does.
    active: bool,
    /// Whether the row's states can be states.
    sound: bool,
}

impl<S: Simt, M: Mapping, F: RansFamily> LaneMemory<S, M, F> {
    /// The calling thread's lane of row `row`, if there is such a row.
    ///
    /// # Safety
    /// The memory is what [`abi`](crate::abi) says for a launch of this shape, and nothing else
    /// uses it meanwhile.
    #[inline(always)]
    pub unsafe fn load(group: Group<S, M>, row: u32, rows: RowsMemory, shape: &CodeShape) -> Self {
        let active = row < shape.rows;
        let number = if active { row } else { 0 };
        // SAFETY: `number < rows`.
        let (memory, symbols): (RowMemory<F>, _) = unsafe {
            (rows.lane(shape, number, group.lanes(), group.lane), rows.row(shape, number))
        };
        let (state, length) = if active {
            // SAFETY: this lane's state and this row's length.
            unsafe { (*memory.state, *memory.length) }
        } else {
            (F::LOWER_BOUND, 0)
        };
        let sound = group.ballot(!is_normalised::<F>(state)) == 0;
        let state = if sound { state } else { F::LOWER_BOUND };
        Self { group, number, words: memory.words, symbols, state, length, active, sound }
    }

    /// Whether there is anything to code.
    #[inline(always)]
    pub fn is_coded(&self) -> bool {
        self.active && self.sound
    }

    /// Stores a row's outcome, and what has become of the lane if that is a success. Unsound states
    /// are an error at position `at`.
    ///
    /// # Safety
    /// As [`load`](Self::load).
    #[inline(always)]
    pub unsafe fn store(
        &self,
        rows: RowsMemory,
        shape: &CodeShape,
        state: F::State,
        length: u32,
        outcome: RowStatus,
        at: u32,
    ) {
        let status = if self.sound {
            outcome
        } else {
            RowStatus { code: RowError::StateOutOfRange as u32, position: at }
        };
        if !self.active {
            return;
        }
        // Found again, so that no register holds the addresses meanwhile.
        let number = self.group.simt().again(self.number);
        // SAFETY: this lane's state; the row's length and status, written by one lane.
        unsafe {
            let memory: RowMemory<F> =
                rows.lane(shape, number, self.group.lanes(), self.group.lane);
            if status.code == 0 {
                *memory.state = state;
            }
            if self.group.lane == 0 {
                if status.code == 0 {
                    *memory.length = length;
                }
                *memory.status = status;
            }
        }
    }
}

/// The symbols and indexes of one row.
#[derive(Clone, Copy, Debug)]
pub struct RowSymbols {
    symbols: *mut u8,
    indexes: *const u8,
    symbol_type: u32,
    index_type: u32,
    index_step: u32,
    index_constant: i32,
}

impl RowsMemory {
    /// The symbols and indexes of a row.
    ///
    /// # Safety
    /// `row < rows` of the launch.
    #[inline(always)]
    pub unsafe fn row(&self, shape: &CodeShape, row: u32) -> RowSymbols {
        let symbol_row = (row as usize * shape.symbol_stride as usize) << (shape.symbol_type & 3);
        let index_row = (row as usize * shape.index_row_stride as usize) << shape.index_type;
        RowSymbols {
            // SAFETY: the symbols hold `rows` rows.
            symbols: unsafe { self.symbols.add(symbol_row) },
            // SAFETY: so do the indexes, where they are in memory; else the strides are 0.
            indexes: unsafe { self.indexes.add(index_row) },
            symbol_type: shape.symbol_type,
            index_type: shape.index_type,
            index_step: shape.index_symbol_stride,
            index_constant: shape.index_constant,
        }
    }
}

impl RowSymbols {
    /// The index of a symbol.
    ///
    /// # Safety
    /// `position < symbols` of the launch.
    #[inline(always)]
    pub unsafe fn index(&self, position: u32) -> i32 {
        // The step is 0 or 1: a mask costs less than a product of 64 bits.
        let at = (position & self.index_step.wrapping_neg()) as usize;
        // SAFETY: a row has an index for each position at this step.
        unsafe {
            match self.index_type {
                index_type::I32 => *self.indexes.cast::<i32>().add(at),
                index_type::U16 => i32::from(*self.indexes.cast::<u16>().add(at)),
                index_type::U8 => i32::from(*self.indexes.add(at)),
                _ => self.index_constant,
            }
        }
    }

    /// The index of the symbol at each position, of which only the row's may be asked for.
    ///
    /// # Safety
    /// As [`index`](Self::index), for every position that the function is called with.
    #[inline(always)]
    pub unsafe fn indexes_of_row(self) -> impl Fn(usize) -> i32 {
        // SAFETY: the caller's promise.
        move |position| unsafe { self.index(position as u32) }
    }

    /// Whether one index, that of position 0, serves the whole row.
    #[inline(always)]
    pub fn has_one_index(&self) -> bool {
        self.index_step == 0
    }

    /// A symbol.
    ///
    /// # Safety
    /// `position < symbols` of the launch.
    #[inline(always)]
    pub unsafe fn load(&self, position: u32) -> i32 {
        let at = position as usize;
        // SAFETY: a row has that many symbols.
        unsafe {
            match self.symbol_type {
                symbol_type::I32 => *self.symbols.cast::<i32>().add(at),
                symbol_type::I16 => i32::from(*self.symbols.cast::<i16>().add(at)),
                symbol_type::U16 => i32::from(*self.symbols.cast::<u16>().add(at)),
                _ => i32::from(*self.symbols.add(at)),
            }
        }
    }

    /// Stores a symbol, if its type holds it.
    ///
    /// # Safety
    /// `position < symbols` of the launch.
    #[inline(always)]
    pub unsafe fn store(&self, position: u32, symbol: i32) -> Result<(), RowError> {
        let at = position as usize;
        // SAFETY: a row has that many symbols.
        let fits = unsafe {
            match self.symbol_type {
                symbol_type::I32 => {
                    *self.symbols.cast::<i32>().add(at) = symbol;
                    true
                }
                symbol_type::I16 => {
                    *self.symbols.cast::<i16>().add(at) = symbol as i16;
                    i32::from(symbol as i16) == symbol
                }
                symbol_type::U16 => {
                    *self.symbols.cast::<u16>().add(at) = symbol as u16;
                    i32::from(symbol as u16) == symbol
                }
                _ => {
                    *self.symbols.add(at) = symbol as u8;
                    i32::from(symbol as u8) == symbol
                }
            }
        };
        if fits { Ok(()) } else { Err(RowError::SymbolWidth) }
    }

    /// Whether [`loads`](Self::loads) and its like may take symbols and indexes by fours.
    #[inline(always)]
    pub fn fours_are_aligned(&self) -> bool {
        let symbols = self.symbols.addr() & ((4 << (self.symbol_type & 3)) - 1);
        let indexes = self.indexes.addr() & ((4 << self.index_type) - 1);
        symbols == 0 && (self.has_one_index() || indexes == 0)
    }

    /// The indexes of a lane in `N` groups from `group` on, where each position has one.
    ///
    /// # Safety
    /// The groups are the row's. With `fours`, [`fours_are_aligned`](Self::fours_are_aligned) and
    /// `group` is a multiple of four.
    #[inline(always)]
    pub unsafe fn indexes<S: Simt, M: Mapping, const N: usize>(
        &self,
        lanes: &Group<S, M>,
        group: u32,
        fours: bool,
    ) -> [i32; N] {
        let from = self.indexes;
        // SAFETY: the caller's promise. The type is looked at once for all, the commonest first.
        unsafe {
            if self.index_type == index_type::I32 {
                load::<_, Of16<i32>, _, _, _>(from.cast(), lanes, group, fours, |i| i)
            } else if self.index_type == index_type::U8 {
                load::<u8, Of4<u8>, _, _, _>(from, lanes, group, fours, i32::from)
            } else {
                load::<u16, Of8<u16>, _, _, _>(from.cast(), lanes, group, fours, i32::from)
            }
        }
    }

    /// The symbols of a lane in `N` groups from `group` on.
    ///
    /// # Safety
    /// As [`indexes`](Self::indexes).
    #[inline(always)]
    pub unsafe fn loads<S: Simt, M: Mapping, const N: usize>(
        &self,
        lanes: &Group<S, M>,
        group: u32,
        fours: bool,
    ) -> [i32; N] {
        let from = self.symbols.cast_const();
        // SAFETY: the caller's promise.
        unsafe {
            if self.symbol_type == symbol_type::I32 {
                load::<_, Of16<i32>, _, _, _>(from.cast(), lanes, group, fours, |s| s)
            } else if self.symbol_type == symbol_type::U8 {
                load::<u8, Of4<u8>, _, _, _>(from, lanes, group, fours, i32::from)
            } else if self.symbol_type == symbol_type::I16 {
                load::<i16, Of8<i16>, _, _, _>(from.cast(), lanes, group, fours, i32::from)
            } else {
                load::<u16, Of8<u16>, _, _, _>(from.cast(), lanes, group, fours, i32::from)
            }
        }
    }

    /// Whether symbols are of 8 bits, unsigned.
    #[inline(always)]
    pub fn are_bytes(&self) -> bool {
        self.symbol_type == symbol_type::U8
    }

    /// The same of [bytes](Self::are_bytes).
    ///
    /// # Safety
    /// As [`loads`](Self::loads), and symbols are bytes.
    #[inline(always)]
    pub unsafe fn loads_bytes<S: Simt, M: Mapping, const N: usize>(
        &self,
        lanes: &Group<S, M>,
        group: u32,
        fours: bool,
    ) -> [i32; N] {
        let from = self.symbols.cast_const();
        // SAFETY: the caller's promise.
        unsafe { load::<u8, Of4<u8>, _, _, _>(from, lanes, group, fours, i32::from) }
    }

    /// Stores the symbols of a lane in the first `count` of `N` groups. Their type holds them.
    ///
    /// # Safety
    /// As [`indexes`](Self::indexes).
    #[inline(always)]
    pub unsafe fn stores<S: Simt, M: Mapping, const N: usize>(
        &self,
        lanes: &Group<S, M>,
        group: u32,
        fours: bool,
        values: [i32; N],
        count: usize,
    ) {
        let to = self.symbols;
        // SAFETY: the caller's promise.
        unsafe {
            if self.symbol_type == symbol_type::I32 {
                let of = |s| s;
                store::<_, Of16<i32>, _, _, _>(to.cast(), lanes, group, fours, values, count, of);
            } else if self.symbol_type == symbol_type::U8 {
                let of = |s| s as u8;
                store::<_, Of4<u8>, _, _, _>(to, lanes, group, fours, values, count, of);
            } else {
                let of = |s| s as u16;
                store::<_, Of8<u16>, _, _, _>(to.cast(), lanes, group, fours, values, count, of);
            }
        }
    }
}

/// Four values that are loaded and stored at once.
trait Four<T>: Copy {
    fn of(values: [T; 4]) -> Self;
    fn values(self) -> [T; 4];
}

macro_rules! fours {
    ($($name:ident $align:literal)*) => {
        $(
            #[derive(Clone, Copy)]
            #[repr(C, align($align))]
            struct $name<T>([T; 4]);

            impl<T: Copy> Four<T> for $name<T> {
                #[inline(always)]
                fn of(values: [T; 4]) -> Self {
                    Self(values)
                }
                #[inline(always)]
                fn values(self) -> [T; 4] {
                    self.0
                }
            }
        )*
    };
}
fours!(Of4 4 Of8 8 Of16 16);

/// Whether a kernel takes `n` groups by fours where it can: of one and two lanes, a lane's own
/// symbols are so few bytes side by side that most of a sector would go unused.
#[inline(always)]
const fn in_fours<M: Mapping>(n: usize) -> bool {
    (M::LANES == 1 || M::LANES == 2) && n.is_multiple_of(4)
}

#[inline(always)]
unsafe fn load<T: Copy, V: Four<T>, S: Simt, M: Mapping, const N: usize>(
    from: *const T,
    lanes: &Group<S, M>,
    group: u32,
    fours: bool,
    widen: impl Fn(T) -> i32,
) -> [i32; N] {
    let mut values = [0; N];
    if in_fours::<M>(N) && fours {
        // A lane has four values of each `4 * lanes`.
        let at = (group * M::LANES / 4 + lanes.lane) as usize;
        unroll!(N, i, {
            if i.is_multiple_of(4) {
                // SAFETY: the caller's promise.
                let four = unsafe { *from.cast::<V>().add(at + i / 4 * M::LANES as usize) };
                let four = lanes.deal(four.values().map(&widen));
                unroll!(4, j, {
                    if i + j < N {
                        values[i + j] = four[j];
                    }
                });
            }
        });
        return values;
    }
    // One product of addresses for all: the distances are constants of 32 lanes.
    let first = from.wrapping_add((group * lanes.lanes() + lanes.lane) as usize);
    unroll!(N, i, {
        // SAFETY: the caller's promise.
        values[i] = widen(unsafe { *first.add(i * lanes.lanes() as usize) });
    });
    values
}

#[inline(always)]
unsafe fn store<T: Copy, V: Four<T>, S: Simt, M: Mapping, const N: usize>(
    to: *mut T,
    lanes: &Group<S, M>,
    group: u32,
    fours: bool,
    values: [i32; N],
    count: usize,
    narrow: impl Fn(i32) -> T,
) {
    if in_fours::<M>(N) && fours && count == N {
        let at = (group * M::LANES / 4 + lanes.lane) as usize;
        unroll!(N, i, {
            if i.is_multiple_of(4) {
                let [a, b, c, d] = [0, 1, 2, 3].map(|j| values[(i + j) % N]);
                let four = V::of(lanes.collect([a, b, c, d]).map(&narrow));
                // SAFETY: the caller's promise.
                unsafe { *to.cast::<V>().add(at + i / 4 * M::LANES as usize) = four };
            }
        });
        return;
    }
    let first = to.wrapping_add((group * lanes.lanes() + lanes.lane) as usize);
    unroll!(N, i, {
        if i < count {
            // SAFETY: the caller's promise.
            unsafe { *first.add(i * lanes.lanes() as usize) = narrow(values[i]) };
        }
    });
}

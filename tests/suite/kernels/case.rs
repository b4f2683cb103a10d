//! One batch of rows, coded by the scalar codec and by kernels.

use std::fmt::Debug;

use bytemuck::{Pod, cast_slice};
use parans_emulator::Report;
use parans_kernels::abi::{self, CodeParams, CodeShape, Kernel, Operation, RowStatus};
use parans_kernels::codec::packed::{
    PackedFamily, PackedSlot, pack_entries, pack_exact, pack_guide, pack_slots, pack_wide,
};
use parans_kernels::codec::packed_states::{pack_alias_buckets, pack_alias_entries};
use parans_kernels::codec::table_row::TablesView;
use parans_kernels::codec::{
    AliasLookup, AliasPlacement, BypassCode, DecoderView, DirectPlacement, EncoderView,
    InverseCdfLookup, Rans32x16, RansFamily, RowFault, RowIndexes, SearchLookup, StateInt,
    WordReader, WordWriter, pop_row, push_row,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::kernels::machine::{Machine, outcome};
use crate::kernels::software::Software;
use crate::kernels::tables::Tables;

/// The lane counts of the kernels: each mapping of lanes to threads, and each width of a part of a
/// warp that a family has.
pub const LANES: [u32; 6] = [1, 2, 4, 8, 16, 32];

/// How pop finds a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    Search,
    /// An inverse CDF with an entry per slot.
    Dense,
    /// An inverse CDF with fewer.
    Sparse,
    Alias,
    /// Packed tables, with a word per slot.
    Slots,
    /// Packed tables, with a byte per slot.
    Guide,
    /// Packed tables, with 16 bits per bucket of slots.
    Wide,
    /// Packed alias tables.
    AliasPacked,
}

impl Lookup {
    /// Whether the kernels read packed tables.
    pub fn is_packed(self) -> bool {
        matches!(self, Self::Slots | Self::Guide | Self::Wide | Self::AliasPacked)
    }

    /// Whether tables are alias tables.
    fn is_alias(self) -> bool {
        matches!(self, Self::Alias | Self::AliasPacked)
    }
}

/// How symbols lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolType {
    I32,
    I16,
    U16,
    U8,
}

/// Which indexes a launch has in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexForm {
    Each,
    Column,
    Row,
    One,
}

/// A batch.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub lanes: u32,
    pub lookup: Lookup,
    /// Bits of a bypass digit, 0 for none.
    pub bypass: u32,
    pub rows: u32,
    /// Symbols a row.
    pub count: u32,
    pub symbols: SymbolType,
    pub index: IndexForm,
    pub index_bytes: u32,
    pub seed: u64,
    /// Whether packed tables are staged in shared memory.
    pub staged: bool,
    pub tables: usize,
    /// Symbols of each table, and the precision; random where 0.
    pub alphabet: u32,
    pub precision: u32,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            lanes: 1,
            lookup: Lookup::Search,
            bypass: 0,
            rows: 5,
            count: 64,
            symbols: SymbolType::I32,
            index: IndexForm::Each,
            index_bytes: 4,
            seed: 0,
            staged: true,
            tables: 7,
            alphabet: 0,
            precision: 0,
        }
    }
}

impl SymbolType {
    /// Bytes a symbol.
    pub fn bytes(self) -> u32 {
        match self {
            Self::I32 => 4,
            Self::I16 | Self::U16 => 2,
            Self::U8 => 1,
        }
    }

    /// As a launch names it.
    pub fn abi(self) -> u32 {
        match self {
            Self::I32 => abi::symbol_type::I32,
            Self::I16 => abi::symbol_type::I16,
            Self::U16 => abi::symbol_type::U16,
            Self::U8 => abi::symbol_type::U8,
        }
    }
}

/// The streams of a batch, as both sides keep them.
#[derive(Clone, Debug)]
pub struct Rows<F: RansFamily> {
    pub states: Vec<F::State>,
    pub words: Vec<F::Word>,
    pub lengths: Vec<u32>,
    /// Words from row to row.
    pub stride: usize,
}

impl<F: RansFamily> Rows<F> {
    /// Initial rows with capacity for `stride` words each.
    pub fn initial(rows: u32, lanes: u32, stride: usize) -> Self {
        Self {
            states: vec![F::LOWER_BOUND; (rows * lanes) as usize],
            words: vec![F::Word::default(); rows as usize * stride],
            lengths: vec![0; rows as usize],
            stride,
        }
    }

    /// The same states and lengths; the same words where they are in use.
    pub fn assert_same(&self, expected: &Self, what: impl Fn() -> String) {
        assert_equal(&self.states, &expected.states, || what() + ": states");
        assert_equal(&self.lengths, &expected.lengths, || what() + ": lengths");
        for row in 0..self.lengths.len() {
            let used = (self.lengths[row] as usize).min(self.stride);
            let words = |rows: &Self| rows.words[row * rows.stride..][..used].to_vec();
            assert_equal(&words(self), &words(expected), || format!("{} row {row}: words", what()));
        }
    }
}

/// What goes in and comes out beside the streams.
pub struct Data {
    pub tables: Tables,
    /// `rows * count`.
    pub symbols: Vec<i32>,
    /// `rows * count`.
    pub indexes: Vec<i32>,
    /// As the launch has them.
    pub index_memory: Vec<i32>,
}

type Outcome = Vec<Result<(), RowFault>>;

impl Case {
    /// Pushes twice and pops twice: on an empty stream and on one in use.
    pub fn check<F: PackedFamily>(&self, machine: &dyn Machine) {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(self.seed);
        let data = self.data(rng, F::MAX_PRECISION);
        let mut rows = self.initial::<F>(self.roomy::<F>());
        let mut pushed = Vec::new();
        for _ in 0..2 {
            let mut expected = rows.clone();
            let outcome = self.scalar_push(&data, &mut expected);
            assert!(outcome.iter().all(Result::is_ok), "{self:?}: {outcome:?}");
            let got = self.device_push(machine, &data, &mut rows);
            self.same("push", &outcome, &got, &expected, &rows);
            pushed.push(rows.clone());
        }
        for _ in 0..2 {
            let mut expected = rows.clone();
            let (outcome, symbols) = self.scalar_pop(&data, &mut expected);
            assert!(outcome.iter().all(Result::is_ok), "{self:?}: {outcome:?}");
            let (got, popped) = self.device_pop(machine, &data, &mut rows);
            self.same("pop", &outcome, &got, &expected, &rows);
            assert_eq!(popped, symbols, "{self:?}");
            for (i, (&symbol, &index)) in popped.iter().zip(&data.indexes).enumerate() {
                assert_eq!(symbol, if index < 0 { 0 } else { data.symbols[i] }, "{self:?} at {i}");
            }
        }
        assert!(rows.lengths.iter().all(|&l| l == 0));
        assert!(rows.states.iter().all(|&x| x == F::LOWER_BOUND));
    }

    /// What one push and one pop cost.
    pub fn cost<F: PackedFamily>(&self, machine: &Software) -> [Report; 2] {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(self.seed);
        let data = self.data(rng, F::MAX_PRECISION);
        let mut rows = self.initial::<F>(self.roomy::<F>());
        assert!(self.device_push(machine, &data, &mut rows).iter().all(Result::is_ok));
        let push = machine.report();
        assert!(self.device_pop(machine, &data, &mut rows).0.iter().all(Result::is_ok));
        [push, machine.report()]
    }

    /// Damages rows in every way a launch can meet, and compares what becomes of them.
    pub fn check_faults<F: PackedFamily>(&self, machine: &dyn Machine) {
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(self.seed);
        let case = &Self { rows: 12, ..*self };
        let mut data = case.data(rng, F::MAX_PRECISION);
        let good = data.symbols.clone();
        let good_indexes = data.indexes.clone();
        // Pushes: symbols outside their tables, far outside, indexes of no table, no capacity, a
        // bad state, a bad length.
        let count = case.count as usize;
        let mut damage = |row: usize, symbol: i32| {
            for _ in 0..2 {
                data.symbols[row * count + rng.random_range(0..count)] = symbol;
            }
        };
        damage(0, 1000);
        damage(1, i32::MIN);
        damage(2, i32::MAX);
        damage(3, -70_000);
        damage(4, 1 << 30);
        let each = case.index == IndexForm::Each;
        for row in [5, 6].into_iter().filter(|_| each) {
            for _ in 0..2 {
                let at = row * count + rng.random_range(0..count);
                data.indexes[at] = [7, i32::MAX][row % 2];
            }
        }
        let good_memory = data.index_memory.clone();
        if each {
            data.index_memory = data.indexes.clone();
        }
        let mut rows = case.initial::<F>(case.roomy::<F>());
        rows.states[7 * case.lanes as usize + case.lanes as usize / 2] = F::State::from_u32(0);
        rows.states[8 * case.lanes as usize] = F::State::MAX;
        rows.lengths[9] = rows.stride as u32 + 1;
        for stride in [rows.stride, 9, 1] {
            let mut rows = Rows { stride, ..rows.clone() };
            let mut expected = rows.clone();
            let outcome = case.scalar_push(&data, &mut expected);
            let got = case.device_push(machine, &data, &mut rows);
            case.same("push", &outcome, &got, &expected, &rows);
        }

        // Pops: of good streams that were then damaged.
        data.symbols = good;
        data.indexes = good_indexes;
        data.index_memory = good_memory;
        let mut rows = case.initial::<F>(case.roomy::<F>());
        let outcome = case.scalar_push(&data, &mut rows);
        assert!(outcome.iter().all(Result::is_ok), "{case:?}: {outcome:?}");
        let lanes = case.lanes as usize;
        rows.lengths[0] /= 2;
        rows.lengths[1] = 0;
        rows.lengths[2] -= rows.lengths[2].min(1);
        for row in [3, 4, 5] {
            let used = rows.lengths[row] as usize;
            for _ in 0..used.min(4) {
                let at = row * rows.stride + rng.random_range(0..used);
                rows.words[at] = parans_kernels::codec::WordInt::from_low(rng.random());
            }
        }
        for row in [6, 7] {
            for lane in 0..lanes {
                let random: u64 = rng.random();
                rows.states[row * lanes + lane] = F::State::from_u64(random) >> 1 | F::LOWER_BOUND;
            }
        }
        rows.states[8 * lanes + lanes / 2] = F::State::from_u32(1);
        if each {
            data.indexes[9 * count + rng.random_range(0..count)] = 7;
            data.indexes[10 * count + count - 1] = i32::MAX;
            data.index_memory = data.indexes.clone();
        }
        let mut expected = rows.clone();
        let (outcome, _) = case.scalar_pop(&data, &mut expected);
        let (got, _) = case.device_pop(machine, &data, &mut rows);
        case.same("pop", &outcome, &got, &expected, &rows);
        assert!(
            outcome.iter().filter(|o| o.is_err()).count() >= if each { 3 } else { 1 },
            "{case:?}: {outcome:?}"
        );
    }

    fn roomy<F: RansFamily>(&self) -> usize {
        // Two pushes of at most a whole state and 65 bits of digits a symbol.
        let bits = 2 * self.count as usize * (F::STATE_BITS as usize + 72) + 256;
        bits / (8 * size_of::<F::Word>())
    }

    fn initial<F: RansFamily>(&self, stride: usize) -> Rows<F> {
        Rows::initial(self.rows, self.lanes, stride)
    }

    pub fn data(&self, rng: &mut impl Rng, max_precision: u32) -> Data {
        let mut precision = max_precision.min(rng.random_range(9..=16));
        if self.lookup == Lookup::Slots {
            precision = precision.min(PackedSlot::MAX_PRECISION);
        } else if matches!(self.lookup, Lookup::Guide | Lookup::Wide) {
            precision = precision.min(15);
        } else if self.lookup == Lookup::AliasPacked && self.staged {
            // So that all tables fit a block's shared memory.
            precision = precision.min(12);
        }
        if self.precision != 0 {
            precision = self.precision.min(max_precision);
        }
        let alias = self.lookup.is_alias();
        let inverse_bits = match self.lookup {
            Lookup::Dense => precision,
            Lookup::Sparse => rng.random_range(1..precision),
            _ => 0,
        };
        let mut tables =
            Tables::random(rng, self.tables, self.alphabet, precision, inverse_bits, alias);
        for table in &mut tables.tables {
            if self.symbols != SymbolType::I32 {
                table.offset = table.offset.max(0);
            }
            // Packed tables may all have the same offset, which the launch then says.
            if self.alphabet != 0 || self.lookup.is_packed() && self.seed.is_multiple_of(3) {
                table.offset = 0;
            }
        }
        let (rows, count) = (self.rows as usize, self.count as usize);
        // A table the batch does not have is an error; a negative index skips.
        let low = if self.index_bytes == 4 && self.index != IndexForm::One { -1 } else { 0 };
        let of_tables = tables.tables.len() as i32;
        let memory_len = match self.index {
            IndexForm::Each => rows * count,
            IndexForm::Column => count,
            IndexForm::Row => rows,
            IndexForm::One => 1,
        };
        let index_memory: Vec<i32> =
            (0..memory_len).map(|_| rng.random_range(low..of_tables)).collect();
        let indexes: Vec<i32> = (0..rows * count)
            .map(|i| match self.index {
                IndexForm::Each => index_memory[i],
                IndexForm::Column => index_memory[i % count],
                IndexForm::Row => index_memory[i / count],
                IndexForm::One => index_memory[0],
            })
            .collect();
        let symbols = indexes
            .iter()
            .map(|&index| {
                let table = tables.tables[index.max(0) as usize];
                let symbols = table.symbols as i32;
                let value = match (self.bypass, rng.random_range(0..12)) {
                    (0, _) => rng.random_range(0..symbols),
                    (_, 0) => symbols - 1 + rng.random_range(0..200),
                    (_, 1) if self.symbols == SymbolType::I32 => -rng.random_range(1..1 << 29),
                    (_, 2) if self.symbols == SymbolType::I32 => 1 << rng.random_range(0..30),
                    _ => rng.random_range(0..symbols - 1),
                };
                table.offset + value
            })
            .map(
                |symbol| if self.symbols == SymbolType::U8 { symbol.clamp(0, 255) } else { symbol },
            )
            .collect();
        Data { tables, symbols, indexes, index_memory }
    }

    pub fn tables_view<'a>(&self, tables: &'a Tables) -> TablesView<'a> {
        TablesView {
            tables: &tables.tables,
            precision: tables.precision,
            bypass: BypassCode::new(self.bypass),
            skip_past_end: false,
        }
    }

    /// Runs the scalar codec over every row; failed rows stay as they were.
    fn scalar<F: RansFamily>(
        &self,
        rows: &mut Rows<F>,
        mut code: impl FnMut(usize, &mut [F::State], &mut [F::Word], u32) -> Result<u32, RowFault>,
    ) -> Outcome {
        let lanes = self.lanes as usize;
        (0..self.rows as usize)
            .map(|row| {
                let mut states = rows.states[row * lanes..][..lanes].to_vec();
                let words = &mut rows.words[row * rows.stride..][..rows.stride];
                let length = code(row, &mut states, words, rows.lengths[row])?;
                rows.states[row * lanes..][..lanes].copy_from_slice(&states);
                rows.lengths[row] = length;
                Ok(())
            })
            .collect()
    }

    fn scalar_push<F: RansFamily>(&self, data: &Data, rows: &mut Rows<F>) -> Outcome {
        let entries = data.tables.entries::<F>();
        let tables = self.tables_view(&data.tables);
        let direct = EncoderView { tables, entries: &entries, placement: DirectPlacement };
        let (remap, precision) = (&data.tables.remap[..], data.tables.precision);
        let placement = AliasPlacement { remap, precision };
        let alias = EncoderView { tables, entries: &entries, placement };
        let count = self.count as usize;
        self.scalar(rows, |row, states, words, length| {
            let symbols = &data.symbols[row * count..][..count];
            let indexes = RowIndexes::Each(&data.indexes[row * count..][..count]);
            let mut writer = WordWriter::new(words, length as usize);
            macro_rules! push {
                ($($lanes:literal)*) => {
                    match (self.lanes, self.lookup) {
                        $(
                            ($lanes, Lookup::Alias | Lookup::AliasPacked) => push_row::<F, _, [_; $lanes]>(
                                &alias.row(indexes), states.try_into().unwrap(), &mut writer, symbols)?,
                            ($lanes, _) => push_row::<F, _, [_; $lanes]>(
                                &direct.row(indexes), states.try_into().unwrap(), &mut writer, symbols)?,
                        )*
                        _ => unreachable!(),
                    }
                };
            }
            push!(1 2 4 8 16 32);
            Ok(writer.len() as u32)
        })
    }

    fn scalar_pop<F: RansFamily>(&self, data: &Data, rows: &mut Rows<F>) -> (Outcome, Vec<i32>) {
        let tables = self.tables_view(&data.tables);
        let (intervals, bits) = (&data.tables.intervals[..], data.tables.inverse_bits);
        let search = DecoderView { tables, lookup: SearchLookup { intervals } };
        let lookup = InverseCdfLookup { intervals, symbols: &data.tables.inverse, bits };
        let inverse = DecoderView { tables, lookup };
        let lookup = AliasLookup { intervals, buckets: &data.tables.buckets };
        let alias = DecoderView { tables, lookup };
        let count = self.count as usize;
        let mut popped = vec![0; data.symbols.len()];
        let outcome = self.scalar(rows, |row, states, words, length| {
            let out = &mut popped[row * count..][..count];
            let indexes = RowIndexes::Each(&data.indexes[row * count..][..count]);
            let mut reader = WordReader::new(&words[..length as usize]);
            macro_rules! pop {
                ($($lanes:literal)*) => {
                    match (self.lanes, self.lookup) {
                        $(
                            ($lanes, Lookup::Search | Lookup::Slots | Lookup::Guide | Lookup::Wide) => pop_row::<F, _, [_; $lanes]>(
                                &search.row(indexes), states.try_into().unwrap(), &mut reader, out)?,
                            ($lanes, Lookup::Alias | Lookup::AliasPacked) => pop_row::<F, _, [_; $lanes]>(
                                &alias.row(indexes), states.try_into().unwrap(), &mut reader, out)?,
                            ($lanes, _) => pop_row::<F, _, [_; $lanes]>(
                                &inverse.row(indexes), states.try_into().unwrap(), &mut reader, out)?,
                        )*
                        _ => unreachable!(),
                    }
                };
            }
            pop!(1 2 4 8 16 32);
            Ok(reader.len() as u32)
        });
        (outcome, popped)
    }

    pub fn shape(&self, data: &Data, stride: usize) -> CodeShape {
        let (index_row_stride, index_symbol_stride) = match self.index {
            IndexForm::Each => (self.count, 1),
            IndexForm::Column => (0, 1),
            IndexForm::Row => (1, 0),
            IndexForm::One => (0, 0),
        };
        CodeShape {
            rows: self.rows,
            symbols: self.count,
            lanes: self.lanes,
            word_stride: stride as u32,
            symbol_stride: self.count,
            symbol_type: self.symbols.abi(),
            index_type: match (self.index, self.index_bytes) {
                (IndexForm::One, _) => abi::index_type::CONSTANT,
                (_, 4) => abi::index_type::I32,
                (_, 2) => abi::index_type::U16,
                _ => abi::index_type::U8,
            },
            index_row_stride,
            index_symbol_stride,
            index_constant: data.index_memory[0],
            tables: data.tables.tables.len() as u32,
            entries: data.tables.intervals.len() as u32,
            precision: data.tables.precision,
            bypass_bits: self.bypass,
            inverse_bits: data.tables.inverse_bits,
            skip_past_end: 0,
            staged: 0,
            same_offset: u32::from(
                data.tables.tables.windows(2).all(|w| w[0].offset == w[1].offset),
            ),
        }
    }

    fn run<F: PackedFamily>(
        &self,
        machine: &dyn Machine,
        operation: Operation,
        data: &Data,
        rows: &mut Rows<F>,
    ) -> (Outcome, Vec<i32>) {
        let push = matches!(
            operation,
            Operation::Push
                | Operation::PushAlias
                | Operation::PushPacked
                | Operation::PushExact
                | Operation::PushAliasPacked
        );
        let packed = self.packed::<F>(operation, data);
        let upload = |bytes: &[u8]| machine.upload(bytes);
        let lookup = match operation {
            Operation::PushAlias => upload(cast_slice(&data.tables.remap)),
            Operation::PopAlias => upload(cast_slice(&data.tables.buckets)),
            Operation::PopInverseCdf => upload(cast_slice(&data.tables.inverse)),
            _ if !packed.is_empty() => upload(cast_slice(&packed)),
            _ => 0,
        };
        let mut shape = self.shape(data, rows.stride);
        shape.staged = if self.staged { packed.len() as u32 * 4 } else { 0 };
        let symbol_bytes = self.narrow_symbols(&data.symbols);
        let params = CodeParams {
            states: upload(cast_slice(&rows.states)),
            words: upload(cast_slice(&rows.words)),
            lengths: upload(cast_slice(&rows.lengths)),
            status: machine.alloc(self.rows as usize * size_of::<RowStatus>()),
            symbols: if push { upload(&symbol_bytes) } else { machine.alloc(symbol_bytes.len()) },
            indexes: match self.index {
                IndexForm::One => 0,
                _ => upload(&narrow(&data.index_memory, self.index_bytes)),
            },
            tables: upload(cast_slice(&data.tables.tables)),
            entries: if push {
                upload(cast_slice(&data.tables.entries::<F>()))
            } else {
                upload(cast_slice(&data.tables.intervals))
            },
            lookup,
            shape,
        };
        let kernel = Kernel::find(F::NAME, operation, self.lanes).expect("a kernel for each case");
        machine.launch(
            kernel.name,
            Kernel::threads(self.rows, self.lanes),
            shape.staged,
            bytemuck::bytes_of(&params),
        );
        download_into(machine, params.states, &mut rows.states);
        download_into(machine, params.words, &mut rows.words);
        download_into(machine, params.lengths, &mut rows.lengths);
        let mut status = vec![RowStatus::default(); self.rows as usize];
        download_into(machine, params.status, &mut status);
        let symbols = self.widen_symbols(&machine.download(params.symbols, symbol_bytes.len()));
        machine.reset();
        (status.into_iter().map(outcome).collect(), symbols)
    }

    /// The packed tables that a kernel reads, if it does.
    fn packed<F: PackedFamily>(&self, operation: Operation, data: &Data) -> Vec<u32> {
        let Data { tables, .. } = data;
        let (intervals, precision) = (&tables.intervals, tables.precision);
        let (places, bypass) = (&tables.tables, BypassCode::new(self.bypass));
        let mut words = Vec::new();
        let store = |word| words.push(word);
        let packed = match operation {
            Operation::PushPacked => pack_entries(places, &tables.entries::<F>(), bypass, store),
            Operation::PushExact => pack_exact(places, intervals, precision, bypass, store),
            Operation::PopSlots => pack_slots(places, intervals, precision, bypass, store),
            Operation::PopGuide => pack_guide(places, intervals, precision, bypass, store),
            Operation::PopWide => pack_wide::<F>(places, intervals, precision, bypass, store),
            Operation::PushAliasPacked => {
                let (entries, remap) = (&tables.entries::<F>(), &tables.remap);
                pack_alias_entries(places, entries, remap, precision, bypass, store)
            }
            Operation::PopAliasPacked => {
                let buckets = &tables.buckets;
                pack_alias_buckets(places, intervals, buckets, precision, bypass, store)
            }
            _ => Some(()),
        };
        packed.expect("tables that fit their packed form");
        words
    }

    fn device_push<F: PackedFamily>(
        &self,
        machine: &dyn Machine,
        data: &Data,
        rows: &mut Rows<F>,
    ) -> Outcome {
        let operation = match self.lookup {
            Lookup::Alias => Operation::PushAlias,
            Lookup::AliasPacked => Operation::PushAliasPacked,
            Lookup::Slots if F::NAME == Rans32x16::NAME => Operation::PushExact,
            Lookup::Slots | Lookup::Guide | Lookup::Wide => Operation::PushPacked,
            _ => Operation::Push,
        };
        self.run(machine, operation, data, rows).0
    }

    fn device_pop<F: PackedFamily>(
        &self,
        machine: &dyn Machine,
        data: &Data,
        rows: &mut Rows<F>,
    ) -> (Outcome, Vec<i32>) {
        let operation = match self.lookup {
            Lookup::Search => Operation::PopSearch,
            Lookup::Dense | Lookup::Sparse => Operation::PopInverseCdf,
            Lookup::Alias => Operation::PopAlias,
            Lookup::Slots => Operation::PopSlots,
            Lookup::Guide => Operation::PopGuide,
            Lookup::Wide => Operation::PopWide,
            Lookup::AliasPacked => Operation::PopAliasPacked,
        };
        self.run(machine, operation, data, rows)
    }

    /// Same outcomes, states and lengths; same words where they are in use, and unchanged ones
    /// where a row failed.
    fn same<F: RansFamily>(
        &self,
        what: &str,
        outcome: &Outcome,
        got: &Outcome,
        expected: &Rows<F>,
        rows: &Rows<F>,
    ) {
        for row in 0..self.rows as usize {
            assert_eq!(got[row], outcome[row], "{what} {} row {row} of {self:?}", F::NAME);
        }
        rows.assert_same(expected, || format!("{what} {} of {self:?}", F::NAME));
    }

    pub fn narrow_symbols(&self, symbols: &[i32]) -> Vec<u8> {
        narrow(symbols, self.symbols.bytes())
    }

    pub fn widen_symbols(&self, bytes: &[u8]) -> Vec<i32> {
        widen(bytes, self.symbols)
    }
}

pub fn widen(bytes: &[u8], symbols: SymbolType) -> Vec<i32> {
    let widen = |chunk: &[u8]| match symbols {
        SymbolType::I32 => i32::from_le_bytes(chunk.try_into().unwrap()),
        SymbolType::I16 => i16::from_le_bytes(chunk.try_into().unwrap()).into(),
        SymbolType::U16 => u16::from_le_bytes(chunk.try_into().unwrap()).into(),
        SymbolType::U8 => chunk[0].into(),
    };
    bytes.chunks_exact(symbols.bytes() as usize).map(widen).collect()
}

pub fn narrow(values: &[i32], bytes: u32) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()[..bytes as usize].to_vec()).collect()
}

pub fn download_into<T: Pod>(machine: &dyn Machine, address: u64, into: &mut [T]) {
    let bytes = machine.download(address, size_of_val(into));
    bytemuck::cast_slice_mut(into).copy_from_slice(&bytes);
}

pub fn assert_equal<T: PartialEq + Debug>(got: &[T], expected: &[T], what: impl Fn() -> String) {
    if got != expected {
        let at = got.iter().zip(expected).position(|(a, b)| a != b);
        panic!("{} differ first at {at:?}:\n{got:?}\n{expected:?}", what());
    }
}

//! The same cases for tANS.

use bytemuck::cast_slice;
use parans_kernels::abi::{CodeParams, Kernel, Operation, RowStatus, TANS_BITS_BYTES};
use parans_kernels::codec::packed_states::{pack_tans_entries, pack_tans_states};
use parans_kernels::codec::tans::{BUFFER_FIELDS, TansRow};
use parans_kernels::codec::tans_table::build;
use parans_kernels::codec::{
    BypassCode, RowError, RowFault, RowIndexes, TansDecoderEntry, TansDecoderView,
    TansEncoderEntry, TansEncoderView, TansFamily, WordInt, WordReader, WordWriter, pop_tans_row,
    push_tans_row,
};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::kernels::case::{
    Case, Data, IndexForm, SymbolType, assert_equal, download_into, narrow,
};
use crate::kernels::machine::{BLOCK_THREADS, Machine, outcome};
use crate::kernels::tables::Tables;

#[derive(Clone, Debug)]
struct Rows<T: TansFamily> {
    /// `rows * (lanes + 2)`.
    fields: Vec<u32>,
    words: Vec<T::Word>,
    lengths: Vec<u32>,
    stride: usize,
}

/// Every table's states.
struct States {
    decoder: Vec<TansDecoderEntry>,
    next: Vec<u16>,
    encoder: Vec<TansEncoderEntry>,
}

impl States {
    fn of(tables: &Tables) -> Self {
        let states = tables.tables.len() << tables.precision;
        let mut made = Self {
            decoder: vec![TansDecoderEntry::default(); states],
            next: vec![0; states],
            encoder: vec![TansEncoderEntry::default(); tables.intervals.len()],
        };
        for (number, table) in tables.tables.iter().enumerate() {
            let symbols = table.base as usize..(table.base + table.symbols) as usize;
            let states = number << tables.precision..(number + 1) << tables.precision;
            assert!(build(
                &tables.intervals[symbols.clone()],
                tables.precision,
                &mut made.decoder[states.clone()],
                &mut made.next[states],
                &mut made.encoder[symbols],
                &mut vec![0; table.symbols as usize],
            ));
        }
        made
    }
}

type Outcome = Vec<Result<(), RowFault>>;

/// Pushes twice and pops twice, then damages rows and compares what becomes of them.
pub fn check<T: TansFamily>(case: &Case, machine: &dyn Machine) {
    let case = &Case { rows: 9, ..*case };
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(case.seed);
    let mut data = case.data(rng, T::MAX_PRECISION);
    let states = States::of(&data.tables);
    let run = Run { case, machine, states: &states };
    let stride = case.count as usize * 30 + 64;
    let rows = case.rows as usize;
    let fields = (case.lanes as usize + BUFFER_FIELDS) * rows;
    let mut at = Rows::<T> {
        fields: vec![0; fields],
        words: vec![T::Word::default(); rows * stride],
        lengths: vec![0; rows],
        stride,
    };
    for _ in 0..2 {
        assert!(run.push(&data, &mut at).iter().all(Result::is_ok), "{case:?}");
    }
    let pushed = at.clone();
    for _ in 0..2 {
        let (outcome, popped) = run.pop(&data, &mut at);
        assert!(outcome.iter().all(Result::is_ok), "{case:?}");
        for (i, (&symbol, &index)) in popped.iter().zip(&data.indexes).enumerate() {
            assert_eq!(symbol, if index < 0 { 0 } else { data.symbols[i] }, "{case:?} at {i}");
        }
    }

    let count = case.count as usize;
    let first = |row: usize| row * (case.lanes as usize + BUFFER_FIELDS);
    let mut damaged = pushed.clone();
    damaged.lengths[0] /= 2;
    damaged.lengths[1] = 0;
    for row in [2, 3] {
        for _ in 0..3 {
            let used = damaged.lengths[row] as usize;
            damaged.words[row * stride + rng.random_range(0..used.max(1))] =
                T::Word::from_low(rng.random());
        }
    }
    damaged.fields[first(4)] = 1;
    damaged.fields[first(5) + case.lanes as usize + 1] = T::WORD_BITS;
    damaged.fields[first(6) + case.lanes as usize - 1] = 3 << data.tables.precision;
    let good = data.indexes.clone();
    if case.index == IndexForm::Each {
        data.indexes[7 * count + count / 2] = 7;
        data.index_memory = data.indexes.clone();
    }
    let (outcome, _) = run.pop(&data, &mut damaged.clone());
    assert!(outcome.iter().filter(|o| o.is_err()).count() >= 3, "{case:?}: {outcome:?}");
    let [far, low] = match case.symbols {
        SymbolType::I32 => [1 << 20, i32::MIN],
        _ => [200, 100],
    };
    data.symbols[3 * count + count / 2] = far;
    data.symbols[2 * count] = low;
    for stride in [stride, 5] {
        damaged.stride = stride;
        damaged.lengths.iter_mut().for_each(|l| *l = (*l).min(stride as u32));
        run.push(&data, &mut damaged.clone());
    }
    data.indexes = good;
}

struct Run<'a> {
    case: &'a Case,
    machine: &'a dyn Machine,
    states: &'a States,
}

impl Run<'_> {
    fn push<T: TansFamily>(&self, data: &Data, rows: &mut Rows<T>) -> Outcome {
        let mut expected = rows.clone();
        let tables = self.case.tables_view(&data.tables);
        let view =
            TansEncoderView { tables, entries: &self.states.encoder, next: &self.states.next };
        let count = self.case.count as usize;
        let outcome = self.scalar(&mut expected, |row, fields, words, length| {
            let symbols = &data.symbols[row * count..][..count];
            let indexes = RowIndexes::Each(&data.indexes[row * count..][..count]);
            let mut writer = WordWriter::new(words, length as usize);
            macro_rules! push {
                ($($lanes:literal)*) => {
                    match self.case.lanes {
                        $($lanes => {
                            let mut row = TansRow::<$lanes>::load::<T>(fields, tables.precision)
                                .map_err(|e| e.at(count))?;
                            push_tans_row::<T, $lanes>(&view, &mut row, &mut writer, symbols, indexes)?;
                            row.store(fields);
                        })*
                        _ => unreachable!(),
                    }
                };
            }
            push!(1 2 4 8 16 32);
            Ok(writer.len() as u32)
        });
        let (got, _) = self.device(Operation::PushTans, data, rows);
        self.same("push", &outcome, &got, &expected, rows);
        outcome
    }

    fn pop<T: TansFamily>(&self, data: &Data, rows: &mut Rows<T>) -> (Outcome, Vec<i32>) {
        let mut expected = rows.clone();
        let tables = self.case.tables_view(&data.tables);
        let view = TansDecoderView { tables, entries: &self.states.decoder };
        let count = self.case.count as usize;
        let mut popped = vec![0; data.symbols.len()];
        let outcome = self.scalar(&mut expected, |row, fields, words, length| {
            let out = &mut popped[row * count..][..count];
            let indexes = RowIndexes::Each(&data.indexes[row * count..][..count]);
            let mut reader = WordReader::new(&words[..length as usize]);
            macro_rules! pop {
                ($($lanes:literal)*) => {
                    match self.case.lanes {
                        $($lanes => {
                            let mut row = TansRow::<$lanes>::load::<T>(fields, tables.precision)
                                .map_err(|e| e.at(0))?;
                            pop_tans_row::<T, $lanes>(&view, &mut row, &mut reader, out, indexes)?;
                            row.store(fields);
                        })*
                        _ => unreachable!(),
                    }
                };
            }
            pop!(1 2 4 8 16 32);
            let held = self.case.widen_symbols(&self.case.narrow_symbols(out));
            match held.iter().zip(&*out).position(|(held, symbol)| held != symbol) {
                Some(position) => Err(RowError::SymbolWidth.at(position)),
                None => Ok(reader.len() as u32),
            }
        });
        let (got, symbols) = self.device(Operation::PopTans, data, rows);
        self.same("pop", &outcome, &got, &expected, rows);
        if outcome.iter().all(Result::is_ok) {
            assert_eq!(symbols, popped, "{:?}", self.case);
        }
        (outcome, symbols)
    }

    fn scalar<T: TansFamily>(
        &self,
        rows: &mut Rows<T>,
        mut code: impl FnMut(usize, &mut [u32], &mut [T::Word], u32) -> Result<u32, RowFault>,
    ) -> Outcome {
        let width = self.case.lanes as usize + BUFFER_FIELDS;
        (0..self.case.rows as usize)
            .map(|row| {
                let mut fields = rows.fields[row * width..][..width].to_vec();
                let words = &mut rows.words[row * rows.stride..][..rows.stride];
                rows.lengths[row] = code(row, &mut fields, words, rows.lengths[row])?;
                rows.fields[row * width..][..width].copy_from_slice(&fields);
                Ok(())
            })
            .collect()
    }

    fn device<T: TansFamily>(
        &self,
        operation: Operation,
        data: &Data,
        rows: &mut Rows<T>,
    ) -> (Outcome, Vec<i32>) {
        let (case, push) = (self.case, operation == Operation::PushTans);
        let upload = |bytes: &[u8]| self.machine.upload(bytes);
        let symbol_bytes = case.narrow_symbols(&data.symbols);
        let symbols =
            if push { upload(&symbol_bytes) } else { self.machine.alloc(symbol_bytes.len()) };
        let (tables, bypass) = (&data.tables.tables, BypassCode::new(case.bypass));
        let mut packed = Vec::new();
        let store = |word| packed.push(word);
        if push {
            let (entries, next) = (&self.states.encoder, &self.states.next);
            pack_tans_entries(tables, entries, next, bypass, store);
        } else if case.lookup.is_packed() {
            let (entries, precision) = (&self.states.decoder, data.tables.precision);
            pack_tans_states(tables, entries, precision, bypass, store).expect("tables that fit");
        }
        let mut shape = case.shape(data, rows.stride);
        shape.staged = if case.staged { packed.len() as u32 * 4 } else { 0 };
        let params = CodeParams {
            states: upload(cast_slice(&rows.fields)),
            words: upload(cast_slice(&rows.words)),
            lengths: upload(cast_slice(&rows.lengths)),
            status: self.machine.alloc(rows.lengths.len() * size_of::<RowStatus>()),
            symbols,
            indexes: match case.index {
                IndexForm::One => 0,
                _ => upload(&narrow(&data.index_memory, case.index_bytes)),
            },
            tables: upload(cast_slice(&data.tables.tables)),
            entries: if push {
                upload(cast_slice(&self.states.encoder))
            } else {
                upload(cast_slice(&self.states.decoder))
            },
            lookup: if packed.is_empty() { 0 } else { upload(cast_slice(&packed)) },
            shape,
        };
        // As many blocks as the machines launch.
        let bits = if push { TANS_BITS_BYTES * BLOCK_THREADS } else { 0 };
        let kernel = Kernel::find(T::NAME, operation, case.lanes).expect("a kernel for each case");
        self.machine.launch(
            kernel.name,
            Kernel::threads(case.rows, case.lanes),
            shape.staged + bits,
            bytemuck::bytes_of(&params),
        );
        download_into(self.machine, params.states, &mut rows.fields);
        download_into(self.machine, params.words, &mut rows.words);
        download_into(self.machine, params.lengths, &mut rows.lengths);
        let mut status = vec![RowStatus::default(); rows.lengths.len()];
        download_into(self.machine, params.status, &mut status);
        let symbols =
            case.widen_symbols(&self.machine.download(params.symbols, symbol_bytes.len()));
        self.machine.reset();
        (status.into_iter().map(outcome).collect(), symbols)
    }

    fn same<T: TansFamily>(
        &self,
        what: &str,
        outcome: &Outcome,
        got: &Outcome,
        expected: &Rows<T>,
        rows: &Rows<T>,
    ) {
        let at = |row: usize| format!("{what} {} row {row} of {:?}", T::NAME, self.case);
        let width = self.case.lanes as usize + BUFFER_FIELDS;
        for row in 0..self.case.rows as usize {
            assert_eq!(got[row], outcome[row], "{}", at(row));
            let fields = |rows: &Rows<T>| rows.fields[row * width..][..width].to_vec();
            assert_equal(&fields(rows), &fields(expected), || at(row) + ": fields");
            assert_eq!(rows.lengths[row], expected.lengths[row], "{}: length", at(row));
            let used = rows.lengths[row] as usize;
            let words = |rows: &Rows<T>| rows.words[row * rows.stride..][..used].to_vec();
            assert_equal(&words(rows), &words(expected), || at(row) + ": words");
        }
    }
}

//! Every way in which a call can fail gives an error of its own kind, and loses nothing.

use ndarray::{Array2, array};
use parans::{
    Bypass, Checkpoints, Coder, Error, Family, Indexes, LengthBytes, Lookup, Merged, Precision,
    RowCause, Streams, Symbols, Tables,
    model::{ModelCoder, Uniforms},
};

fn precision(bits: u32) -> Precision {
    Precision::new(bits).unwrap()
}

fn tables(bits: u32) -> Tables {
    let pmf = array![[0.5f32, 0.25, 0.125, 0.125], [0.1, 0.2, 0.3, 0.4]];
    Tables::builder(bits).sentinel_is_last().pmf(&pmf).unwrap()
}

fn coder(bypass: Bypass) -> Coder {
    Coder::builder(Family::Rans64).lanes(2).bypass(bypass).build(tables(12)).unwrap()
}

#[track_caller]
fn cause(result: Result<(), Error>) -> (usize, usize, RowCause) {
    match result {
        Err(Error::Row { row, position, cause }) => (row, position, cause),
        other => panic!("{other:?} is no row's error"),
    }
}

/// Pushes onto streams that hold something, and checks that a failure leaves them as they were.
#[track_caller]
fn push(coder: &Coder, symbols: &Array2<i32>, indexes: &Array2<i32>) -> Result<(), Error> {
    let mut streams = coder.streams(symbols.nrows()).unwrap();
    let before = Array2::from_elem((symbols.nrows(), 9), 1);
    coder.push(&mut streams, &before, &before.mapv(|_| 0)).unwrap();
    let kept = streams.clone();
    let result = coder.push(&mut streams, symbols, indexes);
    if result.is_err() {
        assert!(streams == kept, "a failed push changed its streams");
    }
    result
}

#[test]
fn tables_name_the_row_and_the_value() {
    let quantise = |pmf: Array2<f64>, bits| Tables::from_pmf(pmf.view(), precision(bits));
    for (bad, word) in
        [(f64::NAN, "NaN"), (-0.25, "-0.25"), (f64::INFINITY, "inf"), (f64::NEG_INFINITY, "-inf")]
    {
        let error = quantise(array![[0.5, 0.5], [0.5, bad]], 8).unwrap_err();
        assert!(matches!(error, Error::InvalidTable { row: 1, .. }), "{error}");
        assert!(error.to_string().contains(word), "{error}");
        assert!(error.to_string().contains("symbol 1"), "{error}");
    }
    let error = quantise(array![[0.5, 0.5], [0.0, 0.0]], 8).unwrap_err();
    assert!(matches!(error, Error::InvalidTable { row: 1, .. }), "{error}");
    let error = quantise(Array2::from_elem((1, 257), 0.1), 8).unwrap_err();
    assert!(error.to_string().contains("257"), "{error}");
    let counts = array![[1u64, 2], [0, 0]];
    let error = Tables::from_counts(counts.view(), precision(8)).unwrap_err();
    assert!(matches!(error, Error::InvalidTable { row: 1, .. }), "{error}");
    for (cdf, word) in [
        (array![[0, 3, 3, 16]], "increase"),
        (array![[0, 5, 4, 16]], "increase"),
        (array![[1, 3, 4, 16]], "begins"),
        (array![[0, 3, 4, 15]], "ends"),
        (array![[0, 3, 4, 17]], "ends"),
    ] {
        let error = Tables::from_cdf(cdf.view(), precision(4)).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
    assert!(matches!(quantise(Array2::zeros((0, 4)), 8), Err(Error::InvalidArgument(_))));
    assert!(matches!(quantise(Array2::zeros((1, 0)), 8), Err(Error::InvalidTable { .. })));
    assert!(matches!(Precision::new(0), Err(Error::InvalidArgument(_))));
    assert!(matches!(Precision::new(32), Err(Error::InvalidArgument(_))));
    assert!(matches!(tables(8).with_offsets(&[1]), Err(Error::Shape { .. })));
}

#[test]
fn builders_refuse_what_no_coder_can_do() {
    let build = |bits, f: &dyn Fn(parans::CoderBuilder) -> parans::CoderBuilder| {
        f(Coder::builder(Family::Rans32x16)).build(tables(bits)).map(|_| ())
    };
    let error = build(16, &|b| b).unwrap_err();
    assert!(matches!(&error, Error::InvalidArgument(why) if why.contains("15")), "{error}");
    assert!(matches!(build(12, &|b| b.lanes(3)), Err(Error::Unsupported(_))));
    for bits in [0, 9] {
        let result = build(12, &|b| b.bypass(Bypass::digits(bits)));
        assert!(matches!(result, Err(Error::InvalidArgument(_))));
    }
    assert!(matches!(build(12, &|b| b.parallel_rows(0)), Err(Error::InvalidArgument(_))));
    let three = Tables::from_pmf(array![[0.5f32, 0.3, 0.2]].view(), precision(12)).unwrap();
    let alias = Coder::builder(Family::Rans32).lookup(Lookup::Alias).build(three);
    assert!(matches!(alias, Err(Error::InvalidTable { row: 0, .. })), "{alias:?}");
}

#[test]
fn shapes_that_disagree_are_told() {
    let coder = coder(Bypass::Off);
    let mut streams = coder.streams(2).unwrap();
    let symbols = array![[1, 2, 3], [0, 1, 2]];
    let shape = |result: Result<(), Error>| match result {
        Err(Error::Shape { expected, got, .. }) => format!("{expected} {got}"),
        other => panic!("{other:?} is no wrong shape"),
    };
    let message = shape(coder.push(&mut streams, &symbols, &array![[0, 0], [0, 0]]));
    assert!(message.contains("(2, 3)") && message.contains("(2, 2)"), "{message}");
    shape(coder.push(&mut coder.streams(3).unwrap(), &symbols, &symbols));
    shape(coder.pop_into(&mut streams, &symbols, &mut [0i32; 5]));
    shape(Symbols::from_slice(&[1i32, 2, 3], 2).map(|_| ()));
    shape(Indexes::each(&[1, 2, 3], 2).map(|_| ()));
    let mut other = Streams::new(Family::Rans64, 2, 4).unwrap();
    let result = coder.push(&mut other, &symbols, &array![[0, 0, 0], [0, 0, 0]]);
    assert!(matches!(result, Err(Error::InvalidArgument(_))));
}

#[test]
fn symbols_and_indexes_out_of_range_are_told_with_their_values() {
    let plain = coder(Bypass::Off);
    let indexes = array![[0, 0, 0], [1, 1, 1]];
    let result = push(&plain, &array![[0, 1, 2], [3, 4, 0]], &indexes);
    let wanted = RowCause::SymbolOutOfRange { symbol: 4, table: 1 };
    assert_eq!(cause(result), (1, 1, wanted));
    let result = push(&plain, &array![[0, -1, 2], [3, 3, 0]], &indexes);
    let wanted = RowCause::SymbolOutOfRange { symbol: -1, table: 0 };
    assert_eq!(cause(result), (0, 1, wanted));
    let result = push(&plain, &array![[0, 1, 2], [3, 3, 0]], &array![[0, 0, 0], [1, 1, 2]]);
    assert_eq!(cause(result), (1, 2, RowCause::IndexOutOfRange { index: 2, tables: 2 }));
    // A negative index skips; with torch_ans' rule so does one past the end.
    push(&plain, &array![[0, 9, 2]], &array![[0, -1, 0]]).unwrap();
    let lenient =
        Coder::builder(Family::Rans64).lanes(2).skip_indexes_past_end(true).build(tables(12));
    push(&lenient.unwrap(), &array![[0, 9, 2]], &array![[0, 2, 0]]).unwrap();
}

#[test]
fn bypass_reaches_just_below_two_to_the_thirty() {
    let bypass = coder(Bypass::digits(4));
    let reach = 1 << 30;
    // The sentinel is symbol 3: distances are counted from there, and from 0 downwards.
    for symbol in [3 + reach - 1, 1 - reach] {
        push(&bypass, &array![[symbol]], &array![[0]]).unwrap();
    }
    for symbol in [3 + reach, -reach, i32::MAX, i32::MIN] {
        let result = push(&bypass, &array![[0, symbol]], &array![[0, 1]]);
        assert_eq!(cause(result), (0, 1, RowCause::BypassDistance { symbol, table: 1 }));
    }
}

#[test]
fn damaged_rows_are_told_and_left() {
    let coder = coder(Bypass::Off);
    let symbols = Array2::from_shape_fn((2, 200), |(r, c)| ((r + c * c) % 4) as i32);
    let indexes = symbols.mapv(|s| s % 2);
    let mut streams = coder.streams(2).unwrap();
    coder.push(&mut streams, &symbols, &indexes).unwrap();
    let good = streams.to_byte_strings();
    let pop = |strings: &[Vec<u8>]| {
        let mut streams = Streams::from_byte_strings(Family::Rans64, 2, strings)?;
        let before = streams.clone();
        let result = coder.pop::<i32>(&mut streams, &indexes);
        assert!(result.is_ok() || streams == before, "a failed pop changed its streams");
        result.map(|_| streams)
    };
    let mut cut = good.clone();
    cut[1].truncate(16 + 40);
    assert_eq!(cause(pop(&cut).map(|_| ())).2, RowCause::Truncated);
    let mut zeroed = good.clone();
    zeroed[0][..8].fill(0);
    assert_eq!(cause(pop(&zeroed).map(|_| ())).2, RowCause::StateOutOfRange);
    let mut flipped = good.clone();
    flipped[1][60] ^= 4;
    let streams = pop(&flipped).unwrap();
    assert_eq!(cause(streams.expect_initial()).2, RowCause::FinalState);
    // Too few bytes for the states, and an end inside a word.
    for len in [0, 15, 17, 18, 19] {
        let result = Streams::from_byte_strings(Family::Rans64, 2, &[&good[0][..len]]);
        assert!(matches!(result, Err(Error::Truncated(_))), "{len}: {result:?}");
    }
    // A symbol that does not fit the type asked for.
    let wide = Tables::builder(precision(12)).offsets(&[255]).counts(array![[1u64, 1]].view());
    let coder = Coder::builder(Family::Rans64).build(wide.unwrap()).unwrap();
    let mut streams = coder.streams(1).unwrap();
    coder.push(&mut streams, &array![[255, 256]], &array![[0, 0]]).unwrap();
    let result = coder.pop::<u8>(&mut streams, &array![[0, 0]]);
    assert_eq!(cause(result.map(|_| ())), (0, 1, RowCause::SymbolWidth));
    assert_eq!(coder.pop::<i32>(&mut streams, &array![[0, 0]]).unwrap(), array![[255, 256]]);
}

#[test]
fn lengths_of_merged_bytes_are_checked() {
    let coder = coder(Bypass::Off);
    let symbols = Array2::from_shape_fn((3, 3000), |(r, c)| ((r + c) % 4) as i32);
    let indexes = symbols.mapv(|_| 0);
    let mut streams = coder.streams(3).unwrap();
    coder.push(&mut streams, &symbols, &indexes).unwrap();
    for length_bytes in [LengthBytes::Two, LengthBytes::Four, LengthBytes::Eight] {
        for rows in [None, Some(3)] {
            let merged = Merged { length_bytes, rows };
            let bytes = streams.to_merged(merged).unwrap();
            let back = Streams::from_merged(Family::Rans64, 2, &bytes, merged).unwrap();
            assert_eq!(back, streams);
            let mut past = bytes.clone();
            past[length_bytes.get() - 1] = 0x7f;
            let result = Streams::from_merged(Family::Rans64, 2, &past, merged);
            assert!(matches!(result, Err(Error::Truncated(_))), "{result:?}");
            let mut more = bytes.clone();
            more.push(0);
            assert!(Streams::from_merged(Family::Rans64, 2, &more, merged).is_err());
        }
    }
    let one = Merged { length_bytes: LengthBytes::One, rows: None };
    assert!(matches!(streams.to_merged(one), Err(Error::InvalidArgument(_))));
    let wrong = Merged { length_bytes: LengthBytes::Four, rows: Some(2) };
    assert!(matches!(streams.to_merged(wrong), Err(Error::InvalidArgument(_))));
    for (length, kind) in [(-1, "corrupt"), (100_000, "truncated")] {
        let mut tensor = streams.to_tensor().unwrap();
        tensor[(1, 0)] = length;
        let error = Streams::from_tensor(Family::Rans64, 2, tensor.view()).unwrap_err();
        assert!(error.to_string().contains(kind), "{error}");
    }
}

/// Every truncation and every single-byte change of merged bytes: an error, or symbols in bounded
/// time, and never a panic.
#[test]
fn damaged_merged_bytes_never_panic() {
    let pmf = array![[0.6f32, 0.2, 0.1, 0.1]];
    let symbols = array![[0i32, 3, 1, 90, 2, 0, 0, -7], [1, 1, 0, 2, 0, 0, 3, 1]];
    let indexes = symbols.mapv(|_| 0);
    let (mut noticed, mut all) = (0, 0);
    for &family in Family::ALL {
        for lanes in [1, 2, 32] {
            let bits = family.max_precision().min(10);
            let tables = Tables::builder(precision(bits)).sentinel(true).pmf(pmf.view()).unwrap();
            let coder = Coder::builder(family)
                .lanes(lanes)
                .bypass(Bypass::digits(3))
                .build(tables)
                .unwrap();
            let bytes = coder.encode(&symbols, &indexes).unwrap();
            for len in 0..bytes.len() {
                let result = coder.decode::<i32>(&bytes[..len], &indexes);
                assert!(result.is_err(), "{family} x{lanes} cut to {len} bytes");
            }
            let mut damaged = bytes.clone();
            for at in 0..bytes.len() {
                for change in 1..=255 {
                    damaged[at] = bytes[at] ^ change;
                    all += 1;
                    noticed += usize::from(coder.decode::<i32>(&damaged, &indexes).is_err());
                }
                damaged[at] = bytes[at];
            }
        }
    }
    // The final states show nearly every change; the format cannot promise all.
    assert!(noticed * 100 > all * 95, "{noticed} of {all} changes noticed");
}

#[test]
fn queues_decode_in_the_order_of_encoding() {
    let coder = coder(Bypass::Off);
    let entries: Vec<Array2<i32>> = (1..4)
        .map(|n| Array2::from_shape_fn((2, 5 * n), |(r, c)| ((r + n * c) % 4) as i32))
        .collect();
    let indexes: Vec<Array2<i32>> = entries.iter().map(|entry| entry.mapv(|s| s / 2)).collect();
    let mut queue = coder.queue();
    for (entry, indexes) in entries.iter().zip(&indexes) {
        queue.encode(entry, indexes).unwrap();
    }
    let wrong = Array2::<i32>::zeros((3, 5));
    assert!(matches!(queue.encode(&wrong, &wrong).map(|_| ()), Err(Error::Shape { .. })));
    let bytes = queue.flush().unwrap();
    let mut decoder = coder.dequeue(&bytes, 2).unwrap();
    for (entry, indexes) in entries.iter().zip(&indexes) {
        assert_eq!(&decoder.decode::<i32>(indexes).unwrap(), entry);
    }
    decoder.finish().unwrap();
    let mut early = coder.dequeue(&bytes, 2).unwrap();
    early.decode::<i32>(&indexes[0]).unwrap();
    assert_eq!(cause(early.finish()).2, RowCause::FinalState);
}

/// Shapes that no machine has memory for are refused; nothing overflows and nothing aborts.
#[test]
fn shapes_past_all_memory() {
    #[track_caller]
    fn refused<T>(result: Result<T, Error>) {
        let error = result.err().expect("a refusal");
        assert!(matches!(error, Error::InvalidArgument(_) | Error::Shape { .. }), "{error}");
    }
    const FAR: [usize; 6] =
        [1 << 48, 1 << 58, 1 << 61, usize::MAX / 2, usize::MAX / 2 + 1, usize::MAX];
    let coder = coder(Bypass::Off);
    let reshaping = Coder::builder(Family::Rans64).lanes(2);
    let models = ModelCoder::new(Family::Rans64, 2).unwrap();
    let symbols = array![[1i32, 2, 3, 0], [0, 0, 1, 2]];
    let one = |rows, columns| Indexes::one(0, rows, columns);
    let bytes = coder.encode(&symbols, one(2, 4)).unwrap();
    let mut streams = coder.streams(2).unwrap();
    let checkpoints = coder.push_checkpointed(&mut streams, &symbols, one(2, 4), 2).unwrap();
    let before = streams.clone();
    for far in FAR {
        for &family in Family::ALL {
            for &lanes in Family::LANES {
                refused(Streams::new(family, far, lanes));
                let merged = Merged { length_bytes: LengthBytes::One, rows: Some(far) };
                assert!(Streams::from_merged(family, lanes, &[0; 9], merged).is_err());
            }
        }
        refused(coder.streams(far));
        refused(models.streams(far));
        refused(streams.reserve(far));
        for (rows, columns) in [(2, far), (far, 2), (far, far), (far, 0), (0, far)] {
            let none = Symbols::<i32>::from_slice(&[], rows);
            let indexes = || one(rows, columns);
            if rows > 0 {
                refused(coder.pop::<i32>(&mut streams, indexes()));
                assert!(coder.decode::<i32>(&bytes, indexes()).is_err());
                refused(coder.pop_into(&mut streams, indexes(), &mut [0i32; 8]));
                refused(coder.pop_checkpointed::<i32>(&mut streams, indexes(), &checkpoints));
                refused(coder.peek_columns::<i32>(&streams, indexes(), &checkpoints, 0, 0..far));
                refused(coder.push(&mut streams, &symbols, indexes()));
                refused(coder.push_checkpointed(&mut streams, &symbols, indexes(), 2));
                refused(coder.encode(&symbols, indexes()));
            }
            if let (true, Ok(none)) = (rows == far && columns == 0, none) {
                refused(coder.encode(none, indexes()));
            }
            let uniform = Uniforms::new(0, 4, rows, columns).unwrap();
            if rows > 0 {
                refused(models.pop::<i32>(&mut streams, &uniform));
                assert!(models.decode::<i32>(&uniform, &bytes).is_err());
                refused(models.encode(&uniform, &symbols));
            }
        }
        let reshaping = reshaping.clone().parallel_rows(far).build(tables(12)).unwrap();
        refused(reshaping.encode(&symbols, one(2, 4)));
        assert!(reshaping.decode::<i32>(&bytes, one(2, 4)).is_err());
        let reshaping = self::reshaping(3);
        assert!(reshaping.decode::<i32>(&bytes, one(2, far)).is_err());
    }
    assert!(streams == before);
    // A table of checkpoints that announces columns without end, none of which has a checkpoint.
    let mut table = checkpoints.to_bytes().unwrap()[..32].to_vec();
    table[8..16].copy_from_slice(&(1u64 << 62).to_le_bytes());
    table[16..24].copy_from_slice(&(1u64 << 62).to_le_bytes());
    let endless = Checkpoints::from_bytes(&table).unwrap();
    let indexes = || one(2, 1 << 62);
    refused(coder.pop_checkpointed::<i32>(&mut streams, indexes(), &endless));
    refused(coder.peek_columns::<i32>(&streams, indexes(), &endless, 1, 0..1 << 62));
    // One long row makes a tensor of all rows as long.
    let tensor = Streams::new(Family::Rans64, 3, 1).unwrap().to_tensor().unwrap();
    assert_eq!(tensor.dim(), (3, 3));
}

fn reshaping(rows: usize) -> Coder {
    Coder::builder(Family::Rans64).lanes(2).parallel_rows(rows).build(tables(12)).unwrap()
}

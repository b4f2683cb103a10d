//! The API as one writes it first: arrays by reference, plain integers, any integer type, types and
//! shapes from arrays; and an error wherever something would be lost.

use std::io::Cursor;

use half::{bf16, f16};
use ndarray::{Array1, Array2, Array3, ArrayD, Axis, array};
use parans::frame::{Entry, FrameArchive, FrameWriter, Layout, ReadOptions, WriteOptions};
use parans::learned::{EntropyBottleneck, GaussianConditional};
use parans::model::{ModelCoder, Pmfs, Uniforms};
use parans::{
    Bypass, Coder, Dtype, Error, Family, Indexes, NativeSymbol, Precision, Result, RowCause,
    Symbol, Tables, float,
};

fn pmf() -> Array2<f32> {
    array![[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]]
}

fn coder() -> Coder {
    let tables = Tables::from_pmf(&pmf(), 16).unwrap();
    Coder::builder(Family::Rans64).lanes(2).build(tables).unwrap()
}

/// What every symbol type must give: the bytes of `i32`.
fn symbols() -> Array2<i32> {
    array![[3, 2, 0, 0, 1], [1, 0, 3, 0, 2]]
}

#[test]
fn tables_from_an_array_and_an_integer() {
    let array = pmf();
    let tables = Tables::from_pmf(&array, 16).unwrap();
    let same = [
        Tables::from_pmf(array.view(), Precision::new(16).unwrap()),
        Tables::from_pmf(&array, 16u32),
        Tables::from_pmf(&array, 16usize),
        Tables::builder(16).pmf(&array),
    ];
    assert!(same.into_iter().all(|same| same.unwrap() == tables));
    Tables::from_pmf(&array.mapv(f64::from), 16).unwrap();
    Tables::from_pmf(&array.mapv(f16::from_f32), 16).unwrap();
    let cdf = Array2::from_shape_fn((2, 5), |(table, at)| tables.cdf(table)[at] as i32);
    assert_eq!(Tables::from_cdf(&cdf, 16).unwrap(), tables);
}

#[test]
fn a_precision_out_of_range_is_an_error() {
    let array = pmf();
    let message = |result: Result<Tables>| match result {
        Err(Error::InvalidArgument(message)) => message,
        other => panic!("{other:?}"),
    };
    for bits in [0, 32, -1, i32::MAX] {
        let expected = format!("precision {bits};");
        assert!(message(Tables::from_pmf(&array, bits)).starts_with(&expected));
        assert!(message(Tables::builder(bits).counts(&array![[1, 2]])).starts_with(&expected));
    }
    assert!(Precision::try_from(u32::MAX).is_err());
    assert!(GaussianConditional::new(&[1.0], 0).is_err());
    assert!(Pmfs::from_pmf(&array.insert_axis(Axis(0)), 40, false).is_err());
    let coder = ModelCoder::new(Family::Rans64, 1).unwrap();
    assert!(coder.with_precision(0).is_err() && coder.with_precision(20).is_ok());
}

#[test]
fn counts_of_any_integer_type() {
    let counts = array![[5u64, 0, 200], [1, 1, 1]];
    let tables = Tables::from_counts(&counts, 12).unwrap();
    macro_rules! same {
        ($($type:ty),*) => {$(
            let other = counts.mapv(|count| count as $type);
            assert!(Tables::from_counts(&other, 12).unwrap() == tables, stringify!($type));
        )*};
    }
    same!(u8, u16, u32, u64, usize, i16, i32, i64, isize);
    assert_eq!(Tables::from_counts(counts.t(), 12).unwrap().len(), 3);
    // A literal without a type.
    Tables::from_counts(&array![[5, 3, 1]], 8).unwrap();
    let error = Tables::from_counts(&array![[1, 2], [3, -4]], 8).unwrap_err();
    assert!(matches!(&error, Error::InvalidTable { row: 1, reason } if reason.contains("-4")));

    let each = Array3::from_shape_fn((1, 2, 3), |(_, at, symbol)| counts[[at, symbol]] as i32);
    let wide = Pmfs::from_counts(&each.mapv(|count| count as u64), 12, false).unwrap();
    assert_eq!(Pmfs::from_counts(&each, 12, false).unwrap().cdfs(), wide.cdfs());
    assert!(Pmfs::from_counts(&each.mapv(|count| -count), 12, false).is_err());
}

#[test]
fn one_table_for_all_symbols() {
    let (coder, symbols) = (coder(), symbols());
    let bytes = coder.encode(&symbols, 0).unwrap();
    assert_eq!(bytes, coder.encode(&symbols, &Array2::<i32>::zeros((2, 5))).unwrap());
    assert_eq!(bytes, coder.encode(&symbols, 0u32).unwrap());
    assert_eq!(bytes, coder.encode(&symbols, 0usize).unwrap());
    assert_ne!(bytes, coder.encode(&symbols, 1).unwrap());
    assert_eq!(coder.decode::<i32>(&bytes, Indexes::one(0, 2, 5)).unwrap(), symbols);

    let mut streams = coder.streams(2).unwrap();
    coder.push(&mut streams, &symbols, 1).unwrap();
    assert_eq!(coder.pop::<i32>(&mut streams, Indexes::one(1, 2, 5)).unwrap(), symbols);

    let mut queue = coder.queue();
    queue.encode(&symbols, 0).unwrap().encode(&symbols, 1).unwrap();
    let bytes = queue.flush().unwrap();
    let mut dequeue = coder.dequeue(&bytes, 2).unwrap();
    for index in [0, 1] {
        assert_eq!(dequeue.decode::<i32>(Indexes::one(index, 2, 5)).unwrap(), symbols);
    }

    // No table of this number; and no number of symbols to decode.
    let error = coder.encode(&symbols, 2).unwrap_err();
    let Error::Row { cause, .. } = error else { panic!("{error}") };
    assert_eq!(cause, RowCause::IndexOutOfRange { index: 2, tables: 2 });
    assert!(matches!(coder.encode(&symbols, u32::MAX), Err(Error::Row { .. })));
    assert!(matches!(coder.decode::<i32>(&bytes, 0), Err(Error::Shape { .. })));
    assert!(coder.pop::<i32>(&mut streams, 0).is_err());
}

#[test]
fn indexes_of_any_integer_type() {
    let (coder, symbols) = (coder(), symbols());
    let indexes = array![[0i32, 0, 1, 1, 0], [0, 1, 0, 1, 1]];
    let bytes = coder.encode(&symbols, &indexes).unwrap();
    macro_rules! same {
        ($($type:ty),*) => {$(
            let other = indexes.mapv(|index| index as $type);
            assert!(coder.encode(&symbols, &other).unwrap() == bytes, stringify!($type));
            assert!(coder.encode(&symbols, other.view()).unwrap() == bytes);
            assert_eq!(coder.decode::<i32>(&bytes, &other).unwrap(), symbols);
        )*};
    }
    same!(u8, u16, u32, usize, i64);

    let large = u64::from(u32::MAX);
    for wrong in [
        coder.encode(&symbols, &indexes.mapv(|i| if i == 1 { u32::MAX } else { 0 })).map(drop),
        coder.encode(&symbols, &indexes.mapv(|i| i64::from(i) * large as i64)).map(drop),
        coder.decode::<i32>(&bytes, &indexes.mapv(|i| i as usize * large as usize)).map(drop),
    ] {
        let Err(Error::Row { row: 0, position: 2, cause }) = wrong else { panic!("{wrong:?}") };
        assert_eq!(cause, RowCause::IndexTooLarge { index: large });
    }
    // A negative index skips its symbol, however large it is.
    let skipping = array![[0, -1, 0, 0, 0], [0, 0, 0, 0, 0]];
    let wide = skipping.mapv(|index: i64| index << 40);
    assert_eq!(
        coder.encode(&symbols, &wide).unwrap(),
        coder.encode(&symbols, &skipping.mapv(|index| index as i32)).unwrap()
    );
}

/// Both ways of every function that takes symbols.
fn round_trips<S: Symbol>(of: impl Fn(i32) -> S) {
    let (coder, symbols) = (coder(), symbols());
    let typed = symbols.mapv(&of);
    let one = Indexes::one(1, 2, 5);
    let bytes = coder.encode(&symbols, 1).unwrap();
    assert_eq!(coder.encode(&typed, 1).unwrap(), bytes);
    assert_eq!(coder.encode(typed.view(), 1).unwrap(), bytes);
    assert_eq!(coder.decode::<S>(&bytes, one.clone()).unwrap(), typed);

    let mut streams = coder.streams(2).unwrap();
    coder.push(&mut streams, &typed, 1).unwrap();
    let mut same = coder.streams(2).unwrap();
    let checkpoints = coder.push_checkpointed(&mut same, &typed, 1, 2).unwrap();
    assert_eq!(streams, same);
    assert_eq!(
        coder.peek_columns::<S>(&same, one.clone(), &checkpoints, 1, 1..4).unwrap(),
        [of(0), of(3), of(0)]
    );
    let popped = coder.pop_checkpointed::<S>(&mut same, one.clone(), &checkpoints).unwrap();
    assert_eq!(popped, typed);
    let mut into = vec![of(0); 10];
    coder.pop_into(&mut streams, one.clone(), &mut into).unwrap();
    assert_eq!(into, typed.as_slice().unwrap());
    streams.expect_initial().unwrap();
    same.expect_initial().unwrap();

    let mut queue = coder.queue();
    queue.encode(&typed, 1).unwrap();
    assert_eq!(queue.flush().unwrap(), bytes);

    let models = Uniforms::new(0, 9, 2, 5).unwrap();
    let coder = ModelCoder::new(Family::Rans64, 1).unwrap();
    let bytes = coder.encode(&models, &symbols).unwrap();
    assert_eq!(coder.encode(&models, &typed).unwrap(), bytes);
    assert_eq!(coder.decode::<S>(&models, &bytes).unwrap(), typed);
}

#[test]
fn symbols_of_any_integer_type() {
    round_trips(|symbol| symbol);
    round_trips(|symbol| symbol as u8);
    round_trips(|symbol| symbol as u16);
    round_trips(|symbol| symbol as i16);
    round_trips(|symbol| symbol as i8);
    round_trips(|symbol| symbol as u32);
    round_trips(i64::from);
    fn native<S: NativeSymbol>() {}
    native::<i32>();
    native::<u8>();
    native::<u16>();
    native::<i16>();
}

#[test]
fn symbols_that_do_not_fit_are_errors() {
    let coder = coder();
    for (error, symbol) in [
        (coder.encode(&array![[0, 0], [1 << 40, 0i64]], 0).unwrap_err(), 1 << 40),
        (coder.encode(&array![[0, 0], [i64::MIN, 0]], 0).unwrap_err(), i64::MIN),
        (coder.encode(&array![[0, 0], [u32::MAX, 0]], 0).unwrap_err(), u32::MAX.into()),
    ] {
        let Error::Row { row: 1, position: 0, cause } = error else { panic!("{error}") };
        assert_eq!(cause, RowCause::SymbolTooLarge { symbol });
    }
    let mut queue = coder.queue();
    assert!(queue.encode(&array![[1i64 << 40]], 0).is_err());
    let models = Uniforms::new(0, 9, 1, 1).unwrap();
    let model_coder = ModelCoder::new(Family::Rans64, 1).unwrap();
    assert!(model_coder.encode(&models, &array![[1i64 << 40]]).is_err());

    // Decoded: the streams stay as they were.
    let tables = Tables::builder(10).offsets(&[-1, 127]).pmf(&pmf()).unwrap();
    let coder = Coder::builder(Family::Rans32).build(tables).unwrap();
    let indexes = array![[1, 1, 0]];
    let mut streams = coder.streams(1).unwrap();
    let checkpoints =
        coder.push_checkpointed(&mut streams, &array![[127, 128, -1]], &indexes, 1).unwrap();
    let before = streams.clone();
    for (wrong, at) in [
        (coder.pop::<i8>(&mut streams, &indexes).map(drop), 1),
        (coder.pop::<u32>(&mut streams, &indexes).map(drop), 2),
        (coder.pop_checkpointed::<u32>(&mut streams, &indexes, &checkpoints).map(drop), 2),
        (coder.peek_columns::<i8>(&streams, &indexes, &checkpoints, 0, 1..3).map(drop), 1),
        (coder.peek_columns::<u32>(&streams, &indexes, &checkpoints, 0, 1..3).map(drop), 2),
    ] {
        let Err(Error::Row { row: 0, position, cause }) = wrong else { panic!("{wrong:?}") };
        assert_eq!((position, cause), (at, RowCause::SymbolWidth));
        assert_eq!(streams, before);
    }
    assert_eq!(coder.pop::<i64>(&mut streams, &indexes).unwrap(), array![[127, 128, -1]]);
}

#[test]
fn into_buffers_of_the_caller() {
    let symbols = symbols();
    for known_rows in [false, true] {
        for parallel in [None, Some(3)] {
            let builder = Coder::builder(Family::Rans32).known_rows(known_rows);
            let builder = parallel.map_or(builder.clone(), |rows| builder.parallel_rows(rows));
            let coder = builder.build(Tables::from_pmf(&pmf(), 12).unwrap()).unwrap();
            let bytes = coder.encode(&symbols, 0).unwrap();
            let mut buffer = vec![0xa5; bytes.len() + 3];
            let written = coder.encode_into(&symbols, 0, &mut buffer).unwrap();
            assert_eq!((&buffer[..written], &buffer[written..]), (&bytes[..], &[0xa5; 3][..]));
            let mut exact = vec![0; written];
            assert_eq!(coder.encode_into(&symbols, 0, &mut exact).unwrap(), written);
            assert_eq!(exact, bytes);

            let mut small = vec![0xa5; written - 1];
            let error = coder.encode_into(&symbols, 0, &mut small).unwrap_err();
            assert!(error.to_string().contains(&format!("{written} bytes or more")), "{error}");
            assert!(small.iter().all(|&byte| byte == 0xa5));

            let one = Indexes::one(0, 2, 5);
            let mut back = [0u8; 10];
            coder.decode_into(&buffer[..written], one.clone(), &mut back).unwrap();
            assert!(back.iter().zip(&symbols).all(|(&back, &symbol)| i32::from(back) == symbol));
            let error = coder.decode_into(&bytes, one, &mut [0u8; 9]).unwrap_err();
            assert!(matches!(error, Error::Shape { .. }));
        }
    }
    let coder = coder();
    assert_eq!(coder.encode_into(&Array2::<i32>::zeros((0, 0)), 0, &mut []).unwrap(), 0);
}

#[test]
fn slices_of_elements() {
    let values: Vec<bf16> = (0..5000).map(|i| bf16::from_f32((i as f32).sin())).collect();
    let bytes = float::compress(&values).unwrap();
    assert!(bytes.len() < 2 * values.len());
    assert_eq!(float::decompress::<bf16>(&bytes).unwrap(), values);

    fn same<T: float::Element + PartialEq>(values: &[T]) {
        let bytes = float::compress(values).unwrap();
        assert_eq!(float::decompress::<T>(&bytes).unwrap(), values);
        let archive = FrameArchive::open(Cursor::new(&bytes)).unwrap();
        assert_eq!(archive.index().entries[0].length, size_of_val(values) as u64);
    }
    same(&[f16::NEG_ZERO, f16::MAX]);
    same(&[1.5f32, f32::MIN_POSITIVE / 2.0, -0.0]);
    same(&[f64::INFINITY, 1e-300]);
    same(&[true, false, true]);
    same(&[i8::MIN, 0, 1]);
    same(&[u64::MAX, 0, 1]);
    same::<f32>(&[]);
    let nan = f32::from_bits(0xffc0_1234);
    let back = float::decompress::<f32>(&float::compress(&[nan]).unwrap()).unwrap();
    assert_eq!(back[0].to_bits(), nan.to_bits());

    // Of another type, no frame, a frame of something else, a damaged one.
    assert!(matches!(float::decompress::<f16>(&bytes), Err(Error::InvalidArgument(_))));
    assert!(float::decompress::<f32>(b"no frame").is_err());
    let empty = FrameWriter::new(Vec::new(), WriteOptions::default()).unwrap().finish().unwrap().0;
    assert!(matches!(float::decompress::<f32>(&empty), Err(Error::InvalidArgument(_))));
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(float::decompress::<bf16>(&damaged).is_err(), "byte {at}");
        assert!(float::decompress::<bf16>(&bytes[..at]).is_err(), "cut to {at}");
    }
    let not_bools = {
        let mut writer = FrameWriter::new(Vec::new(), WriteOptions::default()).unwrap();
        writer.write_tensor("", Dtype::Bool, &[3], &[0, 1, 2]).unwrap();
        writer.finish().unwrap().0
    };
    assert!(matches!(float::decompress::<bool>(&not_bools), Err(Error::Corrupt(_))));
}

#[test]
fn arrays_in_frames() {
    let weights =
        Array2::from_shape_fn((30, 40), |(row, column)| (row as f32 - column as f32).cos());
    let ids: Array1<i64> = (0..100).collect();
    let scalar = ndarray::arr0(bf16::from_f32(2.5));
    let mut writer = FrameWriter::new(Vec::new(), WriteOptions::default()).unwrap();
    writer.write_array("weights", &weights).unwrap();
    writer.write_array("transposed", weights.t()).unwrap();
    writer.write_array("ids", &ids).unwrap();
    writer.write_array("every second", ids.slice(ndarray::s![..;2])).unwrap();
    writer.write_array("scalar", &scalar).unwrap();
    writer.write_array("none", &Array3::<u8>::zeros((2, 0, 3))).unwrap();
    writer.write_bytes("bytes", b"bytes").unwrap();
    let (frame, _) = writer.finish().unwrap();

    let mut archive = FrameArchive::open(Cursor::new(&frame)).unwrap();
    let read: Array2<f32> = archive.read_array("weights").unwrap();
    assert_eq!(read, weights);
    let read: ArrayD<f32> = archive.read_array("transposed").unwrap();
    assert_eq!(read, weights.t().into_dyn());
    assert_eq!(archive.read_array::<i64, _>("ids").unwrap(), ids);
    let read: Array1<i64> = archive.read_array("every second").unwrap();
    assert_eq!(read, ids.slice(ndarray::s![..;2]));
    assert_eq!(archive.read_array::<bf16, _>("scalar").unwrap(), scalar);
    assert_eq!(archive.read_array::<u8, ndarray::Ix3>("none").unwrap().dim(), (2, 0, 3));

    let invalid = |result: Result<ArrayD<f32>>| matches!(result, Err(Error::InvalidArgument(_)));
    assert!(invalid(archive.read_array("ids")) && invalid(archive.read_array("bytes")));
    assert!(invalid(archive.read_array("missing")));
    let error = archive.read_array::<f32, ndarray::Ix1>("weights").unwrap_err();
    assert!(matches!(&error, Error::Shape { expected, .. } if expected.contains('2')), "{error}");

    // The frame is what write_tensor makes.
    let mut other = FrameWriter::new(Vec::new(), WriteOptions::default()).unwrap();
    let bytes: Vec<u8> = weights.iter().flat_map(|value| value.to_le_bytes()).collect();
    other.write_tensor("weights", Dtype::F32, &[30, 40], &bytes).unwrap();
    let mut one = FrameWriter::new(Vec::new(), WriteOptions::default()).unwrap();
    one.write_array("weights", &weights).unwrap();
    assert_eq!(one.finish().unwrap().0, other.finish().unwrap().0);
}

/// An npy file may have its fastest dimension first, which only its own header says.
#[cfg(feature = "containers")]
#[test]
fn arrays_of_numpy_files_are_not_guessed() {
    use std::io::Write;

    let dictionary = "{'descr': '<f4', 'fortran_order': True, 'shape': (20, 30), }\n";
    let mut file = b"\x93NUMPY\x01\0".to_vec();
    file.extend((dictionary.len() as u16).to_le_bytes());
    file.extend(dictionary.as_bytes());
    file.extend((0..600).flat_map(|i| (i as f32).to_le_bytes()));
    let layout = parans::frame::recognise(&file).unwrap();
    let mut writer = FrameWriter::with_layout(Vec::new(), WriteOptions::default(), layout).unwrap();
    writer.write_all(&file).unwrap();
    let (npy, _) = writer.finish().unwrap();
    let one = float::compress(&[1u8]).unwrap();
    for frames in [npy.clone(), [one.clone(), npy.clone()].concat(), [npy, one].concat()] {
        let mut archive = FrameArchive::open(Cursor::new(&frames)).unwrap();
        let entries = &archive.index().entries;
        let name = entries.iter().find(|entry| entry.length == 2400).unwrap().name.clone();
        if archive.entry(&name).unwrap().length == 2400 {
            let read: Result<Array2<f32>> = archive.read_array(&name);
            assert!(matches!(read, Err(Error::Unsupported(_))), "{read:?}");
        }
    }
}

#[test]
fn names_of_element_types() {
    for (dtype, names) in [
        (Dtype::F16, ["F16", "f16", "float16"]),
        (Dtype::Bf16, ["BF16", "bf16", "bfloat16"]),
        (Dtype::F32, ["F32", "f32", "float32"]),
        (Dtype::F64, ["F64", "f64", "float64"]),
        (Dtype::F8E4M3, ["F8_E4M3", "f8_e4m3", "float8_e4m3fn"]),
        (Dtype::F8E5M2, ["F8_E5M2", "f8_e5m2", "float8_e5m2"]),
        (Dtype::I8, ["I8", "i8", "int8"]),
        (Dtype::U8, ["U8", "u8", "uint8"]),
        (Dtype::I16, ["I16", "i16", "int16"]),
        (Dtype::U16, ["U16", "u16", "uint16"]),
        (Dtype::I32, ["I32", "i32", "int32"]),
        (Dtype::U32, ["U32", "u32", "uint32"]),
        (Dtype::I64, ["I64", "i64", "int64"]),
        (Dtype::U64, ["U64", "u64", "uint64"]),
        (Dtype::Bool, ["BOOL", "bool", "Bool"]),
    ] {
        for name in names {
            assert_eq!(name.parse::<Dtype>().unwrap(), dtype);
        }
    }
    assert_eq!(Dtype::ALL.map(|dtype| dtype.to_string().parse::<Dtype>().unwrap()), Dtype::ALL);
    for unknown in ["", "F33", "float", "F32 ", "<f4"] {
        let error = unknown.parse::<Dtype>().unwrap_err();
        assert!(error.to_string().contains(&format!("{unknown:?}")), "{error}");
    }
}

#[test]
fn tensors_by_name_and_type() {
    let mut writer = FrameWriter::new(Vec::new(), WriteOptions::default()).unwrap();
    writer.write_tensor("a", Dtype::F32, &[2], &[0; 8]).unwrap();
    writer.write_tensor("b", "float32", &[2], &[0; 8]).unwrap();
    // Not written, and the writer goes on: unknown types, the wrong number of bytes, taken names.
    assert!(matches!(writer.write_tensor("c", "F33", &[2], &[0; 8]), Err(Error::Unsupported(_))));
    let invalid = |result: Result<()>, part: &str| {
        assert!(
            matches!(&result, Err(Error::InvalidArgument(m)) if m.contains(part)),
            "{result:?}"
        );
    };
    invalid(writer.write_tensor("c", Dtype::U8, &[2], &[0; 3]), "3 bytes");
    invalid(writer.write_tensor("c", Dtype::F64, &[u64::MAX, 2], &[]), "0 bytes");
    invalid(writer.write_tensor("a", "F32", &[2], &[1; 8]), "\"a\" already");
    invalid(writer.write_array("b", &array![1u8]), "\"b\" already");
    invalid(writer.write_bytes("a", b""), "\"a\" already");
    let (frame, summary) = writer.finish().unwrap();
    assert_eq!(summary.content, 16);
    let archive = FrameArchive::open(Cursor::new(&frame)).unwrap();
    let names: Vec<&str> = archive.index().entries.iter().map(|entry| &*entry.name).collect();
    assert_eq!(names, ["a", "b"]);
    // In a layout of one's own as well.
    let layout = Layout {
        entries: vec![
            Entry::tensor("a", "U8", vec![1], 0, 1),
            Entry::tensor("a", "U8", vec![1], 1, 1),
        ],
        ..Layout::default()
    };
    let writer = FrameWriter::with_layout(Vec::new(), WriteOptions::default(), layout);
    invalid(writer.map(drop), "\"a\" already");
    let mut content = Vec::new();
    let mut reader = parans::frame::FrameReader::new(&frame[..], ReadOptions::default());
    reader.copy_to(&mut content).unwrap();
    assert_eq!(content, [0; 16]);
}

#[test]
fn bypass_needs_a_sentinel() {
    let build = |tables: &Tables| {
        Coder::builder(Family::Rans64).bypass(Bypass::digits(4)).build(tables.clone())
    };
    let counts = array![[5, 3, 1]];
    for tables in [
        Tables::from_counts(&counts, 12).unwrap(),
        Tables::from_pmf(&pmf(), 12).unwrap(),
        Tables::from_pmf(&pmf(), 12).unwrap().with_offsets(&[1, 2]).unwrap().with_limit(1 << 20),
    ] {
        let error = build(&tables).unwrap_err();
        assert!(matches!(&error, Error::InvalidArgument(m) if m.contains("sentinel")), "{error}");
        Coder::builder(Family::Rans64).build(tables).unwrap();
    }
    for tables in [
        Tables::builder(12).sentinel(true).counts(&counts).unwrap(),
        Tables::builder(12).sentinel_is_last().counts(&counts).unwrap(),
        Tables::builder(12).sentinel(true).pmf(&pmf()).unwrap().with_offsets(&[1, 2]).unwrap(),
        // CDF rows hold theirs, or so torch_ans has it.
        Tables::from_cdf(&array![[0, 15, 16]], 4).unwrap(),
    ] {
        let coder = build(&tables).unwrap();
        let symbols = array![[0, -500, 1 << 20]];
        let bytes = coder.encode(&symbols, 0).unwrap();
        assert_eq!(coder.decode::<i64>(&bytes, Indexes::one(0, 1, 3)).unwrap(), symbols);
    }
}

#[test]
fn learned_models_refuse_what_is_no_number() {
    let good = |_: usize, x: f64| 1.0 / (1.0 + (-x).exp());
    let quantiles = [[-4.0, 0.0, 4.0]];
    EntropyBottleneck::from_cdf(&quantiles, 16, good).unwrap();
    assert!(EntropyBottleneck::from_cdf(&quantiles, 16, |_, _| f64::NAN).is_err());
    assert!(EntropyBottleneck::from_cdf(&quantiles, 16, |c, x| 1.0 - good(c, x)).is_err());
    assert!(EntropyBottleneck::from_cdf(&[[-4.0, f32::INFINITY, 4.0]], 16, good).is_err());
    assert!(EntropyBottleneck::from_pmfs(&[(vec![1.0, 1.0], 0)], vec![f32::NAN], 16).is_err());

    let model = GaussianConditional::compressai().unwrap();
    let coder = model.coder(Family::Rans64, 1).unwrap();
    let (x, scales) = (array![[0.5f32]], array![[1.0f32]]);
    assert!(model.compress(&coder, &x, &array![[0.0]], &scales).is_ok());
    for mean in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
        assert!(model.compress(&coder, &x, &array![[mean]], &scales).is_err());
    }
}

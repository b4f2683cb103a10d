//! The GPU back end's own interface: tensors that stay on the device, planning, and devices that
//! fail.

use std::sync::Mutex;

use crate::common::altered::Altered;
use crate::common::backends;
use crate::common::software::Software;
use ndarray::{Array2, Array3, array};
use parans::gpu::{
    DeviceBuffer, DeviceIndexes, DeviceModels, DeviceStreams, DeviceSymbols, Gpu, ModelComponent,
    Runtime, StreamHandle,
};
use parans::model::{Distributions, Kind, Mixtures, ModelCoder, Models, Pmfs, Scale, Uniforms};
use parans::{Bypass, Coder, Device, Error, Family, Lookup, Precision, RowCause, Symbols, Tables};
use parans_emulator::DeviceModel;

fn tables(sentinel: bool) -> Tables {
    let pmf = Array2::from_shape_fn((3, 60), |(table, symbol)| {
        let x = (symbol as f64 - 30.0) / f64::from(1 << (table + 1));
        (-0.5 * x * x).exp() + 1e-4
    });
    Tables::builder(Precision::new(12).unwrap()).sentinel(sentinel).pmf(pmf.view()).unwrap()
}

fn batch(rows: usize, columns: usize) -> (Array2<u8>, Array2<i32>) {
    let symbols = Array2::from_shape_fn((rows, columns), |(r, c)| ((r * 31 + c * 17) % 60) as u8);
    let indexes = Array2::from_shape_fn((rows, columns), |(r, c)| ((r + c) % 3) as i32);
    (symbols, indexes)
}

#[test]
fn device_resident_tensors_code_as_host_tensors_do() {
    let gpu = backends::gpu();
    for (family, lanes) in [(Family::Rans64, 1), (Family::Rans32, 8), (Family::Rans32x16, 32)] {
        let (symbols, indexes) = batch(9, 101);
        let builder = Coder::builder(family).lanes(lanes).bypass(Bypass::digits(4));
        let on_host = builder.clone().build(tables(true)).unwrap();
        let coder = builder.gpu(&gpu).build(tables(true)).unwrap();
        let coder = coder.on_gpu().expect("a coder on a device");

        let on_device = DeviceBuffer::from_slice(&gpu, symbols.as_slice().unwrap()).unwrap();
        let index_buffer = DeviceBuffer::from_slice(&gpu, indexes.as_slice().unwrap()).unwrap();
        let device_symbols = DeviceSymbols::of(&on_device, 9).unwrap();
        let device_indexes = DeviceIndexes::each(&index_buffer, 9).unwrap();
        let mut streams = coder.streams(9, 101).unwrap();
        coder.push(&mut streams, &device_symbols, &device_indexes).unwrap();

        let mut expected = on_host.streams(9).unwrap();
        on_host.push(&mut expected, &symbols, &indexes).unwrap();
        assert_eq!(streams.to_streams().unwrap(), expected, "{family} x{lanes}");

        // Back on the device, from streams that the host pushed.
        let mut streams = DeviceStreams::from_streams(&gpu, &expected, 0).unwrap();
        let popped = DeviceBuffer::<u8>::new(&gpu, symbols.len()).unwrap();
        let into = DeviceSymbols::of(&popped, 9).unwrap();
        coder.pop(&mut streams, &into, &device_indexes).unwrap();
        assert_eq!(popped.to_vec().unwrap(), symbols.as_slice().unwrap());
        streams.to_streams().unwrap().expect_initial().unwrap();
    }
}

#[test]
fn every_shape_of_device_indexes_codes_alike() {
    let gpu = backends::gpu();
    let coder = Coder::builder(Family::Rans32x16).lanes(4).gpu(&gpu).build(tables(false)).unwrap();
    let coder = coder.on_gpu().unwrap();
    let (symbols, _) = batch(3, 20);
    let buffer = DeviceBuffer::from_slice(&gpu, symbols.as_slice().unwrap()).unwrap();
    let on_device = DeviceSymbols::of(&buffer, 3).unwrap();
    let pushed = |indexes: &DeviceIndexes| {
        let mut streams = coder.streams(3, 20).unwrap();
        coder.push(&mut streams, &on_device, indexes).unwrap();
        streams.to_streams().unwrap()
    };
    let per_row = DeviceBuffer::from_slice(&gpu, &[2u8, 0, 1]).unwrap();
    let each: Vec<u16> = (0..60).map(|i| [2, 0, 1][i / 20]).collect();
    let each = DeviceBuffer::from_slice(&gpu, &each).unwrap();
    let one = pushed(&DeviceIndexes::per_row(&per_row, 20));
    assert_eq!(one, pushed(&DeviceIndexes::each(&each, 3).unwrap()));

    let per_column: Vec<i32> = (0..20).map(|i| i % 3).collect();
    let per_column = DeviceBuffer::from_slice(&gpu, &per_column).unwrap();
    let each: Vec<i32> = (0..60).map(|i| i % 20 % 3).collect();
    let each = DeviceBuffer::from_slice(&gpu, &each).unwrap();
    let one = pushed(&DeviceIndexes::per_column(&per_column, 3));
    assert_eq!(one, pushed(&DeviceIndexes::each(&each, 3).unwrap()));

    let each = DeviceBuffer::from_slice(&gpu, &[1u8; 60]).unwrap();
    let one = pushed(&DeviceIndexes::one(1, 3, 20));
    assert_eq!(one, pushed(&DeviceIndexes::each(&each, 3).unwrap()));
}

#[test]
fn a_failed_row_is_named_with_its_values_and_left_as_it_was() {
    let gpu = backends::gpu();
    let coder = Coder::builder(Family::Rans64).gpu(&gpu).build(tables(false)).unwrap();
    let coder = coder.on_gpu().unwrap();
    let (mut symbols, _) = batch(4, 50);
    symbols[(2, 7)] = 200;
    let buffer = DeviceBuffer::from_slice(&gpu, symbols.as_slice().unwrap()).unwrap();
    let on_device = DeviceSymbols::of(&buffer, 4).unwrap();
    let mut streams = coder.streams(4, 50).unwrap();
    let error = coder.push(&mut streams, &on_device, &DeviceIndexes::one(1, 4, 50)).unwrap_err();
    let wanted = RowCause::SymbolOutOfRange { symbol: 200, table: 1 };
    assert!(
        matches!(&error, Error::Row { row: 2, position: 7, cause } if *cause == wanted),
        "{error}"
    );
    let after = streams.to_streams().unwrap();
    assert!(after.is_initial(2));
    assert!(!after.is_initial(1));
}

#[test]
fn rows_that_do_not_fit_together_are_coded_in_batches() {
    // 2 MiB of memory, half of it a batch's budget: 64 rows of 4,000 symbols take several.
    let model = DeviceModel::sm_90().with_memory(2 << 20);
    let gpu = Gpu::new(Software::new(model));
    let (symbols, indexes) = batch(64, 4000);
    let builder = Coder::builder(Family::Rans32x16).lanes(32).lookup(Lookup::Search);
    let on_host = builder.clone().build(tables(false)).unwrap();
    let coder = builder.gpu(&gpu).build(tables(false)).unwrap();
    let bytes = coder.encode(&symbols, &indexes).unwrap();
    assert_eq!(bytes, on_host.encode(&symbols, &indexes).unwrap());
    assert_eq!(coder.decode::<u8>(&bytes, &indexes).unwrap(), symbols);
}

#[test]
fn too_little_device_memory_is_an_error_and_the_cpu_goes_on() {
    // Room for the tables, not for the row.
    let model = DeviceModel::sm_90().with_memory(256 << 10);
    let gpu = Gpu::new(Software::new(model));
    let (symbols, indexes) = batch(1, 200_000);
    let builder = Coder::builder(Family::Rans32x16);
    let coder = builder.clone().gpu(&gpu).build(tables(false)).unwrap();
    let mut streams = coder.streams(1).unwrap();
    let error = coder.push(&mut streams, &symbols, &indexes).unwrap_err();
    assert!(matches!(error, Error::Device(_)), "{error}");
    assert!(streams.is_initial(0));
    let on_host = builder.build(tables(false)).unwrap();
    on_host.push(&mut streams, &symbols, &indexes).unwrap();
}

#[test]
fn ptx_that_the_device_refuses_is_an_error_with_its_reason() {
    let ptx = |ptx: &str| ptx.replacen("mov.", "remove.", 1);
    let broken = Altered { ptx: Box::new(ptx), ..Altered::new() };
    let gpu = Gpu::new(broken);
    let coder = Coder::builder(Family::Rans64).gpu(&gpu).build(tables(false)).unwrap();
    let (symbols, indexes) = batch(1, 8);
    let error = coder.encode(&symbols, &indexes).unwrap_err();
    assert!(matches!(&error, Error::Device(why) if why.contains("remove")), "{error}");
}

#[test]
fn a_kernel_is_loaded_once_when_it_is_first_launched() {
    static LOADED: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let counting = Altered {
        ptx: Box::new(|ptx| {
            let kernel = ptx.split(".visible .entry ").nth(1).unwrap();
            LOADED.lock().unwrap().push(kernel.split('(').next().unwrap().to_owned());
            ptx.to_owned()
        }),
        ..Altered::new()
    };
    let gpu = Gpu::new(counting);
    let (symbols, indexes) = batch(3, 40);
    let coder = Coder::builder(Family::Rans64).lanes(4).gpu(&gpu).build(tables(false)).unwrap();
    for _ in 0..2 {
        let bytes = coder.encode(&symbols, &indexes).unwrap();
        assert_eq!(coder.decode::<u8>(&bytes, &indexes).unwrap(), symbols);
    }
    let loaded = LOADED.lock().unwrap();
    // Where the PTX is one module with all kernels, that is all there is to load.
    if loaded.len() > 1 {
        assert_eq!(*loaded, ["push_packed_rans64_xn", "move_rows", "pop_slots_rans64_xn"]);
    }
}

#[test]
fn a_status_that_no_kernel_writes_is_a_device_error() {
    // As what happens to lie in memory where a kernel did not run.
    let overwrites = Altered {
        launch: Box::new(|device, launch, stream| {
            device.launch(launch, stream)?;
            if launch.kernel == "move_rows" {
                return Ok(());
            }
            let field = if launch.kernel.starts_with("quantise") { 2 } else { 3 };
            let at = launch.fields[field].0;
            let status = u64::from_le_bytes(launch.params[at..at + 8].try_into().unwrap());
            device.upload(status + 8, &[0xcd; 8], stream)
        }),
        ..Altered::new()
    };
    let gpu = Gpu::new(overwrites);
    let is_device_error =
        |error: Error| matches!(&error, Error::Device(why) if why.contains("status of row 1"));
    let (symbols, indexes) = batch(3, 40);
    let builder = Coder::builder(Family::Rans64).lanes(4);
    let coder = builder.clone().gpu(&gpu).build(tables(false)).unwrap();
    assert!(is_device_error(coder.encode(&symbols, &indexes).unwrap_err()));
    let on_host = builder.build(tables(false)).unwrap();
    let bytes = on_host.encode(&symbols, &indexes).unwrap();
    assert!(is_device_error(coder.decode::<u8>(&bytes, &indexes).unwrap_err()));
    let pmf = DeviceBuffer::from_slice(&gpu, &[0.5f32; 8]).unwrap();
    let precision = Precision::new(8).unwrap();
    let error =
        Tables::from_device_pmf(&gpu, &pmf, 2, precision, false, StreamHandle::OWN).unwrap_err();
    assert!(is_device_error(error));
}

#[test]
fn probabilities_on_the_device_make_the_tables_of_the_host() {
    let gpu = backends::gpu();
    let pmf = Array2::from_shape_fn((5, 77), |(r, c)| ((r * 7 + c * c) % 23) as f32 / 11.0);
    let on_device = DeviceBuffer::from_slice(&gpu, pmf.as_slice().unwrap()).unwrap();
    for bits in [7, 12, 16] {
        let precision = Precision::new(bits).unwrap();
        for sentinel in [false, true] {
            let made = Tables::from_device_pmf(
                &gpu,
                &on_device,
                5,
                precision,
                sentinel,
                StreamHandle::OWN,
            )
            .unwrap();
            let wanted = Tables::builder(precision).sentinel(sentinel).pmf(pmf.view()).unwrap();
            assert!(made == wanted, "precision {bits}, sentinel {sentinel}");
        }
    }
    let precision = Precision::new(8).unwrap();
    for (bad, row) in [(vec![0.5, 0.5, f32::NAN, 1.0], 1), (vec![0.0, 0.0, 1.0, 1.0], 0)] {
        let bad = DeviceBuffer::from_slice(&gpu, &bad).unwrap();
        let error = Tables::from_device_pmf(&gpu, &bad, 2, precision, false, StreamHandle::OWN)
            .unwrap_err();
        assert!(matches!(error, Error::InvalidTable { row: at, .. } if at == row), "{error}");
    }
    assert!(
        Tables::from_device_pmf(&gpu, &on_device, 4, precision, false, StreamHandle::OWN).is_err()
    );
    let few = Precision::new(5).unwrap();
    assert!(Tables::from_device_pmf(&gpu, &on_device, 5, few, false, StreamHandle::OWN).is_err());
}

/// A round trip by tables that are made of probabilities on the device: the streams are those of
/// the host's tables.
fn codes_by_device_probabilities(gpu: &Gpu, family: Family, lanes: usize, bits: u32, bypass: bool) {
    let precision = Precision::new(bits).unwrap();
    let pmf = Array2::from_shape_fn((3, 60), |(t, s)| ((t * 7 + s * s) % 23) as f32 / 11.0);
    let (symbols, indexes) = batch(5, 333);
    let mut symbols = symbols.mapv(i32::from);
    let mut builder = Coder::builder(family).lanes(lanes);
    if bypass {
        builder = builder.bypass(Bypass::digits(4));
        (symbols[(1, 30)], symbols[(4, 332)]) = (-1000, 70);
    }
    let tables = Tables::builder(precision).sentinel(bypass).pmf(pmf.view()).unwrap();
    let on_host = builder.clone().build(tables).unwrap();
    let mut expected = on_host.streams(5).unwrap();
    on_host.push(&mut expected, &symbols, &indexes).unwrap();

    let upload = |values: &Array2<i32>| DeviceBuffer::from_slice(gpu, values.as_slice().unwrap());
    let on_device = DeviceBuffer::from_slice(gpu, pmf.as_slice().unwrap()).unwrap();
    let (buffer, index_buffer) = (upload(&symbols).unwrap(), upload(&indexes).unwrap());
    let into = DeviceBuffer::<i32>::new(gpu, symbols.len()).unwrap();
    let on_device_symbols = DeviceSymbols::of(&buffer, 5).unwrap();
    let device_indexes = DeviceIndexes::each(&index_buffer, 5).unwrap();
    let coder = builder
        .gpu(gpu)
        .build_from_device_pmf(&on_device, 3, precision, StreamHandle::LEGACY_DEFAULT)
        .unwrap();
    let coder = coder.on_gpu();
    let mut streams = coder.streams(5, 333).unwrap();
    coder.enqueue_push(&mut streams, &on_device_symbols, &device_indexes).unwrap();
    let mut back = DeviceStreams::from_streams(gpu, &expected, 0).unwrap();
    let popped = DeviceSymbols::of(&into, 5).unwrap();
    coder.enqueue_pop(&mut back, &popped, &device_indexes).unwrap();
    gpu.runtime().synchronise(StreamHandle::OWN).unwrap();
    // From here on there are copies to the host.
    coder.check(&streams, &on_device_symbols, &device_indexes).unwrap();
    coder.check(&back, &popped, &device_indexes).unwrap();
    let what = format!("{family} x{lanes} precision {bits}, bypass {bypass}");
    assert!(streams.to_streams().unwrap() == expected, "{what}");
    assert!(into.to_vec().unwrap() == symbols.as_slice().unwrap(), "{what}");
}

#[test]
fn tables_of_device_probabilities_code_as_the_hosts() {
    let gpu = backends::gpu();
    let families = [(Family::Rans64, 20), (Family::Rans32, 14), (Family::Rans32x16, 15)];
    for (family, largest) in families {
        for (lanes, bits) in [(1, 12), (2, 7), (8, largest), (32, 12)] {
            codes_by_device_probabilities(&gpu, family, lanes, bits, lanes != 8);
        }
    }
}

#[test]
fn tables_of_device_probabilities_are_never_copied_to_the_host() {
    /// Copies to the host, in bytes.
    static COPIES: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    let downloads = Box::new(|bytes| COPIES.lock().unwrap().push(bytes));
    let gpu = Gpu::new(Altered { downloads, ..Altered::new() });
    codes_by_device_probabilities(&gpu, Family::Rans32x16, 32, 12, false);
    let copies = COPIES.lock().unwrap();
    // What became of three tables and, once for each direction, of five rows; then the streams'
    // states and lengths, their words, and the symbols.
    assert_eq!(copies[..3], [3 * 8, 5 * 8, 5 * 8]);
    assert_eq!(copies.len(), 7, "{copies:?}");
    assert_eq!(copies[3..5], [5 * 32 * 4, 5 * 4]);
    assert_eq!(copies[6], 5 * 333 * 4);
}

#[test]
fn a_table_of_bad_device_probabilities_is_named_and_codes_all_the_same() {
    let gpu = backends::gpu();
    let precision = Precision::new(12).unwrap();
    let builder = Coder::builder(Family::Rans64).gpu(&gpu);
    let build = |pmf: &[f32], tables| {
        let pmf = DeviceBuffer::from_slice(&gpu, pmf).unwrap();
        builder.clone().build_from_device_pmf(&pmf, tables, precision, StreamHandle::OWN)
    };
    let symbols = DeviceBuffer::from_slice(&gpu, &[0u8, 1, 2, 0, 1, 2]).unwrap();
    let symbols = DeviceSymbols::of(&symbols, 2).unwrap();
    let indexes = DeviceIndexes::one(1, 2, 3);
    for (bad, reason) in [([0.5, f32::NAN, 0.5], "symbol 1"), ([0.0; 3], "all 3")] {
        let coder = build(&[[0.2f32, 0.3, 0.5], bad].concat(), 2).unwrap();
        let coder = coder.on_gpu();
        let mut streams = coder.streams(2, 3).unwrap();
        for _ in 0..2 {
            let error = coder.push(&mut streams, &symbols, &indexes).unwrap_err();
            let named = matches!(&error, Error::InvalidTable { row: 1, .. });
            assert!(named && error.to_string().contains(reason), "{error}");
        }
    }
    assert!(matches!(build(&[0.5; 5], 2), Err(Error::Shape { .. })));
    assert!(matches!(build(&[0.5; 2], 2), Err(Error::Unsupported(_))));
    let pmf = DeviceBuffer::from_slice(&gpu, &[0.5f32; 4]).unwrap();
    let refused = |builder: parans::CoderBuilder| {
        builder.build_from_device_pmf(&pmf, 2, precision, StreamHandle::OWN).unwrap_err()
    };
    let tans = Coder::builder(Family::Tans32).gpu(&gpu);
    assert!(matches!(refused(tans), Error::Unsupported(_)));
    assert!(matches!(refused(builder.clone().lookup(Lookup::Alias)), Error::Unsupported(_)));
    assert!(matches!(refused(Coder::builder(Family::Rans64)), Error::InvalidArgument(_)));
}

#[test]
fn streams_and_indexes_of_other_shapes_are_refused() {
    let gpu = backends::gpu();
    let coder = Coder::builder(Family::Rans64).lanes(2).gpu(&gpu).build(tables(false)).unwrap();
    let coder = coder.on_gpu().unwrap();
    let buffer = DeviceBuffer::from_slice(&gpu, &[1u8; 12]).unwrap();
    assert!(DeviceSymbols::of(&buffer, 5).is_err());
    let symbols = DeviceSymbols::of(&buffer, 4).unwrap();
    let mut streams = coder.streams(4, 3).unwrap();
    let wrong = coder.push(&mut streams, &symbols, &DeviceIndexes::one(0, 3, 4));
    assert!(matches!(wrong, Err(Error::Shape { what: "indexes", .. })));
    let mut other = DeviceStreams::new(&gpu, Family::Rans64, 4, 4, 100).unwrap();
    let wrong = coder.push(&mut other, &symbols, &DeviceIndexes::one(0, 4, 3));
    assert!(matches!(wrong, Err(Error::InvalidArgument(_))));
}

#[test]
fn sizes_beyond_a_launch_are_refused_before_it() {
    let gpu = backends::gpu();
    let coder = Coder::builder(Family::Rans64).gpu(&gpu).build(tables(false)).unwrap();
    let coder = coder.on_gpu().unwrap();
    let refused = |symbols: DeviceSymbols<'_>, rows, columns| {
        let mut streams = DeviceStreams::new(&gpu, Family::Rans64, 2, 1, 64).unwrap();
        let pushed = coder.push(&mut streams, &symbols, &DeviceIndexes::one(0, rows, columns));
        assert!(streams.to_streams().unwrap().is_initial(0));
        pushed.unwrap_err().to_string()
    };
    #[allow(unsafe_code, reason = "a tensor of another library is what is tested")]
    // SAFETY: no work is started with it.
    let at = |columns, stride| unsafe { DeviceSymbols::at::<u8>(0x7000, 2, columns, stride) };
    let error = refused(at(3, 1 << 33), 2, 3);
    assert!(error.contains("8589934592 symbols from row to row"), "{error}");
    let error = refused(at(1 << 31, 1 << 31), 2, 1 << 31);
    assert!(error.contains("2147483648 symbols per row"), "{error}");
}

#[test]
fn a_gpu_that_is_not_there_is_an_error_of_the_library() {
    let build = |device| Coder::builder(Family::Rans64).device(device).build(tables(false));
    let error = build(Device::Cuda(1000)).unwrap_err();
    assert!(matches!(error, Error::Unsupported(_) | Error::Device(_)), "{error}");
    // The CPU goes on working.
    let coder = build(Device::Cpu).unwrap();
    let symbols = array![[1i32, 2, 3]];
    let indexes = array![[0i32, 1, 2]];
    let bytes = coder.encode(&symbols, &indexes).unwrap();
    assert_eq!(coder.decode::<i32>(&bytes, &indexes).unwrap(), symbols);
    assert!(coder.on_gpu().is_none());
    let _ = Symbols::from_slice(&[1i32, 2], 1).unwrap();
}

/// Codes on the device what lies there, and compares with the host: bytes of a push, symbols of a
/// pop.
fn models_code_alike(
    gpu: &Gpu,
    coder: &ModelCoder,
    models: &impl Models,
    on_device: &DeviceModels,
    symbols: &Array2<i16>,
) {
    let rows = symbols.nrows();
    let mut expected = coder.streams(rows).unwrap();
    coder.push(&mut expected, models, symbols).unwrap();
    let with_gpu = coder.with_gpu(gpu);
    let resident = with_gpu.on_gpu().expect("a coder on a device");
    let buffer = DeviceBuffer::from_slice(gpu, symbols.as_slice().unwrap()).unwrap();
    let mut streams = resident.streams(rows, symbols.ncols()).unwrap();
    let device_symbols = DeviceSymbols::of(&buffer, rows).unwrap();
    resident.push(&mut streams, on_device, &device_symbols).unwrap();
    assert_eq!(streams.to_streams().unwrap(), expected);
    let popped = DeviceBuffer::<i16>::new(gpu, symbols.len()).unwrap();
    let into = DeviceSymbols::of(&popped, rows).unwrap();
    resident.pop(&mut streams, on_device, &into).unwrap();
    assert_eq!(popped.to_vec().unwrap(), symbols.as_slice().unwrap());
    streams.to_streams().unwrap().expect_initial().unwrap();
}

#[test]
fn device_resident_models_code_as_host_models_do() {
    let gpu = backends::gpu();
    let shape = (7, 45);
    // Every fifth symbol is far from its model.
    let symbols = Array2::from_shape_fn(shape, |(r, c)| {
        if (r + c) % 5 == 0 { (c as i16 - 20) * 900 } else { ((r * 7 + c * 3) % 11) as i16 }
    });
    let means = Array2::from_shape_fn(shape, |(r, c)| ((r * 7 + c * 3) % 11) as f32 + 0.3);
    let scales = Array2::from_shape_fn(shape, |(r, c)| 0.2 + (r * c % 17) as f32);
    for (family, lanes) in [(Family::Rans64, 1), (Family::Rans32, 8), (Family::Rans32x16, 32)] {
        let coder = ModelCoder::new(family, lanes).unwrap();
        let host = Distributions::from_f32(Kind::Logistic, means.view(), scales.view()).unwrap();
        let device_means = DeviceBuffer::from_slice(&gpu, means.as_slice().unwrap()).unwrap();
        let device_scales = DeviceBuffer::from_slice(&gpu, scales.as_slice().unwrap()).unwrap();
        let fixed = DeviceModels::distributions_from_f32(
            &gpu,
            Kind::Logistic,
            &device_means,
            &device_scales,
            shape,
            StreamHandle::OWN,
        );
        models_code_alike(&gpu, &coder, &host, &fixed.unwrap(), &symbols);
        let codes = DeviceBuffer::from_slice(&gpu, host.scales()).unwrap();
        let fixed = DeviceBuffer::from_slice(&gpu, host.means()).unwrap();
        let given = DeviceModels::distributions(Kind::Logistic, &fixed, &codes, shape).unwrap();
        models_code_alike(&gpu, &coder, &host, &given, &symbols);

        let of_parts = |f: &dyn Fn(usize, usize) -> f32| {
            Array3::from_shape_fn((7, 45, 3), |(r, c, k)| f(r * 45 + c, k))
        };
        let host = Mixtures::from_f32(
            Kind::Laplace,
            of_parts(&|at, k| (at % 11 + 4 * k) as f32).view(),
            of_parts(&|at, k| 1.0 + (at * k % 5) as f32).view(),
            of_parts(&|at, k| 1.0 + (at + k) as f32).view(),
        );
        let host = host.unwrap();
        let parts: Vec<ModelComponent> =
            host.components().iter().map(|&part| part.into()).collect();
        let parts = DeviceBuffer::from_slice(&gpu, &parts).unwrap();
        let given = DeviceModels::mixtures(Kind::Laplace, &parts, 3, shape).unwrap();
        models_code_alike(&gpu, &coder, &host, &given, &symbols);

        let precision = coder.precision();
        let pmf = Array3::from_shape_fn((7, 45, 20), |(r, c, s)| ((r + c * s) % 9) as f32 + 0.1);
        let host = Pmfs::from_pmf(pmf.view(), precision, true).unwrap();
        let device_pmf = DeviceBuffer::from_slice(&gpu, pmf.as_slice().unwrap()).unwrap();
        let made =
            DeviceModels::from_pmf(&gpu, &device_pmf, shape, precision, true, StreamHandle::OWN)
                .unwrap();
        models_code_alike(&gpu, &coder, &host, &made, &symbols);
        let cdfs = DeviceBuffer::from_slice(&gpu, host.cdfs()).unwrap();
        let given = DeviceModels::cdfs(&cdfs, shape, precision, true).unwrap();
        models_code_alike(&gpu, &coder, &host, &given, &symbols);

        let counts = pmf.mapv(|p| (p * 10.0) as u32);
        let host = Pmfs::from_counts(counts.mapv(u64::from).view(), precision, true).unwrap();
        let host = host.with_offset(-3).unwrap();
        let device_counts = DeviceBuffer::from_slice(&gpu, counts.as_slice().unwrap()).unwrap();
        let made = DeviceModels::from_counts(
            &gpu,
            &device_counts,
            shape,
            precision,
            true,
            StreamHandle::OWN,
        );
        let made = made.unwrap().with_offset(-3).unwrap();
        models_code_alike(&gpu, &coder, &host, &made, &symbols);

        let host = Uniforms::new(-18_000, 36_001.min(1 << precision.bits()), 7, 45).unwrap();
        let inside = symbols.mapv(|symbol| symbol.min(14_000));
        let made = DeviceModels::upload(&gpu, &host).unwrap();
        models_code_alike(&gpu, &coder, &host, &made, &inside);
    }
}

#[test]
fn models_of_more_rows_than_fit_are_coded_in_batches() {
    let gpu = Gpu::new(Software::new(DeviceModel::sm_90().with_memory(2 << 20)));
    let shape = (40, 3000);
    let means = Array2::from_shape_fn(shape, |(r, c)| ((r * 31 + c * 17) % 200) as f32);
    let scales = Array2::from_elem(shape, 3.5f32);
    let models = Distributions::from_f32(Kind::Gaussian, means.view(), scales.view()).unwrap();
    let symbols = means.mapv(|mean| mean as u8);
    let coder = ModelCoder::new(Family::Rans32x16, 32).unwrap();
    let bytes = coder.with_gpu(&gpu).encode(&models, &symbols).unwrap();
    assert_eq!(bytes, coder.encode(&models, &symbols).unwrap());
    assert_eq!(coder.with_gpu(&gpu).decode::<u8>(&models, &bytes).unwrap(), symbols);
}

#[test]
fn bad_models_on_the_device_are_errors_that_name_their_place() {
    let gpu = backends::gpu();
    let coder = ModelCoder::new(Family::Rans32, 4).unwrap().with_gpu(&gpu);
    let coder = coder.on_gpu().unwrap();
    let shape = (3, 10);
    let symbol_buffer = DeviceBuffer::from_slice(&gpu, &[5i32; 30]).unwrap();
    let symbols = DeviceSymbols::of(&symbol_buffer, 3).unwrap();
    let means = DeviceBuffer::from_slice(&gpu, &[5.0f32; 30]).unwrap();
    let mut scales = [1.0f32; 30];
    scales[14] = f32::NAN;
    let scales = DeviceBuffer::from_slice(&gpu, &scales).unwrap();
    let models = DeviceModels::distributions_from_f32(
        &gpu,
        Kind::Gaussian,
        &means,
        &scales,
        shape,
        StreamHandle::OWN,
    )
    .unwrap();
    let mut streams = coder.streams(3, 10).unwrap();
    let error = coder.push(&mut streams, &models, &symbols).unwrap_err();
    let wanted = RowCause::ParameterOutOfRange;
    assert!(
        matches!(error, Error::Row { row: 1, position: 4, cause } if cause == wanted),
        "{error}"
    );
    let after = streams.to_streams().unwrap();
    assert!(after.is_initial(1) && !after.is_initial(0) && !after.is_initial(2));
    // No capacity: planned by the caller, too small for digits.
    let scales = DeviceBuffer::from_slice(&gpu, &[1.0f32; 30]).unwrap();
    let models = DeviceModels::distributions_from_f32(
        &gpu,
        Kind::Gaussian,
        &means,
        &scales,
        shape,
        StreamHandle::OWN,
    )
    .unwrap();
    let mut small = DeviceStreams::new(&gpu, Family::Rans32, 3, 4, 1).unwrap();
    let outside_buffer = DeviceBuffer::from_slice(&gpu, &[5000i32; 30]).unwrap();
    let outside = DeviceSymbols::of(&outside_buffer, 3).unwrap();
    let error = coder.push(&mut small, &models, &outside).unwrap_err();
    let wanted = RowCause::CapacityExceeded;
    assert!(matches!(error, Error::Row { row: 0, cause, .. } if cause == wanted), "{error}");
    assert!(small.to_streams().unwrap().is_initial(0));
    // Words that are not there.
    let error = coder.pop(&mut small, &models, &symbols).unwrap_err();
    assert!(matches!(error, Error::Row { row: 0, cause: RowCause::Truncated, .. }), "{error}");
    // A symbol that no digits reach is read back for the message.
    let far_buffer = DeviceBuffer::from_slice(&gpu, &[i32::MIN; 30]).unwrap();
    let far = DeviceSymbols::of(&far_buffer, 3).unwrap();
    let error = coder.push(&mut streams, &models, &far).unwrap_err();
    let wanted = RowCause::BypassDistance { symbol: i32::MIN, table: -1 };
    assert!(matches!(&error, Error::Row { row: 0, cause, .. } if *cause == wanted), "{error}");

    // What is refused before a launch.
    let precision = Precision::new(12).unwrap();
    let pmf = DeviceBuffer::from_slice(&gpu, &[0.25f32; 120]).unwrap();
    let other =
        DeviceModels::from_pmf(&gpu, &pmf, shape, precision, false, StreamHandle::OWN).unwrap();
    let wrong = coder.push(&mut streams, &other, &symbols);
    assert!(matches!(wrong, Err(Error::InvalidArgument(_))), "{wrong:?}");
    let narrow = DeviceModels::upload(&gpu, &Uniforms::new(0, 1 << 17, 3, 10).unwrap()).unwrap();
    let wrong = coder.push(&mut streams, &narrow, &symbols);
    assert!(matches!(wrong, Err(Error::InvalidArgument(_))), "{wrong:?}");
    assert!(other.with_offset(i32::MAX).is_err() && narrow.with_offset(1).is_err());
    let wrong = coder.push(&mut coder.streams(2, 10).unwrap(), &models, &symbols);
    assert!(matches!(wrong, Err(Error::Shape { what: "streams", .. })), "{wrong:?}");
    let mut tables = DeviceStreams::new(&gpu, Family::Rans32, 3, 8, 100).unwrap();
    let wrong = coder.push(&mut tables, &models, &symbols);
    assert!(matches!(wrong, Err(Error::InvalidArgument(_))), "{wrong:?}");
    assert!(
        DeviceModels::from_pmf(&gpu, &pmf, (7, 7), precision, false, StreamHandle::OWN).is_err()
    );
    let few = DeviceBuffer::from_slice(&gpu, &[0u32; 31]).unwrap();
    assert!(DeviceModels::cdfs(&few, shape, precision, false).is_err());
    let bad = DeviceBuffer::from_slice(&gpu, &[0u32, 0, 3, 4]).unwrap();
    let wrong = DeviceModels::from_counts(&gpu, &bad, (1, 2), precision, false, StreamHandle::OWN);
    assert!(matches!(wrong, Err(Error::InvalidTable { row: 0, .. })), "{wrong:?}");
    let components = [ModelComponent { mean: 0, scale: Scale::MAX.code(), zero: 0, weight: 1 }; 30];
    let components = DeviceBuffer::from_slice(&gpu, &components).unwrap();
    assert!(DeviceModels::mixtures(Kind::Gaussian, &components, 9, shape).is_err());
    assert!(DeviceModels::mixtures(Kind::Gaussian, &components, 2, shape).is_err());
    // Weights that do not sum to one.
    let bad = DeviceModels::mixtures(Kind::Gaussian, &components, 1, shape).unwrap();
    let error = coder.push(&mut streams, &bad, &symbols).unwrap_err();
    let wanted = RowCause::ParameterOutOfRange;
    assert!(matches!(error, Error::Row { row: 0, cause, .. } if cause == wanted), "{error}");
}

#[test]
fn a_model_coder_for_a_gpu_that_is_not_there_is_an_error() {
    let coder = ModelCoder::new(Family::Rans64, 1).unwrap();
    let error = coder.with_device(Device::Cuda(1000)).unwrap_err();
    assert!(matches!(error, Error::Unsupported(_) | Error::Device(_)), "{error}");
    assert!(coder.with_device(Device::Cpu).unwrap().on_gpu().is_none());
}

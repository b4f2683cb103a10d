//! The GPU back end's own interface: tensors that stay on the device, planning, and devices that fail.

mod common;

use common::software::Software;
use ndarray::{Array2, array};
use parans::gpu::{DeviceBuffer, DeviceIndexes, DeviceStreams, DeviceSymbols, Gpu};
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
    let gpu = Software::gpu();
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

        let mut expected = on_host.streams(9);
        on_host.push(&mut expected, &symbols, &indexes).unwrap();
        assert_eq!(streams.to_streams().unwrap(), expected, "{family} x{lanes}");

        // Back on the device, from streams that the host pushed.
        let mut streams = DeviceStreams::from_streams(&gpu, &expected, 0).unwrap();
        let popped = DeviceBuffer::<u8>::new(&gpu, symbols.len()).unwrap();
        let into = DeviceSymbols::of(&popped, 9).unwrap();
        coder.pop(&mut streams, &into, &device_indexes).unwrap();
        assert_eq!(popped.to_vec().unwrap(), symbols.as_slice().unwrap());
        streams.to_streams().unwrap().expect_fresh().unwrap();
    }
}

#[test]
fn every_shape_of_device_indexes_codes_alike() {
    let gpu = Software::gpu();
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
    let gpu = Software::gpu();
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
    assert!(after.is_fresh(2));
    assert!(!after.is_fresh(1));
}

#[test]
fn rows_that_do_not_fit_together_are_coded_in_batches() {
    // 2 MiB of memory, half of it a batch's budget: 64 rows of 4,000 symbols take several.
    let model = DeviceModel::sm_90().with_memory(2 << 20);
    let gpu = Gpu::new(Software::new(model)).unwrap();
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
    let model = DeviceModel::sm_90().with_memory(64 << 10);
    let gpu = Gpu::new(Software::new(model)).unwrap();
    let (symbols, indexes) = batch(1, 200_000);
    let builder = Coder::builder(Family::Rans32x16);
    let coder = builder.clone().gpu(&gpu).build(tables(false)).unwrap();
    let mut streams = coder.streams(1);
    let error = coder.push(&mut streams, &symbols, &indexes).unwrap_err();
    assert!(matches!(error, Error::Device(_)), "{error}");
    assert!(streams.is_fresh(0));
    let on_host = builder.build(tables(false)).unwrap();
    on_host.push(&mut streams, &symbols, &indexes).unwrap();
}

#[test]
fn ptx_that_the_device_refuses_is_an_error_with_its_reason() {
    struct Broken(Software);
    impl parans::gpu::Runtime for Broken {
        fn name(&self) -> String {
            self.0.name()
        }
        fn multiprocessors(&self) -> u32 {
            self.0.multiprocessors()
        }
        fn free_memory(&self) -> parans::Result<u64> {
            self.0.free_memory()
        }
        fn load(&self, ptx: &str) -> parans::Result<()> {
            self.0.load(&ptx.replacen("mov.", "remove.", 1))
        }
        fn alloc(&self, bytes: usize) -> parans::Result<u64> {
            self.0.alloc(bytes)
        }
        fn free(&self, address: u64) {
            self.0.free(address);
        }
        fn upload(
            &self,
            to: u64,
            bytes: &[u8],
            s: parans::gpu::StreamHandle,
        ) -> parans::Result<()> {
            self.0.upload(to, bytes, s)
        }
        fn download(
            &self,
            from: u64,
            bytes: &mut [u8],
            s: parans::gpu::StreamHandle,
        ) -> parans::Result<()> {
            self.0.download(from, bytes, s)
        }
        fn launch(
            &self,
            launch: &parans::gpu::Launch<'_>,
            s: parans::gpu::StreamHandle,
        ) -> parans::Result<()> {
            self.0.launch(launch, s)
        }
        fn synchronise(&self, s: parans::gpu::StreamHandle) -> parans::Result<()> {
            self.0.synchronise(s)
        }
        fn time(
            &self,
            s: parans::gpu::StreamHandle,
            work: &mut dyn FnMut() -> parans::Result<()>,
        ) -> parans::Result<std::time::Duration> {
            self.0.time(s, work)
        }
    }
    let error = Gpu::new(Broken(Software::new(DeviceModel::sm_90()))).unwrap_err();
    assert!(matches!(&error, Error::Device(why) if why.contains("remove")), "{error}");
}

#[test]
fn probabilities_on_the_device_make_the_tables_of_the_host() {
    let gpu = Software::gpu();
    let pmf = Array2::from_shape_fn((5, 77), |(r, c)| ((r * 7 + c * c) % 23) as f32 / 11.0);
    let on_device = DeviceBuffer::from_slice(&gpu, pmf.as_slice().unwrap()).unwrap();
    for bits in [7, 12, 16] {
        let precision = Precision::new(bits).unwrap();
        for sentinel in [false, true] {
            let made = Tables::from_device_pmf(&gpu, &on_device, 5, precision, sentinel).unwrap();
            let wanted = Tables::builder(precision).sentinel(sentinel).pmf(pmf.view()).unwrap();
            assert!(made == wanted, "precision {bits}, sentinel {sentinel}");
        }
    }
    let precision = Precision::new(8).unwrap();
    for (bad, row) in [(vec![0.5, 0.5, f32::NAN, 1.0], 1), (vec![0.0, 0.0, 1.0, 1.0], 0)] {
        let bad = DeviceBuffer::from_slice(&gpu, &bad).unwrap();
        let error = Tables::from_device_pmf(&gpu, &bad, 2, precision, false).unwrap_err();
        assert!(matches!(error, Error::InvalidTable { row: at, .. } if at == row), "{error}");
    }
    assert!(Tables::from_device_pmf(&gpu, &on_device, 4, precision, false).is_err());
    let few = Precision::new(5).unwrap();
    assert!(Tables::from_device_pmf(&gpu, &on_device, 5, few, false).is_err());
}

#[test]
fn streams_and_indexes_of_other_shapes_are_refused() {
    let gpu = Software::gpu();
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

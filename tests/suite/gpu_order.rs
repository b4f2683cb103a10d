//! Work on several streams of a device: what the library puts on one waits for what it put on
//! another. The software device does nothing before somebody waits for it, so work that is not
//! ordered is seen in the wrong order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use crate::common::altered::Altered;
use crate::common::backends;
use crate::common::software::Software;
use ndarray::Array2;
use parans::gpu::{
    DeviceBuffer, DeviceIndexes, DeviceModels, DeviceStreams, DeviceSymbols, Gpu, StreamHandle,
    StreamKind,
};
use parans::model::{Distributions, Kind, ModelCoder};
use parans::{Coder, Error, Family, Precision, Result, RowCause, Streams, Tables};
use parans_emulator::DeviceModel;

/// A device that leaves out one of the orderings that the library asks for. What it asks for is
/// added to a list.
fn disordered(without: Option<usize>, asked: &Arc<Mutex<Vec<String>>>) -> Gpu {
    let asked = Arc::clone(asked);
    let orders = move |what: &str| {
        let mut asked = asked.lock().unwrap();
        asked.push(what.to_owned());
        asked.len().checked_sub(1) != without
    };
    let device = Software::lazy(DeviceModel::sm_90());
    Gpu::new(Altered { device, orders: Box::new(orders), ..Altered::new() })
}

const SHAPE: (usize, usize) = (3, 40);

fn symbols() -> Array2<u8> {
    Array2::from_shape_fn(SHAPE, |(row, column)| ((row * 31 + column * 17) % 50) as u8)
}

fn pmf() -> Array2<f32> {
    Array2::from_shape_fn((2, 50), |(table, symbol)| 1.0 / (1 + table + symbol) as f32)
}

const LEGACY: StreamHandle = StreamHandle::LEGACY_DEFAULT;
const OF_THREAD: StreamHandle = StreamHandle::PER_THREAD_DEFAULT;

/// What coding with tables on changing streams gives.
fn tables_on_streams(gpu: &Gpu) -> Result<(Streams, Vec<u8>)> {
    let precision = Precision::new(12)?;
    let on_device = DeviceBuffer::from_slice(gpu, pmf().as_slice().unwrap())?;
    let tables = Tables::from_device_pmf(gpu, &on_device, 2, precision, false, LEGACY)?;
    let coder = Coder::builder(Family::Rans32x16).lanes(4).gpu(gpu).build(tables)?;
    let coder = coder.on_gpu().expect("a coder on a device");
    let indexes = DeviceBuffer::from_slice(gpu, &[0u8, 1, 0])?;
    let indexes = DeviceIndexes::per_row(&indexes, SHAPE.1);
    let mut streams = coder.streams(SHAPE.0, SHAPE.1)?;
    {
        // Freed before anybody has waited for the push.
        let buffer = DeviceBuffer::from_slice(gpu, symbols().as_slice().unwrap())?;
        let on_device = DeviceSymbols::of(&buffer, SHAPE.0)?;
        coder.on_stream(LEGACY).enqueue_push(&mut streams, &on_device, &indexes)?;
    }
    let pushed = streams.to_streams()?;
    let mut streams = DeviceStreams::from_streams(gpu, &pushed, 0)?;
    let popped = DeviceBuffer::<u8>::new(gpu, SHAPE.0 * SHAPE.1)?;
    popped.upload(0, &[7; SHAPE.0 * SHAPE.1])?;
    let into = DeviceSymbols::of(&popped, SHAPE.0)?;
    coder.on_stream(OF_THREAD).pop(&mut streams, &into, &indexes)?;
    coder.on_stream(LEGACY).enqueue_push(&mut streams, &into, &indexes)?;
    // A coder whose tables come last, and all else is on the stream already.
    let tables = Tables::from_pmf(&pmf(), 12)?;
    let last = Coder::builder(Family::Rans32x16).lanes(4).gpu(gpu).build(tables)?;
    let last = last.on_gpu().expect("a coder on a device").on_stream(LEGACY);
    let popped = DeviceBuffer::<u8>::new(gpu, SHAPE.0 * SHAPE.1)?;
    let into = DeviceSymbols::of(&popped, SHAPE.0)?;
    last.enqueue_pop(&mut streams, &into, &indexes)?;
    let popped = popped.to_vec()?;
    // There is nothing left: the statuses must be those of this pop.
    last.enqueue_pop(&mut streams, &into, &indexes)?;
    let error = last.check(&streams, &into, &indexes).unwrap_err();
    assert!(matches!(error, Error::Row { row: 0, cause: RowCause::Truncated, .. }), "{error}");
    Ok((pushed, popped))
}

/// What coding with models on changing streams gives.
fn models_on_streams(gpu: &Gpu) -> Result<(Streams, Vec<u8>)> {
    let coder = ModelCoder::new(Family::Rans64, 2)?.with_gpu(gpu);
    let coder = coder.on_gpu().expect("a coder on a device");
    let buffer = DeviceBuffer::from_slice(gpu, symbols().as_slice().unwrap())?;
    let on_device = DeviceSymbols::of(&buffer, SHAPE.0)?;
    let mut streams = coder.streams(SHAPE.0, SHAPE.1)?;
    {
        // The means are freed before anybody has waited for their rounding, the models before
        // anybody has waited for the push.
        let models = {
            let means: Vec<f32> =
                symbols().iter().map(|&symbol| f32::from(symbol) + 0.25).collect();
            let means = DeviceBuffer::from_slice(gpu, &means)?;
            let scales = DeviceBuffer::from_slice(gpu, &[3.5f32; SHAPE.0 * SHAPE.1])?;
            let kind = Kind::Gaussian;
            DeviceModels::distributions_from_f32(gpu, kind, &means, &scales, SHAPE, OF_THREAD)?
        };
        coder.on_stream(LEGACY).enqueue_push(&mut streams, &models, &on_device)?;
    }
    let pushed = streams.to_streams()?;
    let popped = DeviceBuffer::<u8>::new(gpu, SHAPE.0 * SHAPE.1)?;
    let into = DeviceSymbols::of(&popped, SHAPE.0)?;
    let (means, scales) = (symbols().mapv(|s| f32::from(s) + 0.25), Array2::from_elem(SHAPE, 3.5));
    let models = Distributions::from_f32(Kind::Gaussian, means.view(), scales.view())?;
    let models = DeviceModels::upload(gpu, &models)?;
    let mut streams = DeviceStreams::from_streams(gpu, &pushed, 0)?;
    coder.on_stream(OF_THREAD).pop(&mut streams, &models, &into)?;
    Ok((pushed, popped.to_vec()?))
}

type Scenario = fn(&Gpu) -> Result<(Streams, Vec<u8>)>;

#[test]
fn every_ordering_of_streams_is_needed_and_there() {
    const TABLES: &str = "the host waits for StreamHandle(Own)";
    let mut tables = 0;
    for (name, scenario) in
        [("tables", tables_on_streams as Scenario), ("models", models_on_streams as Scenario)]
    {
        let asked = Arc::default();
        let (pushed, popped) = scenario(&disordered(None, &asked)).unwrap();
        assert_eq!(popped, symbols().as_slice().unwrap(), "{name}");
        let asked = asked.lock().unwrap();
        assert!(asked.len() >= 5, "{name}: {asked:?}");
        for (without, what) in asked.iter().enumerate() {
            let gpu = disordered(Some(without), &Arc::default());
            // Some of what goes wrong panics in the scenario.
            let got = catch_unwind(AssertUnwindSafe(|| scenario(&gpu)));
            let unnoticed = matches!(&got, Ok(Ok(got)) if *got == (pushed.clone(), popped.clone()));
            // A coder's tables are waited for when it is built. Few later steps rely on that alone.
            if what == TABLES {
                tables += usize::from(!unnoticed);
                continue;
            }
            assert!(!unnoticed, "{name}: nothing shows that ordering {without} is gone: {what}");
        }
    }
    assert!(tables > 0, "nothing shows that tables are not waited for");
}

#[test]
fn handles_of_the_driver_are_told_apart() {
    #[allow(unsafe_code, reason = "making a stream of a handle is what is tested")]
    // SAFETY: no work is put on them.
    let raw = |handle| unsafe { StreamHandle::from_raw(handle) };
    assert_eq!([raw(0), raw(1)], [StreamHandle::LEGACY_DEFAULT; 2]);
    assert_eq!(raw(2), StreamHandle::PER_THREAD_DEFAULT);
    assert_eq!(raw(0x7f00).kind(), StreamKind::Raw(0x7f00));
    assert_eq!(StreamHandle::default(), StreamHandle::OWN);
    assert_ne!(StreamHandle::OWN, StreamHandle::LEGACY_DEFAULT);
}

#[test]
fn memory_of_another_device_is_refused() {
    let (gpu, other) = (backends::gpu(), backends::gpu());
    let tables = Tables::from_pmf(&pmf(), 12).unwrap();
    let coder = Coder::builder(Family::Rans64).gpu(&gpu).build(tables).unwrap();
    let coder = coder.on_gpu().unwrap();
    let buffer = DeviceBuffer::from_slice(&other, symbols().as_slice().unwrap()).unwrap();
    let on_other = DeviceSymbols::of(&buffer, SHAPE.0).unwrap();
    let mut streams = coder.streams(SHAPE.0, SHAPE.1).unwrap();
    let indexes = DeviceIndexes::one(0, SHAPE.0, SHAPE.1);
    let error = coder.push(&mut streams, &on_other, &indexes).unwrap_err();
    assert!(matches!(&error, Error::InvalidArgument(why) if why.contains("another device")));
    assert!(streams.to_streams().unwrap().is_initial(0));
}

#[test]
fn a_kernel_that_did_nothing_is_a_device_error() {
    // A launch that is accepted and never runs.
    let gpu = Gpu::new(Altered { launch: Box::new(|_, _, _| Ok(())), ..Altered::new() });
    let tables = Tables::from_pmf(&pmf(), 12).unwrap();
    let coder = Coder::builder(Family::Rans64).gpu(&gpu).build(tables).unwrap();
    let error = coder.encode(&symbols(), 0).unwrap_err();
    assert!(
        matches!(&error, Error::Device(why) if why.contains("no kernel wrote the status of row 0")),
        "{error}"
    );
}

//! Symbols with models of their own: `cargo bench --bench models`, or one group with
//! `-- 'Gaussian, rans64, 1 lane'`.
//!
//! 256 rows of int32 symbols, means from a Gaussian of deviation 40, scales from 1/8 to 32 (even on
//! the logarithmic axis), symbols drawn from their distributions, one thread, the streams' capacity
//! outside the time. Criterion's Melem/s are Msymbol/s. Push of probabilities counts quantising
//! them (`quantise`) apart. In test mode (`cargo test --benches`) every group runs once on short
//! rows.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::{Array2, Array3};
use parans::model::{Distributions, Kind, Mixtures, ModelCoder, Models, Pmfs, Uniforms};
use parans::{Family, Precision};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const ROWS: usize = 256;
/// Symbols of the probability tables.
const ALPHABET: usize = 64;
/// Components of the mixtures.
const COMPONENTS: usize = 3;

fn unit(rng: &mut Xoshiro256PlusPlus) -> f64 {
    (f64::from(rng.random::<u32>()) + 0.5) / 4_294_967_296.0
}

/// A draw from the standard distribution.
fn draw(kind: Kind, rng: &mut Xoshiro256PlusPlus) -> f64 {
    let (u, v) = (unit(rng), unit(rng));
    match kind {
        Kind::Gaussian => (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos(),
        Kind::Laplace => u.ln() * if v < 0.5 { 1.0 } else { -1.0 },
        Kind::Logistic => (u / (1.0 - u)).ln(),
    }
}

fn lanes_name(lanes: usize) -> String {
    if lanes == 1 { "1 lane".into() } else { format!("{lanes} lanes") }
}

fn testing() -> bool {
    std::env::args().any(|argument| argument == "--test")
}

/// Times push and pop of `symbols`.
fn bench(
    criterion: &mut Criterion,
    name: &str,
    coder: &ModelCoder,
    models: &impl Models,
    symbols: &Array2<i32>,
) {
    let mut streams = coder.streams(symbols.nrows()).expect("memory for them");
    let mut fresh = streams.clone();
    coder.push(&mut streams, models, symbols).expect("symbols that can be coded");
    // The capacity that they take, kept by popping.
    coder.push(&mut fresh, models, symbols).expect("symbols that can be coded");
    let popped = coder.pop::<i32>(&mut fresh, models).expect("intact rows");
    assert_eq!(&popped, symbols, "{name}");
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(symbols.len() as u64)).sample_size(20);
    group.bench_function(BenchmarkId::from_parameter("push"), |bench| {
        bench.iter_custom(|iterations| {
            let mut total = std::time::Duration::ZERO;
            for _ in 0..iterations {
                let start = std::time::Instant::now();
                coder.push(&mut fresh, models, symbols).expect("capacity for them");
                total += start.elapsed();
                coder.pop::<i32>(&mut fresh, models).expect("intact rows");
            }
            total
        });
    });
    group.bench_function(BenchmarkId::from_parameter("pop"), |bench| {
        bench.iter_custom(|iterations| {
            let mut total = std::time::Duration::ZERO;
            for _ in 0..iterations {
                let mut streams = streams.clone();
                let start = std::time::Instant::now();
                coder.pop::<i32>(&mut streams, models).expect("intact rows");
                total += start.elapsed();
            }
            total
        });
    });
    group.finish();
}

fn parametric(criterion: &mut Criterion) {
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().expect("the first pool");
    let shape = (ROWS, if testing() { 40 } else { 4096 });
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    for kind in Kind::ALL {
        let means =
            Array2::from_shape_simple_fn(shape, || (40.0 * draw(Kind::Gaussian, &mut rng)) as f32);
        let scales =
            Array2::from_shape_simple_fn(shape, || (8.0 * unit(&mut rng) - 3.0).exp2() as f32);
        let mut symbols = Array2::zeros(shape);
        for ((symbol, &mean), &scale) in symbols.iter_mut().zip(&means).zip(&scales) {
            *symbol = (f64::from(mean) + f64::from(scale) * draw(kind, &mut rng)).round() as i32;
        }
        let models =
            Distributions::from_f32(kind, means.view(), scales.view()).expect("parameters");
        for (family, lanes) in [
            (Family::Rans64, 1),
            (Family::Rans64, 32),
            (Family::Rans32, 1),
            (Family::Rans32x16, 32),
        ] {
            // Rans64 at 16 bits too, to be compared.
            let bits = family.max_precision().min(16);
            let coder = ModelCoder::new(family, lanes)
                .and_then(|coder| coder.with_precision(Precision::new(bits)?))
                .expect("a coder");
            let name = format!("{kind:?}, {family}, {}", lanes_name(lanes));
            bench(criterion, &name, &coder, &models, &symbols);
        }
    }
}

fn others(criterion: &mut Criterion) {
    let columns = if testing() { 40 } else { 1024 };
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
    let precision = Precision::new(16).expect("a precision");
    let coder = |lanes| {
        ModelCoder::new(Family::Rans64, lanes)
            .and_then(|coder| coder.with_precision(precision))
            .expect("a coder")
    };

    let shape = (ROWS, columns, COMPONENTS);
    let means =
        Array3::from_shape_simple_fn(shape, || (10.0 * draw(Kind::Gaussian, &mut rng)) as f32);
    let scales = Array3::from_shape_simple_fn(shape, || (5.0 * unit(&mut rng) - 2.0).exp2() as f32);
    let weights = Array3::from_shape_simple_fn(shape, || unit(&mut rng) as f32);
    let models = Mixtures::from_f32(Kind::Logistic, means.view(), scales.view(), weights.view())
        .expect("parameters");
    let symbols = Array2::from_shape_fn((ROWS, columns), |(row, column)| {
        let scale = f64::from(scales[(row, column, 0)]);
        (f64::from(means[(row, column, 0)]) + scale * draw(Kind::Logistic, &mut rng)).round() as i32
    });
    for lanes in [1, 32] {
        let name = format!("mixtures of {COMPONENTS} logistics, rans64, {}", lanes_name(lanes));
        bench(criterion, &name, &coder(lanes), &models, &symbols);
    }

    let pmf = Array3::from_shape_fn((ROWS, columns, ALPHABET), |(row, column, symbol)| {
        let x = (symbol as f32 - ALPHABET as f32 / 2.0) / (1.0 + ((row + column) % 16) as f32);
        (-0.5 * x * x).exp() + 1e-6
    });
    let models = Pmfs::from_pmf(pmf.view(), precision, false).expect("probabilities");
    let symbols = Array2::from_shape_fn((ROWS, columns), |(row, column)| {
        let deviation = 1.0 + ((row + column) % 16) as f64;
        let symbol = ALPHABET as f64 / 2.0 + deviation * draw(Kind::Gaussian, &mut rng);
        symbol.round().clamp(0.0, ALPHABET as f64 - 1.0) as i32
    });
    for lanes in [1, 32] {
        let name = format!("{ALPHABET} probabilities a symbol, rans64, {}", lanes_name(lanes));
        bench(criterion, &name, &coder(lanes), &models, &symbols);
    }
    let mut group = criterion.benchmark_group(format!("{ALPHABET} probabilities a symbol"));
    group.throughput(Throughput::Elements(symbols.len() as u64)).sample_size(10);
    group.bench_function("quantise", |bench| {
        bench.iter(|| Pmfs::from_pmf(pmf.view(), precision, false).expect("probabilities"));
    });
    group.finish();

    let models = Uniforms::new(-500, 1000, ROWS, columns).expect("an alphabet");
    let symbols = Array2::from_shape_simple_fn((ROWS, columns), || rng.random_range(-500..500));
    for lanes in [1, 32] {
        let name = format!("uniform of 1000, rans64, {}", lanes_name(lanes));
        bench(criterion, &name, &coder(lanes), &models, &symbols);
    }
}

criterion_group!(benches, parametric, others);
criterion_main!(benches);

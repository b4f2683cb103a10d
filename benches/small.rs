//! What is paid once per call or once per table: short work, and building tables.
//! `cargo bench --bench small`.
//!
//! `small/...`: one row of 1,000 symbols, and 1,000 rows of 16, of every rANS family and tans32: no
//! slower than `PARANS_SIMD=scalar` with the same arguments. `tables`: 64 Gaussian tables of 256
//! symbols, from `f32` probabilities: quantised, and ready to push and pop, which is a first push
//! and pop of a symbol for each; on one thread. In test mode (`cargo test --benches`) every group
//! runs once.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use parans::{Coder, Family, Indexes, Precision, Symbols, Tables};
use parans_benches::gaussians;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const ALPHABET: usize = 256;

fn small(criterion: &mut Criterion) {
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().expect("the first pool");
    let families =
        [(Family::Rans64, 16), (Family::Rans32, 16), (Family::Rans32x16, 15), (Family::Tans32, 12)];
    for (rows, columns) in [(1, 1000), (1000, 16)] {
        for (family, precision) in families {
            for lanes in [1, 4, 8, 32] {
                for count in [1, 64] {
                    let precision = Precision::new(precision).expect("a precision");
                    let tables = Tables::from_pmf(gaussians(count, ALPHABET).view(), precision);
                    let tables = tables.expect("probabilities");
                    let mut rng = Xoshiro256PlusPlus::seed_from_u64(0);
                    let indexes: Vec<i32> =
                        (0..rows * columns).map(|_| rng.random_range(0..count as i32)).collect();
                    // Near the centre, where every table's symbols are.
                    let symbols: Vec<i32> =
                        indexes.iter().map(|_| rng.random_range(120..136)).collect();
                    let coder = Coder::builder(family).lanes(lanes).build(tables).expect("a coder");
                    let name = format!("small/{rows}x{columns}/{family}_x{lanes}/{count}");
                    time(criterion, &name, &coder, (&symbols, &indexes), rows);
                }
            }
        }
    }
}

/// Times a push and a pop of warm streams.
fn time(
    criterion: &mut Criterion,
    name: &str,
    coder: &Coder,
    (symbols, indexes): (&[i32], &[i32]),
    rows: usize,
) {
    let shaped = || Symbols::from_slice(symbols, rows).expect("a shape");
    let indexed = || Indexes::each(indexes, rows).expect("a shape");
    let mut streams = coder.streams(rows).expect("memory for them");
    let mut popped = vec![0i32; symbols.len()];
    let mut turn = || {
        let start = Instant::now();
        coder.push(&mut streams, shaped(), indexed()).expect("symbols of the tables");
        let pushed = start.elapsed();
        coder.pop_into(&mut streams, indexed(), black_box(&mut popped)).expect("intact rows");
        (pushed, start.elapsed() - pushed)
    };
    // Warm, and something to compare even where a filter leaves this group out.
    turn();
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(symbols.len() as u64)).sample_size(10);
    group.warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(300));
    group.bench_function("push", |bench| {
        bench.iter_custom(|iterations| (0..iterations).map(|_| turn().0).sum());
    });
    group.bench_function("pop", |bench| {
        bench.iter_custom(|iterations| (0..iterations).map(|_| turn().1).sum());
    });
    group.finish();
    assert_eq!(popped, symbols, "{name}");
}

fn tables(criterion: &mut Criterion) {
    const TABLES: usize = 64;
    let pmf = gaussians(TABLES, ALPHABET);
    let symbols = [ALPHABET as i32 / 2; TABLES];
    let indexes: [i32; TABLES] = std::array::from_fn(|table| table as i32);
    let mut group = criterion.benchmark_group("tables");
    group.throughput(Throughput::Elements(TABLES as u64)).sample_size(20);
    for bits in [15, 16] {
        let precision = Precision::new(bits).expect("a precision");
        let build = || Tables::from_pmf(black_box(pmf.view()), precision).expect("probabilities");
        group.bench_function(format!("p={bits}/quantise"), |bench| bench.iter(build));
        let family = if bits == 15 { Family::Rans32x16 } else { Family::Rans64 };
        group.bench_function(format!("p={bits}/ready to push and pop {family}"), |bench| {
            bench.iter(|| {
                let coder = Coder::builder(family).build(build()).expect("a coder");
                let symbols = Symbols::from_slice(&symbols, TABLES).expect("a shape");
                let indexes = Indexes::each(&indexes, TABLES).expect("a shape");
                let mut streams = coder.streams(TABLES).expect("memory for them");
                coder.push(&mut streams, symbols, indexes.clone()).expect("symbols of the tables");
                coder.pop::<i32>(&mut streams, indexes).expect("intact rows")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, small, tables);
criterion_main!(benches);

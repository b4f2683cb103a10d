//! Rows of rANS, as torch_ans codes them: `cargo bench --bench rows`, or one group with
//! `-- 'rans64, 4 lanes'`.
//!
//! Each group is one row of the table in `docs/performance.md`: 256 rows of int32 symbols over 256
//! symbols, int32 indexes one per symbol, one thread, the stream's capacity and the output
//! allocated outside the time. `copy` moves the same arrays, which is as fast as coding could be.
//! In test mode (`cargo bench --bench rows -- --test`) every group runs once on short rows.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array2;
use parans::{Bypass, Coder, Family, Indexes, Precision, Symbols, Tables};
use parans_benches::gaussians;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const ROWS: usize = 256;
const ALPHABET: usize = 256;

struct Case {
    name: &'static str,
    family: Family,
    lanes: usize,
    precision: u32,
    tables: usize,
    bypass: bool,
}

const fn case(
    name: &'static str,
    family: Family,
    lanes: usize,
    precision: u32,
    tables: usize,
    bypass: bool,
) -> Case {
    Case { name, family, lanes, precision, tables, bypass }
}

const CASES: &[Case] = &[
    case("rans64, 1 lane", Family::Rans64, 1, 16, 1, false),
    case("rans64, 4 lanes", Family::Rans64, 4, 16, 1, false),
    case("rans32, 1 lane", Family::Rans32, 1, 16, 1, false),
    case("rans32_16, 1 lane", Family::Rans32x16, 1, 15, 1, false),
    case("rans32_16, 8 lanes", Family::Rans32x16, 8, 15, 1, false),
    case("rans32_16, 32 lanes, p=12", Family::Rans32x16, 32, 12, 1, false),
    case("rans32_16, 32 lanes, p=15", Family::Rans32x16, 32, 15, 1, false),
    case("rans32_16, 32 lanes, 64 tables", Family::Rans32x16, 32, 15, 64, false),
    case("rans32_16, 32 lanes, 64 tables, bypass", Family::Rans32x16, 32, 15, 64, true),
    case("rans64, 32 lanes", Family::Rans64, 32, 16, 1, false),
    case("rans64, 32 lanes, 64 tables", Family::Rans64, 32, 15, 64, false),
    case("rans32, 32 lanes", Family::Rans32, 32, 16, 1, false),
    case("rans64, 1 lane, 64 tables", Family::Rans64, 1, 15, 64, false),
    case("rans64, 4 lanes, 64 tables", Family::Rans64, 4, 15, 64, false),
    case("rans64, 1 lane, 64 tables, bypass", Family::Rans64, 1, 15, 64, true),
];

/// One uniform table, or discretised Gaussians.
fn probabilities(tables: usize) -> Array2<f32> {
    if tables == 1 {
        return Array2::from_elem((1, ALPHABET), 1.0 / ALPHABET as f32);
    }
    gaussians(tables, ALPHABET)
}

/// A symbol for each index, drawn from its table.
fn draw(tables: &Tables, indexes: &[i32], rng: &mut Xoshiro256PlusPlus) -> Vec<i32> {
    let slots: Vec<Vec<i32>> = (0..tables.len())
        .map(|table| {
            let runs = tables.frequencies(table).take(ALPHABET).enumerate();
            runs.flat_map(|(symbol, freq)| std::iter::repeat_n(symbol as i32, freq as usize))
                .collect()
        })
        .collect();
    indexes
        .iter()
        .map(|&index| {
            let slots = &slots[index as usize];
            slots[rng.random_range(0..slots.len())]
        })
        .collect()
}

fn rows(criterion: &mut Criterion) {
    // Rows of 51,200 as the table has them; short ones where each case only has to run.
    let testing = std::env::args().any(|argument| argument == "--test");
    let columns = if testing { 100 } else { 51_200 };
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().expect("the first pool");
    for case in CASES {
        let precision = Precision::new(case.precision).expect("a precision");
        let tables = Tables::builder(precision)
            .sentinel(case.bypass)
            .pmf(probabilities(case.tables).view())
            .expect("tables");
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(0);
        let indexes: Vec<i32> =
            (0..ROWS * columns).map(|_| rng.random_range(0..case.tables as i32)).collect();
        let symbols = draw(&tables, &indexes, &mut rng);
        let bypass = if case.bypass { Bypass::digits(4) } else { Bypass::Off };
        let coder = Coder::builder(case.family)
            .lanes(case.lanes)
            .bypass(bypass)
            .build(tables)
            .expect("a coder");
        let shaped = || Symbols::from_slice(&symbols, ROWS).expect("a shape");
        let indexes = || Indexes::each(&indexes, ROWS).expect("a shape");
        let mut streams = coder.streams(ROWS).expect("memory for them");
        streams.reserve(4 * columns + 4096).expect("capacity");
        let mut fresh = streams.clone();
        coder.push(&mut streams, shaped(), indexes()).expect("symbols of the tables");
        let mut popped = vec![0i32; symbols.len()];
        coder.pop_into(&mut streams.clone(), indexes(), &mut popped).expect("intact rows");
        assert_eq!(popped, symbols, "{}", case.name);

        let mut group = criterion.benchmark_group(case.name);
        group.throughput(Throughput::Elements(symbols.len() as u64)).sample_size(20);
        group.bench_function(BenchmarkId::from_parameter("push"), |bench| {
            bench.iter_custom(|iterations| {
                let mut total = std::time::Duration::ZERO;
                for _ in 0..iterations {
                    let start = std::time::Instant::now();
                    coder.push(&mut fresh, shaped(), indexes()).expect("capacity for them");
                    total += start.elapsed();
                    // Popping empties the streams without giving up their capacity.
                    coder.pop_into(&mut fresh, indexes(), &mut popped).expect("intact rows");
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
                    coder.pop_into(&mut streams, indexes(), &mut popped).expect("intact rows");
                    total += start.elapsed();
                }
                total
            });
        });
        group.bench_function(BenchmarkId::from_parameter("copy"), |bench| {
            bench.iter(|| popped.copy_from_slice(black_box(&symbols)));
        });
        group.finish();
    }
}

/// Building tables, from probabilities to a coder with everything prepared.
fn tables(criterion: &mut Criterion) {
    let pmf = probabilities(64);
    criterion.bench_function("64 tables at precision 16", |bench| {
        bench.iter(|| {
            let tables = Tables::from_pmf(pmf.view(), Precision::new(16).expect("a precision"));
            Coder::builder(Family::Rans64).build(tables.expect("tables")).expect("a coder")
        });
    });
}

criterion_group!(benches, rows, tables);
criterion_main!(benches);

//! Every family, lane count and lookup: `cargo bench --bench codec`, or some with
//! `-- 'rans32_16/x32'`.
//!
//! 64 rows of 16,384 symbols (u8, one Gaussian table of 64 symbols at 12 bits or the family's
//! limit), one thread. In test mode (`cargo test`) every group runs once on short rows.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array2;
use parans::{Coder, Family, Indexes, Lookup, Precision, Symbols, Tables};

const ROWS: usize = 64;

fn codec(criterion: &mut Criterion) {
    let columns = if std::env::args().any(|argument| argument == "--bench") { 16_384 } else { 40 };
    let count = ROWS * columns;
    let pmf = Array2::from_shape_fn((1, 64), |(_, symbol)| {
        let x = (symbol as f64 - 32.0) / 8.0;
        (-0.5 * x * x).exp() + 1e-4
    });
    // A sum of three uniform parts is near enough to the table.
    let symbols: Vec<u8> = (0..count as u32)
        .map(|i| {
            let hash = i.wrapping_mul(2_654_435_761);
            ((hash >> 27) + (hash >> 22 & 15) + (hash >> 17 & 15)) as u8
        })
        .collect();
    let symbols = Symbols::from_slice(&symbols, ROWS).expect("rows of symbols");
    let indexes = Indexes::one(0, ROWS, columns);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    for &family in Family::ALL {
        let precision = Precision::new(family.max_precision().min(12)).expect("a precision");
        let tables = Tables::from_pmf(pmf.view(), precision).expect("a table");
        let tans = family.name().starts_with("tans");
        let lookups: &[Lookup] = if tans {
            &[Lookup::Auto]
        } else {
            &[Lookup::Search, Lookup::InverseCdf, Lookup::Alias]
        };
        for &lanes in Family::LANES {
            let mut group = criterion.benchmark_group(format!("{family}/x{lanes}"));
            group.throughput(Throughput::Elements(count as u64)).sample_size(10);
            for &lookup in lookups {
                let coder = Coder::builder(family).lanes(lanes).lookup(lookup);
                let coder = coder.build(tables.clone()).expect("a coder");
                let mut streams = coder.streams(ROWS).expect("memory for them");
                let mut popped = vec![0u8; count];
                let mut push_pop = |timed_push: bool, turns: u64| {
                    let mut time = std::time::Duration::ZERO;
                    for _ in 0..turns {
                        let start = std::time::Instant::now();
                        coder.push(&mut streams, symbols.clone(), indexes.clone()).expect("a push");
                        let pushed = start.elapsed();
                        coder
                            .pop_into(&mut streams, indexes.clone(), black_box(&mut popped))
                            .expect("a pop");
                        time += if timed_push { pushed } else { start.elapsed() - pushed };
                    }
                    assert!(popped == symbols.as_slice());
                    time
                };
                for (name, timed_push) in [("push", true), ("pop", false)] {
                    let id = format!("{name}/{}", lookup.name());
                    group.bench_function(id, |bencher| {
                        bencher.iter_custom(|turns| pool.install(|| push_pop(timed_push, turns)));
                    });
                }
            }
            group.finish();
        }
    }
}

criterion_group!(benches, codec);
criterion_main!(benches);

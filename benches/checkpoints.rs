//! One row, popped whole and from checkpoints: `cargo bench --bench checkpoints`.
//!
//! 10 million int32 symbols over 256 symbols, one table for all, a checkpoint every 20,000; output
//! allocated outside the time. `plain` pops the row as any reader does, on one thread because a row
//! is a chain. In test mode (`cargo test --benches`) every group runs once on a short row.

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array2;
use parans::{Coder, Family, Indexes, Precision, Symbols, Tables};

const CASES: [(Family, usize); 5] = [
    (Family::Rans64, 1),
    (Family::Rans32x16, 1),
    (Family::Rans32x16, 8),
    (Family::Rans32x16, 32),
    (Family::Tans32, 1),
];

fn checkpoints(criterion: &mut Criterion) {
    let testing = std::env::args().any(|argument| argument == "--test");
    let (columns, every) = if testing { (1000, 96) } else { (10_000_000, 20_000) };
    // Discretised, bell-shaped: the bytes of a hash's parts added up.
    let symbols: Vec<i32> = (0..columns as u32)
        .map(|i| {
            let hash = i.wrapping_mul(2_654_435_761) ^ (i >> 3).wrapping_mul(40_503);
            ((hash & 63) + (hash >> 8 & 63) + (hash >> 16 & 63) + (hash >> 24 & 63)) as i32
        })
        .collect();
    let mut counts = Array2::from_elem((1, 256), 1u64);
    symbols.iter().for_each(|&symbol| counts[(0, symbol as usize)] += 1);
    let indexes = || Indexes::one(0, 1, columns);
    for (family, lanes) in CASES {
        let precision = Precision::new(12).expect("a precision");
        let tables = Tables::from_counts(counts.view(), precision).expect("tables");
        let coder = Coder::builder(family).lanes(lanes).build(tables).expect("a coder");
        let mut streams = coder.streams(1).expect("memory for them");
        let row = Symbols::from_slice(&symbols, 1).expect("one row");
        let table =
            coder.push_checkpointed(&mut streams, row, indexes(), every).expect("known symbols");
        let bytes = table.to_bytes().expect("a family with a number").len();
        let mut popped = vec![0i32; columns];
        coder
            .pop_checkpointed_into(&mut streams.clone(), indexes(), &table, &mut popped)
            .expect("an intact row");
        assert_eq!(popped, symbols, "{family} x{lanes}");
        let mut group = criterion.benchmark_group(format!("{family} x{lanes}"));
        group.throughput(Throughput::Elements(columns as u64)).sample_size(10);
        let mut measure = |name: &str, threads: usize, from_checkpoints: bool| {
            let pool =
                rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            group.bench_function(name, |bench| {
                bench.iter_custom(|iterations| {
                    pool.install(|| {
                        let mut total = Duration::ZERO;
                        for _ in 0..iterations {
                            let mut streams = streams.clone();
                            let start = Instant::now();
                            if from_checkpoints {
                                coder.pop_checkpointed_into(
                                    &mut streams,
                                    indexes(),
                                    &table,
                                    &mut popped,
                                )
                            } else {
                                coder.pop_into(&mut streams, indexes(), &mut popped)
                            }
                            .expect("an intact row");
                            total += start.elapsed();
                        }
                        total
                    })
                });
            });
        };
        measure("plain", 1, false);
        measure("checkpoints, 1 thread", 1, true);
        measure("checkpoints, 2 threads", 2, true);
        group.finish();
        println!("{family} x{lanes}: row {} bytes, checkpoints {bytes}", streams.total_bytes());
    }
}

criterion_group!(benches, checkpoints);
criterion_main!(benches);

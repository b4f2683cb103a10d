//! How rows are split over threads.

use super::{rows_per_block_of, rows_together};
use crate::Family;

#[test]
fn blocks_fill_the_vectors_of_every_thread() {
    let block_of = |family, threads, rows, columns, lanes| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| rows_per_block_of(rows, columns, rows_together(family, lanes)))
    };
    let block =
        |threads, rows, columns, lanes| block_of(Family::Rans64, threads, rows, columns, lanes);
    // Too little work for two threads: one block, as for one thread.
    assert_eq!(
        [block(2, 1000, 16, 1), block(2, 1, 1 << 20, 1), block(1, 256, 1000, 1)],
        [1000, 1, 256]
    );
    // Blocks of 64 states, four per thread where rows abound.
    assert_eq!(
        [block(2, 256, 1000, 1), block(2, 256, 1000, 8), block(2, 256, 1000, 32)],
        [64, 32, 32]
    );
    assert_eq!(block(2, 4096, 1000, 1), 512);
    // Of tANS 64 rows, whatever their lanes.
    assert_eq!([block_of(Family::Tans32, 2, 256, 1000, 8), block(2, 256, 1000, 8)], [64, 32]);
    // Rather fewer than one thread with far more to do than the other: 192 rows are not 128 and 64,
    // nor 136 72 and 64.
    assert_eq!([block(2, 192, 1000, 1), block(2, 136, 1000, 1)], [96, 68]);
    // Every thread has a block, however few the rows.
    assert_eq!(
        [block(2, 64, 1000, 1), block(8, 256, 1000, 1), block(2, 3, 100_000, 8)],
        [32, 32, 2]
    );
    assert_eq!(block(2, 0, 0, 1), 1);
}

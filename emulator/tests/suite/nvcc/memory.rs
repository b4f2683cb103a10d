//! Kernels about memory: grid-stride loops, shared tiles, shared and global atomics, vectors, local
//! arrays, cp.async.

use super::device::{Gpu, arg, numbers, small_floats, words};
use parans_emulator::{Fault, Launch};

#[test]
fn saxpy_over_a_ragged_grid() {
    let gpu = Gpu::with("saxpy");
    for (n, blocks, threads) in [(1, 1, 32), (1000, 3, 64), (4097, 8, 96)] {
        let x: Vec<f32> = numbers(n, 1).iter().map(|&v| v as i32 as f32 * 1e-3).collect();
        let y: Vec<f32> = numbers(n, 2).iter().map(|&v| v as i32 as f32 * 1e-5).collect();
        let (dx, dy) = (gpu.upload(&x), gpu.upload(&y));
        let args = [arg(0.3f32), arg(dx), arg(dy), arg(n as i32)];
        gpu.run("saxpy", Launch::linear(blocks, threads), &args);
        let expected: Vec<f32> = x.iter().zip(&y).map(|(x, y)| 0.3f32.mul_add(*x, *y)).collect();
        assert_eq!(gpu.download::<f32>(dy, n), expected, "n = {n}");
    }
}

#[test]
fn saxpy_past_its_buffer_is_caught() {
    let gpu = Gpu::with("saxpy");
    let (x, y) = (gpu.upload(&[1.0f32; 100]), gpu.upload(&[1.0f32; 100]));
    let args = [arg(1.0f32), arg(x), arg(y), arg(101i32)];
    match gpu.try_run("saxpy", Launch::linear(4, 32), &args) {
        Err(Fault::OutOfBounds(access)) => {
            assert_eq!((access.at.block, access.at.thread), ([3, 0, 0], [4, 0, 0]), "{access}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn histogram_with_shared_atomics() {
    let gpu = Gpu::with("histogram");
    let bytes: Vec<u8> =
        numbers(10_007, 3).iter().map(|&v| (v % 251 * (v >> 32) % 256) as u8).collect();
    let (input, counts) = (gpu.upload(&bytes), gpu.upload(&[0u32; 256]));
    gpu.run(
        "histogram",
        Launch::linear(5, 128),
        &[arg(input), arg(bytes.len() as i32), arg(counts)],
    );
    let mut expected = vec![0u32; 256];
    for byte in bytes {
        expected[usize::from(byte)] += 1;
    }
    assert_eq!(gpu.download::<u32>(counts, 256), expected);
}

#[test]
fn scan_in_dynamic_shared_memory() {
    let gpu = Gpu::with("scan");
    let (blocks, threads) = (3, 256);
    let values = words(blocks * threads, 4);
    let (input, output) = (gpu.upload(&values), gpu.room::<u32>(values.len()));
    let launch = Launch::linear(blocks as u32, threads as u32).shared(4 * threads as u32);
    gpu.run("scan", launch, &[arg(input), arg(output)]);
    let expected: Vec<u32> = values
        .chunks(threads)
        .flat_map(|block| {
            block.iter().scan(0u32, |sum, &value| {
                *sum = sum.wrapping_add(value);
                Some(*sum)
            })
        })
        .collect();
    assert_eq!(gpu.download::<u32>(output, values.len()), expected);
}

#[test]
fn scan_without_its_shared_memory_is_caught() {
    let gpu = Gpu::with("scan");
    let (input, output) = (gpu.upload(&[1u32; 64]), gpu.room::<u32>(64));
    let launch = Launch::linear(1, 64).shared(4 * 63);
    let fault = gpu.try_run("scan", launch, &[arg(input), arg(output)]);
    assert!(matches!(fault, Err(Fault::OutOfBounds(_))), "{fault:?}");
}

#[test]
fn transpose_through_padded_tiles() {
    let gpu = Gpu::with("transpose");
    let (width, height) = (70usize, 45usize);
    let values = small_floats(width * height, 5);
    let (input, output) = (gpu.upload(&values), gpu.room::<f32>(values.len()));
    let grid = [width.div_ceil(32) as u32, height.div_ceil(32) as u32, 1];
    let launch = Launch { grid, block: [32, 8, 1], dynamic_shared: 0 };
    let args = [arg(input), arg(output), arg(width as i32), arg(height as i32)];
    let report = gpu.run("transpose", launch, &args);
    let expected: Vec<f32> =
        (0..width * height).map(|i| values[(i % height) * width + i / height]).collect();
    assert_eq!(gpu.download::<f32>(output, values.len()), expected);
    // The padding is there so that columns have no bank conflicts.
    assert_eq!(report.shared_wavefronts, report.shared_requests);
}

#[test]
fn matmul_with_ragged_tiles() {
    let gpu = Gpu::with("matmul");
    let (rows, inner, columns) = (33usize, 50usize, 20usize);
    let (a, b) = (small_floats(rows * inner, 6), small_floats(inner * columns, 7));
    let (da, db, dc) = (gpu.upload(&a), gpu.upload(&b), gpu.room::<f32>(rows * columns));
    let grid = [columns.div_ceil(16) as u32, rows.div_ceil(16) as u32, 1];
    let launch = Launch { grid, block: [16, 16, 1], dynamic_shared: 0 };
    let sizes = [rows, inner, columns].map(|size| arg(size as i32));
    gpu.run("matmul", launch, &[[arg(da), arg(db), arg(dc)].as_slice(), &sizes].concat());
    let expected: Vec<f32> = (0..rows * columns)
        .map(|i| {
            let (row, column) = (i / columns, i % columns);
            (0..inner).map(|k| a[row * inner + k] * b[k * columns + column]).sum()
        })
        .collect();
    assert_eq!(gpu.download::<f32>(dc, rows * columns), expected);
}

#[test]
fn atomics_of_every_kind() {
    let gpu = Gpu::with("queue");
    let values = words(777, 8);
    let start = [0, u32::MAX, i32::MIN as u32, u32::MAX, 0, 0, 0, 0, 0u32];
    let (input, slots) = (gpu.upload(&values), gpu.upload(&start));
    let (wide, sum) = (gpu.upload(&[0u64]), gpu.upload(&[0f32]));
    let args = [arg(input), arg(slots), arg(wide), arg(sum), arg(values.len() as i32)];
    gpu.run("tally", Launch::linear(7, 128), &args);
    let expected = [
        values.iter().fold(0u32, |sum, &v| sum.wrapping_add(v)),
        *values.iter().min().unwrap(),
        values.iter().map(|&v| v as i32).max().unwrap() as u32,
        values.iter().fold(u32::MAX, |all, &v| all & (v | 0xff00)),
        values.iter().fold(0, |any, &v| any | (v & 0x0ff0)),
        values.iter().fold(0, |odd, &v| odd ^ v),
        (values.len() % 10) as u32,
        *values.iter().filter(|&&v| v % 2 == 1).max().unwrap(),
        1,
    ];
    assert_eq!(gpu.download::<u32>(slots, 9), expected);
    assert_eq!(
        gpu.download::<u64>(wide, 1),
        [values.iter().map(|&v| u64::from(v) << 20).sum::<u64>()]
    );
    assert_eq!(gpu.download::<f32>(sum, 1), [values.iter().map(|&v| (v & 15) as f32).sum::<f32>()]);
}

#[test]
fn sorting_in_local_arrays() {
    let gpu = Gpu::with("locals");
    let rows = 4 * 3 * 5;
    let values: Vec<i32> = words(rows * 8, 9).into_iter().map(|v| v as i32).collect();
    let (input, output) = (gpu.upload(&values), gpu.room::<i32>(values.len()));
    let launch = Launch { grid: [1, 1, 1], block: [4, 3, 5], dynamic_shared: 0 };
    gpu.run("sort_rows", launch, &[arg(input), arg(output)]);
    let mut expected = values;
    for row in expected.chunks_mut(8) {
        row.sort_unstable();
    }
    assert_eq!(gpu.download::<i32>(output, rows * 8), expected);
}

#[test]
fn asynchronous_copies_into_shared_memory() {
    let gpu = Gpu::with("async_copy");
    let values = words(3 * 512, 10);
    let (input, output) = (gpu.upload(&values), gpu.room::<u32>(values.len()));
    gpu.run("reverse_tiles", Launch::linear(3, 128), &[arg(input), arg(output)]);
    let expected: Vec<u32> =
        values.chunks(512).flat_map(|tile| tile.iter().rev().copied()).collect();
    assert_eq!(gpu.download::<u32>(output, values.len()), expected);
}

//! Kernels about warps: shuffles, votes, matches, divergence, calls and indirect branches.

use super::device::{Gpu, arg, numbers, words};
use parans_emulator::Launch;

#[test]
fn sums_by_shuffles() {
    let gpu = Gpu::with("reduce");
    for (n, blocks, threads) in [(5, 1, 32), (1000, 2, 256), (30_001, 3, 1024)] {
        let values: Vec<i32> = words(n, 11).into_iter().map(|v| v as i32 >> 12).collect();
        let (input, total) = (gpu.upload(&values), gpu.upload(&[0i32]));
        let args = [arg(input), arg(n as i32), arg(total)];
        gpu.run("reduce_sum", Launch::linear(blocks, threads), &args);
        assert_eq!(gpu.download::<i32>(total, 1), [values.iter().sum::<i32>()], "n = {n}");
    }
}

#[test]
fn maxima_by_butterflies() {
    let gpu = Gpu::with("reduce");
    let values = words(512, 12);
    let (input, largest) = (gpu.upload(&values), gpu.upload(&[0u32]));
    gpu.run("reduce_max", Launch::linear(4, 128), &[arg(input), arg(largest)]);
    assert_eq!(gpu.download::<u32>(largest, 1), [*values.iter().max().unwrap()]);
}

#[test]
fn compaction_by_ballots() {
    let gpu = Gpu::with("warp");
    let n = 700;
    let values: Vec<i32> = words(n, 13).into_iter().map(|v| v as i32 % 100).collect();
    let (input, output) = (gpu.upload(&values), gpu.upload(&vec![0i32; n]));
    let count = gpu.upload(&[0i32]);
    let args = [arg(input), arg(n as i32), arg(output), arg(count)];
    gpu.run("compact", Launch::linear(6, 128), &args);
    let mut expected: Vec<i32> = values.into_iter().filter(|&v| v > 0).collect();
    assert_eq!(gpu.download::<i32>(count, 1), [expected.len() as i32]);
    // Warps take their places in any order; each keeps its own.
    let mut kept = gpu.download::<i32>(output, expected.len());
    kept.sort_unstable();
    expected.sort_unstable();
    assert_eq!(kept, expected);
}

#[test]
fn equal_keys_find_each_other() {
    let gpu = Gpu::with("warp");
    let threads = 96;
    // The second warp has one key only.
    let keys: Vec<i32> = numbers(threads, 14)
        .iter()
        .enumerate()
        .map(|(i, &v)| if i / 32 == 1 { 5 } else { (v % 9) as i32 })
        .collect();
    let (input, masks) = (gpu.upload(&keys), gpu.room::<u32>(2 * threads));
    let flags = gpu.room::<i32>(3 * threads);
    gpu.run("peers", Launch::linear(1, threads as u32), &[arg(input), arg(masks), arg(flags)]);
    let (masks, flags) =
        (gpu.download::<u32>(masks, 2 * threads), gpu.download::<i32>(flags, 3 * threads));
    for (warp, keys) in keys.chunks(32).enumerate() {
        let mask = |wanted: &dyn Fn(i32) -> bool| {
            keys.iter()
                .enumerate()
                .fold(0u32, |mask, (lane, &key)| mask | u32::from(wanted(key)) << lane)
        };
        let same = keys.iter().all(|&key| key == keys[0]);
        let any = i32::from(keys.contains(&3)) + 2 * i32::from(keys.iter().all(|&key| key < 8));
        for (lane, &key) in keys.iter().enumerate() {
            let i = 32 * warp + lane;
            assert_eq!(masks[2 * i], mask(&|other| other == key), "match_any, thread {i}");
            assert_eq!(masks[2 * i + 1], if same { u32::MAX } else { 0 }, "match_all, thread {i}");
            assert_eq!(flags[3 * i], i32::from(same), "match_all's predicate, thread {i}");
            assert_eq!(flags[3 * i + 1], any, "votes, thread {i}");
            let odd = if key % 2 == 1 { mask(&|other| other % 2 == 1 && other > 4) } else { 0 };
            assert_eq!(flags[3 * i + 2], odd as i32, "ballot in a branch, thread {i}");
        }
    }
}

/// `__byte_perm(x, y, 0x7531)`.
fn odd_bytes(x: u32, y: u32) -> u32 {
    let bytes = [x.to_le_bytes(), y.to_le_bytes()].concat();
    u32::from_le_bytes([bytes[1], bytes[3], bytes[5], bytes[7]])
}

/// `__ffs`.
fn first_set(x: u32) -> u32 {
    if x == 0 { 0 } else { x.trailing_zeros() + 1 }
}

#[test]
fn a_switch_of_ten_cases() {
    let gpu = Gpu::with("branches");
    let n = 500;
    let mut values = words(n, 15);
    values[..32].copy_from_slice(&[0; 32]); // clz, ffs and division of zero
    let ops: Vec<u32> = numbers(n, 16).iter().map(|&v| (v % 12) as u32).collect();
    let (op, x, out) = (gpu.upload(&ops), gpu.upload(&values), gpu.room::<u32>(n));
    gpu.run("dispatch", Launch::linear(4, 128), &[arg(op), arg(x), arg(out), arg(n as i32)]);
    let expected: Vec<u32> = ops
        .iter()
        .zip(&values)
        .map(|(&op, &v)| match op {
            0 => v.wrapping_add(17),
            1 => v.wrapping_mul(2_654_435_761),
            2 => v ^ (v >> 15),
            3 => v.count_ones() * 1000,
            4 => v.leading_zeros() + 100,
            5 => v.reverse_bits(),
            6 => first_set(v) * 7,
            7 => v / 10,
            8 => v % 1000,
            9 => odd_bytes(v, !v),
            _ => 0xdead_beef,
        })
        .collect();
    assert_eq!(gpu.download::<u32>(out, n), expected);
}

/// The stack machine of `interpret`.
fn interpret(program: &[u8], input: u32) -> u32 {
    let (mut stack, mut top, mut accumulator) = ([0u32; 8], 0u32, input);
    let mut at = 0;
    while at < program.len() {
        match program[at] {
            0 => return accumulator,
            1 => {
                stack[top as usize & 7] = accumulator;
                top = top.wrapping_add(1);
            }
            2 => {
                top = top.wrapping_sub(1);
                accumulator = accumulator.wrapping_add(stack[top as usize & 7]);
            }
            3 => accumulator = accumulator.wrapping_mul(2_654_435_761),
            4 => accumulator ^= accumulator >> 15,
            5 => accumulator = accumulator.count_ones() * 1000,
            6 => accumulator = accumulator.leading_zeros() + 100,
            7 => accumulator = accumulator.reverse_bits(),
            8 => accumulator = first_set(accumulator) * 7,
            9 => accumulator /= 10,
            10 => accumulator %= 1000,
            11 => accumulator = odd_bytes(accumulator, !accumulator),
            12 => at += (accumulator & 1) as usize,
            13 => {
                let high = u64::from(stack[top.wrapping_sub(1) as usize & 7]) << 32;
                accumulator = ((high | u64::from(accumulator)) >> 11) as u32;
            }
            _ => {}
        }
        at += 1;
    }
    !accumulator
}

#[test]
fn a_program_in_each_lane() {
    let gpu = Gpu::with("branches");
    let (threads, length) = (160, 40);
    // Code 0 ends a program: rare, so that some run to the end.
    let code: Vec<u8> = numbers(threads * length, 17)
        .iter()
        .map(|&v| if v % 97 == 0 { 0 } else { (v % 15) as u8 + 1 })
        .collect();
    let input = words(threads, 18);
    let (program, start, out) = (gpu.upload(&code), gpu.upload(&input), gpu.room::<u32>(threads));
    let args = [arg(program), arg(length as i32), arg(start), arg(out)];
    let report = gpu.run("interpret", Launch::linear(1, threads as u32), &args);
    let expected: Vec<u32> =
        code.chunks(length).zip(&input).map(|(program, &x)| interpret(program, x)).collect();
    assert_eq!(gpu.download::<u32>(out, threads), expected);
    assert!(report.divergent_branches > 100, "{report}");
}

#[test]
fn an_indirect_branch_reconverges() {
    let gpu = Gpu::with("branches");
    let input: Vec<u32> = words(64, 19);
    let (start, out) = (gpu.upload(&input), gpu.room::<u32>(64));
    gpu.run("jump", Launch::linear(1, 64), &[arg(start), arg(out)]);
    let results: Vec<u32> = input.iter().map(|&v| [11, 23, 66, 25][v as usize & 3]).collect();
    let expected: Vec<u32> = results
        .chunks(32)
        .flat_map(|warp| {
            let above = warp.iter().filter(|&&v| v > 20).count() as u32;
            warp.iter().map(move |&v| v + above)
        })
        .collect();
    assert_eq!(gpu.download::<u32>(out, 64), expected);
}

#[test]
fn loops_that_lanes_leave_one_by_one() {
    let gpu = Gpu::with("branches");
    let start: Vec<u32> = words(200, 20).into_iter().map(|v| v % 100_000 + 1).collect();
    let (input, output) = (gpu.upload(&start), gpu.room::<u32>(start.len()));
    gpu.run("collatz", Launch::linear(2, 128), &[arg(input), arg(output), arg(start.len() as i32)]);
    let steps = |&start: &u32| {
        let (mut v, mut count) = (u64::from(start), 0u32);
        while v != 1 {
            v = if v % 2 == 0 { v / 2 } else { 3 * v + 1 };
            count += 1;
        }
        count
    };
    assert_eq!(
        gpu.download::<u32>(output, start.len()),
        start.iter().map(steps).collect::<Vec<_>>()
    );
}

#[test]
fn recursion_in_each_lane() {
    let gpu = Gpu::with("calls");
    let n: Vec<u32> = (0..32).map(|i| i * 5 % 16).collect();
    let (input, output) = (gpu.upload(&n), gpu.room::<u32>(32));
    gpu.run("recurse", Launch::linear(1, 32), &[arg(input), arg(output)]);
    let fibonacci = |n: u32| (0..n).fold((0u32, 1u32), |(a, b), _| (b, a + b)).0;
    assert_eq!(gpu.download::<u32>(output, 32), n.into_iter().map(fibonacci).collect::<Vec<_>>());
}

#[test]
fn structs_by_value() {
    let gpu = Gpu::with("calls");
    let values = words(40, 21);
    let (input, output) = (gpu.upload(&values), gpu.room::<[u32; 2]>(40));
    gpu.run("pairs", Launch::linear(1, 40), &[arg([3u32, 1000]), arg(input), arg(output)]);
    let expected: Vec<[u32; 2]> = values
        .iter()
        .zip(1..)
        .map(|(&v, divisor)| [(v / divisor).wrapping_mul(3), v % divisor + 1000])
        .collect();
    assert_eq!(gpu.download::<[u32; 2]>(output, 40), expected);
}

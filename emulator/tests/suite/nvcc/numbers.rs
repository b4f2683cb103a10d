//! Kernels about numbers: 64 and 128 bits, signed corners, halves, floats and doubles.

use super::device::{Gpu, arg, numbers, words};
use half::f16;
use parans_emulator::Launch;

const MULTIPLIERS: [u64; 4] =
    [0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb, 0xd6e8_feb8_6659_fd93];

/// The arithmetic of `mix`.
fn mix(i: usize, input: u64) -> [u64; 4] {
    let high = |a: u64, b: u64| ((u128::from(a) * u128::from(b)) >> 64) as u64;
    let mut x = input ^ high(input, MULTIPLIERS[i & 3]);
    // Both shifts are by 0 where i is a multiple of 64: the halves are then or-ed, not rotated, and
    // equal.
    x = x.rotate_left(i as u32 & 63);
    x = x.wrapping_add((x as i64 >> 7) as u64);
    let sum = u128::from(x) * u128::from(MULTIPLIERS[1]) + u128::from(input);
    [x, x / (input | 1), x % (input | 1), ((sum >> 64) as u64).wrapping_add(sum as u64)]
}

#[test]
fn products_carries_and_quotients_of_64_bits() {
    let gpu = Gpu::with("wide");
    let mut values = numbers(300, 22);
    // Small divisors, and the corners.
    values.iter_mut().step_by(3).for_each(|v| *v >>= 40);
    values[..4].copy_from_slice(&[0, 1, u64::MAX, 1 << 63]);
    let (input, output) = (gpu.upload(&values), gpu.room::<[u64; 4]>(values.len()));
    gpu.run("mix", Launch::linear(3, 128), &[arg(input), arg(output), arg(values.len() as i32)]);
    let expected: Vec<[u64; 4]> = values.iter().enumerate().map(|(i, &v)| mix(i, v)).collect();
    assert_eq!(gpu.download::<[u64; 4]>(output, values.len()), expected);
}

/// The arithmetic of `corners`.
fn corners(x: i32, y: i32) -> [i32; 8] {
    let low_24 = |v: i32| i64::from((v << 8) >> 8);
    let bytes = |v: i32| v.to_le_bytes().map(|byte| i32::from(byte as i8));
    let dot: i32 = bytes(x).iter().zip(bytes(y)).map(|(a, b)| a * b).sum();
    [
        ((i64::from(x) * i64::from(y)) >> 32) as i32,
        (low_24(x) * low_24(y)) as i32,
        5i32.wrapping_add(x.abs_diff(y) as i32),
        ((((y as u32 as u64) << 32 | u64::from(x as u32)) << 9) >> 32) as i32,
        ((i64::from(x) + i64::from(y) + 1) >> 1) as i32,
        x.min(y),
        x.wrapping_abs(),
        dot.wrapping_add(3),
    ]
}

#[test]
fn signed_corners_of_32_bits() {
    let gpu = Gpu::with("wide");
    let n = 128;
    let mut a: Vec<i32> = words(n, 23).into_iter().map(|v| v as i32).collect();
    let mut b: Vec<i32> = words(n, 24).into_iter().map(|v| v as i32).collect();
    let edge = [i32::MIN, i32::MIN, i32::MAX, -1, 0, 0x0080_0000, -0x0080_0000];
    a[..7].copy_from_slice(&edge);
    b[..7].copy_from_slice(&[i32::MIN, i32::MAX, i32::MAX, -1, i32::MIN, 0x0080_0000, 0x007f_ffff]);
    let (da, db, out) = (gpu.upload(&a), gpu.upload(&b), gpu.room::<[i32; 8]>(n));
    gpu.run("corners", Launch::linear(1, n as u32), &[arg(da), arg(db), arg(out)]);
    let expected: Vec<[i32; 8]> = a.iter().zip(&b).map(|(&x, &y)| corners(x, y)).collect();
    assert_eq!(gpu.download::<[i32; 8]>(out, n), expected);
}

#[test]
fn conversions_round_as_they_say() {
    let gpu = Gpu::with("floats");
    let mut values: Vec<f32> = numbers(96, 25)
        .iter()
        .map(|&v| v as i32 as f32 * 2f32.powi((v >> 40) as i32 % 40 - 45))
        .collect();
    // Ties, halves' subnormals, overflow of half and of int, zeros of both signs.
    let corners = [
        0.5,
        1.5,
        -0.5,
        -1.5,
        2049.0,
        2051.0,
        65504.0,
        65519.9,
        65520.0,
        -70000.0,
        6e-8,
        2.9e-8,
        3e9,
        -3e9,
        0.0,
        -0.0,
        1e30,
        5.960_464_5e-8,
    ];
    values[..corners.len()].copy_from_slice(&corners);
    let n = values.len();
    let input = gpu.upload(&values);
    let (halves, doubles) = (gpu.room::<u16>(n), gpu.room::<f64>(n));
    let (rounded, back) = (gpu.room::<[i32; 4]>(n), gpu.room::<f32>(n));
    let args = [arg(input), arg(halves), arg(doubles), arg(rounded), arg(back)];
    gpu.run("convert", Launch::linear(1, n as u32), &args);
    let bits: Vec<u16> = values.iter().map(|&x| f16::from_f32(x).to_bits()).collect();
    assert_eq!(gpu.download::<u16>(halves, n), bits);
    let exact: Vec<f64> = values.iter().map(|&x| f64::from(x).mul_add(3.0, 0.5)).collect();
    assert_eq!(gpu.download::<f64>(doubles, n), exact);
    // `as` saturates as the conversions do.
    let integers: Vec<[i32; 4]> = values
        .iter()
        .map(|x| [x.round_ties_even(), x.trunc(), x.ceil(), x.floor()].map(|x| x as i32))
        .collect();
    assert_eq!(gpu.download::<[i32; 4]>(rounded, n), integers);
    let widened: Vec<u32> = bits.iter().map(|&b| f16::from_bits(b).to_f32().to_bits()).collect();
    assert_eq!(gpu.download::<u32>(back, n), widened);
}

#[test]
fn roots_and_reciprocals_are_correctly_rounded() {
    let gpu = Gpu::with("floats");
    let mut values: Vec<f64> =
        numbers(64, 26).iter().map(|&v| v as f64 * 2f64.powi((v % 80) as i32 - 100)).collect();
    values[..4].copy_from_slice(&[0.0, 2.0, f64::INFINITY, 1e-40]);
    let n = values.len();
    let (input, out, single) =
        (gpu.upload(&values), gpu.room::<[f64; 2]>(n), gpu.room::<[f32; 2]>(n));
    gpu.run("roots", Launch::linear(1, n as u32), &[arg(input), arg(out), arg(single)]);
    let double: Vec<[f64; 2]> = values.iter().map(|x| [x.sqrt(), x.recip()]).collect();
    assert_eq!(gpu.download::<[f64; 2]>(out, n), double);
    let float: Vec<[f32; 2]> =
        values.iter().map(|&x| x as f32).map(|x| [x.sqrt(), x.recip()]).collect();
    assert_eq!(gpu.download::<[f32; 2]>(single, n), float);
}

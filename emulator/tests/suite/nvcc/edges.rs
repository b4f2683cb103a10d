//! Kernels about corners of the ISA that compilers reach: padding, ties, borrows, assertions.

use super::device::{Gpu, arg, numbers};
use parans_emulator::{Fault, Launch};

#[test]
fn an_assertion_that_fails_ends_the_launch() {
    let gpu = Gpu::with("edges");
    let mut values: Vec<i32> = (1..=64).collect();
    let (input, out) = (gpu.upload(&values), gpu.room::<i32>(64));
    let args = [arg(input), arg(out)];
    gpu.run("positive", Launch::linear(1, 64), &args);
    let doubled: Vec<i32> = values.iter().map(|v| 2 * v).collect();
    assert_eq!(gpu.download::<i32>(out, 64), doubled);
    values[40] = -1;
    let args = [arg(gpu.upload(&values)), arg(out)];
    match gpu.try_run("positive", Launch::linear(1, 64), &args) {
        Err(Fault::Assert(failed)) => {
            assert_eq!((failed.message.as_str(), failed.at.thread), ("in[i] > 0", [40, 0, 0]));
            assert!(failed.file.ends_with("edges.cu") && failed.source_line > 0, "{failed}");
            assert!(failed.function.contains("positive"), "{failed}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn structs_are_copied_with_their_padding() {
    let gpu = Gpu::with("edges");
    let which: Vec<i32> = (0..32).collect();
    let (input, out) = (gpu.upload(&which), gpu.upload(&[0u32; 3 * 32]));
    gpu.run("pick", Launch::linear(1, 32), &[arg(input), arg(out)]);
    for (w, words) in which.iter().zip(gpu.download::<[u32; 3]>(out, 32)) {
        let k = (2 * w) & 3;
        let found = (words[0] as u8, words[1], words[2] as i16);
        assert_eq!(found, (k as u8, 10 * k as u32, -k as i16), "{w}");
    }
}

#[test]
fn halves_are_fused_with_one_rounding() {
    let gpu = Gpu::with("edges");
    // By hand, as in `float::halves_round_once`; 65504 + 15.99 and 65504 + 16 in the last two.
    let (a, b, c) = (
        [0x2493u16, 0x2493, 0x3c00, 0x3c00],
        [0x26ffu16, 0xa6ff, 0x4bff, 0x4c00],
        [0x3c00u16, 0x3c02, 0x7bff, 0x7bff],
    );
    let out = gpu.room::<u16>(4);
    let args = [arg(gpu.upload(&a)), arg(gpu.upload(&b)), arg(gpu.upload(&c)), arg(out)];
    gpu.run("halves", Launch::linear(1, 4), &args);
    assert_eq!(gpu.download::<u16>(out, 4), [0x3c01, 0x3c01, 0x7bff, 0x7c00]);
}

#[test]
fn double_products_round_in_every_direction() {
    let gpu = Gpu::with("edges");
    let e = f64::EPSILON;
    let a = [1.0 + e, -1.0 - e, 1.0, f64::MAX];
    let (b, c) = ([1.0 + e, 1.0 + e, 1.0, 2.0], [0.0, 0.0, e * e, 0.0]);
    let out = gpu.room::<[f64; 4]>(4);
    let args = [arg(gpu.upload(&a)), arg(gpu.upload(&b)), arg(gpu.upload(&c)), arg(out)];
    gpu.run("directed", Launch::linear(1, 4), &args);
    let (s, infinite) = (1.0 + 2.0 * e, f64::INFINITY);
    let expected = [
        [s, s, s, s + e],
        [-s, -s, -s - e, -s],
        [1.0, 1.0, 1.0, 1.0 + e],
        [infinite, f64::MAX, f64::MAX, infinite],
    ];
    assert_eq!(gpu.download::<[f64; 4]>(out, 4), expected);
}

#[test]
fn differences_of_128_bits_borrow() {
    let gpu = Gpu::with("edges");
    let wide = |seed: u64| -> Vec<u128> {
        let words = numbers(128, seed);
        words
            .chunks(2)
            .map(|pair| u128::from(pair[0]) << (pair[1] % 65) | u128::from(pair[1]))
            .collect()
    };
    let (mut a, b) = (wide(31), wide(32));
    a[0] = 0;
    let out = gpu.room::<u128>(64);
    let args = [arg(gpu.upload(&a)), arg(gpu.upload(&b)), arg(out)];
    gpu.run("differences", Launch::linear(1, 64), &args);
    let expected: Vec<u128> =
        a.iter().zip(&b).map(|(a, b)| a.wrapping_sub(b.wrapping_mul(3))).collect();
    assert_eq!(gpu.download::<u128>(out, 64), expected);
}

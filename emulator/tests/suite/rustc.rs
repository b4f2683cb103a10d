//! What rustc makes of Rust kernels (`ptx/rustc.rs`), against the same functions on the host.

use crate::common::load;
use parans_emulator::{Device, Launch, Module, Report};

const PTX: &str = include_str!("ptx/rustc.ptx");
/// Not a multiple of a block, so that the last one's bounds check diverges.
const N: usize = 300;

struct Gpu {
    device: Device,
    module: Module,
}

impl Gpu {
    fn new() -> Self {
        let (device, module) = load(PTX);
        Self { device, module }
    }

    fn put(&self, bytes: &[u8]) -> u64 {
        let address = self.device.alloc(bytes.len() as u64).unwrap();
        self.device.write(address, bytes).unwrap();
        address
    }

    fn run(&self, entry: &str, args: &[u64]) -> Report {
        let bytes: Vec<_> = args.iter().map(|a| a.to_le_bytes()).collect();
        let slices: Vec<&[u8]> = bytes.iter().map(|b| b.as_slice()).collect();
        let launch = Launch::linear(N.div_ceil(64) as u32, 64);
        let report = self.device.launch_args(&self.module, entry, launch, &slices);
        report.unwrap_or_else(|fault| panic!("{entry}: {fault}"))
    }

    fn get<const W: usize>(&self, address: u64, count: usize) -> Vec<[u8; W]> {
        let mut bytes = vec![0; count * W];
        self.device.read(address, &mut bytes).unwrap();
        bytes.chunks(W).map(|c| c.try_into().unwrap()).collect()
    }
}

/// Numbers without a pattern: Knuth's linear congruence.
fn noise(i: usize) -> u64 {
    (i as u64 + 1).wrapping_mul(6_364_136_223_846_793_005).rotate_left(29) ^ 0x9e37_79b9
}

fn u64s(f: impl Fn(usize) -> u64) -> Vec<u8> {
    (0..N).flat_map(|i| f(i).to_le_bytes()).collect()
}

#[test]
fn loops_of_different_length() {
    let gpu = Gpu::new();
    let input = gpu.put(&u64s(|i| i as u64));
    let output = gpu.device.alloc(N as u64 * 4).unwrap();
    let report = gpu.run("collatz", &[input, output, N as u64]);
    for (i, got) in gpu.get(output, N).into_iter().enumerate() {
        let (mut v, mut steps) = (i as u64, 0);
        while v > 1 {
            v = if v % 2 == 0 { v / 2 } else { 3 * v + 1 };
            steps += 1;
        }
        assert_eq!(u32::from_le_bytes(got), steps, "of {i}");
    }
    assert!(report.divergent_branches > 0);
}

#[test]
fn products_of_128_bits() {
    let gpu = Gpu::new();
    let (a, b) = (gpu.put(&u64s(noise)), gpu.put(&u64s(|i| noise(i + 1000))));
    let output = gpu.device.alloc(N as u64 * 16).unwrap();
    gpu.run("wide", &[a, b, output, N as u64]);
    for (i, got) in gpu.get(output, N).into_iter().enumerate() {
        let product = u128::from(noise(i)) * u128::from(noise(i + 1000));
        let sum = product.wrapping_add(product >> 3).rotate_left(17);
        assert_eq!(u128::from_le_bytes(got), sum);
    }
}

#[test]
fn a_stack_machine_with_its_stack_in_local_memory() {
    let gpu = Gpu::new();
    // (i * 9 + i) with the bits counted, doubled, negated; plus 77.
    let program = [0, 9, 2, 0, 1, 4, 3, 1, 5, 77, 1];
    let code = gpu.put(&program);
    let output = gpu.device.alloc(N as u64 * 4).unwrap();
    gpu.run("machine", &[code, program.len() as u64, output, N as u64]);
    for (i, got) in gpu.get(output, N).into_iter().enumerate() {
        let expected = 77 - 2 * (10 * i as i32).count_ones() as i32;
        assert_eq!(i32::from_le_bytes(got), expected, "thread {i}");
    }
}

#[test]
fn a_recursive_function() {
    let gpu = Gpu::new();
    let output = gpu.device.alloc(N as u64 * 4).unwrap();
    gpu.run("recursion", &[output, N as u64]);
    for (i, got) in gpu.get(output, N).into_iter().enumerate() {
        let n = i as u32 % 7;
        // Ackermann's function of 0, 1 and 2.
        let expected = [n + 1, n + 2, 2 * n + 3][i % 3];
        assert_eq!(u32::from_le_bytes(got), expected, "thread {i}");
    }
}

#[test]
fn floating_point_as_on_the_host() {
    let gpu = Gpu::new();
    let value = |i: usize| (noise(i) as i32 as f32) / 1e6;
    let input: Vec<u8> = (0..N).flat_map(|i| value(i).to_le_bytes()).collect();
    let (input, output) = (gpu.put(&input), gpu.device.alloc(N as u64 * 8).unwrap());
    gpu.run("floats", &[input, output, N as u64]);
    for (i, got) in gpu.get(output, N).into_iter().enumerate() {
        let v = value(i);
        let scaled = (v * 3.0 + 0.5) / 7.0 - i as f32;
        let expected = f64::from(scaled) * f64::from(scaled as i32) + f64::from(v as u8);
        assert_eq!(f64::from_le_bytes(got), expected, "of {v}");
    }
}

#[test]
fn a_histogram_with_atomics() {
    let gpu = Gpu::new();
    let bytes: Vec<u8> = (0..N).map(|i| noise(i) as u8 & 15).collect();
    let (input, bins) = (gpu.put(&bytes), gpu.put(&[0; 64]));
    gpu.run("histogram", &[input, bins, N as u64]);
    for (bin, got) in gpu.get(bins, 16).into_iter().enumerate() {
        let expected = bytes.iter().filter(|&&b| usize::from(b) == bin).count();
        assert_eq!(u32::from_le_bytes(got) as usize, expected);
    }
}

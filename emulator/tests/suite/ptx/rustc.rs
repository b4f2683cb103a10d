//! Small kernels whose PTX the software device's tests run: what rustc makes of loops, a match,
//! 128-bit and floating-point arithmetic, a local array, a recursive function and atomics. It is no
//! part of the workspace: `rustc.ptx` is what was made of it, with a head that says how.
#![no_std]
#![feature(abi_ptx, stdarch_nvptx, core_intrinsics)]
#![allow(internal_features, unsafe_op_in_unsafe_fn)]

use core::arch::nvptx::{_block_dim_x, _block_idx_x, _thread_idx_x};
use core::sync::atomic::{AtomicU32, Ordering};

fn index() -> usize {
    unsafe { (_block_idx_x() * _block_dim_x() + _thread_idx_x()) as usize }
}

/// Steps of the Collatz iteration: a loop whose length differs from lane to lane.
#[unsafe(no_mangle)]
pub unsafe extern "ptx-kernel" fn collatz(input: *const u64, output: *mut u32, n: usize) {
    let i = index();
    if i >= n {
        return;
    }
    let mut v = *input.add(i);
    let mut steps = 0;
    while v > 1 {
        v = if v % 2 == 0 { v / 2 } else { 3 * v + 1 };
        steps += 1;
    }
    *output.add(i) = steps;
}

/// The high and low half of a product of 128 bits, plus a third of it.
#[unsafe(no_mangle)]
pub unsafe extern "ptx-kernel" fn wide(
    a: *const u64,
    b: *const u64,
    output: *mut [u64; 2],
    n: usize,
) {
    let i = index();
    if i >= n {
        return;
    }
    let product = *a.add(i) as u128 * *b.add(i) as u128;
    let sum = product.wrapping_add(product >> 3).rotate_left(17);
    *output.add(i) = [sum as u64, (sum >> 64) as u64];
}

/// A stack machine: a match in a loop, and a local array.
#[unsafe(no_mangle)]
pub unsafe extern "ptx-kernel" fn machine(
    program: *const u8,
    len: usize,
    output: *mut i32,
    n: usize,
) {
    let i = index();
    if i >= n {
        return;
    }
    let mut stack = [0_i32; 8];
    let mut top = 0_usize;
    for at in 0..len {
        let op = *program.add(at);
        match op {
            0 => {
                stack[top & 7] = i as i32;
                top += 1;
            }
            1 => {
                stack[(top - 2) & 7] = stack[(top - 2) & 7].wrapping_add(stack[(top - 1) & 7]);
                top -= 1;
            }
            2 => {
                stack[(top - 2) & 7] = stack[(top - 2) & 7].wrapping_mul(stack[(top - 1) & 7]);
                top -= 1;
            }
            3 => {
                stack[top & 7] = stack[(top - 1) & 7];
                top += 1;
            }
            4 => {
                stack[(top - 1) & 7] = stack[(top - 1) & 7].count_ones() as i32;
            }
            5 => {
                stack[(top - 1) & 7] = stack[(top - 1) & 7].wrapping_neg();
            }
            op => {
                stack[top & 7] = op as i32;
                top += 1;
            }
        }
    }
    *output.add(i) = stack[(top - 1) & 7];
}

#[inline(never)]
fn ackermann(m: u32, n: u32) -> u32 {
    match (m, n) {
        (0, n) => n + 1,
        (m, 0) => ackermann(m - 1, 1),
        (m, n) => ackermann(m - 1, ackermann(m, n - 1)),
    }
}

/// A recursion whose depth differs from lane to lane.
#[unsafe(no_mangle)]
pub unsafe extern "ptx-kernel" fn recursion(output: *mut u32, n: usize) {
    let i = index();
    if i >= n {
        return;
    }
    *output.add(i) = ackermann(i as u32 % 3, i as u32 % 7);
}

/// Arithmetic in f32 and f64, and conversions.
#[unsafe(no_mangle)]
pub unsafe extern "ptx-kernel" fn floats(input: *const f32, output: *mut f64, n: usize) {
    let i = index();
    if i >= n {
        return;
    }
    let v = *input.add(i);
    let scaled = (v * 3.0 + 0.5) / 7.0 - i as f32;
    *output.add(i) = scaled as f64 * (scaled as i32 as f64) + (v as u8) as f64;
}

/// A histogram with atomics on global memory.
#[unsafe(no_mangle)]
pub unsafe extern "ptx-kernel" fn histogram(input: *const u8, bins: *const AtomicU32, n: usize) {
    let i = index();
    if i >= n {
        return;
    }
    (*bins.add(*input.add(i) as usize)).fetch_add(1, Ordering::Relaxed);
}

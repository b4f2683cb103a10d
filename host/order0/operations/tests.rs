//! The operations of every level that this machine has against plain arrays.

use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::OrderSimd;
use crate::order0::members::ByteSet;
use crate::order0::slots::{LOWER_BOUND, SlotTable};
use crate::simd::{Level, RunOn, Work, dispatch};

struct Check {
    seed: u64,
}

impl Work for Check {
    type Output = ();
}

impl<S: OrderSimd> RunOn<S> for Check {
    #[inline(always)]
    fn run(self, simd: S) {
        let mut source = Xoshiro256PlusPlus::seed_from_u64(self.seed);
        for _ in 0..200 {
            check_merges(simd, &mut source);
            check_slots(simd, &mut source);
            check_sets(simd, &mut source);
        }
    }
}

fn elements_of<S: OrderSimd>(simd: S, v: S::U32) -> [u32; 16] {
    let mut elements = [0; 16];
    simd.store(v, &mut elements);
    elements
}

fn bytes_of<S: OrderSimd>(simd: S, v: S::U32) -> [u8; 64] {
    let mut bytes = [0; 64];
    simd.store_bytes(v, &mut bytes);
    bytes
}

fn check_merges<S: OrderSimd>(simd: S, source: &mut Xoshiro256PlusPlus) {
    let parts: [[u32; 16]; 4] = std::array::from_fn(|_| source.random());
    let merge = |at: u32| -> [u32; 16] {
        std::array::from_fn(|i| u32::from_le_bytes(parts.map(|part| (part[i] >> at) as u8)))
    };
    let vectors = parts.map(|part| simd.load(&part));
    assert_eq!(elements_of(simd, simd.merge_bytes::<8>(vectors)), merge(8));
    assert_eq!(elements_of(simd, simd.merge_bytes::<12>(vectors)), merge(12));
}

fn check_slots<S: OrderSimd>(simd: S, source: &mut Xoshiro256PlusPlus) {
    // Few wide intervals, many narrow ones, and values that do not occur.
    let mut frequencies = [0u32; 256];
    let (many, mut left) = (2 + source.random::<u32>() as usize % 255, 4096);
    for k in 0..many {
        let symbol = k * 256 / many;
        let most = left - (many - 1 - k) as u32;
        let freq = if k + 1 == many { left } else { 1 + source.random::<u32>() % most.min(40) };
        frequencies[symbol] = freq;
        left -= freq;
    }
    let mut table = SlotTable::zeroed();
    table.set(&frequencies);
    let at = |slot: u32| {
        let mut rank = slot;
        let symbol = frequencies.iter().position(|&freq| match rank.checked_sub(freq) {
            Some(rest) => {
                rank = rest;
                false
            }
            None => true,
        });
        (symbol.expect("a symbol") as u32, rank)
    };
    for (slot, &entry) in table.entries().iter().enumerate() {
        let (symbol, rank) = at(slot as u32);
        assert_eq!(entry, frequencies[symbol as usize] << 20 | symbol << 12 | rank);
    }
    for first in (0..4096).step_by(128) {
        // Lane by lane of four rows; between hardly any and nearly all take a word.
        let shift = source.random::<u64>() % 20;
        let mut states: [[u32; 32]; 4] = std::array::from_fn(|row| {
            std::array::from_fn(|lane| {
                let upper =
                    (source.random::<u32>() & 0x7_ffff) >> (source.random::<u64>() % (1 + shift));
                upper << 12 | (first + 32 * row + lane) as u32
            })
        });
        let windows: [[u8; 64]; 4] =
            std::array::from_fn(|_| std::array::from_fn(|_| source.random::<u8>()));
        let mut rows = states.map(|row| {
            let half = |odd: usize| simd.load(&std::array::from_fn(|j| row[2 * j + odd]));
            simd.hold([half(0), half(1)])
        });
        let (symbols, counts) = simd.pop_rows(&table, &mut rows, windows.each_ref());
        let symbols = symbols.map(|v| bytes_of(simd, v));
        for (row, states) in states.iter_mut().enumerate() {
            let mut left = &windows[row][..];
            for (lane, x) in states.iter_mut().enumerate() {
                let (symbol, rank) = at(*x & 0xfff);
                assert_eq!(symbols[lane % 2][lane / 2 * 4 + row], symbol as u8);
                *x = (*x >> 12) * frequencies[symbol as usize] + rank;
                if *x < LOWER_BOUND {
                    let (rest, word) = left.split_last_chunk::<2>().expect("32 words");
                    *x = *x << 16 | u32::from(u16::from_le_bytes(*word));
                    left = rest;
                }
            }
            assert_eq!(64 - 2 * counts[row], left.len());
            let held = simd.release(rows[row]).map(|v| elements_of(simd, v));
            assert_eq!(*states, std::array::from_fn(|lane| held[lane % 2][lane / 2]));
        }
    }
}

fn check_sets<S: OrderSimd>(simd: S, source: &mut Xoshiro256PlusPlus) {
    let mut set = ByteSet::new();
    let members: [u8; 40] = std::array::from_fn(|_| source.random::<u8>());
    members.iter().for_each(|&b| set.insert(b));
    let mut bytes: [u8; 256] =
        std::array::from_fn(|_| members[source.random::<u32>() as usize % 40]);
    assert!(simd.all_members(&set, &bytes));
    bytes[source.random::<u32>() as usize % 256] = source.random::<u8>();
    let want = bytes.iter().all(|&b| set.contains(b));
    assert_eq!(simd.all_members(&set, &bytes), want);
}

#[test]
fn every_level_computes_the_same() {
    for level in Level::available() {
        for seed in 0..20 {
            let left = dispatch(level, Check { seed });
            assert_eq!(left.is_err(), level == Level::Scalar, "{}", level.name());
        }
    }
}

use half::bf16;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::*;

fn round_trip(level: Level, dtype: Dtype, bytes: &[u8], base: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::at_level(level);
    let plan = encoder.plan(dtype, bytes, base);
    let mut coded = Vec::new();
    encoder.encode(plan, dtype, bytes, base, &mut coded);
    let mut back = vec![0x5a; bytes.len()];
    Decoder::at_level(level).decode(dtype, &coded, base, &mut back).unwrap();
    assert!(back == bytes, "{dtype} at {level:?}");
    coded
}

fn levels() -> Vec<Level> {
    Level::available().collect()
}

/// A normal number, nearly.
fn normal(rng: &mut impl Rng) -> f64 {
    (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
}

/// Weights, and the same with noise.
fn pair<T>(n: usize, noise: f64, seed: u64, to: impl Fn(f64) -> T) -> (Vec<T>, Vec<T>) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let weights = (0..n).map(|_| 0.04 * normal(&mut rng)).collect::<Vec<_>>();
    let moved = weights.iter().map(|w| to(w + noise * normal(&mut rng))).collect();
    (weights.iter().map(|&w| to(w)).collect(), moved)
}

fn bytes_of(values: &[bf16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The order-0 entropy of the differences, in bytes: what coding without classes cannot reach.
fn entropy_of_differences(bytes: &[u8], base: &[u8]) -> f64 {
    let ordered = |pair: &[u8]| {
        let bits = u16::from_le_bytes([pair[0], pair[1]]);
        if bits >> 15 == 1 { !bits } else { bits | 0x8000 }
    };
    let mut counts = vec![0u32; 1 << 16];
    for (one, other) in bytes.chunks(2).zip(base.chunks(2)) {
        counts[usize::from(ordered(one).wrapping_sub(ordered(other)))] += 1;
    }
    let n = (bytes.len() / 2) as f64;
    let bits = |&count: &u32| f64::from(count) * (n / f64::from(count)).log2();
    counts.iter().filter(|&&count| count > 0).map(bits).sum::<f64>() / 8.0
}

#[test]
fn noise_takes_less_than_its_order_0_entropy() {
    for noise in [6e-6, 3e-5, 6e-5, 1.5e-4, 6e-4] {
        let (base, moved) = pair(1 << 19, noise, 7, bf16::from_f64);
        let (base, moved) = (bytes_of(&base), bytes_of(&moved));
        let coded = round_trip(Level::current(), Dtype::Bf16, &moved, &base);
        let bound = entropy_of_differences(&moved, &base);
        println!("{noise}: {} bytes, {bound:.0} by order 0", coded.len());
        assert!((coded.len() as f64) < 0.95 * bound, "{noise}: {} {bound}", coded.len());
    }
}

#[test]
fn every_level_writes_the_same() {
    let (base, moved) = pair(70_001, 1e-4, 3, |w| w as f32);
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
    let (base, moved) = (bytes(&base), bytes(&moved));
    for dtype in Dtype::ALL {
        let coded: Vec<_> =
            levels().into_iter().map(|level| round_trip(level, dtype, &moved, &base)).collect();
        assert!(coded.windows(2).all(|pair| pair[0] == pair[1]), "{dtype}");
    }
}

#[test]
fn equal_and_dropped_bits() {
    let (base, _) = pair(5000, 0.0, 1, |w| w as f32);
    let bytes: Vec<u8> = base.iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(round_trip(Level::current(), Dtype::F32, &bytes, &bytes), [EQUAL]);
    // Floats that were rounded to fewer bits: nothing is stored for the bits that no one has.
    let rounded = |v: &f32| f32::from_bits(v.to_bits() & 0xffff_0000).to_le_bytes();
    let base: Vec<u8> = base.iter().flat_map(|v| rounded(&(v * 1.01))).collect();
    let moved: Vec<u8> =
        bytes.chunks(4).flat_map(|v| rounded(&f32::from_le_bytes(v.try_into().unwrap()))).collect();
    let coded = round_trip(Level::current(), Dtype::F32, &moved, &base);
    assert!(coded.len() < 5000, "{}", coded.len());
}

/// Every value of 16 bits beside every kind of value.
#[test]
fn every_bit_pattern() {
    let all: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    for base in [0u16, 0x8000, 0x7fff, 0xffff, 0x7f80, 0xff81, 0x3f80, 1] {
        let base: Vec<u8> = base.to_le_bytes().repeat(1 << 16);
        for dtype in [Dtype::F16, Dtype::Bf16, Dtype::I16, Dtype::U16, Dtype::U8, Dtype::Bool] {
            round_trip(Level::current(), dtype, &all, &base);
            round_trip(Level::current(), dtype, &base, &all);
        }
    }
}

fn any_pair() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let element = (any::<u64>(), 0..64u32, any::<bool>());
    prop::collection::vec(element, 0..3000).prop_map(|elements| {
        let mut pair = (Vec::new(), Vec::new());
        for (bits, shift, near) in elements {
            let moved = if near { bits.wrapping_add(bits.rotate_left(9) >> shift) } else { bits };
            pair.0.extend(bits.to_le_bytes());
            pair.1.extend(moved.to_le_bytes());
        }
        pair
    })
}

proptest! {
    #[test]
    fn any_elements((base, bytes) in any_pair(), cut in 0usize..8) {
        let n = base.len().saturating_sub(cut);
        for dtype in Dtype::ALL {
            round_trip(Level::current(), dtype, &bytes[..n], &base[..n]);
        }
    }

    /// Damage gives an error or other elements, and never a panic.
    #[test]
    fn damage((base, bytes) in any_pair(), at in any::<prop::sample::Index>(), bits in 1u8..) {
        for dtype in [Dtype::Bf16, Dtype::F32, Dtype::F64, Dtype::U8, Dtype::I16] {
            let mut coded = round_trip(Level::current(), dtype, &bytes, &base);
            let mut out = vec![0; bytes.len()];
            let mut decoder = Decoder::at_level(Level::current());
            let cut = at.index(coded.len());
            prop_assert!(decoder.decode(dtype, &coded[..cut], &base, &mut out).is_err());
            coded[cut] ^= bits;
            let _ = decoder.decode(dtype, &coded, &base, &mut out);
        }
    }
}

#[test]
#[ignore = "prints the speed of this machine"]
fn speed() {
    use std::time::Instant;
    for noise in [6e-6, 6e-5, 6e-4] {
        let (base, moved) = pair(1 << 19, noise, 7, bf16::from_f64);
        measure(Dtype::Bf16, noise, &bytes_of(&moved), &bytes_of(&base));
        let (base, moved) = pair(1 << 18, noise, 7, |w| w as f32);
        let bytes = |v: &[f32]| v.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
        measure(Dtype::F32, noise, &bytes(&moved), &bytes(&base));
    }
    fn measure(dtype: Dtype, noise: f64, bytes: &[u8], base: &[u8]) {
        let mut encoder = Encoder::at_level(Level::current());
        let mut decoder = Decoder::at_level(Level::current());
        let (mut coded, mut out) = (Vec::new(), vec![0; bytes.len()]);
        let [mut planned, mut encoded, mut decoded] = [f64::INFINITY; 3];
        for _ in 0..30 {
            coded.clear();
            let start = Instant::now();
            let plan = encoder.plan(dtype, bytes, base);
            planned = planned.min(start.elapsed().as_secs_f64());
            encoder.encode(plan, dtype, bytes, base, &mut coded);
            encoded = encoded.min(start.elapsed().as_secs_f64());
            let start = Instant::now();
            decoder.decode(dtype, &coded, base, &mut out).unwrap();
            decoded = decoded.min(start.elapsed().as_secs_f64());
        }
        assert!(out == bytes);
        let rate = |seconds: f64| bytes.len() as f64 / seconds / 1e9;
        println!(
            "{dtype} {noise}: {:.4}, plan {:.0} us, encode {:.2} GB/s, decode {:.2} GB/s",
            coded.len() as f64 / bytes.len() as f64,
            planned * 1e6,
            rate(encoded),
            rate(decoded)
        );
    }
}

//! Round trips in every instruction set, the planes against a naive reading of the format, sizes,
//! and damaged bytes.

use proptest::prelude::*;
use rand::{Rng, RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::*;
use parans_kernels::float::Filter;

/// Codes with every instruction set, checks that all write the same bytes and read them back, and
/// returns the bytes.
fn round_trip(dtype: Dtype, bytes: &[u8]) -> Vec<u8> {
    let mut first: Option<Vec<u8>> = None;
    for level in Level::available() {
        // The leading byte must stay: `encode` appends.
        let mut out = vec![0xa5];
        let len = Encoder::at_level(level).encode(dtype, bytes, &mut out);
        assert_eq!(len + 1, out.len());
        assert_eq!(out[0], 0xa5);
        assert!(len <= bytes.len() + OVERHEAD, "{dtype}: {} to {len} bytes", bytes.len());
        let mut back = vec![0x5a; bytes.len()];
        Decoder::at_level(level).decode(dtype, &out[1..], &mut back).unwrap();
        assert!(back == bytes, "{dtype}, {} bytes, {level:?}", bytes.len());
        match &first {
            None => first = Some(out[1..].to_vec()),
            Some(first) => assert!(first[..] == out[1..], "{dtype}, {level:?} writes other bytes"),
        }
    }
    first.unwrap()
}

fn random(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Xoshiro256PlusPlus::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

/// Something like the weights of a network: normal values with a scale per row.
fn weights(seed: u64, count: usize) -> Vec<f32> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    (0..count)
        .map(|i| {
            let scale = 0.02 * (1.0 + (i / 384 % 7) as f32);
            let sum: f32 = (0..12).map(|_| rng.random::<f32>()).sum();
            (sum - 6.0) * scale
        })
        .collect()
}

/// The same in a float type, or rounded to an integer type.
fn weights_as(dtype: Dtype, values: &[f32]) -> Vec<u8> {
    let bytes = |value: &f32| -> Vec<u8> {
        let value = *value;
        match dtype {
            Dtype::F16 => half::f16::from_f32(value).to_le_bytes().to_vec(),
            Dtype::Bf16 => half::bf16::from_f32(value).to_le_bytes().to_vec(),
            Dtype::F32 => value.to_le_bytes().to_vec(),
            Dtype::F64 => (f64::from(value) * 1.1).to_le_bytes().to_vec(),
            _ => ((value * 500.0) as i64).to_le_bytes()[..dtype.size()].to_vec(),
        }
    };
    values.iter().flat_map(bytes).collect()
}

#[test]
fn every_16_bit_pattern_comes_back() {
    let mut ascending: Vec<u16> = (0..=u16::MAX).collect();
    for dtype in [Dtype::F16, Dtype::Bf16, Dtype::I16, Dtype::U16] {
        let bytes: Vec<u8> = ascending.iter().flat_map(|bits| bits.to_le_bytes()).collect();
        round_trip(dtype, &bytes);
    }
    // In an order that shows every pattern to a narrow layout of its own, too: all elements of a
    // chunk share an exponent, or a few.
    for shift in [7, 10, 11] {
        ascending.sort_by_key(|&bits| ((bits << 1 >> shift), bits));
        for chunk in ascending.chunks(5000) {
            let bytes: Vec<u8> = chunk.iter().flat_map(|bits| bits.to_le_bytes()).collect();
            round_trip(Dtype::F16, &bytes);
            round_trip(Dtype::Bf16, &bytes);
        }
    }
}

#[test]
fn special_values_come_back() {
    let specials: [u32; 14] = [
        0,           // +0
        0x8000_0000, // -0
        1,           // smallest denormal
        0x807f_ffff, // largest denormal, negative
        0x0080_0000, // smallest normal
        0x7f7f_ffff, // largest finite
        0x7f80_0000, // infinity
        0xff80_0000, // -infinity
        0x7fc0_0000, // quiet NaN
        0x7f80_0001, // signalling NaN
        0xffc1_2345, // NaN with a payload
        1.0f32.to_bits(),
        (-1.5f32).to_bits(),
        f32::EPSILON.to_bits(),
    ];
    for one in specials {
        for other in specials {
            // Alone, and strewn among ordinary values.
            let mut values: Vec<u32> =
                weights(1, 1200).iter().map(|value| value.to_bits()).collect();
            (0..1200).step_by(37).for_each(|i| values[i] = if i % 2 == 0 { one } else { other });
            let bytes: Vec<u8> = values.iter().flat_map(|bits| bits.to_le_bytes()).collect();
            round_trip(Dtype::F32, &bytes);
            let pair: Vec<u8> =
                [one, other].repeat(300).iter().flat_map(|b| b.to_le_bytes()).collect();
            round_trip(Dtype::F32, &pair);
            // The same bits as doubles: sign, exponent and some mantissa from one, noise from the
            // other.
            let double = (u64::from(one) << 32) | u64::from(other);
            let wide: Vec<u8> = values
                .iter()
                .flat_map(|&bits| {
                    if bits == one { double } else { u64::from(bits) << 29 | 7 << 60 }.to_le_bytes()
                })
                .collect();
            round_trip(Dtype::F64, &wide);
        }
    }
}

#[test]
fn every_length_comes_back() {
    let values = weights(2, 2000);
    let noise = random(3, 16000);
    for dtype in Dtype::ALL {
        let weights = weights_as(dtype, &values);
        let edges = [BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK, 3 * BLOCK + 7];
        let lengths = (0..100).chain(edges.into_iter().flat_map(|elements| {
            let bytes = elements * dtype.size();
            [bytes - 1, bytes, bytes + 1]
        }));
        for len in lengths {
            round_trip(dtype, &weights[..len]);
            round_trip(dtype, &noise[..len]);
            round_trip(dtype, &vec![0; len]);
            round_trip(dtype, &vec![0xff; len]);
            let sorted: Vec<u8> =
                (0..len as u64).flat_map(|i| (i * i).to_le_bytes()).take(len).collect();
            round_trip(dtype, &sorted);
        }
    }
}

#[test]
fn noise_grows_by_one_byte_at_most() {
    for dtype in Dtype::ALL {
        for len in [1, 7, 100, 4096, 100_003, CHUNK] {
            let coded = round_trip(dtype, &random(len as u64, len));
            assert!(coded.len() <= len + OVERHEAD);
        }
    }
}

#[test]
fn planes_longer_than_a_piece_come_back() {
    let values = weights(8, 2 * plane::PIECE + 1000);
    for dtype in [Dtype::Bf16, Dtype::U8] {
        let bytes = weights_as(dtype, &values);
        let whole = round_trip(dtype, &bytes).len();
        let piece = plane::PIECE * dtype.size();
        let pieces: usize = bytes.chunks(piece).map(|bytes| round_trip(dtype, bytes).len()).sum();
        // Each piece has a model and a length of its own in either case.
        assert!(whole.abs_diff(pieces) < 100, "{dtype}: {whole} and {pieces}");
    }
}

/// Symbol and rest of each element by the letter of the format, in 128-bit arithmetic.
fn naive_values(layout: &Layout, elements: &[u64]) -> Vec<(u8, Option<u64>)> {
    let value_and_rest = |&bits: &u64| {
        let bits = u128::from(bits);
        let (word, top) = (layout.word_bits, layout.value_bits - 8);
        let (sign, magnitude) = (bits >> (word - 1), bits % (1 << (word - 1)));
        let mut value = if layout.is_float { magnitude >> layout.dropped } else { bits };
        if layout.is_float && value >= u128::from(layout.exponent_unit) {
            value -= u128::from(layout.base);
        }
        let mut rest = value % (1 << top);
        if layout.sign == parans_kernels::float::Sign::Kept {
            rest += sign << top;
        }
        assert!(value >> top < 256);
        let symbol = (value >> top) as u8;
        match layout.zero {
            Some(zero) if magnitude == 0 => (zero + sign as u8, None),
            Some(zero) => {
                assert!(symbol != zero && symbol != zero + 1, "{layout:?} has {bits:#x}");
                (symbol, Some(rest as u64))
            }
            None => (symbol, Some(rest as u64)),
        }
    };
    elements.iter().map(value_and_rest).collect()
}

fn check_planes<T: Word>(level: Level, layout: &Layout, bytes: &[u8]) {
    let elements: Vec<u64> = bytes
        .chunks_exact(size_of::<T>())
        .map(|bytes| bytes.iter().rev().fold(0, |bits, &byte| (bits << 8) | u64::from(byte)))
        .collect();
    let (symbols, rests): (Vec<u8>, Vec<Option<u64>>) =
        naive_values(layout, &elements).into_iter().unzip();
    let rests: Vec<u64> = rests.into_iter().flatten().collect();
    let mut planes = Planes::default();
    split::split::<T>(level, layout, bytes, &mut planes);
    let whole = layout.whole_planes();
    assert_eq!(planes.symbols, symbols);
    for (j, plane) in planes.whole[..whole].iter().enumerate() {
        let naive: Vec<u8> = rests.iter().map(|rest| (rest >> (8 * j)) as u8).collect();
        assert_eq!(*plane, naive, "{layout:?}, plane {j}");
    }
    let bits = layout.fraction_bits() as usize;
    assert_eq!(planes.fraction.len(), planes::fraction_len(layout, rests.len()));
    if bits == 0 {
        return;
    }
    let fractions: Vec<u8> = rests.iter().map(|rest| (rest >> (8 * whole)) as u8).collect();
    if !layout.packed {
        assert_eq!(planes.fraction, fractions);
        return;
    }
    let mut packed = &planes.fraction[..];
    for block in fractions.chunks(BLOCK) {
        let (mut shift, mut naive) = (0, vec![0; block.len()]);
        for part in [4, 2, 1].into_iter().filter(|part| bits & part != 0) {
            let stride = (block.len() * part).div_ceil(8);
            for (i, fraction) in naive.iter_mut().enumerate() {
                let byte = packed[i % stride] >> (i / stride * part);
                *fraction |= (byte & ((1 << part) - 1)) << shift;
            }
            shift += part;
            packed = &packed[stride..];
        }
        assert_eq!(naive, block, "{layout:?}");
    }
}

#[test]
fn planes_are_those_of_the_format() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(4);
    for dtype in [Dtype::F16, Dtype::Bf16, Dtype::F32, Dtype::F64] {
        let (exponent, mantissa) = dtype.exponent_mantissa().unwrap();
        for round in 0..200 {
            // Exponents from a window of random width, the odd zero, trailing bits cleared, signs
            // as they come.
            let (lowest, width) = (rng.random_range(0..1u32 << exponent), rng.random_range(1..200));
            let zeros = [2, 50, 97, 0][round as usize % 4];
            let clear = rng.random_range(0..=mantissa) * (round % 2);
            let sign = [0, 1, rng.random_range(0..2)];
            let elements: Vec<u64> = (0..rng.random_range(1..1300))
                .map(|_| {
                    let exponent_field =
                        (lowest + rng.random_range(0..width)).min((1 << exponent) - 1);
                    let sign = if round % 3 == 2 {
                        rng.random_range(0..2)
                    } else {
                        sign[round as usize % 3]
                    };
                    let magnitude = (u64::from(exponent_field) << mantissa)
                        | (rng.random_range(0..1u64 << mantissa) >> clear << clear);
                    let zero = rng.random_range(0..100) < zeros;
                    let magnitude = if zero { 0 } else { magnitude };
                    (sign << (exponent + mantissa)) | magnitude
                })
                .collect();
            let bytes: Vec<u8> = elements
                .iter()
                .flat_map(|bits| bits.to_le_bytes()[..dtype.size()].to_vec())
                .collect();
            for level in Level::available() {
                let stats = match dtype.size() {
                    2 => split::stats::<u16>(level, mantissa, &bytes),
                    4 => split::stats::<u32>(level, mantissa, &bytes),
                    _ => split::stats::<u64>(level, mantissa, &bytes),
                };
                let fields = || {
                    elements.iter().map(|bits| (bits >> mantissa) as u32 & ((1 << exponent) - 1))
                };
                assert_eq!(stats.or, elements.iter().fold(0, |or, bits| or | bits));
                assert_eq!(stats.smallest, fields().filter(|&field| field > 0).min());
                assert_eq!(stats.largest, fields().max().unwrap());
                let mut layouts = vec![Layout::float(exponent, mantissa, &stats)];
                layouts.extend(Layout::float_without_zeros(exponent, mantissa, &stats));
                layouts.extend_from_within(..);
                for (i, layout) in layouts.into_iter().enumerate() {
                    let layout = Layout { packed: i % 2 == 0, ..layout };
                    match dtype.size() {
                        2 => check_planes::<u16>(level, &layout, &bytes),
                        4 => check_planes::<u32>(level, &layout, &bytes),
                        _ => check_planes::<u64>(level, &layout, &bytes),
                    }
                }
                let integer = Layout::integer(8 * dtype.size() as u32, Filter::None);
                match dtype.size() {
                    2 => check_planes::<u16>(level, &integer, &bytes),
                    4 => check_planes::<u32>(level, &integer, &bytes),
                    _ => check_planes::<u64>(level, &integer, &bytes),
                }
            }
        }
    }
}

#[test]
fn structure_is_found() {
    let values = weights(5, 1 << 16);
    let size = |dtype, bytes: &[u8]| round_trip(dtype, bytes).len() as f64 / bytes.len() as f64;

    // A single value, whatever it is.
    for dtype in Dtype::ALL {
        let value = &[0xc3, 0x3f, 0x80, 0x11, 0xfe, 0x7f, 0xf8, 0xff][..dtype.size()];
        assert!(size(dtype, &value.repeat(1 << 13)) < 0.01);
    }
    // Ordinary weights: half a percent more, at most, than the exponents' order-0 entropy and all
    // other bits. Less, in fact, since the symbols hold some mantissa too.
    for dtype in [Dtype::F16, Dtype::Bf16, Dtype::F32, Dtype::F64] {
        let (exponent, mantissa) = dtype.exponent_mantissa().unwrap();
        let bytes = weights_as(dtype, &weights(10, 1 << 18));
        let fields: Vec<u64> = bytes
            .chunks_exact(dtype.size())
            .map(|bytes| bytes.iter().rev().fold(0, |bits, &byte| (bits << 8) | u64::from(byte)))
            .map(|bits| (bits >> mantissa) & ((1 << exponent) - 1))
            .collect();
        let largest = *fields.iter().max().unwrap();
        let exponents: Vec<u8> = fields.iter().map(|field| (largest - field) as u8).collect();
        let others = (fields.len() * (1 + mantissa as usize) / 8) as f64;
        let least = order0::entropy_bytes(&exponents) + others;
        let coded = round_trip(dtype, &bytes).len() as f64;
        assert!(coded < 1.005 * least, "{dtype}: {coded} bytes, entropy {least}");
    }
    // F32 rounded to half precision costs what the half-precision tensor costs.
    let halves: Vec<half::f16> = values.iter().map(|&value| half::f16::from_f32(value)).collect();
    let as_f16: Vec<u8> = halves.iter().flat_map(|value| value.to_le_bytes()).collect();
    let as_f32: Vec<u8> = halves.iter().flat_map(|value| value.to_f32().to_le_bytes()).collect();
    let (narrow, wide) = (size(Dtype::F16, &as_f16), size(Dtype::F32, &as_f32));
    assert!(wide < 1.02 * narrow / 2.0, "{wide} of F32, {narrow} of F16");
    // Signs that never change cost nothing.
    let positive: Vec<f32> = values.iter().map(|value| value.abs()).collect();
    let (signed, unsigned) = (weights_as(Dtype::Bf16, &values), weights_as(Dtype::Bf16, &positive));
    let saved = size(Dtype::Bf16, &signed) - size(Dtype::Bf16, &unsigned);
    assert!((0.06..0.07).contains(&saved), "one bit of sixteen, not {saved}");
    // After a ReLU, half of the elements are zero: a bit for each to say so, and the other half
    // like that of a positive tensor.
    let relu: Vec<f32> = values.iter().map(|value| value.max(0.0)).collect();
    let kept: Vec<f32> = relu.iter().copied().filter(|&value| value > 0.0).collect();
    for dtype in [Dtype::F16, Dtype::Bf16, Dtype::F32, Dtype::F64] {
        let all = round_trip(dtype, &weights_as(dtype, &relu)).len();
        let least = values.len() / 8 + round_trip(dtype, &weights_as(dtype, &kept)).len();
        assert!((all as f64) < 1.01 * least as f64 + 200.0, "{dtype}: {all} and not {least}");
    }
    // Sorted integers are stored by their differences.
    let sorted: Vec<u8> =
        (0..1 << 15).flat_map(|i: i64| (i * 1000 + i % 7).to_le_bytes()).collect();
    assert!(size(Dtype::I64, &sorted) < 0.06);
    // Small integers of both signs.
    assert!(size(Dtype::I64, &weights_as(Dtype::I64, &values)) < 0.13);
}

/// Decodes hostile bytes: an error or wrong elements, and no more memory than the result deserves.
fn attack(dtype: Dtype, data: &[u8], len: usize) {
    let mut out = vec![0; len];
    let mut decoder = Decoder::new();
    let _ = decoder.decode(dtype, data, &mut out);
    let planes = &decoder.planes;
    let buffers = planes.whole.iter().chain([&planes.symbols, &planes.fraction]);
    let held: usize = buffers.map(Vec::capacity).sum();
    assert!(held <= 2 * len.max(BLOCK), "{held} bytes of planes for {len} bytes");
}

#[test]
fn damaged_chunks_do_no_harm() {
    for dtype in Dtype::ALL {
        let bytes = weights_as(dtype, &weights(6, 1100));
        damage(dtype, &bytes);
        let sparse: Vec<f32> = weights(7, 900).iter().map(|value| value.max(0.0)).collect();
        damage(dtype, &weights_as(dtype, &sparse));
    }
}

fn damage(dtype: Dtype, bytes: &[u8]) {
    let data = round_trip(dtype, bytes);
    for len in 0..data.len() {
        let mut out = vec![0; bytes.len()];
        let result = Decoder::new().decode(dtype, &data[..len], &mut out);
        assert!(result.is_err(), "{dtype}: {len} of {} bytes decode", data.len());
    }
    let longer = [&data[..], &[0]].concat();
    assert!(Decoder::new().decode(dtype, &longer, &mut vec![0; bytes.len()]).is_err());
    for at in 0..data.len() {
        for change in [1, 0x80, 0xff, 0x10] {
            let mut data = data.clone();
            data[at] ^= change;
            attack(dtype, &data, bytes.len());
        }
    }
    // Right bytes, wrong expectations.
    for other in Dtype::ALL {
        attack(other, &data, bytes.len());
    }
    for len in [0, 1, bytes.len() / 2, bytes.len() - 1, bytes.len() + 1, 2 * bytes.len()] {
        attack(dtype, &data, len);
    }
}

fn dtypes() -> impl Strategy<Value = Dtype> {
    proptest::sample::select(Dtype::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn anything_comes_back(dtype in dtypes(), bytes in proptest::collection::vec(any::<u8>(), 0..5000)) {
        round_trip(dtype, &bytes);
    }

    #[test]
    fn few_values_come_back(
        dtype in dtypes(),
        palette in proptest::collection::vec(any::<u64>(), 1..6),
        picks in proptest::collection::vec(any::<prop::sample::Index>(), 0..2000),
        mask in any::<u64>(),
    ) {
        let bytes: Vec<u8> = picks
            .iter()
            .flat_map(|pick| (pick.get(&palette) & mask).to_le_bytes()[..dtype.size()].to_vec())
            .collect();
        round_trip(dtype, &bytes);
    }

    #[test]
    fn sparse_elements_come_back(
        dtype in dtypes(),
        values in proptest::collection::vec((0.0f32..1.0, -2.0f32..2.0), 0..3000),
        kept in 0.0f32..1.0,
        zero in proptest::sample::select(vec![0.0f32, -0.0]),
    ) {
        let pick = |&(chance, value): &(f32, f32)| match chance {
            chance if chance < kept => value,
            chance if chance < (1.0 + kept) / 2.0 => zero,
            _ => 0.0,
        };
        let values: Vec<f32> = values.iter().map(pick).collect();
        round_trip(dtype, &weights_as(dtype, &values));
    }

    #[test]
    fn any_bytes_decode_without_harm(
        dtype in dtypes(),
        method in 0u8..5,
        data in proptest::collection::vec(any::<u8>(), 0..300),
        len in 0usize..3000,
    ) {
        attack(dtype, &[&[method], &data[..]].concat(), len);
    }

    #[test]
    fn names_come_back(dtype in dtypes()) {
        prop_assert_eq!(dtype.to_string().parse::<Dtype>().unwrap(), dtype);
    }
}

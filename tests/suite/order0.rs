//! Order-0 chunks through the public interface: sizes, edges, damage.

use parans::Error;
use parans::order0::{
    DEFAULT_CHUNK, Decoder, Encoder, MAX_CHUNK, decode_all, encode_all, entropy_bytes,
};
use parans::simd::Level;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

fn rng(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

/// Whether a little must do: under an interpreter of another processor.
fn quick() -> bool {
    std::env::var_os("PARANS_QUICK").is_some()
}

/// Bell-shaped bytes: the sum of eight uniform ones, scaled to the wanted spread.
fn bell(len: usize, spread: u32, seed: u64) -> Vec<u8> {
    let mut rng = rng(seed);
    let mut one = || (0..8).map(|_| rng.random_range(0..=spread)).sum::<u32>() / 4;
    (0..len).map(|_| one() as u8).collect()
}

/// Few values often, many seldom, as text has.
fn skewed(len: usize, seed: u64) -> Vec<u8> {
    let mut rng = rng(seed);
    (0..len).map(|_| (255.0 * rng.random::<f64>().powi(7)) as u8).collect()
}

fn encode(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0xaa; 3];
    let len = Encoder::new().encode(bytes, &mut out);
    assert_eq!(out[..3], [0xaa; 3], "what was there stays");
    assert_eq!(out.len(), 3 + len);
    out.split_off(3)
}

fn decode(data: &[u8], len: usize) -> parans::Result<Vec<u8>> {
    let mut out = vec![0x55; len];
    Decoder::new().decode(data, &mut out)?;
    Ok(out)
}

fn round_trip(bytes: &[u8]) -> usize {
    let coded = encode(bytes);
    assert!(coded.len() <= bytes.len() + usize::from(!bytes.is_empty()));
    assert!(decode(&coded, bytes.len()).expect("own chunk") == bytes, "length {}", bytes.len());
    coded.len()
}

#[test]
fn the_level_asked_for_is_in_use() {
    let asked = Level::from_environment().expect("PARANS_SIMD names a level of this machine");
    assert!(asked.is_none_or(|level| level == Level::current()));
}

#[test]
fn all_short_lengths() {
    let (text, bell) = (skewed(600, 1), bell(600, 40, 2));
    for len in 0..=600 {
        round_trip(&text[..len]);
        round_trip(&bell[..len]);
        round_trip(&vec![7; len]);
        round_trip(&(0..len).map(|i| (i % 2) as u8 * 255).collect::<Vec<_>>());
    }
}

#[test]
fn lengths_around_edges() {
    let text = skewed(20_000, 3);
    for edge in [512, 4096, 16384, 16384 + 128, 16384 + 1280] {
        for len in edge - 3..edge + 132 {
            round_trip(&text[..len]);
        }
    }
}

#[test]
fn every_shape_of_table() {
    let mut rng = rng(4);
    for len in [40usize, 700, 5000, 33_000] {
        // One value nearly always; all values equally often; two values; each value once and one
        // often.
        for shape in 0..5 {
            let bytes: Vec<u8> = (0..len)
                .map(|i| match shape {
                    0 => u8::from(i == len / 2) * 200,
                    1 => i as u8,
                    2 => u8::from(rng.random::<bool>()),
                    3 => {
                        if i < 256 {
                            i as u8
                        } else {
                            255
                        }
                    }
                    _ => {
                        if rng.random_ratio(1, 4096) {
                            rng.random()
                        } else {
                            9
                        }
                    }
                })
                .collect();
            round_trip(&bytes);
        }
    }
}

#[test]
fn random_bytes_are_stored() {
    let mut bytes = vec![0; 50_000];
    rng(5).fill(&mut bytes[..]);
    assert_eq!(round_trip(&bytes), bytes.len() + 1);
}

#[test]
fn sizes_are_close_to_the_entropy() {
    for bytes in [skewed(DEFAULT_CHUNK, 6), bell(DEFAULT_CHUNK, 30, 7), bell(DEFAULT_CHUNK, 3, 8)] {
        let excess = round_trip(&bytes) as f64 / entropy_bytes(&bytes) - 1.0;
        assert!((0.0..0.006).contains(&excess), "{excess}");
    }
}

#[test]
fn entropy_of_known_distributions() {
    assert_eq!(entropy_bytes(&[]), 0.0);
    assert_eq!(entropy_bytes(&[3; 100]), 0.0);
    assert_eq!(entropy_bytes(&[0, 1, 2, 3].repeat(25)), 25.0);
}

#[test]
fn sequences_of_chunks() {
    let bytes = skewed(2 * DEFAULT_CHUNK + 12_345, 9);
    for len in [0, 1, 77, DEFAULT_CHUNK - 1, DEFAULT_CHUNK, DEFAULT_CHUNK + 1, bytes.len()] {
        let mut coded = vec![1, 2, 3];
        encode_all(&bytes[..len], &mut coded);
        let coded = &coded[3..];
        let mut out = vec![0; len];
        decode_all(coded, &mut out).unwrap();
        assert!(out == bytes[..len]);
        if len > 0 {
            let short = decode_all(&coded[..coded.len() - 1], &mut out);
            assert!(matches!(short, Err(Error::Truncated(_))), "{short:?}");
            let long = decode_all(&[coded, &[0]].concat(), &mut out);
            assert!(matches!(long, Err(Error::Corrupt(_))), "{long:?}");
        }
    }
}

#[test]
fn every_truncation_and_extension_is_an_error() {
    for bytes in [skewed(300, 10), skewed(2000, 11), skewed(16_384 + 77, 12), vec![4; 50]] {
        let coded = encode(&bytes);
        let mut out = vec![0; bytes.len()];
        let mut decoder = Decoder::new();
        for end in (0..coded.len()).step_by(if quick() { 29 } else { 1 }) {
            // Exactly sized, so that memory checkers see a read past the end.
            let cut = coded[..end].to_vec().into_boxed_slice();
            decoder.decode(&cut, &mut out).expect_err("cut chunk");
        }
        for extra in 1..70 {
            let longer = [&coded[..], &vec![0; extra]].concat();
            decoder.decode(&longer, &mut out).expect_err("longer chunk");
        }
    }
}

#[test]
fn every_changed_byte_ends_in_bounded_time() {
    let bytes = skewed(16_384 + 77, 13);
    for bytes in [&bytes[..300], &bytes[..1500], &bytes[..]] {
        let coded = encode(bytes);
        let step = if quick() {
            97
        } else if coded.len() > 4000 {
            7
        } else {
            1
        };
        let mut out = vec![0; bytes.len()];
        let (mut decoder, mut tried, mut missed) = (Decoder::new(), 0, 0);
        for at in (0..700.min(coded.len()))
            .chain((700..coded.len()).step_by(step))
            .step_by(if quick() { 5 } else { 1 })
        {
            for change in [1, 0x10, 0x80, 0xff] {
                let mut bad = coded.clone().into_boxed_slice();
                bad[at] ^= change;
                // A table may name other bytes with the same frequencies: only a frame's checksum
                // sees that.
                let passed = decoder.decode(&bad, &mut out).is_ok();
                tried += usize::from(at >= 160);
                missed += usize::from(passed && at >= 160);
            }
        }
        // What another message of the same length would have been coded to passes: seldom in one
        // lane, never seen in 32.
        let seldom = if quick() { 30 } else { 40 };
        assert!(missed * seldom <= tried, "{missed} of {tried} changes went unnoticed");
    }
}

#[test]
fn wrong_lengths_are_errors() {
    let bytes = skewed(20_000, 14);
    let coded = encode(&bytes);
    for len in [0, 1, 19_871, 19_872, 19_999, 20_001, 20_128, 40_000] {
        decode(&coded, len).expect_err("wrong length");
    }
    decode(&[], 1).expect_err("no bytes");
    decode(&[0], 0).expect_err("bytes for an empty chunk");
    for kind in 6..=255 {
        assert!(matches!(decode(&[kind, 0, 0], 3), Err(Error::Corrupt(_))));
    }
}

#[test]
fn a_chunk_over_the_limit() {
    let mut out = vec![0; MAX_CHUNK + 1];
    let err = Decoder::new().decode(&[1, 7], &mut out).unwrap_err();
    assert!(matches!(err, Error::InvalidArgument(_)));
    out.truncate(MAX_CHUNK);
    Decoder::new().decode(&[1, 7], &mut out).unwrap();
    assert!(out.iter().all(|&b| b == 7));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if quick() { 8 } else { 96 }))]

    #[test]
    fn anything_round_trips(
        len in 0usize..40_000, seed: u64, values in 1u32..=256, power in 1i32..9,
    ) {
        let mut rng = rng(seed);
        let first: u8 = rng.random();
        let bytes: Vec<u8> = (0..len)
            .map(|_| first.wrapping_add((f64::from(values) * rng.random::<f64>().powi(power)) as u8))
            .collect();
        round_trip(&bytes);
    }

    #[test]
    fn hostile_bytes(
        mut data in proptest::collection::vec(any::<u8>(), 0..3000), kind in 0u8..6, len in 0usize..40_000,
    ) {
        if let Some(first) = data.first_mut() {
            *first = kind;
        }
        let _ = decode(&data, len);
    }

    /// A sound header before hostile rows reaches the inner loops.
    #[test]
    fn hostile_rows(seed: u64, len in 16_384usize..20_000, cut in 0usize..4000, noise in 0usize..8000) {
        let bytes = skewed(len, seed);
        let mut coded = encode(&bytes);
        coded.truncate(coded.len() - cut.min(coded.len() - 200));
        let mut rng = rng(seed);
        let from = 200.max(coded.len().saturating_sub(noise));
        rng.fill(&mut coded[from..]);
        let _ = decode(&coded.into_boxed_slice(), len);
    }
}

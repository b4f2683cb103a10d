//! Every level of instructions against the scalar rows, and those against the general codec.

use parans_kernels::codec::table_row::TablesView;
use parans_kernels::codec::{
    DecoderView, Interval, Rans32x16, RowIndexes, SearchLookup, TableDescriptor, WordReader,
    pop_row,
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};

use super::layout::Layout;
use super::{DEFAULT_CHUNK, Decoder, Encoder, PRECISION, SLOTS, chunk, model};
use crate::simd::Level;

fn bytes(len: usize, seed: u64, values: u32, power: i32) -> Vec<u8> {
    let mut rng = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(seed);
    let first: u8 = rng.random();
    let mut one = || (f64::from(values) * rng.random::<f64>().powi(power)) as u8;
    (0..len).map(|_| first.wrapping_add(one())).collect()
}

/// Whether a little must do: under an interpreter of another processor.
fn quick() -> bool {
    std::env::var_os("PARANS_QUICK").is_some()
}

/// All levels write what the scalar one writes, and read it.
fn same_at_every_level(chunk: &[u8]) {
    let mut want = Vec::new();
    Encoder::at_level(Level::Scalar).encode(chunk, &mut want);
    for level in Level::available() {
        let mut coded = Vec::new();
        Encoder::at_level(level).encode(chunk, &mut coded);
        assert!(coded == want, "{} writes other bytes, length {}", level.name(), chunk.len());
        // Exactly sized, so that memory checkers see a read past the end.
        let coded = coded.into_boxed_slice();
        let mut out = vec![0; chunk.len()].into_boxed_slice();
        Decoder::at_level(level)
            .decode(&coded, &mut out)
            .unwrap_or_else(|e| panic!("{}: {e}", level.name()));
        assert!(*out == *chunk, "{} reads other bytes, length {}", level.name(), chunk.len());
    }
}

#[test]
fn lengths_from_nothing_to_the_four_rows() {
    let text = bytes(16_384 + 300, 1, 256, 5);
    for len in (0..=600).chain(16_384 - 3..16_384 + 300) {
        same_at_every_level(&text[..len]);
    }
}

#[test]
fn whole_chunks() {
    for (seed, values, power) in [(2, 256, 7), (3, 200, 1), (4, 256, 3), (5, 2, 1), (6, 256, 30)] {
        let len = if quick() { 1 << 17 } else { DEFAULT_CHUNK };
        let chunk = bytes(len + 77, seed, values, power);
        same_at_every_level(&chunk);
        same_at_every_level(&chunk[..len]);
    }
}

#[test]
fn adversarial_chunks() {
    let len = 40_000;
    // Every word of one row, none of the others; frequencies of 1 and 4095; rare values in bursts
    // at both ends.
    let row_zero_rare: Vec<u8> =
        (0..len).map(|i| if i % 4 == 0 { (i / 4 * 7) as u8 } else { 9 }).collect();
    same_at_every_level(&row_zero_rare);
    for at in [0, 1, 127, 128, len / 2, len - 129, len - 1] {
        let mut lonely = vec![200; len];
        lonely[at] = 3;
        same_at_every_level(&lonely);
    }
    let mut ends = vec![5; len];
    for i in 0..1000 {
        ends[i] = i as u8;
        ends[len - 1 - i] = (i * 3) as u8;
    }
    same_at_every_level(&ends);
    same_at_every_level(&(0..len).map(|i| (i % 256) as u8).collect::<Vec<_>>());
    same_at_every_level(&(0..len).map(|i| ((i * i) >> 9) as u8).collect::<Vec<_>>());
}

/// What the general codec reads from a row of `len` symbols, and the words it leaves.
fn pop_with_general_codec<const LANES: usize>(
    row: &[u8],
    intervals: &[Interval],
    len: usize,
) -> (Vec<u8>, usize) {
    let (states, words) = row.split_at(4 * LANES);
    let mut states: [u32; LANES] = std::array::from_fn(|lane| {
        u32::from_le_bytes(states[4 * lane..][..4].try_into().expect("four bytes"))
    });
    let words: Vec<u16> =
        words.chunks_exact(2).map(|word| u16::from_le_bytes([word[0], word[1]])).collect();
    let mut words = WordReader::new(&words);
    let table = [TableDescriptor { base: 0, symbols: 256, offset: 0, log2_symbols: 0 }];
    let view = DecoderView {
        tables: TablesView {
            tables: &table,
            precision: PRECISION,
            bypass: None,
            skip_past_end: false,
        },
        lookup: SearchLookup { intervals },
    };
    let mut symbols = vec![0; len];
    let row = view.row(RowIndexes::One(0));
    pop_row::<Rans32x16, _, _>(&row, &mut states, &mut words, &mut symbols)
        .expect("a row of the family rans32_16");
    assert_eq!(states, [1 << 15; LANES]);
    (symbols.into_iter().map(|s| s as u8).collect(), words.len())
}

#[test]
fn rows_are_streams_of_the_general_codec() {
    for len in [400, 1000, 5000, 16_384, 16_384 + 127, 50_001] {
        let original = bytes(len, len as u64, 30, 3);
        let mut coded = Vec::new();
        Encoder::new().encode(&original, &mut coded);
        let layout = Layout::from_kind(coded[0]).expect("a coded chunk");
        let (frequencies, taken) = chunk::read_table(&coded[1..]).unwrap();
        let starts = model::starts(&frequencies);
        let intervals: Vec<Interval> =
            (0..256).map(|s| Interval { start: starts[s], freq: frequencies[s] }).collect();
        let rows = chunk::split_rows(&coded, 1 + taken, layout).unwrap();
        let mut back = vec![0; len];
        for (row, data) in rows.into_iter().enumerate().take(layout.rows()) {
            let count = layout.row_len(row, len);
            let (symbols, left) = match layout.lanes() {
                1 => pop_with_general_codec::<1>(data, &intervals, count),
                8 => pop_with_general_codec::<8>(data, &intervals, count),
                _ => pop_with_general_codec::<32>(data, &intervals, count),
            };
            assert_eq!(left, 0);
            for (i, symbol) in symbols.into_iter().enumerate() {
                back[layout.byte(row, i, len)] = symbol;
            }
        }
        assert!(back == original, "length {len}");
    }
}

/// Damaged chunks: every level gives the same answer, or an error.
#[test]
fn damage_is_seen_alike() {
    let chunk = bytes(17_000, 7, 256, 6);
    let mut coded = Vec::new();
    Encoder::new().encode(&chunk, &mut coded);
    let mut outs = [vec![0; chunk.len()], vec![0; chunk.len()]];
    for at in (0..coded.len()).step_by(if quick() { 61 } else { 3 }) {
        for bit in [0, 7] {
            let mut bad = coded.clone().into_boxed_slice();
            bad[at] ^= 1 << bit;
            let want = Decoder::at_level(Level::Scalar).decode(&bad, &mut outs[0]);
            for level in Level::available().filter(|&level| level != Level::Scalar) {
                let have = Decoder::at_level(level).decode(&bad, &mut outs[1]);
                assert_eq!(have.is_ok(), want.is_ok(), "{} byte {at}", level.name());
                assert!(have.is_err() || outs[0] == outs[1], "{} byte {at}", level.name());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if quick() { 6 } else { 48 }))]

    #[test]
    fn any_counts(values in proptest::collection::vec((0usize..256, 1u32..1 << 24), 2..400)) {
        let mut counts = [0; 256];
        for (s, n) in values {
            counts[s] = n;
        }
        counts[0] = 1;
        counts[1] = 1;
        let frequencies = model::normalise(&counts);
        prop_assert_eq!(frequencies.iter().sum::<u32>(), SLOTS as u32);
        for (n, f) in counts.iter().zip(frequencies) {
            prop_assert_eq!(*n > 0, f > 0);
        }
    }

    #[test]
    fn any_chunk(
        len in 16_384usize..80_000, seed: u64, values in 2u32..=256, power in 1i32..12,
    ) {
        same_at_every_level(&bytes(len, seed, values, power));
    }

    /// Hostile rows behind a sound header end in bounded time at every level.
    #[test]
    fn hostile_rows(seed: u64, len in 16_384usize..20_000, cut in 0usize..9000) {
        let mut coded = Vec::new();
        Encoder::new().encode(&bytes(len, seed, 200, 4), &mut coded);
        coded.truncate(coded.len().saturating_sub(cut).max(250));
        rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(seed).fill(&mut coded[250..]);
        let coded = coded.into_boxed_slice();
        let mut out = vec![0; len];
        for level in Level::available() {
            let _ = Decoder::at_level(level).decode(&coded, &mut out);
        }
    }
}

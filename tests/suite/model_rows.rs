//! Rows of models against a naive rANS coder: big integers in spirit (`u128`, one symbol at a time,
//! linear search over the whole CDF), with none of the library's code.

use parans_kernels::codec::{BypassCode, Rans32, Rans32x16, Rans64, RansFamily, StateInt, WordInt};
use parans_kernels::codec::{WordReader, WordWriter, pop_row, push_row};
use parans_kernels::model::{
    Cdfs, Component, Kind, Mean, Mixture, Mixtures, Model, ModelRow, Parametric, Parametrics,
    RowModel, Scale, Uniform,
};
use proptest::prelude::*;

/// What the oracle has of a symbol: its slots and, for an escape, the digits' content.
type Code = (u64, u64, Option<u32>);

/// The oracle's row: the states and words after pushing `codes` in the documented order.
fn oracle<F: RansFamily>(
    codes: &[Code],
    precision: u32,
    digit: u32,
    lanes: usize,
) -> (Vec<u128>, Vec<u32>) {
    let (s, w) = (F::STATE_BITS, F::WORD_BITS);
    let low = 1u128 << (s - 1 - w);
    let mut states = vec![low; lanes];
    let mut words = Vec::new();
    let push = |x: &mut u128, start: u64, freq: u64, p: u32, words: &mut Vec<u32>| {
        while *x >= ((low >> p) << w) * u128::from(freq) {
            words.push((*x & ((1 << w) - 1)) as u32);
            *x >>= w;
        }
        let f = u128::from(freq);
        *x = ((*x / f) << p) + *x % f + u128::from(start);
    };
    let digits = |x: &mut u128, raw: u32, words: &mut Vec<u32>| {
        let full = (1u32 << digit) - 1;
        let count = (0..).find(|n| u64::from(raw) >> (n * digit) == 0).unwrap();
        for k in (0..count).rev() {
            push(x, u64::from(raw >> (k * digit) & full), 1, digit, words);
        }
        push(x, u64::from(count % full), 1, digit, words);
        for _ in 0..count / full {
            push(x, u64::from(full), 1, digit, words);
        }
    };
    let whole = codes.len() / lanes * lanes;
    for i in (whole..codes.len()).rev() {
        let (start, freq, raw) = codes[i];
        if let Some(raw) = raw {
            digits(&mut states[i % lanes], raw, &mut words);
        }
        push(&mut states[i % lanes], start, freq, precision, &mut words);
    }
    for group in (0..whole).step_by(lanes).rev() {
        for lane in (0..lanes).rev() {
            if let Some(raw) = codes[group + lane].2 {
                digits(&mut states[lane], raw, &mut words);
            }
        }
        for lane in (0..lanes).rev() {
            let (start, freq, _) = codes[group + lane];
            push(&mut states[lane], start, freq, precision, &mut words);
        }
    }
    (states, words)
}

/// Pushes with the library, compares with the oracle, pops, and tries damaged rows.
fn check<F: RansFamily, M: RowModel, const LANES: usize>(
    model: &M,
    precision: u32,
    digit: u32,
    symbols: &[i32],
    codes: &[Code],
) {
    let bypass = BypassCode::new(digit);
    let mut states = [F::LOWER_BOUND; LANES];
    let mut words = vec![F::Word::default(); 80 * symbols.len() + 80];
    let mut writer = WordWriter::new(&mut words, 0);
    let model = &ModelRow { model: *model, precision, bypass };
    push_row::<F, _, _>(model, &mut states[..], &mut writer, symbols).unwrap();
    let len = writer.len();
    words.truncate(len);
    let (expected_states, expected_words) = oracle::<F>(codes, precision, digit, LANES);
    assert_eq!(states.map(|x| u128::from(x.to_u64())).as_slice(), expected_states);
    assert_eq!(words.iter().map(|w| w.to_u32()).collect::<Vec<_>>(), expected_words);
    for cut in [0, 1, len / 2] {
        let mut back = vec![0; symbols.len()];
        let mut end = states;
        let mut reader = WordReader::new(&words[cut.min(len)..]);
        let popped = pop_row::<F, _, _>(model, &mut end[..], &mut reader, &mut back);
        if cut == 0 {
            popped.unwrap();
            assert_eq!(back, symbols);
            assert_eq!(end, [F::LOWER_BOUND; LANES]);
            assert_eq!(reader.len(), 0);
        } else if cut <= len {
            // A row that lost words must not come out whole.
            assert!(popped.is_err() || end != [F::LOWER_BOUND; LANES] || back != symbols);
        }
    }
}

fn every_lane_count<F: RansFamily, M: RowModel>(
    model: &M,
    precision: u32,
    digit: u32,
    symbols: &[i32],
    codes: &[Code],
) {
    check::<F, M, 1>(model, precision, digit, symbols, codes);
    check::<F, M, 2>(model, precision, digit, symbols, codes);
    check::<F, M, 4>(model, precision, digit, symbols, codes);
    check::<F, M, 8>(model, precision, digit, symbols, codes);
    check::<F, M, 32>(model, precision, digit, symbols, codes);
}

fn every_family<M: RowModel>(
    model: &M,
    precision: u32,
    digit: u32,
    symbols: &[i32],
    codes: &[Code],
) {
    every_lane_count::<Rans64, M>(model, precision, digit, symbols, codes);
    if precision <= 23 {
        every_lane_count::<Rans32, M>(model, precision, digit, symbols, codes);
    }
    if precision <= 15 {
        every_lane_count::<Rans32x16, M>(model, precision, digit, symbols, codes);
    }
}

/// The oracle's view of a windowed model: its CDF as a list, searched from the front.
fn windowed_code(symbol: i32, lowest: i32, count: u32, cdf: impl Fn(u32) -> u32) -> Code {
    let rank = (i64::from(symbol) - i64::from(lowest) + 1).clamp(0, i64::from(count) + 1);
    let edges: Vec<u64> = (rank..=rank + 1).map(|r| u64::from(cdf(r as u32))).collect();
    let raw = if rank == 0 {
        Some(i64::from(lowest) - 1 - i64::from(symbol))
    } else if rank > i64::from(count) {
        Some(i64::from(symbol) - i64::from(lowest) - i64::from(count))
    } else {
        None
    };
    (edges[0], edges[1] - edges[0], raw.map(|raw| raw as u32))
}

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(Kind::ALL.to_vec())
}

fn precision() -> impl Strategy<Value = u32> {
    prop::sample::select(vec![8, 11, 12, 15, 16, 20, 23, 24, 31])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn parametric_rows(
        kind in kind(),
        precision in precision(),
        digit in 1u32..=8,
        rows in prop::collection::vec((-600_000i32..600_000, 0u16..=5632, -3.0f64..3.0, 0u32..20), 0..75),
    ) {
        let means: Vec<i32> = rows.iter().map(|r| r.0).collect();
        let scales: Vec<u16> = rows.iter().map(|r| r.1).collect();
        // Mostly where the distribution is, now and then anywhere.
        let symbols: Vec<i32> = rows.iter().map(|&(mean, code, z, far)| match far {
            0 => mean.wrapping_mul(800),
            _ => {
                let scale = Scale::from_code(code).unwrap().to_f64();
                (Mean(mean).to_f64() + z * scale).round() as i32
            }
        }).collect();
        let codes: Vec<Code> = symbols.iter().zip(&rows).map(|(&symbol, &(mean, code, ..))| {
            let model = Parametric::new(kind, Mean(mean), Scale::from_code(code).unwrap(), precision);
            let window = model.window();
            windowed_code(symbol, window.lowest, window.count, |r| model.cdf(r))
        }).collect();
        let model = Parametrics { kind, means: &means, scales: &scales, precision };
        every_family(&model, precision, digit, &symbols, &codes);
    }

    /// Neighbouring ranks anywhere in any model: increasing, and found from their first and last
    /// slots.
    #[test]
    fn cdfs_increase_strictly(
        kind in kind(),
        precision in precision(),
        mean in any::<i32>(),
        code in 0u16..=5632,
        places in prop::collection::vec(any::<prop::sample::Index>(), 40),
    ) {
        let model = Parametric::new(kind, Mean(mean), Scale::from_code(code).unwrap(), precision);
        let window = model.window();
        prop_assert_eq!((model.cdf(0), model.cdf(window.count + 2)), (0, 1 << precision));
        for place in places {
            let rank = place.index(window.count as usize + 2) as u32;
            let (start, end) = (model.cdf(rank), model.cdf(rank + 1));
            prop_assert!(start < end);
            for slot in [start, end - 1] {
                let found = model.find(slot);
                prop_assert_eq!(found.interval.start, start);
                prop_assert_eq!(found.value.symbol(0), Some(window.lowest + rank as i32 - 1));
            }
        }
    }

    #[test]
    fn mixture_rows(
        kind in kind(),
        precision in precision(),
        each in 1usize..=8,
        seeds in prop::collection::vec(any::<u64>(), 0..40),
    ) {
        let mut components = Vec::new();
        let mut symbols = Vec::new();
        for &seed in &seeds {
            let mut x = seed | 1;
            let mut next = |n: u64| { x ^= x << 13; x ^= x >> 7; x ^= x << 17; (x % n) as u32 };
            let mut left = 1 << 16;
            for k in 0..each {
                let weight = if k + 1 == each { left } else { next(u64::from(left) + 1) };
                left -= weight;
                let mean = Mean(next(400_000) as i32 - 200_000);
                components.push(Component { mean, scale: Scale::from_code(next(4000) as u16).unwrap(), weight });
            }
            symbols.push(next(300) as i32 - 150);
        }
        let codes: Vec<Code> = symbols.iter().zip(components.chunks(each)).map(|(&symbol, parts)| {
            let model = Mixture::new(kind, parts, precision).unwrap();
            let window = model.window();
            windowed_code(symbol, window.lowest, window.count, |r| model.cdf(r))
        }).collect();
        let model = Mixtures { kind, components: &components, each, precision };
        every_family(&model, precision, 4, &symbols, &codes);
    }

    #[test]
    fn uniform_rows(
        precision in precision(),
        lowest in -1000i32..1000,
        size in 1u32..300_000,
        picks in prop::collection::vec(any::<u32>(), 0..70),
    ) {
        let size = size.min(1 << precision);
        let model = Uniform::new(lowest, size, precision).unwrap();
        let symbols: Vec<i32> = picks.iter().map(|p| lowest + (p % size) as i32).collect();
        let codes: Vec<Code> = symbols.iter().map(|&symbol| {
            let interval = Model::locate(&model, symbol).unwrap().interval;
            (u64::from(interval.start), u64::from(interval.freq), None)
        }).collect();
        every_family(&model, precision, 4, &symbols, &codes);
    }

    #[test]
    fn rows_of_cdfs(
        precision in 6u32..=24,
        alphabet in 2usize..60,
        sentinel in any::<bool>(),
        digit in 1u32..=8,
        seeds in prop::collection::vec(any::<u64>(), 0..70),
    ) {
        let mut cdfs = Vec::new();
        let mut symbols = Vec::new();
        let mut codes = Vec::new();
        for &seed in &seeds {
            let mut x = seed | 1;
            let mut next = |n: u64| { x ^= x << 13; x ^= x >> 7; x ^= x << 17; x % n };
            // One slot each, the rest where it falls.
            let mut freqs = vec![1u64; alphabet];
            let mut left = (1 << precision) - alphabet as u64;
            for freq in &mut freqs {
                let more = next(left + 1);
                *freq += more;
                left -= more;
            }
            *freqs.last_mut().unwrap() += left;
            let mut cdf = vec![0u64];
            for freq in &freqs {
                cdf.push(cdf.last().unwrap() + freq);
            }
            cdfs.extend(cdf.iter().map(|&c| c as u32));
            let own = (alphabet - usize::from(sentinel)) as i64;
            let value = if sentinel { next(3 * alphabet as u64) as i64 - alphabet as i64 } else { next(own as u64) as i64 };
            symbols.push((value - 7) as i32);
            let (number, raw) = match value {
                v if v < 0 => (own, Some((-2 * v - 1) as u32)),
                v if v >= own => (own, Some((2 * (v - own)) as u32)),
                v => (v, None),
            };
            codes.push((cdf[number as usize], freqs[number as usize], raw));
        }
        let model = Cdfs { cdfs: &cdfs, width: alphabet + 1, offset: -7, sentinel };
        every_family(&model, precision, digit, &symbols, &codes);
    }
}

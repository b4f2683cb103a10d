//! Any bytes as checkpoints, and right ones damaged: rows pop from them as they do whole, or not at
//! all.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ndarray::{Array2, array};
use parans::{Bypass, Checkpoints, Coder, Family, Indexes, Precision, Tables};

fuzz_target!(|input: (u8, u8, bool, u8, Vec<(u16, u8)>, Vec<i16>, &[u8])| {
    let (family, lanes, bypass, every, damage, symbols, bytes) = input;
    let family = Family::ALL[usize::from(family) % Family::ALL.len()];
    let lanes = Family::LANES[usize::from(lanes) % Family::LANES.len()];
    let every = lanes * usize::from(every).max(1);
    let counts = array![[5u64, 1, 1, 9]];
    let tables = Tables::builder(Precision::new(7).expect("7 bits")).sentinel(bypass);
    let coder = Coder::builder(family)
        .lanes(lanes)
        .bypass(if bypass { Bypass::digits(4) } else { Bypass::Off })
        .build(tables.counts(counts.view()).expect("sound counts"))
        .expect("a sound coder");
    let limit = if bypass { i32::from(i16::MAX) } else { 4 };
    let symbols: Vec<i32> = symbols.iter().map(|&symbol| i32::from(symbol) % limit).collect();
    let symbols: Vec<i32> =
        if bypass { symbols } else { symbols.into_iter().map(i32::abs).collect() };
    let columns = symbols.len();
    let symbols = Array2::from_shape_vec((1, columns), symbols).expect("one row");
    let indexes = || Indexes::one(0, 1, columns);
    let mut streams = coder.streams(1).expect("few rows");
    let made = coder.push_checkpointed(&mut streams, &symbols, indexes(), every).expect("sound");
    let pop = |checkpoints: &Checkpoints| {
        let mut after = streams.clone();
        let popped: parans::Result<Array2<i32>> =
            coder.pop_checkpointed(&mut after, indexes(), checkpoints);
        assert!(popped.is_ok() || after == streams);
        popped
    };
    assert!(pop(&made).expect("what was pushed") == symbols);

    let own = made.to_bytes().expect("a known family");
    let mut damaged = own.clone();
    for (at, flip) in damage {
        damaged[usize::from(at) % own.len()] ^= flip;
    }
    for bytes in [&damaged[..], bytes] {
        let Ok(checkpoints) = Checkpoints::from_bytes(bytes) else { continue };
        assert!(checkpoints.to_bytes().expect("it was read") == bytes);
        if let Ok(popped) = pop(&checkpoints) {
            assert!(popped == symbols);
        }
        for part in [0..columns / 3, columns / 2..columns] {
            let _ = coder.peek_columns::<i32>(&streams, indexes(), &checkpoints, 0, part);
        }
    }
});

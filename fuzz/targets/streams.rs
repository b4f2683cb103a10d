//! Any bytes as merged streams and as byte strings, of every family: read or refused, and popped
//! without harm.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ndarray::{Array2, array};
use parans::{Bypass, Coder, Family, LengthBytes, Lookup, Merged, Streams, Tables};

fuzz_target!(|input: (u8, u8, u8, u8, &[u8])| {
    let (family, lanes, form, options, bytes) = input;
    let family = Family::ALL[usize::from(family) % Family::ALL.len()];
    let lanes = Family::LANES[usize::from(lanes) % Family::LANES.len()];
    let widths = [LengthBytes::One, LengthBytes::Two, LengthBytes::Four, LengthBytes::Eight];
    let merged = Merged {
        length_bytes: widths[usize::from(form % 4)],
        rows: (form & 64 != 0).then_some(usize::from(form / 4 % 4)),
    };
    let streams = if form & 128 == 0 {
        Streams::from_merged(family, lanes, bytes, merged)
    } else {
        let strings: Vec<&[u8]> = bytes.chunks(usize::from(form & 127).max(1)).collect();
        Streams::from_byte_strings(family, lanes, &strings)
    };
    let Ok(mut streams) = streams else { return };
    if form & 128 == 0
        && let Ok(again) = streams.to_merged(merged)
    {
        assert!(again == bytes);
    }
    let counts = array![[5u64, 1, 1, 9], [1, 1, 1, 1]];
    let tables = Tables::builder(7).sentinel_is_last().counts(&counts).expect("sound counts");
    let bypass =
        if options & 1 == 0 { Bypass::Off } else { Bypass::digits(u32::from(options / 2 % 8) + 1) };
    let lookup = [Lookup::Search, Lookup::InverseCdf, Lookup::Alias, Lookup::Auto]
        [usize::from(options / 16 % 4)];
    let Ok(coder) = Coder::builder(family).lanes(lanes).bypass(bypass).lookup(lookup).build(tables)
    else {
        return;
    };
    let indexes =
        Array2::from_shape_fn((streams.rows(), 21), |(row, column)| ((row + column) % 2) as i32);
    let before = streams.to_byte_strings();
    let popped: parans::Result<Array2<i32>> = coder.pop(&mut streams, &indexes);
    match popped {
        // What was popped pushes back to the same rows: the symbols are ones a coder can have.
        Ok(symbols) => {
            if coder.push(&mut streams, &symbols, &indexes).is_ok()
                && !family.is_tans()
                && bypass == Bypass::Off
            {
                assert!(streams.to_byte_strings() == before);
            }
        }
        Err(_) => assert!(streams.to_byte_strings() == before),
    }
});

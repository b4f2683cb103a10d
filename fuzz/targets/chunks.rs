//! Any bytes as a coded chunk of each coder, whose checksums would keep most of them away in a
//! frame; and any content coded and back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parans::{float, order0};

fuzz_target!(|input: (u8, u16, &[u8])| {
    let (dtype, length, bytes) = input;
    let dtype = float::Dtype::ALL[usize::from(dtype) % float::Dtype::ALL.len()];
    let mut out = vec![0; usize::from(length)];
    let _ = order0::Decoder::new().decode(bytes, &mut out);
    let _ = float::Decoder::new().decode(dtype, bytes, &mut out);

    let mut back = vec![0; bytes.len()];
    let mut coded = Vec::new();
    order0::Encoder::new().encode(bytes, &mut coded);
    order0::Decoder::new().decode(&coded, &mut back).expect("what was coded");
    assert!(back == bytes);
    let whole = &bytes[..bytes.len() / dtype.size() * dtype.size()];
    let mut back = vec![0; whole.len()];
    coded.clear();
    float::Encoder::new().encode(dtype, whole, &mut coded);
    float::Decoder::new().decode(dtype, &coded, &mut back).expect("what was coded");
    assert!(back == whole);
});

//! Tensors of every element type, shaped so that each way of cutting values comes up: coded, they
//! come back and never grow; damaged, they are an error or other values.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parans::float::{Decoder, Dtype, Encoder, OVERHEAD};

fuzz_target!(|input: (u8, u64, u8, u16, u8, &[u8])| {
    let (dtype, mask, sparse, at, flip, bytes) = input;
    let dtype = Dtype::ALL[usize::from(dtype) % Dtype::ALL.len()];
    let size = dtype.size();
    let mut elements = bytes[..bytes.len() / size * size].to_vec();
    for (number, element) in elements.chunks_exact_mut(size).enumerate() {
        // Bits that no element has: signs, trailing digits; and zeros in between.
        element.iter_mut().zip(mask.to_le_bytes()).for_each(|(byte, mask)| *byte &= !mask);
        if sparse > 1 && number % usize::from(sparse) != 0 {
            element.fill(0);
        }
    }
    let mut coded = Vec::new();
    Encoder::new().encode(dtype, &elements, &mut coded);
    assert!(coded.len() <= elements.len() + OVERHEAD);
    let mut back = vec![0; elements.len()];
    Decoder::new().decode(dtype, &coded, &mut back).expect("what was coded");
    assert!(back == elements);
    let at = usize::from(at) % coded.len();
    coded[at] ^= flip;
    let _ = Decoder::new().decode(dtype, &coded, &mut back);
    let _ = Decoder::new().decode(dtype, &coded[..at], &mut back);
});

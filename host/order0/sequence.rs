//! A whole slice as consecutive chunks, each behind its coded length: the plainest container, for
//! whoever needs no frame (and for the benchmarks).

use super::{DEFAULT_CHUNK, Decoder, Encoder};
use crate::{Error, Result};

/// Codes `bytes` as chunks of [`DEFAULT_CHUNK`] bytes, each preceded by its coded length as a
/// little-endian `u32`, and appends them to `out`.
pub fn encode_all(bytes: &[u8], out: &mut Vec<u8>) {
    let mut encoder = Encoder::new();
    for chunk in bytes.chunks(DEFAULT_CHUNK) {
        let begin = out.len();
        out.extend([0; 4]);
        let len = encoder.encode(chunk, out) as u32;
        out[begin..begin + 4].copy_from_slice(&len.to_le_bytes());
    }
}

/// Fills `out` (of the original length) from what [`encode_all`] appended.
///
/// # Errors
/// As [`Decoder::decode`]; also if `data` holds more than `out` takes.
pub fn decode_all(mut data: &[u8], out: &mut [u8]) -> Result<()> {
    let mut decoder = Decoder::new();
    for chunk in out.chunks_mut(DEFAULT_CHUNK) {
        let coded = data
            .split_first_chunk::<4>()
            .and_then(|(len, rest)| rest.split_at_checked(u32::from_le_bytes(*len) as usize));
        let Some((coded, rest)) = coded else {
            return Err(Error::Truncated("order-0 sequence ends early".into()));
        };
        decoder.decode(coded, chunk)?;
        data = rest;
    }
    match data.len() {
        0 => Ok(()),
        left => Err(Error::Corrupt(format!("{left} bytes after the last order-0 chunk"))),
    }
}

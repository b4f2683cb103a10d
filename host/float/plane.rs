//! One plane in a chunk: constant, coded by order-0 rANS, or stored, whichever is smallest.

pub(super) use parans_kernels::float::PIECE;
use parans_kernels::float::{
    PLANE_CODED as CODED, PLANE_CONSTANT as CONSTANT, PLANE_STORED as STORED,
};
use parans_kernels::order0::entropy;

use crate::order0;
use crate::{Error, Result};

const _: () = assert!(PIECE <= order0::MAX_CHUNK);

/// What coding must save, in units per byte (0.08 bits), to be worth its time: a plane of noise
/// costs both directions five to ten times a copy, and one percent of a quarter of a tensor is not
/// what anyone waits for.
const WORTH: u64 = 5243;

/// What a sample probably takes when it is coded, in units of 2^-16 bits.
pub(super) fn sampled_units(sample: &[u8]) -> u64 {
    let mut counts = [0u32; 256];
    for &byte in sample {
        counts[usize::from(byte)] += 1;
    }
    entropy::sampled(&counts)
}

/// Whether `len` bytes that hold `raw` bits each when stored, and together `estimate` units when
/// coded, are worth coding.
pub(super) fn is_worth_coding(raw: u32, len: usize, estimate: u64) -> bool {
    entropy::units(u64::from(raw)) * len as u64 > estimate + WORTH * len as u64
}

/// Appends a plane. `try_coding` is the caller's estimate; the result is never larger than the
/// plane by more than its kind byte.
pub(super) fn write(
    coder: &mut order0::Encoder,
    plane: &[u8],
    try_coding: bool,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    if let Some(value) = constant(plane) {
        out.extend([CONSTANT, value]);
        return;
    }
    if try_coding {
        out.push(CODED);
        for piece in plane.chunks(PIECE) {
            let at = out.len();
            out.extend([0; 4]);
            let len = coder.encode(piece, out);
            out[at..at + 4].copy_from_slice(&(len as u32).to_le_bytes());
        }
        if out.len() - start <= plane.len() {
            return;
        }
        out.truncate(start);
    }
    out.push(STORED);
    out.extend_from_slice(plane);
}

/// The one value of a plane, if it has but one.
fn constant(plane: &[u8]) -> Option<u8> {
    let &first = plane.first()?;
    // Block by block, so that an ordinary plane is left after its first one.
    plane
        .chunks(256)
        .all(|bytes| bytes.iter().fold(0, |differs, &byte| differs | (byte ^ first)) == 0)
        .then_some(first)
}

/// Where a plane that was read lies.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found<'a> {
    /// In the chunk's own bytes.
    Stored(&'a [u8]),
    /// In the scratch buffer that came with the call, full length or one block of a constant.
    Scratch,
}

impl<'a> Found<'a> {
    pub(super) fn bytes(self, scratch: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Stored(bytes) => bytes,
            Self::Scratch => scratch,
        }
    }
}

/// Reads a plane of `len` bytes from the front of `data`, and returns what follows it. A constant
/// one becomes at most `constant_len` bytes.
pub(super) fn read<'a>(
    coder: &mut order0::Decoder,
    data: &'a [u8],
    len: usize,
    constant_len: usize,
    scratch: &mut Vec<u8>,
) -> Result<(Found<'a>, &'a [u8])> {
    let truncated = || Error::Truncated(format!("chunk ends inside a plane of {len} bytes"));
    let (&kind, data) = data.split_first().ok_or_else(truncated)?;
    match kind {
        STORED => {
            let (plane, data) = data.split_at_checked(len).ok_or_else(truncated)?;
            Ok((Found::Stored(plane), data))
        }
        CONSTANT => {
            let (&value, data) = data.split_first().ok_or_else(truncated)?;
            scratch.clear();
            scratch.resize(len.min(constant_len), value);
            Ok((Found::Scratch, data))
        }
        CODED => {
            let mut data = data;
            scratch.resize(len, 0);
            for piece in scratch.chunks_mut(PIECE) {
                let (coded, others) = data.split_first_chunk().ok_or_else(truncated)?;
                let coded = u32::from_le_bytes(*coded) as usize;
                let (coded, others) = others.split_at_checked(coded).ok_or_else(truncated)?;
                coder.decode(coded, piece)?;
                data = others;
            }
            Ok((Found::Scratch, data))
        }
        _ => Err(Error::Corrupt(format!("plane of kind {kind}"))),
    }
}

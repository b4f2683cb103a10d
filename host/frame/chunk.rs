//! One chunk of content to coded bytes and back: the choice between the codecs of a frame.

use super::{
    base::{Bases, check_of},
    columns::{put, take},
    element::{Elements, Form, from_id},
    rearranged::{Rearranger, swap},
    wire::{ChunkCodec, ChunkInfo, Fields},
};
use crate::{
    Error, Result,
    dtype::Dtype,
    float_codec::{self as float, difference},
    order0,
    simd::Level,
};

/// Codes chunks; keeps the scratch memory of the coders between them.
pub(super) struct ChunkEncoder {
    bytes: order0::Encoder,
    numbers: float::Encoder,
    rearranger: Rearranger,
    differences: difference::Encoder,
    /// Content and base with the bytes of their elements reversed.
    swapped: [Vec<u8>; 2],
    difference: Vec<u8>,
    coded: Vec<u8>,
    other: Vec<u8>,
}

/// What a chunk can be coded against: as many bytes of a base.
#[derive(Clone, Copy)]
pub(super) struct Against<'a> {
    /// The number of the base in the frame's list.
    pub(super) number: u64,
    /// Where the bytes are in the base.
    pub(super) offset: u64,
    pub(super) bytes: &'a [u8],
}

/// As what elements are compared with those of a base.
struct Compared {
    dtype: Dtype,
    /// Whether their bytes are reversed before.
    swapped: bool,
    /// The number in the chunk's header; 0 for bytes.
    element: u8,
}

impl Compared {
    fn of(elements: Option<Elements>, raw: &[u8]) -> Self {
        let whole = elements.filter(|elements| raw.len().is_multiple_of(elements.size()));
        let (dtype, swapped) = match whole {
            Some(Elements::Numbers(dtype)) => (dtype, false),
            Some(Elements::Swapped(dtype)) => (dtype, true),
            _ => (Dtype::U8, false),
        };
        let element = match whole {
            Some(Elements::Numbers(_) | Elements::Swapped(_)) => whole.and_then(Elements::id),
            _ => None,
        };
        Self { dtype, swapped, element: element.unwrap_or(0) }
    }

    fn from_id(element: u8) -> Result<Self> {
        let (dtype, swapped) = match element {
            0 => (Dtype::U8, false),
            _ => match from_id(element)? {
                Form::Numbers(dtype) => (dtype, false),
                Form::Swapped(dtype) => (dtype, true),
                Form::Bits | Form::Records => {
                    return Err(Error::Corrupt(format!("differences of element type {element}")));
                }
            },
        };
        Ok(Self { dtype, swapped, element })
    }

    fn swap<'a>(&self, bytes: &'a [u8], buffer: &'a mut Vec<u8>) -> &'a [u8] {
        if !self.swapped {
            return bytes;
        }
        buffer.clear();
        buffer.extend_from_slice(bytes);
        swap(self.dtype, buffer);
        buffer
    }
}

/// Whether an estimate is so far below another that it decides without trying both.
fn is_surely_less(estimate: u64, other: u64) -> bool {
    20 * estimate < 19 * other
}

/// A chunk's order-0 entropy is estimated from so many pieces of so many bytes.
const SAMPLES: usize = 16;
const SAMPLE: usize = 1 << 12;

impl ChunkEncoder {
    pub(super) fn new() -> Self {
        Self {
            bytes: order0::Encoder::new(),
            numbers: float::Encoder::new(),
            rearranger: Rearranger::default(),
            differences: difference::Encoder::at_level(Level::current()),
            swapped: Default::default(),
            difference: Vec::new(),
            coded: Vec::new(),
            other: Vec::new(),
        }
    }

    /// The coded bytes of the last chunk.
    pub(super) fn coded(&self) -> &[u8] {
        &self.coded
    }

    /// Moves the coded bytes of the last chunk to the end of `out`.
    pub(super) fn append_coded(&mut self, out: &mut Vec<u8>) {
        if out.is_empty() {
            // Not copied.
            std::mem::swap(&mut self.coded, out);
        } else {
            out.extend_from_slice(&self.coded);
        }
    }

    /// Makes the smallest coding of `raw` (1..=[`order0::MAX_CHUNK`] bytes), never more than
    /// `raw.len()`, and says about how much less it is than a coding as bytes. `elements` is a
    /// hint: bytes that are no whole ones are coded as bytes. So is what it can be coded `against`.
    pub(super) fn encode(
        &mut self,
        raw: &[u8],
        elements: Option<Elements>,
        against: Option<Against<'_>>,
    ) -> (ChunkInfo, u64) {
        let Some(against) = against else { return self.encode_alone(raw, elements) };
        let compared = Compared::of(elements, raw);
        let (dtype, element) = (compared.dtype, compared.element);
        let [raw_swapped, base_swapped] = &mut self.swapped;
        let bytes = compared.swap(raw, raw_swapped);
        let base = compared.swap(against.bytes, base_swapped);
        let plan = self.differences.plan(dtype, bytes, base);
        let alone = match (&plan, element) {
            // Nothing differs.
            (None, _) => u64::MAX >> 6,
            (_, 0) => estimate(raw) as u64,
            _ => self.numbers.estimate(dtype, bytes) as u64,
        };
        let estimated = plan.as_ref().map_or(0, |plan| plan.bytes as u64);
        if constant_element(raw).is_some() || is_surely_less(alone, estimated) {
            return self.encode_alone(raw, elements);
        }
        let out = &mut self.difference;
        out.clear();
        put(against.number, out);
        put(against.offset, out);
        out.extend(check_of(against.bytes).to_le_bytes());
        self.differences.encode(plan, dtype, bytes, base, out);
        if self.difference.len() >= raw.len() || !is_surely_less(estimated, alone) {
            let alone = self.encode_alone(raw, elements);
            if self.coded.len() <= self.difference.len() {
                return alone;
            }
        }
        std::mem::swap(&mut self.coded, &mut self.difference);
        let (raw, coded) = (raw.len() as u32, self.coded.len() as u32);
        let info = ChunkInfo { codec: ChunkCodec::Base, element, raw, coded };
        (info, u64::from(raw - coded))
    }

    /// A chunk that repeats one which is `distance` bytes of content before it.
    pub(super) fn repeat(&mut self, raw: usize, distance: u64) -> ChunkInfo {
        self.coded.clear();
        put(distance, &mut self.coded);
        let coded = self.coded.len() as u32;
        ChunkInfo { codec: ChunkCodec::Repeat, element: 0, raw: raw as u32, coded }
    }

    fn encode_alone(&mut self, raw: &[u8], elements: Option<Elements>) -> (ChunkInfo, u64) {
        let out = &mut self.coded;
        out.clear();
        let mut saved = 0;
        let constant = constant_element(raw);
        let made = elements.filter(|&elements| {
            constant.is_none() && self.rearranger.encode(&mut self.numbers, elements, raw, out)
        });
        let (mut codec, mut element) = match (constant, made.and_then(Elements::id)) {
            (Some(element), _) => {
                out.extend_from_slice(element);
                (ChunkCodec::Constant, 0)
            }
            (None, Some(number)) => {
                let as_bytes = estimate(raw);
                saved = as_bytes.saturating_sub(out.len()) as u64;
                // Not every tensor holds what its type promises.
                if as_bytes < out.len() {
                    self.other.clear();
                    self.bytes.encode(raw, &mut self.other);
                }
                if as_bytes < out.len() && self.other.len() < out.len() {
                    std::mem::swap(out, &mut self.other);
                    (ChunkCodec::Order0, 0)
                } else {
                    (ChunkCodec::Planes, number)
                }
            }
            (None, None) => {
                self.bytes.encode(raw, out);
                (ChunkCodec::Order0, 0)
            }
        };
        if out.len() >= raw.len() {
            out.clear();
            out.extend_from_slice(raw);
            (codec, element) = (ChunkCodec::Stored, 0);
        }
        // Both lengths are at most MAX_CHUNK.
        let info = ChunkInfo { codec, element, raw: raw.len() as u32, coded: out.len() as u32 };
        (info, saved)
    }
}

/// About as many bytes as `raw` takes when it is coded as bytes, without what a table and states
/// take.
fn estimate(raw: &[u8]) -> usize {
    if raw.len() <= SAMPLES * SAMPLE {
        return (order0::entropy_units(raw) >> 19) as usize;
    }
    let step = raw.len() / SAMPLES;
    let sample: Vec<u8> =
        raw.chunks_exact(step).flat_map(|piece| &piece[..SAMPLE]).copied().collect();
    let units = order0::entropy_units(&sample) * raw.len() as u64 / sample.len() as u64;
    ((units >> 19) as usize).min(raw.len())
}

/// The element of 1, 2, 4 or 8 bytes that `raw` repeats, the shortest there is.
fn constant_element(raw: &[u8]) -> Option<&[u8]> {
    // Bytes repeat with period n exactly when they equal themselves shifted by n: one comparison of
    // two slices, which ends at the first difference.
    let repeats = |n: &usize| {
        raw.len() > *n && raw.len().is_multiple_of(*n) && raw[*n..] == raw[..raw.len() - n]
    };
    [1, 2, 4, 8].iter().find(|n| repeats(n)).map(|&n| &raw[..n])
}

/// How many bytes before a chunk the one begins that it repeats.
///
/// # Errors
/// `Corrupt` or `Truncated` for bytes no encoder wrote.
pub(super) fn repeated(coded: &[u8]) -> Result<u64> {
    let mut fields = Fields(coded);
    let distance = take(&mut fields)?;
    if !fields.0.is_empty() {
        return Err(Error::Corrupt("bytes after the distance of a repeated chunk".into()));
    }
    Ok(distance)
}

/// Decodes chunks; keeps the scratch memory of the decoders between them.
pub(crate) struct ChunkDecoder {
    bytes: order0::Decoder,
    numbers: float::Decoder,
    rearranger: Rearranger,
    differences: difference::Decoder,
    base: Vec<u8>,
}

impl ChunkDecoder {
    pub(crate) fn new() -> Self {
        Self {
            bytes: order0::Decoder::new(),
            numbers: float::Decoder::new(),
            rearranger: Rearranger::default(),
            differences: difference::Decoder::at_level(Level::current()),
            base: Vec::new(),
        }
    }

    /// Fills `out`, `info.raw` bytes, from `coded`, `info.coded` bytes.
    ///
    /// # Errors
    /// `Corrupt` or `Truncated` for bytes no encoder wrote, `Unsupported` for an element type this
    /// build does not know; `Base` where the base is missing or another one, and the errors of
    /// reading it.
    pub(super) fn decode(
        &mut self,
        info: ChunkInfo,
        coded: &[u8],
        bases: &Bases,
        out: &mut [u8],
    ) -> Result<()> {
        debug_assert_eq!((coded.len(), out.len()), (info.coded as usize, info.raw as usize));
        match info.codec {
            ChunkCodec::Stored => out.copy_from_slice(coded),
            // `ChunkInfo::new` checked that the element divides the chunk.
            ChunkCodec::Constant => match *coded {
                [byte] => out.fill(byte),
                _ => out
                    .chunks_exact_mut(coded.len())
                    .for_each(|element| element.copy_from_slice(coded)),
            },
            ChunkCodec::Order0 => self.bytes.decode(coded, out)?,
            ChunkCodec::Planes => {
                self.rearranger.decode(&mut self.numbers, info.element, coded, out)?;
            }
            ChunkCodec::Base => {
                let compared = Compared::from_id(info.element)?;
                let mut fields = Fields(coded);
                let (number, offset) = (take(&mut fields)?, take(&mut fields)?);
                let check = fields.u32()?;
                let end = offset.checked_add(out.len() as u64).ok_or_else(|| {
                    Error::Corrupt(format!("a chunk against bytes from {offset} of its base"))
                })?;
                bases.read(number, offset..end, check, &mut self.base)?;
                if compared.swapped {
                    swap(compared.dtype, &mut self.base);
                }
                self.differences.decode(compared.dtype, fields.0, &self.base, out)?;
                if compared.swapped {
                    swap(compared.dtype, out);
                }
            }
            ChunkCodec::Repeat => {
                return Err(Error::Corrupt("a chunk repeats one that repeats another".into()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Dtype;

    fn round_trip(raw: &[u8], dtype: Option<Dtype>) -> ChunkInfo {
        let mut encoder = ChunkEncoder::new();
        let (info, _) = encoder.encode(raw, dtype.and_then(Elements::of), None);
        let coded = encoder.coded();
        let mut back = vec![0; raw.len()];
        ChunkDecoder::new().decode(info, coded, &Bases::default(), &mut back).unwrap();
        assert_eq!(back, raw);
        assert!(coded.len() <= raw.len());
        let checked = ChunkInfo::new(info.codec.id(), info.element, info.raw, info.coded, 1 << 24);
        assert_eq!(checked.unwrap(), info);
        info
    }

    #[test]
    fn constants_of_every_width() {
        for width in [1, 2, 4, 8] {
            let raw = [1u8, 2, 3, 4, 5, 6, 7, 8][..width].repeat(20);
            let info = round_trip(&raw, None);
            assert_eq!((info.codec, info.coded), (ChunkCodec::Constant, width as u32));
            // One byte more or another byte in the middle, and it is no constant.
            let mut other = raw.clone();
            other[17] ^= 1;
            assert_ne!(round_trip(&other, None).codec, ChunkCodec::Constant);
            let mut longer = raw;
            longer.push(99);
            assert_ne!(round_trip(&longer, None).codec, ChunkCodec::Constant);
        }
        assert_eq!(round_trip(&[5], None).codec, ChunkCodec::Stored);
    }

    #[test]
    fn numbers_are_coded_by_their_type() {
        let raw: Vec<u8> = (0..3000).flat_map(|i| (i as f32 * 0.37).sin().to_le_bytes()).collect();
        let info = round_trip(&raw, Some(Dtype::F32));
        assert_eq!((info.codec, info.element), (ChunkCodec::Planes, 3));
        // What has a type and is something else is coded as what it is.
        let text = b"it was the best of times, it was the worst of times; ".repeat(40);
        assert_eq!(round_trip(&text, Some(Dtype::F32)).codec, ChunkCodec::Order0);
        assert_eq!(round_trip(&text.repeat(100), Some(Dtype::F32)).codec, ChunkCodec::Order0);
        // A length that is not of whole elements leaves bytes; types of one byte are bytes.
        assert_ne!(round_trip(&raw[1..], Some(Dtype::F32)).codec, ChunkCodec::Planes);
        assert_ne!(round_trip(&raw, Some(Dtype::U8)).codec, ChunkCodec::Planes);
    }

    proptest! {
        #[test]
        fn any_numbers(raw in prop::collection::vec(any::<u64>(), 1..400), at in 0..15usize) {
            let raw: Vec<u8> = raw.iter().flat_map(|n| n.to_le_bytes()).collect();
            round_trip(&raw, Some(Dtype::ALL[at]));
        }

        #[test]
        fn any_bytes(raw in prop::collection::vec(any::<u8>(), 1..3000)) {
            round_trip(&raw, None);
        }

        #[test]
        fn few_symbols(raw in prop::collection::vec(0u8..4, 1..3000)) {
            round_trip(&raw, None);
        }
    }
}

//! One chunk of content to coded bytes and back: the choice between the codecs of a frame.

use super::{
    element::Elements,
    rearranged::Rearranger,
    wire::{ChunkCodec, ChunkInfo},
};
use crate::{Result, float_codec as float, order0};

/// Codes chunks; keeps the scratch memory of the coders between them.
pub(super) struct ChunkEncoder {
    bytes: order0::Encoder,
    numbers: float::Encoder,
    rearranger: Rearranger,
    coded: Vec<u8>,
    other: Vec<u8>,
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
    /// hint: bytes that are no whole ones are coded as bytes.
    pub(super) fn encode(&mut self, raw: &[u8], elements: Option<Elements>) -> (ChunkInfo, u64) {
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
        return order0::entropy_bytes(raw) as usize;
    }
    let step = raw.len() / SAMPLES;
    let sample: Vec<u8> =
        raw.chunks_exact(step).flat_map(|piece| &piece[..SAMPLE]).copied().collect();
    let share = order0::entropy_bytes(&sample) / sample.len() as f64;
    ((share * raw.len() as f64) as usize).min(raw.len())
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

/// Decodes chunks; keeps the scratch memory of the decoders between them.
pub(super) struct ChunkDecoder {
    bytes: order0::Decoder,
    numbers: float::Decoder,
    rearranger: Rearranger,
}

impl ChunkDecoder {
    pub(super) fn new() -> Self {
        Self {
            bytes: order0::Decoder::new(),
            numbers: float::Decoder::new(),
            rearranger: Rearranger::default(),
        }
    }

    /// Fills `out`, `info.raw` bytes, from `coded`, `info.coded` bytes.
    ///
    /// # Errors
    /// `Corrupt` or `Truncated` for bytes no encoder wrote, `Unsupported` for an element type this
    /// build does not know.
    pub(super) fn decode(&mut self, info: ChunkInfo, coded: &[u8], out: &mut [u8]) -> Result<()> {
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
        let (info, _) = encoder.encode(raw, dtype.and_then(Elements::of));
        let coded = encoder.coded();
        let mut back = vec![0; raw.len()];
        ChunkDecoder::new().decode(info, coded, &mut back).unwrap();
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

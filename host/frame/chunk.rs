//! One chunk of content to coded bytes and back: the choice between the codecs a frame knows.

use super::{
    element,
    wire::{ChunkCodec, ChunkInfo},
};
use crate::{
    Error, Result,
    float::{self, Dtype},
    order0,
};

/// Codes chunks; keeps the scratch memory of the coders between them.
pub(super) struct ChunkEncoder {
    bytes: order0::Encoder,
    numbers: float::Encoder,
}

impl ChunkEncoder {
    pub(super) fn new() -> Self {
        Self { bytes: order0::Encoder::new(), numbers: float::Encoder::new() }
    }

    /// Replaces `out` by the smallest coding of `raw` (1..=[`order0::MAX_CHUNK`] bytes), never more than `raw.len()`.
    /// `dtype` is a hint: bytes that are not whole elements are coded as bytes.
    pub(super) fn encode(
        &mut self,
        raw: &[u8],
        dtype: Option<Dtype>,
        out: &mut Vec<u8>,
    ) -> ChunkInfo {
        out.clear();
        let number =
            dtype.filter(|dtype| raw.len().is_multiple_of(dtype.size())).and_then(element::id);
        let (codec, element) = match (constant_element(raw), dtype.zip(number)) {
            (Some(element), _) => {
                out.extend_from_slice(element);
                (ChunkCodec::Constant, 0)
            }
            (None, Some((dtype, number))) => {
                self.numbers.encode(dtype, raw, out);
                (ChunkCodec::Planes, number)
            }
            (None, None) => {
                self.bytes.encode(raw, out);
                (ChunkCodec::Order0, 0)
            }
        };
        let (codec, element) = if out.len() < raw.len() {
            (codec, element)
        } else {
            out.clear();
            out.extend_from_slice(raw);
            (ChunkCodec::Stored, 0)
        };
        // Both lengths are at most the largest chunk, far below 2^32.
        ChunkInfo { codec, element, raw: raw.len() as u32, coded: out.len() as u32 }
    }
}

/// The element of 1, 2, 4 or 8 bytes that `raw` repeats, the shortest there is.
fn constant_element(raw: &[u8]) -> Option<&[u8]> {
    // Bytes repeat with period n exactly when they equal themselves shifted by n: one comparison of two slices, which
    // ends at the first difference.
    let repeats = |n: &usize| {
        raw.len() > *n && raw.len().is_multiple_of(*n) && raw[*n..] == raw[..raw.len() - n]
    };
    [1, 2, 4, 8].iter().find(|n| repeats(n)).map(|&n| &raw[..n])
}

/// Decodes chunks; keeps the scratch memory of the decoders between them.
pub(super) struct ChunkDecoder {
    bytes: order0::Decoder,
    numbers: float::Decoder,
}

impl ChunkDecoder {
    pub(super) fn new() -> Self {
        Self { bytes: order0::Decoder::new(), numbers: float::Decoder::new() }
    }

    /// Fills `out`, `info.raw` bytes, from `coded`, `info.coded` bytes.
    ///
    /// # Errors
    /// `Corrupt` or `Truncated` for bytes no encoder wrote, `Unsupported` for an element type this build does not know.
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
                let dtype = element::from_id(info.element)?;
                if !out.len().is_multiple_of(dtype.size()) {
                    return Err(Error::Corrupt(format!("{} bytes of {}", out.len(), dtype.name())));
                }
                self.numbers.decode(dtype, coded, out)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(raw: &[u8], dtype: Option<Dtype>) -> ChunkInfo {
        let mut coded = vec![1, 2, 3];
        let info = ChunkEncoder::new().encode(raw, dtype, &mut coded);
        let mut back = vec![0; raw.len()];
        ChunkDecoder::new().decode(info, &coded, &mut back).unwrap();
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

//! What a program hands over as code: PTX text, a fat binary with PTX in it, or machine code.

use crate::abi::{Host, Status};
use crate::errors::CudaError;

/// First bytes of a fat binary: 0xBA55ED50, little-endian.
const FATBIN: [u8; 4] = [0x50, 0xed, 0x55, 0xba];
/// First bytes of a cubin, which is an ELF file.
const ELF: [u8; 4] = *b"\x7fELF";
/// Bytes of a fat binary's header: magic, version, header size, size of what follows.
const FATBIN_HEADER: usize = 16;
/// Least bytes of the header of an entry.
const ENTRY_HEADER: usize = 64;

/// The PTX text of an image in memory, whose length only its own format says.
pub(crate) fn from_memory(image: Host) -> Status<String> {
    // Byte by byte: an image shorter than a magic number ends in a zero before it.
    let mut magic = [0u8; 4];
    for (index, byte) in magic.iter_mut().enumerate() {
        *byte = image.offset(index).bytes(1).map_err(|_| CudaError::InvalidValue)?[0];
        if *byte == 0 {
            break;
        }
    }
    match magic {
        ELF => Err(CudaError::NoBinaryForGpu),
        FATBIN => {
            let header = image.bytes(FATBIN_HEADER)?;
            let size = number(header, 8, 8).ok_or(CudaError::InvalidImage)? as usize;
            from_fat_binary(image.bytes(FATBIN_HEADER.saturating_add(size))?)
        }
        _ => text(image.bytes_to_zero()?),
    }
}

/// The PTX text of an image of known length.
pub(crate) fn from_bytes(image: &[u8]) -> Status<String> {
    if image.starts_with(&ELF) {
        Err(CudaError::NoBinaryForGpu)
    } else if image.starts_with(&FATBIN) {
        from_fat_binary(image)
    } else {
        text(image.split(|byte| *byte == 0).next().unwrap_or_default())
    }
}

/// Text, checked.
fn text(bytes: &[u8]) -> Status<String> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| CudaError::InvalidImage)
}

/// A little-endian number inside `bytes`.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(length)?)?;
    Some(field.iter().rev().fold(0, |value, &byte| (value << 8) | u64::from(byte)))
}

/// The PTX of a fat binary: the newest that it holds.
///
/// The format is not documented; the fields are those that the binaries of nvcc 10 to 13 show: an
/// entry is its kind (1 PTX, 2 cubin), a header size, a padded payload size, the compressed size or
/// 0, and the compute capability.
fn from_fat_binary(image: &[u8]) -> Status<String> {
    let mut newest: Option<(u64, String)> = None;
    let mut at = number(image, 6, 2).ok_or(CudaError::InvalidImage)? as usize;
    while let Some(entry) = image.get(at..).filter(|rest| rest.len() >= ENTRY_HEADER) {
        let field = |at, length| number(entry, at, length).ok_or(CudaError::InvalidImage);
        let (kind, header, payload) = (field(0, 2)?, field(4, 4)? as usize, field(8, 8)? as usize);
        let (compressed, capability) = (field(16, 4)? as usize, field(28, 4)?);
        let unpacked = field(56, 8)? as usize;
        let end =
            header.checked_add(payload).filter(|&end| end > 0).ok_or(CudaError::InvalidImage)?;
        let body = entry.get(header..end).ok_or(CudaError::InvalidImage)?;
        if kind == 1 {
            let ptx = if compressed == 0 {
                body.to_vec()
            } else {
                unpack(body.get(..compressed).ok_or(CudaError::InvalidImage)?, unpacked)?
            };
            let ptx = text(ptx.split(|byte| *byte == 0).next().unwrap_or_default())?;
            if newest.as_ref().is_none_or(|(known, _)| *known < capability) {
                newest = Some((capability, ptx));
            }
        }
        at += end;
    }
    newest.map(|(_, ptx)| ptx).ok_or(CudaError::NoBinaryForGpu)
}

/// Unpacks a compressed entry: LZ4 in the binaries up to nvcc 12, zstd (a frame begins with its
/// magic number) in later ones.
fn unpack(packed: &[u8], length: usize) -> Status<Vec<u8>> {
    /// No PTX is as large; a length beyond it is a damaged header, not a reason to allocate.
    const LONGEST: usize = 1 << 30;
    if length > LONGEST || length / 256 > packed.len() {
        return Err(CudaError::InvalidImage);
    }
    if packed.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        use std::io::Read;
        let decoder =
            ruzstd::decoding::StreamingDecoder::new(packed).map_err(|_| CudaError::InvalidImage)?;
        let mut out = Vec::new();
        decoder.take(length as u64).read_to_end(&mut out).map_err(|_| CudaError::InvalidImage)?;
        return Ok(out);
    }
    lz4_flex::block::decompress(packed, length).map_err(|_| CudaError::InvalidImage)
}

#[cfg(test)]
mod tests {
    use super::{CudaError, from_bytes};

    /// saxpy.cu as PTX in a fat binary (`nvcc -fatbin -gencode arch=compute_75,code=compute_75`),
    /// packed three ways.
    const PACKED: [&[u8]; 3] = [
        include_bytes!("../testdata/saxpy-none.fatbin"),
        include_bytes!("../testdata/saxpy-speed.fatbin"),
        include_bytes!("../testdata/saxpy-size.fatbin"),
    ];

    #[test]
    fn ptx_is_found_however_it_is_packed() {
        for image in PACKED {
            let ptx = from_bytes(image).unwrap();
            assert!(ptx.contains(".target sm_75") && ptx.contains(".entry saxpy("), "{ptx}");
            assert!(ptx.trim_end().ends_with('}'), "{ptx}");
        }
    }

    #[test]
    fn cut_and_flipped_fat_binaries_are_no_panic() {
        for image in PACKED {
            for length in 0..image.len() {
                let _ = from_bytes(&image[..length]);
                let mut flipped = image.to_vec();
                flipped[length] ^= 0x81;
                let _ = from_bytes(&flipped);
            }
        }
    }

    #[test]
    fn damaged_images_are_errors() {
        assert_eq!(from_bytes(b"\x7fELF\x02"), Err(CudaError::NoBinaryForGpu));
        assert_eq!(from_bytes(&super::FATBIN), Err(CudaError::InvalidImage));
        let mut image = super::FATBIN.to_vec();
        image.extend([1, 0, 16, 0]);
        image.extend(u64::MAX.to_le_bytes());
        assert_eq!(from_bytes(&image), Err(CudaError::NoBinaryForGpu));
        image.extend([1, 0, 1, 1]);
        image.extend([0xff; 60]);
        assert_eq!(from_bytes(&image), Err(CudaError::InvalidImage));
        assert_eq!(from_bytes(b".version 7.0\0\xff"), Ok(".version 7.0".to_owned()));
        assert_eq!(from_bytes(b"\xff\xfe"), Err(CudaError::InvalidImage));
    }
}

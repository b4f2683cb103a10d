//! Files decoded on a device.

use anyhow::Result;
use parans::{
    Device, Error,
    frame::{FrameArchive, ReadOptions, Summary},
    gpu::{FrameDecoder, Gpu, StreamHandle},
};
use xxhash_rust::xxh3::Xxh3;

use crate::{failure::Usage, input::Input, progress::Progress};

/// Content bytes that are decoded together.
const PART: u64 = 256 << 20;

/// The device of `--device`, unless it is the processor.
pub(crate) fn open(device: Device) -> Result<Option<Gpu>> {
    Ok(match device {
        Device::Cuda(number) => Some(Gpu::open(number)?),
        _ => None,
    })
}

/// Refuses a device for work that only the processor does.
pub(crate) fn refuse(device: Device, work: &str) -> Result<()> {
    match device {
        Device::Cpu => Ok(()),
        device => Err(Usage(format!("--device {device}: {work} on the processor only")).into()),
    }
}

/// Decodes a file on a device and gives its content in pieces to `give`, as long as that returns
/// `true`. Every checksum is compared, that of the content where the file is one frame.
pub(crate) fn decode(
    gpu: &Gpu,
    input: &Input,
    options: &ReadOptions,
    give: &mut dyn FnMut(Vec<u8>) -> bool,
    progress: &mut Progress,
) -> Result<Summary> {
    let Some(file) = input.file().filter(|_| input.length().is_some()) else {
        let text = "--device needs a file: a pipe has its table of chunks at its end";
        return Err(Usage(text.into()).into());
    };
    let mut archive = FrameArchive::open(file)?;
    let content = archive.content_length();
    if content > options.max_content {
        let text = format!("more content than the {} bytes allowed", options.max_content);
        return Err(Error::TooLarge(text).into());
    }
    if !archive.bases().is_empty() {
        archive.set_bases(options.bases.clone())?;
    }
    let decoder = FrameDecoder::new(gpu);
    let mut check = Xxh3::new();
    let mut at = 0;
    while at < content {
        let part = at..content.min(at + PART);
        at = part.end;
        let decoded = decoder.read_range(&mut archive, part.clone(), StreamHandle::OWN);
        let piece = decoded.and_then(|piece| piece.to_vec())?;
        check.update(&piece);
        progress.at(archive.coded_bytes(0..part.end) as u64);
        if !give(piece) {
            break;
        }
    }
    // Of several frames together, no footer has a checksum; those of the chunks were compared.
    if at == content && archive.content_check().is_some_and(|footer| footer != check.digest()) {
        let error = Error::Corrupt("the content differs from the checksum in the footer".into());
        return Err(error.into());
    }
    let chunks = archive.index().chunks.len() as u64;
    Ok(Summary { content, frame: archive.frame_length(), chunks })
}

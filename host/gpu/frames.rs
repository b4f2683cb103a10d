//! Frames decoded on a device: coded bytes go there, content comes out.

use std::io::{Read, Seek};
use std::ops::Range;

use bytemuck::bytes_of;
use parans_kernels::abi::RowStatus;
use parans_kernels::abi::frames::{
    DECODE_FRAME, DECODE_FRAME_SHARED, DECODE_FRAME_SLACK, DecodeFrameParams, DecodeFrameShape,
    FrameChunk, outcome,
};
use rayon::prelude::*;

use super::launch::{Geometry, below};
use super::{DeviceBuffer, Gpu, Launch, StreamHandle};
use crate::error::{Error, Result};
use crate::frame::{ChunkCodec, ChunkDecoder, ChunkInfo, Fetched, FrameArchive, in_chunk};

/// Threads of a warp, which decodes a chunk.
const WARP: u32 = 32;

/// The largest element types' number that the kernels know.
const LAST_NUMBER: u8 = 10;

/// Decodes frames to device memory. The coded bytes of a chunk are read and compared with their
/// checksum on the host, and decoded on the device, a warp per chunk. Chunks that are coded against
/// a base, and those of records, truth values and elements of the other byte order, are decoded on
/// the host.
///
/// Frames of many small chunks suit a device: a [`chunk_size`](crate::frame::WriteOptions) of 128
/// KiB gives each gigabyte 8192 warps, and takes 0.3 to 0.5 % more than the default.
///
/// ```no_run
/// use std::fs::File;
/// use parans::frame::FrameArchive;
/// use parans::gpu::{FrameDecoder, Gpu, StreamHandle};
///
/// let gpu = Gpu::open(0)?;
/// let mut archive = FrameArchive::open(File::open("model.safetensors.parans")?)?;
/// let decoder = FrameDecoder::new(&gpu);
/// let weights = decoder.read_entry(&mut archive, "lm_head.weight", StreamHandle::OWN)?;
/// println!("{} bytes at {:#x}", weights.len(), weights.address());
/// # Ok::<(), parans::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FrameDecoder {
    gpu: Gpu,
}

/// Chunks that one launch decodes.
#[derive(Default)]
struct Group {
    chunks: Vec<FrameChunk>,
    /// Their places among the chunks that were fetched.
    places: Vec<usize>,
}

impl FrameDecoder {
    /// A decoder on a device.
    pub fn new(gpu: &Gpu) -> Self {
        Self { gpu: gpu.clone() }
    }

    /// The bytes of an entry, in device memory.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] where no entry has this name, and as
    /// [`read_range`](Self::read_range).
    pub fn read_entry<R: Read + Seek>(
        &self,
        archive: &mut FrameArchive<R>,
        name: &str,
        stream: StreamHandle,
    ) -> Result<DeviceBuffer<u8>> {
        let entry = archive.entry(name);
        let entry =
            entry.ok_or_else(|| Error::InvalidArgument(format!("no entry is named {name:?}")))?;
        let content = entry.offset..entry.end();
        self.read_range(archive, content, stream)
    }

    /// A range of the content, in bytes, in device memory. The work is done on `stream`; the
    /// outcome of each chunk comes back before this returns.
    ///
    /// # Errors
    /// Those of [`FrameArchive::copy_range`], which names the chunk at fault; [`Error::Device`].
    pub fn read_range<R: Read + Seek>(
        &self,
        archive: &mut FrameArchive<R>,
        content: Range<u64>,
        stream: StreamHandle,
    ) -> Result<DeviceBuffer<u8>> {
        archive.check_range(&content)?;
        let length = usize::try_from(content.end - content.start).map_err(|_| {
            Error::InvalidArgument(format!("content bytes {content:?} on a device"))
        })?;
        let mut chunks = archive.chunks_of(&content);
        // From the beginning of the first chunk to the end of the last one.
        let all = match chunks.is_empty() {
            true => content.clone(),
            false => archive.content_of(chunks.start).start..archive.content_of(chunks.end - 1).end,
        };
        let whole = DeviceBuffer::<u8>::new(&self.gpu, (all.end - all.start) as usize)?;
        let mut coded = Vec::new();
        while !chunks.is_empty() {
            let (batch, fetched) = archive.fetch_batch(chunks.clone(), &mut coded)?;
            chunks.start = batch.end;
            let contents: Vec<Range<u64>> =
                batch.clone().map(|chunk| archive.content_of(chunk)).collect();
            let mut error = None;
            let fetched: Vec<Fetched<'_>> = fetched
                .into_iter()
                .map_while(|fetched| fetched.map_err(|failed| error = Some(failed)).ok())
                .collect();
            self.decode_batch(&fetched, &contents, all.start, &whole, stream)
                .and(error.map_or(Ok(()), |error| Err((fetched.len(), error))))
                .map_err(|(place, error)| {
                    in_chunk(error, (batch.start + place) as u64, &contents[place])
                })?;
        }
        if all == content {
            return Ok(whole);
        }
        let part = DeviceBuffer::<u8>::new(&self.gpu, length)?;
        let from = (content.start - all.start) as usize;
        part.copy_part(&whole, from, stream)?;
        Ok(part)
    }

    /// Decodes chunks to where their content belongs in `whole`, which begins at `first`. An error
    /// is that of the chunk at its place.
    fn decode_batch(
        &self,
        fetched: &[Fetched<'_>],
        contents: &[Range<u64>],
        first: u64,
        whole: &DeviceBuffer<u8>,
        stream: StreamHandle,
    ) -> Result<(), (usize, Error)> {
        let mut groups: [Group; DECODE_FRAME.len()] = Default::default();
        let mut coded = Vec::new();
        let mut for_host = Vec::new();
        let checked: Vec<_> = fetched.par_iter().map(Fetched::checked).collect();
        for (place, checked) in checked.into_iter().enumerate() {
            // What is wrong with a chunk, the host says.
            let Some((kernel, info, bytes)) =
                checked.ok().and_then(|(info, bytes)| Some((kernel_of(info)?, info, bytes)))
            else {
                for_host.push(place);
                continue;
            };
            let at = coded.len().next_multiple_of(16) + usize::from(begins_odd(info, bytes));
            coded.resize(at, 0);
            coded.extend_from_slice(bytes);
            groups[kernel].places.push(place);
            groups[kernel].chunks.push(FrameChunk {
                coded: at as u64,
                content: contents[place].start - first,
                coded_bytes: bytes.len() as u32,
                raw: info.raw,
                codec: u32::from(info.codec.id()),
                element: u32::from(info.element),
            });
        }
        let launched = self.launch(&groups, coded, whole, stream);
        for (place, status) in launched.map_err(|error| (0, error))? {
            match status {
                outcome::DONE => {}
                outcome::DAMAGED | outcome::UNABLE => for_host.push(place),
                code => {
                    let message = format!("no outcome of a chunk has the number {code}");
                    return Err((place, Error::Device(message)));
                }
            }
        }
        for_host.sort_unstable();
        let mut decoder = ChunkDecoder::new();
        let mut out = Vec::new();
        for place in for_host {
            let decoded = fetched[place].decode(&mut decoder, &mut out);
            let at = (contents[place].start - first) as usize;
            decoded.and_then(|()| whole.upload(at, &out)).map_err(|error| (place, error))?;
        }
        Ok(())
    }

    /// Decodes groups of chunks whose coded bytes are given; what became of each, by its place.
    fn launch(
        &self,
        groups: &[Group],
        mut coded: Vec<u8>,
        whole: &DeviceBuffer<u8>,
        stream: StreamHandle,
    ) -> Result<Vec<(usize, u32)>> {
        if coded.is_empty() {
            return Ok(Vec::new());
        }
        coded.resize((coded.len() + DECODE_FRAME_SLACK).next_multiple_of(4), 0);
        let coded = DeviceBuffer::from_slice(&self.gpu, &coded)?;
        let mut started = Vec::new();
        for (group, kernel) in groups.iter().zip(DECODE_FRAME) {
            if group.chunks.is_empty() {
                continue;
            }
            let chunks = DeviceBuffer::from_slice(&self.gpu, &group.chunks)?;
            let status = DeviceBuffer::<RowStatus>::new(&self.gpu, group.chunks.len())?;
            let count = below("chunks", group.chunks.len(), u32::MAX)?;
            let params = DecodeFrameParams {
                coded: coded.address(),
                content: whole.address(),
                chunks: chunks.address(),
                status: status.address(),
                shape: DecodeFrameShape { chunks: count, zero: 0 },
            };
            let launch = Launch {
                kernel,
                geometry: Geometry { grid: count, block: WARP },
                shared: DECODE_FRAME_SHARED,
                params: bytes_of(&params),
                fields: &DecodeFrameParams::FIELDS,
            };
            let memories = [&coded.memory, &whole.memory, &chunks.memory].into_iter();
            self.gpu.launch_with_status(&launch, stream, &status, memories)?;
            started.push((group, chunks, status));
        }
        let mut outcomes = Vec::new();
        for (group, _chunks, status) in started {
            let statuses = status.to_vec()?.into_iter().map(|status| status.code);
            outcomes.extend(group.places.iter().copied().zip(statuses));
        }
        Ok(outcomes)
    }
}

/// The number of the kernel that decodes a chunk, if one does.
fn kernel_of(info: ChunkInfo) -> Option<usize> {
    match info.codec {
        ChunkCodec::Stored | ChunkCodec::Constant | ChunkCodec::Order0 => Some(0),
        ChunkCodec::Planes => match info.element {
            1 | 2 | 5 | 6 => Some(1),
            3 | 7 | 8 => Some(2),
            4 | 9 | LAST_NUMBER => Some(3),
            _ => None,
        },
        ChunkCodec::Base | ChunkCodec::Repeat => None,
    }
}

/// Whether a chunk is best put at an odd address: the words of its first plane are at even ones
/// then.
fn begins_odd(info: ChunkInfo, coded: &[u8]) -> bool {
    match (info.codec, coded) {
        // A method, a layout, the kind of a plane, four bytes of its length.
        (ChunkCodec::Planes, [1, _, _, flags, ..]) => flags & 8 == 0,
        (ChunkCodec::Planes, [2, ..]) => true,
        _ => false,
    }
}

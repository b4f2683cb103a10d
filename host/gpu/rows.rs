//! The words of all rows on their way between host and device: one copy each way. A kernel moves
//! them between there and their places, one capacity apart.

use bytemuck::bytes_of;
use parans_kernels::abi::{MOVE_ROWS, MOVED_BYTES, MoveParams, MoveShape};

use super::launch::{Geometry, below};
use super::memory::Memory;
use super::resident::DeviceStreams;
use super::{DeviceBuffer, Launch, StreamHandle};
use crate::error::{Error, Result};

/// Where each row of these lengths, in words, begins without gaps, and where the last ends; bytes.
fn offsets(lens: impl Iterator<Item = usize>, word_bytes: usize) -> Vec<u64> {
    let mut end = 0;
    let mut offsets = vec![0];
    offsets.extend(lens.map(|len| {
        end += (len * word_bytes) as u64;
        end
    }));
    offsets
}

/// The words of rows, one after another.
pub(super) struct PackedRows {
    words: Vec<u8>,
    offsets: Vec<u64>,
}

impl PackedRows {
    /// The bytes of a row's words.
    pub(super) fn row(&self, row: usize) -> &[u8] {
        &self.words[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }
}

impl DeviceStreams {
    /// The words of all rows, in host memory. `lens` are the rows' lengths as the device has them.
    pub(super) fn words_to_host(&self, lens: &[u32]) -> Result<PackedRows> {
        if let Some(row) = lens.iter().position(|&len| len as usize > self.stride) {
            let (len, stride) = (lens[row], self.stride);
            return Err(Error::Device(format!("row {row} has {len} words of at most {stride}")));
        }
        let offsets = offsets(lens.iter().map(|&len| len as usize), self.word_bytes());
        let mut words = vec![0; offsets[lens.len()] as usize];
        if !words.is_empty() {
            let packed = DeviceBuffer::<u8>::new(self.gpu(), words.len())?;
            self.move_rows(true, &packed, &offsets[..lens.len()], longest(lens))?;
            packed.download(0, &mut words)?;
        }
        Ok(PackedRows { words, offsets })
    }

    /// Uploads the words of all rows, of as many words as the device has been given as `lengths`.
    /// `row` gives the bytes of a row.
    pub(super) fn words_to_device<'w>(
        &self,
        lens: &[u32],
        row: impl Fn(usize) -> &'w [u8],
    ) -> Result<()> {
        let offsets = offsets(lens.iter().map(|&len| len as usize), self.word_bytes());
        let mut words = Vec::with_capacity(offsets[lens.len()] as usize);
        (0..lens.len()).for_each(|number| words.extend_from_slice(row(number)));
        if words.is_empty() {
            return Ok(());
        }
        let packed = DeviceBuffer::from_slice(self.gpu(), &words)?;
        self.move_rows(false, &packed, &offsets[..lens.len()], longest(lens))
    }

    fn move_rows(
        &self,
        together: bool,
        packed: &DeviceBuffer<u8>,
        offsets: &[u64],
        longest: u32,
    ) -> Result<()> {
        let word_bytes = self.word_bytes() as u32;
        let gpu = self.gpu();
        let offsets = DeviceBuffer::from_slice(gpu, offsets)?;
        let parts = longest.div_ceil(MOVED_BYTES / word_bytes);
        let shape = MoveShape {
            rows: below("rows", self.rows(), u32::MAX)?,
            stride: below("words per row", self.stride, 1 << 31)?,
            word_bytes,
            parts,
            together: u32::from(together),
            zero: 0,
        };
        let params = MoveParams {
            apart: self.words.address(),
            together: packed.address(),
            offsets: offsets.address(),
            lengths: self.lengths.address(),
            shape,
        };
        let threads = u64::from(shape.rows) * u64::from(parts) * 32;
        let launch = Launch {
            kernel: MOVE_ROWS,
            geometry: Geometry::spread(threads, gpu.runtime().multiprocessors())?,
            shared: 0,
            params: bytes_of(&params),
            fields: &MoveParams::FIELDS,
        };
        let memories = [&self.words.memory, &packed.memory, &offsets.memory, &self.lengths.memory];
        let stream = StreamHandle::OWN;
        Memory::used_by(gpu, stream, memories, || gpu.launch(&launch, stream))
    }
}

fn longest(lens: &[u32]) -> u32 {
    lens.iter().copied().max().unwrap_or(0)
}

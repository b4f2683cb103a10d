//! The kernels of frames: the chunks of a frame's content, decoded where they lie.

use bytemuck::{Pod, Zeroable};

use super::{DeviceAddress, RowStatus};

/// A coded chunk of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct FrameChunk {
    /// Where its coded bytes begin, from [`DecodeFrameParams::coded`] on.
    pub coded: u64,
    /// Where its content begins, from [`DecodeFrameParams::content`] on.
    pub content: u64,
    /// Coded bytes, at least 1.
    pub coded_bytes: u32,
    /// Bytes of content: 1 to 2^24.
    pub raw: u32,
    /// The number of its codec: one of [`codec`].
    pub codec: u32,
    /// The number of its element type in a frame, 1 to 10, where the codec is `PLANES`.
    pub element: u32,
}

/// The codecs that the kernels know, by their numbers in a frame.
pub mod codec {
    /// The content itself.
    pub const STORED: u32 = 0;
    /// One element of 1, 2, 4 or 8 bytes, which the content repeats.
    pub const CONSTANT: u32 = 1;
    /// Order-0 bytes.
    pub const ORDER0: u32 = 2;
    /// Numbers, by planes.
    pub const PLANES: u32 = 3;
}

/// What has become of a chunk: [`RowStatus::code`].
pub mod outcome {
    /// The content is there.
    pub const DONE: u32 = 0;
    /// No encoder wrote the coded bytes. The content is unspecified.
    pub const DAMAGED: u32 = 1;
    /// The host decodes chunks of this form. The content is unspecified.
    pub const UNABLE: u32 = 2;
}

/// Bytes of dynamic shared memory that each warp of [`DECODE_FRAME`] takes: a table of slots, and
/// frequencies.
pub const DECODE_FRAME_SHARED: u32 = (16 << 10) + (1 << 10);

/// Bytes behind the coded bytes of the last chunk that can be read: their values do not matter.
pub const DECODE_FRAME_SLACK: usize = 8;

/// What [`DECODE_FRAME`] decodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct DecodeFrameShape {
    /// Chunks.
    pub chunks: u32,
    /// 0.
    pub zero: u32,
}

/// The parameters of [`DECODE_FRAME`], in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct DecodeFrameParams {
    /// The coded bytes of all chunks, and [`DECODE_FRAME_SLACK`] bytes more.
    pub coded: DeviceAddress,
    /// The content of all chunks.
    pub content: DeviceAddress,
    /// [`FrameChunk`] per chunk.
    pub chunks: DeviceAddress,
    /// [`RowStatus`] per chunk: an [`outcome`], at position 0.
    pub status: DeviceAddress,
    /// The sizes.
    pub shape: DecodeFrameShape,
}

impl DecodeFrameParams {
    /// Byte range of each kernel parameter in the struct, for launches that take one pointer a
    /// parameter.
    pub const FIELDS: [(usize, usize); 5] = [(0, 8), (8, 8), (16, 8), (24, 8), (32, 8)];
}

const _: () = assert!(size_of::<FrameChunk>() == 32 && size_of::<DecodeFrameParams>() == 40);
const _: () = assert!(size_of::<RowStatus>() == 8);

/// The kernels that decode chunks, a warp per chunk: of bytes (the codecs `STORED`, `CONSTANT` and
/// `ORDER0`), and of numbers of two, four and eight bytes (`PLANES`).
pub const DECODE_FRAME: [&str; 4] =
    ["decode_frame_bytes", "decode_frame_x2", "decode_frame_x4", "decode_frame_x8"];

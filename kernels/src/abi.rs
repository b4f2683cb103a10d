//! What host and device agree on: kernel names, parameter layouts, status words.
//!
//! Both sides compile this file. A parameter struct is laid out exactly as the packed parameter
//! buffer of its kernels (CUDA aligns parameters as C aligns struct members), so the host hands a
//! launch either the struct's bytes or one pointer a field.
//!
//! Device memory of a batch of rows, all of one family:
//! - `states`: `rows * lanes` states, a row's lanes side by side; of tANS `rows * (lanes + 2)`
//!   fields, a row's bit buffer after its states;
//! - `words`: `rows * word_stride` words; row r's region, its whole capacity, begins at
//!   `r * word_stride`;
//! - `lengths`: u32 a row, its words in use; `status`: [`RowStatus`] a row, always written;
//! - `symbols`: `rows` rows of `symbols` symbols, `symbol_stride` apart.
//!
//! [`models`] adds the kernels that code with a distribution per symbol.
//!
//! A row that fails keeps its states and its length; only words past the length, and popped
//! symbols, may have changed.

use bytemuck::{Pod, Zeroable};

use crate::codec::{RowError, RowFault};

pub mod frames;
pub mod kernels;
pub mod models;
pub mod pack;

pub use kernels::{KERNELS, Kernel, LaneMapping, Operation};
pub use models::{
    FIX_F32, FixParams, MODEL_KERNELS, ModelComponent, ModelForm, ModelKernel, ModelParams,
    ModelShape,
};

/// An address in device memory.
pub type DeviceAddress = u64;

/// A row's outcome, as a kernel stores it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct RowStatus {
    /// 0, or the code of a [`RowError`].
    pub code: u32,
    /// Position in the row of the symbol at fault.
    pub position: u32,
}

impl RowStatus {
    /// The outcome as the codec words it; `None` of a code that no kernel writes: the kernel did
    /// not run, or something else wrote to its memory.
    pub fn outcome(self) -> Option<Result<(), RowFault>> {
        if self.code == 0 {
            return Some(Ok(()));
        }
        RowError::from_code(self.code).map(|error| Err(error.at(self.position as usize)))
    }
}

/// Bytes of a block's dynamic shared memory per thread, behind staged tables, that push tANS takes
/// for the bits of a tile.
pub const TANS_BITS_BYTES: u32 = 16;

/// How symbols lie in memory: [`CodeShape::symbol_type`]. The low two bits are log2 of the width in
/// bytes.
pub mod symbol_type {
    /// 8 bits, unsigned.
    pub const U8: u32 = 0;
    /// 16 bits, unsigned.
    pub const U16: u32 = 1;
    /// 32 bits, signed.
    pub const I32: u32 = 2;
    /// 16 bits, signed.
    pub const I16: u32 = 5;
}

/// How indexes lie in memory: [`CodeShape::index_type`]. Of those in memory, the number is log2 of
/// the width in bytes.
pub mod index_type {
    /// 8 bits, unsigned.
    pub const U8: u32 = 0;
    /// 16 bits, unsigned.
    pub const U16: u32 = 1;
    /// 32 bits, signed; a negative one skips its symbol.
    pub const I32: u32 = 2;
    /// No indexes in memory: [`CodeShape::index_constant`](super::CodeShape::index_constant) for
    /// every symbol. The strides are 0.
    pub const CONSTANT: u32 = 3;
}

/// The scalar parameters of a push or pop.
///
/// The host keeps `symbols < 2^31` and `word_stride < 2^31`, and has checked precision, bypass and
/// tables as the codec's views require.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct CodeShape {
    /// Rows.
    pub rows: u32,
    /// Symbols a row.
    pub symbols: u32,
    /// States a row: 1, 2, 4, 8, 16 or 32, as the kernel allows.
    pub lanes: u32,
    /// Words from one row's region to the next: each row's capacity.
    pub word_stride: u32,
    /// Symbols from one row to the next.
    pub symbol_stride: u32,
    /// One of [`symbol_type`].
    pub symbol_type: u32,
    /// One of [`index_type`].
    pub index_type: u32,
    /// Indexes from one row to the next: 0 where all rows share them.
    pub index_row_stride: u32,
    /// Indexes from one symbol to the next: 1, or 0 where a row has one index.
    pub index_symbol_stride: u32,
    /// The index of every symbol where `index_type` is `CONSTANT`.
    pub index_constant: i32,
    /// Tables.
    pub tables: u32,
    /// Entries (or intervals) of all tables together.
    pub entries: u32,
    /// Frequencies sum to `2^precision`.
    pub precision: u32,
    /// Bits of a bypass digit; 0: no bypass.
    pub bypass_bits: u32,
    /// log2 of the inverse CDF's entries per table (kernels with that lookup only).
    pub inverse_bits: u32,
    /// Not 0: an index past the last table skips its symbol instead of failing the row.
    pub skip_past_end: u32,
    /// Bytes of packed tables that each block copies to its dynamic shared memory, a multiple of
    /// 16; 0: they are read where they are (kernels with packed tables only). Push tANS takes
    /// [`TANS_BITS_BYTES`] per thread besides.
    pub staged: u32,
    /// Not 0: all tables have the same offset (kernels with packed tables only).
    pub same_offset: u32,
}

/// The parameters of every push and pop kernel, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct CodeParams {
    /// States, of the family's width.
    pub states: DeviceAddress,
    /// Words, of the family's width.
    pub words: DeviceAddress,
    /// u32 a row.
    pub lengths: DeviceAddress,
    /// [`RowStatus`] a row.
    pub status: DeviceAddress,
    /// Symbols: read by push, written by pop.
    pub symbols: DeviceAddress,
    /// Indexes; 0 where `index_type` is `CONSTANT`.
    pub indexes: DeviceAddress,
    /// [`TableDescriptor`](crate::codec::TableDescriptor) per table.
    pub tables: DeviceAddress,
    /// [`EncoderEntry`](crate::codec::EncoderEntry) (push) or [`Interval`](crate::codec::Interval)
    /// (pop) a symbol of each table. Of tANS: [`TansEncoderEntry`](crate::codec::TansEncoderEntry)
    /// a symbol (push), [`TansDecoderEntry`](crate::codec::TansDecoderEntry) a state (pop).
    pub entries: DeviceAddress,
    /// What the operation adds: push alias: remap, u32; pop alias:
    /// [`AliasBucket`](crate::codec::AliasBucket); pop inverse CDF: u16; push tANS and with packed
    /// tables: those, see [`packed`](crate::codec::packed), 16 bytes aligned; pop tANS: those, or 0
    /// where there are none or the symbols' type does not hold every symbol; else 0.
    pub lookup: DeviceAddress,
    /// Everything that is not an address.
    pub shape: CodeShape,
}

const _: () = assert!(size_of::<RowStatus>() == 8);
const _: () = assert!(size_of::<CodeShape>() == 72 && align_of::<CodeShape>() == 4);
const _: () = assert!(size_of::<CodeParams>() == 9 * 8 + 72 && align_of::<CodeParams>() == 8);

impl CodeParams {
    /// Byte range of each kernel parameter in the struct, for launches that take one pointer a
    /// parameter.
    pub const FIELDS: [(usize, usize); 10] = [
        (0, 8),
        (8, 8),
        (16, 8),
        (24, 8),
        (32, 8),
        (40, 8),
        (48, 8),
        (56, 8),
        (64, 8),
        (72, size_of::<CodeShape>()),
    ];
}

/// The scalar parameters of the kernels that quantise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct QuantiseShape {
    /// Tables.
    pub rows: u32,
    /// Symbols a table, the sentinel included: at least 1 beside it, and at most `2^precision`.
    pub symbols: u32,
    /// Frequencies sum to `2^precision`; at most 31.
    pub precision: u32,
    /// Not 0: the last symbol is a bypass sentinel, which has no probability in the input.
    pub sentinel: u32,
}

/// The parameters of the kernels that quantise, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct QuantiseParams {
    /// Probabilities, f32, or counts, u32: a row for each table, the sentinel left out.
    pub pmf: DeviceAddress,
    /// [`QUANTISE_F32`]: [`Interval`](crate::codec::Interval), `rows * symbols`. The others: CDFs,
    /// u32, `rows * (symbols + 1)`; those of rows that fail are all 0, which codes nothing.
    pub intervals: DeviceAddress,
    /// [`RowStatus`] a row: `ParameterOutOfRange` at the first symbol whose probability is not a
    /// finite number of at least 0, and past the last one where all are 0.
    pub status: DeviceAddress,
    /// Everything that is not an address.
    pub shape: QuantiseShape,
}

impl QuantiseParams {
    /// Byte range of each kernel parameter in the struct, for launches that take one pointer a
    /// parameter.
    pub const FIELDS: [(usize, usize); 4] = [(0, 8), (8, 8), (16, 8), (24, 16)];
}

const _: () = assert!(size_of::<QuantiseShape>() == 16 && size_of::<QuantiseParams>() == 40);

/// The kernel that makes frequencies of probabilities, a thread per row, with the bits that
/// `Tables::from_pmf` gives on the host.
pub const QUANTISE_F32: &str = "quantise_f32";
/// The same, giving a CDF instead of intervals: `model::Pmfs::from_pmf` on the host.
pub const QUANTISE_CDF_F32: &str = "quantise_cdf_f32";
/// CDFs of counts: `model::Pmfs::from_counts` on the host.
pub const QUANTISE_CDF_U32: &str = "quantise_cdf_u32";

/// What [`MOVE_ROWS`] moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct MoveShape {
    /// Rows.
    pub rows: u32,
    /// Words from row to row where rows lie apart.
    pub stride: u32,
    /// Bytes of a word: 1, 2 or 4.
    pub word_bytes: u32,
    /// Warps of a row: each moves [`MOVED_BYTES`], together all of the longest row.
    pub parts: u32,
    /// Whether rows are moved together (or, if 0, apart).
    pub together: u32,
    /// 0.
    pub zero: u32,
}

/// The parameters of [`MOVE_ROWS`], in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct MoveParams {
    /// Words of all rows, a stride apart.
    pub apart: DeviceAddress,
    /// The same without gaps.
    pub together: DeviceAddress,
    /// Where each row begins there: u64, in bytes, a multiple of a word.
    pub offsets: DeviceAddress,
    /// Words of each row, u32.
    pub lengths: DeviceAddress,
    /// The sizes.
    pub shape: MoveShape,
}

impl MoveParams {
    /// Byte range of each kernel parameter in the struct, for launches that take one pointer a
    /// parameter.
    pub const FIELDS: [(usize, usize); 5] = [(0, 8), (8, 8), (16, 8), (24, 8), (32, 24)];
}

const _: () = assert!(size_of::<MoveShape>() == 24 && size_of::<MoveParams>() == 56);

/// The kernel that moves the words of rows together, and apart again: `rows * parts` warps.
pub const MOVE_ROWS: &str = "move_rows";

/// Bytes of a row that one warp of [`MOVE_ROWS`] moves.
pub const MOVED_BYTES: u32 = 4096;

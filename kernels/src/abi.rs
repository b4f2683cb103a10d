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

use crate::codec::{RowError, RowFault, Tans8, Tans16, TansFamily};

pub mod models;

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
    /// 16; 0: they are read where they are (kernels with packed tables only).
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
    /// [`AliasBucket`](crate::codec::AliasBucket); pop inverse CDF: u16; push tANS: next states,
    /// u16; with packed tables: those, see [`packed`](crate::codec::packed), 16 bytes aligned; else
    /// 0.
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

/// What a kernel does to the rows, and with which form of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Push with entries in CDF order.
    Push,
    /// Push with alias tables.
    PushAlias,
    /// Pop, searching the CDF.
    PopSearch,
    /// Pop with an inverse CDF.
    PopInverseCdf,
    /// Pop with alias tables.
    PopAlias,
    /// Push with tANS tables.
    PushTans,
    /// Pop with tANS tables.
    PopTans,
    /// Push with packed entries, beside those of [`Push`](Self::Push).
    PushPacked,
    /// Pop with packed slots, beside [`PopSearch`](Self::PopSearch).
    PopSlots,
    /// Pop with packed intervals and a byte per slot, beside [`PopSearch`](Self::PopSearch).
    PopGuide,
    /// Pop with wide packed intervals and 16 bits per bucket of slots, beside
    /// [`PopSearch`](Self::PopSearch).
    PopWide,
}

/// How a kernel maps a row's lanes to threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LaneMapping {
    /// One lane per row, a thread per row.
    Thread,
    /// The same, the rows of a warp in step.
    ThreadInStep,
    /// 2 lanes per row, 16 rows per warp.
    Pair,
    /// 2, 4, 8 or 16 lanes per row, several rows per warp.
    PartOfWarp,
    /// 32 lanes a row, a warp a row.
    Warp,
}

impl LaneMapping {
    /// Whether kernels of this mapping take rows of so many lanes.
    pub const fn takes(self, lanes: u32) -> bool {
        match self {
            Self::Thread | Self::ThreadInStep => lanes == 1,
            Self::Pair => lanes == 2,
            Self::PartOfWarp => matches!(lanes, 2 | 4 | 8 | 16),
            Self::Warp => lanes == 32,
        }
    }
}

/// A push or pop kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The entry point's name in the PTX.
    pub name: &'static str,
    /// The family's name, [`RansFamily::NAME`](crate::codec::RansFamily::NAME).
    pub family: &'static str,
    /// What it does.
    pub operation: Operation,
    /// How lanes map to threads.
    pub lanes: LaneMapping,
}

impl Kernel {
    /// The kernel for a family (by name), an operation and a lane count: the first of the list.
    pub fn find(family: &str, operation: Operation, lanes: u32) -> Option<&'static Self> {
        // tans8 differs from tans16 in its largest precision alone, which is no matter of the
        // kernels.
        let family = if family == Tans8::NAME { Tans16::NAME } else { family };
        KERNELS
            .iter()
            .find(|k| k.family == family && k.operation == operation && k.lanes.takes(lanes))
    }

    /// Threads that a batch of this many rows takes: one per lane.
    pub const fn threads(rows: u32, lanes: u32) -> u64 {
        rows as u64 * lanes as u64
    }
}

/// The one list of the push and pop kernels:
/// `name: direction, family, mapping, form of the tables`. It calls the macro that is given to it
/// with the list, after whatever follows `=>`.
#[macro_export]
#[doc(hidden)]
macro_rules! for_each_kernel {
    ($($with:ident)::+ => $($prefix:tt)*) => {
        $($with)::+! { $($prefix)*
            push_rans64_x1: push Rans64 Thread Direct;
            push_rans64_xn: push Rans64 PartOfWarp Direct;
            push_rans64_x32: push Rans64 Warp Direct;
            push_alias_rans64_x1: push Rans64 Thread Alias;
            push_alias_rans64_xn: push Rans64 PartOfWarp Alias;
            push_alias_rans64_x32: push Rans64 Warp Alias;
            push_rans32_x1: push Rans32 Thread Direct;
            push_rans32_xn: push Rans32 PartOfWarp Direct;
            push_rans32_x32: push Rans32 Warp Direct;
            push_alias_rans32_x1: push Rans32 Thread Alias;
            push_alias_rans32_xn: push Rans32 PartOfWarp Alias;
            push_alias_rans32_x32: push Rans32 Warp Alias;
            push_rans32_16_x1: push Rans32x16 Thread Direct;
            push_rans32_16_xn: push Rans32x16 PartOfWarp Direct;
            push_rans32_16_x32: push Rans32x16 Warp Direct;
            push_alias_rans32_16_x1: push Rans32x16 Thread Alias;
            push_alias_rans32_16_xn: push Rans32x16 PartOfWarp Alias;
            push_alias_rans32_16_x32: push Rans32x16 Warp Alias;
            pop_search_rans64_x1: pop Rans64 Thread Search;
            pop_search_rans64_xn: pop Rans64 PartOfWarp Search;
            pop_search_rans64_x32: pop Rans64 Warp Search;
            pop_inverse_rans64_x1: pop Rans64 Thread InverseCdf;
            pop_inverse_rans64_xn: pop Rans64 PartOfWarp InverseCdf;
            pop_inverse_rans64_x32: pop Rans64 Warp InverseCdf;
            pop_alias_rans64_x1: pop Rans64 Thread Alias;
            pop_alias_rans64_xn: pop Rans64 PartOfWarp Alias;
            pop_alias_rans64_x32: pop Rans64 Warp Alias;
            pop_search_rans32_x1: pop Rans32 Thread Search;
            pop_search_rans32_xn: pop Rans32 PartOfWarp Search;
            pop_search_rans32_x32: pop Rans32 Warp Search;
            pop_inverse_rans32_x1: pop Rans32 Thread InverseCdf;
            pop_inverse_rans32_xn: pop Rans32 PartOfWarp InverseCdf;
            pop_inverse_rans32_x32: pop Rans32 Warp InverseCdf;
            pop_alias_rans32_x1: pop Rans32 Thread Alias;
            pop_alias_rans32_xn: pop Rans32 PartOfWarp Alias;
            pop_alias_rans32_x32: pop Rans32 Warp Alias;
            pop_search_rans32_16_x1: pop Rans32x16 Thread Search;
            pop_search_rans32_16_xn: pop Rans32x16 PartOfWarp Search;
            pop_search_rans32_16_x32: pop Rans32x16 Warp Search;
            pop_inverse_rans32_16_x1: pop Rans32x16 Thread InverseCdf;
            pop_inverse_rans32_16_xn: pop Rans32x16 PartOfWarp InverseCdf;
            pop_inverse_rans32_16_x32: pop Rans32x16 Warp InverseCdf;
            pop_alias_rans32_16_x1: pop Rans32x16 Thread Alias;
            pop_alias_rans32_16_xn: pop Rans32x16 PartOfWarp Alias;
            pop_alias_rans32_16_x32: pop Rans32x16 Warp Alias;
            push_packed_rans64_x1: push_packed Rans64 ThreadInStep Direct;
            push_packed_rans64_x2: push_packed Rans64 Pair Direct;
            push_packed_rans64_xn: push_packed Rans64 PartOfWarp Direct;
            push_packed_rans64_x32: push_packed Rans64 Warp Direct;
            push_packed_rans32_x1: push_packed Rans32 ThreadInStep Direct;
            push_packed_rans32_x2: push_packed Rans32 Pair Direct;
            push_packed_rans32_xn: push_packed Rans32 PartOfWarp Direct;
            push_packed_rans32_x32: push_packed Rans32 Warp Direct;
            push_packed_rans32_16_x1: push_packed Rans32x16 ThreadInStep Direct;
            push_packed_rans32_16_x2: push_packed Rans32x16 Pair Direct;
            push_packed_rans32_16_xn: push_packed Rans32x16 PartOfWarp Direct;
            push_packed_rans32_16_x32: push_packed Rans32x16 Warp Direct;
            pop_slots_rans64_x1: pop_packed Rans64 ThreadInStep Slots;
            pop_slots_rans64_x2: pop_packed Rans64 Pair Slots;
            pop_slots_rans64_xn: pop_packed Rans64 PartOfWarp Slots;
            pop_slots_rans64_x32: pop_packed Rans64 Warp Slots;
            pop_slots_rans32_x1: pop_packed Rans32 ThreadInStep Slots;
            pop_slots_rans32_x2: pop_packed Rans32 Pair Slots;
            pop_slots_rans32_xn: pop_packed Rans32 PartOfWarp Slots;
            pop_slots_rans32_x32: pop_packed Rans32 Warp Slots;
            pop_slots_rans32_16_x1: pop_packed Rans32x16 ThreadInStep Slots;
            pop_slots_rans32_16_x2: pop_packed Rans32x16 Pair Slots;
            pop_slots_rans32_16_xn: pop_packed Rans32x16 PartOfWarp Slots;
            pop_slots_rans32_16_x32: pop_packed Rans32x16 Warp Slots;
            pop_guide_rans64_x1: pop_packed Rans64 ThreadInStep Guide;
            pop_guide_rans64_x2: pop_packed Rans64 Pair Guide;
            pop_guide_rans64_xn: pop_packed Rans64 PartOfWarp Guide;
            pop_guide_rans64_x32: pop_packed Rans64 Warp Guide;
            pop_guide_rans32_x1: pop_packed Rans32 ThreadInStep Guide;
            pop_guide_rans32_x2: pop_packed Rans32 Pair Guide;
            pop_guide_rans32_xn: pop_packed Rans32 PartOfWarp Guide;
            pop_guide_rans32_x32: pop_packed Rans32 Warp Guide;
            pop_guide_rans32_16_x1: pop_packed Rans32x16 ThreadInStep Guide;
            pop_guide_rans32_16_x2: pop_packed Rans32x16 Pair Guide;
            pop_guide_rans32_16_xn: pop_packed Rans32x16 PartOfWarp Guide;
            pop_guide_rans32_16_x32: pop_packed Rans32x16 Warp Guide;
            pop_wide_rans64_x1: pop_packed Rans64 ThreadInStep Wide;
            pop_wide_rans64_x2: pop_packed Rans64 Pair Wide;
            pop_wide_rans64_xn: pop_packed Rans64 PartOfWarp Wide;
            pop_wide_rans64_x32: pop_packed Rans64 Warp Wide;
            pop_wide_rans32_x1: pop_packed Rans32 ThreadInStep Wide;
            pop_wide_rans32_x2: pop_packed Rans32 Pair Wide;
            pop_wide_rans32_xn: pop_packed Rans32 PartOfWarp Wide;
            pop_wide_rans32_x32: pop_packed Rans32 Warp Wide;
            pop_wide_rans32_16_x1: pop_packed Rans32x16 ThreadInStep Wide;
            pop_wide_rans32_16_x2: pop_packed Rans32x16 Pair Wide;
            pop_wide_rans32_16_xn: pop_packed Rans32x16 PartOfWarp Wide;
            pop_wide_rans32_16_x32: pop_packed Rans32x16 Warp Wide;
            push_tans32_x1: push_tans Tans32 Thread States;
            push_tans32_xn: push_tans Tans32 PartOfWarp States;
            push_tans32_x32: push_tans Tans32 Warp States;
            push_tans16_x1: push_tans Tans16 Thread States;
            push_tans16_xn: push_tans Tans16 PartOfWarp States;
            push_tans16_x32: push_tans Tans16 Warp States;
            pop_tans32_x1: pop_tans Tans32 Thread States;
            pop_tans32_xn: pop_tans Tans32 PartOfWarp States;
            pop_tans32_x32: pop_tans Tans32 Warp States;
            pop_tans16_x1: pop_tans Tans16 Thread States;
            pop_tans16_xn: pop_tans Tans16 PartOfWarp States;
            pop_tans16_x32: pop_tans Tans16 Warp States;
        }
    };
}

/// Makes the table of kernels out of the list.
#[macro_export]
#[doc(hidden)]
macro_rules! kernel_table {
    (@operation push Direct) => { Operation::Push };
    (@operation push Alias) => { Operation::PushAlias };
    (@operation pop Search) => { Operation::PopSearch };
    (@operation pop InverseCdf) => { Operation::PopInverseCdf };
    (@operation pop Alias) => { Operation::PopAlias };
    (@operation push_packed Direct) => { Operation::PushPacked };
    (@operation pop_packed Slots) => { Operation::PopSlots };
    (@operation pop_packed Guide) => { Operation::PopGuide };
    (@operation pop_packed Wide) => { Operation::PopWide };
    (@operation push_tans States) => { Operation::PushTans };
    (@operation pop_tans States) => { Operation::PopTans };
    (@family push_tans $family:ident) => { <$crate::codec::$family as TansFamily>::NAME };
    (@family pop_tans $family:ident) => { <$crate::codec::$family as TansFamily>::NAME };
    (@family $rans:ident $family:ident) => { <$crate::codec::$family as $crate::codec::RansFamily>::NAME };
    ($($name:ident: $direction:ident $family:ident $mapping:ident $form:ident;)*) => {
        /// Every push and pop kernel.
        pub const KERNELS: &[Kernel] = &[$(Kernel {
            name: stringify!($name),
            family: $crate::kernel_table!(@family $direction $family),
            operation: $crate::kernel_table!(@operation $direction $form),
            lanes: LaneMapping::$mapping,
        }),*];
    };
}
for_each_kernel!(crate::kernel_table =>);

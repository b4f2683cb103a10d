//! The kernel that makes a coder's tables of intervals in device memory.

use bytemuck::{Pod, Zeroable};

use super::DeviceAddress;

/// What [`PACK_TABLES`] makes: [`PackShape::form`].
pub mod form {
    /// The intervals themselves, of tables whose status is an error: shares as even as they come,
    /// so that what codes with them finds tables. An element per symbol.
    pub const EVEN: u32 = 0;
    /// [`EncoderEntry`](crate::codec::EncoderEntry) of rans64, which are its packed entries too. An
    /// element per symbol, as the next ones.
    pub const ENTRIES_64: u32 = 1;
    /// [`EncoderEntry`](crate::codec::EncoderEntry) of states of 32 bits.
    pub const ENTRIES_32: u32 = 2;
    /// Packed entries of states of 32 bits.
    pub const PACKED_32: u32 = 3;
    /// [`ExactEntry`](crate::codec::packed::ExactEntry).
    pub const EXACT: u32 = 4;
    /// [`PackedInterval`](crate::codec::packed::PackedInterval).
    pub const INTERVALS: u32 = 5;
    /// [`PackedSlot`](crate::codec::packed::PackedSlot): an element per slot, as the next.
    pub const SLOTS: u32 = 6;
    /// The number of a slot's symbol, in 8 bits.
    pub const NUMBERS: u32 = 7;
}

/// The scalar parameters of [`PACK_TABLES`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct PackShape {
    /// Tables; elements of all of them are fewer than `2^32`.
    pub tables: u32,
    /// Symbols a table, the sentinel included: at least 2, and at most `2^precision`.
    pub symbols: u32,
    /// Frequencies sum to `2^precision`; at most 31.
    pub precision: u32,
    /// Not 0: the last symbol of a table is a bypass sentinel.
    pub sentinel: u32,
    /// One of [`form`].
    pub form: u32,
    /// 0.
    pub zero: u32,
}

/// The parameters of [`PACK_TABLES`], in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct PackParams {
    /// [`Interval`](crate::codec::Interval), `tables * symbols`: read, or written by
    /// [`form::EVEN`].
    pub intervals: DeviceAddress,
    /// [`RowStatus`](super::RowStatus) a table: that of its quantisation.
    pub status: DeviceAddress,
    /// The elements.
    pub out: DeviceAddress,
    /// Everything that is not an address.
    pub shape: PackShape,
}

impl PackParams {
    /// Byte range of each kernel parameter in the struct, for launches that take one pointer a
    /// parameter.
    pub const FIELDS: [(usize, usize); 4] = [(0, 8), (8, 8), (16, 8), (24, 24)];
}

const _: () = assert!(size_of::<PackShape>() == 24 && size_of::<PackParams>() == 48);

/// The kernel that packs tables, a thread per element.
pub const PACK_TABLES: &str = "pack_tables";

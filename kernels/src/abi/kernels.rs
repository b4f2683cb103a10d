//! The push and pop kernels: the one list, and which is for what.

use crate::codec::{Tans8, Tans16, TansFamily};

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
    /// Push with packed entries that take no correction, beside those of [`Push`](Self::Push).
    PushExact,
    /// Pop with packed slots, beside [`PopSearch`](Self::PopSearch).
    PopSlots,
    /// Pop with packed intervals and a byte per slot, beside [`PopSearch`](Self::PopSearch).
    PopGuide,
    /// Pop with wide packed intervals and 16 bits per bucket of slots, beside
    /// [`PopSearch`](Self::PopSearch).
    PopWide,
    /// Push with packed alias tables, beside the entries of [`PushAlias`](Self::PushAlias).
    PushAliasPacked,
    /// Pop with packed alias tables, beside the intervals of [`PopAlias`](Self::PopAlias).
    PopAliasPacked,
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
            push_exact_rans32_16_x1: push_packed Rans32x16 ThreadInStep Exact;
            push_exact_rans32_16_x2: push_packed Rans32x16 Pair Exact;
            push_exact_rans32_16_xn: push_packed Rans32x16 PartOfWarp Exact;
            push_exact_rans32_16_x32: push_packed Rans32x16 Warp Exact;
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
            push_alias_packed_rans64_x1: push_packed Rans64 ThreadInStep PackedAlias;
            push_alias_packed_rans64_xn: push_packed Rans64 PartOfWarp PackedAlias;
            push_alias_packed_rans64_x32: push_packed Rans64 Warp PackedAlias;
            push_alias_packed_rans32_x1: push_packed Rans32 ThreadInStep PackedAlias;
            push_alias_packed_rans32_xn: push_packed Rans32 PartOfWarp PackedAlias;
            push_alias_packed_rans32_x32: push_packed Rans32 Warp PackedAlias;
            push_alias_packed_rans32_16_x1: push_packed Rans32x16 ThreadInStep PackedAlias;
            push_alias_packed_rans32_16_xn: push_packed Rans32x16 PartOfWarp PackedAlias;
            push_alias_packed_rans32_16_x32: push_packed Rans32x16 Warp PackedAlias;
            pop_alias_packed_rans64_x1: pop_packed Rans64 ThreadInStep PackedAlias;
            pop_alias_packed_rans64_xn: pop_packed Rans64 PartOfWarp PackedAlias;
            pop_alias_packed_rans64_x32: pop_packed Rans64 Warp PackedAlias;
            pop_alias_packed_rans32_x1: pop_packed Rans32 ThreadInStep PackedAlias;
            pop_alias_packed_rans32_xn: pop_packed Rans32 PartOfWarp PackedAlias;
            pop_alias_packed_rans32_x32: pop_packed Rans32 Warp PackedAlias;
            pop_alias_packed_rans32_16_x1: pop_packed Rans32x16 ThreadInStep PackedAlias;
            pop_alias_packed_rans32_16_xn: pop_packed Rans32x16 PartOfWarp PackedAlias;
            pop_alias_packed_rans32_16_x32: pop_packed Rans32x16 Warp PackedAlias;
            push_tans32_x1: push_tans Tans32 ThreadInStep States;
            push_tans32_xn: push_tans Tans32 PartOfWarp States;
            push_tans32_x32: push_tans Tans32 Warp States;
            push_tans16_x1: push_tans Tans16 ThreadInStep States;
            push_tans16_xn: push_tans Tans16 PartOfWarp States;
            push_tans16_x32: push_tans Tans16 Warp States;
            pop_tans32_x1: pop_tans Tans32 ThreadInStep States;
            pop_tans32_xn: pop_tans Tans32 PartOfWarp States;
            pop_tans32_x32: pop_tans Tans32 Warp States;
            pop_tans16_x1: pop_tans Tans16 ThreadInStep States;
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
    (@operation push_packed Exact) => { Operation::PushExact };
    (@operation push_packed PackedAlias) => { Operation::PushAliasPacked };
    (@operation pop_packed PackedAlias) => { Operation::PopAliasPacked };
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

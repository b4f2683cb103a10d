//! The entry points, made from the list of kernels.

/// Makes an entry point of every kernel in the list: `$simt` is the machine's value, `$attribute`
/// marks an entry point, `$abi` is its calling convention.
#[macro_export]
#[doc(hidden)]
macro_rules! kernel_entries {
    ($simt:expr, $attribute:tt, $abi:tt;
     $($name:ident: $direction:ident $family:ident $mapping:ident $form:ident;)*) => {
        $($crate::kernel_entry!($simt, $attribute, $abi, $name, $direction, $family, $mapping, $form);)*
    };
}

/// One entry point: its parameters are the fields of [`CodeParams`](crate::abi::CodeParams), in
/// order.
#[macro_export]
#[doc(hidden)]
macro_rules! kernel_entry {
    ($simt:expr, [$($attribute:tt)*], [$($abi:tt)*], $name:ident, $direction:ident, $family:ident, $mapping:ident, $form:ident) => {
        $($attribute)*
        #[allow(clippy::too_many_arguments, reason = "one argument a kernel parameter")]
        #[doc = "See `abi::CodeParams`."]
        /// # Safety
        /// The parameters describe memory as `abi` says.
        pub unsafe $($abi)* fn $name(
            states: *mut u8,
            words: *mut u8,
            lengths: *mut u32,
            status: *mut $crate::abi::RowStatus,
            symbols: *mut u8,
            indexes: *const u8,
            tables: *const $crate::codec::TableDescriptor,
            entries: *const u8,
            lookup: *const u8,
            shape: $crate::abi::CodeShape,
        ) {
            let rows = $crate::device::memory::RowsMemory {
                states, words, lengths, status, symbols, indexes,
            };
            let launch = $crate::device::memory::Launch { rows, tables, entries, lookup };
            // SAFETY: the launch's promise.
            unsafe { $crate::kernel_body!($direction $family $mapping $form)($simt, launch, &shape) }
        }
    };
}

/// The function that a kernel of the list calls.
#[macro_export]
#[doc(hidden)]
macro_rules! kernel_body {
    (@packed Direct) => { $crate::device::push::Direct };
    (@packed PackedAlias) => { $crate::device::packed_alias::PackedAlias };
    (@packed Exact) => { $crate::device::packed_alias::Exact };
    (@packed $form:ident) => { $crate::device::packed::$form };
    (push $family:ident $mapping:ident $form:ident) => {
        $crate::device::push::push::<
            _,
            $crate::device::group::$mapping,
            $crate::codec::$family,
            $crate::device::push::$form,
        >
    };
    (push_packed $family:ident $mapping:ident $form:ident) => {
        $crate::device::push_packed::push::<
            _,
            $crate::device::group::$mapping,
            $crate::codec::$family,
            $crate::kernel_body!(@packed $form),
        >
    };
    (pop $family:ident $mapping:ident $form:ident) => {
        $crate::device::pop::pop::<
            _,
            $crate::device::group::$mapping,
            $crate::codec::$family,
            $crate::device::pop::$form,
        >
    };
    (pop_packed $family:ident $mapping:ident $form:ident) => {
        $crate::device::pop_packed::pop::<
            _,
            $crate::device::group::$mapping,
            $crate::codec::$family,
            $crate::kernel_body!(@packed $form),
        >
    };
    (push_tans $family:ident $mapping:ident $form:ident) => {
        $crate::device::tans::push::<_, $crate::device::group::$mapping, $crate::codec::$family>
    };
    (pop_tans $family:ident $mapping:ident $form:ident) => {
        $crate::device::tans::pop::<_, $crate::device::group::$mapping, $crate::codec::$family>
    };
}

/// Makes an entry point of every kernel in the list of model kernels; see `kernel_entries`.
#[macro_export]
#[doc(hidden)]
macro_rules! model_kernel_entries {
    ($simt:expr, $attribute:tt, $abi:tt;
     $($name:ident: $direction:ident $family:ident $mapping:ident $form:ident;)*) => {
        $($crate::model_kernel_entry!($simt, $attribute, $abi, $name, $direction, $family, $mapping, $form);)*
    };
}

/// One entry point: its parameters are the fields of [`ModelParams`](crate::abi::ModelParams), in
/// order.
#[macro_export]
#[doc(hidden)]
macro_rules! model_kernel_entry {
    ($simt:expr, [$($attribute:tt)*], [$($abi:tt)*], $name:ident, $direction:ident, $family:ident, $mapping:ident, $form:ident) => {
        $($attribute)*
        #[allow(clippy::too_many_arguments, reason = "one argument a kernel parameter")]
        #[doc = "See `abi::ModelParams`."]
        /// # Safety
        /// The parameters describe memory as `abi` says.
        pub unsafe $($abi)* fn $name(
            states: *mut <$crate::codec::$family as $crate::codec::RansFamily>::State,
            words: *mut <$crate::codec::$family as $crate::codec::RansFamily>::Word,
            lengths: *mut u32,
            status: *mut $crate::abi::RowStatus,
            symbols: *mut u8,
            parameters: *const <$crate::device::models::$form as $crate::device::models::ModelForm>::Parameter,
            scales: *const u16,
            shape: $crate::abi::ModelShape,
        ) {
            use $crate::device::{group, memory, models};
            let rows = memory::RowsMemory {
                states: states.cast(),
                words: words.cast(),
                lengths,
                status,
                symbols,
                indexes: ::core::ptr::null(),
            };
            // SAFETY: the launch's promise.
            unsafe {
                models::$direction::<_, group::$mapping, $crate::codec::$family, models::$form>(
                    $simt,
                    rows,
                    models::ModelMemory { parameters, scales },
                    &shape,
                )
            }
        }
    };
}

/// The entry points that make tables and models of numbers, and that move rows: their parameters
/// are the fields of [`QuantiseParams`](crate::abi::QuantiseParams),
/// [`FixParams`](crate::abi::FixParams) and [`MoveParams`](crate::abi::MoveParams), in order.
#[macro_export]
#[doc(hidden)]
macro_rules! other_entries {
    ($simt:expr, $attribute:tt, $abi:tt) => {
        $crate::quantise_entry!(
            $simt,
            $attribute,
            $abi,
            quantise_f32,
            quantise,
            f32,
            $crate::codec::Interval
        );
        $crate::quantise_entry!($simt, $attribute, $abi, quantise_cdf_f32, quantise_cdf, f32, u32);
        $crate::quantise_entry!($simt, $attribute, $abi, quantise_cdf_u32, quantise_cdf, u32, u32);
        $crate::fix_entry!($simt, $attribute, $abi);
        $crate::move_entry!($simt, $attribute, $abi);
        $crate::decode_frame_entry!($simt, $attribute, $abi, decode_frame_bytes, frames::OfBytes);
        $crate::decode_frame_entry!($simt, $attribute, $abi, decode_frame_x2, frames::OfWords<u16>);
        $crate::decode_frame_entry!($simt, $attribute, $abi, decode_frame_x4, frames::OfWords<u32>);
        $crate::decode_frame_entry!($simt, $attribute, $abi, decode_frame_x8, frames::OfWords<u64>);
        $crate::pack_entry!($simt, $attribute, $abi);
    };
}

/// One entry point that quantises.
#[macro_export]
#[doc(hidden)]
macro_rules! quantise_entry {
    ($simt:expr, [$($attribute:tt)*], [$($abi:tt)*], $name:ident, $function:ident, $weight:ty, $out:ty) => {
        $($attribute)*
        #[doc = "See `abi::QuantiseParams`."]
        /// # Safety
        /// The parameters describe memory as `abi` says.
        pub unsafe $($abi)* fn $name(
            pmf: *const $weight,
            out: *mut $out,
            status: *mut $crate::abi::RowStatus,
            shape: $crate::abi::QuantiseShape,
        ) {
            // SAFETY: the launch's promise.
            unsafe { $crate::device::quantise::$function($simt, pmf, out, status, shape) }
        }
    };
}

/// The entry point that makes fixed-point parameters.
#[macro_export]
#[doc(hidden)]
macro_rules! fix_entry {
    ($simt:expr, [$($attribute:tt)*], [$($abi:tt)*]) => {
        $($attribute)*
        #[doc = "See `abi::FixParams`."]
        /// # Safety
        /// The parameters describe memory as `abi` says.
        pub unsafe $($abi)* fn fix_f32(
            means: *const f32,
            scales: *const f32,
            fixed_means: *mut i32,
            codes: *mut u16,
            count: u64,
        ) {
            // SAFETY: the launch's promise.
            unsafe { $crate::device::models::fix($simt, means, scales, fixed_means, codes, count) }
        }
    };
}

/// The entry point that moves the words of rows.
#[macro_export]
#[doc(hidden)]
macro_rules! move_entry {
    ($simt:expr, [$($attribute:tt)*], [$($abi:tt)*]) => {
        $($attribute)*
        #[doc = "See `abi::MoveParams`."]
        /// # Safety
        /// The parameters describe memory as `abi` says.
        pub unsafe $($abi)* fn move_rows(
            apart: *mut u8,
            together: *mut u8,
            offsets: *const u64,
            lengths: *const u32,
            shape: $crate::abi::MoveShape,
        ) {
            let rows = $crate::device::rows::Rows { apart, together, offsets, lengths };
            // SAFETY: the launch's promise.
            unsafe { $crate::device::rows::move_rows($simt, rows, shape) }
        }
    };
}

/// An entry point that decodes chunks of frames.
#[macro_export]
#[doc(hidden)]
macro_rules! decode_frame_entry {
    ($simt:expr, [$($attribute:tt)*], [$($abi:tt)*], $name:ident, $form:ty) => {
        $($attribute)*
        #[doc = "See `abi::frames::DecodeFrameParams`."]
        /// # Safety
        /// The parameters describe memory as `abi::frames` says.
        pub unsafe $($abi)* fn $name(
            coded: *const u8,
            content: *mut u8,
            chunks: *const $crate::abi::frames::FrameChunk,
            status: *mut $crate::abi::RowStatus,
            shape: $crate::abi::frames::DecodeFrameShape,
        ) {
            use $crate::device::frames;
            let memory = frames::Frames { coded, content, chunks, status };
            // SAFETY: the launch's promise.
            unsafe { frames::decode::<$form, _>($simt, memory, shape) }
        }
    };
}

/// The entry point that packs tables; see [`PackParams`](crate::abi::pack::PackParams).
#[macro_export]
#[doc(hidden)]
macro_rules! pack_entry {
    ($simt:expr, [$($attribute:tt)*], [$($abi:tt)*]) => {
        $($attribute)*
        #[doc = "See `abi::pack::PackParams`."]
        /// # Safety
        /// The parameters describe memory as `abi` says.
        pub unsafe $($abi)* fn pack_tables(
            intervals: *mut $crate::codec::Interval,
            status: *const $crate::abi::RowStatus,
            out: *mut u8,
            shape: $crate::abi::pack::PackShape,
        ) {
            let memory = $crate::device::pack::Packing { intervals, status, out };
            // SAFETY: the launch's promise.
            unsafe { $crate::device::pack::pack($simt, memory, shape) }
        }
    };
}

#[cfg(all(target_arch = "nvptx64", not(feature = "rust-cuda")))]
#[allow(missing_docs, reason = "the list of kernels documents them")]
pub mod nvptx_entries {
    use crate::device::nvptx::Nvptx;
    crate::for_each_kernel!(crate::kernel_entries => Nvptx, [#[unsafe(no_mangle)]], [extern "ptx-kernel"];);
    crate::for_each_model_kernel!(crate::model_kernel_entries => Nvptx, [#[unsafe(no_mangle)]], [extern "ptx-kernel"];);
    crate::other_entries!(Nvptx, [#[unsafe(no_mangle)]], [extern "ptx-kernel"]);
}

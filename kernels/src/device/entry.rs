//! The entry points, made from the list of kernels.

/// Makes an entry point of every kernel in the list: `$simt` is the machine's value, `$attribute` marks an entry point, `$abi` is
/// its calling convention.
#[macro_export]
#[doc(hidden)]
macro_rules! kernel_entries {
    ($simt:expr, $attribute:tt, $abi:tt;
     $($name:ident: $direction:ident $family:ident $mapping:ident $form:ident;)*) => {
        $($crate::kernel_entry!($simt, $attribute, $abi, $name, $direction, $family, $mapping, $form);)*
    };
}

/// One entry point: its parameters are the fields of [`CodeParams`](crate::abi::CodeParams), in order.
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
            tables: *const $crate::codec::TableSpan,
            entries: *const u8,
            lookup: *const u8,
            shape: $crate::abi::CodeShape,
        ) {
            let launch = $crate::device::memory::Launch {
                states, words, lengths, status, symbols, indexes, tables, entries, lookup,
            };
            // SAFETY: the launch's promise.
            unsafe { $crate::kernel_body!($direction $family $mapping $form)($simt, launch, &shape) }
        }
    };
}

/// The function that a kernel of the list calls.
#[macro_export]
#[doc(hidden)]
macro_rules! kernel_body {
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
            $crate::device::packed::$form,
        >
    };
    (push_tans $family:ident $mapping:ident $form:ident) => {
        $crate::device::tans::push::<_, $crate::device::group::$mapping, $crate::codec::$family>
    };
    (pop_tans $family:ident $mapping:ident $form:ident) => {
        $crate::device::tans::pop::<_, $crate::device::group::$mapping, $crate::codec::$family>
    };
}

/// The entry point that quantises: its parameters are the fields of [`QuantiseParams`](crate::abi::QuantiseParams), in order.
#[macro_export]
#[doc(hidden)]
macro_rules! quantise_entry {
    ($simt:expr, [$($attribute:tt)*], [$($abi:tt)*]) => {
        $($attribute)*
        #[doc = "See `abi::QuantiseParams`."]
        /// # Safety
        /// The parameters describe memory as `abi` says.
        pub unsafe $($abi)* fn quantise_f32(
            pmf: *const f32,
            spans: *mut $crate::codec::Span,
            status: *mut $crate::abi::RowStatus,
            shape: $crate::abi::QuantiseShape,
        ) {
            // SAFETY: the launch's promise.
            unsafe { $crate::device::quantise::quantise($simt, pmf, spans, status, shape) }
        }
    };
}

#[cfg(all(target_arch = "nvptx64", not(feature = "rust-cuda")))]
#[allow(missing_docs, reason = "the list of kernels documents them")]
pub mod nvptx_entries {
    use crate::device::nvptx::Nvptx;
    crate::for_each_kernel!(crate::kernel_entries => Nvptx, [#[unsafe(no_mangle)]], [extern "ptx-kernel"];);
    crate::quantise_entry!(Nvptx, [#[unsafe(no_mangle)]], [extern "ptx-kernel"]);
}

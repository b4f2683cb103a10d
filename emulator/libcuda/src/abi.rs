//! The C boundary: types of arguments, and the macro that defines an exported function.
//!
//! All raw pointers a program hands in pass through the types here, so that the null checks and
//! the unsafe reads and writes are in one file. A value of [`Out`], [`In`], [`Text`] or [`Host`]
//! comes into being only as an argument of an exported function, whose C caller promises what
//! `cuda.h` asks: each pointer is null or good for what the function does with it.

pub(crate) use crate::errors::Status;
use crate::errors::{CUresult, CudaError};
use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A device address, `CUdeviceptr`.
pub(crate) type DevicePointer = u64;

/// A pointer the function writes one `T` through.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// Writes `value`; a null pointer is `CUDA_ERROR_INVALID_VALUE`.
    pub(crate) fn set(self, value: T) -> Status {
        self.required()?.set_if_asked(value);
        Ok(())
    }

    /// Writes `value` unless the pointer is null, for outputs that the API calls optional.
    pub(crate) fn set_if_asked(self, value: T) {
        if !self.0.is_null() {
            // SAFETY: not null, and the C caller promises memory for one `T`; alignment is not
            // promised by every caller, so the write assumes none.
            unsafe { self.0.write_unaligned(value) }
        }
    }

    /// The same pointer, known not to be null: to refuse a bad call before it has an effect.
    pub(crate) fn required(self) -> Status<Self> {
        if self.0.is_null() { Err(CudaError::InvalidValue) } else { Ok(self) }
    }

    /// What the caller left there, for arguments that go both ways.
    pub(crate) fn read(self) -> Status<T>
    where
        T: Copy,
    {
        In(self.0.cast_const()).get()
    }

    /// The place number `index` of an array that the caller promises to be longer than that.
    pub(crate) fn at(self, index: usize) -> Status<Self> {
        Ok(Out(self.required()?.0.wrapping_add(index)))
    }
}

/// A pointer the function reads one or more `T` from.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(crate) struct In<T>(*const T);

impl<T: Copy> In<T> {
    /// The pointer of an argument that a call does not have.
    pub(crate) const NONE: Self = In(std::ptr::null());

    /// The value; a null pointer is `CUDA_ERROR_INVALID_VALUE`.
    pub(crate) fn get(self) -> Status<T> {
        self.at(0)
    }

    /// The value number `index` of an array that the caller promises to be longer than that.
    pub(crate) fn at(self, index: usize) -> Status<T> {
        if self.0.is_null() {
            return Err(CudaError::InvalidValue);
        }
        // SAFETY: not null, and the C caller promises that `index` is inside its array.
        Ok(unsafe { self.0.add(index).read_unaligned() })
    }

    /// Whether the caller gave none.
    pub(crate) fn is_null(self) -> bool {
        self.0.is_null()
    }
}

/// A C string of the caller.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(crate) struct Text(*const c_char);

impl Text {
    /// The string; null or not UTF-8 is `CUDA_ERROR_INVALID_VALUE`.
    pub(crate) fn get(self) -> Status<String> {
        if self.0.is_null() {
            return Err(CudaError::InvalidValue);
        }
        // SAFETY: not null, and the C caller promises a terminating zero.
        let text = unsafe { CStr::from_ptr(self.0) };
        text.to_str().map(str::to_owned).map_err(|_| CudaError::InvalidValue)
    }
}

/// Host memory of the caller: a pointer without a type, whose length is another argument.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Host(*mut c_void);

impl Host {
    /// A pointer to what this library itself hands out.
    pub(crate) fn new(at: *mut c_void) -> Self {
        Host(at)
    }

    /// The pointer as a number, to look it up among the allocations.
    pub(crate) fn address(self) -> u64 {
        self.0.expose_provenance() as u64
    }

    /// A pointer from a number that the program holds as an address of its own memory.
    pub(crate) fn from_address(address: u64) -> Self {
        Host(std::ptr::with_exposed_provenance_mut(address as usize))
    }

    /// The pointer `bytes` further on.
    pub(crate) fn offset(self, bytes: usize) -> Self {
        Host(self.0.wrapping_byte_add(bytes))
    }

    /// Whether the caller gave none.
    pub(crate) fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// The raw pointer, for values that are handed back to the program.
    pub(crate) fn as_ptr(self) -> *mut c_void {
        self.0
    }

    /// The first `length` bytes, to read.
    pub(crate) fn bytes<'a>(self, length: usize) -> Status<&'a [u8]> {
        if length == 0 {
            return Ok(&[]);
        }
        if self.0.is_null() {
            return Err(CudaError::InvalidValue);
        }
        // SAFETY: not null, and the C caller promises `length` readable bytes for the call.
        Ok(unsafe { std::slice::from_raw_parts(self.0.cast(), length) })
    }

    /// The first `length` bytes, to write.
    pub(crate) fn bytes_mut<'a>(self, length: usize) -> Status<&'a mut [u8]> {
        if length == 0 {
            return Ok(&mut []);
        }
        if self.0.is_null() {
            return Err(CudaError::InvalidValue);
        }
        // SAFETY: not null, and the C caller promises `length` writable bytes, its own for the
        // call.
        Ok(unsafe { std::slice::from_raw_parts_mut(self.0.cast(), length) })
    }

    /// The bytes up to a terminating zero.
    pub(crate) fn bytes_to_zero<'a>(self) -> Status<&'a [u8]> {
        if self.0.is_null() {
            return Err(CudaError::InvalidValue);
        }
        // SAFETY: not null, and the C caller promises a terminating zero.
        Ok(unsafe { CStr::from_ptr(self.0.cast()) }.to_bytes())
    }
}

// SAFETY: addresses in the program's memory, which the API lets it name from any thread; a `Linker`
// keeps some.
unsafe impl<T> Send for Out<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Out<T> {}
// SAFETY: as above.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

#[cfg(test)]
impl<T> From<&mut T> for Out<T> {
    fn from(place: &mut T) -> Self {
        Out(place)
    }
}

#[cfg(test)]
impl<T> From<&[T]> for In<T> {
    fn from(values: &[T]) -> Self {
        In(values.as_ptr())
    }
}

#[cfg(test)]
impl From<&CStr> for Text {
    fn from(text: &CStr) -> Self {
        Text(text.as_ptr())
    }
}

/// An opaque handle to a `T` of this library: `CUcontext`, `CUstream` and the like.
///
/// It is a number that names an entry of a table, never an address: a stale or invented handle is
/// an error here, where the real driver may crash.
#[repr(transparent)]
pub(crate) struct Handle<T>(usize, PhantomData<fn() -> T>);

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Handle<T> {}

impl<T> PartialEq for Handle<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Handle<T> {
    /// The handle that names nothing.
    pub(crate) const NULL: Self = Handle(0, PhantomData);

    /// The handle of this number.
    pub(crate) const fn from_raw(raw: usize) -> Self {
        Handle(raw, PhantomData)
    }

    /// The number.
    pub(crate) const fn raw(self) -> usize {
        self.0
    }

    /// Whether it names nothing.
    pub(crate) fn is_null(self) -> bool {
        self.0 == 0
    }
}

/// One exported function, for `cuGetProcAddress`.
pub(crate) struct Export {
    /// Its symbol.
    pub(crate) name: &'static str,
    /// Its address.
    pub(crate) address: *const c_void,
}

// SAFETY: the address of a function, which any thread may hold.
unsafe impl Sync for Export {}

/// Runs the body of an exported function: a panic is this library's own defect and becomes
/// `CUDA_ERROR_UNKNOWN`, since nothing may unwind into C.
pub(crate) fn guard(name: &str, body: impl FnOnce() -> Status) -> CUresult {
    if crate::host_function::is_running() {
        // The API forbids its own use in a host function; some calls would wait for themselves.
        return CUresult::from(Err(CudaError::NotPermitted));
    }
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(status) => {
            crate::trace::call(name, &status);
            CUresult::from(status)
        }
        Err(_) => {
            eprintln!("parans libcuda: a defect in {name}: the panic above");
            CUresult::from(Err(CudaError::Unknown))
        }
    }
}

/// Defines exported functions, and `EXPORTS`, the list of them.
///
/// Each `fn name(arguments) { body }` becomes the C function `name` returning `CUresult`; the body
/// is a block of type [`Status`].
macro_rules! exports {
    ($($(#[$attribute:meta])* fn $name:ident($($argument:ident: $type:ty),* $(,)?) $body:block)*) => {
        $(
            $(#[$attribute])*
            #[unsafe(no_mangle)]
            pub(crate) extern "C" fn $name($($argument: $type),*) -> $crate::errors::CUresult {
                $crate::abi::guard(stringify!($name), move || -> $crate::abi::Status { $body })
            }
        )*

        /// The functions of this file.
        pub(crate) static EXPORTS: &[$crate::abi::Export] = &[
            $($crate::abi::Export { name: stringify!($name), address: $name as *const std::ffi::c_void }),*
        ];
    };
}
pub(crate) use exports;

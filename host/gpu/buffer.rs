//! Device memory of elements, owned and borrowed.

use std::marker::PhantomData;

use bytemuck::Pod;
use parans_kernels::abi::DeviceAddress;

use super::Gpu;
use super::memory::Memory;
use super::runtime::StreamHandle;
use crate::error::{Error, Result};

/// Plain data that can lie in device memory.
pub trait DeviceElement: Pod + Send + Sync {}
impl<T: Pod + Send + Sync> DeviceElement for T {}

/// `len` elements in device memory, freed with the buffer. Work on any stream may use them:
/// whatever the library puts on another stream than the work before waits for that work, and so
/// does freeing.
#[derive(Debug)]
pub struct DeviceBuffer<T: DeviceElement> {
    pub(super) memory: Memory,
    len: usize,
    element: PhantomData<T>,
}

impl<T: DeviceElement> DeviceBuffer<T> {
    /// Memory for `len` elements, contents undefined.
    ///
    /// # Errors
    /// [`Error::Device`] where memory is short.
    pub fn new(gpu: &Gpu, len: usize) -> Result<Self> {
        let Some(bytes) = len.checked_mul(size_of::<T>()) else {
            return Err(Error::InvalidArgument(format!("a device buffer of {len} elements")));
        };
        Ok(Self { memory: Memory::new(gpu, bytes)?, len, element: PhantomData })
    }

    /// A copy of host memory.
    ///
    /// # Errors
    /// [`Error::Device`] where memory is short or the copy fails.
    pub fn from_slice(gpu: &Gpu, values: &[T]) -> Result<Self> {
        let buffer = Self::new(gpu, values.len())?;
        buffer.upload(0, values)?;
        Ok(buffer)
    }

    /// Overwrites elements from `at` on, after the work that used the buffer last.
    ///
    /// # Errors
    /// [`Error::Shape`] past the end; [`Error::Device`] where the copy fails.
    pub fn upload(&self, at: usize, values: &[T]) -> Result<()> {
        let to = self.at(at, values.len())?;
        if values.is_empty() {
            return Ok(());
        }
        let (gpu, stream) = (self.memory.gpu(), StreamHandle::OWN);
        Memory::used_by(gpu, stream, [&self.memory], || {
            gpu.runtime().upload(to, bytemuck::cast_slice(values), stream)
        })
    }

    /// Overwrites all elements with those of another buffer on the same device, on a stream: what a
    /// kernel that only moved its input would take.
    ///
    /// # Errors
    /// [`Error::Shape`] where the lengths differ; [`Error::Device`] where the copy fails.
    pub fn copy_from(&self, other: &Self, stream: StreamHandle) -> Result<()> {
        if other.len != self.len {
            return Err(Error::Shape {
                what: "a device buffer to copy",
                expected: format!("{} elements", self.len),
                got: other.len.to_string(),
            });
        }
        let (gpu, bytes) = (self.memory.gpu(), self.len * size_of::<T>());
        Memory::used_by(gpu, stream, [&self.memory, &other.memory], || match bytes {
            0 => Ok(()),
            _ => gpu.runtime().copy(self.address(), other.address(), bytes, stream),
        })
    }

    /// Overwrites all elements with those of another buffer from `at` on, on a stream.
    pub(super) fn copy_part(&self, other: &Self, at: usize, stream: StreamHandle) -> Result<()> {
        let from = other.at(at, self.len)?;
        let (gpu, bytes) = (self.memory.gpu(), self.len * size_of::<T>());
        Memory::used_by(gpu, stream, [&self.memory, &other.memory], || match bytes {
            0 => Ok(()),
            _ => gpu.runtime().copy(self.address(), from, bytes, stream),
        })
    }

    /// Reads elements from `at` on, after the work that used the buffer last.
    ///
    /// # Errors
    /// [`Error::Shape`] past the end; [`Error::Device`] where the copy fails, or work before it.
    pub fn download(&self, at: usize, values: &mut [T]) -> Result<()> {
        let from = self.at(at, values.len())?;
        if values.is_empty() {
            return Ok(());
        }
        self.memory.used_now(|stream| {
            let runtime = self.memory.gpu().runtime();
            runtime.download(from, bytemuck::cast_slice_mut(values), stream)
        })
    }

    /// All elements.
    ///
    /// # Errors
    /// As [`download`](Self::download).
    pub fn to_vec(&self) -> Result<Vec<T>> {
        let mut values = vec![T::zeroed(); self.len];
        self.download(0, &mut values)?;
        Ok(values)
    }

    fn at(&self, at: usize, len: usize) -> Result<DeviceAddress> {
        match at.checked_add(len) {
            Some(end) if end <= self.len => Ok(self.address() + (at * size_of::<T>()) as u64),
            _ => Err(Error::Shape {
                what: "a part of a device buffer",
                expected: format!("within {} elements", self.len),
                got: format!("{len} from {at} on"),
            }),
        }
    }

    /// Where it lies.
    pub fn address(&self) -> DeviceAddress {
        self.memory.address()
    }

    /// Elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// `len` elements of device memory: those of a [`DeviceBuffer`], or of a tensor that another
/// library owns.
#[derive(Clone, Copy, Debug)]
pub struct DeviceSlice<'b, T> {
    pub(super) memory: Option<&'b Memory>,
    address: DeviceAddress,
    len: usize,
    element: PhantomData<T>,
}

impl<'b, T> DeviceSlice<'b, T> {
    /// Elements at an address, aligned to their size: a tensor that another library owns.
    ///
    /// # Safety
    /// The device has them there during all work that is given this slice. That work runs on the
    /// stream that the call which starts it is given; work of the caller on other streams must be
    /// ordered with it by the caller.
    #[allow(unsafe_code, reason = "kernels read and write there")]
    pub unsafe fn at(address: DeviceAddress, len: usize) -> Self {
        Self { memory: None, address, len, element: PhantomData }
    }

    /// No elements.
    pub(super) fn empty() -> Self {
        Self { memory: None, address: 0, len: 0, element: PhantomData }
    }

    /// All elements in a buffer of bytes that goes to [`DeviceModels::owning`], which orders work
    /// on it.
    ///
    /// [`DeviceModels::owning`]: super::DeviceModels::owning
    pub(crate) fn kept(buffer: &DeviceBuffer<u8>) -> Self {
        let (address, len) = (buffer.address(), buffer.len / size_of::<T>());
        Self { memory: None, address, len, element: PhantomData }
    }

    /// Where they lie.
    pub fn address(&self) -> DeviceAddress {
        self.address
    }

    /// Elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<'b, T: DeviceElement> From<&'b DeviceBuffer<T>> for DeviceSlice<'b, T> {
    fn from(buffer: &'b DeviceBuffer<T>) -> Self {
        let (memory, address) = (Some(&buffer.memory), buffer.address());
        Self { memory, address, len: buffer.len, element: PhantomData }
    }
}

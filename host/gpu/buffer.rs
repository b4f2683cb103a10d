//! Device memory that frees itself.

use std::marker::PhantomData;

use bytemuck::Pod;
use parans_kernels::abi::DeviceAddress;

use super::Gpu;
use super::runtime::StreamHandle;
use crate::error::{Error, Result};

/// Plain data that can lie in device memory.
pub trait DeviceElement: Pod + Send + Sync {}
impl<T: Pod + Send + Sync> DeviceElement for T {}

/// `len` elements in device memory.
#[derive(Debug)]
pub struct DeviceBuffer<T: DeviceElement> {
    gpu: Gpu,
    address: DeviceAddress,
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
        // A device gives no address for nothing, and a kernel wants one.
        let address = gpu.runtime().alloc(bytes.max(1))?;
        Ok(Self { gpu: gpu.clone(), address, len, element: PhantomData })
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

    /// Overwrites elements from `at` on.
    ///
    /// # Errors
    /// [`Error::Shape`] past the end; [`Error::Device`] where the copy fails.
    pub fn upload(&self, at: usize, values: &[T]) -> Result<()> {
        let to = self.at(at, values.len())?;
        if values.is_empty() {
            return Ok(());
        }
        self.gpu.runtime().upload(to, bytemuck::cast_slice(values), StreamHandle::default())
    }

    /// Reads elements from `at` on.
    ///
    /// # Errors
    /// [`Error::Shape`] past the end; [`Error::Device`] where the copy fails.
    pub fn download(&self, at: usize, values: &mut [T]) -> Result<()> {
        let from = self.at(at, values.len())?;
        if values.is_empty() {
            return Ok(());
        }
        let stream = StreamHandle::default();
        self.gpu.runtime().download(from, bytemuck::cast_slice_mut(values), stream)
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
            Some(end) if end <= self.len => Ok(self.address + (at * size_of::<T>()) as u64),
            _ => Err(Error::Shape {
                what: "a part of a device buffer",
                expected: format!("within {} elements", self.len),
                got: format!("{len} from {at} on"),
            }),
        }
    }

    /// Where it lies.
    pub fn address(&self) -> DeviceAddress {
        self.address
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

impl<T: DeviceElement> Drop for DeviceBuffer<T> {
    fn drop(&mut self) {
        self.gpu.runtime().free(self.address);
    }
}

/// `len` elements at an address of the device: those of a [`DeviceBuffer`], or of a tensor that
/// another library owns. They must outlive every use.
#[derive(Clone, Copy, Debug)]
pub struct DeviceSlice<T> {
    address: DeviceAddress,
    len: usize,
    element: PhantomData<T>,
}

impl<T> DeviceSlice<T> {
    /// Elements at an address, aligned to their size.
    pub fn at(address: DeviceAddress, len: usize) -> Self {
        Self { address, len, element: PhantomData }
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

impl<T: DeviceElement> From<&DeviceBuffer<T>> for DeviceSlice<T> {
    fn from(buffer: &DeviceBuffer<T>) -> Self {
        Self::at(buffer.address, buffer.len)
    }
}

//! CUDA arrays, `cuArray*`: made, described, copied and destroyed. There are no textures here to
//! sample them.

use crate::abi::{DevicePointer, Handle, In, Out, Status, exports};
use crate::context::{Context, working};
use crate::copy::Place;
use crate::errors::CudaError;
use crate::table::Table;
use std::sync::Arc;

/// All arrays.
pub(crate) static ARRAYS: Table<Array> = Table::new(0x16);

/// `CUDA_ARRAY3D_DESCRIPTOR`. A size of zero is a dimension the array does not have.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Descriptor3d {
    width: usize,
    height: usize,
    depth: usize,
    format: u32,
    channels: u32,
    flags: u32,
}

/// `CUDA_ARRAY_DESCRIPTOR`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Descriptor2d {
    width: usize,
    height: usize,
    format: u32,
    channels: u32,
}

/// `CUDA_ARRAY3D_LAYERED`: the depth counts layers.
const LAYERED: u32 = 1;
/// `CUDA_ARRAY3D_CUBEMAP`: the depth counts faces.
const CUBEMAP: u32 = 4;
/// Layered, surface, cubemap, gather, depth texture.
const KNOWN_FLAGS: u32 = 0x1f;

impl Descriptor3d {
    /// Bytes of an element, or the error of a format or channel count that does not exist.
    fn element(&self) -> Status<usize> {
        let channel = match self.format {
            0x01 | 0x08 => 1,        // unsigned and signed 8 bits
            0x02 | 0x09 | 0x10 => 2, // unsigned and signed 16 bits, half
            0x03 | 0x0a | 0x20 => 4, // unsigned and signed 32 bits, float
            _ => return Err(CudaError::InvalidValue),
        };
        match self.channels {
            1 | 2 | 4 => Ok(channel * self.channels as usize),
            _ => Err(CudaError::InvalidValue),
        }
    }

    /// Whether the dimensions go together, as `cuArray3DCreate` documents them.
    fn is_valid(&self) -> bool {
        let layered = self.flags & LAYERED != 0;
        let shape = if self.flags & CUBEMAP != 0 {
            let faces_fit = if layered { self.depth.is_multiple_of(6) } else { self.depth == 6 };
            self.width == self.height && self.depth > 0 && faces_fit
        } else if layered {
            self.depth > 0
        } else {
            self.height > 0 || self.depth == 0
        };
        self.width > 0 && shape && self.flags & !KNOWN_FLAGS == 0
    }
}

/// An array: rows one after another in device memory.
pub(crate) struct Array {
    /// Its context.
    pub(crate) context: Arc<Context>,
    descriptor: Descriptor3d,
    base: DevicePointer,
    bytes: u64,
    row_bytes: usize,
}

impl Array {
    /// Makes an array.
    fn new(context: Arc<Context>, descriptor: Descriptor3d) -> Status<Self> {
        let element = descriptor.element()?;
        if !descriptor.is_valid() {
            return Err(CudaError::InvalidValue);
        }
        let bytes = descriptor
            .width
            .checked_mul(element)
            .and_then(|bytes| bytes.checked_mul(descriptor.height.max(1)))
            .and_then(|bytes| bytes.checked_mul(descriptor.depth.max(1)))
            .ok_or(CudaError::OutOfMemory)?;
        let base = context.device.allocate(bytes as u64)?;
        Ok(Array {
            context,
            descriptor,
            base,
            bytes: bytes as u64,
            row_bytes: descriptor.width * element,
        })
    }

    /// Where byte `x` of row `y` of slice `z` is, if a piece of `bytes` bytes fits there.
    pub(crate) fn place(&self, x: usize, y: usize, z: usize, bytes: usize) -> Status<Place> {
        let (height, depth) = (self.descriptor.height.max(1), self.descriptor.depth.max(1));
        if x.saturating_add(bytes) > self.row_bytes || y >= height || z >= depth {
            return Err(CudaError::InvalidValue);
        }
        let offset = (z * height + y) * self.row_bytes + x;
        Ok(Place::Device(self.base + offset as u64))
    }
}

impl Drop for Array {
    fn drop(&mut self) {
        self.context.device.free(self.base, self.bytes);
    }
}

/// Makes an array and gives it a handle.
fn create(out: Out<Handle<Array>>, descriptor: Descriptor3d) -> Status {
    let context = working()?;
    out.required()?;
    out.set(ARRAYS.insert(Array::new(context, descriptor)?))
}

exports! {
    fn cuArrayCreate_v2(out: Out<Handle<Array>>, descriptor: In<Descriptor2d>) {
        let Descriptor2d { width, height, format, channels } = descriptor.get()?;
        create(out, Descriptor3d { width, height, depth: 0, format, channels, flags: 0 })
    }

    fn cuArray3DCreate_v2(out: Out<Handle<Array>>, descriptor: In<Descriptor3d>) {
        create(out, descriptor.get()?)
    }

    fn cuArrayGetDescriptor_v2(out: Out<Descriptor2d>, handle: Handle<Array>) {
        working()?;
        let Descriptor3d { width, height, format, channels, .. } = ARRAYS.get(handle)?.descriptor;
        out.set(Descriptor2d { width, height, format, channels })
    }

    fn cuArray3DGetDescriptor_v2(out: Out<Descriptor3d>, handle: Handle<Array>) {
        working()?;
        out.set(ARRAYS.get(handle)?.descriptor)
    }

    fn cuArrayDestroy(handle: Handle<Array>) {
        // As with other memory, destroying waits for the work that may still use it.
        let context = working()?;
        context.queues.run_all();
        context.healthy()?;
        ARRAYS.remove(handle).map(drop)
    }
}

//! Copies of rectangles and boxes, and to and from arrays: `cuMemcpy2D`, `cuMemcpy3D`,
//! `cuMemcpyHtoA` and the like.

use crate::abi::{DevicePointer, Handle, Host, In, Status, exports};
use crate::array::{ARRAYS, Array};
use crate::context::working;
use crate::copy::{Place, Waiting, copy, waiting};
use crate::device::Device;
use crate::errors::CudaError;
use crate::stream::{self, Stream};

/// `CUmemorytype`.
const HOST: u32 = 1;
const DEVICE: u32 = 2;
const ARRAY: u32 = 3;
const UNIFIED: u32 = 4;

/// One end of a `CUDA_MEMCPY2D`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct End2d {
    x: usize,
    y: usize,
    kind: u32,
    host: Host,
    device: DevicePointer,
    array: Handle<Array>,
    pitch: usize,
}

/// `CUDA_MEMCPY2D`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Copy2d {
    from: End2d,
    to: End2d,
    width: usize,
    height: usize,
}

/// One end of a `CUDA_MEMCPY3D`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct End3d {
    x: usize,
    y: usize,
    z: usize,
    level: usize,
    kind: u32,
    host: Host,
    device: DevicePointer,
    array: Handle<Array>,
    reserved: usize,
    pitch: usize,
    height: usize,
}

/// `CUDA_MEMCPY3D`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Copy3d {
    from: End3d,
    to: End3d,
    width: usize,
    height: usize,
    depth: usize,
}

impl From<End2d> for End3d {
    fn from(end: End2d) -> Self {
        let End2d { x, y, kind, host, device, array, pitch } = end;
        End3d { x, y, z: 0, level: 0, kind, host, device, array, reserved: 0, pitch, height: 0 }
    }
}

impl From<Copy2d> for Copy3d {
    fn from(copy: Copy2d) -> Self {
        let Copy2d { from, to, width, height } = copy;
        Copy3d { from: from.into(), to: to.into(), width, height, depth: 1 }
    }
}

impl End3d {
    /// Where row `y` of slice `z` of the box begins; `width` and `height` are the box's, for ends
    /// that state none.
    fn row(
        &self,
        device: &Device,
        y: usize,
        z: usize,
        width: usize,
        height: usize,
    ) -> Status<Place> {
        if self.kind == ARRAY {
            return ARRAYS.get(self.array)?.place(self.x, self.y + y, self.z + z, width);
        }
        let pitch = if self.pitch == 0 { self.x.saturating_add(width) } else { self.pitch };
        let rows = if self.height == 0 { self.y.saturating_add(height) } else { self.height };
        let offset = (self.z + z)
            .checked_mul(rows)
            .and_then(|rows| rows.checked_add(self.y + y))
            .and_then(|rows| rows.checked_mul(pitch))
            .and_then(|bytes| bytes.checked_add(self.x))
            .ok_or(CudaError::InvalidValue)?;
        let base = match self.kind {
            HOST => Place::Host(self.host),
            DEVICE => Place::Device(self.device),
            UNIFIED => Place::unified(device, self.device),
            _ => return Err(CudaError::InvalidValue),
        };
        Ok(base.offset(offset))
    }

    /// A pitch has to hold a row.
    fn fits(&self, width: usize) -> bool {
        self.kind == ARRAY || self.pitch == 0 || self.pitch >= self.x.saturating_add(width)
    }
}

impl Copy3d {
    /// Both ends of row `y` of slice `z`, and where they lie.
    fn row(&self, device: &Device, y: usize, z: usize) -> Status<(Place, Place)> {
        let Copy3d { from, to, width, height, .. } = self;
        let to = to.row(device, y, z, *width, *height)?;
        Ok((to, from.row(device, y, z, *width, *height)?))
    }

    /// Calls `visit` with both ends of each row.
    fn rows(&self, device: &Device, mut visit: impl FnMut(Place, Place) -> Status) -> Status {
        for z in 0..self.depth {
            for y in 0..self.height {
                let (to, from) = self.row(device, y, z)?;
                visit(to, from)?;
            }
        }
        Ok(())
    }

    /// Copies the box, row by row.
    fn run(&self, device: &Device) -> Status {
        self.rows(device, |to, from| copy(device, to, from, self.width))
    }

    /// The box with its rows one after another in `staged`, which takes a copy of them.
    fn stage(&self, device: &Device, staged: &mut Vec<u8>) -> Status<Self> {
        self.rows(device, |_, from| {
            let Place::Host(host) = from else { return Err(CudaError::InvalidValue) };
            staged.extend_from_slice(host.bytes(self.width)?);
            Ok(())
        })?;
        let (x, y, z, level, device, reserved) = (0, 0, 0, 0, 0, 0);
        let (kind, host, array) = (HOST, Host::new(staged.as_mut_ptr().cast()), Handle::NULL);
        let (pitch, height) = (self.width, self.height);
        let from = End3d { x, y, z, level, kind, host, device, array, reserved, pitch, height };
        Ok(Copy3d { from, ..*self })
    }
}

/// Checks a copy of a box and enqueues it.
fn enqueue(shape: Copy3d, stream: &Stream, asynchronous: bool) -> Status {
    let Copy3d { from, to, width, height, depth } = shape;
    if !from.fits(width) || !to.fits(width) || from.level != 0 || to.level != 0 {
        return Err(CudaError::InvalidValue);
    }
    if width == 0 || height == 0 || depth == 0 {
        return Ok(());
    }
    let device = stream.context.device;
    shape.rows(device, |to, from| {
        to.check(device, width)?;
        from.check(device, width)
    })?;
    let (to, from) = shape.row(device, 0, 0)?;
    match waiting(to.home(device), from.home(device), asynchronous) {
        Waiting::Waits => stream.perform(move || shape.run(device)),
        Waiting::Stages if stream.context.is_lazy() => {
            let mut staged = Vec::new();
            let shape = shape.stage(device, &mut staged)?;
            stream.submit(move || {
                let done = shape.run(device);
                drop(staged);
                done
            })
        }
        Waiting::Stages | Waiting::Returns => stream.submit(move || shape.run(device)),
    }
}

/// In the default stream.
fn now(shape: Copy3d) -> Status {
    enqueue(shape, &Stream::legacy(working()?), false)
}

/// In a stream.
fn enqueued(shape: Copy3d, stream: Handle<Stream>) -> Status {
    enqueue(shape, &*stream::named(stream)?, true)
}

/// A copy of `bytes` bytes between an array's first row, from byte `x`, and something else.
fn one_row(handle: Handle<Array>, x: usize, bytes: usize, other: Place, to_array: bool) -> Status {
    let context = working()?;
    let array = ARRAYS.get(handle)?.place(x, 0, 0, bytes)?;
    let (to, from) = if to_array { (array, other) } else { (other, array) };
    let device = context.device;
    Stream::legacy(context).perform(move || copy(device, to, from, bytes))
}

exports! {
    fn cuMemcpy2D_v2(shape: In<Copy2d>) {
        now(shape.get()?.into())
    }

    fn cuMemcpy2DUnaligned_v2(shape: In<Copy2d>) {
        now(shape.get()?.into())
    }

    fn cuMemcpy2DAsync_v2(shape: In<Copy2d>, stream: Handle<Stream>) {
        enqueued(shape.get()?.into(), stream)
    }

    fn cuMemcpy3D_v2(shape: In<Copy3d>) {
        now(shape.get()?)
    }

    fn cuMemcpy3DAsync_v2(shape: In<Copy3d>, stream: Handle<Stream>) {
        enqueued(shape.get()?, stream)
    }

    fn cuMemcpyHtoA_v2(array: Handle<Array>, x: usize, from: Host, bytes: usize) {
        one_row(array, x, bytes, Place::Host(from), true)
    }

    fn cuMemcpyAtoH_v2(to: Host, array: Handle<Array>, x: usize, bytes: usize) {
        one_row(array, x, bytes, Place::Host(to), false)
    }

    fn cuMemcpyDtoA_v2(array: Handle<Array>, x: usize, from: DevicePointer, bytes: usize) {
        one_row(array, x, bytes, Place::Device(from), true)
    }

    fn cuMemcpyAtoD_v2(to: DevicePointer, array: Handle<Array>, x: usize, bytes: usize) {
        one_row(array, x, bytes, Place::Device(to), false)
    }

    fn cuMemcpyAtoA_v2(to: Handle<Array>, to_x: usize, from: Handle<Array>, from_x: usize, bytes: usize) {
        let from = ARRAYS.get(from)?.place(from_x, 0, 0, bytes)?;
        one_row(to, to_x, bytes, from, true)
    }
}

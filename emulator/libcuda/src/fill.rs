//! `cuMemset*`: fills of one, two and four bytes, plain and pitched.

use crate::abi::{DevicePointer, Handle, Host, Status, exports};
use crate::context::working;
use crate::copy::{Place, copy};
use crate::device::Device;
use crate::errors::{CudaError, host_error};
use crate::stream::{self, Stream};

/// Longest piece of a pattern that is built at once, in bytes.
const PIECE: usize = 1 << 20;

/// Fills `height` rows of `width` elements, rows `pitch` bytes apart, with an element.
fn fill<const N: usize>(
    device: &Device,
    to: DevicePointer,
    pitch: usize,
    element: [u8; N],
    width: usize,
    height: usize,
) -> Status {
    if !to.is_multiple_of(N as u64) || (height > 1 && !pitch.is_multiple_of(N)) {
        return Err(CudaError::InvalidValue);
    }
    let bytes = width.checked_mul(N).ok_or(CudaError::InvalidValue)?;
    if height > 1 && pitch < bytes {
        return Err(CudaError::InvalidValue);
    }
    let mirrored =
        device.allocations().at(to).is_some_and(|allocation| allocation.mirror.is_some());
    for row in 0..height {
        let start = to.wrapping_add((row as u64).wrapping_mul(pitch as u64));
        if element.iter().all(|byte| *byte == element[0]) && !mirrored {
            let filled = device.machine.fill(start, element[0], bytes as u64);
            filled.map_err(|fault| host_error(&fault))?;
            continue;
        }
        let mut pattern = element.repeat(bytes.min(PIECE) / N);
        for at in (0..bytes).step_by(PIECE) {
            let host = Place::Host(Host::new(pattern.as_mut_ptr().cast()));
            copy(device, Place::Device(start + at as u64), host, (bytes - at).min(PIECE))?;
        }
    }
    Ok(())
}

/// A fill in the default stream.
fn now<const N: usize>(
    to: DevicePointer,
    pitch: usize,
    element: [u8; N],
    width: usize,
    height: usize,
) -> Status {
    let context = working()?;
    stream::drain(|stream| stream.joins_default(&context));
    fill(context.device, to, pitch, element, width, height)
}

/// A fill in a stream.
fn enqueued<const N: usize>(
    stream: Handle<Stream>,
    to: DevicePointer,
    pitch: usize,
    element: [u8; N],
    width: usize,
    height: usize,
) -> Status {
    let stream = stream::named(stream)?;
    stream.wait();
    fill(stream.context.device, to, pitch, element, width, height)
}

exports! {
    fn cuMemsetD8_v2(to: DevicePointer, value: u8, count: usize) {
        now(to, 0, value.to_ne_bytes(), count, 1)
    }

    fn cuMemsetD16_v2(to: DevicePointer, value: u16, count: usize) {
        now(to, 0, value.to_ne_bytes(), count, 1)
    }

    fn cuMemsetD32_v2(to: DevicePointer, value: u32, count: usize) {
        now(to, 0, value.to_ne_bytes(), count, 1)
    }

    fn cuMemsetD2D8_v2(to: DevicePointer, pitch: usize, value: u8, width: usize, height: usize) {
        now(to, pitch, value.to_ne_bytes(), width, height)
    }

    fn cuMemsetD2D16_v2(to: DevicePointer, pitch: usize, value: u16, width: usize, height: usize) {
        now(to, pitch, value.to_ne_bytes(), width, height)
    }

    fn cuMemsetD2D32_v2(to: DevicePointer, pitch: usize, value: u32, width: usize, height: usize) {
        now(to, pitch, value.to_ne_bytes(), width, height)
    }

    fn cuMemsetD8Async(to: DevicePointer, value: u8, count: usize, stream: Handle<Stream>) {
        enqueued(stream, to, 0, value.to_ne_bytes(), count, 1)
    }

    fn cuMemsetD16Async(to: DevicePointer, value: u16, count: usize, stream: Handle<Stream>) {
        enqueued(stream, to, 0, value.to_ne_bytes(), count, 1)
    }

    fn cuMemsetD32Async(to: DevicePointer, value: u32, count: usize, stream: Handle<Stream>) {
        enqueued(stream, to, 0, value.to_ne_bytes(), count, 1)
    }

    fn cuMemsetD2D8Async(to: DevicePointer, pitch: usize, value: u8, width: usize, height: usize, stream: Handle<Stream>) {
        enqueued(stream, to, pitch, value.to_ne_bytes(), width, height)
    }

    fn cuMemsetD2D16Async(to: DevicePointer, pitch: usize, value: u16, width: usize, height: usize, stream: Handle<Stream>) {
        enqueued(stream, to, pitch, value.to_ne_bytes(), width, height)
    }

    fn cuMemsetD2D32Async(to: DevicePointer, pitch: usize, value: u32, width: usize, height: usize, stream: Handle<Stream>) {
        enqueued(stream, to, pitch, value.to_ne_bytes(), width, height)
    }
}

//! `cuMemset*`: fills of one, two and four bytes, plain and pitched.

use crate::abi::{DevicePointer, Handle, Host, Status, exports};
use crate::context::working;
use crate::copy::{Home, Place, copy};
use crate::device::Device;
use crate::errors::{CudaError, host_error};
use crate::stream::{self, Stream};

/// Longest piece of a pattern that is built at once, in bytes.
const PIECE: usize = 1 << 20;

/// `height` rows of `width` elements, rows `pitch` bytes apart, to fill with an element.
#[derive(Clone, Copy)]
struct Fill<const N: usize> {
    to: DevicePointer,
    pitch: usize,
    element: [u8; N],
    width: usize,
    height: usize,
}

impl<const N: usize> Fill<N> {
    /// Checks it: the bytes of a row.
    fn check(&self, device: &Device) -> Status<usize> {
        let Fill { to, pitch, width, height, .. } = *self;
        if !to.is_multiple_of(N as u64) || (height > 1 && !pitch.is_multiple_of(N)) {
            return Err(CudaError::InvalidValue);
        }
        let bytes = width.checked_mul(N).ok_or(CudaError::InvalidValue)?;
        if height > 1 && pitch < bytes {
            return Err(CudaError::InvalidValue);
        }
        for row in 0..height {
            Place::Device(self.row(row)).check(device, bytes)?;
        }
        Ok(bytes)
    }

    /// Where a row begins.
    fn row(&self, row: usize) -> DevicePointer {
        self.to.wrapping_add((row as u64).wrapping_mul(self.pitch as u64))
    }

    /// Fills rows of `bytes` bytes.
    fn run(&self, device: &Device, bytes: usize) -> Status {
        let Fill { to, element, height, .. } = *self;
        let mirrored = Place::Device(to).home(device) != Home::Device;
        for row in 0..height {
            let start = self.row(row);
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

    /// In the default stream; waits for a fill of memory that the host reaches, as the API does.
    fn now(self) -> Status {
        let stream = Stream::legacy(working()?);
        let device = stream.context.device;
        let bytes = self.check(device)?;
        let work = move || self.run(device, bytes);
        match Place::Device(self.to).home(device) {
            Home::Device => stream.submit(work),
            Home::Locked | Home::Pageable => stream.perform(work),
        }
    }

    /// In a stream.
    fn enqueue(self, stream: Handle<Stream>) -> Status {
        let stream = stream::named(stream)?;
        let device = stream.context.device;
        let bytes = self.check(device)?;
        stream.submit(move || self.run(device, bytes))
    }
}

/// A fill of one row.
fn row<const N: usize>(to: DevicePointer, element: [u8; N], width: usize) -> Fill<N> {
    Fill { to, pitch: 0, element, width, height: 1 }
}

/// A fill of rows.
fn rows<const N: usize>(
    to: DevicePointer,
    pitch: usize,
    element: [u8; N],
    width: usize,
    height: usize,
) -> Fill<N> {
    Fill { to, pitch, element, width, height }
}

exports! {
    fn cuMemsetD8_v2(to: DevicePointer, value: u8, count: usize) {
        row(to, value.to_ne_bytes(), count).now()
    }

    fn cuMemsetD16_v2(to: DevicePointer, value: u16, count: usize) {
        row(to, value.to_ne_bytes(), count).now()
    }

    fn cuMemsetD32_v2(to: DevicePointer, value: u32, count: usize) {
        row(to, value.to_ne_bytes(), count).now()
    }

    fn cuMemsetD2D8_v2(to: DevicePointer, pitch: usize, value: u8, width: usize, height: usize) {
        rows(to, pitch, value.to_ne_bytes(), width, height).now()
    }

    fn cuMemsetD2D16_v2(to: DevicePointer, pitch: usize, value: u16, width: usize, height: usize) {
        rows(to, pitch, value.to_ne_bytes(), width, height).now()
    }

    fn cuMemsetD2D32_v2(to: DevicePointer, pitch: usize, value: u32, width: usize, height: usize) {
        rows(to, pitch, value.to_ne_bytes(), width, height).now()
    }

    fn cuMemsetD8Async(to: DevicePointer, value: u8, count: usize, stream: Handle<Stream>) {
        row(to, value.to_ne_bytes(), count).enqueue(stream)
    }

    fn cuMemsetD16Async(to: DevicePointer, value: u16, count: usize, stream: Handle<Stream>) {
        row(to, value.to_ne_bytes(), count).enqueue(stream)
    }

    fn cuMemsetD32Async(to: DevicePointer, value: u32, count: usize, stream: Handle<Stream>) {
        row(to, value.to_ne_bytes(), count).enqueue(stream)
    }

    fn cuMemsetD2D8Async(to: DevicePointer, pitch: usize, value: u8, width: usize, height: usize, stream: Handle<Stream>) {
        rows(to, pitch, value.to_ne_bytes(), width, height).enqueue(stream)
    }

    fn cuMemsetD2D16Async(to: DevicePointer, pitch: usize, value: u16, width: usize, height: usize, stream: Handle<Stream>) {
        rows(to, pitch, value.to_ne_bytes(), width, height).enqueue(stream)
    }

    fn cuMemsetD2D32Async(to: DevicePointer, pitch: usize, value: u32, width: usize, height: usize, stream: Handle<Stream>) {
        rows(to, pitch, value.to_ne_bytes(), width, height).enqueue(stream)
    }
}

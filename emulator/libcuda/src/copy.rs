//! Copies of plain ranges, `cuMemcpy*`, between host and device in every direction.

use crate::abi::{DevicePointer, Handle, Host, Status, exports};
use crate::context::{CONTEXTS, Context, working};
use crate::device::Device;
use crate::errors::{CudaError, host_error};
use crate::stream::{self, Stream};

/// One end of a copy.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// Memory of the program.
    Host(Host),
    /// Memory of the device.
    Device(DevicePointer),
}

impl Place {
    /// What a unified address means: the device's if the device has it, else the program's.
    pub(crate) fn unified(device: &Device, address: u64) -> Self {
        match device.allocations().at(address) {
            Some(_) => Place::Device(address),
            None => Place::Host(Host::from_address(address)),
        }
    }

    /// The same place `bytes` further on.
    pub(crate) fn offset(self, bytes: usize) -> Self {
        match self {
            Place::Host(host) => Place::Host(host.offset(bytes)),
            Place::Device(address) => Place::Device(address.wrapping_add(bytes as u64)),
        }
    }

    /// The truth of memory that both sides reach is with the host: a device address in it becomes a
    /// host one, if the whole range lies inside.
    fn settled(self, device: &Device, bytes: usize) -> Status<Self> {
        let Place::Device(address) = self else { return Ok(self) };
        let allocations = device.allocations();
        let Some(allocation) = allocations.at(address) else { return Ok(self) };
        match allocation.on_host(address) {
            Some(_) if address - allocation.start + bytes as u64 > allocation.bytes => {
                Err(CudaError::InvalidValue)
            }
            Some(host) => Ok(Place::Host(host)),
            None => Ok(self),
        }
    }
}

/// Copies `bytes` bytes. Bytes of the device that nothing has written arrive as zeros, which the
/// API leaves open.
pub(crate) fn copy(device: &Device, to: Place, from: Place, bytes: usize) -> Status {
    if bytes == 0 {
        return Ok(());
    }
    let machine = &device.machine;
    let done = match (to.settled(device, bytes)?, from.settled(device, bytes)?) {
        (Place::Device(to), Place::Device(from)) => machine.copy(to, from, bytes as u64),
        (Place::Device(to), Place::Host(from)) => machine.write(to, from.bytes(bytes)?),
        (Place::Host(to), Place::Device(from)) => {
            machine.read_unchecked(from, to.bytes_mut(bytes)?)
        }
        (Place::Host(to), Place::Host(from)) => {
            if to.is_null() || from.is_null() {
                return Err(CudaError::InvalidValue);
            }
            // SAFETY: not null; the C caller promises both ranges, and `copy` lets them overlap.
            unsafe { std::ptr::copy(from.as_ptr().cast::<u8>(), to.as_ptr().cast::<u8>(), bytes) };
            Ok(())
        }
    };
    done.map_err(|fault| host_error(&fault))
}

/// A copy in the default stream of the current context.
fn now(
    to: impl FnOnce(&Device) -> Place,
    from: impl FnOnce(&Device) -> Place,
    bytes: usize,
) -> Status {
    let context = working()?;
    stream::drain(|stream| stream.joins_default(&context));
    let device = context.device;
    copy(device, to(device), from(device), bytes)
}

/// A copy in a stream.
fn enqueued(
    stream: Handle<Stream>,
    to: impl FnOnce(&Device) -> Place,
    from: impl FnOnce(&Device) -> Place,
    bytes: usize,
) -> Status {
    let stream = stream::named(stream)?;
    stream.wait();
    let device = stream.context.device;
    copy(device, to(device), from(device), bytes)
}

/// A copy between two contexts; through the host where their devices differ.
fn between(
    to: DevicePointer,
    to_context: Handle<Context>,
    from: DevicePointer,
    from_context: Handle<Context>,
    bytes: usize,
) -> Status {
    working()?;
    let to_context = CONTEXTS.get(to_context).map_err(|_| CudaError::InvalidContext)?;
    let from_context = CONTEXTS.get(from_context).map_err(|_| CudaError::InvalidContext)?;
    let (target, source) = (to_context.device, from_context.device);
    if target.ordinal == source.ordinal {
        return copy(target, Place::Device(to), Place::Device(from), bytes);
    }
    // The range is checked first, so that a wrong length does not allocate.
    if source.allocations().at(from).is_none_or(|a| from - a.start + bytes as u64 > a.bytes) {
        return Err(CudaError::InvalidValue);
    }
    let mut staging = vec![0u8; bytes];
    let host = Place::Host(Host::new(staging.as_mut_ptr().cast()));
    copy(source, host, Place::Device(from), bytes)?;
    copy(target, Place::Device(to), host, bytes)
}

exports! {
    fn cuMemcpy(to: DevicePointer, from: DevicePointer, bytes: usize) {
        now(|device| Place::unified(device, to), |device| Place::unified(device, from), bytes)
    }

    fn cuMemcpyAsync(to: DevicePointer, from: DevicePointer, bytes: usize, stream: Handle<Stream>) {
        enqueued(stream, |device| Place::unified(device, to), |device| Place::unified(device, from), bytes)
    }

    fn cuMemcpyHtoD_v2(to: DevicePointer, from: Host, bytes: usize) {
        now(|_| Place::Device(to), |_| Place::Host(from), bytes)
    }

    fn cuMemcpyDtoH_v2(to: Host, from: DevicePointer, bytes: usize) {
        now(|_| Place::Host(to), |_| Place::Device(from), bytes)
    }

    fn cuMemcpyDtoD_v2(to: DevicePointer, from: DevicePointer, bytes: usize) {
        now(|_| Place::Device(to), |_| Place::Device(from), bytes)
    }

    fn cuMemcpyHtoDAsync_v2(to: DevicePointer, from: Host, bytes: usize, stream: Handle<Stream>) {
        enqueued(stream, |_| Place::Device(to), |_| Place::Host(from), bytes)
    }

    fn cuMemcpyDtoHAsync_v2(to: Host, from: DevicePointer, bytes: usize, stream: Handle<Stream>) {
        enqueued(stream, |_| Place::Host(to), |_| Place::Device(from), bytes)
    }

    fn cuMemcpyDtoDAsync_v2(to: DevicePointer, from: DevicePointer, bytes: usize, stream: Handle<Stream>) {
        enqueued(stream, |_| Place::Device(to), |_| Place::Device(from), bytes)
    }

    fn cuMemcpyPeer(
        to: DevicePointer,
        to_context: Handle<Context>,
        from: DevicePointer,
        from_context: Handle<Context>,
        bytes: usize,
    ) {
        between(to, to_context, from, from_context, bytes)
    }

    fn cuMemcpyPeerAsync(
        to: DevicePointer,
        to_context: Handle<Context>,
        from: DevicePointer,
        from_context: Handle<Context>,
        bytes: usize,
        stream: Handle<Stream>,
    ) {
        stream::named(stream)?.wait();
        between(to, to_context, from, from_context, bytes)
    }

    /// Managed memory needs no moving here; the range is checked.
    fn cuMemPrefetchAsync(address: DevicePointer, bytes: usize, _device: i32, stream: Handle<Stream>) {
        stream::named(stream)?;
        managed(address, bytes)
    }

    /// As `cuMemPrefetchAsync`; the location (a struct of two integers) is passed in one register.
    fn cuMemPrefetchAsync_v2(address: DevicePointer, bytes: usize, _location: u64, _flags: u32, stream: Handle<Stream>) {
        stream::named(stream)?;
        managed(address, bytes)
    }

    fn cuMemAdvise(address: DevicePointer, bytes: usize, _advice: u32, _device: i32) {
        working()?;
        managed(address, bytes)
    }

    fn cuMemAdvise_v2(address: DevicePointer, bytes: usize, _advice: u32, _location: u64) {
        working()?;
        managed(address, bytes)
    }
}

/// Whether a range is inside one managed allocation.
fn managed(address: DevicePointer, bytes: usize) -> Status {
    use crate::allocations::Kind;
    let context = working()?;
    let allocations = context.device.allocations();
    let inside = allocations.at(address).is_some_and(|allocation| {
        allocation.kind == Kind::Managed
            && (address - allocation.start).saturating_add(bytes as u64) <= allocation.bytes
    });
    if inside && bytes > 0 { Ok(()) } else { Err(CudaError::InvalidValue) }
}

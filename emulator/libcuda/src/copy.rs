//! Copies of plain ranges, `cuMemcpy*`, between host and device in every direction.

use crate::abi::{DevicePointer, Handle, Host, Status, exports};
use crate::allocations::Allocation;
use crate::context::{CONTEXTS, Context, working};
use crate::device::Device;
use crate::errors::{CudaError, host_error};
use crate::stream::{self, Stream};
use std::sync::Arc;

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

/// Where one end of a copy lies, as far as waiting goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Home {
    /// Memory of the device alone.
    Device,
    /// Memory of the host that the device reaches: pinned, registered, managed.
    Locked,
    /// Any other memory of the host.
    Pageable,
}

impl Place {
    /// Where it lies.
    pub(crate) fn home(self, device: &Device) -> Home {
        let allocations = device.allocations();
        match self {
            Place::Device(address) => match allocations.at(address) {
                Some(allocation) if allocation.mirror.is_some() => Home::Locked,
                _ => Home::Device,
            },
            Place::Host(host) => {
                let address = host.address();
                let mirrored = |allocation: &Allocation| allocation.mirror.is_some();
                let known = allocations.at(address).is_some_and(mirrored)
                    || allocations.registered(address, 1).is_some();
                if known { Home::Locked } else { Home::Pageable }
            }
        }
    }

    /// Checks that `bytes` bytes are there, as far as can be known.
    pub(crate) fn check(self, device: &Device, bytes: usize) -> Status {
        match self.settled(device, bytes)? {
            Place::Host(host) if host.is_null() && bytes > 0 => Err(CudaError::InvalidValue),
            Place::Device(address) if bytes > 0 => {
                let range = device.machine.allocation(address).ok_or(CudaError::InvalidValue)?;
                let offset = address - range.address;
                if bytes as u64 > range.bytes - offset {
                    return Err(CudaError::InvalidValue);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// How the API orders a copy with the program that asks for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// The call returns when the copy is done.
    Waits,
    /// The call returns at once; the bytes of the host are read and written when the copy runs.
    Returns,
    /// The call returns at once, with a copy of the host's bytes taken before.
    Stages,
}

/// What a call that copies waits for. `asynchronous` is one with a stream as argument.
pub(crate) fn waiting(to: Home, from: Home, asynchronous: bool) -> Waiting {
    match (to, from) {
        // Also without a stream: the API calls it asynchronous.
        (Home::Device, Home::Device) => Waiting::Returns,
        _ if !asynchronous => Waiting::Waits,
        (Home::Pageable, _) | (Home::Locked, Home::Pageable) => Waiting::Waits,
        (_, Home::Locked) | (Home::Locked, Home::Device) => Waiting::Returns,
        (Home::Device, Home::Pageable) => Waiting::Stages,
    }
}

/// A copy in a stream.
fn enqueue(stream: &Stream, to: Place, from: Place, bytes: usize, asynchronous: bool) -> Status {
    let device = stream.context.device;
    to.check(device, bytes)?;
    from.check(device, bytes)?;
    let work = move |from| copy(device, to, from, bytes);
    match waiting(to.home(device), from.home(device), asynchronous) {
        Waiting::Waits => stream.perform(move || work(from)),
        Waiting::Stages if stream.context.is_lazy() => {
            let Place::Host(host) = from else { return Err(CudaError::InvalidValue) };
            let mut staged = host.bytes(bytes)?.to_vec();
            stream.submit(move || work(Place::Host(Host::new(staged.as_mut_ptr().cast()))))
        }
        Waiting::Stages | Waiting::Returns => stream.submit(move || work(from)),
    }
}

/// A copy in the default stream of the current context.
fn now(
    to: impl FnOnce(&Device) -> Place,
    from: impl FnOnce(&Device) -> Place,
    bytes: usize,
) -> Status {
    let stream = Stream::legacy(working()?);
    let device = stream.context.device;
    enqueue(&stream, to(device), from(device), bytes, false)
}

/// A copy in a stream.
fn enqueued(
    stream: Handle<Stream>,
    to: impl FnOnce(&Device) -> Place,
    from: impl FnOnce(&Device) -> Place,
    bytes: usize,
) -> Status {
    let stream = stream::named(stream)?;
    let device = stream.context.device;
    enqueue(&stream, to(device), from(device), bytes, true)
}

/// One end of a copy between two contexts.
type End = (DevicePointer, Arc<Context>);

/// The end of a copy that an address and a context name.
fn end(address: DevicePointer, context: Handle<Context>) -> Status<End> {
    let context = CONTEXTS.get(context).map_err(|_| CudaError::InvalidContext)?;
    Ok((address, context))
}

/// Enqueues a copy between two contexts.
fn enqueue_between(stream: &Stream, to: End, from: End, bytes: usize) -> Status {
    Place::Device(to.0).check(to.1.device, bytes)?;
    Place::Device(from.0).check(from.1.device, bytes)?;
    stream.submit(move || between(&to, &from, bytes))
}

/// A copy between two contexts; through the host where their devices differ.
fn between((to, to_context): &End, (from, from_context): &End, bytes: usize) -> Status {
    let (to, from) = (Place::Device(*to), Place::Device(*from));
    let (target, source) = (to_context.device, from_context.device);
    if target.ordinal == source.ordinal {
        return copy(target, to, from, bytes);
    }
    let mut staging = vec![0u8; bytes];
    let host = Place::Host(Host::new(staging.as_mut_ptr().cast()));
    copy(source, host, from, bytes)?;
    copy(target, to, host, bytes)
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
        let stream = Stream::legacy(working()?);
        let (to, from) = (end(to, to_context)?, end(from, from_context)?);
        // The API orders it with all work of the three contexts, so it is done here.
        for context in [&stream.context, &to.1, &from.1] {
            context.queues.run_all();
        }
        enqueue_between(&stream, to, from, bytes)?;
        stream.wait();
        stream.context.healthy()
    }

    fn cuMemcpyPeerAsync(
        to: DevicePointer,
        to_context: Handle<Context>,
        from: DevicePointer,
        from_context: Handle<Context>,
        bytes: usize,
        stream: Handle<Stream>,
    ) {
        let stream = stream::named(stream)?;
        enqueue_between(&stream, end(to, to_context)?, end(from, from_context)?, bytes)
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

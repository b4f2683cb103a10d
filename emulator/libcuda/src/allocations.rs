//! The live allocations of a device, and the host's pages beside them.

use crate::abi::{DevicePointer, Host, Status};
use crate::errors::CudaError;
use std::collections::BTreeMap;

/// What an allocation is for, which decides whether the host may touch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `cuMemAlloc`: the device's alone.
    Device,
    /// `cuMemAllocManaged`: the host's too, at the same address.
    Managed,
    /// `cuMemAllocHost`, `cuMemHostAlloc`: the host's, which the device may reach; the flags asked
    /// for.
    Pinned(u32),
    /// `cuMemHostRegister`: the program's own memory, made known; the flags asked for.
    Registered(u32),
}

/// One live allocation.
pub(crate) struct Allocation {
    /// First address that the program was given.
    pub(crate) start: DevicePointer,
    /// Bytes that the program asked for.
    pub(crate) bytes: u64,
    /// What it is for.
    pub(crate) kind: Kind,
    /// The context it goes with.
    pub(crate) context: u64,
    /// A number no other allocation of the process has.
    pub(crate) id: u64,
    /// Where the software device keeps it, if that is not `start`.
    pub(crate) base: DevicePointer,
    /// Bytes of the device's capacity that it takes: none where the memory is the host's.
    pub(crate) counted: u64,
    /// The host's pages at the same addresses, where there are any.
    pub(crate) mirror: Option<Mirror>,
    /// Whether a free of it is enqueued in a stream.
    pub(crate) is_being_freed: bool,
}

impl Allocation {
    /// Whether `address` is inside.
    fn holds(&self, address: DevicePointer) -> bool {
        address.wrapping_sub(self.start) < self.bytes
    }

    /// The device's address of a byte of the mirror.
    pub(crate) fn on_device(&self, host: u64) -> DevicePointer {
        let first = self.mirror.as_ref().map_or(0, |mirror| mirror.host().address());
        self.start + (host - first)
    }

    /// The host's view of a byte, where the host has one.
    pub(crate) fn on_host(&self, address: DevicePointer) -> Option<Host> {
        self.mirror.as_ref().map(|mirror| mirror.host().offset((address - self.start) as usize))
    }
}

/// The live allocations of one device, by first address.
#[derive(Default)]
pub(crate) struct Allocations {
    live: BTreeMap<DevicePointer, Allocation>,
}

impl Allocations {
    /// Takes in an allocation.
    pub(crate) fn insert(&mut self, allocation: Allocation) {
        self.live.insert(allocation.start, allocation);
    }

    /// Takes out the allocation that starts at `start` and for which `wanted` holds.
    pub(crate) fn remove(
        &mut self,
        start: DevicePointer,
        wanted: impl Fn(Kind) -> bool,
    ) -> Option<Allocation> {
        if !self.live.get(&start).is_some_and(|allocation| wanted(allocation.kind)) {
            return None;
        }
        self.live.remove(&start)
    }

    /// Notes that the device or managed memory that starts at `start` will be freed; nothing, if
    /// there is none or it is noted already.
    pub(crate) fn begin_free(&mut self, start: DevicePointer) -> Option<()> {
        let allocation = self.live.get_mut(&start)?;
        let known = matches!(allocation.kind, Kind::Device | Kind::Managed);
        if !known || allocation.is_being_freed {
            return None;
        }
        allocation.is_being_freed = true;
        Some(())
    }

    /// The allocation that holds an address.
    pub(crate) fn at(&self, address: DevicePointer) -> Option<&Allocation> {
        let (_, allocation) = self.live.range(..=address).next_back()?;
        Some(allocation).filter(|allocation| allocation.holds(address))
    }

    /// As [`at`](Self::at), to change it.
    pub(crate) fn at_mut(&mut self, address: DevicePointer) -> Option<&mut Allocation> {
        let (_, allocation) = self.live.range_mut(..=address).next_back()?;
        Some(allocation).filter(|allocation| allocation.holds(address))
    }

    /// The registered host memory that has a byte in a range of the program's own memory.
    pub(crate) fn registered(&self, start: u64, bytes: u64) -> Option<&Allocation> {
        self.live.values().find(|allocation| {
            matches!(allocation.kind, Kind::Registered(_))
                && allocation.mirror.as_ref().is_some_and(|mirror| {
                    let first = mirror.host().address();
                    start < first + allocation.bytes && first < start.saturating_add(bytes)
                })
        })
    }

    /// Whether an allocation has a byte in a range.
    pub(crate) fn overlaps(&self, start: DevicePointer, bytes: u64) -> bool {
        let end = start.saturating_add(bytes);
        self.live.range(..end).next_back().is_some_and(|(_, last)| last.start + last.bytes > start)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Allocation> {
        self.live.values()
    }

    /// Takes out what a context allocated.
    pub(crate) fn take_all(&mut self, context: u64) -> Vec<Allocation> {
        let taken = |allocation: &&Allocation| allocation.context == context;
        let starts: Vec<_> = self.iter().filter(taken).map(|allocation| allocation.start).collect();
        starts.into_iter().filter_map(|start| self.live.remove(&start)).collect()
    }
}

/// A number for an allocation.
pub(crate) fn next_id() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static MADE: AtomicU64 = AtomicU64::new(1);
    MADE.fetch_add(1, Ordering::Relaxed)
}

/// Host pages at the addresses of a device allocation.
pub(crate) struct Mirror {
    host: Host,
    bytes: usize,
    /// Whether this library mapped the pages and has to unmap them.
    owned: bool,
}

/// The page size that mappings are made in.
pub(crate) const PAGE: usize = 4096;

impl Mirror {
    /// Maps new, zeroed host pages at `address`.
    pub(crate) fn map(address: DevicePointer, bytes: usize) -> Status<Self> {
        let bytes = bytes.next_multiple_of(PAGE);
        let wanted = Host::from_address(address).as_ptr();
        // SAFETY: an anonymous mapping; NOREPLACE leaves alone whatever is mapped there.
        let mapped = unsafe {
            libc::mmap(
                wanted,
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE
                    | libc::MAP_ANONYMOUS
                    | libc::MAP_FIXED_NOREPLACE
                    | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        let mirror = Mirror { host: Host::new(mapped), bytes, owned: true };
        if mapped == libc::MAP_FAILED {
            std::mem::forget(mirror);
            return Err(CudaError::OutOfMemory);
        }
        // A kernel too old for NOREPLACE takes the address as a hint.
        if mapped == wanted { Ok(mirror) } else { Err(CudaError::OutOfMemory) }
    }

    /// Pages of the program's own, from `host` on.
    pub(crate) fn of(host: Host, bytes: usize) -> Self {
        Mirror { host, bytes, owned: false }
    }

    /// The host's address of the first byte.
    pub(crate) fn host(&self) -> Host {
        self.host
    }

    /// The first `bytes` of the pages.
    pub(crate) fn bytes<'a>(&self, bytes: u64) -> &'a mut [u8] {
        self.host.bytes_mut(bytes as usize).unwrap_or_default()
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        if self.owned {
            // SAFETY: mapped by `map` with this length, and given up with the allocation it belongs
            // to.
            unsafe { libc::munmap(self.host.as_ptr(), self.bytes) };
        }
    }
}

//! Global memory: allocations with exact bounds, redzones between them, and a shadow byte for every
//! byte.
//!
//! Addresses are never reused, so a freed one stays wrong for ever and no quarantine has to be
//! bounded in size; the host memory behind it is returned at once. Blocks run in parallel and share
//! this memory as they do on a GPU, races included, so every access goes through an atomic of its
//! own width: what would be a data race between two Rust threads is then a race of the *program
//! under test*, with one of the two values as result.

#![allow(unsafe_code, reason = "device memory is shared by blocks that run in parallel")]

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::GLOBAL_BASE;
use crate::{Fault, Range};

/// First addresses are multiples of this, as `cudaMalloc`'s are.
const ALIGN: u64 = 512;
/// Unallocated bytes after every allocation, at least.
const REDZONE: u64 = 512;
/// Freed ranges remembered for diagnostics.
const REMEMBERED: usize = 4096;

/// Zeroed bytes at a 64-byte aligned host address, accessed only through atomics.
#[derive(Debug)]
struct Cells {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: `start` is owned by this value alone, and every access through `&Cells` is an atomic one.
unsafe impl Send for Cells {}
// SAFETY: as above.
unsafe impl Sync for Cells {}

impl Cells {
    fn new(bytes: u64) -> Option<Self> {
        // Rounded up so that a 16-byte access of the last bytes' copy loop never straddles the end.
        let size = usize::try_from(bytes).ok()?.max(1).checked_next_multiple_of(16)?;
        let layout = Layout::from_size_align(size, 64).ok()?;
        // SAFETY: the layout has a size of at least 16.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(Self { start, layout })
    }

    #[inline(always)]
    fn at(&self, offset: u64, size: u32) -> *mut u8 {
        debug_assert!(offset as usize + size as usize <= self.layout.size());
        debug_assert!(offset.is_multiple_of(u64::from(size)));
        // SAFETY: every caller has checked `offset + size` against the allocation's length.
        unsafe { self.start.as_ptr().add(offset as usize) }
    }

    /// Loads 1, 2, 4 or 8 bytes. `offset` is a multiple of `size` and the range lies inside.
    #[inline(always)]
    fn load(&self, offset: u64, size: u32) -> u64 {
        let at = self.at(offset, size);
        // SAFETY: the pointer is inside the buffer, aligned to `size` (the buffer is 64-byte
        // aligned), and all accesses are atomic. Accesses of different widths may overlap; see the
        // module comment.
        unsafe {
            match size {
                1 => AtomicU8::from_ptr(at).load(Ordering::Acquire).into(),
                2 => AtomicU16::from_ptr(at.cast()).load(Ordering::Acquire).into(),
                4 => AtomicU32::from_ptr(at.cast()).load(Ordering::Acquire).into(),
                _ => AtomicU64::from_ptr(at.cast()).load(Ordering::Acquire),
            }
        }
    }

    /// Stores the low 1, 2, 4 or 8 bytes of `value`; as for `load`.
    #[inline(always)]
    fn store(&self, offset: u64, size: u32, value: u64) {
        let at = self.at(offset, size);
        // SAFETY: as in `load`.
        unsafe {
            match size {
                1 => AtomicU8::from_ptr(at).store(value as u8, Ordering::Release),
                2 => AtomicU16::from_ptr(at.cast()).store(value as u16, Ordering::Release),
                4 => AtomicU32::from_ptr(at.cast()).store(value as u32, Ordering::Release),
                _ => AtomicU64::from_ptr(at.cast()).store(value, Ordering::Release),
            }
        }
    }

    /// Replaces the value at `offset` by `f` of it, atomically, and returns the old one; as for
    /// `load`.
    #[inline(always)]
    fn update(&self, offset: u64, size: u32, f: impl Fn(u64) -> u64) -> u64 {
        const ORDER: Ordering = Ordering::AcqRel;
        const READ: Ordering = Ordering::Acquire;
        let at = self.at(offset, size);
        // SAFETY: as in `load`. The closures return `Some`, so the result is always `Ok`.
        let old = unsafe {
            match size {
                1 => AtomicU8::from_ptr(at)
                    .fetch_update(ORDER, READ, |v| Some(f(v.into()) as u8))
                    .map(u64::from)
                    .map_err(u64::from),
                2 => AtomicU16::from_ptr(at.cast())
                    .fetch_update(ORDER, READ, |v| Some(f(v.into()) as u16))
                    .map(u64::from)
                    .map_err(u64::from),
                4 => AtomicU32::from_ptr(at.cast())
                    .fetch_update(ORDER, READ, |v| Some(f(v.into()) as u32))
                    .map(u64::from)
                    .map_err(u64::from),
                _ => AtomicU64::from_ptr(at.cast()).fetch_update(ORDER, READ, |v| Some(f(v))),
            }
        };
        old.unwrap_or_else(|same| same)
    }

    /// Calls `f(offset, size)` for aligned pieces of at most 8 bytes that cover a range.
    fn pieces(offset: u64, len: u64, mut f: impl FnMut(u64, u32)) {
        let (mut at, end) = (offset, offset + len);
        while at < end {
            let mut size = 8;
            while !at.is_multiple_of(size) || at + size > end {
                size /= 2;
            }
            f(at, size as u32);
            at += size;
        }
    }
}

impl Drop for Cells {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout, and freed only here.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

/// One allocation.
#[derive(Debug)]
pub(crate) struct Allocation {
    pub(crate) base: u64,
    pub(crate) bytes: u64,
    /// The variable it holds; empty for an allocation of the host's.
    name: String,
    pub(crate) read_only: bool,
    freed: AtomicBool,
    data: Cells,
    shadow: Cells,
}

impl Allocation {
    pub(crate) fn is_freed(&self) -> bool {
        self.freed.load(Ordering::Relaxed)
    }

    /// Loads 1, 2, 4 or 8 aligned bytes that lie inside.
    #[inline(always)]
    pub(crate) fn load(&self, offset: u64, size: u32) -> u64 {
        self.data.load(offset, size)
    }

    /// Whether all of 1, 2, 4 or 8 aligned bytes inside have been written.
    #[inline(always)]
    pub(crate) fn is_written(&self, offset: u64, size: u32) -> bool {
        self.shadow.load(offset, size) == u64::MAX >> (64 - 8 * size)
    }

    /// Stores 1, 2, 4 or 8 aligned bytes that lie inside.
    #[inline(always)]
    pub(crate) fn store(&self, offset: u64, size: u32, value: u64) {
        self.data.store(offset, size, value);
        self.shadow.store(offset, size, u64::MAX);
    }

    /// Records 1, 2, 4 or 8 aligned bytes inside as written.
    #[inline(always)]
    pub(crate) fn mark_written(&self, offset: u64, size: u32) {
        if !self.is_written(offset, size) {
            self.shadow.store(offset, size, u64::MAX);
        }
    }

    /// Atomic read-modify-write of 1, 2, 4 or 8 aligned bytes that lie inside; returns the old
    /// value.
    #[inline(always)]
    pub(crate) fn update(&self, offset: u64, size: u32, f: impl Fn(u64) -> u64) -> u64 {
        self.data.update(offset, size, f)
    }

    fn write(&self, offset: u64, bytes: &[u8]) {
        Cells::pieces(offset, bytes.len() as u64, |at, size| {
            let from = (at - offset) as usize;
            let mut word = [0; 8];
            word[..size as usize].copy_from_slice(&bytes[from..from + size as usize]);
            self.store(at, size, u64::from_le_bytes(word));
        });
    }

    fn read(&self, offset: u64, bytes: &mut [u8]) {
        Cells::pieces(offset, bytes.len() as u64, |at, size| {
            let to = (at - offset) as usize;
            let word = self.load(at, size).to_le_bytes();
            bytes[to..to + size as usize].copy_from_slice(&word[..size as usize]);
        });
    }

    fn first_unwritten(&self, offset: u64, len: u64) -> Option<u64> {
        let mut first = None;
        Cells::pieces(offset, len, |at, size| {
            if first.is_none() && !self.is_written(at, size) {
                first = (at..at + u64::from(size)).find(|&byte| !self.is_written(byte, 1));
            }
        });
        first.map(|at| self.base + at)
    }
}

/// The live allocations, sorted by address. A launch works on the snapshot it began with.
pub(crate) type Table = Arc<Vec<Arc<Allocation>>>;

/// The allocation of a table that begins at or below an address.
fn below(table: &[Arc<Allocation>], address: u64) -> Option<&Arc<Allocation>> {
    let after = table.partition_point(|a| a.base <= address);
    table[..after].last()
}

#[derive(Debug)]
struct Inner {
    table: Table,
    freed: Vec<(u64, u64)>,
    next: u64,
    used: u64,
}

/// The global memory of a device.
#[derive(Debug)]
pub(crate) struct Memory {
    capacity: u64,
    inner: RwLock<Inner>,
}

impl Memory {
    pub(crate) fn new(capacity: u64) -> Self {
        let inner = Inner { table: Arc::default(), freed: Vec::new(), next: GLOBAL_BASE, used: 0 };
        Self { capacity, inner: RwLock::new(inner) }
    }

    fn inner(&self) -> std::sync::RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn inner_mut(&self) -> std::sync::RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The allocations of now, for a launch.
    pub(crate) fn snapshot(&self) -> Table {
        Arc::clone(&self.inner().table)
    }

    pub(crate) fn alloc(&self, bytes: u64, name: &str, read_only: bool) -> Result<u64, Fault> {
        let mut inner = self.inner_mut();
        let full = Fault::OutOfMemory { requested: bytes, free: self.capacity - inner.used };
        if bytes > self.capacity - inner.used {
            return Err(full);
        }
        let (Some(data), Some(shadow)) = (Cells::new(bytes), Cells::new(bytes)) else {
            return Err(full);
        };
        let base = inner.next;
        inner.next = (base + bytes + REDZONE).next_multiple_of(ALIGN);
        inner.used += bytes;
        let freed = AtomicBool::new(false);
        let name = name.to_owned();
        let new = Allocation { base, bytes, name, read_only, freed, data, shadow };
        Arc::make_mut(&mut inner.table).push(Arc::new(new));
        Ok(base)
    }

    pub(crate) fn free(&self, address: u64) -> Result<(), Fault> {
        let mut inner = self.inner_mut();
        let Ok(at) = inner.table.binary_search_by_key(&address, |a| a.base) else {
            drop(inner);
            return Err(self.invalid(address, 0));
        };
        let gone = Arc::make_mut(&mut inner.table).remove(at);
        gone.freed.store(true, Ordering::Relaxed);
        inner.used -= gone.bytes;
        if inner.freed.len() == REMEMBERED {
            inner.freed.drain(..REMEMBERED / 2);
        }
        inner.freed.push((gone.base, gone.bytes));
        Ok(())
    }

    /// Free and total bytes.
    pub(crate) fn info(&self) -> (u64, u64) {
        (self.capacity - self.inner().used, self.capacity)
    }

    pub(crate) fn range_of(&self, address: u64) -> Option<Range> {
        let inner = self.inner();
        let found = below(&inner.table, address)?;
        (address - found.base < found.bytes.max(1))
            .then_some(Range { address: found.base, bytes: found.bytes })
    }

    /// Whether an address lies in a range that was freed.
    pub(crate) fn was_freed(&self, address: u64) -> bool {
        self.inner().freed.iter().any(|&(base, bytes)| address.wrapping_sub(base) < bytes.max(1))
    }

    /// The allocation nearest to an address, in words.
    pub(crate) fn describe(&self, address: u64) -> String {
        let inner = self.inner();
        let freed = inner.freed.iter().find(|(base, bytes)| address.wrapping_sub(*base) < *bytes);
        if let Some((base, bytes)) = freed {
            return format!("{} bytes into a freed allocation of {bytes} bytes", address - base);
        }
        let words = |a: &Allocation| {
            let what = if a.name.is_empty() {
                format!("the allocation of {} bytes at {:#x}", a.bytes, a.base)
            } else {
                format!("variable {} of {} bytes at {:#x}", a.name, a.bytes, a.base)
            };
            match address.checked_sub(a.base) {
                None => format!("{} bytes before {what}", a.base - address),
                Some(into) if into < a.bytes => format!("{into} bytes into {what}"),
                Some(into) => format!("{} bytes after the end of {what}", into - a.bytes),
            }
        };
        let under = below(&inner.table, address);
        let over = inner.table.get(inner.table.partition_point(|a| a.base <= address));
        match (under, over) {
            (Some(a), Some(b)) if b.base - address < address - (a.base + a.bytes).min(address) => {
                words(b)
            }
            (Some(a), _) | (None, Some(a)) => words(a),
            (None, None) => "nothing is allocated".to_owned(),
        }
    }

    fn invalid(&self, address: u64, len: u64) -> Fault {
        Fault::InvalidRange { address, len, nearest: self.describe(address) }
    }

    /// The live allocation that holds a whole host range, and the offset in it.
    fn host_range(&self, address: u64, len: u64) -> Result<(Arc<Allocation>, u64), Fault> {
        let found = below(&self.inner().table, address).cloned();
        found
            .map(|a| (address - a.base, a))
            .filter(|(offset, a)| *offset <= a.bytes && len <= a.bytes - offset)
            .map(|(offset, a)| (a, offset))
            .ok_or_else(|| self.invalid(address, len))
    }

    pub(crate) fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Fault> {
        let (to, offset) = self.host_range(address, bytes.len() as u64)?;
        to.write(offset, bytes);
        Ok(())
    }

    pub(crate) fn read(&self, address: u64, bytes: &mut [u8], check: bool) -> Result<(), Fault> {
        let (from, offset) = self.host_range(address, bytes.len() as u64)?;
        if let Some(address) = from.first_unwritten(offset, bytes.len() as u64).filter(|_| check) {
            return Err(Fault::HostUninitialised { address });
        }
        from.read(offset, bytes);
        Ok(())
    }

    pub(crate) fn fill(&self, address: u64, byte: u8, len: u64) -> Result<(), Fault> {
        let (to, offset) = self.host_range(address, len)?;
        let word = u64::from_le_bytes([byte; 8]);
        Cells::pieces(offset, len, |at, size| to.store(at, size, word));
        Ok(())
    }

    pub(crate) fn copy(&self, dst: u64, src: u64, len: u64) -> Result<(), Fault> {
        let (from, from_offset) = self.host_range(src, len)?;
        let (to, to_offset) = self.host_range(dst, len)?;
        // Through the host, in one piece: ranges that overlap then behave as if copied at once.
        let size = usize::try_from(len).map_err(|_| self.invalid(src, len))?;
        let mut bytes = vec![0; size];
        from.read(from_offset, &mut bytes);
        let mut unwritten = Vec::new();
        let mut start = from_offset;
        while let Some(first) = from.first_unwritten(start, from_offset + len - start) {
            let first = first - from.base;
            let written = |&at: &u64| from.is_written(at, 1);
            let end = (first..from_offset + len).find(written).unwrap_or(from_offset + len);
            unwritten.push((first - from_offset, end - first));
            start = end;
        }
        to.write(to_offset, &bytes);
        for (at, len) in unwritten {
            Cells::pieces(to_offset + at, len, |at, size| to.shadow.store(at, size, 0));
        }
        Ok(())
    }
}

/// Looks an address up in a launch's snapshot.
pub(crate) fn find(table: &Table, address: u64) -> Option<&Allocation> {
    let found = below(table, address)?;
    (address - found.base < found.bytes && !found.is_freed()).then_some(&**found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_exact_and_addresses_are_never_reused() {
        let memory = Memory::new(1 << 20);
        let a = memory.alloc(10, "", false).unwrap();
        assert!(a.is_multiple_of(ALIGN));
        memory.write(a, &[7; 10]).unwrap();
        assert!(matches!(memory.write(a, &[7; 11]), Err(Fault::InvalidRange { .. })));
        assert!(matches!(memory.write(a + 10, &[7; 1]), Err(Fault::InvalidRange { .. })));
        memory.free(a).unwrap();
        assert!(memory.was_freed(a + 9) && !memory.was_freed(a + 10));
        assert!(matches!(memory.free(a), Err(Fault::InvalidRange { .. })));
        assert!(memory.alloc(10, "", false).unwrap() > a);
    }

    #[test]
    fn capacity_is_a_limit() {
        let memory = Memory::new(100);
        let a = memory.alloc(60, "", false).unwrap();
        let fault = memory.alloc(60, "", false).unwrap_err();
        assert_eq!(fault, Fault::OutOfMemory { requested: 60, free: 40 });
        memory.free(a).unwrap();
        assert_eq!(memory.info(), (100, 100));
        memory.alloc(100, "", false).unwrap();
    }

    #[test]
    fn copies_carry_what_was_never_written() {
        let memory = Memory::new(1 << 20);
        let (a, b) = (memory.alloc(32, "", false).unwrap(), memory.alloc(32, "", false).unwrap());
        memory.write(a + 3, &[1, 2, 3, 4, 5, 6, 7, 8, 9]).unwrap();
        memory.fill(b, 0xee, 32).unwrap();
        memory.copy(b, a, 32).unwrap();
        let mut bytes = [0; 32];
        let fault = memory.read(b, &mut bytes, true).unwrap_err();
        assert_eq!(fault, Fault::HostUninitialised { address: b });
        let fault = memory.read(b + 3, &mut bytes[..10], true).unwrap_err();
        assert_eq!(fault, Fault::HostUninitialised { address: b + 12 });
        memory.read(b + 3, &mut bytes[..9], true).unwrap();
        assert_eq!(bytes[..9], [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn updates_touch_only_their_width() {
        let cells = Cells::new(16).unwrap();
        cells.store(0, 8, 0x1111_1111_1111_1111);
        assert_eq!(cells.update(2, 2, |v| v + 1), 0x1111);
        assert_eq!(cells.load(0, 8), 0x1111_1111_1112_1111);
        assert_eq!(cells.update(7, 1, |_| 0xab), 0x11);
        assert_eq!(cells.load(4, 4), 0xab11_1111);
    }
}

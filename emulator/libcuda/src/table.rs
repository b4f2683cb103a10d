//! Tables of handles: the only way from a number that a program holds to an object of this library.

use crate::abi::{Handle, Status};
use crate::errors::CudaError;
use crate::sync::lock;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The live objects of one kind.
pub(crate) struct Table<T> {
    /// The high bits of this kind's handles, so that a stream is never taken for an event.
    kind: usize,
    entries: Mutex<Entries<T>>,
}

struct Entries<T> {
    live: BTreeMap<usize, Arc<T>>,
    made: usize,
}

impl<T> Table<T> {
    /// An empty table; `kind` differs from one table to another.
    pub(crate) const fn new(kind: usize) -> Self {
        Table { kind, entries: Mutex::new(Entries { live: BTreeMap::new(), made: 0 }) }
    }

    /// Takes in an object and names it. Numbers are not used again, so a stale handle stays stale.
    pub(crate) fn insert(&self, object: T) -> Handle<T> {
        self.insert_shared(Arc::new(object))
    }

    /// As [`insert`](Self::insert), for an object that others hold too.
    pub(crate) fn insert_shared(&self, object: Arc<T>) -> Handle<T> {
        let mut entries = lock(&self.entries);
        entries.made += 1;
        // Handles look like aligned pointers in a page nobody maps; some programs check that.
        let raw = (self.kind << 40) | (entries.made << 4);
        entries.live.insert(raw, object);
        Handle::from_raw(raw)
    }

    /// The object of a handle, or `CUDA_ERROR_INVALID_HANDLE`.
    pub(crate) fn get(&self, handle: Handle<T>) -> Status<Arc<T>> {
        lock(&self.entries).live.get(&handle.raw()).cloned().ok_or(CudaError::InvalidHandle)
    }

    /// Takes the object out.
    pub(crate) fn remove(&self, handle: Handle<T>) -> Status<Arc<T>> {
        lock(&self.entries).live.remove(&handle.raw()).ok_or(CudaError::InvalidHandle)
    }

    /// Every object for which `wanted` holds.
    pub(crate) fn filter(&self, wanted: impl Fn(&T) -> bool) -> Vec<Arc<T>> {
        lock(&self.entries).live.values().filter(|object| wanted(object)).cloned().collect()
    }

    /// The handle of an object for which `wanted` holds.
    pub(crate) fn find(&self, wanted: impl Fn(&T) -> bool) -> Option<Handle<T>> {
        let entries = lock(&self.entries);
        entries
            .live
            .iter()
            .find(|(_, object)| wanted(object))
            .map(|(&raw, _)| Handle::from_raw(raw))
    }

    /// Drops the objects for which `kept` does not hold.
    pub(crate) fn retain(&self, kept: impl Fn(&T) -> bool) {
        lock(&self.entries).live.retain(|_, object| kept(object));
    }
}

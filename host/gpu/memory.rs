//! An allocation of device memory and the work that used it last, so that work on another stream
//! waits for it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use parans_kernels::abi::DeviceAddress;

use super::Gpu;
use super::runtime::{EventHandle, StreamHandle, StreamKind};
use crate::error::{Error, Result};

/// Device memory that frees itself, after the work that uses it.
pub(super) struct Memory {
    gpu: Gpu,
    address: DeviceAddress,
    last: Mutex<Last>,
}

/// The work that used memory last. All of it is one sequence: readers wait for each other too.
#[derive(Clone)]
enum Last {
    /// None yet.
    Nothing,
    /// Work on a stream that lives as long as the device: it is marked when somebody has to wait.
    On(StreamHandle),
    /// Work on a stream that may be gone by then, or be another thread's.
    Until(Arc<Mark>),
}

impl Last {
    /// Whether it is ordered with work on this stream already.
    fn is_on(&self, stream: StreamHandle) -> bool {
        matches!(self, Self::On(last) if *last == stream)
    }

    /// Whether waiting for one is waiting for the other.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nothing, Self::Nothing) => true,
            (Self::On(one), Self::On(other)) => one == other,
            (Self::Until(one), Self::Until(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// What to wait for.
    fn mark(self, gpu: &Gpu) -> Result<Option<Arc<Mark>>> {
        Ok(match self {
            Self::Nothing => None,
            Self::On(stream) => Some(Arc::new(Mark::of(gpu, stream)?)),
            Self::Until(mark) => Some(mark),
        })
    }
}

/// An event, released when the last memory that it marks is used again.
struct Mark {
    gpu: Gpu,
    event: EventHandle,
}

impl Mark {
    fn of(gpu: &Gpu, stream: StreamHandle) -> Result<Self> {
        Ok(Self { gpu: gpu.clone(), event: gpu.runtime().record(stream)? })
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.gpu.runtime().release(self.event);
    }
}

impl Memory {
    /// Memory of so many bytes, contents undefined.
    pub(super) fn new(gpu: &Gpu, bytes: usize) -> Result<Self> {
        // A device gives no address for nothing, and a kernel wants one.
        let address = gpu.runtime().alloc(bytes.max(1))?;
        Ok(Self { gpu: gpu.clone(), address, last: Mutex::new(Last::Nothing) })
    }

    /// Its device.
    pub(super) fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Where it begins.
    pub(super) fn address(&self) -> DeviceAddress {
        self.address
    }

    fn last(&self) -> Last {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_last(&self, last: Last) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }

    /// Waits for the work that used this memory last.
    fn finish(&self) -> Result<()> {
        match self.last().mark(&self.gpu)? {
            Some(mark) => self.gpu.runtime().finish(mark.event),
            None => Ok(()),
        }
    }

    /// Puts work on the runtime's own stream that uses this memory and is done when `work` returns,
    /// as a download is.
    pub(super) fn used_now(&self, work: impl FnOnce(StreamHandle) -> Result<()>) -> Result<()> {
        let stream = StreamHandle::OWN;
        Self::used_by(&self.gpu, stream, [self], || work(stream))?;
        self.set_last(Last::Nothing);
        Ok(())
    }

    /// Puts work on a stream that uses these memories, after the work that used them last.
    pub(super) fn used_by<'m, R>(
        gpu: &Gpu,
        stream: StreamHandle,
        memories: impl IntoIterator<Item = &'m Memory, IntoIter: Clone>,
        work: impl FnOnce() -> Result<R>,
    ) -> Result<R> {
        let memories = memories.into_iter();
        let mut waited: Vec<Last> = Vec::new();
        for memory in memories.clone() {
            if !memory.gpu.is(gpu) {
                return Err(Error::InvalidArgument(format!(
                    "memory of another device than {gpu:?}: {:?}",
                    memory.gpu
                )));
            }
            let last = memory.last();
            // One wait is enough for all that one piece of work used.
            if last.is_on(stream) || waited.iter().any(|other| other.is(&last)) {
                continue;
            }
            if let Some(mark) = last.clone().mark(gpu)? {
                gpu.runtime().wait(stream, mark.event)?;
            }
            waited.push(last);
        }
        let done = work();
        // What failed may have been started in part.
        let last = match stream.kind() {
            StreamKind::Own | StreamKind::LegacyDefault => Last::On(stream),
            StreamKind::PerThreadDefault | StreamKind::Raw(_) => {
                match Mark::of(gpu, stream) {
                    Ok(mark) => Last::Until(Arc::new(mark)),
                    // The device is lost, and the first error says why.
                    Err(error) => return done.and(Err(error)),
                }
            }
        };
        for memory in memories {
            memory.set_last(last.clone());
        }
        done
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // An error is one of work that somebody else waits for, and is told them.
        let _ = self.finish();
        self.gpu.runtime().free(self.address);
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("gpu", &self.gpu).field("address", &self.address).finish()
    }
}

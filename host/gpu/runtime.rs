//! What a device must do for the back end.

use std::time::Duration;

use parans_kernels::abi::DeviceAddress;

use super::launch::Geometry;
use crate::error::Result;

/// A stream of a device: work on one stream runs in order, and work on two runs in any order unless
/// one waits for the other. The back end makes its own work wait where memory of a
/// [`DeviceBuffer`](super::DeviceBuffer) goes from one stream to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StreamHandle(StreamKind);

/// What a runtime is to take for a [`StreamHandle`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamKind {
    /// The runtime's own stream, which no default stream waits for.
    #[default]
    Own,
    /// The legacy default stream of the device's context: the driver's handle 0 or 1.
    LegacyDefault,
    /// The default stream of the calling thread: the driver's handle 2.
    PerThreadDefault,
    /// A stream that somebody else made.
    Raw(u64),
}

impl StreamHandle {
    /// The runtime's own stream: what everything runs on unless another is named.
    pub const OWN: Self = Self(StreamKind::Own);
    /// The legacy default stream of the device, which waits for all streams but those made not to
    /// block it. It is PyTorch's current stream unless that was changed.
    pub const LEGACY_DEFAULT: Self = Self(StreamKind::LegacyDefault);
    /// The default stream of the calling thread.
    pub const PER_THREAD_DEFAULT: Self = Self(StreamKind::PerThreadDefault);

    /// The stream of a handle of the driver (`CUstream`, `cudaStream_t`, PyTorch's
    /// `torch.cuda.current_stream().cuda_stream`), as the driver takes it: 0 and 1 are the legacy
    /// default stream, 2 is the default stream of the calling thread.
    ///
    /// # Safety
    /// The handle is that of a stream of the device's primary context, which is not destroyed
    /// before the last call that is given this handle has returned.
    #[allow(unsafe_code, reason = "the driver follows the handle as a pointer")]
    pub const unsafe fn from_raw(handle: u64) -> Self {
        match handle {
            0 | 1 => Self::LEGACY_DEFAULT,
            2 => Self::PER_THREAD_DEFAULT,
            handle => Self(StreamKind::Raw(handle)),
        }
    }

    /// What a runtime is to take for it.
    pub const fn kind(self) -> StreamKind {
        self.0
    }
}

/// A place in the work of a stream, which other streams and the host can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventHandle(pub u64);

/// A kernel launch.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// Name of the entry point.
    pub kernel: &'a str,
    /// Blocks and threads.
    pub geometry: Geometry,
    /// Bytes of dynamic shared memory a block, at most [`Runtime::shared_memory`].
    pub shared: u32,
    /// The packed parameter buffer.
    pub params: &'a [u8],
    /// Offset and size of each parameter in it.
    pub fields: &'a [(usize, usize)],
}

/// A device that runs the kernels. Device memory is not the host's: a wrong address is the device's
/// error to report.
///
/// All errors are [`Error::Device`](crate::Error::Device), naming what failed.
pub trait Runtime: Send + Sync {
    /// The device's name.
    fn name(&self) -> String;

    /// How many multiprocessors it has, which launches are spread over.
    fn multiprocessors(&self) -> u32;

    /// The most dynamic shared memory that a block may have, in bytes: what every device gives
    /// unless the runtime has a better way.
    fn shared_memory(&self) -> u32 {
        48 << 10
    }

    /// Bytes of device memory that are free.
    ///
    /// # Errors
    /// Where the device does not answer.
    fn free_memory(&self) -> Result<u64>;

    /// Loads a module of PTX; its entry points can be launched from then on, beside those of the
    /// modules loaded before.
    ///
    /// # Errors
    /// Where the device refuses it, with the compiler's words.
    fn load(&self, ptx: &str) -> Result<()>;

    /// Allocates device memory, at least 16 bytes aligned, contents undefined. Every stream may
    /// use it at once.
    ///
    /// # Errors
    /// Where there is not enough.
    fn alloc(&self, bytes: usize) -> Result<DeviceAddress>;

    /// Frees what [`alloc`](Self::alloc) gave. The caller has waited for all work that uses it.
    fn free(&self, address: DeviceAddress);

    /// Copies to the device. The bytes may be reused when it returns.
    ///
    /// # Errors
    /// Where the copy fails.
    fn upload(&self, to: DeviceAddress, bytes: &[u8], stream: StreamHandle) -> Result<()>;

    /// Sets each byte of a range.
    ///
    /// # Errors
    /// Where it cannot be started.
    fn fill(&self, to: DeviceAddress, value: u8, bytes: usize, stream: StreamHandle) -> Result<()>;

    /// Copies within the device.
    ///
    /// # Errors
    /// Where it cannot be started.
    fn copy(
        &self,
        to: DeviceAddress,
        from: DeviceAddress,
        bytes: usize,
        stream: StreamHandle,
    ) -> Result<()>;

    /// Copies from the device, after all earlier work of the stream; the bytes are there when it
    /// returns.
    ///
    /// # Errors
    /// Where the copy, or earlier work, fails.
    fn download(&self, from: DeviceAddress, bytes: &mut [u8], stream: StreamHandle) -> Result<()>;

    /// Starts a kernel.
    ///
    /// # Errors
    /// Where it cannot be started.
    fn launch(&self, launch: &Launch<'_>, stream: StreamHandle) -> Result<()>;

    /// Waits for all work of a stream.
    ///
    /// # Errors
    /// Where any of it failed.
    fn synchronise(&self, stream: StreamHandle) -> Result<()>;

    /// Marks the work that a stream has so far. The caller releases the event.
    ///
    /// # Errors
    /// Where the device refuses it.
    fn record(&self, stream: StreamHandle) -> Result<EventHandle>;

    /// Makes the work that a stream gets from now on wait for an event, without waiting itself.
    ///
    /// # Errors
    /// Where the device refuses it.
    fn wait(&self, stream: StreamHandle, event: EventHandle) -> Result<()>;

    /// Waits for an event.
    ///
    /// # Errors
    /// Where the work before it failed.
    fn finish(&self, event: EventHandle) -> Result<()>;

    /// Gives up an event; work that waits for it goes on waiting.
    fn release(&self, event: EventHandle);

    /// How long the device takes for the work that `work` puts on the stream.
    ///
    /// # Errors
    /// Where `work` fails, or what it started.
    fn time(&self, stream: StreamHandle, work: &mut dyn FnMut() -> Result<()>) -> Result<Duration>;
}

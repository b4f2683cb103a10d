//! What a device must do for the back end.

use std::time::Duration;

use parans_kernels::abi::DeviceAddress;

use super::launch::Geometry;
use crate::error::Result;

/// A stream of a device: work on one stream runs in order. The driver's own handle, so that a
/// caller's stream can be used; 0 is the runtime's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StreamHandle(pub u64);

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

    /// Allocates device memory, at least 16 bytes aligned, contents undefined.
    ///
    /// # Errors
    /// Where there is not enough.
    fn alloc(&self, bytes: usize) -> Result<DeviceAddress>;

    /// Frees what [`alloc`](Self::alloc) gave, after all work on it.
    fn free(&self, address: DeviceAddress);

    /// Copies to the device. The bytes may be reused when it returns.
    ///
    /// # Errors
    /// Where the copy fails.
    fn upload(&self, to: DeviceAddress, bytes: &[u8], stream: StreamHandle) -> Result<()>;

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

    /// How long the device takes for the work that `work` puts on the stream.
    ///
    /// # Errors
    /// Where `work` fails, or what it started.
    fn time(&self, stream: StreamHandle, work: &mut dyn FnMut() -> Result<()>) -> Result<Duration>;
}
